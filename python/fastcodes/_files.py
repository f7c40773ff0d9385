"""Files of models and indexes: safetensors with a header that says what they are.

A file holds named arrays and five metadata entries, all text::

    fastcodes   the version of this layout: 1
    kind        the class that wrote it, for example ProductQuantizer
    params      its parameters, as a JSON object
    checksums   CRC-32 of the bytes of each array, as a JSON object
    checksum    CRC-32 of the entries above and of each array's name, dtype and shape

Nothing in a file is ever executed. A truncated or altered file is refused with a ValueError.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import DTypeLike

from fastcodes._typing import Array, Codes, PathLike

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Registered", "read", "refusing", "replacing", "take", "write"]

_VERSION = "1"
_DTYPES = {
    "BOOL": np.bool_,
    "U8": np.uint8,
    "I8": np.int8,
    "U16": np.uint16,
    "I16": np.int16,
    "U32": np.uint32,
    "I32": np.int32,
    "U64": np.uint64,
    "I64": np.int64,
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
}


def write(path: PathLike, kind: str, params: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write a file atomically.

    Parameters
    ----------
    path : path-like
        Where to write. An existing file is replaced atomically; processes that have mapped it keep the old
        content.
    kind : str
        The name of the class that reads it.
    params : mapping of str to JSON values
        Its parameters. numpy scalars and arrays are stored as numbers and lists; NaN and infinities are
        refused.
    arrays : mapping of str to arrays
        Numbers or booleans.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    checksums = {name: _crc(array) for name, array in arrays.items()}
    metadata = {
        "fastcodes": _VERSION,
        "kind": kind,
        "params": json.dumps(dict(params), allow_nan=False, default=_number),
        "checksums": json.dumps(checksums),
    }
    layout = {name: (array.dtype, array.shape) for name, array in arrays.items()}
    metadata["checksum"] = _header_crc(metadata, layout)
    with replacing(path) as part:
        safetensors.numpy.save_file(arrays, part, metadata)


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[str]:
    """Yield the name of an empty file that replaces `path` on success; after an error `path` is unchanged."""
    path = os.fspath(path)
    part = f"{path}.{os.getpid()}.part"  # in the same directory: only there a rename is atomic
    with open(part, "wb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    try:
        yield part
        os.chmod(part, mode)  # some versions of safetensors make it readable by the owner only
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise


def read(path: PathLike, kind: str, *, mmap: bool = False) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read a file that `write` wrote.

    Parameters
    ----------
    path : path-like
        The file.
    kind : str
        The expected kind.
    mmap : bool
        Whether to map the arrays (read-only) instead of loading them. Their checksums are not verified then,
        since that would read all bytes.

    Returns
    -------
    params : dict
    arrays : dict of arrays

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is not a whole, unaltered file of this kind.
    """
    path = os.fspath(path)
    with refusing(path, kind):
        metadata, layout = _header(path, kind)
        data: Codes = np.asarray(np.memmap(path, np.uint8, "r"))
        checksums = json.loads(metadata["checksums"])
        arrays = {}
        # safetensors allows no gaps: the arrays fill the end of the file.
        start = len(data) - sum(_n_bytes(*shape) for shape in layout.values())
        for name, (dtype, shape) in layout.items():
            part = data[start : start + _n_bytes(dtype, shape)]
            start += len(part)
            if not mmap and zlib.crc32(part.data) != checksums[name]:
                raise ValueError(f"array {name!r} was altered, its checksum is wrong")
            array = part.view(dtype).reshape(shape)
            arrays[name] = array if mmap and array.flags.aligned else array.copy()
        return json.loads(metadata["params"]), arrays


