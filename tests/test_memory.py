"""A search takes no memory that grows with queries times rows."""

from __future__ import annotations

import sys

import pytest
from helpers import run_python

MEASURE = """
import resource
import numpy as np
from fastcodes import hamming, jaccard

def status(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))

def peak_beyond(call):
    # The peak since now beyond what is held now; where it cannot be reset, beyond the highest peak so far.
    before = status("VmRSS")
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    results = call()
    return status("VmHWM") - before - sum(result.nbytes for result in results)

def codes(n, n_bytes, seed):
    data = bytearray(np.random.default_rng(seed).bytes(n * n_bytes))
    return np.frombuffer(data, np.uint8).reshape(n, n_bytes)

queries, database = codes(100, {n_bytes}, 1), codes({n}, {n_bytes}, 2)
{family}.knn(queries[:5], database[:3000], 1, threads=2)
print(peak_beyond(lambda: {call}))
"""

MEGABYTE = 1 << 20

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def measure(family: str, n: int, n_bytes: int, call: str) -> float:
    """Megabytes at the peak of a call beyond inputs and outputs."""
    code = MEASURE.format(family=family, n=n, n_bytes=n_bytes, call=call)
    return int(run_python(code)) / MEGABYTE


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("k", [10, 1000])
@pytest.mark.parametrize(("family", "n", "n_bytes"), [("hamming", 1_000_000, 32), ("jaccard", 200_000, 256)])
def test_a_search_takes_little_memory(family: str, n: int, n_bytes: int, k: int, threads: int) -> None:
    used = measure(family, n, n_bytes, f"{family}.knn(queries, database, {k}, threads={threads})")
    assert used < 64, used


def test_the_measure_sees_what_is_freed_before_the_end() -> None:
    used = measure("hamming", 1000, 8, "(np.ones(100 << 20, np.uint8)[:1].copy(),)")
    assert 95 < used < 120


FULL = """
import resource
import numpy as np
from fastcodes import hamming, jaccard

codes = np.zeros((20_000, 8), np.uint8)
everywhere = np.broadcast_to(codes[0], (2**42, 8))
resource.setrlimit(resource.RLIMIT_AS, (3_000_000_000, 3_000_000_000))
for call in (
    lambda: hamming.pairs(codes, 1, threads=1),
    lambda: jaccard.pairs(codes, 0.5),
    lambda: hamming.radius(codes, codes, 1),
    lambda: hamming.pairs(everywhere, 1),
    lambda: hamming.radius(everywhere, codes[:0], 1),
    lambda: jaccard.radius(everywhere, codes[:0], 0.5),
):
    try:
        call()
    except MemoryError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_results_that_fit_no_memory_are_an_error() -> None:
    lines = run_python(FULL).splitlines()
    assert len(lines) == 6
    assert all("do not fit the memory" in line for line in lines)
