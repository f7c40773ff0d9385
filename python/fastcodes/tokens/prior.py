"""`TokenPrior`: how probable tokens are given those before them, as an entropy model and a sampler."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._estimator import Estimator, check_fitted
from fastcodes._progress import progress
from fastcodes._typing import Array, Doubles, Ids, UnsignedCodes
from fastcodes._validation import as_integer, as_list, as_real, check_threads, random_generator
from fastcodes.entropy._messages import as_data
from fastcodes.nn import Adam, Cosine, CrossEntropy, Dense, HardTanh, Network
from fastcodes.tokens._grids import as_tokens, check_unchanged, token_dtype
from fastcodes.tokens._numbers import Numbers, varint
from fastcodes.tokens._order import LEFT, RIGHT, TOP, contexts_of, neighbors_of, wave_index, waves
from fastcodes.tokens._prior_network import Tables, TokenContexts, ends_of, rounded
from fastcodes.tokens._range_coder import Decoder, encoded

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["TokenPrior"]

Chooser: TypeAlias = Callable[[Ids, Ids], Ids]

_MOST_CODEWORDS = 1 << 12
_TOKENS_PER_BLOCK = 1 << 12
_ENDS_PER_BLOCK = 1 << 22
_MOST_SAMPLED = 1 << 22
_MAGIC, _VERSION = b"FCtk", 1


class TokenPrior(Estimator):
    r"""The probability of a token given its neighbours that were coded before it.

    A network with one hidden layer predicts each token from six neighbours, the two to the left, the two
    above, and those above on both sides, and, with several codebooks, from the earlier tokens of its patch
    and all those to the left and above: after Bengio, Ducharme, Vincent and Jauvin, *A neural probabilistic
    language model*, JMLR 3, 2003, with neighbours in place of words. It makes an entropy model for tokens,
    and draws new grids.

    Once trained, the network is rounded to integers, and integers alone make probabilities: encoder and
    decoder agree on every machine.

    Parameters
    ----------
    n_codewords : int
        Values of a token, from 2 to 4096.
    n_codebooks : int
        Tokens of a patch, from 1 to 16.
    hidden : int
        Units of the hidden layer, from 1 to 1024.
    epochs : int
        Passes over the tokens.
    batch_size : int
        Tokens of a step.
    learning_rate : float
        Initial learning rate of Adam; it falls to 0 along half a cosine.
    random_state : None, int or numpy random generator
        Source of randomness; an integer makes `fit` repeatable.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    tables_ : list of tuple of int16 arrays
        For each codebook the embeddings (n_neighbors, n_codewords + 1, hidden), the bias (hidden,), and the
        weights (hidden + 1, n_codewords) of the output, in fixed point. The last embedding is that of a
        neighbour outside of the grid.
    objective_history_ : float64 array (epochs,)
        The mean bits of a training token in each epoch, measured during training.

    Notes
    -----
    The bytes of `encode`, in this order; numbers without a size are of 7 bits in each byte, the lowest first,
    with 128 added to all but the last byte:

    - ``b"FCtk"``, and the version, 1;
    - the CRC-32 of the prior, 4 bytes, the lowest first: tokens decode only with the prior that coded them;
    - the numbers of grids, rows, columns and codebooks;
    - for each grid the number of bytes of its code;
    - the codes: a range coder, each of a grid alone, without zeros at its end. A decoder reads zeros there,
      and refuses a code if it needs more than 16 of them, unless all tokens after these are 0;
    - the CRC-32 of all bytes before, 4 bytes.

    Tokens are coded in the order of ``column + 2 * row``, then of codebooks, then of rows.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.tokens import TokenPrior
    >>> rng = np.random.default_rng(0)
    >>> grids = np.cumsum(rng.integers(0, 2, (300, 8, 8)), axis=2) % 8
    >>> prior = TokenPrior(8, hidden=16, batch_size=128, random_state=0).fit(grids[:200])
    >>> bits = prior.bits(grids[200:]) / 64
    >>> bool(bits.mean() < 1.5)  # of 3
    True
    >>> data = prior.encode(grids[200:])
    >>> bool((prior.decode(data) == grids[200:]).all())
    True
    >>> prior.sample(2, (8, 8), random_state=0).shape
    (2, 8, 8)
    """

    _learned = "tables_"
    _kind = "density_estimator"
    tables_: list[tuple[Array, Array, Array]]
    objective_history_: Doubles

    def __init__(
        self,
        n_codewords: int = 512,
        *,
        n_codebooks: int = 1,
        hidden: int = 64,
        epochs: int = 4,
        batch_size: int = 1024,
        learning_rate: float = 3e-3,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_codewords = n_codewords
        self.n_codebooks = n_codebooks
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, tokens: ArrayLike, y: object = None, *, threads: int | None = None) -> Self:
        """Learn the probabilities of tokens.

        Parameters
        ----------
        tokens : array_like of int (n, rows, columns)
            Grids of tokens, at least one; with several codebooks, (n, rows, columns, n_codebooks).
        y : object
            Ignored; present for API consistency.
        threads : int, optional
            Largest number of threads; None means all CPUs of this process. BLAS has its own.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If tokens are not integers, or a parameter has the wrong type.
        ValueError
            If they have another shape, one is too large, there are none, or a parameter is out of range.
        """
        n_codewords, n_codebooks, hidden = self._sizes()
        epochs, batch_size = (
            as_integer(self.epochs, "epochs", 1),
            as_integer(self.batch_size, "batch_size", 1, 1 << 20),
        )
        optimizer = Adam(as_real(self.learning_rate, "learning_rate", above=0))
        check_threads(threads)
        rng = random_generator(self.random_state)
        grids = as_tokens(tokens, n_codewords, n_codebooks)
        if not len(grids):
            raise ValueError("tokens is empty; fit needs at least one grid")
        schedule, history, tables = Cosine(), np.zeros(epochs), []
        with progress(self.verbose, n_codebooks * epochs, "token prior") as step:
            for book in range(n_codebooks):
                contexts, labels = neighbors_of(grids, book, n_codewords)
                network = Network(
                    TokenContexts(n_codewords, hidden), HardTanh(), Dense(n_codewords), random_state=rng
                ).build((contexts.shape[1],))
                n, loss = len(labels), CrossEntropy()
                n_batches = max(1, n // batch_size)
                for epoch in range(epochs):
                    total = 0.0
                    for i, rows in enumerate(np.array_split(rng.permutation(n), n_batches)):
                        done = (epoch + i / n_batches) / epochs
                        value, _ = network.train_step(
                            contexts[rows],
                            labels[rows],
                            loss,
                            optimizer,
                            rate=schedule(done),
                            progress=done,
                            threads=threads,
                        )
                        total += value * len(rows) / n
                    history[epoch] += total / math.log(2) / n_codebooks
                    step(total / math.log(2))
                tables.append(rounded(network))
        self.tables_, self.objective_history_ = tables, history
        return self

    def bits(self, tokens: ArrayLike, *, threads: int | None = None) -> Doubles:
        """Compute the code lengths of grids.

        Parameters
        ----------
        tokens : array_like of int (n, rows, columns)
            Grids of tokens, of any size.
        threads : int, optional
            Ignored but checked; BLAS has its own threads. The result does not depend on them.

        Returns
        -------
        float64 array (n,)
            Minus the binary logarithm of the probability of each grid. A code is about
            one byte longer.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            As `fit`.
        """
        check_fitted(self)
        check_threads(threads)
        _, sizes, totals = self._intervals(self._as_tokens(tokens))
        lengths: Doubles = np.log2(totals / sizes).sum(axis=(1, 2, 3))
        return lengths

    def score(self, tokens: ArrayLike, y: object = None, *, threads: int | None = None) -> float:
        """Return minus the mean bits of a token: larger is better.

        Parameters
        ----------
        tokens : array_like of int (n, rows, columns)
            Grids of tokens, at least one.
        y : object
            Ignored; present for API consistency.
        threads : int, optional
            As in `bits`.

        Returns
        -------
        float
        """
        check_fitted(self)
        grids = self._as_tokens(tokens)
        if not len(grids):
            raise ValueError("tokens is empty; score needs at least one grid")
        return -float(self.bits(tokens, threads=threads).sum()) / grids.size

    def encode(self, tokens: ArrayLike, *, threads: int | None = None) -> bytes:
        """Compress grids.

        Parameters
        ----------
        tokens : array_like of int (n, rows, columns)
            Grids of tokens, of any size.
        threads : int, optional
            Ignored but checked; BLAS has its own threads. The result does not depend on them.

        Returns
        -------
        bytes
            What `decode` takes: 17 or more for all grids together, one or more, and the code, for each.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            As `fit`.
        """
        check_fitted(self)
        check_threads(threads)
        grids = self._as_tokens(tokens)
        codes = self._codes(grids)
        data = b"".join(
            [
                _MAGIC,
                bytes([_VERSION]),
                self.model_id.to_bytes(4, "little"),
                *map(varint, grids.shape),
                *(varint(len(code)) for code in codes),
                *codes,
            ]
        )
        return data + zlib.crc32(data).to_bytes(4, "little")

    def decode(self, data: Any, *, max_tokens: int = 1 << 20, threads: int | None = None) -> UnsignedCodes:
        """Return the grids of these bytes.

        Parameters
        ----------
        data : bytes or uint8 array (n_bytes,)
            What `encode` returned.
        max_tokens : int
            The largest number of tokens that are decoded: a few bytes can stand for any number of them.
        threads : int, optional
            Ignored but checked; BLAS has its own threads. The result does not depend on them.

        Returns
        -------
        uint8 array (n, rows, columns), or uint16 with more than 256 codewords
            With several codebooks, (n, rows, columns, n_codebooks).

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `data` are not bytes.
        ValueError
            If they were not written by `encode`, were cut or altered, were coded by another prior, or hold
            more than `max_tokens`.
        """
        check_fitted(self)
        check_threads(threads)
        most = as_integer(max_tokens, "max_tokens", 1)
        content = as_data(data).tobytes()
        shape, codes = self._parsed(content, most)
        grids = self._grids(shape, codes)
        return grids if self._fitted_sizes()[1] > 1 else grids[..., 0]

    def sample(
        self, n: int, size: tuple[int, int], *, random_state: Any = None, threads: int | None = None
    ) -> UnsignedCodes:
        """Draw grids.

        Parameters
        ----------
        n : int
            Number of grids.
        size : tuple of int
            Their rows and columns.
        random_state : None, int or numpy random generator
            Source of randomness; an integer makes the result repeatable.
        threads : int, optional
            Ignored but checked; BLAS has its own threads.

        Returns
        -------
        uint8 array (n, rows, columns), or uint16 with more than 256 codewords
            With several codebooks, (n, rows, columns, n_codebooks).

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            If an argument has the wrong type, or is out of range.
        """
        check_fitted(self)
        check_threads(threads)
        n = as_integer(n, "n", 0, 1 << 24)
        sides = [as_integer(side, "size", 1, 1 << 14) for side in as_list(size, "size", "two integers")]
        if len(sides) != 2 or n * math.prod(sides) > _MOST_SAMPLED:
            raise ValueError(
                f"size must be (rows, columns), of at most {_MOST_SAMPLED} tokens in all; "
                f"got {n} of {tuple(sides)}"
            )
        rng = random_generator(random_state)

        def draw(which: Ids, ends: Ids) -> Ids:
            del which
            targets = rng.integers(ends[..., -1])
            found: Ids = (ends <= targets[..., None]).sum(axis=2)
            return found

        grids = self._walk((n, sides[0], sides[1], self._fitted_sizes()[1]), draw)
        return grids if self._fitted_sizes()[1] > 1 else grids[..., 0]

    @property
    def model_id(self) -> int:
        """The CRC-32 of the probabilities: equal for priors that code alike."""
        check_fitted(self)
        crc = 0
        for part in (part for tables in self.tables_ for part in tables):
            crc = zlib.crc32(np.ascontiguousarray(part, "<i2").tobytes(), crc)
        return crc

    # --- probabilities -------------------------------------------------------------------------------------

    def _converted(self) -> list[Tables]:
        """Return the tables in the types that `ends_of` computes with."""
        return [
            (embeddings, bias.astype(np.int64), weights.astype(np.float64))
            for embeddings, bias, weights in self.tables_
        ]

    def _intervals(self, grids: Array) -> tuple[Ids, Ids, Ids]:
        """Return the starts, widths and totals of the intervals of all tokens."""
        n_codewords, n_codebooks, _ = self._fitted_sizes()
        tables = self._converted()
        starts, sizes, totals = (np.empty(grids.shape, np.int64) for _ in range(3))
        n_grids = max(1, _TOKENS_PER_BLOCK // math.prod(grids.shape[1:3]))
        for first in range(0, len(grids), n_grids):
            some = slice(first, first + n_grids)
            for book in range(n_codebooks):
                contexts, labels = neighbors_of(grids[some], book, n_codewords)
                ends = np.empty((len(labels), 3), np.int64)
                for row in range(0, len(labels), _TOKENS_PER_BLOCK):
                    rows = slice(row, row + _TOKENS_PER_BLOCK)
                    of_rows, chosen = ends_of(contexts[rows], tables[book]), labels[rows]
                    index = np.arange(len(chosen))
                    ends[rows, 0] = np.where(chosen > 0, of_rows[index, chosen - 1], 0)
                    ends[rows, 1] = of_rows[index, chosen]
                    ends[rows, 2] = of_rows[:, -1]
                shape = grids[some].shape[:3]
                starts[some, ..., book] = ends[:, 0].reshape(shape)
                sizes[some, ..., book] = (ends[:, 1] - ends[:, 0]).reshape(shape)
                totals[some, ..., book] = ends[:, 2].reshape(shape)
        return starts, sizes, totals

    def _codes(self, grids: Array) -> list[bytes]:
        """Return the code of each grid."""
        order = np.concatenate([wave_index(wave, grids.shape) for wave in waves(*grids.shape[1:3])])
        intervals = [part.reshape(len(grids), len(order))[:, order] for part in self._intervals(grids)]
        return [
            encoded(zip(*(part[i].tolist() for part in intervals), strict=True)) for i in range(len(grids))
        ]

    def _grids(self, shape: tuple[int, int, int, int], codes: list[bytes]) -> UnsignedCodes:
        """Return the grids of codes, or raise a ValueError."""
        decoders = [Decoder(code) for code in codes]

        def read(which: Ids, ends: Ids) -> Ids:
            found = np.empty(ends.shape[:2], np.int64)
            for i, of_grid in enumerate(ends):
                decoder = decoders[which[i]]
                for j, row in enumerate(of_grid):
                    token = int(row.searchsorted(decoder.target(int(row[-1])), "right"))
                    start = int(row[token - 1]) if token else 0
                    decoder.take(start, int(row[token]) - start)
                    found[i, j] = token
            return found

        try:
            grids = self._walk(shape, read, lambda i: decoders[i].is_at_zeros)
            for decoder in decoders:
                decoder.finish()
            return grids
        except ValueError as error:
            raise ValueError(f"data were altered: {error}") from None

    def _walk(
        self,
        shape: tuple[int, int, int, int],
        choose: Chooser,
        is_at_zeros: Callable[[int], bool] = lambda i: False,
    ) -> UnsignedCodes:
        """Return grids whose tokens `choose` finds.

        It is given the numbers of some grids, and the ends of the intervals of tokens (n, positions,
        n_codewords) in these grids that do not depend on each other. `is_at_zeros` says whether all other
        tokens of a grid are 0: no intervals are computed for these.
        """
        tables = self._converted()
        n_codewords, n_codebooks, _ = self._fitted_sizes()
        contexts = [np.array(contexts_of(book, n_codebooks)).T for book in range(n_codebooks)]
        n, rows, columns, _ = shape
        grids = np.empty(shape, token_dtype(n_codewords))
        n_grids = max(1, _ENDS_PER_BLOCK // (n_codewords * min(rows, columns)))
        for first in range(0, n, n_grids):
            some = min(n_grids, n - first)
            size = some, rows + TOP, columns + LEFT + RIGHT, n_codebooks
            padded = np.full(size, n_codewords, np.int32)
            inner = padded[:, TOP:, LEFT : LEFT + columns]
            which = np.arange(some)
            for wave in waves(rows, columns):
                which = np.array([i for i in which.tolist() if not is_at_zeros(first + i)], np.int64)
                if not len(which):
                    break
                y, x = wave[:, 0, None] + TOP, wave[:, 1, None] + LEFT
                for book, (dy, dx, others) in enumerate(contexts):
                    neighbors = padded[which[:, None, None], y + dy, x + dx, others]
                    ends = ends_of(neighbors.reshape(-1, len(others)), tables[book])
                    chosen = choose(first + which, ends.reshape(len(which), len(wave), n_codewords))
                    padded[which[:, None], y[:, 0], x[:, 0], book] = chosen
            grids[first : first + some] = np.where(inner == n_codewords, 0, inner)
        return grids

    def _parsed(self, content: bytes, most: int) -> tuple[tuple[int, int, int, int], list[bytes]]:
        """Return the shape and the codes of grids."""
        if len(content) < len(_MAGIC) + 5 or not content.startswith(_MAGIC):
            raise ValueError("data were not written by `TokenPrior.encode`, or were cut")
        if content[4] != _VERSION:
            raise ValueError(f"data have version {content[4]}; this fastcodes reads version {_VERSION}")
        body = content[:-4]
        if zlib.crc32(body).to_bytes(4, "little") != content[-4:]:
            raise ValueError("data were cut or altered, the checksum is wrong")
        if int.from_bytes(body[5:9], "little") != self.model_id:
            raise ValueError("data were coded by another prior; decode them with that one")
        numbers = Numbers(body, 9)
        n, rows, columns, n_codebooks = (numbers.next() for _ in range(4))
        if n_codebooks != self._fitted_sizes()[1] or not rows or not columns:
            raise ValueError(f"data have grids of {rows} x {columns} x {n_codebooks} tokens")
        n_tokens = n * rows * columns * n_codebooks
        if max(n_tokens, rows * columns) > most:
            raise ValueError(f"data have {n_tokens} tokens; expected at most max_tokens={most}")
        ends = np.cumsum([numbers.next() for _ in range(n)], dtype=np.int64) + numbers.position
        if int(ends[-1] if n else numbers.position) != len(body):
            raise ValueError("data have codes of other lengths than they say")
        starts = [numbers.position, *ends[:-1]]
        return (n, rows, columns, n_codebooks), [
            body[start:end] for start, end in zip(starts, ends.tolist(), strict=False)
        ]

    # --- state ---------------------------------------------------------------------------------------------

    def _sizes(self) -> tuple[int, int, int]:
        return (
            as_integer(self.n_codewords, "n_codewords", 2, _MOST_CODEWORDS),
            as_integer(self.n_codebooks, "n_codebooks", 1, 16),
            as_integer(self.hidden, "hidden", 1, 1024),
        )

    def _fitted_sizes(self) -> tuple[int, int, int]:
        """Return the sizes in `fit`, which `set_params` does not change."""
        weights = self.tables_[0][2]
        return weights.shape[1], len(self.tables_), len(weights) - 1

    def _as_tokens(self, tokens: Any) -> Array:
        n_codewords, n_codebooks, _ = self._fitted_sizes()
        return as_tokens(tokens, n_codewords, n_codebooks)

    def __sklearn_tags__(self) -> Any:
        """Return the tags that scikit-learn asks for: grids of tokens, not vectors."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags

    def _to_arrays(self) -> dict[str, Array]:
        sizes = ("n_codewords", "n_codebooks", "hidden")
        check_unchanged(self, dict(zip(sizes, self._fitted_sizes(), strict=True)))
        names = ("embeddings", "bias", "weights")
        tables = {
            f"{book}.{name}": part
            for book, parts in enumerate(self.tables_)
            for name, part in zip(names, parts, strict=True)
        }
        return {**tables, "objective_history": self.objective_history_}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        n_codewords, n_codebooks, hidden = self._sizes()
        tables = []
        for book in range(n_codebooks):
            n_contexts = len(contexts_of(book, n_codebooks))
            tables.append(
                (
                    _files.take(
                        arrays, f"{book}.embeddings", np.int16, (n_contexts, n_codewords + 1, hidden)
                    ),
                    _files.take(arrays, f"{book}.bias", np.int16, (hidden,)),
                    _files.take(arrays, f"{book}.weights", np.int16, (hidden + 1, n_codewords)),
                )
            )
        self.objective_history_ = _files.take(arrays, "objective_history", np.float64, ("epochs",))
        self.tables_ = tables
