"""The linear transform of thumbnails: pixels to uncorrelated coefficients, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fastcodes import _files
from fastcodes._linalg import oriented
from fastcodes._typing import Array, Codes, Doubles, Floats

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Transform"]

# Integers in float64, whose products are exact in any order while sums stay below 2**53.
_SCALE = 1 << 24  # of elements of the matrix
_VECTOR_SCALE = 1 << 15  # of stored vectors
_PIXEL_SCALE = 16  # of pixels and coefficients
_PICTURES_PER_BLOCK = 512
# Orthonormal: luminance, and the differences of red and blue and of green and both.
_COLORS = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])


def _cosines(n: int) -> Doubles:
    """Return the orthonormal discrete cosine transform, a frequency in each row."""
    angles = np.outer(np.arange(n), 2 * np.arange(n) + 1) * (np.pi / (2 * n))
    waves: Doubles = np.cos(angles) * np.sqrt(2 / n)
    waves[0] /= np.sqrt(2)
    return waves


class Transform:
    """The Karhunen-Loève transform of pictures, within their strongest frequencies.

    Few frequencies hold nearly all energy of a thumbnail. Vectors of these few are small, and are estimated
    better than vectors of all pixels.

    Parameters
    ----------
    shape : tuple of int
        Height, width and channels of a picture; three channels are red, green and blue.
    mean : int16 array (n_pixels,)
        The mean picture, in sixteenths.
    waves : uint16 array (n_waves,)
        Which cosines of which color the vectors combine: ``(row * width + column) * channels + color``.
    vectors : int16 array (n_coefficients, n_waves)
        The vectors, times 2**15, the one of most energy first.
    """

    def __init__(self, shape: tuple[int, ...], mean: Array, waves: Array, vectors: Array) -> None:
        self.shape = shape
        self.mean, self.waves, self.vectors = mean, waves, vectors

    @classmethod
    def fit(cls, pictures: Codes, n_waves: int, n_coefficients: int) -> Self:
        """Return the transform of given pictures (n, height, width, channels)."""
        shape = pictures.shape[1:]
        n, n_pixels = len(pictures), int(np.prod(shape))
        mean = pictures.reshape(n, n_pixels).mean(axis=0)
        squares = np.zeros(n_pixels)
        for spectra in _spectra(pictures, mean):
            squares += np.einsum("nf,nf->f", spectra, spectra, dtype=np.float64)
        waves = np.sort(np.argsort(-squares, kind="stable")[:n_waves])
        products = np.zeros((len(waves),) * 2)
        for spectra in _spectra(pictures, mean):
            chosen = spectra[:, waves]
            products += chosen.T @ chosen
        vectors = oriented(np.linalg.eigh(products)[1])[:, ::-1].T[:n_coefficients]
        return cls(
            shape,
            np.rint(mean * _PIXEL_SCALE).astype(np.int16),
            waves.astype(np.uint16),
            np.clip(np.rint(vectors * _VECTOR_SCALE), -_VECTOR_SCALE, _VECTOR_SCALE - 1).astype(np.int16),
        )

    @property
    def n_coefficients(self) -> int:
        return len(self.vectors)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_matrix"}

    @cached_property
    def _matrix(self) -> Doubles:
        """Return the vectors as pictures (n_pixels, n_coefficients): integers, times 2**24."""
        height, width, channels = self.shape
        row, rest = np.divmod(self.waves.astype(np.int64), width * channels)
        column, color = np.divmod(rest, channels)
        colors = _COLORS if channels == 3 else np.ones((1, 1))
        pictures = np.einsum(
            "fi,fj,fc->ijcf", _cosines(height)[row], _cosines(width)[column], colors[color], optimize=True
        )
        pictures = np.rint(pictures.reshape(-1, len(self.waves)) * _SCALE)
        matrix: Doubles = np.rint(pictures @ self._orthonormal().T / _SCALE)
        return matrix

    @property
    def squares(self) -> Doubles:
        """The squared lengths of the vectors, float64 (n_coefficients,): nearly one."""
        squares: Doubles = np.einsum("pk,pk->k", self._matrix, self._matrix) / _SCALE**2
        return squares

    def _orthonormal(self) -> Doubles:
        """Return the vectors, which were rounded, as integers times 2**24 that are orthonormal again.

        A step of Newton's iteration for the polar factor, ``(3 I - V V') V / 2``, in integers.
        """
        vectors = self.vectors.astype(np.float64)
        products = vectors @ vectors.T
        factors = np.rint(
            (3 * np.eye(len(vectors)) * _VECTOR_SCALE**2 - products) / (_VECTOR_SCALE**2 / _SCALE)
        )
        orthonormal: Doubles = np.rint(factors @ vectors / (2 * _VECTOR_SCALE))
        return orthonormal

    def forward(self, pictures: Codes) -> Floats:
        """Return the coefficients float32 (n, n_coefficients) of pictures (n, height, width, channels)."""
        out = np.empty((len(pictures), self.n_coefficients), np.float32)
        for rows, centered in self._centered(pictures):
            out[rows] = centered @ self._matrix / (_PIXEL_SCALE * _SCALE)
        return out

    def energies(self, pictures: Codes) -> Doubles:
        """Return the squared distances of pictures to the mean picture, float64 (n,)."""
        out = np.empty(len(pictures))
        for rows, centered in self._centered(pictures):
            out[rows] = np.einsum("np,np->n", centered, centered) / _PIXEL_SCALE**2
        return out

    def _centered(self, pictures: Codes) -> Iterator[tuple[slice, Doubles]]:
        for start in range(0, len(pictures), _PICTURES_PER_BLOCK):
            block = pictures[start : start + _PICTURES_PER_BLOCK]
            centered = np.multiply(block.reshape(len(block), -1), float(_PIXEL_SCALE))
            centered -= self.mean
            yield slice(start, start + len(block)), centered

    def backward(self, coefficients: Array) -> Codes:
        """Return the pictures uint8 (n, height, width, channels) of coefficients (n, n_coefficients).

        All sums are of integers: pictures are the same on every machine that rounds the cosines of `_matrix`
        alike. `np.cos` may differ in the last bit; a test pins that no cosine of the pretrained model is so
        near to half an integer that this matters.
        """
        out = np.empty((len(coefficients), *self.shape), np.uint8)
        columns = self._matrix[:, : coefficients.shape[1]].T
        for start in range(0, len(coefficients), _PICTURES_PER_BLOCK):
            block = np.rint(coefficients[start : start + _PICTURES_PER_BLOCK] * float(_PIXEL_SCALE))
            pixels = block @ columns
            pixels *= 1 / _SCALE
            pixels += self.mean + _PIXEL_SCALE / 2
            pixels *= 1 / _PIXEL_SCALE
            np.clip(pixels, 0, 255.5, out=pixels)
            out[start : start + len(block)] = pixels.reshape(len(block), *self.shape)
        return out

    def to_arrays(self) -> dict[str, Array]:
        return {"mean": self.mean, "waves": self.waves, "vectors": self.vectors}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], shape: tuple[int, ...], most_waves: int, n_coefficients: int
    ) -> Self:
        """Return the transform of arrays of a file, or raise a ValueError."""
        n_pixels = int(np.prod(shape))
        mean = _files.take(arrays, "mean", np.int16, (n_pixels,))
        waves = _files.take(arrays, "waves", np.uint16, ("waves",))
        if waves.size and int(waves.max()) >= n_pixels:
            raise ValueError(f"waves has {waves.max()}; there are {n_pixels}")
        if len(waves) > most_waves or (np.diff(waves.astype(np.int64)) <= 0).any():
            raise ValueError(f"waves are {len(waves)}; expected at most {most_waves}, which ascend")
        vectors = _files.take(arrays, "vectors", np.int16, (n_coefficients, len(waves)))
        return cls(shape, mean, waves, vectors)


def _spectra(pictures: Codes, mean: Doubles) -> Iterator[Floats]:
    """Yield the cosine transforms float32 (n, n_pixels) of pictures less the mean, a block at a time."""
    height, width, channels = pictures.shape[1:]
    rows, columns = (_cosines(n).astype(np.float32) for n in (height, width))
    colors = (_COLORS if channels == 3 else np.ones((1, 1))).astype(np.float32)
    mean32 = mean.astype(np.float32)
    for start in range(0, len(pictures), _PICTURES_PER_BLOCK):
        block = pictures[start : start + _PICTURES_PER_BLOCK]
        n = len(block)
        x = block.reshape(n, -1) - mean32
        x = (x.reshape(-1, channels) @ colors.T).reshape(n, height, width * channels)
        x = (rows @ x).reshape(n, height, width, channels).transpose(0, 1, 3, 2)
        x = np.ascontiguousarray(x).reshape(-1, width) @ columns.T
        spectra = x.reshape(n, height, channels, width).transpose(0, 1, 3, 2)
        yield np.ascontiguousarray(spectra, np.float32).reshape(n, -1)
