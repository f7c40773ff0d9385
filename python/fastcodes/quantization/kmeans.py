"""k-means clustering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes import _files
from fastcodes._blocks import blocks, sample, take_rows
from fastcodes._estimator import Estimator
from fastcodes._progress import progress
from fastcodes._typing import Array, Doubles, Floats, UnsignedCodes
from fastcodes._validation import as_integer, as_training_samples, random_generator
from fastcodes.quantization import _lloyd

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["KMeans"]

MAX_CLUSTERS = 1 << 16


class KMeans(Estimator):
    r"""Find centres such that the samples are near to one of them: k-means.

    Minimises the inertia :math:`\sum_i \min_k \lVert x_i - c_k \rVert^2` over the centres :math:`c_k`: seeds
    by greedy k-means++ (Arthur and Vassilvitskii, SODA 2007), then alternates assigning each sample to its
    nearest centre and moving each centre to the mean of its samples (Lloyd, IEEE Trans. Inf. Theory 28,
    1982). A centre that no sample is assigned to takes over one half of the cluster with the largest error,
    so the inertia never rises.

    With `batch_size`, each step sees that many random samples only and moves a centre towards the mean of
    those assigned to it by the rate (their number) / (all that were ever assigned to it): mini-batch k-means
    (Sculley, WWW 2010, algorithm 1).

    Parameters
    ----------
    n_clusters : int
        Number of centres K, from 1 to 65536. Up to 256, compiled kernels do the work.
    n_init : int
        How often to start from new seeds; the run with the lowest inertia is kept.
    max_iter : int
        Iterations at most. With `batch_size`, one is as many batches as make up the number of samples.
    batch_size : int, optional
        Samples of a batch; None takes all samples in each iteration, and holds them in memory as float32.
    tol : float
        Stop when an iteration lowers the inertia by this fraction of it or less; 0 stops when it no longer
        falls. Has no effect with `batch_size`.
    random_state : None, int or numpy random generator
        Where random numbers come from; an integer makes `fit` repeatable.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    centers_ : float32 array (K, d)
        ``centers_[k]`` is centre ``k``.
    inertia_ : float
        The sum of squared distances of all samples to their nearest centre.
    inertia_history_ : float64 array (n_iter_ + 1,)
        The inertia of the seeds, and after each iteration; never rises, and ends with `inertia_`. With
        `batch_size`, ``(n_iter_,)``: for each iteration an estimate from the samples that it saw.
    n_iter_ : int
        Iterations of the run that was kept.
    n_features_in_ : int
        The number of dimensions d.

    See Also
    --------
    VectorQuantizer : The same as a code: encode, decode.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.quantization import KMeans
    >>> X = np.array([[0, 0], [0, 1], [9, 8], [9, 9]], dtype=np.float32)
    >>> kmeans = KMeans(n_clusters=2, random_state=0).fit(X)
    >>> sorted(kmeans.centers_.tolist())
    [[0.0, 0.5], [9.0, 8.5]]
    >>> kmeans.inertia_
    1.0
    >>> labels = kmeans.predict(X)
    >>> bool(labels[0] == labels[1] != labels[2] == labels[3])
    True
    """

    _learned = "centers_"
    _kind = "clusterer"

    def __init__(
        self,
        n_clusters: int = 256,
        *,
        n_init: int = 1,
        max_iter: int = 25,
        batch_size: int | None = None,
        tol: float = 0.0,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_init = n_init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Find the centres of `X`.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, one a row: float16, float32, float64 or integers. At least as many as centres; where
            fewer of them are distinct, centres may be equal.
        y : object
            Has no meaning; scikit-learn's pipelines give it.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` are not real numbers, or a parameter has the wrong type.
        ValueError
            If `X` has another shape, a value that is not finite (the message says where) or too few rows, or
            a parameter is out of range.
        """
        n_clusters = as_integer(self.n_clusters, "n_clusters", 1, MAX_CLUSTERS)
        n_init, max_iter = as_integer(self.n_init, "n_init", 1), as_integer(self.max_iter, "max_iter", 1)
        if not self.tol >= 0:
            raise ValueError(f"tol must be 0 or more; got {self.tol!r}")
        rng = random_generator(self.random_state)
        samples = as_training_samples(X, n_clusters, "n_clusters")
        if self.batch_size is None:
            x = sample(samples, None, rng)
            with progress(self.verbose, n_init * max_iter, "k-means") as step:
                codebooks, history = _lloyd.train(
                    x,
                    1,
                    n_clusters,
                    init="k-means++",
                    n_init=n_init,
                    max_iter=max_iter,
                    tol=self.tol,
                    rng=rng,
                    step=step,
                )
            self._learn(codebooks[0], history[:, 0], float(history[-1, 0]), len(history) - 1)
        else:
            batch_size = as_integer(self.batch_size, "batch_size", 1)
            with progress(self.verbose, n_init * max_iter, "mini-batch k-means") as step:
                runs = []
                for _ in range(n_init):
                    centres, estimates = _mini_batches(samples, n_clusters, batch_size, max_iter, rng, step)
                    runs.append((_inertia(samples, centres), centres, estimates))
            inertia, centres, estimates = min(runs, key=lambda run: run[0])
            self._learn(centres, np.array(estimates), inertia, len(estimates))
        return self

    def _learn(self, centres: Floats, history: Doubles, inertia: float, n_iter: int) -> None:
        self.centers_ = centres
        self.inertia_history_ = history
        self.inertia_ = inertia
        self.n_iter_ = n_iter
        self.n_features_in_ = centres.shape[1]

    def predict(self, X: ArrayLike) -> NDArray[np.int32]:
        """Return the number of the nearest centre of each sample.

        Parameters
        ----------
        X : array_like (n, d)
            Samples.

        Returns
        -------
        int32 array (n,)
            ``labels[i]`` is the centre nearest to ``X[i]``; a tie goes to the lower.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        TypeError, ValueError
            If `X` has another dtype or shape than real numbers (n, d), or a value that is not finite.
        """
        return nearest(self._samples(X), self.centers_)[:, 0].astype(np.int32)

    def fit_predict(self, X: ArrayLike, y: object = None) -> NDArray[np.int32]:
        """Return ``fit(X).predict(X)``."""
        return self.fit(X).predict(X)

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Return minus the inertia of `X`: larger is better."""
        return -_inertia(self._samples(X), self.centers_)

    def _to_arrays(self) -> dict[str, Array]:
        return {
            "centers": self.centers_,
            "inertia": np.array(self.inertia_),
            "inertia_history": self.inertia_history_,
            "n_iter": np.array(self.n_iter_),
        }

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        centres = checked_codebook(_files.take(arrays, "centers", np.float32, ("K", "d")), "centers")
        history = _files.take(arrays, "inertia_history", np.float64, ("iterations",))
        inertia = float(_files.take(arrays, "inertia", np.float64, ()))
        self._learn(centres, history, inertia, int(_files.take(arrays, "n_iter", np.int64, ())))


def checked_codebook(codebook: Floats, name: str) -> Floats:
    """Return finite codewords (K, d) from elsewhere, or refuse them."""
    if not 1 <= len(codebook) <= MAX_CLUSTERS or not codebook.shape[1]:
        raise ValueError(
            f"{name} has shape {codebook.shape}; expected 1 to {MAX_CLUSTERS} rows, 1 or more columns"
        )
    if not np.isfinite(codebook).all():
        raise ValueError(f"{name} has values that are not finite")
    return codebook


def nearest(samples: Array, centres: Floats) -> UnsignedCodes:
    """Return the nearest centre of each sample, as codes (n, 1)."""
    codes = np.empty((len(samples), 1), np.uint8 if len(centres) <= _lloyd.BYTE else np.uint16)
    for rows, block in blocks(samples):
        _lloyd.assign(block, centres[None], codes[rows])
    return codes


def _inertia(samples: Array, centres: Floats) -> float:
    total = 0.0
    for _, block in blocks(samples):
        total += float(_lloyd.Partition(len(block), 1, *centres.shape).assign(block, centres[None])[0])
    return total


def _mini_batches(
    samples: Array,
    n_clusters: int,
    batch_size: int,
    max_iter: int,
    rng: np.random.Generator,
    step: Any,
) -> tuple[Floats, list[float]]:
    n = len(samples)
    seeds = sample(samples, max(n_clusters, batch_size, 1 << 14), rng)
    centres = _lloyd.seed(seeds, 1, n_clusters, rng)[0].astype(np.float64)
    partition = _lloyd.Partition(batch_size, 1, *centres.shape)
    assigned = np.zeros(n_clusters, np.int64)
    estimates = []
    for _ in range(max_iter):
        before, error, n_batches = assigned.copy(), 0.0, -(-n // batch_size)
        for _ in range(n_batches):
            batch = take_rows(samples, np.sort(rng.integers(n, size=batch_size)))
            error += float(partition.assign(batch, centres.astype(np.float32)[None])[0])
            partition.add(batch)
            counts, sums = partition.counts[0], partition.sums[0]
            assigned += counts
            centres += (sums - counts[:, None] * centres) / np.maximum(assigned, 1)[:, None]
        # A centre that an iteration did not need goes where the last batch is farthest from all centres.
        idle = np.flatnonzero(assigned == before)[:batch_size]
        centres[idle] = batch[np.argsort(-partition.errors[:, 0], kind="stable")[: len(idle)]]
        assigned[idle] = 0
        estimates.append(error / (n_batches * batch_size) * n)
        step(estimates[-1] / n)
    return centres.astype(np.float32), estimates
