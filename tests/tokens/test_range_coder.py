"""The range coder: every message comes back, in about as many bytes as its probabilities allow."""

from __future__ import annotations

import math

import numpy as np
import pytest
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


def test_carries_run_through_bytes_of_255() -> None:
    # The top of the interval, again and again, and then the end of a narrow one.
    message = [((1 << 28) - 1, 1, 1 << 28)] * 20 + [(0, 1, 1 << 28)] + [(255, 1, 256)] * 20
    decoder = Decoder(encoded(message))
    for start, size, total in message:
        assert start <= decoder.target(total) < start + size
        decoder.take(start, size)


def test_altered_codes_are_noticed_or_decode_to_something() -> None:
    rng = np.random.default_rng(0)
    n_noticed = 0
    for _ in range(200):
        decoder = Decoder(rng.bytes(20))
        try:
            for _ in range(50):
                target = decoder.target(1000)
                decoder.take(target, 1)
        except ValueError:
            n_noticed += 1
    assert n_noticed < 200
    with pytest.raises(ValueError, match="no symbol has this code"):
        Decoder(b"\xff" * 6).target(1000)
