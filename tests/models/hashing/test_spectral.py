"""Spectral hashing."""

from __future__ import annotations

import numpy as np
import oracles
import pytest
from fastcodes import bits
from fastcodes.hashing import SpectralHashing
from models.hashing.cases import X


@pytest.mark.parametrize("n_bits", [1, 5, 16, 40])
def test_spectral_hashing_is_that_of_its_formula(n_bits: int) -> None:
    spectral = SpectralHashing(n_bits).fit(X)
    wide = X.astype(np.float64)
    directions = np.linalg.eigh(np.cov(wide.T))[1][:, ::-1][:, :n_bits]
    directions *= np.sign((spectral.directions_.T * directions).sum(axis=0))
    values, modes = oracles.spectral((wide - wide.mean(axis=0)) @ directions, n_bits)
    assert spectral.modes_.tolist() == modes
    assert np.allclose(spectral.decision_function(X), values, atol=1e-3)
    assert spectral.encode(X).shape == (600, (n_bits + 7) // 8)


def test_spectral_bits_of_an_even_box_are_even_and_tell_nothing_of_each_other() -> None:
    x = np.random.default_rng(0).uniform(size=(20000, 3)) * [8, 5, 3]
    spectral = SpectralHashing(6).fit(x)
    found = bits.unpack(spectral.encode(x), 6, dtype=np.float64, values=(-1, 1))
    assert np.abs(found.mean(axis=0)).max() < 0.05
    # The waves; their signs do tell of each other where one is three times as long as the other.
    assert np.abs(np.corrcoef(spectral.decision_function(x).T) - np.eye(6)).max() < 0.05
