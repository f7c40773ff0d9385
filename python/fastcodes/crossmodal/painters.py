"""`RetrievalPainter`: the picture of a caption, blended from training pictures with captions like it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._estimator import Estimator, check_fitted
from fastcodes._typing import Array, Codes
from fastcodes._validation import as_array, as_integer, check_threads, describe, described
from fastcodes.crossmodal._captions import Vocabulary, as_captions, captions_from, captions_to, cosine
from fastcodes.crossmodal._parts import Painter
from fastcodes.crossmodal._pixels import as_bytes, resized

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RetrievalPainter"]

_COARSE = 8
"""Rows and columns of what is blended from several pictures."""


class RetrievalPainter(Estimator, Painter[str]):
    """Pictures of captions: the training picture whose caption is nearest, with colors of several.

    The similarity of a training picture is the largest cosine between the TF-IDF vector of the text and those
    of its captions. Details are those of the most similar picture. What is coarse, a grid of 8 x 8 cells,
    is the mean of the nearest ones, weighted by their similarity: where they agree, as on sky and grass, the
    colors are more probable ones. A text without a known word becomes the mean of all pictures. All of it is
    computed in floating point, so that pixels can differ between machines in their last digit.

    Parameters
    ----------
    n_neighbors : int
        How many training pictures are blended; 1 returns the nearest as it is.

    Attributes
    ----------
    images_ : uint8 array (n, height, width, 3)
        The training pictures.
    captions_ : list of lists of str
        Their captions.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.crossmodal import RetrievalPainter
    >>> images = np.zeros((2, 16, 16, 3), np.uint8)
    >>> images[1] = 200
    >>> painter = RetrievalPainter(1).fit(images, ["a dark night", "a field of snow"])
    >>> int(painter.paint("snow on a hill").mean()), int(painter.paint("?").mean())
    (200, 100)
    """

    _learned = "images_"
    _kind = "painter"
    images_: Codes
    captions_: list[list[str]]

    def __init__(self, n_neighbors: int = 3) -> None:
        self.n_neighbors = n_neighbors

    def fit(self, images: ArrayLike, captions: Any, *, threads: int | None = None) -> Self:
        """Keep training pictures and their captions.

        Parameters
        ----------
        images : array_like of uint8 (n, height, width, 3)
            Pictures of one size, at least one.
        captions : sequence of str, or of lists of str
            One or several captions of each.
        threads : int, optional
            Ignored; present for API consistency.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `images` are not uint8, or captions are not strings.
        ValueError
            If `images` have another shape, captions are not as many or all empty, or a parameter is out of
            range.
        """
        as_integer(self.n_neighbors, "n_neighbors", 1)
        check_threads(threads)
        pictures = as_array(images, "images")
        if pictures.dtype != np.uint8:
            raise TypeError(
                f"images must be a numpy uint8 array (n, height, width, 3); got {described(pictures, images)}"
            )
        if pictures.ndim != 4 or pictures.shape[3] != 3 or not pictures.size:
            raise ValueError(
                "images must have shape (n, height, width, 3), with at least one pixel; got "
                f"{pictures.shape}. Resize pictures to one size; repeat a grey channel three times"
            )
        self._learn(np.array(pictures, order="C"), as_captions(captions, len(pictures)))
        return self

    def _learn(self, images: Codes, captions: list[list[str]]) -> None:
        self.images_, self.captions_ = images, captions
        self._vocabulary = Vocabulary(captions)
        self._vectors = [[self._vocabulary.vector(text) for text in several] for several in captions]

    def paint(self, message: str) -> Codes:
        """Return the picture of a text.

        Parameters
        ----------
        message : str
            A text, which may be empty.

        Returns
        -------
        uint8 array (height, width, 3)

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If it is not a str.
        """
        check_fitted(self)
        if not isinstance(message, str):
            raise TypeError(f"message must be a str; got {describe(message)}")
        vector = self._vocabulary.vector(message)
        similarities = np.array(
            [max((cosine(vector, one) for one in several), default=0.0) for several in self._vectors]
        )
        nearest = np.argsort(-similarities, kind="stable")[: as_integer(self.n_neighbors, "n_neighbors", 1)]
        if not similarities[nearest[0]] > 0:
            return as_bytes(self.images_.mean(axis=0))
        best = self.images_[nearest[0]]
        if len(nearest) == 1:
            return np.array(best)
        height, width = best.shape[:2]
        coarse = np.stack([resized(self.images_[row], _COARSE, _COARSE) for row in nearest])
        change = np.average(coarse, axis=0, weights=similarities[nearest]) - coarse[0]
        return as_bytes(best + resized(change, height, width))

    # --- state ---------------------------------------------------------------------------------------------

    def __sklearn_tags__(self) -> Any:
        """Return the tags that scikit-learn asks for: pictures and captions."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags

    def _to_arrays(self) -> dict[str, Array]:
        return {"images": self.images_, "captions": captions_to(self.captions_)}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        as_integer(self.n_neighbors, "n_neighbors", 1)
        images = _files.take(arrays, "images", np.uint8, ("n", "height", "width", 3))
        if not images.size:
            raise ValueError(f"images has shape {images.shape}; expected at least one pixel")
        self._learn(images, captions_from(arrays, len(images)))
