"""Pixels: three channels, other sizes, and blends."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from fastcodes._typing import Array, Codes, Doubles
from fastcodes._validation import as_array, described
from fastcodes.coding._pictures import as_image

__all__ = ["as_bytes", "as_picture", "in_color", "resized"]


def as_picture(image: Any) -> Codes:
    """Return a picture as uint8 (height, width) or (height, width, 3)."""
    array = as_array(image, "image")
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        raise TypeError(f"image must be uint8; got {described(array, image)}: (image >> 8).astype(np.uint8)")
    return as_image(array)


def in_color(image: Codes) -> Codes:
    """Return a picture (height, width) or (height, width, 3) with three channels."""
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def resized(image: Array, height: int, width: int) -> Doubles:
    """Return a picture of another size, by linear interpolation with a support that grows with shrinking.

    As Pillow's filter "bilinear" does, without rounding.
    """
    rows, columns = _weights(image.shape[0], height), _weights(image.shape[1], width)
    out: Doubles = np.moveaxis(np.tensordot(columns, np.tensordot(rows, image, 1), (1, 1)), 0, 1)
    return out


@lru_cache(16)
def _weights(n: int, n_out: int) -> Doubles:
    """Return the weights (n_out, n) of `n` samples in each of `n_out`."""
    scale = n / n_out
    support = max(scale, 1.0)
    centers = (np.arange(n_out) + 0.5) * scale
    distances = np.abs(np.arange(n) + 0.5 - centers[:, None]) / support
    weights = np.maximum(1 - distances, 0)
    normalized: Doubles = weights / weights.sum(axis=1, keepdims=True)
    normalized.flags.writeable = False
    return normalized


def as_bytes(pixels: Doubles) -> Codes:
    """Return pixels as uint8."""
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
