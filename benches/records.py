"""What every record under record/ has: the facts of its run, a name, tables."""

import datetime
import json
import platform
import re
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fastcodes import _native
from fastcodes.cli.measure import cpu_name
from fastcodes.cli.peers import contestants
from pytest_benchmark.utils import get_commit_info

RECORDS = Path(__file__).parent / "record"


def facts() -> dict[str, Any]:
    """Give what a measurement means little without."""
    commit = get_commit_info()
    return {
        "date": datetime.date.today().isoformat(),
        "machine": {
            "cpu": cpu_name(),
            "cpus": _native.threads(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "commit": {"id": commit["id"], "dirty": commit["dirty"]},
        "versions": {"python": platform.python_version(), "rustc": _rustc()},
        "contestants": [
            *({"name": peer.name, "version": peer.version, "level": peer.level} for peer in contestants()),
            *_others(),
        ],
    }


def _others() -> list[dict[str, str]]:
    """Give the peers of one family alone, where they are installed; they do not tell their levels."""
    found = []
    for name in ("onnxruntime", "datasketch", "rensa"):
        with suppress(PackageNotFoundError):
            found.append({"name": name, "version": version(name), "level": "unknown"})
    return found


def _rustc() -> str:
    try:
        return subprocess.run(
            ["rustc", "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "rustc unknown"


def facts_as_list(record: dict[str, Any]) -> str:
    """Give the facts in Markdown."""
    machine, commit, versions = record["machine"], record["commit"], record["versions"]
    contestants = ", ".join(
        f"{one['name']} {one['version']} ({one['level']})" for one in record["contestants"]
    )
    return (
        f"- machine: {machine['cpu']}, {machine['cpus']} CPUs, {machine['system']}\n"
        f"- commit: {commit['id']}{' and uncommitted changes' if commit['dirty'] else ''}\n"
        f"- python {versions['python']}, {versions['rustc']}\n"
        f"- contestants and their instruction sets: {contestants}\n"
    )


def table(headings: list[str], rows: list[list[str]]) -> str:
    """Give a table that reads well in a terminal and is Markdown too."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    ruled = [headings, ["-" * width for width in widths], *rows]
    return "\n".join("| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in ruled)


def name(record: dict[str, Any], kind: str = "") -> Path:
    """Give the record's file, without suffix: date, CPU and, unless it is that of `make bench`, its kind."""
    cpu = re.sub(r"\((r|tm)\)|cpu|processor|@.*", "", record["machine"]["cpu"].lower())
    slug = re.sub(r"[^a-z0-9]+", "-", cpu).strip("-")
    return RECORDS / "-".join(part for part in (record["date"], slug or "unknown-cpu", kind) if part)


def write(path: Path, record: dict[str, Any], page: str) -> None:
    """Write the record as JSON, and as Markdown for people."""
    RECORDS.mkdir(exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(page, encoding="utf-8")


def runs(path: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Give the trainings of a record that was begun, by their keys; none if there is no such record."""
    try:
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {tuple(run.pop("key")): run for run in record["runs"]}
