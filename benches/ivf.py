"""Queries per second by recall of indexes with inverted lists, compared with the peers; writes a record.

A number of rows as argument measures fewer of them, and writes no record.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import datasets
import numpy as np
import records
from fastcodes._typing import Array
from fastcodes.index import FlatIndex, IVFIndex
from fastcodes.quantization import KMeans, ProductQuantizer, RaBitQuantizer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

K = 10
N_ROWS = 1_000_000
N_LISTS = 1024
N_PROBES = (8, 12, 16, 20, 24, 32, 40, 48, 64)
OVERSAMPLES = (4, 8, 16, 24, 32)
OVERSAMPLES_OF_FLAT = (16, 32, 64)
SHARE_OF_DIFFERENCE = 0.3
SEED = 0
N_PASSES = 4
SLACK = 1.25
"""A setting is dropped if another one with at least its recall is this many times as fast at first."""
LEAST_RECALL = 0.8
"""Of settings that are timed."""
RECALLS = (0.90, 0.95)
OURS = "fastcodes"

ABOUT = f"""\
{N_ROWS:,} vectors of 128 dimensions: 300,000 SIFT descriptors of photographs, and descriptors plus
{SHARE_OF_DIFFERENCE} times the difference of two random ones, rounded and clipped to bytes. The queries are
1,000 other descriptors. recall@10: the share of rows found whose L2 distance is at most that of the tenth of
an exact search. A search takes all queries in one call on one thread. It scores the `oversample` times 10
nearest by codes again by their float32 vectors (IndexRefine in faiss). rabitqlib does so while it searches
for "1 bit, vectors", and does not for 4 and 7 bits.

