"""CompressedThumbnails: pictures by rows, files, models that do not match."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes.coding import CompressedThumbnails, NotFittedError, ThumbnailCodec

IMAGES = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 3)).astype(np.uint8)
NAMES = [f"{i}.png" for i in range(20)]


@functools.cache
def fitted(seed: int = 0) -> ThumbnailCodec:
    return ThumbnailCodec(8, shape=(8, 8, 3), random_state=0).fit(IMAGES[seed:])


def made() -> CompressedThumbnails:
    return CompressedThumbnails(fitted(), fitted().encode(IMAGES[:20]), names=NAMES)


def test_rows_are_read_as_numpy_reads_them() -> None:
    thumbnails = made()
    decoded = fitted().decode(thumbnails.codes)
    assert len(thumbnails) == 20
    assert thumbnails.nbytes == 160
    for rows in (0, -1, slice(3, 9), slice(None), [4, -2, 4], [], np.arange(20) % 3 == 0):
        assert np.array_equal(thumbnails[rows], decoded[rows])
    assert "20 pictures" in repr(thumbnails)
    with pytest.raises(ValueError, match="rows cannot be converted"):
        thumbnails[[[1, 2], [3]]]
    for wrong, kind in (("3", TypeError), (0.5, TypeError), ([[1]], TypeError), (20, IndexError)):
        with pytest.raises(kind, match=r"rows|out of bounds"):
            thumbnails[wrong]


@pytest.mark.parametrize("mmap", [False, True])
def test_files_say_which_model_decodes_them(tmp_path: Path, mmap: bool) -> None:
    path = tmp_path / "thumbs.safetensors"
    made().save(path)
    loaded = CompressedThumbnails.load(path, codec=fitted(), mmap=mmap, verify=True)
    assert loaded.names == NAMES
    assert np.array_equal(loaded[:], made()[:])
    for other in (fitted(1), None):
        with pytest.raises(ValueError, match=r"codec has the model [0-9a-f]{8}, but the pictures of"):
            CompressedThumbnails.load(path, codec=other)
    content = path.read_bytes()
    for place in (len(content) - 3, 200):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(ValueError, match="CompressedThumbnails file"):
            CompressedThumbnails.load(path, codec=fitted())
    path.write_bytes(content[:-1])
    with pytest.raises(ValueError, match="CompressedThumbnails file"):
        CompressedThumbnails.load(path, codec=fitted())


def test_names_are_optional(tmp_path: Path) -> None:
    CompressedThumbnails(fitted(), fitted().encode(IMAGES[:2])).save(tmp_path / "thumbs")
    assert CompressedThumbnails.load(tmp_path / "thumbs", codec=fitted()).names is None


def test_the_pretrained_model() -> None:
    codec = ThumbnailCodec.pretrained()
    assert (codec.n_bytes, codec.shape, codec.layout) == (64, (32, 32, 3), "dense")
    y, x = np.indices((32, 32))
    image = np.stack([8 * x, 8 * y, 255 - 4 * x - 4 * y], axis=2).clip(0, 255).astype(np.uint8)
    assert codec.score(image[None]) > 23
    # The same bytes and pixels on every machine.
    codes = codec.encode(image[None])
    assert codec.decode(codes).sum() == codec.decode(codec.encode(image[None], threads=2)).sum()


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((3, IMAGES), TypeError, "codec must be a ThumbnailCodec"),
        ((ThumbnailCodec(), np.zeros((1, 64), np.uint8)), NotFittedError, "not fitted"),
        ((fitted, np.zeros((1, 9), np.uint8)), ValueError, r"codes must have shape \(n, 8\)"),
        ((fitted, np.zeros((1, 8))), TypeError, "codes must be"),
        ((fitted, np.zeros((1, 8), np.uint8), ["a", "b"]), ValueError, "names are 2, but codes have 1"),
        ((fitted, np.zeros((1, 8), np.uint8), [3]), TypeError, "names must be strings"),
        ((fitted, np.zeros((1, 8), np.uint8), "a"), TypeError, "names must be"),
    ],
)
def test_wrong_arguments_are_refused(arguments: Any, kind: type[Exception], message: str) -> None:
    codec, codes, *names = arguments
    with pytest.raises(kind, match=message):
        CompressedThumbnails(
            codec() if codec is fitted else codec, codes, **({"names": names[0]} if names else {})
        )
