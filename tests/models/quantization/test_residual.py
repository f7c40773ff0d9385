"""Residual quantizers: the search of codes, norms, tables, and training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes import adc
from fastcodes.index import FlatIndex
from fastcodes.quantization import AdditiveQuantizer, ProductQuantizer, ResidualQuantizer
from helpers import data_file
from models.quantization.cases import CLUSTERED, RNG, X

SUMS: list[Any] = [ResidualQuantizer, AdditiveQuantizer]
QUERIES = RNG.normal(size=(5, 16))


def errors(model: Any, x: Any = X) -> Any:
    return np.square(x - model.decode(model.encode(x)), dtype=np.float64).sum(axis=1)


def test_one_codebook_is_vector_quantization() -> None:
    for n_codewords in (16, 40):
        rq = ResidualQuantizer(1, n_codewords, random_state=0).fit(X)
        distances = np.square(X[:, None].astype(np.float64) - rq.codebooks_[0]).sum(axis=2)
        assert np.array_equal(rq.encode(X)[:, 0], distances.argmin(axis=1))


@pytest.mark.parametrize("model_class", SUMS)
def test_a_wide_search_finds_the_best_of_all_codes(model_class: Any) -> None:
    wide = {"beam_size": 64} if model_class is ResidualQuantizer else {"search_iter": 60}
    model = model_class(3, 8, max_iter=3, random_state=0, **wide).fit(X[:300])
    everything = np.indices((8, 8, 8)).reshape(3, -1).T.astype(np.uint8)
    vectors = sum(model.codebooks_[m][everything[:, m]] for m in range(3)).astype(np.float64)
    distances = np.square(X[:100, None] - vectors).sum(axis=2)
    assert np.allclose(errors(model, X[:100]), distances.min(axis=1), rtol=1e-3, atol=1e-4)


def test_more_paths_lower_the_error() -> None:
    found = [ResidualQuantizer(4, 16, beam_size=size, random_state=0).fit(X) for size in (1, 4, 16)]
    scores = [model.score(X) for model in found]
    assert scores[0] < scores[1] < scores[2]
    # The same codebooks, searched with more paths.
    assert found[0].set_params(beam_size=16).score(X) > scores[0]


@pytest.mark.parametrize("model_class", SUMS)
@pytest.mark.parametrize(
    ("n_codewords", "norm_bits", "n_columns"), [(16, 8, 2), (16, 16, 4), (40, 8, 1), (40, 16, 2)]
)
def test_tables_add_up_to_the_distance_to_the_decoded_vector(
    model_class: Any, n_codewords: int, norm_bits: int, n_columns: int
) -> None:
    x = X + 100  # a mean far from zero costs no accuracy
    model = model_class(3, n_codewords, norm_bits=norm_bits, max_iter=3, random_state=0).fit(x)
    codes, queries = model.encode(x), QUERIES + 100
    assert codes.shape == (1500, 3 + n_columns)
    assert codes.dtype == np.uint8
    assert model.norm_levels_.shape == (n_columns, 16 if n_codewords == 16 else 256)
    tables = model.tables(queries)
    assert tables.shape == (5, 3 + n_columns, model.norm_levels_.shape[1])
    exact = np.square(queries[:, None] - model.decode(codes).astype(np.float64)).sum(axis=2)
    norms = np.square(model.decode(codes).astype(np.float64) - x.mean(axis=0)).sum(axis=1)
    deviations = adc.scan(tables, codes) - exact
    # The same for all queries: those of the norms, up to the rounding of float32.
    assert np.allclose(deviations, deviations.mean(axis=0), atol=1e-2)
    if norm_bits == 16:
        assert np.abs(deviations).max() < 1e-2 + 2 * np.ptp(norms) / 65535
    else:
        assert np.sqrt(np.mean(deviations**2)) < 0.01 * norms.std() + 1e-2
    products = model.tables(queries, metric="ip")
    assert np.allclose(adc.scan(products, codes), -queries @ model.decode(codes).T, atol=2e-2)


@pytest.mark.parametrize("model_class", SUMS)
@pytest.mark.parametrize("metric", ["l2", "ip"])
def test_indexes_search_the_codes(model_class: Any, metric: str) -> None:
    model = model_class(3, 32, max_iter=3, random_state=0).fit(X)
    index = FlatIndex(model, metric=metric)
    index.add(X)
    vectors = model.decode(index.codes)
    exact = np.square(QUERIES[:, None] - vectors).sum(axis=2) if metric == "l2" else -QUERIES @ vectors.T
    distances, rows = index.search(QUERIES, 10)
    assert np.allclose(distances, np.sort(exact, axis=1)[:, :10], atol=0.1)
    assert np.allclose(np.take_along_axis(exact, rows, axis=1), distances, atol=0.1)


def test_without_norms_only_inner_products_are_searched() -> None:
    model = ResidualQuantizer(3, 32, norm_bits=0, metric="ip", random_state=0).fit(X)
    assert model.encode(X).shape == (1500, 3)
    assert model.metrics == ("ip",)
    with pytest.raises(ValueError, match="metric must be"):
        model.tables(QUERIES, metric="l2")
    with pytest.raises(ValueError, match='norm_bits=0 keeps no norms, which metric="l2" needs; take 8 or'):
        ResidualQuantizer(3, 32, norm_bits=0).fit(X)
    with pytest.raises(ValueError, match="norm_bits must be 0, 8 or 16; got 4"):
        ResidualQuantizer(3, 32, norm_bits=4).fit(X)


@pytest.mark.parametrize("x", [X, CLUSTERED])
def test_training_lowers_the_error_and_never_raises_it(x: Any) -> None:
    model = ResidualQuantizer(4, 16, random_state=0).fit(x)
    history = model.objective_history_
    assert (np.diff(history) <= 1e-6 * history[0]).all()
    assert model.quantization_error(x) == pytest.approx(history[-1], rel=1e-3)
    assert 4 < len(history) <= 4 + 5
    assert model.quantization_error(x) < ProductQuantizer(4, 16, random_state=0).fit(x).quantization_error(x)


def test_few_distinct_samples_are_represented_exactly() -> None:
    few = np.tile(X[:16], (4, 1))
    model = ResidualQuantizer(3, 16, random_state=0).fit(few)
    assert model.quantization_error(few) < 1e-4 * np.square(few).sum(axis=1).mean()


def test_codes_of_more_numbers_than_codewords_are_refused() -> None:
    model = ResidualQuantizer(3, 40, random_state=0).fit(X)
    codes = model.encode(X[:3])
    codes[:, 3] = 255  # a norm
    model.decode(codes)
    codes[1, 2] = 40
    with pytest.raises(ValueError, match="codes has 40 in row 1, column 2; expected values from 0 to 39"):
        model.decode(codes)
    nibbles = ResidualQuantizer(3, 3, random_state=0).fit(X)
    codes = nibbles.encode(X[:3])
    codes[2, 4] = 16
    with pytest.raises(ValueError, match="expected values from 0 to 15"):
        nibbles.decode(codes)


def test_real_descriptors_have_a_smaller_error_than_with_a_product_quantizer() -> None:
    x = np.load(data_file("sift_photos_u8.npz"))["learn"][:5000]
    pq = ProductQuantizer(4, 16, random_state=0).fit(x).quantization_error(x)
    rq = ResidualQuantizer(4, 16, random_state=0).fit(x).quantization_error(x)
    aq = AdditiveQuantizer(4, 16, random_state=0).fit(x).quantization_error(x)
    assert aq < rq < 0.95 * pq
