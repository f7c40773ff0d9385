"""How the commands and the benchmarks measure: random data, timing, comparisons of peers, the machine."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from fastcodes import __version__, _native
from fastcodes._typing import Array, Codes
from fastcodes.cli.peers import Peer

__all__ = [
    "N_QUERIES_OF_SLOW_PEERS",
    "Comparison",
    "agree",
    "best_time",
    "compare_cdist",
    "compare_knn",
    "cpu_name",
    "machine_line",
    "random_codes",
    "random_pq",
    "seconds_text",
    "sparse_codes",
]

N_QUERIES_OF_SLOW_PEERS = {"numpy": 1, "usearch": 10}
"""A few queries are enough: the throughput of these peers does not depend on the number of queries."""


# --- random data --------------------------------------------------------------------------------------------


def random_codes(n: int, n_bytes: int, seed: int = 0) -> Codes:
    """Return codes of independent bits, each set with probability 1/2."""
    return np.frombuffer(np.random.default_rng(seed).bytes(n * n_bytes), np.uint8).reshape(n, n_bytes)


def sparse_codes(n: int, n_bytes: int, seed: int = 0) -> Codes:
    """Return codes with 3 % of their bits set, like molecular fingerprints: the AND of five random codes."""
    codes = random_codes(n, n_bytes, seed).copy()
    for step in range(1, 5):
        codes &= random_codes(n, n_bytes, seed + 1000 * step)
    return codes


def random_pq(
    n: int, n_subspaces: int, n_codewords: int = 256, d_sub: int = 8, n_queries: int = 100
) -> tuple[Array, Array, Array]:
    """Return codebooks of Gaussian codewords, uniform random codes, and Gaussian queries."""
    generator = np.random.default_rng(0)
    codebooks = generator.standard_normal((n_subspaces, n_codewords, d_sub), np.float32)
    codes = generator.integers(0, n_codewords, (n, n_subspaces), np.uint8)
    queries = generator.standard_normal((n_queries, n_subspaces * d_sub), np.float32)
    return codebooks, codes, queries


# --- timing -------------------------------------------------------------------------------------------------


def best_time(call: Callable[[], Any], seconds: float, *, max_runs: int = 50) -> float:
    """Return the time of the fastest of several runs.

    There are at least three, and then more until `seconds` have passed or `max_runs` are done.
    """
    best, n_runs, started = float("inf"), 0, time.perf_counter()
    while n_runs < 3 or (n_runs < max_runs and time.perf_counter() - started < seconds):
        before = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - before)
        n_runs += 1
    return best


def seconds_text(seconds: float) -> str:
    """Format a time with three digits, in s, ms or us."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


# --- comparisons --------------------------------------------------------------------------------------------


@dataclass
class Comparison:
    """One line of a table: some work, and the speed of each contestant at it."""

    work: str
    unit: str
    amount: float
    """The whole work, in billions of `unit`."""
    bytes_per_unit: int | None = None
    """Bytes of xor and popcount per distance; None where the roofline does not apply."""
    rates: dict[str, float] = field(default_factory=dict)
    """Billions of `unit` per second, by contestant."""
    remarks: dict[str, str] = field(default_factory=dict)
    """Why a contestant lacks a rate."""

    def seconds(self, name: str) -> float:
        """Return the time that a contestant takes for the whole work."""
        return self.amount / self.rates[name]

    def ratio(self, name: str) -> float:
        """Return how many times as fast as `name` fastcodes is."""
        return self.rates["fastcodes"] / self.rates[name]


def agree(mine: Array, theirs: Array) -> bool:
    """Return whether two arrays of distances are equal, floats up to rounding."""
    if mine.shape != theirs.shape:
        return False
    return bool(
        np.array_equal(mine, theirs)
        if mine.dtype.kind == "i"
        else np.allclose(mine, theirs, rtol=1e-5, atol=1e-6)
    )


def compare_knn(
    family: str,
    work: str,
    queries: Array,
    codes: Array,
    k: int,
    *,
    peers: Sequence[Peer],
    seconds: float,
    codebooks: Array | None = None,
    threads: int,
) -> Comparison:
    """Time one search of each peer, fastcodes first; a peer with other distances is marked and not timed."""
    comparison = Comparison(work, "G dist/s", len(queries) * len(codes) / 1e9)
    # A single query waits for memory, and table look-ups are not xor and popcount.
    if len(queries) > 1 and codebooks is None:
        comparison.bytes_per_unit = codes.shape[1]
    expected = np.empty(0)
    k = min(k, len(codes))  # the libraries pad longer results in different ways
    for peer in peers:
        prepare = peer.knn(family) if codebooks is None else peer.adc_knn and partial(peer.adc_knn, codebooks)
        if prepare is None:
            continue
        batch = queries[: N_QUERIES_OF_SLOW_PEERS.get(peer.name)]
        search = prepare(codes, threads)
        distances, _ = search(batch, k)  # also a warm-up: the first call of a library starts its threads
        if peer.name == "fastcodes":
            expected = distances
        elif not agree(expected[: len(batch)], distances):
            comparison.remarks[peer.name] = "disagrees"
            continue
        best = best_time(partial(search, batch, k), seconds)
        comparison.rates[peer.name] = len(batch) * len(codes) / 1e9 / best
    return comparison


def compare_cdist(
    n_left: int, n_right: int, *, peers: Sequence[Peer], seconds: float, threads: int
) -> Comparison:
    """Time the matrix of Hamming distances of 256-bit codes for each peer, fastcodes first."""
    amount = n_left * n_right / 1e9
    comparison = Comparison(f"cdist 256 bits, {n_left:,} x {n_right:,}", "G dist/s", amount, 32)
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
            comparison.remarks[peer.name] = "disagrees"
            continue
        comparison.rates[peer.name] = amount / best_time(call, seconds)
    return comparison


# --- the machine --------------------------------------------------------------------------------------------


def cpu_name() -> str:
    """Return the model name of the CPU, or its architecture if the system does not report a name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            names = [
                line.split(":", 1)[1].strip() for line in lines if line.startswith(("model name", "Model"))
            ]
    except OSError:
        names = []
    if names:
        return names[0]

    return platform.processor() or platform.machine()


def machine_line() -> str:
    """Return the caption of each table: CPU, number of CPUs, version and level."""
    return f"{cpu_name()}, {os.cpu_count()} CPUs; fastcodes {__version__} at level {_native.level()}"
