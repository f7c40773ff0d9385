"""Arguments of the methods of PackedCodes, and unusual ones of fastcodes.adc."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contract.cases.adc import CODEBOOKS, PARTS, TABLES
from contract.kit import THREADS, Wrong, X
from fastcodes import adc


@pytest.mark.parametrize("method", ["append", "unpack", "take", "remove"])
@pytest.mark.parametrize("wrong", THREADS, ids=lambda wrong: wrong.label)
def test_the_methods_of_packed_codes_refuse_wrong_threads(method: str, wrong: Wrong) -> None:
    packed = adc.PackedCodes(PARTS)
    arguments = {"append": (PARTS,), "unpack": (), "take": (PARTS[:0, 0],), "remove": (PARTS[:0, 0],)}[method]
    with pytest.raises(wrong.error, match=r"^threads must be an integer") as caught:
        getattr(packed, method)(*arguments, threads=wrong.value)
    assert wrong.given in str(caught.value)
    assert packed.shape == PARTS.shape


@pytest.mark.parametrize("value", [1.0, "1", [1], np.arange(2)], ids=str)
def test_rows_to_unpack_are_integers(value: Any) -> None:
    packed = adc.PackedCodes(PARTS)
    for arguments in ({"start": value}, {"stop": value}):
        with pytest.raises(TypeError, match="integer"):
            packed.unpack(**arguments)


@pytest.mark.parametrize("form", [PARTS, adc.PackedCodes(PARTS), adc.PackedCodes(PARTS, n_codewords=16)])
def test_unusual_arguments_of_adc_that_are_right(form: Any) -> None:
    assert adc.knn(TABLES, form, 0)[0].shape == (5, 0)
    assert adc.knn(TABLES, form, np.uint8(2), threads=2**62)[0].shape == (5, 2)
    assert adc.knn(TABLES[:0], form, 2**20)[0].shape == (0, 2**20)
    distances, indices = adc.knn(TABLES, form, 21, mask=np.zeros(20, bool))
    assert (indices == -1).all()
    assert (distances == np.inf).all()
    assert [found.tolist() for found in adc.radius(TABLES[:0], form, 3)] == [[0], [], []]
    assert [found.tolist() for found in adc.radius(TABLES, form, 100, mask=PARTS[:0, 0])] == [[0] * 6, [], []]
    for radius in (3, np.float16(3), np.array(3), np.int8(3)):
        assert adc.radius(TABLES, form, radius)[0].tolist() == adc.radius(TABLES, form, 3.0)[0].tolist()
    assert adc.scan(TABLES[:0], form).shape == (0, 20)
    assert adc.encode(X[:0], CODEBOOKS).shape == (0, 4)
    assert adc.tables(X[:0], CODEBOOKS, metric="ip").shape == (0, 4, 10)
