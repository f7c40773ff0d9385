"""The arithmetic of perceptual hashes, in the order of scipy and PyWavelets, so that it rounds alike."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from fastcodes._typing import Array, Booleans, Codes, Doubles

__all__ = ["color_bits", "cosine_transform", "low_frequencies"]

_HAAR = math.sqrt(0.5)


def cosine_transform(x: Array) -> Doubles:
    """Return the cosine transform of type 2 along the last axis, as ``scipy.fftpack.dct`` rounds it.

    Both scipy and numpy have the Fourier transform of pocketfft. Its cosine transform is a transform from
    half of a Hermitian spectrum, made of sums and differences of neighbors, and rotations of the result.
    """
    n = x.shape[-1]
    n_pairs = (n - 1) // 2
    numbers = x.astype(np.float64)
    first, second = numbers[..., 1 : 2 * n_pairs : 2], numbers[..., 2 : 2 * n_pairs + 1 : 2]
    spectrum = np.zeros((*x.shape[:-1], n // 2 + 1), np.complex128)
    spectrum.real[..., 0] = 2 * numbers[..., 0]
    spectrum.real[..., 1 : n_pairs + 1] = first + second
    spectrum.imag[..., 1 : n_pairs + 1] = second - first
    if n % 2 == 0:
        spectrum.real[..., -1] = 2 * numbers[..., -1]
    out: Doubles = np.fft.irfft(spectrum, n, norm="forward")
    cosines = _cosines(n)
    low, high = slice(1, n_pairs + 1), slice(n - 1, n - 1 - n_pairs, -1)
    sums = cosines[low] * out[..., high] + cosines[high] * out[..., low]
    differences = cosines[low] * out[..., low] - cosines[high] * out[..., high]
    out[..., low], out[..., high] = 0.5 * (sums + differences), 0.5 * (sums - differences)
    if n % 2 == 0:
        out[..., n // 2] *= cosines[n // 2]
    return out


@cache
def _cosines(n: int) -> Doubles:
    """Return ``cos(pi * i / (2 * n))`` of i below n, rounded as the products of two tables of pocketfft."""
    step = 2
    while step * step <= 2 * n:
        step *= 2
    unit = float(np.longdouble("3.141592653589793238462643383279502884197") / (16 * n))

    def point(i: int) -> tuple[float, float]:
        eighths = 8 * i
        if eighths < 4 * n:
            return math.cos(eighths * unit), math.sin(eighths * unit)
        return math.sin((8 * n - eighths) * unit), math.cos((8 * n - eighths) * unit)

    low = np.array([point(i % step) for i in range(n)])
    high = np.array([point(i - i % step) for i in range(n)])
    cosines: Doubles = low[:, 0] * high[:, 0] - low[:, 1] * high[:, 1]
    return cosines


def low_frequencies(pixels: Doubles, scale: int, side: int) -> Doubles:
    """Return the Haar transform at `side` rows and columns, of pixels (scale, scale) without their mean."""
    details = []
    for _ in range(scale.bit_length() - 1):
        pixels, *detail = _halved(pixels)
        details.append(detail)
    pixels = pixels * 0
    while details:
        pixels = _doubled(pixels, *details.pop())
    while len(pixels) > side:
        pixels = _halved(pixels)[0]
    return pixels


def _halved(x: Doubles) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Return low frequencies, and details of rows, of columns and of both."""
    even, odd = _HAAR * x[::2], _HAAR * x[1::2]
    parts = []
    for y in (odd + even, even - odd):
        left, right = _HAAR * y[:, ::2], _HAAR * y[:, 1::2]
        parts += [right + left, left - right]
    low, of_columns, of_rows, of_both = parts
    return low, of_rows, of_columns, of_both


def _doubled(low: Doubles, of_rows: Doubles, of_columns: Doubles, of_both: Doubles) -> Doubles:
    """Invert `_halved`."""
    n = 2 * len(low)
    halves = []
    for sums, differences in ((low, of_columns), (of_rows, of_both)):
        half = np.empty((len(low), n))
        np.add(_HAAR * sums, _HAAR * differences, out=half[:, ::2])
        np.subtract(_HAAR * sums, _HAAR * differences, out=half[:, 1::2])
        half *= _HAAR
        halves.append(half)
    x: Doubles = np.empty((n, n))
    np.add(halves[0], halves[1], out=x[::2])
    np.subtract(halves[0], halves[1], out=x[1::2])
    return x


def color_bits(luma: Codes, hue: Codes, saturation: Codes, digits: int) -> Booleans:
    """Return the bits of `color_hash` of planes (height, width)."""
    is_black = luma < 32
    is_gray = ~is_black & (saturation < 85)
    is_colored = ~(is_black | is_gray)
    # Edges of six equal bins from 0 to 255; the last one includes 255.
    edges = [0, 43, 85, 128, 170, 213]
    counts = [
        np.add.reduceat(np.bincount(hue[is_colored & of_kind], minlength=256), edges)
        for of_kind in (saturation < 170, saturation > 170)
    ]
    most = 1 << digits
    shares = np.concatenate(
        [
            [is_black.mean() * most, is_gray.mean() * most],
            np.concatenate(counts) * most / max(1, is_colored.sum()),
        ]
    )
    rounded = np.minimum(shares.astype(np.int64), most - 1)[:, None]
    shifts = np.arange(digits)
    return (rounded >> digits - 1 - shifts) % (1 << digits - shifts) > 0
