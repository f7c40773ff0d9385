"""Files of videos: y4m and raw yuv, and what PyAV reads."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import IO, Any

import numpy as np

from fastcodes import _files
from fastcodes._typing import Codes, PathLike
from fastcodes._validation import as_bool, as_integer, describe
from fastcodes.coding.video import Video, _as_video

__all__ = ["read_video", "write_video"]

Y4M_MAGIC = b"YUV4MPEG2"
_LONGEST_HEADER = 1024
_OF_HALF = ("420", "420jpeg", "420paldv", "420mpeg2")
_LONGEST_SIDE = 16_384
_START_OF_FRAME = b"FRAME"
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
        Height and width of a .yuv file, which does not store them.
    has_chroma : bool
        Whether the frames of a .yuv file have two planes of chroma (4:2:0).
    rate : int or fractions.Fraction
        Frames per second of a .yuv file, as quotient of two 32-bit numbers. A float is refused, as by PyAV:
        29.97 may mean 2997/100 or 30000/1001.
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
        If there is no such file, or it cannot be opened.
    TypeError
        If `size`, `has_chroma`, `rate` or `n_frames` has another type.
    ValueError
        If the file is not a video, has no frames, or frames of several sizes; if a .y4m or .yuv file was cut,
        or a .y4m file has chroma other than 4:2:0; if `size` is missing, or a number is out of range. Of
        other files that were cut, PyAV may return the frames before the cut.

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
        except CutError as error:
            way = f"; n_frames={error.n_before} reads those before" if error.n_before else ""
            raise ValueError(f"{name}: {error}{way}") from None
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    if suffix != ".yuv":
        return _read_by_av(name, most)
    if size is None:
        raise ValueError("size must be (height, width) for a .yuv file, which does not store it; got None")
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise TypeError(f"size must be (height, width); got {describe(size)}")
    height, width = (as_integer(side, f"size[{i}]", 1, _LONGEST_SIDE) for i, side in enumerate(size))
    is_color = as_bool(has_chroma, "has_chroma")
    frames_per_second = _as_rate(rate, "rate")
    frames = _Frames(height, width, has_chroma=is_color)
    with open(name, "rb") as file:
        while most is None or frames.n < most:
            samples = file.read(frames.n_bytes)
            if len(samples) == frames.n_bytes:
                frames.append(samples)
                continue
            if samples or not frames.n:
                n_bytes = frames.n * frames.n_bytes + len(samples)
                raise ValueError(
                    f"{name}: has {n_bytes:,} bytes, which is not a whole number of frames of "
                    f"{frames.n_bytes:,} bytes; size may be wrong"
                )
            break
    return frames.video(frames_per_second)


def write_video(path: PathLike, video: Video) -> None:
    """Write a video as y4m, or as raw samples.

    Parameters
    ----------
    path : str or path-like
        A file whose name ends in .y4m or .yuv; it is replaced once the new one is whole.
    video : Video
        Frames as `VideoCodec.encode` takes them, with chroma or without.

    Raises
    ------
    OSError
        If the file cannot be written.
    TypeError
        If `video` is no `Video`, or its samples are not uint8.
    ValueError
        If the name ends in anything else; if `video` has no frames, sides out of range, or a rate that is no
        positive Fraction of 32-bit numbers; or if chroma and luma do not go together.

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
    luma, chroma, rate = _as_video(video)
    is_y4m_file = suffix == ".y4m"
    with _files.replacing(name) as part, open(part, "wb") as file:
        if is_y4m_file:
            file.write(y4m_header(luma.shape[1:], rate, has_chroma=chroma is not None))
        for index, samples in enumerate(luma):
            colors = None if chroma is None else chroma[index]
            file.writelines(parts_of_frame(samples, colors, with_header=is_y4m_file))


def y4m_header(shape: tuple[int, ...], rate: Fraction, *, has_chroma: bool) -> bytes:
    """Return the line that a y4m file begins with."""
    height, width = shape
    space = "420jpeg" if has_chroma else "mono"
    fields = f"W{width} H{height} F{rate.numerator}:{rate.denominator} Ip A1:1 C{space}"
    return Y4M_MAGIC + f" {fields}\n".encode()


def parts_of_frame(luma: Codes, chroma: Codes | None, *, with_header: bool = True) -> Iterator[bytes]:
    """Yield the bytes of a frame of y4m, or without its header those of a raw one."""
    if with_header:
        yield _START_OF_FRAME + b"\n"
    yield luma.tobytes()
    if chroma is not None:
        yield chroma.tobytes()


