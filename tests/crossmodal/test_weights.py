"""Weights of the benchmark's network are read by an unpickler that refuses everything but tensors."""

from __future__ import annotations

import collections
import os
import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PIL", reason="the benchmark reads photographs")
efficientnet = pytest.importorskip("efficientnet")


class Evil:
    """An object whose pickle calls a function."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


def file_of(content: Any) -> bytes:
    """Return a file in the old format of torch: a magic number, the version, sizes of types, and tensors."""
    return b"".join(pickle.dumps(one, 2) for one in (0x1950A86A20F9469CFC6C, 1001, {}, content, []))


def test_what_is_no_tensor_is_refused() -> None:
    for evil in (Evil(os.system, "true"), Evil(eval, "1"), Evil(np.array, [1])):
        content = collections.OrderedDict(weight=evil)
        with pytest.raises(pickle.UnpicklingError, match="is refused"):
            efficientnet.read(file_of(content))


def test_tensors_have_their_strides_and_stay_within_their_storage() -> None:
    storage = np.arange(12, dtype=np.float32)
    assert np.array_equal(efficientnet._strided(storage, 0, (4, 3), (1, 4)), storage.reshape(3, 4).T)
    assert np.array_equal(efficientnet._strided(storage, 2, (2,), (3,)), [2, 5])
    assert efficientnet._strided(storage, 5, (), ()) == 5
    for offset, shape, strides in [(0, (4, 4), (4, 1)), (-1, (2,), (1,)), (12, (), ()), (3, (2,), (-1,))]:
        with pytest.raises(ValueError, match="not within its storage"):
            efficientnet._strided(storage, offset, shape, strides)
