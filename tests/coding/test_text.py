"""TextCodec: every string comes back, in as many bytes as its probability says, and captions take few."""

from __future__ import annotations

import copy
import gzip
import itertools
import json
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import _files, coding
from fastcodes.coding import CompressedTexts, NotFittedError, TextCodec
from helpers import data_file
from hypothesis import given
from hypothesis import strategies as st

WORDS = (
    *("a", "the", "man", "woman", "dog", "horse", "on", "with", "in"),
    *("of", "rides", "holds", "eats", "red", "small", "bicycle", "kitchen", "street"),
)


def sentences(n: int, seed: int) -> list[str]:
    """Sentences in which three words, all equally likely, can follow each word."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        word, words = int(rng.integers(len(WORDS))), ["A"]
        for _ in range(rng.integers(4, 10)):
            word = (7 * word + 1 + int(rng.integers(3))) % len(WORDS)
            words.append(WORDS[word])
        made.append(" ".join(words) + ".")
    return made


SEEN, NEW = sentences(1500, 0), sentences(300, 1)
CODEC = TextCodec(model_bytes=1 << 18).fit(SEEN)
ODD = [
    "",
    "\0",
    "\0\0a\0",
    " ",
    "a\r\n",
    "\ud800",
    "x\udfffy",
    "日本語",
    "😀",
    "é" * 100,
    "A man",
    "ABC" * 5000,
]


@given(st.text() | st.text(st.characters(categories=None)) | st.text("a \0mn."))
def test_any_string_comes_back(text: str) -> None:
    code = CODEC.encode(text)
    assert CODEC.decode(code) == text
    assert len(code) <= math.ceil(CODEC.bits([text])[0] / 8) + 1


@given(st.lists(st.text(), max_size=40), st.integers(1, 3))
def test_strings_come_back_together_and_alone(texts: list[str], threads: int) -> None:
    data, offsets = CODEC.encode_many(texts, threads=threads)
    assert (data.dtype, offsets.dtype, offsets.shape) == (np.uint8, np.int64, (len(texts) + 1,))
    codes = [data[start:end].tobytes() for start, end in itertools.pairwise(offsets)]
    assert codes == [CODEC.encode(text) for text in texts]
    assert CODEC.decode_many(data, offsets, threads=threads) == texts
    assert CODEC.decode_many(data.tobytes(), offsets.tolist(), threads=threads) == texts


def test_odd_strings_come_back() -> None:
    assert [CODEC.decode(CODEC.encode(text)) for text in ODD] == ODD
    assert CODEC.decode_many(*CODEC.encode_many(ODD)) == ODD
    assert CODEC.decode_many(*CODEC.encode_many([])) == []


def test_rows_are_decoded_alone() -> None:
    data, offsets = CODEC.encode_many(NEW)
    rows = np.array([5, 0, 299, -1, -300])
    assert CODEC.decode_many(data, offsets, rows=rows) == [NEW[row] for row in rows]
    assert CODEC.decode_many(data, offsets, rows=[]) == []
    # Other codes may be damaged.
    spoiled = data.copy()
    spoiled[offsets[1] :] = 255
    assert CODEC.decode_many(spoiled, offsets, rows=[0]) == NEW[:1]


def test_code_lengths_are_near_the_entropy() -> None:
    bits = CODEC.bits(NEW)
    entropy = math.log2(6) + math.log2(len(WORDS)) + 5.5 * math.log2(3)
    assert entropy - 0.3 < bits.mean() < 1.05 * entropy
    lengths = np.diff(CODEC.encode_many(NEW)[1])
    assert (lengths <= np.ceil(bits / 8) + 1).all()
    # Zeros at the end are left out, so a code can be shorter than its code length.
    assert (lengths >= bits / 8 - 3).all()
    assert lengths.mean() < bits.mean() / 8 + 0.6


def test_unexpected_strings_grow_little() -> None:
    rng = np.random.default_rng(2)
    for length in (0, 1, 10, 1000):
        text = rng.bytes(length).decode("latin-1")
        n_bytes = len(text.encode())
        assert len(CODEC.encode(text)) <= n_bytes + n_bytes // 1000 + 4


def test_a_model_of_more_bytes_predicts_better_and_none_exceeds_its_bytes(tmp_path: Path) -> None:
    seen = sentences(20_000, 3)
    bits = []
    for model_bytes in (1 << 17, 1 << 20):
        codec = TextCodec(model_bytes).fit(seen)
        codec.save(tmp_path / "codec.safetensors")
        assert codec.nbytes <= (tmp_path / "codec.safetensors").stat().st_size <= model_bytes
        bits.append(codec.bits(NEW).mean())
    assert bits[1] < bits[0] + 0.01


def test_a_saved_model_makes_the_same_codes(tmp_path: Path) -> None:
    path = tmp_path / "codec.safetensors"
    CODEC.save(path)
    data, offsets = CODEC.encode_many(NEW)
    for same in (TextCodec.load(path), copy.deepcopy(CODEC), pickle.loads(pickle.dumps(CODEC))):
        assert same.get_params() == CODEC.get_params()
        found, ends = same.encode_many(NEW)
        assert np.array_equal(found, data)
        assert np.array_equal(ends, offsets)
        assert same.decode_many(data, offsets) == NEW
    again = TextCodec(model_bytes=1 << 18).fit(iter(SEEN), threads=2)
    assert np.array_equal(again.encode_many(NEW)[0], data)


def test_an_invalid_model_in_a_file_is_refused() -> None:
    params, arrays = CODEC.to_state()
    model = arrays["model"]
    for wrong in (model[:-1], model[:100], np.append(model, np.uint8(0)), model[::-1], model[:0]):
        with pytest.raises(ValueError, match="no text model"):
            TextCodec.from_state(params, {"model": wrong})
    with pytest.raises(ValueError, match="model"):
        TextCodec.from_state(params, {"model": model.astype(np.int64)})
    with pytest.raises(ValueError, match="model_bytes"):
        TextCodec.from_state({"model_bytes": 3}, arrays)


@pytest.mark.parametrize("mmap", [False, True])
def test_stored_strings_are_read_as_in_numpy(mmap: bool, tmp_path: Path) -> None:
    path = tmp_path / "texts.safetensors"
    CODEC.compress(NEW).save(path)
    texts, expected = CompressedTexts.load(path, mmap=mmap), np.array(NEW, object)
    assert len(texts) == len(NEW)
    assert (texts[3], texts[-1]) == (NEW[3], NEW[-1])
    mask = np.arange(300) % 7 == 2
    for rows in (slice(None), slice(250, None, -9), [5, 0, -1, 5], [], mask, mask.tolist()):
        assert texts[rows] == expected[rows].tolist()
    for wrong in (300, -301, [0, 300], mask[:-1], np.zeros((300, 1), bool)):
        with pytest.raises(IndexError, match="rows"):
            texts[wrong]


@pytest.mark.parametrize("mmap", [False, True])
def test_stored_strings_are_read_only_with_their_model(mmap: bool, tmp_path: Path) -> None:
    own, beside, spoiled = (tmp_path / name for name in ("own", "beside", "spoiled"))
    texts, other = CODEC.compress(NEW), TextCodec(1 << 17).fit(SEEN[:100])
    texts.save(own)
    texts.save(beside, with_model=False)
    for path in (own, beside):
        assert CompressedTexts.load(path, codec=copy.deepcopy(CODEC), mmap=mmap)[:] == NEW
        with pytest.raises(ValueError, match="encoded by another codec"):
            CompressedTexts.load(path, codec=other, mmap=mmap)
        with pytest.raises(NotFittedError, match=r"^This TextCodec"):
            CompressedTexts.load(path, codec=TextCodec(), mmap=mmap)
        with pytest.raises(TypeError, match=r"^codec must be a TextCodec; got 3"):
            CompressedTexts.load(path, codec=3, mmap=mmap)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"beside' has no model; give the codec .*codec="):
        CompressedTexts.load(beside, mmap=mmap)
    # A whole file, whose model is a valid one but not that of its strings.
    params, arrays = _files.read(own, "CompressedTexts")
    _files.write(spoiled, "CompressedTexts", params, arrays | other._to_arrays())
    for codec in (None, CODEC, other):
        with pytest.raises(ValueError, match="its model is not the one of its strings"):
            CompressedTexts.load(spoiled, codec=codec, mmap=mmap)


def test_the_bits_of_an_unexpected_string_are_those_of_its_bytes() -> None:
    text = np.random.default_rng(2).bytes(1000).decode("latin-1")
    n_bytes = len(text.encode())
    spelled = n_bytes * (8 + math.log2(1024 / 1023)) + 8 + 10
    assert CODEC.bits([text])[0] == pytest.approx(spelled, abs=1e-6)


def decoded(code: bytes) -> str | None:
    """Return the string of a code, None for bytes that are refused as they should be."""
    try:
        return CODEC.decode(code)
    except ValueError as caught:
        error = caught
    if not re.search("^data has a code of .*; expected (bytes that this model encoded|codes)", str(error)):
        raise error
    return None


@given(st.binary(max_size=40))
def test_any_bytes_are_a_string_or_an_error(data: bytes) -> None:
    text = decoded(data)
    # A string that the model can predict has one code, and none has a shorter one that is not used.
    assert text is None or len(CODEC.encode(text)) <= len(data)


def test_truncated_and_altered_codes_are_errors_or_other_strings() -> None:
    text = f"{NEW[0]} {NEW[1]}"
    code = CODEC.encode(text)
    found = []
    for place in range(len(code)):
        altered = bytearray(code)
        altered[place] ^= 64
        found += [decoded(bytes(altered)), decoded(code[:place]), decoded(code + b"\0")]
    assert text not in found
    assert found.count(None) >= len(code)


def test_wrong_arguments_are_errors() -> None:
    data, offsets = CODEC.encode_many(NEW[:3])
    calls: list[tuple[type[Exception], str, Any]] = [
        (
            TypeError,
            r"texts must be strings; got b'a' of type bytes as text 1",
            lambda: CODEC.bits(["a", b"a"]),
        ),
        (TypeError, "texts must be a list", lambda: CODEC.encode_many("abc")),
        (TypeError, "text must be a str; got 3", lambda: CODEC.encode(3)),  # type: ignore[arg-type]
        (ValueError, "row 0; expected at most 262144 bytes", lambda: CODEC.encode("a" * ((1 << 18) + 1))),
        (ValueError, "texts have 0 strings; expected at least 1", lambda: TextCodec().fit([])),
        (ValueError, "model_bytes must be an integer from 131072", lambda: TextCodec(1000).fit(["a"])),
        (ValueError, "offsets has", lambda: CODEC.decode_many(data, offsets + 1)),
        (ValueError, "offsets has", lambda: CODEC.decode_many(data, offsets[::-1])),
        (ValueError, "offsets is empty", lambda: CODEC.decode_many(data, [])),
        (ValueError, "offsets of these rows", lambda: CODEC.decode_many(data, offsets[::-1], rows=[1])),
        (ValueError, "offsets is empty", lambda: CODEC.decode_many(data, [], rows=[])),
        (IndexError, "rows has 3,", lambda: CODEC.decode_many(data, offsets, rows=[0, 3])),
        (IndexError, "rows has -4", lambda: CODEC.decode_many(data, offsets, rows=[-4])),
        (TypeError, "rows", lambda: CODEC.decode_many(data, offsets, rows=[0.5])),
        (TypeError, "data must be bytes", lambda: CODEC.decode("abc")),  # type: ignore[arg-type]
        (ValueError, r"data must have one dimension; got shape \(1, ", lambda: CODEC.decode(data[None])),
        (TypeError, "data must be bytes, or .*int64", lambda: CODEC.decode(data.astype(int))),
    ]
    for kind, message, call in calls:
        with pytest.raises(kind, match=message):
            call()
    for method in ("encode", "decode", "encode_many", "bits"):
        with pytest.raises(NotFittedError, match="not fitted"):
            getattr(TextCodec(), method)("a" if method == "encode" else b"a" if method == "decode" else ["a"])
    with pytest.raises(NotFittedError):
        TextCodec().decode_many(data, offsets)
    assert coding.NotFittedError is NotFittedError


# --- captions -----------------------------------------------------------------------------------------------


def captions() -> tuple[list[str], list[str]]:
    """Captions of COCO to learn from, and those of other images."""
    with gzip.open(data_file("coco_captions_val2017.json.gz")) as file:
        annotations = json.load(file)["annotations"]
    images = sorted({annotation["image_id"] for annotation in annotations})
    rng = np.random.default_rng(0)
    test = {images[i] for i in rng.permutation(len(images))[:1000]}
    parts: tuple[list[str], list[str]] = ([], [])
    for annotation in annotations:
        parts[annotation["image_id"] in test].append(annotation["caption"])
    order = rng.permutation(len(parts[0]))
    return [parts[0][i] for i in order], parts[1]


def test_captions_take_few_bytes() -> None:
    seen, new = captions()
    assert len(new) == 5002
    codec = TextCodec(model_bytes=1 << 22).fit(seen[:10_000])
    data, offsets = codec.encode_many(new)
    assert codec.decode_many(data, offsets) == new
    # Of 52.4 bytes on average; all 20,012 captions and a model of 2**24 bytes give 8.4.
    assert len(data) / len(new) < 9.5
