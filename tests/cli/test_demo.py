"""The command `fastcodes demo`, on few codes."""

from pathlib import Path

import pytest
from fastcodes import cli


def test_demo_prints_its_parts_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for package in ("rich", "sklearn", "matplotlib"):
        pytest.importorskip(package, reason=f"the demo needs {package}")
    chart = tmp_path / "chart.png"
    assert cli.main(["demo", "--n", "2000", "--plot", str(chart)]) == 0
    printed = capsys.readouterr().out
    assert all(part in printed for part in ("1. ", "2. ", "3. ", "4. ", "5. ", "fastcodes", "numpy"))
    assert "disagrees" not in printed
    assert chart.read_bytes().startswith(b"\x89PNG")
