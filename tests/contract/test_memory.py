"""A search takes no memory that grows with queries times rows, and a product little beside its results."""

from __future__ import annotations

import sys

import pytest
from helpers import run_python

MEASURE = """
import resource
import numpy as np
from fastcodes import adc, hadamard, hamming, jaccard, rabitq, xnor
from fastcodes.hashing import Bits, RandomHyperplanes, RandomProjection
from fastcodes.index import FlatIndex

def status(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))

def peak_beyond(call):
    # The peak since now beyond what is held now; where it cannot be reset, beyond the highest peak so far.
    before = status("VmRSS")
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    results = call()
    return status("VmHWM") - before - sum(result.nbytes for result in results)

def codes(n, n_bytes, seed):
    data = bytearray(np.random.default_rng(seed).bytes(n * n_bytes))
    return np.frombuffer(data, np.uint8).reshape(n, n_bytes)

queries, database = codes(100, {n_bytes}, 1), codes({n}, {n_bytes}, 2)
if "{family}" == "hashing":
    real = np.random.default_rng(1).standard_normal((100, 8 * {n_bytes}), np.float32)
    x = np.random.default_rng(2).standard_normal(({n}, {n_bytes}), np.float32)
    kinds = ("gaussian", "sparse", "hadamard")
    models = {{kind: RandomHyperplanes(256, projection=kind).fit(x) for kind in kinds}}
    [model.encode(x[:5000]) for model in models.values()]
    signs = hadamard.signs({n_bytes}, 256, random_state=0)
    rounds = hadamard.rotation_signs({n_bytes}, random_state=0)
elif "{family}" == "adc":
    queries = np.random.default_rng(1).standard_normal((100, {n_bytes}, 256), np.float32)
    packed = adc.PackedCodes(database)
elif "{family}" == "rabitq":
    queries = np.random.default_rng(1).standard_normal((100, 8 * {n_bytes}), np.float32)
    factors = np.random.default_rng(2).random(({n}, 2), np.float32)
    packed = adc.PackedCodes(database)
    rabitq.knn(queries[:5], database[:3000], factors[:3000], 1, threads=2)
elif "{family}" == "rerank":
    from fastcodes.index._reranking import reranked
    queries = np.ones((1000, 8 * {n_bytes}), np.float32)
    vectors = np.ones(({n}, 8 * {n_bytes}))
    candidates = np.random.default_rng(1).integers(0, {n}, (1000, 160))
    reranked(queries, candidates[:, :1], vectors, "l2", 1, threads=2)
elif "{family}" == "index":
    index = FlatIndex(Bits(8 * {n_bytes}), metric="jaccard")
    index.add(database)
elif "{family}" == "xnor":
    xnor.matmul(queries, database, 8 * {n_bytes}, finish=xnor.Finish(thresholds=0), threads=2)
    images = codes(64, 56 * 56 * 16, 3).reshape(64, 56, 56, 16)
    rows, n_bits = codes({n}, {n_bytes}, 4), 8 * {n_bytes}
    prepared = xnor.PackedMatrix(rows, n_bits)
    filters = xnor.PackedFilters(rows[:1152, :16].reshape(128, 3, 3, 16), 128)
    grouped = xnor.PackedFilters(rows[:1152, :2].reshape(128, 3, 3, 2), 128, groups=8)
else:
    {family}.knn(queries[:5], database[:3000], 1, threads=2)
print(peak_beyond(lambda: {call}))
"""

MEGABYTE = 1 << 20

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def measure(family: str, n: int, n_bytes: int, call: str) -> float:
    """Megabytes at the peak of a call beyond inputs and outputs."""
    code = MEASURE.format(family=family, n=n, n_bytes=n_bytes, call=call)
    return int(run_python(code)) / MEGABYTE


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_reranking_converts_few_vectors_at_a_time(dtype: str) -> None:
    # Of 160 MB, were the vectors of all candidates converted at once.
    vectors = f"vectors.view(np.{dtype})[:, : queries.shape[1]]"
    used = measure("rerank", 50_000, 32, f"reranked(queries, candidates, {vectors}, 'l2', 10)")
    assert used < 32, used


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("k", [10, 1000])
@pytest.mark.parametrize(("family", "n", "n_bytes"), [("hamming", 1_000_000, 32), ("jaccard", 200_000, 256)])
def test_a_search_takes_little_memory(family: str, n: int, n_bytes: int, k: int, threads: int) -> None:
    used = measure(family, n, n_bytes, f"{family}.knn(queries, database, {k}, threads={threads})")
    assert used < 64, used


