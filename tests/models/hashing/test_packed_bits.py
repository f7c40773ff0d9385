"""Bits: codes pass through unchanged, and what is not packed bits is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fastcodes import bits
from fastcodes.hashing import Bits
from helpers import random_codes


@pytest.mark.parametrize("n_bits", [1, 8, 13, 64, 1001])
def test_codes_pass_through(n_bits: int, tmp_path: Path) -> None:
    codes = bits.pack(np.random.default_rng(n_bits).random((20, n_bits)) < 0.5)
    model = Bits(n_bits)
    assert model.n_features_in_ == codes.shape[1]
    assert model.fit() is model
    for passed in (model.encode(codes), model.decode(codes), Bits(**model.get_params()).encode(codes)):
        assert passed is codes
    model.save(tmp_path / "model")
    assert Bits.load(tmp_path / "model").get_params() == {"n_bits": n_bits}


def test_what_is_not_packed_bits_is_refused() -> None:
    codes = random_codes(5, 2)
    for wrong, error, match in (
        (codes, ValueError, "X has ones after bit 13 in row 0"),
        (codes[:, :1], ValueError, r"X must have shape \(n, 2\)"),
        (codes[0], ValueError, r"X must have shape \(n, 2\)"),
        (codes.astype(bool), TypeError, "X must be a numpy uint8 array"),
    ):
        with pytest.raises(error, match=match):
            Bits(13).encode(wrong)
