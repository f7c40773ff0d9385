"""Photographs as captions: bytes, quality of captions and pictures, retrieval both ways; writes a record.

Names of parts (captions, quality, pipeline, retrieval, pictures, features) select what to print, without a
record.
"""

import gzip
import json
import re
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from io import BytesIO
from typing import Any

import crossmodal_report as report
import datasets
import efficientnet
import numpy as np
import records
import strings
from fastcodes import bits, coding, crossmodal, entropy, hamming, hashing, metrics
from fastcodes._typing import Array
from fastcodes.metrics._captions import words
from PIL import Image
from records import Promise

SIDE = 256
SEED = 0
N_BITS = 4096
N_SPACE_BITS = (64, 128, 256, 512)
REGULARIZATION = 10.0
N_SHOWN = 10
N_RANDOM = 20
N_COMPONENTS = 32
RIDGE = 0.3
PIXEL_STEPS = (512.0, 128.0)
STOP_WORDS = frozenset(words("a an the of on in with and is are to at that it its by for from up"))
FREE = "Attribution License"


@dataclass(frozen=True)
class Photographs:
    """The photographs, their captions and sources, and which train and which test."""

    originals: list[Array]
    images: list[Array]
    captions: list[list[str]]
    numbers: list[int]
    sources: list[tuple[str, str]]
    train: Array
    test: Array


@cache
def photographs() -> Photographs:
    """Return the captioned photographs, a random half of which trains."""
    folder = datasets.data_file("coco_mini")
    entries = json.loads((folder / "captions.json").read_text(encoding="utf-8"))
    names = sorted(entries)
    order = np.random.default_rng(SEED).permutation(len(names))
    half = (len(names) + 1) // 2
    originals = [np.asarray(Image.open(folder / name).convert("RGB")) for name in names]
    return Photographs(
        originals,
        [_square(image) for image in originals],
        [entries[name]["captions"] for name in names],
        [int(re.sub(r"\D", "", name.rpartition("/")[2])) for name in names],
        [(entries[name]["license"], entries[name]["flickr_url"]) for name in names],
        np.sort(order[:half]),
        np.sort(order[half:]),
    )


def _square(image: Array) -> Array:
    """Return the central square of a photograph, which was a JPEG file, in a smaller size."""
    picture = Image.fromarray(image)
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box))


@cache
def network() -> efficientnet.Network:
    """Return the network."""
    return efficientnet.Network()


@cache
def of_photographs() -> dict[str, Array]:
    """Return maps, features and class probabilities of all photographs in their own size."""

    def compute() -> dict[str, Array]:
        found = [network()(image) for image in photographs().originals]
        logits = np.array([one[2] for one in found])
        return {
            "maps": np.array([one[0] for one in found]),
            "features": np.array([one[1] for one in found]),
            "probabilities": efficientnet.softmax(logits),
        }

    return datasets.cached("crossmodal-photographs", compute)


@cache
def annotations() -> list[dict[str, Any]]:
    """Return the captions of COCO in the order of their embeddings."""
    with gzip.open(datasets.data_file("coco_captions_val2017.json.gz")) as file:
        found: list[dict[str, Any]] = json.load(file)["annotations"]
    return sorted(found, key=lambda one: (one["image_id"], one["id"]))


@cache
def texts() -> tuple[list[str], list[str]]:
    """Return captions to learn from, and those of 1,000 other images; none of a photograph that tests."""
    data = photographs()
    seen, new = strings.annotations()
    hidden = {data.numbers[i] for i in data.test}
    held_out = {one["image_id"] for one in new}
    own = [text for i in data.train if data.numbers[i] not in held_out for text in data.captions[i]]
    return [one["caption"] for one in seen if one["image_id"] not in hidden] + own, [
        one["caption"] for one in new
    ]


# --- bytes of captions --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CaptionLine:
    """The bytes of a caption by a coder."""

    coder: str
    n_bytes: float
    model_bytes: int


