"""fastcodes.quantization: training of product quantisers against faiss."""

from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
from fastcodes._typing import Array
from fastcodes.cli.peers import PQ_ITERATIONS, Peer, contestants, installed

N, D = 50_000, 128
N_SUBSPACES, N_CODEWORDS = 16, 256
AHEAD_OF_FAISS = 1.0
MAX_ERROR = 1.01  # times that of the codebooks of faiss


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
