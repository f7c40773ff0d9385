"""VQVAE: gradients, codewords as means, remedies against collapse, grids of any picture, files, errors."""

from __future__ import annotations

import copy
import functools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import metrics, tokens
from fastcodes.tokens import VQVAE, NotFittedError, _bottlenecks, vqvae
from fastcodes.tokens._bottlenecks import Bottleneck, Codebooks, Levels, Signs, level_bits

RNG = np.random.default_rng(0)
COLORS, RAMPS = RNG.integers(60, 196, (40, 1, 1, 3)), RNG.choice([-1, 0, 1], (40, 1, 1, 1))
BLOBS = COLORS + RAMPS * np.linspace(-40, 40, 4)[:, None, None] * np.ones((4, 1))
SETTINGS: dict[str, Any] = {"hidden": 32, "n_dims": 6, "epochs": 12, "batch_size": 32, "random_state": 0}
KINDS: dict[str, dict[str, Any]] = {
    "vq": {},
    "product": {"quantizer": "product", "n_codebooks": 2},
    "residual": {"quantizer": "residual", "n_codebooks": 2},
    "fsq": {"quantizer": "fsq"},
    "lfq": {"quantizer": "lfq", "entropy": 0.1},
    "plain": {"init": "random", "restart": False},
    "normalized": {"normalize": True},
    "normalized residual": {"quantizer": "residual", "n_codebooks": 2, "normalize": True},
    "entropy": {"entropy": 0.1},
    "stochastic": {"stochastic": True},
}


