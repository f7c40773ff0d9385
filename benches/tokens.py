"""Tokens of pictures: collapsing codebooks, rates and distortions, a prior, recognition, search; a record."""

import argparse
import io
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import records
from fastcodes import adc, hamming, jaccard, metrics, minhash, tokens
from fastcodes._typing import Array
from fastcodes.coding import ImageCodec, ThumbnailCodec
from fastcodes.quantization import VectorQuantizer
from fastcodes.tokens import VQVAE, TokenCodec, TokenPrior
from PIL import Image, ImageDraw
from pytest_benchmark.utils import get_commit_info
from thumbnails import LABEL_HEIGHT, LOSSLESS, decibels, pictures

SEEDS = (0, 1, 2)
N_COLLAPSE, EPOCHS, COLLAPSE_EPOCHS = 1024, 4, 2
PLAIN = {"init": "random", "restart": False}
REMEDIES: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "normalized": {**PLAIN, "normalize": True},
    "entropy bonus": {**PLAIN, "entropy": 0.02},
    "stochastic, learned variance": {**PLAIN, "stochastic": True},
    "k-means start": {"restart": False},
    "restart of dead codewords": {"init": "random"},
    "k-means start and restart": {},
    "FSQ": {"quantizer": "fsq"},
    "LFQ": {"quantizer": "lfq", "entropy": 0.02},
}
DEFAULT, LOOK_UP_FREE = "k-means start and restart", "FSQ"
CODERS: dict[str, dict[str, Any]] = {
    "VQ-VAE, 8 x 8 tokens of 512": {"n_codewords": 512},
    "VQ-VAE, 8 x 8 x 2 tokens of 256, product": {
        "n_codewords": 256,
        "quantizer": "product",
        "n_codebooks": 2,
    },
    "VQ-VAE, 8 x 8 x 2 tokens of 256, residual": {
        "n_codewords": 256,
        "quantizer": "residual",
        "n_codebooks": 2,
    },
    "VQ-VAE, 4 x 4 tokens of 1024": {"n_codewords": 1024, "patch": 8, "n_dims": 32},
    "VQ-VAE, 4 x 4 x 2 tokens of 256, residual": {
        "n_codewords": 256,
        "patch": 8,
        "n_dims": 32,
        "quantizer": "residual",
        "n_codebooks": 2,
    },
}
COARSE = "VQ-VAE, 4 x 4 tokens of 1024", "VQ-VAE, 4 x 4 x 2 tokens of 256, residual"
PRETRAINED = "TokenCodec.pretrained"
N_LABELED, N_VALIDATION, N_QUERIES = 10_000, 2000, 2000
PENALTIES, N_ITERATIONS = (0.001, 0.03, 1.0), 60
N_NEIGHBORS = 10
ABOUT = """\
CIFAR-10: trained on {n_train:,} lossless pictures, measured on {n_test:,} lossless test pictures. The model
that comes with fastcodes was trained on 50,000 pictures, most of them a copy in JPEG of quality 75. "PSNR"
is the mean of the figures of pictures, SSIM that of red, green and blue. Figures after +- are the standard
deviation over the seeds {seeds}. One thread."""
COLLAPSE = """\
VQ-VAE with 8 x 8 tokens, {n} codewords and 64 hidden channels, {epochs} epochs. "perplexity / K" and
codewords that are never chosen are those on the test pictures."""
RATES = """\
"bits" is log2 K for each token; "bytes" are real ones with the prior, the mean of a container of all test
pictures, decoded and compared. "bits per token" is the mean code length under the prior. Files of JPEG and
WebP are mostly headers at this size: "payload" leaves them out. Models are not counted: they are the same
for all pictures."""
PHOTOGRAPHS = """\
The 24 photographs of Kodak, all bytes counted; tokenizers and priors are those of CIFAR-10, which saw no
photograph of this size. The means over photographs of bits per pixel, RGB-PSNR and SSIM."""
RECOGNITION = """\
Accuracy of the same classifiers on the same {n:,} pictures (test: 10,000; nearest neighbours: the first
{q:,}): logistic regression of at most {i} iterations, whose penalty a part of the training pictures chose for
each input, and a majority of the {k} nearest. CIFAR-10 is the copy in JPEG. Tokens are those of 512
codewords; nothing is decoded."""
SEARCH = """\
Precision among the first {k} of {n:,} pictures by label, of {q:,} queries. "bytes" are those of a picture in
the database. "codes" are searched by look-up tables: the distances of all codewords to the latent vectors
of the query (asymmetric), or to the codewords of its tokens (symmetric)."""


