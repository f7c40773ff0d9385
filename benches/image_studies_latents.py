"""The studies of latents in `image_studies.py`: how they are trained, scaled, modelled and quantised."""

from functools import cache
from typing import Any

import numpy as np
from fastcodes import entropy
from fastcodes._typing import Array
from fastcodes.quantization import (
    AdditiveQuantizer,
    OptimizedProductQuantizer,
    ResidualQuantizer,
)
from image_studies_common import (
    SEEDS,
    Study,
    at_equal_bytes,
    check,
    coded_bytes,
    fit_static,
    mean_psnr,
    signed,
    spread,
    test_blocks,
    training_blocks,
)
from image_studies_contexts import energy_classes, fit_backward, fit_side_information
from image_studies_models import (
    N_HIDDEN,
    N_STEPS,
    QUANTIZERS,
    AtGain,
    Linear,
    N,
    Point,
    dct,
    dct_curve,
    klt,
    learned,
    rate_and_psnr,
)

STEPS = 20.0, 40.0, 80.0
"""Of rounding, for pixels from 0 to 255."""
CONTEXT_STEPS = 16, 32, 64
N_CLASSES = 4, 8, 16
FIRST_STEP = 48
CURVE_STEPS = (20, 28, 40, 56, 80, 112, 160)


# --- 1: differentiable quantisation -------------------------------------------------------------------------


def quantizers() -> Study:
    """Compare what stands for rounding in training, each with the DCT at equal bytes."""
    rows = []
    gains: dict[str, list[float]] = {}
    for name, basis in (("DCT", dct()), ("KLT", klt())):
        for dead_zone in (False, True):
            for step in STEPS:
                point = rate_and_psnr(Linear(basis, step, dead_zone=dead_zone))
                label = f"{name}, dead zone" if dead_zone else f"{name}, rounded"
                over = (signed(value) for value in over_dct(point))
                rows.append([label, step, point.bpp, point.psnr, *over, point.objective(step)])
    for name in QUANTIZERS:
        for step in STEPS:
            points = [rate_and_psnr(learned(name, step, seed)) for seed in SEEDS]
            plain, dead = zip(*(over_dct(point) for point in points), strict=True)
            gains.setdefault(name, []).append(float(np.mean(dead)))
            middle = Point(*np.mean(points, axis=0))
            over = spread(plain), spread(dead)
            rows.append([f"learned, {name}", step, middle.bpp, middle.psnr, *over, middle.objective(step)])
    figures = "; ".join(
        f"{name} {', '.join(f'{value:+.2f}' for value in values)}" for name, values in gains.items()
    )
    return Study(
        "1. What stands for rounding in training",
        "Blocks of 8 x 8 luma pixels, each alone. The autoencoder has a linear layer and a residual block "
        f"of {N_HIDDEN} HardTanh units on each side. It starts from the DCT and is trained by "
        f"`fastcodes.nn.Network` for {N_STEPS:,} steps on bits plus weighted squared errors; only what "
        'stands for rounding differs. The test rounds. Every latent has a static scale. "Over DCT" '
        "is the PSNR less that of the DCT at equal bytes, rounded or with a dead zone. The objective is what "
        "training minimizes: bits per pixel plus weighted squared errors. Learned rows are means of "
        f"{len(SEEDS)} seeds, with half of their range.",
        {
            "transform": "",
            "step": ".0f",
            "bpp": ".3f",
            "PSNR, dB": ".2f",
            "over DCT, rounded": "",
            "over DCT, dead zone": "",
            "objective": ".3f",
        },
        rows,
        f"In dB over the DCT with a dead zone, from the finest step to the coarsest: {figures}.",
    )


def over_dct(point: Point) -> tuple[float, float]:
    """Return the PSNR of a point less those of the DCT at equal bytes, rounded and with a dead zone."""
    plain, dead = (
        point.psnr - at_equal_bytes(dct_curve(dead_zone=zone), point.bpp) for zone in (False, True)
    )
    return plain, dead


# --- 2: priors ----------------------------------------------------------------------------------------------


def dct_latents(blocks: Array, step: float, *, dead_zone: bool = False) -> tuple[Linear, Array]:
    """Return the coder, and latents whose first is the difference from the block before, or above."""
    coder = Linear(dct(), step, dead_zone=dead_zone)
    return coder, differences(coder.encode(blocks))


def differences(latents: Array) -> Array:
    """Return latents with the first of each block as its difference from that to the left, or above."""
    first = latents[..., 0]
    before = np.zeros_like(first)
    before[:, :, 1:] = first[:, :, :-1]
    before[:, 1:, 0] = first[:, :-1, 0]
    changed = latents.copy()
    changed[..., 0] = first - before
    return changed


def sums(latents: Array) -> Array:
    """Return what `differences` was made of."""
    changed = latents.copy()
    changed[:, :, 0, 0] = np.cumsum(latents[:, :, 0, 0], axis=1)
    changed[..., 0] = np.cumsum(changed[..., 0], axis=2)
    return changed


