"""Recall of product quantisation on real data beside faiss: a table, a record of it and a picture."""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import records
from fastcodes import _native
from fastcodes.cli.measure import best_time
from fastcodes.cli.peers import PQ_ITERATIONS, Array, Peer, Search, contestants
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("FASTCODES_DATA", ROOT.parent / "shared" / "data"))
PEERS = ("fastcodes", "faiss")
KS = (1, 10, 100)
SECONDS = 1.0  # for each measurement of speed
# Another seed moves R@1 by .01 and more, as much as is promised, so there are several.
TRAININGS = {"PQ": 5, "OPQ": 2}


@dataclass(frozen=True)
class Setting:
    """A quantiser: "PQ" or "OPQ", and the codes that it makes."""

    model: str
    n_subspaces: int
    n_bits: int

    def __str__(self) -> str:
        return f"{self.model} {self.n_subspaces}x{self.n_bits}"

    @property
    def n_bytes(self) -> int:
        """Of a code."""
        return self.n_subspaces * self.n_bits // 8


@dataclass(frozen=True)
class DataSet:
    """Vectors to learn from, to search and to ask for, and the nearest neighbour of each query."""

    name: str
    learn: Array
    base: Array
    queries: Array
    nearest: Array


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
        """Give the line as the table shows it."""
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


LINE_HEADINGS = ["data", "codes", "bytes", "by", *(f"R@{k}" for k in KS), "trainings", "each", "queries/s"]
PROMISE_HEADINGS = ["promise", "at least", "measured", "met"]

