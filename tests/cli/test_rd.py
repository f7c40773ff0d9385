"""The command `fastcodes rd`: known coders and differences, real peers, bad pictures, wrong calls."""

from __future__ import annotations

import io
import json
import math
import os
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import cli, coding, metrics
from fastcodes.cli import image_coders
from fastcodes.cli.image_coders import Coder, fastcodes_itself, lossless_peers, peer
from fastcodes.cli.rate_distortion import difference, mean_curve, points_of, rate_change
from fastcodes.cli.terminal import UserError

image_module = pytest.importorskip("PIL.Image", reason="needs Pillow")


class Quantizer:
    """A coder with the interface of `ImageCodec`: rounded samples, deflated."""

    def __init__(self, *, step: float, tune: str = "psnr") -> None:
        self.step = step

    def encode(self, image: Any) -> bytes:
        """Return step, shape and samples."""
        head = np.array([*image.shape, 0][:3], "<u2").tobytes() + np.float32(self.step).tobytes()
        return head + zlib.compress(np.rint(image / self.step).astype(np.uint8).tobytes(), 9)

    def decode(self, data: bytes) -> Any:
        """Return the samples at the middle of their steps."""
        shape, step = np.frombuffer(data[:6], "<u2"), np.frombuffer(data[6:10], np.float32)[0]
        levels = np.frombuffer(zlib.decompress(data[10:]), np.uint8).reshape(shape[shape > 0])
        return np.clip(np.rint(levels * step), 0, 255).astype(np.uint8)


