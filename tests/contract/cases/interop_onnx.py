"""Right and wrong arguments of fastcodes.interop.onnx."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract.kit import WithoutRepr, Wrong
from fastcodes import nn
from fastcodes.interop.onnx import to_onnx
from onnx import ModelProto

NETWORK = nn.Sequential(nn.BinaryDense(3), nn.BatchNorm(), random_state=0).build((8,), classes=range(3))

RIGHT: dict[str, dict[str, Any]] = {
    "to_onnx": {"model": NETWORK},
    "from_onnx": {
        "model": to_onnx(NETWORK),
        "classes": ["a", "b", "c"],
        "input_bits": None,
        "zero_is_positive": False,
    },
}
NO_MODEL = [
    Wrong("None", None, TypeError, "None", "onnx.ModelProto"),
    Wrong("network", NETWORK, TypeError, "Sequential", "path"),
    Wrong("object", WithoutRepr(), TypeError, "WithoutRepr", "onnx.ModelProto"),
    Wrong("empty", ModelProto(), ValueError, "not a valid model", "ir_version"),
]
NO_NETWORK = [
    Wrong("None", None, TypeError, "None", "Sequential or a Network"),
    Wrong("layer", nn.Sign(), TypeError, "Sign", "Sequential or a Network"),
    Wrong("packed", NETWORK.compile(), TypeError, "PackedModel", "compiled from"),
    Wrong("object", WithoutRepr(), TypeError, "WithoutRepr", "Network"),
]
WRONG: dict[str, list[Wrong]] = {
    "classes": [
        Wrong("other number", ["a", "b"], ValueError, "(2,)", "3 labels"),
        Wrong("ndim 2", np.eye(3), ValueError, "(3, 3)", "3 labels"),
        Wrong("number", 3, ValueError, "3", "3 labels"),
    ],
    "input_bits": [
        Wrong("four", 4, ValueError, "4", "8"),
        Wrong("text", "8", TypeError, "'8'", "integer"),
    ],
    "zero_is_positive": [
        Wrong("number", 1, TypeError, "1", "True or False"),
        Wrong("text", "yes", TypeError, "'yes'", "True or False"),
    ],
}


def wrong_values(verb: str, name: str) -> list[Wrong]:
    """List the wrong values of an argument."""
    if name == "model":
        return NO_NETWORK if verb == "to_onnx" else NO_MODEL
    return WRONG[name]
