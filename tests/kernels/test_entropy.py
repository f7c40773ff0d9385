"""Entropy coding: round trips, sizes, the bytes of the format, wrong bytes and wrong models."""

from __future__ import annotations

import copy
import json
import math
import pickle
import resource
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import _native, bits, entropy
from helpers import Array, run_python
from hypothesis import given, settings
from hypothesis import strategies as st

RNG = np.random.default_rng(70)
N_SYMBOLS = [1, 2, 97, 256, 257, 5000, 65536]
LAWS = ["laplace", "gaussian", "logistic"]
LENGTHS = [0, 1, 2, 1000, 8191, 8192, 8193, 8192 + 31, 40_000]
PEAKED = np.exp(-abs(np.arange(256) - 128) / 6)


def counts_of(n_symbols: int, seed: int = 0) -> Array:
    """Return counts of several orders of magnitude, zeros among them."""
    return (10 ** np.random.default_rng([seed, n_symbols]).uniform(-1, 6, n_symbols)).astype(np.int64)


CATEGORICAL = {n: entropy.Categorical(counts_of(n)) for n in N_SYMBOLS}
HUFFMAN = {n: entropy.Huffman(counts_of(n) + 1) for n in N_SYMBOLS}
SCALES = {law: entropy.ScaleTable(law) for law in LAWS}


def likely(n_symbols: int, n: int, seed: int = 0) -> Array:
    """Return symbols that occur about as often as their counts say."""
    p = counts_of(n_symbols) + 1.0
    return np.random.default_rng([seed, n]).choice(n_symbols, n, p=p / p.sum())


def integers_of(law: str, n: int, seed: int = 0) -> tuple[Array, Array]:
    """Return integers of all scales, a few of them far from zero, and their scales."""
    rng = np.random.default_rng([seed, n])
    scales = rng.integers(0, 64, n).astype(np.uint8)
    values = np.rint(
        SCALES[law].scales[scales] * getattr(rng, law if law != "gaussian" else "normal")(size=n)
    )
    values[rng.random(n) < 0.001] = 2**31 - 1
    values[rng.random(n) < 0.001] = -(2**31)
    return values.astype(np.int64), scales


def chain(order: int, n_symbols: int = 200) -> tuple[entropy.MarkovChain, Array]:
    """Return a chain and rows that it is like."""
    steps = RNG.integers(0, 5, (1500, 7))
    codes = (np.cumsum(steps, axis=1) % n_symbols).astype(np.uint8)
    return entropy.MarkovChain.fit(codes[:1000], n_symbols, order=order), codes


def bernoulli(n_bits: int = 83) -> tuple[entropy.Bernoulli, Array]:
    codes = bits.pack(RNG.random((1500, n_bits)) < RNG.random(n_bits) ** 4)
    return entropy.Bernoulli.fit(codes[:1000], n_bits), codes


ROW_MODELS = {"order 0": chain(0), "order 1": chain(1), "bits": bernoulli(), "one symbol": chain(1, 1)}


# --- round trips --------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.sampled_from(N_SYMBOLS),
    st.integers(0, 5000),
    st.sampled_from(["u1", "u2", "u8", "i2", "i4", "i8", ">i4"]),
    st.integers(0, 99),
    st.booleans(),
)
def test_symbols_come_back(n_symbols: int, n: int, dtype: str, seed: int, are_likely: bool) -> None:
    rng = np.random.default_rng(seed)
    symbols = likely(n_symbols, n, seed) if are_likely else rng.integers(0, n_symbols, n)
    symbols = np.minimum(symbols, min(np.iinfo(dtype).max, 65535)).astype(dtype)
    for model in (CATEGORICAL[n_symbols], HUFFMAN[n_symbols]):
        data = entropy.encode(symbols, model)
        found = entropy.decode(data, model, n)
        assert np.array_equal(found, symbols)
        assert found.dtype == model.dtype == (np.uint8 if n_symbols <= 256 else np.uint16)
    fitted = entropy.Categorical.fit(symbols)
    found = entropy.decode(entropy.encode(symbols, fitted), fitted, (n, 1))
    assert np.array_equal(found, symbols[:, None])
    assert found.dtype == np.dtype(dtype) or not n


