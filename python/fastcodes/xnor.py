"""Products of matrices whose numbers are a few bits: what binary and low-bit networks compute.

Packed rows stand for numbers: a zero is -1 and a one is +1, so that a dot product of ``n`` of them is
``n - 2 * popcount(a ^ b)`` (Rastegari, Ordonez, Redmon and Farhadi, *XNOR-Net*, ECCV 2016). Integers of 2 to
8 bits are a plane for each bit, and products of planes add up (bit-serial, Zhou et al., *DoReFa-Net*, 2016,
eq. 1). Bytes need not be taken apart to be multiplied by signs. All sums are exact int32.

=========  ======================================  ========================================================
array      shape                                   meaning
=========  ======================================  ========================================================
rows       uint8 ``(n, ceil(d / 8))``              as `bits.pack` makes them: a row of ``d`` signs
planes     uint8 ``(n_bits, n, ceil(d / 8))``      as `planes` makes them: plane ``p`` counts ``2 ** p``
bytes      uint8 ``(n, d)``                        as they are: numbers ``first + step * byte``
images     uint8 ``(n, h, w, ceil(c / 8))``        channels last: a pixel is a row of ``c`` signs
filters    uint8 ``(f, kh, kw, ceil(c / 8))``      likewise
=========  ======================================  ========================================================

Padding bits are zero. Every product can be finished in the same pass: compared with thresholds and packed, so
that a layer of a network reads bits and writes bits, or scaled to float32.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastcodes import _native
from fastcodes._typing import Codes, Floats, Integers
from fastcodes._validation import as_bool, as_integer

__all__ = [
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

_Sliding: TypeAlias = tuple[tuple[int, int], tuple[tuple[int, int], tuple[int, int]], int, tuple[int, int]]
Finish: TypeAlias = tuple[npt.NDArray[np.int32] | None, Codes | None, Floats | None, Floats | None]

_INT32 = np.iinfo(np.int32)
_LARGEST = int(_INT32.max)


class PackedMatrix:
    """A right-hand side prepared for many products, as the weights of a network are.

    Parameters
    ----------
    b : uint8 array (n, ceil(n_bits / 8)) or (n_planes, n, ceil(n_bits / 8))
        Rows of signs; or bit planes of integers, as `planes` makes them.
    n_bits : int
        Numbers in a row: bits of a plane.
    signed : bool
        Whether planes are two's complement: the last counts ``-2 ** p``. Signs are what they are.
    threads : int, optional
        As in `matmul`.

    Attributes
    ----------
    shape : tuple of int
        ``(n, n_bits)``.

    Raises
    ------
    TypeError
        If `b` has the wrong dtype.
    ValueError
        If it has other bytes than `n_bits` take, ones after the last bit, or more than eight planes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, xnor
    >>> weights = xnor.PackedMatrix(bits.pack(np.array([[1, -1, 1], [-1, -1, -1]])), n_bits=3)
    >>> xnor.matmul(bits.pack(np.array([[1, 1, 1]])), weights, n_bits=3)
    array([[ 1, -3]], dtype=int32)
    """

    def __init__(self, b: Codes, n_bits: int, signed: bool = True, threads: int | None = None) -> None:
        n_bits = as_integer(n_bits, "n_bits", 1, _LARGEST)
        _check_bytes(b, "b", (1, 2, 3), n_bits, f"n_bits {n_bits}")
        self._is_planes = isinstance(b, np.ndarray) and b.ndim == 3
        self._signed = as_bool(signed, "signed")
        kind = "signs" if not self._is_planes else "signed" if self._signed else "unsigned"
        self._matrix = _native.XnorMatrix(b, n_bits, kind, threads)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and numbers in a row."""
        return self._matrix.shape

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"PackedMatrix(<{self.shape[0]} x {self.shape[1]}>)"

    def __reduce__(self) -> tuple[type[PackedMatrix], tuple[Codes, int, bool]]:
        return PackedMatrix, (self.unpack(), self.shape[1], self._signed)

    def unpack(self) -> Codes:
        """Give back the array that it was made of."""
        rows = self._matrix.rows()
        return rows if self._is_planes else rows[0]


