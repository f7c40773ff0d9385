"""Networks that classify: training, checkpoints, wrong use and files."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import _files, nn
from fastcodes.nn.layers import walk
from helpers import data_file
from networks import (
    IMAGES,
    KINDS,
    X,
    Y,
    images_network,
    same_model,
    small,
)


def test_a_network_learns() -> None:
    model = small()
    assert model.fit(X, Y, epochs=30, optimizer=nn.Adam(0.01), batch_size=30) is model
    assert model.classes_.tolist() == ["low", "mid", "top"]
    logits = model.decision_function(X)
    assert logits.shape == (210, 3)
    assert logits.dtype == np.float32
    labels = model.predict(X)
    assert np.array_equal(labels, model.classes_[logits.argmax(axis=1)])
    proba = model.predict_proba(X)
    assert np.allclose(proba, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), atol=1e-6)
    figures = model.evaluate(X, Y)
    assert figures["accuracy"] == (labels == Y).mean() > 0.85
    expected = -np.log(proba[np.arange(210), np.searchsorted(model.classes_, Y)]).mean()
    assert figures["loss"] == pytest.approx(expected, rel=1e-4)
    assert {name: len(values) for name, values in model.history_.items()} == {"loss": 30, "accuracy": 30}
    assert model.history_["loss"][-1] < 0.7 * model.history_["loss"][0]
    assert len(model.predict(X[:0])) == 0
    assert all(layer.cache is None for _, layer in walk(model.layers))


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return x[order].astype(np.uint8), y[order]


MLP_PARAMS: list[dict[str, Any]] = [
    {},
    {"weights": "xnor"},
    {"weights": "libra", "estimator": "error-decay"},
    {"estimator": "approximate"},
]


@pytest.mark.parametrize("params", MLP_PARAMS, ids=str)
def test_binary_networks_learn_digits(params: dict[str, Any], digits: tuple[Any, Any]) -> None:
    x, y = digits
    model = nn.Sequential(
        nn.BinaryDense(128, **params),
        nn.BatchNorm(),
        nn.Sign(),
        nn.BinaryDense(10, **params),
        nn.BatchNorm(),
        random_state=0,
    )
    model.fit(x[:1300], y[:1300], epochs=15, batch_size=64, optimizer=nn.Adam(0.01), schedule=nn.Cosine())
    assert model.evaluate(x[1300:], y[1300:])["accuracy"] > 0.95
    signs, _ = model.layers[0].matrix()  # type: ignore[attr-defined]
    assert np.array_equal(np.unique(signs), [-1, 1])


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": nn.Bop(1e-3, threshold=1e-6)},
        {"loss": "squared_hinge"},
        {"optimizer": nn.SGD(0.3)},
        {"regularizer": nn.Balance(0.1)},
    ],
    ids=str,
)
def test_other_ways_to_learn_digits(settings: dict[str, Any], digits: tuple[Any, Any]) -> None:
    x, y = digits
    model = nn.Sequential(
        nn.BinaryDense(128), nn.BatchNorm(), nn.Sign(), nn.BinaryDense(10), nn.BatchNorm(), random_state=0
    )
    settings = {"optimizer": nn.Adam(0.01), **settings}
    model.fit(x[:1300], y[:1300], epochs=15, batch_size=64, schedule=nn.Cosine(), **settings)
    assert model.evaluate(x[1300:], y[1300:])["accuracy"] > 0.93
    if isinstance(settings["optimizer"], nn.Bop):
        assert np.array_equal(np.unique(model.layers[0].parameters["weights"].value), [-1, 1])
    else:
        assert np.abs(model.layers[0].parameters["weights"].value).max() <= 1


def test_a_convolutional_network_learns_digits_and_so_does_its_student(digits: tuple[Any, Any]) -> None:
    x, y = digits[0].reshape(-1, 8, 8, 1), digits[1]
    train, test = slice(0, 1000), slice(1300, None)
    teacher = nn.Sequential(
        nn.Conv2D(16, 3),
        nn.BatchNorm(),
        nn.HardTanh(),
        nn.MaxPool2D(2),
        nn.Flatten(),
        nn.Dense(10),
        random_state=0,
    )
    fast = {"optimizer": nn.Adam(0.01), "schedule": nn.Cosine(), "batch_size": 100}
    teacher.fit(x[train], y[train], epochs=8, **fast)
    assert teacher.evaluate(x[test], y[test])["accuracy"] > 0.95
    student = nn.Sequential(
        nn.BinaryConv2D(32, 3), nn.BatchNorm(), nn.Sign(), nn.BinaryConv2D(32, 3), nn.BatchNorm(), nn.Sign(),
        nn.Flatten(), nn.BinaryDense(10), nn.BatchNorm(), random_state=0,
    )  # fmt: skip
    student.fit(x[train], y[train], epochs=8, loss=nn.Distillation(teacher), **fast)
    assert student.evaluate(x[test], y[test])["accuracy"] > 0.93


def test_the_history_holds_means_over_samples() -> None:
    model = nn.Sequential(nn.Dense(3), random_state=0)
    settings: dict[str, Any] = {
        "epochs": 1,
        "batch_size": 50,
        "optimizer": nn.SGD(1e-30),
        "validation_data": (X, Y),
    }
    model.fit(X, Y, **settings)
    figures = model.evaluate(X, Y)
    for name, figure in figures.items():
        assert model.history_[name] == pytest.approx([figure], rel=1e-5)
        assert model.history_[f"validation_{name}"] == [figure]
    # A teacher and a regularizer are for training only.
    model.fit(X, Y, loss=nn.Distillation(lambda x: 9 * x[:, :3]), **settings)
    assert model.history_["validation_loss"] == [model.evaluate(X, Y)["loss"]]
    assert model.history_["validation_loss"] == pytest.approx([figures["loss"]])
    assert model.history_["loss"] != pytest.approx([figures["loss"]], rel=1e-2)


def test_pixels_are_taken_as_they_are() -> None:
    a, b = (
        images_network().fit(x, KINDS, epochs=2, batch_size=16) for x in (IMAGES, IMAGES.astype(np.float64))
    )
    assert np.array_equal(a.decision_function(IMAGES), b.decision_function(IMAGES.tolist()))
    assert (a.input_bits_, b.input_bits_) == (8, None)


def test_training_is_reproducible() -> None:
    settings: dict[str, Any] = {"epochs": 3, "batch_size": 16, "augment": nn.RandomShift(1)}
    model = images_network().fit(IMAGES, KINDS, **settings)
    again = images_network().fit(IMAGES, KINDS, **settings)
    assert same_model(model, again)
    assert same_model(model, again.fit(IMAGES, KINDS, **settings))  # anew
    other = images_network()
    other.random_state = 4
    assert not np.array_equal(
        other.fit(IMAGES, KINDS, **settings).decision_function(IMAGES), model.decision_function(IMAGES)
    )
    rng = np.random.default_rng(0)
    model.random_state = rng
    first = model.fit(IMAGES, KINDS, **settings).decision_function(IMAGES)
    assert not np.array_equal(model.fit(IMAGES, KINDS, **settings).decision_function(IMAGES), first)


@pytest.mark.parametrize("in_file", [True, False])
@pytest.mark.parametrize("optimizer", [nn.Adam(0.01), nn.SGD(0.01)], ids=str)
def test_going_on_ends_where_a_single_run_does(optimizer: Any, in_file: bool, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    settings: dict[str, Any] = {
        "epochs": 6,
        "batch_size": 16,
        "optimizer": optimizer,
        "schedule": nn.Cosine(),
        "loss": "squared_hinge",
        "validation_data": (IMAGES[:9], KINDS[:9]),
        "augment": nn.RandomShift(1),
    }
    whole = images_network().fit(IMAGES, KINDS, **settings)
    assert len(whole.history_["loss"]) == 6
    part = images_network()
    part.fit(
        IMAGES, KINDS, callbacks=[nn.Checkpoint(path), lambda m: len(m.history_["loss"]) == 2], **settings
    )
    assert len(part.history_["loss"]) == 2
    assert not same_model(whole, part)
    if in_file:
        part = nn.Sequential.load(path)
    assert same_model(whole, part.fit(IMAGES, KINDS, resume=True, **settings))
    assert same_model(whole, part.fit(IMAGES, KINDS, resume=True, **settings))  # nothing is left to do


def test_going_on_with_bop(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 4, "batch_size": 30, "optimizer": nn.Bop(1e-2, threshold=1e-5)}
    whole = small().fit(X, Y, **settings)
    part = small().fit(X, Y, callbacks=[lambda model: len(model.history_["loss"]) == 3], **settings)
    assert same_model(whole, part.fit(X, Y, resume=True, **settings))


def test_going_on_needs_a_training_and_its_optimizer() -> None:
    with pytest.raises(nn.NotFittedError, match="resume=True continues a training, but this network"):
        small().fit(X, Y, resume=True)
    model = small().fit(X, Y, epochs=1)
    with pytest.raises(
        ValueError,
        match=r"the state of 0.weights is \['mean', 'square'\], but that of SGD.* is \['velo",
    ):
        model.fit(X, Y, resume=True, optimizer=nn.SGD())
    with pytest.raises(
        ValueError, match=r"X has samples of shape \(11,\); the model was trained with .* \(12,\)"
    ):
        model.fit(X[:, :11], Y, resume=True)


def test_what_is_given_to_a_training_step() -> None:
    seen: list[Any] = []

    def schedule(progress: float) -> float:
        seen.append((progress, model.layers[0].progress))
        return 1.0

    model = small()
    model.fit(X[:50], Y[:50], epochs=3, batch_size=13, schedule=schedule)
    assert [progress for progress, _ in seen] == pytest.approx([i / 12 for i in range(12)])
    # A step has the progress that its schedule was asked for.
    assert [before for _, before in seen[1:]] == pytest.approx([i / 12 for i in range(11)])

    sizes: list[int] = []

    def augment(batch: Any, rng: Any) -> Any:
        assert batch.dtype == np.float32
        sizes.append(len(batch))
        return batch

    model.fit(X[:50], Y[:50], epochs=1, batch_size=16, augment=augment)
    assert sizes == [13, 13, 12, 12]  # none is small
    with pytest.raises(
        ValueError, match=r"augment must keep the shape of a batch, \(50, 12\); it returned \(49"
    ):
        model.fit(X[:50], Y[:50], augment=lambda batch, rng: batch[1:])


def test_all_samples_are_seen_in_a_new_order_each_epoch() -> None:
    x = np.arange(20, dtype=np.float32)[:, None]
    seen: list[Any] = []
    model = nn.Sequential(nn.Dense(2), random_state=0)
    model.fit(
        x, np.arange(20) % 2, epochs=2, batch_size=7, augment=lambda b, rng: (seen.extend(b[:, 0]), b)[1]
    )
    assert sorted(seen[:20]) == sorted(seen[20:]) == list(range(20))
    assert seen[:20] != seen[20:] != list(range(20))


def with_nan(value: float) -> Any:
    x = X.astype(np.float64)
    x[123, 4] = value
    return x


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (
            X[0],
            Y[0],
            ValueError,
            r"X must have samples along its first axis.*got shape \(12,\). X.reshape\(1, -1\)",
        ),
        (X * 1j, Y, ValueError, "Complex data not supported: X is an array of dtype complex64"),
        ([["a"]], ["b"], TypeError, r"X must be real numbers .* got an array of dtype <U1"),
        (X, Y[:-1], ValueError, "X has 210 samples and y 209 labels"),
        (X[:0], Y[:0], ValueError, "X has no samples; expected at least one"),
        (
            X,
            np.eye(3)[:, :],
            ValueError,
            r"y must be labels \(n,\); got shape \(3, 3\); for one-hot rows give y.argm",
        ),
        (
            X,
            np.linspace(0, 1, 210),
            ValueError,
            "y must be class labels.* got 0.0047.*, which is continuous",
        ),
        (X, np.full(210, np.nan), ValueError, "y must be class labels.* got nan"),
        (X, np.zeros(210), ValueError, "y must have 2 classes or more; got one class, 0.0"),
        (X, [None, "a"] * 105, TypeError, "y must be labels that can be sorted.*NoneType"),
        (with_nan(np.nan), Y, ValueError, "X has nan in sample 123; expected no NaN, no infinity"),
        (with_nan(-np.inf), Y, ValueError, "X has -inf in sample 123"),
        (with_nan(1e300), Y, ValueError, r"X has 1e\+300 in sample 123; .* nothing too large for float32"),
    ],
)
def test_wrong_samples_and_labels(x: Any, y: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        small().fit(x, y)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs must be an integer from 1 up; got 0"),
        ({"schedule": 0.5}, TypeError, "schedule must be callable; got 0.5 of type float"),
        ({"augment": "flip"}, TypeError, "augment must be callable; got 'flip' of type str"),
        ({"callbacks": [print, 3]}, TypeError, "callbacks must be callable; got 3 of type int"),
        ({"resume": 1}, TypeError, "resume must be True or False; got 1 of type int"),
        ({"batch_size": 1.5}, TypeError, "batch_size must be an integer from 1 up; got 1.5 of type float"),
        (
            {"loss": "mse"},
            ValueError,
            'loss must be "cross_entropy" or "squared_hinge"; got',
        ),
        (
            {"validation_data": X},
            ValueError,
            r"validation_data must be a pair \(X, y\) of samples and labels",
        ),
        (
            {"validation_data": (X[:, 1:], Y)},
            ValueError,
            r"X of validation_data has samples of shape \(11,\); the",
        ),
        (
            {"validation_data": (X, Y[1:])},
            ValueError,
            "X of validation_data has 210 samples and y of valid.* 209",
        ),
        (
            {"validation_data": (X[:1], ["no"])},
            ValueError,
            r"y of validation_data has the label 'no'; known are \['low'",
        ),
        ({"validation_data": (X[:1], [3])}, ValueError, "y of validation_data has the label"),
        (
            {"validation_data": (with_nan(np.nan), Y)},
            ValueError,
            "X of validation_data has nan in sample 123",
        ),
        (
            {"loss": nn.Distillation(lambda x: x)},
            ValueError,
            r"teacher gives logits \(128, 12\); the student gives",
        ),
    ],
)
def test_wrong_arguments_of_fit(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        small().fit(X[:128], Y[:128], **settings)


def test_a_loss_that_is_not_finite_ends_training() -> None:
    model = nn.Sequential(nn.Dense(3), random_state=0)
    with (
        np.errstate(all="ignore"),
        pytest.raises(FloatingPointError, match=r"at step \d+; use a lower learning rate"),
    ):
        model.fit(X, Y, epochs=50, optimizer=nn.SGD(1e38))


def test_a_network_that_is_not_fitted_says_so(tmp_path: Path) -> None:
    model = small()
    for action in (
        lambda: model.predict(X),
        lambda: model.predict_proba(X),
        lambda: model.evaluate(X, Y),
        lambda: model.save(tmp_path / "x"),
    ):
        with pytest.raises(nn.NotFittedError, match="This Sequential instance is not fitted yet"):
            action()


def test_wrong_samples_of_predictions() -> None:
    model = small().fit(X, Y, epochs=1)
    with pytest.raises(ValueError, match=r"X has samples of shape \(11,\); the model was trained .* \(12,\)"):
        model.predict(X[:, :11])
    with pytest.raises(ValueError, match="X has nan in sample 123"):
        model.predict(with_nan(np.nan))
    with pytest.raises(ValueError, match=r"y has the label 'none'; known are"):
        model.evaluate(X[:1], ["none"])


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    images_network().fit(IMAGES, KINDS, epochs=2, batch_size=16).save(path)
    return path


@pytest.mark.parametrize(
    "labels", [KINDS, KINDS.astype(np.float32), np.array(["no", "yes"])[KINDS], KINDS > 0]
)
def test_a_saved_network_is_the_same_again(labels: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = images_network().fit(IMAGES, labels, epochs=2, batch_size=16)
    model.save(path)
    loaded = nn.Sequential.load(path)
    assert same_model(model, loaded)
    assert repr(loaded) == repr(model)
    assert loaded.summary() == model.summary()
    assert loaded.classes_.dtype == model.classes_.dtype
    assert np.array_equal(loaded.predict(IMAGES), model.predict(IMAGES))
    assert loaded.evaluate(IMAGES, labels) == model.evaluate(IMAGES, labels)
    loaded.save(path)
    assert same_model(nn.Sequential.load(path), model)


def test_labels_that_are_objects() -> None:
    model = small().fit(X, Y.astype(object), epochs=1)
    assert model.predict(X[:3]).dtype == object


class Kind:
    """A label that can be sorted and hashed, but not written."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __lt__(self, other: Kind) -> bool:
        return self.n < other.n

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kind) and self.n == other.n

    def __hash__(self) -> int:
        return self.n


