"""Right and wrong arguments of the models of fastcodes.crossmodal."""

from __future__ import annotations

import numpy as np
from contract.cases.coding import NOT_PICTURES, PICTURE
from contract.class_kit import POSITIVE, REALS, Case, X, fitted
from fastcodes import coding, crossmodal, hashing

FEATURES = X
TEXTS = ["a cat on a mat", "a red bus", "two dogs in snow"]
CAPTIONS = [TEXTS[i % 3 :][:2] for i in range(len(X))]
NOT_CAPTIONS = ["captions", 3, None, ["a"], [3] * 60, [[3]] * 60, [""] * 60, [[]] * 60]
IMAGES = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3)).astype(np.uint8)
NOT_IMAGES = ["images", 3, None, IMAGES / 255, IMAGES[0], IMAGES[..., :1], IMAGES[:0]]
SKETCHES = IMAGES[..., 0] > 200
NOT_SKETCHES = ["sketch", 3, None, SKETCHES * 1, SKETCHES[0, :3], SKETCHES[:, :, 0]]
SIZES = ["size", 8, None, (8,), (8, 0), (8, 8.5), (8, 10**9)]
NOT_BYTES = ["data", 3, None, np.zeros(3), np.zeros((2, 2), np.uint8)]
NOT_STREAMS = [*NOT_BYTES, b"", b"\xff" * 100, b"\x45ab"]
HASHER = hashing.RandomHyperplanes(16, random_state=0)
CAPTIONER = crossmodal.RetrievalCaptioner(HASHER).fit(FEATURES, CAPTIONS)
PAINTER = crossmodal.RetrievalPainter().fit(IMAGES, CAPTIONS)
CODEC = coding.TextCodec(1 << 17).fit(TEXTS * 10)
FUNCTIONS = [3, "function"]
STREAM = bytes([64 | len(CODEC.encode(TEXTS[0]))]) + CODEC.encode(TEXTS[0])


def features(image: np.ndarray) -> np.ndarray:
    return FEATURES[int(image.mean()) % len(FEATURES)]


def distance(image: np.ndarray, painted: np.ndarray) -> float:
    return float(abs(image.mean() - painted.mean()))


CASES: dict[str, Case] = {
    "crossmodal.CrossModalCodec": Case(
        crossmodal.CrossModalCodec,
        {
            "captioner": CAPTIONER,
            "text_codec": CODEC,
            "painter": PAINTER,
            "features": features,
            "distance": distance,
            "weight": 0.5,
        },
        methods={
            "encode": {"image": PICTURE, "features": FEATURES[0]},
            "explain": {"data": STREAM},
            "decode": {"data": STREAM, "max_pixels": 1 << 20},
            "cost": {"image": PICTURE, "data": STREAM},
            "inspect": {"data": STREAM},
        },
        wrong={
            "captioner": [3, None, PAINTER, crossmodal.RetrievalCaptioner],
            "text_codec": [3, None, PAINTER, coding.TextCodec],
            "painter": [3, None, CAPTIONER, crossmodal.RetrievalPainter],
            "features": FUNCTIONS,
            "classifier": FUNCTIONS,
            "distance": FUNCTIONS,
            "n_top": [*POSITIVE, 17],
            "max_pixels": POSITIVE,
            "thumbnails": [3, "thumbnails", coding.ThumbnailCodec, coding.ImageCodec()],
            "images": [3, "images", coding.ImageCodec, coding.ThumbnailCodec()],
            "weight": REALS,
            "details": [*REALS, -0.1, 1.1],
            "image": NOT_PICTURES,
            "encode.features": ["features", 3, FEATURES, FEATURES[0, :3]],
            "data": NOT_STREAMS,
        },
    ),
    "crossmodal.RetrievalCaptioner": Case(
        crossmodal.RetrievalCaptioner,
        {"hasher": HASHER},
        lambda model: model.fit(FEATURES, CAPTIONS),
        {
            "fit": {"features": FEATURES, "captions": CAPTIONS},
            "describe": {"x": FEATURES[0]},
            "candidates": {"x": FEATURES[0]},
        },
        {
            "hasher": [3, None, "hasher", hashing.RandomHyperplanes, PAINTER],
            "n_neighbors": POSITIVE,
            "features": ["features", 3, None, FEATURES[0], FEATURES[None]],
            "captions": NOT_CAPTIONS,
            "x": ["x", 3, None, FEATURES, FEATURES[0, :3], FEATURES[0] * np.nan],
        },
    ),
    "crossmodal.RetrievalPainter": Case(
        crossmodal.RetrievalPainter,
        {"n_neighbors": 2},
        lambda model: model.fit(IMAGES, CAPTIONS),
        {"fit": {"images": IMAGES, "captions": CAPTIONS}, "paint": {"message": "snow"}},
        {
            "n_neighbors": POSITIVE,
            "images": NOT_IMAGES,
            "captions": NOT_CAPTIONS,
            "message": [3, None, b"snow", ["snow"]],
        },
    ),
    "crossmodal.AttributeCaptioner": Case(
        crossmodal.AttributeCaptioner,
        methods={"describe": {"x": PICTURE}, "candidates": {"x": PICTURE}},
        wrong={"x": NOT_PICTURES},
        skipped=frozenset({"describe.x", "candidates.x"}),  # which errors call an image
    ),
    "crossmodal.AttributePainter": Case(
        crossmodal.AttributePainter,
        {"size": (8, 9)},
        methods={"paint": {"message": "red"}},
        wrong={"size": SIZES, "message": [3, None, b"red", ["red"]]},
    ),
    "crossmodal.SketchCaptioner": Case(
        crossmodal.SketchCaptioner,
        {"size": (8, 9), "share": 0.5},
        methods={"describe": {"x": PICTURE}, "candidates": {"x": PICTURE}},
        wrong={"size": SIZES, "share": [*REALS, 1.5]},
        skipped=frozenset({"describe.x", "candidates.x"}),
    ),
    "crossmodal.SketchCoder": Case(
        crossmodal.SketchCoder,
        {"size": (8, 8)},
        lambda coder: coder.fit(SKETCHES),
        {
            "fit": {"sketches": SKETCHES},
            "encode": {"message": SKETCHES[0]},
            "decode": {"data": lambda coder: coder.encode(SKETCHES[0])},
        },
        {
            "size": SIZES,
            "fit.sketches": ["sketches", 3, None, SKETCHES * 1, SKETCHES[0], SKETCHES[:0], SKETCHES[:, :3]],
            "message": NOT_SKETCHES,
            "data": [*NOT_BYTES, b"", b"\x7f"],
        },
    ),
    "crossmodal.SketchPainter": Case(
        crossmodal.SketchPainter,
        {"size": (8, 9)},
        methods={"paint": {"message": SKETCHES[0]}},
        wrong={"size": SIZES, "message": [*NOT_SKETCHES[:4], SKETCHES, SKETCHES[0, :0]]},
    ),
    "crossmodal.CCAHashing": Case(
        crossmodal.CCAHashing,
        {"n_bits": 4, "max_iter": 2},
        fitted,
        {
            "encode_other": {"y": np.arange(6.0)[:, None]},
            "other_decision_function": {"y": np.arange(6.0)[:, None]},
        },
        {"regularization": [*REALS, 0.0]},
        skipped=frozenset({"decode", "decode.threads"}),
    ),
}
