"""The table of the layers of a network."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from fastcodes import nn

RNG = np.random.default_rng(5)


def test_a_summary_counts_parameters_bits_and_products() -> None:
    model = nn.Sequential(
        nn.BinaryConv2D(4, 3, padding="same", pad_value=0), nn.BatchNorm(), nn.Sign(),
        nn.Residual(nn.BinaryConv2D(4, 3, padding=1, groups=2), nn.BatchNorm()),
        nn.Quantize(2), nn.MaxPool2D(2), nn.Flatten(), nn.BinaryDense(5, use_bias=True), nn.Dense(3),
        random_state=0,
    )  # fmt: skip
    with pytest.raises(nn.NotFittedError, match=r"This Sequential does not know its shapes yet. Call"):
        model.summary()
    expected = [
        # output, parameters, bits, float multiply-adds, bit operations
        ("BinaryConv2D", "(6, 8, 4)", 9 * 2 * 4, 72, 48 * 72, 0),
        ("BatchNorm", "(6, 8, 4)", 8, 16 * 32, 0, 0),
        ("Sign", "(6, 8, 4)", 0, 0, 0, 0),
        ("Residual", "(6, 8, 4)", 0, 0, 0, 0),
        ("BinaryConv2D", "(6, 8, 4)", 9 * 2 * 4, 72, 0, 48 * 72),
        ("BatchNorm", "(6, 8, 4)", 8, 16 * 32, 0, 0),
        ("Quantize", "(6, 8, 4)", 0, 0, 0, 0),
        ("MaxPool2D", "(3, 4, 4)", 0, 0, 0, 0),
        ("Flatten", "(48,)", 0, 0, 0, 0),
        ("BinaryDense", "(5,)", 240 + 5, 240 + 160, 0, 2 * 240),
        ("Dense", "(3,)", 15 + 3, 18 * 32, 15, 0),
        ("total", "", 423, 72 + 512 + 72 + 512 + 400 + 576, 48 * 72 + 15, 48 * 72 + 480),
    ]

    def table() -> list[Any]:
        rows = [re.split(r"  +", line.strip()) for line in model.summary().splitlines()]
        assert rows[0] == ["layer", "output", "parameters", "bits", "float MACs", "bit operations"]
        return [
            (re.split(r"\W", row[0])[0], "" if row[0] == "total" else row[1], *map(int, row[-4:]))
            for row in rows[1:]
        ]

    model.build((6, 8, 2))
    assert table() == expected
    model.fit(RNG.integers(256, size=(9, 6, 8, 2), dtype=np.uint8), np.arange(9) % 3, epochs=1)
    assert table()[0] == ("BinaryConv2D", "(6, 8, 4)", 72, 72, 0, 8 * 48 * 72)  # pixels have 8 bits
