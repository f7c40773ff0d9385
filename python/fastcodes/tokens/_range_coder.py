"""A range coder of symbols with intervals of their own, which ends with the shortest tail.

After Martin, *Range encoding*, 1979. The width of the interval stays between 2**40 and 2**48; totals are at
most 2**28. The range coder of the core is for probabilities of 16 bits, too few for rare codewords of large
codebooks. This one is not compiled, since most of the time goes into making intervals, by numpy.

Trailing zeros are dropped, and a decoder reads zeros after the end. If nothing but zeros is left to read, and
the offset in the interval is 0, all symbols that follow, in any number, are the first ones:
`Decoder.is_at_zeros` says so, and nothing has to be computed for them. Otherwise a code has symbols for at
most `_MOST_ZEROS` bytes after its end.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Decoder", "encoded"]

_FULL = 1 << 48
_LEAST = 1 << 40
_N_BYTES = 6  # of the state
_MOST_ZEROS = 16  # after the end of a code, unless no symbol but first ones follows


def encoded(intervals: Iterable[tuple[int, int, int]]) -> bytes:
    """Return the code of symbols: the start, the width and the total of the interval of each."""
    out = bytearray()
    low, width, n_read = 0, _FULL, 0
    for start, size, total in intervals:
        if start:
            n_read = len(out) + _N_BYTES  # by a decoder before this symbol
        width //= total
        low += width * start
        width *= size
        if low >= _FULL:
            low -= _FULL
            _carry(out)
        while width < _LEAST:
            out.append(low >> 40)
            low = (low & (_LEAST - 1)) << 8
            width <<= 8
    # The number in the interval with the most zero bytes at its end; a decoder reads zeros after the end.
    for n_bytes in range(_N_BYTES + 1):
        unit = 1 << 8 * (_N_BYTES - n_bytes)
        number = -(-low // unit) * unit
        if number < low + width:
            break
    if number > low:
        n_read = len(out) + _N_BYTES
    tail, needs_carry = number % _FULL, number >= _FULL
    data = _joined(out, tail, needs_carry=needs_carry)
    if n_read > len(data) + _MOST_ZEROS:  # as unlikely as that many zero bytes
        data = _joined(out, low | 1, needs_carry=False)
    return data


def _joined(out: bytearray, number: int, *, needs_carry: bool) -> bytes:
    joined = out.copy()
    if needs_carry:
        _carry(joined)
    joined += number.to_bytes(_N_BYTES, "big")
    return bytes(joined).rstrip(b"\0")


def _carry(out: bytearray) -> None:
    i = len(out) - 1
    while out[i] == 255:
        out[i] = 0
        i -= 1
    out[i] += 1


class Decoder:
    """The reader of a code."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = _N_BYTES
        self._offset = int.from_bytes(data[:_N_BYTES].ljust(_N_BYTES, b"\0"), "big")
        self._width = _FULL

    @property
    def is_at_zeros(self) -> bool:
        """Whether all symbols that follow are the first ones, whatever their intervals."""
        return not self._offset and self._position >= len(self._data)

    def finish(self) -> None:
        """Raise a ValueError if there are bytes that belong to no symbol."""
        if self._position < len(self._data) or self._data.endswith(b"\0"):
            raise ValueError("there are bytes after the last symbol")

    def target(self, total: int) -> int:
        """Return a number in the interval of the next symbol, below `total`, or raise a ValueError."""
        if self._offset and self._position > len(self._data) + _MOST_ZEROS:
            raise ValueError("the code ends before its last symbol")
        self._width //= total
        target = self._offset // self._width
        if target >= total:
            raise ValueError("no symbol has this code")
        return target

    def take(self, start: int, size: int) -> None:
        """Remove the symbol, whose interval has this start and width."""
        self._offset -= self._width * start
        self._width *= size
        while self._width < _LEAST:
            byte = self._data[self._position] if self._position < len(self._data) else 0
            self._position += 1
            self._offset = self._offset << 8 | byte
            self._width <<= 8
