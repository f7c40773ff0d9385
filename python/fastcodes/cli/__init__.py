"""The command line: `fastcodes info`, `knn`, `compress` and the others of `commands.COMMANDS`.

Results go to stdout or to a file, reports and errors to stderr. ``fastcodes --help`` lists the exit codes.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run a command and return the exit code."""
    try:
        # Not before: Ctrl-C while modules are imported has the same effect as later.
        from fastcodes.cli import process
    except KeyboardInterrupt:
        print("fastcodes: interrupted", file=sys.stderr)
        return 130
    return process.run(argv)
