"""A codec of inverted files: a row is the number of a list, and a code of what a sample differs by."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from fastcodes import _files, _native, bits, hamming
from fastcodes._blocks import blocks, sample, sampled_rows
from fastcodes._codec import Codec
from fastcodes._estimator import check_fitted
from fastcodes._typing import Array, Codes, Doubles, Floats, Ids, UnsignedCodes
from fastcodes._validation import (
    as_bool,
    as_integer,
    as_option,
    check_threads,
    code_array,
    random_generator,
)
from fastcodes.index._lists import LIST_BYTES, InvertedStorage, Probed, join_lists, split_lists
from fastcodes.index._terms import DigitTerms, FactorTerms, NoTerms, Terms
from fastcodes.quantization import KMeans, VectorQuantizer
from fastcodes.quantization.base import Quantizer, VectorCodec
from fastcodes.quantization.rabitq import RaBitQuantizer

__all__ = ["InvertedCodec"]

MOST_LISTS = 1 << 16
_SAMPLES_PER_LIST = 64
_SAMPLES_OF_CODECS = 1 << 16
_NUMBERS = 1 << 27  # of the samples that are used at most
_ITERATIONS = 10
_LARGEST_SQUARE = float(np.finfo(np.float32).max) / 4  # of which no two add up to more than float32 holds


def _n_samples(n_lists: int, width: int) -> int:
    """Return how many samples of this many numbers centers are learned from."""
    return max(n_lists, min(_SAMPLES_PER_LIST * n_lists, _NUMBERS // width))


class InvertedCodec(Codec):
    r"""Codes with the numbers of inverted lists.

    With residuals, a sample :math:`x` of the list with the center :math:`c` becomes the code of
    :math:`x - c`, which stands for :math:`y`. The squared distance to a query :math:`q` is

    .. math:: |q - c - y|^2 = |q - y|^2 + 2 \langle c, y \rangle + |c|^2 - 2 \langle q, c \rangle.

    The first term is the distance of the query itself to the code, the second depends on the row alone, and
    the others on the list and the query, so that one operand serves all lists. Coordinates are relative to
    the mean of the centers, so that less is lost by cancellation.

    The negative inner product is :math:`-\langle q, y \rangle - \langle q, c \rangle`. Estimates of a
    `RaBitQuantizer` err in proportion to :math:`|q|`; a number of each row,
    :math:`\langle c, y - (x - c) \rangle`, makes that :math:`|q - c|`.

    Parameters
    ----------
    codec : Codec
        Fitted, or to be fitted on residuals.
    n_lists, by_residual, metric, random_state
        As in `IVFIndex`: rows have the numbers that a metric needs.
    """

    _learned = "centers_"
    _terms: Terms

    def __init__(
        self,
        codec: Codec,
        n_lists: int,
        *,
        by_residual: bool = True,
        metric: str = "l2",
        random_state: Any = None,
    ) -> None:
        self.codec = codec
        self.metric = metric
        self.n_lists = n_lists
        self.by_residual = by_residual
        self.random_state = random_state

    @property
    def oversample(self) -> float:  # type: ignore[override]  # that of the codec
        """The default number of candidates per result of a search with re-ranking."""
        return self.codec.oversample

    @property
    def encodes_vectors(self) -> bool:  # type: ignore[override]  # as the codec
        """Whether samples are vectors (n, d) of real numbers, which re-ranking needs."""
        return self.codec.encodes_vectors

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those of the codec."""
        return self.codec.metrics

    @property
    def has_residuals(self) -> bool:
        """Whether codes are of residuals: those of hash functions never are."""
        return bool(self.by_residual) and isinstance(self.codec, VectorCodec)

    # --- learning ------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: object = None, *, threads: int | None = None) -> InvertedCodec:
        """Learn the centers of lists, and the codec unless it is fitted."""
        check_threads(threads)
        n_lists = as_integer(self.n_lists, "n_lists", 1, MOST_LISTS)
        as_bool(self.by_residual, "by_residual")
        rng = random_generator(self.random_state)
        codec = copy.deepcopy(self.codec)
        is_fitted = codec.__sklearn_is_fitted__()
        if not is_fitted and codec._needs_target:
            name = type(codec).__name__
            raise ValueError(
                f"{name} learns from labels, which lists have not; fit it before, and give it then"
            )
        if isinstance(codec, VectorQuantizer) and as_integer(codec.n_codewords, "n_codewords", 1) > 256:
            raise ValueError(
                f"{type(codec).__name__} has {codec.n_codewords} codewords; expected at most 256 in lists"
            )
        if not codec.encodes_vectors:
            codes, n_bits = codec.rows(X), codec.code_bits  # type: ignore[attr-defined]
            if len(codes) < n_lists:
                raise ValueError(f"n_samples={len(codes)} should be >= n_lists={n_lists}: give more samples")
            chosen = sampled_rows(len(codes), _n_samples(n_lists, n_bits), rng)
            x = bits.unpack(codes[chosen], n_bits).astype(np.float32)
            centers = self._centers(x, n_lists, rng, threads)
            self._learn(codec, bits.pack(centers > 0.5))
            return self
        samples = self._training_samples(X, n_lists, "n_lists")
        if is_fitted and samples.shape[1] != codec.n_features_in_:
            raise ValueError(
                f"X has {samples.shape[1]} features, but the fitted {type(codec).__name__} expects "
                f"{codec.n_features_in_}"
            )
        most = max(
            _n_samples(n_lists, samples.shape[1]), min(_SAMPLES_OF_CODECS, _NUMBERS // samples.shape[1])
        )
        x = self._normalized(sample(samples, max(most, n_lists), rng))
        some = sampled_rows(len(x), _n_samples(n_lists, samples.shape[1]), rng)
        centers = self._centers(x[some], n_lists, rng, threads)
        lists = self._nearest(x, 1, "l2", "X", threads)[0][:, 0]
        residuals = self._residuals(x, lists, centers)
        if isinstance(codec, RaBitQuantizer) and self._is_cosine:
            codec.metric = "ip"  # of normalized samples
        if not is_fitted:
            codec.fit(residuals, threads=threads)
        self._learn(codec, centers)
        if self.has_residuals and self.metric == "l2":
            codes = codec.rows(residuals, threads=threads)
            errors = codec.decode(codes, threads=threads) - residuals
            error = float(np.einsum("nd,nd->", errors, errors, dtype=np.float64)) / len(errors)
            self._terms = self._terms.fitted(self._terms_of(lists, residuals, codes, threads), error)
        return self

    def _centers(self, x: Floats, n_lists: int, rng: np.random.Generator, threads: int | None) -> Floats:
        """Learn the centers of lists."""
        kmeans = KMeans(n_lists, max_iter=_ITERATIONS, random_state=rng).fit(x, threads=threads)
        self.centers_: Array = kmeans.centers_
        return kmeans.centers_

    def _learn(self, codec: Codec, centers: Array) -> None:
        self.codec_ = codec
        self.centers_ = centers
        self.n_features_in_ = codec.n_features_in_
        if codec.encodes_vectors:
            self._mean = centers.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._terms = self._new_terms(codec)

    def _new_terms(self, codec: Codec) -> Terms:
        if isinstance(codec, Quantizer):
            return DigitTerms(codec)
        if isinstance(codec, RaBitQuantizer) and self.has_residuals:
            return FactorTerms(codec)
        return NoTerms(codec)

    @property
    def _is_cosine(self) -> bool:
        return self.metric == "cosine" and self.has_residuals

    def _normalized(self, x: Floats) -> Floats:
        """Return samples of length 1 or 0, if the metric is the cosine."""
        if not self._is_cosine:
            return x
        lengths = np.sqrt(np.einsum("nd,nd->n", x, x, dtype=np.float64))
        lengths[lengths == 0] = 1
        normalized: Floats = (x / lengths[:, None]).astype(np.float32)
        return normalized

    def _residuals(self, x: Floats, lists: Array, centers: Floats) -> Floats:
        return x - centers[lists] if self.has_residuals else x

    def _products(self, lists: Array, y: Floats, origin: Floats | float = 0.0) -> Doubles:
        """Return the inner products of rows with the centers of their lists, relative to an origin."""
        centers = self.centers_[lists] - origin
        products: Doubles = np.einsum("nd,nd->n", centers, y, dtype=np.float64)
        return products

    def adopt(self, centers: Array, lists: Ids, codes: Codes) -> Codes:
        """Take centers, and the fitted codec, from elsewhere, and return the rows of codes in given lists."""
        self._learn(self.codec, centers)
        terms = np.zeros(len(codes))
        if self.has_residuals and self.metric == "l2":
            terms = self._terms_of(lists, np.empty(0, np.float32), codes, None)
            # Rows that are added later have numbers of the same size, also where there are none yet.
            n_subspaces, n_codewords = self.codec_.table_shape  # type: ignore[attr-defined]
            some = np.repeat(np.arange(len(centers)), 4)
            numbers = np.random.default_rng(0).integers(n_codewords, size=(len(some), n_subspaces))
            others = self._terms_of(some, np.empty(0, np.float32), numbers.astype(np.uint8), None)
            self._terms = self._terms.fitted(np.concatenate([terms, others]), 0.0)
        return join_lists(lists, self._terms.join(codes, terms))

    # --- codes ---------------------------------------------------------------------------------------------

    def encode(self, X: Any, *, threads: int | None = None) -> Codes:
        """Return the number of a list, the code and the number of each sample as bytes (n, n_bytes)."""
        check_fitted(self)
        if not self.encodes_vectors:
            codes = self.codec_.rows(X, threads=threads)
            lists = hamming.knn(codes, self.centers_, 1, threads=threads)[1][:, 0]
            return join_lists(lists, codes)
        samples = self.codec_._samples(X)
        rows = np.empty((len(samples), self._n_outputs), np.uint8)
        for part, block in blocks(samples):
            x = self._normalized(block)
            lists = self._nearest(x, 1, "l2", "X", threads)[0][:, 0]
            residuals = self._residuals(x, lists, self.centers_)
            codes = self.codec_.rows(residuals, threads=threads)
            rows[part] = join_lists(
                lists, self._terms.join(codes, self._terms_of(lists, residuals, codes, threads))
            )
        return rows

    def _terms_of(self, lists: Ids, residuals: Floats, codes: UnsignedCodes, threads: int | None) -> Doubles:
        """Return the number of each row."""
        if not self.has_residuals:
            return np.zeros(len(codes))
        y = self.codec_.decode(codes, threads=threads)
        if isinstance(self.codec_, RaBitQuantizer) and self.codec_.metric != "l2":
            return self._products(lists, y - residuals)
        return 2 * self._products(lists, y, self._mean)

    def as_codes(self, codes: Any) -> Codes:
        """Validate codes: raise an error if `encode` cannot have made them."""
        check_fitted(self)
        expected = f"a numpy uint8 array (n, {self._n_outputs}), as the codes of an IVFIndex are"
        if isinstance(codes, tuple):
            raise TypeError(f"codes must be {expected}; got a tuple")
        rows = code_array(codes, "codes", expected)
        if rows.ndim != 2 or rows.shape[1] != self._n_outputs:
            raise ValueError(f"codes must have shape (n, {self._n_outputs}); got {rows.shape}")
        lists, inner = split_lists(rows)
        if len(lists) and lists.max() >= len(self.centers_):
            raise ValueError(
                f"codes has the list {lists.max()} in row {lists.argmax()}; expected lists from 0 to "
                f"{len(self.centers_) - 1}"
            )
        return join_lists(lists, self._terms.as_rows(np.ascontiguousarray(inner)))

    def decode(self, codes: Any, *, threads: int | None = None) -> Array:
        """Return what each code stands for."""
        lists, inner = split_lists(self.as_codes(codes))
        decoded = self.codec_.decode(self._terms.split(inner), threads=threads)
        return decoded + self.centers_[lists] if self.has_residuals else decoded

    @property
    def _n_outputs(self) -> int:
        return LIST_BYTES + int(self._terms.storage(self.metric).take(slice(None)).shape[1])

    # --- search --------------------------------------------------------------------------------------------

    def as_queries(self, queries: Any, *, threads: int | None = None) -> Array:
        """Return queries as the codec takes them."""
        check_fitted(self)
        return self.codec_.as_queries(queries, threads=threads)

    def operand(self, queries: Array, metric: str, *, threads: int | None = None) -> Probed:
        """Return the operand of queries that look at all lists."""
        as_option(metric, "metric", (self.metric,))
        return self.probed(queries, len(self.centers_), threads=threads)[0]

    def probed(self, queries: Array, n_probes: int, *, threads: int | None) -> tuple[Probed, Floats | None]:
        """Return the operand of queries that look at the nearest lists, and the doubts about estimates."""
        n_probes, metric = min(n_probes, len(self.centers_)), self.metric
        if not self.encodes_vectors:
            operand = self.codec_.operand(queries, metric, threads=threads)
            lists = hamming.knn(queries, self.centers_, n_probes, threads=threads)[1]
            return Probed(operand, lists, None), None
        x = self._normalized(queries)
        lists, distances = self._nearest(x, n_probes, "ip" if metric == "ip" else "l2", "queries", threads)
        if not self.has_residuals:
            operand = self._terms.operand(self.codec_.operand(x, metric, threads=threads))
            return Probed(operand, lists, None), self.codec_.doubts(x)
        if metric == "l2":
            centered = x - self._mean
            squares = np.einsum("nd,nd->n", centered, centered, dtype=np.float64)[:, None]
            offsets = distances - squares
            operand = self.codec_.operand(centered, "l2", threads=threads)
        else:
            operand = self.codec_.operand(x, "ip", threads=threads)
            offsets = distances
            if metric == "cosine":  # of |q - c|^2 = |q|^2 - 2 <q, c> + |c|^2
                centers = np.einsum("nd,nd->n", self.centers_, self.centers_, dtype=np.float64)[lists]
                squares = np.einsum("nd,nd->n", x, x, dtype=np.float64)[:, None]
                offsets = 1 + (distances - squares - centers) / 2
        probed = Probed(self._terms.operand(operand), lists, offsets.astype(np.float32))
        if not isinstance(self.codec_, RaBitQuantizer):
            return probed, None
        return probed, self.codec_.doubts_at(self._lengths(x, lists, distances, metric))

    def _lengths(self, x: Floats, lists: Ids, distances: Floats, metric: str) -> Doubles:
        """Return the largest distance of each query to the centers of its lists."""
        if metric == "ip":
            farthest = np.zeros(len(x))
            for column in lists.T:
                differences = x - self.centers_[column]
                np.maximum(farthest, np.einsum("nd,nd->n", differences, differences), out=farthest)
            return np.sqrt(farthest)
        lengths: Doubles = np.sqrt(distances.max(axis=1, initial=0).astype(np.float64))
        return lengths

    def _nearest(self, x: Floats, n: int, metric: str, name: str, threads: int | None) -> tuple[Ids, Floats]:
        """Return the `n` lists with the nearest centers, and their distances (nq, n)."""
        with np.errstate(over="ignore"):  # an error
            if not (np.einsum("nd,nd->n", x, x) < _LARGEST_SQUARE).all():
                raise ValueError(
                    f"{name} has values so large that their squared distances overflow float32; scale it"
                )
        distances, lists = _native.rerank_nearest_of_all(x, self.centers_, metric, n, threads)
        return lists, distances

    def storage(self, metric: str) -> InvertedStorage:
        """Return an empty storage of lists."""
        return InvertedStorage(partial(self._terms.storage, metric), len(self.centers_))

    # --- files ---------------------------------------------------------------------------------------------

    def to_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return parameters and what was learned, with those of the codec."""
        check_fitted(self)
        params, learned = self.codec_.to_state()
        codec = {"class": type(self.codec_).__name__, "params": params}
        arrays = {f"codec.{name}": array for name, array in learned.items()}
        return (
            {
                "codec": codec,
                "n_lists": self.n_lists,
                "by_residual": self.by_residual,
                "metric": self.metric,
            },
            {**arrays, **self._to_arrays()},
        )

    def _to_arrays(self) -> dict[str, Array]:
        return {"centers": self.centers_, **self._terms.to_arrays()}

    @classmethod
    def from_state(cls, params: Mapping[str, Any], arrays: Mapping[str, Array]) -> InvertedCodec:
        """Return a fitted codec from what `to_state` returned."""
        entry = params["codec"]
        if not (isinstance(entry, dict) and isinstance(entry["params"], dict)):
            raise TypeError("the parameters of its codec are not objects")
        learned = {name[6:]: array for name, array in arrays.items() if name.startswith("codec.")}
        codec = Codec.class_named(entry["class"]).from_state(entry["params"], learned)
        given, metric = copy.deepcopy(codec), params["metric"]
        if isinstance(given, RaBitQuantizer):
            given.metric = metric
        model = cls(
            given,
            as_integer(params["n_lists"], "n_lists", 1, MOST_LISTS),
            by_residual=as_bool(params["by_residual"], "by_residual"),
            metric=as_option(metric, "metric", given.metrics),
        )
        model.codec_ = codec
        model._from_arrays(arrays)
        return model

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        n_lists, d = self.n_lists, self.codec_.n_features_in_
        if self.encodes_vectors:
            centers: Array = _files.take(arrays, "centers", np.float32, (n_lists, d), finite=True)
        else:
            centers = self.codec_.as_codes(_files.take(arrays, "centers", np.uint8, (n_lists, d)))
        self._learn(self.codec_, centers)
        self._terms = self._terms.restored(arrays)
