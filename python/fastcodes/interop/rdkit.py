"""Fingerprints of RDKit as codes, and their similarities.

A code has the bits of a fingerprint in the order of `fastcodes.bits.pack`: bit 0 is the highest of byte 0.
(RDKit's own ``BitVectToBinaryText`` puts it lowest.) `fastcodes.jaccard` searches such codes, by Tanimoto and
Tversky distances; its distances are ``1 - similarity``. Two things differ:

- **Fingerprints without bits.** RDKit calls the similarity of two of them 0, `fastcodes.jaccard` their
  distance. `tanimoto` and `tversky` follow RDKit.
- **Rounding.** Distances are float32 there; similarities here are float64, the same as those of RDKit.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from fastcodes import bits, hamming
from fastcodes._typing import Codes, Doubles
from fastcodes._validation import as_integer, as_list, as_real, code_array, describe

__all__ = ["from_rdkit", "tanimoto", "to_rdkit", "tversky"]

Fingerprints: TypeAlias = Any  # of RDKit, one or a sequence; or codes

_REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)), bitorder="little")
_MOST_BITS = 1 << 24
_OBJECTS = np.dtype(object)
_FINGERPRINTS = "a bit vector of RDKit (ExplicitBitVect or SparseBitVect) or a sequence of them"


def from_rdkit(fingerprints: Any) -> Codes:
    """Convert fingerprints to codes.

    Parameters
    ----------
    fingerprints : ExplicitBitVect, SparseBitVect, or a sequence of them
        With the same number of bits.

    Returns
    -------
    uint8 array (n, ceil(n_bits / 8)), or (ceil(n_bits / 8),) for one fingerprint
        Bit ``j`` of a fingerprint is bit ``7 - j % 8`` of byte ``j // 8``; bits beyond `n_bits` are zero.

    Raises
    ------
    ImportError
        If RDKit is not installed.
    TypeError
        If something is not a bit vector: the message names the first one.
    ValueError
        If they differ in bits, or there are none.

    See Also
    --------
    to_rdkit : The inverse.

    Notes
    -----
    ::

        from rdkit.Chem import rdFingerprintGenerator
        from fastcodes import jaccard
        from fastcodes.interop.rdkit import from_rdkit

        generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
        codes = from_rdkit(generator.GetFingerprints(molecules))
        distances, indices = jaccard.knn(codes[:10], codes, k=5)  # similarities are 1 - distances
    """
    return _from_rdkit(fingerprints, "fingerprints", _data_structs())


def _from_rdkit(fingerprints: Any, name: str, rdkit: ModuleType) -> Codes:
    kinds = (rdkit.ExplicitBitVect, rdkit.SparseBitVect)
    if isinstance(fingerprints, kinds):
        code: Codes = _from_rdkit([fingerprints], name, rdkit)[0]
        return code
    rows = as_list(fingerprints, name, "bit vectors of RDKit")
    if not rows:
        raise ValueError(
            f"{name} is empty; expected {_FINGERPRINTS}, since their bits are not known otherwise"
        )
    for number, row in enumerate(rows):
        if not isinstance(row, kinds):
            advice = "" if row is None else "; counts are no bits: generate them by GetFingerprint"
            raise TypeError(f"{name} must be {_FINGERPRINTS}; got {describe(row)} in place {number}{advice}")
        if row.GetNumBits() != rows[0].GetNumBits():
            raise ValueError(
                f"{name} has {row.GetNumBits()} bits in place {number}, and {rows[0].GetNumBits()} in place "
                "0; expected the same number"
            )
    if not 1 <= rows[0].GetNumBits() <= _MOST_BITS:
        raise ValueError(
            f"{name} has {rows[0].GetNumBits()} bits; expected 1 to {_MOST_BITS}: GetFingerprint folds them"
        )
    text = b"".join(map(rdkit.BitVectToBinaryText, rows))
    codes: Codes = _REVERSED[np.frombuffer(text, np.uint8)]
    return codes.reshape(len(rows), -1)


def to_rdkit(codes: Any, n_bits: int | None = None) -> list[Any]:
    """Convert codes to fingerprints.

    Parameters
    ----------
    codes : array_like of uint8 (n, n_bytes)
        Packed bits; a one-dimensional array is one code.
    n_bits : int, optional
        Bits of each fingerprint; all bits of the bytes by default.

    Returns
    -------
    list of ExplicitBitVect
        One for each code.

    Raises
    ------
    ImportError
        If RDKit is not installed.
    TypeError
        If `codes` has another dtype, or `n_bits` is not an integer.
    ValueError
        If `codes` has another shape, or does not have ``ceil(n_bits / 8)`` bytes.

    See Also
    --------
    from_rdkit : The inverse.
    """
    rdkit = _data_structs()
    rows = np.atleast_2d(code_array(codes, "codes"))
    if rows.ndim != 2 or not rows.shape[1]:
        raise ValueError(f"codes must have shape (n, n_bytes) and at least 1 byte; got {rows.shape}")
    n_bytes = rows.shape[1]
    n = 8 * n_bytes if n_bits is None else as_integer(n_bits, "n_bits", 8 * n_bytes - 7, 8 * n_bytes)
    if n % 8 == 0:
        return [rdkit.CreateFromBinaryText(row.tobytes()) for row in _REVERSED[rows]]
    digits = bits.unpack(rows, n) + np.uint8(ord("0"))
    return [rdkit.CreateFromBitString(row.tobytes().decode()) for row in digits]


def tanimoto(queries: Fingerprints, fingerprints: Fingerprints, *, threads: int | None = None) -> Doubles:
    """Compute the Tanimoto similarities of all queries and all fingerprints.

    Parameters
    ----------
    queries : ExplicitBitVect, SparseBitVect, a sequence of them, or array_like of uint8 (nq, n_bytes)
        Fingerprints, or codes. A column of pandas is a sequence.
    fingerprints : a sequence of bit vectors, or array_like of uint8 (n, n_bytes)
        Likewise.
    threads : int, optional
        The largest number of threads; None means all CPUs of this process, or the number in the environment
        variable ``FASTCODES_NUM_THREADS``; 1 starts none.

    Returns
    -------
    float64 array (nq, n), or (n,) for one query that is not in a sequence
        ``common / (a + b - common)``, where ``a`` and ``b`` are the numbers of ones; 0 for two without any.

    Raises
    ------
    ImportError
        If an argument is not an array, and RDKit is not installed.
    TypeError, ValueError
        As `from_rdkit`, or if queries and fingerprints differ in bytes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits
    >>> from fastcodes.interop.rdkit import tanimoto
    >>> codes = bits.pack(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]))
    >>> tanimoto(codes[0], codes)
    array([1.        , 0.66666667, 0.        ])

    Notes
    -----
    For one query equal, to the bit, to ``DataStructs.BulkTanimotoSimilarity(query, fingerprints)``. For the
    nearest ones alone, or those within a radius, see `fastcodes.jaccard`, which does not store all results.
    """
    return _similarities(queries, fingerprints, 1.0, 1.0, threads)


def tversky(
    queries: Fingerprints,
    fingerprints: Fingerprints,
    *,
    alpha: float,
    beta: float,
    threads: int | None = None,
) -> Doubles:
    """Compute the Tversky similarities of all queries and all fingerprints.

    Parameters
    ----------
    queries, fingerprints
        As in `tanimoto`.
    alpha, beta : float
        The weights of the ones that only the query, or only the fingerprint has, from 0 to 1.
    threads : int, optional
        As in `tanimoto`.

    Returns
    -------
    float64 array (nq, n), or (n,) for one query that is not in a sequence
        ``common / (alpha * a + beta * b + (1 - alpha - beta) * common)``, with `common`,
        ``a`` and ``b`` as in `tanimoto`. Where the denominator is 0: 0 if one of the two has no ones, or 1.

    Raises
    ------
    ImportError, TypeError, ValueError
        As `tanimoto`, or if a weight is not a number from 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits
    >>> from fastcodes.interop.rdkit import tversky
    >>> codes = bits.pack(np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]))
    >>> tversky(codes[1], codes, alpha=1.0, beta=0.0)  # the share of the query's ones
    array([1., 1., 0.])

    Notes
    -----
    For one query equal, to the bit, to
    ``DataStructs.BulkTverskySimilarity(query, fingerprints, alpha, beta)``.
    """
    weights = (as_real(alpha, "alpha", at_least=0, at_most=1), as_real(beta, "beta", at_least=0, at_most=1))
    return _similarities(queries, fingerprints, *weights, threads)


def _similarities(
    queries: Fingerprints, fingerprints: Fingerprints, alpha: float, beta: float, threads: int | None
) -> Doubles:
    given, rows = _as_codes(queries, "queries"), np.atleast_2d(_as_codes(fingerprints, "fingerprints"))
    if given.shape[-1] != rows.shape[-1]:
        raise ValueError(f"queries have {given.shape[-1]} bytes, but fingerprints have {rows.shape[-1]}")
    numbers = _n_bits(queries), _n_bits(fingerprints)
    if None not in numbers and numbers[0] != numbers[1]:
        raise ValueError(f"queries have {numbers[0]} bits, but fingerprints have {numbers[1]}")
    differing = hamming.cdist(given, rows, threads=threads)
    a, b = bits.popcount(given, threads=threads), bits.popcount(rows, threads=threads)
    ones, others = np.atleast_1d(a).astype(np.float64)[:, None], b.astype(np.float64)
    common = ones + others
    common -= differing
    common /= 2
    # In the order of RDKit, so that the rounding is the same.
    total = alpha * ones + beta * others
    total += (1 - alpha - beta) * common
    undefined = ((ones > 0) & (others > 0)).astype(np.float64)
    found: Doubles = np.divide(common, total, out=undefined, where=total != 0)
    return found[0] if given.ndim == 1 else found


def _holds_objects(x: Any) -> bool:
    """Whether this is a list or a tuple, or a column of objects such as a Series of pandas."""
    return isinstance(x, (list, tuple)) or (getattr(x, "dtype", None) == _OBJECTS and np.ndim(x) == 1)


def _n_bits(x: Any) -> int | None:
    """Return the bits of fingerprints; codes have padding, and do not say."""
    first: Any = next(iter(x), None) if _holds_objects(x) else x
    return first.GetNumBits() if hasattr(first, "GetNumBits") else None


def _as_codes(x: Any, name: str) -> Codes:
    is_list = _holds_objects(x) and not isinstance(next(iter(x), None), (bytes, int, list, tuple))
    if is_list or hasattr(x, "GetNumBits"):
        return _from_rdkit(x, name, _data_structs())
    codes = code_array(x, name)
    if codes.ndim not in (1, 2) or not codes.shape[-1]:
        raise ValueError(f"{name} must have shape (n, n_bytes) and at least 1 byte; got shape {codes.shape}")
    return codes


def _data_structs() -> ModuleType:
    try:
        from rdkit import DataStructs
    except ImportError as error:
        raise ImportError("fastcodes.interop.rdkit needs RDKit: pip install rdkit") from error
    module: ModuleType = DataStructs
    return module