def caption_lines() -> list[CaptionLine]:
    """Return the bytes of held-out captions of images that no model has seen; each decodes alone."""
    seen, new = texts()
    lines = []
    for name, coder in (
        ("characters, Huffman", Huffman(seen, lambda text: list(text.encode()))),
        ("words, Huffman", Huffman(seen, _tokens)),
    ):
        codes = [coder.encode(text) for text in new]
        _check([coder.decode(code, text) for code, text in zip(codes, new, strict=True)], new, name)
        lines.append(CaptionLine(name, _mean_length(codes), coder.n_bytes))
    codec = text_codec()
    data, offsets = codec.encode_many(new)
    _check(codec.decode_many(data, offsets), new, "TextCodec")
    lines.append(CaptionLine("TextCodec", len(data) / len(new), codec.nbytes))
    odd = [
        "",
        " ",
        "Ünïcödé",
        "猫が座っている",
        "😀" * 9,
        "a\0b",
        "\ud800",
        *("x" * n for n in (1, 255, 4096)),
    ]
    _check([codec.decode(codec.encode(text)) for text in odd], odd, "TextCodec")
    return lines


class Huffman:
    """A Huffman code of symbols that a function makes of a text, each in whole bits, and of an end."""

    def __init__(self, texts: Sequence[str], symbols: Callable[[str], list[Any]]) -> None:
        counts = Counter(symbol for text in texts for symbol in symbols(text))
        frequent = [symbol for symbol, count in counts.items() if isinstance(symbol, str) and count > 1]
        self._symbols: list[Any] = [None, *range(256), *frequent]
        self._numbers = {symbol: number for number, symbol in enumerate(self._symbols)}
        self._split = symbols
        numbers = [number for text in texts for number in self._of(text)]
        self._model = entropy.Huffman(np.bincount(numbers, minlength=len(self._symbols)) + 1)
        self.n_bytes = sum(len(str(symbol)) for symbol in frequent) + len(self._symbols)

    def _of(self, text: str) -> list[int]:
        numbers = []
        for symbol in self._split(text):
            parts = [symbol] if symbol in self._numbers else symbol.encode()
            numbers += [self._numbers[part] for part in parts]
        return [*numbers, 0]

    def encode(self, text: str) -> bytes:
        """Return the code of a text, with its end."""
        return entropy.encode(self._of(text), self._model)

    def decode(self, code: bytes, text: str) -> str:
        """Return the text of a code; `text` only says how many symbols to read, in place of the end."""
        numbers = entropy.decode(code, self._model, len(self._of(text))).tolist()
        symbols = [self._symbols[number] for number in numbers[:-1]]
        parts = [bytes([symbol]) if isinstance(symbol, int) else symbol.encode() for symbol in symbols]
        return b"".join(parts).decode()


def _tokens(text: str) -> list[str]:
    """Return words with the space before them, and other characters."""
    return re.findall(r" ?[A-Za-z0-9']+|.", text, re.DOTALL)


def _check(decoded: list[str], texts: list[str], name: str) -> None:
    if decoded != texts:
        sys.exit(f"{name} does not return the captions")


def _mean_length(codes: Sequence[bytes]) -> float:
    return float(np.mean([len(code) for code in codes]))


# --- quality of captions ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class QualityLine:
    """Scores of captions."""

    captions: str
    bleu_1: float
    bleu_4: float
    cider: float
    precision: float


def centered() -> Array:
    """Return the features of the photographs, less the mean of those that train."""
    features = of_photographs()["features"]
    return features - features[photographs().train].mean(axis=0)


def captioner(rows: Array | None = None, **params: Any) -> crossmodal.RetrievalCaptioner:
    """Return the captioner of photographs that train."""
    data = photographs()
    rows = data.train if rows is None else rows
    hasher = hashing.RandomHyperplanes(N_BITS, random_state=SEED)
    return crossmodal.RetrievalCaptioner(hasher, **params).fit(
        centered()[rows], [data.captions[i] for i in rows]
    )


