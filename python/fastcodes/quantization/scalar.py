"""Scalar quantization: a few bits for each dimension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files, bits
from fastcodes._blocks import blocks, sample
from fastcodes._linalg import check_scale
from fastcodes._progress import progress
from fastcodes._typing import Array, Codes, Doubles, Floats
from fastcodes._validation import as_integer, as_option, check_threads, describe, random_generator
from fastcodes.quantization.base import Quantizer

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ScalarQuantizer"]


class ScalarQuantizer(Quantizer):
    r"""Encode each dimension of a vector with 1 to 8 bits.

    With ``kind="uniform"`` the range of each dimension is divided into :math:`2^b` cells of equal width, and
    a code stands for the midpoint of its cell: the error of a value in the range is at most half a cell.

    With ``kind="lloyd-max"`` the :math:`2^b` levels of each dimension minimize its mean squared error: each
    level is the mean of the values that are nearest to it (Lloyd, IEEE Trans. Inf. Theory 28, 1982; Max, IRE
    Trans. Inf. Theory 6, 1960). For a Gaussian of variance 1 that error is .3634, .1175, .03454 and .009497
    with 1 to 4 bits (Max, table I).

    Parameters
    ----------
    n_bits : int
        Bits b of each dimension, from 1 to 8.
    kind : {"uniform", "lloyd-max"}
        How the levels are chosen.
    ranges : pair (lower, upper), optional
        With "uniform": the range of all dimensions, or two arrays (d,) with the range of each. Values outside
        are clipped. The default is the smallest and largest training sample.
    max_iter : int
        Maximum number of iterations of "lloyd-max".
    max_samples : int or None
        Maximum number of random rows to train on; None uses all rows.
    random_state : None, int or numpy random generator
        Source of randomness; an integer makes `fit` repeatable.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    levels_ : float32 array (d, 2**b)
        ``levels_[j, c]`` is the value of code ``c`` in dimension ``j``; increasing with ``c``.
    lower_, step_ : float32 arrays (d,)
        With "uniform", ``levels_[j, c]`` is ``lower_[j] + (c + 0.5) * step_[j]``; None with "lloyd-max".
    n_iter_ : int
        The most iterations of a dimension with "lloyd-max"; 0 with "uniform".
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.quantization import ScalarQuantizer
    >>> X = np.array([[0.0, -1.0], [3.0, 1.0], [4.0, 0.2]])
    >>> sq = ScalarQuantizer(n_bits=2).fit(X)
    >>> sq.levels_
    array([[ 0.5 ,  1.5 ,  2.5 ,  3.5 ],
           [-0.75, -0.25,  0.25,  0.75]], dtype=float32)
    >>> codes = sq.encode(X)
    >>> codes  # 00 00, 10 11, 11 10
    array([[  0],
           [176],
           [224]], dtype=uint8)
    >>> sq.decode(codes)
    array([[ 0.5 , -0.75],
           [ 2.5 ,  0.75],
           [ 3.5 ,  0.25]], dtype=float32)
    """

    _learned = "levels_"

    def __init__(
        self,
        n_bits: int = 8,
        *,
        kind: str = "uniform",
        ranges: tuple[ArrayLike, ArrayLike] | None = None,
        max_iter: int = 100,
        max_samples: int | None = 65536,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.kind = kind
        self.ranges = ranges
        self.max_iter = max_iter
        self.max_samples = max_samples
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: object = None, *, threads: int | None = None) -> Self:
        """Learn the levels.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, one per row: float16, float32, float64 or integers. Of a memory map, only the rows that
            are used are read. At least one.
        y : object
            Ignored; present for API consistency.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` is not an array of real numbers, or a parameter has the wrong type.
        ValueError
            If `X` has another shape, no rows or a value that is not finite (the message says where), or a
            parameter is out of range.
        """
        check_threads(threads)
        n_levels = 1 << as_integer(self.n_bits, "n_bits", 1, 8)
        max_iter = as_integer(self.max_iter, "max_iter", 1)
        as_option(self.kind, "kind", ("uniform", "lloyd-max"))
        if self.ranges is not None and self.kind != "uniform":
            raise ValueError(f'ranges needs kind="uniform"; got kind={self.kind!r}')
        x = sample(self._training_samples(X), self.max_samples, random_generator(self.random_state))
        d = x.shape[1]
        if self.kind == "uniform":
            if self.ranges is None:
                lower, upper = x.min(axis=0), x.max(axis=0)
            else:
                lower, upper = _as_ranges(self.ranges, d)
            # In float64, since the width can overflow float32.
            step = ((upper.astype(np.float64) - lower) / n_levels).astype(np.float32)
            levels = lower[:, None] + (np.arange(n_levels, dtype=np.float32) + 0.5) * step[:, None]
            self._learn(levels, 0, lower, step)
        else:
            levels = np.empty((d, n_levels), np.float32)
            with progress(self.verbose, d, "scalar quantizer") as advance:
                n_iter = 0
                for j in range(d):
                    levels[j], error, iterations = lloyd_max(x[:, j], n_levels, max_iter)
                    n_iter = max(n_iter, iterations)
                    advance(error)
            self._learn(levels, n_iter)
        return self

    def _learn(
        self, levels: Floats, n_iter: int, lower: Floats | None = None, step: Floats | None = None
    ) -> None:
        self.levels_ = levels
        self.n_iter_ = n_iter
        self.lower_ = lower
        self.step_ = step
        self.n_features_in_ = len(levels)

    @property
    def _bits(self) -> int:
        return int(self.levels_.shape[1]).bit_length() - 1

    def encode(self, X: ArrayLike, *, threads: int | None = None) -> Codes:
        """Return the packed indices of the nearest levels.

        Parameters
        ----------
        X : array_like (n, d)
            Samples: float16, float32, float64 or integers, converted to float32 a block at a time.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        uint8 array (n, ceil(d * n_bits / 8))
            ``fastcodes.bits.pack_uint(numbers, n_bits)``, where ``numbers[i, j]`` is the index of the level
            nearest to ``X[i, j]``, usually the lower one of a tie.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `X` is not an array of real numbers.
        ValueError
            If `X` has another shape, or a value that is not finite (the message says where).
        """
        samples = self._samples(X)
        codes = np.empty((len(samples), (samples.shape[1] * self._bits + 7) // 8), np.uint8)
        for rows, block in blocks(samples):
            bits.pack_uint(self._numbers(block), self._bits, out=codes[rows], threads=threads)
        return codes

    def _numbers(self, x: Floats) -> Codes:
        numbers = np.empty(x.shape, np.uint8)
        if self.lower_ is not None and self.step_ is not None:
            # A constant dimension has the code 0.
            per_step = np.divide(1, self.step_, out=np.zeros_like(self.step_), where=self.step_ > 0)
            cells = np.ceil((x - self.lower_) * per_step) - 1
            numbers[:] = np.clip(cells, 0, self.levels_.shape[1] - 1)
            return numbers
        middles = (self.levels_[:, 1:] + self.levels_[:, :-1]) / 2
        for j, limits in enumerate(middles):
            numbers[:, j] = np.searchsorted(limits, x[:, j])
        return numbers

    def decode(self, codes: Codes, *, threads: int | None = None) -> Floats:
        """Return the vectors that the codes stand for.

        Parameters
        ----------
        codes : uint8 array (n, ceil(d * n_bits / 8))
            Codes from `encode`.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        float32 array (n, d)
            Element ``[i, j]`` is ``levels_[j, number j of row i]``.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            If `codes` has another dtype or shape.
        """
        return self._decode(codes, "codes", threads)

    def _decode(self, codes: Codes, name: str, threads: int | None) -> Floats:
        check_threads(threads)
        packed, d = self._as_codes(codes, name).astype(np.uint8, copy=False), self.n_features_in_
        numbers = bits.unpack_uint(packed, self._bits, d, threads=threads)
        vectors: Floats = self.levels_[np.arange(d), numbers]
        return vectors

    def operand(self, queries: Array, metric: str, *, threads: int | None = None) -> Floats:
        """Return the `tables` of rows of ``as_queries(queries)``.

        Samples of any scale can be encoded and decoded, but these are squared distances: a ValueError says so
        where float32 cannot represent them.
        """
        check_scale(self.levels_.T, "levels_")
        return super().operand(queries, metric, threads=threads)

    @property
    def _codebooks(self) -> Floats:
        return self.levels_[:, :, None]

    @property
    def bits_per_number(self) -> int | None:
        """The bits of a number, if `encode` packs the numbers."""
        return self._bits

    def _to_arrays(self) -> dict[str, Array]:
        arrays: dict[str, Array] = {"levels": self.levels_, "n_iter": np.array(self.n_iter_)}
        if self.lower_ is not None and self.step_ is not None:
            arrays |= {"lower": self.lower_, "step": self.step_}
        return arrays

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        levels = _files.take(arrays, "levels", np.float32, ("d", "2**n_bits"))
        if levels.shape[1] not in {1 << b for b in range(1, 9)}:
            raise ValueError(
                f"levels has shape {levels.shape}; expected (d, 2**n_bits) with n_bits from 1 to 8"
            )
        if not np.isfinite(levels).all() or (np.diff(levels, axis=1) < 0).any():
            raise ValueError("levels has values that are not finite, or not in increasing order")
        lower = step = None
        if "step" in arrays:
            lower = _files.take(arrays, "lower", np.float32, (len(levels),))
            step = _files.take(arrays, "step", np.float32, (len(levels),))
            if not (np.isfinite(lower).all() and np.isfinite(step).all() and (step >= 0).all()):
                raise ValueError("lower or step has values that are not finite, or step has negative values")
        self._learn(levels, int(_files.take(arrays, "n_iter", np.int64, ())), lower, step)


def _as_ranges(ranges: tuple[ArrayLike, ArrayLike], d: int) -> tuple[Floats, Floats]:
    """Return the lower and upper end of each dimension."""
    expected = f"a pair (lower, upper) of finite numbers, or of arrays ({d},), with lower < upper"
    try:
        lower, upper = (np.broadcast_to(np.asarray(end, np.float32), (d,)).copy() for end in ranges)
    except (TypeError, ValueError):
        raise ValueError(f"ranges must be {expected}; got {describe(ranges)}") from None
    if not (np.isfinite(lower) & np.isfinite(upper) & (lower < upper)).all():
        raise ValueError(f"ranges must be {expected}; got {describe(ranges)}")
    return lower, upper


def lloyd_max(values: Floats, n_levels: int, max_iter: int) -> tuple[Doubles, float, int]:
    """Return the levels that minimize the mean squared error of the values, this error, and iterations."""
    mean = values.mean(dtype=np.float64)
    x = np.sort(values) - mean  # centered and float64, so that the sums below are accurate
    n = len(x)
    sums, squares = np.append(0, np.cumsum(x)), np.append(0, np.cumsum(x * x))
    levels = _first_levels(x, n_levels)
    n_iter = 0
    for _ in range(max_iter):
        n_iter += 1
        ends = np.searchsorted(x, (levels[1:] + levels[:-1]) / 2, side="right")
        ends = np.concatenate([[0], ends, [n]])
        counts, totals = np.diff(ends), np.diff(sums[ends])
        new = np.where(counts > 0, totals / np.maximum(counts, 1), levels)
        errors = np.diff(squares[ends]) - counts * new**2
        # An empty level takes over the upper half of the values of the level with the largest error.
        for empty, full in zip(np.flatnonzero(counts == 0), np.argsort(-errors, kind="stable"), strict=False):
            cut = np.searchsorted(x, new[full], side="right")
            if not ends[full] < cut < ends[full + 1]:
                break
            new[empty] = (sums[ends[full + 1]] - sums[cut]) / (ends[full + 1] - cut)
            new[full] = (sums[cut] - sums[ends[full]]) / (cut - ends[full])
        new.sort()
        if np.array_equal(new, levels):
            break
        levels = new
    return levels + mean, max(float(errors.sum()), 0.0) / n, n_iter


def _first_levels(x: Doubles, n_levels: int) -> Doubles:
    """Return sorted levels whose density is proportional to the cube root of the density of `x`.

    That is optimal for many levels (Panter and Dite, Proc. IRE 39, 1951). The density of `x` is estimated as
    1 / width between quantiles, so that its cube root integrates to width to the power of two thirds.
    """
    quantiles = x[np.linspace(0, len(x) - 1, min(len(x), 16 * n_levels + 1)).astype(np.int64)]
    mass = np.append(0, np.cumsum(np.diff(quantiles) ** (2 / 3)))
    levels: Doubles = np.interp((np.arange(n_levels) + 0.5) / n_levels * mass[-1], mass, quantiles)
    return levels
