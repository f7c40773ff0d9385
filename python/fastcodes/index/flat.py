"""An index that searches all codes."""

from __future__ import annotations

from fastcodes._codec import Codec
from fastcodes.index.base import Index

__all__ = ["FlatIndex"]


class FlatIndex(Index):
    """Codes of any model, searched exhaustively and exactly.

    The results of `search` are the exact top-k of the distances between the queries and the codes of all
    rows. With ``rerank=``, the nearest by codes are scored again by the vectors themselves, which you keep.

    ============================  ============================  ===========================================
    codec                         metrics, the default first    bytes per row
    ============================  ============================  ===========================================
    `ProductQuantizer`,           that of the model; "l2",      M, or half of it for up to 16 codewords
    `OptimizedProductQuantizer`   "ip"
    `ScalarQuantizer`             "l2", "ip"                    d, or half of it for up to 4 bits
    `VectorQuantizer`             "l2", "ip"                    1, or 2 for more than 256 codewords
    `RaBitQuantizer`              that of the model: "l2",      n_bits * ceil(d / 8) + 8
                                  "ip" or "cosine"
    hash functions                "hamming", "asymmetric"       ceil(n_bits / 8)
    `fastcodes.hashing.Bits`      "hamming", "jaccard"          ceil(n_bits / 8)
    ============================  ============================  ===========================================

    "l2" is the squared L2 distance between a query and what a code stands for, and "ip" the negative inner
    product (asymmetric distance computation: Jégou, Douze and Schmid, PAMI 33, 2011). "asymmetric" is the
    negative inner product of the real values of a query and the signs of a code: see
    `fastcodes.hamming.asymmetric_knn`.

    "jaccard" reads few codes of a database of sparse fingerprints. The first search after `add` sorts rows by
    their number of ones, unless few are new, and the first after `remove` sorts all. A search starts at the
    number of ones of the query, goes outwards as far as a row can be near enough (Swamidass and Baldi, J.
    Chem. Inf. Model. 47, 2007), and reads only codes whose sketches, the exclusive or of parts, are near
    enough too (Baldi, Hirschberg and Nasr, J. Chem. Inf. Model. 48, 2008). Where that excludes too few rows,
    as for large `k` or a large radius, all are scanned, which takes up to twice as long as a scan at once.
    Results are those of `fastcodes.jaccard`, to the bit.

    Parameters
    ----------
    codec : model of fastcodes.quantization or fastcodes.hashing
        A fitted model. The index keeps a copy, so that training it again does not change what the codes mean.
    metric : str, optional
        The distance: one of those above, by default the first.

    Attributes
    ----------
    codec : model
        The copy.
    metric : str
        The distance.
    ids : int64 array (n,)
        A copy of the ids, in the order in which the rows were added.
    codes : array (n, code_size)
        A copy of the codes, in the same order.
    nbytes : int
        Bytes that the codes take, and the ids unless they are the default ones; for "jaccard" also the order
        of the rows, 12 bytes each and a sketch: an eighth of a code, at least 32 bytes or as many as a code.

    Raises
    ------
    TypeError
        If `codec` is not a model that makes codes.
    NotFittedError
        If it is not fitted; a ValueError.
    ValueError
        If the codec has no such metric.

    See Also
    --------
    IVFIndex : Searches a few inverted lists instead of all codes.
    LSHIndex : Searches a few buckets of hash tables instead of all codes.
    MultiIndexHashing : The same results for binary codes, faster where neighbors differ in few bits.
    fastcodes.adc, fastcodes.hamming, fastcodes.jaccard : The same searches of arrays.
    fastcodes.interop.faiss : Indexes from and to faiss.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.hashing import Bits
    >>> from fastcodes.index import FlatIndex
    >>> from fastcodes.quantization import ProductQuantizer
    >>> X = np.random.default_rng(0).standard_normal((2000, 16)).astype(np.float32)
    >>> index = FlatIndex(ProductQuantizer(n_subspaces=4, n_codewords=16, random_state=0).fit(X))
    >>> index.add(X)
    >>> len(index), index.nbytes // len(index)
    (2000, 2)
    >>> distances, indices = index.search(X[:3], k=1, rerank=X)
    >>> indices.ravel().tolist(), distances.ravel().tolist()
    ([0, 1, 2], [0.0, 0.0, 0.0])

    Without a model, for codes that you have:

    >>> codes = np.array([[0b11100000], [0b11000000], [0b00010000]], np.uint8)
    >>> index = FlatIndex(Bits(n_bits=4), metric="jaccard")
    >>> index.add(codes, ids=[7, 8, 9])
    >>> index.search(codes[0], k=2)
    (array([[0.        , 0.33333334]], dtype=float32), array([[7, 8]]))
    """

    def __init__(self, codec: Codec, *, metric: str | None = None) -> None:
        super().__init__(codec, metric)