@pytest.mark.parametrize("k", [10, 1000])
def test_sorting_rows_for_a_search_takes_little_memory(k: int) -> None:
    used = measure("index", 200_000, 256, f"index.search(queries, {k})")
    assert used < 64, used


def test_a_search_by_real_queries_takes_little_memory() -> None:
    for more in ("10", "1000", "10, mask=np.arange(0, 1_000_000, 3)"):
        used = measure("hashing", 1_000_000, 32, f"hamming.asymmetric_knn(real, database, {more})")
        assert used < 64, used


@pytest.mark.parametrize("kind", ["gaussian", "sparse", "hadamard"])
def test_hashing_takes_a_tenth_of_the_memory_of_all_projections(kind: str) -> None:
    # As floats, the projections would be 200 megabytes.
    used = measure("hashing", 200_000, 64, f"(models[{kind!r}].encode(x),)")
    assert used < (2 if kind == "hadamard" else 20), used


def test_rotating_takes_no_memory_beside_the_results() -> None:
    used = measure("hashing", 200_000, 64, "(hadamard.project(x, signs, 256),)")
    assert used < 4, used


def test_a_rotation_takes_no_memory_beside_the_results() -> None:
    used = measure("hashing", 200_000, 64, "(hadamard.rotate(x, rounds),)")
    assert used < 4, used


@pytest.mark.parametrize(
    "call",
    [
        "knn(queries, database, factors, 10)",
        "knn(queries, packed, factors, 1000)",
        "knn(queries[:, :64], database, factors, 10, n_bits=4, mask=np.arange(0, 1_000_000, 3))",
        "radius(queries, packed, factors, 100.0)",
        "radius(queries[:, :32], database, factors, -5000.0, n_bits=8)",
    ],
)
def test_a_search_of_rabitq_takes_little_memory(call: str) -> None:
    used = measure("rabitq", 1_000_000, 32, f"rabitq.{call}")
    assert used < 64, used


@pytest.mark.parametrize(
    "call",
    [
        "(rabitq.scan(queries[:3], packed, factors),)",
        "(rabitq.scan(queries[:3, :64], database, factors, n_bits=4),)",
        "rabitq.encode(factors.reshape(-1, 8), n_bits=4)",
        "(rabitq.decode(database[:100_000], factors[:100_000]),)",
    ],
)
def test_the_rest_of_rabitq_takes_little_memory(call: str) -> None:
    used = measure("rabitq", 1_000_000, 32, call)
    assert used < 16, used


@pytest.mark.parametrize("form", ["database", "packed"])
@pytest.mark.parametrize(
    "call", ["knn(queries, {}, 10)", "knn(queries, {}, 1000)", "radius(queries, {}, -25)"]
)
def test_a_search_of_adc_takes_little_memory(call: str, form: str) -> None:
    used = measure("adc", 1_000_000, 32, f"adc.{call.format(form)}")
    assert used < 64, used


@pytest.mark.parametrize(
    "call", ["scan(queries[:3], {})", "knn(queries[:3], {}, 10, mask=np.arange(0, {n}, 3))"]
)
@pytest.mark.parametrize("form", ["database", "packed"])
def test_sums_and_masks_of_adc_take_little_memory(call: str, form: str) -> None:
    used = measure("adc", 1_000_000, 32, f"adc.{call.replace('{n}', '1_000_000').format(form)}")
    assert used < 16, used


def test_packing_codes_takes_the_memory_of_the_packed_codes_alone() -> None:
    # What append allocates is not counted as a result here, but is what it adds.
    used = measure("adc", 1_000_000, 32, "(adc.PackedCodes(database).to_state()[1]['blocks'],)")
    assert used < 8, used


