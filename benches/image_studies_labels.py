"""The studies of labels in `image_studies.py`: classification of codes, and labels in front of codes."""

import itertools
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import datasets
import numpy as np
from fastcodes import bits, entropy, nn
from fastcodes._typing import Array
from fastcodes.hashing import ITQ
from fastcodes.quantization import ResidualQuantizer, ScalarQuantizer
from image_studies_common import SEEDS, Study, check, mean_psnr

N_CLASSES = 10
N_BYTES, N_LATENTS, N_LEVELS = 32, 64, 16
"""Of a code: two latents a byte."""
N_UNITS, EPOCHS, BATCH_SIZE = 128, 8, 64
LEARNING_RATES = 1e-2, 1e-3
N_HELD_OUT = 1500
"""Training images that choose the learning rate."""
N_FOR_BASIS = 2000
N_BEFORE = 8
"""Latents in front of a label that is predicted from them."""
CLASSIFIERS = ("linear", "binary")
LOSSLESS, JPEG = "lossless", "JPEG"
"""The sets to test on."""


class Images(NamedTuple):
    """Pixels and labels: to learn from, and of each set to test on."""

    x: Array
    y: Array
    tests: dict[str, tuple[Array, Array]]


@cache
def cifar() -> Images:
    """Return the lossless images, and the test images of the copy in JPEG."""
    arrays = datasets.load("cifar10_lossless_subset.npz")
    copy = datasets.cifar10()
    tests = {
        LOSSLESS: (datasets.as_rows(arrays["test_x"]), arrays["test_y"]),
        JPEG: (datasets.as_rows(copy.test), copy.test_labels),
    }
    return Images(datasets.as_rows(arrays["train_x"]), arrays["train_y"], tests)


# --- codes --------------------------------------------------------------------------------------------------


class Codes(NamedTuple):
    """Scalar-quantised latents of the KLT: one of N_LEVELS levels each."""

    mean: Array
    basis: Array
    quantizer: ScalarQuantizer

    def latents(self, pixels: Array) -> Array:
        """Return what is quantised (n, N_LATENTS)."""
        latents: Array = (pixels - self.mean) @ self.basis
        return latents

    def levels(self, pixels: Array) -> Array:
        """Return the level of each latent (n, N_LATENTS), as bytes."""
        codes = self.quantizer.encode(self.latents(pixels))
        return np.stack([codes >> 4, codes & 15], axis=2).reshape(len(codes), -1)

    def values(self, levels: Array) -> Array:
        """Return quantised latents."""
        values: Array = np.take_along_axis(self.quantizer.levels_.T, levels.astype(np.intp), axis=0)
        return values

    def pixels(self, levels: Array) -> Array:
        """Return decoded pixels."""
        return np.clip(np.rint(self.values(levels) @ self.basis.T + self.mean), 0, 255)


@cache
def scalar_codes() -> Codes:
    """Return the codes, learned from training images."""
    x = cifar().x
    mean = x.mean(axis=0)
    few = x[:N_FOR_BASIS] - mean
    values, vectors = np.linalg.eigh((few @ few.T).astype(np.float64))
    basis = few.T @ (vectors[:, ::-1][:, :N_LATENTS] / np.sqrt(values[::-1][:N_LATENTS]))
    basis = basis.astype(np.float32)
    quantizer = ScalarQuantizer(4, kind="lloyd-max", max_samples=8000, random_state=0)
    return Codes(mean, basis, quantizer.fit((x - mean) @ basis))


def one_hot(symbols: Array) -> Array:
    """Return which of N_LEVELS symbols each is, as floats (n, n_symbols * N_LEVELS)."""
    return (symbols[..., None] == np.arange(N_LEVELS)).reshape(len(symbols), -1).astype(np.float32)


def signs(packed: Array) -> Array:
    """Return packed bits as -1 and +1."""
    return bits.unpack(packed, 8 * packed.shape[1]).astype(np.float32) * 2 - 1


# --- 6: classification of codes -----------------------------------------------------------------------------


def network(kind: str, seed: int) -> nn.Sequential:
    """Return a classifier of vectors that standardizes them first."""
    if kind == "linear":
        return nn.Sequential(nn.BatchNorm(), nn.Dense(N_CLASSES), random_state=seed)
    hidden: list[Any] = [nn.BatchNorm()]
    for _ in range(2):
        hidden += [nn.BinaryDense(N_UNITS), nn.BatchNorm(), nn.Sign()]
    return nn.Sequential(*hidden, nn.BinaryDense(N_CLASSES), nn.BatchNorm(), random_state=seed)


def trained(kind: str, seed: int, x: Array, y: Array, rate: float = LEARNING_RATES[0]) -> nn.Sequential:
    """Return a classifier of vectors and their labels."""
    optimizer, schedule = nn.Adam(rate), nn.Cosine()
    return network(kind, seed).fit(
        x, y, epochs=EPOCHS, batch_size=BATCH_SIZE, optimizer=optimizer, schedule=schedule
    )


