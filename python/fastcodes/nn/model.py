"""Networks: layers one after the other, trained with labels."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcodes import _files
from fastcodes._estimator import NotFittedError
from fastcodes._progress import progress_bar
from fastcodes._validation import as_integer, random_generator
from fastcodes.nn._layer import Array, Layer, Parameter, Shape, layer_of, walk
from fastcodes.nn._predictor import (
    Predictor,
    check_finite,
    floats,
    labels_of,
    pack_labels,
    samples_of,
)
from fastcodes.nn.layers import Residual
from fastcodes.nn.losses import LOSSES, Balance, Loss, loss_of
from fastcodes.nn.optimizers import Adam, Optimizer, Schedule
from fastcodes.nn.packed import PackedModel

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Callback", "Sequential"]

# Called with the model after each epoch; returns whether to stop.
Callback = Callable[["Sequential"], "bool | None"]
# Makes a batch of a batch, for training only.
Augment = Callable[[Array, np.random.Generator], Array]


class Sequential(Predictor):
    """A network of layers, one after the other, that tells classes apart.

    Parameters
    ----------
    *layers : Layer
        The last one gives a logit for each class.
    random_state : None, int or numpy random generator
        Where first weights, the order of samples and dropout come from; an integer makes `fit` repeatable.

    Attributes
    ----------
    layers : tuple of Layer
        They hold the parameters.
    input_shape_ : tuple of int
        The shape of one sample.
    input_bits_ : int or None
        8 if the samples were uint8 in training, and None for others.
    classes_ : array (n_classes,)
        The labels, sorted; logit ``j`` is that of ``classes_[j]``.
    history_ : dict of str to list of float
        For each epoch "loss" and "accuracy" in training, and "validation_loss" and "validation_accuracy" if
        there were such data.
    loss_ : Loss
        What the last training minimised.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import nn
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(600, 20)).astype(np.float32)
    >>> y = np.where(X[:, :10].sum(axis=1) > X[:, 10:].sum(axis=1), "first", "second")
    >>> model = nn.Sequential(
    ...     nn.BinaryDense(64), nn.BatchNorm(), nn.Sign(),
    ...     nn.BinaryDense(2), nn.BatchNorm(),
    ...     random_state=0,
    ... )
    >>> model = model.fit(X, y, epochs=20, optimizer=nn.Adam(0.01), schedule=nn.Cosine())
    >>> model.evaluate(X, y)["accuracy"] > 0.9
    True
    >>> model.predict(X[:2]).shape, model.decision_function(X[:2]).shape
    ((2,), (2, 2))
    >>> print(model.summary())
    layer                  output  parameters  bits  float MACs  bit operations
    BinaryDense(units=64)  (64,)         1280  1280        1280               0
    BatchNorm()            (64,)          128  8192           0               0
    Sign()                 (64,)            0     0           0               0
    BinaryDense(units=2)   (2,)           128   128           0             128
    BatchNorm()            (2,)             4   256           0               0
    total                                1540  9856        1280             128
    """

    input_shape_: Shape
    input_bits_: int | None
    classes_: NDArray[Any]
    history_: dict[str, list[float]]
    loss_: Loss

    def __init__(self, *layers: Layer, random_state: Any = None) -> None:
        for layer in layers:
            if not isinstance(layer, Layer):
                hint = ": call it, as in nn.Sign()" if isinstance(layer, type) else ""
                raise TypeError(f"Sequential expects layers; got {layer!r}{hint}")
        if not layers:
            raise ValueError("Sequential expects at least one layer; got none")
        seen: set[int] = set()
        for name, layer in walk(layers):
            if id(layer) in seen:
                raise ValueError(f"layer {name}, {layer!r}, is there twice; make a new one for each place")
            seen.add(id(layer))
        self.layers = layers
        self.random_state = random_state

    def __repr__(self) -> str:
        """Show the layers."""
        return f"Sequential({', '.join(map(repr, self.layers))})"

    # --- shapes --------------------------------------------------------------------------------------------

    def build(self, input_shape: Shape) -> Self:
        """Make new parameters for samples of a shape; `fit` does it by itself.

        Parameters
        ----------
        input_shape : tuple of int
            The shape of one sample.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a layer cannot take what the one before it gives; the message says which.
        """
        # A generator of a known kind, whatever random_state is, since checkpoints keep its state.
        self._rng = np.random.default_rng(random_generator(self.random_state).integers(2**63, size=4))
        shape = tuple(as_integer(length, "input_shape", 1) for length in input_shape)
        self.input_shape_, self.input_bits_ = shape, None
        for i, layer in enumerate(self.layers):
            try:
                shape = layer.build(shape, self._rng)
            except ValueError as error:
                raise ValueError(f"layer {i}, {layer!r}: {error}") from None
        return self

    @property
    def n_parameters(self) -> int:
        """How many numbers `fit` learns."""
        self._check_built()
        return sum(parameter.value.size for parameter in self._parameters().values())

    def summary(self) -> str:
        """Return a table of the layers.

        Returns
        -------
        str
            A line for each layer: the shape of its output for one sample, the number of its parameters, the
            bits that it needs in memory once it is trained (one for a binary weight, 32 for any other number,
            running means among them), the multiply-adds of its matrix product for one sample where weights or
            inputs are floats, and where both are bits. An input of n bits counts n times.

        Raises
        ------
        NotFittedError
            If shapes are not known yet.
        """
        self._check_built()
        header = ("layer", "output", "parameters", "bits", "float MACs", "bit operations")
        rows = list(_rows(self.layers, self.input_bits_))
        totals = [sum(row[i] for row in rows) for i in range(2, len(header))]
        table = [header, *rows, ("total", "", *totals)]
        text = [[str(cell) for cell in row] for row in table]
        widths = [max(len(row[i]) for row in text) for i in range(len(header))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i < 2 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in text
        )

    # --- training ------------------------------------------------------------------------------------------

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int = 10,
        batch_size: int = 128,
        optimizer: Optimizer | None = None,
        schedule: Schedule | None = None,
        loss: str | Loss = "cross_entropy",
        regularizer: Balance | None = None,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
        callbacks: Iterable[Callback] = (),
        augment: Augment | None = None,
        resume: bool = False,
        verbose: bool = False,
    ) -> Self:
        """Train on samples and their labels.

        Parameters
        ----------
        X : array_like (n, ...)
            Samples: vectors (n, d) or images (n, height, width, channels) of floats, integers or uint8, as
            the first layer takes them. Converted to float32 a batch at a time and not scaled: a `BatchNorm`
            after the first layer does that. A memory map is fine.
        y : array_like (n,)
            Their labels: numbers or strings, as many kinds as the last layer has outputs.
        epochs : int
            How often to go through all samples.
        batch_size : int
            Samples to a step, at most: batches are as equal as can be.
        optimizer : Optimizer, optional
            How to step; `Adam` by default.
        schedule : callable, optional
            What to multiply learning rates by, from the part of the training that is done (0 to 1): `Cosine`,
            `Step`, or any such function.
        loss : {"cross_entropy", "squared_hinge"} or Loss
            What to minimise.
        regularizer : Balance, optional
            What to add to it.
        validation_data : pair (X, y), optional
            Samples that are not trained on, for a figure after each epoch.
        callbacks : iterable of callable
            Called with the model after each epoch, in this order; one that returns True ends the training.
            `EarlyStopping` and `Checkpoint` are such.
        augment : callable, optional
            Takes a batch (n, ...) in float32 and a numpy Generator and returns one of the same shape, for
            example moved images.
        resume : bool
            Whether to go on where a training was left, by a callback or in a file, up to `epochs` in total.
            With the same arguments the end is the one that a single run has, to the last bit. If not, all is
            learned anew.
        verbose : bool
            Whether to show a progress bar; needs the extra ``cli``.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` are not real numbers, or a parameter has the wrong type.
        ValueError
            If `X` and `y` do not fit each other or the layers, if `X` has a value that is not finite, or a
            parameter is out of range.
        FloatingPointError
            If the loss is no longer finite.

        Notes
        -----
        Convolutions share a batch among threads of their own, and those that numpy's BLAS starts in each of
        them stand in the way. Networks of convolutions are trained faster with one thread of BLAS:
        ``with threadpoolctl.threadpool_limits(1): model.fit(X, y)``, or ``OPENBLAS_NUM_THREADS=1``.
        """
        epochs, batch_size = as_integer(epochs, "epochs", 1), as_integer(batch_size, "batch_size", 1)
        optimizer = Adam() if optimizer is None else optimizer
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be an object such as nn.Adam(1e-3); got {optimizer!r}")
        objective, callbacks = loss_of(loss), list(callbacks)
        if resume:
            self._check_resumable(optimizer)
            samples, labels = self._checked(X), _labels(y)
        else:
            samples, labels = samples_of(X), _labels(y)
            check_finite(samples)
        _check_lengths(samples, labels)
        if not resume:
            self._start(samples, labels, optimizer)
        self.loss_ = objective
        numbers = self._numbers(labels, "y")
        validation = None if validation_data is None else self._validation(validation_data)

        n_batches = -(-len(samples) // batch_size)
        with progress_bar(verbose, epochs * n_batches, "network", "steps") as show:
            for _ in self.history_["loss"] * n_batches:
                show("")
            for epoch in range(len(self.history_["loss"]), epochs):
                figures = np.zeros(2)
                order = self._rng.permutation(len(samples))
                for i, rows in enumerate(np.array_split(order, n_batches)):
                    x = floats(samples[rows])
                    if augment is not None:
                        x = _augmented(augment, x, self._rng)
                    done = (epoch + i / n_batches) / epochs
                    factor = 1.0 if schedule is None else schedule(done)
                    value, logits = self._step(
                        x, numbers[rows], objective, regularizer, optimizer, factor, done
                    )
                    if not math.isfinite(value):
                        raise FloatingPointError(
                            f"the loss is {value} in epoch {epoch + 1}; take a lower learning rate than "
                            f"that of {optimizer!r}"
                        )
                    n_right = int(np.count_nonzero(logits.argmax(axis=1) == numbers[rows]))
                    figures += value * len(rows), n_right
                    seen = order.size * i // n_batches + len(rows)
                    show(f"epoch {epoch + 1}, loss {figures[0] / seen:.4f}, accuracy {figures[1] / seen:.2%}")
                means = dict(zip(("loss", "accuracy"), (figures / len(samples)).tolist(), strict=True))
                if validation is not None:
                    told = self._figures(*validation, objective.plain)
                    means |= {f"validation_{name}": figure for name, figure in told.items()}
                for name, figure in means.items():
                    self.history_.setdefault(name, []).append(figure)
                stops = [callback(self) for callback in callbacks]
                if any(stops):
                    break
        self._forget()
        return self

    def _start(self, samples: NDArray[Any], labels: NDArray[Any], optimizer: Optimizer) -> None:
        try:
            classes = np.unique(labels)
        except TypeError as error:
            raise TypeError(
                f"y must be labels that can be sorted, such as numbers or strings: {error}"
            ) from None
        if len(classes) < 2:
            raise ValueError(f"y must have 2 classes or more; got one class, {classes.tolist()[0]!r}")
        self.build(samples.shape[1:])
        outputs = self.layers[-1].output_shape
        if outputs != (len(classes),):
            raise ValueError(
                f"the last layer must have an output for each of the {len(classes)} classes in y; its output "
                f"has the shape {outputs}. End with Flatten() if need be, and a layer of {len(classes)} units"
            )
        self._prepare(optimizer)
        self.input_bits_ = 8 if samples.dtype == np.uint8 else None
        self.classes_ = classes
        self.history_ = {"loss": [], "accuracy": []}

    def _prepare(self, optimizer: Optimizer) -> None:
        """Make the parameters ready for their first step."""
        for parameter in self._parameters().values():
            optimizer.prepare(parameter)
        self._n_steps = 0

    def _forget(self) -> None:
        """Drop what only steps back need."""
        for _, layer in walk(self.layers):
            layer.cache = None

    def _check_resumable(self, optimizer: Optimizer) -> None:
        if not hasattr(self, "history_"):
            raise NotFittedError(
                "resume=True goes on with a training, and there was none; call fit without it"
            )
        for name, parameter in self._parameters().items():
            expected = optimizer.slots(parameter)
            if set(parameter.slots) != set(expected):
                raise ValueError(
                    f"resume=True goes on with what the optimiser remembers of {name}, "
                    f"{sorted(parameter.slots)}; {optimizer!r} remembers {sorted(expected)}. "
                    "Take the optimiser that training began with"
                )

    def _step(
        self,
        x: Array,
        labels: NDArray[Any],
        loss: Loss,
        regularizer: Balance | None,
        optimizer: Optimizer,
        factor: float,
        progress: float,
    ) -> tuple[float, Array]:
        """Take a step; return the loss and the logits before it."""
        for _, layer in walk(self.layers):
            layer.progress = progress
        logits = x
        for layer in self.layers:
            logits = layer.forward(logits, training=True)
        value, gradient = loss(logits, labels, x)
        # What comes before the first layer with parameters needs no gradient.
        first = next((i for i, layer in enumerate(self.layers) if _own(layer)), len(self.layers))
        for i in range(len(self.layers) - 1, first - 1, -1):
            gradient = self.layers[i].backward(gradient, needs_input=i > first)
        if regularizer is not None:
            value += regularizer(self.layers)
        self._n_steps += 1
        for parameter in self._parameters().values():
            optimizer.update(parameter, factor, self._n_steps)
            limit = None if parameter.quantizer is None else parameter.quantizer.limit
            if limit is not None:
                np.clip(parameter.value, -limit, limit, out=parameter.value)
        return value, logits

    # --- answers -------------------------------------------------------------------------------------------

    def _runner(self, batch_size: int) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
        def run(batch: NDArray[Any]) -> NDArray[np.float32]:
            x: Array = floats(batch)
            for layer in self.layers:
                x = layer.forward(x)
            return x

        return run

    def evaluate(self, X: ArrayLike, y: ArrayLike) -> dict[str, float]:
        """Return the mean loss and the accuracy on samples with known labels.

        Parameters
        ----------
        X : array_like (n, ...)
            Samples, as in `fit`.
        y : array_like (n,)
            Their labels.

        Returns
        -------
        dict
            "loss", without regulariser and teacher, and "accuracy", from 0 to 1.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        TypeError, ValueError
            If `X` are not such samples, or `y` has a label that was not there in training.
        """
        self._check_fitted()
        return self._figures(*self._validation((X, y), ("X", "y")), self.loss_.plain)

    def _figures(self, samples: NDArray[Any], numbers: NDArray[np.int64], loss: Loss) -> dict[str, float]:
        logits = self.decision_function(samples)
        value, _ = loss(logits, numbers, logits)
        return {"loss": value, "accuracy": float((logits.argmax(axis=1) == numbers).mean())}

    def compile(self) -> PackedModel:
        """Pack the trained network: layers of bits become integer products of packed bits.

        Returns
        -------
        PackedModel
            It gives the same logits, to the last bit, and does not change when training goes on.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ValueError
            If the sums of a layer are too large to be exact in float32, in which the network was trained; the
            message says which.
        """
        self._check_fitted()
        return PackedModel.of(self.layers, self.input_shape_, self.input_bits_ == 8, self.classes_)

    # --- files ---------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write layers, parameters and all that `fit` needs to go on to a safetensors file.

        A file that is there is replaced, in one step. A `random_state` that is not an integer, a teacher and
        functions given to `fit` are not kept.

        Parameters
        ----------
        path : path-like
            Where to write, as a rule with the suffix ``.safetensors``.

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        TypeError
            If labels are neither numbers nor strings.
        OSError
            If the file cannot be written.
        """
        _files.write(path, "Sequential", *self._pack())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path-like
            The file. Nothing in it is executed.

        Returns
        -------
        Sequential
            It predicts the same, and ``fit(..., resume=True)`` goes on as if there had been no file.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it holds something else, was cut short or altered.
        """
        params, arrays = _files.read(path, "Sequential")
        with _files.refusing(path, "Sequential"):
            return cls._unpack(params, arrays)

    def _pack(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        self._check_fitted()
        arrays = {f"{name}": array for name, array in self._state().items()}
        for name, parameter in self._parameters().items():
            arrays[name] = parameter.value
            arrays |= {f"{name}/{slot}": array for slot, array in parameter.slots.items()}
        names = {loss: name for name, loss in LOSSES.items()}
        params = {
            "layers": [layer.config() for layer in self.layers],
            "random_state": int(seed) if isinstance(seed := self.random_state, numbers.Integral) else None,
            "input_shape": self.input_shape_,
            "input_bits": self.input_bits_,
            "loss": names[self.loss_.plain],
            "history": self.history_,
            "n_steps": self._n_steps,
            "rng": self._rng.bit_generator.state,
        }
        pack_labels(self.classes_, params, arrays)
        return params, arrays

    @classmethod
    def _unpack(cls, params: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        model = cls(*map(layer_of, params["layers"]), random_state=params["random_state"])
        model.build(params["input_shape"])
        for name, parameter in model._parameters().items():
            parameter.value[...] = _files.take(arrays, name, np.float32, parameter.value.shape, finite=True)
            slots = [key for key in arrays if key.startswith(f"{name}/")]
            parameter.slots = {
                key.removeprefix(f"{name}/"): _files.take(
                    arrays, key, np.float32, parameter.value.shape, finite=True
                )
                for key in slots
            }
        for name, array in model._state().items():
            array[...] = _files.take(arrays, name, np.float32, array.shape, finite=True)
        model.classes_ = labels_of(params, arrays, model.layers[-1].output_shape[0])
        model.input_bits_ = (
            None if params["input_bits"] is None else as_integer(params["input_bits"], "bits", 1, 8)
        )
        model.loss_ = loss_of(params["loss"])
        model.history_ = {str(name): [float(v) for v in values] for name, values in params["history"].items()}
        model._n_steps = as_integer(params["n_steps"], "n_steps", 0)
        model._rng.bit_generator.state = params["rng"]
        return model

    # --- checks --------------------------------------------------------------------------------------------

    def _parameters(self) -> dict[str, Parameter]:
        return {
            f"{name}.{key}": parameter
            for name, layer in walk(self.layers)
            for key, parameter in layer.parameters.items()
        }

    def _state(self) -> dict[str, Array]:
        return {
            f"{name}.{key}": array for name, layer in walk(self.layers) for key, array in layer.state.items()
        }

    def _check_built(self) -> None:
        if not hasattr(self, "input_shape_"):
            raise NotFittedError(
                "This Sequential has no shapes yet. Call 'fit', or 'build' with the shape of a sample"
            )

    def _validation(
        self, data: Any, names: tuple[str, str] = ("X of validation_data", "y of validation_data")
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            raise ValueError("validation_data must be a pair (X, y) of samples and labels")
        samples, labels = self._checked(data[0], names[0]), _labels(data[1], names[1])
        _check_lengths(samples, labels, names)
        return samples, self._numbers(labels, names[1])

    def _numbers(self, labels: NDArray[Any], name: str) -> NDArray[np.int64]:
        """Return which of `classes_` each label is."""
        try:
            numbers = np.searchsorted(self.classes_, labels).clip(max=len(self.classes_) - 1)
            known = np.asarray(self.classes_[numbers] == labels)
        except TypeError:
            known = np.zeros(len(labels), np.bool_)
        if not known.all():
            stranger = labels.tolist()[int(known.argmin())]
            raise ValueError(f"{name} has the label {stranger!r}; known are {self.classes_.tolist()}")
        return numbers.astype(np.int64)


def _own(layer: Layer) -> bool:
    """Return whether a layer, or one in it, has parameters."""
    return any(inner.parameters for _, inner in walk([layer]))


def _rows(layers: Iterable[Layer], bits: int | None, indent: str = "") -> Iterator[tuple[Any, ...]]:
    """Yield the lines of a summary; `bits` is what an input value has."""
    for layer in layers:
        quantized = getattr(layer, "quantizer", None) is not None
        parameters = layer.parameters.values()
        memory = sum(p.value.size * (32 if p.quantizer is None else 1) for p in parameters)
        memory += sum(32 * array.size for array in layer.state.values())
        in_bits = quantized and bits is not None
        yield (
            f"{indent}{type(layer).__name__ if layer.children else repr(layer)}",
            str(layer.output_shape),
            sum(p.value.size for p in parameters),
            memory,
            0 if in_bits else layer.macs,
            layer.macs * bits if quantized and bits is not None else 0,
        )
        if isinstance(layer, Residual):
            for way in (layer.layers, layer.shortcut):
                yield from _rows(way, bits, indent + "  ")
        bits = layer.output_bits(bits)


def _labels(y: ArrayLike, name: str = "y") -> NDArray[Any]:
    labels = np.asarray(y)
    if labels.ndim != 1:
        advice = f"; of one-hot rows take {name}.argmax(axis=1)" if labels.ndim == 2 else ""
        raise ValueError(f"{name} must be labels (n,); got shape {labels.shape}{advice}")
    if labels.dtype.kind == "f" and not (labels == np.rint(labels)).all():
        odd = labels[labels != np.rint(labels)][0]
        raise ValueError(
            f"{name} must be labels of classes, whole numbers or strings; got {odd}, which is continuous"
        )
    return labels


def _check_lengths(samples: NDArray[Any], labels: NDArray[Any], names: tuple[str, str] = ("X", "y")) -> None:
    if len(samples) != len(labels):
        raise ValueError(f"{names[0]} has {len(samples)} samples and {names[1]} {len(labels)} labels")
    if not len(samples):
        raise ValueError(f"{names[0]} has no samples; expected at least one")


def _augmented(augment: Augment, x: Array, rng: np.random.Generator) -> Array:
    changed = np.asarray(augment(x, rng))
    if changed.shape != x.shape:
        raise ValueError(f"augment has to keep the shape of a batch, {x.shape}; it returned {changed.shape}")
    return np.ascontiguousarray(changed, np.float32)