def test_encoding_other_dtypes_converts_some_rows_at_a_time() -> None:
    books = "np.zeros((8, 16, 4), np.float32)"
    used = measure("adc", 1_000_000, 32, f"(adc.encode(database, {books}),)")
    assert used < 16, used


FINISHED = ["", ", finish=xnor.Finish(thresholds=0)", ", finish=xnor.Finish(scale=0.5)"]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("finish", FINISHED)
def test_a_product_takes_little_memory(finish: str, threads: int) -> None:
    call = f"xnor.matmul(database, prepared, n_bits{finish}, threads={threads})"
    used = measure("xnor", 4096, 512, f"({call},)")
    assert used < 4, used


@pytest.mark.parametrize("finish", FINISHED)
def test_a_product_takes_a_copy_of_a_right_hand_side_that_is_not_prepared(finish: str) -> None:
    # As it is, and transposed: 2 megabytes each.
    used = measure("xnor", 4096, 512, f"(xnor.matmul(database, rows, n_bits{finish}),)")
    assert used < 8, used


@pytest.mark.parametrize("finish", FINISHED)
def test_very_many_rows_take_no_memory_each(finish: str) -> None:
    tall = "np.broadcast_to(database[0, :8], (3_000_000, 8))"
    call = f"xnor.matmul({tall}, xnor.PackedMatrix(rows[:8, :8], 64), 64{finish})"
    used = measure("xnor", 4096, 512, f"({call},)")
    assert used < 8, used


def test_planes_are_multiplied_where_they_are() -> None:
    matrix = "xnor.PackedMatrix(rows[:64].reshape(8, -1, 512), n_bits)"
    planes = "database.reshape(8, -1, 512)"
    call = f"xnor.bitserial_matmul({planes}, {matrix}, n_bits)"
    used = measure("xnor", 65_536, 512, f"({call},)")
    assert used < 4, used


@pytest.mark.parametrize("finish", FINISHED)
def test_very_many_rows_of_bytes_take_no_memory_each(finish: str) -> None:
    tall = "np.broadcast_to(database[0, :64], (3_000_000, 64))"
    call = f"xnor.byte_matmul({tall}, xnor.PackedMatrix(rows[:8, :8], 64){finish})"
    used = measure("xnor", 4096, 512, f"({call},)")
    assert used < 8, used


@pytest.mark.parametrize("pad_value", [-1, 0])
@pytest.mark.parametrize("finish", FINISHED)
@pytest.mark.parametrize("filters", ["filters", "grouped"])
def test_a_convolution_makes_no_rows_of_all_places(filters: str, finish: str, pad_value: int) -> None:
    settings = f"padding=1, pad_value={pad_value}{finish}"
    used = measure("xnor", 4096, 512, f"(xnor.conv2d(images, {filters}, 128, {settings}),)")
    # All rows would be 28 megabytes.
    assert used < 4, used


@pytest.mark.parametrize(
    "call", ["xnor.planes(database, 8)", "xnor.max_pool2d(images, 2)", "xnor.and_matmul(database, rows[:9])"]
)
def test_the_rest_of_xnor_takes_little_memory(call: str) -> None:
    used = measure("xnor", 65_536, 512, f"({call},)")
    assert used < 4, used


def test_the_measure_sees_what_is_freed_before_the_end() -> None:
    used = measure("hamming", 1000, 8, "(np.ones(100 << 20, np.uint8)[:1].copy(),)")
    assert 95 < used < 120


FULL = """
import resource
import numpy as np
from fastcodes import hamming, jaccard

codes = np.zeros((20_000, 8), np.uint8)
everywhere = np.broadcast_to(codes[0], (2**42, 8))
resource.setrlimit(resource.RLIMIT_AS, (3_000_000_000, 3_000_000_000))
for call in (
    lambda: hamming.pairs(codes, 1, threads=1),
    lambda: jaccard.pairs(codes, 0.5),
    lambda: hamming.radius(codes, codes, 1),
    lambda: hamming.pairs(everywhere, 1),
    lambda: hamming.radius(everywhere, codes[:0], 1),
    lambda: jaccard.radius(everywhere, codes[:0], 0.5),
):
    try:
        call()
    except MemoryError as error:
        print(error)
"""

