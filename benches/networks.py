"""Accuracy of binary networks on real data beside their float twins: a table, a record of it and pictures.

Trainings take hours, so each is written down as it ends, and one that is in the record already is not
repeated. Names of networks or data as arguments choose what to train.
"""

import itertools
import os
import sys
import time
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import records
from fastcodes import _native, nn
from fastcodes.cli.peers import Array
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("FASTCODES_DATA", ROOT.parent / "shared" / "data"))
SEEDS = (0, 1, 2)
TEMPERATURE, TEACHING = 4.0, 0.7


class Variant(NamedTuple):
    """How weights and activations become bits; floats if they do not."""

    name: str
    weights: str = ""
    weight_estimator: str = "clipped"
    activation_estimator: str = "straight-through"
    taught: bool = False
    """By the float twin of the same seed."""


FLOAT = Variant("float twin")
PLAIN = Variant("straight-through", "sign")
VARIANTS = (
    FLOAT,
    PLAIN,
    Variant("XNOR-Net scale", "xnor"),
    Variant("IR-Net", "libra", "error-decay", "error-decay"),
    Variant("straight-through + distillation", "sign", taught=True),
    Variant("IR-Net + distillation", "libra", "error-decay", "error-decay", taught=True),
)


class Network(NamedTuple):
    """An architecture, and how it is trained."""

    name: str
    data: str
    layers: Callable[[Variant], list[Any]]
    epochs: int
    batch_size: int
    learning_rate: float
    augment: tuple[Any, ...]
    variants: tuple[Variant, ...]
    needs: float
    published: str = ""


class Data(NamedTuple):
    """Images of bytes and their labels."""

    train: Array
    labels: Array
    test: Array
    test_labels: Array


def dense(units: int, variant: Variant) -> Any:
    """Give a product with a matrix."""
    if not variant.weights:
        return nn.Dense(units, use_bias=False)
    return nn.BinaryDense(units, weights=variant.weights, estimator=variant.weight_estimator)


def conv(filters: int, kernel: int, variant: Variant) -> Any:
    """Give a convolution without padding."""
    if not variant.weights:
        return nn.Conv2D(filters, kernel, use_bias=False)
    return nn.BinaryConv2D(filters, kernel, weights=variant.weights, estimator=variant.weight_estimator)


def activation(variant: Variant) -> list[Any]:
    """Give what follows a product and its normalisation."""
    if not variant.weights:
        return [nn.HardTanh()]
    # What decays has a slope everywhere at first: its authors limit it by a HardTanh.
    limit = [nn.HardTanh()] if variant.activation_estimator == "error-decay" else []
    return [*limit, nn.Sign(variant.activation_estimator)]


def mlp(width: int) -> Callable[[Variant], list[Any]]:
    """Give three hidden layers, all of bits."""

    def layers(variant: Variant) -> list[Any]:
        made: list[Any] = [nn.Flatten()]
        for _ in range(3):
            made += [dense(width, variant), nn.BatchNorm(), *activation(variant)]
        return [*made, dense(10, variant), nn.BatchNorm()]

    return layers


def convolutional(
    stages: tuple[tuple[int, int, bool], ...], units: tuple[int, ...]
) -> Callable[[Variant], list[Any]]:
    """Give convolutions - filters, kernel, whether a maximum of 2 x 2 follows - and then hidden layers."""

    def layers(variant: Variant) -> list[Any]:
        made: list[Any] = []
        for filters, kernel, is_pooled in stages:
            made += [conv(filters, kernel, variant)]
            made += [nn.MaxPool2D(2)] if is_pooled else []
            made += [nn.BatchNorm(), *activation(variant)]
        made += [nn.Flatten()]
        for width in units:
            made += [dense(width, variant), nn.BatchNorm(), *activation(variant)]
        return [*made, dense(10, variant), nn.BatchNorm()]

    return layers


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


@cache
def mnist() -> Data:
    """Read the digits, as they are split."""
    with np.load(DATA / "mnist.npz") as file:
        return Data(file["train_x"][..., None], file["train_y"], file["test_x"][..., None], file["test_y"])


@cache
def cifar() -> Data:
    """Decode the photographs, as they are split."""
    with np.load(DATA / "cifar10_full_jpegq75.npz") as file:

        def decoded(part: str) -> Array:
            data, offsets = file[f"{part}_jpeg"].tobytes(), file[f"{part}_off"]
            images = [Image.open(BytesIO(data[i:j])) for i, j in itertools.pairwise(offsets)]
            return np.stack([np.asarray(image.convert("RGB")) for image in images])

        return Data(decoded("train"), file["train_y"], decoded("test"), file["test_y"])


READERS = {"MNIST": mnist, "CIFAR-10 (JPEG copy)": cifar}
HEADINGS = [
    "data",
    "network",
    "variant",
    "test accuracy",
    "spread",
    "seeds",
    "epochs",
    "each",
    "on",
    "bytes",
    "packed",
]
PROMISE_HEADINGS = ["promise", "at least", "best variant", "met"]


