"""What all quantizers and KMeans have in common: samples, parameters, the scikit-learn API, files."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import _files
from fastcodes.index import FlatIndex
from fastcodes.quantization import (
    KMeans,
    NotFittedError,
    OptimizedProductQuantizer,
    ProductQuantizer,
    ScalarQuantizer,
    VectorQuantizer,
)
from helpers import data_file, run_python
from models.quantization.cases import MODELS, QUANTIZERS, RNG, X, answer, model_of


@pytest.mark.parametrize("name", MODELS)
def test_results_do_not_depend_on_the_number_of_threads(name: str) -> None:
    one, three = (model_of(name).fit(X, threads=threads) for threads in (1, 3))
    for array, other in zip(one._to_arrays().values(), three._to_arrays().values(), strict=True):
        assert np.array_equal(array, other)
    assert one.score(X, threads=1) == one.score(X, threads=3)
    if isinstance(one, KMeans):
        assert np.array_equal(one.predict(X, threads=1), one.predict(X, threads=3))
        return
    codes = one.encode(X, threads=1)
    assert np.array_equal(one.encode(X, threads=3), codes)
    assert np.array_equal(one.decode(codes, threads=1), one.decode(codes, threads=3))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float64, np.int32])
def test_samples_of_any_dtype_are_those_of_float32(name: str, dtype: Any) -> None:
    x = np.clip(np.round(60 * X + 120), 0, 255).astype(dtype)
    a, b = model_of(name).fit(x), model_of(name).fit(x.astype(np.float32))
    assert np.array_equal(answer(a, x), answer(b, x.astype(np.float32)))
    assert np.array_equal(answer(a, x.tolist()), answer(a, x))


@pytest.mark.parametrize("name", MODELS)
def test_samples_of_any_layout(name: str, tmp_path: Path) -> None:
    model = model_of(name).fit(X)
    expected = answer(model, X)
    np.save(tmp_path / "x.npy", X)
    wide = np.zeros((3000, 32), np.float32)
    wide[::2, ::2] = X
    read_only = X.copy()
    read_only.flags.writeable = False
    layouts = [np.asfortranarray(X), wide[::2, ::2], read_only, np.load(tmp_path / "x.npy", mmap_mode="r")]
    layouts.append(X.astype(">f4"))
    for x in layouts:
        assert np.array_equal(answer(model, x), expected)
        assert np.array_equal(answer(model_of(name).fit(x), X), expected)
    assert len(answer(model, X[:0])) == 0
    assert np.array_equal(answer(model, X[:1]), expected[:1])


@pytest.mark.parametrize("name", [name for name in QUANTIZERS if "ScalarQuantizer" not in name])
def test_training_takes_some_rows_of_a_memory_map(name: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X.astype(np.float64))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    model = model_of(name, max_samples=500).fit(x)
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(len(X), 500, replace=False, shuffle=False))
    same = model_of(name, random_state=rng).fit(X[rows])  # the generator has gone on by the choice of rows
    assert np.array_equal(answer(model, X), answer(same, X))


def test_no_other_rows_than_those_are_read() -> None:
    x = np.full((5000, 4), np.nan)
    rows = np.sort(np.random.default_rng(0).choice(5000, 300, replace=False, shuffle=False))
    x[rows] = RNG.normal(size=(300, 4))
    ProductQuantizer(2, 16, max_samples=300, random_state=0).fit(x)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_a_number_that_is_not_finite_is_named(name: str, value: float) -> None:
    x = X.astype(np.float64)
    model = model_of(name, random_state=0).fit(x)
    x[1234, 7] = value
    problem = "too large for float32" if abs(value) == 1e300 else "not finite"
    message = re.escape(f"X has {np.float64(value)} in row 1234, column 7, which is {problem}")
    with pytest.raises(ValueError, match=message):
        answer(model, x)
    if "mini-batch" not in name:  # which may never see it, or only in the end
        with pytest.raises(ValueError, match=message):
            model_of(name).fit(x)


def test_sparse_samples_are_refused() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match=r"X is sparse, which is not supported; give X.toarray\(\)"):
        model_of("KMeans").fit(sparse.csr_array(X))


def test_a_query_that_is_not_finite_is_named() -> None:
    pq = model_of("ProductQuantizer").fit(X)
    with pytest.raises(ValueError, match="queries has nan in row 1, column 3"):
        pq.tables([[0.0] * 16, [0, 0, 0, np.nan] + [0] * 12])


@pytest.mark.parametrize("name", MODELS)
def test_wrong_samples(name: str) -> None:
    model = model_of(name)
    for action in (model.fit, lambda x: answer(model_of(name).fit(X), x)):
        with pytest.raises(ValueError, match=r"Expected 2D array, got 1D array .*\(16,\).*Reshape"):
            action(X[0])
        with pytest.raises(ValueError, match="Expected 2D array, got 3D array instead"):
            action(X[None])
        with pytest.raises(ValueError, match="Complex data not supported: X is an array of dtype complex64"):
            action(X * 1j)
        with pytest.raises(TypeError, match=r"X must be real numbers.* got None"):
            action(None)
        with pytest.raises(TypeError, match=r"X must be real numbers.* got an array of dtype <U"):
            action([["a"]])
        with pytest.raises(
            ValueError, match=r"X has 0 feature\(s\) \(shape=\(1500, 0\)\) while a minimum of 1"
        ):
            action(X[:, :0])
    with pytest.raises(ValueError, match=r"X has 15 features, but .* is expecting 16 features as input"):
        answer(model.fit(X), X[:, :15])
    if "Scalar" in name:
        with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\) \(shape=\(0, 16\)\)"):
            model.fit(X[:0])
    else:
        with pytest.raises(ValueError, match=r"n_samples=0 should be >= n_(clusters|codewords)="):
            model.fit(X[:0])
        with pytest.raises(ValueError, match=r"n_samples=11 should be >= n_(clusters|codewords)="):
            model.fit(X[:11])


@pytest.mark.parametrize("name", QUANTIZERS)
def test_wrong_codes(name: str) -> None:
    model = model_of(name).fit(X)
    codes = model.encode(X[:5])
    with pytest.raises(ValueError, match=r"codes must have shape \(n, \d+\); got"):
        model.decode(codes[0])
    with pytest.raises(ValueError, match=r"codes must have shape \(n, \d+\); got"):
        model.decode(np.hstack([codes, codes]))
    with pytest.raises(TypeError, match=r"codes must be an array of uint(8|16); got an array of dtype int64"):
        model.decode(codes.astype(np.int64))
    if "Scalar" not in name:
        codes[3, 0] = 40 if codes.dtype == np.uint8 else 300
        with pytest.raises(
            ValueError, match=r"codes has \d+ in row 3, column 0; expected values from 0 to \d+"
        ):
            model.decode(codes)
    assert model.decode(codes[:0]).shape == (0, 16)
    with pytest.raises(ValueError, match="X has no rows"):
        model.quantization_error(X[:0])


@pytest.mark.parametrize("name", ["ProductQuantizer", "OptimizedProductQuantizer", "VectorQuantizer"])
@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_codewords": 0}, ValueError, "n_codewords must be an integer from 1 to"),
        ({"n_codewords": 1 << 17}, ValueError, "n_codewords must be an integer from 1 to"),
        ({"n_codewords": 16.0}, TypeError, "n_codewords must be an integer .* got 16.0 of type float"),
        ({"n_init": 0}, ValueError, "n_init must be an integer from 1 up; got 0"),
        ({"max_iter": -1}, ValueError, "max_iter must be an integer from 1 up; got -1"),
        ({"max_samples": 15}, ValueError, "max_samples must be an integer from (16|32) up; got 15"),
        ({"max_samples": 1e5}, TypeError, "max_samples must be an integer .* of type float"),
        ({"random_state": "seed"}, TypeError, "random_state must be None, an integer from 0 up"),
    ],
)
def test_wrong_parameters(name: str, params: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        model_of(name, **params).fit(X)


@pytest.mark.parametrize("name", MODELS)
def test_the_constructor_only_stores(name: str) -> None:
    model_class = type(MODELS[name])
    markers = {parameter: object() for parameter in model_class().get_params()}
    model = model_class(**markers)
    assert vars(model) == markers == model.get_params()


@pytest.mark.parametrize("name", MODELS)
def test_fit_returns_self_and_leaves_parameters_and_samples(name: str) -> None:
    model = model_of(name)
    before, x = dict(model.get_params()), X.copy()
    assert model.fit(x, None) is model
    assert model.get_params() == before
    assert np.array_equal(x, X)
    learned = set(vars(model)) - set(before)
    assert all(attribute.endswith("_") for attribute in learned)
    assert model.n_features_in_ == 16


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_is_not_fitted_says_so(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    actions = [lambda: answer(model, X), lambda: model.score(X), lambda: model.save(tmp_path / "x")]
    if not isinstance(model, KMeans):
        actions += [lambda: model.decode(X), lambda: model.quantization_error(X)]
    if isinstance(model, ProductQuantizer):
        actions += [lambda: model.tables(X)]
    for action in actions:
        with pytest.raises(NotFittedError, match=f"This {type(model).__name__} instance is not fitted yet"):
            action()
    assert issubclass(NotFittedError, ValueError)
    assert issubclass(NotFittedError, AttributeError)


@pytest.mark.parametrize("name", MODELS)
def test_random_states(name: str) -> None:
    expected = answer(model_of(name, random_state=5).fit(X), X)
    assert np.array_equal(answer(model_of(name, random_state=np.int64(5)).fit(X), X), expected)
    assert np.array_equal(answer(model_of(name, random_state=np.random.default_rng(5)).fit(X), X), expected)
    legacy = [answer(model_of(name, random_state=np.random.RandomState(1)).fit(X), X) for _ in range(2)]
    assert np.array_equal(*legacy)
    model_of(name, random_state=None).fit(X)
    if "Scalar" not in name:
        assert not np.array_equal(answer(model_of(name, random_state=6).fit(X), X), expected)


def test_representation_and_parameters() -> None:
    pq = ProductQuantizer(4, metric="ip")
    assert repr(pq) == "ProductQuantizer(n_subspaces=4, metric='ip')"
    assert repr(ProductQuantizer()) == "ProductQuantizer()"
    assert pq.set_params(n_codewords=16) is pq
    assert pq.n_codewords == 16
    with pytest.raises(
        ValueError, match=r"Invalid parameter 'n_bits' for estimator ProductQuantizer; valid .*n_init"
    ):
        pq.set_params(n_bits=3)


@pytest.mark.parametrize("name", MODELS)
def test_training_is_silent_unless_it_is_verbose(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    quiet = answer(model_of(name).fit(X), X)
    assert capfd.readouterr() == ("", "")
    pytest.importorskip("rich")
    assert np.array_equal(answer(model_of(name, verbose=True).fit(X), X), quiet)
    if name not in ("ScalarQuantizer", "ScalarQuantizer, ranges"):  # which have nothing to wait for
        assert "iterations, error" in capfd.readouterr().err


@pytest.mark.parametrize("name", MODELS)
def test_a_code_does_not_depend_on_the_other_rows(name: str) -> None:
    groups = np.eye(6)[np.arange(600) % 6]
    numbers = RNG.normal(size=(600, 2))
    for x in (
        np.hstack([groups, numbers]),
        np.hstack([groups, groups[::-1], numbers, numbers]),
        np.round(X[:600]),
    ):
        ranges = {"ranges": None} if name.startswith("Scalar") else {}
        model = model_of(name, **ranges).fit(x)
        codes = answer(model, x)
        for n in (1, 2, 3, 17):
            parts = [answer(model, x[start : start + n]) for start in range(0, 600, n)]
            assert np.array_equal(np.concatenate(parts), codes)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("scale", [1e-30, 1e-23, 1e20, 1e30])
def test_samples_of_any_scale_are_quantized_or_refused(name: str, scale: float) -> None:
    scaled = X * np.float32(scale)
    ranges = {"ranges": None} if "ranges" in name else {}
    if name.startswith("Scalar"):
        error = model_of(name, **ranges).fit(scaled).quantization_error(scaled)
        assert error == pytest.approx(
            model_of(name, **ranges).fit(X).quantization_error(X) * scale**2, rel=1e-3
        )
    size, problem = ("small", "underflow") if scale < 1 else ("large", "overflow")
    message = f" has values so {size} that their squared distances {problem} float32; scale it, for example"
    with pytest.raises(ValueError, match=message):
        model_of(name, **ranges).fit(scaled).tables(scaled)


@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("Scalar")])
def test_an_outlier_that_overflows_is_refused(name: str) -> None:
    x = X.copy()
    x[5] = 1e30
    with pytest.raises(ValueError, match="X has values so large that their squared distances overflow"):
        model_of(name).fit(x)


def test_the_error_of_a_scalar_quantizer_with_an_outlier_is_finite() -> None:
    x = X.copy()
    x[5] = 1e30
    sq = ScalarQuantizer(4).fit(x)
    exact = np.square(x.astype(np.float64) - sq.decode(sq.encode(x))).sum(axis=1).mean()
    assert sq.quantization_error(x) == pytest.approx(exact)


def test_verbose_without_rich_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ImportError, match=r"needs the extra `cli`: pip install 'fastcodes\[cli\]'"):
        model_of("ProductQuantizer", verbose=True).fit(X)


def test_scikit_learn_is_not_imported() -> None:
    code = """
