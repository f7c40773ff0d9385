"""Networks: layers that are built, applied and trained together, whatever their outputs mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastcodes import _files
from fastcodes._estimator import NotFittedError
from fastcodes._typing import Array
from fastcodes._validation import as_integer, describe, random_generator
from fastcodes.nn._thread_pool import limit_threads
from fastcodes.nn.layers import MAX_UNITS, Layer, Parameter, Shape, walk
from fastcodes.nn.training.losses import Balance, Loss
from fastcodes.nn.training.optimizers import Optimizer, check_optimizer
from fastcodes.nn.training.summary import summary_table

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Network"]


class Network:
    """Layers that are applied one after the other, for training loops of your own.

    `Sequential` is the network that classifies.

    Parameters
    ----------
    *layers : Layer
        At least one.
    random_state : None, int or numpy random generator
        The source of initial weights, and of the random numbers that layers draw in training.

    Attributes
    ----------
    layers : tuple of Layer
        They hold the parameters.
    input_shape_ : tuple of int
        The shape of one sample, known after `build`.
    input_bits_ : int or None
        The bits of an input value, if they are integers of 0 or more; otherwise None.

    Examples
    --------
    Fit a line.

    >>> import numpy as np
    >>> from fastcodes import nn
    >>> class SquaredError(nn.Loss):
    ...     def __call__(self, outputs, targets, inputs):
    ...         error = outputs - targets
    ...         return float(np.square(error).mean()), 2 * error / len(error)
    >>> x = np.linspace(-1, 1, 9, dtype=np.float32)[:, None]
    >>> network = nn.Network(nn.Dense(1), random_state=0).build((1,))
    >>> for _ in range(100):
    ...     loss, _ = network.train_step(x, 3 * x + 1, SquaredError(), nn.SGD(0.1))
    >>> {name: array.round(1).ravel().tolist() for name, array in network.get_weights().items()}
    {'0.weights': [3.0], '0.bias': [1.0]}
    """

    input_shape_: Shape
    input_bits_: int | None

    def __init__(self, *layers: Layer, random_state: Any = None) -> None:
        for layer in layers:
            if not isinstance(layer, Layer):
                hint = ": call it, as in nn.Sign()" if isinstance(layer, type) else ""
                raise TypeError(f"{type(self).__name__} expects layers; got {describe(layer)}{hint}")
        if not layers:
            raise ValueError(f"{type(self).__name__} expects at least one layer; got none")
        seen: set[int] = set()
        for name, layer in walk(layers):
            if id(layer) in seen:
                raise ValueError(f"layer {name}, {layer!r}, is used twice; make a new one for each place")
            seen.add(id(layer))
        self.layers = layers
        self.random_state = random_state

    def __repr__(self) -> str:
        """Show the layers."""
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"

    def build(self, input_shape: Shape) -> Self:
        """Initialize the parameters for samples of a shape; `fit` calls this.

        Parameters
        ----------
        input_shape : tuple of int
            The shape of one sample.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a layer cannot process the output of the one before it; the message names the layer.
        """
        # Checkpoints store the state of this generator, so its kind must not depend on random_state.
        self._rng = np.random.default_rng(random_generator(self.random_state).integers(2**63, size=4))
        shape = tuple(as_integer(length, "input_shape", 1, MAX_UNITS) for length in input_shape)
        self.input_shape_, self.input_bits_, self._n_steps = shape, None, 0
        for i, layer in enumerate(self.layers):
            try:
                shape = layer.build(shape, self._rng)
            except ValueError as error:
                raise ValueError(f"layer {i}, {layer!r}: {error}") from None
        return self

    @property
    def n_parameters(self) -> int:
        """The number of trained parameters."""
        self._check_built()
        return sum(parameter.value.size for parameter in self._parameters().values())

    def summary(self) -> str:
        """Return a table of the layers.

        Returns
        -------
        str
            A line for each layer: the shape of its output for one sample; the number of its parameters; the
            bits that it occupies after training (one for a binary weight, 32 for any other number, running
            means included); and the multiply-adds of its matrix product for one sample, separately for
            products with floats and for products of bits. An input of n bits counts n times.

        Raises
        ------
        NotFittedError
            If shapes are not known yet.
        """
        self._check_built()
        return summary_table(self.layers, self.input_bits_)

    def get_weights(self) -> dict[str, Array]:
        """Return all parameters and running means by name, such as "0.weights"; the arrays are not copied.

        Raises
        ------
        NotFittedError
            If the network is not built yet.
        """
        self._check_built()
        weights = {name: parameter.value for name, parameter in self._parameters().items()}
        return weights | self._running_means()

    def set_weights(self, weights: Mapping[str, Array]) -> Self:
        """Copy parameters and running means, also those of another framework, into a network that is built.

        Parameters
        ----------
        weights : mapping of str to float32 arrays
            As `get_weights` returns them; other entries are ignored. Names are the number of the layer and
            "weights", "bias", "gamma", "beta", "mean" or "variance"; "3.0.weights" is inside layer 3. The
            layout of weights is that of Keras, outputs last: (inputs, units) and (height, width, channels,
            filters); ``w.T`` and ``w.transpose(2, 3, 1, 0)`` make it from that of PyTorch. A binary layer
            takes latent weights or signs; a weight of 0 counts as positive.

        Returns
        -------
        self

        Raises
        ------
        NotFittedError
            If the network is not built yet.
        TypeError
            If `weights` is not a mapping.
        ValueError
            If an array is missing, has the wrong dtype or shape, or is not finite.

        See Also
        --------
        Sequential.build : Prepares a classifier for weights trained elsewhere, with an example.
        """
        if not isinstance(weights, Mapping):
            raise TypeError(f"weights must be a mapping from names to arrays; got {describe(weights)}")
        for name, array in self.get_weights().items():
            array[...] = _files.take(weights, name, np.float32, array.shape, finite=True)
        return self

    def forward(self, x: Array, *, training: bool = False, threads: int | None = None) -> Array:
        """Return the outputs of the last layer.

        Parameters
        ----------
        x : float array (n, ...)
            A batch of samples of the shape that the network is built for.
        training : bool
            Whether layers behave as in training: dropout, and normalization by the batch.
        threads : int, optional
            The most threads to use; None means all CPUs of this process.

        Returns
        -------
        array (n, ...)
        """
        with limit_threads(threads):
            for layer in self.layers:
                x = layer.forward(x, training=training)
        return x

    def train_step(
        self,
        x: Array,
        targets: Array,
        loss: Loss,
        optimizer: Optimizer,
        *,
        regularizer: Balance | None = None,
        rate: float = 1.0,
        progress: float = 0.0,
        threads: int | None = None,
    ) -> tuple[float, Array]:
        """Take one optimizer step on a batch, for training loops other than `fit`.

        Call `build` first. The first step after `build` initializes the state of the optimizer.

        Parameters
        ----------
        x : float32 array (n, ...)
            The samples of the batch.
        targets : array (n, ...)
            What `loss` takes as its labels.
        loss : Loss
            The loss to minimize. The outputs need not be logits.
        optimizer : Optimizer
            The same for all steps.
        regularizer : Balance, optional
            A term that is added to the loss.
        rate : float
            A factor of the learning rate.
        progress : float
            The fraction of the training that is done, from 0 to 1, which layers may use.
        threads : int, optional
            The most threads to use; None means all CPUs of this process.

        Returns
        -------
        loss : float
            The loss before the step, with the regularizer.
        outputs : array (n, ...)
            The outputs before the step.

        Raises
        ------
        NotFittedError
            If the network is not built yet.
        TypeError
            If `loss`, `optimizer` or `regularizer` is something else. Batches are not checked.
        FloatingPointError
            If the loss is not finite; parameters are left as they are.
        """
        self._check_built()
        if not callable(loss) or not (regularizer is None or callable(regularizer)):
            name, value = ("regularizer", regularizer) if callable(loss) else ("loss", loss)
            raise TypeError(f"{name} must be an object such as those of fastcodes.nn; got {describe(value)}")
        check_optimizer(optimizer)
        if not self._n_steps:
            self._prepare(optimizer)
        for _, layer in walk(self.layers):
            layer.progress = progress
        # Layers before the first one with parameters need no gradient.
        first = next((i for i, layer in enumerate(self.layers) if _has_parameters(layer)), len(self.layers))
        with limit_threads(threads):
            outputs = self.forward(x, training=True)
            value, gradient = loss(outputs, targets, x)
            for i in range(len(self.layers) - 1, first - 1, -1):
                gradient = self.layers[i].backward(gradient, needs_input=i > first)
        if regularizer is not None:
            value += regularizer(self.layers)
        for _, layer in walk(self.layers):
            layer.cache = None
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss is {value} at step {self._n_steps + 1}; "
                f"use a lower learning rate than that of {optimizer!r}"
            )
        self._n_steps += 1
        for parameter in self._parameters().values():
            optimizer.update(parameter, rate, self._n_steps)
            limit = None if parameter.quantizer is None else parameter.quantizer.limit
            if limit is not None:
                np.clip(parameter.value, -limit, limit, out=parameter.value)
        return value, outputs

    def _prepare(self, optimizer: Optimizer) -> None:
        for parameter in self._parameters().values():
            optimizer.prepare(parameter)

    # --- helpers -------------------------------------------------------------------------------------------

    def _parameters(self) -> dict[str, Parameter]:
        return {
            f"{name}.{key}": parameter
            for name, layer in walk(self.layers)
            for key, parameter in layer.parameters.items()
        }

    def _running_means(self) -> dict[str, Array]:
        return {
            f"{name}.{key}": array for name, layer in walk(self.layers) for key, array in layer.state.items()
        }

    def _check_built(self) -> None:
        if not hasattr(self, "input_shape_"):
            raise NotFittedError(
                f"This {type(self).__name__} does not know its shapes yet. "
                "Call 'build' with the shape of a sample, or 'fit'"
            )


def _has_parameters(layer: Layer) -> bool:
    """Return whether a layer, or one inside it, has parameters."""
    return any(inner.parameters for _, inner in walk([layer]))
