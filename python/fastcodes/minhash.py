r"""MinHash: signatures of sets, whose equal slots tell how similar the sets are.

The Jaccard similarity of two sets, ``|a & b| / |a | b|``, is the probability that a random function has its
least value over both at the same element (Broder, 1997). A signature has one slot for each of ``k`` such
functions, so the share of slots in which two signatures agree is an unbiased estimate of the similarity, with
the variance ``J (1 - J) / k``. It is kept in ``4 k`` bytes whatever the size of the set, or in ``k b / 8``
bytes of which `fastcodes.hamming` can search those with one bit a slot.

Sets are lists, sets or other collections of tokens: str, bytes, integers, or arrays of integers; or,
without any Python object for each of them, one array of tokens with the offsets of the sets. A token that
comes twice counts once. The token of a str or bytes is its XXH3 hash of 64 bits (of the UTF-8 form, seed
0), as other libraries compute it; an integer is its own, modulo 2**64.

The functions follow from a seed, and are the same on every machine (all arithmetic is modulo 2**64, or 2**32
for 32 bits)::

    def mix(z):                                            # splitmix64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB
        return z ^ (z >> 31)

    w = mix(seed + np.arange(1, k + 2) * 0x9E3779B97F4A7C15)
    z = mix(tokens ^ w[0])
    high, low = z >> 32, z % 2**32
    slot i is made of the least of   a[j] * high          for i % 32 < 16,   j = 16 * (i // 32) + i % 16
                                     a[j] * high + low    for the others,    a[j] = (w[j + 1] >> 32) | 1

and of that least value plus ``i * 0x9E3779B9`` the slot is the ``fmix32`` of MurmurHash3. `mix` makes random
numbers of tokens that are not, such as 0, 1, 2, ...; odd multipliers permute them; and the low halves, of
which the products know nothing, give each second sixteen slots at the price of an addition. The slots of
the empty set are all ``2**32 - 1``.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fastcodes import _native
from fastcodes._typing import Codes, Signatures, Tokens
from fastcodes._validation import as_output, describe

__all__ = [
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

Offsets = npt.NDArray[np.int64]
Unit = Literal["word", "char"]
Sets = Sequence[Any] | tuple[npt.NDArray[np.integer[Any]], npt.NDArray[np.integer[Any]]]

# Tokens that are taken from Python objects before signatures are made of them: they stay in the
# second-level cache.
_BLOCK = 1 << 16
# Texts that are handed over at a time.
_TEXTS = 1 << 14
# Points at which an S-curve is integrated.
_POINTS = 256


def tokens(sets: Sequence[Any]) -> tuple[Tokens, Offsets]:
    """Turn sets of Python objects into one array of tokens, with offsets.

    Parameters
    ----------
    sets : sequence of collections
        Each a list, set, tuple or other iterable of str, bytes or integers from ``-2**63`` to ``2**64 -
        1``, or a one-dimensional array of integers.

    Returns
    -------
    tokens : uint64 array
        The tokens of all sets, as often as they come.
    offsets : int64 array (n + 1,)
        Those of set ``i`` are ``tokens[offsets[i]:offsets[i + 1]]``.

    Raises
    ------
    TypeError
        If a set or a token is something else. A str is no set: see `shingles`.
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
    return _native.minhash_tokens(_as_list(sets, "sets"), 0, 2**63 - 1)


