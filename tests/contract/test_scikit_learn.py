"""Every public estimator follows the scikit-learn API: its checks, names of features, frames, pipelines."""

from __future__ import annotations

import copy
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract.public import public_classes
from fastcodes import bits, coding, crossmodal, hashing, nn, quantization, tokens
from fastcodes._estimator import Estimator, Transformer
from helpers import run_python, same

pytest.importorskip("sklearn", minversion="1.6")
from sklearn import base, datasets, exceptions, linear_model, model_selection, pipeline
from sklearn.utils import estimator_checks

# Small enough for data of two to four features and twenty samples.
ESTIMATORS: dict[str, Any] = {
    "Bits": hashing.Bits(8),
    "CCAHashing": crossmodal.CCAHashing(2, random_state=0),
    "CCAITQ": hashing.CCAITQ(2, random_state=0),
    "CodeCompressor": coding.CodeCompressor(n_symbols=4),
    "DeepHashing": hashing.DeepHashing(2, hidden=(4,), epochs=2, random_state=0),
    "ITQ": hashing.ITQ(2, random_state=0),
    "JointCodec": coding.JointCodec(
        coding.ThumbnailCodec(8, shape=(8, 8, 3), random_state=0), hashing.RandomHyperplanes(8)
    ),
    "LocalityPreservingHashing": hashing.LocalityPreservingHashing(1, n_anchors=4, random_state=0),
    "MinHash": hashing.MinHash(8),
    "PCAHashing": hashing.PCAHashing(2),
    "PCAHashing, median": hashing.PCAHashing(2, threshold="median", output="bits"),
    "RandomHyperplanes": hashing.RandomHyperplanes(4),
    "RandomHyperplanes, hadamard": hashing.RandomHyperplanes(4, projection="hadamard", output="signs"),
    "RandomProjection": hashing.RandomProjection(2),
    "SketchCoder": crossmodal.SketchCoder((8, 8)),
    "SpectralHashing": hashing.SpectralHashing(4),
    "SupervisedDiscreteHashing": hashing.SupervisedDiscreteHashing(2, n_anchors=4, random_state=0),
    "BinaryMLPClassifier": nn.BinaryMLPClassifier(
        (32,), epochs=100, batch_size=32, learning_rate=0.01, random_state=0
    ),
    "CompositeQuantizer": quantization.CompositeQuantizer(2, 2, max_iter=3, random_state=0),
    "AdditiveQuantizer": quantization.AdditiveQuantizer(2, 2, max_iter=3, random_state=0),
    "KMeans": quantization.KMeans(3, random_state=0),
    "KMeans, mini-batch": quantization.KMeans(3, batch_size=20, random_state=0),
    "OptimizedProductQuantizer": quantization.OptimizedProductQuantizer(1, 2, random_state=0),
    "ProductQuantizer": quantization.ProductQuantizer(1, 2, random_state=0),
    "RaBitQuantizer": quantization.RaBitQuantizer(random_state=0),
    "RaBitQuantizer, cosine": quantization.RaBitQuantizer(4, metric="cosine", random_state=0),
    "RaBitQuantizer, dense": quantization.RaBitQuantizer(
        8, metric="ip", rotation="dense", center=False, random_state=0
    ),
    "ResidualBinaryCoder": coding.ResidualBinaryCoder(
        1, 8, shape=(8, 8, 3), hidden=4, epochs=1, random_state=0
    ),
    "ResidualQuantizer": quantization.ResidualQuantizer(2, 2, random_state=0),
    "RetrievalCaptioner": crossmodal.RetrievalCaptioner(hashing.RandomHyperplanes(8)),
    "RetrievalPainter": crossmodal.RetrievalPainter(),
    "ScalarQuantizer": quantization.ScalarQuantizer(4),
    "ScalarQuantizer, lloyd-max": quantization.ScalarQuantizer(2, kind="lloyd-max"),
    "TextCodec": coding.TextCodec(1 << 17),
    "ThumbnailCodec": coding.ThumbnailCodec(8, shape=(8, 8, 3), random_state=0),
    "TokenPrior": tokens.TokenPrior(4, hidden=4, epochs=1, random_state=0),
    "VQVAE": tokens.VQVAE(4, hidden=4, n_dims=2, epochs=1, random_state=0),
    "VectorQuantizer": quantization.VectorQuantizer(2, random_state=0),
}
# What scikit-learn checks that does not apply, with the reason.
EXPECTED: dict[str, dict[str, str]] = {
    "ScalarQuantizer": {"check_transformer_n_iter": "uniform levels need no iterations: n_iter_ is 0"},
}
OTHERS = (
    "Bits",
    "CodeCompressor",
    "JointCodec",
    "MinHash",
    "ResidualBinaryCoder",
    "RetrievalCaptioner",
    "RetrievalPainter",
    "SketchCoder",
    "TextCodec",
    "ThumbnailCodec",
    "TokenPrior",
    "VQVAE",
)
VECTORS = [name for name in ESTIMATORS if name not in OTHERS]
TRANSFORMERS = [name for name in VECTORS if isinstance(ESTIMATORS[name], Transformer)]
SUPERVISED = [name for name in VECTORS if ESTIMATORS[name]._needs_target or "Classifier" in name]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = np.arange(60) % 3