@cache
def inputs() -> dict[str, tuple[int, list[Array]]]:
    """Return the bytes of an image, and the vectors to learn from and to test on, by what they are."""
    data, codes = cifar(), scalar_codes()
    sets = [data.x, *(x for x, _ in data.tests.values())]
    levels = [codes.levels(x) for x in sets]
    latents = [codes.latents(x) for x in sets]
    options = {"norm_bits": 0, "metric": "ip", "beam_size": 4, "max_iter": 5, "random_state": 0}
    residual = ResidualQuantizer(N_LATENTS, N_LEVELS, **options).fit(latents[0])
    hash_function = ITQ(8 * N_BYTES, max_iter=20, random_state=0).fit(data.x[:N_FOR_BASIS])
    coded = {
        "decoded pixels": [codes.pixels(each) for each in levels],
        "quantised latents": [codes.values(each) for each in levels],
        "levels, one-hot": [one_hot(each) for each in levels],
        "levels, bits": [signs(codes.quantizer.encode(each)) for each in latents],
        "residual quantizer, one-hot": [one_hot(residual.encode(each)) for each in latents],
        "ITQ, bits": [signs(hash_function.encode(x)) for x in sets],
    }
    return {"raw pixels": (data.x.shape[1], sets)} | {name: (N_BYTES, x) for name, x in coded.items()}


@cache
def classifiers(name: str, kind: str) -> list[nn.Sequential]:
    """Return the classifier of each seed."""
    y, x = cifar().y, inputs()[name][1][0]
    seen, held = slice(N_HELD_OUT, None), slice(N_HELD_OUT)
    held_out = {
        rate: trained(kind, SEEDS[0], x[seen], y[seen], rate).evaluate(x[held], y[held])["accuracy"]
        for rate in LEARNING_RATES
    }
    best = max(held_out, key=held_out.__getitem__)
    return [trained(kind, seed, x, y, best) for seed in SEEDS]


@cache
def accuracies(name: str, kind: str) -> dict[str, list[float]]:
    """Return the accuracy of each seed on each set to test on."""
    models, vectors = classifiers(name, kind), inputs()[name][1][1:]
    return {
        one: [float((model.predict(x) == y).mean()) for model in models]
        for x, (one, (_, y)) in zip(vectors, cifar().tests.items(), strict=True)
    }


def classification() -> Study:
    """Compare classifiers of codes with the same classifiers of pixels."""
    rows = []
    for name, (n_bytes, _) in inputs().items():
        row: list[Any] = [name, n_bytes]
        for kind in CLASSIFIERS:
            row += [percent(values) for values in accuracies(name, kind).values()]
        rows.append(row)
    data, codes = cifar(), scalar_codes()
    x = data.tests[LOSSLESS][0]
    quality = mean_psnr(x, codes.pixels(codes.levels(x)))
    gaps = {
        kind: best_code(kind)
        + f" {100 * (mean_of(best_code(kind), kind) - mean_of('raw pixels', kind)):+.1f}"
        for kind in CLASSIFIERS
    }
    return Study(
        "6. Classes from codes without decoding",
        f"CIFAR-10: {len(data.x):,} lossless images to learn from; to test on, {len(x):,} lossless ones, and "
        f"the 10,000 of the test set as JPEG. Codes of {N_BYTES} bytes: {N_LATENTS} latents of the KLT with "
        f"4 bits each by `ScalarQuantizer` ({quality:.2f} dB when decoded), {N_LATENTS} indices of 4 bits by "
        f"`ResidualQuantizer`, or {8 * N_BYTES} bits by `ITQ`. The classifiers are one linear layer, and a "
        f"network of two hidden layers of {N_UNITS} binary units; the linear one on one-hot vectors is a sum "
        f"of table entries, as in `fastcodes.adc`. {N_HELD_OUT:,} held-out training images choose the "
        f"learning rate. Accuracy in %: means of {len(SEEDS)} seeds, with half of their range.",
        {"input": "", "bytes": ",d"}
        | {f"{kind}, {one}": "" for kind in CLASSIFIERS for one in (LOSSLESS, JPEG)},
        rows,
        "The best code against raw pixels, on the JPEG test images: "
        + ", ".join(f"{kind}: {gap} points" for kind, gap in gaps.items())
        + ".",
    )


def mean_of(name: str, kind: str) -> float:
    """Return the mean accuracy on the JPEG test images."""
    return float(np.mean(accuracies(name, kind)[JPEG]))


def best_code(kind: str) -> str:
    """Return the input, other than pixels, with the highest accuracy."""
    names = [name for name in inputs() if "pixels" not in name]
    return max(names, key=lambda name: mean_of(name, kind))


def percent(values: Sequence[float]) -> str:
    """Return the mean of accuracies and half of their range, in %."""
    return f"{100 * np.mean(values):.1f} ± {50 * np.ptp(values):.1f}"


# --- 7: a label in front of a code --------------------------------------------------------------------------


