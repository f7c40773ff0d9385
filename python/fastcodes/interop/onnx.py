"""Binary networks from and to ONNX.

`to_onnx` writes a network of `fastcodes.nn` as a graph of standard operators, for onnxruntime and other
runtimes. `from_onnx` reads a network that was trained elsewhere (larq, Brevitas, QONNX, PyTorch), with
weights that are signs, into a `fastcodes.nn.PackedModel`.

====================================================  ========================================================
ONNX                                                  fastcodes
====================================================  ========================================================
``MatMul``, ``Gemm``, ``Conv`` of signs times ``s``   `BinaryDense`, `BinaryConv2D`, with a scale ``s`` for
                                                      each output
other ``MatMul``, ``Gemm``, ``Conv``                  `Dense`, `Conv2D`
``BatchNormalization``; ``Add``, ``Sub``, ``Mul``,    `BatchNorm`
``Div`` by constants
``Where(x >= 0, 1, -1)``, ``Sign(Sign(x) + 0.1)``,    `Sign`
``BipolarQuant`` of QONNX
``Clip`` to [-1, 1]                                   `HardTanh`
``MaxPool``, ``Flatten``, ``Add`` of two branches     `MaxPool2D`, `Flatten`, `Residual`
====================================================  ========================================================

Weights may be computed from constants, by such signs, scales, casts and ``DequantizeLinear``. A scale of
signs moves into the product after it.

Three things differ:

- **Images.** ONNX has channels first, (n, channels, height, width); here channels are last. `from_onnx`
  permutes weights accordingly: give the packed model ``x.transpose(0, 2, 3, 1)``.
- **Signs of zero.** ``Sign`` of ONNX gives 0 for 0; a bit has no zero. See `zero_is_positive` of
  `from_onnx`.
- **Rounding.** Sums of signs are exact on both sides. Runtimes may fuse a normalization into the product
  before it, which rounds differently, and `fastcodes.nn` scales exact sums where a runtime adds scaled terms.
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._validation import as_array, as_bool, as_integer, describe, described
from fastcodes.interop._onnx_reader import OPSET, Reader, first_line
from fastcodes.interop._onnx_writer import Writer
from fastcodes.nn import (
    Network,
    PackedModel,
)

__all__ = ["from_onnx", "to_onnx"]

_IR_VERSION = 8  # of files that are written: runtimes since 2022 read it and OPSET


def to_onnx(model: Network) -> Any:
    """Convert a network to ONNX.

    Parameters
    ----------
    model : Sequential or Network
        Built, and usually trained, with layers of `fastcodes.nn`; of a `BinaryMLPClassifier`, its ``model_``.

    Returns
    -------
    onnx.ModelProto
        With opset 17. Its input ``"X"`` takes the samples (n, ...) that `model` takes, images with channels
        last, as float32, or as uint8 if the network was trained with bytes. Its output ``"Y"`` has the
        outputs of the last layer, the logits of a `Sequential`. Binary weights are int8.

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError
        If `model` is not a network, or has a layer of another package: the message names it.
    NotFittedError
        If `model` is not built.

    See Also
    --------
    from_onnx : The inverse, except for `Quantize`.

    Notes
    -----
    ::

        import onnx, onnxruntime
        from fastcodes.interop.onnx import to_onnx

        onnx.save(to_onnx(model), "model.onnx")
        session = onnxruntime.InferenceSession("model.onnx")
        (logits,) = session.run(["Y"], {"X": X})  # model.decision_function(X)

    A normalization is a subtraction, a multiplication and an addition, in the order of `BatchNorm`, so that a
    sign after it is the same comparison.
    """
    onnx = _onnx()
    if not isinstance(model, Network):
        advice = "; give the Sequential that it was compiled from" if isinstance(model, PackedModel) else ""
        raise TypeError(f"model must be a Sequential or a Network; got {describe(model)}{advice}")
    model._check_built()
    writer = Writer(onnx)
    x = "X"
    if model.input_bits_ == 8:
        x = writer.add("Cast", x, to=onnx.TensorProto.FLOAT)
    x = writer.write_all(model.layers, x, "layer ")
    writer.nodes.append(onnx.helper.make_node("Identity", [x], ["Y"], name="Y"))
    kind = onnx.TensorProto.UINT8 if model.input_bits_ == 8 else onnx.TensorProto.FLOAT
    info, shapes = onnx.helper.make_tensor_value_info, (model.input_shape_, model.layers[-1].output_shape)
    graph = onnx.helper.make_graph(
        writer.nodes,
        "fastcodes",
        [info("X", kind, ["n", *shapes[0]])],
        [info("Y", onnx.TensorProto.FLOAT, ["n", *shapes[1]])],
        writer.constants,
    )
    return onnx.helper.make_model(
        graph,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
        producer_name="fastcodes",
    )


def from_onnx(
    model: Any,
    *,
    classes: ArrayLike | None = None,
    input_bits: int | None = None,
    zero_is_positive: bool = False,
) -> PackedModel:
    """Convert a binary network from ONNX.

    Parameters
    ----------
    model : onnx.ModelProto or path-like
        A graph with one input, of float32 or uint8, whose first axis is that of samples, and one output
        (n, n_classes), of at least opset 11. A ``Softmax`` at the end is left out: see
        `PackedModel.predict_proba`.
    classes : array_like (n_classes,), optional
        The labels of the outputs; 0, 1, 2, ... by default.
    input_bits : {8}, optional
        8 packs the first layer for samples of uint8, where the input of the graph is float32. A graph with
        an input of uint8 does not need it.
    zero_is_positive : bool
        Whether a sign of 0 may become +1 where the graph has 0 or -1: by default such a node is refused.
        Right where 0 has no probability, as after a batch normalization with real numbers.

    Returns
    -------
    PackedModel
        Images have channels last, samples of other shapes are those of the graph. It shares no memory with
        `model`.

    Raises
    ------
    ImportError
        If onnx is not installed.
    OSError
        If there is no such file, or it cannot be read.
    TypeError
        If `model` is something else.
    ValueError
        If it is damaged, or has a node that cannot be represented: the message names the node.

    See Also
    --------
    to_onnx : The inverse, for a network that was trained here.

    Notes
    -----
    ::

        from fastcodes.interop.onnx import from_onnx

        packed = from_onnx("model.onnx")
        logits = packed.decision_function(images.transpose(0, 2, 3, 1))  # images (n, channels, height, width)
        packed.save("model.safetensors")

    `Quantize` has no counterpart among single operators, and is not read back.
    """
    onnx = _onnx()
    if input_bits is not None and as_integer(input_bits, "input_bits") != 8:
        raise ValueError(f"input_bits must be 8 or None; got {describe(input_bits)}")
    reader = Reader(_loaded(model, onnx), onnx, as_bool(zero_is_positive, "zero_is_positive"))
    with np.errstate(all="ignore"):  # what is not finite is refused
        value = reader.read()
    n_classes = value.shape[0]
    labels = np.arange(n_classes) if classes is None else as_array(classes, "classes")
    if labels.shape != (n_classes,):
        raise ValueError(
            f"classes must be {n_classes} labels, one for each output; got {described(labels, classes)}"
        )
    return PackedModel.from_layers(
        value.layers,
        input_shape=reader.input_shape,
        takes_pixels=reader.takes_pixels or input_bits == 8,
        classes=labels,
    )


def _loaded(model: Any, onnx: ModuleType) -> Any:
    """Return a checked model."""
    from google.protobuf.message import DecodeError

    where = "model"
    if isinstance(model, (str, os.PathLike)):
        where = os.fsdecode(model)
        try:
            model = onnx.load(where, format="protobuf")  # whatever its name is
        except (DecodeError, onnx.checker.ValidationError) as error:
            raise ValueError(f"{where} is not a file of ONNX, or is damaged: {first_line(error)}") from None
    if not isinstance(model, onnx.ModelProto):
        raise TypeError(f"model must be an onnx.ModelProto or the path of a file; got {describe(model)}")
    for value in (*model.graph.input, *model.graph.output):
        if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape"):
            raise ValueError(
                f'{where} has no shape for "{value.name}"; onnx.shape_inference.infer_shapes adds those of '
                "outputs"
            )
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise ValueError(f"{where} is not a valid model of ONNX: {first_line(error)}") from None
    return model


def _onnx() -> ModuleType:
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            'fastcodes.interop.onnx needs onnx: pip install "fastcodes[onnx]", or pip install onnx'
        ) from error
    import onnx.checker
    import onnx.helper
    import onnx.numpy_helper

    module: ModuleType = onnx
    return module
