"""The hash functions that learn, and what all of them have in common."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import _blocks, _files, bits, hamming, metrics
from fastcodes.hashing import (
    CCAITQ,
    ITQ,
    DeepHashing,
    LocalityPreservingHashing,
    NotFittedError,
    PCAHashing,
    SpectralHashing,
    SupervisedDiscreteHashing,
    align,
)
from fastcodes.hashing._rotation import nearest_rotation, random_rotation, rotate_to_bits
from fastcodes.hashing.deep import PairwiseLoss, TanhContinuation, TripletLoss
from fastcodes.nn import Sequential
from helpers import run_python

RNG = np.random.default_rng(21)
# Four classes around centres of their own, in correlated dimensions of falling variance.
MIXING = np.linalg.qr(RNG.normal(size=(16, 16)))[0] * 0.8 ** np.arange(16)
Y = RNG.integers(4, size=600)
X = ((RNG.normal(size=(600, 16)) + 1.5 * RNG.normal(size=(4, 16))[Y]) @ MIXING.T).astype(np.float32)

MODELS: dict[str, Any] = {
    "PCAHashing": PCAHashing(12),
    "PCAHashing, median": PCAHashing(12, threshold="median"),
    "ITQ": ITQ(12, random_state=0),
    "SpectralHashing": SpectralHashing(12),
    "LocalityPreservingHashing": LocalityPreservingHashing(12, n_anchors=40, random_state=0),
    "CCAITQ": CCAITQ(12, random_state=0),
    "SupervisedDiscreteHashing": SupervisedDiscreteHashing(12, n_anchors=100, random_state=0),
    "SupervisedDiscreteHashing, fast": SupervisedDiscreteHashing(
        12, n_anchors=100, solver="fast", init="random", random_state=0
    ),
    "DeepHashing": DeepHashing(
        12, hidden=(24,), epochs=8, batch_size=100, learning_rate=0.01, random_state=0
    ),
    "DeepHashing, triplet": DeepHashing(
        12, hidden=(), loss="triplet", epochs=2, batch_size=30, learning_rate=0.01, random_state=0
    ),
}
SUPERVISED = [name for name, model in MODELS.items() if model._needs_target]
RANDOM = [name for name, model in MODELS.items() if "random_state" in model.get_params()]
# Those that make at most one bit of a direction.
NARROW = [name for name in MODELS if name.split(",")[0] in ("PCAHashing", "ITQ", "LocalityPreservingHashing")]


def model_of(name: str, **params: Any) -> Any:
    model = MODELS[name]
    return type(model)(**model.get_params() | params)


def fitted(name: str, **params: Any) -> Any:
    return model_of(name, **params).fit(X, Y)


# --- principal components -----------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 1000])
def test_pca_hashing_takes_the_signs_of_the_eigenvectors(offset: float) -> None:
    x = X + np.float32(offset)
    pcah = PCAHashing(10).fit(x)
    wide = x.astype(np.float64)
    variances, vectors = np.linalg.eigh(np.cov(wide.T))
    expected = vectors[:, ::-1][:, :10]
    turns = np.sign((pcah.components_.T * expected).sum(axis=0))
    values = (wide - wide.mean(axis=0)) @ (expected * turns)
    assert np.allclose(pcah.components_ @ pcah.components_.T, np.eye(10), atol=1e-5)
    assert np.allclose(pcah.decision_function(x), values, atol=2e-3 if offset else 1e-4)
    assert np.allclose(pcah.decision_function(x).var(axis=0), variances[::-1][:10], rtol=5e-3)
    sure = np.abs(values) > 2e-3
    assert np.array_equal(bits.unpack(pcah.encode(x), 10)[sure], (values > 0)[sure])
    assert (np.abs(pcah.components_).max(axis=1) == pcah.components_.max(axis=1)).all()


def test_a_median_makes_bits_even() -> None:
    skewed = np.exp(2 * X)
    for threshold, tolerance in (("median", 1 / 600), ("mean", 1.0)):
        shares = bits.unpack(PCAHashing(12, threshold=threshold).fit(skewed).encode(skewed), 12).mean(axis=0)
        assert np.abs(shares - 0.5).max() <= tolerance
        if threshold == "mean":
            assert np.abs(shares - 0.5).max() > 0.1
    with pytest.raises(ValueError, match='threshold must be "mean" or "median"; got \'zero\''):
        PCAHashing(threshold="zero").fit(X)


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X[:, :8], r"n_bits=12: X has 8 features; lower n_bits to 8 or less"),
        (
            X[:12],
            "n_bits=12: n_samples=12 samples differ in 11 directions at most; lower n_bits to 11 or less",
        ),
        (
            np.where(np.arange(16) < 11, X, 3),
            r"differ in 11 directions only \(columns 11, 12, 13, 14, 15 are constant\); lower n_bits to 11",
        ),
        (
            np.where(np.arange(16) < 2, X, 1e4),
            r"differ in 2 directions only \(columns 2, 3, 4, 5, 6, \.\.\. are constant\)",
        ),
        (
            np.hstack([X[:, :8], X[:, :8] + X[:, 1:9] * 0]),
            r"differ in 8 directions only \(columns are linear combinations of others\)",
        ),
        (np.full((600, 16), 7.7), "differ in 0 directions only .*; give samples that differ"),
        (X[:1], "n_samples=1 samples differ in 0 directions at most; give samples that differ"),
        (X * 1e30, "X has values whose squares are too large for float32"),
    ],
)
def test_more_bits_than_directions_are_refused_with_a_reason(name: str, x: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model_of(name).fit(x, Y[: len(x)])


@pytest.mark.parametrize("name", NARROW)
def test_bits_for_all_directions_that_there_are(name: str) -> None:
    thin = np.where(np.arange(16) < 12, X, 3)
    assert model_of(name).fit(thin, Y).encode(thin).shape == (600, 2)
    anchors = {"n_anchors": 13} if name.startswith("Locality") else {}
    few = model_of(name, **anchors).fit(X[:13], Y[:13])
    assert few.encode(X).shape == (600, 2)


# --- iterative quantisation ---------------------------------------------------------------------------------


def test_itq_rotates_the_principal_components_and_never_raises_its_objective() -> None:
    itq, pcah = ITQ(10, random_state=0).fit(X), PCAHashing(10).fit(X)
    rotation, history = itq.rotation_.astype(np.float64), itq.objective_history_
    assert np.allclose(rotation @ rotation.T, np.eye(10), atol=1e-5)
    assert np.allclose(itq.components_, rotation.T @ pcah.components_, atol=1e-4)
    assert len(history) > 5
    assert (np.diff(history) < 0).all()
    values = pcah.decision_function(X).astype(np.float64) @ rotation
    error = np.square(np.where(values > 0, 1, -1) - values).sum(axis=1).mean()
    assert history[-1] == pytest.approx(error, rel=1e-4)
    assert np.allclose(itq.decision_function(X), values, atol=1e-4)


def test_itq_is_that_of_its_formula() -> None:
    values = X[:, :6].astype(np.float64)
    rng = np.random.default_rng(4)
    rotation, history = rotate_to_bits(X[:, :6].copy(), 6, 8, np.random.default_rng(4), lambda _: None)
    expected = random_rotation(6, 6, rng)
    objectives = []
    for _ in range(8):
        signs = np.where(values @ expected > 0, 1, -1)
        objectives.append(np.square(signs - values @ expected).sum() / 600)
        u, _, vt = np.linalg.svd(values.T @ signs)
        expected = u @ vt
    assert np.allclose(rotation, expected, atol=1e-4)
    assert np.allclose(history[:8], objectives, rtol=1e-5)


def test_itq_finds_the_corners_of_a_rotated_cube() -> None:
    corners = np.where(RNG.random((4000, 8)) < 0.5, -1.0, 1.0) + 0.1 * RNG.normal(size=(4000, 8))
    x = corners @ np.linalg.qr(RNG.normal(size=(8, 8)))[0] + 5
    best = min(
        (ITQ(8, random_state=seed).fit(x) for seed in range(5)), key=lambda itq: itq.objective_history_[-1]
    )
    assert best.objective_history_[-1] < 8 * 0.011
    found = bits.unpack(best.encode(x), 8).astype(int)
    agreement = np.abs(np.corrcoef(found.T, corners.T > 0)[:8, 8:])
    assert np.allclose(np.sort(agreement, axis=1)[:, -1], 1, atol=1e-6)


def test_a_rotation_between_spaces_of_different_size() -> None:
    values = X[:, :3].copy()
    rotation, history = rotate_to_bits(values, 8, 20, np.random.default_rng(0), lambda _: None)
    assert rotation.shape == (3, 8)
    assert np.allclose(rotation @ rotation.T, np.eye(3))
    assert (np.diff(history) < 0).all()
    error = np.square(np.where(values @ rotation > 0, 1, -1) - values @ rotation).sum(axis=1).mean()
    assert history[-1] == pytest.approx(error, rel=1e-4)
    cross = RNG.normal(size=(3, 8))
    best = nearest_rotation(cross)
    others = [random_rotation(3, 8, RNG) for _ in range(200)]
    assert all(np.trace(best.T @ cross) > np.trace(other.T @ cross) for other in others)


def test_itq_loses_less_of_neighbourhoods_than_pca_hashing() -> None:
    x = (RNG.normal(size=(2000, 32)) * 0.8 ** np.arange(32)).astype(np.float32)
    true = np.argsort(np.square(x[:100, None] - x[None]).sum(axis=2), axis=1)[:, :50]

    def score(model: Any) -> float:
        codes = model.fit(x).encode(x)
        _, found = hamming.knn(codes[:100], codes, len(codes))
        return metrics.mean_average_precision(metrics.neighbor_relevance(true, found))

    assert score(ITQ(24, random_state=0)) > score(PCAHashing(24)) + 0.05


# --- canonical correlations ---------------------------------------------------------------------------------


def test_canonical_correlations_are_those_of_least_squares() -> None:
    # Of two classes there is one direction, Fisher's; its correlation is that of a linear regression.
    y = (Y < 2).astype(int)
    cca = CCAITQ(6, regularization=1e-9, random_state=0).fit(X, y)
    assert cca.correlations_.shape == (1,)
    centred, target = X - X.mean(axis=0), y - y.mean()
    w, *_ = np.linalg.lstsq(centred.astype(np.float64), target, rcond=None)
    correlation = np.corrcoef(centred @ w, target)[0, 1]
    assert cca.correlations_[0] == pytest.approx(correlation, rel=1e-3)
    cosines = np.abs(cca.components_ @ w) / np.linalg.norm(cca.components_, axis=1) / np.linalg.norm(w)
    assert np.allclose(cosines, 1, atol=1e-3)


def test_canonical_directions_are_those_of_scikit_learn() -> None:
    decomposition = pytest.importorskip("sklearn.cross_decomposition")
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    assert decomposition is not None
    cca = CCAITQ(3, regularization=1e-9, random_state=0).fit(X, Y)
    lda = LinearDiscriminantAnalysis().fit(X, Y)
    ours, theirs = cca.decision_function(X), lda.transform(X)
    assert cca.correlations_.shape == (3,)
    assert (np.diff(cca.correlations_) < 0).all()
    before_rotation = ours @ cca.rotation_.T
    assert np.allclose(np.cov(before_rotation.T, bias=True), np.diag(cca.correlations_**2), atol=1e-4)
    # The same space: each can be read from the other.
    predicted = theirs @ np.linalg.lstsq(theirs, ours, rcond=None)[0]
    assert np.allclose(predicted, ours, atol=1e-2 * ours.std())


def label_map(codes: Any, labels: Any) -> float:
    _, found = hamming.knn(codes, codes, len(codes))
    return metrics.mean_average_precision(metrics.label_relevance(labels, labels, found[:, 1:]))


@pytest.mark.parametrize("name", SUPERVISED)
def test_labels_help_to_find_labels(name: str) -> None:
    # What tells the classes is where the samples vary least.
    rng = np.random.default_rng(5)
    y = rng.integers(5, size=900)
    x = np.hstack(
        [1.5 * rng.normal(size=(900, 8)), rng.normal(size=(5, 6))[y] + 0.3 * rng.normal(size=(900, 6))]
    )
    blind = ITQ(12, random_state=0).fit(x[:600]).encode(x[600:])
    told = model_of(name).fit(x[:600], y[:600]).encode(x[600:])
    assert label_map(told, y[600:]) > 1.5 * label_map(blind, y[600:])


@pytest.mark.parametrize("name", SUPERVISED)
def test_labels_of_any_kind(name: str) -> None:
    one_hot = np.eye(4, dtype=int)[Y]
    codes = fitted(name).encode(X)
    for y in (Y.astype(np.uint8), Y.tolist(), np.array(list("abcd"))[Y], one_hot, one_hot.astype(bool)):
        assert np.array_equal(model_of(name).fit(X, y).encode(X), codes)
    several = one_hot.copy()
    several[::3, 0] = 1
    assert model_of(name).fit(X, several).encode(X).shape == (600, 2)


@pytest.mark.parametrize("name", SUPERVISED)
@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (None, ValueError, "requires y to be passed, but the target y is None"),
        (Y[:-1], ValueError, "X has 600 samples and y 599 labels"),
        (np.zeros(600), ValueError, "y must have at least two different labels; got the same"),
        (np.ones((600, 3)), ValueError, "y must have at least two different labels"),
        (np.full((600, 2), 0.5), ValueError, r"y of shape \(n, c\) must be zeros and ones"),
        (np.where(np.arange(600) == 77, np.nan, Y), ValueError, "y has a value in row 77 that is not finite"),
        (np.zeros((600, 2, 2)), ValueError, r"got shape \(600, 2, 2\)"),
        (np.array([1, "a"] * 300, object), TypeError, "y must be labels that can be sorted"),
        (Y * 1j, ValueError, "dtype complex128"),
    ],
)
def test_wrong_labels(name: str, y: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        model_of(name).fit(X, y)


# --- spectral hashing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_bits", [1, 5, 16, 40])
def test_spectral_hashing_is_that_of_its_formula(n_bits: int) -> None:
    spectral = SpectralHashing(n_bits).fit(X)
    wide = X.astype(np.float64)
    directions = np.linalg.eigh(np.cov(wide.T))[1][:, ::-1][:, :n_bits]
    directions *= np.sign((spectral.directions_.T * directions).sum(axis=0))
    values, modes = oracles.spectral((wide - wide.mean(axis=0)) @ directions, n_bits)
    assert spectral.modes_.tolist() == modes
    assert np.allclose(spectral.decision_function(X), values, atol=1e-3)
    assert spectral.encode(X).shape == (600, (n_bits + 7) // 8)


def test_spectral_bits_of_an_even_box_are_even_and_tell_nothing_of_each_other() -> None:
    x = np.random.default_rng(0).uniform(size=(20000, 3)) * [8, 5, 3]
    spectral = SpectralHashing(6).fit(x)
    found = bits.unpack(spectral.encode(x), 6, dtype=np.float64, values=(-1, 1))
    assert np.abs(found.mean(axis=0)).max() < 0.05
    # The waves; their signs do tell of each other where one is three times as long as the other.
    assert np.abs(np.corrcoef(spectral.decision_function(x).T) - np.eye(6)).max() < 0.05


# --- locality-preserving hashing ----------------------------------------------------------------------------


def test_locality_preserving_directions_solve_their_eigenproblem() -> None:
    lph = LocalityPreservingHashing(12, n_anchors=40, random_state=0).fit(X)
    from fastcodes.hashing.locality import _nearness
    from fastcodes.quantization import KMeans

    middle = X.mean(axis=0, dtype=np.float64).astype(np.float32)
    anchors = KMeans(40, max_iter=10, random_state=np.random.default_rng(0)).fit(X - middle).centers_
    near = _nearness(X - middle, anchors, 3).astype(np.float64)
    assert np.allclose(near.sum(axis=1), 1, atol=1e-6)
    assert ((near > 0).sum(axis=1) <= 3).all()
    squares = np.square((X - middle)[:, None] - anchors).sum(axis=2)
    farthest = np.sort(squares, axis=1)[:, 2]
    assert (squares[near > 0] <= np.repeat(farthest, (near > 0).sum(axis=1)) * 1.0001).all()
    affinity = near / near.sum(axis=0) @ near.T
    assert np.allclose(affinity.sum(axis=1), 1)
    centred, w = (X - X.mean(axis=0)).astype(np.float64), lph.components_.T.astype(np.float64)
    scatter = centred.T @ centred
    left = centred.T @ (np.eye(600) - affinity) @ centred @ w
    assert np.allclose(left, scatter @ w * lph.eigenvalues_, atol=1e-3 * np.abs(scatter @ w).max())
    assert np.allclose(w.T @ scatter @ w, 600 * np.eye(12), atol=0.5)
    assert (np.diff(lph.eigenvalues_) >= 0).all()
    assert lph.eigenvalues_[0] > 0
    assert lph.eigenvalues_[-1] < 1.0001


def test_locality_preserving_hashing_sees_groups_that_variance_hides() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(2, size=3000)
    x = np.hstack(
        [3 * rng.uniform(-1, 1, size=(3000, 2)), 2.5 * groups[:, None] + 0.1 * rng.normal(size=(3000, 1))]
    )
    bit = bits.unpack(LocalityPreservingHashing(1, random_state=0).fit(x).encode(x), 1)[:, 0]
    assert max((bit == groups).mean(), (bit != groups).mean()) > 0.95
    bit = bits.unpack(PCAHashing(1).fit(x).encode(x), 1)[:, 0]
    assert max((bit == groups).mean(), (bit != groups).mean()) < 0.7


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_anchors": 12}, "n_anchors must be more than n_bits=12; got 12"),
        ({"n_nearest": 41}, "n_nearest must be an integer from 1 to 40; got 41"),
        ({"n_anchors": 601}, "n_samples=600 should be >= n_clusters=601"),
    ],
)
def test_wrong_anchors(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted("LocalityPreservingHashing", **params)


# --- supervised discrete hashing ----------------------------------------------------------------------------


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


@pytest.mark.parametrize(("scale", "offset"), [(1e-3, 0), (1e3, 3), (1, 5000)])
@pytest.mark.parametrize("name", ["SupervisedDiscreteHashing", "LocalityPreservingHashing", "ITQ", "CCAITQ"])
def test_models_do_not_depend_on_scale_and_offset(name: str, scale: float, offset: float) -> None:
    x = (scale * X + np.float32(offset)).astype(np.float32)
    plain = ((x.astype(np.float64) - offset) / scale).astype(np.float32)  # what rounding has left of X
    expected, found = (bits.unpack(model_of(name).fit(some, Y).encode(some), 12) for some in (plain, x))
    assert (found != expected).mean() < 0.03


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("SupervisedDiscreteHashing", {"solver": "svd"}, 'solver must be "dcc" or "fast"; got \'svd\''),
        ("SupervisedDiscreteHashing", {"init": "zeros"}, 'init must be "labels" or "random"; got \'zeros\''),
        ("SupervisedDiscreteHashing", {"sigma": 0}, "sigma must be a real number above 0; got 0"),
        (
            "SupervisedDiscreteHashing",
            {"classifier_penalty": 0},
            "classifier_penalty must be a real number above 0; got 0",
        ),
        (
            "SupervisedDiscreteHashing",
            {"embedding_penalty": np.nan},
            "embedding_penalty must be a real number above 0; got nan",
        ),
        ("CCAITQ", {"regularization": -1}, "regularization must be a real number above 0; got -1"),
        ("ITQ", {"max_iter": 0}, "max_iter must be an integer from 1 up; got 0"),
        ("CCAITQ", {"max_samples": 0}, "max_samples must be an integer from 1 up; got 0"),
    ],
)
def test_wrong_parameters_of_one_model(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fitted(name, **params)


# --- deep hashing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [PairwiseLoss(), TripletLoss(0.3)])
@pytest.mark.parametrize("kind", ["classes", "several labels", "one class", "all apart"])
def test_gradients_of_the_losses_are_those_of_differences(loss: Any, kind: str) -> None:
    rng = np.random.default_rng(1)
    labels = {
        "classes": np.eye(3)[rng.integers(3, size=9)],
        "several labels": (rng.random((9, 4)) < 0.4) * 1.0,
        "one class": np.ones((9, 1)),
        "all apart": np.eye(9),
    }[kind]
    codes = np.tanh(rng.normal(size=(9, 5)))
    value, gradient = loss(codes, labels, codes)
    assert value == pytest.approx(slow_loss(loss, codes, labels))
    step = 1e-6
    for place in np.ndindex(codes.shape):
        moved = [codes.copy(), codes.copy()]
        for sign, some in zip((1, -1), moved, strict=True):
            some[place] += sign * step
        above, below = (loss(some, labels, some)[0] for some in moved)
        assert gradient[place] == pytest.approx((above - below) / 2 / step, abs=1e-6)


def slow_loss(loss: Any, codes: Any, labels: Any) -> float:
    n, k = codes.shape
    share = labels @ labels.T > 0
    if isinstance(loss, PairwiseLoss):
        losses: dict[bool, list[float]] = {True: [], False: []}
        for i, j in zip(*np.nonzero(~np.eye(n, dtype=bool)), strict=True):
            theta = 10 / k * codes[i] @ codes[j]
            losses[bool(share[i, j])].append(np.log1p(np.exp(theta)) - share[i, j] * theta)
        return sum(np.mean(values) for values in losses.values() if values) / 2
    triplets = [
        loss.margin + (codes[a] @ codes[m] - codes[a] @ codes[p]) / 2 / k
        for a, p, m in np.ndindex(n, n, n)
        if a != p and share[a, p] and not share[a, m]
    ]
    lost = [triplet for triplet in triplets if triplet > 0]
    return float(np.mean(lost)) if lost else 0.0


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_the_tanh_of_training_becomes_the_sign(progress: float) -> None:
    layer = TanhContinuation(8.0)
    layer.progress = progress
    x = RNG.normal(size=(4, 3))
    beta = 8.0**progress
    assert np.allclose(layer.forward(x, training=True), np.tanh(beta * x))
    gradient = RNG.normal(size=(4, 3))
    assert np.allclose(layer.backward(gradient), gradient * beta / np.cosh(beta * x) ** 2)
    assert np.array_equal(layer.forward(x), x)


@pytest.mark.parametrize("loss", ["pairwise", "triplet"])
def test_gradients_of_the_whole_network_are_those_of_differences(loss: str) -> None:
    deep = DeepHashing(4, hidden=(5,), loss=loss, random_state=0)
    rng = np.random.default_rng(2)
    network = Sequential(*deep._layers(4), random_state=0).build((6,))
    x, labels = rng.normal(size=(12, 6)), np.eye(3)[rng.integers(3, size=12)]
    for parameter in network._parameters().values():
        parameter.value = parameter.value.astype(np.float64)

    def run() -> Any:
        values = x
        for layer in network.layers:
            layer.progress = 0.3
            values = layer.forward(values, training=True)
        return deep._loss()(values, labels, x)

    _, gradient = run()
    for layer in reversed(network.layers):
        gradient = layer.backward(gradient)
    for name, parameter in network._parameters().items():
        expected = parameter.gradient.copy()
        for place in list(np.ndindex(parameter.value.shape))[::3]:
            before, results = parameter.value[place], []
            for step in (1e-5, -1e-5):
                parameter.value[place] = before + step
                results.append(run()[0])
            parameter.value[place] = before
            difference = (results[0] - results[1]) / 2e-5
            assert expected[place] == pytest.approx(difference, abs=1e-5), name


def test_deep_hashing_learns_what_no_linear_function_tells() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1200, 6))
    y = (x[:, 0] > 0) ^ (x[:, 1] > 0)
    for loss, epochs in (("pairwise", 45), ("triplet", 20)):
        deep = DeepHashing(8, hidden=(48,), loss=loss, epochs=epochs, learning_rate=0.02, random_state=0)
        assert label_map(deep.fit(x[:900], y[:900]).encode(x[900:]), y[900:]) > 0.8
        assert deep.objective_history_.shape == (epochs,)
        assert deep.objective_history_[-1] < deep.objective_history_[0]
    assert label_map(CCAITQ(8, random_state=0).fit(x[:900], y[:900]).encode(x[900:]), y[900:]) < 0.6


def test_deep_hashing_does_not_depend_on_scale_and_offset() -> None:
    expected = bits.unpack(fitted("DeepHashing").encode(X), 12)
    x = X * np.float32(2**-20) + 0  # exactly the same digits
    assert np.array_equal(bits.unpack(model_of("DeepHashing").fit(x, Y).encode(x), 12), expected)
    constant = np.hstack([X, np.full((600, 1), 3, np.float32)])
    assert np.isfinite(model_of("DeepHashing").fit(constant, Y).decision_function(constant)).all()


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"loss": "hinge"}, ValueError, 'loss must be "pairwise" or "triplet"; got \'hinge\''),
        (
            {"loss": "triplet", "margin": 0},
            ValueError,
            "margin must be a real number above 0 and at most 1; got 0",
        ),
        ({"sharpness": 0.5}, ValueError, "sharpness must be a real number at least 1; got 0.5"),
        ({"hidden": (8, 0)}, ValueError, "hidden must be an integer from 1 up; got 0"),
        ({"hidden": 8}, TypeError, r"hidden must be a sequence of integers, such as \(512,\); got 8"),
        ({"epochs": 0}, ValueError, "epochs must be an integer from 1 up; got 0"),
        ({"batch_size": 1}, ValueError, "batch_size must be an integer from 2 up; got 1"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be a real number above 0; got 0"),
        ({"dropout": 1}, ValueError, "rate must be a real number at least 0 and below 1; got 1"),
    ],
)
def test_wrong_parameters_of_deep_hashing(
    params: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        fitted("DeepHashing", **params)


# --- alignment ----------------------------------------------------------------------------------------------


def test_alignment_brings_back_a_rotation() -> None:
    values = RNG.normal(size=(3000, 12))
    old = bits.pack(values)
    turn = random_rotation(12, 12, RNG)
    rotation = align(old[:1000], values[:1000] @ turn)
    assert rotation.dtype == np.float32
    assert np.allclose(rotation, turn.T, atol=0.1)
    assert (bits.unpack(bits.pack(values @ turn @ rotation), 12) != bits.unpack(old, 12)).mean() < 0.03
    signs = bits.unpack(old[:1000], 12, dtype=np.float64, values=(-1, 1))
    u, _, vt = np.linalg.svd((values[:1000] @ turn).T @ signs)
    assert np.allclose(rotation, u @ vt, atol=1e-5)


@pytest.mark.parametrize(("m", "k"), [(12, 7), (7, 12)])
def test_alignment_with_another_number_of_bits(m: int, k: int) -> None:
    values = RNG.normal(size=(500, 12)).astype(np.float32)
    rotation = align(bits.pack(values[:, :k]), values[:, :m], n_bits=k)
    assert rotation.shape == (m, k)
    product = rotation.T @ rotation if m > k else rotation @ rotation.T
    assert np.allclose(product, np.eye(min(m, k)), atol=1e-5)


def test_a_model_that_is_trained_again_can_search_the_old_database() -> None:
    # Only classes 0 to 6 are known when the first model is trained; the new one has seen the others too.
    rng = np.random.default_rng(3)
    centres = 2.5 * rng.normal(size=(10, 24)) * 0.9 ** np.arange(24)
    y = rng.integers(10, size=3000)
    x = centres[y] + rng.normal(size=(3000, 24)) * 0.9 ** np.arange(24)
    known, asked = np.flatnonzero(y[:2000] < 7), np.arange(2000, 3000)
    old = ITQ(16, random_state=0).fit(x[known])
    new = ITQ(16, random_state=1).fit(x[:2000])
    database = old.encode(x[:2000])
    rotation = align(database, new.decision_function(x[:2000]))
    codes = {
        "old": old.encode(x[asked]),
        "new": new.encode(x[asked]),
        "aligned": bits.pack(new.decision_function(x[asked]) @ rotation),
    }
    unseen = y[asked] >= 7

    def score(queries: Any, rows: Any) -> float:
        _, found = hamming.knn(queries[rows], database, 2000)
        return metrics.mean_average_precision(metrics.label_relevance(y[asked][rows], y[:2000], found))

    seen, not_seen = (
        {name: score(queries, rows) for name, queries in codes.items()} for rows in (~unseen, unseen)
    )
    for scores in (seen, not_seen):
        assert scores["new"] < 0.5 * scores["old"]
    assert seen["aligned"] > 0.95 * seen["old"]
    assert not_seen["aligned"] > not_seen["old"]


@pytest.mark.parametrize(
    ("codes", "values", "error", "message"),
    [
        (
            np.zeros((5, 2), np.uint8),
            np.zeros((4, 16)),
            ValueError,
            r"shape \(5, 2\) and new_values \(4, 16\)",
        ),
        (np.zeros((5, 2), np.uint8), np.zeros((5, 20)), ValueError, "n_bits is 20, but codes have 2 bytes"),
        (np.zeros((5, 2)), np.zeros((5, 16)), TypeError, "uint8 array"),
        (np.zeros((0, 2), np.uint8), np.zeros((0, 16)), ValueError, "old_codes has no rows"),
        (
            np.zeros((5, 2), np.uint8),
            np.full((5, 16), np.nan),
            ValueError,
            "new_values has nan in row 0, column 0",
        ),
        (np.zeros((5, 2), np.uint8), np.zeros(16), ValueError, "Expected 2D array, got 1D array"),
    ],
)
def test_wrong_arguments_of_align(codes: Any, values: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        align(codes, values)


# --- codes and values, for all models -----------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_codes_are_the_signs_of_the_values(name: str) -> None:
    model = fitted(name)
    values, codes = model.decision_function(X), model.encode(X)
    assert values.dtype == np.float32
    assert values.shape == (600, 12)
    assert codes.dtype == np.uint8
    assert np.array_equal(codes, np.packbits(values > 0, axis=1))
    assert np.array_equal(model.transform(X), codes)
    assert np.array_equal(model_of(name).fit_transform(X, Y), codes)
    assert codes.flags.c_contiguous
    if not name.endswith("fast"):  # which may give a bit to all classes alike
        assert (np.ptp((values > 0).astype(int), axis=0) == 1).all()


@pytest.mark.parametrize("name", MODELS)
def test_a_parameter_that_changes_later_does_not_change_the_model(name: str) -> None:
    model = fitted(name)
    codes = model.encode(X)
    assert np.array_equal(model.set_params(n_bits=5).encode(X), codes)


@pytest.mark.parametrize("name", MODELS)
def test_near_samples_have_near_codes(name: str) -> None:
    model = fitted(name)
    codes = bits.unpack(model.encode(X), 12).astype(int)
    moved = bits.unpack(model.encode(X + 0.02 * RNG.normal(size=X.shape)), 12)
    other = codes[RNG.permutation(600)]
    assert (codes != moved).mean() < 0.25 * (codes != other).mean()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float64, np.int32])
def test_samples_of_any_dtype_are_those_of_float32(name: str, dtype: Any) -> None:
    x = np.clip(np.round(60 * X + 120), 0, 255).astype(dtype)
    a, b = model_of(name).fit(x, Y), model_of(name).fit(x.astype(np.float32), Y)
    assert np.array_equal(a.decision_function(x), b.decision_function(x.astype(np.float32)))
    assert np.array_equal(a.encode(x.tolist()), b.encode(x))


@pytest.mark.parametrize("name", MODELS)
def test_samples_of_any_layout(name: str, tmp_path: Path) -> None:
    model = fitted(name)
    expected = model.encode(X)
    np.save(tmp_path / "x.npy", X)
    wide = np.zeros((1200, 32), np.float32)
    wide[::2, ::2] = X
    read_only = X.copy()
    read_only.flags.writeable = False
    layouts = [np.asfortranarray(X), wide[::2, ::2], read_only, np.load(tmp_path / "x.npy", mmap_mode="r")]
    layouts.append(X.astype(">f4"))
    for x in layouts:
        assert np.array_equal(model.encode(x), expected)
        assert np.array_equal(model_of(name).fit(x, Y).encode(X), expected)
    assert model.encode(X[:0]).shape == (0, 2)
    assert model.decision_function(X[:0]).shape == (0, 12)


@pytest.mark.parametrize("name", MODELS)
def test_blocks_give_what_one_go_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted(name)
    values, codes = model.decision_function(X), model.encode(X)
    monkeypatch.setattr(_blocks, "ELEMENTS_PER_BLOCK", 700)
    sizes = [rows.stop - rows.start for rows, _ in model._blocks(X)]
    assert max(sizes) <= 700 // 16
    assert max(sizes) * model._width <= 700 or max(sizes) == 1
    in_blocks = model.decision_function(X)
    assert np.allclose(in_blocks, values, rtol=1e-4, atol=1e-5)
    sure = (np.abs(values) > 1e-4).all(axis=1)
    assert np.array_equal(model.encode(X)[sure], codes[sure])
    # A model that is learned in blocks is the same but for rounding: nearly all its bits are.
    again = model_of(name).fit(X, Y)
    assert (bits.unpack(again.encode(X), 12) != bits.unpack(codes, 12)).mean() < 0.02


def test_encoding_makes_no_float_copy_larger_than_a_block() -> None:
    code = """
