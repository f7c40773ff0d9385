"""One convention for all signatures: data first, options by keyword in one order, threads for long work."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from contract.public import parameters, public_classes, public_functions, public_methods

# In this order, wherever they occur; what is particular to a function comes before them.
OPTIONS = ["mask", "rerank", "oversample", "out", "threads"]
# May be left out and still be given by position: a model's first parameters, as in scikit-learn, and these.
POSITIONAL = {
    "y", "start", "stop", "deep", "offsets", "X", "input_features", "n", "n_symbols", "n_bits",
    "features", "corpus_embeddings",
}  # fmt: skip
LONG = {
    "fit", "fit_transform", "fit_predict", "encode", "decode", "transform", "decision_function", "tables",
    "score", "quantization_error", "predict", "predict_proba", "add", "search", "radius_search", "pairs",
    "append", "unpack",
}  # fmt: skip
WITH_THREADS = (
    "quantization.",
    "hashing.",
    "index.",
    "adc.",
    "nn.Sequential",
    "nn.BinaryMLP",
    "nn.PackedModel",
)


def callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every public function and method by name."""
    yield from public_functions().items()
    for name, cls in public_classes().items():
        for method in public_methods(cls):
            yield f"{name}.{method}", getattr(cls, method)


@pytest.mark.parametrize("name", dict(callables()))
def test_options_are_keyword_only_and_in_one_order(name: str) -> None:
    found = parameters(dict(callables())[name])
    by_position = [
        parameter.name
        for parameter in found.values()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        and parameter.default is not inspect.Parameter.empty
        and parameter.name not in POSITIONAL
    ]
    assert by_position == []
    options = [option for option in found if option in OPTIONS]
    assert options == [option for option in OPTIONS if option in options]
    assert list(found)[len(found) - len(options) :] == options


@pytest.mark.parametrize("name", public_classes())
def test_constructors_have_at_most_two_parameters_by_position(name: str) -> None:
    by_position = [
        parameter.name
        for parameter in parameters(public_classes()[name]).values()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    # A CrossModalCodec is its three parts.
    most = 3 if name == "crossmodal.CrossModalCodec" else 2
    assert len(by_position) <= most, by_position


@pytest.mark.parametrize("name", [name for name in public_classes() if name.startswith(WITH_THREADS)])
def test_long_methods_take_threads(name: str) -> None:
    cls = public_classes()[name]
    without = [
        method
        for method in public_methods(cls)
        if method in LONG and "threads" not in parameters(getattr(cls, method))
    ]
    assert without == []
