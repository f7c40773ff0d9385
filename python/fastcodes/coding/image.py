"""`ImageCodec`: photographs and other pictures, with or without losses."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fastcodes import _native
from fastcodes._typing import Array
from fastcodes._validation import as_bool, as_integer, as_option, as_real
from fastcodes.coding._pictures import LONGEST_SIDE, as_image
from fastcodes.entropy._messages import as_data

__all__ = ["ImageCodec", "ImageInfo"]

_TUNES = ("psnr", "ms-ssim")
_LEAST_STEP, _LARGEST_STEP = 1 / 16, 16_384.0
_STEP_OF_QUALITY_0 = 256.0
_CLOSE = 0.99
"""A picture of this share of the bytes that it may have is close enough."""
_TRIALS = 12
_MOST_PIXELS = LONGEST_SIDE**2


class ImageInfo(NamedTuple):
    """What the first bytes of a compressed picture say.

    Attributes
    ----------
    shape : tuple of int
        ``(height, width)`` or ``(height, width, 3)``.
    dtype : numpy.dtype
        uint8 or uint16.
    step : float or None
        The step between two values of a coefficient; None for a picture without losses.
    tune : str or None
        "psnr" or "ms-ssim"; None for a picture without losses.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    step: float | None
    tune: str | None


class ImageCodec:
    """Compression of grey and color pictures in few bytes, or without losses.

    Pictures take about half the bytes of JPEG at the same PSNR, and fewer than WebP and JPEG 2000; without
    losses, fewer than PNG, WebP and JPEG 2000. It is for archives, for studies of codecs, and for pictures
    beside codes in one place: the container is documented byte by byte, and a picture and a step give the
    same bytes and the same pixels on every machine and for every number of threads. Where speed or a browser
    matters, take a production format: libjpeg-turbo is 50 to 100 times as fast.

    A picture becomes luma and two color differences, the bands of a wavelet transform, and integers that
    are chosen by squared error and bits together. Each integer is written as binary decisions by an
    arithmetic coder, whose probabilities mix eight predictions from what is known around it. Tiles of at most
    512 x 512 pixels are coded side by side; transforms ignore them, so that no edges are seen.

    Parameters
    ----------
    quality : float, optional
        From 0 to 100: the step ``256 ** sqrt(1 - quality / 100)``. 75 by default, if neither `bpp` nor `step`
        nor `lossless` is given.
    bpp : float, optional
        Bits per pixel: the largest quality is found whose bytes, header included, are at most as many. As a
        rule they are less than 1 % fewer; it takes up to twelve times as long.
    step : float, optional
        The step between two values of a coefficient, from 1/16 to 16,384; 256 steps in each octave exist. At
        small steps the mean squared error is about ``step ** 2 / 12`` for color pictures, and a third of that
        for grey ones; at large steps it is less.
    lossless : bool
        Whether the same pixels come back. Takes no other parameter.
    tune : {"psnr", "ms-ssim"}
        What a lossy picture should be close in: squared error, or the multi-scale structural similarity of
        luma, for which errors cost less where the picture has contrast, and colors less than luma.

    See Also
    --------
    fastcodes.metrics : `psnr`, `ssim`, `ms_ssim`, `bits_per_pixel`, `bd_rate`.

    Notes
    -----
    The 9/7 wavelet is that of Cohen, Daubechies and Feauveau, as in JPEG 2000 (ITU-T T.800); without losses,
    the 5/3 of Le Gall and Tabatabai after the color transform YCoCg-R. Mixing of binary predictions follows
    Mahoney's PAQ. The order of bytes is documented in ``rust/core/src/image/header.rs``; pictures of this
    version will always be read.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.coding import ImageCodec
    >>> x, y = np.meshgrid(np.arange(256), np.arange(192))
    >>> image = np.stack([x, y, (x + y) // 2], axis=-1).astype(np.uint8)
    >>> codec = ImageCodec(quality=75)
    >>> data = codec.encode(image)
    >>> len(data) < image.size // 100
    True
    >>> decoded = codec.decode(data)
    >>> decoded.shape, bool(np.abs(decoded.astype(int) - image).max() < 16)
    ((192, 256, 3), True)
    >>> codec.decode(data, reduce=2).shape
    (48, 64, 3)
    >>> exact = ImageCodec(lossless=True)
    >>> bool((exact.decode(exact.encode(image)) == image).all())
    True
    """

    def __init__(
        self,
        quality: float | None = None,
        *,
        bpp: float | None = None,
        step: float | None = None,
        lossless: bool = False,
        tune: str = "psnr",
    ) -> None:
        given = {"quality": quality, "bpp": bpp, "step": step}
        names = [name for name, value in given.items() if value is not None]
        if as_bool(lossless, "lossless"):
            names.append("lossless")
        if len(names) > 1:
            raise ValueError(f"give one of quality, bpp, step and lossless; got {' and '.join(names)}")
        self._tune = as_option(tune, "tune", _TUNES)
        self._bpp = None if bpp is None else as_real(bpp, "bpp", above=0)
        self._step: float | None = None
        if step is not None:
            self._step = as_real(step, "step", at_least=_LEAST_STEP, at_most=_LARGEST_STEP)
        elif not names or quality is not None:
            value = 75.0 if quality is None else as_real(quality, "quality", at_least=0, at_most=100)
            self._step = step_of_quality(value)

    def __repr__(self) -> str:
        """Return the parameters."""
        if self._bpp is not None:
            return f"ImageCodec(bpp={self._bpp:g}, tune={self._tune!r})"
        if self._step is None:
            return "ImageCodec(lossless=True)"
        return f"ImageCodec(step={self._step:g}, tune={self._tune!r})"

    def encode(self, image: Any, *, threads: int | None = None) -> bytes:
        """Compress a picture.

        Parameters
        ----------
        image : array_like of uint8 (height, width) or (height, width, 3)
            Grey, or red, green and blue; sides from 1 to 65,535. Without losses also uint16 (height, width).
        threads : int, optional
            Largest number of threads; None means all CPUs of this process.

        Returns
        -------
        bytes
            What `decode` takes, with a header of 24 to 31 bytes, and 4 or more for each further tile.

        Raises
        ------
        TypeError
            If the picture has another dtype.
        ValueError
            If it has another shape, 16 bits and losses, or does not fit `bpp` at any quality.
        """
        array = as_image(image, lossless=self._step is None and self._bpp is None)
        if self._bpp is None:
            return _native.image_encode(array, self._step, self._tune == "ms-ssim", threads)
        return self._within(array, self._bpp, threads)

    def decode(
        self, data: Any, *, reduce: int = 0, max_pixels: int = 1 << 27, threads: int | None = None
    ) -> Array:
        """Return the picture of these bytes, whatever the parameters of this codec are.

        Parameters
        ----------
        data : bytes-like
            What `encode` returned. To decode at a lower resolution, the first bytes are enough.
        reduce : int
            How often both sides are halved, from 0 to 3.
        max_pixels : int
            The largest picture that is decoded, in pixels before sides are halved. Decoding takes about 50
            bytes for each.
        threads : int, optional
            Largest number of threads; None means all CPUs of this process.

        Returns
        -------
        uint8 array (height, width) or (height, width, 3), or uint16 array (height, width)

        Raises
        ------
        TypeError
            If `data` is not bytes-like.
        ValueError
            If they are no picture, were cut or altered, or the picture is larger than `max_pixels`.
        """
        as_integer(reduce, "reduce", 0, 3)
        as_integer(max_pixels, "max_pixels", 1, _MOST_PIXELS)
        return _native.image_decode(as_data(data), reduce, max_pixels, threads)

    @staticmethod
    def inspect(data: Any) -> ImageInfo:
        """Return what the first bytes of a compressed picture say, without decoding it.

        Parameters
        ----------
        data : bytes-like
            What `encode` returned.

        Returns
        -------
        ImageInfo

        Raises
        ------
        TypeError
            If `data` is not bytes-like.
        ValueError
            If they are no picture.
        """
        height, width, n_channels, n_bits, step, is_ms_ssim = _native.image_inspect(as_data(data))
        shape = (height, width) if n_channels == 1 else (height, width, n_channels)
        tune = None if step is None else _TUNES[is_ms_ssim]
        return ImageInfo(shape, np.dtype(f"uint{n_bits}"), step, tune)

    def _within(self, image: Array, bpp: float, threads: int | None) -> bytes:
        """Return the bytes of the smallest step, about, that are at most `bpp` bits per pixel."""
        n_pixels = image.shape[0] * image.shape[1]
        best = b""
        # Between two steps whose pictures are too large and small enough, in logarithms: rates are about
        # straight lines there.
        low, high = math.log2(_LEAST_STEP), math.log2(_LARGEST_STEP)
        excess_low, excess_high = math.inf, -math.inf
        log_step = 4.0
        for trial in range(_TRIALS):
            data = _native.image_encode(image, 2.0**log_step, self._tune == "ms-ssim", threads)
            excess = math.log2(8 * len(data) / n_pixels) - math.log2(bpp)
            if excess > 0:
                low, excess_low = log_step, excess
            else:
                high, excess_high, best = log_step, excess, data
                if excess >= math.log2(_CLOSE) or log_step == math.log2(_LEAST_STEP):
                    break
            if high - low < 1 / 256:
                break
            if trial == 0 or not math.isfinite(excess_low) or not math.isfinite(excess_high):
                # A step further; rates fall about as the inverse of the step.
                log_step += max(abs(excess), 0.1) * (1.3 if excess > 0 else -1.3)
            else:
                # A little to the side of those that are small enough.
                log_step = low + (high - low) * (excess_low + 0.005) / (excess_low - excess_high)
                log_step = min(max(log_step, low + (high - low) / 16), high - (high - low) / 16)
            log_step = min(max(log_step, math.log2(_LEAST_STEP)), math.log2(_LARGEST_STEP))
        if not best:
            best = _native.image_encode(image, _LARGEST_STEP, self._tune == "ms-ssim", threads)
            least = 8 * len(best) / n_pixels
            if least > bpp:
                raise ValueError(f"bpp must be at least {least:.3g} for this picture; got {bpp:g}")
        return best


def step_of_quality(quality: float) -> float:
    """Return the step of a quality from 0 to 100."""
    return float(_STEP_OF_QUALITY_0 ** math.sqrt(1 - quality / 100))
