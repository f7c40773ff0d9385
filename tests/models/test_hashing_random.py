"""Hash functions that need no data: collision rates, distances kept, files, manners, wrong arguments."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import _blocks, bits, hamming
from fastcodes.hashing import (
    NotFittedError,
    RandomHyperplanes,
    RandomProjection,
    johnson_lindenstrauss_min_dim,
)
from helpers import Array, same_bits

PROJECTIONS = ("gaussian", "sparse", "hadamard")
every_projection = pytest.mark.parametrize("projection", PROJECTIONS)
both_models = pytest.mark.parametrize("model", [RandomHyperplanes, RandomProjection])
X = np.random.default_rng(0).standard_normal((300, 40)).astype(np.float32)


def made(model: Any, projection: str, n: int, **more: Any) -> Any:
    """Return a model of this size, whatever its first parameter is called."""
    return model(n, projection=projection, **more)


def at_angle(angle: float, n: int, d: int, seed: int) -> tuple[Array, Array]:
    """Return pairs of random unit vectors at an angle."""
    u, v = np.random.default_rng([seed, n, d]).standard_normal((2, n, d))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v -= (u * v).sum(axis=1, keepdims=True) * u
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    return u, np.cos(angle) * u + np.sin(angle) * v


# --- theory ------------------------------------------------------------------------------------------------


@every_projection
@pytest.mark.parametrize("angle", [0.05, 0.5, 1.0, np.pi / 2, 2.5, 3.1])
def test_a_bit_differs_with_the_probability_of_the_angle(projection: str, angle: float) -> None:
    n_models, n_bits = 60, 256
    differing = 0
    for seed in range(n_models):
        u, v = at_angle(angle, 1, 100, seed)
        model = RandomHyperplanes(n_bits, projection=projection, random_state=seed).fit(u)
        differing += int(hamming.cdist(model.encode(u), model.encode(v))[0, 0])
    p, n = angle / np.pi, n_models * n_bits
    assert abs(differing / n - p) < 4 * np.sqrt(p * (1 - p) / n)


@every_projection
def test_bits_are_balanced_and_independent(projection: str) -> None:
    # Over vectors of random directions, each bit is one for half of them, and so is the xor of any two.
    x = np.random.default_rng(1).standard_normal((40_000, 128)).astype(np.float32)
    codes = RandomHyperplanes(32, projection=projection, random_state=4).fit(x).encode(x)
    signs = bits.unpack(codes, 32, dtype=np.float32, values=(-1, 1))
    assert (abs(signs.mean(axis=0)) < 5 / np.sqrt(len(x))).all()
    if projection == "hadamard":  # whose directions are orthogonal within a rotation
        correlations = (signs.T @ signs / len(x))[np.triu_indices(32, 1)]
        assert (abs(correlations) < 5 / np.sqrt(len(x))).all()


@every_projection
def test_lengths_do_not_matter(projection: str) -> None:
    model = RandomHyperplanes(64, projection=projection).fit(X)
    assert same_bits(model.encode(X * np.float32(2**20)), model.encode(X))
    opposite = model.encode(-X) ^ model.encode(X)
    assert (opposite == 255).all()


@every_projection
@pytest.mark.parametrize("k", [64, 100, 1000])
def test_squared_lengths_are_kept_in_the_mean_with_their_variance(projection: str, k: int) -> None:
    ratios = []
    for seed in range(40):
        x = np.random.default_rng([seed, k]).standard_normal((1, 300))
        y = RandomProjection(k, projection=projection, random_state=seed).fit_transform(x)
        ratios.append(float((y.astype(np.float64) ** 2).sum() / (x**2).sum()))
    deviation = np.sqrt(2 / k)
    assert abs(np.mean(ratios) - 1) < 4 * deviation / np.sqrt(len(ratios))
    assert np.std(ratios) < deviation * (1 + 4 / np.sqrt(2 * len(ratios)))
    if projection != "hadamard":  # which is better than independent directions
        assert np.std(ratios) > deviation * (1 - 4 / np.sqrt(2 * len(ratios)))


@every_projection
def test_the_bound_of_johnson_and_lindenstrauss_holds(projection: str) -> None:
    eps, n = 0.3, 60
    x = np.random.default_rng(3).standard_normal((n, 3000)).astype(np.float32)
    model = RandomProjection("auto", projection=projection, eps=eps, random_state=1).fit(x)  # most states do
    y = model.transform(x)
    assert model.n_components_ == y.shape[1] == johnson_lindenstrauss_min_dim(n, eps=eps)
    i, j = np.triu_indices(n, 1)
    ratios = ((y[i] - y[j]) ** 2).sum(axis=1) / ((x[i] - x[j]) ** 2).sum(axis=1)
    assert (abs(ratios - 1) < eps).all()
    assert ratios.std() > eps / 20  # it is a projection, and no copy


def test_the_number_of_dimensions_is_that_of_scikit_learn() -> None:
    theirs = pytest.importorskip("sklearn.random_projection").johnson_lindenstrauss_min_dim
    for n in (2, 10, 1000, 10**6):
        for eps in (0.05, 0.1, 0.5, 0.9):
            assert johnson_lindenstrauss_min_dim(n, eps=eps) == max(1, theirs(n, eps=eps))


def test_sparse_directions_are_those_of_achlioptas() -> None:
    components = RandomHyperplanes(200, projection="sparse").fit(np.zeros((0, 300))).components_
    assert components is not None
    values, counts = np.unique(components, return_counts=True)
    assert np.allclose(values, [-np.sqrt(3), 0, np.sqrt(3)])
    shares, expected = counts / components.size, np.array([1 / 6, 2 / 3, 1 / 6])
    assert (abs(shares - expected) < 4 * np.sqrt(expected * (1 - expected) / components.size)).all()


# --- what encode gives -------------------------------------------------------------------------------------


@every_projection
@pytest.mark.parametrize("n_bits", [1, 7, 8, 64, 65, 130])
def test_codes_are_the_signs_of_the_values(projection: str, n_bits: int) -> None:
    model = RandomHyperplanes(n_bits, projection=projection).fit(X)
    values = model.decision_function(X)
    assert values.dtype == np.float32
    assert values.shape == (300, n_bits)
    assert same_bits(model.encode(X), bits.pack(values))
    assert same_bits(model.transform(X), model.encode(X))
    if model.components_ is not None:
        assert np.allclose(values, X @ model.components_.T, atol=1e-4)


@every_projection
@pytest.mark.parametrize("dtype", ["float16", "float64", "int16", "uint8", "bool", ">f4"])
def test_every_dtype_is_encoded_as_float32(projection: str, dtype: str) -> None:
    x = (X * 3).round().clip(0, 100).astype(dtype)
    for model in (
        RandomHyperplanes(50, projection=projection).fit(x),
        RandomProjection(50, projection=projection).fit(x),
    ):
        assert same_bits(model.transform(x), model.transform(x.astype(np.float32)))


@both_models
@every_projection
def test_blocks_and_memory_maps_give_the_same(
    model: Any, projection: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = made(model, projection, 70).fit(X)
    expected = fitted.transform(X)
    X.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", np.float32, "r", shape=X.shape)
    assert same_bits(fitted.transform(mapped), expected)
    monkeypatch.setattr(_blocks, "ELEMENTS_PER_BLOCK", 700)
    for x in (X, mapped, X.astype(np.float64), np.asfortranarray(X), X[::-1].copy()[::-1]):
        found = fitted.transform(x)
        # A product of matrices may be rounded otherwise in a block of another size.
        assert (
            same_bits(found, expected)
            if model is RandomHyperplanes
            else np.allclose(found, expected, atol=1e-5)
        )


@both_models
@every_projection
def test_the_random_state_decides(model: Any, projection: str) -> None:
    one, two, other = (made(model, projection, 70, random_state=s).fit(X).transform(X) for s in (5, 5, 6))
    assert same_bits(one, two)
    assert not same_bits(one, other)
    assert same_bits(
        made(model, projection, 70).fit(X).transform(X),
        made(model, projection, 70, random_state=0).fit(X).transform(X),
    )


@both_models
@every_projection
def test_saved_models_come_back(model: Any, projection: str, tmp_path: Path) -> None:
    fitted = made(model, projection, 70).fit(X)
    fitted.save(tmp_path / "model")
    loaded = model.load(tmp_path / "model")
    assert same_bits(loaded.transform(X), fitted.transform(X))
    assert loaded.get_params() == fitted.get_params()
    for other in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        assert same_bits(other.transform(X), fitted.transform(X))
    data = (tmp_path / "model").read_bytes()
    for cut in (0, 1, len(data) // 2, len(data) - 1):
        (tmp_path / "cut").write_bytes(data[:cut])
        with pytest.raises(ValueError, match="is not a valid"):
            model.load(tmp_path / "cut")


@both_models
def test_a_file_with_other_contents_is_refused(model: Any, tmp_path: Path) -> None:
    from fastcodes import _files

    fitted = made(model, "hadamard", 70).fit(X)
    fitted.save(tmp_path / "model")
    params, arrays = _files.read(tmp_path / "model", model.__name__)
    for name, value in (
        ("signs", arrays["signs"][:3]),
        ("signs", arrays["signs"][:, :4]),
        ("shape", np.array([0, 40])),
        ("shape", np.array([70, -1])),
        ("shape", np.array([700, 40])),
        ("shape", np.array([70.0, 40.0])),
    ):
        _files.write(tmp_path / "other", model.__name__, params, {**arrays, name: value})
        with pytest.raises(ValueError, match=f"is not a valid {model.__name__} file"):
            model.load(tmp_path / "other")
    for projection in ("gaussian", "dense", None):
        _files.write(tmp_path / "other", model.__name__, {**params, "projection": projection}, arrays)
        with pytest.raises(ValueError, match=f"is not a valid {model.__name__} file"):
            model.load(tmp_path / "other")


@both_models
def test_the_manners_of_scikit_learn(model: Any) -> None:
    pytest.importorskip("sklearn")
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline

    fitted = made(model, "sparse", 20, random_state=3).fit(X)
    assert clone(fitted).get_params() == fitted.get_params()
    pipeline = make_pipeline(made(model, "hadamard", 20), KNeighborsClassifier(1))
    name = next(iter(pipeline.named_steps))
    search = GridSearchCV(pipeline, {f"{name}__projection": list(PROJECTIONS)}, cv=2)
    assert search.fit(X, X[:, 0] > 0).predict(X).shape == (300,)


# --- what is refused ---------------------------------------------------------------------------------------


@both_models
@every_projection
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_is_not_finite_is_named(
    model: Any, projection: str, value: float, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_blocks, "ELEMENTS_PER_BLOCK", 7000)
    x = X.astype(dtype)
    fitted = made(model, projection, 70).fit(x)
    x[250, 13] = value
    calls = [fitted.transform] + ([fitted.decision_function] if model is RandomHyperplanes else [])
    for call in calls:
        with pytest.raises(ValueError, match=f"X has {value} in row 250, column 13, which is not finite"):
            call(x)


@both_models
@every_projection
def test_projections_that_overflow_are_refused(model: Any, projection: str) -> None:
    x = np.full((3, 40), 3e38, np.float32)
    fitted = made(model, projection, 2000).fit(x)
    if fitted.components_ is not None:
        fitted.components_[0] = 2
    else:
        fitted.signs_[:] = 255
    with pytest.raises(ValueError, match="X has numbers so large that their projections overflow"):
        fitted.transform(x)


@both_models
def test_wrong_parameters_are_errors_of_fit(model: Any) -> None:
    name = "n_bits" if model is RandomHyperplanes else "n_components"
    for params, error, match in (
        ({name: 0}, ValueError, f"{name} must be an integer from 1 up; got 0"),
        ({name: 1.5}, TypeError, f"{name} must be an integer"),
        ({"projection": "dense"}, ValueError, 'must be "gaussian", "sparse" or "hadamard"; got \'dense\''),
        ({"projection": None}, ValueError, "got None"),
        ({"projection": ["gaussian"]}, ValueError, r"got \['gaussian'\]"),
        ({"random_state": "x"}, TypeError, "random_state must be"),
    ):
        wrong = made(model, "gaussian", 20).set_params(**params)
        with pytest.raises(error, match=match):
            wrong.fit(X)
    for x, error, match in (
        (X[0], ValueError, "Expected 2D array"),
        (X[:, :0], ValueError, r"0 feature\(s\)"),
        (X * 1j, TypeError, "real numbers"),
        ("x", TypeError, "real numbers"),
    ):
        with pytest.raises(error, match=match):
            made(model, "gaussian", 20).fit(x)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        made(model, "gaussian", 20).transform(X)
    with pytest.raises(ValueError, match=r"X has 39 features, but .* is expecting 40"):
        made(model, "gaussian", 20).fit(X).transform(X[:, 1:])
    assert made(model, "gaussian", 20).fit(X[:0]).transform(X[:0]).shape[0] == 0


def test_wrong_numbers_of_dimensions() -> None:
    with pytest.raises(ValueError, match=r"eps=0.1 for 300 samples needs 4888 dimensions, but X has only 40"):
        RandomProjection().fit(X)
    for eps, error in (
        (0, ValueError),
        (1, ValueError),
        (np.nan, ValueError),
        ("0.1", TypeError),
        (True, TypeError),
    ):
        with pytest.raises(error, match="eps must be"):
            RandomProjection(eps=eps).fit(X)
        with pytest.raises(error, match="eps must be"):
            johnson_lindenstrauss_min_dim(10, eps=eps)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n_samples must be"):
        johnson_lindenstrauss_min_dim(0)


def test_progress_is_shown_where_there_are_many_blocks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rich")
    monkeypatch.setattr(_blocks, "ELEMENTS_PER_BLOCK", 700)
    RandomHyperplanes(8, projection="hadamard").fit(X).encode(X)
    assert capsys.readouterr().out == ""
    RandomHyperplanes(8, projection="hadamard", verbose=True).fit(X).encode(X)
    assert "encode" in capsys.readouterr().out
    RandomProjection(8, verbose=True).fit(X).transform(X)
    assert "project" in capsys.readouterr().out
