"""Signatures, their packed forms, and how many slots of two of them differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes import _native
from fastcodes._typing import Codes, Doubles, Integers, Signatures
from fastcodes._validation import (
    as_array,
    as_bool,
    as_integer,
    as_list,
    as_output,
    as_signatures,
    check_separate,
    describe,
    described,
)
from fastcodes.minhash._sets import TEXTS_PER_BLOCK, Unit, as_arrays, as_row_numbers, shingle_parts

__all__ = ["MAX_HASHES", "cdist", "estimate", "pack", "paired", "signatures", "text_signatures", "union"]

MAX_HASHES = 8192
_EMPTY_SLOT = 2**32 - 1
_GOLDEN = np.uint32(0x9E3779B9)
_FACTORS = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
_INVERSES = tuple(np.uint32(pow(int(factor), -1, 2**32)) for factor in _FACTORS)
# Tokens of Python objects that become signatures at a time: they stay in the second-level cache.
_TOKENS_PER_BLOCK = 1 << 16


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
        0 to ``2**64 - 1``. Only signatures with the same seed can be compared. It is the `random_state` of
        `fastcodes.hashing.MinHash`.
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
        if isinstance(sets, (list, tuple)) and len(sets) and not isinstance(sets[0], (int, np.integer)):
            raise TypeError(
                f"sets must be integers, the tokens of all sets, if there are offsets; got {describe(sets)}. "
                "Leave offsets out for a sequence of collections"
            )
        check_separate(out, sets, "sets")
        return _native.minhash_signatures(*as_arrays(sets, offsets, "sets"), hasher, out, threads)
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
    parts = shingle_parts(size, unit, lowercase)
    given = as_list(texts, "texts", "str")
    result: Signatures = as_output(out, (len(given), hasher[0]), np.uint32)
    for start in range(0, len(given), TEXTS_PER_BLOCK):
        rows = slice(start, start + TEXTS_PER_BLOCK)
        _native.minhash_text_signatures(given[rows], start, parts, hasher, result[rows], threads)
    return result


def union(a: ArrayLike, b: ArrayLike) -> Signatures:
    """Compute the signatures of unions of sets from the signatures of the sets.

    Parameters
    ----------
    a, b : array_like of uint32 (n, n_hashes)
        Signatures with the same seed, not made with `one_permutation`, whose empty slots are filled from
        others.

    Returns
    -------
    uint32 array (n, n_hashes)
        Row ``i`` is the signature of the union of set ``i`` of `a` and set ``i`` of `b`, equal to that which
        `signatures` computes from its tokens.

    Raises
    ------
    TypeError
        If an array is not of uint32.
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import minhash
    >>> a, b = minhash.signatures([["a", "b"]]), minhash.signatures([["b", "c"]])
    >>> np.array_equal(minhash.union(a, b), minhash.signatures([["a", "b", "c"]]))
    True

    Notes
    -----
    A slot is a minimum that `fmix32` has mixed, so that any of its bits can be kept by `pack`. The union has
    the smaller minimum, not the smaller slot: ``np.minimum(a, b)`` is not its signature.
    """
    first, second = as_signatures(a, "a"), as_signatures(b, "b")
    if first.shape != second.shape:
        raise ValueError(f"a has shape {first.shape} but b has {second.shape}; expected equal shapes")
    united = _mixed(np.minimum(_minima(first), _minima(second)))
    for given, other in ((first, second), (second, first)):
        is_empty = (given == _EMPTY_SLOT).all(axis=1)
        united[is_empty] = other[is_empty]
    return united


def _mixed(minima: Signatures) -> Signatures:
    """Return slots from minima, as the description of the module defines them."""
    h = minima + np.arange(minima.shape[1], dtype=np.uint32) * _GOLDEN
    h = (h ^ h >> np.uint32(16)) * _FACTORS[0]
    h = (h ^ h >> np.uint32(13)) * _FACTORS[1]
    return np.asarray(h ^ h >> np.uint32(16))


def _minima(slots: Signatures) -> Signatures:
    """Return the minima of slots: the inverse of `_mixed`."""
    h = (slots ^ slots >> np.uint32(16)) * _INVERSES[1]
    h = (h ^ h >> np.uint32(13) ^ h >> np.uint32(26)) * _INVERSES[0]
    h = h ^ h >> np.uint32(16)
    return np.asarray(h - np.arange(slots.shape[1], dtype=np.uint32) * _GOLDEN)


def pack(
    signatures: ArrayLike, n_bits: int, *, out: Codes | None = None, threads: int | None = None
) -> Codes:
    """Keep the lowest bits of each slot: b-bit MinHash (Li and König, 2010).

    Parameters
    ----------
    signatures : array_like of uint32 (n, n_hashes)
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
    check_separate(out, signatures, "signatures")
    return _native.minhash_pack(as_signatures(signatures), _n_bits(n_bits), out, threads)


