"""The command `fastcodes demo`: digits as codes, near-duplicates, a binary network, a million codes."""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fastcodes import _native, adc, bits, hamming, minhash, nn
from fastcodes._typing import Array
from fastcodes.cli.files import check_output, writing
from fastcodes.cli.measure import (
    N_QUERIES_OF_SLOW_PEERS,
    Comparison,
    best_time,
    compare_knn,
    machine_line,
    random_codes,
    seconds_text,
)
from fastcodes.cli.peers import contestants
from fastcodes.cli.terminal import UserError, integer, plain_table, signals_wait, thread_count
from fastcodes.index import MinHashIndex
from fastcodes.quantization import ProductQuantizer

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["HELP", "add_arguments", "run"]

HELP = "digits, near-duplicates and a million codes, compared with the peers"
EXAMPLES = """examples:
  fastcodes demo
  fastcodes demo --n 100000 --plot speed.png"""

GREY_LEVELS = 16
THRESHOLDS = {"64-bit codes": (8,), "192-bit codes": (4, 8, 12)}
"""Each bit of a code says whether a pixel is darker than a grey level."""
N_TEST = 500
N_COPIES = 300
N_TEXTS = 10_000
N_WORDS = 80
N_EDITED = 500
"""Texts that are copied for each number of replaced words."""
WIDTH = 256
EPOCHS = 30
N_QUERIES = 100
N_BITS = 256
K = 10
SECONDS = 0.6
"""Of each measurement."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `--n`, `--plot` and `--threads`."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--n", type=integer(1, 2**36), default=1_000_000, help="number of synthetic codes (default: 1000000)"
    )
    parser.add_argument("--plot", metavar="FILE.png", help="draw the comparison as a bar chart")
    parser.add_argument(
        "--threads", type=thread_count, help="threads of the multi-threaded rows (default: all CPUs)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print the five parts, and draw the last one if `--plot` names a file."""
    if arguments.plot is not None:
        check_output(arguments.plot)
    with signals_wait():
        import sklearn.model_selection
        import sklearn.neighbors  # noqa: F401
        from rich.console import Console
        from sklearn.datasets import load_digits

    if arguments.plot is not None:
        _check_format(arguments.plot)  # before the work, not after

    console = Console()
    images, labels = load_digits(return_X_y=True)
    _classify(console, images, labels)
    _find_copies(console, images, labels)
    _find_texts(console)
    _train(console, images, labels)
    comparisons = _compare(console, arguments.n, arguments.threads or _native.threads())
    if arguments.plot is not None:
        _draw(comparisons, arguments.plot)
        console.print(f"The chart is in {arguments.plot}.")


def _split(images: Array, labels: Array) -> tuple[Array, Array, Array, Array]:
    """Return the images to learn from, `N_TEST` others, and the labels of both."""
    from sklearn.model_selection import train_test_split

    train, test, train_labels, test_labels = train_test_split(
        images, labels, test_size=N_TEST, random_state=0, stratify=labels
    )
    return train, test, train_labels, test_labels


# --- 1: classification --------------------------------------------------------------------------------------


