"""Product quantizers: codes, tables, training, codebooks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes import adc
from fastcodes.quantization import OptimizedProductQuantizer, ProductQuantizer, VectorQuantizer
from models.quantization.cases import CLUSTERED, PRODUCT, RNG, X, nearest


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


@pytest.mark.parametrize("model_class", PRODUCT)
@pytest.mark.parametrize(
    ("n_subspaces", "near"), [(3, "take 2 or 4"), (5, "take 4 or 8"), (15, "take 8 or 16"), (40, "take 16")]
)
def test_parts_have_to_be_equal(model_class: Any, n_subspaces: int, near: str) -> None:
    with pytest.raises(
        ValueError, match=f"n_subspaces={n_subspaces} does not divide the 16 features.*; {near}$"
    ):
        model_class(n_subspaces, 16).fit(X)
