"""The command `fastcodes strings`: byte-exact lines, single lines, models beside files, wrong calls."""

from __future__ import annotations

import gzip
import io
import json
import os
from pathlib import Path

import pytest
from fastcodes import cli
from fastcodes.coding import CompressedTexts

LINES = [
    f"A {animal} on the {place}." for animal in ("cat", "dog", "small bird") for place in ("mat", "roof")
]
TEXT = "\n".join(LINES * 40) + "\n"


def run(*arguments: str) -> int:
    return cli.main(["strings", *arguments])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"a",
        b"a\n",
        b"\n\nb",
        TEXT.encode(),
        b"a\r\nb\xff\xfe \xc3\xa9\n\nlast \xed\xb2\x80",
        b"\xf0\x9f\x90\x88\n",
    ],
)
def test_all_lines_are_the_same_bytes(folder: Path, content: bytes) -> None:
    Path("in.txt").write_bytes(content)
    assert run("in.txt", "-o", "in.fcs") == 0
    assert run("in.fcs", "--all", "-o", "out.txt") == 0
    assert Path("out.txt").read_bytes() == content


def test_single_lines_and_compressed_input(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("in.gz").write_bytes(gzip.compress(TEXT.encode()))
    assert run("in.gz", "-o", "in.fcs") == 0
    assert "240 lines" in capfd.readouterr().err
    assert run("in.fcs", "--get", "240", "1", "1") == 0
    assert capfd.readouterr().out.splitlines() == [LINES[-1], LINES[0], LINES[0]]
    assert run("in.fcs", "--get", "241") == 2
    assert capfd.readouterr().err == "fastcodes: in.fcs: has 240 lines; got --get 241\n"


def test_a_model_beside_is_written_once_and_needed(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("in.txt").write_text(TEXT)
    Path("more.txt").write_text("A dog on the mat.\n")
    assert run("in.txt", "-o", "in.fcs", "--model", "model") == 0
    model = Path("model").read_bytes()
    assert run("more.txt", "-o", "more.fcs", "--model", "model") == 0
    assert Path("model").read_bytes() == model
    assert os.path.getsize("more.fcs") < 2000
    capfd.readouterr()
    assert run("more.fcs", "--all", "--model", "model") == 0
    assert capfd.readouterr().out == "A dog on the mat.\n"
    assert run("more.fcs", "--all") == 2
    assert capfd.readouterr().err == (
        "fastcodes: more.fcs: has no model; give the file of its model with --model\n"
    )
    assert run("more.txt", "-o", "other.fcs", "--model", "other") == 0
    assert run("more.fcs", "--all", "--model", "other") == 2
    assert "another codec" in capfd.readouterr().err


def test_the_longest_line(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    longest = b"a\xc3\xa9" * (1 << 16) + b"a" * (1 << 16)
    assert len(longest) == 1 << 18
    Path("in.txt").write_bytes(b"first\n" + longest)
    assert run("in.txt", "-o", "in.fcs") == 0
    assert run("in.fcs", "--all", "-o", "out.txt") == 0
    assert Path("out.txt").read_bytes() == b"first\n" + longest
    capfd.readouterr()
    # A byte that is not UTF-8 is kept as three.
    for content in (longest + b"a", longest[:-2] + b"\xff"):
        Path("in.txt").write_bytes(b"first\n" + content + b"\nlast\n")
        assert run("in.txt", "-o", "other.fcs", "--model", "model") == 2
        assert capfd.readouterr().err.endswith(
            "fastcodes: in.txt: line 2 is longer than 262,144 bytes, the most of a line\n"
        )
        assert not Path("model").exists()
        assert not Path("other.fcs").exists()


def test_stdin(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    Path("in.txt").write_text(TEXT)
    with open("in.txt", "rb") as file:
        before = os.dup(0)
        os.dup2(file.fileno(), 0)
        try:
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
            assert run("-", "-o", "in.fcs") == 0
        finally:
            os.dup2(before, 0)
            os.close(before)
    capfd.readouterr()
    assert run("in.fcs", "--get", "2") == 0
    assert capfd.readouterr().out == LINES[1] + "\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["in.txt"], "-o names the file"),
        (["in.txt", "-o", "-"], "not a regular file"),
        (["in.txt", "-o", "in.txt"], "is one of the inputs"),
        (["in.txt", "--all"], "no file of safetensors"),
        (["none", "--all"], "no such file"),
        (["none", "-o", "x"], "no such file"),
        (["in.txt", "--get", "0"], "from 1 up"),
        (["in.txt", "--get", "1", "--all"], "not allowed with"),
        (["in.txt", "-o", "x", "--model", "in.txt"], "not a valid TextCodec file"),
        (["in.txt", "-o", "x", "--model", "none/model"], "does not exist"),
        (["in.txt", "-o", "x", "--model-bytes", "1000"], "131072"),
    ],
)
def test_a_wrong_call_is_one_line(
    folder: Path, arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("in.txt").write_text("a line\n")
    assert run(*arguments) == 2
    printed = capfd.readouterr().err
    assert printed.count("\n") == 1
    assert words in printed
    assert sorted(os.listdir()) == ["in.txt"]


def test_json_prints_the_figures_on_stdout(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("in.txt").write_text(TEXT)
    assert run("in.txt", "-o", "in.fcs", "--json") == 0
    captured = capfd.readouterr()
    facts = json.loads(captured.out)
    stored = CompressedTexts.load("in.fcs")
    assert facts.pop("seconds") >= 0
    assert facts.pop("model_bytes") > 0
    assert facts == {
        "file": "in.txt", "output": "in.fcs", "lines": 240, "bytes": len(TEXT), "stored_bytes": stored.nbytes
    }  # fmt: skip
    assert captured.err == ""
    assert run("in.fcs", "--all", "--json") == 2
    assert "leave it out with --get and --all" in capfd.readouterr().err
