"""Schedules: the learning rate as a function of the progress of the training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import TypeAlias

from fastcodes._validation import as_list, as_real

__all__ = ["Cosine", "Schedule", "Step"]

# From the fraction of the training that is done, 0 to 1, to a factor of the learning rate.
Schedule: TypeAlias = Callable[[float], float]


@dataclass(frozen=True)
class Cosine:
    r"""Decrease the learning rate along half a cosine (Loshchilov and Hutter, *SGDR*, ICLR 2017, equation 5).

    Parameters
    ----------
    final : float
        The factor at the end of the training, from 0 to 1.

    Examples
    --------
    >>> from fastcodes import nn
    >>> schedule = nn.Cosine()
    >>> [round(schedule(progress), 2) for progress in (0, 0.5, 1)]
    [1.0, 0.5, 0.0]
    """

    _: KW_ONLY
    final: float = 0.0

    def __post_init__(self) -> None:
        as_real(self.final, "final", at_least=0, at_most=1)

    def __call__(self, progress: float) -> float:
        """Return the factor of the learning rate at a progress from 0 to 1."""
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class Step:
    """Multiply the learning rate by a factor at each milestone.

    Parameters
    ----------
    milestones : sequence of float
        Fractions of the training, from 0 to 1.
    factor : float
        Above 0, at most 1.

    Examples
    --------
    >>> from fastcodes import nn
    >>> schedule = nn.Step([0.5, 0.75], factor=0.1)
    >>> [round(schedule(progress), 3) for progress in (0, 0.5, 1)]
    [1.0, 0.1, 0.01]
    """

    milestones: tuple[float, ...] | list[float] = (0.5, 0.75)
    _: KW_ONLY
    factor: float = 0.1

    def __post_init__(self) -> None:
        for milestone in as_list(self.milestones, "milestones", "numbers from 0 to 1"):
            as_real(milestone, "milestones", at_least=0, at_most=1)
        as_real(self.factor, "factor", above=0, at_most=1)

    def __call__(self, progress: float) -> float:
        """Return the factor of the learning rate at a progress from 0 to 1."""
        return self.factor ** sum(progress >= milestone for milestone in self.milestones)
