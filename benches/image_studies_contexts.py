"""The scales of latents in `image_studies.py`: by side information, or by decoded neighbours.

Both decoders use integers alone, and every message is decoded and compared.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from fastcodes import entropy
from fastcodes._typing import Array
from image_studies_common import LAWS, N_SCALES, best_scales, check, coded_bytes, is_frequent

GROUP = 8
"""Latents of a block that are decoded together, after those with more variance."""
N_FEATURES = 6
FIXED_POINT = 1 << 12
N_BINS = 96
BINS_PER_OCTAVE = 6
LARGEST = 255
"""Magnitudes count as this at most."""


# --- side information ---------------------------------------------------------------------------------------


def energy_classes(latents: Array, edges: Array) -> Array:
    """Return the class of each block (n, rows, columns) by the sum of its magnitudes without the first."""
    return np.searchsorted(edges, np.abs(latents[..., 1:]).sum(axis=-1), side="right")


def predicted_classes(classes: Array) -> Array:
    """Return the rounded mean of the classes to the left and above, or the one that exists, or 0."""
    left, above = np.zeros_like(classes), np.zeros_like(classes)
    left[:, :, 1:], above[:, 1:] = classes[:, :, :-1], classes[:, :-1]
    left[:, 1:, 0], above[:, 0] = above[:, 1:, 0], left[:, 0]
    return (left + above + 1) // 2


class SideInformation(NamedTuple):
    """A class for each block by its energy, which selects the scales of its latents."""

    edges: Array
    scale: int
    """Of the classes less what is predicted of them."""
    law: str
    scales: Array
    """Of each latent in each class (n_classes, n_latents)."""
    is_coded: Array

    def n_bytes(self, latents: Array) -> tuple[int, int]:
        """Return the bytes of latents (n, rows, columns, n_latents) and those of the classes."""
        classes = energy_classes(latents, self.edges)
        coded = latents[..., self.is_coded]
        # Blocks of class 0 have nothing but the first latent.
        first = coded_bytes(coded[..., 0], self.law, self.scales[classes, 0])
        kept = classes > 0
        rest = coded_bytes(coded[kept][:, 1:], self.law, self.scales[classes[kept]][:, self.is_coded][:, 1:])
        return first + rest, self._class_bytes(classes)

    def _class_bytes(self, classes: Array) -> int:
        differences = classes - predicted_classes(classes)
        scales = np.full(classes.shape, self.scale, np.uint8)
        data = entropy.encode(differences, LAWS["laplace"], scales=scales)
        differences = entropy.decode(data, LAWS["laplace"], scales=scales)
        decoded = np.zeros_like(classes)
        for y in range(classes.shape[1]):
            for x in range(classes.shape[2]):
                left = decoded[:, y, x - 1] if x else decoded[:, y - 1, x] if y else 0
                above = decoded[:, y - 1, x] if y else left
                decoded[:, y, x] = differences[:, y, x] + (left + above + 1) // 2
        check(np.array_equal(decoded, classes), "classes")
        return len(data)


def fit_side_information(latents: Array, n_classes: int) -> SideInformation:
    """Return classes of equal ranges of the logarithm of energy: class 0 has none."""
    energies = np.abs(latents[..., 1:]).sum(axis=-1)
    edges = np.geomspace(1, np.quantile(energies, 0.999), n_classes - 1).astype(np.int64)
    edges = np.unique(edges)
    classes = energy_classes(latents, edges)
    n_classes, n = len(edges) + 1, latents.shape[-1]
    contexts = classes[..., None] * n + np.arange(n)
    fits = {law: best_scales(latents, contexts, n_classes * n, law) for law in LAWS}
    law = min(fits, key=lambda law: fits[law][1].sum())
    differences = classes - predicted_classes(classes)
    scale, _ = best_scales(differences, np.zeros_like(differences), 1, "laplace")
    scales = fits[law][0].reshape(n_classes, n)
    return SideInformation(edges, int(scale[0]), law, scales, is_frequent(latents))


# --- backward contexts --------------------------------------------------------------------------------------


class Walk(NamedTuple):
    """Blocks of all images that are decoded together: a diagonal, each after its four neighbours."""

    rows: Array
    columns: Array
    latents: slice


def walk(n_rows: int, n_columns: int, n_latents: int) -> Iterator[Walk]:
    """Yield all latents of images in the order of decoding."""
    for diagonal in range(n_columns + 2 * n_rows - 2):
        rows = np.arange(n_rows)
        columns = diagonal - 2 * rows
        inside = (columns >= 0) & (columns < n_columns)
        for start in range(0, n_latents, GROUP):
            yield Walk(rows[inside], columns[inside], slice(start, min(start + GROUP, n_latents)))


def padded(magnitudes: Array) -> Array:
    """Return magnitudes with empty blocks at the left, at the right and above."""
    return np.pad(magnitudes, ((0, 0), (1, 0), (1, 1), (0, 0)))


def features(magnitudes: Array, at: Walk, side: Array | None) -> Array:
    """Return what is known of latents when they are decoded: integers (n, n_blocks, n_latents, n_features).

    `magnitudes` are padded. What is not decoded yet is not read.
    """
    rows, columns, part = at.rows + 1, at.columns + 1, at.latents
    near = magnitudes[:, rows, columns - 1] + magnitudes[:, rows - 1, columns]
    far = magnitudes[:, rows - 1, columns - 1] + magnitudes[:, rows - 1, columns + 1]
    own = magnitudes[:, rows, columns, : part.start]
    made = np.empty((*near.shape[:2], part.stop - part.start, N_FEATURES + (side is not None)), np.int64)
    made[..., 0] = 1
    made[..., 1] = near[..., part]
    made[..., 2] = far[..., part]
    made[..., 3] = near[..., max(part.start, 1) :].sum(axis=-1)[..., None]
    made[..., 4] = own[..., 1:].sum(axis=-1)[..., None]
    made[..., 5] = own[..., max(part.start - GROUP, 1) :].sum(axis=-1)[..., None]
    if side is not None:
        made[..., 6] = side[:, at.rows, at.columns, None]
    return made


class Backward(NamedTuple):
    """Scales by the magnitudes of what is decoded already."""

    weights: Array
    """Of features (n_latents, n_features), times FIXED_POINT."""
    edges: Array
    """Of the bins of predicted magnitudes."""
    law: str
    scales: Array
    """Of each bin."""
    is_coded: Array

    def numbers(self, magnitudes: Array, at: Walk, side: Array | None) -> Array:
        """Return the scales of latents (n, n_blocks, n_latents)."""
        made = features(magnitudes, at, side)
        predicted = np.einsum("...jf,jf->...j", made, self.weights[at.latents])
        return self.scales[np.searchsorted(self.edges, predicted, side="right")]

    def n_bytes(self, latents: Array, side: Array | None = None) -> int:
        """Return the bytes of latents (n, rows, columns, n_latents), zero where they are not coded."""
        coded = latents[..., self.is_coded]
        law = LAWS[self.law]
        magnitudes = padded(np.minimum(np.abs(coded), LARGEST))
        symbols, numbers = [], []
        for at in walk(*coded.shape[1:]):
            symbols.append(coded[:, at.rows, at.columns, at.latents].reshape(-1))
            numbers.append(self.numbers(magnitudes, at, side).reshape(-1))
        # One message, sorted by scale: counts, then the symbols of each scale in the order of decoding.
        scales = np.concatenate(numbers)
        counts = np.bincount(scales, minlength=N_SCALES)
        order = np.argsort(scales, kind="stable")
        data = entropy.encode(np.concatenate(symbols)[order], law, scales=scales[order])
        check(np.array_equal(self._decoded(data, counts, coded.shape, side), coded), "latents")
        return len(data) + 4 * N_SCALES

    def _decoded(self, data: bytes, counts: Array, shape: tuple[int, ...], side: Array | None) -> Array:
        scales = np.repeat(np.arange(N_SCALES, dtype=np.uint8), counts)
        symbols = entropy.decode(data, LAWS[self.law], scales=scales)
        next_of = np.cumsum(counts) - counts
        decoded = np.zeros(shape, np.int32)
        magnitudes = padded(np.zeros(shape, np.int64))
        for at in walk(*shape[1:]):
            numbers = self.numbers(magnitudes, at, side)
            flat = numbers.reshape(-1)
            values = np.empty(flat.size, np.int32)
            order = np.argsort(flat, kind="stable")
            present, starts = np.unique(flat[order], return_index=True)
            for scale, places in zip(present, np.split(order, starts[1:]), strict=True):
                values[places] = symbols[next_of[scale] : next_of[scale] + len(places)]
                next_of[scale] += len(places)
            values = values.reshape(numbers.shape)
            decoded[:, at.rows, at.columns, at.latents] = values
            magnitudes[:, at.rows + 1, at.columns + 1, at.latents] = np.minimum(np.abs(values), LARGEST)
        return decoded


def fit_backward(latents: Array, side: Array | None = None) -> Backward:
    """Return weights by least squares of relative errors, and the best scale for each predicted magnitude."""
    is_coded = is_frequent(latents)
    coded = latents[..., is_coded]
    n_rows, n_columns, n = coded.shape[1:]
    sizes = np.minimum(np.abs(coded), LARGEST)
    magnitudes = padded(sizes)
    rows, columns = (places.reshape(-1) for places in np.indices((n_rows, n_columns)))
    weights, predictions = [], []
    for start in range(0, n, GROUP):
        part = slice(start, min(start + GROUP, n))
        made = features(magnitudes, Walk(rows, columns, part), side)
        made = made.reshape(-1, *made.shape[2:]).astype(np.float64)
        targets = sizes.reshape(-1, n)[:, part].astype(np.float64)
        for j in range(part.stop - start):
            fitted = relative_least_squares(made[:, j], targets[:, j])
            weights.append(np.rint(fitted * FIXED_POINT).astype(np.int64))
            predictions.append(made[:, j].astype(np.int64) @ weights[-1])
    predicted = np.stack(predictions, axis=-1)
    edges = (FIXED_POINT / 64 * 2 ** (np.arange(N_BINS) / BINS_PER_OCTAVE)).astype(np.int64)
    bins = np.searchsorted(edges, predicted, side="right")
    values = coded.reshape(-1, n)
    fits = {law: best_scales(values, bins, N_BINS + 1, law) for law in LAWS}
    law = min(fits, key=lambda law: fits[law][1].sum())
    seen = np.unique(bins)
    scales = np.rint(np.interp(np.arange(N_BINS + 1), seen, fits[law][0][seen])).astype(np.uint8)
    return Backward(np.stack(weights), edges, law, scales, is_coded)


def relative_least_squares(x: Array, y: Array) -> Array:
    """Return weights that minimize squared errors, the second time divided by what was predicted first."""
    scale = np.ones(len(y))
    for _ in range(2):
        weighted = x / scale[:, None]
        gram = weighted.T @ weighted
        weights = np.linalg.solve(gram + 1e-6 * np.trace(gram) * np.eye(len(gram)), weighted.T @ (y / scale))
        scale = np.maximum(x @ weights, 0.02)
    return weights
