"""fastcodes.hashing.images against imagehash: pictures in memory on one thread, and files on all."""

import io
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from fastcodes._typing import Array
from fastcodes.hashing import images

imagehash = pytest.importorskip("imagehash")
Image = pytest.importorskip("PIL.Image")

N_PICTURES, HEIGHT, WIDTH = 16, 512, 768
N_BYTES = N_PICTURES * HEIGHT * WIDTH * 3
# Pillow takes most of the time of the first three, in both packages.
HASHES: dict[str, tuple[Callable[..., Array], Callable[..., Any], float]] = {
    "average_hash": (images.average_hash, imagehash.average_hash, 0.8),
    "difference_hash": (images.difference_hash, imagehash.dhash, 0.8),
    "perceptual_hash": (images.perceptual_hash, imagehash.phash, 0.8),
    "wavelet_hash": (images.wavelet_hash, imagehash.whash, 1.5),
    "color_hash": (images.color_hash, imagehash.colorhash, 1.2),
}


@cache
def pictures() -> list[Any]:
    """Return colored waves with noise, which Pillow has in memory."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH][:, None, :, :, None] / rng.uniform(9, 90, (2, N_PICTURES, 1, 1, 3))
    made = 128 + 60 * np.sin(x) + 50 * np.cos(y) + rng.normal(0, 6, (N_PICTURES, HEIGHT, WIDTH, 3))
    return [Image.fromarray(array) for array in made.clip(0, 255).astype(np.uint8)]


@cache
def files() -> list[bytes]:
    """Return the same pictures as files of JPEG."""
    coded = []
    for picture in pictures():
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=85)
        coded.append(file.getvalue())
    return coded


def by_imagehash(hash_of: Callable[..., Any], sources: list[Any]) -> Array:
    return np.array([np.packbits(hash_of(source).hash) for source in sources])


def opened() -> list[Any]:
    return [Image.open(io.BytesIO(content)) for content in files()]


@pytest.mark.parametrize("name", ["fastcodes", "imagehash"])
@pytest.mark.parametrize("verb", HASHES)
def test_pictures(contest: Any, verb: str, name: str) -> None:
    """Hash pictures in memory on one thread."""
    ours, theirs, needs = HASHES[verb]
    calls = {
        "fastcodes": partial(ours, pictures(), threads=1),
        "imagehash": partial(by_imagehash, theirs, pictures()),
    }
    contest(
        name,
        calls[name],
        group=f"images.{verb}, {N_PICTURES} pictures of {WIDTH} x {HEIGHT}",
        check=lambda codes: np.testing.assert_array_equal(codes, calls["imagehash"]()),
        amount=float(N_BYTES),
        unit="bytes",
        needs={"imagehash": needs} if name == "fastcodes" else None,
    )


@pytest.mark.parametrize("name", ["fastcodes", "imagehash"])
def test_files(contest: Any, name: str) -> None:
    """Decode and hash files; imagehash has one thread."""
    calls = {
        "fastcodes": lambda: images.perceptual_hash([io.BytesIO(content) for content in files()]),
        "imagehash": lambda: by_imagehash(imagehash.phash, opened()),
    }
    contest(
        name,
        calls[name],
        group=f"images.perceptual_hash, {N_PICTURES} JPEG files of {WIDTH} x {HEIGHT}, all threads",
        check=lambda codes: np.testing.assert_array_equal(codes, calls["imagehash"]()),
        amount=float(N_BYTES),
        unit="bytes",
        needs={"imagehash": 0.8} if name == "fastcodes" else None,
    )
