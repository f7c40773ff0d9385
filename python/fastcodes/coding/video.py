"""`VideoCodec`: frames predicted from others by the motion of blocks."""

from __future__ import annotations

import struct
from binascii import crc_hqx
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from fastcodes import _native
from fastcodes._typing import Codes
from fastcodes._validation import as_array, as_integer, as_option, as_real, check_threads, described
from fastcodes.block_motion import METHODS
from fastcodes.entropy._messages import as_data

__all__ = ["Video", "VideoCodec", "VideoFrame", "VideoInfo"]

_MAGIC = b"FCV\x01"
_HEADER = struct.Struct("<4sBHHIIIHfI")
_N_CHECK = 2
_N_HEADER = _HEADER.size + _N_CHECK
_MODES = ("intra", "forward", "bidirectional", "interpolation")
_WITH_CHROMA = 0x80
_LONGEST_SIDE = 16_384
_MOST_FRAMES = 2**32 - 1
_MOST_GROUP = 65_535
_LEAST_STEP, _LARGEST_STEP = 1 / 4, 4096.0
_SPAN = 8
"""Frames from one key frame to the next, where frames between are predicted from both."""
_OF_KEY = 0.7
_OF_LEVELS = (1.35, 1.5, 1.7)
"""Steps of frames that others are predicted from, and of the levels between two of them."""
_MAX_LENGTH_BYTES = 5
_N_SLOTS = 8
_MOST_RUNS = 10
"""Of lost frames that are named."""
N_END = 1 << 16
"""Bytes in which the header at the end is sought, as others may follow it."""


class Video(NamedTuple):
    """Frames of equal size.

    Attributes
    ----------
    luma : uint8 array (n, height, width)
        Luma.
    chroma : uint8 array (n, 2, ceil(height / 2), ceil(width / 2)) or None
        Both differences of color, blue first, with half the samples in both directions (4:2:0); None for
        luma alone.
    rate : fractions.Fraction
        Frames per second.
    """

    luma: Codes
    chroma: Codes | None = None
    rate: Fraction = Fraction(30)


class VideoFrame(NamedTuple):
    """A decoded frame.

    Attributes
    ----------
    number : int
        Which one, from 0.
    luma : uint8 array (height, width)
        Luma.
    chroma : uint8 array (2, ceil(height / 2), ceil(width / 2)) or None
        Both differences of color; None for luma alone.
    """

    number: int
    luma: Codes
    chroma: Codes | None


class VideoInfo(NamedTuple):
    """What the header of a compressed video says.

    Attributes
    ----------
    n_frames, height, width : int
        Frames, and the samples of their luma.
    has_chroma : bool
        Whether there is color.
    rate : fractions.Fraction
        Frames per second.
    mode : str
        How frames were predicted.
    group : int
        Frames from one that is decodable alone to the next.
    step : float
        The step between two values of a coefficient.
    """

    n_frames: int
    height: int
    width: int
    has_chroma: bool
    rate: Fraction
    mode: str
    group: int
    step: float


class _Task(NamedTuple):
    """How a frame of a group is coded: references as pairs of slot and distance."""

    frame: int
    references: list[tuple[int, int]]
    factor: float
    slot: int | None


