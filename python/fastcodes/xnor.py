"""Exact matrix products and convolutions of binary and low-bit numbers, for binary and low-bit networks.

A packed row stands for signs: bit 0 is -1 and bit 1 is +1, so that the dot product of two rows of ``n`` signs
is ``n - 2 * popcount(a ^ b)`` (Rastegari, Ordonez, Redmon and Farhadi, *XNOR-Net*, ECCV 2016). Integers of 2
to 8 bits have one bit plane per bit, and the products of planes add up (bit-serial; Zhou et al.,
*DoReFa-Net*, 2016, eq. 1). Bytes are multiplied by signs without bit planes. All sums are exact int32.

=========  ======================================  ========================================================
array      shape                                   meaning
=========  ======================================  ========================================================
rows       uint8 ``(n, ceil(d / 8))``              rows of ``d`` signs, packed by `bits.pack`
planes     uint8 ``(n_bits, n, ceil(d / 8))``      integers, split by `planes`: plane ``p`` counts ``2 ** p``
bytes      uint8 ``(n, d)``                        numbers ``byte_offset + byte_scale * byte``
images     uint8 ``(n, h, w, ceil(c / 8))``        channels last: each pixel is a row of ``c`` signs
filters    uint8 ``(f, kh, kw, ceil(c / 8))``      the same for filters
=========  ======================================  ========================================================

Padding bits are zero. A `Finish` turns the dot products into bits or float32 in the same pass, so that a
layer of a network reads bits and writes bits.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastcodes import _native
from fastcodes._operands import (
    INT32_MAX,
    Finish,
    PackedFilters,
    PackedMatrix,
    bytes_per_row,
    check_bytes,
    kind_of_values,
    native_filters,
    native_finish,
    native_matrix,
)
from fastcodes._typing import Array, Codes, Integers
from fastcodes._validation import as_bool, as_integer, describe

__all__ = [
    "Finish",
    "PackedFilters",
    "PackedMatrix",
    "and_matmul",
    "bitserial_matmul",
    "byte_conv2d",
    "byte_matmul",
    "conv2d",
    "matmul",
    "max_pool2d",
    "planes",
]

Pair: TypeAlias = tuple[int, int]
Padding: TypeAlias = int | Pair | tuple[Pair, Pair]


# --- products -----------------------------------------------------------------------------------------------


def matmul(
    a: Codes,
    b: Codes | PackedMatrix,
    n_bits: int,
    *,
    finish: Finish | None = None,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Multiply rows of signs by rows of signs: all dot products.

    Parameters
    ----------
    a : uint8 array (m, ceil(n_bits / 8))
        Packed by `bits.pack`; a one-dimensional array is one row.
    b : uint8 array (n, ceil(n_bits / 8)) or PackedMatrix
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
    check_bytes(a, "a", (1, 2), n_bits, f"n_bits {n_bits}")
    matrix = native_matrix(b, n_bits, "n_bits", threads=threads)
    last = native_finish(finish, matrix.shape[0])
    return _native.xnor_matmul(a, "signs", matrix, n_bits, last, out, threads)


def and_matmul(
    a: Codes, b: Codes, *, out: NDArray[np.int32] | None = None, threads: int | None = None
) -> NDArray[np.int32]:
    """Count the ones that rows have in common: the dot products of rows of zeros and ones.

    Parameters
    ----------
    a : uint8 array (m, n_bytes)
        Packed bits; a one-dimensional array is one row.
    b : uint8 array (n, n_bytes)
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
    n_bytes_of_a, n_bytes = bytes_per_row(a, "a", (1, 2)), bytes_per_row(b, "b", (1, 2))
    if n_bytes_of_a is not None and n_bytes is not None and n_bytes_of_a != n_bytes:
        raise ValueError(f"a has {n_bytes_of_a} bytes per row but b has {n_bytes}; expected equal lengths")
    n_bits = 8 * (n_bytes or 1)
    matrix = _native.XnorMatrix(b, n_bits, "unsigned", threads)
    return _native.xnor_matmul(a, "unsigned", matrix, n_bits, None, out, threads)


def planes(values: Integers, n_bits: int, *, out: Codes | None = None, threads: int | None = None) -> Codes:
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
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iu":
        raise TypeError(f"values must be a numpy array (m, d) of integers; got {describe(values)}")
    if values.ndim not in (1, 2) or not values.shape[-1]:
        raise ValueError(
            "values must have 1 or 2 dimensions, (m, d), and at least 1 integer per row; "
            f"got shape {values.shape}"
        )
    n_bits = as_integer(n_bits, "n_bits", 1, 8)
    values = np.asarray(values)  # the methods of a subclass may do something else
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
    a: Codes,
    b: Codes | PackedMatrix,
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
    a : uint8 array (a_bits, m, ceil(n_features / 8))
        Bit planes from `planes`; a two-dimensional array is rows of signs.
    b : uint8 array (n, ceil(n_features / 8)) or (b_bits, n, ceil(n_features / 8)), or PackedMatrix
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
    check_bytes(a, "a", (1, 2, 3), n_features, f"n_features {n_features}")
    matrix = native_matrix(b, n_features, "n_features", planes=True, signed=b_signed, threads=threads)
    last = native_finish(finish, matrix.shape[0])
    return _native.xnor_matmul(a, kind_of_values(a, a_signed), matrix, n_features, last, out, threads)


