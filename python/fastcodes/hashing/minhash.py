"""MinHash as a model: signatures of sets and texts with settings that are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcodes import _files, minhash
from fastcodes._estimator import Estimator
from fastcodes._typing import Array, Doubles, Ids
from fastcodes._validation import as_integer, random_generator

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MinHash"]


class MinHash(Estimator):
    """Signatures of sets and texts, by which their Jaccard similarity is estimated.

    ``|a & b| / |a | b|`` is the probability that a random hash function has its least value over both sets at
    the same element (Broder, 1997). A signature keeps the least values of ``n_hashes`` such functions; two
    signatures agree in a share of slots that estimates the similarity without bias and with the variance
    ``J (1 - J) / n_hashes``.

    Parameters
    ----------
    n_hashes : int
        Slots of a signature, 1 to 8192: the standard error is at most ``0.5 / sqrt(n_hashes)``.
    b_bits : int or None
        Bits of a slot that are kept, 1 to 16: `encode` gives uint8 codes then, of which `fastcodes.hamming`
        searches those with 1 bit (Li and König, 2010). None keeps 32, for `fastcodes.index.MinHashIndex`.
    random_state : None, int or numpy random generator
        What the hash functions are drawn from. Only codes of the same functions can be compared.
    unit : {"word", "char"}
        What the shingles of texts are runs of.
    shingle_size : int
        How many words or characters a shingle has. Pieces of 3 words or 5 to 9 characters are usual.
    lowercase : bool
        Whether the case of letters in texts makes no difference.
    one_permutation : bool
        Whether each token is hashed once only: faster for large sets, with larger errors for sets of fewer
        tokens than a few times `n_hashes`; see `fastcodes.minhash.signatures`.
    threads : int or None
        Threads to use at most; None means all CPUs.

    Attributes
    ----------
    seed_ : int
        The seed of the hash functions. Nothing is learned from data: `fit` draws it, or the first `encode`
        does.

    See Also
    --------
    fastcodes.minhash : The functions below, and what a signature is to the bit.
    fastcodes.index.MinHashIndex : Near-duplicates among many sets.

    Examples
    --------
    >>> from fastcodes.hashing import MinHash
    >>> model = MinHash(n_hashes=256, random_state=0)
    >>> a = model.encode([["cat", "dog", "cow"], {"cat", "dog", "hen"}])
    >>> similarity, error = model.estimate(a, a)
    >>> similarity.round(2).tolist(), error.round(2).tolist()
    ([[1.0, 0.51], [0.51, 1.0]], [[0.0, 0.03], [0.03, 0.0]])
    >>> texts = ["To be, or not to be, that is the question", "to be or not to be: that is a question"]
    >>> b = MinHash(b_bits=1, random_state=0, shingle_size=2).encode(texts)
    >>> b.shape, b.dtype
    ((2, 16), dtype('uint8'))
    """

    _learned = "seed_"
    seed_: int

    def __init__(
        self,
        n_hashes: int = 128,
        b_bits: int | None = None,
        random_state: Any = 0,
        *,
        unit: minhash.Unit = "word",
        shingle_size: int = 3,
        lowercase: bool = True,
        one_permutation: bool = False,
        threads: int | None = None,
    ) -> None:
        self.n_hashes = n_hashes
        self.b_bits = b_bits
        self.random_state = random_state
        self.unit = unit
        self.shingle_size = shingle_size
        self.lowercase = lowercase
        self.one_permutation = one_permutation
        self.threads = threads

    def fit(self, X: object = None, y: object = None) -> Self:
        """Draw the hash functions.

        Parameters
        ----------
        X, y : object
            Not looked at.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter is wrong.
        """
        self._check()
        self.seed_ = int(random_generator(self.random_state).integers(2**64, dtype=np.uint64))
        return self

    def encode(self, sets: Sequence[Any] | tuple[Array, Array]) -> Array:
        """Compute the signatures of sets or texts.

        Parameters
        ----------
        sets : sequence of str, sequence of collections, or pair of arrays
            Texts, which become sets of shingles; or sets as `fastcodes.minhash.tokens` takes them:
            collections of str, bytes or integers, or arrays of integers; or the tokens of all sets and
            their offsets, ``(n_tokens,)`` and ``(n + 1,)``.

        Returns
        -------
        uint32 array (n, n_hashes)
            Row ``i`` is the signature of set ``i``; that of an empty one is ``2**32 - 1`` throughout. Or,
            with `b_bits`, a uint8 array ``(n, b_bits * ceil(n_hashes / 8))``: see `fastcodes.minhash.pack`.

        Raises
        ------
        TypeError
            If a set or a token is something else.
        ValueError
            If a parameter or an offset is wrong, or a text has a lone surrogate.
        """
        if not hasattr(self, "seed_"):
            self.fit()
        found = self._signatures(sets)
        return found if self.b_bits is None else minhash.pack(found, self.b_bits, threads=self.threads)

    def transform(self, X: Sequence[Any]) -> Array:
        """Do the same as `encode`, for pipelines."""
        return self.encode(X)

    def fit_transform(self, X: Sequence[Any], y: object = None) -> Array:
        """Draw the hash functions, and encode."""
        return self.fit(X).encode(X)

    def estimate(self, a: Array, b: Array) -> tuple[Doubles, Doubles]:
        """Estimate the Jaccard similarity of all pairs.

        Parameters
        ----------
        a, b : arrays
            As `encode` gives them; a one-dimensional array is one row.

        Returns
        -------
        similarity : float64 array (na, nb)
            ``similarity[i, j]`` is that of set ``i`` of `a` and set ``j`` of `b`. With `b_bits` it can be
            below 0, since it is unbiased.
        error : float64 array (na, nb)
            The standard error of each.

        Raises
        ------
        TypeError, ValueError
            If the arrays are not codes of this model.

        See Also
        --------
        fastcodes.minhash.paired : Some pairs instead of all.

        Notes
        -----
        Equal to ``minhash.estimate(minhash.cdist(a, b, b_bits), n_hashes, b_bits)``.
        """
        differing = minhash.cdist(a, b, self.b_bits, threads=self.threads)
        width = self.n_hashes if self.b_bits is None else -(-self.n_hashes // 8) * self.b_bits
        if np.shape(a)[-1] != width:
            raise ValueError(f"a has {np.shape(a)[-1]} columns, but codes of this model have {width}")
        return minhash.estimate(differing, self.n_hashes, self.b_bits)

    def shingles(self, texts: Sequence[str]) -> tuple[NDArray[np.uint64], Ids]:
        """Return the tokens of texts and their offsets, as `encode` takes them too.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        tokens : uint64 array
        offsets : int64 array (n + 1,)
        """
        return minhash.shingles(texts, self.shingle_size, self.unit, lowercase=self.lowercase)

    def _check(self) -> None:
        as_integer(self.n_hashes, "n_hashes", 1, 8192)
        if self.b_bits is not None:
            as_integer(self.b_bits, "b_bits", 1, 16)
        minhash._shingle_parts(self.shingle_size, self.unit, self.lowercase)

    def _tokens(self, sets: Any, name: str = "sets") -> tuple[NDArray[np.uint64], Ids]:
        """Return sets or texts, which are called `name` in errors, as tokens and offsets."""
        if _are_arrays(sets):
            return minhash._as_tokens(*sets)
        given = minhash._as_list(sets, name)
        return self.shingles(given) if _are_texts(given) else minhash.tokens(given)

    def _signatures(self, sets: Any) -> NDArray[np.uint32]:
        self._check()
        k, seed, one_permutation, threads = self.n_hashes, self.seed_, self.one_permutation, self.threads
        given = sets if _are_arrays(sets) else minhash._as_list(sets, "sets")
        if _are_texts(given):
            return minhash.text_signatures(
                given,
                k,
                seed,
                self.shingle_size,
                self.unit,
                lowercase=self.lowercase,
                one_permutation=one_permutation,
                threads=threads,
            )
        tokens, offsets = given if _are_arrays(given) else (given, None)
        return minhash.signatures(tokens, offsets, k, seed, one_permutation=one_permutation, threads=threads)

    def _to_arrays(self) -> dict[str, Array]:
        return {"seed": np.array([self.seed_], np.uint64)}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        self._check()
        self.seed_ = int(_files.take(arrays, "seed", np.uint64, (1,))[0])


def _are_arrays(sets: object) -> bool:
    """Whether sets are tokens and offsets."""
    return isinstance(sets, tuple) and len(sets) == 2 and all(isinstance(part, np.ndarray) for part in sets)


def _are_texts(sets: Sequence[Any]) -> bool:
    """Whether sets are texts: all of them, or the errors say which is not."""
    return bool(sets) and isinstance(sets[0], str)
