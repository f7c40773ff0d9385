"""The network of a `TokenPrior`, and its form in integers, which alone make probabilities."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from fastcodes._typing import Array, Doubles, Ids
from fastcodes.nn import Layer, Network
from fastcodes.nn.layers import Parameter
from fastcodes.nn.layers.base import Shape

__all__ = ["FREQUENCIES", "Tables", "TokenContexts", "ends_of", "rounded"]

Tables: TypeAlias = tuple[Array, Ids, Doubles]

# Fixed-point numbers of the network in use: hidden values, weights, and logits in bits.
_HIDDEN_SCALE, _WEIGHT_SCALE = 256, 256
_STEPS_PER_BIT = 64
_LOGITS_PER_STEP = _HIDDEN_SCALE * _WEIGHT_SCALE // _STEPS_PER_BIT
_LARGEST_FREQUENCY = 1 << 16


class TokenContexts(Layer):
    """The sum of an embedding for each neighbour and its token."""

    def __init__(self, n_tokens: int, units: int) -> None:
        super().__init__()
        self.n_tokens = n_tokens
        self.units = units

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        size = (shape[0], self.n_tokens + 1, self.units)
        scale = np.float32(0.5 / math.sqrt(shape[0]))
        self.parameters = {
            "embeddings": Parameter(rng.standard_normal(size, np.float32) * scale),
            "bias": Parameter(np.zeros(self.units, np.float32)),
        }
        return (self.units,)

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return sums (n, units) for the tokens of neighbours (n, n_neighbors)."""
        if training:
            self.cache = x
        embeddings = self.parameters["embeddings"].value
        total = np.repeat(self.parameters["bias"].value[None], len(x), axis=0)
        for j in range(x.shape[1]):
            total += embeddings[j][x[:, j]]
        return total

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Set the gradients of the embeddings."""
        x, embeddings = self.cache, self.parameters["embeddings"]
        embeddings.gradient = np.zeros_like(embeddings.value)
        for j in range(x.shape[1]):
            order = np.argsort(x[:, j], kind="stable")
            numbers, starts = np.unique(x[order, j], return_index=True)
            embeddings.gradient[j, numbers] = np.add.reduceat(gradient[order], starts, axis=0)
        self.parameters["bias"].gradient = gradient.sum(axis=0)
        return gradient


def rounded(network: Network) -> tuple[Array, Array, Array]:
    """Return the numbers of a trained network in fixed point."""
    first, _, last = network.layers
    embeddings, bias = (first.parameters[name].value for name in ("embeddings", "bias"))
    weights = np.vstack([last.parameters[name].value for name in ("weights", "bias")]) / math.log(2)
    parts = embeddings * _HIDDEN_SCALE, bias * _HIDDEN_SCALE, weights * _WEIGHT_SCALE
    limits = np.iinfo(np.int16)
    first_part, bias_part, last_part = (
        np.clip(np.rint(part), limits.min, limits.max).astype(np.int16) for part in parts
    )
    return first_part, bias_part, last_part


def _frequencies() -> Ids:
    """Return 2**16 / 2**(i / 64), rounded, at least 1, by integers alone."""
    unit = 1 << 64
    # The 64th root of 2, by six square roots.
    root = 2 * unit
    for _ in range(_STEPS_PER_BIT.bit_length() - 1):
        root = math.isqrt(root * unit)
    powers, value = [], _LARGEST_FREQUENCY * unit
    while value > unit // 2:
        powers.append((value + unit // 2) // unit)
        value = value * unit // root
    return np.array([*powers, 1], np.int64)


FREQUENCIES = _frequencies()


def ends_of(contexts: Array, tables: Tables) -> Ids:
    """Return the ends of the intervals of all tokens, int64 (n, n_codewords), given their neighbours.

    All numbers are integers, which float64 holds exactly.
    """
    embeddings, bias, weights = tables
    hidden = np.repeat(bias[None], len(contexts), axis=0)
    for j in range(contexts.shape[1]):
        hidden += embeddings[j][contexts[:, j]]
    np.clip(hidden, -_HIDDEN_SCALE, _HIDDEN_SCALE, out=hidden)
    logits = hidden.astype(np.float64) @ weights[:-1]
    logits += weights[-1] * _HIDDEN_SCALE
    np.subtract(logits.max(axis=1, keepdims=True), logits, out=logits)
    logits /= _LOGITS_PER_STEP  # a power of two
    frequencies = np.take(FREQUENCIES, logits.astype(np.int32), mode="clip")
    ends: Ids = np.cumsum(frequencies, axis=1)
    return ends