def shingles(
    texts: Sequence[str], size: int = 3, unit: Unit = "word", *, lowercase: bool = True
) -> tuple[Tokens, Offsets]:
    """Turn texts into sets of shingles: all runs of so many words or characters.

    Parameters
    ----------
    texts : sequence of str
        Any Unicode text.
    size : int
        Words or characters in a shingle, 1 to 1024. A text of fewer is one shingle, and one without any has
        none.
    unit : {"word", "char"}
        Words are runs of letters, digits and underscores, joined by single spaces; all else parts them.
        Characters are Unicode scalar values, where a run of white space counts as one space, and none at
        the ends.
    lowercase : bool
        Whether each character is replaced by its lower case first.

    Returns
    -------
    tokens : uint64 array
        The tokens of all shingles, as often as they come: the XXH3 hash of their UTF-8 form.
    offsets : int64 array (n + 1,)
        Those of text ``i`` are ``tokens[offsets[i]:offsets[i + 1]]``.

    Raises
    ------
    TypeError
        If a text is not a str.
    ValueError
        If `size` or `unit` is something else, or a text has a lone surrogate.

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
    texts = _as_list(texts, "texts")
    parts = _shingle_parts(size, unit, lowercase)
    found = [
        _native.minhash_shingles(texts[start : start + _TEXTS], start, parts)
        for start in range(0, max(len(texts), 1), _TEXTS)
    ]
    if len(found) == 1:
        return found[0]
    ends = np.cumsum([0, *(len(part) for part, _ in found)])
    offsets = [part[1:] + end for (_, part), end in zip(found, ends[:-1], strict=True)]
    return np.concatenate([part for part, _ in found]), np.concatenate([np.zeros(1, np.int64), *offsets])


def signatures(
    sets: Sequence[Any] | npt.NDArray[np.integer[Any]],
    offsets: npt.NDArray[np.integer[Any]] | None = None,
    n_hashes: int = 128,
    seed: int = 0,
    *,
    one_permutation: bool = False,
    out: Signatures | None = None,
    threads: int | None = None,
) -> Signatures:
    """Compute the signatures of sets.

    Parameters
    ----------
    sets : sequence of collections, or integer array
        As `tokens` takes them; or, with `offsets`, the tokens of all sets one after the other, best of
        uint64.
    offsets : integer array (n + 1,), optional
        The tokens of set ``i`` are ``sets[offsets[i]:offsets[i + 1]]``.
    n_hashes : int
        Slots of a signature, 1 to 8192. Fewer are the first of more.
    seed : int
        0 to ``2**64 - 1``. Only signatures of the same seed can be compared.
    one_permutation : bool
        Whether each token is hashed once and meets one slot only, which takes time for tokens plus slots
        and not for their product (Li, Owen and Zhang, 2012). Slots that no token came to borrow from others
        by optimal densification (Shrivastava, 2017). The estimates are unbiased still. Their variance is
        that of `estimate`, or below, for sets of some times `n_hashes` tokens, and larger for smaller ones.
        Fewer slots are not the first of more then.
    out : uint32 array (n, n_hashes), optional
        C-contiguous; receives the result.
    threads : int, optional
        Threads to use at most; None means all CPUs of this process, or as many as the environment variable
        ``FASTCODES_NUM_THREADS`` says; 1 starts none.

    Returns
    -------
    uint32 array (n, n_hashes)
        Row ``i`` is the signature of set ``i``; that of an empty set is ``2**32 - 1`` throughout.

    Raises
    ------
    TypeError
        If `sets` or `offsets` are something else, or a number has the wrong type.
    ValueError
        If offsets do not ascend within the tokens, a number is out of range, or `out` has another shape.

    See Also
    --------
    text_signatures : The same for texts.
    fastcodes.hashing.MinHash : The same as a model that keeps the settings.

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
    The numpy equivalent is in the description of the module.
    """
    hasher = _hasher(n_hashes, seed, one_permutation)
    if offsets is not None:
        return _native.minhash_signatures(*_as_tokens(sets, offsets), hasher, out, threads)
    if isinstance(sets, np.ndarray) and sets.ndim == 1 and sets.dtype != object:
        raise TypeError(
            f"sets must be a sequence of collections; got {describe(sets)}. "
            "Give offsets with an array of tokens: [0, len(sets)] if it is one set"
        )
    given = _as_list(sets, "sets")
    out = _checked_out(out, (len(given), hasher[0]))
    start = 0
    while start < len(given):
        found, ends = _native.minhash_tokens(given, start, _BLOCK)
        stop = start + len(ends) - 1
        _native.minhash_signatures(found, ends, hasher, out[start:stop], threads)
        start = stop
    return out


def text_signatures(
    texts: Sequence[str],
    n_hashes: int = 128,
    seed: int = 0,
    size: int = 3,
    unit: Unit = "word",
    *,
    lowercase: bool = True,
    one_permutation: bool = False,
    out: Signatures | None = None,
    threads: int | None = None,
) -> Signatures:
    """Compute the signatures of the sets of shingles of texts, without keeping the shingles.

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
        Row ``i`` is the signature of text ``i``; that of a text without words is ``2**32 - 1`` throughout.

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
    Equal to ``signatures(*shingles(texts, size, unit), n_hashes, seed)``.
    """
    hasher = _hasher(n_hashes, seed, one_permutation)
    parts = _shingle_parts(size, unit, lowercase)
    given = _as_list(texts, "texts")
    out = _checked_out(out, (len(given), hasher[0]))
    for start in range(0, len(given), _TEXTS):
        block = given[start : start + _TEXTS]
        _native.minhash_text_signatures(block, start, parts, hasher, out[start : start + len(block)], threads)
    return out


def pack(
    signatures: Signatures, n_bits: int, *, out: Codes | None = None, threads: int | None = None
) -> Codes:
    """Keep the lowest bits of each slot: b-bit MinHash (Li and König, 2010).

    Parameters
    ----------
    signatures : uint32 array (n, n_hashes)
        As `signatures` makes them.
    n_bits : int
        Bits of a slot, 1 to 16. With one bit the rows are codes for `fastcodes.hamming`.
    out : uint8 array (n, n_bits * ceil(n_hashes / 8)), optional
        C-contiguous; receives the result.
    threads : int, optional
        As in `signatures`.

    Returns
    -------
    uint8 array (n, n_bits * ceil(n_hashes / 8))
        A row is one plane after the other, the one of the lowest bits first; a plane has a bit for each
        slot in the order of `numpy.packbits`. So slots are compared 64 at a time however many bits they
        have.

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
    return _native.minhash_pack(_as_signatures(signatures, "signatures"), _n_bits(n_bits), out, threads)


