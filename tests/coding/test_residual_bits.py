"""ResidualBinaryCoder: stages that lower the error, codes that depend on no other picture, files, errors."""

from __future__ import annotations

import functools
import json
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


def test_layers_of_files_are_compared_before_they_are_built() -> None:
    params, arrays = fitted().to_state()
    layers = json.loads(arrays["layers"].tobytes())

    def refused(changed: Any) -> str:
        text = np.frombuffer(json.dumps(changed).encode(), np.uint8)
        with pytest.raises(ValueError, match="layers") as caught:
            ResidualBinaryCoder.from_state(params, {**arrays, "layers": text})
        return str(caught.value)

    assert "stage 1 are Dense of" in refused([layers[0], layers[1][:1], *layers[2:]])
    large = {**layers[0][0], "units": 1 << 24}
    assert f"{1 << 24}" in refused([[large, *layers[0][1:]], *layers[1:]])
    assert "stage 0 are" in refused([[], *layers[1:]])
    assert "4 stages" in refused(layers[:3])
    assert "4 stages" in refused({})
    with pytest.raises(ValueError, match=r"0\.weights|3\.weights"):
        ResidualBinaryCoder.from_state(params, {**arrays, "0.3.weights": arrays["0.3.weights"][:-1]})
