"""MinHash: signatures to the bit, shingles, bands, the theory of estimates."""

from __future__ import annotations

import itertools
import math
import os
import sys
from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import _native, hamming, minhash
from fastcodes.minhash import _sets, _signatures
from helpers import Array, random_codes, run_python, same
from hypothesis import given
from hypothesis import strategies as st

RNG = np.random.default_rng(50)
TOKENS = RNG.integers(0, 2**64, 3000, dtype=np.uint64)
ONES = [False, True]
both_schemes = pytest.mark.parametrize("one_permutation", ONES, ids=["independent", "one permutation"])
Z = 4.5  # standard errors: once in 150000 by chance, and the seeds are fixed


def ragged(lengths: list[int], tokens: Array = TOKENS) -> tuple[Array, Array]:
    """Return sets of these numbers of tokens."""
    offsets = np.append(0, np.cumsum(lengths))
    return np.resize(tokens, offsets[-1]), offsets


# --- signatures to the bit ----------------------------------------------------------------------------------


@both_schemes
@pytest.mark.parametrize("k", [1, 15, 16, 17, 31, 32, 33, 64, 100, 128, 300])
def test_signatures_are_those_of_the_oracle(k: int, one_permutation: bool) -> None:
    lengths = [0, 1, 2, 5, 0, 255, 256, 257, 700, 1, 0]
    tokens, offsets = ragged(lengths)
    for seed in (0, 1, 2**64 - 1):
        found = minhash.signatures(tokens, offsets, n_hashes=k, seed=seed, one_permutation=one_permutation)
        assert found.dtype == np.uint32
        with np.errstate(over="ignore"):
            expected = [
                oracles.minhash(tokens[start:end], k, seed, one_permutation)
                for start, end in itertools.pairwise(offsets)
            ]
        assert np.array_equal(found, expected)


def test_fewer_slots_are_the_first_of_more() -> None:
    tokens, offsets = ragged([50, 3, 400])
    most = minhash.signatures(tokens, offsets, n_hashes=200)
    for k in (1, 16, 40, 128):
        assert np.array_equal(minhash.signatures(tokens, offsets, n_hashes=k), most[:, :k])


@both_schemes
def test_a_signature_depends_on_the_set_alone(one_permutation: bool) -> None:
    tokens = TOKENS[:500]
    forms = [
        tokens,
        tokens[::-1],
        np.tile(tokens, 3),
        tokens.tolist(),
        set(tokens.tolist()),
        frozenset(tokens.tolist()),
        tuple(map(int, tokens)),
        dict.fromkeys(tokens.tolist()),
        (int(token) for token in tokens),
        list(tokens),  # of numpy's integers
        tokens.view(np.int64),
        tokens.view(np.int64).tolist(),
        tokens.astype(">u8"),
        tokens.astype(object),
    ]
    found = minhash.signatures(forms, one_permutation=one_permutation)
    assert np.all(found == found[0])


def test_large_and_odd_sets() -> None:
    lengths = [2_100_000, 1, 0, 1_200_000]
    tokens = np.arange(sum(lengths), dtype=np.uint64)
    offsets = np.append(0, np.cumsum(lengths))
    tokens[lengths[0] + 1 :] = 7  # one token a million times
    for one_permutation in ONES:
        found = minhash.signatures(tokens, offsets, n_hashes=6, one_permutation=one_permutation)
        with np.errstate(over="ignore"):
            assert np.array_equal(found[0], oracles.minhash(tokens[: lengths[0]], 6, 0, one_permutation))
            assert np.array_equal(found[3], oracles.minhash([7], 6, 0, one_permutation))
        assert np.all(found[2] == 2**32 - 1)
    huge = "x" * 5_000_000
    assert minhash.signatures([[huge], [huge + "y"]], n_hashes=64).shape == (2, 64)
    assert np.all(minhash.cdist(*[minhash.signatures([[huge]])] * 2) == 0)


