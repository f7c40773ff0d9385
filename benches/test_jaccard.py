"""fastcodes.jaccard against usearch, NumKong and numpy on sparse fingerprints like those of molecules."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest
from fastcodes._typing import Array
from fastcodes.cli.measure import random_codes, sparse_codes
from fastcodes.cli.peers import Peer, installed

N = 1_000_000
N_QUERIES = 100
N_BYTES = 256
K = 10
AHEAD_OF_USEARCH = 10.0
N_CHECKED = 2  # queries whose distances are checked by numpy, which is too slow for all

peers = partial(pytest.mark.parametrize, "peer", indirect=True)


def unrelated() -> Array:
    """Return fingerprints of independent bits: none are similar, so that no bound skips a code."""
    return sparse_codes(N + N_QUERIES, N_BYTES)


def families() -> Array:
    """Return fingerprints in families of about 200 that take half of their bits from a common scaffold."""
    scaffolds = sparse_codes((N + N_QUERIES) // 200, N_BYTES, seed=2)
    scaffolds = scaffolds & random_codes(*scaffolds.shape, seed=3)
    own = unrelated()
    own &= random_codes(*own.shape, seed=4)
    own |= scaffolds[np.random.default_rng(5).integers(0, len(scaffolds), len(own))]
    return own


SHAPES: dict[str, Callable[[], Array]] = {"unrelated": unrelated, "in families": families}


@lru_cache(maxsize=1)
def fingerprints(shape: str) -> tuple[Array, Array, Array]:
    """Return queries, codes, and the distances of the first queries computed by numpy."""
    made = SHAPES[shape]()
    queries, codes = made[:N_QUERIES], made[N_QUERIES:]
    search_by_numpy = installed()[0].jaccard_knn
    assert search_by_numpy is not None
    return queries, codes, search_by_numpy(codes, 1)(queries[:N_CHECKED], K)[0]


def check_distances(expected: Array, answer: tuple[Array, Array]) -> None:
    # The libraries differ by at most three roundings to float32.
    np.testing.assert_allclose(answer[0][: len(expected)], expected[: len(answer[0])], rtol=0, atol=2e-7)


def knn_contest(contest: Any, peer: Peer, shape: str, n_queries: int) -> None:
    queries, codes, expected = fingerprints(shape)
    assert peer.jaccard_knn is not None
    search = peer.jaccard_knn(codes, 1)
    is_ours = peer.name == "fastcodes"
    asked = "1 query" if n_queries == 1 else f"{n_queries} queries"
    contest(
        peer.name,
        lambda: search(queries[:n_queries], K),
        group=f"jaccard.knn, {asked}, 2048-bit sparse fingerprints, {shape}",
        check=partial(check_distances, expected[:n_queries]),
        amount=n_queries * N,
        unit="distances",
        needs={"usearch": AHEAD_OF_USEARCH} if is_ours and n_queries > 1 else None,
        bytes_per_unit=N_BYTES if is_ours and n_queries > 1 else None,
    )


@pytest.mark.parametrize("shape", SHAPES)
@peers(["fastcodes", "usearch", "numkong"])
def test_many_queries(contest: Any, peer: Peer, shape: str) -> None:
    knn_contest(contest, peer, shape, N_QUERIES)


@pytest.mark.parametrize("shape", SHAPES)
@peers(["fastcodes", "usearch", "numkong", "numpy"])
def test_one_query(contest: Any, peer: Peer, shape: str) -> None:
    knn_contest(contest, peer, shape, 1)