def photograph(height: int = 170, width: int = 180, channels: int = 3, seed: int = 0) -> Any:
    """Return an image whose channels are alike, (h, w) for one channel."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    grey = 110 + 60 * np.sin(x / 15 + seed) * np.cos(y / 11) + 30 * (x > y)
    grey = grey + rng.normal(0, 6, grey.shape)
    colours = grey[..., None] * rng.uniform(0.7, 1, channels) + rng.normal(0, 1, (height, width, channels))
    pixels = np.clip(colours, 0, 255).astype(np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


def save(name: str, image: Any, **options: Any) -> None:
    image_module.fromarray(image).save(name, **options)


def run(*arguments: str) -> int:
    return cli.main(["rd", *arguments])


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coding, "ImageCodec", Quantizer, raising=False)


# --- points and differences ---------------------------------------------------------------------------------


def test_points_are_those_of_the_metrics() -> None:
    image, mine = photograph(), fastcodes_itself(Quantizer, settings=[40.0, 10.0])
    points = points_of(mine, image)
    for (rate, rgb, luma, decibels), step in zip(points, mine.settings, strict=True):
        data = Quantizer(step=step).encode(image)
        decoded = Quantizer(step=1).decode(data)
        y, y_decoded = metrics.luma(image), metrics.luma(decoded)
        assert rate == metrics.bits_per_pixel(len(data), image.shape)
        assert rgb == metrics.psnr(image, decoded)
        assert luma == metrics.psnr(y, y_decoded, data_range=255)
        similarity = metrics.ms_ssim(y, y_decoded, data_range=255)
        assert decibels == pytest.approx(-10 * math.log10(1 - similarity))
    assert points[0, 0] < points[1, 0]
    grey = points_of(mine, image[..., 0])
    assert np.array_equal(grey[:, 1], grey[:, 2])
    assert np.isnan(points_of(mine, image[:160])[:, 3]).all()
    assert np.isinf(points_of(fastcodes_itself(Quantizer, settings=[1.0, 9.0]), image)[0, 1:]).all()


def test_a_coder_that_ignores_its_option_is_found() -> None:
    coder = Coder("deaf", "", (1, 2), lambda image, setting: b"the same", lambda data: photograph())
    with pytest.raises(ValueError, match="deaf has 8 bytes at every setting: it ignores the option"):
        points_of(coder, photograph())


def curve(factor: float) -> Any:
    rates = np.array([0.1, 0.3, 0.9, 2.7])
    qualities = np.array([25.0, 30, 36, 42])
    return np.column_stack([factor * rates, qualities, qualities + 1, qualities - 9])


def test_rate_changes_leave_out_what_cannot_be_compared() -> None:
    a, b = curve(1), curve(0.8)
    for measure in range(3):
        assert rate_change(a, b, measure) == pytest.approx(-20)
    worse_at_more = np.insert(b, 2, [0.5, 29, 30, 20], axis=0)
    perfect = np.vstack([b, [9, np.inf, np.inf, np.inf]])
    assert rate_change(a, worse_at_more, 0) == pytest.approx(-20)
    assert rate_change(a, perfect[::-1], 0) == pytest.approx(-20)
    assert math.isnan(rate_change(a, b[:1], 0))
    far = b.copy()
    far[:, 1] += 16.8
    assert math.isnan(rate_change(a, far, 0))
    found = difference([a, a, a], [b, curve(1.1), far], 0)
    assert (found.mean, found.least, found.largest) == pytest.approx((-5, -20, 10))
    assert found.n_images == 2
    assert difference([a], [far], 0).n_images == 0


def test_mean_curves_average_each_setting() -> None:
    a, b = curve(1), curve(2)
    b[:, 3] += 3
    means = mean_curve([a, b])
    assert np.allclose(means[:, :3], (a + b)[:, :3] / 2)
    similarities = 1 - 10 ** (-np.stack([a, b])[..., 3] / 10)
    assert np.allclose(1 - 10 ** (-means[:, 3] / 10), similarities.mean(axis=0))
    b[:, 3] = np.nan  # a small picture
    assert np.allclose(mean_curve([a, b])[:, 3], a[:, 3])
    assert np.isnan(mean_curve([b])[:, 3]).all()


# --- peers --------------------------------------------------------------------------------------------------


def installed(name: str) -> Coder:
    try:
        return peer(name)
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", image_coders.PEERS)
def test_peers_get_better_with_their_setting(name: str) -> None:
    coder = installed(name)
    points = points_of(coder, photograph())
    assert (np.diff(points[:, 0]) > 0).sum() >= len(points) - 2
    assert points[-1, 0] > 2 * points[0, 0]
    assert points[-1, 1] > points[0, 1] + 5
    for image in (photograph(40, 50, 1), photograph(1, 1), photograph(3, 70)):
        data, decoded = coder.coded(image, coder.settings[-1])
        assert decoded.shape == image.shape
        assert decoded.dtype == np.uint8
        assert np.abs(decoded.astype(int) - image).mean() < 8
        assert len(data) > 8


def test_jpeg_2000_codes_colours_together() -> None:
    image = photograph()
    coder = installed("jpeg2000")
    together = metrics.psnr(image, coder.coded(image, 1.2)[1])
    file = io.BytesIO()
    layers = {"irreversible": True, "quality_mode": "rates", "quality_layers": [20]}
    image_module.fromarray(image).save(file, "JPEG2000", **layers)
    assert together > metrics.psnr(image, np.asarray(image_module.open(file))) + 1


def test_lossless_peers_have_no_loss() -> None:
    for coder in lossless_peers():
        for image in (photograph(50, 61), photograph(30, 40, 1)):
            assert np.array_equal(coder.coded(image, 0)[1], image), coder.name


def test_a_missing_plugin_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        image_coders.PEERS, "new", replace(image_coders.PEERS["jxl"], plugin="no_such_module")
    )
    with pytest.raises(UserError, match="new needs pillow-jxl-plugin, which is not installed: pip install"):
        peer("new")
    with pytest.raises(UserError, match="--peers has no 'gif'; there are jpeg, jpeg-optimized"):
        peer("gif")


# --- the command --------------------------------------------------------------------------------------------


def test_tables_have_the_differences_and_the_curves(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    for seed in range(2):
        save(f"{seed}.png", photograph(seed=seed))
    assert run(".", "--peers", "jpeg, webp,jpeg") == 0
    captured = capfd.readouterr()
    assert captured.err.startswith(".: 2 pictures, 0 skipped; ")
    lines = captured.out.splitlines()
    images = [photograph(seed=seed) for seed in range(2)]
    theirs = [points_of(peer("jpeg"), image) for image in images]
    ours = [points_of(fastcodes_itself(Quantizer), image) for image in images]
    (line,) = (line for line in lines if line.split()[:1] == ["jpeg"] and "%" in line)
    for measure in range(3):
        found = difference(theirs, ours, measure)
        assert found.n_images == 2
        assert f"{found.mean:+.1f} %" in line
    assert sum(line.split()[:1] == ["webp"] for line in lines) == 1 + len(peer("webp").settings)
    assert 'fastcodes: fastcodes.coding.ImageCodec, tune="psnr"' in captured.out
    assert sorted(os.listdir()) == ["0.png", "1.png"]


def test_json_has_the_differences_and_the_curves(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)  # is not needed
    images = [photograph(40, 50, seed=seed) for seed in range(2)]
    for number, image in enumerate(images):
        save(f"{number}.png", image)
    assert run(".", "--peers", "jpeg", "--json") == 0
    facts = json.loads(capfd.readouterr().out)
    assert (facts["pictures"], facts["skipped"]) == (2, 0)
    theirs = [points_of(peer("jpeg"), image) for image in images]
    ours = [points_of(fastcodes_itself(Quantizer), image) for image in images]
    found = facts["bd_rate_percent"]["jpeg"]
    assert found["rgb_psnr"] == pytest.approx(vars(difference(theirs, ours, 0)))
    assert found["ms_ssim"]["mean"] is None  # of pictures that are too small
    curve = mean_curve(theirs)
    assert [point["bits_per_pixel"] for point in facts["curves"]["jpeg"]] == pytest.approx(curve[:, 0])
    assert [point["y_psnr"] for point in facts["curves"]["jpeg"]] == pytest.approx(curve[:, 2])


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_plot_is_drawn(folder: Path, suffix: str, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    save("a.png", photograph(40, 50))
    assert run(".", "--peers", "jpeg", "--plot", f"plot.{suffix}") == 0
    content = Path(f"plot.{suffix}").read_bytes()
    assert content[:4] == {"png": b"\x89PNG", "svg": b"<?xm"}[suffix]


def test_bad_pictures_are_skipped_and_counted(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save("good.png", photograph())
    save("grey.png", photograph(channels=1))
    save("photo.jpg", photograph(20, 30))
    save("rgba.png", photograph(20, 30, 4))
    save("deep.png", photograph(20, 30, 1).astype(np.uint16))
    image_module.fromarray(photograph(20, 30)).convert("P").save("palette.png")
    whole = Path("good.png").read_bytes()
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    Path("text.png").write_text("no picture")
    Path("notes.txt").write_text("no picture either")
    assert run(".", "--peers", "jpeg") == 0
    printed = capfd.readouterr().err.splitlines()
    assert ".: 1 of 8 pictures are JPEG files; what these have lost" in printed[0]
    for name, problem in (
        ("cut.png", "cannot be read: "),
        ("deep.png", "has more than 8 bits a channel"),
        ("rgba.png", "has transparency"),
        ("text.png", "is no picture that Pillow can read"),
    ):
        assert sum(line.startswith(f"fastcodes: {name}: {problem}") for line in printed) == 1, name
    assert printed[-1].startswith(".: 4 pictures, 4 skipped; ")


def test_a_picture_that_one_coder_refuses_is_skipped_by_all(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    encode: Callable[[Any, Any], bytes] = Quantizer.encode

    def refusing(self: Quantizer, image: Any) -> bytes:
        if len(image) == 31:
            raise ValueError("31 rows are too many")
        return encode(self, image)

    monkeypatch.setattr(Quantizer, "encode", refusing)
    save("a.png", photograph(30, 40))
    save("b.png", photograph(31, 40))
    assert run(".", "--peers", "jpeg") == 0
    printed = capfd.readouterr().err
    assert "fastcodes: b.png: fastcodes: 31 rows are too many\n" in printed
    assert ".: 1 pictures, 1 skipped; " in printed
    Path("a.png").unlink()
    assert run(".", "--peers", "jpeg") == 2
    assert "no picture could be coded; b.png: fastcodes: 31 rows are too many" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none"], "none: No such file or directory"),
        (["."], ".: no pictures; expected files such as .png"),
        ([".", "--peers", "gif"], "--peers has no 'gif'"),
        ([".", "--plot", "plot.txt"], "--plot must end in .png, .svg, .pdf; got plot.txt"),
        ([".", "--plot", "none/plot.png"], "does not exist"),
        ([".", "--tune", "vmaf"], "invalid choice"),
    ],
)
def test_a_wrong_call_is_one_line(
    folder: Path, arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    printed = capfd.readouterr().err
    assert printed.count("\n") == 1
    assert words in printed
    assert os.listdir() == []


def test_the_command_without_pillow_says_what_to_install(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert run(".") == 2
    assert 'needs PIL, which is not installed: pip install "fastcodes[images]"' in capfd.readouterr().err
