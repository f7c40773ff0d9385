"""What all hash functions that learn have in common: codes, samples, labels, the scikit-learn API, files."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import _blocks, _files, bits, hamming, metrics
from fastcodes.hashing import ITQ, NotFittedError, RandomHyperplanes
from helpers import run_python
from models.hashing.cases import MODELS, NARROW, RANDOM, RNG, SUPERVISED, X, Y, fitted, model_of


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X[:, :8], r"n_bits=12: X has 8 feature\(s\); lower n_bits to 8 or less"),
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
    ],
)
def test_more_bits_than_directions_are_refused_with_a_reason(name: str, x: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model_of(name).fit(x, Y[: len(x)])


# Six groups as indicators, which add up to 1, and two numbers: 7 directions of 8.
DEPENDENT = np.column_stack([np.eye(6)[RNG.integers(6, size=600)], RNG.normal(size=(600, 2)) * [1, 1000]])
DEPENDENT[:, 7] += 2000


@pytest.mark.parametrize("name", NARROW)
@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_the_rank_of_dependent_columns_is_found(name: str, scale: float) -> None:
    with pytest.raises(ValueError, match=r"differ in 7 directions only .* lower n_bits to 7 or less"):
        model_of(name, n_bits=8).fit(DEPENDENT * scale, Y)
    assert model_of(name, n_bits=7).fit(DEPENDENT * scale, Y).code_bits == 7


HYPERPLANES = {
    f"RandomHyperplanes, {kind}": RandomHyperplanes(64, projection=kind)
    for kind in ("gaussian", "sparse", "hadamard")
}


@pytest.mark.parametrize("name", [*MODELS, *HYPERPLANES])
def test_a_code_does_not_depend_on_the_other_rows(name: str) -> None:
    balanced = np.eye(6)[np.arange(600) % 6]  # projections of a group on the differences of others are zero
    for x in (DEPENDENT, balanced, np.hstack([balanced, balanced[::-1]]), np.round(X)):
        model = HYPERPLANES[name] if name in HYPERPLANES else model_of(name, n_bits=5)
        model.fit(x, Y)
        codes = model.encode(x)
        for n in (1, 2, 3, 17):
            parts = [model.encode(x[start : start + n]) for start in range(0, 600, n)]
            assert np.array_equal(np.concatenate(parts), codes)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("exponent", [-100, -76, 66, 100])  # 1e-30 to 1e30
def test_samples_of_any_scale_get_the_same_codes_or_a_clear_error(name: str, exponent: int) -> None:
    scaled = np.ldexp(X, exponent)
    if name.startswith(("Locality", "Supervised")):  # which compute squared distances
        size, problem = ("small", "underflow") if exponent < 0 else ("large", "overflow")
        message = f"X has values so {size} that their squared distances {problem} float32; scale it"
        with pytest.raises(ValueError, match=message):
            model_of(name).fit(scaled, Y)
    else:
        assert np.array_equal(model_of(name).fit(scaled, Y).encode(scaled), fitted(name).encode(X))


@pytest.mark.parametrize("name", NARROW)
def test_bits_for_all_directions_that_there_are(name: str) -> None:
    thin = np.where(np.arange(16) < 12, X, 3)
    assert model_of(name).fit(thin, Y).encode(thin).shape == (600, 2)
    anchors = {"n_anchors": 13} if name.startswith("Locality") else {}
    few = model_of(name, **anchors).fit(X[:13], Y[:13])
    assert few.encode(X).shape == (600, 2)


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
        (np.zeros(600), ValueError, "y must have at least two different labels; got one class"),
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


@pytest.mark.parametrize("name", MODELS)
def test_results_do_not_depend_on_the_number_of_threads(name: str) -> None:
    one, three = (model_of(name).fit(X, Y, threads=threads) for threads in (1, 3))
    for array, other in zip(one._to_arrays().values(), three._to_arrays().values(), strict=True):
        assert np.array_equal(array, other)
    for method in ("encode", "decision_function"):
        assert np.array_equal(getattr(one, method)(X, threads=1), getattr(one, method)(X, threads=3))
    assert one.score(X, Y, threads=1) == one.score(X, Y, threads=3)


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
        with pytest.raises(ValueError, match="Complex data not supported: X is an array of dtype complex64"):
            action(X * 1j)
        with pytest.raises(TypeError, match=r"X must be real numbers.* got None"):
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
    assert re.search(r"encode .*blocks", capfd.readouterr().err)


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


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_is_the_same_again(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = fitted(name)
    model.save(path)
    loaded = type(model).load(path)
    assert vars(loaded).keys() == vars(model).keys()
    assert loaded.get_params() == model.get_params()
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
