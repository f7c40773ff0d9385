"""What several test files share: the search families, codes to search, and processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import hamming, jaccard
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Family:
    """A search family beside its oracle."""

    module: ModuleType
    distances: Callable[[Array, Array], Array]
    dtype: type[np.generic]
    padding: float
    radii: tuple[float, ...]  # beyond those that occur as distances

    def radius_of(self, distance: Any) -> float:
        """Return a distance as the type that the family takes for a radius."""
        return int(distance) if self.dtype is np.int32 else float(distance)


FAMILIES = {
    "hamming": Family(hamming, oracles.hamming, np.int32, np.iinfo(np.int32).max, (0, 1, 2**31 - 1, 2**40)),
    "jaccard": Family(jaccard, oracles.jaccard, np.float32, np.inf, (0.0, 0.5, 1.0, np.inf)),
}

both_families = pytest.mark.parametrize("family", [pytest.param(f, id=name) for name, f in FAMILIES.items()])


def data_file(name: str) -> Path:
    """Return the path of a file of real data; skip the test where it is missing."""
    folder = os.environ.get("FASTCODES_DATA") or Path(__file__).parents[2] / "shared" / "data"
    path = Path(folder, name)
    if not path.exists():
        pytest.skip(f"{path} is missing: set FASTCODES_DATA to the folder of the data sets")
    return path


def random_codes(n: int, n_bytes: int, seed: int = 0, density: float = 0.5) -> Array:
    """Random codes with about this share of ones."""
    bits = np.random.default_rng([seed, n, n_bytes]).random((n, n_bytes * 8)) < density
    return np.packbits(bits, axis=1)


def ramp(n: int, n_bytes: int) -> Array:
    """Codes whose number of ones rises from row to row, from none to all."""
    n_ones = np.linspace(0, n_bytes * 8, n).astype(int)
    return np.packbits(np.arange(n_bytes * 8) < n_ones[:, None], axis=1)


def pq_codes(n: int, n_subspaces: int, n_codewords: int, seed: int = 0) -> Array:
    """Random codes of one byte a subspace."""
    rng = np.random.default_rng([seed, n, n_subspaces, n_codewords])
    return rng.integers(0, n_codewords, (n, n_subspaces), np.uint8)


def pq_tables(n_queries: int, n_subspaces: int, n_codewords: int, seed: int = 0) -> Array:
    """Random tables with entries of either sign."""
    rng = np.random.default_rng([seed, n_queries, n_subspaces, n_codewords])
    return rng.standard_normal((n_queries, n_subspaces, n_codewords), np.float32)


def same(found: Any, expected: Any, dtypes: tuple[Any, ...] | None = None) -> bool:
    """Whether arrays, or tuples of them, agree in shape, in every element and, if given, in dtype."""
    if not isinstance(found, tuple):
        found, expected = (found,), (expected,)
    return (
        len(found) == len(expected)
        and all(map(np.array_equal, found, expected))
        and (dtypes is None or tuple(array.dtype for array in found) == dtypes)
    )


def same_bits(found: Any, expected: Any) -> bool:
    """Whether arrays, or tuples of them, agree in shape, in dtype and in every bit: a zero has a sign."""
    if not isinstance(found, tuple):
        found, expected = (found,), (expected,)
    return same(found, expected, tuple(array.dtype for array in expected)) and all(
        np.array_equal(np.signbit(a), np.signbit(b)) for a, b in zip(found, expected, strict=True)
    )


def run_python(code: str, env: Mapping[str, str] | None = None, timeout: float = 60) -> str:
    """Run `code` in a Python of its own, which has to succeed, and return what it printed."""
    path = (os.path.dirname(__file__), os.environ.get("PYTHONPATH"))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path)), **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()
