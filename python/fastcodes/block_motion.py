"""Motion of blocks between two frames: by sums of absolute differences, or by binary planes.

A frame is divided into blocks of 16 x 16 or 8 x 8 samples, row by row. The vector ``(dy, dx)`` of the block
at ``(y, x)`` refers to the block of the reference at ``(y + dy, x + dx)``. By default, `search` finds the
vector with the least sum of absolute differences (SAD) in a window. The one-bit transform compares a sample
with the mean around it, so that a block of 256 samples is 256 bits, and blocks are compared by exclusive or
and a count of ones: `one_bit_planes` and `one_bit_candidates`. `one_bit_search` scores the best of these
again by `sad`.

Samples beyond the edges of a frame are those of the edge: ``np.pad(frame, ..., mode="edge")``. So vectors may
point out of the reference, and blocks at the right and lower edges may be incomplete. Of equal candidates the
one with the least ``|dy| + |dx|`` comes first, then the one with the least ``dy``, then the least ``dx``.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastcodes import _native
from fastcodes._typing import Codes
from fastcodes._validation import as_array, as_integer, as_option, described

__all__ = ["compensate", "one_bit_candidates", "one_bit_planes", "one_bit_search", "sad", "search"]

METHODS = ("full", "epzs")
"""Of `search`, and of the searches of a video."""
_MAX_RADIUS = 127
_MAX_SIDE = 65_535
_SPACINGS = (4, 2, 1)
"""Of the five rows and columns whose samples a band of the one-bit transform compares a sample with."""


_Found: TypeAlias = tuple[npt.NDArray[np.int32], npt.NDArray[np.int16]]


def search(
    frame: Any,
    reference: Any,
    *,
    method: str = "full",
    block: int = 16,
    radius: int = 16,
    threads: int | None = None,
) -> _Found:
    """Find the vector with the least sum of absolute differences for each block, or with a small one.

    Parameters
    ----------
    frame, reference : array_like of uint8 (height, width)
        The frame that is divided into blocks, and the one that is searched.
    method : {"full", "epzs"}
        "full" compares all candidates. "epzs", the enhanced predictive zonal search, compares about ten: it
        begins at the best of no motion, the vectors of the neighbours on the left, above and above to the
        right, and their median, and goes on to the best of the eight vectors around, until none is better.
        It takes a vector that is not the best where the motion is unlike that of the neighbours, or the
        texture has no slope towards the best.
    block : {8, 16}
        Samples of a block on a side.
    radius : int
        The largest component of a vector, from 0 to 127: ``(2 * radius + 1) ** 2`` candidates, of which
        "full" compares all.
    threads : int, optional
        Largest number of threads, at most that of the CPUs. None means all CPUs of this process, or the value
        of the environment variable ``FASTCODES_NUM_THREADS``; 1 starts no thread.

    Returns
    -------
    costs : int32 array (ceil(height / block), ceil(width / block))
        The sums.
    vectors : int16 array (ceil(height / block), ceil(width / block), 2)
        ``(dy, dx)`` of each block. Both are identical for every number of threads and every instruction set.

    Raises
    ------
    TypeError
        If a frame is not uint8, or a number is not an integer.
    ValueError
        If the frames are of different sizes or have no samples, `method` is unknown, or a number is out of
        range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import block_motion
    >>> reference = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    >>> frame = np.roll(reference, (3, -2), axis=(0, 1))
    >>> costs, vectors = block_motion.search(frame, reference)
    >>> int(costs[1, 1]), vectors[1, 1]
    (0, array([-3,  2], dtype=int16))

    Notes
    -----
    The numpy equivalent of one candidate, for sides that are multiples of `block`::

        padded = np.pad(reference, radius, mode="edge").astype(int)
        moved = padded[radius + dy :, radius + dx :][:height, :width]
        blocks = abs(frame - moved).reshape(height // block, block, width // block, block)
        costs = blocks.sum(axis=(1, 3))

    "epzs" is the search of Tourapis (*Enhanced predictive zonal search for single and multiple frame motion
    estimation*, Proc. SPIE 4671, 2002) with its spatial predictors and square pattern; without temporal
    predictors, thresholds and its second stage. The search uses vectors of neighbours only within bands of
    eight rows of blocks: rows 0, 8, 16, ... have no neighbours above.
    """
    as_option(method, "method", METHODS)
    return _native.block_motion_search(*_as_frames(frame, reference), method, block, radius, threads)


def one_bit_planes(frame: Any, *, bands: int = 1) -> Codes:
    """Compare each sample with means of those around it.

    Parameters
    ----------
    frame : array_like of uint8 (height, width)
        Samples.
    bands : int
        How many planes, from 1 to 3. Each takes the mean of 25 samples in five rows and columns, 4, 2 and 1
        samples apart: details of a certain size.

    Returns
    -------
    uint8 array (bands, height, ceil(width / 8))
        Packed bits, as of `fastcodes.bits.pack`: ones for samples that are at least the mean.

    Raises
    ------
    TypeError, ValueError
        If `frame` is not uint8 (height, width), or `bands` out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import block_motion
    >>> frame = np.zeros((16, 16), np.uint8)
    >>> frame[:, 8:] = 200
    >>> np.unpackbits(block_motion.one_bit_planes(frame)[0], axis=1)[8]
    array([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1], dtype=uint8)

    Notes
    -----
    The kernel of the first band is that of Natarajan, Bhaskaran and Konstantinides (*Low-complexity
    block-based motion estimation via one-bit transforms*, IEEE Trans. Circuits Syst. Video Technol. 7, 1997),
    in integers: ``25 * frame >= sum``.
    """
    samples = _as_frame(frame, "frame")
    height, width = samples.shape
    planes = np.empty((as_integer(bands, "bands", 1, len(_SPACINGS)), height, -(-width // 8)), np.uint8)
    scaled = samples * np.uint16(25)
    for plane, spacing in zip(planes, _SPACINGS, strict=False):
        padded = np.pad(samples, 2 * spacing, mode="edge")
        rows = np.add(padded[:height], padded[spacing:][:height], dtype=np.uint16)
        for i in range(2, 5):
            rows += padded[i * spacing :][:height]
        sums = rows[:, :width] + rows[:, spacing:][:, :width]
        for i in range(2, 5):
            sums += rows[:, i * spacing :][:, :width]
        plane[:] = np.packbits(scaled >= sums, axis=1)
    return planes


def one_bit_candidates(
    planes: Any,
    reference: Any,
    k: int,
    *,
    width: int,
    block: int = 16,
    radius: int = 16,
    threads: int | None = None,
) -> _Found:
    """Find the `k` vectors for each block by which the fewest bits differ.

    Parameters
    ----------
    planes, reference : array_like of uint8 (n_planes, height, ceil(width / 8))
        Binary planes of both frames, from 1 to 8, packed as by `one_bit_planes`.
    k : int
        Vectors for each block, from 1 to ``(2 * radius + 1) ** 2``.
    width : int
        Samples of a row.
    block : {8, 16}
        Samples of a block on a side.
    radius : int
        The largest component of a vector, from 0 to 127.
    threads : int, optional
        Largest number of threads, at most that of the CPUs. None means all CPUs of this process, or the value
        of the environment variable ``FASTCODES_NUM_THREADS``; 1 starts no thread.

    Returns
    -------
    costs : int32 array (n_rows, n_columns, k)
        How many bits differ, in all planes together, in ascending order.
    vectors : int16 array (n_rows, n_columns, k, 2)
        ``(dy, dx)`` of each. Both are identical for every number of threads and every instruction set.

    Raises
    ------
    TypeError
        If an array is not uint8, or a number is not an integer.
    ValueError
        If the planes are of different sizes or do not have the bytes of `width` samples, or a number is out
        of range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import block_motion
    >>> reference = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    >>> frame = np.roll(reference, (3, -2), axis=(0, 1))
    >>> planes, others = block_motion.one_bit_planes(frame), block_motion.one_bit_planes(reference)
    >>> block_motion.one_bit_candidates(planes, others, 2, width=64)[1][1, 1, 0]
    array([-3,  2], dtype=int16)
    """
    return _native.block_motion_one_bit(
        _as_planes(planes, "planes"), _as_planes(reference, "reference"), width, k, block, radius, threads
    )


def sad(
    frame: Any, reference: Any, vectors: Any, *, block: int = 16, threads: int | None = None
) -> npt.NDArray[np.int32]:
    """Compute the sums of absolute differences of given vectors.

    Parameters
    ----------
    frame, reference : array_like of uint8 (height, width)
        The frame that is divided into blocks, and the one that vectors refer to.
    vectors : array_like of int16 (n_rows, n_columns, 2) or (n_rows, n_columns, k, 2)
        ``(dy, dx)`` of each block, from -127 to 127.
    block : {8, 16}
        Samples of a block on a side.
    threads : int, optional
        Largest number of threads, at most that of the CPUs. None means all CPUs of this process, or the value
        of the environment variable ``FASTCODES_NUM_THREADS``; 1 starts no thread.

    Returns
    -------
    int32 array (n_rows, n_columns) or (n_rows, n_columns, k)

    Raises
    ------
    TypeError
        If an array has another dtype, or a number is not an integer.
    ValueError
        If the frames are of different sizes, the vectors do not belong to their blocks, or a component is out
        of range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import block_motion
    >>> frame, reference = np.full((16, 16), 7, np.uint8), np.full((16, 16), 5, np.uint8)
    >>> block_motion.sad(frame, reference, np.zeros((1, 1, 2), np.int16))
    array([[512]], dtype=int32)
    """
    samples, others = _as_frames(frame, reference)
    array = _as_vectors(vectors, samples.shape, block)
    costs = _native.block_motion_sad(
        samples, others, array if array.ndim == 4 else array[:, :, None], block, threads
    )
    return costs.reshape(array.shape[:-1])


def one_bit_search(
    frame: Any,
    reference: Any,
    *,
    block: int = 16,
    radius: int = 16,
    bands: int = 1,
    n_candidates: int = 16,
    threads: int | None = None,
) -> _Found:
    """Find a vector with a small sum of absolute differences for each block: the best of a few candidates.

    Parameters
    ----------
    frame, reference : array_like of uint8 (height, width)
        The frame that is divided into blocks, and the one that is searched.
    block : {8, 16}
        Samples of a block on a side.
    radius : int
        The largest component of a vector, from 0 to 127.
    bands : int
        Planes of `one_bit_planes`, from 1 to 3.
    n_candidates : int
        Vectors with the fewest different bits that are scored again, from 1 to ``(2 * radius + 1) ** 2``.
    threads : int, optional
        Largest number of threads, at most that of the CPUs. None means all CPUs of this process, or the value
        of the environment variable ``FASTCODES_NUM_THREADS``; 1 starts no thread.

    Returns
    -------
    costs : int32 array (n_rows, n_columns)
        Sums of absolute differences.
    vectors : int16 array (n_rows, n_columns, 2)
        ``(dy, dx)`` of each block. Of equal candidates the one with the fewest different bits comes first.

    Raises
    ------
    TypeError
        If a frame is not uint8, or a number is not an integer.
    ValueError
        If the frames are of different sizes or have no samples, or a number is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import block_motion
    >>> reference = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    >>> frame = np.roll(reference, (3, -2), axis=(0, 1))
    >>> block_motion.one_bit_search(frame, reference)[1][1, 1]
    array([-3,  2], dtype=int16)
    """
    samples, others = _as_frames(frame, reference)
    as_integer(n_candidates, "n_candidates", 1, (2 * as_integer(radius, "radius", 0, _MAX_RADIUS) + 1) ** 2)
    found = _native.block_motion_one_bit(
        one_bit_planes(samples, bands=bands),
        one_bit_planes(others, bands=bands),
        samples.shape[1],
        n_candidates,
        block,
        radius,
        threads,
    )[1]
    costs = _native.block_motion_sad(samples, others, found, block, threads)
    best = costs.argmin(axis=-1)[..., None]
    return (
        np.take_along_axis(costs, best, axis=2)[:, :, 0],
        np.take_along_axis(found, best[..., None], axis=2)[:, :, 0],
    )


def compensate(reference: Any, vectors: Any, *, block: int = 16) -> Codes:
    """Predict a frame: each block is the one of the reference that its vector refers to.

    Parameters
    ----------
    reference : array_like of uint8 (height, width)
        The frame that vectors refer to.
    vectors : array_like of int16 (n_rows, n_columns, 2)
        ``(dy, dx)`` of each block.
    block : {8, 16}
        Samples of a block on a side.

    Returns
    -------
    uint8 array (height, width)

    Raises
    ------
    TypeError
        If an array has another dtype, or a number is not an integer.
    ValueError
        If the vectors do not belong to the blocks of the frame.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import block_motion
    >>> reference = np.arange(256, dtype=np.uint8).reshape(16, 16)
    >>> block_motion.compensate(reference, np.array([[[1, 0]]], np.int16))[0, :3]
    array([16, 17, 18], dtype=uint8)
    """
    samples = _as_frame(reference, "reference")
    array = _as_vectors(vectors, samples.shape, block, with_candidates=False).astype(np.intp)
    height, width = samples.shape
    of_rows = array.repeat(block, axis=0)[:height].repeat(block, axis=1)[:, :width]
    y = np.arange(height)[:, None] + of_rows[..., 0]
    x = np.arange(width) + of_rows[..., 1]
    predicted: Codes = samples[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    return predicted


def _as_frames(frame: Any, reference: Any) -> tuple[Codes, Codes]:
    samples, others = _as_frame(frame, "frame"), _as_frame(reference, "reference")
    if samples.shape != others.shape:
        raise ValueError(f"reference must have the shape {samples.shape} of frame; got shape {others.shape}")
    return samples, others


def _as_frame(frame: Any, name: str) -> Codes:
    array = as_array(frame, name)
    if array.dtype != np.uint8:
        raise TypeError(f"{name} must be a uint8 array (height, width); got {described(array, frame)}")
    if array.ndim != 2 or not all(1 <= side <= _MAX_SIDE for side in array.shape):
        way = "; search one channel, such as luma" if array.ndim == 3 else ""
        raise ValueError(
            f"{name} must be (height, width), with sides from 1 to {_MAX_SIDE:,}; got shape "
            f"{array.shape}{way}"
        )
    return np.ascontiguousarray(array)


def _as_planes(planes: Any, name: str) -> Codes:
    array = as_array(planes, name)
    if array.dtype != np.uint8:
        raise TypeError(
            f"{name} must be a uint8 array (n_planes, height, n_bytes); got {described(array, planes)}"
        )
    if array.ndim != 3:
        raise ValueError(f"{name} must be (n_planes, height, n_bytes); got shape {array.shape}")
    return np.ascontiguousarray(array)


def _as_vectors(
    vectors: Any, shape: tuple[int, ...], block: Any, *, with_candidates: bool = True
) -> npt.NDArray[np.int16]:
    side = as_integer(block, "block")
    if side not in (8, 16):
        raise ValueError(f"block must be 8 or 16; got {side}")
    array = as_array(vectors, "vectors")
    if array.dtype != np.int16:
        raise TypeError(
            f"vectors must be an int16 array (n_rows, n_columns, 2); got {described(array, vectors)}"
        )
    expected = tuple(-(-length // side) for length in shape)
    axes = (3, 4) if with_candidates else (3,)
    if array.ndim not in axes or (*array.shape[:2], array.shape[-1]) != (*expected, 2):
        more = f" or ({expected[0]}, {expected[1]}, k, 2)" if with_candidates else ""
        raise ValueError(
            f"vectors must be ({expected[0]}, {expected[1]}, 2){more} for a frame {shape}; got shape "
            f"{array.shape}"
        )
    return np.ascontiguousarray(array)