import sys
import numpy as np
from fastcodes.quantization import ProductQuantizer
ProductQuantizer(2, 4).fit(np.eye(8)).encode(np.eye(8))
print(sorted({"sklearn", "rich", "scipy"} & set(sys.modules)))
"""
    assert run_python(code).strip() == "[]"


@pytest.mark.parametrize("name", MODELS)
def test_scikit_learn_clones_a_model(name: str) -> None:
    base = pytest.importorskip("sklearn.base")
    model = model_of(name)
    params = dict(model.get_params())
    clone = base.clone(model.fit(X))
    assert type(clone) is type(model)
    assert {key: repr(value) for key, value in clone.get_params().items()} == {
        key: repr(value) for key, value in params.items()
    }
    assert set(vars(clone)) == set(params)
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model)
    assert base.is_clusterer(model) == isinstance(model, KMeans)


@pytest.mark.parametrize("name", QUANTIZERS)
def test_a_pipeline_of_scikit_learn(name: str) -> None:
    pipeline = pytest.importorskip("sklearn.pipeline")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    pipe = pipeline.make_pipeline(preprocessing.StandardScaler(), model_of(name))
    codes = pipe.fit_transform(X)
    assert np.array_equal(pipe.transform(X), codes)
    scaled = preprocessing.StandardScaler().fit_transform(X)
    assert np.array_equal(model_of(name).fit(scaled).encode(scaled), codes)
    assert pipe.inverse_transform(codes).shape == X.shape
    assert "Quantizer" in repr(pipe)


def test_a_pipeline_ends_with_kmeans() -> None:
    pipeline = pytest.importorskip("sklearn.pipeline")
    pipe = pipeline.make_pipeline(ScalarQuantizer(4), KMeans(5, random_state=0))
    assert pipe.fit_predict(X).max() == 4
    assert pipe.predict(X).shape == (1500,)


def test_a_grid_search_of_scikit_learn_prefers_more_codewords() -> None:
    search = pytest.importorskip("sklearn.model_selection")
    grid = {"n_codewords": [2, 64], "n_subspaces": [2, 8]}
    found = search.GridSearchCV(
        ProductQuantizer(random_state=0, max_iter=5), grid, cv=2, error_score="raise"
    ).fit(X)
    assert found.best_params_ == {"n_codewords": 64, "n_subspaces": 8}
    assert found.best_estimator_.n_features_in_ == 16
    scores = search.cross_val_score(KMeans(4, random_state=0), X, cv=2, error_score="raise")
    assert (scores < 0).all()


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_is_the_same_again(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = model_of(name).fit(X)
    model.save(path)
    loaded = type(model).load(path)
    assert vars(loaded).keys() == vars(model).keys()
    for attribute, value in vars(model).items():
        if attribute != "ranges":
            assert np.array_equal(getattr(loaded, attribute), value), attribute
    assert np.array_equal(answer(loaded, X), answer(model, X))
    loaded.save(str(path))  # over itself
    assert np.array_equal(answer(type(model).load(str(path)), X), answer(model, X))
    assert os.listdir(tmp_path) == ["model.safetensors"]
    loaded.fit(X)


def test_a_generator_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for random_state in (np.random.default_rng(0), np.random.RandomState(0), None):
        model_of("ProductQuantizer", random_state=random_state).fit(X).save(path)
        assert ProductQuantizer.load(path).random_state is None


BAD_CONTENT: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("ProductQuantizer", {}, {"codebooks": None}, "array 'codebooks' is missing; there are"),
    (
        "ProductQuantizer",
        {},
        {"codebooks": np.zeros((2, 4), np.float32)},
        r"expected float32 and \(M, K, d/M\)",
    ),
    ("ProductQuantizer", {}, {"codebooks": np.zeros((2, 4, 2))}, "has dtype float64 .*; expected float32"),
    ("ProductQuantizer", {}, {"codebooks": np.zeros((2, 257, 2), np.float32)}, "K from 1 to 256"),
    ("ProductQuantizer", {}, {"codebooks": np.full((2, 4, 2), np.nan, np.float32)}, "not finite"),
    ("ProductQuantizer", {"metric": "cosine"}, {}, 'metric must be "l2" or "ip"; got \'cosine\''),
    ("ProductQuantizer", {"n_bits": 3}, {}, "unexpected keyword argument 'n_bits'"),
    ("OptimizedProductQuantizer", {}, {"rotation": None}, "array 'rotation' is missing"),
    (
        "OptimizedProductQuantizer",
        {},
        {"rotation": np.eye(8, dtype=np.float32)},
        r"must have shape \(16, 16\)",
    ),
    (
        "OptimizedProductQuantizer",
        {},
        {"rotation": np.zeros((16, 16), np.float32)},
        "must have orthonormal rows",
    ),
    (
        "VectorQuantizer",
        {},
        {"codebook": np.zeros((0, 2), np.float32)},
        r"array .codebook. has shape \(0, 2\)",
    ),
    (
        "VectorQuantizer",
        {},
        {"codebook": np.full((2, 2), np.inf, np.float32)},
        "array .codebook. has values that are not finite",
    ),
    (
        "KMeans",
        {},
        {"centers": np.full((2, 2), np.inf, np.float32)},
        "array 'centers' has values that are not finite",
    ),
    (
        "KMeans",
        {},
        {"inertia": np.zeros(2)},
        r"'inertia' has dtype float64 and shape \(2,\); expected float64 and \(\)",
    ),
    ("ScalarQuantizer", {}, {"levels": np.zeros((2, 3), np.float32)}, r"expected \(d, 2\*\*n_bits\)"),
    ("ScalarQuantizer", {}, {"levels": np.array([[1, 0]], np.float32)}, "not in increasing order"),
    ("ScalarQuantizer", {}, {"step": -np.ones(16, np.float32)}, "step has negative values"),
    ("ScalarQuantizer", {}, {"lower": None}, "array 'lower' is missing"),
]


@pytest.mark.parametrize(("name", "params", "arrays", "message"), BAD_CONTENT)
def test_a_whole_file_with_wrong_content_is_refused(
    name: str, params: dict[str, Any], arrays: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    model_of(name).fit(X).save(path)
    kept_params, kept_arrays = _files.read(path, name)
    content = {key: array for key, array in (kept_arrays | arrays).items() if array is not None}
    _files.write(path, name, kept_params | params, content)
    with pytest.raises(ValueError, match=f"is not a valid {name} file: .*{message}"):
        type(MODELS[name]).load(path)


def test_quantisers_of_real_descriptors() -> None:
    path = data_file("sift_photos_u8.npz")
    x = np.load(path)["learn"][:5000]
    vq = VectorQuantizer(256, random_state=0, max_iter=8).fit(x)
    pq = ProductQuantizer(8, random_state=0, max_iter=8).fit(x)
    opq = OptimizedProductQuantizer(8, random_state=0, max_iter=8).fit(x)
    errors = [model.quantization_error(x) for model in (vq, pq, opq)]
    assert errors[0] > 2 * errors[1]
    assert errors[2] < 0.95 * errors[1]


@pytest.mark.parametrize("name", [name for name in QUANTIZERS if "metric" in MODELS[name].get_params()])
@pytest.mark.parametrize("metric", ["l2", "ip"])
def test_an_index_searches_by_the_metric_of_the_model(name: str, metric: str) -> None:
    model = model_of(name, metric=metric).fit(X)
    assert model.metrics[0] == FlatIndex(model).metric == metric
    assert np.array_equal(model.tables(X[:3]), model.tables(X[:3], metric=metric))
