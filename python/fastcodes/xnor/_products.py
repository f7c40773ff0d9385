"""Products of rows: of signs, bits, low-bit integers and bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes import _native
from fastcodes._typing import Array, Codes
from fastcodes._validation import as_array, as_bool, as_integer, check_separate, code_array, described
from fastcodes.xnor._operands import (
    INT32_MAX,
    Finish,
    PackedMatrix,
    byte_values,
    bytes_per_row,
    check_bytes,
    kind_of_values,
    native_finish,
    native_matrix,
    row_length,
)

__all__ = ["and_matmul", "bitserial_matmul", "byte_matmul", "matmul", "planes"]


def matmul(
    a: ArrayLike,
    b: ArrayLike | PackedMatrix,
    n_bits: int,
    *,
    finish: Finish | None = None,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Multiply rows of signs by rows of signs: all dot products.

    Parameters
    ----------
    a : array_like of uint8 (m, ceil(n_bits / 8))
        Packed by `bits.pack`; a one-dimensional array is one row.
    b : array_like of uint8 (n, ceil(n_bits / 8)) or PackedMatrix
        Packed by `bits.pack`; prepare a PackedMatrix once to multiply by the same rows several times. Weights
        (n_bits, n), as in ``x @ weights``, become rows by ``bits.pack(weights.T)``, which takes no copy.
    n_bits : int
        Signs per row.
    finish : Finish, optional
        Turns the dot products into bits or float32.
    out : array, optional
        C-contiguous, with the dtype and shape of the result; the result is written into it.
    threads : int, optional
        The largest number of threads. None means all CPUs of this process, or the number in the environment
        variable ``FASTCODES_NUM_THREADS``; 1 starts none. There are never more threads than CPUs.

    Returns
    -------
    int32 array (m, n)
        ``result[i, j]`` is the dot product of row ``i`` of `a` and row ``j`` of `b`, from ``-n_bits`` to
        ``n_bits``.
    uint8 array (m, ceil(n / 8))
        If `finish` has thresholds: bits packed as by `bits.pack`, which the next product takes.
    float32 array (m, n)
        If `finish` has a scale or bias.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or a number the wrong type.
    ValueError
        If the bytes per row do not fit `n_bits`, padding bits are not zero, or `finish` or `out` does not fit
        the result.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, xnor
    >>> a = np.array([[1, -1, 1], [-1, -1, -1]])
    >>> xnor.matmul(bits.pack(a), bits.pack(a), n_bits=3)
    array([[ 3, -1],
           [-1,  3]], dtype=int32)

    Notes
    -----
    The numpy equivalent, with ``x`` and ``y`` the signs as numbers: ``x @ y.T``, then as in `Finish`.
    """
    n_bits = as_integer(n_bits, "n_bits", 1, INT32_MAX)
    a = code_array(a, "a")
    check_bytes(a, "a", (1, 2), n_bits, f"n_bits {n_bits}")
    check_separate(out, a, "a")
    check_separate(out, b, "b")
    matrix = native_matrix(b, n_bits, "n_bits", threads=threads)
    last = native_finish(finish, matrix.shape[0])
    return _native.xnor_matmul(a, "signs", matrix, n_bits, last, out, threads)