def pictures(n: int, seed: int = 0, height: int = 16, width: int = 16) -> Any:
    """Return mosaics of 40 patches, colors with or without a ramp, and noise."""
    rng = np.random.default_rng(seed)
    rows, columns = -(-height // 4), -(-width // 4)
    mosaic = BLOBS[rng.integers(len(BLOBS), size=(n, rows, columns))].swapaxes(2, 3)
    pixels = mosaic.reshape(n, 4 * rows, 4 * columns, 3) + rng.normal(0, 6, (n, 4 * rows, 4 * columns, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)[:, :height, :width]


IMAGES, OTHERS = pictures(320), pictures(20, seed=1)


@functools.cache
def fitted(kind: str) -> VQVAE:
    return VQVAE(16, **{**SETTINGS, **KINDS[kind]}).fit(IMAGES, threads=1)


def codebooks(n_codewords: int = 4, **settings: Any) -> Codebooks:
    defaults: dict[str, Any] = {
        "n_codebooks": 1,
        "kind": "vq",
        "decay": 0.0,
        "init": "random",
        "restart": False,
        "normalize": False,
        "entropy": 0.0,
        "stochastic": False,
    }
    layer = Codebooks(n_codewords, 0.25, **{**defaults, **settings})
    layer.build((1, 1, 6), np.random.default_rng(0))
    return layer


def numerical(function: Any, x: Any) -> Any:
    """Return the gradient of a function by differences."""
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        ends = []
        for step in (1e-4, -1e-4):
            moved = x.copy()
            moved[i] += step
            ends.append(function(moved))
        gradient[i] = (ends[0] - ends[1]) / 2e-4
    return gradient


# --- quantizers ---------------------------------------------------------------------------------------------


def test_codewords_move_to_the_means_of_their_vectors() -> None:
    # Without decay a step is one of Lloyd's.
    layer = codebooks()
    layer.state["codewords"][...] = RNG.normal(size=(1, 4, 6))
    x = RNG.normal(size=(50, 1, 1, 6)).astype(np.float32)
    before = layer.codewords[0].copy()
    outputs = layer.forward(x, training=True)
    nearest = np.square(x[:, 0, 0, None] - before).sum(axis=2).argmin(axis=1)
    assert np.array_equal(outputs[:, 0, 0], before[nearest])
    means = [x[nearest == k, 0, 0].mean(axis=0) for k in range(4)]
    assert np.allclose(layer.codewords[0], means, atol=1e-3)
    # With decay, the mean is weighted: 9 parts of the old count and sum, 1 of the new ones.
    slow = codebooks(decay=0.9)
    slow.state["codewords"][...] = before
    slow._sums[...] = before
    slow.forward(x, training=True)
    counts = np.bincount(nearest, minlength=4)[:, None]
    expected = (0.9 * before + 0.1 * counts * means) / (0.9 + 0.1 * counts)
    assert np.allclose(slow.codewords[0], expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["product", "residual"])
def test_several_codebooks_quantize_parts_or_what_is_left(kind: str) -> None:
    layer = codebooks(kind=kind, n_codebooks=2)
    layer.state["codewords"][...] = RNG.normal(size=layer.codewords.shape)
    rows = RNG.normal(size=(30, 6))
    found = layer.tokens(rows)
    first, second = layer.codewords.astype(np.float64)
    parts = (rows[:, :3], rows[:, 3:]) if kind == "product" else (rows, rows - first[found[:, 0]])
    for m, (part, codewords) in enumerate(zip(parts, (first, second), strict=True)):
        assert np.array_equal(found[:, m], np.square(part[:, None] - codewords).sum(axis=2).argmin(axis=1))
    chosen = first[found[:, 0]], second[found[:, 1]]
    expected = np.hstack(chosen) if kind == "product" else chosen[0] + chosen[1]
    assert np.allclose(layer.vectors(found), expected)
    assert np.allclose(layer.forward(rows[:, None, None].astype(np.float32))[:, 0, 0], expected, atol=1e-5)


@pytest.mark.parametrize("init", ["k-means", "random"])
def test_the_error_of_normalized_vectors_falls_with_each_residual_codebook(init: str) -> None:
    layer = codebooks(16, kind="residual", n_codebooks=4, normalize=True, init=init, restart=True, decay=0.5)
    layer.progress = 1.0
    rng = np.random.default_rng(1)
    for _ in range(30):
        layer.forward(rng.normal(size=(400, 1, 1, 6)).astype(np.float32), training=True)
    # Vectors are of unit length, and so is what stands for them first; what is left of them is shorter.
    assert np.allclose(np.linalg.norm(layer.codewords[0], axis=1), 1, atol=1e-5)
    rows = rng.normal(size=(1000, 6))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found = layer.tokens(rows)
    codewords = [layer.codewords[m].astype(np.float64)[found[:, m]] for m in range(4)]
    errors = np.square(unit - np.cumsum(codewords, axis=0)).sum(axis=2).mean(axis=1)
    assert errors[0] < 0.6
    assert (errors[1:] < 0.8 * errors[:-1]).all()


def test_gradients_are_straight_through_with_the_commitment() -> None:
    layer = codebooks()
    layer.state["codewords"][...] = RNG.normal(size=(1, 4, 6))
    x = RNG.normal(size=(5, 1, 1, 6)).astype(np.float32)
    targets = layer.codewords[0].astype(np.float64)[layer.tokens(x.reshape(5, 6).astype(np.float64))[:, 0]]
    layer.forward(x, training=True)
    straight = RNG.normal(size=x.shape).astype(np.float32)
    expected = numerical(
        lambda z: 0.25 * np.square(z[:, 0, 0] - targets).mean() + (straight * z).sum(), x.astype(np.float64)
    )
    assert np.allclose(layer.backward(straight), expected, atol=1e-5)


def test_gradients_of_normalized_vectors() -> None:
    layer = codebooks(normalize=True)
    x = RNG.normal(size=(5, 1, 1, 6)).astype(np.float32)
    outputs = layer.forward(x, training=True)
    assert np.allclose(np.square(outputs).sum(axis=-1), 1, atol=1e-5)
    straight = RNG.normal(size=x.shape).astype(np.float32)

    def loss(z: Any) -> float:
        unit = z / np.linalg.norm(z, axis=-1, keepdims=True)
        return float(0.25 * np.square(unit - outputs).mean() + (straight * unit).sum())

    assert np.allclose(layer.backward(straight), numerical(loss, x.astype(np.float64)), atol=1e-4)


def test_the_entropy_bonus_has_the_gradient_of_the_entropy() -> None:
    layer = codebooks(entropy=1.0)
    layer.commitment = 0.0
    layer.state["codewords"][...] = RNG.normal(size=(1, 4, 6))
    codewords = layer.codewords[0].astype(np.float64)
    x = RNG.normal(size=(7, 1, 1, 6)).astype(np.float32)

    def squares(z: Any) -> Any:
        return np.square(z[:, 0, 0, None] - codewords).sum(axis=2)

    unit = squares(x).min(axis=1).mean()

    def loss(z: Any) -> float:
        weights = np.exp(-squares(z) / unit)
        mean = (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)
        return float((mean * np.log(mean)).sum())

    layer.forward(x, training=True)
    assert np.allclose(layer.backward(np.zeros_like(x)), numerical(loss, x.astype(np.float64)), atol=1e-5)


@pytest.mark.parametrize("kind", ["vq", "product", "residual", "entropy", "stochastic"])
def test_blocks_of_vectors_change_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"kind": "vq", **KINDS[kind]}
    settings["kind"] = settings.pop("quantizer", settings["kind"])
    x, straight = np.random.default_rng(2).normal(size=(2, 50, 1, 1, 6)).astype(np.float32)

    def made() -> list[Any]:
        layer = codebooks(16, decay=0.9, **settings)
        layer.state["codewords"][...] = np.random.default_rng(3).normal(size=layer.codewords.shape)
        outputs = layer.forward(x, training=True)
        return [
            outputs,
            layer.backward(straight),
            layer.codewords,
            layer._variances,
            layer.tokens(x[:, 0, 0]),
        ]

    whole = made()
    monkeypatch.setattr(_bottlenecks, "DISTANCES_PER_BLOCK", 7 * 16)
    sizes, squares = [], _bottlenecks._squares

    def counted(*arguments: Any) -> Any:
        found = squares(*arguments)
        sizes.append(found.size)
        return found

    monkeypatch.setattr(_bottlenecks, "_squares", counted)
    for one, other in zip(whole, made(), strict=True):
        assert np.allclose(one, other, rtol=1e-4, atol=1e-5)
    assert max(sizes) == 7 * 16


def test_vectors_wait_for_the_first_codewords_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bottlenecks, "_MOST_NUMBERS", 128 * 10 * 6)
    layer = codebooks(16, init="k-means")
    rng, layer.progress = np.random.default_rng(4), 0.06
    batches = rng.normal(size=(200, 50, 1, 1, 6)).astype(np.float32)
    for batch in batches:
        layer.forward(batch, training=True)
        assert sum(rows.size for rows in layer._waiting) <= 128 * 10 * 6
    assert len(layer._waiting) == 128
    # Each batch has its share.
    for rows, batch in zip(layer._waiting, batches[-128:], strict=True):
        distances = np.abs(rows[:, None] - batch.reshape(50, 6)).max(axis=2)
        assert len(np.unique(distances.argmin(axis=1))) == 10
        assert not distances.min(axis=1).any()
    layer.progress = 0.1
    layer.forward(batches[0], training=True)
    assert layer.is_started
    assert not layer._waiting