def encode(images: Array, thresholds: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return packed codes with one bit for each pixel and threshold."""
    codes: npt.NDArray[np.uint8] = bits.pack(np.concatenate([images > level for level in thresholds], axis=1))
    return codes


def _classify(console: Console, images: Array, labels: Array) -> None:
    from sklearn.neighbors import KNeighborsClassifier
    from threadpoolctl import threadpool_limits  # a dependency of scikit-learn

    train, test, train_labels, test_labels = _split(images.astype(np.float32), labels)
    table = plain_table(("compared", "bytes per image", "accuracy", "time"))

    classifier = KNeighborsClassifier(n_neighbors=3, algorithm="brute").fit(train, train_labels)
    accuracy = np.mean(classifier.predict(test) == test_labels)
    with threadpool_limits(1):
        seconds = best_time(partial(classifier.kneighbors, test), SECONDS)
    name = "float32 pixels, scikit-learn"
    table.add_row(name, str(train[0].nbytes), f"{accuracy:.1%}", seconds_text(seconds))

    for name, thresholds in THRESHOLDS.items():
        codes, queries = encode(train, thresholds), encode(test, thresholds)
        _, nearest = hamming.knn(queries, codes, k=3)
        accuracy = np.mean(_vote(train_labels[nearest]) == test_labels)
        seconds = best_time(partial(hamming.knn, queries, codes, k=3, threads=1), SECONDS)
        table.add_row(f"{name}, fastcodes", str(codes.shape[1]), f"{accuracy:.1%}", seconds_text(seconds))

    quantizer = ProductQuantizer(n_subspaces=8, n_codewords=16, random_state=0).fit(train)
    packed = adc.PackedCodes(quantizer.encode(train), n_codewords=16)
    _, nearest = adc.knn(quantizer.tables(test), packed, k=3)
    accuracy = np.mean(_vote(train_labels[nearest]) == test_labels)
    seconds = best_time(lambda: adc.knn(quantizer.tables(test), packed, k=3, threads=1), SECONDS)
    table.add_row("product quantisation, fastcodes", "4", f"{accuracy:.1%}", seconds_text(seconds))
    console.print(
        f"\n[bold]1. Handwritten digits.[/bold] {N_TEST} scanned digits (8 x 8 pixels) are classified by "
        f"a vote of their 3 nearest neighbours among {len(train):,} others: by grey levels; by codes whose "
        "bits say whether a pixel is darker than a grey level (one level, or three); and by product-quantised"
        " codes, where each row of pixels is one of 16 patterns. The time is that of finding all neighbours "
        "on one thread."
    )
    console.print(table)


def _vote(labels: Array) -> Array:
    """Return the most frequent label of each row; the lower label wins a tie, as in scikit-learn."""
    return np.array([np.bincount(row).argmax() for row in labels])


# --- 2: near-duplicates -------------------------------------------------------------------------------------


def _find_copies(console: Console, images: Array, labels: Array) -> None:
    generator = np.random.default_rng(0)
    originals = generator.choice(len(images), N_COPIES, replace=False)
    noise = generator.normal(0, 0.5, (N_COPIES, images.shape[1]))
    copies = np.clip(np.round(images[originals] + noise), 0, GREY_LEVELS)
    changed = np.mean(copies != images[originals])
    thresholds = THRESHOLDS["192-bit codes"]
    codes, queries = encode(images, thresholds), encode(copies, thresholds)

    table = plain_table(("bits of 192", "originals found", "others found", "same digit"))
    for radius in (0, 2, 4, 6, 8):
        offsets, _, found = hamming.radius(queries, codes, radius)
        copy = np.repeat(np.arange(N_COPIES), np.diff(offsets))
        is_original = found == originals[copy]
        same_digit = labels[found] == labels[originals[copy]]
        table.add_row(
            str(radius),
            f"{np.sum(is_original)} of {N_COPIES}",
            str(np.sum(~is_original)),
            str(np.sum(same_digit & ~is_original)),
        )
    console.print(
        f"\n[bold]2. Near-duplicate images.[/bold] {N_COPIES} of the digits are copied with noise that "
        f"changes {changed:.0%} of the pixels by a grey level or two, like a second scan. The codes of the "
        f"copies are searched among those of all {len(images):,} images, within a radius of a few bits."
    )
    console.print(table)


# --- 3: near-duplicate texts --------------------------------------------------------------------------------


def _find_texts(console: Console) -> None:
    generator = np.random.default_rng(0)
    vocabulary = np.array([f"word{number}" for number in range(5000)])
    words = vocabulary[generator.integers(0, len(vocabulary), (N_TEXTS, N_WORDS))]
    texts = [" ".join(row) for row in words]
    copies, n_replaced = [], (0, 1, 2, 4, 8)
    for number in n_replaced:
        rows = words[:N_EDITED].copy()
        for row in rows:
            row[generator.choice(N_WORDS, number, replace=False)] = "other"
        copies.append([" ".join(row) for row in rows])

    begun = time.perf_counter()
    index = MinHashIndex(threshold=0.7)
    index.add(texts, threads=1)
    seconds = time.perf_counter() - begun
    sets = index.codec.shingles(texts)
    table = plain_table(("words replaced", "similarity", "estimate", "originals found", "others found"))
    originals = np.arange(N_EDITED)
    for number, edited in zip(n_replaced, copies, strict=True):
        similarity = minhash.jaccard(index.codec.shingles(edited), sets, originals, originals)
        codes = index.codec.encode(edited, threads=1)
        slots = minhash.paired(codes, index.codes, originals, originals)
        estimates, _ = minhash.estimate(slots, index.codec.n_hashes)
        offsets, _, found = index.query(edited, threads=1)
        is_original = found == np.repeat(originals, np.diff(offsets))
        table.add_row(
            f"{number} of {N_WORDS}",
            f"{similarity.mean():.2f}",
            f"{estimates.mean():.2f}",
            f"{np.sum(is_original)} of {N_EDITED}",
            str(np.sum(~is_original)),
        )
    console.print(
        f"\n[bold]3. Near-duplicate texts.[/bold] {N_TEXTS:,} texts of {N_WORDS} random words are indexed by "
        f"MinHash signatures of {index.codec.n_hashes} slots, which took {seconds_text(seconds)} on one "
        "thread. Copies with some words replaced are searched at a Jaccard similarity of "
        f"{index.threshold} or more, on the sets of all three consecutive words."
    )
    console.print(table)


# --- 4: a network -------------------------------------------------------------------------------------------


def network(images: Array, labels: Array, *, is_binary: bool) -> nn.Sequential:
    """Train a network of two hidden layers, binary or in floats."""

    def dense(units: int) -> nn.Dense:
        return nn.BinaryDense(units) if is_binary else nn.Dense(units)

    def activation() -> nn.Sign | nn.HardTanh:
        return nn.Sign() if is_binary else nn.HardTanh()

    hidden = [layer for _ in range(2) for layer in (dense(WIDTH), nn.BatchNorm(), activation())]
    model = nn.Sequential(*hidden, dense(len(np.unique(labels))), nn.BatchNorm(), random_state=0)
    return model.fit(images, labels, epochs=EPOCHS, optimizer=nn.Adam(0.01), schedule=nn.Cosine())


def _train(console: Console, images: Array, labels: Array) -> None:
    from threadpoolctl import threadpool_limits

    train, test, train_labels, test_labels = _split(images.astype(np.uint8), labels)
    table = plain_table(("network", "bytes", "accuracy", "training", "prediction"))
    with console.status("training ..."), threadpool_limits(1):
        for name, is_binary in (("float32", False), ("binary", True)):
            begun = time.perf_counter()
            model = network(train, train_labels, is_binary=is_binary)
            training = time.perf_counter() - begun
            predictors: list[tuple[str, nn.Sequential | nn.PackedModel, int]] = [
                (name, model, 4 * model.n_parameters)
            ]
            if is_binary:
                packed = model.compile()
                predictors.append(("binary, packed", packed, packed.nbytes))
            for label, predictor, size in predictors:
                accuracy = np.mean(predictor.predict(test) == test_labels)
                seconds = best_time(partial(predictor.decision_function, test), SECONDS)
                trained = seconds_text(training) if predictor is model else ""
                table.add_row(label, f"{size:,}", f"{accuracy:.1%}", trained, seconds_text(seconds))
    if not np.array_equal(packed.decision_function(test), model.decision_function(test)):
        raise AssertionError("the packed network and the trained one predict different scores")
    console.print(
        f"\n[bold]4. A binary network.[/bold] The same digits are classified by networks of two hidden "
        f"layers with {WIDTH} units, trained in numpy for {EPOCHS} epochs: in floats; with weights and "
        "activations of one bit; and the latter packed, with scores equal to the last bit. Prediction is for "
        f"all {N_TEST} test images on one thread."
    )
    console.print(table)


# --- 5: a million codes -------------------------------------------------------------------------------------


def _compare(console: Console, n: int, threads: int) -> dict[int, Comparison]:
    """Print the comparison of all peers and return it, by number of threads."""
    codes, queries = random_codes(n, N_BITS // 8), random_codes(N_QUERIES, N_BITS // 8, seed=1)
    few = ", ".join(f"{name} with {number}" for name, number in N_QUERIES_OF_SLOW_PEERS.items())
    console.print(
        f"\n[bold]5. Search of {n:,} codes of {N_BITS} bits.[/bold] The {K} nearest codes of {N_QUERIES} "
        "queries. Every library does the same search with the same number of threads, and its distances are "
        f"compared before it is timed. The speed-up is that of fastcodes. (The slowest libraries get fewer "
        f"queries: {few}.)"
    )
    peers = contestants()
    work = f"the {K} nearest of {n:,} codes of {N_BITS} bits, {N_QUERIES} queries"
    search = partial(compare_knn, "hamming", work, queries, codes, K, seconds=SECONDS)
    with console.status("searching ..."):
        comparisons = {1: search(peers=peers, threads=1)}
        if threads > 1:
            threaded = [peer for peer in peers if peer.uses_threads]
            comparisons[threads] = search(peers=threaded, threads=threads)

    table = plain_table(("library", "version", "level", "threads", "time", "G dist/s", "speed-up"))
    versions = {peer.name: (peer.version, peer.level) for peer in peers}
    for n_threads, comparison in comparisons.items():
        for name, rate in _fastest_first(comparison):
            ratio = "" if name == "fastcodes" else f"{comparison.ratio(name):.1f}x"
            figures = (str(n_threads), seconds_text(comparison.seconds(name)), f"{rate:.3g}", ratio)
            table.add_row(name, *versions[name], *figures, style="bold" if name == "fastcodes" else None)
        for name, remark in comparison.remarks.items():
            table.add_row(name, *versions[name], str(n_threads), "-", "-", remark)
        table.add_section()
    console.print(table)
    console.print(machine_line())
    return comparisons


def _fastest_first(comparison: Comparison) -> list[tuple[str, float]]:
    return sorted(comparison.rates.items(), key=lambda item: -item[1])


def _check_format(plot: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    formats = FigureCanvasAgg.get_supported_filetypes()
    if _format(plot) not in formats:
        raise UserError(
            f"{plot}: the chart must be named {', '.join(f'.{name}' for name in sorted(formats))}"
        )


def _format(plot: str) -> str:
    return Path(plot).suffix[1:].lower()


def _draw(comparisons: dict[int, Comparison], plot: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bars = [
        (name, n_threads, rate)
        for n_threads, comparison in comparisons.items()
        for name, rate in _fastest_first(comparison)
    ]
    # A gap between the groups; negative, since the axis of matplotlib points upwards.
    heights = [-(index + (n_threads > 1)) for index, (_, n_threads, _) in enumerate(bars)]
    figure = Figure(figsize=(8, 1.6 + 0.38 * len(bars)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    colours = ["#1f6feb" if name == "fastcodes" else "#b8bec7" for name, _, _ in bars]
    axes.barh(heights, [rate for _, _, rate in bars], color=colours)
    labels = [f"{name}, {n_threads} thread{'s' if n_threads > 1 else ''}" for name, n_threads, _ in bars]
    axes.set_yticks(heights, labels)
    for height, (_, _, rate) in zip(heights, bars, strict=True):
        axes.annotate(f"{rate:.2f}", (rate, height), (4, 0), textcoords="offset points", va="center")
    axes.margins(x=0.1)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel("billions of distances per second (longer is better)")
    axes.set_title(f"Exact search: {comparisons[1].work}", loc="left", fontsize=11)
    figure.supxlabel(machine_line(), fontsize=7, color="#57606a")
    with writing(plot) as file:
        figure.savefig(file, format=_format(plot))
