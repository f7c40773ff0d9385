"""PCA hashing."""

from __future__ import annotations

import numpy as np
import pytest
from fastcodes import bits
from fastcodes.hashing import PCAHashing
from models.hashing.cases import X


@pytest.mark.parametrize("offset", [0, 1000])
def test_pca_hashing_takes_the_signs_of_the_eigenvectors(offset: float) -> None:
    x = X + np.float32(offset)
    pcah = PCAHashing(10).fit(x)
    wide = x.astype(np.float64)
    variances, vectors = np.linalg.eigh(np.cov(wide.T))
    expected = vectors[:, ::-1][:, :10]
    turns = np.sign((pcah.components_.T * expected).sum(axis=0))
    values = (wide - wide.mean(axis=0)) @ (expected * turns)
    assert np.allclose(pcah.components_ @ pcah.components_.T, np.eye(10), atol=1e-5)
    assert np.allclose(pcah.decision_function(x), values, atol=2e-3 if offset else 1e-4)
    assert np.allclose(pcah.decision_function(x).var(axis=0), variances[::-1][:10], rtol=5e-3)
    sure = np.abs(values) > 2e-3
    assert np.array_equal(bits.unpack(pcah.encode(x), 10)[sure], (values > 0)[sure])
    assert (np.abs(pcah.components_).max(axis=1) == pcah.components_.max(axis=1)).all()


def test_a_median_makes_bits_even() -> None:
    skewed = np.exp(2 * X)
    for threshold, tolerance in (("median", 1 / 600), ("mean", 1.0)):
        shares = bits.unpack(PCAHashing(12, threshold=threshold).fit(skewed).encode(skewed), 12).mean(axis=0)
        assert np.abs(shares - 0.5).max() <= tolerance
        if threshold == "mean":
            assert np.abs(shares - 0.5).max() > 0.1
    with pytest.raises(ValueError, match='threshold must be "mean" or "median"; got \'zero\''):
        PCAHashing(threshold="zero").fit(X)
