"""The command `fastcodes dedup`: near-duplicates among the lines of a file."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import reprlib
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastcodes import minhash
from fastcodes.cli.files import check_output, writing
from fastcodes.cli.lines import Lines, compressing
from fastcodes.cli.terminal import UserError, blocks, integer, real, report, thread_count
from fastcodes.hashing import MinHash
from fastcodes.index import MinHashIndex

__all__ = ["HELP", "add_arguments", "run"]

HELP = "find near-duplicates among the lines of a text or JSONL file, by MinHash"
DESCRIPTION = (
    "Find near-duplicates among the lines of a text or JSONL file. The input can be compressed (gzip, bzip2, "
    "xz, zstd) and is UTF-8, or UTF-16 or UTF-32 with a byte order mark. The output is UTF-8, compressed if "
    "its name ends in .gz, .bz2 or .xz. With --keep-first the input is read twice: a pipe is first copied to "
    "a temporary file (in TMPDIR)."
)
EMPTY_SLOT = 2**32 - 1
"""All slots of the signature of a text without words."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
JSONL_NAME = re.compile(r"\.(jsonl|ndjson)(\.(gz|bz2|xz|zst))?$")
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
Parser: TypeAlias = Callable[[bytes], tuple[str, Any]]
"""`line -> (text, what the line has in --id-field)`; raises a `BadLineError`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare input, output, and what counts as a near-duplicate."""
    parser.description = DESCRIPTION
    parser.add_argument("file", metavar="FILE", help="one text or one JSON object per line; - is stdin")
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
        help="lines are JSON objects with the text in this field "
        "(default: text, if FILE is named .jsonl or .ndjson; else lines are texts)",
    )
    parser.add_argument(
        "--id-field",
        metavar="NAME",
        help="lines are JSON objects with a string or number in this field, "
        "which the groups list instead of line numbers",
    )
    parser.add_argument(
        "--encoding", metavar="NAME", help="encoding of the lines, such as latin-1 (default: see above)"
    )
    parser.add_argument(
        "--keep-first",
        action="store_true",
        help="write the lines without all but the first of each group; "
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


def run(arguments: argparse.Namespace) -> None:
    """Write groups of lines, or the lines without near-duplicates."""
    started = time.perf_counter()
    name, threads = arguments.file, arguments.threads
    check_output(arguments.output, name)
    if arguments.keep_first and arguments.id_field is not None:
        raise UserError("--id-field is for groups; --keep-first writes whole lines: omit one of them")
    text_field = arguments.field
    if text_field is None and (arguments.id_field is not None or JSONL_NAME.search(name.lower())):
        text_field = "text"
    model = MinHash(arguments.n_hashes, unit=arguments.unit, shingle_size=arguments.shingle_size).fit()
    index = MinHashIndex(model, threshold=arguments.threshold)

    parse = _plain_text if text_field is None else _json_text(text_field, arguments.id_field)
    kept: list[TokenSets] | None = [] if arguments.exact or arguments.threshold == 1 else None
    with Lines(name, arguments.encoding, twice=arguments.keep_first) as lines:
        rows = _index_lines(name, lines, parse, index, kept, threads)
        sets = None if kept is None else _joined(kept)
        first_rows = index.groups(verify=sets, threads=threads)
        is_first = first_rows == np.arange(len(first_rows))
        with writing(arguments.output) as file, compressing(file, arguments.output) as output:
            if arguments.keep_first:
                is_dropped = np.zeros(rows.n_lines + 1, bool)
                is_dropped[np.asarray(rows.numbers)[~is_first]] = True
                _write_kept(lines, is_dropped, output)
            else:
                key, names = ("lines", rows.numbers) if arguments.id_field is None else ("ids", rows.ids)
                for members, similarity in _groups(first_rows, names, index, sets, threads):
                    output.write(json.dumps({key: members, "similarity": similarity}).encode() + b"\n")
    n_groups = len(np.unique(first_rows[~is_first]))
    n_copies = int(np.count_nonzero(~is_first))
    n_empty = rows.n_lines - rows.n_bad - len(first_rows)
    report(
        f"{name}: {rows.n_lines:,} lines, {n_copies:,} of them near-duplicates of an earlier one, in "
        f"{n_groups:,} groups; {rows.n_bad:,} bad lines and {n_empty:,} without words are kept; "
        f"{time.perf_counter() - started:.2f} s"
    )


# --- from lines to the index --------------------------------------------------------------------------------


@dataclass
class Rows:
    """Which lines are the rows of the index, and how many lines there are."""

    numbers: array[int] = field(default_factory=lambda: array("q"))
    """The number of the line of each row."""
    ids: list[Any] = field(default_factory=list)
    """What the line has in `--id-field`; None without it."""
    n_lines: int = 0
    n_bad: int = 0


def _index_lines(
    name: str,
    lines: Lines,
    parse: Parser,
    index: MinHashIndex,
    kept: list[TokenSets] | None,
    threads: int | None,
) -> Rows:
    """Index the lines that contain words, and append their token sets to `kept`."""
    rows, complaints = Rows(), []
    for batch in lines.read("reading"):
        texts, ids, numbers = [], [], []
        for number, line in enumerate(batch.lines, batch.first):
            try:
                text, its_id = parse(line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line)
            except BadLineError as error:
                rows.n_bad += 1
                if rows.n_bad <= MAX_COMPLAINTS:
                    complaints.append(f"{name}:{number}: {error}")
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
        if batch.first == 1 and (advice := _advice(texts, index.codec, parse)):
            report(f"fastcodes: {name}: {advice}")
        if rows.numbers:  # otherwise the command may be wrong rather than the lines
            while complaints:
                report(f"fastcodes: {complaints.pop(0)}")
    if complaints:
        _, _, first = complaints[0].removeprefix(name).partition(":")
        raise UserError(
            f"{name}: no text in any line: {rows.n_bad:,} of {rows.n_lines:,} are bad; line {first}"
        )
    if rows.n_bad > MAX_COMPLAINTS:
        report(f"fastcodes: {name}: {rows.n_bad - MAX_COMPLAINTS:,} more bad lines")
    return rows


def _advice(texts: Sequence[str], model: MinHash, parse: Parser) -> str | None:
    """Return advice if lines are compared as plain text or by words, but should not be."""
    if parse is _plain_text and texts and texts[0].lstrip().startswith("{"):
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


class BadLineError(ValueError):
    """Raised for a line that holds no valid text."""


def _plain_text(line: bytes) -> tuple[str, None]:
    try:
        return line.decode(), None
    except UnicodeDecodeError as error:
        place = f"{error.reason} at byte {error.start + 1}"
        raise BadLineError(f"not valid UTF-8: {place} (see --encoding)") from None


def _json_text(field: str, id_field: str | None) -> Parser:
    def parse(line: bytes) -> tuple[str, Any]:
        if not line.strip():
            return "", None
        text, _ = _plain_text(line)
        try:
            record = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadLineError(f"not valid JSON: {error.msg} at character {error.pos + 1}") from None
        except (ValueError, RecursionError) as error:
            raise BadLineError(f"JSON that cannot be read: {error}") from None
        if not isinstance(record, dict):
            raise BadLineError(f"a JSON {type(record).__name__}; expected an object with a field {field!r}")
        value = _value(record, field, (str,), "a string")
        if b"\\u" in line:  # only an escape sequence can produce what UTF-8 cannot encode
            try:
                value.encode()
            except UnicodeEncodeError:
                raise BadLineError(f"the field {field!r} has half of a surrogate pair") from None
        if id_field is None:
            return value, None
        return value, _value(record, id_field, (str, int, float), "a string or a number")

    return parse


def _value(record: dict[str, Any], field: str, types: tuple[type, ...], expected: str) -> Any:
    if field not in record:
        raise BadLineError(f"no field {field!r}; there are {reprlib.repr(list(record))}")
    value = record[field]
    if not isinstance(value, types) or isinstance(value, bool):
        raise BadLineError(f"the field {field!r} is a {type(value).__name__}; expected {expected}")
    return value


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


def _write_kept(lines: Lines, is_dropped: npt.NDArray[np.bool_], file: IO[bytes]) -> None:
    for batch in lines.read("writing"):
        drop = is_dropped[batch.first : batch.first + len(batch.lines)].tolist()
        file.writelines(line for line, drops in zip(batch.lines, drop, strict=True) if not drops)
