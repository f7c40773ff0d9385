"""Schedules of the learning rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastcodes import nn


def test_schedules() -> None:
    cosine = nn.Cosine(final=0.1)
    assert [cosine(x) for x in (0, 0.5, 1)] == pytest.approx([1, 0.55, 0.1])
    assert cosine(0.25) == pytest.approx(0.1 + 0.9 * (1 + np.cos(np.pi / 4)) / 2)
    step = nn.Step((0.5, 0.75), factor=0.2)
    assert [step(x) for x in (0, 0.49, 0.5, 0.74, 0.75, 1)] == pytest.approx([1, 1, 0.2, 0.2, 0.04, 0.04])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Cosine(final=2), "final must be a real number at least 0 and at most 1; got 2"),
        (lambda: nn.Step([10, 20]), "milestones must be a real number at least 0 and at most 1; got 10"),
        (lambda: nn.Step(factor=0), "factor must be a real number above 0 and at most 1; got 0"),
    ],
)
def test_wrong_settings(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
