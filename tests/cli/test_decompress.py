"""The command `fastcodes decompress`: forms, resolutions, folders, bad files, wrong calls."""

from __future__ import annotations

import json
import os
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import cli
from fastcodes.coding import ImageCodec, VideoCodec, VideoFrame, read_video, video


def picture(height: int = 40, width: int = 56, channels: int = 3) -> Any:
    y, x = np.mgrid[:height, :width]
    waves = np.stack([120 + 80 * np.sin(x / (9 + c)) * np.cos(y / 7) for c in range(channels)], axis=-1)
    pixels = waves.astype(np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


def run(*arguments: str) -> int:
    return cli.main(["decompress", *arguments])


def shown(name: str) -> Any:
    if name.endswith(".npy"):
        return np.load(name)
    image_module = pytest.importorskip("PIL.Image", reason="needs Pillow")
    with image_module.open(name) as image:
        return np.asarray(image)


@pytest.mark.parametrize("name", ["out.npy", "out.PNG", "out.png"])
def test_pictures_come_back(folder: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    if name != "out.npy":
        pytest.importorskip("PIL.Image", reason="needs Pillow")
    exact, lossy = ImageCodec(lossless=True), ImageCodec(50)
    grey = picture(channels=1)
    for data in (
        exact.encode(picture()),
        exact.encode(grey),
        exact.encode(grey.astype(np.uint16) * 200),
        lossy.encode(picture()),
        lossy.encode(grey),
    ):
        Path("a.fc").write_bytes(data)
        for reduce in range(4):
            assert run("a.fc", "-o", name, "--reduce", str(reduce)) == 0
            expected = exact.decode(data, reduce=reduce)
            found = np.load(name) if name == "out.npy" else shown(name)
            assert found.dtype.itemsize == expected.dtype.itemsize
            assert np.array_equal(found, expected)
    line = capfd.readouterr().err.splitlines()[0]
    assert line.startswith(f"a.fc: 1 picture, 0 skipped; {picture().nbytes:,} bytes of samples from ")


def test_a_neighbor_is_not_replaced_unless_it_is_named(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("PIL.Image", reason="needs Pillow")
    Path("a.fc").write_bytes(ImageCodec().encode(picture()))
    Path("a.png").write_text("the original")
    for given in (["a.fc"], ["a.fc", "-o", "."], [".", "-o", "."], ["."]):
        assert run(*given) == 2
        assert "a.fc: a.png exists; name the output with -o" in capfd.readouterr().err
        assert Path("a.png").read_text() == "the original"
    assert run("a.fc", "-o", "a.png") == 0
    assert shown("a.png").shape == (40, 56, 3)
    assert run(".", "-o", "out") == 0
    assert run(".", "-o", "out") == 0
    assert os.listdir("out") == ["a.png"]


def test_bad_files_are_skipped_and_counted(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("PIL.Image", reason="needs Pillow")
    data = ImageCodec().encode(picture())
    Path("good.fc").write_bytes(data)
    Path("cut.fc").write_bytes(data[:-3])
    Path("altered.fc").write_bytes(data[:60] + bytes([data[60] ^ 1]) + data[61:])
    Path("text.fc").write_text("no picture")
    Path("empty.fc").write_bytes(b"")
    assert run(".", "-o", "out") == 0
    assert os.listdir("out") == ["good.png"]
    printed = capfd.readouterr().err.splitlines()
    assert len(printed) == 5
    for name in ("cut", "altered", "text", "empty"):
        assert any(line.startswith(f"fastcodes: {name}.fc: data is no picture") for line in printed), name
    assert printed[-1].startswith(".: 1 picture, 4 skipped; ")
    Path("good.fc").unlink()
    assert run(".", "-o", "out") == 2
    assert "3 more skipped" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.fc"], "none.fc: no such file"),
        ([""], "IN must be the name of a file or folder"),
        (["a.fc", "a.fc", "-o", "-"], "-o - takes one input"),
        (["empty"], "empty: no files that end in .fc"),
        (["a.fc", "-o", "a.jpg"], "-o must end in .png or .npy or .y4m; got a.jpg"),
        (["a.fc", "-o", "-"], "-o must end in .png or .npy or .y4m; got -"),
        (["a.fc", "-o", "none/a.npy"], "does not exist"),
        (["a.fc", "-o", "a.npy", "--reduce", "4"], "expected an integer from 0 to 3"),
        (["a.fc", "-o", "a.npy", "--max-pixels", "2239"], "more than --max-pixels = 2239; if you trust it"),
        (["a.fc", "a.fc", "-o", "a.fc"], "a.fc: File exists; with several inputs, -o is a folder"),
    ],
)
def test_a_wrong_call_is_one_line(
    folder: Path, arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("a.fc").write_bytes(ImageCodec().encode(picture()))
    os.mkdir("empty")
    assert run(*arguments) == 2
    printed = capfd.readouterr().err
    assert printed.count("\n") == 1
    assert words in printed
    assert sorted(os.listdir()) == ["a.fc", "empty"]


def test_arrays_need_no_pillow(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    Path("a.fc").write_bytes(ImageCodec().encode(picture()))
    assert run("a.fc", "-o", "a.npy") == 0
    assert np.load("a.npy").shape == (40, 56, 3)
    assert run("a.fc") == 2
    assert 'needs PIL, which is not installed: pip install "fastcodes[images]"' in capfd.readouterr().err


def test_json_prints_the_figures_on_stdout(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = ImageCodec(lossless=True).encode(picture())
    Path("a.fc").write_bytes(data)
    assert run("a.fc", "-o", "a.npy", "--json") == 0
    captured = capfd.readouterr()
    facts = json.loads(captured.out)
    assert facts.pop("seconds") >= 0
    assert facts == {
        "inputs": ["a.fc"], "pictures": 1, "videos": 0, "skipped": 0,
        "sample_bytes": 40 * 56 * 3,
        "stored_bytes": len(data),
    }  # fmt: skip
    assert captured.err == ""
    assert run("a.fc", "-o", "/dev/stdout", "--json") == 2
    assert "-o names a file" in capfd.readouterr().err
    assert run("a.fc", "-o", "-", "--json") == 2
    assert "-o names a file" in capfd.readouterr().err


# --- videos -------------------------------------------------------------------------------------------------


N_END = 55
"""Bytes at the end of a video of a few frames: the second index and header, and some of the last frame."""


def stored_clip() -> bytes:
    frames = np.stack([np.roll(picture(channels=1), t, 1) for t in range(6)])
    return VideoCodec(8, mode="forward").encode(frames)


@pytest.mark.parametrize("options", [[], ["-o", "a.y4m"]])
def test_a_video_comes_back(folder: Path, options: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    Path("a.fc").write_bytes(stored_clip())
    assert run("a.fc", *options) == 0
    assert np.array_equal(read_video("a.y4m").luma, VideoCodec().decode(stored_clip()).luma)
    assert f"a.fc: 1 video, 0 skipped; {6 * 40 * 56:,} bytes of samples" in capfd.readouterr().err


def test_a_cut_video_gives_the_frames_that_are_left(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("a.fc").write_bytes(stored_clip()[:-N_END])
    assert run("a.fc") == 2
    assert np.array_equal(read_video("a.y4m").luma, VideoCodec().decode(stored_clip()).luma[:5])
    summary, damage = capfd.readouterr().err.splitlines()
    assert summary.startswith(f"a.fc: 1 video, 0 skipped; {5 * 40 * 56:,} bytes of samples")
    assert damage.startswith("fastcodes: a.fc: data is not a video")
    assert damage.endswith("1 of 6 frames is lost: 5; wrote 5 frames")


def test_missing_frames_are_named(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    frames = np.stack([np.roll(picture(channels=1), t, 1) for t in range(9)])
    codec = VideoCodec(8, mode="forward", group=3)
    data = bytearray(codec.encode(frames))
    decoded = codec.decode(data).luma
    data[60] ^= 1  # in the first frame
    data[-N_END] ^= 1  # in the last one
    Path("a.fc").write_bytes(data)
    Path("b.fc").write_bytes(stored_clip() + b"xy")
    Path("c.fc").write_bytes(stored_clip())
    os.mkdir("out")
    assert run("a.fc", "b.fc", "c.fc", "-o", "out") == 2
    assert np.array_equal(read_video("out/a.y4m").luma, decoded[3:8])
    assert len(read_video("out/b.y4m").luma) == len(read_video("out/c.y4m").luma) == 6
    summary, second, first = capfd.readouterr().err.splitlines()
    assert "3 videos, 0 skipped" in summary
    assert first.endswith("4 of 9 frames are lost: 0 to 2, 8; wrote 5 frames")
    assert second.startswith("fastcodes: b.fc: ")
    assert "2 bytes follow its end; no frame is lost" in second
    assert second.endswith("; wrote 6 frames")


@pytest.mark.parametrize("n_more", [0, 1])
@pytest.mark.parametrize("place", [0, 3, 12])
def test_a_video_with_a_damaged_start_is_a_video(
    folder: Path, place: int, n_more: int, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(stored_clip() + n_more * b"x")
    data[place] ^= 1
    Path("a.fc").write_bytes(data)
    assert run("a.fc") == 2
    assert np.array_equal(read_video("a.y4m").luma, VideoCodec().decode(stored_clip()).luma)
    assert "no frame is lost: `frames` yields all of them; encode them again" in capfd.readouterr().err


def test_frames_are_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Count the planes that are alive when a frame comes: tracemalloc does not see their memory."""
    frames = VideoCodec.frames
    planes: list[Any] = []
    n_alive: list[int] = []

    def counted(*arguments: Any, **options: Any) -> Any:
        for frame in frames(*arguments, **options):
            planes.append(weakref.ref(frame.luma.base))
            n_alive.append(sum(plane() is not None for plane in planes))
            yield frame

    monkeypatch.setattr(VideoCodec, "frames", counted)
    Path("a.fc").write_bytes(VideoCodec(64, mode="intra").encode(np.zeros((64, 16, 16), np.uint8)))
    assert run("a.fc", "--threads", "1") == 0
    assert len(n_alive) == 64
    assert max(n_alive) <= 3


def test_an_interrupted_video_leaves_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def frames(*arguments: Any, **options: Any) -> Any:
        yield VideoFrame(0, picture(channels=1), None)
        raise KeyboardInterrupt

    monkeypatch.setattr(VideoCodec, "frames", frames)
    Path("a.fc").write_bytes(stored_clip())
    assert run("a.fc") == 130
    assert os.listdir() == ["a.fc"]


def test_a_few_bytes_cannot_fill_the_disk(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A still video of 20,000 frames of 1,024 x 1,024 pixels takes 62 bytes a frame, and would be 20 GB."""
    data = VideoCodec(64, mode="intra").encode(np.full((1, 1024, 1024), 7, np.uint8))
    n, n_head = 20_000, 33 + 1 + 2
    header, index = video._head(
        VideoCodec.inspect(data)._replace(n_frames=n), [len(data) - 2 * n_head - 2] * n
    )
    data = header + index + n * data[n_head:-n_head] + index + header
    assert len(data) < 1_300_000
    assert next(VideoCodec().frames(data)).number == 0
    Path("a.fc").write_bytes(data)
    assert run("a.fc") == 2
    assert "20,000 frames of 1024 x 1024 pixels, more than --max-video-pixels" in capfd.readouterr().err
    assert os.listdir() == ["a.fc"]


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (stored_clip(), ["--reduce", "1"], "a.fc: is a video, which has one resolution; leave out --reduce"),
        (stored_clip(), ["--max-pixels", "99"], "more than --max-pixels = 99"),
        (
            stored_clip(),
            ["--max-video-pixels", "13439"],
            "a.fc: is a video of 6 frames of 40 x 56 pixels, more than --max-video-pixels = 13439; if you",
        ),
        (stored_clip(), ["-o", "a.png"], "a.fc: is a video, which is written as .y4m; name another output"),
        (stored_clip()[:20], [], "a.fc: data is not a video of VideoCodec, or was damaged"),
        (
            ImageCodec().encode(picture()),
            ["-o", "a.y4m"],
            "a.fc: is not a video; name another output with -o",
        ),
    ],
)
def test_a_video_that_cannot_be_written_is_an_error(
    folder: Path, data: bytes, options: list[str], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("a.fc").write_bytes(data)
    assert run("a.fc", *options) == 2
    assert words in capfd.readouterr().err
    assert os.listdir() == ["a.fc"]
