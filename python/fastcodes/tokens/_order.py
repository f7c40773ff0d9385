"""Which tokens a token is predicted from, and the order in which these allow tokens to be coded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from fastcodes._typing import Array, Ids

__all__ = ["LEFT", "RIGHT", "TOP", "contexts_of", "neighbors_of", "wave_index", "waves"]

Context: TypeAlias = tuple[int, int, int]

# (rows up, columns right, codebook): what was decoded before a token, if rows are walked with a lag of two.
_NEIGHBORS = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))
TOP, LEFT, RIGHT = 2, 2, 1  # margins of a grid, outside of which there are no neighbours


def contexts_of(book: int, n_codebooks: int) -> list[Context]:
    """Return the neighbours of a token of a codebook."""
    found = [(dy, dx, book) for dy, dx in _NEIGHBORS]
    found += [(0, 0, other) for other in range(book)]
    found += [(dy, dx, other) for dy, dx in _NEIGHBORS[:2] for other in range(n_codebooks) if other != book]
    return found


def neighbors_of(grids: Array, book: int, n_codewords: int) -> tuple[Array, Ids]:
    """Return the neighbours of all tokens of a codebook (n_tokens, n_neighbors), and the tokens."""
    n, rows, columns, n_codebooks = grids.shape
    margins = ((0, 0), (TOP, 0), (LEFT, RIGHT), (0, 0))
    padded = np.pad(grids.astype(np.int32), margins, constant_values=n_codewords)
    contexts = np.stack(
        [
            padded[:, TOP + dy : TOP + dy + rows, LEFT + dx : LEFT + dx + columns, m]
            for dy, dx, m in contexts_of(book, n_codebooks)
        ],
        axis=3,
    )
    labels: Ids = grids[..., book].astype(np.int64).reshape(-1)
    return contexts.reshape(n * rows * columns, contexts.shape[3]), labels


def waves(rows: int, columns: int) -> Iterator[Ids]:
    """Yield the positions (row, column) with the same column + 2 * row: all their neighbours come before."""
    for number in range(columns + 2 * (rows - 1)):
        first = max(0, -(-(number - columns + 1) // 2))
        y = np.arange(first, min(rows - 1, number // 2) + 1)
        if len(y):  # a single column has none of every other number
            yield np.stack([y, number - 2 * y], axis=1)


def wave_index(wave: Ids, shape: tuple[int, ...]) -> Ids:
    """Return where the tokens of a wave are in a flat grid: codebook by codebook."""
    _, _, columns, n_codebooks = shape
    positions = (wave[:, 0] * columns + wave[:, 1]) * n_codebooks
    return (np.arange(n_codebooks)[:, None] + positions).reshape(-1)
