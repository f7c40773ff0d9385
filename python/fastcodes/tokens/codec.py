"""`TokenCodec`: pictures as bytes, by a tokenizer and a prior of its tokens."""

from __future__ import annotations

import importlib.resources
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from fastcodes import _files
from fastcodes._estimator import check_fitted
from fastcodes._typing import Array, Codes, PathLike, UnsignedCodes
from fastcodes._validation import as_array, as_integer, check_threads, describe, described
from fastcodes.entropy._messages import as_data
from fastcodes.tokens._numbers import Numbers, varint
from fastcodes.tokens.prior import TokenPrior
from fastcodes.tokens.vqvae import VQVAE

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["TokenCodec"]

_MAGIC, _VERSION, _GREY = b"FCti", 1, 1
_LONGEST_SIDE = 65_535
_PARTS = ("tokenizer", "prior")


class TokenCodec:
    """Pictures of any size as the bytes of their tokens.

    The tokenizer makes a grid of tokens, and the prior codes it. With the `pretrained` codec, twelve crops of
    256 x 384 pixels from the photographs of Kodak take 0.09 to 0.36 bits per pixel. It is for studies of
    tokens: at the same number of bytes `fastcodes.coding.ImageCodec` has less error on photographs.

    Parameters
    ----------
    tokenizer : VQVAE
        A fitted tokenizer of color pictures.
    prior : TokenPrior
        The fitted prior of its tokens.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    NotFittedError
        If one is not fitted.
    ValueError
        If the prior is of other tokens, or the tokenizer of grey pictures.

    Notes
    -----
    The bytes of `encode`, in this order; numbers without a size are as in `TokenPrior`:

    - ``b"FCti"``, the version, 1, and 1 for a grey picture or 0 for color;
    - the `model_id`, 4 bytes, the lowest first: pictures decode only with the models that coded them;
    - height and width;
    - the code of the grid, as `TokenPrior` describes it;
    - the CRC-32 of all bytes before, 4 bytes.

    Tokens decode to the same numbers on every machine. The decoded picture may differ by one grey level
    between machines, where a number is within rounding errors of half an integer.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.tokens import TokenCodec
    >>> codec = TokenCodec.pretrained()
    >>> x, y = np.meshgrid(np.arange(50), np.arange(30))
    >>> image = np.stack([5 * x, 8 * y, 2 * (x + y)], axis=-1).astype(np.uint8)
    >>> data = codec.encode(image)
    >>> len(data) < 120
    True
    >>> codec.decode(data).shape, codec.tokens(data).shape
    ((30, 50, 3), (8, 13))
    """

    def __init__(self, tokenizer: VQVAE, prior: TokenPrior) -> None:
        for name, model, kind in (("tokenizer", tokenizer, VQVAE), ("prior", prior, TokenPrior)):
            if not isinstance(model, kind):
                raise TypeError(f"{name} must be a {kind.__name__}; got {describe(model)}")
            check_fitted(model)
        bottleneck = tokenizer._bottleneck
        sizes = (bottleneck.n_codewords, bottleneck.n_codebooks), prior._fitted_sizes()[:2]
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"prior is of {sizes[1][1]} tokens of {sizes[1][0]} values for each patch; the tokenizer has "
                f"{sizes[0][1]} of {sizes[0][0]}"
            )
        if tokenizer.n_channels_ != 3:
            raise ValueError("tokenizer is of grey pictures; expected one of color pictures")
        self.tokenizer = tokenizer
        self.prior = prior

    @classmethod
    def pretrained(cls) -> Self:
        """Return the codec that comes with fastcodes: patches of 4 x 4 pixels, 512 codewords.

        It was trained on the 50,000 training pictures of CIFAR-10 (Krizhevsky, 2009): see
        ``tokens/models/README.md`` in the package.
        """
        resource = importlib.resources.files("fastcodes.tokens") / "models" / "tokens.safetensors"
        with importlib.resources.as_file(resource) as path:
            return cls.load(path)

    def __repr__(self) -> str:
        """Return the two models."""
        return f"{type(self).__name__}({self.tokenizer!r}, {self.prior!r})"

    @property
    def model_id(self) -> int:
        """The CRC-32 of both models: equal for codecs that code alike."""
        crc = self.prior.model_id
        for name, array in sorted(self.tokenizer.network_.get_weights().items()):
            crc = zlib.crc32(np.ascontiguousarray(array, "<f4").tobytes(), zlib.crc32(name.encode(), crc))
        return crc

    def encode(self, image: Any, *, threads: int | None = None) -> bytes:
        """Compress a picture.

        Parameters
        ----------
        image : array_like of uint8 (height, width) or (height, width, 3)
            Grey, or red, green and blue; sides from 1 to 65,535.
        threads : int, optional
            Ignored but checked; BLAS has its own threads. The result does not depend on them.

        Returns
        -------
        bytes
            What `decode` takes: 16 to 20, and those of the tokens.

        Raises
        ------
        TypeError
            If the picture is not uint8.
        ValueError
            If it has another shape.
        """
        check_threads(threads)
        pixels, is_grey = _as_image(image)
        grid = self.tokenizer.encode(pixels[None], threads=threads)
        (code,) = self.prior._codes(grid if grid.ndim == 4 else grid[..., None])
        data = b"".join(
            [
                *(_MAGIC, bytes([_VERSION, _GREY if is_grey else 0]), self.model_id.to_bytes(4, "little")),
                *(varint(pixels.shape[0]), varint(pixels.shape[1]), code),
            ]
        )
        return data + zlib.crc32(data).to_bytes(4, "little")

    def decode(self, data: Any, *, max_pixels: int = 1 << 24, threads: int | None = None) -> Codes:
        """Return the picture of these bytes.

        Parameters
        ----------
        data : bytes or uint8 array (n_bytes,)
            What `encode` returned.
        max_pixels : int
            The largest picture that is decoded.
        threads : int, optional
            Ignored but checked; BLAS has its own threads.

        Returns
        -------
        uint8 array (height, width) or (height, width, 3)

        Raises
        ------
        TypeError
            If `data` are not bytes.
        ValueError
            If they were not written by `encode`, were cut or altered, were coded by other models, or the
            picture is larger than `max_pixels`.
        """
        check_threads(threads)
        size, is_grey, grid = self._parsed(data, max_pixels)
        picture: Codes = self.tokenizer.decode(grid, size=size, threads=threads)[0]
        if is_grey:
            picture = np.rint(picture.mean(axis=2)).astype(np.uint8)
        return picture

    def tokens(self, data: Any, *, max_pixels: int = 1 << 24) -> UnsignedCodes:
        """Return the tokens in these bytes, without decoding the picture.

        Parameters
        ----------
        data : bytes or uint8 array (n_bytes,)
            What `encode` returned.
        max_pixels : int
            The largest picture whose tokens are decoded.

        Returns
        -------
        uint8 or uint16 array (rows, columns), or (rows, columns, n_codebooks)

        Raises
        ------
        TypeError, ValueError
            As `decode`.
        """
        grid: UnsignedCodes = self._parsed(data, max_pixels)[2][0]
        return grid

    def _parsed(self, data: Any, max_pixels: Any) -> tuple[tuple[int, int], bool, UnsignedCodes]:
        """Return the size of a picture, whether it is grey, and its tokens as a batch of one grid."""
        most = as_integer(max_pixels, "max_pixels", 1)
        content = as_data(data).tobytes()
        if len(content) < 16 or not content.startswith(_MAGIC):
            raise ValueError("data were not written by `TokenCodec.encode`, or were cut")
        if content[4] != _VERSION:
            raise ValueError(f"data have version {content[4]}; this fastcodes reads version {_VERSION}")
        body = content[:-4]
        if zlib.crc32(body).to_bytes(4, "little") != content[-4:]:
            raise ValueError("data were cut or altered, the checksum is wrong")
        if int.from_bytes(body[6:10], "little") != self.model_id:
            raise ValueError("data were coded by other models; decode them with those")
        numbers = Numbers(body, 10)
        height, width = numbers.next(), numbers.next()
        if not (1 <= height <= _LONGEST_SIDE and 1 <= width <= _LONGEST_SIDE) or body[5] > _GREY:
            raise ValueError(f"data are of a picture of {height} x {width} pixels and kind {body[5]}")
        if height * width > most:
            raise ValueError(
                f"data are of a picture of {height} x {width} pixels; expected at most max_pixels={most}"
            )
        patch, n_codebooks = self.tokenizer._patch, self.tokenizer._bottleneck.n_codebooks
        shape = 1, -(-height // patch), -(-width // patch), n_codebooks
        grid = self.prior._grids(shape, [body[numbers.position :]])
        return (height, width), body[5] == _GREY, grid if n_codebooks > 1 else grid[..., 0]

    # --- files ---------------------------------------------------------------------------------------------

    def save(self, path: PathLike) -> None:
        """Write both models to a safetensors file, atomically.

        Parameters
        ----------
        path : path-like
            Where to write.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        params, arrays = {}, {}
        for part in _PARTS:
            params[part], own = getattr(self, part).to_state()
            arrays.update({f"{part}.{name}": array for name, array in own.items()})
        _files.write(path, type(self).__name__, params, arrays)

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Read a file that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file. Nothing in it is executed.

        Returns
        -------
        TokenCodec

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is no such file, or was truncated or altered.
        """
        kind = cls.__name__
        params, arrays = _files.read(path, kind)
        with _files.refusing(path, kind):
            own: dict[str, dict[str, Array]] = {part: {} for part in _PARTS}
            for name, array in arrays.items():
                part, _, rest = name.partition(".")
                own[part][rest] = array
            return cls(
                VQVAE.from_state(params["tokenizer"], own["tokenizer"]),
                TokenPrior.from_state(params["prior"], own["prior"]),
            )


def _as_image(image: Any) -> tuple[Codes, bool]:
    """Return a picture as (height, width, 3), and whether it was grey."""
    array: Array = as_array(image, "image")
    if array.dtype != np.uint8:
        way = ""
        if array.dtype.kind == "f":
            way = "; for values from 0 to 1, np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)"
        elif array.dtype == np.uint16:
            way = "; for 8 bits, (image >> 8).astype(np.uint8)"
        raise TypeError(f"image must be uint8; got {described(array, image)}{way}")
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] != 3):
        way = ""
        if array.ndim == 3 and array.shape[2] in (1, 2, 4):
            way = f"; give image[..., {'0' if array.shape[2] < 3 else ':3'}]"
        raise ValueError(f"image must be (height, width) or (height, width, 3); got shape {array.shape}{way}")
    if not all(1 <= side <= _LONGEST_SIDE for side in array.shape[:2]):
        raise ValueError(f"image must have sides from 1 to {_LONGEST_SIDE:,}; got shape {array.shape}")
    if array.ndim == 2:
        return np.repeat(array[..., None], 3, axis=2), True
    return array, False
