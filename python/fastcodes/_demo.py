"""`fastcodes demo`: digits as codes, near-duplicates, a network of bits, a million codes beside peers."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits  # a dependency of scikit-learn

from fastcodes import adc, bits, hamming, minhash, nn
from fastcodes._bench import QUERIES_OF_SLOW_PEERS, Row, best_time, knn_row, random_codes, seconds_text
from fastcodes._peers import Array, contestants, machine_line
from fastcodes.index import MinHashIndex
from fastcodes.quantization import ProductQuantizer

GREY_LEVELS = 16
THRESHOLDS = {"64-bit codes": (8,), "192-bit codes": (4, 8, 12)}
"""A bit of a code says: this pixel is darker than this grey level."""
N_TEST = 500
N_COPIES = 300
N_TEXTS = 10_000
N_WORDS = 80
N_EDITED = 500
"""Texts that are copied with each number of words replaced."""
WIDTH = 256
EPOCHS = 30
N_QUERIES = 100
N_BITS = 256
K = 10
SECONDS = 0.6


def run(n: int, plot: Path | None, threads: int) -> None:
    """Print the five parts, and draw the last where `plot` names a file."""
    if plot is not None:
        import matplotlib  # noqa: F401  # missing or not, before the work and not after it
    console = Console()
    images, labels = load_digits(return_X_y=True)
    _classify(console, images, labels)
    _find_copies(console, images, labels)
    _find_texts(console)
    _train(console, images, labels)
    rows = _compare(console, n, threads)
    if plot is not None:
        _draw(rows, plot)
        console.print(f"The chart is in {plot}.")


def encode(images: Array, thresholds: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Give one bit for every pixel and threshold, packed."""
    codes: npt.NDArray[np.uint8] = bits.pack(np.concatenate([images > level for level in thresholds], axis=1))
    return codes


def _table(*headings: str) -> Table:
    table = Table(box=SIMPLE)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place == 0 else "right")
    return table


# --- 1: classification --------------------------------------------------------------------------------------


def _classify(console: Console, images: Array, labels: Array) -> None:
    train, test, train_labels, test_labels = train_test_split(
        images.astype(np.float32), labels, test_size=N_TEST, random_state=0, stratify=labels
    )
    table = _table("compared", "bytes an image", "read correctly", "time")

    classifier = KNeighborsClassifier(n_neighbors=3, algorithm="brute").fit(train, train_labels)
    right = np.mean(classifier.predict(test) == test_labels)
    with threadpool_limits(1):
        seconds = best_time(partial(classifier.kneighbors, test), SECONDS)
    table.add_row("float32 pixels, scikit-learn", str(train[0].nbytes), f"{right:.1%}", seconds_text(seconds))

    for name, thresholds in THRESHOLDS.items():
        codes, queries = encode(train, thresholds), encode(test, thresholds)
        _, nearest = hamming.knn(queries, codes, k=3)
        right = np.mean(_vote(train_labels[nearest]) == test_labels)
        seconds = best_time(partial(hamming.knn, queries, codes, k=3, threads=1), SECONDS)
        table.add_row(f"{name}, fastcodes", str(codes.shape[1]), f"{right:.1%}", seconds_text(seconds))

    quantizer = ProductQuantizer(n_subspaces=8, n_codewords=16, random_state=0).fit(train)
    packed = adc.PackedCodes(quantizer.encode(train), n_codewords=16)
    _, nearest = adc.knn(quantizer.tables(test), packed, k=3)
    right = np.mean(_vote(train_labels[nearest]) == test_labels)
    seconds = best_time(lambda: adc.knn(quantizer.tables(test), packed, k=3, threads=1), SECONDS)
    table.add_row("product quantisation, fastcodes", "4", f"{right:.1%}", seconds_text(seconds))
    console.print(
        f"\n[bold]1. Reading handwritten digits.[/bold] {N_TEST} scanned digits (8 x 8 pixels) are read by a "
        f"vote of their 3 nearest among {len(train):,} others: on grey levels; on codes whose bits say "
        "whether a pixel is darker than a grey level (one level, or three); and on product-quantised codes, "
        "each row of pixels being one of 16 patterns. The time is that of finding the neighbours of all, on "
        "one thread."
    )
    console.print(table)


