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
from fastcodes._terminal import UserError, check_output, replacing, tracked
from fastcodes.hashing import MinHash
from fastcodes.index import MinHashIndex

__all__ = ["run"]

# Of lines that are read, and kept in memory, between two movements of the bar.
BYTES_OF_LINES = 1 << 23
NO_WORDS = 2**32 - 1
"""All slots of the signature of a text without words."""


TokenSets = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]


@dataclass
class Lines:
    """Some lines as they are, the number of the first from 1 on, and where in the file they end."""

    lines: list[bytes]
    first: int
    stop: int


class BadLineError(ValueError):
    """A line that holds no text, and why."""


def run(arguments: argparse.Namespace) -> None:
    """Write groups of lines, or the lines that stay."""
    started = time.perf_counter()
    name, output = arguments.file, arguments.output
    if output is not None:
        if name != "-" and Path(name).exists() and output.exists() and output.samefile(name):
            raise UserError(f"{output}: is the input; give the output a name of its own")
        check_output(output)
    if arguments.keep_first and name == "-":
        raise UserError("--keep-first reads its input twice, and stdin can be read once; give a file")
    field = arguments.field
    if field is None and name.lower().endswith((".jsonl", ".ndjson")):
        field = "text"
    try:
        model = MinHash(
            arguments.n_hashes,
            unit=arguments.unit,
            shingle_size=arguments.shingle_size,
            threads=arguments.threads,
        ).fit()
        index = MinHashIndex(model, arguments.threshold)
    except (TypeError, ValueError) as error:
        raise UserError(str(error).replace("shingle_size", "--shingle-size")) from None

    kept: list[TokenSets] | None = [] if arguments.exact else None
    numbers, n_lines, n_bad = _sign_lines(name, field, index, kept)
    sets = None if kept is None else _joined(kept)
    rows = index.groups(verify=sets)
    is_first = rows == np.arange(len(rows))
    try:
        with replacing(output) if output is not None else nullcontext(sys.stdout.buffer) as file:
            if arguments.keep_first:
                dropped = np.zeros(n_lines + 1, bool)
                dropped[numbers[~is_first]] = True
                _write_kept(name, dropped, file)
            else:
                for group in _groups(rows, numbers, index, sets):
                    file.write(json.dumps(group).encode() + b"\n")
            file.flush()
    except BrokenPipeError:
        # Whoever reads has enough. Python would complain at its end that it cannot flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    n_groups = len(np.unique(rows[~is_first]))
    n_copies = len(rows) - int(np.count_nonzero(is_first))
    print(
        f"{name}: {n_lines:,} lines, {n_copies:,} of them near-duplicates of an earlier one, in {n_groups:,} "
        f"groups; {n_bad:,} bad lines and {n_lines - n_bad - len(rows):,} without words, which stay; "
        f"{time.perf_counter() - started:.2f} s",
        file=sys.stderr,
    )


def _sign_lines(
    name: str, field: str | None, index: MinHashIndex, kept: list[TokenSets] | None
) -> tuple[npt.NDArray[np.int64], int, int]:
    """Add the lines that have words, and their tokens to what is `kept`.

    Returns their numbers, that of all lines, and that of bad ones.
    """
    text_of = _plain_text if field is None else _json_text(field)
    numbers, n_lines, n_bad = [np.empty(0, np.int64)], 0, 0
    with _opened(name) as file:
        size = os.fstat(file.fileno()).st_size if name != "-" else None
        for batch in tracked(_batches(file, name), size, "reading"):
            texts, places = [], []
            for number, line in enumerate(batch.lines, batch.first):
                try:
                    # Some editors begin a file with this mark.
                    text = text_of(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
                except BadLineError as error:
                    n_bad += 1
                    print(f"fastcodes: {name}:{number}: {error}", file=sys.stderr)
                else:
                    texts.append(text)
                    places.append(number)
            n_lines += len(batch.lines)
            if kept is None:
                signatures = index.model.encode(texts)
            else:
                tokens, offsets = index.model.shingles(texts)
                signatures = index.model.encode((tokens, offsets))
                kept.append((tokens, np.diff(offsets)))
            has_words = ~(signatures == NO_WORDS).all(axis=1)
            index.add_signatures(signatures[has_words])
            numbers.append(np.array(places, np.int64)[has_words])
    return np.concatenate(numbers), n_lines, n_bad


def _joined(parts: list[TokenSets]) -> TokenSets:
    """Give all sets but the empty ones as tokens and offsets, of tokens and their number in each set."""
    tokens = np.concatenate([np.empty(0, np.uint64), *(tokens for tokens, _ in parts)])
    lengths = np.concatenate([np.zeros(1, np.int64), *(lengths[lengths > 0] for _, lengths in parts)])
    return tokens, lengths.cumsum()


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
            raise BadLineError(f"not JSON that can be read: {error}") from None
        if not isinstance(record, dict):
            raise BadLineError(f"not a JSON object with a field {field!r}, but a {type(record).__name__}")
        if field not in record:
            raise BadLineError(f"has no field {field!r}")
        value = record[field]
        if not isinstance(value, str):
            raise BadLineError(f"the field {field!r} is not a string, but a {type(value).__name__}")
        if b"\\u" in line:  # only an escape can make what UTF-8 cannot hold
            try:
                value.encode()
            except UnicodeEncodeError:
                raise BadLineError(f"the field {field!r} has half of a surrogate pair") from None
        return value

    return text_of


def _groups(
    rows: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64],
    index: MinHashIndex,
    sets: TokenSets | None,
) -> Iterator[dict[str, Any]]:
    """Give the groups of two lines or more in the order of their first lines."""
    copies = np.flatnonzero(rows != np.arange(len(rows)))
    copies = copies[np.argsort(rows[copies], kind="stable")]
    firsts = rows[copies]
    if sets is None:
        similarities = 1 - index._distances(index._bands.differing(firsts, copies))
    else:
        similarities = minhash.jaccard(sets, sets, firsts, copies, threads=index.model.threads)
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
            # A file that has grown since: what was not looked at stays.
            is_dropped = dropped[batch.first : batch.first + len(batch.lines)].tolist()
            is_dropped += [False] * (len(batch.lines) - len(is_dropped))
            file.writelines(line for line, drop in zip(batch.lines, is_dropped, strict=True) if not drop)


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    """Open a file for reading, or tell in one line why that cannot be."""
    try:
        file = sys.stdin.buffer if name == "-" else open(name, "rb")  # noqa: SIM115
    except FileNotFoundError:
        raise UserError(f"{name}: no such file") from None
    except OSError as error:
        raise UserError(f"{name}: {error.strerror or error}") from None
    with nullcontext(file) if name == "-" else file:
        yield file


def _batches(file: IO[bytes], name: str) -> Iterator[Lines]:
    first, stop = 1, 0
    while True:
        try:
            lines = file.readlines(BYTES_OF_LINES)
        except OSError as error:
            raise UserError(f"{name}: {error.strerror or error}") from None
        if not lines:
            return
        stop += sum(map(len, lines))
        yield Lines(lines, first, stop)
        first += len(lines)
