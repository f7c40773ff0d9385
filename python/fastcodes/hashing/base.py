"""What every hash function can do once it gives real values whose signs are bits."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files, bits, hamming, metrics
from fastcodes._blocks import blocks, rows_per_block
from fastcodes._estimator import Estimator
from fastcodes._linalg import squared_distances
from fastcodes._progress import progress_bar
from fastcodes._typing import Array, Codes, Doubles, Floats, Ids

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Hasher", "LinearHasher", "check_rank", "check_samples_differ"]


_N_NEAREST = 10  # what a score without labels asks for


class Hasher(Estimator):
    """A model with ``fit``, ``decision_function`` and ``encode``.

    A subclass takes `n_bits` and `verbose` in its constructor, learns in `fit`, which sets `n_features_in_`,
    and gives real values a block of samples at a time.
    """

    n_bits: Any
    verbose: bool

    @abc.abstractmethod
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn from samples (n, d)."""

    @property
    @abc.abstractmethod
    def _n_bits(self) -> int:
        """How many bits a code of the fitted model has, whatever the parameter says now."""

    @property
    def _width(self) -> int:
        """How many floats are made of a sample at most: blocks have as few rows as that needs."""
        return self._n_bits

    @abc.abstractmethod
    def _values(self, x: Floats) -> Floats:
        """Return the real values (n, n_bits) of a block of finite samples (n, d), C-contiguous."""

    def _encode(self, x: Floats, out: Codes) -> None:
        """Write the codes of a block; for those who know a shorter way than by `_values`."""
        bits.pack(self._values(x), out=out)

    def decision_function(self, X: ArrayLike) -> Floats:
        """Return the real values whose signs are the bits.

        Their sizes say how sure each bit is: which to flip first in a multi-probe search, and what an
        asymmetric search weighs bits by.

        Parameters
        ----------
        X : array_like (n, d)
            Samples: float16, float32, float64 or integers, converted to float32 a block at a time.

        Returns
        -------
        float32 array (n, n_bits)
            Bit ``j`` of the code of ``X[i]`` is ``values[i, j] > 0``.

        Raises
        ------
        NotFittedError
            If there is no model yet.
        TypeError
            If `X` are not real numbers.
        ValueError
            If `X` has another shape, or a value that is not finite (the message says where).
        """
        samples = self._samples(X)
        values = np.empty((len(samples), self._n_bits), np.float32)
        for rows, block in self._blocks(samples):
            values[rows] = self._values(block)
        return values

    def encode(self, X: ArrayLike) -> Codes:
        """Return the code of each sample.

        Parameters
        ----------
        X : array_like (n, d)
            Samples: float16, float32, float64 or integers, converted to float32 a block at a time. A memory
            map is read a block at a time, too.

        Returns
        -------
        uint8 array (n, ceil(n_bits / 8))
            ``fastcodes.bits.pack(decision_function(X))``, without this array in between.

        Raises
        ------
        NotFittedError
            If there is no model yet.
        TypeError
            If `X` are not real numbers.
        ValueError
            If `X` has another shape, or a value that is not finite (the message says where).
        """
        samples = self._samples(X)
        codes = np.empty((len(samples), (self._n_bits + 7) // 8), np.uint8)
        for rows, block in self._blocks(samples):
            self._encode(block, codes[rows])
        return codes

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Return how well the codes tell what belongs together: larger is better, for model selection.

        Each sample is a query, and all others are ranked by the Hamming distance to its code.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, at least two. The time grows with ``n * n``: take some thousands.
        y : array_like (n,) or (n, c), optional
            Their labels.

        Returns
        -------
        float
            The mean average precision, from 0 to 1. With labels, samples that share one are relevant;
            without, each sample's 10 nearest ones by L2 distance, or all if there are fewer.

        Raises
        ------
        NotFittedError
            If there is no model yet.
        TypeError, ValueError
            As `encode`; or if there are fewer than two samples, or `y` does not fit them.
        """
        samples = self._samples(X)
        n = len(samples)
        if n < 2:
            raise ValueError(f"X has n_samples={n}; the score needs at least 2")
        if y is not None and len(np.asarray(y)) != n:
            raise ValueError(f"X has {n} samples and y {len(np.asarray(y))} labels; expected one for each")
        codes, total = self.encode(samples), 0.0
        for rows, block in blocks(samples, width=n):
            order = hamming.knn(codes[rows], codes, n)[1]
            own = np.arange(rows.start, rows.stop)[:, None]
            others = order[order != own].reshape(len(own), n - 1)
            if y is None:
                relevance = metrics.neighbor_relevance(_nearest(block, samples, own), others)
            else:
                relevance = metrics.label_relevance(np.asarray(y)[rows], y, others)
            total += float(metrics.average_precision(relevance).sum())
        return total / n

    def transform(self, X: ArrayLike) -> Codes:
        """Return ``encode(X)``."""
        return self.encode(X)

    def fit_transform(self, X: ArrayLike, y: Any = None) -> Codes:
        """Return ``fit(X, y).encode(X)``."""
        return self.fit(X, y).encode(X)

    def _blocks(self, samples: Array) -> Iterator[tuple[slice, Floats]]:
        """Yield `samples` a block at a time, with a progress bar if that is wanted and there are many."""
        with self._progress(-(-len(samples) // rows_per_block(samples, self._width))) as show:
            for rows, block in blocks(samples, width=self._width):
                yield rows, block
                show(f"{rows.stop} samples")

    def _progress(self, n_blocks: int) -> contextlib.AbstractContextManager[Callable[[str], None]]:
        return progress_bar(self.verbose and n_blocks > 1, n_blocks, "encode", "blocks")


class LinearHasher(Hasher):
    """A model whose values are projections of what is left of a sample without the mean.

    Attributes
    ----------
    mean_ : float32 array (d,)
        What is subtracted first.
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

    def _values(self, x: Floats) -> Floats:
        # Not x @ components - mean @ components: far from the origin little would be left of the difference.
        centred: Floats = x - self.mean_
        return centred @ self.components_.T

    def _to_arrays(self) -> dict[str, Array]:
        return {"mean": self.mean_, "components": self.components_}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        components = _files.take(arrays, "components", np.float32, ("n_bits", "d"), finite=True)
        if not components.size:
            raise ValueError(f"components has shape {components.shape}; expected at least one row and column")
        self._learn(_files.take(arrays, "mean", np.float32, components.shape[1:], finite=True), components)


def check_samples_differ(covariance: Doubles) -> None:
    """Raise an error if all samples are equal."""
    if not np.trace(covariance) > 0:
        raise ValueError("the samples of X do not differ; give samples that do")


def check_rank(n_bits: int, rank: int, samples: Array, model: str) -> None:
    """Raise an error that explains why if there are fewer directions in which samples differ than bits."""
    if n_bits <= rank:
        return
    n, d = samples.shape
    if n_bits > d:
        reason = f"X has {d} features"
    elif n <= n_bits:
        reason = f"n_samples={n} samples differ in {n - 1} directions at most"
    else:
        low = high = samples[:1].astype(np.float32)
        for _, block in blocks(samples):
            low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
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
    raise ValueError(f"{model} makes at most one bit of a direction, and n_bits={n_bits}: {reason}; {advice}")


def _nearest(x: Floats, samples: Array, own: Ids) -> Ids:
    """Return the rows of the samples nearest to each of `x`, which are those in `own`."""
    squares = np.empty((len(x), len(samples)), np.float32)
    for rows, block in blocks(samples):
        squares[:, rows] = squared_distances(x, block)
    np.put_along_axis(squares, own, np.inf, axis=1)
    k = min(_N_NEAREST, len(samples) - 1)
    nearest: Ids = np.argpartition(squares, k - 1, axis=1)[:, :k]
    return nearest
