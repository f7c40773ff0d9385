"""scikit-learn's manners, without scikit-learn: parameters, tags, and whether a model is fitted."""

from __future__ import annotations

import abc
import contextlib
import inspect
import numbers
import operator
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastcodes import _files

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Estimator", "NotFittedError", "generator", "integer", "progress", "progress_bar"]


class NotFittedError(ValueError, AttributeError):
    """A model is asked for what it has not learned yet.

    As in scikit-learn, it is both a ValueError and an AttributeError.
    """


class Estimator(abc.ABC):
    """A model with named parameters that can be copied, searched over, saved and loaded.

    A subclass stores its parameters in ``__init__`` and does nothing else there, names in `_learned` the
    attribute that says that it is fitted, and turns what it has learned to arrays and back.
    """

    _learned: ClassVar[str]
    _kind: ClassVar[str] = "transformer"  # what scikit-learn calls it
    _needs_target: ClassVar[bool] = False  # whether `fit` has to have labels
    n_features_in_: int

    @classmethod
    def _parameters(cls) -> dict[str, inspect.Parameter]:
        parameters = dict(inspect.signature(cls.__init__).parameters)
        del parameters["self"]
        return parameters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Parameters
        ----------
        deep : bool
            Has no effect, since no parameter is a model; scikit-learn gives it.

        Returns
        -------
        dict
        """
        return {name: getattr(self, name) for name in self._parameters()}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; what was learned stays until the next `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        known = self._parameters()
        for name, value in params.items():
            if name not in known:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}; "
                    f"valid parameters are {list(known)}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Show the class and the parameters that are not at their defaults."""
        shown = []
        for name, parameter in self._parameters().items():
            value = getattr(self, name)
            if repr(value) != repr(parameter.default):
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn, which is there if it asks, what this is."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=self._kind,
            target_tags=TargetTags(required=self._needs_target or self._kind == "classifier"),
            classifier_tags=ClassifierTags() if self._kind == "classifier" else None,
            transformer_tags=TransformerTags() if self._kind == "transformer" else None,
            input_tags=InputTags(),
        )

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn whether `fit` was called."""
        return hasattr(self, self._learned)

    def _check_fitted(self) -> None:
        if not hasattr(self, self._learned):
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet. "
                "Call 'fit' with appropriate arguments before using this estimator."
            )

    # --- files ---------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was learned."""

    @abc.abstractmethod
    def _from_arrays(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take it back, with a ValueError where it cannot be."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters and what was learned to a safetensors file.

        A file that is there is replaced, in one step. A `random_state` that is not an integer is not kept.

        Parameters
        ----------
        path : path-like
            Where to write, as a rule with the suffix ``.safetensors``.

        Raises
        ------
        NotFittedError
            If nothing was learned yet.
        OSError
            If the file cannot be written.
        """
        self._check_fitted()
        params = self.get_params()
        if "random_state" in params and not isinstance(params["random_state"], numbers.Integral):
            params["random_state"] = None
        _files.write(path, type(self).__name__, params, self._to_arrays())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path-like
            The file. Nothing in it is executed.

        Returns
        -------
        model
            Fitted, with the same parameters.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it holds something else than a model of this class, was cut short or altered.
        """
        kind = cls.__name__
        params, arrays = _files.read(path, kind)
        with _files.refusing(path, kind):
            model = cls(**params)
            model._from_arrays(arrays)
        return model


def integer(value: Any, name: str, least: int, most: int | None = None) -> int:
    """Return a parameter that has to be an integer within limits."""
    limits = f"from {least} up" if most is None else f"from {least} to {most}"
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name} must be an integer {limits}; got {value!r} of type {type(value).__name__}"
        ) from None
    if number < least or (most is not None and number > most):
        raise ValueError(f"{name} must be an integer {limits}; got {number}")
    return number


def generator(random_state: Any) -> np.random.Generator:
    """Return the random generator of a parameter `random_state`.

    Parameters
    ----------
    random_state : None, int, numpy Generator, BitGenerator, SeedSequence or RandomState
        None is a new generator at each call. A Generator or RandomState is drawn from, so that a second call
        gives other numbers.
    """
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31, size=4, dtype=np.int64)
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError) as error:
        raise type(error)(
            "random_state must be None, an integer from 0 up or a numpy random generator; "
            f"got {random_state!r}"
        ) from None


@contextlib.contextmanager
def progress(verbose: bool, total: int, what: str) -> Iterator[Callable[[float], None]]:
    """Give a function to call after each of `total` steps with the error so far; show a bar if `verbose`."""
    with progress_bar(verbose, total, what, "iterations") as show:
        yield lambda error: show(f"error {error:.6g}")


@contextlib.contextmanager
def progress_bar(verbose: bool, total: int, what: str, unit: str) -> Iterator[Callable[[str], None]]:
    """Give a function to call after each of `total` steps with figures to show; show a bar if `verbose`."""
    if not verbose:
        yield lambda figures: None
        return
    try:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        raise ImportError(
            "verbose=True shows a progress bar, which needs the extra `cli`: pip install 'fastcodes[cli]'"
        ) from None
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} " + unit + ", {task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(what, total=total, figures="")
        yield lambda figures: bar.update(task, advance=1, figures=figures)
        bar.update(task, completed=total)
