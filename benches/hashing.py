"""Labels and neighbours preserved by binary codes, on real data: tables, a record of them and a picture.

Names of parts as arguments ("labels", "drift", "neighbours", "sentences") select what to measure and print;
only a run of all parts writes a record.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import datasets
import gist
import hashing_report as report
import numpy as np
import records
from fastcodes import bits, hamming, hashing, metrics
from fastcodes._typing import Array
from fastcodes.cli.measure import best_time
from hashing_report import DriftLine, LabelLine, NeighbourLine, SentenceLine
from records import Promise
from threadpoolctl import threadpool_limits

SEEDS = (0, 1, 2)
"""Of random models; the record holds means."""
N_QUERIES = 1000
RESULTS_PER_BLOCK = 1 << 24
"""Held at a time while all rows are ranked."""
N_CLASSES = 10

Make = Callable[[int, int], Any]
"""From the number of bits and a seed to a model."""

MODELS: dict[str, Make] = {
    "LSH": lambda n_bits, seed: hashing.RandomHyperplanes(n_bits, random_state=seed),
    "PCAH": lambda n_bits, seed: hashing.PCAHashing(n_bits),
    "spectral": lambda n_bits, seed: hashing.SpectralHashing(n_bits),
    "LPH": lambda n_bits, seed: hashing.LocalityPreservingHashing(n_bits, random_state=seed),
    "ITQ": lambda n_bits, seed: hashing.ITQ(n_bits, random_state=seed),
    "CCA-ITQ": lambda n_bits, seed: hashing.CCAITQ(n_bits, random_state=seed),
    "SDH": lambda n_bits, seed: hashing.SupervisedDiscreteHashing(n_bits, random_state=seed),
    "SDH, random first bits": lambda n_bits, seed: hashing.SupervisedDiscreteHashing(
        n_bits, init="random", random_state=seed
    ),
    "SDH, closed form": lambda n_bits, seed: hashing.SupervisedDiscreteHashing(
        n_bits, solver="fast", random_state=seed
    ),
    "deep, pairwise": lambda n_bits, seed: hashing.DeepHashing(
        n_bits, hidden=(1024,), dropout=0.5, learning_rate=0.01, epochs=60, random_state=seed
    ),
    "deep, triplet": lambda n_bits, seed: hashing.DeepHashing(
        n_bits, hidden=(1024,), loss="triplet", dropout=0.5, learning_rate=0.01, epochs=30, random_state=seed
    ),
}
UNSUPERVISED = ("LSH", "PCAH", "spectral", "LPH", "ITQ")
ONE_SEED = ("PCAH", "spectral", "deep, pairwise", "deep, triplet")
"""Models that are not random, or slow to train."""

LABEL_BITS = (16, 32, 64)
PUBLISHED = {
    "LSH": (0.119, 0.129, 0.144),
    "spectral": (0.130, 0.128, 0.129),
    "ITQ": (0.160, 0.165, 0.171),
    "SDH": (0.439, 0.461, 0.483),
}
"""mAP for each of `LABEL_BITS`."""
MAX_LOSS = 0.01
"""Of mAP, compared with the published figure."""

NEIGHBOUR_BITS = (16, 32, 64, 128)
N_NEAREST = 100
N_TRAINING_PIXELS = 10_000
NOT_BY_NEIGHBOURS = ("SDH, random first bits", "deep, triplet")

SENTENCE_K = 10
CANDIDATES_PER_RESULT = 4
"""For re-scoring."""


def main(names: list[str]) -> None:
    """Measure and print; write the record if all parts were measured."""
    if unknown := set(names) - set(PARTS):
        sys.exit(f"there is no part {unknown.pop()!r}; the parts are {', '.join(PARTS)}")
    record = records.facts()
    lines: dict[str, list[Any]] = {}
    for name in names or PARTS:
        print("  ".join(report.HEADINGS[name]), flush=True)
        lines[name] = []
        for line in PARTS[name]():
            lines[name].append(line)
            print("  ".join(line.cells()), flush=True)
    promises = list(promises_on(lines.get("labels", [])))
    if set(lines) != set(PARTS):
        print("\n" + records.promise_table(promises))
        return
    path = records.name(record, "hashing")
    page = report.page_of(record, path.name, lines, promises, figures_of_page())
    print("\n" + page)
    record |= {name: [asdict(line) for line in part] for name, part in lines.items()}
    record["promises"] = [promise.entry() for promise in promises]
    records.write(path, record, page)
    report.draw(
        lines,
        path.with_suffix(".png"),
        cpu=record["machine"]["cpu"],
        n_queries=N_QUERIES,
        unsupervised=UNSUPERVISED,
    )
    print(f"record: {path}.json, .md, .png")


def figures_of_page() -> dict[str, float]:
    """Return the numbers that the texts of the page mention."""
    return {
        "n_queries": N_QUERIES,
        "n_seeds": len(SEEDS),
        "n_nearest": N_NEAREST,
        "n_pixels": N_TRAINING_PIXELS,
        "n_candidates": CANDIDATES_PER_RESULT * SENTENCE_K,
        "chance_trained": metrics.chance_level(500, 5000),
        "chance_others": metrics.chance_level(5900, 59000),
    }


def trained(model: str, n_bits: int, seed: int, x: Array, y: Array | None) -> tuple[Any, float]:
    """Return a fitted model, and the seconds that its training took."""
    started = time.perf_counter()
    fitted = MODELS[model](n_bits, seed).fit(x, y)
    return fitted, time.perf_counter() - started


def rankings(queries: Array, codes: Array) -> Iterator[tuple[slice, Array]]:
    """Yield the ids of all rows by ascending distance, for some queries at a time."""
    step = max(1, RESULTS_PER_BLOCK // len(codes))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        # Equal to hamming.knn with k = len(codes), which is slower for so large a k.
        distances = hamming.cdist(queries[rows], codes).astype(np.int16)
        yield rows, np.argsort(distances, axis=1, kind="stable")


def label_map(queries: Array, query_labels: Array, codes: Array, labels: Array) -> float:
    """Return the mAP @ALL by label."""
    scores = [
        metrics.average_precision(metrics.label_relevance(query_labels[rows], labels, found))
        for rows, found in rankings(queries, codes)
    ]
    return float(np.concatenate(scores).mean())


# --- labels: descriptors of CIFAR-10 ------------------------------------------------------------------------


@dataclass(frozen=True)
class Split:
    """Descriptors with labels, and the rows of the queries, the training images and all but the queries."""

    x: Array
    y: Array
    queries: Array
    training: Array
    others: Array


def cifar10() -> Split:
    """Return centred descriptors; queries and training images are balanced over the classes."""
    arrays = gist.cifar10()
    x = np.concatenate([arrays["train_x"], arrays["test_x"]])
    y = np.concatenate([arrays["train_y"], arrays["test_y"]]).astype(np.int64)
    rng = np.random.default_rng(0)

    def of_each_class(rows: Array, n: int) -> Array:
        return np.concatenate(
            [rng.choice(rows[y[rows] == label], n, replace=False) for label in range(N_CLASSES)]
        )

    queries = of_each_class(np.arange(len(x)), N_QUERIES // N_CLASSES)
    others = np.setdiff1d(np.arange(len(x)), queries)
    training = of_each_class(others, 5000 // N_CLASSES)
    # Hyperplanes through the origin hardly separate vectors that are all on one side of it.
    return Split(x - x[training].mean(axis=0), y, queries, training, others)


def labels() -> Iterator[LabelLine]:
    """Measure by labels, as in the published figures on the same kind of descriptors."""
    data = cifar10()
    for model in MODELS:
        for index, n_bits in enumerate(LABEL_BITS):
            figures = []
            for seed in SEEDS[:1] if model in ONE_SEED else SEEDS:
                fitted, seconds = trained(model, n_bits, seed, data.x[data.training], data.y[data.training])
                queries = fitted.encode(data.x[data.queries])
                scores = [
                    label_map(queries, data.y[data.queries], fitted.encode(data.x[rows]), data.y[rows])
                    for rows in (data.training, data.others)
                ]
                figures.append((*scores, seconds))
            mean = np.mean(figures, axis=0).round(4).tolist()
            published = PUBLISHED[model][index] if model in PUBLISHED else None
            yield LabelLine(model, n_bits, published, *mean)


def promises_on(lines: list[LabelLine]) -> Iterator[Promise]:
    """Compare the measurements with the promises."""
    for line in lines:
        if line.published is not None:
            what = f"CIFAR-10, {line.model}, {line.n_bits} bits: published mAP less {MAX_LOSS}"
            yield Promise(what, round(line.published - MAX_LOSS, 4), line.trained)


def drift() -> Iterator[DriftLine]:
    """Encode a database by a model trained on seven classes, and queries by one trained on all ten."""
    data = cifar10()
    known = data.training[data.y[data.training] < 7]
    rows, labels = data.others, data.y[data.others]
    queries, query_labels = data.x[data.queries], data.y[data.queries]
    for model in ("ITQ", "CCA-ITQ", "SDH"):
        old, _ = trained(model, 64, 0, data.x[known], data.y[known])
        new, _ = trained(model, 64, 1, data.x[data.training], data.y[data.training])
        database = old.encode(data.x[rows])
        sample = data.x[data.training]  # rows of the database, of all classes; no labels are used
        rotation = hashing.align(old.encode(sample), new.decision_function(sample))
        codes = (
            old.encode(queries),
            new.encode(queries),
            bits.pack(new.decision_function(queries) @ rotation),
        )
        for name, which in (("7 classes", query_labels < 7), ("3 unseen classes", query_labels >= 7)):
            scores = [label_map(encoded[which], query_labels[which], database, labels) for encoded in codes]
            yield DriftLine(model, name, *scores)


# --- neighbours: pixels of MNIST, descriptors of photographs ------------------------------------------------


def neighbours() -> Iterator[NeighbourLine]:
    """Measure by the true nearest neighbours."""
    images = datasets.mnist()
    base, queries = datasets.as_rows(images.train), datasets.as_rows(images.test[:N_QUERIES])
    sample = np.sort(np.random.default_rng(0).choice(len(base), N_TRAINING_PIXELS, replace=False))
    mean = base[sample].mean(axis=0)
    yield from by_neighbours(
        "MNIST",
        [name for name in MODELS if name not in NOT_BY_NEIGHBOURS],
        base[sample] - mean,
        base - mean,
        queries - mean,
        nearest(queries, base),
        (images.labels[sample], images.labels, images.test_labels[:N_QUERIES]),
    )
    arrays = datasets.load("sift_photos_u8.npz")
    mean = arrays["learn"].mean(axis=0, dtype=np.float32)
    training, base, queries = (arrays[name].astype(np.float32) - mean for name in ("learn", "base", "query"))
    yield from by_neighbours("SIFT", list(UNSUPERVISED), training, base, queries, arrays["groundtruth"], None)


def by_neighbours(
    data: str,
    names: list[str],
    training: Array,
    base: Array,
    queries: Array,
    true: Array,
    labels: tuple[Array, Array, Array] | None,
) -> Iterator[NeighbourLine]:
    """Measure models with one seed; `labels` are those of training, base and queries."""
    for model in names:
        for n_bits in NEIGHBOUR_BITS:
            fitted, seconds = trained(model, n_bits, 0, training, None if labels is None else labels[0])
            encoded, codes = fitted.encode(queries), fitted.encode(base)
            precisions, by_label, hits = [], [], []
            for rows, found in rankings(encoded, codes):
                precisions.append(metrics.average_precision(metrics.neighbor_relevance(true[rows], found)))
                hits.append(found[:, :100])
                if labels is not None:
                    relevance = metrics.label_relevance(labels[2][rows], labels[1], found)
                    by_label.append(metrics.average_precision(relevance))
            first = np.concatenate(hits)
            yield NeighbourLine(
                data,
                model,
                n_bits,
                round(float(np.concatenate(precisions).mean()), 4),
                metrics.recall_at_k(true, first, 10),
                metrics.recall_at_k(true, first, 100),
                round(float(np.concatenate(by_label).mean()), 4) if by_label else None,
                seconds,
            )


def nearest(queries: Array, base: Array) -> Array:
    """Return the `N_NEAREST` nearest rows of each query."""
    found = []
    for distances in datasets.distance_blocks(queries, base):
        some = np.sort(np.argpartition(distances, N_NEAREST, axis=1)[:, : N_NEAREST + 1], axis=1)
        order = np.argsort(np.take_along_axis(distances, some, axis=1), axis=1, kind="stable")
        found.append(np.take_along_axis(some, order, axis=1)[:, :N_NEAREST])
    return np.concatenate(found)


# --- sentences: search of embeddings ------------------------------------------------------------------------


def sentences() -> Iterator[SentenceLine]:
    """Measure recall and time, compared with the search of the floats."""
    vectors = datasets.load("coco_minilm_f16.npz")["embedding"].astype(np.float32)
    rng = np.random.default_rng(0)
    of_queries = np.sort(rng.choice(len(vectors), N_QUERIES, replace=False))
    rows = np.setdiff1d(np.arange(len(vectors)), of_queries)
    queries, base = vectors[of_queries], vectors[rows]
    k = SENTENCE_K

    def search_floats() -> Array:
        found = []
        for block in np.array_split(queries, 10):
            scores = block @ base.T
            some = np.argpartition(-scores, k, axis=1)[:, :k]
            order = np.argsort(-np.take_along_axis(scores, some, axis=1), axis=1)
            found.append(np.take_along_axis(some, order, axis=1))
        return np.concatenate(found)

    with threadpool_limits(1):
        true = search_floats()
        seconds = best_time(search_floats, 2.0)
    yield SentenceLine("float32", 4 * base.shape[1], 1.0, 1.0, 1e3 * seconds, 1e3 * seconds)

    for name, encode in sentence_encoders(base):
        codes, encoded = encode(base), encode(queries)

        def search(n: int, encoded: Array = encoded, codes: Array = codes) -> Array:
            return hamming.knn(encoded, codes, n, threads=1)[1]

        def search_and_score(search: Callable[[int], Array] = search) -> Array:
            candidates = search(CANDIDATES_PER_RESULT * k)
            scores = np.matmul(base[candidates], queries[:, :, None])[:, :, 0]
            order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            return np.take_along_axis(candidates, order, axis=1)

        with threadpool_limits(1):
            times = [best_time(call, 1.0) for call in (lambda: search(k), search_and_score)]
        yield SentenceLine(
            name,
            codes.shape[1],
            metrics.k_recall_at_k(true, search(k), k),
            metrics.k_recall_at_k(true, search_and_score(), k),
            *(1e3 * seconds for seconds in times),
        )


def sentence_encoders(base: Array) -> Iterator[tuple[str, Callable[[Array], Array]]]:
    """Yield the kinds of codes: a name, and the function from vectors to codes."""
    yield "signs of the dimensions, 384 bits", bits.pack
    for model, n_bits in (
        ("LSH", 384),
        ("LSH", 1024),
        ("PCAH", 128),
        ("ITQ", 64),
        ("ITQ", 128),
        ("ITQ", 256),
        ("ITQ", 376),  # the embeddings span only 381 dimensions
    ):
        yield f"{model}, {n_bits} bits", MODELS[model](n_bits, 0).fit(base).encode


PARTS: dict[str, Callable[[], Iterator[Any]]] = {
    "labels": labels,
    "drift": drift,
    "neighbours": neighbours,
    "sentences": sentences,
}


if __name__ == "__main__":
    main(sys.argv[1:])