def test_signs_have_the_gradient_of_their_entropies() -> None:
    layer = Signs(8, 0.0, entropy=2.0)
    layer.build((1, 1, 3), RNG)
    x = RNG.normal(size=(6, 1, 1, 3))

    def entropy(p: Any) -> Any:
        return -(p * np.log(p) + (1 - p) * np.log(1 - p))

    def loss(z: Any) -> float:
        ones = 1 / (1 + np.exp(-4 * z[:, 0, 0]))
        return float(-2 * (entropy(ones.mean(axis=0)).mean() - entropy(ones).mean()))

    layer.forward(x, training=True)
    assert np.allclose(layer.backward(np.zeros_like(x)), numerical(loss, x), atol=1e-6)


@pytest.mark.parametrize("layer", [Levels(512), Levels(128), Signs(64, 0.0, entropy=0.0)])
def test_tokens_without_codewords_are_all_different_and_reached(layer: Bottleneck) -> None:
    bits = level_bits(layer.n_codewords) if isinstance(layer, Levels) else [1] * 6
    assert sum(bits) == np.log2(layer.n_codewords)
    assert max(bits) <= 3
    layer.build((1, 1, len(bits)), RNG)
    vectors = layer.vectors(np.arange(layer.n_codewords)[:, None])
    assert len(np.unique(vectors, axis=0)) == layer.n_codewords
    assert np.abs(vectors).max() <= 1
    x = RNG.uniform(-2, 2, (20_000, len(bits)))
    found = layer.tokens(x)
    assert len(np.unique(found)) == layer.n_codewords
    assert np.allclose(layer.forward(x[:, None, None])[:, 0, 0], layer.vectors(found))


def test_levels_have_the_gradient_of_what_they_round() -> None:
    layer = Levels(32)
    layer.build((1, 1, 2), RNG)
    x, straight = RNG.normal(size=(2, 6, 1, 1, 2))
    layer.forward(x, training=True)
    expected = numerical(lambda z: float((straight * layer._bounded(z) / layer._half).sum()), x)
    assert np.allclose(layer.backward(straight), expected, atol=1e-6)


