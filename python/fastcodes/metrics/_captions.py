"""Scores of captions: by the n-grams that they share with references."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeAlias

from fastcodes._validation import as_integer, as_list, describe

__all__ = ["bleu", "cider", "n_grams", "words"]

NGrams: TypeAlias = Counter[tuple[str, ...]]

_APOSTROPHES = "'\u2019"
_LONGEST = 4


def words(text: str) -> list[str]:
    """Return the words of a text in lower case and NFC: runs of letters, digits and marks.

    Single apostrophes inside belong to them. Marks do not begin a word.
    """
    normal = unicodedata.normalize("NFC", text.lower())
    found, is_inside = [], False
    for place, character in enumerate(normal):
        if character.isalnum() and not is_inside:
            found.append(character)
            is_inside = True
        elif is_inside and (
            character.isalnum()
            or unicodedata.category(character).startswith("M")
            or (character in _APOSTROPHES and normal[place + 1 : place + 2].isalnum())
        ):
            found[-1] += character
        else:
            is_inside = False
    return found


def n_grams(text: str, n: int) -> NGrams:
    """Return how often each sequence of `n` words occurs."""
    found = words(text)
    return Counter(zip(*(found[i:] for i in range(n)), strict=False))


def bleu(references: Sequence[Sequence[str]], captions: Sequence[str], *, n: int = 4) -> float:
    r"""Return the BLEU score of captions: the n-grams that occur in references, and their length.

    Papineni, Roukos, Ward and Zhu, *BLEU: a method for automatic evaluation of machine translation*, ACL
    2002, section 2.3:

    .. math:: \min(1, e^{1 - r / c}) \exp\left(\frac{1}{n} \sum_{i=1}^{n} \log p_i\right)

    where :math:`p_i` is the share of all n-grams of i words that occur in a reference of their caption, each
    as often as in that reference at most, c the words of all captions, and r the sum of the lengths of the
    references that are nearest to each in length, the shorter of two.

    Parameters
    ----------
    references : sequence of sequences of str
        The true captions of each image, at least one.
    captions : sequence of str
        One for each image.
    n : int
        The longest n-grams, from 1 to 4: BLEU-1 to BLEU-4.

    Returns
    -------
    float
        From 0 to 1. It is a score of all captions together and not a mean: it is 0 if no n-gram of some
        length is right.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If there are not as many captions as images, no images, or an image without a reference; or `n` is out
        of range.

    Notes
    -----
    Words are in lower case and without punctuation; a script without spaces between words, such as Chinese,
    has one word for each run of letters. Other tools split words differently, so scores are
    comparable with theirs to some hundredths only.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> references = [["The cat is on the mat.", "There is a cat on the mat."]]
    >>> round(metrics.bleu(references, ["the the the the the the the"], n=1), 4)  # 2 of 7 words
    0.2857
    >>> metrics.bleu(references, ["The cat is on the mat."])
    1.0
    """
    longest = as_integer(n, "n", 1, _LONGEST)
    truth, given = _checked(references, captions)
    hits, totals = [0] * longest, [0] * longest
    n_words = n_expected = 0
    for several, caption in zip(truth, given, strict=True):
        length = len(words(caption))
        n_words += length
        n_expected += min((len(words(one)) for one in several), key=lambda r: (abs(r - length), r))
        for i in range(longest):
            found = n_grams(caption, i + 1)
            most: NGrams = Counter()
            for one in several:
                most |= n_grams(one, i + 1)
            hits[i] += (found & most).total()
            totals[i] += found.total()
    if not all(hits):
        return 0.0
    precision = math.exp(sum(math.log(h / t) for h, t in zip(hits, totals, strict=True)) / longest)
    return min(1.0, math.exp(1 - n_expected / n_words)) * precision


def cider(references: Sequence[Sequence[str]], captions: Sequence[str]) -> float:
    r"""Return the CIDEr score of captions: how like the references they are in rare words.

    Vedantam, Zitnick and Parikh, *CIDEr: consensus-based image description evaluation*, CVPR 2015, section 3:
    ten times the cosine between the TF-IDF vectors of a caption and of a reference, averaged over references,
    over n-grams of 1 to 4 words, and over images. The weight of an n-gram is the logarithm of the number of
    images over the number of those that have it in a reference.

    Parameters
    ----------
    references : sequence of sequences of str
        The true captions of each image, at least one.
    captions : sequence of str
        One for each image.

    Returns
    -------
    float
        From 0 to 10. It depends on all images together: n-grams that every image has count for nothing.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If there are not as many captions as images, no images, or an image without a reference.

    Notes
    -----
    This is the first of the published variants: words are not stemmed, and neither the penalty for length nor
    the clipping of CIDEr-D is applied. Figures of a few hundred images are not comparable with those of large
    sets, whose rare words weigh more.

    Examples
    --------
    >>> from fastcodes import metrics
    >>> references = [["a cat on a mat"], ["two dogs in the snow"], ["a red bus"]]
    >>> right = metrics.cider(references, ["a cat on a mat", "two dogs in the snow", "a red bus"])
    >>> wrong = metrics.cider(references, ["a red bus", "a cat on a mat", "two dogs in the snow"])
    >>> round(right, 2), round(wrong, 2)
    (9.17, 0.08)
    """
    truth, given = _checked(references, captions)
    total = 0.0
    for n in range(1, _LONGEST + 1):
        counted = [[n_grams(one, n) for one in several] for several in truth]
        n_images: Counter[tuple[str, ...]] = Counter()
        for grams in counted:
            n_images.update(set().union(*grams))
        weights = {gram: math.log(len(truth) / count) for gram, count in n_images.items()}
        rare = math.log(len(truth))
        for several, caption in zip(counted, given, strict=True):
            vector = _weighted(n_grams(caption, n), weights, rare)
            total += sum(_cosine(vector, _weighted(one, weights, rare)) for one in several) / len(several)
    return 10 * total / (_LONGEST * len(truth))


def _weighted(grams: NGrams, weights: dict[tuple[str, ...], float], rare: float) -> dict[Any, float]:
    return {gram: count * weights.get(gram, rare) for gram, count in grams.items()}


def _cosine(a: dict[Any, float], b: dict[Any, float]) -> float:
    norms = math.sqrt(sum(x * x for x in a.values()) * sum(x * x for x in b.values()))
    return sum(weight * b.get(gram, 0.0) for gram, weight in a.items()) / norms if norms else 0.0


def _checked(references: Any, captions: Any) -> tuple[list[list[str]], list[str]]:
    truth = [
        _texts(several, f"references[{i}]")
        for i, several in enumerate(as_list(references, "references", "lists of str"))
    ]
    given = _texts(captions, "captions")
    if len(truth) != len(given):
        raise ValueError(f"captions has {len(given)} strings, but references are of {len(truth)} images")
    if not truth:
        raise ValueError("references and captions are empty; expected at least one image")
    if not all(truth):
        raise ValueError(f"references[{truth.index([])}] is empty; expected at least one caption")
    return truth, given


def _texts(texts: Any, name: str) -> list[str]:
    checked = as_list(texts, name, "str")
    for i, text in enumerate(checked):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{i}] must be a str; got {describe(text)}")
    return checked
