"""Size and error of coded images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._typing import Array, Doubles
from fastcodes._validation import as_integer, as_list, as_numbers, as_real

__all__ = ["bits_per_pixel", "compression_ratio", "image_pair", "luma", "psnr"]

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in JPEG


# --- size ---------------------------------------------------------------------------------------------------


def bits_per_pixel(n_bytes: int, shape: Sequence[int]) -> float:
    """Return the rate of a coded image in bits per pixel.

    All bytes of a file count, headers and tables included: give ``len(data)``, or the size of the file. On
    small images they matter: a JPEG file of 32x32 pixels has about 600 bytes besides the coded pixels.

    Parameters
    ----------
    n_bytes : int
        Bytes of the coded image, from 0 up.
    shape : tuple of int
        The shape of the image, (h, w) or (h, w, channels). A pixel is one place, whatever its channels.

    Returns
    -------
    float
        ``8 * n_bytes / (h * w)``. An RGB image of uint8 has 24.

    Raises
    ------
    TypeError
        If an argument is not an integer, or `shape` is not a sequence of them.
    ValueError
        If one is negative, `shape` does not have 2 or 3 axes, or the image has no pixels.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> metrics.bits_per_pixel(12288, (512, 768, 3))
    0.25
    """
    height, width, _ = _shape(shape)
    return 8 * as_integer(n_bytes, "n_bytes", 0) / (height * width)


def compression_ratio(n_bytes: int, shape: Sequence[int]) -> float:
    """Return how many times larger an image is before it is coded, at one byte per sample.

    All bytes of a file count, as in `bits_per_pixel`.

    Parameters
    ----------
    n_bytes : int
        Bytes of the coded image, from 1 up.
    shape : tuple of int
        The shape of the image, (h, w) or (h, w, channels).

    Returns
    -------
    float
        ``math.prod(shape) / n_bytes``.

    Raises
    ------
    TypeError
        If an argument is not an integer, or `shape` is not a sequence of them.
    ValueError
        If `n_bytes` is less than 1, `shape` does not have 2 or 3 axes, or the image has no pixels.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> metrics.compression_ratio(12288, (512, 768, 3))
    96.0
    """
    return math.prod(_shape(shape)) / as_integer(n_bytes, "n_bytes", 1)


def _shape(shape: Sequence[int]) -> tuple[int, int, int]:
    sizes = [as_integer(size, "shape", 1, 2**31 - 1) for size in as_list(shape, "shape", "integers")]
    if len(sizes) not in (2, 3):
        raise ValueError(f"shape must be (h, w) or (h, w, channels); got {len(sizes)} numbers")
    return sizes[0], sizes[1], sizes[2] if len(sizes) == 3 else 1


# --- error --------------------------------------------------------------------------------------------------


def psnr(reference: ArrayLike, image: ArrayLike, *, data_range: float | None = None) -> float:
    r"""Return the peak signal-to-noise ratio of an image, in decibels.

    :math:`10 \log_{10}(L^2 / \mathrm{MSE})`, where :math:`L` is `data_range` and the mean squared error is
    taken over all elements: of an RGB image over its three channels.

    Parameters
    ----------
    reference : array of any shape
        The original.
    image : array of the same shape
        The decoded image.
    data_range : float, optional
        The difference between the largest and the smallest possible value, above 0. By default 255 for
        uint8 and 65535 for uint16; other dtypes, or two different ones, need it.

    Returns
    -------
    float
        Infinity for equal images.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If the shapes differ, there are no elements, some are not finite, or `data_range` is missing or not
        positive.

    See Also
    --------
    luma : PSNR of Y, the usual one of codecs that store colour at half the resolution, is
        ``psnr(luma(reference), luma(image), data_range=255)``.

    Notes
    -----
    Several images in one array have one mean squared error, as in scikit-image. Results over a set of images
    are usually the mean of the PSNR of each image, which is another figure: on photographs of 32x32 pixels
    it is about 0.6 dB higher. State which one you give. For the mean of each::

        np.mean([psnr(a, b) for a, b in zip(references, images)])

    Equal to ``skimage.metrics.peak_signal_noise_ratio(reference, image, data_range=data_range)``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import metrics
    >>> grey = np.full((8, 8), 100, np.uint8)
    >>> round(metrics.psnr(grey, grey + np.uint8(1)), 2)
    48.13
    """
    a, b, peak = image_pair(reference, image, data_range)
    if not a.size:
        raise ValueError(f"reference has no elements (shape {a.shape}); expected at least one")
    with np.errstate(over="ignore", under="ignore"):
        error = float(np.mean(np.square(np.subtract(a, b, dtype=np.float64))))
    if error == 0:
        return math.inf
    return 20 * math.log10(peak) - (10 * math.log10(error) if error < math.inf else math.inf)


def luma(image: ArrayLike) -> Doubles:
    """Return the luma Y of RGB images, as in JPEG: 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).

    Parameters
    ----------
    image : array (..., 3)
        Red, green and blue, in any dtype of real numbers and any range.

    Returns
    -------
    float64 array (...)
        In the range of `image`, not rounded.

    Raises
    ------
    TypeError
        If `image` does not hold real numbers.
    ValueError
        If its last axis does not have three elements.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import metrics
    >>> metrics.luma(np.array([[[255, 0, 0], [255, 255, 255]]], np.uint8)).round(3)
    array([[ 76.245, 255.   ]])
    """
    array = as_numbers(image, "image")
    if not array.ndim or array.shape[-1] != 3:
        raise ValueError(f"image must have shape (..., 3), red, green and blue last; got {array.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        weighted: Doubles = array.astype(np.float64) @ _LUMA
    return weighted


# --- validation ---------------------------------------------------------------------------------------------


def image_pair(
    reference: ArrayLike, image: ArrayLike, data_range: float | None
) -> tuple[Array, Array, float]:
    """Return two arrays of the same shape with finite elements, and their data range."""
    a, b = as_numbers(reference, "reference"), as_numbers(image, "image")
    if a.shape != b.shape:
        raise ValueError(f"image has shape {b.shape} and reference has {a.shape}; expected the same shape")
    for name, array in (("reference", a), ("image", b)):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} has elements that are NaN or infinite; expected finite numbers")
    if data_range is not None:
        return a, b, as_real(data_range, "data_range", above=0)
    dtypes = {a.dtype.newbyteorder("="), b.dtype.newbyteorder("=")}
    if len(dtypes) == 1 and dtypes <= {np.dtype(np.uint8), np.dtype(np.uint16)}:
        return a, b, float(np.iinfo(a.dtype).max)
    raise ValueError(
        f"data_range must be given unless both images are uint8 or both uint16; got None for {a.dtype} and "
        f"{b.dtype}. It is the difference between the largest and the smallest possible value, such as 1.0"
    )
