"""`TextCodec`: short strings as a few bytes each."""

from __future__ import annotations

import itertools
import os
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files, _native
from fastcodes._estimator import Estimator, check_fitted
from fastcodes._typing import Array, Codes, Doubles, Ids, PathLike
from fastcodes._validation import as_bool, as_integer, as_list, as_vector, describe
from fastcodes.coding._places import Places
from fastcodes.entropy._messages import as_data
from fastcodes.entropy._rows import as_rows_of

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CompressedTexts", "TextCodec"]


class TextCodec(Estimator):
    """Lossless compression of short strings, each of which can be decoded alone.

    `fit` learns a model from strings like those to come: captions, titles, addresses, queries, log lines.
    The model is static from then on, so each string takes the same few bytes wherever it is stored, has no
    header, and is read without its neighbours. A context-mixing model predicts a string bit by bit from the
    words, the classes of words and the characters before; a range coder stores what was not predicted.

    Parameters
    ----------
    model_bytes : int
        The largest size of the saved model, ``2**17`` to ``2**30``. `fit` needs up to 50 times
        this memory, less for few strings.

    Attributes
    ----------
    model_ : object
        The fitted model. `nbytes` is its size.

    Notes
    -----
    A string is split into symbols: frequent words, and single bytes of UTF-8. A symbol is found in a binary
    tree, first its class (exchange algorithm: Martin, Liermann and Ney, 1998) and then the symbol itself.
    Each branch was counted in twenty contexts, such as the symbols, words and classes before it and the
    position. Their logits are mixed with weights that depend on which contexts are known (logistic mixing:
    Mahoney, 2005). Weights are learned from each string after its own counts were taken out, as for a new
    string. Only integers take part, so models and codes are the same on every machine and for any number of
    threads.

    Any string of at most ``2**18`` bytes in UTF-8 can be encoded, lone surrogates too. One that the model
    finds very unlikely is stored as its UTF-8 and at most four bytes and a thousandth more.

    To be short, codes have no checksum. Altered or truncated ones are often noticed, but can decode to
    another string, as can codes of a model that was fitted to other strings.

    See Also
    --------
    fastcodes.minhash.shingles : Find strings that nearly agree.

    Examples
    --------
    >>> from fastcodes.coding import TextCodec
    >>> animals, places = ["cat", "dog", "horse", "small bird"], ["a street", "the grass", "a table"]
    >>> texts = [f"A {animal} on {place}." for animal in animals for place in places] * 20
    >>> codec = TextCodec().fit(texts)
    >>> code = codec.encode("A small bird on the grass.")
    >>> len(code), codec.decode(code)
    (1, 'A small bird on the grass.')
    >>> data, offsets = codec.encode_many(["A cat on a table.", "", "Something else"])
    >>> codec.decode_many(data, offsets, rows=[2, 0])
    ['Something else', 'A cat on a table.']
    """

    _learned = "model_"
    _kind = "codec"
    model_: _native.TextModel

    def __init__(self, model_bytes: int = 1 << 24) -> None:
        self.model_bytes = model_bytes

    def fit(self, texts: Sequence[str], y: object = None, *, threads: int | None = None) -> Self:
        """Learn a model from strings.

        Parameters
        ----------
        texts : sequence of str
            Strings like those that will be encoded, at least one; 10,000 or more are better.
        y : object
            Ignored; present for API consistency.
        threads : int, optional
            Ignored: the model is learned on one thread.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If a text is not a str.
        ValueError
            If there are no texts, or `model_bytes` is out of range.
        """
        model_bytes = as_integer(self.model_bytes, "model_bytes", 1 << 17, 1 << 30)
        self.model_ = _native.TextModel(*_joined(texts, "texts"), model_bytes, threads)
        return self

    def encode(self, text: str) -> bytes:
        """Encode one string.

        Parameters
        ----------
        text : str
            Of at most ``2**18`` bytes in UTF-8.

        Returns
        -------
        bytes
            Its code.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If it is not a str.
        ValueError
            If it is too long.

        See Also
        --------
        encode_many : Faster for many strings.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be a str; got {describe(text)}")
        return self.encode_many([text], threads=1)[0].tobytes()

    def decode(self, data: bytes | Codes) -> str:
        """Decode one string.

        Parameters
        ----------
        data : bytes or uint8 array (n_bytes,)
            A code of this model.

        Returns
        -------
        str

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If these are not bytes.
        ValueError
            If they are no code of this model. Most but not all altered codes are noticed.
        """
        code = as_data(data)
        return self.decode_many(code, np.array([0, len(code)]), threads=1)[0]

    def encode_many(self, texts: Sequence[str], *, threads: int | None = None) -> tuple[Codes, Ids]:
        """Encode strings.

        Parameters
        ----------
        texts : sequence of str
            Each of at most ``2**18`` bytes in UTF-8.
        threads : int, optional
            Largest number of threads; None means all CPUs of this process.

        Returns
        -------
        data : uint8 array
            The codes of all strings, one after the other.
        offsets : int64 array (n + 1,)
            The code of string ``i`` is ``data[offsets[i]:offsets[i + 1]]``, the same bytes as
            ``encode(texts[i])``.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If a text is not a str.
        ValueError
            If a text is too long.
        """
        check_fitted(self)
        return self.model_.encode(*_joined(texts, "texts"), threads)

    def decode_many(
        self,
        data: bytes | Codes,
        offsets: ArrayLike,
        *,
        rows: ArrayLike | None = None,
        threads: int | None = None,
    ) -> list[str]:
        """Decode all strings, or some of them.

        Parameters
        ----------
        data : bytes or uint8 array
            Codes of this model, one after the other.
        offsets : array_like of int (n + 1,)
            Where each begins and ends, as `encode_many` returns them.
        rows : array_like of int (n_rows,), optional
            Which strings to decode, in this order; negative ones count from the end. None means all.
        threads : int, optional
            Largest number of threads; None means all CPUs of this process.

        Returns
        -------
        list of str
            Element ``i`` is string ``i``, or string ``rows[i]``.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `data` are not bytes, or `offsets` or `rows` not integers.
        IndexError
            If there is no such string.
        ValueError
            If offsets are out of range, or bytes are no code of this model. Most but not all altered codes
            are noticed.
        """
        check_fitted(self)
        data, ends = as_data(data), as_vector(offsets, "offsets")
        if rows is not None:
            data, ends = _of_rows(data, ends, rows)
        decoded, ends = self.model_.decode(data, ends, threads)
        content, starts = decoded.tobytes(), ends.tolist()
        try:
            return [
                content[start:end].decode("utf-8", "surrogatepass")
                for start, end in itertools.pairwise(starts)
            ]
        except UnicodeDecodeError:
            raise ValueError(
                "data has a code of bytes that are no UTF-8; expected codes of this model"
            ) from None

    def compress(self, texts: Sequence[str], *, threads: int | None = None) -> CompressedTexts:
        """Compress strings into a sequence that can be saved and memory-mapped.

        Parameters
        ----------
        texts : sequence of str
            Each of at most ``2**18`` bytes in UTF-8.
        threads : int, optional
            Largest number of threads; None means all CPUs of this process.

        Returns
        -------
        CompressedTexts

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As `encode_many`.
        """
        data, offsets = self.encode_many(texts, threads=threads)
        return CompressedTexts(self, data, places=Places.of(offsets))

    def bits(self, texts: Sequence[str], *, threads: int | None = None) -> Doubles:
        """Compute the code lengths of strings.

        Parameters
        ----------
        texts : sequence of str
            As for `encode_many`.
        threads : int, optional
            Largest number of threads; None means all CPUs of this process.

        Returns
        -------
        float64 array (n,)
            Minus the binary logarithm of the probability of each string, by the model or spelled as UTF-8,
            whichever is less. Its code has about that many bits, rounded to whole bytes: at most
            ``ceil(bits / 8) + 1`` bytes.

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As `encode_many`.
        """
        check_fitted(self)
        return self.model_.bits(*_joined(texts, "texts"), threads)

    @property
    def nbytes(self) -> int:
        """The bytes of the fitted model."""
        check_fitted(self)
        return self.model_.nbytes

    def __sklearn_tags__(self) -> Any:
        """Return the tags that scikit-learn asks for: strings, not vectors."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.string = False, True
        tags.no_validation = True
        return tags

    def _to_arrays(self) -> dict[str, Array]:
        return {"model": self.model_.to_bytes()}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        as_integer(self.model_bytes, "model_bytes", 1 << 17, 1 << 30)
        model = _files.take(arrays, "model", np.uint8, ("bytes",))
        self.model_ = _native.TextModel.from_bytes(np.ascontiguousarray(model))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), **({"model_": self.model_.to_bytes()} if hasattr(self, "model_") else {})}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if "model_" in state:
            self.model_ = _native.TextModel.from_bytes(state["model_"])


