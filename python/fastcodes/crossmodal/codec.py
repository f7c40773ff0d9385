"""`CrossModalCodec`: a picture as a message that people can read, and layers that refine it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastcodes._typing import Codes, Doubles
from fastcodes._validation import as_array, as_integer, as_real, describe
from fastcodes.coding import ImageCodec, ThumbnailCodec
from fastcodes.crossmodal import _container
from fastcodes.crossmodal._container import Stream
from fastcodes.crossmodal._pixels import as_bytes, as_picture, in_color, resized
from fastcodes.entropy._messages import as_data

__all__ = ["CrossModalCodec", "CrossModalInfo"]

_PARTS = {
    "captioner": (("describe",), "such as RetrievalCaptioner"),
    "text_codec": (("encode", "decode"), "such as fastcodes.coding.TextCodec"),
    "painter": (("paint",), "such as RetrievalPainter"),
}
_REDUCED = (0, 1, 2, 3)
_TOLERANCE = 1e-3  # of the sum of probabilities


class CrossModalInfo(NamedTuple):
    """What a stream says without any model.

    Attributes
    ----------
    posterior : tuple of (int, float)
        The most probable classes and their probabilities, rounded to sixteenths; empty if none were coded.
    layers : tuple of str
        The kinds of the layers after the message: "thumbnail", "picture".
    ends : tuple of int
        The bytes of the prefix that ends with the message, and with each complete layer: ``data[:ends[i]]``
        can be decoded.
    is_complete : bool
        Whether no layer was cut.
    """

    posterior: tuple[tuple[int, float], ...]
    layers: tuple[str, ...]
    ends: tuple[int, ...]
    is_complete: bool


class CrossModalCodec:
    r"""Compression of pictures to messages that people can read, such as captions, in some ten bytes.

    Cross-modal compression (Li, Jia, Wang, Ma and Gao, *Cross modal compression: towards human-comprehensible
    semantic compression*, ACM Multimedia 2021) has four parts: an encoder from pictures to a domain that
    people can read, a lossless coder of that domain, a decoder back to pictures, and a measure of both the
    rate R and the distortion D, of which :math:`D + \lambda R` is to be small. What is kept is what
    the message says, not the pixels: the decoded picture shows something like it.

    After the message there may be layers that refine the picture. Each prefix of a stream that has the whole
    message can be decoded, at the quality of the layers that are complete.

    Parameters
    ----------
    captioner : Captioner
        The encoder: `RetrievalCaptioner`, `AttributeCaptioner`, `SketchCaptioner`, or any object with a
        method ``describe(x)``.
    text_codec : MessageCoder
        The lossless coder: `fastcodes.coding.TextCodec`, `SketchCoder`, or any object with methods
        ``encode(message)`` and ``decode(data)``.
    painter : Painter
        The decoder: `RetrievalPainter`, `AttributePainter`, `SketchPainter`, or any object with a method
        ``paint(message)``.
    features : callable, optional
        Returns the features (d,) of a picture, as the captioner and the classifier take them. None: they take
        the picture itself, or what `encode` is given as `features`.
    classifier : callable, optional
        Returns the probabilities (c,) of at most 2048 classes, of what the captioner takes. The most probable
        are coded in the first bytes.
    n_top : int
        How many classes, from 1 to 16; each takes two bytes.
    thumbnails : ThumbnailCodec, optional
        The codec of a first layer: thumbnails with three channels.
    images : ImageCodec, optional
        The codec of the last layer: the picture in its own size.
    details : float
        The share, from 0 to 1, of the painted picture's details that is put on the thumbnail: what a
        thumbnail of the painted picture lacks. 0 is the blurred thumbnail, which has the least squared error;
        with 1 it is sharp, and features by which a network recognizes what is shown come nearer to those of
        the picture (Blau and Michaeli, *The perception-distortion tradeoff*, CVPR 2018).
    distance : callable, optional
        The distortion D of a painted picture: ``distance(image, painted)``. With it, `encode` takes the
        message with the least cost among those of the captioner's method ``candidates(x)``, if it has one.
    weight : float
        The weight :math:`\lambda` of a bit in the cost.

    Notes
    -----
    ======  =====================================================================================
    byte    content
    ======  =====================================================================================
    0       bits 7-6: version, 1; bit 5: whether a posterior follows; bits 4-0: bytes of the message, 31
            for 31 more than a varint says
    ...     posterior: two bytes for each class, big-endian: 11 bits of class, 1 bit whether another
            follows, 4 bits of probability in sixteenths, less one
    ...     the varint, if bits 4-0 are 31
    ...     the message
    ...     layers, each after a byte: 7 to 255 for a thumbnail of one more bytes; 0, and a varint of
            the length, for the bytes of `fastcodes.coding.ImageCodec`
    ======  =====================================================================================

    So a caption costs one byte more than `text_codec` takes for it, and a thumbnail one more than its own. A
    varint has seven bits in each byte, the lowest first, and bit 7 for more. The stream has no checksum,
    and no name of the models: a message decodes only with the models that made it.

    Painted pictures and thumbnails have the size of the painter; the picture of the last layer has its own,
    or that halved one to three times if it was cut.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import crossmodal
    >>> from fastcodes.coding import TextCodec
    >>> captioner = crossmodal.AttributeCaptioner()
    >>> rng = np.random.default_rng(0)
    >>> images = [np.full((8, 8, 3), color, np.uint8) for color in rng.integers(0, 256, (50, 3))]
    >>> texts = TextCodec().fit([captioner.describe(image) for image in images])
    >>> codec = crossmodal.CrossModalCodec(captioner, texts, crossmodal.AttributePainter((32, 48)))
    >>> sky = np.zeros((60, 90, 3), np.uint8)
    >>> sky[:30], sky[30:] = [90, 160, 255], [20, 90, 30]
    >>> data = codec.encode(sky)
    >>> codec.explain(data)
    'A plain picture, light blue above, blue in the middle and dark green below.'
    >>> codec.decode(data).shape
    (32, 48, 3)
    """

    def __init__(
        self,
        captioner: Any,
        text_codec: Any,
        painter: Any,
        *,
        features: Callable[[Codes], Any] | None = None,
        classifier: Callable[[Any], Any] | None = None,
        n_top: int = 1,
        thumbnails: ThumbnailCodec | None = None,
        images: ImageCodec | None = None,
        details: float = 0.0,
        distance: Callable[[Codes, Codes], float] | None = None,
        weight: float = 0.0,
    ) -> None:
        for name, part in (("captioner", captioner), ("text_codec", text_codec), ("painter", painter)):
            methods, example = _PARTS[name]
            if isinstance(part, type) or not all(callable(getattr(part, method, None)) for method in methods):
                needed = " and ".join(methods)
                raise TypeError(f"{name} must have {needed}, {example}; got {describe(part)}")
        for name, function in (("features", features), ("classifier", classifier), ("distance", distance)):
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be a function or None; got {describe(function)}")
        if thumbnails is not None and not isinstance(thumbnails, ThumbnailCodec):
            raise TypeError(f"thumbnails must be a ThumbnailCodec or None; got {describe(thumbnails)}")
        if thumbnails is not None and thumbnails.shape[2] != 3:
            raise ValueError(f"thumbnails must have three channels; got the shape {thumbnails.shape}")
        if images is not None and not isinstance(images, ImageCodec):
            raise TypeError(f"images must be an ImageCodec or None; got {describe(images)}")
        self._captioner, self._text_codec, self._painter = captioner, text_codec, painter
        self._features, self._classifier, self._distance = features, classifier, distance
        self._n_top = as_integer(n_top, "n_top", 1, _container.MOST_TOP)
        self._thumbnails, self._images = thumbnails, images
        self._details = as_real(details, "details", at_least=0, at_most=1)
        self._weight = as_real(weight, "weight", at_least=0)

    def encode(self, image: Any, *, features: Any = None) -> bytes:
        """Compress a picture.

        Parameters
        ----------
        image : array_like of uint8 (height, width) or (height, width, 3)
            Grey, or red, green and blue; sides from 1 to 65,535.
        features : array_like (d,), optional
            Its features, where they are known; None computes them.

        Returns
        -------
        bytes

        Raises
        ------
        TypeError
            If the picture has another dtype, or a part refuses what another one returns.
        ValueError
            If it has another shape, or its features or probabilities have.
        """
        picture = as_picture(image)
        if features is None:
            x = picture if self._features is None else self._features(picture)
        else:
            x = as_array(features, "features")
        posterior = None if self._classifier is None else _as_posterior(self._classifier(x))
        layers = []
        if self._thumbnails is not None:
            height, width, _ = self._thumbnails.shape
            small = as_bytes(resized(in_color(picture), height, width))
            layers.append(("thumbnail", self._thumbnails.encode(small[None])[0].tobytes()))
        if self._images is not None:
            layers.append(("picture", self._images.encode(picture)))
        return _container.pack(self._message(picture, x), posterior, self._n_top, layers)

    def _message(self, picture: Codes, x: Any) -> bytes:
        """Return the bytes of the best message."""
        if self._distance is None:
            return bytes(self._text_codec.encode(self._captioner.describe(x)))
        candidates = getattr(self._captioner, "candidates", None)
        messages = [self._captioner.describe(x)] if candidates is None else candidates(x)
        codes = [bytes(self._text_codec.encode(message)) for message in messages]
        costs = [
            float(self._distance(picture, self._painter.paint(message))) + self._weight * 8 * len(code)
            for message, code in zip(messages, codes, strict=True)
        ]
        return codes[int(np.argmin(costs))]

    def explain(self, data: Any) -> Any:
        """Return the message of a stream: what people can read.

        Parameters
        ----------
        data : bytes-like
            What `encode` returned, or a prefix that has the message.

        Returns
        -------
        str, or what the captioner's domain is

        Raises
        ------
        TypeError
            If `data` is not bytes-like.
        ValueError
            If it is no stream, has another version, or was cut before the end of the message.
        """
        return self._text_codec.decode(_container.unpack_message(as_data(data).tobytes())[1])

    def decode(self, data: Any, *, max_pixels: int = 1 << 27) -> Codes:
        """Return the picture of a stream, by the last layer that is complete.

        Of a last layer that was cut, what is there is used at a lower resolution, if it is enough for one
        with at least the sides of the thumbnail.

        Parameters
        ----------
        data : bytes-like
            What `encode` returned, or a prefix that has the message.
        max_pixels : int
            The largest picture of a last layer that is decoded, as in `fastcodes.coding.ImageCodec.decode`.

        Returns
        -------
        uint8 array (height, width, 3)
            In the size of the painter, or of the picture if that is a layer; (height, width) if it was grey.

        Raises
        ------
        TypeError
            If `data` is not bytes-like.
        ValueError
            If it is no stream, has another version, was cut before the end of the message, or a complete
            layer was altered, or is larger than `max_pixels`; or if there is a thumbnail, but the codec
            has none of its size.
        """
        as_integer(max_pixels, "max_pixels", 1)
        stream = _unpacked(data)
        least = (1, 1)
        for layer in stream.layers:
            if self._thumbnails is not None and layer[::2] == ("thumbnail", self._thumbnails.n_bytes):
                least = self._thumbnails.shape[:2]
        for layer in reversed(stream.layers):
            if layer.kind == "picture":
                for reduce in _REDUCED if layer.data else ():
                    try:
                        picture = ImageCodec().decode(layer.data, reduce=reduce, max_pixels=max_pixels)
                    except ValueError:
                        if layer.is_complete:
                            raise
                        continue
                    if layer.is_complete or (picture.shape[0] >= least[0] and picture.shape[1] >= least[1]):
                        return picture
            elif layer.is_complete:
                if self._thumbnails is None or self._thumbnails.n_bytes != layer.length:
                    own = "none" if self._thumbnails is None else f"one of {self._thumbnails.n_bytes} bytes"
                    raise ValueError(
                        f"data has a thumbnail of {layer.length} bytes, but this codec has {own}: give "
                        "thumbnails= the codec that made it, or decode data[:inspect(data).ends[0]]"
                    )
                return self._refined(self._painted(stream), layer.data, self._thumbnails)
        return self._painted(stream)

    def _refined(self, painted: Codes, thumbnail: bytes, thumbnails: ThumbnailCodec) -> Codes:
        """Return the picture of a thumbnail, with the details of the painted one."""
        size = painted.shape[:2]
        pixels = resized(thumbnails.decode(np.frombuffer(thumbnail, np.uint8)[None])[0], *size)
        if self._details:
            small = as_bytes(resized(painted, *thumbnails.shape[:2]))
            coarse = resized(thumbnails.decode(thumbnails.encode(small[None]))[0], *size)
            pixels += self._details * (painted - coarse)
        return as_bytes(pixels)

    def _painted(self, stream: Stream) -> Codes:
        painted = as_array(
            self._painter.paint(self._text_codec.decode(stream.message)), "the painted picture"
        )
        if painted.dtype != np.uint8 or painted.ndim != 3 or painted.shape[2] != 3:
            raise ValueError(f"painter must return a uint8 array (height, width, 3); got {describe(painted)}")
        return painted

    def cost(self, image: Any, data: Any) -> float:
        r"""Return the cost :math:`D + \lambda R` of a stream: its distortion, and the bits of all its bytes.

        Parameters
        ----------
        image : array_like of uint8 (height, width) or (height, width, 3)
            The picture.
        data : bytes-like
            Its stream, or a prefix.

        Returns
        -------
        float
            ``distance(image, decode(data)) + weight * 8 * len(data)``.

        Raises
        ------
        TypeError, ValueError
            As `encode` and `decode`, or if the codec has no `distance`.
        """
        picture, stream = as_picture(image), as_data(data)
        if self._distance is None:
            raise ValueError("distance is None; give CrossModalCodec the distance that image and data cost")
        return float(self._distance(picture, self.decode(stream))) + self._weight * 8 * len(stream)

    @staticmethod
    def inspect(data: Any) -> CrossModalInfo:
        """Return what a stream says without decoding it: the classes, and where its layers end.

        Parameters
        ----------
        data : bytes-like
            What `encode` returned, or a prefix that has the message.

        Returns
        -------
        CrossModalInfo

        Raises
        ------
        TypeError
            If `data` is not bytes-like.
        ValueError
            If it is no stream, has another version, or was cut before the end of the message.

        Examples
        --------
        >>> from fastcodes.crossmodal import CrossModalCodec
        >>> info = CrossModalCodec.inspect(bytes([0b01_1_00010, 0, 7 << 5 | 11]) + b"ab")
        >>> info.posterior, info.ends
        (((7, 0.75),), (5,))
        """
        stream = _unpacked(data)
        kinds = tuple(layer.kind for layer in stream.layers)
        is_complete = all(layer.is_complete for layer in stream.layers)
        return CrossModalInfo(stream.posterior, kinds, stream.ends, is_complete)


def _unpacked(data: Any) -> Stream:
    return _container.unpack(as_data(data).tobytes())


def _as_posterior(probabilities: Any) -> Doubles:
    array = as_array(probabilities, "probabilities of the classifier")
    if array.dtype.kind not in "iuf" or array.ndim != 1 or not 1 <= len(array) <= _container.MOST_CLASSES:
        raise ValueError(
            f"classifier must return the probabilities (c,) of 1 to {_container.MOST_CLASSES} classes; "
            f"got {describe(array)}"
        )
    posterior = array.astype(np.float64)
    if not (posterior >= 0).all() or not abs(posterior.sum() - 1) <= _TOLERANCE:  # also for NaN
        raise ValueError(
            "classifier must return probabilities from 0 up with a sum of 1; got a sum of "
            f"{posterior.sum():g}. Give the output of softmax, not logits"
        )
    return posterior
