"""The compiled kernels: the functions of the package with the same arguments, none of them optional."""

from collections.abc import Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt
from typing_extensions import Self, disjoint_base

_Codes = npt.NDArray[np.uint8]
_Mask = npt.NDArray[np.bool_] | npt.NDArray[np.integer[Any]]
_Ids = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float32]
_Lists = tuple[_Ids, _Ids, _Floats | None, npt.NDArray[np.uint32]]

_Signatures = npt.NDArray[np.uint32]
_Frequencies = npt.NDArray[np.uint32]
_Integers = npt.NDArray[np.int32]
_Tokens = npt.NDArray[np.uint64]
_Hasher = tuple[int, int, bool]
_Shingles = tuple[str, int, bool]

__all__ = [
    "EntropyHuffman",
    "EntropyRows",
    "EntropyScales",
    "EntropyTables",
    "MinHashBands",
    "PackedCodes",
    "SortedRows",
    "TextModel",
    "VideoCoder",
    "XnorFilters",
    "XnorFinish",
    "XnorMatrix",
    "adc_encode",
    "adc_knn",
    "adc_radius",
    "adc_scan",
    "adc_sums",
    "adc_tables",
    "additive_beam",
    "additive_composite_search",
    "additive_search",
    "bits_pack",
    "bits_pack_uint",
    "bits_popcount",
    "bits_unpack",
    "bits_unpack_uint",
    "block_motion_one_bit",
    "block_motion_sad",
    "block_motion_search",
    "commit",
    "components",
    "entropy_decode",
    "entropy_decode_cells",
    "entropy_decode_rows",
    "entropy_decode_scaled",
    "entropy_decode_wide",
    "entropy_encode",
    "entropy_encode_cells",
    "entropy_encode_rows",
    "entropy_encode_scaled",
    "entropy_encode_wide",
    "entropy_frequencies",
    "entropy_huffman_decode",
    "entropy_huffman_encode",
    "entropy_huffman_lengths",
    "entropy_quantize",
    "extensions",
    "hadamard_pack",
    "hadamard_project",
    "hadamard_rotate",
    "hamming_asymmetric_knn",
    "hamming_candidates_knn",
    "hamming_cdist",
    "hamming_groups",
    "hamming_knn",
    "hamming_pairs",
    "hamming_radius",
    "hamming_tables",
    "hamming_tables_knn",
    "hamming_tables_radius",
    "image_decode",
    "image_encode",
    "image_inspect",
    "jaccard_cdist",
    "jaccard_groups",
    "jaccard_knn",
    "jaccard_pairs",
    "jaccard_radius",
    "level",
    "levels",
    "minhash_band_keys",
    "minhash_cdist",
    "minhash_jaccard",
    "minhash_pack",
    "minhash_paired",
    "minhash_shingles",
    "minhash_signatures",
    "minhash_text_signatures",
    "minhash_tokens",
    "rabitq_cdist",
    "rabitq_decode",
    "rabitq_encode",
    "rabitq_errors",
    "rabitq_knn",
    "rabitq_radius",
    "rabitq_scan",
    "rerank_nearest",
    "rerank_nearest_of_all",
    "roofline",
    "threads",
    "version",
    "why_not_higher",
    "xnor_byte_matmul",
    "xnor_conv2d",
    "xnor_matmul",
    "xnor_max_pool2d",
    "xnor_planes",
]

def version() -> str: ...
def commit() -> str | None: ...
def components(i: _Ids, j: _Ids, n: int) -> _Ids: ...
def extensions() -> list[str]: ...
def level() -> str: ...
def levels() -> list[str]: ...
def why_not_higher() -> str | None: ...
def threads() -> int: ...
def roofline(seconds: float) -> float: ...
def adc_tables(queries: _Floats, codebooks: _Floats, metric: str, threads: int | None) -> _Floats: ...
def adc_scan(
    tables: _Floats, codes: _Codes | PackedCodes, out: _Floats | None, threads: int | None
) -> _Floats: ...
def adc_knn(
    tables: _Floats,
    codes: _Codes | PackedCodes,
    k: int,
    mask: _Mask | None,
    threads: int | None,
    lists: _Lists | None,
) -> tuple[_Floats, _Ids]: ...
def adc_radius(
    tables: _Floats,
    codes: _Codes | PackedCodes,
    radius: float,
    mask: _Mask | None,
    threads: int | None,
    lists: _Lists | None,
) -> tuple[_Ids, _Floats, _Ids]: ...
def adc_encode(
    x: _Floats, codebooks: _Floats, codes: _Codes, distances: _Floats | None, threads: int | None
) -> None: ...
def adc_sums(
    x: _Floats, codes: _Codes, sums: npt.NDArray[np.float64], counts: _Ids, threads: int | None
) -> None: ...
def additive_beam(
    arrays: tuple[_Floats, _Floats, _Codes, _Floats], n_paths: int, threads: int | None
) -> None: ...
def additive_composite_search(
    arrays: tuple[_Floats, _Floats, _Codes, _Floats],
    constraint: tuple[float, float],
    search: tuple[int, int, int, int],
    threads: int | None,
) -> None: ...
def additive_search(
    arrays: tuple[_Floats, _Floats, _Codes, _Floats],
    search: tuple[int, int, int, int],
    threads: int | None,
) -> None: ...

