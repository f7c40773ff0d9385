"""Models learn from a dask array what they learn from an array, and encode it to the same codes."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from fastcodes import _blocks, distributed, hashing, quantization
from helpers import same

da = pytest.importorskip("dask.array", reason="dask is missing: pip install 'fastcodes[distributed]'")

RNG = np.random.default_rng(9)
X = (RNG.standard_normal((3001, 24)) @ RNG.standard_normal((24, 24))).astype(np.float32)
CHUNKS = [((3001,), (24,)), ((7, 500, 1, 1, 0, 991, 1501), (10, 14)), 250]
MODELS: dict[str, Any] = {
    "KMeans": quantization.KMeans(20, n_init=2, max_iter=5, random_state=0),
    "KMeans, numpy": quantization.KMeans(300, max_iter=3, random_state=0),
    "KMeans, batches": quantization.KMeans(20, batch_size=100, max_iter=2, random_state=0),
    "VectorQuantizer": quantization.VectorQuantizer(20, max_samples=1000, random_state=0),
    "ProductQuantizer": quantization.ProductQuantizer(4, 16, max_samples=1000, random_state=0),
    "ProductQuantizer, all": quantization.ProductQuantizer(4, 16, max_samples=None, random_state=0),
    "OptimizedProductQuantizer": quantization.OptimizedProductQuantizer(4, 8, max_iter=2, random_state=0),
    "ScalarQuantizer": quantization.ScalarQuantizer(4, max_samples=999, random_state=0),
    "ResidualQuantizer": quantization.ResidualQuantizer(2, 16, random_state=0),
    "AdditiveQuantizer": quantization.AdditiveQuantizer(2, 16, max_samples=900, random_state=0),
    "CompositeQuantizer": quantization.CompositeQuantizer(2, 16, max_samples=900, random_state=0),
    "RaBitQuantizer": quantization.RaBitQuantizer(2, random_state=0),
    "PCAHashing": hashing.PCAHashing(8),
    "PCAHashing, median": hashing.PCAHashing(8, threshold="median"),
    "ITQ": hashing.ITQ(8, max_samples=999, random_state=0),
    "SpectralHashing": hashing.SpectralHashing(12),
    "LocalityPreservingHashing": hashing.LocalityPreservingHashing(8, n_anchors=20, random_state=0),
    "RandomHyperplanes": hashing.RandomHyperplanes(8, random_state=0),
    "RandomProjection": hashing.RandomProjection(8, random_state=0),
}


def state(model: Any) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in model.to_state()[1].items()}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make many blocks of few rows, some of them across chunks."""
    monkeypatch.setattr(_blocks, "ELEMENTS_PER_BLOCK", 700)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", MODELS)
def test_models_learn_the_same_and_encode_the_same(name: str) -> None:
    local = copy.deepcopy(MODELS[name]).fit(X)
    for chunks in CHUNKS:
        x = da.from_array(X, chunks=chunks)
        model = distributed.fit(copy.deepcopy(MODELS[name]), x)
        assert state(model) == state(local)
        if hasattr(model, "encode"):
            codes = distributed.encode(model, x)
            assert codes.chunks[0] == x.chunks[0]
            assert same(codes.compute(), local.rows(X), (codes.dtype,))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("dtype", ["float16", "float64", "int16", "uint8"])
def test_samples_may_have_any_real_dtype(dtype: str) -> None:
    x = np.abs(X).astype(dtype)
    model = distributed.fit(hashing.PCAHashing(6), da.from_array(x, chunks=(700, 24)))
    assert state(model) == state(hashing.PCAHashing(6).fit(x))
    assert same(distributed.encode(model, da.from_array(x, chunks=(700, 24))).compute(), model.encode(x))


def test_empty_clusters_are_filled_from_the_cluster(
    small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of many equal seeds all but one lose their samples at once.
    monkeypatch.setitem(
        quantization._lloyd.SEEDS, "k-means++", lambda x, m, k, rng: np.repeat(x[:1][None], k, axis=1)
    )
    kmeans = quantization.KMeans(9, max_iter=4, random_state=0)
    local = copy.deepcopy(kmeans).fit(X)
    model = distributed.fit(copy.deepcopy(kmeans), da.from_array(X, chunks=(700, 24)))
    assert len(np.unique(local.predict(X))) == 9
    assert state(model) == state(local)


@pytest.mark.parametrize("name", ["KMeans", "OptimizedProductQuantizer", "PCAHashing", "RandomHyperplanes"])
def test_errors_are_those_of_one_machine(name: str) -> None:
    wrong = X.copy()
    wrong[2500, 3] = np.nan
    with pytest.raises(ValueError, match="X has nan in row 2500, column 3, which is not finite"):
        distributed.fit(copy.deepcopy(MODELS[name]), da.from_array(wrong, chunks=(700, 24)))
    if hasattr(MODELS[name], "encode"):
        model = copy.deepcopy(MODELS[name]).fit(X)
        with pytest.raises(ValueError, match="X has nan in row"):
            distributed.encode(model, da.from_array(wrong, chunks=(700, 24))).compute()
    with pytest.raises(ValueError, match=r"minimum of 1 is required|n_samples=0 should be"):
        distributed.fit(copy.deepcopy(MODELS[name]), da.from_array(X[:0], chunks=(5, 24)))


def test_a_data_frame_is_told_how_to_become_an_array() -> None:
    frames = pytest.importorskip("dask.dataframe", exc_type=ImportError)
    pandas = pytest.importorskip("pandas")
    frame = frames.from_pandas(pandas.DataFrame(X), npartitions=2)
    with pytest.raises(TypeError, match=r"give X.to_dask_array\(lengths=True\)"):
        distributed.fit(hashing.PCAHashing(6), frame)


def test_the_cluster_learns_the_same(client: Any) -> None:
    for name in ("KMeans", "ProductQuantizer", "RaBitQuantizer", "PCAHashing", "ITQ"):
        local = copy.deepcopy(MODELS[name]).fit(X)
        x = da.from_array(X, chunks=CHUNKS[1])
        model = distributed.fit(copy.deepcopy(MODELS[name]), x)
        assert state(model) == state(local)
        if hasattr(model, "encode"):
            assert same(distributed.encode(model, x).compute(), local.rows(X))


def test_without_dask_calls_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "dask.array", None)
    calls = (
        lambda: distributed.fit(hashing.PCAHashing(6), X),
        lambda: distributed.encode(hashing.PCAHashing(6), X),
        lambda: distributed.knn(X, X, 3),
        lambda: distributed.dedup(["a"]),
    )
    for call in calls:
        with pytest.raises(ImportError, match=r"pip install 'fastcodes\[distributed\]'"):
            call()


def test_importing_the_package_does_not_import_dask() -> None:
    from helpers import run_python

    code = "import sys, fastcodes; fastcodes.distributed.knn; print('dask' in sys.modules)"
    assert run_python(code) == "False"