def matmul(
    a: Codes,
    b: Codes | PackedMatrix,
    n_bits: int,
    thresholds: npt.ArrayLike | None = None,
    flips: npt.ArrayLike | None = None,
    scale: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    out: npt.NDArray[Any] | None = None,
    threads: int | None = None,
) -> npt.NDArray[Any]:
    """Multiply rows of signs by rows of signs: all dot products.

    Parameters
    ----------
    a : uint8 array (m, ceil(n_bits / 8))
        As `bits.pack` makes it; a one-dimensional array is one row.
    b : uint8 array (n, ceil(n_bits / 8)) or PackedMatrix
        Likewise. For several products with the same rows, pack them once. Weights (n_bits, n), as in
        ``x @ weights``, become rows by ``bits.pack(weights.T)``, which takes no copy.
    n_bits : int
        Signs in a row.
    thresholds : int array (n,) or int, optional
        Makes the result bits: ``dot >= threshold``.
    flips : bool array (n,) or bool, optional
        With `thresholds`: columns whose bits are turned over.
    scale, bias : float array (n,) or float, optional
        Makes the result float32: ``dot * scale + bias``, in two roundings. What is not given is 1 or 0.
    out : array, optional
        C-contiguous, of the dtype and shape of the result; receives it.
    threads : int, optional
        Threads to use at most; None means all CPUs of this process, or as many as the environment variable
        ``FASTCODES_NUM_THREADS`` says; 1 starts none. More than there are CPUs are not started.

    Returns
    -------
    int32 array (m, n)
        ``result[i, j]`` is the dot product of row ``i`` of `a` and row ``j`` of `b`, from ``-n_bits`` to
        ``n_bits``.
    uint8 array (m, ceil(n / 8))
        With `thresholds`: packed bits as `bits.pack` makes them, which the next product takes.
    float32 array (m, n)
        With `scale` or `bias`.

    Raises
    ------
    TypeError
        If an array has the wrong dtype, or a number the wrong type.
    ValueError
        If bytes and `n_bits` do not fit, there are ones after the last bit, an array has not one element for
        each row of `b`, `scale` or `bias` is not finite, thresholds are given with either of them or flips
        without thresholds, or `out` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, xnor
    >>> a = np.array([[1, -1, 1], [-1, -1, -1]])
    >>> xnor.matmul(bits.pack(a), bits.pack(a), n_bits=3)
    array([[ 3, -1],
           [-1,  3]], dtype=int32)
    >>> xnor.matmul(bits.pack(a), bits.pack(a), n_bits=3, thresholds=0)
    array([[128],
           [ 64]], dtype=uint8)

    Notes
    -----
    The numpy equivalent, with ``x`` and ``y`` the signs as numbers::

        dots = x @ y.T
        np.packbits((dots >= thresholds) != flips, axis=1)  # with thresholds
        dots.astype(np.float32) * scale + bias  # with scale or bias
    """
    n_bits = as_integer(n_bits, "n_bits", 1, _LARGEST)
    _check_bytes(a, "a", (1, 2), n_bits, f"n_bits {n_bits}")
    matrix = _prepared(b, (1, 2), n_bits, "n_bits", True, threads)
    if matrix._is_planes:
        raise ValueError("b has bit planes; expected rows of signs here, or use bitserial_matmul")
    last = finish(len(matrix), thresholds, flips, scale, bias)
    return _native.xnor_matmul(a, "signs", matrix._matrix, n_bits, last, out, threads)


