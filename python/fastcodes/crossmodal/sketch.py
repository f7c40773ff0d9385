"""Sketches as a domain: binary maps of edges, coded by contexts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files, bits, entropy
from fastcodes._estimator import Estimator, check_fitted
from fastcodes._typing import Array, Booleans, Codes, Doubles, Integers
from fastcodes._validation import as_array, as_real, check_threads, described
from fastcodes.crossmodal._container import read_varint, varint
from fastcodes.crossmodal._parts import Captioner, MessageCoder, Painter
from fastcodes.crossmodal._pixels import as_bytes, as_picture, in_color, resized
from fastcodes.crossmodal.attributes import as_size
from fastcodes.entropy._messages import as_data
from fastcodes.metrics import luma

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["SketchCaptioner", "SketchCoder", "SketchPainter"]

_TOTAL = 1 << 16
_DARK, _LIGHT = 30, 245
_COARSEST = 8
_NEAR = 4
_N_CONTEXTS = 1 << 12
_PRIOR = 4.0
"""How many pixels the law of the four nearest neighbors counts for, in that of all twelve."""
# Known neighbors in units of half a step, the nearest four first: of pixels at the center of four others, and
# of those between two in a row and two in a column.
_CENTERS: tuple[tuple[int, int], ...] = tuple((i, j) for i in (-1, 1) for j in (-1, 1))
_CENTERS += tuple((i, j) for i in (-3, -1, 1, 3) for j in (-3, -1, 1, 3) if abs(i) != abs(j))
_BETWEEN: tuple[tuple[int, int], ...] = ((-1, 0), (0, -1), (0, 1), (1, 0))
_BETWEEN += tuple((i, j) for i in (-2, -1, 1, 2) for j in (-2, -1, 1, 2) if abs(i) != abs(j))


class SketchCaptioner(Captioner[Booleans]):
    """Sketches of pictures: the edges of luma in a small grid.

    A cell is an edge if the gradient of luma (Sobel) is a maximum across the edge, and among the largest.

    Parameters
    ----------
    size : tuple of int
        Rows and columns of the grid.
    share : float
        The share of the cells that are edges, at most, from 0 to 1; of equal ones the first are.

    See Also
    --------
    SketchCoder : The lossless coder.
    SketchPainter : The decoder.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.crossmodal import SketchCaptioner
    >>> image = np.zeros((32, 32), np.uint8)
    >>> image[:, 16:] = 255
    >>> np.flatnonzero(SketchCaptioner((8, 8)).describe(image)[4]).tolist()
    [3]
    """

    def __init__(self, size: tuple[int, int] = (64, 64), *, share: float = 0.15) -> None:
        self._size = as_size(size)
        self._share = as_real(share, "share", at_least=0, at_most=1)

    def describe(self, x: Any) -> Booleans:
        """Return the sketch of a picture.

        Parameters
        ----------
        x : array_like of uint8 (height, width) or (height, width, 3)
            The picture.

        Returns
        -------
        bool array (rows, columns)

        Raises
        ------
        TypeError
            If it has another dtype.
        ValueError
            If it has another shape.
        """
        grid = np.pad(resized(luma(in_color(as_picture(x))), *self._size), 1, mode="edge")
        across, down = _sobel(grid), _sobel(grid.T).T
        strength = np.pad(np.hypot(across, down), 1)
        center = strength[1:-1, 1:-1]
        is_upright = np.abs(across) >= np.abs(down)
        before = np.where(is_upright, strength[1:-1, :-2], strength[:-2, 1:-1])
        after = np.where(is_upright, strength[1:-1, 2:], strength[2:, 1:-1])
        # Of two equal ones the first.
        thin = np.where((center > before) & (center >= after), center, 0)
        n = int(self._share * thin.size)
        strongest = np.argsort(-thin, axis=None, kind="stable")[:n]
        sketch: Booleans = np.zeros(thin.shape, np.bool_)
        sketch.flat[strongest] = thin.flat[strongest] >= 1
        return sketch


def _sobel(grid: Doubles) -> Doubles:
    """Return the horizontal gradient at all cells but those at the border."""
    differences = grid[:, 2:] - grid[:, :-2]
    smooth: Doubles = differences[:-2] + 2 * differences[1:-1] + differences[2:]
    return smooth


class SketchCoder(Estimator, MessageCoder[Booleans]):
    """Lossless coding of small binary pictures: sketches, masks, plans.

    As in JBIG (ITU-T T.82), the probability of a pixel depends on a template of pixels that are known. They
    are coded from coarse to fine, as Adam7 does: a grid with a step of 8 first, then, for steps of 8, 4 and
    2, the centers of four known pixels, and those between them. So the template has neighbors on all sides,
    twelve of them, and the contexts of a whole pass are known at once. Probabilities are learned by `fit` and
    are static: a sketch is too small to learn from. Each pass is a row of bits of the range coder of
    `fastcodes.entropy`.

    Parameters
    ----------
    size : tuple of int
        Height and width of the pictures.

    Attributes
    ----------
    ones_ : uint32 array (7, 4096)
        By pass and context, how probable a one is, of 65536.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.crossmodal import SketchCoder
    >>> y, x = np.mgrid[:64, :64]
    >>> sketches = np.array([np.abs(np.hypot(y - 32, x - 32) - r) < 0.7 for r in range(5, 30)])
    >>> coder = SketchCoder().fit(sketches[::2])
    >>> data = coder.encode(sketches[11])
    >>> len(data) < 64 * 64 // 8 // 4, bool((coder.decode(data) == sketches[11]).all())
    (True, True)
    """

    _learned = "ones_"
    _kind = "coder"
    ones_: Array

    def __init__(self, size: tuple[int, int] = (64, 64)) -> None:
        self.size = size

    def fit(self, sketches: ArrayLike, y: object = None, *, threads: int | None = None) -> Self:
        """Learn probabilities from sketches.

        Parameters
        ----------
        sketches : array_like of bool (n, height, width)
            Sketches like those to come, at least one.
        y : object
            Ignored; present for API consistency.
        threads : int, optional
            Ignored; present for API consistency.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If they are not booleans, or a parameter has the wrong type.
        ValueError
            If they have another shape, there are none, or a parameter is out of range.
        """
        check_threads(threads)
        size = as_size(self.size)
        array = as_array(sketches, "sketches")
        if array.dtype != np.bool_:
            raise TypeError(f"sketches must be booleans; got {described(array, sketches)}; give sketches > 0")
        if array.ndim != 3 or array.shape[1:] != size or not len(array):
            expected = f"(n, {size[0]}, {size[1]})"
            raise ValueError(f"sketches must have shape {expected} with n from 1 up; got {array.shape}")
        passes = list(_passes())
        ones = np.empty((len(passes), _N_CONTEXTS), np.uint32)
        for law, one in zip(ones, passes, strict=True):
            contexts = np.concatenate([one.contexts(sketch).ravel() for sketch in array])
            pixels = np.concatenate([one.of(sketch) for sketch in array])
            law[:] = _law(contexts, pixels)
        self.ones_ = ones
        return self

    def encode(self, message: ArrayLike) -> bytes:
        """Encode a sketch.

        Parameters
        ----------
        message : array_like of bool (height, width)
            The sketch.

        Returns
        -------
        bytes

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If it is not an array of booleans.
        ValueError
            If it has another shape.
        """
        check_fitted(self)
        sketch = as_array(message, "message")
        if sketch.dtype != np.bool_:
            raise TypeError(f"message must be a sketch of booleans; got {described(sketch, message)}")
        if sketch.shape != tuple(self.size):
            raise ValueError(f"message must be a sketch of shape {tuple(self.size)}; got {sketch.shape}")
        parts = []
        for law, one in zip(self.ones_, _passes(), strict=True):
            pixels = one.of(sketch)
            if len(pixels):
                model = entropy.Bernoulli(law[one.contexts(sketch).ravel()])
                parts.append(entropy.encode_rows(bits.pack(pixels[None]), model)[0].tobytes())
        return b"".join(varint(len(part)) + part for part in parts[:-1]) + parts[-1]

    def decode(self, data: Any) -> Booleans:
        """Decode a sketch.

        Parameters
        ----------
        data : bytes-like
            What `encode` returned.

        Returns
        -------
        bool array (height, width)

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `data` is not bytes-like.
        ValueError
            If these are no code of this model. Not all altered codes are noticed.
        """
        check_fitted(self)
        code = as_data(data).tobytes()
        sketch = np.zeros(self.size, np.bool_)
        passes = [(law, one) for law, one in zip(self.ones_, _passes(), strict=True) if len(one.of(sketch))]
        place = 0
        for i, (law, one) in enumerate(passes):
            n: int | None = len(code) - place
            if i < len(passes) - 1:
                n, place = read_varint(code, place)
            if n is None or place + n > len(code):
                raise ValueError("data was cut: expected all bytes of SketchCoder.encode")
            part = np.frombuffer(code[place : place + n], np.uint8)
            model = entropy.Bernoulli(law[one.contexts(sketch).ravel()])
            row = entropy.decode_rows(part, np.array([0, n]), model)
            one.put(sketch, bits.unpack(row, model.n_bits)[0] > 0)
            place += n
        return sketch

    def __sklearn_tags__(self) -> Any:
        """Return the tags that scikit-learn asks for: pictures, not vectors."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        tags.no_validation = True
        return tags

    def _to_arrays(self) -> dict[str, Array]:
        return {"ones": self.ones_}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        self.size = as_size(self.size)
        ones = _files.take(arrays, "ones", np.uint32, (len(list(_passes())), _N_CONTEXTS))
        if ones.min() < 1 or ones.max() >= _TOTAL:
            raise ValueError(f"ones must be from 1 to {_TOTAL - 1}")
        self.ones_ = ones


