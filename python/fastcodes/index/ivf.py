"""An index of inverted lists: a search visits the nearest of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from fastcodes._codec import Codec
from fastcodes._estimator import check_fitted
from fastcodes._storage import BitStorage
from fastcodes._typing import Array, Codes, Floats, Ids
from fastcodes._validation import as_bool, as_integer, as_option, describe
from fastcodes.hashing import Bits
from fastcodes.index._ids import RowIds
from fastcodes.index._inverted import MOST_LISTS, InvertedCodec
from fastcodes.index._lists import InvertedStorage
from fastcodes.index.base import Index, Neighbors, Ragged

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["IVFIndex"]


class IVFIndex(Index):
    """Codes of any model in inverted lists: a search visits the nearest lists instead of all rows.

    `fit` learns the centers of lists by k-means. A row goes into the list whose center is nearest to its
    vector, and a query visits the `n_probes` lists whose centers are nearest to it (IVFADC: Jégou, Douze and
    Schmid, *Product quantization for nearest neighbor search*, PAMI 33, 2011). With ``n_probes=n_lists`` it
    visits all of them.

    With `by_residual`, codes stand for the differences of vectors and the centers of their lists, which are
    shorter than the vectors, so that codes of the same size err less. Hash functions always encode the
    vectors themselves; the lists of `fastcodes.hashing.Bits` are learned from the bits, and their centers are
    compared by Hamming distance.

    Parameters
    ----------
    codec : model of fastcodes.quantization or fastcodes.hashing
        A model with codes of bits, or of numbers below 256. Unless it is fitted, `fit` fits a copy: to
        residuals, or to vectors. A fitted one is kept as it is: with `by_residual`, it has to be one of
        residuals. Hash functions that learn from labels have to be fitted.
    n_lists : int
        Lists, up to 65536. Often between one and four times the square root of the number of rows.
    by_residual : bool
        Whether codes are of residuals.
    metric : str, optional
        The distance, one of those of the codec: see `FlatIndex`. By default the first.
    random_state : int, numpy Generator or None
        Where the centers start.

    Attributes
    ----------
    codec : model
        The copy, fitted after `fit`; with residuals and "cosine", a model of normalized vectors with the
        metric "ip".
    n_lists, by_residual, metric
        As given.
    centers_ : float32 array (n_lists, d)
        The centers; of `fastcodes.hashing.Bits`, their bits, uint8 (n_lists, n_bytes).
    list_sizes : int64 array (n_lists,)
        The number of rows of each list.
    ids, codes
        As in `FlatIndex`; a code is preceded by four bytes with the number of its list, and may be followed
        by bytes with what is added to its distances.
    nbytes : int
        Bytes that codes, ids and lists take. Lists take 4 bytes per row, and 4 more once rows were looked up
        by id, as masks of ids, `reconstruct`, `remove` and re-ranking of a `RaBitQuantizer` do.

    Raises
    ------
    TypeError
        If `codec` is not a model that makes codes, or another argument has the wrong type.
    ValueError
        If the codec has no such metric, or a number is out of range.

    See Also
    --------
    FlatIndex : Searches all codes.

    Notes
    -----
    Distances are sums in float32 that have, for residuals, the squared distance of the query to the mean of
    the centers among their terms. Where the centers are hundreds of times farther apart than residuals are
    long, few digits are left: use ``by_residual=False``, or scale the dimensions.

    For quantizers with residuals and "l2", each row has a number that depends on its code and its list. It is
    kept in a few digits, rounded to a step of an eighth of the mean squared error of codes or less, and
    clipped to twice the range of the training samples.

    `add` sorts the new rows into lists of their own, which are merged with those of earlier calls: add many
    rows at a time.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.index import IVFIndex
    >>> from fastcodes.quantization import RaBitQuantizer
    >>> X = np.random.default_rng(0).standard_normal((5000, 64)).astype(np.float32)
    >>> index = IVFIndex(RaBitQuantizer(), n_lists=32, random_state=0).fit(X)
    >>> index.add(X)
    >>> is_even = np.arange(5000) % 2 == 0
    >>> distances, indices = index.search(X[:4], k=1, n_probes=4, rerank=X, mask=is_even)
    >>> indices[[0, 2]].ravel().tolist()
    [0, 2]
    """

    _storage: InvertedStorage

    def __init__(
        self,
        codec: Codec,
        n_lists: int,
        *,
        by_residual: bool = True,
        metric: str | None = None,
        random_state: Any = None,
    ) -> None:
        if not isinstance(codec, Codec):
            raise TypeError(
                "codec must be a model of fastcodes.quantization or fastcodes.hashing that makes codes; got "
                f"{describe(codec)}"
            )
        if not (codec.encodes_vectors or isinstance(codec, Bits)):
            raise TypeError(
                "codec must encode vectors, or be fastcodes.hashing.Bits, since lists have centers; got "
                f"{describe(codec)}"
            )
        self.codec = copy.deepcopy(codec)
        self.n_lists = as_integer(n_lists, "n_lists", 1, MOST_LISTS)
        self.by_residual = as_bool(by_residual, "by_residual")
        self.metric = codec.metrics[0] if metric is None else as_option(metric, "metric", codec.metrics)
        self.random_state = random_state
        self._inverted = InvertedCodec(
            self.codec,
            self.n_lists,
            by_residual=self.by_residual,
            metric=self.metric,
            random_state=random_state,
        )
        self._storage = InvertedStorage(partial(BitStorage, 1, "hamming"), 1)  # nothing, until `fit`
        self._ids = RowIds()

    @property
    def _coder(self) -> InvertedCodec:
        check_fitted(self)
        return self._inverted

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether the lists are learned."""
        return self._inverted.__sklearn_is_fitted__()

    def _settings(self) -> dict[str, Any]:
        return {"n_lists": self.n_lists, "by_residual": self.by_residual, "metric": self.metric}

    @classmethod
    def _restored(cls, coder: Codec, settings: Mapping[str, Any]) -> Self:
        if not isinstance(coder, InvertedCodec):
            raise ValueError(f"its codec is a {type(coder).__name__}, which has no lists")
        index = cls(coder.codec, **settings)
        if (coder.n_lists, coder.by_residual, coder.metric) != (
            index.n_lists,
            index.by_residual,
            index.metric,
        ):
            raise ValueError("its settings are not those of its codec")
        index._take(coder)
        return index

    def _take(self, coder: InvertedCodec) -> None:
        self._inverted = coder
        self.codec = coder.codec_
        self._storage = coder.storage(self.metric)

    @classmethod
    def _of_lists(
        cls, codec: Codec, centers: Array, lists: Ids, codes: Codes, *, ids: Ids, **options: Any
    ) -> Self:
        """Return an index of lists that were learned and filled elsewhere: see `fastcodes.interop`."""
        index = cls(codec, len(centers), **options)
        coder = copy.deepcopy(index._inverted)
        rows = coder.adopt(centers, lists, codes)
        index._take(coder)
        index.add_codes(rows, ids=ids)
        return index

    @property
    def centers_(self) -> Array:
        """The centers of the lists."""
        centers: Array = self._coder.centers_
        return centers

    @property
    def list_sizes(self) -> Ids:
        """The number of rows of each list."""
        check_fitted(self)
        return self._storage.list_sizes()

    def fit(self, X: Any, y: object = None, *, threads: int | None = None) -> Self:
        """Learn the centers of lists and, unless it is fitted, the codec.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, at least as many as lists: what ``codec.encode`` takes. Centers are learned from at most
            64 random ones for each list, and the codec from at most as many or 65536; of a memory map, only
            those are read.
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
            If `X` is not what the codec encodes.
        ValueError
            If `X` has another shape, too few rows or a value that is not finite; if the codec has more than
            256 codewords, or learns from labels and is not fitted; or if the index has rows.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.index import IVFIndex
        >>> from fastcodes.quantization import ProductQuantizer
        >>> X = np.random.default_rng(0).standard_normal((2000, 16)).astype(np.float32)
        >>> index = IVFIndex(ProductQuantizer(n_subspaces=4, n_codewords=16), n_lists=8).fit(X)
        >>> index.add(X)
        >>> index.centers_.shape, int(index.list_sizes.sum())
        ((8, 16), 2000)
        """
        if len(self):
            raise ValueError(f"the index has {len(self)} rows, whose lists would change; fit an empty index")
        coder = copy.deepcopy(self._inverted).fit(X, threads=threads)
        coder.storage(self.metric)
        self._take(coder)
        return self

    def search(
        self,
        queries: Any,
        k: int,
        *,
        n_probes: int = 8,
        rerank_metric: str | None = None,
        n_read: Ids | None = None,
        mask: ArrayLike | None = None,
        rerank: Array | None = None,
        oversample: float | None = None,
        threads: int | None = None,
    ) -> Neighbors:
        """Find the `k` nearest of the rows in the nearest lists of each query.

        Parameters
        ----------
        queries, k
            As in `FlatIndex.search`. If there are fewer rows in the lists, the results are padded.
        n_probes : int
            Lists to visit, 1 or more: those whose centers are nearest or, for "ip", have the largest inner
            products. With `n_lists` or more, all rows are candidates.
        rerank_metric, n_read, mask, rerank, oversample, threads
            As in `FlatIndex.search`.

        Returns
        -------
        distances, indices : arrays (nq, k)
            As `FlatIndex.search` returns them.

        Raises
        ------
        NotFittedError
            If the lists are not learned.
        TypeError, ValueError
            As in `FlatIndex.search`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.index import IVFIndex
        >>> from fastcodes.quantization import ProductQuantizer
        >>> X = np.random.default_rng(0).standard_normal((2000, 16)).astype(np.float32)
        >>> quantizer = ProductQuantizer(n_subspaces=4, n_codewords=16, random_state=0)
        >>> index = IVFIndex(quantizer, n_lists=8, random_state=0).fit(X)
        >>> index.add(X)
        >>> index.search(X[5], k=1, n_probes=2, rerank=X)
        (array([[0.]], dtype=float32), array([[5]]))
        """
        as_integer(n_probes, "n_probes", 1)
        rows = self._ids.mask(mask)
        found: list[Floats | None] = []  # the doubts about a block, and about parts that are searched again

        def near(block: Array, n: int) -> Neighbors:
            probed, doubts = self._coder.probed(block, n_probes, threads=threads)
            found.append(doubts)
            return self._storage.knn(probed, n, mask=rows, threads=threads)

        def doubts_of(_: Array) -> Floats | None:
            doubts = found[0]
            found.clear()
            return doubts

        checked = self._coder.as_queries(queries, threads=threads)
        return self._search(
            near, checked, k, rerank, rerank_metric, oversample, n_read, threads, doubts=doubts_of
        )

    def radius_search(
        self,
        queries: Any,
        radius: float,
        *,
        n_probes: int = 8,
        mask: ArrayLike | None = None,
        threads: int | None = None,
    ) -> Ragged:
        """Find the rows at a distance of at most `radius` in the nearest lists of each query.

        Parameters
        ----------
        queries, radius
            As in `FlatIndex.radius_search`.
        n_probes, mask, threads
            As in `search`.

        Returns
        -------
        offsets, distances, indices : arrays
            As `FlatIndex.radius_search` returns them.

        Raises
        ------
        NotFittedError
            If the lists are not learned.
        TypeError, ValueError
            As in `FlatIndex.radius_search`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes.hashing import Bits
        >>> from fastcodes.index import IVFIndex
        >>> codes = np.arange(256, dtype=np.uint8)[:, None]
        >>> index = IVFIndex(Bits(8), n_lists=4, random_state=0).fit(codes)
        >>> index.add(codes)
        >>> index.radius_search(codes[7], radius=1, n_probes=4)[2]
        array([  7,   3,   5,   6,  15,  23,  39,  71, 135])
        """
        as_integer(n_probes, "n_probes", 1)
        rows = self._ids.mask(mask)

        def within(block: Array) -> Ragged:
            probed, _ = self._coder.probed(block, n_probes, threads=threads)
            return self._storage.radius(probed, radius, mask=rows, threads=threads)

        return self._radius_search(within, self._coder.as_queries(queries, threads=threads))
