"""The base class of all models: the scikit-learn estimator API, without requiring scikit-learn, and files."""

from __future__ import annotations

import abc
import functools
import inspect
import json
import numbers
import sys
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._typing import Array, Floats, PathLike
from fastcodes._validation import as_option, as_queries, as_samples, as_training_samples

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Estimator", "NotFittedError", "Parameterized", "Transformer", "check_fitted", "without_column"]


def _of_scikit_learn(name: str, default: type[Exception]) -> Any:
    """Return an exception of scikit-learn if that is imported already, since it is not required."""
    return getattr(sys.modules.get("sklearn.exceptions"), name, default)


class NotFittedError(ValueError, AttributeError):
    """Raised when a model is used before it is fitted.

    As in scikit-learn, it is both a ValueError and an AttributeError. Where scikit-learn is imported, it is
    also the exception of that package: ``except sklearn.exceptions.NotFittedError`` catches it.
    """

    def __new__(cls, *args: object) -> Self:
        """Return an error that is one of scikit-learn too, if that is imported."""
        ours: Any = cls
        error: Self = super().__new__(_with_base(ours, _of_scikit_learn("NotFittedError", ValueError)), *args)
        return error

    def __reduce__(self) -> tuple[type[NotFittedError], tuple[Any, ...]]:
        return NotFittedError, self.args


@functools.cache
def _with_base(cls: Any, base: Any) -> Any:
    return cls if issubclass(cls, base) else type(cls.__name__, (cls, base), {"__module__": cls.__module__})


class Fittable(Protocol):
    """An object that knows whether it is fitted."""

    def __sklearn_is_fitted__(self) -> bool: ...


def check_fitted(model: Fittable) -> None:
    """Raise a NotFittedError unless the model is fitted."""
    if not model.__sklearn_is_fitted__():
        raise NotFittedError(
            f"This {type(model).__name__} instance is not fitted yet. "
            "Call 'fit' with appropriate arguments before using this estimator."
        )


def without_column(y: Array, name: str = "y") -> Array:
    """Return labels in a column (n, 1) as (n,), with the warning of scikit-learn; others as they are."""
    if y.ndim != 2 or y.shape[1] != 1:
        return y
    warnings.warn(
        f"A column-vector {name} was passed when a 1d array was expected. "
        f"Please change the shape of {name} to (n_samples,), for example with {name}.ravel().",
        _of_scikit_learn("DataConversionWarning", UserWarning),
        stacklevel=3,
    )
    return y[:, 0]


def _column_names(X: Any) -> list[str] | None:
    """Return the names of the columns of a data frame, if all are strings."""
    names = list(columns) if (columns := getattr(X, "columns", None)) is not None else []
    if not any(isinstance(name, str) for name in names):
        return None
    if not all(isinstance(name, str) for name in names):
        raise TypeError(
            "Feature names are only supported if all input features have string names; "
            "convert them, for example by X.columns = X.columns.astype(str)"
        )
    return names


def _check_names(given: list[str], fitted: list[str]) -> None:
    """Raise an error if the columns of a data frame are not those of the training samples."""
    if given == fitted:
        return
    message = "The feature names should match those that were passed during fit.\n"
    for heading, names in (
        ("Feature names unseen at fit time:", sorted(set(given) - set(fitted))),
        ("Feature names seen at fit time, yet now missing:", sorted(set(fitted) - set(given))),
    ):
        if names:
            message += "\n- ".join([heading, *names[:5], *["..."][: len(names) - 5]]) + "\n"
    if set(given) == set(fitted):
        message += "Feature names must be in the same order as they were in fit.\n"
    raise ValueError(message)