All have {N_LISTS} lists, of which a search looks at `probes`; "flat" is a scan of all codes. Codes of PQ 32x4
and 16x8 take 16 bytes, those of RaBitQ 16 bytes for each bit, and factors; all RaBitQ codes are of residuals.
"fs" is the fast scan of faiss, whose RaBitQ follows a random rotation. Times are the best of {N_PASSES + 1}
passes over all contestants. Settings that find less than {LEAST_RECALL} of the nearest, or that others
clearly beat, are left out. turbovec has no lists, and no L2 distances."""


def main() -> None:
    """Measure everything, print it, and write the record."""
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else N_ROWS
    record = records.facts()
    data = data_of(n_rows)
    runs = []
    for contestant in contestants():
        start = time.perf_counter()
        runs.append((contestant, contestant.build(data.base)))
        print(f"built {contestant.by} {contestant.codec}: {time.perf_counter() - start:.0f} s", flush=True)
    lines = measure(data, runs)
    path = records.name(record, "ivf")
    page = page_of(record, path.name, lines)
    print("\n" + page)
    if n_rows == N_ROWS:
        record["lines"] = [asdict(line) for line in lines]
        record["ratios"] = ratios(lines)
        records.write(path, record, page)
        draw(lines, path.with_suffix(".png"), record)
        print(f"record: {path}.json, .md, .png")


# --- data ---------------------------------------------------------------------------------------------------


class Data(NamedTuple):
    """Vectors, queries, and the squared distance of each query to its tenth nearest vector."""

    base: Array
    queries: Array
    farthest: Array

    def recall(self, found: Array) -> float:
        """Return the share of rows found that are among the nearest; distances are exact in float32."""
        found = np.sort(found, axis=1)
        is_new = np.diff(found, axis=1, prepend=-1) > 0  # neither padding nor a repetition
        distances = np.square(self.base[found] - self.queries[:, None]).sum(axis=2)
        return float((is_new & (distances <= self.farthest[:, None])).mean())


def data_of(n_rows: int) -> Data:
    """Return descriptors, and others made from them."""
    arrays = datasets.load("sift_photos_u8.npz")
    rng = np.random.default_rng(SEED)
    real = np.concatenate([arrays["base"], arrays["learn"]])
    base = np.empty((n_rows, real.shape[1]), np.float32)
    base[: len(real)] = real[:n_rows]
    made = base[len(real) :]
    if len(made):
        x, y, z = (real[rng.integers(0, len(real), len(made))].astype(np.float32) for _ in range(3))
        np.clip(np.rint(x + SHARE_OF_DIFFERENCE * (y - z)), 0, 255, out=made)
    queries = arrays["query"].astype(np.float32)

    def farthest() -> dict[str, Array]:
        blocks = datasets.distance_blocks(queries, base)
        tenth = np.concatenate([np.partition(block, K - 1, axis=1)[:, K - 1] for block in blocks])
        return {"tenth": tenth + np.square(queries, dtype=np.float64).sum(axis=1)}

    return Data(base, queries, datasets.cached(f"ivf-{n_rows}", farthest)["tenth"])


# --- contestants --------------------------------------------------------------------------------------------


class Setting(NamedTuple):
    """What a search looks at; None where the index has no such parameter."""

    probes: int | None = None
    oversample: int | None = None

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self._asdict().items() if value is not None)


Search: TypeAlias = Callable[[Array, Setting], Array]
"""`(queries, setting) -> ids`."""


@dataclass(frozen=True)
class Contestant:
    """An index of one library."""

    by: str
    codec: str
    settings: list[Setting]
    build: Callable[[Array], Search]


def contestants() -> Iterator[Contestant]:
    """Yield the indexes of fastcodes, then those of the peers that are installed."""
    for family in (_ours, _faiss, _rabitqlib):
        try:
            yield from family()
        except ImportError:
            continue


def _settings() -> list[Setting]:
    return [Setting(*setting) for setting in product(N_PROBES, OVERSAMPLES)]


def _ours() -> Iterator[Contestant]:
    def lists(codec: Any, by_residual: bool = True) -> Callable[[Array], Search]:
        def build(base: Array) -> Search:
            index = IVFIndex(codec, N_LISTS, by_residual=by_residual, random_state=SEED).fit(base)
            index.add(base)
            return lambda queries, setting: index.search(
                queries, K, n_probes=setting.probes, rerank=base, oversample=setting.oversample, threads=1
            )[1]

        return build

    def flat(base: Array) -> Search:
        index = FlatIndex(RaBitQuantizer(1, random_state=SEED).fit(base[:: max(1, len(base) // 50_000)]))
        index.add(base)
        return lambda queries, setting: index.search(
            queries, K, rerank=base, oversample=setting.oversample, threads=1
        )[1]

    pq, rabitq = ProductQuantizer(32, 16, random_state=SEED), RaBitQuantizer(1, random_state=SEED)
    calibrated = RaBitQuantizer(1, calibrate=True, random_state=SEED)
    yield Contestant(OURS, "PQ 32x4", _settings(), lists(pq, by_residual=False))
    yield Contestant(OURS, "PQ 32x4, residuals", _settings(), lists(pq))
    yield Contestant(OURS, "RaBitQ, 1 bit", _settings(), lists(rabitq))
    yield Contestant(OURS, "RaBitQ, 1 bit, calibrated", _settings(), lists(calibrated))
    settings = [Setting(oversample=oversample) for oversample in OVERSAMPLES_OF_FLAT]
    yield Contestant(OURS, "RaBitQ, 1 bit, flat", settings, flat)


def _faiss() -> Iterator[Contestant]:
    import faiss

    vectors: list[Any] = []

    def lists(kind: str) -> Callable[[Array], Search]:
        def build(base: Array) -> Search:
            if not vectors:
                vectors.append(faiss.IndexFlatL2(base.shape[1]))
                vectors[0].add(base)
            codes = faiss.index_factory(base.shape[1], kind.format(f"IVF{N_LISTS}"))
            codes.train(base)
            codes.add(base)
            inverted, refined = faiss.extract_index_ivf(codes), faiss.IndexRefine(codes, vectors[0])

            def search(queries: Array, setting: Setting) -> Array:
                faiss.omp_set_num_threads(1)
                inverted.nprobe, refined.k_factor = setting.probes, setting.oversample
                ids: Array = refined.search(queries, K)[1]
                return ids

            return search

        return build

    for codec, kind in {
        "PQ 32x4, fs": "{},PQ32x4fs",
        "PQ 32x4, residuals, fs": "{},PQ32x4fsr",
        "PQ 16x8, residuals": "{},PQ16",
        "RaBitQ, 1 bit": "RR,{},RaBitQ",
        "RaBitQ, 1 bit, fs": "RR,{},RaBitQfs",
    }.items():
        yield Contestant("faiss", codec, _settings(), lists(kind))


def _rabitqlib() -> Iterator[Contestant]:
    import rabitqlib

    def lists(n_bits: int) -> Callable[[Array], Search]:
        def build(base: Array) -> Search:
            kmeans = KMeans(N_LISTS, max_iter=10, random_state=SEED).fit(base[:: max(1, len(base) // 65_536)])
            index = rabitqlib.IvfIndex(base.shape[1], len(base), N_LISTS, n_bits, "l2")
            index.build(base, kmeans.centers_, kmeans.predict(base).astype(np.uint32))

            def search(queries: Array, setting: Setting) -> Array:
                ids: Array = index.search(queries, K, setting.probes, num_threads=1)[0]
                return ids.astype(np.int64)

            return search

        return build

    for n_bits, codec in ((32, "RaBitQ, 1 bit, vectors"), (4, "RaBitQ, 4 bits"), (7, "RaBitQ, 7 bits")):
        yield Contestant("rabitqlib", codec, [Setting(probes) for probes in N_PROBES], lists(n_bits))


# --- measurements -------------------------------------------------------------------------------------------


@dataclass
class Line:
    """One setting of one contestant."""

    by: str
    codec: str
    setting: Setting
    recall: float
    queries_per_second: float

    def is_beaten(self, others: Sequence["Line"], slack: float = 1.0) -> bool:
        """Whether another one finds as much in less time."""
        return any(
            other.recall >= self.recall and other.queries_per_second > slack * self.queries_per_second
            for other in others
        )


def measure(data: Data, runs: Sequence[tuple[Contestant, Search]]) -> list[Line]:
    """Check the answers of all settings, then time those that are worth it, in turns."""

    def timed(search: Search, setting: Setting) -> tuple[float, Array]:
        start = time.perf_counter()
        found = search(data.queries, setting)
        return len(data.queries) / (time.perf_counter() - start), found

    chosen: list[tuple[Search, Line]] = []
    with threadpool_limits(1):
        for contestant, search in runs:
            search(data.queries[:1], contestant.settings[0])  # sorts rows into lists
            lines = []
            for setting in contestant.settings:
                speed, found = timed(search, setting)
                recall = round(data.recall(found), 4)
                lines.append(Line(contestant.by, contestant.codec, setting, recall, speed))
            lines = [
                line for line in lines if line.recall >= LEAST_RECALL and not line.is_beaten(lines, SLACK)
            ]
            chosen += [(search, line) for line in lines]
            print(f"checked {contestant.by} {contestant.codec}", flush=True)
        seconds = sum(len(data.queries) / line.queries_per_second for _, line in chosen)
        print(f"timing {len(chosen)} settings, {seconds:.0f} s a pass", flush=True)
        for _ in range(N_PASSES):
            for search, line in chosen:
                line.queries_per_second = max(line.queries_per_second, timed(search, line.setting)[0])
    return [line for _, line in chosen]


# --- the page and the picture -------------------------------------------------------------------------------


def by_contestant(lines: Sequence[Line]) -> dict[tuple[str, str], list[Line]]:
    """Return the lines of each contestant that no other one of them beats, by recall."""
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.by, line.codec), []).append(line)
    return {
        key: sorted((line for line in group if not line.is_beaten(group)), key=lambda line: line.recall)
        for key, group in groups.items()
    }


def fastest(lines: Sequence[Line], recall: float) -> Line | None:
    """Return the fastest setting with at least this recall."""
    enough = [line for line in lines if line.recall >= recall]
    return max(enough, key=lambda line: line.queries_per_second, default=None)


def ratios(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Compare each index of fastcodes with the best peer."""
    entries = []
    for recall in RECALLS:
        peer = fastest([line for line in lines if line.by != OURS], recall)
        for (by, codec), group in by_contestant(lines).items():
            mine = fastest(group, recall)
            if by == OURS and mine and peer:
                ratio = mine.queries_per_second / peer.queries_per_second
                entries.append(
                    {"recall": recall, "codec": codec, "peer": f"{peer.by} {peer.codec}", "ratio": ratio}
                )
    return entries


