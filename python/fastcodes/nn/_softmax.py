"""Class probabilities from logits."""

from __future__ import annotations

import numpy as np

from fastcodes._typing import Array

__all__ = ["log_softmax", "softmax"]


def softmax(logits: Array) -> Array:
    """Return the probabilities (n, n_classes) of logits (n, n_classes)."""
    return np.exp(log_softmax(logits))


def log_softmax(logits: Array) -> Array:
    """Return the logarithms of the probabilities; they are finite for all finite logits."""
    logs: Array = logits - logits.max(axis=1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    return logs
