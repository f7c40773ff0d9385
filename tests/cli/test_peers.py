"""Every installed peer computes the same distances and codes as fastcodes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastcodes.cli.measure import agree, random_codes, random_pq, sparse_codes
from fastcodes.cli.peers import Peer, contestants

FASTCODES, *PEERS = contestants()


def peers_with(*operations: str) -> Any:
    """Parametrise a test by the peers that have all of these operations."""
    able = [one for one in PEERS if all(getattr(one, operation) for operation in operations)]
    return pytest.mark.parametrize("peer", [pytest.param(one, id=one.name) for one in able])


def check_search(peer: Peer, family: str, make: Callable[..., np.ndarray]) -> None:
    codes, queries = make(300, 32), make(10, 32, seed=1)
    mine, theirs = (one.knn(family)(codes, 1)(queries, 5)[0] for one in (FASTCODES, peer))
    assert agree(mine, theirs)


@peers_with("hamming_knn")
def test_hamming_searches_agree(peer: Peer) -> None:
    check_search(peer, "hamming", random_codes)


@peers_with("jaccard_knn")
def test_jaccard_searches_agree(peer: Peer) -> None:
    check_search(peer, "jaccard", sparse_codes)


@peers_with("hamming_cdist")
def test_matrices_agree(peer: Peer) -> None:
    a, b = random_codes(10, 32), random_codes(30, 32, seed=1)
    assert agree(FASTCODES.hamming_cdist(a, b, 1)(), peer.hamming_cdist(a, b, 1)())


@peers_with("adc_knn")
def test_searches_of_product_quantised_codes_agree(peer: Peer) -> None:
    codebooks, codes, queries = random_pq(300, 4, n_queries=10)
    mine, theirs = (one.adc_knn(codebooks, codes, 1)(queries, 5)[0] for one in (FASTCODES, peer))
    assert agree(mine, theirs)


@peers_with("adc_encode")
def test_product_quantised_codes_agree(peer: Peer) -> None:
    codebooks, _, vectors = random_pq(300, 4, n_queries=10)
    mine, theirs = (one.adc_encode(vectors, codebooks, 1) for one in (FASTCODES, peer))
    np.testing.assert_array_equal(mine, theirs)


@peers_with("pq_fit")
@pytest.mark.parametrize("rotate", [False, True])
def test_trained_codebooks_have_one_layout(peer: Peer, rotate: bool) -> None:
    vectors = np.random.default_rng(0).standard_normal((800, 8), np.float32)
    for one in (FASTCODES, peer):
        codebooks, rotation = one.pq_fit(vectors, 2, 16, rotate, 0)
        assert codebooks.shape == (2, 16, 4)
        assert (rotation is not None) == rotate
        if rotation is not None:
            np.testing.assert_allclose(rotation @ rotation.T, np.eye(8), atol=1e-4)
