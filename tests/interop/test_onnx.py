"""Networks from and to ONNX: onnxruntime gives the same answers, and what cannot be represented is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import nn
from fastcodes.interop.onnx import from_onnx, to_onnx
from helpers import Array
from packed_networks import IMAGES, NETWORKS, dense, trained

onnx = pytest.importorskip("onnx", reason="reads and writes ONNX, which is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="compares with onnxruntime, which is not installed")
helper, numpy_helper = (pytest.importorskip(f"onnx.{name}") for name in ("helper", "numpy_helper"))
TensorProto = onnx.TensorProto

QONNX = "qonnx.custom_op.general"


def run(model: Any, x: Array) -> Array:
    """Return what onnxruntime computes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    (given,) = session.get_inputs()
    (out,) = session.run(None, {given.name: x})
    return out


# --- export -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_an_exported_network_answers_in_onnxruntime_as_here(name: str) -> None:
    layers, x = NETWORKS[name]
    model = trained(layers, x, 3)
    exported = to_onnx(model)
    onnx.checker.check_model(exported, full_check=True)
    expected = model.decision_function(x)
    found = run(exported, x if x.dtype == np.uint8 else x.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    # Back again: the same layers, except where a scale becomes a normalization.
    if any(node.op_type == "Floor" for node in exported.graph.node):
        with pytest.raises(ValueError, match=r'node "Floor \d+" of type Floor has no counterpart'):
            from_onnx(exported)
        return
    packed = from_onnx(exported)
    assert np.array_equal(packed.decision_function(x), expected)
    assert packed.input_shape_ == model.input_shape_


def test_a_network_that_does_not_classify_is_exported_too(tmp_path: Path) -> None:
    network = nn.Network(nn.Conv2D(4, 3), nn.HardTanh(), nn.MaxPool2D(2), random_state=0).build((8, 6, 2))
    x = np.random.default_rng(3).normal(size=(5, 8, 6, 2)).astype(np.float32)
    path = tmp_path / "network.onnx"
    onnx.save(to_onnx(network), path)
    np.testing.assert_allclose(run(onnx.load(path), x), network.forward(x), atol=1e-5)
    for model, error, message in (
        (nn.Network(nn.Sign()), nn.NotFittedError, "does not know its shapes"),
        (nn.Sign(), TypeError, "model must be a Sequential or a Network"),
        (trained(dense(3), IMAGES[:, 0, 0], 3).compile(), TypeError, "give the Sequential"),
    ):
        with pytest.raises(error, match=message):
            to_onnx(model)

    class Own(nn.Sign):
        """A layer of a user."""

    with pytest.raises(TypeError, match=r"layer 0\.1, Own\(\)"):
        to_onnx(nn.Network(nn.Residual(nn.Sign(), Own())).build((3,)))


# --- import -------------------------------------------------------------------------------------------------


class Graph:
    """A graph that is made node by node; each takes the output of the one before it."""

    def __init__(self, *shape: int, kind: int = TensorProto.FLOAT) -> None:
        self.rng = np.random.default_rng(3)
        self.inputs = [helper.make_tensor_value_info("x", kind, ["n", *shape])]
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.last = "x"

    def node(self, operator: str, *inputs: Any, **attributes: Any) -> str:
        """Add a node, whose inputs are names and constants, and return the name of its output."""
        names = []
        for value in inputs:
            if not isinstance(value, str):
                array = np.asarray(value)
                array = array.astype(np.float32) if array.dtype == np.float64 else array
                self.constants.append(numpy_helper.from_array(array, f"c{len(self.constants)}"))
            names.append(value if isinstance(value, str) else self.constants[-1].name)
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, names, [f"{name}:0"], name=name, **attributes))
        return f"{name}:0"

    def then(self, operator: str, *inputs: Any, **attributes: Any) -> Graph:
        """Add a node after the last one."""
        self.last = self.node(operator, self.last, *inputs, **attributes)
        return self

    def norm(self, n: int, **attributes: Any) -> Graph:
        """Add a batch normalization of random numbers."""
        numbers = self.normal(4, n)
        return self.then("BatchNormalization", *numbers[:3], np.abs(numbers[3]) + 0.1, **attributes)

    def signs(self, *shape: int) -> Array:
        """Return random signs."""
        return self.rng.choice(np.float32([-1, 1]), shape)

    def normal(self, *shape: int) -> Array:
        """Return random numbers."""
        return self.rng.normal(size=shape).astype(np.float32)

    def model(self, opset: int = 17) -> Any:
        """Return the model."""
        output = helper.make_tensor_value_info(self.last, TensorProto.FLOAT, ["n", "m"])
        graph = helper.make_graph(self.nodes, "g", self.inputs, [output], self.constants)
        domains = [
            helper.make_opsetid("", opset),
            *(helper.make_opsetid(name, 1) for name in (QONNX, "other")),
        ]
        return helper.make_model(graph, opset_imports=domains, ir_version=8)


