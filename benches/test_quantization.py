"""fastcodes.quantization: training of product and additive quantisers against faiss, and their errors."""

from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any

import datasets
import numpy as np
import pytest
from fastcodes._typing import Array
from fastcodes.cli.peers import PQ_ITERATIONS, Peer, contestants, installed
from fastcodes.quantization import AdditiveQuantizer, ProductQuantizer, ResidualQuantizer

N, D = 50_000, 128
N_SUBSPACES, N_CODEWORDS = 16, 256
AHEAD_OF_FAISS = 1.0
MAX_ERROR = 1.01  # times that of the codebooks of faiss
ADDITIVE_AHEAD_OF_FAISS = 3.0
N_CODEBOOKS = 8  # codes of 64 bits, without the norms


@cache
def vectors() -> Array:
    return np.random.default_rng(0).standard_normal((N, D), np.float32)


def fit(name: str) -> Array:
    peer = next(peer for peer in contestants() if peer.name == name)
    assert peer.pq_fit is not None
    return peer.pq_fit(vectors(), N_SUBSPACES, N_CODEWORDS, False, 0)[0]


def quantization_error(codebooks: Array) -> float:
    """Return the mean squared distance between the training vectors and their nearest codewords."""
    parts = vectors().reshape(N, N_SUBSPACES, -1)
    squares = [
        (part**2).sum(axis=1) + np.min((codebook**2).sum(axis=1) - 2 * part @ codebook.T, axis=1)
        for part, codebook in zip(parts.swapaxes(0, 1), codebooks, strict=True)
    ]
    return float(np.sum(squares, dtype=np.float64)) / N


@cache
def error_of_peers(process: ProcessPoolExecutor) -> float:
    names = [peer.name for peer in installed() if peer.pq_fit]
    errors = [quantization_error(process.submit(fit, name).result()) for name in names]
    return min(errors, default=np.inf)


@pytest.mark.parametrize("peer", ["fastcodes", "faiss"], indirect=True)
def test_product_quantizer(contest: Any, peer: Peer, serial_process: ProcessPoolExecutor) -> None:
    """Train on one thread."""
    largest = MAX_ERROR * error_of_peers(serial_process)

    def check(codebooks: Array) -> None:
        assert quantization_error(codebooks) <= largest

    contest(
        peer.name,
        lambda: serial_process.submit(fit, peer.name).result(),
        group=f"ProductQuantizer.fit, {N:,} x {D}, {N_SUBSPACES} x {N_CODEWORDS} codewords",
        check=check,
        amount=PQ_ITERATIONS * N * D * 4,  # each iteration reads the vectors
        unit="bytes",
        needs={"faiss": AHEAD_OF_FAISS} if peer.name == "fastcodes" else None,
    )


def additive(name: str) -> float:
    """Train on 50,000 descriptors, encode 250,000, and return their mean squared error."""
    arrays = datasets.load("sift_photos_u8.npz")
    training, base = arrays["learn"].astype(np.float32), arrays["base"].astype(np.float32)
    if name == "fastcodes":
        model = AdditiveQuantizer(N_CODEBOOKS, random_state=0).fit(training)
        decoded = model.decode(model.encode(base))
    else:
        import faiss

        peer = faiss.LocalSearchQuantizer(base.shape[1], N_CODEBOOKS, 8)
        peer.train(training)
        decoded = peer.decode(peer.compute_codes(base))
    return float(np.square(base - decoded).sum(axis=1, dtype=np.float64).mean())


ERRORS: dict[str, float] = {}


@pytest.mark.parametrize("peer", ["faiss", "fastcodes"], indirect=True)
def test_additive_quantizer(contest: Any, peer: Peer, serial_process: ProcessPoolExecutor) -> None:
    """Train and encode on one thread, with no higher error than faiss."""

    def check(error: float) -> None:
        ERRORS[peer.name] = error
        assert error <= ERRORS.get("faiss", np.inf)

    contest(
        peer.name,
        lambda: serial_process.submit(additive, peer.name).result(),
        group=f"AdditiveQuantizer.fit and encode, 50,000 + 250,000 x 128, {N_CODEBOOKS} x 256 codewords",
        check=check,
        amount=300_000 * 128 * 4,
        unit="bytes",
        needs={"faiss": ADDITIVE_AHEAD_OF_FAISS} if peer.name == "fastcodes" else None,
        once=True,
    )


def test_errors_of_64_bits(capsys: pytest.CaptureFixture[str]) -> None:
    """Compare the errors of quantisers that are trained on the same descriptors."""
    arrays = datasets.load("sift_photos_u8.npz")
    errors = {
        model.__class__.__name__: model.fit(arrays["learn"]).quantization_error(arrays["base"])
        for model in (
            ProductQuantizer(N_CODEBOOKS, random_state=0),
            ResidualQuantizer(N_CODEBOOKS, beam_size=32, random_state=0),
            AdditiveQuantizer(N_CODEBOOKS, random_state=0),
        )
    }
    with capsys.disabled():
        for name, error in errors.items():
            print(f"{name}: mean squared error {error:.0f}, {error / errors['ProductQuantizer'] - 1:+.1%}")
    assert errors["AdditiveQuantizer"] < errors["ResidualQuantizer"] < errors["ProductQuantizer"]
