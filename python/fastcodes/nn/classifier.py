"""A binary network with the manners of scikit-learn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes import _files
from fastcodes._estimator import Estimator
from fastcodes._typing import Array
from fastcodes._validation import as_integer, as_samples
from fastcodes.nn._layer import Layer
from fastcodes.nn.binary import BinaryDense, Quantize, Sign
from fastcodes.nn.layers import BatchNorm, Dropout
from fastcodes.nn.losses import softmax
from fastcodes.nn.model import Sequential
from fastcodes.nn.optimizers import Adam, Cosine

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BinaryMLPClassifier"]


class BinaryMLPClassifier(Estimator):
    """Tell classes apart by a few layers of bits.

    Each hidden layer is a `BinaryDense`, a `BatchNorm` and a `Sign`; the last is a `BinaryDense` and a
    `BatchNorm`, which gives the logits. Trained by Adam with a learning rate that falls along a cosine.

    Parameters
    ----------
    hidden : sequence of int
        Units of each hidden layer.
    epochs : int
        How often to go through all samples.
    batch_size : int
        Samples to a step.
    learning_rate : float
        Adam's, at first.
    loss : {"cross_entropy", "squared_hinge"}
        What to minimise.
    weights : {"sign", "xnor", "libra"}
        How latent weights become bits: see `BinaryDense`.
    estimator : {"clipped", "approximate", "error-decay"}
        What passes for the derivative of a sign, of weights and of activations.
    activation_bits : int
        Bits of each activation, from 1 to 8; with more than one a `Quantize` takes the place of each `Sign`.
    dropout : float
        Which part of each hidden layer to drop in training.
    random_state : None, int or numpy random generator
        Where random numbers come from; an integer makes `fit` repeatable.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    model_ : Sequential
        The network.
    classes_ : array (n_classes,)
        The labels, sorted.
    n_features_in_ : int
        The number of features d.

    Notes
    -----
    Features are taken as they are: bring them to a common scale, for example by ``StandardScaler``. Pixels
    have one, and can stay uint8.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.nn import BinaryMLPClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(600, 20))
    >>> y = np.where(X[:, :10].sum(axis=1) > X[:, 10:].sum(axis=1), "first", "second")
    >>> classifier = BinaryMLPClassifier((128,), epochs=20, random_state=0)
    >>> classifier.fit(X, y).score(X, y) > 0.9
    True
    """

    _learned = "model_"
    _kind = "classifier"

    def __init__(
        self,
        hidden: Sequence[int] = (1024, 1024, 1024),
        *,
        epochs: int = 50,
        batch_size: int = 128,
        learning_rate: float = 3e-3,
        loss: str = "cross_entropy",
        weights: str = "sign",
        estimator: str = "clipped",
        activation_bits: int = 1,
        dropout: float = 0.0,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.loss = loss
        self.weights = weights
        self.estimator = estimator
        self.activation_bits = activation_bits
        self.dropout = dropout
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on samples and their labels.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, one a row: floats, integers or uint8.
        y : array_like (n,)
            Their labels: numbers or strings, of 2 classes or more.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` are not real numbers, or a parameter has the wrong type.
        ValueError
            If `X` and `y` do not fit each other, if `X` has a value that is not finite, or a parameter is out
            of range.
        """
        samples = as_samples(X)
        if y is None:
            raise ValueError(
                "This BinaryMLPClassifier estimator requires y to be passed, but the target y is None"
            )
        labels = np.asarray(y)
        model = Sequential(*self._layers(len(np.unique(labels))), random_state=self.random_state)
        model.fit(
            samples,
            labels,
            epochs=self.epochs,
            batch_size=self.batch_size,
            optimizer=Adam(self.learning_rate),
            schedule=Cosine(),
            loss=self.loss,
            verbose=self.verbose,
        )
        self._learn(model)
        return self

    def _layers(self, n_classes: int) -> list[Layer]:
        units = [as_integer(n, "hidden", 1) for n in self.hidden]
        n_bits = as_integer(self.activation_bits, "activation_bits", 1, 8)
        layers: list[Layer] = []
        for n in units:
            layers += [BinaryDense(n, weights=self.weights, estimator=self.estimator), BatchNorm()]
            surrogate = "straight-through" if self.estimator == "clipped" else self.estimator
            layers.append(Sign(surrogate) if n_bits == 1 else Quantize(n_bits))
            if self.dropout:
                layers.append(Dropout(self.dropout))
        return [
            *layers,
            BinaryDense(n_classes, weights=self.weights, estimator=self.estimator),
            BatchNorm(),
        ]

    def _learn(self, model: Sequential) -> None:
        self.model_ = model
        self.classes_ = model.classes_
        self.n_features_in_ = model.input_shape_[0]

    def _logits(self, X: ArrayLike) -> NDArray[np.float32]:
        return self.model_.decision_function(self._samples(X))

    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return how much speaks for each class.

        Parameters
        ----------
        X : array_like (n, d)
            Samples.

        Returns
        -------
        float32 array (n, n_classes) or (n,)
            Column ``j`` is the logit of ``classes_[j]``. Of two classes, the second logit minus the first.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        TypeError, ValueError
            If `X` has another dtype or shape than finite real numbers (n, d).
        """
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most likely labels (n,); arguments and errors as `decision_function`."""
        chosen = self._logits(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[chosen]
        return labels

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return the softmax of the logits (n, n_classes); arguments and errors as `decision_function`."""
        return softmax(self._logits(X))

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Return which part of the predictions is right; arguments and errors as `decision_function`."""
        return float(np.mean(self.predict(X) == np.asarray(y)))

    def _to_arrays(self) -> dict[str, NDArray[Any]]:
        params, arrays = self.model_._pack()
        return {**arrays, "network": np.frombuffer(json.dumps(params).encode(), np.uint8)}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        text = _files.take(arrays, "network", np.uint8, ("bytes",)).tobytes()
        self._learn(Sequential._unpack(json.loads(text), dict(arrays)))
