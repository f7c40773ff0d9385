"""Pictures of the commands: which files are pictures, what is in them, and what was skipped."""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastcodes._typing import Array
from fastcodes.cli.terminal import UserError, report

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

__all__ = [
    "SUFFIXES",
    "BadPictureError",
    "Numbered",
    "address",
    "as_seen",
    "joined",
    "listed",
    "names_below",
    "picture_of",
    "printable",
    "reason",
    "report_skipped",
]

MAX_COMPLAINTS = 10
SUFFIXES = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".jxl", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Of pictures in a folder and its subfolders."""
ARRAY = ".npy"
_MAGIC_OF_ARRAY = b"\x93NUMPY"
_ONE_OF_MANY = ("MPO",)
"""Formats of photographs with previews, which are further frames."""


class BadPictureError(ValueError):
    """Raised for a file that holds no picture, or one that cannot be taken."""


@dataclass(frozen=True)
class Numbered:
    """A file, and how many there are up to it."""

    path: Path
    stop: int


def listed(folder: str, *, with_arrays: bool) -> list[Path]:
    """Return the pictures of a folder, sorted, or raise a `UserError` if it has none."""
    try:
        entries = [Path(folder, name) for name in sorted(os.listdir(folder))]
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}") from None
    suffixes = {ARRAY} if with_arrays else set()
    if {entry.suffix.lower() for entry in entries} != suffixes:
        from PIL import Image

        suffixes |= set(Image.registered_extensions())
    paths = [entry for entry in entries if entry.suffix.lower() in suffixes]
    if not paths:
        raise UserError(f"{folder}: no pictures; expected files such as .png")
    return paths


def names_below(folder: str) -> list[str]:
    """Return the pictures of a folder by their paths in it, sorted; an empty name for a picture itself."""
    if not os.path.exists(folder):
        raise UserError(f"{folder}: no such folder")
    if not os.path.isdir(folder):
        return [""]
    names = [
        os.path.relpath(os.path.join(path, name), folder).replace(os.sep, "/")
        for path, _, files in os.walk(folder, onerror=_report_unlisted)
        for name in files
        if name.lower().endswith(SUFFIXES) and os.path.isfile(os.path.join(path, name))  # a pipe would hang
    ]
    if not names:
        raise UserError(f"{folder}: has no pictures; expected files such as {', '.join(SUFFIXES[3:7])}")
    return sorted(names)


def _report_unlisted(error: OSError) -> None:
    report(f"{error.filename}: not read: {reason(error)}")


def joined(folder: str, name: str) -> str:
    """Return the path of a picture that `names_below` lists."""
    return os.path.join(folder, name) if name else folder


def picture_of(content: bytes) -> Array:
    """Return the picture in the bytes of a file, upright.

    Returns
    -------
    uint8 array (height, width) or (height, width, 3), uint16 array (height, width), or any array of a .npy
    """
    if content.startswith(_MAGIC_OF_ARRAY):
        try:
            array: Array = np.load(io.BytesIO(content), allow_pickle=False)
        except Exception as error:  # a header that was made up raises anything, MemoryError too
            raise BadPictureError(f"cannot be read: {reason(error)}") from None
        return array
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as file:
            n_frames = 1 if file.format in _ONE_OF_MANY else getattr(file, "n_frames", 1)
            # Pillow reduces these to 8 bits.
            is_deep = any(re.search(r"RGB.*;16[BLN]", str(part[3])) for part in getattr(file, "tile", ()))
            file.load()
            image = ImageOps.exif_transpose(file)
    except UnidentifiedImageError:  # whose message is about a file object
        raise BadPictureError("is no picture that Pillow can read") from None
    except Exception as error:  # what the plugins of Pillow raise is not documented
        raise BadPictureError(f"cannot be read: {reason(error)}") from None
    if n_frames > 1:
        raise BadPictureError(f"has {n_frames} frames or pages; store each of them as a picture")
    if is_deep:
        raise BadPictureError("has 16 bits a channel and color; convert it to 8, or its channels to grey")
    return _samples(image)


def _samples(image: Picture) -> Array:
    mode = image.mode
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        raise BadPictureError("has transparency, which is not stored; convert it to RGB or grey")
    if mode in ("CMYK", "LAB"):
        raise BadPictureError(f"is {mode}, whose colors depend on a profile; convert it to RGB")
    if mode[0] in "IF":
        samples = np.asarray(image)
        if samples.dtype.kind == "f" or samples.min() < 0 or samples.max() > 65_535:
            raise BadPictureError(
                f"has samples from {samples.min():g} to {samples.max():g} (mode {mode}); expected integers "
                "of 8 or 16 bits"
            )
        return samples.astype(np.uint16)
    return np.asarray(image.convert("L" if mode in ("1", "L") else "RGB"))


def as_seen(file: Picture) -> Picture:
    """Return a picture that Pillow has opened, upright and on white where it is transparent."""
    from PIL import Image, ImageOps

    if file.mode[0] in "IF":  # Pillow would clip these to 255
        raise BadPictureError("has more than 8 bits a sample; convert it to 8")
    picture = ImageOps.exif_transpose(file)
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture


def address(picture: Picture, kind: str, **options: Any) -> str:
    """Return a picture as the address of its own content, for pages that need no other files."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def printable(name: str) -> str:
    """Return a name without the surrogates of bytes that are no text."""
    return name.encode("utf-8", "replace").decode()


def reason(error: Exception) -> str:
    """Return one line that says what an error is about."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]


def report_skipped(complaints: Sequence[str], label: str) -> None:
    """Print what was skipped and why, of many only the first."""
    for complaint in complaints[:MAX_COMPLAINTS]:
        report(f"fastcodes: {complaint}")
    if len(complaints) > MAX_COMPLAINTS:
        report(f"fastcodes: {label}: {len(complaints) - MAX_COMPLAINTS:,} more skipped")
