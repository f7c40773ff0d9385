"""fastcodes.block_motion: the search by SAD against numpy, and SAD against the one-bit transform."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from fastcodes import _native, block_motion
from fastcodes._typing import Array

HEIGHT, WIDTH, RADIUS = 288, 352, 16
N_CANDIDATES = (HEIGHT // 16) * (WIDTH // 16) * (2 * RADIUS + 1) ** 2
MOVED = (3, -2)
AHEAD_OF_SAD = {"avx2": 1.5, "avx512": 3.0}

pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def frames() -> tuple[Array, Array]:
    """Return a frame, and the one before."""
    reference = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    return np.roll(reference, MOVED, axis=(0, 1)), reference


@cache
def planes() -> tuple[Array, Array]:
    frame, reference = frames()
    return block_motion.one_bit_planes(frame), block_motion.one_bit_planes(reference)


def by_numpy() -> tuple[Array, Array]:
    """Return the least sum of each block and its candidate, with one pass over the frame for each."""
    frame, reference = frames()
    padded, least, best = (
        np.pad(reference, RADIUS, mode="edge"),
        np.full((18, 22), 1 << 30),
        np.zeros((18, 22)),
    )
    signed = frame.astype(np.int16)
    for index in range((2 * RADIUS + 1) ** 2):
        dy, dx = divmod(index, 2 * RADIUS + 1)
        apart = np.abs(signed - padded[dy:, dx:][:HEIGHT, :WIDTH]).astype(np.uint16)
        sums = np.add.reduceat(
            np.add.reduceat(apart, np.arange(0, HEIGHT, 16), 0, np.uint32), np.arange(0, WIDTH, 16), 1
        )
        is_less = sums < least
        least, best = np.where(is_less, sums, least), np.where(is_less, index, best)
    return least, best


def check(found: tuple[Array, Array]) -> None:
    np.testing.assert_array_equal(found[0].reshape(18, 22, -1)[2:-2, 2:-2, 0], 0)


@pytest.mark.parametrize("name", ["fastcodes", "one-bit, 16 candidates", "numpy"])
def test_sad(contest: Any, name: str) -> None:
    calls: dict[str, Callable[[], tuple[Array, Array]]] = {
        "fastcodes": lambda: block_motion.search(*frames(), radius=RADIUS, threads=1),
        "one-bit, 16 candidates": lambda: block_motion.one_bit_search(*frames(), radius=RADIUS, threads=1),
        "numpy": by_numpy,
    }
    contest(
        name,
        calls[name],
        group=f"block_motion.search, {HEIGHT} x {WIDTH}, blocks of 16, radius {RADIUS}",
        check=check,
        amount=float(N_CANDIDATES),
        unit="candidates",
    )


@pytest.mark.parametrize("name", ["fastcodes", "SAD"])
def test_one_bit(contest: Any, name: str) -> None:
    calls: dict[str, Callable[[], tuple[Array, Array]]] = {
        "fastcodes": lambda: block_motion.one_bit_candidates(
            *planes(), 1, width=WIDTH, radius=RADIUS, threads=1
        ),
        "SAD": lambda: block_motion.search(*frames(), radius=RADIUS, threads=1),
    }
    needs = AHEAD_OF_SAD.get(_native.level())
    contest(
        name,
        calls[name],
        group=f"block_motion.one_bit_candidates, {HEIGHT} x {WIDTH}, blocks of 16, radius {RADIUS}",
        check=check,
        amount=float(N_CANDIDATES),
        unit="candidates",
        needs={"SAD": needs} if needs else None,
    )