PQ_64, OPQ_64 = Setting("PQ", 8, 8), Setting("OPQ", 8, 8)
PUBLISHED = {PQ_64: (0.283, 0.826, 0.996), OPQ_64: (0.361, 0.879, 0.999)}
PROMISED_ON_MNIST = {PQ_64: (0.285, 0.83, 0.996), OPQ_64: (0.385, 0.90, 0.999)}
PROMISED_OPQ_TRAINING = 3.0  # times as fast as faiss
PROMISED_ON_SIFT = (PQ_64, Setting("PQ", 16, 8), Setting("PQ", 16, 4), OPQ_64)
BEHIND_FAISS_AT_MOST = 0.01
DRAWN = [
    Setting(model, 8 * n_bytes // n_bits, n_bits)
    for model, n_bits in (("PQ", 4), ("PQ", 8), ("OPQ", 8))
    for n_bytes in (4, 8, 16, 32)
]


def main() -> None:
    """Measure everything; print it and write it down."""
    missing = [name for name in PEERS if name not in [peer.name for peer in contestants()]]
    if missing:
        sys.exit(f"{missing[0]} is not installed: make bench-recall installs it where it can")
    record = records.facts()
    lines: list[Line] = []
    for data, settings in ((mnist(), (PQ_64, OPQ_64)), (sift(), DRAWN)):
        for setting in settings:
            for line in measure(data, setting):
                lines.append(line)
                print("  ".join(line.cells()), flush=True)
    promises = list(promises_on(lines))
    path = records.name(record, "recall")
    page = page_of(record, path.name, lines, promises)
    print("\n" + page)
    record["lines"] = [asdict(line) for line in lines]
    record["promises"] = [{**asdict(promise), "met": promise.met} for promise in promises]
    records.write(path, record, page)
    draw([line for line in lines if line.data == "SIFT"], path.with_suffix(".png"), record)
    print(f"record: {path}.json, .md, .png")


# --- data ---------------------------------------------------------------------------------------------------


def load(name: str) -> dict[str, Array]:
    """Give the arrays of one file, those of bytes as float32."""
    path = DATA / name
    if not path.exists():
        sys.exit(f"{path}: no such file; set FASTCODES_DATA to the folder of {name}")
    with np.load(path) as file:
        return {
            key: file[key].astype(np.float32) if file[key].dtype == np.uint8 else file[key] for key in file
        }


def mnist() -> DataSet:
    """Give the pixels: the training images are learnt from and searched."""
    arrays = load("mnist.npz")
    train, queries = (arrays[key].reshape(len(arrays[key]), -1) for key in ("train_x", "test_x"))
    return DataSet("MNIST", train, train, queries[:1000], nearest(queries[:1000], train))


def sift() -> DataSet:
    """Give the SIFT descriptors of photographs."""
    arrays = load("sift_photos_u8.npz")
    return DataSet("SIFT", arrays["learn"], arrays["base"], arrays["query"], arrays["groundtruth"][:, 0])


def nearest(queries: Array, base: Array) -> Array:
    """Give the nearest of each query; sums of squared bytes are exact in float64, not in float32."""
    wide = base.astype(np.float64)
    squares = np.einsum("ij,ij->i", wide, wide)
    blocks = np.array_split(queries.astype(np.float64), -(-len(queries) // 100))
    return np.concatenate([np.argmin(squares - 2 * block @ wide.T, axis=1) for block in blocks])


# --- measurements -------------------------------------------------------------------------------------------


def measure(data: DataSet, setting: Setting) -> Iterator[Line]:
    """Train, encode and search with each contestant."""
    is_promised = data.name == "MNIST" or setting in PROMISED_ON_SIFT
    n_trainings = TRAININGS[setting.model] if is_promised else 1
    if data.name == "MNIST":
        yield Line(data.name, str(setting), setting.n_bytes, "published", PUBLISHED[setting])
    for peer in contestants():
        if peer.name in PEERS:
            yield measure_peer(data, setting, peer, n_trainings)


def measure_peer(data: DataSet, setting: Setting, peer: Peer, n_trainings: int) -> Line:
    """Train with all threads, search with one; give the means over trainings with different seeds."""
    trained = [measure_training(data, setting, peer, seed) for seed in range(n_trainings)]
    *_, search = trained[-1]
    with threadpool_limits(1):
        seconds = best_time(lambda: search(data.queries, 10), SECONDS)
    return Line(
        data.name,
        str(setting),
        setting.n_bytes,
        peer.name,
        tuple(np.mean([recall for recall, _, _ in trained], axis=0).round(4).tolist()),
        n_trainings,
        float(np.mean([seconds for _, seconds, _ in trained])),
        len(data.queries) / seconds,
    )


def measure_training(
    data: DataSet, setting: Setting, peer: Peer, seed: int
) -> tuple[list[float], float, Search]:
    """Give recall at each of `KS`, seconds of training, and the search."""
    assert peer.pq_fit is not None
    assert peer.adc_encode is not None
    assert peer.adc_knn is not None
    threads = _native.threads()
    started = time.perf_counter()
    with threadpool_limits(threads):
        codebooks, rotation = peer.pq_fit(
            data.learn, setting.n_subspaces, 1 << setting.n_bits, setting.model == "OPQ", seed
        )
    seconds = time.perf_counter() - started

    def rotated(x: Array) -> Array:
        return x if rotation is None else x @ rotation.T

    search_rotated = peer.adc_knn(codebooks, peer.adc_encode(rotated(data.base), codebooks, threads), 1)

    def search(queries: Array, k: int) -> tuple[Array, Array]:
        return search_rotated(rotated(queries), k)

    hits = search(data.queries, max(KS))[1] == data.nearest[:, None]
    return [float(hits[:, :k].any(axis=1).mean()) for k in KS], seconds, search


def promises_on(lines: list[Line]) -> Iterator[Promise]:
    """Hold the measurements against what is promised."""
    by_name = {(line.data, line.setting, line.contestant): line for line in lines}
    for setting, needs in PROMISED_ON_MNIST.items():
        for k, need, recall in zip(
            KS, needs, by_name["MNIST", str(setting), "fastcodes"].recall, strict=True
        ):
            yield Promise(f"MNIST, {setting}: R@{k}", need, recall)
    ours, theirs = (by_name["MNIST", str(OPQ_64), peer].training_seconds for peer in PEERS)
    yield Promise(f"MNIST, {OPQ_64}: training, times as fast as faiss", PROMISED_OPQ_TRAINING, theirs / ours)
    for setting in PROMISED_ON_SIFT:
        pairs = zip(*(by_name["SIFT", str(setting), peer].recall for peer in PEERS), strict=True)
        for k, (recall, of_faiss) in zip(KS, pairs, strict=True):
            what = f"SIFT, {setting}: R@{k}, that of faiss less {BEHIND_FAISS_AT_MOST}"
            yield Promise(what, round(of_faiss - BEHIND_FAISS_AT_MOST, 4), recall)


# --- the record ---------------------------------------------------------------------------------------------


ABOUT = """\
R@k: the share of 1000 queries whose true nearest neighbour (exact squared L2, the lower id of equals) is
among the first k. MNIST: pixels; the 60000 training images are learnt from and searched. SIFT: descriptors of
photographs; 50000 are learnt from, 250000 searched. AxB: A subspaces, B bits for each.

Both sides train on {threads} threads, with {iterations} iterations of k-means and their own defaults of OPQ;
faiss trains on 256 vectors for each codeword at most. R@k is the mean over so many trainings with different
seeds, and "each" the mean time of one. Both search on one thread, all queries in one call with k = 10,
rotation and tables included. faiss is IndexPQ, with 4 bits IndexPQFastScan, whose distances are approximate.
Published: Blalock and Guttag, Bolt, KDD 2017, from their repository."""


def page_of(record: dict[str, Any], name: str, lines: list[Line], promises: list[Promise]) -> str:
    """Give the page for people."""
    n_missed = sum(not promise.met for promise in promises)
    return (
        f"# Recall of product quantisation, {record['date']}\n\n{records.facts_as_list(record)}\n"
        f"{ABOUT.format(threads=record['machine']['cpus'], iterations=PQ_ITERATIONS)}\n\n"
        f"![Recall by size and by speed]({name}.png)\n\n"
        f"{records.table(LINE_HEADINGS, [line.cells() for line in lines])}\n\n"
        f"{records.table(PROMISE_HEADINGS, [promise.cells() for promise in promises])}\n\n"
        f"{n_missed} of {len(promises)} promises not met\n"
    )


COLOURS = {"fastcodes": "#0072b2", "faiss": "#d55e00"}  # apart for the colour-blind too
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
    for place, (contestant, looks) in enumerate({"faiss": "hollow", "fastcodes": "filled"}.items()):
        by_size.text(
            0.97,
            0.14 + 0.06 * place,
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
    by_speed.set_xlim(slowest / 2, fastest * 6)  # room for the names
    ours, theirs = (named(curves, contestant, f"{contestant} ") for contestant in PEERS)
    name_curves(by_speed, ours, 1.2 * max(map(rate_of, ours.values())), "left", COLOURS["fastcodes"])
    *slow, fast = theirs.items()  # those of 8 bits are far from that of 4
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
    """Give the line of the shortest codes of each model, by the name to be written beside it."""
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
    # Where both recalls are the same, the one is seen around the other.
    around = {} if is_ours else {"markersize": 11, "linestyle": "none"}
    by_size.plot([line.n_bytes for line in curve], recalls, **{"markersize": 5.5, **style, **around})
    by_speed.plot(list(map(rate_of, curve)), recalls, markersize=6, **style)
    # Of curves that are close to each other one says how long the codes are.
    places = {"PQ, 8 bits": (5, 6), "PQ, 4 bits": (-24, -9)}
    if model in places and (contestant, model) != ("fastcodes", "PQ, 4 bits"):
        for line in curve[1:]:
            by_speed.annotate(
                f"{line.n_bytes} B",
                (rate_of(line), recall_at_10(line)),
                places[model],
                textcoords="offset points",
                fontsize=8,
                color=GREY,
            )


def name_curves(axes: Any, curves: dict[str, Line], x: float, side: str, colour: str) -> None:
    """Write names at the height of the given lines, to a side of `x`, and none over another."""
    height = -1.0
    for name, line in sorted(curves.items(), key=lambda item: recall_at_10(item[1])):
        height = max(recall_at_10(line), height + 0.035)
        axes.text(x, height, name, ha=side, va="center", color=colour, fontsize=9)


if __name__ == "__main__":
    main()
