"""Accuracy of binary networks on real data, compared with float twins: a table, a record and pictures.

Training takes hours, so each run is recorded as it ends, and a run that is in the record is not repeated.
Names of networks or data sets as arguments select what to train.
"""

import itertools
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import datasets
import networks_report as report
import numpy as np
import records
from datasets import Images
from fastcodes import _native, nn
from fastcodes._typing import Array
from networks_report import Group, Run, Section
from threadpoolctl import threadpool_limits

SEEDS = (0, 1, 2)
TEMPERATURE, DISTILLATION_WEIGHT = 4.0, 0.7
N_CLASSES = 10
Layers = list[Any]


# --- variants: how weights and activations are binarised ----------------------------------------------------


class Variant(NamedTuple):
    """How weights and activations are binarised; empty `weights` are floats."""

    name: str
    weights: str = ""
    weight_estimator: str = "clipped"
    activation_estimator: str = "straight-through"
    is_distilled: bool = False
    """From the float twin of the same seed."""


FLOAT = Variant("float twin")
PLAIN = Variant("straight-through", "sign")
VARIANTS = (
    FLOAT,
    PLAIN,
    Variant("XNOR-Net scale", "xnor"),
    Variant("IR-Net", "libra", "error-decay", "error-decay"),
    Variant("straight-through + distillation", "sign", is_distilled=True),
    Variant("IR-Net + distillation", "libra", "error-decay", "error-decay", is_distilled=True),
)


def dense(units: int, variant: Variant) -> Any:
    """Return a matrix product."""
    if not variant.weights:
        return nn.Dense(units, use_bias=False)
    return nn.BinaryDense(units, weights=variant.weights, estimator=variant.weight_estimator)


def conv(filters: int, kernel: int, variant: Variant) -> Any:
    """Return a convolution without padding."""
    if not variant.weights:
        return nn.Conv2D(filters, kernel, use_bias=False)
    return nn.BinaryConv2D(filters, kernel, weights=variant.weights, estimator=variant.weight_estimator)


def activation(variant: Variant) -> Layers:
    """Return the layers after a product and its normalisation."""
    if not variant.weights:
        return [nn.HardTanh()]
    # The surrogate gradient of error decay is non-zero everywhere at first: its authors clip by a HardTanh.
    limit = [nn.HardTanh()] if variant.activation_estimator == "error-decay" else []
    return [*limit, nn.Sign(variant.activation_estimator)]


# --- architectures ------------------------------------------------------------------------------------------


def mlp(width: int) -> Callable[[Variant], Layers]:
    """Return three hidden layers."""

    def layers(variant: Variant) -> Layers:
        made: Layers = [nn.Flatten()]
        for _ in range(3):
            made += [dense(width, variant), nn.BatchNorm(), *activation(variant)]
        return [*made, dense(N_CLASSES, variant), nn.BatchNorm()]

    return layers


def convolutional(
    stages: tuple[tuple[int, int, bool], ...], units: tuple[int, ...]
) -> Callable[[Variant], Layers]:
    """Return convolutions (filters, kernel, whether 2 x 2 max pooling follows), then hidden layers."""

    def layers(variant: Variant) -> Layers:
        made: Layers = []
        for filters, kernel, is_pooled in stages:
            made += [conv(filters, kernel, variant)]
            made += [nn.MaxPool2D(2)] if is_pooled else []
            made += [nn.BatchNorm(), *activation(variant)]
        made += [nn.Flatten()]
        for width in units:
            made += [dense(width, variant), nn.BatchNorm(), *activation(variant)]
        return [*made, dense(N_CLASSES, variant), nn.BatchNorm()]

    return layers


class Network(NamedTuple):
    """An architecture, its training, and the promised accuracy."""

    name: str
    data: str
    layers: Callable[[Variant], Layers]
    epochs: int
    batch_size: int
    learning_rate: float
    augment: tuple[Any, ...]
    variants: tuple[Variant, ...]
    needs: float
    published: str = ""


SMALL = convolutional(((32, 5, True), (64, 3, True), (64, 3, False)), (256,))
CNV = convolutional(
    ((64, 3, False), (64, 3, True), (128, 3, False), (128, 3, True), (256, 3, False), (256, 3, False)),
    (512, 512),
)
NETWORKS = (
    Network("3x256", "MNIST", mlp(256), 40, 128, 5e-3, (), VARIANTS, 0.978, "97.81 % (SFC)"),
    Network(
        "3x1024",
        "MNIST",
        mlp(1024),
        40,
        128,
        5e-3,
        (nn.RandomShift(1),),
        VARIANTS,
        0.989,
        "98.88 % (LFC)",
    ),
    Network("conv", "MNIST", SMALL, 12, 128, 3e-3, (nn.RandomShift(1),), VARIANTS, 0.992),
    Network(
        "CNV",
        "CIFAR-10 (JPEG copy)",
        CNV,
        15,
        64,
        3e-3,
        (nn.RandomShift(2), nn.RandomFlip()),
        (FLOAT, PLAIN),
        0.75,
        "84.22 % (CNV, 1000 epochs)",
    ),
)
READERS = {"MNIST": cache(datasets.mnist), "CIFAR-10 (JPEG copy)": cache(datasets.cifar10)}


