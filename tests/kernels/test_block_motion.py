"""Block motion: against all candidates by numpy, and what a search finds."""

from __future__ import annotations

import numpy as np
import oracles
import pytest
from fastcodes import block_motion
from helpers import Array

RNG = np.random.default_rng(17)

# One sample, one block, one more than a block, several; windows of fewer, as many and more candidates than a
# register has lanes.
SHAPES = [(1, 1), (16, 16), (17, 33), (48, 40)]
RADII = [0, 1, 7, 16, 18]


def pair(shape: tuple[int, int], kind: str = "noise") -> tuple[Array, Array]:
    """Return a frame and its reference."""
    reference = RNG.integers(0, 256, shape, dtype=np.uint8)
    if kind == "extremes":  # the largest costs that there are, all equal
        return np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    if kind == "ties":
        return reference // 128, RNG.integers(0, 2, shape, dtype=np.uint8)
    noise = RNG.integers(-3, 4, shape)
    return np.clip(np.roll(reference, (2, -3), (0, 1)) + noise, 0, 255).astype(np.uint8), reference


@pytest.mark.parametrize("kind", ["noise", "ties", "extremes"])
@pytest.mark.parametrize("block", [8, 16])
@pytest.mark.parametrize("shape", SHAPES)
def test_search_is_the_least_of_all_sums(shape: tuple[int, int], block: int, kind: str) -> None:
    frame, reference = pair(shape, kind)
    for radius in RADII:
        vectors, costs = oracles.block_order(oracles.block_costs(frame, reference, block, radius), 1)
        for threads in (1, 2):
            found = block_motion.search(frame, reference, block=block, radius=radius, threads=threads)
            assert [array.dtype for array in found] == [np.int32, np.int16]
            assert np.array_equal(found[0], costs[:, :, 0])
            assert np.array_equal(found[1], vectors[:, :, 0])


def slope(shape: tuple[int, int], moved: tuple[int, int]) -> tuple[Array, Array]:
    """Return a smooth frame with some noise, and its reference."""
    y, x = np.ogrid[: shape[0], : shape[1]]

    def plane(dy: int, dx: int) -> Array:
        waves = 128 + 50 * np.sin((y + dy) / 9) + 50 * np.cos((x + dx) / 11 + (y + dy) / 20)
        return (waves + RNG.uniform(0, 3, shape)).astype(np.uint8)

    return plane(*moved), plane(0, 0)


@pytest.mark.parametrize("kind", ["slope", "noise", "ties", "extremes"])
@pytest.mark.parametrize("block", [8, 16])
@pytest.mark.parametrize("shape", [*SHAPES, (150, 40)])
def test_epzs_goes_downhill_from_the_neighbours(shape: tuple[int, int], block: int, kind: str) -> None:
    frame, reference = slope(shape, (3, -5)) if kind == "slope" else pair(shape, kind)
    for radius in RADII:
        vectors, costs = oracles.block_downhill(oracles.block_costs(frame, reference, block, radius))
        for threads in (1, 2):
            found = block_motion.search(
                frame, reference, method="epzs", block=block, radius=radius, threads=threads
            )
            assert [array.dtype for array in found] == [np.int32, np.int16]
            assert np.array_equal(found[0], costs)
            assert np.array_equal(found[1], vectors)


def test_epzs_finds_smooth_motion_and_never_less_than_the_least() -> None:
    frame, reference = slope((160, 160), (9, -12))
    least, best = block_motion.search(frame, reference)
    costs, vectors = block_motion.search(frame, reference, method="epzs")
    assert (costs >= least).all()
    assert np.array_equal(block_motion.sad(frame, reference, vectors), costs)
    assert np.mean((vectors == best).all(axis=-1)[1:-1, 1:-1]) > 0.9


