"""Graphs of ONNX as layers, as `from_onnx` reads them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from fastcodes._typing import Array, Floats, Ids
from fastcodes.nn import (
    BatchNorm,
    BinaryConv2D,
    BinaryDense,
    Conv2D,
    Dense,
    Flatten,
    HardTanh,
    Layer,
    MaxPool2D,
    Residual,
    Sign,
)
from fastcodes.nn.layers import MAX_UNITS, Product, Shape
from fastcodes.nn.quantizers import Fixed

__all__ = ["OPSET", "Reader", "Value", "first_line"]

OPSET = 17  # of graphs that are written
_OLDEST_OPSET = 11  # before, limits of Clip and widths of Pad are attributes
_IMAGE = (1, 2, 0)  # height, width and channels are these axes of a sample of ONNX
_Border: TypeAlias = tuple[tuple[int, int], tuple[int, int]]  # above and below, left and right
_NO_BORDER: _Border = ((0, 0), (0, 0))
_STANDARD = ("", "ai.onnx")
_QONNX = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")


def first_line(error: Exception) -> str:
    """Return the first line of an error message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@dataclass(frozen=True)
class Value:
    """A value of the graph, as layers after the input. What the graph has is ``scale * value + offset``."""

    layers: tuple[Layer, ...]
    shape: Shape  # of a sample here
    axes: tuple[int, ...]  # axis i of a sample here is axis axes[i] there
    order: Ids | None = None  # of a flattened image: feature i here is feature order[i] there
    is_signs: bool = False  # otherwise scale is 1 and offset 0
    scale: float = 1.0
    offset: float = 0.0
    zero: str = ""  # the node that gives 0 for 0, where the layers give +1
    border: _Border = _NO_BORDER  # around the image
    is_bytes: bool = False  # uint8 in the graph, before a Cast
    border_value: float = 0.0  # what the graph has there, if there is a border


