"""The command `fastcodes strings`: the lines of a file in a few bytes each, any of them readable alone."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from fastcodes.cli.files import check_output, opened, writing
from fastcodes.cli.lines import Lines
from fastcodes.cli.terminal import UserError, add_json, integer, summarize, thread_count, tracked
from fastcodes.coding import CompressedTexts, TextCodec
from fastcodes.coding.text import NoModelError

__all__ = ["HELP", "add_arguments", "run"]

HELP = "store the lines of a text in a few bytes each, and read any of them"
DESCRIPTION = (
    "Store the lines of a text in a few bytes each, by a model that is fitted to them, and read any of "
    "them without the others. The input can be compressed (gzip, bzip2, xz, zstd) and is UTF-8, or UTF-16 or "
    "UTF-32 with a byte order mark; bytes that are not UTF-8 are kept as they are. The model is stored in "
    "the output, unless --model names its file."
)
EXAMPLES = """examples:
  fastcodes strings lines.txt -o lines.strings
  fastcodes strings lines.strings --get 1 17 250
  fastcodes strings lines.strings --all -o lines.txt
  fastcodes strings more.txt.gz -o more.strings --model lines.model
  fastcodes strings lines.txt -o lines.strings --json"""
FITTED_LINES = 100_000
"""The largest number of lines that a model is fitted to; they come from all parts of the input."""
LINES_PER_BLOCK = 1 << 15
LONGEST_LINE = 1 << 18
"""Bytes of the longest string that `TextCodec` encodes."""
LEAST_MODEL, LARGEST_DEFAULT = 1 << 17, 1 << 24
"""Bytes of a model."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare input, output, the model, and what is read."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument("file", metavar="FILE", help="a text, - is stdin; with --get or --all, stored lines")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="output file; with --get and --all stdout by default"
    )
    reading = parser.add_mutually_exclusive_group()
    reading.add_argument(
        "--get", type=integer(1), nargs="+", metavar="LINE", help="write these lines, the first is 1"
    )
    reading.add_argument("--all", action="store_true", help="write all lines")
    parser.add_argument(
        "--model",
        metavar="FILE",
        help="file of the model beside the output: it is used if it exists, and written if not",
    )
    parser.add_argument(
        "--model-bytes",
        type=integer(LEAST_MODEL, 1 << 30),
        metavar="N",
        help="largest size of the model (default: 16 MiB with --model, else a sixteenth of the lines)",
    )
    parser.add_argument("--encoding", metavar="NAME", help="encoding of the lines, such as latin-1")
    parser.add_argument("--threads", type=thread_count, help="(default: all CPUs)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    """Store lines, or write some that were stored."""
    if arguments.all or arguments.get:
        _read(arguments)
    else:
        _store(arguments)


def _store(arguments: argparse.Namespace) -> None:
    started = time.perf_counter()
    name, output = arguments.file, arguments.output
    if output is None:
        raise UserError(
            "-o names the file for the lines; to read lines that were stored, give --get or --all"
        )
    if not check_output(output, name, arguments.model):
        raise UserError(f"{output}: not a regular file; expected the name of a file to write")
    with Lines(name, arguments.encoding, twice=False) as lines:
        content = b"".join(line for batch in lines.read("read") for line in batch.lines)
    # What follows the last line end is a string too, as a rule an empty one: joined, all give the same bytes.
    texts = content.decode("utf-8", "surrogateescape").split("\n")
    for number, text in enumerate(texts, 1):
        # A character has at most four bytes. Those that are not UTF-8 have three each.
        if 4 * len(text) > LONGEST_LINE and len(text.encode("utf-8", "surrogatepass")) > LONGEST_LINE:
            raise UserError(
                f"{name}: line {number:,} is longer than {LONGEST_LINE:,} bytes, the most of a line"
            )
    model, is_new = arguments.model, False
    if model is not None and os.path.exists(model):
        codec = _codec(model)
    else:
        within = min(max(len(content) // 16, LEAST_MODEL), LARGEST_DEFAULT)
        model_bytes = arguments.model_bytes or (within if model is None else LARGEST_DEFAULT)
        codec, is_new = TextCodec(model_bytes), True
        step = -(-len(texts) // FITTED_LINES)
        codec.fit(texts[::step])
    stored = _compressed(codec, texts, arguments.threads)
    if model is not None and is_new:
        check_output(model, name, output)
        codec.save(model)
    stored.save(output, with_model=model is None)
    n_lines = len(texts) - (not texts[-1])
    seconds = time.perf_counter() - started
    facts = {
        "file": name,
        "output": output,
        "lines": n_lines,
        "bytes": len(content),
        "stored_bytes": stored.nbytes,
        "model_bytes": codec.nbytes,
        "seconds": seconds,
    }
    summarize(
        arguments,
        facts,
        f"{name}: {n_lines:,} lines, {len(content):,} bytes stored in {stored.nbytes:,}, "
        f"{len(content) / max(stored.nbytes, 1):.1f} times fewer, and a model of {codec.nbytes:,}; "
        f"{seconds:.2f} s",
    )


@dataclass
class _Block:
    """Some of the lines, and how many were encoded with them."""

    texts: list[str]
    stop: int


def _compressed(codec: TextCodec, texts: list[str], threads: int | None) -> CompressedTexts:
    def blocks() -> Iterator[_Block]:
        for start in range(0, len(texts), LINES_PER_BLOCK):
            part = texts[start : start + LINES_PER_BLOCK]
            yield _Block(part, start + len(part))

    parts = [codec.compress(block.texts, threads=threads) for block in tracked(blocks(), len(texts), "store")]
    return CompressedTexts._joined(parts)


def _read(arguments: argparse.Namespace) -> None:
    name, output = arguments.file, arguments.output or "-"
    if arguments.json:
        raise UserError("--json reports what was stored; leave it out with --get and --all")
    check_output(output, name, arguments.model)
    opened(name).close()  # says what is wrong with the name
    codec = None if arguments.model is None else _codec(arguments.model)
    try:
        stored = CompressedTexts.load(name, codec=codec, mmap=not arguments.all)
        with writing(output) as file:
            if arguments.get:
                n_lines = len(stored) - (len(stored) > 0 and not stored[-1])
                if max(arguments.get) > n_lines:
                    raise UserError(f"{name}: has {n_lines:,} lines; got --get {max(arguments.get)}")
                wanted = stored.take([line - 1 for line in arguments.get], threads=arguments.threads)
                file.write(_bytes_of("\n".join([*wanted, ""])))
                return
            for start in range(0, len(stored), LINES_PER_BLOCK):
                texts = stored.take(slice(start, start + LINES_PER_BLOCK), threads=arguments.threads)
                file.write(_bytes_of("\n" * (start > 0) + "\n".join(texts)))
    except NoModelError:
        raise UserError(f"{name}: has no model; give the file of its model with --model") from None
    except ValueError as error:
        raise UserError(str(error)) from None


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _codec(name: str) -> TextCodec:
    opened(name).close()
    try:
        return TextCodec.load(name)
    except ValueError as error:
        raise UserError(str(error)) from None
