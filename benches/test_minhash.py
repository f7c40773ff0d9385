"""fastcodes.minhash against datasketch and rensa: signatures of arrays and of strings, near-duplicates."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from fastcodes import minhash
from fastcodes.cli.peers import Array
from fastcodes.index import MinHashIndex

K = 128
N_SETS = 200
N_TOKENS = 1000
N_BY_DATASKETCH = 10  # sets that tell its rate
SIMILARITY = 0.5
# Of the mean of 100 estimates, whose standard error is below 0.005.
TOLERANCE = 0.02
AHEAD = {"arrays": {"datasketch": 200.0, "rensa": 1.5}, "strings": {"datasketch": 150.0, "rensa": 1.0}}

N_DOCUMENTS = {"fastcodes": 100_000, "datasketch": 10_000}  # a tenth tells its rate
N_WORDS = 100
COPIED = 0.1
THRESHOLD = 0.8
AHEAD_OF_LSH = 20.0


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    # rensa reads it at its first call.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYON_NUM_THREADS", "1")
        yield


def token_sets() -> Array:
    """Give sets of random tokens, of which two by two share so many that their similarity is known."""
    common = round(N_TOKENS * 2 * SIMILARITY / (1 + SIMILARITY))
    tokens = np.random.default_rng(0).integers(0, 2**64, (N_SETS, N_TOKENS), dtype=np.uint64)
    tokens[1::2, :common] = tokens[0::2, :common]
    return tokens


def check_unbiased(signatures: Any) -> None:
    rows = np.asarray(signatures)
    # A peer that is given fewer sets tells less.
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
    """Give calls, what makes rows of their answers, and how many sets they take."""
    tokens = token_sets()
    flat, ends = tokens.reshape(-1), np.arange(0, tokens.size + 1, N_TOKENS)
    itself = np.asarray
    if kind == "arrays":
        sets, few = list(tokens), [[int(token) for token in row] for row in tokens[:N_BY_DATASKETCH]]
        unsigned = ends.astype(np.uint64)
        return {
            "fastcodes": (partial(minhash.signatures, flat, ends, K, threads=1), itself, N_SETS),
            "fastcodes, one permutation": (
                partial(minhash.signatures, flat, ends, K, one_permutation=True, threads=1),
                itself,
                N_SETS,
            ),
            "datasketch": (partial(by_datasketch, few, lambda token: token >> 32), itself, N_BY_DATASKETCH),
            "rensa": (lambda: rensa().digest_matrix_from_token_hash_sets(sets, K, 1), rows_of, N_SETS),
            "rensa, one buffer": (
                lambda: rensa().digest_matrix_from_flat_token_hashes(flat, unsigned, K, 1),
                rows_of,
                N_SETS,
            ),
        }
    strings = [[f"{token:x}"[:12] for token in row] for row in tokens.tolist()]
    encoded = [[string.encode() for string in row] for row in strings[:N_BY_DATASKETCH]]
    return {
        "fastcodes": (partial(minhash.signatures, strings, None, K, threads=1), itself, N_SETS),
        "fastcodes, one permutation": (
            partial(minhash.signatures, strings, None, K, one_permutation=True, threads=1),
            itself,
            N_SETS,
        ),
        "datasketch": (partial(by_datasketch, encoded, None), itself, N_BY_DATASKETCH),
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
        # rensa's scheme is of the second kind: one hash of each token, more for slots left empty.
        needs=AHEAD[kind] if name.startswith("fastcodes") else None,
    )


# --- near-duplicates, from texts to pairs -------------------------------------------------------------------


def documents(n: int) -> tuple[list[str], set[tuple[int, int]]]:
    """Give texts of random words, and which are copies of which but for a word at an end."""
    rng = np.random.default_rng(1)
    vocabulary = [f"word{i}" for i in range(50_000)]
    numbers = rng.integers(0, len(vocabulary), (n, N_WORDS)).tolist()
    texts = [" ".join(vocabulary[number] for number in row) for row in numbers]
    places = rng.permutation(n)[: 2 * round(COPIED * n)].reshape(-1, 2)
    for original, copy in places.tolist():
        texts[copy] = texts[original] + " more"
    return texts, {(min(pair), max(pair)) for pair in places.tolist()}


def pairs_by_fastcodes(texts: list[str]) -> set[tuple[int, int]]:
    index = MinHashIndex(threshold=THRESHOLD)
    index.model.set_params(threads=1)
    index.add(texts)
    i, j, _ = index.pairs()
    return set(zip(i.tolist(), j.tolist(), strict=True))


def pairs_by_datasketch(texts: list[str]) -> set[tuple[int, int]]:
    datasketch = pytest.importorskip("datasketch")
    index = datasketch.MinHashLSH(threshold=THRESHOLD, num_perm=K)
    pairs = set()
    for number, text in enumerate(texts):
        words = text.lower().split()
        shingles = {" ".join(words[i : i + 3]).encode() for i in range(len(words) - 2)}
        sketch = datasketch.MinHash(num_perm=K, seed=1)
        sketch.update_batch(shingles)
        pairs |= {(other, number) for other in index.query(sketch)}
        index.insert(number, sketch)
    return pairs


@pytest.mark.parametrize("name", ["fastcodes", "datasketch"])
def test_near_duplicates(contest: Any, name: str) -> None:
    n = N_DOCUMENTS[name]
    texts, truth = documents(n)
    call = {"fastcodes": pairs_by_fastcodes, "datasketch": pairs_by_datasketch}[name]

    def check(found: set[tuple[int, int]]) -> None:
        assert len(found & truth) >= 0.99 * len(truth)
        assert len(found - truth) <= 0.01 * len(truth)

    contest(
        name,
        partial(call, texts),
        group=f"near-duplicates among {N_DOCUMENTS['fastcodes']} texts of {N_WORDS} words",
        check=check,
        amount=float(n * N_WORDS),
        unit="tokens",
        needs={"datasketch": AHEAD_OF_LSH} if name == "fastcodes" else None,
    )
