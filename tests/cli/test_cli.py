"""The command line: what it prints and writes, and the one line that each wrong call gets."""

import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import __version__, _dedup, _knn, _native, _terminal, cli, hamming

GENERATOR = np.random.default_rng(0)
VALUES = GENERATOR.standard_normal((200, 70)).astype(np.float32)
CODES = np.packbits(VALUES > 0, axis=1)
QUERIES = np.packbits(GENERATOR.standard_normal((9, 70)) > 0, axis=1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder to work in, with codes and queries."""
    monkeypatch.chdir(tmp_path)
    np.save("codes.npy", CODES)
    np.save("queries.npy", QUERIES)
    return tmp_path


def knn(*options: str) -> int:
    return cli.main(["knn", "--codes", "codes.npy", "--queries", "queries.npy", "-o", "result.npz", *options])


def result(name: str = "result.npz") -> tuple[np.ndarray, np.ndarray]:
    with np.load(name) as file:
        return file["distances"], file["indices"]


def nearest(queries: np.ndarray, codes: np.ndarray, metric: str, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Search in slow numpy: sorted by (distance, index)."""
    a, b = np.unpackbits(queries, axis=1)[:, None], np.unpackbits(codes, axis=1)
    if metric == "hamming":
        distances = (a != b).sum(axis=2, dtype=np.int32)
    else:
        distances = (1 - (a & b).sum(axis=2) / np.maximum((a | b).sum(axis=2), 1)).astype(np.float32)
    indices = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, indices, axis=1), indices


def assert_same(found: tuple[np.ndarray, np.ndarray], expected: tuple[np.ndarray, np.ndarray]) -> None:
    assert found[0].dtype == expected[0].dtype
    assert found[1].dtype == np.int64
    # The ratio of two counts may be rounded once or twice on its way to float32.
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-7 if found[0].dtype.kind == "f" else 0)
    np.testing.assert_array_equal(found[1], expected[1])


# --- info and the parser ------------------------------------------------------------------------------------


def test_info_tells_version_level_threads_and_build(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    printed = capsys.readouterr().out
    for fact in (__version__, _native.level(), str(_native.threads()), np.__version__, _native.__file__):
        assert fact in printed


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "fastcodes.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def test_info_says_that_the_level_was_lowered() -> None:
    printed = run("info", FASTCODES_LEVEL="portable").stdout
    assert "portable" in printed
    assert len(_native.levels()) == 1 or "lowered by FASTCODES_LEVEL" in printed


@pytest.mark.parametrize(
    ("variable", "value"), [("FASTCODES_LEVEL", "avx1024"), ("FASTCODES_NUM_THREADS", "many")]
)
def test_a_wrong_environment_is_one_line(variable: str, value: str) -> None:
    done = run("info", **{variable: value})
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert value in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("arguments", [[], ["knnn"], ["knn"], ["bench", "pq"], ["demo", "--n", "0"]])
def test_a_wrong_call_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("fastcodes: ")
    assert captured.err.count("\n") == 1
    assert not captured.out


def test_help_explains_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        cli.main(["--help"])
    assert leaving.value.code == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("info", "demo", "bench", "knn", "dedup"))


