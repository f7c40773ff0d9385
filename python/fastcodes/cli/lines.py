"""Lines of texts: UTF-8 or another encoding, plain or compressed, in files, pipes and devices."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import importlib
import io
import lzma
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import IO, Any, Protocol

import numpy as np

from fastcodes.cli.files import is_regular, opened
from fastcodes.cli.terminal import UserError, tracked

__all__ = ["Batch", "Lines", "compressing"]

BYTES_PER_BATCH = 1 << 23
"""Bytes of lines read, and held in memory, between two updates of the progress bar."""
MAX_BYTES_PER_LINE = 1 << 28
BYTES_OF_SAMPLE = 1 << 14
"""Bytes that show the compression and the encoding of an input."""
BYTE_ORDER_MARKS = {
    # The mark of UTF-32 starts with that of UTF-16.
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_DECOMPRESSORS: dict[bytes, Callable[[Any, str], Any]] = {
    rb"\x1f\x8b\x08": lambda file, name: gzip.GzipFile(fileobj=file),
    rb"BZh[1-9](1AY&SY|\x17rE8P\x90)": lambda file, name: bz2.BZ2File(file),
    rb"\xfd7zXZ\x00": lambda file, name: lzma.LZMAFile(file),  # noqa: SIM115
    rb"\x28\xb5\x2f\xfd": lambda file, name: _zstd(file, name),
}
"""Patterns of the first bytes, and what reads such a file."""
_UNREADABLE = {
    # The first bytes, what they are, and the command that unpacks them.
    b"PK\x03\x04": ("a zip archive", "unzip -p"),
    b"\x04\x22\x4d\x18": ("compressed by lz4", "lz4 -dc"),
    b"\x1f\x9d": ("compressed by compress", "zcat"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "7z x -so"),
}


@dataclass
class Batch:
    """Consecutive lines with their ends, the number of the first (from 1), and how far they were read."""

    lines: list[Any]
    first: int
    stop: int


class Reader(Protocol):
    """A file of UTF-8 lines."""

    def readline(self, limit: int, /) -> bytes:
        """Return the next line with its end, or nothing at the end of the file."""


class Lines:
    """The lines of a text as UTF-8, which can be read twice.

    Parameters
    ----------
    name : str
        A file, or ``-`` for stdin.
    encoding : str or None
        The encoding; None means UTF-8, UTF-16 or UTF-32, by the byte order mark.
    twice : bool
        Whether `read` is called twice: what cannot be read twice is first copied to a temporary file.
    """

    def __init__(self, name: str, encoding: str | None, *, twice: bool) -> None:
        self._name = name
        self._encoding = encoding
        if encoding is not None:
            _check_encoding(encoding)
        file: IO[bytes] = opened(name)
        if twice and not is_regular(file):
            file = _copied(file, name)
        self._file = file
        self._start = file.tell() if is_regular(file) else None
        self._version = self._stat()
        self._passes: list[tuple[int, int]] = []
        """The number of lines and the CRC-32 of each whole reading."""

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def read(self, description: str) -> Iterator[Batch]:
        """Yield all lines in batches; a second reading that differs from the first raises a `UserError`."""
        if self._passes:
            self._file.seek(self._start or 0)
            self._check(self._stat() == self._version)
        size = None if self._start is None else os.fstat(self._file.fileno()).st_size
        first, crc = 1, 0
        for batch in tracked(self._batches(), size, description):
            first, crc = first + len(batch.lines), zlib.crc32(b"".join(batch.lines), crc)
            self._check(not self._passes or first - 1 <= self._passes[0][0])
            yield batch
        self._passes.append((first - 1, crc))
        self._check(self._passes[0] == self._passes[-1])

    def _batches(self) -> Iterator[Batch]:
        lines: list[bytes] = []
        first, size = 1, 0
        with self._errors():
            reader = _reader(self._file, self._name, self._encoding)
            while line := reader.readline(MAX_BYTES_PER_LINE):
                lines.append(line)
                size += len(line)
                if len(line) >= MAX_BYTES_PER_LINE:
                    raise UserError(
                        f"{self._name}: line {first + len(lines) - 1:,} has more than "
                        f"{MAX_BYTES_PER_LINE >> 20} MiB; expected one text per line"
                    )
                if size >= BYTES_PER_BATCH:
                    yield self._batch(lines, first)
                    first, lines, size = first + len(lines), [], 0
            if lines:
                yield self._batch(lines, first)

    def _batch(self, lines: list[bytes], first: int) -> Batch:
        return Batch(lines, first, 0 if self._start is None else self._file.tell())

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what damaged or unreadable inputs raise into a `UserError`."""
        try:
            yield
        except UnicodeError as error:
            reason = str(error)
            if isinstance(error, UnicodeDecodeError):
                reason = f"not valid {error.encoding.upper()}: {error.reason}"
            raise UserError(f"{self._name}: {reason}; --encoding names the encoding of the text") from None
        except OSError as error:
            reason = error.strerror or f"damaged or cut short: {error}"
            raise UserError(f"{self._name}: {reason}") from None
        except (EOFError, zlib.error, lzma.LZMAError) as error:
            raise UserError(f"{self._name}: damaged or cut short: {error}") from None
        except Exception as error:
            if type(error).__name__ != "ZstdError":  # of a package that may be missing
                raise
            raise UserError(f"{self._name}: damaged or cut short: {error}") from None

    def _stat(self) -> tuple[int, int]:
        status = os.fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns

    def _check(self, is_unchanged: bool) -> None:
        if not is_unchanged:
            raise UserError(
                f"{self._name}: changed while it was read; give a copy, or a pipe, which is copied: "
                f"cat {self._name} | fastcodes dedup -"
            )


