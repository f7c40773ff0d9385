"""Additive quantization by local search: the codewords of all codebooks are chosen together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _native
from fastcodes._blocks import sample
from fastcodes._linalg import check_scale
from fastcodes._progress import progress
from fastcodes._typing import Codes, Floats
from fastcodes._validation import as_integer, random_generator
from fastcodes.quantization._sums import (
    FIRST_ITERATIONS,
    MAX_SEARCH_ITER,
    SumQuantizer,
    beam_search,
    centered,
    check_errors,
    first_codebooks,
    fit_codebooks,
    local_search,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AdditiveQuantizer"]

_BEAM_SIZE = 5  # of the search whose codes `encode` improves
_RIDGE = 8.0  # samples at zero for each codeword, without which codebooks fit the noise of few samples


class AdditiveQuantizer(SumQuantizer):
    r"""Encode a vector as a sum of codewords that are chosen together (LSQ++).

    The vector is approximated by :math:`\hat x = \sum_m c_m(b_m)` with codewords of the full dimension
    (Babenko and Lempitsky, CVPR 2014). `encode` begins with the codes of a beam search. It changes a few
    of them at random, improves all in turn, each given the others (iterated conditional modes), and keeps
    what lowers the error (Martinez, Clement, Hoos and Little, ECCV 2016). Training alternates this search
    with a least-squares fit of all codebooks, to which noise of falling variance is added (SR-D: Martinez,
    Zakhmi, Hoos and Little, *LSQ++*, ECCV 2018).

    The squared distance of a query to :math:`\hat x` is a sum of M entries of `tables` and
    :math:`\lVert \hat x \rVert^2`, which is quantized in `norm_bits` more bits of the code: one more column,
    so that `fastcodes.adc` and the indexes search these codes as those of a `ProductQuantizer`.

    Parameters
    ----------
    n_codebooks : int
        Number of codewords in the sum, M, from 1 to 64.
    n_codewords : int
        Codewords K of each codebook, from 1 to 256. A code is always a byte.
    search_iter : int
        Random changes that `encode` tries, from 0 to 1000; training tries a quarter as many in each
        iteration.
    norm_bits : {8, 16, 0}
        Bits of the squared norm: 8 bits are Lloyd-Max levels, 16 bits a fixed-point number. With up to 16
        codewords they are columns of 4 bits, else of 8. 0 keeps no norm, which needs ``metric="ip"``.
    max_iter : int
        Number of training iterations.
    max_samples : int or None
        Maximum number of random rows to train on; None uses all rows.
    metric : {"l2", "ip"}
        The sums of entries of `tables`: squared L2 distances, or negative inner products.
    random_state : None, int or numpy random generator
        Source of randomness of `fit`; an integer makes it repeatable. `encode` is always repeatable.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    codebooks_ : float32 array (M, K, d)
        ``codebooks_[m, k]`` is the codeword of code ``k`` in column ``m``.
    norm_levels_ : float32 array (n_norms, L)
        The squared norm of a code, after centering, is the sum of one level for each further column.
    objective_history_ : float64 array (iterations,)
        The mean squared error of the training samples after each search, with the noise of that iteration,
        because of which it can increase.
    n_iter_ : int
        The number of training iterations.
    n_features_in_ : int
        The number of dimensions d.
    feature_names_in_ : object array (d,)
        The names of the columns, if the training samples were a data frame that names them.

    See Also
    --------
    ResidualQuantizer : Trains and encodes faster, with a larger error.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.quantization import AdditiveQuantizer, ProductQuantizer
    >>> X = np.random.default_rng(0).normal(size=(1000, 8)).astype(np.float32)
    >>> aq = AdditiveQuantizer(n_codebooks=4, n_codewords=16, random_state=0).fit(X)
    >>> pq = ProductQuantizer(n_subspaces=4, n_codewords=16, random_state=0).fit(X)
    >>> aq.quantization_error(X) < pq.quantization_error(X)
    True
    """

    def __init__(
        self,
        n_codebooks: int = 8,
        n_codewords: int = 256,
        *,
        search_iter: int = 32,
        norm_bits: int = 8,
        max_iter: int = 25,
        max_samples: int | None = 65536,
        metric: str = "l2",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_codebooks = n_codebooks
        self.n_codewords = n_codewords
        self.search_iter = search_iter
        self.norm_bits = norm_bits
        self.max_iter = max_iter
        self.max_samples = max_samples
        self.metric = metric
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: object = None, *, threads: int | None = None) -> Self:
        """Learn the codebooks.

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
        search_iter = as_integer(self.search_iter, "search_iter", 0, MAX_SEARCH_ITER)
        max_iter = as_integer(self.max_iter, "max_iter", 1)
        rng = random_generator(self.random_state)
        samples = self._training_samples(X, n_codewords, "n_codewords")
        x = sample(samples, self.max_samples, rng, at_least=n_codewords)
        check_scale(x)
        n_steps = n_books * FIRST_ITERATIONS + max_iter
        with progress(self.verbose, n_steps, "additive quantizer") as step:
            codebooks = first_codebooks(
                x, n_codewords, [np.arange(x.shape[1])], n_books, rng, step=step, threads=threads
            )
            # The sums of codewords do not change if a codebook is moved and another one moved back.
            offset, codebooks = centered(codebooks)
            moved = x - offset
            codes, _ = beam_search(moved, codebooks, 1, threads=threads)
            codes, _ = _improved(moved, codebooks, codes, search_iter // 4, 0, threads)
            history = []
            for iteration in range(max_iter):
                codebooks = fit_codebooks(moved, codes, codebooks, _RIDGE, threads=threads)
                size = np.sqrt(1 - (iteration + 1) / max_iter) / n_books
                spread = codebooks.std(axis=1, keepdims=True)
                noise = rng.standard_normal(codebooks.shape, np.float32)
                noisy = codebooks + np.float32(size) * spread * noise
                codes, errors = _improved(moved, noisy, codes, search_iter // 4, iteration + 1, threads)
                history.append(check_errors(errors))
                step(history[-1])
            codebooks = fit_codebooks(moved, codes, codebooks, _RIDGE, threads=threads)
        codebooks[0] += offset
        levels = self._learn_norms(codes, codebooks)
        self._learn(codebooks, levels, np.array(history), max_iter)
        return self

    def _search(self, x: Floats, codebooks: Floats, threads: int | None) -> Codes:
        search_iter = as_integer(self.search_iter, "search_iter", 0, MAX_SEARCH_ITER)
        codes, _ = beam_search(x, codebooks, _BEAM_SIZE, threads=threads)
        return _improved(x, codebooks, codes, search_iter, 0, threads)[0]


def _improved(
    x: Floats, codebooks: Floats, codes: Codes, n_iterations: int, seed: int, threads: int | None
) -> tuple[Codes, Floats]:
    """Return codes (n, M) improved by local search, and their squared errors."""
    found, errors = codes.copy(), np.empty(len(x), np.float32)
    _native.additive_search(
        (x, codebooks, found, errors), local_search(len(codebooks), n_iterations, seed), threads
    )
    return found, errors
