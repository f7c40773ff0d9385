"""Search of grids by look-up tables: equal to brute force among latent vectors, for every kind of tokens."""

from __future__ import annotations

import functools
import tracemalloc
from typing import Any

import numpy as np
import pytest
from fastcodes import adc, hamming
from fastcodes.tokens import VQVAE, NotFittedError, _product_codes, vqvae

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (600, 4, 4, 1)).astype(np.uint8).repeat(2, axis=1).repeat(3, axis=2)[:, :, :8]
QUERIES = RNG.integers(0, 256, (7, 8, 8, 1)).astype(np.uint8)
KINDS: dict[str, tuple[int, dict[str, Any]]] = {
    "vq of 16": (16, {}),
    "vq of 256": (256, {}),
    "vq of 257": (257, {}),
    "vq of 512": (512, {}),
    "normalized": (20, {"normalize": True}),
    "product": (30, {"quantizer": "product", "n_codebooks": 2}),
    "residual of 2": (2, {"quantizer": "residual", "n_codebooks": 3}),
    "residual of 30": (30, {"quantizer": "residual", "n_codebooks": 2}),
    "residual of 256": (256, {"quantizer": "residual", "n_codebooks": 2}),
    "normalized residual": (16, {"quantizer": "residual", "n_codebooks": 2, "normalize": True}),
    "fsq": (64, {"quantizer": "fsq"}),
    "fsq of 1024": (1024, {"quantizer": "fsq"}),
    "fsq of 65536": (65536, {"quantizer": "fsq"}),
    "lfq": (16, {"quantizer": "lfq"}),
    "lfq of 512": (512, {"quantizer": "lfq"}),
    "lfq of 65536": (65536, {"quantizer": "lfq"}),
}


@functools.cache
def fitted(kind: str) -> tuple[VQVAE, Any]:
    """Return a tokenizer and the tokens of the pictures."""
    n_codewords, options = KINDS[kind]
    settings = {"patch": 2, "hidden": 8, "n_dims": 6, "epochs": 1, "batch_size": 100, "random_state": 0}
    model = VQVAE(n_codewords, **settings, **options).fit(IMAGES, threads=1)
    return model, model.encode(IMAGES)


def latents(model: VQVAE, images: Any) -> Any:
    """Return the latent vectors of pictures, by the layers of the network."""
    x = ((images - 127.5) / 64).astype(np.float64)
    for layer in model.network_.layers[:3]:
        x = layer.forward(x)
    bottleneck: Any = model._bottleneck
    if getattr(bottleneck, "normalize", False):
        parts = x.reshape(*x.shape[:3], -1, bottleneck.codewords.shape[2])
        x = (parts / np.linalg.norm(parts, axis=-1, keepdims=True)).reshape(x.shape)
    if model.quantizer == "fsq":
        x = bottleneck._bounded(x) / bottleneck._half
    return x.reshape(len(images), -1)


def outputs(model: VQVAE, grids: Any) -> Any:
    """Return the codewords of grids, side by side."""
    bottleneck = model._bottleneck
    flat = grids.reshape(-1, bottleneck.n_codebooks).astype(np.int64)
    return bottleneck.vectors(flat).reshape(len(grids), -1)


def squares(x: Any, y: Any) -> Any:
    return np.square(x[:, None] - y).sum(axis=2)


@pytest.mark.parametrize("kind", KINDS)
def test_searches_are_those_of_latent_vectors(kind: str) -> None:
    model, grids = fitted(kind)
    codes, base = model.codes(grids), outputs(model, grids)
    query_grids = model.encode(QUERIES)
    for tables, x in (
        (model.tables(QUERIES), latents(model, QUERIES)),
        (model.token_tables(query_grids), outputs(model, query_grids)),
    ):
        expected = squares(x, base)
        assert tables.dtype == np.float32
        assert tables.shape == (7, codes.shape[1], min(model.n_codewords, 256))
        assert np.allclose(adc.scan(tables, codes), expected, rtol=1e-4, atol=2e-5 * expected.max())
        distances, indices = adc.knn(tables, codes, 10)
        # The nearest ones, in any order of those that are equally far within rounding errors.
        found = np.take_along_axis(expected, indices, axis=1)
        assert np.allclose(found, np.sort(expected, axis=1)[:, :10], rtol=1e-4, atol=2e-5 * expected.max())
        assert np.array_equal(adc.knn(tables, adc.PackedCodes(codes), 10)[0], distances)


