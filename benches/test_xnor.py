"""fastcodes.xnor against products of numpy and NumKong, and convolutions of onnxruntime."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest
from fastcodes import _native, xnor
from fastcodes._typing import Array
from fastcodes.cli.measure import random_codes

N = 1024  # rows of both sides
N_CHECKED = 4  # rows of products that are checked by numpy
AHEAD_OF_NUMPY = {1024: 25.0, 4096: 35.0, 16_384: 35.0}
AHEAD_OF_NUMPY_FEW_ROWS = 20.0
AHEAD_OF_NUMKONG = 1.5
SHARE_OF_ROOFLINE = 0.85  # of 4096 bits
AHEAD_OF_CONVOLUTIONS = {"float32": 10.0, "int8": 3.0}


pytestmark = pytest.mark.usefixtures("one_thread")


@lru_cache(maxsize=2)
def operands(m: int, n: int, n_bits: int) -> tuple[Array, Array, Array, Array]:
    """Return the rows of both sides, packed and as float32 numbers."""
    a, b = random_codes(m, n_bits // 8, seed=1), random_codes(n, n_bits // 8)
    return a, b, as_floats(a), as_floats(b)


def as_floats(codes: Array) -> Array:
    return np.unpackbits(codes, axis=-1).astype(np.float32) * 2 - 1


def true_products(a: Array, b: Array) -> Array:
    """Return the first rows of the matrix of dot products."""
    return 8 * a.shape[1] - 2 * np.bitwise_count(a[:N_CHECKED, None] ^ b).sum(axis=2, dtype=np.int64)


def check_products(a: Array, b: Array, products: Array) -> None:
    np.testing.assert_array_equal(products[:N_CHECKED], true_products(a, b))


def product_contest(
    contest: Any, name: str, call: Callable[[], Array], shape: tuple[int, int, int], group: str, **more: Any
) -> None:
    a, b, *_ = operands(*shape)
    contest(
        name,
        call,
        group=group,
        check=more.pop("check", partial(check_products, a, b)),
        amount=float(np.prod(shape)),
        unit="multiplications",
        **more,
    )


@pytest.mark.parametrize("n_bits", AHEAD_OF_NUMPY)
@pytest.mark.parametrize("name", ["fastcodes", "numpy", "numkong"])
def test_matmul(contest: Any, name: str, n_bits: int) -> None:
    """Multiply two arrays; packing the second one is part of the work."""
    a, b, x, y = operands(N, N, n_bits)
    product = partial(
        product_contest,
        contest,
        name,
        shape=(N, N, n_bits),
        group=f"xnor.matmul into out=, {N} x {N}, {n_bits} bits, packing included",
    )
    if name == "fastcodes":
        out = np.empty((N, N), np.int32)
        needs = {"numpy": AHEAD_OF_NUMPY[n_bits], "numkong": AHEAD_OF_NUMKONG}
        if n_bits == 4096:
            needs["roofline"] = SHARE_OF_ROOFLINE
        product(
            lambda: xnor.matmul(a, b, n_bits, out=out, threads=1),
            needs=needs,
            bytes_per_unit=1 / 8 if n_bits == 4096 else None,
        )
    elif name == "numpy":
        floats = np.empty((N, N), np.float32)
        product(lambda: np.matmul(x, y.T, out=floats))
    else:
        numkong = pytest.importorskip("numkong")
        distances = numkong.empty((N, N), dtype="uint32")

        def call() -> Array:
            packed = numkong.hammings_pack(b, dtype="uint1")
            numkong.hammings_packed(a, packed, out=distances, threads=1)
            return np.asarray(distances)

        # NumKong returns distances; converting them to products is not part of its time.
        product(call, check=lambda found: check_products(a, b, n_bits - 2 * found.astype(np.int64)))


@pytest.mark.parametrize("m", [1, 8])
@pytest.mark.parametrize("name", ["fastcodes", "numpy"])
def test_few_rows(contest: Any, name: str, m: int) -> None:
    shape = (m, 4096, 4096)
    a, b, x, y = operands(*shape)
    weights = xnor.PackedMatrix(b, shape[2])
    is_ours = name == "fastcodes"
    product_contest(
        contest,
        name,
        (lambda: xnor.matmul(a, weights, shape[2], threads=1)) if is_ours else lambda: x @ y.T,
        shape,
        f"xnor.matmul, {m} x 4096, 4096 bits, prepared",
        needs={"numpy": AHEAD_OF_NUMPY_FEW_ROWS} if is_ours else None,
    )


@pytest.mark.parametrize("name", ["fastcodes", "to int32"])
def test_finishing(contest: Any, name: str) -> None:
    """Threshold and pack in the same pass: more work, but fewer bytes are written."""
    shape = (N, N, N)
    a, b, *_ = operands(*shape)
    weights, thresholds = xnor.PackedMatrix(b, N), np.arange(N, dtype=np.int32) - N // 2
    flips = thresholds % 3 == 0
    finish = xnor.Finish(thresholds=thresholds, flips=flips) if name == "fastcodes" else None
    wanted = np.packbits((true_products(a, b) >= thresholds) != flips, axis=1)
    more: dict[str, Any] = {}
    if name == "fastcodes":
        more = {"check": lambda found: np.testing.assert_array_equal(found[:N_CHECKED], wanted)}
    product_contest(
        contest,
        name,
        lambda: xnor.matmul(a, weights, N, finish=finish, threads=1),
        shape,
        f"xnor.matmul with thresholds and flips, {N} x {N}, {N} bits, prepared",
        **more,
    )


@pytest.mark.parametrize("name", ["fastcodes", "numpy", "bit planes"])
def test_bytes(contest: Any, name: str) -> None:
    """Multiply images of bytes by signs, like the first layer of a network."""
    m, n, d = 256, 1024, 784
    pixels, signs = random_codes(m, d, seed=1), random_codes(n, d // 8)
    x, y = pixels.astype(np.float32), as_floats(signs)
    weights = xnor.PackedMatrix(signs, d)
    wanted = pixels[:N_CHECKED].astype(np.int64) @ y.T.astype(np.int64)
    calls: dict[str, Callable[[], Array]] = {
        "fastcodes": lambda: xnor.byte_matmul(pixels, weights, threads=1),
        "numpy": lambda: x @ y.T,
        "bit planes": lambda: xnor.bitserial_matmul(xnor.planes(pixels, 8, threads=1), weights, d, threads=1),
    }
    contest(
        name,
        calls[name],
        group=f"xnor.byte_matmul, {m} x {n}, {d} bytes, prepared",
        check=lambda found: np.testing.assert_array_equal(found[:N_CHECKED], wanted),
        amount=float(m * n * d),
        unit="multiplications",
    )


def test_call_overhead(contest: Any) -> None:
    shape = (1, 64, 64)
    a, b, *_ = operands(*shape)
    weights, thresholds = xnor.PackedMatrix(b, 64), np.arange(-32, 32, dtype=np.int32)
    wanted = np.packbits(true_products(a, b) >= thresholds, axis=1)
    finish = xnor.Finish(thresholds=thresholds)
    product_contest(
        contest,
        "fastcodes",
        lambda: xnor.matmul(a, weights, 64, finish=finish),
        shape,
        "xnor.matmul with thresholds, 1 x 64, 64 bits, prepared: the price of a call",
        check=partial(np.testing.assert_array_equal, wanted),
        limit_seconds=10e-6,
    )


@pytest.mark.skipif(_native.threads() < 2, reason="needs two CPUs")
@pytest.mark.parametrize("threads", [1, 2])
def test_two_threads(contest: Any, threads: int) -> None:
    shape = (N, N, 4096)
    a, b, *_ = operands(*shape)
    out = np.empty((N, N), np.int32)
    product_contest(
        contest,
        "fastcodes" if threads == 1 else f"fastcodes, {threads} threads",
        lambda: xnor.matmul(a, b, 4096, out=out, threads=threads),
        shape,
        f"xnor.matmul, {N} x {N}, 4096 bits, two threads against one",
        needs={"fastcodes": 1.8} if threads > 1 else None,
    )


# --- levels: a process has only one, so each level gets its own process -------------------------------------


def multiply_there() -> Array:
    a, b, *_ = operands(N, N, 4096)
    return xnor.matmul(a, b, 4096, threads=1)[:N_CHECKED]


@pytest.mark.parametrize("process", ["portable", "avx2", "avx512"], indirect=True)
def test_levels(contest: Any, process: ProcessPoolExecutor) -> None:
    level = process.submit(_native.level).result()
    product_contest(
        contest,
        level,
        lambda: process.submit(multiply_there).result(),
        (N, N, 4096),
        f"xnor.matmul, {N} x {N}, 4096 bits, levels",
        needs={"portable": 2.0} if level != "portable" else None,
    )


# --- convolution --------------------------------------------------------------------------------------------

BATCH, SIDE, CHANNELS = 8, 56, 128
SCALE = 16.0  # of 8-bit results, for sums from -1152 to 1152


def signs_of_layer() -> tuple[Array, Array, Array, Array]:
    """Return images and filters, channels last, packed and as numbers."""
    images = random_codes(BATCH * SIDE * SIDE, CHANNELS // 8, seed=1).reshape(BATCH, SIDE, SIDE, -1)
    filters = random_codes(CHANNELS * 9, CHANNELS // 8).reshape(CHANNELS, 3, 3, -1)
    return images, filters, as_floats(images), as_floats(filters)


def true_convolution(x: Array, w: Array) -> Array:
    """Convolve one image padded with zeros, by one matrix product per position of the filter."""
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    sums = np.zeros((SIDE, SIDE, CHANNELS), np.float32)
    for row in range(3):
        for column in range(3):
            sums += padded[row : row + SIDE, column : column + SIDE] @ w[:, row, column].T
    return sums


def onnx_convolution(x: Array, w: Array, kind: str) -> Callable[[], Array]:
    """Prepare the layer in onnxruntime, with channels first."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    x, w = (np.ascontiguousarray(array.transpose(0, 3, 1, 2).astype(kind)) for array in (x, w))
    initializers, layer = {"w": w}, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    inputs, operator = ["x", "w"], "Conv"
    if kind == "int8":
        # onnxruntime is fastest for unsigned images and signed filters.
        operator, x = "QLinearConv", (x + 1).astype(np.uint8)
        one, scale = np.ones((), np.float32), np.full((), SCALE, np.float32)
        zeros = {"x_zero": np.uint8(1), "w_zero": np.int8(0), "y_zero": np.uint8(128)}
        initializers |= {"one": one, "scale": scale, **{name: np.array(z) for name, z in zeros.items()}}
        inputs = ["x", "one", "x_zero", "w", "one", "w_zero", "scale", "y_zero"]
    helper, element = onnx.helper, onnx.helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, ["y"], **layer)],
        "layer",
        [helper.make_tensor_value_info("x", element, x.shape)],
        [helper.make_tensor_value_info("y", element, x.shape)],
        [onnx.numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})[0].transpose(0, 2, 3, 1)


