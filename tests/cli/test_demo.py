"""The command `fastcodes demo`, on few codes."""

import re
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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--plot", "chart.doc"], "chart.doc: the chart must be named .* .png"),
        (["--plot", "chart"], "chart: the chart must be named"),
        (["--plot", "no/chart.png"], "does not exist"),
        (["--plot", "."], "not a regular file"),
        (["--n", "9" * 18], "--n: expected an integer from 1 to 68719476736"),
        (["--threads", "0"], "--threads: expected an integer from 1 up"),
    ],
)
def test_a_wrong_demo_is_one_line_before_the_work(
    folder: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("rich", "sklearn", "matplotlib"):
        pytest.importorskip(package, reason=f"the demo needs {package}")
    assert cli.main(["demo", *options]) == 2
    captured = capsys.readouterr()
    assert re.fullmatch(f"fastcodes: .*{words}.*\n", captured.err)
    assert not captured.out
    assert not list(folder.iterdir())