def test_empty_inputs() -> None:
    assert minhash.signatures([]).shape == (0, 128)
    assert minhash.text_signatures([]).shape == (0, 128)
    assert minhash.signatures(np.zeros(0, np.uint64), [0]).shape == (0, 128)
    assert np.all(minhash.signatures([[], ()], n_hashes=5) == 2**32 - 1)
    assert np.all(minhash.text_signatures(["", " .,! "], n_hashes=5) == 2**32 - 1)
    assert [part.tolist() for part in minhash.tokens([])] == [[], [0]]
    assert [part.tolist() for part in minhash.shingles([])] == [[], [0]]
    assert minhash.pack(np.zeros((0, 9), np.uint32), 3).shape == (0, 6)
    assert minhash.cdist(np.zeros((0, 9), np.uint32), np.zeros((4, 9), np.uint32)).shape == (0, 4)
    assert minhash.paired(np.zeros((2, 9), np.uint32), np.zeros((4, 9), np.uint32), [], []).shape == (0,)


# --- tokens and shingles ------------------------------------------------------------------------------------


def test_tokens_are_xxh3() -> None:
    xxhash = pytest.importorskip("xxhash")
    strings = ["", "a", "ab", "ü", "日本語", "😀" * 50, *("x" * n for n in range(300)), "y" * 5000]
    encoded = [string.encode() for string in strings]
    expected = [xxhash.xxh3_64_intdigest(part) for part in encoded]
    for form in (strings, encoded, tuple(strings)):
        tokens, offsets = minhash.tokens([form, form[:3]])
        assert tokens.tolist() == expected + expected[:3]
        assert offsets.tolist() == [0, len(strings), len(strings) + 3]


def test_the_token_of_a_str_stays_what_it_is() -> None:
    # XXH3 of 64 bits as its authors publish it.
    tokens, _ = minhash.tokens([["", "a"], [b"a", -1, 2**64 - 1, 0, True, np.int8(-1)]])
    assert tokens[0] == 0x2D06800538D394C2
    assert tokens[1] == tokens[2] == 0xE6C632B61E964E1F
    assert tokens[3:].tolist() == [2**64 - 1, 2**64 - 1, 0, 1, 2**64 - 1]


ALPHABET = st.sampled_from("aAbB12_ .,\t\n-éÉßñ日本😀\u00a0")


@given(st.text(ALPHABET, max_size=60), st.integers(1, 6), st.sampled_from(["word", "char"]), st.booleans())
def test_shingles_are_those_of_the_oracle(text: str, size: int, unit: Any, lowercase: bool) -> None:
    texts = [text, "", text * 40]
    tokens, offsets = minhash.shingles(texts, size=size, unit=unit, lowercase=lowercase)
    wanted = minhash.tokens([oracles.shingles(text, size, unit, lowercase) for text in texts])
    assert same((tokens, offsets), wanted)
    options = {"size": size, "unit": unit, "lowercase": lowercase}
    found = minhash.text_signatures(texts, n_hashes=20, **options)
    assert same(found, minhash.signatures(*wanted, n_hashes=20))


def test_many_texts_are_hashed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"text number {i} of some, {i % 7}" for i in range(100)]
    sets = [text.split() for text in texts]
    wanted = minhash.shingles(texts), minhash.text_signatures(texts), minhash.signatures(sets)
    for module in (_sets, _signatures):
        monkeypatch.setattr(module, "TEXTS_PER_BLOCK", 7)
    monkeypatch.setattr(_signatures, "_TOKENS_PER_BLOCK", 11)
    assert same(minhash.shingles(texts), wanted[0])
    assert same(minhash.text_signatures(texts), wanted[1])
    assert same(minhash.signatures(sets), wanted[2])
    with pytest.raises(TypeError, match=r"^text 99 must be a str; got 5 of type int"):
        minhash.text_signatures([*texts[:99], 5])
    with pytest.raises(TypeError, match=r"^set 99 has None of type NoneType; expected tokens"):
        minhash.signatures([*sets[:99], [None]])


