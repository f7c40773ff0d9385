"""Right and wrong arguments of the classes of fastcodes.nn."""

from __future__ import annotations

from typing import Any

import numpy as np
from contract.class_kit import FOLDER, INTEGERS, OBJECTS, OPTIONS, POSITIVE, REALS, Case, X, Y
from fastcodes import nn

HUGE = 10**30
FRACTIONS = [*REALS, 1.0]
NOT_TUPLES = [[1.5], ["3"], [0], [HUGE], 3.5]
PAIRS = [*POSITIVE, (1, 0), (1, 2, 3)]
NOT_METRICS = ["no such metric", 3, ["loss"]]


def network() -> nn.Sequential:
    layers = [nn.BinaryDense(8), nn.BatchNorm(), nn.Sign(), nn.BinaryDense(3), nn.BatchNorm()]
    return nn.Sequential(*layers, random_state=0)


def trained(model: nn.Sequential) -> nn.Sequential:
    return model.fit(X, Y, epochs=1)


def layer(cls: type, wrong: dict[str, list[Any]] | None = None, **params: Any) -> Case:
    return Case(cls, params, wrong=wrong or {})


METHODS: dict[str, dict[str, Any]] = {
    "build": {"input_shape": (8,), "classes": np.arange(3)},
    "set_weights": {"weights": lambda made: made.get_weights()},
    "train_step": {"x": X, "targets": Y, "loss": nn.CrossEntropy(), "optimizer": lambda made: nn.Adam()},
}
# Batches of training loops are not checked.
BATCHES = frozenset(
    {"train_step.x", "train_step.targets", "train_step.rate", "train_step.progress", "fit.resume"}
)
TRAINING = {
    "X": ["X", OBJECTS, np.full_like(X, np.nan)],
    "x": ["x", OBJECTS, X[:, :5]],
    "loss": OPTIONS,
    "y": [Y[:5], np.arange(60), np.ones((60, 3))],
    "optimizer": ["adam", nn.Adam],
    "schedule": ["cosine", 3],
    "regularizer": ["balance", 3],
    "validation_data": [X, (X, Y[:5]), (X[:, :5], Y)],
    "callbacks": [3, ["stop"]],
    "monitor": NOT_METRICS,
    "augment": ["flip", 3],
    "input_shape": NOT_TUPLES,
    "classes": [3, [2, 1, 0], [[0, 1, 2]], [0, 1]],
    "input_bits": [4, "8"],
    "weights": [3, {"0.weights": np.zeros(3)}, {"no": np.zeros(3)}],
}
CONV = {
    "filters": [*POSITIVE, HUGE],
    "kernel_size": PAIRS,
    "stride": PAIRS,
    "dilation": PAIRS,
    "groups": POSITIVE,
}
CASES: dict[str, Case] = {
    "nn.Dense": layer(nn.Dense, units=4),
    "nn.BinaryDense": layer(nn.BinaryDense, units=4),
    "nn.Conv2D": layer(nn.Conv2D, {**CONV, "padding": ["full", -1, 1.5]}, filters=4, kernel_size=3),
    "nn.BinaryConv2D": layer(
        nn.BinaryConv2D,
        {**CONV, "padding": ["full", -1, 1.5], "pad_value": [2, -2, 0.5]},
        filters=4,
        kernel_size=3,
    ),
    "nn.BatchNorm": layer(nn.BatchNorm, {"momentum": FRACTIONS, "epsilon": [*REALS, 0.0]}),
    "nn.Sign": layer(nn.Sign),
    "nn.Quantize": layer(nn.Quantize, {"n_bits": [*POSITIVE, 1, 9]}, n_bits=4),
    "nn.HardTanh": layer(nn.HardTanh),
    "nn.Dropout": layer(nn.Dropout, {"rate": FRACTIONS}, rate=0.5),
    "nn.MaxPool2D": layer(nn.MaxPool2D, {"size": POSITIVE, "stride": POSITIVE}),
    "nn.Flatten": layer(nn.Flatten),
    "nn.SGD": layer(nn.SGD, {"momentum": FRACTIONS}),
    "nn.Adam": layer(nn.Adam, {"beta1": FRACTIONS, "beta2": FRACTIONS, "epsilon": [*REALS, 0.0]}),
    "nn.Bop": layer(nn.Bop, {"threshold": REALS, "inner": ["adam", nn.Adam]}),
    "nn.CrossEntropy": layer(nn.CrossEntropy),
    "nn.SquaredHinge": layer(nn.SquaredHinge),
    "nn.Balance": layer(nn.Balance, {"weight": [*REALS, 0.0]}),
    "nn.Distillation": Case(
        nn.Distillation,
        {"teacher": trained(network())},
        wrong={"teacher": ["teacher", 3], "temperature": [*REALS, 0.0], "weight": [*REALS, 1.5]},
    ),
    "nn.Cosine": layer(nn.Cosine, {"final": [*REALS, 1.5]}),
    "nn.Step": layer(nn.Step, {"milestones": [(0.5, 2), ("0.5",), None], "factor": [*REALS, 0.0, 1.5]}),
    "nn.EarlyStopping": Case(
        nn.EarlyStopping,
        {"monitor": "loss"},
        lambda stop: network().fit(X, Y, epochs=1, callbacks=[stop]),
        wrong={"patience": POSITIVE, "monitor": NOT_METRICS},
    ),
    "nn.Checkpoint": Case(
        nn.Checkpoint,
        {"path": f"{FOLDER}/checkpoint.safetensors", "monitor": "loss"},
        lambda checkpoint: network().fit(X, Y, epochs=1, callbacks=[checkpoint]),
        wrong={"monitor": NOT_METRICS},
    ),
    "nn.RandomFlip": layer(nn.RandomFlip),
    "nn.RandomShift": layer(nn.RandomShift, {"pixels": POSITIVE, "fill": ["0"]}, pixels=1),
    "nn.Sequential": Case(
        nn.Sequential,
        {"random_state": 0},
        trained,
        {"fit": {"epochs": 1}, **METHODS},
        TRAINING,
        tuple(network().layers),
        BATCHES,
    ),
    "nn.PackedModel": Case(
        nn.PackedModel,
        {
            "steps": trained(network()).compile().steps,
            "input_shape": (8,),
            "takes_pixels": False,
            "classes": np.arange(3),
        },
        wrong={
            "steps": [3, "steps", [], [nn.Sign()]],
            "input_shape": NOT_TUPLES,
            "takes_pixels": ["no", 1],
            "classes": [3, [0, 1, 2], np.eye(3)],
        },
        skipped=frozenset({"from_layers"}),  # which `compile` calls
    ),
    "nn.Residual": Case(
        nn.Residual,
        {"shortcut": ()},
        wrong={"shortcut": [["layer"], [nn.Sign], 3, nn.Sign()]},
        args=(nn.Sign(), nn.BinaryDense(8)),
    ),
    "nn.Network": Case(
        nn.Network,
        {"random_state": 0},
        lambda made: made.build((8,)),
        METHODS,
        TRAINING,
        tuple(network().layers),
        BATCHES,
    ),
    "nn.BinaryMLPClassifier": Case(
        nn.BinaryMLPClassifier,
        {"hidden": (8,), "epochs": 1, "random_state": 0},
        lambda model: model.fit(X, Y),
        wrong={
            "hidden": [(1.5,), ("8",), (0,), (HUGE,), 3.5],
            "activation_bits": [*INTEGERS, 0, 9],
            "y": [Y[:5]],
            "weights": OPTIONS,
        },
    ),
}