def _vote(labels: Array) -> Array:
    """Give the label that occurs most often in each row; the lower label wins a tie, as in scikit-learn."""
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

    table = _table("bits of 192", "originals found", "others found", "same digit")
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
        f"\n[bold]2. Finding near-duplicates.[/bold] {N_COPIES} of the digits are copied with noise that "
        f"moves {changed:.0%} of the pixels by a grey level or two, as if scanned again. Their codes are "
        f"looked up among those of all {len(images):,} images: all that differ in at most so many bits."
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
    index.model.set_params(threads=1)
    index.add(texts)
    seconds = time.perf_counter() - begun
    sets = index.model.shingles(texts)
    table = _table("words replaced", "similarity", "estimated", "originals found", "others found")
    originals = np.arange(N_EDITED)
    for number, edited in zip(n_replaced, copies, strict=True):
        similarity = minhash.jaccard(index.model.shingles(edited), sets, originals, originals)
        codes = index.model.encode(edited)
        slots = minhash.paired(codes, index.signatures, originals, originals)
        estimates, _ = minhash.estimate(slots, index.model.n_hashes)
        offsets, _, found = index.query(edited)
        is_original = found == np.repeat(originals, np.diff(offsets))
        table.add_row(
            f"{number} of {N_WORDS}",
            f"{similarity.mean():.2f}",
            f"{estimates.mean():.2f}",
            f"{np.sum(is_original)} of {N_EDITED}",
            str(np.sum(~is_original)),
        )
    console.print(
        f"\n[bold]3. Finding near-duplicate texts.[/bold] {N_TEXTS:,} texts of {N_WORDS} random words are "
        f"kept as MinHash signatures of {index.model.n_hashes} slots, which took {seconds_text(seconds)} on "
        "one thread. Copies with some words replaced are looked up, at a Jaccard similarity of "
        f"{index.threshold} or more: that of the sets of all three words in a row, three of which each "
        "replaced word is in."
    )
    console.print(table)


# --- 4: a network -------------------------------------------------------------------------------------------


def network(images: Array, labels: Array, *, is_binary: bool) -> nn.Sequential:
    """Train two hidden layers, of bits or of floats."""

    def dense(units: int) -> nn.Dense:
        return nn.BinaryDense(units) if is_binary else nn.Dense(units)

    def activation() -> nn.Sign | nn.HardTanh:
        return nn.Sign() if is_binary else nn.HardTanh()

    hidden = [layer for _ in range(2) for layer in (dense(WIDTH), nn.BatchNorm(), activation())]
    model = nn.Sequential(*hidden, dense(len(np.unique(labels))), nn.BatchNorm(), random_state=0)
    return model.fit(images, labels, epochs=EPOCHS, optimizer=nn.Adam(0.01), schedule=nn.Cosine())


def _train(console: Console, images: Array, labels: Array) -> None:
    train, test, train_labels, test_labels = train_test_split(
        images.astype(np.uint8), labels, test_size=N_TEST, random_state=0, stratify=labels
    )
    table = _table("network", "bytes", "read correctly", "training", "answers")
    with console.status("training ..."), threadpool_limits(1):
        for name, is_binary in (("floats", False), ("bits", True)):
            begun = time.perf_counter()
            model = network(train, train_labels, is_binary=is_binary)
            training = time.perf_counter() - begun
            answers: list[tuple[str, nn.Sequential | nn.PackedModel, int]] = [
                (name, model, 4 * model.n_parameters)
            ]
            if is_binary:
                packed = model.compile()
                answers.append(("bits, packed", packed, packed.nbytes))
            for label, answering, size in answers:
                right = np.mean(answering.predict(test) == test_labels)
                seconds = best_time(partial(answering.decision_function, test), SECONDS)
                trained = seconds_text(training) if answering is model else ""
                table.add_row(label, f"{size:,}", f"{right:.1%}", trained, seconds_text(seconds))
    if not np.array_equal(packed.decision_function(test), model.decision_function(test)):
        raise AssertionError("the packed network answers otherwise than the trained one")
    console.print(
        f"\n[bold]4. A network of bits.[/bold] The same digits are read by networks of two hidden layers of "
        f"{WIDTH} units, trained in numpy for {EPOCHS} epochs: of floats; of weights and activations of one "
        "bit; and that one packed, with the same answers to the last bit. The time of answers is that of all "
        f"{N_TEST}, on one thread."
    )
    console.print(table)