def main() -> None:
    """Measure everything, print it, and write the record; or write the model that comes with fastcodes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write-model", metavar="FILE", help="train and save the pretrained model only")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}: print these only")
    arguments = parser.parse_args()
    if arguments.write_model:
        pretrained().save(arguments.write_model)
        return
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"PART must be {', '.join(PARTS)}; got {', '.join(sorted(unknown))}")
    started, record = time.perf_counter(), records.facts()
    found = {name: [*lines()] for name, lines in PARTS.items() if name in (arguments.parts or PARTS)}
    if arguments.parts:
        return
    promises = promised(found)
    path = records.name(record, "tokens")
    packages = {name: version(name) for name in ("pillow", "scikit-learn")}
    train, test = lossless()
    about = ABOUT.format(n_train=len(train), n_test=len(test), seeds=", ".join(map(str, SEEDS)))
    page = (
        f"# Tokens, {record['date']}\n\n{records.facts_as_list(record)}- peers: "
        f"{', '.join(f'{name} {one}' for name, one in packages.items())}\n\n{about}\n\n"
        f"{sections(found, path.name)}\n## Promises\n\n{records.missed(promises)}.\n\n"
        f"{records.promise_table(promises)}\n"
    )
    print("\n" + page)
    entries = [promise.entry() for promise in promises]
    records.write(path, record | {"peers": packages, "promises": entries, "lines": found}, page)
    sheet(test).save(path.with_suffix(".png"))
    shutil.rmtree(folder())
    print(f"record: {path}.json, .md, .png; {time.perf_counter() - started:.0f} s")


@cache
def folder() -> Path:
    """Return where models and figures of this commit are kept until the record is written."""
    commit = get_commit_info()
    state = f"{commit['id']}{'-dirty' if commit['dirty'] else ''}"
    kept = os.environ.get("FASTCODES_CACHE") or Path(tempfile.gettempdir(), "fastcodes-cache")
    return Path(kept, "tokens", state)


def once(key: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what was measured, that of a stopped run of the same commit without measuring it again."""
    file = folder() / "figures.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    if key not in found:
        started = time.perf_counter()
        found[key] = measure()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found))
        print(f"{key} ({time.perf_counter() - started:.0f} s): {found[key]}", flush=True)
    return dict(found[key])


def lossless() -> tuple[Array, Array]:
    """Return the lossless training and test pictures of CIFAR-10."""
    arrays = datasets.load(LOSSLESS)
    return arrays["train_x"], arrays["test_x"]


def pretrained() -> TokenCodec:
    """Return the codec that comes with fastcodes, newly trained."""
    train, _, _ = pictures(None)
    tokenizer = VQVAE(512, epochs=4, batch_size=128, random_state=0).fit(train, threads=1)
    grids = np.concatenate([tokenizer.encode(train[i : i + 1000]) for i in range(0, len(train), 1000)])
    return TokenCodec(tokenizer, TokenPrior(512, epochs=2, random_state=0).fit(grids, threads=1))


# --- measurements -------------------------------------------------------------------------------------------


def quality(images: Array, decoded: Array) -> dict[str, float]:
    """Return the mean PSNR and SSIM of pictures."""
    errors = ((decoded.astype(np.float64) - images) ** 2).reshape(len(images), -1).mean(axis=1)
    similar = [metrics.ssim(one, other) for one, other in zip(images, decoded, strict=True)]
    return {"psnr": float(np.mean(decibels(errors))), "ssim": float(np.mean(similar))}


def collapse() -> Iterator[dict[str, Any]]:
    """Yield how evenly codewords are used, for each remedy and seed."""
    for name, options in REMEDIES.items():
        for seed in SEEDS:
            yield once(f"collapse, {name}, {seed}", partial(usage, name, seed, options))


