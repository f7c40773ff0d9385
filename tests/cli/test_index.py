"""The command `fastcodes index`: forms of input, results of searches, facts, wrong calls, interrupts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import cli, index
from fastcodes.cli import index as command
from fastcodes.cli import tables, vectors
from fastcodes.cli.codecs import CODECS
from fastcodes.hashing import Bits, MinHash, RandomHyperplanes
from fastcodes.quantization import ProductQuantizer, RaBitQuantizer

GENERATOR = np.random.default_rng(0)
VECTORS = GENERATOR.standard_normal((600, 24)).astype(np.float32)
CODES = np.packbits(VECTORS > 0, axis=1)
TABLES = tables.SUFFIXES


@pytest.fixture(autouse=True)
def files(folder: Path) -> None:
    """Save vectors and codes in the current folder."""
    np.save("vectors.npy", VECTORS)
    np.save("queries.npy", VECTORS[:7])
    np.save("codes.npy", CODES)


def run(*arguments: str) -> int:
    return cli.main(["index", *arguments])


def build(*options: str, source: str = "vectors.npy") -> None:
    assert run("build", source, "-o", "made.index", *options) == 0


def save_table(name: str, columns: dict[str, Any], rows_per_group: int = 100) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="reads tables")
    table = pyarrow.table(columns)
    if name.endswith(".parquet"):
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, name, row_group_size=rows_per_group)
    elif ".stream" in name:
        import pyarrow.ipc

        with pyarrow.ipc.new_stream(name, table.schema) as stream:
            stream.write_table(table, rows_per_group)
    else:
        import pyarrow.feather

        pyarrow.feather.write_feather(table, name, chunksize=rows_per_group)


def lists(values: np.ndarray, form: str) -> Any:
    pyarrow = pytest.importorskip("pyarrow", reason="reads tables")
    if form == "fixed-size lists":
        return pyarrow.FixedSizeListArray.from_arrays(values.ravel(), values.shape[1])
    if form == "fixed-size bytes":
        return pyarrow.array([row.tobytes() for row in values], pyarrow.binary(values.shape[1]))
    if form == "bytes":
        return pyarrow.array([row.tobytes() for row in values], pyarrow.binary())
    kind = pyarrow.list_ if form == "lists" else pyarrow.large_list
    return pyarrow.array(list(values), kind(pyarrow.from_numpy_dtype(values.dtype)))


def assert_same(made: index.Index, expected: index.Index) -> None:
    assert type(made) is type(expected)
    assert made.codec.get_params() == expected.codec.get_params()
    assert np.array_equal(made.ids, expected.ids)
    for found, wanted in zip(made.search(VECTORS[:9], 5), expected.search(VECTORS[:9], 5), strict=True):
        np.testing.assert_array_equal(found, wanted)


# --- build --------------------------------------------------------------------------------------------------


def test_the_default_is_the_index_of_the_api(capsys: pytest.CaptureFixture[str]) -> None:
    build()
    expected = index.FlatIndex(RaBitQuantizer(4, random_state=0).fit(VECTORS))
    expected.add(VECTORS)
    assert_same(index.FlatIndex.load("made.index"), expected)
    captured = capsys.readouterr()
    assert not captured.out
    assert captured.err.startswith("made.index: 600 rows of 24 float32 as a FlatIndex of RaBitQuantizer in ")


@pytest.mark.parametrize("n_lists", [None, 5])
def test_batches_give_the_same_index_as_one(n_lists: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "BYTES_PER_BATCH", 96 * 7)
    build("--codec", "pq", "--parts", "4", "--metric", "ip", *(["--lists", "5"] if n_lists else []))
    codec = ProductQuantizer(4, metric="ip", random_state=0)
    if n_lists is None:
        expected: Any = index.FlatIndex(codec.fit(VECTORS), metric="ip")
    else:
        expected = index.IVFIndex(codec, n_lists, metric="ip", random_state=0).fit(VECTORS)
    expected.add(VECTORS)
    assert_same(type(expected).load("made.index"), expected)


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("options", [[], ["--lists", "4"]])
def test_every_codec_finds_its_own_rows(name: str, options: list[str]) -> None:
    source = "codes.npy" if name == "bits" else "vectors.npy"
    build("--codec", name, *options, source=source)
    assert run("search", "made.index", source, "-k", "1", "-o", "found.npy") == 0
    found = np.load("found.npy")["id"][:, 0]
    assert (found == np.arange(600)).mean() > (0.95 if name == "rq" or options else 0.98)


def test_signs_are_bits_of_packed_vectors() -> None:
    build("--codec", "sign")
    made = index.FlatIndex.load("made.index")
    assert isinstance(made.codec, Bits)
    np.testing.assert_array_equal(made.codes, CODES)


@pytest.mark.parametrize("suffix", [*TABLES, ".stream.arrow"])
@pytest.mark.parametrize("form", ["fixed-size lists", "lists", "large lists"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8"])
def test_tables_give_the_same_index_as_arrays(
    suffix: str, form: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = (VECTORS * 20).astype(dtype)
    np.save("vectors.npy", values)
    save_table(f"t{suffix}", {"name": ["x"] * 600, "vector": lists(values, form)})
    monkeypatch.setattr(tables, "MOST_ROWS", 64)
    monkeypatch.setattr(command, "TRAINING_ROWS", 300)
    build("--codec", "sq")
    expected = index.FlatIndex.load("made.index", mmap=False)
    build("--codec", "sq", source=f"t{suffix}")
    assert_same(index.FlatIndex.load("made.index"), expected)


@pytest.mark.parametrize("suffix", TABLES)
@pytest.mark.parametrize("form", ["fixed-size bytes", "bytes", "lists"])
def test_tables_hold_codes(suffix: str, form: str) -> None:
    save_table(f"t{suffix}", {"code": lists(CODES, form), "id": np.arange(600) * 3})
    build("--id-column", "id", source=f"t{suffix}")
    made = index.FlatIndex.load("made.index")
    np.testing.assert_array_equal(made.codes, CODES)
    np.testing.assert_array_equal(made.ids, np.arange(600) * 3)


def test_the_sample_has_the_rows_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    save_table("t.parquet", {"v": lists(VECTORS, "lists")})
    with vectors.Vectors("t.parquet") as table, vectors.Vectors("vectors.npy") as array:
        for most in (1, 50, 600, 1000):
            sample = array.sample(most, 3)
            assert len(sample) == min(most, 600)
            np.testing.assert_array_equal(table.sample(most, 3), sample)


# --- search -------------------------------------------------------------------------------------------------


def test_results_are_those_of_the_api_in_every_form(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    build()
    capfd.readouterr()
    distances, ids = index.FlatIndex.load("made.index").search(VECTORS[:7], 3)
    monkeypatch.setattr(command, "BYTES_PER_BLOCK", 1)
    monkeypatch.setattr(vectors, "BYTES_PER_BATCH", 96 * 3)
    assert run("search", "made.index", "queries.npy", "-k", "3", "-o", "found.npy") == 0
    found = np.load("found.npy")
    np.testing.assert_array_equal(found["id"], ids)
    np.testing.assert_array_equal(found["distance"], distances)
    assert capfd.readouterr().err.startswith("found.npy: the 3 nearest of 600 rows for 7 queries; ")
    assert run("search", "made.index", "queries.npy", "-k", "3", "-o", "found.jsonl") == 0
    assert run("search", "made.index", "queries.npy", "-k", "3", "--json") == 0
    printed = capfd.readouterr().out
    assert Path("found.jsonl").read_text() == printed
    rows = [json.loads(line) for line in printed.splitlines()]
    assert [row["query"] for row in rows] == list(range(7))
    assert [row["ids"] for row in rows] == ids.tolist()
    np.testing.assert_array_equal(np.array([row["distances"] for row in rows], np.float32), distances)
    assert run("search", "made.index", "queries.npy", "-k", "3") == 0
    heading, *lines = capfd.readouterr().out.splitlines()
    assert heading.split() == ["query", "id", "distance"]
    table = np.array([line.split() for line in lines], float)
    np.testing.assert_array_equal(table[:, 1].reshape(7, 3), ids)
    np.testing.assert_allclose(table[:, 2].reshape(7, 3), distances, rtol=1e-6)


def test_missing_neighbors_are_padded_or_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    np.save("codes.npy", CODES[:2])
    build(source="codes.npy")
    capfd.readouterr()
    assert run("search", "made.index", "codes.npy", "-k", "4", "-o", "found.npy") == 0
    assert (np.load("found.npy")["id"][:, 2:] == -1).all()
    assert run("search", "made.index", "codes.npy", "-k", "4", "--json") == 0
    assert [len(json.loads(line)["ids"]) for line in capfd.readouterr().out.splitlines()] == [2, 2]


@pytest.mark.parametrize("n_queries", [0, 1])
def test_few_queries(n_queries: int) -> None:
    build("--codec", "sign")
    np.save("queries.npy", VECTORS[0] if n_queries else VECTORS[:0])
    assert run("search", "made.index", "queries.npy", "-k", "3", "-o", "found.npy") == 0
    assert np.load("found.npy").shape == (n_queries, 3)


def test_reranking_gives_exact_distances_and_probes_more_rows() -> None:
    build("--codec", "rabitq", "--bits", "1", "--lists", "10")
    options = ["--probes", "10", "--rerank", "vectors.npy", "--oversample", "100", "-o", "found.npy"]
    assert run("search", "made.index", "queries.npy", "-k", "4", *options) == 0
    exact = ((VECTORS[:7, None] - VECTORS) ** 2).sum(axis=2)
    found = np.load("found.npy")
    np.testing.assert_array_equal(found["id"], np.argsort(exact, axis=1)[:, :4])
    np.testing.assert_allclose(found["distance"], np.sort(exact, axis=1)[:, :4], rtol=1e-5, atol=1e-5)


def test_queries_in_a_table() -> None:
    save_table("q.parquet", {"v": lists(VECTORS[:7], "lists"), "w": lists(VECTORS[7:14], "lists")})
    build()
    for column, first in (("v", 0), ("w", 7)):
        assert run("search", "made.index", "q.parquet", "--column", column, "-k", "1", "-o", "f.npy") == 0
        np.testing.assert_array_equal(np.load("f.npy")["id"][:, 0], np.arange(first, first + 7))


# --- info ---------------------------------------------------------------------------------------------------


def test_info_prints_the_facts_as_text_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    build("--codec", "pq", "--parts", "6", "--lists", "5")
    capsys.readouterr()
    assert run("info", "made.index", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["kind"], facts["codec"], facts["rows"], facts["metric"]) == (
        "IVFIndex",
        "ProductQuantizer",
        600,
        "l2",
    )
    assert facts["parameters"]["n_subspaces"] == 6
    assert facts["settings"] == {"n_lists": 5, "by_residual": True}
    assert facts["file_bytes"] == os.path.getsize("made.index")
    assert facts["list_sizes"]["mean"] == 120
    assert run("info", "made.index") == 0
    printed = capsys.readouterr().out
    for words in ("IVFIndex", "n_subspaces=6", "600", "n_lists=5"):
        assert words in printed


def test_info_knows_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    bits, hyperplanes = Bits(24).fit(), RandomHyperplanes(24).fit(VECTORS)
    texts = index.MinHashIndex(MinHash(16).fit())
    texts.add(["some words", "other words"])
    for made in (texts, index.MultiIndexHashing(bits), index.LSHIndex(hyperplanes)):
        made.save("made.index")
        assert run("info", "made.index", "--json") == 0
        facts = json.loads(capsys.readouterr().out)
        assert (facts["kind"], facts["rows"]) == (type(made).__name__, len(made))


def test_json_prints_the_report_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    build("--json")
    captured = capsys.readouterr()
    assert json.loads(captured.out)["rows"] == 600
    assert not captured.err
    assert run("search", "made.index", "queries.npy", "-o", "found.npy", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["queries"] == 7
    assert not captured.err


# --- wrong calls --------------------------------------------------------------------------------------------

SEARCH = ["search", "made.index", "queries.npy"]
WRONG: dict[str, tuple[list[str], list[str]]] = {
    "no action": ([], ["ACTION"]),
    "missing file": (["build", "none.npy", "-o", "x"], ["none.npy: no such file"]),
    "no output": (["build", "vectors.npy"], ["-o"]),
    "output is a pipe": (["build", "vectors.npy", "-o", "-"], ["not a regular file"]),
    "output is an input": (["build", "vectors.npy", "-o", "vectors.npy"], ["one of the inputs"]),
    "column of an array": (["build", "vectors.npy", "-o", "x", "--column", "v"], ["has no columns"]),
    "floats as bits": (["build", "vectors.npy", "-o", "x", "--codec", "bits"], ["packed bits", "float32"]),
    "signs of codes": (["build", "codes.npy", "-o", "x", "--codec", "sign"], ["sign", "uint8"]),
    "parts of itq": (
        ["build", "vectors.npy", "-o", "x", "--codec", "itq", "--parts", "3"],
        ["--parts", "--bits"],
    ),
    "bits of pq": (
        ["build", "vectors.npy", "-o", "x", "--codec", "pq", "--bits", "3"],
        ["--bits", "--parts"],
    ),
    "bits of sign": (["build", "vectors.npy", "-o", "x", "--codec", "sign", "--bits", "3"], ["--bits"]),
    "parts that do not divide": (
        ["build", "vectors.npy", "-o", "x", "--codec", "pq", "--parts", "5"],
        ["vectors.npy: n_subspaces=5 does not divide"],
    ),
    "too many bits": (["build", "vectors.npy", "-o", "x", "--bits", "9"], ["n_bits", "9"]),
    "metric of another codec": (
        ["build", "codes.npy", "-o", "x", "--metric", "cosine"],
        ["codes.npy", "cosine", "hamming"],
    ),
    "unknown codec": (["build", "vectors.npy", "-o", "x", "--codec", "zip"], ["zip", "rabitq"]),
    "more lists than rows": (["build", "vectors.npy", "-o", "x", "--lists", "601"], ["n_lists=601"]),
    "NaN": (["build", "nan.npy", "-o", "x", "--codec", "hyperplanes"], ["nan.npy", "row 5"]),
    "three dimensions": (["build", "cube.npy", "-o", "x"], ["cube.npy", "(n, d)", "(2, 3, 4)"]),
    "text": (["build", "text.npy", "-o", "x"], ["not an .npy file"]),
    "not an index": (["info", "vectors.npy"], ["vectors.npy: not an index"]),
    "a model": (["info", "model"], ["model: holds a ProductQuantizer", "FlatIndex"]),
    "a damaged index": (["info", "damaged.index"], ["damaged.index"]),
    "missing index": (["search", "none.index", "queries.npy"], ["none.index: no such file"]),
    "other width": (["search", "made.index", "codes.npy"], ["codes.npy", "24"]),
    "k of zero": ([*SEARCH, "-k", "0"], ["-k"]),
    "output of another form": ([*SEARCH, "-o", "x.txt"], ["x.txt", ".npy or .jsonl"]),
    "probes of a flat index": ([*SEARCH, "--probes", "3"], ["--probes", "FlatIndex"]),
    "oversample alone": ([*SEARCH, "--oversample", "3"], ["--oversample", "--rerank"]),
    "rerank by too few": ([*SEARCH, "--rerank", "queries.npy"], ["rerank"]),
    "sets": (["search", "sets.index", "queries.npy"], ["sets", "dedup"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_every_wrong_call_is_one_line(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    build()
    np.save("nan.npy", np.where(np.arange(600)[:, None] == 5, np.nan, VECTORS))
    np.save("cube.npy", np.zeros((2, 3, 4)))
    Path("text.npy").write_text("text")
    content = Path("made.index").read_bytes()
    Path("damaged.index").write_bytes(content[:-1])
    ProductQuantizer.from_codebooks(np.zeros((1, 2, 3), np.float32)).save("model")
    index.MinHashIndex(MinHash(16).fit()).save("sets.index")
    before = sorted(os.listdir())
    capsys.readouterr()
    arguments, words = WRONG[name]
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("fastcodes: ")
    assert captured.err.count("\n") == 1
    assert not captured.out
    for word in words:
        assert word in captured.err
    assert sorted(os.listdir()) == before


def test_every_wrong_table_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="reads tables")
    vector = lists(VECTORS, "lists")
    rows = vector.to_pylist()
    for columns, options, words in (
        ({"a": [1] * 600}, [], ["no column of vectors", "--column", "a"]),
        ({"a": vector, "b": vector}, [], ["several columns of vectors, a, b"]),
        ({"a": vector}, ["--column", "b"], ["has no column 'b'; there are a"]),
        ({"a": vector, "b": [1] * 600}, ["--column", "b"], ["'b' has int64", "list of numbers"]),
        ({"a": [*rows[:300], None, *rows[301:]]}, [], ["'a' has no value in row 301"]),
        ({"a": [*rows[:300], [1.0], *rows[301:]]}, [], ["row 301"]),
        ({"a": [*rows[:300], [None] * 24, *rows[301:]]}, [], ["missing values"]),
        ({"a": [["x"]] * 600}, [], ["string", "expected numbers"]),
        ({"a": pyarrow.array([[]] * 600, pyarrow.list_(pyarrow.float32()))}, [], ["no values in row 1"]),
        ({"a": [b""] * 600}, [], ["no values in row 1"]),
        (
            {"a": vector, "i": pyarrow.array([2**63] * 600, pyarrow.uint64())},
            ["--column", "a", "--id-column", "i"],
            [str(2**63)],
        ),
        ({"a": vector, "i": [0] * 600}, ["--id-column", "i"], ["'i'", "ids"]),
        ({"a": vector, "i": [0.5] * 600}, ["--id-column", "i"], ["'i' has double; expected integers"]),
        ({"a": pyarrow.array([], pyarrow.list_(pyarrow.float32()))}, [], ["has no rows"]),
    ):
        for suffix in TABLES:
            save_table(f"t{suffix}", columns)
            assert run("build", f"t{suffix}", "-o", "x", *options) == 2
            error = capsys.readouterr().err
            assert error.startswith(f"fastcodes: t{suffix}: ")
            assert error.count("\n") == 1
            for word in words:
                assert word in error
    assert not Path("x").exists()


@pytest.mark.parametrize("suffix", TABLES)
def test_a_damaged_table_is_one_line(suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = f"t{suffix}"
    save_table(name, {"v": lists(VECTORS, "lists")})
    content = Path(name).read_bytes()
    for cut in (0, 3, 100, len(content) // 2, len(content) - 1):
        Path(name).write_bytes(content[:cut])
        assert run("build", name, "-o", "x") == 2
        error = capsys.readouterr().err
        assert error.startswith(f"fastcodes: {name}: damaged, or not a file of ")
        assert error.count("\n") == 1


def test_a_damaged_stream_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    name = "t.stream.arrow"
    save_table(name, {"v": lists(VECTORS, "lists")})
    content = Path(name).read_bytes()
    for cut in (6, 100, len(content) // 2):
        Path(name).write_bytes(content[:cut])
        assert run("build", name, "-o", "x") == 2
        error = capsys.readouterr().err
        assert error.startswith(f"fastcodes: {name}: damaged, or not a file of Arrow: ")
        assert error.count("\n") == 1


def test_a_table_without_pyarrow_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert run("build", "t.parquet", "-o", "x") == 2
    assert 'pip install "fastcodes[arrow]"' in capsys.readouterr().err


# --- interrupts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["build", "search"])
def test_an_interrupt_leaves_the_old_file(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build()
    before = {name: Path(name).read_bytes() for name in os.listdir()}
    before["found.npy"] = b"old"
    Path("found.npy").write_bytes(b"old")

    def interrupted(*arguments: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(vectors, "BYTES_PER_BATCH", 96 * 3)
    if action == "build":
        monkeypatch.setattr(index.FlatIndex, "_append", interrupted)
        assert run("build", "vectors.npy", "-o", "made.index") == 130
    else:
        monkeypatch.setattr(index.FlatIndex, "search", interrupted)
        assert run("search", "made.index", "queries.npy", "-o", "found.npy") == 130
    assert {name: Path(name).read_bytes() for name in os.listdir()} == before


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_during_a_search_leaves_no_partial_file(name: str, code: int) -> None:
    np.save("codes.npy", np.random.default_rng(0).integers(0, 256, (200_000, 64), np.uint8))
    build(source="codes.npy")
    before = sorted(os.listdir())
    call = [sys.executable, "-m", "fastcodes", "index", "search", "made.index"]
    call += ["codes.npy", "-o", "found.npy"]

    def default_signals() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)

    with subprocess.Popen(call, stderr=subprocess.PIPE, preexec_fn=default_signals) as process:
        while len(os.listdir()) == len(before):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(getattr(signal, name))
        printed = process.communicate(timeout=60)[1].decode()
    assert (process.returncode, printed.count("\n")) == (code, 1), printed
    assert sorted(os.listdir()) == before


def test_signs_of_vectors_that_are_not_finite_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("nan.npy", np.where(np.arange(600)[:, None] == 5, np.nan, VECTORS))
    assert run("build", "nan.npy", "--codec", "sign", "-o", "made.index") == 2
    assert "row 5" in capsys.readouterr().err
    assert not Path("made.index").exists()


def test_errors_of_rerank_name_its_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build()
    capsys.readouterr()
    assert run("search", "made.index", "queries.npy", "--rerank", "queries.npy") == 2
    np.save("few.npy", VECTORS[:9])
    assert run("search", "made.index", "queries.npy", "--rerank", "few.npy") == 2
    assert capsys.readouterr().err.count("fastcodes: few.npy: rerank ") == 1