def like_larq() -> Graph:
    """Make what tf2onnx makes of a network of larq: channels last, and signs of signs, for 0."""
    graph = Graph(12, 10, 3)
    graph.then("Transpose", perm=[0, 3, 1, 2])
    graph.then("Conv", graph.normal(8, 3, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2])
    graph.norm(8, epsilon=1e-3)
    for filters, channels in ((16, 8), (24, 16)):
        graph.then("Sign").then("Add", 0.1).then("Sign")
        latent = graph.node("Sign", graph.normal(filters, channels, 3, 3))
        weights = graph.node("Sign", graph.node("Add", latent, 0.1))
        graph.then("Pad", np.array([0, 0, 1, 1, 0, 0, 1, 1]), np.float32(1))  # pad_values=1.0
        graph.then("Conv", weights, kernel_shape=[3, 3])
        graph.then("MaxPool", kernel_shape=[2, 2], strides=[1, 1])
        graph.norm(filters)
    graph.then("Transpose", perm=[0, 2, 3, 1])
    graph.last = graph.node("Where", graph.node("Less", graph.last, 0.0), -1.0, 1.0)
    graph.then("Reshape", np.array([-1, 4 * 3 * 24]))
    graph.then("MatMul", graph.signs(4 * 3 * 24, 5)).norm(5)
    return graph.then("Softmax")


def like_brevitas() -> Graph:
    """Make what PyTorch makes of Brevitas: channels first, scaled signs, int8 weights, comparisons."""
    graph = Graph(3, 9, 8)
    graph.then("Sub", graph.normal(1, 3, 1, 1))
    graph.then("Conv", graph.normal(8, 3, 3, 3), graph.normal(8), pads=[1, 1, 1, 1]).norm(8)
    graph.last = graph.node("Where", graph.node("GreaterOrEqual", graph.last, 0.0), 1.0, -1.0)
    graph.then("Mul", 0.37)
    codes, scale = graph.signs(16, 8, 3, 3).astype(np.int8), np.abs(graph.normal(16)) + 0.1
    weights = graph.node("DequantizeLinear", codes, scale, np.zeros(16, np.int8), axis=0)
    graph.then("Conv", weights, pads=[1, 1, 1, 1], strides=[2, 2]).norm(16)
    graph.last = graph.node("Cast", graph.node("GreaterOrEqual", graph.last, 0.0), to=TensorProto.FLOAT)
    graph.then("Mul", 2.0).then("Sub", 1.0).then("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    graph.then("Flatten").norm(16 * 2 * 2)
    graph.last = graph.node("Not", graph.node("Greater", 0.0, graph.last))
    graph.then("Cast", to=TensorProto.FLOAT).then("Mul", 2.0).then("Add", -1.0).then("Dropout")
    latent = graph.node("Where", graph.node("GreaterOrEqual", graph.normal(10, 64), 0.0), 0.25, -0.25)
    graph.then("Gemm", latent, graph.normal(10), transB=1, alpha=0.5).norm(10)
    graph.last = graph.node("Sub", np.ones(10), graph.node("Clip", graph.last, -1.0, 1.0))
    return graph.then("Div", np.abs(graph.normal(10)) + 0.5)


def like_residual() -> Graph:
    """Make two blocks with shortcuts, the second with a product of its own, of bytes."""
    graph = Graph(40, kind=TensorProto.UINT8)
    graph.then("Cast", to=TensorProto.FLOAT).then("MatMul", graph.signs(40, 24)).norm(24)
    for n, shortcut in ((24, False), (16, True)):
        before = graph.last
        graph.last = graph.node("Where", graph.node("GreaterOrEqual", before, 0.0), 1.0, -1.0)
        bits = graph.last
        branch = graph.then("MatMul", graph.signs(24, n)).norm(n).last
        graph.last = before
        if shortcut:
            graph.last = bits
            graph.then("MatMul", graph.normal(24, n))
        graph.then("Add", branch)
    return graph.then("MatMul", graph.normal(16, 4)).then("Add", graph.normal(4))


GRAPHS: dict[str, Callable[[], Graph]] = {
    "larq": like_larq,
    "brevitas": like_brevitas,
    "residual": like_residual,
}


def samples(model: Any, n: int = 50) -> Array:
    """Return samples for a graph."""
    given = model.graph.input[0].type.tensor_type
    shape = (n, *(dimension.dim_value for dimension in given.shape.dim[1:]))
    rng = np.random.default_rng(1)
    if given.elem_type == TensorProto.UINT8:
        return rng.integers(256, size=shape, dtype=np.uint8)
    return rng.normal(size=shape).astype(np.float32)


def ours(packed: nn.PackedModel, x: Array) -> Array:
    """Return the logits of samples of a graph, whose images may have channels first."""
    is_first = packed.input_shape_ != x.shape[1:]
    return packed.decision_function(x.transpose(0, 2, 3, 1) if is_first else x)


@pytest.mark.parametrize("name", GRAPHS)
def test_an_imported_network_answers_as_onnxruntime(name: str, tmp_path: Path) -> None:
    model = GRAPHS[name]().model()
    x = samples(model)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    packed = from_onnx(path, classes=list("abcdefghij")[: run(model, x).shape[1]])
    expected = run(model, x)
    logits = ours(packed, x)
    if name == "larq":
        logits = np.exp(logits - logits.max(axis=1, keepdims=True))
        logits /= logits.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)
    assert len(set(expected.argmax(axis=1))) > 1
    packed.save(tmp_path / "packed.safetensors")
    again = nn.PackedModel.load(tmp_path / "packed.safetensors")
    assert np.array_equal(ours(again, x), ours(packed, x))
    assert again.classes_[0] == "a"


