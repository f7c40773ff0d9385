"""RetrievalCaptioner: the nearest captions, the consensus among them, files and bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from captioned import CAPTIONS, FEATURES, KINDS, LABELS, captioner
from fastcodes.crossmodal import NotFittedError, RetrievalCaptioner
from fastcodes.hashing import ITQ, RandomHyperplanes

HASHER = RandomHyperplanes(64, random_state=0)


def test_captions_are_of_the_nearest_kind() -> None:
    for kind, captions in zip(KINDS, CAPTIONS, strict=True):
        assert captioner().describe(kind) in captions
        # All eight neighbours are of the kind.
        assert sorted(captioner().candidates(kind)) == sorted(captions)


def test_the_consensus_outvotes_a_nearer_stranger() -> None:
    captions = ["a plane in the sky", "a dog in a park", "the dog in a park", "a dog in the park"]
    x = np.repeat(KINDS[:1], 4, axis=0) + np.linspace(0, 0.01, 4)[:, None]
    one = RetrievalCaptioner(HASHER, n_neighbors=1).fit(x, captions)
    assert one.describe(x[0]) == captions[0]
    several = RetrievalCaptioner(HASHER, n_neighbors=4).fit(x, captions)
    assert "dog" in several.describe(x[0])
    assert several.candidates(x[0])[-1] == captions[0]


def test_empty_captions_are_left_out() -> None:
    made = RetrievalCaptioner(HASHER, n_neighbors=1).fit(KINDS, ["", [], ["", "snow"]])
    assert made.describe(KINDS[0]) == ""
    assert made.describe(KINDS[1]) == ""
    assert made.describe(KINDS[2]) == "snow"


def test_a_second_fit_forgets_the_first() -> None:
    captions = [CAPTIONS[i] for i in LABELS]
    hasher = ITQ(16, random_state=0)
    twice = RetrievalCaptioner(hasher).fit(FEATURES + 5, captions).fit(FEATURES - 5, captions)
    once = RetrievalCaptioner(ITQ(16, random_state=0)).fit(FEATURES - 5, captions)
    assert np.array_equal(twice.codes_, once.codes_)
    assert twice.candidates(FEATURES[0] - 5) == once.candidates(FEATURES[0] - 5)
    assert not hasher.__sklearn_is_fitted__()
    assert twice.fit(FEATURES[:, :16], captions).n_features_in_ == 16
    fitted = ITQ(16, random_state=0).fit(FEATURES)
    assert np.array_equal(RetrievalCaptioner(fitted).fit(FEATURES, captions).codes_, fitted.encode(FEATURES))


def test_a_file_keeps_the_hash_function(tmp_path: Path) -> None:
    made = RetrievalCaptioner(ITQ(16, random_state=0), n_neighbors=3).fit(
        FEATURES, [CAPTIONS[i] for i in LABELS]
    )
    made.save(tmp_path / "captioner.safetensors")
    loaded = RetrievalCaptioner.load(tmp_path / "captioner.safetensors")
    assert loaded.n_neighbors == 3
    assert loaded.captions_ == made.captions_
    for row in FEATURES[:10]:
        assert loaded.candidates(row) == made.candidates(row)


def test_wrong_captions_and_features_are_refused() -> None:
    made = RetrievalCaptioner(HASHER)
    with pytest.raises(NotFittedError):
        made.describe(KINDS[0])
    wrong: list[tuple[Any, Any, str]] = [
        (FEATURES, ["a"] * 3, "captions has 3 entries for 48 pictures"),
        (FEATURES, [""] * 48, "no caption that is not empty"),
        (FEATURES, [3] * 48, r"captions\[0\]"),
        (FEATURES, [[b"a"]] * 48, r"captions\[0\] must be"),
        (FEATURES, "captions", "captions must be a list"),
        (FEATURES, None, "captions must be a list"),
        (FEATURES[0], ["a"] * 24, "features has shape"),
        (FEATURES * np.nan, ["a"] * 48, "not finite"),
    ]
    for features, captions, message in wrong:
        with pytest.raises((TypeError, ValueError), match=message):
            made.fit(features, captions)
    for x in (FEATURES, FEATURES[0, :3], 3.0):
        with pytest.raises(ValueError, match="x must be the features"):
            captioner().describe(x)
    with pytest.raises(ValueError, match="not finite"):
        captioner().describe(KINDS[0] * np.nan)
