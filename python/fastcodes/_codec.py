"""The contract between models that make codes and indexes that keep them.

An index never asks what kind of model it has. It validates arguments by `Codec.as_codes` and
`Codec.as_queries`, keeps codes in a `Codec.storage`, and searches that with the `Codec.operand` of queries:
look-up tables, packed codes or real values, whatever the storage takes.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from fastcodes._estimator import Transformer
from fastcodes._storage import Storage
from fastcodes._typing import Array, Floats, UnsignedCodes

__all__ = ["Codec"]


class Codec(Transformer):
    """A model that makes codes, and that knows how these are searched.

    A subclass implements `fit`, `metrics`, `encode`, `as_codes`, `operand` and `storage` and, where
    codes stand for vectors, `decode`. Indexes can save and load it then.
    """

    oversample: ClassVar[float] = 4
    """The default number of candidates per result of a search with re-ranking."""

    encodes_vectors: ClassVar[bool] = True
    """Whether samples are vectors (n, d) of real numbers, which re-ranking needs."""

    _classes: ClassVar[dict[str, type[Codec]]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Register a subclass by its name, which the files of indexes hold."""
        super().__init_subclass__(**arguments)
        Codec._classes[cls.__name__] = cls

    @staticmethod
    def class_named(name: Any) -> type[Codec]:
        """Return the class of this name, or raise a ValueError."""
        if name not in Codec._classes:
            raise ValueError(f"its codec is a {name!r}, which is not a known class; import it before loading")
        return Codec._classes[name]

    @property
    @abc.abstractmethod
    def metrics(self) -> tuple[str, ...]:
        """The distances by which codes can be searched, the default first."""

    @abc.abstractmethod
    def encode(self, X: Any, *, threads: int | None = None) -> Any:
        """Return the code of each sample."""

    def rows(self, X: Any, *, threads: int | None = None) -> UnsignedCodes:
        """Return the code of each sample as a `storage` takes it: one row of one array."""
        codes: UnsignedCodes = self.encode(X, threads=threads)
        return codes

    def from_rows(self, rows: UnsignedCodes) -> Any:
        """Return rows of a `storage` as `encode` returns codes."""
        return rows

    def transform(self, X: Any, *, threads: int | None = None) -> Any:
        """Return the `rows` of the samples, as an array or as a data frame: see `set_output`."""
        return self._contained(self.rows(X, threads=threads), X)

    def decode(self, codes: Any, *, threads: int | None = None) -> Array:
        """Return what each code stands for."""
        raise TypeError(f"codes of {type(self).__name__} cannot be decoded: they do not stand for vectors")

    @abc.abstractmethod
    def as_codes(self, codes: Any) -> UnsignedCodes:
        """Return codes from elsewhere as `rows`, or raise an error if `encode` cannot have made them."""

    def as_queries(self, queries: Any, *, threads: int | None = None) -> Array:
        """Return queries as an array, some rows of which `operand` takes, or raise an error."""
        return self._queries(queries)

    @abc.abstractmethod
    def operand(self, queries: Array, metric: str, *, threads: int | None = None) -> Any:
        """Return what a `storage` with this metric needs to know of rows of ``as_queries(queries)``."""

    def doubts(self, queries: Array) -> Floats | None:
        """Return what the `Storage.errors` of a row are multiplied by to bound its distance to each query.

        float32 (nq,); None if distances are those of what codes stand for, and no estimates.
        """
        return None

    @abc.abstractmethod
    def storage(self, metric: str) -> Storage:
        """Return an empty storage for codes of this model, to be searched by `metric`."""
