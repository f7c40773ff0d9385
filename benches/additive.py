"""Codes of 64 bits by sums of codewords: their errors and times, and those of the peers; writes a record.

Norms do not count: they are one more byte of residual and additive codes.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import datasets
import numpy as np
import records
from fastcodes._typing import Array
from fastcodes.quantization import (
    AdditiveQuantizer,
    CompositeQuantizer,
    ProductQuantizer,
    ResidualQuantizer,
)
from records import Promise
from threadpoolctl import threadpool_limits

N_CODEBOOKS = 8
SEED = 0
MARGINS = {"residual": 0.11, "additive": 0.27}
"""Of errors below those of a product quantizer."""
AHEAD_OF_FAISS = 3.0
HEADINGS = ["codec", "by", "fit, s", "encode, s", "mean squared error", "of PQ"]
ABOUT = """\
Trained on 50000 SIFT descriptors of photographs (128 dimensions); 250000 others are encoded. One thread.
Eight codebooks of 256 codewords. Times are those of one run."""


def main() -> None:
    """Measure everything, print it, and write the record."""
    os.environ["FASTCODES_NUM_THREADS"] = "1"
    record = records.facts()
    arrays = datasets.load("sift_photos_u8.npz")
    training, base = (arrays[name].astype(np.float32) for name in ("learn", "base"))
    lines: list[dict[str, Any]] = []
    for (codec, by), fit in codecs().items():
        with threadpool_limits(1):
            start = time.perf_counter()
            encode, decode = fit(training)
            fitted = time.perf_counter()
            codes = encode(base)
            encoded = time.perf_counter()
        error = float(np.square(base - decode(codes)).sum(axis=1, dtype=np.float64).mean())
        lines.append(
            {"codec": codec, "by": by, "fit": fitted - start, "encode": encoded - fitted, "error": error}
        )
        print("  ".join(cells(lines[-1], lines[0])), flush=True)
    promises = promises_on({(line["codec"], line["by"]): line for line in lines})
    record |= {"lines": lines, "promises": [promise.entry() for promise in promises]}
    page = (
        f"# Sums of codewords, {record['date']}\n\n{records.facts_as_list(record)}\n{ABOUT}\n\n"
        f"{records.table(HEADINGS, [cells(line, lines[0]) for line in lines])}\n\n"
        f"{records.promise_table(promises)}\n\n{records.missed(promises)}\n"
    )
    print("\n" + page)
    records.write(records.name(record, "additive"), record, page)


Codes = tuple[Callable[[Array], Array], Callable[[Array], Array]]
"""The functions that encode and decode."""


def codecs() -> dict[tuple[str, str], Callable[[Array], Codes]]:
    """Return functions from training samples to codes, the product quantizer first."""

    def ours(model: Any) -> Callable[[Array], Codes]:
        def fit(x: Array) -> Codes:
            fitted = model.fit(x)
            return fitted.encode, fitted.decode

        return fit

    def of_faiss(name: str) -> Callable[[Array], Codes]:
        def fit(x: Array) -> Codes:
            import faiss

            faiss.omp_set_num_threads(1)
            quantizer = getattr(faiss, name)(x.shape[1], N_CODEBOOKS, 8)
            quantizer.train(x)
            return quantizer.compute_codes, quantizer.decode

        return fit

    return {
        ("PQ", "fastcodes"): ours(ProductQuantizer(N_CODEBOOKS, random_state=SEED)),
        ("residual", "fastcodes"): ours(ResidualQuantizer(N_CODEBOOKS, beam_size=32, random_state=SEED)),
        ("composite", "fastcodes"): ours(CompositeQuantizer(N_CODEBOOKS, random_state=SEED)),
        ("additive", "fastcodes"): ours(AdditiveQuantizer(N_CODEBOOKS, random_state=SEED)),
        ("additive", "faiss"): of_faiss("LocalSearchQuantizer"),
    }


def cells(line: dict[str, Any], first: dict[str, Any]) -> list[str]:
    """Return a line of the table."""
    return [
        line["codec"],
        line["by"],
        f"{line['fit']:.1f}",
        f"{line['encode']:.1f}",
        f"{line['error']:.0f}",
        f"{line['error'] / first['error'] - 1:+.1%}",
    ]


def promises_on(lines: dict[tuple[str, str], dict[str, Any]]) -> list[Promise]:
    """Compare the errors with that of the product quantizer, and time and error with those of faiss."""
    pq, mine, theirs = (
        lines[key] for key in (("PQ", "fastcodes"), ("additive", "fastcodes"), ("additive", "faiss"))
    )
    below = [
        Promise(
            f"{codec}: error below that of PQ", margin, 1 - lines[codec, "fastcodes"]["error"] / pq["error"]
        )
        for codec, margin in MARGINS.items()
    ]
    seconds = [line["fit"] + line["encode"] for line in (theirs, mine)]
    return [
        *below,
        Promise("additive: times as fast as faiss", AHEAD_OF_FAISS, seconds[0] / seconds[1]),
        Promise("additive: error of faiss, by ours", 1.0, theirs["error"] / mine["error"]),
    ]


if __name__ == "__main__":
    main()
