"""The page and the pictures of the record of `crossmodal.py`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import records
from fastcodes import coding, crossmodal
from fastcodes._typing import Array
from PIL import Image, ImageDraw, ImageFont

ABOUT = """\
{n} photographs of COCO with five captions each: a random half trains captioner, painter and common space,
the other half tests, and no model has seen its captions. All pictures are the central square in 256 x 256
pixels; their files were JPEG in almost twice the size. Features and class probabilities are those of
EfficientNet-Lite0, trained on ImageNet, in numpy: distances and scores by it are not those of Inception, and
not comparable with figures by other networks."""
CAPTIONS = """\
5,002 captions of 1,000 images; models learned from 20,000 captions of other images. Each caption alone, in
whole bytes, decoded and compared. "Characters" is the published way."""
QUALITY = """\
Of the {n} photographs that test, against the five captions of people: BLEU, CIDEr (without stems, a few
hundred images: comparable in this table only), and the share of content words that are in a true caption."""
PIPELINE = """\
Whole streams, with their header. The text coder has learned from the captions of COCO without those of the
photographs that test; retrieved captions are captions of the {n_train} photographs that train, which it has
seen but for those of the 1,000 images above: captions of people, which it has not, are the last line."""
SKETCHES = (
    "Sketches of 64 x 64 of the photographs that test, without losses; `SketchCoder` learned from the others."
)
RETRIEVAL = """\
Among the photographs that test: the share of photographs with one of their five captions among the first 1, 5
and 10, and of captions with their photograph. Texts are bags of words, mapped to sentence embeddings (MiniLM)
by ridge regression on captions of other images; `CCAHashing` learned from the photographs that train."""
PICTURES = """\
Means over the {n} photographs that test. The ratio is 196,608 bytes of pixels over the bytes; it says
nothing of quality. "Instance" is the mean distance of features to those of the original in its own size,
"Fréchet" that of the sets in 32 principal components (more would make it singular), "score" the exponential
of the divergence of class probabilities. "Details" are those of the picture painted from the caption, put on
the thumbnail, in the same bytes. JPEG is optimized and progressive, JPEG 2000 a codestream with mct=1."""
FEATURES = """\
How often the network's most probable class stays that of the original photograph, by bytes: of features
quantized with steps in units of the deviation of each channel and coded by `entropy.ScaleTable`, of hash
codes of features mapped back by ridge regression, and of pixels. It is no accuracy by labels, which these
photographs do not have."""
SHEET = """\
![Ten photographs]({name}-photographs.png)

