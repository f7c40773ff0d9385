"""Product quantizers, OPQ matrices, codes and indexes from and to faiss.

==========================================  ==================================================================
faiss                                       fastcodes
==========================================  ==================================================================
``IndexPQ``, ``IndexPQFastScan``            ``FlatIndex(ProductQuantizer)``
``IndexPreTransform`` of rotations, PCA     ``FlatIndex(OptimizedProductQuantizer)``
``IndexRefineFlat``                         the `FlatIndex` inside, and the vectors as ``rerank=``
``IndexBinaryFlat``                         ``FlatIndex(Bits)``
``IndexIVFPQ``                              ``IVFIndex(ProductQuantizer)``, read only from faiss
``IndexBinaryIVF``                          ``IVFIndex(Bits)``, likewise
``IndexIDMap``, ``IndexBinaryIDMap``        the ids of a `FlatIndex`
``ProductQuantizer``                        `ProductQuantizer`
``IndexFlat``, ``IndexIVFFlat``             none, since an index here keeps codes: `vectors_of` copies the
                                            vectors, for ``add`` or ``rerank=``
==========================================  ==================================================================

Both sides keep codebooks as float32 ``(M, K, d / M)`` and the matrix of OPQ so that a vector is rotated by
``x @ A.T``. Two things differ:

- **The sign of inner products.** Here smaller is nearer everywhere, so the distance is the negative inner
  product: ``distances == -D``, where ``D`` is what faiss returns.
- **Bits of codes.** Here a code is a byte. faiss packs codes of fewer than 8 bits into a row of
  ``ceil(M * n_bits / 8)`` bytes, the first in the lowest bits of the first byte: see `pack_codes`.

Distances agree up to the rounding of float32 sums. faiss's ``IndexPQFastScan`` rounds its tables to 8 bits in
a search; here the same codes give the exact sums of the tables.

A radius is inclusive here. faiss's ``range_search`` returns distances below the radius only, so that its
Hamming distances below ``r`` are those within ``r - 1``.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from fastcodes import bits
from fastcodes._typing import Codes, Floats, Ids
from fastcodes._validation import as_integer, describe
from fastcodes.hashing import Bits
from fastcodes.index import FlatIndex, IVFIndex
from fastcodes.quantization import OptimizedProductQuantizer, ProductQuantizer

__all__ = [
    "codebooks_of",
    "codes_of",
    "from_faiss",
    "pack_codes",
    "rotation_of",
    "to_faiss",
    "unpack_codes",
    "vectors_of",
]

_ROWS_PER_BLOCK = 1 << 16
_ORTHONORMAL = 1e-3  # as OptimizedProductQuantizer demands
_APPLY = (
    "apply the transforms to vectors and queries yourself, as x = index.chain.at(0).apply(x), and convert "
    "the index behind them, index.index"
)

# In a block of a fast scan, byte j of 16 holds the codes of the rows with these numbers, and 16 more.
_ROWS_OF_BYTES = np.array([0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15])


def from_faiss(index: Any, *, metric: str | None = None) -> Any:
    """Convert an index or a product quantizer of faiss.

    Parameters
    ----------
    index : faiss object
        Trained, with 1 to 8 bits per code:

        - ``IndexPQ``, or ``IndexPQFastScan``, whose codes are unpacked;
        - ``IndexPreTransform`` of one of these behind ``OPQMatrix``, ``PCAMatrix`` or other instances of
          ``LinearTransform``, whose product has orthonormal rows; a bias is moved into the codebooks, which
          only squared L2 distances allow;
        - ``IndexRefineFlat`` of one of these, without its vectors: see `vectors_of`;
        - ``IndexBinaryFlat``;
        - ``IndexIVFPQ`` and ``IndexBinaryIVF`` with a flat coarse quantizer, the former also behind an
          ``OPQMatrix`` that keeps the dimensions; `n_probes` of a search is ``nprobe`` of the index;
        - ``IndexIDMap``, ``IndexIDMap2`` or ``IndexBinaryIDMap`` of one of these, with unique ids from 0 up;
        - ``ProductQuantizer``.
    metric : {"l2", "ip"}, optional
        For a ``ProductQuantizer``, which has no metric: ``"l2"`` by default. An index has its own.

    Returns
    -------
    FlatIndex, IVFIndex for ``IndexIVFPQ`` and ``IndexBinaryIVF``, or ProductQuantizer for one of faiss
        It shares no memory with `index`.

    Raises
    ------
    ImportError
        If faiss is not installed.
    TypeError
        If `index` is something else; the message lists what can be converted.
    ValueError
        If it is not trained, has codes of more than 8 bits, another metric, or a transform that is no
        rotation.

    See Also
    --------
    to_faiss : The inverse.

    Notes
    -----
    A search returns the results of faiss, with ``distances == -D`` for inner products::

        import faiss
        from fastcodes.interop.faiss import from_faiss

        theirs = faiss.index_factory(128, "OPQ16,PQ16")
        theirs.train(X)
        theirs.add(X)
        ours = from_faiss(theirs)
        distances, indices = ours.search(queries, k=10)  # theirs.search(queries, k=10)

    A `FlatIndex` does not keep vectors. Those of an ``IndexRefineFlat`` are given to each search, and its
    ``k_factor`` is `oversample` here::

        vectors = vectors_of(theirs)
        ours.search(queries, k=10, rerank=vectors, oversample=4)
    """
    faiss = _faiss()
    if isinstance(index, faiss.ProductQuantizer):
        return ProductQuantizer.from_codebooks(codebooks_of(index), metric="l2" if metric is None else metric)
    if metric is not None:
        raise ValueError("metric is for a faiss.ProductQuantizer; an index has its own, leave metric out")
    kept, ids = _without_ids(index, faiss)  # `index` owns what it wraps, and stays alive
    if ids is not None:
        _check_ids(ids)
    if isinstance(kept, faiss.IndexRefineFlat):
        kept = faiss.downcast_index(kept.base_index)
    if isinstance(kept, faiss.IndexBinaryIVF) or isinstance(_innermost(kept, faiss), faiss.IndexIVFPQ):
        return _from_lists(kept, ids, faiss)
    if isinstance(kept, faiss.IndexBinaryFlat):
        ours = FlatIndex(Bits(kept.d))
        packed: Codes = faiss.vector_to_array(kept.xb)
        codes = packed.reshape(kept.ntotal, kept.code_size)
    else:
        ours = FlatIndex(_quantizer_of(kept, faiss))
        codes = codes_of(kept)
    ours.add_codes(codes, ids=ids)
    return ours


def _from_lists(index: Any, ids: Ids | None, faiss: ModuleType) -> IVFIndex:
    """Convert an index of inverted lists."""
    is_binary = isinstance(index, faiss.IndexBinaryIVF)
    inner = index if is_binary else _innermost(index, faiss)
    coarse = (faiss.downcast_IndexBinary if is_binary else faiss.downcast_index)(inner.quantizer)
    if not index.is_trained:
        raise ValueError("index is not trained; call index.train(X) before")
    if not isinstance(coarse, (faiss.IndexFlat, faiss.IndexBinaryFlat)) or isinstance(
        inner, faiss.IndexIVFPQR
    ):
        raise TypeError(
            f"index is {_described(inner)} with {_described(coarse)} for its lists; expected an IndexIVFPQ "
            "or an IndexBinaryIVF with a flat one"
        )
    if not is_binary and coarse.metric_type != inner.metric_type:
        raise ValueError(
            "index ranks its lists by another metric than its rows; expected a coarse quantizer with the "
            "metric of the index"
        )
    lists, numbers, packed = _listed(inner, faiss)
    if ids is None:
        _check_ids(numbers)
    else:
        numbers = ids[numbers]
    options: dict[str, Any] = {"ids": numbers}
    if is_binary:
        centers = faiss.vector_to_array(coarse.xb).reshape(inner.nlist, inner.code_size)
        return IVFIndex._of_lists(Bits(inner.d), centers, lists, packed, **options)
    codec = _quantizer_of(index, faiss)
    centers = coarse.reconstruct_n(0, inner.nlist)
    if isinstance(codec, OptimizedProductQuantizer):
        rotation = codec.rotation_
        if len(rotation) < rotation.shape[1] or _parts(index, faiss)[1][-1].have_bias:
            raise ValueError(
                f"index has a transform from {rotation.shape[1]} to {len(rotation)} dimensions, or with a "
                f"bias, before its lists; expected a rotation, or {_APPLY}"
            )
        centers = np.ascontiguousarray(centers @ rotation)
    codes = unpack_codes(packed, inner.pq.M, inner.pq.nbits)
    options |= {"by_residual": bool(inner.by_residual), "metric": codec.metric}
    return IVFIndex._of_lists(codec, centers, lists, codes, **options)


def _check_ids(ids: Ids) -> None:
    """Refuse ids of faiss that a row here cannot have."""
    if len(ids) and ids.min() < 0:
        raise ValueError(f"index has the id {ids.min()}; expected ids from 0 up, which rows have here")
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        raise ValueError(
            f"index has the id {unique[counts.argmax()]} {counts.max()} times; expected an id for each row"
        )


def _listed(index: Any, faiss: ModuleType) -> tuple[Ids, Ids, Codes]:
    """Return the lists, the numbers and the codes of all rows, in the order of their numbers."""
    lists = index.invlists
    sizes = [lists.list_size(i) for i in range(index.nlist)]
    numbers, codes = [np.empty(0, np.int64)], [np.empty((0, lists.code_size), np.uint8)]
    for i, size in enumerate(sizes):
        if size:
            numbers.append(faiss.rev_swig_ptr(lists.get_ids(i), size).copy())
            packed = faiss.rev_swig_ptr(lists.get_codes(i), size * lists.code_size)
            codes.append(packed.copy().reshape(size, lists.code_size))
    together = np.concatenate(numbers)
    order = np.argsort(together, kind="stable")
    return np.repeat(np.arange(index.nlist), sizes)[order], together[order], np.concatenate(codes)[order]


def _innermost(index: Any, faiss: ModuleType) -> Any:
    """Return the index behind transforms, or the index itself."""
    is_transformed = isinstance(index, faiss.IndexPreTransform)
    return faiss.downcast_index(index.index) if is_transformed else index


def _quantizer_of(index: Any, faiss: ModuleType) -> ProductQuantizer:
    """Return the quantizer of an index over product-quantized codes, with its rotation."""
    inner, transforms = _parts(index, faiss)
    metrics = {faiss.METRIC_L2: "l2", faiss.METRIC_INNER_PRODUCT: "ip"}
    if inner.metric_type not in metrics:
        raise ValueError(
            f"index has the metric {inner.metric_type} of faiss; expected METRIC_L2 or METRIC_INNER_PRODUCT"
        )
    metric = metrics[inner.metric_type]
    if not index.is_trained:
        raise ValueError("index is not trained; call index.train(X) before")
    codebooks = codebooks_of(inner.pq)
    if not transforms:
        return ProductQuantizer.from_codebooks(codebooks, metric=metric)
    rotation, bias = np.eye(transforms[0].d_in, dtype=np.float32), np.zeros(transforms[0].d_in, np.float32)
    for transform in transforms:
        matrix = rotation_of(transform)
        rotation, bias = matrix @ rotation, matrix @ bias
        if transform.have_bias:
            bias += faiss.vector_to_array(transform.b)
    names = " and ".join(type(transform).__name__ for transform in transforms)
    error = np.abs(rotation @ rotation.T - np.eye(len(rotation))).max()
    if not error < _ORTHONORMAL:
        raise ValueError(
            f"index has a {names} whose rows are not orthonormal, as of a whitening: their products differ "
            f"by {error:.3g}; {_APPLY}"
        )
    if bias.any():
        if metric == "ip":
            raise ValueError(
                f"index has a {names} with a bias, which changes inner products; expected METRIC_L2, or "
                f"{_APPLY}"
            )
        # |A x + b - c| = |A x - (c - b)|
        codebooks -= bias.reshape(len(codebooks), 1, -1)
    return OptimizedProductQuantizer.from_codebooks(codebooks, rotation, metric=metric)


def to_faiss(index: FlatIndex | ProductQuantizer) -> Any:
    """Convert an index or a quantizer to faiss.

    Parameters
    ----------
    index : FlatIndex over a ProductQuantizer, an OptimizedProductQuantizer or Bits, or such a quantizer
        Fitted; the metric of `Bits` is "hamming".

    Returns
    -------
    ``faiss.IndexPQ``, ``faiss.IndexPreTransform`` of an ``OPQMatrix`` and an ``IndexPQ`` if there is a
    rotation, or ``faiss.IndexBinaryFlat``
        Trained, with the codes of a `FlatIndex` and without any for a quantizer; in an ``IndexIDMap`` or
        ``IndexBinaryIDMap`` if the ids do not count up from 0. It shares no memory with `index`.

    Raises
    ------
    ImportError
        If faiss is not installed.
    TypeError
        If `index` is something else.
    ValueError
        If it is a quantizer that is not fitted, or an index over bits with another metric.

    See Also
    --------
    from_faiss : The inverse.

    Notes
    -----
    faiss supports only codebooks of ``2**n_bits`` codewords. Others are filled up with copies of their first
    codeword, which does not change distances; when faiss encodes, it may choose a copy.

    ::

        from fastcodes.interop.faiss import to_faiss

        theirs = to_faiss(ours)
        faiss.write_index(theirs, "vectors.faiss")
        to_faiss(quantizer).pq  # a faiss.ProductQuantizer
    """
    faiss = _faiss()
    if isinstance(index, ProductQuantizer):
        index = FlatIndex(index)
    codec = index.codec if isinstance(index, FlatIndex) else None
    if isinstance(codec, Bits):
        return _binary_to_faiss(index, faiss)
    if not isinstance(codec, ProductQuantizer):
        raise TypeError(
            "index must be a FlatIndex over a ProductQuantizer, an OptimizedProductQuantizer or Bits, or one "
            f"of these quantizers; got {_described(index)}"
        )
    codebooks = codec.codebooks_
    n_subspaces, n_codewords, d_sub = codebooks.shape
    n_bits = max(1, (n_codewords - 1).bit_length())
    metric = faiss.METRIC_L2 if index.metric == "l2" else faiss.METRIC_INNER_PRODUCT
    inner = faiss.IndexPQ(n_subspaces * d_sub, n_subspaces, n_bits, metric)
    copies = np.repeat(codebooks[:, :1], 2**n_bits - n_codewords, axis=1)
    faiss.copy_array_to_vector(np.concatenate([codebooks, copies], axis=1).ravel(), inner.pq.centroids)
    inner.is_trained = True
    theirs = inner
    if isinstance(codec, OptimizedProductQuantizer):
        transform = faiss.OPQMatrix(codec.n_features_in_, n_subspaces, n_subspaces * d_sub)
        faiss.copy_array_to_vector(codec.rotation_.ravel(), transform.A)
        transform.is_trained = True
        transform.set_is_orthonormal()
        theirs = faiss.IndexPreTransform(transform, inner)
    wrapped = _with_ids(theirs, index.ids, faiss)
    codes = index.codes
    for start in range(0, len(codes), _ROWS_PER_BLOCK):
        inner.add_sa_codes(pack_codes(codes[start : start + _ROWS_PER_BLOCK], n_bits))
    theirs.ntotal = wrapped.ntotal = len(codes)
    return wrapped


def _binary_to_faiss(index: FlatIndex, faiss: ModuleType) -> Any:
    if index.metric != "hamming":
        raise ValueError(f'index has the metric "{index.metric}"; faiss has only Hamming distances of bits')
    codes = index.codes
    theirs = faiss.IndexBinaryFlat(8 * codes.shape[1])
    wrapped = _with_ids(theirs, index.ids, faiss)
    theirs.add(codes)
    wrapped.ntotal = len(codes)
    return wrapped


def _without_ids(index: Any, faiss: ModuleType) -> tuple[Any, Ids | None]:
    """Return the index inside an IndexIDMap and the ids, or the index itself and None."""
    is_binary = isinstance(index, faiss.IndexBinary)
    downcast = faiss.downcast_IndexBinary if is_binary else faiss.downcast_index
    if isinstance(index, (faiss.Index, faiss.IndexBinary)):
        index = downcast(index)
    if isinstance(index, (faiss.IndexIDMap, faiss.IndexBinaryIDMap)):
        return downcast(index.index), faiss.vector_to_array(index.id_map)
    return index, None


def _with_ids(index: Any, ids: Ids, faiss: ModuleType) -> Any:
    """Return an empty index in an IndexIDMap with ids, or the index itself if the ids count up from 0."""
    if np.array_equal(ids, np.arange(len(ids))):
        return index
    wrap = faiss.IndexBinaryIDMap if isinstance(index, faiss.IndexBinary) else faiss.IndexIDMap
    wrapped = wrap(index)
    faiss.copy_array_to_vector(ids, wrapped.id_map)
    return wrapped


def codebooks_of(quantizer: Any) -> Floats:
    """Copy the codebooks of a faiss product quantizer.

    Parameters
    ----------
    quantizer : faiss.ProductQuantizer
        Trained, with 1 to 8 bits per code; of an index, this is ``index.pq``.

    Returns
    -------
    float32 array (M, K, d / M)
        ``codebooks[m, j]`` is codeword ``j`` of subspace ``m``.

    Raises
    ------
    ImportError
        If faiss is not installed.
    TypeError
        If `quantizer` is something else.
    ValueError
        If it has more than 8 bits per code.
    """
    faiss = _faiss()
    if not isinstance(quantizer, faiss.ProductQuantizer):
        raise TypeError(f"quantizer must be a faiss.ProductQuantizer; got {_described(quantizer)}")
    if not 1 <= quantizer.nbits <= 8:
        raise ValueError(
            f"the product quantizer has {quantizer.nbits} bits per code; expected 1 to 8, up to 256 codewords"
        )
    centroids: Floats = faiss.vector_to_array(quantizer.centroids)
    return centroids.reshape(quantizer.M, quantizer.ksub, quantizer.dsub)


def codes_of(index: Any) -> Codes:
    """Copy the codes of a faiss index, one byte each.

    Parameters
    ----------
    index : faiss.IndexPQ or faiss.IndexPQFastScan
        With 1 to 8 bits per code; also one of these behind an ``IndexPreTransform``.

    Returns
    -------
    uint8 array (n, M)
        ``codes[i, m]`` is the codeword of vector ``i`` in subspace ``m``.

    Raises
    ------
    ImportError
        If faiss is not installed.
    TypeError
        If `index` is something else.
    ValueError
        If it has more than 8 bits per code.
    """
    faiss = _faiss()
    inner, _ = _parts(index, faiss)
    if isinstance(inner, faiss.IndexIVFPQ):
        raise TypeError("index is a faiss.IndexIVFPQ, whose codes are in lists; expected an IndexPQ")
    stored: Codes = faiss.vector_to_array(inner.codes)
    if isinstance(inner, faiss.IndexPQFastScan):
        return _unblocked(stored, inner)
    return unpack_codes(stored.reshape(inner.ntotal, inner.pq.code_size), inner.pq.M, inner.pq.nbits)


def vectors_of(index: Any) -> Floats:
    """Copy the vectors of a faiss index, such as those by which it refines results.

    Parameters
    ----------
    index : faiss.IndexFlat, faiss.IndexIVFFlat or faiss.IndexRefineFlat
        Also one of these in an ``IndexIDMap``.

    Returns
    -------
    float32 array (n, d)
        In the order in which they were added; those of an ``IndexIVFFlat`` in the order of their ids. For
        ``rerank=``, row ``i`` has to be the vector with the id ``i``: with ids of an ``IndexIDMap``, put row
        ``i`` in the place of ``ids[i]``.

    Raises
    ------
    ImportError
        If faiss is not installed.
    TypeError
        If `index` is something else.
    """
    faiss = _faiss()
    kept, _ = _without_ids(index, faiss)
    if isinstance(kept, faiss.IndexRefineFlat):
        kept = faiss.downcast_index(kept.refine_index)
    if type(kept) is faiss.IndexIVFFlat:
        packed = _listed(kept, faiss)[2]
        return np.ascontiguousarray(packed).view(np.float32)
    if not isinstance(kept, faiss.IndexFlat):
        raise TypeError(
            "index must be an IndexFlat, an IndexIVFFlat or an IndexRefineFlat of faiss; "
            f"got {_described(kept)}"
        )
    vectors: Floats = faiss.vector_to_array(kept.codes).view(np.float32)
    return vectors.reshape(kept.ntotal, kept.d)


def rotation_of(transform: Any) -> Floats:
    """Copy the matrix of a faiss rotation, or projection.

    Parameters
    ----------
    transform : faiss.LinearTransform
        ``OPQMatrix``, ``PCAMatrix``, ``RandomRotationMatrix`` or another one, trained. A bias is left out. Of
        an index, this is ``index.chain.at(0)``.

    Returns
    -------
    float32 array (d_out, d_in)
        A row ``x`` is rotated by ``x @ rotation.T``, as with `OptimizedProductQuantizer.rotation_`.

    Raises
    ------
    ImportError
        If faiss is not installed.
    TypeError
        If `transform` is something else.
    ValueError
        If it is not trained.
    """
    faiss = _faiss()
    if isinstance(transform, faiss.VectorTransform):
        transform = faiss.downcast_VectorTransform(transform)
    if not isinstance(transform, faiss.LinearTransform):
        raise TypeError(f"transform must be a faiss.LinearTransform; got {_described(transform)}")
    matrix: Floats = faiss.vector_to_array(transform.A)
    if not transform.is_trained or matrix.size != transform.d_in * transform.d_out:
        raise ValueError(f"the {type(transform).__name__} is not trained; call its index's train(X) before")
    return matrix.reshape(transform.d_out, transform.d_in)


def pack_codes(codes: Codes, n_bits: int) -> Codes:
    """Pack codes into rows of bits as faiss keeps them.

    Parameters
    ----------
    codes : uint8 array (n, M)
        One byte each, less than ``2**n_bits``.
    n_bits : int
        1 to 8; with 8 this is a copy.

    Returns
    -------
    uint8 array (n, ceil(M * n_bits / 8))
        Code 0 is in the lowest bits of byte 0, and so on; the bits that are left over are zero. With 4
        bits, code 0 is the low half of byte 0 and code 1 its high half.

    Raises
    ------
    TypeError
        If `codes` is not a uint8 array, or `n_bits` is not an integer.
    ValueError
        If a code does not fit, or a shape or `n_bits` is out of range.

    See Also
    --------
    unpack_codes : The inverse.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.interop.faiss import pack_codes
    >>> pack_codes(np.array([[1, 2, 3]], np.uint8), n_bits=4)
    array([[33,  3]], dtype=uint8)

    Notes
    -----
    Equal to the codes that ``index.sa_encode(x)`` returns and ``index.add_sa_codes`` takes. It is the order
    of ``np.packbits(..., bitorder="little")``, while `fastcodes.bits.pack_uint` has the highest bit first.
    """
    n_bits = as_integer(n_bits, "n_bits", 1, 8)
    _check_codes(codes, "codes", "M")
    n, n_subspaces = codes.shape
    if codes.size and (largest := int(codes.max())) >= 1 << n_bits:
        raise ValueError(f"codes have {largest}; expected 0 to {(1 << n_bits) - 1} for {n_bits} bits")
    if n_bits == 8:
        return codes.copy()
    packed = np.empty((n, (n_subspaces * n_bits + 7) // 8), np.uint8)
    masks = 1 << np.arange(n_bits, dtype=np.uint8)
    for start in range(0, n, _ROWS_PER_BLOCK):
        part = codes[start : start + _ROWS_PER_BLOCK]
        is_one = (part[:, :, None] & masks) != 0
        packed[start : start + _ROWS_PER_BLOCK] = bits.pack(is_one.reshape(len(part), -1), bitorder="little")
    return packed


def unpack_codes(packed: Codes, n_subspaces: int, n_bits: int) -> Codes:
    """Unpack rows of bits of faiss into codes of one byte each.

    Parameters
    ----------
    packed : uint8 array (n, ceil(n_subspaces * n_bits / 8))
        As `pack_codes` and faiss make them.
    n_subspaces : int
        Codes in a row, ``M``.
    n_bits : int
        Bits of a code, 1 to 8.

    Returns
    -------
    uint8 array (n, M)
        ``codes[i, m]`` is less than ``2**n_bits``.

    Raises
    ------
    TypeError
        If `packed` is not a uint8 array, or a number is not an integer.
    ValueError
        If rows have another number of bytes, or a number is out of range.

    See Also
    --------
    pack_codes : The inverse.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.interop.faiss import unpack_codes
    >>> unpack_codes(np.array([[33, 3]], np.uint8), n_subspaces=3, n_bits=4)
    array([[1, 2, 3]], dtype=uint8)
    """
    n_bits = as_integer(n_bits, "n_bits", 1, 8)
    n_subspaces = as_integer(n_subspaces, "n_subspaces", 1)
    _check_codes(packed, "packed", "n_bytes")
    expected = (n_subspaces * n_bits + 7) // 8
    if packed.shape[1] != expected:
        raise ValueError(
            f"packed has {packed.shape[1]} bytes per row, "
            f"but {n_subspaces} codes of {n_bits} bits take {expected}"
        )
    if n_bits == 8:
        return packed.copy()
    codes = np.empty((len(packed), n_subspaces), np.uint8)
    for start in range(0, len(packed), _ROWS_PER_BLOCK):
        part = packed[start : start + _ROWS_PER_BLOCK]
        is_one = bits.unpack(part, n_subspaces * n_bits, dtype=bool, bitorder="little")
        # Each code becomes a byte of its own.
        is_one = is_one.reshape(len(part), n_subspaces, n_bits)
        codes[start : start + _ROWS_PER_BLOCK] = bits.pack(is_one, bitorder="little")[:, :, 0]
    return codes


def _faiss() -> ModuleType:
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            'fastcodes.interop.faiss needs faiss: pip install "fastcodes[peers]", or pip install faiss-cpu'
        ) from error
    module: ModuleType = faiss
    return module


def _parts(index: Any, faiss: ModuleType) -> tuple[Any, list[Any]]:
    """Return an index over codes, and the linear transforms before it."""
    inner, transforms = index, []
    if isinstance(inner, faiss.Index):
        inner = faiss.downcast_index(inner)
    if isinstance(inner, faiss.IndexPreTransform):
        transforms = [faiss.downcast_VectorTransform(inner.chain.at(i)) for i in range(inner.chain.size())]
        for transform in transforms:
            if not isinstance(transform, faiss.LinearTransform):
                raise TypeError(
                    f"index has a {type(transform).__name__} before its codes; expected instances of "
                    f"LinearTransform; {_APPLY}"
                )
        inner = faiss.downcast_index(inner.index)
    if not isinstance(inner, (faiss.IndexPQ, faiss.IndexPQFastScan, faiss.IndexIVFPQ)):
        within = " behind its transforms" if transforms else ""
        raise TypeError(
            f"index is {_described(inner)}{within}; expected an IndexPQ, an IndexPQFastScan, one of them "
            "behind linear transforms or in an IndexRefineFlat, an IndexBinaryFlat, an IndexIVFPQ, an "
            "IndexBinaryIVF or a ProductQuantizer"
            f"{_way(inner)}"
        )
    return inner, transforms


def _described(value: object) -> str:
    """Describe an argument; objects of faiss by their class, since their representation is an address."""
    is_faiss = type(value).__module__.partition(".")[0] == "faiss"
    return f"a faiss.{type(value).__name__}" if is_faiss else describe(value)


def _way(index: object) -> str:
    """Return what to do with an index that has no counterpart."""
    name = type(index).__name__
    if name.startswith("IndexFlat"):
        return "; vectors_of(index) copies its vectors, which every index of fastcodes encodes by add"
    if name == "IndexIVFFlat":
        return "; vectors_of(index) copies its vectors, which an IVFIndex over a quantizer encodes by add"
    if name.startswith("IndexBinary"):
        return "; add the codes to a FlatIndex(Bits(index.d)) instead"
    if name.startswith("Index"):
        return "; add the vectors to a FlatIndex over a quantizer instead"
    return ""


def _unblocked(stored: Codes, index: Any) -> Codes:
    """Return codes (n, M) from the blocks of a fast scan.

    A block of ``bbs`` rows holds two subspaces after the other, of 32 rows at a time: 16 bytes of the first
    subspace and 16 of the second, each with the codes of two rows.
    """
    halves = stored.reshape(-1, index.M2 // 2, index.bbs // 32, 2, 16).transpose(0, 2, 4, 1, 3)
    codes = np.empty((*halves.shape[:2], 32, *halves.shape[3:]), np.uint8)
    codes[:, :, _ROWS_OF_BYTES] = halves & 15
    codes[:, :, _ROWS_OF_BYTES + 16] = halves >> 4
    return np.ascontiguousarray(codes.reshape(-1, index.M2)[: index.ntotal, : index.pq.M])


def _check_codes(codes: object, name: str, axis: str) -> None:
    if not isinstance(codes, np.ndarray) or codes.dtype != np.uint8:
        raise TypeError(f"{name} must be a numpy uint8 array (n, {axis}); got {describe(codes)}")
    if codes.ndim != 2 or not codes.shape[1]:
        raise ValueError(f"{name} must have shape (n, {axis}); got {codes.shape}")
