"""`CodeCompressor`: rows of codes in fewer bytes, each row readable alone."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastcodes import _files
from fastcodes._estimator import Estimator, check_fitted
from fastcodes._typing import Array, Codes, Doubles, Ids, PathLike
from fastcodes._validation import as_bool, as_integer, as_option, describe
from fastcodes.coding._places import Places
from fastcodes.entropy import MarkovChain, encode_rows
from fastcodes.entropy._messages import as_data
from fastcodes.entropy._rows import as_rows_of, as_rows_per_block, decode_blocks

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CodeCompressor", "CompressedRows"]

_ORDERS = {"none": 0, "previous": 1}


class CodeCompressor(Estimator):
    """Lossless compression of rows of codes: of quantizers and hash functions, tokens, small integers.

    A model of the codes is fitted once; then rows are stored in blocks, and any row is read without the
    others. How much is saved depends on how far a symbol foretells the next one: much for neighboring levels,
    about an eighth for codes of product quantizers, nothing for equally frequent symbols without relation.

    Parameters
    ----------
    context : {"previous", "none"}
        Whether the probability of a symbol depends on the symbol before it, or on its column alone.
    n_symbols : int
        Number of symbols, from 1 to 256: the codewords of a quantizer.
    rows_per_block : int
        Rows that are stored together, at most 2**22 bytes of them. A row is read with those before it in its
        block, so one is read the fastest; but a block is whole bytes, which wastes a third of a byte.

    Attributes
    ----------
    chain_ : MarkovChain
        The fitted model.

    See Also
    --------
    fastcodes.entropy.MarkovChain : The model.
    fastcodes.entropy.encode_rows : The same for other models, as functions over arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.coding import CodeCompressor
    >>> rng = np.random.default_rng(0)
    >>> codes = np.cumsum(rng.integers(0, 8, (10_000, 16)), axis=1).astype(np.uint8)
    >>> rows = CodeCompressor(n_symbols=128).fit(codes).compress(codes)
    >>> rows
    CompressedRows(10000 rows of 16 bytes, 61 kB)
    >>> bool((rows[[5, -1]] == codes[[5, -1]]).all()), bool((rows[:] == codes).all())
    (True, True)
    """

    _learned = "chain_"
    _kind = "codec"
    chain_: MarkovChain

    def __init__(self, context: str = "previous", *, n_symbols: int = 256, rows_per_block: int = 16) -> None:
        self.context = context
        self.n_symbols = n_symbols
        self.rows_per_block = rows_per_block

    def fit(self, codes: Any, y: object = None) -> Self:
        """Count the symbols of codes.

        Parameters
        ----------
        codes : array_like of uint8 (n, n_columns)
            Rows like those to come, at least one.
        y : object
            Ignored; present for API consistency.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If they are not codes, or a parameter has the wrong type.
        ValueError
            If there are none, a symbol is too large, or a parameter is out of range.
        """
        as_integer(self.rows_per_block, "rows_per_block", 1)
        order = _ORDERS[as_option(self.context, "context", _ORDERS)]
        self.chain_ = MarkovChain.fit(codes, self.n_symbols, order=order)
        self.n_features_in_ = self.chain_.n_columns
        return self

    def compress(self, codes: Any, *, threads: int | None = None) -> CompressedRows:
        """Compress rows of codes.

        Parameters
        ----------
        codes : array_like of uint8 (n, n_columns)
            Rows.
        threads : int, optional
            Largest number of threads; None means all CPUs of this process.

        Returns
        -------
        CompressedRows

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If they are not codes.
        ValueError
            If they have another number of columns, or a symbol is too large.
        """
        check_fitted(self)
        array = self.chain_.as_rows(codes)
        rows_per_block = as_rows_per_block(self.rows_per_block, self.chain_)
        data, offsets = encode_rows(array, self.chain_, rows_per_block=rows_per_block, threads=threads)
        return CompressedRows(
            self.chain_, len(array), rows_per_block=rows_per_block, data=data, places=Places.of(offsets)
        )

    def bits(self, codes: Any) -> Doubles:
        """Return the code length of each row in bits, without what blocks waste.

        Parameters
        ----------
        codes : array_like of uint8 (n, n_columns)
            Rows.

        Returns
        -------
        float64 array (n,)
        """
        check_fitted(self)
        return self.chain_.bits(codes)

    def __sklearn_tags__(self) -> Any:
        """Return the tags that scikit-learn asks for: codes, not features."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags

    def _to_arrays(self) -> dict[str, Array]:
        return _chain_arrays(self.chain_)

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        self.chain_ = _chain_of(arrays)
        self.n_features_in_ = self.chain_.n_columns


