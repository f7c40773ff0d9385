"""The command `fastcodes index`: build an index from a file of vectors or codes, search it, describe it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, Any

import numpy as np
import safetensors
from numpy.typing import NDArray

from fastcodes import bits, index
from fastcodes._blocks import check_finite
from fastcodes._typing import Array, Ids
from fastcodes.cli.arrays import load_array
from fastcodes.cli.codecs import CODECS, SIGNS, new_codec
from fastcodes.cli.files import check_json, check_output, opened, writing
from fastcodes.cli.tables import SUFFIXES
from fastcodes.cli.terminal import (
    UserError,
    add_json,
    blocks,
    integer,
    print_json,
    real,
    report,
    summarize,
    thread_count,
)
from fastcodes.cli.vectors import VectorBatch, Vectors
from fastcodes.hashing import Bits

__all__ = ["HELP", "add_arguments", "run"]

HELP = "build an index from a file of vectors or codes, search it, and describe it"
DESCRIPTION = (
    "Build an index of codes from a file of vectors, search it, and describe it. Files are read a batch at a "
    "time, so that vectors may take more space than the memory: .npy files are mapped, and those of Parquet "
    "(.parquet) and Arrow (.arrow, .feather) are read by row groups and record batches; these need the extra "
    "arrow: pip install 'fastcodes[arrow]'."
)
EXAMPLES = """examples:
  fastcodes index build vectors.npy -o vectors.index
  fastcodes index build vectors.parquet --column embedding --id-column id --codec pq --parts 48 -o pq.index
  fastcodes index build codes.npy --codec bits --lists 1024 -o codes.index
  fastcodes index search vectors.index queries.npy -k 10 -o found.npy
  fastcodes index info vectors.index --json"""
BUILD_EXAMPLES = """examples:
  fastcodes index build vectors.npy -o vectors.index
  fastcodes index build vectors.npy --codec itq --bits 128 -o itq.index
  fastcodes index build vectors.parquet --column embedding --id-column id --codec pq --parts 48 -o pq.index
  fastcodes index build vectors.arrow --metric cosine --lists 1024 -o lists.index"""
SEARCH_EXAMPLES = """examples:
  fastcodes index search vectors.index queries.npy -k 3
  fastcodes index search vectors.index queries.parquet --column embedding -k 10 -o found.jsonl
  fastcodes index search lists.index queries.npy --probes 32 --rerank vectors.npy -o found.npy"""
INFO_EXAMPLES = """examples:
  fastcodes index info vectors.index
  fastcodes index info vectors.index --json"""
KINDS: dict[str, type[index.Index]] = {
    name: getattr(index, name) for name in index.__all__ if name != "Index"
}
TRAINING_ROWS, TRAINING_ROWS_PER_LIST = 1 << 16, 64
METRICS = ("l2", "ip", "cosine", "hamming", "jaccard", "asymmetric")
BYTES_PER_BLOCK = 1 << 32
"""Bytes of codes compared with queries between two updates of the progress bar."""
FORMS = (".npy", ".jsonl")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the three actions and their arguments."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    of_build = actions.add_parser("build", help="make an index from a file of vectors or codes")
    of_search = actions.add_parser("search", help="find the k nearest rows of each query")
    of_info = actions.add_parser("info", help="print kind, codec, rows, bytes and parameters")
    _add_build(of_build)
    _add_search(of_search)
    of_info.description = "Print kind, codec, rows, bytes and parameters of an index."
    of_info.epilog = INFO_EXAMPLES
    of_info.add_argument("index", metavar="FILE", help="an index of any kind that fastcodes saved")
    for action in (of_build, of_search, of_info):
        add_json(action)


def _add_build(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make an index. A codec learns from a sample of the rows, then all are encoded and added. The index "
        "is flat, and searches all codes, unless --lists is given."
    )
    codecs = "\n".join(f"  {name:<12} {named.about}" for name, named in CODECS.items())
    parser.epilog = f"codecs:\n{codecs}\n\n{BUILD_EXAMPLES}"
    parser.add_argument(
        "file", metavar="FILE", help=f"vectors or codes: .npy (- is stdin), or a table, {', '.join(SUFFIXES)}"
    )
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="file of the index")
    parser.add_argument(
        "--codec",
        choices=tuple(CODECS),
        metavar="NAME",
        help="what makes the codes: see below (default: bits for uint8, else rabitq)",
    )
    parser.add_argument(
        "--bits",
        type=integer(1, 1 << 24),
        metavar="N",
        help="bits of a code, or of a dimension for rabitq and sq (default: 4 for rabitq, 8 for sq, else at "
        "most 256)",
    )
    parser.add_argument(
        "--parts",
        type=integer(1, 1 << 16),
        metavar="N",
        help="subspaces of pq and opq (default: of eight dimensions or more), or codebooks of rq (default: "
        "8); each takes a byte",
    )
    parser.add_argument(
        "--metric", choices=METRICS, metavar="NAME", help=f"{', '.join(METRICS)} (default: that of the codec)"
    )
    parser.add_argument(
        "--lists",
        type=integer(1, 1 << 16),
        metavar="N",
        help="inverted lists, of which a search visits a few; often one to four times the square root of the "
        "rows (default: none)",
    )
    _add_column(parser)
    parser.add_argument("--id-column", metavar="NAME", help="column of a table with ids (default: 0, 1, ...)")
    parser.add_argument(
        "--train-rows",
        type=integer(1),
        metavar="N",
        help="rows to learn from, at most (default: 65536, or 64 for each list if that is more)",
    )
    parser.add_argument(
        "--seed", type=integer(0, 2**32 - 1), default=0, help="of what is random (default: 0)"
    )
    parser.add_argument("--threads", type=thread_count, help="(default: all CPUs)")


def _add_search(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Find the k nearest rows of each query. Without -o they are printed, one per line: the number of the "
        "query from 0 up, the id and the distance. Squared L2 distances, and negative inner products, are "
        "what l2 and ip mean."
    )
    parser.epilog = SEARCH_EXAMPLES
    parser.add_argument("index", metavar="INDEX", help="file of an index")
    parser.add_argument(
        "queries", metavar="QUERIES", help="what `build` takes: .npy (- is stdin), or a table"
    )
    parser.add_argument("-k", type=integer(1, 1 << 20), default=10, help="neighbors per query (default: 10)")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="an .npy file, an array (queries, k) with the fields `id` and `distance`; or .jsonl, an object "
        "for each query. Where there are fewer than k rows, ids are -1 in .npy, and left out in .jsonl",
    )
    parser.add_argument(
        "--probes",
        type=integer(1),
        metavar="N",
        help="inverted lists to visit (default: 8), or buckets of LSH",
    )
    parser.add_argument(
        "--rerank",
        metavar="FILE.npy",
        help="the vectors themselves, by id: candidates are compared again by them",
    )
    parser.add_argument(
        "--oversample",
        type=real(above=0),
        metavar="X",
        help="candidates per result, for --rerank (default: that of the codec)",
    )
    _add_column(parser)
    parser.add_argument("--threads", type=thread_count, help="(default: all CPUs)")


def _add_column(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--column",
        metavar="NAME",
        help="column of a table with vectors, as lists of numbers, or with codes, as bytes (default: the "
        "only one of these types)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Build, search or describe an index."""
    {"build": _build, "search": _search, "info": _info}[arguments.action](arguments)


