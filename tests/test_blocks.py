"""Blocks of rows, and random samples of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes import _blocks

X = np.random.default_rng(3).normal(size=(103, 7))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "uint8", ">f4"])
@pytest.mark.parametrize("width", [1, 30])
def test_blocks_are_all_rows_in_order(dtype: Any, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_blocks, "ELEMENTS_PER_BLOCK", 100)
    x = (10 * np.abs(X)).astype(dtype)
    for check in (True, False):
        parts = list(_blocks.blocks(x, width=width, check=check))
        assert np.array_equal(np.concatenate([block for _, block in parts]), x.astype(np.float32))
        assert [rows.start for rows, _ in parts] == [0, *(rows.stop for rows, _ in parts[:-1])]
        for rows, block in parts:
            assert block.dtype == np.float32
            assert block.flags.c_contiguous
            assert len(block) == rows.stop - rows.start <= 100 // max(width, 7)


def test_a_kernel_error_names_the_value_that_is_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_blocks, "ELEMENTS_PER_BLOCK", 100)
    wrong = X.copy()
    wrong[57, 3] = np.inf
    with (
        pytest.raises(ValueError, match=r"queries has inf in row 57, column 3, which is not finite"),
        _blocks.naming_nonfinite(wrong, "queries"),
    ):
        raise ValueError("the kernel met a value")
    with pytest.raises(ValueError, match="another error"), _blocks.naming_nonfinite(X):
        raise ValueError("another error")
    with pytest.raises(KeyError), _blocks.naming_nonfinite(wrong):
        raise KeyError


def test_samples_are_distinct_rows_in_order() -> None:
    rng = np.random.default_rng(0)
    rows = _blocks.sampled_rows(len(X), 40, rng)
    assert isinstance(rows, np.ndarray)
    assert (np.diff(rows) > 0).all()
    assert len(rows) == 40
    assert np.array_equal(_blocks.take_rows(X, rows), X[rows].astype(np.float32))
    same = _blocks.sample(X, 40, np.random.default_rng(0))
    assert np.array_equal(same, X[rows].astype(np.float32))
    for all_of_them in (None, 103, 1000):
        assert np.array_equal(_blocks.sample(X, all_of_them, rng), X.astype(np.float32))


def test_a_sample_smaller_than_the_model_needs_is_refused() -> None:
    with pytest.raises(ValueError, match="max_samples must be an integer from 5 up; got 4"):
        _blocks.sample(X, 4, np.random.default_rng(0), at_least=5)
