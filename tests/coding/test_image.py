"""ImageCodec: samples that come back, errors that fit the step, rates that are met, lower resolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes import metrics
from fastcodes.coding import ImageCodec, ImageInfo
from helpers import data_file
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import waves

EXACT = ImageCodec(lossless=True)
TUNES = ("psnr", "ms-ssim")


def kodak(number: int) -> Any:
    """Return a photograph, or skip the test without data or Pillow."""
    image_module = pytest.importorskip("PIL.Image", reason="needs Pillow")
    with image_module.open(data_file(f"kodak/kodim{number:02}.png")) as image:
        return np.asarray(image.convert("RGB"))


def mean_error(a: Any, b: Any) -> float:
    return float(((a.astype(np.float64) - b) ** 2).mean())


# --- without losses -----------------------------------------------------------------------------------------

SHAPES = [
    *[(1, 1), (1, 2), (2, 1), (3, 3), (1, 33), (31, 1), (17, 64)],
    *[(65_535, 1), (1, 65_535), (511, 40), (40, 512), (33, 513), (513, 511), (1025, 20), (20, 1025)],
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", [1, 3])
def test_samples_of_every_shape_come_back(shape: tuple[int, int], channels: int) -> None:
    image = waves(*shape, channels)
    data = EXACT.encode(image)
    decoded = EXACT.decode(data)
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, image)
    assert EXACT.inspect(data) == ImageInfo(image.shape, np.dtype(np.uint8), None, None)


@pytest.mark.parametrize("n_bits", range(8, 17))
def test_deep_samples_come_back(n_bits: int) -> None:
    rng = np.random.default_rng(n_bits)
    for image in (
        waves(40, 70, 1).astype(np.uint16) << (n_bits - 8),
        rng.integers(0, 1 << n_bits, (33, 50), dtype=np.uint16),
        np.where(np.eye(30) > 0, (1 << n_bits) - 1, 0).astype(np.uint16),
    ):
        data = EXACT.encode(image)
        decoded = EXACT.decode(data)
        assert decoded.dtype == np.uint16
        assert np.array_equal(decoded, image)
        assert EXACT.inspect(data) == ImageInfo(image.shape, np.dtype(np.uint16), None, None)


@settings(max_examples=60)
@given(
    st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3, 16]), st.integers(0, 4), st.integers(0, 99)
)
def test_any_samples_come_back(height: int, width: int, kind: int, spread: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (height, width, 3) if kind == 3 else (height, width)
    most = 65_536 if kind == 16 else 256
    levels = [1, 2, 5, 60, most][spread]
    samples = rng.integers(0, levels, shape) * ((most - 1) // max(levels - 1, 1))
    image = samples.astype(np.uint16 if kind == 16 else np.uint8)
    assert np.array_equal(EXACT.decode(EXACT.encode(image)), image)


def test_noise_takes_hardly_more_than_its_bytes_and_a_plain_picture_hardly_any() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    assert len(EXACT.encode(noise)) < 1.1 * noise.nbytes
    for image in (np.zeros((300, 400), np.uint8), np.full((300, 400, 3), 255, np.uint8)):
        assert len(EXACT.encode(image)) < 200
        for codec in (ImageCodec(), ImageCodec(0), ImageCodec(100), ImageCodec(20, tune="ms-ssim")):
            data = codec.encode(image)
            assert len(data) < 200
            assert np.abs(codec.decode(data).astype(int) - image).max() <= 1


@pytest.mark.parametrize("number", [3, 13, 23])
def test_photographs_take_fewer_bytes_than_png(number: int) -> None:
    image = kodak(number)
    data = EXACT.encode(image)
    assert np.array_equal(EXACT.decode(data), image)
    assert len(data) < 0.9 * data_file(f"kodak/kodim{number:02}.png").stat().st_size


# --- with losses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tune", TUNES)
@pytest.mark.parametrize("channels", [1, 3])
def test_quality_costs_bytes_and_saves_errors(channels: int, tune: str) -> None:
    image = waves(90, 130, channels)
    found = []
    for quality in (0, 10, 25, 40, 55, 70, 80, 90, 95, 99, 100):
        data = ImageCodec(quality, tune=tune).encode(image)
        found.append((len(data), metrics.psnr(image, EXACT.decode(data))))
    sizes, qualities = zip(*found, strict=True)
    assert list(sizes) == sorted(set(sizes))
    assert list(qualities) == sorted(set(qualities))
    assert qualities[0] < 32
    assert qualities[-1] > 45
    assert sizes[-1] > 50 * sizes[0]


def test_the_quality_is_a_step() -> None:
    image = waves(40, 50)
    for quality, step in ((100, 1.0), (75, 16.0), (0, 256.0), (43.75, 64.0)):
        data = ImageCodec(quality).encode(image)
        assert data == ImageCodec(step=step).encode(image)
        assert EXACT.inspect(data) == ImageInfo((40, 50, 3), np.dtype(np.uint8), step, "psnr")
    assert ImageCodec().encode(image) == ImageCodec(75).encode(image)
    info = EXACT.inspect(ImageCodec(step=10.01, tune="ms-ssim").encode(image))
    assert info.tune == "ms-ssim"
    assert info.step == pytest.approx(10.01, rel=1 / 512)


@pytest.mark.parametrize("step", [2.0, 4.0, 10.0, 32.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_error_fits_the_step(channels: int, step: float) -> None:
    # White noise has coefficients larger than the step in all bands; a picture has many that are smaller.
    # An orthogonal quantizer errs by step^2 / 12 in each plane; a grey sample stands for three.
    rng = np.random.default_rng(channels)
    expected = step**2 / (12 if channels == 3 else 36)
    noise = rng.integers(0, 256, (96, 96, channels), dtype=np.uint8).squeeze()
    error = mean_error(noise, EXACT.decode(ImageCodec(step=step).encode(noise)))
    assert 0.9 * expected < error < 1.1 * expected + 1 / 9  # and samples are rounded
    image = waves(96, 96, channels)
    assert mean_error(image, EXACT.decode(ImageCodec(step=step).encode(image))) < 1.5 * expected + 1 / 9


def test_the_smallest_step_loses_nothing() -> None:
    image = waves(60, 70)
    assert np.array_equal(EXACT.decode(ImageCodec(step=1 / 16).encode(image)), image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (3, 700), (513, 31), (65_535, 1)])
@pytest.mark.parametrize("tune", TUNES)
def test_every_shape_can_be_coded_with_losses(shape: tuple[int, int], tune: str) -> None:
    for channels in (1, 3):
        image = waves(*shape, channels, noise=0)
        decoded = EXACT.decode(ImageCodec(85, tune=tune).encode(image))
        assert decoded.shape == image.shape
        assert metrics.psnr(image, decoded) > 30


@pytest.mark.parametrize("tune", TUNES)
def test_rates_are_met(tune: str) -> None:
    pictures = [waves(200, 160), waves(150, 220, 1), waves(128, 128, noise=20.0)]
    for image in pictures:
        n_pixels = image.shape[0] * image.shape[1]
        for bpp in (0.2, 0.5, 1.0, 3.0, 6.0):
            most = bpp * n_pixels / 8
            data = ImageCodec(bpp=bpp, tune=tune).encode(image)
            assert len(data) <= most, (image.shape, bpp)
            if len(data) < 0.97 * most:
                # Bytes of so small a picture jump, not always upwards: a step a little smaller does not fit.
                step = ImageCodec.inspect(data).step
                assert step is not None
                assert len(ImageCodec(step=step * 2 ** (-1 / 16), tune=tune).encode(image)) > most


def test_rates_of_a_photograph_are_met() -> None:
    image = kodak(19)[:320, :400]
    for bpp in (0.1, 0.75, 2.5):
        data = ImageCodec(bpp=bpp).encode(image)
        assert 0.97 * bpp <= metrics.bits_per_pixel(len(data), image.shape) <= bpp


def test_rates_that_no_step_reaches() -> None:
    image = waves(30, 40)
    with pytest.raises(ValueError, match=r"bpp must be at least 0\.\d+ for this picture; got 0.01"):
        ImageCodec(bpp=0.01).encode(image)
    # More than the best quality takes.
    assert np.array_equal(EXACT.decode(ImageCodec(bpp=1000).encode(image)), image)


# --- lower resolutions --------------------------------------------------------------------------------------

# Low-pass filters with even symmetry from the middle tap, of ITU-T T.800: the 9/7.
NINE = [0.602949018236, 0.266864118443, -0.078223266529, -0.016864118443, 0.026748757411]


def lowpass(plane: Any, axis: int) -> Any:
    """Return every other sample of a plane that the filter has passed, continued by reflection."""
    plane = np.moveaxis(plane, axis, -1)
    n, padding = plane.shape[-1], [(0, 0)] * (plane.ndim - 1) + [(4, 4)]
    long = np.pad(plane, padding, "reflect")
    found = sum(NINE[abs(k)] * long[..., 4 + k : 4 + k + n : 2] for k in range(-4, 5))
    return np.moveaxis(found, -1, axis)


def five_three(plane: Any, axis: int) -> Any:
    """Return the low samples of the integer 5/3."""
    plane = np.moveaxis(plane, axis, -1)
    even, odd = plane[..., ::2], plane[..., 1::2]
    if odd.shape[-1] == 0:
        return np.moveaxis(even, -1, axis)
    right = even[..., 1:] if even.shape[-1] > odd.shape[-1] else np.append(even[..., 1:], even[..., -1:], -1)
    high = odd - ((even[..., : odd.shape[-1]] + right) >> 1)
    left = np.append(high[..., :1], high, -1)[..., : even.shape[-1]]
    after = high if even.shape[-1] == high.shape[-1] else np.append(high, high[..., -1:], -1)
    return np.moveaxis(even + ((left + after + 2) >> 2), -1, axis)


@pytest.mark.parametrize("shape", [(64, 96), (61, 67), (9, 40), (33, 11), (540, 20)])
@pytest.mark.parametrize("reduce", [1, 2, 3])
def test_lower_resolutions_are_low_bands(shape: tuple[int, int], reduce: int) -> None:
    for channels in (1, 3):
        image = waves(*shape, channels, noise=2)
        expected = image.astype(np.float64)
        for _ in range(reduce):
            expected = lowpass(lowpass(expected, 0), 1)
        found = EXACT.decode(ImageCodec(step=1 / 16).encode(image), reduce=reduce)
        assert found.shape == expected.shape
        assert np.abs(found - np.clip(expected, 0, 255)).max() < 0.75


@pytest.mark.parametrize("shape", [(64, 96), (61, 67), (1, 40), (33, 1), (540, 20)])
@pytest.mark.parametrize("reduce", [1, 2, 3])
def test_lower_resolutions_without_losses_are_exact(shape: tuple[int, int], reduce: int) -> None:
    image = waves(*shape, 1)
    for given_image in (image, image.astype(np.uint16) * 256):
        expected = given_image.astype(np.int64)
        for _ in range(reduce):
            expected = five_three(five_three(expected, 1), 0)
        found = EXACT.decode(EXACT.encode(given_image), reduce=reduce)
        assert np.array_equal(found, np.clip(expected, 0, np.iinfo(given_image.dtype).max))


@pytest.mark.parametrize("tune", TUNES)
def test_lower_resolutions_are_about_means_of_blocks(tune: str) -> None:
    image = waves(128, 192, noise=2)
    for data in (ImageCodec(80, tune=tune).encode(image), EXACT.encode(image)):
        for reduce in (1, 2):
            side = 1 << reduce
            blocks = image.reshape(128 // side, side, 192 // side, side, 3).mean(axis=(1, 3))
            found = EXACT.decode(data, reduce=reduce)
            assert metrics.psnr(blocks, found.astype(np.float64), data_range=255) > 27


# --- peers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [5, 20])
def test_photographs_take_fewer_bytes_than_jpeg_and_webp(number: int) -> None:
    from fastcodes.cli.image_coders import fastcodes_itself, peer
    from fastcodes.cli.rate_distortion import points_of, rate_change

    image = np.ascontiguousarray(kodak(number)[128:320, 256:512])
    ours = points_of(fastcodes_itself(ImageCodec), image)
    for name, least in (("jpeg-444", 30), ("webp", 10)):
        assert rate_change(points_of(peer(name), image), ours, 0) < -least, name


# --- arguments ----------------------------------------------------------------------------------------------


def test_pictures_and_bytes_come_in_any_form(tmp_path: Any) -> None:
    image = waves(20, 31)
    data = EXACT.encode(image)
    read_only = image.copy()
    read_only.flags.writeable = False
    np.save(tmp_path / "a.npy", image)
    for given_image in (
        *(image[::-1].copy()[::-1], np.asfortranarray(image), np.repeat(image, 2, 1)[:, ::2], read_only),
        *(np.load(tmp_path / "a.npy", mmap_mode="r"), memoryview(image), np.dstack([image, image])[..., :3]),
    ):
        assert EXACT.encode(given_image) == data
    array = np.frombuffer(data, np.uint8)
    for given_data in (bytearray(data), memoryview(data), array, np.repeat(array, 2)[::2]):
        assert np.array_equal(EXACT.decode(given_data), image)
        assert EXACT.inspect(given_data).shape == (20, 31, 3)
    assert EXACT.decode(data).flags.writeable


@pytest.mark.parametrize(
    ("codec", "image", "error", "words"),
    [
        (EXACT, np.zeros((4, 4)), TypeError, r"float64 .*np.round\(255 \* np.clip"),
        (EXACT, np.zeros((4, 4), bool), TypeError, r"bool .*for masks, 255 \* image.astype\(np.uint8\)"),
        (EXACT, np.zeros((4, 4), np.int32), TypeError, "uint16 without losses; got .*int32"),
        (EXACT, np.zeros((4, 4, 4), np.uint8), ValueError, r"alpha channel: compress image\[..., :3\]"),
        (EXACT, np.zeros((4, 4, 2), np.uint8), ValueError, r"alpha channel: compress image\[..., 0\]"),
        (EXACT, np.zeros((4, 4, 1), np.uint8), ValueError, r"got shape \(4, 4, 1\)"),
        (EXACT, np.zeros(16, np.uint8), ValueError, r"got shape \(16,\)"),
        (EXACT, np.zeros((4, 4, 3), np.uint16), ValueError, r"uint16 must be \(height, width\)"),
        (ImageCodec(), np.zeros((4, 4), np.uint16), ValueError, r"ImageCodec\(lossless=True\); for 8 bits"),
        (ImageCodec(bpp=1), np.zeros((4, 4), np.uint16), ValueError, r"ImageCodec\(lossless=True\)"),
        (EXACT, np.zeros((0, 4), np.uint8), ValueError, "sides from 1 to 65,535"),
        (ImageCodec(), np.zeros((4, 0, 3), np.uint8), ValueError, "sides from 1 to 65,535"),
        (ImageCodec(bpp=1), np.zeros((4, 0, 3), np.uint8), ValueError, "sides from 1 to 65,535"),
        (
            EXACT,
            np.zeros((1, 65_536), np.uint8),
            ValueError,
            r"sides from 1 to 65,535; got shape \(1, 65536\)",
        ),
    ],
)
def test_what_is_no_picture_is_refused(
    codec: ImageCodec, image: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        codec.encode(image)


def test_parameters_exclude_each_other() -> None:
    for options in (
        {"quality": 3, "bpp": 1},
        {"step": 3, "lossless": True},
        {"quality": 1, "lossless": True},
    ):
        with pytest.raises(ValueError, match="give one of quality, bpp, step and lossless; got "):
            ImageCodec(**options)  # type: ignore[arg-type]
    for step in (1 / 17, 16_385, float("nan")):
        with pytest.raises(ValueError, match="step must be"):
            ImageCodec(step=step)
    assert repr(ImageCodec(75)) == "ImageCodec(step=16, tune='psnr')"
    assert repr(ImageCodec(bpp=0.5, tune="ms-ssim")) == "ImageCodec(bpp=0.5, tune='ms-ssim')"
    assert repr(EXACT) == "ImageCodec(lossless=True)"


def test_the_largest_picture_is_a_matter_of_trust() -> None:
    image = waves(20, 30)
    data = EXACT.encode(image)
    with pytest.raises(ValueError, match=r"20 x 30 pixels, more than max_pixels = 599; if you trust"):
        EXACT.decode(data, max_pixels=599)
    with pytest.raises(ValueError, match="max_pixels"):
        EXACT.decode(data, max_pixels=599, reduce=3)
    assert np.array_equal(EXACT.decode(data, max_pixels=600), image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40, 3), (64, 1), (2, 3), (5, 4, 3), (4, 64)])
def test_thin_pictures_keep_their_mean_when_they_are_halved(shape: tuple[int, ...]) -> None:
    image = np.full(shape, 228, np.uint8)
    for codec in (ImageCodec(step=1), EXACT):
        for reduce in range(4):
            assert np.abs(codec.decode(codec.encode(image), reduce=reduce).astype(int) - 228).max() <= 1
