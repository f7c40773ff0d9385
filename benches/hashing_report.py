"""The record of `hashing.py`: the lines of its tables, its page and its picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import records
from fastcodes import metrics
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from records import Promise

# --- lines --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LabelLine:
    """One model and number of bits on the descriptors of CIFAR-10."""

    model: str
    n_bits: int
    published: float | None
    trained: float
    """mAP with the training images as the database: the protocol of the published figures."""
    unseen: float
    """mAP with all images but the queries as the database."""
    seconds: float

    def cells(self) -> list[str]:
        """Return the line of the table."""
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
    """One model and number of bits, judged by the true nearest neighbours."""

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
        """Return the line of the table."""
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
    """mAP in a database of an old model, for three ways to encode the queries."""

    model: str
    queries: str
    old: float
    new: float
    aligned: float

    def cells(self) -> list[str]:
        """Return the line of the table."""
        return [self.model, self.queries, *(f"{score:.3f}" for score in (self.old, self.new, self.aligned))]


@dataclass(frozen=True)
class SentenceLine:
    """One kind of code of sentence embeddings; times are for all queries on one thread, without encoding."""

    codes: str
    n_bytes: int
    recall: float
    rescored: float
    milliseconds: float
    rescored_milliseconds: float

    def cells(self) -> list[str]:
        """Return the line of the table."""
        return [
            self.codes,
            str(self.n_bytes),
            f"{self.recall:.3f}",
            f"{self.rescored:.3f}",
            f"{self.milliseconds:.3g} ms",
            f"{self.rescored_milliseconds:.3g} ms",
        ]


HEADINGS = {
    "labels": ["model", "bits", "published", "trained images", "all other images", "training"],
    "drift": ["model", "queries", "old model", "new model", "new model, aligned"],
    "neighbours": ["data", "model", "bits", "NN-mAP", "R@10", "R@100", "label mAP", "training"],
    "sentences": ["codes", "bytes", "recall@10", "re-scored", "search", "search, re-scored"],
}


# --- the page -----------------------------------------------------------------------------------------------


ABOUT = {
    "labels": """\
## Labels: CIFAR-10, GIST descriptors of 512 dimensions

Label mAP@ALL of {n_queries} queries, 100 of each class; the models are trained on 5000 images, 500 of each
class; means over {n_seeds} seeds where a model is random and trains fast. A random order has
{chance_trained:.3f} among the trained images and {chance_others:.3f} among the others. Published: the tables
of the repositories TreezzZ/LSH_PyTorch, SH_PyTorch, ITQ_PyTorch and SDH_PyTorch, whose programs search the
5000 training images; the figures under "trained images" follow this protocol, and the promises are about
them. "All other images" are the 59000 that are not queries, the training images among them. The descriptors
are computed from JPEG copies of the images. Here and below "training" is the time of one `fit`; other work
may have run at the same time.""",
    "drift": """\
## A new model on an old database

The database of 59000 is encoded by a model trained on 7 classes. Queries are encoded by the same model, by
one trained on all 10 classes with another seed, and by the latter after `fastcodes.hashing.align` with the
codes of 5000 images of all classes, without labels. Label mAP@ALL, 64 bits.""",
    "neighbours": """\
## Neighbours: pixels of MNIST, SIFT descriptors of photographs

NN-mAP: mean average precision with the {n_nearest} true nearest neighbours (exact L2) as the relevant rows,
all rows ranked by Hamming distance. R@k: the share of {n_queries} queries whose nearest neighbour is among
the first k; equal distances by index. MNIST: the 60000 training images are searched; models are trained on
{n_pixels} of them, supervised ones with labels, so that these rank by class and not by distance. SIFT: models
are trained on 50000 descriptors, 250000 others are searched.""",
    "sentences": """\
## Sentences: embeddings of captions, 384 dimensions

