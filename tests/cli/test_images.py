"""fastcodes images: groups of near-duplicates as text, as JSON and on a page; broken files, errors."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import cli, hamming
from fastcodes.cli import images as command
from fastcodes.cli import pictures
from fastcodes.hashing import images
from pictures import waves

Image = pytest.importorskip("PIL.Image", reason="pictures of a folder need Pillow")

GROUP = ["a.png", "more/rotated.jpg", "more/small.jpg", "more/alpha <b>.png"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of four copies of a picture, two other pictures, two broken ones and a text."""
    made = tmp_path / "pictures"
    (made / "more").mkdir(parents=True)
    picture = Image.fromarray(waves(120, 160, noise=1.0))
    picture.save(made / "a.png")
    picture.resize((80, 60)).save(made / "more" / "small.jpg", quality=90)
    orientation = Image.Exif()
    orientation[0x112] = 6  # to be shown after a rotation by 90 degrees to the right
    turned = picture.resize((140, 105)).rotate(90, expand=True)
    turned.save(made / "more" / "rotated.jpg", quality=95, exif=orientation)
    alpha = np.dstack([np.asarray(picture.resize((72, 54))), np.full((54, 72), 255, np.uint8)])
    Image.fromarray(alpha).save(made / "more" / "alpha <b>.png")
    Image.fromarray(255 - waves(120, 160)).save(made / "b.png")
    Image.fromarray(waves(120, 160)[::-1, ::-1].copy()).save(made / "c.png")
    (made / "broken.png").write_bytes((made / "a.png").read_bytes()[:3000])
    (made / "text.png").write_text("no picture")
    (made / "notes.txt").write_text("no picture")
    return made


def run(*arguments: Any) -> int:
    """Run the command in this process, and return its exit code."""
    return cli.main(["images", *map(str, arguments)])


def test_groups_are_printed(folder: Path, capsys: Any) -> None:
    assert run(folder) == 0
    captured = capsys.readouterr()
    rows = [re.split(" {2,}", line.strip()) for line in captured.out.splitlines()]
    assert rows[0] == ["0", "160 x 120", f"{(folder / 'a.png').stat().st_size:,}", "a.png"]
    assert sorted(row[3] for row in rows) == sorted(GROUP)
    assert [int(row[0]) for row in rows] == sorted(int(row[0]) for row in rows)
    assert {row[3]: row[1] for row in rows}["more/rotated.jpg"] == "140 x 105"
    assert re.search(r"broken\.png: image file is truncated", captured.err)
    assert re.search(r"text\.png: is no picture that Pillow can read", captured.err)
    assert re.search(r"6 pictures, 4 of them in 1 groups of near-duplicates; 2 skipped", captured.err)


@pytest.mark.parametrize("name", command.HASHES)
def test_groups_are_those_of_the_codes(folder: Path, capsys: Any, name: str) -> None:
    assert run(folder, "--hash", name, "--near", 3, "--json", "--threads", 1) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {key: printed[key] for key in ("folder", "hash", "near", "pictures")} == {
        "folder": str(folder),
        "hash": name,
        "near": 3,
        "pictures": 6,
    }
    assert [one["file"] for one in printed["skipped"]] == ["broken.png", "text.png"]
    files = ["a.png", "b.png", "c.png", "more/alpha <b>.png", "more/rotated.jpg", "more/small.jpg"]
    upright = [Image.open(folder / file).convert("RGB") for file in files]
    upright[4] = upright[4].rotate(-90, expand=True)
    codes = command.HASHES[name](upright)
    labels = hamming.groups(codes, radius=3)
    expected = [{files[row] for row in np.flatnonzero(labels == label)} for label in np.unique(labels)]
    found = [[member["file"] for member in group] for group in printed["groups"]]
    assert [set(group) for group in found] == [group for group in expected if len(group) > 1]
    for group in printed["groups"]:
        rows = [files.index(member["file"]) for member in group]
        distances = hamming.cdist(codes[rows[:1]], codes[rows])[0].tolist()
        assert [member["distance"] for member in group] == distances
        pixels = [member["width"] * member["height"] for member in group]
        assert pixels[0] == max(pixels)


def test_far_and_near(folder: Path, capsys: Any) -> None:
    assert run(folder, "--near", 64, "--json") == 0
    assert [len(group) for group in json.loads(capsys.readouterr().out)["groups"]] == [6]
    for name in ("rotated.jpg", "small.jpg", "alpha <b>.png"):
        (folder / "more" / name).unlink()
    assert run(folder, "--near", 0) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "3 pictures, 0 of them in 0 groups" in captured.err


