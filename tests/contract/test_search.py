"""Unusual arguments of searches that are right."""

from __future__ import annotations

import numpy as np
import pytest
from contract.kit import A, B
from fastcodes import hamming, jaccard


@pytest.mark.parametrize("family", ["hamming", "jaccard"])
def test_unusual_arguments_that_are_right(family: str) -> None:
    knn = {"hamming": hamming, "jaccard": jaccard}[family].knn
    assert knn(A, B, 0)[0].shape == (5, 0)
    assert knn(A, B, 0, threads=2**62)[0].shape == (5, 0)
    assert knn(A, B, np.uint8(2))[0].shape == (5, 2)
    assert knn(A[:0], B, 2**20)[0].shape == (0, 2**20)
    assert (knn(A, B, 21, mask=np.zeros(20, bool))[1] == -1).all()
