"""What all records in record/ share: the facts of a run, file names, tables and promises."""

import datetime
import json
import platform
import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fastcodes import _native
from fastcodes.cli.measure import cpu_name
from fastcodes.cli.peers import contestants
from pytest_benchmark.utils import get_commit_info
from readme import level

RECORDS = Path(__file__).parent / "record"
OTHER_PEERS = ("onnxruntime", "datasketch", "rensa", "turbovec", "rabitqlib")
"""Peers of a single family, outside `fastcodes.cli.peers`; they do not report their instruction set."""


# --- facts --------------------------------------------------------------------------------------------------


def facts() -> dict[str, Any]:
    """Return what identifies a run: date, machine, commit and versions."""
    commit = get_commit_info()
    peers = [{"name": peer.name, "version": peer.version, "level": peer.level} for peer in contestants()]
    for name in OTHER_PEERS:
        with suppress(PackageNotFoundError):
            peers.append({"name": name, "version": version(name), "level": "unknown"})
    return {
        "date": datetime.date.today().isoformat(),
        "machine": {
            "cpu": cpu_name(),
            "cpus": _native.threads(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "commit": {"id": commit["id"], "dirty": commit["dirty"]},
        "versions": {"python": platform.python_version(), "rustc": _rustc()},
        "contestants": peers,
    }


def _rustc() -> str:
    try:
        return subprocess.run(
            ["rustc", "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "rustc unknown"


def facts_as_list(record: dict[str, Any]) -> str:
    """Return the facts as a Markdown list."""
    machine, commit, versions = record["machine"], record["commit"], record["versions"]
    peers = ", ".join(f"{one['name']} {one['version']} ({one['level']})" for one in record["contestants"])
    return (
        f"- machine: {machine['cpu']}, {machine['cpus']} CPUs, {machine['system']}\n"
        f"- commit: {commit['id']}{' and uncommitted changes' if commit['dirty'] else ''}\n"
        f"- python {versions['python']}, {versions['rustc']}\n"
        f"- contestants and their instruction sets: {peers}\n"
    )


# --- promises -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Promise:
    """A figure that the project promises, and the measured one."""

    what: str
    needs: float
    measured: float

    @property
    def met(self) -> bool:
        """Whether the measured figure is large enough."""
        return self.measured >= self.needs

    def entry(self) -> dict[str, Any]:
        """Return the promise as it is stored in the record."""
        return {**asdict(self), "met": self.met}

    def cells(self) -> list[str]:
        """Return the line of the promise in a table."""
        return [self.what, f"{self.needs:.3f}", f"{self.measured:.3f}", "yes" if self.met else "NO"]


def promise_table(promises: Sequence[Promise]) -> str:
    """Return the table of all promises."""
    return table(["promise", "at least", "measured", "met"], [promise.cells() for promise in promises])


def missed(promises: Sequence[Promise]) -> str:
    """Return how many promises are not met, in words."""
    return f"{sum(not promise.met for promise in promises)} of {len(promises)} promises not met"


# --- pages and files ----------------------------------------------------------------------------------------


def table(headings: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table that is aligned for terminals."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    ruled = [headings, ["-" * width for width in widths], *rows]
    return "\n".join("| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in ruled)


def name(record: dict[str, Any], kind: str = "") -> Path:
    """Return the path of a record without suffix: date, CPU, level and, except for `make bench`, the kind."""
    cpu = re.sub(r"\((r|tm)\)|cpu|processor|@.*", "", record["machine"]["cpu"].lower())
    slug = re.sub(r"[^a-z0-9]+", "-", cpu).strip("-")
    parts = (record["date"], slug or "unknown-cpu", level(record), kind)
    return RECORDS / "-".join(part for part in parts if part)


def write(path: Path, record: dict[str, Any], page: str) -> None:
    """Write a record as JSON, and its page as Markdown."""
    RECORDS.mkdir(exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(page, encoding="utf-8")


def runs(path: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return the runs of an earlier, possibly unfinished record by their keys; none if there is no record."""
    try:
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {tuple(run.pop("key")): run for run in record["runs"]}