class VideoCodec:
    """Compression of videos of luma, or of luma and chroma with half its resolution (4:2:0).

    A frame is predicted from decoded ones: blocks of 16 x 16 or 8 x 8 samples move by vectors of a quarter of
    a sample, and overlap. What the prediction leaves is coded as `ImageCodec` codes pictures, and what is
    learned of probabilities is kept from frame to frame. It is for archives, for studies of codecs and for
    teaching: on two clips a quarter to a third of the bytes of MPEG-2 at the same PSNR of luma, and about
    as many as x264 with its preset medium. The same video gives the same bytes and the same samples on every
    machine and for every number of threads. Where speed or a player matters, take a production format, which
    is far faster to decode.

    Parameters
    ----------
    step : float
        The step between two values of a coefficient, from 1/4 to 4,096: about the size of errors. Frames that
        others are predicted from have 0.7 times the step; those between, up to 1.7 times.
    mode : {"bidirectional", "forward", "intra", "interpolation"}
        How frames are predicted. "bidirectional": every eighth from the one eight before, those between from
        the nearest on both sides, in three levels. "forward": from the one before. "intra": each is coded
        alone. "interpolation": as "bidirectional", with every eighth coded alone.
    group : int
        Frames from one that is decodable alone to the next, from 1 to 65,535. With a frame whose bytes were
        altered, those of its group that were coded after it are lost, too, as they depend on it; the next
        group is decodable again.
    radius : int
        Samples that the search for vectors reaches in each direction, from 0 to 127.
    search : {"full", "epzs"}
        How it searches: the `method` of `fastcodes.block_motion.search`. "epzs" takes time that hardly
        depends on `radius` where motion is smooth, and on two clips 2 to 3 % more bytes at the same PSNR.

    See Also
    --------
    fastcodes.coding.read_video : y4m, raw and other files.
    fastcodes.block_motion : the search for vectors.
    fastcodes.metrics : `psnr`, `bd_rate`.

    Notes
    -----
    Whether a block has vectors of its own or takes those of a neighbour is decided by
    ``D + lambda * R``: absolute differences, and the bits that the arithmetic coder would take. The order of
    bytes is documented in ``python/fastcodes/coding/video.py`` and ``rust/core/src/video/mod.rs``; videos of
    this version will always be read.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.coding import VideoCodec
    >>> y, x = np.mgrid[:64, :96]
    >>> frames = np.stack([128 + 60 * np.sin((x + 2 * t) / 9) * np.cos(y / 7) for t in range(10)])
    >>> frames = frames.astype(np.uint8)
    >>> codec = VideoCodec(step=16)
    >>> data = codec.encode(frames)
    >>> len(data) < frames.size // 100
    True
    >>> video = codec.decode(data)
    >>> video.luma.shape, bool(np.abs(video.luma.astype(int) - frames).mean() < 4)
    ((10, 64, 96), True)
    >>> [frame.number for frame in codec.frames(data)][:3]
    [0, 1, 2]
    """

    # header   index   frames   index   header: damage of one of the two is mended by the other
    #
    # Where bytes are missing or too many, frames after them are found by their places from the end.
    #
    # header, 33 bytes
    # 4        "FCV" and the version, 1
    # 1        mode: its number in _MODES; 0x80: with chroma
    # 2, 2     width, height
    # 4, 4     frames per second: numerator, denominator
    # 4        frames
    # 2        group
    # 4        step: float32
    # 4        bytes of the index, without its check
    # 2        check of these bytes
    #
    # index    for each frame in the order of coding
    # 1 to 5   how many bytes: seven bits a byte, the lowest first, and 0x80 in all but the last
    #          then, once
    # 2        check of these bytes
    #
    # frames   for each in that order
    #          its bytes: rust/core/src/video/mod.rs
    # 2        check of these bytes
    #
    # Numbers are little-endian. A check is a CRC-16 (polynomial 0x1021, from 0xFFFF).

    def __init__(
        self,
        step: float = 16.0,
        *,
        mode: str = "bidirectional",
        group: int = 64,
        radius: int = 16,
        search: str = "full",
    ) -> None:
        self._step = float(np.float32(as_real(step, "step", at_least=_LEAST_STEP, at_most=_LARGEST_STEP)))
        self._mode = as_option(mode, "mode", _MODES)
        self._group = as_integer(group, "group", 1, _MOST_GROUP)
        self._radius = as_integer(radius, "radius", 0, 127)
        self._search = as_option(search, "search", METHODS)

    def __repr__(self) -> str:
        """Return the parameters."""
        others = f"group={self._group}, radius={self._radius}, search={self._search!r}"
        return f"VideoCodec(step={self._step:g}, mode={self._mode!r}, {others})"

    def encode(self, video: Any, *, threads: int | None = None) -> bytes:
        """Compress a video.

        Parameters
        ----------
        video : Video, or array_like of uint8 (n, height, width)
            Frames, with sides from 1 to 16,384; an array is luma at 30 frames per second.
        threads : int, optional
            Largest number of threads; None means all CPUs of this process.

        Returns
        -------
        bytes
            What `decode` and `frames` take: 70 bytes, and from 4 to 8 for each frame, besides what frames are
            coded in.

        Raises
        ------
        TypeError
            If the frames are not uint8.
        ValueError
            If they have another shape, or chroma and luma do not go together.
        """
        luma, chroma, rate = _as_video(video)
        n_frames, height, width = luma.shape
        coder = _native.VideoCoder(width, height, chroma is not None)
        parts: list[bytes] = []
        lengths: list[int] = []
        none = np.empty(0, np.uint8)
        reach = (self._radius, self._search)
        for first, tasks in _groups(n_frames, self._group, self._mode):
            coder.reset()
            for task in tasks:
                number = first + task.frame
                blue, red = (none, none) if chroma is None else chroma[number]
                place = (task.references, self._step * task.factor, task.slot)
                data = coder.encode([luma[number], blue, red], place, reach, threads)
                parts += data, _check(data)
                lengths.append(len(data))
        has_chroma = chroma is not None
        info = VideoInfo(n_frames, height, width, has_chroma, rate, self._mode, self._group, self._step)
        header, index = _head(info, lengths)
        return b"".join([header, index, *parts, index, header])

    def decode(self, data: Any, *, max_pixels: int = 1 << 30, threads: int | None = None) -> Video:
        """Return the video of these bytes, whatever the parameters of this codec are.

        Parameters
        ----------
        data : bytes-like
            What `encode` returned.
        max_pixels : int
            The most samples of luma in all frames that are decoded.
        threads : int, optional
            Largest number of threads; None means all CPUs of this process.

        Returns
        -------
        Video

        Raises
        ------
        TypeError
            If `data` is not bytes-like.
        ValueError
            If they are not a video, were cut or altered, or the video is larger than `max_pixels`. `frames`
            returns those frames that are left.
        """
        info = self.inspect(data)
        n_pixels = info.n_frames * info.height * info.width
        if n_pixels > as_integer(max_pixels, "max_pixels", 1):
            raise ValueError(
                f"data is a video of {info.n_frames:,} frames of {info.height} x {info.width} pixels, more "
                f"than max_pixels = {max_pixels}; if you trust it, give a larger max_pixels, or take its "
                "frames one by one"
            )
        found = list(self.frames(data, max_pixels=max_pixels, threads=threads))
        luma = np.stack([frame.luma for frame in found])
        chroma = (
            np.stack([frame.chroma for frame in found if frame.chroma is not None])
            if info.has_chroma
            else None
        )
        return Video(luma, chroma, info.rate)

    def frames(
        self, data: Any, *, max_pixels: int = 1 << 27, threads: int | None = None
    ) -> Iterator[VideoFrame]:
        """Decode a video frame by frame, whatever the parameters of this codec are.

        Parameters
        ----------
        data : bytes-like
            What `encode` returned.
        max_pixels : int
            The largest frame that is decoded, in samples of luma.
        threads : int, optional
            Largest number of threads; None means all CPUs of this process.

        Yields
        ------
        VideoFrame
            In ascending order. Of a video that was cut or altered, all frames that can be decoded come,
            before the error that names the others is raised.

        Raises
        ------
        TypeError
            If `data` is not bytes-like.
        ValueError
            If they are not a video, were cut or altered, or a frame is larger than `max_pixels`.
        """
        content = as_data(data)
        header = _header_of(content)
        info = _info(header)
        if info.height * info.width > as_integer(max_pixels, "max_pixels", 1):
            raise ValueError(
                f"data is a video of {info.height} x {info.width} pixels, more than max_pixels = "
                f"{max_pixels}; if you trust it, give a larger max_pixels"
            )
        check_threads(threads)
        return _decoded(content, (header, _index_of(content, header)), threads)

    @staticmethod
    def inspect(data: Any) -> VideoInfo:
        """Return what the header of a compressed video says, without decoding it.

        Parameters
        ----------
        data : bytes-like
            What `encode` returned, or its first 33 bytes.

        Returns
        -------
        VideoInfo

        Raises
        ------
        TypeError
            If `data` is not bytes-like.
        ValueError
            If they are not a video.
        """
        return _info(_header_of(as_data(data)))


