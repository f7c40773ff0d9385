"""CCA-ITQ: canonical correlations."""

from __future__ import annotations

import numpy as np
import pytest
from fastcodes.hashing import CCAITQ
from models.hashing.cases import X, Y


def test_canonical_correlations_are_those_of_least_squares() -> None:
    # Of two classes there is one direction, Fisher's; its correlation is that of a linear regression.
    y = (Y < 2).astype(int)
    cca = CCAITQ(6, regularization=1e-9, random_state=0).fit(X, y)
    assert cca.correlations_.shape == (1,)
    centred, target = X - X.mean(axis=0), y - y.mean()
    w, *_ = np.linalg.lstsq(centred.astype(np.float64), target, rcond=None)
    correlation = np.corrcoef(centred @ w, target)[0, 1]
    assert cca.correlations_[0] == pytest.approx(correlation, rel=1e-3)
    cosines = np.abs(cca.components_ @ w) / np.linalg.norm(cca.components_, axis=1) / np.linalg.norm(w)
    assert np.allclose(cosines, 1, atol=1e-3)


def test_canonical_directions_are_those_of_scikit_learn() -> None:
    decomposition = pytest.importorskip("sklearn.cross_decomposition")
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    assert decomposition is not None
    cca = CCAITQ(3, regularization=1e-9, random_state=0).fit(X, Y)
    lda = LinearDiscriminantAnalysis().fit(X, Y)
    ours, theirs = cca.decision_function(X), lda.transform(X)
    assert cca.correlations_.shape == (3,)
    assert (np.diff(cca.correlations_) < 0).all()
    before_rotation = ours @ cca.rotation_.T
    assert np.allclose(np.cov(before_rotation.T, bias=True), np.diag(cca.correlations_**2), atol=1e-4)
    # The same space: each can be read from the other.
    predicted = theirs @ np.linalg.lstsq(theirs, ours, rcond=None)[0]
    assert np.allclose(predicted, ours, atol=1e-2 * ours.std())
