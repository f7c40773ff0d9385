"""Networks that classify: train, predict, compile, save."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._estimator import NotFittedError, check_fitted
from fastcodes._progress import progress_bar
from fastcodes._typing import Array, Floats, Ids, PathLike
from fastcodes._validation import as_bool, as_integer, describe, to_float32
from fastcodes.nn._predictor import Predictor, Runner
from fastcodes.nn._samples import (
    as_labels,
    as_network_samples,
    check_finite,
    check_lengths,
    labels_from_state,
    labels_to_state,
)
from fastcodes.nn._thread_pool import limit_threads
from fastcodes.nn.layers import Shape, layer_from_config
from fastcodes.nn.packed import PackedModel
from fastcodes.nn.training.augmentation import Augmentation
from fastcodes.nn.training.losses import LOSSES, Balance, CrossEntropy, Loss, as_loss
from fastcodes.nn.training.network import Network
from fastcodes.nn.training.optimizers import Adam, Optimizer, check_optimizer
from fastcodes.nn.training.schedules import Schedule

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Callback", "Sequential"]

# Called with the model after each epoch; returns whether to stop.
Callback: TypeAlias = Callable[["Sequential"], "bool | None"]


class Sequential(Network, Predictor):
    """A classifier made of layers that are applied one after the other.

    Parameters
    ----------
    *layers : Layer
        The last one outputs a logit for each class.
    random_state : None, int or numpy random generator
        The source of initial weights, the order of samples and dropout; an integer makes `fit` reproducible.

    Attributes
    ----------
    layers : tuple of Layer
        They hold the parameters.
    input_shape_ : tuple of int
        The shape of one sample.
    input_bits_ : int or None
        8 if the training samples were uint8, otherwise None.
    classes_ : array (n_classes,)
        The labels, sorted; logit ``j`` is that of ``classes_[j]``.
    history_ : dict of str to list of float
        For each epoch "loss" and "accuracy" on the training data, and "validation_loss" and
        "validation_accuracy" if there are validation data.
    loss_ : Loss
        The loss of the last training.

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

    classes_: Array
    history_: dict[str, list[float]]
    loss_: Loss

    # --- training ------------------------------------------------------------------------------------------

    def build(
        self, input_shape: Shape, *, classes: ArrayLike | None = None, input_bits: int | None = None
    ) -> Self:
        """Initialize the parameters for samples of a shape; `fit` calls this.

        With `classes` the network predicts, compiles and is saved without training: give it weights trained
        elsewhere by `set_weights`. ``fit(..., resume=True)`` fine-tunes them.

        Parameters
        ----------
        input_shape : tuple of int
            The shape of one sample.
        classes : array_like (n_classes,), optional
            The labels, sorted; logit ``j`` is that of ``classes[j]``.
        input_bits : {8}, optional
            8 if samples are uint8, so that `compile` packs the first layer for bytes.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a layer cannot process the output of the one before it (the message names the layer), `classes`
            are not 2 or more sorted labels, one for each output, or `input_bits` is something else.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes import nn
        >>> elsewhere = {
        ...     "dense": np.array([[0.3, -0.2], [0.1, -0.7], [-0.5, 0.9]], np.float32),
        ...     "scale": np.array([1.0, 0.5], np.float32),
        ...     "shift": np.array([0.0, 0.25], np.float32),
        ... }
        >>> model = nn.Sequential(nn.Sign(), nn.BinaryDense(2), nn.BatchNorm(epsilon=1e-9))
        >>> model = model.build((3,), classes=["cat", "dog"]).set_weights({
        ...     "1.weights": elsewhere["dense"],
        ...     "2.gamma": elsewhere["scale"],
        ...     "2.beta": elsewhere["shift"],
        ...     "2.mean": np.zeros(2, np.float32),
        ...     "2.variance": np.ones(2, np.float32),
        ... })
        >>> X = np.array([[1.0, 2.0, -3.0], [-1.0, -0.1, 1.0]])
        >>> model.decision_function(X)
        array([[ 3.  , -1.25],
               [-3.  ,  1.75]], dtype=float32)
        >>> model.compile().predict(X)
        array(['cat', 'dog'], dtype='<U3')
        """
        labels = None if classes is None else np.asarray(classes)
        if input_bits is not None and as_integer(input_bits, "input_bits") != 8:
            raise ValueError(f"input_bits must be 8 or None; got {describe(input_bits)}")
        super().build(input_shape)
        self.input_bits_ = input_bits
        for name in ("classes_", "history_"):
            vars(self).pop(name, None)
        if labels is not None:
            self._classify(labels, "classes")
        return self

    def _classify(self, classes: Array, name: str) -> None:
        """Take the labels, the argument `name`."""
        outputs = self.layers[-1].output_shape
        if classes.ndim != 1 or len(classes) < 2 or not np.array_equal(np.unique(classes), classes):
            raise ValueError(f"{name} must be 2 or more different labels, sorted; got {describe(classes)}")
        if outputs != (len(classes),):
            raise ValueError(
                f"the last layer must have an output for each of the {len(classes)} classes in {name}; its "
                f"output has the shape {outputs}. End with Flatten() if needed, and a layer of "
                f"{len(classes)} units"
            )
        self.classes_ = classes
        self.history_ = {"loss": [], "accuracy": []}
        self.loss_ = CrossEntropy()

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
        augment: Augmentation | None = None,
        resume: bool = False,
        verbose: bool = False,
        threads: int | None = None,
    ) -> Self:
        """Train on labelled samples.

        Parameters
        ----------
        X : array_like (n, ...)
            Samples: vectors (n, d) or images (n, height, width, channels) of floats, integers or uint8, as
            the first layer expects them. They are converted to float32 a batch at a time, and not scaled: a
            `BatchNorm` after the first layer does that. It may be a memory map.
        y : array_like (n,)
            Labels: numbers or strings, of as many classes as the last layer has outputs.
        epochs : int
            The number of passes over the samples.
        batch_size : int
            The most samples per step; batches have sizes as equal as possible.
        optimizer : Optimizer, optional
            `Adam` by default.
        schedule : callable, optional
            The factor of the learning rate as a function of the fraction of the training that is done (0 to
            1): `Cosine`, `Step`, or any such function.
        loss : {"cross_entropy", "squared_hinge"} or Loss
            The loss to minimize.
        regularizer : Balance, optional
            A term that is added to the loss.
        validation_data : pair (X, y), optional
            Samples that are not trained on, to evaluate after each epoch.
        callbacks : iterable of callable
            Called with the model after each epoch, in this order; training ends if one returns True. See
            `EarlyStopping` and `Checkpoint`.
        augment : callable, optional
            Changes each training batch: takes a batch (n, ...) in float32 and a numpy Generator and returns a
            batch of the same shape. See `RandomShift` and `RandomFlip`.
        resume : bool
            Whether to continue a training that a callback ended or that was loaded from a file, up to
            `epochs` in total. With the same arguments, the result equals that of a single run to the last
            bit. Otherwise the network is trained from scratch.
        verbose : bool
            Whether to show a progress bar; needs the extra ``cli``.
        threads : int, optional
            The most threads to use; None means all CPUs of this process. The BLAS library that numpy uses for
            products with floats has threads of its own.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If `X` does not consist of real numbers, or an argument has the wrong type.
        ValueError
            If `X` and `y` do not match each other or the layers, if `X` has a value that is not finite, or an
            argument is out of range.
        FloatingPointError
            If the loss is no longer finite.

        Notes
        -----
        Convolutions split a batch among threads, which compete with the threads that BLAS starts in each of
        them. Convolutional networks train faster with one BLAS thread:
        ``with threadpoolctl.threadpool_limits(1): model.fit(X, y)``, or ``OPENBLAS_NUM_THREADS=1``.
        """
        epochs, batch_size = as_integer(epochs, "epochs", 1), as_integer(batch_size, "batch_size", 1)
        optimizer = Adam() if optimizer is None else optimizer
        check_optimizer(optimizer)
        if not isinstance(callbacks, Iterable):
            raise TypeError(f"callbacks must be a sequence of functions; got {describe(callbacks)}")
        objective, callbacks = as_loss(loss), list(callbacks)
        for name, function in (
            ("schedule", schedule),
            ("regularizer", regularizer),
            ("augment", augment),
            *(("callbacks", callback) for callback in callbacks),
        ):
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be callable; got {describe(function)}")
        if as_bool(resume, "resume"):
            self._check_resumable(optimizer)
            samples, labels = self._checked(X), as_labels(y)
        else:
            samples, labels = as_network_samples(X), as_labels(y)
            check_finite(samples)
        check_lengths(samples, labels)
        if not resume:
            self._start(samples, labels, optimizer)
        self.loss_ = objective
        classes = self._class_numbers(labels, "y")
        validation = None if validation_data is None else self._labelled(validation_data)

        n_batches = -(-len(samples) // batch_size)
        with (
            limit_threads(threads),
            progress_bar(verbose, epochs * n_batches, "network", "steps") as show,
        ):
            for _ in self.history_["loss"] * n_batches:
                show("")
            for epoch in range(len(self.history_["loss"]), epochs):
                totals = np.zeros(2)
                order = self._rng.permutation(len(samples))
                for i, rows in enumerate(np.array_split(order, n_batches)):
                    x = to_float32(samples[rows])
                    if augment is not None:
                        x = _augmented(augment, x, self._rng)
                    progress = (epoch + i / n_batches) / epochs
                    value, logits = self.train_step(
                        x,
                        classes[rows],
                        objective,
                        optimizer,
                        regularizer=regularizer,
                        rate=1.0 if schedule is None else schedule(progress),
                        progress=progress,
                    )
                    n_right = int(np.count_nonzero(logits.argmax(axis=1) == classes[rows]))
                    totals += value * len(rows), n_right
                    seen = order.size * i // n_batches + len(rows)
                    show(f"epoch {epoch + 1}, loss {totals[0] / seen:.4f}, accuracy {totals[1] / seen:.2%}")
                metrics = dict(zip(("loss", "accuracy"), (totals / len(samples)).tolist(), strict=True))
                if validation is not None:
                    reported = self._metrics(*validation, objective.validation_loss)
                    metrics |= {f"validation_{name}": value for name, value in reported.items()}
                for name, value in metrics.items():
                    self.history_.setdefault(name, []).append(value)
                stops = [callback(self) for callback in callbacks]
                if any(stops):
                    break
        return self

    def _start(self, samples: Array, labels: Array, optimizer: Optimizer) -> None:
        """Begin a training from scratch."""
        try:
            classes = np.unique(labels)
        except TypeError as error:
            raise TypeError(
                f"y must be labels that can be sorted, such as numbers or strings: {error}"
            ) from None
        if len(classes) < 2:
            raise ValueError(f"y must have 2 classes or more; got one class, {classes.tolist()[0]!r}")
        self.build(samples.shape[1:], input_bits=8 if samples.dtype == np.uint8 else None)
        self._classify(classes, "y")
        self._prepare(optimizer)

    def _check_resumable(self, optimizer: Optimizer) -> None:
        if not hasattr(self, "history_"):
            raise NotFittedError(
                "resume=True continues a training, but this network was never trained; call fit without it"
            )
        if not self._n_steps:
            return  # the first step prepares the parameters
        for name, parameter in self._parameters().items():
            expected = optimizer.slots(parameter)
            if set(parameter.slots) != set(expected):
                raise ValueError(
                    f"resume=True needs the optimizer that the training began with: the state of {name} is "
                    f"{sorted(parameter.slots)}, but that of {optimizer!r} is {sorted(expected)}"
                )

    # --- predictions ---------------------------------------------------------------------------------------

    def _runner(self, batch_size: int) -> Runner:
        def run(batch: Array) -> Floats:
            return self.forward(to_float32(batch))

        return run

    def evaluate(self, X: ArrayLike, y: ArrayLike, *, threads: int | None = None) -> dict[str, float]:
        """Return the mean loss and the accuracy on labelled samples.

        Parameters
        ----------
        X : array_like (n, ...)
            Samples, as in `fit`.
        y : array_like (n,)
            Their labels.
        threads : int, optional
            As in `fit`.

        Returns
        -------
        dict
            "loss", without regularizer and teacher, and "accuracy", from 0 to 1.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            If `X` does not consist of such samples, or `y` has a label that was not in the training data.
        """
        check_fitted(self)
        samples, classes = self._labelled((X, y), ("X", "y"))
        with limit_threads(threads):
            return self._metrics(samples, classes, self.loss_.validation_loss)

    def _metrics(self, samples: Array, classes: Ids, loss: Loss) -> dict[str, float]:
        logits = self.decision_function(samples)
        value, _ = loss(logits, classes, logits)
        return {"loss": value, "accuracy": float((logits.argmax(axis=1) == classes).mean())}

    def compile(self) -> PackedModel:
        """Pack the trained network: binary layers become integer products of packed bits.

        Returns
        -------
        PackedModel
            It computes the same logits, to the last bit, and does not change if training continues.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        ValueError
            If the sums of a layer are too large to be exact in float32, in which the network was trained; the
            message names the layer.
        """
        check_fitted(self)
        return PackedModel.from_layers(
            self.layers,
            input_shape=self.input_shape_,
            takes_pixels=self.input_bits_ == 8,
            classes=self.classes_,
        )

    # --- files ---------------------------------------------------------------------------------------------

    def to_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return everything that `save` writes: JSON values and arrays.

        Returns
        -------
        params : dict
        arrays : dict of arrays

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If labels are neither numbers nor strings, or the loss is not one of this package.

        See Also
        --------
        from_state : The inverse.
        """
        check_fitted(self)
        names = {loss: name for name, loss in LOSSES.items()}
        if self.loss_.validation_loss not in names:
            raise TypeError(f"only the losses {', '.join(LOSSES)} can be saved; got {self.loss_!r}")
        arrays = self._running_means()
        for name, parameter in self._parameters().items():
            arrays[name] = parameter.value
            arrays |= {f"{name}/{slot}": array for slot, array in parameter.slots.items()}
        params = {
            "layers": [layer.config() for layer in self.layers],
            "random_state": int(seed) if isinstance(seed := self.random_state, numbers.Integral) else None,
            "input_shape": self.input_shape_,
            "input_bits": self.input_bits_,
            "loss": names[self.loss_.validation_loss],
            "history": self.history_,
            "n_steps": self._n_steps,
            "rng": self._rng.bit_generator.state,
        }
        labels_to_state(self.classes_, params, arrays)
        return params, arrays

    @classmethod
    def from_state(cls, params: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """Return a fitted model from what `to_state` returned.

        Raises
        ------
        KeyError, TypeError, ValueError
            If they are not a valid state.
        """
        model = cls(*map(layer_from_config, params["layers"]), random_state=params["random_state"])
        model.build(params["input_shape"]).set_weights(arrays)
        for name, parameter in model._parameters().items():
            slots = [key for key in arrays if key.startswith(f"{name}/")]
            parameter.slots = {
                key.removeprefix(f"{name}/"): _files.take(
                    arrays, key, np.float32, parameter.value.shape, finite=True
                )
                for key in slots
            }
        model.classes_ = labels_from_state(params, arrays, model.layers[-1].output_shape[0])
        if params["input_bits"] is not None:
            model.input_bits_ = as_integer(params["input_bits"], "input_bits", 1, 8)
        model.loss_ = as_loss(params["loss"])
        model.history_ = {str(name): [float(v) for v in values] for name, values in params["history"].items()}
        model._n_steps = as_integer(params["n_steps"], "n_steps", 0)
        model._rng.bit_generator.state = params["rng"]
        return model

    def save(self, path: PathLike) -> None:
        """Write the layers, the parameters and all that is needed to resume training to a safetensors file.

        An existing file is replaced atomically. A `random_state` that is not an integer, a teacher, and
        functions given to `fit` are not saved.

        Parameters
        ----------
        path : path-like
            Where to write, usually with the suffix ``.safetensors``.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If labels are neither numbers nor strings, or the loss is not one of this package.
        OSError
            If the file cannot be written.
        """
        _files.write(path, "Sequential", *self.to_state())

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Read a network that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file. Nothing in it is executed.

        Returns
        -------
        Sequential
            It gives the same predictions, and ``fit(..., resume=True)`` continues its training exactly.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is not the file of a Sequential, or was truncated or altered.
        """
        params, arrays = _files.read(path, "Sequential")
        with _files.refusing(path, "Sequential"):
            return cls.from_state(params, arrays)

    # --- helpers -------------------------------------------------------------------------------------------

    def _labelled(
        self, data: Any, names: tuple[str, str] = ("X of validation_data", "y of validation_data")
    ) -> tuple[Array, Ids]:
        """Return samples and their class numbers."""
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            raise ValueError("validation_data must be a pair (X, y) of samples and labels")
        samples, labels = self._checked(data[0], names[0]), as_labels(data[1], names[1])
        check_lengths(samples, labels, names)
        return samples, self._class_numbers(labels, names[1])

    def _class_numbers(self, labels: Array, name: str) -> Ids:
        """Return the position of each label in `classes_`."""
        try:
            numbers = np.searchsorted(self.classes_, labels).clip(max=len(self.classes_) - 1)
            is_known = np.asarray(self.classes_[numbers] == labels)
        except TypeError:
            is_known = np.zeros(len(labels), np.bool_)
        if not is_known.all():
            unknown = labels.tolist()[int(is_known.argmin())]
            raise ValueError(f"{name} has the label {unknown!r}; known are {self.classes_.tolist()}")
        return numbers.astype(np.int64)


def _augmented(augment: Augmentation, x: Array, rng: np.random.Generator) -> Array:
    changed = np.asarray(augment(x, rng))
    if changed.shape != x.shape:
        raise ValueError(f"augment must keep the shape of a batch, {x.shape}; it returned {changed.shape}")
    return np.ascontiguousarray(changed, np.float32)