def cdist(
    a: Signatures | Codes,
    b: Signatures | Codes,
    n_bits: int | None = None,
    *,
    out: npt.NDArray[np.int32] | None = None,
    threads: int | None = None,
) -> npt.NDArray[np.int32]:
    """Count the slots in which rows of `a` and rows of `b` differ.

    Parameters
    ----------
    a : uint32 array (na, n_hashes), or uint8 array (na, n_bytes)
        Signatures, or packed ones; a one-dimensional array is one row.
    b : array (nb, n_hashes) or (nb, n_bytes)
        The same.
    n_bits : int, optional
        The bits that slots were packed to; None for signatures.
    out : int32 array (na, nb), optional
        C-contiguous; receives the result.
    threads : int, optional
        As in `signatures`.

    Returns
    -------
    int32 array (na, nb)
        ``result[i, j]`` slots differ between ``a[i]`` and ``b[j]``: `estimate` tells what that means. It is
        the Hamming distance over slots, and not over bits: two bits that differ in one slot count once.

    Raises
    ------
    TypeError
        If an array has the wrong dtype.
    ValueError
        If `a` and `b` differ in length, rows do not end with a plane, `n_bits` is missing or out of range, or
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
    i: npt.ArrayLike,
    j: npt.ArrayLike,
    n_bits: int | None = None,
    *,
    threads: int | None = None,
) -> npt.NDArray[np.int32]:
    """Count the slots in which some pairs of rows differ.

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
        As in `cdist`; and if `i` and `j` are not integers, differ in length or name a row that is not there.

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
    return _native.minhash_paired(a, b, _as_rows(i, "i"), _as_rows(j, "j"), bits, threads)