def is_video(content: bytes) -> bool:
    """Return whether the bytes of a file are a video, as they begin or end like one.

    The first 4 bytes and the last `N_END` are enough.
    """
    return content.startswith(_MAGIC) or _last_header(np.frombuffer(content, np.uint8)) is not None


def _last_header(data: Codes) -> int | None:
    """Return where the last whole header begins, of those in the last bytes."""
    end = data[-N_END:].tobytes()
    place = end.rfind(_MAGIC)
    while place >= 0:
        header = end[place : place + _N_HEADER]
        if len(header) == _N_HEADER and _is_whole(header):
            return len(data) - len(end) + place
        place = end.rfind(_MAGIC, 0, place)
    return None


def _header_of(data: Codes) -> bytes:
    """Return the header, from the end if that at the start is damaged."""
    header = data[:_N_HEADER].tobytes()
    is_magic = header[: len(_MAGIC)] == _MAGIC
    if is_magic and len(header) == _N_HEADER and _is_whole(header):
        return header
    last = _last_header(data)
    if last is not None:
        return data[last:][:_N_HEADER].tobytes()
    raise _damaged(
        "its header was cut or altered" if is_magic else "it does not begin with the bytes 46 43 56 01"
    )


def _info(header: bytes) -> VideoInfo:
    """Return what a header says."""
    _, mode, width, height, numerator, denominator, n_frames, group, step, n_bytes = _HEADER.unpack_from(
        header
    )
    number = mode & ~_WITH_CHROMA
    if (
        number >= len(_MODES)
        or not all(1 <= side <= _LONGEST_SIDE for side in (width, height))
        or not numerator
        or not denominator
        or not 1 <= n_frames <= n_bytes <= _MAX_LENGTH_BYTES * n_frames
        or not group
        or not _LEAST_STEP <= step <= _LARGEST_STEP
    ):
        raise _damaged("its header has values that this version of fastcodes does not know")
    rate = Fraction(numerator, denominator)
    return VideoInfo(n_frames, height, width, bool(mode & _WITH_CHROMA), rate, _MODES[number], group, step)


