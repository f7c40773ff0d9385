"""The page and the pictures of the record of `images.py`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import records
from fastcodes import metrics
from fastcodes._typing import Array
from fastcodes.cli.image_coders import PEERS, peer
from fastcodes.cli.rate_distortion import MEASURES, Difference, draw, mean_curve
from fastcodes.coding import ImageCodec
from PIL import Image, ImageDraw, ImageFont
from records import Promise

ABOUT = """\
The 24 photographs of Kodak as PNG files, RGB, 768x512 or 512x768. All bytes count, headers too. BD-rates: how
many bytes fastcodes takes compared with the peer at equal quality, negative if fewer; PCHIP on the logarithm
of the rate, and the mean over photographs of the figure of each. RGB-PSNR is that of all three channels,
Y-PSNR that of luma (BT.601), MS-SSIM that of luma, in decibels. Means of PSNR are means over photographs.
JPEG and WebP store colour at half the resolution, which costs RGB-PSNR: see Y too. No peer was tuned for a
measure except "avif-psnr"; JPEG XL, and AVIF by default, are tuned for the eye. `ImageCodec` was not tuned on
these photographs."""
LIBRARIES = """\
jpeg is what Pillow does by default; jpeg-optimized has `optimize=True, progressive=True`, jpeg-444 also
`subsampling="4:4:4"`. jpeg2000 has `mct=1`: by default Pillow codes red, green and blue apart."""
SPEED = """\
From an array to bytes and back, {n} photographs at about {rate:.1f} bits per pixel, in millions of pixels per
second; the best of several passes. Peers have one thread."""
SHEET = """\
![Photographs at a quarter of a bit per pixel]({name}-photographs.png)