def byte_matmul(
    a: Codes,
    b: Codes | PackedMatrix,
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
    a : uint8 array (m, d)
        Bytes; a one-dimensional array is one row.
    b : uint8 array (n, ceil(d / 8)) or PackedMatrix
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
    byte_values = _byte_values(byte_scale, byte_offset)
    matrix = native_matrix(b, _row_length(a, "a", (1, 2), "(m, d)"), "d", threads=threads)
    last = native_finish(finish, matrix.shape[0])
    return _native.xnor_byte_matmul(a, byte_values, matrix, last, out, threads)


# --- images -------------------------------------------------------------------------------------------------


def conv2d(
    images: Codes,
    filters: Codes | PackedFilters,
    n_channels: int,
    *,
    stride: int | Pair = 1,
    padding: Padding = 0,
    pad_value: int = -1,
    dilation: int | Pair = 1,
    groups: int = 1,
    finish: Finish | None = None,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Convolve images of signs with filters of signs.

    Parameters
    ----------
    images : uint8 array (n, h, w, ceil(n_channels / 8))
        Signs, packed along the channels.
    filters : uint8 array (n_filters, kh, kw, ceil(n_channels / groups / 8)) or PackedFilters
        Signs, packed along the channels; prepare PackedFilters once for several convolutions.
    n_channels : int
        Channels of the images.
    stride : int or pair of int
        Pixels from one result to the next, along rows and columns.
    padding : int, pair of int, or pair of pairs of int
        Pixels around an image: one number, one each for rows and columns, or a pair (before, after) for each.
    pad_value : {-1, 0, 1}
        The value of these pixels. 0 omits their products, as zero padding does.
    dilation : int or pair of int
        Pixels from one element of a filter to the next.
    groups : int
        As in `PackedFilters`, which have their own setting.
    finish, out, threads
        As in `matmul`; the columns are the filters.

    Returns
    -------
    int32 array (n, oh, ow, n_filters)
        ``result[i, y, x, f]`` is the dot product of filter ``f`` and the patch of image ``i`` at ``(y, x)``.
        As usual for networks, this is a cross-correlation: filters are not flipped.
    uint8 array (n, oh, ow, ceil(n_filters / 8))
        If `finish` has thresholds.
    float32 array (n, oh, ow, n_filters)
        If `finish` has a scale or bias.

    Raises
    ------
    TypeError, ValueError
        As in `matmul`; if a dilated filter is larger than a padded image.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, xnor
    >>> image = np.array([[[[1], [-1], [1]], [[-1], [1], [-1]]]])  # 2 x 3 pixels of one channel
    >>> edge = np.array([[[[1], [-1]]]])  # one filter of 1 x 2 elements
    >>> xnor.conv2d(bits.pack(image), bits.pack(edge), n_channels=1)[0, :, :, 0]
    array([[ 2, -2],
           [-2,  2]], dtype=int32)

    Notes
    -----
    The numpy equivalent for stride and dilation 1 and one group, with ``x`` the padded images and ``w`` the
    filters as numbers::

        windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(1, 2))
        np.einsum("nyxcij,fijc->nyxf", windows, w)
    """
    n_channels = as_integer(n_channels, "n_channels", 1, INT32_MAX)
    check_bytes(images, "images", (4,), n_channels, f"n_channels {n_channels}")
    prepared = native_filters(filters, n_channels, groups, threads)
    conv = _sliding(stride, padding, pad_value, dilation)
    last = native_finish(finish, prepared.shape[0])
    return _native.xnor_conv2d(images, None, prepared, n_channels, conv, last, out, threads)


def byte_conv2d(
    images: Codes,
    filters: Codes | PackedFilters,
    *,
    stride: int | Pair = 1,
    padding: Padding = 0,
    pad_value: int = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
    byte_scale: int = 1,
    byte_offset: int = 0,
    finish: Finish | None = None,
    out: Array | None = None,
    threads: int | None = None,
) -> Array:
    """Convolve images of bytes with filters of signs.

    Parameters
    ----------
    images : uint8 array (n, h, w, c)
        Bytes, channels last.
    filters : uint8 array (n_filters, kh, kw, ceil(c / groups / 8)) or PackedFilters
        Signs, packed along the channels.
    stride, padding, dilation, groups
        As in `conv2d`.
    pad_value : {-1, 0, 1}
        The number (not the byte) of the pixels around an image.
    byte_scale, byte_offset : int
        As in `byte_matmul`.
    finish, out, threads
        As in `matmul`; the columns are the filters.

    Returns
    -------
    int32, uint8 or float32 array
        As in `conv2d`.

    Raises
    ------
    TypeError, ValueError
        As in `conv2d`; if sums can overflow int32.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, xnor
    >>> image = np.array([[[[10], [20], [40]]]], np.uint8)  # 1 x 3 pixels of one channel
    >>> edge = np.array([[[[1], [-1]]]])  # one filter of 1 x 2 elements
    >>> xnor.byte_conv2d(image, bits.pack(edge))[0, :, :, 0]
    array([[-10, -20]], dtype=int32)

    Notes
    -----
    The numpy equivalent is that of `conv2d`, with ``x`` the padded images as numbers.
    """
    byte_values = _byte_values(byte_scale, byte_offset)
    n_channels = _row_length(images, "images", (4,), "(n, h, w, c)")
    prepared = native_filters(filters, n_channels, groups, threads)
    conv = _sliding(stride, padding, pad_value, dilation)
    last = native_finish(finish, prepared.shape[0])
    return _native.xnor_conv2d(images, byte_values, prepared, n_channels, conv, last, out, threads)


def max_pool2d(
    images: Codes,
    size: int | Pair,
    *,
    stride: int | Pair | None = None,
    out: Codes | None = None,
    threads: int | None = None,
) -> Codes:
    """Take the maximum of each window of pixels, per channel.

    Parameters
    ----------
    images : uint8 array (n, h, w, n_bytes)
        Bits, packed along the channels.
    size : int or pair of int
        Height and width of a window.
    stride : int or pair of int, optional
        Pixels from one window to the next; None is `size`. Windows lie within the image: rows and columns at
        the end that fill no window are dropped.
    out : uint8 array (n, oh, ow, n_bytes), optional
        C-contiguous; the result is written into it.
    threads : int, optional
        As in `matmul`.

    Returns
    -------
    uint8 array (n, oh, ow, n_bytes)
        The bitwise or of each window.

    Raises
    ------
    TypeError, ValueError
        If `images` has the wrong dtype or shape, or a window is larger than an image.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import xnor
    >>> images = np.array([[[[1], [2]], [[4], [0]]]], np.uint8)
    >>> xnor.max_pool2d(images, 2)
    array([[[[7]]]], dtype=uint8)

    Notes
    -----
    The numpy equivalent for a stride of 1::

        windows = np.lib.stride_tricks.sliding_window_view(images, size, axis=(1, 2))
        np.bitwise_or.reduce(windows, axis=(4, 5))
    """
    window = _pair(size, "size", 1)
    step = window if stride is None else _pair(stride, "stride", 1)
    return _native.xnor_max_pool2d(images, window, step, out, threads)


# --- validation ---------------------------------------------------------------------------------------------


def _row_length(x: Codes, name: str, ndims: tuple[int, ...], shape: str) -> int:
    """Return the bytes per row of an array that is not packed."""
    n_bytes = bytes_per_row(x, name, ndims)
    if n_bytes is None:
        raise TypeError(f"{name} must be a numpy uint8 array {shape}; got {describe(x)}")
    if not n_bytes:
        raise ValueError(f"{name} must be {shape} with at least 1 byte in the last dimension; got {x.shape}")
    return n_bytes


def _byte_values(scale: int, offset: int) -> Pair:
    """Return scale and offset of bytes as the kernels take them."""
    return (
        as_integer(scale, "byte_scale", -INT32_MAX, INT32_MAX),
        as_integer(offset, "byte_offset", -INT32_MAX, INT32_MAX),
    )


def _sliding(
    stride: int | Pair, padding: Padding, pad_value: int, dilation: int | Pair
) -> tuple[Pair, tuple[Pair, Pair], int, Pair]:
    """Return how filters slide over images, as the kernels take it."""
    try:
        rows, columns = padding if isinstance(padding, (tuple, list)) else (padding, padding)
    except ValueError:
        raise ValueError(
            f"padding must be an integer, two for rows and columns, or two pairs; got {padding!r}"
        ) from None
    return (
        _pair(stride, "stride", 1),
        (_pair(rows, "padding", 0), _pair(columns, "padding", 0)),
        as_integer(pad_value, "pad_value", -1, 1),
        _pair(dilation, "dilation", 1),
    )


def _pair(value: int | Pair, name: str, low: int) -> Pair:
    try:
        first, second = value if isinstance(value, (tuple, list)) else (value, value)
    except ValueError:
        raise ValueError(f"{name} must be an integer or two, for rows and columns; got {value!r}") from None
    return as_integer(first, name, low, INT32_MAX), as_integer(second, name, low, INT32_MAX)