def _index_of(data: Codes, header: bytes) -> bytes:
    """Return the index, from the end if that at the start is damaged."""
    n = _HEADER.unpack_from(header)[-1] + _N_CHECK
    last = _last_header(data)
    # Without a header at the end, it is sought where it would be.
    for place in (_N_HEADER, (len(data) - _N_HEADER if last is None else last) - n):
        index = data[max(place, 0) :][:n].tobytes()
        if len(index) == n and _is_whole(index):
            return index
    raise _damaged("its index, which says where frames begin, was cut or altered")


def _lengths(index: bytes) -> Iterator[int]:
    """Yield how many bytes each frame takes."""
    length = shift = 0
    for byte in index[:-_N_CHECK]:
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield length
            length = shift = 0
        elif shift == 7 * _MAX_LENGTH_BYTES:
            return


def _head(info: VideoInfo, lengths: Iterable[int]) -> tuple[bytes, bytes]:
    """Return the header and the index of frames of these lengths."""
    index = bytearray()
    for length in lengths:
        while length >> 7:
            index.append(length & 0x7F | 0x80)
            length >>= 7
        index.append(length)
    header = _HEADER.pack(
        _MAGIC,
        _MODES.index(info.mode) | (_WITH_CHROMA if info.has_chroma else 0),
        info.width,
        info.height,
        info.rate.numerator,
        info.rate.denominator,
        info.n_frames,
        info.group,
        info.step,
        len(index),
    )
    return header + _check(header), bytes(index) + _check(index)


