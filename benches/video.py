"""Motion and compression of videos on real clips: entropy, search, speed, rate and distortion, in a record.

``python benches/video.py`` measures everything; ``motion``, ``speed`` and ``rates`` only a part.
"""

import io
import itertools
import json
import lzma
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import records
from datasets import data_file
from fastcodes import _native, block_motion, metrics
from fastcodes._typing import Array, Codes
from fastcodes.coding import Video, VideoCodec
from fastcodes.coding.video_files import y4m_of
from records import Promise

NEAR_LOSSLESS = {
    "Foreman QCIF": "video/foreman_qcif_30f_nearlossless.y4m.xz",
    "Mobile CIF": "video/mobile_cif_30f_nearlossless.y4m.xz",
}
CIF_38_DB = "video/foreman_cif_first60f_38dB.y4m.xz"
PEOPLE, PEOPLE_SIDES = "video/CiscoVT2people_320x192_12fps.yuv", (192, 320)
N_MOTION = 9
"""Frames of each clip whose motion is searched."""
RADIUS = 16
STEPS = (8.0, 12.0, 18.0, 27.0, 40.0)
MODES = ("intra", "forward", "bidirectional", "interpolation")
CODERS = {mode: {"mode": mode} for mode in MODES} | {
    "bidirectional, EPZS": {"mode": "bidirectional", "search": "epzs"}
}
LEVELS = ("avx2", "avx512")
SECONDS_OF_CIF = 0.5
X264_RATES = (20, 25, 30, 36, 42)
QUANTIZERS = (2, 4, 8, 14, 22, 31)
PEERS: dict[str, tuple[str, tuple[int, ...], Callable[[int], dict[str, str]]]] = {
    "x264 ultrafast": (
        "libx264",
        X264_RATES,
        lambda q: {"preset": "ultrafast", "tune": "psnr", "crf": str(q)},
    ),
    "x264 medium": ("libx264", X264_RATES, lambda q: {"preset": "medium", "tune": "psnr", "crf": str(q)}),
    "MPEG-2": (
        "mpeg2video",
        QUANTIZERS,
        lambda q: {"qmin": str(q), "qmax": str(q), "g": "30", "bf": "2", "mbd": "rd"},
    ),
    "MJPEG": ("mjpeg", QUANTIZERS, lambda q: {"qmin": str(q), "qmax": str(q)}),
}
ABOUT = """\
Luma of whole clips; peers get chroma of 128 everywhere, which takes them hardly any bits. Two clips are
nearly lossless, and the only ones of which rates are claimed; the others were decoded from lossy streams.
PSNR is the mean over frames. Bytes of fastcodes are those of the whole container, of the peers those of
their packets. Every video was decoded before it was counted."""


@dataclass(frozen=True)
class Point:
    """A rate and its quality."""

    clip: str
    coder: str
    setting: float
    kilobits: float
    """A second."""
    psnr: float
    encoded_ms: float
    """A frame."""
    decoded_ms: float


def main() -> None:
    """Measure everything, or a part without a record."""
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    if part == "kernels":
        print(json.dumps(kernels()))
        return
    tables: dict[str, str] = {}
    promises: list[Promise] = []
    facts: dict[str, Any] = records.facts()
    if part in ("", "motion"):
        lines = list(motions())
        facts["motion"] = lines
        tables["Motion of blocks of 16, radius 16"] = motion_table(lines)
        promises += [
            Promise(
                f"one-bit, 16 candidates, less 0.1 dB of SAD: {line['clip']}",
                -0.1,
                line["scored"] - line["sad"],
            )
            for line in lines
            if line["clip"] in NEAR_LOSSLESS
        ]
        for line in lines:
            ratio = line["sad_us"] / line["epzs_us"]
            promises.append(Promise(f"EPZS against SAD, times as fast: {line['clip']}", 5, ratio))
            if line["clip"] in NEAR_LOSSLESS:
                loss = line["epzs"] - line["sad"]
                promises.append(Promise(f"EPZS, less 0.1 dB of SAD: {line['clip']}", -0.1, loss))
    if part in ("", "speed"):
        speeds = {level: at_level(level) for level in LEVELS if level in _native.levels()}
        facts["speeds"] = speeds
        tables["Nanoseconds a candidate, one thread, frames of 288 x 352, radius 16"] = speed_table(speeds)
        for level, found in speeds.items():
            promises.append(
                Promise(f"SAD of 16 x 16, candidates in 9 ns: {level}", 1.0, 9 / found["16"]["sad"])
            )
            needs = {"avx2": 1.5, "avx512": 3.0}[level]
            ratio = found["16"]["sad"] / found["16"]["one-bit"]
            promises.append(Promise(f"one-bit search against SAD: {level}", needs, ratio))
    if part in ("", "rates"):
        points = list(rates())
        facts["points"] = [asdict(point) for point in points]
        tables["Rate and distortion"] = rate_table(points)
        compared, more = comparisons(points)
        tables["BD-rates: negative means fewer bytes"] = compared
        promises += more
    page = (
        f"# Video, {facts['date']}\n\n{records.facts_as_list(facts)}- peers: {peer_versions()}\n\n{ABOUT}\n"
    )
    for title, text in tables.items():
        page += f"\n## {title}\n\n{text}\n"
    page += f"\n## Promises\n\n{records.promise_table(promises)}\n"
    print("\n" + page + "\n" + records.missed(promises))
    if not part:
        path = records.name(facts, "video")
        records.write(path, facts | {"promises": [promise.entry() for promise in promises]}, page)
        print(f"record: {path}.json, .md")


