"""Layers that replace vectors by tokens: learned codebooks, finite scalar and look-up-free quantization."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastcodes._typing import Array, Doubles, Floats, Ids
from fastcodes.nn import Layer
from fastcodes.nn._thread_pool import thread_limit
from fastcodes.nn.layers.base import Shape
from fastcodes.quantization import KMeans, ProductQuantizer, ResidualQuantizer

__all__ = ["DISTANCES_PER_BLOCK", "Bottleneck", "Codebooks", "Levels", "Signs", "level_bits"]

DISTANCES_PER_BLOCK = 1 << 23
_WARM_UP = 0.1  # of the training, before k-means finds the first codewords
_MOST_WAITING = 128  # batches before that, of a random share of their vectors if they have more numbers
_MOST_NUMBERS = 1 << 25  # of all these batches
_MOST_SAMPLES = 1 << 15  # of that k-means
_SMOOTHING = 1e-5  # of the counts of codewords
_RARE = 0.05  # of the mean count, below which a codeword is dead


class Bottleneck(Layer):
    """A layer whose outputs are those of tokens.

    Parameters
    ----------
    n_codewords : int
        Values of a token.
    commitment : float
        Weight of the squared distance between inputs and outputs in the loss; `Levels` has no such term.
    """

    n_codebooks = 1

    def __init__(self, n_codewords: int, commitment: float = 0.0) -> None:
        super().__init__()
        self.n_codewords = n_codewords
        self.commitment = commitment

    @abc.abstractmethod
    def tokens(self, rows: Doubles) -> Ids:
        """Return the tokens (n, n_codebooks) of vectors (n, n_dims)."""

    @abc.abstractmethod
    def vectors(self, tokens: Ids) -> Doubles:
        """Return the outputs (n, n_dims) of tokens (n, n_codebooks)."""

    def latents(self, rows: Doubles) -> Doubles:
        """Return the vectors that outputs replace, of inputs (n, n_dims)."""
        return rows

    @property
    def n_values(self) -> int:
        """Values of a part of a token."""
        return self.n_codewords

    def parts(self, tokens: Ids) -> Ids:
        """Return tokens (..., n_codebooks) as parts (..., n_parts) whose squared distances add up."""
        return tokens

    def squares(self, latents: Doubles, own: Ids | None = None) -> Doubles:
        """Return numbers (n, n_parts, n_values) whose sum over parts is a squared distance.

        It is that of latent vectors to outputs. If there is a `largest_cross`, their own tokens (n,
        n_codebooks) are needed, and the sum lacks the `crosses` of tokens less those of the own ones.
        """
        outputs = self.vectors(np.arange(self.n_codewords)[:, None])
        squares = _squares(latents, outputs)[:, None]
        return np.maximum(squares, 0, out=squares)

    @property
    def largest_cross(self) -> float | None:
        """A bound of the absolute values of `crosses`; None if outputs are not sums."""
        return None

    def crosses(self, tokens: Ids) -> Doubles:
        """Return what inner products of terms add to the squared lengths (n,) of outputs that are sums."""
        return np.zeros(len(tokens))

    def _committed(self, gradient: Array) -> Array:
        """Return the straight-through gradient with that of the commitment."""
        x, outputs = self.cache
        committed: Array = gradient + (x - outputs) * np.float32(2 * self.commitment / x.size)
        return committed


class Codebooks(Bottleneck):
    r"""The nearest of learned codewords, with the straight-through gradient.

    Codewords follow the means of their vectors, exponentially weighted; what each option does is documented
    in `fastcodes.tokens.VQVAE`.
    """

    def __init__(
        self,
        n_codewords: int,
        commitment: float,
        *,
        n_codebooks: int,
        kind: str,
        decay: float,
        init: str,
        restart: bool,
        normalize: bool,
        entropy: float,
        stochastic: bool,
    ) -> None:
        super().__init__(n_codewords, commitment)
        self.n_codebooks = n_codebooks
        self.kind = kind
        self.decay = decay
        self.init = init
        self.restart = restart
        self.normalize = normalize
        self.entropy = entropy
        self.stochastic = stochastic

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        self._rng = rng
        n_dims = shape[-1] // (self.n_codebooks if self.kind == "product" else 1)
        size = self.n_codebooks, self.n_codewords, n_dims
        codewords = rng.uniform(-1 / self.n_codewords, 1 / self.n_codewords, size).astype(np.float32)
        self.is_started = self.init == "random"
        for m in range(self.n_codebooks):
            codewords[m] = self._placed(m, codewords[m])
        self.state = {"codewords": codewords}
        self._counts = np.ones(size[:2], np.float32)
        self._sums = codewords.copy()
        self._variances = np.ones(self.n_codebooks)
        self._waiting: list[Floats] = []
        return shape

    @property
    def codewords(self) -> Array:
        """The codewords (n_codebooks, n_codewords, n_dims or a part of them)."""
        return self.state["codewords"]

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return the nearest codewords; in training, move them towards their vectors."""
        rows = x.reshape(-1, x.shape[-1])
        lengths, rows = self._lengths_and_rows(rows)
        pull = None
        if training and not self.is_started and not self._may_start(rows):
            outputs = rows
        else:
            outputs, pull = self._quantized(rows, training=training)
        if training:
            self.cache = rows, outputs
            self._backward = lengths, pull
        return outputs.reshape(x.shape)

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Return the gradient of the input, as if outputs were inputs."""
        rows, _ = self.cache
        lengths, pull = self._backward
        by_rows = self._committed(gradient.reshape(rows.shape))
        if pull is not None:
            by_rows += pull
        if lengths is not None:  # through the division by the length
            parts, by_parts = self._parts(rows), self._parts(by_rows)
            inner = np.einsum("nmd,nmd->nm", parts, by_parts)[..., None]
            by_rows = ((by_parts - inner * parts) / lengths).reshape(rows.shape)
        return by_rows.reshape(gradient.shape)

    def _lengths_and_rows(self, rows: Array) -> tuple[Array | None, Array]:
        """Return the lengths of vectors or their parts and the normalized vectors, if `normalize` is set."""
        if not self.normalize:
            return None, rows
        parts = self._parts(rows)
        lengths = np.sqrt(np.einsum("nmd,nmd->nm", parts, parts))[..., None] + rows.dtype.type(1e-6)
        return lengths, (parts / lengths).reshape(rows.shape)

    def _placed(self, m: int, codewords: Array) -> Array:
        """Return the codewords of a codebook, of unit length if the vectors that it quantizes are.

        Residuals are shorter from codebook to codebook: only the first codebook quantizes unit vectors.
        """
        is_unit = self.normalize and (m == 0 or self.kind == "product")
        return _unit(codewords) if is_unit else codewords

    def _parts(self, rows: Array) -> Array:
        """Return vectors as (n, parts, n_dims / parts): those of a product quantizer, or the whole."""
        return rows.reshape(len(rows), self.n_codebooks if self.kind == "product" else 1, -1)

    def _stages(self, rows: Array) -> Iterator[tuple[int, Array, Array]]:
        """Yield the number of each codebook, what it quantizes, and an array for its outputs."""
        outputs = np.zeros_like(rows)
        if self.kind == "product":
            parts, out = self._parts(rows), self._parts(outputs)
            for m in range(self.n_codebooks):
                yield m, parts[:, m], out[:, m]
        else:
            rest = rows
            for m in range(self.n_codebooks):
                found = np.empty_like(rows)
                yield m, rest, found
                rest = rest - found

    def _quantized(self, rows: Floats, *, training: bool) -> tuple[Floats, Floats | None]:
        """Return the codewords of vectors, and the gradient of the entropy bonus."""
        total, pull = np.zeros_like(rows), np.zeros_like(rows) if training and self.entropy else None
        for m, x, out in self._stages(rows):
            codewords = self.codewords[m]
            chosen = self._sampled(x, m) if training and self.stochastic else _nearest(x, codewords)
            out[...] = codewords[chosen]
            if self.kind == "product":
                self._parts(total)[:, m] = out
            else:
                total += out
            if pull is not None:
                gradient = _entropy_gradient(x, codewords) * np.float32(self.entropy)
                if self.kind == "product":
                    self._parts(pull)[:, m] = gradient
                else:
                    pull += gradient
            if training:
                self._move(m, x, chosen)
        return total, pull

    def _sampled(self, x: Floats, m: int) -> Ids:
        """Return codewords drawn by their probabilities, exp(-squares / 2 variance), and learn the variance.

        The variance that maximizes the likelihood of the vectors is their mean squared distance to codewords.
        """
        chosen, expected = np.empty(len(x), np.int64), 0.0
        for rows in _blocks(len(x), self.n_codewords):
            squares = _squares(x[rows], self.codewords[m])
            logits = squares * np.float32(-0.5 / self._variances[m])
            logits -= logits.max(axis=1, keepdims=True)
            weights = np.exp(logits, out=logits)
            # The first of exponential waiting times, whose rates are the weights.
            times = self._rng.standard_exponential(weights.shape, np.float32)
            chosen[rows] = np.argmin(times / np.maximum(weights, np.float32(1e-30)), axis=1)
            weights /= weights.sum(axis=1, keepdims=True)
            expected += float(np.einsum("nk,nk->", weights, squares))
        expected /= x.size
        self._variances[m] = self.decay * self._variances[m] + (1 - self.decay) * max(expected, 1e-6)
        return chosen

    def _move(self, m: int, x: Floats, chosen: Ids) -> None:
        """Update codewords by the vectors that chose them."""
        n = len(x)
        counts = np.bincount(chosen, minlength=self.n_codewords).astype(np.float32)
        decay, new = np.float32(self.decay), np.float32(1 - self.decay)
        self._counts[m] = decay * self._counts[m] + new * counts
        self._sums[m] = decay * self._sums[m] + new * _sums(x, chosen, self.n_codewords)
        if self.restart:
            dead = np.flatnonzero(self._counts[m] < _RARE * n / self.n_codewords)
            if len(dead):
                size = np.float32(n / self.n_codewords)
                self._sums[m, dead] = x[self._rng.integers(n, size=len(dead))] * size
                self._counts[m, dead] = size
        total = self._counts[m].sum()
        smoothed = (self._counts[m] + _SMOOTHING) * (total / (total + self.n_codewords * _SMOOTHING))
        codewords = self._sums[m] / smoothed[:, None]
        self.codewords[m] = self._placed(m, codewords)

    def _may_start(self, rows: Floats) -> bool:
        """Find the first codewords when the encoder was trained for a while; return whether."""
        if self.progress >= _WARM_UP / 2:
            most = _MOST_NUMBERS // (_MOST_WAITING * rows.shape[1])
            some = self._rng.permutation(len(rows))[:most] if len(rows) > most else slice(None)
            self._waiting = [*self._waiting[1 - _MOST_WAITING :], rows[some].copy()]
        if self.progress >= _WARM_UP:
            self._start(np.concatenate(self._waiting))
            self._counts[...] = len(rows) / self.n_codewords
            self._sums[...] = self.codewords * np.float32(len(rows) / self.n_codewords)
        return self.is_started

    def finish(self, x: Floats) -> None:
        """Find codewords for vectors (n, ...) if training was too short to do so."""
        if not self.is_started:
            self._start(self._lengths_and_rows(x.reshape(-1, x.shape[-1]))[1])

    def _start(self, rows: Floats) -> None:
        """Find the first codewords by k-means."""
        self._waiting = []
        samples = rows[self._rng.permutation(len(rows))[:_MOST_SAMPLES]]
        self.codewords[...] = self._first_codewords(samples)
        for m, x, out in self._stages(samples):
            out[...] = self.codewords[m][_nearest(x, self.codewords[m])]
            error = np.square(x - out).sum(axis=1).mean()
            self._variances[m] = max(float(error) / x.shape[1], 1e-6)
        self.is_started = True

    def _first_codewords(self, samples: Floats) -> Floats:
        if len(samples) < self.n_codewords:
            samples = np.resize(samples, (self.n_codewords, samples.shape[1]))
        settings: dict[str, Any] = {"max_iter": 10, "random_state": self._rng}
        threads = thread_limit()
        if self.n_codebooks > 1 and self.kind == "product":
            product = ProductQuantizer(self.n_codebooks, self.n_codewords, **settings)
            codebooks = product.fit(samples, threads=threads).codebooks_
            return _unit(codebooks) if self.normalize else codebooks
        if self.n_codebooks > 1 and not self.normalize:
            residual = ResidualQuantizer(
                self.n_codebooks, self.n_codewords, norm_bits=0, metric="ip", beam_size=1, **settings
            )
            return residual.fit(samples, threads=threads).codebooks_
        first = np.empty_like(self.codewords)
        for m, x, out in self._stages(samples):
            centers = KMeans(self.n_codewords, **settings).fit(x, threads=threads).centers_
            first[m] = self._placed(m, centers)
            out[...] = first[m][_nearest(x, first[m])]
        return first

    def latents(self, rows: Doubles) -> Doubles:
        """Return vectors, or parts of them, of unit length if `normalize` is set."""
        return self._lengths_and_rows(rows)[1]

    def tokens(self, rows: Doubles) -> Ids:
        """Return the numbers of the nearest codewords."""
        rows = self.latents(rows)
        tokens = np.empty((len(rows), self.n_codebooks), np.int64)
        for m, x, out in self._stages(rows):
            codewords = self.codewords[m].astype(np.float64)
            tokens[:, m] = _nearest(x, codewords)
            out[...] = codewords[tokens[:, m]]
        return tokens

    def vectors(self, tokens: Ids) -> Doubles:
        """Return the codewords of tokens, side by side or added up."""
        chosen = [self.codewords[m].astype(np.float64)[tokens[:, m]] for m in range(self.n_codebooks)]
        return np.concatenate(chosen, axis=1) if self.kind == "product" else np.sum(chosen, axis=0)

    def squares(self, latents: Doubles, own: Ids | None = None) -> Doubles:
        """Return squared distances of parts; of sums, what the squares are more than those of own tokens."""
        if self.n_codebooks == 1:
            return super().squares(latents)
        codewords = self.codewords.astype(np.float64)
        if self.kind == "product":
            parts = self._parts(latents)
            found = [_squares(parts[:, m], codewords[m]) for m in range(self.n_codebooks)]
            squares: Doubles = np.maximum(np.stack(found, axis=1), 0)
            return squares
        if own is None:
            raise TypeError("sums of codewords need the own tokens of latent vectors")
        terms = self._terms
        rows = latents - (codewords - terms)[:, 0].sum(axis=0)
        more: Doubles = np.einsum("nd,mkd->nmk", rows, -2 * terms, optimize=True)
        more += np.square(terms).sum(axis=2)
        # Entries of grids that are like the query are near 0, so that float32 is enough for the sum of many.
        more -= np.take_along_axis(more, own[..., None], axis=2)
        more[:, 0] += np.square(latents - self.vectors(own)).sum(axis=1)[:, None]
        return more

    @property
    def _terms(self) -> Doubles:
        """The codewords less the mean of their codebook, whose inner products with others are smaller."""
        codewords = self.codewords.astype(np.float64)
        terms: Doubles = codewords - codewords.mean(axis=1, keepdims=True)
        return terms

    @property
    def largest_cross(self) -> float | None:
        """What it is if the longest codewords are parallel, for several codewords that are added up."""
        if self.n_codebooks == 1 or self.kind == "product":
            return None
        lengths = np.sqrt(np.square(self._terms).sum(axis=2)).max(axis=1)
        return float(lengths.sum() ** 2 - np.square(lengths).sum())

    def crosses(self, tokens: Ids) -> Doubles:
        """Return twice the inner products of the codewords of tokens, less their means, with each other."""
        chosen = [terms[column] for terms, column in zip(self._terms, tokens.T, strict=True)]
        crosses: Doubles = np.square(np.sum(chosen, axis=0)).sum(axis=1)
        crosses -= np.square(chosen).sum(axis=(0, 2))
        return crosses


class Scalars(Bottleneck):
    """Layers that round each number by itself: squared distances are sums over groups of numbers."""

    def _count(self, bits: list[int]) -> None:
        """Keep the bits of each number, the lowest of a token first."""
        self._levels: Ids = 1 << np.array(bits)
        self._basis: Ids = np.cumprod([1, *self._levels[:-1]])
        starts = [0]
        for i in range(len(bits)):
            if sum(bits[starts[-1] : i + 1]) > 8:  # a group is a byte
                starts.append(i)
        self._starts = starts
        self._sizes = np.multiply.reduceat(self._levels, starts)

    @property
    def n_values(self) -> int:
        """Values of a byte, of which there may be fewer."""
        return min(self.n_codewords, 256)

    def parts(self, tokens: Ids) -> Ids:
        """Return the number of each group."""
        parts: Ids = tokens.astype(np.int64) // self._basis[self._starts] % self._sizes
        return parts

    def squares(self, latents: Doubles, own: Ids | None = None) -> Doubles:
        """Return the squared distances of groups."""
        squares = np.zeros((len(latents), len(self._starts), self.n_values))
        ends = [*self._starts[1:], len(self._levels)]
        for i, (start, end, size) in enumerate(zip(self._starts, ends, self._sizes, strict=True)):
            outputs = self.vectors(np.arange(size)[:, None] * self._basis[start])[:, start:end]
            squares[:, i, :size] = _squares(latents[:, start:end], outputs)
        return np.maximum(squares, 0, out=squares)


class Levels(Scalars):
    """Finite scalar quantization: a few numbers, each rounded to one of a few levels.

    Mentzer, Minnen, Agustsson and Tschannen, *Finite scalar quantization: VQ-VAE made simple*, ICLR 2024,
    section 3.1. There are `level_bits` bits for each number.
    """

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        self._count(level_bits(self.n_codewords))
        self._half = self._levels // 2
        return shape

    def _bounded(self, x: Array) -> Array:
        """Return inputs in the range of the levels: rounding gives integers from -L/2 to L/2 - 1."""
        size = (self._levels - 1) * 0.5 * (1 + 1e-3)
        shift = np.arctanh(0.5 / size)
        bounded: Array = np.tanh(x + shift.astype(x.dtype)) * size.astype(x.dtype) - x.dtype.type(0.5)
        return bounded

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return the levels, from -1 to 1."""
        bounded = self._bounded(x)
        if training:
            self.cache = bounded
        levels: Array = np.rint(bounded) / self._half.astype(x.dtype)
        return levels

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Return the gradient of the input, as if nothing were rounded."""
        size = ((self._levels - 1) * 0.5 * (1 + 1e-3)).astype(gradient.dtype)
        tanh = (self.cache + gradient.dtype.type(0.5)) / size
        by_input: Array = gradient * (1 - np.square(tanh)) * (size / self._half.astype(gradient.dtype))
        return by_input

    def latents(self, rows: Doubles) -> Doubles:
        """Return the numbers that are rounded, in units in which levels are from -1 to 1."""
        latents: Doubles = self._bounded(rows) / self._half
        return latents

    def tokens(self, rows: Doubles) -> Ids:
        """Return the levels as digits of one number."""
        digits = np.rint(self._bounded(rows)).astype(np.int64) + self._half
        tokens: Ids = (digits @ self._basis)[:, None]
        return tokens

    def vectors(self, tokens: Ids) -> Doubles:
        """Return the levels of tokens."""
        digits = tokens // self._basis % self._levels
        vectors: Doubles = (digits - self._half) / self._half
        return vectors


class Signs(Scalars):
    """Look-up-free quantization: the signs of a few numbers.

    Yu et al., *Language model beats diffusion: tokenizer is key to visual generation*, ICLR 2024, section
    3.1. The entropy bonus is the mean, over bits, of the entropy of a bit in the batch less its entropy given
    the input; the probability of a one is that of a logistic law.
    """

    def __init__(self, n_codewords: int, commitment: float, *, entropy: float) -> None:
        super().__init__(n_codewords, commitment)
        self.entropy = entropy

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        self._count([1] * shape[-1])
        return shape

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return -1 and 1."""
        outputs: Array = np.where(x > 0, x.dtype.type(1), x.dtype.type(-1))
        if training:
            self.cache = x, outputs
        return outputs

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Return the gradient of the input, as if signs were inputs."""
        x, _ = self.cache
        by_input = self._committed(gradient)
        if self.entropy:
            # Squared distances to -1 and 1 differ by 4 x.
            logits = 4 * x
            ones = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
            mean = np.clip(ones.reshape(-1, x.shape[-1]).mean(axis=0), 1e-6, 1 - 1e-6)
            slope = logits - np.log(mean / (1 - mean))  # of H(bit | input) - H(bit), times -1
            by_input -= (self.entropy * 4 / x.size) * ones * (1 - ones) * slope
        return by_input

    def tokens(self, rows: Doubles) -> Ids:
        """Return the signs as bits of a number."""
        return ((rows > 0) @ self._basis)[:, None]

    def vectors(self, tokens: Ids) -> Doubles:
        """Return the signs of tokens."""
        vectors: Doubles = (2 * (tokens // self._basis % 2) - 1).astype(np.float64)
        return vectors


def level_bits(n_codewords: int) -> list[int]:
    """Return the bits of each number of `Levels`: at most 3, as equal as possible."""
    n_bits = int(n_codewords).bit_length() - 1
    n_dims = math.ceil(n_bits / 3)
    return [n_bits // n_dims + (i < n_bits % n_dims) for i in range(n_dims)]


def _squares(x: Array, codewords: Array) -> Array:
    """Return the squared distances (n, K) of vectors to codewords."""
    squares: Array = x @ (-2 * codewords.T)
    squares += np.einsum("kd,kd->k", codewords, codewords)
    squares += np.einsum("nd,nd->n", x, x)[:, None]
    return squares


def _blocks(n: int, n_codewords: int) -> Iterator[slice]:
    """Yield slices of vectors whose distances to all codewords take little memory."""
    n_rows = max(1, DISTANCES_PER_BLOCK // n_codewords)
    for start in range(0, n, n_rows):
        yield slice(start, start + n_rows)


def _nearest(x: Array, codewords: Array) -> Ids:
    """Return the numbers of the nearest codewords."""
    nearest = np.empty(len(x), np.int64)
    for rows in _blocks(len(x), len(codewords)):
        nearest[rows] = _squares(x[rows], codewords).argmin(axis=1)
    return nearest


def _sums(x: Floats, chosen: Ids, n: int) -> Floats:
    """Return the sums (n, d) of the vectors with each number."""
    sums: Floats = np.zeros((n, x.shape[1]), np.float32)
    order = np.argsort(chosen, kind="stable")
    numbers, starts = np.unique(chosen[order], return_index=True)
    sums[numbers] = np.add.reduceat(x[order], starts, axis=0)
    return sums


def _unit(vectors: Floats) -> Floats:
    lengths = np.sqrt(np.square(vectors).sum(axis=-1, keepdims=True))
    unit: Floats = vectors / np.maximum(lengths, np.float32(1e-12))
    return unit


def _entropy_gradient(x: Floats, codewords: Floats) -> Floats:
    """Return the gradient, by the vectors, of minus the entropy of mean soft assignments.

    Soft assignments are the softmax of minus squared distances, in units of the mean least one.
    """
    blocks = [*_blocks(len(x), len(codewords))]
    least = np.concatenate([_squares(x[rows], codewords).min(axis=1) for rows in blocks])
    unit = max(float(least.mean()), 1e-12)

    def soft(rows: slice) -> Floats:
        weights = _squares(x[rows], codewords) * np.float32(-1 / unit)
        weights -= weights.max(axis=1, keepdims=True)
        np.exp(weights, out=weights)
        weights /= weights.sum(axis=1, keepdims=True)
        return weights

    mean = np.sum([soft(rows).sum(axis=0) for rows in blocks], axis=0) / np.float32(len(x))
    slope = np.log(mean + np.float32(1e-10)) / np.float32(len(x))
    gradient = np.empty_like(x)
    for rows in blocks:
        weights = soft(rows)
        by_logits = weights * (slope - (weights @ slope)[:, None])
        gradient[rows] = by_logits @ codewords * np.float32(2 / unit)
    return gradient