{n_queries} of 25014 embeddings are queries, the others are searched. recall@10: the share of the 10 nearest
by inner product of the floats that are among the 10 nearest by Hamming distance, and among the best 10 of the
{n_candidates} nearest after these were scored by the float vectors. Times are those of all queries in one
call, on one thread; the search of the floats is a matrix product of numpy and a partition.""",
}


def page_of(
    record: dict[str, Any],
    name: str,
    lines: dict[str, list[Any]],
    promises: Sequence[Promise],
    figures: dict[str, float],
) -> str:
    """Return the page; `figures` are the numbers that its texts mention."""
    tables = {part: records.table(HEADINGS[part], [line.cells() for line in lines[part]]) for part in ABOUT}
    parts = [f"{about.format(**figures)}\n\n{tables[part]}\n" for part, about in ABOUT.items()]
    parts.insert(1, records.promise_table(promises) + "\n")
    return (
        f"# Binary codes, {record['date']}\n\n{records.facts_as_list(record)}\n"
        f"![mAP by bits, recall by time]({name}.png)\n\n"
        + "\n".join(parts)
        + f"\n{records.missed(promises)}\n"
    )


# --- the picture --------------------------------------------------------------------------------------------


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


def draw(
    lines: dict[str, list[Any]], path: Path, *, cpu: str, n_queries: int, unsupervised: Sequence[str]
) -> None:
    """Draw mAP by bits for both protocols, and recall by time."""
    figure = Figure(figsize=(12, 9), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    (by_label, by_time), by_neighbour = figure.subplots(2, 2)
    draw_curves(by_label, [(line.model, line.n_bits, line.unseen) for line in lines["labels"]])
    by_label.axhline(metrics.chance_level(5900, 59000), color=GREY, linestyle=":", linewidth=1)
    by_label.set_title("CIFAR-10, GIST: label mAP, 59,000 images", loc="left", fontsize=11)
    for axes, data, title in zip(
        by_neighbour, ("MNIST", "SIFT"), ("MNIST, pixels", "SIFT of photographs"), strict=True
    ):
        found = [line for line in lines["neighbours"] if line.data == data and line.model in unsupervised]
        draw_curves(axes, [(line.model, line.n_bits, line.precision) for line in found])
        axes.set_title(f"{title}: mAP of the 100 nearest", loc="left", fontsize=11)
    draw_recall_by_time(by_time, lines["sentences"])
    by_time.set_xlabel(f"milliseconds for {n_queries} queries, one thread")
    for axes in (by_label, by_time, *by_neighbour):
        axes.set_ylim(bottom=0)
        axes.grid(color="#e6e8eb", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(cpu, fontsize=8, color=GREY)
    figure.savefig(path)


def draw_curves(axes: Any, points: list[tuple[str, int, float]]) -> None:
    """Draw (model, bits, score) as one curve per model; the legend begins with the best one."""
    last = {}
    for model, colour in COLOURS.items():
        curve = [(n_bits, score) for name, n_bits, score in points if name == model]
        if curve:
            (line,) = axes.plot(*zip(*curve, strict=True), "o-", color=colour, label=model)
            last[line] = curve[-1][1]
    best_first = sorted(last, key=lambda line: -last[line])
    axes.legend(handles=best_first, fontsize=8, frameon=False, loc="upper left", ncols=4)
    axes.set_ylim(top=1.2 * max(score for _, _, score in points))  # room for the legend
    sizes = sorted({n_bits for _, n_bits, _ in points})
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, sizes)
    axes.set_xlabel("bits")


def draw_recall_by_time(axes: Any, lines: list[SentenceLine]) -> None:
    """Draw the recall of each kind of code by the time of a search, alone and re-scored."""
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


def draw_kinds(axes: Any, kinds: list[SentenceLine], colour: str, name: str, n_bits: list[str]) -> None:
    """Draw the codes of one model, with their numbers of bits."""
    alone = [(line.milliseconds, line.recall) for line in kinds]
    rescored = [(line.rescored_milliseconds, line.rescored) for line in kinds]
    axes.plot(*zip(*alone, strict=True), "o-", color=colour, markerfacecolor="none", linewidth=0.8)
    axes.plot(*zip(*rescored, strict=True), "o-", color=colour, linewidth=0.8, label=name)
    for points, offset in ((alone, (-18, 5)), (rescored, (4, -10))):
        for point, label in zip(points, n_bits, strict=True):
            axes.annotate(label, point, offset, textcoords="offset points", fontsize=7, color=colour)
