"""All layers: gradients, settings, and shapes that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastcodes import nn
from networks import (
    IMAGES,
    KINDS,
    built,
    check_gradients,
)

RNG = np.random.default_rng(5)

LAYERS: list[tuple[Any, tuple[int, ...]]] = [
    (nn.Dense(4), (5,)),
    (nn.Dense(4, use_bias=False), (5,)),
    (nn.BinaryDense(4, use_bias=True), (5,)),
    (nn.BinaryDense(4, weights="xnor"), (5,)),
    (nn.BinaryDense(4, weights="libra"), (5,)),
    (nn.Conv2D(4, 3), (5, 4, 2)),
    (nn.Conv2D(4, 3, padding="same", use_bias=False), (5, 4, 2)),
    (nn.Conv2D(4, 3, stride=2, padding="same"), (6, 5, 2)),
    (nn.Conv2D(4, (2, 3), padding=2, stride=2, dilation=2), (5, 6, 2)),
    (nn.Conv2D(4, 3, padding=1, groups=2), (4, 4, 6)),
    (nn.Conv2D(4, 2, groups=4, dilation=2), (4, 4, 4)),
    (nn.Conv2D(3, 1), (3, 4, 2)),
    (nn.BinaryConv2D(4, 3, padding=1, pad_value=1, weights="xnor", use_bias=True), (4, 4, 2)),
    (nn.BinaryConv2D(4, 3, padding="same", pad_value=0, weights="libra", groups=2), (4, 3, 2)),
    (nn.BatchNorm(), (4,)),
    (nn.BatchNorm(epsilon=0.1), (3, 2, 4)),
    (nn.MaxPool2D(2), (4, 6, 3)),
    (nn.MaxPool2D(2), (5, 7, 3)),
    (nn.MaxPool2D(3, stride=2), (7, 8, 2)),
    (nn.MaxPool2D(2, stride=3), (7, 6, 2)),
    (nn.Flatten(), (2, 3, 2)),
    (nn.HardTanh(), (6,)),
    (nn.Residual(nn.Dense(6), nn.HardTanh(), nn.Dense(5)), (5,)),
    (nn.Residual(nn.Conv2D(4, 3, stride=2), shortcut=[nn.Conv2D(4, 1, stride=3)]), (5, 5, 2)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=[repr(layer) for layer, _ in LAYERS])
def test_gradients_are_those_of_differences(layer: Any, shape: tuple[int, ...]) -> None:
    x = RNG.normal(size=(3, *shape))
    built(layer, shape)
    check_gradients(layer, x)
    assert layer.forward(x).shape == (3, *layer.output_shape)


def test_representations() -> None:
    model = nn.Sequential(
        nn.BinaryDense(8, weights="xnor"), nn.Residual(nn.Sign(), nn.Dense(8)), nn.Dropout(0.5)
    )
    assert repr(model) == (
        "Sequential(BinaryDense(units=8, weights='xnor'), Residual(Sign(), Dense(units=8)), "
        "Dropout(rate=0.5))"
    )
    assert (
        repr(nn.Residual(nn.Flatten(), shortcut=[nn.Flatten()]))
        == "Residual(Flatten(), shortcut=(Flatten(),))"
    )


@pytest.mark.parametrize(
    ("layers", "x", "message"),
    [
        (
            [nn.Dense(2)],
            IMAGES,
            r"layer 0, Dense\(units=2\): expects vectors; got .* \(8, 8, 2\). Put Flatten\(\) before",
        ),
        (
            [nn.Flatten(), nn.Conv2D(4, 3)],
            IMAGES,
            r"layer 1, Conv2D.*expects images .* Put it before Flatten\(\)",
        ),
        ([nn.MaxPool2D()], IMAGES[..., 0], r"layer 0, MaxPool2D\(\): expects images.*X\[..., np.newaxis\]"),
        (
            [nn.Conv2D(4, 9)],
            IMAGES,
            r"a kernel of \(9, 9\) with dilation 1 does not fit into images of \(8, 8\) with",
        ),
        ([nn.MaxPool2D(9)], IMAGES, r"a window of size 9 does not fit into images of \(8, 8\)"),
        ([nn.Conv2D(4, 3, groups=4)], IMAGES, "groups=4 must divide both the 2 channels and the 4 filters"),
        (
            [nn.Flatten(), nn.Residual(nn.Dense(3))],
            IMAGES,
            r"layer 1, Residual\(Dense\(units=3\)\): its layers turn shape \(128,\) into \(3,\), which can",
        ),
        (
            [nn.Flatten(), nn.Dense(3)],
            IMAGES,
            r"an output for each of the 2 classes in y; its output has the shape \(3,\)",
        ),
        (
            [nn.Conv2D(2, 3)],
            IMAGES,
            r"the 2 classes in y; its output has the shape \(6, 6, 2\). End with Flatten",
        ),
    ],
)
def test_layers_that_cannot_work(layers: list[Any], x: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nn.Sequential(*layers).fit(x, KINDS)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.BatchNorm(momentum=1), "momentum must be a real number at least 0 and below 1; got 1"),
        (lambda: nn.BatchNorm(epsilon=0), "epsilon must be a real number above 0; got 0"),
        (lambda: nn.Dropout(1), "rate must be a real number at least 0 and below 1; got 1"),
        (lambda: nn.Dense(0), "units must be an integer from 1 to 16777216; got 0"),
        (lambda: nn.BinaryDense(3, weights="ternary"), 'weights must be "sign", "xnor" or "libra"; got'),
        (
            lambda: nn.BinaryDense(3, estimator="straight-through"),
            'estimator must be "clipped", "app',
        ),
        (lambda: nn.Sign("clipped"), 'estimator must be "straight-through", "approximate" or "error-decay"'),
        (lambda: nn.Quantize(1), "n_bits must be an integer from 2 to 8; got 1"),
        (
            lambda: nn.Conv2D(3, (3, 3, 3)),
            r"kernel_size must be an integer or a pair of them; got \(3, 3, 3\)",
        ),
        (
            lambda: nn.Conv2D(3, 3, padding="full"),
            'padding must be "valid", "same" or an integer; got \'full\'',
        ),
        (lambda: nn.Conv2D(3, 3, padding=-1), "padding must be an integer from 0 up; got -1"),
        (lambda: nn.BinaryConv2D(3, 3, pad_value=2), "pad_value must be an integer from -1 to 1; got 2"),
    ],
)
def test_wrong_settings(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_wrong_types_of_settings() -> None:
    with pytest.raises(
        TypeError, match=r"units must be an integer from 1 to 16777216; got 2.5 of type float"
    ):
        nn.Dense(2.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="use_bias must be True or False; got 1 of type int"):
        nn.Dense(2, use_bias=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Residual expects at least one layer"):
        nn.Residual()