def test_labels_of_any_kind_but_only_some_can_be_saved(tmp_path: Path) -> None:
    labels = np.array([Kind(i % 3) for i in range(210)])
    model = small().fit(X, labels, epochs=2)
    assert all(isinstance(label, Kind) for label in model.predict(X))
    with pytest.raises(TypeError, match="only labels that are numbers or strings can be saved"):
        model.save(tmp_path / "model.safetensors")


BAD_CONTENT: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"0.weights": None}, "array '0.weights' is missing"),
    (
        {},
        {"0.weights": np.zeros((3, 3), np.float32)},
        r"array '0.weights' has .* expected float32 and \(3, 3, 2, 6\)",
    ),
    ({}, {"1.mean": np.full(6, np.nan, np.float32)}, "array '1.mean' has values that are not finite"),
    (
        {},
        {"1.gamma/mean": np.zeros(5, np.float32)},
        r"array '1.gamma/mean' has .* expected float32 and \(6,\)",
    ),
    ({}, {"classes": np.arange(3)}, "the last layer has 2 outputs, which is not one for each of 3 classes"),
    ({"layers": [{"layer": "Lambda"}]}, {}, "there is no Layer 'Lambda'"),
    ({"layers": [{"layer": "Sign", "code": "x"}]}, {}, "unexpected keyword argument 'code'"),
    ({"layers": []}, {}, "Sequential expects at least one layer"),
    ({"input_shape": [8, 8]}, {}, "expects images"),
    ({"rng": {"bit_generator": "MT19937"}}, {}, "PCG64"),
    ({"loss": "mse"}, {}, "loss must be "),
    ({"n_steps": -1}, {}, "n_steps must be an integer from 0 up"),
]


