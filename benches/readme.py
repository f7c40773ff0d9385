"""Write the table of the README from the newest record of each level; `make bench` ends with it."""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
START, END = "<!-- from the record: benches/readme.py -->\n", "<!-- end of the record -->\n"

# The comparisons that the README shows, each with the other contestant. The part after a bar selects one of
# several variants of fastcodes.
SHOWN = {
    "hamming.knn, 100 queries, 64 bits": "faiss",
    "hamming.knn, 100 queries, 256 bits": "faiss",
    "hamming.knn, 1 query, 256 bits": "faiss",
    "hamming.cdist into out=, 256 bits, 1,000 x 10,000": "numkong",
    "jaccard.knn, 100 queries, 2048-bit sparse fingerprints, unrelated": "usearch",
    "hamming.asymmetric_knn, 100 queries, 256 bits": "numpy matmul",
    "adc.knn, packed, 1 query, 16 bytes": "faiss",
    "adc.knn, packed, 100 queries, 16 bytes": "faiss",
    "adc.knn, packed, 100 queries, 32 x 4 bits": "faiss",
    "adc.encode, 128 dimensions, 16 x 256 codewords": "faiss",
    "ProductQuantizer.fit, 50,000 x 128, 16 x 256 codewords": "faiss",
    "RaBitQ, 1 bit, 1,000,000 x 128, 1 query": "faiss IndexRaBitQ, qb = 4",
    "RaBitQ, 1 bit, 1,000,000 x 128, 100 queries": "faiss IndexRaBitQ, qb = 4",
    "RaBitQ, 1 bit, 1,000,000 x 768, 1 query": "faiss IndexRaBitQ, qb = 4",
    "RaBitQ, 4 bits, 100,000 x 1536, 1 query, 20 calls": "turbovec",
    "xnor.matmul into out=, 1024 x 1024, 4096 bits, packing included": "numpy",
    "xnor.matmul, 1 x 4096, 4096 bits, prepared": "numpy",
    "xnor.conv2d 3 x 3, 56 x 56 x 128 -> 128, batch 8, prepared": "onnxruntime float32",
    "minhash.signatures, 128 hashes, 200 sets of 1000 tokens, arrays": "rensa",
    "minhash.signatures, 128 hashes, 200 sets of 1000 tokens, arrays|one permutation": "rensa",
    "near-duplicates among 100000 texts of 100 words": "datasketch",
    "bits.pack float16 in cache": "numpy",
}
UNITS = {"distances": "G/s", "bytes": "GB/s", "multiplications": "G/s", "tokens": "G/s"}
OTHER_KINDS = (
    "recall", "tradeoff", "additive", "estimates", "hashing", "networks", "clusters", "ivf", "multi-index",
    "strings", "images", "image-studies", "thumbnails", "sentence-transformers", "crossmodal", "tokens",
    "video",
)  # fmt: skip


def newest_records() -> list[Path]:
    """Return the newest record of `make bench` for each level, newest first."""
    newest: dict[str, Path] = {}
    for path in sorted((ROOT / "benches" / "record").glob("*.json")):
        if not path.stem.endswith(OTHER_KINDS):
            newest[level(json.loads(path.read_text(encoding="utf-8")))] = path
    return sorted(newest.values(), reverse=True)


def level(record: dict[str, Any]) -> str:
    """Return the instruction set that fastcodes used."""
    return next(str(one["level"]) for one in record["contestants"] if one["name"] == "fastcodes")


def short_name(record: dict[str, Any]) -> str:
    """Return the common name of a CPU."""
    return re.sub(r"\((R|TM)\)| Processor.*| CPU.*", "", record["machine"]["cpu"])


def table(paths: list[Path]) -> str:
    """Return the text between the markers of the README."""
    all_of: list[dict[str, Any]] = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    versions: dict[str, set[str]] = {}
    links, levels = [], []
    for path, record in zip(paths, all_of, strict=True):
        for one in record["contestants"]:
            versions.setdefault(one["name"], set()).add(one["version"])
        levels.append(f"{level(record)}, {short_name(record)}")
        name = path.with_suffix(".md").relative_to(ROOT).as_posix()
        links.append(f"[{record['machine']['cpu']}, {record['date']}]({name})")
    ours = [
        {
            (line["group"], line["contestant"].removeprefix("fastcodes").strip(" ,"), line["against"]): line
            for line in record["lines"]
            if line["contestant"].startswith("fastcodes")
        }
        for record in all_of
    ]
    rows = [f"| work, one thread | ahead of | {' | '.join(levels)} |", "|---|---|" + "---|" * len(levels)]
    for work, peer in SHOWN.items():
        group, _, kind = work.partition("|")
        cells = []
        for lines in ours:
            # None if it was not measured: some peers have no wheel for some machines.
            line = lines.get((group, kind, peer))
            cells.append(
                f"{line['billions_per_second']:.3g} {UNITS[line['unit']]}, {line['ratio']:.2g} x"
                if line
                else "-"
            )
        if set(cells) != {"-"}:
            rows.append(f"| {work.replace('|', ', ')} | {peer} | {' | '.join(cells)} |")
    shown = sorted({peer.split()[0] for peer in SHOWN.values()} & set(versions))
    peers = ", ".join(f"{name} {' and '.join(sorted(versions[name]))}" for name in shown)
    return (
        "A million codes and k = 10 unless stated otherwise, one thread on both sides, answers compared\n"
        "before anything is timed: billions (of distances, bytes, ...) per second, and how many times as\n"
        f"fast as the other. {peers}. The full records, which\n"
        f"also list missed promises: {'; '.join(links)}.\n\n" + "\n".join(rows) + "\n"
    )


def with_table(page: str, paths: list[Path]) -> str:
    """Return the page with the table of the records between its markers."""
    head, rest = page.split(START)
    _, tail = rest.split(END)
    return head + START + table(paths) + END + tail


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8"), newest_records()), encoding="utf-8")