def main(names: list[str]) -> None:
    """Train what is missing, and write down each training as it ends."""
    record = records.facts()
    path = records.RECORDS / "networks"
    runs = records.runs(path)
    wanted = [n for n in NETWORKS if not names or n.name in names or n.data in names]
    # The first seed of every network, then the others.
    for seed, network in itertools.product(SEEDS, wanted):
        teacher = None
        for variant in network.variants:
            key = (network.data, network.name, variant.name, seed)
            has_to_teach = variant == FLOAT and any(
                other.taught and (*key[:2], other.name, seed) not in runs for other in network.variants
            )
            if key in runs and not has_to_teach:
                continue
            print(*key, sep=", ", flush=True)
            model, run = train(network, variant, seed, READERS[network.data](), teacher)
            if variant == FLOAT:
                teacher = model
            where = {"date": record["date"], "cpu": record["machine"]["cpu"], "commit": record["commit"]}
            runs[key] = {**run, **where}
            record["runs"] = [{"key": list(key), **run} for key, run in runs.items()]
            records.write(path, record, page(record, runs, path.name))
            draw(runs, path)
    print(page(record, runs, path.name))


def train(
    network: Network, variant: Variant, seed: int, data: Data, teacher: Any
) -> tuple[Any, dict[str, Any]]:
    """Train once; check that the packed network answers as the trained one does."""
    model = nn.Sequential(*network.layers(variant), random_state=seed)
    loss = "cross_entropy"
    if variant.taught:
        loss = nn.Distillation(teacher, TEMPERATURE, TEACHING)
    ends = [time.perf_counter()]

    def note_end(_: nn.Sequential) -> bool:
        ends.append(time.perf_counter())
        return False

    # Convolutions have threads of their own.
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
            raise AssertionError(f"the packed {network.name} answers otherwise than the trained one")
        run["packed"] = packed.nbytes
    return model, run


def augmented(steps: tuple[Any, ...]) -> Any:
    """Give one function for several."""
    if not steps:
        return None

    def apply(batch: Array, rng: np.random.Generator) -> Array:
        for step in steps:
            batch = step(batch, rng)
        return batch

    return apply


Runs = dict[tuple[Any, ...], dict[str, Any]]


def of(runs: Runs, network: Network, variant: Variant) -> list[dict[str, Any]]:
    """Give the trainings that there are."""
    keys = [(network.data, network.name, variant.name, seed) for seed in SEEDS]
    return [runs[key] for key in keys if key in runs]


def page(record: dict[str, Any], runs: Runs, name: str) -> str:
    """Give the record for people."""
    lines, promises = [], []
    for network in NETWORKS:
        means = []
        for variant in network.variants:
            if not (found := of(runs, network, variant)):
                continue
            accuracies = [run["accuracy"] for run in found]
            fastest = min(found, key=lambda run: run["seconds"])
            if variant.weights:
                means.append(np.mean(accuracies))
            lines.append(
                [
                    network.data,
                    network.name,
                    variant.name,
                    f"{np.mean(accuracies):.2%}",
                    f"{np.std(accuracies):.2%}" if len(found) > 1 else "",
                    str(len(found)),
                    str(found[0]["epochs"]),
                    f"{fastest['seconds']:.1f} s",
                    f"{fastest['cpus']} CPU, {fastest['cpu']}",
                    f"{found[0]['bytes']:,}",
                    f"{found[0]['packed']:,}" if variant.weights else "",
                ]
            )
        if means:
            met = "yes" if max(means) >= network.needs else "NO"
            what = f"{network.data}, {network.name}" + (
                f"; published {network.published}" if network.published else ""
            )
            promises.append([what, f"{network.needs:.1%}", f"{max(means):.2%}", met])
    dates = sorted(run["date"] for run in runs.values())
    return f"""# Binary networks, trained from {dates[0]} to {dates[-1]}

The commit of each training is in the JSON file. The last one:

{records.facts_as_list(record)}
Weights and activations of one bit, the first layer seeing bytes; "float twin" is the same network with
floats and HardTanh. Accuracy on the test images after the last epoch, which no choice depended on: the mean
of so many seeds, and their standard deviation. "each" is the time of the fastest epoch, validation included;
other work may have run beside it. Adam with a cosine schedule; distillation from the float twin with
temperature {TEMPERATURE:g} and weight {TEACHING:g}. Every packed network gave the answers of the trained one
for all test images. CIFAR-10 is a copy of JPEG images of quality 75. Published: networks of the same shape,
by Brevitas.

![Test accuracy by epoch]({name}.png)

{records.table(HEADINGS, lines)}

{records.table(PROMISE_HEADINGS, promises)}
"""


def draw(runs: Runs, path: Path) -> None:
    """Draw the curves of every network, the mean of its seeds."""
    networks = [network for network in NETWORKS if any(of(runs, network, one) for one in network.variants)]
    figure = Figure(figsize=(6 * len(networks), 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    for network, axes in zip(networks, figure.subplots(1, len(networks), squeeze=False)[0], strict=True):
        lowest = 1.0
        for variant in network.variants:
            if found := of(runs, network, variant):
                curve = np.mean([run["curve"] for run in found], axis=0)
                axes.plot(
                    np.arange(1, len(curve) + 1),
                    100 * curve,
                    label=variant.name,
                    color=f"C{VARIANTS.index(variant)}",
                    ls="-" if variant.weights else "--",
                )
                lowest = min(lowest, np.median(curve) - 0.02)
        axes.axhline(100 * network.needs, color="gray", lw=0.8, ls=":", label="promised")
        axes.set(
            title=f"{network.data}, {network.name}",
            xlabel="epoch",
            ylabel="test accuracy (%)",
            ylim=(100 * lowest, None),
        )
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="lower right")
    figure.savefig(path.with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main(sys.argv[1:])
