"""Work on the samples of a batch, a few at a time and by threads."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
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

    Notes
    -----
    `work` must not call this function: all threads might wait for one.
    """
    if n_numbers <= _FEW_NUMBERS:
        return [work(slice(0, n_samples))]
    bounds = [n_samples * i // _PARTS for i in range(_PARTS + 1)]
    parts = [slice(*ends) for ends in itertools.pairwise(bounds) if ends[0] < ends[1]]
    if (n_threads := _native.threads()) == 1:
        return [work(part) for part in parts]
    return list(_pool(n_threads).map(work, parts))


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    """Give threads that stay, since a step of a training needs them some dozen times."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="fastcodes")


if hasattr(os, "register_at_fork"):
    # A child has none of the threads of its parent.
    os.register_at_fork(after_in_child=_pool.cache_clear)
