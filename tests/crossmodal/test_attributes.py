"""Attributes: named colors come back, detail is measured, any picture and any text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes.crossmodal import AttributeCaptioner, AttributePainter
from fastcodes.crossmodal.attributes import _COLORS
from pictures import waves


def test_every_color_is_named_and_painted() -> None:
    for name, color in _COLORS.items():
        text = AttributeCaptioner().describe(np.full((9, 7, 3), color, np.uint8))
        assert text == f"A plain picture, {name} above, {name} in the middle and {name} below."
        assert np.array_equal(AttributePainter((5, 4)).paint(text), np.full((5, 4, 3), color, np.uint8))


def test_bands_are_in_their_order() -> None:
    image = np.repeat(np.array([[255, 255, 255], [60, 105, 175], [10, 10, 10]], np.uint8), 20, axis=0)
    text = AttributeCaptioner().describe(np.repeat(image[:, None], 30, axis=1))
    assert text.endswith("white above, blue in the middle and black below.")
    painted = AttributePainter((60, 2)).paint(text)
    assert painted[0].max() > 240
    assert painted[-1].max() < 20


@pytest.mark.parametrize(("noise", "detail"), [(0, "plain"), (10, "detailed"), (60, "busy")])
def test_detail_is_measured(noise: float, detail: str) -> None:
    gray = 128 + np.random.default_rng(0).normal(0, noise, (64, 64))
    assert detail in AttributeCaptioner().describe(np.clip(gray, 0, 255).astype(np.uint8))


def test_attributes_do_not_depend_on_size() -> None:
    image = waves(64, 96, noise=0)
    large = np.repeat(np.repeat(image, 3, axis=0), 3, axis=1)
    assert AttributeCaptioner().describe(large) == AttributeCaptioner().describe(image)


def test_colors_are_whole_words_in_both_spellings() -> None:
    painter = AttributePainter((3, 2))
    gray, light = (np.full((3, 2, 3), value, np.uint8) for value in (128, 190))
    for text in ("A hundred people", "a covered wagon", "a greenhouse", "Blueberries", "a grey horse"):
        assert np.array_equal(painter.paint(text), gray)
    assert np.array_equal(painter.paint("Light Grey, covered"), light)
    assert np.array_equal(painter.paint("a red-brick wall"), np.full((3, 2, 3), (205, 40, 40), np.uint8))


@pytest.mark.parametrize("text", ["", "Ünïcödé 猫", "a cat"])
def test_texts_without_colors_are_gray(text: str) -> None:
    assert np.array_equal(AttributePainter((3, 2)).paint(text), np.full((3, 2, 3), 128, np.uint8))


def test_wrong_arguments_are_refused() -> None:
    wrong: list[tuple[Any, str]] = [(3, "size must be"), ((3,), "size must be"), ((0, 3), r"size\[0\]")]
    for size, message in wrong:
        with pytest.raises((TypeError, ValueError), match=message):
            AttributePainter(size)
    with pytest.raises(TypeError, match="message must be a str"):
        AttributePainter().paint(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="alpha"):
        AttributeCaptioner().describe(np.zeros((4, 4, 4), np.uint8))