@disjoint_base
class PackedCodes:
    def __new__(
        cls,
        codes: _Codes | None,
        n_codewords: int,
        threads: int | None,
        blocks: tuple[_Codes, int, int, int] | None,
    ) -> Self: ...
    def __len__(self) -> int: ...
    @property
    def n_subspaces(self) -> int: ...
    @property
    def n_codewords(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def append(self, codes: _Codes, *, threads: int | None) -> None: ...
    def _blocks(self) -> tuple[_Codes, int, int]: ...
    def remove(self, mask: _Mask, *, threads: int | None) -> int: ...
    def take(self, ids: npt.NDArray[np.integer[Any]], *, threads: int | None) -> _Codes: ...
    def unpack(self, start: int, stop: int | None, *, threads: int | None) -> _Codes: ...

def bits_pack(
    x: npt.NDArray[Any],
    transposed: bool,
    thresholds: npt.NDArray[Any] | None,
    bitorder: str,
    out: _Codes,
    threads: int | None,
) -> None: ...
def bits_unpack(
    codes: _Codes,
    n_bits: int,
    values: npt.NDArray[Any],
    bitorder: str,
    out: npt.NDArray[Any],
    threads: int | None,
) -> None: ...
def bits_popcount(codes: _Codes, threads: int | None) -> npt.NDArray[np.int32]: ...
def bits_pack_uint(values: npt.NDArray[Any], n_bits: int, out: _Codes, threads: int | None) -> None: ...
def bits_unpack_uint(packed: _Codes, n_bits: int, out: npt.NDArray[Any], threads: int | None) -> None: ...
def block_motion_search(
    frame: _Codes, reference: _Codes, method: str, block: int, radius: int, threads: int | None
) -> tuple[_Integers, npt.NDArray[np.int16]]: ...
def block_motion_one_bit(
    planes: _Codes, reference: _Codes, width: int, k: int, block: int, radius: int, threads: int | None
) -> tuple[_Integers, npt.NDArray[np.int16]]: ...
def block_motion_sad(
    frame: _Codes, reference: _Codes, vectors: npt.NDArray[np.int16], block: int, threads: int | None
) -> _Integers: ...
def hadamard_project(
    x: _Floats, signs: _Codes, n_features: int, out: _Floats | None, threads: int | None
) -> _Floats: ...

@final
class EntropyTables:
    def __new__(cls, frequencies: _Frequencies) -> EntropyTables: ...

@final
class EntropyScales:
    def __new__(cls, law: str) -> EntropyScales: ...
    @property
    def scales(self) -> npt.NDArray[np.float64]: ...
    def bits(self, values: _Integers, scales: _Codes) -> npt.NDArray[np.float64]: ...

@final
class EntropyHuffman:
    def __new__(cls, lengths: _Codes) -> EntropyHuffman: ...
    @property
    def codewords(self) -> _Frequencies: ...

@final
class EntropyRows:
    @staticmethod
    def chain(frequencies: _Frequencies, n_columns: int, has_previous: bool) -> EntropyRows: ...
    @staticmethod
    def bernoulli(ones: _Frequencies) -> EntropyRows: ...
    @property
    def n_bytes(self) -> int: ...

def entropy_frequencies(counts: npt.NDArray[np.uint64], threads: int | None) -> _Frequencies: ...
def entropy_encode(symbols: _Codes, tables: EntropyTables, threads: int | None) -> bytes: ...
def entropy_decode(data: _Codes, tables: EntropyTables, n: int, threads: int | None) -> _Codes: ...
def entropy_encode_wide(
    symbols: npt.NDArray[np.uint16], high: EntropyTables, low: EntropyTables, threads: int | None
) -> bytes: ...
def entropy_decode_wide(
    data: _Codes, high: EntropyTables, low: EntropyTables, n: int, threads: int | None
) -> npt.NDArray[np.uint16]: ...
def entropy_encode_scaled(
    symbols: _Integers, scales: _Codes, table: EntropyScales, threads: int | None
) -> bytes: ...
def entropy_decode_scaled(
    data: _Codes, scales: _Codes, table: EntropyScales, threads: int | None
) -> _Integers: ...
def entropy_huffman_lengths(counts: npt.NDArray[np.uint64]) -> _Codes: ...
def entropy_huffman_encode(symbols: npt.NDArray[np.uint16], code: EntropyHuffman) -> bytes: ...
def entropy_huffman_decode(data: _Codes, code: EntropyHuffman, n: int) -> npt.NDArray[np.uint16]: ...
def entropy_encode_rows(
    codes: _Codes, model: EntropyRows, rows_per_block: int, threads: int | None
) -> tuple[_Codes, _Ids]: ...
def entropy_decode_rows(
    data: _Codes,
    starts: _Ids,
    stops: _Ids,
    lens: _Ids,
    counts: _Ids,
    model: EntropyRows,
    threads: int | None,
) -> _Codes: ...
def entropy_encode_cells(
    symbols: _Codes, which: _Codes, tables: EntropyTables, n_bytes: int, threads: int | None
) -> tuple[_Codes, _Ids]: ...
def entropy_decode_cells(
    codes: _Codes, which: _Codes, tables: EntropyTables, threads: int | None
) -> tuple[_Codes, npt.NDArray[np.bool_]]: ...
def entropy_quantize(
    values: _Floats,
    steps: _Floats,
    which: _Codes,
    centers: _Floats,
    tables: EntropyTables,
    n_bytes: int,
    threads: int | None,
) -> tuple[_Codes, _Floats]: ...
def hadamard_pack(
    x: _Floats, signs: _Codes, n_bits: int, out: _Codes | None, threads: int | None
) -> _Codes: ...
def hadamard_rotate(
    x: _Floats, signs: _Codes, back_to: int | None, out: _Floats | None, threads: int | None
) -> _Floats: ...
def image_encode(
    image: npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
    step: float | None,
    tune_ms_ssim: bool,
    threads: int | None,
) -> bytes: ...
def image_inspect(data: _Codes) -> tuple[int, int, int, int, float | None, bool]: ...
def image_decode(data: _Codes, n_halvings: int, max_pixels: int, threads: int | None) -> npt.NDArray[Any]: ...
def hamming_asymmetric_knn(
    queries: _Floats,
    codes: _Codes,
    k: int,
    mask: _Mask | None,
    threads: int | None,
    lists: _Lists | None,
) -> tuple[_Floats, _Ids]: ...
def hamming_knn(
    queries: _Codes,
    codes: _Codes,
    k: int,
    mask: _Mask | None,
    threads: int | None,
    lists: _Lists | None,
) -> tuple[npt.NDArray[np.int32], _Ids]: ...
def hamming_candidates_knn(
    queries: _Codes, codes: _Codes, lists: _Lists, k: int, mask: _Mask | None, threads: int | None
) -> tuple[npt.NDArray[np.int32], _Ids]: ...
def hamming_tables(
    codes: _Codes, n_bits: int, n_tables: int | None, threads: int | None
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint64]]: ...
def hamming_tables_knn(
    queries: _Codes,
    codes: _Codes,
    n_bits: int,
    tables: Sequence[tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint64]]],
    k: int,
    mask: _Mask | None,
    threads: int | None,
) -> tuple[npt.NDArray[np.int32], _Ids]: ...
def hamming_tables_radius(
    queries: _Codes,
    codes: _Codes,
    n_bits: int,
    tables: Sequence[tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint64]]],
    radius: int,
    mask: _Mask | None,
    threads: int | None,
) -> tuple[_Ids, npt.NDArray[np.int32], _Ids]: ...
def hamming_radius(
    queries: _Codes,
    codes: _Codes,
    radius: int,
    mask: _Mask | None,
    threads: int | None,
    lists: _Lists | None,
) -> tuple[_Ids, npt.NDArray[np.int32], _Ids]: ...
def hamming_cdist(
    a: _Codes, b: _Codes, out: npt.NDArray[np.int32] | None, threads: int | None
) -> npt.NDArray[np.int32]: ...
def hamming_pairs(
    codes: _Codes, radius: int, threads: int | None
) -> tuple[_Ids, _Ids, npt.NDArray[np.int32]]: ...
def hamming_groups(codes: _Codes, radius: int, threads: int | None) -> _Ids: ...

