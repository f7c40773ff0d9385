"""Packed networks against float twins in numpy and onnxruntime; training."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
from fastcodes import nn
from fastcodes._typing import Array

N_PIXELS, WIDTH, N_CLASSES = 784, 1024, 10
SHAPES = [(N_PIXELS, WIDTH), (WIDTH, WIDTH), (WIDTH, WIDTH), (WIDTH, N_CLASSES)]
AHEAD = {"numpy": 8.0, "onnxruntime": 5.0}

# Training: a fifth of an epoch of handwritten digits on all CPUs; the promise is for two.
N_TRAINED = 12_000
MAX_SECONDS = 3.0


def images(n: int) -> Array:
    return np.random.default_rng(1).integers(0, 256, (n, N_PIXELS), dtype=np.uint8)


def network() -> nn.Sequential:
    layers: list[Any] = []
    for _ in range(3):
        layers += [nn.BinaryDense(WIDTH), nn.BatchNorm(), nn.Sign()]
    return nn.Sequential(*layers, nn.BinaryDense(N_CLASSES), nn.BatchNorm(), random_state=0)


def packed() -> Callable[[Array], Array]:
    """Return the predictor of a packed network, after checking that it equals the trained one."""
    model = network()
    model.fit(images(256), np.arange(256) % N_CLASSES, epochs=2)
    made = model.compile()
    np.testing.assert_array_equal(made.decision_function(images(300)), model.decision_function(images(300)))
    return made.decision_function


def float_layers() -> list[tuple[Array, Array]]:
    """Return weights and biases that include the normalisation."""
    rng = np.random.default_rng(0)
    scaled = [rng.standard_normal(shape, np.float32) / np.float32(np.sqrt(shape[0])) for shape in SHAPES]
    return [(weights, np.zeros(weights.shape[1], np.float32)) for weights in scaled]


def numpy_twin() -> Callable[[Array], Array]:
    layers = float_layers()

    def run(x: Array) -> Array:
        values = x.astype(np.float32)
        for i, (weights, bias) in enumerate(layers):
            values = values @ weights
            values += bias
            if i + 1 < len(layers):
                np.clip(values, -1, 1, out=values)
        return values

    return run


def onnx_twin() -> Callable[[Array], Array]:
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    helper, element = onnx.helper, onnx.TensorProto
    nodes, initializers = [helper.make_node("Cast", ["x"], ["v0"], to=element.FLOAT)], {}
    initializers |= {"low": np.float32(-1), "high": np.float32(1)}
    for i, (weights, bias) in enumerate(float_layers()):
        initializers |= {f"w{i}": weights, f"b{i}": bias}
        nodes.append(helper.make_node("Gemm", [f"v{i}", f"w{i}", f"b{i}"], [f"s{i}"]))
        if i + 1 < len(SHAPES):
            nodes.append(helper.make_node("Clip", [f"s{i}", "low", "high"], [f"v{i + 1}"]))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", element.UINT8, ["n", N_PIXELS])],
        [helper.make_tensor_value_info(f"s{len(SHAPES) - 1}", element.FLOAT, ["n", N_CLASSES])],
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in initializers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(
        session.run(None, {"x": images(9)})[0], numpy_twin()(images(9)), rtol=1e-3, atol=1e-3
    )
    return lambda x: session.run(None, {"x": x})[0]


MAKERS = {"fastcodes": packed, "numpy": numpy_twin, "onnxruntime": onnx_twin}


@cache
def made(name: str) -> Callable[[Array], Array]:
    """Return a contestant, made once in each process."""
    return MAKERS[name]()


def predict(name: str, batch: int, n_calls: int) -> Array:
    """Predict several times, so that the call of another process is negligible."""
    x, run = images(batch), made(name)
    for _ in range(n_calls):
        logits = run(x)
    return logits


@pytest.mark.parametrize(("batch", "n_calls"), [(1, 500), (256, 10)])
@pytest.mark.parametrize("name", MAKERS)
def test_network(
    contest: Any, serial_process: ProcessPoolExecutor, name: str, batch: int, n_calls: int
) -> None:
    """Predict with three hidden layers, from bytes to logits, on one thread."""
    if name == "onnxruntime":
        pytest.importorskip("onnxruntime")

    def check(logits: Array) -> None:
        assert logits.shape == (batch, N_CLASSES)
        assert np.isfinite(logits).all()

    contest(
        name,
        lambda: serial_process.submit(predict, name, batch, n_calls).result(),
        group=f"a network of 3 x {WIDTH} and its float twins, batches of {batch}, {n_calls} calls",
        check=check,
        amount=float(n_calls * batch * sum(n * m for n, m in SHAPES)),
        unit="multiplications",
        needs=AHEAD if name == "fastcodes" else None,
    )


def test_training(contest: Any) -> None:
    """Train the binary network on all CPUs."""
    x, y = images(N_TRAINED), np.arange(N_TRAINED) % N_CLASSES

    def check(model: nn.Sequential) -> None:
        assert np.isfinite(model.history_["loss"]).all()

    contest(
        "fastcodes",
        lambda: network().fit(x, y, epochs=1, batch_size=128),
        group=f"training a network of 3 x {WIDTH}, {N_TRAINED} images, all CPUs",
        check=check,
        amount=3.0 * N_TRAINED * sum(n * m for n, m in SHAPES),
        unit="multiplications",
        limit_seconds=MAX_SECONDS,
    )
