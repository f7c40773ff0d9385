"""The record of `recall.py`: the lines of its table, its page and its picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import records
from fastcodes.cli.peers import PQ_ITERATIONS
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from records import Promise

PEERS = ("fastcodes", "faiss")
KS = (1, 10, 100)


@dataclass(frozen=True)
class Line:
    """One contestant with one setting."""

    data: str
    setting: str
    n_bytes: int
    contestant: str
    recall: tuple[float, ...]
    """At each of `KS`."""
    n_trainings: int | None = None
    training_seconds: float | None = None
    queries_per_second: float | None = None

    def cells(self) -> list[str]:
        """Return the line of the table."""
        return [
            self.data,
            self.setting,
            str(self.n_bytes),
            self.contestant,
            *(f"{recall:.3f}" for recall in self.recall),
            "" if self.n_trainings is None else str(self.n_trainings),
            "" if self.training_seconds is None else f"{self.training_seconds:.3g} s",
            "" if self.queries_per_second is None else f"{self.queries_per_second:,.0f}",
        ]


# --- the page -----------------------------------------------------------------------------------------------


HEADINGS = ["data", "codes", "bytes", "by", *(f"R@{k}" for k in KS), "trainings", "each", "queries/s"]
ABOUT = """\
R@k: the share of 1000 queries whose true nearest neighbour (exact squared L2, ties to the lower id) is among
the first k. MNIST: pixels; the 60000 training images are used for training and searched. SIFT: descriptors of
photographs; 50000 are used for training, 250000 others are searched. AxB: A subspaces of B bits each.