class Parameterized:
    """An object with named parameters that scikit-learn can copy and search over.

    ``__init__`` of a subclass stores its parameters and does nothing else.
    """

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
            Ignored, since no parameter is a model; present for API consistency.

        Returns
        -------
        dict
        """
        return {name: getattr(self, name) for name in self._parameters()}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name; learned attributes stay until the next `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter does not exist.
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


class Estimator(Parameterized, abc.ABC):
    """A model with named parameters that can be copied, searched over, saved and loaded.

    `_learned` names the attribute whose presence says that the model is fitted. `_to_arrays` and
    `_from_arrays` convert what was learned.
    """

    _learned: ClassVar[str]
    _kind: ClassVar[str]  # the estimator type of scikit-learn
    _needs_target: ClassVar[bool] = False  # whether `fit` requires labels
    _preserves: ClassVar[list[str]] = []  # the dtypes of samples that `transform` returns as they are
    n_features_in_: int
    feature_names_in_: Array

    def __sklearn_tags__(self) -> Any:
        """Return the tags that scikit-learn asks for."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=self._kind,
            target_tags=TargetTags(required=self._needs_target or self._kind == "classifier"),
            classifier_tags=ClassifierTags() if self._kind == "classifier" else None,
            transformer_tags=TransformerTags(self._preserves) if self._kind == "transformer" else None,
            input_tags=InputTags(),
        )

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether the model is fitted, for scikit-learn."""
        return hasattr(self, self._learned)

    def _training_samples(self, X: ArrayLike, at_least: int = 1, parameter: str = "") -> Array:
        """Return samples to learn from, and keep the names of their columns: see `as_training_samples`."""
        names, samples = _column_names(X), as_training_samples(X, at_least, parameter)
        vars(self).pop("feature_names_in_", None)
        if names is not None:
            self.feature_names_in_ = np.array(names, object)
        return samples

    def _samples(self, X: ArrayLike, name: str = "X") -> Array:
        """Return samples with the dimensions that a fitted model expects, in their own dtype."""
        check_fitted(self)
        if hasattr(self, "feature_names_in_") and (names := _column_names(X)) is not None:
            _check_names(names, self.feature_names_in_.tolist())
        return as_samples(X, self.n_features_in_, type(self).__name__, name)

    def _queries(self, queries: ArrayLike) -> Floats:
        """Return queries with the dimensions that a fitted model expects; a 1-D array is one query."""
        check_fitted(self)
        return as_queries(queries, self.n_features_in_, type(self).__name__)

    # --- files ---------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _to_arrays(self) -> dict[str, Array]:
        """Return what was learned."""

    @abc.abstractmethod
    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        """Restore what was learned, or raise a ValueError that says why it is invalid."""

    def to_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return parameters and learned arrays, as they are saved: numbers, strings and lists, and arrays.

        All constructor parameters are kept, except a `random_state` that is not an integer: it becomes None.
        The names of the columns of a data frame are an array, too.

        Returns
        -------
        params : dict
        arrays : dict of arrays

        Raises
        ------
        NotFittedError
            If the model is not fitted.

        See Also
        --------
        from_state : The inverse.
        """
        check_fitted(self)
        params = self.get_params()
        if "random_state" in params and not isinstance(params["random_state"], numbers.Integral):
            params["random_state"] = None
        arrays = self._to_arrays()
        if hasattr(self, "feature_names_in_"):
            text = json.dumps(self.feature_names_in_.tolist())
            arrays = {**arrays, "feature_names": np.frombuffer(text.encode(), np.uint8)}
        return params, arrays

    @classmethod
    def from_state(cls, params: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """Return a fitted model from parameters and learned arrays.

        Parameters
        ----------
        params : mapping
            Constructor parameters by name.
        arrays : mapping of arrays
            The learned arrays, as `to_state` returns them.

        Returns
        -------
        model

        Raises
        ------
        TypeError, ValueError
            If they are not a valid state of this class.
        """
        # JSON has no tuples: sequences among the parameters are tuples by convention.
        model = cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in params.items()})
        model._from_arrays(arrays)
        if "feature_names" in arrays:
            names = json.loads(_files.take(arrays, "feature_names", np.uint8, ("bytes",)).tobytes())
            if not isinstance(names, list) or [type(name) for name in names] != [str] * model.n_features_in_:
                raise ValueError(f"feature_names are not {model.n_features_in_} strings")
            model.feature_names_in_ = np.array(names, object)
        return model

    def save(self, path: PathLike) -> None:
        """Write the parameters and what was learned to a safetensors file.

        An existing file is replaced atomically. All constructor parameters are kept, except a `random_state`
        that is not an integer: the loaded model has None there.

        Parameters
        ----------
        path : path-like
            Where to write, usually with the suffix ``.safetensors``.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        OSError
            If the file cannot be written.
        """
        _files.write(path, type(self).__name__, *self.to_state())

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Read a model that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file. Nothing in it is executed.

        Returns
        -------
        model
            A fitted model with the same parameters.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is not the file of a model of this class, or was truncated or altered.
        """
        kind = cls.__name__
        params, arrays = _files.read(path, kind)
        with _files.refusing(path, kind):
            return cls.from_state(params, arrays)


class Transformer(Estimator):
    """An estimator with ``transform``, whose output has columns with names and may be a data frame.

    A subclass implements `fit`, `transform`, which returns `_contained` arrays, and `_n_outputs`.
    """

    _kind = "transformer"
    _sklearn_output_config: dict[str, str]  # which scikit-learn copies to clones

    @abc.abstractmethod
    def fit(self, X: Any, y: Any = None, *, threads: int | None = None) -> Self:
        """Learn from samples."""

    @abc.abstractmethod
    def transform(self, X: Any, *, threads: int | None = None) -> Any:
        """Return the output for samples."""

    def fit_transform(self, X: Any, y: Any = None, *, threads: int | None = None) -> Any:
        """Return ``fit(X, y).transform(X)``."""
        return self.fit(X, y, threads=threads).transform(X, threads=threads)

    @property
    @abc.abstractmethod
    def _n_outputs(self) -> int:
        """The number of columns that `transform` of the fitted model returns."""

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Return the names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : array_like of str (d,), optional
            Checked against the names of the columns seen in `fit`, if there were any; not used otherwise.

        Returns
        -------
        object array
            The name of the class in lower case and the number of the column: "itq0", "itq1", ...

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        ValueError
            If there are not as many `input_features` as features, or other ones.
        """
        check_fitted(self)
        if input_features is not None:
            names, d = np.asarray(input_features, object), getattr(self, "n_features_in_", None)
            if d is not None and names.shape != (d,):
                raise ValueError(f"input_features should have length equal to number of features ({d})")
            if hasattr(self, "feature_names_in_") and names.tolist() != self.feature_names_in_.tolist():
                raise ValueError("input_features is not equal to feature_names_in_")
        prefix = type(self).__name__.lower()
        return np.array([f"{prefix}{i}" for i in range(self._n_outputs)], object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose the container that `transform` and `fit_transform` return.

        Without a choice it is that of ``sklearn.set_config``, if scikit-learn is imported, or an array.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, optional
            An array, or a data frame with the columns `get_feature_names_out`; None changes nothing.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `transform` is something else.
        """
        if transform is not None:
            container = as_option(transform, "transform", ("default", "pandas", "polars"))
            self._sklearn_output_config = {"transform": container}
        return self

    def _contained(self, values: Array, X: Any) -> Any:
        """Return the output for `X` in the container that the user chose."""
        sklearn = sys.modules.get("sklearn")
        default = sklearn.get_config()["transform_output"] if sklearn is not None else "default"
        container = getattr(self, "_sklearn_output_config", {}).get("transform", default)
        if container == "pandas":
            import pandas

            index = X.index if isinstance(X, pandas.DataFrame) else None
            return pandas.DataFrame(values, columns=self.get_feature_names_out(), index=index)
        if container == "polars":
            import polars

            return polars.DataFrame(values, schema=self.get_feature_names_out().tolist(), orient="row")
        return values
