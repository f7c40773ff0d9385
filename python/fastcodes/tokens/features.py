"""Counts and sets of tokens, to recognize and to search pictures by, and how evenly codewords are used."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastcodes._typing import Array, Codes, Floats, Ids
from fastcodes._validation import as_bool, as_integer, as_list
from fastcodes.tokens._grids import as_tokens

__all__ = ["perplexity", "token_bits", "token_histograms"]

_MOST_CODEWORDS = 1 << 16
_MOST_COLUMNS = 1 << 24


def token_histograms(tokens: Any, n_codewords: int, *, cells: tuple[int, int] = (1, 1)) -> Floats:
    """Count the tokens of pictures, for classifiers and searches: a bag of visual words.

    Parameters
    ----------
    tokens : array_like of int (n, rows, columns) or (n, rows, columns, n_codebooks)
        Grids of tokens, as `VQVAE.encode` returns them.
    n_codewords : int
        Values of a token, K.
    cells : tuple of int
        Rows and columns of cells into which a grid is divided; each has its own counts. ``(1, 1)`` counts
        over the picture, and cells of one token each are the one-hot encoding of the grid.

    Returns
    -------
    float32 array (n, cell rows * cell columns * n_codebooks * K)
        The fraction of the tokens of a cell that have each value: those of a cell and codebook add up to 1.

    Raises
    ------
    TypeError
        If tokens are not integers.
    ValueError
        If they have another shape, one is not below `n_codewords`, or there are more cells than tokens.

    Notes
    -----
    Equal to ``(tokens.reshape(n, -1, 1) == np.arange(K)).mean(axis=1)`` for one cell and codebook. Sivic and
    Zisserman, *Video Google*, ICCV 2003; cells as in Lazebnik, Schmid and Ponce, *Beyond bags of features*,
    CVPR 2006.

    Examples
    --------
    >>> from fastcodes import tokens
    >>> tokens.token_histograms([[[0, 1], [1, 3]]], 4)
    array([[0.25, 0.5 , 0.  , 0.25]], dtype=float32)
    >>> tokens.token_histograms([[[0, 1], [1, 3]]], 4, cells=(2, 1))
    array([[0.5, 0.5, 0. , 0. , 0. , 0.5, 0. , 0.5]], dtype=float32)
    """
    grids, n_codewords = _as_grids(tokens, n_codewords)
    n, rows, columns, n_codebooks = grids.shape
    sides = [as_integer(side, "cells", 1) for side in as_list(cells, "cells", "two integers")]
    if len(sides) != 2 or sides[0] > rows or sides[1] > columns:
        raise ValueError(f"cells must be (rows, columns) up to {(rows, columns)}; got {tuple(sides)}")
    y = np.arange(rows) * sides[0] // rows
    x = np.arange(columns) * sides[1] // columns
    cell = (y[:, None] * sides[1] + x)[..., None] * n_codebooks + np.arange(n_codebooks)
    n_columns = sides[0] * sides[1] * n_codebooks * n_codewords
    _check_columns(n_columns)
    histograms = np.zeros((n, n_columns), np.float32)
    sizes = np.bincount(cell.reshape(-1)).repeat(n_codewords)
    for i, grid in enumerate(grids):
        numbers = (cell * n_codewords + grid).reshape(-1)
        histograms[i] = np.bincount(numbers, minlength=n_columns) / sizes
    return histograms


def token_bits(tokens: Any, n_codewords: int, *, positions: bool = False) -> Codes:
    """Return which tokens occur in pictures, as packed bits: `fastcodes.jaccard` searches by their overlap.

    Parameters
    ----------
    tokens : array_like of int (n, rows, columns) or (n, rows, columns, n_codebooks)
        Grids of tokens, as `VQVAE.encode` returns them.
    n_codewords : int
        Values of a token, K.
    positions : bool
        Whether a token at another place of the grid is another one.

    Returns
    -------
    uint8 array (n, n_bytes)
        Rows of ``n_codebooks * K`` bits, with `positions` times the places of a grid, padded with zeros:
        bit ``k`` says whether codeword ``k`` occurs.

    Raises
    ------
    TypeError
        If tokens are not integers, or `positions` is not a boolean.
    ValueError
        If they have another shape, or one is not below `n_codewords`.

    See Also
    --------
    fastcodes.minhash : Signatures of the same sets, for many pictures.

    Examples
    --------
    >>> from fastcodes import jaccard, tokens
    >>> grids = [[[0, 1], [1, 3]], [[0, 1], [1, 2]], [[2, 2], [2, 2]]]
    >>> codes = tokens.token_bits(grids, 4)
    >>> jaccard.cdist(codes[:1], codes)
    array([[0. , 0.5, 1. ]], dtype=float32)
    """
    grids, n_codewords = _as_grids(tokens, n_codewords)
    n, rows, columns, n_codebooks = grids.shape
    n_places = rows * columns if as_bool(positions, "positions") else 1
    n_bits = n_places * n_codebooks * n_codewords
    _check_columns(n_bits)
    place = np.arange(n_places * n_codebooks).reshape(-1, n_codebooks)
    present = np.zeros((n, -(-n_bits // 8)), np.uint8)
    numbers = (place * n_codewords + grids.reshape(n, rows * columns, n_codebooks)).reshape(
        n, rows * columns * n_codebooks
    )
    row = np.arange(n)[:, None]
    # Bits of one byte are set one after the other.
    np.bitwise_or.at(present, (row, numbers >> 3), (128 >> (numbers & 7)).astype(np.uint8))
    return present


def perplexity(tokens: Any, n_codewords: int) -> float:
    r"""Return the number of equally frequent codewords that would have the entropy of the tokens.

    :math:`2^{H}` with :math:`H = -\sum_k p_k \log_2 p_k`, where :math:`p_k` is the fraction of tokens with
    the value k: K if all are equally frequent, 1 if there is only one. Give the tokens of pictures that the
    model was not trained on.

    Parameters
    ----------
    tokens : array_like of int (n, rows, columns) or (n, rows, columns, n_codebooks)
        Grids of tokens, at least one.
    n_codewords : int
        Values of a token, K.

    Returns
    -------
    float
        Of several codebooks, the geometric mean.

    Raises
    ------
    TypeError
        If tokens are not integers.
    ValueError
        If they have another shape, one is not below `n_codewords`, or there are none.

    Examples
    --------
    >>> from fastcodes import tokens
    >>> tokens.perplexity([[[0, 1], [2, 3]]], 8)
    4.0
    """
    grids, n_codewords = _as_grids(tokens, n_codewords)
    if not len(grids):
        raise ValueError("tokens is empty; the perplexity needs at least one grid")
    entropies = []
    for book in range(grids.shape[3]):
        counts: Ids = np.bincount(grids[..., book].reshape(-1).astype(np.int64), minlength=n_codewords)
        p = counts[counts > 0] / counts.sum()
        entropies.append(-float(p @ np.log2(p)))
    return math.pow(2, math.fsum(entropies) / len(entropies))


def _as_grids(tokens: Any, n_codewords: int) -> tuple[Array, int]:
    """Return tokens as int64 (n, rows, columns, n_codebooks), and the number of their values."""
    n_codewords = as_integer(n_codewords, "n_codewords", 1, _MOST_CODEWORDS)
    return as_tokens(tokens, n_codewords).astype(np.int64), n_codewords


def _check_columns(n: int) -> None:
    if n > _MOST_COLUMNS:
        raise ValueError(f"tokens would have {n} columns; expected at most {_MOST_COLUMNS}: use fewer cells")
