"""How well binary codes keep labels and neighbours, on real data: tables, a record of them and a picture.

Names of parts as arguments ("labels", "drift", "neighbours", "sentences") choose what to measure and print;
only a run of all parts is written down.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gist
import numpy as np
import records
from fastcodes import bits, hamming, hashing, metrics
from fastcodes.cli.measure import best_time
from fastcodes.cli.peers import Array
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("FASTCODES_DATA", ROOT.parent / "shared" / "data"))
SEEDS = (0, 1, 2)  # of models that are random; means are told
N_QUERIES = 1000
RANKED = 1 << 24  # results at a time, when all rows are ranked
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
        n_bits, (1024,), dropout=0.5, learning_rate=0.01, epochs=60, random_state=seed
    ),
    "deep, triplet": lambda n_bits, seed: hashing.DeepHashing(
        n_bits, (1024,), loss="triplet", dropout=0.5, learning_rate=0.01, epochs=30, random_state=seed
    ),
}
BLIND = ("LSH", "PCAH", "spectral", "LPH", "ITQ")
"""Those that learn from no labels."""
ONE_SEED = ("PCAH", "spectral", "deep, pairwise", "deep, triplet")
"""Those that are not random, or take long."""

LABEL_BITS = (16, 32, 64)
PUBLISHED = {
    "LSH": (0.119, 0.129, 0.144),
    "spectral": (0.130, 0.128, 0.129),
    "ITQ": (0.160, 0.165, 0.171),
    "SDH": (0.439, 0.461, 0.483),
}
BEHIND_AT_MOST = 0.01

NEIGHBOUR_BITS = (16, 32, 64, 128)
N_NEAREST = 100
N_LEARN_PIXELS = 10_000

SENTENCE_KS = 10
RESCORED = 4  # times as many candidates as results


@dataclass(frozen=True)
class LabelLine:
    """One model and number of bits on the descriptors of CIFAR-10."""

    model: str
    n_bits: int
    published: float | None
    trained: float
    """mAP with the images that were learnt from as the database: the protocol of what was published."""
    unseen: float
    """mAP with all other images as the database."""
    seconds: float

    def cells(self) -> list[str]:
        """Give the line as the table shows it."""
        published = "" if self.published is None else f"{self.published:.3f}"
        return [
            self.model,
            str(self.n_bits),
            published,
            f"{self.trained:.3f}",
            f"{self.unseen:.3f}",
            f"{self.seconds:.3g} s",
        ]


@dataclass(frozen=True)
class NeighbourLine:
    """One model and number of bits, by the true nearest neighbours."""

    data: str
    model: str
    n_bits: int
    precision: float
    """NN-mAP."""
    recall_10: float
    recall_100: float
    label_precision: float | None
    seconds: float

    def cells(self) -> list[str]:
        """Give the line as the table shows it."""
        by_label = "" if self.label_precision is None else f"{self.label_precision:.3f}"
        return [
            self.data,
            self.model,
            str(self.n_bits),
            f"{self.precision:.3f}",
            f"{self.recall_10:.3f}",
            f"{self.recall_100:.3f}",
            by_label,
            f"{self.seconds:.3g} s",
        ]


@dataclass(frozen=True)
class DriftLine:
    """Which queries, and how well three ways to encode them find rows of the old database."""

    model: str
    queries: str
    old: float
    new: float
    aligned: float

    def cells(self) -> list[str]:
        """Give the line as the table shows it."""
        return [self.model, self.queries, *(f"{score:.3f}" for score in (self.old, self.new, self.aligned))]


@dataclass(frozen=True)
class SentenceLine:
    """One kind of codes of sentence embeddings."""

    codes: str
    n_bytes: int
    recall: float
    rescored: float
    milliseconds: float
    rescored_milliseconds: float
    """For all queries, on one thread; encoding them is not among it."""

    def cells(self) -> list[str]:
        """Give the line as the table shows it."""
        return [
            self.codes,
            str(self.n_bytes),
            f"{self.recall:.3f}",
            f"{self.rescored:.3f}",
            f"{self.milliseconds:.3g} ms",
            f"{self.rescored_milliseconds:.3g} ms",
        ]


@dataclass(frozen=True)
class Promise:
    """What the project promises, and what came of it."""

    what: str
    needs: float
    measured: float

    @property
    def met(self) -> bool:
        """Whether it was kept."""
        return self.measured >= self.needs

    def cells(self) -> list[str]:
        """Give the promise as the table shows it."""
        return [self.what, f"{self.needs:.3f}", f"{self.measured:.3f}", "yes" if self.met else "NO"]


HEADINGS = {
    "labels": ["model", "bits", "published", "trained images", "all other images", "training"],
    "drift": ["model", "queries", "old model", "new model", "new model, aligned"],
    "neighbours": ["data", "model", "bits", "NN-mAP", "R@10", "R@100", "label mAP", "training"],
    "sentences": ["codes", "bytes", "recall@10", "re-scored", "search", "search, re-scored"],
}
PROMISE_HEADINGS = ["promise", "at least", "measured", "met"]


def main(names: list[str]) -> None:
    """Measure and print; write it down if all was measured."""
    if unknown := set(names) - set(PARTS):
        sys.exit(f"there is no part {unknown.pop()!r}; there are {', '.join(PARTS)}")
    record = records.facts()
    lines: dict[str, list[Any]] = {}
    for name in names or PARTS:
        print("  ".join(HEADINGS[name]), flush=True)
        lines[name] = []
        for line in PARTS[name]():
            lines[name].append(line)
            print("  ".join(line.cells()), flush=True)
    promises = list(promises_on(lines.get("labels", [])))
    if set(lines) != set(PARTS):
        print("\n" + records.table(PROMISE_HEADINGS, [promise.cells() for promise in promises]))
        return
    path = records.name(record, "hashing")
    page = page_of(record, path.name, lines, promises)
    print("\n" + page)
    record |= {name: [asdict(line) for line in part] for name, part in lines.items()}
    record["promises"] = [{**asdict(promise), "met": promise.met} for promise in promises]
    records.write(path, record, page)
    draw(lines, path.with_suffix(".png"), record)
    print(f"record: {path}.json, .md, .png")


def load(name: str) -> dict[str, Array]:
    """Give the arrays of one file."""
    path = file(name)
    with np.load(path) as arrays:
        return dict(arrays)


def file(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        sys.exit(f"{path}: no such file; set FASTCODES_DATA to the folder of {name}")
    return path


def seeds_of(model: str) -> tuple[int, ...]:
    return SEEDS[:1] if model in ONE_SEED else SEEDS


def trained(model: str, n_bits: int, seed: int, x: Array, y: Array | None) -> tuple[Any, float]:
    """Give a model, and the seconds that its training took."""
    started = time.perf_counter()
    made = MODELS[model](n_bits, seed).fit(x, y)
    return made, time.perf_counter() - started


def ranked(queries: Array, codes: Array) -> Iterator[tuple[slice, Array]]:
    """Yield all rows in the order of their distance, for some queries at a time."""
    step = max(1, RANKED // len(codes))
    for start in range(0, len(queries), step):
        rows = slice(start, min(start + step, len(queries)))
        # Equal to hamming.knn with k = len(codes), which is made for a few of many rows.
        distances = hamming.cdist(queries[rows], codes).astype(np.int16)
        yield rows, np.argsort(distances, axis=1, kind="stable")


def label_map(queries: Array, query_labels: Array, codes: Array, labels: Array) -> float:
    """Give mAP @ALL by label."""
    scores = [
        metrics.average_precision(metrics.label_relevance(query_labels[rows], labels, found))
        for rows, found in ranked(queries, codes)
    ]
    return float(np.concatenate(scores).mean())


# --- labels: descriptors of CIFAR-10 ------------------------------------------------------------------------


@dataclass(frozen=True)
class Split:
    """Descriptors of images: those that are asked for, those that are learnt from, and all but the former."""

    x: Array
    y: Array
    queries: Array
    learn: Array
    others: Array


def cifar10() -> Split:
    """Give the descriptors without their mean; as many images of each class are asked for and learnt from."""
    arrays = gist.cifar10(file("cifar10_full_jpegq75.npz"))
    x = np.concatenate([arrays["train_x"], arrays["test_x"]])
    y = np.concatenate([arrays["train_y"], arrays["test_y"]]).astype(np.int64)
    rng = np.random.default_rng(0)

    def some(rows: Array, n: int) -> Array:
        return np.concatenate(
            [rng.choice(rows[y[rows] == label], n, replace=False) for label in range(N_CLASSES)]
        )

    queries = some(np.arange(len(x)), N_QUERIES // N_CLASSES)
    others = np.setdiff1d(np.arange(len(x)), queries)
    learn = some(others, 5000 // N_CLASSES)
    # Hyperplanes through the origin tell little of vectors that are all on one side of it.
    return Split(x - x[learn].mean(axis=0), y, queries, learn, others)


def labels() -> Iterator[LabelLine]:
    """Compare with what was published on the same kind of descriptors."""
    data = cifar10()
    for model in MODELS:
        for place, n_bits in enumerate(LABEL_BITS):
            figures = []
            for seed in seeds_of(model):
                made, seconds = trained(model, n_bits, seed, data.x[data.learn], data.y[data.learn])
                queries = made.encode(data.x[data.queries])
                scores = [
                    label_map(queries, data.y[data.queries], made.encode(data.x[rows]), data.y[rows])
                    for rows in (data.learn, data.others)
                ]
                figures.append((*scores, seconds))
            mean = np.mean(figures, axis=0).round(4).tolist()
            published = PUBLISHED[model][place] if model in PUBLISHED else None
            yield LabelLine(model, n_bits, published, *mean)


def drift() -> Iterator[DriftLine]:
    """Make a database by a model that knows seven classes, and ask it by one that knows all ten."""
    data = cifar10()
    known = data.learn[data.y[data.learn] < 7]
    rows, labels = data.others, data.y[data.others]
    asked, of_asked = data.x[data.queries], data.y[data.queries]
    for model in ("ITQ", "CCA-ITQ", "SDH"):
        old, _ = trained(model, 64, 0, data.x[known], data.y[known])
        new, _ = trained(model, 64, 1, data.x[data.learn], data.y[data.learn])
        database = old.encode(data.x[rows])
        some = data.learn  # of the database: all classes, no labels
        rotation = hashing.align(old.encode(data.x[some]), new.decision_function(data.x[some]))
        codes = (
            old.encode(asked),
            new.encode(asked),
            bits.pack(new.decision_function(asked) @ rotation),
        )
        for name, which in (("7 classes", of_asked < 7), ("3 unseen classes", of_asked >= 7)):
            scores = [label_map(queries[which], of_asked[which], database, labels) for queries in codes]
            yield DriftLine(model, name, *scores)


def promises_on(lines: list[LabelLine]) -> Iterator[Promise]:
    """Hold the measurements against what is promised."""
    for line in lines:
        if line.published is not None:
            what = f"CIFAR-10, {line.model}, {line.n_bits} bits: published mAP less {BEHIND_AT_MOST}"
            yield Promise(what, round(line.published - BEHIND_AT_MOST, 4), line.trained)


# --- neighbours: pixels of MNIST, descriptors of photographs ------------------------------------------------


def neighbours() -> Iterator[NeighbourLine]:
    """Compare by which rows are the nearest in truth."""
    arrays = load("mnist.npz")
    learn, queries = (arrays[name].reshape(-1, 784).astype(np.float32) for name in ("train_x", "test_x"))
    queries = queries[:N_QUERIES]
    some = np.sort(np.random.default_rng(0).choice(len(learn), N_LEARN_PIXELS, replace=False))
    mean = learn[some].mean(axis=0)
    true = nearest(queries, learn)
    names = [name for name in MODELS if name != "SDH, random first bits" and name != "deep, triplet"]
    yield from by_neighbours(
        "MNIST",
        names,
        learn[some] - mean,
        learn - mean,
        queries - mean,
        true,
        (arrays["train_y"][some], arrays["train_y"], arrays["test_y"][:N_QUERIES]),
    )
    arrays = load("sift_photos_u8.npz")
    mean = arrays["learn"].mean(axis=0, dtype=np.float32)
    learn, base, queries = (arrays[name].astype(np.float32) - mean for name in ("learn", "base", "query"))
    yield from by_neighbours("SIFT", list(BLIND), learn, base, queries, arrays["groundtruth"], None)


def by_neighbours(
    data: str,
    names: list[str],
    learn: Array,
    base: Array,
    queries: Array,
    true: Array,
    labels: tuple[Array, Array, Array] | None,
) -> Iterator[NeighbourLine]:
    """Measure models one after the other, with one seed; labels are those of learn, base and queries."""
    for model in names:
        for n_bits in NEIGHBOUR_BITS:
            made, seconds = trained(model, n_bits, 0, learn, None if labels is None else labels[0])
            asked, codes = made.encode(queries), made.encode(base)
            precisions, by_label, hits = [], [], []
            for rows, found in ranked(asked, codes):
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
    """Give the 100 nearest of each query; sums of squared bytes are exact in float64, not in float32."""
    wide = base.astype(np.float64)
    squares = np.einsum("ij,ij->i", wide, wide)
    found = []
    for block in np.array_split(queries.astype(np.float64), -(-len(queries) // 100)):
        distances = squares - 2 * block @ wide.T
        some = np.sort(np.argpartition(distances, N_NEAREST, axis=1)[:, : N_NEAREST + 1], axis=1)
        order = np.argsort(np.take_along_axis(distances, some, axis=1), axis=1, kind="stable")
        found.append(np.take_along_axis(some, order, axis=1)[:, :N_NEAREST])
    return np.concatenate(found)


# --- sentences: search of embeddings ------------------------------------------------------------------------


def sentences() -> Iterator[SentenceLine]:
    """Compare with the search of the floats, for recall and for time."""
    vectors = load("coco_minilm_f16.npz")["embedding"].astype(np.float32)
    rng = np.random.default_rng(0)
    asked = np.sort(rng.choice(len(vectors), N_QUERIES, replace=False))
    rows = np.setdiff1d(np.arange(len(vectors)), asked)
    queries, base = vectors[asked], vectors[rows]
    k = SENTENCE_KS

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

    kinds: dict[str, Callable[[], Callable[[Array], Array]]] = {
        "signs of the dimensions, 384 bits": lambda: bits.pack,
        **{
            f"{model}, {n_bits} bits": lambda model=model, n_bits=n_bits: (  # type: ignore[misc]
                MODELS[model](n_bits, 0).fit(base).encode
            )
            for model, n_bits in (
                ("LSH", 384),
                ("LSH", 1024),
                ("PCAH", 128),
                ("ITQ", 64),
                ("ITQ", 128),
                ("ITQ", 256),
                ("ITQ", 376),  # the embeddings have no more than 381 directions
            )
        },
    }
    for name, kind in kinds.items():
        encode = kind()
        codes, of_queries = encode(base), encode(queries)

        def search(n: int, of_queries: Array = of_queries, codes: Array = codes) -> Array:
            return hamming.knn(of_queries, codes, n, threads=1)[1]

        def search_and_score() -> Array:
            candidates = search(RESCORED * k)
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


PARTS: dict[str, Callable[[], Iterator[Any]]] = {
    "labels": labels,
    "drift": drift,
    "neighbours": neighbours,
    "sentences": sentences,
}


# --- the record ---------------------------------------------------------------------------------------------


ABOUT = {
    "labels": """\
