"""Random calls and altered files: an answer or a clear error, and never a crash.

Calls and loads run in a process of their own, which notes each before it begins. In the folder of the tests,
what fails can be repeated alone::

    python -c "from contract.test_fuzz import call; print(call(1234))"
"""

from __future__ import annotations

import contextlib
import copy
import faulthandler
import functools
import importlib
import io
import json
import os
import re
import signal
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import oracles
from contract import test_arguments, test_classes
from contract.cases import adc as adc_cases
from contract.cases import crossmodal as crossmodal_cases
from contract.cases.coding import FEATURES, IMAGES, TEXTS
from contract.cases.tokens import GRIDS
from contract.class_kit import SETS, Case, X
from contract.kit import WithoutRepr
from contract.public import parameters, public_functions
from fastcodes import _files, adc, coding, crossmodal, index, quantization, tokens
from helpers import run_python, same

# For a short test; `make fuzz` asks for more.
N_CALLS = int(os.environ.get("FASTCODES_FUZZ_CALLS", "2000"))
N_FILES = int(os.environ.get("FASTCODES_FUZZ_FILES", "500"))
SECONDS = 20  # for one call
MEMORY = 4 << 30  # beyond what the process has

NEAREST = np.arange(12).reshape(4, 3) % 7
RELEVANCE = NEAREST > 3
PICTURE = (np.arange(40 * 48) * 37 % 251).astype(np.uint8).reshape(40, 48)
LARGE_PICTURE = np.kron(PICTURE, np.ones((5, 4), np.uint8))
CURVES = {
    "rates_a": [0.1, 0.2, 0.5, 1.0],
    "qualities_a": [26.0, 28.5, 32.0, 36.0],
    "rates_b": [0.2, 0.3, 0.7, 1.5],
    "qualities_b": [27.0, 29.0, 33.0, 37.0],
}
PQ = quantization.ProductQuantizer(4, 3, max_iter=1, random_state=0).fit(X)
VIDEO = coding.Video(np.stack([PICTURE[:24, :20]] * 3))
# Right arguments of the functions that have no table of their own.
OTHERS: dict[str, dict[str, Any]] = {
    "components": {"i": [0, 1], "j": [2, 3], "n": 5},
    "merge_topk": {"distances": [RELEVANCE * 1.0] * 2, "indices": [NEAREST] * 2, "k": 2},
    "coding.read_video": {
        "path": "missing/video.y4m",
        "size": (24, 20),
        "has_chroma": True,
        "rate": 30,
        "n_frames": 3,
    },
    "coding.write_video": {"path": "missing/video.y4m", "video": VIDEO},
    "hashing.align": {"old_codes": np.zeros((60, 1), np.uint8), "new_values": X, "n_bits": 8},
    "hashing.johnson_lindenstrauss_min_dim": {"n_samples": 60, "eps": 0.1},
    "interop.faiss.codebooks_of": {"quantizer": PQ},
    "interop.faiss.codes_of": {"index": PQ},
    "interop.faiss.from_faiss": {"index": PQ, "metric": None},
    "interop.faiss.pack_codes": {"codes": NEAREST.astype(np.uint8), "n_bits": 4},
    "interop.faiss.rotation_of": {"transform": PQ},
    "interop.faiss.to_faiss": {"index": PQ},
    "interop.faiss.unpack_codes": {"packed": NEAREST.astype(np.uint8), "n_subspaces": 6, "n_bits": 4},
    "interop.faiss.vectors_of": {"index": PQ},
    "interop.nanopq.from_nanopq": {"quantizer": PQ},
    "interop.nanopq.to_nanopq": {"quantizer": PQ},
    "metrics.average_precision": {"relevance": RELEVANCE, "n_relevant": [1, 2, 3, 3]},
    "metrics.bd_psnr": CURVES | {"method": "pchip"},
    "metrics.bd_rate": CURVES | {"method": "cubic"},
    "metrics.bits_per_pixel": {"n_bytes": 12288, "shape": (512, 768, 3)},
    "metrics.bleu": {"references": [["a b c d"], ["e"]], "captions": ["a b c d", "f"], "n": 2},
    "metrics.chance_level": {"n_relevant": [1, 2, 3], "n": 60},
    "metrics.cider": {"references": [["a b c d"], ["e"]], "captions": ["a b c d", "f"]},
    "metrics.compression_ratio": {"n_bytes": 12288, "shape": (512, 768, 3)},
    "metrics.frechet_distance": {"features_a": X, "features_b": X[:30] + 1},
    "metrics.inception_score": {"probabilities": np.eye(4)[np.arange(12) % 4], "n_splits": 2},
    "metrics.instance_distance": {"features_a": X, "features_b": X + 1},
    "metrics.k_recall_at_k": {"true_indices": NEAREST, "indices": NEAREST[:, ::-1], "k": 2},
    "metrics.label_relevance": {"query_labels": [0, 1, 2, 3], "labels": np.arange(7), "indices": NEAREST},
    "metrics.luma": {"image": np.dstack([PICTURE] * 3)},
    "metrics.mean_average_precision": {"relevance": RELEVANCE, "n_relevant": None},
    "metrics.ms_ssim": {"reference": LARGE_PICTURE, "image": LARGE_PICTURE // 2, "data_range": 255},
    "metrics.neighbor_relevance": {"true_indices": NEAREST, "indices": NEAREST[:, ::-1]},
    "metrics.ns_score": {"groups": np.arange(8) // 4, "indices": np.arange(32).reshape(8, 4) % 8},
    "metrics.precision_at_k": {"relevance": RELEVANCE, "k": 2},
    "metrics.psnr": {"reference": PICTURE, "image": PICTURE // 2, "data_range": None},
    "metrics.recall_at_k": {"true_indices": NEAREST, "indices": NEAREST[:, ::-1], "k": 2},
    "metrics.ssim": {"reference": PICTURE, "image": PICTURE // 2, "data_range": None},
    "tokens.perplexity": {"tokens": GRIDS, "n_codewords": 16},
    "tokens.token_bits": {"tokens": GRIDS, "n_codewords": 16, "positions": True},
    "tokens.token_histograms": {"tokens": GRIDS, "n_codewords": 16, "cells": (2, 1)},
}
# Whose large values take long and are right.
WORK = {"epochs", "max_iter", "n_init", "n_hashes", "n_tables", "n_bands", "patience"}
# Taken for true or false.
TRUTHS = {"deep", "use_bias", "verbose"}


class Target(NamedTuple):
    """What is called: right values by parameter, and wrong values of one parameter."""

    name: str
    function: Callable[..., Any]
    right: Callable[[], dict[str, Any]]
    wrong: Callable[[str], list[Any]]
    unchecked: set[str] = TRUTHS


class RefusedError(Exception):
    """Raised by an argument when it is used."""


class Refusing:
    """An object that refuses every conversion."""

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise RefusedError("no")

    __index__ = __int__ = __float__ = __array__ = __len__ = __iter__ = __getitem__ = __bool__ = _refuse
    __fspath__ = __eq__ = _refuse
    __hash__ = None  # type: ignore[assignment]


# --- what is called -----------------------------------------------------------------------------------------


def _method(name: str, method: str) -> Callable[..., Any]:
    return lambda **given: getattr(copy.deepcopy(test_classes.instance(name)), method)(**given)


def _constructor(case: Case) -> Callable[..., Any]:
    def construct(**given: Any) -> Any:
        return case.use(case.cls(*case.args, **given))

    return construct


@functools.cache
def targets() -> list[Target]:
    """List all public functions, constructors and methods."""
    found = []
    for name, function in public_functions().items():
        family = name.rpartition(".")[0]
        if family not in test_arguments.FAMILIES and family not in test_arguments.OPTIONAL:
            found.append(Target(name, function, functools.partial(dict, OTHERS[name]), lambda parameter: []))
    for family, table in test_arguments.FAMILIES.items():
        for verb, right in table.RIGHT.items():
            wrong = functools.partial(_values_of, table, verb)
            function = getattr(importlib.import_module(f"fastcodes.{family}"), verb)
            found.append(Target(f"{family}.{verb}", function, functools.partial(dict, right), wrong))
    for name, case in test_classes.CASES.items():
        wrong = functools.partial(_wrong_of, case, "")
        optional = dict.fromkeys(parameters(case.cls), ...)
        optional.pop("layers", None), optional.pop("body", None)
        params = {key: case.params.get(key, ...) for key in optional}
        found.append(Target(name, _constructor(case), functools.partial(dict, params), wrong))
        for method in test_classes.methods(case):
            right = functools.partial(test_classes.right_arguments, name, method)
            wrong = functools.partial(_wrong_of, case, method)
            unchecked = {key.removeprefix(f"{method}.") for key in case.skipped} | TRUTHS
            found.append(Target(f"{name}.{method}", _method(name, method), right, wrong, unchecked))
    functions = [target for target in found if target.name in public_functions()]
    return functions * 3 + found


def _values_of(table: Any, verb: str, parameter: str) -> list[Any]:
    return [wrong.value for wrong in table.wrong_values(verb, parameter)]


def _wrong_of(case: Case, where: str, parameter: str) -> list[Any]:
    return test_classes.wrong_values(case, where, parameter) or []


# --- arguments ----------------------------------------------------------------------------------------------

NUMBERS = [0, 1, 2, 3, 7, 16, 64, 255, -1, -7, 2**20, 2**31 - 1, 2**31, 2**63, -(2**63), 2**64, 10**30]
REAL_NUMBERS = [0.5, -0.0, 1e-300, 1e300, float("nan"), float("inf"), -float("inf"), np.float32(0.5), 1j]
SINGLE = [None, True, False, "", "x", "l2", b"", b"x", (), [], {}, set(), object, len, range(3)]
DTYPES = [
    "u1",
    "i1",
    "u2",
    "i4",
    "i8",
    "u8",
    "f2",
    "f4",
    "f8",
    "?",
    "c8",
    "O",
    "S2",
    "U2",
    "M8[s]",
    ">f4",
    ">i8",
]
SHAPES = [(), (0,), (0, 8), (8, 0), (1,), (8,), (60,), (3, 8), (5, 8), (20, 8), (60, 8), (2, 3, 4), (1,) * 5]


def odd_array(rng: np.random.Generator) -> Any:
    """Return an array of any shape, dtype and layout."""
    shape = SHAPES[rng.integers(len(SHAPES))]
    integers, scale = rng.integers(-3, 300, shape), 2.0 ** rng.integers(-9, 99)
    values = integers if rng.random() < 0.5 else rng.standard_normal(shape) * scale
    with np.errstate(all="ignore"):
        return laid_out(rng, np.asarray(values).astype(DTYPES[rng.integers(len(DTYPES))]))


def laid_out(rng: np.random.Generator, array: Any) -> Any:
    """Return the same elements in another layout, or an altered copy."""
    kind = rng.integers(12)
    if kind == 0 and array.ndim:
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if kind == 1:
        return np.asfortranarray(array)
    if kind == 2:
        array = array.copy()
        array.flags.writeable = False
    elif kind == 3 and array.dtype.kind not in "OSUV":
        return array.astype(array.dtype.newbyteorder())
    elif kind == 4:
        return array.astype(object)
    elif kind == 5:
        return np.ma.masked_array(array, rng.random(array.shape) < 0.1)
    elif kind == 6 and array.ndim:
        return array[::-1].copy()[::-1]
    elif kind == 7 and array.ndim:
        return array[: rng.integers(3)]
    elif kind == 8 and array.ndim > 1:
        return array[:, : rng.integers(array.shape[1] + 1)]
    elif kind == 9 and array.dtype.kind == "f" and array.size:
        array = array.copy()
        array.flat[rng.integers(array.size)] = rng.choice([np.nan, np.inf, 1e38, -0.0])
    elif kind == 10 and array.dtype.kind != "O":
        bytes_ = np.zeros(array.nbytes + 1, np.uint8)[1:]
        bytes_[:] = np.frombuffer(array.tobytes(), np.uint8)
        return bytes_.view(array.dtype).reshape(array.shape)
    elif kind == 11:
        return array.tolist()
    return array


def odd(rng: np.random.Generator) -> Any:
    """Return a value that few expect."""
    kind = rng.integers(9)
    if kind == 0:
        return NUMBERS[rng.integers(len(NUMBERS))]
    if kind == 1:
        return REAL_NUMBERS[rng.integers(len(REAL_NUMBERS))]
    if kind == 2:
        return SINGLE[rng.integers(len(SINGLE))]
    if kind == 3:
        return np.array(NUMBERS[rng.integers(10)]) if rng.random() < 0.5 else np.int8(rng.integers(-128, 128))
    if kind == 4:
        return [Refusing(), WithoutRepr(), PQ, index.FlatIndex(PQ)][rng.integers(4)]
    if kind == 5:
        return (value for value in [1, 2, 3])
    if kind == 6 and rng.random() < 0.1:
        row = np.zeros(8, ["u1", "f4", "i8", "?"][rng.integers(4)])
        n = 2**20 + 3
        return np.broadcast_to(row, (n, 8)) if rng.random() < 0.5 else np.broadcast_to(row[0], n)
    return odd_array(rng)


@functools.cache
def right_values() -> list[Any]:
    """List the right values of all parameters."""
    return [value for target in targets() for value in target.right().values() if value is not ...]


def arguments(target: Target, rng: np.random.Generator) -> dict[str, Any]:
    """Draw arguments: most are right, one or a few are not."""
    given = dict(target.right())
    names = list(given)
    share = rng.choice([0.0, 1 / max(len(names), 1), 0.3, 1.0], p=[0.05, 0.5, 0.25, 0.2])
    for name in names:
        value = given[name]
        if name not in target.unchecked and rng.random() < share:
            wrong, kind = target.wrong(name), rng.integers(5)
            others = right_values()
            if kind == 0 and wrong:
                value = wrong[rng.integers(len(wrong))]
            elif kind == 1:
                value = others[rng.integers(len(others))]
            elif kind == 2:
                value = odd(rng)
            elif kind == 3 and isinstance(value, (bool, int)):
                value = NUMBERS[rng.integers(len(NUMBERS))]
            else:
                value = laid_out(rng, value) if isinstance(value, np.ndarray) else odd(rng)
            if name in WORK and isinstance(value, int) and value > 300:
                value = 3
        if value is ...:
            del given[name]
        else:
            # What is written to belongs to this call alone.
            own = isinstance(value, np.ndarray) and value.flags.writeable and rng.random() < 0.9
            given[name] = copy.deepcopy(value) if own else value
    return given


def shown(value: Any) -> str:
    """Describe an argument in a few words."""
    if isinstance(value, np.ndarray):
        return f"{type(value).__name__}({value.dtype}, {value.shape}, strides {value.strides})"
    try:
        return repr(value)[:60]
    except Exception:
        return type(value).__name__


# --- answers ------------------------------------------------------------------------------------------------

# Of numpy, of Python and of the binding, where an argument should have been checked.
INTERNAL = re.compile(
    "panick|PanicException|unwrap|RefCell|already borrowed|'NoneType'|object has no attribute"
    "|unsupported operand|not supported between|is not subscriptable|object is not callable"
    "|truth value of|only integer scalar"
    "|only length-1|only 0-dimensional|out of bounds|could not broadcast|be broadcast|unhashable|unpack"
    " (expected|non-iterable)|not enough values|too many values|can only convert an array|cannot reshape"
    "|zero-size array|positional argument|unexpected keyword|ufunc|setting an array element|matmul:"
    "|must be real number, not|arrays to concatenate|too large to convert|int too (big|large)|Maximum allowed"
    "|cannot be interpreted as an integer|object is not iterable|Cannot cast|array is too big"
    "|need at least one"
)
ERRORS = (TypeError, ValueError, OSError, MemoryError)


def rows(x: Any) -> Any:
    return np.atleast_2d(np.asarray(x, np.uint8))


def distances(family: str, a: Any, b: Any, given: dict[str, Any]) -> Any:
    if family == "hamming":
        return oracles.hamming(rows(a), rows(b))
    return oracles.tversky(rows(a), rows(b), given.get("alpha", 1.0), given.get("beta", 1.0))


def expected(name: str, given: dict[str, Any]) -> Any:
    """Return what an oracle says to a call that succeeded, or None."""
    large = any(isinstance(value, np.ndarray) and value.size > 2**16 for value in given.values())
    if large or given.get("exclude_self"):
        return None
    family, _, verb = name.partition(".")
    if family in ("hamming", "jaccard") and verb in ("knn", "radius", "cdist", "pairs"):
        if verb == "pairs":
            return oracles.pairs(distances(family, given["codes"], given["codes"], given), given["radius"])
        if verb == "cdist":
            return distances(family, given["a"], given["b"], given)
        d, mask = distances(family, given["queries"], given["codes"], given), given["mask"]
        mask = None if mask is None else np.asarray(mask, None if len(mask) else int)
        if verb == "radius":
            return oracles.radius(d, given["radius"], mask)
        padding = 2**31 - 1 if family == "hamming" else np.inf
        return oracles.knn(d, int(given["k"]), mask, padding) if given["k"] < 1000 else None
    if name == "bits.popcount":
        return oracles.popcount(np.asarray(given["codes"], np.uint8))
    if name == "adc.scan" and isinstance(given["codes"], np.ndarray):
        tables = np.asarray(given["tables"])
        return oracles.adc(tables.reshape(-1, *tables.shape[-2:]), rows(given["codes"]))
    if name == "xnor.and_matmul":
        bits = [np.unpackbits(rows(given[key]), axis=1).astype(np.int32) for key in "ab"]
        return bits[0] @ bits[1].T
    if name == "xnor.matmul" and given["finish"] is None and isinstance(given["b"], np.ndarray):
        n_bits = int(given["n_bits"])
        return oracles.signs(rows(given["a"]), n_bits) @ oracles.signs(rows(given["b"]), n_bits).T
    return None


def agree(found: Any, wanted: Any) -> bool:
    """Whether answers agree, except that one query may have no axis of its own."""
    if isinstance(wanted, tuple):
        return len(found) == len(wanted) and all(map(agree, found, wanted))
    return bool(np.array_equal(np.reshape(found, -1), np.reshape(wanted, -1)))


@contextlib.contextmanager
def limited(what: str) -> Iterator[None]:
    """Interrupt what takes too long, as Ctrl-C does; end the process where that does not help."""

    def interrupt(*args: Any) -> None:
        raise AssertionError(f"takes more than {SECONDS} seconds: {what}")

    faulthandler.dump_traceback_later(3 * SECONDS, exit=True)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, interrupt)
        signal.alarm(SECONDS)
    try:
        yield
    finally:
        if hasattr(signal, "SIGALRM"):
            signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()


def check_error(error: Exception, name: str, what: str) -> None:
    """Check that an error says something to a user."""
    assert not isinstance(error, ImportError) or name.startswith("interop."), f"{what}: {error!r}"
    own = str(error).partition("cannot be converted to a numpy array: ")[0]  # before the reason of numpy
    picks_rows = name.endswith((".take", ".decode_many")) and own.startswith("rows ")
    assert picks_rows or not isinstance(error, IndexError), f"{what}: {error!r}"
    assert own, f"{what}: no message"
    assert not INTERNAL.search(own), f"{what}: {type(error).__name__}: {own}"


def call(number: int, note: Callable[[str], Any] = print) -> str:
    """Make a random call, check its answer, and return how it ended."""
    rng = np.random.default_rng([1, number])
    target = targets()[number % len(targets())]
    given = arguments(target, rng)
    what = f"{number} {target.name}({', '.join(f'{name}={shown(value)}' for name, value in given.items())})"
    note(what)
    try:
        with limited(what), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = target.function(**given)
            wanted = expected(target.name, given)
    except RefusedError:
        return "refused"
    except (*ERRORS, ImportError, IndexError) as error:
        check_error(error, target.name, what)
        return type(error).__name__
    assert wanted is None or agree(answer, wanted), f"{what}: {answer} is not {wanted}"
    return "an answer" if wanted is None else "the answer of the oracle"


# --- altered files ------------------------------------------------------------------------------------------


def answer_of(loaded: Any) -> Any:
    """Return what a loaded model or index answers."""
    if isinstance(loaded, adc.PackedCodes):
        return loaded.unpack()
    if isinstance(loaded, index.Index):
        return loaded.search(SETS if isinstance(loaded, index.MinHashIndex) else X[:5], 3)
    if hasattr(loaded, "n_hashes"):
        return loaded.encode(SETS)
    if isinstance(loaded, coding.TextCodec):
        return loaded.encode_many(TEXTS)
    if isinstance(loaded, coding.JointCodec):
        return loaded.encode(IMAGES, FEATURES)
    if isinstance(loaded, (coding.ResidualBinaryCoder, coding.ThumbnailCodec)):
        return loaded.decode(loaded.encode(IMAGES))
    if isinstance(loaded, tokens.VQVAE):
        return loaded.decode(loaded.encode(IMAGES))
    if isinstance(loaded, tokens.TokenPrior):
        return loaded.encode(GRIDS)
    if isinstance(loaded, tokens.TokenCodec):
        return loaded.encode(IMAGES[0])
    if isinstance(loaded, coding.CodeCompressor):
        return loaded.bits(adc_cases.ROWS)
    if isinstance(loaded, crossmodal.RetrievalCaptioner):
        return loaded.candidates(crossmodal_cases.FEATURES[0])
    if isinstance(loaded, crossmodal.RetrievalPainter):
        return loaded.paint("snow")
    if isinstance(loaded, crossmodal.SketchCoder):
        return loaded.encode(crossmodal_cases.SKETCHES[0])
    if isinstance(loaded, (coding.CompressedRows, coding.CompressedTexts, coding.CompressedThumbnails)):
        return loaded[:]
    if hasattr(loaded, "encode"):
        return loaded.encode(np.zeros((4, 2), np.uint8) if type(loaded).__name__ == "Bits" else X[:5])
    return loaded.predict(X[:5]) if hasattr(loaded, "predict") else loaded.transform(X[:5])


@functools.cache
def files(folder: str) -> list[tuple[type, bytes, Any]]:
    """List the class, the content of a saved file, and the answer, of everything that can be saved."""
    made = [
        test_classes.instance(name)
        for name, case in test_classes.CASES.items()
        # Files of thumbnails have no model, and are loaded with one: see their own tests.
        if hasattr(case.cls, "load")
        and hasattr(case.cls, "save")
        and case.cls is not coding.CompressedThumbnails
    ]
    codecs = [quantization.ScalarQuantizer(), *map(quantization.RaBitQuantizer, (1, 4))]
    filled = [index.FlatIndex(codec.fit(X)) for codec in codecs]
    for one in filled:
        one.add(X)
    made += [*filled, adc.PackedCodes(adc_cases.ROWS)]
    found = []
    for one in made:
        path = Path(folder, "saved")
        one.save(path)
        found.append((type(one), path.read_bytes(), answer_of(type(one).load(path))))
    return found


def altered(whole: bytes, others: list[bytes], rng: np.random.Generator) -> tuple[bytes, bool]:
    """Return an altered file, and whether its checksums were renewed."""
    content, n = bytearray(whole), len(whole)
    header = 8 + int.from_bytes(whole[:8], "little")
    start, stop = sorted(rng.integers(0, rng.choice([16, header, n]), 2))
    other = others[rng.integers(len(others))]
    kind = rng.integers(8)
    if kind == 0:
        for place in rng.integers(0, rng.choice([8, header, n]), rng.integers(1, 9)):
            content[place] ^= 1 << rng.integers(8)
    elif kind == 1:
        del content[start:stop]
    elif kind == 2:
        content[start:start] = rng.bytes(rng.integers(1, 99)) if rng.random() < 0.5 else content[start:stop]
    elif kind == 3:
        content[start:stop] = content[start:stop][::-1]
    elif kind == 4:
        content[start:stop] = other[start:stop]
    elif kind == 5:
        content = bytearray(whole[:start] + other[stop:])
    elif kind == 6:
        content[start : start + 4] = rng.choice([b"null", b"-1  ", b"1e99", b"9999", b'"",[', b"[[[["])
    else:
        return forged(whole, rng), True
    return bytes(content), False


def forged(whole: bytes, rng: np.random.Generator) -> bytes:
    """Return a file with an altered parameter, shape or array, and the checksums that belong to it."""
    end = 8 + int.from_bytes(whole[:8], "little")
    header, data = json.loads(whole[8:end]), bytearray(whole[end:])
    metadata = header["__metadata__"]
    params, checksums = json.loads(metadata["params"]), json.loads(metadata["checksums"])
    strange = [None, -1, 0, 1, 3, 2**31, 2**63, 10**30, 0.5, "", "x", [], [1], {}, True, 1e300]
    kind = rng.integers(3)
    names = sorted(checksums)
    if kind == 0 or not names:
        params = mutated(params, strange, rng)
    else:
        entry = header[names[rng.integers(len(names))]]
        if kind == 1:
            first, last = entry["data_offsets"]
            data[first:last] = rng.bytes(last - first)
        elif rng.random() < 0.5:
            entry["shape"] = entry["shape"][::-1] if rng.random() < 0.5 else [*entry["shape"], 1]
        else:
            alike = {"F32": "I32", "I32": "U32", "U8": "BOOL", "F64": "I64", "I64": "U64", "U64": "F64"}
            entry["dtype"] = alike.get(entry["dtype"], entry["dtype"])
    for name in names:
        first, last = header[name]["data_offsets"]
        checksums[name] = zlib.crc32(data[first:last])
    metadata["params"], metadata["checksums"] = json.dumps(params), json.dumps(checksums)
    layout = {
        name: (np.dtype(_files._DTYPES[header[name]["dtype"]]), tuple(header[name]["shape"]))
        for name in sorted(names, key=lambda name: header[name]["data_offsets"])
    }
    metadata["checksum"] = _files._header_crc(metadata, layout)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(data)


def mutated(value: Any, strange: list[Any], rng: np.random.Generator) -> Any:
    """Return JSON in which one value is another."""
    if isinstance(value, (dict, list)) and value and rng.random() < 0.9:
        value = copy.deepcopy(value)
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = keys[rng.integers(len(keys))]
        if rng.random() < 0.1:
            del value[key]
        else:
            value[key] = mutated(value[key], strange, rng)
        return value
    return strange[rng.integers(len(strange))]


def load(number: int, folder: str, note: Callable[[str], Any] = print) -> str:
    """Load an altered file, verified: it is refused, or answers as before."""
    rng = np.random.default_rng([2, number])
    found = files(folder)
    cls, whole, wanted = found[number % len(found)]
    content, renewed = altered(whole, [other for _, other, _ in found], rng)
    options = [{"mmap": False}, {"verify": True}][rng.integers(2)]
    options = options if "verify" in parameters(cls.load) else {}
    path = Path(folder, f"{cls.__name__}.altered")
    path.write_bytes(content)
    what = f"{number} {cls.__name__}.load({str(path)!r}, **{options})"
    note(what)
    try:
        with limited(what), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = cls.load(path, **options)
    except MemoryError:
        return "refused"
    except ValueError as error:
        refused = re.search("is not a valid .* file: .", str(error))
        assert refused, f"{what}: {error}"  # noqa: PT017
        return "refused"
    try:
        with limited(what), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = answer_of(loaded)
    except ERRORS:
        assert renewed, f"{what} has no answer"
        return "no answer"
    assert renewed or same(answer, wanted), f"{what} has another answer"
    return "another file" if renewed else "the same answer"


# --- in a process of its own --------------------------------------------------------------------------------


def main(what: str, number: int, folder: str) -> None:
    """Make calls or loads, and print how many ended how; stop at the first that is wrong."""
    os.chdir(folder)
    faulthandler.enable()
    targets(), right_values(), files(folder)
    if sys.platform == "linux":
        import resource

        with open("/proc/self/statm") as file:
            size = int(file.read().split()[0]) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    ends: dict[str, int] = {}
    with open(os.path.join(folder, "notes"), "w") as notes:

        def note(line: str) -> None:
            notes.seek(0)
            notes.truncate()
            notes.write(line)
            notes.flush()

        for one in range(number):
            end = call(one, note) if what == "calls" else load(one, folder, note)
            ends[end] = ends.get(end, 0) + 1
    print(json.dumps(ends))


def run(what: str, number: int, folder: Path) -> dict[str, int]:
    """Run `main` in a process of its own, and return how many ended how."""
    code = f"from contract.test_fuzz import main; main({what!r}, {number}, {str(folder)!r})"
    try:
        return dict(json.loads(run_python(code, timeout=max(120, number))))
    except AssertionError as error:
        notes = folder / "notes"
        raise AssertionError(f"at {notes.read_text() if notes.exists() else 'the start'}: {error}") from None


def test_random_calls_have_an_answer_or_a_clear_error(tmp_path: Path) -> None:
    ends = run("calls", N_CALLS, tmp_path)
    print(ends)
    assert sum(ends.values()) == N_CALLS
    # Otherwise the arguments are all right, or all wrong.
    for end in ("an answer", "the answer of the oracle", "TypeError", "ValueError"):
        assert ends[end] > N_CALLS / 100, ends


def test_altered_files_are_refused_or_answer_as_before(tmp_path: Path) -> None:
    ends = run("files", N_FILES, tmp_path)
    print(ends)
    assert sum(ends.values()) == N_FILES
    for end in ("refused", "the same answer", "another file"):
        assert ends[end] > N_FILES / 100, ends


def test_every_public_function_is_called() -> None:
    names = {target.name for target in targets()}
    missing = set(test_arguments.OPTIONAL) - set(test_arguments.FAMILIES)
    assert {name for name in public_functions() if name.rpartition(".")[0] not in missing} <= names
    for name, right in OTHERS.items():
        assert list(parameters(public_functions()[name])) == list(right), name
