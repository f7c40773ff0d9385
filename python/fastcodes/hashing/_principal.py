"""Principal components of samples that are read a block at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastcodes import _data

__all__ = ["Principal", "check_rank", "check_some_rank", "moments", "oriented", "principal"]

Doubles = NDArray[np.float64]

# Of the largest variance: what float32 keeps of a direction that the samples do not have.
_NOISE = 1e-7


class Principal(NamedTuple):
    """The directions along which samples vary most."""

    mean: Doubles  # (d,)
    variances: Doubles  # (d,), falling
    vectors: Doubles  # (d, d), a direction a column

    @property
    def rank(self) -> int:
        """In how many of the directions the samples differ at all."""
        if not self.variances[0] > 0:
            return 0
        return int((self.variances > _NOISE * self.variances[0]).sum())


def moments(samples: NDArray[Any]) -> tuple[Doubles, Doubles]:
    """Return mean (d,) and covariance (d, d); divided by n, not by n - 1."""
    n, d = samples.shape
    mean, covariance = np.zeros(d), np.zeros((d, d))
    for _, block in _data.blocks(samples):
        mean += block.sum(axis=0, dtype=np.float64)
    mean /= n
    with np.errstate(over="ignore", invalid="ignore"):
        for _, block in _data.blocks(samples):
            centred = block - mean.astype(np.float32)
            covariance += centred.T @ centred
    if not np.isfinite(covariance).all():
        raise ValueError("X has values whose squares are too large for float32; divide it by a constant")
    return mean, covariance / n


def principal(samples: NDArray[Any]) -> Principal:
    """Return the principal components of some samples, at least one."""
    mean, covariance = moments(samples)
    variances, vectors = np.linalg.eigh(covariance)
    return Principal(mean, np.maximum(variances[::-1], 0), oriented(vectors[:, ::-1]))


def oriented(vectors: Doubles) -> Doubles:
    """Return columns, each with the sign that makes its largest element positive.

    Eigenvectors have no sign of their own; two libraries would give other bits.
    """
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return vectors * np.where(signs == 0, 1, signs)


def check_some_rank(covariance: Doubles) -> None:
    """Refuse samples that do not differ."""
    if not np.trace(covariance) > 0:
        raise ValueError("the samples of X do not differ; give samples that do")


def check_rank(n_bits: int, rank: int, samples: NDArray[Any], model: str) -> None:
    """Refuse more bits than there are directions in which the samples differ, and say why."""
    if n_bits <= rank:
        return
    n, d = samples.shape
    if n_bits > d:
        reason = f"X has {d} features"
    elif n <= n_bits:
        reason = f"n_samples={n} samples differ in {n - 1} directions at most"
    else:
        low = high = samples[:1].astype(np.float32)
        for _, block in _data.blocks(samples):
            low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
        constant = np.flatnonzero(low == high)
        listed = ", ".join(map(str, constant[:5])) + (", ..." if len(constant) > 5 else "")
        reason = f"the samples differ in {rank} directions only" + (
            f" (column {listed} is constant)"
            if len(constant) == 1
            else f" (columns {listed} are constant)"
            if len(constant)
            else " (columns are linear combinations of others)"
        )
    advice = f"lower n_bits to {rank} or less" if rank else "give samples that differ"
    raise ValueError(f"{model} makes at most one bit of a direction, and n_bits={n_bits}: {reason}; {advice}")
