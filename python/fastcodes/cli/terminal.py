"""What the commands share: one-line errors, argument types, tables, progress bars, atomic output files."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar

from fastcodes import _files

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["UserError", "blocks", "check_output", "plain_table", "positive", "replacing", "tracked"]

SECONDS_BEFORE_BAR = 1.0


class UserError(Exception):
    """An error that the user can correct: printed as one line, exit code 2."""


def positive(text: str) -> int:
    """Parse an argument that is an integer from 1 up."""
    value = int(text) if text.isdecimal() else 0
    if not 0 < value < 2**63:
        raise argparse.ArgumentTypeError(f"expected an integer from 1 up, got {text!r}")
    return value


def plain_table(headings: Iterable[str], **options: Any) -> Table:
    """Return a table of rich without a frame: the first column left-aligned, the others right-aligned."""
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE, **options)
    for column, heading in enumerate(headings):
        table.add_column(heading, justify="right" if column else "left")
    return table


# --- progress -----------------------------------------------------------------------------------------------


def blocks(total: int, size: int) -> Iterator[slice]:
    """Cut `total` rows into slices of `size`."""
    return (slice(start, min(start + size, total)) for start in range(0, total, size))


class Block(Protocol):
    """A part of the work."""

    @property
    def stop(self) -> Any:
        """How much of the total is done after it."""


AnyBlock = TypeVar("AnyBlock", bound=Block)


def tracked(blocks: Iterable[AnyBlock], total: int | None, description: str) -> Iterator[AnyBlock]:
    """Yield the blocks; show a progress bar if the work takes long and stderr is a terminal."""
    bar = None
    started = time.perf_counter()
    try:
        for block in blocks:
            yield block
            if bar is None and sys.stderr.isatty() and time.perf_counter() - started > SECONDS_BEFORE_BAR:
                bar = _bar()
                if bar is not None:
                    task = bar.add_task(description, total=total)
                    bar.start()
            if bar is not None:
                bar.update(task, completed=block.stop)
    finally:
        if bar is not None:
            bar.stop()


def _bar() -> Any:
    """Return a bar, or None without rich."""
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ModuleNotFoundError:
        return None
    return Progress(console=Console(stderr=True), transient=True)


# --- output files -------------------------------------------------------------------------------------------


def check_output(path: Path) -> Path:
    """Return the real path of an output file; raise a `UserError` before any work if it cannot be written."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise UserError(f"{path}: not a regular file; expected the name of a file to write")
    if not target.parent.is_dir():
        raise UserError(f"{path}: the folder {target.parent} does not exist")
    if not os.access(target.parent, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
        raise UserError(f"{path}: cannot be written: permission denied")
    return target


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that replaces `path` on success; an interrupted run leaves `path` as it was."""
    try:
        with _files.replacing(check_output(path)) as part, open(part, "wb") as file:
            yield file
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
