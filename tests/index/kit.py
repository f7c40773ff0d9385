"""Indexes of every kind over codecs of every kind, with their distances by brute force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import bits, hamming, rabitq
from fastcodes.hashing import (
    CCAITQ,
    ITQ,
    Bits,
    DeepHashing,
    LocalityPreservingHashing,
    MinHash,
    PCAHashing,
    RandomHyperplanes,
    SpectralHashing,
    SupervisedDiscreteHashing,
)
from fastcodes.index import FlatIndex, IVFIndex, LSHIndex, MinHashIndex, MultiIndexHashing
from fastcodes.index._lists import split_lists
from fastcodes.quantization import (
    AdditiveQuantizer,
    CompositeQuantizer,
    OptimizedProductQuantizer,
    ProductQuantizer,
    RaBitQuantizer,
    ResidualQuantizer,
    ScalarQuantizer,
    VectorQuantizer,
)
from helpers import Array

N, D = 300, 12
RNG = np.random.default_rng(31)
X = RNG.standard_normal((N, D)).astype(np.float32)
X[200:] = X[RNG.integers(0, 200, 100)]  # ties
QUERIES = X[:7] + RNG.standard_normal((7, D)).astype(np.float32) * np.float32(0.3)
LABELS = (X[:, 0] > 0).astype(int)
PACKED = np.packbits(X[:, np.arange(37) % D] > np.linspace(-1, 1, 37), axis=1)
SETS = [RNG.integers(0, 40, RNG.integers(3, 12)).tolist() for _ in range(N - 60)]
SETS += [list(SETS[number]) for number in RNG.integers(0, N - 60, 60)]
IDS = RNG.permutation(5 * N)[:N]  # in no order

# --- distances by brute force -------------------------------------------------------------------------------


def of_tables(index: Any, queries: Any) -> Array:
    """Add up table entries in float32, subspace after subspace."""
    codec, codes = index.codec, index.codes
    numbers = bits.unpack_uint(codes, codec.n_bits, D) if isinstance(codec, ScalarQuantizer) else codes
    total = np.zeros((len(queries), len(codes)), np.float32)
    for m, table in enumerate(codec.tables(queries, metric=index.metric).transpose(1, 0, 2)):
        total += table[:, numbers[:, m]]
    return total


def of_estimates(index: Any, queries: Any) -> Array:
    codec, (codes, factors) = index.codec, index.codes
    rotated, offsets = codec.operand(codec.as_queries(queries), index.metric)
    metric = "l2" if index.metric == "l2" else "ip"
    return rabitq.scan(rotated, codes, factors, n_bits=codec.n_bits, metric=metric, offsets=offsets)


def of_bits(index: Any, queries: Any) -> Array:
    distances = oracles.hamming if index.metric == "hamming" else oracles.jaccard
    return distances(index.codec.encode(queries), index.codes)


def of_margins(index: Any, queries: Any) -> Array:
    """Return the sums of the kernel, which rounds in an order of its own, in the order of rows."""
    values = index.codec.decision_function(queries)
    distances, rows = hamming.asymmetric_knn(values, index.codes, len(index))
    signs = np.where(np.unpackbits(index.codes, axis=1)[:, : values.shape[1]], 1, -1)
    found = np.empty_like(distances)
    np.put_along_axis(found, rows, distances, axis=1)
    np.testing.assert_allclose(found, -(values @ signs.T), rtol=1e-4, atol=1e-4)
    return found


def of_signatures(index: Any, queries: Any) -> Array:
    """Shares of slots that differ; inf where no whole band agrees."""
    a, b = index.codec.encode(queries)[:, None], index.codes
    shape = (*(a != b).shape[:2], index.n_bands, index.n_rows)
    banded = (a != b)[:, :, : index.n_bands * index.n_rows].reshape(shape)
    is_candidate = ~banded.any(axis=3).all(axis=2)
    return np.where(is_candidate, (a != b).mean(axis=2), np.inf).astype(np.float32)


def of_lists(index: Any, queries: Any) -> Array:
    """Return what the codes say, and the offset of the list of each row, added in float32."""
    coder = index._coder
    probed, _ = coder.probed(coder.as_queries(queries), index.n_lists, threads=None)
    lists, rows = split_lists(index.codes)
    if isinstance(probed.operand, tuple):
        codes, factors = rows[:, :-8], np.ascontiguousarray(rows[:, -8:]).view("<f4")
        metric = "l2" if index.metric == "l2" else "ip"
        total = rabitq.scan(
            probed.operand[0],
            np.ascontiguousarray(codes),
            factors,
            n_bits=coder.codec_.n_bits,
            metric=metric,
            offsets=probed.operand[1],
        )
    else:
        total = np.zeros((len(queries), len(rows)), np.float32)
        for m, table in enumerate(probed.operand.transpose(1, 0, 2)):
            total += table[:, rows[:, m]]
    if probed.offsets is not None:
        offsets = np.empty_like(probed.offsets)
        np.put_along_axis(offsets, probed.lists, probed.offsets, axis=1)
        total += offsets[:, lists]
    return total


def of_bits_in_lists(index: Any, queries: Any) -> Array:
    distances = oracles.hamming if index.metric == "hamming" else oracles.jaccard
    return distances(index.codec.encode(queries), np.ascontiguousarray(split_lists(index.codes)[1]))


def rows_of(index: Any) -> Array:
    """Return the codes of an index with all that belongs to them in one row each."""
    rows: Array = index._coder.as_codes(index.codes)
    return rows


# --- every index with every codec ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """An index over a codec, what to put into it, and its oracle."""

    make: Callable[[], Any]
    distances: Callable[[Any, Any], Array]
    samples: Any = field(default_factory=lambda: X)
    queries: Any = field(default_factory=lambda: QUERIES)
    options: dict[str, Any] = field(default_factory=dict)  # that make a search exact

    def filled(self, order: Any = None, ids: Any = None) -> Any:
        """Return an index of all samples, added in some order."""
        index = self.make()
        order = np.arange(N) if order is None else order
        index.add(self.part(order), ids=None if ids is None else ids[order])
        return index

    def part(self, rows: Any) -> Any:
        """Return some samples."""
        if isinstance(self.samples, np.ndarray):
            return self.samples[rows]
        return [self.samples[row] for row in np.arange(N)[rows]]


def codebooks(n_subspaces: int, n_codewords: int) -> Array:
    rng = np.random.default_rng([n_subspaces, n_codewords])
    return rng.standard_normal((n_subspaces, n_codewords, D // n_subspaces)).astype(np.float32)


TURN = np.linalg.qr(RNG.standard_normal((D, D)))[0].astype(np.float32)
PQ = ProductQuantizer.from_codebooks(codebooks(6, 16))
HASHER = RandomHyperplanes(40, random_state=1).fit(X)
TABLES: dict[str, tuple[Any, str]] = {
    "pq 4x256": (ProductQuantizer.from_codebooks(codebooks(4, 256)), "l2"),
    "pq 6x16": (PQ, "l2"),
    "pq 12x5 as ip": (ProductQuantizer.from_codebooks(codebooks(12, 5)), "ip"),
    "opq 3x16 of ip": (OptimizedProductQuantizer.from_codebooks(codebooks(3, 16), TURN, metric="ip"), "ip"),
    "rq 2x40": (ResidualQuantizer(2, 40, max_iter=2, random_state=0).fit(X), "l2"),
    "rq 3x16, ip": (
        ResidualQuantizer(3, 16, norm_bits=0, metric="ip", max_iter=2, random_state=0).fit(X),
        "ip",
    ),
    "cq 3x16": (CompositeQuantizer(3, 16, max_iter=2, random_state=0).fit(X), "l2"),
    "aq 3x16": (AdditiveQuantizer(3, 16, norm_bits=16, max_iter=2, random_state=0).fit(X), "l2"),
    "sq 1": (ScalarQuantizer(1).fit(X), "l2"),
    "sq 3": (ScalarQuantizer(3, kind="lloyd-max").fit(X), "ip"),
    "sq 8": (ScalarQuantizer(8).fit(X), "l2"),
    "vq 40": (VectorQuantizer(40, max_iter=2, random_state=0).fit(X), "l2"),
    "vq 40, ip": (VectorQuantizer(40, max_iter=2, random_state=0).fit(X), "ip"),
    "vq 280": (VectorQuantizer(280, max_iter=2, random_state=0).fit(RNG.standard_normal((600, D))), "l2"),
}
ESTIMATES = {
    f"rabitq {n_bits}, {metric}": RaBitQuantizer(n_bits, metric=metric, random_state=0).fit(X)
    for n_bits, metric in ((1, "l2"), (1, "cosine"), (4, "ip"), (7, "l2"))
}
HASHERS: dict[str, Any] = {
    "hyperplanes": HASHER,
    "hadamard": RandomHyperplanes(70, projection="hadamard").fit(X),
    "pca": PCAHashing(n_bits=12).fit(X),
    "itq": ITQ(n_bits=9, max_iter=3, random_state=0).fit(X),
    "spectral": SpectralHashing(n_bits=20).fit(X),
    "locality": LocalityPreservingHashing(n_bits=8, random_state=0).fit(X),
    "cca": CCAITQ(n_bits=1, random_state=0).fit(X, LABELS),
    "supervised": SupervisedDiscreteHashing(n_bits=16, max_iter=2, random_state=0).fit(X, LABELS),
    "deep": DeepHashing(n_bits=8, epochs=1, random_state=0).fit(X, LABELS),
}


def flat(codec: Any, metric: str | None = None) -> Callable[[], Any]:
    return lambda: FlatIndex(codec, metric=metric)


ALL_LISTS = {"n_probes": 7}


def ivf(codec: Any, metric: str, by_residual: bool = True, samples: Any = X) -> Any:
    index = IVFIndex(codec, 7, by_residual=by_residual, metric=metric, random_state=5)
    return index.fit(samples)


CASES = {f"flat {name}": Case(flat(codec, metric), of_tables) for name, (codec, metric) in TABLES.items()}
CASES |= {f"flat {name}": Case(flat(codec), of_estimates) for name, codec in ESTIMATES.items()}
CASES |= {f"flat {name}": Case(flat(codec), of_bits) for name, codec in HASHERS.items()}
CASES |= {
    f"flat {name}, asymmetric": Case(flat(HASHERS[name], "asymmetric"), of_margins)
    for name in ("hyperplanes", "itq", "deep")
}
CASES |= {
    f"flat bits, {metric}": Case(flat(Bits(37), metric), of_bits, PACKED, PACKED[:7])
    for metric in ("hamming", "jaccard")
}
CASES["flat minhash"] = Case(flat(MinHash(64, b_bits=1).fit()), of_bits, SETS, SETS[:7])
CASES["lsh"] = Case(lambda: LSHIndex(HASHER, n_tables=5), of_bits, options={"n_probes": 256})
CASES["lsh, sparse"] = Case(
    lambda: LSHIndex(HASHERS["hadamard"], n_tables=4), of_bits, options={"n_probes": 2**17}
)
CASES["multi-index, bits"] = Case(lambda: MultiIndexHashing(37), of_bits, PACKED, PACKED[:7])
CASES["multi-index, hyperplanes"] = Case(lambda: MultiIndexHashing(HASHER, n_tables=3), of_bits)
CASES |= {
    f"ivf {name}": Case(
        lambda codec=codec, metric=metric, by_residual=by_residual: ivf(codec, metric, by_residual),
        of_lists,
        options=ALL_LISTS,
    )
    for name, codec, metric, by_residual in (
        ("pq 4x256", ProductQuantizer.from_codebooks(codebooks(4, 256)), "l2", True),
        ("pq 6x16", PQ, "l2", True),
        ("pq 6x16, ip", PQ, "ip", True),
        ("pq 6x16 of vectors", PQ, "l2", False),
        ("rq 2x40", ResidualQuantizer(2, 40, max_iter=2, random_state=0), "l2", True),
        ("sq 3", ScalarQuantizer(3), "l2", True),
        ("vq 1", VectorQuantizer(1, random_state=0), "l2", True),
        ("vq 40", VectorQuantizer(40, max_iter=2, random_state=0), "l2", True),
        ("rabitq 1", RaBitQuantizer(1, random_state=0), "l2", True),
        ("rabitq 4, ip", RaBitQuantizer(4, metric="ip", random_state=0), "ip", True),
        ("rabitq 1, cosine", RaBitQuantizer(1, metric="cosine", random_state=0), "cosine", True),
        ("rabitq 1 of vectors, cosine", ESTIMATES["rabitq 1, cosine"], "cosine", False),
    )
}
CASES["ivf hyperplanes"] = Case(lambda: ivf(HASHER, "hamming"), of_bits_in_lists, options=ALL_LISTS)
CASES |= {
    f"ivf bits, {metric}": Case(
        lambda metric=metric: ivf(Bits(37), metric, samples=PACKED),
        of_bits_in_lists,
        PACKED,
        PACKED[:7],
        options=ALL_LISTS,
    )
    for metric in ("hamming", "jaccard")
}
CASES["minhash"] = Case(
    lambda: MinHashIndex(MinHash(32, random_state=3).fit(), n_bands=8, n_rows=2),
    of_signatures,
    SETS,
    SETS[:7],
)

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def has_estimates(name: str) -> bool:
    """Whether re-ranking does not read all candidates."""
    return "rabitq" in name


exact_cases = pytest.mark.parametrize(
    "case",
    [pytest.param(c, id=name) for name, c in CASES.items() if c.samples is X and not has_estimates(name)],
)
vector_cases = pytest.mark.parametrize(
    "case", [pytest.param(c, id=name) for name, c in CASES.items() if c.samples is X]
)


def nearest(distances: Array, ids: Array, k: int, kept: Any = slice(None)) -> tuple[Array, Array]:
    """Return the k smallest of each row by (distance, id), padded."""
    distances, ids = distances[:, kept], ids[kept]
    padding = np.iinfo(np.int32).max if distances.dtype == np.int32 else np.inf
    found = np.full((len(distances), k), padding, distances.dtype), np.full((len(distances), k), -1)
    for row, own in enumerate(distances):
        order = np.lexsort((ids, own))[:k]
        order = order[own[order] < padding]
        found[0][row, : len(order)], found[1][row, : len(order)] = own[order], ids[order]
    return found
