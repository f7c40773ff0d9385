"""Arguments that are not numpy arrays: tensors, data frames, buffers and lists are searched like arrays."""

from __future__ import annotations

import array
import re
from collections.abc import Callable
from typing import Any

import fastcodes
import numpy as np
import pytest
from fastcodes import adc, bits, entropy, hadamard, hamming, jaccard, metrics, minhash, rabitq, xnor
from fastcodes.hashing import CCAITQ, Bits, RandomHyperplanes
from fastcodes.index import FlatIndex
from fastcodes.quantization import ProductQuantizer
from helpers import Array, pq_codes, pq_tables, random_codes, same

QUERIES, CODES = random_codes(4, 8, seed=1), random_codes(20, 8, seed=2)
REAL = np.random.default_rng(3).standard_normal((4, 64)).astype(np.float32)
TABLES, PARTS = pq_tables(4, 8, 10), pq_codes(20, 8, 10)
FACTORS = np.random.default_rng(4).random((20, 2), np.float32)
ROTATION = hadamard.rotation_signs(64, random_state=0)
CHAIN, BERNOULLI = entropy.MarkovChain.fit(CODES), entropy.Bernoulli.fit(CODES)
BLOCKS, OFFSETS = entropy.encode_rows(CODES, CHAIN)


class Tensor:
    """What numpy knows of a tensor of another library."""

    def __init__(self, x: Array) -> None:
        self._x = x
        self.dtype = f"library.{x.dtype}"

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        """Return the memory of the tensor."""
        return self._x


class DlpackTensor:
    """A tensor that only implements the protocol dlpack."""

    def __init__(self, x: Array) -> None:
        self._x = x

    def __dlpack__(self, **options: Any) -> Any:
        """Return a capsule."""
        return self._x.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        """Return where it is."""
        return self._x.__dlpack_device__()


class BrainFloats(Tensor):
    """A tensor of bfloat16 of torch, which numpy cannot read."""

    dtype = "torch.bfloat16"

    def __init__(self, x: Array) -> None:
        self._x = x

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        """Refuse, as torch does."""
        raise TypeError("Got unsupported ScalarType BFloat16")

    def float(self) -> Tensor:
        """Return the numbers as float32."""
        return Tensor(self._x)


