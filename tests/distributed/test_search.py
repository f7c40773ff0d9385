"""Searches of dask arrays are those of arrays, on real workers, one of which dies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import distributed, hamming, jaccard
from fastcodes.hashing import ITQ, Bits
from fastcodes.index import FlatIndex
from fastcodes.quantization import ProductQuantizer, RaBitQuantizer, ResidualQuantizer
from helpers import random_codes, same

da = pytest.importorskip("dask.array", reason="dask is missing: pip install 'fastcodes[distributed]'")

RNG = np.random.default_rng(5)
# Two bytes: many ties.
CODES = random_codes(2000, 2)
QUERIES = random_codes(7, 2, seed=1)
CHUNKS = [2000, 700, ((7, 500, 1, 1, 0, 991, 500),)]
X = RNG.standard_normal((1500, 24)).astype(np.float32)
MODELS = {
    "pq": ProductQuantizer(4, 16, random_state=0),
    "rabitq": RaBitQuantizer(3, random_state=0),
    "residual": ResidualQuantizer(2, 16, random_state=0),
    "itq": ITQ(12, random_state=0),
}


def dask_codes(codes: Any, chunks: Any) -> Any:
    return da.from_array(codes, chunks=(*(chunks if isinstance(chunks, tuple) else (chunks,)), -1))


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("mask", [None, "booleans", "ids", "none", "few chunks"])
@pytest.mark.parametrize(("metric", "search"), [("hamming", hamming.knn), ("jaccard", jaccard.knn)])
def test_the_neighbours_are_those_of_one_machine(
    metric: str, search: Callable[..., Any], mask: str | None, chunks: Any
) -> None:
    rows = {
        None: None,
        "booleans": np.random.default_rng(0).random(2000) < 0.01,
        "ids": np.array([1990, 5, 5, 700]),
        "none": [],
        "few chunks": range(505, 509),
    }[mask]
    codes = dask_codes(CODES, chunks)
    for k in (0, 1, 30, 3000):
        found = distributed.knn(QUERIES, codes, k, metric=metric, mask=rows).compute()
        expected = search(QUERIES, CODES, k, mask=rows)
        assert same(found, expected, tuple(part.dtype for part in expected))
    one = distributed.knn(QUERIES[0], codes, 3, metric=metric).compute(scheduler="threads")
    assert same(one, search(QUERIES[0], CODES, 3))


@pytest.mark.parametrize("name", MODELS)
def test_codes_of_a_model_are_searched_as_by_its_index(name: str) -> None:
    model = MODELS[name].fit(X)
    codes = distributed.encode(model, dask_codes(X, CHUNKS[1]))
    for metric in model.metrics:
        index = FlatIndex(model, metric=metric)
        index.add(X)
        found = distributed.knn(X[:9], codes, 11, codec=model, metric=metric, mask=np.arange(3, 1400))
        assert same(found.compute(), index.search(X[:9], 11, mask=np.arange(3, 1400)))


def test_packed_bits_have_a_codec_and_real_queries_none() -> None:
    codes = dask_codes(CODES, 700)
    found = distributed.knn(QUERIES, codes, 4, codec=Bits(16).fit(), metric="jaccard")
    assert same(found.compute(), jaccard.knn(QUERIES, CODES, 4))
    real = RNG.standard_normal((3, 16))
    found = distributed.knn(real, codes, 4, metric="asymmetric")
    assert same(found.compute(), hamming.asymmetric_knn(real, CODES, 4))


def test_nothing_is_computed_before_it_is_asked_for() -> None:
    def fail(block: Any) -> Any:
        if block.size:
            raise RuntimeError("computed")
        return block

    codes = dask_codes(CODES, 700).map_blocks(fail, dtype=np.uint8)
    found = distributed.knn(QUERIES, codes, 3)
    with pytest.raises(RuntimeError, match="computed"):
        found.compute()
    # Chunks without selected rows are not read.
    few = distributed.knn(QUERIES, codes, 3, mask=[])
    assert same(few.compute(), hamming.knn(QUERIES, CODES, 3, mask=[]))


def test_the_cluster_finds_the_same(client: Any) -> None:
    expected = hamming.knn(QUERIES, CODES, 30)
    for chunks in CHUNKS:
        assert same(distributed.knn(QUERIES, dask_codes(CODES, chunks), 30).compute(), expected)
    model = MODELS["rabitq"].fit(X)
    codes = distributed.encode(model, dask_codes(X, 200)).persist()
    index = FlatIndex(model)
    index.add(X)
    assert same(distributed.knn(X[:9], codes, 11, codec=model).compute(), index.search(X[:9], 11))


def test_a_worker_that_dies_in_a_search_loses_nothing(kill: Callable[..., Path]) -> None:
    killed = kill("fastcodes.distributed._search", "_search", after=7)
    codes = dask_codes(CODES, 50).persist()
    found = distributed.knn(QUERIES, codes, 30).compute()
    assert killed.exists()
    assert same(found, hamming.knn(QUERIES, CODES, 30))