@pytest.mark.parametrize("kind", KINDS)
def test_every_grid_is_the_nearest_to_itself(kind: str) -> None:
    model, grids = fitted(kind)
    codes = model.codes(grids)
    distances, indices = adc.knn(model.token_tables(grids[:20]), codes, 1)
    assert np.allclose(distances, 0, atol=1e-4)
    assert np.allclose(outputs(model, grids)[indices[:, 0]], outputs(model, grids[:20]), atol=1e-3)


def test_tokens_of_a_byte_are_codes_as_they_are() -> None:
    for kind in ("vq of 16", "vq of 256", "product"):
        model, grids = fitted(kind)
        assert np.array_equal(model.codes(grids), grids.reshape(len(grids), -1))
    # Others are digits, of which all but one say that another has the token.
    model, _ = fitted("vq of 512")
    tokens = np.array([0, 254, 255, 509, 510, 511]).reshape(6, 1, 1)
    expected = [[0, 255, 255], [254, 255, 255], [255, 0, 255], [255, 254, 255], [255, 255, 0], [255, 255, 1]]
    assert np.array_equal(model.codes(tokens), expected)


@pytest.mark.parametrize("kind", ["vq of 256", "vq of 512", "residual of 30", "fsq of 1024"])
@pytest.mark.parametrize("dtype", [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)])
def test_tokens_may_have_any_dtype_of_integers(kind: str, dtype: str) -> None:
    model, grids = fitted(kind)
    small = np.minimum(grids[:3], 127)
    for use in (model.codes, model.token_tables):
        assert np.array_equal(use(small.astype(dtype)), use(small))


@pytest.mark.parametrize(
    ("kind", "n_bytes"),
    [("fsq", 1), ("fsq of 1024", 2), ("fsq of 65536", 3), ("lfq", 1), ("lfq of 512", 2), ("lfq of 65536", 2)],
)
def test_tokens_without_codewords_to_learn_take_few_bytes(kind: str, n_bytes: int) -> None:
    model, _ = fitted(kind)
    every = np.arange(model.n_codewords).reshape(-1, 1, 1)
    codes = model.codes(every)
    assert codes.shape == (len(every), n_bytes)
    assert len(np.unique(codes, axis=0)) == len(every)


def test_squared_distances_of_signs_are_four_times_their_hamming_distances() -> None:
    model, grids = fitted("lfq")
    bits = np.unpackbits(grids.reshape(len(grids), -1, 1), axis=2)[..., 4:].reshape(len(grids), -1)
    packed = np.packbits(bits, axis=1)
    expected = hamming.cdist(packed[:9], packed)
    assert np.array_equal(adc.scan(model.token_tables(grids[:9]), model.codes(grids)), 4 * expected)


@pytest.mark.parametrize("kind", ["vq of 512", "residual of 30"])
def test_blocks_change_nothing_and_grids_may_have_any_size(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = fitted(kind)
    images = RNG.integers(0, 256, (5, 7, 13, 1)).astype(np.uint8)
    grids = model.encode(images)

    def made() -> Any:
        return model.tables(images), model.token_tables(grids), model.codes(grids)

    tables, token_tables, codes = made()
    assert len(codes[0]) == tables.shape[1] == token_tables.shape[1]
    expected = squares(outputs(model, grids), outputs(model, grids))
    assert np.allclose(adc.scan(token_tables, codes), expected, rtol=1e-4, atol=2e-5 * expected.max())
    monkeypatch.setattr(vqvae, "_TOKENS_PER_BLOCK", 10)
    for one, other in zip(made(), (tables, token_tables, codes), strict=True):
        assert np.allclose(one, other, rtol=1e-6, atol=1e-6 * np.abs(other).max())


def test_nothing_has_no_codes_and_no_tables() -> None:
    for kind in KINDS:
        model, grids = fitted(kind)
        n_bytes = model.codes(grids).shape[1]
        assert model.codes(grids[:0]).shape == (0, n_bytes)
        assert len(model.tables(QUERIES[:0])) == len(model.token_tables(grids[:0])) == 0


def test_codewords_of_length_zero_have_digits_of_zero() -> None:
    codes = _product_codes.bytes_of_crosses(np.zeros(3), 0.0, 16)
    assert np.array_equal(codes, np.zeros((3, 8)))
    tables, _ = _product_codes.empty_tables(1, (1, 1, 2), 16, 0.0)
    _product_codes.fill_digits(tables, codes[:1], 0.0, 16)
    assert not tables.any()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "residual" in kind])
