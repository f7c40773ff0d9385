"""Pack and unpack bits and small integers, and count bits.

Codes are ``uint8`` arrays ``(..., n_bytes)`` in the order of `numpy.packbits`: dimension 0 is the highest bit
of byte 0 (with ``bitorder="little"`` the lowest), and the bits that pad the last byte are zero.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastcodes import _native
from fastcodes._validation import as_array, as_integer, as_output, code_array, describe

__all__ = ["pack", "pack_uint", "popcount", "unpack", "unpack_uint"]

BitOrder = Literal["big", "little"]

# The dtypes that the kernels compare. numpy compares all others, block by block.
_FLOATS = frozenset(np.dtype(name) for name in ("float16", "float32", "float64"))
_BYTES = frozenset(np.dtype(name) for name in ("bool", "uint8"))

# A block that numpy converts or compares, and its copies, stay in the second-level cache.
_ELEMENTS_PER_BLOCK = 1 << 17

_UINT8 = np.dtype(np.uint8)
_PYTHON_NUMBERS = frozenset((bool, int, float))
_ZERO_ONE = (0, 1)


def pack(
    x: ArrayLike,
    *,
    threshold: ArrayLike = 0.0,
    bitorder: BitOrder = "big",
    out: NDArray[np.uint8] | None = None,
    threads: int | None = None,
) -> NDArray[np.uint8]:
    """Pack ``x > threshold`` into bits along the last axis.

    The comparison is strict: zero becomes the bit 0, as in `fastcodes.hashing`. Binary networks count zero as
    positive; their signs are packed by ``bits.pack(x >= 0)``, which is what `fastcodes.nn.Sign` and
    ``fastcodes.xnor.Finish(thresholds=0)`` compute.

    Parameters
    ----------
    x : array_like (..., d)
        Booleans, integers or floats. A NaN is not above any threshold. A bfloat16 tensor is read as float32.
    threshold : float or array_like (d,)
        One value for all dimensions or one for each. Types are promoted as in ``x > threshold``: a Python
        number takes the dtype of `x`, an array of higher precision keeps its own.
    bitorder : {"big", "little"}
        Whether dimension 0 is the highest or the lowest bit of byte 0.
    out : uint8 array (..., ceil(d / 8)), optional
        C-contiguous array for the result.
    threads : int, optional
        Number of threads; all CPUs of this process by default.

    Returns
    -------
    uint8 array (..., ceil(d / 8))
        ``codes[..., i // 8]`` holds dimension ``i``; the bits beyond ``d`` are zero.

    Raises
    ------
    TypeError
        If `x` or `threshold` is not boolean, integer or real floating point.
    ValueError
        If `threshold` has a NaN or does not fit the last axis of `x`, or for a wrong `bitorder` or `out`.

    See Also
    --------
    unpack : The inverse.

    Notes
    -----
    Equal to ``np.packbits(x > threshold, axis=-1, bitorder=bitorder)``, without the intermediate array.
    Floats, booleans and bytes are read without a copy, in C or Fortran order: `x` may be ``weights.T``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits
    >>> x = np.array([[0.5, -1.0, 2.0, 0.0, 0.1, -0.1, -3.0, 1.0, 7.0]], dtype=np.float32)
    >>> bits.pack(x)
    array([[169, 128]], dtype=uint8)
    >>> bits.pack(x, threshold=x.mean(axis=0))
    array([[0, 0]], dtype=uint8)
    """
    x = as_array(x, "x")
    dtype = x.dtype
    if dtype.kind not in "biuf" and dtype.name != "bfloat16":
        raise TypeError(
            f"x must be booleans, integers or floats; got an array of dtype {dtype}. "
            'Convert it, for example with x.astype("float32")'
        )
    if not x.ndim:
        raise ValueError("x must have at least one dimension, (..., d); got a scalar")
    *lead, d = x.shape
    limits = _thresholds(threshold, x)
    out = as_output(out, (*lead, (d + 7) // 8), _UINT8, x, "x")

    native = dtype if dtype.isnative else dtype.newbyteorder("=")
    if native in _FLOATS:
        limits = _in_dtype(limits, native)
    elif dtype in _BYTES and not isinstance(limits, np.ndarray) and 0 <= limits < 1:
        limits = None
    else:
        _by_blocks(x, out, 1, functools.partial(_pack_compared, limits, bitorder, threads))
        return out
    if native is dtype and _has_contiguous_rows(x):
        _native.bits_pack(x, False, limits, bitorder, out, threads)
    elif native is dtype and x.ndim == 2 and _has_contiguous_rows(x.T):
        _native.bits_pack(x.T, True, limits, bitorder, out, threads)
    else:
        _by_blocks(x, out, 1, functools.partial(_pack_copied, limits, bitorder, threads, native))
    return out


def _pack_compared(
    limits: Any,
    bitorder: str,
    threads: int | None,
    x: NDArray[Any],
    dims: slice,
    out: NDArray[np.uint8],
) -> None:
    """Pack a block that numpy compares."""
    if isinstance(limits, np.ndarray) and limits.ndim:
        limits = limits[dims]
    elif isinstance(limits, float) and x.dtype.kind in "iu" and abs(limits) < 2**53:
        limits = math.floor(limits)  # integers exceed both or neither, and need not become floats
    is_above = np.empty(x.shape, bool)
    np.greater(x, limits, is_above)
    _native.bits_pack(is_above, False, None, bitorder, out, threads)


def _pack_copied(
    limits: NDArray[Any] | None,
    bitorder: str,
    threads: int | None,
    dtype: np.dtype[Any],
    x: NDArray[Any],
    dims: slice,
    out: NDArray[np.uint8],
) -> None:
    """Pack a block that the kernels cannot read without a copy."""
    if limits is not None and limits.ndim:
        limits = limits[dims]
    _native.bits_pack(np.ascontiguousarray(x, dtype), False, limits, bitorder, out, threads)


def unpack(
    codes: ArrayLike,
    n_bits: int,
    *,
    dtype: DTypeLike = np.uint8,
    values: Sequence[float] = _ZERO_ONE,
    bitorder: BitOrder = "big",
    out: NDArray[Any] | None = None,
    threads: int | None = None,
) -> NDArray[Any]:
    """Unpack each bit of the codes into an element: the inverse of `pack`.

    Parameters
    ----------
    codes : array_like of uint8 (..., ceil(n_bits / 8))
        Packed bits.
    n_bits : int
        Number of bits in a row. The bits that pad the last byte are not read.
    dtype : dtype
        bool, any integer, or float16, float32 or float64.
    values : pair of numbers
        The elements for a zero and for a one. ``(-1, 1)`` gives the signs of XNOR products.
    bitorder : {"big", "little"}
        Whether dimension 0 is the highest or the lowest bit of byte 0.
    out : array (..., n_bits) of `dtype`, optional
        C-contiguous array for the result.
    threads : int, optional
        Number of threads; all CPUs of this process by default.

    Returns
    -------
    array (..., n_bits) of `dtype`
        Element ``i`` of the last axis is ``values[bit i]``.

    Raises
    ------
    TypeError
        If `codes` is not a uint8 array, or `dtype` is none of the above.
    ValueError
        If `n_bits` does not match the bytes of a row, or `values` do not fit `dtype`, or for a wrong
        `bitorder` or `out`.

    Notes
    -----
    Equal to ``np.array(values, dtype)[np.unpackbits(codes, axis=-1, count=n_bits, bitorder=bitorder)]``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits
    >>> codes = np.array([[169, 128]], dtype=np.uint8)
    >>> bits.unpack(codes, 9)
    array([[1, 0, 1, 0, 1, 0, 0, 1, 1]], dtype=uint8)
    >>> bits.unpack(codes, 9, dtype=np.float32, values=(-1, 1))
    array([[ 1., -1.,  1., -1.,  1., -1., -1.,  1.,  1.]], dtype=float32)
    """
    codes = _bytes(codes, "codes")
    n_bits = as_integer(n_bits, "n_bits")
    n_bytes = codes.shape[-1]
    if (n_bits + 7) // 8 != n_bytes or n_bits < 0:
        expected = f"from {8 * n_bytes - 7} to {8 * n_bytes}" if n_bytes else "0"
        raise ValueError(
            f"n_bits is {n_bits}, but codes have {n_bytes} bytes per row; expected n_bits {expected}, "
            "the number that they were packed with"
        )
    try:
        dtype = np.dtype(dtype)
    except TypeError as error:
        raise TypeError(f"dtype must be bool, an integer, float16, float32 or float64; {error}") from None
    patterns = _patterns(values, dtype)
    out = as_output(out, (*codes.shape[:-1], n_bits), dtype, codes, "codes")
    if not _has_contiguous_rows(codes):
        codes = np.ascontiguousarray(codes)
    _native.bits_unpack(codes, n_bits, patterns, bitorder, out, threads)
    return out


def popcount(codes: ArrayLike, *, threads: int | None = None) -> NDArray[np.int32]:
    """Count the ones of each row.

    Parameters
    ----------
    codes : array_like of uint8 (..., n_bytes)
        Packed bits, padded with zeros.
    threads : int, optional
        Number of threads; all CPUs of this process by default.

    Returns
    -------
    int32 array (...)
        The number of ones in ``codes[i]``.

    Raises
    ------
    TypeError
        If `codes` is not a uint8 array.
    ValueError
        If `codes` has no dimensions.

    Notes
    -----
    Equal to ``np.bitwise_count(codes).sum(axis=-1, dtype=np.int32)``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits
    >>> bits.popcount(np.array([[0, 0], [1, 2], [255, 255]], dtype=np.uint8))
    array([ 0,  2, 16], dtype=int32)
    """
    codes = _bytes(codes, "codes")
    *shape, n_bytes = codes.shape
    if not n_bytes:
        return np.zeros(shape, np.int32)
    if len(shape) == 1:
        return _native.bits_popcount(codes, threads)
    return _native.bits_popcount(codes.reshape(math.prod(shape), n_bytes), threads).reshape(shape)


def pack_uint(
    values: ArrayLike,
    n_bits: int,
    *,
    out: NDArray[np.uint8] | None = None,
    threads: int | None = None,
) -> NDArray[np.uint8]:
    """Pack small integers side by side along the last axis, highest bit first.

    Parameters
    ----------
    values : array_like (..., d)
        Integers from 0 to ``2**n_bits - 1``, of any integer dtype.
    n_bits : int
        Bits of an integer, 1 to 16.
    out : uint8 array (..., ceil(d * n_bits / 8)), optional
        C-contiguous array for the result.
    threads : int, optional
        Number of threads; all CPUs of this process by default.

    Returns
    -------
    uint8 array (..., ceil(d * n_bits / 8))
        Integer ``i`` takes the bits ``i * n_bits`` to ``(i + 1) * n_bits - 1``, counted from the highest bit
        of byte 0; the bits beyond are zero.

    Raises
    ------
    TypeError
        If `values` are not integers or booleans.
    ValueError
        If one of `values` does not fit, or for a wrong `n_bits` or `out`.

    Notes
    -----
    Equal to ``np.packbits`` of the integers' binary forms, one after the other; with ``n_bits=1`` to `pack`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits
    >>> bits.pack_uint(np.array([5, 1, 7, 0, 2, 6, 3, 4], dtype=np.uint8), 3)  # 101 001 111 000 010 ...
    array([167, 133, 156], dtype=uint8)
    """
    values = as_array(values, "values")
    if values.dtype.kind not in "biu":
        raise TypeError(
            f"values must be unsigned integers; got an array of dtype {values.dtype}. "
            'Convert it, for example with values.astype("uint16")'
        )
    if not values.ndim:
        raise ValueError("values must have at least one dimension, (..., d); got a scalar")
    n_bits = as_integer(n_bits, "n_bits", 1, 16)
    shape = (*values.shape[:-1], (values.shape[-1] * n_bits + 7) // 8)
    out = as_output(out, shape, _UINT8, values, "values")
    kept = np.uint16 if n_bits > 8 else np.uint8
    if values.dtype in (np.uint8, np.uint16) and values.flags.carray:
        _native.bits_pack_uint(values, n_bits, out, threads)
        return out

    def to_bits(values: NDArray[Any], _: slice, out: NDArray[np.uint8]) -> None:
        if values.size and not (values.min() >= 0 and values.max() < 1 << n_bits):
            wrong = values[(values < 0) | (values >= 1 << n_bits)][0]
            raise ValueError(
                f"values has {wrong}, which does not fit {n_bits} bits; "
                f"expected integers from 0 to {(1 << n_bits) - 1}"
            )
        _native.bits_pack_uint(np.require(values, kept, ["C", "A"]), n_bits, out, threads)

    _by_blocks(values, out, n_bits, to_bits)
    return out


def unpack_uint(
    packed: NDArray[np.uint8],
    n_bits: int,
    count: int,
    *,
    out: NDArray[Any] | None = None,
    threads: int | None = None,
) -> NDArray[Any]:
    """Unpack small integers that are packed side by side: the inverse of `pack_uint`.

    Parameters
    ----------
    packed : array_like of uint8 (..., ceil(count * n_bits / 8))
        The result of `pack_uint`.
    n_bits : int
        Bits of an integer, 1 to 16.
    count : int
        Integers in a row.
    out : uint8 or uint16 array (..., count), optional
        C-contiguous array for the result.
    threads : int, optional
        Number of threads; all CPUs of this process by default.

    Returns
    -------
    array (..., count)
        The integers: uint8 up to 8 bits, uint16 for more.

    Raises
    ------
    TypeError
        If `packed` is not a uint8 array.
    ValueError
        If `count` does not match the bytes of a row, or for a wrong `n_bits` or `out`.

    Notes
    -----
    With ``n_bits=8`` equal to ``packed``, with ``n_bits=16`` to ``packed.view(">u2")``, with ``n_bits=1`` to
    ``np.unpackbits(packed, axis=-1, count=count)``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits
    >>> bits.unpack_uint(np.array([167, 133, 156], dtype=np.uint8), 3, count=8)
    array([5, 1, 7, 0, 2, 6, 3, 4], dtype=uint8)
    """
    packed = _bytes(packed, "packed")
    n_bits, count = as_integer(n_bits, "n_bits", 1, 16), as_integer(count, "count")
    n_bytes = packed.shape[-1]
    if (count * n_bits + 7) // 8 != n_bytes or count < 0:
        raise ValueError(
            f"count is {count}, but packed has {n_bytes} bytes per row; "
            f"{count} integers of {n_bits} bits take {(max(count, 0) * n_bits + 7) // 8}"
        )
    dtype = np.dtype(np.uint16 if n_bits > 8 else np.uint8)
    out = as_output(out, (*packed.shape[:-1], count), dtype, packed, "packed")
    _native.bits_unpack_uint(np.ascontiguousarray(packed), n_bits, out, threads)
    return out


def _thresholds(threshold: ArrayLike, x: NDArray[Any]) -> Any:
    """Return thresholds without NaN: a Python number, or an array of 0 or 1 dimensions."""
    if type(threshold) in _PYTHON_NUMBERS:
        if threshold != threshold:
            raise ValueError("threshold is NaN; expected a number, since nothing is above NaN")
        return threshold
    limits = as_array(threshold, "threshold")
    if limits.dtype.kind not in "biuf" and limits.dtype.name != "bfloat16":
        raise TypeError(
            f"threshold must be a real number or an array of them; got an array of dtype {limits.dtype}"
        )
    d = x.shape[-1]
    if limits.size == 1 and limits.ndim <= x.ndim:
        limits = limits.reshape(())
    elif limits.shape in ((d,), (1,) * (x.ndim - 1) + (d,)):
        limits = limits.reshape(d)
    else:
        raise ValueError(
            f"threshold has shape {limits.shape} but x has {d} dimensions (shape {x.shape}); "
            f"expected one number, or an array ({d},) with one for each dimension"
        )
    if np.isnan(limits).any():
        raise ValueError("threshold has a NaN; expected numbers, since nothing is above NaN")
    return limits


def _in_dtype(limits: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Convert limits to the floating-point `dtype`, so that the same numbers of that dtype exceed them."""
    if not isinstance(limits, np.ndarray):
        try:
            return np.asarray(limits, dtype)
        except OverflowError:
            raise ValueError(f"threshold is too large for {dtype}") from None
    if limits.dtype == dtype:
        return np.asarray(limits, order="C")
    # numpy would compare in this wider dtype, in which every x is exact. So x exceeds the limit if and only
    # if it exceeds the largest number of its own dtype that does not exceed the limit.
    wide = limits.astype(np.result_type(limits, dtype))
    with np.errstate(all="ignore"):
        near = wide.astype(dtype)
        return np.where(near > wide, np.nextafter(near, dtype.type(-np.inf)), near)


@functools.cache
def _zero_and_one(dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.array(_ZERO_ONE, dtype)


def _patterns(values: Sequence[float], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the elements of `dtype` for a zero and a one."""
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise TypeError(f"dtype must be bool, an integer, float16, float32 or float64; got {dtype}")
    if values is _ZERO_ONE:
        return _zero_and_one(dtype)
    pair = as_array(values, "values")
    if pair.shape != (2,) or pair.dtype.kind not in "biuf":
        raise ValueError(f"values must be two numbers, for a zero and for a one; got {describe(values)}")
    with np.errstate(over="ignore", invalid="ignore"):
        patterns = pair.astype(dtype)
    # A float may be rounded to the dtype; anything else must be exact.
    fit = np.isfinite(patterns) | ~np.isfinite(pair) if dtype.kind == "f" else patterns == pair
    if not fit.all():
        raise ValueError(
            f"values {tuple(pair.tolist())} do not fit dtype {dtype}; give a dtype that holds them"
        )
    return patterns


def _bytes(codes: ArrayLike, name: str) -> NDArray[np.uint8]:
    codes = code_array(codes, name, "a numpy uint8 array (..., n_bytes) of packed bits")
    if not codes.ndim:
        raise ValueError(f"{name} must have at least one dimension, (..., n_bytes); got a scalar")
    return codes


def _has_contiguous_rows(x: NDArray[Any]) -> bool:
    """Whether the kernels can read `x` without a copy."""
    return x.flags.c_contiguous or (x.ndim == 2 and x.strides[1] == x.itemsize and x.strides[0] >= 0)


def _by_blocks(
    x: NDArray[Any],
    out: NDArray[np.uint8],
    n_bits: int,
    to_bits: Callable[[NDArray[Any], slice, NDArray[np.uint8]], None],
    first: int = 0,
) -> None:
    """Call ``to_bits(block, columns, part of out)`` for blocks of `x` whose copies stay in the cache."""
    if x.size <= _ELEMENTS_PER_BLOCK:
        to_bits(x, slice(first, first + x.shape[-1]), out)
    elif len(x) == 1 and x.ndim > 1:
        _by_blocks(x[0], out[0], n_bits, to_bits, first)
    else:
        # A row is halved between two bytes.
        half = len(x) // 2 if x.ndim > 1 else len(x) // 16 * 8
        byte = half if x.ndim > 1 else half // 8 * n_bits
        _by_blocks(x[:half], out[:byte], n_bits, to_bits, first)
        _by_blocks(x[half:], out[byte:], n_bits, to_bits, first + half * (x.ndim == 1))