@settings(deadline=None)
@given(st.sampled_from(LAWS), st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(0, 63))))
def test_any_integers_come_back(law: str, pairs: list[tuple[int, int]]) -> None:
    values, scales = np.array(pairs, np.int64).reshape(-1, 2).T
    data = entropy.encode(values, SCALES[law], scales=scales)
    found = entropy.decode(data, SCALES[law], scales=scales)
    assert found.dtype == np.int32
    assert np.array_equal(found, values)


@settings(deadline=None)
@given(st.sampled_from(list(ROW_MODELS)), st.integers(0, 1500), st.sampled_from([1, 16, 1000]), st.data())
def test_rows_come_back(name: str, n: int, rows_per_block: int, data: Any) -> None:
    model, codes = ROW_MODELS[name]
    blocks, offsets = entropy.encode_rows(codes[:n], model, rows_per_block=rows_per_block)
    assert len(offsets) == -(-n // rows_per_block) + 1
    assert (offsets[0], offsets[-1]) == (0, len(blocks))
    how: Any = {"n_rows": n, "rows_per_block": rows_per_block}
    assert np.array_equal(entropy.decode_rows(blocks, offsets, model, **how), codes[:n])
    rows = data.draw(st.lists(st.integers(-n, n - 1), max_size=50)) if n else []
    found = entropy.decode_rows(blocks, offsets, model, rows=rows, **how)
    assert np.array_equal(found, codes[:n][np.array(rows, int)])
    assert found.dtype == np.uint8


@pytest.mark.parametrize("n", [*LENGTHS, 1_050_000])
def test_messages_of_any_length_are_the_same_for_every_number_of_threads(n: int) -> None:
    for n_symbols in N_SYMBOLS if n < 10**6 else [97, 5000]:
        symbols, model = likely(n_symbols, n), CATEGORICAL[n_symbols]
        data = entropy.encode(symbols, model, threads=1)
        assert data == entropy.encode(symbols, model, threads=2)
        for threads in (1, 2):
            assert np.array_equal(entropy.decode(data, model, n, threads=threads), symbols)
        code = HUFFMAN[n_symbols]
        data = entropy.encode(symbols, code)
        assert np.array_equal(entropy.decode(data, code, n), symbols)
        assert len(data) == math.ceil(code.bits(symbols) / 8)
    for law in LAWS if n < 10**6 else ["laplace"]:
        values, scales = integers_of(law, n)
        data = entropy.encode(values, SCALES[law], scales=scales, threads=1)
        assert data == entropy.encode(values, SCALES[law], scales=scales, threads=2)
        for threads in (1, 2):
            found = entropy.decode(data, SCALES[law], n, scales=scales, threads=threads)
            assert np.array_equal(found, values)


def test_many_rows_are_the_same_for_every_number_of_threads() -> None:
    for model, codes in ROW_MODELS.values():
        many = np.tile(codes, (10, 1))
        expected = entropy.encode_rows(many, model, rows_per_block=3, threads=1)
        found = entropy.encode_rows(many, model, rows_per_block=3, threads=2)
        assert all(map(np.array_equal, found, expected))
        how: Any = {"n_rows": 15_000, "rows_per_block": 3}
        for threads in (1, 2):
            assert np.array_equal(entropy.decode_rows(*found, model, threads=threads, **how), many)


def test_shapes_and_layouts(tmp_path: Path) -> None:
    model = CATEGORICAL[97]
    symbols = likely(97, 9000).astype(np.uint8).reshape(10, 30, 30)
    data = entropy.encode(symbols, model)
    assert np.array_equal(entropy.decode(data, model, (10, 30, 30)), symbols)
    strided = np.zeros((10, 60, 90), np.uint8)[:, ::2, 1::3]
    strided[:] = symbols
    unaligned = np.frombuffer(b"0" + symbols.astype(np.int32).tobytes(), np.uint8)[1:].view(np.int32)
    symbols.tofile(tmp_path / "symbols")
    mapped = np.memmap(tmp_path / "symbols", np.uint8, "r")
    Path(tmp_path, "data").write_bytes(data)
    for form in (strided, unaligned, mapped, symbols.copy(order="F"), symbols.tolist()):
        assert entropy.encode(form, model) == data
    for source in (
        bytearray(data),
        memoryview(data),
        np.repeat(np.frombuffer(data, np.uint8), 2)[::2],
        np.memmap(tmp_path / "data", np.uint8, "r"),
    ):
        assert np.array_equal(entropy.decode(source, model, 9000), symbols.reshape(-1))
    chain_, codes = ROW_MODELS["order 1"]
    expected = entropy.encode_rows(codes, chain_)
    for form in (
        codes.copy(order="F"),
        np.repeat(codes, 2, axis=0)[::2],
        np.repeat(codes, 2, axis=1)[:, ::2],
    ):
        assert all(map(np.array_equal, entropy.encode_rows(form, chain_), expected))
    table = SCALES["laplace"]
    values, scales = integers_of("laplace", 9000)
    square = (90, 100)
    data = entropy.encode(values.reshape(square), table, scales=scales.reshape(square))
    assert np.array_equal(entropy.decode(data, table, scales=scales.reshape(square)), values.reshape(square))
    assert np.array_equal(entropy.decode(data, table, (100, 90), scales=scales), values.reshape(100, 90))


# --- sizes --------------------------------------------------------------------------------------------------


def most_bytes(n_bits: float, n: int) -> float:
    """Return what `encode` promises."""
    if n < 8192:
        return n_bits / 8 + 1 + 0.02 / 8 * n
    return 1.001 * n_bits / 8 + 132 * math.ceil(n / 1e6)


@pytest.mark.parametrize("n", [*LENGTHS, 1_050_000])
def test_messages_take_no_more_than_is_promised(n: int) -> None:
    for n_symbols in N_SYMBOLS if n < 10**6 else [1, 256]:
        model = CATEGORICAL[n_symbols]
        rarest = np.full(n, model.frequencies[-1].argmin() if n_symbols <= 256 else n_symbols - 1)
        for symbols in (likely(n_symbols, n), RNG.integers(0, n_symbols, n), np.zeros(n, int), rarest):
            assert len(entropy.encode(symbols, model)) <= most_bytes(model.bits(symbols), n)
    # Many parts of the range that all lose what is rounded off.
    model = entropy.Categorical([300, 1] * 40)
    symbols = RNG.integers(0, 40, n) * 2
    assert len(entropy.encode(symbols, model)) <= most_bytes(model.bits(symbols), n)
    for law in LAWS if n < 10**6 else []:
        values, scales = integers_of(law, n)
        size = len(entropy.encode(values, SCALES[law], scales=scales))
        assert size <= most_bytes(SCALES[law].bits(values, scales), n)


def test_rows_take_at_most_a_byte_for_each_block_more() -> None:
    for model, codes in ROW_MODELS.values():
        needed = model.bits(codes) / 8
        _, offsets = entropy.encode_rows(codes, model)
        assert np.all(np.diff(offsets) <= needed + 1 + codes.shape[1] * 0.02)
        data, _ = entropy.encode_rows(codes, model, rows_per_block=len(codes))
        assert len(data) <= needed.sum() * 1.002 + 1


@pytest.mark.parametrize("n", [20_000, 1_000_000])
def test_messages_take_hardly_more_than_those_of_constriction(n: int) -> None:
    constriction = pytest.importorskip("constriction", reason="compares sizes with constriction")
    p = PEAKED / PEAKED.sum()
    symbols = np.random.default_rng(n).choice(256, n, p=p).astype(np.int32)
    coder = constriction.stream.stack.AnsCoder()
    coder.encode_reverse(symbols, constriction.stream.model.Categorical(p.astype(np.float32), perfect=False))
    data = entropy.encode(symbols, entropy.Categorical((p * 2**40).astype(np.int64)))
    assert len(data) <= 1.002 * coder.get_compressed().nbytes + 132


# --- the format ---------------------------------------------------------------------------------------------

FIXED = """
import json
import numpy as np
from fastcodes import entropy

peaked = [1, 2, 5, 12, 30, 80, 30, 12, 5, 2, 1]
symbols = [5, 5, 4, 6, 5, 10, 0, 5, 3, 5]
wide = [5, 300, 999, 5, 4, 6, 700]
values, scales = [0, 1, -1, 7, -300, 2**31 - 1, -(2**31), 0], [0, 1, 9, 20, 50, 3, 63, 63]
rows = [[1, 2, 3], [3, 2, 1], [0, 0, 3]]
bernoulli = entropy.Bernoulli([9, 900, 60000, 32768])
of_bits = [[0b10110000], [0b00010000]]
shas = lambda data: __import__("hashlib").sha256(bytes(data)).hexdigest()[:16]
n = 20_011
many = np.arange(n) ** 2 % 101 % 11
integers = np.arange(n) % 41 - 20
found = {
    "Categorical": entropy.encode(symbols, entropy.Categorical(peaked)).hex(),
    "Categorical, wide": entropy.encode(wide, entropy.Categorical(np.arange(1000) % 7)).hex(),
    "Huffman": entropy.encode(symbols, entropy.Huffman(peaked)).hex(),
    "chain": [part.tolist() for part in entropy.encode_rows(rows, entropy.MarkovChain.fit(rows, 4))],
    "bits": [part.tolist() for part in entropy.encode_rows(of_bits, bernoulli)],
    "run": shas(entropy.encode(many, entropy.Categorical(peaked))),
    "run, wide": shas(entropy.encode(many * 90, entropy.Categorical(np.arange(1000) % 7))),
}
for law in ("laplace", "gaussian", "logistic"):
    table = entropy.ScaleTable(law)
    found[law] = entropy.encode(values, table, scales=scales).hex()
    found["run, " + law] = shas(entropy.encode(integers, table, scales=np.arange(n) % 64))
print(json.dumps(found))
"""
EXPECTED: dict[str, Any] = {
    "Categorical": "736cc785",
    "Categorical, wide": "00fbd711d5c186affb",
    "Huffman": "257fe300",
    "chain": [[133, 190, 33], [0, 1, 2, 3]],
    "bits": [[0, 1, 235], [0, 2, 3]],
    "run": "bf66b3d0c4fbee49",
    "run, wide": "be707c088c47c805",
    "laplace": "fc9ae5538125ffffe49fffff25006d806d4a",
    "run, laplace": "a5b3def3c2a54b71",
    "gaussian": "fffb2209de03a10116fffeba22ffffffffff747ffffee9008b808b48",
    "run, gaussian": "35de867f6e37f437",
    "logistic": "f9ad1de9bff7ffee9f7fff74fc45824570",
    "run, logistic": "940b002606221c00",
}


@pytest.mark.parametrize("level", _native.levels())
def test_bytes_are_fixed(level: str) -> None:
    """Stored messages have to be readable: these bytes must never change."""
    assert json.loads(run_python(FIXED, {"FASTCODES_LEVEL": level})) == EXPECTED


@pytest.mark.parametrize("n_symbols", [1, 2, 97, 256])
@pytest.mark.parametrize("n", [0, 1, 500, 8192, 8192 + 45])
def test_messages_are_those_that_the_description_of_the_format_decodes(n: int, n_symbols: int) -> None:
    symbols, model = likely(n_symbols, n), CATEGORICAL[n_symbols]
    data = entropy.encode(symbols, model)
    assert oracles.entropy_decode(data, model.frequencies[0], n) == symbols.tolist()


def test_two_runs_are_those_that_the_description_of_the_format_decodes() -> None:
    n = 2**20 + 40
    symbols, model = likely(97, n), CATEGORICAL[97]
    data = entropy.encode(symbols, model)
    start = 4 + int.from_bytes(data[:4], "little")
    table = (model.frequencies[0], *oracles.alias_slots(model.frequencies[0]))
    assert oracles.rans_decode(data[start:], [table] * 40) == (symbols[2**20 :].tolist(), b"")


@pytest.mark.parametrize("n", [300, 8192, 8224])
def test_wide_symbols_are_those_that_the_description_of_the_format_decodes(n: int) -> None:
    symbols, model = likely(5000, n), CATEGORICAL[5000]
    data, (high, *low) = entropy.encode(symbols, model), model.frequencies
    if n < 8192:
        tables = [table for symbol in symbols for table in (high, low[symbol >> 8])]
        digits = np.reshape(oracles.range_decode(data, tables), (-1, 2))
        assert (digits @ [256, 1]).tolist() == symbols.tolist()
        return
    slots = [(table, *oracles.alias_slots(table)) for table in model.frequencies]
    groups = symbols.reshape(-1, 32)
    tables = [table for group in groups for table in [slots[0]] * 32 + [slots[1 + (s >> 8)] for s in group]]
    expected = np.stack([groups >> 8, groups & 255], axis=1).reshape(-1).tolist()
    assert oracles.rans_decode(data, tables) == (expected, b"")


@pytest.mark.parametrize("n_symbols", [1, 2, 97, 257, 5000])
def test_codewords_are_those_of_a_canonical_code(n_symbols: int) -> None:
    symbols, code = likely(n_symbols, 500), HUFFMAN[n_symbols]
    data = entropy.encode(symbols, code)
    assert oracles.huffman_decode(data, code.lengths, 500) == symbols.tolist()
    present = np.bincount(symbols)
    entropy_bits = -(present[present > 0] * np.log2(present[present > 0] / 500)).sum()
    fitted = entropy.Huffman.fit(symbols)
    assert entropy_bits - 1e-6 <= max(fitted.bits(symbols), 500 * (n_symbols == 1)) <= entropy_bits + 500


def test_frequencies_are_the_counts() -> None:
    model = entropy.Categorical([3, 1, 0, 4])
    assert model.frequencies.sum() == 2**16
    np.testing.assert_allclose(model.frequencies[0] / 2**16, [3 / 8, 1 / 8, 0, 1 / 2], atol=2**-15)
    wide = CATEGORICAL[5000]
    assert wide.frequencies.sum(axis=1).tolist() == [2**16] * 21
    p = wide.frequencies[0, :20, None] * wide.frequencies[1:] / 2**32
    counts = counts_of(5000)
    is_frequent = counts > counts.sum() / 5000
    found, expected = p.reshape(-1)[:5000][is_frequent], (counts / counts.sum())[is_frequent]
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_counts_whose_sum_does_not_fit_64_bits() -> None:
    for n_symbols in (2, 300):
        model = entropy.Categorical(np.full(n_symbols, 2**63, np.uint64))
        p = 2.0 ** -np.array([model.bits([symbol]) for symbol in range(n_symbols)])
        np.testing.assert_allclose(p, 1 / n_symbols, rtol=0.01)


def test_code_lengths_are_those_of_the_laws() -> None:
    cumulative = {
        "laplace": lambda x: np.where(x < 0, np.exp(-abs(x)) / 2, 1 - np.exp(-abs(x)) / 2),
        "gaussian": lambda x: np.array([math.erfc(-v / math.sqrt(2)) / 2 for v in x]),
        "logistic": lambda x: 1 / (1 + np.exp(-x)),
    }
    for law, table in SCALES.items():
        np.testing.assert_allclose(table.scales[[0, -1]], [0.11, 256], rtol=1e-12)
        np.testing.assert_allclose(np.diff(np.log(table.scales)), np.log(256 / 0.11) / 63, rtol=1e-9)
        for number in (0, 10, 30, 50, 63):
            scale = table.scales[number]
            values = np.unique(np.rint(np.linspace(-2, 2, 9) * scale)).astype(int)
            p = cumulative[law]((values + 0.5) / scale) - cumulative[law]((values - 0.5) / scale)
            found = [table.bits([value], [number]) for value in values]
            # Scales above 10 have steps: probabilities are equal within them.
            np.testing.assert_allclose(found, -np.log2(p), atol=0.15 if scale > 10 else 0.02)
        borders = np.sqrt(table.scales[1:] * table.scales[:-1])
        numbers = np.arange(63)
        assert np.array_equal(table.indices(borders * 0.999), numbers)
        assert np.array_equal(table.indices(borders * 1.001), numbers + 1)
        assert table.indices([[1e-300, 1e300]]).tolist() == [[0, 63]]


def test_a_chain_learns_what_follows_what() -> None:
    codes = RNG.integers(0, 16, (20_000, 4)).astype(np.uint8)
    codes[:, 1] = codes[:, 0] ^ 5
    model = entropy.MarkovChain.fit(codes, 16)
    assert abs(model.bits(codes).mean() - 12) < 0.1
    assert abs(entropy.MarkovChain.fit(codes, 16, order=0).bits(codes).mean() - 16) < 0.1
    # By definition.
    lengths = 16 - np.log2(model.frequencies)
    first, second = codes[0, :2]
    short = entropy.MarkovChain(model.frequencies[:17], 2)
    expected = lengths[0, first] + lengths[1 + first, second]
    np.testing.assert_allclose(short.bits(codes[0, :2]), [expected])


def test_bits_have_the_probability_of_their_column() -> None:
    ones = np.array([1, 65535, 32768, 100])
    p = ones / 2**16
    x = RNG.random((50, 4)) < 0.5
    expected = -np.log2(np.where(x, p, 1 - p)).sum(axis=1)
    np.testing.assert_allclose(entropy.Bernoulli(ones).bits(bits.pack(x)), expected, rtol=1e-9)


# --- models -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_used", [False, True], ids=["new", "used"])
def test_models_are_pickled_and_copied(is_used: bool) -> None:
    symbols = likely(97, 100)
    values, scales = integers_of("logistic", 100)
    for make, options in (
        (lambda: entropy.Categorical(counts_of(97)), {}),
        (lambda: entropy.Huffman(counts_of(97) + 1), {}),
        (lambda: entropy.ScaleTable("logistic"), {"scales": scales}),
    ):
        model, message = make(), values if options else symbols
        data = entropy.encode(message, make(), **options)
        if is_used:
            entropy.encode(message, model, **options)
        for other in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
            assert entropy.encode(message, other, **options) == data
            assert np.array_equal(entropy.decode(data, other, 100, **options), message)
    for model, codes in ROW_MODELS.values():
        expected = entropy.encode_rows(codes, model)
        for other in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
            assert all(map(np.array_equal, entropy.encode_rows(codes, other), expected))


def test_a_chain_does_not_follow_the_array_that_it_was_made_of() -> None:
    frequencies = np.array([[1, 65535]], np.uint32)
    model = entropy.MarkovChain(frequencies, 1, order=0)
    frequencies[:] = 32768
    assert model.frequencies.tolist() == [[1, 65535]]
    assert model.bits([[0]]).tolist() == [16]


# --- wrong bytes --------------------------------------------------------------------------------------------

NOT_THE_CODE = "not the code of"


def unless_refused(function: Any, *args: Any, **options: Any) -> Any:
    """Call a decoder; return None if it says that these are no code."""
    try:
        return function(*args, **options)
    except ValueError as error:
        if NOT_THE_CODE not in str(error):
            raise
        return None


def wrong_forms(data: bytes) -> list[bytes]:
    """Return bytes that were cut, lengthened and altered."""
    places = RNG.integers(0, len(data), 30)
    altered = [bytearray(data) for _ in places]
    for form, place in zip(altered, places, strict=True):
        form[place] ^= 1 << RNG.integers(8)
    cut = [data[:n] for n in (0, 1, len(data) // 2, len(data) - 1)]
    return [*cut, data + b"\0", data + b"\xff" * 9, *map(bytes, altered)]


@pytest.mark.parametrize("n", [8192, 20_000, 2**20 + 500])
def test_damaged_runs_are_noticed(n: int) -> None:
    # Where no frequency is a power of two: else altered bytes are just another message.
    model = entropy.Categorical((PEAKED * 1e9).astype(np.int64))
    symbols = RNG.choice(256, n, p=PEAKED / PEAKED.sum())
    for wrong in wrong_forms(entropy.encode(symbols, model)):
        with pytest.raises(ValueError, match=NOT_THE_CODE):
            entropy.decode(wrong, model, n)
    data = entropy.encode(symbols, model)
    for other in (n - 1, n + 1, 8191, 2 * n):
        with pytest.raises(ValueError, match=NOT_THE_CODE):
            entropy.decode(data, model, other)
    with pytest.raises(ValueError, match=NOT_THE_CODE):
        entropy.decode(data, CATEGORICAL[256], n)


def test_most_damaged_short_messages_are_noticed() -> None:
    unnoticed = total = 0
    model = entropy.Categorical((PEAKED * 1e9).astype(np.int64))
    for n in (5, 50, 500):
        for wrong in wrong_forms(entropy.encode(RNG.choice(256, n, p=PEAKED / PEAKED.sum()), model)):
            total += 1
            found = unless_refused(entropy.decode, wrong, model, n)
            if found is not None:
                unnoticed += 1
                assert entropy.encode(found, model) == wrong  # another message
    assert unnoticed < total / 2


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300), st.integers(0, 20_000), st.sampled_from(N_SYMBOLS))
def test_any_bytes_are_a_message_or_refused(data: bytes, n: int, n_symbols: int) -> None:
    for model in (CATEGORICAL[n_symbols], HUFFMAN[n_symbols]):
        found = unless_refused(entropy.decode, data, model, n)
        assert found is None or entropy.encode(found, model) == data
    found = unless_refused(entropy.decode, data, SCALES["laplace"], scales=np.arange(n) % 64)
    assert found is None or found.shape == (n,)
    for model, codes in ROW_MODELS.values():
        how: Any = {"n_rows": n, "rows_per_block": max(n, 1)}
        found = unless_refused(entropy.decode_rows, data, [0, len(data)][: 1 + (n > 0)], model, **how)
        assert found is None or found.shape == (n, codes.shape[1])


def test_no_memory_is_taken_for_symbols_that_cannot_be_there() -> None:
    data = b"0123456789"
    skewed = entropy.MarkovChain([[1, 65535]], 1, order=0)
    calls: list[Any] = [
        lambda n: entropy.decode(data, entropy.Categorical([1]), n),
        lambda n: entropy.decode(data, entropy.Categorical([1, 10**12]), n),
        lambda n: entropy.decode(data, entropy.Categorical([10**12] + [1] * 300), n),
        lambda n: entropy.decode(data, entropy.Huffman([1, 1]), n),
        lambda n: entropy.decode(data, entropy.Huffman([1]), (n, 1)),
        lambda n: entropy.decode_rows(data, [0, 10], skewed, n_rows=n, rows_per_block=n),
        lambda n: entropy.decode_rows(data, [0, 10], ROW_MODELS["order 1"][0], n_rows=n, rows_per_block=n),
        lambda n: entropy.decode_rows(data, [0, 10], entropy.Bernoulli([1] * 8), n_rows=n, rows_per_block=n),
    ]
    for call in calls:
        for n in (10**9, 10**12, 2**62):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            tracemalloc.start()
            try:
                with pytest.raises(ValueError, match=f"{NOT_THE_CODE}|rows_per_block must be"):
                    call(n)
                assert tracemalloc.get_traced_memory()[1] < 1 << 20
            finally:
                tracemalloc.stop()
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 16_000  # KiB


# --- wrong arguments that depend on each other --------------------------------------------------------------


def test_what_a_model_does_not_have_is_refused() -> None:
    for model in (CATEGORICAL[97], HUFFMAN[97]):
        for symbols, given_ in (([97], "97"), ([0, -1], "-1"), (np.array([2**63], np.uint64), str(2**63))):
            with pytest.raises(ValueError, match=f"symbols must be from 0 to 96; got {given_}"):
                entropy.encode(symbols, model)
            with pytest.raises(ValueError, match="symbols must be from 0 to 96"):
                model.bits(symbols)
        with pytest.raises(ValueError, match="scales are for a ScaleTable"):
            entropy.encode([0], model, scales=[0])
        with pytest.raises(ValueError, match="scales are for a ScaleTable"):
            entropy.decode(b"", model, 0, scales=[])
    code = entropy.Huffman([3, 0, 1])
    assert code.bits([1]) == np.inf
    with pytest.raises(ValueError, match="symbols has 1 at element 2"):
        entropy.encode([0, 2, 1], code)
    with pytest.raises(ValueError, match="codes has 200 in row 1, column 3"):
        entropy.encode_rows([[0] * 7, [0, 0, 0, 200, 0, 0, 0]], ROW_MODELS["order 1"][0])
    with pytest.raises(ValueError, match="zeros after the 83 bits"):
        entropy.encode_rows(np.full((1, 11), 255, np.uint8), ROW_MODELS["bits"][0])


def test_wrong_scales_are_refused() -> None:
    table = SCALES["gaussian"]
    for scales, words in (
        ([64], "got 64 to 64"),
        ([-1], "got -1 to -1"),
        ([1, 2], r"\(1,\) but scales \(2,\)"),
    ):
        with pytest.raises(ValueError, match=words):
            entropy.encode([0], table, scales=scales)
    for values in ([2**31], [-(2**31) - 1], np.array([2**64 - 1], np.uint64)):
        with pytest.raises(ValueError, match=r"symbols must be from -2\*\*31"):
            entropy.encode(values, table, scales=[0])
    with pytest.raises(ValueError, match="one for each"):
        entropy.decode(b"", table, 2, scales=[0])
    for scale in (np.nan, np.inf, 0.0, -1.0):
        with pytest.raises(ValueError, match=r"scales must be positive and finite.*element 1"):
            table.indices([1.0, scale])


def test_wrong_offsets_are_refused() -> None:
    model, codes = ROW_MODELS["order 0"]
    data, offsets = entropy.encode_rows(codes[:5], model)
    for place, value in ((0, -1), (2, offsets[1] - 1), (5, len(data) + 1), (5, 2**62), (3, -(2**63))):
        wrong = offsets.copy()
        wrong[place] = value
        with pytest.raises(ValueError, match=r"offsets has .* ascending numbers from 0"):
            entropy.decode_rows(data, wrong, model)
    for wrong in (offsets[:-1], offsets[1:], offsets * 0):
        with pytest.raises(ValueError, match=r"offsets|block"):
            entropy.decode_rows(data, wrong, model, n_rows=5)
    with pytest.raises(TypeError, match="n_rows must be the number of encoded rows"):
        entropy.decode_rows(data, offsets, model, rows_per_block=2)
    for rows in ([5], [-6], [0, 2**62]):
        with pytest.raises(IndexError, match=r"rows has .* there are 5 rows"):
            entropy.decode_rows(data, offsets, model, rows=rows)


def test_wrong_frequencies_are_refused() -> None:
    for frequencies in ([[32768, 32767]], [[0, 65536]], [[65537, -1]], [[2**32 + 1, 65535]]):
        with pytest.raises(ValueError, match="frequencies"):
            entropy.MarkovChain(frequencies, 1, order=0)
    with pytest.raises(ValueError, match="frequencies have 2 tables; expected 3"):
        entropy.MarkovChain([[32768, 32768]] * 2, 2)
    for dtype in ("i1", float, bool):
        with pytest.raises(ValueError, match="dtype must hold integers up to 255"):
            entropy.Categorical(np.ones(256, int), dtype=dtype)
