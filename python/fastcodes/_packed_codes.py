"""`PackedCodes`, which `fastcodes.adc` exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files, _native
from fastcodes._typing import Array, Codes, PathLike
from fastcodes._validation import as_bool, as_integer, as_mask, as_vector, code_array

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CODES", "PackedCodes"]

CODES = "a numpy uint8 array (n, M), one byte per subspace, as fastcodes.adc.encode makes it"


class PackedCodes(_native.PackedCodes):
    """Codes rearranged for repeated searches, with 16 codewords two to a byte.

    Blocks of 256 rows hold one subspace after the other, so that a register takes 64 rows at once. The
    functions of `fastcodes.adc` search it in place of the array, with the same results.

    Threads may search while another one changes the rows: a search sees the rows of the moment when it began.

    Parameters
    ----------
    codes : array_like of uint8 (n, M)
        One byte per subspace, for every `n_codewords`.
    n_codewords : {256, 16}
        Codes are below this. Tables may have fewer codewords.
    threads : int, optional
        As in `fastcodes.adc.tables`.

    Attributes
    ----------
    n_codewords, n_subspaces : int
        As given.
    shape : tuple of int
        ``(n, M)``, as of the array.
    nbytes : int
        Bytes of the blocks: about ``n * M``, or half of it for 16 codewords.

    Raises
    ------
    TypeError
        If `codes` has the wrong dtype.
    ValueError
        If a code is not below `n_codewords`, or that is neither 16 nor 256.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import adc
    >>> tables = np.array([[1, 0], [16, 1]], np.float32)
    >>> packed = adc.PackedCodes(np.array([[0, 0], [1, 1]], np.uint8), n_codewords=16)
    >>> packed.append(np.array([[1, 0]], np.uint8))
    >>> adc.knn(tables, packed, k=2)
    (array([[ 1., 16.]], dtype=float32), array([[1, 2]]))
    >>> packed.unpack()
    array([[0, 0],
           [1, 1],
           [1, 0]], dtype=uint8)
    """

    __slots__ = ()

    def __new__(cls, codes: ArrayLike, *, n_codewords: int = 256, threads: int | None = None) -> Self:
        """Pack the codes."""
        return super().__new__(cls, code_array(codes, "codes", CODES), n_codewords, threads, None)

    def __repr__(self) -> str:
        return f"PackedCodes(<{len(self)} x {self.n_subspaces}>, n_codewords={self.n_codewords})"

    def __reduce__(self) -> tuple[Callable[..., PackedCodes], tuple[dict[str, Any], dict[str, Codes]]]:
        return type(self).from_state, self.to_state()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and subspaces."""
        return len(self), self.n_subspaces

    def append(self, codes: ArrayLike, *, threads: int | None = None) -> None:
        """Add rows at the end.

        Parameters
        ----------
        codes : array_like of uint8 (n, M)
            Of the same M; a one-dimensional array is one row.
        threads : int, optional
            As in `fastcodes.adc.tables`.

        Raises
        ------
        TypeError
            If `codes` has the wrong dtype.
        ValueError
            If M differs, or a code is not below `n_codewords`; nothing is added then.
        """
        super().append(code_array(codes, "codes", CODES), threads=threads)

    def remove(self, mask: ArrayLike, *, threads: int | None = None) -> int:
        """Remove rows; those after them move up.

        Parameters
        ----------
        mask : array_like of bool (n,) or of int
            The rows to remove, or their ids. Ids may come in any order; repeated ones count once.
        threads : int, optional
            As in `fastcodes.adc.tables`.

        Returns
        -------
        int
            The number of removed rows.

        Raises
        ------
        TypeError
            If `mask` is neither booleans nor integers.
        ValueError
            If there is no such row, or not one boolean per row; nothing is removed then.

        Notes
        -----
        The codes become ``np.delete(packed.unpack(), mask, axis=0)``. All blocks are copied, so remove many
        rows at once.
        """
        return super().remove(as_mask(mask, len(self)), threads=threads)

    def unpack(self, start: int = 0, stop: int | None = None, *, threads: int | None = None) -> Codes:
        """Return consecutive rows as an array.

        Parameters
        ----------
        start, stop : int
            The rows, as in a slice: negative ones count from the end.
        threads : int, optional
            As in `fastcodes.adc.tables`.

        Returns
        -------
        uint8 array (stop - start, M)
        """
        start = as_integer(start, "start")
        stop = None if stop is None else as_integer(stop, "stop")
        return super().unpack(start, stop, threads=threads)

    def take(self, ids: ArrayLike, *, threads: int | None = None) -> Codes:
        """Return rows in any order as an array.

        Parameters
        ----------
        ids : array_like of int (m,)
            Row ids, 0 or more.
        threads : int, optional
            As in `fastcodes.adc.tables`.

        Returns
        -------
        uint8 array (m, M)
            Equal to ``packed.unpack()[ids]``.

        Raises
        ------
        TypeError
            If `ids` are not integers.
        ValueError
            If there is no such row.
        """
        return super().take(as_vector(ids, "ids"), threads=threads)

    def save(self, path: PathLike) -> None:
        """Write a safetensors file.

        Parameters
        ----------
        path : path-like
            Where to write; an existing file is replaced.
        """
        _files.write(path, "PackedCodes", *self.to_state())

    @classmethod
    def load(cls, path: PathLike, *, mmap: bool = True, verify: bool = False) -> Self:
        """Read a file that `save` wrote.

        Parameters
        ----------
        path : path-like
            The file.
        mmap : bool
            Whether to map the codes instead of loading them: they are read as they are searched, and shared
            by all processes that map them. The first change loads them. A mapped file may be replaced, as
            `save` does, but not changed in place: like any memory map of a file that was cut short, the next
            read beyond its end kills the process.
        verify : bool
            Whether to verify the checksums of mapped codes, which reads all of them. Loaded codes are always
            verified.

        Returns
        -------
        PackedCodes

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            If it is not a whole file of packed codes, or what was verified was altered.
        """
        params, arrays = _files.read(
            path, "PackedCodes", mmap=as_bool(mmap, "mmap"), verify=as_bool(verify, "verify")
        )
        with _files.refusing(path, "PackedCodes"):
            return cls.from_state(params, arrays)

    def to_state(self) -> tuple[dict[str, Any], dict[str, Codes]]:
        """Return the content for a file: parameters, and arrays by name.

        Returns
        -------
        params : dict of str to int
        arrays : dict of str to uint8 array
            Read-only views of the blocks as they are now; later changes do not show in them.
        """
        blocks, n_rows, largest = self._blocks()
        params = {
            "n_rows": n_rows,
            "n_subspaces": self.n_subspaces,
            "n_codewords": self.n_codewords,
            "largest": largest,
        }
        return params, {"blocks": blocks}

    @classmethod
    def from_state(cls, params: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """Return packed codes with the content that `to_state` returned.

        Parameters
        ----------
        params : mapping
            With ``n_rows``, ``n_subspaces``, ``n_codewords`` and ``largest``; other entries are ignored.
        arrays : mapping
            With ``blocks``; other entries are ignored. A read-only array is viewed, and copied by the first
            change; another one is copied.

        Raises
        ------
        KeyError, ValueError
            If an entry is missing, or they do not go together.
        """
        numbers = [params[name] for name in ("n_rows", "n_subspaces", "n_codewords", "largest")]
        if not all(type(number) is int and 0 <= number < 1 << 63 for number in numbers):
            raise ValueError(f"its parameters are not integers from 0 up: {params}")
        n_rows, n_subspaces, n_codewords, largest = numbers
        blocks = _files.take(arrays, "blocks", np.uint8, ("bytes",))
        return super().__new__(cls, None, n_codewords, None, (blocks, n_rows, n_subspaces, largest))
