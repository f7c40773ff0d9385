"""The command `fastcodes compress`: rates and losses, kinds of pictures, folders, bad files, wrong calls."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import cli, metrics
from fastcodes.coding import ImageCodec, Video, VideoCodec, write_video

image_module = pytest.importorskip("PIL.Image", reason="needs Pillow")


def photograph(height: int = 40, width: int = 56, channels: int = 3) -> Any:
    """Return a smooth image with some noise, (h, w) for one channel."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([120 + 80 * np.sin(x / (9 + c)) * np.cos(y / 7) for c in range(channels)], axis=-1)
    noise = np.random.default_rng(0).normal(0, 4, waves.shape)
    pixels = np.clip(waves + noise, 0, 255).astype(np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


def save(name: str, image: Any, **options: Any) -> None:
    image_module.fromarray(image).save(name, **options)


def run(*arguments: str) -> int:
    return cli.main(["compress", *arguments])


def stored(name: str) -> Any:
    return ImageCodec().decode(Path(name).read_bytes())


# --- one picture --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "codec"),
    [
        ([], ImageCodec()),
        (["--quality", "30"], ImageCodec(30)),
        (["--quality", "100"], ImageCodec(100)),
        (["--bpp", "1.5"], ImageCodec(bpp=1.5)),
        (["--step", "0.0625", "--threads", "2"], ImageCodec(step=1 / 16)),
        (["--step", "24", "--tune", "ms-ssim"], ImageCodec(step=24, tune="ms-ssim")),
        (["--lossless"], ImageCodec(lossless=True)),
    ],
)
def test_the_bytes_are_those_of_the_codec(folder: Path, options: list[str], codec: ImageCodec) -> None:
    image = photograph()
    save("a.png", image)
    assert run("a.png", "-o", "out.fc", *options) == 0
    assert Path("out.fc").read_bytes() == codec.encode(image)
    assert sorted(os.listdir()) == ["a.png", "out.fc"]


