"""Models of messages: how probable symbols are."""

from __future__ import annotations

import abc
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastcodes import _native
from fastcodes._typing import Array, Codes, Doubles, Ids, Integers
from fastcodes._validation import as_array, as_integer, as_option, describe

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Categorical", "Huffman", "Model", "Prepared", "ScaleTable", "as_counts", "as_symbols"]

_MOST_SYMBOLS = 1 << 16
_LAWS = ("laplace", "gaussian", "logistic")


class Prepared(abc.ABC):
    """What has an operand of the kernels, which is made at its first use and not pickled."""

    _made: ClassVar[str]  # the name of the cached property

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != self._made}


class Model(Prepared):
    """A model of messages."""

    @abc.abstractmethod
    def _encode(self, symbols: Any, scales: Any, threads: Any) -> bytes:
        """Return the code of symbols."""

    @abc.abstractmethod
    def _decode(self, data: Codes, shape: tuple[int, ...] | None, scales: Any, threads: Any) -> Array:
        """Return the symbols of a code."""


def as_symbols(symbols: Any, name: str = "symbols") -> Integers:
    """Return an array-like of integers as an array."""
    array = as_array(symbols, name)
    if not array.size and not isinstance(symbols, np.ndarray):
        array = array.astype(np.uint8)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers; got {describe(symbols)}")
    return array


def as_counts(counts: Any, name: str = "counts") -> Array:
    """Return an array-like of counts (n_symbols,) as uint64."""
    array = as_array(counts, name)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers; got {describe(counts)}")
    if array.ndim != 1 or not 1 <= len(array) <= _MOST_SYMBOLS:
        raise ValueError(
            f"{name} must have one dimension and from 1 to {_MOST_SYMBOLS} elements; got shape {array.shape}"
        )
    if array.min() < 0:
        raise ValueError(f"{name} must be 0 or more; got {array.min()} at position {array.argmin()}")
    return np.ascontiguousarray(array, np.uint64)


def counted(symbols: Any, n_symbols: Any) -> tuple[Integers, Array]:
    """Return symbols as an array, and how often each of them occurs."""
    array = as_symbols(symbols)
    most = int(array.max()) if array.size else -1
    if n_symbols is None:
        n_symbols = max(most + 1, 1)
        if n_symbols > _MOST_SYMBOLS:
            raise ValueError(f"symbols must be from 0 to {_MOST_SYMBOLS - 1}; got {most}")
    n_symbols = as_integer(n_symbols, "n_symbols", 1, _MOST_SYMBOLS)
    check_symbols(array, n_symbols)
    return array, count(array, n_symbols).astype(np.uint64)


def count(symbols: Integers, n_symbols: int) -> Ids:
    """Return how often each of the symbols from 0 to ``n_symbols - 1`` occurs."""
    # Older releases of numpy refuse to count uint64.
    return np.bincount(symbols.reshape(-1).astype(np.intp, copy=False), minlength=n_symbols)


def check_symbols(symbols: Integers, n_symbols: int) -> None:
    """Raise an error unless all symbols are from 0 to ``n_symbols - 1``."""
    if not symbols.size:
        return
    for value in (symbols.min(), symbols.max()):
        if not 0 <= value < n_symbols:
            advice = "; subtract their minimum, or use a ScaleTable" if value < 0 else ""
            raise ValueError(f"symbols must be from 0 to {n_symbols - 1}; got {value}{advice}")


def check_no_scales(scales: Any, model: Model) -> None:
    """Raise an error if scales are given to a model without any."""
    if scales is not None:
        raise ValueError(f"scales are for a ScaleTable; a {type(model).__name__} has none")


def smallest_dtype(n_symbols: int) -> type[np.unsignedinteger[Any]]:
    """Return the dtype that symbols below `n_symbols` fit in."""
    return np.uint8 if n_symbols <= 256 else np.uint16


