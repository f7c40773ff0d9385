"""Progress bars of long calculations, shown on stderr if the user asks for them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

__all__ = ["progress", "progress_bar"]


@contextlib.contextmanager
def progress(verbose: bool, total: int, description: str) -> Iterator[Callable[[float], None]]:
    """Provide a function to call with the current error after each of `total` iterations."""
    with progress_bar(verbose, total, description, "iterations") as show:
        yield lambda error: show(f"error {error:.6g}")


@contextlib.contextmanager
def progress_bar(verbose: bool, total: int, description: str, unit: str) -> Iterator[Callable[[str], None]]:
    """Provide a function to call after each of `total` steps; it shows a bar with some text if `verbose`."""
    if not verbose:
        yield lambda figures: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        raise ImportError(
            "verbose=True shows a progress bar, which needs the extra `cli`: pip install 'fastcodes[cli]'"
        ) from None
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} " + unit + ", {task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(description, total=total, figures="")
        yield lambda figures: bar.update(task, advance=1, figures=figures)
        bar.update(task, completed=total)