@pytest.mark.parametrize(("params", "arrays", "message"), BAD_CONTENT)
def test_a_file_with_wrong_content_is_refused(
    params: dict[str, Any], arrays: dict[str, Any], message: str, saved: Path
) -> None:
    kept_params, kept_arrays = _files.read(saved, "Sequential")
    content = {key: array for key, array in (kept_arrays | arrays).items() if array is not None}
    _files.write(saved, "Sequential", kept_params | params, content)
    with pytest.raises(ValueError, match=f"is not a valid Sequential file: .*{message}"):
        nn.Sequential.load(saved)


def test_a_file_of_another_class_says_which(saved: Path) -> None:
    with pytest.raises(ValueError, match=r"it holds a Sequential; load it with Sequential.load"):
        nn.BinaryMLPClassifier.load(saved)


def test_training_is_silent_unless_it_is_verbose(capfd: pytest.CaptureFixture[str]) -> None:
    quiet = small().fit(X, Y, epochs=2)
    assert capfd.readouterr() == ("", "")
    pytest.importorskip("rich")
    assert same_model(small().fit(X, Y, epochs=2, verbose=True), quiet)
    assert re.search(r"4/4 steps, epoch 2, loss \d\.\d+, accuracy \d+\.\d+%", capfd.readouterr().err)


