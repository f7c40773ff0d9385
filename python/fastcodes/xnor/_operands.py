"""Prepared arguments of the products of `fastcodes.xnor`: right-hand sides, filters and finishes."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from fastcodes import _native
from fastcodes._typing import Array, Codes, Floats
from fastcodes._validation import as_bool, as_integer, code_array, describe

__all__ = [
    "FILTERS",
    "IMAGES",
    "INT32_MAX",
    "Finish",
    "PackedFilters",
    "PackedMatrix",
    "byte_values",
    "bytes_per_row",
    "check_bytes",
    "kind_of_values",
    "native_filters",
    "native_finish",
    "native_matrix",
    "row_length",
]

INT32_MAX = 2**31 - 1
FILTERS = "a numpy uint8 array (n_filters, height, width, n_bytes) of packed bits, channels last"
IMAGES = "a numpy uint8 array (n, height, width, n_bytes) of packed bits, channels last"


class Finish:
    """What to make of dot products: packed bits, or scaled float32.

    It is checked and converted once and serves any number of products.

    Parameters
    ----------
    thresholds : int array (n,) or int, optional
        Makes the result packed bits: ``dot >= threshold``, so that zero is positive as in
        `fastcodes.nn.Sign`; the strict comparison of `fastcodes.bits.pack` is that of ``threshold + 1``. One
        element per column of the result, or one number for all columns.
    flips : bool array (n,) or bool, optional
        With `thresholds`: the columns whose bits are inverted.
    scale, bias : float array (n,) or float, optional
        Makes the result float32: ``dot * scale + bias``, rounded after each operation. The one that is not
        given is 1 or 0.

    Raises
    ------
    TypeError
        If an array has the wrong dtype.
    ValueError
        If arrays differ in length, `scale` or `bias` is not finite, no argument is given, or `thresholds` are
        combined with `scale` or `bias`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, xnor
    >>> a = bits.pack(np.array([[1, -1, 1], [-1, -1, -1]]))
    >>> xnor.matmul(a, a, n_bits=3, finish=xnor.Finish(thresholds=0))
    array([[128],
           [ 64]], dtype=uint8)
    >>> xnor.matmul(a, a, n_bits=3, finish=xnor.Finish(scale=[0.5, 2], bias=1))
    array([[ 2.5, -1. ],
           [ 0.5,  7. ]], dtype=float32)

    Notes
    -----
    The numpy equivalent::

        np.packbits((dots >= thresholds) != flips, axis=-1)  # with thresholds
        dots.astype(np.float32) * scale + bias  # with scale or bias
    """

    def __init__(
        self,
        *,
        thresholds: npt.ArrayLike | None = None,
        flips: npt.ArrayLike | None = None,
        scale: npt.ArrayLike | None = None,
        bias: npt.ArrayLike | None = None,
    ) -> None:
        arguments = (
            ("thresholds", thresholds, _int32),
            ("flips", flips, _booleans),
            ("scale", scale, _float32),
            ("bias", bias, _float32),
        )
        columns: dict[str, Array] = {
            name: convert(name, value) for name, value, convert in arguments if value is not None
        }
        makes_floats = "scale" in columns or "bias" in columns
        if thresholds is not None and makes_floats:
            raise ValueError("thresholds make bits, scale and bias make floats; give one or the other")
        if thresholds is None and flips is not None:
            raise ValueError("flips invert the bits that thresholds make; give thresholds too")
        if thresholds is None and not makes_floats:
            raise ValueError("thresholds, scale and bias are all None; give thresholds, or scale or bias")
        lengths = {name: len(column) for name, column in columns.items() if column.ndim}
        if len(set(lengths.values())) > 1:
            (first, n), (second, m) = lengths.items()
            raise ValueError(f"{first} has {n} elements but {second} has {m}; expected equal lengths")
        if makes_floats:
            columns = {"scale": np.ones((), np.float32), "bias": np.zeros((), np.float32)} | columns
        self._columns = columns
        self._n = next(iter(lengths.values()), None)
        self._native = None if self._n is None else self._prepare(self._n)

    def _prepare(self, n: int) -> _native.XnorFinish:
        """Return the finish of `n` columns as the kernels take it."""
        columns: dict[str, Array] = {
            name: np.require(np.broadcast_to(column, n), requirements=["C", "A"])
            for name, column in self._columns.items()
        }
        if "flips" in columns:
            columns["flips"] = np.packbits(columns["flips"])
        return _native.XnorFinish(*map(columns.get, ("thresholds", "flips", "scale", "bias")))

    def __repr__(self) -> str:
        columns = (f"{name}=<{column.size}>" for name, column in self._columns.items())
        return f"Finish({', '.join(columns)})"

    def __reduce__(self) -> tuple[partial[Finish], tuple[()]]:
        return partial(Finish, **self._columns), ()


class PackedMatrix:
    """A right-hand side prepared for many products, such as the weights of a network.

    Parameters
    ----------
    b : array_like of uint8 (n, ceil(n_bits / 8)) or (n_planes, n, ceil(n_bits / 8))
        Rows of signs, or bit planes of integers from `planes`.
    n_bits : int
        Numbers per row.
    signed : bool
        Whether bit planes are two's complement: the last one counts ``-2 ** p``. No effect on signs.
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
        If its bytes per row do not fit `n_bits`, padding bits are not zero, or it has more than eight planes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits, xnor
    >>> weights = xnor.PackedMatrix(bits.pack(np.array([[1, -1, 1], [-1, -1, -1]])), n_bits=3)
    >>> xnor.matmul(bits.pack(np.array([[1, 1, 1]])), weights, n_bits=3)
    array([[ 1, -3]], dtype=int32)
    """

    def __init__(self, b: ArrayLike, n_bits: int, *, signed: bool = True, threads: int | None = None) -> None:
        n_bits = as_integer(n_bits, "n_bits", 1, INT32_MAX)
        rows = code_array(b, "b")
        check_bytes(rows, "b", (1, 2, 3), n_bits, f"n_bits {n_bits}")
        self._has_planes = rows.ndim == 3
        self._signed = as_bool(signed, "signed")
        self._native = _native.XnorMatrix(rows, n_bits, kind_of_values(rows, self._signed), threads)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, and numbers per row."""
        return self._native.shape

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"PackedMatrix(<{self.shape[0]} x {self.shape[1]}>)"

    def __reduce__(self) -> tuple[partial[PackedMatrix], tuple[Codes, int]]:
        return partial(PackedMatrix, signed=self._signed), (self.unpack(), self.shape[1])

    def unpack(self) -> Codes:
        """Return the array that it was made from."""
        rows = self._native.rows()
        return rows if self._has_planes else rows[0]


