"""Coefficients in cells of a fixed number of bytes, each row in the mode that suits it best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fastcodes import _files, _native
from fastcodes._typing import Array, Codes, Doubles, Floats, Ids
from fastcodes.quantization import KMeans

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Modes"]

_ZERO = 127  # the symbol of zero
_N_SYMBOLS = 256
_TOTAL = 1 << 16  # the sum of the frequencies of a table
_MOST_TABLES = 255  # and one for the modes
_CENTER_SCALE = 256
# Rows for each mode, so that its laws can be estimated.
_ROWS_PER_MODE = 200
_MOST_MODES = 64
_N_PASSES = 5
_TABLE_PASSES = 12
# The slope of error against bits, in squared steps a bit, for which steps are chosen.
_LAMBDA = 0.14
# The largest coefficient, in steps of a mode.
_LARGEST = 20_000
_ROWS_PER_BLOCK = 4096


class Modes:
    """Laws of the coefficients of rows, of several kinds of rows.

    A mode has a step, by which coefficients are quantized, and a table of frequencies for each coefficient.
    A coefficient that is too large for 127 steps of the mode has a multiple of the step.
    Which mode a row has is the first symbol of its cell. Modes are fitted as the clusters of k-means are:
    each row goes to the mode in which its cell has the least error, and the laws are those of its rows.

    Parameters
    ----------
    steps : float32 array (n_modes,)
        The step of each mode.
    multiples : uint8 array (n_modes, n_coefficients)
        How many of them the step of a coefficient is.
    which : uint8 array (n_modes, 1 + n_coefficients)
        The table of the modes, and those of the coefficients.
    frequencies : uint16 array (n_tables, 256)
        Of 65536, how probable each symbol is: 127 is zero.
    centers : int8 array (n_tables, 256)
        What is added to the number of a symbol when it is decoded, in 1/256 of a step.
    """

    def __init__(
        self, steps: Floats, multiples: Codes, which: Codes, frequencies: Array, centers: Array
    ) -> None:
        self.steps, self.multiples, self.which = steps, multiples, which
        self.frequencies, self.centers = frequencies, centers

    def __getstate__(self) -> dict[str, Array]:
        return self.to_arrays()

    @cached_property
    def tables(self) -> _native.EntropyTables:
        return _native.EntropyTables(np.ascontiguousarray(self.frequencies, np.uint32))

    @property
    def all_steps(self) -> Floats:
        """The step of each coefficient in each mode."""
        return self.steps[:, None] * self.multiples

    @cached_property
    def levels(self) -> Floats:
        """What the symbols of each table stand for, in steps."""
        levels: Floats = (np.arange(_N_SYMBOLS) - _ZERO + self.centers / _CENTER_SCALE).astype(np.float32)
        return levels

    @classmethod
    def fit(cls, values: Floats, n_bytes: int, rng: np.random.Generator, threads: int | None) -> Self:
        """Return modes for rows of coefficients (n, n_coefficients) in cells of `n_bytes` bytes."""
        n, least = len(values), float(np.abs(values).max()) / _LARGEST
        labels = _kinds(values, min(max(n // _ROWS_PER_MODE, 1), _MOST_MODES), rng, threads)
        n_modes = int(labels.max()) + 1
        steps = np.array([_first_step(values[labels == mode], 8 * n_bytes) for mode in range(n_modes)])
        steps = np.maximum(steps, least)
        multiples = _multiples(values, labels, steps)
        all_steps = steps[:, None] * multiples
        symbols = np.empty((n, 1 + values.shape[1]), np.uint8)
        symbols[:, 0] = labels
        for rows in _row_blocks(n):
            symbols[rows, 1:] = _dead_zone(values[rows] / all_steps[labels[rows]]) + _ZERO
        modes = cls._of(values, symbols, all_steps, steps, multiples)
        for left in reversed(range(_N_PASSES)):
            symbols, lambdas = modes.quantize(values, n_bytes, threads)
            used, labels = np.unique(symbols[:, 0], return_inverse=True)
            symbols[:, 0] = labels
            all_steps, steps, multiples = modes.all_steps[used], modes.steps[used], modes.multiples[used]
            if left:  # laws are nearly those of the new steps; the last pass makes them exact
                # Rows that hardly fit have very large slopes.
                logarithms = np.log(np.clip(lambdas / _LAMBDA, 1 / 4, 4))
                steps = steps * np.exp(np.bincount(labels, logarithms) / np.bincount(labels) / 4)
                steps = np.maximum(steps, least)
                multiples = np.maximum(multiples, _multiples(values, labels, steps))
            modes = cls._of(values, symbols, all_steps, steps, multiples)
        modes._check_room(n_bytes)
        return modes

    def _check_room(self, n_bytes: int) -> None:
        """Raise an error unless there is a mode in which any row fits."""
        least = -np.log2(self.frequencies.max(axis=1) / _TOTAL)
        of_modes = -np.log2(self.frequencies[self.which[0, 0], : len(self.steps)] / _TOTAL)
        needed = (least[self.which[:, 1:]].sum(axis=1) + of_modes).min()
        if needed > 8 * n_bytes - 4:
            raise ValueError(f"n_bytes={n_bytes} are too few: some pictures need {needed / 8:.0f}")

    @classmethod
    def _of(cls, values: Floats, symbols: Codes, all_steps: Array, steps: Array, multiples: Codes) -> Self:
        """Return the modes of rows that were quantized with given steps of coefficients."""
        n, n_coefficients = values.shape
        n_modes, modes = len(steps), symbols[:, 0].astype(np.int64)
        counts = np.zeros((n_modes * n_coefficients, _N_SYMBOLS), np.int64)
        columns = np.arange(n_coefficients)
        for rows in _row_blocks(n):
            places = (modes[rows, None] * n_coefficients + columns) * _N_SYMBOLS + symbols[rows, 1:]
            counts += np.bincount(places.reshape(-1), minlength=counts.size).reshape(counts.shape)
        which, frequencies = _clustered(counts)
        which = which.reshape(n_modes, n_coefficients)
        sums = np.zeros(len(frequencies) * _N_SYMBOLS)
        numbers = np.zeros_like(sums)
        for rows in _row_blocks(n):
            places = (which[modes[rows]] * _N_SYMBOLS + symbols[rows, 1:]).reshape(-1)
            offsets = values[rows] / all_steps[modes[rows]] - (symbols[rows, 1:].astype(np.float64) - _ZERO)
            sums += np.bincount(places, offsets.reshape(-1), len(sums))
            numbers += np.bincount(places, minlength=len(sums))
        centers = np.rint(sums / np.maximum(numbers, 1) * _CENTER_SCALE).reshape(-1, _N_SYMBOLS)
        of_modes = np.zeros(_N_SYMBOLS, np.int64)
        of_modes[:n_modes] = np.bincount(modes, minlength=n_modes)
        frequencies = np.vstack([frequencies, _frequencies(of_modes[None].astype(np.float64))])
        table = np.full((n_modes, 1), len(frequencies) - 1)
        return cls(
            steps.astype(np.float32),
            multiples,
            np.hstack([table, which]).astype(np.uint8),
            frequencies.astype(np.uint16),
            np.clip(np.vstack([centers, np.zeros((1, _N_SYMBOLS))]), -127, 127).astype(np.int8),
        )

    def quantize(self, values: Floats, n_bytes: int, threads: int | None) -> tuple[Codes, Floats]:
        """Return the symbols of rows and the slopes of their choices."""
        steps, which, levels = map(np.ascontiguousarray, (self.all_steps, self.which, self.levels))
        return _native.entropy_quantize(values, steps, which, levels, self.tables, n_bytes, threads)

    def encode(self, values: Floats, n_bytes: int, threads: int | None) -> Codes:
        """Return the cells uint8 (n, n_bytes) of rows of coefficients."""
        symbols, _ = self.quantize(values, n_bytes, threads)
        which = self.which[symbols[:, 0]]
        return _native.entropy_encode_cells(symbols, which, self.tables, n_bytes, threads)[0]

    def decode(self, codes: Codes, threads: int | None, number: int = 0) -> Doubles:
        """Return the coefficients float64 (n, n_coefficients) of cells, the first of which has a number."""
        first = np.broadcast_to(self.which[:1, :1], (len(codes), 1)).copy()
        symbols, _ = _native.entropy_decode_cells(codes, first, self.tables, threads)
        modes = np.minimum(symbols[:, 0], len(self.steps) - 1)
        which = self.which[modes]
        symbols, is_whole = _native.entropy_decode_cells(codes, which, self.tables, threads)
        is_whole &= symbols[:, 0] == modes  # the tables have room for modes that do not exist
        if not is_whole.all():
            row = number + int(is_whole.argmin())
            raise ValueError(
                f"codes has no code of this model in row {row}: it was altered, or belongs to another model"
            )
        places = which.astype(np.intp) * _N_SYMBOLS + symbols
        levels: Doubles = self.levels.astype(np.float64).reshape(-1)[places[:, 1:]]
        levels *= self.all_steps[modes]
        return levels

    def to_arrays(self) -> dict[str, Array]:
        return {
            "steps": self.steps,
            "multiples": self.multiples,
            "which": self.which,
            "frequencies": self.frequencies,
            "centers": self.centers,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], n_bytes: int, n_coefficients: int) -> Self:
        """Return the modes of arrays of a file, or raise a ValueError."""
        steps = _files.take(arrays, "steps", np.float32, ("modes",), finite=True)
        if not 1 <= len(steps) <= _N_SYMBOLS or steps.min() <= 0:
            raise ValueError(f"steps are {len(steps)} numbers; expected 1 to {_N_SYMBOLS} positive ones")
        multiples = _files.take(arrays, "multiples", np.uint8, (len(steps), n_coefficients))
        if not multiples.all():
            raise ValueError("multiples has 0; expected positive numbers")
        which = _files.take(arrays, "which", np.uint8, (len(steps), 1 + n_coefficients))
        frequencies = _files.take(arrays, "frequencies", np.uint16, ("tables", _N_SYMBOLS))
        if which.max() >= len(frequencies):
            raise ValueError(f"which has the table {which.max()}; there are {len(frequencies)}")
        centers = _files.take(arrays, "centers", np.int8, frequencies.shape)
        modes = cls(steps, multiples, which, frequencies, centers)
        modes.tables  # noqa: B018  # checks the frequencies
        modes._check_room(n_bytes)
        return modes


def _row_blocks(n: int) -> Iterator[slice]:
    for start in range(0, n, _ROWS_PER_BLOCK):
        yield slice(start, min(start + _ROWS_PER_BLOCK, n))


def _kinds(values: Floats, n_kinds: int, rng: np.random.Generator, threads: int | None) -> Ids:
    """Return a kind for each row: rows of one kind have like energies in all bands of coefficients."""
    if n_kinds == 1:
        return np.zeros(len(values), np.int64)
    bands = np.unique(np.geomspace(1, values.shape[1], 16).astype(int)) - 1
    energies = np.add.reduceat(values.astype(np.float32) ** 2, bands, axis=1)
    features = np.log(energies + 1e-3 * energies.mean(axis=0) + 1e-9)
    kinds = KMeans(n_kinds, random_state=int(rng.integers(2**31))).fit_predict(features, threads=threads)
    return np.unique(kinds, return_inverse=True)[1].astype(np.int64)


def _dead_zone(numbers: Array) -> Array:
    """Return integers near numbers, nearer to zero than the nearest."""
    integers = np.sign(numbers) * np.floor(np.abs(numbers) + 0.4)
    clipped: Ids = np.clip(integers, -_ZERO, _ZERO).astype(np.int64)
    return clipped


def _multiples(values: Floats, labels: Ids, steps: Doubles) -> Codes:
    """Return by how much the step of each coefficient is multiplied, so that nearly all have symbols."""
    largest = [np.quantile(np.abs(values[labels == mode]), 0.99, axis=0) for mode in range(len(steps))]
    multiples: Codes = np.clip(np.ceil(np.array(largest) / (100 * steps[:, None])), 1, 255).astype(np.uint8)
    return multiples


def _first_step(values: Floats, n_bits: int) -> float:
    """Return the step at which the entropy of coefficients, each by itself, is a number of bits."""
    values = values[:2000]
    low, high = 0.5, 4096.0
    columns = np.arange(values.shape[1]) * _N_SYMBOLS + _ZERO
    for _ in range(12):
        step = float(np.sqrt(low * high))
        places = (_dead_zone(values / step) + columns).reshape(-1)
        shares = np.bincount(places, minlength=values.shape[1] * _N_SYMBOLS) / len(values)
        shares = shares[shares > 0]
        if -(shares * np.log2(shares)).sum() > n_bits:
            low = step
        else:
            high = step
    return high


def _frequencies(counts: Doubles) -> Ids:
    """Return frequencies that add up to 65536 of counts: positive from before the first to after the last."""
    used = counts > 0
    first = np.maximum(used.argmax(axis=1) - 1, 0)
    last = np.minimum(_N_SYMBOLS - used[:, ::-1].argmax(axis=1), _N_SYMBOLS - 2)
    symbols = np.arange(_N_SYMBOLS)
    has = (symbols >= first[:, None]) & (symbols <= last[:, None])
    smoothed = np.where(has, counts + 0.25, 0)
    smoothed /= smoothed.sum(axis=1, keepdims=True)
    frequencies = np.where(has, np.maximum(np.floor(smoothed * _TOTAL), 1), 0).astype(np.int64)
    rows = np.arange(len(counts))
    frequencies[rows, frequencies.argmax(axis=1)] += _TOTAL - frequencies.sum(axis=1)
    return frequencies


def _clustered(counts: Ids) -> tuple[Ids, Ids]:
    """Return a table for each row of counts, and the frequencies of at most 255 tables: k-means of laws."""
    n = np.maximum(counts.sum(axis=1), 1)
    shares = counts / n[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        entropies = -np.where(counts > 0, shares * np.log2(shares), 0).sum(axis=1)
    n_tables = min(_MOST_TABLES, len(counts))
    order = np.argsort(entropies, kind="stable")
    tables = np.empty(len(counts), np.int64)
    tables[order] = np.arange(len(counts)) * n_tables // len(counts)
    used = np.flatnonzero(counts.any(axis=0))
    used = np.arange(used[0], used[-1] + 1) if len(used) else np.arange(_ZERO, _ZERO + 1)
    numbers = counts[:, used].astype(np.float32)
    for _ in range(_TABLE_PASSES):
        _, tables = np.unique(tables, return_inverse=True)
        pooled = np.zeros((tables.max() + 1, len(used)))
        np.add.at(pooled, tables, numbers)
        smoothed = pooled + 0.25
        bits = -np.log2(smoothed / smoothed.sum(axis=1, keepdims=True)).astype(np.float32)
        tables = (numbers @ bits.T).argmin(axis=1)
    _, tables = np.unique(tables, return_inverse=True)
    pooled = np.zeros((tables.max() + 1, _N_SYMBOLS))
    np.add.at(pooled, tables, counts.astype(np.float64))
    return tables, _frequencies(pooled)
