"""Messages: all symbols in one run of bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._typing import Array, Codes
from fastcodes._validation import as_array, as_integer, check_threads, describe, described
from fastcodes.entropy._models import Model

__all__ = ["as_data", "decode", "encode"]

_MOST = 2**63 - 1


def encode(
    symbols: ArrayLike, model: Model, *, scales: ArrayLike | None = None, threads: int | None = None
) -> bytes:
    """Encode symbols.

    Parameters
    ----------
    symbols : array_like of int
        Symbols that `model` has, of any shape and integer dtype.
    model : Categorical, ScaleTable or Huffman
        How probable they are.
    scales : array_like of int, optional
        For a `ScaleTable`, the index of the scale of each symbol, in the shape of `symbols`.
    threads : int, optional
        Largest number of threads; None means all CPUs of this process. A thread takes a million symbols;
        a `Huffman` code takes one thread.

    Returns
    -------
    bytes
        At most 0.1 % and 132 bytes for each million symbols more than ``model.bits(symbols) / 8``; fewer than
        8192 symbols take at most one byte and 0.02 bits a symbol more.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If the model does not have a symbol, or a scale does not exist.

    Examples
    --------
    >>> from fastcodes import entropy
    >>> entropy.encode([0, 0, 1, 0, 0, 0, 0, 0], entropy.Categorical([7, 1])).hex()
    'ac'
    """
    check_threads(threads)
    return as_model(model)._encode(symbols, scales, threads)


def decode(
    data: Any,
    model: Model,
    n: int | tuple[int, ...] | None = None,
    *,
    scales: ArrayLike | None = None,
    threads: int | None = None,
) -> Array:
    """Decode what `encode` returned.

    Parameters
    ----------
    data : bytes or uint8 array (n_bytes,)
        The result of `encode`.
    model : Categorical, ScaleTable or Huffman
        The model that it was encoded with, or an equal one.
    n : int or tuple of int
        Number of symbols, or their shape. A `ScaleTable` knows it from `scales`.
    scales : array_like of int, optional
        For a `ScaleTable`, the index of the scale of each symbol.
    threads : int, optional
        Largest number of threads; None means all CPUs of this process.

    Returns
    -------
    array of ``model.dtype``
        The symbols; int32 for a `ScaleTable`.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If `data` are no code of `n` symbols of the model. A message has no checksum: altered bytes can go
        unnoticed, above all in messages of fewer than 8192 symbols, and where all probabilities are powers
        of two.

    Examples
    --------
    >>> from fastcodes import entropy
    >>> entropy.decode(bytes.fromhex("ac"), entropy.Categorical([7, 1]), 8).tolist()
    [0, 0, 1, 0, 0, 0, 0, 0]
    """
    check_threads(threads)
    if isinstance(n, tuple):
        shape: tuple[int, ...] | None = tuple(as_integer(length, "n", 0, _MOST) for length in n)
    else:
        shape = None if n is None else (as_integer(n, "n", 0, _MOST),)
    return as_model(model)._decode(as_data(data), shape, scales, threads)


def as_model(model: Any) -> Model:
    """Return a model of messages."""
    if not isinstance(model, Model):
        raise TypeError(
            f"model must be a Categorical, ScaleTable or Huffman of fastcodes.entropy; got {describe(model)}"
        )
    return model


def as_data(data: Any) -> Codes:
    """Return bytes as an array."""
    array = np.frombuffer(data, np.uint8) if isinstance(data, (bytes, bytearray)) else as_array(data, "data")
    if array.dtype != np.uint8:
        raise TypeError(
            f"data must be bytes, or a numpy uint8 array (n_bytes,); got {described(array, data)}"
        )
    if array.ndim != 1:
        raise ValueError(f"data must have one dimension; got shape {array.shape}")
    return np.ascontiguousarray(array)