class Reader:
    """A graph as layers."""

    def __init__(self, model: Any, onnx: ModuleType, zero_is_positive: bool) -> None:
        self.onnx = onnx
        self.graph = model.graph
        self.zero_is_positive = zero_is_positive
        self.opsets = {opset.domain: opset.version for opset in model.opset_import}
        self.constants: dict[str, Array] = {}
        self.values: dict[str, Value] = {}
        self.rng = np.random.default_rng(0)
        self.n_numbers = 0
        self.most_numbers = _MOST_NUMBERS
        self.n_layers = 0
        self.costs: dict[Layer, tuple[int, int, int]] = {}  # layers, their numbers, nested sums

    def read(self) -> Value:
        """Return the output of the graph."""
        opset = self.opsets.get("", self.opsets.get("ai.onnx", _OLDEST_OPSET))
        if opset < _OLDEST_OPSET:
            raise ValueError(
                f"model has opset {opset}; expected {_OLDEST_OPSET} or higher, as "
                f"onnx.version_converter.convert_version(model, {OPSET}) makes it"
            )
        for initializer in self.graph.initializer:
            self.constants[initializer.name] = self._array(initializer)
        nodes = [node for node in self.graph.node if not self._named(node, self._fold)]
        if len(self.graph.output) != 1:
            raise ValueError(f"model has {len(self.graph.output)} outputs; expected one, (n, n_classes)")
        output = self.graph.output[0].name
        if nodes and nodes[-1].op_type == "Softmax" and list(nodes[-1].output) == [output]:
            if _attributes(nodes[-1]).get("axis", -1) not in (-1, 1):
                raise _refused(nodes[-1], "is along another axis than that of classes, 1")
            output = nodes.pop().input[0]
        self._read_input(nodes)
        for node in nodes:
            self._named(node, self._translate)
        if output not in self.values:
            raise ValueError(f'model has an output "{output}" that does not depend on its input')
        value = self._plain(self.values[output])
        if not value.layers:
            raise ValueError(f'model has an output "{output}" that is its input; expected layers between')
        if len(value.shape) != 1 or value.order is not None:
            raise ValueError(
                f"model ends with samples of shape {value.shape}, or with a flattened image; expected a "
                "number for each class, as a MatMul or Gemm gives it"
            )
        return value

    def _array(self, tensor: Any) -> Array:
        try:
            array: Array = self.onnx.numpy_helper.to_array(tensor)
        except (KeyError, TypeError, ValueError) as error:  # KeyError: an unknown dtype
            raise ValueError(f'model has a constant "{tensor.name}" that is damaged: {error}') from None
        self.most_numbers += _USES * _n_numbers(array)
        return array

    def _named(self, node: Any, function: Callable[[Any], Any]) -> Any:
        """Return the result of a function of a node, whose errors name the node."""
        try:
            return function(node)
        except _RefusedError:
            raise
        except (AttributeError, IndexError):
            raise _refused(node, "lacks an input or output, or has an axis that is not there") from None
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:  # KeyError: an unknown dtype
            raise _refused(node, f"cannot be represented: {first_line(error)}") from None

    def _read_input(self, nodes: Sequence[Any]) -> None:
        inputs = [given for given in self.graph.input if given.name not in self.constants]
        if len(inputs) != 1:
            names = [given.name for given in inputs]
            raise ValueError(f"model has the inputs {names}; expected one, the samples")
        kind = inputs[0].type.tensor_type
        types = self.onnx.TensorProto
        if kind.elem_type not in (types.FLOAT, types.UINT8):
            raise ValueError(f'model takes "{inputs[0].name}" of another dtype than float32 and uint8')
        lengths = [dimension.dim_value for dimension in kind.shape.dim][1:]
        if not lengths or not all(1 <= length <= MAX_UNITS for length in lengths):
            raise ValueError(
                f'model takes "{inputs[0].name}" with samples of shape {tuple(lengths)}, where 0 is an '
                f"unknown length; expected 1 to {MAX_UNITS}, as onnx.tools.update_model_dims sets them"
            )
        self.takes_pixels = kind.elem_type == types.UINT8
        # Where images are transposed first, or never looked at as images, samples are those of the graph.
        is_image = len(lengths) == 3 and next(filter(None, map(self._layout, nodes)), "") == "image"
        axes = _IMAGE if is_image else tuple(range(len(lengths)))
        self.input_shape = tuple(lengths[axis] for axis in axes)
        self.values[inputs[0].name] = Value((), self.input_shape, axes, is_bytes=self.takes_pixels)

    def _layout(self, node: Any) -> str:
        """Return how a node takes samples of three axes, if that matters."""
        if node.op_type in ("Transpose", "Flatten", "Reshape"):
            return "any"
        shapes = [self.constants[name].shape for name in node.input if name in self.constants]
        has_channels = any(len(s) > 2 and s[-3] > 1 and s[-2:] == (1, 1) for s in shapes)
        return "image" if has_channels or node.op_type in ("Conv", "MaxPool", "BatchNormalization") else ""

    # --- constants ------------------------------------------------------------------------------------------

    def _fold(self, node: Any) -> bool:
        """Compute a node of constants; return whether it was one."""
        if any(name and name not in self.constants for name in node.input):
            return False
        options = _attributes(node)
        if node.op_type == "Constant":
            value = next((options[name] for name in options if name.startswith("value")), None)
            is_tensor = isinstance(value, self.onnx.TensorProto)
            self.constants[node.output[0]] = self._array(value) if is_tensor else np.asarray(value)
            return True
        inputs = [self.constants[name] if name else None for name in node.input]
        array = self._computed(node, options, inputs)
        self._spend(_n_numbers(array))
        self.constants[node.output[0]] = array
        return True

    def _computed(self, node: Any, options: dict[str, Any], inputs: list[Any]) -> Array:
        kind = node.op_type
        if kind == "Cast":
            dtype = self.onnx.helper.tensor_dtype_to_np_dtype(options["to"])
            array: Array = inputs[0].astype(dtype)
            return array
        if kind == "Transpose":
            return np.transpose(inputs[0], options.get("perm"))
        if kind == "Reshape":
            shape = [inputs[0].shape[i] if n == 0 else int(n) for i, n in enumerate(inputs[1])]
            return np.reshape(inputs[0], shape)
        if kind == "DequantizeLinear":
            codes, scale, zero = inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else None
            zero = 0 if zero is None else zero.astype(np.float32)
            if scale.ndim:
                along = [1] * codes.ndim
                along[options.get("axis", 1)] = -1
                scale, zero = scale.reshape(along), np.reshape(zero, along) if np.ndim(zero) else zero
            return _like_largest(np.multiply, codes.astype(np.float32) - zero, scale)
        if kind == "BipolarQuant" and node.domain in _QONNX:
            return _like_largest(np.multiply, np.where(inputs[0] >= 0, np.float32(1), -1), inputs[1])
        if kind in _FOLDED and node.domain in _STANDARD:
            return _like_largest(_FOLDED[kind], *inputs)
        raise _refused(node, "computes a constant in a way that is not supported")

    def _constant(self, name: str) -> Array:
        if name not in self.constants:
            raise ValueError(f'its input "{name}" is not a constant')
        return self.constants[name]

    def _floats(self, name: str) -> Floats:
        """Return a constant as finite float32."""
        floats = np.asarray(self._constant(name), np.float32)
        _check_finite(floats)
        return floats

    def _along_channels(self, constant: Floats, value: Value) -> Floats:
        """Return a constant beside a value as one number, or one for each channel or feature."""
        if constant.size == 1:
            return constant.reshape(1)
        rank = len(value.axes) + 1
        shape = (1,) * (rank - constant.ndim) + constant.shape
        channel = value.axes[-1] + 1
        if len(shape) != rank or constant.size != value.shape[-1] or shape[channel] != constant.size:
            raise ValueError(
                f"it has a constant of shape {constant.shape}; expected one number, or one for each of the "
                f"{value.shape[-1]} channels or features"
            )
        vector = constant.reshape(-1)
        return vector if value.order is None else vector[value.order]

    # --- values ---------------------------------------------------------------------------------------------

    def _translate(self, node: Any) -> None:
        domains = _QONNX if node.op_type == "BipolarQuant" else _STANDARD
        if node.op_type not in _OPERATORS or node.domain not in domains:
            domain = f" in the domain {node.domain}" if node.domain not in _STANDARD else ""
            raise _refused(node, f"has no counterpart here{domain}; expected {', '.join(_OPERATORS)}")
        if node.op_type in _WRAPPING and any(
            name in self.values and self.values[name].is_bytes for name in node.input
        ):
            raise _refused(node, "computes with uint8, which wraps around; expected a Cast to float32 first")
        self.values[node.output[0]] = _OPERATORS[node.op_type](self, node)

    def _value(self, name: str) -> Value:
        if name not in self.values:
            raise ValueError(
                f'its input "{name}" does not depend on the samples, or is a second output of a node'
            )
        return self.values[name]

    def _settled(self, value: Value) -> Value:
        """Return a value, unless a sign before it may be 0, or a border is around it."""
        if value.zero:
            self._check_zero(value.zero)
        if any(map(any, value.border)):
            raise ValueError("it follows a Pad, which is supported before a Conv only")
        return dataclasses.replace(value, zero="")

    def _check_zero(self, name: str) -> None:
        if not self.zero_is_positive:
            raise _RefusedError(
                f'node "{name}" maps 0 to 0 or -1, and a bit would map it to +1. If its input is never '
                "exactly 0, as after a batch normalization, give zero_is_positive=True"
            )

    def _plain(self, value: Value) -> Value:
        """Return a value without a scale and an offset."""
        value = self._settled(value)
        scale, offset = np.array([value.scale], np.float32), np.array([value.offset], np.float32)
        value = dataclasses.replace(value, scale=1.0, offset=0.0, is_signs=False)
        value = self._multiplied(value, scale) if scale != 1 else value
        return self._shifted(value, offset) if offset != 0 else value

    def _then(self, value: Value, layer: Layer, **changes: Any) -> Value:
        """Return the output of a layer."""
        self._spend_layers(1)
        layer.build(value.shape, self.rng)
        numbers = [*(parameter.value for parameter in layer.parameters.values()), *layer.state.values()]
        self.costs[layer] = 1, sum(array.size for array in numbers), 0
        return dataclasses.replace(
            value, layers=(*value.layers, layer), shape=layer.output_shape, **{"is_signs": False, **changes}
        )

    def _affine(self, value: Value, mean: Floats, factor: Floats, beta: Floats) -> Value:
        """Return ``(value - mean) * factor + beta``."""
        self._spend(4 * value.shape[-1])
        _check_finite(mean, factor, beta)
        value = self._then(value, BatchNorm(epsilon=_NO_EPSILON))
        layer = value.layers[-1]
        layer.state["mean"][:] = mean
        layer.parameters["gamma"].value[:] = factor
        layer.parameters["beta"].value[:] = beta
        return value

    def _spend(self, n: int) -> None:
        """Refuse graphs that make many numbers of few."""
        self.n_numbers += n
        if self.n_numbers > self.most_numbers:
            raise ValueError(
                f"it and the nodes before it expand constants to more than {self.most_numbers} numbers"
            )

    def _spend_layers(self, n: int) -> None:
        self.n_layers += n
        if self.n_layers > _MOST_LAYERS:
            raise ValueError(f"it and the nodes before it make more than {_MOST_LAYERS} layers")

    def _last_affine(self, value: Value) -> tuple[Floats, Floats, Floats] | None:
        """Return mean, factor and beta of the last layer, if `_affine` made it."""
        layer = value.layers[-1] if value.layers else None
        if not isinstance(layer, BatchNorm) or layer.epsilon != _NO_EPSILON:
            return None
        return layer.state["mean"], layer.parameters["gamma"].value, layer.parameters["beta"].value

    def _without_last(self, value: Value) -> Value:
        return dataclasses.replace(value, layers=value.layers[:-1])

    def _multiplied(self, value: Value, factor: Floats) -> Value:
        last = self._last_affine(value)
        if last is not None and (last[1] == 1).all() and not last[2].any():
            return self._affine(self._without_last(value), last[0], factor, last[2])
        return self._affine(value, _ZERO, factor, _ZERO)

    def _shifted(self, value: Value, shift: Floats) -> Value:
        last = self._last_affine(value)
        if last is not None and not (last[1] == 1).all() and not last[2].any():
            return self._affine(self._without_last(value), last[0], last[1], shift)
        return self._affine(value, -shift, _ONE, _ZERO)

    def _scaled(self, value: Value, factor: Floats, shift: Floats) -> Value:
        """Return a value times a factor, plus a shift."""
        if value.is_signs and factor.size == shift.size == 1:
            by, plus = factor.item(), shift.item()
            return dataclasses.replace(
                value,
                scale=value.scale * by,
                offset=value.offset * by + plus,
                border_value=value.border_value * by + plus,
            )
        value = self._plain(value)
        factor, shift = self._along_channels(factor, value), self._along_channels(shift, value)
        value = self._multiplied(value, factor) if (factor != 1).any() else value
        return self._shifted(value, shift) if shift.any() else value

    # --- operators ------------------------------------------------------------------------------------------

    def _read_identity(self, node: Any) -> Value:
        return self._value(node.input[0])

    def _read_dropout(self, node: Any) -> Value:
        if len(node.input) > 2 and node.input[2] and self._constant(node.input[2]).any():
            raise ValueError("it drops values, as in training")
        return self._value(node.input[0])

    def _read_cast(self, node: Any) -> Value:
        if _attributes(node)["to"] != self.onnx.TensorProto.FLOAT:
            raise ValueError("it converts to another dtype than float32")
        return dataclasses.replace(self._value(node.input[0]), is_bytes=False)

    def _read_sign(self, node: Any) -> Value:
        value = self._value(node.input[0])
        if not value.is_signs:
            value = self._then(self._settled(value), Sign(), is_signs=True)
            return dataclasses.replace(value, zero=_name(node))
        if abs(value.offset) >= abs(value.scale):
            raise ValueError("it is the same for both signs")
        if value.zero and value.offset * value.scale < 0:
            self._check_zero(value.zero)
        zero = value.zero if value.offset == 0 else ""
        scale, number = np.sign([value.scale, value.border_value]).tolist()
        return dataclasses.replace(value, scale=scale, offset=0.0, zero=zero, border_value=number)

    def _read_bipolar_quant(self, node: Any) -> Value:
        value = self._then(self._plain(self._value(node.input[0])), Sign(), is_signs=True)
        return self._scaled(value, self._floats(node.input[1]), _ZERO)

    def _read_comparison(self, node: Any) -> Value:
        left, right = node.input[:2]
        is_greater = node.op_type.startswith("Greater")
        if left in self.constants:
            left, right, is_greater = right, left, not is_greater
        has_equal = node.op_type.endswith("OrEqual")
        value = self._plain(self._value(left))
        threshold = self._along_channels(self._floats(right), value)
        if threshold.any():
            value = self._shifted(value, -threshold)
        if has_equal != is_greater:
            self._check_zero(_name(node))
        # A boolean is 0 or 1.
        value = self._then(value, Sign(), is_signs=True)
        scale = 0.5 if is_greater else -0.5
        return dataclasses.replace(value, scale=scale, offset=0.5, is_bytes=False)

    def _read_not(self, node: Any) -> Value:
        return self._scaled(self._value(node.input[0]), -_ONE, _ONE)

    def _read_where(self, node: Any) -> Value:
        condition = self._settled(self._value(node.input[0]))
        if not condition.is_signs or abs(condition.scale) != 0.5 or condition.offset != 0.5:
            raise ValueError("its condition is not a comparison with a constant")
        chosen, other = (self._floats(name) for name in node.input[1:3])
        if chosen.size != 1 or other.size != 1:
            raise ValueError("it chooses among other values than two numbers")
        return self._scaled(condition, chosen.reshape(1) - other.reshape(1), other.reshape(1))

    def _read_clip(self, node: Any) -> Value:
        limits = [self._floats(name).tolist() if name else None for name in node.input[1:3]]
        if limits != [-1, 1]:
            raise ValueError(f"it clips to {limits}; expected [-1, 1], a HardTanh")
        return self._then(self._plain(self._value(node.input[0])), HardTanh())

    def _read_arithmetic(self, node: Any) -> Value:
        kind, (left, right) = node.op_type, node.input[:2]
        if left in self.values and right in self.values:
            if kind != "Add":
                raise ValueError("both of its inputs depend on the samples")
            return self._sum(self._plain(self._value(left)), self._plain(self._value(right)))
        if right in self.values and kind in ("Add", "Mul"):
            left, right = right, left
        if left in self.values:
            constant = self._floats(right)
            if kind == "Div":
                if not constant.all():
                    raise ValueError("it divides by 0")
                constant = _ONE / constant
            if kind in ("Mul", "Div"):
                return self._scaled(self._value(left), constant, _ZERO)
            return self._scaled(self._value(left), _ONE, -constant if kind == "Sub" else constant)
        if kind == "Sub":
            return self._scaled(self._value(right), -_ONE, self._floats(left))
        raise ValueError("it divides a constant by what depends on the samples")

    def _read_neg(self, node: Any) -> Value:
        return self._scaled(self._value(node.input[0]), -_ONE, _ZERO)

    def _sum(self, a: Value, b: Value) -> Value:
        """Return the sum of two branches that begin with the same layers."""
        is_same = a.order is b.order or (
            a.order is not None and b.order is not None and np.array_equal(a.order, b.order)
        )
        if a.shape != b.shape or a.axes != b.axes or not is_same:
            raise ValueError(f"it adds branches of shapes {a.shape} and {b.shape}, or of different layouts")
        n = 0
        while n < min(len(a.layers), len(b.layers)) and a.layers[n] is b.layers[n]:
            n += 1
        branches = sorted((a.layers[n:], b.layers[n:]), key=len)
        if not branches[1]:
            return self._multiplied(a, 2 * _ONE)
        # Both branches of a sum may have the same layers: the smaller one counts again.
        costs = [[self.costs[layer] for layer in branch] for branch in branches]
        n_layers = [sum(cost[0] for cost in branch) for branch in costs]
        n_numbers = [sum(cost[1] for cost in branch) for branch in costs]
        depth = 1 + max(cost[2] for branch in costs for cost in branch)
        if depth > _MOST_NESTED:
            raise ValueError(f"it is a sum of more than {_MOST_NESTED} sums in each other")
        self._spend_layers(1 + min(n_layers))
        self._spend(min(n_numbers))
        block = Residual(*branches[1], shortcut=branches[0])
        block.input_shape = a.layers[n - 1].output_shape if n else self.input_shape
        block.output_shape = a.shape
        self.costs[block] = 1 + sum(n_layers), sum(n_numbers), depth
        return dataclasses.replace(a, layers=(*a.layers[:n], block))

    def _read_batch_normalization(self, node: Any) -> Value:
        options = _attributes(node)
        if options.get("training_mode", 0):
            raise ValueError("it normalizes by the batch, as in training")
        value = self._plain(self._value(node.input[0]))
        if value.axes[-1] != 0:
            raise ValueError("it normalizes along another axis than that of channels or features")
        numbers = [self._floats(name).reshape(-1) for name in node.input[1:5]]
        if any(len(array) != value.shape[-1] for array in numbers):
            raise ValueError(f"its arrays have other lengths than {value.shape[-1]}")
        if value.order is not None:
            numbers = [array[value.order] for array in numbers]
        gamma, beta, mean, variance = numbers
        if (variance < 0).any():
            raise ValueError("it has a negative variance")
        return self._affine(value, mean, gamma / np.sqrt(variance + options.get("epsilon", 1e-5)), beta)

    def _read_transpose(self, node: Any) -> Value:
        value = self._value(node.input[0])
        n_axes = len(value.axes) + 1
        axes = _attributes(node).get("perm", list(range(n_axes))[::-1])
        if sorted(axes) != list(range(n_axes)) or axes[0] != 0:
            raise ValueError(f"it permutes axes as {axes}; expected the axis of samples to stay the first")
        return dataclasses.replace(value, axes=tuple(axes.index(axis + 1) - 1 for axis in value.axes))

    def _read_flatten(self, node: Any) -> Value:
        if _attributes(node).get("axis", 1) != 1:
            raise ValueError("it flattens other axes than those of a sample")
        value = self._value(node.input[0])
        if len(value.shape) == 1:
            return value
        if any(map(any, value.border)):
            value = self._settled(value)
        size = int(np.prod(value.shape, dtype=object))
        if size > MAX_UNITS:
            raise ValueError(f"it makes {size} features; expected at most {MAX_UNITS}")
        order = None
        if value.axes != tuple(range(len(value.axes))):
            self._spend(size)
            shape = [0] * len(value.axes)
            for axis, length in zip(value.axes, value.shape, strict=True):
                shape[axis] = length
            order = np.arange(size).reshape(shape).transpose(value.axes).ravel()
        return self._then(value, Flatten(), is_signs=value.is_signs, axes=(0,), order=order)

    def _read_reshape(self, node: Any) -> Value:
        value, shape = self._value(node.input[0]), self._constant(node.input[1]).tolist()
        size = int(np.prod(value.shape, dtype=object))
        if len(shape) != 2 or shape[1] not in (-1, size):
            raise ValueError(f"it reshapes to {shape}; expected [-1, {size}], a flattened sample")
        return self._read_flatten(self.onnx.helper.make_node("Flatten", node.input[:1], node.output))

    def _read_pad(self, node: Any) -> Value:
        value = self._settled(self._value(node.input[0]))
        if _attributes(node).get("mode", b"constant") != b"constant" or len(node.input) > 3:
            raise ValueError("it pads other axes than all, or by other values than a constant")
        widths = self._constant(node.input[1]).tolist()
        number = self._floats(node.input[2]).item() if len(node.input) > 2 and node.input[2] else 0.0
        n_axes = len(value.axes) + 1
        if len(widths) != 2 * n_axes or n_axes != 4:
            raise ValueError(f"it pads by {widths}; expected the border of images")
        pads = [(widths[axis + 1], widths[axis + 1 + n_axes]) for axis in value.axes]
        if any(pads[2]) or widths[0] or widths[n_axes] or min(map(min, pads)) < 0:
            raise ValueError(f"it pads by {widths}; expected only heights and widths to grow")
        return dataclasses.replace(value, border=(pads[0], pads[1]), border_value=number)

    def _read_max_pool(self, node: Any) -> Value:
        value = self._settled(self._value(node.input[0]))
        if value.scale < 0:
            value = self._plain(value)
        options = _window(node, value)
        size, step = options["kernel_shape"], options.get("strides", [1, 1])
        fits = (
            len(set(size)) == 1
            and len(set(step)) == 1
            and not any(options.get("pads", []))
            and not options.get("ceil_mode", 0)
            and set(options.get("dilations", [1])) == {1}
            and options.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
        )
        if not fits:
            raise ValueError("it has windows that are not square, not within the image, or dilated")
        return self._then(value, MaxPool2D(size[0], stride=step[0]), is_signs=value.is_signs)

    def _read_conv(self, node: Any) -> Value:
        value = self._value(node.input[0])
        border = value.border
        number = value.border_value if any(map(any, border)) else 0.0
        value, factor = self._operand(dataclasses.replace(value, border=_NO_BORDER, border_value=0.0))
        options = _window(node, value)
        weights, groups = self._floats(node.input[1]), options.get("group", 1)
        if weights.ndim != 4 or weights.shape[1] * groups != value.shape[2]:
            raise ValueError(
                f"it has weights of shape {weights.shape} in {groups} groups, and images of "
                f"{value.shape[2]} channels"
            )
        steps, spread = options.get("strides", [1, 1]), options.get("dilations", [1, 1])
        if len(set(steps)) != 1 or len(set(spread)) != 1:
            raise ValueError(f"it has the strides {steps} and dilations {spread}; expected equal ones")
        images, kernel = value.shape[:2], weights.shape[2:]
        automatic = options.get("auto_pad", b"NOTSET").decode()
        top, left, bottom, right = options.get("pads", [0] * 4)
        own = [(top, bottom), (left, right)] if automatic == "NOTSET" else list(_NO_BORDER)
        if automatic.startswith("SAME"):
            for i, (size, k) in enumerate(zip(images, kernel, strict=True)):
                padded = size + sum(border[i])
                total = (-(-padded // steps[0]) - 1) * steps[0] + spread[0] * (k - 1) + 1 - padded
                if total < -1:
                    raise ValueError(
                        f"it skips rows or columns with auto_pad {automatic}, of which runtimes choose "
                        "different ones; expected pads"
                    )
                total = max(total, 0)
                own[i] = total // 2, total - total // 2
            own = [pads[::-1] for pads in own] if automatic == "SAME_LOWER" else own
        if number and any(map(any, own)):
            raise ValueError("it adds a border of zeros to that of the Pad before it")
        pads = [(a[0] + b[0], a[1] + b[1]) for a, b in zip(border, own, strict=True)]
        bias = self._floats(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        filters = len(weights)
        matrix = weights.transpose(2, 3, 1, 0).reshape(-1, filters) * np.float32(factor)
        scale = _scale_of_signs(matrix)
        settings: dict[str, Any] = {"stride": steps[0], "dilation": spread[0], "groups": groups}
        make: Callable[..., Conv2D] = Conv2D
        if scale is not None:
            make, settings["pad_value"] = BinaryConv2D, _as_sign(number, factor)
        elif number:
            raise ValueError(f"it has weights that are not signs, and a border of {number}")
        for padding in ("valid", "same", pads[0][0]):
            layer = make(filters, kernel, padding=padding, use_bias=bias is not None, **settings)
            found = [layer._pad_of(size, k) for size, k in zip(images, layer.kernel_size, strict=True)]
            if found == pads:
                return self._product(value, layer, matrix, scale, bias)
        raise ValueError(
            f'it pads by {pads}, with auto_pad {automatic}; expected "same" or one width on all sides'
        )

    def _read_matmul(self, node: Any) -> Value:
        return self._dense(self._value(node.input[0]), self._floats(node.input[1]), None)

    def _read_gemm(self, node: Any) -> Value:
        options = _attributes(node)
        if options.get("transA", 0):
            raise ValueError("it transposes samples")
        weights = self._floats(node.input[1]) * np.float32(options.get("alpha", 1))
        bias = None
        if len(node.input) > 2 and node.input[2]:
            bias = self._floats(node.input[2]) * np.float32(options.get("beta", 1))
            if bias.ndim > 1 and len(bias) != 1:
                raise ValueError(f"it adds an array of shape {bias.shape}; expected one row")
        value = self._value(node.input[0])
        return self._dense(value, weights.T if options.get("transB", 0) else weights, bias)

    def _dense(self, value: Value, weights: Floats, bias: Floats | None) -> Value:
        value, factor = self._operand(value)
        if weights.ndim != 2 or len(value.shape) != 1 or len(weights) != value.shape[0]:
            raise ValueError(
                f"it multiplies samples of shape {value.shape} by weights of shape {weights.shape}; expected "
                "vectors, and a row of weights for each feature"
            )
        if value.order is not None:
            weights = weights[value.order]
        matrix = weights * np.float32(factor)
        scale = _scale_of_signs(matrix)
        make: Callable[..., Dense] = Dense if scale is None else BinaryDense
        layer = make(weights.shape[1], use_bias=bias is not None)
        return self._product(dataclasses.replace(value, order=None), layer, matrix, scale, bias)

    def _operand(self, value: Value) -> tuple[Value, float]:
        """Return the factor of a product as signs and their scale, or as floats and 1."""
        value = self._settled(value)
        if not value.is_signs or value.offset or not value.scale:
            return self._plain(value), 1.0
        return dataclasses.replace(value, scale=1.0), value.scale

    def _product(
        self, value: Value, layer: Product, matrix: Floats, scale: Floats | None, bias: Floats | None
    ) -> Value:
        _check_finite(matrix)
        self._spend(matrix.size)
        value = self._then(value, layer)
        parameter = layer.parameters["weights"]
        if scale is not None:
            matrix = np.where(matrix > 0, np.float32(1), np.float32(-1))
            layer.quantizer = parameter.quantizer = Fixed(None if (scale == 1).all() else scale)
        parameter.value[...] = matrix.reshape(parameter.value.shape)
        if bias is not None:
            layer.parameters["bias"].value[:] = bias.reshape(-1)
        return value


_OPERATORS: dict[str, Callable[[Reader, Any], Value]] = {
    "Add": Reader._read_arithmetic,
    "BatchNormalization": Reader._read_batch_normalization,
    "BipolarQuant": Reader._read_bipolar_quant,
    "Cast": Reader._read_cast,
    "Clip": Reader._read_clip,
    "Conv": Reader._read_conv,
    "Div": Reader._read_arithmetic,
    "Dropout": Reader._read_dropout,
    "Flatten": Reader._read_flatten,
    "Gemm": Reader._read_gemm,
    "Greater": Reader._read_comparison,
    "GreaterOrEqual": Reader._read_comparison,
    "Identity": Reader._read_identity,
    "Less": Reader._read_comparison,
    "LessOrEqual": Reader._read_comparison,
    "MatMul": Reader._read_matmul,
    "MaxPool": Reader._read_max_pool,
    "Mul": Reader._read_arithmetic,
    "Neg": Reader._read_neg,
    "Not": Reader._read_not,
    "Pad": Reader._read_pad,
    "Reshape": Reader._read_reshape,
    "Sign": Reader._read_sign,
    "Sub": Reader._read_arithmetic,
    "Transpose": Reader._read_transpose,
    "Where": Reader._read_where,
}
_WRAPPING = ("Add", "Div", "Mul", "Neg", "Sub")  # of uint8


def _divided(a: Array, b: Array) -> Array:
    """Return a quotient, truncated toward zero for integers."""
    if a.dtype.kind not in "iu" or b.dtype.kind not in "iu":
        return np.asarray(a / b)
    if not b.all():
        raise ValueError("it divides integers by 0")
    return np.asarray((a - np.fmod(a, b)) // b)


_FOLDED: dict[str, Callable[..., Any]] = {
    "Abs": np.abs,
    "Add": np.add,
    "Clip": lambda x, low=None, high=None: np.clip(x, low, high),
    "Div": _divided,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Identity": np.asarray,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Sign": np.sign,
    "Sub": np.subtract,
    "Where": np.where,
}
_ZERO, _ONE = np.zeros(1, np.float32), np.ones(1, np.float32)
_MOST_NUMBERS = 1 << 26  # of float32, besides this many for each in the file:
_USES = 16
_MOST_LAYERS = 1 << 12
_MOST_NESTED = 100  # sums in each other
_NO_EPSILON = 1e-9  # 1 + 1e-9 is 1 in float32


class _RefusedError(ValueError):
    """Raised for a node that cannot be represented."""


def _name(node: Any) -> str:
    return node.name or (node.output[0] if node.output else "")


def _refused(node: Any, why: str) -> _RefusedError:
    return _RefusedError(f'node "{_name(node)}" of type {node.op_type} {why}')


def _n_numbers(array: Array) -> int:
    """Return how many numbers of float32 have the size of an array."""
    return array.nbytes // 4


def _check_finite(*arrays: Floats) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("it has numbers that are not finite in float32")


def _attributes(node: Any) -> dict[str, Any]:
    """Return the attributes of a node."""
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _window(node: Any, value: Value) -> dict[str, Any]:
    """Return the attributes of a node that takes images."""
    if value.axes != _IMAGE:
        raise ValueError("its input is not an image with channels first")
    return _attributes(node)


def _like_largest(function: Callable[..., Any], *inputs: Any) -> Array:
    """Return a function of arrays, unless the result is larger than each of them."""
    shapes = [np.shape(array) for array in inputs if array is not None]
    size = int(np.prod(np.broadcast_shapes(*shapes), dtype=object))
    if size > max(int(np.prod(shape)) for shape in shapes):
        raise ValueError(f"it makes a larger constant of constants of shapes {shapes}")
    return np.asarray(function(*inputs))


def _scale_of_signs(matrix: Floats) -> Floats | None:
    """Return the scales of columns that consist of signs times a scale, or None if there are others."""
    sizes = np.abs(matrix)
    scale: Floats = sizes[0].copy() if len(sizes) else np.zeros(1, np.float32)
    return scale if scale.all() and (sizes == scale).all() else None


def _as_sign(number: float, factor: float) -> int:
    """Return the value of a border among signs."""
    sign = number / factor
    if sign not in (-1, 0, 1):
        raise ValueError(f"it has a border of {number} around values of {factor} and {-factor}")
    return int(sign)
