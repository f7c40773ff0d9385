"""Structural similarity of images, at one scale and at several."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._typing import Doubles
from fastcodes.metrics._images import image_pair

__all__ = ["ms_ssim", "ssim"]

_WINDOW = 11
_HALF = _WINDOW // 2
_WEIGHTS = np.exp(-(np.arange(_HALF + 1) ** 2) / (2 * 1.5**2))  # of the middle and of each distance from it
_WEIGHTS /= _WEIGHTS[0] + 2 * _WEIGHTS[1:].sum()
_C1, _C2 = 0.01**2, 0.03**2  # for a data range of 1
_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first
_LEAST_SIDE = (_WINDOW - 1) * 2 ** (len(_EXPONENTS) - 1) + 1  # at the coarsest scale the window fits once
_ELEMENTS_PER_STEP = 1 << 15  # filtered at a time: the arrays of a step stay in the cache
_LARGEST = 1e6  # times the data range; squares of much larger numbers overflow


def ssim(reference: ArrayLike, image: ArrayLike, *, data_range: float | None = None) -> float:
    r"""Return the mean structural similarity of two images.

    Wang, Bovik, Sheikh and Simoncelli, *Image quality assessment: from error visibility to structural
    similarity*, IEEE Transactions on Image Processing 13, 2004, eq. 13:

    .. math:: \frac{(2\mu_a\mu_b + C_1)(2\sigma_{ab} + C_2)}
        {(\mu_a^2 + \mu_b^2 + C_1)(\sigma_a^2 + \sigma_b^2 + C_2)}

    in Gaussian windows of 11x11 pixels with a standard deviation of 1.5, averaged over all windows that lie
    within the image; :math:`C_1 = (0.01 L)^2` and :math:`C_2 = (0.03 L)^2` with the data range :math:`L`.

    Parameters
    ----------
    reference : array (h, w) or (h, w, 3)
        The original; both sides have at least 11 pixels. Of RGB images, the result is the mean over the
        channels, as in scikit-image; for that of Y, give ``luma(reference)``, ``luma(image)`` and
        ``data_range=255``.
    image : array of the same shape
        The decoded image.
    data_range : float, optional
        See `psnr`.

    Returns
    -------
    float
        At most 1, which equal images have.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If the shapes differ or are not those of an image, the image is too small, some elements are not
        finite, or `data_range` is missing or not positive.

    Notes
    -----
    Equal to ``skimage.metrics.structural_similarity(reference, image, gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=data_range, channel_axis=-1)``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import metrics
    >>> image = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    >>> metrics.ssim(image, image)
    1.0
    >>> round(metrics.ssim(image, image // 2), 3)
    0.64
    """
    channels = list(_channels(reference, image, data_range, _WINDOW, "ssim"))
    return float(np.mean([_similarities(a, b)[0] for a, b in channels]))


def ms_ssim(reference: ArrayLike, image: ArrayLike, *, data_range: float | None = None) -> float:
    r"""Return the multi-scale structural similarity of two images.

    Wang, Simoncelli and Bovik, *Multi-scale structural similarity for image quality assessment*, Asilomar
    2003, eq. 7: the product over five scales of the mean contrast and structure
    :math:`(2\sigma_{ab} + C_2) / (\sigma_a^2 + \sigma_b^2 + C_2)`, at the coarsest scale of `ssim`, with the
    published exponents .0448, .2856, .3001, .2363 and .1333. Each scale has the means of 2x2 pixels of the
    one before; of an odd side, the last pixel counts twice.

    Parameters
    ----------
    reference : array (h, w) or (h, w, 3)
        The original; both sides have at least 161 pixels. Of RGB images, the result is the mean over the
        channels; for that of Y, give ``luma(reference)``, ``luma(image)`` and ``data_range=255``. Both are
        in use: state which one you give.
    image : array of the same shape
        The decoded image.
    data_range : float, optional
        See `psnr`.

    Returns
    -------
    float
        From 0 to 1, which equal images have. A negative mean, which only unrelated images have, counts as 0.

    Raises
    ------
    TypeError
        If an argument does not hold real numbers.
    ValueError
        If the shapes differ or are not those of an image, the image is too small, some elements are not
        finite, or `data_range` is missing or not positive.

    Notes
    -----
    Differences are easier to see in decibels, ``-10 * np.log10(1 - ms_ssim(...))``, which is also the
    quality to give to `bd_rate`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import metrics
    >>> image = np.random.default_rng(0).integers(0, 256, (176, 200), dtype=np.uint8)
    >>> metrics.ms_ssim(image, image)
    1.0
    >>> round(metrics.ms_ssim(image, image // 2), 3)
    0.818
    """
    means = []
    for a, b in _channels(reference, image, data_range, _LEAST_SIDE, "ms_ssim"):
        product = 1.0
        for scale, exponent in enumerate(_EXPONENTS):
            if scale:
                a, b = _halved(a), _halved(b)
            full, contrast = _similarities(a, b)
            is_coarsest = scale == len(_EXPONENTS) - 1
            product *= max(full if is_coarsest else contrast, 0.0) ** exponent
        means.append(product)
    return float(np.mean(means))


def _channels(
    reference: ArrayLike, image: ArrayLike, data_range: float | None, least: int, name: str
) -> Iterator[tuple[Doubles, Doubles]]:
    """Yield the channels of both images, for a data range of 1."""
    a, b, peak = image_pair(reference, image, data_range)
    if a.ndim not in (2, 3) or (a.ndim == 3 and a.shape[2] not in (1, 3)):
        raise ValueError(
            f"reference must be one image, (h, w) or (h, w, 3); got {a.shape}. "
            f"For several images, call {name} for each"
        )
    if min(a.shape[:2]) < least:
        raise ValueError(
            f"reference has {a.shape[0]}x{a.shape[1]} pixels, too few for {name}; expected at least "
            f"{least}x{least}"
        )
    for argument, array in (("reference", a), ("image", b)):
        largest = max(abs(float(array.min())), abs(float(array.max())))
        if largest > _LARGEST * peak:
            raise ValueError(
                f"{argument} has values up to {largest:.3g}, which do not fit data_range={peak:g}; "
                "expected the difference between the largest and the smallest possible value"
            )
    for channel in range(a.shape[2] if a.ndim == 3 else 1):
        of_a, of_b = (x if x.ndim == 2 else x[..., channel] for x in (a, b))
        yield np.divide(of_a, peak, dtype=np.float64), np.divide(of_b, peak, dtype=np.float64)


def _similarities(a: Doubles, b: Doubles) -> tuple[float, float]:
    """Return the mean similarity, and that of contrast and structure alone."""
    height, width = a.shape[0] - 2 * _HALF, a.shape[1] - 2 * _HALF
    full = contrast = 0.0
    n_rows = max(1, _ELEMENTS_PER_STEP // a.shape[1])
    for start in range(0, height, n_rows):
        rows = slice(start, min(start + n_rows, height) + 2 * _HALF)
        of_a, of_b = a[rows], b[rows]
        mean_a, mean_b = _filtered(of_a), _filtered(of_b)
        products, squares = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
        # Variances occur as a sum only, so that four maps are filtered and not five.
        variances = _filtered(of_a * of_a + of_b * of_b) - squares
        covariances = _filtered(of_a * of_b) - products
        contrasts = (2 * covariances + _C2) / (variances + _C2)
        contrast += float(contrasts.sum())
        full += float((contrasts * ((2 * products + _C1) / (squares + _C1))).sum())
    return full / (height * width), contrast / (height * width)


def _filtered(x: Doubles) -> Doubles:
    """Return the means of all windows within an image."""
    return _along_columns(_along_columns(x).T).T


def _along_columns(x: Doubles) -> Doubles:
    n = len(x) - 2 * _HALF
    means: Doubles = _WEIGHTS[0] * x[_HALF : _HALF + n]
    part = np.empty_like(means)
    for distance, weight in enumerate(_WEIGHTS[1:], 1):
        np.add(
            x[_HALF - distance : _HALF - distance + n], x[_HALF + distance : _HALF + distance + n], out=part
        )
        part *= weight
        means += part
    return means


def _halved(x: Doubles) -> Doubles:
    """Return the means of 2x2 pixels."""
    if x.shape[0] % 2 or x.shape[1] % 2:
        x = np.pad(x, [(0, size % 2) for size in x.shape], mode="edge")
    rows = x[::2] + x[1::2]
    halved: Doubles = (rows[:, ::2] + rows[:, 1::2]) / 4
    return halved