def test_verbose_without_rich_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ImportError, match=r"needs the extra `cli`: pip install 'fastcodes\[cli\]'"):
        small().fit(X, Y, verbose=True)


def test_a_binary_network_reads_handwriting() -> None:
    path = data_file("mnist.npz")
    with np.load(path) as data:
        x, y = data["train_x"][:10000], data["train_y"][:10000]
        test_x, test_y = data["test_x"][:2000], data["test_y"][:2000]
    model = nn.Sequential(
        nn.Flatten(),
        nn.BinaryDense(256),
        nn.BatchNorm(),
        nn.Sign(),
        nn.BinaryDense(10),
        nn.BatchNorm(),
        random_state=0,
    )
    model.fit(x, y, epochs=4, optimizer=nn.Adam(0.005), schedule=nn.Cosine())
    assert model.evaluate(test_x, test_y)["accuracy"] > 0.9


def test_an_optimizer_is_an_object() -> None:
    with pytest.raises(TypeError, match=r"optimizer must be an object such as nn.Adam\(1e-3\); got 'adam'"):
        small().fit(X, Y, optimizer="adam")  # type: ignore[arg-type]


class Zero(nn.Loss):
    """A loss that is always zero."""

    def __call__(self, logits: Any, labels: Any, inputs: Any) -> tuple[float, Any]:
        """Return it and its gradient."""
        return 0.0, np.zeros_like(logits)


def test_a_loss_of_another_kind_trains_but_is_not_saved(tmp_path: Path) -> None:
    model = small().fit(X, Y, epochs=1, loss=Zero())
    assert model.history_["loss"] == [0]
    with pytest.raises(TypeError, match="only the losses cross_entropy, squared_hinge can be saved; got <"):
        model.save(tmp_path / "model.safetensors")
