"""Hashing by directions that pull samples of one group together: triplet fine-tuning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._blocks import take_rows
from fastcodes._estimator import check_fitted, without_column
from fastcodes._linalg import exact_product
from fastcodes._progress import progress
from fastcodes._typing import Array, Floats, Ids
from fastcodes._validation import as_array, as_integer, as_real, random_generator
from fastcodes.hashing.base import LinearHasher

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["TripletHashing"]

_DECAYS = 0.9, 0.999  # of the moments of Adam


class TripletHashing(LinearHasher):
    r"""Random hyperplanes, tuned so that samples of one group differ in fewer bits than samples of others.

    The directions are drawn as for `RandomHyperplanes`. Then gradient steps lower the loss of triplets, an
    anchor :math:`a`, another sample :math:`p` of its group and a sample :math:`n` of another group:

    .. math:: \max(0,\; m + d(a, p) - d(a, n)), \quad d(a, b) = (1 - z_a \cdot z_b / K) / 2

    with :math:`z = \tanh(W (x - \mu) / s)`, which stands for the K bits, so that d is a share of bits
    (Schroff, Kalenichenko and Philbin, *FaceNet*, CVPR 2015, for the loss; the sign as tanh: Cao et al.,
    *HashNet*, ICCV 2017). For each pair of a batch, n is the nearest sample of another group.

    Parameters
    ----------
    n_bits : int
        Bits of a code, K. More than features are possible.
    epochs : int
        Passes over the samples; 0 leaves the directions random.
    margin : float
        By how much of the bits other groups should be farther, m.
    learning_rate : float
        Step of Adam, relative to the elements of directions of length 1.
    batch_size : int
        Samples of a step; whole groups are kept together.
    output : {"packed", "bits", "signs"}
        What `transform` returns: the packed codes of `encode`, features that are 0 or 1, or features that are
        -1 or +1.
    random_state : None, int or numpy random generator
        Source of randomness; an integer makes `fit` repeatable.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    mean_ : float32 array (d,)
        The mean of the samples.
    components_ : float32 array (n_bits, d)
        The directions.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    See Also
    --------
    fastcodes.coding.JointCodec : Such codes beside those of pictures.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import hamming
    >>> from fastcodes.hashing import TripletHashing
    >>> rng = np.random.default_rng(0)
    >>> groups = np.repeat(np.arange(50), 4)
    >>> X = rng.normal(size=(50, 2))[groups] @ np.eye(2, 8) + rng.normal(size=(200, 8))
    >>> random = TripletHashing(64, epochs=0, random_state=0).fit(X, groups)
    >>> tuned = TripletHashing(64, random_state=0).fit(X, groups)
    >>> tuned.score(X, groups) > random.score(X, groups)
    True
    """

    _needs_target = True

    def __init__(
        self,
        n_bits: int = 64,
        *,
        epochs: int = 20,
        margin: float = 0.1,
        learning_rate: float = 0.01,
        batch_size: int = 128,
        output: str = "packed",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.epochs = epochs
        self.margin = margin
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.output = output
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, *, threads: int | None = None) -> Self:
        """Draw the directions, and tune them.

        Parameters
        ----------
        X : array_like (n, d)
            Samples: float16, float32, float64 or integers.
        y : array_like (n,)
            The group of each sample: equal values, of any type, are one group.
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
            If `X` has another shape or a value that is not finite, `y` another length or NaN, or a parameter
            is out of range.
        """
        n_bits, rng = self._checked_bits(), random_generator(self.random_state)
        samples = self._training_samples(X)
        x, groups = take_rows(samples), _groups(y, len(samples))
        directions = rng.standard_normal((n_bits, x.shape[1]), np.float32)
        directions /= np.sqrt(np.float32(x.shape[1]))
        mean = x.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._learn(mean, self._tuned(x - mean, groups, directions, rng))
        return self

    def fine_tune(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Tune the directions of the fitted model further.

        Parameters
        ----------
        X : array_like (n, d)
            Samples.
        y : array_like (n,)
            The group of each.

        Returns
        -------
        self

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            As `fit`.
        """
        check_fitted(self)
        x = take_rows(self._samples(X))
        groups, rng = _groups(y, len(x)), random_generator(self.random_state)
        self._learn(self.mean_, self._tuned(x - self.mean_, groups, self.components_.copy(), rng))
        return self

    def _tuned(self, x: Floats, groups: Ids, directions: Floats, rng: np.random.Generator) -> Floats:
        """Return directions after `epochs` passes over centered samples."""
        epochs = as_integer(self.epochs, "epochs", 0)
        margin = as_real(self.margin, "margin", at_least=0)
        rate = as_real(self.learning_rate, "learning_rate", above=0)
        batch_size = as_integer(self.batch_size, "batch_size", 2)
        if not len(x) or not epochs:
            return directions
        spread = float(np.sqrt(np.mean(exact_product(x[:1000], directions.T) ** 2)))
        x = x / np.float32(max(spread, 1e-30))  # values have variance 1
        length = np.float32(np.sqrt(np.mean(directions**2)))
        first, second, n_steps = np.zeros_like(directions), np.zeros_like(directions), 0
        with progress(self.verbose, epochs, "triplets") as step:
            for _ in range(epochs):
                losses = []
                for rows in _batches(groups, batch_size, rng):
                    loss, gradient = _loss(x[rows], groups[rows], directions, margin)
                    losses.append(loss)
                    n_steps += 1
                    first += (1 - _DECAYS[0]) * (gradient - first)
                    second += (1 - _DECAYS[1]) * (gradient**2 - second)
                    scale = np.sqrt(second / (1 - _DECAYS[1] ** n_steps)) + 1e-12
                    directions -= rate * length * first / (1 - _DECAYS[0] ** n_steps) / scale
                step(float(np.mean(losses)))
        return directions


