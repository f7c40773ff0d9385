"""Files of videos: what was written is read, and what cannot be read is an error that says why."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

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
    with pytest.raises(ValueError, match=r"20 bytes, no whole number of frames of 24 bytes"):
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