class Gradient(Tensor):
    """A tensor that refuses to become an array."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        """Refuse."""
        raise RuntimeError("Use tensor.detach().numpy() instead")


def pandas_frame(x: Array) -> Any:
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    return pandas.Series(x) if x.ndim == 1 else pandas.DataFrame(x)


def polars_frame(x: Array) -> Any:
    polars = pytest.importorskip("polars", reason="needs polars")
    return polars.Series(x) if x.ndim == 1 else polars.DataFrame(x)


def polars_series(x: Array) -> Any:
    return pytest.importorskip("polars", reason="needs polars").Series(x)


def torch_tensor(x: Array) -> Any:
    return pytest.importorskip("torch", reason="needs torch").from_numpy(x)


def arrow_array(x: Array) -> Any:
    pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow")
    flat = pyarrow.array(np.ascontiguousarray(x).ravel())
    return flat if x.ndim == 1 else pyarrow.FixedSizeListArray.from_arrays(flat, x.shape[1])


def arrow_chunks(x: Array) -> Any:
    pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow")
    return pyarrow.chunked_array([arrow_array(x[:1]), arrow_array(x[1:3]), arrow_array(x[3:])])


def arrow_binaries(x: Array) -> Any:
    pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow")
    return pyarrow.array([row.tobytes() for row in x], pyarrow.binary(x.shape[1]))


def polars_arrays(x: Array) -> Any:
    polars = pytest.importorskip("polars", reason="needs polars")
    if x.ndim == 1:
        return polars.Series(x)
    return polars.DataFrame({"x": polars.Series(x).cast(polars.List(polars.Series(x[0]).dtype))})


BUFFERS: dict[str, Callable[[Array], Any]] = {
    "tensor": Tensor,
    "dlpack": DlpackTensor,
    "memoryview": memoryview,
    "torch": torch_tensor,
    "arrow": arrow_array,
}
COPIED: dict[str, Callable[[Array], Any]] = {
    "lists": lambda x: x.tolist(),
    "tuple of arrays": lambda x: tuple(x),
    "masked array without masks": np.ma.masked_array,
    "data frame of pandas": pandas_frame,
    "data frame of polars": polars_frame,
    "series of polars": polars_series,
    "lists of polars": polars_arrays,
    "chunks of arrow": arrow_chunks,
}
FORMS = BUFFERS | COPIED
BYTES: dict[str, Callable[[Array], Any]] = {
    "list of bytes": lambda x: [row.tobytes() for row in x],
    "array of bytes": lambda x: np.array([row.tobytes() for row in x], object),
    "arrow": arrow_binaries,
}
of_codes: dict[str, tuple[Callable[[Any], Any], Array]] = {
    "hamming.knn, queries": (lambda x: hamming.knn(x, CODES, 3), QUERIES),
    "hamming.knn, codes": (lambda x: hamming.knn(QUERIES, x, 3), CODES),
    "hamming.radius": (lambda x: hamming.radius(QUERIES, x, 30), CODES),
    "hamming.cdist": (lambda x: hamming.cdist(x, x), CODES),
    "hamming.groups": (lambda x: hamming.groups(x, 30), CODES),
    "hamming.pairs": (lambda x: hamming.pairs(x, 30), CODES),
    "hamming.asymmetric_knn": (lambda x: hamming.asymmetric_knn(REAL, x, 3), CODES),
    "jaccard.knn": (lambda x: jaccard.knn(x, x, 3), CODES),
    "jaccard.radius": (lambda x: jaccard.radius(x, CODES, 0.6), QUERIES),
    "jaccard.cdist": (lambda x: jaccard.cdist(QUERIES, x), CODES),
    "jaccard.groups": (lambda x: jaccard.groups(x, 0.6), CODES),
    "jaccard.pairs": (lambda x: jaccard.pairs(x, 0.6), CODES),
    "adc.knn": (lambda x: adc.knn(TABLES, x, 3), PARTS),
    "adc.radius": (lambda x: adc.radius(TABLES, x, 0.0), PARTS),
    "adc.scan": (lambda x: adc.scan(TABLES, x), PARTS),
    "adc.PackedCodes": (lambda x: adc.PackedCodes(x).unpack(), PARTS),
    "rabitq.knn": (lambda x: rabitq.knn(REAL, x, FACTORS, 3), CODES),
    "rabitq.radius": (lambda x: rabitq.radius(REAL, x, FACTORS, 60.0), CODES),
    "rabitq.scan": (lambda x: rabitq.scan(REAL, x, FACTORS), CODES),
    "rabitq.decode": (lambda x: rabitq.decode(x, FACTORS), CODES),
    "rabitq.errors": (lambda x: rabitq.errors(x, FACTORS), CODES),
    "rabitq.cdist": (lambda x: rabitq.cdist(x, FACTORS, x, FACTORS), CODES),
    "bits.unpack": (lambda x: bits.unpack(x, 64), CODES),
    "bits.popcount": (bits.popcount, CODES),
    "entropy.encode_rows": (lambda x: entropy.encode_rows(x, CHAIN), CODES),
    "entropy.MarkovChain.fit": (lambda x: entropy.MarkovChain.fit(x).frequencies, CODES),
    "entropy.MarkovChain.bits": (CHAIN.bits, CODES),
    "entropy.Bernoulli.fit": (lambda x: entropy.Bernoulli.fit(x).ones, CODES),
    "entropy.Bernoulli.bits": (BERNOULLI.bits, CODES),
    "xnor.and_matmul": (lambda x: xnor.and_matmul(x, x), CODES),
    "xnor.matmul": (lambda x: xnor.matmul(QUERIES, x, 64), CODES),
    "FlatIndex": (lambda x: index_of(x).search(x, 3), CODES),
}
of_numbers: dict[str, tuple[Callable[[Any], Any], Array]] = {
    "bits.pack": (bits.pack, REAL),
    "hamming.asymmetric_knn": (lambda x: hamming.asymmetric_knn(x, CODES, 3), REAL),
    "adc.tables": (lambda x: adc.tables(x, np.ones((8, 3, 8), np.float32)), REAL),
    "adc.encode": (lambda x: adc.encode(x, REAL[:, :8].reshape(1, 4, 8).repeat(8, 0)), REAL),
    "hadamard.project": (
        lambda x: hadamard.project(x, hadamard.signs(64, 64, random_state=0), 64),
        REAL,
    ),
    "hadamard.rotate": (lambda x: hadamard.rotate(x, ROTATION), REAL),
    "hadamard.rotate_back": (lambda x: hadamard.rotate_back(x, ROTATION, 64), REAL),
    "rabitq.encode": (lambda x: rabitq.encode(x, n_bits=4), REAL),
    "rabitq.scan": (lambda x: rabitq.scan(x, CODES, FACTORS), REAL),
    "rabitq.knn": (lambda x: rabitq.knn(x, CODES, FACTORS, 3), REAL),
    "rabitq.scan, offsets": (
        lambda x: rabitq.scan(REAL, CODES, FACTORS, offsets=x),
        np.arange(4, dtype=np.float32),
    ),
}


def index_of(codes: Any) -> FlatIndex:
    index = FlatIndex(Bits(64))
    index.add(codes)
    return index


@pytest.mark.parametrize("name", of_codes)
@pytest.mark.parametrize("form", FORMS | BYTES)
def test_codes_may_be_array_likes(form: str, name: str) -> None:
    function, codes = of_codes[name]
    assert same(function((FORMS | BYTES)[form](codes)), function(codes))


@pytest.mark.parametrize("name", of_numbers)
@pytest.mark.parametrize("form", [*FORMS, "brain floats"])
def test_numbers_may_be_array_likes(form: str, name: str) -> None:
    function, x = of_numbers[name]
    assert same(function((FORMS | {"brain floats": BrainFloats})[form](x)), function(x))


@pytest.mark.parametrize("name", of_numbers)
def test_numbers_may_be_of_bfloat16(name: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="needs ml_dtypes")
    function, x = of_numbers[name]
    rounded = x.astype(ml_dtypes.bfloat16)
    assert same(function(rounded), function(rounded.astype(np.float32)))
    assert same(function(Tensor(rounded)), function(rounded.astype(np.float32)))


@pytest.mark.parametrize("form", BUFFERS)
def test_buffers_are_read_without_a_copy(form: str) -> None:
    codes = CODES.copy()
    buffer = BUFFERS[form](codes)
    codes[5] = QUERIES[0]
    assert hamming.knn(QUERIES[0], buffer, 1)[1].tolist() == [[5]]


def test_bytes_are_one_row() -> None:
    for form in (bytes(QUERIES[0]), bytearray(QUERIES[0]), array.array("B", bytes(QUERIES[0]))):
        assert same(hamming.knn(form, CODES, 3), hamming.knn(QUERIES[0], CODES, 3))
    # Zeros at the end belong to a row.
    assert hamming.cdist([b"\1\0", b"\0\0"], [b"\0\1"]).tolist() == [[2], [1]]


@pytest.mark.parametrize("form", FORMS)
def test_symbols_scales_and_messages_may_be_array_likes(form: str) -> None:
    symbols = np.arange(40) % 7
    model, table = entropy.Categorical.fit(symbols), entropy.ScaleTable()
    given = FORMS[form](symbols)
    data = entropy.encode(symbols, model)
    assert entropy.encode(given, model) == data
    assert model.bits(given) == model.bits(symbols)
    assert entropy.encode(given, table, scales=given) == entropy.encode(symbols, table, scales=symbols)
    assert np.array_equal(table.indices(FORMS[form](symbols + 1.0)), table.indices(symbols + 1.0))
    wanted = entropy.decode_rows(BLOCKS, FORMS[form](OFFSETS), CHAIN, rows=FORMS[form](np.array([3, 1])))
    assert np.array_equal(wanted, CODES[[3, 1]])
    if form in BUFFERS:
        assert np.array_equal(
            entropy.decode(FORMS[form](np.frombuffer(data, "u1").copy()), model, 40), symbols
        )


def test_a_tensor_that_is_no_array_is_named() -> None:
    with pytest.raises(TypeError, match=r"queries cannot be converted to a numpy array: Use tensor.detach"):
        hamming.knn(Gradient(QUERIES), CODES, 3)


def test_other_dtypes_are_shown_the_way_to_bits() -> None:
    embeddings = np.where(np.random.default_rng(0).random((20, 64)) < 0.5, -1, 1).astype(np.int8)
    packed = bits.pack(embeddings)
    as_int8 = packed.view(np.int8) ^ np.int8(-128)  # the "binary" of sentence-transformers
    hashes = packed.view(np.uint64)[:, 0]
    expected = hamming.knn(packed, packed, 5)
    for codes in (as_int8, hashes, hashes.view(np.int64), embeddings * 1.0):
        with pytest.raises(TypeError, match="queries must be a numpy uint8 array") as caught:
            hamming.knn(codes, codes, 5)
        line = re.split("[gG]ive ", str(caught.value))[1].split(", for")[0]
        found = eval(line, {"np": np, "queries": codes, "fastcodes": fastcodes})
        assert same(hamming.knn(found, found, 5), expected), line
    with pytest.raises(TypeError, match=r"for signs fastcodes.bits.pack\(queries\)"):
        hamming.knn(embeddings, packed, 5)
    with pytest.raises(TypeError, match=r"give np.stack\(codes\)"):
        hamming.knn(packed, np.array([*packed, None], object)[:-1], 5)
    with pytest.raises(TypeError, match=r"X must be a numpy uint8 array .* give X.view\(np.uint8\) \^ 0x80"):
        index_of(as_int8)


MASKS: dict[str, Any] = {
    "list of booleans": [i % 3 > 0 for i in range(20)],
    "list of ids": [i for i in range(20) if i % 3 > 0],
    "tensor": Tensor(np.arange(20) % 3 > 0),
    "memoryview": memoryview(np.arange(20) % 3 > 0),
}


def masked_searches(mask: Any) -> list[Any]:
    packed = adc.PackedCodes(PARTS)
    return [
        hamming.knn(QUERIES, CODES, 9, mask=mask),
        hamming.radius(QUERIES, CODES, 30, mask=mask),
        hamming.asymmetric_knn(REAL, CODES, 9, mask=mask),
        jaccard.knn(QUERIES, CODES, 9, mask=mask),
        jaccard.radius(QUERIES, CODES, 0.6, mask=mask),
        adc.knn(TABLES, PARTS, 9, mask=mask),
        adc.knn(TABLES, packed, 9, mask=mask),
        adc.radius(TABLES, packed, 0.0, mask=mask),
        rabitq.knn(REAL, CODES, FACTORS, 9, mask=mask),
        rabitq.radius(REAL, CODES, FACTORS, 60.0, mask=mask),
        index_of(CODES).search(QUERIES, 9, mask=mask),
        index_of(CODES).radius_search(QUERIES, 30, mask=mask),
    ]


@pytest.mark.parametrize("form", MASKS)
def test_masks_may_be_array_likes(form: str) -> None:
    expected = masked_searches(np.arange(20) % 3 > 0)
    assert all(map(same, masked_searches(MASKS[form]), expected))


def test_masks_may_be_ranges_and_series() -> None:
    expected = masked_searches(np.arange(3, 20, 2))
    assert all(map(same, masked_searches(range(3, 20, 2)), expected))
    is_selected = np.isin(np.arange(20), range(3, 20, 2))
    for package in ("pandas", "polars"):
        try:
            series = __import__(package).Series
        except ImportError:
            continue
        assert all(map(same, masked_searches(series(is_selected)), expected))
        assert all(map(same, masked_searches(series(np.arange(3, 20, 2))), expected))


def test_a_mask_without_ids_selects_nothing() -> None:
    for mask in ([], (), range(0), np.zeros(20, bool)):
        assert (hamming.knn(QUERIES, CODES, 3, mask=mask)[1] == -1).all()


@pytest.mark.parametrize("dtype", ["uint8", "int64"])
def test_zeros_and_ones_are_not_taken_for_ids(dtype: str) -> None:
    for mask in (np.arange(20) % 2, np.zeros(20), np.ones(20)):
        with pytest.raises(ValueError, match=rf"mask has 20 zeros and ones of {dtype}.*mask.astype\(bool\)"):
            hamming.knn(QUERIES, CODES, 3, mask=mask.astype(dtype))
        with pytest.raises(ValueError, match="zeros and ones"):
            index_of(CODES).search(QUERIES, 3, mask=mask.astype(dtype))
    # Two rows, or fewer numbers than rows, may be ids.
    assert hamming.knn(QUERIES[:1], CODES[:2], 2, mask=np.array([1, 0], dtype))[1].min() == 0
    assert hamming.knn(QUERIES[:1], CODES, 3, mask=np.array([1, 0, 1], dtype))[1].tolist()[0][2] == -1


def masked(x: Array) -> Any:
    return np.ma.masked_array(x, np.arange(x.size).reshape(x.shape) == 3)


SLOTS = minhash.signatures([[1, 2], [3]], n_hashes=8)
TAKES_ARRAYS: dict[str, Callable[[], Any]] = {
    "x": lambda: bits.pack(masked(REAL)),
    "threshold": lambda: bits.pack(REAL, threshold=masked(REAL[0])),
    "values": lambda: bits.pack_uint(masked(PARTS), 4),
    "codes": lambda: bits.unpack(masked(CODES), 64),
    "queries": lambda: hamming.knn(masked(QUERIES), CODES, 3),
    "a": lambda: jaccard.cdist(masked(QUERIES), CODES),
    "mask": lambda: hamming.knn(QUERIES, CODES, 3, mask=masked(np.arange(20) > 3)),
    "tables": lambda: adc.scan(masked(TABLES), PARTS),
    "signs": lambda: hadamard.project(REAL, masked(hadamard.signs(64, 64)), 64),
    "factors": lambda: rabitq.scan(REAL, CODES, masked(FACTORS)),
    "b": lambda: minhash.cdist(SLOTS, masked(SLOTS)),
    "signatures": lambda: minhash.pack(masked(SLOTS), 2),
    "sets": lambda: minhash.signatures(masked(PARTS)),
    "offsets": lambda: minhash.signatures(np.arange(9), masked(np.array([0, 1, 2, 3]))),
    "indices": lambda: metrics.ns_score([0, 0], masked(np.zeros((2, 4), int))),
    "reference": lambda: metrics.psnr(masked(PARTS), PARTS),
    "rates_b": lambda: metrics.bd_rate([1, 2], [1, 2], masked(np.arange(1.0, 5)), [1, 2]),
    "features_a": lambda: metrics.frechet_distance(masked(REAL), REAL),
    "relevance": lambda: metrics.precision_at_k(masked(np.zeros((2, 4), bool)), 2),
    "ids": lambda: index_of(CODES).remove(masked(np.arange(5))),
    "X": lambda: index_of(masked(CODES)),
    "y": lambda: CCAITQ(8).fit(REAL, masked(np.arange(4) % 2)),
    "codebooks": lambda: ProductQuantizer.from_codebooks(masked(np.zeros((2, 3, 4)))),
    "rerank": lambda: reranked(masked(REAL)),
    "distances": lambda: fastcodes.merge_topk(
        [masked(np.zeros((2, 4), np.int32))], [np.zeros((2, 4), int)], 2
    ),
    "i": lambda: fastcodes.components(masked(np.arange(5)), np.arange(5), 5),
}


def reranked(vectors: Any) -> Any:
    index = FlatIndex(RandomHyperplanes(8).fit(REAL))
    index.add(REAL)
    return index.search(REAL, 2, rerank=vectors)


@pytest.mark.parametrize("name", TAKES_ARRAYS)
def test_masked_elements_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} has masked elements.*{name}.filled"):
        TAKES_ARRAYS[name]()


def test_masks_of_subclasses_are_read_as_arrays() -> None:
    class Unreliable(np.ndarray[Any, Any]):
        def astype(self, *args: Any, **kwargs: Any) -> Any:
            return np.zeros(1, np.int64)

        def view(self, *args: Any, **kwargs: Any) -> Any:
            return 7

    for mask in (np.arange(20) % 3 > 0, np.arange(3, 9)):
        expected = hamming.knn(QUERIES, CODES, 9, mask=mask)
        assert same(hamming.knn(QUERIES, CODES, 9, mask=np.ndarray.view(mask, Unreliable)), expected)