class CompressedRows:
    """Rows of codes that `CodeCompressor.compress` made; ``rows[i]``, ``rows[2:5]``, ``rows[ids]`` read some.

    The file of `save` holds the model too, so that it is read alone. A row is decoded with those before it
    in its block.

    Parameters
    ----------
    model : MarkovChain
        The model of the rows.
    n_rows : int
        Number of rows.
    rows_per_block : int
        Rows of a block.
    data : uint8 array (n_bytes,)
        The blocks.
    places : object
        Where they are.
    """

    def __init__(
        self, model: MarkovChain, n_rows: int, *, rows_per_block: int, data: Codes, places: Places
    ) -> None:
        if not isinstance(model, MarkovChain):
            raise TypeError(f"model must be a MarkovChain; got {describe(model)}")
        if not isinstance(places, Places):
            raise TypeError(f"places must be what `CodeCompressor.compress` makes; got {describe(places)}")
        self._model = model
        self._n_rows = as_integer(n_rows, "n_rows", 0)
        self._rows_per_block = as_rows_per_block(rows_per_block, model)
        self._data, self._places = as_data(data), places
        n_blocks = -(-self._n_rows // self._rows_per_block)
        if len(places) != n_blocks:
            raise ValueError(
                f"n_rows = {n_rows} in blocks of {rows_per_block} are {n_blocks}; places are of {len(places)}"
            )

    def __len__(self) -> int:
        return self._n_rows

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and bytes of a row."""
        return self._n_rows, self._model.n_bytes

    @property
    def nbytes(self) -> int:
        """Bytes of the rows and of what finds them; the model, which `nbytes_model` counts, not included."""
        return self._data.nbytes + self._places.nbytes

    @property
    def nbytes_model(self) -> int:
        """Bytes of the model."""
        return self._model.frequencies.nbytes

    def __repr__(self) -> str:
        n_rows, n_bytes = self.shape
        return f"{type(self).__name__}({n_rows} rows of {n_bytes} bytes, {self.nbytes // 1000} kB)"

    def __getitem__(self, rows: Any) -> Codes:
        """Return some rows.

        Parameters
        ----------
        rows : int, slice or array_like of int or bool
            As in numpy; ``[:]`` decodes all.

        Returns
        -------
        uint8 array (n_bytes,) for an int, else (n, n_bytes)

        Raises
        ------
        TypeError
            If `rows` are none of these.
        IndexError
            If a row does not exist.
        ValueError
            If the bytes are no code of the rows.
        """
        return self.take(rows)

    def take(self, rows: Any, *, threads: int | None = None) -> Codes:
        """Return some rows, as indexing does.

        Parameters
        ----------
        rows : int, slice or array_like of int or bool
            The wanted rows.
        threads : int, optional
            Largest number of threads; None means all CPUs of this process.

        Returns
        -------
        uint8 array (n_bytes,) for an int, else (n, n_bytes)
        """
        if isinstance(rows, slice):
            start, stop, step = rows.indices(self._n_rows)
            if (start, stop, step) == (0, self._n_rows, 1):
                return self._decoded(None, threads)
            return self._decoded(np.arange(start, stop, step), threads)
        if np.ndim(rows) == 0:
            row = as_integer(rows, "rows")
            found: Codes = self._decoded(as_rows_of([row], self._n_rows), threads)[0]
            return found
        array = np.asarray(rows)
        if array.dtype == np.bool_:
            if array.shape != (self._n_rows,):
                raise IndexError(f"rows as a mask must have shape ({self._n_rows},); got {array.shape}")
            array = np.flatnonzero(array)
        if array.ndim != 1:
            raise TypeError(f"rows must be an integer, a slice or a list of integers; got {describe(rows)}")
        return self._decoded(as_rows_of(array, self._n_rows), threads)

    def _decoded(self, rows: Ids | None, threads: int | None) -> Codes:
        return decode_blocks(
            self._data, self._places.ends, self._model, rows, self._n_rows, self._rows_per_block, threads
        )

    def save(self, path: PathLike) -> None:
        """Write the rows and their model to a file, with checksums, atomically.

        Parameters
        ----------
        path : path-like
            Where to write.
        """
        model = _chain_arrays(self._model)
        params = {
            "n_rows": self._n_rows,
            "rows_per_block": self._rows_per_block,
            "checksum": zlib.crc32(model["frequencies"].data),
        }
        arrays = {"data": self._data, **self._places.to_arrays(), **model}
        _files.write(path, type(self).__name__, params, arrays)

    @classmethod
    def load(cls, path: PathLike, *, mmap: bool = False, verify: bool = False) -> Self:
        """Read a file that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file. Nothing in it is executed.
        mmap : bool
            Whether rows are read from the file when they are wanted.
        verify : bool
            Whether the checksums of a mapped file are verified, which reads all of it.

        Returns
        -------
        CompressedRows

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is no such file, or was truncated or altered.
        """
        kind = cls.__name__
        params, arrays = _files.read(path, kind, mmap=as_bool(mmap, "mmap"), verify=as_bool(verify, "verify"))
        with _files.refusing(path, kind):
            model = _chain_of(arrays)
            # A model is loaded whole, also from a mapped file: a wrong one gives wrong rows.
            if zlib.crc32(np.ascontiguousarray(arrays["frequencies"]).data) != params["checksum"]:
                raise ValueError("array 'frequencies' was altered, its checksum is wrong")
            data = _files.take(arrays, "data", np.uint8, ("bytes",))
            places = Places.from_arrays(arrays)
            blocks = {"rows_per_block": params["rows_per_block"], "data": data, "places": places}
            return cls(model, params["n_rows"], **blocks)


def _chain_arrays(chain: MarkovChain) -> dict[str, Array]:
    """Return the arrays of a chain: frequencies are from 1 to 2**16."""
    shape = np.array([chain.n_columns, chain.order])
    return {"frequencies": (chain.frequencies - 1).astype(np.uint16), "chain": shape}


def _chain_of(arrays: Mapping[str, Array]) -> MarkovChain:
    frequencies = _files.take(arrays, "frequencies", np.uint16, ("tables", "symbols"))
    n_columns, order = _files.take(arrays, "chain", np.int64, (2,)).tolist()
    return MarkovChain(frequencies.astype(np.uint32) + 1, n_columns, order=order)
