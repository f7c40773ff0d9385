"""Samples and labels of classifiers: checks, and labels in files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._estimator import without_column
from fastcodes._typing import Array
from fastcodes._validation import as_array, as_features, to_float32

__all__ = [
    "SAMPLES_PER_BATCH",
    "as_labels",
    "as_network_samples",
    "check_finite",
    "check_lengths",
    "labels_from_state",
    "labels_to_state",
]

# Samples that are checked, and classified, at a time.
SAMPLES_PER_BATCH = 256


def as_network_samples(X: ArrayLike, name: str = "X") -> Array:
    """Return samples as an array (n, ...) of real numbers, in its own dtype."""
    samples = as_features(X, name)
    if samples.ndim < 2:
        raise ValueError(
            f"{name} must have samples along its first axis, (n, d) or (n, height, width, channels); "
            f"got shape {samples.shape}. {name}.reshape(1, -1) is one sample, "
            f"{name}.reshape(-1, 1) is one feature"
        )
    return samples


def check_finite(samples: Array, name: str = "X") -> None:
    """Refuse numbers that are not finite in float32, and report the first sample that has one."""
    if samples.dtype.kind != "f":
        return
    for start in range(0, len(samples), SAMPLES_PER_BATCH):
        batch = samples[start : start + SAMPLES_PER_BATCH]
        is_finite = np.isfinite(to_float32(batch)).reshape(len(batch), -1).all(axis=1)
        if not is_finite.all():
            row = int(is_finite.argmin())
            value = batch[row][~np.isfinite(to_float32(batch[row]))].flat[0]
            raise ValueError(
                f"{name} has {value} in sample {start + row}; "
                "expected no NaN, no infinity and nothing too large for float32"
            )


def as_labels(y: ArrayLike, name: str = "y") -> Array:
    """Return class labels, (n,) or a column (n, 1), as an array (n,); continuous targets are refused."""
    labels = without_column(as_array(y, name), name)
    if labels.ndim != 1:
        advice = f"; for one-hot rows give {name}.argmax(axis=1)" if labels.ndim == 2 else ""
        raise ValueError(f"{name} must be labels (n,); got shape {labels.shape}{advice}")
    if labels.dtype.kind == "f" and not (labels == np.rint(labels)).all():
        fraction = labels[labels != np.rint(labels)][0]
        raise ValueError(
            f"{name} must be class labels, whole numbers or strings; got {fraction}, which is continuous"
        )
    return labels


def check_lengths(samples: Array, labels: Array, names: tuple[str, str] = ("X", "y")) -> None:
    """Refuse labels that do not match the samples, and no samples."""
    if len(samples) != len(labels):
        raise ValueError(f"{names[0]} has {len(samples)} samples and {names[1]} {len(labels)} labels")
    if not len(samples):
        raise ValueError(f"{names[0]} has no samples; expected at least one")


def labels_to_state(classes: Array, params: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Add labels to the state of a model: numbers to `arrays`, strings to `params`."""
    if classes.dtype.kind in "biuf":
        arrays["classes"] = classes
    elif all(isinstance(label, str) for label in classes):
        params["classes"] = classes.tolist()
    else:
        raise TypeError(f"only labels that are numbers or strings can be saved; got {classes.tolist()}")


def labels_from_state(params: Mapping[str, Any], arrays: Mapping[str, Array], n_outputs: int) -> Array:
    """Return the labels that `labels_to_state` added, one for each output."""
    classes = arrays["classes"] if "classes" in arrays else np.array(params["classes"])
    if classes.shape != (n_outputs,):
        raise ValueError(
            f"the last layer has {n_outputs} outputs, which is not one for each of {len(classes)} classes"
        )
    return classes
