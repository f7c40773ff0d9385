"""`fastcodes bench`: the kernels on this CPU, beside the roofline, numpy and the installed peers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from fastcodes import _native, bits
from fastcodes._peers import Array, Peer, contestants, machine_line

N_BITS_OF_PACKED_ROWS = 768
N_ROWS = {
    "bits": (100_000, 20_000),
    "hamming": (1_000_000, 200_000),
    "jaccard": (1_000_000, 200_000),
    "adc": (1_000_000, 200_000),
}
"""For a full and for a quick run."""
SECONDS = (0.4, 0.1)
QUERIES_OF_SLOW_PEERS = {"numpy": 1, "usearch": 10}
"""Their rate does not depend on the number of queries, so a few tell it."""


@dataclass
class Row:
    """One line of a table: some work, and how fast each contestant does it."""

    work: str
    unit: str
    amount: float
    """The whole work, in billions of `unit`."""
    bytes_per_unit: int | None = None
    """Bytes that xor and popcount see for each distance; None where the roofline does not apply."""
    rates: dict[str, float] = field(default_factory=dict)
    """Billions of `unit` a second."""
    remarks: dict[str, str] = field(default_factory=dict)
    """Why a contestant has no rate."""

    def seconds(self, name: str) -> float:
        """Give the time of the whole work."""
        return self.amount / self.rates[name]

    def ratio(self, name: str) -> float:
        """Give how many times as fast as `name` fastcodes is."""
        return self.rates["fastcodes"] / self.rates[name]


def best_time(call: Callable[[], Any], seconds: float, at_most: int = 50) -> float:
    """Give the best of several runs: they go on for `seconds` or `at_most` runs, and are at least three."""
    best, n_runs, started = float("inf"), 0, time.perf_counter()
    while n_runs < 3 or (n_runs < at_most and time.perf_counter() - started < seconds):
        before = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - before)
        n_runs += 1
    return best


def random_codes(n: int, n_bytes: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Give codes whose bits are independent and even."""
    return np.frombuffer(np.random.default_rng(seed).bytes(n * n_bytes), np.uint8).reshape(n, n_bytes)


