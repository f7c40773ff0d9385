"""Distances of samples to anchors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["squared_distances"]

Floats = NDArray[np.float32]


def squared_distances(x: Floats, anchors: Floats) -> Floats:
    """Return the squared L2 distances (n, m) of samples (n, d) to anchors (m, d)."""
    # Seen from their middle: far from the origin little would be left of the difference.
    middle = anchors.mean(axis=0)
    x, anchors = x - middle, anchors - middle
    squares: Floats = x @ anchors.T
    squares *= -2
    squares += np.einsum("nd,nd->n", x, x)[:, None]
    squares += np.einsum("md,md->m", anchors, anchors)
    np.maximum(squares, 0, out=squares)
    return squares
