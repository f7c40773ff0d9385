"""Numbers of any size as bytes of 7 bits."""

from __future__ import annotations

from fastcodes._typing import Codes

__all__ = ["Numbers", "varint"]


def varint(number: int) -> bytes:
    """Return a number as 7 bits in each byte, the lowest first; all but the last have 128 added."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


class Numbers:
    """A reader of numbers that `varint` wrote."""

    def __init__(self, data: bytes | Codes, position: int) -> None:
        self._data = data
        self.position = position

    def next(self) -> int:
        """Return the next number, or raise a ValueError."""
        number = 0
        for shift in range(0, 63, 7):
            if self.position >= len(self._data):
                break
            byte = int(self._data[self.position])
            self.position += 1
            number |= (byte & 127) << shift
            if byte < 128:
                return number
        raise ValueError("data have a number without an end")
