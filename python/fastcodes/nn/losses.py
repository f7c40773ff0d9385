"""What training minimises: losses of logits, and regularisers of weights."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fastcodes.nn._layer import Array, Layer, walk
from fastcodes.nn.layers import Product

if TYPE_CHECKING:
    from fastcodes.nn.model import Sequential

__all__ = ["Balance", "CrossEntropy", "Distillation", "Loss", "SquaredHinge", "loss_of", "softmax"]


class Loss(abc.ABC):
    """The mean loss of logits (n, n_classes) with labels from 0 to n_classes - 1."""

    @abc.abstractmethod
    def __call__(self, logits: Array, labels: Array, inputs: Array) -> tuple[float, Array]:
        """Return the loss and its gradient.

        Parameters
        ----------
        logits : float array (n, n_classes)
            What the network made of the samples.
        labels : integer array (n,)
            Which classes they have.
        inputs : float array (n, ...)
            The samples.

        Returns
        -------
        loss : float
            The mean over the samples.
        gradient : array (n, n_classes)
            Its derivative by the logits.
        """

    @property
    def plain(self) -> Loss:
        """What is told of data that are not trained on."""
        return self


@dataclass(frozen=True)
class CrossEntropy(Loss):
    r"""The mean of :math:`-\log p_y` with :math:`p` the softmax of the logits."""

    def __call__(self, logits: Array, labels: Array, inputs: Array) -> tuple[float, Array]:
        """Return the loss and its gradient."""
        rows = np.arange(len(logits))
        logs = _log_softmax(logits)
        gradient = np.exp(logs)
        gradient[rows, labels] -= 1
        gradient /= len(logits)
        return -float(logs[rows, labels].mean()), gradient


@dataclass(frozen=True)
class SquaredHinge(Loss):
    r"""The mean of :math:`\max(0, 1 - t z)^2` over samples and classes, t being 1 for the label and -1 else.

    What BinaryConnect and BinaryNet were trained with.
    """

    def __call__(self, logits: Array, labels: Array, inputs: Array) -> tuple[float, Array]:
        """Return the loss and its gradient."""
        targets = np.full_like(logits, -1)
        targets[np.arange(len(logits)), labels] = 1
        short = np.maximum(1 - targets * logits, 0)
        return float(np.square(short).mean()), targets * short * (-2 / logits.size)


@dataclass(frozen=True)
class Distillation(Loss):
    r"""Learn from a teacher's probabilities besides the labels (Hinton, Vinyals and Dean, 2015).

    :math:`(1 - \lambda) L + \lambda T^2 \mathrm{KL}(p_{teacher} \parallel p_{student})` with the
    cross-entropy L, and probabilities that are softmaxes of logits divided by the temperature T. On data that
    are not trained on, L alone is told.

    Parameters
    ----------
    teacher : Sequential or callable
        A trained network, or a function from a batch of samples (n, ...) in float32 to logits (n, n_classes).
    temperature : float
        T, positive.
    weight : float
        :math:`\lambda`, from 0 to 1.
    """

    teacher: Sequential | Callable[[Array], Array]
    temperature: float = 4.0
    weight: float = 0.7

    def __post_init__(self) -> None:
        if not (callable(self.teacher) or hasattr(self.teacher, "decision_function")):
            raise TypeError(
                "teacher must be a trained model with decision_function, or a function from samples to "
                f"logits; got {self.teacher!r}"
            )
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be a positive number; got {self.temperature!r}")
        if not 0 <= self.weight <= 1:
            raise ValueError(f"weight must be a number from 0 to 1; got {self.weight!r}")

    @property
    def plain(self) -> Loss:
        """The cross-entropy."""
        return CrossEntropy()

    def __call__(self, logits: Array, labels: Array, inputs: Array) -> tuple[float, Array]:
        """Return the loss and its gradient."""
        ask = self.teacher if callable(self.teacher) else self.teacher.decision_function
        wanted = np.asarray(ask(inputs), logits.dtype)
        if wanted.shape != logits.shape:
            raise ValueError(f"teacher gives logits {wanted.shape}; the student gives {logits.shape}")
        loss, gradient = self.plain(logits, labels, inputs)
        student = _log_softmax(logits / self.temperature)
        teacher = _log_softmax(wanted / self.temperature)
        apart = np.exp(teacher) * (teacher - student)
        divergence = float(apart.sum(axis=1).mean()) * self.temperature**2
        gradient *= 1 - self.weight
        gradient += (np.exp(student) - np.exp(teacher)) * (self.weight * self.temperature / len(logits))
        return (1 - self.weight) * loss + self.weight * divergence, gradient


@dataclass(frozen=True)
class Balance:
    r"""Keep the weight bits of each output balanced, so that they say more.

    Adds :math:`\lambda \sum_{layers} \mathrm{mean}_j (\mathrm{mean}_i B_{ij})^2` to the loss. With a share p
    of ones among the bits of an output, their mean is :math:`2p - 1`, and its square the leading term of
    :math:`(1 - H(p)) \cdot 2 \ln 2`, H being the entropy in bits: no bits of an output that are all alike.
    The gradient of a bit is given to its latent weight as it is. Weights that are standardised ("libra") are
    as good as balanced without it.

    Parameters
    ----------
    weight : float
        :math:`\lambda`, positive.
    """

    weight: float = 1e-2

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ValueError(f"weight must be a positive number; got {self.weight!r}")

    def __call__(self, layers: Iterable[Layer]) -> float:
        """Add to the gradients of the bits that a step forward has just used, and return the value."""
        total = 0.0
        for _, layer in walk(layers):
            if isinstance(layer, Product) and layer.quantizer is not None:
                _, signs, _ = layer.cache
                means = signs.mean(axis=0)
                total += self.weight * float(np.square(means).mean())
                layer.parameters["weights"].gradient += means * (2 * self.weight / signs.size)
        return total


def loss_of(loss: str | Loss) -> Loss:
    """Return a loss by its name, or as it is."""
    if isinstance(loss, Loss):
        return loss
    if loss not in LOSSES:
        names = ", ".join(map(repr, LOSSES))
        raise ValueError(f"loss must be one of {names} or an object such as nn.Distillation; got {loss!r}")
    return LOSSES[loss]


def softmax(logits: Array) -> Array:
    """Return probabilities (n, n_classes)."""
    return np.exp(_log_softmax(logits))


def _log_softmax(logits: Array) -> Array:
    logs: Array = logits - logits.max(axis=1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    return logs


LOSSES: dict[str, Loss] = {"cross_entropy": CrossEntropy(), "squared_hinge": SquaredHinge()}
