"""Callbacks after each epoch: early stopping and checkpoints."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

import numpy as np

from fastcodes._typing import PathLike
from fastcodes._validation import as_integer, describe

if TYPE_CHECKING:
    from fastcodes.nn.training.model import Sequential

__all__ = ["Checkpoint", "EarlyStopping"]


@dataclass(frozen=True)
class EarlyStopping:
    """End the training when a metric has not improved for some epochs.

    Parameters
    ----------
    patience : int
        The number of epochs without improvement.
    monitor : str
        A key of `Sequential.history_`. An accuracy should be large, a loss small.

    Examples
    --------
    >>> from fastcodes import nn
    >>> stop = nn.EarlyStopping(patience=3, monitor="loss")
    """

    patience: int = 5
    _: KW_ONLY
    monitor: str = "validation_loss"

    def __post_init__(self) -> None:
        as_integer(self.patience, "patience", 1)

    def __call__(self, model: Sequential) -> bool:
        """Return whether to stop."""
        costs = _costs(model, self.monitor)
        return len(costs) - 1 - int(np.argmin(costs)) >= self.patience


@dataclass(frozen=True)
class Checkpoint:
    """Save the model after each epoch, to resume the training or to keep the best epoch.

    Parameters
    ----------
    path : path-like
        The file; it is replaced atomically.
    monitor : str or None
        A key of `Sequential.history_`. If given, the model is saved only if the last epoch is the best.

    Examples
    --------
    >>> from fastcodes import nn
    >>> best = nn.Checkpoint("best.safetensors", monitor="validation_accuracy")
    """

    path: PathLike
    _: KW_ONLY
    monitor: str | None = None

    def __call__(self, model: Sequential) -> bool:
        """Save the model; never stop."""
        if self.monitor is not None:
            costs = _costs(model, self.monitor)
            if len(costs) - 1 != int(np.argmin(costs)):
                return False
        model.save(self.path)
        return False


def _costs(model: Sequential, monitor: str) -> list[float]:
    """Return a metric of all epochs, negated if large values are good."""
    if not isinstance(monitor, str) or monitor not in model.history_:
        wants_validation = isinstance(monitor, str) and monitor.startswith("validation")
        advice = "; give fit validation_data=" if wants_validation else ""
        raise ValueError(f"monitor must be one of {sorted(model.history_)}; got {describe(monitor)}{advice}")
    values = model.history_[monitor]
    return [-value for value in values] if monitor.endswith("accuracy") else values