# --- knn ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["hamming", "jaccard"])
@pytest.mark.parametrize("k", [1, 10, 300])
def test_knn_equals_slow_numpy(folder: Path, metric: str, k: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert knn("-k", str(k), "--metric", metric) == 0
    distances, indices = result()
    assert distances.shape == indices.shape == (len(QUERIES), k)
    n_found = min(k, len(CODES))
    expected = nearest(QUERIES, CODES, metric, n_found)
    assert_same((distances[:, :n_found], indices[:, :n_found]), expected)
    assert np.all(indices[:, n_found:] == -1)
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 1
    assert not captured.err


def test_knn_in_many_blocks_equals_one_block(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("queries.npy", np.tile(QUERIES, (5, 1)))
    monkeypatch.setattr(_knn, "BYTES_PER_BLOCK", 1)
    assert knn("-k", "3") == 0
    assert_same(result(), hamming.knn(np.tile(QUERIES, (5, 1)), CODES, 3))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bool"])
def test_pack_packs_floats_and_booleans(folder: Path, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = VALUES > 0.25 if dtype == "bool" else VALUES.astype(dtype)
    np.save("codes.npy", values)
    np.save("queries.npy", values[:5])
    monkeypatch.setattr(_knn, "BYTES_PER_PACKED_BLOCK", 1000)
    assert knn("--pack", "--threshold", "0.25", "-k", "4") == 0
    packed = np.packbits(values > 0.25, axis=1)
    assert_same(result(), nearest(packed[:5], packed, "hamming", 4))


def test_pack_leaves_packed_codes_alone(folder: Path) -> None:
    np.save("queries.npy", VALUES[:5])
    assert knn("--pack", "-k", "2") == 0
    assert_same(result(), nearest(CODES[:5], CODES, "hamming", 2))


@pytest.mark.parametrize("kind", ["booleans", "ids"])
def test_mask_selects_rows(folder: Path, kind: str) -> None:
    chosen = np.arange(3, 200, 7)
    np.save("mask.npy", np.isin(np.arange(200), chosen) if kind == "booleans" else chosen)
    assert knn("--mask", "mask.npy", "-k", "5") == 0
    distances, indices = nearest(QUERIES, CODES[chosen], "hamming", 5)
    assert_same(result(), (distances, chosen[indices]))


@pytest.mark.parametrize("layout", ["fortran", "one query", "no queries", "no codes"])
def test_awkward_inputs_work(folder: Path, layout: str) -> None:
    codes, queries = CODES, QUERIES
    if layout == "fortran":
        codes = np.asfortranarray(codes)
    if layout == "one query":
        queries = queries[0]
    if layout == "no queries":
        queries = queries[:0]
    if layout == "no codes":
        codes = codes[:0]
    np.save("codes.npy", codes)
    np.save("queries.npy", queries)
    assert knn("-k", "3", "--threads", "1") == 0
    assert_same(result(), hamming.knn(np.atleast_2d(queries), codes, 3))


def npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def write_bytes(name: str, content: bytes) -> Callable[[], Any]:
    return lambda: Path(name).write_bytes(content)


def write(name: str, array: Any) -> Callable[[], Any]:
    return lambda: np.save(name, array)


WRONG_CALLS: dict[str, tuple[Callable[[], Any], list[str], list[str]]] = {
    # name: (what is done before, options of knn, words that the line has)
    "missing file": (lambda: Path("codes.npy").unlink(), [], ["codes.npy", "no such file"]),
    "a folder": (lambda: None, ["--codes", "."], ["directory"]),
    "text": (write_bytes("codes.npy", b"hello, this is text"), [], ["codes.npy", "not an .npy file"]),
    "an empty file": (write_bytes("codes.npy", b""), [], ["codes.npy", "not an .npy file"]),
    "truncated data": (write_bytes("codes.npy", npy_bytes(CODES)[:-1]), [], ["codes.npy", "cut short"]),
    "truncated header": (write_bytes("codes.npy", npy_bytes(CODES)[:40]), [], ["codes.npy", "cut short"]),
    "objects": (write("codes.npy", np.array([{}], object)), [], ["codes.npy", "objects"]),
    "an archive": (lambda: np.savez("both.npz", a=CODES), ["--codes", "both.npz"], ["both.npz", ".npz"]),
    "floats": (write("codes.npy", VALUES), [], ["float32", "(200, 70)", "--pack"]),
    "integers": (write("codes.npy", CODES.astype(np.int64)), [], ["int64", "uint8", "--pack"]),
    "nothing to pack": (lambda: None, ["--pack"], ["--pack has nothing to pack", "booleans"]),
    "complex": (write("queries.npy", CODES.astype(complex)), ["--pack"], ["complex128", "uint8"]),
    "one dimension": (write("codes.npy", CODES[0]), [], ["two dimensions", "(9,)"]),
    "three dimensions": (write("queries.npy", QUERIES[None]), [], ["two dimensions", "(1, 9, 9)"]),
    "other width": (write("queries.npy", QUERIES[:, :8]), [], ["8 bytes", "9"]),
    "k of zero": (lambda: None, ["-k", "0"], ["-k", "0"]),
    "k of text": (lambda: None, ["-k", "ten"], ["-k", "ten"]),
    "negative k": (lambda: None, ["-k=-3"], ["-k", "-3"]),
    "k beyond 64 bits": (lambda: None, ["-k", "9" * 30], ["-k", "9" * 30]),
    "k beyond memory": (lambda: None, ["-k", str(2**45)], ["-k"]),
    "no threads": (lambda: None, ["--threads", "0"], ["--threads", "0"]),
    "unknown metric": (lambda: None, ["--metric", "cosine"], ["cosine", "hamming"]),
    "threshold of text": (lambda: None, ["--threshold", "high"], ["--threshold", "high"]),
    "mask too short": (write("mask.npy", np.ones(3, bool)), ["--mask", "mask.npy"], ["mask", "200"]),
    "mask of floats": (write("mask.npy", np.ones(200)), ["--mask", "mask.npy"], ["mask", "float64"]),
    "mask beyond the codes": (write("mask.npy", np.array([200])), ["--mask", "mask.npy"], ["mask", "200"]),
    "missing mask": (lambda: None, ["--mask", "nowhere.npy"], ["nowhere.npy", "no such file"]),
    "output into no folder": (lambda: None, ["-o", "nowhere/result.npz"], ["nowhere", "does not exist"]),
    "output over a folder": (lambda: None, ["-o", "."], ["not a regular file"]),
    "output over an input": (lambda: None, ["-o", "codes.npy"], ["codes.npy", "one of the inputs"]),
    "output of another kind": (lambda: None, ["-o", "result.txt"], ["result.txt", ".npz"]),
}


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_every_wrong_call_gets_one_clear_line(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare, options, words = WRONG_CALLS[name]
    prepare()
    assert knn(*options) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("fastcodes: ")
    assert captured.err.count("\n") == 1
    assert not captured.out
    for word in words:
        assert word in captured.err
    assert not list(folder.glob("**/*.partial"))
    assert not (folder / "result.npz").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "closed").mkdir(mode=0o500)
    assert knn("-o", "closed/result.npz") == 2
    assert "permission denied" in capsys.readouterr().err


def test_a_file_cut_anywhere_is_never_a_traceback(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = npy_bytes(CODES)
    for length in [*range(140), len(whole) // 2]:
        Path("codes.npy").write_bytes(whole[:length])
        assert knn() == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_damaged_header_is_never_a_traceback(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = npy_bytes(CODES)
    for place in range(128):
        for value in (0, 0x28, 0x39, 0xFF):
            Path("codes.npy").write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            assert knn() in (0, 2), (place, value)
    assert "Traceback" not in capsys.readouterr().err


def test_an_interrupted_run_leaves_the_old_result(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert knn("-k", "2") == 0
    before = Path("result.npz").read_bytes()

    def interrupted(*arguments: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setitem(_knn.SEARCHES, "hamming", interrupted)
    assert knn("-k", "3") == 130
    assert "interrupted" in capsys.readouterr().err
    assert Path("result.npz").read_bytes() == before
    assert not list(folder.glob(".*partial"))


def test_a_bar_appears_on_long_work_for_a_person(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich", reason="the bar needs rich")
    monkeypatch.setattr(_knn, "BYTES_PER_BLOCK", 1)
    np.save("queries.npy", np.tile(QUERIES, (20, 1)))
    shown = []
    bar = _terminal._bar
    monkeypatch.setattr(_terminal, "_bar", lambda: shown.append(True) or bar())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert knn() == 0
    assert not shown  # short work
    monkeypatch.setattr(_terminal, "SECONDS_BEFORE_BAR", 0.0)
    assert knn() == 0
    assert shown == [True]


@pytest.mark.parametrize("missing", ["rich", "sklearn"])
def test_a_missing_extra_says_what_to_install(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if missing == "sklearn":
        pytest.importorskip("rich", reason="rich is missed first")
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    for name in ("_demo", "_bench"):
        monkeypatch.delitem(sys.modules, f"fastcodes.{name}", raising=False)
        monkeypatch.delattr(f"fastcodes.{name}", raising=False)
    assert cli.main(["demo", "--n", "100"]) == 2
    assert (
        f'needs {missing}, which is not installed: pip install "fastcodes[demo]"' in capsys.readouterr().err
    )


# --- demo and bench, on few codes ---------------------------------------------------------------------------


def test_demo_prints_its_parts_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for package in ("rich", "sklearn", "matplotlib"):
        pytest.importorskip(package, reason=f"the demo needs {package}")
    chart = tmp_path / "chart.png"
    assert cli.main(["demo", "--n", "2000", "--plot", str(chart)]) == 0
    printed = capsys.readouterr().out
    assert all(part in printed for part in ("1. ", "2. ", "3. ", "4. ", "5. ", "fastcodes", "numpy"))
    assert "disagrees" not in printed
    assert chart.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("family", cli.BENCH_FAMILIES)
def test_bench_measures_a_family(
    family: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rich", reason="the tables need rich")
    from fastcodes import _bench

    monkeypatch.setattr(_bench, "N_ROWS", dict.fromkeys(_bench.N_ROWS, (2000, 2000)))
    monkeypatch.setattr(_bench, "SECONDS", (0.0, 0.0))
    assert cli.main(["bench", family, "--quick"]) == 0
    printed = capsys.readouterr().out
    assert f"fastcodes.{family}" in printed
    assert "numpy" in printed
    assert "disagrees" not in printed


def test_the_bench_marks_whoever_disagrees(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich", reason="the tables need rich")
    from fastcodes import _bench, _peers

    right = _peers.contestants()[:2]
    zeros = np.zeros((len(QUERIES), 3), np.int32)
    liar = _peers.Peer("liar", "0", "none", False, lambda codes, threads: lambda queries, k: (zeros, zeros))
    row = _bench.knn_row("hamming", "work", CODES, QUERIES, 3, 1, [*right, liar], 0.0)
    assert set(row.rates) == {"fastcodes", "numpy"}
    assert row.remarks == {"liar": "disagrees"}


def test_best_time_is_that_of_the_fastest_run() -> None:
    pytest.importorskip("rich", reason="the tables need rich")
    from fastcodes import _bench

    naps = iter([0.05, 0.001, 0.05])
    assert 0.001 <= _bench.best_time(lambda: time.sleep(next(naps)), seconds=1.0, at_most=3) < 0.05


# --- dedup --------------------------------------------------------------------------------------------------

FOX = "the quick brown fox jumps over the lazy dog"
LINES = [
    FOX.encode(),
    b"a line about something else entirely",
    b"",
    FOX.upper().encode() + b"!",
    b"\xff\xfe not a text",
    b"one more line that stands alone here",
    b"   ,.;",
    b"A line about - something else, entirely.",
    FOX.encode() + b"\r",
]


def groups_in(text: str) -> list[list[int]]:
    return [json.loads(line)["lines"] for line in text.splitlines()]


def write_lines(name: str, lines: list[bytes], end: bytes = b"\n") -> None:
    Path(name).write_bytes(b"\n".join(lines) + end)


def test_dedup_tells_groups_and_bad_lines(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_lines("texts.txt", LINES)
    assert cli.main(["dedup", "texts.txt"]) == 0
    captured = capfd.readouterr()
    assert groups_in(captured.out) == [[1, 4, 9], [2, 8]]
    assert json.loads(captured.out.splitlines()[0]) == {"lines": [1, 4, 9], "similarity": [1.0, 1.0, 1.0]}
    bad, summary = captured.err.splitlines()
    assert bad == "fastcodes: texts.txt:5: not valid UTF-8: invalid start byte at byte 1"
    assert "9 lines, 3 of them near-duplicates of an earlier one, in 2 groups" in summary
    assert "1 bad lines and 2 without words" in summary


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_keep_first_loses_nothing_but_copies(
    folder: Path, end: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    write_lines("texts.txt", LINES, end)
    assert cli.main(["dedup", "texts.txt", "--keep-first", "-o", "kept.txt"]) == 0
    kept = [LINES[place] for place in (0, 1, 2, 4, 5, 6)]
    assert Path("kept.txt").read_bytes() == b"\n".join(kept) + b"\n"
    assert not capfd.readouterr().out
    assert cli.main(["dedup", "texts.txt", "--keep-first"]) == 0
    assert capfd.readouterr().out.count("\n") == 6
    assert cli.main(["dedup", "kept.txt", "-o", "none.jsonl"]) == 0
    assert Path("none.jsonl").read_bytes() == b""


RECORDS: list[tuple[bytes, str | None]] = [
    # a line, and what is said about it
    (json.dumps({"text": FOX, "id": 1}).encode(), None),
    (b'{"text": "cut short', "not valid JSON: "),
    (b'["a", "list"]', "not a JSON object with a field 'text', but a list"),
    (b'{"body": "x"}', "has no field 'text'"),
    (b'{"text": null}', "the field 'text' is not a string, but a NoneType"),
    (b'{"text": "\\ud800"}', "the field 'text' has half of a surrogate pair"),
    (b'{"text": "\xff"}', "not valid UTF-8: "),
    (b"[" * 100_000, "not JSON that can be read: "),
    (b"", None),
    (json.dumps({"text": FOX.title()}).encode() + b" \r", None),
    (b'{"text": "\\ud83d\\ude00 is fine"}', None),
    (b'{"text": 1' + b"0" * 5000 + b"}", "not JSON that can be read: "),
]


def test_dedup_of_records_tells_what_is_wrong_with_each(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_lines("records.jsonl", [line for line, _ in RECORDS])
    assert cli.main(["dedup", "records.jsonl"]) == 0
    captured = capfd.readouterr()
    assert groups_in(captured.out) == [[1, 10]]
    *bad, summary = captured.err.splitlines()
    wanted = [(number, words) for number, (_, words) in enumerate(RECORDS, 1) if words]
    assert len(bad) == len(wanted)
    for line, (number, words) in zip(bad, wanted, strict=True):
        assert line.startswith(f"fastcodes: records.jsonl:{number}: {words}"), line
        assert len(line) < 200
    assert f"{len(RECORDS)} lines, 1 of them" in summary
    assert f"{len(wanted)} bad lines and 1 without words" in summary
    assert cli.main(["dedup", "records.jsonl", "--keep-first", "-o", "kept"]) == 0
    kept = [line for place, (line, _) in enumerate(RECORDS) if place != 9]
    assert Path("kept").read_bytes() == b"\n".join(kept) + b"\n"


def test_dedup_of_another_field_from_stdin(folder: Path) -> None:
    records = "".join(json.dumps({"body": text}) + "\n" for text in (FOX, "other words are here", FOX))
    command = [sys.executable, "-m", "fastcodes.cli", "dedup", "-", "--field", "body"]
    done = subprocess.run(command, input="\ufeff" + records, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0
    assert groups_in(done.stdout) == [[1, 3]]
    assert done.stderr.startswith("-: 3 lines, 1 of them")


def test_dedup_in_many_parts_equals_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = np.array([f"w{i}" for i in range(500)])
    texts = [" ".join(words[GENERATOR.integers(0, 500, 40)]) for _ in range(300)]
    copies = [texts[i] + " more" for i in GENERATOR.integers(0, 300, 100)]
    write_lines("texts.txt", [text.encode() for text in [*texts, *copies]])
    outputs = []
    for size in (_dedup.BYTES_OF_LINES, 1000):
        monkeypatch.setattr(_dedup, "BYTES_OF_LINES", size)
        assert cli.main(["dedup", "texts.txt", "--threads", "1"]) == 0
        outputs.append(capfd.readouterr().out)
        assert cli.main(["dedup", "texts.txt", "--keep-first", "-o", "kept.txt"]) == 0
        assert Path("kept.txt").read_bytes().splitlines() == [text.encode() for text in texts]
    assert outputs[0] == outputs[1]
    assert sum(len(group) - 1 for group in groups_in(outputs[0])) == 100


def test_dedup_compares_exactly_on_demand(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = [f"w{i}" for i in range(200)]
    # Of 198 runs of three words each change breaks three: 190 / 206 are shared, and 195 / 201.
    further, nearer = words.copy(), words.copy()
    further[30] = further[60] = nearer[90] = "other"
    further[199] = further[198] = "more"
    texts = [" ".join(part).encode() for part in (words, further, nearer, words)]
    write_lines("texts.txt", [texts[0], b"", *texts[1:], b"\xff"])
    true = [190 / 206, 195 / 201]
    for threshold, lines, similarity in (
        (0.92, [1, 3, 4, 5], [1.0, true[0], true[1], 1.0]),
        (0.923, [1, 4, 5], [1.0, true[1], 1.0]),
        (0.9702, [1, 5], [1.0, 1.0]),
    ):
        # Signatures could not tell these apart: their standard error is 0.03 here.
        command = ["dedup", "texts.txt", "--exact", "--threshold", str(threshold), "--n-hashes", "64"]
        assert cli.main(command) == 0
        (group,) = capfd.readouterr().out.splitlines()
        assert json.loads(group) == {"lines": lines, "similarity": [round(value, 4) for value in similarity]}


def test_dedup_options_change_what_is_alike(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_lines(
        "texts.txt", ["日本語の文章がここにあります。".encode(), "日本語の文章がここにあります?".encode()]
    )
    for options, n_groups in (
        (["--unit", "char", "--shingle-size", "2", "--threshold", "0.7"], 1),
        (["--unit", "char", "--shingle-size", "2", "--threshold", "0.99"], 0),
    ):
        assert cli.main(["dedup", "texts.txt", *options, "--n-hashes", "256"]) == 0
        assert len(groups_in(capfd.readouterr().out)) == n_groups


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.txt"], ["missing.txt", "no such file"]),
        (["."], ["directory"]),
        (["-", "--keep-first"], ["stdin"]),
        (["texts.txt", "--threshold", "1.5"], ["threshold must be between 0 and 1"]),
        (["texts.txt", "--threshold", "high"], ["threshold", "high"]),
        (["texts.txt", "--n-hashes", "9000"], ["n_hashes must be an integer from 1 to 8192"]),
        (["texts.txt", "--shingle-size", "0"], ["shingle-size", "from 1 up"]),
        (["texts.txt", "--shingle-size", "5000"], ["size must be an integer from 1 to 1024"]),
        (["texts.txt", "--unit", "line"], ["unit", "line"]),
        (["texts.txt", "-o", "texts.txt"], ["is one of the inputs|is the input"]),
        (["texts.txt", "-o", "no/where.jsonl"], ["no", "does not exist"]),
        ([], ["FILE"]),
    ],
    ids=str,
)
def test_a_wrong_dedup_is_one_line(
    folder: Path, arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write_lines("texts.txt", LINES)
    before = sorted(folder.iterdir())
    assert cli.main(["dedup", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("fastcodes: ")
    assert captured.err.count("\n") == 1
    for word in words:
        assert re.search(word, captured.err), captured.err
    assert sorted(folder.iterdir()) == before


@pytest.mark.skipif(sys.platform == "win32", reason="closes a pipe")
def test_a_reader_that_has_enough_is_no_error(folder: Path) -> None:
    write_lines("texts.txt", [f"{FOX} {i // 2} {i // 2} {i // 2}".encode() for i in range(20_000)])
    command = f"{sys.executable} -m fastcodes.cli dedup texts.txt --threshold 0.95 | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
