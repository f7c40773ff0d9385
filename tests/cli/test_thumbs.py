"""fastcodes thumbs: pictures of a folder, the contact sheet, broken files, errors."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import cli
from fastcodes.coding import CompressedThumbnails, ThumbnailCodec

Image = pytest.importorskip("PIL.Image")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of four pictures of several kinds, a broken one and a text."""
    made = tmp_path / "pictures"
    (made / "more").mkdir(parents=True)
    y, x = np.indices((90, 120))
    picture = np.stack([2 * x, 2 * y, 255 - x], axis=2).clip(0, 255).astype(np.uint8)
    Image.fromarray(picture).save(made / "b.png")
    Image.fromarray(picture).save(made / "a <b>.JPG", quality=95)
    Image.fromarray(picture[..., 0]).save(made / "more" / "gray.png")
    alpha = np.dstack([picture, np.where(x < 60, 0, 255)]).astype(np.uint8)
    Image.fromarray(alpha).save(made / "more" / "alpha.png")
    (made / "broken.png").write_bytes((made / "b.png").read_bytes()[:200])
    (made / "notes.txt").write_text("no picture")
    return made


def run(*arguments: Any) -> int:
    """Run the command in this process, and return its exit code."""
    return cli.main(["thumbs", *map(str, arguments)])


def test_the_pictures_of_a_folder(folder: Path, tmp_path: Path, capsys: Any) -> None:
    output, page = tmp_path / "thumbs.safetensors", tmp_path / "page.html"
    assert run(folder, "-o", output, "--html", page) == 0
    reported = capsys.readouterr().err
    assert re.search(r"broken\.png: not read: ", reported)
    assert re.search(r"4 pictures in 256 bytes, 64 each, [\d.]+ dB on average; 1 could not be read", reported)
    thumbnails = CompressedThumbnails.load(output)
    assert thumbnails.names == ["a <b>.JPG", "b.png", "more/alpha.png", "more/gray.png"]
    assert thumbnails.codes.shape == (4, 64)
    resized = Image.open(folder / "b.png").resize((32, 32), Image.Resampling.LANCZOS)
    errors = thumbnails[1].astype(int) - np.asarray(resized)
    assert np.sqrt((errors**2).mean()) < 15
    assert abs(thumbnails[2][:, :12].astype(int) - 255).mean() < 12  # transparent pixels are white
    content = page.read_text()
    assert content.count("<img") == 8
    assert content.count("data:image/png;base64,") == 8
    assert "a &lt;b&gt;.JPG" in content
    assert "http" not in content


def test_one_picture_and_another_model(folder: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 1)).astype(np.uint8)
    codec = ThumbnailCodec(8, shape=(8, 8, 1), layout="searchable", random_state=0).fit(images)
    model, output = tmp_path / "model", tmp_path / "thumbs"
    codec.save(model)
    assert run(folder / "b.png", "-o", output, "--model", model) == 0
    loaded = CompressedThumbnails.load(output, codec=codec)
    assert loaded.names == ["b.png"]
    assert loaded[0].shape == (8, 8, 1)
    with pytest.raises(ValueError, match="were encoded with"):
        CompressedThumbnails.load(output)


def test_errors(folder: Path, tmp_path: Path, capsys: Any) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.png").write_bytes(b"no picture")
    output = tmp_path / "out"
    for arguments, message in (
        ((tmp_path / "none", "-o", output), "none: no such folder"),
        ((empty, "-o", output), "has no pictures; expected files such as"),
        ((broken, "-o", output), r"has no pictures that can be read \(1 cannot\)"),
        ((folder, "-o", tmp_path), "not a regular file"),
        ((folder, "-o", tmp_path / "no" / "out"), "does not exist"),
        ((folder, "-o", output, "--model", folder / "notes.txt"), "not a valid ThumbnailCodec file"),
        ((folder, "-o", output, "--model", tmp_path / "none"), "no such file"),
        ((folder,), "-o/--output"),
    ):
        assert run(*arguments) == 2
        assert re.search(message, capsys.readouterr().err)
    assert not output.exists()


def test_no_output_replaces_a_picture_or_the_other_output(folder: Path, tmp_path: Path, capsys: Any) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    picture, output, link = folder / "b.png", tmp_path / "out", tmp_path / "link"
    link.hardlink_to(folder / "more" / "gray.png")
    for arguments, message in (
        ((picture, "-o", picture), "-o must not end as a picture does"),
        ((folder, "-o", tmp_path / "new.JPG"), "-o must not end as a picture does"),
        ((folder, "-o", link), "is one of the inputs"),
        ((folder, "-o", output, "--html", picture), "is one of the inputs"),
        ((folder, "-o", output, "--html", output), "--html is the file of -o"),
        ((folder, "-o", output, "--html", tmp_path / "pictures" / ".." / "out"), "--html is the file of -o"),
    ):
        assert run(*arguments) == 2
        assert re.search(message, capsys.readouterr().err)
    assert {path: path.read_bytes() for path in before} == before
    assert not output.exists()


def test_16_bits_are_refused_rather_than_clipped(folder: Path, tmp_path: Path, capsys: Any) -> None:
    deep = np.full((40, 40), 20_000, np.uint16)
    Image.fromarray(deep).save(folder / "deep.png")
    Image.fromarray(deep.astype(np.int32)).save(folder / "deep.tif")
    output = tmp_path / "thumbs.safetensors"
    assert run(folder, "-o", output) == 0
    reported = capsys.readouterr().err
    for name in ("deep.png", "deep.tif"):
        assert f"{name}: not read: has more than 8 bits a sample; convert it to 8" in reported
    assert len(CompressedThumbnails.load(output)) == 4


def test_folders_that_cannot_be_listed_are_reported(
    folder: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("more"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert run(folder, "-o", tmp_path / "out") == 0
    assert "more: not read: Permission denied" in capsys.readouterr().err


def test_json_prints_the_figures_on_stdout(folder: Path, tmp_path: Path, capsys: Any) -> None:
    output = tmp_path / "thumbs.safetensors"
    assert run(folder, "-o", output, "--json") == 0
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert facts.pop("seconds") >= 0
    assert 20 < facts.pop("decibels") < 60
    assert facts == {
        "folder": str(folder), "output": str(output), "pictures": 4, "skipped": 1, "bytes": 256,
        "bytes_per_picture": 64,
    }  # fmt: skip
    assert captured.err.count("\n") == 1  # the broken picture