# --- build --------------------------------------------------------------------------------------------------


def _build(arguments: argparse.Namespace) -> None:
    started = time.perf_counter()
    name, output, threads = arguments.file, arguments.output, arguments.threads
    if not check_output(output, name):
        raise UserError(f"{output}: not a regular file; expected the name of a file to write")
    with Vectors(name, arguments.column, arguments.id_column) as vectors:
        made = _empty(vectors, arguments)
        # An index of lists merges all its rows with those that are added: so each is copied a few times only.
        pending: list[VectorBatch] = []
        for batch in vectors.read("encoding"):
            with _errors_of(name if not batch.start else f"{name}, from row {batch.start + 1:,} on"):
                rows = made._coder.rows(_packed(made, batch.rows, threads), threads=threads)
            pending.append(VectorBatch(rows, batch.ids, batch.start, batch.stop))
            if batch.stop - pending[0].start >= len(made) or batch.stop == vectors.n_rows:
                ids = None if batch.ids is None else np.concatenate([part.ids for part in pending])
                with _errors_of(name if ids is None else f"{name}: column {arguments.id_column!r}"):
                    made._append(np.concatenate([part.rows for part in pending]), ids, threads)
                pending = []
        if len(made) != vectors.n_rows:
            raise UserError(f"{name}: changed while it was read; give a copy")
    made.save(output)
    facts = _facts(output, made)
    seconds = time.perf_counter() - started
    summarize(
        arguments,
        {**facts, "seconds": seconds},
        f"{output}: {len(made):,} rows of {vectors.width:,} {vectors.dtype} as a {facts['kind']} of "
        f"{facts['codec']} in {facts['file_bytes']:,} bytes; {seconds:.2f} s",
    )


