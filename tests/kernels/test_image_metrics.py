"""Measures of coded images against slow definitions, theorems, published figures and other packages."""

from __future__ import annotations

import io
import math
import warnings
from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import metrics
from helpers import data_file

RNG = np.random.default_rng(11)


def picture(height: int, width: int, *channels: int) -> Any:
    """Return a smooth image with some noise."""
    y, x = np.mgrid[:height, :width]
    smooth = 120 + 70 * np.sin(x / 9) * np.cos(y / 13) + 40 * (x > width // 2)
    smooth = smooth.reshape(height, width, *[1] * len(channels))
    return np.clip(smooth + RNG.normal(0, 9, (height, width, *channels)), 0, 255).astype(np.uint8)


def noisy(image: Any, deviation: float = 12) -> Any:
    return np.clip(image + RNG.normal(0, deviation, image.shape), 0, 255).astype(np.uint8)


def rotation(d: int) -> Any:
    return np.linalg.qr(RNG.standard_normal((d, d)))[0]


# --- size and error -----------------------------------------------------------------------------------------


def test_rates_count_all_bytes_and_pixels_not_samples() -> None:
    assert metrics.bits_per_pixel(1000, (40, 50)) == 4
    assert metrics.bits_per_pixel(1000, np.array([40, 50, 3])) == 4
    assert metrics.bits_per_pixel(0, (1, 1)) == 0
    assert metrics.compression_ratio(1000, (40, 50)) == 2
    assert metrics.compression_ratio(1000, (40, 50, 3)) == 6
    assert metrics.compression_ratio(64, (256, 256, 3)) * 64 == 196_608
    rate, ratio = metrics.bits_per_pixel(777, (31, 17, 3)), metrics.compression_ratio(777, (31, 17, 3))
    assert rate * ratio == pytest.approx(24)


@pytest.mark.parametrize("shape", [(13, 17), (13, 17, 3), (4, 13, 17, 3), (5,)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_psnr_is_that_of_the_mean_squared_error(shape: Any, dtype: Any) -> None:
    largest = np.iinfo(dtype).max
    a, b = RNG.integers(0, largest, (2, *shape)).astype(dtype)
    expected = 10 * math.log10(largest**2 / np.mean((a.astype(float) - b.astype(float)) ** 2))
    assert metrics.psnr(a, b) == pytest.approx(expected, abs=1e-10)
    assert metrics.psnr(a / largest, b / largest, data_range=1) == pytest.approx(expected, abs=1e-10)
    assert metrics.psnr(a.astype(">u2"), b.astype(">u2"), data_range=largest) == pytest.approx(expected)
    assert metrics.psnr(a, a) == math.inf
    assert metrics.psnr(b, a) == metrics.psnr(a, b)


def test_psnr_equals_scikit_image() -> None:
    skimage = pytest.importorskip("skimage.metrics")
    a = picture(40, 50, 3)
    b = noisy(a)
    assert metrics.psnr(a, b) == pytest.approx(skimage.peak_signal_noise_ratio(a, b), abs=1e-10)


def test_the_mean_of_psnr_is_above_the_psnr_of_the_mean_error() -> None:
    references = np.stack([picture(16, 16, 3) for _ in range(20)])
    decoded = np.stack([noisy(image, deviation) for deviation, image in enumerate(references, 2)])
    each = np.mean([metrics.psnr(a, b) for a, b in zip(references, decoded, strict=True)])
    assert each > metrics.psnr(references, decoded) + 0.3  # Jensen's inequality: -log is convex


def test_psnr_of_extreme_values() -> None:
    assert metrics.psnr(np.full(3, 1e300), np.full(3, -1e300), data_range=1) == -math.inf
    assert metrics.psnr([0.0], [1e-100], data_range=1e-200) == pytest.approx(-2000)
    assert metrics.psnr([True, False], [True, True], data_range=1) == pytest.approx(10 * math.log10(2))


def test_luma_is_that_of_jpeg() -> None:
    image_module = pytest.importorskip("PIL.Image")
    image = RNG.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    y = metrics.luma(image)
    assert y.dtype == np.float64
    assert np.abs(y - np.asarray(image_module.fromarray(image).convert("L"))).max() < 0.51
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    assert np.allclose(metrics.luma(grey), np.arange(256), atol=1e-12)
    assert metrics.luma(image[None].astype(np.float32)).shape == (1, 30, 40)


# --- structural similarity ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(11, 11), (11, 40), (37, 12), (60, 45)])
def test_ssim_equals_its_definition_window_by_window(shape: Any) -> None:
    a = picture(*shape)
    b = noisy(a)
    assert metrics.ssim(a, b) == pytest.approx(oracles.ssim_map(a, b, 255).mean(), abs=1e-12)
    assert metrics.ssim(a / 255, b / 255, data_range=1.0) == pytest.approx(metrics.ssim(a, b), abs=1e-12)
    assert metrics.ssim(a * 257.0, b * 257.0, data_range=65535) == pytest.approx(
        metrics.ssim(a, b), abs=1e-12
    )


@pytest.mark.parametrize("height", [43, 44, 50, 90, 137])
def test_ssim_does_not_depend_on_where_an_image_is_cut(height: int) -> None:
    a = picture(height, 1000)
    b = noisy(a)
    top, bottom = (metrics.ssim(a[rows], b[rows]) for rows in (slice(30), slice(20, None)))
    n_top, n_bottom = 20, height - 30
    assert metrics.ssim(a, b) == pytest.approx(
        (n_top * top + n_bottom * bottom) / (n_top + n_bottom), abs=1e-12
    )


@pytest.mark.parametrize("channels", [(), (3,)])
def test_ssim_equals_scikit_image(channels: Any) -> None:
    skimage = pytest.importorskip("skimage.metrics")
    a = picture(70, 81, *channels)
    b = noisy(a)
    expected = skimage.structural_similarity(
        a,
        b,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=-1 if channels else None,
    )
    assert metrics.ssim(a, b) == pytest.approx(expected, abs=1e-9)


def test_ms_ssim_equals_its_definition() -> None:
    a = picture(161, 174)
    b = noisy(a, 25)
    assert metrics.ms_ssim(a, b) == pytest.approx(oracles.ms_ssim(a, b, 255), abs=1e-12)


@pytest.mark.parametrize("measure", [metrics.ssim, metrics.ms_ssim])
def test_similarities_are_symmetric_in_every_way_and_at_most_one(measure: Any) -> None:
    a = picture(176, 192, 3)  # sides that halve four times
    b = noisy(a)
    assert measure(a, a) == 1
    assert measure(a, b) == pytest.approx(measure(b, a), abs=1e-14)
    turned = [measure(np.rot90(a, k), np.rot90(b, k)) for k in range(4)]
    assert np.allclose(turned, measure(a[:, ::-1], b[:, ::-1]), atol=1e-12)
    assert 0 < measure(a, noisy(b, 60)) < measure(a, b) < 1
    channels = [measure(a[..., c], b[..., c]) for c in range(3)]
    assert measure(a, b) == pytest.approx(np.mean(channels), abs=1e-14)
    assert measure(a[..., :1], b[..., :1]) == pytest.approx(channels[0], abs=1e-14)


def test_ms_ssim_of_a_negative_is_zero() -> None:
    a = RNG.integers(0, 256, (161, 161), dtype=np.uint8)
    assert metrics.ssim(a, 255 - a) < 0
    assert metrics.ms_ssim(a, 255 - a) == 0


@pytest.mark.parametrize(("quality", "rate", "published"), [(7, 0.256, 0.854), (35, 0.747, 0.970)])
def test_ms_ssim_of_jpeg_on_kodak_is_the_published_one(quality: int, rate: float, published: float) -> None:
    # Points of TensorFlow Compression: RGB, means over 24 images at constant quality.
    image_module = pytest.importorskip("PIL.Image")
    points = []
    for path in sorted(data_file("kodak").glob("*.png")):
        original, file = image_module.open(path).convert("RGB"), io.BytesIO()
        original.save(file, "JPEG", quality=quality)
        pixels, decoded = np.asarray(original), np.asarray(image_module.open(file))
        of_file = metrics.bits_per_pixel(len(file.getvalue()), pixels.shape)
        points.append((of_file, metrics.ms_ssim(pixels, decoded)))
    found = np.mean(points, axis=0)
    assert found[0] == pytest.approx(rate, rel=0.04)
    assert found[1] == pytest.approx(published, abs=0.005)


# --- rate-distortion curves ---------------------------------------------------------------------------------


def curve(n: int, factor: float = 1.0, gain: float = 0.0) -> tuple[Any, Any]:
    """Return the points of a curve that grows, at random rates."""
    rates = np.cumsum(RNG.uniform(0.05, 0.6, n))
    return factor * rates, 25 + gain + 7 * np.log2(1 + 4 * rates) + RNG.uniform(0, 0.2, n).cumsum()


@pytest.mark.parametrize("method", ["pchip", "cubic"])
@pytest.mark.parametrize("n", [4, 5, 9])
def test_differences_equal_the_package_bjontegaard(method: str, n: int) -> None:
    peer = pytest.importorskip("bjontegaard")
    for _ in range(20):
        a, b = curve(n), curve(n, RNG.uniform(0.6, 1.5), RNG.uniform(-0.5, 0.5))
        for name in ("bd_rate", "bd_psnr"):
            expected = getattr(peer, name)(*a, *b, method=method, min_overlap=0)
            assert getattr(metrics, name)(*a, *b, method=method) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("n", [2, 3, 4, 12])
def test_monotone_cubics_equal_scipy(n: int) -> None:
    interpolate = pytest.importorskip("scipy.interpolate")
    for _ in range(20):
        # Steps of all sizes: ends at which three points would not be monotone occur too.
        rates_a, rates_b = np.exp(np.cumsum(RNG.uniform(0.01, 1, (2, n)), axis=1))
        quality_a, quality_b = np.cumsum(RNG.exponential(1, (2, n)) ** 3 + 1e-3, axis=1)
        low, high = max(quality_a[0], quality_b[0]), min(quality_a[-1], quality_b[-1])
        if low >= high:
            continue
        a, b = (
            interpolate.PchipInterpolator(quality, np.log(rates)).integrate(low, high)
            for quality, rates in ((quality_a, rates_a), (quality_b, rates_b))
        )
        expected = 100 * (np.exp((b - a) / (high - low)) - 1)
        assert metrics.bd_rate(rates_a, quality_a, rates_b, quality_b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("method", ["pchip", "cubic"])
def test_known_differences_are_found(method: str) -> None:
    rates, qualities = curve(6)
    assert metrics.bd_rate(rates, qualities, rates, qualities, method=method) == pytest.approx(0, abs=1e-9)
    assert metrics.bd_psnr(rates, qualities, rates, qualities, method=method) == pytest.approx(0, abs=1e-9)
    assert metrics.bd_rate(rates, qualities, 0.7 * rates, qualities, method=method) == pytest.approx(-30)
    assert metrics.bd_psnr(rates, qualities, rates, qualities + 1.5, method=method) == pytest.approx(1.5)
    # Units and order do not matter, and exchanging the codecs inverts the ratio.
    b = curve(6, 0.8, 0.3)
    found = metrics.bd_rate(rates, qualities, *b, method=method)
    thousand = (1000 * rates, qualities, 1000 * b[0], b[1])
    assert metrics.bd_rate(*thousand, method=method) == pytest.approx(found)
    assert metrics.bd_rate(rates[::-1], qualities[::-1], *b, method=method) == pytest.approx(found)
    back = metrics.bd_rate(*b, rates, qualities, method=method)
    assert (1 + found / 100) * (1 + back / 100) == pytest.approx(1)


def test_differences_of_curves_that_are_hard_to_measure() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metrics.bd_rate([1, 2], [30, 31], [1, 2], [30.5, 31.5]) < 0
        assert metrics.bd_rate([1, 2], [0, 1e-300], [1, 2], [0, 1e-300]) == pytest.approx(0)
        assert metrics.bd_psnr([1e-300, 1e300], [0, 1], [1e-300, 1e300], [1, 2]) == pytest.approx(1)


# --- features -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m", "d"), [(200, 150, 5), (60, 90, 1), (40, 500, 12)])
def test_the_frechet_distance_equals_its_definition(n: int, m: int, d: int) -> None:
    a = RNG.standard_normal((n, d)) @ RNG.standard_normal((d, d)) + 3
    b = RNG.standard_normal((m, d)) @ RNG.standard_normal((d, d))
    expected = (
        oracles.frechet(a, b) if d > 1 else (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    )
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)


def test_the_frechet_distance_of_singular_covariances() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    a, b = RNG.standard_normal((9, 40)), RNG.standard_normal((14, 40)) + 0.1
    with_ridge = [np.cov(x, rowvar=False) + 1e-10 * np.eye(40) for x in (a, b)]
    root = linalg.sqrtm(with_ridge[0] @ with_ridge[1]).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(with_ridge[0] + with_ridge[1] - 2 * root)
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, abs=1e-2)
    assert metrics.frechet_distance(a, a) < 1e-10
    assert metrics.frechet_distance(a, a + 2) == pytest.approx(4 * 40)
    # Both sets on the same line: normal distributions of one dimension.
    direction = RNG.standard_normal(40)
    s, t = RNG.standard_normal(50), 3 * RNG.standard_normal(50) + 1
    expected = ((s.mean() - t.mean()) ** 2 + (s.std(ddof=1) - t.std(ddof=1)) ** 2) * (direction**2).sum()
    found = metrics.frechet_distance(np.outer(s, direction), np.outer(t, direction))
    assert found == pytest.approx(expected, rel=1e-9)


def test_distances_of_features_do_not_depend_on_the_coordinates() -> None:
    a, b = RNG.standard_normal((80, 7)) * np.arange(1, 8), RNG.standard_normal((80, 7)) + 0.5
    turned, shift = rotation(7), RNG.standard_normal(7)
    for distance in (metrics.frechet_distance, metrics.instance_distance):
        assert distance(a, b) == pytest.approx(distance(b, a))
        assert distance(a @ turned + shift, b @ turned + shift) == pytest.approx(distance(a, b))
        assert distance(a, a) == pytest.approx(0, abs=1e-10)
    assert metrics.frechet_distance(3 * a, 3 * b) == pytest.approx(9 * metrics.frechet_distance(a, b))
    assert metrics.instance_distance(3 * a, 3 * b) == pytest.approx(3 * metrics.instance_distance(a, b))
    # Exchanging images changes pairs, not sets.
    order = RNG.permutation(80)
    assert metrics.frechet_distance(a, a[order]) == pytest.approx(0, abs=1e-10)
    expected = np.mean([math.dist(x, y) for x, y in zip(a, a[order], strict=True)])
    assert metrics.instance_distance(a, a[order]) == pytest.approx(expected)
    assert expected > 1


def test_the_inception_score_is_the_number_of_certain_classes() -> None:
    certain = np.eye(10)[np.arange(400) % 7]
    assert metrics.inception_score(certain, n_splits=1)[0] == pytest.approx(7, rel=1e-3)
    assert metrics.inception_score(np.full((50, 8), 1 / 8)) == pytest.approx((1, 0))
    assert metrics.inception_score(np.eye(8)[np.zeros(50, int)]) == pytest.approx((1, 0))


def test_the_inception_score_equals_its_definition() -> None:
    logits = 2 * RNG.standard_normal((103, 6))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    scores = []
    for k in range(4):
        part = p[103 * k // 4 : 103 * (k + 1) // 4]
        divergences = [
            sum(x * math.log(x / y) for x, y in zip(row, part.mean(axis=0), strict=True)) for row in part
        ]
        scores.append(math.exp(np.mean(divergences)))
    mean, deviation = metrics.inception_score(p, n_splits=4)
    assert mean == pytest.approx(np.mean(scores))
    assert deviation == pytest.approx(np.std(scores))
    single = metrics.inception_score(p.astype(np.float32), n_splits=4)
    assert single == pytest.approx((mean, deviation), rel=1e-4)


# --- wrong arguments ----------------------------------------------------------------------------------------

SMALL, LARGE = np.zeros((10, 40), np.uint8), np.zeros((200, 160), np.uint8)
RATES = [0.1, 0.2, 0.4, 0.8]
GOOD = [20.0, 30.0, 35.0, 38.0]
FEATURES = np.zeros((5, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: metrics.bits_per_pixel(1.5, (2, 3)),
            TypeError,
            "n_bytes must be an integer from 0 up; got 1.5",
        ),
        (
            lambda: metrics.bits_per_pixel(-1, (2, 3)),
            ValueError,
            "n_bytes must be an integer from 0 up; got -1",
        ),
        (lambda: metrics.bits_per_pixel(8, (2,)), ValueError, r"shape must be \(h, w\) or .* got 1 numbers"),
        (
            lambda: metrics.bits_per_pixel(8, (0, 3)),
            ValueError,
            "shape must be an integer from 1 to .* got 0",
        ),
        (
            lambda: metrics.bits_per_pixel(8, 6),
            TypeError,
            "shape must be a list or other sequence of integers",
        ),
        (
            lambda: metrics.compression_ratio(0, (2, 3)),
            ValueError,
            "n_bytes must be an integer from 1 up; got 0",
        ),
        (
            lambda: metrics.psnr(SMALL, LARGE),
            ValueError,
            r"image has shape \(200, 160\) .* expected the same",
        ),
        (lambda: metrics.psnr("a", "b"), TypeError, "reference must be real numbers"),
        (
            lambda: metrics.psnr(SMALL, SMALL * 1.0),
            ValueError,
            "data_range must be given .* uint8 and float64",
        ),
        (
            lambda: metrics.psnr(SMALL * 1.0, SMALL * 1.0),
            ValueError,
            "data_range must be given .* such as 1.0",
        ),
        (
            lambda: metrics.psnr(SMALL, SMALL, data_range=0),
            ValueError,
            "data_range must be .* above 0; got 0",
        ),
        (lambda: metrics.psnr(SMALL[:0], SMALL[:0]), ValueError, "reference has no elements"),
        (lambda: metrics.psnr([1.0], [np.nan], data_range=1), ValueError, "image has elements that are NaN"),
        (
            lambda: metrics.luma(np.zeros((4, 4))),
            ValueError,
            r"image must have shape \(..., 3\).* got \(4, 4\)",
        ),
        (
            lambda: metrics.ssim(SMALL, SMALL),
            ValueError,
            "10x40 pixels, too few for ssim; expected at least 11x11",
        ),
        (
            lambda: metrics.ms_ssim(LARGE, LARGE),
            ValueError,
            "200x160 pixels, too few for ms_ssim; .* 161x161",
        ),
        (
            lambda: metrics.ssim(np.zeros((5, 32, 32), np.uint8), np.zeros((5, 32, 32), np.uint8)),
            ValueError,
            r"one image, \(h, w\) or \(h, w, 3\); got \(5, 32, 32\). For several images, call ssim for each",
        ),
        (
            lambda: metrics.ssim(LARGE + 1e200, LARGE * 1.0, data_range=255),
            ValueError,
            r"reference has values up to 1e\+200, which do not fit data_range=255",
        ),
        (
            lambda: metrics.bd_rate(RATES, GOOD[:3], RATES, GOOD),
            ValueError,
            "qualities_a has 3 .* rates_a has 4",
        ),
        (
            lambda: metrics.bd_rate(RATES, GOOD, [0.1], [20]),
            ValueError,
            "rates_b has 1 points; .* at least 2",
        ),
        (
            lambda: metrics.bd_rate(RATES, GOOD, RATES[:3], GOOD[:3], method="cubic"),
            ValueError,
            'rates_b has 3 points; expected at least 4 for method="cubic"',
        ),
        (
            lambda: metrics.bd_rate(RATES, GOOD, [0, 1], [20, 21]),
            ValueError,
            "rates_b has 0; expected rates above 0",
        ),
        (
            lambda: metrics.bd_rate(RATES, [1, 2, np.inf, 4], RATES, GOOD),
            ValueError,
            "qualities_a has NaN or inf",
        ),
        (
            lambda: metrics.bd_rate([RATES], [GOOD], RATES, GOOD),
            ValueError,
            r"rates_a must have shape \(n,\)",
        ),
        (
            lambda: metrics.bd_rate(RATES, GOOD, RATES, [20, 30, 29, 31]),
            ValueError,
            "qualities_b must grow with the rate; got 30 at rate 0.2 and 29 at rate 0.4. Leave out",
        ),
        (
            lambda: metrics.bd_psnr([1, 1], [2, 3], RATES, GOOD),
            ValueError,
            "qualities_a must grow with the rate",
        ),
        (
            lambda: metrics.bd_rate(RATES, GOOD, RATES, [40, 41, 42, 43]),
            ValueError,
            "qualities_a and qualities_b do not overlap: they go from 20 to 38, and from 40 to 43",
        ),
        (
            lambda: metrics.bd_psnr(RATES, GOOD, [1, 2, 3, 4], GOOD),
            ValueError,
            "rates_a and rates_b do not overlap: they go from 0.1 to 0.8, and from 1 to 4",
        ),
        (
            lambda: metrics.bd_rate(RATES, GOOD, RATES, GOOD, method="akima"),
            ValueError,
            'method must be "pchip" or "cubic"; got \'akima\'',
        ),
        (
            lambda: metrics.frechet_distance(FEATURES[:1], FEATURES),
            ValueError,
            "features_a has 1 rows; .* least 2",
        ),
        (lambda: metrics.frechet_distance(FEATURES, FEATURES[:, :2]), ValueError, "features_b has 2 columns"),
        (
            lambda: metrics.frechet_distance(FEATURES + np.nan, FEATURES),
            ValueError,
            "features_a has NaN, infinity",
        ),
        (lambda: metrics.frechet_distance(FEATURES[0], FEATURES), ValueError, "Expected 2D array"),
        (
            lambda: metrics.instance_distance(FEATURES, FEATURES[:4]),
            ValueError,
            "features_b has 4 rows and .* has 5",
        ),
        (lambda: metrics.instance_distance(FEATURES[:0], FEATURES), ValueError, "features_a has 0 rows"),
        (
            lambda: metrics.inception_score(FEATURES, n_splits=1),
            ValueError,
            "sum of 0 .* in row 0; .* not logits",
        ),
        (lambda: metrics.inception_score(np.eye(3)), ValueError, "3 rows, fewer than n_splits=10"),
        (
            lambda: metrics.inception_score([[0.5, 0.5], [1.5, -0.5]], n_splits=1),
            ValueError,
            "least element of -0.5 in row 1",
        ),
        (
            lambda: metrics.inception_score(np.eye(3), n_splits=0),
            ValueError,
            "n_splits must be an integer from 1",
        ),
    ],
)
def test_wrong_arguments(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