def test_layers_between_signs_are_packed() -> None:
    kinds = [type(step).__name__ for step in from_onnx(like_larq().model()).steps]
    assert kinds == [
        "Apply", "Normalize", "SignsOfFloats", "PackedConv2D", "PoolBits", "PackedConv2D", "PoolBits",
        "FlattenBits", "PackedDense", "Normalize",
    ]  # fmt: skip
    kinds = [type(step).__name__ for step in from_onnx(like_brevitas().model()).steps]
    assert kinds[3:8] == ["SignsOfFloats", "PackedConv2D", "PoolBits", "FlattenBits", "FloatsOfSigns"]
    assert "PackedDense" in kinds
    first = from_onnx(like_residual().model()).steps[0]
    assert repr(first) == "PackedDense(8-bit codes -> 24 floats)"


@pytest.mark.parametrize("scale", [0.5, -2.0])
def test_quantizers_of_qonnx_are_signs_with_a_scale(scale: float) -> None:
    def made(domain: str, operator: str) -> Any:
        graph = Graph(30)
        graph.norm(30).then(operator, scale, domain=domain)
        weights = graph.node(operator, graph.normal(30, 12), 0.25, domain=domain)
        return (
            graph.then("MatMul", weights)
            .norm(12)
            .then(operator, 1.0, domain=domain)
            .then("MatMul", graph.signs(12, 3))
        )

    # onnxruntime does not know the operator: its body says what it computes.
    body = [
        helper.make_node("Constant", [], ["zero"], value_float=0.0),
        helper.make_node("Constant", [], ["one"], value_float=1.0),
        helper.make_node("Neg", ["one"], ["minus"]),
        helper.make_node("GreaterOrEqual", ["x", "zero"], ["positive"]),
        helper.make_node("Where", ["positive", "one", "minus"], ["sign"]),
        helper.make_node("Mul", ["sign", "scale"], ["y"]),
    ]
    model = made(QONNX, "BipolarQuant").model()
    packed = from_onnx(model)
    model.functions.append(
        helper.make_function(
            QONNX, "BipolarQuant", ["x", "scale"], ["y"], body, [helper.make_opsetid("", 17)]
        )
    )
    x = samples(model)
    np.testing.assert_allclose(packed.decision_function(x), run(model, x), atol=1e-4)
    assert sum(type(step).__name__ == "PackedDense" for step in packed.steps) == 2
    with pytest.raises(ValueError, match=r'"BipolarQuant_0" of type BipolarQuant .* in the domain other'):
        from_onnx(Graph(3).then("BipolarQuant", scale, domain="other").model())


@pytest.mark.parametrize("operator", ["Sign", "Greater", "LessOrEqual"])
def test_zero_is_positive_only_if_a_user_says_so(operator: str) -> None:
    graph = Graph(16)
    if operator == "Sign":
        graph.then("Sign")
    else:
        values = (1.0, -1.0) if operator == "Greater" else (-1.0, 1.0)
        graph.last = graph.node("Where", graph.node(operator, graph.last, 0.0), *values)
    model = graph.then("MatMul", graph.signs(16, 3)).model()
    with pytest.raises(ValueError, match=f'node "{operator}_0" maps 0 to 0 or -1.*zero_is_positive=True'):
        from_onnx(model)
    x = samples(model)
    packed = from_onnx(model, zero_is_positive=True)
    np.testing.assert_array_equal(packed.decision_function(x), run(model, x))
    x[:, 0] = 0
    x[:, 1] = 1e-30
    assert not np.array_equal(packed.decision_function(x), run(model, x))
    np.testing.assert_array_equal(packed.decision_function(x), run(model, np.where(x == 0, 1, x)))


