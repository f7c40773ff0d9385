"""The predictions of trained and of packed networks."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._estimator import check_fitted
from fastcodes._typing import Array, Floats
from fastcodes.nn._samples import SAMPLES_PER_BATCH, as_network_samples, check_finite
from fastcodes.nn._softmax import softmax
from fastcodes.nn._thread_pool import limit_threads
from fastcodes.nn.layers import Shape

__all__ = ["Predictor", "Runner"]

Runner: TypeAlias = Callable[[Array], Floats]


class Predictor(abc.ABC):
    """A model that computes logits of samples, a batch at a time.

    Attributes
    ----------
    input_shape_ : tuple of int
        The shape of one sample.
    classes_ : array (n_classes,)
        The labels, sorted.
    """

    input_shape_: Shape
    classes_: Array

    @abc.abstractmethod
    def _runner(self, batch_size: int) -> Runner:
        """Return a function from at most `batch_size` samples to logits, for one caller at a time."""

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether the model is fitted, for scikit-learn."""
        return hasattr(self, "classes_")

    def decision_function(self, X: ArrayLike, *, threads: int | None = None) -> Floats:
        """Return the logits of samples.

        Parameters
        ----------
        X : array_like (n, ...)
            Samples, as in training.
        threads : int, optional
            The most threads to use; None means all CPUs of this process. The BLAS library that numpy uses for
            layers of floats has threads of its own.

        Returns
        -------
        float32 array (n, n_classes)
            Column ``j`` is the logit of ``classes_[j]``.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            If `X` does not consist of finite real numbers of the shape that the model was trained with.
        """
        check_fitted(self)
        samples = self._checked(X)
        logits = np.empty((len(samples), len(self.classes_)), np.float32)
        run = self._runner(min(len(samples), SAMPLES_PER_BATCH))
        with limit_threads(threads):
            for start in range(0, len(samples), SAMPLES_PER_BATCH):
                rows = slice(start, start + SAMPLES_PER_BATCH)
                logits[rows] = run(samples[rows])
        return logits

    def predict(self, X: ArrayLike, *, threads: int | None = None) -> Array:
        """Return the labels with the largest logits (n,); parameters and errors as `decision_function`."""
        best = self.decision_function(X, threads=threads).argmax(axis=1)
        labels: Array = self.classes_[best]
        return labels

    def predict_proba(self, X: ArrayLike, *, threads: int | None = None) -> Floats:
        """Return the softmax of the logits (n, n_classes).

        These are estimates of probabilities if the loss was the cross-entropy. Parameters and errors are
        those of `decision_function`.
        """
        return softmax(self.decision_function(X, threads=threads))

    def _checked(self, X: ArrayLike, name: str = "X") -> Array:
        """Return samples that the model can process, in their own dtype."""
        samples = as_network_samples(X, name)
        if samples.shape[1:] != self.input_shape_:
            raise ValueError(
                f"{name} has samples of shape {samples.shape[1:]}; "
                f"the model was trained with samples of shape {self.input_shape_}"
            )
        check_finite(samples, name)
        return samples
