"""What the studies of `image_studies.py` share: images, blocks, real bytes, and the form of a result."""

import sys
import textwrap
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import records
from datasets import data_file
from fastcodes import entropy
from fastcodes._typing import Array
from PIL import Image

SEEDS = (0, 1, 2)
SIDE = 8
"""Of a block."""
TRAINING_CROP, TEST_CROP = (192, 192), (256, 384)
"""Height and width of the central crops."""
LAWS = {law: entropy.ScaleTable(law) for law in ("laplace", "gaussian")}
N_SCALES, MOST = 64, 511
WIDTH = 110
"""Of the text of a page."""
RAREST = 1e-3
"""Latents that are zero more often than this in training are not coded at all."""


class Study(NamedTuple):
    """A question, how it was asked, and what came out."""

    title: str
    about: str
    headings: dict[str, str]
    """Of the columns, with the formats of their numbers."""
    rows: list[list[Any]]
    finding: str

    def page(self) -> str:
        """Return the section of the page."""
        cells = [
            [
                value if isinstance(value, str) else f"{value:{form}}"
                for value, form in zip(row, self.headings.values(), strict=True)
            ]
            for row in self.rows
        ]
        about, finding = (
            textwrap.fill(text, WIDTH, break_on_hyphens=False) for text in (self.about, self.finding)
        )
        return f"## {self.title}\n\n{about}\n\n{records.table(list(self.headings), cells)}\n\n{finding}\n"


# --- images -------------------------------------------------------------------------------------------------


@cache
def photographs() -> list[Image.Image]:
    """Return the photographs to learn from, down-sampled by 2, which removes most traces of JPEG."""
    files = sorted(data_file("coco_mini").glob("*2017/*.jpg"))
    return [Image.open(file).convert("RGB").reduce(2) for file in files]


@cache
def kodak() -> list[Image.Image]:
    """Return the photographs to test on."""
    return [Image.open(file).convert("RGB") for file in sorted(data_file("kodak").glob("*.png"))]


def blocks_of(images: Sequence[Image.Image], crop: tuple[int, int]) -> Array:
    """Return the luma of central crops, less 128, as blocks (n, rows, columns, SIDE**2) of floats.

    Images that are smaller than the crop are left out.
    """
    height, width = crop
    planes = []
    for image in images:
        top, left = (image.height - height) // 2, (image.width - width) // 2
        if min(top, left) >= 0:
            planes.append(np.asarray(image.convert("L"))[top : top + height, left : left + width])
    cut = np.stack(planes).reshape(len(planes), height // SIDE, SIDE, width // SIDE, SIDE)
    blocks = cut.transpose(0, 1, 3, 2, 4).astype(np.float32) - 128
    return blocks.reshape(*blocks.shape[:3], SIDE**2)


@cache
def training_blocks() -> Array:
    """Return the blocks of every second photograph to learn from."""
    return blocks_of(photographs()[::2], TRAINING_CROP)


@cache
def test_blocks() -> Array:
    """Return the blocks to test on."""
    return blocks_of(kodak(), TEST_CROP)


def mean_psnr(originals: Array, decoded: Array, middle: float = 0.0) -> float:
    """Return the mean of the PSNR of each image (n, ...), whose numbers are bytes less `middle`."""
    errors = originals + middle - np.clip(np.rint(decoded + middle), 0, 255)
    squares = np.square(errors, dtype=np.float64).reshape(len(errors), -1).mean(axis=1)
    return float((20 * np.log10(255) - 10 * np.log10(squares)).mean())


def at_equal_bytes(curve: Sequence[tuple[float, float]], bpp: float) -> float:
    """Return the PSNR of a curve of points (bpp, PSNR), interpolated in the logarithm of bpp."""
    rates, values = np.array(sorted(curve)).T
    if not rates[0] <= bpp <= rates[-1]:
        return float("nan")
    return float(np.interp(np.log(bpp), np.log(rates), values))


# --- bytes --------------------------------------------------------------------------------------------------


@cache
def code_lengths(law: str) -> Array:
    """Return the bits of each magnitude up to MOST for each scale (N_SCALES, MOST + 1)."""
    table = LAWS[law]
    return np.array([[table.bits([v], [s]) for v in range(MOST + 1)] for s in range(N_SCALES)])


def best_scales(latents: Array, classes: Array, n_classes: int, law: str) -> tuple[Array, Array]:
    """Return the best scale for the latents of each class (n_classes,), and their bits."""
    magnitudes = np.minimum(np.abs(latents), MOST)
    places = classes.astype(np.int64) * (MOST + 1) + magnitudes
    counts = np.bincount(places.reshape(-1), minlength=n_classes * (MOST + 1))
    costs = counts.reshape(n_classes, MOST + 1) @ code_lengths(law).T
    return costs.argmin(axis=1).astype(np.uint8), costs.min(axis=1)


class Static(NamedTuple):
    """A law, and a scale for each latent of a block; those that are not coded are always zero."""

    law: str
    scales: Array
    is_coded: Array

    def n_bytes(self, latents: Array) -> int:
        """Return the bytes of latents (..., n), zero where they are not coded."""
        coded = latents[..., self.is_coded]
        return coded_bytes(coded, self.law, np.broadcast_to(self.scales[self.is_coded], coded.shape))


def is_frequent(latents: Array) -> Array:
    """Return which latents (..., n) are worth coding."""
    return (latents != 0).reshape(-1, latents.shape[-1]).mean(axis=0) > RAREST


def fit_static(latents: Array) -> Static:
    """Return the laws of latents (..., n), each alone."""
    n = latents.shape[-1]
    classes = np.broadcast_to(np.arange(n), latents.shape)
    fits = {law: best_scales(latents, classes, n, law) for law in LAWS}
    is_coded = is_frequent(latents)
    law = min(fits, key=lambda law: fits[law][1][is_coded].sum())
    return Static(law, fits[law][0], is_coded)


def coded_bytes(latents: Array, law: str, scales: Array) -> int:
    """Encode latents, compare what is decoded, and return the number of bytes."""
    data = entropy.encode(latents, LAWS[law], scales=scales)
    check(np.array_equal(entropy.decode(data, LAWS[law], scales=scales), latents), "latents")
    return len(data)


def check(is_right: bool, what: str) -> None:
    """Exit if something was not decoded as it was encoded."""
    if not is_right:
        sys.exit(f"the decoded {what} differ from the encoded ones")


def signed(value: float) -> str:
    """Return a difference, or nothing if it is not known."""
    return f"{value:+.2f}" if np.isfinite(value) else ""


def spread(values: Sequence[float]) -> str:
    """Return the mean of a few differences and half of their range, or nothing if one is not known."""
    mean = signed(float(np.mean(values)))
    return mean and f"{mean} ± {np.ptp(values) / 2:.2f}"
