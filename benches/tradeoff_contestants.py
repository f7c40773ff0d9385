"""What `tradeoff.py` compares: the codecs of fastcodes and of its peers, behind one small interface."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from fastcodes._typing import Array
from fastcodes.index import FlatIndex
from fastcodes.quantization import (
    AdditiveQuantizer,
    CompositeQuantizer,
    OptimizedProductQuantizer,
    ProductQuantizer,
    RaBitQuantizer,
    ResidualQuantizer,
    ScalarQuantizer,
)

SEED = 0
N_CALIBRATING = 4096
"""Random rows that turbovec is calibrated with; it asks for about 1024."""
QUERY_BITS = (4, 8)
"""In which faiss rounds the queries of one-bit codes: the fewer, the faster."""

MAX_DIMS_OF_SUMS = 512
"""Dimensions of sums of codewords at most: training them takes minutes."""

Search: TypeAlias = Callable[[Array, int, int], Array]
"""`(queries, k, threads) -> ids`."""


@dataclass(frozen=True)
class DataSet:
    """Training vectors, database and queries, and the ten nearest neighbors of each query."""

    name: str
    metric: str
    """"l2", or "ip" for vectors of length 1."""
    training: Array
    base: Array
    queries: Array
    nearest: Array

    @property
    def dims(self) -> int:
        """Return the number of dimensions."""
        return self.base.shape[1]


@dataclass(frozen=True)
class Contestant:
    """A codec of one library with codes of one size."""

    by: str
    codec: str
    size: str
    encode: Callable[[DataSet], tuple[float, Search]]
    """Returns the bytes per vector, factors included, and the search of the encoded database."""
    n_bits: int | None = None
    """Bits per dimension of a codec whose recall is promised, and of the peers that it is compared with."""


def contestants(data: DataSet) -> Iterator[Contestant]:
    """Yield the codecs of fastcodes, then those of the peers that are installed and can search the data."""
    yield from ours(data.dims)
    for peer in (_faiss, _turbovec, _rabitqlib):
        try:
            yield from peer(data)
        except ImportError:
            continue


# --- fastcodes ----------------------------------------------------------------------------------------------


def ours(dims: int) -> Iterator[Contestant]:
    """Yield the codecs of fastcodes: half a bit to eight bits per dimension."""

    def of(codec: str, size: str, make: Callable[[DataSet], Any], n_bits: int | None = None) -> Contestant:
        def encode(data: DataSet) -> tuple[float, Search]:
            index = FlatIndex(make(data).fit(data.training), metric=data.metric)
            index.add(data.base)
            return index.nbytes // len(index), lambda q, k, threads: index.search(q, k, threads=threads)[1]

        return Contestant("fastcodes", codec, size, encode, n_bits)

    def quantizer(model: Any, n_subspaces: int, n_codewords: int) -> Callable[[DataSet], Any]:
        return lambda data: model(n_subspaces, n_codewords, random_state=SEED)

    for part in (16, 8, 4, 2):
        n_subspaces = dims // part
        yield of("PQ, 8 bits", f"{n_subspaces}x8", quantizer(ProductQuantizer, n_subspaces, 256))
    for part in (8, 4, 2, 1):
        n_subspaces = dims // part
        yield of("PQ, 4 bits", f"{n_subspaces}x4", quantizer(ProductQuantizer, n_subspaces, 16))
    for n_subspaces in (dims // part for part in (32, 16) if dims % part == 0):  # more take minutes to train
        yield of("OPQ, 8 bits", f"{n_subspaces}x8", quantizer(OptimizedProductQuantizer, n_subspaces, 256))
    if dims <= MAX_DIMS_OF_SUMS:
        for n_codebooks in (7, 15):  # and a byte for the norm
            yield of("residual", f"{n_codebooks}x8", quantizer(ResidualQuantizer, n_codebooks, 256))
        yield of("additive", "7x8", quantizer(AdditiveQuantizer, 7, 256))
        yield of("composite", "8x8", quantizer(CompositeQuantizer, 8, 256))
    for n_bits, kind in ((4, "lloyd-max"), (8, "uniform")):
        model = partial(ScalarQuantizer, n_bits, kind=kind, random_state=SEED)
        yield of("scalar", bits_text(n_bits), lambda data, model=model: model())

    def rabitq(n_bits: int, calibrate: bool) -> Callable[[DataSet], Any]:
        return lambda data: RaBitQuantizer(n_bits, metric=data.metric, calibrate=calibrate, random_state=SEED)

    for n_bits in (1, 2, 3, 4, 6, 8):
        yield of("RaBitQ", bits_text(n_bits), rabitq(n_bits, False), n_bits)
    for n_bits in (1, 2, 3, 4):
        yield of("RaBitQ, calibrated", bits_text(n_bits), rabitq(n_bits, True), n_bits)


def bits_text(n_bits: int) -> str:
    return "1 bit" if n_bits == 1 else f"{n_bits} bits"


# --- peers --------------------------------------------------------------------------------------------------


def _faiss(data: DataSet) -> Iterator[Contestant]:
    import faiss

    dims, metric = data.dims, faiss.METRIC_L2 if data.metric == "l2" else faiss.METRIC_INNER_PRODUCT

    def of(codec: str, size: str, make: Callable[[], Any], n_bits: int | None = None) -> Contestant:
        def encode(data: DataSet) -> tuple[float, Search]:
            codes = index = make()
            if n_bits is not None:
                # These codecs leave the rotation to the user.
                rotation = faiss.RandomRotationMatrix(dims, dims)
                rotation.init(SEED)
                rotation.is_trained = True
                index = faiss.IndexPreTransform(rotation, codes)
            index.train(data.training)
            index.add(data.base)

            def search(queries: Array, k: int, threads: int) -> Array:
                faiss.omp_set_num_threads(threads)
                ids: Array = index.search(queries, k)[1]
                return ids

            search.kept = codes, index  # type: ignore[attr-defined] # the outer index holds no reference
            return codes.sa_code_size() if n_bits is None else codes.code_size, search

        return Contestant("faiss", codec, size, encode, n_bits)

    def rabitq(n_bits: int, query_bits: int) -> Any:
        index = faiss.IndexRaBitQ(dims, metric, n_bits)
        index.qb = query_bits
        return index

    def fast_scan(n_bits: int) -> Any:
        index = faiss.IndexRaBitQFastScan(dims, metric, 32, n_bits)
        index.qb = max(QUERY_BITS)
        return index

    for n_subspaces in (dims // 16, dims // 8, dims // 4, dims // 2):
        make = partial(faiss.IndexPQ, dims, n_subspaces, 8, metric)
        yield of("PQ, 8 bits", f"{n_subspaces}x8", make)
    for n_subspaces in (dims // 8, dims // 4, dims // 2, dims):
        make = partial(faiss.IndexPQFastScan, dims, n_subspaces, 4, metric)
        yield of("PQFastScan", f"{n_subspaces}x4", make)
    for n_bits in (1, 2, 4):
        for query_bits in QUERY_BITS if n_bits == 1 else QUERY_BITS[-1:]:
            size = bits_text(n_bits) + (f", qb = {query_bits}" if n_bits == 1 else "")
            yield of("RaBitQ", size, partial(rabitq, n_bits, query_bits), n_bits)
        yield of("RaBitQFastScan", bits_text(n_bits), partial(fast_scan, n_bits), n_bits)
        for scale in ("UNBIASED", "BIASED"):
            kind = getattr(faiss, f"EDENScaleType_{scale}")
            codec = "EDEN" if scale == "UNBIASED" else "EDEN, biased"
            yield of(codec, bits_text(n_bits), partial(faiss.IndexEDEN, dims, metric, n_bits, kind), n_bits)


def _turbovec(data: DataSet) -> Iterator[Contestant]:
    import turbovec

    if data.metric != "ip":
        return  # it has inner products only

    def encode(data: DataSet, n_bits: int) -> tuple[float, Search]:
        index = turbovec.TurboQuantIndex(data.dims, n_bits)
        index.calibrate(np.random.default_rng(SEED).permutation(data.base)[:N_CALIBRATING])
        before = len(index.to_bytes())
        index.add(data.base)
        index.prepare()
        n_bytes = (len(index.to_bytes()) - before) / len(data.base)
        return n_bytes, lambda queries, k, threads: index.search(queries, k)[1].astype(np.int64)

    for n_bits in (2, 3, 4):
        yield Contestant("turbovec", "TQ+", bits_text(n_bits), partial(encode, n_bits=n_bits), n_bits)


def _rabitqlib(data: DataSet) -> Iterator[Contestant]:
    import rabitqlib

    def encode(data: DataSet, n_bits: int) -> tuple[float, Search]:
        n = len(data.base)
        index = rabitqlib.IvfIndex(data.dims, n, 1, n_bits, data.metric)
        index.build(data.base, data.base.mean(axis=0, keepdims=True), np.zeros(n, np.uint32))
        # Its files hold one-bit codes with three factors, and the other bits with two.
        n_bytes = data.dims * n_bits / 8 + (12 if n_bits == 1 else 20)

        def search(queries: Array, k: int, threads: int) -> Array:
            ids: Array = index.search(queries, k, 1, num_threads=threads)[0]
            return ids.astype(np.int64)

        return n_bytes, search

    for n_bits in (1, 2, 4):
        yield Contestant("rabitqlib", "RaBitQ", bits_text(n_bits), partial(encode, n_bits=n_bits), n_bits)