# Each in a process of its own, since what fails may end the process.
FULL_OF_ADC = """
import resource
import numpy as np
from fastcodes import adc

tables, codes = np.zeros((1, 8, 16), np.float32), np.zeros((20_000, 8), np.uint8)
many, wide = np.zeros((30_000, 8, 16), np.float32), np.zeros((400_000, 8, 17), np.float32)
everywhere = np.broadcast_to(codes[0], (2**42, 8))
resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))
try:
    {call}
except MemoryError:
    print("MemoryError")
"""
FULL_CALLS = (
    "adc.knn(tables, everywhere, 2**40)",
    "adc.knn(many, codes, 20_000)",
    "adc.knn(wide, codes, 1)",
    "adc.knn(np.broadcast_to(tables, (2**40, 8, 16)), codes, 1)",
    "adc.radius(many, codes, 0)",
    "adc.radius(many, adc.PackedCodes(codes, n_codewords=16), 0, mask=np.arange(0, 20_000))",
    "adc.scan(many, np.tile(codes, (3, 1)))",
    "adc.scan(tables, everywhere)",
    "adc.PackedCodes(everywhere)",
    "adc.PackedCodes(codes).append(everywhere)",
    "adc.tables(np.broadcast_to(np.float32(0), (2**40, 8)), tables[0, :, :, None])",
    "adc.tables(np.zeros((400_000, 8)), np.zeros((8, 256, 1), np.float32))",
    "adc.encode(np.broadcast_to(0.5, (2**42, 8)), tables[0, :, :, None])",
)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
@pytest.mark.parametrize("call", FULL_CALLS)
def test_what_adc_has_no_memory_for_is_an_error(call: str) -> None:
    assert run_python(FULL_OF_ADC.format(call=call)) == "MemoryError"


FULL_OF_XNOR = """
import resource
import numpy as np
from fastcodes import xnor

rows, image = np.zeros((2000, 8), np.uint8), np.zeros((1, 1000, 1000, 1), np.uint8)
everywhere = np.broadcast_to(rows[0], (2**42, 8))
resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))
try:
    {call}
except MemoryError:
    print("MemoryError")
"""
FULL_CALLS_OF_XNOR = (
    "xnor.matmul(np.tile(rows, (1000, 1)), rows, 64)",
    "xnor.matmul(everywhere, rows, 64, finish=xnor.Finish(thresholds=0))",
    "xnor.PackedMatrix(everywhere, 64)",
    "xnor.matmul(rows, everywhere, 64)",
    "xnor.and_matmul(rows, everywhere)",
    "xnor.planes(everywhere, 8)",
    "xnor.byte_matmul(everywhere, rows[:, :1])",
    "xnor.byte_matmul(rows, everywhere[:, :1])",
    "xnor.byte_conv2d(image, rows[:, None, None, :1] & 0x80)",
    "xnor.conv2d(image, rows[:, None, None, :1], 8)",
    "xnor.conv2d(image, rows[:1, None, None, :1], 8, padding=2**28)",
    "xnor.max_pool2d(np.broadcast_to(image, (10**6, 1000, 1000, 1)), 1)",
    "xnor.PackedFilters(np.broadcast_to(image, (10**6, 1000, 1000, 1)), 8)",
)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
@pytest.mark.parametrize("call", FULL_CALLS_OF_XNOR)
def test_what_xnor_has_no_memory_for_is_an_error(call: str) -> None:
    assert run_python(FULL_OF_XNOR.format(call=call)) == "MemoryError"


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_results_that_fit_no_memory_are_an_error() -> None:
    lines = run_python(FULL, timeout=240).splitlines()  # some fill the memory first
    assert len(lines) == 6
    assert all("do not fit the memory" in line for line in lines)


