"""Right arguments of every public class with state, and wrong values of each of their parameters by name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fastcodes import adc, hashing, index, quantization

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 8)).astype(np.float32)
Y = np.arange(60) % 3
NAN = np.where(np.arange(8) == 3, np.nan, X)
SETS = [["a", "b", "c"], ["b", "c"], ["d"]] * 2
FOLDER = tempfile.mkdtemp()

INTEGERS = [1.5, "3", [3]]
NATURAL = [*INTEGERS, -1]
POSITIVE = [*NATURAL, 0]
REALS = ["0.5", float("nan"), -1.0]
OPTIONS = ["no such option", 3]
SAMPLES = ["X", X.astype(object), NAN, X[None], X[:, :5]]
CODES = ["codes", X, X.astype(object), np.zeros((4, 99), np.uint8), np.zeros((4, 8, 2), np.uint8)]
THREADS = [0, 1.5, "2"]
PATHS = [os.path.join(FOLDER, "no", "such", "folder", "file")]

# What a parameter of this name refuses wherever it occurs; a case may replace it.
WRONG: dict[str, list[Any]] = {
    "X": SAMPLES,
    "queries": SAMPLES,
    "codes": CODES,
    "k": NATURAL,
    "mask": [3, "all", np.ones(59, bool), np.array([60]), np.array([-1]), np.ones(60)],
    "ids": ["0", 0.5, np.array([0.5]), [10**6], [-1]],
    "radius": ["1", float("nan")],
    "rerank": ["X", X.astype(object), X[:5], X[:, :5]],
    "oversample": ["2", 0.5, float("nan"), None],
    "threads": THREADS,
    "path": PATHS,
    "metric": OPTIONS,
    "random_state": [-1, "0", 0.5],
    "n_bits": POSITIVE,
    "n_probes": POSITIVE,
    "n_tables": POSITIVE,
    "max_iter": POSITIVE,
    "max_samples": POSITIVE,
    "n_init": POSITIVE,
    "n_codewords": [*POSITIVE, 257],
    "n_clusters": POSITIVE,
    "n_subspaces": [*POSITIVE, 3],
    "init": OPTIONS,
    "kind": OPTIONS,
    "unit": OPTIONS,
    "projection": OPTIONS,
    "solver": OPTIONS,
    "epochs": POSITIVE,
    "batch_size": POSITIVE,
    "learning_rate": [*REALS, 0.0],
    "dropout": [*REALS, 1.0],
    "loss": OPTIONS,
    "weights": OPTIONS,
    "estimator": OPTIONS,
    "units": POSITIVE,
    "filters": POSITIVE,
}
# Any value is right: ignored, taken for true or false, or handed on.
UNCHECKED = {"deep", "params", "verbose", "y", "mmap"}


@dataclass
class Case:
    """A class with right arguments; parameters of the constructor count once `use` was called."""

    cls: type
    params: dict[str, Any] = field(default_factory=dict)
    use: Callable[[Any], Any] = lambda instance: None
    methods: dict[str, dict[str, Any]] = field(default_factory=dict)
    wrong: dict[str, list[Any]] = field(default_factory=dict)
    args: tuple[Any, ...] = ()
    # Methods that do not apply, and parameters (``method.name``) that errors call something else.
    skipped: frozenset[str] = frozenset()


def fitted(model: Any) -> Any:
    return model.fit(X, Y)


def saved(instance: Any, name: str) -> str:
    path = os.path.join(FOLDER, name)
    instance.save(path)
    return path


# Right arguments of methods by name; a function makes them from the instance.
RIGHT: dict[str, Any] = {
    "X": X,
    "y": Y,
    "queries": X[:3],
    "k": 3,
    "mask": None,
    "ids": None,
    "radius": 1.0,
    "rerank": None,
    "oversample": 4,
    "threads": 1,
    "deep": True,
    "params": {},
    "codes": lambda instance: instance.encode(X[:4]),
    "path": lambda instance: saved(instance, "model.safetensors"),
    "mmap": True,
}
# Names of methods, and methods whose parameters have other right values in some classes.
BITS = {"n_bits": 4}


def quantizer(cls: type, **params: Any) -> Case:
    return Case(cls, {**params, "max_iter": 2, "random_state": 0}, fitted)


def hasher(cls: type, **params: Any) -> Case:
    return Case(cls, {**BITS, **params}, fitted)


PACKED = {"X": np.zeros((4, 2), np.uint8), "codes": np.zeros((4, 2), np.uint8)}
NOT_PACKED = [X, np.zeros(2, np.uint8), np.zeros((4, 3), np.uint8), np.full((4, 2), 255, np.uint8), "X"]
# `Bits` ignores what it is fitted to.
PACKED_WRONG = {"encode.X": NOT_PACKED, "codes": NOT_PACKED, "X": NOT_PACKED}


def index_cases() -> dict[type, Case]:
    """Return a case of every index, with 60 rows."""
    of_ids = {"remove": {"ids": [1]}, "reconstruct": {"ids": [1, 0]}}
    codes = {"add_codes": {"codes": lambda filled: filled.codes[:4]}}
    wrong: dict[str, list[Any]] = {
        "oversample": ["2", 0.5, float("nan")],
        "rerank_metric": OPTIONS,
        "codec": [X, "codec", hashing.RandomHyperplanes],
        "add.ids": ["0", 0.5, [0.5] * 60, [0] * 60, range(-1, 59), range(59)],
        "add_codes.ids": ["0", 0.5, [0.5] * 4, [0, 100, 101, 102], range(-1, 3), range(59)],
        "mmap": [],
    }
    rows = {"ids": lambda filled: np.arange(100, 160)}
    quantizer = quantization.ProductQuantizer(4, 3, max_iter=2, random_state=0).fit(X)
    hyperplanes = hashing.RandomHyperplanes(n_bits=16).fit(X)
    radius = {"radius_search": {"radius": 3}}
    of_sets = {
        "add": {"X": SETS * 10, **rows},
        "search": {"queries": SETS},
        "radius_search": {"queries": SETS, "radius": 0.5},
        "query": {"sets": SETS},
        "distances": {"i": [0, 1], "j": [2, 3]},
        "remove": {"ids": [1]},
        **codes,
    }
    not_ids = ["0", 0.5, [10**6, 0], [-1, 0], [0]]
    not_sets = ["text", 3]
    minhash_wrong = wrong | {
        "codec": [X, "codec", hyperplanes],
        "threshold": ["0.5", float("nan"), -1.0, 2.0],
        "n_bands": POSITIVE,
        "n_rows": POSITIVE,
        "sets": not_sets,
        "rerank": [SETS[:2], 3, {}],
        "verify": [SETS[:2], 3, {}],
        "i": not_ids,
        "j": not_ids,
        "radius": ["1", float("nan")],
    }
    return {
        index.Index: Case(
            index.Index,
            {"codec": quantizer},
            lambda made: made.add(X),
            {**of_ids, **codes, "add": rows},
            wrong,
        ),
        index.FlatIndex: Case(
            index.FlatIndex,
            {"codec": quantizer},
            lambda made: made.add(X),
            {**of_ids, **codes, "add": rows},
            wrong,
        ),
        index.LSHIndex: Case(
            index.LSHIndex,
            {"codec": hyperplanes, "n_tables": 4},
            lambda made: made.add(X),
            {"remove": {"ids": [1]}, **codes, **radius, "add": rows},
            wrong,
            skipped=frozenset({"reconstruct"}),
        ),
        index.MinHashIndex: Case(
            index.MinHashIndex,
            {"codec": hashing.MinHash(16).fit(), "n_bands": 4, "n_rows": 2},
            lambda made: made.add(SETS * 10),
            of_sets,
            minhash_wrong,
            skipped=frozenset({"reconstruct", "add.X", "search.queries", "radius_search.queries"}),
        ),
    }


PARTS = (np.arange(60 * 8) % 16).astype(np.uint8).reshape(60, 8)

CASES: dict[str, Case] = {
    "adc.PackedCodes": Case(
        adc.PackedCodes,
        {"codes": PARTS, "n_codewords": 16},
        methods={
            "append": {"codes": PARTS},
            "remove": {"mask": np.arange(3)},
            "take": {"ids": np.arange(3)},
            "unpack": {"start": 1, "stop": None},
        },
        wrong={
            "codes": ["codes", X, PARTS.astype(np.int64), PARTS[None], PARTS * 2],
            "append.codes": ["codes", X, PARTS.astype(np.int64), PARTS[None], PARTS * 2, PARTS[:, :7]],
            "n_codewords": [1.5, "16", 17],
            "ids": ["0", 0.5, np.array([0.5]), np.array([60]), np.array([-1])],
            "start": ["0", 0.5],
            "stop": ["0", 0.5],
        },
    ),
    "quantization.KMeans": quantizer(quantization.KMeans, n_clusters=3),
    "quantization.VectorQuantizer": quantizer(quantization.VectorQuantizer, n_codewords=3),
    "quantization.ProductQuantizer": quantizer(quantization.ProductQuantizer, n_subspaces=4, n_codewords=3),
    "quantization.OptimizedProductQuantizer": quantizer(
        quantization.OptimizedProductQuantizer, n_subspaces=4, n_codewords=3
    ),
    "quantization.ScalarQuantizer": quantizer(quantization.ScalarQuantizer, n_bits=4),
    "hashing.RandomHyperplanes": hasher(hashing.RandomHyperplanes),
    "hashing.RandomProjection": Case(hashing.RandomProjection, {"n_components": 4}, fitted),
    "hashing.PCAHashing": hasher(hashing.PCAHashing),
    "hashing.ITQ": hasher(hashing.ITQ, max_iter=2),
    "hashing.CCAITQ": hasher(hashing.CCAITQ, n_bits=2, max_iter=2),
    "hashing.SpectralHashing": hasher(hashing.SpectralHashing),
    "hashing.LocalityPreservingHashing": hasher(hashing.LocalityPreservingHashing, n_anchors=10),
    "hashing.SupervisedDiscreteHashing": hasher(hashing.SupervisedDiscreteHashing, n_anchors=10, max_iter=1),
    "hashing.DeepHashing": hasher(hashing.DeepHashing, hidden=(8,), epochs=1),
    "hashing.Bits": Case(
        hashing.Bits,
        {"n_bits": 13},
        lambda model: model.fit(),
        {"encode": PACKED, "decode": PACKED},
        PACKED_WRONG,
        (),
        frozenset({"fit.X", "set_params"}),
    ),
    **{f"index.{cls.__name__}": case for cls, case in index_cases().items()},
}