def test_large_grids_that_differ_in_few_tokens_are_ranked_by_their_distances(kind: str) -> None:
    model, _ = fitted(kind)
    n_codebooks = model.n_codebooks
    for is_even in (False, True):  # places that are alike make the same rounding errors
        size = (1, 1, 1) if is_even else (1, 128, 128)
        first = np.broadcast_to(
            RNG.integers(0, model.n_codewords, (*size, n_codebooks)), (1, 128, 128, n_codebooks)
        )
        grids = first.repeat(40, axis=0)
        for i in range(40):
            places = RNG.integers(0, 128, (2, i // 8))
            grids[i, places[0], places[1], i % n_codebooks] = RNG.integers(0, model.n_codewords, i // 8)
        vectors, codes = outputs(model, grids), model.codes(grids)
        expected = squares(vectors[:1], vectors)[0]
        found = adc.scan(model.token_tables(first), codes)[0]
        assert np.array_equal(found[expected == 0], np.zeros((expected == 0).sum()))
        error = 1e-3 * expected[expected > 0].min()
        assert np.allclose(found, expected, rtol=1e-5, atol=error)
        assert (np.diff(expected[np.argsort(found)]) > -2 * error).all()


@pytest.mark.parametrize("kind", ["residual of 30", "residual of 256", "normalized residual"])
def test_distances_of_large_pictures_are_as_exact_as_those_of_small_ones(kind: str) -> None:
    model, _ = fitted(kind)
    images = RNG.integers(0, 256, (3, 64, 64, 1)).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    images[1:, 8:] = images[0, 8:]
    base = model.encode(images)
    vectors = model._vectors(images, slice(0, base.shape[1]))
    x = model._bottleneck.latents(vectors.reshape(-1, vectors.shape[3])).reshape(3, -1)
    expected = squares(x, outputs(model, base))
    found = adc.scan(model.tables(images), model.codes(base))
    assert np.allclose(found, expected, rtol=1e-5, atol=0)


def test_tables_of_large_pictures_are_refused() -> None:
    model, _ = fitted("vq of 512")
    with pytest.raises(
        ValueError, match="a picture of 2000 x 2000 tokens has tables of 3,072,000,000 numbers"
    ):
        model.token_tables(np.zeros((1, 2000, 2000), np.uint16))
    with pytest.raises(ValueError, match="search by smaller pictures, or by crops"):
        model.tables(np.zeros((1, 4000, 4000, 1), np.uint8))
    assert model.token_tables(np.zeros((0, 5, 5), np.uint16)).shape == (0, 75, 256)


def test_tables_of_many_queries_are_refused() -> None:
    model, _ = fitted("vq of 512")
    message = "the tables of 100,000 queries are 1,228,800,000 numbers; .*: search 87,381 queries at a time"
    with pytest.raises(ValueError, match=message):
        model.token_tables(np.broadcast_to(np.uint16(0), (100_000, 4, 4)))
    with pytest.raises(ValueError, match=message):
        model.tables(np.broadcast_to(np.uint8(0), (100_000, 8, 8, 1)))


def test_tables_of_large_codebooks_take_little_memory_besides_them() -> None:
    settings = {"patch": 2, "hidden": 4, "n_dims": 2, "epochs": 1, "init": "random", "random_state": 0}
    model = VQVAE(1 << 16, **settings).fit(IMAGES[:4], threads=1)
    grids = model.encode(IMAGES[:20])
    n_distances = grids.size << 16
    tracemalloc.start()
    tables = model.token_tables(grids)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_distances > 2 << 23
    assert peak - tables.nbytes < (1 << 23) * 8 * 1.25


def test_models_have_to_be_fitted() -> None:
    for use in (lambda m: m.tables(QUERIES), lambda m: m.token_tables([[[0]]]), lambda m: m.codes([[[0]]])):
        with pytest.raises(NotFittedError):
            use(VQVAE())