def and_matmul(
    a: ArrayLike, b: ArrayLike, *, out: NDArray[np.int32] | None = None, threads: int | None = None
) -> NDArray[np.int32]:
    """Count the ones that rows have in common: the dot products of rows of zeros and ones.

    Parameters
    ----------
    a : array_like of uint8 (m, n_bytes)
        Packed bits; a one-dimensional array is one row.
    b : array_like of uint8 (n, n_bytes)
        Packed bits.
    out, threads
        As in `matmul`.

    Returns
    -------
    int32 array (m, n)
        ``result[i, j]`` is ``popcount(a[i] & b[j])``.

    Raises
    ------
    TypeError, ValueError
        As in `matmul`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import xnor
    >>> xnor.and_matmul(np.array([[0b1110]], np.uint8), np.array([[0b0111], [0b1000]], np.uint8))
    array([[2, 1]], dtype=int32)

    Notes
    -----
    The numpy equivalent: ``np.unpackbits(a, axis=1).astype(int) @ np.unpackbits(b, axis=1).T``.
    """
    a, b = code_array(a, "a"), code_array(b, "b")
    check_separate(out, a, "a")
    check_separate(out, b, "b")
    n_bytes_of_a, n_bytes = bytes_per_row(a, "a", (1, 2)), bytes_per_row(b, "b", (1, 2))
    if n_bytes_of_a != n_bytes:
        raise ValueError(f"a has {n_bytes_of_a} bytes per row but b has {n_bytes}; expected equal lengths")
    n_bits = 8 * (n_bytes or 1)
    matrix = _native.XnorMatrix(b, n_bits, "unsigned", threads)
    return _native.xnor_matmul(a, "unsigned", matrix, n_bits, None, out, threads)


def planes(values: ArrayLike, n_bits: int, *, out: Codes | None = None, threads: int | None = None) -> Codes:
    """Split integers into bit planes.

    Parameters
    ----------
    values : int array (m, d)
        Integers of `n_bits` bits: from 0 up, or two's complement if the dtype is signed.
    n_bits : int
        From 1 to 8.
    out : uint8 array (n_bits, m, ceil(d / 8)), optional
        C-contiguous; the result is written into it.
    threads : int, optional
        As in `matmul`.

    Returns
    -------
    uint8 array (n_bits, m, ceil(d / 8))
        ``result[p]`` is bit ``p`` of all values, packed as by `bits.pack`. It counts ``2 ** p``; the last one
        of a signed dtype counts ``-2 ** p``.

    Raises
    ------
    TypeError
        If `values` are not integers.
    ValueError
        If a value needs more bits, or `out` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import xnor
    >>> xnor.planes(np.array([[0, 1, 2, 3]], np.uint8), n_bits=2)
    array([[[80]],
    <BLANKLINE>
           [[48]]], dtype=uint8)

    Notes
    -----
    The numpy equivalent: ``np.stack([np.packbits(values >> p & 1, axis=1) for p in range(n_bits)])``.
    """
    given, values = values, as_array(values, "values")
    if values.dtype.kind not in "iu":
        raise TypeError(f"values must be integers (m, d); got {described(values, given)}")
    if values.ndim not in (1, 2) or not values.shape[-1]:
        raise ValueError(
            "values must have 1 or 2 dimensions, (m, d), and at least 1 integer per row; "
            f"got shape {values.shape}"
        )
    n_bits = as_integer(n_bits, "n_bits", 1, 8)
    low, high = (
        (-(1 << n_bits - 1), (1 << n_bits - 1) - 1) if values.dtype.kind == "i" else (0, (1 << n_bits) - 1)
    )
    limits = np.iinfo(values.dtype)
    if values.size and (limits.max > high or limits.min < low):
        for value in (values.min(), values.max()):
            if not low <= value <= high:
                raise ValueError(
                    f"values has {value}, which does not fit {n_bits} bits; "
                    f"expected integers from {low} to {high}"
                )
    in_bytes = values.view(np.uint8) if values.dtype == np.int8 else values.astype(np.uint8, copy=False)
    return _native.xnor_planes(in_bytes, n_bits, out, threads)


