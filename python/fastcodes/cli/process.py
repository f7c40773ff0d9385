"""The process of a command: its signals, its standard streams and its exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from fastcodes.cli.terminal import UserError, open_closed_streams, report, signals_wait, silence

__all__ = ["run"]

OPTIONAL_PACKAGES = {
    "rich": "demo",
    "sklearn": "demo",
    "matplotlib": "demo",
    "PIL": "images",
    "pyarrow": "arrow",
    "shtab": "cli",
}
"""And the extras that install them."""


class SignalError(BaseException):
    """Raised in the main thread when the process is asked to end, so that partial files are removed."""


def run(argv: list[str] | None) -> int:
    """Run a command and return the exit code."""
    open_closed_streams()
    code = _exit_code(argv)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)
    except OSError as error:
        silence(sys.stdout)
        code = code or _failed(f"stdout: {error.strerror}", 2)
    return code


def _exit_code(argv: list[str] | None) -> int:
    try:
        with _signals_raise():
            with signals_wait():
                from fastcodes.cli import commands

            commands.run(argv)
    except UserError as error:
        return _failed(str(error), 2)
    except SystemExit as leaving:  # raised by argparse after --help, and by rich if a pipe is closed
        return 0 if isinstance(leaving.__context__, BrokenPipeError) else int(leaving.code or 0)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in OPTIONAL_PACKAGES:
            raise
        advice = f'pip install "fastcodes[{OPTIONAL_PACKAGES[package]}]"'
        return _failed(f"this command needs {package}, which is not installed: {advice}", 2)
    except MemoryError:
        return _failed("not enough memory for this", 2)
    except BrokenPipeError:
        return 0
    except OSError as error:
        return _failed(f"{error.filename or 'stdout'}: {error.strerror or error}", 2)
    except KeyboardInterrupt:
        return _failed("interrupted", 130)
    except SignalError as error:
        number = int(error.args[0])
        return _failed(f"ended by {signal.Signals(number).name}", 128 + number)
    return 0


def _failed(message: str, code: int) -> int:
    report(f"fastcodes: {message}")
    return code


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Raise a `SignalError` for signals that would end the process without clean-up."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        # Neither the clean-up nor the report is interrupted by a second one: timeout sends two.
        signal.signal(number, signal.SIG_IGN)
        raise SignalError(number)

    replaced = []
    try:
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # A signal that the parent process ignores stays ignored: see nohup.
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, end)
                replaced.append(number)
    except ValueError:  # only the main thread can handle signals
        pass
    try:
        yield
    finally:
        for number in replaced:
            if signal.getsignal(number) is end:
                signal.signal(number, signal.SIG_DFL)
