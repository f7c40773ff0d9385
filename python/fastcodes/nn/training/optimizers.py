"""Optimizers: updates of parameters by their gradients."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field

import numpy as np

from fastcodes._typing import Array
from fastcodes._validation import as_real, describe
from fastcodes.nn.layers import Parameter
from fastcodes.nn.quantizers import sign

__all__ = ["SGD", "Adam", "Bop", "Optimizer", "check_optimizer"]

# Elements that are updated at a time: those of all arrays stay in the cache.
_ELEMENTS_PER_UPDATE = 1 << 15


@dataclass(frozen=True)
class Optimizer(abc.ABC):
    """The settings of an optimizer; its state is stored with each parameter, in `Parameter.slots`."""

    learning_rate: float

    def __post_init__(self) -> None:
        as_real(self.learning_rate, "learning_rate", above=0)

    @abc.abstractmethod
    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        """Return the names of the state arrays of a parameter."""

    def prepare(self, parameter: Parameter) -> None:
        """Prepare a parameter for its first update."""
        parameter.slots = {name: np.zeros_like(parameter.value) for name in self.slots(parameter)}

    @abc.abstractmethod
    def update(self, parameter: Parameter, rate: float, step: int) -> None:
        """Update a parameter by its gradient.

        Parameters
        ----------
        parameter : Parameter
            Its `value` and `slots` are changed in place.
        rate : float
            The factor of the learning rate, from the schedule.
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
        :math:`\eta`, positive.
    momentum : float
        :math:`\mu`, from 0 to less than 1 (Sutskever et al., ICML 2013, equations 1 and 2, with the learning
        rate applied to the velocity).
    """

    learning_rate: float = 0.1
    _: KW_ONLY
    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        as_real(self.momentum, "momentum", at_least=0, below=1)

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        """Return the name of the velocity."""
        return ("velocity",)

    def update(self, parameter: Parameter, rate: float, step: int) -> None:
        """Take a step along the velocity."""
        for value, gradient, velocity in _chunks(parameter, "velocity"):
            velocity *= self.momentum
            velocity += gradient
            value -= self.learning_rate * rate * velocity


@dataclass(frozen=True)
class Adam(Optimizer):
    r"""Steps of about the learning rate in each coordinate (Kingma and Ba, ICLR 2015, algorithm 1).

    :math:`m \leftarrow \beta_1 m + (1 - \beta_1) g`, :math:`v \leftarrow \beta_2 v + (1 - \beta_2) g^2`,
    :math:`w \leftarrow w - \eta \hat m / (\sqrt{\hat v} + \epsilon)` with
    :math:`\hat m = m / (1 - \beta_1^t)` and :math:`\hat v = v / (1 - \beta_2^t)` at step t.

    Parameters
    ----------
    learning_rate : float
        :math:`\eta`, positive.
    beta1, beta2 : float
        From 0 to less than 1.
    epsilon : float
        Positive.
    """

    learning_rate: float = 1e-3
    _: KW_ONLY
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        as_real(self.beta1, "beta1", at_least=0, below=1)
        as_real(self.beta2, "beta2", at_least=0, below=1)
        as_real(self.epsilon, "epsilon", above=0)

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        """Return the names of the two moments."""
        return ("mean", "square")

    def update(self, parameter: Parameter, rate: float, step: int) -> None:
        """Take a step."""
        # The slots are sums with decaying weights: the moments without the factors 1 - beta. The factors and
        # both bias corrections are in `size` and `epsilon`, so that each array is touched as rarely as
        # possible.
        root = math.sqrt((1 - self.beta2**step) / (1 - self.beta2))
        size = self.learning_rate * rate * root * (1 - self.beta1) / (1 - self.beta1**step)
        epsilon = self.epsilon * root
        work = np.empty(min(_ELEMENTS_PER_UPDATE, parameter.value.size), parameter.value.dtype)
        for value, gradient, mean, square in _chunks(parameter, "mean", "square"):
            change = work[: len(value)]
            mean *= self.beta1
            mean += gradient
            np.multiply(gradient, gradient, out=change)
            square *= self.beta2
            square += change
            np.sqrt(square, out=change)
            change += epsilon
            np.divide(mean, change, out=change)
            change *= size
            value -= change


@dataclass(frozen=True)
class Bop(Optimizer):
    r"""Flip binary weights directly, without latent weights.

    Helwegen et al., *Latent weights do not exist*, NeurIPS 2019, algorithm 1.

    :math:`m \leftarrow (1 - \gamma) m + \gamma g` for each binary weight w, which is flipped where
    :math:`|m| > \tau` and m has the sign of w: a flip would have lowered the loss consistently. Binary layers
    need ``weights="sign"`` and ``estimator="clipped"``. All other parameters are updated by `inner`.

    Parameters
    ----------
    learning_rate : float
        The adaptivity rate :math:`\gamma`, positive; schedules apply to it.
    threshold : float
        :math:`\tau`, 0 or more.
    inner : Optimizer
        The optimizer of the parameters that are not binary; `Adam` by default.
    """

    learning_rate: float = 1e-4
    _: KW_ONLY
    threshold: float = 1e-8
    inner: Optimizer = field(default_factory=Adam)

    def __post_init__(self) -> None:
        super().__post_init__()
        as_real(self.threshold, "threshold", at_least=0)
        if not isinstance(self.inner, Optimizer):
            raise TypeError(f"inner must be an optimizer such as nn.Adam(1e-3); got {describe(self.inner)}")

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        """Return the name of the averaged gradient of binary weights, or the names of the inner optimizer."""
        return self.inner.slots(parameter) if parameter.quantizer is None else ("average",)

    def prepare(self, parameter: Parameter) -> None:
        """Set latent weights to their signs, -1 and +1."""
        super().prepare(parameter)
        if parameter.quantizer is not None:
            if not parameter.quantizer.is_straight_through:
                raise ValueError(
                    "Bop flips binary weights by the gradients of their signs: give all binary layers "
                    'weights="sign" and estimator="clipped", or use Adam'
                )
            parameter.value[...] = sign(parameter.value)

    def update(self, parameter: Parameter, rate: float, step: int) -> None:
        """Flip binary weights, or let the inner optimizer take a step."""
        if parameter.quantizer is None:
            self.inner.update(parameter, rate, step)
            return
        adaptivity = self.learning_rate * rate
        for value, gradient, average in _chunks(parameter, "average"):
            average *= 1 - adaptivity
            average += adaptivity * gradient
            # Weights are -1 and +1, so this is both conditions at once.
            np.negative(value, out=value, where=average * value > self.threshold)


def _chunks(parameter: Parameter, *slots: str) -> Iterator[list[Array]]:
    """Yield views of the value, the gradient and the slots, a few elements at a time."""
    arrays = [parameter.value, parameter.gradient, *(parameter.slots[name] for name in slots)]
    flat = [array.reshape(-1) for array in arrays]
    for start in range(0, parameter.value.size, _ELEMENTS_PER_UPDATE):
        yield [array[start : start + _ELEMENTS_PER_UPDATE] for array in flat]


def check_optimizer(optimizer: object) -> None:
    """Raise an error if `optimizer` is not one."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an object such as nn.Adam(1e-3); got {describe(optimizer)}")