@pytest.mark.parametrize(
    ("sets", "error", "words"),
    [
        (["text"], TypeError, "set 0 must be a list, set or other collection .* got 'text' of type str"),
        ([[1], b"bytes"], TypeError, "set 1 must be a list"),
        ([[1], 5], TypeError, "set 1 must be a list, set or other .* got 5 of type int"),
        ([[1.5]], TypeError, "set 0 has 1.5 of type float; expected tokens that are str, bytes or integers"),
        ([["a"], ["b", ["c"]]], TypeError, r"set 1 has \['c'\] of type list"),
        ([np.zeros(3)], TypeError, "set 0 has .*float64"),
        ([np.zeros((3, 3), int)], ValueError, "set 0 must have one dimension"),
        ([[2**64]], ValueError, f"set 0 has {2**64}; expected integers from -2"),
        ([["ok"], ["\ud800"]], ValueError, "set 1 has a str with a lone surrogate"),
        ("text", TypeError, "sets must be a list or other sequence of collections"),
        (7, TypeError, "sets must be a list or other sequence of collections"),
    ],
)
def test_sets_of_other_types_are_errors(sets: Any, error: type[Exception], words: str) -> None:
    for function in (minhash.tokens, minhash.signatures):
        with pytest.raises(error, match=f"^{words}"):
            function(sets)


def test_errors_within_an_iteration_reach_the_caller() -> None:
    def broken() -> Any:
        yield "a"
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        minhash.signatures([["b"], broken()])
    with pytest.raises(ValueError, match="text 1 has a lone surrogate"):
        minhash.shingles(["fine", "\udc80"])


# --- bands --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "n_bands", "n_rows"), [(1, 1, 1), (128, 14, 9), (128, 128, 1), (13, 4, 3), (9, 1, 9)]
)
def test_band_keys_are_those_of_the_oracle(k: int, n_bands: int, n_rows: int) -> None:
    for n in (0, 1, 2, 5000):
        rows = RNG.integers(0, 2**32, (n, k), dtype=np.uint32)
        rows[::2] %= np.uint32(2)  # few different ones
        expected = oracles.band_keys(rows, n_bands, n_rows)
        for threads in (1, 2):
            assert same(minhash.band_keys(rows, n_bands, n_rows, threads=threads), expected)
        out = np.empty((n, n_bands), np.uint64)
        assert minhash.band_keys(rows, n_bands, n_rows, out=out) is out
        assert same(out, expected)
    for wrong in ((k + 1, 1), (1, k + 1)):
        with pytest.raises(ValueError, match=f"bands of {wrong[1]} rows do not fit signatures of {k} hashes"):
            minhash.band_keys(rows, *wrong)


def test_rows_with_a_key_in_common_agree_in_a_band() -> None:
    rows = RNG.integers(0, 2, (300, 13), dtype=np.uint32)
    keys, bands = minhash.band_keys(rows, 3, 4), rows[:, :12].reshape(300, 3, 4)
    assert np.array_equal(keys[:, None] == keys, (bands[:, None] == bands).all(axis=-1))


# --- theory -------------------------------------------------------------------------------------------------


def pairs_of_sets(union: int, common: int, n_pairs: int, kind: str) -> tuple[Array, Array]:
    """Return pairs of sets, 2 p and 2 p + 1, with `union` tokens together and `common` in both."""
    if kind == "random":
        tokens = np.random.default_rng([union, common]).integers(0, 2**64, (n_pairs, union), dtype=np.uint64)
    elif kind == "consecutive":
        tokens = np.arange(n_pairs * union, dtype=np.uint64).reshape(n_pairs, union)
    else:  # many zeros below
        tokens = np.arange(n_pairs * union, dtype=np.uint64).reshape(n_pairs, union) << np.uint64(40)
    first = common + (union - common) // 2
    rows = np.concatenate([tokens[:, :first], tokens[:, :common], tokens[:, first:]], axis=1)
    lengths = np.tile([first, union - first + common], n_pairs)
    return rows.reshape(-1), np.append(0, np.cumsum(lengths))


def shares(found: Array) -> Array:
    """Return the share of slots in which each pair agrees."""
    return (found[0::2] == found[1::2]).mean(axis=1)


def check_mean(values: Array, mean: float, label: Any) -> None:
    error = values.std() / math.sqrt(len(values))
    assert abs(values.mean() - mean) < Z * max(error, 1e-12), (label, values.mean(), mean, error)


