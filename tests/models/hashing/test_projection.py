"""Random projections: distances, the number of dimensions."""

from __future__ import annotations

import numpy as np
import pytest
from fastcodes.hashing import RandomProjection, johnson_lindenstrauss_min_dim
from models.hashing.random_cases import X, every_projection


@every_projection
@pytest.mark.parametrize("k", [64, 100, 1000])
def test_squared_lengths_are_kept_in_the_mean_with_their_variance(projection: str, k: int) -> None:
    ratios = []
    for seed in range(40):
        x = np.random.default_rng([seed, k]).standard_normal((1, 300))
        y = RandomProjection(k, projection=projection, random_state=seed).fit_transform(x)
        ratios.append(float((y.astype(np.float64) ** 2).sum() / (x**2).sum()))
    deviation = np.sqrt(2 / k)
    assert abs(np.mean(ratios) - 1) < 4 * deviation / np.sqrt(len(ratios))
    assert np.std(ratios) < deviation * (1 + 4 / np.sqrt(2 * len(ratios)))
    if projection != "hadamard":  # which is better than independent directions
        assert np.std(ratios) > deviation * (1 - 4 / np.sqrt(2 * len(ratios)))


@every_projection
def test_the_bound_of_johnson_and_lindenstrauss_holds(projection: str) -> None:
    eps, n = 0.3, 60
    x = np.random.default_rng(3).standard_normal((n, 3000)).astype(np.float32)
    model = RandomProjection("auto", projection=projection, eps=eps, random_state=1).fit(x)  # most states do
    y = model.transform(x)
    assert model.n_components_ == y.shape[1] == johnson_lindenstrauss_min_dim(n, eps=eps)
    i, j = np.triu_indices(n, 1)
    ratios = ((y[i] - y[j]) ** 2).sum(axis=1) / ((x[i] - x[j]) ** 2).sum(axis=1)
    assert (abs(ratios - 1) < eps).all()
    assert ratios.std() > eps / 20  # it is a projection, and no copy


def test_the_number_of_dimensions_is_that_of_scikit_learn() -> None:
    theirs = pytest.importorskip("sklearn.random_projection").johnson_lindenstrauss_min_dim
    for n in (2, 10, 1000, 10**6):
        for eps in (0.05, 0.1, 0.5, 0.9):
            assert johnson_lindenstrauss_min_dim(n, eps=eps) == max(1, theirs(n, eps=eps))


def test_wrong_numbers_of_dimensions() -> None:
    with pytest.raises(ValueError, match=r"eps=0.1 for 300 samples needs 4888 dimensions, but X has only 40"):
        RandomProjection().fit(X)
    for eps, error in (
        (0, ValueError),
        (1, ValueError),
        (np.nan, ValueError),
        ("0.1", TypeError),
        (True, TypeError),
    ):
        with pytest.raises(error, match="eps must be"):
            RandomProjection(eps=eps).fit(X)
        with pytest.raises(error, match="eps must be"):
            johnson_lindenstrauss_min_dim(10, eps=eps)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n_samples must be"):
        johnson_lindenstrauss_min_dim(0)
    with pytest.raises(ValueError, match="eps is 1e-300, which takes more than"):
        johnson_lindenstrauss_min_dim(10, eps=1e-300)
