"""Steps that lower the loss, and schedules of their size."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from fastcodes.nn._layer import Array, Parameter
from fastcodes.nn.quantizers import sign

__all__ = ["SGD", "Adam", "Bop", "Cosine", "Optimizer", "Schedule", "Step"]

# From the part of the training that is done, 0 to 1, to what learning rates are multiplied by.
Schedule = Callable[[float], float]

# Elements that are updated at a time: those of all arrays stay in the cache.
_BLOCK = 1 << 15


@dataclass(frozen=True)
class Optimizer(abc.ABC):
    """The settings of an optimiser; what it remembers is kept with each parameter, in its `slots`."""

    learning_rate: float

    def __post_init__(self) -> None:
        _check("learning_rate", self.learning_rate, 0 < self.learning_rate < math.inf, "a positive number")

    @abc.abstractmethod
    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        """Return the names of the arrays that are remembered of a parameter."""

    def prepare(self, parameter: Parameter) -> None:
        """Make a parameter ready for its first step."""
        parameter.slots = {name: np.zeros_like(parameter.value) for name in self.slots(parameter)}

    @abc.abstractmethod
    def update(self, parameter: Parameter, factor: float, step: int) -> None:
        """Change a parameter by its gradient.

        Parameters
        ----------
        parameter : Parameter
            Its `value` and `slots` are changed in place.
        factor : float
            What the schedule multiplies the learning rate by.
        step : int
            The number of this step, from 1.
        """


@dataclass(frozen=True)
class SGD(Optimizer):
    r"""Stochastic gradient descent with momentum.

    :math:`v \leftarrow \mu v + g`, then :math:`w \leftarrow w - \eta v`.

    Parameters
    ----------
    learning_rate : float
        :math:`\eta`.
    momentum : float
        :math:`\mu`, from 0 to less than 1 (Sutskever et al., ICML 2013, equations 1 and 2, with the rate
        outside).
    """

    learning_rate: float = 0.1
    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_decay("momentum", self.momentum)

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        """Return the name of the velocity."""
        return ("velocity",)

    def update(self, parameter: Parameter, factor: float, step: int) -> None:
        """Take a step along the velocity."""
        for value, gradient, velocity in _blocks(parameter, "velocity"):
            velocity *= self.momentum
            velocity += gradient
            value -= self.learning_rate * factor * velocity


@dataclass(frozen=True)
class Adam(Optimizer):
    r"""Steps of about the learning rate in each coordinate (Kingma and Ba, ICLR 2015, algorithm 1).

    :math:`m \leftarrow \beta_1 m + (1 - \beta_1) g`, :math:`v \leftarrow \beta_2 v + (1 - \beta_2) g^2`,
    :math:`w \leftarrow w - \eta \hat m / (\sqrt{\hat v} + \epsilon)` with
    :math:`\hat m = m / (1 - \beta_1^t)` and :math:`\hat v = v / (1 - \beta_2^t)` at step t.

    Parameters
    ----------
    learning_rate : float
        :math:`\eta`.
    beta1, beta2 : float
        From 0 to less than 1.
    epsilon : float
        Positive.
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_decay("beta1", self.beta1)
        _check_decay("beta2", self.beta2)
        _check("epsilon", self.epsilon, 0 < self.epsilon < math.inf, "a positive number")

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        """Return the names of both moments."""
        return ("mean", "square")

    def update(self, parameter: Parameter, factor: float, step: int) -> None:
        """Take a step."""
        # The slots are sums with decaying weights, moments but for the factors 1 - beta. These and both
        # corrections are in the rate and in epsilon, so that each number is touched as rarely as can be.
        root = math.sqrt((1 - self.beta2**step) / (1 - self.beta2))
        rate = self.learning_rate * factor * root * (1 - self.beta1) / (1 - self.beta1**step)
        epsilon = self.epsilon * root
        work = np.empty(min(_BLOCK, parameter.value.size), parameter.value.dtype)
        for value, gradient, mean, square in _blocks(parameter, "mean", "square"):
            change = work[: len(value)]
            mean *= self.beta1
            mean += gradient
            np.multiply(gradient, gradient, out=change)
            square *= self.beta2
            square += change
            np.sqrt(square, out=change)
            change += epsilon
            np.divide(mean, change, out=change)
            change *= rate
            value -= change