def _decoded(data: Codes, head: tuple[bytes, bytes], threads: int | None) -> Iterator[VideoFrame]:
    """Yield all frames that can be decoded, and raise an error if some cannot, or anything else is wrong."""
    info, stop = _info(head[0]), sum(map(len, head))
    last = _last_header(data)
    end = len(data) if last is None else last + len(head[0])
    n_expected = 2 * stop + sum(_lengths(head[1])) + _N_CHECK * info.n_frames
    # Bytes that are missing or too many move the frames after them, but not away from the end.
    moves = [0] if last is None or end == n_expected else [0, end - n_expected]
    lengths = _lengths(head[1])
    coder = _native.VideoCoder(info.width, info.height, info.has_chroma)
    lost = _Lost()
    for first, tasks in _groups(info.n_frames, info.group, info.mode):
        if stop + min(moves) >= len(data):
            lost.add(first, info.n_frames)
            break
        coder.reset()
        decoded: dict[int, VideoFrame] = {}
        next_frame, is_whole = first, True
        for task in tasks:
            start, stop = stop, stop + next(lengths, 0) + _N_CHECK
            parts = (data[max(start + move, 0) : max(stop + move, 0)] for move in moves)
            whole = (part for part in parts if len(part) == stop - start and _is_whole(part.tobytes()))
            content = next(whole, None) if is_whole else None
            place = (task.references, info.step * task.factor, task.slot)
            planes = None if content is None else coder.decode(content[:-_N_CHECK], place, threads)
            if planes is None:
                is_whole = False
                continue
            decoded[first + task.frame] = _frame(first + task.frame, planes, info)
            while next_frame in decoded:
                yield decoded.pop(next_frame)
                next_frame += 1
        for number in range(next_frame, first + len(tasks)):
            if number in decoded:
                yield decoded[number]
            else:
                lost.add(number, number + 1)
    if lost.n:
        are = "is" if lost.n == 1 else "are"
        raise _damaged(
            f"it was cut or altered, and {lost.n:,} of {info.n_frames:,} frames {are} lost: {lost.named()}"
        )
    start_of_all, end_of_all = b"".join(head), b"".join(reversed(head))
    of_ends = data[: len(start_of_all)].tobytes(), data[:end][-len(end_of_all) :].tobytes()
    if of_ends != (start_of_all, end_of_all):
        raise _harmless("one of the two copies of its header and index was cut or altered")
    if end != n_expected:
        raise _harmless(f"it has {end:,} bytes instead of {n_expected:,}")
    if len(data) > end:
        raise _harmless(f"{len(data) - end:,} bytes follow its end")


class _Lost:
    """Frames that are lost, in ascending order."""

    def __init__(self) -> None:
        self.n = 0
        self._runs: list[range] = []

    def add(self, start: int, stop: int) -> None:
        """Add those from `start` to before `stop`."""
        self.n += stop - start
        if self._runs and self._runs[-1].stop == start:
            self._runs[-1] = range(self._runs[-1].start, stop)
        elif len(self._runs) <= _MOST_RUNS:
            self._runs.append(range(start, stop))

    def named(self) -> str:
        """Name them, by the first and the last ones of runs."""
        runs = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in self._runs[:_MOST_RUNS]]
        return ", ".join(runs) + (", and more" if len(self._runs) > _MOST_RUNS else "")


