"""The command `fastcodes knn`: search the codes of a file."""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastcodes import bits, hamming, jaccard
from fastcodes._typing import Array, Codes, Ids
from fastcodes.cli.arrays import load_array
from fastcodes.cli.files import check_json, check_output, writing
from fastcodes.cli.terminal import (
    UserError,
    add_json,
    blocks,
    integer,
    real,
    summarize,
    thread_count,
    tracked,
)

__all__ = ["HELP", "add_arguments", "run"]

HELP = "find the k nearest codes of each query, from .npy files to an .npz file"
EXAMPLES = """examples:
  fastcodes knn --codes codes.npy --queries queries.npy -k 10 -o found.npz
  fastcodes knn --codes vectors.npy --queries queries.npy --pack --metric jaccard -o found.npz
  cat codes.npy | fastcodes knn --codes - --queries queries.npy --mask rows.npy -o found.npz
  fastcodes knn --codes codes.npy --queries queries.npy -o found.npz --json"""
SEARCHES: dict[str, Callable[..., tuple[Array, Ids]]] = {"hamming": hamming.knn, "jaccard": jaccard.knn}
DISTANCE_TYPES = {"hamming": np.int32, "jaccard": np.float32}
# Bytes compared or packed between two updates of the progress bar.
BYTES_PER_BLOCK = 1 << 32
BYTES_PER_PACKED_BLOCK = 1 << 26


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare input and output files, and the options of the search."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--codes",
        required=True,
        metavar="FILE.npy",
        help="the database: packed uint8 (n, n_bytes); - is stdin",
    )
    parser.add_argument(
        "--queries",
        required=True,
        metavar="FILE.npy",
        help="the queries: packed uint8 (nq, n_bytes)",
    )
    parser.add_argument("-k", type=integer(1), default=10, help="neighbours per query (default: 10)")
    parser.add_argument("--metric", choices=sorted(SEARCHES), default="hamming", help="(default: hamming)")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="FILE.npz",
        help="holds `distances` and `indices`; - is stdout",
    )
    parser.add_argument(
        "--pack", action="store_true", help="pack inputs that are not uint8: a bit is value > threshold"
    )
    parser.add_argument("--threshold", type=real(), help="for --pack (default: 0)")
    parser.add_argument("--mask", metavar="FILE.npy", help="rows to search: booleans (n,) or row ids")
    parser.add_argument("--threads", type=thread_count, help="(default: all CPUs)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    """Search, and write distances and indices to a file."""
    started = time.perf_counter()
    output = arguments.output
    is_file = check_output(output, arguments.codes, arguments.queries, arguments.mask)
    if is_file and Path(output).suffix.lower() != ".npz":
        raise UserError(f"{output}: the output must be named .npz")
    check_json(arguments.json, output, "distances and indices")
    if arguments.threshold is not None and not arguments.pack:
        raise UserError("argument --threshold: is for --pack; omit it, or add --pack")
    arrays = {"codes": load_array(arguments.codes), "queries": load_array(arguments.queries)}
    if arguments.pack and all(array.dtype == np.uint8 for array in arrays.values()):
        raise UserError(
            "--pack has nothing to pack: both files are uint8, which counts as packed. Omit --pack, or save "
            "values of 0 and 1 as booleans"
        )
    codes, queries = (
        _codes(path, name, arrays[name], arguments)
        for path, name in ((arguments.codes, "codes"), (arguments.queries, "queries"))
    )
    if queries.shape[1] != codes.shape[1]:
        raise UserError(
            f"{arguments.queries} has {queries.shape[1]} bytes per row, {arguments.codes} has "
            f"{codes.shape[1]}; queries and codes must have the same number of bits"
        )
    mask = None if arguments.mask is None else np.asarray(load_array(arguments.mask))
    with writing(output) as file:
        distances, indices = _search(queries, codes, mask, arguments)
        # An archive needs to know its place in the file, which pipes and devices do not tell.
        archive = file if is_file else io.BytesIO()
        np.savez(archive, distances=distances, indices=indices)
        if isinstance(archive, io.BytesIO):
            file.write(archive.getbuffer())
    seconds = time.perf_counter() - started
    n_queries, n_bytes = queries.shape
    facts = {
        "output": output,
        "metric": arguments.metric,
        "k": arguments.k,
        "codes": len(codes),
        "bits": 8 * n_bytes,
        "queries": n_queries,
        "seconds": seconds,
    }
    summarize(
        arguments,
        facts,
        f"{output}: the {arguments.k} nearest of {len(codes):,} codes ({8 * n_bytes} bits, "
        f"{arguments.metric}) for {n_queries:,} queries in {seconds:.2f} s",
    )


def _search(queries: Codes, codes: Codes, mask: Any, arguments: argparse.Namespace) -> tuple[Array, Ids]:
    search = SEARCHES[arguments.metric]
    shape = (len(queries), arguments.k)
    no_memory = UserError(
        f"argument -k: no memory for {shape[0]:,} x {shape[1]:,} results; lower -k or split the queries"
    )
    try:
        distances = np.empty(shape, DISTANCE_TYPES[arguments.metric])
        indices = np.empty(shape, np.int64)
    except (MemoryError, ValueError):  # ValueError: more bytes than an address has bits for
        raise no_memory from None
    try:
        # One call even without queries, so that a bad mask is still an error.
        parts = list(blocks(len(queries), max(16, BYTES_PER_BLOCK // max(codes.nbytes, 1)))) or [slice(0, 0)]
        for block in tracked(parts, len(queries), "searching"):
            distances[block], indices[block] = search(
                queries[block], codes, arguments.k, mask=mask, threads=arguments.threads
            )
    except (TypeError, ValueError) as error:
        place = "" if arguments.mask is None else f"{arguments.mask}: "
        raise UserError(f"{place}{error}") from None
    except MemoryError:
        raise no_memory from None
    return distances, indices


# --- inputs -------------------------------------------------------------------------------------------------


def _codes(path: str, name: str, array: Array, arguments: argparse.Namespace) -> Codes:
    """Return the packed rows of a file; with `--pack`, pack numbers or booleans."""
    if array.ndim == 1 and name == "queries":
        array = array[None]
    if array.dtype == np.uint8 and array.ndim == 2:
        # A column-major array would be copied for each block of queries.
        return np.ascontiguousarray(array)
    wanted = f"{path}: {name} must"
    if array.dtype != np.uint8 and (array.dtype.kind not in "fbiu" or not arguments.pack):
        given = f"got {array.dtype} of shape {array.shape}"
        raise UserError(
            f"{wanted} be packed uint8 codes (n, n_bytes); {given}{_how_to_pack(array)}{_how_to_view(array)}"
        )
    if array.ndim != 2:
        raise UserError(f"{wanted} have two dimensions, (n, n_bytes); got shape {array.shape}")
    packed = np.empty((len(array), -(-array.shape[1] // 8)), np.uint8)
    rows_per_block = max(1, BYTES_PER_PACKED_BLOCK // max(array.shape[1] * array.itemsize, 1))
    parts = list(blocks(len(array), rows_per_block))
    threshold = 0.0 if arguments.threshold is None else arguments.threshold
    try:
        for block in tracked(parts, len(array), f"packing {name}"):
            packed[block] = bits.pack(array[block], threshold=threshold, threads=arguments.threads)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: {error}") from None
    if array.dtype.kind in "iu" and len(packed) > 1 and (packed == packed[0]).all():
        raise UserError(
            f"{path}: all rows of {name} have the same bits value > {threshold:g}; expected numbers on both "
            f"sides of --threshold{_how_to_view(array)}"
        )
    return packed


def _how_to_pack(array: Array) -> str:
    if array.ndim != 2 or array.dtype.kind not in "fbiu":
        return ""
    are_numbers = "if the values are numbers, " * (array.dtype.kind in "iu")
    return f"; {are_numbers}add --pack to pack the bits value > threshold"


def _how_to_view(array: Array) -> str:
    """Return how to save integers that hold packed bits, as the end of an error message."""
    if array.dtype == np.int8:
        return (
            "; if they are packed bits minus 128, as of sentence-transformers with precision='binary', "
            "save array.view(np.uint8) ^ 0x80"
        )
    if array.dtype.kind not in "iu" or array.ndim not in (1, 2):
        return ""
    n_bytes = array.itemsize * (array.shape[1] if array.ndim == 2 else 1)
    shape = len(array), n_bytes
    return f"; if they hold packed bits, such as hashes, save array.view(np.uint8).reshape{shape}"
