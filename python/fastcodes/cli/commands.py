"""The commands and their parser.

Each command is a module of this package, listed in `COMMANDS`, with

- ``HELP``: one line for ``fastcodes --help``,
- ``add_arguments(parser)``: declares its arguments, and the description and the examples of its help,
- ``run(arguments)``: does the work; raises `UserError` for whatever the user can correct.

A command imports optional packages inside its functions, so that the others run without them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, Protocol

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
    tokens,
)
from fastcodes.cli.terminal import UserError

__all__ = ["COMMANDS", "new_parser", "run"]


class Command(Protocol):
    """The module of a command."""

    __name__: str
    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None:
        """Declare the arguments."""

    def run(self, arguments: argparse.Namespace, /) -> None:
        """Do the work."""


COMMANDS: tuple[Command, ...] = (
    info, demo, bench, knn, index, dedup, images, strings, compress, decompress, rd, thumbs, tokens,
)  # fmt: skip
"""In the order of the help text."""
EPILOG = """examples:
  fastcodes info
  fastcodes index build vectors.npy -o vectors.index
  fastcodes index search vectors.index queries.npy -k 10
  fastcodes dedup articles.jsonl.gz --keep-first -o unique.jsonl.gz

`fastcodes COMMAND --help` has more of them.

Results go to stdout or a file, reports and errors to stderr.

exit codes:
  0    done, also if the reader of a pipe stopped early
  1    a bug, which a traceback describes
  2    the call, an input or an output is wrong: one line on stderr says why
  129  ended by SIGHUP
  130  ended by Ctrl-C
  143  ended by SIGTERM

Unless a command is done, its output files are as they were before.

shell completion, which needs shtab (pip install "fastcodes[cli]"):
  bash  fastcodes --print-completion bash > ~/.local/share/bash-completion/completions/fastcodes
  zsh   fastcodes --print-completion zsh > ~/.zfunc/_fastcodes     (a folder in $fpath)
  tcsh  fastcodes --print-completion tcsh > ~/.fastcodes.tcsh      (source it in ~/.tcshrc)"""
SHELLS = ("bash", "zsh", "tcsh")
FILES = ("FILE", "IN", "INDEX", "OUT", "QUERIES")
"""What arguments are called that are completed to files; their names may have a suffix."""


class Formatter(argparse.HelpFormatter):
    """A formatter that keeps the lines of examples and fills other texts."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """A parser that raises its errors, so that they are printed as one line like all others."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"formatter_class": Formatter, **options})

    def error(self, message: str) -> NoReturn:
        """Raise the message as a `UserError`."""
        raise UserError(f"{message} (see {self.prog} --help)")


class Completion(argparse.Action):
    """Prints the script that makes a shell complete commands, options and files."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Print the script for the shell that is given."""
        import shtab

        for action in _actions(parser):
            name = action.metavar if isinstance(action.metavar, str) else ""
            if name.partition(".")[0] in FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif name == "DIR":
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        print(shtab.complete(parser, shell=values))
        parser.exit()


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)


def run(argv: list[str] | None) -> None:
    """Parse the arguments and run their command."""
    arguments = new_parser().parse_args(argv)
    _check_environment()
    arguments.run(arguments)


def new_parser() -> Parser:
    """Return the parser of all commands."""
    parser = Parser(
        prog="fastcodes", description="Compact binary codes: search, compare and pack them.", epilog=EPILOG
    )
    parser.add_argument("--version", action="version", version=f"fastcodes {__version__}")
    parser.add_argument(
        "--print-completion",
        action=Completion,
        choices=SHELLS,
        metavar="SHELL",
        help=f"print a script that completes commands, for {', '.join(SHELLS)}: see below",
    )
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