def take(
    arrays: Mapping[str, Array],
    name: str,
    dtype: DTypeLike,
    shape: tuple[int | str, ...],
    *,
    finite: bool = False,
) -> Array:
    """Return an array of a file after checking that it exists and has the expected dtype and shape.

    Parameters
    ----------
    arrays : mapping of str to arrays
        As `read` returns them.
    name : str
        The name of the array.
    dtype : dtype
        The expected dtype.
    shape : tuple of int or str
        The expected shape; a str names a length that may be any, for the error message.
    finite : bool
        Whether values that are not finite are refused.

    Raises
    ------
    ValueError
        If it is missing, has another dtype or shape, or is not finite.
    """
    if name not in arrays:
        raise ValueError(f"array {name!r} is missing; there are {sorted(arrays)}")
    array, dtype = arrays[name], np.dtype(dtype)
    fits = array.ndim == len(shape) and all(
        isinstance(expected, str) or length == expected
        for length, expected in zip(array.shape, shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        lengths = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
        raise ValueError(
            f"array {name!r} has dtype {array.dtype} and shape {array.shape}; "
            f"expected {dtype} and ({lengths})"
        )
    if finite and not np.isfinite(array).all():
        raise ValueError(f"array {name!r} has values that are not finite")
    return array


class Registered:
    """Base of a family of classes that files refer to by name: defining a subclass registers it.

    A class whose direct base is `Registered` is a family: ``Family.named("Member")`` is its subclass of that
    name.
    """

    _members: ClassVar[dict[str, type[Any]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if Registered in cls.__bases__:
            cls._members = {}
        else:
            cls._members[cls.__name__] = cls

    @classmethod
    def named(cls, name: str) -> type[Self]:
        """Return the member of the family with this class name, or raise a ValueError."""
        if name not in cls._members:
            raise ValueError(f"there is no {cls.__name__} {name!r}; import the module that defines it")
        return cls._members[name]


@contextlib.contextmanager
def refusing(path: PathLike, kind: str) -> Iterator[None]:
    """Turn errors caused by invalid content into a ValueError that names the file."""
    try:
        yield
    except (ValueError, TypeError, KeyError, safetensors.SafetensorError) as error:
        reason = f"no entry {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{os.fspath(path)!r} is not a valid {kind} file: {reason}") from error


def _header(path: str, kind: str) -> tuple[dict[str, str], dict[str, tuple[np.dtype[Any], tuple[int, ...]]]]:
    """Return the metadata, and the dtype and shape of each array in file order."""
    with open(path, "rb") as file:  # raises the OSError of the system unchanged
        if not file.read(1):
            raise ValueError("it is empty")
    with safetensors.safe_open(path, framework="np") as file:
        metadata: dict[str, str] = file.metadata() or {}
        layout = {}
        for name in file.offset_keys():
            tensor = file.get_slice(name)
            layout[name] = np.dtype(_DTYPES[tensor.get_dtype()]), tuple(tensor.get_shape())
    if metadata.get("fastcodes") != _VERSION:
        raise ValueError(
            f"its layout has version {metadata['fastcodes']}; this fastcodes reads version {_VERSION}"
            if "fastcodes" in metadata
            else "it was not written by fastcodes"
        )
    if metadata["kind"] != kind:
        raise ValueError(f"it holds a {metadata['kind']}; load it with {metadata['kind']}.load")
    if metadata["checksum"] != _header_crc(metadata, layout):
        raise ValueError("its header was altered, the checksum is wrong")
    return metadata, layout


def _header_crc(
    metadata: Mapping[str, str], layout: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]
) -> str:
    entries = [metadata[key] for key in ("fastcodes", "kind", "params", "checksums")]
    shapes = sorted((name, dtype.str, list(shape)) for name, (dtype, shape) in layout.items())
    return str(zlib.crc32(json.dumps([entries, shapes]).encode()))


def _crc(array: Array) -> int:
    return zlib.crc32(array.reshape(-1).view(np.uint8).data)


def _n_bytes(dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
    return dtype.itemsize * math.prod(shape)


def _number(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a parameter of type {type(value).__name__} cannot be stored: {value!r}")
