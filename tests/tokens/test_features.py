"""Histograms, sets and perplexities of tokens, against their definitions in numpy."""

from __future__ import annotations

import numpy as np
import pytest
from fastcodes import bits, jaccard
from fastcodes.tokens import perplexity, token_bits, token_histograms

RNG = np.random.default_rng(0)
GRIDS = RNG.integers(0, 20, (30, 6, 5))
SEVERAL = RNG.integers(0, 20, (30, 6, 5, 3))


def test_histograms_count_tokens() -> None:
    expected = (GRIDS.reshape(30, -1, 1) == np.arange(20)).mean(axis=1)
    assert np.allclose(token_histograms(GRIDS, 20), expected)
    assert np.array_equal(token_histograms(GRIDS.astype(np.uint8), 20), token_histograms(GRIDS, 20))
    several = token_histograms(SEVERAL, 20).reshape(30, 3, 20)
    for book in range(3):
        assert np.array_equal(several[:, book], token_histograms(SEVERAL[..., book], 20))


def test_cells_have_their_own_histograms() -> None:
    cells = token_histograms(GRIDS, 20, cells=(2, 2)).reshape(30, 2, 2, 20)
    assert np.allclose(cells[:, 0, 0], token_histograms(GRIDS[:, :3, :3], 20))
    assert np.allclose(cells[:, 1, 1], token_histograms(GRIDS[:, 3:, 3:], 20))
    each = token_histograms(GRIDS, 20, cells=(6, 5)).reshape(30, 6, 5, 20)
    assert np.array_equal(each.argmax(axis=3), GRIDS)
    assert np.array_equal(each.sum(axis=3), np.ones((30, 6, 5)))


def test_overlap_of_sets_is_their_jaccard_similarity() -> None:
    sets = [set(grid.ravel().tolist()) for grid in GRIDS]
    distances = jaccard.cdist(token_bits(GRIDS, 20), token_bits(GRIDS, 20))
    for i in range(30):
        for j in range(30):
            assert distances[i, j] == pytest.approx(1 - len(sets[i] & sets[j]) / len(sets[i] | sets[j]))


def test_sets_of_tokens_in_their_places() -> None:
    codes = token_bits(SEVERAL, 20, positions=True)
    assert codes.shape == (30, 6 * 5 * 3 * 20 // 8)
    one_hot = SEVERAL.reshape(30, -1, 1) == np.arange(20)
    assert np.array_equal(bits.unpack(codes, 1800), one_hot.reshape(30, -1))
    assert np.array_equal(bits.popcount(codes), np.full(30, 90))


def test_perplexities() -> None:
    assert perplexity(np.arange(16).reshape(1, 4, 4), 512) == pytest.approx(16)
    assert perplexity(np.full((2, 3, 3), 7), 512) == 1
    assert perplexity([[[0, 0], [0, 1]]], 2) == pytest.approx(2 ** (0.75 * np.log2(4 / 3) + 0.5))
    # Four values in one codebook, and one in the other.
    two = np.stack([np.arange(4).reshape(1, 2, 2), np.zeros((1, 2, 2), int)], axis=-1)
    assert perplexity(two, 4) == pytest.approx(2)


def test_nothing() -> None:
    empty = GRIDS[:0]
    assert token_histograms(empty, 20).shape == (0, 20)
    assert token_bits(empty, 20).shape == (0, 3)
    with pytest.raises(ValueError, match="at least one"):
        perplexity(empty, 20)


def test_wrong_arguments() -> None:
    for function in (token_histograms, token_bits, perplexity):
        with pytest.raises(TypeError, match="tokens must be integers"):
            function(GRIDS / 2, 20)
        with pytest.raises(
            ValueError, match=r"tokens must have shape .*; for one picture give tokens\[None\]"
        ):
            function(GRIDS[0], 20)
        with pytest.raises(ValueError, match="tokens must be from 0 to 9; got 19"):
            function(GRIDS, 10)
        with pytest.raises(ValueError, match="n_codewords must be an integer from 1 to 65536"):
            function(GRIDS, 0)
    for cells in ((7, 5), (0, 1), (1, 2, 3)):
        with pytest.raises(ValueError, match="cells must be"):
            token_histograms(GRIDS, 20, cells=cells)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="use fewer cells"):
        token_histograms(np.zeros((1, 100, 100), int), 65536, cells=(100, 100))
