"""The command line: `fastcodes info`, `demo`, `bench`, `knn` and `dedup`.

Results go to stdout or to a file, reports and errors to stderr. The exit code is

- 0 if the work was done, also if the reader of a pipe stopped early,
- 2 if the call, an input or an output was wrong, which one line on stderr explains,
- 130 after Ctrl-C, 143 after SIGTERM and 129 after SIGHUP. An output file is then as it was before.

The commands are imported inside `main`, so that a signal during their imports has the same effect as later.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from fastcodes.cli.terminal import UserError, open_closed_streams, report, silence

__all__ = ["main"]

OPTIONAL_PACKAGES = ("rich", "sklearn", "matplotlib")
"""Installed by the extra ``demo``."""


class SignalError(BaseException):
    """Raised in the main thread when the process is asked to end, so that partial files are removed."""


def main(argv: list[str] | None = None) -> int:
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
            _import_extension()
            from fastcodes.cli import commands

            commands.run(argv)
    except UserError as error:
        return _failed(str(error), 2)
    except SystemExit as leaving:  # raised by argparse after --help and --version
        return int(leaving.code or 0)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in OPTIONAL_PACKAGES:
            raise
        advice = 'pip install "fastcodes[demo]"'
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


def _import_extension() -> None:
    """Import the extension while signals are blocked: an error within would be a panic."""
    import numpy  # noqa: F401  # takes long

    if not hasattr(signal, "pthread_sigmask"):
        return
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        from fastcodes import _native  # noqa: F401
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _failed(message: str, code: int) -> int:
    report(f"fastcodes: {message}")
    return code


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Raise a `SignalError` for signals that would end the process without clean-up."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)  # the clean-up is not interrupted by a second one
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
            signal.signal(number, signal.SIG_DFL)