class _Pass(NamedTuple):
    """Pixels that are coded together: those of several lattices (first row, first column, steps)."""

    lattices: tuple[tuple[int, int], ...]
    step: int
    template: tuple[tuple[int, int], ...]

    def of(self, sketch: Booleans) -> Booleans:
        """Return the pixels of the pass."""
        return np.concatenate([sketch[i :: self.step, j :: self.step].ravel() for i, j in self.lattices])

    def put(self, sketch: Booleans, pixels: Booleans) -> None:
        """Write the pixels of the pass."""
        for i, j in self.lattices:
            lattice = sketch[i :: self.step, j :: self.step]
            lattice[...] = pixels[: lattice.size].reshape(lattice.shape)
            pixels = pixels[lattice.size :]

    def contexts(self, sketch: Booleans) -> Integers:
        """Return the number of the context of each pixel of the pass; outside of the picture are zeros."""
        half, far = self.step // 2, 3 * self.step // 2
        padded = np.pad(sketch, far).astype(np.int64)
        height, width = sketch.shape
        found = []
        for i, j in self.lattices:
            total = np.zeros(sketch[i :: self.step, j :: self.step].shape, np.int64)
            for down, across in self.template:
                top, left = far + i + half * down, far + j + half * across
                rows = slice(top, far + half * down + height, self.step)
                total = 2 * total + padded[rows, left : far + half * across + width : self.step]
            found.append(total.ravel())
        return np.concatenate(found)


