"""The command `fastcodes dedup`: near-duplicates among the lines of a file."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from fastcodes import minhash
from fastcodes.cli.terminal import UserError, check_output, positive, replacing, tracked
from fastcodes.hashing import MinHash
from fastcodes.index import MinHashIndex

__all__ = ["HELP", "add_arguments", "run"]

HELP = "find near-duplicates among the lines of a text or JSONL file, by MinHash"
# Bytes of lines read, and held in memory, between two updates of the progress bar.
BYTES_PER_BATCH = 1 << 23
EMPTY_SLOT = 2**32 - 1
"""All slots of the signature of a text without words."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

TokenSets = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare input, output, and what counts as a near-duplicate."""
    parser.add_argument("file", metavar="FILE", help="one text or one JSON object per line; - is stdin")
    parser.add_argument(
        "--threshold", type=float, default=0.8, help="Jaccard similarity of duplicates (default: 0.8)"
    )
    parser.add_argument(
        "--field",
        metavar="NAME",
        help="lines are JSON objects with the text in this field "
        "(default: text, if FILE is named .jsonl or .ndjson; else lines are texts)",
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
        "keeps eight bytes per word or character in memory",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="output file (default: stdout)")
    parser.add_argument(
        "--unit", choices=("word", "char"), default="word", help="unit of shingles (default: word)"
    )
    parser.add_argument("--shingle-size", type=positive, default=3, help="in units (default: 3)")
    parser.add_argument("--n-hashes", type=positive, default=128, help="slots per signature (default: 128)")
    parser.add_argument("--threads", type=positive, help="(default: all CPUs)")


def run(arguments: argparse.Namespace) -> None:
    """Write groups of lines, or the lines without near-duplicates."""
    started = time.perf_counter()
    name, output = arguments.file, arguments.output
    if output is not None:
        if name != "-" and Path(name).exists() and output.exists() and output.samefile(name):
            raise UserError(f"{output}: is the input; give the output another name")
        check_output(output)
    if arguments.keep_first and name == "-":
        raise UserError("--keep-first reads its input twice, but stdin can be read only once; give a file")
    field = arguments.field
    if field is None and name.lower().endswith((".jsonl", ".ndjson")):
        field = "text"
    try:
        model = MinHash(
            arguments.n_hashes,
            unit=arguments.unit,
            shingle_size=arguments.shingle_size,
        ).fit()
        index = MinHashIndex(model, threshold=arguments.threshold)
    except (TypeError, ValueError) as error:
        raise UserError(str(error).replace("shingle_size", "--shingle-size")) from None

    kept: list[TokenSets] | None = [] if arguments.exact else None
    numbers, n_lines, n_bad = _index_lines(name, field, index, kept, arguments.threads)
    sets = None if kept is None else _joined(kept)
    first_rows = index.groups(verify=sets, threads=arguments.threads)
    is_first = first_rows == np.arange(len(first_rows))
    try:
        with replacing(output) if output is not None else nullcontext(sys.stdout.buffer) as file:
            if arguments.keep_first:
                dropped = np.zeros(n_lines + 1, bool)
                dropped[numbers[~is_first]] = True
                _write_kept(name, dropped, file)
            else:
                for group in _groups(first_rows, numbers, index, sets, arguments.threads):
                    file.write(json.dumps(group).encode() + b"\n")
            file.flush()
    except BrokenPipeError:
        # The reader has stopped. Otherwise Python would complain at exit that it cannot flush stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    n_groups = len(np.unique(first_rows[~is_first]))
    n_copies = int(np.count_nonzero(~is_first))
    print(
        f"{name}: {n_lines:,} lines, {n_copies:,} of them near-duplicates of an earlier one, in {n_groups:,} "
        f"groups; {n_bad:,} bad lines and {n_lines - n_bad - len(first_rows):,} without words are kept; "
        f"{time.perf_counter() - started:.2f} s",
        file=sys.stderr,
    )


# --- from lines to the index --------------------------------------------------------------------------------


def _index_lines(
    name: str,
    field: str | None,
    index: MinHashIndex,
    kept: list[TokenSets] | None,
    threads: int | None,
) -> tuple[npt.NDArray[np.int64], int, int]:
    """Index the lines that contain words, and append their token sets to `kept`.

    Returns
    -------
    numbers : int64 array
        The line number of each row of the index.
    n_lines, n_bad : int
        All lines, and those that hold no valid text.
    """
    text_of = _plain_text if field is None else _json_text(field)
    numbers, n_lines, n_bad = [np.empty(0, np.int64)], 0, 0
    with _opened(name) as file:
        size = os.fstat(file.fileno()).st_size if name != "-" else None
        for batch in tracked(_batches(file, name), size, "reading"):
            texts, of_texts = [], []
            for number, line in enumerate(batch.lines, batch.first):
                try:
                    text = text_of(line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line)
                except BadLineError as error:
                    n_bad += 1
                    print(f"fastcodes: {name}:{number}: {error}", file=sys.stderr)
                else:
                    texts.append(text)
                    of_texts.append(number)
            n_lines += len(batch.lines)
            if kept is None:
                signatures = index.codec.encode(texts, threads=threads)
            else:
                tokens, offsets = index.codec.shingles(texts)
                signatures = index.codec.encode((tokens, offsets), threads=threads)
                kept.append((tokens, np.diff(offsets)))
            has_words = ~(signatures == EMPTY_SLOT).all(axis=1)
            index.add_codes(signatures[has_words], threads=threads)
            numbers.append(np.array(of_texts, np.int64)[has_words])
    return np.concatenate(numbers), n_lines, n_bad


def _joined(parts: list[TokenSets]) -> TokenSets:
    """Join parts of (tokens, set lengths) to (tokens, offsets), without empty sets."""
    tokens = np.concatenate([np.empty(0, np.uint64), *(tokens for tokens, _ in parts)])
    lengths = np.concatenate([np.zeros(1, np.int64), *(lengths[lengths > 0] for _, lengths in parts)])
    return tokens, lengths.cumsum()


class BadLineError(ValueError):
    """Raised for a line that holds no valid text."""


def _plain_text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise BadLineError(f"not valid UTF-8: {error.reason} at byte {error.start + 1}") from None


def _json_text(field: str) -> Callable[[bytes], str]:
    def text_of(line: bytes) -> str:
        if not line.strip():
            return ""
        text = _plain_text(line)
        try:
            record = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadLineError(f"not valid JSON: {error.msg} at character {error.pos + 1}") from None
        except (ValueError, RecursionError) as error:
            raise BadLineError(f"JSON that cannot be read: {error}") from None
        if not isinstance(record, dict):
            raise BadLineError(f"a JSON {type(record).__name__}; expected an object with a field {field!r}")
        if field not in record:
            raise BadLineError(f"no field {field!r}")
        value = record[field]
        if not isinstance(value, str):
            raise BadLineError(f"the field {field!r} is a {type(value).__name__}; expected a string")
        if b"\\u" in line:  # only an escape sequence can produce what UTF-8 cannot encode
            try:
                value.encode()
            except UnicodeEncodeError:
                raise BadLineError(f"the field {field!r} has half of a surrogate pair") from None
        return value

    return text_of


# --- from the index to the output ---------------------------------------------------------------------------


def _groups(
    first_rows: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64],
    index: MinHashIndex,
    sets: TokenSets | None,
    threads: int | None,
) -> Iterator[dict[str, Any]]:
    """Yield the groups of two lines or more, in the order of their first lines."""
    copies = np.flatnonzero(first_rows != np.arange(len(first_rows)))
    copies = copies[np.argsort(first_rows[copies], kind="stable")]
    firsts = first_rows[copies]
    if sets is None:
        similarities = 1 - index.distances(firsts, copies)
    else:
        similarities = minhash.jaccard(sets, sets, firsts, copies, threads=threads)
    ends = np.append(np.flatnonzero(np.diff(firsts)) + 1, len(copies)) if len(copies) else ()
    start = 0
    for end in ends:
        lines = [int(numbers[firsts[start]]), *numbers[copies[start:end]].tolist()]
        similarity = [1.0, *(round(float(similarity), 4) for similarity in similarities[start:end])]
        yield {"lines": lines, "similarity": similarity}
        start = end


def _write_kept(name: str, dropped: npt.NDArray[np.bool_], file: IO[bytes]) -> None:
    with _opened(name) as source:
        size = os.fstat(source.fileno()).st_size
        for batch in tracked(_batches(source, name), size, "writing"):
            # Lines appended to the file since the first pass are kept.
            is_dropped = dropped[batch.first : batch.first + len(batch.lines)].tolist()
            is_dropped += [False] * (len(batch.lines) - len(is_dropped))
            file.writelines(line for line, drop in zip(batch.lines, is_dropped, strict=True) if not drop)


# --- input --------------------------------------------------------------------------------------------------


@dataclass
class Batch:
    """Consecutive lines, the number of the first (from 1), and the file offset of their end."""

    lines: list[bytes]
    first: int
    stop: int


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    """Open a file or stdin for reading; raise a `UserError` if this is impossible."""
    try:
        file = sys.stdin.buffer if name == "-" else open(name, "rb")  # noqa: SIM115
    except FileNotFoundError:
        raise UserError(f"{name}: no such file") from None
    except OSError as error:
        raise UserError(f"{name}: {error.strerror or error}") from None
    with nullcontext(file) if name == "-" else file:
        yield file


def _batches(file: IO[bytes], name: str) -> Iterator[Batch]:
    first, stop = 1, 0
    while True:
        try:
            lines = file.readlines(BYTES_PER_BATCH)
        except OSError as error:
            raise UserError(f"{name}: {error.strerror or error}") from None
        if not lines:
            return
        stop += sum(map(len, lines))
        yield Batch(lines, first, stop)
        first += len(lines)
