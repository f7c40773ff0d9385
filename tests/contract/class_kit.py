"""Cases of public classes: right arguments, and wrong values of each parameter by its name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from contract.kit import WithoutRepr

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 8)).astype(np.float32)
Y = np.arange(60) % 3
OBJECTS = np.where(np.arange(8) == 3, None, X.astype(object))
NAN = np.where(np.arange(8) == 3, np.nan, X)
SETS = [["a", "b", "c"], ["b", "c"], ["d"]] * 2
FOLDER = tempfile.mkdtemp()

INTEGERS = [1.5, "3", [3]]
NATURAL = [*INTEGERS, -1]
POSITIVE = [*NATURAL, 0]
REALS = ["0.5", float("nan"), -1.0]
BOOLEANS = ["yes", 1]
OPTIONS = ["no such option", 3]
SAMPLES = ["X", OBJECTS, NAN, X[None], X[:, :5]]
CODES = ["codes", X, X.astype(object), np.zeros((4, 99), np.uint8), np.zeros((4, 8, 2), np.uint8)]
THREADS = [0, 1.5, "2"]
PATHS = [os.path.join(FOLDER, "no", "such", "folder", "file")]

# What a parameter of this name refuses wherever it occurs; a case may replace it.
WRONG: dict[str, list[Any]] = {
    "X": SAMPLES,
    "fit.X": SAMPLES[:-1],  # any number of features
    "fit_transform.X": SAMPLES[:-1],
    "fit_predict.X": SAMPLES[:-1],
    "inverse_transform.X": CODES,
    "queries": SAMPLES,
    "codes": CODES,
    "k": NATURAL,
    "mask": [3, "all", np.ones(59, bool), np.array([60]), np.array([-1]), np.ones(60)],
    "ids": ["0", 0.5, np.array([0.5]), [10**6], [-1]],
    "radius": ["1", float("nan")],
    "rerank": ["X", OBJECTS, X[:5], X[:, :5]],
    "oversample": ["2", 0.5, float("nan"), None],
    "threads": THREADS,
    "path": PATHS,
    "metric": OPTIONS,
    "random_state": [-1, "0", 0.5, WithoutRepr()],
    "n_bits": [*POSITIVE, 10**30],
    "n_probes": POSITIVE,
    "output": OPTIONS,
    "set_output.transform": OPTIONS,
    "input_features": [["a", "b", "c"], 3],
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
    "units": [*POSITIVE, 10**30],
    "filters": [*POSITIVE, 10**30],
    "load.mmap": BOOLEANS,
    "load.verify": BOOLEANS,
}
# Any value is right: ignored, taken for true or false, or handed on.
UNCHECKED = {"deep", "params", "verbose", "y", "use_bias"}


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
    "inverse_transform.X": lambda instance: instance.encode(X[:4]),
    "path": lambda instance: saved(instance, "model.safetensors"),
    "load.mmap": True,
    "load.verify": True,
}