def test_the_report_has_bytes_rate_ratio_and_seconds(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = photograph()
    save("a.png", image)
    assert run("a.png") == 0
    n_bytes = Path("a.fc").stat().st_size
    rate, ratio = (
        metrics.bits_per_pixel(n_bytes, image.shape),
        metrics.compression_ratio(n_bytes, image.shape),
    )
    printed = capfd.readouterr().err
    assert re.fullmatch(
        rf"a\.png: 1 picture, 0 skipped; {image.nbytes:,} bytes of samples stored in {n_bytes:,}, "
        rf"{rate:.3f} bits per pixel, {ratio:.1f} times fewer; \d+\.\d\d s\n",
        printed,
    )


def test_arrays_need_no_pillow(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    deep = photograph(channels=1).astype(np.uint16) * 257
    np.save("deep.npy", deep)
    assert run("deep.npy", "--lossless") == 0
    assert np.array_equal(stored("deep.fc"), deep)
    assert run(".", "-o", "out", "--lossless") == 2  # deep.fc may be for Pillow
    Path("deep.fc").unlink()
    assert run(".", "-o", "out", "--lossless") == 0
    assert np.array_equal(stored("out/deep.fc"), deep)


def test_standard_streams(folder: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> None:
    file = io.BytesIO()
    image_module.fromarray(photograph()).save(file, "PNG")
    Path("a.png").write_bytes(file.getvalue())
    with open("a.png", "rb") as opened:
        before = os.dup(0)
        os.dup2(opened.fileno(), 0)
        try:
            assert run("-", "-o", "-") == 0
        finally:
            os.dup2(before, 0)
            os.close(before)
    assert capfdbinary.readouterr().out == ImageCodec().encode(photograph())
    assert sorted(os.listdir()) == ["a.png"]


# --- kinds of pictures --------------------------------------------------------------------------------------


def test_kinds_of_pictures_keep_their_samples(folder: Path) -> None:
    grey, color = photograph(channels=1), photograph()
    deep = grey.astype(np.uint16) * 200
    palette = image_module.fromarray(color).quantize(50)
    palette.save("palette.png")
    image_module.fromarray(grey > 120).save("bits.png")
    save("grey.png", grey)
    save("color.tif", color)
    save("color.bmp", color)
    save("deep.png", deep)
    save("deep.tif", deep)
    image_module.fromarray(deep.astype(np.int32)).save("wide.tif")
    expected = {
        "palette.png": np.asarray(palette.convert("RGB")),
        "bits.png": np.where(grey > 120, np.uint8(255), np.uint8(0)),
        "grey.png": grey,
        "color.tif": color,
        "color.bmp": color,
        "deep.png": deep,
        "deep.tif": deep,
        "wide.tif": deep,
    }
    for name, image in expected.items():
        assert run(name, "--lossless", "-o", "out.fc") == 0, name
        found = stored("out.fc")
        assert found.dtype == image.dtype, name
        assert np.array_equal(found, image), name


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(folder: Path, orientation: int) -> None:
    image = photograph()
    exif = image_module.Exif()
    exif[0x0112] = orientation
    save("a.png", image, exif=exif)
    assert run("a.png", "--lossless") == 0
    turned = {
        1: image,
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.transpose(1, 0, 2),
        6: np.rot90(image, -1),
        7: image.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(image),
    }
    assert np.array_equal(stored("a.fc"), turned[orientation])


MADE_UP = {
    "many.npy": b"{'descr': '|u1', 'fortran_order': False, 'shape': (100000000000000000000,)}\n",
    "large.npy": b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000000000,)}\n",
    "token.npy": b"{'descr': '|u1', 'shape': (((\n",
}
"""Headers of arrays, which numpy evaluates."""


def make_bad_pictures() -> dict[str, str]:
    """Write pictures that cannot be stored; return what is said of each."""
    grey, color = photograph(channels=1), photograph()
    save("rgba.png", photograph(channels=4))
    save("la.png", np.dstack([grey, grey]))
    image_module.fromarray(color).quantize(9).save("clear.png", transparency=3)
    image_module.fromarray(color).convert("CMYK").save("ink.tif")
    image_module.fromarray(grey.astype(np.float32) - 0.5).save("float.tif")
    save("deep.png", grey.astype(np.uint16))
    frames = [image_module.fromarray(grey + np.uint8(i)) for i in range(3)]
    frames[0].save("frames.tif", save_all=True, append_images=frames[1:])
    file = io.BytesIO()
    image_module.fromarray(color).save(file, "PNG")
    whole = file.getvalue()
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    Path("text.png").write_text("no picture")
    Path("empty.png").write_bytes(b"")
    np.save("float.npy", color / 255)
    np.save("four.npy", photograph(channels=4))
    np.save("objects.npy", np.array([None]))
    Path("cut.npy").write_bytes(Path("float.npy").read_bytes()[:200])
    for name, header in MADE_UP.items():
        Path(name).write_bytes(b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header)
    return {
        "rgba.png": "has transparency, which is not stored; convert it to RGB or grey",
        "la.png": "has transparency",
        "clear.png": "has transparency",
        "ink.tif": "is CMYK, whose colors depend on a profile; convert it to RGB",
        "float.tif": "has samples from ",
        "deep.png": "has 16 bits a sample; give --lossless, or convert it to 8",
        "frames.tif": "has 3 frames or pages",
        "cut.png": "cannot be read: ",
        "text.png": "is no picture that Pillow can read",
        "empty.png": "is no picture that Pillow can read",
        "float.npy": "image must be uint8",
        "four.npy": "image must be (height, width) or (height, width, 3); got shape (40, 56, 4), which",
        "objects.npy": "cannot be read: Object arrays cannot be loaded",
        "cut.npy": "cannot be read: ",
        **dict.fromkeys(MADE_UP, "cannot be read: "),
    }


def test_what_cannot_be_stored_is_refused_with_a_reason(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    problems = make_bad_pictures()
    before = sorted(os.listdir())
    for name, problem in problems.items():
        assert run(name) == 2, name
        printed = capfd.readouterr().err
        assert printed.startswith(f"fastcodes: {name}: {problem}"), printed
        assert printed.count("\n") == 1
    assert sorted(os.listdir()) == before


def test_16_bits_and_color_are_refused_rather_than_reduced(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = zlib.compress((b"\0" + bytes(range(48))) * 8)
    head = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    Path("a.png").write_bytes(png)
    with image_module.open("a.png") as image:
        assert image.mode == "RGB"
    assert run("a.png", "--lossless") == 2
    assert "a.png: has 16 bits a channel and color" in capfd.readouterr().err


# --- several pictures ---------------------------------------------------------------------------------------


def test_bad_files_are_skipped_and_counted(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    problems = make_bad_pictures()
    save("good.png", photograph())
    Path("notes.txt").write_text("no picture")
    assert run(".", "-o", "out") == 0
    assert os.listdir("out") == ["good.fc"]
    lines = capfd.readouterr().err.splitlines()
    assert sum(line.startswith("fastcodes: ") for line in lines) == 11  # ten, and how many more
    assert f"fastcodes: .: {len(problems) - 10} more skipped" in lines
    assert lines[-1].startswith(f".: 1 picture, {len(problems)} skipped; ")


def test_several_inputs_go_beside_them_or_into_a_folder(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    os.mkdir("in")
    save("in/a.png", photograph())
    save("in/b.png", photograph(8, 9))
    save("c.png", photograph(10, 11))
    save("c.bmp", photograph(10, 12))
    assert run("in", "c.png", "c.bmp", "none.png") == 0
    assert sorted(os.listdir("in")) == ["a.fc", "a.png", "b.fc", "b.png"]
    printed = capfd.readouterr().err
    assert "c.bmp: would be written to c.fc, as c.png was" in printed
    assert "none.png: no such file" in printed
    assert "in and others: 3 pictures, 2 skipped" in printed
    assert stored("c.fc").shape == (10, 11, 3)
    assert run("in/a.png", "in/b.png", "-o", "out") == 0
    assert run("in/a.png", "-o", "out") == 0
    assert sorted(os.listdir("out")) == ["a.fc", "b.fc"]


def test_a_failed_run_leaves_the_output_as_it_was(folder: Path) -> None:
    Path("a.png").write_text("no picture")
    Path("a.fc").write_text("before")
    assert run("a.png") == 2
    assert Path("a.fc").read_text() == "before"
    assert sorted(os.listdir()) == ["a.fc", "a.png"]


def test_a_file_named_like_stdin_is_read(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image_module.fromarray(photograph()).save("-", "PNG")
    assert run("./-", "-o", "out.fc") == 0
    assert Path("out.fc").read_bytes() == ImageCodec().encode(photograph())
    assert run("./-") == 0
    assert sorted(os.listdir()) == ["-", "-.fc", "out.fc"]


# --- wrong calls --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.png"], "none.png: no such file"),
        (["empty"], "empty: no pictures; expected files such as .png"),
        (["a.png", "-o", "a.png"], "is one of the inputs"),
        (["a.png", "-o", "none/a.fc"], "does not exist"),
        (["a.png", "empty", "-o", "a.png"], "no pictures"),
        (["a.png", "a.png", "-o", "a.png"], "a.png: File exists; with several inputs, -o is a folder"),
        (["-"], "-o names the output for stdin"),
        ([""], "IN must be the name of a file or folder"),
        (["a.png", "a.png", "-o", "-"], "-o - takes one input"),
        (["empty/..", "-o", "-"], "-o - takes one input"),
        (["a.png", "--quality", "101"], "--quality must be "),
        (["a.png", "--quality", "good"], "expected a number"),
        (["a.png", "--step", "0.01"], "--step must be "),
        (["a.png", "--bpp", "0"], "--bpp must be "),
        (["a.png", "--bpp", "0.001"], "a.png: bpp must be at least "),
        (["a.png", "--bpp", "1", "--step", "3"], "not allowed with argument"),
        (["a.png", "--lossless", "--tune", "psnr"], "leave it out with --lossless"),
        (["a.png", "--tune", "vmaf"], "invalid choice"),
    ],
)
def test_a_wrong_call_is_one_line(
    folder: Path, arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    save("a.png", photograph())
    os.mkdir("empty")
    assert run(*arguments) == 2
    printed = capfd.readouterr().err
    assert printed.count("\n") == 1
    assert words in printed
    assert sorted(os.listdir()) == ["a.png", "empty"]


def test_the_command_without_pillow_says_what_to_install(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a.png", photograph())
    monkeypatch.setitem(sys.modules, "PIL", None)
    for given in ("a.png", "."):
        assert run(given) == 2
        assert 'needs PIL, which is not installed: pip install "fastcodes[images]"' in capfd.readouterr().err


def test_a_picture_that_would_fill_the_memory_is_refused(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a.png", photograph())
    monkeypatch.setattr(image_module, "MAX_IMAGE_PIXELS", 500)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run("a.png") == 2
    assert "a.png: cannot be read: Image size" in capfd.readouterr().err


def test_json_prints_the_figures_on_stdout(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = photograph()
    save("a.png", image)
    Path("b.png").write_bytes(b"no picture")
    assert run("a.png", "b.png", "-o", "stored", "--json") == 0
    captured = capfd.readouterr()
    facts = json.loads(captured.out)
    n_bytes = Path("stored/a.fc").stat().st_size
    assert facts.pop("seconds") >= 0
    assert facts == {
        "inputs": ["a.png", "b.png"], "pictures": 1, "videos": 0, "skipped": 1,
        "sample_bytes": image.nbytes,
        "stored_bytes": n_bytes, "bits_per_pixel": pytest.approx(8 * n_bytes / (40 * 56)),
    }  # fmt: skip
    assert captured.err.count("\n") == 1
    assert "b.png" in captured.err
    assert run("a.png", "-o", "/dev/stdout", "--json") == 2
    assert "-o names a file" in capfd.readouterr().err
    assert run("a.png", "-o", "-", "--json") == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "-o names a file" in captured.err


# --- videos -------------------------------------------------------------------------------------------------


def clip() -> Video:
    frames = [np.roll(photograph(channels=1), (t, 2 * t), (0, 1)) for t in range(5)]
    return Video(np.stack(frames), np.full((5, 2, 20, 28), 90, np.uint8))


@pytest.mark.parametrize(
    ("options", "codec"),
    [([], VideoCodec(16)), (["--step", "9"], VideoCodec(9)), (["--quality", "75"], VideoCodec(16))],
)
def test_a_video_is_stored_by_its_codec(
    folder: Path, options: list[str], codec: VideoCodec, capfd: pytest.CaptureFixture[str]
) -> None:
    write_video("a.y4m", clip())
    assert run("a.y4m", *options) == 0
    data = Path("a.fc").read_bytes()
    assert data == codec.encode(clip())
    n_raw = 5 * (40 * 56 + 2 * 20 * 28)
    printed = capfd.readouterr().err
    assert printed.startswith(
        f"a.y4m: 1 video, 0 skipped; {n_raw:,} bytes of samples stored in {len(data):,}, "
        f"{8 * len(data) / (5 * 40 * 56):.3f} bits per pixel"
    )


def test_a_video_comes_through_a_pipe(folder: Path) -> None:
    write_video("a.y4m", clip())
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_bytes(Path("a.y4m").read_bytes()))
    writer.start()
    assert run("pipe", "-o", "a.fc") == 0
    writer.join()
    assert Path("a.fc").read_bytes() == VideoCodec(16).encode(clip())


def test_a_cut_video_is_an_error_without_foreign_advice(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_video("a.y4m", clip())
    Path("a.y4m").write_bytes(Path("a.y4m").read_bytes()[:-1])
    assert run("a.y4m") == 2
    assert capfd.readouterr().err == "fastcodes: a.y4m: was cut or damaged in frame 4\n"


def test_a_video_beside_a_picture(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_video("a.y4m", clip())
    save("b.png", photograph())
    assert run("a.y4m", "b.png", "-o", "stored") == 0
    assert sorted(os.listdir("stored")) == ["a.fc", "b.fc"]
    assert "a.y4m and others: 1 picture, 1 video, 0 skipped" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        (None, ["--lossless"], "a.y4m: is a video, which takes --quality or --step alone"),
        (None, ["--bpp", "1"], "a.y4m: is a video, which takes --quality or --step alone"),
        (None, ["--tune", "ms-ssim"], "a.y4m: is a video, which takes --quality or --step alone"),
        (b"YUV4MPEG2 W8 H8 C422\nFRAME\n", [], "a.y4m: has the color space 422; expected 4:2:0"),
        (b"YUV4MPEG2 W2 H2\nFRAME\n1", [], "a.y4m: was cut or damaged in frame 0"),
    ],
)
def test_what_is_no_right_video_is_an_error(
    folder: Path, content: bytes | None, options: list[str], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write_video("a.y4m", clip())
    if content is not None:
        Path("a.y4m").write_bytes(content)
    assert run("a.y4m", *options) == 2
    assert words in capfd.readouterr().err
    assert os.listdir() == ["a.y4m"]