def test_stochastic_codewords_learn_the_variance_and_settle() -> None:
    # The variance of largest likelihood is that of the noise around the codewords.
    layer = codebooks(stochastic=True, decay=0.9)
    layer.state["codewords"][...] = 10 * RNG.normal(size=(1, 4, 6))
    layer._sums[...] = layer.codewords
    centers = layer.codewords[0].copy()
    for _ in range(100):
        x = centers[RNG.integers(4, size=200)] + RNG.normal(0, 0.5, (200, 6))
        layer.forward(x[:, None, None].astype(np.float32), training=True)
    assert layer._variances[0] == pytest.approx(0.25, rel=0.1)
    assert np.allclose(layer.codewords[0], centers, atol=0.3)


# --- the autoencoder ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_training_lowers_the_error_and_tokens_stand_for_pictures(kind: str) -> None:
    model = fitted(kind)
    history = model.objective_history_
    assert history.shape == (12,)
    assert history[-1] < 0.8 * history[0]
    grid = model.encode(OTHERS)
    assert grid.dtype == np.uint8
    assert grid.max() < 16
    assert grid.shape == (20, 4, 4, 2) if "n_codebooks" in KINDS[kind] else (20, 4, 4)
    decoded = model.decode(grid)
    assert decoded.shape == OTHERS.shape
    assert decoded.dtype == np.uint8
    flat = np.full_like(OTHERS, round(IMAGES.mean()))
    assert metrics.psnr(OTHERS, decoded) > metrics.psnr(OTHERS, flat) + 1
    assert model.score(OTHERS) == pytest.approx(
        np.mean([metrics.psnr(a, b) for a, b in zip(OTHERS, decoded, strict=True)]), abs=1e-6
    )


@pytest.mark.parametrize("kind", ["vq", "residual", "lfq"])
def test_tokens_are_those_of_the_trained_network(kind: str) -> None:
    model = fitted(kind)
    network = model.network_
    x = (OTHERS.astype(np.float32) - 127.5) / 64
    latent = x
    for layer in network.layers[:3]:
        latent = layer.forward(latent)
    grid = model.encode(OTHERS).reshape(20, 4, 4, -1)
    quantized = network.layers[3].forward(latent)
    bottleneck = model._bottleneck
    ours = bottleneck.vectors(grid.reshape(-1, grid.shape[3]).astype(np.int64)).reshape(quantized.shape)
    assert np.mean(np.isclose(ours, quantized, atol=1e-4).all(axis=-1)) > 0.999
    for layer in network.layers[4:]:
        quantized = layer.forward(quantized)
    pixels = quantized.reshape(20, 4, 4, 4, 4, 3).swapaxes(2, 3).reshape(OTHERS.shape) * 64 + 127.5
    decoded = model.decode(grid if kind == "residual" else grid[..., 0])
    assert np.abs(np.clip(pixels, 0, 255) - decoded).mean() < 0.3


def test_several_codebooks_have_less_error_than_one() -> None:
    assert fitted("residual").score(OTHERS) > fitted("vq").score(OTHERS)
    assert fitted("residual").bits_per_pixel_ == 2 * fitted("vq").bits_per_pixel_ == 0.5


def test_remedies_use_more_codewords_than_a_plain_codebook() -> None:
    settings = {**SETTINGS, "epochs": 6}
    usage = {}
    for name, options in {"plain": KINDS["plain"], "remedies": {}, "fsq": KINDS["fsq"]}.items():
        grid = VQVAE(64, **{**settings, **options}).fit(IMAGES).encode(IMAGES)
        usage[name] = len(np.unique(grid))
    assert usage["remedies"] > 1.5 * usage["plain"]
    assert usage["fsq"] > usage["plain"]


def test_a_training_of_one_step_finds_codewords() -> None:
    model = VQVAE(16, **{**SETTINGS, "epochs": 1, "batch_size": 400}).fit(IMAGES)
    assert len(np.unique(model.encode(OTHERS))) > 8


