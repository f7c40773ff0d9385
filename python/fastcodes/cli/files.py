"""Files of the commands: inputs, which may be pipes, and outputs, which appear once they are whole."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fastcodes import _files
from fastcodes.cli.terminal import UserError

__all__ = ["check_json", "check_output", "descriptor", "is_regular", "opened", "writing"]

_DESCRIPTORS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


def descriptor(name: str) -> int | None:
    """Return the open file that a name such as ``/dev/stdin`` or ``/dev/fd/63`` refers to, if any."""
    match = re.fullmatch(r"/(?:dev|proc/self)/fd/(\d{1,9})", name)
    return int(match[1]) if match else _DESCRIPTORS.get(name)


def opened(name: str) -> io.BufferedReader:
    """Open an input, ``-`` for stdin, or raise a `UserError`."""
    number = 0 if name == "-" else descriptor(name)
    try:
        return open(name if number is None else os.dup(number), "rb")
    except FileNotFoundError:
        raise UserError(f"{_label(name, 'stdin')}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in a name
        raise UserError(f"{_label(name, 'stdin')}: {_reason(error)}") from None


def is_regular(file: IO[bytes]) -> bool:
    """Return whether a file has an end and can be read again."""
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


def check_output(name: str, *inputs: str | None) -> bool:
    """Raise a `UserError` before any work if an output, ``-`` for stdout, cannot be written.

    `inputs` are files that it must not replace. Return whether it is a regular file by its name.
    """
    number, label = _output_descriptor(name), _label(name, "stdout")
    status = _status(name, number, label)
    for other in filter(None, inputs):
        of_input = _status(other, 0 if other == "-" else descriptor(other), _label(other, "stdin"))
        if status and of_input and stat.S_ISREG(status.st_mode) and os.path.samestat(status, of_input):
            raise UserError(f"{label}: is one of the inputs; give the output another name")
    if number is not None:
        try:
            os.write(number, b"")  # fails if it is closed, open for reading only, or full
        except OSError as error:
            raise UserError(f"{label}: {_reason(error)}") from None
        return False
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise UserError(f"{label}: not a regular file; expected the name of a file to write")
    target = Path(os.path.realpath(name))
    if status is None and not target.parent.is_dir():
        raise UserError(f"{label}: the folder {target.parent} does not exist")
    is_file = status is None or stat.S_ISREG(status.st_mode)
    places = [target.parent] * is_file + [target] * (status is not None)
    if not all(os.access(place, os.W_OK) for place in places):
        raise UserError(f"{label}: cannot be written: permission denied")
    return is_file


def check_json(with_json: bool, name: str | None, content: str) -> None:
    """Raise a `UserError` if ``--json`` would print its report into an output, ``-`` for stdout."""
    if not with_json or name is None:
        return
    status = _status(name, _output_descriptor(name), _label(name, "stdout"))
    of_stdout = _status("-", 1, "stdout")
    if status and of_stdout and os.path.samestat(status, of_stdout):
        raise UserError(f"--json prints the report on stdout; -o names a file for {content}")


@contextmanager
def writing(name: str) -> Iterator[IO[bytes]]:
    """Open an output, ``-`` for stdout.

    A regular file is replaced on success; an interrupted run leaves it as it was. Pipes and devices are
    written directly.
    """
    number, label = _output_descriptor(name), _label(name, "stdout")
    status = _status(name, number, label)
    try:
        if number is not None:
            with open(os.dup(number), "wb") as file:
                yield file
        elif status is not None and not stat.S_ISREG(status.st_mode):
            with open(name, "wb") as file:
                yield file
        else:
            with _files.replacing(os.path.realpath(name)) as part, open(part, "wb") as file:
                yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"{label}: {_reason(error)}") from None


def _output_descriptor(name: str) -> int | None:
    return 1 if name == "-" else descriptor(name)


def _status(name: str, number: int | None, label: str) -> os.stat_result | None:
    try:
        return os.stat(name or os.curdir) if number is None else os.fstat(number)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{label}: {_reason(error)}") from None


def _label(name: str, standard: str) -> str:
    return standard if name == "-" else name or "''"


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
