"""The contestants of demo and benchmarks: fastcodes and each installed peer behind one small interface."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from fastcodes import __version__, _native, adc, hamming, jaccard
from fastcodes._typing import Array
from fastcodes.cli.terminal import signals_wait
from fastcodes.quantization import OptimizedProductQuantizer, ProductQuantizer

__all__ = [
    "PQ_ITERATIONS",
    "Peer",
    "Prepare",
    "Search",
    "contestants",
    "fastcodes_itself",
    "installed",
]

Search: TypeAlias = Callable[[Array, int], tuple[Array, Array]]
"""`(queries, k) -> (distances, indices)`, nearest first; each peer orders equal distances in its own way."""
Prepare: TypeAlias = Callable[[Array, int], Search]
"""`(codes, threads) -> Search`: the untimed work done once per database (an index, a packed copy)."""
Matrix: TypeAlias = Callable[[Array, Array, int], Callable[[], Array]]
"""`(a, b, threads) -> call`: `call()` fills a preallocated distance matrix and returns it."""
PrepareAdc: TypeAlias = Callable[[Array, Array, int], Search]
"""`(codebooks, codes, threads) -> Search` for float queries, by the squared distance to the decoded vectors;
computing the look-up tables of the queries is part of the search."""
Encode: TypeAlias = Callable[[Array, Array, int], Array]
"""`(vectors, codebooks, threads) -> codes`, one byte per subspace."""
Fit: TypeAlias = Callable[[Array, int, int, bool, int], tuple[Array, Array | None]]
"""`(vectors, n_subspaces, n_codewords, rotate, seed) -> (codebooks, rotation)`; the codebooks quantise
`vectors @ rotation.T`, or the vectors themselves if `rotation` is None. Uses the threads of the process."""

PQ_ITERATIONS = 25
"""Iterations of k-means for product quantisers without a rotation."""


@dataclass(frozen=True)
class Peer:
    """A library that computes on codes; an operation that it lacks is None."""

    name: str
    version: str
    level: str
    uses_threads: bool
    hamming_knn: Prepare | None = None
    jaccard_knn: Prepare | None = None
    hamming_cdist: Matrix | None = None
    adc_knn: PrepareAdc | None = None
    adc_encode: Encode | None = None
    pq_fit: Fit | None = None

    def knn(self, family: str) -> Prepare | None:
        """Return the search of the family "hamming" or "jaccard", or None."""
        return {"hamming": self.hamming_knn, "jaccard": self.jaccard_knn}[family]

    def describe(self) -> str:
        """Return name, version and SIMD level as one line."""
        return f"{self.name} {self.version} ({self.level})"


def contestants() -> list[Peer]:
    """Return fastcodes, numpy, and each installed peer, in this order."""
    return [fastcodes_itself(), *installed()]


def fastcodes_itself() -> Peer:
    """Return fastcodes behind the interface of its peers."""

    def cdist(a: Array, b: Array, threads: int) -> Callable[[], Array]:
        out = np.empty((len(a), len(b)), np.int32)
        return lambda: hamming.cdist(a, b, out=out, threads=threads)

    def adc_knn(codebooks: Array, codes: Array, threads: int) -> Search:
        packed = adc.PackedCodes(codes, n_codewords=codebooks.shape[1])

        def search(queries: Array, k: int) -> tuple[Array, Array]:
            return adc.knn(adc.tables(queries, codebooks, threads=threads), packed, k, threads=threads)

        return search

    def pq_fit(
        x: Array, n_subspaces: int, n_codewords: int, rotate: bool, seed: int
    ) -> tuple[Array, Array | None]:
        if rotate:
            rotated = OptimizedProductQuantizer(n_subspaces, n_codewords, random_state=seed).fit(x)
            return rotated.codebooks_, rotated.rotation_
        plain = ProductQuantizer(n_subspaces, n_codewords, max_iter=PQ_ITERATIONS, random_state=seed).fit(x)
        return plain.codebooks_, None

    return Peer(
        "fastcodes",
        __version__,
        _native.level(),
        uses_threads=True,
        hamming_knn=lambda codes, threads: lambda queries, k: hamming.knn(queries, codes, k, threads=threads),
        jaccard_knn=lambda codes, threads: lambda queries, k: jaccard.knn(queries, codes, k, threads=threads),
        hamming_cdist=cdist,
        adc_knn=adc_knn,
        adc_encode=lambda x, codebooks, threads: adc.encode(x, codebooks, threads=threads),
        pq_fit=pq_fit,
    )


@cache
def installed() -> tuple[Peer, ...]:
    """Return numpy and each peer that can be imported."""
    with signals_wait():
        return tuple(_import_peers())


def _import_peers() -> Iterator[Peer]:
    for adapter in (_numpy, _faiss, _numkong, _usearch):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # deprecation warnings of a peer do not concern our users
                yield adapter()
        except ImportError:
            continue


# --- numpy: what a user without a library writes ------------------------------------------------------------


def words(codes: Array) -> Array:
    """View rows as the widest unsigned integers that divide them: numpy is fastest on these."""
    codes = np.ascontiguousarray(codes)
    width = next(size for size in (8, 4, 2, 1) if codes.shape[-1] % size == 0)
    return codes.view(f"u{width}")


def _popcounts(values: Array) -> Array:
    if hasattr(np, "bitwise_count"):
        counts: Array = np.bitwise_count(values)
        return counts
    table = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)
    looked_up: Array = table[values.view(np.uint8)]  # numpy 1 lacks bitwise_count
    return looked_up


def select(distances: Array, k: int) -> tuple[Array, Array]:
    """Return the k smallest distances of each row and their columns, for peers without a top-k."""
    k = min(k, distances.shape[1])
    nearest = np.argpartition(distances, k - 1, axis=1)[:, :k]
    order = np.argsort(np.take_along_axis(distances, nearest, axis=1), axis=1)
    nearest = np.take_along_axis(nearest, order, axis=1)
    return np.take_along_axis(distances, nearest, axis=1), nearest


def _numpy() -> Peer:
    def one_by_one(queries: Array, k: int, compare: Callable[[Array], Array]) -> tuple[Array, Array]:
        results = [select(compare(query)[None], k) for query in queries]
        return np.concatenate([d for d, _ in results]), np.concatenate([i for _, i in results])

    def hamming_knn(codes: Array, threads: int) -> Search:
        database = words(codes)
        return lambda queries, k: one_by_one(
            words(queries), k, lambda query: _popcounts(query ^ database).sum(axis=1, dtype=np.int32)
        )

    def jaccard_knn(codes: Array, threads: int) -> Search:
        database = words(codes)

        def compare(query: Array) -> Array:
            shared = _popcounts(query & database).sum(axis=1, dtype=np.int32)
            either = _popcounts(query | database).sum(axis=1, dtype=np.int32)
            return np.where(either > 0, 1 - shared / np.maximum(either, 1), 0).astype(np.float32)

        return lambda queries, k: one_by_one(words(queries), k, compare)

    def hamming_cdist(a: Array, b: Array, threads: int) -> Callable[[], Array]:
        rows, database = words(a), words(b)
        out = np.empty((len(a), len(b)), np.int32)

        def call() -> Array:
            for row, target in zip(rows, out, strict=True):
                _popcounts(row ^ database).sum(axis=1, dtype=np.int32, out=target)
            return out

        return call

    def adc_knn(codebooks: Array, codes: Array, threads: int) -> Search:
        subspaces, d_sub = np.arange(codes.shape[1]), codebooks.shape[2]

        def search(queries: Array, k: int) -> tuple[Array, Array]:
            tables = ((queries.reshape(len(queries), -1, 1, d_sub) - codebooks) ** 2).sum(axis=-1)
            return one_by_one(tables, k, lambda table: table[subspaces, codes].sum(axis=-1))

        return search

    return Peer(
        "numpy", np.__version__, _numpy_level(), False, hamming_knn, jaccard_knn, hamming_cdist, adc_knn
    )


def _numpy_level() -> str:
    try:
        found: list[str] = np.show_config(mode="dicts")["SIMD Extensions"]["found"]  # type: ignore[index, call-arg, unused-ignore]
    except (TypeError, KeyError):  # numpy before 1.26
        return "unknown"
    return found[-1] if found else "baseline"


# --- faiss --------------------------------------------------------------------------------------------------


def _faiss() -> Peer:
    import faiss

    def hamming_knn(codes: Array, threads: int) -> Search:
        index = faiss.IndexBinaryFlat(8 * codes.shape[1])
        index.add(np.ascontiguousarray(codes))

        def search(queries: Array, k: int) -> tuple[Array, Array]:
            faiss.omp_set_num_threads(threads)
            distances, indices = index.search(queries, k)
            return distances, indices

        return search

    def adc_knn(codebooks: Array, codes: Array, threads: int) -> Search:
        n_subspaces, n_codewords, d_sub = codebooks.shape
        index = faiss.IndexPQ(n_subspaces * d_sub, n_subspaces, n_codewords.bit_length() - 1)
        faiss.copy_array_to_vector(np.ravel(codebooks), index.pq.centroids)
        index.is_trained = True
        if n_codewords == 16:
            # Two codes per byte, the first in the lower half. With tables of uint8 the search is approximate.
            index.add_sa_codes(codes[:, ::2] | codes[:, 1::2] << 4)
            index = faiss.IndexPQFastScan(index)
        else:
            index.add_sa_codes(np.ascontiguousarray(codes))

        def search(queries: Array, k: int) -> tuple[Array, Array]:
            faiss.omp_set_num_threads(threads)
            distances, indices = index.search(queries, k)
            return distances, indices

        return search

    def adc_encode(x: Array, codebooks: Array, threads: int) -> Array:
        quantizer = faiss.ProductQuantizer(x.shape[1], len(codebooks), codebooks.shape[1].bit_length() - 1)
        faiss.copy_array_to_vector(np.ravel(codebooks), quantizer.centroids)
        faiss.omp_set_num_threads(threads)
        codes: Array = quantizer.compute_codes(x)
        if codebooks.shape[1] == 16:
            codes = np.stack([codes & 15, codes >> 4], axis=-1).reshape(len(x), -1)
        return codes

    def pq_fit(
        x: Array, n_subspaces: int, n_codewords: int, rotate: bool, seed: int
    ) -> tuple[Array, Array | None]:
        dimensions, rotation = x.shape[1], None

        def untrained() -> Any:
            quantizer = faiss.ProductQuantizer(dimensions, n_subspaces, n_codewords.bit_length() - 1)
            quantizer.cp.niter = PQ_ITERATIONS
            quantizer.cp.seed += seed
            return quantizer

        if rotate:
            transform = faiss.OPQMatrix(dimensions, n_subspaces)
            inner = untrained()
            transform.pq = inner  # stores a pointer but holds no reference
            transform.train(x)
            rotation = faiss.vector_to_array(transform.A).reshape(dimensions, dimensions)
            x = transform.apply(x)
        quantizer = untrained()
        quantizer.train(x)
        shape = (n_subspaces, n_codewords, dimensions // n_subspaces)
        return faiss.vector_to_array(quantizer.centroids).reshape(shape), rotation

    try:
        level = faiss.SIMDConfig.get_level_name()
    except AttributeError:  # before 1.14 the level was fixed when the wheel was compiled
        level = faiss.get_compile_options().strip()
    return Peer(
        "faiss",
        faiss.__version__,
        str(level),
        True,
        hamming_knn,
        adc_knn=adc_knn,
        adc_encode=adc_encode,
        pq_fit=pq_fit,
    )


# --- NumKong: distance matrices of packed rows; numpy selects the nearest -----------------------------------


def _numkong() -> Peer:
    import numkong

    def knn(codes: Array, threads: int, compare: Callable[..., Any]) -> Search:
        packed = numkong.hammings_pack(np.ascontiguousarray(codes), dtype="uint1")
        return lambda queries, k: select(np.asarray(compare(queries, packed, threads=threads)), k)

    def hamming_cdist(a: Array, b: Array, threads: int) -> Callable[[], Array]:
        out = numkong.empty((len(a), len(b)), dtype="uint32")

        def call() -> Array:
            # Packing is part of the work: as for every other library, the input is plain rows.
            packed = numkong.hammings_pack(b, dtype="uint1")
            numkong.hammings_packed(a, packed, out=out, threads=threads)
            return np.asarray(out)

        return call

    enabled = [name for name, on in numkong.get_capabilities().items() if on]
    kernels = [name for name in enabled if name in {"haswell", "icelake", "neon", "sve", "sme"}]
    return Peer(
        "numkong",
        numkong.__version__,
        kernels[-1] if kernels else "serial",
        True,
        lambda codes, threads: knn(codes, threads, numkong.hammings_packed),
        lambda codes, threads: knn(codes, threads, numkong.jaccards_packed),
        hamming_cdist,
    )


# --- usearch: exact search without an index -----------------------------------------------------------------


def _usearch() -> Peer:
    import usearch
    from usearch.compiled import hardware_acceleration
    from usearch.index import MetricKind, ScalarKind
    from usearch.index import search as exact_search

    def knn(codes: Array, threads: int, metric: MetricKind) -> Search:
        database = np.ascontiguousarray(codes)

        def search(queries: Array, k: int) -> tuple[Array, Array]:
            # It refuses more neighbours than rows, and drops the first dimension of a single query.
            count = min(k, len(database))
            found = exact_search(database, queries, count, metric, exact=True, threads=threads)
            shape = (len(queries), count)
            return np.reshape(found.distances, shape), np.reshape(found.keys, shape).astype(np.int64)

        return search

    level = hardware_acceleration(dtype=ScalarKind.B1, ndim=256, metric_kind=MetricKind.Hamming)
    return Peer(
        "usearch",
        usearch.__version__,
        level,
        True,
        lambda codes, threads: knn(codes, threads, MetricKind.Hamming),
        lambda codes, threads: knn(codes, threads, MetricKind.Tanimoto),
    )
