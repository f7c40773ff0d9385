"""The record of `networks.py`: its page and its picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import records
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Run = dict[str, Any]
"""One training: accuracy, curve, seconds, epochs, bytes, and when and where it ran."""


class Group(NamedTuple):
    """All trainings of one variant of a network, with different seeds."""

    variant: str
    is_binary: bool
    runs: list[Run]


class Section(NamedTuple):
    """The results of one network."""

    data: str
    network: str
    needs: float
    published: str
    groups: Sequence[Group]


# --- the page -----------------------------------------------------------------------------------------------


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
ABOUT = """\
Weights and activations of one bit, the first layer on bytes; "float twin" is the same network with floats and
HardTanh. Test accuracy is that after the last epoch, on images that no choice depended on: the mean over
seeds, and the standard deviation. "each" is the time of the fastest epoch, validation included; other work
may have run at the same time. Adam with a cosine schedule; distillation from the float twin with temperature
{temperature:g} and weight {weight:g}. Every packed network predicts the classes of the trained one for all
test images. CIFAR-10 is a copy of JPEG images of quality 75. Published: networks of the same shape, by
Brevitas."""


def page_of(record: dict[str, Any], name: str, sections: Sequence[Section], figures: dict[str, float]) -> str:
    """Return the page; `figures` are the numbers that its text mentions."""
    lines = [line_of(section, group) for section in sections for group in section.groups]
    promises = [line for section in sections for line in promise_lines(section)]
    dates = sorted(run["date"] for section in sections for group in section.groups for run in group.runs)
    return (
        f"# Binary networks, trained from {dates[0]} to {dates[-1]}\n\n"
        f"The commit of each training is in the JSON file. The last one:\n\n{records.facts_as_list(record)}\n"
        f"{ABOUT.format(**figures)}\n\n![Test accuracy by epoch]({name}.png)\n\n"
        f"{records.table(HEADINGS, lines)}\n\n{records.table(PROMISE_HEADINGS, promises)}\n"
    )


def line_of(section: Section, group: Group) -> list[str]:
    """Return the line of one variant in the table."""
    runs = group.runs
    accuracies = [run["accuracy"] for run in runs]
    fastest = min(runs, key=lambda run: run["seconds"])
    return [
        section.data,
        section.network,
        group.variant,
        f"{np.mean(accuracies):.2%}",
        f"{np.std(accuracies):.2%}" if len(runs) > 1 else "",
        str(len(runs)),
        str(runs[0]["epochs"]),
        f"{fastest['seconds']:.1f} s",
        f"{fastest['cpus']} CPU, {fastest['cpu']}",
        f"{runs[0]['bytes']:,}",
        f"{runs[0]['packed']:,}" if group.is_binary else "",
    ]


def promise_lines(section: Section) -> list[list[str]]:
    """Return the promise on the best binary variant, if there is one."""
    means = [np.mean([run["accuracy"] for run in group.runs]) for group in section.groups if group.is_binary]
    if not means:
        return []
    what = f"{section.data}, {section.network}"
    what += f"; published {section.published}" if section.published else ""
    met = "yes" if max(means) >= section.needs else "NO"
    return [[what, f"{section.needs:.1%}", f"{max(means):.2%}", met]]


# --- the picture --------------------------------------------------------------------------------------------


def draw(path: Path, sections: Sequence[Section], colours: dict[str, str]) -> None:
    """Draw the accuracy of each network by epoch, as the mean over seeds."""
    figure = Figure(figsize=(6 * len(sections), 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    for section, axes in zip(sections, figure.subplots(1, len(sections), squeeze=False)[0], strict=True):
        lowest = 1.0
        for group in section.groups:
            curve = np.mean([run["curve"] for run in group.runs], axis=0)
            axes.plot(
                np.arange(1, len(curve) + 1),
                100 * curve,
                label=group.variant,
                color=colours[group.variant],
                ls="-" if group.is_binary else "--",
            )
            lowest = min(lowest, np.median(curve) - 0.02)
        axes.axhline(100 * section.needs, color="gray", lw=0.8, ls=":", label="promised")
        axes.set(
            title=f"{section.data}, {section.network}",
            xlabel="epoch",
            ylabel="test accuracy (%)",
            ylim=(100 * lowest, None),
        )
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="lower right")
    figure.savefig(path.with_suffix(".png"), dpi=110)
