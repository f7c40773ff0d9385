"""Composite quantizers: the constant, tables and training. For the search of codes see test_additive."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes import adc
from fastcodes.index import FlatIndex
from fastcodes.quantization import AdditiveQuantizer, CompositeQuantizer, ProductQuantizer
from fastcodes.quantization.composite import _fit_codebooks
from helpers import data_file
from models.quantization.cases import CLUSTERED, RNG, X

QUERIES = RNG.normal(size=(5, 16))


def products_of(codes: Any, codebooks: Any) -> Any:
    """Return the sums of the inner products of each codeword with each other one."""
    words = np.stack([book[codes[:, m]] for m, book in enumerate(codebooks.astype(np.float64))])
    gram = np.einsum("ind,jnd->nij", words, words)
    return gram.sum(axis=(1, 2)) - np.trace(gram, axis1=1, axis2=2)


def without_mean(model: Any) -> Any:
    codebooks = model.codebooks_.astype(np.float64)
    codebooks[0] -= model.mean_
    return codebooks


@pytest.mark.parametrize("n_codewords", [16, 40])
def test_tables_add_up_to_the_distance_less_the_deviation_of_the_products(n_codewords: int) -> None:
    x, queries = X + 100, QUERIES + 100  # a mean far from zero costs little accuracy
    model = CompositeQuantizer(3, n_codewords, max_iter=3, random_state=0).fit(x)
    codes = model.encode(x)
    assert codes.shape == (1500, 3)
    deviations = products_of(codes, without_mean(model)) - model.product_
    exact = np.square(queries[:, None] - model.decode(codes).astype(np.float64)).sum(axis=2)
    tables = model.tables(queries)
    assert tables.shape == (5, 3, n_codewords)
    assert np.allclose(adc.scan(tables, codes), exact - deviations, atol=2e-2)
    products = model.tables(queries, metric="ip")
    assert np.allclose(adc.scan(products, codes), -queries @ model.decode(codes).T, atol=2e-2)
    assert np.array_equal(model.set_params(metric="ip").tables(queries), products)
    assert FlatIndex(model).metric == "ip"


@pytest.mark.parametrize("x", [X, CLUSTERED])
def test_products_are_nearly_constant_and_the_error_is_that_of_no_product_quantizer(x: Any) -> None:
    model = CompositeQuantizer(4, 16, random_state=0).fit(x)
    additive = AdditiveQuantizer(4, 16, norm_bits=16, random_state=0).fit(x)
    spreads = [products_of(m.encode(x)[:, :4], without_mean(m)).std() for m in (model,)]
    offset = additive.codebooks_.mean(axis=1, keepdims=True)
    spreads.append(products_of(additive.encode(x)[:, :4], additive.codebooks_ - offset).std())
    assert spreads[0] < 0.5 * spreads[1]
    pq = ProductQuantizer(4, 16, random_state=0).fit(x).quantization_error(x)
    assert additive.quantization_error(x) < model.quantization_error(x) < 0.8 * pq
    assert len(model.objective_history_) == model.n_iter_ == 20
    assert model.objective_history_[-1] < model.objective_history_[0]


def test_a_larger_penalty_makes_products_more_constant_and_errors_larger() -> None:
    spreads, errors = [], []
    for penalty in (0.01, 0.2, 4.0):
        model = CompositeQuantizer(4, 16, penalty=penalty, random_state=0).fit(X)
        spreads.append(products_of(model.encode(X), without_mean(model)).std())
        errors.append(model.quantization_error(X))
    assert spreads[0] > spreads[1] > spreads[2]
    assert errors[0] < errors[1] < errors[2]


def test_a_long_search_finds_the_best_of_all_codes() -> None:
    model = CompositeQuantizer(3, 8, search_iter=60, max_iter=3, random_state=0).fit(X[:300])
    everything = np.indices((8, 8, 8)).reshape(3, -1).T.astype(np.uint8)
    weight = 0.2 / (4 * X[:300].var(axis=0, dtype=np.float64).mean())
    penalties = weight * (products_of(everything, without_mean(model)) - model.product_) ** 2
    vectors = model.decode(everything).astype(np.float64)
    costs = np.square(X[:100, None] - vectors).sum(axis=2) + penalties
    found = np.ravel_multi_index(tuple(model.encode(X[:100]).T), (8, 8, 8))
    assert np.allclose(costs[np.arange(100), found], costs.min(axis=1), rtol=1e-3, atol=1e-4)


def test_codebooks_are_fitted_by_least_squares() -> None:
    penalty, ridge = 0.3, 2
    counts = [9, 200, 91]  # fewer samples than dimensions, and more; the last codeword does not occur
    column = np.repeat(np.arange(3), counts)
    codes = np.stack([column, RNG.integers(0, 4, 300)], axis=1).astype(np.uint8)
    x, start = X[:300], RNG.normal(size=(2, 4, 16)).astype(np.float32)
    products = products_of(codes, start)
    fitted = _fit_codebooks(x, codes, start, products, penalty)
    for k, count in enumerate(counts):
        y = start[1, codes[column == k, 1]].astype(np.float64)
        rest = (products - products.mean())[column == k] - 2 * y @ start[0, k]
        left = np.concatenate([np.tile(np.eye(16), (count, 1)), np.sqrt(penalty) * 2 * y])
        left = np.concatenate([left, np.sqrt(ridge) * np.eye(16)])
        right = np.concatenate(
            [(x[column == k] - y).ravel(), -np.sqrt(penalty) * rest, np.sqrt(ridge) * start[0, k]]
        )
        assert np.allclose(fitted[0, k], np.linalg.lstsq(left, right, rcond=None)[0], atol=1e-4)
    assert np.array_equal(fitted[0, 3], start[0, 3])


@pytest.mark.parametrize("x", [X[:, :3], np.ones((40, 5)), np.zeros((40, 1))])
def test_few_dimensions_and_constant_samples(x: Any) -> None:
    model = CompositeQuantizer(8, 16, max_iter=3, random_state=0).fit(x)
    assert model.quantization_error(x) <= 0.01 * np.square(x - x.mean(axis=0)).sum(axis=1).mean()


def test_real_descriptors_are_found_more_often_than_with_a_product_quantizer() -> None:
    data = np.load(data_file("sift_photos_u8.npz"))
    x, queries = data["learn"][:2500].astype(np.float32), data["query"][:200].astype(np.float32)
    distances = (queries**2).sum(axis=1)[:, None] - 2 * queries @ x.T + (x**2).sum(axis=1)
    exact = np.argsort(distances, axis=1)[:, :10]
    recalls = []
    for model in (ProductQuantizer(8, 16, random_state=0), CompositeQuantizer(8, 16, random_state=0)):
        codes = model.fit(x).encode(x)
        _, rows = adc.knn(model.tables(queries), codes, 10)
        recalls.append(np.mean([len(np.intersect1d(*pair)) for pair in zip(rows, exact, strict=True)]) / 10)
    assert recalls[1] > recalls[0] + 0.02
