"""The bytes of ImageCodec: fixed at every level, as they are described, refused where they are damaged."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pictures
import pytest
from fastcodes import _native
from fastcodes.coding import ImageCodec
from helpers import run_python
from pictures import N_RESOLUTIONS, Picture, waves

EXACT = ImageCodec(lossless=True)
CODECS = {
    "lossless": EXACT,
    "psnr": ImageCodec(85),
    "ms-ssim": ImageCodec(85, tune="ms-ssim"),
}


# --- the same bytes everywhere ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("channels", [1, 3])
def test_bytes_and_pixels_do_not_depend_on_threads(name: str, channels: int) -> None:
    image = waves(530, 600, channels)  # of four tiles
    codec = CODECS[name]
    data = codec.encode(image, threads=1)
    decoded = [codec.decode(data, reduce=reduce, threads=1) for reduce in range(N_RESOLUTIONS)]
    for threads in (2, 3, None):
        assert codec.encode(image, threads=threads) == data
        for reduce, expected in enumerate(decoded):
            assert np.array_equal(codec.decode(data, reduce=reduce, threads=threads), expected)


FIXED = """
import json, zlib
import numpy as np
from fastcodes.coding import ImageCodec
from pictures import integers

def crcs(codec, image):
    data = codec.encode(image, threads=2)
    decoded = [codec.decode(data, reduce=reduce).tobytes() for reduce in range(4)]
    return [len(data), *map(zlib.crc32, [data, *decoded])]

