"""fastcodes.hashing: codes of random hyperplanes against numpy and faiss, training of ITQ against faiss."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from fastcodes._typing import Array
from fastcodes.hashing import ITQ, RandomHyperplanes

# --- RandomHyperplanes.encode: sentence embeddings of common models have 768 dimensions ---------------------

N_ENCODED, D_ENCODED, N_BITS_ENCODED = 20_000, 768, 256
AHEAD_OF_NUMPY = {"gaussian": 1.0, "sparse": 1.0, "hadamard": 5.0}


@cache
def vectors() -> Array:
    return np.random.default_rng(0).standard_normal((N_ENCODED, D_ENCODED), np.float32)


@cache
def encoders() -> dict[str, Callable[[], Array]]:
    """Return all contestants; numpy and "fastcodes gaussian" use the same hyperplanes."""
    x = vectors()
    models = {kind: RandomHyperplanes(N_BITS_ENCODED, projection=kind).fit(x) for kind in AHEAD_OF_NUMPY}
    components = models["gaussian"].components_
    assert components is not None
    w = np.ascontiguousarray(components.T)
    contestants: dict[str, Callable[[], Array]] = {
        "numpy": lambda: np.packbits(x @ w > 0, axis=1),
        **{f"fastcodes {kind}": partial(model.encode, x) for kind, model in models.items()},
    }
    try:
        import faiss
    except ImportError:
        return contestants
    faiss.omp_set_num_threads(1)
    lsh = faiss.IndexLSH(D_ENCODED, N_BITS_ENCODED)
    return {**contestants, "faiss": lambda: lsh.sa_encode(x)}


def is_right(name: str) -> bool:
    """Return whether Hamming distances estimate angles; codes of numpy must equal ours."""
    codes, x = encoders()[name](), vectors()[:200]
    cosines = (x @ x.T) / np.linalg.norm(x, axis=1) / np.linalg.norm(x, axis=1)[:, None]
    differing = np.bitwise_count(codes[:200, None] ^ codes[:200]).sum(axis=2) / N_BITS_ENCODED
    angles = np.arccos(cosines.clip(-1, 1)) / np.pi
    if name in ("numpy", "fastcodes gaussian"):
        ours = encoders()["fastcodes gaussian"]()
        # A value near zero may be rounded to either side.
        assert np.bitwise_count(codes ^ ours).sum() < 1e-5 * codes.size
    return bool(abs(differing - angles).mean() < 0.05)


def encode(name: str) -> None:
    encoders()[name]()


def is_installed(name: str) -> bool:
    return name in encoders()


@pytest.mark.parametrize("name", ["numpy", "faiss", *(f"fastcodes {kind}" for kind in AHEAD_OF_NUMPY)])
def test_encode(contest: Any, serial_process: ProcessPoolExecutor, name: str) -> None:
    """Encode real vectors on one thread."""
    if not serial_process.submit(is_installed, name).result():
        pytest.skip(f"{name} is not installed")
    assert serial_process.submit(is_right, name).result()
    kind = name.split()[-1]
    contest(
        name,
        lambda: serial_process.submit(encode, name).result(),
        group=f"RandomHyperplanes.encode, {D_ENCODED} dimensions to {N_BITS_ENCODED} bits",
        check=lambda _: None,
        amount=N_ENCODED * D_ENCODED * 4,
        unit="bytes",
        needs={"numpy": AHEAD_OF_NUMPY[kind]} if name.startswith("fastcodes") else None,
    )


# --- ITQ.fit ------------------------------------------------------------------------------------------------

N, D, N_BITS = 50_000, 384, 64


@cache
def correlated() -> Array:
    """Return vectors whose correlated dimensions have falling variances, like embeddings."""
    rng = np.random.default_rng(0)
    mixing = np.linalg.qr(rng.normal(size=(D, D)))[0] * 0.99 ** np.arange(D)
    x: Array = rng.standard_normal((N, D), np.float32) @ mixing.T.astype(np.float32)
    return x


def fit_fastcodes() -> Array:
    return ITQ(N_BITS, random_state=0).fit(correlated()).components_


def fit_faiss() -> Array:
    import faiss

    # Both train on a random sample of 32768 rows by default.
    transform = faiss.ITQTransform(D, N_BITS, True)
    transform.train(correlated())
    return faiss.vector_to_array(transform.pca_then_itq.A).reshape(N_BITS, D)


FITTERS = {"fastcodes": fit_fastcodes, "faiss": fit_faiss}


def fit(name: str) -> Array:
    correlated()
    return FITTERS[name]()


@pytest.mark.parametrize("name", FITTERS)
def test_itq(contest: Any, serial_process: ProcessPoolExecutor, name: str) -> None:
    """Learn the directions of 64 bits on one thread."""
    if name == "faiss":
        pytest.importorskip("faiss")

    def check(directions: Array) -> None:
        assert np.allclose(directions @ directions.T, np.eye(N_BITS), atol=1e-3)
        x = correlated()
        # They span the principal components, and the rotation balances the variances.
        variances = (x @ directions.T).var(axis=0)
        largest = np.sort(np.linalg.eigvalsh(np.cov(x.T)))[-N_BITS:]
        assert abs(variances.sum() / largest.sum() - 1) < 0.02
        assert variances.max() < 1.6 * variances.min()
        assert largest.max() > 2.5 * largest.min()

    contest(
        name,
        lambda: serial_process.submit(fit, name).result(),
        group=f"ITQ.fit, {N:,} x {D} float32, {N_BITS} bits",
        check=check,
        amount=float(correlated().nbytes),
        unit="bytes",
        needs={"faiss": 1.0} if name == "fastcodes" else None,
    )
