"""Additive quantizers: the local search and training. For what all sums share see test_residual."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from fastcodes import _native
from fastcodes.quantization import AdditiveQuantizer, ProductQuantizer
from fastcodes.quantization._sums import fit_codebooks
from models.quantization.cases import CLUSTERED, RNG, X


def test_more_changes_never_raise_the_error_of_a_sample() -> None:
    model = AdditiveQuantizer(4, 16, max_iter=4, random_state=0).fit(X)
    errors = []
    for search_iter in (0, 1, 4, 16, 64):
        codes = model.set_params(search_iter=search_iter).encode(X)
        errors.append(np.square(X - model.decode(codes)).sum(axis=1))
    for before, after in itertools.pairwise(errors):
        assert (after <= before * (1 + 1e-5) + 1e-6).all()
        assert after.mean() < before.mean()


def test_a_search_that_resumes_keeps_what_it_cannot_improve() -> None:
    codebooks = RNG.normal(size=(3, 8, 16)).astype(np.float32)
    codes = RNG.integers(0, 8, (200, 3), np.uint8)
    x = sum(codebooks[m][codes[:, m]] for m in range(3))  # the error of these codes is zero
    found, errors = codes.copy(), np.empty(200, np.float32)
    _native.additive_search((x, codebooks, found, errors), (4, 2, 2, 0), 1)
    assert np.array_equal(found, codes)
    assert errors.max() < 1e-6


@pytest.mark.parametrize("x", [X, CLUSTERED])
def test_the_error_is_smaller_than_that_of_a_product_quantizer(x: np.ndarray) -> None:
    pq = ProductQuantizer(4, 16, random_state=0).fit(x).quantization_error(x)
    aq = AdditiveQuantizer(4, 16, random_state=0).fit(x)
    assert aq.quantization_error(x) < 0.5 * pq
    assert len(aq.objective_history_) == aq.n_iter_ == 25


def test_codebooks_are_fitted_by_least_squares() -> None:
    codes = RNG.integers(0, 8, (1500, 3), np.uint8)
    start = RNG.normal(size=(3, 9, 16)).astype(np.float32)  # the last codewords do not occur
    indicators = (codes[:, :, None] == np.arange(9)).reshape(1500, 27).astype(np.float64)
    best = indicators @ np.linalg.lstsq(indicators, X, rcond=None)[0]
    fitted = fit_codebooks(X, codes, start, 2.0, threads=1)
    found = indicators @ fitted.reshape(27, 16)
    assert np.square(X - found).sum() < 1.0001 * np.square(X - best).sum()
    assert np.array_equal(fitted[:, 8], start[:, 8])
