"""A binary multilayer perceptron that follows the scikit-learn API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._estimator import Estimator
from fastcodes._typing import Array, Floats
from fastcodes._validation import as_array, as_integer, as_real, describe
from fastcodes.nn._samples import as_labels, check_lengths
from fastcodes.nn._softmax import softmax
from fastcodes.nn.layers import MAX_UNITS, BatchNorm, BinaryDense, Dropout, Layer, Quantize, Sign
from fastcodes.nn.training import Adam, Cosine, Sequential

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BinaryMLPClassifier"]


class BinaryMLPClassifier(Estimator):
    """A classifier with a few binary layers.

    Each hidden layer is a `BinaryDense`, a `BatchNorm` and a `Sign`; the last is a `BinaryDense` and a
    `BatchNorm`, which outputs the logits. It is trained by Adam with a cosine learning rate schedule.

    Parameters
    ----------
    hidden : sequence of int
        The number of units of each hidden layer.
    epochs : int
        The number of passes over the samples.
    batch_size : int
        The most samples per step.
    learning_rate : float
        The initial learning rate of Adam.
    loss : {"cross_entropy", "squared_hinge"}
        The loss to minimize.
    weights : {"sign", "xnor", "libra"}
        How latent weights are binarized: see `BinaryDense`.
    estimator : {"clipped", "approximate", "error-decay"}
        The surrogate gradient of the sign, for weights and activations.
    activation_bits : int
        The number of bits of each activation, from 1 to 8; with more than one, a `Quantize` replaces each
        `Sign`.
    dropout : float
        The fraction of each hidden layer to drop in training.
    random_state : None, int or numpy random generator
        The source of random numbers; an integer makes `fit` reproducible.
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
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    Notes
    -----
    Features are not scaled: bring them to a common scale, for example with ``StandardScaler``. Pixels have a
    common scale, and can stay uint8.

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

    def fit(self, X: ArrayLike, y: ArrayLike, *, threads: int | None = None) -> Self:
        """Train on labelled samples.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, one per row: floats, integers or uint8.
        y : array_like (n,)
            Labels: numbers or strings, of 2 classes or more.
        threads : int, optional
            The most threads to use: see `Sequential.fit`.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` does not consist of real numbers, or a parameter has the wrong type.
        ValueError
            If `X` and `y` do not match each other, if `X` has a value that is not finite, or a parameter is
            out of range.
        FloatingPointError
            If the loss is no longer finite.
        """
        samples = self._training_samples(X)
        if y is None:
            raise ValueError(
                "This BinaryMLPClassifier estimator requires y to be passed, but the target y is None"
            )
        labels = as_array(y, "y")
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
            threads=threads,
        )
        self._learn(model)
        return self

    def _layers(self, n_classes: int) -> list[Layer]:
        if not isinstance(self.hidden, (tuple, list)):
            raise TypeError(
                f"hidden must be a sequence of integers, such as (512,); got {describe(self.hidden)}"
            )
        units = [as_integer(n, "hidden", 1, MAX_UNITS) for n in self.hidden]
        n_bits = as_integer(self.activation_bits, "activation_bits", 1, 8)
        dropout = as_real(self.dropout, "dropout", at_least=0, below=1)
        layers: list[Layer] = []
        for n in units:
            layers += [BinaryDense(n, weights=self.weights, estimator=self.estimator), BatchNorm()]
            surrogate = "straight-through" if self.estimator == "clipped" else self.estimator
            layers.append(Sign(surrogate) if n_bits == 1 else Quantize(n_bits))
            if dropout:
                layers.append(Dropout(dropout))
        return [
            *layers,
            BinaryDense(n_classes, weights=self.weights, estimator=self.estimator),
            BatchNorm(),
        ]

    def _learn(self, model: Sequential) -> None:
        self.model_ = model
        self.classes_ = model.classes_
        self.n_features_in_ = model.input_shape_[0]

    def _logits(self, X: ArrayLike, threads: int | None) -> Floats:
        samples = self._samples(X)
        return self.model_.decision_function(samples, threads=threads)

    def decision_function(self, X: ArrayLike, *, threads: int | None = None) -> Floats:
        """Return the logits, or for two classes their difference.

        Parameters
        ----------
        X : array_like (n, d)
            Samples.
        threads : int, optional
            The most threads to use: see `Sequential.decision_function`.

        Returns
        -------
        float32 array (n, n_classes) or (n,)
            Column ``j`` is the logit of ``classes_[j]``. For two classes, the second logit minus the first.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            If `X` does not consist of finite real numbers (n, d).
        """
        logits = self._logits(X, threads)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict(self, X: ArrayLike, *, threads: int | None = None) -> Array:
        """Return the most likely labels (n,); parameters and errors as for `decision_function`."""
        best = self._logits(X, threads).argmax(axis=1)
        labels: Array = self.classes_[best]
        return labels

    def predict_proba(self, X: ArrayLike, *, threads: int | None = None) -> Floats:
        """Return the softmax of the logits (n, n_classes); see `decision_function`."""
        return softmax(self._logits(X, threads))

    def score(self, X: ArrayLike, y: ArrayLike, *, threads: int | None = None) -> float:
        """Return the accuracy of the predictions; parameters and errors as for `decision_function`."""
        predicted, labels = self.predict(X, threads=threads), as_labels(y)
        check_lengths(predicted, labels)
        return float(np.mean(predicted == labels))

    def _to_arrays(self) -> dict[str, Array]:
        params, arrays = self.model_.to_state()
        return {**arrays, "network": np.frombuffer(json.dumps(params).encode(), np.uint8)}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        text = _files.take(arrays, "network", np.uint8, ("bytes",)).tobytes()
        self._learn(Sequential.from_state(json.loads(text), arrays))
