"""MinHash as a model: signatures of sets and texts with stored settings."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes import _files, minhash
from fastcodes._codec import Codec
from fastcodes._storage import BitStorage, Storage
from fastcodes._typing import Array, Doubles, Ids, Tokens, UnsignedCodes
from fastcodes._validation import as_bool, as_codes, as_integer, as_list, as_option, random_generator

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MinHash"]


class MinHash(Codec):
    """Signatures of sets and texts that estimate their Jaccard similarity.

    ``|a & b| / |a | b|`` is the probability that a random hash function has its minimum over both sets at the
    same element (Broder, 1997). A signature keeps the minima of ``n_hashes`` such functions; the fraction of
    equal slots of two signatures is an unbiased estimate of the similarity J with the variance ``J (1 - J) /
    n_hashes``.

    Parameters
    ----------
    n_hashes : int
        Slots of a signature, 1 to 8192: the standard error is at most ``0.5 / sqrt(n_hashes)``.
    b_bits : int or None
        Bits that are kept of each slot, 1 to 16: `encode` then returns uint8 codes; with 1 bit,
        `fastcodes.hamming` searches them (Li and König, 2010). None keeps all 32, for
        `fastcodes.index.MinHashIndex`.
    random_state : None, int or numpy random generator
        Source of the hash functions. An integer from 0 to ``2**64 - 1`` is the seed itself: the model makes
        the signatures of ``minhash.signatures(..., seed=random_state)``. Anything else draws a seed, which a
        saved model keeps. Only codes of the same seed can be compared.
    unit : {"word", "char"}
        The unit of the shingles of a text: "char" for scripts without spaces between words, such as Chinese,
        Japanese or Thai.
    shingle_size : int
        Words or characters of a shingle; 3 words or 5 to 9 characters are usual.
    lowercase : bool
        Whether the case of letters in texts is ignored.
    one_permutation : bool
        Whether each token is hashed only once: faster for large sets, with larger errors for sets with fewer
        tokens than a few times `n_hashes`; see `fastcodes.minhash.signatures`.

    Attributes
    ----------
    seed_ : int
        The seed of the hash functions. Nothing is learned from data: `fit` or the first `encode` sets it.

    See Also
    --------
    fastcodes.minhash : The underlying functions, and the exact definition of a signature.
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
    encodes_vectors = False
    seed_: int

    def __init__(
        self,
        n_hashes: int = 128,
        *,
        b_bits: int | None = None,
        random_state: Any = 0,
        unit: Literal["word", "char"] = "word",
        shingle_size: int = 3,
        lowercase: bool = True,
        one_permutation: bool = False,
    ) -> None:
        self.n_hashes = n_hashes
        self.b_bits = b_bits
        self.random_state = random_state
        self.unit = unit
        self.shingle_size = shingle_size
        self.lowercase = lowercase
        self.one_permutation = one_permutation

    def fit(self, X: object = None, y: object = None, *, threads: int | None = None) -> Self:
        """Draw the hash functions.

        Parameters
        ----------
        X, y : object
            Ignored; present for API consistency.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter is invalid.
        """
        self._check()
        if isinstance(self.random_state, numbers.Integral):
            self.seed_ = as_integer(self.random_state, "random_state", 0, 2**64 - 1)
        else:
            self.seed_ = int(random_generator(self.random_state).integers(2**64, dtype=np.uint64))
        return self

    def encode(self, sets: Sequence[Any] | tuple[Array, Array], *, threads: int | None = None) -> Array:
        """Compute the signatures of sets or texts.

        Parameters
        ----------
        sets : sequence of str, sequence of collections, or pair of arrays
            Texts, which become sets of shingles; or sets as `fastcodes.minhash.tokens` takes them:
            collections of str, bytes or integers, or arrays of integers; or the tokens of all sets and
            their offsets, ``(n_tokens,)`` and ``(n + 1,)``.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        uint32 array (n, n_hashes)
            Row ``i`` is the signature of set ``i``; all slots of an empty set are ``2**32 - 1``. With
            `b_bits`, a uint8 array ``(n, b_bits * ceil(n_hashes / 8))``: see `fastcodes.minhash.pack`.

        Raises
        ------
        TypeError
            If a set or a token has the wrong type, or `sets` are signatures already.
        ValueError
            If a parameter or an offset is invalid, or a text has a lone surrogate.
        """
        if not hasattr(self, "seed_"):
            self.fit()
        found = self._signatures(sets, threads)
        return found if self.b_bits is None else minhash.pack(found, self.b_bits, threads=threads)

    def __sklearn_tags__(self) -> Any:
        """Return the tags that scikit-learn asks for: sets or texts, not vectors, and nothing to learn."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = False, True
        tags.no_validation, tags.requires_fit = True, False
        return tags

    @property
    def metrics(self) -> tuple[str, ...]:
        """The distances by which codes can be searched, the default first."""
        return ("jaccard",) if self.b_bits is None else ("hamming",)

    def as_codes(self, codes: ArrayLike) -> UnsignedCodes:
        """Return codes from elsewhere, or raise an error if `encode` cannot have made them."""
        dtype = np.uint32 if self.b_bits is None else np.uint8
        return as_codes(codes, self._n_columns, np.iinfo(dtype).max + 1, dtype)

    def as_queries(self, queries: Any, *, threads: int | None = None) -> Array:
        """Return the codes of queries, which are sets or texts."""
        return self.encode(queries, threads=threads)

    def operand(self, queries: Array, metric: str, *, threads: int | None = None) -> Array:
        """Return rows of ``as_queries(queries)`` as they are."""
        return queries

    def storage(self, metric: str) -> Storage:
        """Return an empty storage for codes of one bit per slot, which are searched by Hamming distance."""
        if self.b_bits != 1:
            raise ValueError(
                f"codec has b_bits={self.b_bits}, but only codes of one bit per slot can be searched "
                "exhaustively; give a MinHash with b_bits=1, or use a MinHashIndex"
            )
        return BitStorage(self._n_columns, metric)

    @property
    def code_bits(self) -> int:
        """The bits of a code: `b_bits` for each slot, or 32."""
        return self.n_hashes * (32 if self.b_bits is None else self.b_bits)

    @property
    def _n_outputs(self) -> int:
        return self._n_columns

    @property
    def _n_columns(self) -> int:
        return self.n_hashes if self.b_bits is None else -(-self.n_hashes // 8) * self.b_bits

    def estimate(self, a: Array, b: Array, *, threads: int | None = None) -> tuple[Doubles, Doubles]:
        """Estimate the Jaccard similarity of all pairs.

        Parameters
        ----------
        a, b : arrays
            Codes from `encode`; a one-dimensional array is one row.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        similarity : float64 array (na, nb)
            ``similarity[i, j]`` is that of set ``i`` of `a` and set ``j`` of `b`. With `b_bits` the unbiased
            estimate can be negative.
        error : float64 array (na, nb)
            The standard error of each.

        Raises
        ------
        TypeError, ValueError
            If the arrays are not codes of this model.

        See Also
        --------
        fastcodes.minhash.paired : Given pairs instead of all.

        Notes
        -----
        Equal to ``minhash.estimate(minhash.cdist(a, b, n_bits=b_bits), n_hashes, n_bits=b_bits)``.
        """
        differing = minhash.cdist(a, b, n_bits=self.b_bits, threads=threads)
        if np.shape(a)[-1] != self._n_columns:
            raise ValueError(
                f"a has {np.shape(a)[-1]} columns, but codes of this model have {self._n_columns}"
            )
        return minhash.estimate(differing, self.n_hashes, n_bits=self.b_bits)

    def band_keys(
        self, X: Sequence[Any] | tuple[Array, Array], n_bands: int, n_rows: int, *, threads: int | None = None
    ) -> Tokens:
        """Hash the bands of the signatures of sets or texts: equal keys in a column make candidates.

        Parameters
        ----------
        X : sequence of str, sequence of collections, or pair of arrays
            Texts or sets as in `encode`.
        n_bands, n_rows : int
            Bands, and slots of a band, as from `fastcodes.minhash.band_shape`.
        threads : int, optional
            Largest number of threads; None means all CPUs of this process.

        Returns
        -------
        uint64 array (n, n_bands)
            The key of each band, from all bits of its slots: see `fastcodes.minhash.band_keys`.

        Raises
        ------
        TypeError, ValueError
            As `encode`; and if the bands do not fit the signatures.

        Examples
        --------
        >>> from fastcodes.hashing import MinHash
        >>> keys = MinHash(random_state=0).band_keys([["a", "b"], ["b", "a"], ["c"]], n_bands=14, n_rows=9)
        >>> (keys[1:] == keys[0]).any(axis=1)
        array([ True, False])
        """
        if not hasattr(self, "seed_"):
            self.fit()
        return minhash.band_keys(self._signatures(X, threads), n_bands, n_rows, threads=threads)

    def shingles(self, texts: Sequence[str]) -> tuple[NDArray[np.uint64], Ids]:
        """Return the tokens of texts and their offsets, which `encode` accepts.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        tokens : uint64 array
        offsets : int64 array (n + 1,)
        """
        return minhash.shingles(texts, size=self.shingle_size, unit=self.unit, lowercase=self.lowercase)

    def _check(self) -> None:
        as_integer(self.n_hashes, "n_hashes", 1, 8192)
        if self.b_bits is not None:
            as_integer(self.b_bits, "b_bits", 1, 16)
        as_integer(self.shingle_size, "shingle_size", 1, 1024)
        as_option(self.unit, "unit", ("word", "char"))
        as_bool(self.lowercase, "lowercase")
        as_bool(self.one_permutation, "one_permutation")

    def tokens(self, sets: Any, *, name: str = "sets") -> tuple[NDArray[np.uint64], Ids]:
        """Return sets or texts, the argument `name`, as tokens and offsets."""
        if _are_arrays(sets):
            return minhash.tokens(sets)
        given = self._as_sets(sets, name)
        return self.shingles(given) if _are_texts(given) else minhash.tokens(given)

    def _signatures(self, sets: Any, threads: int | None) -> NDArray[np.uint32]:
        self._check()
        k, seed, one_permutation = self.n_hashes, self.seed_, self.one_permutation
        given = sets if _are_arrays(sets) else self._as_sets(sets, "sets")
        if _are_texts(given):
            return minhash.text_signatures(
                given,
                n_hashes=k,
                seed=seed,
                size=self.shingle_size,
                unit=self.unit,
                lowercase=self.lowercase,
                one_permutation=one_permutation,
                threads=threads,
            )
        tokens, offsets = given if _are_arrays(given) else (given, None)
        return minhash.signatures(
            tokens, offsets, n_hashes=k, seed=seed, one_permutation=one_permutation, threads=threads
        )

    def _as_sets(self, sets: Any, name: str) -> list[Any]:
        """Return sets or texts as a list; signatures, whose slots would be taken for tokens, are refused."""
        given = as_list(sets, name, "texts or collections of tokens")
        dtype = np.uint32 if self.b_bits is None else np.uint8
        first = given[0] if given else None
        if isinstance(first, np.ndarray) and first.dtype == dtype and first.shape == (self._n_columns,):
            raise TypeError(
                f"{name} has rows of {first.dtype} and shape {first.shape}, as signatures are, but sets or "
                "texts are expected; a MinHashIndex takes signatures by add_codes, search_codes and "
                "query_codes"
            )
        return given

    def _to_arrays(self) -> dict[str, Array]:
        return {"seed": np.array([self.seed_], np.uint64)}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        self._check()
        self.seed_ = int(_files.take(arrays, "seed", np.uint64, (1,))[0])


def _are_arrays(sets: object) -> bool:
    """Whether sets are given as tokens and offsets."""
    return isinstance(sets, tuple) and len(sets) == 2 and all(isinstance(part, np.ndarray) for part in sets)


def _are_texts(sets: Sequence[Any]) -> bool:
    """Whether the first set is a text; the kernels check the others."""
    return bool(sets) and isinstance(sets[0], str)
