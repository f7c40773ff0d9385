"""The command `fastcodes knn`: what it writes, and the one line that each wrong call gets."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import cli, hamming
from fastcodes.cli import knn as command

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
GENERATOR = np.random.default_rng(0)
VALUES = GENERATOR.standard_normal((200, 70)).astype(np.float32)
CODES = np.packbits(VALUES > 0, axis=1)
QUERIES = np.packbits(GENERATOR.standard_normal((9, 70)) > 0, axis=1)


@pytest.fixture(autouse=True)
def codes_and_queries(folder: Path) -> None:
    """Save codes and queries in the current folder."""
    np.save("codes.npy", CODES)
    np.save("queries.npy", QUERIES)


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
    assert captured.err.count("\n") == 1
    assert not captured.out


def test_knn_in_many_blocks_equals_one_block(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("queries.npy", np.tile(QUERIES, (5, 1)))
    monkeypatch.setattr(command, "BYTES_PER_BLOCK", 1)
    assert knn("-k", "3") == 0
    assert_same(result(), hamming.knn(np.tile(QUERIES, (5, 1)), CODES, 3))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bool"])
def test_pack_packs_floats_and_booleans(folder: Path, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = VALUES > 0.25 if dtype == "bool" else VALUES.astype(dtype)
    np.save("codes.npy", values)
    np.save("queries.npy", values[:5])
    monkeypatch.setattr(command, "BYTES_PER_PACKED_BLOCK", 1000)
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


def header(old: bytes, new: bytes) -> Callable[[], Any]:
    """Write a file with another header of the same length."""
    whole = npy_bytes(CODES)
    assert old in whole
    return write_bytes(
        "codes.npy", whole[:10] + whole[10:128].replace(old, new)[:118].ljust(118) + whole[128:]
    )


WRONG_CALLS: dict[str, tuple[Callable[[], Any], list[str], list[str]]] = {
    # name: (preparation, options of knn, words in the error)
    "missing file": (lambda: Path("codes.npy").unlink(), [], ["codes.npy", "no such file"]),
    "a folder": (lambda: None, ["--codes", "."], ["directory"]),
    "text": (write_bytes("codes.npy", b"hello, this is text"), [], ["codes.npy", "not an .npy file"]),
    "an empty file": (write_bytes("codes.npy", b""), [], ["codes.npy", "an empty file"]),
    "truncated data": (write_bytes("codes.npy", npy_bytes(CODES)[:-1]), [], ["codes.npy", "cut short"]),
    "truncated header": (write_bytes("codes.npy", npy_bytes(CODES)[:40]), [], ["codes.npy", "cut short"]),
    "a boolean in the shape": (header(b"(200", b"(True"), [], ["codes.npy: its header", "(True, 9)"]),
    "an open parenthesis": (header(b"9), ", b"9,  "), [], ["its header", "(200, 9,", "multi-line"]),
    "a negative length": (header(b"(200", b"(-20"), [], ["its header", "(-20, 9)"]),
    "a huge length": (header(b"(200", b"(%d" % 2**62), [], ["codes.npy: cut short"]),
    "another dtype": (header(b"|u1", b"|q1"), [], ["its header", "|q1"]),
    "more rows than there are": (header(b"(200", b"(201"), [], ["codes.npy: cut short"]),
    "objects": (write("codes.npy", np.array([{}], object)), [], ["codes.npy", "objects"]),
    "an archive": (lambda: np.savez("both.npz", a=CODES), ["--codes", "both.npz"], ["both.npz", ".npz"]),
    "floats": (write("codes.npy", VALUES), [], ["float32", "(200, 70)", "--pack"]),
    "integers": (write("codes.npy", CODES.astype(np.int64)), [], ["int64", "uint8", "--pack"]),
    "nothing to pack": (lambda: None, ["--pack"], ["--pack has nothing to pack", "booleans"]),
    "complex": (write("queries.npy", CODES.astype(complex)), ["--pack"], ["complex128", "uint8"]),
    "one dimension": (write("codes.npy", CODES[0]), [], ["two dimensions", "(9,)"]),
    "three dimensions": (write("queries.npy", QUERIES[None]), [], ["two dimensions", "(1, 9, 9)"]),
    "threshold without pack": (lambda: None, ["--threshold", "3"], ["--threshold", "--pack"]),
    "threshold of NaN": (lambda: None, ["--threshold", "nan"], ["--threshold", "nan"]),
    "int8 of sentence-transformers": (
        write("codes.npy", CODES.view(np.int8) ^ -128),
        [],
        ["int8", "--pack", "minus 128", "array.view(np.uint8) ^ 0x80"],
    ),
    "hashes of uint64": (
        write("codes.npy", CODES[:, :8].copy().view(np.uint64)[:, 0]),
        [],
        ["uint64 of shape (200,)", "array.view(np.uint8).reshape(200, 8)"],
    ),
    "rows of uint32": (
        write("codes.npy", CODES[:, :8].copy().view(np.uint32)),
        [],
        ["uint32", "array.view(np.uint8).reshape(200, 8)"],
    ),
    "hashes that pack to the same bit": (
        write("codes.npy", CODES[:, :8].copy().view(np.uint64)),
        ["--pack"],
        ["same bits", "array.view(np.uint8).reshape(200, 8)"],
    ),
    "other width": (write("queries.npy", QUERIES[:, :8]), [], ["8 bytes", "9"]),
    "k of zero": (lambda: None, ["-k", "0"], ["-k", "0"]),
    "k of text": (lambda: None, ["-k", "ten"], ["-k", "ten"]),
    "negative k": (lambda: None, ["-k=-3"], ["-k", "-3"]),
    "k beyond 64 bits": (lambda: None, ["-k", "9" * 30], ["-k", "from 1 to 9223372036854775807"]),
    "k beyond addresses": (lambda: None, ["-k", str(2**63 - 1)], ["-k: no memory for 9 x 9,223,372,036"]),
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


def test_the_hints_for_packed_integers_give_the_codes(folder: Path) -> None:
    array = CODES.view(np.int8) ^ -128
    assert np.array_equal(array.view(np.uint8) ^ 0x80, CODES)
    array = CODES[:, :8].copy().view(np.uint64)[:, 0]
    assert np.array_equal(array.view(np.uint8).reshape(200, 8), CODES[:, :8])


@POSIX
@pytest.mark.parametrize("output", ["result.NPZ", "-", "/dev/stdout", "/dev/null", "fifo"])
def test_results_are_written_to_pipes_devices_and_any_case(folder: Path, output: str) -> None:
    if output == "fifo":
        os.mkfifo(output)
    command = f"{sys.executable} -m fastcodes knn --codes codes.npy --queries queries.npy -k 3 -o {output}"
    done = subprocess.run(f"{command} | cat", shell=True, capture_output=True) if output != "fifo" else None
    if done is None:
        done = subprocess.run(f"{command} & cat fifo", shell=True, capture_output=True)
    content = Path(output).read_bytes() if output == "result.NPZ" else done.stdout
    if output != "/dev/null":
        with np.load(io.BytesIO(content)) as file:
            assert_same((file["distances"], file["indices"]), hamming.knn(QUERIES, CODES, 3))
    assert done.stderr.startswith(f"{output}: the 3 nearest of 200 codes".encode())
    assert not list(folder.glob("*.part*"))


@POSIX
@pytest.mark.parametrize("name", ["-", "/dev/stdin", "/dev/fd/0"])
@pytest.mark.parametrize("source", ["< codes.npy", "cat codes.npy |"])
def test_codes_are_read_from_pipes(folder: Path, name: str, source: str) -> None:
    call = f"{sys.executable} -m fastcodes knn --codes {name} --queries queries.npy -o result.npz -k 3"
    subprocess.run(f"{source} {call}", shell=True, check=True)
    assert_same(result(), hamming.knn(QUERIES, CODES, 3))


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
    assert not list(folder.glob("**/*.part"))
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

    monkeypatch.setitem(command.SEARCHES, "hamming", interrupted)
    assert knn("-k", "3") == 130
    assert "interrupted" in capsys.readouterr().err
    assert Path("result.npz").read_bytes() == before
    assert not list(folder.glob("*.part"))


def test_json_prints_the_figures_on_stdout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert knn("-k", "3", "--json") == 0
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert facts.pop("seconds") >= 0
    assert facts == {
        "output": "result.npz", "metric": "hamming", "k": 3, "codes": 200, "bits": 72, "queries": 9
    }  # fmt: skip
    assert captured.err == ""
    assert result()[0].shape == (9, 3)
    assert knn("--json", "-o", "/dev/stdout") == 2
    assert "-o names a file" in capsys.readouterr().err
    assert knn("--json", "-o", "-") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "-o names a file" in captured.err