def quality_lines() -> list[QualityLine]:
    """Return the scores of captions of photographs that test, against all five of people."""
    data, features = photographs(), centered()
    truth = [data.captions[i] for i in data.test]
    lines = []
    rng = np.random.default_rng(SEED)
    random = [
        _scored("", truth, [str(rng.choice(data.captions[rng.choice(data.train)])) for _ in truth])
        for _ in range(N_RANDOM)
    ]
    means = [
        float(np.mean([getattr(one, name) for one in random]))
        for name in list(QualityLine.__annotations__)[1:]
    ]
    lines.append(QualityLine(f"random ones, mean of {N_RANDOM} draws", *means))
    # The caption that is most like those of all training photographs.
    all_alike = captioner(n_neighbors=len(data.train))
    lines.append(
        _scored("the most common one", truth, [all_alike.describe(features[data.train[0]])] * len(truth))
    )
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    nearest = data.train[(unit[data.test] @ unit[data.train].T).argmax(axis=1)]
    lines.append(_scored("of the nearest photograph, floats", truth, [data.captions[i][0] for i in nearest]))
    one = captioner(n_neighbors=1)
    nearest_bits = [one.codes_, one.hasher_.encode(features[data.test])]
    nearest = data.train[hamming.knn(nearest_bits[1], nearest_bits[0], 1)[1][:, 0]]
    lines.append(_scored(f"of the nearest, {N_BITS} bits", truth, [data.captions[i][0] for i in nearest]))
    model = captioner()
    lines.append(
        _scored("consensus of 8 neighbors, bits", truth, [model.describe(features[i]) for i in data.test])
    )
    return lines


def person_line() -> QualityLine:
    """Return the scores of the first caption of a person against the other four."""
    data = photographs()
    several = [data.captions[i] for i in data.test]
    return _scored(
        "a person, against the other four", [one[1:] for one in several], [one[0] for one in several]
    )


def _scored(name: str, truth: list[list[str]], captions: list[str]) -> QualityLine:
    precision = [_precision(references, text) for references, text in zip(truth, captions, strict=True)]
    return QualityLine(
        name,
        metrics.bleu(truth, captions, n=1),
        metrics.bleu(truth, captions, n=4),
        metrics.cider(truth, captions),
        float(np.mean(precision)),
    )


def _precision(references: Iterable[str], text: str) -> float:
    """Return the share of the content words that occur in a reference."""
    true = {word for reference in references for word in words(reference)}
    content = [word for word in words(text) if word not in STOP_WORDS]
    return sum(word in true for word in content) / len(content) if content else 0.0


# --- the pipeline -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PipelineLine:
    """The bytes of streams."""

    stream: str
    n_bytes: float
    most: int


@cache
def text_codec() -> coding.TextCodec:
    """Return the coder of captions, which has seen none of the photographs that test."""
    return coding.TextCodec(1 << 24).fit(texts()[0])


def painter(rows: Array | None = None) -> crossmodal.RetrievalPainter:
    """Return the painter of photographs that train."""
    data = photographs()
    rows = data.train if rows is None else rows
    images = np.array([data.images[i] for i in rows])
    return crossmodal.RetrievalPainter().fit(images, [data.captions[i] for i in rows])


@cache
def codec_of(kind: str) -> crossmodal.CrossModalCodec:
    """Return the codec of a domain, or of captions with layers."""
    data = photographs()
    if kind == "attributes":
        measured = crossmodal.AttributeCaptioner()
        texts = coding.TextCodec(1 << 20).fit([measured.describe(data.images[i]) for i in data.train])
        return crossmodal.CrossModalCodec(measured, texts, crossmodal.AttributePainter((SIDE, SIDE)))
    if kind == "sketch":
        edges = crossmodal.SketchCaptioner()
        sketches = np.array([edges.describe(data.images[i]) for i in data.train])
        coder = crossmodal.SketchCoder().fit(sketches)
        return crossmodal.CrossModalCodec(edges, coder, crossmodal.SketchPainter((SIDE, SIDE)))
    layers: dict[str, Any] = {}
    if kind == "caption, class":
        layers = {"classifier": _class_of}
    if "thumbnail" in kind:
        layers = {"thumbnails": coding.ThumbnailCodec.pretrained(), "details": float("details" in kind)}
    return crossmodal.CrossModalCodec(captioner(), text_codec(), painter(), **layers)


def _class_of(features: Array) -> Array:
    """Return the class probabilities of centered features."""
    data = of_photographs()
    mean = data["features"][photographs().train].mean(axis=0)
    return efficientnet.softmax(network().classify(features + mean)[None])[0]


