"""VideoCodec: frames that come back, fewer bytes by motion, damage that leaves the other frames."""

from __future__ import annotations

import itertools
import time
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from fastcodes import metrics
from fastcodes.coding import Video, VideoCodec, VideoFrame, VideoInfo
from fastcodes.coding import video as module
from helpers import Array, run_python

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
    """Return where the bytes of each frame begin, and where their check ends."""
    header = data[: module._N_HEADER]
    index = module._index_of(np.frombuffer(data, np.uint8), header)
    stops = len(header) + len(index) + np.cumsum([length + 2 for length in module._lengths(index)])
    starts = [len(header) + len(index), *stops[:-1]]
    return list(zip(map(int, starts), map(int, stops), strict=True))


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


def test_the_fast_search_gives_other_bytes_but_about_as_many() -> None:
    full, fast = (VideoCodec(12, radius=20, search=search).encode(CLIP) for search in ("full", "epzs"))
    assert fast != full
    assert 0.9 * len(full) < len(fast) < 1.1 * len(full)
    assert decibels(VideoCodec().decode(fast).luma, VideoCodec().decode(full).luma) > 34


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
    info = VideoInfo(5, 48, 64, True, CLIP.rate, "bidirectional", 5, 8.0)
    header, index = module._head(info, [stop - start - 2 for start, stop in places[5:10]])
    for frame, expected in zip(
        codec.frames(header + index + tail + index + header), whole[5:10], strict=True
    ):
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
            are = "is" if n_kept == 19 else "are"
            assert f"{20 - n_kept} of 20 frames {are} lost: {named(order[n_kept:])}" in message
            with pytest.raises(ValueError, match="lost"):
                codec.decode(data[:cut])


@pytest.mark.parametrize("mode", MODES)
def test_an_altered_byte_costs_no_more_than_the_frames_that_depend_on_it(mode: str) -> None:
    """Flip a bit of each byte: the frame and those of its group after it are lost, and they are named."""
    frames = moving(7, 16, 24, has_chroma=False).luma
    codec = VideoCodec(30, mode=mode, group=4)
    data = codec.encode(frames)
    whole = list(codec.frames(data))
    groups = module._groups(7, 4, mode)
    order = [[first + task.frame for task in tasks] for first, tasks in groups]
    lost_by_place: list[list[int]] = [[]] * len(data)
    places = iter(parts(data))
    for group in order:
        for position in range(len(group)):
            start, stop = next(places)
            lost_by_place[start:stop] = [sorted(group[position:])] * (stop - start)
    for place, lost in enumerate(lost_by_place):
        altered = bytearray(data)
        altered[place] ^= 1 << place % 8
        assert VideoCodec.inspect(bytes(altered)) == VideoCodec.inspect(data)
        found, message = survivors(bytes(altered))
        assert [frame.number for frame in found] == [n for n in range(7) if n not in lost]
        assert all(np.array_equal(frame.luma, whole[frame.number].luma) for frame in found)
        if lost:
            are = "is" if len(lost) == 1 else "are"
            assert f"{len(lost)} of 7 frames {are} lost: {named(lost)}" in message
        else:
            assert (
                "one of the two copies of its header and index was cut or altered; no frame is lost"
                in message
            )


def named(numbers: list[int]) -> str:
    """Name numbers by runs."""
    runs = itertools.groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0])
    ends = [[number for _, number in run] for _, run in runs]
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in ends)


def test_many_runs_of_lost_frames_are_named_in_part() -> None:
    data = bytearray(VideoCodec(30, mode="intra").encode(moving(30, 16, 16, has_chroma=False)))
    for start, _ in parts(bytes(data))[1::2]:
        data[start] ^= 1
    found, message = survivors(bytes(data))
    assert len(found) == 15
    assert message.endswith("15 of 30 frames are lost: 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, and more")


def test_damage_of_both_copies_is_an_error() -> None:
    data = VideoCodec(8).encode(CLIP.luma[:2])
    n = module._N_HEADER
    altered = bytearray(data)
    altered[n] ^= 1
    altered[-n - 1] ^= 1
    assert VideoCodec.inspect(bytes(altered)).n_frames == 2
    with pytest.raises(ValueError, match="its index, which says where frames begin, was cut or altered"):
        VideoCodec().frames(bytes(altered))
    for place in (0, 8):
        altered = bytearray(data)
        altered[place] ^= 1
        altered[place - n] ^= 1
        with pytest.raises(ValueError, match="does not begin with" if place == 0 else "its header was cut"):
            VideoCodec.inspect(bytes(altered))


def test_bytes_after_the_end_are_an_error() -> None:
    data = VideoCodec(8).encode(CLIP.luma[:3])
    found, message = survivors(data + b"ab")
    assert len(found) == 3
    expected = "2 bytes follow its end; no frame is lost: `frames` yields all of them; encode them again"
    assert message.endswith(expected)


