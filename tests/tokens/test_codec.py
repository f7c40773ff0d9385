"""TokenCodec: pictures of any size and color, the bytes of the format, damage, the pretrained model."""

from __future__ import annotations

import copy
import functools
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import metrics
from fastcodes.tokens import VQVAE, TokenCodec, TokenPrior
from pictures import waves

PINNED = 83, 969606896  # bytes, and their checksum
SETTINGS: dict[str, Any] = {"hidden": 16, "epochs": 2, "random_state": 0}


@functools.cache
def parts(n_codebooks: int = 1) -> tuple[VQVAE, TokenPrior]:
    images = np.stack([waves(16, 16, seed=seed) for seed in range(60)])
    kind = "vq" if n_codebooks == 1 else "residual"
    tokenizer = VQVAE(16, n_codebooks=n_codebooks, quantizer=kind, n_dims=4, **SETTINGS).fit(images)
    return tokenizer, TokenPrior(16, n_codebooks=n_codebooks, **SETTINGS).fit(tokenizer.encode(images))


@functools.cache
def pretrained() -> TokenCodec:
    return TokenCodec.pretrained()


@pytest.mark.parametrize("n_codebooks", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (16, 16), (17, 3), (61, 47)])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_any_size_and_color(height: int, width: int, channels: int, n_codebooks: int) -> None:
    codec = TokenCodec(*parts(n_codebooks))
    image = waves(height, width, channels)
    data = codec.encode(image)
    decoded = codec.decode(data)
    assert decoded.shape == image.shape
    assert decoded.dtype == np.uint8
    # The tokens are those of the tokenizer, and so is the picture.
    colored = np.repeat(image[..., None], 3, axis=2) if channels == 1 else image
    grid = codec.tokenizer.encode(colored[None])
    assert np.array_equal(codec.tokens(data), grid[0])
    expected = codec.tokenizer.decode(grid, size=(height, width))[0]
    assert np.array_equal(decoded, np.rint(expected.mean(axis=2)) if channels == 1 else expected)
    assert codec.encode(image, threads=1) == data
    # The header, two sizes of one or two bytes, the tokens, and the checksum.
    assert len(data) <= 10 + 4 + np.ceil(codec.prior.bits(grid)[0] / 8) + 1 + 4


def test_the_bytes_are_those_of_the_format() -> None:
    codec = TokenCodec(*parts())
    data = codec.encode(waves(200, 40, 1))
    assert data[:6] == b"FCti\1\1"
    assert data[6:10] == codec.model_id.to_bytes(4, "little")
    assert data[10:13] == bytes([200 & 127 | 128, 200 >> 7, 40])
    assert data[-4:] == zlib.crc32(data[:-4]).to_bytes(4, "little")
    assert codec.prior._grids((1, 50, 10, 1), [data[13:-4]]).shape == (1, 50, 10, 1)


def test_damaged_bytes_are_refused() -> None:
    codec = TokenCodec(*parts())
    data = codec.encode(waves(20, 20))
    for length in range(len(data)):
        with pytest.raises(ValueError, match=r"^data "):
            codec.decode(data[:length])
    for i in range(len(data)):
        with pytest.raises(ValueError, match=r"^data "):
            codec.decode(data[:i] + bytes([data[i] ^ 16]) + data[i + 1 :])
    for size in ((0, 5), (65_536, 1), (1 << 40, 1)):
        body = data[:10] + b"".join(bytes(_varint(side)) for side in size)
        with pytest.raises(ValueError, match=r"^data "):
            codec.decode(body + zlib.crc32(body).to_bytes(4, "little"))
    with pytest.raises(ValueError, match="20 x 20 pixels; expected at most max_pixels=399"):
        codec.decode(data, max_pixels=399)
    other = TokenCodec(parts()[0], TokenPrior(16, **SETTINGS).fit(np.zeros((2, 3, 3), int)))
    with pytest.raises(ValueError, match="coded by other models"):
        other.decode(data)


def _varint(number: int) -> list[int]:
    return [number] if number < 128 else [number & 127 | 128, *_varint(number >> 7)]


def test_saved_codecs_code_alike(tmp_path: Path) -> None:
    codec, image = TokenCodec(*parts()), waves(30, 30)
    codec.save(tmp_path / "codec")
    loaded = TokenCodec.load(tmp_path / "codec")
    assert loaded.model_id == codec.model_id
    assert loaded.encode(image) == codec.encode(image)
    assert np.array_equal(loaded.decode(codec.encode(image)), codec.decode(codec.encode(image)))
    codec.prior.save(tmp_path / "prior")
    with pytest.raises(ValueError, match="it holds a TokenPrior"):
        TokenCodec.load(tmp_path / "prior")


def test_parameters_set_after_fit_change_no_bytes() -> None:
    tokenizer, prior = copy.deepcopy(parts())
    data = TokenCodec(*parts()).encode(waves(20, 20))
    tokenizer.set_params(patch=8, n_codewords=4, n_codebooks=2)
    prior.set_params(n_codewords=8)
    codec = TokenCodec(tokenizer, prior)
    assert codec.encode(waves(20, 20)) == data
    assert np.array_equal(codec.decode(data), TokenCodec(*parts()).decode(data))


def test_parts_have_to_fit_each_other() -> None:
    tokenizer, prior = parts()
    with pytest.raises(ValueError, match="prior is of 2 tokens of 16 values"):
        TokenCodec(tokenizer, parts(2)[1])
    grey = VQVAE(16, n_dims=4, **SETTINGS).fit(waves(16, 16)[None, ..., :1])
    with pytest.raises(ValueError, match="tokenizer is of grey pictures"):
        TokenCodec(grey, prior)


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (waves(16, 16) / 255, r"image must be uint8; got an array of float64 .*np\.round\(255"),
        (waves(16, 16).astype(np.uint16), r"\(image >> 8\)\.astype\(np\.uint8\)"),
        (np.zeros((4, 4, 4), np.uint8), r"give image\[\.\.\., :3\]"),
        (np.zeros((4, 4, 1), np.uint8), r"give image\[\.\.\., 0\]"),
        (np.zeros((0, 4, 3), np.uint8), "sides from 1 to 65,535"),
    ],
)
def test_wrong_pictures_are_refused(image: Any, problem: str) -> None:
    with pytest.raises((TypeError, ValueError), match=problem):
        TokenCodec(*parts()).encode(image)


# --- the model that comes with fastcodes --------------------------------------------------------------------


def test_the_pretrained_codec_is_small_and_codes_pictures_well() -> None:
    codec = pretrained()
    folder = Path(metrics.__file__).parents[1] / "tokens" / "models"
    assert (folder / "tokens.safetensors").stat().st_size < 1_000_000
    assert (folder / "README.md").exists()
    image = waves(96, 128, noise=2)
    data = codec.encode(image)
    assert 8 * len(data) / (96 * 128) < 9 / 16
    assert metrics.psnr(image, codec.decode(data)) > 24


def test_the_pretrained_prior_codes_the_same_on_every_machine() -> None:
    # Integers alone decide these bytes: the code of a fixed grid, and the grid of a fixed code.
    prior = pretrained().prior
    grid = (np.arange(64).reshape(1, 8, 8) * 37) % 512
    code = prior._codes(grid[..., None])[0]
    assert (len(code), zlib.crc32(code)) == PINNED
    assert np.array_equal(prior.decode(prior.encode(grid)), grid)