def test_thresholds_of_comparisons_are_exact() -> None:
    graph = Graph(16)
    graph.then("MatMul", graph.signs(16, 20))
    positive = graph.node("GreaterOrEqual", graph.last, np.arange(20.0) - 10)
    graph.last = graph.node("Where", positive, 1.0, -1.0)
    model = graph.then("MatMul", graph.signs(20, 3)).model()
    x = np.random.default_rng(0).choice(np.float32([-1, 1]), (500, 16))
    np.testing.assert_array_equal(from_onnx(model).decision_function(x), run(model, x))


WIDTHS = np.array([0, 0, 1, 1, 0, 0, 1, 1])


@pytest.mark.parametrize("number", [-1.0, 0.0, 1.0])
@pytest.mark.parametrize(
    "after",
    [
        [("Neg",)],
        [("Mul", -0.37)],
        [("Mul", 2.0), ("Sub", 1.0), ("Sign",)],
        [("Sign",), ("Add", 0.1), ("Sign",)],
        [("Sub", 0.25), ("Sign",), ("Neg",)],
    ],
)
def test_a_border_of_signs_changes_as_they_do(number: float, after: list[tuple[Any, ...]]) -> None:
    graph = image().then("Pad", WIDTHS, np.float32(number))
    for operator, *constants in after:
        graph.then(operator, *constants)
    graph.then("Conv", graph.signs(5, 4, 3, 3)).then("Flatten").then("MatMul", graph.signs(180, 3))
    model = graph.model()
    x = samples(model)
    np.testing.assert_allclose(ours(from_onnx(model), x), run(model, x), rtol=1e-4, atol=1e-4)


def test_a_border_of_shifted_signs_is_refused_or_right() -> None:
    for shift, number, weights in ((1.0, 0.0, 1.0), (2.0, 0.0, 1.0), (2.0, -1.0, 1.0), (2.0, 0.0, 0.3)):
        graph = image().then("Pad", WIDTHS, np.float32(number)).then("Add", shift)
        kernel = graph.signs(5, 4, 3, 3)
        kernel[0, 0] *= weights
        graph.then("Conv", kernel).then("Flatten").then("MatMul", graph.signs(180, 3))
        model = graph.model()
        if abs(shift + number) > 1:
            with pytest.raises(ValueError, match=r"Conv_4.*border of 2\.0"):
                from_onnx(model)
            continue
        x = samples(model)
        np.testing.assert_allclose(ours(from_onnx(model), x), run(model, x), rtol=1e-4, atol=1e-4)


def test_the_value_of_a_border_without_width_does_not_matter() -> None:
    graph = image().then("Pad", np.zeros(8, np.int64), np.float32(1))
    graph.then("Conv", graph.signs(5, 4, 3, 3), pads=[1, 1, 1, 1]).then("Flatten")
    model = graph.then("MatMul", graph.signs(180, 3)).model()
    x = samples(model)
    np.testing.assert_array_equal(ours(from_onnx(model), x), run(model, x))


