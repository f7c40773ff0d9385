"""Products of a few bits against matrices of numbers: every result, awkward shapes, every form of operand."""

from __future__ import annotations

import functools
import pickle
from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import bits, xnor
from helpers import random_codes, same_bits
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[Any]
RNG = np.random.default_rng(0)


def packed(n: int, n_bits: int, seed: int = 0) -> Array:
    """Random rows with zeros after the last bit."""
    return bits.pack(np.random.default_rng([seed, n, n_bits]).random((n, n_bits)) < 0.5)


def finishes(dots: Array) -> list[dict[str, Any]]:
    """Everything that can be done with dot products; thresholds are met exactly, and never, and always."""
    n = dots.shape[-1]
    rng = np.random.default_rng(n)
    met = dots.reshape(-1, n)[0] if dots.size else np.zeros(n, np.int32)
    columns = {
        "thresholds": met + rng.integers(0, 2, n),
        "flips": rng.random(n) < 0.5,
        "scale": rng.standard_normal(n).astype(np.float32),
        "bias": rng.standard_normal(n).astype(np.float32),
    }
    return [
        {},
        {"thresholds": columns["thresholds"]},
        {"thresholds": columns["thresholds"], "flips": columns["flips"]},
        {"thresholds": 0, "flips": True},
        {"thresholds": 2**40},
        {"thresholds": np.int64(-(2**40))},
        {"thresholds": np.uint64(2**63)},
        {"scale": columns["scale"], "bias": columns["bias"]},
        {"scale": 0.1},
        {"bias": columns["bias"].astype(np.float64)},
    ]


def check(multiply: Any, dots: Array) -> None:
    """Compare every way to finish with the oracle, with one thread and two."""
    for columns in finishes(dots):
        wanted, finish = oracles.finish(dots, **columns), made(columns)
        for threads in (1, 2):
            assert same_bits(multiply(finish=finish, threads=threads), wanted), columns
        out = np.full_like(wanted, 7, order="C")
        assert multiply(finish=finish, out=out) is out
        assert same_bits(out, wanted), columns


def made(columns: dict[str, Any]) -> xnor.Finish | None:
    return xnor.Finish(**columns) if columns else None


# --- signs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_bits", [1, 7, 8, 9, 63, 64, 65, 511, 512, 513, 1000, 4096])
@pytest.mark.parametrize("m", [1, 3, 4, 65])
def test_products_of_signs(n_bits: int, m: int) -> None:
    a, b = packed(m, n_bits, 1), packed(37, n_bits, 2)
    dots = oracles.signs(a, n_bits) @ oracles.signs(b, n_bits).T
    for rows in (b, xnor.PackedMatrix(b, n_bits)):
        check(lambda rows=rows, **more: xnor.matmul(a, rows, n_bits, **more), dots)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 255, 256, 257, 5000])
@pytest.mark.parametrize("m", [0, 1, 5])
def test_every_number_of_columns(n: int, m: int) -> None:
    a, b = packed(m, 70, 1), packed(n, 70, 2)
    check(lambda **more: xnor.matmul(a, b, 70, **more), oracles.signs(a, 70) @ oracles.signs(b, 70).T)


def test_rows_of_the_same_signs_and_of_opposite_ones() -> None:
    for n_bits in (1, 77, 3000, 300_000):
        row = bits.pack(np.ones((1, n_bits), bool))
        both = np.vstack([row, bits.pack(np.zeros((1, n_bits), bool))])
        assert xnor.matmul(row, both, n_bits).tolist() == [[n_bits, -n_bits]]


def test_layouts() -> None:
    a, b = packed(9, 100, 1), packed(20, 100, 2)
    wanted = xnor.matmul(a, b, 100)
    wide = np.zeros((9, 30), np.uint8)
    wide[:, 5:18] = a
    read_only = a.copy()
    read_only.flags.writeable = False
    for form in (np.asfortranarray(a), wide[:, 5:18], a[::-1][::-1], np.repeat(a, 2, axis=0)[::2], read_only):
        assert same_bits(xnor.matmul(form, b, 100), wanted)
        assert same_bits(xnor.matmul(b, form, 100), wanted.T)
    assert same_bits(xnor.matmul(a[0], b, 100), wanted[:1])
    assert same_bits(xnor.matmul(a, b[0], 100), wanted[:, :1])


