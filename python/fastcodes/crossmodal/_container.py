"""The container: a header with the class posterior, the message, then layers that refine the picture.

::

    byte 0       bits 7-6  version: 1
                 bit 5     whether a posterior follows
                 bits 4-0  bytes of the message; 31: 31 more than the varint that follows
    posterior    entries of two bytes, big-endian, the most probable class first
                 bits 15-5 class
                 bit 4     whether another entry follows
                 bits 3-0  probability, in sixteenths, less one
    [varint]     only if bits 4-0 of byte 0 are 31
    message      the bytes of the lossless coder
    layers       each begins with one byte:
                 7 to 255  a thumbnail of that many bytes and one more
                 0         a varint, and as many bytes of `fastcodes.coding.ImageCodec`

A varint has seven bits in each byte, the lowest first; bit 7 says that another byte follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastcodes._typing import Doubles

__all__ = [
    "MOST_CLASSES",
    "MOST_TOP",
    "Layer",
    "Stream",
    "pack",
    "read_varint",
    "unpack",
    "unpack_message",
    "varint",
]

MOST_CLASSES, MOST_TOP = 1 << 11, 16
_VERSION = 1
_LONG = 31
_MOST_BYTES = 1 << 40
_LEAST_THUMBNAIL = 8
_PICTURE = 0


class Layer(NamedTuple):
    """A layer, of which bytes may be missing: `length` is that of all of it."""

    kind: str
    data: bytes
    length: int

    @property
    def is_complete(self) -> bool:
        """Whether all bytes are there."""
        return len(self.data) == self.length


class Stream(NamedTuple):
    """What a stream consists of.

    Attributes
    ----------
    posterior : tuple of (int, float)
        Classes and their probabilities.
    message : bytes
        Complete.
    layers : tuple of Layer
        The last one may be cut.
    ends : tuple of int
        Where the message and each complete layer ends: prefixes that can be decoded.
    """

    posterior: tuple[tuple[int, float], ...]
    message: bytes
    layers: tuple[Layer, ...]
    ends: tuple[int, ...]


def pack(message: bytes, posterior: Doubles | None, n_top: int, layers: Sequence[tuple[str, bytes]]) -> bytes:
    """Return the stream of a message, the most probable `n_top` classes, and layers by their kind."""
    n = len(message)
    out = bytearray([_VERSION << 6 | (posterior is not None) << 5 | min(n, _LONG)])
    if posterior is not None:
        top = np.argsort(-posterior, kind="stable")[:n_top].tolist()
        for label in top:
            sixteenths = min(max(round(16 * float(posterior[label])), 1), 16)
            out += (label << 5 | (label != top[-1]) << 4 | sixteenths - 1).to_bytes(2, "big")
    if n >= _LONG:
        out += varint(n - _LONG)
    out += message
    for kind, data in layers:
        out += bytes([len(data) - 1]) if kind == "thumbnail" else bytes([_PICTURE]) + varint(len(data))
        out += data
    return bytes(out)


def unpack_message(data: bytes) -> tuple[tuple[tuple[int, float], ...], bytes, int]:
    """Return the posterior of a stream, its message, and where that ends, or raise a ValueError."""
    if not data:
        raise ValueError("data is empty; expected the bytes of CrossModalCodec.encode")
    version, n = data[0] >> 6, data[0] & _LONG
    if version != _VERSION:
        raise ValueError(
            f"data has version {version}, but this release reads version {_VERSION}: they are not the bytes "
            "of CrossModalCodec.encode, or those of a later release"
        )
    place, posterior, more = 1, [], bool(data[0] & 32)
    while more:
        entry = int.from_bytes(_taken(data, place, 2, "posterior"), "big")
        posterior.append((entry >> 5, ((entry & 15) + 1) / 16))
        more, place = bool(entry & 16), place + 2
        if len(posterior) > MOST_TOP:
            raise ValueError(f"data has a posterior of more than {MOST_TOP} classes: it was altered")
    if n == _LONG:
        length, place = read_varint(data, place)
        if length is None:
            raise _cut("length", data)
        n += length
    message = _taken(data, place, n, "message")
    return tuple(posterior), message, place + n


def unpack(data: bytes) -> Stream:
    """Return the parts of a stream, or raise a ValueError if its message is not complete, or a layer none."""
    posterior, message, place = unpack_message(data)
    layers: list[Layer] = []
    ends = [place]
    while place < len(data):
        tag = data[place]
        place += 1
        if tag == _PICTURE:
            length, place = read_varint(data, place)
            whole = -1 if length is None else length
            layers.append(Layer("picture", data[place : place + max(whole, 0)], whole))
        elif tag >= _LEAST_THUMBNAIL - 1:
            layers.append(Layer("thumbnail", data[place : place + tag + 1], tag + 1))
        else:
            raise ValueError(f"data has a layer of kind {tag} at byte {place - 1}; expected 0 or 7 to 255")
        place += len(layers[-1].data)
        if not layers[-1].is_complete:
            break
        ends.append(place)
    return Stream(posterior, message, tuple(layers), tuple(ends))


def _taken(data: bytes, place: int, n: int, what: str) -> bytes:
    part = data[place : place + n]
    if len(part) < n:
        raise _cut(what, data)
    return part


def _cut(what: str, data: bytes) -> ValueError:
    return ValueError(
        f"data was cut within its {what}: got {len(data)} bytes. The message is the shortest part that can "
        "be decoded; keep its bytes, which `inspect(data).ends` counts"
    )


def varint(number: int) -> bytes:
    """Return a number as bytes."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def read_varint(data: bytes, place: int) -> tuple[int | None, int]:
    """Return a number, or None if it was cut, and the place after it."""
    number, shift = 0, 0
    while place < len(data):
        byte = data[place]
        number |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if number > _MOST_BYTES or shift > 42:
            raise ValueError(f"data has a part of more than {_MOST_BYTES} bytes: it was altered")
        if byte < 128:
            return number, place
    return None, place
