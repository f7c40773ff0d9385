"""Kinds of synthetic pictures, with features and captions that agree on the kind."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from fastcodes.coding import TextCodec, ThumbnailCodec
from fastcodes.crossmodal import CrossModalCodec, RetrievalCaptioner, RetrievalPainter
from fastcodes.hashing import RandomHyperplanes

RNG = np.random.default_rng(0)
CAPTIONS = [
    ["A cat sits on a red mat.", "A cat on a mat."],
    ["A yellow bus drives down a street.", "The bus is on the street."],
    ["Two dogs play in the snow.", "Dogs run in white snow."],
]
COLORS = np.array([[200, 30, 30], [230, 210, 40], [240, 240, 250]])
KINDS = RNG.normal(size=(3, 24)).astype(np.float32)
LABELS = np.arange(48) % 3
FEATURES = (KINDS[LABELS] + 0.3 * RNG.normal(size=(48, 24))).astype(np.float32)
IMAGES = np.clip(COLORS[LABELS][:, None, None] + RNG.normal(0, 12, (48, 16, 20, 3)), 0, 255).astype(np.uint8)


def features(image: Any) -> Any:
    """Return the features of a picture: those of the kind with the nearest color."""
    color = image.mean(axis=(0, 1)) if image.ndim == 3 else np.full(3, image.mean())
    return KINDS[np.square(COLORS - color).sum(axis=1).argmin()]


@functools.cache
def captioner() -> RetrievalCaptioner:
    return RetrievalCaptioner(RandomHyperplanes(64, random_state=0)).fit(
        FEATURES, [CAPTIONS[i] for i in LABELS]
    )


@functools.cache
def painter() -> RetrievalPainter:
    return RetrievalPainter().fit(IMAGES, [CAPTIONS[i] for i in LABELS])


@functools.cache
def texts() -> TextCodec:
    return TextCodec(1 << 17).fit([text for several in CAPTIONS for text in several] * 20)


@functools.cache
def thumbnails() -> ThumbnailCodec:
    images = RNG.integers(0, 256, (300, 1, 1, 3)) + RNG.integers(-20, 20, (300, 8, 8, 3))
    return ThumbnailCodec(16, shape=(8, 8, 3), random_state=0).fit(np.clip(images, 0, 255).astype(np.uint8))


def codec(**parts: Any) -> CrossModalCodec:
    """Return a codec of retrieved captions."""
    return CrossModalCodec(captioner(), texts(), painter(), features=features, **parts)
