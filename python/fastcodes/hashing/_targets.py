"""Labels that a hash function learns from, as an indicator matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._blocks import sampled_rows, take_rows
from fastcodes._estimator import without_column
from fastcodes._typing import Floats
from fastcodes._validation import as_array, as_integer, as_training_samples

__all__ = ["as_targets", "labeled_samples"]


def as_targets(y: Any, n: int, owner: str) -> Floats:
    """Return which labels each of `n` samples has, as zeros and ones (n, c).

    Parameters
    ----------
    y : array_like (n,) or (n, c)
        Classes, numbers or strings, also in a column (n, 1); or zeros and ones that say which of `c` labels
        each sample has.
    n : int
        The number of samples.
    owner : str
        The model that needs them, for the error message.
    """
    if y is None:
        raise ValueError(f"This {owner} estimator requires y to be passed, but the target y is None")
    labels = without_column(as_array(y, "y"))
    if labels.ndim not in (1, 2) or labels.dtype.kind not in "biufUSO":
        raise ValueError(
            "y must be labels (n,), or booleans (n, c) that say which labels each sample has; "
            f"got shape {labels.shape} and dtype {labels.dtype}"
        )
    if len(labels) != n:
        raise ValueError(f"X has {n} samples and y {len(labels)} labels; expected one for each sample")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        row = int(np.argwhere(~np.isfinite(labels))[0, 0])
        raise ValueError(f"y has a value in row {row} that is not finite; expected labels")
    if labels.ndim == 2:
        if labels.dtype.kind not in "biuf" or not np.isin(labels, (0, 1)).all():
            raise ValueError("y of shape (n, c) must be zeros and ones, one for each sample and label")
        present = labels.astype(np.float32)
    else:
        try:
            classes, numbers = np.unique(labels, return_inverse=True)
        except TypeError as error:
            raise TypeError(
                f"y must be labels that can be sorted, such as numbers or strings: {error}"
            ) from None
        present = np.zeros((n, len(classes)), np.float32)
        present[np.arange(n), numbers.reshape(-1)] = 1
    if not present.shape[1] or (present == present[0]).all():
        raise ValueError("y must have at least two different labels; got one class for all samples")
    return present


def labeled_samples(
    X: ArrayLike, y: Any, max_samples: int | None, rng: np.random.Generator, owner: str
) -> tuple[Floats, Floats]:
    """Return at most `max_samples` random rows of `X` as float32, and their rows of `as_targets`."""
    samples = as_training_samples(X)
    targets = as_targets(y, len(samples), owner)
    if max_samples is not None:
        max_samples = as_integer(max_samples, "max_samples", 1)
    rows = sampled_rows(len(samples), max_samples, rng)
    return take_rows(samples, rows), targets[rows]