def and_matmul(
    a: Codes, b: Codes, out: npt.NDArray[np.int32] | None = None, threads: int | None = None
) -> npt.NDArray[np.int32]:
    """Count the ones that rows have in common: the dot products of rows of zeros and ones.

    Parameters
    ----------
    a : uint8 array (m, n_bytes)
        Packed bits; a one-dimensional array is one row.
    b : uint8 array (n, n_bytes)
        Likewise.
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
    n_bytes_of_a, n_bytes = _n_bytes(a, "a", (1, 2)), _n_bytes(b, "b", (1, 2))
    if n_bytes_of_a is not None and n_bytes is not None and n_bytes_of_a != n_bytes:
        raise ValueError(f"a has {n_bytes_of_a} bytes per row but b has {n_bytes}; expected as many")
    n_bits = 8 * (n_bytes or 1)
    matrix = _native.XnorMatrix(b, n_bits, "unsigned", threads)
    return _native.xnor_matmul(a, "unsigned", matrix, n_bits, finish(matrix.shape[0]), out, threads)


def planes(values: Integers, n_bits: int, out: Codes | None = None, threads: int | None = None) -> Codes:
    """Take integers apart into bit planes.

    Parameters
    ----------
    values : int array (m, d)
        Integers of `n_bits` bits: from 0 up, or two's complement if the dtype is signed.
    n_bits : int
        From 1 to 8.
    out : uint8 array (n_bits, m, ceil(d / 8)), optional
        C-contiguous; receives the result.
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
        given = f"an array of {values.dtype}" if isinstance(values, np.ndarray) else type(values).__name__
        raise TypeError(f"values must be a numpy array (m, d) of integers; got {given}")
    if values.ndim not in (1, 2) or not values.shape[-1]:
        raise ValueError(
            "values must have 1 or 2 dimensions, (m, d), and at least 1 integer in a row; "
            f"got shape {values.shape}"
        )
    n_bits = as_integer(n_bits, "n_bits", 1, 8)
    values = np.asarray(values)  # the methods of a subclass may do something else
    least, most = (
        (-(1 << n_bits - 1), (1 << n_bits - 1) - 1) if values.dtype.kind == "i" else (0, (1 << n_bits) - 1)
    )
    limits = np.iinfo(values.dtype)
    if values.size and (limits.max > most or limits.min < least):
        for value in (values.min(), values.max()):
            if not least <= value <= most:
                raise ValueError(
                    f"values has {value}, which does not fit {n_bits} bits; "
                    f"expected integers from {least} to {most}"
                )
    in_bytes = values.view(np.uint8) if values.dtype == np.int8 else values.astype(np.uint8, copy=False)
    return _native.xnor_planes(in_bytes, n_bits, out, threads)


def bitserial_matmul(
    a: Codes,
    b: Codes | PackedMatrix,
    n_features: int,
    a_signed: bool = False,
    b_signed: bool = True,
    thresholds: npt.ArrayLike | None = None,
    flips: npt.ArrayLike | None = None,
    scale: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    out: npt.NDArray[Any] | None = None,
    threads: int | None = None,
) -> npt.NDArray[Any]:
    """Multiply rows of integers of a few bits by rows of signs, or of integers.

    For bytes and signs `byte_matmul` is faster.

    Parameters
    ----------
    a : uint8 array (a_bits, m, ceil(n_features / 8))
        Bit planes, as `planes` makes them; two dimensions are rows of signs.
    b : uint8 array (n, ceil(n_features / 8)) or (b_bits, n, ceil(n_features / 8)), or PackedMatrix
        Rows of signs, or bit planes.
    n_features : int
        Numbers in a row.
    a_signed, b_signed : bool
        Whether planes are two's complement. A PackedMatrix knows by itself.
    thresholds, flips, scale, bias, out, threads
        As in `matmul`.

    Returns
    -------
    int32, uint8 or float32 array
        As `matmul`.

    Raises
    ------
    TypeError, ValueError
        As in `matmul`; if there are more than eight planes, or sums may not fit an int32.

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
    The numpy equivalent, with ``x`` and ``y`` the numbers: ``x @ y.T``, and then as `matmul`.
    """
    n_features = as_integer(n_features, "n_features", 1, _LARGEST)
    a_signed, b_signed = as_bool(a_signed, "a_signed"), as_bool(b_signed, "b_signed")
    _check_bytes(a, "a", (1, 2, 3), n_features, f"n_features {n_features}")
    matrix = _prepared(b, (1, 2, 3), n_features, "n_features", b_signed, threads)
    is_planes = isinstance(a, np.ndarray) and a.ndim == 3
    kind = "signs" if not is_planes else "signed" if a_signed else "unsigned"
    last = finish(len(matrix), thresholds, flips, scale, bias)
    return _native.xnor_matmul(a, kind, matrix._matrix, n_features, last, out, threads)