@pytest.mark.parametrize("automatic", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("widths", [(0, 0), (1, 1), (2, 2), (1, 0)])
@pytest.mark.parametrize("size", [2, 3])
def test_automatic_borders_are_around_padded_images(
    automatic: str, widths: tuple[int, int], size: int
) -> None:
    n_right = 0
    for stride in (1, 2, 4):
        graph = image()
        before, after = widths
        graph.then("Pad", np.array([0, 0, before, before, 0, 0, after, after]))
        graph.then("Conv", graph.signs(5, 4, size, size), auto_pad=automatic, strides=[stride] * 2)
        padded = 6 + sum(widths)
        length = -(-padded // stride) if "SAME" in automatic else (padded - size) // stride + 1
        model = graph.then("Flatten").then("MatMul", graph.signs(5 * length**2, 3)).model()
        x = samples(model)
        expected = run(model, x)
        try:
            packed = from_onnx(model)
        except ValueError as error:
            assert f"auto_pad {automatic}" in str(error)  # noqa: PT017
            continue
        np.testing.assert_allclose(ours(packed, x), expected, rtol=1e-4, atol=1e-4)
        n_right += 1
    assert n_right > 0 or widths == (1, 0) or size == 2


def test_lower_borders_that_are_upper_ones_are_taken() -> None:
    for automatic in ("SAME_LOWER", "SAME_UPPER"):
        graph = image()
        graph.then("Conv", graph.signs(5, 4, 3, 3), auto_pad=automatic).then("Flatten")
        model = graph.then("MatMul", graph.signs(180, 3)).model()
        x = samples(model)
        np.testing.assert_allclose(ours(from_onnx(model), x), run(model, x), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=r"Conv_3.*border of zeros to that of the Pad"):
        from_onnx(
            image().then("Pad", WIDTHS, np.float32(1)).then("Conv", CONV, auto_pad="SAME_UPPER").model()
        )


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint8])
def test_integer_constants_are_divided_toward_zero(dtype: type) -> None:
    a, b = np.array([7, 7, 9, 8]).astype(dtype), np.array([2, 3, 5, 2]).astype(dtype)
    if dtype is not np.uint8:
        a, b = a * np.array([1, -1, -1, 1], dtype), b * np.array([1, 1, -1, -1], dtype)
    graph = Graph(4)
    factor = graph.node("Cast", graph.node("Div", a, b), to=TensorProto.FLOAT)
    model = graph.then("Mul", factor).then("MatMul", np.eye(4)).model()
    quotients = [3, 2, 1, 4] if dtype is np.uint8 else [3, -2, 1, -4]
    np.testing.assert_array_equal(from_onnx(model).decision_function(np.ones((1, 4)))[0], quotients)
    np.testing.assert_array_equal(run(model, np.ones((1, 4), np.float32))[0], quotients)


@pytest.mark.parametrize(
    "operator",
    [("Neg",), ("Sub", np.uint8(3)), ("Add", "x"), *((op, np.uint8(3)) for op in ("Add", "Mul", "Div"))],
)
def test_arithmetic_of_bytes_is_refused_before_their_cast(operator: tuple[Any, ...]) -> None:
    for before in ("Identity", "Sign"):
        graph = Graph(4, kind=TensorProto.UINT8).then(before).then(*operator)
        graph.then("Cast", to=TensorProto.FLOAT).then("MatMul", np.ones((4, 2)))
        with pytest.raises(ValueError, match=f'node "{operator[0]}_1".*uint8, which wraps around; .* Cast'):
            from_onnx(graph.model(), zero_is_positive=True)


def test_bytes_are_compared_exactly() -> None:
    graph = Graph(4, kind=TensorProto.UINT8)
    bright = graph.node("GreaterOrEqual", graph.last, np.uint8(128))
    graph.last = graph.node("Where", bright, 1.0, -1.0)
    model = graph.then("Neg").then("MatMul", graph.signs(4, 3)).model()
    x = np.random.default_rng(0).choice(np.uint8([0, 127, 128, 255]), (50, 4))
    np.testing.assert_array_equal(from_onnx(model).decision_function(x), run(model, x))


def test_images_that_are_only_flattened_are_taken_as_they_are() -> None:
    graph = Graph(2, 4, 3)
    model = graph.then("Flatten").then("Gemm", graph.signs(24, 3)).model()
    x = samples(model)
    assert from_onnx(model).input_shape_ == (2, 4, 3)
    np.testing.assert_allclose(from_onnx(model).decision_function(x), run(model, x), atol=1e-5)


def test_bytes_are_packed_if_the_graph_takes_floats() -> None:
    graph = Graph(24)
    model = graph.then("MatMul", graph.signs(24, 3)).model()
    x = np.random.default_rng(0).integers(256, size=(9, 24), dtype=np.uint8)
    packed = from_onnx(model, input_bits=8)
    assert "8-bit codes" in repr(packed)
    np.testing.assert_array_equal(packed.decision_function(x), run(model, x.astype(np.float32)))


# --- what is refused ----------------------------------------------------------------------------------------


def image(*, signs: bool = True) -> Graph:
    graph = Graph(4, 6, 6)
    if signs:
        graph.last = graph.node("Where", graph.node("GreaterOrEqual", graph.last, 0.0), 1.0, -1.0)
    return graph