def _passes() -> Iterator[_Pass]:
    """Yield the passes, from coarse to fine."""
    yield _Pass(((0, 0),), _COARSEST, ())
    step = _COARSEST
    while step > 1:
        half = step // 2
        yield _Pass(((half, half),), step, _CENTERS)
        yield _Pass(((0, half), (half, 0)), step, _BETWEEN)
        step = half


def _law(contexts: Integers, pixels: Booleans) -> Integers:
    """Return the frequency of ones in each context, of 65536: rare contexts are like their near pixels."""
    near = contexts >> 12 - _NEAR
    share = (pixels.sum() + 0.5) / (len(pixels) + 1)
    of_near = _shares(near, pixels, 1 << _NEAR, np.full(1 << _NEAR, share))
    prior = of_near[np.arange(_N_CONTEXTS) >> 12 - _NEAR]
    return np.clip(np.rint(_TOTAL * _shares(contexts, pixels, _N_CONTEXTS, prior)), 1, _TOTAL - 1).astype(
        np.int64
    )


def _shares(contexts: Integers, pixels: Booleans, n: int, prior: Doubles) -> Doubles:
    totals = np.bincount(contexts, minlength=n)
    shares: Doubles = (np.bincount(contexts, pixels, n) + _PRIOR * prior) / (totals + _PRIOR)
    return shares


class SketchPainter(Painter[Booleans]):
    """Pictures of sketches: dark lines on a light ground.

    Parameters
    ----------
    size : tuple of int
        Height and width of the pictures.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.crossmodal import SketchPainter
    >>> SketchPainter((2, 3)).paint(np.eye(2, 3) > 0)[..., 0].tolist()
    [[30, 245, 245], [245, 30, 245]]
    """

    def __init__(self, size: tuple[int, int] = (256, 256)) -> None:
        self._size = as_size(size)

    def paint(self, message: ArrayLike) -> Codes:
        """Return the picture of a sketch.

        Parameters
        ----------
        message : array_like of bool (rows, columns)
            The sketch.

        Returns
        -------
        uint8 array (height, width, 3)

        Raises
        ------
        TypeError
            If it is not an array of booleans.
        ValueError
            If it has other dimensions, or no cell.
        """
        sketch = as_array(message, "message")
        if sketch.dtype != np.bool_:
            raise TypeError(f"message must be a sketch of booleans; got {described(sketch, message)}")
        if sketch.ndim != 2 or not sketch.size:
            raise ValueError(f"message must be a sketch (rows, columns), not empty; got shape {sketch.shape}")
        lines = resized(sketch.astype(np.float64), *self._size)
        return in_color(as_bytes(_LIGHT - (_LIGHT - _DARK) * lines))