def page_of(record: dict[str, Any], name: str, lines: Sequence[Line]) -> str:
    """Return the page."""
    rows = []
    for (by, codec), group in by_contestant(lines).items():
        rows.append([by, codec])
        for recall in RECALLS:
            line = fastest(group, recall)
            rows[-1] += (
                [f"{line.queries_per_second:,.0f}", f"{line.recall:.4f}", str(line.setting)]
                if line
                else ["none", "", ""]
            )
    headings = ["by", "codec"]
    for recall in RECALLS:
        headings += [f"queries/s at {recall:.2f}", "recall@10", "setting"]
    compared = [
        [f"{one['recall']:.2f}", one["codec"], one["peer"], f"{one['ratio']:.2f}x"] for one in ratios(lines)
    ]
    return (
        f"# Inverted lists: queries per second by recall, {record['date']}\n\n"
        f"{records.facts_as_list(record)}\n{ABOUT}\n\n"
        f"![Queries per second by recall]({name}.png)\n\n"
        f"The fastest setting of each with a recall of at least {RECALLS[0]:.2f} and {RECALLS[1]:.2f}:\n\n"
        f"{records.table(headings, rows)}\n\n"
        f"Queries per second of fastcodes, by those of the fastest peer at the same recall:\n\n"
        f"{records.table(['recall@10', 'fastcodes', 'fastest peer', 'ratio'], compared)}\n"
    )


