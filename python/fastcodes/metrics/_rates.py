"""Bjontegaard's differences of rate-distortion curves."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._typing import Doubles
from fastcodes._validation import as_numbers, as_option

__all__ = ["bd_psnr", "bd_rate"]

_LEAST_POINTS = {"pchip": 2, "cubic": 4}


def bd_rate(
    rates_a: ArrayLike,
    qualities_a: ArrayLike,
    rates_b: ArrayLike,
    qualities_b: ArrayLike,
    *,
    method: str = "pchip",
) -> float:
    """Return how much more rate codec b takes than codec a at equal quality, in percent.

    Bjontegaard, *Calculation of average PSNR differences between RD-curves*, VCEG-M33, 2001: the mean
    difference of the logarithms of the rates, over the qualities that both curves reach.

    Parameters
    ----------
    rates_a : array (n,)
        Rates of codec a, the one to compare with, in any unit; in any order.
    qualities_a : array (n,)
        The quality at each of them, such as PSNR in dB. It must grow with the rate. Give MS-SSIM in decibels:
        ``-10 * np.log10(1 - values)``.
    rates_b : array (m,)
        Rates of codec b, in the same unit.
    qualities_b : array (m,)
        The quality at each of them.
    method : {"pchip", "cubic"}
        How points are joined: by a monotone piecewise cubic (Fritsch and Butland, *A method for constructing
        local monotone piecewise cubic interpolants*, 1984), which is the method of the common test conditions
        of JCT-VC and takes 2 points or more; or by one polynomial of degree three, as in VCEG-M33, of 4
        points or more.

    Returns
    -------
    float
        Negative if b takes less: -50 means half the rate of a.

    Raises
    ------
    TypeError
        If an array does not hold real numbers.
    ValueError
        If an array is not one-dimensional, two lengths differ, there are too few points, a rate is not
        positive, a number is not finite, quality does not grow with the rate, no quality is reached by both,
        or `method` is unknown.

    Notes
    -----
    Over several images, the usual figure is the mean of the BD-rates of each image, not the BD-rate of the
    mean curves. The curves should overlap in most of their range: the result says nothing of the rest.

    Equal to ``bjontegaard.bd_rate(rates_a, qualities_a, rates_b, qualities_b, method=method)``.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> rates, qualities = [0.25, 0.5, 1.0, 2.0], [28.0, 31.0, 34.5, 38.0]
    >>> round(metrics.bd_rate(rates, qualities, [0.2, 0.4, 0.8, 1.6], qualities), 3)
    -20.0
    """
    a, b = _curve(rates_a, qualities_a, "a", method), _curve(rates_b, qualities_b, "b", method)
    difference = _mean_difference((a[1], a[0]), (b[1], b[0]), method, "qualities")
    with np.errstate(over="ignore"):
        return float(100 * np.expm1(difference))


def bd_psnr(
    rates_a: ArrayLike,
    qualities_a: ArrayLike,
    rates_b: ArrayLike,
    qualities_b: ArrayLike,
    *,
    method: str = "pchip",
) -> float:
    """Return how much higher the quality of codec b is than that of codec a at equal rate.

    Bjontegaard, VCEG-M33, 2001: the mean difference of the qualities, over the logarithms of the rates that
    both curves have.

    Parameters
    ----------
    rates_a, qualities_a, rates_b, qualities_b : array
        Points of both curves: see `bd_rate`.
    method : {"pchip", "cubic"}
        See `bd_rate`.

    Returns
    -------
    float
        In the unit of the qualities: decibels for PSNR. Negative if b is worse.

    Raises
    ------
    TypeError, ValueError
        As in `bd_rate`.

    Notes
    -----
    Equal to ``bjontegaard.bd_psnr(rates_a, qualities_a, rates_b, qualities_b, method=method)``.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> rates = [0.25, 0.5, 1.0, 2.0]
    >>> round(metrics.bd_psnr(rates, [28.0, 31.0, 34.5, 38.0], rates, [29.0, 32.0, 35.5, 39.0]), 3)
    1.0
    """
    a, b = _curve(rates_a, qualities_a, "a", method), _curve(rates_b, qualities_b, "b", method)
    return _mean_difference(a, b, method, "rates")


def _curve(rates: ArrayLike, qualities: ArrayLike, name: str, method: str) -> tuple[Doubles, Doubles]:
    """Return the logarithms of rates in ascending order, and their qualities."""
    least = _LEAST_POINTS[as_option(method, "method", _LEAST_POINTS)]
    x, y = _points(rates, f"rates_{name}"), _points(qualities, f"qualities_{name}")
    if len(x) != len(y):
        raise ValueError(
            f"qualities_{name} has {len(y)} numbers and rates_{name} has {len(x)}; expected as many"
        )
    if len(x) < least:
        raise ValueError(f'rates_{name} has {len(x)} points; expected at least {least} for method="{method}"')
    if x.min() <= 0:
        raise ValueError(f"rates_{name} has {x.min():g}; expected rates above 0")
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    is_wrong = (np.diff(np.log(x)) <= 0) | (np.diff(y) <= 0)
    if is_wrong.any():
        i = int(is_wrong.argmax())
        raise ValueError(
            f"qualities_{name} must grow with the rate; got {y[i]:g} at rate {x[i]:g} and {y[i + 1]:g} at "
            f"rate {x[i + 1]:g}. Leave out points where a codec is worse than at a lower rate"
        )
    return np.log(x), y


def _points(values: ArrayLike, name: str) -> Doubles:
    numbers = as_numbers(values, name)
    if numbers.ndim != 1:
        raise ValueError(f"{name} must have shape (n,); got {numbers.shape}")
    points = numbers.astype(np.float64)
    if not np.isfinite(points).all():
        raise ValueError(f"{name} has NaN or infinity; expected finite numbers")
    return points


def _mean_difference(a: tuple[Doubles, Doubles], b: tuple[Doubles, Doubles], method: str, what: str) -> float:
    """Return the mean of b - a over the range that both have."""
    low, high = max(a[0][0], b[0][0]), min(a[0][-1], b[0][-1])
    if low >= high:
        ranges = [x[[0, -1]] if what == "qualities" else np.exp(x[[0, -1]]) for x, _ in (a, b)]
        raise ValueError(
            f"{what}_a and {what}_b do not overlap: they go from {ranges[0][0]:g} to {ranges[0][1]:g}, and "
            f"from {ranges[1][0]:g} to {ranges[1][1]:g}. Measure points that share a range"
        )
    integral = _pchip_integral if method == "pchip" else _cubic_integral
    return float((integral(*b, low, high) - integral(*a, low, high)) / (high - low))


def _cubic_integral(x: Doubles, y: Doubles, low: float, high: float) -> float:
    antiderivative = np.polynomial.Polynomial.fit(x, y, 3).integ()
    return float(antiderivative(high) - antiderivative(low))


def _pchip_integral(x: Doubles, y: Doubles, low: float, high: float) -> float:
    steps = np.diff(x)
    slopes = np.diff(y) / steps
    tangents = _tangents(steps, slopes)
    # In each interval y + t * (d + t * (c + t * b)), for t from 0 to 1.
    d, to_end = steps * tangents[:-1], steps * tangents[1:]
    c, b = 3 * np.diff(y) - 2 * d - to_end, d + to_end - 2 * np.diff(y)

    def up_to(limit: float) -> Doubles:
        t = np.clip((limit - x[:-1]) / steps, 0, 1)
        integrals: Doubles = steps * t * (y[:-1] + t * (d / 2 + t * (c / 3 + t * b / 4)))
        return integrals

    return float((up_to(high) - up_to(low)).sum())


def _tangents(steps: Doubles, slopes: Doubles) -> Doubles:
    """Return the derivative at each point: a weighted harmonic mean of the slopes beside it."""
    if len(slopes) == 1:
        return np.repeat(slopes, 2)
    left, right = slopes[:-1], slopes[1:]
    w_left, w_right = 2 * steps[1:] + steps[:-1], steps[1:] + 2 * steps[:-1]
    inner = (w_left + w_right) / (w_left / left + w_right / right)  # curves grow: slopes are positive
    first = _end_tangent(steps[0], steps[1], slopes[0], slopes[1])
    last = _end_tangent(steps[-1], steps[-2], slopes[-1], slopes[-2])
    return np.concatenate([[first], inner, [last]])


def _end_tangent(step: float, next_step: float, slope: float, next_slope: float) -> float:
    """Return the derivative at an end by three points, or 0 where the curve would not be monotone."""
    tangent = ((2 * step + next_step) * slope - step * next_slope) / (step + next_step)
    return max(float(tangent), 0.0)