Ten photographs that test: the original; the picture painted from the caption below it; the thumbnail of 64
bytes; the same with the details of the painted picture. Here the painter has only photographs under the same
licence, CC BY 2.0, whose sources are below; the figures above are of all."""
CELL, GAP, LINE = 128, 6, 13


@dataclass(frozen=True)
class Shown:
    """A photograph with its text and its reconstructions."""

    caption: str
    n_bytes: tuple[int, int]
    pictures: tuple[Array, ...]


# --- tables -------------------------------------------------------------------------------------------------


def _captions(lines: Sequence[Any]) -> str:
    rows = [[line.coder, f"{line.n_bytes:.2f}", f"{line.model_bytes / 1000:,.0f}"] for line in lines]
    return records.table(["coder", "bytes a caption", "model, kB"], rows)


def _quality(lines: Sequence[Any]) -> str:
    rows = [
        [line.captions, *(f"{x:.3f}" for x in (line.bleu_1, line.bleu_4, line.cider, line.precision))]
        for line in lines
    ]
    return records.table(["captions", "BLEU-1", "BLEU-4", "CIDEr", "content words"], rows)


def _pipeline(lines: Sequence[Any]) -> str:
    rows = [[line.stream, f"{line.n_bytes:.2f}", str(line.most)] for line in lines]
    return records.table(["stream", "mean bytes", "most"], rows)


def _retrieval(lines: Sequence[Any]) -> str:
    rows = [
        [line.space, str(line.n_bytes or ""), *(f"{x:.3f}" for x in (*line.to_captions, *line.to_pictures))]
        for line in lines
    ]
    ways = [f"{way} @{k}" for way in ("captions", "photographs") for k in (1, 5, 10)]
    return records.table(["space", "bytes", *ways], rows)


def _pictures(lines: Sequence[Any]) -> str:
    rows = [
        [
            line.coder,
            f"{line.n_bytes:.1f}",
            f"{line.ratio:,.0f}",
            "" if line.psnr is None else f"{line.psnr:.2f}",
            *(f"{x:.2f}" for x in (line.instance, line.frechet, line.score)),
        ]
        for line in lines
    ]
    return records.table(["coder", "bytes", "ratio", "PSNR", "instance", "Fréchet", "score"], rows)


def _features(lines: Sequence[Any]) -> str:
    rows = [[line.what, f"{line.n_bytes:.0f}", f"{line.agreement:.3f}"] for line in lines]
    return records.table(["what is coded", "bytes", "same class"], rows)


tables: dict[str, Callable[[Sequence[Any]], str]] = {
    "captions": _captions,
    "quality": _quality,
    "pipeline": _pipeline,
    "sketches": _pipeline,
    "retrieval": _retrieval,
    "pictures": _pictures,
    "features": _features,
}


def page(
    record: dict[str, Any],
    name: str,
    found: Mapping[str, Sequence[Any]],
    promises: Sequence[records.Promise],
    data: Any,
    free: Sequence[int],
) -> str:
    """Return the page."""
    n, n_train = len(data.test), len(data.train)
    sources = "\n".join(f"- {data.sources[i][1]}" for i in free)
    parts = [
        f"# Photographs as captions, {record['date']}\n",
        f"{records.facts_as_list(record)}- network: {record['network']}\n",
        ABOUT.format(n=len(data.images)) + "\n",
        records.promise_table(promises) + "\n",
    ]
    for part, title, text in (
        ("captions", "Bytes of captions", CAPTIONS),
        ("quality", "Quality of captions", QUALITY),
        ("pipeline", "Streams", PIPELINE),
        ("sketches", "Sketches", SKETCHES),
        ("retrieval", "Retrieval", RETRIEVAL),
        ("pictures", "Pictures", PICTURES),
        ("features", "Features", FEATURES),
    ):
        about = text.format(n=n, n_train=n_train)
        parts.append(f"## {title}\n\n{about}\n\n{tables[part](found[part])}\n")
        if part == "pictures":
            parts.append(f"![Distance and score by bytes]({name}.png)\n")
    parts += [
        f"## Photographs\n\n{SHEET.format(name=name)}\n",
        f"Sources:\n\n{sources}\n",
        f"{records.missed(promises)}\n",
    ]
    return "\n".join(parts)


# --- pictures -----------------------------------------------------------------------------------------------


def shown(
    data: Any,
    features: Array,
    captioner: crossmodal.RetrievalCaptioner,
    texts: coding.TextCodec,
    painter: crossmodal.RetrievalPainter,
    rows: Sequence[int],
) -> list[Shown]:
    """Return photographs with their texts and reconstructions."""
    thumbnails = coding.ThumbnailCodec.pretrained()
    codec, sharp = (
        crossmodal.CrossModalCodec(captioner, texts, painter, thumbnails=thumbnails, details=details)
        for details in (0.0, 1.0)
    )
    found = []
    for i in rows:
        stream = codec.encode(data.images[i], features=features[i])
        ends = codec.inspect(stream).ends
        decoded = codec.decode(stream[: ends[0]]), codec.decode(stream), sharp.decode(stream)
        found.append(Shown(codec.explain(stream), (ends[0], ends[1]), (data.images[i], *decoded)))
    return found


def draw_sheet(photographs: Sequence[Shown], path: Path) -> None:
    """Draw the photographs in two columns."""
    n_columns, width, height = 2, 4 * (CELL + GAP) + GAP, CELL + 2 * LINE + 2 * GAP
    n_rows = -(-len(photographs) // n_columns)
    sheet = Image.new("RGB", (n_columns * width, n_rows * height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for number, one in enumerate(photographs):
        left, top = number % n_columns * width + GAP, number // n_columns * height + GAP
        for i, picture in enumerate(one.pictures):
            small = Image.fromarray(picture).resize((CELL, CELL), Image.Resampling.LANCZOS)
            sheet.paste(small, (left + i * (CELL + GAP), top))
        text = one.caption if len(one.caption) <= 88 else one.caption[:86] + "..."
        draw.text((left, top + CELL + 1), text, "black", font)
        label = f"{one.n_bytes[0]} bytes; {one.n_bytes[1]} with the thumbnail"
        draw.text((left + CELL + GAP, top + CELL + 1 + LINE), label, "gray", font)
    sheet.save(path, optimize=True)


def draw_curves(lines: Sequence[Any], path: Path) -> None:
    """Draw three measures by bytes."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    families: dict[str, list[Any]] = {}
    for line in lines[1:]:  # without the originals
        families.setdefault(line.coder.split(", ")[0] if line.coder[0].isupper() else line.coder, []).append(
            line
        )
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for axis, name, label in zip(
        axes,
        ("instance", "frechet", "psnr"),
        ("instance distance, lower is better", "Fréchet distance, lower is better", "PSNR, dB"),
        strict=True,
    ):
        for family, points in families.items():
            points = sorted(points, key=lambda line: line.n_bytes)
            axis.plot([p.n_bytes for p in points], [getattr(p, name) for p in points], "o-", label=family)
        axis.set(xscale="log", xlabel="bytes a photograph", ylabel=label)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    figure.suptitle("Photographs in 256 x 256; features of EfficientNet-Lite0")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def spread(values: Array, n: int) -> list[int]:
    """Return `n` of some values, evenly."""
    places = np.linspace(0, len(values) - 1, n).round().astype(int)
    return [int(values[place]) for place in places]
