"""Graphs of neighbours: those of scikit-learn, and what its estimators make of them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from fastcodes import bits
from fastcodes.hashing import CCAITQ, ITQ, NotFittedError
from fastcodes.index import IVFIndex, MultiIndexHashing
from fastcodes.interop.sklearn import KNeighborsTransformer
from fastcodes.quantization import ProductQuantizer, RaBitQuantizer
from helpers import random_codes

pytest.importorskip("sklearn", minversion="1.6")
from sklearn import base, cluster, datasets, manifold, model_selection, neighbors, pipeline
from sklearn.utils import estimator_checks

DIGITS = datasets.load_digits()
X, Y = DIGITS.data[:600], DIGITS.target[:600]
CODES = random_codes(80, 8, seed=1)


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
@pytest.mark.parametrize("metric", ["hamming", "jaccard"])
def test_the_graph_is_that_of_scikit_learn(metric: str, mode: str) -> None:
    theirs = neighbors.KNeighborsTransformer(n_neighbors=7, metric=metric, mode=mode, algorithm="brute")
    x = np.unpackbits(CODES, axis=1).astype(bool)
    expected = theirs.fit(x[:60]).transform(x)
    found = KNeighborsTransformer(n_neighbors=7, metric=metric, mode=mode).fit(CODES[:60]).transform(CODES)
    assert type(found) is type(expected)
    assert found.shape == expected.shape
    assert np.array_equal(found.indptr, expected.indptr)
    scale = 64 if metric == "hamming" and mode == "distance" else 1
    rows = [np.sort(graph.data.reshape(80, -1), axis=1) for graph in (found, expected)]
    np.testing.assert_allclose(rows[0], rows[1] * scale, atol=1e-6)
    ordered = found.data.reshape(80, -1)
    assert (np.diff(ordered) >= 0).all()
    if mode == "distance":
        full = KNeighborsTransformer(n_neighbors=59, metric=metric).fit(CODES[:60]).transform(CODES).toarray()
        np.testing.assert_array_equal(
            np.take_along_axis(full, found.indices.reshape(80, -1), axis=1), ordered
        )


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_vectors_have_the_distances_of_scikit_learn_nearly(metric: str) -> None:
    theirs = neighbors.KNeighborsTransformer(
        n_neighbors=10, metric="euclidean" if metric == "l2" else "cosine", algorithm="brute"
    )
    codec = RaBitQuantizer(8, metric=metric, random_state=0)
    expected, found = theirs.fit_transform(X), KNeighborsTransformer(codec, n_neighbors=10).fit_transform(X)
    both = np.sort(found.data.reshape(600, -1))[:, 1:], np.sort(expected.data.reshape(600, -1))[:, 1:]
    assert np.abs(both[0] - both[1]).mean() < 0.02 * both[1].mean()
    same = [
        np.isin(a, b).mean()
        for a, b in zip(np.split(found.indices, 600), np.split(expected.indices, 600), strict=True)
    ]
    assert np.mean(same) > 0.9


def test_estimators_of_precomputed_neighbours_take_it() -> None:
    classify = pipeline.make_pipeline(
        KNeighborsTransformer(ITQ(32, random_state=0), n_neighbors=9),
        neighbors.KNeighborsClassifier(9, metric="precomputed"),
    )
    assert model_selection.cross_val_score(classify, X, Y, cv=3).mean() > 0.8
    grid = model_selection.GridSearchCV(classify, {"kneighborstransformer__n_neighbors": [9, 15]}, cv=2)
    assert grid.fit(X, Y).best_score_ > 0.7
    codes = ITQ(32, random_state=0).fit(X).encode(X)
    embed = pipeline.make_pipeline(
        KNeighborsTransformer(n_neighbors=31),
        manifold.TSNE(metric="precomputed", init="random", perplexity=10, max_iter=300, random_state=0),
    )
    places = embed.fit_transform(codes)
    assert places.shape == (600, 2)
    near = neighbors.KNeighborsClassifier(5).fit(places, Y)
    assert near.score(places, Y) > 0.8
    groups = pipeline.make_pipeline(
        KNeighborsTransformer(n_neighbors=50), cluster.DBSCAN(eps=1, metric="precomputed", min_samples=2)
    ).fit_predict(codes)
    expected = cluster.DBSCAN(eps=1.5 / 32, metric="hamming", min_samples=2).fit_predict(
        bits.unpack(codes, 32)
    )
    assert np.array_equal(groups, expected)


@pytest.mark.parametrize(
    ("codec", "index"),
    [
        (ProductQuantizer(8, 16, random_state=0), None),
        (ProductQuantizer(8, 16, random_state=0), functools.partial(IVFIndex, n_lists=4, random_state=0)),
        (ITQ(32, random_state=0), MultiIndexHashing),
        (CCAITQ(9, random_state=0), None),
    ],
)
def test_any_codec_in_any_index(codec: Any, index: Any) -> None:
    transformer = KNeighborsTransformer(codec, n_neighbors=5, index=index)
    graph = base.clone(transformer).fit_transform(X, Y)
    assert graph.shape == (600, 600)
    assert (graph.data >= 0).all()
    assert (np.diff(graph.indptr) <= 6).all()
    labels = Y[graph.indices]
    assert (labels == np.repeat(Y, np.diff(graph.indptr))).mean() > 0.6
    assert not hasattr(codec, codec._learned)  # a copy was trained


@pytest.mark.filterwarnings("ignore")
def test_the_checks_of_scikit_learn() -> None:
    estimator = KNeighborsTransformer(RaBitQuantizer(random_state=0), n_neighbors=1)
    for tested, check in estimator_checks.estimator_checks_generator(estimator):
        if "array_api" not in check.func.__name__:  # skipped unless scipy is told otherwise
            check(tested)


def test_a_symmetric_graph_has_each_edge_in_both_directions() -> None:
    codes = np.concatenate([CODES, CODES[:20], CODES[:3]])  # some rows are equal
    one_way = KNeighborsTransformer(n_neighbors=5).fit_transform(codes)
    both = KNeighborsTransformer(n_neighbors=5, symmetric=True).fit_transform(codes)

    def edges(graph: Any) -> dict[tuple[int, int], float]:
        rows = np.repeat(np.arange(len(codes)), np.diff(graph.indptr)).tolist()
        return dict(zip(zip(rows, graph.indices.tolist(), strict=True), graph.data.tolist(), strict=True))

    expected = edges(one_way)
    expected |= {(j, i): distance for (i, j), distance in expected.items()}
    assert all(expected[i, i] == 0 for i in range(len(codes)))
    assert edges(both) == expected
    assert len(both.data) == len(expected) > len(one_way.data)
    assert all((np.diff(row.data) >= 0).all() for row in both)
    assert np.diff(both.indptr).min() >= 6
    codec = ProductQuantizer(8, 16, random_state=0)
    assert KNeighborsTransformer(codec).fit_transform(X).diagonal().any()  # the error of the codes
    both = KNeighborsTransformer(codec, symmetric=True).fit_transform(X)
    assert not both.diagonal().any()
    assert (both != both.T).nnz == 0
    ones = KNeighborsTransformer(n_neighbors=5, mode="connectivity", symmetric=True).fit_transform(codes)
    assert (ones.data == 1).all()


def test_a_symmetric_graph_stores_the_distance_of_each_sample_to_itself() -> None:
    codes = np.concatenate([CODES[:20], np.repeat(CODES[:1], 12, axis=0)])  # more than are found
    diagonals = {}
    for mode in ("distance", "connectivity"):
        graph = KNeighborsTransformer(n_neighbors=3, mode=mode, symmetric=True).fit_transform(codes)
        rows = np.repeat(np.arange(len(codes)), np.diff(graph.indptr))
        edges = set(zip(rows.tolist(), graph.indices.tolist(), strict=True))
        assert len(edges) == graph.nnz
        assert edges == {(j, i) for i, j in edges}
        assert (graph.data[rows == graph.indices] == (mode == "connectivity")).all()
        diagonals[mode] = {i for i, j in edges if i == j}
    assert diagonals["distance"] == set(range(32))
    assert set(range(1, 20)) <= diagonals["connectivity"] < set(range(32))


@pytest.mark.filterwarnings("ignore")
def test_a_symmetric_graph_is_what_umap_takes() -> None:
    umap = pytest.importorskip("umap", reason="takes a graph of umap-learn, which is not installed")
    for codec in (ITQ(32, random_state=0), ProductQuantizer(8, 16, random_state=0)):
        embed = pipeline.make_pipeline(
            KNeighborsTransformer(codec, n_neighbors=15, symmetric=True),
            umap.UMAP(n_neighbors=15, metric="precomputed", random_state=0, n_epochs=100),
        )
        places = embed.fit_transform(X)
        assert places.shape == (600, 2)
        assert neighbors.KNeighborsClassifier(5).fit(places, Y).score(places, Y) > 0.8


def test_errors_name_the_argument() -> None:
    for params, message in (
        ({"n_neighbors": 0}, "n_neighbors must be an integer from 1"),
        ({"mode": "graph"}, 'mode must be "distance" or "connectivity"'),
        ({"metric": "l2"}, 'metric must be "hamming" or "jaccard"'),
        ({"codec": ITQ(8), "metric": "l2"}, "metric must be"),
        ({"symmetric": 1}, "symmetric must be True or False"),
        ({"index": 3}, "index must be a callable"),
        ({"index": lambda codec: codec}, "index must make an index"),
        ({"codec": "itq"}, "codec must be a model"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            KNeighborsTransformer(**params).fit(CODES if "codec" not in params else X)
    with pytest.raises(ValueError, match="codec has the metric ip, which is no distance"):
        KNeighborsTransformer(RaBitQuantizer(metric="ip")).fit(X)
    with pytest.raises(NotFittedError):
        KNeighborsTransformer().transform(CODES)
    with pytest.raises(TypeError, match="X must be a numpy uint8 array"):
        KNeighborsTransformer().fit(X)
    with pytest.raises(ValueError, match="n_neighbors is 5, for which 6 samples are needed; fit had 4"):
        KNeighborsTransformer().fit(CODES[:4]).transform(CODES)
    with pytest.raises(ValueError, match="X has 7 features, but KNeighborsTransformer is expecting 8"):
        KNeighborsTransformer().fit(CODES).transform(CODES[:, :7])


def test_inner_products_are_refused_whoever_chooses_them() -> None:
    x = np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)
    codec = ProductQuantizer(4, n_codewords=16, metric="ip", random_state=0)
    with pytest.raises(ValueError, match='metric "ip", which is no distance'):
        KNeighborsTransformer(codec).fit(x)
