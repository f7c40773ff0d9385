"""The public API, discovered from ``__all__``: functions, classes, their methods and their parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import fastcodes

# Protocols between classes of the package: models and files; layers, optimizers and the network.
_INTERNAL = {
    "from_state", "to_state", "named", "tokens", "as_codes", "as_queries", "class_named", "doubts",
    "doubts_at",
    "as_rows", "from_rows", "operand", "rows", "storage",
    "backward", "build", "config", "factor", "forward", "matrix", "output_bits", "packed_filters", "prepare",
    "scale_and_shift", "slots", "update",
}  # fmt: skip


def public_names() -> dict[str, Any]:
    """Return every public function and class by its name within the package, such as ``bits.pack``."""
    found: dict[str, Any] = {}

    def visit(module: ModuleType, prefix: str) -> None:
        for name in module.__all__:
            item = getattr(module, name)
            if isinstance(item, ModuleType):
                visit(item, f"{prefix}{name}.")
            elif callable(item):
                found[f"{prefix}{name}"] = item

    visit(fastcodes, "")
    return found


def public_functions() -> dict[str, Callable[..., Any]]:
    """Return the public functions by name."""
    return {name: item for name, item in public_names().items() if not inspect.isclass(item)}


def public_classes() -> dict[str, type]:
    """Return the public classes by name; not exceptions, not abstract ones, and no tuples of results."""
    classes = {name: item for name, item in public_names().items() if inspect.isclass(item)}
    return {
        name: item
        for name, item in classes.items()
        if not issubclass(item, (Exception, tuple)) and not inspect.isabstract(item)
    }


def public_methods(cls: type) -> Iterator[str]:
    """Yield the names of a class's public methods."""
    for name in dir(cls):
        if not name.startswith("_") and name not in _INTERNAL and callable(getattr(cls, name)):
            yield name


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function, a method or a constructor by name."""
    found = dict(inspect.signature(function).parameters)
    found.pop("self", None)
    return found