@final
class SortedRows:
    def __new__(cls, codes: _Codes, threads: int | None) -> SortedRows: ...
    def __len__(self) -> int: ...
    @property
    def nbytes(self) -> int: ...

def jaccard_knn(
    queries: _Codes,
    codes: _Codes,
    k: int,
    weights: tuple[float, float],
    sorted: SortedRows | None,
    mask: _Mask | None,
    threads: int | None,
    lists: _Lists | None,
) -> tuple[npt.NDArray[np.float32], _Ids]: ...
def jaccard_radius(
    queries: _Codes,
    codes: _Codes,
    radius: float,
    weights: tuple[float, float],
    sorted: SortedRows | None,
    mask: _Mask | None,
    threads: int | None,
    lists: _Lists | None,
) -> tuple[_Ids, npt.NDArray[np.float32], _Ids]: ...
def jaccard_cdist(
    a: _Codes,
    b: _Codes,
    weights: tuple[float, float],
    out: npt.NDArray[np.float32] | None,
    threads: int | None,
) -> npt.NDArray[np.float32]: ...
def jaccard_pairs(
    codes: _Codes, radius: float, threads: int | None
) -> tuple[_Ids, _Ids, npt.NDArray[np.float32]]: ...
def jaccard_groups(codes: _Codes, radius: float, threads: int | None) -> _Ids: ...
def minhash_tokens(sets: list[Any], first: int, most: int) -> tuple[_Tokens, _Ids]: ...
def minhash_shingles(texts: list[Any], first: int, shingles: _Shingles) -> tuple[_Tokens, _Ids]: ...
def minhash_signatures(
    tokens: _Tokens, offsets: _Ids, hasher: _Hasher, out: _Signatures | None, threads: int | None
) -> _Signatures: ...
def minhash_text_signatures(
    texts: list[Any],
    first: int,
    shingles: _Shingles,
    hasher: _Hasher,
    out: _Signatures | None,
    threads: int | None,
) -> _Signatures: ...
def minhash_pack(signatures: _Signatures, n_bits: int, out: _Codes | None, threads: int | None) -> _Codes: ...
def minhash_band_keys(
    signatures: _Signatures, n_bands: int, n_rows: int, out: _Tokens | None, threads: int | None
) -> _Tokens: ...
def minhash_cdist(
    a: _Codes, b: _Codes, n_bits: int | None, out: npt.NDArray[np.int32] | None, threads: int | None
) -> npt.NDArray[np.int32]: ...
def minhash_paired(
    a: _Codes, b: _Codes, i: _Ids, j: _Ids, n_bits: int | None, threads: int | None
) -> npt.NDArray[np.int32]: ...
def minhash_jaccard(
    a: tuple[_Tokens, _Ids], b: tuple[_Tokens, _Ids], i: _Ids, j: _Ids, threads: int | None
) -> _Floats: ...