def priors() -> Study:
    """Compare static, forward and backward models of the same latents."""
    columns: dict[str, list[float]] = {}
    side_of: dict[str, list[float]] = {}
    for step in CONTEXT_STEPS:
        _, train = dct_latents(training_blocks(), step)
        _, test = dct_latents(test_blocks(), step)
        static = fit_static(train)
        test = test * static.is_coded
        pixels = test.size
        columns.setdefault("static", []).append(8 * static.n_bytes(test) / pixels)
        for n_classes in N_CLASSES:
            side = fit_side_information(train, n_classes)
            latents, classes = side.n_bytes(test)
            name = f"side information, {n_classes} classes"
            columns.setdefault(name, []).append(8 * (latents + classes) / pixels)
            side_of.setdefault(name, []).append(8 * classes / pixels)
        backward = fit_backward(train)
        columns.setdefault("backward", []).append(8 * backward.n_bytes(test) / pixels)
        side = fit_side_information(train, N_CLASSES[1])
        levels = np.concatenate([[0], side.edges])
        of_train, of_test = (levels[energy_classes(latents, side.edges)] for latents in (train, test))
        both = fit_backward(train, of_train)
        _, classes = side.n_bytes(test)
        name = f"backward and {N_CLASSES[1]} classes"
        columns.setdefault(name, []).append(8 * (both.n_bytes(test, of_test) + classes) / pixels)
        side_of.setdefault(name, []).append(8 * classes / pixels)
    rows = []
    for name, rates in columns.items():
        row: list[Any] = [name]
        for i, rate in enumerate(rates):
            row += [
                rate,
                side_of[name][i] if name in side_of else "",
                f"{rate / columns['static'][i] - 1:+.1%}",
            ]
        rows.append(row)
    headings = {"model of scales": ""}
    for step in CONTEXT_STEPS:
        headings |= {f"bpp at step {step}": ".4f", f"of it side, {step}": ".4f", f"of static, {step}": ""}
    best = min((f"side information, {n} classes" for n in N_CLASSES), key=lambda name: sum(columns[name]))
    figures = ", ".join(
        f"{columns['backward'][i] / columns[best][i] - 1:+.1%} at step {step}"
        for i, step in enumerate(CONTEXT_STEPS)
    )
    return Study(
        "2. Static, forward and backward models of scales",
        "The same latents throughout: the DCT of 8 x 8 luma blocks, rounded, with the first latent as the "
        'difference from the block to the left. Each has a scale of `entropy.ScaleTable`. "Static" has one '
        "for each latent. With side information there is one for each latent and class of its block. The "
        "class is that of the block's energy and is coded as the difference from the blocks to the left and "
        'above: a hyperprior without a network, whose bits count. "Backward" predicts the scale by integer '
        "weights from the magnitudes of four decoded neighbours and of those latents of the block that are "
        "decoded already. Bytes are those of one message for all crops, decoded diagonal by diagonal.",
        headings,
        rows,
        f"Backward contexts against the best side information ({best.split(', ')[1]}): {figures}.",
    )


# --- 3: vector-quantised latents ----------------------------------------------------------------------------


