"""Fingerprints from and to RDKit, and its similarities to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes import bits, jaccard
from fastcodes.interop.rdkit import from_rdkit, tanimoto, to_rdkit, tversky
from helpers import Array

DataStructs = pytest.importorskip("rdkit.DataStructs", reason="compares with RDKit, which is not installed")
SMILES = (
    "CCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C", "C1CCCCC1N", "CCN(CC)CC",
    "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "OCC1OC(O)C(O)C(O)C1O", "c1ccc2ccccc2c1", "CCCCCCCC(=O)O", "C", "N",
)  # fmt: skip


def vectors(is_set: Array, kind: str = "ExplicitBitVect") -> list[Any]:
    made = [getattr(DataStructs, kind)(is_set.shape[1]) for _ in is_set]
    for vector, row in zip(made, is_set, strict=True):
        vector.SetBitsFromList(np.flatnonzero(row).tolist())
    return made


def some_bits(n: int, n_bits: int) -> Array:
    is_set = np.random.default_rng(n_bits).random((n, n_bits)) < 0.2
    is_set[n // 2] = False
    is_set[n // 3] = True
    return is_set


@pytest.mark.parametrize("n_bits", [1, 7, 8, 9, 64, 167, 1024, 2048])
@pytest.mark.parametrize("kind", ["ExplicitBitVect", "SparseBitVect"])
def test_codes_are_packed_bits_and_back(n_bits: int, kind: str) -> None:
    is_set = some_bits(20, n_bits)
    made = vectors(is_set, kind)
    codes = from_rdkit(made)
    assert np.array_equal(codes, np.packbits(is_set, axis=1))
    assert np.array_equal(from_rdkit(tuple(made)), codes)
    assert np.array_equal(from_rdkit(made[3]), codes[3])
    back = to_rdkit(codes, n_bits)
    assert [vector.GetNumBits() for vector in back] == [n_bits] * 20
    assert [list(vector.GetOnBits()) for vector in back] == [list(vector.GetOnBits()) for vector in made]
    assert np.array_equal(bits.unpack(from_rdkit(to_rdkit(codes)), n_bits), is_set)
    assert to_rdkit(codes[3], n_bits)[0] == back[3]


@pytest.mark.parametrize("n_bits", [8, 167, 2048])
@pytest.mark.parametrize(
    "weights", [(1, 1), (0.5, 0.5), (1.0, 0.0), (0.0, 1.0), (0.2, 0.7), (0.0, 0.0), (0.9, 0.4)]
)
def test_similarities_are_those_of_rdkit_to_the_bit(n_bits: int, weights: tuple[float, float]) -> None:
    made = vectors(some_bits(30, n_bits))
    codes = from_rdkit(made)
    expected = np.array([DataStructs.BulkTverskySimilarity(one, made, *weights) for one in made])
    found = tversky(made, made, alpha=weights[0], beta=weights[1])
    assert found.dtype == np.float64
    assert np.array_equal(found, expected)
    assert np.array_equal(tversky(codes[4], made, alpha=weights[0], beta=weights[1], threads=1), expected[4])
    if weights == (1, 1):
        expected = np.array([DataStructs.BulkTanimotoSimilarity(one, made) for one in made])
        assert np.array_equal(tanimoto(made, codes), expected)
        assert np.array_equal(tanimoto(made[5], made), expected[5])


def test_columns_of_pandas_hold_fingerprints() -> None:
    pandas = pytest.importorskip("pandas", reason="takes a column of pandas")
    made = vectors(some_bits(12, 167))
    column = pandas.DataFrame({"fp": made})["fp"]
    assert np.array_equal(from_rdkit(column), from_rdkit(made))
    for given in (column, column.to_numpy()):
        assert np.array_equal(tanimoto(given, made), tanimoto(made, made))
        assert np.array_equal(
            tversky(made[3], given, alpha=0.2, beta=0.7), tversky(made[3], made, alpha=0.2, beta=0.7)
        )
    with pytest.raises(ValueError, match="queries have 168 bits, but fingerprints have 167"):
        tanimoto(vectors(some_bits(2, 168)), column)
    with pytest.raises(TypeError, match=r"fingerprints must be a bit vector of RDKit .*None in place 2"):
        tanimoto(made, pandas.Series([made[0], made[1], None]))


def test_searches_find_what_rdkit_finds_nearest() -> None:
    generators = pytest.importorskip(
        "rdkit.Chem.rdFingerprintGenerator", reason="makes fingerprints by RDKit"
    )
    chem = pytest.importorskip("rdkit.Chem", reason="makes fingerprints by RDKit")
    generator = generators.GetMorganGenerator(radius=2, fpSize=2048)
    made = [generator.GetFingerprint(chem.MolFromSmiles(smiles)) for smiles in SMILES]
    codes = from_rdkit(made)
    distances, _ = jaccard.knn(codes, codes, 3)
    expected = -np.sort([[-s for s in DataStructs.BulkTanimotoSimilarity(one, made)] for one in made])[:, :3]
    np.testing.assert_allclose(1 - distances, expected, atol=1e-6)


def test_what_is_no_fingerprint_is_named() -> None:
    good = vectors(some_bits(3, 16))
    with pytest.raises(TypeError, match=r"fingerprints must be a bit vector of RDKit .* got None in place 1"):
        from_rdkit([good[0], None])
    with pytest.raises(TypeError, match="generate them by GetFingerprint"):
        from_rdkit([DataStructs.UIntSparseIntVect(16)])
    with pytest.raises(TypeError, match="queries must be a bit vector"):
        tanimoto([None], good)
    with pytest.raises(ValueError, match="fingerprints has 8 bits in place 3, and 16 in place 0"):
        from_rdkit([*good, *vectors(some_bits(3, 8))])
    with pytest.raises(ValueError, match="fingerprints is empty"):
        from_rdkit([])
    with pytest.raises(ValueError, match="fingerprints has 0 bits"):
        from_rdkit(DataStructs.ExplicitBitVect(0))
    with pytest.raises(TypeError, match="fingerprints must be a list or other sequence"):
        from_rdkit("CCO")
    with pytest.raises(ValueError, match="queries have 1 bytes, but fingerprints have 2"):
        tanimoto(vectors(some_bits(3, 8)), good)
    for wrong in (8, 17, -1, 2**70):
        with pytest.raises(ValueError, match="n_bits must be an integer from 9 to 16"):
            to_rdkit(from_rdkit(good), wrong)
    for error, codes in ((TypeError, None), (TypeError, [0.5]), (ValueError, np.zeros((2, 0), np.uint8))):
        with pytest.raises(error, match="codes must"):
            to_rdkit(codes)
    for name in ("alpha", "beta"):
        for wrong in (-1.0, 1.1, float("nan"), float("inf")):
            with pytest.raises(ValueError, match=f"{name} must be a real number"):
                tversky(good, good, **{"alpha": 1.0, "beta": 1.0, name: wrong})


def test_fingerprints_differ_in_bits_or_have_too_many() -> None:
    short, long = DataStructs.ExplicitBitVect(63), DataStructs.ExplicitBitVect(64)
    with pytest.raises(ValueError, match="queries have 63 bits, but fingerprints have 64"):
        tanimoto(short, [long])
    with pytest.raises(ValueError, match="expected 1 to 16777216"):
        from_rdkit(DataStructs.SparseBitVect(2**32 - 1))
