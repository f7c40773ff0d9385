"""Random shifts and flips."""

from __future__ import annotations

import numpy as np
import pytest
from fastcodes import nn
from networks import (
    X,
)

RNG = np.random.default_rng(5)


def test_shifts_and_flips() -> None:
    rng = np.random.default_rng(0)
    images = RNG.normal(size=(300, 5, 6, 2)).astype(np.float32)
    for batch in (images, images[..., 0]):
        shifted = nn.RandomShift(2, fill=9)(batch, rng)
        padded = np.pad(batch, [(0, 0), (2, 2), (2, 2)] + [(0, 0)] * (batch.ndim - 3), constant_values=9)
        found = set()
        for i, image in enumerate(shifted):
            places = [
                (y, x) for y, x in np.ndindex(5, 5) if np.array_equal(padded[i, y : y + 5, x : x + 6], image)
            ]
            found.update(places)
            assert places
        assert len(found) == 25
        flipped = nn.RandomFlip()(batch, rng)
        mirrored = np.array([np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, batch, strict=True)])
        assert np.array_equal(flipped[~mirrored], batch[~mirrored])
        assert 100 < mirrored.sum() < 200
    with pytest.raises(
        ValueError, match=r"expects images \(n, height, width\).* got shape \(210, 12\). Give fit im"
    ):
        nn.RandomShift(1)(X, rng)


def test_a_shift_has_at_least_one_pixel() -> None:
    with pytest.raises(ValueError, match="pixels must be an integer from 1 up; got 0"):
        nn.RandomShift(0)