def byte_matmul(
    a: Codes,
    b: Codes | PackedMatrix,
    step: int = 1,
    first: int = 0,
    thresholds: npt.ArrayLike | None = None,
    flips: npt.ArrayLike | None = None,
    scale: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    out: npt.NDArray[Any] | None = None,
    threads: int | None = None,
) -> npt.NDArray[Any]:
    """Multiply rows of bytes by rows of signs.

    So images enter a network of signs. The first product with a PackedMatrix lays its signs out as bytes,
    which it keeps: eight times what they take as bits.

    Parameters
    ----------
    a : uint8 array (m, d)
        Bytes, which stand for ``first + step * byte``; a one-dimensional array is one row.
    b : uint8 array (n, ceil(d / 8)) or PackedMatrix
        Rows of signs, as `bits.pack` makes them.
    step, first : int
        What bytes stand for: from one number to the next, and that of the byte 0. Codes of 4 bits which are
        the odd numbers from -15 to 15 have a step of 2 and begin with -15.
    thresholds, flips, scale, bias, out, threads
        As in `matmul`.

    Returns
    -------
    int32, uint8 or float32 array
        As `matmul`.

    Raises
    ------
    TypeError, ValueError
        As in `matmul`; if `b` has bit planes, or sums may not fit an int32.

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
    The numpy equivalent, with ``y`` the signs as numbers: ``(first + step * a.astype(int)) @ y.T``, and then
    as `matmul`.
    """
    numbers = _numbers(step, first)
    matrix = _prepared(b, (1, 2), _row_length(a, "a", (1, 2), "(m, d)"), "d", True, threads)
    last = finish(len(matrix), thresholds, flips, scale, bias)
    return _native.xnor_byte_matmul(a, numbers, matrix._matrix, last, out, threads)


