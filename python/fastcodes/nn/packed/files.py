"""The steps of a packed network as JSON values and arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fastcodes import _files, bits
from fastcodes._typing import Array
from fastcodes.nn.layers import Layer, Product, layer_from_config, walk
from fastcodes.nn.packed.steps import Add, Apply, PackedStep
from fastcodes.nn.quantizers import Fixed

__all__ = ["steps_from_state", "steps_to_state"]


def steps_to_state(
    steps: Iterable[PackedStep], prefix: str = ""
) -> tuple[list[dict[str, Any]], dict[str, Array]]:
    """Return the state of steps: a JSON object for each, and arrays whose names begin with `prefix`."""
    configs, arrays = [], {}
    for i, step in enumerate(steps):
        name = f"{prefix}{i}."
        config: dict[str, Any] = {"step": type(step).__name__}
        for field in dataclasses.fields(step):  # type: ignore[arg-type]
            value = getattr(step, field.name)
            if isinstance(value, np.ndarray):
                arrays[name + field.name] = value
            elif isinstance(value, Layer):
                config |= {field.name: value.config(), "shape": value.input_shape}
                arrays |= {name + key: array for key, array in _layer_arrays(value).items()}
            elif isinstance(value, list):
                config[field.name], inner = steps_to_state(value, f"{name}{field.name}.")
                arrays |= inner
            else:
                config[field.name] = value
        configs.append(config)
    return configs, arrays


def steps_from_state(
    configs: Iterable[dict[str, Any]], arrays: Mapping[str, Array], prefix: str = ""
) -> list[PackedStep]:
    """Return the steps whose state `steps_to_state` returned."""
    steps = []
    for i, config in enumerate(configs):
        name = f"{prefix}{i}."
        kind = PackedStep.named(config["step"])
        values: dict[str, Any] = {}
        for field in dataclasses.fields(kind):  # type: ignore[arg-type]
            if name + field.name in arrays:
                values[field.name] = arrays[name + field.name]
            elif kind is Apply:
                layer = values[field.name] = layer_from_config(config[field.name])
                layer.build(tuple(config["shape"]), np.random.default_rng(0))
                _set_layer_arrays(layer, arrays, name)
            elif kind is Add:
                values[field.name] = steps_from_state(config[field.name], arrays, f"{name}{field.name}.")
            else:
                values[field.name] = _tuples(config[field.name])
        steps.append(kind(**values))
    return steps


def _tuples(value: Any) -> Any:
    """Return a JSON value with tuples instead of lists."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _layer_arrays(layer: Layer) -> dict[str, Array]:
    """Return the arrays of a frozen layer; weights that are signs are packed."""
    arrays: dict[str, Array] = {}
    for _, part in walk([layer]):
        arrays |= part.state
        for name, parameter in part.parameters.items():
            arrays[name] = parameter.value
        if isinstance(part, Product) and isinstance(part.quantizer, Fixed):
            arrays["weights"] = bits.pack(part.matrix()[0])
            if part.quantizer.scale is not None:
                arrays["scale"] = part.quantizer.scale
    return arrays


def _set_layer_arrays(layer: Layer, arrays: Mapping[str, Array], prefix: str) -> None:
    """Restore the arrays of a frozen layer in a new one."""
    for name, array in layer.state.items():
        array[...] = _files.take(arrays, prefix + name, np.float32, array.shape, finite=True)
    for name, parameter in layer.parameters.items():
        shape = parameter.value.shape
        if parameter.quantizer is None:
            parameter.value[...] = _files.take(arrays, prefix + name, np.float32, shape, finite=True)
        elif isinstance(layer, Product):
            n = shape[-1]
            signs = _files.take(arrays, prefix + name, np.uint8, (int(np.prod(shape[:-1])), -(-n // 8)))
            parameter.value[...] = bits.unpack(signs, n, dtype=np.float32, values=(-1, 1)).reshape(shape)
            scale = None
            if prefix + "scale" in arrays:
                scale = _files.take(arrays, prefix + "scale", np.float32, (n,), finite=True)
            layer.quantizer = Fixed(scale)