## Labels: CIFAR-10, GIST descriptors of 512 dimensions

Label mAP@ALL of {n_queries} queries, 100 of each class; 5000 images, 500 of each class, are learnt from;
means over {n_seeds} seeds where a model is random and trains fast. A random order has {chance_trained:.3f}
among the trained images and {chance_others:.3f} among the others. Published: the tables of the repositories
TreezzZ/LSH_PyTorch, SH_PyTorch, ITQ_PyTorch and SDH_PyTorch, whose programs search the 5000 images that they
learnt from; so do the figures under "trained images", which the promises are about. "All other images" are
the 59000 that are not asked for, those learnt from among them. The descriptors are computed from JPEG copies
of the images. Here and below "training" is the time of one `fit`; other work may have run beside it.""",
    "drift": """\
## A new model on an old database

The database of 59000 is encoded by a model that has learnt from 7 classes. Queries are encoded by the same
model, by one that has learnt from all 10 classes with another seed, and by the latter after
`fastcodes.hashing.align` with the codes of 5000 images of all classes, without labels. Label mAP@ALL, 64
bits.""",
    "neighbours": """\
## Neighbours: pixels of MNIST, SIFT descriptors of photographs

NN-mAP: mean average precision with the {n_nearest} true nearest neighbours (exact L2) as what is relevant,
all rows ranked by Hamming distance. R@k: the share of {n_queries} queries whose nearest neighbour is among
the first k; equal distances by index. MNIST: the 60000 training images are searched, {n_pixels} of them are
learnt from; models that learn from labels do it here too, and place by class and not by distance. SIFT: 50000
descriptors are learnt from, 250000 others searched.""",
    "sentences": """\