class PackedFilters:
    """Filters prepared for many convolutions.

    Parameters
    ----------
    filters : uint8 array (n_filters, kh, kw, ceil(n_channels / groups / 8))
        Signs, packed along the channels.
    n_channels : int
        Channels of the images.
    groups : int
        The first part of the filters sees the first part of the channels, and so on. With several groups, the
        filters and the channels of each must be multiples of 8.
    threads : int, optional
        As in `matmul`.

    Attributes
    ----------
    shape : tuple of int
        ``(n_filters, kh, kw, n_channels / groups)``.

    Raises
    ------
    TypeError
        If `filters` has the wrong dtype.
    ValueError
        If it has other bytes than the channels take, ones after the last channel, or groups do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import xnor
    >>> xnor.PackedFilters(np.zeros((16, 3, 3, 8), np.uint8), n_channels=64)
    PackedFilters(<16 x 3 x 3 x 64>, groups=1)
    """

    def __init__(self, filters: Codes, n_channels: int, groups: int = 1, threads: int | None = None) -> None:
        n_channels = as_integer(n_channels, "n_channels", 1, _LARGEST)
        groups = as_integer(groups, "groups", 1, _LARGEST)
        if n_channels % groups:
            raise ValueError(
                f"groups must divide n_channels; got groups {groups} but n_channels {n_channels}"
            )
        what = f"n_channels {n_channels} with groups {groups}"
        _check_bytes(filters, "filters", (4,), n_channels // groups, what)
        self._filters = _native.XnorFilters(filters, n_channels // groups, groups, threads)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Filters, height, width, and channels that each of them sees."""
        return self._filters.shape

    @property
    def groups(self) -> int:
        """Groups of filters with channels of their own."""
        return self._filters.groups

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"PackedFilters(<{' x '.join(map(str, self.shape))}>, groups={self.groups})"

    def __reduce__(self) -> tuple[type[PackedFilters], tuple[Codes, int, int]]:
        return PackedFilters, (self.unpack(), self.shape[3] * self.groups, self.groups)

    def unpack(self) -> Codes:
        """Give back the array that it was made of."""
        return self._filters.rows()


def conv2d(
    images: Codes,
    filters: Codes | PackedFilters,
    n_channels: int,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]] = 0,
    pad_value: int = -1,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    thresholds: npt.ArrayLike | None = None,
    flips: npt.ArrayLike | None = None,
    scale: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    out: npt.NDArray[Any] | None = None,
    threads: int | None = None,
) -> npt.NDArray[Any]:
    """Slide filters of signs over images of signs.

    Parameters
    ----------
    images : uint8 array (n, h, w, ceil(n_channels / 8))
        Signs, packed along the channels.
    filters : uint8 array (n_filters, kh, kw, ceil(n_channels / groups / 8)) or PackedFilters
        Likewise. For several convolutions with the same filters, pack them once.
    n_channels : int
        Channels of the images.
    stride : int or pair of int
        Pixels from one result to the next, for rows and columns.
    padding : int, pair of int, or pair of pairs of int
        Pixels around an image; for rows and columns; each before and after.
    pad_value : {-1, 0, 1}
        What these pixels are. 0 leaves their products out, as padding with zeros does.
    dilation : int or pair of int
        Pixels from one element of a filter to the next.
    groups : int
        As in `PackedFilters`, which know by themselves.
    thresholds, flips, scale, bias, out, threads
        As in `matmul`, with one element for each filter.

    Returns
    -------
    int32 array (n, oh, ow, n_filters)
        ``result[i, y, x, f]`` is the dot product of filter ``f`` and what lies under it at ``(y, x)``. As is
        usual for networks, filters are not turned round: it is a cross-correlation.
    uint8 array (n, oh, ow, ceil(n_filters / 8))
        With `thresholds`.
    float32 array (n, oh, ow, n_filters)
        With `scale` or `bias`.

    Raises
    ------
    TypeError, ValueError
        As in `matmul`; if a filter with its dilation covers more than an image with its padding.

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
    n_channels = as_integer(n_channels, "n_channels", 1, _LARGEST)
    _check_bytes(images, "images", (4,), n_channels, f"n_channels {n_channels}")
    packed, how = _sliding(filters, n_channels, stride, padding, pad_value, dilation, groups, threads)
    last = finish(len(packed), thresholds, flips, scale, bias)
    return _native.xnor_conv2d(images, None, packed._filters, n_channels, how, last, out, threads)


def byte_conv2d(
    images: Codes,
    filters: Codes | PackedFilters,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]] = 0,
    pad_value: int = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    step: int = 1,
    first: int = 0,
    thresholds: npt.ArrayLike | None = None,
    flips: npt.ArrayLike | None = None,
    scale: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    out: npt.NDArray[Any] | None = None,
    threads: int | None = None,
) -> npt.NDArray[Any]:
    """Slide filters of signs over images of bytes.

    Parameters
    ----------
    images : uint8 array (n, h, w, c)
        Bytes, which stand for ``first + step * byte``.
    filters : uint8 array (n_filters, kh, kw, ceil(c / groups / 8)) or PackedFilters
        Signs, packed along the channels.
    stride, padding, dilation, groups
        As in `conv2d`.
    pad_value : {-1, 0, 1}
        The number (not the byte) that pixels around an image are.
    step, first : int
        As in `byte_matmul`.
    thresholds, flips, scale, bias, out, threads
        As in `matmul`, with one element for each filter.

    Returns
    -------
    int32, uint8 or float32 array
        As `conv2d`.

    Raises
    ------
    TypeError, ValueError
        As in `conv2d`; if sums may not fit an int32.

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
    numbers, n_channels = _numbers(step, first), _row_length(images, "images", (4,), "(n, h, w, c)")
    packed, how = _sliding(filters, n_channels, stride, padding, pad_value, dilation, groups, threads)
    last = finish(len(packed), thresholds, flips, scale, bias)
    return _native.xnor_conv2d(images, numbers, packed._filters, n_channels, how, last, out, threads)


