"""Sums over all axes but the last: one number for each feature or channel."""

from __future__ import annotations

import numpy as np

from fastcodes._typing import Array
from fastcodes.nn._thread_pool import map_slices

__all__ = ["moments", "sums", "sums_of_products"]


def sums(x: Array) -> Array:
    """Return the sums of `x`; a matrix product is the fastest way to compute them."""
    rows = x.reshape(-1, x.shape[-1])
    total: Array = np.ones(len(rows), x.dtype) @ rows
    return total


def sums_of_products(x: Array, y: Array) -> Array:
    """Return the sums of ``x * y``, without an array of the products."""
    total: Array = np.einsum("nd,nd->d", x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1]))
    return total


def moments(x: Array) -> tuple[Array, Array, Array]:
    """Return the means, the variances, and `x` minus the means."""
    n = x.size // x.shape[-1]
    mean: Array = np.sum(map_slices(lambda samples: sums(x[samples]), len(x), x.size), axis=0) / n
    centered = np.empty_like(x)

    def center(samples: slice) -> Array:
        np.subtract(x[samples], mean, out=centered[samples])
        return sums_of_products(centered[samples], centered[samples])

    variance: Array = np.sum(map_slices(center, len(x), x.size), axis=0) / n
    return mean, variance, centered
