"""What is done after each epoch, and to each batch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fastcodes._validation import as_integer
from fastcodes.nn._layer import Array

if TYPE_CHECKING:
    from fastcodes.nn.model import Sequential

__all__ = ["Checkpoint", "EarlyStopping", "RandomFlip", "RandomShift"]


@dataclass(frozen=True)
class EarlyStopping:
    """End training once a figure has not improved for some epochs.

    Parameters
    ----------
    patience : int
        For how many.
    monitor : str
        Which list of `Sequential.history_`: of an accuracy the largest is best, of a loss the smallest.

    Examples
    --------
    >>> from fastcodes import nn
    >>> stop = nn.EarlyStopping(patience=3, monitor="loss")
    """

    patience: int = 5
    monitor: str = "validation_loss"

    def __post_init__(self) -> None:
        as_integer(self.patience, "patience", 1)

    def __call__(self, model: Sequential) -> bool:
        """Return whether to stop."""
        figures = _figures(model, self.monitor)
        return len(figures) - 1 - int(np.argmin(figures)) >= self.patience


@dataclass(frozen=True)
class Checkpoint:
    """Save the model after each epoch, to go on from there or to have the best.

    Parameters
    ----------
    path : path-like
        The file, which is replaced in one step.
    monitor : str or None
        A list of `Sequential.history_`; if given, the model is saved only where that is the best so far.

    Examples
    --------
    >>> from fastcodes import nn
    >>> best = nn.Checkpoint("best.safetensors", monitor="validation_accuracy")
    """

    path: str | os.PathLike[str]
    monitor: str | None = None

    def __call__(self, model: Sequential) -> bool:
        """Save, and never stop."""
        if self.monitor is not None:
            figures = _figures(model, self.monitor)
            if len(figures) - 1 != int(np.argmin(figures)):
                return False
        model.save(self.path)
        return False


def _figures(model: Sequential, monitor: str) -> list[float]:
    """Return what was monitored, such that less is better."""
    if monitor not in model.history_:
        advice = "; give fit validation_data=" if monitor.startswith("validation") else ""
        raise ValueError(f"monitor must be one of {sorted(model.history_)}; got {monitor!r}{advice}")
    figures = model.history_[monitor]
    return [-figure for figure in figures] if monitor.endswith("accuracy") else figures


@dataclass(frozen=True)
class RandomShift:
    """Move each image of a batch by some pixels, to give as ``augment=``.

    Parameters
    ----------
    pixels : int
        How far at most, in both directions.
    fill : float
        What comes in from outside.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import nn
    >>> batch = np.arange(1.0, 10).reshape(1, 3, 3)
    >>> nn.RandomShift(1)(batch, np.random.default_rng(0))
    array([[[4., 5., 6.],
            [7., 8., 9.],
            [0., 0., 0.]]])
    """

    pixels: int
    fill: float = 0.0

    def __post_init__(self) -> None:
        as_integer(self.pixels, "pixels", 1)

    def __call__(self, batch: Array, rng: np.random.Generator) -> Array:
        """Return shifted images of (n, height, width) or (n, height, width, channels)."""
        n, height, width = _images(batch)
        border = self.pixels
        padded = np.full(
            (n, height + 2 * border, width + 2 * border, *batch.shape[3:]), self.fill, batch.dtype
        )
        padded[:, border : border + height, border : border + width] = batch
        shifted = np.empty_like(batch)
        for i, (y, x) in enumerate(rng.integers(2 * border, size=(n, 2), endpoint=True)):
            shifted[i] = padded[i, y : y + height, x : x + width]
        return shifted


@dataclass(frozen=True)
class RandomFlip:
    """Mirror each image of a batch, left to right, at a chance of one half, to give as ``augment=``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import nn
    >>> shift, flip = nn.RandomShift(4), nn.RandomFlip()
    >>> augment = lambda batch, rng: flip(shift(batch, rng), rng)
    """

    def __call__(self, batch: Array, rng: np.random.Generator) -> Array:
        """Return images of (n, height, width) or (n, height, width, channels), some of them mirrored."""
        n, _, _ = _images(batch)
        flips = rng.random(n) < 0.5
        flipped = batch.copy()
        flipped[flips] = batch[flips, :, ::-1]
        return flipped


def _images(batch: Array) -> tuple[int, int, int]:
    if batch.ndim not in (3, 4):
        raise ValueError(
            f"expects images (n, height, width) or (n, height, width, channels); got shape {batch.shape}. "
            "Give fit images, and begin the network with Flatten()"
        )
    return batch.shape[0], batch.shape[1], batch.shape[2]