def _sliding(
    filters: Codes | PackedFilters,
    n_channels: int,
    stride: int | tuple[int, int],
    padding: int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]],
    pad_value: int,
    dilation: int | tuple[int, int],
    groups: int,
    threads: int | None,
) -> tuple[PackedFilters, _Sliding]:
    """Return filters and how they slide over images of so many channels, as the kernels take it."""
    if not isinstance(filters, PackedFilters):
        filters = PackedFilters(filters, n_channels, groups, threads)
    seen = filters.shape[3] * filters.groups
    if seen != n_channels:
        raise ValueError(f"images have {n_channels} channels, but filters were packed for {seen}")
    pad_value = as_integer(pad_value, "pad_value", -1, 1)
    return filters, (_pair(stride, "stride", 1), _padding(padding), pad_value, _pair(dilation, "dilation", 1))


def max_pool2d(
    images: Codes,
    size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    out: Codes | None = None,
    threads: int | None = None,
) -> Codes:
    """Take the maximum of each window of pixels, for each channel.

    Parameters
    ----------
    images : uint8 array (n, h, w, n_bytes)
        Bits, packed along the channels.
    size : int or pair of int
        Height and width of a window.
    stride : int or pair of int, optional
        Pixels from one window to the next; None is `size`. Windows lie within the image: what is left over at
        the end is dropped.
    out : uint8 array (n, oh, ow, n_bytes), optional
        C-contiguous; receives the result.
    threads : int, optional
        As in `matmul`.

    Returns
    -------
    uint8 array (n, oh, ow, n_bytes)
        The or of the bits of each window.

    Raises
    ------
    TypeError, ValueError
        If `images` has the wrong dtype or shape, or a window is larger than it.

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
    return _native.xnor_max_pool2d(
        images, window, window if stride is None else _pair(stride, "stride", 1), out, threads
    )


def _prepared(
    b: Codes | PackedMatrix, ndims: tuple[int, ...], n: int, n_name: str, signed: bool, threads: int | None
) -> PackedMatrix:
    """Return a right-hand side with rows of `n` numbers, which the argument `n_name` says."""
    if not isinstance(b, PackedMatrix):
        _check_bytes(b, "b", ndims, n, f"{n_name} {n}")
        return PackedMatrix(b, n, signed, threads)
    if b.shape[1] != n:
        raise ValueError(f"{n_name} is {n}, but b was packed with {b.shape[1]}")
    return b


def _n_bytes(x: Codes, name: str, ndims: tuple[int, ...]) -> int | None:
    """Return the bytes in a row, or None for what the kernels refuse in words of their own."""
    if not isinstance(x, np.ndarray) or x.dtype != np.uint8:
        return None
    if x.ndim not in ndims:
        expected = " or ".join(map(str, ndims))
        raise ValueError(f"{name} must have {expected} dimensions, the last one bytes; got shape {x.shape}")
    return int(x.shape[-1])


def _row_length(x: Codes, name: str, ndims: tuple[int, ...], shape: str) -> int:
    """Return the bytes in a row of what is not packed."""
    n_bytes = _n_bytes(x, name, ndims)
    if n_bytes is None:
        given = f"an array of {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(f"{name} must be a numpy uint8 array {shape}; got {given}")
    if not n_bytes:
        raise ValueError(f"{name} must be {shape} with at least 1 byte in the last dimension; got {x.shape}")
    return n_bytes


def _check_bytes(x: Codes, name: str, ndims: tuple[int, ...], n: int, what: str) -> None:
    """Refuse rows that have other bytes than `n` bits take; `what` says which arguments ask for so many."""
    n_bytes = _n_bytes(x, name, ndims)
    if n_bytes is not None and n_bytes != -(-n // 8):
        raise ValueError(f"{name} has {n_bytes} bytes in the last dimension, but {what} takes {-(-n // 8)}")


def _numbers(step: int, first: int) -> tuple[int, int]:
    """Return what bytes stand for, as the kernels take it."""
    return as_integer(step, "step", -_LARGEST, _LARGEST), as_integer(first, "first", -_LARGEST, _LARGEST)


def _pair(value: int | tuple[int, int], name: str, least: int) -> tuple[int, int]:
    try:
        first, second = value if isinstance(value, (tuple, list)) else (value, value)
    except ValueError:
        raise ValueError(f"{name} must be an integer or two, for rows and columns; got {value!r}") from None
    return as_integer(first, name, least, _LARGEST), as_integer(second, name, least, _LARGEST)


def _padding(
    padding: int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]],
) -> tuple[tuple[int, int], tuple[int, int]]:
    try:
        rows, columns = padding if isinstance(padding, (tuple, list)) else (padding, padding)
    except ValueError:
        raise ValueError(
            f"padding must be an integer, two for rows and columns, or two pairs; got {padding!r}"
        ) from None
    return _pair(rows, "padding", 0), _pair(columns, "padding", 0)


def finish(
    n: int,
    thresholds: npt.ArrayLike | None = None,
    flips: npt.ArrayLike | None = None,
    scale: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
) -> Finish:
    """Return what is to be done with dot products in `n` columns, as the kernels take it."""
    if thresholds is None:
        if flips is not None:
            raise ValueError(
                "flips turn over bits, which there are with thresholds only; give thresholds too"
            )
        if scale is None and bias is None:
            return None, None, None, None
        return (
            None,
            None,
            _column("scale", 1 if scale is None else scale, n),
            _column("bias", 0 if bias is None else bias, n),
        )
    if scale is not None or bias is not None:
        raise ValueError("thresholds make bits, scale and bias make floats; give one or the other")
    limits = _array("thresholds", thresholds, "iu", "integers")
    if limits.dtype != np.int32:
        # Dot products never reach the ends of int32: what lies beyond them is as good as they are.
        least = 0 if limits.dtype.kind == "u" else _INT32.min
        limits = np.clip(limits, least, _INT32.max).astype(np.int32)
    limits = _for_columns("thresholds", limits, n)
    if flips is None:
        return limits, None, None, None
    turned = _for_columns("flips", _array("flips", flips, "b", "booleans"), n)
    return limits, np.packbits(turned), None, None


def _column(name: str, value: npt.ArrayLike, n: int) -> Floats:
    numbers = _array(name, value, "fiu", "real numbers")
    with np.errstate(over="ignore"):
        column = numbers.astype(np.float32)
    is_finite = np.isfinite(column)
    if not is_finite.all():
        raise ValueError(f"{name} must be finite, as float32 too; got {numbers[~is_finite].flat[0]}")
    return _for_columns(name, column, n)


def _array(name: str, value: npt.ArrayLike, kinds: str, expected: str) -> npt.NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(
            f"{name} must be {expected}, one for each column; got lists of several lengths"
        ) from None
    if array.dtype.kind not in kinds:
        raise TypeError(f"{name} must be {expected}; got an array of {array.dtype}")
    return array


def _for_columns(name: str, values: npt.NDArray[Any], n: int) -> npt.NDArray[Any]:
    if values.ndim and values.shape != (n,):
        raise ValueError(
            f"{name} must be one number or an array of shape ({n},), one for each column; "
            f"got shape {values.shape}"
        )
    # Aligned, too, which an array out of a file need not be.
    return np.require(values if values.ndim else np.full(n, values), requirements=["C", "A"])
