"""The command `fastcodes dedup`: near-duplicates among the lines or rows of a file."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcodes import minhash
from fastcodes.cli.files import check_json, check_output, writing
from fastcodes.cli.lines import compressing
from fastcodes.cli.records import FORMS, BadRecordError, Records, form_of, open_records
from fastcodes.cli.tables import SUFFIXES, is_table
from fastcodes.cli.terminal import (
    UserError,
    add_json,
    blocks,
    integer,
    real,
    report,
    summarize,
    thread_count,
)
from fastcodes.hashing import MinHash
from fastcodes.index import MinHashIndex

__all__ = ["HELP", "add_arguments", "run"]

HELP = "find near-duplicates among the lines of a text or JSONL file, or the rows of a table, by MinHash"
DESCRIPTION = (
    "Find near-duplicates among the lines of a text or JSONL file, or the rows of a CSV, Parquet or Arrow "
    "file. Text, JSONL and CSV can be compressed (gzip, bzip2, xz, zstd) and are UTF-8, or UTF-16 or UTF-32 "
    "with a byte order mark. The output is UTF-8, compressed if its name ends in .gz, .bz2 or .xz. With "
    "--keep-first the input is read twice: a pipe is first copied to a temporary file (in TMPDIR). Parquet "
    "and Arrow need the extra arrow: pip install 'fastcodes[arrow]'."
)
EXAMPLES = """examples:
  fastcodes dedup articles.txt
  fastcodes dedup articles.jsonl.gz --id-field id -o groups.jsonl
  fastcodes dedup articles.csv --field body --keep-first -o unique.csv
  fastcodes dedup articles.parquet --field body --threshold 0.9 --exact --keep-first -o unique.parquet
  zcat titles.gz | fastcodes dedup - --unit char --shingle-size 5"""
EMPTY_SLOT = 2**32 - 1
"""All slots of the signature of a text without words."""
MAX_COMPLAINTS = 10
PAIRS_PER_CALL = 1 << 14
"""Pairs that are compared exactly at a time: their sets are copied."""
TEXTS_OF_SAMPLE, LETTERS_OF_SAMPLE = 1000, 1000
UNSPACED = re.compile(
    # Thai, Lao, Burmese, Khmer, kana and Chinese characters.
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U000323af]"
)

TokenSets = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare input, output, and what counts as a near-duplicate."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument(
        "file",
        metavar="FILE",
        help="one text or one JSON object per line, or CSV whose first row names the columns; - is stdin; or "
        f"a table, {', '.join(SUFFIXES)}",
    )
    parser.add_argument(
        "--threshold",
        type=real(above=0, at_most=1),
        default=0.8,
        help="Jaccard similarity of duplicates (default: 0.8); 1 finds texts with equal sets of shingles, "
        "and implies --exact",
    )
    parser.add_argument(
        "--field",
        metavar="NAME",
        help="field of JSON objects, or column, with the text (default: text); lines with fields are JSON "
        "objects, if neither --format nor the name of FILE says otherwise",
    )
    parser.add_argument(
        "--id-field",
        metavar="NAME",
        help="field of JSON objects, or column, with a string or number, which the groups list instead of "
        "the numbers of lines or rows; these count from 1",
    )
    parser.add_argument(
        "--format",
        choices=FORMS,
        help="of lines (default: jsonl for .jsonl and .ndjson, csv for .csv and .tsv, else text)",
    )
    parser.add_argument(
        "--encoding", metavar="NAME", help="encoding of the lines, such as latin-1 (default: see above)"
    )
    parser.add_argument(
        "--keep-first",
        action="store_true",
        help="write the lines, or a table of the same kind, without all but the first of each group; "
        "by default write the groups, as JSON lines",
    )
    parser.add_argument(
        "--exact",
        action="store_true",
        help="compare candidates by their exact similarity instead of an estimate from signatures; "
        "takes about 16 bytes per word or character of memory",
    )
    parser.add_argument(
        "-o", "--output", default="-", metavar="FILE", help="output file (default: -, which is stdout)"
    )
    parser.add_argument(
        "--unit",
        choices=("word", "char"),
        default="word",
        help="unit of shingles (default: word); char for scripts without spaces between words, such as "
        "Chinese, Japanese or Thai",
    )
    parser.add_argument("--shingle-size", type=integer(1, 1024), default=3, help="in units (default: 3)")
    parser.add_argument(
        "--n-hashes", type=integer(1, 8192), default=128, help="slots per signature (default: 128)"
    )
    parser.add_argument("--threads", type=thread_count, help="(default: all CPUs)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    """Write groups of lines, or the lines without near-duplicates."""
    started = time.perf_counter()
    name, threads = arguments.file, arguments.threads
    check_output(arguments.output, name)
    if arguments.keep_first and arguments.id_field is not None:
        raise UserError("--id-field is for groups; --keep-first writes whole lines: omit one of them")
    check_json(arguments.json, arguments.output, "the groups or lines")
    fields = arguments.field, arguments.id_field
    form = form_of(name, arguments.format, has_fields=fields != (None, None))
    suffix = Path(name).suffix.lower()
    if arguments.keep_first and is_table(name) and Path(arguments.output).suffix.lower() != suffix:
        raise UserError(f"--keep-first writes a table like {name}; -o must name a file that ends in {suffix}")
    model = MinHash(arguments.n_hashes, unit=arguments.unit, shingle_size=arguments.shingle_size).fit()
    index = MinHashIndex(model, threshold=arguments.threshold)

    kept: list[TokenSets] | None = [] if arguments.exact or arguments.threshold == 1 else None
    with open_records(name, form, arguments.encoding, *fields, twice=arguments.keep_first) as records:
        rows = _index_records(name, records, index, kept, threads)
        sets = None if kept is None else _joined(kept)
        first_rows = index.groups(verify=sets, threads=threads)
        is_first = first_rows == np.arange(len(first_rows))
        with writing(arguments.output) as file, compressing(file, arguments.output) as output:
            if arguments.keep_first:
                is_dropped = np.zeros(rows.n_lines + 1, bool)
                is_dropped[np.asarray(rows.numbers)[~is_first]] = True
                records.write(is_dropped, output)
            else:
                key, names = (
                    (f"{records.unit}s", rows.numbers) if arguments.id_field is None else ("ids", rows.ids)
                )
                for members, similarity in _groups(first_rows, names, index, sets, threads):
                    output.write(json.dumps({key: members, "similarity": similarity}).encode() + b"\n")
    n_groups = len(np.unique(first_rows[~is_first]))
    n_copies = int(np.count_nonzero(~is_first))
    n_empty = rows.n_lines - rows.n_bad - len(first_rows)
    seconds = time.perf_counter() - started
    facts = {"file": name, "records": rows.n_lines, "duplicates": n_copies, "groups": n_groups}
    summarize(
        arguments,
        {**facts, "bad": rows.n_bad, "without_words": n_empty, "seconds": seconds},
        f"{name}: {rows.n_lines:,} {records.unit}s, {n_copies:,} of them near-duplicates of an earlier one, "
        f"in {n_groups:,} groups; {rows.n_bad:,} bad {records.unit}s and {n_empty:,} without words are kept; "
        f"{seconds:.2f} s",
    )


# --- from records to the index ------------------------------------------------------------------------------


@dataclass
class Rows:
    """Which records are the rows of the index, and how many records there are."""

    numbers: array[int] = field(default_factory=lambda: array("q"))
    """The number of the record of each row."""
    ids: list[Any] = field(default_factory=list)
    """What the record has in `--id-field`; None without it."""
    n_lines: int = 0
    n_bad: int = 0


def _index_records(
    name: str,
    records: Records,
    index: MinHashIndex,
    kept: list[TokenSets] | None,
    threads: int | None,
) -> Rows:
    """Index the records that contain words, and append their token sets to `kept`."""
    rows, unit = Rows(), records.unit
    complaints: list[str] = []
    for batch in records.read("reading"):
        texts, ids, numbers = [], [], []
        for number, line in enumerate(batch.lines, batch.first):
            try:
                text, its_id = records.parse(line)
            except BadRecordError as error:
                rows.n_bad += 1
                if rows.n_bad <= MAX_COMPLAINTS:
                    complaints.append(f"{number}: {error}")
            else:
                texts.append(text)
                ids.append(its_id)
                numbers.append(number)
        rows.n_lines += len(batch.lines)
        if kept is None:
            signatures = index.codec.encode(texts, threads=threads)
        else:
            tokens, offsets = index.codec.shingles(texts)
            signatures = index.codec.encode((tokens, offsets), threads=threads)
            kept.append((tokens, np.diff(offsets)))
        has_words = ~(signatures == EMPTY_SLOT).all(axis=1)
        index.add_codes(signatures[has_words], threads=threads)
        rows.numbers.extend(compress(numbers, has_words))
        rows.ids.extend(compress(ids, has_words))
        if batch.first == 1 and (advice := _advice(texts, index.codec, records)):
            report(f"fastcodes: {name}: {advice}")
        if rows.numbers:  # otherwise the command may be wrong rather than the lines
            while complaints:
                report(f"fastcodes: {name}:{'' if unit == 'line' else ' row '}{complaints.pop(0)}")
    if complaints:
        raise UserError(
            f"{name}: no text in any {unit}: {rows.n_bad:,} of {rows.n_lines:,} are bad; "
            f"{unit} {complaints[0]}"
        )
    if rows.n_bad > MAX_COMPLAINTS:
        report(f"fastcodes: {name}: {rows.n_bad - MAX_COMPLAINTS:,} more bad {unit}s")
    return rows


def _advice(texts: Sequence[str], model: MinHash, records: Records) -> str | None:
    """Return advice if lines are compared as plain text or by words, but should not be."""
    if records.is_text and texts and texts[0].lstrip().startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            json.loads(texts[0])
            return "lines that look like JSON objects are compared as plain text; --field names their text"
    texts = [text[:LETTERS_OF_SAMPLE] for text in texts[:TEXTS_OF_SAMPLE]]
    n_shingles = np.diff(model.shingles(texts)[1])
    if model.unit == "char" or not n_shingles.any():
        return None
    n_unspaced = sum(len(UNSPACED.findall(text)) for text in texts)
    if n_unspaced > sum(map(len, texts)) / 2:
        return "most characters belong to scripts without spaces between words, so --unit char finds more"
    if np.mean(n_shingles[n_shingles > 0] == 1) >= 0.9:
        return (
            f"nearly all texts have at most {model.shingle_size} words, which make a single shingle, so that "
            "only equal ones are alike; --unit char --shingle-size 5 compares their characters"
        )
    return None


def _joined(parts: list[TokenSets]) -> TokenSets:
    """Join parts of (tokens, set lengths) to (tokens, offsets), without empty sets; the parts are freed."""
    lengths = np.concatenate([np.zeros(1, np.int64), *(lengths[lengths > 0] for _, lengths in parts)])
    offsets = lengths.cumsum()
    tokens, end = np.empty(offsets[-1], np.uint64), offsets[-1]
    while parts:
        part, _ = parts.pop()
        tokens[end - len(part) : end] = part
        end -= len(part)
    return tokens, offsets


# --- from the index to the output ---------------------------------------------------------------------------


def _groups(
    first_rows: npt.NDArray[np.int64],
    names: Sequence[Any],
    index: MinHashIndex,
    sets: TokenSets | None,
    threads: int | None,
) -> Iterator[tuple[list[Any], list[float]]]:
    """Yield the groups of two rows or more, in the order of their first ones, and their similarity to it."""
    copies = np.flatnonzero(first_rows != np.arange(len(first_rows)))
    copies = copies[np.argsort(first_rows[copies], kind="stable")]
    firsts = first_rows[copies]
    similarities = np.empty(len(copies), np.float32)
    for part in blocks(len(copies), PAIRS_PER_CALL):
        if sets is None:
            similarities[part] = 1 - index.distances(firsts[part], copies[part])
        else:
            similarities[part] = minhash.jaccard(sets, sets, firsts[part], copies[part], threads=threads)
    ends = np.append(np.flatnonzero(np.diff(firsts)) + 1, len(copies)) if len(copies) else ()
    start = 0
    for end in ends:
        members = [names[firsts[start]], *(names[copy] for copy in copies[start:end])]
        yield members, [1.0, *(round(float(similarity), 4) for similarity in similarities[start:end])]
        start = end
