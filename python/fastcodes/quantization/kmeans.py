"""k-means clustering."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes import _files
from fastcodes._blocks import sample, take_rows
from fastcodes._estimator import Estimator
from fastcodes._linalg import check_scale
from fastcodes._progress import progress
from fastcodes._typing import Array, Doubles, Floats, RowSource
from fastcodes._validation import as_integer, as_real, random_generator
from fastcodes.quantization import _lloyd

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["KMeans"]

_MAX_BATCH = 1 << 31


class KMeans(Estimator):
    r"""Find cluster centers that minimize the squared distances to the samples: k-means.

    Minimizes the inertia :math:`\sum_i \min_k \lVert x_i - c_k \rVert^2` over the centers :math:`c_k`: it
    chooses seeds by greedy k-means++ (Arthur and Vassilvitskii, SODA 2007), then alternates between assigning
    each sample to its nearest center and moving each center to the mean of its samples (Lloyd, IEEE Trans.
    Inf. Theory 28, 1982). A center without samples takes over half of the cluster with the largest error. The
    inertia never increases.

    With `batch_size`, each step uses that many random samples and moves a center towards the mean of the
    samples assigned to it, at the rate (their number) / (all that were ever assigned to it): mini-batch
    k-means (Sculley, WWW 2010, algorithm 1).

    Parameters
    ----------
    n_clusters : int
        Number of centers K, from 1 to 65536. Up to 256, compiled kernels are used.
    n_init : int
        Number of runs from different seeds; the run with the lowest inertia is kept.
    max_iter : int
        Maximum number of iterations. With `batch_size`, an iteration is as many batches as it takes to draw
        as many samples as there are.
    batch_size : int, optional
        Samples of a batch; None uses all samples in each iteration, and holds them in memory as float32.
    tol : float
        Stop when an iteration lowers the inertia by this fraction or less; 0 stops when it no longer
        decreases. Ignored with `batch_size`.
    random_state : None, int or numpy random generator
        Source of randomness; an integer makes `fit` repeatable.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    centers_ : float32 array (K, d)
        ``centers_[k]`` is center ``k``.
    inertia_ : float
        The sum of squared distances of all samples to their nearest center.
    inertia_history_ : float64 array (iterations + 1,)
        The inertia of the seeds, and after each iteration; never increases, and ends with `inertia_`. With
        `batch_size`, ``(iterations,)``: an estimate for each iteration from the samples that it used.
    n_iter_ : int
        Iterations of the run that was kept.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    See Also
    --------
    VectorQuantizer : The same with `encode` and `decode`.

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

    def fit(self, X: ArrayLike, y: object = None, *, threads: int | None = None) -> Self:
        """Find the centers of `X`.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, one per row: float16, float32, float64 or integers. At least as many as centers; if
            fewer of them are distinct, some centers are equal.
        y : object
            Ignored; present for API consistency.
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
            If `X` has another shape, a value that is not finite (the message says where) or too few rows, or
            a parameter is out of range.
        """
        n_clusters = as_integer(self.n_clusters, "n_clusters", 1, _lloyd.MAX_CODEWORDS)
        n_init, max_iter = as_integer(self.n_init, "n_init", 1), as_integer(self.max_iter, "max_iter", 1)
        tol = as_real(self.tol, "tol", at_least=0)
        rng = random_generator(self.random_state)
        samples = self._training_samples(X, n_clusters, "n_clusters")
        if self.batch_size is None:
            x = samples if isinstance(samples, RowSource) else take_rows(samples)
            with progress(self.verbose, n_init * max_iter, "k-means") as step:
                codebooks, history = _lloyd.train(
                    x,
                    1,
                    n_clusters,
                    init="k-means++",
                    n_init=n_init,
                    max_iter=max_iter,
                    tol=tol,
                    rng=rng,
                    step=step,
                    threads=threads,
                )
            self._learn(codebooks[0], history[:, 0], float(history[-1, 0]), len(history) - 1)
        else:
            batch_size = as_integer(self.batch_size, "batch_size", 1, _MAX_BATCH)
            with progress(self.verbose, n_init * max_iter, "mini-batch k-means") as step:
                runs = []
                for _ in range(n_init):
                    centers, estimates = _mini_batches(
                        samples, n_clusters, batch_size, max_iter, rng, step, threads
                    )
                    runs.append((_lloyd.inertia(samples, centers, threads), centers, estimates))
            inertia, centers, estimates = min(runs, key=lambda run: run[0])
            self._learn(centers, np.array(estimates), inertia, len(estimates))
        return self

    def _learn(self, centers: Floats, history: Doubles, inertia: float, n_iter: int) -> None:
        self.centers_ = centers
        self.inertia_history_ = history
        self.inertia_ = inertia
        self.n_iter_ = n_iter
        self.n_features_in_ = centers.shape[1]

    def predict(self, X: ArrayLike, *, threads: int | None = None) -> NDArray[np.int32]:
        """Return the index of the nearest center of each sample.

        Parameters
        ----------
        X : array_like (n, d)
            Samples.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        int32 array (n,)
            ``labels[i]`` is the center nearest to ``X[i]``; a tie goes to the lower.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            If `X` is not an array of finite real numbers (n, d).
        """
        codes = _lloyd.nearest_codes(self._samples(X), self.centers_[None], threads=threads)
        return codes[:, 0].astype(np.int32)

    def fit_predict(self, X: ArrayLike, y: object = None, *, threads: int | None = None) -> NDArray[np.int32]:
        """Return ``fit(X).predict(X)``."""
        return self.fit(X, threads=threads).predict(X, threads=threads)

    def score(self, X: ArrayLike, y: object = None, *, threads: int | None = None) -> float:
        """Return minus the inertia of `X`: larger is better."""
        samples = self._samples(X)
        return -_lloyd.inertia(samples, self.centers_, threads) if len(samples) else -0.0

    def _to_arrays(self) -> dict[str, Array]:
        return {
            "centers": self.centers_,
            "inertia": np.array(self.inertia_),
            "inertia_history": self.inertia_history_,
            "n_iter": np.array(self.n_iter_),
        }

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        centers = _lloyd.as_codebook(arrays, "centers")
        history = _files.take(arrays, "inertia_history", np.float64, ("iterations",))
        inertia = float(_files.take(arrays, "inertia", np.float64, ()))
        self._learn(centers, history, inertia, int(_files.take(arrays, "n_iter", np.int64, ())))