def sparse_codes(n: int, n_bytes: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Give codes with 3 % of their bits set, as in molecular fingerprints: the `and` of five random codes."""
    codes = random_codes(n, n_bytes, seed).copy()
    for step in range(1, 5):
        codes &= random_codes(n, n_bytes, seed + 1000 * step)
    return codes


def random_pq(
    n: int, n_subspaces: int, n_codewords: int = 256, d_sub: int = 8, n_queries: int = 100
) -> tuple[Array, Array, Array]:
    """Give codebooks of normal codewords, codes that are any of them, and queries."""
    generator = np.random.default_rng(0)
    codebooks = generator.standard_normal((n_subspaces, n_codewords, d_sub), np.float32)
    codes = generator.integers(0, n_codewords, (n, n_subspaces), np.uint8)
    queries = generator.standard_normal((n_queries, n_subspaces * d_sub), np.float32)
    return codebooks, codes, queries


def agree(mine: Array, theirs: Array) -> bool:
    """Tell whether two lists of distances are the same; a float may differ in its last digits."""
    if mine.shape != theirs.shape:
        return False
    return bool(
        np.array_equal(mine, theirs)
        if mine.dtype.kind == "i"
        else np.allclose(mine, theirs, rtol=1e-5, atol=1e-6)
    )


def run(families: Sequence[str], quick: bool, threads: int) -> None:
    """Measure the families and print a table for each."""
    console = Console()
    roofline = _native.roofline(SECONDS[quick]) / 1e9
    console.print(f"{machine_line()}. Best of several runs on {threads} thread{'s' * (threads > 1)}.")
    console.print("Beside it: " + ", ".join(peer.describe() for peer in contestants()[1:]))
    console.print(
        f"Roofline: {roofline:.0f} GB/s, what xor + popcount + add reach on registers alone with one thread; "
        "its column says how much of that was reached. The columns of the peers say how many times as fast "
        "fastcodes is (G dist/s: billions of distances a second). Answers are compared first."
    )
    for family in families:
        rows = {"bits": _bits, "hamming": _hamming, "jaccard": _jaccard, "adc": _adc}[family]
        n = N_ROWS[family][quick]
        with console.status(f"measuring {family} ..."):
            measured = list(rows(n, quick, threads))
        took_part = {name for row in measured for name in (*row.rates, *row.remarks)}
        others = [peer.name for peer in contestants()[1:] if peer.name in took_part]
        console.print()
        console.print(_table(f"fastcodes.{family}, {n:,} rows", measured, others, roofline * threads))


def _table(title: str, rows: list[Row], others: list[str], roofline: float) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.box, table.padding, table.show_edge = SIMPLE, 0, False
    table.add_column("work")
    for heading in (rows[0].unit, "roofline", *others):
        table.add_column(heading, justify="right")
    for row in rows:
        rate = row.rates["fastcodes"]
        share = f"{rate * row.bytes_per_unit / roofline:.0%}" if row.bytes_per_unit else "-"
        ratios = [
            f"{row.ratio(name):.1f}x" if name in row.rates else row.remarks.get(name, "-") for name in others
        ]
        table.add_row(row.work, f"{rate:.3g}", share, *ratios)
    return table


def seconds_text(seconds: float) -> str:
    """Give a time with a unit that leaves three digits before the point at most."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


# --- searches -----------------------------------------------------------------------------------------------


def knn_row(
    family: str,
    work: str,
    codes: Array,
    queries: Array,
    k: int,
    threads: int,
    peers: Sequence[Peer],
    seconds: float,
    codebooks: Array | None = None,
) -> Row:
    """Measure one search for every contestant; whoever gives other distances is marked and not timed."""
    row = Row(work, "G dist/s", len(queries) * len(codes) / 1e9)
    # One query is over before the codes have come from memory; looking up is not xor and popcount.
    if len(queries) > 1 and codebooks is None:
        row.bytes_per_unit = codes.shape[1]
    expected = np.empty(0)
    k = min(k, len(codes))  # beyond that each library fills up in its own way
    for peer in peers:
        prepare = peer.knn(family) if codebooks is None else peer.adc_knn and partial(peer.adc_knn, codebooks)
        if prepare is None:
            continue
        batch = queries[: QUERIES_OF_SLOW_PEERS.get(peer.name)]
        search = prepare(codes, threads)
        distances, _ = search(batch, k)  # also warms up: the first call of a library starts its threads
        if peer.name == "fastcodes":
            expected = distances
        elif not agree(expected[: len(batch)], distances):
            row.remarks[peer.name] = "disagrees"
            continue
        best = best_time(partial(search, batch, k), seconds)
        row.rates[peer.name] = len(batch) * len(codes) / 1e9 / best
    return row


def _hamming(n: int, quick: bool, threads: int) -> Iterator[Row]:
    peers = contestants()
    for n_bits in (64, 256, 1024) if quick else (64, 128, 256, 512, 768, 1024, 4096):
        codes = random_codes(n, n_bits // 8)
        queries = random_codes(100, n_bits // 8, seed=1)
        for n_queries in (100, 1):
            work = f"knn {n_bits} bits, {_queries(n_queries)}, k=10"
            yield knn_row("hamming", work, codes, queries[:n_queries], 10, threads, peers, SECONDS[quick])
        if n_bits == 256:
            for k in (1, 1000) if quick else (1, 100, 1000):
                work = f"knn {n_bits} bits, 100 queries, k={k}"
                yield knn_row("hamming", work, codes, queries, k, threads, peers, SECONDS[quick])
    yield _cdist_row(100 if quick else 1000, 10_000, threads, peers, SECONDS[quick])


def _cdist_row(n_left: int, n_right: int, threads: int, peers: Sequence[Peer], seconds: float) -> Row:
    amount = n_left * n_right / 1e9
    row = Row(f"cdist 256 bits, {n_left:,} x {n_right:,}", "G dist/s", amount, 32)
    left, right = random_codes(n_left, 32), random_codes(n_right, 32, seed=1)
    expected = np.empty(0)
    for peer in peers:
        if peer.hamming_cdist is None:
            continue
        call = peer.hamming_cdist(left, right, threads)
        matrix = call()
        if peer.name == "fastcodes":
            expected = matrix
        elif not agree(expected, matrix):
            row.remarks[peer.name] = "disagrees"
            continue
        row.rates[peer.name] = amount / best_time(call, seconds)
    return row


def _jaccard(n: int, quick: bool, threads: int) -> Iterator[Row]:
    codes, queries = sparse_codes(n, 256), sparse_codes(100, 256, seed=1)
    for n_queries, k in ((100, 10), (1, 10)) if quick else ((100, 10), (1, 10), (100, 1000)):
        work = f"knn 2048 bits, {_queries(n_queries)}, k={k}"
        yield knn_row("jaccard", work, codes, queries[:n_queries], k, threads, contestants(), SECONDS[quick])


def _adc(n: int, quick: bool, threads: int) -> Iterator[Row]:
    """Search packed codes; the tables of the queries are part of the work."""
    for n_subspaces in (16,) if quick else (8, 16, 32):
        codebooks, codes, queries = random_pq(n, n_subspaces)
        for n_queries in (100, 1):
            work = f"knn {n_subspaces}x256, {_queries(n_queries)}, k=10"
            asked, peers = queries[:n_queries], contestants()
            yield knn_row("adc", work, codes, asked, 10, threads, peers, SECONDS[quick], codebooks)


# --- bits ---------------------------------------------------------------------------------------------------


def _bits(n: int, quick: bool, threads: int) -> Iterator[Row]:
    """Compare with numpy; "in cache" are the first rows alone."""
    n_bits = N_BITS_OF_PACKED_ROWS
    floats = np.random.default_rng(0).standard_normal((n, n_bits), np.float32)
    pack = partial(bits.pack, threads=threads)
    unpack = partial(bits.unpack, n_bits=n_bits, threads=threads)
    for place, rows in (("from memory", slice(None)), ("in cache", slice(100))):
        for dtype in ("float32", "float16"):
            values = floats[rows].astype(dtype)
            yield _bits_row(f"pack {dtype} {place}", pack, _packbits, values, values.nbytes, SECONDS[quick])
        flags = floats[rows] > 0
        yield _bits_row(
            f"pack bool {place}", pack, partial(np.packbits, axis=-1), flags, flags.nbytes, SECONDS[quick]
        )
        codes = np.packbits(flags, axis=-1)
        unpackbits = partial(np.unpackbits, axis=-1)
        yield _bits_row(f"unpack to uint8 {place}", unpack, unpackbits, codes, flags.nbytes, SECONDS[quick])


def _packbits(values: Array) -> Array:
    return np.packbits(values > 0, axis=-1)


def _bits_row(
    work: str,
    mine: Callable[[Array], Array],
    theirs: Callable[[Array], Array],
    values: Array,
    n_bytes: int,
    seconds: float,
) -> Row:
    """Measure one conversion; the throughput counts the unpacked side."""
    row = Row(work, "GB/s", n_bytes / 1e9)
    expected = mine(values)
    for name, call in (("fastcodes", mine), ("numpy", theirs)):
        if not np.array_equal(expected, call(values)):
            row.remarks[name] = "disagrees"
            continue
        # Small inputs are converted many times a run: one conversion is close to the clock's step.
        repeats = max(1, (1 << 22) // n_bytes)
        row.rates[name] = repeats * row.amount / best_time(partial(_repeat, call, values, repeats), seconds)
    return row


def _repeat(call: Callable[[Array], Array], values: Array, times: int) -> None:
    for _ in range(times):
        call(values)


def _queries(n: int) -> str:
    return "1 query" if n == 1 else f"{n} queries"
