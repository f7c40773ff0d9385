"""MinHash as a model: texts and sets, parameters, band keys, saved files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import _files, minhash
from fastcodes.hashing import MinHash
from fastcodes.index import MinHashIndex
from helpers import same

TEXTS = ["the cat sat on the mat", "The cat, sat on the mat!", "something else entirely, no cats", ""]


def test_the_model_takes_texts_sets_and_arrays() -> None:
    model = MinHash(64, random_state=5)
    found = model.encode(TEXTS)
    assert np.array_equal(found, model.encode(model.shingles(TEXTS)))
    words = [oracles.shingles(text) for text in TEXTS]
    assert np.array_equal(found, model.encode(words))
    assert np.array_equal(found, model.encode([set(part) for part in words]))
    similarity, error = model.estimate(found, found)
    assert similarity[0, 1] == 1
    assert similarity[0, 2] == 0
    assert np.array_equal(error, np.sqrt(similarity * (1 - similarity) / 64))
    assert model.encode([]).shape == (0, 64)
    char = MinHash(64, unit="char", shingle_size=5, lowercase=False, random_state=5)
    assert np.array_equal(
        char.encode(TEXTS), char.encode([oracles.shingles(text, 5, "char", False) for text in TEXTS])
    )
    with pytest.raises(TypeError, match="text 1 must be a str"):
        model.encode(["a", ["b"]])
    with pytest.raises(TypeError, match="set 1 must be a list"):
        model.encode([["b"], "a"])


def test_the_model_follows_the_scikit_learn_api() -> None:
    base = pytest.importorskip("sklearn.base")
    pipeline = pytest.importorskip("sklearn.pipeline")
    model = MinHash(32, b_bits=2, random_state=7)
    assert repr(model) == "MinHash(n_hashes=32, b_bits=2, random_state=7)"
    assert not hasattr(model, "seed_")
    codes = model.fit(TEXTS).transform(TEXTS)
    assert codes.shape == (4, 8)
    copy = base.clone(model)
    assert not hasattr(copy, "seed_")
    assert np.array_equal(copy.encode(TEXTS), codes)
    assert np.array_equal(pipeline.make_pipeline(base.clone(model)).fit_transform(TEXTS), codes)
    assert model.set_params(n_hashes=16).encode(TEXTS).shape == (4, 4)
    # Another state gives other functions; None gives new ones at each fit, and keeps them until the next.
    assert not np.array_equal(MinHash(32, b_bits=2, random_state=8).encode(TEXTS), codes)
    fresh = MinHash(random_state=None)
    assert np.array_equal(fresh.encode(TEXTS), fresh.encode(TEXTS))
    assert fresh.seed_ != fresh.fit().seed_


def test_an_integer_random_state_is_the_seed_of_the_functions(tmp_path: Path) -> None:
    sets = [text.split() for text in TEXTS]
    for seed in (0, 7, np.int64(7), 2**64 - 1):
        model = MinHash(64, random_state=seed)
        assert same(model.encode(sets), minhash.signatures(sets, n_hashes=64, seed=int(seed)))
        assert same(model.encode(TEXTS), minhash.text_signatures(TEXTS, n_hashes=64, seed=int(seed)))
        model.save(tmp_path / "model")
        assert MinHash.load(tmp_path / "model").seed_ == seed
    assert same(MinHash().encode(sets), minhash.signatures(sets))
    with pytest.raises(ValueError, match="random_state must be an integer from 0 to 18446744073709551615"):
        MinHash(random_state=2**64).fit()
    drawn = MinHash(random_state=np.random.default_rng(0)).fit().seed_
    assert drawn == MinHash(random_state=np.random.default_rng(0)).fit().seed_ != 0


def test_an_index_finds_sets_among_signatures_of_the_function() -> None:
    sets = [set(range(i, i + 40)) for i in range(0, 400, 40)]
    index = MinHashIndex()
    index.add_codes(minhash.signatures(sets))
    offsets, distances, ids = index.query(sets)
    assert offsets.tolist() == list(range(11))
    assert ids.tolist() == list(range(10))
    assert not distances.any()


@pytest.mark.parametrize(
    "params", [{"one_permutation": [[[]]]}, {"threads": {}}, {"n_hashes": "1"}, {"lowercase": None}]
)
def test_a_file_with_wrong_parameters_is_refused(params: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "model"
    MinHash(16).fit().save(path)
    kept, arrays = _files.read(path, "MinHash")
    _files.write(path, "MinHash", kept | params, arrays)
    with pytest.raises(ValueError, match="is not a valid MinHash file"):
        MinHash.load(path)


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"n_hashes": 0}, ValueError, "n_hashes must be an integer from 1 to 8192; got 0"),
        ({"n_hashes": 1.5}, TypeError, "n_hashes must be an integer"),
        ({"b_bits": 17}, ValueError, "b_bits must be an integer from 1 to 16; got 17"),
        ({"unit": "line"}, ValueError, 'unit must be "word" or "char"'),
        ({"shingle_size": 0}, ValueError, "size must be an integer from 1 to 1024"),
        ({"lowercase": 1}, TypeError, "lowercase must be True or False"),
        ({"one_permutation": None}, TypeError, "one_permutation must be True or False"),
        ({"random_state": "x"}, (TypeError, ValueError), "random_state must be"),
    ],
)
def test_wrong_parameters_are_errors_when_they_are_used(params: Any, error: Any, words: str) -> None:
    model = MinHash(**params)
    with pytest.raises(error, match=words):
        model.encode(TEXTS)
    with pytest.raises(ValueError, match="threads must be an integer from 1 up"):
        MinHash().encode(TEXTS, threads=0)


def test_band_keys_are_those_of_all_bits() -> None:
    keys = MinHash(b_bits=1, random_state=3).band_keys(TEXTS, 20, 5, threads=1)
    assert same(keys, minhash.band_keys(MinHash(random_state=3).encode(TEXTS), 20, 5))


def test_codes_of_other_models_are_refused() -> None:
    model = MinHash(64, b_bits=2)
    codes = model.encode(TEXTS)
    for other in (MinHash(64), MinHash(32, b_bits=2), MinHash(64, b_bits=3)):
        with pytest.raises((TypeError, ValueError)):
            other.estimate(codes, codes)


def test_models_are_saved_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = MinHash(48, b_bits=3, random_state=np.random.default_rng(3), unit="char", shingle_size=4)
    with pytest.raises(ValueError, match="not fitted"):
        model.save(path)
    codes = model.encode(TEXTS)
    model.save(path)
    assert np.array_equal(MinHash.load(path).encode(TEXTS), codes)


def test_files_that_are_cut_short_or_altered_are_refused(tmp_path: Path) -> None:
    path, bad = tmp_path / "model", tmp_path / "bad"
    MinHash(16).fit().save(path)
    content = path.read_bytes()
    for length in (0, 5, len(content) // 2, len(content) - 1):
        bad.write_bytes(content[:length])
        with pytest.raises(ValueError, match="not a valid"):
            MinHash.load(bad)
    for place in range(8, len(content), max(1, len(content) // 60)):
        bad.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(ValueError, match="not a valid"):
            MinHash.load(bad)
    with pytest.raises(FileNotFoundError):
        MinHash.load(tmp_path / "none")
