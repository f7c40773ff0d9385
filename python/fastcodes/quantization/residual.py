"""Residual quantization: each codebook quantizes what the ones before left over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._blocks import sample
from fastcodes._linalg import check_scale
from fastcodes._progress import progress
from fastcodes._typing import Codes, Floats
from fastcodes._validation import as_integer, random_generator
from fastcodes.quantization import _lloyd
from fastcodes.quantization._sums import (
    SumQuantizer,
    beam_search,
    centered,
    check_errors,
    fit_codebooks,
    residuals,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ResidualQuantizer"]

MAX_BEAM = 4096
_RIDGE = 2.0  # samples at zero for each codeword, without which codebooks fit the noise of few samples
_REFINEMENTS = 5  # of all codebooks together, after they were trained one by one


class ResidualQuantizer(SumQuantizer):
    r"""Encode a vector as a sum of codewords, each chosen for what is left of the vector.

    The vector is approximated by :math:`\hat x = \sum_m c_m(b_m)` with codewords of the full dimension
    (Juang and Gray, ICASSP 1982). Codebook ``m`` is trained by k-means on the residuals of those before it;
    then all of them are fitted together by least squares, given the codes. `encode` keeps the `beam_size`
    best partial sums after each codebook (Babenko and Lempitsky, CVPR 2014, section 3.2).

    The squared distance of a query to :math:`\hat x` is a sum of M entries of `tables` and
    :math:`\lVert \hat x \rVert^2`, which is quantized in `norm_bits` more bits of the code: one more column,
    so that `fastcodes.adc` and the indexes search these codes as those of a `ProductQuantizer`.

    Parameters
    ----------
    n_codebooks : int
        Number of codewords in the sum, M, from 1 to 64.
    n_codewords : int
        Codewords K of each codebook, from 1 to 256. A code is always a byte.
    beam_size : int
        Partial sums that the search keeps, from 1 to 4096; 1 is greedy.
    norm_bits : {8, 16, 0}
        Bits of the squared norm: 8 bits are Lloyd-Max levels, 16 bits a fixed-point number. With up to 16
        codewords they are columns of 4 bits, else of 8. 0 keeps no norm, which needs ``metric="ip"``.
    max_iter : int
        Maximum number of iterations of k-means for each codebook.
    max_samples : int or None
        Maximum number of random rows to train on; None uses all rows.
    metric : {"l2", "ip"}
        The sums of entries of `tables`: squared L2 distances, or negative inner products.
    random_state : None, int or numpy random generator
        Source of randomness; an integer makes `fit` repeatable.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    codebooks_ : float32 array (M, K, d)
        ``codebooks_[m, k]`` is the codeword of code ``k`` in column ``m``.
    norm_levels_ : float32 array (n_norms, L)
        The squared norm of a code, after centering, is the sum of one level for each further column.
    objective_history_ : float64 array
        The mean squared error of the training samples after each codebook and each joint fit.
    n_iter_ : int
        The largest number of iterations of k-means.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    See Also
    --------
    AdditiveQuantizer : Chooses all codewords together: a smaller error, and more time to encode.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import adc
    >>> from fastcodes.quantization import ResidualQuantizer
    >>> X = np.random.default_rng(0).normal(size=(1000, 8)).astype(np.float32)
    >>> rq = ResidualQuantizer(n_codebooks=4, n_codewords=32, norm_bits=16, random_state=0).fit(X)
    >>> codes = rq.encode(X)
    >>> codes.shape, rq.decode(codes).shape
    ((1000, 6), (1000, 8))
    >>> distances = adc.scan(rq.tables(X[:2]), codes)
    >>> np.allclose(distances[0], ((X[0] - rq.decode(codes)) ** 2).sum(axis=1), atol=1e-2)
    True
    """

    def __init__(
        self,
        n_codebooks: int = 8,
        n_codewords: int = 256,
        *,
        beam_size: int = 5,
        norm_bits: int = 8,
        max_iter: int = 10,
        max_samples: int | None = 65536,
        metric: str = "l2",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_codebooks = n_codebooks
        self.n_codewords = n_codewords
        self.beam_size = beam_size
        self.norm_bits = norm_bits
        self.max_iter = max_iter
        self.max_samples = max_samples
        self.metric = metric
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: object = None, *, threads: int | None = None) -> Self:
        """Learn the codebooks one after the other, then all together.

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
        n_books, n_codewords = self._shape(self.n_codebooks, self.n_codewords)
        beam_size = as_integer(self.beam_size, "beam_size", 1, MAX_BEAM)
        max_iter = as_integer(self.max_iter, "max_iter", 1)
        rng = random_generator(self.random_state)
        samples = self._training_samples(X, n_codewords, "n_codewords")
        x = sample(samples, self.max_samples, rng, at_least=n_codewords)
        check_scale(x)
        with progress(self.verbose, n_books * max_iter + _REFINEMENTS, "residual quantizer") as step:
            codebooks, n_iter = np.empty((0, n_codewords, x.shape[1]), np.float32), 0
            history, rest = [], x
            for _ in range(n_books):
                learned, inertia = _lloyd.train(
                    rest,
                    1,
                    n_codewords,
                    init="k-means++",
                    n_init=1,
                    max_iter=max_iter,
                    tol=0.0,
                    rng=rng,
                    step=step,
                    threads=threads,
                )
                n_iter = max(n_iter, len(inertia) - 1)
                codebooks = np.concatenate([codebooks, learned])
                codes, errors = _centered_search(x, codebooks, beam_size, threads)
                history.append(check_errors(errors))
                rest = residuals(x, codes, codebooks)
            for _ in range(_REFINEMENTS):
                offset, moved = centered(codebooks)
                fitted = fit_codebooks(x - offset, codes, moved, _RIDGE, threads=threads)
                fitted[0] += offset
                found, errors = _centered_search(x, fitted, beam_size, threads)
                error = check_errors(errors)
                step(error)
                if not error < history[-1]:
                    break
                codebooks, codes = fitted, found
                history.append(error)
        levels = self._learn_norms(codes, codebooks)
        self._learn(codebooks, levels, np.array(history), n_iter)
        return self

    def _search(self, x: Floats, codebooks: Floats, threads: int | None) -> Codes:
        beam_size = as_integer(self.beam_size, "beam_size", 1, MAX_BEAM)
        return beam_search(x, codebooks, beam_size, threads=threads)[0]


def _centered_search(
    x: Floats, codebooks: Floats, beam_size: int, threads: int | None
) -> tuple[Codes, Floats]:
    """Return the codes (n, M) of samples by a beam search, and their squared errors."""
    offset, moved = centered(codebooks)
    return beam_search(x - offset, moved, beam_size, threads=threads)