@final
class MinHashBands:
    def __new__(cls, n_hashes: int, n_bands: int, n_rows: int) -> MinHashBands: ...
    def __len__(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    def signatures(self) -> _Signatures: ...
    def add(self, signatures: _Signatures, threads: int | None) -> None: ...
    def query(
        self, signatures: _Signatures, n_equal: int, threads: int | None
    ) -> tuple[_Ids, npt.NDArray[np.int32], _Ids]: ...
    def pairs(self, n_equal: int, threads: int | None) -> tuple[_Ids, _Ids, npt.NDArray[np.int32]]: ...
    def differing(self, i: _Ids, j: _Ids, threads: int | None = None) -> npt.NDArray[np.int32]: ...
    def groups(self, n_equal: int, threads: int | None) -> _Ids: ...
    def groups_of_sets(
        self, tokens: npt.NDArray[np.uint64], offsets: _Ids, least: float, threads: int | None
    ) -> _Ids: ...

@final
class TextModel:
    def __new__(cls, texts: _Codes, offsets: _Ids, model_bytes: int, threads: int | None) -> TextModel: ...
    @staticmethod
    def from_bytes(data: _Codes) -> TextModel: ...
    def to_bytes(self) -> _Codes: ...
    @property
    def nbytes(self) -> int: ...
    def encode(self, texts: _Codes, offsets: _Ids, threads: int | None) -> tuple[_Codes, _Ids]: ...
    def decode(self, data: _Codes, offsets: _Ids, threads: int | None) -> tuple[_Codes, _Ids]: ...
    def bits(self, texts: _Codes, offsets: _Ids, threads: int | None) -> npt.NDArray[np.float64]: ...

@final
class VideoCoder:
    def __new__(cls, width: int, height: int, has_chroma: bool) -> VideoCoder: ...
    def reset(self) -> None: ...
    def encode(
        self,
        planes: Sequence[_Codes],
        place: tuple[list[tuple[int, int]], float, int | None],
        reach: tuple[int, str],
        threads: int | None,
    ) -> bytes: ...
    def decode(
        self, data: _Codes, place: tuple[list[tuple[int, int]], float, int | None], threads: int | None
    ) -> tuple[_Codes, _Codes, _Codes] | None: ...

@final
class XnorFilters:
    def __new__(cls, filters: _Codes, n_channels: int, groups: int, threads: int | None) -> XnorFilters: ...
    @property
    def shape(self) -> tuple[int, int, int, int]: ...
    @property
    def groups(self) -> int: ...
    def rows(self) -> _Codes: ...

@final
class XnorFinish:
    def __new__(
        cls,
        thresholds: npt.NDArray[np.int32] | None,
        flips: _Codes | None,
        scale: _Floats | None,
        bias: _Floats | None,
    ) -> XnorFinish: ...

@final
class XnorMatrix:
    def __new__(cls, rows: _Codes, n_features: int, values: str, threads: int | None) -> XnorMatrix: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    def rows(self) -> _Codes: ...

def rabitq_encode(
    x: _Floats, n_bits: int, weights: _Floats | None, threads: int | None
) -> tuple[_Codes, _Floats]: ...
def rabitq_decode(codes: _Codes, factors: _Floats, n_bits: int, threads: int | None) -> _Floats: ...
def rabitq_errors(codes: _Codes, factors: _Floats, n_bits: int, threads: int | None) -> _Floats: ...
def rabitq_scan(
    queries: _Floats,
    offsets: _Floats,
    codes: _Codes | PackedCodes,
    factors: _Floats,
    n_bits: int,
    metric: str,
    out: _Floats | None,
    threads: int | None,
) -> _Floats: ...
def rabitq_knn(
    queries: _Floats,
    offsets: _Floats,
    codes: _Codes | PackedCodes,
    factors: _Floats,
    k: int,
    n_bits: int,
    metric: str,
    mask: _Mask | None,
    threads: int | None,
    lists: _Lists | None,
) -> tuple[_Floats, _Ids]: ...
def rabitq_radius(
    queries: _Floats,
    offsets: _Floats,
    codes: _Codes | PackedCodes,
    factors: _Floats,
    radius: float,
    n_bits: int,
    metric: str,
    mask: _Mask | None,
    threads: int | None,
    lists: _Lists | None,
) -> tuple[_Ids, _Floats, _Ids]: ...
def rabitq_cdist(
    a: _Codes,
    a_factors: _Floats,
    b: _Codes,
    b_factors: _Floats,
    n_bits: int,
    metric: str,
    out: _Floats | None,
    threads: int | None,
) -> _Floats: ...
def rerank_nearest(
    queries: _Floats,
    candidates: _Ids,
    rows: _Ids | None,
    vectors: _Floats,
    metric: str,
    bounds: _Floats | None,
    found: tuple[_Floats, _Ids, _Ids],
    threads: int | None,
) -> None: ...
def rerank_nearest_of_all(
    queries: _Floats, vectors: _Floats, metric: str, k: int, threads: int | None
) -> tuple[_Floats, _Ids]: ...
def xnor_byte_matmul(
    a: _Codes,
    byte_values: tuple[int, int],
    b: XnorMatrix,
    finish: XnorFinish | None,
    out: npt.NDArray[Any] | None,
    threads: int | None,
) -> npt.NDArray[Any]: ...
def xnor_conv2d(
    images: _Codes,
    byte_values: tuple[int, int] | None,
    filters: XnorFilters,
    n_channels: int,
    conv: tuple[tuple[int, int], tuple[tuple[int, int], tuple[int, int]], int, tuple[int, int]],
    finish: XnorFinish | None,
    out: npt.NDArray[Any] | None,
    threads: int | None,
) -> npt.NDArray[Any]: ...
def xnor_matmul(
    a: _Codes,
    values: str,
    b: XnorMatrix,
    n_features: int,
    finish: XnorFinish | None,
    out: npt.NDArray[Any] | None,
    threads: int | None,
) -> npt.NDArray[Any]: ...
def xnor_max_pool2d(
    images: _Codes,
    size: tuple[int, int],
    stride: tuple[int, int],
    out: _Codes | None,
    threads: int | None,
) -> _Codes: ...
def xnor_planes(values: _Codes, n_planes: int, out: _Codes | None, threads: int | None) -> _Codes: ...