grey, color = integers(70, 90, 1), integers(60, 80)
print(json.dumps({
    "lossless, grey": crcs(ImageCodec(lossless=True), grey),
    "lossless, color": crcs(ImageCodec(lossless=True), color),
    "lossless, 16 bits": crcs(ImageCodec(lossless=True), grey.astype(np.uint16) * 251),
    "psnr, grey": crcs(ImageCodec(step=8), grey),
    "psnr, color": crcs(ImageCodec(step=20), color),
}))
"""
# Bytes, and CRC-32 of the bytes and of the samples for each `reduce`.
EXPECTED = {
    "lossless, grey": [2226, 46296517, 2802133584, 1127255661, 2263570496, 2525881114],
    "lossless, color": [3845, 4089956624, 3969242295, 3099028655, 3800649251, 1780924805],
    "lossless, 16 bits": [8277, 3530402795, 1844982282, 2335584984, 3820190736, 2546531375],
    "psnr, grey": [1127, 3432907697, 2501046321, 4188888135, 1239497363, 453327827],
    "psnr, color": [1442, 3602486703, 3698185231, 2150616478, 1167419210, 649439390],
}


@pytest.mark.parametrize("level", _native.levels())
def test_bytes_are_fixed(level: str) -> None:
    """Stored pictures have to be readable: these bytes and pixels must never change."""
    assert json.loads(run_python(FIXED, {"FASTCODES_LEVEL": level})) == EXPECTED


# --- the description ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("shape", [(1, 1), (33, 20), (70, 90, 3), (513, 40), (40, 1030, 3)])
def test_the_header_is_as_it_is_described(name: str, shape: tuple[int, ...]) -> None:
    image, codec = waves(*shape[:2], 1 if len(shape) == 2 else 3), CODECS[name]
    data = codec.encode(image)
    found = Picture.read(data)
    assert (found.height, found.width) == shape[:2]
    flags = {"lossless": pictures.LOSSLESS, "psnr": 0, "ms-ssim": pictures.MS_SSIM}[name]
    assert found.flags == flags | (pictures.COLOR if len(shape) == 3 else 0)
    if name != "lossless":
        assert found.step == codec.inspect(data).step
    assert found.data == data


def test_deep_pictures_have_a_flag_and_contexts_of_large_samples() -> None:
    deep = waves(40, 50, 1).astype(np.uint16)
    for image in (deep, deep * 200):
        found = Picture.read(EXACT.encode(image))
        assert found.flags == pictures.LOSSLESS | pictures.SIXTEEN_BITS
        assert found.data == EXACT.encode(image)
    assert found.kind[0] > 2


@pytest.mark.parametrize("name", CODECS)
def test_lower_resolutions_need_the_first_bytes_only(name: str) -> None:
    for image in (waves(75, 91), waves(60, 600, 1)):
        data = CODECS[name].encode(image)
        ends = Picture.read(data).ends
        assert ends[-1] == len(data)
        assert ends[0] < len(data) / 2
        for end, reduce in zip(ends, reversed(range(N_RESOLUTIONS)), strict=True):
            expected = EXACT.decode(data, reduce=reduce)
            assert np.array_equal(EXACT.decode(data[:end], reduce=reduce), expected)
            with pytest.raises(ValueError, match="data is no picture of ImageCodec, or was damaged"):
                EXACT.decode(data[: end - 1], reduce=reduce)
            if reduce:  # later bytes are not even looked at
                assert np.array_equal(EXACT.decode(data[:end] + b"other", reduce=reduce), expected)


# --- damaged bytes ------------------------------------------------------------------------------------------


def refused(data: Any, **options: Any) -> str:
    """Return why bytes are refused."""
    with pytest.raises(ValueError, match="data is no picture of ImageCodec, or was damaged: ") as caught:
        EXACT.decode(data, **options)
    return str(caught.value).partition("damaged: ")[2]


SMALL = [
    pytest.param(codec.encode(waves(18, 21, channels)), id=f"{name}-{channels}")
    for name, codec in CODECS.items()
    for channels in (1, 3)
]


@pytest.mark.parametrize("data", SMALL)
def test_cut_bytes_are_refused(data: bytes) -> None:
    for length in range(len(data)):
        assert refused(data[:length])
    assert refused(data + b"\0") == "1 bytes follow its end"


@pytest.mark.parametrize("data", SMALL)
def test_every_altered_bit_is_noticed(data: bytes) -> None:
    for place in range(8 * len(data)):
        altered = bytearray(data)
        altered[place // 8] ^= 1 << place % 8
        assert refused(altered)


def test_random_bytes_are_refused() -> None:
    rng = np.random.default_rng(0)
    for length in [*range(40), 100, 1000, 100_000]:
        assert refused(rng.bytes(length))
        assert refused(b"FCI\x01" + rng.bytes(length))
        flags = bytes([int(rng.choice([0, 1, 2, 3, 5, 8, 10]))])
        assert refused(b"FCI\x01" + flags + b"\x10\0\x10\0" + rng.bytes(length), reduce=int(rng.integers(4)))


def test_forged_parts_are_refused_or_decoded() -> None:
    """Checks can be renewed by whoever alters bytes: what was altered must not crash."""
    rng = np.random.default_rng(0)
    n_decoded = 0
    for codec in CODECS.values():
        for channels in (1, 3):
            data = codec.encode(waves(40, 50, channels))
            for _ in range(60):
                picture = Picture.read(data)
                for parts in picture.parts:
                    part = bytearray(parts[0])
                    for place in rng.integers(0, max(len(part), 1), rng.integers(4)) if part else ():
                        part[place] = rng.integers(256)
                    parts[0] = bytes(part[: rng.integers(len(part) + 1)] if rng.random() < 0.1 else part)
                if rng.random() < 0.3:
                    picture.kind = rng.bytes(len(picture.kind))
                if rng.random() < 0.3:
                    picture.flags ^= 1 << int(rng.choice([0, 1, 2, 3]))
                if rng.random() < 0.3:
                    picture.width, picture.height = map(int, rng.integers(0, 200, 2))
                reduce = int(rng.integers(N_RESOLUTIONS))
                try:
                    decoded = codec.decode(picture.data, reduce=reduce)
                except ValueError as error:
                    assert "data is no picture of ImageCodec, or was damaged: " in str(error)  # noqa: PT017
                    continue
                n_decoded += 1
                sides = [-(-side // 2**reduce) for side in (picture.height, picture.width)]
                assert list(decoded.shape[:2]) == sides
    assert n_decoded > 20


def test_a_damaged_tile_is_an_error_for_every_number_of_threads() -> None:
    """The other tiles stop, but the call was not interrupted."""
    picture = Picture.read(EXACT.encode(waves(40, 2000, 1)))
    for tile in range(4):
        before = picture.parts[3][tile]
        picture.parts[3][tile] = before[: len(before) // 2] + bytes(len(before) - len(before) // 2)
        for threads in (1, 2):
            for _ in range(5):
                try:
                    assert refused(picture.data, threads=threads) == "it was altered"
                except KeyboardInterrupt:
                    pytest.fail("a worker that another one stopped passes for Ctrl-C")
        picture.parts[3][tile] = before


def test_headers_say_what_is_wrong_with_them() -> None:
    picture = Picture.read(EXACT.encode(waves(18, 21)))
    for field, value, reason in (
        ("width", 0, "it has no pixels"),
        ("flags", 0x10, "it has a kind that this version of fastcodes does not know"),
        (
            "flags",
            pictures.LOSSLESS | pictures.MS_SSIM,
            "it has a kind that this version of fastcodes does not know",
        ),
        ("flags", 7, "it has a kind that this version of fastcodes does not know"),  # 16 bits, and color
        ("kind", b"\x0d", "it has a kind that this version of fastcodes does not know"),
        ("lengths", [[0]] * 4, "it has fewer bytes|bytes follow its end|was altered"),
        ("lengths", [[1 << 35]] + [[0]] * 3, "a part is too long"),
        ("lengths", [[1 << 34]] + [[0]] * 3, "bytes are missing at its end"),
    ):
        before = getattr(picture, field)
        setattr(picture, field, value)
        with pytest.raises(ValueError, match=reason):
            EXACT.decode(picture.data)
        setattr(picture, field, before)
    lossy = Picture.read(ImageCodec(50).encode(waves(18, 21)))
    for kind in (b"\0\3", b"\1\x16", b"\xff\xff"):  # below 1/16, above 16,384
        lossy.kind = kind + lossy.kind[2:]
        assert refused(lossy.data) == "its step is not from 1/16 to 16,384"
    assert refused(b"FCI\x02" + picture.data[4:]) == "it does not begin with the bytes 46 43 49 01"
    assert refused(b"") == "it ends within its header"


# --- claims -------------------------------------------------------------------------------------------------

CLAIMS = """
import resource, sys, time
import numpy as np
from fastcodes.coding import ImageCodec
from pictures import empty

