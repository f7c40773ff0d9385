"""What the commands share: progress bars and output files."""

import sys
from pathlib import Path

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


def test_an_output_appears_only_once_it_is_complete(folder: Path) -> None:
    Path("output").write_bytes(b"old")

    def interrupted() -> None:
        with terminal.replacing(Path("output")) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in folder.iterdir()] == ["output"]
    assert Path("output").read_bytes() == b"old"
    with terminal.replacing(Path("output")) as file:
        file.write(b"new")
        assert Path("output").read_bytes() == b"old"
    assert [path.name for path in folder.iterdir()] == ["output"]
    assert Path("output").read_bytes() == b"new"
