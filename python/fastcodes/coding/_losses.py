"""The loss of networks that code pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastcodes._typing import Array
from fastcodes.nn import Loss

__all__ = ["SquaredError"]


@dataclass(frozen=True)
class SquaredError(Loss):
    """The mean squared error of all numbers."""

    def __call__(self, logits: Array, labels: Array, inputs: Array) -> tuple[float, Array]:
        """Return the loss and its gradient."""
        error = logits - labels
        return float(np.square(error).mean()), error * (2 / error.size)
