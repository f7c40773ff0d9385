"""Fully connected layers."""

from __future__ import annotations

import numpy as np
import pytest
from fastcodes import nn, xnor

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("weights", ["sign", "xnor", "libra"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (64, 10), (65, 300), (784, 64)])
def test_a_product_of_signs_is_that_of_floats(
    shape: tuple[int, int], weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_bits = []
    matmul = xnor.matmul
    monkeypatch.setattr(xnor, "matmul", lambda *args, **kw: by_bits.append(True) or matmul(*args, **kw))
    layer = nn.BinaryDense(shape[1], weights=weights)
    layer.build(shape[:1], np.random.default_rng(0))
    signs, scale = layer.matrix()
    for values in ([-1, 1], [-1, 0, 1], range(256)):  # by packed bits, and two by floats
        x = RNG.choice(np.array(values, np.float32), size=(9, shape[0]))
        expected = (x.astype(int) @ signs.astype(int)).astype(np.float32)
        found = layer.forward(x, training=True)
        assert found.dtype == np.float32
        assert np.array_equal(found, expected if scale is None else expected * scale)
    assert by_bits == [True]
