"""What the commands share: one-line errors, standard streams, argument types, tables, progress bars."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import reprlib
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from rich.table import Table

__all__ = [
    "UserError",
    "add_json",
    "blocks",
    "counted",
    "integer",
    "open_closed_streams",
    "plain_table",
    "print_json",
    "real",
    "report",
    "signals_wait",
    "silence",
    "summarize",
    "thread_count",
    "tracked",
]

SECONDS_BEFORE_BAR = 1.0


class UserError(Exception):
    """An error that the user can correct: printed as one line, exit code 2."""


# --- standard streams ---------------------------------------------------------------------------------------


def open_closed_streams() -> None:
    """Open the standard streams that the caller has closed, so that no other file gets their descriptors.

    Reading from such a stdin or writing to such a stdout fails, as it should; a closed stderr swallows its
    text. Characters that the encoding of stdout lacks are written as escape sequences.
    """
    for name, flags, mode in (
        ("stdin", os.O_WRONLY, "r"),
        ("stdout", os.O_RDONLY, "w"),
        ("stderr", os.O_WRONLY, "w"),
    ):
        if getattr(sys, name) is None:
            # The lowest free descriptor, which is the closed one.
            setattr(sys, name, open(os.open(os.devnull, flags), mode, encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def report(message: str) -> None:
    """Print one line to stderr; a stderr that cannot be written is no reason to stop."""
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in message)
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: ``"1 video"``, ``"2 videos"``."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def silence(stream: IO[str]) -> None:
    """Redirect a stream that cannot be written to the null device: Python would complain of it at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def signals_wait() -> Iterator[None]:
    """Let signals wait while modules are imported: extensions can lose what a signal handler raises."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- types of arguments -------------------------------------------------------------------------------------


def integer(low: int, high: int = 2**63 - 1) -> Callable[[str], int]:
    """Return the type of an argument that is an integer from `low` to `high`."""

    def parse(text: str) -> int:
        value = int(text[:20]) if text.isdecimal() else -1
        if not low <= value <= high:
            limits = f"from {low} to {high}" if value > high or high < 2**63 - 1 else f"from {low} up"
            raise argparse.ArgumentTypeError(f"expected an integer {limits}, got {reprlib.repr(text)}")
        return value

    return parse


def thread_count(text: str) -> int:
    """Parse a number of threads; more than there are CPUs are of no use."""
    return min(integer(1)(text), os.cpu_count() or 1)


def real(*, above: float = -math.inf, at_most: float = math.inf) -> Callable[[str], float]:
    """Return the type of an argument that is a finite number above one limit and up to another."""
    limits = f" above {above:g} and at most {at_most:g}" if at_most < math.inf else ""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (above < value <= at_most and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"expected a number{limits}, got {reprlib.repr(text)}")
        return value

    return parse


# --- results for scripts ------------------------------------------------------------------------------------


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare ``--json``, which prints what a command says as one JSON object on stdout."""
    parser.add_argument("--json", action="store_true", help="print the table or report as JSON on stdout")


def print_json(facts: Any) -> None:
    """Print facts as one line of JSON; numbers that are not finite are null."""
    print(json.dumps(_finite(facts), default=str))


def summarize(arguments: argparse.Namespace, facts: dict[str, Any], text: str) -> None:
    """Report some text or, with ``--json``, print the facts in it."""
    if arguments.json:
        print_json(facts)
    else:
        report(text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# --- tables and progress bars -------------------------------------------------------------------------------


def plain_table(headings: Iterable[str], **options: Any) -> Table:
    """Return a table of rich without a frame: the first column left-aligned, the others right-aligned."""
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE, **options)
    for column, heading in enumerate(headings):
        table.add_column(heading, justify="right" if column else "left")
    return table


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