Both sides train on {threads} threads, with {iterations} iterations of k-means and their own defaults of OPQ;
faiss trains on at most 256 vectors per codeword. R@k is the mean over trainings with different seeds, and
"each" the mean time of one. Both search on one thread, all queries in one call with k = 10, rotation and
look-up tables included. faiss is IndexPQ, with 4 bits IndexPQFastScan, whose distances are approximate.
Published: Blalock and Guttag, Bolt, KDD 2017, from their repository."""


def page_of(record: dict[str, Any], name: str, lines: list[Line], promises: Sequence[Promise]) -> str:
    """Return the page."""
    return (
        f"# Recall of product quantisation, {record['date']}\n\n{records.facts_as_list(record)}\n"
        f"{ABOUT.format(threads=record['machine']['cpus'], iterations=PQ_ITERATIONS)}\n\n"
        f"![Recall by size and by speed]({name}.png)\n\n"
        f"{records.table(HEADINGS, [line.cells() for line in lines])}\n\n"
        f"{records.promise_table(promises)}\n\n"
        f"{records.missed(promises)}\n"
    )


# --- the picture --------------------------------------------------------------------------------------------


COLOURS = {"fastcodes": "#0072b2", "faiss": "#d55e00"}  # distinct for the colour-blind
MARKERS = {"OPQ, 8 bits": "D", "PQ, 8 bits": "o", "PQ, 4 bits": "s"}
SIGNS = {"fastcodes": "◆●■", "faiss": "◇○□"}  # the markers as text
GREY = "#57606a"


def draw(lines: list[Line], path: Path, record: dict[str, Any]) -> None:
    """Draw recall by size, and by speed."""
    figure = Figure(figsize=(12, 5.4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    by_size, by_speed = figure.subplots(1, 2, sharey=True, width_ratios=[4, 5])
    curves: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        model, shape = line.setting.split()
        curves.setdefault((line.contestant, f"{model}, {shape.split('x')[1]} bits"), []).append(line)
    for (contestant, model), curve in curves.items():
        draw_curve(by_size, by_speed, contestant, model, curve)

    by_size.set_title("Recall by size", loc="left", fontsize=12)
    by_size.set_ylabel("recall@10: true nearest neighbour among the first 10")
    by_size.set_xlabel("bytes per vector")
    by_size.set_xscale("log", base=2)
    by_size.set_xticks(sizes := sorted({line.n_bytes for line in lines}), sizes)
    by_size.set_xlim(1.9, 37)
    by_size.set_ylim(bottom=min(recall_at_10(line) for line in lines) - 0.05)
    name_curves(by_size, named(curves, "fastcodes", ""), 3.5, "right", "black")
    for row, (contestant, looks) in enumerate({"faiss": "hollow", "fastcodes": "filled"}.items()):
        by_size.text(
            0.97,
            0.14 + 0.06 * row,
            f"{contestant}: {looks}",
            transform=by_size.transAxes,
            ha="right",
            color=COLOURS[contestant],
        )

    by_speed.set_title("Recall by speed, 4 to 32 bytes per vector", loc="left", fontsize=12)
    by_speed.set_xlabel("queries per second, one thread (farther right is better)")
    by_speed.set_xscale("log")
    by_speed.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    slowest, *_, fastest = sorted(rate_of(line) for line in lines)
    by_speed.set_xlim(slowest / 2, fastest * 6)  # room for the labels
    ours, theirs = (named(curves, contestant, f"{contestant} ") for contestant in PEERS)
    name_curves(by_speed, ours, 1.2 * max(map(rate_of, ours.values())), "left", COLOURS["fastcodes"])
    *slow, fast = theirs.items()  # the curve of 4 bits is far from those of 8
    for group in (dict(slow), dict([fast])):
        name_curves(by_speed, group, min(map(rate_of, group.values())) / 1.2, "right", COLOURS["faiss"])

    for axes in (by_size, by_speed):
        axes.grid(color="#e6e8eb", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    versions = {one["name"]: one["version"] for one in record["contestants"]}
    figure.supxlabel(
        "SIFT descriptors of photographs: 250,000 of 128 dimensions, 1000 queries in one call. "
        f"{record['machine']['cpu']}; " + ", ".join(f"{name} {versions[name]}" for name in PEERS),
        fontsize=8,
        color=GREY,
    )
    figure.savefig(path)


def named(curves: dict[tuple[str, str], list[Line]], contestant: str, prefix: str) -> dict[str, Line]:
    """Return the line of the shortest codes of each model, by its label in the picture."""
    return {
        f"{sign} {prefix}{model}": curves[contestant, model][0]
        for sign, model in zip(SIGNS[contestant], MARKERS, strict=True)
    }


def recall_at_10(line: Line) -> float:
    return line.recall[KS.index(10)]


def rate_of(line: Line) -> float:
    assert line.queries_per_second is not None
    return line.queries_per_second


def draw_curve(by_size: Any, by_speed: Any, contestant: str, model: str, curve: list[Line]) -> None:
    """Draw one contestant's model at all sizes."""
    is_ours = contestant == "fastcodes"
    recalls = list(map(recall_at_10, curve))
    style: dict[str, Any] = {
        "color": COLOURS[contestant],
        "marker": MARKERS[model],
        "markerfacecolor": COLOURS[contestant] if is_ours else "none",
        "linewidth": 1.6,
    }
    # Large hollow markers stay visible around equal recalls of fastcodes.
    around = {} if is_ours else {"markersize": 11, "linestyle": "none"}
    by_size.plot([line.n_bytes for line in curve], recalls, **{"markersize": 5.5, **style, **around})
    by_speed.plot(list(map(rate_of, curve)), recalls, markersize=6, **style)
    # Of curves that are close to each other, one shows the lengths of the codes.
    offsets = {"PQ, 8 bits": (5, 6), "PQ, 4 bits": (-24, -9)}
    if model in offsets and (contestant, model) != ("fastcodes", "PQ, 4 bits"):
        for line in curve[1:]:
            by_speed.annotate(
                f"{line.n_bytes} B",
                (rate_of(line), recall_at_10(line)),
                offsets[model],
                textcoords="offset points",
                fontsize=8,
                color=GREY,
            )


def name_curves(axes: Any, curves: dict[str, Line], x: float, side: str, colour: str) -> None:
    """Write names at the height of the given lines, to a side of `x`, without overlaps."""
    height = -1.0
    for name, line in sorted(curves.items(), key=lambda item: recall_at_10(item[1])):
        height = max(recall_at_10(line), height + 0.035)
        axes.text(x, height, name, ha=side, va="center", color=colour, fontsize=9)
