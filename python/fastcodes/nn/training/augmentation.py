"""Random changes of training images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import TypeAlias

import numpy as np

from fastcodes._typing import Array
from fastcodes._validation import as_integer, as_real

__all__ = ["Augmentation", "RandomFlip", "RandomShift"]

# From a batch to a batch of the same shape.
Augmentation: TypeAlias = Callable[[Array, np.random.Generator], Array]


@dataclass(frozen=True)
class RandomShift:
    """Shift each image of a batch by a random number of pixels, for ``augment=``.

    Parameters
    ----------
    pixels : int
        The largest shift in each direction.
    fill : float
        The value of pixels that come in from outside.

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
    _: KW_ONLY
    fill: float = 0.0

    def __post_init__(self) -> None:
        as_integer(self.pixels, "pixels", 1)
        as_real(self.fill, "fill")

    def __call__(self, batch: Array, rng: np.random.Generator) -> Array:
        """Return shifted images of (n, height, width) or (n, height, width, channels)."""
        n, height, width = _image_sizes(batch)
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
    """Mirror each image of a batch, left to right, with probability one half, for ``augment=``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import nn
    >>> shift, flip = nn.RandomShift(4), nn.RandomFlip()
    >>> augment = lambda batch, rng: flip(shift(batch, rng), rng)
    """

    def __call__(self, batch: Array, rng: np.random.Generator) -> Array:
        """Return images of (n, height, width) or (n, height, width, channels), some of them mirrored."""
        n, _, _ = _image_sizes(batch)
        is_flipped = rng.random(n) < 0.5
        flipped = batch.copy()
        flipped[is_flipped] = batch[is_flipped, :, ::-1]
        return flipped


def _image_sizes(batch: Array) -> tuple[int, int, int]:
    if batch.ndim not in (3, 4):
        raise ValueError(
            f"expects images (n, height, width) or (n, height, width, channels); got shape {batch.shape}. "
            "Give fit images, and begin the network with Flatten()"
        )
    return batch.shape[0], batch.shape[1], batch.shape[2]
