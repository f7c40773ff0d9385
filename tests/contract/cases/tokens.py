"""Right and wrong arguments of the models of fastcodes.tokens."""

from __future__ import annotations

import numpy as np
from contract.class_kit import BOOLEANS, NATURAL, OPTIONS, POSITIVE, REALS, Case
from fastcodes import tokens

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3)).astype(np.uint8)
NOT_IMAGES = [
    "images",
    3,
    IMAGES / 255,
    IMAGES.astype(np.int64),
    IMAGES[..., :1],
    IMAGES[0],
    np.zeros((2, 8, 8, 4), np.uint8),
]
NOT_TO_FIT = [*NOT_IMAGES[:4], *NOT_IMAGES[5:], IMAGES[:0], IMAGES[:, :7]]
SETTINGS = {"hidden": 8, "epochs": 1, "random_state": 0}
TOKENIZER = tokens.VQVAE(16, n_dims=4, **SETTINGS).fit(IMAGES)
GRIDS = TOKENIZER.encode(IMAGES)
NOT_GRIDS = ["tokens", 3, GRIDS * 1.0, GRIDS[0], GRIDS + np.uint8(16), GRIDS.astype(np.int64) - 16]
PRIOR = tokens.TokenPrior(16, **SETTINGS).fit(GRIDS)
CODEC = tokens.TokenCodec(TOKENIZER, PRIOR)
PICTURE = CODEC.encode(IMAGES[0])
NOT_BYTES = ["data", 3, np.zeros(3), np.zeros((2, 2), np.uint8), b"", b"\xff" * 100]

CASES: dict[str, Case] = {
    "tokens.VQVAE": Case(
        tokens.VQVAE,
        {"n_codewords": 16, "n_dims": 4, **SETTINGS},
        lambda model: model.fit(IMAGES),
        {
            "fit": {"images": IMAGES},
            "fit_transform": {"images": IMAGES},
            "encode": {"images": IMAGES},
            "transform": {"images": IMAGES},
            "decode": {"tokens": GRIDS, "size": (7, 8)},
            "score": {"images": IMAGES},
            "codes": {"tokens": GRIDS},
            "tables": {"images": IMAGES},
            "token_tables": {"tokens": GRIDS},
        },
        {
            "n_codewords": [*NATURAL, 1, 1 << 17],
            "patch": [*NATURAL, 1, 33],
            "quantizer": OPTIONS,
            "n_codebooks": [*POSITIVE, 2, 17],
            "n_dims": POSITIVE,
            "hidden": POSITIVE,
            "commitment": REALS,
            "decay": [*REALS, 1.0],
            "init": OPTIONS,
            "restart": BOOLEANS,
            "normalize": BOOLEANS,
            "entropy": REALS,
            "stochastic": BOOLEANS,
            "images": NOT_IMAGES,
            "score.images": [*NOT_IMAGES, IMAGES[:0]],
            "fit.images": NOT_TO_FIT,
            "fit_transform.images": NOT_TO_FIT,
            "tokens": NOT_GRIDS,
            "size": ["size", 8, (8,), (8, 9), (8.5, 8)],
        },
    ),
    "tokens.TokenPrior": Case(
        tokens.TokenPrior,
        {"n_codewords": 16, **SETTINGS},
        lambda prior: prior.fit(GRIDS),
        {
            "fit": {"tokens": GRIDS},
            "bits": {"tokens": GRIDS},
            "score": {"tokens": GRIDS},
            "encode": {"tokens": GRIDS},
            "decode": {"data": lambda prior: prior.encode(GRIDS), "max_tokens": 1000},
            "sample": {"n": 2, "size": (3, 4), "random_state": 0},
        },
        {
            "n_codewords": [*NATURAL, 1, 1 << 13],
            "n_codebooks": [*POSITIVE, 17],
            "hidden": [*POSITIVE, 1025],
            "tokens": NOT_GRIDS,
            "fit.tokens": [*NOT_GRIDS, GRIDS[:0]],
            "score.tokens": [*NOT_GRIDS, GRIDS[:0]],
            "data": NOT_BYTES,
            "max_tokens": [*POSITIVE, 3],
            "n": NATURAL,
            "size": ["size", 8, (8,), (8, 0), (8, 8.5)],
        },
    ),
    "tokens.TokenCodec": Case(
        tokens.TokenCodec,
        {"tokenizer": TOKENIZER, "prior": PRIOR},
        methods={
            "encode": {"image": IMAGES[0]},
            "decode": {"data": PICTURE, "max_pixels": 64},
            "tokens": {"data": PICTURE, "max_pixels": 64},
        },
        wrong={
            "tokenizer": [3, "tokenizer", PRIOR],
            "prior": [3, "prior", TOKENIZER],
            "image": ["image", 3, IMAGES, IMAGES[0] / 255, IMAGES[0, ..., :2], IMAGES[0].astype(np.uint16)],
            "data": [*NOT_BYTES, PICTURE[:-1], PICTURE + b"0"],
            "max_pixels": [*POSITIVE, 63],
        },
    ),
}
