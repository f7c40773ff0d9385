"""The command `fastcodes tokens`: pictures to tokens and back, sizes, colors, bad files, wrong calls."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import cli, metrics
from fastcodes.tokens import VQVAE, TokenCodec, TokenPrior
from pictures import waves


def run(*arguments: str) -> int:
    return cli.main(["tokens", *arguments])


def shown(name: str) -> Any:
    image_module = pytest.importorskip("PIL.Image", reason="needs Pillow")
    with image_module.open(name) as image:
        return np.asarray(image)


def written(name: str, pixels: Any, mode: str | None = None) -> None:
    image_module = pytest.importorskip("PIL.Image", reason="needs Pillow")
    image = image_module.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(name)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (40, 56), (33, 7)])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_come_back_from_their_tokens(
    folder: Path, height: int, width: int, channels: int, capfd: pytest.CaptureFixture[str]
) -> None:
    image, codec = waves(height, width, channels, noise=2), TokenCodec.pretrained()
    written("a.png", image)
    assert run("encode", "a.png") == 0
    printed = capfd.readouterr().err
    data = Path("a.tokens").read_bytes()
    assert data == codec.encode(image)
    rate = 8 * len(data) / (height * width)
    assert f"a.png: 1 picture, 0 skipped; tokens stored in {len(data):,} bytes, {rate:.3f} bits" in printed
    assert run("decode", "a.tokens", "-o", "b.png") == 0
    assert np.array_equal(shown("b.png"), codec.decode(data))
    assert run("decode", "a.tokens", "-o", "b.npy") == 0
    assert np.array_equal(np.load("b.npy"), codec.decode(data))
    assert run("decode", "a.tokens", "--grid", "-o", "grid.npy") == 0
    grid = np.load("grid.npy")
    assert grid.shape == (-(-height // 4), -(-width // 4))
    assert np.array_equal(grid, codec.tokens(data))


def test_colors_that_are_taken_and_refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = waves(24, 24)
    for mode, suffix in (("L", "png"), ("P", "png"), ("1", "png"), ("RGB", "jpg")):
        written(f"a.{suffix}", image, mode)
        assert run("encode", f"a.{suffix}", "-o", "a.tokens") == 0
        assert run("decode", "a.tokens", "-o", "b.png") == 0
        assert shown("b.png").shape == ((24, 24) if mode in ("L", "1") else (24, 24, 3))
    capfd.readouterr()
    written("a.png", image, "RGBA")
    np.save("deep.npy", image[..., 0].astype(np.uint16) * 200)
    np.save("floats.npy", image / 255)
    np.save("empty.npy", image[:0])
    for name, words in (
        ("a.png", "has transparency, which is not stored; convert it to RGB or grey"),
        ("deep.npy", "has 16 bits a sample; convert it to 8"),
        ("floats.npy", "image must be uint8; got an array of float64"),
        ("empty.npy", "image must have sides from 1 to 65,535; got shape (0, 24, 3)"),
    ):
        assert run("encode", name, "-o", "c.tokens") == 2
        assert words in capfd.readouterr().err
    assert not Path("c.tokens").exists()


def test_bad_files_are_skipped_and_counted(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("PIL.Image", reason="Pillow knows what pictures a folder has")
    np.save("a.npy", waves(20, 20))
    Path("b.npy").write_text("no picture")
    assert run("encode", ".", "-o", "out") == 0
    assert os.listdir("out") == ["a.tokens"]
    assert "1 picture, 1 skipped" in capfd.readouterr().err
    data = Path("out/a.tokens").read_bytes()
    for name, content in (("cut", data[:-3]), ("text", b"no tokens"), ("empty", b"")):
        Path(f"out/{name}.tokens").write_bytes(content)
    assert run("decode", "out", "--grid", "-o", "grids") == 0
    assert os.listdir("grids") == ["a.npy"]
    printed = capfd.readouterr().err.splitlines()
    assert len(printed) == 4
    assert all("data" in line for line in printed[:3])
    assert printed[3].startswith("out: 1 grid, 3 skipped; ")


def test_a_model_of_ones_own(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    images = np.stack([waves(16, 16, seed=seed) for seed in range(40)])
    settings: dict[str, Any] = {"hidden": 8, "epochs": 1, "random_state": 0}
    tokenizer = VQVAE(16, n_dims=4, **settings).fit(images)
    TokenCodec(tokenizer, TokenPrior(16, **settings).fit(tokenizer.encode(images))).save("mine")
    np.save("a.npy", images[0])
    assert run("encode", "a.npy", "--model", "mine") == 0
    assert run("decode", "a.tokens", "-o", "b.npy", "--model", "mine") == 0
    assert metrics.psnr(images[0], np.load("b.npy")) > 10
    assert run("decode", "a.tokens", "-o", "b.npy") == 2
    assert "data were coded by other models" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["encode", "none.png"], "none.png: no such file"),
        (["encode", "empty"], "empty: no pictures"),
        (["decode", "empty"], "empty: no files that end in .tokens"),
        (["decode", "a.tokens", "-o", "a.jpg"], "-o must end in .png or .npy; got a.jpg"),
        (["decode", "a.tokens", "--grid", "-o", "a.png"], "-o must end in .npy; got a.png"),
        (["decode", "a.tokens", "-o", "a.npy", "--max-pixels", "399"], "expected at most --max-pixels=399"),
        (["decode", "a.tokens", "--model", "none"], "none: no such file"),
        (["decode", "a.tokens", "--model", "a.tokens"], "is not a valid TokenCodec file"),
        (["encode", "a.npy", "--threads", "1"], "unrecognized arguments: --threads 1"),
        ([], "arguments are required: ACTION"),
    ],
)
def test_a_wrong_call_is_one_line(
    folder: Path, arguments: list[str], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if arguments == ["encode", "empty"]:
        pytest.importorskip("PIL.Image", reason="Pillow knows what pictures a folder has")
    Path("a.tokens").write_bytes(TokenCodec.pretrained().encode(waves(20, 20)))
    os.mkdir("empty")
    assert run(*arguments) == 2
    printed = capfd.readouterr().err
    assert printed.count("\n") == 1
    assert words in printed
    assert sorted(os.listdir()) == ["a.tokens", "empty"]


def test_json_prints_the_figures_on_stdout(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    np.save("a.npy", waves(8, 12, 3, noise=2))
    assert run("encode", "a.npy", "--json") == 0
    facts = json.loads(capfd.readouterr().out)
    n_bytes = Path("a.tokens").stat().st_size
    assert facts.pop("seconds") >= 0
    assert facts == {
        "inputs": ["a.npy"], "pictures": 1, "skipped": 0, "stored_bytes": n_bytes,
        "bits_per_pixel": pytest.approx(8 * n_bytes / 96),
    }  # fmt: skip
    assert run("decode", "a.tokens", "--grid", "-o", "b.npy", "--json") == 0
    facts = json.loads(capfd.readouterr().out)
    assert (facts["grids"], facts["skipped"], np.load("b.npy").shape) == (1, 0, (2, 3))
    assert run("encode", "a.npy", "-o", "-", "--json") == 2
    assert "-o names a file" in capfd.readouterr().err
