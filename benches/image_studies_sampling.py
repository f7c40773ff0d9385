"""The study of sampling in `image_studies.py`: half-size images around a codec, and learned up-sampling."""

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from fastcodes import nn
from fastcodes._typing import Array
from fastcodes.coding import ImageCodec
from image_studies_common import Study, at_equal_bytes, kodak, mean_psnr, photographs
from image_studies_models import Distortion
from PIL import Image

RATES = 0.12, 0.18, 0.27, 0.4
"""In bits per pixel of the image at full size."""
N_HIDDEN, N_STEPS, BATCH_SIZE, LEARNING_RATE = 32, 2000, 256, 2e-3
WINDOWS_PER_IMAGE = 1000
PIXELS_PER_UNIT = 32
"""Of the numbers that networks work with."""
RIDGE = 1e-3
FULL, HALF = "full size", "half size"
JPEG_QUALITIES = {FULL: (2, 4, 7, 11, 16, 24, 36), HALF: (5, 10, 17, 26, 40, 60, 80, 92)}
STEPS = {FULL: (14, 22, 34, 52, 80, 120, 180, 260), HALF: (4, 7, 11, 18, 28, 44, 70, 110)}
Codec = Callable[[Image.Image, int], tuple[int, Image.Image]]
"""From an image and a setting to bytes and the decoded image."""


# --- codecs -------------------------------------------------------------------------------------------------


def jpeg(image: Image.Image, quality: int) -> tuple[int, Image.Image]:
    """Return the size of the whole file, with optimal Huffman tables, and the decoded image."""
    file = BytesIO()
    image.save(file, "JPEG", quality=quality, optimize=True, progressive=True)
    return len(file.getvalue()), Image.open(file).convert("RGB")


def wavelets(image: Image.Image, step: int) -> tuple[int, Image.Image]:
    """Return the size of the code by `fastcodes.coding.ImageCodec`, and the decoded image."""
    codec = ImageCodec(step=step)
    data = codec.encode(np.asarray(image))
    return len(data), Image.fromarray(codec.decode(data))


def codecs() -> Iterator[tuple[str, Codec, dict[str, tuple[int, ...]]]]:
    """Yield codecs and their settings for images of both sizes."""
    yield "JPEG", jpeg, JPEG_QUALITIES
    yield "ImageCodec", wavelets, STEPS


# --- filters: two by two pixels from a window ---------------------------------------------------------------


def windows_of(luma: Array, side: int, stride: int) -> Array:
    """Return windows (n, side**2) of a plane, one for each 2 x 2 pixels of the result, less their means."""
    margin = (side - stride) // 2
    wide = np.pad(luma, margin, mode="edge")
    views = np.lib.stride_tricks.sliding_window_view(wide, (side, side))[::stride, ::stride]
    flat = views.reshape(-1, side**2).astype(np.float32) / PIXELS_PER_UNIT
    flat -= flat.mean(axis=1, keepdims=True)
    return flat


