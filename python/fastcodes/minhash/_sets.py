"""Sets as arrays of tokens with offsets, and their exact similarity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _native
from fastcodes._typing import Floats, Ids, Integers, Tokens
from fastcodes._validation import as_bool, as_integer, as_list, as_option, as_vector

__all__ = [
    "TEXTS_PER_BLOCK",
    "Sets",
    "Unit",
    "as_arrays",
    "as_row_numbers",
    "jaccard",
    "shingle_parts",
    "shingles",
    "tokens",
]

Unit = Literal["word", "char"]
Sets = Sequence[Any] | tuple[Integers, Integers]

# Texts that are hashed at a time.
TEXTS_PER_BLOCK = 1 << 14


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
        separate them, so scripts without spaces between words need "char". Characters are Unicode scalar
        values; a run of white space counts as one space, and is dropped at the ends.
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
    parts = shingle_parts(size, unit, lowercase)
    found = [
        _native.minhash_shingles(texts[start : start + TEXTS_PER_BLOCK], start, parts)
        for start in range(0, max(len(texts), 1), TEXTS_PER_BLOCK)
    ]
    if len(found) == 1:
        return found[0]
    ends = np.cumsum([0, *(len(part) for part, _ in found)])
    offsets = [part[1:] + end for (_, part), end in zip(found, ends[:-1], strict=True)]
    return np.concatenate([part for part, _ in found]), np.concatenate([np.zeros(1, np.int64), *offsets])


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
    return _native.minhash_jaccard(first, second, as_row_numbers(i, "i"), as_row_numbers(j, "j"), threads)


def shingle_parts(size: Any, unit: Any, lowercase: Any) -> tuple[str, int, bool]:
    kind = as_option(unit, "unit", ("word", "char"))
    return kind, as_integer(size, "size", 1, 1024), as_bool(lowercase, "lowercase")


def _as_tokens(sets: Any, name: str) -> tuple[Tokens, Ids]:
    """Return sets, or tokens and offsets, as tokens and offsets."""
    if isinstance(sets, tuple) and len(sets) == 2 and all(isinstance(part, np.ndarray) for part in sets):
        return as_arrays(*sets, name)
    return _native.minhash_tokens(as_list(sets, name, "collections of tokens"), 0, 2**63 - 1)


def as_arrays(tokens: Any, offsets: Any, name: str) -> tuple[Tokens, Ids]:
    return as_vector(tokens, name, "integers, the tokens of all", np.uint64), as_vector(offsets, "offsets")


def as_row_numbers(rows: Any, name: str) -> Ids:
    return as_vector(rows, name, "integers, the numbers of rows")
