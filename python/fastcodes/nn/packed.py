"""Trained networks as packed bits: the same answers, by integers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes import _files
from fastcodes._validation import as_integer
from fastcodes.nn._compile import steps_of
from fastcodes.nn._layer import Array, Layer, Shape
from fastcodes.nn._predictor import Predictor, floats, labels_of, pack_labels
from fastcodes.nn._steps import Step, pack_steps, unpack_steps

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["PackedModel"]


class PackedModel(Predictor):
    """A trained network whose layers of bits are packed: what `Sequential.compile` returns.

    It answers as the network that it was made of does, to the last bit, and cannot be trained. Each thread
    that calls it keeps room for what comes of packed layers, which the next call does not allocate anew.

    Attributes
    ----------
    classes_ : array (n_classes,)
        The labels, sorted.
    input_shape_ : tuple of int
        The shape of one sample.
    nbytes : int
        Bytes of all that is kept: packed weights, thresholds and floats.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import nn
    >>> rng = np.random.default_rng(0)
    >>> X = rng.integers(256, size=(500, 30), dtype=np.uint8)
    >>> y = X[:, :15].sum(axis=1, dtype=int) > X[:, 15:].sum(axis=1, dtype=int)
    >>> model = nn.Sequential(
    ...     nn.BinaryDense(64), nn.BatchNorm(), nn.Sign(),
    ...     nn.BinaryDense(2), nn.BatchNorm(),
    ...     random_state=0,
    ... ).fit(X, y, epochs=3)
    >>> packed = model.compile()
    >>> np.array_equal(packed.decision_function(X), model.decision_function(X))
    True
    >>> packed
    PackedModel(PackedDense(8-bit codes -> 64 signs), PackedDense(signs -> 2 floats), Normalise(2 floats))
    """

    def __init__(
        self, steps: Sequence[Step], input_shape: Shape, takes_pixels: bool, classes: NDArray[Any]
    ) -> None:
        self.steps = list(steps)
        self.input_shape_ = input_shape
        self.takes_pixels = takes_pixels
        self.classes_ = classes
        self._kept = _Kept()

    @classmethod
    def of(
        cls, layers: Iterable[Layer], input_shape: Shape, takes_pixels: bool, classes: NDArray[Any]
    ) -> Self:
        """Pack trained layers: see `Sequential.compile`."""
        return cls(steps_of(layers, input_shape, takes_pixels), input_shape, takes_pixels, classes.copy())

    def __repr__(self) -> str:
        """Show the steps."""
        return f"PackedModel({', '.join(map(repr, self.steps))})"

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays that are kept."""
        return sum(array.nbytes for array in pack_steps(self.steps)[1].values())

    def _checked(self, X: ArrayLike, name: str = "X") -> NDArray[Any]:
        samples = super()._checked(X, name)
        if self.takes_pixels and samples.dtype != np.uint8:
            raise TypeError(
                f"{name} must be uint8 as in training, since the packed model counts the bits of bytes; "
                f"got an array of dtype {samples.dtype}"
            )
        return samples

    def _runner(self, batch_size: int) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
        kept = self._kept
        if kept.batch_size < batch_size:
            kept.buffers = [step.buffer(batch_size) for step in self.steps]
            kept.batch_size = batch_size
        buffers = kept.buffers

        def run(batch: NDArray[Any]) -> NDArray[np.float32]:
            x: Array = np.ascontiguousarray(batch) if self.takes_pixels else floats(batch)
            for step, buffer in zip(self.steps, buffers, strict=True):
                x = step.run(x, None if buffer is None else buffer[: len(x)])
            return x

        return run

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the packed model to a safetensors file, in one step.

        Parameters
        ----------
        path : path-like
            Where to write, as a rule with the suffix ``.safetensors``.

        Raises
        ------
        TypeError
            If labels are neither numbers nor strings.
        OSError
            If the file cannot be written.
        """
        configs, arrays = pack_steps(self.steps)
        params: dict[str, Any] = {
            "steps": configs,
            "input_shape": self.input_shape_,
            "takes_pixels": self.takes_pixels,
        }
        pack_labels(self.classes_, params, arrays)
        _files.write(path, "PackedModel", params, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path-like
            The file. Nothing in it is executed.

        Returns
        -------
        PackedModel

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it holds something else, was cut short or altered.
        """
        params, arrays = _files.read(path, "PackedModel")
        with _files.refusing(path, "PackedModel"):
            shape = tuple(as_integer(length, "input_shape", 1) for length in params["input_shape"])
            model = cls(
                unpack_steps(params["steps"], arrays), shape, bool(params["takes_pixels"]), np.empty(0)
            )
            # Steps that do not fit each other do not get through this.
            logits = model._runner(1)(np.zeros((1, *shape), np.uint8))
            model.classes_ = labels_of(params, arrays, logits.shape[1])
            return model


class _Kept(threading.local):
    """Buffers for what comes of each step, which a thread keeps from call to call; copies begin without."""

    def __init__(self) -> None:
        self.batch_size = 0
        self.buffers: list[Array | None] = []

    def __reduce__(self) -> tuple[type[_Kept], tuple[()]]:
        return _Kept, ()
