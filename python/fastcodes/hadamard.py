"""Random projections by fast Hadamard transforms, with fewer operations than a matrix product.

The Hadamard matrix ``H`` of a size that is a power of two has the entries +1 and -1, and a product with it
takes ``size * log2(size)`` additions. With random signs on the diagonals of ``D1``, ``D2`` and ``D3``, the
numbers ``H D3 H D2 H D1 x`` behave like projections of ``x`` on random Gaussian vectors (Andoni, Indyk,
Laarhoven, Razenshteyn and Schmidt, *Practical and optimal LSH for angular distance*, NIPS 2015; a single
factor: Ailon and Chazelle, *The fast Johnson-Lindenstrauss transform*, SIAM J. Comput. 39, 2009).

There, vectors are padded with zeros to the size, a power of two of at least 64. `project` computes the
numbers, `pack` their signs as bits; `fastcodes.hashing.RandomHyperplanes` and ``RandomProjection`` are models
that use them.

`rotate` is a rotation that keeps the number of dimensions, up to a multiple of 8: transforms of the largest
power of two, which overlap. `rotate_back` is its inverse; `fastcodes.quantization.RaBitQuantizer` uses both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from fastcodes import _native
from fastcodes._blocks import blocks
from fastcodes._typing import Codes, Floats
from fastcodes._validation import (
    as_integer,
    as_numbers,
    check_separate,
    code_array,
    float32_array,
    random_generator,
)

__all__ = ["pack", "project", "rotate", "rotate_back", "rotation_signs", "signs"]


_SMALLEST = 64
_LARGEST = 1 << 20
_ROUNDS = 4
_ROTATION = "a numpy uint8 array (4, n_bytes) of packed bits, as fastcodes.hadamard.rotation_signs makes it"
_SIGNS = "a numpy uint8 array (3 * n_rotations, n_bytes) of packed bits, as fastcodes.hadamard.signs makes it"


def signs(d: int, n_features: int, *, random_state: Any = None) -> Codes:
    """Draw the random signs of the rotations that `n_features` numbers need.

    Parameters
    ----------
    d : int
        Dimensions of the vectors, from 1 to 1048576.
    n_features : int
        Numbers to compute for each vector, from 1 to 2147483647; one rotation gives as many as its size.
    random_state : None, int or numpy random generator
        Source of random numbers; an integer makes the result reproducible.

    Returns
    -------
    uint8 array (3 * n_rotations, size / 8)
        Rows ``3 r``, ``3 r + 1`` and ``3 r + 2`` are the diagonals of ``D1``, ``D2`` and ``D3`` of rotation
        ``r``, packed: a one for +1, a zero for -1. The size is the smallest power of two that is at least `d`
        and 64.

    Raises
    ------
    TypeError, ValueError
        If a number is not an integer, or out of range.

    Examples
    --------
    >>> from fastcodes import hadamard
    >>> hadamard.signs(100, 200, random_state=0).shape  # two rotations of size 128
    (6, 16)
    """
    shape = _shape(as_integer(d, "d", 1, _LARGEST), as_integer(n_features, "n_features", 1, 2**31 - 1))
    return random_generator(random_state).integers(0, 256, shape, dtype=np.uint8)


def _shape(d: int, n_features: int) -> tuple[int, int]:
    """Return the shape of the signs for `n_features` numbers of vectors of `d` dimensions."""
    size = max(_SMALLEST, 1 << (d - 1).bit_length())
    return 3 * -(-n_features // size), size // 8


def project(
    x: ArrayLike,
    signs: Codes,
    n_features: int,
    *,
    out: Floats | None = None,
    threads: int | None = None,
) -> Floats:
    """Rotate vectors and keep the first numbers.

    Parameters
    ----------
    x : array_like (n, d)
        Vectors of any real dtype; a one-dimensional array is one vector. Dtypes other than float32 are
        converted to it block by block.
    signs : array_like of uint8 (3 * n_rotations, size / 8)
        The result of `signs` for ``d``.
    n_features : int
        Numbers of each vector, from 1 to ``n_rotations * size``.
    out : float32 array (n, n_features), optional
        C-contiguous array for the result.
    threads : int, optional
        Largest number of threads, at most that of the CPUs. None means all CPUs of this process, or the value
        of the environment variable ``FASTCODES_NUM_THREADS``; 1 starts no thread.

    Returns
    -------
    float32 array (n, n_features)
        ``result[i, r * size + j]`` is number ``j`` of ``H D3 H D2 H D1 x[i] / size`` with the diagonals of
        rotation ``r``: over random signs, its mean is 0 and its variance ``(x[i] ** 2).sum()``. The result is
        `out`, if that is given. It is bit-identical for every number of threads and every instruction set.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or a number is not an integer.
    ValueError
        If `signs` do not belong to ``d`` dimensions, a value is out of range, or `x` has a number that is not
        finite or larger than 3.4e38 / size.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import hadamard
    >>> x = np.random.default_rng(0).standard_normal((2, 100))
    >>> y = hadamard.project(x, hadamard.signs(100, 128, random_state=0), 128)
    >>> bool(np.allclose(y @ y.T / 128, x @ x.T))  # a whole rotation preserves inner products
    True

    Notes
    -----
    The numpy equivalent for one rotation, with ``H = scipy.linalg.hadamard(size)``::

        y = np.pad(x, ((0, 0), (0, size - d)))
        for diagonal in bits.unpack(signs, size, dtype=np.float32, values=(-1, 1)):
            y = (y * diagonal) @ H
        y[:, :n_features] / size
    """
    x, signs = as_numbers(x, "x"), code_array(signs, "signs", _SIGNS)
    check_separate(out, x, "x")
    if _goes_at_once(x):
        return _native.hadamard_project(float32_array(x, "x"), signs, n_features, out, threads)
    # Check the other arguments with no rows first.
    n_features = _native.hadamard_project(_no_rows(x), signs, n_features, None, threads).shape[1]
    out = np.empty((len(x), n_features), np.float32) if out is None else out
    for rows, block in blocks(x, "x"):
        _native.hadamard_project(block, signs, n_features, _part(out, rows, len(x)), threads)
    return out


def pack(
    x: ArrayLike, signs: Codes, n_bits: int, *, out: Codes | None = None, threads: int | None = None
) -> Codes:
    """Pack the signs of the numbers that `project` computes, without an array of floats.

    Parameters
    ----------
    x, signs
        As in `project`.
    n_bits : int
        Bits of each code, from 1 to ``n_rotations * size``.
    out : uint8 array (n, ceil(n_bits / 8)), optional
        C-contiguous array for the result.
    threads : int, optional
        As in `project`.

    Returns
    -------
    uint8 array (n, ceil(n_bits / 8))
        Codes in the order of `fastcodes.bits.pack`: a bit is one if the number is above zero. The result is
        `out`, if that is given.

    Raises
    ------
    TypeError, ValueError
        As `project`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, hadamard
    >>> x = np.random.default_rng(0).standard_normal((5, 100))
    >>> signs = hadamard.signs(100, 24, random_state=0)
    >>> codes = hadamard.pack(x, signs, 24)
    >>> bool(np.array_equal(codes, bits.pack(hadamard.project(x, signs, 24))))
    True

    Notes
    -----
    Equal to ``np.packbits(project(x, signs, n_bits) > 0, axis=1)``.
    """
    x, signs = as_numbers(x, "x"), code_array(signs, "signs", _SIGNS)
    check_separate(out, x, "x")
    if _goes_at_once(x):
        return _native.hadamard_pack(float32_array(x, "x"), signs, n_bits, out, threads)
    n_bytes = _native.hadamard_pack(_no_rows(x), signs, n_bits, None, threads).shape[1]
    out = np.empty((len(x), n_bytes), np.uint8) if out is None else out
    for rows, block in blocks(x, "x"):
        _native.hadamard_pack(block, signs, n_bits, _part(out, rows, len(x)), threads)
    return out


def rotation_signs(d: int, *, random_state: Any = None) -> Codes:
    """Draw the random signs of a rotation of `d` dimensions.

    Parameters
    ----------
    d : int
        Dimensions of the vectors, from 1 to 1048576.
    random_state : None, int or numpy random generator
        Source of random numbers; an integer makes the result reproducible.

    Returns
    -------
    uint8 array (4, ceil(d / 8))
        Row ``r`` is the diagonal of ``D_r`` of round ``r``, packed: a one for +1, a zero for -1.

    Raises
    ------
    TypeError, ValueError
        If `d` is not an integer, or out of range.

    Examples
    --------
    >>> from fastcodes import hadamard
    >>> hadamard.rotation_signs(100, random_state=0).shape
    (4, 13)
    """
    n_bytes = -(-as_integer(d, "d", 1, _LARGEST) // 8)
    return random_generator(random_state).integers(0, 256, (_ROUNDS, n_bytes), dtype=np.uint8)


def rotate(x: ArrayLike, signs: Codes, *, out: Floats | None = None, threads: int | None = None) -> Floats:
    """Rotate vectors at random, and keep their dimensions.

    Parameters
    ----------
    x : array_like (n, d)
        Vectors of any real dtype; a one-dimensional array is one vector. Dtypes other than float32 are
        converted to it.
    signs : array_like of uint8 (4, n_bytes)
        The result of `rotation_signs` for ``d``, or for more dimensions.
    out : float32 array (n, 8 * n_bytes), optional
        C-contiguous array for the result.
    threads : int, optional
        As in `project`.

    Returns
    -------
    float32 array (n, 8 * n_bytes)
        The rotated vectors; dimensions beyond ``d`` are zeros before the rotation. Lengths and angles are
        those of `x`, up to rounding. The result is `out`, if that is given. It is bit-identical for every
        number of threads and every instruction set.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or `threads` is not an integer.
    ValueError
        If `signs` are for fewer dimensions, or `x` has a number that is not finite or so large that sums
        overflow.

    See Also
    --------
    rotate_back : The inverse.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import hadamard
    >>> x = np.random.default_rng(0).standard_normal((2, 100))
    >>> y = hadamard.rotate(x, hadamard.rotation_signs(100, random_state=0))
    >>> y.shape, bool(np.allclose(y @ y.T, x @ x.T))
    ((2, 104), True)

    Notes
    -----
    With ``D`` dimensions, ``s`` the largest power of two up to ``D``, and ``H`` the Hadamard matrix of size
    ``s`` over ``sqrt(s)``, in which bits 0 to 2 and 3 to 5 of the output index are exchanged if ``s >= 64``,
    the numpy equivalent is::

        for r, diagonal in enumerate(bits.unpack(signs, D, dtype=np.float32, values=(-1, 1))):
            y = y * diagonal
            part = slice(0, s) if r % 2 == 0 else slice(D - s, D)
            y[:, part] = y[:, part] @ H
            if s < D:
                a, b = y[:, : D // 2], y[:, D // 2 :]
                y = np.hstack([a + b, a - b]) / np.sqrt(2)

    After the rotation in the implementation of Gao et al., *Practical and asymptotically optimal quantization
    of high-dimensional vectors*, SIGMOD 2025.
    """
    numbers, signs = as_numbers(x, "x"), code_array(signs, "signs", _ROTATION)
    check_separate(out, numbers, "x")
    return _native.hadamard_rotate(float32_array(numbers, "x"), signs, None, out, threads)


def rotate_back(
    x: ArrayLike, signs: Codes, d: int, *, out: Floats | None = None, threads: int | None = None
) -> Floats:
    """Undo `rotate`.

    Parameters
    ----------
    x : array_like (n, 8 * n_bytes)
        Rotated vectors; a one-dimensional array is one vector.
    signs : array_like of uint8 (4, n_bytes)
        The signs of the rotation.
    d : int
        The dimensions to keep, from 1 to ``8 * n_bytes``: the first ones.
    out : float32 array (n, d), optional
        C-contiguous array for the result.
    threads : int, optional
        As in `project`.

    Returns
    -------
    float32 array (n, d)
        The vectors before the rotation, up to rounding; `out`, if that is given.

    Raises
    ------
    TypeError, ValueError
        As `rotate`, or if `d` is no integer in that range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import hadamard
    >>> x, signs = np.arange(5.0), hadamard.rotation_signs(5, random_state=0)
    >>> bool(np.allclose(hadamard.rotate_back(hadamard.rotate(x, signs), signs, 5), x, atol=1e-6))
    True
    """
    numbers, signs = as_numbers(x, "x"), code_array(signs, "signs", _ROTATION)
    check_separate(out, numbers, "x")
    d, n_dims = as_integer(d, "d", 1, _LARGEST), numbers.shape[-1] if numbers.ndim else 0
    if d > n_dims > 0:
        raise ValueError(f"d must be an integer from 1 to {n_dims}, the dimensions of x; got {d}")
    return _native.hadamard_rotate(float32_array(numbers, "x"), signs, d, out, threads)


def _goes_at_once(x: npt.NDArray[Any]) -> bool:
    """Whether `x` needs no conversion in blocks."""
    return x.ndim != 2 or not x.size or (x.dtype == np.float32 and x.flags.c_contiguous and x.flags.aligned)


def _no_rows(x: npt.NDArray[Any]) -> Floats:
    return np.empty((0, x.shape[1]), np.float32)


def _part(out: npt.NDArray[Any], rows: slice, n_rows: int) -> npt.NDArray[Any]:
    """Return some rows of `out`, or all of it if the number of rows is wrong, which is then an error."""
    fits = isinstance(out, np.ndarray) and out.ndim == 2 and len(out) == n_rows
    return out[rows] if fits else out