class PackedFilters:
    """Filters prepared for many convolutions.

    Parameters
    ----------
    filters : array_like of uint8 (n_filters, kh, kw, ceil(n_channels / groups / 8))
        Signs, packed along the channels.
    n_channels : int
        Channels of the images.
    groups : int
        Groups of filters with their own channels, as in other libraries: the first group of filters sees the
        first group of channels, and so on. With several groups, the filters and the channels of each must be
        multiples of 8.
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
        If its bytes do not fit the channels, padding bits are not zero, or the groups do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import xnor
    >>> xnor.PackedFilters(np.zeros((16, 3, 3, 8), np.uint8), n_channels=64)
    PackedFilters(<16 x 3 x 3 x 64>, groups=1)
    """

    def __init__(
        self, filters: ArrayLike, n_channels: int, *, groups: int = 1, threads: int | None = None
    ) -> None:
        n_channels = as_integer(n_channels, "n_channels", 1, INT32_MAX)
        groups = as_integer(groups, "groups", 1, INT32_MAX)
        if n_channels % groups:
            raise ValueError(
                f"groups must divide n_channels; got groups {groups} but n_channels {n_channels}"
            )
        what = f"n_channels {n_channels} with groups {groups}"
        signs = code_array(filters, "filters", FILTERS)
        check_bytes(signs, "filters", (4,), n_channels // groups, what)
        self._native = _native.XnorFilters(signs, n_channels // groups, groups, threads)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Number of filters, height, width, and channels per filter."""
        return self._native.shape

    @property
    def groups(self) -> int:
        """Number of groups."""
        return self._native.groups

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"PackedFilters(<{' x '.join(map(str, self.shape))}>, groups={self.groups})"

    def __reduce__(self) -> tuple[partial[PackedFilters], tuple[Codes, int]]:
        return partial(PackedFilters, groups=self.groups), (self.unpack(), self.shape[3] * self.groups)

    def unpack(self) -> Codes:
        """Return the array that it was made from."""
        return self._native.rows()


# --- prepared arguments as the kernels take them ------------------------------------------------------------


def native_finish(finish: Finish | None, n: int) -> _native.XnorFinish | None:
    """Return the finish of a product with `n` columns."""
    if finish is None:
        return None
    if not isinstance(finish, Finish):
        raise TypeError(f"finish must be a fastcodes.xnor.Finish or None; got {describe(finish)}")
    if finish._native is None:
        return finish._prepare(n)
    if finish._n != n:
        raise ValueError(f"finish has {finish._n} columns but the product has {n}")
    return finish._native


def native_matrix(
    b: ArrayLike | PackedMatrix,
    n: int,
    n_name: str,
    *,
    planes: bool = False,
    signed: bool = True,
    threads: int | None = None,
) -> _native.XnorMatrix:
    """Return a right-hand side with rows of `n` numbers, the value of the argument `n_name`.

    `planes` says whether bit planes are allowed, and `signed` how planes that are not prepared are read.
    """
    if not isinstance(b, PackedMatrix):
        rows = code_array(b, "b")
        check_bytes(rows, "b", (1, 2, 3) if planes else (1, 2), n, f"{n_name} {n}")
        return _native.XnorMatrix(rows, n, kind_of_values(rows, signed), threads)
    if b.shape[1] != n:
        raise ValueError(f"{n_name} is {n}, but b was packed with {b.shape[1]}")
    if b._has_planes and not planes:
        raise ValueError("b has bit planes; expected rows of signs here, or use bitserial_matmul")
    return b._native


def native_filters(
    filters: ArrayLike | PackedFilters, n_channels: int, groups: int, threads: int | None
) -> _native.XnorFilters:
    """Return filters for images with `n_channels` channels."""
    if not isinstance(filters, PackedFilters):
        return PackedFilters(filters, n_channels, groups=groups, threads=threads)._native
    expected = filters.shape[3] * filters.groups
    if expected != n_channels:
        raise ValueError(f"images have {n_channels} channels, but filters were packed for {expected}")
    return filters._native


def kind_of_values(x: Codes, signed: bool) -> str:
    """Return what the bits of `x` stand for, as the kernels call it."""
    if x.ndim != 3:
        return "signs"
    return "signed" if signed else "unsigned"


# --- validation ---------------------------------------------------------------------------------------------


def bytes_per_row(x: Codes, name: str, ndims: tuple[int, ...]) -> int:
    """Return the bytes per row of an array with one of some numbers of dimensions."""
    if x.ndim not in ndims:
        expected = " or ".join(map(str, ndims))
        raise ValueError(f"{name} must have {expected} dimensions, the last one bytes; got shape {x.shape}")
    return int(x.shape[-1])


def check_bytes(x: Codes, name: str, ndims: tuple[int, ...], n: int, what: str) -> None:
    """Refuse rows without the bytes that `n` bits take; `what` names the arguments that ask for them."""
    n_bytes = bytes_per_row(x, name, ndims)
    if n_bytes != -(-n // 8):
        raise ValueError(f"{name} has {n_bytes} bytes in the last dimension, but {what} takes {-(-n // 8)}")


def _one_per_column(name: str, value: npt.ArrayLike, kinds: str, expected: str) -> Array:
    """Return one number, or a one-dimensional array, of a dtype whose kind is one of `kinds`."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(
            f"{name} must be {expected}, one for each column; got lists of several lengths"
        ) from None
    if array.dtype.kind not in kinds:
        raise TypeError(f"{name} must be {expected}; got an array of {array.dtype}")
    if array.ndim > 1:
        raise ValueError(
            f"{name} must be one number or a one-dimensional array, one element for each column; "
            f"got shape {array.shape}"
        )
    return array.copy()


def _booleans(name: str, value: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    return _one_per_column(name, value, "b", "booleans")


def _int32(name: str, value: npt.ArrayLike) -> npt.NDArray[np.int32]:
    limits = _one_per_column(name, value, "iu", "integers")
    # Dot products never reach the ends of int32, so thresholds beyond them can be clipped.
    low = 0 if limits.dtype.kind == "u" else -INT32_MAX - 1
    return np.clip(limits, low, INT32_MAX).astype(np.int32)


def _float32(name: str, value: npt.ArrayLike) -> Floats:
    numbers = _one_per_column(name, value, "fiu", "real numbers")
    with np.errstate(over="ignore"):
        column: Floats = numbers.astype(np.float32)
    is_finite = np.isfinite(column)
    if not is_finite.all():
        raise ValueError(f"{name} must be finite, as float32 too; got {numbers[~is_finite].flat[0]}")
    return column


def row_length(x: Codes, name: str, ndims: tuple[int, ...], shape: str) -> int:
    """Return the bytes per row of an array that is not packed."""
    n_bytes = bytes_per_row(x, name, ndims)
    if not n_bytes:
        raise ValueError(f"{name} must be {shape} with at least 1 byte in the last dimension; got {x.shape}")
    return n_bytes


def byte_values(scale: int, offset: int) -> tuple[int, int]:
    """Return scale and offset of bytes as the kernels take them."""
    return (
        as_integer(scale, "byte_scale", -INT32_MAX, INT32_MAX),
        as_integer(offset, "byte_offset", -INT32_MAX, INT32_MAX),
    )