def squares_of(plane: Array) -> Array:
    """Return the 2 x 2 pixels (n, 4) of a plane."""
    height, width = plane.shape
    return plane.reshape(height // 2, 2, width // 2, 2).transpose(0, 2, 1, 3).reshape(-1, 4)


def plane_of(squares: Array, height: int, width: int) -> Array:
    """Return the plane of 2 x 2 pixels."""
    return squares.reshape(height // 2, width // 2, 2, 2).transpose(0, 2, 1, 3).reshape(height, width)


class Filter:
    """A correction of the luma of decoded images: a linear filter, and a network for what it leaves."""

    def __init__(self, codec: Codec, setting: int, size: str) -> None:
        self.side, self.stride = (5, 1) if size == HALF else (6, 2)
        rng = np.random.default_rng(0)
        parts = []
        for photograph in photographs()[::4]:
            image = even(photograph)
            _, small, shown = decoded(codec, image, setting, size)
            errors = squares_of(luma_of(image) - luma_of(shown)) / PIXELS_PER_UNIT
            chosen = rng.integers(len(errors), size=WINDOWS_PER_IMAGE)
            parts.append((windows_of(luma_of(small), self.side, self.stride)[chosen], errors[chosen]))
        x, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        gram = x.T @ x
        self.linear = np.linalg.solve(gram + RIDGE * np.trace(gram) * np.eye(len(gram)) / len(gram), x.T @ y)
        self.linear = self.linear.astype(np.float32)
        rest = y - x @ self.linear
        self.network = nn.Network(nn.Dense(N_HIDDEN), nn.HardTanh(), nn.Dense(4), random_state=0)
        self.network.build(x.shape[1:]).get_weights()["2.weights"][...] = 0
        optimizer, schedule, loss = nn.Adam(LEARNING_RATE), nn.Cosine(), Distortion(1.0)
        for i in range(N_STEPS):
            rows = rng.integers(len(x), size=BATCH_SIZE)
            self.network.train_step(x[rows], rest[rows], loss, optimizer, rate=schedule(i / N_STEPS))

    def corrections(self, luma: Array) -> tuple[Array, Array]:
        """Return what the linear filter adds to 2 x 2 pixels (n, 4), and what both add."""
        x = windows_of(luma, self.side, self.stride)
        linear = x @ self.linear
        return linear * PIXELS_PER_UNIT, (linear + self.network.forward(x)) * PIXELS_PER_UNIT


def luma_of(image: Image.Image) -> Array:
    """Return the luma of an image as floats."""
    return np.asarray(image.convert("YCbCr").getchannel(0), np.float32)


def even(image: Image.Image) -> Image.Image:
    """Return an image without odd last rows and columns."""
    return image.crop((0, 0, image.width // 2 * 2, image.height // 2 * 2))


def decoded(
    codec: Codec, image: Image.Image, setting: int, size: str
) -> tuple[int, Image.Image, Image.Image]:
    """Return bytes, the decoded image, and this one at full size, by bicubic up-sampling."""
    if size == FULL:
        n_bytes, shown = codec(image, setting)
        return n_bytes, shown, shown
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)
    n_bytes, small = codec(half, setting)
    return n_bytes, small, small.resize(image.size, Image.Resampling.BICUBIC)


# --- the study ----------------------------------------------------------------------------------------------


class Curves(NamedTuple):
    """Points (bpp, PSNR) of each image: as decoded, filtered linearly, and by the network."""

    plain: list[list[tuple[float, float]]]
    linear: list[list[tuple[float, float]]]
    network: list[list[tuple[float, float]]]


def curves_of(codec: Codec, settings: tuple[int, ...], size: str) -> Curves:
    """Return the points of all images to test on."""
    curves = Curves(*([[] for _ in kodak()] for _ in Curves._fields))
    for setting in settings:
        model = Filter(codec, setting, size)
        for i, image in enumerate(kodak()):
            n_bytes, small, shown = decoded(codec, image, setting, size)
            bpp = 8 * n_bytes / (image.width * image.height)
            original, pixels = (np.asarray(one, np.float32)[None] for one in (image, shown))
            curves.plain[i].append((bpp, mean_psnr(original, pixels)))
            # What is added to luma alone is added to each of red, green and blue.
            for points, correction in zip(curves[1:], model.corrections(luma_of(small)), strict=True):
                plane = plane_of(correction, image.height, image.width)
                points[i].append((bpp, mean_psnr(original, pixels + plane[..., None])))
    return curves


def sampling() -> Study:
    """Compare coding at half size with coding at full size, with and without learned filters."""
    rows: list[list[Any]] = []
    findings = []
    for name, codec, settings in codecs():
        curves = [curve for size in (FULL, HALF) for curve in curves_of(codec, settings[size], size)]
        over_plain, over_filtered = [], []
        for rate in RATES:
            values = np.array(
                [[at_equal_bytes(points, rate) for points in image] for image in zip(*curves, strict=True)]
            )
            complete = values[np.isfinite(values).all(axis=1)]
            if len(complete):
                means = complete.mean(axis=0)
                rows.append([name, rate, len(complete), *means])
                over_plain.append(f"{means[5] - means[0]:+.2f}")
                over_filtered.append(f"{means[5] - means[2]:+.2f}")
        findings.append(
            f"{name}, half size with the network: {', '.join(over_plain)} dB over plain full size at rising "
            f"rates, but {', '.join(over_filtered)} dB over full size with its own network."
        )
    return Study(
        "4. Half-size images and learned up-sampling",
        "Whole Kodak images, RGB PSNR, whole files. JPEG is Pillow's: 4:2:0, progressive, optimal Huffman "
        'tables. "Half" is coded after bicubic down-sampling by 2 and up-sampled by bicubic interpolation. '
        "Filters correct the luma, 2 x 2 pixels from a window: linear regression, then a network of "
        f"{N_HIDDEN} HardTanh units for what is left, trained for each setting and size. The filter at full "
        "size is the control: what it gains is due to repairing the codec, not to sampling. PSNR is "
        "interpolated at equal bytes for each image, and averaged over the images whose curves all reach the "
        "rate.",
        {"codec": "", "bpp": ".2f", "images": "d"}
        | {f"{size}{kind}": ".2f" for size in ("full", "half") for kind in ("", ", linear", ", network")},
        rows,
        " ".join(findings),
    )