def estimate(
    differing: npt.ArrayLike, n_hashes: int, n_bits: int | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Estimate Jaccard similarities from the number of slots that differ.

    Parameters
    ----------
    differing : array_like of int (...)
        As `cdist` and `paired` count them, or `fastcodes.hamming` for one bit a slot.
    n_hashes : int
        Slots of a signature, ``k``.
    n_bits : int, optional
        The bits that slots were packed to; None for signatures.

    Returns
    -------
    similarity : float64 array (...)
        ``1 - differing / k`` for signatures. Slots of ``b`` bits agree by chance once in ``2**b`` times,
        and the estimate allows for it: ``1 - differing / k / (1 - 2**-b)``. Both are unbiased, hence the
        latter can be below 0.
    error : float64 array (...)
        Their standard errors, with the share ``p`` of slots that agree in place of its expectation:
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
    k = _between(n_hashes, "n_hashes", 1, 8192)
    if counts.size and not (counts.min() >= 0 and counts.max() <= k):
        wrong = counts[(counts < 0) | (counts > k)].flat[0]
        raise ValueError(f"differing has {wrong}; expected numbers of slots from 0 to {k}")
    scale = 1.0 if n_bits is None else 1 - 0.5 ** _n_bits(n_bits)
    share = counts.astype(np.float64) / k
    return 1 - share / scale, np.sqrt(share * (1 - share) / k) / scale


def jaccard(
    a: Sets, b: Sets, i: npt.ArrayLike, j: npt.ArrayLike, *, threads: int | None = None
) -> npt.NDArray[np.float32]:
    """Compute the Jaccard similarity of some pairs of sets, exactly: to verify candidates.

    Parameters
    ----------
    a, b : sequence of collections, or pair of arrays
        Sets as `tokens` takes them, or tokens and offsets as it returns them.
    i, j : array_like of int (n_pairs,)
        Sets of `a` and of `b`.
    threads : int, optional
        As in `signatures`.

    Returns
    -------
    float32 array (n_pairs,)
        ``|a[i[p]] & b[j[p]]| / |a[i[p]] | b[j[p]]|``, rounded once; two empty sets are equal, 1.

    Raises
    ------
    TypeError
        If sets or tokens are something else, or `i` and `j` are not integers.
    ValueError
        If `i` and `j` differ in length or name a set that is not there.

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
    first = _as_sets(a, "a")
    second = first if b is a else _as_sets(b, "b")
    return _native.minhash_jaccard(first, second, _as_rows(i, "i"), _as_rows(j, "j"), threads)


def candidate_probability(similarity: npt.ArrayLike, n_bands: int, n_rows: int) -> npt.NDArray[np.float64]:
    """Return how likely two signatures agree in all slots of a band: the S-curve of banding.

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
    b, r = _between(n_bands, "n_bands", 1, 8192), _between(n_rows, "n_rows", 1, 8192)
    return np.asarray(1 - (1 - s.astype(np.float64) ** r) ** b)


def band_shape(n_hashes: int, threshold: float, weights: tuple[float, float] = (0.1, 0.9)) -> tuple[int, int]:
    """Choose bands whose S-curve rises at a threshold.

    Parameters
    ----------
    n_hashes : int
        Slots of a signature, ``k``.
    threshold : float
        The Jaccard similarity from which on pairs are wanted, between 0 and 1.
    weights : pair of float
        What pairs below the threshold that become candidates weigh, and pairs above it that do not.
        Candidates are cheap to verify and what is missed is lost, hence the default.

    Returns
    -------
    n_bands, n_rows : int
        Those with ``n_bands * n_rows <= k`` for which the weighted sum of the areas under the curve below
        the threshold and above the curve beyond it is least.

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
    k = _between(n_hashes, "n_hashes", 1, 8192)
    limit = _real(threshold, "threshold")
    if not 0 < limit < 1:
        raise ValueError(f"threshold must be between 0 and 1; got {threshold}")
    try:
        false_positives, false_negatives = (_real(weight, "weights") for weight in weights)
    except (TypeError, ValueError):
        raise ValueError(f"weights must be two numbers; got {describe(weights)}") from None
    if not (0 <= false_positives < math.inf and 0 <= false_negatives < math.inf):
        raise ValueError(f"weights must be 0 or more; got {weights}")
    return _least_cost(k, limit, false_positives, false_negatives)


@functools.lru_cache(maxsize=64)
def _least_cost(k: int, limit: float, false_positives: float, false_negatives: float) -> tuple[int, int]:
    """Try all shapes: the areas are sums over the middles of small steps."""
    middles = (np.arange(_POINTS) + 0.5) / _POINTS
    below, above = limit * middles, limit + (1 - limit) * middles
    best = (math.inf, 1, 1)
    for n_rows in range(1, k + 1):
        n_bands = np.arange(1, k // n_rows + 1)[:, None]
        # Powers by logarithms: many slots have many shapes.
        invented = limit * (1 - np.exp(n_bands * np.log1p(-(below**n_rows))).mean(axis=1))
        missed = (1 - limit) * np.exp(n_bands * np.log1p(-(above**n_rows))).mean(axis=1)
        costs = false_positives * invented + false_negatives * missed
        least = int(costs.argmin())
        best = min(best, (float(costs[least]), least + 1, n_rows))
    return best[1], best[2]


# --- arguments ----------------------------------------------------------------------------------------------


def _between(value: Any, name: str, least: int, most: int) -> int:
    limits = f"{name} must be an integer from {least} to {most}"
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{limits}; got {describe(value)}") from None
    if not least <= number <= most:
        raise ValueError(f"{limits}; got {number}")
    return number


def _real(value: Any, name: str) -> float:
    if isinstance(value, (bool, str, bytes)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a real number; got {describe(value)}")
    return float(value)


def _n_bits(n_bits: Any) -> int:
    return _between(n_bits, "n_bits", 1, 16)


def _hasher(n_hashes: Any, seed: Any, one_permutation: Any) -> tuple[int, int, bool]:
    if not isinstance(one_permutation, (bool, np.bool_)):
        raise TypeError(f"one_permutation must be True or False; got {describe(one_permutation)}")
    return (
        _between(n_hashes, "n_hashes", 1, 8192),
        _between(seed, "seed", 0, 2**64 - 1),
        bool(one_permutation),
    )


def _shingle_parts(size: Any, unit: Any, lowercase: Any) -> tuple[str, int, bool]:
    if not isinstance(unit, str) or unit not in ("word", "char"):
        raise ValueError(f'unit must be "word" or "char"; got {describe(unit)}')
    if not isinstance(lowercase, (bool, np.bool_)):
        raise TypeError(f"lowercase must be True or False; got {describe(lowercase)}")
    return unit, _between(size, "size", 1, 1024), bool(lowercase)


def _as_list(values: Any, name: str) -> list[Any]:
    """Return the elements of a sequence, or of another collection that is no text."""
    if isinstance(values, list):
        return values
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        what = "str" if name == "texts" else "collections of tokens"
        raise TypeError(f"{name} must be a list or other sequence of {what}; got {describe(values)}")
    return list(values)


def _as_tokens(tokens: Any, offsets: Any) -> tuple[Tokens, Offsets]:
    arrays = []
    for array, name, dtype in ((tokens, "sets", np.uint64), (offsets, "offsets", np.int64)):
        array = np.asarray(array)
        if not array.size:
            array = array.astype(dtype)
        if array.dtype.kind not in "iu":
            what = "integers, the tokens of all" if name == "sets" else "integers"
            raise TypeError(f"{name} must be {what}; got an array of dtype {array.dtype}")
        if array.ndim != 1:
            raise ValueError(f"{name} must have one dimension; got shape {array.shape}")
        arrays.append(np.require(array, dtype, ["C", "A"]))
    return arrays[0], arrays[1]


def _as_sets(sets: Any, name: str) -> tuple[Tokens, Offsets]:
    if isinstance(sets, tuple) and len(sets) == 2 and all(isinstance(part, np.ndarray) for part in sets):
        return _as_tokens(*sets)
    return tokens(_as_list(sets, name))


def _as_rows(rows: Any, name: str) -> npt.NDArray[np.int64]:
    array = np.asarray(rows)
    if not array.size:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, the numbers of rows; got an array of dtype {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension; got shape {array.shape}")
    return np.require(array, np.int64, ["C", "A"])


def _as_signatures(signatures: Any, name: str) -> Signatures:
    if not isinstance(signatures, np.ndarray) or signatures.dtype != np.uint32:
        raise TypeError(
            f"{name} must be a numpy uint32 array (n, n_hashes) of signatures; got {describe(signatures)}"
        )
    if signatures.ndim != 2 or not signatures.shape[1]:
        raise ValueError(f"{name} must have shape (n, n_hashes); got {signatures.shape}")
    return np.require(signatures, np.uint32, ["C", "A"])


def _checked_out(out: Any, shape: tuple[int, int]) -> Signatures:
    """Return `out`, or a new array: it is filled a block at a time."""
    return as_output(out, shape, np.uint32)


def _rows(a: Any, b: Any, n_bits: Any) -> tuple[Codes, Codes, int | None]:
    """Return the bytes of rows, and the bits of their slots."""
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
        raise ValueError("n_bits is missing: expected the number of bits that slots were packed to")
    return a, b, _n_bits(n_bits)


def _bytes_of(signatures: Signatures, name: str) -> Codes:
    """View rows as bytes, which may lie apart but not have gaps."""
    if signatures.ndim not in (1, 2) or not signatures.shape[-1]:
        raise ValueError(f"{name} must have shape (n, n_hashes); got {signatures.shape}")
    if signatures.strides[-1] != signatures.itemsize:
        signatures = np.ascontiguousarray(signatures)
    return signatures.view(np.uint8)
