"""The command `fastcodes decompress`: the pictures and videos that `fastcodes compress` stored."""

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
from fastcodes.coding import ImageCodec, Video, VideoCodec, VideoFrame
from fastcodes.coding.video import is_video
from fastcodes.coding.video_files import write_frames

__all__ = ["HELP", "add_arguments", "run"]

HELP = "write stored pictures as .png or .npy, also at a lower resolution, and videos as .y4m"
DESCRIPTION = (
    "Write the pictures that `fastcodes compress` stored as .png, or as .npy, which needs no Pillow. With "
    "--reduce their sides are halved, for which the first bytes of a file are enough. Production formats are "
    "50 to 100 times as fast. Files that hold no picture, or were damaged, are reported and skipped. An "
    "existing picture is replaced only if -o names it. Videos are written as .y4m; of one that was damaged, "
    "the frames that are left."
)
EXAMPLES = """examples:
  fastcodes decompress photo.fc
  fastcodes decompress stored -o photos --reduce 1
  fastcodes decompress scan.fc -o scan.npy
  fastcodes decompress stored -o photos --json
  fastcodes decompress clip.fc -o clip.y4m"""
FORMS = (".png", ".npy")
OF_VIDEOS = ".y4m"
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
        help=f"output file, which ends in {', '.join(FORMS)} or {OF_VIDEOS}; a folder if there are several "
        "inputs (default: beside each input, its name with .png or .y4m)",
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
    totals = np.zeros(3, np.int64)

    def restore(source: Path, target: str) -> bytes:
        with opened(str(source)) as file:
            content = file.read()
        if (Path(target).suffix.lower() == OF_VIDEOS) != is_video(content):
            what = f"is a video, which is written as {OF_VIDEOS}" if is_video(content) else "is no video"
            raise BadPictureError(f"{what}; name another output with -o")
        if is_video(content):
            return restore_video(source, content)
        try:
            image = codec.decode(
                content,
                reduce=arguments.reduce,
                max_pixels=arguments.max_pixels,
                threads=arguments.threads,
            )
        except ValueError as error:
            raise BadPictureError(str(error).replace("max_pixels", "--max-pixels")) from None
        totals[:] += len(content), image.nbytes, 0
        written = io.BytesIO()
        if Path(target).suffix.lower() == ".npy":
            np.save(written, image)
        else:
            from PIL import Image

            Image.fromarray(image).save(written, "PNG")
        return written.getvalue()

    def restore_video(source: Path, content: bytes) -> bytes:
        if arguments.reduce:
            raise BadPictureError("is a video, which has one resolution; leave out --reduce")
        found: list[VideoFrame] = []
        try:
            video = VideoCodec.inspect(content)
            for frame in VideoCodec().frames(
                content, max_pixels=arguments.max_pixels, threads=arguments.threads
            ):
                found.append(frame)
        except ValueError as error:
            message = str(error).replace("max_pixels", "--max-pixels")
            if not found:
                raise BadPictureError(message) from None
            report(f"fastcodes: {source}: {message}; the other {len(found):,} were written")
        written = io.BytesIO()
        chroma = [frame.chroma for frame in found if frame.chroma is not None]
        whole = Video(
            np.stack([frame.luma for frame in found]), np.stack(chroma) if chroma else None, video.rate
        )
        write_frames(written, whole, with_headers=True)
        totals[:] += (
            len(content),
            sum(frame.luma.nbytes for frame in found) + sum(c.nbytes for c in chroma),
            1,
        )
        return written.getvalue()

    conversion = Conversion(
        "decompress", _suffix, _listed, restore, (*FORMS, OF_VIDEOS), keeps_neighbors=True
    )
    n_bad, n_done, label = convert(conversion, arguments.inputs, arguments.output)
    n_bytes, n_raw, n_videos = map(int, totals)
    seconds = time.perf_counter() - started
    facts = {
        "inputs": arguments.inputs,
        "pictures": n_done - n_videos,
        "videos": n_videos,
        "skipped": n_bad,
        "sample_bytes": n_raw,
        "stored_bytes": n_bytes,
        "seconds": seconds,
    }
    videos = f"{n_videos:,} videos, " if n_videos else ""
    pictures = f"{n_done - n_videos:,} pictures, " if n_done > n_videos else ""
    summarize(
        arguments,
        facts,
        f"{label}: {pictures}{videos}{n_bad:,} skipped; {n_raw:,} bytes of samples from {n_bytes:,}; "
        f"{seconds:.2f} s",
    )


def _suffix(source: Path) -> str:
    """Return the suffix of the output for a file, which depends on what it holds."""
    if not source.is_file():  # reading a pipe would take from it; what is missing is reported later
        return FORMS[0]
    with opened(str(source)) as file:
        return OF_VIDEOS if is_video(file.read(4)) else FORMS[0]


def _listed(folder: str) -> list[Path]:
    try:
        paths = [Path(folder, name) for name in sorted(os.listdir(folder))]
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}") from None
    paths = [path for path in paths if path.suffix.lower() == SUFFIX]
    if not paths:
        raise UserError(f"{folder}: no files that end in {SUFFIX}")
    return paths