def streams(kind: str) -> list[bytes]:
    """Return the streams of photographs that test, and check that they decode."""
    data, features, codec = photographs(), centered(), codec_of(kind)
    found = []
    for i in data.test:
        row = features[i] if kind.startswith("caption") else None
        stream = codec.encode(data.images[i], features=row)
        if kind.startswith("caption") and codec.explain(stream) != captioner_of_test().describe(features[i]):
            sys.exit(f"the stream of photograph {i} has another caption")
        found.append(stream)
    return found


@cache
def captioner_of_test() -> crossmodal.RetrievalCaptioner:
    """Return the captioner of the pipeline."""
    return captioner()


def pipeline_lines() -> list[PipelineLine]:
    """Return the bytes of all kinds of streams."""
    lines = []
    for kind, name in (
        ("caption", "a retrieved caption"),
        ("caption, class", "the same, with the class in its header"),
        ("caption, thumbnail", "a retrieved caption and a thumbnail"),
        ("attributes", "measured attributes"),
        ("sketch", "a sketch of 64 x 64"),
    ):
        lengths = [len(stream) for stream in streams(kind)]
        lines.append(PipelineLine(name, float(np.mean(lengths)), max(lengths)))
    data = photographs()
    lengths = [1 + len(text_codec().encode(text)) for i in data.test for text in data.captions[i]]
    lines.append(PipelineLine("captions of people, for comparison", float(np.mean(lengths)), max(lengths)))
    return lines


def sketch_lines() -> list[PipelineLine]:
    """Return the bytes of sketches by other coders."""
    data, edges = photographs(), crossmodal.SketchCaptioner()
    sketches = [edges.describe(data.images[i]) for i in data.test]
    lines = [
        PipelineLine("SketchCoder", *_lengths(len(s) - 1 - (len(s) > 31) for s in streams("sketch"))),
        PipelineLine("packed bits", 64 * 64 / 8, 64 * 64 // 8),
    ]
    for name, form, options in (
        ("PNG, whole file", "PNG", {"optimize": True}),
        ("TIFF, group 4, payload", "TIFF", {}),
    ):
        lengths = []
        for sketch in sketches:
            stream = BytesIO()
            if form == "TIFF":
                options = {"compression": "group4"}
            picture = Image.fromarray(sketch)
            picture.save(stream, form, **options)
            size = len(stream.getvalue())
            if form == "TIFF":
                size = sum(Image.open(stream).tag_v2[279])  # the bytes of strips
            lengths.append(size)
        lines.append(PipelineLine(name, *_lengths(lengths)))
    return lines


def _lengths(lengths: Iterable[int]) -> tuple[float, int]:
    found = list(lengths)
    return float(np.mean(found)), max(found)


# --- retrieval ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RetrievalLine:
    """Recall at 1, 5 and 10 in both directions."""

    space: str
    n_bytes: int
    to_captions: tuple[float, float, float]
    to_pictures: tuple[float, float, float]


def text_features(texts: Sequence[str]) -> Array:
    """Return vectors of texts: words, mapped to sentence embeddings by ridge regression."""
    vocabulary, weights, matrix = _word_model()
    return _unit(_bags(texts, vocabulary, weights) @ matrix)


@cache
def _word_model() -> tuple[dict[str, int], Array, Array]:
    """Return the words of captions, their weights, and the matrix to embeddings."""
    hidden = {photographs().numbers[i] for i in photographs().test}
    rows = [i for i, one in enumerate(annotations()) if one["image_id"] not in hidden]
    texts = [annotations()[i]["caption"] for i in rows]
    counts = Counter(word for text in texts for word in set(words(text)))
    vocabulary = {
        word: i for i, word in enumerate(sorted(word for word, count in counts.items() if count > 2))
    }
    weights = np.array([np.log(len(texts) / counts[word]) for word in vocabulary], np.float32)

    def compute() -> dict[str, Array]:
        embeddings = datasets.load("coco_minilm_f16.npz")["embedding"][rows].astype(np.float32)
        bags = _bags(texts, vocabulary, weights)
        gram = bags.T @ bags + RIDGE * np.eye(len(vocabulary), dtype=np.float32)
        return {"matrix": np.linalg.solve(gram, bags.T @ embeddings)}

    return vocabulary, weights, datasets.cached(f"crossmodal-words-{SEED}", compute)["matrix"]


def _bags(texts: Sequence[str], vocabulary: dict[str, int], weights: Array) -> Array:
    bags = np.zeros((len(texts), len(vocabulary)), np.float32)
    for bag, text in zip(bags, texts, strict=True):
        bag[[vocabulary[word] for word in words(text) if word in vocabulary]] = 1
    return _unit(bags * weights)


def _unit(x: Array) -> Array:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)


