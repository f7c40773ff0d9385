"""Losses of logits, and regularizers of weights."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Protocol

import numpy as np

from fastcodes._typing import Array
from fastcodes._validation import as_option, as_real, describe
from fastcodes.nn._softmax import log_softmax
from fastcodes.nn.layers import Layer, Product, walk

__all__ = ["LOSSES", "Balance", "CrossEntropy", "Distillation", "Loss", "SquaredHinge", "Teacher", "as_loss"]


class Loss(abc.ABC):
    """A loss that `Sequential.fit` minimizes: the mean over a batch, and its gradient."""

    @abc.abstractmethod
    def __call__(self, logits: Array, labels: Array, inputs: Array) -> tuple[float, Array]:
        """Return the loss of a batch and its gradient.

        Parameters
        ----------
        logits : float array (n, n_classes)
            The outputs of the network.
        labels : integer array (n,)
            The classes of the samples, from 0 to n_classes - 1.
        inputs : float array (n, ...)
            The samples.

        Returns
        -------
        loss : float
            The mean over the samples.
        gradient : array (n, n_classes)
            The gradient with respect to the logits.
        """

    @property
    def validation_loss(self) -> Loss:
        """The loss reported on validation data."""
        return self


@dataclass(frozen=True)
class CrossEntropy(Loss):
    r"""The mean of :math:`-\log p_y`, where :math:`p` is the softmax of the logits."""

    def __call__(self, logits: Array, labels: Array, inputs: Array) -> tuple[float, Array]:
        """Return the loss and its gradient."""
        rows = np.arange(len(logits))
        logs = log_softmax(logits)
        gradient = np.exp(logs)
        gradient[rows, labels] -= 1
        gradient /= len(logits)
        return -float(logs[rows, labels].mean()), gradient


@dataclass(frozen=True)
class SquaredHinge(Loss):
    r"""The mean of :math:`\max(0, 1 - t z)^2` over samples and classes; t is +1 for the label, else -1.

    BinaryConnect and BinaryNet were trained with this loss.
    """

    def __call__(self, logits: Array, labels: Array, inputs: Array) -> tuple[float, Array]:
        """Return the loss and its gradient."""
        targets = np.full_like(logits, -1)
        targets[np.arange(len(logits)), labels] = 1
        shortfall = np.maximum(1 - targets * logits, 0)
        return float(np.square(shortfall).mean()), targets * shortfall * (-2 / logits.size)


class Teacher(Protocol):
    """A trained model whose logits a student learns."""

    def decision_function(self, X: Array, /) -> Array:
        """Return logits (n, n_classes)."""


@dataclass(frozen=True)
class Distillation(Loss):
    r"""Learn from the probabilities of a teacher and from the labels (Hinton, Vinyals and Dean, 2015).

    :math:`(1 - \lambda) L + \lambda T^2 \mathrm{KL}(p_{teacher} \parallel p_{student})` with the
    cross-entropy L, and probabilities that are softmaxes of logits divided by the temperature T. The loss
    reported on validation data is L alone.

    Parameters
    ----------
    teacher : model or callable
        A trained model with ``decision_function``, such as a `Sequential`; or a function from a batch of
        samples (n, ...) in float32 to logits (n, n_classes).
    temperature : float
        T, positive.
    weight : float
        :math:`\lambda`, from 0 to 1.
    """

    teacher: Teacher | Callable[[Array], Array]
    _: KW_ONLY
    temperature: float = 4.0
    weight: float = 0.7

    def __post_init__(self) -> None:
        if not (callable(self.teacher) or hasattr(self.teacher, "decision_function")):
            raise TypeError(
                "teacher must be a trained model with decision_function, or a function from samples to "
                f"logits; got {describe(self.teacher)}"
            )
        as_real(self.temperature, "temperature", above=0)
        as_real(self.weight, "weight", at_least=0, at_most=1)

    @property
    def validation_loss(self) -> Loss:
        """The cross-entropy."""
        return CrossEntropy()

    def __call__(self, logits: Array, labels: Array, inputs: Array) -> tuple[float, Array]:
        """Return the loss and its gradient."""
        teach = self.teacher if callable(self.teacher) else self.teacher.decision_function
        targets = np.asarray(teach(inputs), logits.dtype)
        if targets.shape != logits.shape:
            raise ValueError(f"teacher gives logits {targets.shape}; the student gives {logits.shape}")
        loss, gradient = CrossEntropy()(logits, labels, inputs)
        student = log_softmax(logits / self.temperature)
        teacher = log_softmax(targets / self.temperature)
        terms = np.exp(teacher) * (teacher - student)
        divergence = float(terms.sum(axis=1).mean()) * self.temperature**2
        gradient *= 1 - self.weight
        gradient += (np.exp(student) - np.exp(teacher)) * (self.weight * self.temperature / len(logits))
        return (1 - self.weight) * loss + self.weight * divergence, gradient


@dataclass(frozen=True)
class Balance:
    r"""A regularizer that balances the signs of the weights of each output.

    Balanced signs carry the most information. The regularizer adds
    :math:`\lambda \sum_{layers} \mathrm{mean}_j (\mathrm{mean}_i B_{ij})^2` to the loss. If p is the share of
    positive signs of an output, their mean is :math:`2p - 1`, and its square is the leading term of
    :math:`(1 - H(p)) \cdot 2 \ln 2`, where H is the entropy in bits. The gradient of a sign is passed to its
    latent weight unchanged. Standardized weights ("libra") are nearly balanced without the regularizer.

    Parameters
    ----------
    weight : float
        :math:`\lambda`, positive.
    """

    weight: float = 1e-2

    def __post_init__(self) -> None:
        as_real(self.weight, "weight", above=0)

    def __call__(self, layers: Iterable[Layer]) -> float:
        """Add to the gradients of the signs that the last forward pass used, and return the value."""
        total = 0.0
        for _, layer in walk(layers):
            if isinstance(layer, Product) and layer.quantizer is not None:
                _, signs, _ = layer.cache
                means = signs.mean(axis=0)
                total += self.weight * float(np.square(means).mean())
                layer.parameters["weights"].gradient += means * (2 * self.weight / signs.size)
        return total


LOSSES: dict[str, Loss] = {"cross_entropy": CrossEntropy(), "squared_hinge": SquaredHinge()}


def as_loss(loss: str | Loss) -> Loss:
    """Return a loss, given by its name or as an object such as `Distillation`."""
    return loss if isinstance(loss, Loss) else LOSSES[as_option(loss, "loss", LOSSES)]
