"""Inputs and outputs of the commands: regular files, pipes, devices and open descriptors."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fastcodes.cli import files
from fastcodes.cli.terminal import UserError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX descriptors")


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("/dev/stdin", 0),
        ("/dev/stdout", 1),
        ("/dev/stderr", 2),
        ("/dev/fd/63", 63),
        ("/proc/self/fd/7", 7),
        ("-", None),
        ("fd/3", None),
        ("/dev/fd/x", None),
        ("/dev/fd/" + "9" * 30, None),
    ],
)
def test_names_of_descriptors(name: str, number: int | None) -> None:
    assert files.descriptor(name) == number


def test_an_output_appears_only_once_it_is_complete(folder: Path) -> None:
    Path("output").write_bytes(b"old")

    def interrupted() -> None:
        with files.writing("output") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in folder.iterdir()] == ["output"]
    assert Path("output").read_bytes() == b"old"
    with files.writing("output") as file:
        file.write(b"new")
        assert Path("output").read_bytes() == b"old"
    assert [path.name for path in folder.iterdir()] == ["output"]
    assert Path("output").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "link", "pipe", "/dev/stderr"])
def test_a_report_is_not_mixed_with_an_output(folder: Path, name: str) -> None:
    os.symlink("/dev/stdout", "link")
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    command = "from fastcodes.cli import files; files.check_json({}, {!r}, 'codes')"
    with open("pipe", "wb") as stdout:
        for with_json, target, is_mixed in ((True, name, True), (False, name, False), (True, "file", False)):
            done = subprocess.run(
                [sys.executable, "-c", command.format(with_json, target)],
                stdout=stdout,
                stderr=stdout if name == "/dev/stderr" else subprocess.PIPE,
            )
            assert (done.returncode != 0) == is_mixed
            if is_mixed and done.stderr is not None:
                assert b"--json prints the report on stdout; -o names a file for codes" in done.stderr
    os.close(reader)


def test_a_link_stays_a_link(folder: Path) -> None:
    Path("target").write_bytes(b"old")
    os.symlink("target", "link")
    assert files.check_output("link")
    with files.writing("link") as file:
        file.write(b"new")
    assert Path("link").is_symlink()
    assert Path("target").read_bytes() == b"new"


def test_an_open_descriptor_is_written_where_it_stands(folder: Path) -> None:
    with open("output", "ab") as file:
        file.write(b"before ")
        file.flush()
        name = f"/dev/fd/{file.fileno()}"
        assert not files.check_output(name)
        with files.writing(name) as output:
            output.write(b"within ")
        file.write(b"after")
    assert Path("output").read_bytes() == b"before within after"


def test_a_device_is_not_replaced(folder: Path) -> None:
    assert not files.check_output("/dev/null", "/dev/null")
    with files.writing("/dev/null") as file:
        file.write(b"gone")
    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize("name", ["input", "link", "hard link", "{descriptor}"])
def test_an_input_is_no_output(folder: Path, name: str) -> None:
    Path("input").write_bytes(b"text")
    os.symlink("input", "link")
    os.link("input", "hard link")
    with open("input", "ab") as file:
        name = name.format(descriptor=f"/dev/fd/{file.fileno()}")
        with pytest.raises(UserError, match="is one of the inputs"):
            files.check_output(name, None, "other", "input")


def test_inputs_are_not_opened_by_the_check(folder: Path) -> None:
    os.mkfifo("fifo")  # opening it would wait for a writer
    assert files.check_output("output", "fifo")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (".", "not a regular file"),
        ("", "not a regular file"),
        ("no/where", "does not exist"),
        ("input/file", "Not a directory"),
        ("a\0b", "null"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_wrong_output_is_an_error_before_any_work(folder: Path, name: str, words: str) -> None:
    Path("input").write_bytes(b"text")
    with pytest.raises(UserError, match=words):
        files.check_output(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [("missing", "no such file"), (".", "directory"), ("a\0b", "null"), ("input/x", "Not a directory")],
)
def test_a_wrong_input_is_an_error(folder: Path, name: str, words: str) -> None:
    Path("input").write_bytes(b"text")
    with pytest.raises(UserError, match=words):
        files.opened(name)
