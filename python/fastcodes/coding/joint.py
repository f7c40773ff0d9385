"""`JointCodec`: one code for a picture and its features, to decode and to search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes._codec import Codec
from fastcodes._estimator import check_fitted
from fastcodes._storage import Storage, TableStorage
from fastcodes._typing import Array, Codes, Floats, UnsignedCodes
from fastcodes._validation import as_array, as_codes, as_option, as_real, check_threads, describe
from fastcodes.coding.thumbnail import ThumbnailCodec
from fastcodes.hashing import DeepHashing
from fastcodes.hashing.base import Hasher

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["JointCodec"]

# How many bits of two bytes differ, for all pairs.
_DIFFERING = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
_DIFFERING = (_DIFFERING[:, None] != _DIFFERING).sum(axis=2).astype(np.float32)


class JointCodec(Codec):
    """One code for a picture and its features: the bytes of a thumbnail, then those of a hash function.

    ::

        code      0 ...                  64 ...                                575
                  thumbnail, 64 bytes    features, 4096 bits = 512 bytes

    So a database row shows what it is and is found by what it means (as in Mao et al., 2018, who store 576
    bytes for a picture of 32 x 32 pixels). Both parts are exactly those that the two models make, whatever
    the other part is.

    Parameters
    ----------
    thumbnails : ThumbnailCodec
        Makes the first bytes. Distances of pictures need the layout "searchable".
    hasher : model of fastcodes.hashing
        Makes the other ones from feature vectors.
    weight : float
        What a differing bit of the features counts in the "joint" distance.

    Attributes
    ----------
    n_bytes : int
        Bytes of a code.

    Notes
    -----
    Indexes search codes by these distances between a query, a picture with its features, and a code:

    ==========  =========================================================================================
    metric      distance
    ==========  =========================================================================================
    "joint"     mean squared error of the numbers of the decoded picture (before rounding) to those of the
                query, plus `weight` times the bits of the features that differ
    "l2"        that mean squared error alone
    "hamming"   the bits of the features that differ, alone
    ==========  =========================================================================================

    Each is a sum over the bytes of a code, so that a search by `tables` is exact. For "hamming" alone, over
    codes in an array, ``fastcodes.hamming.knn(query, codec.features(codes), k)`` is faster. With a dense
    thumbnail codec there is only "hamming".

    See Also
    --------
    fastcodes.hashing.DeepHashing : Hash functions that learn from groups.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.coding import JointCodec, ThumbnailCodec
    >>> from fastcodes.hashing import RandomHyperplanes
    >>> from fastcodes.index import FlatIndex
    >>> rng = np.random.default_rng(0)
    >>> images, features = rng.integers(0, 256, (300, 8, 8, 3)).astype(np.uint8), rng.normal(size=(300, 16))
    >>> thumbnails = ThumbnailCodec(8, shape=(8, 8, 3), layout="searchable", random_state=0)
    >>> codec = JointCodec(thumbnails, RandomHyperplanes(64, random_state=0)).fit(images, features)
    >>> codes = codec.encode(images, features)
    >>> codes.shape, codec.picture(codes).shape, codec.features(codes).shape
    ((300, 16), (300, 8), (300, 8))
    >>> index = FlatIndex(codec, metric="joint")
    >>> index.add_codes(codes)
    >>> index.search((images[:2], features[:2]), k=1)[1].ravel().tolist()
    [0, 1]
    """

    encodes_vectors = False

    def __init__(self, thumbnails: ThumbnailCodec, hasher: Hasher, *, weight: float = 1.0) -> None:
        self.thumbnails = thumbnails
        self.hasher = hasher
        self.weight = weight

    def fit(self, images: Any, features: Any = None, *, threads: int | None = None) -> Self:
        """Fit the models that are not fitted.

        Parameters
        ----------
        images : array_like of uint8 (n, height, width, channels)
            Pictures; or a tuple of them and their features.
        features : array_like (n, d)
            Their features; ignored if `images` is a tuple, as targets of a pipeline are.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            As the `fit` of the models; or if the models are none.
        """
        self._check()
        check_threads(threads)
        images, features = _pair(images, features)
        _check_numbers(images, features)
        if not self.thumbnails.__sklearn_is_fitted__():
            self.thumbnails.fit(images, threads=threads)
        if not self.hasher.__sklearn_is_fitted__():
            self.hasher.fit(features, threads=threads)
        return self

    def encode(self, images: Any, features: Any = None, *, threads: int | None = None) -> Codes:
        """Return the codes of pictures and their features.

        Parameters
        ----------
        images : array_like of uint8 (n, height, width, channels)
            Pictures; or a tuple of them and their features.
        features : array_like (n, d)
            The features of each; ignored if `images` is a tuple.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        uint8 array (n, n_bytes)

        Raises
        ------
        NotFittedError
            If a model is not fitted.
        TypeError, ValueError
            As the `encode` of the models; or if there are not as many pictures as features.
        """
        check_fitted(self)
        images, features = _pair(images, features)
        _check_numbers(images, features)
        pictures = self.thumbnails.encode(images, threads=threads)
        others = self.hasher.encode(features, threads=threads)
        return np.hstack([pictures, others])

    def picture(self, codes: Codes) -> Codes:
        """Return the part of the thumbnail, uint8 (n, thumbnails.n_bytes), a view: the first columns."""
        return self.as_codes(codes)[:, : self.thumbnails.n_bytes]

    def features(self, codes: Codes) -> Codes:
        """Return the part of the features, uint8 (n, n_bytes - thumbnails.n_bytes), a view: the others."""
        return self.as_codes(codes)[:, self.thumbnails.n_bytes :]

    def decode(self, codes: Codes, *, threads: int | None = None) -> Codes:
        """Return the pictures uint8 (n, height, width, channels) of codes.

        Parameters
        ----------
        codes : uint8 array (n, n_bytes)
            Codes of this model.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        uint8 array (n, height, width, channels)

        Raises
        ------
        NotFittedError
            If a model is not fitted.
        TypeError, ValueError
            As `ThumbnailCodec.decode`.
        """
        return self.thumbnails.decode(self.picture(codes), threads=threads)

    def fine_tuned(
        self,
        features: ArrayLike,
        groups: ArrayLike,
        *,
        epochs: int = 20,
        learning_rate: float = 1e-3,
        random_state: Any = 0,
        threads: int | None = None,
    ) -> Self:
        """Return a codec whose feature bits are trained on triplets; pictures have the same bytes.

        The hash function becomes a linear `DeepHashing` of as many bits, with the triplet loss: samples of a
        group get nearer to each other than to others.

        Parameters
        ----------
        features : array_like (n, d)
            Features.
        groups : array_like of int (n,)
            The group of each, such as the number of the object that several pictures show.
        epochs : int
            Passes over the features.
        learning_rate : float
            Initial learning rate of Adam.
        random_state : None, int or numpy random generator
            Source of randomness; an integer makes the training repeatable.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        JointCodec
            With the same `thumbnails`.

        Raises
        ------
        NotFittedError
            If a model is not fitted.
        TypeError, ValueError
            As ``DeepHashing(loss="triplet").fit(features, groups)``.
        """
        check_fitted(self)
        labels, n = np.asarray(groups), len(np.asarray(features))
        if labels.shape != (n,):
            raise ValueError(
                f"groups have shape {labels.shape}; expected one for each of {n} rows of features"
            )
        tuned = DeepHashing(
            self.hasher.code_bits,
            hidden=(),
            loss="triplet",
            epochs=epochs,
            learning_rate=learning_rate,
            random_state=random_state,
        )
        tuned.fit(features, labels, threads=threads)
        return type(self)(self.thumbnails, tuned, weight=self.weight)

    # --- search --------------------------------------------------------------------------------------------

    @property
    def metrics(self) -> tuple[str, ...]:
        """The distances by which codes can be searched, the default first."""
        return ("joint", "l2", "hamming") if self.thumbnails.layout == "searchable" else ("hamming",)

    def tables(self, queries: Any, *, metric: str | None = None, threads: int | None = None) -> Floats:
        """Return the look-up tables of queries, whose sums over the bytes of a code are distances.

        Parameters
        ----------
        queries : tuple of array_like
            Pictures (nq, height, width, channels), and their features (nq, d).
        metric : str, optional
            One of `metrics`, by default the first.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        float32 array (nq, n_bytes, 256)
            For `fastcodes.adc`.

        Raises
        ------
        NotFittedError
            If a model is not fitted.
        TypeError, ValueError
            As `encode`; or if `metric` is unknown.
        """
        self._check()
        metric = self.metrics[0] if metric is None else metric
        return self.operand(self.as_queries(queries, threads=threads), metric, threads=threads)

    def as_queries(self, queries: Any, *, threads: int | None = None) -> Array:
        """Return a row for each query: its picture, then the code of its features, all uint8."""
        check_fitted(self)
        images, features = _pair(queries, None, "queries")
        pictures = self.thumbnails.as_queries(images)
        rows = np.atleast_2d(features) if np.ndim(features) < 2 else features
        codes = self.hasher.encode(rows, threads=threads)
        if len(pictures) != len(codes):
            raise ValueError(f"queries have {len(pictures)} pictures but {len(codes)} rows of features")
        return np.hstack([pictures.reshape(len(pictures), -1), codes])

    def operand(self, queries: Array, metric: str, *, threads: int | None = None) -> Floats:
        """Return the `tables` of rows of ``as_queries(queries)``."""
        check_threads(threads)
        as_option(metric, "metric", self.metrics)
        weight = as_real(self.weight, "weight", at_least=0)
        n_pixels, first = self.thumbnails.n_features_in_, self.thumbnails.n_bytes
        tables = np.zeros((len(queries), self.n_bytes, 256), np.float32)
        if metric != "hamming":
            pictures = queries[:, :n_pixels].reshape(-1, *self.thumbnails.shape)
            tables[:, :first] = self.thumbnails.operand(pictures, "l2", threads=threads)
            tables[:, :first] /= n_pixels
        if metric != "l2":
            tables[:, first:] = _DIFFERING[queries[:, n_pixels:]]
            if metric == "joint":
                tables[:, first:] *= np.float32(weight)
        return tables

    def as_codes(self, codes: ArrayLike) -> UnsignedCodes:
        """Validate codes: raise an error if `encode` cannot have made them."""
        check_fitted(self)
        checked = as_codes(codes, self.n_bytes, 256, np.uint8)
        self.hasher.as_codes(checked[:, self.thumbnails.n_bytes :])
        return checked

    def storage(self, metric: str) -> Storage:
        """Return an empty storage for codes of this model, which is searched by `tables`."""
        as_option(metric, "metric", self.metrics)
        return TableStorage(self.n_bytes, 256)

    # --- state ---------------------------------------------------------------------------------------------

    @property
    def n_bytes(self) -> int:
        """Bytes of a code."""
        check_fitted(self)
        return self.thumbnails.n_bytes + (self.hasher.code_bits + 7) // 8

    @property
    def _n_outputs(self) -> int:
        return self.n_bytes

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether both models are fitted, for scikit-learn."""
        self._check()
        return self.thumbnails.__sklearn_is_fitted__() and self.hasher.__sklearn_is_fitted__()

    def __sklearn_tags__(self) -> Any:
        """Return the tags that scikit-learn asks for: pairs, not vectors."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags

    def _check(self) -> None:
        if not isinstance(self.thumbnails, ThumbnailCodec):
            raise TypeError(f"thumbnails must be a ThumbnailCodec; got {describe(self.thumbnails)}")
        if not isinstance(self.hasher, Hasher):
            raise TypeError(f"hasher must be a hash function of vectors; got {describe(self.hasher)}")

    def to_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return parameters and learned arrays of both models, as they are saved."""
        check_fitted(self)
        params: dict[str, Any] = {"weight": as_real(self.weight, "weight", at_least=0)}
        arrays: dict[str, Array] = {}
        for name, model in (("thumbnails", self.thumbnails), ("hasher", self.hasher)):
            own, learned = model.to_state()
            params[name] = {"class": type(model).__name__, "params": own}
            arrays |= {f"{name}.{key}": array for key, array in learned.items()}
        return params, arrays

    @classmethod
    def from_state(cls, params: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """Return a codec from what `to_state` returned, or raise an error that says why it is invalid."""
        models = []
        for name in ("thumbnails", "hasher"):
            learned = {key[len(name) + 1 :]: a for key, a in arrays.items() if key.startswith(f"{name}.")}
            kind = Codec.class_named(params[name]["class"])
            models.append(kind.from_state(params[name]["params"], learned))
        codec = cls(models[0], models[1], weight=params["weight"])  # type: ignore[arg-type]
        as_real(codec.weight, "weight", at_least=0)
        check_fitted(codec)
        return codec

    def _to_arrays(self) -> dict[str, Array]:
        return self.to_state()[1]

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        raise TypeError("a JointCodec has the arrays of two models; use from_state")


def _pair(images: Any, features: Any, name: str = "images") -> tuple[Any, Any]:
    """Return pictures and features, given as two arguments or as a tuple."""
    if isinstance(images, tuple) and len(images) == 2:
        return images
    if features is None:
        advice = ", or give features" if name == "images" else ""
        raise TypeError(
            f"{name} must be a tuple of pictures and their features{advice}; got {describe(images)}"
        )
    return images, features


def _check_numbers(images: Any, features: Any) -> None:
    """Raise an error unless there are as many pictures as rows of features."""
    n_images, n_features = (
        (x if hasattr(x, "shape") else as_array(x, name)).shape[:1]
        for x, name in ((images, "images"), (features, "features"))
    )
    if n_images and n_features and n_images != n_features:  # scalars are refused by the models
        raise ValueError(f"images are {n_images[0]} but features {n_features[0]}; expected as many")
