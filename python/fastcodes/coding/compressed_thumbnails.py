"""`CompressedThumbnails`: codes of pictures with their names, and files that say which model decodes them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._estimator import check_fitted
from fastcodes._typing import Array, Codes, PathLike
from fastcodes._validation import as_array, as_bool, as_integer, as_list, describe
from fastcodes.coding.thumbnail import ThumbnailCodec

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CompressedThumbnails"]


class CompressedThumbnails:
    """Codes of pictures and their names; ``thumbnails[i]`` and ``thumbnails[2:5]`` decode some.

    Parameters
    ----------
    codec : ThumbnailCodec
        The fitted codec of the pictures.
    codes : array_like of uint8 (n, n_bytes)
        Their codes.
    names : sequence of str, optional
        A name for each picture, such as that of its file.

    Attributes
    ----------
    codec : ThumbnailCodec
    codes : uint8 array (n, n_bytes)
    names : list of str, or None

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from fastcodes.coding import CompressedThumbnails, ThumbnailCodec
    >>> images = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 3)).astype(np.uint8)
    >>> codec = ThumbnailCodec(8, shape=(8, 8, 3), random_state=0).fit(images)
    >>> thumbnails = CompressedThumbnails(codec, codec.encode(images[:2]), names=["a.png", "b.png"])
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     thumbnails.save(os.path.join(directory, "thumbs.safetensors"))
    ...     loaded = CompressedThumbnails.load(os.path.join(directory, "thumbs.safetensors"), codec=codec)
    >>> loaded.names, loaded[0].shape
    (['a.png', 'b.png'], (8, 8, 3))
    """

    codec: ThumbnailCodec
    codes: Codes
    names: list[str] | None

    def __init__(
        self, codec: ThumbnailCodec, codes: ArrayLike, *, names: Sequence[str] | None = None
    ) -> None:
        self.codec = _as_codec(codec)
        self.codes = np.ascontiguousarray(codec.as_codes(codes), np.uint8)
        self.names = None if names is None else _as_names(names, len(self.codes))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def nbytes(self) -> int:
        """Bytes of the codes."""
        return self.codes.nbytes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} pictures, {self.nbytes // 1000} kB)"

    def __getitem__(self, rows: Any) -> Codes:
        """Decode some pictures.

        Parameters
        ----------
        rows : int, slice or array_like of int or bool
            Which ones, as in numpy.

        Returns
        -------
        uint8 array (height, width, channels) for an int, else (n, height, width, channels)

        Raises
        ------
        TypeError
            If `rows` are none of these.
        IndexError
            If there is no such picture.
        ValueError
            If the codes were altered.
        """
        if isinstance(rows, slice):
            return self.codec.decode(self.codes[rows])
        numbers = as_array(rows, "rows")
        if numbers.ndim == 0:
            row = as_integer(rows, "rows")
            if not -len(self) <= row < len(self):
                raise IndexError(f"rows has {row}, but there are {len(self)} pictures")
            picture: Codes = self.codec.decode(self.codes[row][None])[0]
            return picture
        if not numbers.size:
            numbers = numbers.astype(np.int64)
        if numbers.ndim != 1 or numbers.dtype.kind not in "biu":
            raise TypeError(f"rows must be an integer, a slice or a list of integers; got {describe(rows)}")
        return self.codec.decode(self.codes[numbers])

    def save(self, path: PathLike) -> None:
        """Write codes, names and the id of the model to a file, with checksums, atomically.

        The model is not written: keep the codec, or use `ThumbnailCodec.pretrained`.

        Parameters
        ----------
        path : path-like
            Where to write.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        arrays: dict[str, Array] = {"codes": self.codes}
        if self.names is not None:
            arrays["names"] = np.frombuffer(json.dumps(self.names).encode(), np.uint8)
        _files.write(path, type(self).__name__, {"model_id": self.codec.model_id}, arrays)

    @classmethod
    def load(
        cls,
        path: PathLike,
        *,
        codec: ThumbnailCodec | None = None,
        mmap: bool = False,
        verify: bool = False,
    ) -> Self:
        """Read a file that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file. Nothing in it is executed.
        codec : ThumbnailCodec, optional
            The codec of the pictures; by default `ThumbnailCodec.pretrained`.
        mmap : bool
            Whether codes are read from the file when they are wanted.
        verify : bool
            Whether the checksums of a mapped file are verified, which reads all of it.

        Returns
        -------
        CompressedThumbnails

        Raises
        ------
        OSError
            If the file cannot be read.
        TypeError
            If `codec` is no ThumbnailCodec.
        ValueError
            If it is no such file, was truncated or altered, or has the codes of another model than `codec`.
        """
        kind = cls.__name__
        params, arrays = _files.read(path, kind, mmap=as_bool(mmap, "mmap"), verify=as_bool(verify, "verify"))
        codec = ThumbnailCodec.pretrained() if codec is None else _as_codec(codec)
        with _files.refusing(path, kind):
            model_id = as_integer(params["model_id"], "model_id", 0, 2**32 - 1)
            names = None
            if "names" in arrays:
                text = _files.take(arrays, "names", np.uint8, ("bytes",)).tobytes()
                names = json.loads(text)
            codes = _files.take(arrays, "codes", np.uint8, ("n", "bytes"))
            if model_id == codec.model_id:
                return cls(codec, codes, names=names)
        raise ValueError(
            f"codec has the model {codec.model_id:08x}, but the pictures of {os.fsdecode(path)!r} were "
            f"encoded with {model_id:08x}; give their codec: load(path, codec=...)"
        )


def _as_codec(codec: Any) -> ThumbnailCodec:
    """Return the argument `codec` if it is a fitted one."""
    if not isinstance(codec, ThumbnailCodec):
        raise TypeError(f"codec must be a ThumbnailCodec; got {describe(codec)}")
    check_fitted(codec)
    return codec


def _as_names(names: Any, n: int) -> list[str]:
    listed = as_list(names, "names", "str")
    if len(listed) != n:
        raise ValueError(f"names are {len(listed)}, but codes have {n} rows")
    wrong = next((name for name in listed if not isinstance(name, str)), None)
    if wrong is not None or None in listed:
        raise TypeError(f"names must be strings; got {describe(wrong)}")
    return list(listed)
