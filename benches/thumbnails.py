"""Thumbnails of 64 bytes by `ThumbnailCodec` and other placeholders, and codes of views, in a record."""

import argparse
import base64
import importlib
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import datasets
import numpy as np
import records
import views
from fastcodes._typing import Array
from fastcodes.coding import ResidualBinaryCoder, ThumbnailCodec
from PIL import Image, ImageDraw

LOSSLESS = "cifar10_lossless_subset.npz"
N_PASSES = 3
N_TIMED = 1000
PREFIXES = (16, 32, 48)
PLACEHOLDER_BYTES = 25
HASHES = ((4, 3), (4, 4), (6, 6))
JPEG_QUALITY = 8
LABEL_HEIGHT = 14
PEERS = {"blurhash": "blurhash", "thumbhash": "thumbhash-python"}
"""Modules of peers, and the packages that have them."""
ABOUT = """\
{n_test:,} lossless test pictures of CIFAR-10, {n_train:,} others to learn from: {n_lossless:,} of them
lossless, the others a copy in JPEG of quality 75. No test picture is a JPEG, and nothing was chosen by the
test pictures. "PSNR" is the mean of the figures of pictures, "of the mean" that of the mean squared error
of all. Bytes are those of real codes, which were decoded. Models are files of `save`. BlurHash counts a
byte for each character; it and ThumbHash take any aspect and decode without a model. A JPEG "file" has the
bytes of its headers, a "payload" those after the header of its scan alone. Seconds are those of {n_timed:,}
pictures on one thread, the best of {n_passes} passes; peers are in Python, so theirs are left out."""
HEADINGS = ["coder", "bytes", "PSNR, dB", "of the mean, dB", "model, kB", "encode, s", "decode, s", "fit, s"]


@dataclass(frozen=True)
class Line:
    """What was measured of a coder."""

    name: str
    n_bytes: float
    psnr: float
    psnr_of_mean: float
    model_bytes: int = 0
    encode_seconds: float = 0.0
    decode_seconds: float = 0.0
    fit_seconds: float = 0.0

    def cells(self) -> list[str]:
        """Return the line of a table."""
        seconds = (self.encode_seconds, self.decode_seconds, self.fit_seconds)
        return [
            self.name,
            f"{self.n_bytes:.1f}".removesuffix(".0"),
            f"{self.psnr:.2f}",
            f"{self.psnr_of_mean:.2f}",
            f"{self.model_bytes / 1000:,.0f}" if self.model_bytes else "",
            *(f"{value:.2f}" if value else "" for value in seconds),
        ]


