"""RetrievalPainter: the nearest picture, blends of coarse colors, files and bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from captioned import CAPTIONS, COLORS, IMAGES, LABELS, painter
from fastcodes.crossmodal import NotFittedError, RetrievalPainter
from fastcodes.crossmodal._pixels import resized

ALL = [CAPTIONS[i] for i in LABELS]


def test_pictures_are_of_the_kind_of_the_text() -> None:
    for texts, color in zip(CAPTIONS, COLORS, strict=True):
        for text in texts:
            assert np.abs(painter().paint(text).mean(axis=(0, 1)) - color).max() < 12


def test_one_neighbor_is_returned_as_it_is() -> None:
    one = RetrievalPainter(1).fit(IMAGES, ALL)
    painted = one.paint("A dog in snow")
    assert np.array_equal(painted, IMAGES[2])
    painted[:] = 0  # a copy
    assert np.array_equal(one.paint("A dog in snow"), IMAGES[2])


def test_what_the_caller_changes_later_does_not_change_the_model() -> None:
    images, captions = IMAGES.copy(), [list(several) for several in ALL]
    made = RetrievalPainter(1).fit(images, captions)
    images[:] = 0
    captions[2][0] = "zebra"
    assert np.array_equal(made.paint("A dog in snow"), IMAGES[2])
    assert made.captions_ == ALL


def test_several_neighbors_share_colors_and_the_first_gives_details() -> None:
    images = np.zeros((2, 32, 32, 3), np.uint8)
    images[0] = 100 + 20 * (np.arange(32) % 2)[:, None, None]
    images[1] = 200
    painted = RetrievalPainter(2).fit(images, ["snow hill", "snow hill"]).paint("snow").astype(int)
    assert np.abs(np.diff(painted[:, 0, 0])).tolist() == [20] * 31
    assert abs(painted.mean() - (110 + 200) / 2) <= 1


@pytest.mark.parametrize("text", ["", "zebra", "Ünïcödé 猫", "..."])
def test_unknown_words_give_the_mean(text: str) -> None:
    assert np.array_equal(painter().paint(text), np.rint(IMAGES.mean(axis=0)).astype(np.uint8))


def test_a_file_gives_the_same_pictures(tmp_path: Path) -> None:
    painter().save(tmp_path / "painter.safetensors")
    loaded = RetrievalPainter.load(tmp_path / "painter.safetensors")
    for text in (CAPTIONS[1][0], ""):
        assert np.array_equal(loaded.paint(text), painter().paint(text))


def test_wrong_pictures_are_refused() -> None:
    with pytest.raises(NotFittedError):
        RetrievalPainter().paint("text")
    wrong: list[tuple[Any, Any, str]] = [
        (IMAGES / 255, ALL, "images must be a numpy uint8"),
        (IMAGES[..., :1], ALL, "repeat a grey channel"),
        (IMAGES[:0], [], "at least one pixel"),
        (IMAGES, ALL[:3], "captions has 3 entries for 48 pictures"),
    ]
    for images, captions, message in wrong:
        with pytest.raises((TypeError, ValueError), match=message):
            RetrievalPainter().fit(images, captions)
    with pytest.raises(TypeError, match="message must be a str"):
        painter().paint(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(7, 5), (16, 16), (40, 33), (1, 1)])
def test_resized_is_that_of_pillow(size: tuple[int, int]) -> None:
    pil = pytest.importorskip("PIL.Image")
    expected = pil.fromarray(IMAGES[0]).resize(size, pil.Resampling.BILINEAR)
    # Pillow rounds after each of two passes.
    assert np.abs(resized(IMAGES[0], size[1], size[0]) - np.asarray(expected)).max() <= 1.1
