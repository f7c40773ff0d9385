"""`fastcodes.bits` against numpy: dtypes, shapes around the blocks of 64, layouts, bit orders, thresholds."""

from __future__ import annotations

import numpy as np
import oracles
import pytest
from fastcodes import bits
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

FLOATS = ["float16", "float32", "float64"]
INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
DTYPES = ["bool", *INTEGERS, *FLOATS, "longdouble", ">f2", ">f4", ">f8", ">i4"]

# Around a byte, a register and a block of 64; rows that are one long row and rows that are not.
DIMS = [0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200, 577, 680]


def values(shape, dtype, seed=0):
    """Numbers around zero with every special case of the dtype among them."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        special = [0, 1, 2, np.iinfo(dtype).min, np.iinfo(dtype).max]
        x = rng.integers(0 if dtype.kind == "u" else -3, 4, shape)
    else:
        tiny = np.finfo(dtype).smallest_subnormal
        special = [0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, tiny, -tiny, np.finfo(dtype).max]
        x = rng.standard_normal(shape)
    pick = rng.random(shape) < 0.3
    return np.where(pick, rng.choice(np.array(special, dtype), shape), x.astype(dtype)).astype(dtype)


def layouts(x, tmp_path=None):
    """Lay the same numbers differently in memory."""
    yield "contiguous", x
    yield "fortran", np.asfortranarray(x)
    yield "reversed rows", np.ascontiguousarray(x[::-1])[::-1]
    yield "reversed columns", np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    if x.ndim > 1:
        wide = np.zeros((2 * x.shape[0], *x.shape[1:-1], x.shape[-1] + 3), x.dtype)
        wide[::2, ..., 2:-1] = x
        yield "strided rows", wide[::2, ..., 2:-1]
    twice = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    twice[..., ::2] = x
    yield "strided columns", twice[..., ::2]
    buffer = np.zeros(x.nbytes + 1, np.uint8)
    unaligned = buffer[1:].view(x.dtype).reshape(x.shape)
    unaligned[...] = x
    yield "unaligned", unaligned
    read_only = x.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only
    if tmp_path is not None:
        np.save(tmp_path / "x.npy", x)
        yield "memmap", np.load(tmp_path / "x.npy", mmap_mode="r")


def check(got, expected):
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    assert_array_equal(got, expected)


# --- pack --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bitorder", ["big", "little"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_pack_is_packbits_of_the_comparison(dtype, bitorder):
    for n in (0, 1, 2, 5):
        for d in DIMS:
            x = values((n, d), dtype, seed=d)
            check(bits.pack(x, bitorder=bitorder), oracles.pack(x, 0.0, bitorder))


@pytest.mark.parametrize("dtype", DTYPES)
def test_pack_takes_every_layout(dtype, tmp_path):
    for shape in [(5, 64), (4, 131), (3, 2, 77), (2, 3, 4, 9)]:
        x = values(shape, dtype)
        per_dim = np.linspace(-1, 1, shape[-1]).astype(np.float32)
        for name, same in layouts(x, tmp_path):
            assert_array_equal(bits.pack(same), oracles.pack(x), err_msg=name)
            assert_array_equal(bits.pack(same, threshold=per_dim), oracles.pack(x, per_dim), err_msg=name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "threshold",
    [
        0,
        1,
        -1,
        0.5,
        -0.5,
        True,
        255,
        1e30,
        -1e30,
        np.inf,
        -np.inf,
        -0.0,
        np.float32(0.1),
        np.float64(0.1),
        2**53,
        2**60,
    ],
)
def test_pack_compares_as_numpy_does(dtype, threshold):
    if (
        dtype == "float16"
        and abs(threshold) in (1e30, 2**53, 2**60)
        and np.lib.NumpyVersion(np.__version__) < "2.0.0"
    ):
        pytest.skip("numpy 1 compares these in float32, numpy 2 and fastcodes in float16")
    x = values((3, 130), dtype)
    with np.errstate(over="ignore"):
        check(bits.pack(x, threshold=threshold), oracles.pack(x, threshold))


@pytest.mark.parametrize("kind", [*INTEGERS, *FLOATS, "longdouble", ">f4", "bool"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", *FLOATS])
def test_pack_takes_a_threshold_for_each_dimension(dtype, kind):
    for d in (1, 8, 63, 64, 65, 200):
        x = values((3, d), dtype)
        thresholds = np.nan_to_num(values(d, kind, seed=1), posinf=np.inf, neginf=-np.inf)
        check(bits.pack(x, threshold=thresholds), oracles.pack(x, thresholds))
        check(bits.pack(x, threshold=thresholds[None]), oracles.pack(x, thresholds))
        check(bits.pack(x, threshold=thresholds[::-1]), oracles.pack(x, thresholds[::-1]))
        check(bits.pack(x, threshold=thresholds[:1]), oracles.pack(x, thresholds[:1]))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_more_precise_threshold_parts_neighbouring_floats(dtype):
    """Thresholds just below and above every float, also where rounding to the dtype would overflow."""
    x = values(400, dtype)
    x = np.sort(x[np.isfinite(x)])
    between = np.nextafter(x.astype(np.float64), np.inf), np.nextafter(x.astype(np.float64), -np.inf)
    for thresholds in (*between, np.full(x.size, 1e300), np.full(x.size, -1e300)):
        with np.errstate(over="ignore"):
            rows = np.stack([x, np.nextafter(x, np.inf, dtype=dtype), np.full(x.size, np.inf, dtype)])
        check(bits.pack(rows, threshold=thresholds), oracles.pack(rows, thresholds))


def test_every_float16_against_many_thresholds():
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    for threshold in np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, 65504, -65504, 6e-8, -6e-8], np.float16):
        check(bits.pack(x, threshold=threshold), oracles.pack(x, threshold))


@pytest.mark.parametrize("dtype", ["bool", "uint8", *FLOATS])
def test_columns_are_packed_without_a_copy(dtype, monkeypatch):
    monkeypatch.delattr(bits, "_pack_copied")
    x = values((130, 300), dtype)
    check(bits.pack(x.T), oracles.pack(x.T))
    check(bits.pack(x[:, 3:-5].T), oracles.pack(x[:, 3:-5].T))


def test_pack_in_blocks_and_in_tasks():
    """More elements than numpy compares at a time, and more bytes than a thread takes at a time."""
    for shape in [(1, 1_000_003), (3, 300_001), (70_000, 9), (2, 3, 100_000), (1_200_000,)]:
        for dtype in ("float32", "int16", "uint8"):
            x = np.random.default_rng(0).integers(0, 3, shape).astype(dtype)
            thresholds = np.arange(shape[-1]) % 3
            expected, expected_by_dim = oracles.pack(x), oracles.pack(x, thresholds)
            for threads in (1, 2, None):
                for same in (x, np.asfortranarray(x)):
                    check(bits.pack(same, threads=threads), expected)
                    check(bits.pack(same, threshold=thresholds, threads=threads), expected_by_dim)
            check(bits.pack(x[..., ::-1]), oracles.pack(x[..., ::-1]))


def test_booleans_are_true_whatever_their_byte():
    x = np.arange(256, dtype=np.uint8).view(bool)
    check(bits.pack(x), np.packbits(np.arange(256) != 0))


def test_pack_takes_bfloat16_and_lists():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.array([[0.5, -1, 0, 3, np.nan]], ml_dtypes.bfloat16)
    check(bits.pack(x), oracles.pack(x))
    check(bits.pack([[1, -1, 0, 3]]), np.array([[0b1001_0000]], np.uint8))


@given(
    hnp.arrays(
        st.sampled_from(["bool", "uint8", "int16", "int64", "uint64", *FLOATS]),
        hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=150),
    ),
    st.floats(allow_nan=False, width=32),
    st.sampled_from(["big", "little"]),
)
def test_pack_of_anything(x, threshold, bitorder):
    with np.errstate(over="ignore"):
        check(bits.pack(x, threshold=threshold, bitorder=bitorder), oracles.pack(x, threshold, bitorder))
        check(
            bits.pack(x, threshold=np.float64(threshold), bitorder=bitorder),
            oracles.pack(x, np.float64(threshold), bitorder),
        )


# --- unpack ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bitorder", ["big", "little"])
@pytest.mark.parametrize("dtype", ["bool", *INTEGERS, *FLOATS, ">f4", ">u2"])
def test_unpack_is_the_way_back(dtype, bitorder):
    pairs = [(0, 1)] if dtype == "bool" else [(0, 1), (3, 100)]
    pairs += [(-1, 1)] if np.dtype(dtype).kind in "if" else []
    for n in (0, 1, 2, 5):
        for d in DIMS:
            codes = values((n, (d + 7) // 8), "uint8", seed=d) * np.uint8(77)
            for pair in pairs:
                expected = oracles.unpack(codes, d, dtype, pair, bitorder)
                check(bits.unpack(codes, d, dtype=dtype, values=pair, bitorder=bitorder), expected)


def test_unpack_takes_every_layout(tmp_path):
    for shape in [(5, 8), (4, 17), (3, 2, 9)]:
        codes = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        n_bits = 8 * shape[-1] - 3
        for name, same in layouts(codes, tmp_path):
            expected = oracles.unpack(codes, n_bits)
            assert_array_equal(bits.unpack(same, n_bits), expected, err_msg=name)


def test_unpack_in_tasks():
    for shape, n_bits in [((300_000,), 2_399_999), ((40_000, 9), 65), ((1000, 200), 1600)]:
        codes = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        for dtype in ("uint8", "float32"):
            expected = oracles.unpack(codes, n_bits, dtype)
            for threads in (1, 2):
                check(bits.unpack(codes, n_bits, dtype=dtype, threads=threads), expected)


@given(
    hnp.arrays(bool, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=150)),
    st.sampled_from(["big", "little"]),
)
def test_unpack_undoes_pack(x, bitorder):
    codes = bits.pack(x, bitorder=bitorder)
    check(bits.unpack(codes, x.shape[-1], dtype=bool, bitorder=bitorder), x)


def test_unpack_keeps_the_sign_of_zero():
    got = bits.unpack(np.array([0b01000000], np.uint8), 2, dtype="float32", values=(-0.0, 0.0))
    assert_array_equal(np.signbit(got), [True, False])


# --- popcount ----------------------------------------------------------------------------------------------


def test_popcount_counts_every_row(tmp_path):
    rng = np.random.default_rng(0)
    for n_bytes in [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 300]:
        for n in (0, 1, 7, 8, 9, 17):
            codes = rng.integers(0, 256, (n, n_bytes), np.uint8)
            for full in (codes, codes * 0, codes | 255):
                check(bits.popcount(full), oracles.popcount(full))
        for name, same in layouts(codes, tmp_path):
            assert_array_equal(bits.popcount(same), oracles.popcount(codes), err_msg=name)


def test_popcount_keeps_the_leading_shape():
    codes = np.random.default_rng(0).integers(0, 256, (2, 3, 0, 5), np.uint8)
    check(bits.popcount(codes), oracles.popcount(codes))
    codes = np.random.default_rng(0).integers(0, 256, (2, 3, 5), np.uint8)
    check(bits.popcount(codes), oracles.popcount(codes))
    check(bits.popcount(codes[0, 0]), np.array(oracles.popcount(codes[0, 0])))


def test_popcount_in_tasks():
    codes = np.random.default_rng(0).integers(0, 256, (200_000, 11), np.uint8)
    for threads in (1, 2, None):
        check(bits.popcount(codes, threads=threads), oracles.popcount(codes))


# --- small integers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_bits", range(1, 17))
def test_small_integers_lie_side_by_side(n_bits):
    rng = np.random.default_rng(n_bits)
    for shape in [(0, 5), (3, 0), (1,), (7,), (8,), (9,), (4, 15), (2, 3, 17), (2, 64)]:
        for dtype in ("uint8", "uint16", "uint32", "int64", ">u2"):
            high = min(1 << n_bits, np.iinfo(dtype).max + 1)
            x = rng.integers(0, high, shape).astype(dtype)
            x.reshape(-1)[::3] = high - 1
            expected = oracles.pack_uint(x, n_bits)
            for _, same in layouts(x):
                packed = bits.pack_uint(same, n_bits)
                check(packed, expected)
            back = bits.unpack_uint(packed, n_bits, shape[-1])
            check(back, x.astype(np.uint8 if n_bits <= 8 else np.uint16))
            assert_array_equal(oracles.unpack_uint(packed, n_bits, shape[-1]), x)


def test_one_bit_integers_are_bits():
    x = np.random.default_rng(0).random((5, 77)) < 0.5
    check(bits.pack_uint(x, 1), bits.pack(x))
    check(bits.unpack_uint(bits.pack(x), 1, 77), x.astype(np.uint8))


def test_small_integers_in_blocks_and_in_tasks():
    for shape in [(1_000_001,), (3, 200_003), (60_000, 7)]:
        for dtype in ("uint8", "int32"):
            x = np.random.default_rng(0).integers(0, 32, shape).astype(dtype)
            for threads in (1, 2):
                packed = bits.pack_uint(x, 5, threads=threads)
                check(packed, oracles.pack_uint(x, 5))
                check(bits.unpack_uint(packed, 5, shape[-1], threads=threads), x.astype(np.uint8))


# --- out= and wrong arguments ------------------------------------------------------------------------------


def test_out_is_filled_and_returned():
    x = values((4, 70), "float32")
    codes = bits.pack(x)
    small = (codes % 8).astype(np.uint8)
    for expected, call in [
        (codes, lambda out: bits.pack(x, out=out)),
        (bits.pack(x.T), lambda out: bits.pack(x.T, out=out)),
        (
            bits.unpack(codes, 70, dtype="float32"),
            lambda out: bits.unpack(codes, 70, dtype="float32", out=out),
        ),
        (bits.pack_uint(small, 3), lambda out: bits.pack_uint(small, 3, out=out)),
        (bits.unpack_uint(codes, 9, 8), lambda out: bits.unpack_uint(codes, 9, 8, out=out)),
    ]:
        out = np.full_like(expected, 99)
        assert call(out) is out
        check(out, expected)
        with pytest.raises(ValueError, match=r"out must be .* shape .*; got shape \(1,\)"):
            call(np.empty(1, expected.dtype))
        with pytest.raises(ValueError, match="not contiguous"):
            call(np.repeat(expected, 2, axis=-1)[..., ::2])
        out.flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            call(out)
        with pytest.raises(TypeError, match=r"out must be a numpy array of .*; got an array of complex64"):
            call(np.empty(expected.shape, "complex64"))
        with pytest.raises(TypeError, match=r"out must be a numpy array of .*; got .* of type list"):
            call([1])


def test_out_may_not_be_the_input():
    buffer = np.zeros(64, np.uint8)
    with pytest.raises(ValueError, match="out shares memory with x"):
        bits.pack(buffer, out=buffer[8:16])
    with pytest.raises(ValueError, match="out shares memory with codes"):
        bits.unpack(buffer[:8], 64, out=buffer)
