"""Rate and distortion of photographs by `ImageCodec` and other coders, on Kodak-24; writes a record.

"peers" as argument computes and keeps the points of the peers, which take minutes, and writes no record.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import datasets
import images_report as report
import numpy as np
import records
from fastcodes._typing import Array
from fastcodes.cli.image_coders import PEERS, Coder, fastcodes_itself, lossless_peers, peer
from fastcodes.cli.measure import best_time
from fastcodes.cli.rate_distortion import MEASURES, Difference, difference, mean_curve, points_of
from fastcodes.cli.terminal import UserError
from fastcodes.coding import ImageCodec
from images_report import LosslessLine, SpeedLine
from PIL import Image, features
from records import Promise

OURS = "fastcodes"
TUNES = ("psnr", "ms-ssim")
STEP_OF_SPEED = 36.0
"""About 0.7 bits per pixel."""
RATE_OF_SPEED = 0.7
TIMED = slice(None, None, 6)
"""Photographs that are timed."""
SECONDS = 2.0
LEAST_SAVED = {
    ("psnr", "jpeg", "RGB-PSNR"): 52.0,
    ("psnr", "jpeg-optimized", "RGB-PSNR"): 48.0,
    ("psnr", "webp", "RGB-PSNR"): 18.0,
    ("psnr", "jpeg2000", "RGB-PSNR"): 12.0,
    ("ms-ssim", "jpeg-optimized", "MS-SSIM"): 30.0,
    ("ms-ssim", "webp", "MS-SSIM"): 0.0,
}
"""Promised savings of bytes in percent, by tuning, peer and measure."""
LEAST_SPEED, LEAST_GAIN = 2.5, 1.8
"""Megapixels per second on one thread, and how many times as fast two threads are."""
LOSSLESS_RATE = 10.1
"""Bits per pixel that are promised."""


def main(names: list[str]) -> None:
    """Measure everything, print it, and write the record."""
    if unknown := set(names) - {"peers"}:
        sys.exit(f"there is no part {unknown.pop()!r}; the only one is peers")
    pictures = kodak()
    points = {name: kept for name in PEERS if (kept := kept_points(name, pictures)) is not None}
    rates = kept_lossless_rates(pictures)
    if names:
        return
    record = records.facts()
    changes = {}
    for tune in TUNES:
        coder = fastcodes_itself(ImageCodec, tune=tune)
        points[own_name(tune)] = np.stack([points_of(coder, picture) for picture in pictures])
        print(f"measured tune={tune}", flush=True)
        changes |= changes_of(points, tune)
    lossless = [LosslessLine(name, float(of_each.mean())) for name, of_each in rates.items()]
    lossless.insert(0, LosslessLine(OURS, float(np.mean([lossless_rate(picture) for picture in pictures]))))
    speeds = [*own_speeds(pictures[TIMED]), *peer_speeds(list(points)[: len(PEERS)], points, pictures[TIMED])]
    promises = promises_on(changes, speeds, lossless)
    record |= {
        "libraries": libraries(),
        "changes": [
            {"tune": tune, "peer": name, "measure": measure, **asdict(change)}
            for (tune, name, measure), change in changes.items()
        ],
        "curves": {name: mean_curve(list(of_all)).round(4).tolist() for name, of_all in points.items()},
        "lossless": [asdict(line) for line in lossless],
        "speeds": [asdict(line) for line in speeds],
        "promises": [promise.entry() for promise in promises],
    }
    path = records.name(record, "images")
    page = report.page_of(
        record, path.name, points, changes, speeds, lossless, promises, len(pictures[TIMED])
    )
    print("\n" + page)
    records.write(path, record, page)
    report.draw_curves(points, path.with_suffix(".png"), record)
    report.draw_sheet(pictures, report.contestants_of_sheet(), path.with_name(f"{path.name}-photographs.png"))
    print(f"record: {path}.json, .md, .png, -photographs.png")


def kodak() -> list[Array]:
    """Return the 24 photographs."""
    paths = sorted(datasets.data_file("kodak").glob("*.png"))
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def own_name(tune: str) -> str:
    """Return the name of our coder with a tuning."""
    return f"{OURS}, {tune}"


def libraries() -> dict[str, str]:
    """Return the versions of what codes images."""
    found = {f"pillow's {name}": features.version(name) for name in ("libjpeg_turbo", "jpg_2000", "webp")}
    for package in ("pillow", "pillow-avif-plugin", "pillow-jxl-plugin"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {name: str(one) for name, one in found.items() if one}


# --- rate and distortion ------------------------------------------------------------------------------------


def kept_points(name: str, pictures: Sequence[Array]) -> Array | None:
    """Return the points (24, settings, 4) of a peer, or None if it is not installed."""
    try:
        coder = peer(name)
    except UserError as error:
        print(f"left out: {error}")
        return None

    def compute() -> dict[str, Array]:
        print(f"measuring {name}: {coder.about}", flush=True)
        return {"points": np.stack([points_of(coder, picture) for picture in pictures])}

    return datasets.cached(cache_name(coder), compute)["points"]


def cache_name(coder: Coder) -> str:
    """Return the name of what is kept of a peer: it changes with the version of its library."""
    return f"images-{coder.name.replace(', ', '-')}-{coder.package}-{version(coder.package)}"


def kept_lossless_rates(pictures: Sequence[Array]) -> dict[str, Array]:
    """Return the bits per pixel of each picture by lossless peers."""
    return {
        coder.name: datasets.cached(cache_name(coder), partial(peer_lossless_rates, coder, pictures))["rates"]
        for coder in lossless_peers()
    }


def peer_lossless_rates(coder: Coder, pictures: Sequence[Array]) -> dict[str, Array]:
    """Code pictures without loss, and check that."""
    print(f"measuring {coder.name}: {coder.about}", flush=True)
    rates = []
    for picture in pictures:
        data, decoded = coder.coded(picture, 0)
        assert np.array_equal(decoded, picture), coder.name
        rates.append(8 * len(data) / (picture.shape[0] * picture.shape[1]))
    return {"rates": np.array(rates)}


def lossless_rate(picture: Array) -> float:
    """Return the bits per pixel of a picture that we code without loss."""
    codec = ImageCodec(lossless=True)
    data = codec.encode(picture)
    assert np.array_equal(codec.decode(data), picture)
    return 8 * len(data) / (picture.shape[0] * picture.shape[1])


def changes_of(points: dict[str, Array], tune: str) -> dict[tuple[str, str, str], Difference]:
    """Return the BD-rates of our coder by tuning, peer and measure."""
    return {
        (tune, name, measure): difference(list(points[name]), list(points[own_name(tune)]), number)
        for name in PEERS
        if name in points
        for number, measure in enumerate(MEASURES)
    }


# --- speed --------------------------------------------------------------------------------------------------


def own_speeds(pictures: Sequence[Array]) -> list[SpeedLine]:
    """Time our coder on one thread and on two, after a check that both give the same bytes and pixels."""
    codec = ImageCodec(step=STEP_OF_SPEED)
    alone = [codec.encode(picture, threads=1) for picture in pictures]
    assert alone == [codec.encode(picture, threads=2) for picture in pictures]
    for data in alone:
        assert np.array_equal(codec.decode(data, threads=1), codec.decode(data, threads=2))
    return [
        speed_line(
            OURS,
            threads,
            pictures,
            alone,
            partial(codec.encode, threads=threads),
            partial(codec.decode, threads=threads),
        )
        for threads in (1, 2)
    ]


def peer_speeds(names: Sequence[str], points: dict[str, Array], pictures: Sequence[Array]) -> list[SpeedLine]:
    """Time the peers at the setting whose mean rate is nearest to ours, from array to bytes and back."""
    lines = []
    for name in names:
        coder = peer(name)
        rates = points[name][TIMED, :, 0].mean(axis=0)
        encode = partial(coder.encode, setting=coder.settings[int(np.abs(rates - RATE_OF_SPEED).argmin())])
        coded = [encode(picture) for picture in pictures]
        lines.append(speed_line(name, 1, pictures, coded, encode, coder.decode))
    return lines


def speed_line(
    name: str,
    threads: int,
    pictures: Sequence[Array],
    coded: Sequence[bytes],
    encode: Callable[[Array], bytes],
    decode: Callable[[bytes], Array],
) -> SpeedLine:
    """Time both directions on all pictures."""
    megapixels = sum(picture.shape[0] * picture.shape[1] for picture in pictures) / 1e6

    def speed(call: Callable[[Any], Any], inputs: Sequence[Any]) -> float:
        return megapixels / sum(best_time(partial(call, one), SECONDS / len(inputs)) for one in inputs)

    rate = 8e-6 * sum(map(len, coded)) / megapixels
    return SpeedLine(name, threads, rate, speed(encode, pictures), speed(decode, coded))


# --- promises -----------------------------------------------------------------------------------------------


def promises_on(
    changes: dict[tuple[str, str, str], Difference],
    speeds: Sequence[SpeedLine],
    lossless: Sequence[LosslessLine],
) -> list[Promise]:
    """Compare savings, speeds and the lossless rate with what is promised."""
    promises = [
        Promise(f"% of bytes saved against {name} at equal {measure}, tune={tune}", least, -changes[key].mean)
        for key, least in LEAST_SAVED.items()
        for tune, name, measure in [key]
    ]
    one, two = speeds[:2]
    for what in ("encode", "decode"):
        alone, both = getattr(one, what), getattr(two, what)
        promises.append(Promise(f"{what}: Mpixel/s, one thread", LEAST_SPEED, alone))
        promises.append(Promise(f"{what}: two threads, times as fast as one", LEAST_GAIN, both / alone))
    what = f"lossless: times smaller than 24 bits per pixel ({LOSSLESS_RATE:g} bits)"
    promises.append(Promise(what, 24 / LOSSLESS_RATE, 24 / lossless[0].rate))
    return promises


if __name__ == "__main__":
    main(sys.argv[1:])
