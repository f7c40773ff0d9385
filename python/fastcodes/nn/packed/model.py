"""Packed networks: exact predictions from packed bits and integers."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._typing import Array, Floats, PathLike
from fastcodes._validation import as_bool, as_integer, as_list, describe, to_float32
from fastcodes.nn._predictor import Predictor, Runner
from fastcodes.nn._samples import labels_from_state, labels_to_state
from fastcodes.nn.layers import MAX_UNITS, Layer, Shape
from fastcodes.nn.packed.compile import compile_layers
from fastcodes.nn.packed.files import steps_from_state, steps_to_state
from fastcodes.nn.packed.steps import PackedStep

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["PackedModel"]


class PackedModel(Predictor):
    """A trained network with packed binary layers, as `Sequential.compile` returns it.

    It computes the same logits as the original network, to the last bit, and cannot be trained. Each thread
    that calls it keeps buffers for the outputs of packed layers, which later calls reuse.

    Parameters
    ----------
    steps : sequence of PackedStep
        What `Sequential.compile` makes of the layers.
    input_shape : tuple of int
        The shape of one sample.
    takes_pixels : bool
        Whether samples are uint8.
    classes : array (n_classes,)
        The labels, sorted.

    Attributes
    ----------
    classes_ : array (n_classes,)
        The labels, sorted.
    input_shape_ : tuple of int
        The shape of one sample.
    nbytes : int
        The size of all arrays: packed weights, thresholds and floats.

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
    PackedModel(PackedDense(8-bit codes -> 64 signs), PackedDense(signs -> 2 floats), Normalize(2 floats))
    """

    def __init__(
        self, steps: Sequence[PackedStep], *, input_shape: Shape, takes_pixels: bool, classes: Array
    ) -> None:
        self.steps = as_list(steps, "steps", "packed steps, as Sequential.compile makes them")
        if not self.steps or not all(isinstance(step, PackedStep) for step in self.steps):
            raise TypeError(
                "steps must be packed steps, at least one, as Sequential.compile makes them; "
                f"got {describe(steps)}"
            )
        lengths = as_list(input_shape, "input_shape", "integers")
        self.input_shape_ = tuple(as_integer(length, "input_shape", 1, MAX_UNITS) for length in lengths)
        self.takes_pixels = as_bool(takes_pixels, "takes_pixels")
        if not isinstance(classes, np.ndarray) or classes.ndim != 1:
            raise TypeError(f"classes must be an array of labels (n_classes,); got {describe(classes)}")
        self.classes_ = classes
        self._buffers = _Buffers()

    @classmethod
    def from_layers(
        cls, layers: Iterable[Layer], *, input_shape: Shape, takes_pixels: bool, classes: Array
    ) -> Self:
        """Pack trained layers: see `Sequential.compile`."""
        steps = compile_layers(layers, input_shape, takes_pixels)
        return cls(steps, input_shape=input_shape, takes_pixels=takes_pixels, classes=classes.copy())

    def __repr__(self) -> str:
        """Show the steps."""
        return f"PackedModel({', '.join(map(repr, self.steps))})"

    @property
    def nbytes(self) -> int:
        """The size of all arrays in bytes."""
        return sum(array.nbytes for array in steps_to_state(self.steps)[1].values())

    def _checked(self, X: ArrayLike, name: str = "X") -> Array:
        samples = super()._checked(X, name)
        if self.takes_pixels and samples.dtype != np.uint8:
            raise TypeError(
                f"{name} must be uint8 as in training, since the first layer is packed for bytes; "
                f"got an array of dtype {samples.dtype}"
            )
        return samples

    def _runner(self, batch_size: int) -> Runner:
        buffers = self._buffers.for_batches(self.steps, batch_size)

        def run(batch: Array) -> Floats:
            x: Array = np.ascontiguousarray(batch) if self.takes_pixels else to_float32(batch)
            for step, buffer in zip(self.steps, buffers, strict=True):
                x = step.run(x, None if buffer is None else buffer[: len(x)])
            return x

        return run

    def save(self, path: PathLike) -> None:
        """Write the packed model to a safetensors file.

        An existing file is replaced atomically.

        Parameters
        ----------
        path : path-like
            Where to write, usually with the suffix ``.safetensors``.

        Raises
        ------
        TypeError
            If labels are neither numbers nor strings.
        OSError
            If the file cannot be written.
        """
        configs, arrays = steps_to_state(self.steps)
        params: dict[str, Any] = {
            "steps": configs,
            "input_shape": self.input_shape_,
            "takes_pixels": self.takes_pixels,
        }
        labels_to_state(self.classes_, params, arrays)
        _files.write(path, "PackedModel", params, arrays)

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Read a packed model that `save` wrote.

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
            If it is not the file of a PackedModel, or was truncated or altered.
        """
        params, arrays = _files.read(path, "PackedModel")
        with _files.refusing(path, "PackedModel"):
            model = cls(
                steps_from_state(params["steps"], arrays),
                input_shape=params["input_shape"],
                takes_pixels=params["takes_pixels"],
                classes=np.empty(0),
            )
            # Steps that do not fit each other fail here.
            logits = model._runner(1)(np.zeros((1, *model.input_shape_), np.uint8))
            model.classes_ = labels_from_state(params, arrays, logits.shape[1])
            return model


class _Buffers(threading.local):
    """Arrays for the outputs of steps, which each thread keeps from call to call. Copies start empty."""

    def __init__(self) -> None:
        self.batch_size = 0
        self.arrays: list[Array | None] = []

    def for_batches(self, steps: Sequence[PackedStep], batch_size: int) -> list[Array | None]:
        """Return arrays for at least `batch_size` samples."""
        if self.batch_size < batch_size:
            self.arrays = [step.buffer(batch_size) for step in steps]
            self.batch_size = batch_size
        return self.arrays

    def __reduce__(self) -> tuple[type[_Buffers], tuple[()]]:
        return _Buffers, ()
