"""Recall by bytes and by speed of all codecs on real data, compared with the peers: a record and a picture.

Names of data sets as arguments ("SIFT", "captions", "MNIST") select what to measure and print; only a run of
all of them writes a record.
"""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace

import datasets
import numpy as np
import records
import tradeoff_report as report
from fastcodes import _native
from fastcodes._typing import Array
from fastcodes.cli.measure import best_time
from records import Promise
from threadpoolctl import threadpool_limits
from tradeoff_contestants import Contestant, DataSet, bits_text, contestants
from tradeoff_report import Line

K = 10
N_QUERIES = 500
N_TIMED = 100
"""Queries of the call that is timed."""
SECONDS = 1.0
"""Of each measurement of speed."""
N_SIFT = 100_000
MARGIN = 0.0
"""Of recall, above the best peer with as many bits per dimension."""


def main() -> None:
    """Measure everything, print it, and write the record."""
    os.environ["RAYON_NUM_THREADS"] = "1"  # turbovec takes no number of threads
    chosen = sys.argv[1:] or list(DATA)
    record = records.facts()
    lines: list[Line] = []
    for name in chosen:
        data = with_nearest(DATA[name]())
        for contestant in contestants(data):
            lines.append(measure(data, contestant))
            print("  ".join(lines[-1].cells()), flush=True)
    promises = list(promises_on(lines))
    path = records.name(record, "tradeoff")
    page = report.page_of(record, path.name, lines, promises)
    print("\n" + page)
    if chosen == list(DATA):
        record["lines"] = [asdict(line) for line in lines]
        record["promises"] = [promise.entry() for promise in promises]
        records.write(path, record, page)
        report.draw(lines, path.with_suffix(".png"), record)
        print(f"record: {path}.json, .md, .png")


# --- data ---------------------------------------------------------------------------------------------------


def sift() -> DataSet:
    """Return the SIFT descriptors of photographs."""
    arrays = datasets.load("sift_photos_u8.npz")
    training, base, queries = (arrays[name].astype(np.float32) for name in ("learn", "base", "query"))
    return DataSet("SIFT", "l2", training, base[:N_SIFT], queries[:N_QUERIES], np.empty(0))


def captions() -> DataSet:
    """Return sentence embeddings of captions, of length 1."""
    x = datasets.load("coco_minilm_f16.npz")["embedding"].astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    order = np.random.default_rng(0).permutation(len(x))
    base = x[order[N_QUERIES:]]
    return DataSet("captions", "ip", base, base, x[order[:N_QUERIES]], np.empty(0))


def mnist() -> DataSet:
    """Return the pixels of digits: the training images are also the database."""
    images = datasets.mnist()
    base, queries = datasets.as_rows(images.train), datasets.as_rows(images.test[:N_QUERIES])
    return DataSet("MNIST", "l2", base, base, queries, np.empty(0))


DATA: dict[str, Callable[[], DataSet]] = {"SIFT": sift, "captions": captions, "MNIST": mnist}


def with_nearest(data: DataSet) -> DataSet:
    """Add the nearest neighbors of the queries, ties to the lower id."""
    # Of vectors of equal length, those with the largest inner products are nearest.
    blocks = datasets.distance_blocks(data.queries, data.base)
    nearest = [np.argsort(block, axis=1, kind="stable")[:, :K] for block in blocks]
    return replace(data, nearest=np.concatenate(nearest))


# --- measurements -------------------------------------------------------------------------------------------


def measure(data: DataSet, contestant: Contestant) -> Line:
    """Encode the database, then search it with all threads for the recall and with one for the time."""
    with threadpool_limits(_native.threads()):
        n_bytes, search = contestant.encode(data)
        recall = shared(search(data.queries, K, _native.threads()), data.nearest)
    timed = data.queries[:N_TIMED]
    with threadpool_limits(1):
        seconds = best_time(lambda: search(timed, K, 1), SECONDS)
    return Line(
        data.name,
        contestant.codec,
        contestant.size,
        round(n_bytes, 1),
        contestant.by,
        round(recall, 4),
        len(timed) / seconds,
        contestant.n_bits,
    )


def shared(found: Array, nearest: Array) -> float:
    """Return the share of the nearest neighbors that were found."""
    return float((found[:, :, None] == nearest[:, None]).any(axis=1).mean())


def promises_on(lines: list[Line]) -> Iterator[Promise]:
    """Compare the best codes of fastcodes with the best of the peers at equal bits per dimension."""
    by_size: dict[tuple[str, int], list[Line]] = {}
    for line in lines:
        if line.n_bits is not None:
            by_size.setdefault((line.data, line.n_bits), []).append(line)
    for (data, n_bits), group in by_size.items():
        mine = [line.recall for line in group if line.by == "fastcodes"]
        theirs = [line for line in group if line.by != "fastcodes"]
        if mine and theirs:
            best = max(theirs, key=lambda line: line.recall)
            what = f"{data}, {bits_text(n_bits)}: recall@{K} of {best.by} {best.codec}"
            yield Promise(what, round(best.recall + MARGIN, 4), max(mine))


if __name__ == "__main__":
    main()
