"""Sketches: edges, exact round trips in fewer bytes than packed bits and peers, pictures, bad input."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes.crossmodal import (
    CrossModalCodec,
    NotFittedError,
    SketchCaptioner,
    SketchCoder,
    SketchPainter,
)
from pictures import waves

RNG = np.random.default_rng(0)


def circles(n: int, size: tuple[int, int] = (64, 64)) -> Any:
    """Return sketches of three circles each."""
    y, x = np.mgrid[: size[0], : size[1]]
    found = np.zeros((n, *size), np.bool_)
    for sketch in found:
        for _ in range(3):
            radius = np.hypot(y - RNG.uniform(0, size[0]), x - RNG.uniform(0, size[1]))
            sketch |= np.abs(radius - RNG.uniform(4, 24)) < 0.6
    return found


@functools.cache
def coder(size: tuple[int, int] = (64, 64)) -> SketchCoder:
    return SketchCoder(size).fit(circles(60, size))


def test_new_sketches_come_back_in_few_bytes() -> None:
    pillow = pytest.importorskip("PIL.Image")
    ours = peers = 0
    for sketch in circles(20):
        data = coder().encode(sketch)
        assert np.array_equal(coder().decode(data), sketch)
        ours += len(data)
        stream = io.BytesIO()
        pillow.fromarray(sketch).save(stream, "PNG", optimize=True)
        peers += len(stream.getvalue()) - 57 - 12  # without the signature, IHDR, IEND and the frame of IDAT
    assert ours < 0.6 * peers
    assert ours < 0.4 * 20 * 512


@pytest.mark.parametrize("share", [0, 0.01, 0.15, 0.24, 1])
def test_equal_edges_are_no_more_than_their_share(share: float) -> None:
    stripes = np.repeat(np.arange(64)[None] % 8 < 4, 64, axis=0) * np.uint8(255)
    every = SketchCaptioner(share=1).describe(stripes)
    assert every.mean() > 0.2
    sketch = SketchCaptioner(share=share).describe(stripes)
    assert sketch.sum() == min(int(share * 4096), every.sum())
    assert not (sketch & ~every).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3), (8, 8), (9, 17), (33, 64)])
def test_any_size_and_any_pixels(size: tuple[int, int]) -> None:
    made = coder(size)
    for sketch in [np.zeros(size, bool), np.ones(size, bool), RNG.random(size) < 0.5, *circles(3, size)]:
        assert np.array_equal(made.decode(made.encode(sketch)), sketch)


def test_probabilities_are_counts_and_contexts_help() -> None:
    sketches = circles(40)
    share = sketches.mean()
    order_0 = -sketches.size * (share * np.log2(share) + (1 - share) * np.log2(1 - share))
    assert 8 * sum(len(coder().encode(sketch)) for sketch in sketches) < 0.8 * order_0
    first = SketchCoder((8, 8)).fit(np.ones((3, 8, 8), bool)).ones_[0]
    # One pixel in each of three: the share is 3.5 / 4, which counts for four in each of two laws.
    near = (3 + 4 * 3.5 / 4) / 7
    assert first[0] == round(65536 * (3 + 4 * near) / 7)


def test_edges_are_thin_and_where_the_picture_changes() -> None:
    image = np.zeros((64, 64), np.uint8)
    image[20:40, 16:48] = 200
    sketch = SketchCaptioner((64, 64), share=1).describe(image)
    ys, xs = np.nonzero(sketch)
    near = (np.minimum(abs(ys - 19.5), abs(ys - 39.5)) <= 1) | (
        np.minimum(abs(xs - 15.5), abs(xs - 47.5)) <= 1
    )
    assert near.all()
    assert 80 <= len(ys) <= 120  # the outline has 104 cells
    assert not SketchCaptioner((16, 16)).describe(np.full((5, 9, 3), 77, np.uint8)).any()


def test_the_share_bounds_the_edges() -> None:
    image = RNG.integers(0, 256, (64, 64)).astype(np.uint8)
    counts = [SketchCaptioner((64, 64), share=share).describe(image).sum() for share in (0, 0.05, 0.1, 1)]
    assert counts[0] == 0
    assert 200 <= counts[1] <= 205  # equal ones may be one more
    assert counts[1] < counts[2] < counts[3]


def test_a_codec_of_sketches() -> None:
    captioner = SketchCaptioner((32, 32))
    made = SketchCoder((32, 32)).fit([captioner.describe(waves(90, 70, seed=i)) for i in range(10)])
    codec = CrossModalCodec(captioner, made, SketchPainter((64, 64)))
    data = codec.encode(waves(90, 70, seed=11))
    assert np.array_equal(codec.explain(data), captioner.describe(waves(90, 70, seed=11)))
    assert codec.decode(data).shape == (64, 64, 3)


def test_a_file_keeps_the_probabilities(tmp_path: Path) -> None:
    coder((9, 17)).save(tmp_path / "coder.safetensors")
    loaded = SketchCoder.load(tmp_path / "coder.safetensors")
    (sketch,) = circles(1, (9, 17))
    assert loaded.encode(sketch) == coder((9, 17)).encode(sketch)


def test_cut_and_altered_codes() -> None:
    sketch = circles(1)[0]
    data = coder().encode(sketch)
    for n in range(len(data)):
        try:
            decoded = coder().decode(data[:n])
        except ValueError:
            continue
        assert decoded.shape == (64, 64)
    with pytest.raises(ValueError, match="cut"):
        coder().decode(b"")
    with pytest.raises(ValueError, match="cut"):
        coder().decode(data[:3])
    for _ in range(100):
        altered = bytearray(data)
        altered[RNG.integers(len(data))] = RNG.integers(256)
        try:
            assert coder().decode(bytes(altered)).dtype == np.bool_
        except ValueError:
            continue


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(NotFittedError):
        SketchCoder().encode(np.zeros((64, 64), bool))
    wrong: list[tuple[Any, str]] = [
        (np.zeros((3, 64, 64)), "sketches must be booleans"),
        (np.zeros((3, 8, 8), bool), r"sketches must have shape \(n, 64, 64\)"),
        (np.zeros((0, 64, 64), bool), "n from 1 up"),
    ]
    for sketches, message in wrong:
        with pytest.raises((TypeError, ValueError), match=message):
            SketchCoder().fit(sketches)
    with pytest.raises(TypeError, match="message must be a sketch of booleans"):
        coder().encode(np.zeros((64, 64)))
    with pytest.raises(ValueError, match="message must be a sketch of shape"):
        coder().encode(np.zeros((64, 63), bool))
    with pytest.raises(TypeError, match="message must be a sketch of booleans"):
        SketchPainter().paint(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="not empty"):
        SketchPainter().paint(np.zeros((0, 3), bool))
    with pytest.raises(ValueError, match="share"):
        SketchCaptioner(share=2)
