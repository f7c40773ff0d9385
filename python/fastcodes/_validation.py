"""Validation of arguments: each function returns the converted argument or raises an error that names it.

Every error says which argument is wrong, what was given and what was expected.
"""

from __future__ import annotations

import math
import operator
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastcodes._arrow import rows_of_arrow
from fastcodes._typing import Array, Codes, Floats, Mask, RowSource, Signatures, UnsignedCodes

__all__ = [
    "as_array",
    "as_bool",
    "as_codes",
    "as_features",
    "as_integer",
    "as_list",
    "as_mask",
    "as_numbers",
    "as_option",
    "as_output",
    "as_queries",
    "as_real",
    "as_samples",
    "as_signatures",
    "as_training_samples",
    "as_vector",
    "check_separate",
    "check_threads",
    "code_array",
    "describe",
    "described",
    "finite_float32",
    "float32_array",
    "kernel_array",
    "random_generator",
    "row_count",
    "to_float32",
]

_UINT8 = np.dtype(np.uint8)


def describe(value: object) -> str:
    """Describe a value for an error message, in a few words however large it is."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} and shape {value.shape}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return "None" if value is None else f"{reprlib.repr(value)} of type {type(value).__name__}"


def described(array: Array, given: object) -> str:
    """Describe an argument for an error message: as the array that it became, or as it was given."""
    return describe(array if array.ndim else given)


# --- scalars ------------------------------------------------------------------------------------------------


def as_integer(value: Any, name: str, low: int | None = None, high: int | None = None) -> int:
    """Return an integer from `low` to `high`, both inclusive.

    Parameters
    ----------
    value : int or any object with ``__index__``
        The argument.
    name : str
        Its name, for the error message.
    low, high : int, optional
        The limits; `high` needs `low`.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer{_limits(low, high)}; got {describe(value)}") from None
    if (low is not None and number < low) or (high is not None and number > high):
        raise ValueError(f"{name} must be an integer{_limits(low, high)}; got {number}")
    return number


def _limits(low: int | None, high: int | None) -> str:
    return "" if low is None else f" from {low} up" if high is None else f" from {low} to {high}"


def check_threads(threads: Any) -> None:
    """Raise an error unless `threads` is None or from 1 up, for methods whose kernels may not run."""
    if threads is not None:
        as_integer(threads, "threads", 1)


