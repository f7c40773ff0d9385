"""Graphs of nearest neighbours for estimators of scikit-learn with ``metric="precomputed"``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._blocks import check_finite
from fastcodes._codec import Codec
from fastcodes._estimator import Parameterized, check_fitted
from fastcodes._validation import (
    as_bool,
    as_integer,
    as_option,
    as_samples,
    check_threads,
    code_array,
    describe,
)
from fastcodes.hashing import Bits
from fastcodes.index import FlatIndex
from fastcodes.index.base import Index

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["KNeighborsTransformer"]

_METRICS = ("hamming", "jaccard", "l2", "cosine")


class KNeighborsTransformer(Parameterized):
    """Transform samples into the sparse graph of their nearest neighbours in the samples of `fit`.

    It takes the place of ``sklearn.neighbors.KNeighborsTransformer`` in front of estimators with
    ``metric="precomputed"``: ``TSNE``, ``KNeighborsClassifier``, ``KNeighborsRegressor``, ``DBSCAN``,
    ``Isomap``, ``SpectralClustering`` (``affinity="precomputed_nearest_neighbors"``), and, with
    ``symmetric=True``, ``UMAP`` of umap-learn. It needs scipy.

    Parameters
    ----------
    codec : Codec, optional
        A model of `fastcodes.quantization` or `fastcodes.hashing`; `fit` trains a copy of it. By default
        samples are packed bits, uint8 ``(n, n_bytes)``.
    n_neighbors : int
        Neighbours of a sample. With ``mode="distance"`` one more is found, since a sample is its own
        neighbour.
    mode : {"distance", "connectivity"}
        Whether the elements of the graph are distances, or ones.
    metric : {"hamming", "jaccard", "l2", "cosine"}, optional
        One of ``codec.metrics``; that of the index by default. Inner products are no distances.
    symmetric : bool
        Whether the graph of `fit_transform` has each edge in both directions, with the smaller distance, and
        a stored distance of 0 from each sample to itself. Rows then have more neighbours than `n_neighbors`.
        With ``mode="connectivity"`` a sample is one of its own `n_neighbors`, so that its element of the
        diagonal is 1, unless as many others have the distance 0.
    index : callable, optional
        What makes an index of a codec, with ``metric=`` if that is given: a class of `fastcodes.index` or a
        `functools.partial` of one; `FlatIndex` by default. An index with `fit` is trained.

    Attributes
    ----------
    index_ : Index
        The codes of the samples of `fit`.
    n_features_in_ : int
        The columns of these samples.
    n_samples_fit_ : int
        Their number.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits
    >>> from fastcodes.interop.sklearn import KNeighborsTransformer
    >>> codes = bits.pack(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]))
    >>> KNeighborsTransformer(n_neighbors=1).fit_transform(codes).toarray()
    array([[0., 1., 0.],
           [1., 0., 0.],
           [0., 3., 0.]])

    Notes
    -----
    For packed bits, the numpy and scikit-learn equivalent, but for the order of equal distances::

        x = np.unpackbits(codes, axis=1)
        sklearn.neighbors.KNeighborsTransformer(metric="hamming").fit_transform(x) * x.shape[1]

    In a pipeline::

        make_pipeline(KNeighborsTransformer(n_neighbors=91), TSNE(metric="precomputed", init="random"))
        make_pipeline(KNeighborsTransformer(n_neighbors=15, symmetric=True),
                      UMAP(n_neighbors=15, metric="precomputed"))
        make_pipeline(KNeighborsTransformer(ITQ(64), n_neighbors=9),
                      KNeighborsClassifier(9, metric="precomputed"))
    """

    index_: Index
    n_features_in_: int
    n_samples_fit_: int

    def __init__(
        self,
        codec: Codec | None = None,
        *,
        n_neighbors: int = 5,
        mode: str = "distance",
        metric: str | None = None,
        symmetric: bool = False,
        index: Callable[..., Index] | None = None,
    ) -> None:
        self.codec = codec
        self.n_neighbors = n_neighbors
        self.mode = mode
        self.metric = metric
        self.symmetric = symmetric
        self.index = index

    def fit(self, X: ArrayLike, y: Any = None, *, threads: int | None = None) -> Self:
        """Train a copy of the codec, and add the samples to a new index.

        Parameters
        ----------
        X : array_like (n, d), or of uint8 (n, n_bytes)
            Samples, or packed bits if there is no codec.
        y : array_like, optional
            Labels, for codecs that learn from them.
        threads : int, optional
            Threads to use at most; None means all CPUs of this process.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` has the wrong dtype, or a parameter the wrong type.
        ValueError
            If `X` has the wrong shape or values, or a parameter is out of range.
        """
        check_threads(threads)
        as_bool(self.symmetric, "symmetric")
        self._n_found()
        samples = _as_samples(X) if self.codec is None else as_samples(X)
        if self.codec is None:
            codec: Any = Bits(8 * samples.shape[1])
        elif isinstance(self.codec, Codec):
            codec = type(self.codec)(**self.codec.get_params()).fit(X, y, threads=threads)
        else:
            raise TypeError(
                "codec must be a model of fastcodes.quantization or fastcodes.hashing, or None for packed "
                f"bits; got {describe(self.codec)}"
            )
        known = [metric for metric in codec.metrics if metric in _METRICS]
        if not known:
            raise ValueError(f"codec has the metric {codec.metrics[0]}, which is no distance: {codec!r}")
        options = {} if self.metric is None else {"metric": as_option(self.metric, "metric", known)}
        if not (self.index is None or callable(self.index)):
            raise TypeError(f"index must be a callable that makes an index; got {describe(self.index)}")
        made = (FlatIndex if self.index is None else self.index)(codec, **options)
        if not isinstance(made, Index):
            raise TypeError(f"index must make an index of fastcodes.index; it made {describe(made)}")
        if made.metric not in _METRICS:
            raise ValueError(
                f'index has the metric "{made.metric}", which is no distance; expected one of '
                f"{', '.join(map(repr, known))}, for example by metric={known[0]!r}"
            )
        if hasattr(made, "fit"):
            made.fit(samples, threads=threads)
        made.add(samples, threads=threads)
        self.index_, self.n_samples_fit_, self.n_features_in_ = made, len(samples), samples.shape[1]
        return self

    def transform(self, X: ArrayLike, *, threads: int | None = None) -> Any:
        """Find the nearest neighbours of samples.

        Parameters
        ----------
        X : array_like (nq, d), or of uint8 (nq, n_bytes)
            As in `fit`.
        threads : int, optional
            As in `fit`.

        Returns
        -------
        scipy.sparse.csr_matrix (nq, n_fit)
            float64; a row has its neighbours in ascending order of distances. Hamming distances are numbers
            of bits, and "l2" is the distance, not its square. An approximate index may find fewer.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ImportError
            If scipy is not installed.
        TypeError, ValueError
            As `fit`, or if there are fewer samples than neighbours.
        """
        check_fitted(self)
        n_found = self._n_found()
        if n_found > self.n_samples_fit_:
            raise ValueError(
                f"n_neighbors is {self.n_neighbors}, for which {n_found} samples are needed; "
                f"fit had {self.n_samples_fit_}"
            )
        samples = _as_samples(X) if self.codec is None else as_samples(X)
        if samples.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {samples.shape[1]} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input"
            )
        if self.codec is not None:
            check_finite(samples)
        found, neighbors = self.index_.search(samples, n_found, threads=threads)
        is_found = neighbors >= 0
        distances = np.maximum(found[is_found].astype(np.float64), 0)  # estimates may be below
        if self.index_.metric == "l2":
            np.sqrt(distances, out=distances)
        if self.mode == "connectivity":
            distances = np.ones_like(distances)
        offsets = np.concatenate([[0], np.cumsum(is_found.sum(axis=1))])
        return _sparse().csr_matrix(
            (distances, neighbors[is_found], offsets), shape=(len(neighbors), self.n_samples_fit_)
        )

    def fit_transform(self, X: ArrayLike, y: Any = None, *, threads: int | None = None) -> Any:
        """Return ``fit(X, y).transform(X)``, the graph of the samples, made symmetric if `symmetric`.

        Parameters
        ----------
        X, y, threads
            As in `fit`.

        Returns
        -------
        scipy.sparse.csr_matrix (n, n)
            As of `transform`.
        """
        graph = self.fit(X, y, threads=threads).transform(X, threads=threads)
        return _symmetric(graph, self.mode == "distance") if self.symmetric else graph

    def _n_found(self) -> int:
        """Check the parameters of a search, and return how many neighbours it finds."""
        as_option(self.mode, "mode", ("distance", "connectivity"))
        return as_integer(self.n_neighbors, "n_neighbors", 1, (1 << 20) - 1) + (self.mode == "distance")

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether `fit` was called, for scikit-learn."""
        return hasattr(self, "index_")

    def __sklearn_tags__(self) -> Any:
        """Return the tags that scikit-learn asks for."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="transformer",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=[]),
            input_tags=InputTags(),
        )


def _as_samples(X: Any) -> Any:
    codes = code_array(X, "X")
    if codes.ndim != 2 or not codes.shape[1]:
        raise ValueError(f"X must have shape (n, n_bytes) and at least 1 byte; got shape {codes.shape}")
    return codes


def _symmetric(graph: Any, are_distances: bool) -> Any:
    """Return a graph with each edge in both directions, also those of distance 0."""
    n, columns = graph.shape[0], graph.indices
    rows = np.repeat(np.arange(n), np.diff(graph.indptr))
    loops = np.arange(n if are_distances else 0)  # among many duplicates, a sample may not find itself
    edges = np.concatenate([rows, columns, loops]), np.concatenate([columns, rows, loops])
    distances = np.concatenate([graph.data, graph.data, np.zeros(len(loops))])
    order = np.lexsort((distances, edges[1], edges[0]))
    starts, ends, distances = edges[0][order], edges[1][order], distances[order]
    is_first = np.ones(len(starts), np.bool_)
    is_first[1:] = (starts[1:] != starts[:-1]) | (ends[1:] != ends[:-1])
    starts, ends, distances = starts[is_first], ends[is_first], distances[is_first]
    order = np.lexsort((distances, starts))
    offsets = np.searchsorted(starts, np.arange(n + 1))
    return _sparse().csr_matrix((distances[order], ends[order], offsets), shape=graph.shape)


def _sparse() -> Any:
    try:
        from scipy import sparse
    except ImportError as error:
        raise ImportError("KNeighborsTransformer needs scipy: pip install scipy") from error
    return sparse
