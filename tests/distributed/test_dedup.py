"""Groups of near-duplicates on a cluster are those of an index in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import distributed
from fastcodes.hashing import MinHash
from fastcodes.index import MinHashIndex

bag = pytest.importorskip("dask.bag", reason="dask is missing: pip install 'fastcodes[distributed]'")

RNG = np.random.default_rng(11)
WORDS = np.array([f"w{i}" for i in range(12)])
# Short texts of few words: copies, near-duplicates, chains of them, and empty ones.
TEXTS = [" ".join(RNG.choice(WORDS, size)) for size in RNG.integers(0, 9, 500)]
TEXTS += [" ".join(WORDS[start : start + 9]) for start in RNG.integers(0, 4, 60)]
LONG = [" ".join(RNG.choice(WORDS, 60)) for _ in range(100)]
TEXTS += LONG + [text[3:] for text in LONG[::3]] + [f"{text} w1 w2" for text in LONG[::2]]


def expected(codec: MinHash | None = None, threshold: float = 0.8, verify: bool = False) -> Any:
    index = MinHashIndex(codec, threshold=threshold)
    index.add(TEXTS)
    return index.groups(verify=TEXTS if verify else None)


@pytest.mark.parametrize("n_partitions", [1, 4])
@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("threshold", [0.3, 0.8, 1])
@pytest.mark.parametrize("codec", [None, MinHash(64, unit="char", shingle_size=4, random_state=3)])
def test_the_groups_are_those_of_an_index(
    codec: MinHash | None, threshold: float, verify: bool, n_partitions: int
) -> None:
    texts = bag.from_sequence(TEXTS, npartitions=n_partitions)
    groups = distributed.dedup(texts, codec=codec, threshold=threshold, verify=verify)
    found = groups.compute()
    right = expected(codec, threshold, verify)
    assert found.dtype == right.dtype
    assert np.array_equal(found, right)
    assert 1 < len(np.unique(right)) < len(TEXTS)


def test_partitions_may_be_more_than_buckets() -> None:
    texts = bag.from_sequence(TEXTS, npartitions=35)
    assert np.array_equal(distributed.dedup(texts).compute(), expected())


def test_partitions_may_be_empty_and_groups_have_their_chunks() -> None:
    texts = bag.from_sequence(TEXTS, npartitions=6).filter(lambda text: "w3" in text or text in LONG)
    texts = bag.concat([bag.from_sequence(["x"]).filter(lambda text: False), texts])
    groups = distributed.dedup(texts)
    kept = texts.compute()
    index = MinHashIndex()
    index.add(kept)
    assert np.array_equal(groups.compute(), index.groups())
    assert groups.npartitions == texts.npartitions == 7
    sizes = texts.map_partitions(lambda part: [len(list(part))]).compute()
    assert groups.compute_chunk_sizes().chunks == (tuple(sizes),)


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ({"text": "a b"}, r"got \{'text': 'a b'\}.*in row 1 of a partition; give texts.pluck"),
        (None, "got None in row 1 of a partition; give them without missing values"),
    ],
)
def test_elements_that_are_no_texts_are_refused(element: Any, message: str) -> None:
    groups = distributed.dedup(bag.from_sequence(["a", element], npartitions=1))
    with pytest.raises(TypeError, match=message):
        groups.compute()


def test_the_column_of_a_data_frame_is_taken() -> None:
    frames = pytest.importorskip("dask.dataframe", exc_type=ImportError)
    pandas = pytest.importorskip("pandas")
    frame = frames.from_pandas(pandas.DataFrame({"text": TEXTS}), npartitions=3)
    assert np.array_equal(distributed.dedup(frame["text"]).compute(), expected())
    with pytest.raises(TypeError, match=r"its column of texts"):
        distributed.dedup(frame)


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("function", ["_distinct", "_items", "_groups"])
def test_a_worker_that_dies_loses_nothing(kill: Callable[..., Path], function: str, verify: bool) -> None:
    killed = kill("fastcodes.distributed._dedup", function, after=0 if function == "_groups" else 2)
    groups = distributed.dedup(bag.from_sequence(TEXTS, npartitions=8), verify=verify).compute()
    assert killed.exists()
    assert np.array_equal(groups, expected(verify=verify))
