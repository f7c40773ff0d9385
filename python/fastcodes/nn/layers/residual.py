"""Residual blocks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastcodes._typing import Array
from fastcodes._validation import as_list, describe
from fastcodes.nn.layers.base import Layer, Shape, layer_from_config

__all__ = ["Residual"]


class Residual(Layer):
    """Add the input to the output of a few layers (He et al., CVPR 2016, equations 1 and 2).

    Parameters
    ----------
    *layers : Layer
        Applied one after the other.
    shortcut : sequence of Layer
        Layers on the shortcut, for blocks that change the shape.

    Examples
    --------
    >>> from fastcodes import nn
    >>> block = nn.Residual(nn.Sign(), nn.BinaryDense(8), nn.BatchNorm())
    >>> nn.Sequential(block).build((8,)).layers[0].output_shape
    (8,)
    """

    def __init__(self, *layers: Layer, shortcut: Iterable[Layer] = ()) -> None:
        super().__init__()
        self.layers = layers
        self.shortcut = tuple(as_list(shortcut, "shortcut", "layers"))
        self.children = (*self.layers, *self.shortcut)
        if not layers or not all(isinstance(layer, Layer) for layer in self.children):
            raise TypeError(
                "Residual expects at least one layer, and layers alone in shortcut; "
                f"got {describe(self.children)}"
            )

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        ends = []
        for layers in (self.layers, self.shortcut):
            end = shape
            for layer in layers:
                end = layer.build(end, rng)
            ends.append(end)
        if ends[0] != ends[1]:
            raise ValueError(
                f"its layers turn shape {shape} into {ends[0]}, which cannot be added to {ends[1]}; "
                f"give the last layer matching outputs, or a shortcut= that ends with shape {ends[0]}"
            )
        return ends[0]

    def config(self) -> dict[str, Any]:
        """Return the class name and the layers of both branches, as JSON values."""
        return {
            "layer": type(self).__name__,
            "layers": [layer.config() for layer in self.layers],
            "shortcut": [layer.config() for layer in self.shortcut],
        }

    @classmethod
    def _from_arguments(cls, arguments: dict[str, Any]) -> Layer:
        layers, shortcut = (map(layer_from_config, arguments[name]) for name in ("layers", "shortcut"))
        return cls(*layers, shortcut=shortcut)

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return the sum of both branches."""
        out, short = x, x
        for layer in self.layers:
            out = layer.forward(out, training=training)
        for layer in self.shortcut:
            short = layer.forward(short, training=training)
        total: Array = out + short
        return total

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Return the sum of the gradients of both branches."""
        out, short = gradient, gradient
        for layer in reversed(self.layers):
            out = layer.backward(out)
        for layer in reversed(self.shortcut):
            short = layer.backward(short)
        total: Array = out + short
        return total

    def __repr__(self) -> str:
        """Show the layers."""
        shortcut = [f"shortcut={self.shortcut!r}"] if self.shortcut else []
        return f"Residual({', '.join([*map(repr, self.layers), *shortcut])})"
