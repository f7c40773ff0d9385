"""BLEU and CIDEr: published examples, slow definitions and theorems."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from fastcodes import metrics
from fastcodes.metrics._captions import words

WORDS = [f"w{i}" for i in range(12)]
RNG = np.random.default_rng(0)


def sentences(n: int) -> list[str]:
    return [" ".join(RNG.choice(WORDS, RNG.integers(1, 9))) for _ in range(n)]


REFERENCES = [sentences(5) for _ in range(30)]
CAPTIONS = [several[0] if i % 3 else sentences(1)[0] for i, several in enumerate(REFERENCES)]


def grams(text: str, n: int) -> list[tuple[str, ...]]:
    split = text.split()
    return [tuple(split[i : i + n]) for i in range(len(split) - n + 1)]


def test_words_are_lower_case_without_punctuation() -> None:
    assert words("The man's 2 dogs, (one black) run -- ÉTÉ! snow_man") == [
        *["the", "man's", "2", "dogs", "one", "black", "run", "été", "snow", "man"]
    ]


def test_marks_continue_words_and_composed_letters_are_equal() -> None:
    assert words("हिन्दी की किताब") == ["हिन्दी", "की", "किताब"]
    assert words("\u0301 a\u0323\u0307b' 'c") == ["\u1ea1\u0307b", "c"]
    assert words("日本語の本") == ["日本語の本"]
    assert metrics.bleu([["की"]], ["का"], n=1) == 0
    for one, other in [("le café noir", "le cafe\u0301 noir"), ("İZMİR'DE", "I\u0307ZMI\u0307R'DE")]:
        assert metrics.bleu([[one]], [other], n=1) == metrics.bleu([[other]], [one], n=1) == 1


def test_words_of_ascii_are_those_of_an_expression() -> None:
    for _ in range(300):
        text = "".join(RNG.choice(list("abZ09_' -.\u2019"), 30))
        assert words(text) == re.findall(r"[^\W_]+(?:['\u2019][^\W_]+)*", text.lower())


def test_the_examples_of_the_paper_on_bleu() -> None:
    # Papineni et al., section 2.1: 2/7; candidate 1 has 17 of 18 words right, candidate 2 has 8 of 14.
    cat = [["The cat is on the mat.", "There is a cat on the mat."]]
    assert math.isclose(metrics.bleu(cat, ["the the the the the the the."], n=1), 2 / 7)
    guide = [
        [
            "It is a guide to action that ensures that the military will forever heed Party commands.",
            "It is the guiding principle which guarantees the military forces always being under the command "
            "of the Party.",
            "It is the practical guide for the army always to heed the directions of the party.",
        ]
    ]
    first = "It is a guide to action which ensures that the military always obeys the commands of the party."
    second = "It is to insure the troops forever hearing the activity guidebook that party direct."
    assert math.isclose(metrics.bleu(guide, [first], n=1), 17 / 18)
    assert math.isclose(metrics.bleu(guide, [first], n=2), math.sqrt(17 / 18 * 10 / 17))
    # 14 words are as near to 16 as to nothing else: the penalty is exp(1 - 16 / 14).
    assert math.isclose(metrics.bleu(guide, [second], n=1), 8 / 14 * math.exp(1 - 16 / 14))


def test_bleu_is_its_definition() -> None:
    for n in (1, 2, 3, 4):
        precisions, length, expected = [], 0, 0
        for i in range(1, n + 1):
            hits = total = 0
            for several, caption in zip(REFERENCES, CAPTIONS, strict=True):
                found = grams(caption, i)
                total += len(found)
                hits += sum(
                    min(found.count(gram), max(grams(one, i).count(gram) for one in several))
                    for gram in set(found)
                )
            precisions.append(hits / total)
        for several, caption in zip(REFERENCES, CAPTIONS, strict=True):
            length += len(caption.split())
            lengths = sorted(len(one.split()) for one in several)
            expected += min(lengths, key=lambda r: abs(r - len(caption.split())))
        score = min(1, math.exp(1 - expected / length)) * np.prod(precisions) ** (1 / n)
        assert math.isclose(metrics.bleu(REFERENCES, CAPTIONS, n=n), score)


def test_cider_is_its_definition() -> None:
    scores = []
    for n in (1, 2, 3, 4):
        vocabulary = sorted({g for several in REFERENCES for one in several for g in grams(one, n)})
        places = {gram: i for i, gram in enumerate(vocabulary)}
        images = np.array([sum(any(g in grams(o, n) for o in s) for s in REFERENCES) for g in vocabulary])

        def vector(text: str, n: int = n, places: Any = places, images: Any = images) -> Any:
            counts, unknown = np.zeros(len(places)), 0.0
            for gram in set(grams(text, n)):
                count = grams(text, n).count(gram)
                if gram in places:
                    counts[places[gram]] = count
                else:
                    unknown += (count * math.log(len(REFERENCES))) ** 2
            return np.append(counts * np.log(len(REFERENCES) / images), math.sqrt(unknown))

        for several, caption in zip(REFERENCES, CAPTIONS, strict=True):
            a, cosines = vector(caption), []
            for one in several:
                b = vector(one)
                norm = np.linalg.norm(a) * np.linalg.norm(b)
                cosines.append(a @ b / norm if norm else 0)
            scores.append(np.mean(cosines))
    assert math.isclose(metrics.cider(REFERENCES, CAPTIONS), 10 * np.mean(scores))


def test_own_captions_are_best_and_strangers_nothing() -> None:
    texts = ["a cat sits on a mat", "two dogs run in snow", "red buses stop at lights here"]
    references = [[text] for text in texts]
    assert metrics.bleu(references, texts) == 1
    assert math.isclose(metrics.cider(references, texts), 10)
    strangers = ["one", "horse", "zebra"]
    assert metrics.bleu(references, strangers) == metrics.cider(references, strangers) == 0
    assert metrics.bleu(references, [""] * 3) == metrics.cider(references, [""] * 3) == 0


@pytest.mark.parametrize("score", [metrics.bleu, metrics.cider])
@pytest.mark.parametrize(
    ("references", "captions", "message"),
    [
        ([["a"]], ["a", "b"], "2 strings, but references are of 1 images"),
        ([], [], "expected at least one image"),
        ([["a"], []], ["a", "b"], r"references\[1\] is empty"),
        (["a"], ["a"], r"references\[0\] must be a list"),
        ([["a"]], "a", "captions must be a list"),
        ([["a"]], [3], r"captions\[0\] must be a str"),
        ([[b"a"]], ["a"], r"references\[0\]\[0\] must be a str"),
        (None, ["a"], "references must be a list"),
    ],
)
def test_wrong_captions_are_refused(score: Any, references: Any, captions: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        score(references, captions)