LIMITED = """
import resource
import numpy as np
from fastcodes import adc, entropy, hamming, jaccard, minhash, xnor
from fastcodes.coding import ImageCodec

bytes_ = np.random.default_rng(0).integers(0, 256, (20_000, 64), dtype=np.uint8)
equal, tables = np.ones((20_000, 8), np.uint8), np.ones((500, 8, 256), np.float32)
words = list(map(str, range(200_000)))
picture = ImageCodec().encode(bytes_.reshape(800, -1)[:, :900])
calls = (
    lambda: minhash.signatures([range(10**9)]),
    lambda: minhash.tokens([words] * 1000),
    lambda: minhash.shingles([" ".join(words)] * 1000),
    lambda: jaccard.pairs(equal, 1.0),
    lambda: jaccard.knn(bytes_, bytes_, 5_000),
    lambda: hamming.radius(bytes_, bytes_, 300),
    lambda: adc.knn(tables, equal, 20_000),
    lambda: adc.radius(tables, equal, np.inf),
    lambda: xnor.matmul(bytes_, bytes_, 512),
    lambda: xnor.byte_matmul(bytes_, bytes_[:, :8]),
    lambda: entropy.encode(np.tile(bytes_, (20, 1)), entropy.Categorical.fit(bytes_)),
    lambda: entropy.encode(bytes_, entropy.Categorical(range(65_536))),
    lambda: entropy.encode(bytes_, entropy.Huffman(range(1, 65_537))),
    lambda: entropy.encode_rows(np.tile(bytes_, (20, 1)), entropy.MarkovChain.fit(bytes_)),
    lambda: ImageCodec(lossless=True).encode(bytes_[:700]),
    lambda: ImageCodec().encode(bytes_.reshape(800, -1)[:, :300]),
    lambda: ImageCodec().decode(picture),
)
with open("/proc/self/status") as file:
    size = next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmSize"))
limit = size + {megabytes} * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for call in calls:
    try:
        call()
        print("done")
    except MemoryError:
        print("MemoryError")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
@pytest.mark.parametrize("megabytes", [5, 30, 200])
def test_calls_within_a_limit_of_memory_end_or_raise(megabytes: int) -> None:
    ends = run_python(LIMITED.format(megabytes=megabytes), timeout=240).split()
    assert len(ends) == 17
    # A product of all rows, and the tokens of 10**9 numbers, fit none of the limits.
    assert ends[0] == ends[8] == "MemoryError"


FULL_OF_EVERYTHING = """
import resource, sys
import numpy as np
from contract.test_arguments import FAMILIES, call

FIXED = ("codebooks", "filters", "frequencies", "signs", "tables")
FAMILIES.pop("distributed", None)  # Dask starts threads

def larger(name, value):
    if not isinstance(value, np.ndarray) or value.ndim < 2 or name in FIXED:
        return value
    return np.concatenate([value] * (2000 // value.shape[-2]), axis=-2)

# The buffers of BLAS: some releases end the process, or wait for ever, where there is no memory for them.
np.ones((300, 300), np.float32) @ np.ones((300, 300), np.float32)

for family, table in FAMILIES.items():
    for verb, right in table.RIGHT.items():
        # In one thread: the C library aborts where it has no memory for the data of a new thread.
        given = {name: larger(name, value) for name, value in right.items()}
        given |= {"threads": 1} if "threads" in given else {}
        if family == "block_motion" and "vectors" in given:  # one for each block of the larger frame
            given["vectors"] = np.zeros((125, 2, 2), np.int16)
        for beyond in (0, 1 << 16, 1 << 20, 1 << 24):
            print(family, verb, beyond, file=sys.stderr, flush=True)
            with open("/proc/self/statm") as file:
                size = int(file.read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + beyond, resource.RLIM_INFINITY))
            try:
                call(family, verb, given)
                print("success")
            except MemoryError:
                print("MemoryError")
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_every_function_without_memory_succeeds_or_raises_a_memory_error() -> None:
    # Some calls need more than a limit allows, and some do not.
    ends = run_python(FULL_OF_EVERYTHING, timeout=240).splitlines()
    assert set(ends) == {"MemoryError", "success"}