def peer_versions() -> str:
    try:
        return f"PyAV {version('av')}"
    except PackageNotFoundError:
        return "none (PyAV is not installed)"


def clip(name: str) -> Video:
    """Return the luma of a clip."""
    with lzma.open(data_file(name)) as file:
        return y4m_of(io.BytesIO(file.read()))._replace(chroma=None)


def clips() -> Iterator[tuple[str, Codes]]:
    """Yield the first frames of all clips."""
    for name, file in {**NEAR_LOSSLESS, "Foreman CIF, 38 dB": CIF_38_DB}.items():
        yield name, clip(file).luma[:N_MOTION]
    height, width = PEOPLE_SIDES
    content = np.fromfile(data_file(PEOPLE), np.uint8).reshape(-1, height * width * 3 // 2)
    yield "two people, 320 x 192", content[:N_MOTION, : height * width].reshape(-1, height, width)


# --- motion -------------------------------------------------------------------------------------------------


def entropy(values: Array) -> float:
    """Return the bits of a value, if each is coded by its frequency."""
    counts = np.unique(values, return_counts=True)[1]
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def psnr(a: Array, b: Array) -> float:
    return float(10 * np.log10(255**2 / max(((a.astype(float) - b) ** 2).mean(), 1e-9)))


def motions() -> Iterator[dict[str, Any]]:
    """Yield what compensation leaves of each clip by all searches, and the microseconds a block."""
    for name, frames in clips():
        found = []
        for reference, frame in itertools.pairwise(frames):
            planes = block_motion.one_bit_planes(frame), block_motion.one_bit_planes(reference)
            of_sad = block_motion.search(frame, reference, radius=RADIUS)[1]
            of_bits = block_motion.one_bit_candidates(*planes, 1, width=frame.shape[1], radius=RADIUS)[1][
                :, :, 0
            ]
            scored = block_motion.one_bit_search(frame, reference, radius=RADIUS)[1]
            bands = block_motion.one_bit_search(frame, reference, radius=RADIUS, bands=3)[1]
            near = block_motion.search(frame, reference, method="epzs", radius=RADIUS)[1]
            moved = [block_motion.compensate(reference, v) for v in (of_sad, of_bits, scored, bands, near)]
            times = [
                1e6 / (of_sad.size // 2) * seconds(call, 20)
                for call in (
                    lambda a=frame, b=reference: block_motion.search(a, b, radius=RADIUS, threads=1),
                    lambda a=frame, b=reference: block_motion.search(
                        a, b, method="epzs", radius=RADIUS, threads=1
                    ),
                )
            ]
            signed = frame.astype(int)
            found.append(
                [
                    psnr(frame, reference),
                    *(psnr(frame, predicted) for predicted in moved),
                    entropy(frame),
                    entropy(signed - reference),
                    entropy(signed - moved[0]),
                    entropy(signed - moved[2]),
                    *times,
                ]
            )
        keys = (
            "before",
            "sad",
            "one_bit",
            "scored",
            "bands",
            "epzs",
            "h_frame",
            "h_difference",
            "h_sad",
            "h_one_bit",
            "sad_us",
            "epzs_us",
        )
        yield {"clip": name, **dict(zip(keys, map(float, np.mean(found, axis=0)), strict=True))}


def motion_table(lines: list[dict[str, Any]]) -> str:
    quality = records.table(
        ["PSNR of the prediction, dB", "frame before", "SAD", "one-bit", "best 16 by SAD", "with 3 planes",
         "less than SAD"],
        [
            [line["clip"], *(f"{line[key]:.2f}" for key in ("before", "sad", "one_bit", "scored", "bands")),
             f"{line['sad'] - line['scored']:.3f}"]
            for line in lines
        ],
    )  # fmt: skip
    bits = records.table(
        ["entropy, bits a sample", "frame", "difference", "compensated", "one-bit, best 16",
         "factors of 8 bits"],
        [
            [line["clip"], *(f"{line[key]:.2f}" for key in ("h_frame", "h_difference", "h_sad", "h_one_bit")),
             f"{8 / line['h_difference']:.2f}, {8 / line['h_sad']:.2f}"]
            for line in lines
        ],
    )  # fmt: skip
    fast = records.table(
        ["EPZS against SAD of all", "PSNR, dB", "less than SAD", "SAD, us a block", "EPZS, us a block",
         "times as fast"],
        [
            [line["clip"], f"{line['epzs']:.2f}", f"{line['sad'] - line['epzs']:.3f}",
             f"{line['sad_us']:.2f}", f"{line['epzs_us']:.3f}", f"{line['sad_us'] / line['epzs_us']:.1f}"]
            for line in lines
        ],
    )  # fmt: skip
    return f"{quality}\n\n{fast}\n\n{bits}"


# --- speed --------------------------------------------------------------------------------------------------


def kernels() -> dict[str, dict[str, float]]:
    """Return nanoseconds a candidate by block and search, and milliseconds of the planes."""
    rng = np.random.default_rng(0)
    reference = rng.integers(0, 256, (288, 352), dtype=np.uint8)
    frame = np.roll(reference, (3, -2), axis=(0, 1))
    planes = block_motion.one_bit_planes(frame), block_motion.one_bit_planes(reference)
    found = {}
    for block in (16, 8):
        n = (288 // block) * (352 // block) * (2 * RADIUS + 1) ** 2
        options: dict[str, Any] = {"block": block, "radius": RADIUS, "threads": 1}
        costs, _ = block_motion.search(frame, reference, **options)
        if costs[1:-1, 1:-1].any():
            raise AssertionError("the moved frame was not found again")
        calls = {
            "sad": lambda options=options: block_motion.search(frame, reference, **options),
            "one-bit": lambda options=options: block_motion.one_bit_candidates(
                *planes, 1, width=352, **options
            ),
            "one-bit, 16 candidates": lambda options=options: block_motion.one_bit_candidates(
                *planes, 16, width=352, **options
            ),
            "one-bit search": lambda options=options: block_motion.one_bit_search(
                frame, reference, **options
            ),
        }
        found[str(block)] = {name: 1e9 * seconds(call) / n for name, call in calls.items()}
    return found


def seconds(call: Callable[[], Any], n: int = 200) -> float:
    """Return the least seconds of many calls."""
    best = np.inf
    for _ in range(n):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return float(best)


def at_level(level: str) -> dict[str, dict[str, float]]:
    environment = os.environ | {"FASTCODES_LEVEL": level}
    run = subprocess.run(
        [sys.executable, __file__, "kernels"], env=environment, capture_output=True, text=True, check=True
    )
    found: dict[str, dict[str, float]] = json.loads(run.stdout)
    return found


def speed_table(speeds: dict[str, dict[str, dict[str, float]]]) -> str:
    rows = []
    for level, blocks in speeds.items():
        for block, found in blocks.items():
            sad = found["sad"]
            rows.append(
                [level, block, *(f"{ns:.2f}" for ns in found.values()), f"{sad / found['one-bit']:.2f}"]
            )
    headings = ["level", "block", *next(iter(next(iter(speeds.values())).values())), "SAD / one-bit"]
    return records.table(headings, rows)


# --- rates --------------------------------------------------------------------------------------------------


def rates() -> Iterator[Point]:
    """Yield the points of all coders on the clips that are nearly lossless."""
    for name, file in NEAR_LOSSLESS.items():
        video = clip(file)
        for coder in CODERS:
            for step in STEPS:
                point = of_codec(name, video, coder, step)
                print(f"{name} {coder} {step}: {point.kilobits:.1f} kbit/s, {point.psnr:.2f} dB", flush=True)
                yield point
        for peer in PEERS:
            yield from of_peer(name, video, peer)


def of_codec(name: str, video: Video, coder: str, step: float) -> Point:
    codec = VideoCodec(step, **CODERS[coder])
    start = time.perf_counter()
    data = codec.encode(video, threads=1)
    middle = time.perf_counter()
    decoded = codec.decode(data, threads=1)
    end = time.perf_counter()
    n = len(video.luma)
    quality = float(np.mean([psnr(a, b) for a, b in zip(video.luma, decoded.luma, strict=True)]))
    rate = 8 * len(data) * float(video.rate) / n / 1000
    return Point(name, coder, step, rate, quality, 1e3 * (middle - start) / n, 1e3 * (end - middle) / n)


def of_peer(name: str, video: Video, peer: str) -> Iterator[Point]:
    try:
        import av
    except ModuleNotFoundError:
        return
    codec, settings, options = PEERS[peer]
    n, height, width = video.luma.shape
    for setting in settings:
        file, n_bytes = io.BytesIO(), 0
        start = time.perf_counter()
        with av.open(file, "w", format="nut") as container:
            stream = container.add_stream(codec, rate=30)
            stream.width, stream.height = width, height
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.options = options(setting)
            stream.codec_context.thread_count = 1
            for index, luma in enumerate(video.luma):
                planes = np.full((height * 3 // 2, width), 128, np.uint8)
                planes[:height] = luma
                frame = av.VideoFrame.from_ndarray(planes, format=stream.pix_fmt)
                frame.pts, frame.time_base = index, Fraction(1, 30)
                packets = stream.encode(frame)
                n_bytes += sum(packet.size for packet in packets)
                container.mux(packets)
            packets = stream.encode(None)
            n_bytes += sum(packet.size for packet in packets)
            container.mux(packets)
        middle = time.perf_counter()
        file.seek(0)
        with av.open(file) as container:
            decoded = [frame.to_ndarray()[:height] for frame in container.decode(video=0)]
        end = time.perf_counter()
        if len(decoded) != n:
            raise AssertionError(f"{peer} lost frames: {len(decoded)} of {n}")
        quality = float(np.mean([psnr(a, b) for a, b in zip(video.luma, decoded, strict=True)]))
        rate = 8 * n_bytes * float(video.rate) / n / 1000
        yield Point(name, peer, setting, rate, quality, 1e3 * (middle - start) / n, 1e3 * (end - middle) / n)


def rate_table(points: list[Point]) -> str:
    rows = [
        [
            p.clip,
            p.coder,
            f"{p.setting:g}",
            f"{p.kilobits:.1f}",
            f"{p.psnr:.2f}",
            f"{p.encoded_ms:.1f}",
            f"{p.decoded_ms:.1f}",
        ]
        for p in points
    ]
    return records.table(["clip", "coder", "setting", "kbit/s", "PSNR, dB", "encode, ms", "decode, ms"], rows)


def comparisons(points: list[Point]) -> tuple[str, list[Promise]]:
    """Return the table of BD-rates, and the promises."""

    def bd(name: str, coder: str, other: str) -> float:
        curves = [
            [(p.kilobits, p.psnr) for p in points if p.clip == name and p.coder == which]
            for which in (other, coder)
        ]
        (rates_a, quality_a), (rates_b, quality_b) = (zip(*curve, strict=True) for curve in curves)
        return metrics.bd_rate(rates_a, quality_a, rates_b, quality_b)

    coders = [
        *(coder for coder in CODERS if coder != "intra"),
        *(peer for peer in PEERS if any(p.coder == peer for p in points)),
    ]
    others = [
        "intra",
        "forward",
        "bidirectional",
        *(peer for peer in PEERS if any(p.coder == peer for p in points)),
    ]
    rows, promises = [], []
    for name in NEAR_LOSSLESS:
        for coder in coders:
            row = [name, coder]
            for other in others:
                try:
                    row.append("" if other == coder else f"{bd(name, coder, other):+.1f} %")
                except ValueError:  # no quality is reached by both
                    row.append("-")
            rows.append(row)
    for other, floors in (("intra", (65, 40)), ("MPEG-2", (45, 25))):
        for name, floor in zip(NEAR_LOSSLESS, floors, strict=True):
            if other in others:
                promises.append(
                    Promise(f"forward saves against {other}, %: {name}", floor, -bd(name, "forward", other))
                )
    slowest = max(p.encoded_ms for p in points if p.clip == "Mobile CIF" and p.coder in CODERS)
    promises.append(Promise("frames of CIF encoded in half a second, one thread", 2.0, 1e3 / slowest))
    return records.table(["clip", "coder", *(f"against {other}" for other in others)], rows), promises


if __name__ == "__main__":
    main()