CONV = np.ones((4, 4, 3, 3))
REFUSED: dict[str, tuple[Callable[[], Graph], str]] = {
    "Relu": (
        lambda: Graph(4).then("Relu"),
        'node "Relu_0" of type Relu has no counterpart here; expected Add',
    ),
    "constants of images": (
        lambda: image(signs=False).then("Mul", np.ones((6, 6))),
        r"Mul_0.*\(6, 6\); expected",
    ),
    "other clip": (lambda: Graph(4).then("Clip", 0.0, 6.0), r"Clip_0.*\[0\.0, 6\.0\]; expected \[-1, 1\]"),
    "training": (
        lambda: Graph(4).norm(4, training_mode=0).then("Dropout", 0.5, np.array(True)),
        "Dropout_1.*training",
    ),
    "channels last": (lambda: image().then("Transpose", perm=[0, 2, 3, 1]).norm(6), "another axis"),
    "samples moved": (lambda: Graph(4).then("Transpose", perm=[1, 0]), "Transpose_0.*the axis of samples"),
    "strides": (lambda: image().then("Conv", CONV, strides=[1, 2]), r"Conv_2.*strides \[1, 2\]"),
    "border": (lambda: image().then("Conv", CONV, pads=[2, 0, 0, 0]), r'Conv_2.*\(2, 0\).*expected "same"'),
    "lower": (
        lambda: image().then("Conv", CONV[:, :, :2], auto_pad="SAME_LOWER"),
        "Conv_2.*it pads.*SAME_LOWER",
    ),
    "rests": (
        lambda: Graph(4, 7, 7).then("Conv", CONV, auto_pad="SAME_UPPER", strides=[7, 7]),
        "Conv_0.*skips rows or columns with auto_pad SAME_UPPER",
    ),
    "channels": (lambda: image().then("Conv", CONV[:, :3]), "Conv_2.*images of 4 channels"),
    "border of halves": (
        lambda: image().then("Pad", np.array([0, 0, 1, 1, 0, 0, 1, 1]), np.float32(0.5)).then("Conv", CONV),
        "Conv_3.*border of 0.5",
    ),
    "border and no product": (
        lambda: image().then("Pad", np.array([0, 0, 1, 1, 0, 0, 1, 1])).then("MaxPool", kernel_shape=[2, 2]),
        "MaxPool_3.*follows a Pad",
    ),
    "oblong windows": (lambda: image().then("MaxPool", kernel_shape=[1, 2]), "MaxPool_2.*not square"),
    "padded windows": (
        lambda: image().then("MaxPool", kernel_shape=[2, 2], pads=[1, 1, 1, 1]),
        "MaxPool_2.*within the image",
    ),
    "an image at the end": (image, r"model ends with samples of shape \(4, 6, 6\)"),
    "a flattened image at the end": (
        lambda: image().then("Transpose", perm=[0, 3, 1, 2]).then("Flatten"),
        "or with a flattened image",
    ),
    "dimensions": (
        lambda: Graph(4).then("MatMul", np.ones((5, 2))),
        r"MatMul_0.*\(4,\) by weights.*\(5, 2\)",
    ),
    "a bias for each sample": (
        lambda: Graph(4).then("Gemm", np.ones((4, 2)), np.ones((2, 1))),
        r"Gemm_0.*\(2, 1\); expected one row",
    ),
    "two products": (lambda: Graph(4).then("Mul", "x"), "Mul_0.*both of its inputs depend"),
    "identity": (lambda: Graph(4).then("Identity"), 'an output "Identity_0:0" that is its input'),
    "a length that is not there": (
        lambda: _folded("Reshape", np.ones((4, 2)), np.array([4, 2, 0])),
        "Reshape_0.*axis that is not there",
    ),
    "an axis that is not there": (
        lambda: _folded(
            "DequantizeLinear", np.ones((4, 2), np.int8), np.ones(2), np.zeros(2, np.int8), axis=5
        ),
        "DequantizeLinear_0.*axis that is not there",
    ),
    "a quantizer without a scale": (
        lambda: Graph(4).then("BipolarQuant", domain=QONNX),
        "BipolarQuant_0.*lacks an input",
    ),
    "constants without a scale": (
        lambda: _folded("BipolarQuant", np.ones((4, 2)), domain=QONNX),
        "BipolarQuant_0.*lacks an input",
    ),
    "a negative epsilon": (
        lambda: Graph(2).then("BatchNormalization", *np.ones((4, 2)), epsilon=-2.0),
        "BatchNormalization_0.*not finite",
    ),
    "a division": (lambda: _divided(), "Div_0.*divides a constant"),
    "no number": (lambda: Graph(4).then("MatMul", np.full((4, 2), np.nan)), "MatMul_0.*not finite"),
    "a large scale": (
        lambda: image().then("Mul", 1e30).then("Mul", 1e30).then("Conv", CONV),
        "Conv_4.*not finite",
    ),
    "a tiny variance": (
        lambda: Graph(2).then("BatchNormalization", *np.full((3, 2), 1e30), np.zeros(2), epsilon=1e-30),
        "BatchNormalization_0.*not finite",
    ),
    "an unknown dtype": (lambda: _cast(), "Cast_0.*cannot be represented"),
    "a zero divisor": (lambda: Graph(4).then("Div", 0.0), "Div_0.*divides by 0"),
    "a zero divisor of integers": (
        lambda: _folded("Div", np.array([3]), np.array([0])),
        "Div_0.*integers by 0",
    ),
    "negative variance": (
        lambda: Graph(2).then("BatchNormalization", *np.ones((3, 2)), -np.ones(2)),
        "negative variance",
    ),
    "a constant of constants": (lambda: _computed(), "Exp_0.*computes a constant in a way"),
    "a large constant": (lambda: _enlarged(), r"Add_0.*larger constant"),
    "reshaped": (lambda: Graph(4).then("Reshape", np.array([-1, 2])), r"Reshape_0.*expected \[-1, 4\]"),
    "a constant sign": (
        lambda: Graph(4).then("Sign").then("Add", 2.0).then("Sign").then("MatMul", np.ones((4, 2))),
        "Sign_2.*the same for both signs",
    ),
    "softmax of samples": (lambda: Graph(4).then("Softmax", axis=0), "Softmax_0.*another axis"),
    "unknown lengths": (lambda: Graph(0).then("Neg"), r"model takes \"x\" with samples of shape \(0,\)"),
    "integers": (
        lambda: Graph(4, kind=TensorProto.INT64).then("Cast", to=TensorProto.FLOAT),
        "of another dtype",
    ),
}