def cdist(
    a: ArrayLike,
    b: ArrayLike,
    *,
    n_bits: int | None = None,
    out: NDArray[np.int32] | None = None,
    threads: int | None = None,
) -> NDArray[np.int32]:
    """Count the slots in which rows of `a` and rows of `b` differ.

    Parameters
    ----------
    a : array_like of uint32 (na, n_hashes), or uint8 array (na, n_bytes)
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
    check_separate(out, a, "a")
    check_separate(out, b, "b")
    a, b, bits = _rows(a, b, n_bits)
    return _native.minhash_cdist(a, b, bits, out, threads)


def paired(
    a: ArrayLike,
    b: ArrayLike,
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
    return _native.minhash_paired(a, b, as_row_numbers(i, "i"), as_row_numbers(j, "j"), bits, threads)


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
    counts = as_array(differing, "differing")
    if counts.dtype.kind not in "iu" and counts.size:
        raise TypeError(f"differing must be integers; got an array of dtype {counts.dtype}")
    k = as_integer(n_hashes, "n_hashes", 1, MAX_HASHES)
    if counts.size and not (counts.min() >= 0 and counts.max() <= k):
        wrong = counts[(counts < 0) | (counts > k)].flat[0]
        raise ValueError(f"differing has {wrong}; expected numbers of slots from 0 to {k}")
    scale = 1.0 if n_bits is None else 1 - 0.5 ** _n_bits(n_bits)
    share = counts.astype(np.float64) / k
    return 1 - share / scale, np.sqrt(share * (1 - share) / k) / scale


def _n_bits(n_bits: Any) -> int:
    return as_integer(n_bits, "n_bits", 1, 16)


def _hasher(n_hashes: Any, seed: Any, one_permutation: Any) -> tuple[int, int, bool]:
    return (
        as_integer(n_hashes, "n_hashes", 1, MAX_HASHES),
        as_integer(seed, "seed", 0, 2**64 - 1),
        as_bool(one_permutation, "one_permutation"),
    )


def _rows(a: Any, b: Any, n_bits: Any) -> tuple[Codes, Codes, int | None]:
    """Return rows as bytes, and the bits of their slots."""
    rows = as_array(a, "a"), as_array(b, "b")
    if all(x.dtype == np.uint32 for x in rows):
        if n_bits is not None:
            raise ValueError("n_bits is for packed slots; leave it out for signatures of uint32")
        return _bytes_of(rows[0], "a"), _bytes_of(rows[1], "b"), None
    for x, given, name in zip(rows, (a, b), ("a", "b"), strict=True):
        if x.dtype not in (np.uint32, np.uint8):
            raise TypeError(
                f"{name} must be a numpy uint32 array (n, n_hashes) of signatures, or a uint8 array "
                f"(n, n_bytes) of packed ones; got {described(x, given)}"
            )
    if rows[0].dtype != rows[1].dtype:
        raise TypeError(f"a is of {rows[0].dtype} but b is of {rows[1].dtype}; expected the same dtype")
    if n_bits is None:
        raise ValueError("n_bits is missing: expected the number of bits of packed slots")
    return *rows, _n_bits(n_bits)


def _bytes_of(signatures: Signatures, name: str) -> Codes:
    """View rows as bytes; only the elements of a row have to be contiguous."""
    if signatures.ndim not in (1, 2) or not signatures.shape[-1]:
        raise ValueError(f"{name} must have shape (n, n_hashes); got {signatures.shape}")
    if signatures.strides[-1] != signatures.itemsize:
        signatures = np.ascontiguousarray(signatures)
    return signatures.view(np.uint8)
