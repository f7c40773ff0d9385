"""What the commands share: progress bars and output files."""

import argparse
import sys

import pytest
from fastcodes.cli import terminal


def test_a_bar_appears_on_long_work_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich", reason="the bar needs rich")
    shown = []
    bar = terminal._bar
    monkeypatch.setattr(terminal, "_bar", lambda: shown.append(True) or bar())
    parts = list(terminal.blocks(100, 7))

    def work() -> None:
        assert list(terminal.tracked(parts, 100, "working")) == parts

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    work()
    assert not shown  # short work
    monkeypatch.setattr(terminal, "SECONDS_BEFORE_BAR", 0.0)
    work()
    assert shown == [True]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    work()
    assert shown == [True]


@pytest.mark.parametrize(("total", "size"), [(0, 3), (1, 3), (3, 3), (7, 3)])
def test_blocks_cover_all_rows(total: int, size: int) -> None:
    rows = [row for block in terminal.blocks(total, size) for row in range(total)[block]]
    assert rows == list(range(total))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("7", 7),
        ("0", None),
        ("8", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("1" * 5000, None),
    ],
)
def test_integers_within_limits(text: str, value: int | None) -> None:
    parse = terminal.integer(1, 7)
    if value is not None:
        assert parse(text) == value
        return
    with pytest.raises(argparse.ArgumentTypeError, match="expected an integer from 1 to 7, got ") as error:
        parse(text)
    assert len(str(error.value)) < 100


@pytest.mark.parametrize("text", ["0", "1.01", "-1", "nan", "inf", "x", ""])
def test_numbers_within_limits(text: str) -> None:
    assert terminal.real(above=0, at_most=1)("1") == 1.0
    with pytest.raises(argparse.ArgumentTypeError, match="expected a number above 0 and at most 1, got "):
        terminal.real(above=0, at_most=1)(text)


def test_a_report_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.report("é\n\x1b[31m\udcff")
    assert capsys.readouterr().err == "é\\n\\x1b[31m\\udcff\n"