class CompressedTexts:
    """Strings that `TextCodec.compress` made; ``texts[i]`` and ``texts[2:5]`` decode some.

    Parameters
    ----------
    codec : TextCodec
        The codec of the strings.
    data : uint8 array (n_bytes,)
        Their codes.
    places : object
        Where they are.
    """

    def __init__(self, codec: TextCodec, data: Codes, *, places: Places) -> None:
        if not isinstance(places, Places):
            raise TypeError(f"places must be what `TextCodec.compress` makes; got {describe(places)}")
        self.codec = _as_fitted(codec)
        self._data, self._places = as_data(data), places

    @classmethod
    def _joined(cls, parts: Sequence[Self]) -> Self:
        """Return the strings of several sequences of one codec, at least one, one after the other."""
        data = np.concatenate([part._data for part in parts])
        lengths = np.concatenate([part._places.lengths for part in parts])
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        return cls(parts[0].codec, data, places=Places.of(offsets))

    def __len__(self) -> int:
        return len(self._places)

    @property
    def nbytes(self) -> int:
        """Bytes of the codes and of what finds them; the model, ``codec.nbytes``, not included."""
        return self._data.nbytes + self._places.nbytes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} strings, {self.nbytes // 1000} kB)"

    def __getitem__(self, rows: Any) -> Any:
        """Return some strings.

        Parameters
        ----------
        rows : int, slice or array_like of int or bool
            Which ones, as in numpy; ``[:]`` decodes all.

        Returns
        -------
        str for an int, else list of str

        Raises
        ------
        TypeError
            If `rows` are none of these.
        IndexError
            If there is no such string.
        ValueError
            If the codes belong to another model.
        """
        return self.take(rows)

    def take(self, rows: Any, *, threads: int | None = None) -> Any:
        """Return some strings, as indexing does.

        Parameters
        ----------
        rows : int, slice or array_like of int or bool
            Which ones; booleans, one for each string, say whether it is one of them.
        threads : int, optional
            Largest number of threads; None means all CPUs of this process.

        Returns
        -------
        str for an int, else list of str
        """
        if isinstance(rows, slice):
            return self._decoded(np.arange(*rows.indices(len(self))), threads)
        if np.ndim(rows) == 0:
            return self._decoded(as_rows_of([as_integer(rows, "rows")], len(self)), threads)[0]
        array = np.asarray(rows)
        if array.dtype == np.bool_:
            if array.shape != (len(self),):
                raise IndexError(f"rows as a mask must have shape ({len(self)},); got {array.shape}")
            rows = np.flatnonzero(array)
        return self._decoded(as_rows_of(rows, len(self)), threads)

    def _decoded(self, rows: Ids, threads: int | None) -> list[str]:
        starts, stops = self._places.ends(rows)
        data, offsets = _of_parts(self._data, starts, stops)
        return self.codec.decode_many(data, offsets, threads=threads)

    def save(self, path: PathLike, *, with_model: bool = True) -> None:
        """Write the strings to a file, with checksums, atomically.

        Parameters
        ----------
        path : path-like
            Where to write.
        with_model : bool
            Whether the file holds the model too, so that it is read alone. Otherwise `load` needs the codec,
            and the file has the checksum of its model.
        """
        with_model = as_bool(with_model, "with_model")
        model = self.codec._to_arrays()["model"]
        arrays = {"data": self._data, **self._places.to_arrays()}
        params = {"codec": self.codec.get_params(), "checksum": zlib.crc32(model.data)}
        _files.write(
            path, type(self).__name__, params, {**arrays, **({"model": model} if with_model else {})}
        )

    @classmethod
    def load(
        cls, path: PathLike, *, codec: TextCodec | None = None, mmap: bool = False, verify: bool = False
    ) -> Self:
        """Read a file that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file. Nothing in it is executed.
        codec : TextCodec, optional
            The codec of the strings, for a file without its model. One is compared with the model of a file
            that has it.
        mmap : bool
            Whether codes are read from the file when they are wanted.
        verify : bool
            Whether the checksums of a mapped file are verified, which reads all of it.

        Returns
        -------
        CompressedTexts

        Raises
        ------
        OSError
            If the file cannot be read.
        TypeError
            If `codec` is no TextCodec.
        NotFittedError
            If `codec` is not fitted.
        ValueError
            If it is no such file, was truncated or altered, has the codes of another model, or no model and
            `codec` is None.
        """
        kind = cls.__name__
        given = None if codec is None else zlib.crc32(_as_fitted(codec)._to_arrays()["model"].data)
        params, arrays = _files.read(path, kind, mmap=as_bool(mmap, "mmap"), verify=as_bool(verify, "verify"))
        with _files.refusing(path, kind):
            data, places = _files.take(arrays, "data", np.uint8, ("bytes",)), Places.from_arrays(arrays)
            checksum = as_integer(params["checksum"], "checksum")
            if "model" in arrays:
                model = _files.take(arrays, "model", np.uint8, ("bytes",))
                # Also of a mapped file: other models decode other strings, and none says so.
                if zlib.crc32(np.ascontiguousarray(model).data) != checksum:
                    raise ValueError("its model is not the one of its strings; save them again")
                codec = codec or TextCodec.from_state(params["codec"], {"model": model})
        if codec is None:
            raise NoModelError(
                f"{os.fsdecode(path)!r} has no model; give the codec of its strings: load(path, codec=...)"
            )
        if given not in (None, checksum):
            raise ValueError(f"the strings of {os.fsdecode(path)!r} were encoded by another codec than codec")
        return cls(codec, data, places=places)


class NoModelError(ValueError):
    """A file of strings has no model, and no codec was given."""


def _as_fitted(codec: Any) -> TextCodec:
    """Return the argument `codec` if it is a fitted one."""
    if not isinstance(codec, TextCodec):
        raise TypeError(f"codec must be a TextCodec; got {describe(codec)}")
    check_fitted(codec)
    return codec


def _joined(texts: Sequence[str], name: str) -> tuple[Codes, Ids]:
    """Return the UTF-8 of strings, one after the other, and their offsets."""
    strings = as_list(texts, name, "str")
    try:
        # Keeps lone surrogates. The method of str, since a subclass may override it.
        encoded = [str.encode(text, "utf-8", "surrogatepass") for text in strings]
    except TypeError:
        index, text = next((i, text) for i, text in enumerate(strings) if not isinstance(text, str))
        raise TypeError(f"{name} must be strings; got {describe(text)} as text {index}") from None
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)), out=offsets[1:])
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


def _of_rows(data: Codes, ends: Ids, rows: ArrayLike) -> tuple[Codes, Ids]:
    """Return the codes of some rows, one after the other, and their offsets."""
    if not len(ends):
        raise ValueError("offsets is empty; expected one more offset than strings, [0] for no strings")
    numbers = as_rows_of(rows, len(ends) - 1)
    return _of_parts(data, ends[numbers], ends[numbers + 1])


def _of_parts(data: Codes, starts: Ids, stops: Ids) -> tuple[Codes, Ids]:
    """Return parts of the data, one after the other, and their offsets."""
    if len(starts) and (starts.min() < 0 or stops.max() > len(data) or (starts > stops).any()):
        raise ValueError(f"offsets of these rows do not ascend within the {len(data)} bytes of data")
    parts = [data[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)]
    return np.concatenate([data[:0], *parts]), np.append(0, np.cumsum(stops - starts))
