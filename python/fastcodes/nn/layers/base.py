"""The base class of layers: shapes, parameters, forward and backward pass."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np

from fastcodes._files import Registered
from fastcodes._typing import Array
from fastcodes.nn.quantizers import WeightQuantizer

__all__ = ["MAX_UNITS", "Layer", "Parameter", "Shape", "image_shape", "layer_from_config", "walk"]

Shape: TypeAlias = tuple[int, ...]

# Of a layer, and of an axis of its input: more are a mistake, which numpy would report without its name.
MAX_UNITS = 1 << 24


class Parameter:
    """An array that training changes.

    Attributes
    ----------
    value : float32 array
        The numbers; optimizers change them in place.
    gradient : float32 array
        The gradient of the loss, set by `Layer.backward`.
    slots : dict of str to float32 arrays
        The state of the optimizer for this parameter, each array with the shape of `value`.
    quantizer : WeightQuantizer or None
        For latent weights, what turns them into signs.
    """

    __slots__ = ("gradient", "quantizer", "slots", "value")

    def __init__(self, value: Array, quantizer: WeightQuantizer | None = None) -> None:
        self.value = value
        self.gradient: Array = np.zeros_like(value)
        self.slots: dict[str, Array] = {}
        self.quantizer = quantizer


class Layer(Registered, abc.ABC):
    """A function of a network: arrays (n, ...) in, arrays (n, ...) out.

    A subclass checks its arguments in ``__init__`` and stores them under their names, creates its arrays in
    `build`, and computes in the dtype of its input: float32 in a network, float64 where gradients are
    compared with finite differences. Saved networks name it by its class name.

    Attributes
    ----------
    parameters : dict of str to Parameter
        The trained arrays.
    state : dict of str to float32 arrays
        Arrays learned without a gradient, such as running means.
    input_shape, output_shape : tuple of int
        The shapes of one sample, known after `build`.
    macs : int
        Multiply-adds of the matrix product for one sample, known after `build`.
    progress : float
        The fraction of the training that is done, from 0 to 1; `Sequential.train_step` sets it.
    cache : object
        What `backward` needs from the last forward pass in training.
    children : tuple of Layer
        The layers inside this one.
    """

    input_shape: Shape
    output_shape: Shape
    macs: int = 0
    progress: float = 0.0
    cache: Any = None
    children: tuple[Layer, ...] = ()

    def __init__(self) -> None:
        self.parameters: dict[str, Parameter] = {}
        self.state: dict[str, Array] = {}

    def build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        """Create new parameters for samples of a shape, and return the output shape.

        Parameters
        ----------
        shape : tuple of int
            The shape of one sample.
        rng : numpy Generator
            The source of the initial weights; a layer that is random in training keeps it.

        Returns
        -------
        tuple of int
            The shape of the output for one sample.

        Raises
        ------
        ValueError
            If the layer cannot process samples of this shape.
        """
        self.input_shape = shape
        self.output_shape = self._build(shape, rng)
        return self.output_shape

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        return shape

    @abc.abstractmethod
    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return the output for samples (n, ...); in training, keep what `backward` needs."""

    @abc.abstractmethod
    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Set the gradients of the parameters and return that of the input.

        Parameters
        ----------
        gradient : array
            The gradient of the loss with respect to the output of `forward`.
        needs_input : bool
            Whether the gradient with respect to the input is needed. If not, a layer with parameters may
            return any array.

        Returns
        -------
        array
            The gradient of the loss with respect to the input.
        """

    def output_bits(self, input_bits: int | None) -> int | None:
        """Return the bits of an output value if an input value has `input_bits`; None means floats."""
        return None

    def config(self) -> dict[str, Any]:
        """Return the class name and the arguments of the constructor, as JSON values."""
        return {"layer": type(self).__name__, **{name: getattr(self, name) for name in self._defaults()}}

    @classmethod
    def _from_arguments(cls, arguments: dict[str, Any]) -> Layer:
        """Return a new layer with the arguments that `config` returned."""
        return cls(**arguments)

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        """Return the arguments of the constructor with their defaults."""
        parameters = inspect.signature(cls.__init__).parameters
        return {name: parameter.default for name, parameter in parameters.items() if name != "self"}

    def __repr__(self) -> str:
        """Show the class and the arguments that differ from their defaults."""
        defaults = self._defaults()
        values = {name: getattr(self, name) for name in defaults}
        shown = [f"{name}={value!r}" for name, value in values.items() if value != defaults[name]]
        return f"{type(self).__name__}({', '.join(shown)})"


def layer_from_config(config: dict[str, Any]) -> Layer:
    """Return a new layer from what `Layer.config` returned."""
    arguments = dict(config)
    return Layer.named(arguments.pop("layer"))._from_arguments(arguments)


def image_shape(shape: Shape) -> tuple[int, int, int]:
    """Return the shape of a sample, if it is an image (height, width, channels)."""
    if len(shape) != 3:
        raise ValueError(
            f"expects images (height, width, channels); got samples of shape {shape}. "
            "Put it before Flatten(); grayscale images (n, h, w) become (n, h, w, 1) by X[..., np.newaxis]"
        )
    return shape[0], shape[1], shape[2]


def walk(layers: Iterable[Layer], prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield all layers with their names: "3", and "3.0" for its first child."""
    for i, layer in enumerate(layers):
        yield f"{prefix}{i}", layer
        yield from walk(layer.children, f"{prefix}{i}.")
