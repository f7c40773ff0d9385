"""Measured attributes as a domain: a sentence of colors and detail, and the picture that it describes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from fastcodes._typing import Codes
from fastcodes._validation import as_integer, describe
from fastcodes.crossmodal._parts import Captioner, Painter
from fastcodes.crossmodal._pixels import as_bytes, as_picture, in_color, resized
from fastcodes.metrics import luma

__all__ = ["AttributeCaptioner", "AttributePainter", "as_size"]

_COLORS = {
    "black": (15, 15, 15), "dark gray": (70, 70, 70), "gray": (128, 128, 128),
    "light gray": (190, 190, 190), "white": (245, 245, 245),
    "dark red": (110, 25, 25), "red": (205, 40, 40), "light red": (235, 140, 130), "pink": (240, 185, 200),
    "orange": (235, 140, 40), "dark brown": (70, 50, 35), "brown": (125, 90, 60),
    "light brown": (190, 160, 125), "dark yellow": (150, 130, 40), "yellow": (235, 215, 60),
    "light yellow": (245, 235, 170), "dark green": (40, 65, 35), "green": (75, 130, 60),
    "light green": (160, 200, 130), "dark turquoise": (30, 90, 95), "turquoise": (60, 165, 165),
    "dark blue": (30, 45, 95), "blue": (60, 105, 175), "light blue": (145, 190, 230),
    "dark purple": (70, 35, 85), "purple": (135, 80, 160), "light purple": (190, 160, 215),
}  # fmt: skip
_NAMES, _VALUES = list(_COLORS), np.array(list(_COLORS.values()), np.float64)
_NAME = re.compile(rf"\b(?:{'|'.join(sorted(_NAMES, key=len, reverse=True))})\b")
_BANDS = 3
_GRID = 64
_DETAILS = ((6.0, "plain"), (14.0, "detailed"), (np.inf, "busy"))
"""By the mean difference of luma between neighbors in a grid of 64 x 64 cells."""


class AttributeCaptioner(Captioner[str]):
    """Captions of what can be measured in any picture: the colors of three bands, and the amount of detail.

    A template that needs no training pictures and no network. The color of a band is the nearest of 27 named
    ones by squared error; it is "plain", "detailed" or "busy" by the mean difference between neighbors.

    See Also
    --------
    AttributePainter : The decoder.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.crossmodal import AttributeCaptioner
    >>> AttributeCaptioner().describe(np.full((30, 40), 250, np.uint8))
    'A plain picture, white above, white in the middle and white below.'
    """

    def describe(self, x: Any) -> str:
        """Return the attributes of a picture as a sentence.

        Parameters
        ----------
        x : array_like of uint8 (height, width) or (height, width, 3)
            The picture.

        Returns
        -------
        str

        Raises
        ------
        TypeError
            If it has another dtype.
        ValueError
            If it has another shape.
        """
        picture = in_color(as_picture(x))
        bands = resized(picture, _BANDS, 1)[:, 0]
        above, middle, below = (_NAMES[int(np.square(_VALUES - band).sum(axis=1).argmin())] for band in bands)
        grid = resized(luma(picture), _GRID, _GRID)
        difference = (np.abs(np.diff(grid, axis=0)).mean() + np.abs(np.diff(grid, axis=1)).mean()) / 2
        detail = next(word for limit, word in _DETAILS if difference < limit)
        return f"A {detail} picture, {above} above, {middle} in the middle and {below} below."


class AttributePainter(Painter[str]):
    """Pictures of the colors that a text names, from above to below.

    Parameters
    ----------
    size : tuple of int
        Height and width.

    Examples
    --------
    >>> from fastcodes.crossmodal import AttributePainter
    >>> AttributePainter((4, 1)).paint("black above, white below")[:, 0, 0].tolist()
    [15, 72, 188, 245]
    """

    def __init__(self, size: tuple[int, int] = (256, 256)) -> None:
        self._size = as_size(size)

    def paint(self, message: str) -> Codes:
        """Return the picture of a text; without any color it is gray.

        Parameters
        ----------
        message : str
            A text, which may be empty.

        Returns
        -------
        uint8 array (height, width, 3)

        Raises
        ------
        TypeError
            If it is not a str.
        """
        if not isinstance(message, str):
            raise TypeError(f"message must be a str; got {describe(message)}")
        text = re.sub(r"\bgrey\b", "gray", message.lower())
        named = [_COLORS[name] for name in _NAME.findall(text)] or [_COLORS["gray"]]
        return as_bytes(resized(np.array(named, np.float64)[:, None], *self._size))


def as_size(size: Any) -> tuple[int, int]:
    """Return the height and width of a picture."""
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise TypeError(f"size must be (height, width); got {describe(size)}")
    height, width = (as_integer(size[i], f"size[{i}]", 1, 4096) for i in range(2))
    return height, width