def test_the_page(folder: Path, tmp_path: Path, capsys: Any) -> None:
    page = tmp_path / "report.html"
    page.write_text("old")
    assert run(folder, "--html", page) == 0
    content = page.read_text(encoding="utf-8")
    assert content.count("<img") == content.count("data:image/jpeg;base64,") == 4
    assert content.count("reference</span>") == 1
    assert content.count("<span>distance ") == 3
    assert "more/alpha &lt;b&gt;.png" in content
    assert "<span>160 &times; 120 pixels</span>" in content
    assert f"<span>{(folder / 'a.png').stat().st_size:,} bytes</span>" in content
    assert "4 of them in 1 groups" in content
    assert "prefers-color-scheme: dark" in content
    assert 'name="viewport"' in content
    assert not re.search(r"http|src=\"(?!data:)|<script|<link", content)


def test_a_page_of_many_groups_is_cut(
    folder: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b2.png", "b3.png"):
        (folder / name).write_bytes((folder / "b.png").read_bytes())
    monkeypatch.setattr(command, "MOST_SHOWN", 5)
    page = tmp_path / "report.html"
    assert run(folder, "--html", page) == 0
    content = page.read_text(encoding="utf-8")
    assert content.count("<section>") == 1
    assert content.count("<img") == 4
    assert "The first 1 groups are shown." in content
    monkeypatch.setattr(command, "MOST_SHOWN", 2)
    assert run(folder, "--html", page) == 0
    content = page.read_text(encoding="utf-8")
    assert content.count("<img") == 2
    assert "Group 1: 4 pictures" in content


def test_a_file_that_is_gone_has_a_place_on_the_page(tmp_path: Path) -> None:
    assert command._address(str(tmp_path / "gone.png")) == "data:,"


def test_errors(folder: Path, tmp_path: Path, capsys: Any) -> None:
    empty, broken = tmp_path / "empty", tmp_path / "broken"
    empty.mkdir()
    broken.mkdir()
    (broken / "a.png").write_bytes(b"no picture")
    page = tmp_path / "page.html"
    page.write_text("old")
    link = tmp_path / "link"
    link.hardlink_to(folder / "a.png")
    before = (folder / "a.png").read_bytes()
    for arguments, message in (
        ((tmp_path / "none",), "none: no such folder"),
        ((folder / "a.png",), "a.png: not a folder; expected a folder of pictures"),
        ((empty,), "has no pictures; expected files such as"),
        ((broken, "--html", page), r"has no pictures that can be read \(1 cannot\)"),
        ((folder, "--near", -1), "expected an integer from 0 to 64"),
        ((folder, "--near", 65), "expected an integer from 0 to 64"),
        ((folder, "--hash", "md5"), "invalid choice: 'md5'"),
        ((folder, "--html", tmp_path), "not a regular file"),
        ((folder, "--html", tmp_path / "no" / "page"), "does not exist"),
        ((folder, "--html", link), "is one of the inputs"),
    ):
        assert run(*arguments) == 2
        captured = capsys.readouterr()
        assert re.search(message, captured.err)
        assert not captured.out
    assert page.read_text() == "old"
    assert (folder / "a.png").read_bytes() == before


def test_an_interrupted_run_leaves_the_page_as_it_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.html"
    page.write_text("old")

    def interrupt(*_: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_figure", interrupt)
    assert run(folder, "--html", page) == 130
    assert page.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "pictures"]


@pytest.mark.skipif(sys.platform == "win32", reason="names have no such characters")
def test_names_that_are_no_text_are_escaped(folder: Path, tmp_path: Path, capsys: Any) -> None:
    name = "new\nline.png"
    (folder / name).write_bytes((folder / "a.png").read_bytes())
    assert run(folder) == 0
    assert r"  new\nline.png" in capsys.readouterr().out


def test_threads_share_the_memory_of_large_pictures(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert run(folder, "--threads", "8") == 0
    expected = capsys.readouterr().out
    sizes: list[int] = []
    most = 0

    def as_seen(file: Any) -> Any:
        nonlocal most
        sizes.append(file.width * file.height)
        most = max(most, sum(sizes))
        time.sleep(0.01)
        try:
            return pictures.as_seen(file)
        finally:
            sizes.remove(file.width * file.height)

    monkeypatch.setattr(command, "as_seen", as_seen)
    for n_pixels in (1, 20_000):  # a.png alone has 19,200
        monkeypatch.setattr(command, "_ROOM", command._Room(n_pixels))
        sizes.clear()
        most = 0
        assert run(folder, "--threads", "8") == 0
        assert capsys.readouterr().out == expected
        assert 0 < most <= max(n_pixels, 120 * 160)


def test_16_bits_are_skipped(folder: Path, capsys: Any) -> None:
    Image.fromarray(np.full((40, 40), 20_000, np.uint16)).save(folder / "deep.png")
    assert run(folder) == 0
    assert "deep.png: has more than 8 bits a sample; convert it to 8" in capsys.readouterr().err


def test_without_pillow(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert run(folder) == 2
    assert 'needs PIL, which is not installed: pip install "fastcodes[images]"' in capsys.readouterr().err


def test_the_hashes_are_those_of_the_library() -> None:
    assert {function.__name__ for function in command.HASHES.values()} == set(images.__all__)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_no_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert cli.main(["images", str(tmp_path)]) == 2
    assert "has no pictures" in capsys.readouterr().err
