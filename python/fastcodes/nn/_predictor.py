"""What a trained network answers, and the samples that it takes."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes._estimator import NotFittedError
from fastcodes._typing import Floats
from fastcodes.nn._layer import Shape
from fastcodes.nn.losses import softmax

__all__ = ["Predictor", "check_finite", "floats", "labels_of", "pack_labels", "samples_of"]


# Samples that are looked at together.
_BATCH = 256


class Predictor(abc.ABC):
    """A model that gives logits of samples a batch at a time."""

    input_shape_: Shape
    classes_: NDArray[Any]

    @abc.abstractmethod
    def _runner(self, batch_size: int) -> Callable[[NDArray[Any]], Floats]:
        """Return a function from at most so many samples to logits, for one caller at a time."""

    def decision_function(self, X: ArrayLike) -> Floats:
        """Return the logits of samples.

        Parameters
        ----------
        X : array_like (n, ...)
            Samples, as in training.

        Returns
        -------
        float32 array (n, n_classes)
            Column ``j`` is that of ``classes_[j]``.

        Raises
        ------
        NotFittedError
            If the model was not trained.
        TypeError, ValueError
            If `X` are not finite real numbers of the shape that the model was trained with.
        """
        self._check_fitted()
        samples = self._checked(X)
        logits = np.empty((len(samples), len(self.classes_)), np.float32)
        run = self._runner(min(len(samples), _BATCH))
        for start in range(0, len(samples), _BATCH):
            rows = slice(start, start + _BATCH)
            logits[rows] = run(samples[rows])
        return logits

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the labels with the largest logits (n,); arguments and errors as `decision_function`."""
        chosen = self.decision_function(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[chosen]
        return labels

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return the softmax of the logits (n, n_classes); arguments and errors as `decision_function`.

        They are meant as probabilities if the loss was the cross-entropy.
        """
        return softmax(self.decision_function(X))

    def _checked(self, X: ArrayLike, name: str = "X") -> NDArray[Any]:
        samples = samples_of(X, name)
        if samples.shape[1:] != self.input_shape_:
            raise ValueError(
                f"{name} has samples of shape {samples.shape[1:]}; "
                f"the model was trained with samples of shape {self.input_shape_}"
            )
        check_finite(samples, name)
        return samples

    def _check_fitted(self) -> None:
        if not hasattr(self, "classes_"):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. "
                "Call 'fit' with appropriate arguments before using this estimator."
            )


def samples_of(X: ArrayLike, name: str = "X") -> NDArray[Any]:
    """Return samples as an array (n, ...) of real numbers, in their own dtype."""
    if hasattr(X, "toarray"):
        raise TypeError(f"{name} is sparse, which is not supported; give {name}.toarray()")
    samples = X if isinstance(X, np.ndarray) else np.asarray(X)
    if samples.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must be real numbers (floats, integers or uint8); got an array of dtype {samples.dtype}"
        )
    if samples.ndim < 2:
        raise ValueError(
            f"{name} must have samples along its first axis, (n, d) or (n, height, width, channels); "
            f"got shape {samples.shape}. {name}.reshape(1, -1) is one sample, "
            f"{name}.reshape(-1, 1) is one feature"
        )
    return samples


def check_finite(samples: NDArray[Any], name: str = "X") -> None:
    """Refuse numbers that are not finite in float32, and say where the first is."""
    if samples.dtype.kind != "f":
        return
    for start in range(0, len(samples), _BATCH):
        batch = samples[start : start + _BATCH]
        fine = np.isfinite(floats(batch)).reshape(len(batch), -1).all(axis=1)
        if not fine.all():
            row = int(fine.argmin())
            value = batch[row][~np.isfinite(floats(batch[row]))].flat[0]
            raise ValueError(
                f"{name} has {value} in sample {start + row}; "
                "expected no NaN, no infinity and nothing too large for float32"
            )


def floats(x: NDArray[Any]) -> Floats:
    """Return an array as C-contiguous float32, itself if it is that."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(x, np.float32)


def pack_labels(classes: NDArray[Any], params: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Put labels into the contents of a file."""
    if classes.dtype.kind in "biuf":
        arrays["classes"] = classes
    elif all(isinstance(label, str) for label in classes):
        params["classes"] = classes.tolist()
    else:
        raise TypeError(f"only labels that are numbers or strings can be saved; got {classes.tolist()}")


def labels_of(params: dict[str, Any], arrays: dict[str, NDArray[Any]], n: int) -> NDArray[Any]:
    """Return the labels that `pack_labels` put there, of which there have to be `n`."""
    classes = arrays["classes"] if "classes" in arrays else np.array(params["classes"])
    if classes.shape != (n,):
        raise ValueError(
            f"its last layer has {n} outputs, which is not one for each of {len(classes)} classes"
        )
    return classes
