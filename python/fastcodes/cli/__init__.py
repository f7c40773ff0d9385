"""The command line: `fastcodes info`, `demo`, `bench`, `knn` and `dedup`.

Each command is a module of this package, listed in `COMMANDS`, with

- ``HELP``: one line for ``fastcodes --help``,
- ``add_arguments(parser)``: declares its arguments,
- ``run(arguments)``: does the work; raises `UserError` for whatever the user can correct.

A command imports optional packages inside its functions, so that the others run without them.
"""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn, Protocol

from fastcodes import __version__, _native
from fastcodes.cli import bench, dedup, demo, info, knn
from fastcodes.cli.terminal import UserError

__all__ = ["main"]


class Command(Protocol):
    """The module of a command."""

    __name__: str
    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None:
        """Declare the arguments."""

    def run(self, arguments: argparse.Namespace, /) -> None:
        """Do the work."""


COMMANDS: tuple[Command, ...] = (info, demo, bench, knn, dedup)
"""In the order of the help text."""
OPTIONAL_PACKAGES = ("rich", "sklearn", "matplotlib")
"""Installed by the extra ``demo``."""


class Parser(argparse.ArgumentParser):
    """A parser that raises its errors, so that they are printed as one line like all others."""

    def error(self, message: str) -> NoReturn:
        """Raise the message as a `UserError`."""
        raise UserError(f"{message} (see {self.prog} --help)")


def main(argv: list[str] | None = None) -> int:
    """Run a command and return the exit code: 0, 2 for an error of the user, 130 for Ctrl-C."""
    try:
        arguments = _parser().parse_args(argv)
        _check_environment()
        arguments.run(arguments)
    except UserError as error:
        return _failed(str(error), 2)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in OPTIONAL_PACKAGES:
            raise
        advice = 'pip install "fastcodes[demo]"'
        return _failed(f"this command needs {package}, which is not installed: {advice}", 2)
    except MemoryError:
        return _failed("not enough memory for this", 2)
    except KeyboardInterrupt:
        return _failed("interrupted", 130)
    return 0


def _failed(message: str, code: int) -> int:
    print(f"fastcodes: {message}", file=sys.stderr)
    return code


def _parser() -> Parser:
    parser = Parser(prog="fastcodes", description="Compact binary codes: search, compare and pack them.")
    parser.add_argument("--version", action="version", version=f"fastcodes {__version__}")
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        of_command = parsers.add_parser(command.__name__.rpartition(".")[2], help=command.HELP)
        command.add_arguments(of_command)
        of_command.set_defaults(run=command.run)
    return parser


def _check_environment() -> None:
    try:
        _native.level()
        _native.threads()
    except ValueError as error:
        raise UserError(str(error)) from None