def test_tokens_depend_on_no_other_picture_and_no_block(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted("vq")
    grid, large = model.encode(OTHERS), pictures(1, seed=2, height=61, width=47)
    of_large = model.encode(large)
    decoded = model.decode(of_large)
    for i in (0, 19):
        assert np.array_equal(model.encode(OTHERS[i : i + 1])[0], grid[i])
    assert np.array_equal(model.encode(OTHERS, threads=1), grid)
    monkeypatch.setattr(vqvae, "_TOKENS_PER_BLOCK", 20)
    assert np.array_equal(model.encode(OTHERS), grid)
    assert np.array_equal(model.encode(large), of_large)
    assert np.array_equal(model.decode(of_large), decoded)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 4), (5, 3), (61, 47)])
def test_pictures_of_any_size_have_a_grid(height: int, width: int) -> None:
    model = fitted("vq")
    image = pictures(1, seed=3, height=height, width=width)
    grid = model.encode(image)
    assert grid.shape == (1, -(-height // 4), -(-width // 4))
    assert model.decode(grid, size=(height, width)).shape == image.shape
    # What is missing repeats the last row and column.
    whole = np.pad(image, ((0, 0), (0, -height % 4), (0, -width % 4), (0, 0)), "edge")
    assert np.array_equal(model.encode(whole), grid)
    assert np.array_equal(model.decode(grid)[:, :height, :width], model.decode(grid, size=(height, width)))


def test_nothing_is_encoded_and_decoded() -> None:
    model = fitted("vq")
    assert model.encode(OTHERS[:0]).shape == (0, 4, 4)
    assert model.decode(np.zeros((0, 4, 4), np.uint8)).shape == (0, 16, 16, 3)


def test_grey_pictures() -> None:
    model = VQVAE(16, **SETTINGS).fit(IMAGES[..., :1])
    assert model.decode(model.encode(OTHERS[..., :1])).shape == (20, 16, 16, 1)
    with pytest.raises(
        ValueError, match=r"images must have shape .*, 1\); got \(20, 16, 16, 3\); the model is"
    ):
        model.encode(OTHERS)
    # The advice works.
    model.encode(np.rint(OTHERS.mean(axis=3, keepdims=True)).astype(np.uint8))


# --- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["vq", "product", "residual", "fsq", "lfq", "normalized"])
def test_saved_models_make_the_same_tokens(kind: str, tmp_path: Path) -> None:
    model = fitted(kind)
    model.save(tmp_path / "model")
    loaded = VQVAE.load(tmp_path / "model")
    assert loaded.get_params() == model.get_params()
    grid = model.encode(OTHERS)
    for other in (loaded, pickle.loads(pickle.dumps(model))):
        assert np.array_equal(other.encode(OTHERS), grid)
        assert np.array_equal(other.decode(grid), model.decode(grid))
    data = bytearray((tmp_path / "model").read_bytes())
    data[-100] ^= 1
    (tmp_path / "model").write_bytes(data)
    with pytest.raises(ValueError, match="is not a valid VQVAE file"):
        VQVAE.load(tmp_path / "model")


def test_states_of_other_sizes_are_refused() -> None:
    params, arrays = fitted("vq").to_state()
    for name, value in (("hidden", 4096), ("n_dims", 1000), ("n_codewords", 1 << 16), ("patch", 32)):
        with pytest.raises(ValueError, match=r"expected|shape"):
            VQVAE.from_state({**params, name: value}, arrays)
    for shape in ((16, 16, 2), (16, 15, 3), (0, 16, 3)):
        with pytest.raises(ValueError, match="shape is"):
            VQVAE.from_state(params, {**arrays, "shape": np.array(shape)})


def test_parameters_set_after_fit_wait_for_the_next_one(tmp_path: Path) -> None:
    model = copy.deepcopy(fitted("residual"))
    grid, decoded, rate = model.encode(OTHERS), model.decode(model.encode(OTHERS)), model.bits_per_pixel_
    model.set_params(patch=2, n_codewords=300, n_codebooks=3, quantizer="product", n_dims=9, hidden=1)
    assert np.array_equal(model.encode(OTHERS), grid)
    assert np.array_equal(model.decode(grid), decoded)
    assert model.bits_per_pixel_ == rate
    with pytest.raises(ValueError, match="patch was set to 2 after a fit with patch=4; set it back to save"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    for name, value in {"quantizer": "product", "n_codewords": 8, "hidden": 8}.items():
        with pytest.raises(ValueError, match=f"{name} was set to"):
            copy.deepcopy(fitted("residual")).set_params(**{name: value}).to_state()
    model.set_params(**fitted("residual").get_params()).set_params(epochs=1).save(tmp_path / "model")
    assert np.array_equal(VQVAE.load(tmp_path / "model").encode(OTHERS), grid)


def test_models_are_repeatable() -> None:
    settings = {**SETTINGS, "epochs": 1, "stochastic": True}
    first, same = (VQVAE(16, **settings).fit(IMAGES[:64], threads=threads) for threads in (1, 2))
    assert np.array_equal(first.encode(OTHERS), same.encode(OTHERS))
    other = VQVAE(16, **{**settings, "random_state": 1}).fit(IMAGES[:64])
    assert not np.array_equal(first.encode(OTHERS), other.encode(OTHERS))


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "problem"),
    [
        (IMAGES / 255, r"images must be a numpy uint8 array .*; got an array of float64 .*; give np\.rint"),
        (IMAGES[0], r"for one picture give images\[None\]"),
        (IMAGES[..., 0], r"for grey ones images\[\.\.\., None\]"),
        (np.zeros((2, 16, 16, 4), np.uint8), r"alpha channel .* or drop it: images\[\.\.\., :-1\]"),
        (IMAGES[..., :1], r"np\.repeat\(images, 3, axis=3\)"),
        (IMAGES[:, :0], r"got \(320, 0, 16, 3\); pictures need at least one row and column"),
    ],
)
def test_wrong_pictures_are_refused(images: Any, problem: str) -> None:
    with pytest.raises((TypeError, ValueError), match=problem):
        fitted("vq").encode(images)


def test_pictures_to_learn_from() -> None:
    with pytest.raises(ValueError, match=r"shape \(n, height, width, 1 or 3\); got .*one row and column$"):
        VQVAE().fit(IMAGES[:, :, :0, :1])
    with pytest.raises(ValueError, match="images is empty; fit needs at least one picture"):
        VQVAE().fit(IMAGES[:0])
    with pytest.raises(ValueError, match=r"multiples of patch=4.*: crop them"):
        VQVAE().fit(IMAGES[:, :15])
    # Fewer vectors than codewords: some are equal.
    assert VQVAE(512, **SETTINGS).fit(IMAGES[:2]).encode(OTHERS).dtype == np.uint16


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"n_codewords": 48, "quantizer": "fsq"}, 'a power of two for "fsq"; got 48'),
        (
            {"normalize": True, "quantizer": "fsq"},
            'normalize=True needs quantizer="vq", "product" or "residual"; got "fsq"',
        ),
        ({"stochastic": True, "quantizer": "lfq"}, 'stochastic=True needs .*; got "lfq"'),
        ({"entropy": 0.1, "quantizer": "fsq"}, 'entropy must be 0 for "fsq"; got 0.1'),
        ({"n_codebooks": 2}, 'n_codebooks=2 needs quantizer="product" or "residual"'),
        ({"n_codebooks": 3, "quantizer": "product"}, "n_dims must be a multiple of n_codebooks=3; got 16"),
        (
            {"n_codewords": 512, "n_codebooks": 2, "quantizer": "residual"},
            "at most 256 with several codebooks",
        ),
    ],
)
def test_parameters_that_do_not_fit(params: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        VQVAE(**params).fit(IMAGES)


def test_wrong_tokens_are_refused() -> None:
    model = fitted("vq")
    grid = model.encode(OTHERS)
    for wrong, problem in (
        (grid + 0.5, "tokens must be integers"),
        (grid[0], r"expected|give tokens\[None\]"),
        (grid + np.uint8(16), "tokens must be from 0 to 15; got"),
        (grid.astype(np.int64) - 16, "tokens must be from 0 to 15; got -16"),
        (grid[:, :0], r"must have shape \(n, rows, columns\)"),
    ):
        with pytest.raises((TypeError, ValueError), match=problem):
            model.decode(wrong)
    with pytest.raises(
        ValueError, match=r"size \(17, 16\) has a grid of 5 x 4 patches; tokens have one of 4 x 4"
    ):
        model.decode(grid, size=(17, 16))
    with pytest.raises(TypeError, match=r"size must be \(height, width\)"):
        model.decode(grid, size=16)  # type: ignore[arg-type]


def test_models_have_to_be_fitted() -> None:
    for use in (lambda m: m.encode(OTHERS), lambda m: m.decode(OTHERS), lambda m: m.score(OTHERS)):
        with pytest.raises(NotFittedError):
            use(VQVAE())
    assert tokens.VQVAE is VQVAE
