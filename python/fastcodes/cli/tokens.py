"""The command `fastcodes tokens`: pictures as grids of tokens, in a few bytes, and back."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np

from fastcodes._typing import Array
from fastcodes.cli.conversion import Conversion, array_file, convert, listed_by_suffix
from fastcodes.cli.files import check_json, opened
from fastcodes.cli.pictures import BadPictureError, listed, picture_of
from fastcodes.cli.terminal import UserError, add_json, counted, integer, summarize
from fastcodes.tokens import TokenCodec

__all__ = ["HELP", "add_arguments", "run"]

HELP = "turn pictures into grids of tokens, and tokens into pictures"
DESCRIPTION = (
    "Turn pictures into grids of tokens, one for each 4 x 4 pixels with the model that comes with fastcodes, "
    "and store these in a few bytes; and turn stored tokens into pictures. It is for studies of tokens: at "
    "the same number of bytes `fastcodes compress` has less error. Pictures are grey or RGB, with 8 bits a "
    "sample and any sides; .npy arrays, or what Pillow reads. Files that cannot be taken are reported and "
    "skipped."
)
EXAMPLES = """examples:
  fastcodes tokens encode photo.png
  fastcodes tokens encode photos -o stored
  fastcodes tokens decode photo.tokens -o decoded.png
  fastcodes tokens decode photo.tokens --grid -o grid.npy"""
ENCODE_EXAMPLES = """examples:
  fastcodes tokens encode photo.png
  fastcodes tokens encode photos -o stored --model mine.safetensors
  fastcodes tokens encode photos -o stored --json"""
DECODE_EXAMPLES = """examples:
  fastcodes tokens decode photo.tokens
  fastcodes tokens decode stored -o pictures
  fastcodes tokens decode photo.tokens --grid -o grid.npy"""
SUFFIX = ".tokens"
FORMS = (".png", ".npy")
LARGEST = 1 << 28


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the two actions and their arguments."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    encode = actions.add_parser("encode", help="store the tokens of pictures")
    encode.description = "Store the tokens of pictures, and print how many bytes they take."
    encode.epilog = ENCODE_EXAMPLES
    encode.add_argument("inputs", metavar="IN", nargs="+", help="pictures or folders of them; - is stdin")
    encode.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="output file, - is stdout; a folder if there are several inputs (default: beside each input, "
        f"its name with {SUFFIX})",
    )
    decode = actions.add_parser("decode", help="write the pictures of stored tokens, or the tokens")
    decode.description = (
        "Write the pictures of stored tokens as .png, or as .npy, which needs no Pillow. An existing picture "
        "is replaced only if -o names it."
    )
    decode.epilog = DECODE_EXAMPLES
    decode.add_argument(
        "inputs", metavar="IN", nargs="+", help="stored tokens or folders of them; - is stdin"
    )
    decode.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help=f"output file, which ends in {' or '.join(FORMS)}; a folder if there are several inputs "
        "(default: beside each input, its name with .png)",
    )
    decode.add_argument(
        "--grid", action="store_true", help="write the grid of tokens as .npy, not the picture"
    )
    decode.add_argument(
        "--max-pixels",
        type=integer(1, LARGEST),
        default=1 << 24,
        metavar="N",
        help="refuse larger pictures (default: %(default)s)",
    )
    for action in (encode, decode):
        action.add_argument(
            "--model", metavar="FILE", help="a saved TokenCodec (default: the one of fastcodes)"
        )
        add_json(action)


def run(arguments: argparse.Namespace) -> None:
    """Store the tokens of pictures, or write the pictures of tokens."""
    check_json(arguments.json, arguments.output, "the tokens or pictures")
    codec = _codec(arguments.model)
    if arguments.action == "encode":
        _encode(codec, arguments)
    else:
        _decode(codec, arguments)


def _encode(codec: TokenCodec, arguments: argparse.Namespace) -> None:
    started = time.perf_counter()
    totals = np.zeros(2, np.int64)

    def store(source: Path, _: str) -> list[bytes]:
        with opened(str(source)) as file:
            content = file.read()
        image = picture_of(content)
        if image.dtype == np.uint16:
            raise BadPictureError("has 16 bits a sample; convert it to 8")
        try:
            data = codec.encode(image)
        except (TypeError, ValueError) as error:
            raise BadPictureError(str(error)) from None
        totals[:] += len(data), math.prod(image.shape[:2])
        return [data]

    def list_pictures(folder: str) -> list[Path]:
        return listed(folder, with_arrays=True)

    conversion = Conversion("encode", lambda source: SUFFIX, list_pictures, store)
    n_bad, n_done, label = convert(conversion, arguments.inputs, arguments.output)
    n_bytes, n_pixels = map(int, totals)
    seconds = time.perf_counter() - started
    facts = {
        "inputs": arguments.inputs,
        "pictures": n_done,
        "skipped": n_bad,
        "stored_bytes": n_bytes,
        "bits_per_pixel": 8 * n_bytes / n_pixels,
        "seconds": seconds,
    }
    summarize(
        arguments,
        facts,
        f"{label}: {counted(n_done, 'picture')}, {n_bad:,} skipped; tokens stored in {n_bytes:,} bytes, "
        f"{8 * n_bytes / n_pixels:.3f} bits per pixel; {seconds:.2f} s",
    )


def _decode(codec: TokenCodec, arguments: argparse.Namespace) -> None:
    started = time.perf_counter()
    most = arguments.max_pixels

    def restore(source: Path, target: str) -> list[bytes]:
        with opened(str(source)) as file:
            content = file.read()
        try:
            if arguments.grid:
                array: Array = codec.tokens(content, max_pixels=most)
            else:
                array = codec.decode(content, max_pixels=most)
        except ValueError as error:
            raise BadPictureError(str(error).replace("max_pixels", "--max-pixels")) from None
        return [array_file(array, target)]

    def list_tokens(folder: str) -> list[Path]:
        return listed_by_suffix(folder, SUFFIX)

    forms = FORMS[1:] if arguments.grid else FORMS
    conversion = Conversion(
        "decode", lambda source: forms[0], list_tokens, restore, forms, keeps_neighbors=True
    )
    n_bad, n_done, label = convert(conversion, arguments.inputs, arguments.output)
    made = "grid" if arguments.grid else "picture"
    seconds = time.perf_counter() - started
    facts = {"inputs": arguments.inputs, f"{made}s": n_done, "skipped": n_bad, "seconds": seconds}
    summarize(arguments, facts, f"{label}: {counted(n_done, made)}, {n_bad:,} skipped; {seconds:.2f} s")


def _codec(name: str | None) -> TokenCodec:
    if name is None:
        return TokenCodec.pretrained()
    opened(name).close()  # says what is wrong with the name
    try:
        return TokenCodec.load(name)
    except ValueError as error:
        raise UserError(str(error)) from None
