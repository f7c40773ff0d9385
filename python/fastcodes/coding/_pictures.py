"""Validation of pictures and of their shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcodes._typing import Array, Codes, Doubles
from fastcodes._validation import as_array, as_integer, describe, described

__all__ = ["LONGEST_SIDE", "as_image", "as_images", "as_shape", "decibels"]

LONGEST_SIDE = 65_535
_LEAST_SIDE, _MOST_SIDE = 4, 128


def as_shape(shape: Any) -> tuple[int, int, int]:
    """Return the shape of a picture: height, width and channels."""
    if not isinstance(shape, (tuple, list)) or len(shape) != 3:
        raise TypeError(f"shape must be (height, width, channels); got {describe(shape)}")
    height, width = (as_integer(shape[i], f"shape[{i}]", _LEAST_SIDE, _MOST_SIDE) for i in range(2))
    channels = as_integer(shape[2], "shape[2]", 1, 3)
    if channels == 2:
        raise ValueError("shape[2] must be 1 or 3 channels; got 2")
    return height, width, channels


def as_image(image: Any, *, lossless: bool = False) -> Array:
    """Return a picture as `ImageCodec` takes it: uint8 (height, width) or (height, width, 3)."""
    array = as_array(image, "image")
    way = ""
    if array.dtype.kind == "f":
        way = "; for values from 0 to 1, np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)"
    elif array.dtype == bool:
        way = "; for masks, 255 * image.astype(np.uint8)"
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        array = array.astype(np.uint16, copy=False)  # of this machine's byte order
    if array.dtype != np.uint8 and array.dtype != np.uint16:
        raise TypeError(f"image must be uint8, or uint16 without losses; got {described(array, image)}{way}")
    if array.ndim == 3 and array.shape[2] in (2, 4):
        others = ":3" if array.shape[2] == 4 else "0"
        raise ValueError(
            f"image must be (height, width) or (height, width, 3); got shape {array.shape}, which has an "
            f"alpha channel: compress image[..., {others}], and image[..., -1] by itself"
        )
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] != 3):
        way = "; for grey, image[..., 0]" if array.ndim == 3 and array.shape[2] == 1 else ""
        raise ValueError(f"image must be (height, width) or (height, width, 3); got shape {array.shape}{way}")
    if not all(1 <= side <= LONGEST_SIDE for side in array.shape[:2]):
        raise ValueError(f"image must have sides from 1 to {LONGEST_SIDE:,}; got shape {array.shape}")
    if array.dtype == np.uint16 and (array.ndim == 3 or not lossless):
        raise ValueError(
            "an image of uint16 must be (height, width) and the codec ImageCodec(lossless=True); for 8 bits, "
            "(image >> 8).astype(np.uint8)"
        )
    return np.ascontiguousarray(array)


def as_images(images: Any, shape: tuple[int, ...], name: str = "images") -> Codes:
    """Return pictures of a shape as uint8 (n, height, width, channels)."""
    array = as_array(images, name)
    if array.dtype != np.uint8:
        advice = ""
        if array.dtype.kind == "f":
            advice = f"; give np.rint(255 * {name}).astype(np.uint8) if its values are from 0 to 1"
        raise TypeError(
            f"{name} must be a numpy uint8 array (n, {', '.join(map(str, shape))}); "
            f"got {described(array, images)}{advice}"
        )
    if array.ndim != 4 or array.shape[1:] != shape:
        advice = ""
        if array.shape == shape:
            advice = f"; for one picture give {name}[None]"
        elif array.ndim == 3 and (*array.shape[1:], 1) == shape:
            advice = f"; give {name}[..., None]"
        elif array.ndim == 4 and (*array.shape[1:3], array.shape[3] - 1) == shape:
            advice = f"; blend the alpha channel with a background, or drop it: {name}[..., :3]"
        elif array.ndim == 4 and array.shape[3] == shape[2]:
            advice = "; resize the pictures, for example with Pillow"
        raise ValueError(
            f"{name} must have shape (n, {', '.join(map(str, shape))}); got {array.shape}{advice}"
        )
    return array


def decibels(decoded: Codes, images: Codes) -> Doubles:
    """Return the peak signal-to-noise ratio of each picture, float64 (n,); no error counts as one of 1."""
    errors = decoded.reshape(len(decoded), -1).astype(np.int16)
    errors -= images.reshape(len(images), -1)
    squares = np.maximum(np.einsum("np,np->n", errors, errors, dtype=np.int64), 1)
    ratios: Doubles = 10 * np.log10(255**2 * errors.shape[1] / squares)
    return ratios
