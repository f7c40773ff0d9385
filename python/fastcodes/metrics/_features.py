"""Distances between sets of images, by features that a network computes of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._typing import Doubles
from fastcodes._validation import as_integer, as_samples

__all__ = ["frechet_distance", "inception_score", "instance_distance"]

_LARGEST = 1e100  # squares of larger features overflow
_TOLERANCE = 1e-3  # of the sum of probabilities


def frechet_distance(features_a: ArrayLike, features_b: ArrayLike) -> float:
    r"""Return the Fréchet distance between two sets of features, taken as normal distributions.

    Dowson and Landau, *The Fréchet distance between multivariate normal distributions*, Journal of
    Multivariate Analysis 12, 1982:

    .. math:: \lVert \mu_a - \mu_b \rVert^2 +
        \mathrm{tr}\left(C_a + C_b - 2 (C_a^{1/2} C_b C_a^{1/2})^{1/2}\right)

    With features of the last pooling layer of Inception-v3 this is the FID of Heusel et al. (*GANs trained by
    a two time-scale update rule converge to a local Nash equilibrium*, NeurIPS 2017). Figures of other
    features are not comparable with it, so do not call them FID.

    Parameters
    ----------
    features_a : array (n, d)
        Features of one set of images, at least 2.
    features_b : array (m, d)
        Features of the other.

    Returns
    -------
    float
        From 0 up, in squared units of the features.

    Raises
    ------
    TypeError
        If an array does not hold real numbers.
    ValueError
        If an array is not two-dimensional or has less than two rows, the numbers of columns differ, or a
        feature is not finite or beyond 1e100.

    Notes
    -----
    Covariances are divided by n - 1. Singular ones, as those of fewer images than features, are taken as they
    are: nothing is added to their diagonal. The estimate is biased, though, and falls as n grows: compare
    sets of one size only, and reduce features to fewer dimensions, for example by their principal components,
    where there are only a few images for each.

    The trace of the square root is the sum of the singular values of :math:`R_a R_b^T`, where :math:`R^T R`
    is a covariance and R comes from a QR decomposition. This keeps the digits that a matrix square root of a
    singular product loses.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import metrics
    >>> features = np.random.default_rng(0).standard_normal((500, 16))
    >>> round(metrics.frechet_distance(features, features + 0.5), 6)
    4.0
    """
    a, b = _pair(features_a, features_b, least=2)
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    root_a, root_b = _root(a - mean_a), _root(b - mean_b)
    traces = np.square(root_a).sum() + np.square(root_b).sum()
    nuclear_norm = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    return max(float(np.square(mean_a - mean_b).sum() + traces - 2 * nuclear_norm), 0.0)


def _root(centered: Doubles) -> Doubles:
    """Return R with as few rows as possible, so that ``R.T @ R`` is the covariance."""
    root = np.linalg.qr(centered, mode="r") if len(centered) > centered.shape[1] else centered
    scaled: Doubles = root / np.sqrt(len(centered) - 1)
    return scaled


def inception_score(probabilities: ArrayLike, *, n_splits: int = 10) -> tuple[float, float]:
    r"""Return the exponential of the mean divergence of class probabilities from their mean.

    Salimans et al., *Improved techniques for training GANs*, NeurIPS 2016: :math:`\exp(\mathrm{E}_x\,
    \mathrm{KL}(p(y \mid x) \,\Vert\, p(y)))`, high if each image clearly has a class, and all classes occur.

    It is the Inception score if the classifier is Inception-v3 with the 1000 classes of ImageNet. Figures of
    other classifiers are not comparable with it.

    Parameters
    ----------
    probabilities : array (n, c)
        The probability of each class for each image: rows with a sum of 1.
    n_splits : int
        The images are cut into this many parts in their order, and each part has a score. The published
        figures have 10 parts of 5000 images; smaller parts have lower scores.

    Returns
    -------
    mean, standard_deviation : float
        Of the scores of the parts. A score is from 1 to c.

    Raises
    ------
    TypeError
        If `probabilities` does not hold real numbers, or `n_splits` is not an integer.
    ValueError
        If `probabilities` is not two-dimensional, has a negative element or a row whose sum is not 1 within
        0.001, or has fewer rows than `n_splits`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import metrics
    >>> mean, deviation = metrics.inception_score(np.eye(10)[np.arange(200) % 10])
    >>> round(mean, 6), round(deviation, 6)
    (10.0, 0.0)
    """
    p = as_samples(probabilities, name="probabilities").astype(np.float64)
    n_splits = as_integer(n_splits, "n_splits", 1)
    if len(p) < n_splits:
        raise ValueError(
            f"probabilities has {len(p)} rows, fewer than n_splits={n_splits}; expected one or more for each"
        )
    sums = p.sum(axis=1)
    is_right = (p >= 0).all(axis=1) & (np.abs(sums - 1) <= _TOLERANCE)  # False for NaN
    if not is_right.all():
        row = int(is_right.argmin())
        raise ValueError(
            f"probabilities has a sum of {sums[row]:g} and a least element of {p[row].min():g} in row {row}; "
            "expected probabilities from 0 up with a sum of 1. Give the output of softmax, not logits"
        )
    p = p / sums[:, None]
    scores = []
    for part in (p[len(p) * i // n_splits : len(p) * (i + 1) // n_splits] for i in range(n_splits)):
        mean = np.broadcast_to(part.mean(axis=0), part.shape)
        # 0 * log(0) is 0; elsewhere the mean is not 0 either.
        ratios = np.divide(part, mean, out=np.ones_like(part), where=part > 0)
        scores.append(np.exp((part * np.log(ratios)).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def instance_distance(features_a: ArrayLike, features_b: ArrayLike) -> float:
    """Return the mean L2 distance between the features of paired images, such as originals and decoded ones.

    `frechet_distance` compares sets: it does not change if images of one set are exchanged. This one asks
    whether each image is like its own original. Papers on semantic compression call it instance perceptual
    distance (IPD) where a named network gives the features. Figures of different features are not
    comparable.

    Parameters
    ----------
    features_a : array (n, d)
        Features of the originals.
    features_b : array (n, d)
        Features of the decoded images, in the same order.

    Returns
    -------
    float
        From 0 up, in the unit of the features.

    Raises
    ------
    TypeError
        If an array does not hold real numbers.
    ValueError
        If an array is not two-dimensional or has no rows, the shapes differ, or a feature is not finite or
        beyond 1e100.

    Notes
    -----
    Equal to ``np.linalg.norm(features_a - features_b, axis=1).mean()``.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> metrics.instance_distance([[0.0, 0.0], [1.0, 1.0]], [[3.0, 4.0], [1.0, 1.0]])
    2.5
    """
    a, b = _pair(features_a, features_b, least=1)
    if len(a) != len(b):
        raise ValueError(
            f"features_b has {len(b)} rows and features_a has {len(a)}; expected one for each image"
        )
    return float(np.linalg.norm(a - b, axis=1).mean())


def _pair(features_a: ArrayLike, features_b: ArrayLike, least: int) -> tuple[Doubles, Doubles]:
    pair = []
    for name, features in (("features_a", features_a), ("features_b", features_b)):
        samples = as_samples(features, name=name).astype(np.float64)
        if len(samples) < least:
            raise ValueError(f"{name} has {len(samples)} rows; expected at least {least}")
        if not (np.abs(samples) <= _LARGEST).all():  # False for NaN
            raise ValueError(f"{name} has NaN, infinity or numbers beyond 1e100; expected finite features")
        pair.append(samples)
    a, b = pair
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"features_b has {b.shape[1]} columns and features_a has {a.shape[1]}; expected the same features"
        )
    return a, b
