"""Files of videos: what was written is read, and what cannot be read is an error that says why."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes.coding import Video, read_video, write_video

RNG = np.random.default_rng(3)


def clip(n: int, height: int, width: int, *, has_chroma: bool = True) -> Video:
    chroma = RNG.integers(0, 256, (n, 2, -(-height // 2), -(-width // 2)), dtype=np.uint8)
    luma = RNG.integers(0, 256, (n, height, width), dtype=np.uint8)
    return Video(luma, chroma if has_chroma else None, Fraction(25, 2))


def same(a: Video, b: Video) -> bool:
    if a.chroma is None or b.chroma is None:
        return a.chroma is b.chroma and np.array_equal(a.luma, b.luma)
    return np.array_equal(a.luma, b.luma) and np.array_equal(a.chroma, b.chroma)


@pytest.mark.parametrize("has_chroma", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 16, 24), (2, 7, 5)])
def test_what_was_written_is_read(tmp_path: Path, shape: tuple[int, int, int], has_chroma: bool) -> None:
    video = clip(*shape, has_chroma=has_chroma)
    write_video(tmp_path / "a.y4m", video)
    found = read_video(tmp_path / "a.y4m")
    assert same(found, video)
    assert found.rate == video.rate
    write_video(str(tmp_path / "a.yuv"), video)
    found = read_video(tmp_path / "a.yuv", size=shape[1:], has_chroma=has_chroma, rate=Fraction(25, 2))
    assert same(found, video)
    assert found.rate == video.rate
    first = read_video(tmp_path / "a.yuv", size=shape[1:], has_chroma=has_chroma, n_frames=1)
    assert np.array_equal(first.luma, video.luma[:1])


def test_y4m_is_as_others_write_it(tmp_path: Path) -> None:
    video = clip(2, 4, 6)
    assert video.chroma is not None
    frames = [video.luma[i].tobytes() + video.chroma[i].tobytes() for i in range(2)]
    for header in (
        b"W6 H4",
        b"H4 W6 F30000:1001 Ip A128:117 C420mpeg2 XCOLORRANGE=FULL",
        b"W6 H4 C420jpeg I?",
    ):
        content = b"YUV4MPEG2 " + header + b"\n" + b"".join(b"FRAME Ip\n" + frame for frame in frames)
        (tmp_path / "a.y4m").write_bytes(content)
        assert same(read_video(tmp_path / "a.y4m"), video)
        assert len(read_video(tmp_path / "a.y4m", n_frames=1).luma) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "does not begin with YUV4MPEG2"),
        (b"RIFF", "does not begin with YUV4MPEG2"),
        (b"YUV4MPEG2 H4\n", "no width, height or rate"),
        (b"YUV4MPEG2 Wa H4\n", "no width, height or rate"),
        (b"YUV4MPEG2 W6 H4 F30\n", "no width, height or rate"),
        (b"YUV4MPEG2 W0 H4\n", "expected sides from 1 to 16,384"),
        (b"YUV4MPEG2 W6 H4 C422\n", "the color space 422; expected 4:2:0 of 8 bits, or mono; convert it"),
        (b"YUV4MPEG2 W6 H4 C444\n", "the color space 444"),
        (b"YUV4MPEG2 W6 H4 C420p10\n", "the color space 420p10"),
        (b"YUV4MPEG2 W6 H4 It\n", "is interlaced"),
        (b"YUV4MPEG2 W6 H4\n", "has no frames"),
        (b"YUV4MPEG2 W6 H4 " + b"X" * 1009 + b"\n", "its header is too long; expected at most 1,024 bytes"),
        (b"YUV4MPEG2 W2 H2 F4294967296:1\nFRAME\n123456", "its rate must be positive, a quotient of 32-bit"),
        (b"YUV4MPEG2 W2 H2 F-25:1\nFRAME\n123456", "its rate must be positive"),
        (b"YUV4MPEG2 W2 H2\nFRAME\n12345", "cut or damaged in frame 0"),
        (
            b"YUV4MPEG2 W2 H2\nFRAME\n123456FRAME\n1",
            "cut or damaged in frame 1; n_frames=1 reads those before",
        ),
        (b"YUV4MPEG2 W2 H2\nFRAME\n123456abc\n123456", "cut or damaged in frame 1"),
    ],
)
def test_what_is_no_y4m_is_an_error(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.y4m").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_video(tmp_path / "a.y4m")


def test_raw_files_need_a_size_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "a.yuv"
    path.write_bytes(bytes(20))
    with pytest.raises(ValueError, match=r"size must be \(height, width\) for a .yuv file"):
        read_video(path)
    with pytest.raises(ValueError, match=r"20 bytes, which is not a whole number of frames of 24 bytes"):
        read_video(path, size=(4, 4))
    with pytest.raises(TypeError, match="size must be"):
        read_video(path, size=4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"size\[1\] must be an integer from 1 to 16384; got 0"):
        read_video(path, size=(4, 0))
    with pytest.raises(FileNotFoundError):
        read_video(tmp_path / "missing.y4m")


def test_only_videos_are_written_and_by_two_names(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end in .y4m or .yuv; got .*a.mp4"):
        write_video(tmp_path / "a.mp4", clip(1, 2, 2))
    with pytest.raises(TypeError, match="video must be a Video"):
        write_video(tmp_path / "a.y4m", clip(1, 2, 2).luma)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("video", "error", "words"),
    [
        (Video(np.zeros((2, 4, 6))), TypeError, "uint8 array .* got an array of float64"),  # type: ignore[arg-type]
        (Video([[[0, 1]]]), TypeError, "uint8 array .* got an array of int64"),  # type: ignore[arg-type]
        (Video(np.zeros((4, 6), np.uint8)), ValueError, r"got shape \(4, 6\); for one frame, video\[None\]"),
        (Video(np.zeros((0, 4, 6), np.uint8)), ValueError, "must have at least one frame"),
        (
            Video(np.zeros((2, 4, 6), np.uint8), np.zeros((2, 2, 4, 6), np.uint8)),
            ValueError,
            r"video.chroma must be \(2, 2, 2, 3\), half the samples .* got shape \(2, 2, 4, 6\)",
        ),
        (
            Video(np.zeros((2, 4, 6), np.uint8), np.zeros((3, 2, 2, 3), np.uint8)),
            ValueError,
            "video.chroma must be",
        ),
        (
            Video(np.zeros((2, 4, 6), np.uint8), None, 29.97),  # type: ignore[arg-type]
            ValueError,
            "video.rate must be a positive Fraction",
        ),
    ],
)
@pytest.mark.parametrize("name", ["a.y4m", "a.yuv"])
def test_what_could_not_be_read_again_is_not_written(
    tmp_path: Path, name: str, video: Video, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        write_video(tmp_path / name, video)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("rate", "error"),
    [(rate, TypeError) for rate in (29.97, float("inf"), None, True, "30000/1001")]
    + [(rate, ValueError) for rate in (0, -1, 2**32, Fraction(1, 2**32))],
)
def test_rates_are_quotients_of_32_bit_numbers(tmp_path: Path, rate: Any, error: type[Exception]) -> None:
    path = tmp_path / "a.yuv"
    path.write_bytes(bytes(24))
    with pytest.raises(error, match=r"^rate must be .*positive.* got "):
        read_video(path, size=(4, 4), rate=rate)
    assert read_video(path, size=(4, 4), rate=np.int64(25)).rate == 25


@pytest.mark.parametrize("n_frames", [3, 2**40, 2**63, 2**70])
def test_no_more_frames_than_the_file_has(tmp_path: Path, n_frames: int) -> None:
    video = clip(2, 4, 6)
    for name in ("a.y4m", "a.yuv"):
        write_video(tmp_path / name, video)
        assert same(read_video(tmp_path / name, size=(4, 6), n_frames=n_frames), video)


@pytest.mark.parametrize("name", ["a.y4m", "a.yuv"])
def test_reading_takes_the_memory_of_the_frames(tmp_path: Path, name: str) -> None:
    video = clip(40, 128, 128)
    assert video.chroma is not None
    write_video(tmp_path / name, video)
    tracemalloc.start()
    try:
        found = read_video(tmp_path / name, size=(128, 128))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert same(found, video)
    assert found.luma.flags.c_contiguous  # so that `VideoCodec.encode` does not copy it
    assert peak < 1.5 * (video.luma.nbytes + video.chroma.nbytes)


def test_other_files_are_read_by_pyav(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="needs PyAV")
    luma = np.repeat(np.arange(0, 240, 5, dtype=np.uint8)[None], 32, axis=0)
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=12)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for index in range(3):
            frame = np.full((48, 48), 90, np.uint8)
            frame[:32] = luma + index
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="yuv420p")))
        container.mux(stream.encode(None))
    video = read_video(path)
    assert np.array_equal(video.luma, np.stack([luma + np.uint8(index) for index in range(3)]))
    assert video.chroma is not None
    assert (video.chroma == 90).all()
    assert video.rate == 12
    assert len(read_video(path, n_frames=2).luma) == 2
    (tmp_path / "b.mkv").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"b.mkv: cannot be read"):
        read_video(tmp_path / "b.mkv")
    with pytest.raises(FileNotFoundError):
        read_video(tmp_path / "missing.mkv")
    with pytest.raises(OSError, match=tmp_path.name):
        read_video(tmp_path)


def test_frames_of_other_sizes_are_an_error(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="needs PyAV")
    path = tmp_path / "a.mjpeg"
    contents = []
    for width, height in ((64, 32), (32, 64)):  # as many samples
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mjpeg", rate=10)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
            picture = np.zeros((height, width, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
        contents.append(path.read_bytes())
    path.write_bytes(b"".join(contents))
    with pytest.raises(ValueError, match="frame 1 is 64 x 32, those before are 32 x 64"):
        read_video(path)
    assert read_video(path, n_frames=1).luma.shape == (1, 32, 64)
