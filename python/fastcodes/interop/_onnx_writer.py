"""The nodes of ONNX that `to_onnx` writes."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

import numpy as np

from fastcodes._typing import Array
from fastcodes.nn import (
    BatchNorm,
    BinaryConv2D,
    BinaryDense,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    HardTanh,
    Layer,
    MaxPool2D,
    Quantize,
    Residual,
    Sign,
)
from fastcodes.nn.layers import Product

__all__ = ["Writer"]

_LAYERS = (
    BatchNorm, BinaryConv2D, BinaryDense, Conv2D, Dense, Dropout, Flatten, HardTanh, MaxPool2D, Quantize,
    Residual, Sign,
)  # fmt: skip


class Writer:
    """The nodes and constants of a graph."""

    def __init__(self, onnx: ModuleType) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """Add a constant, and return its name."""
        name = f"constant {len(self.constants)}"
        array = np.ascontiguousarray(values, dtype).reshape(np.shape(values))
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node, and return the name of its output."""
        name = f"{operator} {len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def write_all(self, layers: Iterable[Layer], x: str, prefix: str) -> str:
        """Add the nodes of layers, and return the name of their output."""
        for i, layer in enumerate(layers):
            x = self.write(layer, x, f"{prefix}{i}")
        return x

    def write(self, layer: Layer, x: str, name: str) -> str:
        """Add the nodes of a layer, and return the name of its output."""
        if type(layer) not in _LAYERS:
            raise TypeError(f"model has a layer that ONNX cannot express here: {name}, {layer!r}")
        if isinstance(layer, Dropout):
            return x
        if isinstance(layer, Residual):
            branch = self.write_all(layer.layers, x, f"{name}.")
            return self.add("Add", branch, self.write_all(layer.shortcut, x, f"{name}.shortcut "))
        if isinstance(layer, BatchNorm):
            x = self.add("Sub", x, self.constant(layer.state["mean"]))
            x = self.add("Mul", x, self.constant(layer.factor()))
            return self.add("Add", x, self.constant(layer.parameters["beta"].value))
        if isinstance(layer, Sign):
            is_positive = self.add("GreaterOrEqual", x, self.constant(0.0))
            return self.add("Where", is_positive, self.constant(1.0), self.constant(-1.0))
        if isinstance(layer, HardTanh):
            return self.add("Clip", x, self.constant(-1.0), self.constant(1.0))
        if isinstance(layer, Quantize):
            half = 2.0 ** (layer.n_bits - 1)
            x = self.add("Floor", self.add("Mul", x, self.constant(half)))
            x = self.add("Clip", x, self.constant(-half), self.constant(half - 1))
            return self.add("Add", self.add("Mul", x, self.constant(2.0)), self.constant(1.0))
        if isinstance(layer, MaxPool2D):
            sizes = {"kernel_shape": [layer.size] * 2, "strides": [layer.step] * 2}
            return self._as_images("MaxPool", x, **sizes)
        if isinstance(layer, Product):
            return self._product(layer, x)
        return self.add("Flatten", x)

    def _product(self, layer: Product, x: str) -> str:
        matrix, scale = layer.matrix()
        if isinstance(layer, Conv2D):
            weights = matrix.reshape(*layer.kernel_size, -1, layer.filters).transpose(3, 2, 0, 1)
            (top, bottom), (left, right) = layer.pads
            pads = [top, left, bottom, right]
            if layer.pad_value and any(pads):
                widths = self.constant([0, top, left, 0, 0, bottom, right, 0], np.int64)
                x = self.add("Pad", x, widths, self.constant(float(layer.pad_value)))
                pads = [0] * 4
            x = self._as_images(
                "Conv",
                x,
                self._weights(layer, weights),
                kernel_shape=list(layer.kernel_size),
                strides=[layer.stride] * 2,
                dilations=[layer.dilation] * 2,
                group=layer.groups,
                pads=pads,
            )
        else:
            x = self.add("MatMul", x, self._weights(layer, matrix))
        if scale is not None:
            x = self.add("Mul", x, self.constant(scale))
        return self.add("Add", x, self.constant(layer.parameters["bias"].value)) if layer.use_bias else x

    def _weights(self, layer: Product, weights: Array) -> str:
        if layer.quantizer is None:
            return self.constant(weights)
        return self.add("Cast", self.constant(weights, np.int8), to=self.onnx.TensorProto.FLOAT)

    def _as_images(self, operator: str, x: str, *inputs: str, **attributes: Any) -> str:
        """Add a node that takes and gives images with channels first."""
        x = self.add("Transpose", x, perm=[0, 3, 1, 2])
        return self.add("Transpose", self.add(operator, x, *inputs, **attributes), perm=[0, 2, 3, 1])
