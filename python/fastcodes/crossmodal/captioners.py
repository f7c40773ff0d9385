"""`RetrievalCaptioner`: the caption that the nearest training pictures agree on."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastcodes import _files, hamming
from fastcodes._codec import Codec
from fastcodes._estimator import Estimator, check_fitted
from fastcodes._typing import Array, Codes
from fastcodes._validation import (
    as_array,
    as_integer,
    as_samples,
    check_threads,
    describe,
    finite_float32,
)
from fastcodes.crossmodal._captions import Vocabulary, as_captions, captions_from, captions_to, cosine
from fastcodes.crossmodal._parts import Captioner
from fastcodes.hashing.base import Hasher

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RetrievalCaptioner"]


class RetrievalCaptioner(Estimator, Captioner[str]):
    """Captions of new pictures: one of those of the training pictures with the most similar features.

    The features of training pictures are kept as the codes of a hash function. The captions of the pictures
    whose codes are nearest are ranked by consensus (Devlin, Gupta, Girshick, Mitchell and Zitnick, *Exploring
    nearest neighbor approaches for image captioning*, arXiv:1505.04467, 2015): the best one is, on average,
    the most similar to those of the other neighbours. Similarity is the cosine of TF-IDF vectors of one and
    two words.

    Parameters
    ----------
    hasher : Hasher
        A hash function of `fastcodes.hashing` for the features. `fit` copies it, and fits the copy if it is
        not fitted.
    n_neighbors : int
        Number of nearest training pictures.

    Attributes
    ----------
    hasher_ : Hasher
        The fitted copy of `hasher`.
    codes_ : uint8 array (n, n_bytes)
        The codes of the training pictures.
    captions_ : list of lists of str
        Their captions.
    n_features_in_ : int
        The number of features d.

    See Also
    --------
    AttributeCaptioner : Captions without training pictures.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.crossmodal import RetrievalCaptioner
    >>> from fastcodes.hashing import RandomHyperplanes
    >>> rng = np.random.default_rng(0)
    >>> kinds, captions = rng.normal(size=(3, 32)), ["a cat on a mat", "a red bus", "two dogs in snow"]
    >>> features = np.repeat(kinds, 20, axis=0) + 0.3 * rng.normal(size=(60, 32))
    >>> captioner = RetrievalCaptioner(RandomHyperplanes(64, random_state=0))
    >>> captioner.fit(features, np.repeat(captions, 20).tolist()).describe(kinds[1])
    'a red bus'
    """

    _learned = "codes_"
    _kind = "captioner"
    hasher_: Hasher
    codes_: Codes
    captions_: list[list[str]]

    def __init__(self, hasher: Hasher, *, n_neighbors: int = 8) -> None:
        self.hasher = hasher
        self.n_neighbors = n_neighbors

    def fit(self, features: ArrayLike, captions: Any, *, threads: int | None = None) -> Self:
        """Keep the codes of training pictures and their captions.

        Parameters
        ----------
        features : array_like (n, d)
            The features of each picture.
        captions : sequence of str, or of lists of str
            One or several captions of each.
        threads : int, optional
            Threads of the compiled kernels; None means all CPUs of this process. numpy ignores it.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            As the `fit` of the hash function; or if captions are not strings, are not as many as pictures,
            or all empty; or if a parameter is wrong.
        """
        self._check()
        check_threads(threads)
        samples = as_samples(features, name="features")
        checked = as_captions(captions, len(samples))
        hasher = copy.deepcopy(self.hasher)
        if not hasher.__sklearn_is_fitted__():
            hasher.fit(samples, threads=threads)
        self._learn(hasher, hasher.encode(samples, threads=threads), checked)
        return self

    def _learn(self, hasher: Hasher, codes: Codes, captions: list[list[str]]) -> None:
        self.hasher_, self.codes_, self.captions_ = hasher, codes, captions
        self.n_features_in_ = hasher.n_features_in_
        self._vocabulary = Vocabulary(captions)

    def describe(self, x: ArrayLike) -> str:
        """Return the best caption of a picture by its features.

        Parameters
        ----------
        x : array_like (d,)
            The features of the picture.

        Returns
        -------
        str

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If `x` are not real numbers.
        ValueError
            If `x` has another shape, or a feature is not finite.
        """
        return self.candidates(x)[0]

    def candidates(self, x: ArrayLike) -> list[str]:
        """Return the captions of the nearest training pictures, the best first, each once.

        Parameters
        ----------
        x : array_like (d,)
            The features of a picture.

        Returns
        -------
        list of str

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As `describe`.
        """
        check_fitted(self)
        self._check()
        row = as_array(x, "x")
        if row.shape != (self.n_features_in_,):
            raise ValueError(
                f"x must be the features ({self.n_features_in_},) of one picture; got shape {row.shape}. A "
                "CrossModalCodec computes them if it is given features=, a function of a picture"
            )
        sample = finite_float32(as_samples(row[None], name="x"), range(1), "x")
        code = self.hasher_.encode(sample)
        nearest = hamming.knn(code, self.codes_, min(self.n_neighbors, len(self.codes_)))[1][0]
        pool = [(text, picture) for picture in nearest.tolist() for text in self.captions_[picture] if text]
        vectors = {text: self._vocabulary.vector(text) for text, _ in pool}
        scores = [
            sum(cosine(vectors[text], vectors[other]) for other, owner in pool if owner != picture)
            for text, picture in pool
        ]
        order = sorted(range(len(pool)), key=lambda i: -scores[i])
        return list(dict.fromkeys(pool[i][0] for i in order)) or [""]

    def _check(self) -> None:
        if not isinstance(self.hasher, Hasher):
            raise TypeError(f"hasher must be a hash function of vectors; got {describe(self.hasher)}")
        as_integer(self.n_neighbors, "n_neighbors", 1)

    # --- state ---------------------------------------------------------------------------------------------

    def __sklearn_tags__(self) -> Any:
        """Return the tags that scikit-learn asks for: pairs of features and captions."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags

    def to_state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return parameters and learned arrays, those of the hash function among them."""
        params, arrays = super().to_state()
        own, learned = self.hasher_.to_state()
        params["hasher"] = {"class": type(self.hasher_).__name__, "params": own}
        return params, arrays | {f"hasher.{key}": array for key, array in learned.items()}

    @classmethod
    def from_state(cls, params: Mapping[str, Any], arrays: Mapping[str, Array]) -> Self:
        """Return a model from what `to_state` returned, or raise an error that says why it is invalid."""
        learned = {key[len("hasher.") :]: array for key, array in arrays.items() if key.startswith("hasher.")}
        kind = Codec.class_named(params["hasher"]["class"])
        hasher: Any = kind.from_state(params["hasher"]["params"], learned)
        model = cls(copy.deepcopy(hasher), n_neighbors=params["n_neighbors"])
        model.hasher_ = hasher
        model._from_arrays(arrays)
        return model

    def _to_arrays(self) -> dict[str, Array]:
        return {"codes": self.codes_, "captions": captions_to(self.captions_)}

    def _from_arrays(self, arrays: Mapping[str, Array]) -> None:
        self._check()
        codes = self.hasher_.as_codes(_files.take(arrays, "codes", np.uint8, ("n", "n_bytes")))
        self._learn(self.hasher_, np.ascontiguousarray(codes), captions_from(arrays, len(codes)))
