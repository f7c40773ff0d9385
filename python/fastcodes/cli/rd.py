"""The command `fastcodes rd`: rate and distortion of images, fastcodes compared with other coders."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastcodes import coding
from fastcodes._typing import Doubles
from fastcodes.cli.files import check_output, writing
from fastcodes.cli.image_coders import PEERS, Coder, fastcodes_itself, peer
from fastcodes.cli.pictures import BadPictureError, Numbered, listed, picture_of, report_skipped
from fastcodes.cli.rate_distortion import MEASURES, difference, draw, mean_curve, points_of
from fastcodes.cli.terminal import UserError, add_json, plain_table, print_json, report, tracked

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["HELP", "add_arguments", "run"]

HELP = "compare the rate and the distortion of coded images with JPEG, WebP and others"
DESCRIPTION = (
    "Code all pictures of a folder at several qualities, decode them, and print how many bytes fastcodes "
    "takes compared with each peer at equal quality: the BD-rate (PCHIP on the logarithm of the rate), mean "
    "over pictures. Negative means fewer bytes. All bytes of the files count. RGB-PSNR is that of all three "
    "channels, Y-PSNR that of luma (a coder that stores colour at half the resolution loses RGB-PSNR), and "
    "MS-SSIM that of luma, for pictures of at least 161x161 pixels."
)
EXAMPLES = """examples:
  fastcodes rd photos
  fastcodes rd photos --peers jpeg,webp --plot curves.svg
  fastcodes rd photos --tune ms-ssim --json > curves.json"""
KEYS = "rgb_psnr", "y_psnr", "ms_ssim"
"""Of the measures, for scripts."""
PLOT_FORMS = (".png", ".svg", ".pdf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the folder, the peers and the plot."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument("folder", metavar="DIR", help="a folder of pictures: PNG and others without loss")
    parser.add_argument(
        "--peers",
        default="jpeg,webp,jpeg2000",
        metavar="NAMES",
        help=f"some of {', '.join(PEERS)}, with commas between them (default: %(default)s)",
    )
    parser.add_argument(
        "--tune", choices=("psnr", "ms-ssim"), default="psnr", help="what fastcodes codes for (default: psnr)"
    )
    parser.add_argument("--plot", metavar="FILE", help="draw mean curves, as .png, .svg or .pdf")
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    """Measure all pictures, print the tables, and draw the plot."""
    if not arguments.json:
        from rich.console import Console

    started = time.perf_counter()
    form = _form(arguments.plot)
    names = list(dict.fromkeys(filter(None, map(str.strip, arguments.peers.split(",")))))
    mine = fastcodes_itself(coding.ImageCodec, tune=arguments.tune)
    coders = [mine, *map(peer, names)]
    measured = _measure(arguments.folder, listed(arguments.folder, with_arrays=False), coders)
    curves = {name: mean_curve(points) for name, points in measured.points.items()}
    if arguments.plot is not None:
        with writing(arguments.plot) as file:
            draw(curves, file, form=form, title=f"means over {measured.n_pictures} pictures")
    if arguments.json:
        facts = {"folder": arguments.folder, "pictures": measured.n_pictures, "skipped": measured.n_bad}
        seconds = time.perf_counter() - started
        print_json({**facts, **_facts(measured.points, curves, coders), "seconds": seconds})
        return
    console = Console()
    if names:
        console.print(_differences(measured.points, names))
    console.print(_curves(curves))
    for coder in coders:
        console.print(f"{coder.name}: {coder.about}")
    report(
        f"{arguments.folder}: {measured.n_pictures:,} pictures, {measured.n_bad:,} skipped; "
        f"{time.perf_counter() - started:.2f} s"
    )


def _form(plot: str | None) -> str:
    """Return the format of the plot, after a check that it can be written."""
    if plot is None:
        return ""
    import matplotlib  # noqa: F401  (before the work, not after it)

    suffix = Path(plot).suffix.lower()
    if suffix not in PLOT_FORMS:
        raise UserError(f"--plot must end in {', '.join(PLOT_FORMS)}; got {plot}")
    check_output(plot)
    return suffix[1:]


# --- measurements -------------------------------------------------------------------------------------------


@dataclass
class Measured:
    """Points of each picture by coder, and how many pictures there were."""

    points: dict[str, list[Doubles]]
    n_pictures: int = 0
    n_bad: int = 0


def _measure(folder: str, paths: Sequence[Path], coders: Sequence[Coder]) -> Measured:
    n_lossy = sum(path.suffix.lower() in (".jpg", ".jpeg") for path in paths)
    if n_lossy:
        report(
            f"fastcodes: {folder}: {n_lossy:,} of {len(paths):,} pictures are JPEG files; what these have "
            "lost makes them easier to code"
        )
    measured, complaints = Measured({coder.name: [] for coder in coders}), []
    numbered = (Numbered(path, number) for number, path in enumerate(paths, 1))
    for one in tracked(numbered, len(paths), "measure"):
        try:
            found = _points(one.path, coders)
        except BadPictureError as error:
            measured.n_bad += 1
            complaints.append(f"{one.path}: {error}")
            continue
        measured.n_pictures += 1
        for name, points in found.items():
            measured.points[name].append(points)
    if not measured.n_pictures:
        raise UserError(f"{folder}: no picture could be coded; {complaints[0]}")
    report_skipped(complaints, folder)
    return measured


def _points(path: Path, coders: Sequence[Coder]) -> dict[str, Doubles]:
    """Return the points of a picture by coder; one that any of them refuses is left out by all."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadPictureError(f"cannot be read: {error.strerror}") from None
    image, found = picture_of(content), {}
    if image.dtype != np.uint8:
        raise BadPictureError("has more than 8 bits a channel; convert it to 8")
    for coder in coders:
        try:
            found[coder.name] = points_of(coder, image)
        except (OSError, ValueError, RuntimeError) as error:
            raise BadPictureError(f"{coder.name}: {error}") from None
    return found


