"""The range coder: every message comes back, in about as many bytes as its probabilities allow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fastcodes.tokens import _range_coder
from fastcodes.tokens._range_coder import Decoder, encoded
from hypothesis import given
from hypothesis import strategies as st

TOTALS = st.integers(1, 1 << 28)


@st.composite
def intervals(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    found = []
    for _ in range(draw(st.integers(0, 30))):
        total = draw(TOTALS)
        start = draw(st.one_of(st.integers(0, total - 1), st.just(total - 1)))
        found.append((start, draw(st.integers(1, total - start)), total))
    return found


@given(intervals())
def test_messages_come_back(message: list[tuple[int, int, int]]) -> None:
    data = encoded(message)
    bits = sum(math.log2(total / size) for _, size, total in message)
    assert len(data) <= bits / 8 + 1 + 1e-3 * len(message)
    assert not data.endswith(b"\0")
    decoder = Decoder(data)
    for start, size, total in message:
        assert start <= decoder.target(total) < start + size
        decoder.take(start, size)
    decoder.finish()
    # Bytes more belong to no symbol.
    for more in (b"\0", b"\0" * 10 + b"\1"):
        decoder = Decoder(data + more)
        with pytest.raises(ValueError, match=r"no symbol has this code|after the last symbol"):
            followed(decoder, message)


def followed(decoder: Decoder, message: list[tuple[int, int, int]]) -> None:
    for start, size, total in message:
        if not start <= decoder.target(total) < start + size:
            raise ValueError("no symbol has this code")
        decoder.take(start, size)
    decoder.finish()


def test_carries_run_through_bytes_of_255() -> None:
    # The top of the interval, again and again, and then the end of a narrow one.
    message = [((1 << 28) - 1, 1, 1 << 28)] * 20 + [(0, 1, 1 << 28)] + [(255, 1, 256)] * 20
    decoder = Decoder(encoded(message))
    for start, size, total in message:
        assert start <= decoder.target(total) < start + size
        decoder.take(start, size)


def straddling(n: int) -> list[tuple[int, int, int]]:
    """Return symbols of whose intervals each contains the number 0.5, whose code is one byte."""
    rng = np.random.default_rng(0)
    decoder, message = Decoder(b"\x80"), []
    for total in rng.integers(2, 1000, n).tolist():
        target = decoder.target(total)
        message.append((target, 1, total))
        decoder.take(target, 1)
    return message


def test_codes_end_where_symbols_need_many_zeros_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    message = straddling(10)
    assert encoded(message) == b"\x80"
    followed(Decoder(b"\x80"), message)
    with pytest.raises(ValueError, match="the code ends before its last symbol"):
        straddling(100)
    with monkeypatch.context() as patch:
        patch.setattr(_range_coder, "_MOST_ZEROS", 1000)
        long = straddling(100)
        assert encoded(long) == b"\x80"
        # A symbol that begins with that number, after which all symbols are first ones.
        decoder = Decoder(b"\x80")
        for start, size, total in long:
            assert decoder.target(total) == start
            decoder.take(start, size)
        totals = np.arange(1, 1 << 28, 97)
        total = int(totals[decoder._offset % (decoder._width // totals) == 0][-1])
        last = (decoder.target(total), 1, total)
        decoder.take(last[0], 1)
        assert decoder.is_at_zeros
    # Symbols that were chosen to need that many zeros come back from longer codes.
    for rest in ([], [last], [last, *[(0, 1, 1000)] * 100]):
        data = encoded([*long, *rest])
        assert len(data) > 50
        followed(Decoder(data), [*long, *rest])


def test_first_symbols_have_codes_of_zeros() -> None:
    message = [(3, 1, 8), *[(0, 1, 1 << 20)] * 1000]
    data = encoded(message)
    assert len(data) == 1
    decoder = Decoder(data)
    followed(decoder, message)
    assert decoder.is_at_zeros
    assert not Decoder(data).is_at_zeros


def test_altered_codes_are_noticed_or_decode_to_something() -> None:
    rng = np.random.default_rng(0)
    n_noticed = 0
    for _ in range(200):
        decoder = Decoder(rng.bytes(20))
        try:
            for _ in range(25):
                target = decoder.target(1000)
                decoder.take(target, 1)
        except ValueError:
            n_noticed += 1
    assert n_noticed < 200
    with pytest.raises(ValueError, match="no symbol has this code"):
        Decoder(b"\xff" * 6).target(1000)
