"""GIST descriptors of small images: energies of oriented filters on a grid.

A. Oliva and A. Torralba, *Modeling the shape of the scene*, IJCV 42, 2001, with the steps and constants of
their program LMgist.
"""

import time

import datasets
import numpy as np
from fastcodes._typing import Array
from scipy import fft

ORIENTATIONS_PER_SCALE = (8, 8, 8, 8)
CELLS_PER_SIDE = 4
BORDER = 32  # mirrored pixels around an image during filtering
PREFILTER_BORDER = 5
PREFILTER_CYCLES = 4.0
IMAGES_PER_BATCH = 200
VERSION = 1  # of the cached descriptors


def gist(images: Array) -> Array:
    """Return the descriptors of grey images.

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
    descriptors = np.empty((n, len(filters), CELLS_PER_SIDE, CELLS_PER_SIDE), np.float32)
    inside, cell = slice(BORDER, BORDER + side), side // CELLS_PER_SIDE
    for start in range(0, n, IMAGES_PER_BATCH):
        rows = slice(start, start + IMAGES_PER_BATCH)
        grey = images[rows].astype(np.float32)
        low = grey.min(axis=(1, 2), keepdims=True)
        grey = 255 * (grey - low) / np.maximum(np.ptp(grey, axis=(1, 2), keepdims=True), 1)
        spectrum = fft.fft2(padded(prefiltered(grey), BORDER))
        for which, gain in enumerate(filters):
            amplitude = np.abs(fft.ifft2(spectrum * gain)[:, inside, inside])
            cells = amplitude.reshape(len(grey), CELLS_PER_SIDE, cell, CELLS_PER_SIDE, cell)
            descriptors[rows, which] = cells.mean(axis=(2, 4))
    return descriptors.reshape(n, -1)


def prefiltered(grey: Array) -> Array:
    """Remove slow changes of brightness, and normalise the local contrast."""
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
    """Return the transfer functions of the filters (scales * orientations, n, n), frequency 0 first."""
    frequency = np.arange(n) - n // 2
    across, down = np.meshgrid(frequency, frequency)
    radius, angle = np.hypot(across, down) / n, np.arctan2(down, across)
    filters = []
    for scale, n_orientations in enumerate(ORIENTATIONS_PER_SCALE):
        centre, width = 0.3 / 1.85**scale, 16 * n_orientations**2 / 32**2
        for orientation in range(n_orientations):
            rotated = angle + np.pi / n_orientations * orientation
            rotated += 2 * np.pi * (rotated < -np.pi) - 2 * np.pi * (rotated > np.pi)
            gain = np.exp(-10 * 0.35 * (radius / centre - 1) ** 2 - 2 * width * np.pi * rotated**2)
            filters.append(fft.ifftshift(gain))
    return np.array(filters, np.float32)


def padded(images: Array, border: int) -> Array:
    return np.pad(images, ((0, 0), (border, border), (border, border)), "symmetric")


# --- CIFAR-10 -----------------------------------------------------------------------------------------------


def cifar10() -> dict[str, Array]:
    """Return descriptors and labels of CIFAR-10, which take minutes to compute and are cached.

    Returns
    -------
    dict
        "train_x" (50000, 512), "train_y", "test_x" (10000, 512) and "test_y".
    """
    stem = datasets.CIFAR10.removesuffix(".npz")
    return datasets.cached(f"{stem}_gist512_v{VERSION}", _cifar10)


def _cifar10() -> dict[str, Array]:
    images = datasets.cifar10()
    return {
        "train_x": _timed(images.train),
        "train_y": images.labels,
        "test_x": _timed(images.test),
        "test_y": images.test_labels,
    }


def _timed(images: Array) -> Array:
    started = time.perf_counter()
    descriptors = gist(images.mean(axis=-1))
    seconds = time.perf_counter() - started
    print(f"GIST descriptors of {len(images)} images: {seconds:.0f} s", flush=True)
    return descriptors
