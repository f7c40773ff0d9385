"""Random hyperplanes: collision rates and bits."""

from __future__ import annotations

import numpy as np
import pytest
from fastcodes import _blocks, bits, hadamard, hamming
from fastcodes.hashing import RandomHyperplanes, RandomProjection
from helpers import same_bits
from models.hashing.random_cases import X, at_angle, every_projection


@every_projection
@pytest.mark.parametrize("angle", [0.05, 0.5, 1.0, np.pi / 2, 2.5, 3.1])
def test_a_bit_differs_with_the_probability_of_the_angle(projection: str, angle: float) -> None:
    n_models, n_bits = 60, 256
    differing = 0
    for seed in range(n_models):
        u, v = at_angle(angle, 1, 100, seed)
        model = RandomHyperplanes(n_bits, projection=projection, random_state=seed).fit(u)
        differing += int(hamming.cdist(model.encode(u), model.encode(v))[0, 0])
    p, n = angle / np.pi, n_models * n_bits
    assert abs(differing / n - p) < 4 * np.sqrt(p * (1 - p) / n)


@every_projection
def test_bits_are_balanced_and_independent(projection: str) -> None:
    # Over vectors of random directions, each bit is one for half of them, and so is the xor of any two.
    x = np.random.default_rng(1).standard_normal((40_000, 128)).astype(np.float32)
    codes = RandomHyperplanes(32, projection=projection, random_state=4).fit(x).encode(x)
    signs = bits.unpack(codes, 32, dtype=np.float32, values=(-1, 1))
    assert (abs(signs.mean(axis=0)) < 5 / np.sqrt(len(x))).all()
    if projection == "hadamard":  # whose directions are orthogonal within a rotation
        correlations = (signs.T @ signs / len(x))[np.triu_indices(32, 1)]
        assert (abs(correlations) < 5 / np.sqrt(len(x))).all()


@every_projection
def test_lengths_do_not_matter(projection: str) -> None:
    model = RandomHyperplanes(64, projection=projection).fit(X)
    assert same_bits(model.encode(X * np.float32(2**20)), model.encode(X))
    opposite = model.encode(-X) ^ model.encode(X)
    assert (opposite == 255).all()


def test_sparse_directions_are_those_of_achlioptas() -> None:
    components = RandomHyperplanes(200, projection="sparse").fit(np.zeros((1, 300))).components_
    assert components is not None
    values, counts = np.unique(components, return_counts=True)
    assert np.allclose(values, [-np.sqrt(3), 0, np.sqrt(3)])
    shares, expected = counts / components.size, np.array([1 / 6, 2 / 3, 1 / 6])
    assert (abs(shares - expected) < 4 * np.sqrt(expected * (1 - expected) / components.size)).all()


@every_projection
@pytest.mark.parametrize("n_bits", [1, 7, 8, 64, 65, 130])
def test_codes_are_the_signs_of_the_values(projection: str, n_bits: int) -> None:
    model = RandomHyperplanes(n_bits, projection=projection).fit(X)
    values = model.decision_function(X)
    assert values.dtype == np.float32
    assert values.shape == (300, n_bits)
    assert same_bits(model.encode(X), bits.pack(values))
    assert same_bits(model.transform(X), model.encode(X))
    if model.components_ is not None:
        assert np.allclose(values, X @ model.components_.T, atol=1e-4)


def test_progress_is_shown_where_there_are_many_blocks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rich")
    monkeypatch.setattr(_blocks, "ELEMENTS_PER_BLOCK", 700)
    RandomHyperplanes(8, projection="hadamard").fit(X).encode(X)
    assert capsys.readouterr().err == ""
    RandomHyperplanes(8, projection="hadamard", verbose=True).fit(X).encode(X)
    assert "encode" in capsys.readouterr().err
    RandomProjection(8, verbose=True).fit(X).transform(X)
    assert "project" in capsys.readouterr().err


def test_an_integer_random_state_is_that_of_the_function() -> None:
    model = RandomHyperplanes(24, projection="hadamard", random_state=5).fit(X)
    assert np.array_equal(model.signs_, hadamard.signs(X.shape[1], 24, random_state=5))
    assert same_bits(model.encode(X), hadamard.pack(X, hadamard.signs(X.shape[1], 24, random_state=5), 24))