def compressing(file: IO[bytes], name: str) -> contextlib.AbstractContextManager[Any]:
    """Return a file that writes to another one, compressed if its name ends in .gz, .bz2 or .xz."""
    ending = os.path.splitext(name)[1].lower()
    if ending == ".gz":
        return gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)
    compressors: dict[str, Any] = {".bz2": bz2.BZ2File, ".xz": lzma.LZMAFile}
    return compressors[ending](file, "wb") if ending in compressors else contextlib.nullcontext(file)


def _copied(file: IO[bytes], name: str) -> IO[bytes]:
    try:
        start = file.read(1)
    except OSError as error:
        raise UserError(f"{name}: {error.strerror or error}") from None
    copy = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        with file:
            copy.write(start)
            shutil.copyfileobj(file, copy, 1 << 20)
        copy.seek(0)
    except OSError as error:
        with contextlib.suppress(OSError):
            copy.close()
        raise UserError(
            f"{name}: cannot be copied to a temporary file: {error.strerror or error}; TMPDIR names a folder "
            "with more space"
        ) from None
    return copy


# --- compression and encoding -------------------------------------------------------------------------------


class _Joined(io.RawIOBase):
    """A file that consists of pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._piece = piece
        data, self._piece = self._piece[: len(buffer)], self._piece[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


class _Recoded:
    """The lines of a text in another encoding."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        # Halves of surrogate pairs make bad lines of UTF-8, as they do elsewhere.
        self._text = io.TextIOWrapper(file, encoding, errors="surrogatepass", newline="\n")

    def readline(self, limit: int, /) -> bytes:
        return self._text.readline(limit).encode("utf-8", "surrogatepass")


def _check_encoding(encoding: str) -> None:
    try:
        _Recoded(io.BytesIO(), encoding).readline(1)
    except (LookupError, UnicodeError) as error:
        raise UserError(f"argument --encoding: {error}") from None


def _reader(file: IO[bytes], name: str, encoding: str | None, is_unpacked: bool = False) -> Reader:
    """Return the lines of a file from its current place."""
    start = file.read(BYTES_OF_SAMPLE)
    rest = io.BufferedReader(_Joined(chain([start], _pieces(file))))
    for pattern, decompressor in _DECOMPRESSORS.items():
        if re.match(pattern, start):
            if is_unpacked:
                raise UserError(f"{name}: compressed twice; decompress it first")
            return _reader(decompressor(rest, name), name, encoding, is_unpacked=True)
    for magic, (what, command) in _UNREADABLE.items():
        if start.startswith(magic):
            raise UserError(f"{name}: {what}; unpack it first: {command} {name} | fastcodes dedup -")
    if start.startswith(b"PAR1"):
        raise UserError(f"{name}: a Parquet file; its name must end in .parquet")
    if start[257:262] == b"ustar":
        raise UserError(f"{name}: a tar archive; unpack it first: tar -xOf {name} | fastcodes dedup -")
    if encoding is None:
        encoding = next((which for mark, which in BYTE_ORDER_MARKS.items() if start.startswith(mark)), None)
        if encoding is None:
            _check_text(start, name)
            return rest
    return rest if codecs.lookup(encoding).name == "utf-8" else _Recoded(rest, encoding)


def _zstd(file: IO[bytes], name: str) -> IO[bytes]:
    with contextlib.suppress(ModuleNotFoundError):
        standard = importlib.import_module("compression.zstd")  # since Python 3.14
        return io.BufferedReader(standard.ZstdFile(file))
    with contextlib.suppress(ModuleNotFoundError):
        package = importlib.import_module("zstandard")
        return io.BufferedReader(_Joined(_frames(file, package)))
    raise UserError(
        f"{name}: compressed by zstd, which needs Python 3.14 or the package zstandard; decompress it first: "
        f"zstd -dc {name} | fastcodes dedup -"
    )


def _frames(file: IO[bytes], zstandard: Any) -> Iterator[bytes]:
    """Decompress all frames; the readers of the package end silently where a file is cut short."""
    frame, unused = None, b""
    for piece in _pieces(file):
        unused += piece
        while unused:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(unused)
            unused = frame.unused_data
            frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError("the last frame has no end")


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    return iter(partial(file.read, BYTES_OF_SAMPLE), b"")


def _check_text(start: bytes, name: str) -> None:
    """Raise a `UserError` for bytes that are evidently not text in UTF-8."""
    if b"\0" not in start:
        return
    for encoding, unit, full, empty, least in (
        ("utf-32-le", 4, (2, 3), 0, 0.9),
        ("utf-32-be", 4, (0, 1), 3, 0.9),
        # Letters outside Latin scripts have no NUL, but spaces and line ends do.
        ("utf-16-le", 2, (1,), 0, 0.1),
        ("utf-16-be", 2, (0,), 1, 0.1),
    ):
        bytes_of_units = np.frombuffer(start[: len(start) // unit * unit], np.uint8).reshape(-1, unit)
        shares = np.mean(bytes_of_units == 0, axis=0) if len(bytes_of_units) else np.zeros(unit)
        if shares[list(full)].min() >= least and shares[empty] < least / 2:
            raise UserError(
                f"{name}: looks like {encoding.upper()} without a byte order mark; give --encoding {encoding}"
            )
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
        is_text = start.count(b"\0") < len(start) / 10
    except UnicodeDecodeError:
        is_text = False
    if not is_text:
        raise UserError(
            f"{name}: holds binary data; expected lines of text or of JSON (--encoding utf-8 reads it anyway)"
        )