def _mini_batches(
    samples: Array | RowSource,
    n_clusters: int,
    batch_size: int,
    max_iter: int,
    rng: np.random.Generator,
    step: Callable[[float], None],
    threads: int | None,
) -> tuple[Floats, list[float]]:
    """Return centers, and the estimated inertia of each iteration."""
    n = len(samples)
    seeds = sample(samples, max(n_clusters, batch_size, 1 << 14), rng)
    check_scale(seeds)
    centers = _lloyd.seed(seeds, 1, n_clusters, rng)[0].astype(np.float64)
    partition = _lloyd.Partition(batch_size, 1, *centers.shape, threads=threads)
    assigned = np.zeros(n_clusters, np.int64)
    estimates = []
    for _ in range(max_iter):
        before, error, n_batches = assigned.copy(), 0.0, -(-n // batch_size)
        for _ in range(n_batches):
            batch = take_rows(samples, np.sort(rng.integers(n, size=batch_size)))
            error += float(partition.assign(batch, centers.astype(np.float32)[None])[0])
            partition.add(batch)
            counts, sums = partition.counts[0], partition.sums[0]
            assigned += counts
            centers += (sums - counts[:, None] * centers) / np.maximum(assigned, 1)[:, None]
        # A center without samples in this iteration moves to the worst sample of the last batch.
        idle = np.flatnonzero(assigned == before)[:batch_size]
        centers[idle] = batch[np.argsort(-partition.errors[:, 0], kind="stable")[: len(idle)]]
        assigned[idle] = 0
        estimates.append(error / (n_batches * batch_size) * n)
        step(estimates[-1] / n)
    return centers.astype(np.float32), estimates
