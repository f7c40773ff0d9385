"""Semantic search over quantized embeddings, with the arguments and results of sentence-transformers.

`semantic_search` takes the place of ``semantic_search_faiss`` and ``semantic_search_usearch`` of
``sentence_transformers.util``. It needs neither torch nor sentence-transformers, and searches all precisions
that ``quantize_embeddings`` makes:

==================  =============================  ===========================================================
precision           embeddings                     search
==================  =============================  ===========================================================
"float32"           float (n, d)                   inner products
"int8", "uint8"     int8 or uint8 (n, d)           inner products with what the codes stand for
"binary"            int8 (n, ceil(d / 8))          Hamming distances; 128 was subtracted from packed bits
"ubinary"           uint8 (n, ceil(d / 8))         Hamming distances of packed bits
==================  =============================  ===========================================================

Results differ from those of sentence-transformers in these cases:

- Codes of "int8" and "uint8" need the ranges that quantized them. sentence-transformers takes those of the
  queries if none are given, and compares codes as if all dimensions had one range before it rescores.
- Scores of ``rescore=False`` are inner products for all but packed bits: larger is nearer. usearch returns
  distances.
- Rows of equal scores are in ascending order.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _native, bits, hamming, rabitq
from fastcodes._typing import Array, Codes, Floats, Ids
from fastcodes._validation import (
    as_array,
    as_bool,
    as_integer,
    as_numbers,
    as_option,
    check_threads,
    describe,
    described,
    finite_float32,
)
from fastcodes.index._reranking import check_vectors, reranked
from fastcodes.results import no_neighbors

__all__ = ["semantic_search"]

_DTYPES = {"int8": "int8", "uint8": "uint8", "binary": "int8", "ubinary": "uint8"}
_PRECISIONS = ("float32", *_DTYPES)
_SIGN = np.uint8(128)  # what quantize_embeddings subtracts where codes are signed
_MOST_NEIGHBORS = 1 << 20
_PRODUCTS_PER_BLOCK = 1 << 24
_NUMBERS_PER_BLOCK = 1 << 22
_ROWS_PER_GROUP = 64


class Corpus(NamedTuple):
    """Embeddings that were checked and laid out for searches, which `semantic_search` returns and takes."""

    rows: Array
    """float32 ``(n, d)``; or uint8 codes, ``d`` filled up to a multiple of 8; or packed bits."""
    n_columns: int
    """The columns of the embeddings."""
    precision: str
    """As the argument `corpus_precision`."""


def semantic_search(
    query_embeddings: ArrayLike,
    corpus_embeddings: ArrayLike | None = None,
    *,
    corpus_index: Corpus | None = None,
    corpus_precision: str = "float32",
    top_k: int = 10,
    ranges: ArrayLike | None = None,
    calibration_embeddings: ArrayLike | None = None,
    rescore: bool = True,
    rescore_multiplier: int = 2,
    exact: bool = True,
    output_index: bool = False,
    rerank: Array | None = None,
    threads: int | None = None,
) -> tuple[Any, ...]:
    """Find the embeddings with the largest scores for each query.

    Parameters
    ----------
    query_embeddings : array_like (nq, d) or (d,)
        Real numbers, or quantized like the corpus; arrays or CPU tensors.
    corpus_embeddings : array_like (n, d) or (n, ceil(d / 8)), optional
        The database, of the dtype that belongs to `corpus_precision`. Either this or `corpus_index` is given.
    corpus_index : Corpus, optional
        What an earlier call with ``output_index=True`` returned, with its precision.
    corpus_precision : {"float32", "int8", "uint8", "binary", "ubinary"}
        The precision of `corpus_embeddings`.
    top_k : int
        Results per query.
    ranges : array_like (2, d), optional
        The least and the largest value of each dimension by which "int8" or "uint8" codes were quantized.
    calibration_embeddings : array_like (m, d), optional
        The real numbers whose ranges these are, in place of `ranges`.
    rescore : bool
        Whether ``top_k * rescore_multiplier`` candidates of a quantized corpus are scored again by the inner
        product of the query, unless it is quantized, with what their codes stand for; bits stand for 0 and 1.
    rescore_multiplier : int
        From 1 up.
    exact : bool
        For compatibility: all rows are compared either way.
    output_index : bool
        Whether to return the corpus, ready for further searches.
    rerank : array (n, d), optional
        The embeddings before they were quantized, of any real dtype, also a memory map: candidates are scored
        again by them, and not by their codes. Only their rows are read.
    threads : int, optional
        The largest number of threads; None means all CPUs of this process, or the number in the environment
        variable ``FASTCODES_NUM_THREADS``. Products of "float32" are those of numpy, which ignores it.

    Returns
    -------
    results : list of list of dict
        ``results[i][r]`` is ``{"corpus_id": row, "score": score}`` for the row with the ``r``-th largest
        score for query ``i``. Lists are shorter than `top_k` if the corpus is. Without rescoring, the score
        of packed bits is their Hamming distance, the smallest first.
    seconds : float
        The time of the search.
    corpus : Corpus
        If `output_index` is true.

    Raises
    ------
    TypeError
        If embeddings have a dtype that does not belong to the precision, or an option the wrong type.
    ValueError
        If shapes do not go together, a number is out of range or not finite, products overflow float32, or
        the ranges of "int8" or "uint8" codes are missing.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits
    >>> from fastcodes.interop.sentence_transformers import semantic_search
    >>> x = np.random.default_rng(0).standard_normal((1000, 64)).astype(np.float32)
    >>> results, seconds = semantic_search(x[:2], bits.pack(x), corpus_precision="ubinary", top_k=1)
    >>> [query[0]["corpus_id"] for query in results]
    [0, 1]

    Notes
    -----
    The numpy equivalent for "ubinary", with ``k = top_k * rescore_multiplier``::

        distances = np.bitwise_count(bits.pack(queries)[:, None] ^ corpus).sum(axis=-1)
        candidates = np.argsort(distances, axis=1, kind="stable")[:, :k]
        decoded = np.unpackbits(corpus[candidates], axis=-1)[..., : queries.shape[1]]
        scores = np.einsum("ij,ikj->ik", queries, decoded)

    The function that it replaces::

        from sentence_transformers.util import semantic_search_faiss
    """
    corpus = _as_corpus(corpus_embeddings, corpus_index, corpus_precision)
    top_k = as_integer(top_k, "top_k", 0, _MOST_NEIGHBORS)
    multiplier = as_integer(rescore_multiplier, "rescore_multiplier", 1, _MOST_NEIGHBORS)
    for name, value in {"rescore": rescore, "exact": exact, "output_index": output_index}.items():
        as_bool(value, name)
    check_threads(threads)
    queries = _as_queries(query_embeddings, corpus)
    rescored = rescore and queries.dtype == np.float32 and corpus.precision != "float32"
    if rerank is not None:
        if not rescored:
            raise ValueError(
                "rerank needs rescore=True, queries of real numbers and a quantized corpus; "
                f"got rescore={rescore}, queries of {queries.dtype} and a corpus of {corpus.precision}"
            )
        check_vectors(rerank, len(corpus.rows), queries.shape[1])
    limits = _as_limits(ranges, calibration_embeddings, corpus)

    start = time.perf_counter()
    k = min(top_k, len(corpus.rows))
    n_candidates = min(k * multiplier, len(corpus.rows)) if rescored else k
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is an error
        scores, rows = _search(queries, corpus, limits, k, n_candidates, rescored, rerank, threads)
    seconds = time.perf_counter() - start
    if (rows < 0).any() or not np.isfinite(scores).all():
        raise ValueError(
            "query_embeddings and the corpus have products that overflow float32; scale them, as by "
            "normalize_embeddings=True"
        )
    results = [
        [{"corpus_id": row, "score": score} for row, score in zip(ids, values, strict=True)]
        for ids, values in zip(rows.tolist(), scores.astype(np.float64).tolist(), strict=True)
    ]
    return (results, seconds, corpus) if output_index else (results, seconds)


# --- arguments ----------------------------------------------------------------------------------------------


def _as_corpus(embeddings: Any, index: Any, precision: str) -> Corpus:
    as_option(precision, "corpus_precision", _PRECISIONS)
    if embeddings is None and index is None:
        raise ValueError("corpus_embeddings or corpus_index must be given; got neither")
    if index is not None:
        if embeddings is not None:
            raise ValueError("corpus_index is given with corpus_embeddings; expected one of them")
        if not isinstance(index, Corpus):
            raise TypeError(
                "corpus_index must be a Corpus, as semantic_search returns it with output_index=True; "
                f"got {describe(index)}"
            )
        if precision != index.precision:
            raise ValueError(
                f'corpus_precision is "{precision}", but corpus_index has "{index.precision}"; give that one'
            )
        return index
    rows = _as_rows(embeddings, "corpus_embeddings", precision)
    n_columns = rows.shape[1]
    if precision == "float32":
        rows = finite_float32(rows, range(len(rows)), "corpus_embeddings")
    elif precision in ("int8", "uint8"):  # the kernel reads eight columns at a time
        missing = -n_columns % 8
        rows = np.pad(rows, ((0, 0), (0, missing))) if missing else np.ascontiguousarray(rows)
    return Corpus(rows, n_columns, precision)


def _as_rows(x: Any, name: str, precision: str) -> Array:
    """Return embeddings of a precision: codes as uint8, or numbers of their own dtype."""
    rows = as_numbers(x, name) if precision == "float32" else as_array(x, name)
    expected = _DTYPES.get(precision)
    if expected is not None and rows.dtype != expected:
        raise TypeError(
            f'{name} must be an array of {expected} for "{precision}", as quantize_embeddings makes it; '
            f"got {described(rows, x)}"
        )
    _check_not_quantized(rows, name, precision)
    if rows.ndim != 2 or not rows.shape[1]:
        raise ValueError(f"{name} must have shape (n, d); got {rows.shape}")
    return rows.view(np.uint8) ^ _SIGN if rows.dtype == np.int8 else rows


def _check_not_quantized(rows: Array, name: str, precision: str) -> None:
    if precision == "float32" and rows.dtype in (np.uint8, np.int8):
        expected = '"int8" or "binary"' if rows.dtype == np.int8 else '"uint8" or "ubinary"'
        raise TypeError(
            f"{name} is an array of {rows.dtype}, quantized embeddings; give corpus_precision={expected}, or "
            "embeddings of floats"
        )


def _as_queries(x: Any, corpus: Corpus) -> Array:
    """Return queries as finite float32, or as uint8 codes."""
    name, precision = "query_embeddings", corpus.precision
    queries = as_numbers(x, name)
    queries = queries[None] if queries.ndim == 1 else queries
    _check_not_quantized(queries, name, precision)
    is_packed = precision in ("binary", "ubinary")
    if queries.dtype in (np.uint8, np.int8) and precision != "float32":
        queries = _as_rows(queries, name, precision)
        n_columns = queries.shape[1]
    else:
        if queries.ndim != 2 or not queries.shape[1]:
            raise ValueError(f"{name} must have shape (nq, d) or (d,); got {queries.shape}")
        queries = finite_float32(queries, range(len(queries)), name)
        n_columns = -(-queries.shape[1] // 8) if is_packed else queries.shape[1]
    if n_columns != corpus.n_columns:
        expected = (
            f"{8 * corpus.n_columns} dimensions or up to 7 fewer, or {corpus.n_columns} bytes"
            if is_packed
            else f"{corpus.n_columns}"
        )
        raise ValueError(f"{name} has {queries.shape[1]} columns; expected {expected}, as the corpus has")
    return queries


def _as_limits(ranges: Any, calibration: Any, corpus: Corpus) -> tuple[Floats, Floats] | None:
    """Return the least value and the step of each dimension, or None where codes are not numbers."""
    if corpus.precision not in ("int8", "uint8"):
        return None
    n_columns = corpus.n_columns
    if ranges is not None:
        both = as_numbers(ranges, "ranges")
        if both.shape != (2, n_columns):
            raise ValueError(f"ranges must have shape (2, {n_columns}); got {both.shape}")
        both = finite_float32(both, range(2), "ranges")
        if (both[0] > both[1]).any():
            raise ValueError("ranges has a least value above the largest one; expected [least, largest]")
    elif calibration is not None:
        samples = as_numbers(calibration, "calibration_embeddings")
        if samples.ndim != 2 or samples.shape[1] != n_columns or not len(samples):
            raise ValueError(
                f"calibration_embeddings must have shape (m, {n_columns}) and at least one row; "
                f"got {samples.shape}"
            )
        both = finite_float32(
            np.stack([samples.min(axis=0), samples.max(axis=0)]), range(2), "calibration_embeddings"
        )
    else:
        raise ValueError(
            f'ranges or calibration_embeddings must be given for "{corpus.precision}", those that quantized '
            "the corpus; got neither: codes alone do not say what they stand for. Ranges of embeddings x are "
            "np.stack([x.min(axis=0), x.max(axis=0)])"
        )
    steps = (both[1] - both[0]) / np.float32(255)
    return both[0], np.where(steps == 0, np.float32(1), steps)


# --- searches -----------------------------------------------------------------------------------------------


def _search(
    queries: Array,
    corpus: Corpus,
    limits: tuple[Floats, Floats] | None,
    k: int,
    n_candidates: int,
    rescored: bool,
    vectors: Array | None,
    threads: int | None,
) -> tuple[Array, Ids]:
    """Return scores and rows (nq, k)."""
    if not k:
        return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    if corpus.precision == "float32":
        distances, rows = _largest_products(queries, corpus.rows, k, threads)
        return -distances, rows
    if limits is None:
        codes = queries if queries.dtype == np.uint8 else bits.pack(queries, threads=threads)
        near, candidates = hamming.knn(codes, corpus.rows, n_candidates, threads=threads)
        if not rescored:
            return near, candidates
    else:
        if queries.dtype == np.uint8:
            queries = _decoded(queries, limits)
        candidates = _nearest_of_codes(queries, corpus.rows, limits, n_candidates, threads)
    if vectors is not None:
        found = reranked(queries, candidates, vectors, "ip", k, None, threads)
        return -found.distances, found.indices
    distances, rows = _rescored(queries, candidates, corpus.rows, limits, k, threads)
    return -distances, rows


def _decoded(codes: Codes, limits: tuple[Floats, Floats]) -> Floats:
    low, step = limits
    vectors: Floats = codes[:, : len(low)] * step + low
    return vectors


def _nearest_of_codes(
    queries: Floats, codes: Codes, limits: tuple[Floats, Floats], k: int, threads: int | None
) -> Ids:
    """Return the rows with the largest inner products, but for a rounding of queries to 14 bits.

    Codes ``c`` stand for ``low + step * c``, and for the levels ``2 * c - 255`` in `fastcodes.rabitq`.
    """
    low, step = limits
    scaled = np.zeros((len(queries), codes.shape[1]), np.float32)
    np.multiply(queries, step / 2, out=scaled[:, : len(low)])
    offsets = -255 * scaled.sum(axis=1) - queries @ low
    factors = np.zeros((len(codes), 2), np.float32)
    factors[:, 1] = 1
    found = rabitq.knn(scaled, codes, factors, k, n_bits=8, metric="ip", offsets=offsets, threads=threads)
    return found[1]


def _rescored(
    queries: Floats,
    candidates: Ids,
    codes: Codes,
    limits: tuple[Floats, Floats] | None,
    k: int,
    threads: int | None,
) -> tuple[Floats, Ids]:
    """Return negative inner products with what the codes of candidates stand for, and their rows."""
    n_dims = queries.shape[1]
    distances, rows = no_neighbors(len(queries), k, np.float32)
    n_read = np.zeros(len(queries), np.int64)
    step = max(1, _NUMBERS_PER_BLOCK // (n_dims * candidates.shape[1]))
    for start in range(0, len(queries), step):
        some = slice(start, start + step)
        distinct, places = np.unique(candidates[some], return_inverse=True)
        ids = np.ascontiguousarray(candidates[some])
        places = places.reshape(ids.shape).astype(np.int64, copy=False)
        chosen = codes[distinct]
        vectors = (
            bits.unpack(chosen, n_dims, dtype=np.float32) if limits is None else _decoded(chosen, limits)
        )
        found = distances[some], rows[some], n_read[some]
        _native.rerank_nearest(queries[some], ids, places, vectors, "ip", None, found, threads)
    return distances, rows


def _largest_products(queries: Floats, vectors: Floats, k: int, threads: int | None) -> tuple[Floats, Ids]:
    """Return the smallest negative inner products and their rows.

    The products of numpy select candidates: all rows from the `k`-th largest of the maxima of groups up, so
    that few elements are compared. The kernel computes their products once more, the same for any threads.
    """
    n_rows = len(vectors)
    distances, rows = no_neighbors(len(queries), k, np.float32)
    n_read = np.zeros(len(queries), np.int64)
    # The products of numpy and of the kernel differ by rounding. This is twice the bound of a product, for
    # norms of one (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1).
    slack = vectors.shape[1] * np.finfo(np.float32).eps
    slack *= np.sqrt(np.einsum("nd,nd->n", vectors, vectors).max(initial=0))
    n_groups = -(-n_rows // _ROWS_PER_GROUP)
    width = n_groups * _ROWS_PER_GROUP
    step = max(1, min(len(queries), _PRODUCTS_PER_BLOCK // width))
    products = np.full((step, width), -np.inf, np.float32)  # also those of rows that fill up the last group
    for start in range(0, len(queries), step):
        block = queries[start : start + step]
        grouped = products[: len(block)].reshape(len(block), n_groups, _ROWS_PER_GROUP)
        np.matmul(block, vectors.T, out=products[: len(block), :n_rows])
        largest = grouped.max(axis=2)
        few = largest if n_groups >= k else products[: len(block)]
        least = np.partition(few, -k, axis=1)[:, -k]
        least -= slack * np.sqrt(np.einsum("nd,nd->n", block, block))
        query, group = np.nonzero(largest >= least[:, None])
        place, member = np.nonzero(grouped[query, group] >= least[query][:, None])
        query, row = query[place], group[place] * _ROWS_PER_GROUP + member
        counts = np.bincount(query, minlength=len(block))
        candidates = np.full((len(block), max(k, int(counts.max()))), -1, np.int64)
        candidates[query, np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)] = row
        some = slice(start, start + step)
        found = distances[some], rows[some], n_read[some]
        _native.rerank_nearest(block, candidates, None, vectors, "ip", None, found, threads)
    return distances, rows