def test_common_ones() -> None:
    for n_bytes in (1, 8, 33, 300):
        a, b = random_codes(7, n_bytes, 1), random_codes(19, n_bytes, 2)
        wanted = np.unpackbits(a, axis=1).astype(np.int32) @ np.unpackbits(b, axis=1).T
        out = np.empty_like(wanted)
        assert same_bits(xnor.and_matmul(a, b), wanted)
        assert xnor.and_matmul(a, b, out=out, threads=1) is out
        assert same_bits(out, wanted)
        assert same_bits(xnor.and_matmul(a[0], b[0]), wanted[:1, :1])


@given(st.data())
def test_random_products(data: st.DataObject) -> None:
    m, n, n_bits = data.draw(st.tuples(st.integers(0, 70), st.integers(0, 300), st.integers(1, 600)))
    seed = data.draw(st.integers(0, 2**32))
    a, b = packed(m, n_bits, seed), packed(n, n_bits, seed + 1)
    dots = oracles.signs(a, n_bits) @ oracles.signs(b, n_bits).T
    columns = data.draw(st.sampled_from(finishes(dots)))
    found = xnor.matmul(a, b, n_bits, finish=made(columns))
    assert same_bits(found, oracles.finish(dots, **columns))


# --- integers -----------------------------------------------------------------------------------------------


def integers(shape: tuple[int, int], n_bits: int, signed: bool, seed: int = 0) -> Array:
    """Random integers of so many bits, the ends among them."""
    least, end = (-(1 << n_bits - 1), 1 << n_bits - 1) if signed else (0, 1 << n_bits)
    values = np.random.default_rng([seed, n_bits]).integers(least, end, shape)
    values.reshape(-1)[:2] = least, end - 1
    return values.astype(np.int8 if signed else np.uint8)


@pytest.mark.parametrize("n_bits", range(1, 9))
@pytest.mark.parametrize("signed", [False, True])
def test_planes_are_bits(n_bits: int, signed: bool) -> None:
    for d in (2, 63, 64, 65, 200):
        values = integers((5, d), n_bits, signed)
        wanted = np.stack([np.packbits(values >> p & 1, axis=1) for p in range(n_bits)])
        wider = values.astype(np.int64 if signed else np.uint32)
        for form in (values, wider, np.asfortranarray(values), np.repeat(values, 2, axis=1)[:, ::2]):
            assert same_bits(xnor.planes(form, n_bits), wanted)
        out = np.empty_like(wanted)
        assert xnor.planes(values, n_bits, out=out) is out
        assert same_bits(out, wanted)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("a_bits", range(1, 9))
def test_integers_by_signs_and_by_integers(a_bits: int, signed: bool) -> None:
    d = 77
    for m in (1, 6):
        x = integers((m, d), a_bits, signed)
        a = xnor.planes(x, a_bits)
        rows = packed(21, d, 5)
        dots = x.astype(np.int32) @ oracles.signs(rows, d).T
        for b in (rows, xnor.PackedMatrix(rows, d)):
            check(functools.partial(xnor.bitserial_matmul, a, b, d, a_signed=signed), dots)
        # The other way round, and by integers.
        assert same_bits(xnor.bitserial_matmul(rows, a, d, b_signed=signed), dots.T.copy())
        for b_bits, b_signed in ((1, False), (3, True), (8, False), (8, True)):
            y = integers((19, d), b_bits, b_signed, seed=2)
            b = xnor.planes(y, b_bits)
            dots_of_both = x.astype(np.int32) @ y.T.astype(np.int32)
            assert same_bits(xnor.bitserial_matmul(a, b, d, a_signed=signed, b_signed=b_signed), dots_of_both)
            prepared = xnor.PackedMatrix(b, d, signed=b_signed)
            assert same_bits(xnor.bitserial_matmul(a, prepared, d, a_signed=signed), dots_of_both)


@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (2, -15), (-7, 3)])
def test_bytes_by_signs(scale: int, offset: int) -> None:
    numbers = {"byte_scale": scale, "byte_offset": offset}
    for m, n, d in ((1, 33, 784), (6, 21, 77), (70, 300, 9), (0, 5, 8), (3, 0, 8), (9, 17, 2049)):
        x = RNG.integers(256, size=(m, d), dtype=np.uint8)
        x[:1] = 255
        rows = packed(n, d, 5)
        dots = (offset + scale * x.astype(np.int32)) @ oracles.signs(rows, d).T
        for b in (rows, xnor.PackedMatrix(rows, d)):
            check(functools.partial(xnor.byte_matmul, x, b, **numbers), dots)
        if m:
            assert same_bits(xnor.byte_matmul(x[0], rows, **numbers), dots[:1])
            planes = xnor.planes(x, 8)
            assert same_bits(xnor.byte_matmul(x, rows), xnor.bitserial_matmul(planes, rows, d))