import tracemalloc
import numpy as np
from fastcodes.hashing import PCAHashing
x = np.random.default_rng(0).normal(size=(400_000, 64)).astype(np.float16)
model = PCAHashing(64).fit(x[:1000])
tracemalloc.start()
codes = model.encode(x)
print(tracemalloc.get_traced_memory()[1] - codes.nbytes)
"""
    assert int(run_python(code)) < 40 << 20  # x is 102 MB in float32


@pytest.mark.parametrize("name", [name for name in MODELS if name not in NARROW])
@pytest.mark.parametrize("n_bits", [1, 8, 50])
def test_any_number_of_bits(name: str, n_bits: int) -> None:
    model = fitted(name, n_bits=n_bits)
    assert model.encode(X).shape == (600, (n_bits + 7) // 8)
    found = bits.unpack(model.encode(X), n_bits)
    if not name.endswith("fast"):  # which may give a bit to all classes alike
        assert (found.mean(axis=0) > 0).all()


@pytest.mark.parametrize("name", [name for name in MODELS if name not in NARROW])
def test_samples_of_few_directions_or_few_rows(name: str) -> None:
    thin = np.where(np.arange(16) < 3, X, 3)
    for x, y in ((thin, Y), (X[:5], np.arange(5) % 2), (np.hstack([X[:, :2]] * 3), Y)):
        model = model_of(name).fit(x, y)
        assert model.encode(x).shape == (len(x), 2)
        assert np.isfinite(model.decision_function(x)).all()
    with pytest.raises(ValueError, match="the samples of X do not differ"):
        model_of(name).fit(np.full((600, 16), 7.7), Y)


@pytest.mark.parametrize("name", [name for name in RANDOM if "max_samples" in MODELS[name].get_params()])
def test_training_takes_some_rows_of_a_memory_map(name: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X.astype(np.float64))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    codes = fitted(name, max_samples=200, random_state=0).fit(x, Y).encode(X)
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(600, 200, replace=False, shuffle=False))
    same = model_of(name, random_state=rng).fit(X[rows], Y[rows])  # the generator has gone on by that choice
    assert np.array_equal(same.encode(X), codes)
    others = np.setdiff1d(np.arange(600), rows)
    bad = X.copy()
    bad[others] = np.nan
    assert np.array_equal(model_of(name, max_samples=200).fit(bad, Y).encode(X), codes)


# --- wrong arguments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_a_number_that_is_not_finite_is_named(name: str, value: float) -> None:
    x = X.astype(np.float64)
    model = model_of(name).fit(x, Y)
    x[123, 7] = value
    problem = "too large for float32" if abs(value) == 1e300 else "not finite"
    message = re.escape(f"X has {np.float64(value)} in row 123, column 7, which is {problem}")
    for action in (model.encode, model.decision_function, lambda x: model_of(name).fit(x, Y)):
        with pytest.raises(ValueError, match=message):
            action(x)


@pytest.mark.parametrize("name", MODELS)
def test_wrong_samples(name: str) -> None:
    model = fitted(name)
    for action in (lambda x: model_of(name).fit(x, Y), model.encode, model.decision_function):
        with pytest.raises(ValueError, match=r"Expected 2D array, got 1D array .*\(16,\).*Reshape"):
            action(X[0])
        with pytest.raises(ValueError, match="Expected 2D array, got 3D array instead"):
            action(X[None])
        with pytest.raises(TypeError, match=r"X must be real numbers.* got an array of dtype complex64"):
            action(X * 1j)
        with pytest.raises(TypeError, match=r"X must be real numbers.* got an array of dtype object"):
            action(None)
        with pytest.raises(
            ValueError, match=r"X has 0 feature\(s\) \(shape=\(600, 0\)\) while a minimum of 1"
        ):
            action(X[:, :0])
    with pytest.raises(ValueError, match=r"X has 15 features, but .* is expecting 16 features as input"):
        model.encode(X[:, :15])
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\) \(shape=\(0, 16\)\)"):
        model.fit(X[:0], Y[:0])


@pytest.mark.parametrize("name", MODELS)
def test_wrong_parameters(name: str) -> None:
    for value in (0, -1):
        with pytest.raises(ValueError, match=f"n_bits must be an integer from 1 .*; got {value}"):
            fitted(name, n_bits=value)
    with pytest.raises(TypeError, match=r"n_bits must be an integer .* got 8\.0 of type float"):
        fitted(name, n_bits=8.0)
    if name in RANDOM:
        with pytest.raises(TypeError, match="random_state must be None, an integer from 0 up"):
            fitted(name, random_state="seed")


# --- manners ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_the_constructor_only_stores(name: str) -> None:
    model_class = type(MODELS[name])
    markers = {parameter: object() for parameter in model_class().get_params()}
    model = model_class(**markers)
    assert vars(model) == markers == model.get_params()


@pytest.mark.parametrize("name", MODELS)
def test_fit_returns_self_and_leaves_parameters_and_samples(name: str) -> None:
    model = model_of(name)
    before, x, y = dict(model.get_params()), X.copy(), Y.copy()
    assert model.fit(x, y) is model
    assert model.get_params() == before
    assert np.array_equal(x, X)
    assert np.array_equal(y, Y)
    learned = set(vars(model)) - set(before)
    assert all(attribute.endswith("_") for attribute in learned)
    assert model.n_features_in_ == 16


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_is_not_fitted_says_so(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    actions = [
        lambda: model.encode(X),
        lambda: model.decision_function(X),
        lambda: model.transform(X),
        lambda: model.score(X),
        lambda: model.save(tmp_path / "x"),
    ]
    for action in actions:
        with pytest.raises(NotFittedError, match=f"This {type(model).__name__} instance is not fitted yet"):
            action()


@pytest.mark.parametrize("name", MODELS)
def test_random_states(name: str) -> None:
    if name not in RANDOM:
        assert "random_state" not in MODELS[name].get_params()
        return
    expected = fitted(name, random_state=5).encode(X)
    assert np.array_equal(fitted(name, random_state=np.int64(5)).encode(X), expected)
    assert np.array_equal(fitted(name, random_state=np.random.default_rng(5)).encode(X), expected)
    legacy = [fitted(name, random_state=np.random.RandomState(1)).encode(X) for _ in range(2)]
    assert np.array_equal(*legacy)
    fitted(name, random_state=None)
    assert not np.array_equal(fitted(name, random_state=6).encode(X), expected)


@pytest.mark.parametrize("name", MODELS)
def test_training_is_silent_unless_it_is_verbose(
    name: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = fitted(name).encode(X)
    assert capfd.readouterr() == ("", "")
    pytest.importorskip("rich")
    loud = fitted(name, verbose=True)
    capfd.readouterr()
    assert np.array_equal(loud.encode(X), quiet)
    assert capfd.readouterr() == ("", "")  # one block needs no bar
    monkeypatch.setattr(_blocks, "ELEMENTS_PER_BLOCK", 1 << 12)
    loud.encode(X)
    assert re.search(r"encode .*blocks", capfd.readouterr().out)


def test_verbose_without_rich_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted("PCAHashing", verbose=True)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    monkeypatch.setattr(_blocks, "ELEMENTS_PER_BLOCK", 1 << 12)
    with pytest.raises(ImportError, match=r"needs the extra `cli`: pip install 'fastcodes\[cli\]'"):
        model.encode(X)


def test_scikit_learn_is_not_imported() -> None:
    code = """
