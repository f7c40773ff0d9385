"""The commands and their parser.

Each command is a module of this package, listed in `COMMANDS`, with

- ``HELP``: one line for ``fastcodes --help``,
- ``add_arguments(parser)``: declares its arguments,
- ``run(arguments)``: does the work; raises `UserError` for whatever the user can correct.

A command imports optional packages inside its functions, so that the others run without them.
"""

from __future__ import annotations

import argparse
from typing import NoReturn, Protocol

from fastcodes import __version__, _native
from fastcodes.cli import (
    bench,
    compress,
    decompress,
    dedup,
    demo,
    images,
    index,
    info,
    knn,
    rd,
    strings,
    thumbs,
)
from fastcodes.cli.terminal import UserError

__all__ = ["COMMANDS", "run"]


class Command(Protocol):
    """The module of a command."""

    __name__: str
    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None:
        """Declare the arguments."""

    def run(self, arguments: argparse.Namespace, /) -> None:
        """Do the work."""


COMMANDS: tuple[Command, ...] = (
    info, demo, bench, knn, index, dedup, images, strings, compress, decompress, rd, thumbs,
)  # fmt: skip
"""In the order of the help text."""
EXIT_CODES = (
    "Results go to stdout or a file, reports and errors to stderr. Exit codes: 0 done; 2 wrong call, input "
    "or output; 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP, which leave no partial file."
)


class Parser(argparse.ArgumentParser):
    """A parser that raises its errors, so that they are printed as one line like all others."""

    def error(self, message: str) -> NoReturn:
        """Raise the message as a `UserError`."""
        raise UserError(f"{message} (see {self.prog} --help)")


def run(argv: list[str] | None) -> None:
    """Parse the arguments and run their command."""
    arguments = _parser().parse_args(argv)
    _check_environment()
    arguments.run(arguments)


def _parser() -> Parser:
    parser = Parser(
        prog="fastcodes",
        description="Compact binary codes: search, compare and pack them.",
        epilog=EXIT_CODES,
    )
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