def variance_ratio(values: Array, variance: float) -> tuple[float, float]:
    """Return the variance as a multiple of what it should be, and the standard error of that."""
    deviations = (values - values.mean()) ** 2
    return deviations.mean() / variance, deviations.std() / math.sqrt(len(values)) / variance


SHAPES = [(2, 1, 6000), (3, 1, 6000), (5, 4, 6000), (20, 10, 4000), (100, 80, 3000), (1000, 300, 1000)]


@pytest.mark.parametrize("kind", ["random", "consecutive", "shifted"])
@pytest.mark.parametrize(("union", "common", "n_pairs"), SHAPES)
def test_estimates_have_no_bias_and_the_variance_of_independent_functions(
    union: int, common: int, n_pairs: int, kind: str
) -> None:
    k, similarity = 128, common / union
    variance = similarity * (1 - similarity) / k
    found = minhash.signatures(*pairs_of_sets(union, common, n_pairs, kind), n_hashes=k, seed=union)
    check_mean(shares(found), similarity, kind)
    ratio, error = variance_ratio(shares(found), variance)
    assert abs(ratio - 1) < Z * error, (ratio, error)


def test_pairs_of_slots_are_independent() -> None:
    # Over many sets, the agreement of each slot is compared with that of each other, also of those that share
    # a multiplier.
    found = minhash.signatures(*pairs_of_sets(8, 4, 40_000, "consecutive"), n_hashes=96)
    agree = (found[0::2] == found[1::2]) - 0.5
    correlations = 4 * agree.T @ agree / len(agree) - np.eye(96)
    assert abs(correlations).max() < 5.3 / math.sqrt(len(agree))  # the largest of 4560
    assert abs(correlations.std() * math.sqrt(len(agree)) - 1) < 0.1


@pytest.mark.parametrize("kind", ["random", "consecutive"])
@pytest.mark.parametrize(("union", "common", "n_pairs"), SHAPES)
def test_one_permutation_has_no_bias(union: int, common: int, n_pairs: int, kind: str) -> None:
    k, similarity = 128, common / union
    sets = pairs_of_sets(union, common, n_pairs, kind)
    found = shares(minhash.signatures(*sets, n_hashes=k, seed=3, one_permutation=True))
    check_mean(found, similarity, kind)
    ratio, error = variance_ratio(found, similarity * (1 - similarity) / k)
    # Tokens are shared out without repetition; few of them fill few slots.
    assert ratio < 1 + Z * error if union >= 4 * k else ratio < 2 * (k / union + 1)


