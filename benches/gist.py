"""GIST descriptors of small images: energies of oriented filters on a grid.

A. Oliva and A. Torralba, *Modeling the shape of the scene*, IJCV 42, 2001; the steps and constants are those
of their program LMgist.
"""

import io
import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft

Array = NDArray[Any]

ORIENTATIONS = (8, 8, 8, 8)  # of each scale
GRID = 4
BORDER = 32  # mirrored pixels around an image while it is filtered
PREFILTER_BORDER = 5
PREFILTER_CYCLES = 4.0
BATCH = 200
VERSION = 1  # of the cached descriptors


def gist(images: Array) -> Array:
    """Give the descriptors of grey images.

    Parameters
    ----------
    images : array (n, side, side)
        Grey values; the side is a multiple of 4.

    Returns
    -------
    float32 array (n, 512)
        For each of 4 scales and 8 orientations the mean amplitude in each cell of a 4 x 4 grid.
    """
    n, side, _ = images.shape
    filters = gabor(side + 2 * BORDER)
    descriptors = np.empty((n, len(filters), GRID, GRID), np.float32)
    inside = slice(BORDER, BORDER + side)
    for start in range(0, n, BATCH):
        rows = slice(start, start + BATCH)
        grey = images[rows].astype(np.float32)
        low = grey.min(axis=(1, 2), keepdims=True)
        grey = 255 * (grey - low) / np.maximum(np.ptp(grey, axis=(1, 2), keepdims=True), 1)
        spectrum = fft.fft2(padded(prefiltered(grey), BORDER))
        for which, gain in enumerate(filters):
            amplitude = np.abs(fft.ifft2(spectrum * gain)[:, inside, inside])
            cells = amplitude.reshape(len(grey), GRID, side // GRID, GRID, side // GRID)
            descriptors[rows, which] = cells.mean(axis=(2, 4))
    return descriptors.reshape(n, -1)


def prefiltered(grey: Array) -> Array:
    """Take slow changes of brightness out, and make the contrast alike everywhere."""
    logs = padded(np.log(grey + 1), PREFILTER_BORDER)
    n = logs.shape[1]
    frequency = fft.ifftshift(np.arange(n, dtype=np.float32) - n // 2)
    falling = np.exp(-(frequency**2) * np.log(2) / PREFILTER_CYCLES**2)
    gain = (falling[:, None] * falling).astype(np.float32)
    white = logs - fft.ifft2(fft.fft2(logs) * gain).real
    deviation = np.sqrt(np.abs(fft.ifft2(fft.fft2(white**2) * gain)))
    white /= 0.2 + deviation
    inside = slice(PREFILTER_BORDER, -PREFILTER_BORDER)
    return white[:, inside, inside]


def gabor(n: int) -> Array:
    """Give the transfer functions of the filters (scales * orientations, n, n), frequency 0 first."""
    frequency = np.arange(n) - n // 2
    across, down = np.meshgrid(frequency, frequency)
    radius, angle = np.hypot(across, down) / n, np.arctan2(down, across)
    filters = []
    for scale, n_orientations in enumerate(ORIENTATIONS):
        centre, width = 0.3 / 1.85**scale, 16 * n_orientations**2 / 32**2
        for orientation in range(n_orientations):
            turned = angle + np.pi / n_orientations * orientation
            turned += 2 * np.pi * (turned < -np.pi) - 2 * np.pi * (turned > np.pi)
            gain = np.exp(-10 * 0.35 * (radius / centre - 1) ** 2 - 2 * width * np.pi * turned**2)
            filters.append(fft.ifftshift(gain))
    return np.array(filters, np.float32)


def padded(images: Array, border: int) -> Array:
    return np.pad(images, ((0, 0), (border, border), (border, border)), "symmetric")


# --- CIFAR-10 -----------------------------------------------------------------------------------------------


def cifar10(path: Path) -> dict[str, Array]:
    """Give descriptors and labels of all images of CIFAR-10, from the cache if they are there.

    The cache is the folder FASTCODES_CACHE, or one among the temporary files of the system.

    Returns
    -------
    dict
        "train_x" (50000, 512), "train_y", "test_x" (10000, 512) and "test_y".
    """
    cache = Path(os.environ.get("FASTCODES_CACHE") or Path(tempfile.gettempdir(), "fastcodes-cache"))
    file = cache / f"{path.stem}_gist512_v{VERSION}.npz"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        arrays = dict(described(path))
        part = file.with_name(f"{file.stem}.{os.getpid()}.npz")
        np.savez(part, **arrays)
        part.replace(file)
    with np.load(file) as kept:
        return dict(kept)


def described(path: Path) -> Iterator[tuple[str, Array]]:
    """Compute what the cache keeps; it takes minutes."""
    with np.load(path) as file:
        for name in ("train", "test"):
            jpegs, offsets = file[f"{name}_jpeg"], file[f"{name}_off"]
            started = time.perf_counter()
            images = np.stack(
                [
                    np.asarray(Image.open(io.BytesIO(jpegs[a:b].tobytes())).convert("RGB")).mean(axis=2)
                    for a, b in itertools.pairwise(offsets)
                ]
            )
            yield f"{name}_x", gist(images)
            yield f"{name}_y", file[f"{name}_y"]
            seconds = time.perf_counter() - started
            print(f"GIST descriptors of {len(images)} images: {seconds:.0f} s", flush=True)
