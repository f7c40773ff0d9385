"""Models that make codes, by the names that the command line gives them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastcodes._codec import Codec
from fastcodes.cli.terminal import UserError
from fastcodes.hashing import ITQ, Bits, PCAHashing, RandomHyperplanes
from fastcodes.quantization import (
    OptimizedProductQuantizer,
    ProductQuantizer,
    RaBitQuantizer,
    ResidualQuantizer,
    ScalarQuantizer,
)

__all__ = ["CODECS", "SIGNS", "new_codec"]

SIGNS = "sign"
"""The codec of the signs of vectors: `Bits`, for vectors that are packed before they are added."""
LONGEST_HASH = 256
"""Bits of a hash function by default, at most."""
COLUMNS_PER_SUBSPACE = 8


@dataclass(frozen=True)
class Named:
    """A codec of the command line."""

    about: str
    make: Callable[..., Codec]
    """Called with the parameters below, and with `random_state` if it `is_random`."""
    size: str
    """The parameter that sets the size of a code, n_bits, n_subspaces or n_codebooks."""
    size_of: Callable[[int], int]
    """Returns its default for vectors, or codes, of this many columns."""
    is_random: bool = True
    has_metric: bool = False


def _bits_of_hash(width: int) -> int:
    return min(width, LONGEST_HASH)


def _subspaces(width: int) -> int:
    """Return the largest number of equal parts with eight columns or more."""
    most = max(width // COLUMNS_PER_SUBSPACE, 1)
    return next(number for number in range(most, 0, -1) if width % number == 0)


CODECS: dict[str, Named] = {
    "bits": Named(
        "packed bits, uint8, as they are", Bits, "n_bits", lambda width: 8 * width, is_random=False
    ),
    SIGNS: Named("a bit for each dimension: value > 0", Bits, "n_bits", lambda width: width, is_random=False),
    "hyperplanes": Named("signs of random projections", RandomHyperplanes, "n_bits", lambda _: LONGEST_HASH),
    "pca": Named("signs of principal components", PCAHashing, "n_bits", _bits_of_hash, is_random=False),
    "itq": Named("the same after the rotation that loses least", ITQ, "n_bits", _bits_of_hash),
    "sq": Named("each dimension in a few bits", ScalarQuantizer, "n_bits", lambda _: 8),
    "rabitq": Named(
        "each dimension in a few bits, after a rotation",
        RaBitQuantizer,
        "n_bits",
        lambda _: 4,
        has_metric=True,
    ),
    "pq": Named("product quantizer", ProductQuantizer, "n_subspaces", _subspaces, has_metric=True),
    "opq": Named(
        "the same after a rotation", OptimizedProductQuantizer, "n_subspaces", _subspaces, has_metric=True
    ),
    "rq": Named("residual quantizer", ResidualQuantizer, "n_codebooks", lambda _: 8, has_metric=True),
}


def new_codec(
    name: str, width: int, n_bits: int | None, n_parts: int | None, metric: str | None, seed: int
) -> Codec:
    """Return an unfitted codec for vectors, or codes, of this many columns."""
    named = CODECS[name]
    takes_bits = named.size == "n_bits"
    if (n_parts if takes_bits else n_bits) is not None:
        wrong, right = ("--parts", "--bits") if takes_bits else ("--bits", "--parts")
        raise UserError(f"argument {wrong}: is not for --codec {name}, whose size is given by {right}")
    if name == SIGNS and n_bits is not None:
        raise UserError(f"argument --bits: is not for --codec {SIGNS}, which has a bit for each dimension")
    size = n_bits if takes_bits else n_parts
    parameters: dict[str, Any] = {named.size: named.size_of(width) if size is None else size}
    if named.is_random:
        parameters["random_state"] = seed
    if named.has_metric and metric is not None:
        parameters["metric"] = metric
    return named.make(**parameters)