def main() -> None:
    """Measure everything, print it, and write the record; or write the model that comes with fastcodes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write-model", metavar="FILE", help="fit and save the pretrained model only")
    parser.add_argument(
        "--n-train", type=int, metavar="N", help="train on N pictures only, and write no record"
    )
    arguments = parser.parse_args()
    train, test, n_lossless = pictures(arguments.n_train)
    if arguments.write_model:
        ThumbnailCodec(random_state=0).fit(train).save(arguments.write_model)
        return
    record = records.facts()
    lines, shown = [], {"original": test}
    for line, decoded in coders(train, test):
        lines.append(line)
        shown[f"{line.name}, {line.n_bytes:.0f} bytes, {line.psnr:.1f} dB"] = decoded
        print(f"{line.name}: {line.n_bytes:.1f} bytes, {line.psnr:.3f} dB", flush=True)
    found = views.measure()
    promises = [*promised(lines), *views.promised(found)]
    about = ABOUT.format(
        n_test=len(test), n_train=len(train), n_lossless=n_lossless, n_timed=N_TIMED, n_passes=N_PASSES
    )
    versions = {package: version(package) for name, package in PEERS.items() if peer(name)}
    missing = [package for package in PEERS.values() if package not in versions]
    note = f"\nNot installed, and therefore left out: {', '.join(missing)}.\n" if missing else ""
    path = records.name(record, "thumbnails")
    page = (
        f"# Thumbnails, {record['date']}\n\n{records.facts_as_list(record)}- peers: "
        f"{', '.join(f'{package} {one}' for package, one in versions.items()) or 'none'}\n\n{about}\n{note}\n"
        f"{records.table(HEADINGS, [line.cells() for line in lines])}\n\n"
        f"![pictures and what coders make of them]({path.name}.png)\n\n{views.page(found)}\n"
        f"## Promises\n\n{records.missed(promises)}.\n\n{records.promise_table(promises)}\n"
    )
    print("\n" + page)
    if arguments.n_train is None:
        entries = [promise.entry() for promise in promises]
        measured = {"lines": [asdict(line) for line in lines], "views": [asdict(one) for one in found]}
        records.write(path, record | {"peers": versions, "promises": entries} | measured, page)
        sheet(shown).save(path.with_suffix(".png"))
        print(f"record: {path}.json, .md, .png")


def pictures(n_train: int | None) -> tuple[Array, Array, int]:
    """Return the training and test pictures, and how many of the former are lossless."""
    lossless = datasets.load(LOSSLESS)
    train = datasets.cached("cifar10_jpegq75_train", lambda: {"train": datasets.cifar10().train})["train"]
    train[lossless["train_orig_index"]] = lossless["train_x"]
    n_lossless = len(lossless["train_x"])
    if n_train is not None:
        rows = np.random.default_rng(0).permutation(len(train))[:n_train]
        n_lossless = int(np.isin(rows, lossless["train_orig_index"]).sum())
        train = train[rows]
    return train, lossless["test_x"], n_lossless


# --- coders -------------------------------------------------------------------------------------------------


def coders(train: Array, test: Array) -> Iterator[tuple[Line, Array]]:
    """Yield what was measured of each coder, and its decoded pictures."""
    for layout, n_bytes in (("dense", 64), ("dense", PLACEHOLDER_BYTES), ("searchable", 64)):
        codec = ThumbnailCodec(n_bytes, layout=layout, random_state=0)
        yield from of_codec(f"ThumbnailCodec, {layout}", codec, train, test, PREFIXES)
    coder = ResidualBinaryCoder(epochs=5, random_state=0)
    yield from of_codec("ResidualBinaryCoder, 4 stages", coder, train, test, PREFIXES)
    if blurhash := peer("blurhash"):
        for n_x, n_y in HASHES:
            yield of_blurhash(blurhash, n_x, n_y, test)
    if thumbhash := peer("thumbhash"):
        yield of_thumbhash(thumbhash, test)
    yield from of_jpeg(test)


def peer(name: str) -> ModuleType | None:
    """Return a module if it is installed."""
    with suppress(ImportError):
        return importlib.import_module(name)
    return None


def of_codec(
    name: str,
    codec: ThumbnailCodec | ResidualBinaryCoder,
    train: Array,
    test: Array,
    prefixes: tuple[int, ...],
) -> Iterator[tuple[Line, Array]]:
    """Yield what was measured of a model, and of prefixes of its codes if they decode."""
    start = time.perf_counter()
    codec.fit(train)
    fit_seconds = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "codec.safetensors")
        codec.save(path)
        size = path.stat().st_size
    codes, some = codec.encode(test), test[:N_TIMED]
    decoded = codec.decode(codes)
    encode = seconds(lambda: codec.encode(some, threads=1))
    decode = seconds(lambda: codec.decode(codes[:N_TIMED], threads=1))
    yield line(name, codes.shape[1], test, decoded, size, encode, decode, fit_seconds), decoded
    if getattr(codec, "layout", "") != "dense":
        for n_bytes in prefixes:
            part = codec.decode(codes[:, :n_bytes])
            yield line(f"{name}, first bytes", n_bytes, test, part), part


def of_blurhash(blurhash: ModuleType, n_x: int, n_y: int, test: Array) -> tuple[Line, Array]:
    """Measure BlurHash of some components."""
    hashes = [blurhash.encode(picture, n_x, n_y) for picture in test]
    decoded = np.array([blurhash.decode(text, 32, 32) for text in hashes])
    return line(f"BlurHash, {n_x} x {n_y}", float(np.mean([*map(len, hashes)])), test, decoded), decoded


def of_thumbhash(thumbhash: ModuleType, test: Array) -> tuple[Line, Array]:
    """Measure ThumbHash."""
    decoder = importlib.import_module("thumbhash.decode")
    hashes = [base64.b64decode(thumbhash.image_to_thumbhash(Image.fromarray(picture))) for picture in test]
    decoded = np.empty_like(test)
    for picture, code in zip(decoded, hashes, strict=True):
        width, height, numbers = decoder.thumbhash_to_rgba(code, 32, 1.0)
        picture[:] = np.clip(np.array(numbers).reshape(height, width, 4)[..., :3], 0, 255)
    return line("ThumbHash", float(np.mean([*map(len, hashes)])), test, decoded), decoded


def of_jpeg(test: Array) -> Iterator[tuple[Line, Array]]:
    """Yield what was measured of JPEG, as a file and as what follows the header of the scan."""
    files = []
    for picture in test:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=JPEG_QUALITY)
        files.append(file.getvalue())
    decoded = np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files])
    starts = [file.index(b"\xff\xda") for file in files]
    payloads = [
        len(file) - start - 2 - int.from_bytes(file[start + 2 : start + 4], "big")
        for file, start in zip(files, starts, strict=True)
    ]
    name = f"JPEG 4:2:0, quality {JPEG_QUALITY}"
    yield line(f"{name}, file", float(np.mean([*map(len, files)])), test, decoded), decoded
    yield line(f"{name}, payload", float(np.mean(payloads)), test, decoded), decoded


# --- measurements -------------------------------------------------------------------------------------------


def line(name: str, n_bytes: float, test: Array, decoded: Array, *others: float) -> Line:
    """Return a line with the figures of decoded pictures."""
    errors = ((decoded.astype(np.float64) - test) ** 2).reshape(len(test), -1).mean(axis=1)
    mean, of_mean = np.mean(decibels(errors)), decibels(errors.mean())
    return Line(name, n_bytes, float(mean), float(of_mean), *others)  # type: ignore[arg-type]


def decibels(error: Array) -> Array:
    """Return the PSNR of mean squared errors."""
    return 10 * np.log10(255**2 / error)


def seconds(call: Callable[[], object]) -> float:
    """Return the shortest time of a call."""
    times = []
    for _ in range(N_PASSES):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def promised(lines: list[Line]) -> list[records.Promise]:
    """Return the promises of pictures."""
    by_name = {(line.name, round(line.n_bytes)): line for line in lines}
    dense, small = (by_name["ThumbnailCodec, dense", n] for n in (64, PLACEHOLDER_BYTES))
    searchable = by_name["ThumbnailCodec, searchable", 64]
    found = [
        records.Promise("dense, 64 bytes, dB", 24.8, dense.psnr),
        records.Promise("searchable, 64 bytes, dB", 24.1, searchable.psnr),
        records.Promise("dense, encoded pictures a second", 2000, N_TIMED / dense.encode_seconds),
        records.Promise("dense, decoded pictures a second", 10_000, N_TIMED / dense.decode_seconds),
    ]
    for n_bytes, needs in zip(PREFIXES, (20.0, 21.8, 23.0), strict=True):
        measured = by_name["ThumbnailCodec, searchable, first bytes", n_bytes].psnr
        found.append(records.Promise(f"searchable, first {n_bytes} bytes, dB", needs, measured))
    for one in lines:
        if one.name == "ThumbHash":
            found.append(
                records.Promise(f"{PLACEHOLDER_BYTES} bytes over ThumbHash, dB", 2.5, small.psnr - one.psnr)
            )
        if one.name == "BlurHash, 6 x 6":
            found.append(records.Promise("64 bytes over BlurHash 6 x 6, dB", 6.0, dense.psnr - one.psnr))
    return found


def sheet(shown: dict[str, Array], n: int = 16, scale: int = 3) -> Image.Image:
    """Return the first test pictures as each coder makes them, the originals on top."""
    height = scale * next(iter(shown.values())).shape[1]
    page = Image.new("RGB", (n * height, (height + LABEL_HEIGHT) * len(shown)), "white")
    drawn = ImageDraw.Draw(page)
    for row, (name, pictures) in enumerate(shown.items()):
        top = row * (height + LABEL_HEIGHT)
        drawn.text((2, top + 2), name, fill="black")
        pixels = np.concatenate(list(pictures[:n].astype(np.uint8)), axis=1)
        enlarged = Image.fromarray(pixels).resize((n * height, height), Image.Resampling.NEAREST)
        page.paste(enlarged, (0, top + LABEL_HEIGHT))
    return page


if __name__ == "__main__":
    main()