def made(name: str, **params: Any) -> Any:
    return base.clone(ESTIMATORS[name]).set_params(**params)


def output(model: Any, x: Any) -> Any:
    return model.transform(x) if isinstance(model, Transformer) else model.predict(x)


def checks(*others: str) -> list[Any]:
    """List the checks of every estimator, and `others` of scikit-learn that its generator leaves out."""
    found = []
    for name, estimator in ESTIMATORS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that sets and bytes are no feature matrices
            generated = list(estimator_checks.estimator_checks_generator(estimator))
        for number, (tested, check) in enumerate(generated):
            kind = check.func.__name__
            found.append(pytest.param(name, tested, check, id=f"{name}-{kind}-{number}"))
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "estimator", "check"), checks())
def test_the_checks_of_scikit_learn(name: str, estimator: Any, check: Any) -> None:
    if check.func.__name__ in EXPECTED.get(name, {}):
        with pytest.raises(AssertionError):
            check(estimator)
    else:
        check(estimator)


def test_every_public_estimator_is_checked() -> None:
    estimators = {name for name, cls in public_classes().items() if issubclass(cls, Estimator)}
    assert {name.rpartition(".")[2] for name in estimators} == {name.partition(",")[0] for name in ESTIMATORS}


FRAME_CHECKS = [
    "check_dataframe_column_names_consistency",
    "check_get_feature_names_out_error",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check", FRAME_CHECKS)
@pytest.mark.parametrize("name", VECTORS)
def test_the_checks_of_names_and_data_frames(name: str, check: str) -> None:
    if "pandas" in check or "dataframe" in check:
        pytest.importorskip("pandas")
    if "polars" in check:
        pytest.importorskip("polars")
    if ("transform" in check or "names_out" in check) and name not in TRANSFORMERS:
        pytest.skip("it does not transform")
    getattr(estimator_checks, check)(name, made(name))


@pytest.mark.parametrize("name", VECTORS)
def test_the_error_of_an_unfitted_model_is_that_of_scikit_learn(name: str) -> None:
    with pytest.raises(exceptions.NotFittedError) as caught:
        output(made(name), X)
    assert isinstance(caught.value, hashing.NotFittedError)
    loaded = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(loaded, exceptions.NotFittedError)
    assert str(loaded) == str(caught.value)


def test_the_error_of_an_unfitted_model_without_scikit_learn() -> None:
    code = """
import sys, numpy
from fastcodes.hashing import ITQ, NotFittedError
try:
    ITQ().encode(numpy.eye(2))
except NotFittedError as error:
    print(type(error) is NotFittedError, "sklearn" in sys.modules)
"""
    assert run_python(code).strip() == "True False"


@pytest.mark.parametrize("name", VECTORS)
def test_objects_that_are_numbers_are_numbers(name: str) -> None:
    x = np.round(X, 2)
    expected = output(made(name).fit(x, Y), x)
    model = made(name).fit(x.astype(object), Y)
    assert same(output(model, x.astype(object)), expected)
    for value, message in (
        ("1.5", "some of which are strings or None, not real numbers"),
        (None, "some of which are strings or None, not real numbers"),
        ({}, "some of which are not real numbers: .*argument must be .* number, not 'dict'"),
        (1j, "some of which are not real numbers: .*'complex'"),
    ):
        wrong = x.astype(object)
        wrong[3, 1] = value
        for action in (
            lambda wrong=wrong: made(name).fit(wrong, Y),
            lambda wrong=wrong: output(model, wrong),
        ):
            with pytest.raises(TypeError, match=f"X is an array of objects, {message}"):
                action()
    with pytest.raises(ValueError, match="Complex data not supported: X is an array of dtype complex128"):
        made(name).fit(x + 1j, Y)


@pytest.mark.parametrize("name", VECTORS)
def test_columns_of_a_data_frame(name: str, tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": Y, "d": Y > 1})
    frame = frame.astype({"b": "Float64", "c": "Int64", "d": "boolean"})
    plain = frame.to_numpy(np.float64)
    model = made(name).fit(frame, Y)
    assert same(output(model, frame), output(made(name).fit(plain, Y), plain))
    assert model.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert same(output(model, plain), output(model, frame))  # an array has no names to compare
    with pytest.raises(ValueError, match=r"feature names should match .*\n.*unseen at fit time:\n- e\n"):
        output(model, frame.rename(columns={"d": "e"}))
    with pytest.raises(ValueError, match="must be in the same order"):
        output(model, frame[["b", "a", "c", "d"]])
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model")
    assert loaded.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert not hasattr(model.fit(plain, Y), "feature_names_in_")


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_the_names_of_the_output(name: str) -> None:
    model = made(name).fit(X, Y)
    names = model.get_feature_names_out()
    assert len(names) == model.transform(X).shape[1]
    prefix = name.partition(",")[0].lower()
    assert names.tolist() == [f"{prefix}{i}" for i in range(len(names))]
    with pytest.raises(
        ValueError, match=r"input_features should have length equal to number of features \(4\)"
    ):
        model.get_feature_names_out(["a"])


def test_minhash_and_bits_have_names_and_containers_too() -> None:
    pd = pytest.importorskip("pandas")
    codes = hashing.MinHash(8).set_output(transform="pandas").fit_transform(["a b c d", "b c d e"])
    assert isinstance(codes, pd.DataFrame)
    assert codes.columns.tolist() == [f"minhash{i}" for i in range(8)]
    packed = np.array([[3, 1], [2, 255]], np.uint8)
    assert hashing.Bits(16).set_output(transform="pandas").fit_transform(packed).columns[1] == "bits1"


def test_a_pipeline_gives_data_frames() -> None:
    pd = pytest.importorskip("pandas")
    pipe = pipeline.make_pipeline(hashing.RandomProjection(3), hashing.PCAHashing(2, output="bits"))
    found = pipe.set_output(transform="pandas").fit_transform(pd.DataFrame(X, index=np.arange(60) + 7))
    assert found.columns.tolist() == ["pcahashing0", "pcahashing1"]
    assert found.index.tolist() == list(range(7, 67))
    with pytest.raises(ValueError, match='transform must be "default", "pandas" or "polars"'):
        hashing.ITQ().set_output(transform="list")


HASHERS = [name for name in TRANSFORMERS if isinstance(ESTIMATORS[name], hashing.base.Hasher)]


@pytest.mark.parametrize("name", HASHERS)
def test_hashers_give_bits_or_signs(name: str, tmp_path: Path) -> None:
    model = made(name, output="packed").fit(X, Y)
    codes = model.encode(X)
    found = bits.unpack(codes, model.code_bits)
    for form, expected in (("packed", codes), ("bits", found), ("signs", 2 * found.astype(np.int8) - 1)):
        other = made(name, output=form).fit(X, Y)
        assert same(other.transform(X), expected)
        assert same(other.encode(X), codes)
        assert same(made(name, output=form).fit_transform(X, Y), expected)
        other.save(tmp_path / "model")
        assert same(type(other).load(tmp_path / "model").transform(X), expected)
    model.set_params(output="floats")
    with pytest.raises(ValueError, match='output must be "packed", "bits" or "signs"; got \'floats\''):
        model.transform(X)
    with pytest.raises(ValueError, match="output must be"):
        model.fit(X, Y)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")  # on packed bytes
def test_bits_are_better_features_than_packed_bytes() -> None:
    digits = datasets.load_digits()
    scores = {}
    for form in ("packed", "bits", "signs"):
        pipe = pipeline.make_pipeline(
            hashing.ITQ(32, output=form, random_state=0), linear_model.LogisticRegression(max_iter=2000)
        )
        scores[form] = model_selection.cross_val_score(pipe, digits.data, digits.target, cv=3).mean()
    assert scores["bits"] > scores["packed"] + 0.2
    assert scores["signs"] > scores["packed"] + 0.2


# The second view of CCAHashing has no labels.
@pytest.mark.parametrize("name", [name for name in SUPERVISED if name != "CCAHashing"])
def test_labels_in_a_column_are_labels_with_a_warning(name: str) -> None:
    with pytest.warns(exceptions.DataConversionWarning, match="A column-vector y was passed when a 1d array"):
        model = made(name).fit(X, Y[:, None])
    assert same(output(model, X), output(made(name).fit(X, Y), X))


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_the_number_of_iterations_is_saved(name: str, tmp_path: Path) -> None:
    model = made(name).fit(X, Y)
    if "max_iter" not in model.get_params():
        pytest.skip("it does not iterate")
    assert 0 <= model.n_iter_ <= model.max_iter + 5
    model.save(tmp_path / "model")
    assert type(model).load(tmp_path / "model").n_iter_ == model.n_iter_


def test_a_deep_copy_keeps_the_container() -> None:
    model = hashing.PCAHashing(2).set_output(transform="default")
    assert copy.deepcopy(model)._sklearn_output_config == {"transform": "default"}
    assert base.clone(model)._sklearn_output_config == {"transform": "default"}
