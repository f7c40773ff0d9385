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
    "entropy": entropy,
    "hadamard": hadamard,
    "hamming": hamming,
    "jaccard": jaccard,
    "minhash": minhash,
    "rabitq": rabitq,
    "xnor": xnor,
    "interop.sentence_transformers": interop_sentence_transformers,
}
if find_spec("PIL") is not None:
    FAMILIES["hashing.images"] = import_module("contract.cases.images")
if find_spec("dask") is not None:
    FAMILIES["distributed"] = import_module("contract.cases.distributed")
if find_spec("onnx") is not None:
    FAMILIES["interop.onnx"] = import_module("contract.cases.interop_onnx")
if find_spec("rdkit") is not None:
    FAMILIES["interop.rdkit"] = import_module("contract.cases.interop_rdkit")


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