def _empty(vectors: Vectors, arguments: argparse.Namespace) -> index.Index:
    """Return an index without rows, with what is learned from a sample of the vectors."""
    n_lists, threads, metric = arguments.lists, arguments.threads, arguments.metric
    # As in `fastcodes knn`, uint8 counts as packed.
    name = arguments.codec or ("bits" if vectors.dtype == np.uint8 else "rabitq")
    if (name == "bits") > (vectors.dtype == np.uint8) or (name == SIGNS) > (vectors.dtype.kind in "fi"):
        expected = "packed bits, uint8" if name == "bits" else "numbers with a sign"
        raise UserError(f"{vectors.name}: --codec {name} is for {expected}; got {vectors.dtype}")
    with _errors_of(vectors.name):
        codec = new_codec(name, vectors.width, arguments.bits, arguments.parts, metric, arguments.seed)
        if n_lists is None and isinstance(codec, Bits):
            return index.FlatIndex(codec.fit(), metric=metric)
        most = max(TRAINING_ROWS, TRAINING_ROWS_PER_LIST * (n_lists or 0))
        sample = vectors.sample(arguments.train_rows or most, arguments.seed)
        if sys.stderr.isatty():
            report(f"fitting {name} to {len(sample):,} rows")
        if n_lists is None:
            return index.FlatIndex(codec.fit(sample, threads=threads), metric=metric)
        made = index.IVFIndex(codec, n_lists, metric=metric, random_state=arguments.seed)
        return made.fit(_packed(made, sample, threads), threads=threads)


def _packed(made: index.Index, rows: Array, threads: int | None) -> Array:
    """Return the signs of vectors, packed, if the index takes packed bits."""
    if rows.dtype == np.uint8 or not isinstance(made.codec, Bits):
        return rows
    check_finite(rows, "rows")
    return bits.pack(rows, threads=threads)


@contextmanager
def _errors_of(place: str, rerank: str | None = None) -> Iterator[None]:
    """Turn errors of arguments into a `UserError` that names the input, or the vectors of `--rerank`."""
    try:
        yield
    except (TypeError, ValueError) as error:
        is_of_rerank = rerank is not None and str(error).startswith("rerank ")
        raise UserError(f"{rerank if is_of_rerank else place}: {error}") from None


# --- search -------------------------------------------------------------------------------------------------


