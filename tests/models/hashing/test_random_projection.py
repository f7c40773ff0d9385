"""What both models with random directions have in common: blocks, files, the scikit-learn API, arguments."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import _blocks, _files
from fastcodes.hashing import NotFittedError, RandomHyperplanes, RandomProjection
from helpers import same_bits
from models.hashing.random_cases import PROJECTIONS, X, both_models, every_projection, made


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
        ({name: 0}, ValueError, f"{name} must be an integer from 1 to 16777216; got 0"),
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
        (X * 1j, ValueError, "Complex data not supported"),
        ("x", TypeError, "real numbers"),
    ):
        with pytest.raises(error, match=match):
            made(model, "gaussian", 20).fit(x)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        made(model, "gaussian", 20).transform(X)
    with pytest.raises(ValueError, match=r"X has 39 features, but .* is expecting 40"):
        made(model, "gaussian", 20).fit(X).transform(X[:, 1:])
    assert made(model, "gaussian", 20).fit(X).transform(X[:0]).shape[0] == 0
    for x, match in (
        (X[:0], r"Found array with 0 sample\(s\)"),
        (X * np.nan, "X has nan in row 0, column 0"),
    ):
        with pytest.raises(ValueError, match=match):
            made(model, "gaussian", 20).fit(x)
