"""Wrong environment variables are errors at the first call."""

from __future__ import annotations

import platform

import pytest
from fastcodes import _native
from helpers import run_python

# Levels of this architecture, from the lowest to the highest, whether or not this CPU has them.
IS_ARM = platform.machine().lower() in ("aarch64", "arm64")
LADDER = ["portable", "neon"] if IS_ARM else ["portable", "avx2", "avx512"]
FIRST_CALL = """
import numpy as np
from fastcodes import hamming
codes = np.zeros((3, 8), np.uint8)
for _ in range(2):
    try:
        hamming.knn(codes, codes, 1)
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_levels_are_steps_of_the_ladder() -> None:
    assert _native.levels() == LADDER[: len(_native.levels())]


@pytest.mark.parametrize("value", ["AVX2", "avx1024", "sve", "0", "portable ", "auto", "\udcff"])
def test_an_unknown_level_is_an_error_at_the_first_call(value: str) -> None:
    first, second = run_python(FIRST_CALL, {"FASTCODES_LEVEL": value}).splitlines()
    assert first == second
    assert first.startswith("ValueError FASTCODES_LEVEL: ")
    assert value.encode("utf-8", "replace").decode().replace("?", "") in first
    assert f"expected one of {', '.join(LADDER)}" in first


def test_empty_variables_count_as_unset() -> None:
    code = "from fastcodes import _native; print(_native.level(), _native.threads())"
    empty = {"FASTCODES_LEVEL": "", "FASTCODES_NUM_THREADS": ""}
    unset = run_python(f"import os; [os.environ.pop(name, None) for name in {list(empty)}]; {code}")
    assert run_python(code, empty) == unset


def test_a_level_above_the_cpu_is_an_error_at_the_first_call() -> None:
    above = [name for name in LADDER if name not in _native.levels()]
    if not above:
        pytest.skip("this CPU has every level")
    first = run_python(FIRST_CALL, {"FASTCODES_LEVEL": above[0]}).splitlines()[0]
    assert first.startswith(f'ValueError FASTCODES_LEVEL: the level "{above[0]}"')
    assert _native.levels()[-1] in first


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "two", " 2", "9" * 30, "\udcff"])
def test_a_wrong_number_of_threads_in_the_environment_is_an_error(value: str) -> None:
    first, second = run_python(FIRST_CALL, {"FASTCODES_NUM_THREADS": value}).splitlines()
    assert first == second
    assert first.startswith("ValueError FASTCODES_NUM_THREADS is ")
    assert first.endswith("expected an integer from 1 up")
    assert value.encode("utf-8", "replace").decode().replace("?", "") in first
