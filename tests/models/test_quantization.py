"""Vector, product, optimized product and scalar quantisers, and what all models have in common."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import _files, adc, bits
from fastcodes.quantization import (
    KMeans,
    NotFittedError,
    OptimizedProductQuantizer,
    ProductQuantizer,
    ScalarQuantizer,
    VectorQuantizer,
)
from helpers import data_file, run_python

RNG = np.random.default_rng(11)
# Correlated dimensions of falling variance: what a rotation is good for.
MIXING = np.linalg.qr(RNG.normal(size=(16, 16)))[0] * 0.75 ** np.arange(16)
X = (RNG.normal(size=(1500, 16)) @ MIXING.T).astype(np.float32)
CLUSTERED = (X[:60].repeat(25, axis=0) + 0.05 * RNG.normal(size=(1500, 16))).astype(np.float32)

MODELS: dict[str, Any] = {
    "KMeans": KMeans(12, random_state=0, max_iter=5),
    "KMeans, mini-batch": KMeans(12, random_state=0, max_iter=3, batch_size=100),
    "VectorQuantizer": VectorQuantizer(32, random_state=0, max_iter=5),
    "VectorQuantizer, 16 bits": VectorQuantizer(300, random_state=0, max_iter=5),
    "ProductQuantizer": ProductQuantizer(4, 16, random_state=0, max_iter=5),
    "OptimizedProductQuantizer": OptimizedProductQuantizer(4, 16, random_state=0, max_iter=5),
    "ScalarQuantizer": ScalarQuantizer(3),
    "ScalarQuantizer, ranges": ScalarQuantizer(5, ranges=(-1.5, np.linspace(1, 2, 16))),
    "ScalarQuantizer, lloyd-max": ScalarQuantizer(4, kind="lloyd-max"),
}
QUANTIZERS = [name for name in MODELS if not name.startswith("KMeans")]


def model_of(name: str, **params: Any) -> Any:
    model = MODELS[name]
    return type(model)(**model.get_params() | params)


def answer(model: Any, x: Any) -> Any:
    return model.predict(x) if isinstance(model, KMeans) else model.encode(x)


def nearest(x: Any, codebooks: Any) -> Any:
    """Return codes and squared distances of the nearest codewords, in float64."""
    parts = x.astype(np.float64).reshape(len(x), len(codebooks), 1, -1)
    d = np.square(parts - codebooks).sum(axis=3)
    return d.argmin(axis=2), d


# --- product quantisers -------------------------------------------------------------------------------------

PRODUCT = [ProductQuantizer, OptimizedProductQuantizer]


@pytest.mark.parametrize("model_class", PRODUCT)
@pytest.mark.parametrize(("n_subspaces", "n_codewords"), [(1, 5), (2, 16), (4, 256), (16, 3), (8, 1)])
def test_codes_are_those_of_the_nearest_codewords(
    model_class: Any, n_subspaces: int, n_codewords: int
) -> None:
    pq = model_class(n_subspaces, n_codewords, random_state=0, max_iter=5).fit(X)
    assert pq.codebooks_.shape == (n_subspaces, n_codewords, 16 // n_subspaces)
    assert pq.codebooks_.dtype == np.float32
    assert pq.n_features_in_ == 16
    codes = pq.encode(X)
    assert codes.shape == (1500, n_subspaces)
    assert codes.dtype == np.uint8
    turned = X @ pq.rotation_.T if model_class is OptimizedProductQuantizer else X
    expected, d = nearest(turned, pq.codebooks_)
    chosen = np.take_along_axis(d, codes[..., None].astype(np.int64), axis=2)[..., 0]
    assert np.allclose(chosen, d.min(axis=2), rtol=1e-4, atol=1e-6)
    assert (codes == expected).mean() > 0.999


@pytest.mark.parametrize("model_class", PRODUCT)
def test_decoding_gives_the_codewords_and_the_error_is_to_them(model_class: Any) -> None:
    pq = model_class(4, 32, random_state=0, max_iter=5).fit(X)
    codes = pq.encode(X)
    vectors = np.hstack([pq.codebooks_[m][codes[:, m]] for m in range(4)])
    if model_class is OptimizedProductQuantizer:
        vectors = vectors @ pq.rotation_
    decoded = pq.decode(codes)
    assert decoded.dtype == np.float32
    assert np.allclose(decoded, vectors, atol=1e-6)
    error = np.square(X - decoded).sum(axis=1).mean()
    assert pq.quantization_error(X) == pytest.approx(error, rel=1e-5)
    assert pq.score(X) == -pq.quantization_error(X)
    assert pq.objective_history_[-1] == pytest.approx(error, rel=1e-4)
    assert np.array_equal(pq.transform(X), codes)
    assert np.array_equal(pq.inverse_transform(codes), decoded)


@pytest.mark.parametrize("model_class", PRODUCT)
@pytest.mark.parametrize("n_codewords", [16, 256])
def test_tables_add_up_to_the_distance_to_the_decoded_vector(model_class: Any, n_codewords: int) -> None:
    pq = model_class(4, n_codewords, random_state=0, max_iter=3).fit(X)
    codes, queries = pq.encode(X), RNG.normal(size=(5, 16))
    tables = pq.tables(queries)
    assert tables.shape == (5, 4, n_codewords)
    assert tables.dtype == np.float32
    exact = np.square(queries[:, None] - pq.decode(codes)).sum(axis=2)
    assert np.allclose(adc.scan(tables, codes), exact, rtol=1e-4, atol=1e-4)
    assert np.allclose(pq.tables(queries[2]), tables[2:3], rtol=1e-5, atol=1e-6)
    products = pq.set_params(metric="ip").tables(queries)
    assert np.allclose(adc.scan(products, codes), -queries @ pq.decode(codes).T, atol=1e-4)


def test_training_lowers_the_error_and_never_raises_it() -> None:
    for x in (X, CLUSTERED, np.round(4 * X)):
        history = ProductQuantizer(4, 64, random_state=0).fit(x).objective_history_
        assert (np.diff(history) <= 0).all()
        assert history[-1] < history[0]


def test_many_codewords_represent_few_samples_exactly() -> None:
    few = np.tile(X[:40], (7, 1))
    for model in (ProductQuantizer(4, 256, random_state=0), VectorQuantizer(256, random_state=0)):
        assert model.fit(few).quantization_error(few) == 0


def test_subspaces_of_any_scale_are_trained_alike() -> None:
    scales = np.repeat([1e-10, 1.0, 1e6, 0.0], 4)
    x = (X * scales).astype(np.float32)
    pq = ProductQuantizer(4, 32, random_state=0).fit(x)
    plain = ProductQuantizer(4, 32, random_state=0).fit(X)
    for m, scale in enumerate(scales[::4]):
        part = slice(4 * m, 4 * m + 4)
        error = np.square(x - pq.decode(pq.encode(x)))[:, part].sum()
        expected = scale**2 * np.square(X - plain.decode(plain.encode(X)))[:, part].sum()
        assert error == pytest.approx(expected, rel=0.05, abs=1e-30)


def test_more_runs_are_never_worse_in_any_subspace() -> None:
    single = ProductQuantizer(4, 16, random_state=0).fit(CLUSTERED)
    best = ProductQuantizer(4, 16, n_init=4, random_state=0).fit(CLUSTERED)
    d = [nearest(CLUSTERED, pq.codebooks_)[1].min(axis=2).sum(axis=0) for pq in (best, single)]
    assert (d[0] <= 1.0001 * d[1]).all()
    assert best.objective_history_[-1] < single.objective_history_[-1]


def test_a_rotation_is_orthogonal_and_pays_on_correlated_data() -> None:
    pq = ProductQuantizer(4, 16, random_state=0).fit(X)
    opq = OptimizedProductQuantizer(4, 16, random_state=0).fit(X)
    assert np.allclose(opq.rotation_ @ opq.rotation_.T, np.eye(16), atol=1e-5)
    assert opq.rotation_.dtype == np.float32
    assert opq.quantization_error(X) < 0.8 * pq.quantization_error(X)


@pytest.mark.parametrize(
    "data", ["correlated", "clustered", "constant columns", "low rank", "offset", "constant"]
)
@pytest.mark.parametrize("n_subspaces", [1, 2, 8, 16])
def test_the_objective_of_opq_never_rises(data: str, n_subspaces: int) -> None:
    x = {
        "correlated": X,
        "clustered": CLUSTERED,
        "constant columns": np.hstack([X[:, :8], np.full((len(X), 8), 3, np.float32)]),
        "low rank": X[:, :3] @ RNG.normal(size=(3, 16)).astype(np.float32),
        "offset": X + 100,
        "constant": np.full_like(X, 2.5),
    }[data]
    opq = OptimizedProductQuantizer(n_subspaces, 16, random_state=0, max_iter=30).fit(x)
    scale = np.square(x, dtype=np.float64).sum(axis=1).mean()
    rounding = np.finfo(np.float32).eps * opq.objective_history_[:-1] + 1e-9 * scale
    assert (np.diff(opq.objective_history_) <= rounding).all()
    assert np.allclose(opq.rotation_ @ opq.rotation_.T, np.eye(16), atol=1e-5)
    assert opq.quantization_error(x) == pytest.approx(opq.objective_history_[-1], rel=1e-3, abs=1e-9 * scale)


def test_codebooks_begin_with_random_samples_or_with_samples_far_apart() -> None:
    # In each subspace fifteen points that are rare, and one that is nearly everywhere and blurred.
    rng = np.random.default_rng(0)
    points = 10 * rng.normal(size=(4, 16, 4))
    shares = np.where(np.arange(16) == 0, 0.97, 0.002)
    x = np.hstack([points[m][rng.choice(16, 3000, p=shares)] for m in range(4)])
    x += rng.normal(size=x.shape)
    start, far = (
        ProductQuantizer(4, 16, init=init, max_iter=1, random_state=0).fit(x).objective_history_[0]
        for init in ("random", "k-means++")
    )
    assert start > 1.5 * far
    for model in (ProductQuantizer, OptimizedProductQuantizer):
        with pytest.raises(
            ValueError, match=r"^init must be \"random\" or \"k-means\+\+\"; got 'kmeans' of type str$"
        ):
            model(4, 16, init="kmeans").fit(x)


def test_opq_keeps_an_order_that_is_good_already() -> None:
    # Each subspace is a few points. Principal components mix the subspaces and are far worse.
    points = 10 * RNG.normal(size=(4, 16, 4))
    x = np.hstack([points[m][RNG.integers(16, size=1500)] for m in range(4)])
    opq = OptimizedProductQuantizer(4, 16, random_state=0).fit(x)
    assert opq.quantization_error(x) < 0.01 * x.var(axis=0).sum()


def test_codebooks_from_elsewhere() -> None:
    fitted = OptimizedProductQuantizer(4, 16, random_state=0, max_iter=3).fit(X)
    codebooks = fitted.codebooks_.astype(np.float64)
    pq = ProductQuantizer.from_codebooks(codebooks, metric="ip")
    assert pq.get_params() == ProductQuantizer(4, 16, metric="ip").get_params()
    turned = X @ fitted.rotation_.T
    assert np.array_equal(pq.encode(turned), fitted.encode(X))
    opq = OptimizedProductQuantizer.from_codebooks(codebooks, fitted.rotation_)
    assert np.array_equal(opq.encode(X), fitted.encode(X))
    assert np.array_equal(opq.decode(fitted.encode(X)), fitted.decode(fitted.encode(X)))
    before = pq.codebooks_[0, 0, 0]
    codebooks[:] = 0
    assert pq.codebooks_[0, 0, 0] == before != 0


@pytest.mark.parametrize(
    ("codebooks", "error", "message"),
    [
        (np.zeros((4, 16)), ValueError, r"codebooks must have shape \(M, K, d/M\) .*; got \(4, 16\)"),
        (np.zeros((4, 257, 2)), ValueError, r"K from 1 to 256; got \(4, 257, 2\)"),
        (np.zeros((4, 0, 2)), ValueError, r"got \(4, 0, 2\)"),
        (np.zeros((0, 4, 2)), ValueError, r"got \(0, 4, 2\)"),
        (np.full((1, 4, 2), np.nan), ValueError, "codebooks has values that are not finite"),
        (np.full((1, 4, 2), 1e300), ValueError, "codebooks has values that are not finite in float32"),
        (
            np.full((1, 4, 2), 1j),
            TypeError,
            "codebooks must be real numbers; got an array of dtype complex128",
        ),
        ("codebooks", TypeError, "codebooks must be real numbers"),
    ],
)
def test_wrong_codebooks(codebooks: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ProductQuantizer.from_codebooks(codebooks)
    with pytest.raises(error, match=message):
        OptimizedProductQuantizer.from_codebooks(codebooks, np.eye(8))


def test_wrong_rotations_and_metrics() -> None:
    codebooks = np.zeros((2, 4, 3))
    with pytest.raises(
        ValueError, match=r"rotation must have shape \(6, 6\) to fit the codebooks; got \(5, 6\)"
    ):
        OptimizedProductQuantizer.from_codebooks(codebooks, np.eye(6)[:5])
    with pytest.raises(ValueError, match=r"rotation must be orthogonal.* differs from that by 3"):
        OptimizedProductQuantizer.from_codebooks(codebooks, 2 * np.eye(6))
    with pytest.raises(ValueError, match="rotation must be orthogonal"):
        OptimizedProductQuantizer.from_codebooks(codebooks, np.full((6, 6), np.nan))
    with pytest.raises(TypeError, match="rotation must be real numbers"):
        OptimizedProductQuantizer.from_codebooks(codebooks, np.eye(6, dtype=complex))
    with pytest.raises(ValueError, match='metric must be "l2" or "ip"; got \'cosine\''):
        ProductQuantizer.from_codebooks(codebooks, metric="cosine")
    with pytest.raises(ValueError, match='metric must be "l2" or "ip"; got \'cosine\''):
        ProductQuantizer(4, 16, metric="cosine").fit(X)


@pytest.mark.parametrize("model_class", PRODUCT)
@pytest.mark.parametrize(
    ("n_subspaces", "near"), [(3, "take 2 or 4"), (5, "take 4 or 8"), (15, "take 8 or 16"), (40, "take 16")]
)
def test_parts_have_to_be_equal(model_class: Any, n_subspaces: int, near: str) -> None:
    with pytest.raises(
        ValueError, match=f"n_subspaces={n_subspaces} does not divide the 16 features.*; {near}$"
    ):
        model_class(n_subspaces, 16).fit(X)


# --- vector quantiser ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_codewords", [1, 40, 256, 257])
def test_a_vector_quantizer_gives_the_nearest_codeword(n_codewords: int) -> None:
    vq = VectorQuantizer(n_codewords, random_state=0, max_iter=5).fit(X)
    codes = vq.encode(X)
    assert codes.shape == (1500, 1)
    assert codes.dtype == (np.uint8 if n_codewords <= 256 else np.uint16)
    expected, d = nearest(X, vq.codebook_[None])
    assert (codes == expected).mean() > 0.999
    assert np.array_equal(vq.decode(codes), vq.codebook_[codes[:, 0]])
    assert vq.quantization_error(X) == pytest.approx(d.min(axis=2).mean(), rel=1e-4)
    assert (np.diff(vq.objective_history_) <= 0).all()


# --- scalar quantiser ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["uniform", "lloyd-max"])
@pytest.mark.parametrize("n_bits", range(1, 9))
def test_scalar_codes_are_packed_numbers_of_the_nearest_levels(kind: str, n_bits: int) -> None:
    sq = ScalarQuantizer(n_bits, kind=kind).fit(X[:, :13])
    assert sq.levels_.shape == (13, 2**n_bits)
    codes = sq.encode(X[:, :13])
    assert codes.shape == (1500, (13 * n_bits + 7) // 8)
    assert codes.dtype == np.uint8
    numbers = bits.unpack_uint(codes, n_bits, 13)
    d = np.abs(X[:, :13, None] - sq.levels_.astype(np.float64))
    chosen = np.take_along_axis(d, numbers[..., None].astype(np.int64), axis=2)[..., 0]
    assert np.allclose(chosen, d.min(axis=2), atol=1e-6)
    decoded = sq.decode(codes)
    assert np.array_equal(decoded, np.take_along_axis(sq.levels_.T, numbers.astype(np.int64), axis=0))
    assert (np.diff(sq.levels_, axis=1) >= 0).all()


@pytest.mark.parametrize("n_bits", [1, 4, 8])
def test_uniform_cells_bound_the_error(n_bits: int) -> None:
    sq = ScalarQuantizer(n_bits).fit(X)
    assert np.allclose(sq.lower_, X.min(axis=0))
    assert np.allclose(sq.lower_ + 2**n_bits * sq.step_, X.max(axis=0), atol=1e-5)
    assert (np.abs(X - sq.decode(sq.encode(X))) <= 0.5001 * sq.step_).all()


def test_values_beyond_the_ranges_are_taken_for_their_ends() -> None:
    sq = ScalarQuantizer(2, ranges=(0, [4.0, 8.0])).fit(np.zeros((1, 2)))
    assert np.array_equal(
        sq.decode(sq.encode([[-1e30, -5], [1e30, 1e30], [1.5, 3]])), [[0.5, 1], [3.5, 7], [1.5, 3]]
    )


def test_a_constant_dimension_is_exact() -> None:
    x = np.array([[3.0, 1.0], [3.0, 2.0]])
    for kind in ("uniform", "lloyd-max"):
        sq = ScalarQuantizer(4, kind=kind).fit(x)
        assert (sq.decode(sq.encode(x))[:, 0] == 3).all()


@pytest.mark.parametrize(("n_bits", "distortion"), [(1, 0.3634), (2, 0.1175), (3, 0.03454), (4, 0.009497)])
def test_lloyd_max_has_the_published_distortion_of_a_gaussian(n_bits: int, distortion: float) -> None:
    x = np.random.default_rng(0).normal(size=(60000, 2))
    error = ScalarQuantizer(n_bits, kind="lloyd-max", max_iter=300).fit(x).quantization_error(x) / 2
    assert error == pytest.approx(distortion, rel=0.015)


def test_lloyd_max_is_optimal_where_there_are_as_many_values_as_levels() -> None:
    x = RNG.choice([0.0, 1, 2, 50, 51, 200, 1000, 1001], size=(500, 3), p=[0.9, *[0.1 / 7] * 7])
    sq = ScalarQuantizer(3, kind="lloyd-max").fit(x)
    assert sq.quantization_error(x) < 1e-6


def test_eight_bits_come_near_to_the_high_rate_limit() -> None:
    # Panter and Dite: for a Gaussian, sqrt(3) pi / 2 / 4**bits.
    x = np.random.default_rng(0).normal(size=(65536, 1))
    error = ScalarQuantizer(8, kind="lloyd-max").fit(x).quantization_error(x)
    assert error < 1.1 * np.sqrt(3) * np.pi / 2 / 4**8


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_bits": 0}, ValueError, "n_bits must be an integer from 1 to 8; got 0"),
        ({"n_bits": 9}, ValueError, "n_bits must be an integer from 1 to 8; got 9"),
        ({"kind": "gaussian"}, ValueError, 'kind must be "uniform" or "lloyd-max"; got \'gaussian\''),
        ({"ranges": (1, 0)}, ValueError, r"ranges must be a pair \(lower, upper\).* got \(1, 0\)"),
        ({"ranges": (0, [1, 2])}, ValueError, r"arrays \(16,\)"),
        ({"ranges": (0, np.nan)}, ValueError, "ranges must be a pair"),
        ({"ranges": (0, 1, 2)}, ValueError, "ranges must be a pair"),
        ({"ranges": 3}, ValueError, "ranges must be a pair"),
        (
            {"ranges": (0, 1), "kind": "lloyd-max"},
            ValueError,
            'ranges needs kind="uniform"; got kind=',
        ),
    ],
)
def test_wrong_parameters_of_a_scalar_quantizer(
    params: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ScalarQuantizer(**params).fit(X)


# --- samples, for all models --------------------------------------------------------------------------------


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
        with pytest.raises(TypeError, match=r"X must be real numbers.* got an array of dtype complex64"):
            action(X * 1j)
        with pytest.raises(TypeError, match=r"X must be real numbers.* got an array of dtype object"):
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
        assert "iterations, error" in capfd.readouterr().out


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


# --- files --------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    model_of("OptimizedProductQuantizer").fit(X).save(path)
    return path


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


def test_a_file_of_another_class_says_which(saved: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"not a valid ProductQuantizer file: it holds a OptimizedProductQuantizer; load it with",
    ):
        ProductQuantizer.load(saved)


def test_no_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ProductQuantizer.load(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        ProductQuantizer.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        model_of("ProductQuantizer").fit(X).save(tmp_path / "none" / "model")


def test_a_file_that_is_cut_short_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    lengths = [*range(12), *range(12, header, 7), header - 1, header, *range(header + 1, len(whole), 97)]
    for length in [*lengths, len(whole) - 1]:
        saved.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is not a valid OptimizedProductQuantizer file: "):
            OptimizedProductQuantizer.load(saved)
    saved.write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match="is not a valid OptimizedProductQuantizer file: "):
        OptimizedProductQuantizer.load(saved)


def test_a_file_that_is_altered_is_refused(saved: Path) -> None:
    whole = bytearray(saved.read_bytes())
    header = 8 + int.from_bytes(whole[:8], "little")
    expected = OptimizedProductQuantizer.load(saved).encode(X)
    for place in [*range(header), *range(header, len(whole), 61), len(whole) - 1]:
        for flip in (1, 32, 255):
            altered = whole.copy()
            altered[place] ^= flip
            saved.write_bytes(altered)
            try:
                loaded = OptimizedProductQuantizer.load(saved)
            except ValueError as error:
                assert "is not a valid OptimizedProductQuantizer file: " in str(error)  # noqa: PT017
            else:  # white space of the header has no meaning
                assert chr(whole[place]).isspace()
                assert np.array_equal(loaded.encode(X), expected)


def test_another_file_is_refused(tmp_path: Path) -> None:
    import safetensors.numpy

    path = tmp_path / "other.safetensors"
    safetensors.numpy.save_file({"codebooks": np.zeros((2, 4, 2), np.float32)}, path)
    with pytest.raises(ValueError, match="it was not written by fastcodes"):
        ProductQuantizer.load(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="it is empty"):
        ProductQuantizer.load(path)
    np.save(tmp_path / "other.npy", X)
    with pytest.raises(ValueError, match="is not a valid ProductQuantizer file"):
        ProductQuantizer.load(tmp_path / "other.npy")


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
    ("OptimizedProductQuantizer", {}, {"rotation": np.zeros((16, 16), np.float32)}, "must be orthogonal"),
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


def test_a_mapped_file_is_read_where_it_lies_and_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    arrays = {
        "codes": RNG.integers(256, size=(100, 3), dtype=np.uint8),
        "x": X,
        "empty": X[:0],
        "one": np.array(3.0),
    }
    _files.write(path, "Thing", {"n": np.int64(3), "name": "é", "none": None}, arrays)
    params, mapped = _files.read(path, "Thing", mmap=True)
    assert params == {"n": 3, "name": "é", "none": None}
    _files.write(path, "Thing", {}, {"codes": arrays["codes"][:1]})
    for name, array in arrays.items():
        assert np.array_equal(mapped[name], array)
        assert mapped[name].dtype == array.dtype
        assert mapped[name].shape == array.shape
        assert not mapped[name].size or not mapped[name].flags.writeable
    assert _files.read(path, "Thing")[1]["codes"].shape == (1, 3)


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    _files.write(path, "Thing", {}, {"x": X})
    before = path.read_bytes()
    with pytest.raises(TypeError, match="a parameter of type object cannot be stored"):
        _files.write(path, "Thing", {"wrong": object()}, {"x": X})
    with pytest.raises(ValueError, match="not JSON compliant"):
        _files.write(path, "Thing", {"wrong": float("nan")}, {"x": X})
    with pytest.raises(Exception, match="complex"):
        _files.write(path, "Thing", {}, {"x": X * 1j + 1j * np.complex128(1)})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["file.safetensors"]


def test_a_file_of_a_later_layout_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.safetensors"
    monkeypatch.setattr(_files, "_VERSION", "2")
    _files.write(path, "Thing", {}, {"x": X})
    monkeypatch.undo()
    with pytest.raises(ValueError, match="its layout has version 2; this fastcodes reads version 1"):
        _files.read(path, "Thing")


# --- real data ----------------------------------------------------------------------------------------------


def test_quantisers_of_real_descriptors() -> None:
    path = data_file("sift_photos_u8.npz")
    x = np.load(path)["learn"][:5000]
    vq = VectorQuantizer(256, random_state=0, max_iter=8).fit(x)
    pq = ProductQuantizer(8, random_state=0, max_iter=8).fit(x)
    opq = OptimizedProductQuantizer(8, random_state=0, max_iter=8).fit(x)
    errors = [model.quantization_error(x) for model in (vq, pq, opq)]
    assert errors[0] > 2 * errors[1]
    assert errors[2] < 0.95 * errors[1]