def _frame(index: int, planes: tuple[Codes, Codes, Codes], info: VideoInfo) -> VideoFrame:
    luma, blue, red = planes
    shape = (-(-info.height // 2), -(-info.width // 2))
    chroma = np.stack([blue.reshape(shape), red.reshape(shape)]) if info.has_chroma else None
    return VideoFrame(index, luma.reshape(info.height, info.width), chroma)


def _check(data: bytes | bytearray) -> bytes:
    return crc_hqx(data, 0xFFFF).to_bytes(_N_CHECK, "little")


def _is_whole(data: bytes) -> bool:
    """Return whether the bytes end with their check."""
    return _check(data[:-_N_CHECK]) == data[-_N_CHECK:]


def _damaged(what: str) -> ValueError:
    return ValueError(f"data is not a video of VideoCodec, or was damaged: {what}")


def _harmless(what: str) -> ValueError:
    return _damaged(f"{what}; no frame is lost: `frames` yields all of them; encode them again")


def _groups(n_frames: int, group: int, mode: str) -> Iterator[tuple[int, list[_Task]]]:
    """Yield the first frame of each group, and its tasks in the order of coding."""
    group = 1 if mode == "intra" else group
    for first in range(0, n_frames, group):
        yield first, _tasks(min(group, n_frames - first), mode)


def _tasks(n: int, mode: str) -> list[_Task]:
    """Return how the `n` frames of a group are coded."""
    order: list[tuple[int, list[int], float]] = [(0, [], _OF_KEY)]
    if mode == "forward":
        order += [(frame, [frame - 1], 1.0) for frame in range(1, n)]
    else:
        low = 0
        while low < n - 1:
            high = min(low + _SPAN, n - 1)
            order.append((high, [low], 1.0) if mode == "bidirectional" else (high, [], _OF_KEY))
            order += _between(low, high)
            low = high
    last_use: dict[int, int] = {}
    for position, (_, references, _) in enumerate(order):
        last_use.update(dict.fromkeys(references, position))
    tasks, slots = [], dict[int, int]()
    for position, (frame, references, factor) in enumerate(order):
        of_references = [(slots[reference], abs(reference - frame)) for reference in references]
        # The slot of a reference is free once it was used for the last time.
        slots = {other: slot for other, slot in slots.items() if last_use[other] > position}
        slot = None
        if frame in last_use:
            slot = next(slot for slot in range(_N_SLOTS) if slot not in slots.values())
            slots[frame] = slot
        tasks.append(_Task(frame, of_references, factor, slot))
    return tasks


def _between(low: int, high: int, level: int = 0) -> list[tuple[int, list[int], float]]:
    """Return the frames between two others: the middle one first, then those on its both sides."""
    if high - low < 2:
        return []
    middle = (low + high) // 2
    return [
        (middle, [low, high], _OF_LEVELS[level]),
        *_between(low, middle, level + 1),
        *_between(middle, high, level + 1),
    ]


def _as_video(video: Any) -> Video:
    luma, chroma, rate = video if isinstance(video, Video) else Video(video)
    array = as_array(luma, "video")
    if array.dtype != np.uint8:
        raise TypeError(
            f"video must be a Video or a uint8 array (n, height, width); got {described(array, luma)}"
        )
    if array.ndim != 3 or not all(1 <= side <= _LONGEST_SIDE for side in array.shape[1:]):
        way = (
            "; for red, green and blue, give luma, such as fastcodes.metrics.luma of each frame"
            if array.ndim == 4
            else "; for one frame, video[None]"
            if array.ndim == 2
            else ""
        )
        raise ValueError(
            f"video must be (n, height, width), with sides from 1 to {_LONGEST_SIDE:,}; got shape "
            f"{array.shape}{way}"
        )
    if not 1 <= len(array) <= _MOST_FRAMES:
        raise ValueError(f"video must have at least one frame; got shape {array.shape}")
    if not isinstance(rate, Fraction) or not rate > 0 or max(rate.numerator, rate.denominator) >= 2**32:
        raise ValueError(f"video.rate must be a positive Fraction of 32-bit numbers; got {rate!r}")
    if chroma is not None:
        colors = as_array(chroma, "video.chroma")
        n, height, width = array.shape
        expected = (n, 2, -(-height // 2), -(-width // 2))
        if colors.dtype != np.uint8:
            raise TypeError(f"video.chroma must be uint8 {expected}; got {described(colors, chroma)}")
        if colors.shape != expected:
            raise ValueError(
                f"video.chroma must be {expected}, half the samples of luma in both directions (4:2:0); got "
                f"shape {colors.shape}"
            )
        chroma = np.ascontiguousarray(colors)
    return Video(np.ascontiguousarray(array), chroma, rate)
