"""Supervised discrete hashing: both solvers against brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes.hashing import SupervisedDiscreteHashing
from models.hashing.cases import RNG, X, Y, fitted


@pytest.mark.parametrize("init", ["labels", "random"])
@pytest.mark.parametrize("solver", ["dcc", "fast"])
@pytest.mark.parametrize("penalty", [1e-5, 1e-2, 1.0])
def test_no_step_of_supervised_hashing_raises_the_objective(solver: str, init: str, penalty: float) -> None:
    several = (RNG.random((600, 9)) < 0.3).astype(int)
    for y in (Y, several):
        sdh = SupervisedDiscreteHashing(
            8, n_anchors=50, solver=solver, init=init, embedding_penalty=penalty, random_state=0
        ).fit(X, y)
        history = sdh.objective_history_
        assert history.shape == (6,)
        assert (np.diff(history) <= 1e-5 * history[:-1]).all()
        if init == "random":
            assert history[-1] < history[0]


@pytest.mark.parametrize("sigma", [1e-300, 1e300])
def test_any_width_of_the_gaussians_has_codes(sigma: float) -> None:
    sdh = SupervisedDiscreteHashing(8, n_anchors=50, sigma=sigma, random_state=0).fit(X, Y)
    assert np.isfinite(sdh.weights_).all()
    assert sdh.encode(X).shape == (len(X), 1)


def test_coordinate_descent_ends_where_no_single_bit_is_better() -> None:
    from fastcodes.hashing.supervised import _CoordinateDescent

    rng = np.random.default_rng(0)
    labels = (rng.random((60, 7)) < 0.3).astype(np.float32)
    signs, fit = (rng.normal(size=(60, 6)).astype(np.float32) for _ in range(2))
    signs = np.copysign(np.float32(1), signs)
    solver, penalty = _CoordinateDescent(1.0), 0.3
    solver.classify(labels, signs)

    def objective(b: Any) -> Any:
        b = b.astype(np.float64)
        return np.square(labels - b @ solver._w).sum(axis=1) + penalty * np.square(b - fit).sum(axis=1)

    best = solver.bits(labels, signs, fit, penalty)
    assert set(np.unique(best)) == {-1, 1}
    assert (objective(best) <= objective(signs) + 1e-5).all()
    assert objective(best).sum() < objective(signs).sum() - 1
    for j in range(6):
        flipped = best.copy()
        flipped[:, j] *= -1
        assert (objective(best) <= objective(flipped) + 1e-4).all()


def test_the_closed_form_is_the_best_of_all_bits() -> None:
    from fastcodes.hashing.supervised import _ClosedForm

    rng = np.random.default_rng(0)
    labels = (rng.random((60, 7)) < 0.3).astype(np.float32)
    signs, fit = (rng.normal(size=(60, 4)).astype(np.float32) for _ in range(2))
    solver, penalty = _ClosedForm(1.0), 0.3
    solver.classify(labels, np.sign(signs))
    found = solver.bits(labels, signs, fit, penalty)
    every = 2.0 * np.array(list(np.ndindex(2, 2, 2, 2))) - 1
    costs = np.square(every[:, None] - labels @ solver._w).sum(axis=2)
    costs += penalty * np.square(every[:, None] - fit).sum(axis=2)
    assert np.array_equal(found, every[costs.argmin(axis=0)])


def test_values_of_supervised_hashing_are_those_of_its_formula() -> None:
    sdh = fitted("SupervisedDiscreteHashing", sigma=0.7)
    squares = np.square(X[:, None].astype(np.float64) - sdh.anchors_).sum(axis=2)
    values = np.exp(-squares / 2 / 0.7**2) @ sdh.weights_ + sdh.intercept_
    assert np.allclose(sdh.decision_function(X), values, atol=1e-3)
    assert sdh.sigma_ == 0.7
    assert all((anchor == X).all(axis=1).any() for anchor in sdh.anchors_)
    mean = np.sqrt(np.square(X[:, None] - sdh.anchors_).sum(axis=2)).mean()
    assert fitted("SupervisedDiscreteHashing").sigma_ == pytest.approx(0.6 * mean, rel=1e-4)
