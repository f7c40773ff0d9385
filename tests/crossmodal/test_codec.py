"""CrossModalCodec: the container byte by byte, prefixes, layers, the header, bad pictures and streams."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from captioned import CAPTIONS, FEATURES, IMAGES, LABELS, captioner, codec, painter, texts, thumbnails
from fastcodes.coding import ImageCodec
from fastcodes.crossmodal import AttributeCaptioner, AttributePainter, CrossModalCodec
from fastcodes.crossmodal._pixels import as_bytes, resized
from fastcodes.metrics import psnr
from pictures import waves

PICTURE = waves(61, 47)
FULL = codec(
    classifier=lambda x: np.array([0.05, 0.7, 0.25]),
    n_top=2,
    thumbnails=thumbnails(),
    images=ImageCodec(quality=75),
)


class Fixed:
    """A captioner of one text."""

    def __init__(self, text: Any) -> None:
        self.text = text

    def describe(self, x: Any) -> Any:
        """Return the text."""
        return self.text


def with_text(text: Any) -> CrossModalCodec:
    return CrossModalCodec(Fixed(text), texts(), painter())


# --- the pipeline -------------------------------------------------------------------------------------------


def test_the_picture_becomes_a_caption_of_its_kind_and_a_picture_of_it() -> None:
    for image, row, label in zip(IMAGES[:9], FEATURES[:9], LABELS[:9], strict=True):
        data = codec().encode(image)
        assert data == codec().encode(image, features=row)
        assert codec().explain(data) in CAPTIONS[label]
        decoded = codec().decode(data)
        assert decoded.shape == (16, 20, 3)
        assert np.abs(decoded.mean(axis=(0, 1)) - image.mean(axis=(0, 1))).max() < 10
        assert len(data) <= 4  # each of six captions


def test_a_caption_costs_one_byte_more_than_its_code() -> None:
    for text in ["", "A cat on a mat.", "Ünïcödé 猫 😀", "x" * 40, "rare words " * 30]:
        data = with_text(text).encode(IMAGES[0])
        code = texts().encode(text)
        if len(code) < 31:
            assert data == bytes([64 | len(code)]) + code
        else:
            n = len(code) - 31
            varint = bytes([n]) if n < 128 else bytes([n & 127 | 128, n >> 7])
            assert data == bytes([64 | 31]) + varint + code
        assert with_text(text).explain(data) == text
        assert with_text(text).decode(data).shape == (16, 20, 3)


def test_the_container_is_what_the_documentation_says() -> None:
    data = FULL.encode(PICTURE)
    code = texts().encode(FULL.explain(data))
    assert data[0] == 64 | 32 | len(code)
    # Class 1 with 11 sixteenths, another follows; class 2 with 4.
    assert data[1:5] == (1 << 5 | 16 | 10).to_bytes(2, "big") + (2 << 5 | 3).to_bytes(2, "big")
    place = 5 + len(code)
    assert data[5:place] == code
    assert data[place] == 15
    picture = ImageCodec(quality=75).encode(PICTURE)
    place += 17
    assert data[place] == 0
    length = data[place + 1] & 127 | data[place + 2] << 7
    assert data[place + 1] > 127 > data[place + 2]
    assert length == len(picture)
    assert data[place + 3 :] == picture


# --- layers -------------------------------------------------------------------------------------------------


def test_every_prefix_with_the_message_can_be_decoded_at_the_best_layer_that_it_has() -> None:
    data = FULL.encode(PICTURE)
    info = FULL.inspect(data)
    assert info.layers == ("thumbnail", "picture")
    assert info.ends == (info.ends[0], info.ends[0] + 17, len(data))
    assert info.is_complete
    painted, small = (FULL.decode(data[:end]) for end in info.ends[:2])
    assert np.array_equal(painted, painter().paint(FULL.explain(data)))
    whole = FULL.decode(data)
    assert np.array_equal(whole, ImageCodec().decode(ImageCodec(quality=75).encode(PICTURE)))
    for n in range(len(data)):
        part = data[:n]
        if n < info.ends[0]:
            with pytest.raises(ValueError, match=r"data (was cut within its (posterior|message)|is empty)"):
                FULL.decode(part)
            continue
        assert FULL.explain(part) == FULL.explain(data)
        assert FULL.inspect(part).posterior == info.posterior
        assert FULL.inspect(part).is_complete == (n in info.ends)
        decoded = FULL.decode(part)
        if n < info.ends[1]:
            assert np.array_equal(decoded, painted)
        elif decoded.shape == painted.shape:
            assert np.array_equal(decoded, small)
        else:  # the picture at a lower resolution
            assert decoded.shape in {(-(-61 // 2**i), -(-47 // 2**i), 3) for i in range(4)}
    assert FULL.decode(data[:-1]).shape == (31, 24, 3)


@pytest.mark.parametrize("size", [(61, 47), (24, 200), (40, 40), (9, 9), (7, 30), (8, 8)])
@pytest.mark.parametrize("images", [ImageCodec(quality=75), ImageCodec(lossless=True)])
def test_longer_prefixes_are_never_smaller_or_worse(size: tuple[int, int], images: ImageCodec) -> None:
    picture = waves(*size)
    made = CrossModalCodec(
        Fixed("blue"), texts(), AttributePainter((8, 8)), thumbnails=thumbnails(), images=images
    )
    data = made.encode(picture)
    best, sides = 0.0, (0, 0)
    first = made.inspect(data).ends[0]
    for n in [*range(first, len(data), (len(data) - first) // 30 + 1), len(data) - 1, len(data)]:
        decoded = made.decode(data[:n])
        quality = psnr(picture, as_bytes(resized(decoded, *size)))
        if n < len(data):  # the whole one has the size of the picture
            assert decoded.shape[0] >= sides[0]
            assert decoded.shape[1] >= sides[1]
            sides = decoded.shape[:2]
        assert quality > best - 0.05
        best = max(best, quality)
    assert decoded.shape == picture.shape


def test_the_layers_bring_the_picture_nearer() -> None:
    data = FULL.encode(PICTURE)
    errors = []
    for end in FULL.inspect(data).ends[1:]:
        decoded = FULL.decode(data[:end])
        mean = decoded.astype(float).mean(axis=(0, 1))
        errors.append(np.abs(mean - PICTURE.mean(axis=(0, 1))).max())
    painted = FULL.decode(data[: FULL.inspect(data).ends[0]]).mean(axis=(0, 1))
    assert np.abs(painted - PICTURE.mean(axis=(0, 1))).max() > 5 * errors[0] > errors[1]


class Painted:
    """A painter of one picture."""

    def __init__(self, picture: Any) -> None:
        self.picture = picture

    def paint(self, message: str) -> Any:
        """Return the picture."""
        return self.picture


def test_details_of_the_painted_picture_sharpen_the_thumbnail() -> None:
    # Fine stripes on a slope from right to left; the picture has one from above to below.
    slope, stripes = np.linspace(60, 190, 64), 30 * (-1) ** np.arange(64)
    painted = np.repeat((slope[::-1] + stripes[:, None])[..., None], 3, axis=2).astype(np.uint8)
    picture = np.broadcast_to(slope[:, None, None], (64, 64, 3)).astype(np.uint8)

    def decoded(details: float) -> Any:
        made = CrossModalCodec(
            Fixed("stripes"), texts(), Painted(painted), thumbnails=thumbnails(), details=details
        )
        return made.decode(made.encode(picture)).astype(float)

    small = thumbnails().decode(thumbnails().encode(as_bytes(resized(painted, 8, 8))[None]))[0]
    lacking = painted - resized(small, 64, 64)
    blurred = decoded(0.0)
    for details in (0.5, 1.0):
        expected = np.clip(blurred + details * lacking, 0, 255)
        assert np.abs(decoded(details) - expected).max() <= 1  # both are rounded
    assert np.abs(lacking).mean() > 20


@pytest.mark.parametrize("details", [0.0, 1.0])
@pytest.mark.parametrize(
    "picture",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3)), [[[1, 2, 3]]], "red"],
)
def test_a_painter_of_no_pictures_is_refused(picture: Any, details: float) -> None:
    made = CrossModalCodec(Fixed("a"), texts(), Painted(picture), thumbnails=thumbnails(), details=details)
    data = made.encode(PICTURE)
    for part in (data, data[: made.inspect(data).ends[0]]):
        with pytest.raises(ValueError, match=r"painter must return a uint8 array \(height, width, 3\)"):
            made.decode(part)


def test_a_layer_that_was_altered_or_is_of_another_codec_is_noticed() -> None:
    data = FULL.encode(PICTURE)
    ends = FULL.inspect(data).ends
    altered = bytearray(data)
    altered[-30] ^= 255
    with pytest.raises(ValueError, match=r"check|altered"):
        FULL.decode(bytes(altered))
    with pytest.raises(ValueError, match="thumbnail of 16 bytes, but this codec has none"):
        codec().decode(data[: ends[1]])
    assert codec().decode(data).shape == PICTURE.shape


# --- the header ---------------------------------------------------------------------------------------------


def test_the_posterior_is_in_the_first_bytes() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.full(1000, 0.01))
    for n_top in (1, 3, 16):
        made = codec(classifier=lambda x: probabilities, n_top=n_top)
        info = made.inspect(made.encode(IMAGES[0]))
        assert [label for label, _ in info.posterior] == np.argsort(-probabilities)[:n_top].tolist()
        for label, probability in info.posterior:
            assert abs(probability - max(probabilities[label], 1 / 16)) <= 1 / 32
        assert len(made.encode(IMAGES[0])) == len(codec().encode(IMAGES[0])) + 2 * n_top
        assert made.inspect(made.encode(IMAGES[0])[: 1 + 2 * n_top + 20]).posterior == info.posterior


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ([0.5, 0.6], "sum of 1.1"),
        ([1.5, -0.5], "from 0 up"),
        ([np.nan, 1.0], "sum of nan"),
        ([[1.0]], r"shape \(1, 1\)"),
        ([], "1 to 2048 classes"),
        (np.full(2049, 1 / 2049), "1 to 2048 classes"),
        ("cat", "1 to 2048 classes"),
    ],
)
def test_wrong_probabilities_are_refused(probabilities: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        codec(classifier=lambda x: probabilities).encode(IMAGES[0])


# --- cost ---------------------------------------------------------------------------------------------------


def squared(image: Any, painted: Any) -> float:
    return float(np.square(image.mean(axis=(0, 1)) - painted.mean(axis=(0, 1))).sum())


def test_the_cost_is_distortion_and_weighted_bits() -> None:
    made = codec(distance=squared, weight=0.5)
    data = made.encode(IMAGES[0])
    assert made.cost(IMAGES[0], data) == squared(IMAGES[0], made.decode(data)) + 0.5 * 8 * len(data)
    with pytest.raises(ValueError, match="distance is None"):
        codec().cost(IMAGES[0], data)


def test_the_message_with_the_least_cost_is_chosen() -> None:
    class Several(Fixed):
        def candidates(self, x: Any) -> list[str]:
            return ["A cat on a mat.", "The bus is on the street.", "Dogs run in white snow."]

    for weight, expected in ((0.0, "The bus is on the street."), (1e6, None)):
        made = CrossModalCodec(Several(""), texts(), painter(), distance=squared, weight=weight)
        chosen = made.explain(made.encode(IMAGES[1]))  # a bus
        lengths = {text: len(texts().encode(text)) for text in Several("").candidates(None)}
        assert chosen == expected or (weight and lengths[chosen] == min(lengths.values()))


# --- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (301, 1, 3), (17, 31), (1, 1), (33, 7, 3)])
def test_pictures_of_any_size_and_grey_ones(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    made = codec(thumbnails=thumbnails(), images=ImageCodec(lossless=True))
    data = made.encode(image)
    assert np.array_equal(made.decode(data), image)
    for end in made.inspect(data).ends[:2]:
        assert made.decode(data[:end]).shape == (16, 20, 3)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8, 4), np.uint8), "alpha channel"),
        (np.zeros((8, 8), np.uint16), r"image >> 8"),
        (np.zeros((8, 8, 3)), "np.round"),
        (np.zeros((0, 8, 3), np.uint8), "sides from 1"),
        (np.zeros((8, 0), np.uint8), "sides from 1"),
        (np.zeros((2, 8, 8, 3), np.uint8), "height, width, 3"),
        ("picture.png", "uint8"),
        (None, "uint8"),
    ],
)
def test_other_pictures_are_refused_with_the_way_out(image: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"image .*{message}|{message}"):
        codec().encode(image)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "data is empty"),
        (b"\x00", "version 0"),
        (b"\x80abc", "version 2"),
        (b"\xff", "version 3"),
        (b"\x45ab", "cut within its message"),
        (b"\x61\x00", "cut within its posterior"),
        (b"\x5f", "cut within its length"),
        (b"\x5f\xff\xff\xff\xff\xff\xff\x7f", "altered"),
        (b"\x60" + b"\x00\x10" * 20, "more than 16 classes"),
        ("text", "bytes"),
        (None, "bytes"),
    ],
)
def test_other_streams_are_refused(data: Any, message: str) -> None:
    for method in (codec().decode, codec().explain, codec().inspect):
        with pytest.raises((TypeError, ValueError), match=message):
            method(data)


@pytest.mark.parametrize("tail", [b"\x03", b"\x06abc", b"\x00" + b"\xff" * 8])
def test_a_damaged_layer_leaves_the_message(tail: bytes) -> None:
    data = codec().encode(IMAGES[0])
    assert codec().explain(data + tail) == codec().explain(data)
    for method in (codec().decode, codec().inspect):
        with pytest.raises(ValueError, match=r"layer of kind|altered"):
            method(data + tail)


def test_the_largest_picture_is_chosen() -> None:
    made = codec(images=ImageCodec())
    data = made.encode(PICTURE)
    assert made.decode(data, max_pixels=61 * 47).shape == PICTURE.shape
    with pytest.raises(ValueError, match="max_pixels"):
        made.decode(data, max_pixels=61 * 47 - 1)
    with pytest.raises(ValueError, match="max_pixels"):
        codec().decode(codec().encode(PICTURE), max_pixels=0)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_pictures_of_16_bits_are_refused_with_the_way_to_8(shape: tuple[int, ...]) -> None:
    image = np.zeros(shape, np.uint16)
    for method in (codec(images=ImageCodec(lossless=True)).encode, AttributeCaptioner().describe):
        with pytest.raises(TypeError, match=r"\(image >> 8\).astype\(np.uint8\)$"):
            method(image)


def test_a_captioner_that_only_describes_has_one_candidate() -> None:
    made = CrossModalCodec(Fixed("A cat."), texts(), painter(), distance=squared)
    assert made.explain(made.encode(IMAGES[1])) == "A cat."


def test_a_long_message_is_not_believed() -> None:
    with pytest.raises(ValueError, match="cut within its message: got 7 bytes"):
        codec().decode(b"\x5f\xff\xff\xff\xff\x7fx")


def test_random_bytes_are_decoded_or_refused() -> None:
    rng = np.random.default_rng(0)
    data = FULL.encode(PICTURE)
    for _ in range(300):
        altered = bytearray(data[: rng.integers(1, len(data))])
        altered[rng.integers(min(len(altered), 40))] = rng.integers(256)
        with suppress(ValueError):
            assert FULL.decode(bytes(altered)).dtype == np.uint8


@pytest.mark.parametrize("text", [None, 3, b"bytes"])
def test_a_captioner_that_returns_no_text_is_refused(text: Any) -> None:
    with pytest.raises(TypeError, match="text must be a str"):
        with_text(text).encode(IMAGES[0])


def test_without_features_the_error_says_how_to_get_them() -> None:
    made = CrossModalCodec(captioner(), texts(), painter())
    with pytest.raises(ValueError, match="given features="):
        made.encode(IMAGES[0])


def test_parts_without_the_methods_are_refused() -> None:
    for arguments, message in [
        ((None, texts(), painter()), "captioner must have describe"),
        ((captioner(), 3, painter()), "text_codec must have encode and decode"),
        ((captioner(), texts(), type(painter())), "painter must have paint"),
    ]:
        with pytest.raises(TypeError, match=message):
            CrossModalCodec(*arguments)  # type: ignore[arg-type]
