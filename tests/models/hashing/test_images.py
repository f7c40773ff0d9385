"""Perceptual hashes of pictures against the package imagehash, kinds of pictures, and files that are none."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from platform import machine
from typing import Any

import numpy as np
import pytest
from fastcodes import hamming
from fastcodes.hashing import images
from helpers import data_file, run_python
from pictures import waves

Image = pytest.importorskip("PIL.Image", reason="hashes of pictures need Pillow")
imagehash = pytest.importorskip("imagehash", reason="bits are those of imagehash")

HASHES: dict[str, tuple[Callable[..., Any], Callable[..., Any], dict[str, Any]]] = {
    "average": (images.average_hash, imagehash.average_hash, {}),
    "average, 16": (images.average_hash, imagehash.average_hash, {"hash_size": 16}),
    "horizontal difference": (images.difference_hash, imagehash.dhash, {}),
    "horizontal difference, 5": (images.difference_hash, imagehash.dhash, {"hash_size": 5}),
    "perceptual": (images.perceptual_hash, imagehash.phash, {}),
    "perceptual, 16": (images.perceptual_hash, imagehash.phash, {"hash_size": 16}),
    "perceptual, 2": (images.perceptual_hash, imagehash.phash, {"hash_size": 2, "highfreq_factor": 1}),
    "perceptual, odd": (images.perceptual_hash, imagehash.phash, {"hash_size": 7, "highfreq_factor": 3}),
    "perceptual, prime": (images.perceptual_hash, imagehash.phash, {"hash_size": 31, "highfreq_factor": 1}),
    "wavelet": (images.wavelet_hash, imagehash.whash, {}),
    "wavelet, 16": (images.wavelet_hash, imagehash.whash, {"hash_size": 16}),
    "wavelet, 64 pixels": (images.wavelet_hash, imagehash.whash, {"image_scale": 64}),
    "color": (images.color_hash, imagehash.colorhash, {}),
    "color, 1": (images.color_hash, imagehash.colorhash, {"binbits": 1}),
    "color, 5": (images.color_hash, imagehash.colorhash, {"binbits": 5}),
}
each_hash = pytest.mark.parametrize("name", HASHES)


def check(name: str, pictures: list[Any]) -> None:
    """Compare the codes of pictures of Pillow with the bits of imagehash."""
    ours, theirs, options = HASHES[name]
    expected = [np.packbits(theirs(picture, **options).hash) for picture in pictures]
    np.testing.assert_array_equal(ours(pictures, **options), expected)


# --- the bits of imagehash ----------------------------------------------------------------------------------


def flat_or_symmetric() -> list[Any]:
    """Return pictures most of whose frequencies are zero, like the median: their bits depend on rounding."""
    y, x = np.mgrid[:90, :120]
    round_ = (x - 59.5) ** 2 + (y - 44.5) ** 2
    made = [np.full((64, 64), value) for value in (0, 1, 17, 128, 255)]
    made += [x, y, x + y, 2 * x, round_ // 40, 200 * (round_ < 900), 255 * (x > 60), 255 * (x // 16 % 2)]
    made += [255 * ((x // 8 + y // 8) % 2), 255 * (x == 60), 90 + (x // 40) * (y // 30)]
    arrays = [np.asarray(picture % 256, np.uint8) for picture in made]
    arrays += [np.hstack([array, array[:, ::-1]]) for array in arrays]
    arrays += [np.vstack([array, array[::-1]]) for array in arrays]
    arrays += [array[:64, :64] for array in arrays]
    arrays += [waves(height, width, 1) for height, width in ((1, 1), (1, 90), (70, 1), (2, 5), (3, 200))]
    return [Image.fromarray(array) for array in arrays]


@each_hash
def test_random_pictures(name: str) -> None:
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(100):
        height, width = rng.integers(8, 140, 2)
        pictures.append(Image.fromarray(rng.integers(0, 256, (height, width, 3)).astype(np.uint8)))
        height, width = rng.integers(8, 40, 2)
        pictures.append(Image.fromarray(255 * rng.integers(0, 2, (height, width)).astype(np.uint8)))
        pictures.append(Image.fromarray(waves(height + 8, width + 8, noise=float(rng.integers(9)))))
    check(name, pictures)


@pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.0.0" or sys.platform != "linux" or machine() != "x86_64",
    reason="the transforms of numpy and scipy may round differently",
)
@each_hash
def test_flat_and_symmetric_pictures(name: str) -> None:
    check(name, flat_or_symmetric())


@each_hash
def test_modes_of_pillow(name: str) -> None:
    picture = Image.fromarray(waves(70, 90))
    modes = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV")
    check(name, [picture.convert(mode) for mode in modes])


@each_hash
def test_photographs(name: str) -> None:
    pictures = []
    for number in range(1, 25, 2):
        picture = Image.open(data_file(f"kodak/kodim{number:02}.png"))
        pictures += [picture, *(picture.resize(size) for size in ((384, 256), (100, 75), (33, 47), (9, 8)))]
        coded = io.BytesIO()
        picture.resize((384, 256)).save(coded, "JPEG", quality=20)
        pictures.append(Image.open(coded))
    check(name, pictures)


def test_vertical_differences() -> None:
    pictures = [Image.fromarray(waves(50, 60)), *flat_or_symmetric()]
    for size in (8, 5):
        expected = [np.packbits(imagehash.dhash_vertical(picture, size).hash) for picture in pictures]
        codes = images.difference_hash(pictures, hash_size=size, axis="vertical")
        np.testing.assert_array_equal(codes, expected)


def test_the_hexadecimal_text_of_a_hash() -> None:
    picture = Image.fromarray(waves(50, 60))
    assert images.perceptual_hash(picture).tobytes().hex() == str(imagehash.phash(picture))


# --- pictures and sequences of them -------------------------------------------------------------------------


def test_every_kind_of_picture_has_the_same_code(tmp_path: Path) -> None:
    array = waves(60, 80)
    path = tmp_path / "picture.png"
    Image.fromarray(array).save(path)
    code = images.perceptual_hash(array)
    assert code.shape == (8,)
    assert code.dtype == np.uint8
    with path.open("rb") as file:
        kinds = [
            str(path),
            path,
            file,
            io.BytesIO(path.read_bytes()),
            Image.open(path),
            array[::1],
            array.data,
        ]
        # A file that occurs twice is read once: threads must not share its position.
        codes = images.perceptual_hash([*kinds[:-1], np.asarray(kinds[-1]), file], threads=2)
    np.testing.assert_array_equal(codes, [code] * 8)
    for kind in kinds[:2]:
        np.testing.assert_array_equal(images.perceptual_hash(kind), code)


def test_sequences_of_pictures() -> None:
    batch = np.stack([waves(40, 50, seed=seed) for seed in range(5)])
    codes = images.difference_hash(batch)
    assert codes.shape == (5, 8)
    for sequence in (list(batch), tuple(batch), iter(batch)):
        np.testing.assert_array_equal(images.difference_hash(sequence), codes)
    np.testing.assert_array_equal(images.difference_hash(batch, threads=1), codes)
    assert images.difference_hash([], hash_size=5).shape == (0, 4)
    assert images.color_hash([]).shape == (0, 6)
    assert images.average_hash(batch[:0]).shape == (0, 8)


def test_near_duplicates_are_found() -> None:
    pictures = [waves(96, 128, seed=seed, noise=2.0)[:: 1 + seed, :: 1 + seed] for seed in range(3)]
    others = [np.ascontiguousarray(pictures[0][::-1]), 255 - pictures[0]]
    codes = images.perceptual_hash(pictures + others)
    assert hamming.groups(codes, radius=6)[:3].tolist() == [0, 0, 0]
    assert hamming.cdist(codes[:1], codes[3:]).min() > 20
    distances, rows = hamming.knn(codes[0], codes, k=3)
    assert sorted(rows[0].tolist()) == [0, 1, 2]
    assert distances.max() <= 6


# --- what is no picture -------------------------------------------------------------------------------------


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    good, cut, text, deep = (tmp_path / name for name in ("good.png", "cut.png", "text.png", "deep.png"))
    Image.fromarray(waves(60, 80)).save(good)
    cut.write_bytes(good.read_bytes()[:3000])
    text.write_text("no picture")
    Image.fromarray(np.full((40, 40), 20_000, np.uint16)).save(deep)
    for path, reason in (
        (cut, "cannot be read as a picture: "),
        (text, "cannot be read as a picture: Pillow does not know its format"),
        (deep, r"has more than 8 bits a sample \(mode I;16\); convert it to 8"),
    ):
        named = rf"images\[1\] is '.*{path.name}', which {reason}"
        with pytest.raises(ValueError, match=named):
            images.average_hash([good, path])
        with path.open("rb") as file, pytest.raises(ValueError, match=named):
            images.average_hash([good, file])
        with pytest.raises(ValueError, match=rf"^images is '.*{path.name}', which {reason}"):
            images.color_hash(path)
    with (
        Image.open(cut) as picture,
        pytest.raises(ValueError, match=r"images\[0\] is '.*cut.png', which cannot be read"),
    ):
        images.average_hash([picture])
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        images.average_hash([good, tmp_path / "none.png"])
    with pytest.raises(ValueError, match="cannot be read as a picture: Image size"):
        images.average_hash(_bomb(tmp_path))


def _bomb(folder: Path) -> Path:
    """Return a small file that says that its picture has ten billion pixels."""
    path = folder / "bomb.pgm"
    path.write_bytes(b"P5 100000 100000 255\n")
    return path


def test_pillow_is_imported_when_a_picture_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_python("import sys, fastcodes.hashing.images; print('PIL' in sys.modules)") == "False"
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pip install 'fastcodes\[images\]'"):
        images.average_hash(waves(8, 8))