@dataclass(frozen=True)
class Bop(Optimizer):
    r"""Flip bits, with no latent weights.

    Helwegen et al., *Latent weights do not exist*, NeurIPS 2019, algorithm 1.

    :math:`m \leftarrow (1 - \gamma) m + \gamma g` for each bit w, which is flipped where :math:`|m| > \tau`
    and m has the sign of w: where for long enough it would have been better so. Layers of bits need
    ``weights="sign"`` and ``estimator="clipped"``. All other parameters are left to Adam.

    Parameters
    ----------
    learning_rate : float
        The adaptivity :math:`\gamma`, which a schedule lowers as it does others' rates.
    threshold : float
        :math:`\tau`, 0 or more.
    inner : Optimizer
        What changes the parameters that are not bits.
    """

    learning_rate: float = 1e-4
    threshold: float = 1e-8
    inner: Optimizer = field(default_factory=Adam)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check("threshold", self.threshold, 0 <= self.threshold < math.inf, "0 or a positive number")

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        """Return the name of the averaged gradient of bits, or the names of the inner optimiser."""
        return self.inner.slots(parameter) if parameter.quantizer is None else ("average",)

    def prepare(self, parameter: Parameter) -> None:
        """Set latent weights to their bits, -1 and +1."""
        super().prepare(parameter)
        if parameter.quantizer is not None:
            if not parameter.quantizer.passes_straight:
                raise ValueError(
                    "Bop changes bits by their own gradients: give all layers of bits "
                    'weights="sign" and estimator="clipped", or take Adam'
                )
            parameter.value[...] = sign(parameter.value)

    def update(self, parameter: Parameter, factor: float, step: int) -> None:
        """Flip bits, or let the inner optimiser take a step."""
        if parameter.quantizer is None:
            self.inner.update(parameter, factor, step)
            return
        adaptivity = self.learning_rate * factor
        for value, gradient, average in _blocks(parameter, "average"):
            average *= 1 - adaptivity
            average += adaptivity * gradient
            # The bits are -1 and +1, so that this is both conditions at once.
            np.negative(value, out=value, where=average * value > self.threshold)


@dataclass(frozen=True)
class Cosine:
    r"""Lower the learning rate along half a cosine (Loshchilov and Hutter, *SGDR*, ICLR 2017, equation 5).

    Parameters
    ----------
    final : float
        Which part of the rate is left at the end.

    Examples
    --------
    >>> from fastcodes import nn
    >>> schedule = nn.Cosine()
    >>> [round(schedule(progress), 2) for progress in (0, 0.5, 1)]
    [1.0, 0.5, 0.0]
    """

    final: float = 0.0

    def __post_init__(self) -> None:
        _check("final", self.final, 0 <= self.final <= 1, "a number from 0 to 1")

    def __call__(self, progress: float) -> float:
        """Return what to multiply the rate by, once this part of the training is done."""
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class Step:
    """Lower the learning rate at some points by the same factor.

    Parameters
    ----------
    milestones : sequence of float
        Where, as parts of the training from 0 to 1.
    factor : float
        By what, from 0 to 1.

    Examples
    --------
    >>> from fastcodes import nn
    >>> schedule = nn.Step([0.5, 0.75], factor=0.1)
    >>> [round(schedule(progress), 3) for progress in (0, 0.5, 1)]
    [1.0, 0.1, 0.01]
    """

    milestones: tuple[float, ...] | list[float] = (0.5, 0.75)
    factor: float = 0.1

    def __post_init__(self) -> None:
        within = all(0 <= point <= 1 for point in self.milestones)
        _check("milestones", self.milestones, within, "parts of the training from 0 to 1")
        _check("factor", self.factor, 0 < self.factor <= 1, "a positive number up to 1")

    def __call__(self, progress: float) -> float:
        """Return what to multiply the rate by, once this part of the training is done."""
        return self.factor ** sum(progress >= point for point in self.milestones)


def _blocks(parameter: Parameter, *slots: str) -> Iterator[list[Array]]:
    """Yield value, gradient and slots as views, a part at a time."""
    arrays = [parameter.value, parameter.gradient, *(parameter.slots[name] for name in slots)]
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, parameter.value.size, _BLOCK):
        yield [array[start : start + _BLOCK] for array in flat]


def _check(name: str, value: object, fine: bool, expected: str) -> None:
    if not fine:
        raise ValueError(f"{name} must be {expected}; got {value!r}")


def _check_decay(name: str, value: float) -> None:
    _check(name, value, 0 <= value < 1, "a number from 0 to less than 1")
