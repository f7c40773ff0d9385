"""Work on the samples of a batch, a few at a time and by threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fastcodes import _native

__all__ = ["by_parts"]

Result = TypeVar("Result")

# Enough for threads to end together and arrays to be cached, few enough for products of matrices to be large.
_PARTS = 8
# Less is done before a thread has started.
_FEW_NUMBERS = 1 << 18


def by_parts(work: Callable[[slice], Result], n_samples: int, n_numbers: int) -> list[Result]:
    """Call a function for parts of a batch, by several threads if that pays.

    Parameters
    ----------
    work : callable
        Takes the slice of some samples.
    n_samples, n_numbers : int
        How many samples there are, and numbers in all of them.

    Returns
    -------
    list
        What it returned, in the order of the samples. The parts do not depend on the number of threads.
    """
    if n_numbers <= _FEW_NUMBERS:
        return [work(slice(0, n_samples))]
    bounds = [n_samples * i // _PARTS for i in range(_PARTS + 1)]
    parts = [slice(*ends) for ends in itertools.pairwise(bounds) if ends[0] < ends[1]]
    with ThreadPoolExecutor(_native.threads()) as pool:
        return list(pool.map(work, parts))
