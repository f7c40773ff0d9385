"""Arguments of fastcodes.xnor that depend on each other, and unusual ones."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from contract.cases.xnor import COLUMNS, FILTERS, FILTERS_OF_BYTES, IMAGES, RIGHT, ROWS
from contract.kit import odd_address, outputs
from fastcodes import xnor
from helpers import random_codes


def call(function: str, arguments: dict[str, Any]) -> Any:
    return getattr(xnor, function)(**arguments)


FINISHED = ("matmul", "bitserial_matmul", "byte_matmul", "conv2d", "byte_conv2d")


def test_ways_to_finish_exclude_each_other() -> None:
    for name in ("scale", "bias"):
        with pytest.raises(ValueError, match=r"^thresholds make bits, scale and bias make floats; give one"):
            xnor.Finish(thresholds=0, **{name: 1.0})
        with pytest.raises(ValueError, match=r"^flips invert the bits.* give thresholds too"):
            xnor.Finish(flips=True, **{name: 1.0})
    with pytest.raises(ValueError, match=r"^flips invert the bits.* give thresholds too"):
        xnor.Finish(flips=True)


def test_scale_and_bias_are_for_the_same_columns() -> None:
    with pytest.raises(ValueError, match=r"^scale has 3 elements but bias has 2; expected equal lengths"):
        xnor.Finish(scale=[1, 2, 3], bias=[1, 2])


@pytest.mark.parametrize("function", FINISHED)
def test_outputs_are_of_the_kind_that_is_asked_for(function: str) -> None:
    dots = call(function, RIGHT[function])
    in_bytes = (*dots.shape[:-1], dots.shape[-1] // 8 + (dots.shape[-1] % 8 > 0))
    bits_out, floats_out = outputs(np.uint8, in_bytes, np.int8), outputs(np.float32, dots.shape, np.int32)
    for finish, wrongs in ((xnor.Finish(thresholds=0), bits_out), (xnor.Finish(bias=1), floats_out)):
        for wrong in wrongs:
            with pytest.raises(wrong.error, match=r"^out must be ") as caught:
                call(function, RIGHT[function] | {"finish": finish, "out": wrong.value})
            assert wrong.given in str(caught.value), wrong.label
            assert wrong.expected in str(caught.value), wrong.label


@pytest.mark.parametrize("n_features", [16_513, 80_000])
def test_sums_that_may_not_fit_are_refused(n_features: int) -> None:
    x = xnor.planes(np.full((1, n_features), 255, np.uint8), 8)
    with pytest.raises(ValueError, match=f"{n_features} numbers.*longer than 16512 can overflow int32"):
        xnor.bitserial_matmul(x, x, n_features, b_signed=False)
    most = np.ascontiguousarray(x[..., : 16_512 // 8])
    assert xnor.bitserial_matmul(most, most, 16_512, b_signed=False) == 16_512 * 255**2


def test_sums_of_bytes_that_may_not_fit_are_refused() -> None:
    most = 2**30 // 256 // 6
    ones = np.full((1, 6), 0b1111_1100, np.uint8)
    for numbers in (
        {"byte_scale": 2**30 // 6 // 255, "byte_offset": 0},
        {"byte_offset": most},
        {"byte_offset": -most},
    ):
        assert xnor.byte_matmul(ones[:, :6], ones[:, :1], **numbers).dtype == np.int32
    for numbers in (
        {"byte_scale": 2**29},
        {"byte_offset": 2**29},
        {"byte_scale": -(2**31) + 1, "byte_offset": 2**31 - 1},
    ):
        with pytest.raises(ValueError, match=r"rows have 6 numbers.*can overflow int32"):
            xnor.byte_matmul(ones, ones[:, :1], **numbers)
        with pytest.raises(ValueError, match=r"rows have 12 numbers.*can overflow int32"):
            xnor.byte_conv2d(IMAGES, FILTERS_OF_BYTES, padding=1, **numbers)


def test_groups_and_filters_go_together() -> None:
    for n, n_channels, groups in ((17, 32, 2), (24, 32, 2), (16, 24, 2), (0, 32, 3)):
        images = np.zeros((1, 4, 4, n_channels // 8), np.uint8)
        filters = np.zeros((n, 1, 1, -(-n_channels // groups // 8)), np.uint8)
        for prepare in (xnor.PackedFilters, partial(xnor.conv2d, images)):
            with pytest.raises(ValueError, match=r"groups") as caught:
                prepare(filters, n_channels, groups=groups)
            assert str(groups) in str(caught.value)
    with pytest.raises(
        ValueError, match=r"^groups do not go with filters: 2 groups of 17 filters of 16 .*of 8$"
    ):
        xnor.PackedFilters(np.zeros((17, 1, 1, 2), np.uint8), 32, groups=2)


@pytest.mark.parametrize("family_of_outs", [np.int32, np.uint8, np.float32])
def test_outputs_of_xnor_share_no_memory_with_inputs(family_of_outs: Any) -> None:
    finish = {np.int32: None, np.uint8: xnor.Finish(thresholds=0), np.float32: xnor.Finish(scale=2)}[
        family_of_outs
    ]
    memory = np.zeros(4 * 16 * 16, np.uint8)
    before = memory.copy()
    n = 16 // 8 if family_of_outs is np.uint8 else 16
    out = memory.view(family_of_outs)[: 16 * n].reshape(16, n)
    inside = memory[:128].reshape(16, 8) if n == 16 else memory[:16].reshape(16, 1)
    n_bits = 8 * inside.shape[1]
    other = random_codes(16, inside.shape[1])
    with pytest.raises(ValueError, match="out shares memory"):
        xnor.matmul(inside, other, n_bits, finish=finish, out=out)
    with pytest.raises(ValueError, match="out shares memory"):
        xnor.bitserial_matmul(inside[None], other, n_bits, finish=finish, out=out)
    image = inside.reshape(1, 4, 4, -1)
    filters = random_codes(16, inside.shape[1]).reshape(16, 1, 1, -1)
    with pytest.raises(ValueError, match="out shares memory"):
        xnor.conv2d(image, filters, n_bits, finish=finish, out=out.reshape(1, 4, 4, n))
    assert np.array_equal(memory, before)
    # What is prepared has memory of its own.
    prepared = xnor.PackedMatrix(inside, n_bits)
    wanted = xnor.matmul(other, prepared, n_bits, finish=finish)
    assert np.array_equal(xnor.matmul(other, prepared, n_bits, finish=finish, out=out), wanted)


def test_other_outputs_of_xnor_share_no_memory_with_inputs() -> None:
    memory = np.zeros(1024, np.uint8)
    for function, arguments, out in (
        (xnor.planes, (memory[:64].reshape(8, 8), 8), memory[32:96].reshape(8, 8, 1)),
        (xnor.max_pool2d, (memory[:64].reshape(1, 4, 4, 4), 1), memory[:64].reshape(1, 4, 4, 4)),
        (
            xnor.and_matmul,
            (memory[:8].reshape(2, 4), memory[512:520].reshape(2, 4)),
            memory[:16].view(np.int32).reshape(2, 2),
        ),
    ):
        with pytest.raises(ValueError, match="out shares memory"):
            function(*arguments, out=out)


def test_unusual_arguments_of_xnor_that_are_right() -> None:
    prepared = xnor.PackedMatrix(COLUMNS, np.uint16(60), signed=np.False_)
    assert xnor.matmul(ROWS, prepared, 60, threads=2**62).shape == (5, 20)
    assert xnor.matmul(ROWS[:0], COLUMNS[:0], 60, finish=xnor.Finish(thresholds=np.zeros(0, int))).shape == (
        0,
        0,
    )
    assert xnor.matmul(ROWS, COLUMNS[:0], 60, finish=xnor.Finish(scale=[], bias=())).shape == (5, 0)
    for limits in (np.zeros(20, ">i4"), np.zeros(20, np.int8), [0] * 20, odd_address((20,), np.int32), 0):
        wanted = xnor.matmul(ROWS, COLUMNS, 60, finish=xnor.Finish(thresholds=np.zeros(20, np.int32)))
        assert np.array_equal(xnor.matmul(ROWS, COLUMNS, 60, finish=xnor.Finish(thresholds=limits)), wanted)
    for scale in (np.float16(2), 2, np.longdouble(2), np.full(20, 2, ">f8"), odd_address((20,), "f4") + 2):
        wanted = xnor.matmul(ROWS, COLUMNS, 60, finish=xnor.Finish(scale=2.0))
        assert np.array_equal(xnor.matmul(ROWS, COLUMNS, 60, finish=xnor.Finish(scale=scale)), wanted)
    assert xnor.conv2d(IMAGES[:0], FILTERS, 16).shape == (0, 6, 8, 24)
    assert xnor.conv2d(IMAGES[:, :0], FILTERS, 16, padding=3, pad_value=np.int8(0)).shape == (2, 4, 14, 24)
    for pad_value in (-1, 0, 1):
        assert xnor.conv2d(IMAGES, FILTERS[:0], 16, padding=1, pad_value=pad_value).shape == (2, 8, 10, 0)
    assert xnor.conv2d(IMAGES[:0], FILTERS, 16, padding=((2**24, 0), 0), pad_value=0).shape[0] == 0
    assert xnor.conv2d(IMAGES, FILTERS, 16, stride=2**31 - 1).shape == (2, 1, 1, 24)
    assert xnor.max_pool2d(IMAGES, 2, stride=[2**31 - 1, 1]).shape == (2, 1, 8, 2)
    assert xnor.max_pool2d(IMAGES[:0], (8, 9)).shape == (0, 1, 1, 2)
