"""Convolutions and pooling of images of bits and bytes."""

from __future__ import annotations

from typing import TypeAlias

from numpy.typing import ArrayLike

from fastcodes import _native
from fastcodes._typing import Array, Codes
from fastcodes._validation import as_integer, check_separate, code_array, describe
from fastcodes.xnor._operands import (
    IMAGES,
    INT32_MAX,
    Finish,
    PackedFilters,
    byte_values,
    check_bytes,
    native_filters,
    native_finish,
    row_length,
)

__all__ = ["byte_conv2d", "conv2d", "max_pool2d"]

Pair: TypeAlias = tuple[int, int]
Padding: TypeAlias = int | Pair | tuple[Pair, Pair]


def conv2d(
    images: ArrayLike,
    filters: ArrayLike | PackedFilters,
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
    images : array_like of uint8 (n, h, w, ceil(n_channels / 8))
        Signs, packed along the channels.
    filters : array_like of uint8 (n_filters, kh, kw, ceil(n_channels / groups / 8)) or PackedFilters
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
    images = code_array(images, "images", IMAGES)
    check_separate(out, images, "images")
    check_separate(out, filters, "filters")
    check_bytes(images, "images", (4,), n_channels, f"n_channels {n_channels}")
    prepared = native_filters(filters, n_channels, groups, threads)
    conv = _sliding(stride, padding, pad_value, dilation)
    last = native_finish(finish, prepared.shape[0])
    return _native.xnor_conv2d(images, None, prepared, n_channels, conv, last, out, threads)


def byte_conv2d(
    images: ArrayLike,
    filters: ArrayLike | PackedFilters,
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
    images : array_like of uint8 (n, h, w, c)
        Bytes, channels last.
    filters : array_like of uint8 (n_filters, kh, kw, ceil(c / groups / 8)) or PackedFilters
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
    values = byte_values(byte_scale, byte_offset)
    images = code_array(images, "images", "a numpy uint8 array (n, height, width, channels)")
    check_separate(out, images, "images")
    check_separate(out, filters, "filters")
    n_channels = row_length(images, "images", (4,), "(n, h, w, c)")
    prepared = native_filters(filters, n_channels, groups, threads)
    conv = _sliding(stride, padding, pad_value, dilation)
    last = native_finish(finish, prepared.shape[0])
    return _native.xnor_conv2d(images, values, prepared, n_channels, conv, last, out, threads)


def max_pool2d(
    images: ArrayLike,
    size: int | Pair,
    *,
    stride: int | Pair | None = None,
    out: Codes | None = None,
    threads: int | None = None,
) -> Codes:
    """Take the maximum of each window of pixels, per channel.

    Parameters
    ----------
    images : array_like of uint8 (n, h, w, n_bytes)
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
    images = code_array(images, "images", IMAGES)
    check_separate(out, images, "images")
    return _native.xnor_max_pool2d(images, window, step, out, threads)


def _sliding(
    stride: int | Pair, padding: Padding, pad_value: int, dilation: int | Pair
) -> tuple[Pair, tuple[Pair, Pair], int, Pair]:
    """Return how filters slide over images, as the kernels take it."""
    try:
        rows, columns = padding if isinstance(padding, (tuple, list)) else (padding, padding)
    except ValueError:
        raise ValueError(
            f"padding must be an integer, two for rows and columns, or two pairs; got {describe(padding)}"
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
        raise ValueError(
            f"{name} must be an integer or two, for rows and columns; got {describe(value)}"
        ) from None
    return as_integer(first, name, low, INT32_MAX), as_integer(second, name, low, INT32_MAX)
