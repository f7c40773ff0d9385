"""Captions of training pictures, and vectors of their words."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from fastcodes import _files
from fastcodes._typing import Array
from fastcodes._validation import as_list, describe
from fastcodes.metrics._captions import n_grams

__all__ = ["Vocabulary", "as_captions", "captions_from", "captions_to", "cosine"]

Vector: TypeAlias = dict[tuple[str, ...], float]


def as_captions(captions: Any, n: int) -> list[list[str]]:
    """Return the captions of each of `n` pictures, of which at least one is not empty."""
    rows = as_list(captions, "captions", "lists of str, one for each picture")
    checked = []
    for i, row in enumerate(rows):
        several = [row] if isinstance(row, str) else list(as_list(row, f"captions[{i}]", "str"))
        for text in several:
            if not isinstance(text, str):
                raise TypeError(f"captions[{i}] must be a str or a list of str; got {describe(text)} in it")
        checked.append(several)
    if len(checked) != n:
        raise ValueError(f"captions has {len(checked)} entries for {n} pictures")
    if not any(text for several in checked for text in several):
        raise ValueError("captions has no caption that is not empty; expected at least one")
    return checked


def captions_to(captions: Sequence[Sequence[str]]) -> Array:
    """Return captions as an array that can be saved."""
    return np.frombuffer(json.dumps(captions).encode(), np.uint8)


def captions_from(arrays: Mapping[str, Array], n: int) -> list[list[str]]:
    """Return captions that were saved, or raise a ValueError."""
    text = _files.take(arrays, "captions", np.uint8, ("bytes",)).tobytes()
    try:
        return as_captions(json.loads(text), n)
    except (TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"captions are not lists of strings: {error}") from None


class Vocabulary:
    """The n-grams of one and two words that occur in captions of pictures, with their inverse frequencies."""

    def __init__(self, captions: Sequence[Iterable[str]]) -> None:
        n_pictures: Counter[tuple[str, ...]] = Counter()
        for several in captions:
            n_pictures.update({gram for text in several for gram in _grams(text)})
        self._weights = {gram: math.log((1 + len(captions)) / count) for gram, count in n_pictures.items()}

    def vector(self, text: str) -> Vector:
        """Return the weights of the n-grams of a text that are known, a vector of length 1, or empty."""
        counts = _grams(text)
        vector = {gram: n * self._weights[gram] for gram, n in counts.items() if gram in self._weights}
        norm = math.sqrt(sum(weight * weight for weight in vector.values()))
        return {gram: weight / norm for gram, weight in vector.items()}


def cosine(a: Vector, b: Vector) -> float:
    """Return the cosine of the angle between two vectors of a vocabulary."""
    if len(a) > len(b):
        a, b = b, a
    return sum(weight * b.get(gram, 0.0) for gram, weight in a.items())


def _grams(text: str) -> Counter[tuple[str, ...]]:
    return n_grams(text, 1) + n_grams(text, 2)
