"""The command `fastcodes thumbs`: the pictures of a folder as 64 bytes each."""

from __future__ import annotations

import argparse
import html
import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastcodes._typing import Codes
from fastcodes.cli.files import check_output, opened, writing
from fastcodes.cli.pictures import SUFFIXES, address, as_seen, joined, names_below, printable, reason
from fastcodes.cli.terminal import (
    UserError,
    add_json,
    blocks,
    counted,
    report,
    summarize,
    thread_count,
    tracked,
)
from fastcodes.coding import CompressedThumbnails, ThumbnailCodec
from fastcodes.coding._pictures import decibels

__all__ = ["HELP", "add_arguments", "run"]

HELP = "store the pictures of a folder as thumbnails of 64 bytes"
DESCRIPTION = (
    "Resize the pictures of a folder and its subfolders to thumbnails, and store each in a fixed number of "
    "bytes: 64 with the model that comes with fastcodes. Files that are no pictures by their suffix are left "
    "out; pictures that cannot be read are reported and left out. Needs the extra images: "
    "pip install 'fastcodes[images]'."
)
EXAMPLES = """examples:
  fastcodes thumbs photos -o thumbs.safetensors
  fastcodes thumbs photos -o thumbs.safetensors --html thumbs.html
  fastcodes thumbs photos -o thumbs.safetensors --json"""
PICTURES_PER_BLOCK = 64
PICTURES_PER_SCORE = 4096
MOST_REPORTED = 10
"""Pictures that cannot be read are named up to this number, and counted."""
MOST_SHOWN = 2000
"""Pictures on a contact sheet."""
PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 14px sans-serif; margin: 2em; background: #fff; color: #222 }}
figure {{ display: inline-block; width: 140px; margin: 0 1em 1em 0 }}
img {{ width: 64px; height: 64px; image-rendering: pixelated; margin-right: 4px }}
figcaption {{ overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-size: 11px }}
</style>
<h1>{title}</h1>
<p>{text}</p>
{figures}
</html>
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the folder, the outputs and the model."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument("folder", metavar="DIR", help="a folder of pictures, or one picture")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="output file, .safetensors")
    parser.add_argument(
        "--html", metavar="FILE", help="write a page that shows originals and decoded thumbnails"
    )
    parser.add_argument(
        "--model", metavar="FILE", help="a saved ThumbnailCodec (default: the one of fastcodes)"
    )
    parser.add_argument("--threads", type=thread_count, help="(default: all CPUs)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    """Store the pictures of a folder."""
    started = time.perf_counter()
    image_module = _pillow()
    codec = _codec(arguments.model)
    height, width, channels = codec.shape
    names = names_below(arguments.folder)
    _check_outputs(arguments, [joined(arguments.folder, name) for name in names])
    mode = "RGB" if channels == 3 else "L"
    pictures: list[Codes] = []
    kept, failed = [], 0
    for block in tracked(_blocks(len(names)), len(names), "read"):
        for name in names[block.start : block.stop]:
            try:
                with image_module.open(joined(arguments.folder, name)) as file:
                    pictures.append(_thumbnail(file, mode, (width, height)))
            except Exception as error:  # whatever a decoder of a broken picture raises
                failed += 1
                if failed <= MOST_REPORTED:
                    report(f"{name or arguments.folder}: not read: {reason(error)}")
                continue
            kept.append(name or os.path.basename(arguments.folder))
    if not pictures:
        raise UserError(f"{arguments.folder}: has no pictures that can be read ({failed:,} cannot)")
    images = np.stack(pictures).reshape(-1, height, width, channels)
    codes = codec.encode(images, threads=arguments.threads)
    thumbnails = CompressedThumbnails(codec, codes, names=[printable(name) for name in kept])
    thumbnails.save(arguments.output)
    ratios = [decibels(thumbnails[rows], images[rows]) for rows in blocks(len(kept), PICTURES_PER_SCORE)]
    mean = float(np.concatenate(ratios).mean())
    sizes = f"{codes.nbytes:,} bytes, {codec.n_bytes} each"
    text = f"{counted(len(kept), 'picture')} in {sizes}, {mean:.1f} dB on average"
    if arguments.html is not None:
        _write_page(arguments.html, thumbnails, images, text, image_module)
    unread = f"; {failed:,} could not be read" if failed else ""
    seconds = time.perf_counter() - started
    facts = {
        "folder": arguments.folder,
        "output": arguments.output,
        "pictures": len(kept),
        "skipped": failed,
        "bytes": codes.nbytes,
        "bytes_per_picture": codec.n_bytes,
        "decibels": mean,
        "seconds": seconds,
    }
    summarize(arguments, facts, f"{arguments.folder}: {text}{unread}; {seconds:.2f} s")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise UserError("thumbs needs Pillow: pip install 'fastcodes[images]'") from None
    return Image


def _codec(name: str | None) -> ThumbnailCodec:
    if name is None:
        return ThumbnailCodec.pretrained()
    opened(name).close()  # says what is wrong with the name
    try:
        return ThumbnailCodec.load(name)
    except ValueError as error:
        raise UserError(str(error)) from None


def _check_outputs(arguments: argparse.Namespace, pictures: list[str]) -> None:
    """Raise a `UserError` before any work if outputs cannot be written, or would replace an input."""
    output, page = arguments.output, arguments.html
    if output.lower().endswith(SUFFIXES):
        raise UserError(f"-o must not end as a picture does; expected .safetensors, got {output}")
    if page is not None and os.path.realpath(page) == os.path.realpath(output):
        raise UserError(f"--html is the file of -o, {output}; give the page another name")
    # Those that cannot be read are reported later.
    inputs = [os.path.abspath(name) for name in pictures if os.path.exists(name)]
    for name, other in ((output, page), (page, output)):
        if name is not None and not check_output(name, arguments.model, other, *inputs):
            raise UserError(f"{name}: not a regular file; expected the name of a file to write")


def _blocks(n: int) -> Iterator[slice]:
    return blocks(n, PICTURES_PER_BLOCK)


def _thumbnail(file: Any, mode: str, size: tuple[int, int]) -> Codes:
    """Return a picture, upright and on white where it is transparent, resized to a size."""
    from PIL.Image import Resampling

    file.draft(mode, (8 * size[0], 8 * size[1]))  # a JPEG need not be decoded in full
    resized = as_seen(file).convert(mode).resize(size, Resampling.LANCZOS)
    return np.asarray(resized, np.uint8)


def _write_page(
    name: str, thumbnails: CompressedThumbnails, images: Codes, text: str, image_module: Any
) -> None:
    """Write a page with each original thumbnail beside the decoded one; it needs no other files."""
    names = thumbnails.names or []
    shown = min(len(names), MOST_SHOWN)
    decoded = thumbnails[:shown]
    figures = []
    for before, after, label in zip(images[:shown], decoded, map(html.escape, names), strict=False):
        left, right = _data(image_module, before), _data(image_module, after)
        figures.append(
            f'<figure><img src="{left}" alt="original"><img src="{right}" alt="decoded">'
            f'<figcaption title="{label}">{label}</figcaption></figure>'
        )
    if shown < len(names):
        text += f"; the first {shown:,} are shown"
    page = PAGE.format(
        title="Thumbnails",
        text=html.escape(text + ". Left the original, right decoded."),
        figures="\n".join(figures),
    )
    with writing(name) as file:
        file.write(page.encode())


def _data(image_module: Any, picture: Codes) -> str:
    """Return a thumbnail as an address."""
    return address(image_module.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture), "PNG")
