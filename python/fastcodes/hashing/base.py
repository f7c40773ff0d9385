"""Base classes of hash functions: models that compute real values whose signs are the bits of a code."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files, bits, hamming, metrics
from fastcodes._blocks import blocks, fold, naming_nonfinite, rows_per_block
from fastcodes._codec import Codec
from fastcodes._estimator import check_fitted
from fastcodes._linalg import exact_product, projections, squared_distances
from fastcodes._progress import progress_bar
from fastcodes._storage import BitStorage, Storage
from fastcodes._typing import Array, Codes, Doubles, Floats, Ids
from fastcodes._validation import as_integer, as_option, check_threads
from fastcodes.hashing.packed_bits import MAX_BITS, as_packed_bits

__all__ = ["Hasher", "LinearHasher", "check_rank", "check_samples_differ", "wider"]

# Relevant samples per query in a score without labels.
_N_NEAREST = 10

_OUTPUTS = ("packed", "bits", "signs")


class Hasher(Codec):
    """A model with ``fit``, ``decision_function`` and ``encode``.

    A subclass takes `n_bits`, `output` and `verbose` in its constructor, learns in `fit`, which sets
    `n_features_in_`, and computes real values from a block of samples at a time.
    """

    # Whether `_values` and `_encode` raise a ValueError for samples that are not finite.
    _checks_samples: ClassVar[bool] = False
    n_bits: Any
    output: str
    verbose: bool
    metrics = ("hamming", "asymmetric")
    oversample = 16

    def _checked_bits(self) -> int:
        """Validate the parameters of every hash function and return `n_bits`."""
        as_option(self.output, "output", _OUTPUTS)
        return as_integer(self.n_bits, "n_bits", 1, MAX_BITS)

    @property
    @abc.abstractmethod
    def _n_bits(self) -> int:
        """Bits of a code of the fitted model."""

    @property
    def _width(self) -> int:
        """The largest number of floats that are computed from a sample: it limits the rows of a block."""
        return self._n_bits

    @abc.abstractmethod
    def _values(self, x: Floats, threads: int | None) -> Floats:
        """Return the real values (n, n_bits) of a block of samples (n, d), C-contiguous."""

    def _signed(self, x: Floats, threads: int | None) -> Floats:
        """Return values with the signs of `_values`, of which only the signs matter."""
        return self._values(x, threads)

    def _encode(self, x: Floats, out: Codes, threads: int | None) -> None:
        """Write the codes of a block of samples."""
        bits.pack(self._signed(x, threads), out=out, threads=threads)

    def decision_function(self, X: ArrayLike, *, threads: int | None = None) -> Floats:
        """Return the real values whose signs are the bits.

        Their magnitudes are the margins of the bits: a multi-probe search flips the bits with the smallest
        margins first, and an asymmetric search weights bits by them.

        Parameters
        ----------
        X : array_like (n, d)
            Samples: float16, float32, float64 or integers, converted to float32 a block at a time.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        float32 array (n, n_bits)
            Bit ``j`` of the code of ``X[i]`` is ``values[i, j] > 0``.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `X` is not an array of real numbers.
        ValueError
            If `X` has another shape, or a value that is not finite (the message says where).
        """
        check_threads(threads)  # the kernels' ValueErrors are about samples
        samples = self._samples(X)
        values = np.empty((len(samples), self._n_bits), np.float32)
        with naming_nonfinite(samples):
            for rows, block in self._blocks(samples):
                values[rows] = self._values(block, threads)
        return values

    def encode(self, X: ArrayLike, *, threads: int | None = None) -> Codes:
        """Return the code of each sample.

        Parameters
        ----------
        X : array_like (n, d)
            Samples: float16, float32, float64 or integers, converted to float32 a block at a time. A memory
            map is read a block at a time, too.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        uint8 array (n, ceil(n_bits / 8))
            ``fastcodes.bits.pack(decision_function(X))``, without the intermediate array.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `X` is not an array of real numbers.
        ValueError
            If `X` has another shape, or a value that is not finite (the message says where).
        """
        check_threads(threads)
        samples = self._samples(X)
        codes = np.empty((len(samples), (self._n_bits + 7) // 8), np.uint8)
        with naming_nonfinite(samples):
            for rows, block in self._blocks(samples):
                self._encode(block, codes[rows], threads)
        return codes

    @property
    def code_bits(self) -> int:
        """The bits of a code of the fitted model, whatever the parameter says now."""
        check_fitted(self)
        return self._n_bits

    def as_codes(self, codes: ArrayLike) -> Codes:
        """Return codes from elsewhere, or raise an error if `encode` cannot have made them."""
        return as_packed_bits(codes, self.code_bits)

    def operand(self, queries: Array, metric: str, *, threads: int | None = None) -> Array:
        """Return the codes of queries, or for the metric "asymmetric" their real values."""
        if metric == "asymmetric":
            return self.decision_function(queries, threads=threads)
        return self.encode(queries, threads=threads)

    def storage(self, metric: str) -> Storage:
        """Return an empty storage for codes of this model."""
        return BitStorage((self.code_bits + 7) // 8, metric)

    def score(self, X: ArrayLike, y: Any = None, *, threads: int | None = None) -> float:
        """Return the mean average precision of a search by codes: larger is better, for model selection.

        Each sample is a query, and all others are ranked by the Hamming distance to its code.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, at least two. The time grows with ``n * n``: a few thousand are enough.
        y : array_like (n,) or (n, c), optional
            Their labels.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        float
            The mean average precision, from 0 to 1. With labels, samples that share one are relevant;
            without, the 10 nearest samples by L2 distance, or all if there are fewer.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            As `encode`; or if there are fewer than two samples, or `y` has another length.
        """
        samples = self._samples(X)
        n = len(samples)
        if n < 2:
            raise ValueError(f"X has n_samples={n}; the score needs at least 2")
        if y is not None and len(np.asarray(y)) != n:
            raise ValueError(f"X has {n} samples and y {len(np.asarray(y))} labels; expected one for each")
        codes, total = self.encode(samples, threads=threads), 0.0
        for rows, block in blocks(samples, width=n):
            order = hamming.knn(codes[rows], codes, n, threads=threads)[1]
            own = np.arange(rows.start, rows.stop)[:, None]
            others = order[order != own].reshape(len(own), n - 1)
            if y is None:
                relevance = metrics.neighbor_relevance(_nearest(block, samples, own), others)
            else:
                relevance = metrics.label_relevance(np.asarray(y)[rows], y, others)
            total += float(metrics.average_precision(relevance).sum())
        return total / n

    def transform(self, X: ArrayLike, *, threads: int | None = None) -> Any:
        """Return the codes of samples in the form of the parameter `output`.

        Packed codes are for `fastcodes.hamming`: their bytes are no features. An estimator that follows in a
        pipeline learns from "bits" or "signs".

        Parameters
        ----------
        X : array_like (n, d)
            As in `encode`.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        array or data frame
            With "packed", ``encode(X)``: uint8 (n, ceil(n_bits / 8)). With "bits", the bits as 0 and 1: uint8
            (n, n_bits). With "signs", as -1 and +1: int8 (n, n_bits). See `set_output` for data frames.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            As `encode`; or if `output` is unknown.
        """
        return self._contained(self._form(self.encode(X, threads=threads), threads), X)

    def _form(self, codes: Codes, threads: int | None) -> Array:
        """Return codes in the form of `output`."""
        output = as_option(self.output, "output", _OUTPUTS)
        if output == "bits":
            return bits.unpack(codes, self._n_bits, threads=threads)
        if output == "signs":
            return bits.unpack(codes, self._n_bits, dtype=np.int8, values=(-1, 1), threads=threads)
        return codes

    @property
    def _n_outputs(self) -> int:
        return (self._n_bits + 7) // 8 if self.output == "packed" else self._n_bits

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        as_option(self.output, "output", _OUTPUTS)
        self._restore(arrays)

    @abc.abstractmethod
    def _restore(self, arrays: Mapping[str, Array]) -> None:
        """Restore what was learned, or raise a ValueError that says why it is invalid."""

    def _blocks(self, samples: Array) -> Iterator[tuple[slice, Floats]]:
        """Yield `samples` a block at a time, with a progress bar if `verbose` and there are many."""
        n_blocks = -(-len(samples) // rows_per_block(samples, self._width))
        with self._progress(n_blocks) as show:
            for rows, block in blocks(samples, width=self._width, check=not self._checks_samples):
                yield rows, block
                show(f"{rows.stop} samples")

    def _progress(self, n_blocks: int) -> contextlib.AbstractContextManager[Callable[[str], None]]:
        return progress_bar(self.verbose and n_blocks > 1, n_blocks, "encode", "blocks")


class LinearHasher(Hasher):
    """A model whose values are projections of the centered samples.

    Attributes
    ----------
    mean_ : float32 array (d,)
        The mean, which is subtracted first.
    components_ : float32 array (n_bits, d)
        Row ``j`` is the direction of bit ``j``: values are ``(x - mean_) @ components_.T``.
    """

    _learned = "components_"
    mean_: Floats
    components_: Floats

    @property
    def _n_bits(self) -> int:
        return len(self.components_)

    def _learn(self, mean: Array, components: Array) -> None:
        self.mean_ = np.ascontiguousarray(mean, np.float32)
        self.components_ = np.ascontiguousarray(components, np.float32)
        self.n_features_in_ = self.components_.shape[1]

    def _values(self, x: Floats, threads: int | None) -> Floats:
        # Not x @ components - mean @ components: far from the origin, cancellation would leave few digits.
        return exact_product(x - self.mean_, self.components_.T)

    def _signed(self, x: Floats, threads: int | None) -> Floats:
        return projections(x - self.mean_, self.components_)

    def _to_arrays(self) -> dict[str, Array]:
        return {"mean": self.mean_, "components": self.components_}

    def _restore(self, arrays: Mapping[str, Array]) -> None:
        components = _files.take(arrays, "components", np.float32, ("n_bits", "d"), finite=True)
        if not components.size:
            raise ValueError(f"components has shape {components.shape}; expected at least one row and column")
        self._learn(_files.take(arrays, "mean", np.float32, components.shape[1:], finite=True), components)


def check_samples_differ(n: int, covariance: Doubles) -> None:
    """Raise an error if all `n` samples are equal."""
    if not np.trace(covariance) > 0:
        raise ValueError(f"the samples of X do not differ (n_samples={n}); give samples that do")


def check_rank(n_bits: int, rank: int, samples: Array, owner: str) -> None:
    """Raise an error that explains why if the samples differ in fewer directions than there are bits."""
    if n_bits <= rank:
        return
    n, d = samples.shape
    if n_bits > d:
        reason = f"X has {d} feature(s)"
    elif n <= n_bits:
        reason = f"n_samples={n} samples differ in {n - 1} directions at most"
    else:
        low, high = fold(samples, _extremes, combine=wider)
        constant = np.flatnonzero(low == high)
        listed = ", ".join(map(str, constant[:5])) + (", ..." if len(constant) > 5 else "")
        reason = f"the samples differ in {rank} directions only" + (
            f" (column {listed} is constant)"
            if len(constant) == 1
            else f" (columns {listed} are constant)"
            if len(constant)
            else " (columns are linear combinations of others)"
        )
    advice = f"lower n_bits to {rank} or less" if rank else "give samples that differ"
    raise ValueError(f"{owner} makes at most one bit of a direction, and n_bits={n_bits}: {reason}; {advice}")


def _extremes(block: Floats) -> tuple[Floats, Floats]:
    return block.min(axis=0), block.max(axis=0)


def wider(a: tuple[Floats, Floats], b: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Return the lower of two lower ends, and the upper of two upper ones."""
    return np.minimum(a[0], b[0]), np.maximum(a[1], b[1])


def _nearest(x: Floats, samples: Array, own: Ids) -> Ids:
    """Return the rows of the samples nearest to each of `x`, without its own row."""
    squares = np.empty((len(x), len(samples)), np.float32)
    for rows, block in blocks(samples):
        squares[:, rows] = squared_distances(x, block)
    np.put_along_axis(squares, own, np.inf, axis=1)
    k = min(_N_NEAREST, len(samples) - 1)
    nearest: Ids = np.argpartition(squares, k - 1, axis=1)[:, :k]
    return nearest