STYLES = {OURS: ("-", "#0072b2"), "faiss": ("--", "#d55e00"), "rabitqlib": (":", "#009e73")}
MARKERS = "so^Dv"
"""Of the contestants of one library."""


def draw(lines: Sequence[Line], path: Path, record: dict[str, Any]) -> None:
    """Draw a curve for each contestant."""
    figure = Figure(figsize=(9, 6.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    n_drawn: dict[str, int] = {}
    for (by, codec), group in by_contestant(lines).items():
        dashes, colour = STYLES[by]
        marker = MARKERS[n_drawn.setdefault(by, 0)]
        n_drawn[by] += 1
        axes.plot(
            [line.recall for line in group],
            [line.queries_per_second for line in group],
            color=colour,
            marker=marker,
            markersize=5,
            markerfacecolor=colour if by == OURS else "none",
            linestyle=dashes,
            linewidth=1.2,
            label=f"{by}: {codec}",
        )
    axes.set(
        xlabel="recall@10", ylabel="queries per second, one thread", yscale="log", xlim=(LEAST_RECALL, 1.005)
    )
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_title(
        f"{N_ROWS:,} SIFT descriptors and variations, {N_LISTS} lists, re-ranked", loc="left", fontsize=12
    )
    axes.grid(color="#e6e8eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    versions = {one["name"]: one["version"] for one in record["contestants"]}
    shown = ", ".join(f"{by} {versions[by]}" for by in STYLES if by in versions)
    figure.suptitle(f"{record['machine']['cpu']}; {shown}", fontsize=8, color="#57606a")
    figure.savefig(path)


if __name__ == "__main__":
    main()
