"""The command `fastcodes knn`: search the codes of a file."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from fastcodes import bits, hamming, jaccard
from fastcodes._typing import Array, Codes, Ids
from fastcodes.cli.terminal import UserError, blocks, check_output, positive, replacing, tracked

__all__ = ["HELP", "add_arguments", "run"]

HELP = "find the k nearest codes of each query, from .npy files to an .npz file"
SEARCHES = {"hamming": hamming.knn, "jaccard": jaccard.knn}
DISTANCE_TYPES = {"hamming": np.int32, "jaccard": np.float32}
# Bytes compared or packed between two updates of the progress bar.
BYTES_PER_BLOCK = 1 << 32
BYTES_PER_PACKED_BLOCK = 1 << 26


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare input and output files, and the options of the search."""
    parser.add_argument(
        "--codes",
        type=Path,
        required=True,
        metavar="FILE.npy",
        help="the database: packed uint8 (n, n_bytes)",
    )
    parser.add_argument(
        "--queries",
        type=Path,
        required=True,
        metavar="FILE.npy",
        help="the queries: packed uint8 (nq, n_bytes)",
    )
    parser.add_argument("-k", type=positive, default=10, help="neighbours per query (default: 10)")
    parser.add_argument("--metric", choices=sorted(SEARCHES), default="hamming", help="(default: hamming)")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE.npz", help="holds `distances` and `indices`"
    )
    parser.add_argument(
        "--pack", action="store_true", help="pack inputs that are not uint8: a bit is value > threshold"
    )
    parser.add_argument("--threshold", type=float, default=0.0, help="for --pack (default: 0)")
    parser.add_argument(
        "--mask", type=Path, metavar="FILE.npy", help="rows to search: booleans (n,) or row ids"
    )
    parser.add_argument("--threads", type=positive, help="(default: all CPUs)")


def run(arguments: argparse.Namespace) -> None:
    """Search, and write distances and indices to a file."""
    started = time.perf_counter()
    inputs = [path for path in (arguments.codes, arguments.queries, arguments.mask) if path is not None]
    if any(
        path.exists() and arguments.output.exists() and path.samefile(arguments.output) for path in inputs
    ):
        raise UserError(f"{arguments.output}: is one of the inputs; give the output another name")
    check_output(arguments.output)
    if arguments.output.suffix != ".npz":
        raise UserError(f"{arguments.output}: the output must be named .npz")
    arrays = {"codes": _load(arguments.codes), "queries": _load(arguments.queries)}
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
    mask = None if arguments.mask is None else np.asarray(_load(arguments.mask))
    with replacing(arguments.output) as file:
        distances, indices = _search(queries, codes, mask, arguments)
        np.savez(file, distances=distances, indices=indices)
    seconds = time.perf_counter() - started
    n_queries, n_bytes = queries.shape
    print(
        f"{arguments.output}: the {arguments.k} nearest of {len(codes):,} codes ({8 * n_bytes} bits, "
        f"{arguments.metric}) for {n_queries:,} queries in {seconds:.2f} s"
    )


def _search(queries: Codes, codes: Codes, mask: Any, arguments: argparse.Namespace) -> tuple[Array, Ids]:
    search = SEARCHES[arguments.metric]
    shape = (len(queries), arguments.k)
    try:
        distances = np.empty(shape, DISTANCE_TYPES[arguments.metric])
        indices = np.empty(shape, np.int64)
        # One call even without queries, so that a bad mask is still an error.
        parts = list(blocks(len(queries), max(16, BYTES_PER_BLOCK // max(codes.nbytes, 1)))) or [slice(0, 0)]
        for block in tracked(parts, len(queries), "searching"):
            distances[block], indices[block] = search(
                queries[block], codes, arguments.k, mask=mask, threads=arguments.threads
            )
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from None
    except MemoryError:
        raise UserError(
            f"no memory for {shape[0]:,} x {shape[1]:,} results; lower -k or split the queries"
        ) from None
    return distances, indices


def _load(path: Path) -> Array:
    """Map the array of an .npy file, or raise a `UserError` that says why this is impossible."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # the header is a Python literal: a damaged one can raise almost anything
        raise UserError(f"{path}: {_why_unreadable(path, error)}") from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise UserError(f"{path}: an .npz archive; expected a single array, as numpy.save writes it")
    return array


def _why_unreadable(path: Path, error: Exception) -> str:
    magic = b"\x93NUMPY"
    with path.open("rb") as file:
        start = file.read(len(magic))
    if start != magic:
        return "not an .npy file; numpy.save(path, array) writes one"
    if "pickle" in str(error) or "object" in str(error):
        return "holds Python objects, which are not loaded; expected an array of numbers"
    return "cut short or damaged: the file ends before its array does"


def _codes(path: Path, name: str, array: Array, arguments: argparse.Namespace) -> Codes:
    """Return the packed rows of a file; with `--pack`, pack numbers or booleans."""
    if array.ndim == 1 and name == "queries":
        array = array[None]
    if array.ndim != 2:
        raise UserError(f"{path}: {name} must have two dimensions, (n, n_bytes); got shape {array.shape}")
    if array.dtype == np.uint8:
        # A column-major array would be copied for each block of queries.
        return np.ascontiguousarray(array)
    is_packable = array.dtype.kind in "fbiu"
    if not (is_packable and arguments.pack):
        hint = "; add --pack to pack it" if is_packable else ""
        raise UserError(
            f"{path}: {name} must be packed uint8 codes; got {array.dtype} of shape {array.shape}{hint}"
        )
    packed = np.empty((len(array), -(-array.shape[1] // 8)), np.uint8)
    rows_per_block = max(1, BYTES_PER_PACKED_BLOCK // max(array.shape[1] * array.itemsize, 1))
    parts = list(blocks(len(array), rows_per_block))
    try:
        for block in tracked(parts, len(array), f"packing {name}"):
            packed[block] = bits.pack(array[block], threshold=arguments.threshold, threads=arguments.threads)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: {error}") from None
    return packed
