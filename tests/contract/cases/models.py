"""Right and wrong arguments of the models of fastcodes.quantization and fastcodes.hashing."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract.class_kit import BOOLEANS, CODES, NATURAL, OPTIONS, POSITIVE, REALS, RNG, SETS, Case, X, fitted
from fastcodes import hashing, quantization

BITS = {"n_bits": 4}
HUGE = 10**30


CODEBOOKS = RNG.standard_normal((4, 3, 2)).astype(np.float32)
ROTATION = np.eye(8, dtype=np.float32)


def quantizer(cls: type, **params: Any) -> Case:
    right = {"from_codebooks": {"codebooks": CODEBOOKS, "rotation": ROTATION, "metric": "l2"}}
    wrong: dict[str, list[Any]] = {
        "codebooks": ["codebooks", CODEBOOKS[0], CODEBOOKS[:, :0], CODEBOOKS * np.nan],
        "rotation": ["rotation", ROTATION[:4], ROTATION * np.nan],
        "n_codebooks": [*POSITIVE, 65],
        "beam_size": [*POSITIVE, HUGE],
        "search_iter": [*NATURAL, HUGE],
        "norm_bits": [1, 7.5, "8", True],
        "ranges": [3, (1, 0), (np.zeros(3), np.ones(3))],
        "penalty": [*REALS, 0.0, 1e7],
    }
    return Case(cls, {**params, "max_iter": 2, "random_state": 0}, fitted, right, wrong)


# Codes of hash functions stand for no vectors.
IGNORED = frozenset({"decode", "decode.threads"})


def hasher(cls: type, wrong: dict[str, list[Any]] | None = None, **params: Any) -> Case:
    return Case(cls, {**BITS, **params}, fitted, wrong=wrong or {}, skipped=IGNORED)


PACKED = {"X": np.zeros((4, 2), np.uint8), "codes": np.zeros((4, 2), np.uint8)}
NOT_PACKED = [X, np.zeros(2, np.uint8), np.zeros((4, 3), np.uint8), np.full((4, 2), 255, np.uint8), "X"]
# `Bits` ignores what it is fitted to.
PACKED_WRONG = {"encode.X": NOT_PACKED, "codes": NOT_PACKED, "X": NOT_PACKED}

ROWS, FACTORS = np.zeros((4, 4), np.uint8), np.zeros((4, 2), np.float32)
RABITQ_CODES = [
    *CODES,
    (ROWS,),
    (ROWS[:, :3], FACTORS),
    (ROWS[:3], FACTORS),
    (ROWS, FACTORS.astype(np.float64)),
    (ROWS, FACTORS * np.nan),
    (ROWS, None),
    ROWS,
]

CASES: dict[str, Case] = {
    "quantization.KMeans": Case(
        quantization.KMeans,
        {"n_clusters": 3, "random_state": 0},
        fitted,
        wrong={"batch_size": [*POSITIVE, HUGE], "tol": REALS},
    ),
    "quantization.VectorQuantizer": quantizer(quantization.VectorQuantizer, n_codewords=3),
    "quantization.ProductQuantizer": quantizer(quantization.ProductQuantizer, n_subspaces=4, n_codewords=3),
    "quantization.OptimizedProductQuantizer": quantizer(
        quantization.OptimizedProductQuantizer, n_subspaces=4, n_codewords=3
    ),
    "quantization.ResidualQuantizer": quantizer(
        quantization.ResidualQuantizer, n_codebooks=2, n_codewords=3, beam_size=2
    ),
    "quantization.AdditiveQuantizer": quantizer(
        quantization.AdditiveQuantizer, n_codebooks=2, n_codewords=3, search_iter=2
    ),
    "quantization.CompositeQuantizer": quantizer(
        quantization.CompositeQuantizer, n_codebooks=2, n_codewords=3, search_iter=2
    ),
    "quantization.ScalarQuantizer": quantizer(quantization.ScalarQuantizer, n_bits=4),
    "quantization.RaBitQuantizer": Case(
        quantization.RaBitQuantizer,
        {"n_bits": 4, "random_state": 0},
        fitted,
        wrong={
            "n_bits": [*POSITIVE, 9, HUGE],
            "rotation": OPTIONS,
            "center": BOOLEANS,
            "calibrate": BOOLEANS,
            "codes": RABITQ_CODES,
            "inverse_transform.X": RABITQ_CODES,
        },
    ),
    "hashing.RandomHyperplanes": Case(hashing.RandomHyperplanes, BITS, fitted, skipped=IGNORED),
    "hashing.RandomProjection": Case(
        hashing.RandomProjection,
        {"n_components": 4},
        fitted,
        wrong={"n_components": [*POSITIVE, HUGE, "many"]},
        skipped=frozenset({".eps"}),  # counts with "auto" only, as in johnson_lindenstrauss_min_dim
    ),
    "hashing.MinHash": Case(
        hashing.MinHash,
        {"n_hashes": 16},
        lambda model: model.fit().encode(SETS),
        {
            "fit_transform": {"X": SETS},
            "transform": {"X": SETS},
            "encode": {"sets": SETS},
            "tokens": {"sets": SETS},
            "shingles": {"texts": ["a b c d"]},
            "band_keys": {"X": SETS, "n_bands": 4, "n_rows": 2},
            "estimate": {"a": lambda model: model.encode(SETS), "b": lambda model: model.encode(SETS)},
        },
        {
            "X": ["text", 3],
            "sets": ["text", 3],
            "texts": ["text", 3],
            "n_hashes": POSITIVE,
            "b_bits": [*POSITIVE, 17],
            "shingle_size": POSITIVE,
            "lowercase": ["yes", 1],
            "one_permutation": ["yes", 1],
            "n_bands": POSITIVE,
            "n_rows": POSITIVE,
            "a": ["codes", np.zeros((2, 16))],
            "b": ["codes", np.zeros((2, 16))],
        },
        skipped=frozenset({"fit.X", "fit.threads", "decode", "get_feature_names_out.input_features"}),
    ),
    "hashing.PCAHashing": hasher(hashing.PCAHashing, {"threshold": OPTIONS}),
    "hashing.ITQ": hasher(hashing.ITQ, max_iter=2),
    "hashing.CCAITQ": hasher(hashing.CCAITQ, {"regularization": REALS}, n_bits=2, max_iter=2),
    "hashing.SpectralHashing": hasher(hashing.SpectralHashing),
    "hashing.LocalityPreservingHashing": hasher(
        hashing.LocalityPreservingHashing,
        {"n_anchors": [*POSITIVE, HUGE], "n_nearest": POSITIVE},
        n_anchors=10,
    ),
    "hashing.SupervisedDiscreteHashing": hasher(
        hashing.SupervisedDiscreteHashing,
        {
            "n_anchors": POSITIVE,
            "sigma": [*REALS, 0.0],
            "classifier_penalty": [*REALS, 0.0],
            "embedding_penalty": REALS,
        },
        n_anchors=10,
        max_iter=1,
    ),
    "hashing.DeepHashing": hasher(
        hashing.DeepHashing,
        {
            "hidden": [(1.5,), ("8",), (0,), (HUGE,), 3.5],
            "margin": [*REALS, 0.0],
            "sharpness": [*REALS, 0.0],
        },
        loss="triplet",
        hidden=(8,),
        epochs=1,
    ),
    "hashing.Bits": Case(
        hashing.Bits,
        {"n_bits": 13},
        lambda model: model.fit(),
        dict.fromkeys(("encode", "decode", "transform", "fit_transform"), PACKED),
        PACKED_WRONG,
        (),
        frozenset({"fit.X", "set_params"}),
    ),
}
