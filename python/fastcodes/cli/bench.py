"""The command `fastcodes bench`: the kernels on this CPU, against the roofline, numpy and installed peers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastcodes import _native, bits
from fastcodes._typing import Array
from fastcodes.cli.measure import (
    Comparison,
    best_time,
    compare_cdist,
    compare_knn,
    machine_line,
    random_codes,
    random_pq,
    sparse_codes,
)
from fastcodes.cli.peers import contestants
from fastcodes.cli.terminal import add_json, plain_table, print_json, thread_count

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["HELP", "add_arguments", "run"]

HELP = "measure the kernels on this CPU"
EXAMPLES = """examples:
  fastcodes bench
  fastcodes bench hamming --quick
  fastcodes bench --threads 4 --json > bench.json"""
SECONDS = (0.4, 0.1)
"""Of each measurement, in a full and in a quick run."""
N_BITS_OF_PACKED_ROWS = 768


@dataclass(frozen=True)
class Family:
    """One table: how many rows it works on, and the comparisons that are its lines."""

    n_rows: tuple[int, int]
    """In a full and in a quick run."""
    compare: Callable[[int, bool, int], Iterator[Comparison]]
    """`(n_rows, quick, threads) -> comparisons`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare family, `--quick` and `--threads`."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "family", nargs="?", choices=tuple(FAMILIES), metavar="FAMILY", help=", ".join(FAMILIES)
    )
    parser.add_argument("--quick", action="store_true", help="fewer codes and shapes: about 20 seconds")
    parser.add_argument(
        "--threads", type=thread_count, default=1, help="threads of each contestant (default: 1)"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    """Measure one family or all, and print a table for each."""
    quick, threads = arguments.quick, arguments.threads
    names = FAMILIES if arguments.family is None else (arguments.family,)
    if arguments.json:
        print_json(_facts(names, quick, threads))
        return
    from rich.console import Console

    console = Console()
    roofline = _native.roofline(SECONDS[quick]) / 1e9
    console.print(f"{machine_line()}. Best of several runs on {threads} thread{'s' * (threads > 1)}.")
    console.print("Compared with: " + ", ".join(peer.describe() for peer in contestants()[1:]))
    console.print(
        f"Roofline: {roofline:.0f} GB/s, the throughput of xor + popcount + add on registers alone with one "
        "thread; its column shows the share of it that was reached. The columns of the peers show how many "
        "times as fast fastcodes is (G dist/s: billions of distances per second). Answers are compared first."
    )
    for name in names:
        family = FAMILIES[name]
        n_rows = family.n_rows[quick]
        with console.status(f"measuring {name} ..."):
            comparisons = list(family.compare(n_rows, quick, threads))
        console.print()
        console.print(_table(f"fastcodes.{name}, {n_rows:,} rows", comparisons, roofline * threads))


def _facts(names: Iterable[str], quick: bool, threads: int) -> dict[str, Any]:
    """Measure families; rates are billions of units per second, and ratios those of fastcodes to a peer."""
    roofline = _native.roofline(SECONDS[quick]) / 1e9
    families = {}
    for name in names:
        n_rows = FAMILIES[name].n_rows[quick]
        families[name] = {
            "rows": n_rows,
            "work": [
                {
                    "name": one.work,
                    "unit": one.unit,
                    "rates": one.rates,
                    "ratios": {peer: one.ratio(peer) for peer in one.rates if peer != "fastcodes"},
                    "remarks": one.remarks,
                }
                for one in FAMILIES[name].compare(n_rows, quick, threads)
            ],
        }
    return {
        "machine": machine_line(),
        "threads": threads,
        "roofline_gb_per_s": roofline,
        "peers": [peer.describe() for peer in contestants()[1:]],
        "families": families,
    }


def _table(title: str, comparisons: list[Comparison], roofline: float) -> Table:
    names = {name for one in comparisons for name in (*one.rates, *one.remarks)}
    others = [peer.name for peer in contestants()[1:] if peer.name in names]
    table = plain_table(
        ("work", comparisons[0].unit, "roofline", *others),
        title=title,
        title_justify="left",
        title_style="bold",
        padding=0,
        show_edge=False,
    )
    for one in comparisons:
        rate = one.rates["fastcodes"]
        share = f"{rate * one.bytes_per_unit / roofline:.0%}" if one.bytes_per_unit else "-"
        ratios = [
            f"{one.ratio(name):.1f}x" if name in one.rates else one.remarks.get(name, "-") for name in others
        ]
        table.add_row(one.work, f"{rate:.3g}", share, *ratios)
    return table


# --- searches -----------------------------------------------------------------------------------------------


def _hamming(n: int, quick: bool, threads: int) -> Iterator[Comparison]:
    compare = partial(compare_knn, "hamming", peers=contestants(), seconds=SECONDS[quick], threads=threads)
    for n_bits in (64, 256, 1024) if quick else (64, 128, 256, 512, 768, 1024, 4096):
        codes = random_codes(n, n_bits // 8)
        queries = random_codes(100, n_bits // 8, seed=1)
        for n_queries in (100, 1):
            work = f"knn {n_bits} bits, {_queries(n_queries)}, k=10"
            yield compare(work, queries[:n_queries], codes, 10)
        if n_bits == 256:
            for k in (1, 1000) if quick else (1, 100, 1000):
                yield compare(f"knn {n_bits} bits, 100 queries, k={k}", queries, codes, k)
    n_left = 100 if quick else 1000
    yield compare_cdist(n_left, 10_000, peers=contestants(), seconds=SECONDS[quick], threads=threads)


def _jaccard(n: int, quick: bool, threads: int) -> Iterator[Comparison]:
    compare = partial(compare_knn, "jaccard", peers=contestants(), seconds=SECONDS[quick], threads=threads)
    codes, queries = sparse_codes(n, 256), sparse_codes(100, 256, seed=1)
    for n_queries, k in ((100, 10), (1, 10)) if quick else ((100, 10), (1, 10), (100, 1000)):
        yield compare(f"knn 2048 bits, {_queries(n_queries)}, k={k}", queries[:n_queries], codes, k)


def _adc(n: int, quick: bool, threads: int) -> Iterator[Comparison]:
    """Search packed codes; computing the look-up tables of the queries is part of the work."""
    compare = partial(compare_knn, "adc", peers=contestants(), seconds=SECONDS[quick], threads=threads)
    for n_subspaces in (16,) if quick else (8, 16, 32):
        codebooks, codes, queries = random_pq(n, n_subspaces)
        for n_queries in (100, 1):
            work = f"knn {n_subspaces}x256, {_queries(n_queries)}, k=10"
            yield compare(work, queries[:n_queries], codes, 10, codebooks=codebooks)


def _queries(n: int) -> str:
    return "1 query" if n == 1 else f"{n} queries"


# --- bits ---------------------------------------------------------------------------------------------------


def _bits(n: int, quick: bool, threads: int) -> Iterator[Comparison]:
    """Compare with numpy, on all rows ("from memory") and on the first 100 ("in cache")."""
    compare = partial(_compare_conversion, seconds=SECONDS[quick])
    n_bits = N_BITS_OF_PACKED_ROWS
    floats = np.random.default_rng(0).standard_normal((n, n_bits), np.float32)
    pack = partial(bits.pack, threads=threads)
    unpack = partial(bits.unpack, n_bits=n_bits, threads=threads)
    packbits, unpackbits = partial(np.packbits, axis=-1), partial(np.unpackbits, axis=-1)
    for place, rows in (("from memory", slice(None)), ("in cache", slice(100))):
        for dtype in ("float32", "float16"):
            values = floats[rows].astype(dtype)
            yield compare(f"pack {dtype} {place}", pack, _pack_signs, values, values.nbytes)
        flags = floats[rows] > 0
        yield compare(f"pack bool {place}", pack, packbits, flags, flags.nbytes)
        codes = np.packbits(flags, axis=-1)
        yield compare(f"unpack to uint8 {place}", unpack, unpackbits, codes, flags.nbytes)


def _pack_signs(values: Array) -> Array:
    return np.packbits(values > 0, axis=-1)


def _compare_conversion(
    work: str,
    mine: Callable[[Array], Array],
    theirs: Callable[[Array], Array],
    values: Array,
    n_bytes: int,
    *,
    seconds: float,
) -> Comparison:
    """Time one conversion of fastcodes and numpy; `n_bytes` is the size of the unpacked side."""
    comparison = Comparison(work, "GB/s", n_bytes / 1e9)
    expected = mine(values)
    for name, call in (("fastcodes", mine), ("numpy", theirs)):
        if not np.array_equal(expected, call(values)):
            comparison.remarks[name] = "disagrees"
            continue
        # One conversion of a small input takes about as long as the resolution of the clock.
        repeats = max(1, (1 << 22) // n_bytes)
        best = best_time(partial(_repeat, call, values, repeats), seconds)
        comparison.rates[name] = repeats * comparison.amount / best
    return comparison


def _repeat(call: Callable[[Array], Array], values: Array, times: int) -> None:
    for _ in range(times):
        call(values)


FAMILIES = {
    "bits": Family((100_000, 20_000), _bits),
    "hamming": Family((1_000_000, 200_000), _hamming),
    "jaccard": Family((1_000_000, 200_000), _jaccard),
    "adc": Family((1_000_000, 200_000), _adc),
}
