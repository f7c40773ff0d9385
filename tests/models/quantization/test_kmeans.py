"""k-means: what it minimises, and the parts of it that the quantisers share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastcodes.quantization import KMeans, _lloyd

RNG = np.random.default_rng(7)
BLOBS = (RNG.normal(size=(3000, 6)) + 20 * RNG.normal(size=(30, 6)).repeat(100, axis=0)).astype(np.float32)


def squared_distances(x: Any, centres: Any) -> Any:
    return np.square(x[:, None].astype(np.float64) - centres).sum(axis=2)


@pytest.mark.parametrize("n_clusters", [1, 2, 30, 256, 257, 400])
def test_labels_and_inertia_are_those_of_the_nearest_centre(n_clusters: int) -> None:
    kmeans = KMeans(n_clusters, random_state=0, max_iter=10).fit(BLOBS)
    d = squared_distances(BLOBS, kmeans.centers_)
    labels = kmeans.predict(BLOBS)
    assert labels.dtype == np.int32
    assert np.allclose(d[np.arange(len(d)), labels], d.min(axis=1), rtol=1e-4, atol=1e-4)
    assert kmeans.inertia_ == pytest.approx(d.min(axis=1).sum(), rel=1e-5)
    assert kmeans.score(BLOBS) == pytest.approx(-kmeans.inertia_)
    assert kmeans.centers_.dtype == np.float32
    assert kmeans.centers_.shape == (n_clusters, 6)


@pytest.mark.parametrize("n_clusters", [1, 30, 256, 300])
@pytest.mark.parametrize("data", ["blobs", "few distinct", "one outlier", "far from zero"])
def test_the_inertia_never_rises(n_clusters: int, data: str) -> None:
    x = {
        "blobs": BLOBS,
        "few distinct": np.tile(BLOBS[:100], (10, 1)),
        "one outlier": np.vstack([BLOBS[:999], 1e6 * BLOBS[:1]]),
        "far from zero": BLOBS[:1000] + 1000,
    }[data]
    for seed in range(3):
        kmeans = KMeans(n_clusters, random_state=seed, max_iter=40).fit(x)
        history = kmeans.inertia_history_
        assert (np.diff(history) <= 0).all()
        assert history[-1] == kmeans.inertia_
        assert len(history) == kmeans.n_iter_ + 1


def test_one_cluster_is_the_mean() -> None:
    kmeans = KMeans(1).fit(BLOBS)
    assert np.allclose(kmeans.centers_[0], BLOBS.mean(axis=0, dtype=np.float64), atol=1e-5)


def test_as_many_clusters_as_distinct_samples_have_no_error() -> None:
    distinct = BLOBS[:50]
    kmeans = KMeans(50, random_state=0).fit(np.tile(distinct, (3, 1)))
    assert kmeans.inertia_ == 0
    assert np.array_equal(np.unique(kmeans.centers_, axis=0), np.unique(distinct, axis=0))


def test_more_clusters_than_distinct_samples_repeat_some() -> None:
    kmeans = KMeans(20, random_state=0).fit(np.tile(BLOBS[:5], (10, 1)))
    assert kmeans.inertia_ == 0
    assert len(np.unique(kmeans.centers_, axis=0)) == 5
    assert KMeans(4, random_state=0).fit(np.ones((10, 3))).inertia_ == 0


def test_an_empty_cluster_takes_half_of_the_worst_one() -> None:
    x = np.vstack([BLOBS[:100], BLOBS[:100] + 500, [[1000] * 6]]).astype(np.float32)
    seeds = np.array([[100] * 6, [1e5] * 6, [1000] * 6], np.float32)[None]  # nothing is near to the second
    partition = _lloyd.Partition(len(x), 1, 3, 6)
    before = partition.assign(x, seeds)
    means = partition.means(x, seeds)
    after = partition.assign(x, means)
    partition.add(x)
    assert (partition.counts > 0).all()
    assert after < before / 10
    assert any(np.allclose(centre, BLOBS[:100].mean(axis=0), atol=1e-3) for centre in means[0])


def test_blobs_are_found() -> None:
    kmeans = KMeans(30, random_state=0, n_init=3).fit(BLOBS)
    truth = BLOBS.reshape(30, 100, 6).mean(axis=1)
    assert squared_distances(truth, kmeans.centers_).min(axis=1).max() < 0.01


@pytest.mark.parametrize("n_clusters", [10, 64, 256, 300])
def test_the_inertia_is_that_of_scikit_learn(n_clusters: int) -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    x = RNG.normal(size=(4000, 8)).astype(np.float32)
    theirs = cluster.KMeans(n_clusters, n_init=2, max_iter=25, random_state=0).fit(x).inertia_
    ours = KMeans(n_clusters, n_init=2, max_iter=25, random_state=0).fit(x).inertia_
    assert ours < 1.02 * theirs


def test_more_runs_are_never_worse() -> None:
    rng = np.random.default_rng(3)
    single = [KMeans(12, random_state=rng).fit(BLOBS).inertia_ for _ in range(5)]
    best = KMeans(12, n_init=5, random_state=np.random.default_rng(3)).fit(BLOBS)
    assert best.inertia_ == min(single) < max(single)


def test_tol_stops_early() -> None:
    full = KMeans(40, random_state=0, max_iter=200).fit(BLOBS)
    early = KMeans(40, random_state=0, max_iter=200, tol=0.05).fit(BLOBS)
    assert early.n_iter_ < full.n_iter_ < 200
    assert np.array_equal(early.inertia_history_, full.inertia_history_[: early.n_iter_ + 1])


# --- seeding ------------------------------------------------------------------------------------------------


def test_seeds_are_samples_each_in_its_subspace() -> None:
    x = RNG.normal(size=(500, 12)).astype(np.float32)
    seeds = _lloyd.seed(x, 3, 40, np.random.default_rng(0))
    assert seeds.shape == (3, 40, 4)
    for m in range(3):
        parts = {tuple(part) for part in x[:, 4 * m : 4 * m + 4].tolist()}
        assert {tuple(s) for s in seeds[m].tolist()} <= parts
        assert len(np.unique(seeds[m], axis=0)) == 40


def test_seeds_find_well_separated_blobs_whatever_their_scale() -> None:
    x = np.hstack([1e-12 * BLOBS, 1e12 * BLOBS, 0 * BLOBS + 3]).astype(np.float32)
    seeds = _lloyd.seed(x, 3, 30, np.random.default_rng(0))
    truth = BLOBS.reshape(30, 100, 6).mean(axis=1)
    for m, scale in ((0, 1e-12), (1, 1e12)):
        nearest = squared_distances(seeds[m] / scale, truth).argmin(axis=1)
        assert len(set(nearest.tolist())) >= 28
    assert (seeds[2] == 3).all()


def test_seeds_are_better_than_random_samples() -> None:
    random = [squared_distances(BLOBS, BLOBS[RNG.choice(3000, 30)]).min(axis=1).sum() for _ in range(20)]
    seeds = _lloyd.seed(BLOBS, 1, 30, np.random.default_rng(0))[0]
    assert squared_distances(BLOBS, seeds).min(axis=1).sum() < min(random)


# --- mini-batches -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_clusters", [8, 64, 300])
def test_mini_batches_come_near_to_all_samples(n_clusters: int) -> None:
    full = KMeans(n_clusters, random_state=0).fit(BLOBS)
    some = KMeans(n_clusters, random_state=0, batch_size=256, max_iter=20).fit(BLOBS)
    assert some.inertia_ < 1.15 * full.inertia_
    assert some.inertia_ == pytest.approx(squared_distances(BLOBS, some.centers_).min(axis=1).sum(), rel=1e-4)
    assert len(some.inertia_history_) == some.n_iter_ == 20


def test_a_mini_batch_of_all_samples_moves_a_centre_by_its_rate() -> None:
    # One cluster: after t samples its centre is their mean (Sculley's rate 1 / count).
    x = BLOBS[:10]
    kmeans = KMeans(1, batch_size=4, max_iter=50, random_state=0).fit(x)
    assert np.abs(kmeans.centers_[0] - x.mean(axis=0)).max() < 3 * x.std() / np.sqrt(150)


def test_mini_batches_of_a_memory_map_read_it_as_it_lies(tmp_path: Any) -> None:
    np.save(tmp_path / "x.npy", BLOBS.astype(np.float16))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    a = KMeans(10, batch_size=100, max_iter=3, random_state=0).fit(x)
    b = KMeans(10, batch_size=100, max_iter=3, random_state=0).fit(BLOBS.astype(np.float16))
    assert np.array_equal(a.centers_, b.centers_)


# --- arguments ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_clusters": 0}, ValueError, "n_clusters must be an integer from 1 to 65536; got 0"),
        ({"n_clusters": 65537}, ValueError, "n_clusters must be an integer from 1 to 65536; got 65537"),
        (
            {"n_clusters": 2.0},
            TypeError,
            "n_clusters must be an integer from 1 to 65536; got 2.0 of type float",
        ),
        ({"n_clusters": 3001}, ValueError, "n_samples=3000 should be >= n_clusters=3001"),
        ({"n_init": 0}, ValueError, "n_init must be an integer from 1 up; got 0"),
        ({"max_iter": 0}, ValueError, "max_iter must be an integer from 1 up; got 0"),
        ({"max_iter": "3"}, TypeError, "max_iter must be an integer from 1 up; got '3' of type str"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer from 1 to 2147483648; got 0"),
        ({"tol": -1.0}, ValueError, "tol must be a real number at least 0; got -1.0"),
        ({"tol": float("nan")}, ValueError, "tol must be a real number at least 0; got nan"),
        ({"random_state": -1}, ValueError, "random_state must be None, an integer from 0 up"),
        ({"random_state": "x"}, TypeError, "random_state must be None, an integer from 0 up"),
    ],
)
def test_wrong_parameters(params: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message.replace("(", r"\(")):
        KMeans(**params).fit(BLOBS)


def test_distances_beyond_float32_are_refused() -> None:
    with pytest.raises(ValueError, match="squared distances overflow float32; scale it"):
        KMeans(2).fit(1e30 * BLOBS)
