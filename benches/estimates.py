"""What the estimates of RaBitQ promise, on real data: no bias, errors within a bound; a record and a picture.

Every pair of a row and a query is estimated under many random rotations.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import records
import tradeoff
from fastcodes import rabitq
from fastcodes._typing import Array
from fastcodes.index import FlatIndex
from fastcodes.quantization import RaBitQuantizer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from records import Promise
from tradeoff_contestants import bits_text

N_ROWS = 1000
N_QUERIES = 20
N_ROTATIONS = 40
N_BITS = (1, 2, 4, 8)
DEVIATIONS = 1.9
"""Of the bound, in standard deviations: 94.3 % of the values of a Gaussian are within."""
COVERED = 0.94
LARGEST_BIAS = 1.3
"""Root mean square of the mean errors, in standard errors; 1 without bias."""
COLOURS = {1: "#d55e00", 2: "#e69f00", 4: "#0072b2", 8: "#000000"}
HEADINGS = ["data", "bits", "mean error", "root mean square", "bias, in standard errors", "within the bound"]
ABOUT = f"""\
Squared L2 distances of {N_QUERIES} queries to {N_ROWS} rows, estimated from codes under {N_ROTATIONS} random
rotations. Errors are relative to the standard deviation of the distances. The bias is the mean error of a
pair over all rotations, in standard errors of such a mean; its root mean square over pairs is 1 without bias.
The bound is {DEVIATIONS} standard deviations of the theory, |e| |q| / sqrt(D - 1), which 94.3 % of the values
of a Gaussian do not exceed."""


@dataclass(frozen=True)
class Line:
    """The errors of codes of one size."""

    data: str
    n_bits: int
    mean: float
    deviation: float
    bias: float
    covered: float

    def cells(self) -> list[str]:
        """Return the line of the table."""
        return [
            self.data,
            str(self.n_bits),
            f"{self.mean:+.5f}",
            f"{self.deviation:.5f}",
            f"{self.bias:.2f}",
            f"{self.covered:.1%}",
        ]


def main() -> None:
    """Estimate all distances, print the table, and write the record."""
    record = records.facts()
    lines, drawn = [], {}
    for name, load in tradeoff.DATA.items():
        data = load()
        rng = np.random.default_rng(0)
        rows = data.base[rng.choice(len(data.base), N_ROWS, replace=False)]
        queries = data.queries[:N_QUERIES]
        products = queries @ rows.T.astype(np.float64)
        exact = (queries**2.0).sum(axis=1)[:, None] + (rows**2.0).sum(axis=1) - 2 * products
        for n_bits in N_BITS:
            estimates, bounds = estimated(rows, queries, n_bits)
            line = line_of(name, n_bits, exact, estimates, bounds)
            lines.append(line)
            drawn[name, n_bits] = exact, estimates, bounds
            print("  ".join(line.cells()), flush=True)
    promises = [
        promise
        for line in lines
        for promise in (
            Promise(f"{line.data}, {bits_text(line.n_bits)}: within the bound", COVERED, line.covered),
            Promise(
                f"{line.data}, {bits_text(line.n_bits)}: {LARGEST_BIAS} by the bias",
                1.0,
                LARGEST_BIAS / line.bias,
            ),
        )
    ]
    path = records.name(record, "estimates")
    record |= {
        "lines": [asdict(line) for line in lines],
        "promises": [promise.entry() for promise in promises],
    }
    page = (
        f"# Estimates of RaBitQ, {record['date']}\n\n{records.facts_as_list(record)}\n{ABOUT}\n\n"
        f"![Estimates of RaBitQ]({path.name}.png)\n\n"
        f"{records.table(HEADINGS, [line.cells() for line in lines])}\n\n"
        f"{records.promise_table(promises)}\n\n{records.missed(promises)}\n"
    )
    print("\n" + page)
    records.write(path, record, page)
    draw(drawn, path.with_suffix(".png"), record)


def estimated(rows: Array, queries: Array, n_bits: int) -> tuple[Array, Array]:
    """Return estimates and bounds (n_rotations, nq, n)."""
    estimates = np.empty((N_ROTATIONS, len(queries), len(rows)))
    bounds = np.empty_like(estimates)
    for seed in range(N_ROTATIONS):
        model = RaBitQuantizer(n_bits, random_state=seed).fit(rows)
        index = FlatIndex(model)
        index.add(rows)
        found, ids = index.search(queries, len(rows))
        np.put_along_axis(estimates[seed], ids, found, axis=1)
        lengths = rabitq.errors(*model.encode(rows), n_bits=n_bits)
        bounds[seed] = model.doubts(model.as_queries(queries))[:, None] * lengths
    return estimates, bounds


def line_of(name: str, n_bits: int, exact: Array, estimates: Array, bounds: Array) -> Line:
    """Return the line of the table."""
    errors, size = estimates - exact, exact.std()
    standard = np.sqrt((bounds**2).mean(axis=0)) / DEVIATIONS / np.sqrt(len(errors))
    bias = np.sqrt(((errors.mean(axis=0) / standard) ** 2).mean())
    return Line(
        name,
        n_bits,
        float(errors.mean() / size),
        float(np.sqrt((errors**2).mean()) / size),
        float(bias),
        float((np.abs(errors) <= bounds).mean()),
    )


def draw(
    drawn: dict[tuple[str, int], tuple[Array, Array, Array]], path: Path, record: dict[str, Any]
) -> None:
    """Draw estimates by distances above errors in standard deviations, a column for each data set."""
    names = list(dict.fromkeys(name for name, _ in drawn))
    figure = Figure(figsize=(4.6 * len(names), 8.4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, len(names), squeeze=False)
    x = np.linspace(-4, 4, 81)
    for (scatter, histogram), name in zip(grid.T, names, strict=True):
        for n_bits in N_BITS:
            exact, estimates, bounds = drawn[name, n_bits]
            label = bits_text(n_bits)
            few = slice(None, None, 20)
            scatter.plot(
                exact.ravel()[few], estimates[0].ravel()[few], ".", ms=3, color=COLOURS[n_bits], label=label
            )
            deviations = (DEVIATIONS * (estimates - exact) / bounds).ravel()
            density, edges = np.histogram(deviations, x, density=True)
            histogram.plot((edges[1:] + edges[:-1]) / 2, density, color=COLOURS[n_bits], label=label)
        scatter.axline((float(exact.mean()), float(exact.mean())), slope=1, color="#57606a", linewidth=0.8)
        scatter.set(xlabel="distance", ylabel="estimate, of one rotation")
        scatter.set_title(name, loc="left", fontsize=12)
        histogram.plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), ":", color="#57606a", label="Gaussian")
        for side in (-DEVIATIONS, DEVIATIONS):
            histogram.axvline(side, color="#57606a", linewidth=0.8)
        histogram.set(xlabel="error, in standard deviations (lines: the bound)", ylabel="density")
        for axes in (scatter, histogram):
            axes.legend(frameon=False, fontsize=9)
            axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(record["machine"]["cpu"], fontsize=8, color="#57606a")
    figure.savefig(path)


if __name__ == "__main__":
    main()
