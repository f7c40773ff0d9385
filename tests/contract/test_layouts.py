"""Arrays as users have them, wherever their elements lie: the same answer as for a contiguous copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import adc, bits, entropy, hadamard, hamming, jaccard, minhash, rabitq, xnor
from helpers import Array, Family, both_families, pq_codes, pq_tables, random_codes, same
from numpy.lib.stride_tricks import as_strided


class Subclass(np.ndarray[Any, Any]):
    """An array of another class."""


class Unreliable(np.ndarray[Any, Any]):
    """An array whose methods do something else."""

    def copy(self, *args: Any, **kwargs: Any) -> Any:
        """Return too little."""
        return np.zeros(1, self.dtype)

    def astype(self, *args: Any, **kwargs: Any) -> Any:
        """Return too little."""
        return np.zeros(1, np.int64)


def read_only(x: Array) -> Array:
    x = x.copy()
    x.flags.writeable = False
    return x


def inside(x: Array, index: Any, shape: tuple[int, ...]) -> Array:
    """Put `x` into the given places of a larger array whose other places hold something else."""
    large = np.full(shape, 170, np.uint8).astype(x.dtype)
    large[index] = x
    return large[index]


def bytes_at_odd_address(x: Array) -> Array:
    return np.frombuffer(b"\xff" + x.tobytes(), np.uint8, offset=1).view(x.dtype).reshape(x.shape)


def field(x: Array) -> Array:
    records = np.zeros(len(x), [("pad", "u1"), ("code", x.dtype, x.shape[1:]), ("more", "u1")])
    records["code"] = x
    return records["code"]


def memmap(x: Array, path: Path, mode: Any) -> Array:
    with path.open("wb") as file:
        file.write(b"abc" + x.tobytes())
    return np.memmap(path, x.dtype, mode, offset=3, shape=x.shape)


Layout = Callable[[Array, Path], Array]
LAYOUTS: dict[str, Layout] = {
    "read-only": lambda x, _: read_only(x),
    "every other row": lambda x, _: inside(x, np.s_[1::2], (2 * len(x) + 1, *x.shape[1:])),
    "some columns": lambda x, _: inside(x, np.s_[..., 3:-2], (*x.shape[:-1], x.shape[-1] + 5)),
    "every third column": lambda x, _: inside(x, np.s_[..., ::3], (*x.shape[:-1], 3 * x.shape[-1])),
    "rows backwards": lambda x, _: x[::-1].copy()[::-1],
    "columns backwards": lambda x, _: x[..., ::-1].copy()[..., ::-1],
    "all backwards": lambda x, _: np.flip(np.flip(x).copy()),
    "Fortran order": lambda x, _: np.asfortranarray(x),
    "odd address": lambda x, _: bytes_at_odd_address(x),
    "field of records": lambda x, _: field(x),
    "memory map, read-only": lambda x, path: memmap(x, path / "codes", "r"),
    "memory map, copy on write": lambda x, path: memmap(x, path / "codes", "c"),
    "subclass": lambda x, _: x.view(Subclass),
    "subclass with other methods": lambda x, _: np.asfortranarray(x).view(Unreliable),
    "matrix of three dimensions": lambda x, _: np.stack([x, x], axis=1)[:, 1],
}
layouts = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())

CODES = random_codes(40, 11)
QUERIES = random_codes(6, 11, seed=1)
WORDS = random_codes(40, 16)  # fit whole words

# Every public function as a function of one array.
FUNCTIONS: dict[str, tuple[Callable[[Array], Any], Array]] = {}
for _name, _module, _radius in (("hamming", hamming, 40), ("jaccard", jaccard, 0.6)):
    FUNCTIONS |= {
        f"{_name}.knn, queries": (lambda x, m=_module: m.knn(x, CODES, 7), QUERIES),
        f"{_name}.knn, one query": (lambda x, m=_module: m.knn(x[:1], CODES, 7), QUERIES),
        f"{_name}.knn, codes": (lambda x, m=_module: m.knn(QUERIES, x, 7), CODES),
        f"{_name}.knn, codes, one query": (lambda x, m=_module: m.knn(QUERIES[:1], x, 7), CODES),
        f"{_name}.knn, codes, mask": (
            lambda x, m=_module: m.knn(QUERIES, x, 7, mask=np.arange(0, 40, 3)),
            CODES,
        ),
        f"{_name}.radius, queries": (lambda x, m=_module, r=_radius: m.radius(x, CODES, r), QUERIES),
        f"{_name}.radius, codes": (lambda x, m=_module, r=_radius: m.radius(QUERIES, x, r), CODES),
        f"{_name}.cdist, a": (lambda x, m=_module: m.cdist(x, CODES), QUERIES),
        f"{_name}.cdist, b": (lambda x, m=_module: m.cdist(QUERIES, x), CODES),
        f"{_name}.pairs, codes": (lambda x, m=_module, r=_radius: m.pairs(x, r), CODES),
        f"{_name}.groups, codes": (lambda x, m=_module, r=_radius: m.groups(x, r), CODES),
        f"{_name}.pairs, words": (lambda x, m=_module, r=_radius: m.pairs(x, r), WORDS),
    }
for _dtype in ("float16", "float32", "float64", "int8", "uint8", "bool", "int64"):
    _x = np.random.default_rng(6).standard_normal((40, 77)).astype(_dtype)
    FUNCTIONS[f"bits.pack, x of {_dtype}"] = (bits.pack, _x)
    FUNCTIONS[f"bits.pack, x of {_dtype} in one row"] = (lambda x: bits.pack(x.reshape(-1)), _x)
_thresholds = np.linspace(-1, 1, 77, dtype=np.float32)
_values = np.random.default_rng(7).integers(0, 8, (40, 9))
FUNCTIONS |= {
    "bits.pack, threshold": (
        lambda t: bits.pack(np.tile(_thresholds[::-1], (3, 1)), threshold=t),
        _thresholds,
    ),
    "bits.unpack, codes": (lambda x: bits.unpack(x, 85), CODES),
    "bits.unpack, codes to float": (lambda x: bits.unpack(x, 85, dtype=np.float32, values=(-1, 1)), CODES),
    "bits.popcount, codes": (bits.popcount, CODES),
    "bits.pack_uint, values of uint8": (lambda x: bits.pack_uint(x, 3), _values.astype(np.uint8)),
    "bits.pack_uint, values of uint16": (lambda x: bits.pack_uint(x, 11), _values.astype(np.uint16)),
    "bits.pack_uint, values of int64": (lambda x: bits.pack_uint(x, 3), _values),
    "bits.unpack_uint, packed": (lambda x: bits.unpack_uint(x, 3, 29), CODES),
}
_tables, _parts = pq_tables(3, 11, 16), pq_codes(40, 11, 16)
_many_parts = pq_codes(9000, 11, 16)  # several blocks, most of them bounded
_books = np.random.default_rng(8).standard_normal((7, 20, 11)).astype(np.float32)
_vectors = np.random.default_rng(9).standard_normal((40, 77)) * 3
_signs, _many_bits = random_codes(40, 10, seed=5), random_codes(9000, 10, seed=5)
FUNCTIONS |= {
    "adc.scan, tables": (lambda t: adc.scan(t, _parts), _tables),
    "adc.scan, codes": (lambda x: adc.scan(_tables, x), _parts),
    "adc.knn, tables": (lambda t: adc.knn(t, _parts, 7), _tables),
    "adc.knn, one table": (lambda t: adc.knn(t[1], _parts, 7), _tables),
    "adc.knn, tables, packed": (lambda t: adc.knn(t, adc.PackedCodes(_parts, n_codewords=16), 7), _tables),
    "adc.knn, codes": (lambda x: adc.knn(_tables, x, 7), _parts),
    "adc.knn, many codes": (lambda x: adc.knn(_tables, x, 7), _many_parts),
    "adc.knn, codes, mask": (lambda x: adc.knn(_tables, x, 7, mask=np.arange(0, 40, 3)), _parts),
    "adc.radius, tables": (lambda t: adc.radius(t, _parts, 0.0), _tables),
    "adc.radius, codes": (lambda x: adc.radius(_tables, x, 0.0), _parts),
    "adc.PackedCodes, codes": (lambda x: adc.PackedCodes(x).unpack(), _parts),
    "adc.PackedCodes, codes, nibbles": (lambda x: adc.PackedCodes(x, n_codewords=16).unpack(), _parts),
    "adc.PackedCodes.append, codes": (lambda x: adc.knn(_tables, _appended(x), 80), _parts),
    "adc.tables, codebooks": (lambda b: adc.tables(_vectors, b), _books),
    "adc.encode, codebooks": (lambda b: adc.encode(_vectors, b), _books),
}
for _dtype in ("float16", "float32", "float64", "uint8", "int64", "bool"):
    _x = abs(_vectors).astype(_dtype)
    FUNCTIONS[f"adc.tables, queries of {_dtype}"] = (lambda x: adc.tables(x, _books), _x)
    FUNCTIONS[f"adc.tables, one query of {_dtype}"] = (lambda x: adc.tables(x[3], _books), _x)
    FUNCTIONS[f"adc.encode, x of {_dtype}"] = (lambda x: adc.encode(x, _books), _x)
    FUNCTIONS[f"adc.encode, one x of {_dtype}"] = (lambda x: adc.encode(x[3], _books), _x)
_rotations = hadamard.signs(77, 200, random_state=0)
FUNCTIONS |= {
    "hamming.asymmetric_knn, codes": (lambda x: hamming.asymmetric_knn(_vectors[:3], x, 7), _signs),
    "hamming.asymmetric_knn, many codes": (lambda x: hamming.asymmetric_knn(_vectors[:3], x, 7), _many_bits),
    "hadamard.project, signs": (lambda s: hadamard.project(_vectors, s, 200), _rotations),
    "hadamard.pack, signs": (lambda s: hadamard.pack(_vectors, s, 200), _rotations),
}
for _dtype in ("float16", "float32", "float64", "uint8", "int64", "bool"):
    _x = abs(_vectors).astype(_dtype)
    FUNCTIONS |= {
        f"hamming.asymmetric_knn, queries of {_dtype}": (
            lambda x: hamming.asymmetric_knn(x, _signs, 7),
            _x,
        ),
        f"hadamard.project, x of {_dtype}": (lambda x: hadamard.project(x, _rotations, 200), _x),
        f"hadamard.pack, x of {_dtype}": (lambda x: hadamard.pack(x, _rotations, 200), _x),
        f"hadamard.pack, one x of {_dtype}": (lambda x: hadamard.pack(x[3], _rotations, 200), _x),
    }


_rounds = hadamard.rotation_signs(77, random_state=0)
_rotated = hadamard.rotate(_vectors, _rounds)
_one_bit, _four_bits = (rabitq.encode(_rotated, n_bits=n_bits) for n_bits in (1, 4))
_many_codes, _many_factors = random_codes(900, 10), np.random.default_rng(15).random((900, 2), np.float32)
FUNCTIONS |= {
    "hadamard.rotate, signs": (lambda s: hadamard.rotate(_vectors[:, :64], s), _rounds),
    "hadamard.rotate_back, x": (lambda x: hadamard.rotate_back(x, _rounds, 77), _rotated),
    "rabitq.decode, codes": (lambda x: rabitq.decode(x, _one_bit[1]), _one_bit[0]),
    "rabitq.decode, factors": (lambda f: rabitq.decode(_one_bit[0], f), _one_bit[1]),
    "rabitq.errors, codes": (lambda x: rabitq.errors(x, _four_bits[1], n_bits=4), _four_bits[0]),
    "rabitq.scan, codes": (lambda x: rabitq.scan(_rotated, x, _one_bit[1]), _one_bit[0]),
    "rabitq.scan, factors": (lambda f: rabitq.scan(_rotated, _one_bit[0], f), _one_bit[1]),
    "rabitq.knn, queries": (lambda q: rabitq.knn(q, *_one_bit, 7), _rotated),
    "rabitq.knn, many codes": (lambda x: rabitq.knn(_rotated, x, _many_factors, 7), _many_codes),
    "rabitq.knn, codes, mask": (
        lambda x: rabitq.knn(_rotated, x, _four_bits[1], 7, n_bits=4, mask=np.arange(0, 40, 3)),
        _four_bits[0],
    ),
    "rabitq.radius, codes": (
        lambda x: rabitq.radius(_rotated, x, _four_bits[1], 900.0, n_bits=4),
        _four_bits[0],
    ),
    "rabitq.radius, offsets": (
        lambda o: rabitq.radius(_rotated, *_one_bit, 900.0, offsets=o),
        np.arange(40, dtype=np.float32),
    ),
    "rabitq.cdist, a": (
        lambda x: rabitq.cdist(x, _four_bits[1], *_four_bits, n_bits=4),
        _four_bits[0],
    ),
    "rabitq.cdist, b_factors": (
        lambda f: rabitq.cdist(*_four_bits, _four_bits[0], f, n_bits=4),
        _four_bits[1],
    ),
}
for _dtype in ("float16", "float32", "float64", "uint8", "int64", "bool"):
    _x = abs(_rotated).astype(_dtype)
    FUNCTIONS |= {
        f"hadamard.rotate, x of {_dtype}": (lambda x: hadamard.rotate(x, _rounds), _x),
        f"rabitq.encode, x of {_dtype}": (lambda x: rabitq.encode(x, n_bits=3), _x),
        f"rabitq.scan, queries of {_dtype}": (lambda x: rabitq.scan(x, *_one_bit), _x),
        f"rabitq.scan, one query of {_dtype}": (lambda x: rabitq.scan(x[3], *_one_bit), _x),
    }


_slots = np.random.default_rng(12).integers(0, 3, (40, 21), np.uint32)
_slot_codes = minhash.pack(_slots, 3)
_tokens = np.random.default_rng(13).integers(0, 2**64, 400, np.uint64)
_offsets = np.sort(np.random.default_rng(14).integers(0, 400, 40))
FUNCTIONS |= {
    "minhash.signatures, tokens": (lambda x: minhash.signatures(x, [0, 3, 3, 400]), _tokens),
    "minhash.signatures, offsets": (lambda x: minhash.signatures(_tokens, x), _offsets),
    "minhash.signatures, one set": (lambda x: minhash.signatures([x]), _tokens),
    "minhash.pack, signatures": (lambda x: minhash.pack(x, 3), _slots),
    "minhash.band_keys, signatures": (lambda x: minhash.band_keys(x, 4, 5), _slots),
    "minhash.cdist, a": (lambda x: minhash.cdist(x, _slots), _slots),
    "minhash.cdist, b of codes": (lambda x: minhash.cdist(_slot_codes[:7], x, n_bits=3), _slot_codes),
    "minhash.paired, a": (lambda x: minhash.paired(x, _slots, range(40), range(40)), _slots[::-1]),
    "minhash.paired, i": (lambda x: minhash.paired(_slots, _slots, x % 40, range(40)), _offsets),
    "minhash.jaccard, i": (lambda x: minhash.jaccard([_tokens], [_tokens], x * 0, x * 0), _offsets),
}


_chain, _bernoulli = entropy.MarkovChain.fit(_slot_codes), entropy.Bernoulli.fit(_slot_codes)
_blocks, _ends = entropy.encode_rows(_slot_codes, _chain)
_symbols = np.random.default_rng(16).integers(0, 90, (40, 300))
_categorical, _scale_table = entropy.Categorical.fit(_symbols), entropy.ScaleTable()
_message = np.frombuffer(entropy.encode(_symbols, _categorical), np.uint8)
FUNCTIONS |= {
    "entropy.encode_rows, codes": (lambda x: entropy.encode_rows(x, _chain), _slot_codes),
    "entropy.encode_rows, bits": (lambda x: entropy.encode_rows(x, _bernoulli), _slot_codes),
    "entropy.MarkovChain.fit": (lambda x: entropy.MarkovChain.fit(x).frequencies, _slot_codes),
    "entropy.MarkovChain.bits": (_chain.bits, _slot_codes),
    "entropy.Bernoulli.fit": (lambda x: entropy.Bernoulli.fit(x).ones, _slot_codes),
    "entropy.decode, data": (lambda x: entropy.decode(x, _categorical, 12_000), _message),
    "entropy.decode_rows, data": (lambda x: entropy.decode_rows(x, _ends, _chain), _blocks),
    "entropy.decode_rows, offsets": (lambda x: entropy.decode_rows(_blocks, x, _chain), _ends),
    "entropy.decode_rows, rows": (
        lambda x: entropy.decode_rows(_blocks, _ends, _chain, rows=x),
        np.arange(40),
    ),
}
for _dtype in ("uint8", "int16", "uint32", "int64"):
    _x = _symbols.astype(_dtype)
    FUNCTIONS |= {
        f"entropy.encode, symbols of {_dtype}": (
            lambda x: np.frombuffer(entropy.encode(x, _categorical), np.uint8),
            _x,
        ),
        f"entropy.encode, integers of {_dtype}": (
            lambda x: np.frombuffer(entropy.encode(x, _scale_table, scales=_symbols % 64), np.uint8),
            _x,
        ),
        f"entropy.encode, scales of {_dtype}": (
            lambda x: np.frombuffer(entropy.encode(_symbols, _scale_table, scales=x % 64), np.uint8),
            _x,
        ),
    }


_images = random_codes(40 * 4 * 5, 11, seed=2).reshape(40, 4, 5, 11)
_filters = random_codes(40 * 2 * 2, 11, seed=3).reshape(40, 2, 2, 11)
_small = np.random.default_rng(10).integers(-4, 4, (40, 88))
_of_11 = np.array([0xFF, 0xE0], np.uint8)  # the bits of 11 signs
_bytes = random_codes(6, 88)
_byte_images = random_codes(2 * 4 * 5, 88).reshape(2, 4, 5, 88)
_planes = np.stack([random_codes(40, 11, seed=seed) for seed in range(4, 7)])
_sign_limits = np.random.default_rng(11).integers(-9, 9, 40)


def _finished(**finish: Any) -> Array:
    return xnor.matmul(QUERIES, CODES, 88, finish=xnor.Finish(**finish))


FUNCTIONS |= {
    "xnor.matmul, a": (lambda x: xnor.matmul(x, CODES, 88), QUERIES),
    "xnor.matmul, many of a": (lambda x: xnor.matmul(x, QUERIES, 88), CODES),
    "xnor.matmul, b": (lambda x: xnor.matmul(QUERIES, x, 88), CODES),
    "xnor.matmul, thresholds": (lambda t: _finished(thresholds=t), _sign_limits),
    "xnor.matmul, thresholds of int32": (lambda t: _finished(thresholds=t), _sign_limits.astype(np.int32)),
    "xnor.matmul, flips": (lambda f: _finished(thresholds=0, flips=f), _sign_limits > 0),
    "xnor.matmul, scale": (lambda s: _finished(scale=s), _sign_limits * 0.1),
    "xnor.matmul, scale of float32": (lambda s: _finished(scale=s), np.float32(_sign_limits)),
    "xnor.matmul, bias": (lambda b: _finished(bias=b), _sign_limits * 0.1),
    "xnor.and_matmul, a": (lambda x: xnor.and_matmul(x, CODES), QUERIES),
    "xnor.and_matmul, b": (lambda x: xnor.and_matmul(QUERIES, x), CODES),
    "xnor.bitserial_matmul, a": (lambda x: xnor.bitserial_matmul(x, CODES, 88), _planes),
    "xnor.bitserial_matmul, b": (lambda x: xnor.bitserial_matmul(QUERIES, x, 88), _planes),
    "xnor.byte_matmul, a": (lambda x: xnor.byte_matmul(x, CODES[:, :2] & _of_11), QUERIES),
    "xnor.byte_matmul, b": (lambda x: xnor.byte_matmul(_bytes, x), CODES),
    "xnor.byte_conv2d, images": (
        lambda x: xnor.byte_conv2d(x, _filters[..., :2] & _of_11, padding=1),
        _images,
    ),
    "xnor.byte_conv2d, filters": (lambda x: xnor.byte_conv2d(_byte_images, x), _filters),
    "xnor.PackedMatrix, planes": (lambda x: xnor.PackedMatrix(x, 88).unpack(), _planes),
    "xnor.planes, int64": (lambda x: xnor.planes(x, 3), _small),
    "xnor.planes, int8": (lambda x: xnor.planes(x, 3), _small.astype(np.int8)),
    "xnor.planes, uint8": (lambda x: xnor.planes(x, 8), _small.astype(np.uint8)),
    "xnor.planes, uint16": (lambda x: xnor.planes(x, 4), (_small + 4).astype(np.uint16)),
    "xnor.conv2d, images": (lambda x: xnor.conv2d(x, _filters, 88, padding=1), _images),
    "xnor.conv2d, filters": (lambda x: xnor.conv2d(_images, x, 88), _filters),
    "xnor.PackedFilters, filters": (lambda x: xnor.PackedFilters(x, 88).unpack(), _filters),
    "xnor.max_pool2d, images": (lambda x: xnor.max_pool2d(x, 2, stride=1), _images),
}


def _appended(x: Array) -> adc.PackedCodes:
    packed = adc.PackedCodes(x[:3], n_codewords=16)
    packed.append(x)
    return packed


@layouts
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_layout_gives_the_answer_of_a_copy(name: str, layout: Layout, tmp_path: Path) -> None:
    function, x = FUNCTIONS[name]
    laid_out = layout(x, tmp_path)
    assert np.array_equal(np.asarray(laid_out), x)
    assert same(function(laid_out), function(x))
    assert np.array_equal(np.asarray(laid_out), x), "the input was changed"


@both_families
def test_rows_may_repeat_or_overlap(family: Family) -> None:
    repeated = np.broadcast_to(CODES[3], (50, 11))
    sliding = as_strided(CODES, (100, 11), (2, 1))
    scalar = np.broadcast_to(np.uint8(37), (9, 11))
    for x in (repeated, sliding, scalar):
        copy = np.ascontiguousarray(x)
        assert same(family.module.knn(QUERIES, x, 60), family.module.knn(QUERIES, copy, 60))
        assert same(family.module.knn(x, CODES, 4), family.module.knn(copy, CODES, 4))
        assert same(family.module.cdist(x, x), family.module.cdist(copy, copy))
        limit = family.radius_of(1)
        assert same(family.module.pairs(x, limit), family.module.pairs(copy, limit))


def test_rows_of_adc_may_repeat_or_overlap() -> None:
    codes = np.broadcast_to(_parts[3], (9000, 11))
    sliding = as_strided(_parts, (200, 11), (2, 1))
    tables = np.broadcast_to(_tables[1], (4, 11, 16))
    equal = np.broadcast_to(np.float32(0.1), (2, 11, 16))
    for x in (codes, sliding):
        for t in (tables, equal):
            copies = np.ascontiguousarray(t), np.ascontiguousarray(x)
            assert same(adc.knn(t, x, 60), adc.knn(*copies, 60))
            assert same(adc.radius(t, x, 0.5), adc.radius(*copies, 0.5))
            assert same(adc.scan(t, x), adc.scan(*copies))
        assert same(adc.PackedCodes(x, n_codewords=16).unpack(), np.ascontiguousarray(x))
    repeated = np.broadcast_to(_vectors[2], (50, 77))
    assert same(adc.encode(repeated, _books), adc.encode(repeated.copy(), _books))


@both_families
def test_a_query_may_have_one_dimension(family: Family) -> None:
    for query in (QUERIES[2], CODES.T[:6, 0][::-1], QUERIES[:, 4]):
        codes = random_codes(40, len(query))
        matrix = np.ascontiguousarray(query)[None]
        found = family.module.knn(query, codes, 3)
        assert found[0].shape == (1, 3)
        assert same(found, family.module.knn(matrix, codes, 3))
        limit = family.radius_of(family.distances(matrix, codes).mean())
        assert same(family.module.radius(query, codes, limit), family.module.radius(matrix, codes, limit))
        assert same(family.module.cdist(query, codes), family.module.cdist(matrix, codes))


@both_families
def test_arrays_without_rows(family: Family) -> None:
    module, one = family.module, family.radius_of(1)
    for none in (np.empty((0, 11), np.uint8), CODES[:0], CODES[5:5, ::-1], np.empty((11, 0), np.uint8).T):
        assert [found.shape for found in module.knn(none, CODES, 3)] == [(0, 3)] * 2
        distances, indices = module.knn(QUERIES, none, 3)
        assert (indices == -1).all()
        assert (distances == family.padding).all()
        assert module.knn(none, none, 0)[0].shape == (0, 0)
        for mask in (np.empty(0, bool), np.empty(0, np.int64)):
            assert (module.knn(QUERIES, none, 2, mask=mask)[1] == -1).all()
        assert [found.tolist() for found in module.radius(none, CODES, one)] == [[0], [], []]
        assert [found.tolist() for found in module.radius(QUERIES, none, one)] == [[0] * 7, [], []]
        assert module.cdist(none, CODES).shape == (0, 40)
        assert module.cdist(QUERIES, none).shape == (6, 0)
        assert module.cdist(QUERIES, none, out=np.empty((6, 0), family.dtype)).shape == (6, 0)
        assert [found.tolist() for found in module.pairs(none, one)] == [[], [], []]


MASK_LAYOUTS: dict[str, Layout] = LAYOUTS | {"big-endian": lambda x, _: x.astype(x.dtype.newbyteorder(">"))}


@both_families
@pytest.mark.parametrize("mask", [np.arange(40) % 3 > 0, np.arange(39, 2, -2)], ids=["bool", "ids"])
def test_masks_of_every_layout(family: Family, mask: Array, tmp_path: Path) -> None:
    expected = family.module.knn(QUERIES, CODES, 9, mask=mask)
    for name, layout in MASK_LAYOUTS.items():
        if name != "matrix of three dimensions":
            laid_out = layout(mask, tmp_path)
            assert np.array_equal(np.asarray(laid_out), mask)
            assert same(family.module.knn(QUERIES, CODES, 9, mask=laid_out), expected), name


@both_families
def test_any_byte_but_zero_is_true_in_a_mask(family: Family) -> None:
    mask = np.resize(np.array([0, 1, 2, 128, 255], np.uint8), 40)
    assert same(
        family.module.knn(QUERIES, CODES, 40, mask=mask.view(bool)),
        family.module.knn(QUERIES, CODES, 40, mask=mask != 0),
    )


@pytest.mark.parametrize("mask", [np.arange(40) % 3 > 0, np.arange(39, 2, -2)], ids=["bool", "ids"])
def test_masks_of_adc_of_every_layout(mask: Array, tmp_path: Path) -> None:
    expected = adc.knn(_tables, _parts, 9, mask=mask), adc.radius(_tables, _parts, 0.0, mask=mask)
    for name, layout in MASK_LAYOUTS.items():
        if name != "matrix of three dimensions":
            laid_out = layout(mask, tmp_path)
            for form in (_parts, adc.PackedCodes(_parts, n_codewords=16)):
                assert same(adc.knn(_tables, form, 9, mask=laid_out), expected[0]), name
                assert same(adc.radius(_tables, form, 0.0, mask=laid_out), expected[1]), name
    odd = np.resize(np.array([0, 1, 2, 128, 255], np.uint8), 40)
    assert same(
        adc.knn(_tables, _parts, 40, mask=odd.view(bool)), adc.knn(_tables, _parts, 40, mask=odd != 0)
    )


# --- out= ---------------------------------------------------------------------------------------------------


@both_families
def test_out_is_filled_and_returned(family: Family, tmp_path: Path) -> None:
    expected = family.module.cdist(QUERIES, CODES)
    large = np.full((3, 10, 40), 7, family.dtype)
    mapped = np.memmap(tmp_path / "out", family.dtype, "w+", shape=(6, 40))
    plain = np.empty((6, 40), family.dtype)
    for out in (plain, large[1, 2:8], mapped, plain.view(Subclass)):
        out.fill(7)
        assert family.module.cdist(QUERIES, CODES, out=out) is out
        assert np.array_equal(out, expected)
        assert family.module.cdist(QUERIES, CODES, out=out, threads=1) is out
    assert (large[[0, 2]] == 7).all()
    assert (large[1, [0, 1, 8, 9]] == 7).all()


def test_out_of_adc_is_filled_and_returned(tmp_path: Path) -> None:
    large = np.full((3, 5, 9000), 7, np.float32)
    mapped = np.memmap(tmp_path / "out", np.float32, "w+", shape=(3, 9000))
    plain = np.empty((3, 9000), np.float32)
    for codes in (_many_parts, adc.PackedCodes(_many_parts, n_codewords=16)):
        expected = adc.scan(_tables, codes)
        for out in (plain, large[1, 1:4], mapped, plain.view(Subclass)):
            out.fill(np.nan)
            assert adc.scan(_tables, codes, out=out) is out
            assert np.array_equal(out, expected)
            assert adc.scan(_tables, codes, out=out, threads=1) is out
    assert (large[[0, 2]] == 7).all()
    assert (large[1, [0, 4]] == 7).all()
    assert adc.scan(_tables, _parts[:0], out=np.empty((3, 0), np.float32)).shape == (3, 0)


def test_sums_are_not_written_over_tables_or_codes() -> None:
    memory = np.zeros(3 * 11 * 16 * 4 + 4 * 40 * 11, np.uint8)
    before, size = memory.copy(), 3 * 11 * 16 * 4
    tables, codes = memory[:size].view(np.float32).reshape(3, 11, 16), memory[-440:].reshape(40, 11)
    with pytest.raises(ValueError, match="out shares memory"):
        adc.scan(tables, _parts, out=memory[:480].view(np.float32).reshape(3, 40))
    with pytest.raises(ValueError, match="out shares memory"):
        adc.scan(_tables, codes, out=memory[-480:].view(np.float32).reshape(3, 40))
    assert np.array_equal(memory, before)
    # Nobody else can write to packed codes.
    _, arrays = adc.PackedCodes(_parts).to_state()
    assert not arrays["blocks"].flags.writeable
    # Side by side in one buffer they may be.
    out = memory[size : size + 480].view(np.float32).reshape(3, 40)
    assert np.array_equal(adc.scan(tables, codes, out=out), np.zeros((3, 40)))


def test_out_of_xnor_is_filled_and_returned(tmp_path: Path) -> None:
    for dtype, n, finish in (
        (np.int32, 40, None),
        (np.uint8, 5, xnor.Finish(thresholds=_sign_limits)),
        (np.float32, 40, xnor.Finish(scale=_sign_limits, bias=0.5)),
    ):
        large = np.full((3, 10, n), 7, dtype)
        mapped = np.memmap(tmp_path / np.dtype(dtype).name, dtype, "w+", shape=(6, n))
        plain = np.empty((6, n), dtype)
        expected = xnor.matmul(QUERIES, CODES, 88, finish=finish)
        images = QUERIES.reshape(1, 2, 3, 11)
        for out in (plain, large[1, 2:8], mapped, plain.view(Subclass)):
            out.fill(7)
            assert xnor.matmul(QUERIES, CODES, 88, finish=finish, out=out) is out
            assert np.array_equal(out, expected)
            in_place = out.reshape(1, 2, 3, n)
            in_place.fill(7)
            assert xnor.conv2d(images, CODES[:, None, None], 88, finish=finish, out=in_place) is in_place
            assert np.array_equal(out, expected)
        assert (large[[0, 2]] == 7).all()
        assert (large[1, [0, 1, 8, 9]] == 7).all()


class Lying(np.ndarray[Any, Any]):
    """An array whose second part is shorter than the first, or longer."""

    n_rows = 1

    def __getitem__(self, index: Any) -> Any:
        """Return something else where it is asked for the second part."""
        part = np.asarray(self)[index]
        return np.resize(part, (self.n_rows, *part.shape[1:])) if index == 1 else part


def test_the_methods_of_subclasses_are_not_asked() -> None:
    for n_rows in (0, 1, 41, 400):
        planes = _planes.view(type("Subclass", (Lying,), {"n_rows": n_rows}))
        for ours, expected in (
            (xnor.bitserial_matmul(planes, CODES, 88), xnor.bitserial_matmul(_planes, CODES, 88)),
            (xnor.bitserial_matmul(CODES, planes, 88), xnor.bitserial_matmul(CODES, _planes, 88)),
        ):
            assert np.array_equal(ours, expected)


@both_families
def test_an_output_that_shares_memory_with_an_input_is_refused(family: Family) -> None:
    memory = np.arange(4 * 40 * 40 + 64, dtype=np.uint32).astype(np.uint8)
    out = memory[: 4 * 40 * 40].view(family.dtype).reshape(40, 40)
    before = memory.copy()
    inside, across = memory[640:1040].reshape(40, 10), memory[-400:].reshape(40, 10)
    other = random_codes(40, 10)
    for a, b in ((inside, other), (other, inside), (across, other), (other, across), (inside, across)):
        with pytest.raises(ValueError, match="out shares memory"):
            family.module.cdist(a, b, out=out)
    assert np.array_equal(memory, before)


_normal = np.random.default_rng(9).standard_normal((40, 16))
_signatures = minhash.signatures([[i, i + 1] for i in range(40)], n_hashes=16)
# Functions of an array, which they copy first, and of an output.
COPYING: dict[str, tuple[Callable[[Array, Array], Any], Array, tuple[int, ...], Any]] = {
    "hamming.cdist, a": (lambda x, out: hamming.cdist(x, CODES, out=out), QUERIES, (6, 40), np.int32),
    "jaccard.cdist, b": (lambda x, out: jaccard.cdist(QUERIES, x, out=out), CODES, (6, 40), np.float32),
    "xnor.matmul, a": (lambda x, out: xnor.matmul(x, CODES, 88, out=out), QUERIES, (6, 40), np.int32),
    "xnor.matmul, b": (lambda x, out: xnor.matmul(QUERIES, x, 88, out=out), CODES, (6, 40), np.int32),
    "xnor.and_matmul, a": (lambda x, out: xnor.and_matmul(x, CODES, out=out), QUERIES, (6, 40), np.int32),
    "xnor.and_matmul, b": (lambda x, out: xnor.and_matmul(QUERIES, x, out=out), CODES, (6, 40), np.int32),
    "xnor.bitserial_matmul, b": (
        lambda x, out: xnor.bitserial_matmul(QUERIES, x, 88, out=out),
        CODES,
        (6, 40),
        np.int32,
    ),
    "xnor.byte_matmul, b": (
        lambda x, out: xnor.byte_matmul(np.zeros((6, 88), np.uint8), x, out=out),
        CODES,
        (6, 40),
        np.int32,
    ),
    "xnor.conv2d, filters": (
        lambda x, out: xnor.conv2d(QUERIES[None, None], x[:, None, None], 88, out=out.reshape(1, 1, 6, 40)),
        CODES,
        (6, 40),
        np.int32,
    ),
    "adc.scan, tables": (lambda x, out: adc.scan(x, _parts, out=out), _tables, (3, 40), np.float32),
    "hadamard.rotate, x": (
        lambda x, out: hadamard.rotate(x, hadamard.rotation_signs(16, random_state=0), out=out),
        _normal,
        (40, 16),
        np.float32,
    ),
    "hadamard.rotate_back, x": (
        lambda x, out: hadamard.rotate_back(x, hadamard.rotation_signs(16, random_state=0), 16, out=out),
        _normal,
        (40, 16),
        np.float32,
    ),
    "rabitq.scan, queries": (
        lambda x, out: rabitq.scan(x, *_one_bit, out=out),
        _rotated,
        (40, 40),
        np.float32,
    ),
    "rabitq.scan, factors": (
        lambda x, out: rabitq.scan(_rotated, _one_bit[0], x, out=out),
        _one_bit[1],
        (40, 40),
        np.float32,
    ),
    "rabitq.cdist, a": (
        lambda x, out: rabitq.cdist(x, _one_bit[1], *_one_bit, out=out),
        _one_bit[0],
        (40, 40),
        np.float32,
    ),
    "hadamard.project, x": (
        lambda x, out: hadamard.project(x, hadamard.signs(16, 16, random_state=0), 16, out=out),
        _normal,
        (40, 16),
        np.float32,
    ),
    "hadamard.pack, x": (
        lambda x, out: hadamard.pack(x, hadamard.signs(16, 16, random_state=0), 16, out=out),
        _normal,
        (40, 2),
        np.uint8,
    ),
    "minhash.pack, signatures": (lambda x, out: minhash.pack(x, 8, out=out), _signatures, (40, 16), np.uint8),
    "minhash.band_keys, signatures": (
        lambda x, out: minhash.band_keys(x, 4, 4, out=out),
        _signatures,
        (40, 4),
        np.uint64,
    ),
    "minhash.cdist, a": (
        lambda x, out: minhash.cdist(x, _signatures, out=out),
        _signatures,
        (40, 40),
        np.int32,
    ),
    "minhash.signatures, sets": (
        lambda x, out: minhash.signatures(x.T.reshape(-1), [0, 5, 640], n_hashes=9, out=out),
        np.arange(640, dtype=np.int32).reshape(40, 16),
        (2, 9),
        np.uint32,
    ),
}


@pytest.mark.parametrize("name", COPYING)
def test_an_output_that_shares_memory_with_an_input_that_is_copied_is_refused(name: str) -> None:
    function, given, shape, dtype = COPYING[name]
    n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(8 * (max(n_bytes, given.nbytes) // 8 + 1), np.uint8)
    shared = memory[: given.nbytes].view(given.dtype).reshape(given.shape, order="F")
    shared[:] = given
    before, out = memory.copy(), memory[:n_bytes].view(dtype).reshape(shape)
    with pytest.raises(ValueError, match=rf"out shares memory with {name.split()[-1]}; give an array"):
        function(shared, out)
    assert np.array_equal(memory, before)
    function(given.copy(), out)


@both_families
def test_an_input_and_an_output_may_share_a_buffer_side_by_side(family: Family) -> None:
    buffer = np.zeros(400 + 4 * 40 * 40, np.uint8)
    codes, out = buffer[:400].reshape(40, 10), buffer[400:].view(family.dtype).reshape(40, 40)
    codes[:] = random_codes(40, 10)
    expected = family.module.cdist(codes.copy(), codes.copy())
    assert np.array_equal(family.module.cdist(codes, codes, out=out), expected)


@pytest.mark.parametrize("step", [1, 2])
def test_bits_are_not_written_over_what_is_still_to_be_read(step: int) -> None:
    memory = np.random.default_rng(8).integers(0, 16, 1 << 20).astype(np.uint8)
    before = memory.copy()
    x, packed = memory[::step], memory[: 4096 * step : step]
    calls = {
        "x": lambda: bits.pack(x, out=memory[-x.size // 8 :]),
        "values": lambda: bits.pack_uint(x, 4, out=memory[-x.size // 2 :]),
        "codes": lambda: bits.unpack(packed, 8 * packed.size, out=memory[: 8 * packed.size]),
        "packed": lambda: bits.unpack_uint(packed, 4, 2 * packed.size, out=memory[: 2 * packed.size]),
    }
    for name, function in calls.items():
        with pytest.raises(ValueError, match=f"out shares memory with {name}"):
            function()
    assert np.array_equal(memory, before)
