"""What every layer is: shapes, parameters, a step forward and a step back."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fastcodes._typing import Array

if TYPE_CHECKING:
    from fastcodes.nn.quantizers import Quantizer

__all__ = ["Array", "Layer", "Parameter", "Shape", "layer_of", "walk"]

Shape = tuple[int, ...]

_KINDS: dict[str, type[Layer]] = {}


class Parameter:
    """Numbers that training changes.

    Attributes
    ----------
    value : float32 array
        The numbers; optimisers change them in place.
    gradient : float32 array
        The derivative of the loss, set by each `Layer.backward`.
    slots : dict of str to float32 arrays
        What the optimiser remembers of it, each with the shape of `value`.
    quantizer : Quantizer or None
        For latent weights, what makes bits of them.
    """

    __slots__ = ("gradient", "quantizer", "slots", "value")

    def __init__(self, value: Array, quantizer: Quantizer | None = None) -> None:
        self.value = value
        self.gradient: Array = np.zeros_like(value)
        self.slots: dict[str, Array] = {}
        self.quantizer = quantizer


class Layer(abc.ABC):
    """A step of a network: arrays (n, ...) in, arrays (n, ...) out.

    A subclass checks its parameters in ``__init__`` and keeps them under their names, makes its arrays in
    `build`, and computes in the dtype of what it is given: float32 in a network, float64 where gradients are
    compared with differences.

    Attributes
    ----------
    parameters : dict of str to Parameter
        What training changes.
    state : dict of str to float32 arrays
        What is learned in another way, such as running means.
    input_shape, output_shape : tuple of int
        Shapes of one sample, known after `build`.
    macs : int
        Multiply-adds of its matrix product for one sample, known after `build`.
    progress : float
        Which part of the training is done, from 0 to 1; `Sequential.fit` sets it.
    cache : object
        What `backward` needs of the last step forward in training.
    """

    input_shape: Shape
    output_shape: Shape
    macs: int = 0
    progress: float = 0.0
    cache: Any = None
    children: tuple[Layer, ...] = ()

    def __init_subclass__(cls) -> None:
        _KINDS[cls.__name__] = cls

    def __init__(self) -> None:
        self.parameters: dict[str, Parameter] = {}
        self.state: dict[str, Array] = {}

    def build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        """Make new parameters for samples of this shape and return the shape of what comes out.

        Parameters
        ----------
        shape : tuple of int
            Of one sample.
        rng : numpy Generator
            Where first weights come from; a layer that is random in training keeps it.

        Raises
        ------
        ValueError
            If the layer cannot take samples of this shape.
        """
        self.input_shape = shape
        self.output_shape = self._build(shape, rng)
        return self.output_shape

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        return shape

    @abc.abstractmethod
    def forward(self, x: Array, training: bool = False) -> Array:
        """Return what the layer makes of samples (n, ...); in training, remember what `backward` needs."""

    @abc.abstractmethod
    def backward(self, gradient: Array, needs_input: bool = True) -> Array:
        """Set the gradients of the parameters and return that of the input.

        Parameters
        ----------
        gradient : array
            The derivative of the loss by what `forward` returned.
        needs_input : bool
            Whether the derivative by the input is of use. If not, a layer with parameters may return any
            array.
        """

    def output_bits(self, input_bits: int | None) -> int | None:
        """Return how many bits an output value has if an input value has `input_bits`; None for floats."""
        return None

    def config(self) -> dict[str, Any]:
        """Return the class and the parameters of its constructor, as JSON values."""
        return {"layer": type(self).__name__, **{name: getattr(self, name) for name in self._names()}}

    @classmethod
    def _names(cls) -> dict[str, Any]:
        parameters = inspect.signature(cls.__init__).parameters
        return {name: parameter.default for name, parameter in parameters.items() if name != "self"}

    def __repr__(self) -> str:
        """Show the class and the parameters that are not at their defaults."""
        values = {name: getattr(self, name) for name in self._names()}
        shown = [f"{name}={value!r}" for name, value in values.items() if value != self._names()[name]]
        return f"{type(self).__name__}({', '.join(shown)})"


def layer_of(config: dict[str, Any]) -> Layer:
    """Return a new layer as `Layer.config` describes it."""
    config = dict(config)
    kind = config.pop("layer")
    if kind not in _KINDS:
        raise ValueError(f"there is no layer {kind!r}; import the module that defines it")
    inner = [layer_of(part) for part in config.pop("layers", ())]
    if "shortcut" in config:
        config["shortcut"] = [layer_of(part) for part in config["shortcut"]]
    return _KINDS[kind](*inner, **config)


def walk(layers: Iterable[Layer], prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield all layers with their names: "3", and "3.0" for the first of those inside of it."""
    for i, layer in enumerate(layers):
        yield f"{prefix}{i}", layer
        yield from walk(layer.children, f"{prefix}{i}.")
