"""Rate and distortion of coders: points of each picture, BD-rates between them, mean curves, a plot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np

from fastcodes import metrics
from fastcodes._typing import Codes, Doubles
from fastcodes.cli.image_coders import Coder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MEASURES", "Difference", "difference", "draw", "mean_curve", "points_of", "rate_change"]

MEASURES = ("RGB-PSNR", "Y-PSNR", "MS-SSIM")
"""MS-SSIM is that of luma, in decibels: -10 log10(1 - MS-SSIM)."""
LEAST_SIDE = 161
"""Of pictures that have an MS-SSIM."""
LEAST_OVERLAP = 0.5
"""Decibels that two curves must have in common."""


def points_of(coder: Coder, image: Codes) -> Doubles:
    """Return bits per pixel and the three `MEASURES` of an image at each setting, as rows of four numbers.

    Raises
    ------
    ValueError
        If the size does not depend on the setting: the coder ignores the option.
    """
    luma = metrics.luma(image) if image.ndim == 3 else image.astype(np.float64)
    points, sizes = np.empty((len(coder.settings), 4)), set()
    for row, setting in enumerate(coder.settings):
        data, decoded = coder.coded(image, setting)
        of_decoded = metrics.luma(decoded) if image.ndim == 3 else decoded.astype(np.float64)
        similarity = math.nan
        if min(image.shape[:2]) >= LEAST_SIDE:
            similarity = metrics.ms_ssim(luma, of_decoded, data_range=255)
        points[row] = (
            metrics.bits_per_pixel(len(data), image.shape),
            metrics.psnr(image, decoded),
            metrics.psnr(luma, of_decoded, data_range=255),
            decibels(similarity),
        )
        sizes.add(len(data))
    if len(sizes) == 1 and len(coder.settings) > 1 and min(image.shape[:2]) > 64 and np.ptp(luma):
        raise ValueError(f"{coder.name} has {sizes.pop()} bytes at every setting: it ignores the option")
    return points


def decibels(similarity: float) -> float:
    """Return a similarity in decibels."""
    return math.inf if similarity >= 1 else -10 * math.log10(1 - similarity)


def rate_change(a: Doubles, b: Doubles, measure: int) -> float:
    """Return the BD-rate of points `b` against `a` of one image.

    It is NaN if the curves have less than `LEAST_OVERLAP` in common. Points that are no better than one of a
    lower rate are left out, and those without any error.
    """
    curve_a, curve_b = (_growing(points[:, [0, 1 + measure]]) for points in (a, b))
    if len(curve_a) < 2 or len(curve_b) < 2:
        return math.nan
    low, high = max(curve_a[0, 1], curve_b[0, 1]), min(curve_a[-1, 1], curve_b[-1, 1])
    if high - low < LEAST_OVERLAP:
        return math.nan
    return metrics.bd_rate(curve_a[:, 0], curve_a[:, 1], curve_b[:, 0], curve_b[:, 1])


def _growing(curve: Doubles) -> Doubles:
    curve = curve[np.isfinite(curve).all(axis=1)]
    curve = curve[np.lexsort((-curve[:, 1], curve[:, 0]))]
    best = np.maximum.accumulate(curve[:, 1])
    return curve[np.diff(best, prepend=-np.inf) > 0]


@dataclass(frozen=True)
class Difference:
    """BD-rates of one coder against another: the mean, the least and the largest over images, in percent."""

    mean: float
    least: float
    largest: float
    n_images: int
    """Whose curves can be compared."""


def difference(a: Sequence[Doubles], b: Sequence[Doubles], measure: int) -> Difference:
    """Compare the points of images, coder b against coder a."""
    changes = np.array([rate_change(one, other, measure) for one, other in zip(a, b, strict=True)])
    changes = changes[~np.isnan(changes)]
    if not len(changes):
        return Difference(math.nan, math.nan, math.nan, 0)
    return Difference(float(changes.mean()), float(changes.min()), float(changes.max()), len(changes))


def mean_curve(points: Sequence[Doubles]) -> Doubles:
    """Return the means over images at each setting; MS-SSIM in decibels is that of the mean MS-SSIM."""
    stacked = np.stack(points)
    means: Doubles = stacked.mean(axis=0)
    similarities = 1 - 10 ** (-stacked[..., 3] / 10)
    has_one = ~np.isnan(similarities).any(axis=1)
    means[:, 3] = math.nan
    if has_one.any():
        means[:, 3] = [decibels(one) for one in similarities[has_one].mean(axis=0)]
    return means


# --- the plot -----------------------------------------------------------------------------------------------

COLOURS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#8b6914", "#999999")
LIMITS = (0.05, 3.0)
"""Of the rates that are drawn."""


def draw(curves: Mapping[str, Doubles], file: IO[bytes], *, form: str = "png", title: str = "") -> None:
    """Draw mean curves of several coders, a panel for each measure; those of fastcodes are thicker."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    measures = [
        i for i in range(len(MEASURES)) if any(np.isfinite(c[:, 1 + i]).any() for c in curves.values())
    ]
    figure = Figure(figsize=(5.2 * len(measures), 4.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for measure, axes in zip(measures, figure.subplots(1, len(measures), squeeze=False)[0], strict=True):
        _draw_panel(axes, curves, measure)
    if title:
        figure.supxlabel(title, fontsize=8, color="#57606a")
    figure.savefig(file, format=form)


def _draw_panel(axes: Axes, curves: Mapping[str, Doubles], measure: int) -> None:
    for number, (name, curve) in enumerate(curves.items()):
        is_drawn = (
            (curve[:, 0] >= LIMITS[0]) & (curve[:, 0] <= LIMITS[1]) & np.isfinite(curve[:, 1 + measure])
        )
        is_own = name.startswith("fastcodes")
        axes.plot(
            curve[is_drawn, 0],
            curve[is_drawn, 1 + measure],
            "o-",
            color=COLOURS[number % len(COLOURS)],
            label=name,
            linewidth=2.2 if is_own else 1.2,
            markersize=4,
            zorder=3 if is_own else 2,
        )
    ticks = [0.1, 0.2, 0.5, 1.0, 2.0]
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], [], minor=True)
    axes.set_xlabel("bits per pixel")
    axes.set_title(f"{MEASURES[measure]}, dB", loc="left", fontsize=11)
    axes.grid(color="#e6e8eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
