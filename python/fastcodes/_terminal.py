"""What the commands share: errors in one line, bars for long work, files that are whole or not there."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

__all__ = ["UserError", "blocks", "check_output", "replacing", "tracked"]

SECONDS_BEFORE_BAR = 1.0


class UserError(Exception):
    """What the user can put right: told in one line, exit code 2."""


def blocks(total: int, size: int) -> Iterator[slice]:
    """Cut so many rows into slices of `size`."""
    return (slice(start, min(start + size, total)) for start in range(0, total, size))


class Block(Protocol):
    """A part of the work, which knows where it ends."""

    @property
    def stop(self) -> Any:
        """What is done after it, of the total."""


AnyBlock = TypeVar("AnyBlock", bound=Block)


def tracked(blocks: Iterable[AnyBlock], total: int | None, description: str) -> Iterator[AnyBlock]:
    """Give the blocks; once the work proves long, a bar shows how far it is, if a person is there to see."""
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
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ModuleNotFoundError:
        return None
    return Progress(console=Console(stderr=True), transient=True)


def check_output(path: Path) -> Path:
    """Give the real path of a file to write, or tell why it cannot be written before any work is done."""
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
    """Open a file that takes its name only when it is whole: an interrupted run leaves the old or none."""
    target = check_output(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(target)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)
