"""Right and wrong arguments of the models of fastcodes.coding."""

from __future__ import annotations

import numpy as np
from contract.class_kit import BOOLEANS, NATURAL, Case
from fastcodes import coding

TEXTS = ["A man rides a horse.", "A dog sees a man."] * 10
NOT_TEXTS = ["texts", 3, None, [3], [b"texts"], {"a": "b"}, {"a"}]
STORED = coding.TextCodec(1 << 17).fit(TEXTS).compress(TEXTS)
NOT_BYTES = ["data", 3, np.zeros(3), np.zeros((2, 2), np.uint8)]

CASES: dict[str, Case] = {
    "coding.TextCodec": Case(
        coding.TextCodec,
        {"model_bytes": 1 << 17},
        lambda codec: codec.fit(TEXTS),
        {
            "fit": {"texts": TEXTS},
            "encode": {"text": TEXTS[0]},
            "decode": {"data": lambda codec: codec.encode(TEXTS[0])},
            "encode_many": {"texts": TEXTS},
            "decode_many": {
                "data": lambda codec: codec.encode_many(TEXTS)[0],
                "offsets": lambda codec: codec.encode_many(TEXTS)[1],
                "rows": None,
            },
            "compress": {"texts": TEXTS},
            "bits": {"texts": TEXTS},
        },
        {
            "model_bytes": [*NATURAL, 1000, 10**30],
            "fit.texts": [*NOT_TEXTS, []],
            "texts": NOT_TEXTS,
            "text": [3, None, b"text", ["text"]],
            "data": [*NOT_BYTES, b"\xff" * 100],
            "offsets": ["offsets", 3, [], [0.5], [[0, 1]], [1, 0], [0, 10**6], [-1, 1]],
            "rows": ["rows", 3, [0.5], [[0]]],
        },
    ),
    "coding.CompressedTexts": Case(
        coding.CompressedTexts,
        {"codec": STORED.codec, "data": STORED._data, "places": STORED._places},
        methods={"take": {"rows": [1, -1]}},
        wrong={
            "codec": [3, "codec", STORED],
            "data": NOT_BYTES,
            "places": [3, None, np.arange(20)],
            "rows": ["rows", 0.5, None, [0.5], [[0]]],
            "with_model": BOOLEANS,
        },
    ),
}
