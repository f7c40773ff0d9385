"""The command line: `fastcodes info`, `knn`, `compress` and the others of `commands.COMMANDS`.

Results go to stdout or to a file, reports and errors to stderr. The exit code is

- 0 if the work was done, also if the reader of a pipe stopped early,
- 2 if the call, an input or an output was wrong, which one line on stderr explains,
- 130 after Ctrl-C, 143 after SIGTERM and 129 after SIGHUP. An output file is then as it was before.
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
