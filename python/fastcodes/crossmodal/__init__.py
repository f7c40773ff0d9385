"""Cross-modal compression: pictures as messages that people can read, in some ten bytes.

=====================  =======================================================================================
`CrossModalCodec`      a captioner, a lossless coder of its messages, a painter, and layers that refine
---------------------  ---------------------------------------------------------------------------------------
`RetrievalCaptioner`   captions by the training pictures with the nearest codes
`RetrievalPainter`     pictures by the training pictures with the nearest captions
---------------------  ---------------------------------------------------------------------------------------
`AttributeCaptioner`   sentences of measured colors and detail
`AttributePainter`     pictures of the colors that a text names
`SketchCaptioner`      sketches: binary maps of edges
`SketchCoder`          the lossless coder of sketches, by contexts
`SketchPainter`        pictures of sketches
---------------------  ---------------------------------------------------------------------------------------
`CCAHashing`           bits of two views in one space: search captions by pictures, pictures by texts
---------------------  ---------------------------------------------------------------------------------------
`Captioner`            what an encoder to a readable domain has to do
`MessageCoder`         what a lossless coder of its messages has to do
`Painter`              what a decoder to pictures has to do
=====================  =======================================================================================

The features of pictures come from a network of yours: a function, or arrays.
"""

from fastcodes._estimator import NotFittedError
from fastcodes.crossmodal._parts import Captioner, MessageCoder, Painter
from fastcodes.crossmodal.attributes import AttributeCaptioner, AttributePainter
from fastcodes.crossmodal.captioners import RetrievalCaptioner
from fastcodes.crossmodal.codec import CrossModalCodec, CrossModalInfo
from fastcodes.crossmodal.hashing import CCAHashing
from fastcodes.crossmodal.painters import RetrievalPainter
from fastcodes.crossmodal.sketch import SketchCaptioner, SketchCoder, SketchPainter

__all__ = [
    "AttributeCaptioner",
    "AttributePainter",
    "CCAHashing",
    "Captioner",
    "CrossModalCodec",
    "CrossModalInfo",
    "MessageCoder",
    "NotFittedError",
    "Painter",
    "RetrievalCaptioner",
    "RetrievalPainter",
    "SketchCaptioner",
    "SketchCoder",
    "SketchPainter",
]