@pytest.mark.parametrize("n_bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize(("union", "common"), [(4, 0), (5, 4), (300, 150), (1000, 900)])
@both_schemes
def test_few_bits_have_no_bias_and_the_variance_of_the_formula(
    union: int, common: int, n_bits: int, one_permutation: bool
) -> None:
    k, similarity, n_pairs = 128, common / union, 2000
    sets = pairs_of_sets(union, common, n_pairs, "consecutive")
    signatures = minhash.signatures(*sets, n_hashes=k, one_permutation=one_permutation)
    codes = minhash.pack(signatures, n_bits)
    rows = np.arange(0, 2 * n_pairs, 2)
    differing = minhash.paired(codes, codes, rows, rows + 1, n_bits=n_bits)
    found, errors = minhash.estimate(differing, k, n_bits=n_bits)
    check_mean(found, similarity, n_bits)
    by_chance = 0.5**n_bits
    share = by_chance + (1 - by_chance) * similarity
    variance = share * (1 - share) / k / (1 - by_chance) ** 2
    ratio, error = variance_ratio(found, variance)
    if not one_permutation:
        assert abs(ratio - 1) < Z * max(error, 0.02), (ratio, error)
    elif union >= 4 * k:
        assert ratio < 1 + Z * error, (ratio, error)
    # The standard errors that users are told are these, but for the estimate in place of the truth.
    if variance * k > 0.05:
        assert abs(np.sqrt((errors**2).mean()) / math.sqrt(variance) - 1) < 0.1


# --- bits, slots, exact similarities ------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 7, 8, 9, 64, 100, 128])
@pytest.mark.parametrize("n_bits", [1, 2, 3, 7, 16])
def test_packed_slots_are_those_of_the_oracle(k: int, n_bits: int) -> None:
    rows = RNG.integers(0, 2**32, (30, k), dtype=np.uint32)
    codes = minhash.pack(rows, n_bits)
    assert same(codes, oracles.minhash_pack(rows, n_bits), (np.dtype(np.uint8),))
    # Few different ones, so that many agree.
    rows = rows % 3 * np.uint32(0x1001)
    codes, kept = minhash.pack(rows, n_bits), rows & np.uint32(2**n_bits - 1)
    expected = (kept[:9, None] != kept).sum(axis=-1)
    assert same(minhash.cdist(codes[:9], codes, n_bits=n_bits), expected.astype(np.int32))
    assert same(minhash.cdist(rows[:9], rows), (rows[:9, None] != rows).sum(axis=-1).astype(np.int32))
    i, j = np.divmod(RNG.integers(0, 9 * 30, 500), 30)
    assert np.array_equal(minhash.paired(codes[:9], codes, i, j, n_bits=n_bits), expected[i, j])
    assert np.array_equal(minhash.paired(rows[:9], rows, i, j), (rows[i] != rows[j]).sum(axis=-1))


def test_slots_of_one_bit_are_codes_of_the_hamming_family() -> None:
    texts = ["a b c d e", "a b c d f", "z y x w v u t"]
    codes = minhash.pack(minhash.text_signatures(texts, n_hashes=100), 1)
    assert np.array_equal(hamming.cdist(codes, codes), minhash.cdist(codes, codes, n_bits=1))


def test_the_slots_of_large_sets_use_all_their_bits() -> None:
    # The minima of a million tokens have twenty zeros above.
    tokens = np.arange(4_000_000, dtype=np.uint64)
    found = minhash.signatures(tokens, [0, 2_000_000, 4_000_000], n_hashes=2048)
    for shift in (0, 8, 24, 31):
        ones = (found >> np.uint32(shift) & 1).mean()
        assert abs(ones - 0.5) < Z * 0.5 / math.sqrt(found.size), shift


@given(st.lists(st.lists(st.integers(0, 12), max_size=15), min_size=1, max_size=6))
def test_exact_similarities_are_those_of_python(sets: list[list[int]]) -> None:
    i, j = np.indices((len(sets), len(sets))).reshape(2, -1)
    expected = [
        len(set(sets[x]) & set(sets[y])) / len({*sets[x], *sets[y]}) if sets[x] or sets[y] else 1
        for x, y in zip(i, j, strict=True)
    ]
    assert same(minhash.jaccard(sets, sets, i, j), np.array(expected, np.float32))
    assert same(minhash.jaccard(minhash.tokens(sets), sets, i, j), np.array(expected, np.float32))


def test_bands_are_chosen_by_the_weighted_areas() -> None:
    assert minhash.band_shape(1, 0.5) == (1, 1)
    for k, threshold, weights in [(128, 0.8, (0.5, 0.5)), (64, 0.5, (0.1, 0.9)), (20, 0.9, (0.9, 0.1))]:
        s = (np.arange(20_000) + 0.5) / 20_000

        def cost(b: int, r: int, s: Array = s, t: float = threshold, w: Any = weights) -> float:
            curve = 1 - (1 - s**r) ** b
            return float(np.mean(np.where(s < t, w[0] * curve, w[1] * (1 - curve))))

        costs = {(b, r): cost(b, r) for r in range(1, k + 1) for b in range(1, k // r + 1)}
        assert costs[minhash.band_shape(k, threshold, weights=weights)] < min(costs.values()) * 1.001
    # datasketch chooses the same where misses and inventions weigh alike.
    assert minhash.band_shape(128, 0.8, weights=(0.5, 0.5)) == (9, 13)


# --- levels, layouts, memory --------------------------------------------------------------------------------

LEVELS = """
import numpy as np
from fastcodes import minhash
tokens = np.arange(30_000, dtype=np.uint64) * np.uint64(0x123456789)
offsets = np.append(0, np.cumsum(np.arange(240)))
parts = []
for k in (1, 31, 64, 128, 200):
    for one in (False, True):
        rows = minhash.signatures(tokens[:offsets[-1]], offsets, n_hashes=k, one_permutation=one)
        codes = minhash.pack(rows, 5)
        parts += [rows, codes, minhash.cdist(rows[:20], rows), minhash.cdist(codes[:20], codes, n_bits=5)]
print(hash(b"".join(part.tobytes() for part in parts)))
"""


def test_the_answer_does_not_depend_on_the_level() -> None:
    environment = {"PYTHONHASHSEED": "0"}
    answers = {run_python(LEVELS, environment | {"FASTCODES_LEVEL": level}) for level in _native.levels()}
    assert len(answers) == 1


def test_tokens_and_offsets_of_other_dtypes_and_layouts() -> None:
    tokens, offsets = ragged([5, 0, 40, 100])
    wanted = minhash.signatures(tokens, offsets)
    double = np.repeat(tokens, 2)
    for form in (double[::2], tokens.astype(">u8"), tokens[::-1].copy()[::-1], tokens.view(np.int64)):
        for ends in (offsets, offsets.astype(np.uint8), offsets.astype(">i4"), offsets.tolist()):
            assert np.array_equal(minhash.signatures(form, ends), wanted)
    small = np.arange(145, dtype=np.uint8)
    assert np.array_equal(
        minhash.signatures(small, offsets), minhash.signatures(small.astype(np.uint64), offsets)
    )
    out = np.empty_like(wanted)
    assert minhash.signatures(tokens, offsets, out=out) is out
    assert np.array_equal(out, wanted)


MEMORY = """
import numpy as np
from fastcodes import minhash
{setup}
def status(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))
before = status("VmRSS")
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
result = {call}
print((status("VmHWM") - before - result.nbytes) / 2**20)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("setup", "call"),
    [
        (
            "tokens = np.arange(10_000_000, dtype=np.uint64); offsets = np.arange(0, 10_000_001, 1000)",
            "minhash.signatures(tokens, offsets)",
        ),
        ("tokens = np.arange(10_000_000, dtype=np.uint64)", "minhash.signatures(tokens, [0, 10_000_000])"),
        ("sets = [list(range(i, i + 1000)) for i in range(1500)]", "minhash.signatures(sets)"),
        (
            "texts = [' '.join(map(str, range(i, i + 1000))) for i in range(5000)]",
            "minhash.text_signatures(texts)",
        ),
        ("rows = np.zeros((100_000, 128), np.uint32)", "minhash.pack(rows, 8)"),
        ("rows = np.zeros((2000, 128), np.uint32)", "minhash.cdist(rows, rows)"),
    ],
)
def test_signatures_take_little_additional_memory(setup: str, call: str) -> None:
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("the peak cannot be reset here")
    assert float(run_python(MEMORY.format(setup=setup, call=call))) < 8


def test_rows_of_signatures_may_lie_apart() -> None:
    rows = RNG.integers(0, 3, (40, 33), dtype=np.uint32)
    wanted = minhash.cdist(rows, rows)
    assert np.array_equal(minhash.cdist(np.repeat(rows, 2, axis=0)[::2], np.asfortranarray(rows)), wanted)
    wide = np.zeros((40, 50), np.uint32)
    wide[:, 5:38] = rows
    assert np.array_equal(minhash.cdist(wide[:, 5:38], rows), wanted)
    assert np.array_equal(minhash.cdist(rows[3], rows), wanted[3:4])
    assert minhash.cdist(random_codes(3, 6), random_codes(4, 6), n_bits=3).shape == (3, 4)


def test_unions_of_signatures_are_signatures_of_unions() -> None:
    rng = np.random.default_rng(8)
    a = [rng.integers(0, 60, rng.integers(0, 40)) for _ in range(50)] + [[], [], [1]]
    b = [rng.integers(0, 60, rng.integers(0, 40)) for _ in range(50)] + [[], [1], []]
    united = [np.concatenate([x, y]).astype(np.int64) for x, y in zip(a, b, strict=True)]
    for n_hashes in (1, 33, 128):
        first, second, expected = (minhash.signatures(x, n_hashes=n_hashes, seed=5) for x in (a, b, united))
        assert same(minhash.union(first, second), expected)
        assert not np.array_equal(np.minimum(first, second), expected) or n_hashes == 1
