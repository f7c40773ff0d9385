"""Captions of COCO by `TextCodec` and other compressors of short strings: bytes and speed, in a record."""

import gzip
import importlib
import json
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import records
from datasets import data_file
from fastcodes.coding import TextCodec

N_TEST_IMAGES = 1000
MODEL_BYTES = (1 << 20, 1 << 22, 1 << 24, 1 << 26)
DICTIONARY_BYTES = (16_384, 110_000, 400_000)
N_PASSES = 5
PEERS = {"zstandard": "zstandard", "smaz": "smaz-py3", "unishox2": "unishox2-py3"}
"""Modules of peers, and the packages that have them."""
ABOUT = """\
{n_seen:,} captions of 4,000 images to learn from, {n_new:,} captions of {n_images:,} other images to encode,
each alone: {raw:.1f} bytes on average. Bytes are those of real codes, and every caption was decoded and
compared before anything was timed. "Model" is what both sides must have: a file of `save`, or a dictionary.
Speeds are captions per second on one thread, the best of {n_passes} passes: fastcodes in one call of
`encode_many` or `decode_many`, the others in a loop over the captions, since they have no such call. zstd has
level 19 and no content size, checksum or dictionary number; "magicless" frames do not begin with four fixed
bytes. deflate is raw, with the end of the training captions as its dictionary."""
HEADINGS = ["coder", "bytes a caption", "of the text", "model, kB", "encode, 1/s", "decode, 1/s", "fit, s"]


@dataclass(frozen=True)
class Coder:
    """How strings become codes and strings again, all in one call."""

    name: str
    encode: Callable[[list[str]], Sequence[bytes]]
    decode: Callable[[Sequence[bytes]], list[str]]
    model_bytes: int = 0
    fit_seconds: float = 0.0


@dataclass(frozen=True)
class Line:
    """What was measured of a coder."""

    name: str
    n_bytes: float
    share: float
    model_bytes: int
    encoded_per_second: float
    decoded_per_second: float
    fit_seconds: float


class Codes(Sequence[bytes]):
    """Codes as `encode_many` returns them."""

    def __init__(self, data: np.ndarray, offsets: np.ndarray) -> None:
        self.arrays = data, offsets

    def __len__(self) -> int:
        return len(self.arrays[1]) - 1

    def __getitem__(self, row: int) -> bytes:  # type: ignore[override]
        data, offsets = self.arrays
        if row >= len(self):
            raise IndexError(row)
        return data[offsets[row] : offsets[row + 1]].tobytes()


def main() -> None:
    """Measure everything, print it, and write the record."""
    record = records.facts()
    seen, new = captions()
    raw = float(np.mean([len(text.encode()) for text in new]))
    about = ABOUT.format(n_seen=len(seen), n_new=len(new), n_images=N_TEST_IMAGES, raw=raw, n_passes=N_PASSES)
    lines = []
    for coder in coders(seen):
        lines.append(measure(coder, new))
        print(f"{coder.name}: {lines[-1].n_bytes:.2f} bytes", flush=True)
    found = [(name, package) for name, package in PEERS.items() if peer(name)]
    versions = {package: version(package) for _, package in found}
    missing = [package for name, package in PEERS.items() if name not in dict(found)]
    note = f"\nNot installed, and therefore left out: {', '.join(missing)}.\n" if missing else ""
    peers = ", ".join(f"{package} {found}" for package, found in versions.items())
    path = records.name(record, "strings")
    page = (
        f"# Short strings, {record['date']}\n\n{records.facts_as_list(record)}- peers: {peers or 'none'}, "
        f"zlib {zlib.ZLIB_RUNTIME_VERSION}\n\n{about}\n{note}\n"
        f"{records.table(HEADINGS, [cells(line) for line in lines])}\n"
    )
    print("\n" + page)
    records.write(path, record | {"peers": versions, "lines": [asdict(line) for line in lines]}, page)
    print(f"record: {path}.json, .md")


def captions() -> tuple[list[str], list[str]]:
    """Return captions to learn from, and those of other images: five captions of one image are alike."""
    seen, new = annotations()
    return [one["caption"] for one in seen], [one["caption"] for one in new]