def bitserial_matmul(
    a: ArrayLike,
    b: ArrayLike | PackedMatrix,
    n_features: int,
    *,
    a_signed: bool = False,
    b_signed: bool = True,
    finish: Finish | None = None,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Multiply rows of low-bit integers by rows of signs or low-bit integers.

    For bytes and signs `byte_matmul` is faster.

    Parameters
    ----------
    a : array_like of uint8 (a_bits, m, ceil(n_features / 8))
        Bit planes from `planes`; a two-dimensional array is rows of signs.
    b : array_like of uint8 (n, ceil(n_features / 8)) or (b_bits, n, ceil(n_features / 8)), or PackedMatrix
        Rows of signs, or bit planes.
    n_features : int
        Numbers per row.
    a_signed, b_signed : bool
        Whether bit planes are two's complement. A PackedMatrix has its own setting.
    finish, out, threads
        As in `matmul`.

    Returns
    -------
    int32, uint8 or float32 array
        As in `matmul`.

    Raises
    ------
    TypeError, ValueError
        As in `matmul`; if there are more than eight planes, or sums can overflow int32.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, xnor
    >>> pixels = np.array([[200, 100, 50]], np.uint8)
    >>> weights = bits.pack(np.array([[1, -1, 1], [-1, -1, -1]]))
    >>> xnor.bitserial_matmul(xnor.planes(pixels, 8), weights, n_features=3)
    array([[ 150, -350]], dtype=int32)

    Notes
    -----
    The numpy equivalent, with ``x`` and ``y`` the numbers: ``x @ y.T``, then as in `Finish`.
    """
    n_features = as_integer(n_features, "n_features", 1, INT32_MAX)
    a_signed, b_signed = as_bool(a_signed, "a_signed"), as_bool(b_signed, "b_signed")
    a = code_array(a, "a")
    check_separate(out, a, "a")
    check_separate(out, b, "b")
    check_bytes(a, "a", (1, 2, 3), n_features, f"n_features {n_features}")
    matrix = native_matrix(b, n_features, "n_features", planes=True, signed=b_signed, threads=threads)
    last = native_finish(finish, matrix.shape[0])
    return _native.xnor_matmul(a, kind_of_values(a, a_signed), matrix, n_features, last, out, threads)


def byte_matmul(
    a: ArrayLike,
    b: ArrayLike | PackedMatrix,
    *,
    byte_scale: int = 1,
    byte_offset: int = 0,
    finish: Finish | None = None,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Multiply rows of bytes by rows of signs.

    This is how images enter a binary network. The first product with a PackedMatrix arranges its signs for
    bytes and keeps them: up to eight times the memory of the packed signs.

    Parameters
    ----------
    a : array_like of uint8 (m, d)
        Bytes; a one-dimensional array is one row.
    b : array_like of uint8 (n, ceil(d / 8)) or PackedMatrix
        Rows of signs, packed by `bits.pack`.
    byte_scale, byte_offset : int
        A byte stands for the number ``byte_offset + byte_scale * byte``. For example, 4-bit codes of the odd
        numbers from -15 to 15 have the scale 2 and the offset -15.
    finish, out, threads
        As in `matmul`.

    Returns
    -------
    int32, uint8 or float32 array
        As in `matmul`.

    Raises
    ------
    TypeError, ValueError
        As in `matmul`; if `b` has bit planes, or sums can overflow int32.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, xnor
    >>> pixels = np.array([[200, 100, 50]], np.uint8)
    >>> weights = bits.pack(np.array([[1, -1, 1], [-1, -1, -1]]))
    >>> xnor.byte_matmul(pixels, weights)
    array([[ 150, -350]], dtype=int32)

    Notes
    -----
    The numpy equivalent, with ``x = byte_offset + byte_scale * a.astype(int)`` and ``y`` the signs:
    ``x @ y.T``, then as in `Finish`.
    """
    values = byte_values(byte_scale, byte_offset)
    a = code_array(a, "a", "a numpy uint8 array (m, d)")
    check_separate(out, a, "a")
    check_separate(out, b, "b")
    matrix = native_matrix(b, row_length(a, "a", (1, 2), "(m, d)"), "d", threads=threads)
    last = native_finish(finish, matrix.shape[0])
    return _native.xnor_byte_matmul(a, values, matrix, last, out, threads)