def usage(name: str, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """Return how evenly the codewords of a tokenizer are used."""
    train, test = lossless()
    short = {"hidden": 64, "epochs": COLLAPSE_EPOCHS}
    model = VQVAE(N_COLLAPSE, random_state=seed, **short, **options)
    grids = model.fit(train, threads=1).encode(test)
    counts = np.bincount(grids.reshape(-1), minlength=N_COLLAPSE)
    return {
        "name": name,
        "seed": seed,
        **quality(test, model.decode(grids)),
        "perplexity": tokens.perplexity(grids, N_COLLAPSE) / N_COLLAPSE,
        "dead": int((counts == 0).sum()),
    }


def rates() -> Iterator[dict[str, Any]]:
    """Yield bytes and errors of pictures of 32 x 32, by tokens and others."""
    _, test = lossless()
    for n_dims in (48, 16):
        name = f"{'k-means' if n_dims == 48 else f'PCA to {n_dims} and k-means'}, 8 x 8 patches, 512"
        yield once(name, partial(of_patches, name, n_dims))
    for name in CODERS:
        for seed in SEEDS if name == next(iter(CODERS)) else SEEDS[:1]:
            yield once(f"{name}, {seed}", partial(of_trained, name, seed, test))
    yield once(PRETRAINED, lambda: of_codec(PRETRAINED, TokenCodec.pretrained(), test))
    yield once("thumbnails", partial(of_thumbnails, test))
    for kind, quality_of in (("JPEG", 1), ("JPEG", 5), ("JPEG", 10), ("WEBP", 1), ("WEBP", 20)):
        yield once(f"{kind}, {quality_of}", partial(of_pillow, kind, quality_of, test))
    for step in (128.0, 64.0):
        yield once(f"step {step:.0f}", partial(of_image_codec, step, test))


def of_trained(name: str, seed: int, test: Array) -> dict[str, Any]:
    """Return what a tokenizer makes of pictures."""
    return of_codec(name, trained(name, seed), test)


def trained(name: str, seed: int = 0) -> TokenCodec:
    """Return a tokenizer and its prior, those of a stopped run of the same commit if there are any."""
    file = folder() / f"{list(CODERS).index(name)}-{seed}.safetensors"
    if not file.exists():
        train, _ = lossless()
        tokenizer = VQVAE(epochs=EPOCHS, random_state=seed, **CODERS[name]).fit(train, threads=1)
        shape = {"n_codebooks": tokenizer.n_codebooks, "epochs": 3, "random_state": seed}
        prior = TokenPrior(tokenizer.n_codewords, **shape).fit(tokenizer.encode(train), threads=1)
        file.parent.mkdir(parents=True, exist_ok=True)
        TokenCodec(tokenizer, prior).save(file)
    return TokenCodec.load(file)


def of_thumbnails(test: Array) -> dict[str, Any]:
    """Return what `ThumbnailCodec` makes of pictures."""
    codec = ThumbnailCodec.pretrained()
    decoded = codec.decode(codec.encode(test))
    return {"name": "ThumbnailCodec.pretrained", "bytes": float(codec.n_bytes), **quality(test, decoded)}


def of_image_codec(step: float, test: Array) -> dict[str, Any]:
    """Return what `ImageCodec` makes of pictures."""
    codec = ImageCodec(step=step)
    data = [codec.encode(image) for image in test]
    decoded = np.stack([codec.decode(one) for one in data])
    size = float(np.mean([*map(len, data)]))
    return {"name": f"ImageCodec, step {step:.0f}", "bytes": size, **quality(test, decoded)}


def of_codec(name: str, codec: TokenCodec, test: Array) -> dict[str, Any]:
    """Return what tokens and their prior make of pictures."""
    grids = codec.tokenizer.encode(test)
    data = codec.prior.encode(grids)
    if not np.array_equal(codec.prior.decode(data), grids):
        raise AssertionError(f"{name}: other tokens came back")
    n_tokens, bits = grids[0].size, np.log2(codec.tokenizer.n_codewords)
    per_token = float(codec.prior.bits(grids).mean()) / n_tokens
    return {
        "name": name,
        "bits": float(bits * n_tokens),
        "bytes": len(data) / len(test),
        **quality(test, codec.tokenizer.decode(grids)),
        "per_token": per_token,
        "saved": 1 - per_token / float(bits),
    }


def of_patches(name: str, n_dims: int) -> dict[str, Any]:
    """Return what k-means of patches makes of pictures, with or without principal components."""

    def patches(images: Array) -> Array:
        parts = images.reshape(len(images), 8, 4, 8, 4, 3).swapaxes(2, 3)
        return np.ascontiguousarray(parts).reshape(-1, 48).astype(np.float32)

    train, test = lossless()
    rows = patches(train)
    mean = rows.mean(axis=0)
    vectors = np.linalg.eigh(np.cov((rows - mean).T))[1][:, ::-1][:, :n_dims].astype(np.float32)
    quantizer = VectorQuantizer(512, max_samples=1 << 17, random_state=0).fit(
        (rows - mean) @ vectors, threads=1
    )
    found = quantizer.decode(quantizer.encode((patches(test) - mean) @ vectors)) @ vectors.T + mean
    parts = np.clip(np.rint(found), 0, 255).astype(np.uint8).reshape(-1, 8, 8, 4, 4, 3)
    return {
        "name": name,
        "bits": 576.0,
        "bytes": 72.0,
        **quality(test, parts.swapaxes(2, 3).reshape(test.shape)),
    }


def of_pillow(kind: str, quality_of: int, test: Array) -> dict[str, Any]:
    """Return what a codec of Pillow makes of pictures, with and without the bytes of its headers."""
    files = [saved(image, kind, quality_of) for image in test]
    decoded = np.stack([*map(opened, files)])
    if kind == "JPEG":
        starts = [file.index(b"\xff\xda") for file in files]
        heads = [
            start + 2 + int.from_bytes(file[start + 2 : start + 4], "big")
            for file, start in zip(files, starts, strict=True)
        ]
    else:
        heads = [30] * len(files)  # RIFF, the chunk VP8 and the header of its frame
    size = float(np.mean([*map(len, files)]))
    payload = size - float(np.mean(heads))
    return {
        "name": f"{kind}, quality {quality_of}",
        "bytes": size,
        "payload": payload,
        **quality(test, decoded),
    }


def saved(image: Array, kind: str, quality_of: int) -> bytes:
    """Return a picture as a file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, quality=quality_of)
    return file.getvalue()


def photographs() -> Iterator[dict[str, Any]]:
    """Yield rates and errors of the photographs of Kodak."""
    for name in (*COARSE, PRETRAINED):
        is_own = name in CODERS
        codec = trained(name) if is_own else TokenCodec.pretrained()
        yield once(f"photographs, {name}", partial(of_photographs, name, codec.encode, codec.decode))
    for step in (400.0, 200.0, 100.0, 60.0):
        image_codec, name = ImageCodec(step=step), f"ImageCodec, step {step:.0f}"
        measure = partial(of_photographs, name, image_codec.encode, image_codec.decode)
        yield once(f"photographs, {name}", measure)
    for kind, qualities in (("JPEG", (1, 5, 10)), ("WEBP", (0, 5, 20))):
        for quality_of in qualities:
            encode = partial(saved, kind=kind, quality_of=quality_of)
            name = f"{kind}, quality {quality_of}"
            yield once(f"photographs, {name}", partial(of_photographs, name, encode, opened))


def of_photographs(
    name: str, encode: Callable[[Array], bytes], decode: Callable[[bytes], Array]
) -> dict[str, Any]:
    """Return the mean rate and errors of the photographs."""
    found = []
    for path in sorted(datasets.data_file("kodak").glob("*.png")):
        image = np.asarray(Image.open(path).convert("RGB"))
        data = encode(image)
        rate = metrics.bits_per_pixel(len(data), image.shape)
        found.append({"rate": rate, **quality(image[None], decode(data)[None])})
    return {"name": name, **{key: float(np.mean([one[key] for one in found])) for key in found[0]}}


def opened(data: bytes) -> Array:
    """Return the picture of a file."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


class Labeled:
    """Pictures with labels and their tokens.

    Parameters
    ----------
    data : {"CIFAR-10", "MNIST"}
        Which ones.
    """

    def __init__(self, data: str) -> None:
        images = datasets.cifar10() if data == "CIFAR-10" else datasets.mnist()
        self.train, self.labels = images.train[:N_LABELED], images.labels[:N_LABELED]
        self.test, self.test_labels = images.test, images.test_labels
        if data == "CIFAR-10":
            self.tokenizer = TokenCodec.pretrained().tokenizer
        else:
            self.tokenizer = VQVAE(512, epochs=3, random_state=0).fit(images.train[-N_LABELED:], threads=1)
        self.grids, self.test_grids = map(self.tokenizer.encode, (self.train, self.test))

    def codewords(self, grids: Array) -> Array:
        """Return the codewords of grids, side by side."""
        table = self.tokenizer.network_.get_weights()["3.codewords"][0]
        return table[grids].reshape(len(grids), -1)


labeled = cache(Labeled)
INPUTS: dict[str, Callable[[Labeled, Array, Array], Any]] = {
    "pixels": lambda _, images, grids: datasets.as_rows(images) / 255,
    "one histogram of tokens": lambda _, images, grids: tokens.token_histograms(grids, 512),
    "2 x 2 histograms": lambda _, images, grids: tokens.token_histograms(grids, 512, cells=(2, 2)),
    "4 x 4 histograms": lambda _, images, grids: sparse(tokens.token_histograms(grids, 512, cells=(4, 4))),
    "grid of tokens, one-hot": lambda _, images, grids: one_hot(grids, 512),
    "grid of codewords": lambda data, images, grids: data.codewords(grids),
}
DISTANCES: dict[str, Callable[[Labeled], tuple[Array, Array]]] = {
    "pixels, L2": lambda data: by_pixels(data),
    "sets of tokens, Jaccard": lambda data: by_sets(data, jaccard.knn),
    "grids of tokens, Hamming": lambda data: by_sets(data, hamming.knn, positions=True),
    "sets of tokens, 256 MinHash slots": lambda data: by_signatures(data),
    "codes, L2, asymmetric": lambda data: by_codes(data, data.tokenizer.tables, data.test),
    "codes, L2, symmetric": lambda data: by_codes(data, data.tokenizer.token_tables, data.test_grids),
}


def recognition() -> Iterator[dict[str, Any]]:
    """Yield accuracies of classifiers and precision of searches, from pixels and from tokens."""
    for data in ("CIFAR-10", "MNIST"):
        for name, made in INPUTS.items():
            yield once(f"linear, {data}, {name}", partial(of_linear, data, name, made))
        for name, found in DISTANCES.items():
            yield once(f"nearest, {data}, {name}", partial(of_nearest, data, name, found))


def of_linear(data: str, name: str, made: Callable[[Labeled, Array, Array], Any]) -> dict[str, Any]:
    """Return the accuracy of logistic regression."""
    given = labeled(data)
    x, test = made(given, given.train, given.grids), made(given, given.test, given.test_grids)
    accuracy = linear(x, given.labels, test, given.test_labels)
    return {"data": data, "name": name, "linear": accuracy, "columns": x.shape[1]}


def of_nearest(data: str, name: str, search: Callable[[Labeled], tuple[Array, Array]]) -> dict[str, Any]:
    """Return the accuracy of a majority of the nearest, their precision, and the bytes of a picture."""
    given = labeled(data)
    found, base = search(given)
    labels, truth = given.labels[found], given.test_labels[:N_QUERIES]
    votes = np.stack([np.bincount(row, minlength=10) for row in labels])
    accuracy = float((votes.argmax(axis=1) == truth).mean())
    return {
        "data": data,
        "name": name,
        "bytes": base[0].nbytes,
        "knn": accuracy,
        "precision": float((labels == truth[:, None]).mean()),
    }


def sparse(x: Array) -> Any:
    """Return rows as a sparse array."""
    from scipy.sparse import csr_array

    return csr_array(x)


def one_hot(grids: Array, k: int) -> Any:
    """Return grids as sparse rows: a column for each place and codeword."""
    from scipy.sparse import csr_array

    n, n_places = len(grids), grids[0].size
    columns = grids.reshape(n, n_places).astype(np.int64) + k * np.arange(n_places)
    ones = np.ones(columns.size, np.float32)
    return csr_array((ones, columns.reshape(-1), np.arange(n + 1) * n_places), shape=(n, n_places * k))


def linear(x: Any, y: Array, test: Any, labels: Array) -> float:
    """Return the accuracy of logistic regression, with the penalty that is best for a part of `x`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import MaxAbsScaler, StandardScaler

    scaler = MaxAbsScaler() if not isinstance(x, np.ndarray) else StandardScaler()
    x = scaler.fit_transform(x)
    part, rest = slice(0, N_VALIDATION), slice(N_VALIDATION, None)

    def fitted(c: float, rows: slice) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return LogisticRegression(C=c, max_iter=N_ITERATIONS).fit(x[rows], y[rows])

    best = max(PENALTIES, key=lambda c: fitted(c, rest).score(x[part], y[part]))
    return float(fitted(best, slice(None)).score(scaler.transform(test), labels))


# Searches: the nearest training pictures of queries, and what stands for the training pictures.


def by_pixels(data: Labeled) -> tuple[Array, Array]:
    """Search by squared distances of pixels."""
    blocks = datasets.distance_blocks(datasets.as_rows(data.test[:N_QUERIES]), datasets.as_rows(data.train))
    found = [np.argsort(block, axis=1, kind="stable")[:, :N_NEIGHBORS] for block in blocks]
    return np.concatenate(found), data.train


def by_sets(data: Labeled, knn: Callable[..., Any], *, positions: bool = False) -> tuple[Array, Array]:
    """Search by the tokens that occur, as packed bits."""
    queries, base = (
        tokens.token_bits(grids, 512, positions=positions)
        for grids in (data.test_grids[:N_QUERIES], data.grids)
    )
    return knn(queries, base, N_NEIGHBORS)[1], base


def by_signatures(data: Labeled) -> tuple[Array, Array]:
    """Search by signatures of the sets of tokens."""
    queries, base = (
        minhash.signatures([set(grid.ravel().tolist()) for grid in grids], n_hashes=256)
        for grids in (data.test_grids[:N_QUERIES], data.grids)
    )
    return np.argsort(minhash.cdist(queries, base), axis=1, kind="stable")[:, :N_NEIGHBORS], base


def by_codes(data: Labeled, tables: Callable[[Array], Array], queries: Array) -> tuple[Array, Array]:
    """Search by the distances of codewords."""
    base = data.tokenizer.codes(data.grids)
    packed = adc.PackedCodes(base)
    blocks = np.array_split(queries[:N_QUERIES], N_QUERIES // 200)
    return np.concatenate([adc.knn(tables(block), packed, N_NEIGHBORS)[1] for block in blocks]), base


# --- the page -----------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    "collapse": collapse,
    "rates": rates,
    "photographs": photographs,
    "recognition": recognition,
}


def sections(found: dict[str, list[dict[str, Any]]], name: str) -> str:
    """Return the tables of all parts."""
    collapse_rows = [
        [label, *(spread(lines, key, form) for key, form in COLUMNS)]
        for label, lines in grouped(found["collapse"]).items()
    ]
    rate_rows = []
    for label, lines in grouped(found["rates"]).items():
        one = lines[0]
        rate_rows.append(
            [
                label,
                f"{one['bits']:.0f}" if "bits" in one else "",
                spread(lines, "bytes", ".1f")
                + (f" ({one['payload']:.1f} payload)" if "payload" in one else ""),
                *(spread(lines, key, form) if key in one else "" for key, form in RATE_COLUMNS),
            ]
        )
    photo_rows = [
        [one["name"], f"{one['rate']:.3f}", f"{one['psnr']:.2f}", f"{one['ssim']:.3f}"]
        for one in found["photographs"]
    ]
    numbers = {"n": N_LABELED, "q": N_QUERIES, "k": N_NEIGHBORS, "i": N_ITERATIONS}
    linear_rows, search_rows = [], []
    for one in found["recognition"]:
        if "linear" in one:
            linear_rows.append([one["data"], one["name"], f"{one['columns']:,}", f"{one['linear']:.3f}"])
        else:
            figures = f"{one['bytes']:,}", f"{one['knn']:.3f}", f"{one['precision']:.3f}"
            search_rows.append([one["data"], one["name"], *figures])
    return "\n".join(
        [
            f"## Codebooks\n\n{COLLAPSE.format(n=N_COLLAPSE, epochs=COLLAPSE_EPOCHS)}\n",
            records.table(["", "PSNR, dB", "SSIM", "perplexity / K", "never chosen"], collapse_rows),
            f"\n## Pictures of 32 x 32\n\n{RATES}\n",
            records.table(["", "bits", "bytes", "PSNR, dB", "SSIM", "bits per token", "saved"], rate_rows),
            f"\n![pictures, what tokens make of them, and samples of the prior]({name}.png)\n",
            f"## Photographs\n\n{PHOTOGRAPHS}\n",
            records.table(["", "bits per pixel", "RGB-PSNR, dB", "SSIM"], photo_rows),
            f"\n## Recognition\n\n{RECOGNITION.format(**numbers)}\n",
            records.table(["data", "input", "columns", "logistic regression"], linear_rows),
            f"\n## Search\n\n{SEARCH.format(**numbers)}\n",
            records.table(
                ["data", "distance", "bytes", f"{N_NEIGHBORS} nearest, accuracy", "precision"], search_rows
            ),
            "",
        ]
    )


COLUMNS = (("psnr", ".2f"), ("ssim", ".3f"), ("perplexity", ".3f"), ("dead", ".0f"))
RATE_COLUMNS = (("psnr", ".2f"), ("ssim", ".3f"), ("per_token", ".2f"), ("saved", ".1%"))


def grouped(lines: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return lines by their names."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        found.setdefault(line["name"], []).append(line)
    return found


def spread(lines: list[dict[str, Any]], key: str, form: str) -> str:
    """Return the mean of a figure, and its deviation over seeds."""
    values = [line[key] for line in lines]
    mean = format(float(np.mean(values)), form)
    return f"{mean} +- {format(float(np.std(values, ddof=1)), form)}" if len(values) > 1 else mean


def promised(found: dict[str, list[dict[str, Any]]]) -> list[records.Promise]:
    """Return the promises."""
    codebooks, coders = grouped(found["collapse"]), grouped(found["rates"])
    first = next(iter(CODERS))
    best_patches = max(lines[0]["psnr"] for name, lines in coders.items() if "k-means" in name)
    recognized = {(one["data"], one["name"]): one for one in found["recognition"]}
    precision = {key: one["precision"] for key, one in recognized.items() if "precision" in one}
    pixels, *others = (
        one["linear"] for (data, _), one in recognized.items() if data == "CIFAR-10" and "linear" in one
    )
    return [
        records.Promise(
            "VQ-VAE over k-means of patches, the worst seed, dB",
            0.0,
            min(one["psnr"] for one in coders[first]) - best_patches,
        ),
        records.Promise(
            "perplexity / K with k-means start and restart, the worst seed",
            0.5,
            min(one["perplexity"] for one in codebooks[DEFAULT]),
        ),
        records.Promise(
            "codewords of FSQ that are chosen, the worst seed",
            0.9,
            min(1 - one["dead"] / N_COLLAPSE for one in codebooks[LOOK_UP_FREE]),
        ),
        records.Promise(
            "bits that the prior saves, VQ-VAE of 512, the worst seed",
            0.2,
            min(one["saved"] for one in coders[first]),
        ),
        records.Promise("bits that the pretrained prior saves", 0.2, coders[PRETRAINED][0]["saved"]),
        records.Promise("linear from tokens over pixels, CIFAR-10", 0.0, max(others) - pixels),
        records.Promise(
            "precision by codes less that of pixels, MNIST",
            -0.05,
            precision["MNIST", "codes, L2, asymmetric"] - precision["MNIST", "pixels, L2"],
        ),
    ]


def sheet(test: Array, n: int = 16, scale: int = 3) -> Image.Image:
    """Return the first test pictures as each tokenizer makes them, and samples of priors."""
    shown = {"original": test[:n]}
    models = {name: trained(name) for name in CODERS}
    for name, codec in (models | {PRETRAINED: TokenCodec.pretrained()}).items():
        shown[name] = codec.tokenizer.decode(codec.tokenizer.encode(test[:n]))
    codec = TokenCodec.pretrained()
    shown["samples of the pretrained prior"] = codec.tokenizer.decode(
        codec.prior.sample(n, (8, 8), random_state=0)
    )
    height = scale * test.shape[1]
    page = Image.new("RGB", (n * height, (height + LABEL_HEIGHT) * len(shown)), "white")
    drawn = ImageDraw.Draw(page)
    for row, (name, some) in enumerate(shown.items()):
        top = row * (height + LABEL_HEIGHT)
        drawn.text((2, top + 2), name, fill="black")
        pixels = np.concatenate(list(some), axis=1)
        enlarged = Image.fromarray(pixels).resize((n * height, height), Image.Resampling.NEAREST)
        page.paste(enlarged, (0, top + LABEL_HEIGHT))
    return page


if __name__ == "__main__":
    main()
