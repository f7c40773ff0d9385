"""Writes the table of the README from the newest record, as `make bench` does at its end."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
START, END = "<!-- from the record: benches/readme.py -->\n", "<!-- end of the record -->\n"

# Comparisons of the record that the README shows, and the contestant that each is against.
SHOWN = {
    "hamming.knn, 100 queries, 64 bits": "faiss",
    "hamming.knn, 100 queries, 256 bits": "faiss",
    "hamming.knn, 100 queries, 1024 bits": "faiss",
    "hamming.knn, 100 queries, 4096 bits": "faiss",
    "hamming.knn, 1 query, 256 bits": "faiss",
    "hamming.knn, 100 queries, 256 bits, k = 1000": "faiss",
    "hamming.cdist into out=, 256 bits, 1,000 x 10,000": "numkong",
    "jaccard.knn, 100 queries, 2048-bit sparse fingerprints, unrelated": "usearch",
    "adc.knn, packed, 1 query, 16 bytes": "faiss",
    "adc.knn, packed, 1 query, 32 bytes": "faiss",
    "adc.knn, packed, 100 queries, 16 bytes": "faiss",
    "adc.knn, packed, 100 queries, 32 bytes": "faiss",
    "adc.knn, row-major, 1 query, 16 bytes": "faiss",
    "adc.knn, packed, 100 queries, 32 x 4 bits": "faiss",
    "adc.encode, 128 dimensions, 16 x 256 codewords": "faiss",
    "bits.pack float32 from memory": "numpy",
    "bits.pack float16 in cache": "numpy",
    "bits.unpack uint8 in cache": "numpy",
}


def newest_record() -> Path:
    """Return the record with the latest date; that of `make bench`, not of recall."""
    paths = (ROOT / "benches" / "record").glob("*.json")
    return max(path for path in paths if not path.stem.endswith("-recall"))


def table(path: Path) -> str:
    """Return what stands between the markers of the README."""
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    versions = {contestant["name"]: contestant["version"] for contestant in record["contestants"]}
    ours = {
        (line["group"], line["against"]): line
        for line in record["lines"]
        if line["contestant"] == "fastcodes"
    }
    rows = ["| work, one thread | fastcodes | ahead of | by |", "|---|---|---|---|"]
    for group, peer in SHOWN.items():
        line = ours.get((group, peer))
        if line is None:  # a peer that has no wheel for that machine
            continue
        unit = {"distances": "G distances/s", "bytes": "GB/s"}[line["unit"]]
        rate = f"{line['billions_per_second']:.3g} {unit}"
        rows.append(f"| {group} | {rate} | {peer} {versions[peer]} | {line['ratio']:.2g} x |")
    name = path.with_suffix(".md").relative_to(ROOT).as_posix()
    machine = f"{record['machine']['cpu']}, {record['date']}"
    return (
        "A million codes, k = 10 where nothing else is said, one thread on both sides, answers compared\n"
        f"before anything is timed; {machine}. The whole record, with what falls\n"
        f"short of its promise, is in [{name}]({name}).\n\n" + "\n".join(rows) + "\n"
    )


def with_table(page: str, record: Path) -> str:
    """Return the page with the table of a record between its markers."""
    head, rest = page.split(START)
    _, tail = rest.split(END)
    return head + START + table(record) + END + tail


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8"), newest_record()), encoding="utf-8")