@pytest.mark.parametrize("mode", MODES)
def test_bytes_that_are_missing_or_too_many_leave_the_groups_after_them(mode: str) -> None:
    codec = VideoCodec(30, mode=mode, group=4)
    data = codec.encode(moving(12, 16, 24, has_chroma=False).luma)
    whole = list(codec.frames(data))
    order = [(f + task.frame, f) for f, tasks in module._groups(12, 4, mode) for task in tasks]
    places = parts(data)
    start, stop = places[5]
    middle = (start + stop) // 2
    lost = [n for n, group in order[5:] if group == order[5][1]]
    for altered, missing in (
        (data[1:], []),
        (data[40:], []),
        (b"ab" + data, []),
        (data[:middle] + data[middle + 1 :], lost),
        (data[:middle] + b"x" + data[middle:], lost),
        (data[:start] + b"x" + data[start:], []),
        (data[: module._N_HEADER + 2] + data[module._N_HEADER + 3 :], []),
    ):
        found, message = survivors(altered)
        assert [frame.number for frame in found] == [n for n in range(12) if n not in missing]
        assert all(np.array_equal(frame.luma, whole[frame.number].luma) for frame in found)
        assert (f"lost: {named(missing)}" if missing else "no frame is lost: `frames` yields all") in message
    assert (
        f"it has {len(data) + 1} bytes instead of {len(data)}; no frame is lost"
        in (survivors(data[:start] + b"x" + data[start:])[1])
    )


@pytest.mark.parametrize("place", [0, 7, module._N_HEADER])
@pytest.mark.parametrize("n", [1, 1000, module.N_END - module._N_HEADER])
def test_the_second_copies_are_found_before_bytes_that_follow(place: int, n: int) -> None:
    data = VideoCodec(8).encode(CLIP.luma[:3])
    altered = bytearray(data + n * b"F")
    altered[place] ^= 1
    assert module.is_video(bytes(altered))
    found, message = survivors(bytes(altered))
    assert len(found) == 3
    assert "one of the two copies of its header and index was cut or altered; no frame is lost" in message


def test_headers_are_sought_in_a_bounded_part() -> None:
    started = time.perf_counter()
    assert not module.is_video(b"x" + module._MAGIC * (1 << 22))
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("name", ["FASTCODES_NUM_THREADS", "FASTCODES_LEVEL"])
def test_a_wrong_setting_is_no_damage(name: str) -> None:
    data = VideoCodec(8).encode(CLIP.luma[:2])
    code = (
        "from fastcodes.coding import VideoCodec\n"
        f"try: VideoCodec().decode(bytes.fromhex({data.hex()!r}))\n"
        "except ValueError as error: print(error)"
    )
    assert run_python(code, {name: "sse9"}).startswith(name)


def test_too_large_a_number_of_threads_is_no_damage() -> None:
    data = VideoCodec(8).encode(CLIP.luma[:2])
    with pytest.raises(ValueError, match="threads must be an integer from 1 up to"):
        list(VideoCodec().frames(data, threads=2**70))


def test_a_header_that_was_altered_is_an_error() -> None:
    data = VideoCodec(8).encode(CLIP.luma[:2])[: module._N_HEADER]
    assert VideoCodec.inspect(data).n_frames == 2
    for place in range(len(data)):
        for bit in range(8):
            wrong = bytearray(data)
            wrong[place] ^= 1 << bit
            with pytest.raises(ValueError, match="data is not a video"):
                VideoCodec.inspect(bytes(wrong))
        with pytest.raises(ValueError, match="data is not a video"):
            VideoCodec.inspect(data[:place])


def forged(data: bytes, offset: int, value: bytes) -> bytes:
    """Return a video with another header, whose check belongs to it, at both ends."""
    fields = bytearray(data[: module._HEADER.size])
    fields[offset : offset + len(value)] = value
    header = bytes(fields) + module._check(fields)
    return header + data[len(header) : -len(header)] + header


def test_a_header_that_was_made_up_is_an_error_and_takes_no_time() -> None:
    data = VideoCodec(8).encode(CLIP.luma[:2])
    for offset, value in (
        (4, b"\x05"),
        (5, b"\0\0"),
        (7, b"\xff\xff"),
        (9, bytes(4)),
        (17, bytes(4)),
        (17, b"\x05\0\0\0"),
        (17, b"\xff\xff\xff\xff"),
        (21, bytes(2)),
        (27, b"\x0b\0\0\0"),
    ):
        with pytest.raises(ValueError, match="does not know"):
            VideoCodec.inspect(forged(data, offset, value))
    # A frame for each byte of the index, most of them of no bytes.
    many = forged(forged(data, 17, b"\x00\x01\0\0"), 27, b"\x00\x01\0\0")
    info = VideoCodec.inspect(many)
    assert info.n_frames == 256
    header, index = module._head(info, [0] * 256)
    found, message = survivors(header + index + bytes(9))
    assert not found
    assert "256 of 256 frames are lost: 0 to 255" in message
    # Lengths of too many bytes, and fewer than there are frames.
    for wrong in (b"\x80" * 300 + b"\x01", b"\x81\x01" * 150):
        size = len(wrong).to_bytes(4, "little")
        header = forged(forged(data, 17, b"\x00\x01\0\0"), 27, size)[: module._N_HEADER]
        found, message = survivors(header + wrong + module._check(wrong) + bytes(9000))
        assert not found
        assert "256 of 256 frames are lost" in message
    with pytest.raises(ValueError, match=r"more than max_pixels = 6143"):
        VideoCodec().decode(data, max_pixels=2 * 48 * 64 - 1)
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
