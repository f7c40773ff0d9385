"""The command `fastcodes decompress`: the pictures that `fastcodes compress` stored."""

from __future__ import annotations

import argparse
import io
import os
import time
from pathlib import Path

import numpy as np

from fastcodes.cli.compress import SUFFIX
from fastcodes.cli.conversion import Conversion, convert
from fastcodes.cli.files import check_json, opened
from fastcodes.cli.pictures import BadPictureError
from fastcodes.cli.terminal import UserError, add_json, integer, summarize, thread_count
from fastcodes.coding import ImageCodec

__all__ = ["HELP", "add_arguments", "run"]

HELP = "write stored pictures as .png or .npy, also at a lower resolution"
DESCRIPTION = (
    "Write the pictures that `fastcodes compress` stored as .png, or as .npy, which needs no Pillow. With "
    "--reduce their sides are halved, for which the first bytes of a file are enough. Production formats are "
    "50 to 100 times as fast. Files that hold no picture, or were damaged, are reported and skipped. An "
    "existing picture is replaced only if -o names it."
)
EXAMPLES = """examples:
  fastcodes decompress photo.fc
  fastcodes decompress stored -o photos --reduce 1
  fastcodes decompress scan.fc -o scan.npy
  fastcodes decompress stored -o photos --json"""
FORMS = (".png", ".npy")
LARGEST = 65_535**2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare inputs, output and resolution."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument(
        "inputs", metavar="IN", nargs="+", help="stored pictures or folders of them; - is stdin"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help=f"output file, which ends in {' or '.join(FORMS)}; a folder if there are several inputs "
        "(default: beside each input, its name with .png)",
    )
    parser.add_argument(
        "--reduce", type=integer(0, 3), default=0, metavar="N", help="how often both sides are halved, 0 to 3"
    )
    parser.add_argument(
        "--max-pixels",
        type=integer(1, LARGEST),
        default=1 << 27,
        metavar="N",
        help="refuse larger pictures, which take about 50 bytes a pixel (default: %(default)s)",
    )
    parser.add_argument("--threads", type=thread_count, help="(default: all CPUs)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    """Write all pictures, and print how many there are."""
    started = time.perf_counter()
    check_json(arguments.json, arguments.output, "the picture")
    codec = ImageCodec()
    totals = np.zeros(2, np.int64)

    def restore(source: Path, target: str) -> bytes:
        with opened(str(source)) as file:
            content = file.read()
        try:
            image = codec.decode(
                content,
                reduce=arguments.reduce,
                max_pixels=arguments.max_pixels,
                threads=arguments.threads,
            )
        except ValueError as error:
            raise BadPictureError(str(error).replace("max_pixels", "--max-pixels")) from None
        totals[:] += len(content), image.nbytes
        written = io.BytesIO()
        if Path(target).suffix.lower() == ".npy":
            np.save(written, image)
        else:
            from PIL import Image

            Image.fromarray(image).save(written, "PNG")
        return written.getvalue()

    conversion = Conversion("decompress", FORMS[0], _listed, restore, FORMS, keeps_neighbors=True)
    n_bad, n_done, label = convert(conversion, arguments.inputs, arguments.output)
    n_bytes, n_raw = map(int, totals)
    seconds = time.perf_counter() - started
    facts = {
        "inputs": arguments.inputs,
        "pictures": n_done,
        "skipped": n_bad,
        "sample_bytes": n_raw,
        "stored_bytes": n_bytes,
        "seconds": seconds,
    }
    summarize(
        arguments,
        facts,
        f"{label}: {n_done:,} pictures, {n_bad:,} skipped; {n_raw:,} bytes of samples from {n_bytes:,}; "
        f"{seconds:.2f} s",
    )


def _listed(folder: str) -> list[Path]:
    try:
        paths = [Path(folder, name) for name in sorted(os.listdir(folder))]
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}") from None
    paths = [path for path in paths if path.suffix.lower() == SUFFIX]
    if not paths:
        raise UserError(f"{folder}: no files that end in {SUFFIX}")
    return paths