def labels() -> Study:
    """Measure what a label costs that can be read without decoding the image."""
    data, codes = cifar(), scalar_codes()
    train, test = codes.levels(data.x), codes.levels(data.tests[LOSSLESS][0])
    y_train, y = data.y.astype(np.uint8), data.tests[LOSSLESS][1].astype(np.uint8)
    plain = row_bytes(entropy.MarkovChain.fit(train, N_LEVELS), test)
    classified = float(np.mean(accuracies("quantised latents", "binary")[LOSSLESS]))
    written = classifiers("raw pixels", "binary")[0]
    guesses = written.predict(data.tests[LOSSLESS][0]).astype(np.uint8)
    rows: list[list[Any]] = [
        ["none: the binary network of quantised latents", plain, "", "", f"{100 * classified:.1f}"],
        ["a byte of its own", plain + 1, "+8.00", "1", "100.0"],
    ]

    def add(name: str, columns: list[Array], seen: list[Array], accuracy: str, place: int) -> float:
        model = entropy.MarkovChain.fit(np.column_stack(seen), N_LEVELS)
        together = np.column_stack(columns)
        size = row_bytes(model, together)
        n_read = header_bytes(model, together, place + 1)
        rows.append([name, size, f"{8 * (size - plain):+.2f}", n_read, accuracy])
        return size - plain

    first = add("first symbol, the true label", [y, test], [y_train, train], "100.0", 0)
    right = f"{100 * float((guesses == y).mean()):.1f}"
    add("first symbol, the label that raw pixels predict", [guesses, test], [y_train, train], right, 0)
    ranks = [ranks_of(codes, n, train, y_train, test, y) for n in (N_BEFORE, N_LATENTS)]
    after_few = add(
        f"after {N_BEFORE} latents, rank in what they predict",
        [test[:, :N_BEFORE], ranks[0][1], test[:, N_BEFORE:]],
        [train[:, :N_BEFORE], ranks[0][0], train[:, N_BEFORE:]],
        "100.0",
        N_BEFORE,
    )
    add(
        "after all latents, rank in what they predict",
        [test, ranks[1][1]],
        [train, ranks[1][0]],
        "100.0",
        N_LATENTS,
    )
    return Study(
        "7. A label that is read from the header",
        "The scalar codes of study 6 as rows of `entropy.encode_rows` with a `MarkovChain` of order 1, each "
        f"image alone ({len(test):,} lossless test images). A label is one more symbol of the row: in front "
        "of it, where it is the context of the first latent; or after latents from which a linear classifier "
        f'predicts it, as its rank among the {N_CLASSES} classes. "Read" is the number of first bytes that '
        "suffice to decode the label of every image, by `decode_rows` of the first symbols alone. Accuracy "
        "is that of what the header says.",
        {"label": "", "bytes an image": ".3f", "bits more": "", "read, bytes": "", "accuracy, %": ""},
        rows,
        f"A uniform label needs {np.log2(N_CLASSES):.2f} bits; in front of a row it costs {8 * first:.2f}, "
        f"and after {N_BEFORE} latents {8 * after_few:.2f}.",
    )


def row_bytes(model: entropy.MarkovChain, codes: Array) -> float:
    """Return the mean bytes of a row, after comparing what is decoded."""
    data, offsets = entropy.encode_rows(codes, model)
    check(np.array_equal(entropy.decode_rows(data, offsets, model), codes), "rows")
    return len(data) / len(codes)


def header_bytes(model: entropy.MarkovChain, codes: Array, n_columns: int) -> str:
    """Return how many first bytes of each row suffice to decode its first columns."""
    n_tables = 1 + (n_columns - 1) * N_LEVELS
    head = entropy.MarkovChain(model.frequencies[:n_tables], n_columns)
    data, offsets = entropy.encode_rows(codes, model)
    n = len(codes)
    for n_bytes in range(1, 1 + int(np.diff(offsets).max())):
        rows = [data[start : min(start + n_bytes, stop)] for start, stop in itertools.pairwise(offsets)]
        places = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        # As blocks of two rows of which one is decoded: the rest of a block is not looked at.
        found = entropy.decode_rows(
            np.concatenate(rows), places, head, rows=2 * np.arange(n), n_rows=2 * n, rows_per_block=2
        )
        if np.array_equal(found, codes[:, :n_columns]):
            return str(n_bytes)
    return "all"


def ranks_of(
    codes: Codes, n_latents: int, train: Array, y_train: Array, test: Array, y: Array
) -> tuple[Array, Array]:
    """Return the rank of each label among the classes, by a linear classifier of the first latents."""
    seen, new = (codes.values(levels)[:, :n_latents] for levels in (train, test))
    model = trained("linear", 0, seen, y_train)
    found = []
    for x, truth in ((seen, y_train), (new, y)):
        order = np.argsort(-model.decision_function(x), axis=1, kind="stable")
        found.append((order == truth[:, None]).argmax(axis=1).astype(np.uint8))
    return found[0], found[1]
