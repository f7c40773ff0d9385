"""Training of fastcodes.hashing against faiss."""

from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
from fastcodes.hashing import ITQ
from numpy.typing import NDArray

Array = NDArray[Any]

N, D, N_BITS = 50_000, 384, 64


@cache
def samples() -> Array:
    """Give correlated dimensions of falling variance, as embeddings have them; once in each process."""
    rng = np.random.default_rng(0)
    mixing = np.linalg.qr(rng.normal(size=(D, D)))[0] * 0.99 ** np.arange(D)
    x: Array = rng.standard_normal((N, D), np.float32) @ mixing.T.astype(np.float32)
    return x


def fastcodes() -> Array:
    return ITQ(N_BITS, random_state=0).fit(samples()).components_


def faiss() -> Array:
    import faiss as library

    # It takes a random sample of as many rows as ours does by default, 32768.
    transform = library.ITQTransform(D, N_BITS, True)
    transform.train(samples())
    combined = library.vector_to_array(transform.pca_then_itq.A)
    return combined.reshape(N_BITS, D)


CONTESTANTS = {"fastcodes": fastcodes, "faiss": faiss}


def train(name: str) -> Array:
    """Train where nothing uses a second thread."""
    samples()
    return CONTESTANTS[name]()


@pytest.mark.parametrize("name", CONTESTANTS)
def test_itq(contest: Any, serial_process: ProcessPoolExecutor, name: str) -> None:
    """Learn the directions of 64 bits."""
    if name == "faiss":
        pytest.importorskip("faiss")

    def check(directions: Array) -> None:
        assert np.allclose(directions @ directions.T, np.eye(N_BITS), atol=1e-3)
        x = samples()
        # The principal components, whose variances the rotation has made alike.
        variances = (x @ directions.T).var(axis=0)
        largest = np.sort(np.linalg.eigvalsh(np.cov(x.T)))[-N_BITS:]
        assert abs(variances.sum() / largest.sum() - 1) < 0.02
        assert variances.max() < 1.6 * variances.min()
        assert largest.max() > 2.5 * largest.min()

    contest(
        name,
        lambda: serial_process.submit(train, name).result(),
        group=f"ITQ.fit, {N:,} x {D} float32, {N_BITS} bits",
        check=check,
        amount=float(samples().nbytes),
        unit="bytes",
        needs={"faiss": 1.0} if name == "fastcodes" else None,
    )
