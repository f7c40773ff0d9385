"""The command `fastcodes compress`: pictures and videos in few bytes, or pictures without losses."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import IO

import numpy as np

from fastcodes._typing import Array
from fastcodes.cli.conversion import Conversion, convert
from fastcodes.cli.files import check_json, opened
from fastcodes.cli.pictures import BadPictureError, listed, picture_of
from fastcodes.cli.terminal import UserError, add_json, counted, real, summarize, thread_count
from fastcodes.coding import ImageCodec, VideoCodec
from fastcodes.coding.image import step_of_quality
from fastcodes.coding.video_files import Y4M_MAGIC, y4m_of

__all__ = ["HELP", "add_arguments", "run"]

HELP = "store pictures and videos in few bytes, or pictures without losses"
DESCRIPTION = (
    "Store pictures in about half the bytes of JPEG at the same PSNR, or without losses in fewer than PNG. "
    "It is for archives and for studies of codecs: the same picture gives the same bytes and the same pixels "
    "on every machine. Production formats are 50 to 100 times as fast, and browsers show them. Pictures are "
    "grey (8 bits, with --lossless also 16) or RGB; .npy arrays, or what Pillow reads. They are turned "
    "upright as their EXIF data say; metadata and color profiles are not stored. Files that cannot be stored "
    "are reported and skipped. Videos are .y4m files, with --quality or --step; to decompress long ones, "
    "give --max-video-pixels. Of folders, pictures alone are stored."
)
EXAMPLES = """examples:
  fastcodes compress photo.png
  fastcodes compress photos -o stored --quality 60
  fastcodes compress scan.npy -o scan.fc --lossless
  fastcodes compress photos -o stored --json
  fastcodes compress clip.y4m --quality 60"""
SUFFIX = ".fc"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare inputs, output, and how many bytes there may be."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument(
        "inputs", metavar="IN", nargs="+", help="pictures, folders of them, or videos; - is stdin"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="output file, - is stdout; a folder if there are several inputs (default: beside each input, "
        f"its name with {SUFFIX})",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quality", type=real(), metavar="Q", help="from 0 to 100 (default: 75)")
    size.add_argument("--bpp", type=real(), metavar="R", help="at most as many bits per pixel")
    size.add_argument("--step", type=real(), metavar="S", help="of the quantizer, from 1/16 to 16384")
    size.add_argument("--lossless", action="store_true", help="keep every sample as it is")
    parser.add_argument(
        "--tune", choices=("psnr", "ms-ssim"), help="what to be close in (default: psnr); not with --lossless"
    )
    parser.add_argument("--threads", type=thread_count, help="(default: all CPUs)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    """Store all pictures, and print how many bytes they take."""
    started = time.perf_counter()
    check_json(arguments.json, arguments.output, "the picture")
    if arguments.lossless and arguments.tune is not None:
        raise UserError("--tune is for pictures with losses; leave it out with --lossless")
    try:
        codec = ImageCodec(
            arguments.quality,
            bpp=arguments.bpp,
            step=arguments.step,
            lossless=arguments.lossless,
            tune=arguments.tune or "psnr",
        )
    except ValueError as error:
        raise UserError(f"--{error}") from None
    totals = np.zeros(4, np.int64)

    def store(source: Path, _: str) -> list[bytes]:
        with opened(str(source)) as file:
            start = file.read(len(Y4M_MAGIC))
            if start == Y4M_MAGIC:
                return [store_video(file)]
            content = start + file.read()
        image = _checked(picture_of(content), is_lossless=arguments.lossless)
        try:
            data = codec.encode(image, threads=arguments.threads)
        except (TypeError, ValueError) as error:
            raise BadPictureError(str(error)) from None
        totals[:] += len(data), image.nbytes, math.prod(image.shape[:2]), 0
        return [data]

    def store_video(file: IO[bytes]) -> bytes:
        if arguments.bpp is not None or arguments.lossless or arguments.tune is not None:
            raise BadPictureError("is a video, which takes --quality or --step alone")
        try:
            video = y4m_of(file, start=Y4M_MAGIC)
            step = step_of_quality(75 if arguments.quality is None else arguments.quality)
            data = VideoCodec(arguments.step or step).encode(video, threads=arguments.threads)
        except ValueError as error:
            raise BadPictureError(str(error)) from None
        n_raw = video.luma.size + (0 if video.chroma is None else video.chroma.size)
        totals[:] += len(data), n_raw, video.luma.size, 1
        return data

    def list_pictures(folder: str) -> list[Path]:
        return listed(folder, with_arrays=True)

    conversion = Conversion("compress", lambda source: SUFFIX, list_pictures, store)
    n_bad, n_done, label = convert(conversion, arguments.inputs, arguments.output)
    n_bytes, n_raw, n_pixels, n_videos = map(int, totals)
    seconds = time.perf_counter() - started
    facts = {
        "inputs": arguments.inputs,
        "pictures": n_done - n_videos,
        "videos": n_videos,
        "skipped": n_bad,
        "sample_bytes": n_raw,
        "stored_bytes": n_bytes,
        "bits_per_pixel": 8 * n_bytes / n_pixels,
        "seconds": seconds,
    }
    videos = f"{counted(n_videos, 'video')}, " if n_videos else ""
    pictures = f"{counted(n_done - n_videos, 'picture')}, " if n_done > n_videos else ""
    summarize(
        arguments,
        facts,
        f"{label}: {pictures}{videos}{n_bad:,} skipped; {n_raw:,} bytes of samples stored in {n_bytes:,}, "
        f"{8 * n_bytes / n_pixels:.3f} bits per pixel, {n_raw / n_bytes:.1f} times fewer; {seconds:.2f} s",
    )


def _checked(image: Array, *, is_lossless: bool) -> Array:
    if image.dtype == np.uint16 and not is_lossless:
        raise BadPictureError("has 16 bits a sample; give --lossless, or convert it to 8")
    return image