## Sentences: embeddings of captions, 384 dimensions

{n_queries} of 25014 embeddings are queries, the others are searched. recall@10: the share of the 10 nearest
by inner product of the floats that are among the 10 nearest by Hamming distance, and among the best 10 of the
{n_candidates} nearest after these were scored by the float vectors. Times are those of all queries in one
call, on one thread; the search of the floats is a matrix product of numpy and a partition.""",
}


def page_of(record: dict[str, Any], name: str, lines: dict[str, list[Any]], promises: list[Promise]) -> str:
    """Give the page for people."""
    figures = {
        "n_queries": N_QUERIES,
        "n_seeds": len(SEEDS),
        "n_nearest": N_NEAREST,
        "n_pixels": N_LEARN_PIXELS,
        "n_candidates": RESCORED * SENTENCE_KS,
        "chance_trained": metrics.chance_level(500, 5000),
        "chance_others": metrics.chance_level(5900, 59000),
    }
    n_missed = sum(not promise.met for promise in promises)
    tables = {part: records.table(HEADINGS[part], [line.cells() for line in lines[part]]) for part in ABOUT}
    parts = [f"{about.format(**figures)}\n\n{tables[part]}\n" for part, about in ABOUT.items()]
    parts.insert(1, records.table(PROMISE_HEADINGS, [promise.cells() for promise in promises]) + "\n")
    return (
        f"# Binary codes, {record['date']}\n\n{records.facts_as_list(record)}\n"
        f"![mAP by bits, recall by time]({name}.png)\n\n"
        + "\n".join(parts)
        + f"\n{n_missed} of {len(promises)} promises not met\n"
    )


COLOURS = {
    "LSH": "#999999",
    "PCAH": "#56b4e9",
    "spectral": "#cc79a7",
    "LPH": "#009e73",
    "ITQ": "#0072b2",
    "CCA-ITQ": "#e69f00",
    "SDH": "#d55e00",
    "deep, pairwise": "#000000",
}
GREY = "#57606a"


def draw(lines: dict[str, list[Any]], path: Path, record: dict[str, Any]) -> None:
    """Draw mAP by bits for both protocols, and recall by time."""
    figure = Figure(figsize=(12, 9), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    (by_label, by_time), by_neighbour = figure.subplots(2, 2)
    curves(by_label, [(line.model, line.n_bits, line.unseen) for line in lines["labels"]])
    by_label.axhline(metrics.chance_level(5900, 59000), color=GREY, linestyle=":", linewidth=1)
    by_label.set_title("CIFAR-10, GIST: label mAP, 59,000 images", loc="left", fontsize=11)
    for axes, data, title in zip(
        by_neighbour, ("MNIST", "SIFT"), ("MNIST, pixels", "SIFT of photographs"), strict=True
    ):
        found = [line for line in lines["neighbours"] if line.data == data and line.model in BLIND]
        curves(axes, [(line.model, line.n_bits, line.precision) for line in found])
        axes.set_title(f"{title}: mAP of the 100 nearest", loc="left", fontsize=11)
    trade(by_time, lines["sentences"])
    for axes in (by_label, by_time, *by_neighbour):
        axes.set_ylim(bottom=0)
        axes.grid(color="#e6e8eb", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(record["machine"]["cpu"], fontsize=8, color=GREY)
    figure.savefig(path)


def curves(axes: Any, points: list[tuple[str, int, float]]) -> None:
    """Draw a curve for each model; the legend begins with the best one."""
    last = {}
    for model, colour in COLOURS.items():
        curve = [(n_bits, score) for name, n_bits, score in points if name == model]
        if curve:
            (line,) = axes.plot(*zip(*curve, strict=True), "o-", color=colour, label=model)
            last[line] = curve[-1][1]
    ranked = sorted(last, key=lambda line: -last[line])
    axes.legend(handles=ranked, fontsize=8, frameon=False, loc="upper left", ncols=4)
    axes.set_ylim(top=1.2 * max(score for _, _, score in points))  # room for the legend
    sizes = sorted({n_bits for _, n_bits, _ in points})
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, sizes)
    axes.set_xlabel("bits")


def trade(axes: Any, lines: list[SentenceLine]) -> None:
    """Draw the recall of each kind of codes by the time of a search, alone and re-scored."""
    for model in ("LSH", "PCAH", "ITQ"):
        kinds = [line for line in lines if line.codes.startswith(f"{model}, ")]
        draw_kinds(axes, kinds, COLOURS[model], model, [line.codes.split()[-2] for line in kinds])
    signs = [line for line in lines if line.codes.startswith("signs")]
    draw_kinds(axes, signs, "#d55e00", "signs of the dimensions", ["384"])
    floats = [line for line in lines if line.codes.startswith("float")]
    axes.plot(
        [line.milliseconds for line in floats], [line.recall for line in floats], "ks", label="float32, exact"
    )
    axes.set_title("Captions: recall@10 by bits; hollow: without re-scoring", loc="left", fontsize=11)
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    axes.set_xscale("log")
    ticks = [20, 50, 100, 200, 400]
    axes.set_xticks(ticks, ticks)
    axes.set_xticks([], [], minor=True)
    axes.set_xlabel(f"milliseconds for {N_QUERIES} queries, one thread")


def draw_kinds(axes: Any, kinds: list[SentenceLine], colour: str, name: str, numbers: list[str]) -> None:
    """Draw codes of one kind, with their numbers of bits."""
    alone = [(line.milliseconds, line.recall) for line in kinds]
    rescored = [(line.rescored_milliseconds, line.rescored) for line in kinds]
    axes.plot(*zip(*alone, strict=True), "o-", color=colour, markerfacecolor="none", linewidth=0.8)
    axes.plot(*zip(*rescored, strict=True), "o-", color=colour, linewidth=0.8, label=name)
    for points, place in ((alone, (-18, 5)), (rescored, (4, -10))):
        for point, number in zip(points, numbers, strict=True):
            axes.annotate(number, point, place, textcoords="offset points", fontsize=7, color=colour)


if __name__ == "__main__":
    main(sys.argv[1:])
