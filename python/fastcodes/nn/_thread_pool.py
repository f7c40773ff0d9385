"""Threads for work on the samples of a batch, and the limit on their number."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import cache
from typing import TypeVar

from fastcodes import _native
from fastcodes._validation import as_integer

__all__ = ["limit_threads", "map_slices", "thread_limit"]

Result = TypeVar("Result")

# Enough slices for threads to finish together and for arrays to stay in the cache, few enough for large
# matrix products.
_SLICES_PER_BATCH = 8
# Up to this many numbers, the work is done before another thread has started.
_SERIAL_NUMBERS = 1 << 18

_limit: ContextVar[int | None] = ContextVar("fastcodes.nn.threads", default=None)


@contextlib.contextmanager
def limit_threads(threads: int | None) -> Iterator[None]:
    """Limit the threads that networks use within the context; None keeps the limit that applies outside."""
    if threads is None:
        yield
        return
    token = _limit.set(as_integer(threads, "threads", 1))
    try:
        yield
    finally:
        _limit.reset(token)


def thread_limit() -> int | None:
    """Return the limit that applies here, as kernels take it in their argument `threads`."""
    return _limit.get()


def map_slices(work: Callable[[slice], Result], n_samples: int, n_numbers: int) -> list[Result]:
    """Call a function for slices of a batch, by several threads if the work is large enough.

    Parameters
    ----------
    work : callable
        Takes a slice of the samples. It must not call `map_slices`: the threads could wait for each other.
    n_samples, n_numbers : int
        The number of samples, and of the numbers to process for all of them.

    Returns
    -------
    list
        The results, in the order of the samples. The slices do not depend on the number of threads.
    """
    if n_numbers <= _SERIAL_NUMBERS:
        return [work(slice(0, n_samples))]
    bounds = [n_samples * i // _SLICES_PER_BATCH for i in range(_SLICES_PER_BATCH + 1)]
    slices = [slice(*ends) for ends in itertools.pairwise(bounds) if ends[0] < ends[1]]
    n_threads, limit = _native.threads(), thread_limit()
    if limit is not None:
        n_threads = min(n_threads, limit)
    if n_threads == 1:
        return [work(samples) for samples in slices]
    return list(_pool(n_threads).map(work, slices))


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    """Return a pool that stays alive, since a training step needs it dozens of times."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="fastcodes")


if hasattr(os, "register_at_fork"):
    # A child process has none of its parent's threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)
