"""Multi-index hashing compared with a scan and with faiss, and their times by radius; writes a record.

The codes are those of `test_index.py`.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import records
from fastcodes import hamming
from fastcodes._typing import Array
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from test_index import CODE_BITS, N_CODES, K, faiss_multi_hash, grouped_codes, multi_index, nearest_distances

WORK = (None, *range(9))
"""The nearest, and all within a radius."""
N_SEARCHED = {"fastcodes": 1000, "faiss": 1000, "scan": 20}
"""Queries of a call: a scan takes the same time for each."""
N_PASSES = 5
ABOUT = f"""\
{N_CODES:,} codes of {CODE_BITS} bits in groups of about 20 that differ in a few bits; queries differ from
codes in a few bits, too. Times are microseconds per query on one thread: the best of {N_PASSES} passes over
all contestants, of {N_SEARCHED["fastcodes"]:,} queries in one call. The scan is `hamming.knn` or
`hamming.radius`, of {N_SEARCHED["scan"]} queries. Both indexes have the same number of tables. faiss is
`IndexBinaryMultiHash`, and flips as many bits of each key as the radius needs, or one for the {K} nearest.
All distances are compared with those of a scan, itself checked by numpy: "wrong" is the number of queries
with other distances. A ratio is a time, divided by that of fastcodes."""
HEADINGS = ["search", "fastcodes", "scan", "faiss", "scan, ratio", "faiss, ratio", "wrong, faiss"]


def main() -> None:
    """Measure everything, print it, and write the record."""
    record = records.facts()
    lines = measure()
    path = records.name(record, "multi-index")
    page = (
        f"# Multi-index hashing, {record['date']}\n\n{records.facts_as_list(record)}\n{ABOUT}\n\n"
        f"![Time by radius]({path.name}.png)\n\n{records.table(HEADINGS, [cells(line) for line in lines])}\n"
    )
    print("\n" + page)
    records.write(path, record | {"lines": lines}, page)
    draw(lines, path.with_suffix(".png"), record)
    print(f"record: {path}.json, .md, .png")


# --- measurements -------------------------------------------------------------------------------------------


def measure() -> list[dict[str, Any]]:
    """Check all answers, then time them in turns."""
    lines: list[dict[str, Any]] = [{"radius": radius, "seconds": {}, "wrong": {}} for radius in WORK]
    for n_pass in range(N_PASSES):
        for line in lines:
            for name, search in searches(line["radius"]).items():
                start = time.perf_counter()
                answer = search()
                seconds = (time.perf_counter() - start) / N_SEARCHED[name]
                if n_pass == 0:
                    line["wrong"][name] = n_wrong(answer, line["radius"], N_SEARCHED[name])
                line["seconds"][name] = min(seconds, line["seconds"].get(name, np.inf))
    if any(line["wrong"]["fastcodes"] or line["wrong"]["scan"] for line in lines):
        raise AssertionError("an exact search is wrong")
    return lines


def searches(radius: int | None) -> dict[str, Callable[[], Any]]:
    """Return the search of each contestant."""
    import faiss

    faiss.omp_set_num_threads(1)
    codes, queries = grouped_codes()
    few = {name: queries[:n] for name, n in N_SEARCHED.items()}
    theirs = faiss_multi_hash()
    theirs.nflip = 1 if radius is None else radius // theirs.nhash
    if radius is None:
        return {
            "fastcodes": lambda: multi_index().search(few["fastcodes"], K, threads=1),
            "scan": lambda: hamming.knn(few["scan"], codes, K, threads=1),
            "faiss": lambda: theirs.search(few["faiss"], K),
        }
    return {
        "fastcodes": lambda: multi_index().radius_search(few["fastcodes"], radius, threads=1),
        "scan": lambda: hamming.radius(few["scan"], codes, radius, threads=1),
        # What faiss calls a radius is the first distance beyond.
        "faiss": lambda: theirs.range_search(few["faiss"], radius + 1),
    }


def n_wrong(answer: Any, radius: int | None, n_queries: int) -> int:
    """Return the number of queries whose distances are not those of a scan."""

    def distances(query: int) -> tuple[Array, Array]:
        nearest = nearest_distances()[query]
        if radius is None:
            return answer[0][query], nearest[:K]
        start, stop = answer[0][query : query + 2]
        return answer[1][start:stop], nearest[nearest <= radius]

    found = (distances(query) for query in range(n_queries))
    return sum(not np.array_equal(np.sort(mine), expected) for mine, expected in found)


# --- the page and the picture -------------------------------------------------------------------------------


def cells(line: dict[str, Any]) -> list[str]:
    """Return a line of the table."""
    seconds, what = line["seconds"], f"{K} nearest" if line["radius"] is None else f"radius {line['radius']}"
    return [
        what,
        *(f"{1e6 * seconds[name]:,.1f}" for name in ("fastcodes", "scan", "faiss")),
        *(f"{seconds[name] / seconds['fastcodes']:,.1f}x" for name in ("scan", "faiss")),
        f"{line['wrong']['faiss']} of {N_SEARCHED['faiss']}",
    ]


STYLES = {"fastcodes": ("o-", "#0072b2"), "scan": ("^:", "#57606a"), "faiss": ("s--", "#d55e00")}


def draw(lines: list[dict[str, Any]], path: Path, record: dict[str, Any]) -> None:
    """Draw times by radius."""
    figure = Figure(figsize=(7, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    within = [line for line in lines if line["radius"] is not None]
    for name, (style, colour) in STYLES.items():
        times = [1e6 * line["seconds"][name] for line in within]
        axes.plot([line["radius"] for line in within], times, style, color=colour, label=name)
    axes.set(xlabel="radius", ylabel="microseconds per query, one thread", yscale="log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_title(f"{N_CODES:,} codes of {CODE_BITS} bits", loc="left", fontsize=12)
    axes.grid(color="#e6e8eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    figure.suptitle(record["machine"]["cpu"], fontsize=8, color="#57606a")
    figure.savefig(path)


if __name__ == "__main__":
    main()
