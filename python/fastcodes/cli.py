"""The command line: `fastcodes info | demo | bench | knn | dedup`."""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np

from fastcodes import __version__, _dedup, _knn, _native
from fastcodes._terminal import UserError, check_output

BENCH_FAMILIES = ("bits", "hamming", "jaccard", "adc")


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all errors of this command are."""

    def error(self, message: str) -> NoReturn:
        """Raise the message as a `UserError`."""
        raise UserError(f"{message} (see {self.prog} --help)")


def main(argv: list[str] | None = None) -> int:
    """Run the command and give its exit code: 0, 2 for an error of the user, 130 for Ctrl-C."""
    try:
        arguments = _parser().parse_args(argv)
        _check_environment()
        COMMANDS[arguments.command](arguments)
    except UserError as error:
        print(f"fastcodes: {error}", file=sys.stderr)
        return 2
    except MemoryError:
        print("fastcodes: not enough memory for this", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("fastcodes: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> Parser:
    parser = Parser(prog="fastcodes", description="Compact binary codes: search, compare and pack them.")
    parser.add_argument("--version", action="version", version=f"fastcodes {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    commands.add_parser("info", help="version, instruction set, threads, and where this build came from")

    demo = commands.add_parser("demo", help="digits, near-duplicates and a million codes, beside the peers")
    demo.add_argument(
        "--n", type=_positive, default=1_000_000, help="number of synthetic codes (default: 1000000)"
    )
    demo.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the comparison as a bar chart")
    demo.add_argument("--threads", type=_positive, help="threads of the many-thread rows (default: all CPUs)")

    bench = commands.add_parser("bench", help="measure the kernels on this CPU")
    bench.add_argument(
        "family", nargs="?", choices=BENCH_FAMILIES, metavar="FAMILY", help=", ".join(BENCH_FAMILIES)
    )
    bench.add_argument("--quick", action="store_true", help="fewer codes and shapes: about 20 seconds")
    bench.add_argument("--threads", type=_positive, default=1, help="threads on every side (default: 1)")

    knn = commands.add_parser(
        "knn", help="find the k nearest codes of every query, from .npy files to an .npz file"
    )
    knn.add_argument(
        "--codes",
        type=Path,
        required=True,
        metavar="FILE.npy",
        help="the database: packed uint8 (n, n_bytes)",
    )
    knn.add_argument(
        "--queries", type=Path, required=True, metavar="FILE.npy", help="the queries, packed alike"
    )
    knn.add_argument("-k", type=_positive, default=10, help="neighbours of every query (default: 10)")
    knn.add_argument("--metric", choices=sorted(_knn.SEARCHES), default="hamming", help="(default: hamming)")
    knn.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE.npz", help="gets `distances` and `indices`"
    )
    knn.add_argument(
        "--pack", action="store_true", help="pack inputs that are not uint8: a bit is value > threshold"
    )
    knn.add_argument("--threshold", type=float, default=0.0, help="for --pack (default: 0)")
    knn.add_argument(
        "--mask", type=Path, metavar="FILE.npy", help="rows to search: booleans (n,), or row ids"
    )
    knn.add_argument("--threads", type=_positive, help="(default: all CPUs)")

    dedup = commands.add_parser(
        "dedup", help="find near-duplicates among the lines of a text or JSONL file, by MinHash"
    )
    dedup.add_argument("file", metavar="FILE", help="one text a line, or one JSON object a line; - is stdin")
    dedup.add_argument(
        "--threshold", type=float, default=0.8, help="Jaccard similarity of duplicates (default: 0.8)"
    )
    dedup.add_argument(
        "--field",
        metavar="NAME",
        help="lines are JSON objects with the text in this field "
        "(default: text, if FILE is named .jsonl or .ndjson; else lines are texts)",
    )
    dedup.add_argument(
        "--keep-first",
        action="store_true",
        help="write the lines that stay when of each group only the first does; "
        "by default the groups are written, as JSON lines",
    )
    dedup.add_argument(
        "--exact",
        action="store_true",
        help="compare candidates exactly, and not by signatures that estimate; "
        "keeps eight bytes of each word or character in memory",
    )
    dedup.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to write (default: stdout)")
    dedup.add_argument("--unit", choices=("word", "char"), default="word", help="of shingles (default: word)")
    dedup.add_argument("--shingle-size", type=_positive, default=3, help="in units (default: 3)")
    dedup.add_argument("--n-hashes", type=_positive, default=128, help="slots of signatures (default: 128)")
    dedup.add_argument("--threads", type=_positive, help="(default: all CPUs)")
    return parser


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if not 0 < value < 2**63:
        raise argparse.ArgumentTypeError(f"expected an integer from 1 up, got {text!r}")
    return value


def _check_environment() -> None:
    try:
        _native.level()
        _native.threads()
    except ValueError as error:
        raise UserError(str(error)) from None


def _info(arguments: argparse.Namespace) -> None:
    level, levels = _native.level(), _native.levels()
    if level != levels[-1]:
        reason = f"lowered by FASTCODES_LEVEL; this CPU has {', '.join(levels)}"
    else:
        reason = _native.why_not_higher() or "the highest there is"
    rows = {
        "fastcodes": _native.version(),
        "level": f"{level} ({reason})",
        "threads": str(_native.threads()),
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.system()} {platform.machine()}",
        "numpy": np.__version__,
        "extension": _native.__file__,
        "commit": _native.commit() or "not recorded in this build",
    }
    for name, value in rows.items():
        print(f"{name:<10} {value}")


def _demo(arguments: argparse.Namespace) -> None:
    if arguments.plot is not None:
        check_output(arguments.plot)
    try:
        from fastcodes import _demo as demo

        demo.run(arguments.n, arguments.plot, arguments.threads or _native.threads())
    except ModuleNotFoundError as error:
        raise _missing_extra(error) from None


def _bench(arguments: argparse.Namespace) -> None:
    families = BENCH_FAMILIES if arguments.family is None else (arguments.family,)
    try:
        from fastcodes import _bench as bench

        bench.run(families, arguments.quick, arguments.threads)
    except ModuleNotFoundError as error:
        raise _missing_extra(error) from None


def _missing_extra(error: ModuleNotFoundError) -> UserError:
    package = (error.name or "").split(".")[0]
    if package not in {"rich", "sklearn", "matplotlib"}:
        raise error
    return UserError(f'this command needs {package}, which is not installed: pip install "fastcodes[demo]"')


COMMANDS = {"info": _info, "demo": _demo, "bench": _bench, "knn": _knn.run, "dedup": _dedup.run}

if __name__ == "__main__":
    sys.exit(main())