class CutError(ValueError):
    """Raised for a file that was cut or damaged after some frames."""

    def __init__(self, n_before: int) -> None:
        super().__init__(f"was cut or damaged in frame {n_before}")
        self.n_before = n_before


class _Frames:
    """Frames that are read one after the other, and grow in place."""

    def __init__(self, height: int, width: int, *, has_chroma: bool) -> None:
        self.shape = height, width
        self.shape_of_chroma = (2, -(-height // 2), -(-width // 2)) if has_chroma else None
        self.n_bytes = height * width + math.prod(self.shape_of_chroma or (0,))
        self.n = 0
        self._luma, self._chroma = bytearray(), bytearray()

    def append(self, samples: bytes) -> None:
        """Append a frame: its luma, then both planes of chroma."""
        view, n_luma = memoryview(samples), math.prod(self.shape)
        self._luma += view[:n_luma]
        self._chroma += view[n_luma:]
        self.n += 1

    def video(self, rate: Fraction) -> Video:
        """Return all frames; none can be appended any more."""
        luma = np.frombuffer(self._luma, np.uint8).reshape(self.n, *self.shape)
        if self.shape_of_chroma is None:
            return Video(luma, None, rate)
        return Video(luma, np.frombuffer(self._chroma, np.uint8).reshape(self.n, *self.shape_of_chroma), rate)


def _as_rate(rate: Any, name: str) -> Fraction:
    if isinstance(rate, bool) or not isinstance(rate, (int, np.integer, Fraction)):
        raise TypeError(
            f"{name} must be a positive int or fractions.Fraction, such as Fraction(30000, 1001); got "
            f"{describe(rate)}"
        )
    value = rate if isinstance(rate, Fraction) else Fraction(int(rate))
    if not value > 0 or max(value.numerator, value.denominator) >= 2**32:
        raise ValueError(f"{name} must be positive, a quotient of 32-bit numbers; got {describe(rate)}")
    return value


def y4m_of(file: IO[bytes], most: int | None = None, *, start: bytes = b"") -> Video:
    """Return the video of an open y4m file, at most this many frames; `start` was read before."""
    line = start + file.readline(_LONGEST_HEADER - len(start))
    header = line.split()
    if not header or header[0] != Y4M_MAGIC:
        raise ValueError("is not a y4m file: it does not begin with YUV4MPEG2")
    if len(line) >= _LONGEST_HEADER and not line.endswith(b"\n"):
        raise ValueError(f"its header is too long; expected at most {_LONGEST_HEADER:,} bytes")
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
    # 0:0 stands for a rate that is not known.
    rate = _as_rate(Fraction(numerator, denominator) if numerator and denominator else 30, "its rate")
    frames = _Frames(height, width, has_chroma=space != "mono")
    while most is None or frames.n < most:
        line = file.readline(_LONGEST_HEADER)
        if not line:
            break
        samples = file.read(frames.n_bytes)
        is_whole = line.endswith(b"\n") and len(samples) == frames.n_bytes
        if not line.startswith(_START_OF_FRAME) or not is_whole:
            raise CutError(frames.n)
        frames.append(samples)
    if not frames.n:
        raise ValueError("has no frames")
    return frames.video(rate)


def _read_by_av(name: str, most: int | None) -> Video:
    try:
        import av
    except ModuleNotFoundError:
        raise ImportError(
            f"{name}: files other than .y4m and .yuv are read by PyAV, which is not installed: "
            "pip install fastcodes[video]"
        ) from None

    frames: _Frames | None = None
    try:
        with open(name, "rb") as file, av.open(file) as container:
            if not container.streams.video:
                raise ValueError(f"{name}: has no video")
            stream = container.streams.video[0]
            rate = _as_rate(Fraction(stream.average_rate or 30), f"{name}: its rate")
            for frame in container.decode(stream):
                shape = (frame.height, frame.width)
                frames = frames or _Frames(*shape, has_chroma=True)
                if shape != frames.shape:
                    raise ValueError(
                        f"{name}: frame {frames.n} is {shape[0]} x {shape[1]}, those before are "
                        f"{frames.shape[0]} x {frames.shape[1]}; expected frames of one size"
                    )
                planes = [
                    np.frombuffer(memoryview(plane), np.uint8)
                    .reshape(plane.height, plane.line_size)[:, : plane.width]
                    .tobytes()
                    for plane in frame.reformat(format="yuv420p").planes
                ]
                frames.append(b"".join(planes))
                if frames.n == most:
                    break
    except av.FFmpegError as error:
        raise ValueError(f"{name}: cannot be read: {error.strerror}") from None
    if frames is None:
        raise ValueError(f"{name}: has no frames")
    return frames.video(rate)
