"""The classifier with the scikit-learn API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import nn
from helpers import run_python
from networks import (
    X,
    Y,
)


def classifier(**params: Any) -> nn.BinaryMLPClassifier:
    settings = {"hidden": (16,), "epochs": 20, "batch_size": 32, "learning_rate": 0.01, "random_state": 0}
    return nn.BinaryMLPClassifier(**settings | params)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"weights": "libra", "estimator": "error-decay"},
        {"activation_bits": 2, "dropout": 0.1},
        {"hidden": []},
    ],
    ids=str,
)
def test_the_classifier(params: dict[str, Any]) -> None:
    model = classifier(**params)
    before = dict(model.get_params())
    assert model.fit(X, Y) is model
    assert model.get_params() == before
    assert model.n_features_in_ == 12
    assert model.score(X, Y) == (model.predict(X) == Y).mean() > (0.8 if model.hidden else 0.7)
    assert model.decision_function(X).shape == model.predict_proba(X).shape == (210, 3)
    assert np.array_equal(classifier(**params).fit(X, Y).decision_function(X), model.decision_function(X))
    kinds = [type(layer).__name__ for layer in model.model_.layers]
    assert ("Quantize" in kinds) == ("activation_bits" in params)
    assert ("Dropout" in kinds) == ("dropout" in params)


def test_of_two_classes_the_decision_is_one_number() -> None:
    model = classifier().fit(X, Y == "low")
    decision = model.decision_function(X)
    assert decision.shape == (210,)
    assert np.array_equal(model.predict(X), decision > 0)
    assert np.allclose(model.predict_proba(X)[:, 1], 1 / (1 + np.exp(-decision)), atol=1e-6)


def test_a_saved_classifier_is_the_same_again(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = classifier(random_state=np.random.default_rng(0)).fit(X, Y)
    with pytest.raises(nn.NotFittedError, match="This BinaryMLPClassifier instance is not fitted yet"):
        classifier().save(path)
    model.save(path)
    loaded = nn.BinaryMLPClassifier.load(path)
    assert loaded.get_params() == model.get_params() | {"random_state": None}
    assert np.array_equal(loaded.decision_function(X), model.decision_function(X))
    assert np.array_equal(loaded.classes_, model.classes_)
    assert vars(loaded).keys() == vars(model).keys()
    with pytest.raises(
        ValueError, match=r"it holds a BinaryMLPClassifier; load it with BinaryMLPClassifier.load"
    ):
        nn.Sequential.load(path)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"hidden": 16}, TypeError, "hidden must be a sequence of integers, such as .* got 16 of type int"),
        ({"hidden": (16, 0)}, ValueError, "hidden must be an integer from 1 to 16777216; got 0"),
        ({"activation_bits": 9}, ValueError, "activation_bits must be an integer from 1 to 8; got 9"),
        ({"weights": "ternary"}, ValueError, "weights must be "),
        ({"dropout": 1}, ValueError, "dropout must be a real number at least 0 and below 1; got 1"),
        ({"random_state": "seed"}, TypeError, "random_state must be None, an integer from 0 up"),
    ],
)
def test_wrong_parameters_of_the_classifier(
    params: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        classifier(**params).fit(X, Y)


def test_the_constructor_only_stores() -> None:
    markers = {name: object() for name in nn.BinaryMLPClassifier().get_params()}
    assert vars(nn.BinaryMLPClassifier(**markers)) == markers


def test_a_clone_a_pipeline_and_a_search_of_scikit_learn() -> None:
    base = pytest.importorskip("sklearn.base")
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = classifier().fit(X, Y)
    clone = base.clone(model)
    assert clone.get_params() == model.get_params()
    assert set(vars(clone)) == set(model.get_params())
    assert base.is_classifier(model)
    pipe = make_pipeline(StandardScaler(), classifier()).fit(X * 100 + 3, Y)
    assert pipe.score(X * 100 + 3, Y) > 0.8
    search = GridSearchCV(classifier(epochs=10), {"hidden": [(1,), (32,)]}, cv=2, error_score="raise").fit(
        X, Y
    )
    assert search.best_params_ == {"hidden": (32,)}


def test_scikit_learn_is_not_imported() -> None:
    code = """
import sys
import numpy as np
from fastcodes.nn import BinaryMLPClassifier
BinaryMLPClassifier((4,), epochs=1).fit(np.eye(8), np.arange(8) % 2).predict(np.eye(8))
print(sorted({"sklearn", "rich", "scipy"} & set(sys.modules)))
"""
    assert run_python(code) == "[]"
