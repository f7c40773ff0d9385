"""The command `fastcodes info`: version, instruction set, threads, and the origin of this build."""

from __future__ import annotations

import argparse
import platform

import numpy as np

from fastcodes import _native
from fastcodes.cli.terminal import add_json, print_json

__all__ = ["HELP", "add_arguments", "run"]

HELP = "print version, instruction set, threads, and the origin of this build"
EXAMPLES = """examples:
  fastcodes info
  fastcodes info --json
  FASTCODES_LEVEL=portable fastcodes info"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--json`."""
    parser.epilog = EXAMPLES
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print one line for each fact."""
    level, levels = _native.level(), _native.levels()
    if level != levels[-1]:
        reason = f"lowered by FASTCODES_LEVEL; this CPU has {', '.join(levels)}"
    else:
        highest = _native.why_not_higher() or f"the highest of {platform.machine()}"
        reason = ", ".join([highest, *(f"with {name}" for name in _native.extensions())])
    facts = {
        "fastcodes": _native.version(),
        "level": level,
        "threads": _native.threads(),
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.system()} {platform.machine()}",
        "numpy": np.__version__,
        "extension": _native.__file__,
        "commit": _native.commit() or None,
    }
    if arguments.json:
        print_json({**facts, "levels": levels, "level_reason": reason})
        return
    facts["level"] = f"{level} ({reason})"
    facts["commit"] = facts["commit"] or "not recorded in this build"
    for name, value in facts.items():
        print(f"{name:<10} {value}")
