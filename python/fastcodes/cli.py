"""The command line: `fastcodes info | demo | bench | knn | dedup`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from fastcodes import __version__, _native, bits, hamming, jaccard, minhash
from fastcodes.hashing import MinHash
from fastcodes.index import MinHashIndex

SEARCHES = {"hamming": hamming.knn, "jaccard": jaccard.knn}
DISTANCE_TYPES = {"hamming": np.int32, "jaccard": np.float32}
BENCH_FAMILIES = ("bits", "hamming", "jaccard", "adc")
# Compared, or packed, between two movements of the bar: enough to be fast, few enough to see it move.
BYTES_PER_BLOCK = 1 << 32
BYTES_PER_PACKED_BLOCK = 1 << 26
# Of lines that are read, and kept in memory, between two movements of the bar.
BYTES_OF_LINES = 1 << 23
SECONDS_BEFORE_BAR = 1.0
NO_WORDS = 2**32 - 1
"""All slots of the signature of a text without words."""


class UserError(Exception):
    """What the user can put right: told in one line, exit code 2."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all errors of this command are."""

    def error(self, message: str) -> NoReturn:
        """Raise the message as a `UserError`."""
        raise UserError(f"{message} (see {self.prog} --help)")


def main(argv: list[str] | None = None) -> int:
    """Run the command and give its exit code: 0, 2 for an error of the user, 130 for Ctrl-C."""
    try:
        arguments = _parser().parse_args(argv)
        _check_environment()
        command: str = arguments.command
        {"info": _info, "demo": _demo, "bench": _bench, "knn": _knn, "dedup": _dedup}[command](arguments)
    except UserError as error:
        print(f"fastcodes: {error}", file=sys.stderr)
        return 2
    except MemoryError:
        print("fastcodes: not enough memory for this", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("fastcodes: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> Parser:
    parser = Parser(prog="fastcodes", description="Compact binary codes: search, compare and pack them.")
    parser.add_argument("--version", action="version", version=f"fastcodes {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    commands.add_parser("info", help="version, instruction set, threads, and where this build came from")

    demo = commands.add_parser("demo", help="digits, near-duplicates and a million codes, beside the peers")
    demo.add_argument(
        "--n", type=_positive, default=1_000_000, help="number of synthetic codes (default: 1000000)"
    )
    demo.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the comparison as a bar chart")
    demo.add_argument("--threads", type=_positive, help="threads of the many-thread rows (default: all CPUs)")

    bench = commands.add_parser("bench", help="measure the kernels on this CPU")
    bench.add_argument(
        "family", nargs="?", choices=BENCH_FAMILIES, metavar="FAMILY", help=", ".join(BENCH_FAMILIES)
    )
    bench.add_argument("--quick", action="store_true", help="fewer codes and shapes: about 20 seconds")
    bench.add_argument("--threads", type=_positive, default=1, help="threads on every side (default: 1)")

    knn = commands.add_parser(
        "knn", help="find the k nearest codes of every query, from .npy files to an .npz file"
    )
    knn.add_argument(
        "--codes",
        type=Path,
        required=True,
        metavar="FILE.npy",
        help="the database: packed uint8 (n, n_bytes)",
    )
    knn.add_argument(
        "--queries", type=Path, required=True, metavar="FILE.npy", help="the queries, packed alike"
    )
    knn.add_argument("-k", type=_positive, default=10, help="neighbours of every query (default: 10)")
    knn.add_argument("--metric", choices=sorted(SEARCHES), default="hamming", help="(default: hamming)")
    knn.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE.npz", help="gets `distances` and `indices`"
    )
    knn.add_argument(
        "--pack", action="store_true", help="pack inputs that are not uint8: a bit is value > threshold"
    )
    knn.add_argument("--threshold", type=float, default=0.0, help="for --pack (default: 0)")
    knn.add_argument(
        "--mask", type=Path, metavar="FILE.npy", help="rows to search: booleans (n,), or row ids"
    )
    knn.add_argument("--threads", type=_positive, help="(default: all CPUs)")

    dedup = commands.add_parser(
        "dedup", help="find near-duplicates among the lines of a text or JSONL file, by MinHash"
    )
    dedup.add_argument("file", metavar="FILE", help="one text a line, or one JSON object a line; - is stdin")
    dedup.add_argument(
        "--threshold", type=float, default=0.8, help="Jaccard similarity of duplicates (default: 0.8)"
    )
    dedup.add_argument(
        "--field",
        metavar="NAME",
        help="lines are JSON objects with the text in this field "
        "(default: text, if FILE is named .jsonl or .ndjson; else lines are texts)",
    )
    dedup.add_argument(
        "--keep-first",
        action="store_true",
        help="write the lines that stay when of each group only the first does; "
        "by default the groups are written, as JSON lines",
    )
    dedup.add_argument(
        "--exact",
        action="store_true",
        help="compare candidates exactly, and not by signatures that estimate; "
        "keeps eight bytes of each word or character in memory",
    )
    dedup.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to write (default: stdout)")
    dedup.add_argument("--unit", choices=("word", "char"), default="word", help="of shingles (default: word)")
    dedup.add_argument("--shingle-size", type=_positive, default=3, help="in units (default: 3)")
    dedup.add_argument("--n-hashes", type=_positive, default=128, help="slots of signatures (default: 128)")
    dedup.add_argument("--threads", type=_positive, help="(default: all CPUs)")
    return parser


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if not 0 < value < 2**63:
        raise argparse.ArgumentTypeError(f"expected an integer from 1 up, got {text!r}")
    return value


def _check_environment() -> None:
    try:
        _native.level()
        _native.threads()
    except ValueError as error:
        raise UserError(str(error)) from None


# --- info, demo, bench --------------------------------------------------------------------------------------


def _info(arguments: argparse.Namespace) -> None:
    level, levels = _native.level(), _native.levels()
    if level != levels[-1]:
        reason = f"lowered by FASTCODES_LEVEL; this CPU has {', '.join(levels)}"
    else:
        reason = _native.why_not_higher() or "the highest there is"
    rows = {
        "fastcodes": _native.version(),
        "level": f"{level} ({reason})",
        "threads": str(_native.threads()),
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.system()} {platform.machine()}",
        "numpy": np.__version__,
        "extension": _native.__file__,
        "commit": _native.commit() or "not recorded in this build",
    }
    for name, value in rows.items():
        print(f"{name:<10} {value}")


def _demo(arguments: argparse.Namespace) -> None:
    if arguments.plot is not None:
        _check_output(arguments.plot)
    try:
        from fastcodes import _demo as demo

        demo.run(arguments.n, arguments.plot, arguments.threads or _native.threads())
    except ModuleNotFoundError as error:
        raise _missing_extra(error) from None


def _bench(arguments: argparse.Namespace) -> None:
    families = BENCH_FAMILIES if arguments.family is None else (arguments.family,)
    try:
        from fastcodes import _bench as bench

        bench.run(families, arguments.quick, arguments.threads)
    except ModuleNotFoundError as error:
        raise _missing_extra(error) from None


def _missing_extra(error: ModuleNotFoundError) -> UserError:
    package = (error.name or "").split(".")[0]
    if package not in {"rich", "sklearn", "matplotlib"}:
        raise error
    return UserError(f'this command needs {package}, which is not installed: pip install "fastcodes[demo]"')


# --- knn ----------------------------------------------------------------------------------------------------


def _knn(arguments: argparse.Namespace) -> None:
    started = time.perf_counter()
    inputs = [path for path in (arguments.codes, arguments.queries, arguments.mask) if path is not None]
    if any(
        path.exists() and arguments.output.exists() and path.samefile(arguments.output) for path in inputs
    ):
        raise UserError(f"{arguments.output}: is one of the inputs; give the output a name of its own")
    _check_output(arguments.output)
    if arguments.output.suffix != ".npz":
        raise UserError(f"{arguments.output}: the output must be named .npz")
    arrays = {"codes": _load(arguments.codes), "queries": _load(arguments.queries)}
    if arguments.pack and all(array.dtype == np.uint8 for array in arrays.values()):
        raise UserError(
            "--pack has nothing to pack: both files are uint8, which counts as packed. Leave it out, or save "
            "values of 0 and 1 as booleans"
        )
    codes, queries = (
        _codes(path, name, arrays[name], arguments)
        for path, name in ((arguments.codes, "codes"), (arguments.queries, "queries"))
    )
    if queries.shape[1] != codes.shape[1]:
        raise UserError(
            f"{arguments.queries} has {queries.shape[1]} bytes a row, {arguments.codes} has "
            f"{codes.shape[1]}; queries and codes must be packed alike"
        )
    mask = None if arguments.mask is None else np.asarray(_load(arguments.mask))
    with _replacing(arguments.output) as file:
        distances, indices = _search(queries, codes, mask, arguments)
        np.savez(file, distances=distances, indices=indices)
    seconds = time.perf_counter() - started
    n_queries, n_bytes = queries.shape
    print(
        f"{arguments.output}: the {arguments.k} nearest of {len(codes):,} codes ({8 * n_bytes} bits, "
        f"{arguments.metric}) for {n_queries:,} queries in {seconds:.2f} s"
    )


def _search(
    queries: npt.NDArray[np.uint8], codes: npt.NDArray[np.uint8], mask: Any, arguments: argparse.Namespace
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    search = SEARCHES[arguments.metric]
    shape = (len(queries), arguments.k)
    try:
        distances = np.empty(shape, DISTANCE_TYPES[arguments.metric])
        indices = np.empty(shape, np.int64)
        # One call even for no queries, so that a bad mask is an error then too.
        blocks = list(_blocks(len(queries), max(16, BYTES_PER_BLOCK // max(codes.nbytes, 1)))) or [
            slice(0, 0)
        ]
        for block in _tracked(blocks, len(queries), "searching"):
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


def _load(path: Path) -> npt.NDArray[Any]:
    """Map the array of an .npy file, or tell in one line why that cannot be."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # the header is Python source: damage can make any step of its parsing fail
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
        return "not an .npy file; numpy.save(path, array) makes one"
    if "pickle" in str(error) or "object" in str(error):
        return "holds Python objects, which are not loaded; expected an array of numbers"
    return "cut short or damaged: the file ends before its array does"


def _codes(
    path: Path, name: str, array: npt.NDArray[Any], arguments: argparse.Namespace
) -> npt.NDArray[np.uint8]:
    """Give the packed rows of a file; with --pack, those that its numbers or booleans become."""
    if array.ndim == 1 and name == "queries":
        array = array[None]
    if array.ndim != 2:
        raise UserError(f"{path}: {name} must have two dimensions, (n, n_bytes); got shape {array.shape}")
    if array.dtype == np.uint8:
        # Rows that lie in columns would be copied anew for every block of queries.
        return np.ascontiguousarray(array)
    is_packable = array.dtype.kind in "fbiu"
    if not (is_packable and arguments.pack):
        hint = "; add --pack to pack it" if is_packable else ""
        raise UserError(
            f"{path}: {name} must be packed uint8 codes; got {array.dtype} of shape {array.shape}{hint}"
        )
    packed = np.empty((len(array), -(-array.shape[1] // 8)), np.uint8)
    rows_per_block = max(1, BYTES_PER_PACKED_BLOCK // max(array.shape[1] * array.itemsize, 1))
    blocks = list(_blocks(len(array), rows_per_block))
    try:
        for block in _tracked(blocks, len(array), f"packing {name}"):
            packed[block] = bits.pack(array[block], arguments.threshold, threads=arguments.threads)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: {error}") from None
    return packed


# --- dedup --------------------------------------------------------------------------------------------------


TokenSets = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]


@dataclass
class Lines:
    """Some lines as they are, the number of the first from 1 on, and where in the file they end."""

    lines: list[bytes]
    first: int
    stop: int


class BadLineError(ValueError):
    """A line that holds no text, and why."""


def _dedup(arguments: argparse.Namespace) -> None:
    started = time.perf_counter()
    name, output = arguments.file, arguments.output
    if output is not None:
        if name != "-" and Path(name).exists() and output.exists() and output.samefile(name):
            raise UserError(f"{output}: is the input; give the output a name of its own")
        _check_output(output)
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
        with _replacing(output) if output is not None else nullcontext(sys.stdout.buffer) as file:
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
        for batch in _tracked(_batches(file, name), size, "reading"):
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
        for batch in _tracked(_batches(source, name), size, "writing"):
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


# --- blocks, bars and files ---------------------------------------------------------------------------------


def _blocks(total: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, total)) for start in range(0, total, size))


class Block(Protocol):
    """A part of the work, which knows where it ends."""

    @property
    def stop(self) -> Any:
        """What is done after it, of the total."""


AnyBlock = TypeVar("AnyBlock", bound=Block)


def _tracked(blocks: Iterable[AnyBlock], total: int | None, description: str) -> Iterator[AnyBlock]:
    """Give the blocks; once the work proves long, a bar shows how far it is, if a person is there to see."""
    bar = None
    started = time.perf_counter()
    try:
        for block in blocks:
            yield block
            if bar is None and sys.stderr.isatty() and time.perf_counter() - started > SECONDS_BEFORE_BAR:
                bar = _bar()
                if bar is not None:
                    task = bar.add_task(description, total=total)
                    bar.start()
            if bar is not None:
                bar.update(task, completed=block.stop)
    finally:
        if bar is not None:
            bar.stop()


def _bar() -> Any:
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ModuleNotFoundError:
        return None
    return Progress(console=Console(stderr=True), transient=True)


def _check_output(path: Path) -> Path:
    """Give the real path of a file to write, or tell why it cannot be written before any work is done."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise UserError(f"{path}: not a regular file; expected the name of a file to write")
    if not target.parent.is_dir():
        raise UserError(f"{path}: the folder {target.parent} does not exist")
    if not os.access(target.parent, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
        raise UserError(f"{path}: cannot be written: permission denied")
    return target


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes its name only when it is whole: an interrupted run leaves the old or none."""
    target = _check_output(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(target)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
