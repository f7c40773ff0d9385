"""Labels that a hash function learns from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["targets"]


def targets(y: Any, n: int, model: str) -> NDArray[np.float32]:
    """Return which labels each of `n` samples has, as zeros and ones (n, c).

    Parameters
    ----------
    y : array_like (n,) or (n, c)
        Classes, numbers or strings; or for each sample and each of `c` labels whether it has it.
    n : int
        How many samples there are.
    model : str
        Who asks, for the error message.
    """
    if y is None:
        raise ValueError(f"This {model} estimator requires y to be passed, but the target y is None")
    labels = np.asarray(y)
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
        raise ValueError("y must tell samples apart; got the same label for all of them")
    return present
