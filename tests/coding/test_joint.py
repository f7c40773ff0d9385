"""JointCodec: two codes side by side, exact combined searches, fine-tuning that leaves pictures alone."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import adc, hamming
from fastcodes.coding import JointCodec, NotFittedError, ThumbnailCodec
from fastcodes.hashing import DeepHashing, RandomHyperplanes
from fastcodes.index import FlatIndex

RNG = np.random.default_rng(0)
SHAPE = (8, 8, 3)
GROUPS = np.repeat(np.arange(150), 2)
IMAGES = RNG.integers(0, 200, (150, *SHAPE)).astype(np.uint8)[GROUPS] + RNG.integers(
    0, 56, (300, *SHAPE)
).astype(np.uint8)
FEATURES = (RNG.normal(size=(150, 24))[GROUPS] + 0.7 * RNG.normal(size=(300, 24))).astype(np.float32)


@functools.cache
def fitted(layout: str = "searchable", weight: float = 2.5, n_bits: int = 60) -> JointCodec:
    thumbnails = ThumbnailCodec(8, shape=SHAPE, layout=layout, random_state=0)
    return JointCodec(thumbnails, RandomHyperplanes(n_bits, random_state=0), weight=weight).fit(
        IMAGES, FEATURES
    )


def test_both_parts_are_the_codes_of_the_models() -> None:
    codec = fitted()
    codes = codec.encode(IMAGES, FEATURES)
    assert codes.shape == (300, 16)
    assert codec.n_bytes == 16
    assert np.array_equal(codec.encode((IMAGES, FEATURES)), codes)
    assert np.array_equal(codec.picture(codes), codec.thumbnails.encode(IMAGES))
    assert np.array_equal(codec.features(codes), codec.hasher.encode(FEATURES))
    for part in (codec.picture(codes), codec.features(codes)):
        assert part.base is codes
    assert np.array_equal(codec.decode(codes), codec.thumbnails.decode(codec.picture(codes)))
    assert codec.encode(IMAGES[:0], FEATURES[:0]).shape == (0, 16)


def test_sixty_four_bytes_and_4096_bits_are_576() -> None:
    images = RNG.integers(0, 256, (300, 32, 32, 3)).astype(np.uint8)
    codec = JointCodec(ThumbnailCodec(random_state=0), RandomHyperplanes(4096, random_state=0)).fit(
        images, FEATURES
    )
    assert codec.encode(images[:3], FEATURES[:3]).shape == (3, 576)


def expected(codec: JointCodec, queries: Any, codes: Any, metric: str) -> Any:
    """Return the distances by their definition."""
    images, features = queries
    coefficients = codec.thumbnails._coefficients(codec.picture(codes), None)
    transform = codec.thumbnails.transform_
    decoded = coefficients @ transform._matrix.T / 2**24 + transform.mean / 16
    errors = ((images.reshape(len(images), 1, -1) - decoded) ** 2).mean(axis=2)
    differing = hamming.cdist(codec.hasher.encode(features), codec.features(codes))
    return {"joint": errors + codec.weight * differing, "l2": errors, "hamming": differing}[metric]


@pytest.mark.parametrize("metric", ["joint", "l2", "hamming"])
def test_searches_are_exact(metric: str) -> None:
    codec = fitted()
    codes, queries = codec.encode(IMAGES, FEATURES), (IMAGES[:30], FEATURES[:30])
    wanted = expected(codec, queries, codes, metric)
    found = adc.scan(codec.tables(queries, metric=metric), codes)
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-3)
    index = FlatIndex(codec, metric=metric)
    index.add((IMAGES, FEATURES))
    distances, indices = index.search(queries, k=4)
    assert np.allclose(distances, np.sort(wanted, axis=1)[:, :4], rtol=1e-4, atol=1e-3)
    assert np.allclose(np.take_along_axis(wanted, indices, axis=1), distances, rtol=1e-4, atol=1e-3)
    if metric == "hamming":
        assert np.array_equal(found, wanted)
        assert np.array_equal(
            distances, hamming.knn(codec.hasher.encode(FEATURES[:30]), codec.features(codes), 4)[0]
        )
    one = index.search((IMAGES[0], FEATURES[0]), k=4)
    assert np.array_equal(one[1], indices[:1])


def test_indexes_are_saved_with_both_models(tmp_path: Path) -> None:
    codec = fitted()
    index = FlatIndex(codec)
    index.add_codes(codec.encode(IMAGES, FEATURES))
    index.save(tmp_path / "index")
    loaded = FlatIndex.load(tmp_path / "index")
    queries = IMAGES[:5], FEATURES[:5]
    assert np.array_equal(loaded.search(queries, 3)[1], index.search(queries, 3)[1])
    codec.save(tmp_path / "codec")
    again = JointCodec.load(tmp_path / "codec")
    assert again.weight == 2.5
    assert np.array_equal(again.encode(IMAGES, FEATURES), codec.encode(IMAGES, FEATURES))


def test_fine_tuning_changes_no_bit_of_pictures() -> None:
    train = GROUPS < 100
    codec = fitted(n_bits=128)
    before = codec.encode(IMAGES, FEATURES)
    tuned = codec.fine_tuned(FEATURES[train], GROUPS[train])
    after = tuned.encode(IMAGES, FEATURES)
    assert after.shape == before.shape
    assert tuned.picture(after).tobytes() == codec.picture(before).tobytes()
    assert (tuned.features(after) != codec.features(before)).any()
    assert np.array_equal(codec.encode(IMAGES, FEATURES), before)  # a copy was tuned
    assert isinstance(tuned.hasher, DeepHashing)

    def found(model: JointCodec, codes: Any, rows: Any) -> float:
        """Return how often the nearest other picture is of the same group."""
        part = np.ascontiguousarray(model.features(codes)[rows])
        nearest = hamming.knn(part, part, 2)[1][:, 1]
        return float((GROUPS[rows][nearest] == GROUPS[rows]).mean())

    assert found(tuned, after, train) > found(codec, before, train)
    assert found(tuned, after, ~train) >= found(codec, before, ~train) - 0.05


def test_dense_thumbnails_leave_hamming() -> None:
    codec = fitted("dense")
    assert codec.metrics == ("hamming",)
    index = FlatIndex(codec)
    index.add((IMAGES, FEATURES))
    assert index.search((IMAGES[:2], FEATURES[:2]), 1)[1].ravel().tolist() == [0, 1]


def test_wrong_arguments_are_refused() -> None:
    codec = fitted()
    for call, kind, message in (
        (lambda: codec.encode(IMAGES), TypeError, "images must be a tuple of pictures and their features"),
        (lambda: codec.encode(IMAGES, FEATURES[:9]), ValueError, "images are 300 but features 9"),
        (lambda: codec.encode(IMAGES / 255, FEATURES), TypeError, "images must be a numpy uint8 array"),
        (lambda: codec.tables((IMAGES[:2], FEATURES[:3])), ValueError, "queries have 2 pictures but 3 rows"),
        (lambda: codec.tables(IMAGES[:2]), TypeError, "queries must be a tuple"),
        (lambda: codec.tables((IMAGES, FEATURES), metric="ip"), ValueError, 'metric must be "joint"'),
        (lambda: codec.picture(np.zeros((2, 15), np.uint8)), ValueError, r"shape \(n, 16\)"),
        (lambda: JointCodec(1, 2).tables((IMAGES, FEATURES)), TypeError, "thumbnails must be"),
        (lambda: codec.fit(IMAGES, FEATURES[:9]), ValueError, "images are 300 but features 9"),
        (lambda: JointCodec(3, codec.hasher).fit(IMAGES, FEATURES), TypeError, "thumbnails must be"),
        (lambda: JointCodec(codec.thumbnails, 3).fit(IMAGES, FEATURES), TypeError, "hasher must be"),
        (lambda: FlatIndex(JointCodec(ThumbnailCodec(), codec.hasher)), NotFittedError, "not fitted"),
    ):  # fmt: skip
        with pytest.raises(kind, match=message):
            call()
    padding = np.array(codec.encode(IMAGES[:1], FEATURES[:1]))
    padding[0, -1] |= 0xFF
    with pytest.raises(ValueError, match="after bit 60"):
        codec.as_codes(padding)
