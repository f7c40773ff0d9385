"""The record of `tradeoff.py`: the lines of its table, its page and its picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import records
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from records import Promise


@dataclass(frozen=True)
class Line:
    """One codec of one library with codes of one size."""

    data: str
    codec: str
    size: str
    n_bytes: float
    by: str
    recall: float
    queries_per_second: float
    n_bits: int | None

    def cells(self) -> list[str]:
        """Return the line of the table."""
        return [
            self.data,
            self.codec,
            self.size,
            f"{self.n_bytes:g}",
            self.by,
            f"{self.recall:.4f}",
            f"{self.queries_per_second:,.0f}",
        ]


# --- the page -----------------------------------------------------------------------------------------------


HEADINGS = ["data", "codec", "size", "bytes", "by", "recall@10", "queries/s"]
ABOUT = """\
recall@10: the share of the 10 nearest vectors that are among the 10 nearest by codes alone (500 queries).
SIFT: 100000 descriptors of photographs (128 dimensions, L2), trained on 50000 others. Captions: 24514
sentence embeddings of MiniLM (384 dimensions, inner product). MNIST: 60000 images (784 pixels, L2), without
sums of codewords (residual, additive, composite). Sizes: bits per dimension, or AxB: A numbers of B bits
each. Bytes are those of a vector with its factors; ids are not counted. A search takes 100 queries in one
call on one thread, rotation and look-up tables included, and scans all codes.

IndexRaBitQ, IndexRaBitQFastScan and IndexEDEN of faiss follow a random rotation; `qb` are the bits of the
query, 8 where none are named. "EDEN, biased" has the scale of the smallest error. turbovec has inner products
only, hence no line on SIFT and MNIST, and is calibrated by 4096 random rows. rabitqlib is `IvfIndex` with one
cluster. A promise compares with the best peer of the same number of bits per dimension, whose factors take 4
to 20 bytes beside the 8 of fastcodes."""


def page_of(record: dict[str, Any], name: str, lines: list[Line], promises: Sequence[Promise]) -> str:
    """Return the page."""
    return (
        f"# Recall by bytes and by speed, {record['date']}\n\n{records.facts_as_list(record)}\n"
        f"{ABOUT}\n\n"
        f"![Recall by bytes and by speed]({name}.png)\n\n"
        f"{records.table(HEADINGS, [line.cells() for line in lines])}\n\n"
        + (f"{records.promise_table(promises)}\n\n{records.missed(promises)}\n" if promises else "")
    )


# --- the picture --------------------------------------------------------------------------------------------


COLOURS = {
    "RaBitQ": "#0072b2",
    "RaBitQ, calibrated": "#000000",
    "RaBitQFastScan": "#56b4e9",
    "PQ, 8 bits": "#d55e00",
    "PQ, 4 bits": "#e69f00",
    "PQFastScan": "#e69f00",
    "OPQ, 8 bits": "#cc79a7",
    "scalar": "#999999",
    "EDEN": "#009e73",
    "EDEN, biased": "#66c2a5",
    "TQ+": "#8c564b",
    "residual": "#7f3fbf",
    "additive": "#c03060",
    "composite": "#e08214",
}
STYLES = {
    "fastcodes": ("o", "-"),
    "faiss": ("s", "--"),
    "turbovec": ("^", ":"),
    "rabitqlib": ("D", ":"),
}
GREY = "#57606a"


def draw(lines: list[Line], path: Path, record: dict[str, Any]) -> None:
    """Draw recall by bytes above recall by speed, one column for each data set."""
    names = list(dict.fromkeys(line.data for line in lines))
    figure = Figure(figsize=(5.2 * len(names), 10), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, len(names), sharey="col", squeeze=False)
    handles: dict[str, Any] = {}
    for (by_bytes, by_speed), name in zip(grid.T, names, strict=True):
        curves: dict[tuple[str, str], list[Line]] = {}
        for line in lines:
            if line.data == name:
                curves.setdefault((line.by, line.codec), []).append(line)
        for (by, codec), curve in curves.items():
            marker, dashes = STYLES[by]
            style: dict[str, Any] = {
                "color": COLOURS[codec],
                "marker": marker,
                "markersize": 5,
                "markerfacecolor": COLOURS[codec] if by == "fastcodes" else "none",
                "linestyle": dashes,
                "linewidth": 1.4,
            }
            recalls = [line.recall for line in curve]
            (handle,) = by_bytes.plot([line.n_bytes for line in curve], recalls, **style)
            by_speed.plot([line.queries_per_second for line in curve], recalls, **style)
            handles.setdefault(f"{by}: {codec}", handle)
        by_bytes.set_title(name, loc="left", fontsize=12)
        by_bytes.set_xlabel("bytes per vector")
        by_bytes.set_xscale("log", base=2)
        by_bytes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        by_speed.set_xlabel("queries per second, one thread (farther right is better)")
        by_speed.set_xscale("log")
        by_speed.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        for axes in (by_bytes, by_speed):
            axes.set_ylabel("recall@10")
            axes.grid(color="#e6e8eb", linewidth=0.8)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    versions = {one["name"]: one["version"] for one in record["contestants"]}
    shown = [by for by in STYLES if by in versions]
    figure.suptitle(
        f"{record['machine']['cpu']}; " + ", ".join(f"{by} {versions[by]}" for by in shown),
        fontsize=8,
        color=GREY,
    )
    figure.savefig(path)
