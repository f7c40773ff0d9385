"""fastcodes.minhash against datasketch and rensa: signatures of arrays and of strings."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from fastcodes import minhash
from fastcodes._typing import Array

K = 128
N_SETS = 200
N_TOKENS = 1000
N_SETS_OF_DATASKETCH = 10  # enough for its throughput
SIMILARITY = 0.5
TOLERANCE = 0.02  # of the mean of 100 estimates, whose standard error is below 0.005
AHEAD = {"arrays": {"datasketch": 200.0, "rensa": 1.5}, "strings": {"datasketch": 150.0, "rensa": 1.0}}


@pytest.fixture(scope="module", autouse=True)
def rensa_on_one_thread() -> Iterator[None]:
    # rensa reads the variable at its first call.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYON_NUM_THREADS", "1")
        yield


def token_sets() -> Array:
    """Return sets of random tokens, in pairs of a known similarity."""
    common = round(N_TOKENS * 2 * SIMILARITY / (1 + SIMILARITY))
    tokens = np.random.default_rng(0).integers(0, 2**64, (N_SETS, N_TOKENS), dtype=np.uint64)
    tokens[1::2, :common] = tokens[0::2, :common]
    return tokens


def check_unbiased(signatures: Any) -> None:
    rows = np.asarray(signatures)
    # The mean of fewer estimates has a larger error.
    n_pairs = len(rows) // 2
    estimates = (rows[0::2] == rows[1::2]).mean(axis=1)
    assert abs(estimates.mean() - SIMILARITY) < TOLERANCE * np.sqrt(N_SETS / 2 / n_pairs)


def rows_of(matrix: Any) -> Array:
    return np.array(matrix.to_rows(), np.uint32)


def by_datasketch(sets: list[list[Any]], hash_of: Callable[[Any], int] | None) -> Array:
    datasketch = pytest.importorskip("datasketch")
    options = {} if hash_of is None else {"hashfunc": hash_of}
    signatures = []
    for tokens in sets:
        sketch = datasketch.MinHash(num_perm=K, seed=1, **options)
        sketch.update_batch(tokens)
        signatures.append(sketch.hashvalues)
    return np.array(signatures)


def contenders(kind: str) -> dict[str, tuple[Callable[[], Any], Callable[[Any], Array], int]]:
    """Return calls, functions from their answers to rows, and numbers of sets."""
    tokens = token_sets()
    flat, ends = tokens.reshape(-1), np.arange(0, tokens.size + 1, N_TOKENS)
    itself = np.asarray
    if kind == "arrays":
        sets, few = list(tokens), [[int(token) for token in row] for row in tokens[:N_SETS_OF_DATASKETCH]]
        unsigned = ends.astype(np.uint64)
        return {
            "fastcodes": (partial(minhash.signatures, flat, ends, n_hashes=K, threads=1), itself, N_SETS),
            "fastcodes, one permutation": (
                partial(minhash.signatures, flat, ends, n_hashes=K, one_permutation=True, threads=1),
                itself,
                N_SETS,
            ),
            "datasketch": (
                partial(by_datasketch, few, lambda token: token >> 32),
                itself,
                N_SETS_OF_DATASKETCH,
            ),
            "rensa": (lambda: rensa().digest_matrix_from_token_hash_sets(sets, K, 1), rows_of, N_SETS),
            "rensa, one buffer": (
                lambda: rensa().digest_matrix_from_flat_token_hashes(flat, unsigned, K, 1),
                rows_of,
                N_SETS,
            ),
        }
    strings = [[f"{token:x}"[:12] for token in row] for row in tokens.tolist()]
    encoded = [[string.encode() for string in row] for row in strings[:N_SETS_OF_DATASKETCH]]
    return {
        "fastcodes": (partial(minhash.signatures, strings, n_hashes=K, threads=1), itself, N_SETS),
        "fastcodes, one permutation": (
            partial(minhash.signatures, strings, n_hashes=K, one_permutation=True, threads=1),
            itself,
            N_SETS,
        ),
        "datasketch": (partial(by_datasketch, encoded, None), itself, N_SETS_OF_DATASKETCH),
        "rensa": (lambda: rensa().digest_matrix_from_token_sets(strings, K, 1), rows_of, N_SETS),
    }


def rensa() -> Any:
    return pytest.importorskip("rensa").RMinHash


NAMES = {
    "arrays": ["fastcodes", "fastcodes, one permutation", "datasketch", "rensa", "rensa, one buffer"],
    "strings": ["fastcodes", "fastcodes, one permutation", "datasketch", "rensa"],
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in NAMES.items() for name in names])
def test_signatures(contest: Any, kind: str, name: str) -> None:
    call, to_rows, n_sets = contenders(kind)[name]
    contest(
        name,
        call,
        group=f"minhash.signatures, {K} hashes, {N_SETS} sets of {N_TOKENS} tokens, {kind}",
        check=lambda answer: check_unbiased(to_rows(answer)),
        amount=float(n_sets * N_TOKENS),
        unit="tokens",
        # rensa's scheme is like one permutation: one hash per token, and more for empty slots.
        needs=AHEAD[kind] if name.startswith("fastcodes") else None,
    )
