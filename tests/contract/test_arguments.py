"""Every wrong argument of every public function: an error that says what it is, was and should be."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest
from contract.cases import (
    adc,
    bits,
    block_motion,
    entropy,
    hadamard,
    hamming,
    interop_sentence_transformers,
    jaccard,
    minhash,
    rabitq,
    xnor,
)
from contract.kit import Wrong

FAMILIES = {
    "adc": adc,
    "bits": bits,
    "block_motion": block_motion,
    "entropy": entropy,
    "hadamard": hadamard,
    "hamming": hamming,
    "jaccard": jaccard,
    "minhash": minhash,
    "rabitq": rabitq,
    "xnor": xnor,
    "interop.sentence_transformers": interop_sentence_transformers,
}
# Whose cases need a package: its name, and that of the module of the cases.
OPTIONAL = {
    "distributed": ("dask", "distributed"),
    "hashing.images": ("PIL", "images"),
    "interop.onnx": ("onnx", "interop_onnx"),
    "interop.rdkit": ("rdkit", "interop_rdkit"),
}
for family, (package, module) in OPTIONAL.items():
    if find_spec(package) is not None:
        FAMILIES[family] = import_module(f"contract.cases.{module}")


def cases() -> Iterator[Any]:
    """Yield every wrong value of every argument of every function."""
    for family, table in FAMILIES.items():
        for verb, right in table.RIGHT.items():
            for name in right:
                for wrong in table.wrong_values(verb, name):
                    yield pytest.param(
                        family, verb, name, wrong, id=f"{family}.{verb}, {name}: {wrong.label}"
                    )


def call(family: str, verb: str, arguments: dict[str, Any]) -> Any:
    return getattr(import_module(f"fastcodes.{family}"), verb)(**arguments)


@pytest.mark.parametrize(("family", "verb", "name", "wrong"), list(cases()))
def test_a_wrong_argument_is_an_error_that_says_what_to_do(
    family: str, verb: str, name: str, wrong: Wrong
) -> None:
    right = FAMILIES[family].RIGHT[verb]
    with pytest.raises((TypeError, ValueError)) as caught:
        call(family, verb, right | {name: wrong.value})
    message = str(caught.value)
    assert type(caught.value) is wrong.error, message
    assert re.search(rf"(^|\b(but|than|with) (the )?){name}\b", message), f"does not name {name}: {message}"
    assert wrong.given in message, message
    assert wrong.expected in message, message
    assert len(message) < 400, message
    assert not re.search("panick|PanicException|unwrap|RefCell|borrow", message), message


@pytest.mark.parametrize(
    ("family", "verb"), [(family, verb) for family, table in FAMILIES.items() for verb in table.RIGHT]
)
def test_the_right_arguments_are_right(family: str, verb: str) -> None:
    call(family, verb, FAMILIES[family].RIGHT[verb])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_table_has_every_argument_of_every_public_function(family: str) -> None:
    table, module = FAMILIES[family], import_module(f"fastcodes.{family}")
    assert {verb for verb in module.__all__ if callable(getattr(module, verb))} == set(table.RIGHT)
    for verb, right in table.RIGHT.items():
        parameters = inspect.signature(getattr(module, verb)).parameters
        assert list(parameters) == list(right), verb
        for name in parameters:
            assert table.wrong_values(verb, name), (verb, name)