# --- 5: a million codes -------------------------------------------------------------------------------------


def _compare(console: Console, n: int, threads: int) -> dict[int, Row]:
    """Give what was measured, by number of threads."""
    codes, queries = random_codes(n, N_BITS // 8), random_codes(N_QUERIES, N_BITS // 8, seed=1)
    few = ", ".join(f"{name} with {number}" for name, number in QUERIES_OF_SLOW_PEERS.items())
    console.print(
        f"\n[bold]5. Searching {n:,} codes of {N_BITS} bits.[/bold] {N_QUERIES} queries ask for their {K} "
        "nearest codes. Every library answers the same question with the same number of threads, and its "
        f"distances are compared before it is timed. (Fewer queries tell the rate of the slowest: {few}.)"
    )
    peers = contestants()
    work = f"the {K} nearest of {n:,} codes of {N_BITS} bits, {N_QUERIES} queries"
    with console.status("searching ..."):
        rows = {1: knn_row("hamming", work, codes, queries, K, 1, peers, SECONDS)}
        if threads > 1:
            threaded = [peer for peer in peers if peer.uses_threads]
            rows[threads] = knn_row("hamming", work, codes, queries, K, threads, threaded, SECONDS)

    table = _table("library", "version", "level", "threads", "time", "G dist/s", "behind fastcodes")
    versions = {peer.name: (peer.version, peer.level) for peer in peers}
    for n_threads, row in rows.items():
        for name, rate in _fastest_first(row):
            ratio = "" if name == "fastcodes" else f"{row.ratio(name):.1f}x"
            figures = (str(n_threads), seconds_text(row.seconds(name)), f"{rate:.3g}", ratio)
            table.add_row(name, *versions[name], *figures, style="bold" if name == "fastcodes" else None)
        for name, remark in row.remarks.items():
            table.add_row(name, *versions[name], str(n_threads), "-", "-", remark)
        table.add_section()
    console.print(table)
    console.print(machine_line())
    return rows


def _fastest_first(row: Row) -> list[tuple[str, float]]:
    return sorted(row.rates.items(), key=lambda item: -item[1])


def _draw(rows: dict[int, Row], plot: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bars = [(name, n_threads, rate) for n_threads, row in rows.items() for name, rate in _fastest_first(row)]
    # An empty place between the groups; matplotlib counts upwards and a reader downwards.
    places = [-(index + (n_threads > 1)) for index, (_, n_threads, _) in enumerate(bars)]
    figure = Figure(figsize=(8, 1.6 + 0.38 * len(bars)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    colours = ["#1f6feb" if name == "fastcodes" else "#b8bec7" for name, _, _ in bars]
    axes.barh(places, [rate for _, _, rate in bars], color=colours)
    labels = [f"{name}, {n_threads} thread{'s' if n_threads > 1 else ''}" for name, n_threads, _ in bars]
    axes.set_yticks(places, labels)
    for place, (_, _, rate) in zip(places, bars, strict=True):
        axes.annotate(f"{rate:.2f}", (rate, place), (4, 0), textcoords="offset points", va="center")
    axes.margins(x=0.1)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel("billions of distances per second (longer is better)")
    work = rows[1].work
    axes.set_title(f"Exact search: {work}", loc="left", fontsize=11)
    figure.supxlabel(machine_line(), fontsize=7, color="#57606a")
    figure.savefig(plot)
