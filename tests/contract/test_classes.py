"""Every wrong argument of every public class and its methods: an error that names it."""

from __future__ import annotations

import copy
import functools
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from contract.cases import adc, coding, crossmodal, entropy, index, interop_sklearn, models, nn, tokens
from contract.class_kit import RIGHT, UNCHECKED, WRONG, Case
from contract.public import parameters, public_classes, public_methods

CASES = (
    adc.CASES
    | coding.CASES
    | crossmodal.CASES
    | entropy.CASES
    | models.CASES
    | index.CASES
    | nn.CASES
    | interop_sklearn.CASES
    | tokens.CASES
)
CLASSES = [pytest.param(name, id=name) for name in CASES]


@functools.cache
def instance(name: str) -> Any:
    """Return an instance that is ready for every method."""
    case = CASES[name]
    made = case.cls(*case.args, **case.params)
    case.use(made)
    return made


def wrong_values(case: Case, where: str, name: str) -> list[Any] | None:
    """List wrong values of a parameter of the constructor (`where` is empty) or of a method."""
    tables = ((case.wrong, f"{where}.{name}"), (case.wrong, name), (WRONG, f"{where}.{name}"), (WRONG, name))
    return next((table[key] for table, key in tables if key in table), None)


def methods(case: Case) -> list[str]:
    """List the public methods that apply."""
    return [method for method in public_methods(case.cls) if method not in case.skipped]


def right_arguments(name: str, method: str) -> dict[str, Any]:
    """Return right arguments of a method, by name."""
    case, given = CASES[name], {}
    for parameter, found in parameters(getattr(case.cls, method)).items():
        if found.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
            continue
        own = case.methods.get(method, {})
        value = own.get(parameter, RIGHT.get(f"{method}.{parameter}", RIGHT.get(parameter, ...)))
        if value is not ...:
            given[parameter] = value(instance(name)) if inspect.isfunction(value) else value
    return given


def wrong_arguments() -> Iterator[Any]:
    """Yield every wrong value of every parameter of the constructors and methods."""
    for name, case in CASES.items():
        for where in ("", *methods(case)):
            for parameter in parameters(getattr(case.cls, where) if where else case.cls):
                if f"{where}.{parameter}" in case.skipped:
                    continue
                for number, value in enumerate(wrong_values(case, where, parameter) or ()):
                    label = f"{name}{'.' if where else ''}{where}, {parameter}: wrong value {number}"
                    yield pytest.param(name, where, parameter, value, id=label)


@pytest.mark.parametrize(("name", "where", "parameter", "value"), list(wrong_arguments()))
def test_a_wrong_argument_is_an_error_that_names_it(
    name: str, where: str, parameter: str, value: Any
) -> None:
    case = CASES[name]

    def call() -> None:
        if where:
            arguments = right_arguments(name, where) | {parameter: value}
            getattr(copy.deepcopy(instance(name)), where)(**arguments)
        else:
            case.use(case.cls(*case.args, **(case.params | {parameter: value})))

    with pytest.raises((TypeError, ValueError, OSError)) as caught:
        call()
    message = str(caught.value)
    # What scikit-learn calls X may be codes, sets or images.
    named = "X|codes|sets|images" if parameter == "X" else parameter
    assert re.search(rf"\b({named})\b", message) or isinstance(caught.value, OSError), message
    assert len(message) < 500, message
    assert not re.search("panick|PanicException|unwrap|RefCell|borrow|NoneType", message), message


@pytest.mark.parametrize("name", CLASSES)
def test_the_right_arguments_are_right(name: str) -> None:
    for method in methods(CASES[name]):
        getattr(copy.deepcopy(instance(name)), method)(**right_arguments(name, method))


def test_every_public_class_has_cases() -> None:
    # The functions of a family take these, and are tested with them.
    others = {"xnor.Finish", "xnor.PackedFilters", "xnor.PackedMatrix"}
    assert set(public_classes()) - others == set(CASES)


@pytest.mark.parametrize("name", CLASSES)
def test_every_parameter_has_wrong_values(name: str) -> None:
    case = CASES[name]
    without = [
        f"{where}.{parameter}".strip(".")
        for where in ("", *methods(case))
        for parameter, found in parameters(getattr(case.cls, where) if where else case.cls).items()
        if parameter not in UNCHECKED
        and found.kind is not inspect.Parameter.VAR_POSITIONAL
        and f"{where}.{parameter}" not in case.skipped
        and not wrong_values(case, where, parameter)
    ]
    assert without == []
