"""Validation of pictures and of grids of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastcodes._typing import Array, Codes
from fastcodes._validation import as_array, as_integer, describe, described

__all__ = ["as_pictures", "as_size", "as_tokens", "check_unchanged", "token_dtype"]


def token_dtype(n_codewords: int) -> type[np.unsignedinteger[Any]]:
    """Return the dtype of tokens."""
    return np.uint8 if n_codewords <= 256 else np.uint16


def check_unchanged(model: object, fitted: Mapping[str, Any]) -> None:
    """Raise a ValueError if a parameter is not that of the last `fit`, so that a file would be invalid."""
    for name, learned in fitted.items():
        if (value := getattr(model, name)) != learned:
            raise ValueError(
                f"{name} was set to {value!r} after a fit with {name}={learned!r}; "
                "set it back to save this model, or fit again"
            )


def as_pictures(images: Any, n_channels: int | None = None) -> Codes:
    """Return pictures as uint8 (n, height, width, channels)."""
    array = as_array(images, "images")
    if array.dtype != np.uint8:
        channels = "channels" if n_channels is None else n_channels
        advice = "; give np.rint(255 * images).astype(np.uint8) if its values are from 0 to 1"
        raise TypeError(
            f"images must be a numpy uint8 array (n, height, width, {channels}); "
            f"got {described(array, images)}{advice if array.dtype.kind == 'f' else ''}"
        )
    expected = (1, 3) if n_channels is None else (n_channels,)
    if array.ndim != 4 or array.shape[3] not in expected or 0 in array.shape[1:]:
        advice = ""
        if array.ndim == 3:
            is_one = array.shape[2] in expected
            advice = "; for one picture give images[None]" if is_one else "; for grey ones images[..., None]"
        elif array.ndim == 4 and array.shape[3] in expected:
            advice = "; pictures need at least one row and column"
        elif array.ndim == 4 and array.shape[3] in (2, 4):
            advice = "; blend the alpha channel with a background, or drop it: images[..., :-1]"
        elif array.ndim == 4 and array.shape[3] == 1:
            advice = "; for grey pictures give np.repeat(images, 3, axis=3)"
        elif array.ndim == 4 and array.shape[3] == 3:
            advice = (
                "; the model is of grey pictures: give "
                "np.rint(images.mean(axis=3, keepdims=True)).astype(np.uint8)"
            )
        numbers = " or ".join(map(str, expected))
        raise ValueError(f"images must have shape (n, height, width, {numbers}); got {array.shape}{advice}")
    return array


def as_tokens(tokens: Any, n_codewords: int, n_codebooks: int | None = None) -> Array:
    """Return tokens as integers (n, rows, columns, n_codebooks), each below `n_codewords`.

    Without a number of codebooks, arrays of three axes have one, and those of four as many as the last.
    """
    array = as_array(tokens, "tokens")
    if array.dtype.kind not in "iu":
        raise TypeError(f"tokens must be integers; got {described(array, tokens)}")
    given = array.shape
    if array.ndim == 3 and n_codebooks in (None, 1):
        array = array[..., None]
    if array.ndim != 4 or n_codebooks not in (None, array.shape[3]) or 0 in array.shape[1:]:
        one, several = "(n, rows, columns)", f"(n, rows, columns, {n_codebooks or 'n_codebooks'})"
        expected = f"{one} or {several}" if n_codebooks is None else one if n_codebooks == 1 else several
        is_one = len(given) == (2 if n_codebooks in (None, 1) else 3)
        advice = "; for one picture give tokens[None]" if is_one else ""
        raise ValueError(f"tokens must have shape {expected}; got {given}{advice}")
    if array.size and (array.min() < 0 or array.max() >= n_codewords):
        wrong = array.min() if array.min() < 0 else array.max()
        raise ValueError(f"tokens must be from 0 to {n_codewords - 1}; got {wrong}")
    return array


def as_size(size: Any, rows: int, columns: int, patch: int) -> tuple[int, int]:
    """Return the size of pictures with a grid; None means whole patches."""
    if size is None:
        return rows * patch, columns * patch
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise TypeError(f"size must be (height, width); got {describe(size)}")
    height, width = (as_integer(side, f"size[{i}]", 1) for i, side in enumerate(size))
    grid = -(-height // patch), -(-width // patch)
    if grid != (rows, columns):
        raise ValueError(
            f"size {(height, width)} has a grid of {grid[0]} x {grid[1]} patches; "
            f"tokens have one of {rows} x {columns}"
        )
    return height, width
