"""Right and wrong arguments of the indexes."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from contract.class_kit import BOOLEANS, OPTIONS, POSITIVE, SETS, Case, X
from fastcodes import hashing, index, quantization


def index_cases() -> dict[type, Case]:
    """Return a case of every index, with 60 rows."""
    of_ids = {"remove": {"ids": [1]}, "reconstruct": {"ids": [1, 0]}}
    codes = {
        "add_codes": {"codes": lambda filled: filled.codes[:4]},
        "merge": {"other": copy.deepcopy},
    }
    others = [X, None, index.FlatIndex, index.FlatIndex(hashing.Bits(8))]
    wrong: dict[str, list[Any]] = {
        "oversample": ["2", 0.5, float("nan")],
        "rerank_metric": OPTIONS,
        "n_read": ["all", np.zeros(3), np.zeros(2, np.int64), np.zeros((3, 1), np.int64)],
        "codec": [X, "codec", hashing.RandomHyperplanes],
        "add.ids": ["0", 0.5, [0.5] * 60, [0] * 60, range(-1, 59), range(59)],
        "merge.ids": ["0", 0.5, [0.5] * 60, [0] * 60, range(-1, 59), range(59)],
        "merge.other": others,
        "add_codes.ids": ["0", 0.5, [0.5] * 4, [0, 100, 101, 102], range(-1, 3), range(59)],
    }
    rows = {"ids": lambda filled: np.arange(100, 160)}
    update = {"update": {"ids": [3, 1], "X": X[:2]}}
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
        "update": {"ids": [1], "X": SETS[:1]},
        "search_codes": {"codes": lambda filled: filled.codes[:4]},
        "query_codes": {"codes": lambda filled: filled.codes[0]},
        **codes,
    }
    not_ids = ["0", 0.5, [10**6, 0], [-1, 0], [0]]
    not_sets = ["text", 3, {"a": ["b"]}, np.zeros((4, 16), np.uint32)]
    minhash_wrong = wrong | {
        "codec": [X, "codec", hyperplanes],
        "threshold": ["0.5", float("nan"), -1.0, 2.0],
        "n_bands": POSITIVE,
        "n_rows": POSITIVE,
        "sets": not_sets,
        "add.X": not_sets,
        "update.X": not_sets,
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
            {**of_ids, **update, **codes, "add": rows},
            wrong,
        ),
        index.FlatIndex: Case(
            index.FlatIndex,
            {"codec": quantizer},
            lambda made: made.add(X),
            {**of_ids, **update, **codes, "add": rows},
            wrong,
        ),
        index.IVFIndex: Case(
            index.IVFIndex,
            {"codec": quantization.ProductQuantizer(4, 3, max_iter=2, random_state=0), "n_lists": 3},
            lambda made: made.fit(X).add(X),
            {**of_ids, **update, **codes, "add": rows},
            wrong | {"n_lists": [*POSITIVE, 2**16 + 1], "by_residual": BOOLEANS},
            skipped=frozenset({"fit"}),  # of an index with rows
        ),
        index.LSHIndex: Case(
            index.LSHIndex,
            {"codec": hyperplanes, "n_tables": 4},
            lambda made: made.add(X),
            {"remove": {"ids": [1]}, **update, **codes, **radius, "add": rows},
            wrong,
            skipped=frozenset({"reconstruct"}),
        ),
        index.MultiIndexHashing: Case(
            index.MultiIndexHashing,
            {"codec": hyperplanes},
            lambda made: made.add(X),
            {"remove": {"ids": [1]}, **update, **codes, **radius, "add": rows},
            wrong | {"codec": [*wrong["codec"], 0, 2**24 + 1, 16.0, True], "n_tables": [*POSITIVE, 17]},
            skipped=frozenset({"reconstruct"}),
        ),
        index.MinHashIndex: Case(
            index.MinHashIndex,
            {"codec": hashing.MinHash(16).fit(), "n_bands": 4, "n_rows": 2},
            lambda made: made.add(SETS * 10),
            of_sets,
            minhash_wrong,
            skipped=frozenset({"reconstruct", "search.queries", "radius_search.queries"}),
        ),
    }


CASES: dict[str, Case] = {f"index.{cls.__name__}": case for cls, case in index_cases().items()}
