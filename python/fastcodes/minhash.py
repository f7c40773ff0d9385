r"""MinHash: signatures of sets, whose equal slots estimate how similar the sets are.

The Jaccard similarity of two sets, ``|a & b| / |a | b|``, is the probability that a random function has its
minimum over both at the same element (Broder, 1997). A signature has one slot for each of ``k`` such
functions, so the fraction of slots in which two signatures agree is an unbiased estimate of the similarity,
with the variance ``J (1 - J) / k``. A signature takes ``4 k`` bytes whatever the size of the set, or
``k b / 8`` bytes with ``b`` bits per slot; with one bit, `fastcodes.hamming` searches it.

Sets are lists, sets or other collections of tokens: str, bytes, integers, or arrays of integers; or,
without a Python object for each token, one array of tokens with the offsets of the sets. A token that occurs
twice counts once. The token of a str or bytes is its 64-bit XXH3 hash (of the UTF-8 form, seed 0), as other
libraries compute it; the token of an integer is the integer modulo 2**64.

The functions are derived from a seed, and are the same on every machine (all arithmetic is modulo 2**64, or
2**32 for 32 bits)::

    def mix(z):                                            # splitmix64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB
        return z ^ (z >> 31)

    w = mix(seed + np.arange(1, k + 2) * 0x9E3779B97F4A7C15)
    z = mix(tokens ^ w[0])
    high, low = z >> 32, z % 2**32
    minimum i is that of   a[j] * high          for i % 32 < 16,   j = 16 * (i // 32) + i % 16
                           a[j] * high + low    for the others,    a[j] = (w[j + 1] >> 32) | 1

Slot ``i`` is the ``fmix32`` of MurmurHash3 of minimum ``i`` plus ``i * 0x9E3779B9``. `mix` turns tokens such
as 0, 1, 2, ... into random numbers; odd multipliers permute them; and the low halves, on which the products
do not depend, give every second block of sixteen slots for the price of an addition. All slots of the empty
set are ``2**32 - 1``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes import _native
from fastcodes._typing import Codes, Doubles, Floats, Ids, Integers, Signatures, Tokens
from fastcodes._validation import (
    as_bool,
    as_integer,
    as_list,
    as_option,
    as_output,
    as_real,
    as_signatures,
    as_vector,
    describe,
)

__all__ = [
    "band_keys",
    "band_shape",
    "candidate_probability",
    "cdist",
    "estimate",
    "jaccard",
    "pack",
    "paired",
    "shingles",
    "signatures",
    "text_signatures",
    "tokens",
]

Unit = Literal["word", "char"]
Sets = Sequence[Any] | tuple[Integers, Integers]

MAX_HASHES = 8192
# Tokens of Python objects that become signatures at a time: they stay in the second-level cache.
_TOKENS_PER_BLOCK = 1 << 16
# Texts that are hashed at a time.
_TEXTS_PER_BLOCK = 1 << 14
# Points of the numerical integration of an S-curve.
_POINTS = 256


def tokens(sets: Sets) -> tuple[Tokens, Ids]:
    """Convert sets of Python objects into one array of tokens, with offsets.

    Parameters
    ----------
    sets : sequence of collections, or pair of integer arrays
        Each set a list, set, tuple or other iterable of str, bytes or integers from ``-2**63`` to
        ``2**64 - 1``, or a one-dimensional array of integers; or a tuple of tokens and offsets.

    Returns
    -------
    tokens : uint64 array (n_tokens,)
        The tokens of all sets, with repetitions.
    offsets : int64 array (n + 1,)
        The tokens of set ``i`` are ``tokens[offsets[i]:offsets[i + 1]]``.

    Raises
    ------
    TypeError
        If a set or a token has another type. A str is not a set: see `shingles`.
    ValueError
        If an integer is out of range, or a str has a lone surrogate and so no UTF-8 form.

    Examples
    --------
    >>> from fastcodes import minhash
    >>> found, offsets = minhash.tokens([["a", "b"], [], {3, -1}])
    >>> found[:2]
    array([16629034431890738719,  6294355645245719615], dtype=uint64)
    >>> offsets
    array([0, 2, 2, 4])

    Notes
    -----
    Equal to ``xxhash.xxh3_64_intdigest(token)`` of the package xxhash for each str or bytes.
    """
    return _as_tokens(sets, "sets")


def shingles(
    texts: Sequence[str], *, size: int = 3, unit: Unit = "word", lowercase: bool = True
) -> tuple[Tokens, Ids]:
    """Convert texts into sets of shingles: all runs of `size` words or characters.

    Parameters
    ----------
    texts : sequence of str
        Any Unicode text.
    size : int
        Words or characters of a shingle, 1 to 1024. A text with fewer is one shingle; a text without any has
        none.
    unit : {"word", "char"}
        Words are runs of letters, digits and underscores, joined by single spaces; all other characters
        separate them. Characters are Unicode scalar values; a run of white space counts as one space, and is
        dropped at the ends.
    lowercase : bool
        Whether to convert texts to lower case first.

    Returns
    -------
    tokens : uint64 array
        The tokens of all shingles, with repetitions: the XXH3 hashes of their UTF-8 form.
    offsets : int64 array (n + 1,)
        The tokens of text ``i`` are ``tokens[offsets[i]:offsets[i + 1]]``.

    Raises
    ------
    TypeError
        If a text is not a str.
    ValueError
        If `size` or `unit` is out of range, or a text has a lone surrogate.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import minhash
    >>> found, offsets = minhash.shingles(["The cat - the CAT!", ""], size=2)
    >>> same, _ = minhash.tokens([["the cat", "cat the", "the cat"]])
    >>> np.array_equal(found, same), offsets
    (True, array([0, 3, 3]))

    Notes
    -----
    The equivalent in Python for words of ASCII: ``words = re.findall("[a-z0-9_]+", text.lower())``, then
    ``[" ".join(words[i:i + size]) for i in range(len(words) - size + 1)]``.
    """
    texts = as_list(texts, "texts", "str")
    parts = _shingle_parts(size, unit, lowercase)
    found = [
        _native.minhash_shingles(texts[start : start + _TEXTS_PER_BLOCK], start, parts)
        for start in range(0, max(len(texts), 1), _TEXTS_PER_BLOCK)
    ]
    if len(found) == 1:
        return found[0]
    ends = np.cumsum([0, *(len(part) for part, _ in found)])
    offsets = [part[1:] + end for (_, part), end in zip(found, ends[:-1], strict=True)]
    return np.concatenate([part for part, _ in found]), np.concatenate([np.zeros(1, np.int64), *offsets])


def signatures(
    sets: Sequence[Any] | Integers,
    offsets: Integers | None = None,
    *,
    n_hashes: int = 128,
    seed: int = 0,
    one_permutation: bool = False,
    out: Signatures | None = None,
    threads: int | None = None,
) -> Signatures:
    """Compute the signatures of sets.

    Parameters
    ----------
    sets : sequence of collections, or integer array
        Sets as in `tokens`; or, with `offsets`, the tokens of all sets, preferably uint64.
    offsets : integer array (n + 1,), optional
        The tokens of set ``i`` are ``sets[offsets[i]:offsets[i + 1]]``.
    n_hashes : int
        Slots of a signature, 1 to 8192. Fewer slots are the first of more.
    seed : int
        0 to ``2**64 - 1``. Only signatures with the same seed can be compared.
    one_permutation : bool
        Whether each token is hashed once and updates one slot only, which takes time proportional to tokens
        plus slots instead of their product (Li, Owen and Zhang, 2012). Empty slots borrow from others by
        optimal densification (Shrivastava, 2017). The estimates are still unbiased. Their variance is at most
        that of `estimate` for sets of a few times `n_hashes` tokens, and larger for smaller sets. Fewer slots
        are then not the first of more.
    out : uint32 array (n, n_hashes), optional
        C-contiguous array for the result.
    threads : int, optional
        Largest number of threads. None means all CPUs of this process, or the value of the environment
        variable ``FASTCODES_NUM_THREADS``; 1 starts no thread.

    Returns
    -------
    uint32 array (n, n_hashes)
        Row ``i`` is the signature of set ``i``; all slots of an empty set are ``2**32 - 1``.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If offsets do not ascend within the tokens, a number is out of range, or `out` has another shape.

    See Also
    --------
    text_signatures : The same for texts.
    fastcodes.hashing.MinHash : A model with these settings as parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import minhash
    >>> found = minhash.signatures([["a", "b", "c"], {"c", "b", "a"}, {"a", "b", "d"}], n_hashes=128)
    >>> minhash.cdist(found[:1], found)
    array([[ 0,  0, 72]], dtype=int32)
    >>> same = minhash.signatures(np.array([7, 8, 7, 8]), np.array([0, 2, 4]))
    >>> np.array_equal(same[0], same[1])
    True

    Notes
    -----
    The description of the module has the numpy equivalent.
    """
    hasher = _hasher(n_hashes, seed, one_permutation)
    if offsets is not None:
        return _native.minhash_signatures(*_as_arrays(sets, offsets, "sets"), hasher, out, threads)
    if isinstance(sets, np.ndarray) and sets.ndim == 1 and sets.dtype != object:
        raise TypeError(
            f"sets must be a sequence of collections; got {describe(sets)}. "
            "Give offsets with an array of tokens: [0, len(sets)] if it is one set"
        )
    given = as_list(sets, "sets", "collections of tokens")
    result: Signatures = as_output(out, (len(given), hasher[0]), np.uint32)
    start = 0
    while start < len(given):
        found, ends = _native.minhash_tokens(given, start, _TOKENS_PER_BLOCK)
        stop = start + len(ends) - 1
        _native.minhash_signatures(found, ends, hasher, result[start:stop], threads)
        start = stop
    return result


def text_signatures(
    texts: Sequence[str],
    *,
    n_hashes: int = 128,
    seed: int = 0,
    size: int = 3,
    unit: Unit = "word",
    lowercase: bool = True,
    one_permutation: bool = False,
    out: Signatures | None = None,
    threads: int | None = None,
) -> Signatures:
    """Compute the signatures of the sets of shingles of texts, without storing the shingles.

    Parameters
    ----------
    texts : sequence of str
        Any Unicode text.
    n_hashes, seed, one_permutation, out, threads
        As in `signatures`.
    size, unit, lowercase
        As in `shingles`.

    Returns
    -------
    uint32 array (n, n_hashes)
        Row ``i`` is the signature of text ``i``; all slots of a text without words are ``2**32 - 1``.

    Raises
    ------
    TypeError
        If a text is not a str, or a number has the wrong type.
    ValueError
        As in `signatures` and `shingles`.

    Examples
    --------
    >>> from fastcodes import minhash
    >>> found = minhash.text_signatures(["one two three four five six", "One two THREE four five - six!"])
    >>> minhash.paired(found, found, [0], [1])
    array([0], dtype=int32)

    Notes
    -----
    Equal to ``signatures(*shingles(texts, size=size, unit=unit), n_hashes=n_hashes, seed=seed)``.
    """
    hasher = _hasher(n_hashes, seed, one_permutation)
    parts = _shingle_parts(size, unit, lowercase)
    given = as_list(texts, "texts", "str")
    result: Signatures = as_output(out, (len(given), hasher[0]), np.uint32)
    for start in range(0, len(given), _TEXTS_PER_BLOCK):
        rows = slice(start, start + _TEXTS_PER_BLOCK)
        _native.minhash_text_signatures(given[rows], start, parts, hasher, result[rows], threads)
    return result


def pack(
    signatures: Signatures, n_bits: int, *, out: Codes | None = None, threads: int | None = None
) -> Codes:
    """Keep the lowest bits of each slot: b-bit MinHash (Li and König, 2010).

    Parameters
    ----------
    signatures : uint32 array (n, n_hashes)
        The result of `signatures`.
    n_bits : int
        Bits of a slot, 1 to 16. With one bit the rows are codes for `fastcodes.hamming`.
    out : uint8 array (n, n_bits * ceil(n_hashes / 8)), optional
        C-contiguous array for the result.
    threads : int, optional
        As in `signatures`.

    Returns
    -------
    uint8 array (n, n_bits * ceil(n_hashes / 8))
        A row is a sequence of planes, that of the lowest bits first; a plane has one bit per slot in the
        order of `numpy.packbits`. So slots of any number of bits are compared 64 at a time.

    Raises
    ------
    TypeError
        If `signatures` is not a uint32 array, or a number has the wrong type.
    ValueError
        If `n_bits` is out of range, or `out` has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import minhash
    >>> minhash.pack(np.array([[0, 1, 2, 3]], dtype=np.uint32), n_bits=2)
    array([[80, 48]], dtype=uint8)

    Notes
    -----
    The numpy equivalent::

        planes = signatures[:, None, :] >> np.arange(n_bits, dtype=np.uint32)[:, None] & 1
        codes = np.packbits(planes.astype(bool), axis=-1).reshape(len(signatures), -1)
    """
    return _native.minhash_pack(as_signatures(signatures), _n_bits(n_bits), out, threads)


def band_keys(
    signatures: Signatures,
    n_bands: int,
    n_rows: int,
    *,
    out: Tokens | None = None,
    threads: int | None = None,
) -> Tokens:
    """Hash the bands of signatures: rows with the same key in a column are candidates for near-duplicates.

    A band is a run of `n_rows` slots. Group rows by the keys of a column, on one machine or many, to find
    those that agree in all slots of a band. `candidate_probability` is the probability of that;
    `fastcodes.index.MinHashIndex` does the same in memory.

    Parameters
    ----------
    signatures : uint32 array (n, n_hashes)
        The result of `signatures`.
    n_bands, n_rows : int
        Bands, and slots of a band, as from `band_shape`; the slots beyond ``n_bands * n_rows`` are ignored.
    out : uint64 array (n, n_bands), optional
        C-contiguous array for the result.
    threads : int, optional
        As in `signatures`.

    Returns
    -------
    uint64 array (n, n_bands)
        ``result[i, b]`` is a hash of the slots ``b * n_rows`` to ``(b + 1) * n_rows - 1`` of signature ``i``,
        the same on every machine. Compare keys within a column; those of different slots are equal by
        chance, once in ``2**64`` pairs.

    Raises
    ------
    TypeError
        If `signatures` is not a uint32 array, or a number has the wrong type.
    ValueError
        If the bands do not fit the signatures, or `out` has another shape.

    Examples
    --------
    >>> from fastcodes import minhash
    >>> found = minhash.signatures([["a", "b", "c"], ["c", "a", "b"], ["x", "y"]])
    >>> keys = minhash.band_keys(found, *minhash.band_shape(128, 0.8))
    >>> (keys[1:] == keys[0]).any(axis=1)
    array([ True, False])

    Notes
    -----
    The numpy equivalent, with `mix` as in the description of the module::

        keys = np.zeros((len(signatures), n_bands), np.uint64)
        for slots in signatures[:, : n_bands * n_rows].reshape(-1, n_bands, n_rows).transpose(2, 0, 1):
            keys = mix(keys ^ slots)
    """
    bands, rows = as_integer(n_bands, "n_bands", 1, MAX_HASHES), as_integer(n_rows, "n_rows", 1, MAX_HASHES)
    return _native.minhash_band_keys(as_signatures(signatures), bands, rows, out, threads)


def cdist(
    a: Signatures | Codes,
    b: Signatures | Codes,
    *,
    n_bits: int | None = None,
    out: NDArray[np.int32] | None = None,
    threads: int | None = None,
) -> NDArray[np.int32]:
    """Count the slots in which rows of `a` and rows of `b` differ.

    Parameters
    ----------
    a : uint32 array (na, n_hashes), or uint8 array (na, n_bytes)
        Signatures, or packed ones; a one-dimensional array is one row.
    b : array (nb, n_hashes) or (nb, n_bytes)
        The same.
    n_bits : int, optional
        The bits of packed slots; None for signatures.
    out : int32 array (na, nb), optional
        C-contiguous array for the result.
    threads : int, optional
        As in `signatures`.

    Returns
    -------
    int32 array (na, nb)
        ``result[i, j]`` slots differ between ``a[i]`` and ``b[j]``: see `estimate`. This is the Hamming
        distance of slots, not of bits: a slot with two different bits counts once.

    Raises
    ------
    TypeError
        If an array has the wrong dtype.
    ValueError
        If `a` and `b` differ in length, rows are not whole planes, `n_bits` is missing or out of range, or
        `out` has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import minhash
    >>> rows = np.array([[1, 2, 3], [1, 6, 4]], dtype=np.uint32)
    >>> minhash.cdist(rows, rows)
    array([[0, 2],
           [2, 0]], dtype=int32)
    >>> codes = minhash.pack(rows, n_bits=2)
    >>> minhash.cdist(codes, codes, n_bits=2)
    array([[0, 1],
           [1, 0]], dtype=int32)

    Notes
    -----
    The numpy equivalent for signatures: ``(a[:, None] != b).sum(axis=-1)``.
    """
    a, b, bits = _rows(a, b, n_bits)
    return _native.minhash_cdist(a, b, bits, out, threads)


def paired(
    a: Signatures | Codes,
    b: Signatures | Codes,
    i: ArrayLike,
    j: ArrayLike,
    *,
    n_bits: int | None = None,
    threads: int | None = None,
) -> NDArray[np.int32]:
    """Count the slots in which the rows of some pairs differ.

    Parameters
    ----------
    a, b, n_bits
        As in `cdist`.
    i, j : array_like of int (n_pairs,)
        Rows of `a` and of `b`.
    threads : int, optional
        As in `signatures`.

    Returns
    -------
    int32 array (n_pairs,)
        ``result[p]`` slots differ between ``a[i[p]]`` and ``b[j[p]]``.

    Raises
    ------
    TypeError, ValueError
        As in `cdist`; and if `i` and `j` are not integers, differ in length, or have a row that does not
        exist.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import minhash
    >>> rows = np.array([[1, 2, 3], [1, 6, 4]], dtype=np.uint32)
    >>> minhash.paired(rows, rows, [0, 1], [1, 1])
    array([2, 0], dtype=int32)

    Notes
    -----
    The numpy equivalent for signatures: ``(a[i] != b[j]).sum(axis=-1)``, without the copies.
    """
    a, b, bits = _rows(a, b, n_bits)
    return _native.minhash_paired(a, b, _as_row_numbers(i, "i"), _as_row_numbers(j, "j"), bits, threads)


def estimate(differing: ArrayLike, n_hashes: int, *, n_bits: int | None = None) -> tuple[Doubles, Doubles]:
    """Estimate Jaccard similarities from the number of slots that differ.

    Parameters
    ----------
    differing : array_like of int (...)
        The result of `cdist` or `paired`, or of `fastcodes.hamming` with one bit per slot.
    n_hashes : int
        Slots of a signature, ``k``.
    n_bits : int, optional
        The bits of packed slots; None for signatures.

    Returns
    -------
    similarity : float64 array (...)
        ``1 - differing / k`` for signatures. Slots of ``b`` bits agree by chance with the probability
        ``2**-b``, which the estimate corrects: ``1 - differing / k / (1 - 2**-b)``. Both are unbiased, so the
        latter can be below 0.
    error : float64 array (...)
        Their standard errors, with the fraction ``p`` of slots that agree in place of its expectation:
        ``sqrt(p * (1 - p) / k) / (1 - 2**-b)``.

    Raises
    ------
    TypeError
        If a number has the wrong type.
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> from fastcodes import minhash
    >>> similarity, error = minhash.estimate([0, 64], n_hashes=128)
    >>> similarity.round(3), error.round(3)
    (array([1. , 0.5]), array([0.   , 0.044]))
    >>> similarity, error = minhash.estimate([0, 64], n_hashes=128, n_bits=1)
    >>> similarity.round(3), error.round(3)
    (array([1., 0.]), array([0.   , 0.088]))
    """
    counts = np.asarray(differing)
    if counts.dtype.kind not in "iu" and counts.size:
        raise TypeError(f"differing must be integers; got an array of dtype {counts.dtype}")
    k = as_integer(n_hashes, "n_hashes", 1, MAX_HASHES)
    if counts.size and not (counts.min() >= 0 and counts.max() <= k):
        wrong = counts[(counts < 0) | (counts > k)].flat[0]
        raise ValueError(f"differing has {wrong}; expected numbers of slots from 0 to {k}")
    scale = 1.0 if n_bits is None else 1 - 0.5 ** _n_bits(n_bits)
    share = counts.astype(np.float64) / k
    return 1 - share / scale, np.sqrt(share * (1 - share) / k) / scale


def jaccard(a: Sets, b: Sets, i: ArrayLike, j: ArrayLike, *, threads: int | None = None) -> Floats:
    """Compute the exact Jaccard similarity of some pairs of sets, for example of candidates.

    Parameters
    ----------
    a, b : sequence of collections, or pair of arrays
        Sets as in `tokens`.
    i, j : array_like of int (n_pairs,)
        The numbers of sets of `a` and of `b`.
    threads : int, optional
        As in `signatures`.

    Returns
    -------
    float32 array (n_pairs,)
        ``|a[i[p]] & b[j[p]]| / |a[i[p]] | b[j[p]]|``, correctly rounded; 1 for two empty sets.

    Raises
    ------
    TypeError
        If sets or tokens have another type, or `i` and `j` are not integers.
    ValueError
        If `i` and `j` differ in length or have a set that does not exist.

    Examples
    --------
    >>> from fastcodes import minhash
    >>> sets = [["a", "b", "c"], ["b", "c", "d"], []]
    >>> minhash.jaccard(sets, sets, [0, 0, 2], [0, 1, 2])
    array([1. , 0.5, 1. ], dtype=float32)

    Notes
    -----
    The equivalent in Python: ``len(x & y) / len(x | y)`` for ``x, y = set(a[i[p]]), set(b[j[p]])``.
    """
    first = _as_tokens(a, "a")
    second = first if b is a else _as_tokens(b, "b")
    return _native.minhash_jaccard(first, second, _as_row_numbers(i, "i"), _as_row_numbers(j, "j"), threads)


def candidate_probability(similarity: ArrayLike, n_bands: int, n_rows: int) -> Doubles:
    """Return the probability that two signatures agree in all slots of a band: the S-curve of banding.

    Parameters
    ----------
    similarity : array_like (...)
        Jaccard similarities ``s``, 0 to 1.
    n_bands, n_rows : int
        Bands ``b``, and slots of a band ``r``.

    Returns
    -------
    float64 array (...)
        ``1 - (1 - s**r)**b``.

    Raises
    ------
    TypeError, ValueError
        If a number has the wrong type or is out of range.

    Examples
    --------
    >>> from fastcodes import minhash
    >>> minhash.candidate_probability([0.3, 0.5, 0.7, 0.9], n_bands=20, n_rows=5).round(3)
    array([0.047, 0.47 , 0.975, 1.   ])
    """
    s = np.asarray(similarity)
    if s.dtype.kind not in "biuf":
        raise TypeError(f"similarity must be real numbers from 0 to 1; got an array of dtype {s.dtype}")
    if not np.all((s >= 0) & (s <= 1)):
        raise ValueError(f"similarity has {s[~((s >= 0) & (s <= 1))].flat[0]}; expected numbers from 0 to 1")
    b, r = as_integer(n_bands, "n_bands", 1, MAX_HASHES), as_integer(n_rows, "n_rows", 1, MAX_HASHES)
    return np.asarray(1 - (1 - s.astype(np.float64) ** r) ** b)


def band_shape(
    n_hashes: int, threshold: float, *, weights: tuple[float, float] = (0.1, 0.9)
) -> tuple[int, int]:
    """Choose bands whose S-curve rises at a threshold.

    Parameters
    ----------
    n_hashes : int
        Slots of a signature, ``k``.
    threshold : float
        The Jaccard similarity above which pairs should become candidates, between 0 and 1.
    weights : pair of float
        The weights of false positives, pairs below the threshold that become candidates, and of false
        negatives, pairs above it that do not. By default false negatives weigh more, since candidates are
        cheap to verify.

    Returns
    -------
    n_bands, n_rows : int
        The shape with ``n_bands * n_rows <= k`` that minimizes the weighted sum of the areas below the curve
        up to the threshold and above the curve beyond it.

    Raises
    ------
    TypeError, ValueError
        If a number has the wrong type or is out of range.

    Examples
    --------
    >>> from fastcodes import minhash
    >>> minhash.band_shape(128, 0.8)
    (14, 9)
    >>> minhash.band_shape(128, 0.8, weights=(0.5, 0.5))
    (9, 13)
    """
    k = as_integer(n_hashes, "n_hashes", 1, MAX_HASHES)
    limit = as_real(threshold, "threshold", above=0, below=1)
    try:
        false_positives, false_negatives = (as_real(weight, "weights", at_least=0) for weight in weights)
    except (TypeError, ValueError):
        raise ValueError(f"weights must be two numbers of 0 or more; got {describe(weights)}") from None
    return _least_cost(k, limit, false_positives, false_negatives)


@functools.lru_cache(maxsize=64)
def _least_cost(k: int, limit: float, false_positives: float, false_negatives: float) -> tuple[int, int]:
    """Try all shapes, with areas by the midpoint rule."""
    middles = (np.arange(_POINTS) + 0.5) / _POINTS
    below, above = limit * middles, limit + (1 - limit) * middles
    best = (math.inf, 1, 1)
    for n_rows in range(1, k + 1):
        n_bands = np.arange(1, k // n_rows + 1)[:, None]
        # Powers by logarithms, since many slots have many shapes.
        false = limit * (1 - np.exp(n_bands * np.log1p(-(below**n_rows))).mean(axis=1))
        missed = (1 - limit) * np.exp(n_bands * np.log1p(-(above**n_rows))).mean(axis=1)
        costs = false_positives * false + false_negatives * missed
        least = int(costs.argmin())
        best = min(best, (float(costs[least]), least + 1, n_rows))
    return best[1], best[2]


# --- arguments ----------------------------------------------------------------------------------------------


def _n_bits(n_bits: Any) -> int:
    return as_integer(n_bits, "n_bits", 1, 16)


def _hasher(n_hashes: Any, seed: Any, one_permutation: Any) -> tuple[int, int, bool]:
    return (
        as_integer(n_hashes, "n_hashes", 1, MAX_HASHES),
        as_integer(seed, "seed", 0, 2**64 - 1),
        as_bool(one_permutation, "one_permutation"),
    )


def _shingle_parts(size: Any, unit: Any, lowercase: Any) -> tuple[str, int, bool]:
    kind = as_option(unit, "unit", ("word", "char"))
    return kind, as_integer(size, "size", 1, 1024), as_bool(lowercase, "lowercase")


def _as_tokens(sets: Any, name: str) -> tuple[Tokens, Ids]:
    """Return sets, or tokens and offsets, as tokens and offsets."""
    if isinstance(sets, tuple) and len(sets) == 2 and all(isinstance(part, np.ndarray) for part in sets):
        return _as_arrays(*sets, name)
    return _native.minhash_tokens(as_list(sets, name, "collections of tokens"), 0, 2**63 - 1)


def _as_arrays(tokens: Any, offsets: Any, name: str) -> tuple[Tokens, Ids]:
    return as_vector(tokens, name, "integers, the tokens of all", np.uint64), as_vector(offsets, "offsets")


def _as_row_numbers(rows: Any, name: str) -> Ids:
    return as_vector(rows, name, "integers, the numbers of rows")


def _rows(a: Any, b: Any, n_bits: Any) -> tuple[Codes, Codes, int | None]:
    """Return rows as bytes, and the bits of their slots."""
    if all(isinstance(x, np.ndarray) and x.dtype == np.uint32 for x in (a, b)):
        if n_bits is not None:
            raise ValueError("n_bits is for packed slots; leave it out for signatures of uint32")
        return _bytes_of(a, "a"), _bytes_of(b, "b"), None
    for x, name in ((a, "a"), (b, "b")):
        if not isinstance(x, np.ndarray) or x.dtype not in (np.uint32, np.uint8):
            raise TypeError(
                f"{name} must be a numpy uint32 array (n, n_hashes) of signatures, or a uint8 array "
                f"(n, n_bytes) of packed ones; got {describe(x)}"
            )
    if a.dtype != b.dtype:
        raise TypeError(f"a is of {a.dtype} but b is of {b.dtype}; expected the same dtype")
    if n_bits is None:
        raise ValueError("n_bits is missing: expected the number of bits of packed slots")
    return a, b, _n_bits(n_bits)


def _bytes_of(signatures: Signatures, name: str) -> Codes:
    """View rows as bytes; only the elements of a row have to be contiguous."""
    if signatures.ndim not in (1, 2) or not signatures.shape[-1]:
        raise ValueError(f"{name} must have shape (n, n_hashes); got {signatures.shape}")
    if signatures.strides[-1] != signatures.itemsize:
        signatures = np.ascontiguousarray(signatures)
    return signatures.view(np.uint8)