def annotations() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return captions to learn from, and those of other images, with the numbers of their images."""
    with gzip.open(data_file("coco_captions_val2017.json.gz")) as file:
        found = json.load(file)["annotations"]
    images = sorted({annotation["image_id"] for annotation in found})
    rng = np.random.default_rng(0)
    test = {images[i] for i in rng.permutation(len(images))[:N_TEST_IMAGES]}
    parts: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for annotation in found:
        parts[annotation["image_id"] in test].append(annotation)
    order = rng.permutation(len(parts[0]))
    return [parts[0][i] for i in order], parts[1]


# --- coders -------------------------------------------------------------------------------------------------


def coders(seen: list[str]) -> Iterator[Coder]:
    """Yield all coders that are installed, fitted to captions."""
    for model_bytes in MODEL_BYTES:
        yield of_codec(seen, model_bytes)
    yield from of_zlib([text.encode() for text in seen])
    if zstandard := peer("zstandard"):
        for n_bytes in DICTIONARY_BYTES:
            yield from of_zstandard(zstandard, [text.encode() for text in seen], n_bytes)
    if smaz := peer("smaz"):
        yield one_by_one("smaz", smaz.compress, smaz.decompress)
    if unishox2 := peer("unishox2"):
        # The number of characters, which the decoder needs, is not counted.
        yield Coder(
            "unishox2",
            lambda texts: [unishox2.compress(text)[0] for text in texts],
            lambda codes: [unishox2.decompress(code, 512) for code in codes],
        )


def peer(name: str) -> ModuleType | None:
    """Return a module if it is installed."""
    with suppress(ImportError):
        return importlib.import_module(name)
    return None


def one_by_one(
    name: str,
    encode: Callable[[str], bytes],
    decode: Callable[[bytes], str],
    model_bytes: int = 0,
    fit_seconds: float = 0.0,
) -> Coder:
    """Return a coder that calls functions of one string."""
    return Coder(
        name,
        lambda texts: [encode(text) for text in texts],
        lambda codes: [decode(code) for code in codes],
        model_bytes,
        fit_seconds,
    )


def of_codec(seen: list[str], model_bytes: int) -> Coder:
    """Return `TextCodec`, whose model is that of a file."""
    start = time.perf_counter()
    codec = TextCodec(model_bytes).fit(seen)
    seconds = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "codec.safetensors")
        codec.save(path)
        size, loaded = path.stat().st_size, TextCodec.load(path)

    def decode(codes: Sequence[bytes]) -> list[str]:
        assert isinstance(codes, Codes)
        return loaded.decode_many(*codes.arrays, threads=1)

    name = f"fastcodes, model_bytes=2**{model_bytes.bit_length() - 1}"
    return Coder(
        name, lambda texts: Codes(*codec.encode_many(texts, threads=1)), decode, size, fit_seconds=seconds
    )


def of_zlib(seen: list[bytes]) -> Iterator[Coder]:
    """Yield zlib as it is, and raw deflate with a dictionary of the largest size."""
    yield one_by_one(
        "zlib", lambda text: zlib.compress(text.encode(), 9), lambda code: zlib.decompress(code).decode()
    )
    dictionary = b"\n".join(seen)[-32_768:]

    def encode(text: str) -> bytes:
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, dictionary)
        return deflate.compress(text.encode()) + deflate.flush()

    def decode(code: bytes) -> str:
        return zlib.decompressobj(-15, dictionary).decompress(code).decode()

    yield one_by_one("deflate, dictionary of 32 kB", encode, decode, len(dictionary))


def of_zstandard(zstandard: ModuleType, seen: list[bytes], n_bytes: int) -> Iterator[Coder]:
    """Yield zstd with a trained dictionary, with and without the magic number."""
    start = time.perf_counter()
    dictionary = zstandard.train_dictionary(n_bytes, seen)
    seconds, size = time.perf_counter() - start, len(dictionary.as_bytes())
    for name, form in (("", zstandard.FORMAT_ZSTD1), (", magicless", zstandard.FORMAT_ZSTD1_MAGICLESS)):
        options = {"write_content_size": 0, "write_checksum": 0, "write_dict_id": 0}
        parameters = zstandard.ZstdCompressionParameters.from_level(19, format=form, **options)
        compressor = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters)
        decompressor = zstandard.ZstdDecompressor(dict_data=dictionary, format=form)
        yield one_by_one(
            f"zstd, dictionary of {n_bytes // 1000} kB{name}",
            lambda text, compressor=compressor: compressor.compress(text.encode()),
            lambda code, decompressor=decompressor: decompressor.decompress(code, 4096).decode(),
            size,
            seconds,
        )


# --- measurements -------------------------------------------------------------------------------------------


def measure(coder: Coder, texts: list[str]) -> Line:
    """Check a coder on all captions, then time it."""
    codes = coder.encode(texts)
    if coder.decode(codes) != texts:
        sys.exit(f"{coder.name} does not return the captions")
    n_bytes = sum(len(code) for code in codes)
    return Line(
        coder.name,
        n_bytes / len(texts),
        n_bytes / sum(len(text.encode()) for text in texts),
        coder.model_bytes,
        len(texts) / seconds(lambda: coder.encode(texts)),
        len(texts) / seconds(lambda: coder.decode(codes)),
        coder.fit_seconds,
    )


def seconds(call: Callable[[], object]) -> float:
    """Return the shortest time of a call."""
    times = []
    for _ in range(N_PASSES):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def cells(line: Line) -> list[str]:
    """Return a line of the table."""
    return [
        line.name,
        f"{line.n_bytes:.2f}",
        f"{100 * line.share:.1f} %",
        f"{line.model_bytes / 1000:,.0f}" if line.model_bytes else "",
        f"{line.encoded_per_second:,.0f}",
        f"{line.decoded_per_second:,.0f}",
        f"{line.fit_seconds:.1f}" if line.fit_seconds else "",
    ]


if __name__ == "__main__":
    main()