def retrieval_lines() -> list[RetrievalLine]:
    """Return the recall of captions by photographs and of photographs by captions, of the half that tests."""
    data, features = photographs(), centered()
    n_captions = 5
    texts = [text_features(data.captions[i][:n_captions]) for i in range(len(data.images))]
    pictures = np.repeat(features[data.train], n_captions, axis=0)
    captions = np.concatenate([texts[i] for i in data.train])
    test_pictures, test_captions = features[data.test], np.concatenate([texts[i] for i in data.test])
    n = len(data.test)
    chance = _recalls(np.random.default_rng(SEED).random((n, n_captions * n)))
    lines = [RetrievalLine("chance, one draw", 0, *chance)]
    for n_bits in N_SPACE_BITS:
        model = crossmodal.CCAHashing(n_bits, regularization=REGULARIZATION, random_state=SEED)
        model.fit(pictures, captions)
        if n_bits == N_SPACE_BITS[-1]:
            # All directions, before the signs.
            floats = _unit(model.decision_function(test_pictures) @ model.rotation_.T)
            others = _unit(model.other_decision_function(test_captions) @ model.rotation_.T)
            lines.append(
                RetrievalLine(f"{floats.shape[1]} floats", 4 * floats.shape[1], *_recalls(floats @ others.T))
            )
        distances = hamming.cdist(model.encode(test_pictures), model.encode_other(test_captions))
        lines.append(RetrievalLine(f"{n_bits} bits", n_bits // 8, *_recalls(-distances.astype(np.float64))))
    return [lines[0], *sorted(lines[1:], key=lambda line: line.n_bytes)]


def _recalls(similarity: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return recall at 1, 5 and 10 both ways; ties by index, as all searches break them."""
    n, n_captions = len(similarity), similarity.shape[1] // len(similarity)
    own = np.arange(similarity.shape[1]) // n_captions
    results = []
    for matrix, rows, columns in (
        (similarity, np.arange(n), own),
        (similarity.T, own, np.arange(n)),
    ):
        order = np.argsort(-matrix, axis=1, kind="stable")[:, :10]
        hits = metrics.label_relevance(rows, columns, order)
        results.append(tuple(float(hits[:, :k].any(axis=1).mean()) for k in (1, 5, 10)))
    return results[0], results[1]


# --- pictures -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PictureLine:
    """Rate, and what is left of pictures."""

    coder: str
    n_bytes: float
    ratio: float
    psnr: float | None
    instance: float
    frechet: float
    score: float


def picture_lines() -> list[PictureLine]:
    """Return measures of photographs that test by ours and by JPEG and JPEG 2000 at their lowest rates."""
    data, rows = photographs(), photographs().test
    originals = [data.images[i] for i in rows]
    own = of_photographs()["features"]
    mean = own[data.train].mean(axis=0)
    components = np.linalg.svd(own[data.train] - mean, full_matrices=False)[2][:N_COMPONENTS].T
    lines = []
    for name, sizes, decoded in coded(originals):
        measured = answers(name, decoded)
        features = measured["features"]
        psnr = [metrics.psnr(a, b) for a, b in zip(originals, decoded, strict=True)]
        lines.append(
            PictureLine(
                name,
                float(np.mean(sizes)),
                SIDE * SIDE * 3 / float(np.mean(sizes)),
                float(np.mean(psnr)) if np.isfinite(psnr).all() else None,
                metrics.instance_distance(own[rows], features),
                metrics.frechet_distance((own[rows] - mean) @ components, (features - mean) @ components),
                metrics.inception_score(measured["probabilities"], n_splits=1)[0],
            )
        )
        print(f"{name}: {lines[-1].n_bytes:.1f} bytes", flush=True)
    return lines


def answers(name: str, pictures: list[Array]) -> dict[str, Array]:
    """Return the features and probabilities of pictures, which are kept by their content."""

    def compute() -> dict[str, Array]:
        features, probabilities = efficientnet.measure(network(), pictures)
        return {"features": features, "probabilities": probabilities}

    content = zlib.crc32(np.array(pictures).tobytes())
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower())
    return datasets.cached(f"crossmodal-{slug}-{content:08x}", compute)


def coded(originals: list[Array]) -> Iterable[tuple[str, list[int], list[Array]]]:
    """Yield the names of coders, the bytes and the decoded pictures."""
    yield "the originals in this size", [SIDE * SIDE * 3] * len(originals), originals
    for kind in ("caption", "caption, thumbnail", "caption, thumbnail, details", "attributes", "sketch"):
        found = streams(kind)
        yield kind, [len(one) for one in found], [codec_of(kind).decode(one) for one in found]
    for step in PIXEL_STEPS:
        made = [coding.ImageCodec(step=step).encode(image) for image in originals]
        decoded = [coding.ImageCodec().decode(one) for one in made]
        yield f"ImageCodec, step {step:g}", [len(one) for one in made], decoded
    for ratio in (800, 250):
        yield (
            f"JPEG 2000, 1:{ratio}",
            *_by_pillow(
                originals,
                "JPEG2000",
                mct=1,
                irreversible=True,
                quality_mode="rates",
                quality_layers=[ratio],
                no_jp2=True,
            ),
        )
    for quality in (1, 5):
        yield (
            f"JPEG, quality {quality}",
            *_by_pillow(originals, "JPEG", quality=quality, optimize=True, progressive=True),
        )


def _by_pillow(originals: list[Array], form: str, **options: Any) -> tuple[list[int], list[Array]]:
    sizes, decoded = [], []
    for image in originals:
        stream = BytesIO()
        Image.fromarray(image).save(stream, form, **options)
        sizes.append(len(stream.getvalue()))
        decoded.append(np.asarray(Image.open(stream).convert("RGB")))
    return sizes, decoded


# --- features -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FeatureLine:
    """The bytes of coded features, and how often the network's answer stays."""

    what: str
    n_bytes: float
    agreement: float


def feature_lines() -> list[FeatureLine]:
    """Return agreement by bytes: last features, maps inside of the network, and pixels by `ImageCodec`."""
    data, own = photographs(), of_photographs()
    rows = data.test
    truth = own["probabilities"][rows].argmax(axis=1)
    features, maps = own["features"], own["maps"]

    def agreement(found: Iterable[int]) -> float:
        return float(np.mean(truth == np.fromiter(found, np.int64)))

    lines = []
    mean = features[data.train].mean(axis=0)
    for n_bits in (256, 1024, N_BITS):
        hasher = hashing.RandomHyperplanes(n_bits, random_state=SEED).fit(features[data.train])
        codes = bits.unpack(hasher.encode(features - mean), n_bits, values=(-1, 1), dtype=np.int8)
        signs = codes.astype(np.float64)
        back = _ridge(signs[data.train], features[data.train])(signs[rows])
        lines.append(FeatureLine(f"last features, {n_bits} bits", n_bits / 8, agreement(_classes(back))))
    for share in (2.0, 1.0, 0.5):
        decoded, size = quantized(features, data.train, rows, share)
        lines.append(FeatureLine(f"last features, step {share:g}", size, agreement(_classes(decoded))))
    for share in (4.0, 2.0, 1.0):
        decoded, size = quantized(maps, data.train, rows, share)
        found = [int(network().finish(one).argmax()) for one in decoded]
        lines.append(
            FeatureLine(f"maps of 14 x 14 x {maps.shape[-1]}, step {share:g}", size, agreement(found))
        )
    for name, sizes, pictures in coded([data.images[i] for i in rows]):
        if not name.startswith(("caption", "attributes", "sketch")):
            of_pictures = answers(name, pictures)["probabilities"].argmax(axis=1)
            lines.append(FeatureLine(f"pixels, {name}", float(np.mean(sizes)), agreement(of_pictures)))
    return lines


def _ridge(x: Array, y: Array) -> Callable[[Array], Array]:
    """Return the linear map from `x` to `y` with a penalty, by its dual."""
    mean = y.mean(axis=0)
    dual = np.linalg.solve(x @ x.T + x.shape[1] * np.eye(len(x)), y - mean)
    return lambda new: new @ x.T @ dual + mean


def _classes(features: Array) -> Iterable[int]:
    return (int(network().classify(row.astype(np.float32)).argmax()) for row in features)


def quantized(x: Array, train: Array, test: Array, share: float) -> tuple[Array, float]:
    """Return features with steps of `share` of the deviation of their channel, and mean bytes of a row."""
    axes = tuple(range(x.ndim - 1))
    mean, deviation = x[train].mean(axis=axes), x[train].std(axis=axes) + 1e-6
    table = entropy.ScaleTable("laplace")
    integers = np.rint((x - mean) / (share * deviation)).astype(np.int32)
    spread = np.abs(integers[train]).mean(axis=axes) + 0.02
    scales = np.broadcast_to(table.indices(spread), x.shape[1:])
    sizes = []
    for i in test:
        code = entropy.encode(integers[i], table, scales=scales)
        if not np.array_equal(entropy.decode(code, table, scales=scales), integers[i]):
            sys.exit("coded features do not come back")
        sizes.append(len(code))
    return (integers[test] * (share * deviation) + mean).astype(np.float32), float(np.mean(sizes))


# --- the record ---------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[], list[Any]]] = {
    "captions": caption_lines,
    "quality": lambda: [*quality_lines(), person_line()],
    "pipeline": pipeline_lines,
    "sketches": sketch_lines,
    "retrieval": retrieval_lines,
    "pictures": picture_lines,
    "features": feature_lines,
}


def promises(found: dict[str, list[Any]]) -> list[Promise]:
    """Return what was promised."""
    precision = {line.captions: line.precision for line in found["quality"]}
    random, ours = found["quality"][0].precision, precision["consensus of 8 neighbors, bits"]
    n_bytes = {line.stream: line.n_bytes for line in found["pipeline"]}
    pictures = {line.coder: line for line in found["pictures"]}
    peer = pictures["JPEG 2000, 1:250"]
    return [
        Promise(
            "captions that no model has seen: 9.3 over their bytes", 1.0, 9.3 / found["captions"][-1].n_bytes
        ),
        Promise("content words that are right, over random captions", 4.0, ours / random),
        Promise("a photograph as a caption: 10 over its bytes", 1.0, 10 / n_bytes["a retrieved caption"]),
        Promise(
            "caption and thumbnail: 76 over their bytes",
            1.0,
            76 / n_bytes["a retrieved caption and a thumbnail"],
        ),
        Promise(
            f"instance distance of {peer.coder} ({peer.n_bytes:.0f} bytes) over caption, thumbnail, details",
            1.0,
            peer.instance / pictures["caption, thumbnail, details"].instance,
        ),
    ]


def main(names: list[str]) -> None:
    """Measure everything, print it, and write the record."""
    if unknown := set(names) - set(PARTS):
        sys.exit(f"there is no part {unknown.pop()!r}; parts are {', '.join(PARTS)}")
    found = {}
    for name in names or PARTS:
        found[name] = PARTS[name]()
        print(f"\n{report.tables[name](found[name])}\n", flush=True)
    if names:
        return
    record = records.facts() | {"network": f"{efficientnet.PACKAGE} {version(efficientnet.PACKAGE)}"}
    path = records.name(record, "crossmodal")
    kept = promises(found)
    rows = [
        np.array([i for i in half if photographs().sources[i][0] == FREE])
        for half in (photographs().train, photographs().test)
    ]
    free, chosen = rows[0], report.spread(rows[1], N_SHOWN)
    shown = report.shown(photographs(), centered(), captioner(), text_codec(), painter(free), chosen)
    page = report.page(record, path.name, found, kept, photographs(), [*chosen, *free.tolist()])
    report.draw_curves(found["pictures"], path.with_suffix(".png"))
    report.draw_sheet(shown, path.with_name(f"{path.name}-photographs.png"))
    entries = {name: [vars(line) for line in lines] for name, lines in found.items()}
    records.write(path, record | entries | {"promises": [one.entry() for one in kept]}, page)
    print(f"{page}\nrecord: {path}.json, .md, .png")


if __name__ == "__main__":
    main(sys.argv[1:])
