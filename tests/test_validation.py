"""The shared validation of arguments: what is accepted, and the errors of everything else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes import _validation as validation


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), True + 2])
def test_integers_of_any_type_are_accepted(value: Any) -> None:
    assert validation.as_integer(value, "k", 1, 3) == 3
    assert type(validation.as_integer(value, "k")) is int


@pytest.mark.parametrize(
    ("value", "limits", "error", "message"),
    [
        (2.0, (1,), TypeError, "k must be an integer from 1 up; got 2.0 of type float"),
        ("2", (), TypeError, "k must be an integer; got '2' of type str"),
        (0, (1,), ValueError, "k must be an integer from 1 up; got 0"),
        (9, (1, 8), ValueError, "k must be an integer from 1 to 8; got 9"),
        (2**70, (0, 8), ValueError, f"k must be an integer from 0 to 8; got {2**70}"),
    ],
)
def test_wrong_integers(value: Any, limits: tuple[int, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        validation.as_integer(value, "k", *limits)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "limits", "error", "message"),
    [
        ("1", {}, TypeError, "p must be a real number that is finite; got '1' of type str"),
        (True, {"at_least": 0}, TypeError, "p must be a real number at least 0; got True of type bool"),
        (np.nan, {}, ValueError, "p must be a real number that is finite; got nan"),
        (np.inf, {"above": 0}, ValueError, "p must be a real number above 0; got inf"),
        (0, {"above": 0, "below": 1}, ValueError, "p must be a real number above 0 and below 1; got 0"),
        (2, {"above": 0, "at_most": 1}, ValueError, "p must be a real number above 0 and at most 1; got 2"),
    ],
)
def test_wrong_real_numbers(value: Any, limits: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        validation.as_real(value, "p", **limits)
    assert str(caught.value) == message


def test_limits_of_real_numbers_are_inclusive_or_exclusive() -> None:
    for value in (1, 1.0, np.float32(1), np.int8(1)):
        assert validation.as_real(value, "p", at_least=1, at_most=1) == 1.0
        for limits in ({"above": 1}, {"below": 1}):
            with pytest.raises(ValueError, match="p must be"):
                validation.as_real(value, "p", **limits)


@pytest.mark.parametrize(
    ("options", "expected"),
    [(["a"], '"a"'), (["a", "b"], '"a" or "b"'), (["a", "b", "c"], '"a", "b" or "c"')],
)
@pytest.mark.parametrize("value", ["d", None, ["a"], 3])
def test_options(options: list[str], expected: str, value: Any) -> None:
    assert validation.as_option("a", "kind", options) == "a"
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        validation.as_option(value, "kind", options)
    assert str(caught.value).startswith(f"kind must be {expected}; got ")


def test_a_value_is_described_in_a_few_words() -> None:
    assert validation.describe(np.zeros((2, 3))) == "an array of float64 and shape (2, 3)"
    assert len(validation.describe("x" * 10**6)) < 100
    assert len(validation.describe(list(range(10**5)))) < 100


def test_one_query_is_a_row() -> None:
    queries = validation.as_queries([1, 2, 3], 3, "Model")
    assert queries.shape == (1, 3)
    assert queries.dtype == np.float32
    with pytest.raises(ValueError, match="queries has 2 features, but Model is expecting 3 features"):
        validation.as_queries([1, 2], 3, "Model")
    with pytest.raises(ValueError, match="queries has nan in row 1, column 2, which is not finite"):
        validation.as_queries([[1, 2, 3], [1, 2, np.nan]], 3, "Model")
    with pytest.raises(ValueError, match=r"queries has 1e\+300 in row 0, column 0, which is too large"):
        validation.as_queries([1e300, 0, 0], 3, "Model")


def test_out_is_returned_or_refused() -> None:
    out = np.zeros((2, 3), np.int32)
    assert validation.as_output(out, (2, 3), np.int32) is out
    assert validation.as_output(None, (2, 3), np.int32).shape == (2, 3)
    read_only = np.zeros((2, 3), np.int32)
    read_only.flags.writeable = False
    with pytest.raises(TypeError, match="out must be a numpy array of int32; got an array of float64"):
        validation.as_output(np.zeros((2, 3)), (2, 3), np.int32)
    for wrong in (out.T.copy(), np.zeros((3, 2), np.int32).T, read_only, np.zeros((2, 6), np.int32)[:, ::2]):
        with pytest.raises(ValueError, match=r"out must be a C-contiguous, aligned and writeable array"):
            validation.as_output(wrong, (2, 3), np.int32)
    with pytest.raises(ValueError, match="out shares memory with x"):
        validation.as_output(out, (2, 3), np.int32, out[:1], "x")