codec = ImageCodec()
codec.decode(codec.encode(np.zeros((40, 40), np.uint8)))
short = empty(65_535, 65_535)
short.parts = [[b"", b""]] * 4
claims = [
    short,  # 60 bytes
    empty(65_535, 65_535),
    empty(65_535, 65_535, flags=2, kind=bytes([0, 16, 0, 0, 0, 0, 0, 0])),
    empty(65_535, 65_535, lengths=[[(1 << 34) - 1] * 16_384] * 4),
    empty(11_000, 11_000),
]
content = [claim.data for claim in claims]
content[0] += bytes(60 - len(content[0]))
content[1] += bytes(1000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
for data in content:
    for reduce in range(4):
        for options in ({}, {"max_pixels": 1 << 40}):
            try:
                codec.decode(data, reduce=reduce, **options)
            except ValueError as error:
                print(error, file=sys.stderr)
            else:
                raise AssertionError("decoded")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.perf_counter() - started)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss has other units elsewhere")
def test_bytes_that_claim_many_pixels_are_refused_at_once() -> None:
    kilobytes, seconds = map(float, run_python(CLAIMS).split())
    assert kilobytes < 50_000
    assert seconds < 1


def test_a_plain_picture_of_many_pixels_takes_bytes() -> None:
    """No decision takes no bits, so that bytes bound the pixels."""
    n_pixels = 2048 * 2048
    assert len(ImageCodec(0).encode(np.zeros((2048, 2048), np.uint8))) > n_pixels / 20_000