def as_real(
    value: Any,
    name: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> float:
    """Return a finite real number within limits, as a float.

    Parameters
    ----------
    value : int, float or numpy scalar
        The argument. Booleans are not numbers here.
    name : str
        Its name, for the error message.
    above, at_least, below, at_most : float, optional
        The limits: exclusive for `above` and `below`, inclusive for `at_least` and `at_most`.
    """
    limits = [
        (above, "above", operator.gt),
        (at_least, "at least", operator.ge),
        (below, "below", operator.lt),
        (at_most, "at most", operator.le),
    ]
    given = [(limit, words, holds) for limit, words, holds in limits if limit is not None]
    expected = " and ".join([f"{words} {limit}" for limit, words, _ in given]) or "that is finite"
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a real number {expected}; got {describe(value)}")
    try:
        number, shown = float(value), str(value)
    except OverflowError:
        number, shown = math.inf, describe(value)
    if not math.isfinite(number) or not all(holds(value, limit) for limit, _, holds in given):
        raise ValueError(f"{name} must be a real number {expected}; got {shown}")
    return number


def as_bool(value: Any, name: str) -> bool:
    """Return a boolean; integers are refused."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; got {describe(value)}")
    return bool(value)


def as_option(value: Any, name: str, options: Iterable[str]) -> str:
    """Return a string that is one of `options`."""
    known = list(options)
    if not isinstance(value, str) or value not in known:
        *others, last = (f'"{option}"' for option in known)
        expected = f"{', '.join(others)} or {last}" if others else last
        raise ValueError(f"{name} must be {expected}; got {describe(value)}")
    return value


def random_generator(random_state: Any) -> np.random.Generator:
    """Return the random generator that a parameter `random_state` selects.

    Parameters
    ----------
    random_state : None, int, numpy Generator, BitGenerator, SeedSequence or RandomState
        None makes a new generator with an unpredictable seed. A Generator or RandomState advances with each
        draw, so a second call gives other numbers.
    """
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31, size=4, dtype=np.int64)
    try:
        return np.random.default_rng(random_state)
    except Exception as error:  # numpy puts the repr of the value, which may fail, in its own message
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(
            "random_state must be None, an integer from 0 up or a numpy random generator; "
            f"got {describe(random_state)}"
        ) from None


def as_list(values: Any, name: str, elements: str) -> list[Any]:
    """Return a sequence as a list; a str, a dict, or a set, which has no order, is not a sequence here.

    Parameters
    ----------
    values : sequence or other iterable
        The argument.
    name : str
        Its name, for the error message.
    elements : str
        What it should hold, for the error message.
    """
    if isinstance(values, list):
        return values
    if isinstance(values, np.ndarray) and values.ndim:
        return list(as_array(values, name))
    is_sequence = isinstance(values, Iterable) and not isinstance(values, (str, bytes, Mapping, np.ndarray))
    if not is_sequence or isinstance(values, (set, frozenset)):
        advice = f"; give list({name}.values()), and keep the keys" if isinstance(values, Mapping) else ""
        raise TypeError(
            f"{name} must be a list or other sequence of {elements}; got {describe(values)}{advice}"
        )
    return list(values)


# --- arrays -------------------------------------------------------------------------------------------------


def as_array(x: Any, name: str) -> Array:
    """Return an array-like as a plain numpy array of its own dtype, without a copy where possible.

    Parameters
    ----------
    x : array_like
        Subclasses become plain arrays, since their methods may do something else. Tensors are taken by
        ``__array__`` or ``__dlpack__``; those of bfloat16, which numpy does not have, become float32. Columns
        of Arrow with binaries or lists of one length become arrays (n, d).
    name : str
        Its name, for the error message.

    Raises
    ------
    TypeError
        If it is a sparse matrix, or cannot be converted.
    ValueError
        If it is a masked array with masked elements, or has rows of different lengths.
    """
    return x if type(x) is np.ndarray else _converted(x, name)


def _converted(x: Any, name: str) -> Any:
    if isinstance(x, RowSource):
        return x
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise ValueError(
            f"{name} has masked elements, which have no value here; give {name}.filled(value), or leave out "
            "their rows"
        )
    if hasattr(x, "toarray"):
        raise TypeError(f"{name} is sparse, which is not supported; give {name}.toarray()")
    if str(getattr(x, "dtype", "")) == "torch.bfloat16":
        x = x.float()
    if hasattr(x, "__arrow_c_array__") or hasattr(x, "__arrow_c_stream__"):
        rows = rows_of_arrow(x, name)
        if rows is not None:
            return rows
    try:
        if hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
            return np.from_dlpack(x)
        return np.asarray(x)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{name} cannot be converted to a numpy array: {error}") from None


def kernel_array(x: Any, name: str) -> Any:
    """Return an array-like as a plain array; the kernels check its dtype, and refuse what is no array."""
    array = as_array(x, name)
    return array if array.ndim or isinstance(x, np.ndarray) else x


def float32_array(x: ArrayLike, name: str) -> Floats:
    """Return an array-like of real numbers as C-ordered float32.

    A conversion from another dtype checks that two-dimensional arrays are finite; float32 is left to the
    kernels, which check it while they read it.
    """
    numbers = as_numbers(x, name)
    if numbers.ndim == 2 and numbers.dtype != np.float32:
        return finite_float32(numbers, range(len(numbers)), name)
    with np.errstate(over="ignore"):  # overflow gives infinity, which the kernels refuse
        return np.asarray(numbers, np.float32, order="C")


def to_float32(x: ArrayLike) -> Floats:
    """Convert to C-contiguous, aligned float32, without a copy where possible; overflow gives infinity."""
    with np.errstate(over="ignore"):
        converted: Floats = np.require(np.asarray(x), np.float32, ["C", "A"])
    return converted


def finite_float32(x: Array, rows: range | np.ndarray[Any, Any], name: str = "X") -> Floats:
    """Return a two-dimensional array as finite, C-contiguous float32.

    Parameters
    ----------
    x : array (n, d)
        Real numbers.
    rows : range or int array (n,)
        The row numbers of `x` in the array of the user, for the error message.
    name : str
        The name of that array.
    """
    converted = to_float32(x)
    if x.dtype.kind == "f" and not (is_finite := np.isfinite(converted)).all():
        row, column = np.argwhere(~is_finite)[0]
        value = x[row, column]
        is_large = np.finfo(np.float32).max < abs(value) < np.inf
        problem = "too large for float32" if is_large else "not finite"
        raise ValueError(
            f"{name} has {value} in row {rows[row]}, column {column}, which is {problem}; "
            "expected no NaN and no infinity"
        )
    return converted


def as_numbers(x: ArrayLike, name: str) -> Array:
    """Return an array-like of real numbers as an array of its own dtype, or as float32 for bfloat16."""
    numbers = as_array(x, name)
    if numbers.dtype.name == "bfloat16":
        return numbers.astype(np.float32)
    if numbers.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must be real numbers (float16, float32, float64 or integers); "
            f"got {f'an array of dtype {numbers.dtype}' if numbers.ndim else describe(x)}"
        )
    return numbers


def as_features(x: ArrayLike, name: str) -> Array:
    """Return the features of samples as an array of real numbers, in its own dtype.

    Arrays of objects, such as those of data frames with columns of several types, become float64 if all
    objects are numbers. Complex numbers are a ValueError, as in scikit-learn.
    """
    features = as_array(x, name)
    if features.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} is an array of dtype {features.dtype}")
    if features.dtype.kind != "O" or not features.ndim:
        # What was converted, since a stream can be read only once; a scalar as given, for the error message.
        return as_numbers(features if features.ndim else x, name)
    if any(value is None or isinstance(value, (str, bytes)) for value in features.flat):
        raise TypeError(f"{name} is an array of objects, some of which are strings or None, not real numbers")
    try:
        return features.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name} is an array of objects, some of which are not real numbers: {error}"
        ) from None


def as_samples(x: ArrayLike, n_features: int | None = None, owner: str = "", name: str = "X") -> Array:
    """Return samples as a two-dimensional array of real numbers, in its own dtype.

    Parameters
    ----------
    x : array_like (n, d)
        Samples, one per row.
    n_features : int, optional
        The expected ``d``.
    owner : str
        The model or index that expects it, for the error message.
    name : str
        The name of `x` there.
    """
    samples = as_features(x, name)
    if samples.ndim != 2:
        advice = (
            f" Reshape your data: {name}.reshape(1, -1) is one sample, {name}.reshape(-1, 1) is one feature."
            if samples.ndim == 1
            else ""
        )
        raise ValueError(
            f"Expected 2D array, got {samples.ndim}D array instead: {name} has shape {samples.shape}, "
            f"expected (n_samples, n_features).{advice}"
        )
    if not samples.shape[1]:
        raise ValueError(f"{name} has 0 feature(s) (shape={samples.shape}) while a minimum of 1 is required.")
    if n_features is not None and samples.shape[1] != n_features:
        raise ValueError(
            f"{name} has {samples.shape[1]} features, but {owner} is expecting {n_features} features as input"
        )
    return samples


def as_training_samples(X: ArrayLike, at_least: int = 1, parameter: str = "") -> Array:
    """Return samples to learn from, in their own dtype.

    Parameters
    ----------
    X : array_like (n, d)
        Samples, one per row.
    at_least : int
        The smallest number of samples.
    parameter : str
        The parameter that asks for that many, for the error message.
    """
    samples = as_samples(X)
    if len(samples) >= at_least:
        return samples
    if parameter:
        raise ValueError(
            f"n_samples={len(samples)} should be >= {parameter}={at_least}: "
            f"give more samples, or lower {parameter}"
        )
    raise ValueError(
        f"Found array with {len(samples)} sample(s) (shape={samples.shape}) "
        f"while a minimum of {at_least} is required"
    )


def as_queries(queries: ArrayLike, n_features: int, owner: str, name: str = "queries") -> Floats:
    """Return queries as finite, C-contiguous float32 (nq, d); a one-dimensional array is one query.

    Parameters
    ----------
    queries : array_like (nq, d) or (d,)
        Real numbers.
    n_features : int
        The expected ``d``.
    owner : str
        The model or index that expects it, for the error message.
    name : str
        The name of `queries` there.
    """
    numbers = as_features(queries, name)
    samples = as_samples(numbers[None] if numbers.ndim == 1 else numbers, n_features, owner, name)
    return finite_float32(samples, range(len(samples)), name)


def as_vector(values: ArrayLike, name: str, expected: str = "integers", dtype: DTypeLike = np.int64) -> Array:
    """Return a one-dimensional array-like of integers as a C-contiguous, aligned array of `dtype`.

    Parameters
    ----------
    values : array_like of int (n,)
        The argument. Without elements, any dtype is accepted.
    name : str
        Its name, for the error message.
    expected : str
        What it should be, for the error message.
    dtype : dtype
        An integer dtype that holds the values; others are taken modulo its range.
    """
    array = as_array(values, name)
    if not array.size:
        array = array.astype(dtype)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be {expected}; got an array of dtype {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension; got shape {array.shape}")
    return np.require(array, dtype, ["C", "A"])


# --- codes and results --------------------------------------------------------------------------------------

_PACKED_BITS = "a numpy uint8 array (n, n_bytes) of packed bits, as fastcodes.bits.pack makes it"


def code_array(codes: Any, name: str, expected: str = _PACKED_BITS) -> Codes:
    """Return codes as a plain uint8 array, without a copy where possible.

    Parameters
    ----------
    codes : array_like of uint8
        Also bytes, a sequence of bytes of one length, or lists of integers from 0 to 255. The kernels check
        the shape.
    name : str
        Its name, for the error message.
    expected : str
        What it should be, for the error message.
    """
    # For one query and few codes, a call takes a few microseconds.
    if type(codes) is np.ndarray and codes.dtype is _UINT8:
        return codes
    if isinstance(codes, (bytes, bytearray)):
        return np.frombuffer(codes, np.uint8)
    is_array = isinstance(codes, np.ndarray)
    array = as_array(codes, name)
    if array.dtype == np.uint8 and (array.ndim or is_array):
        return array
    holds_bytes = array.dtype.kind == "O" or (array.dtype.kind == "S" and not is_array)
    if array.ndim == 1 and len(array) and holds_bytes and all(isinstance(row, bytes) for row in codes):
        rows = list(codes)  # numpy drops zeros at the end of bytes
        if len({len(row) for row in rows}) != 1:
            raise ValueError(f"{name} has rows of different lengths; expected {expected}")
        return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)
    if isinstance(codes, (list, tuple)) and array.dtype.kind == "i" and array.size:
        if array.min() >= 0 and array.max() <= 255:
            return array.astype(np.uint8)
        raise ValueError(f"{name} has numbers from {array.min()} to {array.max()}; expected 0 to 255")
    given = described(array, codes)
    advice = _way_to_bits(array, name if is_array else f"np.asarray({name})")
    raise TypeError(f"{name} must be {expected}; got {given}{advice if expected is _PACKED_BITS else ''}")


def _way_to_bits(x: Array, name: str) -> str:
    """Return how an array of another dtype becomes packed bits, or nothing."""
    kind, n_bytes = x.dtype.kind, x.dtype.itemsize
    if not x.ndim or kind not in "biufO":
        return ""
    if kind == "O":
        return f". If its elements are rows, give np.stack({name})"
    pack = f"fastcodes.bits.pack({name})"
    if x.dtype == np.int8:
        embeddings = '"binary" embeddings of sentence-transformers'
        return f". For {embeddings} give {name}.view(np.uint8) ^ 0x80, for signs {pack}"
    if kind in "iu":
        shape = (*x.shape[: max(1, x.ndim - 1)], n_bytes * (x.shape[-1] if x.ndim > 1 else 1))
        view = f"{name}.view(np.uint8).reshape({', '.join(map(str, shape))})"
        return f". For hashes of {8 * n_bytes} bits give {view}, for numbers or signs {pack}"
    return f". Give {pack}"


def row_count(codes: Array) -> int:
    """Return the rows of an array of codes, which may be one row."""
    return len(codes) if codes.ndim > 1 else 1


def as_mask(mask: Any, n_rows: int) -> Mask:
    """Return the argument `mask` as a plain array of booleans or integers; the kernels check the rest.

    Parameters
    ----------
    mask : array_like of bool (n_rows,) or of int
        The rows to search.
    n_rows : int
        The rows of the database.
    """
    array = _as_range(mask) if isinstance(mask, range) else as_array(mask, "mask")
    if not array.size and isinstance(mask, (list, tuple)):
        array = array.astype(np.int64)
    if array.dtype.kind not in "biu" or not (array.ndim or isinstance(mask, np.ndarray)):
        raise TypeError(
            f"mask must be a boolean array (n,) or an integer array of row ids; got {describe(mask)}"
        )
    may_be_booleans = array.dtype.kind != "b" and array.shape == (n_rows,) and n_rows > 2
    if may_be_booleans and ((array == 0) | (array == 1)).all():
        raise ValueError(
            f"mask has {n_rows} zeros and ones of {array.dtype}, which would select the rows 0 and 1; "
            "expected booleans, as mask.astype(bool), or the ids of the rows"
        )
    return array


def _as_range(numbers: range) -> Array:
    try:
        return np.arange(numbers.start, numbers.stop, numbers.step, dtype=np.int64)
    except (OverflowError, ValueError):
        raise ValueError(f"mask has ids beyond int64; got {numbers}") from None


def as_codes(
    codes: ArrayLike,
    n_columns: int,
    n_codewords: int,
    dtype: type[np.unsignedinteger[Any]] = np.uint8,
    *,
    name: str = "codes",
) -> UnsignedCodes:
    """Return codes as an array (n, `n_columns`) of `dtype` with values below `n_codewords`."""
    codes = as_array(codes, name)
    if codes.dtype != dtype:
        raise TypeError(f"{name} must be an array of {np.dtype(dtype)}; got an array of dtype {codes.dtype}")
    if codes.ndim != 2 or codes.shape[1] != n_columns:
        raise ValueError(f"{name} must have shape (n, {n_columns}); got {codes.shape}")
    if n_codewords <= np.iinfo(dtype).max and codes.size and codes.max() >= n_codewords:
        row, column = np.argwhere(codes >= n_codewords)[0]
        raise ValueError(
            f"{name} has {codes[row, column]} in row {row}, column {column}; "
            f"expected values from 0 to {n_codewords - 1}"
        )
    return codes


def as_signatures(signatures: Any, name: str = "signatures") -> Signatures:
    """Return MinHash signatures, a uint32 array (n, n_hashes), as a C-contiguous, aligned array."""
    array = as_array(signatures, name)
    if array.dtype != np.uint32:
        given = described(array, signatures)
        raise TypeError(f"{name} must be a numpy uint32 array (n, n_hashes) of signatures; got {given}")
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(f"{name} must have shape (n, n_hashes); got {array.shape}")
    return np.require(array, np.uint32, ["C", "A"])


def as_output(
    out: Array | None,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    source: Array | None = None,
    source_name: str = "",
    *,
    name: str = "out",
) -> Array:
    """Return `out`, or a new array if it is None.

    Parameters
    ----------
    out : array, optional
        The argument `out`: C-contiguous, aligned, writeable, of `shape` and `dtype`.
    shape, dtype
        The expected ones.
    source : array, optional
        An input that is still read while `out` is written, so that they must not share memory.
    source_name : str
        Its name, for the error message.
    name : str
        The name of `out`, likewise.
    """
    dtype = np.dtype(dtype)
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray) or out.dtype != dtype:
        raise TypeError(f"{name} must be a numpy array of {dtype}; got {describe(out)}")
    if out.shape != shape or not out.flags.carray:
        read_only = "" if out.flags.writeable else ", read-only"
        gaps = "" if out.flags.c_contiguous else ", not contiguous"
        offset = "" if out.flags.aligned else ", unaligned"
        raise ValueError(
            f"{name} must be a C-contiguous, aligned and writeable array of shape {shape}; "
            f"got shape {out.shape}{read_only}{gaps}{offset}"
        )
    if source is not None:
        check_separate(out, source, source_name)
    return out


def check_separate(out: object, source: object, name: str) -> None:
    """Raise an error if `out` shares memory with an input, named `name`, that is copied before it is read."""
    if isinstance(out, np.ndarray) and isinstance(source, np.ndarray) and np.may_share_memory(out, source):
        raise ValueError(f"out shares memory with {name}; give an array of its own")