import sys
import numpy as np
from fastcodes import hashing, metrics
hashing.ITQ(2).fit(np.eye(8)).encode(np.eye(8))
metrics.precision_at_k([[True]], 1)
print(sorted({"sklearn", "rich", "scipy"} & set(sys.modules)))
"""
    assert run_python(code).strip() == "[]"


@pytest.mark.parametrize("name", MODELS)
def test_scikit_learn_clones_a_model(name: str) -> None:
    base = pytest.importorskip("sklearn.base")
    model = model_of(name)
    params = dict(model.get_params())
    clone = base.clone(model.fit(X, Y))
    assert type(clone) is type(model)
    assert clone.get_params() == params
    assert set(vars(clone)) == set(params)
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model)


@pytest.mark.parametrize("name", MODELS)
def test_a_pipeline_of_scikit_learn(name: str) -> None:
    pipeline = pytest.importorskip("sklearn.pipeline")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    pipe = pipeline.make_pipeline(preprocessing.StandardScaler(), model_of(name))
    codes = pipe.fit_transform(X, Y)
    assert np.array_equal(pipe.transform(X), codes)
    scaled = preprocessing.StandardScaler().fit_transform(X)
    assert np.array_equal(model_of(name).fit(scaled, Y).encode(scaled), codes)


@pytest.mark.parametrize("name", MODELS)
def test_the_score_is_a_mean_average_precision(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted(name)
    x, y = X[:80], Y[:80]
    found = bits.unpack(model.encode(x), 12).astype(int)
    squares = np.square(x[:, None] - x).sum(axis=2)
    np.fill_diagonal(squares, np.inf)
    expected = {"labels": [], "neighbours": []}
    for i in range(80):
        order = np.argsort((found != found[i]).sum(axis=1), kind="stable")
        order = order[order != i]
        relevant = {"labels": y[order] == y[i], "neighbours": np.isin(order, np.argsort(squares[i])[:10])}
        for protocol, hits in relevant.items():
            expected[protocol].append((np.cumsum(hits) / np.arange(1, 80))[hits].mean())
    assert model.score(x, y) == pytest.approx(np.mean(expected["labels"]))
    assert model.score(x) == pytest.approx(np.mean(expected["neighbours"]))
    assert model.score(x, np.eye(4)[y]) == pytest.approx(model.score(x, y))
    monkeypatch.setattr(_blocks, "ELEMENTS_PER_BLOCK", 1000)
    assert model.score(x) == pytest.approx(np.mean(expected["neighbours"]), rel=1e-3)
    with pytest.raises(ValueError, match="X has n_samples=1; the score needs at least 2"):
        model.score(x[:1], y[:1])
    with pytest.raises(ValueError, match="X has 80 samples and y 79 labels"):
        model.score(x, y[1:])


@pytest.mark.parametrize("name", MODELS)
def test_a_grid_search_of_scikit_learn_prefers_more_bits(name: str) -> None:
    search = pytest.importorskip("sklearn.model_selection")
    y = Y[:300] if name in SUPERVISED else None
    found = search.GridSearchCV(model_of(name), {"n_bits": [1, 12]}, cv=2, error_score="raise").fit(
        X[:300], y
    )
    assert found.best_params_ == {"n_bits": 12}
    assert found.best_estimator_.n_features_in_ == 16


# --- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_is_the_same_again(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = fitted(name)
    model.save(path)
    loaded = type(model).load(path)
    assert vars(loaded).keys() == vars(model).keys()
    assert {
        key: list(value) if isinstance(value, tuple) else value for key, value in model.get_params().items()
    } == (loaded.get_params())
    assert np.array_equal(loaded.decision_function(X), model.decision_function(X))
    loaded.save(path)  # over itself
    assert np.array_equal(type(model).load(str(path)).encode(X), model.encode(X))
    assert os.listdir(tmp_path) == ["model.safetensors"]
    assert np.array_equal(loaded.fit(X, Y).encode(X), model.encode(X))


@pytest.mark.parametrize("name", MODELS)
def test_a_file_that_is_cut_short_or_altered_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = fitted(name)
    model.save(path)
    whole, load = path.read_bytes(), type(model).load
    header = 8 + int.from_bytes(whole[:8], "little")
    refused = f"is not a valid {type(model).__name__} file: "
    for length in (0, 7, header // 2, header, (header + len(whole)) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=refused):
            load(path)
    for place in [*range(9, header, 101), *np.linspace(header, len(whole) - 1, 17).astype(int)]:
        altered = bytearray(whole)
        altered[place] ^= 255
        path.write_bytes(altered)
        with pytest.raises(ValueError, match=refused):
            load(path)


@pytest.mark.parametrize("name", MODELS)
def test_a_whole_file_with_wrong_content_is_refused(name: str, tmp_path: Path) -> None:
    path, kind = tmp_path / "model.safetensors", type(MODELS[name]).__name__
    fitted(name).save(path)
    params, arrays = _files.read(path, kind)
    floats = [key for key, array in arrays.items() if array.dtype.kind == "f" and not key.endswith("history")]
    for key in floats:
        others = {other: array for other, array in arrays.items() if other != key}
        wrong = {
            f"array '{key}' is missing": others,
            f"array '{key}' has dtype": {**others, key: arrays[key].astype(np.float16)},
            "not finite": {**others, key: np.full_like(arrays[key], np.nan)},
            "expected": {**others, key: arrays[key][..., None]},
        }
        for message, content in wrong.items():
            _files.write(path, kind, params, content)
            with pytest.raises(ValueError, match=f"is not a valid {kind} file: .*{message}"):
                type(MODELS[name]).load(path)
    _files.write(path, kind, params | {"other": 1}, arrays)
    with pytest.raises(ValueError, match=f"is not a valid {kind} file: .*unexpected keyword argument"):
        type(MODELS[name]).load(path)