class Categorical(Model):
    r"""Symbols from 0 to ``n_symbols - 1``, each with a probability.

    Probabilities are integers of 16 bits that add up to :math:`2^{16}`, none of them zero, so that every
    symbol can be encoded. With more than 256 symbols, the high byte of a symbol is coded first, and then the
    low byte by probabilities that the high byte selects.

    Parameters
    ----------
    counts : array_like of int (n_symbols,)
        How often each symbol occurs, from 1 to 65536 symbols.
    dtype : integer dtype, optional
        That of decoded symbols; by default uint8, or uint16 for more than 256 symbols.

    Attributes
    ----------
    n_symbols : int
    dtype : dtype
    frequencies : uint32 array (n_tables, at most 256)
        Of 65536, how probable each symbol is. With more than 256 symbols the first row is that of the high
        bytes, and row ``1 + h`` that of the low bytes after the high byte ``h``.

    Raises
    ------
    TypeError
        If `counts` are not integers.
    ValueError
        If there are none or too many, or one is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import entropy
    >>> symbols = np.random.default_rng(0).geometric(0.5, 100_000) - 1
    >>> model = entropy.Categorical.fit(symbols, 32)
    >>> data = entropy.encode(symbols, model)
    >>> len(data), round(model.bits(symbols) / 8)
    (25070, 24959)
    >>> bool((entropy.decode(data, model, 100_000) == symbols).all())
    True
    """

    _made = "_tables"

    def __init__(self, counts: ArrayLike, *, dtype: DTypeLike | None = None) -> None:
        numbers = as_counts(counts)
        self.n_symbols = len(numbers)
        try:
            self.dtype = np.dtype(smallest_dtype(self.n_symbols) if dtype is None else dtype)
        except Exception:  # numpy puts the repr of the value, which may fail, in its own message
            raise TypeError(f"dtype must be an integer dtype; got {describe(dtype)}") from None
        if self.dtype.kind not in "iu" or np.iinfo(self.dtype).max < self.n_symbols - 1:
            raise ValueError(f"dtype must hold integers up to {self.n_symbols - 1}; got {self.dtype}")
        if self.n_symbols <= 256:
            self.frequencies = _native.entropy_frequencies(numbers[None], 1)
            return
        n_high = -(-self.n_symbols // 256)
        low = np.zeros((n_high, 256), np.uint64)
        low.reshape(-1)[: self.n_symbols] = numbers
        high = np.zeros((1, 256), np.uint64)
        sums = low.astype(np.float64).sum(axis=1)
        # Sums of large counts do not fit 64 bits.
        high[0, :n_high] = low.sum(axis=1) if sums.sum() < 2**62 else sums * (2**62 / sums.sum())
        self.frequencies = np.zeros((1 + n_high, 256), np.uint32)
        self.frequencies[:1, :n_high] = _native.entropy_frequencies(high[:, :n_high].copy(), 1)
        self.frequencies[1:] = _native.entropy_frequencies(low, 1)
        last = self.n_symbols - 256 * (n_high - 1)
        self.frequencies[-1] = 0
        self.frequencies[-1, :last] = _native.entropy_frequencies(low[-1:, :last].copy(), 1)[0]

    @classmethod
    def fit(cls, symbols: ArrayLike, n_symbols: int | None = None) -> Self:
        """Return the model of given symbols, which decodes to their dtype.

        Parameters
        ----------
        symbols : array_like of int
            Symbols from 0 up, of any shape.
        n_symbols : int, optional
            Number of symbols; by default the largest one and 1. Symbols that do not occur can be encoded too.

        Raises
        ------
        TypeError
            If they are not integers.
        ValueError
            If one is negative, or too large.
        """
        array, counts = counted(symbols, n_symbols)
        dtype = array.dtype if np.iinfo(array.dtype).max >= len(counts) - 1 else None
        return cls(counts, dtype=dtype)

    @cached_property
    def _tables(self) -> tuple[_native.EntropyTables, _native.EntropyTables | None]:
        high, low = self.frequencies[:1], self.frequencies[1:]
        return _native.EntropyTables(high), _native.EntropyTables(low) if len(low) else None

    def bits(self, symbols: ArrayLike) -> float:
        """Return the code length of symbols in bits: the logarithm of one over their probability.

        Parameters
        ----------
        symbols : array_like of int
            Symbols of any shape.
        """
        array = as_symbols(symbols)
        check_symbols(array, self.n_symbols)
        counts = count(array, self.n_symbols)
        # Unseen symbols of the last row have no frequency.
        lengths = 16 - np.log2(np.maximum(self.frequencies, 1))
        if self.n_symbols <= 256:
            return float(counts @ lengths[0])
        each = lengths[1:] + lengths[0, : len(lengths) - 1, None]
        return float(counts @ each.reshape(-1)[: self.n_symbols])

    def _encode(self, symbols: Any, scales: Any, threads: Any) -> bytes:
        check_no_scales(scales, self)
        array = as_symbols(symbols)
        check_symbols(array, self.n_symbols)
        flat = np.ascontiguousarray(array, smallest_dtype(self.n_symbols)).reshape(-1)
        high, low = self._tables
        if low is None:
            return _native.entropy_encode(flat, high, threads)
        return _native.entropy_encode_wide(flat, high, low, threads)

    def _decode(self, data: Codes, shape: tuple[int, ...] | None, scales: Any, threads: Any) -> Array:
        check_no_scales(scales, self)
        shape = given(shape)
        n = int(np.prod(shape, dtype=object))
        high, low = self._tables
        if low is None:
            symbols: Array = _native.entropy_decode(data, high, n, threads)
        else:
            symbols = _native.entropy_decode_wide(data, high, low, n, threads)
        return symbols.astype(self.dtype, copy=False).reshape(shape)


def given(shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return a shape that has to be given."""
    if shape is None:
        raise TypeError("n must be the number of symbols, or their shape; got None")
    return shape


class ScaleTable(Model):
    r"""Integers around zero, each with one of 64 scales.

    Encoder and decoder know the index of each integer's scale, for example from a hyperprior; decoding uses
    no floating point. `scales` lists the 64 scales, from 0.11 to 256 in equal ratios (Ballé, Minnen, Singh,
    Hwang and Johnston, *Variational image compression with a scale hyperprior*, ICLR 2018). Any int32 can be
    encoded; far from zero it takes 32 bits more than the least probable symbol. For integers around a mean,
    encode the differences.

    Parameters
    ----------
    law : {"laplace", "gaussian", "logistic"}
        The density of a scale s, integrated from ``x - 1/2`` to ``x + 1/2``: proportional to
        :math:`e^{-|x| / s}`, to :math:`e^{-x^2 / 2 s^2}`, or that of the distribution function
        :math:`1 / (1 + e^{-x / s})`.

    Attributes
    ----------
    law : str
    scales : float64 array (64,)
        In ascending order.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import entropy
    >>> rng = np.random.default_rng(0)
    >>> sigma = rng.uniform(0.2, 50, (100, 200))
    >>> latents = np.rint(sigma * rng.standard_normal((100, 200))).astype(np.int16)
    >>> model = entropy.ScaleTable("gaussian")
    >>> scales = model.indices(sigma)
    >>> data = entropy.encode(latents, model, scales=scales)
    >>> len(data), round(model.bits(latents, scales) / 8)
    (15892, 15781)
    >>> bool((entropy.decode(data, model, scales=scales) == latents).all())
    True
    """

    _made = "_table"

    def __init__(self, law: str = "laplace") -> None:
        self.law = as_option(law, "law", _LAWS)

    @cached_property
    def _table(self) -> _native.EntropyScales:
        return _native.EntropyScales(self.law)

    @property
    def scales(self) -> Doubles:
        """What the numbers of scales stand for."""
        return self._table.scales

    def indices(self, scales: ArrayLike) -> Codes:
        """Return the numbers of the nearest scales, by their ratio; those out of range become the last ones.

        Parameters
        ----------
        scales : array_like of float
            Positive numbers, of any shape.

        Returns
        -------
        uint8 array of the same shape

        Raises
        ------
        ValueError
            If a scale is NaN, infinite, zero or negative.
        """
        array = as_array(scales, "scales")
        if array.dtype.kind not in "fiu":
            raise TypeError(f"scales must be real numbers; got {describe(scales)}")
        wrong = ~(np.isfinite(array) & (array > 0))
        if wrong.any():
            place = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"scales must be positive and finite; got {array.reshape(-1)[place]} at element {place}, "
                "counted through all axes"
            )
        borders = np.sqrt(self.scales[:-1] * self.scales[1:])
        return np.searchsorted(borders, array.astype(np.float64)).astype(np.uint8)

    def bits(self, symbols: ArrayLike, scales: ArrayLike) -> float:
        """Return the code length of integers in bits.

        Parameters
        ----------
        symbols : array_like of int
            Integers of any shape, from -2**31 to 2**31 - 1.
        scales : array_like of int
            The numbers of their scales, in the same shape.
        """
        values, numbers = self._arguments(symbols, scales)
        return float(self._table.bits(values, numbers).sum())

    def _arguments(self, symbols: Any, scales: Any) -> tuple[Array, Codes]:
        values = as_symbols(symbols)
        numbers = self._numbers(scales)
        if values.shape != numbers.shape:
            raise ValueError(
                f"symbols have shape {values.shape} but scales {numbers.shape}; expected the same"
            )
        if values.size and not -(2**31) <= values.min() <= values.max() < 2**31:
            raise ValueError(
                f"symbols must be from -2**31 to 2**31 - 1; got {values.min()} to {values.max()}"
            )
        return np.ascontiguousarray(values, np.int32).reshape(-1), numbers.reshape(-1)

    def _numbers(self, scales: Any) -> Codes:
        if scales is None:
            raise TypeError("scales must be the index of the scale of each symbol; got None")
        array = as_symbols(scales, "scales")
        if array.size and not 0 <= array.min() <= array.max() < 64:
            raise ValueError(f"scales must be numbers from 0 to 63; got {array.min()} to {array.max()}")
        return np.ascontiguousarray(array, np.uint8)

    def _encode(self, symbols: Any, scales: Any, threads: Any) -> bytes:
        return _native.entropy_encode_scaled(*self._arguments(symbols, scales), self._table, threads)

    def _decode(self, data: Codes, shape: tuple[int, ...] | None, scales: Any, threads: Any) -> Array:
        numbers = self._numbers(scales)
        if shape is not None and int(np.prod(shape, dtype=object)) != numbers.size:
            raise ValueError(f"n is {shape}, but there are {numbers.size} scales; expected one for each")
        symbols = _native.entropy_decode_scaled(data, numbers.reshape(-1), self._table, threads)
        return symbols.reshape(numbers.shape if shape is None else shape)


class Huffman(Model):
    """Symbols by codewords of whole bits, the frequent ones by the shortest.

    The code is canonical: codewords are ordered by length, then by symbol, so that the lengths alone say what
    they are. It needs up to a bit a symbol more than `Categorical`, and takes longer; it is for formats that
    have it (Huffman, *A method for the construction of minimum-redundancy codes*, Proc. IRE 40, 1952).

    Parameters
    ----------
    counts : array_like of int (n_symbols,)
        How often each symbol occurs. A symbol that does not occur has no codeword.

    Attributes
    ----------
    n_symbols : int
    dtype : dtype
        That of decoded symbols: uint8, or uint16 for more than 256 symbols.
    lengths : uint8 array (n_symbols,)
        Bits of each codeword, at most 32; 0 for none.
    codewords : uint32 array (n_symbols,)
        Codewords as numbers.

    Raises
    ------
    TypeError
        If `counts` are not integers.
    ValueError
        If there are none or too many, or one is negative.

    Examples
    --------
    >>> from fastcodes import entropy
    >>> code = entropy.Huffman([3, 2, 6, 1])
    >>> [f"{word:0{length}b}" for word, length in zip(code.codewords, code.lengths)]
    ['10', '110', '0', '111']
    >>> data = entropy.encode([2, 0, 2, 1], code)
    >>> data, entropy.decode(data, code, 4).tolist()
    (b'L', [2, 0, 2, 1])
    """

    _made = "_code"

    def __init__(self, counts: ArrayLike) -> None:
        self.lengths: Codes = _native.entropy_huffman_lengths(as_counts(counts))
        self.lengths.flags.writeable = False  # the kernels have their own
        self.n_symbols = len(self.lengths)
        self.dtype = np.dtype(smallest_dtype(self.n_symbols))

    @cached_property
    def _code(self) -> _native.EntropyHuffman:
        return _native.EntropyHuffman(self.lengths)

    @property
    def codewords(self) -> Array:
        """Codewords as numbers."""
        return self._code.codewords

    @classmethod
    def fit(cls, symbols: ArrayLike, n_symbols: int | None = None) -> Self:
        """Return the code of given symbols; see `Categorical.fit`."""
        return cls(counted(symbols, n_symbols)[1])

    def bits(self, symbols: ArrayLike) -> float:
        """Return the code length of symbols in bits; infinity if one has no codeword.

        Parameters
        ----------
        symbols : array_like of int
            Symbols of any shape.
        """
        array = as_symbols(symbols)
        check_symbols(array, self.n_symbols)
        counts = count(array, self.n_symbols)
        return float(np.inf if counts[self.lengths == 0].any() else counts @ self.lengths.astype(np.int64))

    def _encode(self, symbols: Any, scales: Any, threads: Any) -> bytes:
        check_no_scales(scales, self)
        array = as_symbols(symbols)
        check_symbols(array, self.n_symbols)
        return _native.entropy_huffman_encode(np.ascontiguousarray(array, np.uint16).reshape(-1), self._code)

    def _decode(self, data: Codes, shape: tuple[int, ...] | None, scales: Any, threads: Any) -> Array:
        check_no_scales(scales, self)
        shape = given(shape)
        n = int(np.prod(shape, dtype=object))
        symbols = _native.entropy_huffman_decode(data, self._code, n)
        return symbols.astype(self.dtype, copy=False).reshape(shape)