@pytest.mark.parametrize("name", ["fastcodes", "onnxruntime float32", "onnxruntime int8"])
def test_convolution(contest: Any, name: str) -> None:
    images, filters, x, w = signs_of_layer()
    wanted = true_convolution(x[-1], w)
    tolerance = 0.0
    if name == "fastcodes":
        prepared = xnor.PackedFilters(filters, CHANNELS)
        call = partial(xnor.conv2d, images, prepared, CHANNELS, padding=1, pad_value=0, threads=1)
    else:
        kind = name.split()[1]
        call = onnx_convolution(x, w, kind)
        if kind == "int8":
            # Results are rounded to multiples of the scale.
            wanted, tolerance = wanted / SCALE + 128, 0.5
    contest(
        name,
        call,
        group=f"xnor.conv2d 3 x 3, {SIDE} x {SIDE} x {CHANNELS} -> {CHANNELS}, batch {BATCH}, prepared",
        check=lambda found: np.testing.assert_allclose(found[-1], wanted, rtol=0, atol=tolerance),
        amount=float(images.size * 8 * CHANNELS * 9),
        unit="multiplications",
        needs={f"onnxruntime {kind}": ratio for kind, ratio in AHEAD_OF_CONVOLUTIONS.items()}
        if name == "fastcodes"
        else None,
    )
