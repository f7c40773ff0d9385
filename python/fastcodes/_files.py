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
import errno
import json
import math
import os
import re
import secrets
import shutil
import stat
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from io import BufferedReader
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import DTypeLike

from fastcodes._typing import Array, Codes, PathLike

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Registered", "read", "refusing", "replacing", "take", "write"]

Layout: TypeAlias = dict[str, tuple[np.dtype[Any], tuple[int, ...]]]

_VERSION = "1"
# The largest header that safetensors reads, in bytes.
_LARGEST_HEADER = 100_000_000
# Folders in which files are written before they replace others.
_PREFIX = ".fastcodes-"
# A newer folder may be one whose owner has created but not yet locked it.
_SECONDS_TO_LOCK = 60
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
        try:
            safetensors.numpy.save_file(arrays, part, metadata)
        except safetensors.SafetensorError as error:
            # The library reports errors of the system as text that contains their number.
            code = re.search(r"(?:os error|code:) (\d+)", str(error))
            if code is None:
                raise
            raise OSError(int(code[1]), os.strerror(int(code[1])), os.fsdecode(path)) from error


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[str]:
    """Yield the name of an empty file that replaces `path` on success; after an error `path` is unchanged.

    The replacement is atomic and outlasts a crash of the system. An existing file keeps its permissions, and
    a symbolic link its target. Savers of one path do not disturb each other: the last one wins. What a
    killed process leaves behind is removed by a later saver to the same folder, where the system has locks.
    """
    path = os.path.realpath(os.fsdecode(path))
    if os.path.exists(path) and not os.path.isfile(path):
        code = errno.EISDIR if os.path.isdir(path) else errno.EINVAL
        raise OSError(code, "not a regular file, and only these can be replaced", path)
    folder = os.path.dirname(path)
    _remove_leftovers(folder)
    # In the same folder, because a rename is atomic only within a file system. Its name is known before it is
    # created: a signal between the two calls would leave it behind.
    own = os.path.join(folder, _PREFIX + secrets.token_hex(8))
    lock = None
    try:
        try:
            os.mkdir(own, 0o700)
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None
        lock = _lock(own)
        part = os.path.join(own, "part")
        with open(part, "xb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        yield part
        with contextlib.suppress(FileNotFoundError):
            mode = stat.S_IMODE(os.stat(path).st_mode)
        _flush(part)
        os.chmod(part, mode)  # some versions of safetensors make it readable by the owner only
        os.replace(part, path)
        if os.name == "posix":
            _flush(folder)
    finally:
        shutil.rmtree(own, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def read(
    path: PathLike, kind: str, *, mmap: bool = False, verify: bool = False
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read a file that `write` wrote.

    The file is opened once: what replaces it meanwhile does not matter.

    Parameters
    ----------
    path : path-like
        The file.
    kind : str
        The expected kind.
    mmap : bool
        Whether to map the arrays (read-only) instead of loading them.
    verify : bool
        Whether to verify the checksums of mapped arrays, which reads all bytes. Those of loaded arrays and of
        the header are always verified.

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
    path = os.fsdecode(path)
    with refusing(path, kind), open(path, "rb") as file:
        metadata, layout, start = _header(file, kind)
        checksums = json.loads(metadata["checksums"])
        data = np.asarray(np.memmap(file, np.uint8, "r")) if mmap else None
        arrays = {}
        for name, (dtype, shape) in layout.items():
            stop = start + _n_bytes(dtype, shape)
            part: Codes = _loaded(file, stop - start) if data is None else data[start:stop]
            if (verify or not mmap) and zlib.crc32(part.data) != checksums[name]:
                raise ValueError(f"array {name!r} was altered, its checksum is wrong")
            array = part.view(dtype).reshape(shape)
            arrays[name] = array if array.flags.aligned else array.copy()
            start = stop
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
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        reason = f"no entry {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{os.fsdecode(path)!r} is not a valid {kind} file: {reason}") from error


def _header(file: BufferedReader, kind: str) -> tuple[dict[str, str], Layout, int]:
    """Return the metadata, the dtype and shape of each array in file order, and where the arrays begin.

    The library reads the header of a file that it opens itself, which may be another one by then.
    """
    n_bytes = os.fstat(file.fileno()).st_size
    if not n_bytes:
        raise ValueError("it is empty")
    start = 8 + int.from_bytes(file.read(8), "little")
    if not 8 < start <= min(n_bytes, _LARGEST_HEADER):
        raise ValueError("it is cut short, or no file of safetensors")
    header = json.loads(file.read(start - 8))
    metadata: dict[str, str] = header.pop("__metadata__", {})
    if metadata.get("fastcodes") != _VERSION:
        raise ValueError(
            f"its layout has version {metadata['fastcodes']}; this fastcodes reads version {_VERSION}"
            if "fastcodes" in metadata
            else "it was not written by fastcodes"
        )
    if metadata["kind"] != kind:
        raise ValueError(f"it holds a {metadata['kind']}; load it with {metadata['kind']}.load")
    layout, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
        if not all(type(length) is int and length >= 0 for length in shape):
            raise ValueError(f"array {name!r} has the shape {shape}")
        if entry["data_offsets"] != [end, end := end + _n_bytes(dtype, shape)]:
            raise ValueError(f"array {name!r} is not where its predecessor ends, or has another size")
        layout[name] = dtype, shape
    if metadata["checksum"] != _header_crc(metadata, layout):
        raise ValueError("its header was altered, the checksum is wrong")
    if start + end != n_bytes:
        raise ValueError(f"it has {n_bytes} bytes; expected {start + end}")
    return metadata, layout, start


def _header_crc(metadata: Mapping[str, str], layout: Layout) -> str:
    entries = [metadata[key] for key in ("fastcodes", "kind", "params", "checksums")]
    shapes = sorted((name, dtype.str, list(shape)) for name, (dtype, shape) in layout.items())
    return str(zlib.crc32(json.dumps([entries, shapes]).encode()))


def _loaded(file: BufferedReader, n_bytes: int) -> Codes:
    part = np.empty(n_bytes, np.uint8)
    if file.readinto(part.data) != n_bytes:
        raise ValueError("it was cut short while it was read")
    return part


def _remove_leftovers(folder: str) -> None:
    """Remove what killed processes left in a folder: old folders that nobody has locked."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if (
                entry.name.startswith(_PREFIX)
                and time.time() - entry.stat(follow_symlinks=False).st_mtime > _SECONDS_TO_LOCK
            ):
                lock = _lock(entry.path)
                if lock is not None:
                    shutil.rmtree(entry.path, ignore_errors=True)
                    os.close(lock)


def _lock(folder: str) -> int | None:
    """Return a descriptor that locks a folder until it is closed or the process ends, or None."""
    if sys.platform == "win32":
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # locked by another process, or a file system without locks
        os.close(descriptor)
        return None
    return descriptor


def _flush(path: str) -> None:
    """Wait until the content of a file or folder is on its device."""
    descriptor = os.open(path, os.O_RDONLY if os.path.isdir(path) else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _crc(array: Array) -> int:
    return zlib.crc32(array.reshape(-1).view(np.uint8).data)


def _n_bytes(dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
    return dtype.itemsize * math.prod(shape)


def _number(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a parameter of type {type(value).__name__} cannot be stored: {value!r}")
