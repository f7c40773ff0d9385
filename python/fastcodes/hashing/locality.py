"""Locality-preserving hashing: the directions along which neighbours differ least."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._blocks import blocks, sample
from fastcodes._linalg import oriented, principal_components, squared_distances
from fastcodes._typing import Array, Doubles, Floats
from fastcodes._validation import as_integer, random_generator
from fastcodes.hashing.base import LinearHasher, check_rank
from fastcodes.quantization._lloyd import MAX_CODEWORDS
from fastcodes.quantization.kmeans import KMeans

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LocalityPreservingHashing"]


class LocalityPreservingHashing(LinearHasher):
    r"""Encode the signs along the directions in which neighbours differ least.

    Locality-preserving projections minimize :math:`\sum_{ij} A_{ij} (w^T x_i - w^T x_j)^2` among directions
    along which the samples have variance 1: :math:`X^T L X w = \lambda X^T D X w` with the Laplacian
    :math:`L = D - A` of a graph of neighbours (He and Niyogi, *Locality preserving projections*, NIPS 2003,
    equation 1). An anchor graph avoids a matrix of all pairs of samples: :math:`A = Z \Lambda^{-1} Z^T`
    with :math:`\Lambda = \mathrm{diag}(Z^T 1)`, where row i of Z holds the similarities of sample i to its
    nearest anchors, the centers of k-means (Liu, Wang, Kumar and Chang, *Hashing with graphs*, ICML
    2011, equations 2 and 3); the rows of A add up to 1, so that D = I. Bits are the signs of the first
    directions.

    Parameters
    ----------
    n_bits : int
        Bits k of a code, at most the number of directions in which the samples differ, and fewer than
        anchors.
    n_anchors : int
        Number of anchors.
    n_nearest : int
        Number of anchors that are neighbours of a sample.
    max_samples : int or None
        Maximum number of random rows to learn from; None uses all rows.
    random_state : None, int or numpy random generator
        Source of randomness; an integer makes `fit` repeatable.
    output : {"packed", "bits", "signs"}
        What `transform` returns: the packed codes of `encode`, features that are 0 or 1, or features that are
        -1 or +1.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    mean_ : float32 array (d,)
        The mean of the samples.
    components_ : float32 array (k, d)
        Row ``j`` is the direction of bit ``j``: values are ``(x - mean_) @ components_.T`` and have variance
        1.
    eigenvalues_ : float64 array (k,)
        :math:`\lambda` of each direction, increasing: 0 if neighbours are equal, 1 if they differ as much as
        independent samples.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.hashing import LocalityPreservingHashing
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 8))
    >>> X[:, 3] = 9 * rng.integers(2, size=2000) + X[:, 3]  # two groups
    >>> lph = LocalityPreservingHashing(n_bits=4, n_anchors=64, random_state=0).fit(X)
    >>> int(np.abs(lph.components_[0]).argmax()), bool(lph.eigenvalues_[0] < 0.1)
    (3, True)
    """

    eigenvalues_: Doubles

    def __init__(
        self,
        n_bits: int = 64,
        *,
        n_anchors: int = 256,
        n_nearest: int = 3,
        max_samples: int | None = 65536,
        random_state: Any = None,
        output: str = "packed",
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.n_anchors = n_anchors
        self.n_nearest = n_nearest
        self.max_samples = max_samples
        self.random_state = random_state
        self.output = output
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None, *, threads: int | None = None) -> Self:
        """Learn anchors and directions.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, one per row: float16, float32, float64 or integers. Of a memory map, only the rows that
            are used are read. At least as many as anchors.
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
            If `X` has another shape, a value that is not finite (the message says where), or differs
            in fewer directions than there are bits (the message says which columns are constant), or a
            parameter is out of range.
        """
        n_bits = self._checked_bits()
        n_anchors = as_integer(self.n_anchors, "n_anchors", 2, MAX_CODEWORDS)
        n_nearest = as_integer(self.n_nearest, "n_nearest", 1, n_anchors)
        if n_anchors <= n_bits:
            raise ValueError(f"n_anchors must be more than n_bits={n_bits}; got {n_anchors}")
        rng = random_generator(self.random_state)
        x = sample(self._training_samples(X), self.max_samples, rng)
        components = principal_components(x)
        check_rank(n_bits, components.rank, x, type(self).__name__)
        centered = x - components.mean.astype(np.float32)
        kmeans = KMeans(n_anchors, max_iter=10, random_state=rng, verbose=self.verbose)
        anchors = kmeans.fit(centered, threads=threads).centers_

        sums, degrees = np.zeros((n_anchors, x.shape[1])), np.zeros(n_anchors)
        for _, block in blocks(centered, width=n_anchors):
            similarities = _similarities(block, anchors, n_nearest)
            sums += similarities.T @ block
            degrees += similarities.sum(axis=0)
        # In whitened coordinates, X'DX is the identity and X'AX is half @ half.T.
        whiten = components.vectors[:, : components.rank] / np.sqrt(components.variances[: components.rank])
        half = whiten.T @ (sums / np.sqrt(np.maximum(degrees, 1e-12) * len(x))[:, None]).T
        eigenvalues, vectors = np.linalg.eigh(half @ half.T)
        directions = whiten @ vectors[:, ::-1][:, :n_bits]
        self._learn(components.mean, oriented(directions).T)
        self.eigenvalues_ = 1 - eigenvalues[::-1][:n_bits]
        return self

    def _to_arrays(self) -> dict[str, Array]:
        return {**super()._to_arrays(), "eigenvalues": self.eigenvalues_}

    def _restore(self, arrays: Mapping[str, Array]) -> None:
        super()._restore(arrays)
        self.eigenvalues_ = _files.take(arrays, "eigenvalues", np.float64, (self._n_bits,), finite=True)


def _similarities(x: Floats, anchors: Floats, n_nearest: int) -> Floats:
    """Return Z (n, n_anchors): Gaussians of the distances to the nearest anchors, with rows that sum to 1."""
    squares = squared_distances(x, anchors)
    nearest = np.argpartition(squares, n_nearest - 1, axis=1)[:, :n_nearest]
    of_nearest = np.take_along_axis(squares, nearest, axis=1)
    # The width is the mean distance. The smallest distance is subtracted, so that not all weights underflow.
    width = max(float(of_nearest.mean()), np.finfo(np.float32).tiny)
    weights = np.exp((of_nearest.min(axis=1, keepdims=True) - of_nearest) / width)
    similarities = np.zeros_like(squares)
    np.put_along_axis(similarities, nearest, weights / weights.sum(axis=1, keepdims=True), axis=1)
    return similarities
