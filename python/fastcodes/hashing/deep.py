"""Deep hashing: a small network whose outputs are driven to bits during training."""

from __future__ import annotations

import abc
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._blocks import take_rows
from fastcodes._linalg import mean_and_covariance
from fastcodes._progress import progress_bar
from fastcodes._typing import Array, Doubles, Floats
from fastcodes._validation import as_integer, as_option, as_real, describe, random_generator
from fastcodes.hashing._targets import as_targets
from fastcodes.hashing.base import Hasher, check_samples_differ
from fastcodes.nn import Adam, BatchNorm, Cosine, Dense, Dropout, HardTanh, Layer, Loss, Network
from fastcodes.nn.layers import MAX_UNITS, layer_from_config

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DeepHashing", "PairwiseLoss", "TanhContinuation", "TripletLoss"]


class DeepHashing(Hasher):
    r"""Train a small network so that samples with a common label get similar bits.

    Features are standardized to mean 0 and variance 1; each hidden layer is a `Dense`, a `BatchNorm` and a
    `HardTanh` of `fastcodes.nn`, and the last one a `Dense` with an output for each bit and a `BatchNorm`.
    The sign has no gradient, so training replaces it by :math:`\tanh(\beta z)` and increases :math:`\beta` in
    each step, which drives the smooth codes to bits (Cao, Long, Wang and Yu, *HashNet: deep learning to hash
    by continuation*, ICCV 2017, section 3.2). The optimizer is Adam with a cosine schedule.

    Parameters
    ----------
    n_bits : int
        Bits k of a code; any number.
    hidden : sequence of int
        Units of each hidden layer; an empty sequence makes the codes linear.
    loss : {"pairwise", "triplet"}
        The loss of codes :math:`h \in [-1, 1]^k` over all pairs or triplets of a batch: see `PairwiseLoss`
        and `TripletLoss`.
    margin : float
        The margin of the triplet loss, as a fraction of the bits.
    sharpness : float
        :math:`\beta` at the end of training; it is 1 at the start. 1 or more.
    epochs : int
        Number of passes over all samples.
    batch_size : int
        Maximum number of samples of a step; 2 or more.
    learning_rate : float
        Initial learning rate of Adam.
    dropout : float
        Fraction of each hidden layer that is dropped in training.
    random_state : None, int or numpy random generator
        Source of randomness; an integer makes `fit` repeatable.
    output : {"packed", "bits", "signs"}
        What `transform` returns: the packed codes of `encode`, features that are 0 or 1, or features that are
        -1 or +1.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    model_ : Network
        The network, whose outputs are the values whose signs are the bits.
    mean_, scale_ : float32 arrays (d,)
        Mean and scale of the features: the network sees ``(x - mean_) / scale_``.
    objective_history_ : float64 array (epochs,)
        The mean loss of each epoch. It can increase, since :math:`\beta` does.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.hashing import DeepHashing
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 4))
    >>> y = X[:, 0] ** 2 + X[:, 1] ** 2 > 1.4  # not linearly separable
    >>> deep = DeepHashing(n_bits=8, hidden=(64,), learning_rate=0.02, random_state=0)
    >>> deep.fit(X[:800], y[:800]).encode(X).shape
    (1000, 1)
    >>> deep.score(X[800:], y[800:]) > 0.8  # 0.5 is chance
    True
    """

    _learned = "model_"
    _needs_target = True
    model_: Network
    mean_: Floats
    scale_: Floats
    objective_history_: Doubles

    def __init__(
        self,
        n_bits: int = 64,
        *,
        hidden: Sequence[int] = (512,),
        loss: str = "pairwise",
        margin: float = 0.25,
        sharpness: float = 10.0,
        epochs: int = 50,
        batch_size: int = 128,
        learning_rate: float = 3e-3,
        dropout: float = 0.0,
        random_state: Any = None,
        output: str = "packed",
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.hidden = hidden
        self.loss = loss
        self.margin = margin
        self.sharpness = sharpness
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.dropout = dropout
        self.random_state = random_state
        self.output = output
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: Any = None, *, threads: int | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, one per row: float16, float32, float64 or integers. Converted to float32 a batch at a
            time, so that `X` may be a memory map.
        y : array_like (n,) or (n, c)
            Classes, numbers or strings; or zeros and ones that say which of `c` labels each sample has.
            Samples that share a label get similar codes.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` is not an array of real numbers, or a parameter has the wrong type.
        ValueError
            If `X` has another shape, a value that is not finite (the message says where), or equal
            samples; if `y` does not fit `X` or has only one label; or a parameter is out of range.
        FloatingPointError
            If the loss becomes infinite or NaN.
        """
        n_bits = self._checked_bits()
        epochs = as_integer(self.epochs, "epochs", 1)
        batch_size = as_integer(self.batch_size, "batch_size", 2)
        dropout = as_real(self.dropout, "dropout", at_least=0, below=1)
        optimizer, schedule = Adam(self.learning_rate), Cosine()
        loss = self._loss()
        rng = random_generator(self.random_state)
        samples = self._training_samples(X)
        labels = as_targets(y, len(samples), type(self).__name__)
        network = Network(*self._layers(n_bits, dropout), random_state=rng).build(samples.shape[1:])
        mean, covariance = mean_and_covariance(samples)
        check_samples_differ(len(samples), covariance)
        deviations = np.sqrt(np.diag(covariance))
        self.mean_ = mean.astype(np.float32)
        self.scale_ = np.where(deviations > 0, deviations, 1).astype(np.float32)

        history: list[float] = []
        n_batches = -(-len(samples) // batch_size)
        with progress_bar(self.verbose, epochs * n_batches, "deep hashing", "steps") as show:
            for epoch in range(epochs):
                history.append(0.0)
                order = rng.permutation(len(samples))
                for i, rows in enumerate(np.array_split(order, n_batches)):
                    x = self._scaled(take_rows(samples, rows))
                    progress = (epoch + i / n_batches) / epochs
                    value, _ = network.train_step(
                        x,
                        labels[rows],
                        loss,
                        optimizer,
                        rate=schedule(progress),
                        progress=progress,
                        threads=threads,
                    )
                    history[epoch] += value * len(rows) / len(samples)
                    show(f"epoch {epoch + 1}, loss {value:.4f}")
        self._learn(network, np.array(history))
        return self

    def _loss(self) -> Loss:
        as_option(self.loss, "loss", ("pairwise", "triplet"))
        return PairwiseLoss() if self.loss == "pairwise" else TripletLoss(self.margin)

    def _layers(self, n_bits: int, dropout: float) -> list[Layer]:
        if not isinstance(self.hidden, (tuple, list)):
            raise TypeError(
                f"hidden must be a sequence of integers, such as (512,); got {describe(self.hidden)}"
            )
        layers: list[Layer] = []
        for n in self.hidden:
            layers += [Dense(as_integer(n, "hidden", 1, MAX_UNITS)), BatchNorm(), HardTanh()]
            if dropout:
                layers.append(Dropout(dropout))
        return [*layers, Dense(n_bits), BatchNorm(), TanhContinuation(self.sharpness)]

    def _learn(self, network: Network, history: Doubles) -> None:
        self.model_ = network
        self.objective_history_ = history
        self.n_features_in_ = network.input_shape_[0]

    def _scaled(self, x: Floats) -> Floats:
        centered: Floats = x - self.mean_
        centered /= self.scale_
        return centered

    @property
    def _n_bits(self) -> int:
        return int(self.model_.layers[-1].output_shape[0])

    @property
    def _width(self) -> int:
        return max(int(layer.output_shape[0]) for layer in self.model_.layers)

    def _values(self, x: Floats, threads: int | None) -> Floats:
        # In float64: in float32, BLAS rounds differently for other numbers of rows.
        return self.model_.forward(self._scaled(x).astype(np.float64), threads=threads).astype(np.float32)

    def _to_arrays(self) -> dict[str, Array]:
        layers = json.dumps([layer.config() for layer in self.model_.layers])
        return {
            **self.model_.get_weights(),
            "layers": np.frombuffer(layers.encode(), np.uint8),
            "mean": self.mean_,
            "scale": self.scale_,
            "objective_history": self.objective_history_,
        }

    def _restore(self, arrays: Mapping[str, Array]) -> None:
        mean = _files.take(arrays, "mean", np.float32, ("d",), finite=True)
        scale = _files.take(arrays, "scale", np.float32, mean.shape, finite=True)
        if not (scale > 0).all():
            raise ValueError("scale has values that are not positive")
        layers = json.loads(_files.take(arrays, "layers", np.uint8, ("bytes",)).tobytes())
        network = (
            Network(*map(layer_from_config, layers), random_state=0).build(mean.shape).set_weights(arrays)
        )
        self.mean_, self.scale_ = mean, scale
        self._learn(network, _files.take(arrays, "objective_history", np.float64, ("epochs",)))


class TanhContinuation(Layer):
    r"""In training :math:`\tanh(\beta z)`, with :math:`\beta` from 1 to `sharpness`; otherwise the identity.

    :math:`\beta = s^t` with the sharpness s and the progress t of the training from 0 to 1.

    Parameters
    ----------
    sharpness : float
        1 or more.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.hashing.deep import TanhContinuation
    >>> layer = TanhContinuation(10.0)
    >>> layer.progress = 1.0
    >>> layer.forward(np.array([[-1.0, 0.2]]), training=True).round(2).tolist()
    [[-1.0, 0.96]]
    >>> layer.forward(np.array([[-1.0, 0.2]])).tolist()
    [[-1.0, 0.2]]
    """

    def __init__(self, sharpness: float = 10.0) -> None:
        super().__init__()
        self.sharpness = as_real(sharpness, "sharpness", at_least=1)

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return the smooth codes in training, otherwise the values themselves."""
        if not training:
            return x
        beta = self.sharpness**self.progress
        codes: Array = np.tanh(beta * x)
        self.cache = codes, beta
        return codes

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Return the gradient of the values."""
        codes, beta = self.cache
        out: Array = gradient * (1 - codes * codes) * beta
        return out


class _CodeLoss(Loss):
    """A loss of smooth codes that depends on which samples of a batch share a label."""

    def __call__(self, logits: Array, labels: Array, inputs: Array) -> tuple[float, Array]:
        """Return the loss and its gradient.

        Parameters
        ----------
        logits : float array (n, k)
            Codes from -1 to 1.
        labels : float array (n, c)
            Indicators of the labels of each sample, zeros and ones.
        inputs : float array (n, d)
            Ignored; present for API consistency.

        Returns
        -------
        loss : float
        gradient : array (n, k)
        """
        similar = labels @ labels.T > 0
        products = logits @ logits.T
        value, by_products = self._by_products(products, similar, logits.shape[1])
        return value, (by_products + by_products.T) @ logits

    @abc.abstractmethod
    def _by_products(self, products: Array, similar: Array, n_bits: int) -> tuple[float, Array]:
        """Return the loss, and its derivative with respect to the inner product of each pair (n, n)."""


@dataclass(frozen=True)
class PairwiseLoss(_CodeLoss):
    r"""The negative log-likelihood of pairs sharing a label or not, given their inner products.

    The mean over pairs of a batch of :math:`w_{ij} (\log(1 + e^{\theta_{ij}}) - s_{ij} \theta_{ij})` with
    :math:`s_{ij}` 1 for samples that share a label and 0 for others, :math:`\theta_{ij} = \alpha \langle
    h_i, h_j \rangle`, :math:`\alpha = 10 / k`, and weights that sum to the same total for both
    kinds of pairs (Cao et al., HashNet, equations 3 and 4).
    """

    def _by_products(self, products: Array, similar: Array, n_bits: int) -> tuple[float, Array]:
        alpha = 10 / n_bits
        others = ~np.eye(len(products), dtype=np.bool_)
        weights = np.zeros_like(products)
        for kind in (similar & others, ~similar & others):
            if n := np.count_nonzero(kind):
                weights[kind] = 1 / n
        theta = alpha * products
        # log(1 + e^t) is max(t, 0) + log(1 + e^-|t|).
        losses = np.maximum(theta, 0) + np.log1p(np.exp(-np.abs(theta))) - similar * theta
        sigmoid = 1 / (1 + np.exp(-theta))
        return float((weights * losses).sum() / 2), weights * (sigmoid - similar) * (alpha / 2)


@dataclass(frozen=True)
class TripletLoss(_CodeLoss):
    r"""The triplet loss: samples without a common label should be farther away by a margin.

    The mean over triplets of a batch of :math:`\max(0, m + d(a, p) - d(a, n))`, where a and p share a label,
    a and n share none, and :math:`d(h, g) = (k - \langle h, g \rangle) / 2k` is the fraction of differing
    bits; only triplets with a positive loss count (Schroff, Kalenichenko and Philbin, *FaceNet*,
    CVPR 2015, equation 2; Hermans, Beyer and Leibe, 2017, section 2, "batch all").

    Parameters
    ----------
    margin : float
        m, positive and at most 1.
    """

    margin: float = 0.25

    def __post_init__(self) -> None:
        as_real(self.margin, "margin", above=0, at_most=1)

    def _by_products(self, products: Array, similar: Array, n_bits: int) -> tuple[float, Array]:
        n, scale = len(products), -1 / (2 * n_bits)
        distances = products * scale
        by_products, total, n_lost = np.zeros_like(products), 0.0, 0
        for a in range(n):
            positive = np.flatnonzero(similar[a] & (np.arange(n) != a))
            negative = np.flatnonzero(~similar[a])
            lost = self.margin + distances[a, positive][:, None] - distances[a, negative]
            does_lose = lost > 0
            total += float(lost[does_lose].sum(dtype=np.float64))
            n_lost += int(np.count_nonzero(does_lose))
            by_products[a, positive] += does_lose.sum(axis=1) * scale
            by_products[a, negative] -= does_lose.sum(axis=0) * scale
        by_products /= max(n_lost, 1)
        return total / max(n_lost, 1), by_products