def _groups(y: Any, n: int) -> Ids:
    """Return groups as numbers from 0."""
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None: the group of each sample")
    labels = without_column(as_array(y, "y"))
    if labels.shape != (n,):
        raise ValueError(f"y has shape {labels.shape}; expected a group for each of the {n} samples of X")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError("y has NaN or infinity; expected a group for each sample")
    numbers: Ids = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return numbers


def _batches(groups: Ids, size: int, rng: np.random.Generator) -> list[Ids]:
    """Return the rows of batches of at least two groups each."""
    shuffled = rng.permutation(groups.max() + 1)[groups]
    order = np.lexsort((rng.random(len(groups)), shuffled))
    n_batches = max(1, len(groups) // size)
    return [np.asarray(rows, np.int64) for rows in np.array_split(order, n_batches)]


def _loss(x: Floats, groups: Ids, directions: Floats, margin: float) -> tuple[float, Floats]:
    """Return the mean loss of the pairs of a batch, and its gradient."""
    z = np.tanh(x @ directions.T)
    distances = (1 - z @ z.T / z.shape[1]) / 2
    same = groups[:, None] == groups
    others = np.where(same, np.inf, distances)
    nearest = others.argmin(axis=1)
    anchors, positives = np.nonzero(same & ~np.eye(len(x), dtype=bool))
    has_others = np.isfinite(others.min(axis=1))[anchors]
    anchors, positives = anchors[has_others], positives[has_others]
    negatives = nearest[anchors]
    losses = margin + distances[anchors, positives] - distances[anchors, negatives]
    active = losses > 0
    if not active.any():
        return 0.0, np.zeros_like(directions)
    anchors, positives, negatives = anchors[active], positives[active], negatives[active]
    # d(a, b) has the gradient -z_b / 2K in z_a.
    weights: Array = np.zeros((len(x), len(x)), np.float32)
    np.add.at(weights, (anchors, positives), -1)
    np.add.at(weights, (anchors, negatives), 1)
    weights = (weights + weights.T) / np.float32(2 * z.shape[1] * len(losses))
    gradient: Floats = ((weights @ z) * (1 - z**2)).T @ x
    return float(losses[active].sum() / len(losses)), gradient
