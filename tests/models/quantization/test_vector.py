"""Vector quantizers."""

from __future__ import annotations

import numpy as np
import pytest
from fastcodes.quantization import VectorQuantizer
from models.quantization.cases import X, nearest


@pytest.mark.parametrize("n_codewords", [1, 40, 256, 257])
def test_a_vector_quantizer_gives_the_nearest_codeword(n_codewords: int) -> None:
    vq = VectorQuantizer(n_codewords, random_state=0, max_iter=5).fit(X)
    codes = vq.encode(X)
    assert codes.shape == (1500, 1)
    assert codes.dtype == (np.uint8 if n_codewords <= 256 else np.uint16)
    expected, d = nearest(X, vq.codebook_[None])
    assert (codes == expected).mean() > 0.999
    assert np.array_equal(vq.decode(codes), vq.codebook_[codes[:, 0]])
    assert vq.quantization_error(X) == pytest.approx(d.min(axis=2).mean(), rel=1e-4)
    assert (np.diff(vq.objective_history_) <= 0).all()