def _divided() -> Graph:
    graph = Graph(4)
    graph.last = graph.node("Div", 1.0, "x")
    return graph


def _cast() -> Graph:
    graph = Graph(4)
    return graph.then("MatMul", graph.node("Cast", np.ones((4, 2)), to=99))


def _computed() -> Graph:
    graph = Graph(4)
    return graph.then("MatMul", graph.node("Exp", np.ones((4, 2))))


def _folded(operator: str, *constants: Any, **attributes: Any) -> Graph:
    graph = Graph(4)
    return graph.then("MatMul", graph.node(operator, *constants, **attributes))


def _enlarged() -> Graph:
    graph = Graph(4)
    return graph.then("MatMul", graph.node("Add", np.ones((1000, 1)), np.ones((1, 1000))))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_represented_is_refused_by_its_node(name: str) -> None:
    made, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        from_onnx(made().model())


def test_small_files_do_not_make_large_networks() -> None:
    graph = Graph(1 << 24)
    for _ in range(9):
        graph.then("Mul", 2.0).then("Add", 1.0)
    with pytest.raises(ValueError, match=r'node "\w+_\d".*expand constants to more than 6710\d+ numbers'):
        from_onnx(graph.then("MatMul", np.ones((1, 2))).model())
    graph = Graph(1 << 24, 3, 3)
    with pytest.raises(ValueError, match=r"Conv_0.*images of 16777216 channels"):
        from_onnx(graph.then("Conv", np.ones((2, 3, 3, 3))).model())


def _doubled(n: int) -> Graph:
    graph = Graph(4)
    a, b = graph.node("MatMul", "x", graph.normal(4, 4)), graph.node("MatMul", "x", graph.normal(4, 4))
    for _ in range(n):
        a, b = graph.node("Add", a, b), graph.node("Add", b, a)
    graph.last = a
    return graph


def _nested(n: int) -> Graph:
    graph = Graph(4)
    for _ in range(n):
        graph.then("MatMul", 0.1 * graph.normal(4, 4)).then("Add", "x")
    return graph


def _clipped(n: int) -> Graph:
    graph = Graph(4)
    for _ in range(n):
        graph.then("Clip", -1.0, 1.0)
    return graph.then("MatMul", graph.normal(4, 4))


def _negated(n: int) -> Graph:
    graph = Graph(4)
    last = graph.node("Cast", np.ones((1000, 1000), np.int8), to=TensorProto.DOUBLE)
    for _ in range(n):
        last = graph.node("Neg", last)
    return graph.then("MatMul", graph.normal(4, 4))


def _reused(n: int) -> Graph:
    graph = Graph(1000)
    weights = graph.node("Cast", np.ones((1000, 1000), np.int8), to=TensorProto.FLOAT)
    for _ in range(n):
        graph.then("MatMul", weights)
    return graph


GROWING: dict[str, tuple[Callable[[int], Graph], int, int, str]] = {
    "doubled": (_doubled, 5, 30, r"Add_\d+.*more than 4096 layers"),
    "nested": (_nested, 90, 400, r"Add_\d+.*more than 100 sums in each other"),
    "clipped": (_clipped, 500, 4200, r"Clip_\d+.*more than 4096 layers"),
    "negated": (_negated, 20, 200, r"Neg_\d+.*expand constants to more than 7\d+ numbers"),
    "reused": (_reused, 10, 80, r"MatMul_\d+.*expand constants to more than 7\d+ numbers"),
}


