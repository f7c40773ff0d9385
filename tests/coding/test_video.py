"""VideoCodec: frames that come back, fewer bytes by motion, damage that leaves the other frames."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from fastcodes import metrics
from fastcodes.coding import Video, VideoCodec, VideoFrame, VideoInfo
from fastcodes.coding import video as module
from helpers import Array

MODES = ("intra", "forward", "bidirectional", "interpolation")


def moving(n: int, height: int, width: int, *, has_chroma: bool = True) -> Video:
    """Return a pattern that moves by 0.5 and 1.25 samples a frame, with some noise."""
    rng = np.random.default_rng(n * 10_000 + height * 100 + width)

    def plane(height: int, width: int, scale: float) -> Array:
        t, y, x = np.ogrid[:n, :height, :width]
        y, x = scale * y + 0.5 * t, scale * x + 1.25 * t
        values = 128 + 50 * np.sin(y / 5) + 50 * np.cos(x / 4 + y / 9) + rng.uniform(0, 4, (n, height, width))
        return values.astype(np.uint8)

    sides = (-(-height // 2), -(-width // 2))
    chroma = np.stack([plane(*sides, 2.0), plane(*sides, 1.0)], axis=1) if has_chroma else None
    return Video(plane(height, width, 1.0), chroma, Fraction(30000, 1001))


CLIP = moving(20, 48, 64)


def decibels(a: Array, b: Array) -> float:
    return float(metrics.psnr(a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])))


def parts(data: bytes) -> list[tuple[int, int]]:
    """Return where the bytes of each frame begin, with their length, and end."""
    place, found = module._HEADER.size + 2, []
    while place < len(data):
        start, length, shift = place, 0, 0
        while True:
            length |= (data[place] & 0x7F) << shift
            place, shift = place + 1, shift + 7
            if data[place - 1] < 0x80:
                break
        place += 2 + length
        found.append((start, place))
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("has_chroma", [False, True])
def test_frames_come_back(mode: str, has_chroma: bool) -> None:
    video = CLIP if has_chroma else CLIP._replace(chroma=None)
    codec = VideoCodec(6, mode=mode, group=12)
    data = codec.encode(video, threads=1)
    assert codec.encode(video, threads=2) == data
    decoded = VideoCodec().decode(data)
    assert decoded.luma.shape == video.luma.shape
    assert decibels(decoded.luma, video.luma) > 36
    assert decoded.rate == video.rate
    if video.chroma is None:
        assert decoded.chroma is None
    else:
        assert decoded.chroma is not None
        assert decibels(decoded.chroma, video.chroma) > 36
    assert codec.inspect(data) == VideoInfo(20, 48, 64, has_chroma, video.rate, mode, 12, 6.0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 16, 16), (2, 3, 5), (9, 17, 33), (10, 1, 40), (3, 40, 1)])
def test_every_number_of_frames_and_every_size(shape: tuple[int, int, int], mode: str) -> None:
    video = moving(*shape)
    codec = VideoCodec(2, mode=mode, group=4, radius=3)
    data = codec.encode(video)
    frames = list(codec.frames(data))
    assert [frame.number for frame in frames] == list(range(shape[0]))
    decoded = codec.decode(data)
    assert decoded.chroma is not None
    for frame in frames:
        assert np.array_equal(frame.luma, decoded.luma[frame.number])
        assert frame.chroma is not None
        assert np.array_equal(frame.chroma, decoded.chroma[frame.number])
    assert np.abs(decoded.luma.astype(int) - video.luma).max() <= 8


def test_motion_takes_fewer_bytes_and_both_sides_fewer_still() -> None:
    sizes, qualities = {}, {}
    for mode in MODES:
        codec = VideoCodec(12, mode=mode)
        data = codec.encode(CLIP)
        sizes[mode] = len(data)
        qualities[mode] = decibels(codec.decode(data).luma, CLIP.luma)
    assert sizes["forward"] < 0.35 * sizes["intra"]
    assert sizes["bidirectional"] < sizes["forward"]
    assert sizes["interpolation"] < 0.5 * sizes["intra"]
    assert min(qualities.values()) > 31


def test_steps_trade_bytes_for_errors() -> None:
    found = [(len(data := VideoCodec(step).encode(CLIP)), VideoCodec().decode(data)) for step in (2, 8, 32)]
    assert found[0][0] > 2 * found[1][0] > 4 * found[2][0]
    quality = [decibels(video.luma, CLIP.luma) for _, video in found]
    assert quality[0] > quality[1] + 3 > quality[2] + 6


def test_a_still_video_takes_hardly_any_bytes_after_its_first_frame() -> None:
    still = np.repeat(CLIP.luma[:1], 33, axis=0)
    data = VideoCodec(8).encode(still)
    first, *others = [stop - start for start, stop in parts(data)]
    assert first > 150
    assert np.mean(others) < 20
    decoded = VideoCodec().decode(data).luma
    assert decibels(decoded, still) > 33


def test_groups_are_decodable_without_those_before() -> None:
    codec = VideoCodec(8, group=5)
    data = codec.encode(CLIP)
    whole = list(codec.frames(data))
    places = parts(data)
    # The second group alone, with a header of five frames.
    tail = data[places[5][0] : places[9][1]]
    header = module._header("bidirectional", (5, 48, 64), True, CLIP.rate, 5, 8.0)
    for frame, expected in zip(codec.frames(header + tail), whole[5:10], strict=True):
        assert np.array_equal(frame.luma, expected.luma)


def survivors(data: bytes) -> tuple[list[VideoFrame], str]:
    """Return the frames that come, and the message of the error after them."""
    found: list[VideoFrame] = []
    with pytest.raises(ValueError, match="data is not a video of VideoCodec, or was damaged") as caught:
        found.extend(itertools.islice(VideoCodec().frames(data), 100))
    return found, str(caught.value)


@pytest.mark.parametrize("mode", MODES)
def test_a_cut_video_gives_the_frames_before_the_cut_and_an_error(mode: str) -> None:
    codec = VideoCodec(8, mode=mode, group=12)
    data = codec.encode(CLIP)
    whole = list(codec.frames(data))
    order = [first + task.frame for first, tasks in module._groups(20, 12, mode) for task in tasks]
    places = parts(data)
    for n_kept, (start, stop) in enumerate(places):
        for cut in {start, start + 1, (start + stop) // 2, stop - 1}:
            found, message = survivors(data[:cut])
            assert [frame.number for frame in found] == sorted(order[:n_kept])
            assert all(np.array_equal(frame.luma, whole[frame.number].luma) for frame in found)
            assert f"{20 - n_kept} of 20 frames are lost" in message
            assert f"from frame {order[n_kept]} on" in message
            with pytest.raises(ValueError, match="frames are lost"):
                codec.decode(data[:cut])


def test_an_altered_frame_takes_the_rest_of_its_group_alone() -> None:
    codec = VideoCodec(8, mode="forward", group=8)
    data = bytearray(codec.encode(CLIP))
    start, stop = parts(bytes(data))[10]
    data[(start + stop) // 2] ^= 4
    found, message = survivors(bytes(data))
    assert [frame.number for frame in found] == [*range(10), *range(16, 20)]
    assert "6 of 20 frames are lost" in message


def test_bytes_after_the_end_are_an_error() -> None:
    data = VideoCodec(8).encode(CLIP.luma[:3])
    found, message = survivors(data + b"ab")
    assert len(found) == 3
    assert "2 bytes follow its end" in message


def test_a_header_that_was_altered_is_an_error() -> None:
    data = VideoCodec(8).encode(CLIP.luma[:2])
    for place in range(module._HEADER.size + 2):
        for bit in range(8):
            wrong = bytearray(data)
            wrong[place] ^= 1 << bit
            with pytest.raises(ValueError, match="data is not a video"):
                VideoCodec.inspect(bytes(wrong))
    for length in range(module._HEADER.size + 2):
        with pytest.raises(ValueError, match="data is not a video"):
            VideoCodec.inspect(data[:length])


def forged(data: bytes, offset: int, value: bytes) -> bytes:
    """Return a video with another header, whose check belongs to it."""
    header = bytearray(data[: module._HEADER.size])
    header[offset : offset + len(value)] = value
    return bytes(header) + module._check(bytes(header)) + data[module._HEADER.size + 2 :]


def test_a_header_that_was_made_up_is_an_error_and_takes_no_time() -> None:
    data = VideoCodec(8).encode(CLIP.luma[:2])
    for offset, value in (
        (4, b"\x05"),
        (5, b"\0\0"),
        (7, b"\xff\xff"),
        (9, bytes(4)),
        (17, bytes(4)),
        (21, bytes(2)),
    ):
        with pytest.raises(ValueError, match="does not know"):
            VideoCodec.inspect(forged(data, offset, value))
    many = forged(data, 17, b"\xff\xff\xff\xff")
    assert len(survivors(many)[0]) == 2
    with pytest.raises(ValueError, match=r"more than max_pixels = 1073741824"):
        VideoCodec().decode(many)
    large = forged(data, 5, b"\0\x40\0\x40")
    with pytest.raises(ValueError, match=r"16384 x 16384 pixels, more than max_pixels"):
        VideoCodec().frames(large)


def test_arrays_of_any_layout_are_videos() -> None:
    codec = VideoCodec(8)
    expected = codec.encode(CLIP.luma[:4])
    wide = np.zeros((4, 48, 128), np.uint8)
    wide[:, :, ::2] = CLIP.luma[:4]
    for frames in (wide[:, :, ::2], np.asfortranarray(CLIP.luma[:4]), list(CLIP.luma[:4])):
        assert codec.encode(frames) == expected
    assert codec.decode(np.frombuffer(expected, np.uint8)).luma.shape == (4, 48, 64)


@pytest.mark.parametrize(
    ("video", "error", "words"),
    [
        (CLIP.luma.astype(float), TypeError, "a uint8 array .n, height, width.; got"),
        (CLIP.luma[0], ValueError, r"got shape \(48, 64\); for one frame"),
        (np.zeros((2, 8, 8, 3), np.uint8), ValueError, r"got shape \(2, 8, 8, 3\); for red, green and blue"),
        (CLIP.luma[:0], ValueError, "at least one frame"),
        (CLIP.luma[:, :0], ValueError, "sides from 1 to 16,384"),
        (CLIP._replace(rate=Fraction(0)), ValueError, "video.rate must be a positive Fraction"),
        (CLIP._replace(rate=30), ValueError, "video.rate must be a positive Fraction"),
        (CLIP._replace(luma=CLIP.luma[1:]), ValueError, r"video.chroma must be \(19, 2, 24, 32\)"),
        (CLIP._replace(luma=CLIP.luma[..., 2:]), ValueError, r"half the samples of luma"),
        (CLIP._replace(chroma=CLIP.luma.astype(float)), TypeError, "video.chroma must be uint8"),
        (None, TypeError, "video must be a Video or a uint8 array"),
    ],
)
def test_what_is_no_video_is_an_error(video: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        VideoCodec().encode(video)


@pytest.mark.parametrize("n", [1, 2, 8, 9, 10, 17, 18, 64])
@pytest.mark.parametrize("mode", MODES)
def test_every_frame_of_a_group_is_coded_once_after_its_references(n: int, mode: str) -> None:
    tasks = module._tasks(n, mode)
    assert sorted(task.frame for task in tasks) == list(range(n))
    slots: dict[int, int] = {}
    for task in tasks:
        for slot, distance in task.references:
            assert abs(slots[slot] - task.frame) == distance
        if len(task.references) == 2:
            assert slots[task.references[0][0]] < task.frame < slots[task.references[1][0]]
        if task.slot is not None:
            slots[task.slot] = task.frame
