"""The searches of sentence-transformers, which need torch only for embeddings that are tensors."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from unittest import mock


def quantization() -> ModuleType | None:
    """Return the module ``sentence_transformers.util.quantization``, or None if it is not installed.

    Its package imports torch and transformers; the file itself runs without them, on arrays.
    """
    package = importlib.util.find_spec("sentence_transformers")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "util" / "quantization.py"
    spec = importlib.util.spec_from_file_location("peer.quantization", path)
    if spec is None or spec.loader is None or not path.exists():
        return None
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, _stand_ins()):
        spec.loader.exec_module(module)
    return module


def _stand_ins() -> dict[str, ModuleType]:
    """Return modules with the two names that the file imports."""
    torch, tensor = ModuleType("torch"), ModuleType("peer.tensor")
    torch.Tensor = type("Tensor", (), {})  # type: ignore[attr-defined]
    torch.__spec__ = ModuleSpec("torch", None)
    tensor._tensor_to_numpy = None  # type: ignore[attr-defined]
    return {"torch": torch, "peer": ModuleType("peer"), "peer.tensor": tensor}