@pytest.mark.parametrize("kind", ["noise", "ties", "extremes"])
@pytest.mark.parametrize("block", [8, 16])
@pytest.mark.parametrize("shape", SHAPES)
def test_candidates_are_those_with_the_fewest_different_bits(
    shape: tuple[int, int], block: int, kind: str
) -> None:
    frame, reference = pair(shape, kind)
    for radius in RADII:
        for n_planes, k in ((1, 1), (3, 16), (8, 10**9)):
            k = min(k, (2 * radius + 1) ** 2)
            planes = [frame + np.uint8(i * 29) > 100 for i in range(n_planes)]
            others = [reference + np.uint8(i * 29) > 100 for i in range(n_planes)]
            costs = sum(
                oracles.block_costs(a.astype(np.uint8), b.astype(np.uint8), block, radius)
                for a, b in zip(planes, others, strict=True)
            )
            expected = oracles.block_order(costs, k)
            packed = [np.packbits(np.array(x), axis=-1) for x in (planes, others)]
            for threads in (1, 2):
                found = block_motion.one_bit_candidates(
                    *packed, k, width=shape[1], block=block, radius=radius, threads=threads
                )
                assert np.array_equal(found[0], expected[1])
                assert np.array_equal(found[1], expected[0])


def test_padding_bits_do_not_matter() -> None:
    planes = np.packbits(RNG.integers(0, 2, (1, 20, 19)), axis=-1)
    dirty = planes.copy()
    dirty[..., -1] |= 0b11111
    for a, b in ((planes, dirty), (dirty, planes)):
        assert (block_motion.one_bit_candidates(a, b, 1, width=19, radius=2)[0] == 0).all()


@pytest.mark.parametrize("block", [8, 16])
def test_sad_is_the_sum_at_a_vector(block: int) -> None:
    frame, reference = pair((33, 50))
    costs = oracles.block_costs(frame, reference, block, 127)
    n_rows, n_columns = costs.shape[2:]
    vectors = RNG.integers(-127, 128, (n_rows, n_columns, 3, 2)).astype(np.int16)
    vectors[0, 0] = [[-127, -127], [127, 127], [0, 0]]
    y, x, _ = np.indices(vectors.shape[:3])
    expected = costs[vectors[..., 0] + 127, vectors[..., 1] + 127, y, x]
    assert np.array_equal(block_motion.sad(frame, reference, vectors, block=block), expected)
    assert np.array_equal(
        block_motion.sad(frame, reference, vectors[:, :, 1], block=block), expected[:, :, 1]
    )
    assert block_motion.sad(frame, reference, vectors[:, :, :0], block=block).shape == (n_rows, n_columns, 0)


def test_planes_compare_samples_with_the_mean_of_25() -> None:
    frame = RNG.integers(0, 256, (21, 30), dtype=np.uint8)
    planes = np.unpackbits(block_motion.one_bit_planes(frame, bands=3), axis=-1)[..., :30]
    for plane, spacing in zip(planes, (4, 2, 1), strict=True):
        padded = np.pad(frame, 2 * spacing, mode="edge").astype(int)
        offsets = range(0, 4 * spacing + 1, spacing)
        total = sum(padded[i:, j:][:21, :30] for i in offsets for j in offsets)
        assert np.array_equal(plane, 25 * frame.astype(int) >= total)


def test_one_bit_search_scores_all_candidates_if_it_may() -> None:
    frame, reference = pair((48, 64))
    best, _ = block_motion.search(frame, reference, radius=3)
    found, _ = block_motion.one_bit_search(frame, reference, radius=3, n_candidates=49, bands=2)
    assert np.array_equal(found, best)
    costs, vectors = block_motion.one_bit_search(frame, reference, radius=3, n_candidates=2)
    assert (costs >= best).all()
    assert np.array_equal(block_motion.sad(frame, reference, vectors), costs)


def test_compensation_by_found_vectors_costs_what_the_search_says() -> None:
    frame, reference = pair((50, 70))
    for block in (8, 16):
        costs, vectors = block_motion.search(frame, reference, block=block, radius=5)
        predicted = block_motion.compensate(reference, vectors, block=block)
        differences = abs(frame.astype(int) - predicted)
        # Blocks beyond the edges are compared by more samples than there are.
        assert differences[:48, :64].sum() == costs[: 48 // block, : 64 // block].sum()


def test_a_moved_picture_is_found_again_by_both() -> None:
    smooth = RNG.normal(size=(96, 96))
    for axis in (0, 1):
        smooth = sum(np.roll(smooth, i, axis) for i in range(5))
    reference = np.clip(128 + 8 * smooth, 0, 255).astype(np.uint8)
    frame = np.roll(reference, (-4, 9), (0, 1))
    inner = np.s_[2:-2, 2:-2]
    for search in (block_motion.search, block_motion.one_bit_search):
        costs, vectors = search(frame, reference)
        assert (vectors[inner] == (4, -9)).all()
        assert (costs[inner] == 0).all()
