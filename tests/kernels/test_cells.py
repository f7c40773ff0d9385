"""Cells of symbols and the quantizer that fills them: against a slow oracle, and with wrong arguments."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from fastcodes import _native

N_TABLES = 5
ZERO = 127


def made_tables(seed: int = 0) -> tuple[Any, Any]:
    """Return frequencies of numbers around zero, narrow and wide, and the operand of the kernels."""
    rng = np.random.default_rng(seed)
    frequencies = np.zeros((N_TABLES, 256), np.uint32)
    for table, row in enumerate(frequencies):
        width = 1 + 2 * table
        counts = np.exp(-abs(np.arange(-width, width + 1)) / (0.3 + table)) + 0.01 * rng.random(2 * width + 1)
        row[ZERO - width : ZERO + width + 1] = np.maximum(counts / counts.sum() * 65536, 1)
        row[ZERO] += 65536 - row.sum()
    return frequencies, _native.EntropyTables(frequencies)


FREQUENCIES, TABLES = made_tables()


def random_symbols(which: Any, seed: int = 0) -> Any:
    """Return symbols that their tables have, as often as these say."""
    rng = np.random.default_rng(seed)
    sums = FREQUENCIES.cumsum(axis=1)
    places = rng.integers(0, 65536, which.shape)
    return (places[..., None] >= sums[which]).sum(axis=-1).astype(np.uint8)


@pytest.mark.parametrize("n", [0, 1, 255, 256, 257])
@pytest.mark.parametrize("n_columns", [1, 2, 60])
def test_symbols_come_back_from_their_cells(n: int, n_columns: int) -> None:
    which = np.random.default_rng(1).integers(0, N_TABLES, (n, n_columns), np.uint8)
    symbols = random_symbols(which)
    cells, lengths = _native.entropy_encode_cells(symbols, which, TABLES, 80, None)
    assert cells.shape == (n, 80)
    bits = -np.log2(FREQUENCIES[which, symbols] / 65536).sum(axis=1)
    assert (lengths <= bits / 8 + 1 + 0.01 * n_columns).all()
    for threads in (1, 3):
        again = _native.entropy_encode_cells(symbols, which, TABLES, 80, threads)
        assert np.array_equal(again[0], cells)
        found, is_whole = _native.entropy_decode_cells(cells, which, TABLES, threads)
        assert np.array_equal(found, symbols)
        assert is_whole.all()
    for cell, length in zip(cells, lengths, strict=True):
        assert not cell[length:].any()
    # The first columns need no other tables.
    first = _native.entropy_decode_cells(cells, which[:, :1].copy(), TABLES, None)[0]
    assert np.array_equal(first, symbols[:, :1])


def test_messages_that_do_not_fit_leave_zeros() -> None:
    which = np.full((4, 200), N_TABLES - 1, np.uint8)
    symbols = random_symbols(which)
    cells, lengths = _native.entropy_encode_cells(symbols, which, TABLES, 10, None)
    assert (lengths > 10).all()
    assert not cells.any()


def test_altered_cells_are_mostly_noticed_and_read_something() -> None:
    which = np.full((500, 40), 3, np.uint8)
    symbols = random_symbols(which)
    cells, _ = _native.entropy_encode_cells(symbols, which, TABLES, 40, None)
    altered = cells.copy()
    altered[np.arange(500), np.arange(500) % 12] ^= 1 << (np.arange(500) % 8).astype(np.uint8)
    found, is_whole = _native.entropy_decode_cells(altered, which, TABLES, None)
    assert (FREQUENCIES[3, found] > 0).all()
    assert not (is_whole & (found == symbols).all(axis=1)).any()
    assert is_whole.mean() < 0.5
    noise = np.random.default_rng(0).integers(0, 256, (500, 40), np.uint8)
    assert not _native.entropy_decode_cells(noise, which, TABLES, None)[1].all()


def least_error(values: Any, steps: Any, which: Any, budget: float) -> float:
    """Return the least squared error of all combinations of two near symbols that fit."""
    choices = []
    for value, step, table in zip(values, steps, which[1:], strict=True):
        near = {int(np.floor(value / step)), int(np.ceil(value / step)), 0}
        choices.append([
            ((value - step * q) ** 2, 16 - np.log2(FREQUENCIES[table, q + ZERO]))
            for q in near if FREQUENCIES[table, q + ZERO]
        ])  # fmt: skip
    combined = (np.sum(one, axis=0) for one in itertools.product(*choices))
    return min((error for error, bits in combined if bits <= budget), default=np.inf)


def test_rows_are_quantized_nearly_as_well_as_possible() -> None:
    rng = np.random.default_rng(3)
    centers = np.tile(np.arange(256, dtype=np.float32) - ZERO, (N_TABLES + 1, 1))
    n, n_columns = 40, 7
    which = np.array([[0, 1, 2, 3, 4, 4, 3, 2], [0, 0, 1, 1, 2, 2, 1, 0]], np.uint8)
    modes = np.zeros((N_TABLES + 1, 256), np.uint32)
    modes[:N_TABLES] = FREQUENCIES
    modes[N_TABLES, :2] = 32768
    which[:, 0] = N_TABLES
    tables = _native.EntropyTables(modes)
    steps = np.repeat([[1.0], [2.5]], n_columns, axis=1).astype(np.float32)
    values = (rng.laplace(size=(n, n_columns)) * 2).astype(np.float32)
    for n_bytes in (2, 3, 5):
        symbols, slopes = _native.entropy_quantize(values, steps, which, centers, tables, n_bytes, None)
        assert (slopes > 0).all()
        assert np.array_equal(
            symbols, _native.entropy_quantize(values, steps, which, centers, tables, n_bytes, 1)[0]
        )
        chosen = which[symbols[:, 0]]
        assert (_native.entropy_encode_cells(symbols, chosen, tables, n_bytes, None)[1] <= n_bytes).all()
        decoded = steps[symbols[:, 0]] * (symbols[:, 1:].astype(float) - ZERO)
        errors = ((values - decoded) ** 2).sum(axis=1)
        best = np.array([
            min(least_error(row, step, own, 8 * n_bytes - 1) for step, own in zip(steps, which, strict=True))
            for row in values
        ])  # fmt: skip
        assert errors.mean() < 1.15 * best.mean()
        assert (errors < 2 * best + 1).all()


QUANTIZE: dict[str, Any] = {
    "values": np.zeros((3, 2), np.float32),
    "steps": np.ones((1, 2), np.float32),
    "which": np.zeros((1, 3), np.uint8),
    "centers": np.zeros((N_TABLES, 256), np.float32),
    "tables": TABLES,
    "n_bytes": 4,
    "threads": None,
}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("values", np.zeros((3, 2), np.float16)),
        ("values", np.full((3, 2), np.nan, np.float32)),
        ("values", np.zeros((3, 2))),
        ("steps", np.zeros((1, 2), np.float32)),
        ("steps", np.full((1, 2), np.inf, np.float32)),
        ("steps", np.ones((2, 2), np.float32)),
        ("which", np.full((1, 3), N_TABLES, np.uint8)),
        ("which", np.zeros((0, 3), np.uint8)),
        ("which", np.zeros((300, 3), np.uint8)),
        ("centers", np.zeros((1, 256), np.float32)),
        ("centers", np.full((N_TABLES, 256), np.nan, np.float32)),
        ("n_bytes", 0),
        ("threads", 0),
    ],
)
def test_wrong_arguments_of_the_quantizer(name: str, wrong: Any) -> None:
    arguments = {**QUANTIZE, "which": np.full((1, 3), 0, np.uint8), name: wrong}
    with pytest.raises((TypeError, ValueError), match=name):
        _native.entropy_quantize(*arguments.values())


def test_wrong_arguments_of_cells() -> None:
    which, symbols = np.zeros((2, 3), np.uint8), np.full((2, 3), ZERO, np.uint8)
    cells = _native.entropy_encode_cells(symbols, which, TABLES, 4, None)[0]
    for call, message in (
        (lambda: _native.entropy_encode_cells(symbols, which[:1], TABLES, 4, None), "which"),
        (lambda: _native.entropy_encode_cells(symbols, which + np.uint8(9), TABLES, 4, None), "which"),
        (lambda: _native.entropy_encode_cells(symbols + np.uint8(9), which, TABLES, 4, None), "symbols"),
        (lambda: _native.entropy_encode_cells(symbols[:, :0], which[:, :0], TABLES, 4, None), "which"),
        (lambda: _native.entropy_encode_cells(symbols, which, TABLES, 0, None), "n_bytes"),
        (lambda: _native.entropy_decode_cells(cells, which[:1], TABLES, None), "which"),
        (lambda: _native.entropy_decode_cells(cells[:, :0], which, TABLES, None), "n_bytes"),
        (lambda: _native.entropy_decode_cells(cells, which + np.uint8(9), TABLES, None), "which"),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=message):
            call()
