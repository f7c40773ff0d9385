"""ResidualBinaryCoder: stages that lower the error, codes that depend on no other picture, files, errors."""

from __future__ import annotations

import functools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import hamming
from fastcodes.coding import NotFittedError, ResidualBinaryCoder, ThumbnailCodec
from fastcodes.index import FlatIndex

SHAPE = (8, 8, 3)
RNG = np.random.default_rng(0)
WAVES = RNG.normal(size=(12, 192)) / 6
IMAGES = np.clip(RNG.normal(size=(900, 12)) @ WAVES * 64 + 128, 0, 255).astype(np.uint8).reshape(-1, *SHAPE)


@functools.cache
def fitted() -> ResidualBinaryCoder:
    return ResidualBinaryCoder(4, 16, shape=SHAPE, hidden=64, epochs=12, batch_size=64, random_state=0).fit(
        IMAGES[100:]
    )


def error(decoded: Any) -> float:
    return float(((decoded.astype(float) - IMAGES[:100]) ** 2).mean())


def test_each_stage_lowers_the_error() -> None:
    coder = fitted()
    codes = coder.encode(IMAGES[:100])
    assert codes.shape == (100, 8)
    errors = [error(np.full_like(IMAGES[:100], 128))]
    errors += [error(coder.decode(codes[:, :n])) for n in (2, 4, 6, 8)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.3 * errors[0]
    assert coder.objective_history_.shape == (4, 12)
    # The reason why it is here only to be compared.
    codec = ThumbnailCodec(8, shape=SHAPE, random_state=0).fit(IMAGES[100:])
    assert error(codec.decode(codec.encode(IMAGES[:100]))) < errors[-1]


def test_codes_depend_on_no_other_picture() -> None:
    coder = fitted()
    codes = coder.encode(IMAGES[:100])
    for i in (0, 50, 99):
        assert np.array_equal(coder.encode(IMAGES[i : i + 1])[0], codes[i])
    assert np.array_equal(coder.encode(IMAGES[:100], threads=1), codes)
    assert coder.encode(IMAGES[:0]).shape == (0, 8)
    assert coder.decode(codes[:0]).shape == (0, *SHAPE)


def test_files_and_indexes(tmp_path: Path) -> None:
    coder = fitted()
    coder.save(tmp_path / "coder")
    codes = coder.encode(IMAGES[:100])
    for copy in (ResidualBinaryCoder.load(tmp_path / "coder"), pickle.loads(pickle.dumps(coder))):
        assert np.array_equal(copy.encode(IMAGES[:100]), codes)
        assert np.array_equal(copy.decode(codes), coder.decode(codes))
    index = FlatIndex(coder)
    index.add(IMAGES[:100])
    assert np.array_equal(index.search(IMAGES[:5], 3)[0], hamming.knn(codes[:5], codes, 3)[0])


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: ResidualBinaryCoder().encode(IMAGES), NotFittedError, "not fitted"),
        (lambda: fitted().encode(IMAGES / 255), TypeError, "images must be a numpy uint8 array"),
        (lambda: fitted().decode(np.zeros((2, 3), np.uint8)), ValueError, r"codes must have shape \(n, 8\)"),
        (
            lambda: ResidualBinaryCoder(n_bits=12, shape=SHAPE).fit(IMAGES),
            ValueError,
            "multiple of 8; got 12",
        ),
        (lambda: ResidualBinaryCoder(shape=SHAPE).fit(IMAGES[:1]), ValueError, "images are 1"),
    ],
)
def test_wrong_arguments_are_refused(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