@cache
def scalar_curves() -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Return the points of scalar-quantised latents with a dead zone, by static scales and by contexts."""
    static_points, context_points = [], []
    blocks = test_blocks()
    for step in CURVE_STEPS:
        coder, train = dct_latents(training_blocks(), step, dead_zone=True)
        static = fit_static(train)
        latents = differences(coder.encode(blocks)) * static.is_coded
        quality = mean_psnr(blocks, coder.decode(sums(latents)), 128)
        static_points.append((8 * static.n_bytes(latents) / blocks.size, quality))
        context_points.append((8 * fit_backward(train).n_bytes(latents) / blocks.size, quality))
    return static_points, context_points


def vector_quantizers() -> Study:
    """Compare indices of vector quantisers with scalar-quantised latents at equal bytes."""
    rows: list[list[Any]] = []
    train, test = training_blocks() @ dct(), test_blocks() @ dct()
    options = {"norm_bits": 0, "metric": "ip", "max_samples": 40_000, "random_state": 0}
    makers = {
        "residual": lambda m, k: ResidualQuantizer(m, k, beam_size=8, **options),
        "additive": lambda m, k: AdditiveQuantizer(m, k, **options),
        "optimized product": lambda m, k: OptimizedProductQuantizer(m, k, max_samples=40_000, random_state=0),
    }
    cases = [("residual", m, k) for m, k in ((1, 256), (2, 64), (2, 256), (3, 64), (3, 256))]
    cases += [("additive", 2, 256), ("additive", 3, 256), ("optimized product", 2, 256)]
    for name, m, k in cases:
        rows.append(line_of(f"{name}, {m} x {k}", makers[name](m, k), train, test, None))
    for m, k in ((1, 64), (1, 256), (2, 256)):
        rows.append(
            line_of(
                f"first latent apart, residual, {m} x {k}", makers["residual"](m, k), train, test, FIRST_STEP
            )
        )
    gaps = [[row[i] for row in rows] for i in (-2, -1)]
    return Study(
        "3. Vector-quantised latents below 0.3 bpp",
        "One code for each 8 x 8 luma block: M indices of K codewords, each column of indices coded by a "
        '`Categorical` law learned in training. "First latent apart" codes the first latent of the DCT as a '
        "scalar, the difference from the block to the left in steps of "
        f"{FIRST_STEP}, and only the others by codewords. The last columns are the PSNR less that of "
        "scalar-quantised latents with a dead zone (DCT, first latent as a difference) at equal bytes: with "
        "static scales, and with the backward contexts of study 2.",
        {
            "quantizer, M x K": "",
            "raw bpp": ".3f",
            "bpp": ".3f",
            "PSNR, dB": ".2f",
            "over scalar, static": "+.2f",
            "over scalar, contexts": "+.2f",
        },
        rows,
        f"Over scalar-quantised latents: from {min(gaps[0]):+.2f} to {max(gaps[0]):+.2f} dB with static "
        f"scales, from {min(gaps[1]):+.2f} to {max(gaps[1]):+.2f} dB with contexts.",
    )


def line_of(
    name: str,
    quantizer: ResidualQuantizer | AdditiveQuantizer | OptimizedProductQuantizer,
    train: Array,
    test: Array,
    step: int | None,
) -> list[Any]:
    """Return the row of a quantiser of DCT latents, whose first is a scalar if there is a step for it."""
    start = 0 if step is None else 1
    quantizer.fit(train[..., start:].reshape(-1, N - start))
    codes_of = [quantizer.encode(part[..., start:].reshape(-1, N - start)) for part in (train, test)]
    n_bytes = 0
    n_codewords = quantizer.n_codewords
    for seen, new in zip(codes_of[0].T, codes_of[1].T, strict=True):
        model = entropy.Categorical.fit(np.ascontiguousarray(seen), n_codewords)
        data = entropy.encode(new, model)
        check(np.array_equal(entropy.decode(data, model, len(new)), new), "indices")
        n_bytes += len(data)
    decoded = np.empty_like(test)
    decoded[..., start:] = quantizer.decode(codes_of[1]).reshape(*test.shape[:-1], -1)
    raw = codes_of[1].shape[1] * np.log2(n_codewords) / N
    if step is not None:
        firsts = [differences(np.rint(part[..., :1] / step).astype(np.int32)) for part in (train, test)]
        static = fit_static(firsts[0])
        n_bytes += coded_bytes(firsts[1], static.law, np.broadcast_to(static.scales, firsts[1].shape))
        decoded[..., :1] = sums(firsts[1]) * step
        raw = float("nan")
    rate = 8 * n_bytes / test.size
    quality = mean_psnr(test_blocks(), decoded @ dct().T, 128)
    over = [quality - at_equal_bytes(curve, rate) for curve in scalar_curves()]
    return [name, raw if raw == raw else "", rate, quality, *over]


# --- 5: one model for all rates -----------------------------------------------------------------------------


def variable_rate() -> Study:
    """Compare one model at several gains with models trained for each rate."""
    name, (fine, middle, coarse) = "additive noise", STEPS
    bases: dict[str, tuple[float, bool] | None] = {
        "trained for it": None,
        f"one model of step {fine:.0f}": (fine, False),
        f"one model of step {middle:.0f}": (middle, False),
        f"step {middle:.0f}, random gains": (middle, True),
    }
    rows = []
    gaps: dict[str, list[float]] = {label: [] for label in bases}
    for step in (fine, (fine * middle) ** 0.5, middle, (middle * coarse) ** 0.5, coarse):
        over: dict[str, list[float]] = {}
        for label, base in bases.items():
            origin, is_random = base or (step, False)
            seeds = SEEDS if base or step in STEPS else ()
            models = [learned(name, origin, seed, random_gain=is_random) for seed in seeds]
            over[label] = [over_dct(rate_and_psnr(AtGain(model, origin / step)))[1] for model in models]
        rows.append([step, *(spread(values) if values else "" for values in over.values())])
        own, *others = over.values()
        if own:
            for label, values in zip(list(bases)[1:], others, strict=True):
                gaps[label].append(float(np.mean(values) - np.mean(own)))
    figures = "; ".join(
        f"{label}, " + ", ".join(f"{gap:+.2f}" for gap in gaps[label]) for label in list(bases)[1:]
    )
    return Study(
        "5. One model for all rates",
        "The autoencoder of study 1 with additive noise, trained for each step; or trained once, with its "
        "latents multiplied by a gain, the ratio of the two steps, before rounding, and divided by it "
        'afterwards. "Random gains" was trained with gains drawn from 1/2 to 2, and learned an exponent of '
        "the gain for each latent, before and after rounding. Static scales are fitted at each gain. The "
        "columns are the PSNR less that of the DCT with a dead zone at equal bytes, in dB: means of "
        f"{len(SEEDS)} seeds, with half of their range.",
        {"step": ".1f"} | dict.fromkeys(bases, ""),
        rows,
        f"In dB over the models trained for steps {fine:.0f}, {middle:.0f} and {coarse:.0f}: {figures}.",
    )
