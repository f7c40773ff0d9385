"""Canonical correlation analysis: directions of two views of the same samples that correlate most."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastcodes._blocks import blocks
from fastcodes._linalg import mean_and_covariance, oriented
from fastcodes._typing import Doubles, Floats
from fastcodes.hashing.base import check_samples_differ

__all__ = ["Canonical"]

# As a fraction of the largest correlation: what rounding leaves of a zero correlation.
_NO_CORRELATION = 1e-6


class Canonical(NamedTuple):
    """Means (d,), directions (d, m) along which both views have variance 1, and their correlations (m,)."""

    mean: Doubles
    directions: Doubles
    other_mean: Doubles
    other_directions: Doubles
    correlations: Doubles

    @classmethod
    def of(cls, x: Floats, other: Floats, n: int, regularization: float) -> Canonical:
        """Return at most `n` directions of samples (n_samples, d) and of another view of them."""
        mean, covariance = mean_and_covariance(x)
        check_samples_differ(len(x), covariance)
        other_mean, other_covariance = mean_and_covariance(other)
        cross = np.zeros((x.shape[1], other.shape[1]))
        for rows, block in blocks(x):
            cross += (block - mean).T @ (other[rows] - other_mean)
        cross /= len(x)
        lower, other_lower = (_cholesky(matrix, regularization) for matrix in (covariance, other_covariance))
        whitened = np.linalg.solve(other_lower, np.linalg.solve(lower, cross).T).T
        u, correlations, v = np.linalg.svd(whitened, full_matrices=False)
        m = max(int((correlations[:n] > _NO_CORRELATION * correlations[0]).sum()), 1)
        directions = np.linalg.solve(lower.T, u[:, :m])
        turned = oriented(directions)
        signs = np.where((directions * turned).sum(axis=0) < 0, -1.0, 1.0)
        other_directions = np.linalg.solve(other_lower.T, v[:m].T) * signs
        return cls(mean, turned, other_mean, other_directions, correlations[:m])


def _cholesky(matrix: Doubles, regularization: float) -> Doubles:
    diagonal = regularization * np.trace(matrix) / len(matrix)
    try:
        return np.linalg.cholesky(matrix + diagonal * np.eye(len(matrix)))
    except np.linalg.LinAlgError:
        raise ValueError(
            f"the samples of a view do not span its {len(matrix)} features, and "
            f"regularization={regularization:g} is below rounding; give a larger one"
        ) from None