def _search(arguments: argparse.Namespace) -> None:
    started = time.perf_counter()
    name, output, k = arguments.queries, arguments.output, arguments.k
    if arguments.oversample is not None and arguments.rerank is None:
        raise UserError("argument --oversample: is for --rerank; omit it, or add --rerank")
    if output is not None:
        if os.path.splitext(output)[1].lower() not in FORMS:
            raise UserError(f"{output}: the output must be named {' or '.join(FORMS)}")
        check_output(output, arguments.index, name, arguments.rerank)
        check_json(arguments.json, output, "the results")
    made = _load(arguments.index)
    options: dict[str, Any] = {"threads": arguments.threads}
    if isinstance(made, index.MinHashIndex):
        raise UserError(f"{arguments.index}: holds sets, not vectors; `fastcodes dedup` compares texts")
    if arguments.probes is not None:
        if not isinstance(made, (index.IVFIndex, index.LSHIndex)):
            raise UserError(
                f"argument --probes: is for lists, which a {type(made).__name__} has not; omit it"
            )
        options["n_probes"] = arguments.probes
    if arguments.rerank is not None:
        options |= {"rerank": load_array(arguments.rerank), "oversample": arguments.oversample}
    with Vectors(name, arguments.column) as queries, _results(arguments, queries.n_rows) as write:
        step = max(16, BYTES_PER_BLOCK // max(made.nbytes, 1))
        for batch in queries.read("searching"):
            for part in list(blocks(len(batch.rows), step)) or [slice(0, 0)]:
                with _errors_of(name, arguments.rerank):
                    rows = _packed(made, batch.rows[part], arguments.threads)
                    distances, ids = made.search(rows, k, **options)
                write(batch.start + part.start, distances, ids)
    if output is not None:
        seconds = time.perf_counter() - started
        facts = {"output": output, "queries": queries.n_rows, "k": k, "rows": len(made), "seconds": seconds}
        summarize(
            arguments,
            facts,
            f"{output}: the {min(k, len(made))} nearest of {len(made):,} rows for {queries.n_rows:,} "
            f"queries; {seconds:.2f} s",
        )


@contextmanager
def _results(
    arguments: argparse.Namespace, n_queries: int
) -> Iterator[Callable[[int, NDArray[Any], Ids], None]]:
    """Provide a function that writes the results of the queries from a number on."""
    with writing(arguments.output or "-") as file:
        if (arguments.output or "").lower().endswith(".npy"):
            yield _array_writer(file, n_queries, arguments.k)
        elif arguments.output is not None or arguments.json:
            yield partial(_write_json, file)
        else:
            yield partial(_write_table, file)


def _array_writer(file: IO[bytes], n_queries: int, k: int) -> Callable[[int, NDArray[Any], Ids], None]:
    is_begun = False

    def write(first: int, distances: NDArray[Any], ids: Ids) -> None:
        nonlocal is_begun
        rows = np.empty(ids.shape, [("id", "<i8"), ("distance", distances.dtype.newbyteorder("<"))])
        rows["id"], rows["distance"] = ids, distances
        if not is_begun:
            header = {"descr": rows.dtype.descr, "fortran_order": False, "shape": (n_queries, k)}
            np.lib.format.write_array_header_1_0(file, header)
            is_begun = True
        file.write(rows.tobytes())

    return write


def _write_json(file: IO[bytes], first: int, distances: NDArray[Any], ids: Ids) -> None:
    for query, (row, found) in enumerate(zip(distances, ids, strict=True), first):
        is_there = found >= 0
        result = {"query": query, "ids": found[is_there].tolist(), "distances": _shortest(row[is_there])}
        file.write(json.dumps(result).encode() + b"\n")


def _write_table(file: IO[bytes], first: int, distances: NDArray[Any], ids: Ids) -> None:
    if not first:
        file.write(f"{'query':>8} {'id':>12}  distance\n".encode())
    for query, (row, found) in enumerate(zip(distances, ids, strict=True), first):
        is_there = found >= 0
        for its_id, distance in zip(found[is_there], _shortest(row[is_there]), strict=True):
            file.write(f"{query:>8} {its_id:>12}  {distance:.7g}\n".encode())


def _shortest(distances: NDArray[Any]) -> list[int] | list[float]:
    """Return distances as numbers of Python with no more digits than they have in float32."""
    if distances.dtype.kind == "i":
        return [int(distance) for distance in distances]
    return [float(str(distance)) for distance in distances]


# --- info ---------------------------------------------------------------------------------------------------


def _info(arguments: argparse.Namespace) -> None:
    facts = _facts(arguments.index, _load(arguments.index))
    if arguments.json:
        print_json(facts)
        return
    for name, value in facts.items():
        text = f"{value:,}" if isinstance(value, int) else value
        if isinstance(value, dict):
            text = ", ".join(f"{key}={one!r}" for key, one in value.items())
        print(f"{name:<14} {text}")


def _load(name: str) -> index.Index:
    """Return the index of a file, whatever its kind."""
    opened(name).close()  # says what is wrong with the name
    try:
        with safetensors.safe_open(name, framework="numpy") as file:
            kind = (file.metadata() or {}).get("kind")
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{name}: not an index that fastcodes saved: {error}") from None
    if kind not in KINDS:
        raise UserError(
            f"{name}: holds {'no index' if kind is None else f'a {kind}'}; expected {', '.join(KINDS)}"
        )
    try:
        return KINDS[kind].load(name)
    except ValueError as error:
        raise UserError(str(error)) from None


def _facts(name: str, made: index.Index) -> dict[str, Any]:
    """Return what there is to know of an index."""
    facts: dict[str, Any] = {
        "file": name,
        "file_bytes": os.path.getsize(name),
        "kind": type(made).__name__,
        "rows": len(made),
        "metric": made.metric,
        "codec": type(made.codec).__name__,
        "parameters": made.codec.get_params(),
        "index_bytes": made.nbytes,
        "bytes_per_row": round(made.nbytes / max(len(made), 1), 2),
    }
    settings = {key: value for key, value in made._settings().items() if key != "metric"}
    if settings:
        facts["settings"] = settings
    if isinstance(made, index.IVFIndex):
        sizes = made.list_sizes
        facts["list_sizes"] = {
            "least": int(sizes.min()),
            "mean": float(sizes.mean()),
            "most": int(sizes.max()),
        }
    return facts
