"""`ImageCodec`: photographs and other pictures, with or without losses."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fastcodes import _native
from fastcodes._typing import Array
from fastcodes._validation import as_array, as_bool, as_integer, as_option, as_real, described
from fastcodes.entropy._messages import as_data

__all__ = ["ImageCodec", "ImageInfo"]

_TUNES = ("psnr", "ms-ssim")
_LEAST_STEP, _LARGEST_STEP = 1 / 16, 16_384.0
_STEP_OF_QUALITY_0 = 256.0
_CLOSE = 0.99
"""A picture of this share of the bytes that it may have is close enough."""
_TRIALS = 12


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
    beside codes in one place: every bit of the format is documented, and the same picture gives the same
    bytes and the same pixels on every machine, at every level and for every number of threads. Where speed
    or a browser matters, take a production format: libjpeg-turbo is 50 to 100 times as fast.

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
        The step between two values of a coefficient, from 1/16 to 16,384; 512 steps in each octave exist. The
        mean squared error is about ``step ** 2 / 30`` at small steps.
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
            self._step = _STEP_OF_QUALITY_0 ** math.sqrt(1 - value / 100)

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
            What `decode` takes, 30 bytes of header and more included.

        Raises
        ------
        TypeError
            If the picture has another dtype.
        ValueError
            If it has another shape, 16 bits and losses, or does not fit `bpp` at any quality.
        """
        array = _as_image(image, lossless=self._step is None and self._bpp is None)
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
            If they are no bytes.
        ValueError
            If they are no picture, were cut or altered, or the picture is larger than `max_pixels`.
        """
        as_integer(reduce, "reduce", 0, 3)
        as_integer(max_pixels, "max_pixels", 1)
        array = as_data(data)
        height, width = self.inspect(array).shape[:2]
        if height * width > max_pixels:
            raise ValueError(
                f"data is a picture of {height} x {width} = {height * width:,} pixels, more than max_pixels = "
                f"{max_pixels:,}; if you trust it, give a larger max_pixels"
            )
        return _native.image_decode(array, reduce, threads)

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
            If they are no bytes.
        ValueError
            If they are no picture.
        """
        height, width, n_channels, n_bits, step, is_ms_ssim = _native.image_inspect(as_data(data))
        shape = (height, width) if n_channels == 1 else (height, width, n_channels)
        tune = None if step is None else _TUNES[is_ms_ssim]
        return ImageInfo(shape, np.dtype(f"uint{n_bits}"), step, tune)

    def _within(self, image: Array, bpp: float, threads: int | None) -> bytes:
        """Return the bytes of the smallest step, about, that are at most `bpp` bits per pixel."""
        most = bpp * image.shape[0] * image.shape[1] / 8
        best = b""
        # Between two steps whose pictures are too large and small enough, in logarithms: rates are about straight
        # lines there.
        low, high = math.log2(_LEAST_STEP), math.log2(_LARGEST_STEP)
        log_low, log_high = math.inf, -math.inf
        log_step = 4.0
        for trial in range(_TRIALS):
            data = _native.image_encode(image, 2.0**log_step, self._tune == "ms-ssim", threads)
            log_bytes = math.log2(len(data) / most)
            if log_bytes > 0:
                low, log_low = log_step, log_bytes
            else:
                high, log_high, best = log_step, log_bytes, data
                if len(data) >= _CLOSE * most or log_step == math.log2(_LEAST_STEP):
                    break
            if high - low < 1 / 256:
                break
            if trial == 0 or not math.isfinite(log_low) or not math.isfinite(log_high):
                # A step further; rates fall about as the inverse of the step.
                log_step += max(abs(log_bytes), 0.1) * (1.3 if log_bytes > 0 else -1.3)
            else:
                # A little to the side of those that are small enough.
                log_step = low + (high - low) * (log_low + 0.005) / (log_low - log_high)
                log_step = min(max(log_step, low + (high - low) / 16), high - (high - low) / 16)
            log_step = min(max(log_step, math.log2(_LEAST_STEP)), math.log2(_LARGEST_STEP))
        if not best:
            best = _native.image_encode(image, _LARGEST_STEP, self._tune == "ms-ssim", threads)
            if len(best) > most:
                least = 8 * len(best) / (image.shape[0] * image.shape[1])
                raise ValueError(f"bpp must be at least {least:.3g} for this picture; got {bpp:g}")
        return best


def _as_image(image: Any, *, lossless: bool) -> Array:
    array = as_array(image, "image")
    way = ""
    if array.dtype.kind == "f":
        way = "; for values from 0 to 1, np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)"
    elif array.dtype == bool:
        way = "; for masks, 255 * image.astype(np.uint8)"
    if array.dtype != np.uint8 and array.dtype != np.uint16:
        raise TypeError(f"image must be uint8, or uint16 without losses; got {described(array, image)}{way}")
    if array.ndim == 3 and array.shape[2] in (2, 4):
        raise ValueError(
            f"image must be (height, width) or (height, width, 3); got shape {array.shape}, which has an alpha "
            "channel: compress image[..., :3], and image[..., 3] by itself"
        )
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] != 3):
        raise ValueError(f"image must be (height, width) or (height, width, 3); got shape {array.shape}")
    if array.dtype == np.uint16 and (array.ndim == 3 or not lossless):
        raise ValueError(
            "an image of uint16 must be (height, width) and the codec ImageCodec(lossless=True); for 8 bits, "
            "(image >> 8).astype(np.uint8)"
        )
    return np.ascontiguousarray(array)
