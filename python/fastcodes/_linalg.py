"""Linear algebra that several models share: principal components, rotations, projections, distances.

Samples are read a block at a time. Statistics are computed in float64, in which no square of a float32
overflows or underflows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastcodes._blocks import fold, row_slices
from fastcodes._typing import Array, Doubles, Floats, RowSource

__all__ = [
    "PrincipalComponents",
    "centered_product",
    "check_scale",
    "exact_product",
    "mean_and_covariance",
    "nearest_rotation",
    "oriented",
    "principal_components",
    "projections",
    "random_rotation",
    "squared_distances",
]

# A direction counts if its variance exceeds these shares: of the total variance, since float32 projections
# have a relative error of about 1e-7; and of the squared mean, since samples were rounded to float32.
_SHARE_OF_VARIANCE, _SHARE_OF_MEAN = 1e-12, 2.0**-46
# Mean squared deviations of samples outside this range have squared distances that float32 cannot represent.
_SMALLEST_SQUARE, _LARGEST_SQUARE = 1e-30, 1e36
# Products that are compared with their errors at a time: they stay in the cache.
_ELEMENTS_PER_STEP = 1 << 17
_LEAST_LENGTH = np.float32(1e-18)  # of a vector whose squares underflow


class PrincipalComponents(NamedTuple):
    """The orthogonal directions of largest variance."""

    mean: Doubles  # (d,)
    variances: Doubles  # (d,), descending
    vectors: Doubles  # (d, d), one direction per column

    @property
    def rank(self) -> int:
        """The number of directions in which the samples differ by more than rounding errors."""
        noise = _SHARE_OF_VARIANCE * self.variances.sum() + _SHARE_OF_MEAN * float(self.mean @ self.mean)
        return int((self.variances > noise).sum())


def principal_components(samples: Array | RowSource) -> PrincipalComponents:
    """Return the principal components of at least one sample."""
    mean, covariance = mean_and_covariance(samples)
    variances, vectors = np.linalg.eigh(covariance)
    return PrincipalComponents(mean, np.maximum(variances[::-1], 0), oriented(vectors[:, ::-1]))


def mean_and_covariance(samples: Array | RowSource) -> tuple[Doubles, Doubles]:
    """Return mean (d,) and covariance (d, d), divided by n, not by n - 1."""
    mean = _mean(samples)
    (products,) = fold(samples, _products, mean)
    return mean, products / len(samples)


def _mean(x: Array | RowSource) -> Doubles:
    (sums,) = fold(x, _sums)
    mean: Doubles = sums / len(x)
    return mean


def _sums(block: Floats) -> tuple[Doubles]:
    return (block.sum(axis=0, dtype=np.float64),)


def _products(block: Floats, mean: Doubles) -> tuple[Doubles]:
    centered = block - mean
    return (centered.T @ centered,)


def _squares(block: Floats, mean: Doubles) -> tuple[float]:
    centered = block - mean
    return (float(np.einsum("nd,nd->", centered, centered)),)


def check_scale(x: Array | RowSource, name: str = "X") -> None:
    """Raise an error if squared distances between the rows of an array overflow or underflow float32."""
    (total,) = fold(x, _squares, _mean(x))
    square = total / len(x)
    if square and not _SMALLEST_SQUARE <= square <= _LARGEST_SQUARE:
        size, problem = ("small", "underflow") if square < 1 else ("large", "overflow")
        raise ValueError(
            f"{name} has values so {size} that their squared distances {problem} float32; scale it, "
            f"for example by {1 / np.sqrt(square):.0e}"
        )


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


def projections(x: Floats, directions: Floats) -> Floats:
    """Return ``x @ directions.T`` with signs that depend on no other row of `x`.

    BLAS adds up in an order that depends on the number of rows, so that a product near zero could be positive
    in one batch and negative in another. Products within the rounding error are computed again, in float64.
    """
    (n, d), k = x.shape, len(directions)
    with np.errstate(over="ignore", invalid="ignore"):
        values: Floats = x @ directions.T
        # Twice the bound on the rounding error of an inner product: d * 2^-24 * |x| * |w|.
        factors = _lengths(directions) * np.float32((d + 2) * 2.0**-23)
        step = max(1, _ELEMENTS_PER_STEP // max(d, k))
        for start in range(0, n, step):
            part, products = x[start : start + step], values[start : start + step]
            bounds = np.multiply.outer(_lengths(part), factors)
            unsure = np.flatnonzero(np.abs(products) < bounds)
            for first in range(0, len(unsure), step):
                row, column = np.divmod(unsure[first : first + step], k)
                products[row, column] = (part[row].astype(np.float64) * directions[column]).sum(axis=1)
    return values


def _lengths(x: Floats) -> Floats:
    """Return the L2 norm of each row, or a bound on it where squares underflow."""
    lengths: Floats = np.sqrt(np.einsum("nd,nd->n", x, x)) + _LEAST_LENGTH
    return lengths


def exact_product(x: Floats, matrix: Floats) -> Floats:
    """Return ``x @ matrix``, computed in float64: rounding removes what depends on the other rows."""
    with np.errstate(over="ignore"):
        return (x.astype(np.float64) @ matrix.astype(np.float64)).astype(np.float32)


def squared_distances(x: Floats, points: Floats) -> Floats:
    """Return the squared L2 distances (n, m) of samples (n, d) to points (m, d)."""
    # Relative to the mean of the points: far from the origin, cancellation would leave few digits.
    center = points.mean(axis=0)
    x, points = x - center, points - center
    squares = exact_product(x, points.T)
    squares *= -2
    squares += np.einsum("nd,nd->n", x, x)[:, None]
    squares += np.einsum("md,md->m", points, points)
    np.maximum(squares, 0, out=squares)
    return squares
