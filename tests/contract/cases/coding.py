"""Right and wrong arguments of the models of fastcodes.coding."""

from __future__ import annotations

import numpy as np
from contract.class_kit import BOOLEANS, NATURAL, OPTIONS, POSITIVE, REALS, Case
from fastcodes import coding, hashing

TEXTS = ["A man rides a horse.", "A dog sees a man."] * 10
NOT_TEXTS = ["texts", 3, None, [3], [b"texts"], {"a": "b"}, {"a"}]
STORED = coding.TextCodec(1 << 17).fit(TEXTS).compress(TEXTS)
ROWS = (np.arange(60 * 8) % 16).astype(np.uint8).reshape(60, 8)
COMPRESSOR = coding.CodeCompressor(n_symbols=16).fit(ROWS)
COMPRESSED = COMPRESSOR.compress(ROWS)
NOT_ROWS = ["codes", ROWS * 1.0, ROWS.astype(np.int64), ROWS[None], ROWS + np.uint8(16)]
PICTURE = (np.arange(24 * 20 * 3) * 37 % 251).astype(np.uint8).reshape(24, 20, 3)
STORED_PICTURE = coding.ImageCodec().encode(PICTURE)
NOT_PICTURES = [
    *["image", None, 3, [[0.5]], PICTURE / 255, PICTURE > 3, PICTURE.astype(np.int64), PICTURE.astype("u2")],
    *[PICTURE[0, 0], PICTURE[..., :2], PICTURE[None], PICTURE.astype(object), np.ma.masked_equal(PICTURE, 0)],
]
FRAMES = np.stack([np.roll(PICTURE[..., 0], shift, axis=1) for shift in range(3)])
STORED_VIDEO = coding.VideoCodec(8).encode(FRAMES)
NOT_VIDEOS = [
    *["video", None, 3, [[[0.5]]], FRAMES / 255, FRAMES > 3, FRAMES.astype(np.int64), FRAMES.astype("u2")],
    *[FRAMES[0], FRAMES[..., None], FRAMES[:0], FRAMES.astype(object), np.ma.masked_equal(FRAMES, 0)],
    coding.Video(FRAMES, FRAMES[:, :2]),
]
IMAGES = np.random.default_rng(0).integers(0, 256, (256, 8, 8, 3)).astype(np.uint8)
NOT_IMAGES = [
    "images",
    3,
    IMAGES / 255,
    IMAGES.astype(np.int64),
    IMAGES[..., :1],
    np.zeros((2, 8, 8, 4), np.uint8),
]
THUMBNAILS = coding.ThumbnailCodec(8, shape=(8, 8, 3), layout="searchable", random_state=0).fit(IMAGES)
FEATURES = np.random.default_rng(1).normal(size=(256, 6)).astype(np.float32)
HASHER = hashing.RandomHyperplanes(16, random_state=0).fit(FEATURES)
PAIR = IMAGES[:2], FEATURES[:2]
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
    "coding.ImageCodec": Case(
        coding.ImageCodec,
        methods={
            "encode": {"image": PICTURE},
            "decode": {"data": STORED_PICTURE, "reduce": 0, "max_pixels": 480},
            "inspect": {"data": STORED_PICTURE},
        },
        wrong={
            "quality": [*REALS, 101, [75]],
            "bpp": [*REALS, 0],
            "step": [*REALS, 0, 1e5],
            "lossless": BOOLEANS,
            "tune": OPTIONS,
            "image": NOT_PICTURES,
            "data": [*NOT_BYTES, b"", b"\xff" * 100, STORED_PICTURE[:-1], STORED_PICTURE + b"0"],
            "inspect.data": [*NOT_BYTES, b"", b"\xff" * 100, STORED_PICTURE[:20]],
            "reduce": [*NATURAL, 4],
            "max_pixels": [*POSITIVE, 479],
        },
    ),
    "coding.VideoCodec": Case(
        coding.VideoCodec,
        methods={
            "encode": {"video": FRAMES},
            "decode": {"data": STORED_VIDEO, "max_pixels": 1440},
            "frames": {"data": STORED_VIDEO, "max_pixels": 480},
            "inspect": {"data": STORED_VIDEO},
        },
        wrong={
            "step": [*REALS, 0, 1e4, None],
            "mode": OPTIONS,
            "group": [*POSITIVE, 65_536],
            "radius": [*NATURAL, 128],
            "search": OPTIONS,
            "video": NOT_VIDEOS,
            "data": [*NOT_BYTES, b"", b"\xff" * 100, STORED_VIDEO[:-1], STORED_VIDEO + b"0"],
            "frames.data": [*NOT_BYTES, b"", b"\xff" * 100, STORED_VIDEO[:20]],
            "inspect.data": [*NOT_BYTES, b"", b"\xff" * 100, STORED_VIDEO[:20]],
            "max_pixels": [*POSITIVE, 479],
        },
    ),
    "coding.CodeCompressor": Case(
        coding.CodeCompressor,
        {"context": "previous", "n_symbols": 16, "rows_per_block": 16},
        lambda codec: codec.fit(ROWS),
        {"fit": {"codes": ROWS}, "compress": {"codes": ROWS}, "bits": {"codes": ROWS}},
        {
            "context": ["next", 1, None, b"previous"],
            "n_symbols": [*NATURAL, 257],
            "rows_per_block": NATURAL,
            "fit.codes": [*NOT_ROWS, ROWS[:0]],
            "codes": [*NOT_ROWS, ROWS[:, :3]],
        },
    ),
    "coding.CompressedRows": Case(
        coding.CompressedRows,
        {
            "model": COMPRESSOR.chain_,
            "n_rows": 60,
            "rows_per_block": 16,
            "data": COMPRESSED._data,
            "places": COMPRESSED._places,
        },
        methods={"take": {"rows": [1, -1]}},
        wrong={
            "model": [3, "model", COMPRESSOR],
            "n_rows": [0.5, "60", None, -1, 1000],
            "rows_per_block": [*NATURAL, 1 << 30],
            "data": NOT_BYTES,
            "places": [3, None, np.arange(20)],
            "mmap": BOOLEANS,
            "verify": BOOLEANS,
            "rows": ["rows", 0.5, None, [0.5], [[0]]],
        },
    ),
    "coding.ThumbnailCodec": Case(
        coding.ThumbnailCodec,
        {"n_bytes": 8, "shape": (8, 8, 3), "layout": "searchable", "random_state": 0},
        lambda codec: codec.fit(IMAGES),
        {
            "fit": {"images": IMAGES},
            "fit_transform": {"X": IMAGES},
            "encode": {"images": IMAGES},
            "transform": {"X": IMAGES},
            "rows": {"X": IMAGES},
            "decode": {"codes": lambda codec: codec.encode(IMAGES), "n_bytes": 4},
            "from_rows": {"rows": lambda codec: codec.encode(IMAGES)},
            "as_codes": {"codes": lambda codec: codec.encode(IMAGES)},
            "score": {"images": IMAGES},
            "tables": {"queries": IMAGES[:2]},
            "as_queries": {"queries": IMAGES[:2]},
            "operand": {"queries": IMAGES[:2], "metric": "l2"},
            "storage": {"metric": "l2"},
        },
        {
            "n_bytes": [*NATURAL, 7, 257],
            "decode.n_bytes": [*NATURAL, 0, 9],
            "shape": [3, (8, 8), (8, 8, 2), (3, 8, 3), (8, 8.5, 3)],
            "layout": ["sparse", 1, None],
            "images": NOT_IMAGES,
            "score.images": [*NOT_IMAGES, IMAGES[:0]],
            "fit.images": [*NOT_IMAGES, IMAGES[:255]],
            "X": NOT_IMAGES,
            "fit_transform.X": [*NOT_IMAGES, IMAGES[:255]],
            "queries": NOT_IMAGES,
            "codes": [*NOT_ROWS[:4], np.zeros((2, 9), np.uint8)],
        },
    ),
    "coding.CompressedThumbnails": Case(
        coding.CompressedThumbnails,
        {"codec": THUMBNAILS, "codes": THUMBNAILS.encode(IMAGES[:3]), "names": ["a", "b", "c"]},
        methods={"load": {"codec": THUMBNAILS}},
        wrong={
            "codec": [3, "codec", COMPRESSOR],
            "codes": [*NOT_ROWS[:4], np.zeros((2, 9), np.uint8)],
            "names": ["abc", 3, ["a"], [1, 2, 3]],
            "mmap": BOOLEANS,
            "verify": BOOLEANS,
        },
    ),
    "coding.JointCodec": Case(
        coding.JointCodec,
        {"thumbnails": THUMBNAILS, "hasher": HASHER, "weight": 1.0},
        lambda codec: codec.fit(IMAGES, FEATURES).tables(PAIR),
        {
            "fit": {"images": IMAGES, "features": FEATURES},
            "fit_transform": {"X": (IMAGES, FEATURES)},
            "encode": {"images": IMAGES, "features": FEATURES},
            "transform": {"X": PAIR},
            "rows": {"X": PAIR},
            "from_rows": {"rows": lambda codec: codec.encode(*PAIR)},
            "fine_tuned": {"features": FEATURES, "groups": np.arange(256) % 9, "epochs": 1},
            "tables": {"queries": PAIR},
            "as_queries": {"queries": PAIR},
            "operand": {"queries": lambda codec: codec.as_queries(PAIR), "metric": "joint"},
            "storage": {"metric": "joint"},
            **{
                method: {"codes": lambda codec: codec.encode(*PAIR)}
                for method in ("decode", "picture", "features", "as_codes")
            },
        },
        {
            "thumbnails": [3, "codec", HASHER],
            "hasher": [3, "hasher", THUMBNAILS],
            "weight": ["1", float("nan"), -1.0],
            "encode.images": [IMAGES / 255, IMAGES[:3]],
            "encode.features": [FEATURES[:, :2], FEATURES[:3]],
            "fine_tuned.features": [FEATURES[:3]],
            "groups": [None, [1, 2]],
            "epochs": [0, 1.5],
            "learning_rate": [-1.0, "1"],
            "X": [3, IMAGES, (IMAGES,), (IMAGES / 255, FEATURES)],
            "fit_transform.X": [3, IMAGES, (IMAGES,)],
            "queries": [3, IMAGES, (IMAGES[:2],), (IMAGES[:2], FEATURES[:3])],
            "codes": [*NOT_ROWS[:4], np.zeros((2, 9), np.uint8)],
        },
        skipped=frozenset(
            {
                *("fit.images", "fit.features", "operand.queries", "fine_tuned.features"),
                "get_feature_names_out.input_features",  # there are none of pairs
            }
        ),
    ),
    "coding.ResidualBinaryCoder": Case(
        coding.ResidualBinaryCoder,
        {"n_stages": 2, "n_bits": 16, "shape": (8, 8, 3), "hidden": 8, "epochs": 1, "random_state": 0},
        lambda codec: codec.fit(IMAGES),
        {
            "fit": {"images": IMAGES},
            "fit_transform": {"X": IMAGES},
            "encode": {"images": IMAGES},
            "transform": {"X": IMAGES},
            "rows": {"X": IMAGES},
            "decode": {"codes": lambda codec: codec.encode(IMAGES)},
            "from_rows": {"rows": lambda codec: codec.encode(IMAGES)},
            "as_codes": {"codes": lambda codec: codec.encode(IMAGES)},
            "as_queries": {"queries": IMAGES[:2]},
            "operand": {"queries": lambda codec: codec.encode(IMAGES), "metric": "hamming"},
            "storage": {"metric": "hamming"},
        },
        {
            "n_stages": [*NATURAL, 0, 65],
            "n_bits": [*NATURAL, 12, 1 << 15],
            "shape": [3, (8, 8), (8, 8, 2), (3, 8, 3), (8, 8.5, 3)],
            "hidden": [*NATURAL, 0],
            "images": NOT_IMAGES,
            "fit.images": [*NOT_IMAGES, IMAGES[:1]],
            "X": NOT_IMAGES,
            "fit_transform.X": [*NOT_IMAGES, IMAGES[:1]],
            "queries": NOT_IMAGES,
            "codes": [*NOT_ROWS[:4], np.zeros((2, 5), np.uint8)],
        },
        skipped=frozenset({"operand.queries"}),
    ),
}
