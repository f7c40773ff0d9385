"""Arrays of .npy files, mapped to memory where that is possible."""

from __future__ import annotations

import io
import warnings

import numpy as np

from fastcodes._typing import Array
from fastcodes.cli.files import descriptor, is_regular, opened
from fastcodes.cli.terminal import UserError

__all__ = ["load_array"]

MAGIC = b"\x93NUMPY"
BYTES_OF_HEADER = 128
"""The usual size of the header of an .npy file."""


def load_array(name: str) -> Array:
    """Return the array of an .npy file, mapped if possible; raise a `UserError` if that fails."""
    with opened(name) as file, warnings.catch_warnings():
        # Before numpy raises an error for sizes that no memory has, it warns that they overflow.
        warnings.simplefilter("ignore")
        start = b""
        try:
            if is_regular(file) and name != "-" and descriptor(name) is None:
                start = file.read(BYTES_OF_HEADER)
                array = np.load(name, mmap_mode="r", allow_pickle=False)
            else:
                content = file.read()
                start = content[:BYTES_OF_HEADER]
                array = np.load(io.BytesIO(content), allow_pickle=False)
        except OSError as error:
            raise UserError(f"{name}: {error.strerror or error}") from None
        except MemoryError:
            raise UserError(f"{name}: not enough memory to read it") from None
        except Exception as error:  # the header is a Python literal: a damaged one can raise almost anything
            raise UserError(f"{name}: {_why_unreadable(start, error)}") from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise UserError(f"{name}: an .npz archive; expected a single array, as numpy.save writes it")
    return array


def _why_unreadable(start: bytes, error: Exception) -> str:
    reason = " ".join(str(error.args[0] if error.args else error).split())
    if not start.startswith(MAGIC):
        return "not an .npy file; numpy.save(path, array) writes one" if start else "an empty file"
    if "pickle" in reason or "object" in reason:
        return "holds Python objects, which are not loaded; expected an array of numbers"
    if any(
        words in reason for words in ("EOF: reading", "greater than file size", "cannot reshape", "buffer")
    ):
        return "cut short: the file ends before its array does"
    return f"its header {start[10:].split(b'}')[0]!r} is wrong: {reason[:100]}"
