"""CodeCompressor and CompressedRows: what they save, rows read alone, files, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes.coding import CodeCompressor, CompressedRows, NotFittedError
from fastcodes.quantization import ProductQuantizer
from helpers import data_file

RNG = np.random.default_rng(0)
CODES = (np.cumsum(RNG.integers(0, 9, (3000, 12)), axis=1) % 100).astype(np.uint8)


@pytest.mark.parametrize("context", ["previous", "none"])
@pytest.mark.parametrize("rows_per_block", [1, 16, 64, 100_000])
def test_rows_are_read_as_numpy_reads_them(context: str, rows_per_block: int) -> None:
    codec = CodeCompressor(context, n_symbols=100, rows_per_block=rows_per_block).fit(CODES)
    rows = codec.compress(CODES)
    assert len(rows) == 3000
    assert rows.shape == CODES.shape
    wanted: list[Any] = [
        0, -1, np.int64(1717), slice(None), slice(2, 9), slice(None, None, -7), slice(5, 2), [5, -3, 5], [],
        np.arange(3000)[::-1], CODES[:, 0] == 3,
    ]  # fmt: skip
    for which in wanted:
        assert np.array_equal(rows[which], CODES[which])
        assert np.array_equal(rows.take(which, threads=1), rows[which])


def test_blocks_take_their_code_length() -> None:
    codec = CodeCompressor(n_symbols=100).fit(CODES[:2000])
    bits = codec.bits(CODES[2000:])
    for rows_per_block, waste in ((1, 8), (16, 0.6)):
        codec.set_params(rows_per_block=rows_per_block)
        rows = codec.compress(CODES[2000:])
        assert bits.sum() <= 8 * rows._data.nbytes <= bits.sum() + waste * 1000
        assert rows.nbytes == rows._data.nbytes + rows._places.nbytes
    # One step of nine has log2(9) bits. The sums of steps differ more, above all in the last columns.
    entropy = 12 * np.log2(9)
    assert entropy < bits.mean() < entropy + 5
    assert CodeCompressor("none", n_symbols=100).fit(CODES).bits(CODES).mean() > entropy + 15


def test_product_quantized_sift_takes_an_eighth_less() -> None:
    data = np.load(data_file("sift_photos_u8.npz"))
    learn, base = data["learn"][:20_000].astype(np.float32), data["base"][:30_000].astype(np.float32)
    codes = ProductQuantizer(16, random_state=0).fit(learn).encode(base)
    codec = CodeCompressor().fit(codes[:25_000])
    rows = codec.compress(codes[25_000:])
    assert 8 * rows._data.nbytes / 5000 < 116  # 113 with 80,000 rows: see the benchmark
    assert np.array_equal(rows[:], codes[25_000:])


@pytest.mark.parametrize("mmap", [False, True])
def test_files_hold_the_model(tmp_path: Path, mmap: bool) -> None:
    path = tmp_path / "rows"
    codec = CodeCompressor(n_symbols=128, rows_per_block=7).fit(CODES)
    codec.compress(CODES).save(path)
    rows = CompressedRows.load(path, mmap=mmap, verify=mmap)
    assert np.array_equal(rows[:], CODES)
    assert isinstance(rows._data, np.ndarray)
    codec.save(tmp_path / "model")
    again = CodeCompressor.load(tmp_path / "model")
    assert again.get_params() == codec.get_params()
    assert again.compress(CODES)._data.tobytes() == codec.compress(CODES)._data.tobytes()
    with pytest.raises(ValueError, match="holds a CompressedRows"):
        CodeCompressor.load(path)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="was altered"):
        CompressedRows.load(path, mmap=mmap, verify=mmap)


@pytest.mark.parametrize("n_symbols", [1, 2, 256])
def test_any_number_of_symbols(n_symbols: int) -> None:
    codes = RNG.integers(0, n_symbols, (40, 3), np.uint8)
    rows = CodeCompressor(n_symbols=n_symbols).fit(codes).compress(codes)
    assert np.array_equal(rows[:], codes)
    assert len(CodeCompressor(n_symbols=n_symbols).fit(codes).compress(codes[:0])) == 0


def test_errors_say_what_to_do() -> None:
    codec = CodeCompressor(n_symbols=100)
    with pytest.raises(NotFittedError):
        codec.compress(CODES)
    codec.fit(CODES)
    rows = codec.compress(CODES)
    for wrong, kind, words in (
        (3000, IndexError, "there are 3000 rows"),
        ([-3001], IndexError, "-3001"),
        ("a", TypeError, "integer"),
        (np.ones(5, bool), IndexError, r"shape \(3000,\)"),
        (1.5, TypeError, "integer"),
        ([[1]], TypeError, "a slice or a list"),
    ):
        with pytest.raises(kind, match=words):
            rows[wrong]
    for codes, words in (
        (CODES[:, :3], r"\(n, 12\)"),
        (CODES + np.uint8(100), "below 100"),
        (CODES.astype(np.int32), "uint8"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            codec.compress(codes)
    for params, words in (
        ({"context": "next"}, '"none" or "previous"'),
        ({"n_symbols": 257}, "from 1 to 256"),
        ({"rows_per_block": 0}, "from 1"),
    ):
        with pytest.raises(ValueError, match=words):
            CodeCompressor(**params).fit(CODES)
    with pytest.raises(ValueError, match="at least one row"):
        codec.fit(CODES[:0])