# --- training -----------------------------------------------------------------------------------------------


Runs = dict[tuple[Any, ...], Run]
"""By data, network, variant and seed."""


def main(names: list[str]) -> None:
    """Train what is missing, and record each run as it ends."""
    record = records.facts()
    path = records.RECORDS / "networks"
    runs: Runs = records.runs(path)
    wanted = [n for n in NETWORKS if not names or n.name in names or n.data in names]
    # The first seed of every network, then the others.
    for seed, network in itertools.product(SEEDS, wanted):
        teacher = None
        for variant in network.variants:
            key = (network.data, network.name, variant.name, seed)
            is_teacher = variant == FLOAT and any(
                other.is_distilled and (*key[:2], other.name, seed) not in runs for other in network.variants
            )
            if key in runs and not is_teacher:
                continue
            print(*key, sep=", ", flush=True)
            model, run = train(network, variant, seed, READERS[network.data](), teacher)
            if variant == FLOAT:
                teacher = model
            where = {"date": record["date"], "cpu": record["machine"]["cpu"], "commit": record["commit"]}
            runs[key] = {**run, **where}
            record["runs"] = [{"key": list(key), **run} for key, run in runs.items()]
            sections = sections_of(runs)
            records.write(path, record, page_of(record, path.name, sections))
            colours = {variant.name: f"C{index}" for index, variant in enumerate(VARIANTS)}
            report.draw(path, sections, colours)
    print(page_of(record, path.name, sections_of(runs)))


def train(
    network: Network, variant: Variant, seed: int, data: Images, teacher: Any
) -> tuple[Any, dict[str, Any]]:
    """Train once, and check that the packed network predicts the same classes."""
    model = nn.Sequential(*network.layers(variant), random_state=seed)
    loss: Any = "cross_entropy"
    if variant.is_distilled:
        loss = nn.Distillation(teacher, temperature=TEMPERATURE, weight=DISTILLATION_WEIGHT)
    ends = [time.perf_counter()]

    def note_end(_: nn.Sequential) -> bool:
        ends.append(time.perf_counter())
        return False

    # Convolutions use threads of their own.
    with threadpool_limits(1 if network.name in ("conv", "CNV") else None):
        model.fit(
            data.train,
            data.labels,
            epochs=network.epochs,
            batch_size=network.batch_size,
            optimizer=nn.Adam(network.learning_rate),
            schedule=nn.Cosine(),
            loss=loss,
            augment=augmented(network.augment),
            validation_data=(data.test, data.test_labels),
            callbacks=[note_end],
        )
    run: dict[str, Any] = {
        "accuracy": model.history_["validation_accuracy"][-1],
        "curve": model.history_["validation_accuracy"],
        "seconds": float(min(np.diff(ends))),
        "epochs": network.epochs,
        "cpus": _native.threads(),
        "bytes": 4 * model.n_parameters,
    }
    if variant.weights:
        packed = model.compile()
        if not np.array_equal(packed.predict(data.test), model.predict(data.test)):
            raise AssertionError(f"the packed {network.name} and the trained one predict different classes")
        run["packed"] = packed.nbytes
    return model, run


def augmented(steps: tuple[Any, ...]) -> Any:
    """Return one function that applies all steps, or None without steps."""
    if not steps:
        return None

    def apply(batch: Array, rng: np.random.Generator) -> Array:
        for step in steps:
            batch = step(batch, rng)
        return batch

    return apply


# --- the record ---------------------------------------------------------------------------------------------


def sections_of(runs: Runs) -> list[Section]:
    """Return the finished runs by network and variant, without those that have none."""
    sections = []
    for network in NETWORKS:
        groups = []
        for variant in network.variants:
            keys = [(network.data, network.name, variant.name, seed) for seed in SEEDS]
            if found := [runs[key] for key in keys if key in runs]:
                groups.append(Group(variant.name, bool(variant.weights), found))
        if groups:
            sections.append(Section(network.data, network.name, network.needs, network.published, groups))
    return sections


def page_of(record: dict[str, Any], name: str, sections: list[Section]) -> str:
    """Return the page of the record."""
    figures = {"temperature": TEMPERATURE, "weight": DISTILLATION_WEIGHT}
    return report.page_of(record, name, sections, figures)


if __name__ == "__main__":
    main(sys.argv[1:])
