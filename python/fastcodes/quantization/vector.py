"""Vector quantization: one codeword for the whole vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files, adc
from fastcodes._blocks import sample
from fastcodes._estimator import check_fitted
from fastcodes._progress import progress
from fastcodes._storage import CodewordStorage, Storage
from fastcodes._typing import Array, Doubles, Floats, UnsignedCodes
from fastcodes._validation import as_integer, check_threads, random_generator
from fastcodes.quantization import _lloyd
from fastcodes.quantization.base import Quantizer

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["VectorQuantizer"]


class VectorQuantizer(Quantizer):
    r"""Encode a vector as the index of its nearest codeword.

    The codewords are the centers of `KMeans` (Lloyd, IEEE Trans. Inf. Theory 28, 1982), which minimize the
    mean of :math:`\lVert x - c_{q(x)} \rVert^2` with :math:`q(x) = \arg\min_k \lVert x - c_k \rVert`.

    Parameters
    ----------
    n_codewords : int
        Number of codewords K, from 1 to 65536.
    n_init, max_iter, random_state, verbose
        As in `KMeans`.
    max_samples : int or None
        Maximum number of random rows to train on; None uses all rows.

    Attributes
    ----------
    codebook_ : float32 array (K, d)
        ``codebook_[k]`` is the vector that code ``k`` stands for.
    objective_history_ : float64 array (iterations + 1,)
        The mean squared error of the training samples for the seeds, and after each iteration. Never
        increases.
    n_iter_ : int
        The number of iterations, one less than the length of `objective_history_`.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.quantization import VectorQuantizer
    >>> X = np.array([[0, 0], [0, 2], [9, 8]], dtype=np.float32)
    >>> vq = VectorQuantizer(n_codewords=2, random_state=0).fit(X)
    >>> vq.encode(X).shape
    (3, 1)
    >>> vq.decode(vq.encode(X))
    array([[0., 1.],
           [0., 1.],
           [9., 8.]], dtype=float32)
    """

    _learned = "codebook_"

    def __init__(
        self,
        n_codewords: int = 256,
        *,
        n_init: int = 1,
        max_iter: int = 25,
        max_samples: int | None = 65536,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_codewords = n_codewords
        self.n_init = n_init
        self.max_iter = max_iter
        self.max_samples = max_samples
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: object = None, *, threads: int | None = None) -> Self:
        """Learn the codewords.

        Parameters
        ----------
        X : array_like (n, d)
            Samples, one per row: float16, float32, float64 or integers. Of a memory map, only the rows that
            are used are read. At least as many as codewords.
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
        n_codewords = as_integer(self.n_codewords, "n_codewords", 1, _lloyd.MAX_CODEWORDS)
        n_init, max_iter = as_integer(self.n_init, "n_init", 1), as_integer(self.max_iter, "max_iter", 1)
        rng = random_generator(self.random_state)
        samples = self._training_samples(X, n_codewords, "n_codewords")
        x = sample(samples, self.max_samples, rng, at_least=n_codewords)
        with progress(self.verbose, n_init * max_iter, "vector quantizer") as step:
            codebooks, history = _lloyd.train(
                x,
                1,
                n_codewords,
                init="k-means++",
                n_init=n_init,
                max_iter=max_iter,
                tol=0.0,
                rng=rng,
                step=step,
                threads=threads,
            )
        self._learn(codebooks[0], history[:, 0] / len(x))
        return self

    def _learn(self, codebook: Floats, history: Doubles) -> None:
        self.codebook_ = codebook
        self.objective_history_ = history
        self.n_features_in_ = codebook.shape[1]

    def encode(self, X: ArrayLike, *, threads: int | None = None) -> UnsignedCodes:
        """Return the index of the nearest codeword of each sample.

        Parameters
        ----------
        X : array_like (n, d)
            Samples: float16, float32, float64 or integers, converted to float32 a block at a time.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        uint8 array (n, 1), or uint16 with more than 256 codewords
            ``codes[i, 0]`` is the codeword nearest to ``X[i]``; a tie goes to the lower index.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `X` is not an array of real numbers.
        ValueError
            If `X` has another shape, or a value that is not finite (the message says where).
        """
        return _lloyd.nearest_codes(self._samples(X), self.codebook_[None], threads=threads)

    def decode(self, codes: UnsignedCodes, *, threads: int | None = None) -> Floats:
        """Return the codeword of each code.

        Parameters
        ----------
        codes : uint8 or uint16 array (n, 1)
            Codes from `encode`.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        float32 array (n, d)
            Row ``i`` is ``codebook_[codes[i, 0]]``.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            If `codes` has another dtype or shape, or a code that is not below the number of codewords.
        """
        return self._decode(codes, "codes", threads)

    def _decode(self, codes: UnsignedCodes, name: str, threads: int | None) -> Floats:
        check_fitted(self)
        check_threads(threads)
        vectors: Floats = self.codebook_[self._as_codes(codes, name)[:, 0]]
        return vectors

    @property
    def n_iter_(self) -> int:
        """The number of iterations."""
        return max(len(self.objective_history_) - 1, 0)

    @property
    def _codebooks(self) -> Floats:
        return self.codebook_[None]

    def operand(self, queries: Array, metric: str, *, threads: int | None = None) -> Floats:
        """Return the `tables` of rows of ``as_queries(queries)``: the distances to all codewords."""
        parts = [
            adc.tables(
                queries, self._codebooks[:, start : start + _lloyd.BYTE], metric=metric, threads=threads
            )
            for start in range(0, len(self.codebook_), _lloyd.BYTE)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)

    def storage(self, metric: str) -> Storage:
        """Return an empty storage for codes of this model, which is searched by posting lists."""
        return CodewordStorage(len(self.codebook_))

    def _to_arrays(self) -> dict[str, Array]:
        return {"codebook": self.codebook_, "objective_history": self.objective_history_}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        self._learn(
            _lloyd.as_codebook(arrays, "codebook"),
            _files.take(arrays, "objective_history", np.float64, ("iterations",)),
        )
