"""The command `fastcodes decompress`: the pictures and videos that `fastcodes compress` stored."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from fastcodes.cli.compress import SUFFIX
from fastcodes.cli.conversion import Conversion, array_file, convert, listed_by_suffix
from fastcodes.cli.files import check_json, opened
from fastcodes.cli.pictures import BadPictureError, report_skipped
from fastcodes.cli.terminal import UserError, add_json, counted, integer, summarize, thread_count
from fastcodes.coding import ImageCodec, VideoCodec, VideoFrame
from fastcodes.coding.video import N_END, is_video
from fastcodes.coding.video_files import parts_of_frame, y4m_header

__all__ = ["HELP", "add_arguments", "run"]

HELP = "write stored pictures as .png or .npy, also at a lower resolution, and videos as .y4m"
DESCRIPTION = (
    "Write the pictures that `fastcodes compress` stored as .png, or as .npy, which needs no Pillow. With "
    "--reduce their sides are halved, for which the first bytes of a file are enough. Production formats are "
    "50 to 100 times as fast. Files that hold no picture, or were damaged, are reported and skipped. An "
    "existing picture is replaced only if -o names it. Videos are written as .y4m; of one that was damaged, "
    "the frames that are left, while those that are missing are named and the exit code is 2."
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
        "inputs", metavar="IN", nargs="+", help="stored pictures and videos, or folders of them; - is stdin"
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
        help="refuse larger pictures, which take about 50 bytes a pixel, and videos of larger frames, about "
        "65 (default: %(default)s)",
    )
    parser.add_argument(
        "--max-video-pixels",
        type=integer(1),
        default=1 << 34,
        metavar="N",
        help="refuse videos of more pixels in all frames together, each of which takes up to 1.5 bytes on "
        "disk: a few bytes can stand for a long still video (default: %(default)s)",
    )
    parser.add_argument("--threads", type=thread_count, help="(default: all CPUs)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    """Write all pictures, and print how many there are."""
    started = time.perf_counter()
    check_json(arguments.json, arguments.output, "the picture")
    codec = ImageCodec()
    totals = np.zeros(3, np.int64)
    damages: list[str] = []

    def restore(source: Path, target: str) -> Iterator[bytes]:
        with opened(str(source)) as file:
            content = file.read()
        holds_video = is_video(content)
        if (Path(target).suffix.lower() == OF_VIDEOS) != holds_video:
            what = f"is a video, which is written as {OF_VIDEOS}" if holds_video else "is not a video"
            raise BadPictureError(f"{what}; name another output with -o")
        if holds_video:
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
        return iter([array_file(image, target)])

    def restore_video(source: Path, content: bytes) -> Iterator[bytes]:
        if arguments.reduce:
            raise BadPictureError("is a video, which has one resolution; leave out --reduce")
        try:
            video = VideoCodec.inspect(content)
            if video.n_frames * video.height * video.width > arguments.max_video_pixels:
                raise BadPictureError(
                    f"is a video of {counted(video.n_frames, 'frame')} of {video.height} x {video.width} "
                    f"pixels, more than --max-video-pixels = {arguments.max_video_pixels}; if you trust it, "
                    "give a larger number"
                )
            frames = VideoCodec().frames(content, max_pixels=arguments.max_pixels, threads=arguments.threads)
            first = next(frames)
        except ValueError as error:
            raise BadPictureError(str(error).replace("max_pixels", "--max-pixels")) from None
        totals[:] += len(content), 0, 1

        def parts() -> Iterator[bytes]:
            shape = (video.height, video.width)
            yield y4m_header(shape, video.rate, has_chroma=video.has_chroma)
            n_written = 0
            try:
                for frame in chain([first], frames):
                    yield from parts_of_frame(frame.luma, frame.chroma)
                    totals[1] += _n_samples(frame)
                    n_written += 1
            except ValueError as error:
                damages.append(f"{source}: {error}; wrote {counted(n_written, 'frame')}")

        return parts()

    def list_stored(folder: str) -> list[Path]:
        return listed_by_suffix(folder, SUFFIX)

    conversion = Conversion(
        "decompress", _suffix, list_stored, restore, (*FORMS, OF_VIDEOS), keeps_neighbors=True
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
    videos = f"{counted(n_videos, 'video')}, " if n_videos else ""
    pictures = f"{counted(n_done - n_videos, 'picture')}, " if n_done > n_videos else ""
    summarize(
        arguments,
        facts,
        f"{label}: {pictures}{videos}{n_bad:,} skipped; {n_raw:,} bytes of samples from {n_bytes:,}; "
        f"{seconds:.2f} s",
    )
    if damages:
        report_skipped(damages[1:], label)
        raise UserError(damages[0])


def _n_samples(frame: VideoFrame) -> int:
    return frame.luma.size + (0 if frame.chroma is None else frame.chroma.size)


def _suffix(source: Path) -> str:
    """Return the suffix of the output for a file, which depends on what it holds."""
    if not source.is_file():  # reading a pipe would take from it; what is missing is reported later
        return FORMS[0]
    with opened(str(source)) as file:
        start = file.read(4)
        file.seek(max(file.seek(0, os.SEEK_END) - N_END, len(start)))
        return OF_VIDEOS if is_video(start + file.read(N_END)) else FORMS[0]