Ten photographs at about {rate:g} bits per pixel, a part of {size}x{size} pixels in the middle: the original,
fastcodes, JPEG (optimized, progressive), WebP; with the rate, and the RGB-PSNR of the whole photograph."""

PHOTOGRAPHS = (1, 3, 4, 5, 7, 8, 15, 19, 21, 23)
"""Numbers of those on the sheet."""
RATE_OF_SHEET, SIDE, GAP, CAPTION, N_BLOCKS = 0.25, 144, 4, 14, 2


@dataclass(frozen=True)
class LosslessLine:
    """The mean bits per pixel of a lossless coder."""

    name: str
    rate: float


@dataclass(frozen=True)
class SpeedLine:
    """Megapixels per second of a coder."""

    name: str
    threads: int
    rate: float
    encode: float
    decode: float


# --- the page -----------------------------------------------------------------------------------------------


def page_of(
    record: dict[str, Any],
    name: str,
    points: Mapping[str, Array],
    changes: Mapping[tuple[str, str, str], Difference],
    speeds: Sequence[SpeedLine],
    lossless: Sequence[LosslessLine],
    promises: Sequence[Promise],
    n_timed: int,
) -> str:
    """Return the page."""
    libraries = ", ".join(f"{library} {found}" for library, found in record["libraries"].items())
    parts = [
        f"# Coded images, {record['date']}\n",
        f"{records.facts_as_list(record)}- libraries: {libraries}\n",
        f"{ABOUT}\n\n{LIBRARIES}\n",
        records.promise_table(promises) + "\n",
        f"## BD-rates\n\n{changes_table(changes)}\n",
        f"![Mean curves]({name}.png)\n",
        f"## Mean curves\n\n{curves_table(points)}\n",
        f"## Speed\n\n{SPEED.format(n=n_timed, rate=speeds[0].rate)}\n\n{speed_table(speeds)}\n",
        f"## Without loss\n\n{lossless_table(lossless)}\n",
        f"## Photographs\n\n{SHEET.format(name=name, rate=RATE_OF_SHEET, size=SIDE)}\n",
        f"{records.missed(promises)}\n",
    ]
    return "\n".join(parts)


def changes_table(changes: Mapping[tuple[str, str, str], Difference]) -> str:
    """Return the BD-rates: a line for each tuning and peer."""
    rows: dict[tuple[str, str], list[str]] = {}
    for (tune, name, measure), change in changes.items():
        cells = rows.setdefault((tune, name), [tune, name, PEERS[name].about])
        cells.append(f"{change.mean:+.1f} %")
        if measure == MEASURES[0]:
            extremes = f"{change.least:+.0f} to {change.largest:+.0f} %"
        if measure == MEASURES[-1]:
            cells.append(extremes)
    return records.table(["tune", "against", "", *MEASURES, "RGB-PSNR, each"], list(rows.values()))


def curves_table(points: Mapping[str, Array]) -> str:
    """Return the mean curves of our coder and of two peers."""
    rows = []
    for name, of_all in points.items():
        if name.startswith("fastcodes") or name in ("jpeg-optimized", "webp"):
            for rate, rgb, luma, decibels in mean_curve(list(of_all)):
                similarity = 1 - 10 ** (-decibels / 10)
                rows.append([name, f"{rate:.3f}", f"{rgb:.2f}", f"{luma:.2f}", f"{similarity:.4f}"])
    return records.table(["coder", "bits per pixel", "RGB-PSNR", "Y-PSNR", "MS-SSIM"], rows)


def speed_table(speeds: Sequence[SpeedLine]) -> str:
    """Return the speeds."""
    rows = [
        [line.name, str(line.threads), f"{line.rate:.2f}", f"{line.encode:.2f}", f"{line.decode:.2f}"]
        for line in speeds
    ]
    return records.table(["coder", "threads", "bits per pixel", "encode", "decode"], rows)


def lossless_table(lossless: Sequence[LosslessLine]) -> str:
    """Return the lossless rates."""
    return records.table(["coder", "bits per pixel"], [[line.name, f"{line.rate:.2f}"] for line in lossless])


# --- the pictures -------------------------------------------------------------------------------------------


def draw_curves(points: Mapping[str, Array], path: Path, record: dict[str, Any]) -> None:
    """Draw the mean curves, ours first; JPEG without optimized tables, which is behind, is left out."""
    drawn = [name for name in points if name != "jpeg"]
    ours_first = sorted(drawn, key=lambda name: not name.startswith("fastcodes"))
    with path.open("wb") as file:
        title = f"Kodak, means over 24 photographs; {record['date']}"
        draw({name: mean_curve(list(points[name])) for name in ours_first}, file, title=title)


Encode = Callable[[Array, float], bytes]
Contestant = tuple[str, Sequence[float], Encode, Callable[[bytes], Array]]
"""Name, settings from few bytes to many, encode, decode."""


def contestants_of_sheet() -> list[Contestant]:
    """Return who is on the sheet."""
    codec = ImageCodec(step=1.0)
    found: list[Contestant] = [
        (
            "fastcodes",
            np.geomspace(300, 2, 160).tolist(),
            lambda picture, step: ImageCodec(step=step).encode(picture),
            codec.decode,
        )
    ]
    for name in ("jpeg-optimized", "webp"):
        coder = peer(name)
        found.append((name, list(range(96)), coder.encode, coder.decode))
    return found


def draw_sheet(pictures: Sequence[Array], contestants: Sequence[Contestant], path: Path) -> None:
    """Draw the center of some photographs, and what each coder makes of it."""
    names = ["original", *(name for name, *_ in contestants)]
    n_rows = -(-len(PHOTOGRAPHS) // N_BLOCKS)
    cell, line = SIDE + GAP, SIDE + GAP + CAPTION
    width = N_BLOCKS * len(names) * cell + (N_BLOCKS - 1) * 2 * GAP
    sheet = Image.new("RGB", (width, CAPTION + n_rows * line), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for place, number in enumerate(PHOTOGRAPHS):
        block, row = divmod(place, n_rows)
        picture = pictures[number - 1]
        for column, name in enumerate(names):
            x, y = (block * len(names) + column) * cell + block * 2 * GAP, CAPTION + row * line
            shown, caption = picture, f"Kodak {number}"
            if column:
                _, settings, encode, decode = contestants[column - 1]
                data = at_rate(picture, settings, encode)
                shown = decode(data)
                rate, decibels = (
                    metrics.bits_per_pixel(len(data), picture.shape),
                    metrics.psnr(picture, shown),
                )
                caption = f"{rate:.2f} bits, {decibels:.1f} dB"
            if row == 0:
                pen.text((x, 0), name, "black", font)
            top, left = ((size - SIDE) // 2 for size in picture.shape[:2])
            sheet.paste(Image.fromarray(shown[top : top + SIDE, left : left + SIDE]), (x, y))
            pen.text((x, y + SIDE), caption, "#57606a", font)
    sheet.save(path, optimize=True)


def at_rate(picture: Array, settings: Sequence[float], encode: Encode) -> bytes:
    """Return the bytes at the last setting up to `RATE_OF_SHEET`, or at the first one."""
    low, high, found = 0, len(settings), b""
    while low < high:
        middle = (low + high) // 2
        data = encode(picture, settings[middle])
        if metrics.bits_per_pixel(len(data), picture.shape) <= RATE_OF_SHEET:
            low, found = middle + 1, data
        else:
            high = middle
    return found or encode(picture, settings[0])
