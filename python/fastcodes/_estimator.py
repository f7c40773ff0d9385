"""The base class of all models: the scikit-learn estimator API, without requiring scikit-learn, and files."""

from __future__ import annotations

import abc
import inspect
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._typing import Array, Floats, PathLike
from fastcodes._validation import as_queries, as_samples

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Estimator", "NotFittedError", "check_fitted"]


class NotFittedError(ValueError, AttributeError):
    """Raised when a model is used before it is fitted.

    As in scikit-learn, it is both a ValueError and an AttributeError.
    """


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


class Estimator(abc.ABC):
    """A model with named parameters that can be copied, searched over, saved and loaded.

    ``__init__`` of a subclass stores its parameters and does nothing else. `_learned` names the attribute
    whose presence says that the model is fitted. `_to_arrays` and `_from_arrays` convert what was learned.
    """

    _learned: ClassVar[str]
    _kind: ClassVar[str] = "transformer"  # the estimator type of scikit-learn
    _needs_target: ClassVar[bool] = False  # whether `fit` requires labels
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

    def __sklearn_tags__(self) -> Any:
        """Return the tags that scikit-learn asks for."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=self._kind,
            target_tags=TargetTags(required=self._needs_target or self._kind == "classifier"),
            classifier_tags=ClassifierTags() if self._kind == "classifier" else None,
            transformer_tags=TransformerTags() if self._kind == "transformer" else None,
            input_tags=InputTags(),
        )

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether the model is fitted, for scikit-learn."""
        return hasattr(self, self._learned)

    def _samples(self, X: ArrayLike, name: str = "X") -> Array:
        """Return samples with the dimensions that a fitted model expects, in their own dtype."""
        check_fitted(self)
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
        return params, self._to_arrays()

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
