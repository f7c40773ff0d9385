"""`VQVAE`: pictures as grids of tokens, by a small autoencoder with a codebook."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files
from fastcodes._estimator import Estimator, check_fitted
from fastcodes._progress import progress
from fastcodes._typing import Array, Codes, Doubles, Floats, UnsignedCodes
from fastcodes._validation import (
    as_bool,
    as_integer,
    as_option,
    as_real,
    check_threads,
    random_generator,
)
from fastcodes.coding._losses import SquaredError
from fastcodes.coding._pictures import decibels
from fastcodes.nn import Adam, Conv2D, Cosine, HardTanh, Network
from fastcodes.tokens._bottlenecks import (
    DISTANCES_PER_BLOCK,
    Bottleneck,
    Codebooks,
    Levels,
    Signs,
    level_bits,
)
from fastcodes.tokens._grids import as_pictures, as_size, as_tokens, check_unchanged, token_dtype
from fastcodes.tokens._product_codes import (
    bytes_of_crosses,
    bytes_of_tokens,
    empty_tables,
    fill,
    fill_digits,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["VQVAE"]

_QUANTIZERS = ("vq", "product", "residual", "fsq", "lfq")
_INITS = ("k-means", "random")
_MOST_CODEWORDS = 1 << 16
_MOST_CODEBOOKS = 16
_MOST_PIXELS = 1 << 28
_TOKENS_PER_BLOCK = 1 << 12
_BOTTLENECK = 3  # the number of that layer
_SIZES = ("patch", "quantizer", "n_codewords", "n_codebooks", "n_dims", "hidden")  # parameters of the network
_CENTER, _SCALE = 127.5, 64.0


class VQVAE(Estimator):
    r"""Turn pictures into grids of tokens and back: an autoencoder whose latent vectors are quantized.

    The encoder is a convolution over overlapping windows, one vector for each patch; the vector is replaced
    by a codeword :math:`e_k`, whose number is the token; the decoder makes a patch of the codewords of a
    token and its eight neighbours. Trained end to end: van den Oord, Vinyals and Kavukcuoglu, *Neural
    discrete representation learning*, NeurIPS 2017. The loss is the mean squared error of the pixels plus
    :math:`\beta \lVert z - e_k \rVert^2` (equation 3); the gradient of the decoder's input is that of the
    encoder's output, straight through; codewords are exponentially weighted means of the vectors that chose
    them (appendix A.1).

    ==========  ==========================================================================================
    quantizer   a token, or the tokens of a patch
    ==========  ==========================================================================================
    "vq"        the nearest of `n_codewords` codewords
    "product"   for each of `n_codebooks` parts of the vector, the nearest of `n_codewords`
    "residual"  `n_codebooks` codewords that are added up, each the nearest to the residual of those before
    "fsq"       a few numbers, each rounded to 2, 4 or 8 levels: no codewords to learn (Mentzer et al., ICLR
                2024)
    "lfq"       the signs of log2(`n_codewords`) numbers (Yu et al., ICLR 2024)
    ==========  ==========================================================================================

    A plain codebook collapses: many codewords are never chosen. The options `init`, `restart`, `normalize`,
    `entropy` and `stochastic` are the usual remedies.

    Parameters
    ----------
    n_codewords : int
        Values of a token, K, from 2 to 65536; a power of two for "fsq" and "lfq".
    patch : int
        Height and width of the patch of a token, in pixels, from 2 to 32.
    quantizer : {"vq", "product", "residual", "fsq", "lfq"}
        See above.
    n_codebooks : int
        Tokens of a patch, from 1 to 16, for "product" and "residual"; the others have one.
    n_dims : int
        Numbers in a latent vector, a multiple of `n_codebooks` for "product". "fsq" and "lfq" determine it.
    hidden : int
        Channels of the hidden layers.
    commitment : float
        The weight :math:`\beta`. "fsq" has no such term.
    decay : float
        How much of its old mean a codeword keeps in a step, from 0 to less than 1. This, `init` and `restart`
        are for "vq", "product" and "residual"; the others have no codewords to learn.
    init : {"k-means", "random"}
        The first codewords: k-means of latent vectors after the encoder was trained for a tenth of the time,
        in which nothing is quantized; or small random numbers.
    restart : bool
        Whether a codeword that is chosen less than a twentieth as often as the mean is replaced by a random
        latent vector (Dhariwal et al., *Jukebox*, 2020, section 3.1).
    normalize : bool
        Whether latent vectors and codewords are divided by their lengths (Yu et al., *Vector-quantized image
        modeling with improved VQGAN*, ICLR 2022, section 3.2), for "vq" and "residual", of which only the
        first codewords are, and the parts of both for "product".
    entropy : float
        The weight in the loss of minus the entropy of the mean soft assignment of a batch, for "vq",
        "product" and "residual"; for "lfq" that of the bits, less their entropy given the picture. Must be 0
        for "fsq".
    stochastic : bool
        Whether training draws codewords with the probabilities of a Gaussian, whose variance is learned and
        falls as vectors approach codewords: after Takida et al., *SQ-VAE*, ICML 2022, with straight-through
        gradients instead of relaxed samples, which need many more steps, and the variance of largest
        likelihood. For "vq", "product" and "residual".
    epochs : int
        Passes over the pictures.
    batch_size : int
        Pictures of a step.
    learning_rate : float
        Initial learning rate of Adam; it falls to 0 along half a cosine.
    random_state : None, int or numpy random generator
        Source of randomness; an integer makes `fit` repeatable.
    verbose : bool
        Whether to show a progress bar; needs the extra ``cli``.

    Attributes
    ----------
    network_ : Network
        The fitted encoder, quantizer and decoder.
    n_channels_ : int
        Channels of a picture.
    objective_history_ : float64 array (epochs,)
        The mean squared error of the training pictures in each epoch, measured during training, in units of
        64**2 squared grey levels.

    See Also
    --------
    TokenPrior : How probable tokens are given their neighbours: fewer bits for them, and samples.
    TokenCodec : Pictures as bytes, by a tokenizer and a prior.

    Notes
    -----
    A grid has ``ceil(height / patch)`` rows and ``ceil(width / patch)`` columns: pictures of any size have
    tokens, whatever the size of those that the network was trained on. Pictures are padded to whole patches
    by repeating their last row and column. Grids of one size are product codes, a part for each place:
    `fastcodes.adc` searches them by the distance of latent vectors, with `tables` and `codes`. At the same
    number of bytes `fastcodes.coding.ImageCodec` has less error on photographs; tokens are for models of
    sequences, recognition and search.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.tokens import VQVAE
    >>> rng = np.random.default_rng(0)
    >>> images = rng.integers(0, 256, (400, 4, 4, 1), dtype=np.uint8).repeat(2, axis=1).repeat(2, axis=2)
    >>> vqvae = VQVAE(16, patch=2, hidden=16, n_dims=4, epochs=2, random_state=0).fit(images)
    >>> tokens = vqvae.encode(images[:3])
    >>> tokens.shape, tokens.dtype, vqvae.decode(tokens).shape
    ((3, 4, 4), dtype('uint8'), (3, 8, 8, 1))
    """

    _learned = "network_"
    _kind = "transformer"
    network_: Network
    n_channels_: int
    objective_history_: Doubles

    def __init__(
        self,
        n_codewords: int = 512,
        *,
        patch: int = 4,
        quantizer: str = "vq",
        n_codebooks: int = 1,
        n_dims: int = 16,
        hidden: int = 128,
        commitment: float = 0.25,
        decay: float = 0.99,
        init: str = "k-means",
        restart: bool = True,
        normalize: bool = False,
        entropy: float = 0.0,
        stochastic: bool = False,
        epochs: int = 10,
        batch_size: int = 32,
        learning_rate: float = 5e-3,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_codewords = n_codewords
        self.patch = patch
        self.quantizer = quantizer
        self.n_codebooks = n_codebooks
        self.n_dims = n_dims
        self.hidden = hidden
        self.commitment = commitment
        self.decay = decay
        self.init = init
        self.restart = restart
        self.normalize = normalize
        self.entropy = entropy
        self.stochastic = stochastic
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.verbose = verbose

    # --- training ------------------------------------------------------------------------------------------

    def fit(self, images: ArrayLike, y: object = None, *, threads: int | None = None) -> Self:
        """Train the encoder, the codewords and the decoder.

        Parameters
        ----------
        images : array_like of uint8 (n, height, width, channels)
            Pictures of one size, with 1 or 3 channels; sides are multiples of `patch`, up to 256.
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
            If `images` are not uint8, or a parameter has the wrong type.
        ValueError
            If they have another shape, there are none, or a parameter is out of range.
        """
        epochs, batch_size = (
            as_integer(self.epochs, "epochs", 1),
            as_integer(self.batch_size, "batch_size", 1, 1 << 16),
        )
        optimizer = Adam(as_real(self.learning_rate, "learning_rate", above=0))
        check_threads(threads)
        patch = self._given_patch()
        pictures = as_pictures(images)
        n, height, width, channels = pictures.shape
        if not n:
            raise ValueError("images is empty; fit needs at least one picture")
        if height % patch or width % patch or max(height, width) > 256:
            raise ValueError(
                f"images must have sides that are multiples of patch={patch}, up to 256; got shape "
                f"{pictures.shape}: crop them, for example to squares of {16 * patch}"
            )
        rng = random_generator(self.random_state)
        network = self._network((height, width, channels), rng)
        schedule, loss = Cosine(), SquaredError()
        n_batches = max(1, n // batch_size)
        history = np.zeros(epochs)
        with progress(self.verbose, epochs, "VQ-VAE") as step:
            for epoch in range(epochs):
                for i, rows in enumerate(np.array_split(rng.permutation(n), n_batches)):
                    done = (epoch + i / n_batches) / epochs
                    x = _scaled(pictures[rows], np.float32)
                    error, _ = network.train_step(
                        x,
                        _patches(x, patch),
                        loss,
                        optimizer,
                        rate=schedule(done),
                        progress=done,
                        threads=threads,
                    )
                    history[epoch] += error * len(rows) / n
                step(history[epoch])
        bottleneck = network.layers[_BOTTLENECK]
        if isinstance(bottleneck, Codebooks):
            x = _scaled(pictures[:batch_size], np.float32)
            for layer in network.layers[:_BOTTLENECK]:
                x = layer.forward(x)
            bottleneck.finish(x)
        self._learn(network, history)
        return self

    def _learn(self, network: Network, history: Doubles) -> None:
        self.network_, self.objective_history_ = network, history
        height, width, self.n_channels_ = network.input_shape_
        self.n_features_in_ = height * width * self.n_channels_
        self._fitted = {name: getattr(self, name) for name in _SIZES}

    def _given_patch(self) -> int:
        return as_integer(self.patch, "patch", 2, 32)

    def _network(self, shape: tuple[int, ...], rng: np.random.Generator) -> Network:
        """Return a new network for pictures of a shape."""
        patch, hidden = self._given_patch(), as_integer(self.hidden, "hidden", 1, 1 << 12)
        bottleneck, n_dims = self._bottleneck_and_dims()
        margin = patch // 2
        return Network(
            Conv2D(hidden, patch + 2 * margin, stride=patch, padding=margin),
            HardTanh(),
            Conv2D(n_dims, 1),
            bottleneck,
            Conv2D(hidden, 3, padding=1),
            HardTanh(),
            Conv2D(patch * patch * shape[2], 1),
            random_state=rng,
        ).build(shape)

    def _bottleneck_and_dims(self) -> tuple[Bottleneck, int]:
        kind = as_option(self.quantizer, "quantizer", _QUANTIZERS)
        n_codewords = as_integer(self.n_codewords, "n_codewords", 2, _MOST_CODEWORDS)
        n_codebooks = as_integer(self.n_codebooks, "n_codebooks", 1, _MOST_CODEBOOKS)
        n_dims = as_integer(self.n_dims, "n_dims", 1, 1 << 10)
        commitment = as_real(self.commitment, "commitment", at_least=0)
        entropy = as_real(self.entropy, "entropy", at_least=0)
        options: dict[str, Any] = {
            "decay": as_real(self.decay, "decay", at_least=0, below=1),
            "init": as_option(self.init, "init", _INITS),
            "restart": as_bool(self.restart, "restart"),
            "normalize": as_bool(self.normalize, "normalize"),
            "stochastic": as_bool(self.stochastic, "stochastic"),
        }
        if n_codebooks > 1 and kind not in ("product", "residual"):
            raise ValueError(
                f'n_codebooks={n_codebooks} needs quantizer="product" or "residual"; got "{kind}"'
            )
        if kind in ("fsq", "lfq"):
            for name in ("normalize", "stochastic"):
                if options[name]:
                    raise ValueError(
                        f'{name}=True needs quantizer="vq", "product" or "residual"; got "{kind}"'
                    )
            if kind == "fsq" and entropy:
                raise ValueError(f'entropy must be 0 for "fsq"; got {entropy}')
            if n_codewords & (n_codewords - 1):
                raise ValueError(f'n_codewords must be a power of two for "{kind}"; got {n_codewords}')
            if kind == "fsq":
                return Levels(n_codewords), len(level_bits(n_codewords))
            return Signs(n_codewords, commitment, entropy=entropy), n_codewords.bit_length() - 1
        if kind == "product" and n_dims % n_codebooks:
            raise ValueError(f"n_dims must be a multiple of n_codebooks={n_codebooks}; got {n_dims}")
        if n_codebooks > 1 and n_codewords > 256:
            raise ValueError(f"n_codewords must be at most 256 with several codebooks; got {n_codewords}")
        layer = Codebooks(
            n_codewords, commitment, n_codebooks=n_codebooks, kind=kind, entropy=entropy, **options
        )
        return layer, n_dims

    # --- use -----------------------------------------------------------------------------------------------

    def encode(self, images: ArrayLike, *, threads: int | None = None) -> UnsignedCodes:
        """Return the tokens of pictures.

        Parameters
        ----------
        images : array_like of uint8 (n, height, width, channels)
            Pictures of any size, with the channels of those in `fit`.
        threads : int, optional
            Ignored but checked; BLAS has its own threads. The result does not depend on them.

        Returns
        -------
        uint8 array (n, rows, columns), or uint16 with more than 256 codewords
            ``tokens[i, y, x]`` is the token of the patch that begins at pixel ``[patch * y, patch * x]``.
            With several codebooks, (n, rows, columns, n_codebooks).

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `images` are not uint8.
        ValueError
            If they have another shape.
        """
        check_fitted(self)
        check_threads(threads)
        pictures = as_pictures(images, self.n_channels_)
        bottleneck, shape = self._bottleneck, self._grid_of(pictures)
        tokens = np.empty((*shape, bottleneck.n_codebooks), token_dtype(bottleneck.n_codewords))
        for some, lines in _blocks(*shape):
            vectors = self._vectors(pictures[some], lines)
            found = bottleneck.tokens(vectors.reshape(-1, vectors.shape[-1]))
            tokens[some, lines] = found.reshape(*vectors.shape[:3], -1)
        return tokens if bottleneck.n_codebooks > 1 else tokens[..., 0]

    def _grid_of(self, pictures: Codes) -> tuple[int, int, int]:
        """Return the number of pictures, and the rows and columns of their grids."""
        n, height, width, _ = pictures.shape
        return n, -(-height // self._patch), -(-width // self._patch)

    def _vectors(self, pictures: Codes, lines: slice) -> Doubles:
        """Return what the encoder makes of some rows of patches (n, rows, columns, n_dims)."""
        patch, (_, rows, columns) = self._patch, self._grid_of(pictures)
        margin = patch // 2
        window, project = self.network_.layers[0], self.network_.layers[2]
        first, last = lines.start * patch - margin, lines.stop * patch + margin
        x = _strip(pictures, first, last, margin, (rows * patch, columns * patch))
        hidden = np.clip(_convolved(x, window, patch), -1, 1)
        return _convolved(hidden, project, 1)

    def decode(
        self, tokens: ArrayLike, *, size: tuple[int, int] | None = None, threads: int | None = None
    ) -> Codes:
        """Return the pictures of tokens.

        Parameters
        ----------
        tokens : array_like of int (n, rows, columns)
            Tokens; with several codebooks, (n, rows, columns, n_codebooks).
        size : tuple of int, optional
            Height and width of the pictures, which must have such a grid; None means whole patches.
        threads : int, optional
            Ignored but checked; BLAS has its own threads. The result does not depend on them.

        Returns
        -------
        uint8 array (n, height, width, channels)

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If tokens are not integers.
        ValueError
            If they have another shape, one is not below `n_codewords`, or `size` has another grid.
        """
        check_fitted(self)
        check_threads(threads)
        patch, bottleneck = self._patch, self._bottleneck
        grid = as_tokens(tokens, bottleneck.n_codewords, bottleneck.n_codebooks)
        n, rows, columns, _ = grid.shape
        height, width = as_size(size, rows, columns, patch)
        if height * width > _MOST_PIXELS:
            raise ValueError(f"tokens are of {height} x {width} pixels; expected at most {_MOST_PIXELS}")
        channels = self.n_channels_
        pictures = np.empty((n, rows * patch, columns * patch, channels), np.uint8)
        neighbors, project = self.network_.layers[4], self.network_.layers[6]
        for some, lines in _blocks(n, rows, columns):
            first, last = max(lines.start - 1, 0), min(lines.stop + 1, rows)
            part = grid[some, first:last]
            vectors = bottleneck.vectors(part.reshape(-1, bottleneck.n_codebooks).astype(np.int64))
            vectors = vectors.reshape(*part.shape[:3], -1)
            outside = (first - lines.start + 1, lines.stop + 1 - last)
            x = np.pad(vectors, ((0, 0), outside, (1, 1), (0, 0)))
            hidden = np.clip(_convolved(x, neighbors, 1), -1, 1)
            patches = _convolved(hidden, project, 1)
            block = patches.reshape(*patches.shape[:3], patch, patch, channels).swapaxes(2, 3)
            pixels = block.reshape(len(part), -1, columns * patch, channels) * _SCALE + _CENTER
            pictures[some, lines.start * patch : lines.stop * patch] = np.clip(np.rint(pixels), 0, 255)
        return np.ascontiguousarray(pictures[:, :height, :width])

    # --- search --------------------------------------------------------------------------------------------

    def codes(self, tokens: ArrayLike) -> Codes:
        """Return grids as rows of bytes, which `fastcodes.adc` searches by `tables` or `token_tables`.

        Parameters
        ----------
        tokens : array_like of int (n, rows, columns)
            Tokens; with several codebooks, (n, rows, columns, n_codebooks).

        Returns
        -------
        uint8 array (n, n_bytes)
            A byte for each token of up to 256 codewords, ``tokens.reshape(n, -1)``. For one of more learned
            codewords ceil(`n_codewords` / 255) bytes, all but one of which say that the token is another's: 3
            of 512 codewords, but 258 of 65536. For one of "fsq" and "lfq" a byte for as many consecutive
            numbers as have up to 256 values: 2 of 512, 3 and 2 of 65536. "residual" with several codebooks
            has 4 bytes more for each grid, or as many digits as hold 32 bits if there are fewer than 256
            codewords: the sum, over places, of the inner products of the codewords that are added up.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            As `decode`.

        See Also
        --------
        token_bits : Grids as sets of tokens, which are compared by their overlap.
        """
        check_fitted(self)
        bottleneck = self._bottleneck
        grids = as_tokens(tokens, bottleneck.n_codewords, bottleneck.n_codebooks)
        codes = bytes_of_tokens(bottleneck.parts(grids), bottleneck.n_values)
        largest = self._largest_cross(grids.shape)
        return codes if largest is None else np.hstack([codes, self._digits(grids, largest)])

    def _largest_cross(self, shape: tuple[int, ...]) -> float | None:
        """Return the bound of a grid of this shape."""
        largest = self._bottleneck.largest_cross
        return None if largest is None else largest * math.prod(shape[1:3])

    def _digits(self, grids: Array, largest: float) -> Codes:
        """Return the digits of the sums of crosses of grids (n, rows, columns, n_codebooks)."""
        bottleneck, sums = self._bottleneck, np.zeros(len(grids))
        for some, lines in _blocks(*grids.shape[:3]):
            part = grids[some, lines]
            crosses = bottleneck.crosses(part.reshape(-1, bottleneck.n_codebooks).astype(np.int64))
            sums[some] += crosses.reshape(len(part), -1).sum(axis=1)
        return bytes_of_crosses(sums, largest, bottleneck.n_codewords)

    def tables(self, images: ArrayLike, *, threads: int | None = None) -> Floats:
        """Return the look-up tables of pictures, by which `codes` are searched: see `fastcodes.adc`.

        Parameters
        ----------
        images : array_like of uint8 (nq, height, width, channels)
            Pictures with grids of the size of those that are searched.
        threads : int, optional
            Ignored but checked; BLAS has its own threads.

        Returns
        -------
        float32 array (nq, n_bytes, min(`n_codewords`, 256))
            Their sum over the bytes of a code is the squared L2 distance between the latent vectors of the
            query, before they are quantized, and the codewords of the grid, of all places together. Latent
            vectors are those that the quantizer compares or rounds: with `normalize` divided by their
            lengths, or their parts by those of the parts for "product"; for "fsq" bounded, and scaled as
            levels are, which lie between -1 and 1; for "lfq" as the encoder makes them, without bounds, while
            codewords are of -1 and 1. Parts of "product" lie side by side, so their squared distances add up.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `images` are not uint8.
        ValueError
            If they have another shape, or tables of more than 2**26 numbers for each or 2**30 together.

        Notes
        -----
        Tables have 1024 bytes for each byte of a code: search some queries at a time.

        Asymmetric distances, after Jégou, Douze and Schmid, *Product quantization for nearest neighbor
        search*, IEEE TPAMI 33, 2011, with the places of a grid as parts of a vector.

        Entries and sums are rounded as float32: the error of a distance is at most m * 2**-24 times the sum
        of its absolute entries, m being the number of those other than 0. The entries of "residual" with
        several codebooks may be negative, but those of the tokens of the query are 0, apart from its own
        error; its inner products are rounded to multiples of 2**-32 of their range in a grid.

        Examples
        --------
        >>> import numpy as np
        >>> from fastcodes import adc
        >>> from fastcodes.tokens import VQVAE
        >>> images = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
        >>> vqvae = VQVAE(16, hidden=16, n_dims=4, epochs=2, random_state=0).fit(images)
        >>> codes = vqvae.codes(vqvae.encode(images))
        >>> distances, indices = adc.knn(vqvae.tables(images[:5]), codes, k=3)
        >>> indices.shape, codes.shape
        ((5, 3), (100, 4))
        """
        check_fitted(self)
        check_threads(threads)
        pictures = as_pictures(images, self.n_channels_)
        bottleneck, shape = self._bottleneck, self._grid_of(pictures)

        def latents(some: slice, lines: slice) -> Doubles:
            vectors = self._vectors(pictures[some], lines)
            return bottleneck.latents(vectors.reshape(-1, vectors.shape[-1]))

        return self._tables(shape, latents, lambda: self.encode(pictures))

    def token_tables(self, tokens: ArrayLike, *, threads: int | None = None) -> Floats:
        """Return the look-up tables of grids, by which `codes` are searched without pictures.

        Parameters
        ----------
        tokens : array_like of int (nq, rows, columns)
            Grids of the size of those that are searched; with several codebooks, (nq, rows, columns,
            n_codebooks).
        threads : int, optional
            Ignored but checked; BLAS has its own threads.

        Returns
        -------
        float32 array (nq, n_bytes, min(`n_codewords`, 256))
            Their sum over the bytes of a code is the squared L2 distance between the codewords of two grids
            (symmetric distances).

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError, ValueError
            As `decode`; or if tables have more than 2**26 numbers for a grid or 2**30 together.
        """
        check_fitted(self)
        check_threads(threads)
        bottleneck = self._bottleneck
        grids = as_tokens(tokens, bottleneck.n_codewords, bottleneck.n_codebooks)

        def latents(some: slice, lines: slice) -> Doubles:
            part = grids[some, lines].reshape(-1, bottleneck.n_codebooks)
            return bottleneck.vectors(part.astype(np.int64))

        return self._tables((len(grids), *grids.shape[1:3]), latents, lambda: grids)

    def _tables(
        self,
        shape: tuple[int, int, int],
        latents: Callable[[slice, slice], Doubles],
        tokens: Callable[[], Array],
    ) -> Floats:
        """Return the tables of grids (n, rows, columns) of latent vectors, which are given in blocks.

        Where codewords are added up, the tokens of the vectors are asked for, too.
        """
        bottleneck, (n, rows, columns) = self._bottleneck, shape
        n_values, n_codebooks = bottleneck.n_values, bottleneck.n_codebooks
        n_parts = bottleneck.parts(np.zeros(n_codebooks, np.int64)).size
        largest = self._largest_cross(shape)
        tables, by_token = empty_tables(n, (rows, columns, n_parts), n_values, largest)
        own = None if largest is None else tokens()
        most = min(_TOKENS_PER_BLOCK, DISTANCES_PER_BLOCK // (n_parts * n_values))
        for some, lines in _blocks(n, rows, columns, most):
            part = by_token[some, lines]
            chosen = None if own is None else own[some, lines].reshape(-1, n_codebooks).astype(np.int64)
            # Without a name, so that nothing is left of it while the next block is computed.
            fill(part, bottleneck.squares(latents(some, lines), chosen).reshape(*part.shape[:4], n_values))
        if own is not None and largest is not None:
            fill_digits(tables, self._digits(own, largest), largest, n_values)
        return tables

    # --- as an estimator -----------------------------------------------------------------------------------

    def transform(self, images: ArrayLike, *, threads: int | None = None) -> UnsignedCodes:
        """Return the tokens of pictures as rows (n, n_tokens)."""
        tokens = self.encode(images, threads=threads)
        return tokens.reshape(len(tokens), math.prod(tokens.shape[1:]))

    def fit_transform(self, images: ArrayLike, y: object = None, *, threads: int | None = None) -> Any:
        """Return ``fit(images).transform(images)``."""
        return self.fit(images, threads=threads).transform(images, threads=threads)

    def score(self, images: ArrayLike, y: object = None, *, threads: int | None = None) -> float:
        """Return the mean peak signal-to-noise ratio of decoded pictures, in decibels.

        Parameters
        ----------
        images : array_like of uint8 (n, height, width, channels)
            Pictures, at least one.
        y : object
            Ignored; present for API consistency.
        threads : int, optional
            As in `encode`.

        Returns
        -------
        float
            The mean over pictures of ``10 * log10(255**2 / mse)``, larger is better; a picture without error
            counts as one with an error of 1 in one number.
        """
        check_fitted(self)
        pictures = as_pictures(images, self.n_channels_)
        if not pictures.size:
            raise ValueError("images is empty; score needs at least one picture")
        decoded = self.decode(self.encode(pictures), size=pictures.shape[1:3], threads=threads)
        return float(decibels(decoded, pictures).mean())

    @property
    def bits_per_pixel_(self) -> float:
        """Bits of the tokens of a pixel, without a prior: ``n_codebooks * log2(n_codewords) / patch**2``."""
        check_fitted(self)
        bottleneck = self._bottleneck
        return bottleneck.n_codebooks * math.log2(bottleneck.n_codewords) / self._patch**2

    @property
    def _patch(self) -> int:
        return cast("Conv2D", self.network_.layers[0]).stride

    @property
    def _bottleneck(self) -> Bottleneck:
        return cast("Bottleneck", self.network_.layers[_BOTTLENECK])

    # --- state ---------------------------------------------------------------------------------------------

    def __sklearn_tags__(self) -> Any:
        """Return the tags that scikit-learn asks for: pictures, not vectors."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags

    def _to_arrays(self) -> dict[str, Array]:
        check_unchanged(self, self._fitted)
        shape = np.array(self.network_.input_shape_)
        return {
            **self.network_.get_weights(),
            "shape": shape,
            "objective_history": self.objective_history_,
        }

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        patch, hidden = self._given_patch(), as_integer(self.hidden, "hidden", 1, 1 << 12)
        height, width, channels = map(int, _files.take(arrays, "shape", np.int64, (3,)))
        if channels not in (1, 3) or not all(
            0 < side <= 256 and side % patch == 0 for side in (height, width)
        ):
            raise ValueError(f"shape is {(height, width, channels)}, which is not that of training pictures")
        bottleneck, n_dims = self._bottleneck_and_dims()
        # Before anything of these sizes is made.
        side = patch + 2 * (patch // 2)
        _files.take(arrays, "0.weights", np.float32, (side, side, channels, hidden))
        _files.take(arrays, "2.weights", np.float32, (1, 1, hidden, n_dims))
        _files.take(arrays, "4.weights", np.float32, (3, 3, n_dims, hidden))
        _files.take(arrays, "6.weights", np.float32, (1, 1, hidden, patch * patch * channels))
        if isinstance(bottleneck, Codebooks):
            part = n_dims // bottleneck.n_codebooks if self.quantizer == "product" else n_dims
            size = bottleneck.n_codebooks, bottleneck.n_codewords, part
            _files.take(arrays, "3.codewords", np.float32, size)
        history = _files.take(arrays, "objective_history", np.float64, ("epochs",))
        network = self._network((height, width, channels), np.random.default_rng(0))
        self._learn(network.set_weights(arrays), history)


def _blocks(n: int, rows: int, columns: int, most: int = _TOKENS_PER_BLOCK) -> Iterator[tuple[slice, slice]]:
    """Yield blocks of at most `most` tokens, or one row: which pictures, and which rows of their grids."""
    n_lines = max(1, most // columns)
    n_pictures = max(1, n_lines // rows)
    for i in range(0, n, n_pictures):
        for y in range(0, rows, n_lines):
            yield slice(i, min(i + n_pictures, n)), slice(y, min(y + n_lines, rows))


def _scaled(pictures: Codes, dtype: Any) -> Array:
    x: Array = pictures.astype(dtype)
    x -= dtype(_CENTER)
    x /= dtype(_SCALE)
    return x


def _patches(x: Floats, patch: int) -> Floats:
    """Return pictures as patches (n, rows, columns, patch * patch * channels)."""
    n, height, width, channels = x.shape
    rows, columns = height // patch, width // patch
    parts = x.reshape(n, rows, patch, columns, patch, channels).swapaxes(2, 3)
    patches: Floats = np.ascontiguousarray(parts).reshape(n, rows, columns, -1)
    return patches


def _strip(pictures: Codes, first: int, last: int, margin: int, size: tuple[int, int]) -> Doubles:
    """Return scaled rows of pixels with zeros around them.

    Pictures are extended to `size` by their last row and column; what is outside of that is zero.
    """
    _, height, width, _ = pictures.shape
    top, bottom = max(first, 0), min(last, size[0])
    lines = np.minimum(np.arange(top, bottom), height - 1)
    columns = np.minimum(np.arange(size[1]), width - 1)
    # In float64: in float32, BLAS rounds differently for other numbers of rows.
    x = _scaled(pictures[:, lines][:, :, columns], np.float64)
    strip: Doubles = np.pad(x, ((0, 0), (top - first, last - bottom), (margin, margin), (0, 0)))
    return strip


def _convolved(x: Doubles, layer: Any, stride: int) -> Doubles:
    """Return the convolution of pictures that are already padded."""
    weights, bias = (layer.parameters[name].value.astype(np.float64) for name in ("weights", "bias"))
    height, width, _, filters = weights.shape
    windows = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(1, 2))
    windows = windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
    n, rows, columns = windows.shape[:3]
    products = windows.reshape(n * rows * columns, -1) @ weights.reshape(-1, filters)
    products += bias
    outputs: Doubles = products.reshape(n, rows, columns, filters)
    return outputs
