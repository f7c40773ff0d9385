"""CCAHashing: canonical correlations, one space for both views, retrieval both ways, files, bad input."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import bits, hamming
from fastcodes.crossmodal import CCAHashing, NotFittedError
from fastcodes.hashing import Bits
from fastcodes.index import FlatIndex

RNG = np.random.default_rng(0)
MEANING = RNG.normal(size=(600, 6))
X = (MEANING @ RNG.normal(size=(6, 20)) + 0.4 * RNG.normal(size=(600, 20)) + 3).astype(np.float32)
Z = (MEANING @ RNG.normal(size=(6, 15)) + 0.4 * RNG.normal(size=(600, 15)) - 2).astype(np.float32)
TRAIN, TEST = slice(0, 400), slice(400, None)


@functools.cache
def fitted(n_bits: int = 128) -> CCAHashing:
    return CCAHashing(n_bits, random_state=0).fit(X[TRAIN], Z[TRAIN])


def test_correlations_are_those_of_the_definition() -> None:
    cca = CCAHashing(4, regularization=1e-9, random_state=0).fit(X, Z)
    # The largest correlations are the cosines of the angles between the spaces of both centered views.
    bases = [np.linalg.qr(view - view.mean(axis=0, dtype=np.float64))[0] for view in (X, Z)]
    cosines = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)[:4]
    assert np.allclose(cca.correlations_, cosines, atol=1e-4)
    # Before the rotation, each pair of projections has its correlation, and no others have one.
    ours, others = (
        cca.decision_function(X) @ cca.rotation_.T,
        cca.other_decision_function(Z) @ cca.rotation_.T,
    )
    both = np.corrcoef(ours.T, others.T)
    assert np.allclose(both[:4, 4:], np.diag(cosines), atol=1e-3)
    assert np.allclose(both[:4, :4], np.eye(4), atol=1e-3)


def test_each_view_finds_the_other() -> None:
    cca = fitted()
    pictures, texts = cca.encode(X[TEST]), cca.encode_other(Z[TEST])
    rows = np.arange(200)
    for queries, database in ((pictures, texts), (texts, pictures)):
        assert (hamming.knn(queries, database, 1)[1][:, 0] == rows).mean() > 0.75
        assert (hamming.knn(queries, database, 10)[1] == rows[:, None]).any(axis=1).mean() > 0.98
    # Of a stranger, nothing is found: a permutation of the second view in training breaks the tie.
    other = CCAHashing(128, random_state=0).fit(X[TRAIN], Z[TRAIN][RNG.permutation(400)])
    found = hamming.knn(other.encode(X[TEST]), other.encode_other(Z[TEST]), 10)[1]
    assert (found == rows[:, None]).any(axis=1).mean() < 0.2


def test_codes_are_the_signs_and_indexes_take_them() -> None:
    cca = fitted()
    assert np.array_equal(cca.encode_other(Z), bits.pack(cca.other_decision_function(Z)))
    index = FlatIndex(cca)
    index.add(X[TEST])
    index.add_codes(cca.encode_other(Z[TEST][:3]))
    assert len(index) == 203
    texts = FlatIndex(Bits(128))
    texts.add(cca.encode_other(Z[TEST]))
    assert np.array_equal(
        texts.search(cca.encode(X[TEST][:5]), 3)[1],
        hamming.knn(cca.encode(X[TEST][:5]), cca.encode_other(Z[TEST]), 3)[1],
    )


def test_one_feature_is_a_view() -> None:
    cca = CCAHashing(3, random_state=0).fit(X, MEANING[:, 0])
    assert cca.correlations_.shape == (1,)
    assert cca.encode_other(MEANING[:, :1]).shape == (600, 1)


@pytest.mark.parametrize("scale", [1e-15, 1e19, 1e25])
def test_correlations_do_not_depend_on_scale(scale: float) -> None:
    scaled = CCAHashing(16, random_state=0).fit(X * scale, Z * scale)
    expected = CCAHashing(16, random_state=0).fit(X, Z).correlations_
    np.testing.assert_allclose(scaled.correlations_, expected, rtol=1e-4)


def test_a_regularization_below_rounding_is_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match="regularization=1e-30 is below rounding; give a larger one"):
        CCAHashing(8, regularization=1e-30, random_state=0).fit(X[:4], Z[:4])


def test_a_file_keeps_both_views(tmp_path: Path) -> None:
    fitted().save(tmp_path / "cca.safetensors")
    loaded = CCAHashing.load(tmp_path / "cca.safetensors")
    assert np.array_equal(loaded.encode(X), fitted().encode(X))
    assert np.array_equal(loaded.encode_other(Z), fitted().encode_other(Z))
    assert np.array_equal(loaded.correlations_, fitted().correlations_)


def test_wrong_views_are_refused() -> None:
    wrong: list[tuple[Any, str]] = [
        (None, "requires y to be passed"),
        (Z[:5], "X has 600 samples and y 5"),
        (np.ones_like(Z), "samples of y do not differ"),
        (np.where(Z > 0, np.nan, Z), "y has nan in row"),
        (Z.astype(str), "y must be real numbers"),
        (Z[None], "y has shape"),
    ]
    for y, message in wrong:
        with pytest.raises((TypeError, ValueError), match=message):
            CCAHashing(8).fit(X, y)
    with pytest.raises(NotFittedError):
        CCAHashing().encode_other(Z)
    for y, message in [(Z[:, :3], "y has 3 features"), (np.full_like(Z, np.inf), "y has inf in row 0")]:
        with pytest.raises(ValueError, match=message):
            fitted().encode_other(y)
