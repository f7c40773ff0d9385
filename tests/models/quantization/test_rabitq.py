"""RaBitQuantizer: estimates against exact distances, files, and indexes that re-rank what may be near."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import _files, rabitq
from fastcodes.index import FlatIndex
from fastcodes.quantization import NotFittedError, RaBitQuantizer
from helpers import Array, data_file, same, same_bits

RNG = np.random.default_rng(23)
X = (RNG.standard_normal((2000, 100)) + np.linspace(-1, 1, 100)).astype(np.float32)
QUERIES = (X[:40] + 0.3 * RNG.standard_normal((40, 100))).astype(np.float32)
METRICS = ("l2", "ip", "cosine")
SETTINGS: dict[str, dict[str, Any]] = {
    "1 bit": {},
    "1 bit, dense": {"rotation": "dense"},
    "2 bits, ip": {"n_bits": 2, "metric": "ip"},
    "4 bits, cosine": {"n_bits": 4, "metric": "cosine"},
    "4 bits, not centered": {"n_bits": 4, "center": False},
    "8 bits, dense, ip": {"n_bits": 8, "metric": "ip", "rotation": "dense"},
    "3 bits, calibrated": {"n_bits": 3, "calibrate": True},
}
every_setting = pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())


def model_of(settings: dict[str, Any], x: Array = X) -> RaBitQuantizer:
    return RaBitQuantizer(**{"random_state": 0, **settings}).fit(x)


def index_of(model: RaBitQuantizer, x: Array = X) -> FlatIndex:
    index = FlatIndex(model)
    index.add(x)
    return index


def exact(metric: str, queries: Array, x: Array) -> Array:
    """Return all distances in float64."""
    q, x = queries.astype(np.float64), x.astype(np.float64)
    if metric == "l2":
        return (q**2).sum(1)[:, None] - 2 * q @ x.T + (x**2).sum(1)
    if metric == "cosine":
        lengths = np.linalg.norm(q, axis=1)[:, None] * np.linalg.norm(x, axis=1)
        return 1 - q @ x.T / np.where(lengths == 0, 1, lengths)
    return -q @ x.T


def estimates(index: FlatIndex, queries: Array) -> Array:
    """Return all distances of an index in the order of its rows."""
    distances, ids = index.search(queries, len(index))
    found = np.empty_like(distances)
    np.put_along_axis(found, np.searchsorted(index.ids, ids), distances, axis=1)
    return found


# --- what codes stand for -----------------------------------------------------------------------------------


@every_setting
def test_codes_stand_for_vectors_with_the_product_of_the_vector(settings: dict[str, Any]) -> None:
    model = model_of(settings)
    codes, factors = model.encode(X)
    n_bits = settings.get("n_bits", 1)
    assert (codes.shape, factors.shape, factors.dtype) == ((2000, 13 * n_bits), (2000, 2), np.float32)
    x = X / np.linalg.norm(X, axis=1, keepdims=True) if model.metric == "cosine" else X
    centered, decoded = x - model.center_, model.decode((codes, factors)) - model.center_
    squares = np.square(centered).sum(axis=1)
    np.testing.assert_allclose((centered * decoded).sum(axis=1), squares, rtol=1e-3)
    # The published errors of the best quantisers of a Gaussian (Max, 1960), and what the others may add.
    distortion = {1: 0.3634, 2: 0.1175, 3: 0.03454, 4: 0.009497, 8: 0.0001}[n_bits]
    errors = np.square(decoded - centered).sum(axis=1) / squares
    assert errors.mean() < (1.4 if settings.get("calibrate") else 1.1) * distortion / (1 - distortion)
    error = model.quantization_error(x)
    np.testing.assert_allclose(error, (errors * squares).mean(), rtol=1e-3)
    assert model.score(x) == -error
    rows = model.transform(X)
    assert np.array_equal(rows, np.hstack([codes, factors.astype("<f4").view(np.uint8)]))
    assert np.array_equal(model.inverse_transform(rows), model.decode((codes, factors)))


def test_both_forms_of_codes_are_the_same() -> None:
    model = model_of({"n_bits": 2})
    codes, factors = model.encode(X[:9])
    rows = model.rows(X[:9])
    assert rows.shape == (9, codes.shape[1] + 8)
    for form in ((codes, factors), rows, (codes.tolist(), factors), np.asfortranarray(rows)):
        assert np.array_equal(model.as_codes(form), rows)
        assert np.array_equal(model.decode(form), model.decode(rows))
    assert same_bits(model.from_rows(rows), (codes, factors))
    assert model.decode(rows[:0]).shape == (0, 100)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n_bits", [1, 4])
def test_estimates_are_right_on_average_and_within_their_bounds(metric: str, n_bits: int) -> None:
    true = exact(metric, QUERIES, X)
    errors, n_beyond = [], 0.0
    for seed in range(6):
        model = RaBitQuantizer(n_bits, metric=metric, random_state=seed).fit(X)
        index = index_of(model)
        errors.append(estimates(index, QUERIES) - true)
        bounds = model.doubts(QUERIES)[:, None] * index._storage.errors(np.arange(len(X)))
        n_beyond += (errors[-1] > bounds).mean() / 6
    deviation = np.std(errors)
    # 2.9 % of a normal distribution are beyond 1.9 deviations on one side.
    assert 0.001 < n_beyond < 0.06
    # The mean over rotations and pairs.
    assert abs(np.mean(errors)) < 0.02 * deviation
    # Errors of pairs are those of different rotations, not the same again.
    assert np.mean(errors, axis=0).std() < 0.6 * deviation


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n_bits", "least"), [(1, 0.3), (2, 0.6), (4, 0.85), (8, 0.98)])
def test_recall_rises_with_the_bits(metric: str, n_bits: int, least: float) -> None:
    nearest = np.argsort(exact(metric, QUERIES, X), axis=1)[:, :10]
    found = index_of(model_of({"n_bits": n_bits, "metric": metric})).search(QUERIES, 10)[1]
    assert np.mean([len({*a} & {*b}) / 10 for a, b in zip(found, nearest, strict=True)]) > least


@pytest.mark.parametrize("d", [1, 2, 3, 7, 8, 9, 63, 64, 65, 300])
@pytest.mark.parametrize("metric", METRICS)
def test_any_number_of_dimensions(d: int, metric: str) -> None:
    x = np.random.default_rng(d).standard_normal((300, d)).astype(np.float32)
    for settings in ({"rotation": "dense"}, {"rotation": "hadamard"}, {"center": False}):
        model = model_of({"n_bits": 8, "metric": metric, **settings}, x)
        found, true = estimates(index_of(model, x), x[:5]), exact(metric, x[:5], x)
        np.testing.assert_allclose(found, true, atol=0.02 * max(1, np.abs(true).max()))


def test_vectors_of_zeros_and_those_of_the_center() -> None:
    x = np.zeros((20, 24), np.float32)
    x[10:] = 3.5
    for metric in METRICS:
        for center in (True, False):
            model = model_of({"metric": metric, "center": center, "n_bits": 4}, x)
            found = estimates(index_of(model, x), x[[0, 10]])
            np.testing.assert_allclose(found, exact(metric, x[[0, 10]], x), atol=3)
    constant = np.full((9, 5), 7, np.uint8)
    index = index_of(model_of({}, constant), constant)
    assert index.search(constant[:1], 9)[0].tolist() == [[0.0] * 9]


# --- samples ------------------------------------------------------------------------------------------------


@every_setting
def test_samples_of_any_dtype_are_those_of_float32(settings: dict[str, Any]) -> None:
    whole = np.clip(np.round(20 * X + 100), 0, 255)
    expected = model_of(settings, whole.astype(np.float32))
    for dtype in (np.float16, np.float64, np.uint8, np.int32, ">f4"):
        x = whole.astype(dtype)
        model = model_of(settings, x)
        assert same_bits(model.encode(x), expected.encode(whole.astype(np.float32)))
        assert same(index_of(model, x).search(x[:3], 4), index_of(expected, whole).search(whole[:3], 4))
    assert same_bits(expected.encode(np.asfortranarray(whole)), expected.encode(whole))


@every_setting
def test_a_code_does_not_depend_on_other_rows_or_threads(settings: dict[str, Any]) -> None:
    model, again = model_of(settings), RaBitQuantizer(**{"random_state": 0, **settings}).fit(X, threads=1)
    expected = model.encode(X, threads=1)
    for threads in (2, 3, None):
        assert same_bits(model.encode(X, threads=threads), expected)
        assert same_bits(model.decode(expected, threads=threads), model.decode(expected, threads=1))
    assert same_bits(again.encode(X), expected)
    for n in (1, 7, 600):
        parts = [model.encode(X[:600][start : start + n]) for start in range(0, 600, n)]
        assert same_bits(
            tuple(map(np.concatenate, zip(*parts, strict=True))), tuple(a[:600] for a in expected)
        )
    assert len(model.encode(X[:0])[0]) == 0


def test_random_states_draw_rotations() -> None:
    for rotation in ("hadamard", "dense"):
        model = model_of({"rotation": rotation, "random_state": 1})
        assert same_bits(model.rotation_, model_of({"rotation": rotation, "random_state": 1}).rotation_)
        assert not same(model.rotation_, model_of({"rotation": rotation}).rotation_)
    assert model_of({}).rotation_.dtype == np.uint8
    np.testing.assert_allclose(model.rotation_.T @ model.rotation_, np.eye(100), atol=1e-5)


def test_the_center_is_the_mean() -> None:
    np.testing.assert_allclose(model_of({}).center_, X.mean(axis=0), atol=1e-6)
    assert not model_of({"center": False}).center_.any()
    far = X + 50
    errors = [
        np.abs(
            estimates(index_of(model_of({"center": center}, far), far), far[:9]) - exact("l2", far[:9], far)
        )
        for center in (True, False)
    ]
    assert 10 * errors[0].mean() < errors[1].mean()


def test_a_memory_map_is_read_in_blocks(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert same_bits(model_of({}, x).encode(x), model_of({}).encode(X))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_bits": 0}, ValueError, "n_bits must be an integer from 1 to 8; got 0"),
        ({"n_bits": 9}, ValueError, "n_bits must be an integer from 1 to 8; got 9"),
        ({"n_bits": 1.0}, TypeError, "n_bits must be an integer"),
        ({"metric": "hamming"}, ValueError, 'metric must be "l2", "ip" or "cosine"'),
        ({"rotation": "none"}, ValueError, 'rotation must be "hadamard" or "dense"'),
        ({"center": 1}, TypeError, "center must be True or False"),
        ({"random_state": "0"}, TypeError, "random_state must be None, an integer"),
    ],
)
def test_wrong_parameters(params: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        RaBitQuantizer(**params).fit(X)


def test_wrong_samples_and_codes() -> None:
    with pytest.raises(NotFittedError, match="This RaBitQuantizer instance is not fitted yet"):
        RaBitQuantizer().encode(X)
    model = model_of({})
    for action in (model.encode, model_of({}).fit):
        with pytest.raises(ValueError, match="X has nan in row 3, column 5"):
            action(np.where((np.arange(100) == 5) & (np.arange(9)[:, None] == 3), np.nan, X[:9]))
        with pytest.raises(ValueError, match="X has values so large that their squared distances overflow"):
            action(np.vstack([X[:9], X[:9] * np.float32(1e25)]))
    with pytest.raises(ValueError, match=r"X has 99 features, but .* is expecting 100"):
        model.encode(X[:, :99])
    with pytest.raises(ValueError, match="queries has values so large"):
        index_of(model).search(X[:2] * np.float32(1e25), 1)
    with pytest.raises(ValueError, match="X has 65544 dimensions; expected at most 65536"):
        RaBitQuantizer().fit(np.zeros((2, 65544), np.float32))
    codes, factors = model.encode(X[:4])
    for wrong, error, message in (
        (codes, ValueError, r"codes must be a tuple \(codes, factors\).* or an array \(n, 21\)"),
        ((codes,), ValueError, r"codes must be \(codes, factors\)"),
        ((codes[:, 1:], factors), ValueError, r"codes must have shape \(n, 13\); got \(4, 12\)"),
        ((codes, factors[1:]), ValueError, r"the factors of codes must be a float32 array \(4, 2\)"),
        ((codes, factors.astype(float)), ValueError, "the factors of codes must be a float32 array"),
        ((codes, factors * np.float32(np.inf)), ValueError, "the factors of row 0 of codes are not finite"),
        ((codes.astype(int), factors), TypeError, "codes must be a numpy uint8 array"),
    ):
        with np.errstate(invalid="ignore"), pytest.raises(error, match=message):
            model.decode(wrong)
        with pytest.raises(error, match=message):
            FlatIndex(model).add_codes(wrong)


# --- files --------------------------------------------------------------------------------------------------


@every_setting
def test_a_saved_model_is_the_same_again(settings: dict[str, Any], tmp_path: Path) -> None:
    model = model_of(settings)
    model.save(tmp_path / "model")
    loaded = RaBitQuantizer.load(tmp_path / "model")
    assert loaded.get_params() == model.get_params()
    assert vars(loaded).keys() == vars(model).keys()
    assert same_bits(loaded.encode(X), model.encode(X))
    assert same_bits(loaded.doubts(QUERIES), model.doubts(QUERIES))
    assert same(index_of(loaded).search(QUERIES, 5, rerank=X), index_of(model).search(QUERIES, 5, rerank=X))
    loaded.fit(X)


BAD_CONTENT: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"n_bits": 9}, {}, "n_bits must be an integer from 1 to 8"),
    ({"metric": "hamming"}, {}, "metric must be"),
    ({"rotation": "none"}, {}, "rotation must be"),
    ({"rotation": "dense"}, {}, "array 'rotation' has dtype uint8"),
    ({}, {"rotation": np.zeros((4, 12), np.uint8)}, r"array 'rotation' has .* \(4, 12\)"),
    ({"calibrate": True}, {}, "array 'weights' is missing"),
    ({}, {"center": None}, "array 'center' is missing"),
    ({}, {"center": np.full(100, np.nan, np.float32)}, "array 'center' has values that are not finite"),
    ({}, {"center": np.zeros(0, np.float32)}, "center has 0 numbers; expected 1 to 65536"),
    ({}, {"error_ratio": np.array(np.inf)}, "array 'error_ratio' has values that are not finite"),
]


@pytest.mark.parametrize(("params", "arrays", "message"), BAD_CONTENT)
def test_a_file_with_wrong_content_is_refused(
    params: dict[str, Any], arrays: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "model"
    model_of({}).save(path)
    kept_params, kept = _files.read(path, "RaBitQuantizer")
    content = {key: array for key, array in (kept | arrays).items() if array is not None}
    _files.write(path, "RaBitQuantizer", kept_params | params, content)
    with pytest.raises(ValueError, match=f"is not a valid RaBitQuantizer file: .*{message}"):
        RaBitQuantizer.load(path)


@pytest.mark.parametrize("n_bits", [1, 4])
def test_files_that_were_cut_or_tampered_with_are_refused(n_bits: int, tmp_path: Path) -> None:
    model = model_of({"n_bits": n_bits})
    for saved in (model, index_of(model)):
        path = tmp_path / "saved"
        saved.save(path)
        whole, options = path.read_bytes(), {"mmap": False} if isinstance(saved, FlatIndex) else {}
        for content in (whole[:-1], whole[: len(whole) // 2], whole[:20], b""):
            path.write_bytes(content)
            with pytest.raises(ValueError, match=r"is not a valid .* file: "):
                type(saved).load(path, **options)
        for place in np.random.default_rng(n_bits).integers(0, len(whole), 20):
            changed = bytearray(whole)
            changed[place] ^= 4
            path.write_bytes(changed)
            with pytest.raises(ValueError, match=r"is not a valid .* file: "):
                type(saved).load(path, **options)


# --- indexes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("settings", [{}, {"n_bits": 4}, {"metric": "ip"}], ids=str)
def test_an_index_changes_and_comes_back(settings: dict[str, Any], mmap: bool, tmp_path: Path) -> None:
    model = model_of(settings)
    index, other = index_of(model, X[:700]), index_of(model, X[700:])
    index.merge(other)
    codes = model.encode(X)
    assert same_bits(index.codes, codes)
    of_codes = FlatIndex(model)
    of_codes.add_codes(codes)
    index.remove(np.arange(0, 2000, 3))
    kept = np.arange(2000) % 3 > 0
    of_codes.remove(index_of(model).ids[~kept])
    index.save(tmp_path / "index")
    loaded = FlatIndex.load(tmp_path / "index", mmap=mmap)
    all_estimates = estimates(index_of(model), QUERIES)
    for one in (index, of_codes, loaded, copy.deepcopy(loaded)):
        assert same_bits(one.codes, tuple(array[kept] for array in codes))
        assert np.array_equal(estimates(one, QUERIES), all_estimates[:, kept])
        one.add(X[:5])
        assert one.ids[-5:].tolist() == list(range(2000, 2005))
        np.testing.assert_allclose(one.reconstruct([1, 2004]), model.decode(codes)[[1, 4]], atol=1e-5)
    assert index.nbytes < 2 * 1339 * (codes[0].shape[1] + 8)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_a_radius_search_finds_all_estimates_within(settings: dict[str, Any]) -> None:
    index = index_of(model_of(settings))
    found = estimates(index, QUERIES)
    radius = float(np.quantile(found, 0.01))
    offsets, distances, ids = index.radius_search(QUERIES, radius)
    for query, own in enumerate(found):
        part = slice(offsets[query], offsets[query + 1])
        rows = np.flatnonzero(own <= np.float32(radius))
        assert sorted(ids[part]) == rows.tolist()
        assert np.array_equal(distances[part], np.sort(own[rows]))


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
@pytest.mark.parametrize("k", [1, 10])
def test_reranking_reads_only_what_may_be_near(settings: dict[str, Any], k: int) -> None:
    model = model_of(settings)
    index = index_of(model)
    n_read = np.full(40, -1)
    distances, ids = index.search(QUERIES, k, rerank=X, oversample=200 / k, n_read=n_read)
    assert (k <= n_read).all()
    # Of 200 candidates; one bit leaves most of them in doubt.
    assert n_read.mean() < (60 if model.n_bits > 2 else 199)
    # The nearest of all candidates, for nearly all queries.
    true = exact(model.metric, QUERIES, X)
    candidates = index.search(QUERIES, 200)[1]
    best = np.sort(np.take_along_axis(true, candidates, axis=1), axis=1)[:, :k]
    is_same = np.isclose(distances, best, rtol=1e-3, atol=1e-3)
    assert is_same.mean() > 0.95
    np.testing.assert_allclose(distances, np.take_along_axis(true, ids, axis=1), rtol=1e-3, atol=1e-3)


def test_vectors_that_cannot_be_near_are_not_read() -> None:
    model = model_of({"n_bits": 8})
    index, n_read = index_of(model), np.zeros(40, np.int64)
    order = np.argsort(exact("l2", QUERIES, X), axis=1)
    vectors = np.full_like(X, np.nan)
    vectors[np.unique(order[:, :30])] = X[np.unique(order[:, :30])]
    found = index.search(QUERIES, 5, rerank=vectors, oversample=40, n_read=n_read)
    assert np.array_equal(found[1], order[:, :5])
    assert n_read.max() <= 20
    # By another metric all candidates are read.
    index.search(QUERIES, 5, rerank=X, rerank_metric="ip", oversample=40, n_read=n_read)
    assert (n_read == 200).all()
    index.search(QUERIES, 5, n_read=n_read)
    assert (n_read == 0).all()


def test_reranking_by_the_cosine() -> None:
    index = index_of(model_of({"metric": "cosine"}))
    true = exact("cosine", QUERIES, X)
    distances = index.search(QUERIES, 3, rerank=X, oversample=2000)[0]
    nearest = np.sort(true, axis=1)[:, :3]
    assert np.isclose(distances, nearest, atol=1e-5).mean() > 0.97
    zeros = np.zeros_like(X)
    assert np.array_equal(index.search(QUERIES, 3, rerank=zeros)[0], np.ones((40, 3)))
    other = index_of(model_of({"n_bits": 4}))
    by_cosine = other.search(QUERIES, 3, rerank=X, rerank_metric="cosine", oversample=100)
    np.testing.assert_allclose(by_cosine[0], np.take_along_axis(true, by_cosine[1], axis=1), atol=1e-5)


def test_masks_and_the_kernels_are_those_of_the_index() -> None:
    model = model_of({"n_bits": 4})
    index, (codes, factors) = index_of(model), model.encode(X)
    rotated, offsets = model.operand(QUERIES, "l2")
    for mask in (None, np.arange(2000) % 7 == 0, [5, 3, 1999]):
        expected = rabitq.knn(rotated, codes, factors, 6, n_bits=4, offsets=offsets, mask=mask)
        assert same_bits(index.search(QUERIES, 6, mask=mask), expected)
    with pytest.raises(ValueError, match="metric"):
        FlatIndex(model, metric="ip")


def test_estimates_of_real_descriptors() -> None:
    x = np.load(data_file("sift_photos_u8.npz"))["learn"][:6000]
    model = RaBitQuantizer(4, random_state=0).fit(x)
    true = exact("l2", x[:50], x)
    found = index_of(model, x).search(x[:50], 11)[1]
    nearest = np.argsort(true, axis=1, kind="stable")[:, :11]
    assert np.mean([len({*a} & {*b}) / 11 for a, b in zip(found, nearest, strict=True)]) > 0.85
