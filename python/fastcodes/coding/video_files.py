"""Files of videos: y4m and raw yuv, and what PyAV reads."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import IO, Any

import numpy as np

from fastcodes import _files
from fastcodes._typing import Array, Codes, PathLike
from fastcodes._validation import as_bool, as_integer, describe
from fastcodes.coding.video import Video

__all__ = ["read_video", "write_video"]

_MAGIC = b"YUV4MPEG2"
_LONGEST_HEADER = 1024
_OF_HALF = ("420", "420jpeg", "420paldv", "420mpeg2")
_LONGEST_SIDE = 16_384
_WAY = "convert it first, for example by ffmpeg -i IN -pix_fmt yuv420p OUT.y4m"


def read_video(
    path: PathLike,
    *,
    size: tuple[int, int] | None = None,
    has_chroma: bool = True,
    rate: Any = 30,
    n_frames: int | None = None,
) -> Video:
    """Read a video: y4m, raw samples, or what PyAV reads.

    Parameters
    ----------
    path : str or path-like
        A file whose name ends in .y4m; in .yuv, for the planes of all frames one after the other; or in
        anything else, for which the package ``av`` is needed (``pip install fastcodes[video]``).
    size : tuple of int, optional
        Height and width of a .yuv file, which does not tell.
    has_chroma : bool
        Whether the frames of a .yuv file have two planes of chroma (4:2:0).
    rate : int or fractions.Fraction
        Frames per second of a .yuv file.
    n_frames : int, optional
        The most frames to read.

    Returns
    -------
    Video

    Raises
    ------
    ImportError
        If the file needs PyAV, and it is not installed.
    OSError
        If there is no such file.
    ValueError
        If the file is no video, was cut, has no frames, or its chroma is not 4:2:0; or if `size` is missing.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from fastcodes.coding import Video, read_video, write_video
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "clip.y4m")
    ...     write_video(path, Video(np.zeros((2, 16, 24), np.uint8)))
    ...     video = read_video(path)
    >>> video.luma.shape, video.chroma, video.rate
    ((2, 16, 24), None, Fraction(30, 1))
    """
    name = os.fspath(path)
    most = None if n_frames is None else as_integer(n_frames, "n_frames", 1)
    suffix = os.path.splitext(name)[1].lower()
    if suffix == ".y4m":
        try:
            with open(name, "rb") as file:
                return y4m_of(file, most)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    if suffix != ".yuv":
        return _read_by_av(name, most)
    if size is None:
        raise ValueError("size must be (height, width) for a .yuv file, which does not tell; got None")
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise TypeError(f"size must be (height, width); got {describe(size)}")
    height, width = (as_integer(side, f"size[{i}]", 1, _LONGEST_SIDE) for i, side in enumerate(size))
    is_color = as_bool(has_chroma, "has_chroma")
    frame = _frame_size(height, width, is_color)
    with open(name, "rb") as file:
        content = file.read() if most is None else file.read(most * frame)
    if not content or len(content) % frame:
        raise ValueError(
            f"{name}: has {len(content):,} bytes, no whole number of frames of {frame:,} bytes; size may be "
            "wrong"
        )
    return _video(
        np.frombuffer(content, np.uint8).reshape(-1, frame), height, width, is_color, Fraction(rate)
    )


def write_video(path: PathLike, video: Video) -> None:
    """Write a video as y4m, or as raw samples.

    Parameters
    ----------
    path : str or path-like
        A file whose name ends in .y4m or .yuv; it is replaced once the new one is whole.
    video : Video
        Frames, with chroma or without.

    Raises
    ------
    TypeError
        If `video` is no `Video`.
    ValueError
        If the name ends in anything else.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from fastcodes.coding import Video, write_video
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "clip.yuv")
    ...     write_video(path, Video(np.zeros((2, 16, 24), np.uint8)))
    ...     path.stat().st_size
    768
    """
    name = os.fspath(path)
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in (".y4m", ".yuv"):
        raise ValueError(f"path must end in .y4m or .yuv; got {name!r}")
    if not isinstance(video, Video):
        raise TypeError(f"video must be a Video; got {describe(video)}")
    with _files.replacing(name) as part, open(part, "wb") as file:
        write_frames(file, video, with_headers=suffix == ".y4m")


def write_frames(file: IO[bytes], video: Video, *, with_headers: bool) -> None:
    """Write the frames of a video, with the headers of y4m or without."""
    _, height, width = video.luma.shape
    space = "mono" if video.chroma is None else "420jpeg"
    if with_headers:
        rate = f"{video.rate.numerator}:{video.rate.denominator}"
        file.write(f"YUV4MPEG2 W{width} H{height} F{rate} Ip A1:1 C{space}\n".encode())
    for index, luma in enumerate(video.luma):
        if with_headers:
            file.write(b"FRAME\n")
        file.write(luma.tobytes())
        if video.chroma is not None:
            file.write(video.chroma[index].tobytes())


def _frame_size(height: int, width: int, has_chroma: bool) -> int:
    return height * width + (2 * -(-height // 2) * -(-width // 2) if has_chroma else 0)


def _video(frames: Array, height: int, width: int, has_chroma: bool, rate: Fraction) -> Video:
    """Return the video whose frames are rows of samples."""
    luma = frames[:, : height * width].reshape(-1, height, width)
    shape = (-1, 2, -(-height // 2), -(-width // 2))
    chroma = frames[:, height * width :].reshape(shape) if has_chroma else None
    return Video(luma, chroma, rate)


def is_y4m(content: bytes) -> bool:
    """Return whether the bytes of a file begin as those of a y4m file."""
    return content.startswith(_MAGIC)


def y4m_of(file: IO[bytes], most: int | None = None) -> Video:
    """Return the video of an open y4m file, at most so many frames."""
    header = file.readline(_LONGEST_HEADER).split()
    if not header or header[0] != _MAGIC:
        raise ValueError("is no y4m file: it does not begin with YUV4MPEG2")
    fields = {
        token[:1].decode("latin-1"): token[1:].decode("latin-1") for token in header[1:] if token[:1] != b"X"
    }
    try:
        width, height = int(fields["W"]), int(fields["H"])
        numerator, denominator = map(int, fields.get("F", "30:1").split(":"))
    except (KeyError, ValueError):
        raise ValueError("its header has no width, height or rate that can be read") from None
    if not all(1 <= side <= _LONGEST_SIDE for side in (width, height)):
        raise ValueError(f"has frames of {height} x {width}; expected sides from 1 to {_LONGEST_SIDE:,}")
    space = fields.get("C", "420")
    if space not in (*_OF_HALF, "mono"):
        raise ValueError(f"has the color space {space}; expected 4:2:0 of 8 bits, or mono; {_WAY}")
    if fields.get("I", "p") not in ("p", "?"):
        raise ValueError(f"is interlaced; expected whole frames; {_WAY}")
    frame = _frame_size(height, width, space != "mono")
    frames: list[Codes] = []
    while most is None or len(frames) < most:
        line = file.readline(_LONGEST_HEADER)
        if not line:
            break
        samples = file.read(frame)
        if not line.startswith(b"FRAME") or not line.endswith(b"\n") or len(samples) < frame:
            way = f"; n_frames={len(frames)} reads those before" if frames else ""
            raise ValueError(f"was cut or damaged in frame {len(frames)}{way}")
        frames.append(np.frombuffer(samples, np.uint8))
    if not frames:
        raise ValueError("has no frames")
    rate = Fraction(numerator, denominator) if numerator > 0 and denominator > 0 else Fraction(30)
    return _video(np.stack(frames), height, width, space != "mono", rate)


def _read_by_av(name: str, most: int | None) -> Video:
    try:
        import av
    except ModuleNotFoundError:
        raise ImportError(
            f"{name}: files other than .y4m and .yuv are read by PyAV, which is not installed: "
            "pip install fastcodes[video]"
        ) from None

    frames: list[Codes] = []
    try:
        with av.open(name) as container:
            if not container.streams.video:
                raise ValueError(f"{name}: has no video")
            stream = container.streams.video[0]
            rate = Fraction(stream.average_rate or 30)
            for frame in container.decode(stream):
                planes = frame.reformat(format="yuv420p").planes
                shape = (frame.height, frame.width)
                frames.append(
                    np.concatenate(
                        [
                            np.frombuffer(memoryview(plane), np.uint8)
                            .reshape(plane.height, plane.line_size)[:, : plane.width]
                            .ravel()
                            for plane in planes
                        ]
                    )
                )
                if len(frames) == most:
                    break
    except av.FFmpegError as error:
        raise ValueError(f"{name}: cannot be read: {error.strerror}") from None
    if not frames:
        raise ValueError(f"{name}: has no frames")
    if len({len(samples) for samples in frames}) > 1:
        raise ValueError(f"{name}: has frames of several sizes")
    return _video(np.stack(frames), *shape, True, rate)
