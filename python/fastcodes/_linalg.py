"""Linear algebra that several models share: principal components, rotations, distances.

Samples are read a block at a time and products are float32; statistics are accumulated in float64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastcodes._blocks import blocks, row_slices
from fastcodes._typing import Array, Doubles, Floats

__all__ = [
    "PrincipalComponents",
    "centered_product",
    "mean_and_covariance",
    "nearest_rotation",
    "oriented",
    "principal_components",
    "random_rotation",
    "squared_distances",
]

# As a share of the largest variance: what float32 rounding leaves in a direction without any variance.
_NOISE = 1e-7


class PrincipalComponents(NamedTuple):
    """The orthogonal directions of largest variance."""

    mean: Doubles  # (d,)
    variances: Doubles  # (d,), descending
    vectors: Doubles  # (d, d), one direction per column

    @property
    def rank(self) -> int:
        """The number of directions in which the samples differ."""
        if not self.variances[0] > 0:
            return 0
        return int((self.variances > _NOISE * self.variances[0]).sum())


def principal_components(samples: Array) -> PrincipalComponents:
    """Return the principal components of at least one sample."""
    mean, covariance = mean_and_covariance(samples)
    variances, vectors = np.linalg.eigh(covariance)
    return PrincipalComponents(mean, np.maximum(variances[::-1], 0), oriented(vectors[:, ::-1]))


def mean_and_covariance(samples: Array) -> tuple[Doubles, Doubles]:
    """Return mean (d,) and covariance (d, d), divided by n, not by n - 1."""
    n, d = samples.shape
    mean, covariance = np.zeros(d), np.zeros((d, d))
    for _, block in blocks(samples):
        mean += block.sum(axis=0, dtype=np.float64)
    mean /= n
    with np.errstate(over="ignore", invalid="ignore"):
        for _, block in blocks(samples):
            centered = block - mean.astype(np.float32)
            covariance += centered.T @ centered
    if not np.isfinite(covariance).all():
        raise ValueError("X has values whose squares are too large for float32; divide it by a constant")
    return mean, covariance / n


def oriented(vectors: Doubles) -> Doubles:
    """Return the columns, each with the sign that makes its largest element positive.

    The sign of an eigenvector is arbitrary: without this, bits would depend on the LAPACK library.
    """
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return vectors * np.where(signs == 0, 1, signs)


def centered_product(x: Floats, mean: Doubles, matrix: Doubles) -> Floats:
    """Return ``(x - mean) @ matrix``."""
    product = np.empty((len(x), matrix.shape[1]), np.float32)
    mean32, matrix32 = mean.astype(np.float32), matrix.astype(np.float32)
    for rows in row_slices(x):
        np.matmul(x[rows] - mean32, matrix32, out=product[rows])
    return product


def nearest_rotation(cross: Array) -> Doubles:
    r"""Return R (m, k), m <= k, with orthonormal rows that maximizes the trace of ``R.T @ cross``.

    With ``cross = V.T @ B`` it minimizes :math:`\lVert B - V R \rVert_F`: the orthogonal Procrustes problem
    (Schönemann, Psychometrika 31, 1966). It is also the matrix with orthonormal rows nearest to `cross`.
    """
    u, _, vt = np.linalg.svd(np.asarray(cross, np.float64), full_matrices=False)
    rotation: Doubles = u @ vt
    return rotation


def random_rotation(n_rows: int, n_columns: int, rng: np.random.Generator) -> Doubles:
    """Return random orthonormal rows (n_rows, n_columns), uniformly distributed."""
    q, r = np.linalg.qr(rng.normal(size=(n_columns, n_columns)))
    rotation: Doubles = (q * np.sign(np.diag(r)))[:n_rows]
    return rotation


def squared_distances(x: Floats, points: Floats) -> Floats:
    """Return the squared L2 distances (n, m) of samples (n, d) to points (m, d)."""
    # Relative to the mean of the points: far from the origin, cancellation would leave few digits.
    center = points.mean(axis=0)
    x, points = x - center, points - center
    squares: Floats = x @ points.T
    squares *= -2
    squares += np.einsum("nd,nd->n", x, x)[:, None]
    squares += np.einsum("md,md->m", points, points)
    np.maximum(squares, 0, out=squares)
    return squares