@pytest.mark.parametrize("name", GROWING)
def test_small_files_do_not_take_long(name: str) -> None:
    made, few, many, message = GROWING[name]
    assert from_onnx(made(few).model()).steps
    with pytest.raises(ValueError, match=message):
        from_onnx(made(many).model())


@pytest.mark.parametrize("made", [lambda: _doubled(4), lambda: _nested(3)])
def test_sums_of_sums_are_right(made: Callable[[], Graph]) -> None:
    model = made().model()
    x = samples(model)
    np.testing.assert_allclose(from_onnx(model).decision_function(x), run(model, x), rtol=1e-4, atol=1e-4)


def test_a_value_added_to_itself_is_doubled() -> None:
    for before in ([], [("MatMul", np.arange(16.0).reshape(4, 4))], [("Sign",), ("Mul", 0.5)]):
        graph = Graph(4)
        for operator, *constants in before:
            graph.then(operator, *constants)
        model = graph.then("Add", graph.last).then("MatMul", graph.signs(4, 3)).model()
        x = samples(model)
        packed = from_onnx(model, zero_is_positive=True)
        np.testing.assert_allclose(packed.decision_function(x), run(model, x), rtol=1e-4, atol=1e-5)


def test_a_normalization_needs_no_epsilon() -> None:
    graph = Graph(4)
    graph.then("BatchNormalization", *graph.normal(3, 4), np.geomspace(1e-6, 1, 4), epsilon=0.0)
    model = graph.then("MatMul", np.eye(4)).model()
    x = samples(model)
    np.testing.assert_allclose(from_onnx(model).decision_function(x), run(model, x), rtol=1e-4, atol=1e-4)


def test_constants_of_channels_are_those_of_images_that_are_flattened() -> None:
    graph = Graph(3, 4, 2)
    graph.then("Sub", graph.normal(1, 3, 1, 1)).then("Flatten")
    model = graph.then("MatMul", graph.signs(24, 3)).model()
    x = samples(model)
    packed = from_onnx(model)
    assert packed.input_shape_ == (4, 2, 3)
    np.testing.assert_allclose(ours(packed, x), run(model, x), rtol=1e-4, atol=1e-4)


def test_old_and_foreign_models_are_refused(tmp_path: Path) -> None:
    model = like_residual().model()
    old = Graph(4).then("Neg").model(opset=9)
    with pytest.raises(ValueError, match=r"opset 9; expected 11 or higher, as onnx\.version_converter"):
        from_onnx(old)
    model.graph.output.append(model.graph.output[0])
    with pytest.raises(ValueError, match=r"not a valid model of ONNX|2 outputs"):
        from_onnx(model)
    shapeless = like_residual().model()
    shapeless.graph.output[0].type.tensor_type.ClearField("shape")
    with pytest.raises(ValueError, match=r'no shape for "Add_\d+:0"; onnx.shape_inference.infer_shapes'):
        from_onnx(shapeless)
    assert from_onnx(onnx.shape_inference.infer_shapes(shapeless)).steps
    with pytest.raises(ValueError, match="input_bits must be 8 or None; got 4"):
        from_onnx(like_residual().model(), input_bits=4)
    with pytest.raises(TypeError, match=r"model must be an onnx\.ModelProto or the path of a file; got 3"):
        from_onnx(3)
    with pytest.raises(OSError, match=r"none\.onnx"):
        from_onnx(tmp_path / "none.onnx")
    path = tmp_path / "text.onnx"
    path.write_text("this is no model\n" * 50)
    with pytest.raises(ValueError, match=r"text\.onnx is not a file of ONNX, or is damaged"):
        from_onnx(path)
    for name in ("text.json", "text.textproto", "text.onnxtxt"):
        (tmp_path / name).write_text("{this is no model")
        with pytest.raises(ValueError, match=rf"{name} is not a file of ONNX, or is damaged"):
            from_onnx(tmp_path / name)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"text\.onnx is not a valid model of ONNX"):
        from_onnx(path)


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.onnx"
    n_read = n_refused = 0
    for made in GRAPHS.values():
        whole = np.frombuffer(made().model().SerializeToString(), np.uint8)
        for number in range(60):
            data = whole.copy()
            if number % 3:
                places = rng.integers(len(data), size=3)
                data[places] ^= rng.integers(1, 256, 3, dtype=np.uint8)
            else:
                data = data[: rng.integers(len(data))]
            path.write_bytes(data.tobytes())
            try:
                from_onnx(path, zero_is_positive=True)
                n_read += 1
            except ValueError:
                n_refused += 1
    assert min(n_read, n_refused) > 20
