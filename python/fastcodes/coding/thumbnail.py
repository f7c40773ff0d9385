"""`ThumbnailCodec`: small pictures in a fixed number of bytes, to decode or to search."""

from __future__ import annotations

import importlib.resources
import json
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._codec import Codec
from fastcodes._estimator import check_fitted
from fastcodes._storage import Storage, TableStorage
from fastcodes._typing import Array, Codes, Doubles, Floats, UnsignedCodes
from fastcodes._validation import (
    as_array,
    as_codes,
    as_integer,
    as_option,
    check_threads,
    random_generator,
)
from fastcodes.coding._modes import Modes
from fastcodes.coding._pictures import as_images, as_shape, decibels
from fastcodes.coding._sub_codes import SubCodes, n_used
from fastcodes.coding._transform import Transform

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ThumbnailCodec"]

_LAYOUTS = ("dense", "searchable")
_LEAST_BYTES, _MOST_BYTES = 8, 256
_LEAST_IMAGES = 256
_WAVES = 640
_PICTURES_PER_BLOCK = 4096


class ThumbnailCodec(Codec):
    """Small pictures in a fixed number of bytes: placeholders, previews, near-duplicate search.

    A model of pictures is fitted once, so that a code needs no header, and no more than its `n_bytes`. The
    Karhunen-Loève transform turns the pixels into uncorrelated coefficients. What becomes of these depends on
    the layout:

    ============  ==================================================  =====================================
    layout        the bytes of a picture                              use
    ============  ==================================================  =====================================
    "dense"       coefficients quantized with the least error that    to decode: the best picture
                  fits, and range coded by one of some tens of
                  models
    "searchable"  each byte the nearest of 256 codewords of a few     to search codes by `tables`, and to
                  coefficients: a product quantizer                   decode prefixes of codes
    ============  ==================================================  =====================================

    Parameters
    ----------
    n_bytes : int
        Bytes of a code, from 8 to 256.
    shape : tuple of int
        Height, width and channels of the pictures: sides from 4 to 128, and 3 channels (red, green, blue)
        or 1.
    layout : {"dense", "searchable"}
        See above.
    random_state : None, int or numpy random generator
        Source of randomness; an integer makes `fit` repeatable.

    Attributes
    ----------
    transform_ : object
        The fitted transform.
    coder_ : object
        The fitted models of coefficients, or their codewords.
    n_features_in_ : int
        Numbers in a picture.

    Notes
    -----
    A code decodes only with the model that made it; the bytes do not say which that was, `model_id` does.
    `fastcodes.coding.CompressedThumbnails` keeps it beside the codes in files. Integers alone decide what a
    dense code means, and sums of integers what a decoded picture is: with the `pretrained` model both are the
    same on every machine. With another model decoded pictures may differ by machine: its cosines are rounded
    to integers once, when it is loaded, and `np.cos` may differ in the last bit, which can turn a number that
    is half an integer.

    A dense code is found as follows. In each of up to 64 modes, which have a step and a law for each
    coefficient, the choice that minimizes error + lambda * bits is the best for its number of bits
    (Shoham and Gersho, IEEE Trans. ASSP 36, 1988); lambda is the smallest at which the code fits. The mode
    with the least error is coded first, then the coefficients by its laws. Modes are fitted as k-means is:
    pictures choose modes, and modes learn the laws of their pictures.

    BlurHash and ThumbHash take any aspect and decode without a model, at several decibels less for the same
    bytes.

    See Also
    --------
    fastcodes.coding.CompressedThumbnails : Codes with names, in a file.
    fastcodes.coding.JointCodec : Codes of pictures and of features side by side.
    fastcodes.index.FlatIndex : Search of searchable codes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import adc
    >>> from fastcodes.coding import ThumbnailCodec
    >>> rng = np.random.default_rng(0)
    >>> ramp = np.linspace(0, 255, 16)
    >>> images = rng.random((500, 1, 1, 3)) * ramp[:, None, None] + rng.random((500, 1, 1, 3)) * ramp[:, None]
    >>> images = (images / 2).astype(np.uint8)
    >>> codec = ThumbnailCodec(16, shape=(16, 16, 3), layout="searchable", random_state=0).fit(images)
    >>> codes = codec.encode(images)
    >>> codes.shape, codec.decode(codes).shape, codec.decode(codes[:, :8]).shape
    ((500, 16), (500, 16, 16, 3), (500, 16, 16, 3))
    >>> distances, indices = adc.knn(codec.tables(images[:2]), codes, k=1)
    >>> indices.ravel().tolist()
    [0, 1]
    """

    _learned = "coder_"
    encodes_vectors = False
    transform_: Transform
    coder_: Modes | SubCodes

    def __init__(
        self,
        n_bytes: int = 64,
        *,
        shape: tuple[int, int, int] = (32, 32, 3),
        layout: str = "dense",
        random_state: Any = None,
    ) -> None:
        self.n_bytes = n_bytes
        self.shape = shape
        self.layout = layout
        self.random_state = random_state

    @classmethod
    def pretrained(cls) -> Self:
        """Return a fitted codec for 64 bytes and pictures of 32 x 32 pixels.

        It was fitted to the 50,000 training pictures of CIFAR-10 (Krizhevsky, 2009), of which it holds the
        mean, the principal components and the laws of coefficients: see ``coding/models/README.md`` in the
        package. Fit a codec of your own to pictures of another kind.

        Returns
        -------
        ThumbnailCodec
        """
        resource = importlib.resources.files("fastcodes.coding") / "models" / "thumbnails.safetensors"
        with importlib.resources.as_file(resource) as path:
            return cls.load(path)

    def fit(self, images: ArrayLike, y: object = None, *, threads: int | None = None) -> Self:
        """Learn a model from pictures.

        Parameters
        ----------
        images : array_like of uint8 (n, height, width, channels)
            Pictures like those to come, at least 256; some ten thousand are better.
        y : object
            Ignored; present for API consistency.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `images` are not uint8, or a parameter has the wrong type.
        ValueError
            If they have another shape, there are too few, or a parameter is out of range.
        """
        n_bytes, shape, layout = self._check()
        check_threads(threads)
        rng = random_generator(self.random_state)
        pictures = as_images(images, shape)
        if len(pictures) < _LEAST_IMAGES:
            raise ValueError(f"images are {len(pictures)}; expected at least {_LEAST_IMAGES} to learn from")
        n_pixels = int(np.prod(shape))
        n_coefficients = _n_coefficients(n_bytes, n_pixels)
        transform = Transform.fit(pictures, _n_waves(n_coefficients, n_pixels), n_coefficients)
        kind = Modes if layout == "dense" else SubCodes
        coder: Modes | SubCodes = kind.fit(transform.forward(pictures), n_bytes, rng, threads)
        self.transform_, self.coder_, self.n_features_in_ = transform, coder, n_pixels
        return self

    def encode(self, images: ArrayLike, *, threads: int | None = None) -> Codes:
        """Return the codes of pictures.

        Parameters
        ----------
        images : array_like of uint8 (n, height, width, channels)
            Pictures.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        uint8 array (n, n_bytes)
            Exactly `n_bytes` for each picture; a dense code that takes fewer ends with zeros.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `images` are not uint8.
        ValueError
            If they have another shape.
        """
        check_fitted(self)
        check_threads(threads)
        pictures = as_images(images, self._shape)
        codes = np.empty((len(pictures), self.n_bytes), np.uint8)
        for start in range(0, len(pictures), _PICTURES_PER_BLOCK):
            rows = slice(start, start + _PICTURES_PER_BLOCK)
            values = self.transform_.forward(pictures[rows])
            if isinstance(self.coder_, SubCodes):
                codes[rows] = self.coder_.encode(values, threads)
            else:
                codes[rows] = self.coder_.encode(values, self.n_bytes, threads)
        return codes

    def decode(self, codes: ArrayLike, *, n_bytes: int | None = None, threads: int | None = None) -> Codes:
        """Return the pictures of codes.

        Parameters
        ----------
        codes : array_like of uint8 (n, n_bytes)
            Codes of this model; searchable ones may have fewer columns: the first bytes of each.
        n_bytes : int, optional
            How many of the first bytes of searchable codes to decode; None decodes all that there are.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        uint8 array (n, height, width, channels)

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `codes` are not uint8.
        ValueError
            If they have another number of bytes. Most but not all altered dense codes, and those of other
            models, are noticed too; searchable ones are not.
        """
        check_fitted(self)
        check_threads(threads)
        numbers = self._as_codes(codes, n_bytes)
        pictures = np.empty((len(numbers), *self._shape), np.uint8)
        for start in range(0, len(numbers), _PICTURES_PER_BLOCK):
            rows = slice(start, start + _PICTURES_PER_BLOCK)
            pictures[rows] = self.transform_.backward(self._coefficients(numbers[rows], threads, start))
        return pictures

    def _coefficients(self, codes: Codes, threads: int | None, first: int = 0) -> Doubles:
        """Return the coefficients of codes, of which `first` is the row of the first."""
        if isinstance(self.coder_, SubCodes):
            return self.coder_.decode(codes, self.transform_.n_coefficients)
        return self.coder_.decode(codes, threads, first)

    def score(self, images: ArrayLike, y: object = None, *, threads: int | None = None) -> float:
        """Return the mean peak signal-to-noise ratio of decoded pictures, in decibels.

        Parameters
        ----------
        images : array_like of uint8 (n, height, width, channels)
            Pictures, at least one.
        y : object
            Ignored; present for API consistency.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        float
            The mean over pictures of ``10 * log10(255**2 / mse)``, larger is better; a picture without error
            counts as one with an error of 1 in one number.
        """
        check_fitted(self)
        pictures = as_images(images, self._shape)
        if not len(pictures):
            raise ValueError("images has no pictures; the mean needs at least one")
        total = 0.0
        for start in range(0, len(pictures), _PICTURES_PER_BLOCK):
            block = pictures[start : start + _PICTURES_PER_BLOCK]
            decoded = self.decode(self.encode(block, threads=threads), threads=threads)
            total += float(decibels(decoded, block).sum())
        return total / len(pictures)

    # --- search --------------------------------------------------------------------------------------------

    def tables(self, queries: ArrayLike, *, threads: int | None = None) -> Floats:
        """Return the look-up tables of pictures, by which searchable codes are searched: see `fastcodes.adc`.

        Parameters
        ----------
        queries : array_like of uint8 (nq, height, width, channels)
            Pictures; an array without the first axis is one picture.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        float32 array (nq, n_bytes, 256)
            Their sum over the bytes of a code is the squared L2 distance between the pixels of the query and
            those of the decoded picture, before these are rounded.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `queries` are not uint8.
        ValueError
            If they have another shape, or the codec has the layout "dense".
        """
        return self.operand(self.as_queries(queries), "l2", threads=threads)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The distance by which codes can be searched, the squared L2 distance of pixels."""
        return ("l2",)

    def as_codes(self, codes: ArrayLike) -> UnsignedCodes:
        """Validate codes: raise an error if `encode` cannot have made them."""
        check_fitted(self)
        return as_codes(codes, self.n_bytes, 256, np.uint8)

    def as_queries(self, queries: ArrayLike, *, threads: int | None = None) -> Array:
        """Return pictures uint8 (nq, height, width, channels); an array without the first axis is one."""
        check_fitted(self)
        array = as_array(queries, "queries")
        return as_images(array[None] if array.shape == self._shape else array, self._shape, "queries")

    def operand(self, queries: Array, metric: str, *, threads: int | None = None) -> Floats:
        """Return the `tables` of ``as_queries(queries)``."""
        check_threads(threads)
        as_option(metric, "metric", self.metrics)
        coder = self._searchable()
        values, lengths = self.transform_.forward(queries).astype(np.float64), self.transform_.squares
        tables = np.empty((len(queries), coder.n_bytes, 256), np.float32)
        rest = self.transform_.energies(queries)
        for m, (part, codewords) in enumerate(coder.parts()):
            centers = codewords.astype(np.float64)
            distances = centers**2 @ lengths[part] - 2 * values[:, part] @ centers.T
            least = distances.min(axis=1)
            tables[:, m] = distances - least[:, None]
            rest += least
        tables += (rest / coder.n_bytes).astype(np.float32)[:, None, None]
        return tables

    def storage(self, metric: str) -> Storage:
        """Return an empty storage for codes of this model, which is searched by `tables`."""
        return TableStorage(self._searchable().n_bytes, 256)

    def _searchable(self) -> SubCodes:
        if not isinstance(self.coder_, SubCodes):
            raise ValueError(
                'codec has layout="dense", whose codes cannot be searched; fit a ThumbnailCodec with '
                'layout="searchable"'
            )
        return self.coder_

    # --- state ---------------------------------------------------------------------------------------------

    @property
    def model_id(self) -> int:
        """A checksum (CRC-32) of the fitted model: codes decode with models of the same id only."""
        check_fitted(self)
        n_bytes, shape, layout = self._check()
        crc = zlib.crc32(json.dumps([n_bytes, list(shape), layout]).encode())
        for name, array in sorted(self._to_arrays().items()):
            crc = zlib.crc32(np.ascontiguousarray(array).data, zlib.crc32(name.encode(), crc))
        return crc

    @property
    def code_bits(self) -> int:
        """The bits of a code."""
        return 8 * int(self.n_bytes)

    def __sklearn_tags__(self) -> Any:
        """Return the tags that scikit-learn asks for: pictures, not vectors."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags

    @property
    def _shape(self) -> tuple[int, ...]:
        return self.transform_.shape

    @property
    def _n_outputs(self) -> int:
        return self.n_bytes

    def _check(self) -> tuple[int, tuple[int, ...], str]:
        n_bytes = as_integer(self.n_bytes, "n_bytes", _LEAST_BYTES, _MOST_BYTES)
        layout = as_option(self.layout, "layout", _LAYOUTS)
        shape = as_shape(self.shape)
        n_pixels = int(np.prod(shape))
        if n_pixels < 4 * n_bytes:
            raise ValueError(
                f"n_bytes={n_bytes} is more than a quarter of the {n_pixels} numbers of a "
                "picture; store the pictures as they are, or take fewer bytes"
            )
        return n_bytes, shape, layout

    def _as_codes(self, codes: ArrayLike, n_bytes: int | None) -> Codes:
        array = as_array(codes, "codes")
        width = self.n_bytes
        if isinstance(self.coder_, SubCodes):
            if n_bytes is not None:
                width = as_integer(n_bytes, "n_bytes", 1, self.n_bytes)
            if array.ndim == 2 and 1 <= array.shape[1] <= self.n_bytes:
                if n_bytes is None:
                    width = array.shape[1]
                elif array.shape[1] > width:
                    array = array[:, :width]
        elif n_bytes is not None and as_integer(n_bytes, "n_bytes") != self.n_bytes:
            raise ValueError(
                f"n_bytes must be None or {self.n_bytes}; got {n_bytes}: dense codes have no prefixes; "
                'fit layout="searchable"'
            )
        checked: Codes = as_codes(array, width, 256, np.uint8)
        return np.ascontiguousarray(checked)

    def _to_arrays(self) -> dict[str, Array]:
        return {**self.transform_.to_arrays(), **self.coder_.to_arrays()}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        n_bytes, shape, layout = self._check()
        n_pixels = int(np.prod(shape))
        n_coefficients = _n_coefficients(n_bytes, n_pixels)
        most_waves = _n_waves(n_coefficients, n_pixels)
        self.transform_ = Transform.from_arrays(arrays, shape, most_waves, n_coefficients)
        if layout == "dense":
            self.coder_ = Modes.from_arrays(arrays, n_bytes, n_coefficients)
        else:
            self.coder_ = SubCodes.from_arrays(arrays, n_bytes, n_coefficients)
        self.n_features_in_ = n_pixels


def _n_coefficients(n_bytes: int, n_pixels: int) -> int:
    """Return how many coefficients are coded; the energy of the others is too small for `n_bytes`."""
    return min(max(5 * n_bytes, n_used(n_bytes)), n_pixels)


def _n_waves(n_coefficients: int, n_pixels: int) -> int:
    """Return how many cosines the vectors of coefficients combine."""
    return min(max(_WAVES, 2 * n_coefficients), n_pixels)