# --- tables -------------------------------------------------------------------------------------------------


def _facts(
    points: dict[str, list[Doubles]], curves: dict[str, Doubles], coders: Sequence[Coder]
) -> dict[str, Any]:
    """Return what the tables show; MS-SSIM of curves is in decibels."""
    mine, *names = points
    columns = "bits_per_pixel", *KEYS
    return {
        "coders": {coder.name: coder.about for coder in coders},
        "bd_rate_percent": {
            name: {
                key: vars(difference(points[name], points[mine], measure)) for measure, key in enumerate(KEYS)
            }
            for name in names
        },
        "curves": {
            name: [dict(zip(columns, map(float, point), strict=True)) for point in curve]
            for name, curve in curves.items()
        },
    }


def _differences(points: dict[str, list[Doubles]], names: Sequence[str]) -> Table:
    mine = next(iter(points))
    table = plain_table(("BD-rate against", *MEASURES, "best, RGB", "worst, RGB"), padding=(0, 1))
    for name in names:
        found = [difference(points[name], points[mine], measure) for measure in range(len(MEASURES))]
        cells = [f"{one.mean:+.1f} %" if one.n_images else "-" for one in found]
        extremes = [
            f"{value:+.1f} %" if found[0].n_images else "-" for value in (found[0].least, found[0].largest)
        ]
        table.add_row(name, *cells, *extremes)
    return table


def _curves(curves: dict[str, Doubles]) -> Table:
    table = plain_table(("coder", "bits per pixel", "RGB-PSNR", "Y-PSNR", "MS-SSIM"), padding=(0, 1))
    for name, curve in curves.items():
        for rate, rgb, luma, decibels in curve:
            similarity = "-" if np.isnan(decibels) else f"{1 - 10 ** (-decibels / 10):.4f}"
            table.add_row(name, f"{rate:.3f}", f"{rgb:.2f}", f"{luma:.2f}", similarity)
        table.add_section()
    return table
