"""Retrieval of four views of each photograph, made by crops, perspective and light, by bits and by floats.

The score is that of Nister and Stewenius (CVPR 2006): how many of the four nearest rows of a query, itself
included, are of its group. The views are synthetic, so it cannot be compared with figures of photographs.
"""

from dataclasses import dataclass

import datasets
import gist
import numpy as np
import records
from fastcodes import hamming
from fastcodes._typing import Array
from fastcodes.coding import JointCodec, ThumbnailCodec
from fastcodes.hashing import RandomHyperplanes
from PIL import Image, ImageEnhance

N_VIEWS = 4
N_BITS = 4096
N_FLOATS = 128
SIDE = 64
N_PER_CLASS = 100
EPOCHS = 10
ABOUT = """\
{n} photographs (COCO and Kodak), four synthetic views of each: the whole, a crop, a perspective and a crop
in other light, all {side} x {side}. Features are GIST descriptors of 512 floats; bits are the signs of
random projections of the centered features; {n_floats} floats are principal components, as many bytes as
{n_bits} bits. The score is the mean number of views of the same photograph among the four nearest rows, the
query included, at most 4. It is not that of photographs of objects from several sides. "Tuned" bits were
trained on triplets of the views of one half of the photographs; the picture part of a joint code of 576
bytes is the same to the bit. For classes, the score counts pictures of the same class of CIFAR-10
({n_per_class} test pictures of each)."""


@dataclass(frozen=True)
class Score:
    """A score and what it is of."""

    what: str
    n_bytes: int
    score: float


def measure() -> list[Score]:
    """Return all scores."""
    photographs = _photographs()
    groups = np.repeat(np.arange(len(photographs)), N_VIEWS)
    views = [view for i, photograph in enumerate(photographs) for view in _views(photograph, i)]
    features = gist.gist(np.stack([np.asarray(view.convert("L")) for view in views]))
    thumbnails = np.stack([np.asarray(view.resize((32, 32), Image.Resampling.LANCZOS)) for view in views])
    codec = JointCodec(ThumbnailCodec.pretrained(), RandomHyperplanes(N_BITS, random_state=0))
    center = features.mean(axis=0)
    codec.fit(thumbnails, features - center)
    codes = codec.encode(thumbnails, features - center)
    found = [
        Score("views, 512 floats", 2048, _score(_by_cosine(features - center), groups)),
        Score(f"views, {N_BITS} bits of them", N_BITS // 8, _score(_by_bits(codec.features(codes)), groups)),
        Score(f"views, {N_FLOATS} floats", 4 * N_FLOATS, _score(_by_cosine(_components(features)), groups)),
    ]
    seen = groups % 2 == 0
    tuned = codec.fine_tuned((features - center)[seen], groups[seen], epochs=EPOCHS)
    after = tuned.encode(thumbnails, features - center)
    if tuned.picture(after).tobytes() != codec.picture(codes).tobytes():
        raise AssertionError("fine-tuning has changed pictures")
    for name, rows in (("other half", ~seen), ("half that tunes", seen)):
        for label, model, one in (("", codec, codes), (", tuned", tuned, after)):
            part = np.ascontiguousarray(model.features(one)[rows])
            found.append(
                Score(
                    f"views, {N_BITS} bits, {name}{label}", N_BITS // 8, _score(_by_bits(part), groups[rows])
                )
            )
    return [*found, *_classes()]


def promised(found: list[Score]) -> list[records.Promise]:
    """Return the promises of views."""
    score = {one.what: one.score for one in found}
    floats, bits = score["views, 512 floats"], score[f"views, {N_BITS} bits of them"]
    other = f"views, {N_BITS} bits, other half"
    return [
        records.Promise(f"{N_BITS} bits over the floats that they come from", -0.02, bits - floats),
        records.Promise(
            "tuned bits over others, photographs not seen", 0.0, score[f"{other}, tuned"] - score[other]
        ),
    ]


def page(found: list[Score]) -> str:
    """Return a section of the record."""
    about = ABOUT.format(
        n=len(_photographs()), side=SIDE, n_bits=N_BITS, n_floats=N_FLOATS, n_per_class=N_PER_CLASS
    )
    rows = [[one.what, str(one.n_bytes), f"{one.score:.3f}"] for one in found]
    return f"## Synthetic views\n\n{about}\n\n{records.table(['codes', 'bytes', 'score of 4'], rows)}\n"


def _photographs() -> list[Image.Image]:
    names = sorted(datasets.data_file("kodak").glob("*.png"))
    names += sorted(datasets.data_file("coco_mini").rglob("*.jpg"))
    return [Image.open(name).convert("RGB").resize((192, 192), Image.Resampling.LANCZOS) for name in names]


def _views(photograph: Image.Image, seed: int) -> list[Image.Image]:
    """Return the four views of a photograph of 192 x 192 pixels."""
    rng = np.random.default_rng(seed)

    def crop(share: float) -> tuple[float, float, float, float]:
        side = 192 * share
        left, top = rng.uniform(0, 192 - side, 2)
        return left, top, left + side, top + side

    corners = np.array([[0, 0], [0, 192], [192, 192], [192, 0]]) + rng.uniform(-12, 24, (4, 2)) * [
        [1, 1],
        [1, -1],
        [-1, -1],
        [-1, 1],
    ]
    quad = tuple(corners.ravel().tolist())
    size, cubic = (SIDE, SIDE), Image.Resampling.BICUBIC
    light = ImageEnhance.Brightness(photograph).enhance(float(rng.uniform(0.6, 1.4)))
    light = ImageEnhance.Contrast(light).enhance(float(rng.uniform(0.7, 1.3)))
    return [
        photograph.resize(size, Image.Resampling.LANCZOS),
        photograph.resize(size, Image.Resampling.LANCZOS, box=crop(0.85)),
        photograph.transform(size, Image.Transform.QUAD, quad, resample=cubic),
        light.resize(size, Image.Resampling.LANCZOS, box=crop(0.9)),
    ]


def _classes() -> list[Score]:
    """Return the scores of classes of CIFAR-10."""
    arrays = gist.cifar10()
    rows = np.concatenate([np.flatnonzero(arrays["test_y"] == label)[:N_PER_CLASS] for label in range(10)])
    center = arrays["train_x"].mean(axis=0)
    features, labels = arrays["test_x"][rows] - center, arrays["test_y"][rows]
    bits = RandomHyperplanes(N_BITS, random_state=0).fit(features).encode(features)
    return [
        Score("classes, 512 floats", 2048, _score(_by_cosine(features), labels)),
        Score(f"classes, {N_BITS} bits of them", N_BITS // 8, _score(_by_bits(bits), labels)),
        Score(f"classes, {N_FLOATS} floats", 4 * N_FLOATS, _score(_by_cosine(_components(features)), labels)),
    ]


def _components(features: Array) -> Array:
    """Return the first principal components."""
    centered = features - features.mean(axis=0)
    return centered @ np.linalg.svd(centered, full_matrices=False)[2][:N_FLOATS].T


def _by_cosine(features: Array) -> Array:
    """Return the four nearest rows of each row by angle."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    return np.argsort(-(unit @ unit.T), axis=1, kind="stable")[:, :4]


def _by_bits(codes: Array) -> Array:
    """Return the four nearest rows of each row by Hamming distance."""
    return hamming.knn(codes, codes, 4)[1]


def _score(nearest: Array, groups: Array) -> float:
    """Return how many of the four nearest are of the same group, on average."""
    return float((groups[nearest] == groups[:, None]).sum(axis=1).mean())
