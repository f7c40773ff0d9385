"""Coders of images behind one small interface: fastcodes, and those that Pillow and its plugins have."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from fastcodes import metrics
from fastcodes._typing import Codes
from fastcodes.cli.terminal import UserError

__all__ = ["PEERS", "Coder", "fastcodes_itself", "lossless_peers", "peer"]

STEPS = (160.0, 110.0, 76.0, 52.0, 36.0, 25.0, 17.0, 12.0)
"""Of the quantizer, from about 0.1 to 1.7 bits per pixel of photographs."""


@dataclass(frozen=True)
class Coder:
    """How images become bytes at some settings, and images again."""

    name: str
    about: str
    """Library and options, for notes."""
    settings: tuple[float, ...]
    """From few bytes to many."""
    encode: Callable[[Codes, float], bytes]
    """`(image, setting) -> data` for uint8 images (h, w) or (h, w, 3)."""
    decode: Callable[[bytes], Codes]
    package: str = "fastcodes"
    """Whose version decides on the bytes."""

    def coded(self, image: Codes, setting: float) -> tuple[bytes, Codes]:
        """Return the bytes of an image, and what they decode to, in the shape of the image."""
        data = self.encode(image, setting)
        decoded = self.decode(data)
        if image.ndim == 2 and decoded.ndim == 3:  # WebP and AVIF have no grey images
            decoded = np.rint(metrics.luma(decoded)).astype(np.uint8)
        return data, decoded


def fastcodes_itself(
    make: Callable[..., Any],
    *,
    tune: str = "psnr",
    settings: Sequence[float] = STEPS,
    name: str = "fastcodes",
) -> Coder:
    """Return our coder at several quantizer steps.

    `make` is `fastcodes.coding.ImageCodec`, or takes its parameters `step` and `tune`.
    """

    def encode(image: Codes, step: float) -> bytes:
        data: bytes = make(step=step, tune=tune).encode(image)
        return data

    def decode(data: bytes) -> Codes:
        image: Codes = make(step=1.0, tune=tune).decode(data)
        return image

    return Coder(name, f'fastcodes.coding.ImageCodec, tune="{tune}"', tuple(settings), encode, decode)


# --- peers --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Format:
    """An image format of Pillow or of one of its plugins."""

    name: str
    """As Pillow calls it."""
    about: str
    settings: tuple[float, ...]
    options: Callable[[float, Codes], dict[str, Any]]
    """`(setting, image) -> options of save`."""
    plugin: str = ""
    """The module that registers the format, if Pillow itself does not."""
    package: str = "pillow"


_QUALITIES = (5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 95)


def _jpeg(subsampling: str, **more: Any) -> Format:
    return Format(
        "JPEG",
        f"libjpeg, {subsampling}{', optimized, progressive' if more else ''}",
        _QUALITIES,
        lambda quality, image: {"quality": int(quality), "subsampling": subsampling, **more},
    )


def _avif(about: str, **more: Any) -> Format:
    return Format(
        "AVIF",
        about,
        (8, 18, 28, 40, 50, 60, 72, 82),
        lambda quality, image: {
            "quality": int(quality),
            "speed": 6,
            "subsampling": "4:4:4",
            "max_threads": 1,
            **more,
        },
        "pillow_avif",
        "pillow-avif-plugin",
    )


def _jpeg2000(rate: float, image: Codes) -> dict[str, Any]:
    """Return options for a rate in bits per pixel.

    Without `mct`, Pillow codes red, green and blue apart, which takes more than twice the bytes.
    """
    is_rgb = image.ndim == 3
    return {
        "irreversible": True,
        "mct": int(is_rgb),
        "quality_mode": "rates",
        "quality_layers": [(24 if is_rgb else 8) / rate],
        "num_resolutions": _resolutions(image),
    }


def _resolutions(image: Codes) -> int:
    return min(6, 1 + int(math.log2(min(image.shape[:2]))))


PEERS: dict[str, Format] = {
    "jpeg": _jpeg("4:2:0"),
    "jpeg-optimized": _jpeg("4:2:0", optimize=True, progressive=True),
    "jpeg-444": _jpeg("4:4:4", optimize=True, progressive=True),
    "webp": Format(
        "WEBP",
        "libwebp, method 6",
        (1, 5, 10, 20, 30, 45, 60, 75, 85, 92, 97),
        lambda quality, image: {"quality": int(quality), "method": 6},
    ),
    "jpeg2000": Format(
        "JPEG2000", "OpenJPEG, 9/7, mct=1", (0.1, 0.15, 0.25, 0.4, 0.6, 1.0, 1.6, 2.4, 3.2), _jpeg2000
    ),
    "avif": _avif("libavif, 4:4:4, speed 6, default tune"),
    "avif-psnr": _avif("libavif, 4:4:4, speed 6, tune=psnr", advanced={"tune": "psnr"}),
    "jxl": Format(
        "JXL",
        "libjxl, effort 7",
        (5, 15, 30, 45, 60, 75, 88, 94),
        lambda quality, image: {"quality": int(quality), "effort": 7, "num_threads": 1},
        "pillow_jxl",
        "pillow-jxl-plugin",
    ),
}
"""By the name that the command takes."""


def peer(name: str) -> Coder:
    """Return a peer, or raise a `UserError` if it is unknown or not installed."""
    if name not in PEERS:
        raise UserError(f"--peers has no {name!r}; there are {', '.join(PEERS)}")
    return _coder(name, PEERS[name])


def lossless_peers() -> list[Coder]:
    """Return the lossless coders that are installed; their only setting has no meaning."""
    formats = {
        "png": Format("PNG", "zlib, optimized", (0,), lambda _, image: {"optimize": True}),
        "jpeg2000, lossless": Format(
            "JPEG2000",
            "OpenJPEG, 5/3, mct=1",
            (0,),
            lambda _, image: {"mct": int(image.ndim == 3), "num_resolutions": _resolutions(image)},
        ),
        "webp, lossless": Format(
            "WEBP",
            "libwebp, method 6",
            (0,),
            lambda _, image: {"lossless": True, "quality": 100, "method": 6},
        ),
        "jxl, lossless": Format(
            "JXL",
            "libjxl, effort 7",
            (0,),
            lambda _, image: {"lossless": True, "effort": 7, "num_threads": 1},
            "pillow_jxl",
            "pillow-jxl-plugin",
        ),
    }
    found = []
    for name, its_format in formats.items():
        try:
            found.append(_coder(name, its_format))
        except UserError:
            continue
    return found


def _coder(name: str, its_format: Format) -> Coder:
    from PIL import Image

    if its_format.plugin:
        try:
            import_module(its_format.plugin)
        except ModuleNotFoundError:
            raise UserError(
                f"{name} needs {its_format.package}, which is not installed: pip install {its_format.package}"
            ) from None

    def encode(image: Codes, setting: float) -> bytes:
        file = io.BytesIO()
        Image.fromarray(image).save(file, its_format.name, **its_format.options(setting, image))
        return file.getvalue()

    def decode(data: bytes) -> Codes:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image if image.mode == "L" else image.convert("RGB"))

    return Coder(name, its_format.about, its_format.settings, encode, decode, its_format.package)