# --- images -------------------------------------------------------------------------------------------------

CONVOLUTIONS: list[dict[str, Any]] = [
    {},
    {"padding": 1},
    {"padding": (2, 0), "stride": 2},
    {"padding": ((1, 2), (0, 3)), "stride": (1, 3), "dilation": (2, 1)},
    {"padding": 9, "dilation": 2},
]


def full(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings of a convolution as the oracle takes them."""

    def pair(value: Any) -> Any:
        return value if isinstance(value, tuple) else (value, value)

    padding = tuple(pair(side) for side in pair(settings.get("padding", 0)))
    return {
        "stride": pair(settings.get("stride", 1)),
        "padding": padding,
        "pad_value": settings.get("pad_value", -1),
        "dilation": pair(settings.get("dilation", 1)),
        "groups": settings.get("groups", 1),
    }


def images_and_filters(
    n: int, c: int, f: int, kernel: tuple[int, int], groups: int = 1
) -> tuple[Array, Array]:
    images = packed(n * 8 * 9, c, 1).reshape(n, 8, 9, -1)
    return images, packed(f * kernel[0] * kernel[1], c // groups, 2).reshape(f, *kernel, -1)


@pytest.mark.parametrize("settings", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("pad_value", [-1, 0, 1])
def test_convolution(settings: dict[str, Any], pad_value: int) -> None:
    settings = {**settings, "pad_value": pad_value}
    for c, f, kernel in ((1, 5, (3, 3)), (13, 16, (2, 3)), (64, 9, (3, 3)), (70, 8, (1, 1))):
        images, filters = images_and_filters(2, c, f, kernel)
        dots = oracles.conv2d(oracles.signs(images, c), oracles.signs(filters, c), **full(settings))
        for form in (filters, xnor.PackedFilters(filters, c)):
            convolve = functools.partial(xnor.conv2d, images, form, c, **settings)
            check(convolve, dots)


@pytest.mark.parametrize("settings", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("pad_value", [-1, 0, 1])
@pytest.mark.parametrize(("scale", "offset"), [(1, 0), (2, -7)])
def test_convolution_of_bytes(settings: dict[str, Any], pad_value: int, scale: int, offset: int) -> None:
    settings = {**settings, "pad_value": pad_value}
    for c, f, kernel in ((1, 5, (3, 3)), (3, 32, (3, 3)), (13, 16, (2, 3)), (70, 8, (1, 1))):
        _, filters = images_and_filters(2, c, f, kernel)
        images = RNG.integers(256, size=(2, 8, 9, c), dtype=np.uint8)
        numbers = offset + scale * images.astype(np.int32)
        dots = oracles.conv2d(numbers, oracles.signs(filters, c), **full(settings))
        for form in (filters, xnor.PackedFilters(filters, c)):
            convolve = functools.partial(xnor.byte_conv2d, images, form, **settings)
            check(functools.partial(convolve, byte_scale=scale, byte_offset=offset), dots)


def test_convolution_of_bytes_by_groups() -> None:
    _, filters = images_and_filters(2, 48, 24, (3, 3), groups=3)
    images = RNG.integers(256, size=(2, 8, 9, 48), dtype=np.uint8)
    settings: dict[str, Any] = {"padding": 1, "pad_value": 1, "groups": 3}
    dots = oracles.conv2d(images.astype(np.int32), oracles.signs(filters, 16), **full(settings))
    check(lambda **more: xnor.byte_conv2d(images, filters, **settings, **more), dots)


def test_convolution_by_groups() -> None:
    images, filters = images_and_filters(2, 48, 24, (3, 3), groups=3)
    settings: dict[str, Any] = {"padding": 1, "pad_value": 0, "groups": 3}
    dots = oracles.conv2d(oracles.signs(images, 48), oracles.signs(filters, 16), **full(settings))
    check(lambda **more: xnor.conv2d(images, filters, 48, **settings, **more), dots)
    prepared = xnor.PackedFilters(filters, 48, groups=3)
    assert (prepared.shape, prepared.groups) == ((24, 3, 3, 16), 3)
    assert same_bits(xnor.conv2d(images, prepared, 48, padding=1, pad_value=0), dots)


def test_convolution_of_images_as_they_lie() -> None:
    images, filters = images_and_filters(3, 20, 8, (3, 3))
    wanted = xnor.conv2d(images, filters, 20)
    for form in (np.asfortranarray(images), np.repeat(images, 2, axis=1)[:, ::2]):
        assert same_bits(xnor.conv2d(form, filters, 20), wanted)
    assert same_bits(xnor.conv2d(images, np.asfortranarray(filters), 20), wanted)
    assert xnor.conv2d(images[:0], filters, 20).shape == (0, 6, 7, 8)


@pytest.mark.parametrize(("size", "stride"), [(2, None), (3, 1), ((1, 4), (2, 3)), ((8, 9), None)])
def test_maximum_of_windows(size: Any, stride: Any) -> None:
    images = random_codes(3 * 8 * 9, 5).reshape(3, 8, 9, 5)
    window = size if isinstance(size, tuple) else (size, size)
    step = window if stride is None else stride if isinstance(stride, tuple) else (stride, stride)
    wanted = oracles.max_pool2d(images, window, step)
    out = np.empty_like(wanted, order="C")
    assert same_bits(xnor.max_pool2d(images, size, stride=stride), wanted)
    assert xnor.max_pool2d(images, size, stride=stride, out=out, threads=1) is out
    assert same_bits(out, wanted)


# --- prepared operands --------------------------------------------------------------------------------------


def test_prepared_operands_give_back_what_they_were_made_of() -> None:
    rows, planes = packed(9, 70), xnor.planes(integers((9, 70), 3, True), 3)
    _, filters = images_and_filters(1, 13, 16, (2, 3))
    for made, array in (
        (xnor.PackedMatrix(rows, 70), rows),
        (xnor.PackedMatrix(planes, 70), planes),
        (xnor.PackedFilters(filters, 13), filters),
    ):
        for one in (made, pickle.loads(pickle.dumps(made))):
            assert same_bits(one.unpack(), array)
            assert (len(one), one.shape, repr(one)) == (len(made), made.shape, repr(made))
    assert xnor.PackedMatrix(rows, 70).shape == (9, 70)
    assert repr(xnor.PackedMatrix(rows, 70)) == "PackedMatrix(<9 x 70>)"
    unsigned = pickle.loads(pickle.dumps(xnor.PackedMatrix(planes, 70, signed=False)))
    assert same_bits(
        xnor.bitserial_matmul(rows, unsigned, 70), xnor.bitserial_matmul(rows, planes, 70, b_signed=False)
    )


def test_a_prepared_operand_does_not_see_later_changes() -> None:
    rows = packed(9, 64)
    made = xnor.PackedMatrix(rows, 64)
    wanted = xnor.matmul(rows[:1], rows, 64)
    row = rows[:1].copy()
    rows[:] = 0
    assert same_bits(xnor.matmul(row, made, 64), wanted)


# --- what is made of dot products ---------------------------------------------------------------------------


def test_a_finish_is_copied_and_keeps_no_view_of_its_arrays() -> None:
    rows = packed(20, 64)
    dots = xnor.matmul(rows, rows, 64)
    thresholds, flips = dots[0].copy(), dots[1] > 0
    scale, bias = dots[2].astype(np.float32), dots[3] * 0.5
    arrays = {"thresholds": thresholds, "flips": flips}, {"scale": scale, "bias": bias}
    made_before = [xnor.Finish(**columns) for columns in arrays]
    wanted = [oracles.finish(dots, **columns) for columns in arrays]
    for array in (thresholds, flips, scale, bias):
        array[:] = 1
    for finish, expected in zip(made_before, wanted, strict=True):
        for one in (finish, pickle.loads(pickle.dumps(finish))):
            assert same_bits(xnor.matmul(rows, rows, 64, finish=one), expected)
            assert repr(one) == repr(finish)


def test_numbers_of_a_finish_are_for_any_number_of_columns() -> None:
    rows = packed(20, 64)
    for columns in ({"thresholds": 3, "flips": True}, {"scale": 0.5}, {"bias": -2}):
        finish = xnor.Finish(**columns)
        for n in (1, 9, 20):
            dots = xnor.matmul(rows, rows[:n], 64)
            assert same_bits(xnor.matmul(rows, rows[:n], 64, finish=finish), oracles.finish(dots, **columns))
    assert repr(xnor.Finish(thresholds=3, flips=[True] * 9)) == "Finish(thresholds=<1>, flips=<9>)"
