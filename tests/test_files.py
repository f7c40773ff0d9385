"""Files: truncated, altered and foreign content, atomic replacement, memory maps."""

from __future__ import annotations

import errno
import itertools
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import _files
from fastcodes.index import FlatIndex
from fastcodes.quantization import OptimizedProductQuantizer, ProductQuantizer
from helpers import run_python, same
from models.quantization.cases import RNG, X, model_of

# For savers beside each other; more for a longer search for faults.
SECONDS = float(os.environ.get("FASTCODES_FUZZ_SECONDS", "2"))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    model_of("OptimizedProductQuantizer").fit(X).save(path)
    return path


def test_a_file_of_another_class_says_which(saved: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"not a valid ProductQuantizer file: it holds a OptimizedProductQuantizer; load it with",
    ):
        ProductQuantizer.load(saved)


def test_no_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ProductQuantizer.load(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        ProductQuantizer.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        model_of("ProductQuantizer").fit(X).save(tmp_path / "none" / "model")


def test_a_file_that_is_cut_short_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    lengths = [*range(12), *range(12, header, 7), header - 1, header, *range(header + 1, len(whole), 97)]
    for length in [*lengths, len(whole) - 1]:
        saved.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is not a valid OptimizedProductQuantizer file: "):
            OptimizedProductQuantizer.load(saved)
    saved.write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match="is not a valid OptimizedProductQuantizer file: "):
        OptimizedProductQuantizer.load(saved)


def test_a_file_that_is_altered_is_refused(saved: Path) -> None:
    whole = bytearray(saved.read_bytes())
    header = 8 + int.from_bytes(whole[:8], "little")
    expected = OptimizedProductQuantizer.load(saved).encode(X)
    for place in [*range(header), *range(header, len(whole), 61), len(whole) - 1]:
        for flip in (1, 32, 255):
            altered = whole.copy()
            altered[place] ^= flip
            saved.write_bytes(altered)
            try:
                loaded = OptimizedProductQuantizer.load(saved)
            except ValueError as error:
                assert "is not a valid OptimizedProductQuantizer file: " in str(error)  # noqa: PT017
            else:  # white space of the header has no meaning
                assert chr(whole[place]).isspace()
                assert np.array_equal(loaded.encode(X), expected)


def test_another_file_is_refused(tmp_path: Path) -> None:
    import safetensors.numpy

    path = tmp_path / "other.safetensors"
    safetensors.numpy.save_file({"codebooks": np.zeros((2, 4, 2), np.float32)}, path)
    with pytest.raises(ValueError, match="it was not written by fastcodes"):
        ProductQuantizer.load(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="it is empty"):
        ProductQuantizer.load(path)
    np.save(tmp_path / "other.npy", X)
    with pytest.raises(ValueError, match="is not a valid ProductQuantizer file"):
        ProductQuantizer.load(tmp_path / "other.npy")


def test_a_mapped_file_is_read_where_it_lies_and_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    arrays = {
        "codes": RNG.integers(256, size=(100, 3), dtype=np.uint8),
        "x": X,
        "empty": X[:0],
        "one": np.array(3.0),
    }
    _files.write(path, "Thing", {"n": np.int64(3), "name": "é", "none": None}, arrays)
    params, mapped = _files.read(path, "Thing", mmap=True)
    assert params == {"n": 3, "name": "é", "none": None}
    _files.write(path, "Thing", {}, {"codes": arrays["codes"][:1]})
    for name, array in arrays.items():
        assert np.array_equal(mapped[name], array)
        assert mapped[name].dtype == array.dtype
        assert mapped[name].shape == array.shape
        assert not mapped[name].size or not mapped[name].flags.writeable
    assert _files.read(path, "Thing")[1]["codes"].shape == (1, 3)


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    _files.write(path, "Thing", {}, {"x": X})
    before = path.read_bytes()
    with pytest.raises(TypeError, match="a parameter of type object cannot be stored"):
        _files.write(path, "Thing", {"wrong": object()}, {"x": X})
    with pytest.raises(ValueError, match="not JSON compliant"):
        _files.write(path, "Thing", {"wrong": float("nan")}, {"x": X})
    with pytest.raises(Exception, match="complex"):
        _files.write(path, "Thing", {}, {"x": X * 1j + 1j * np.complex128(1)})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["file.safetensors"]


def test_a_file_of_a_later_layout_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.safetensors"
    monkeypatch.setattr(_files, "_VERSION", "2")
    _files.write(path, "Thing", {}, {"x": X})
    monkeypatch.undo()
    with pytest.raises(ValueError, match="its layout has version 2; this fastcodes reads version 1"):
        _files.read(path, "Thing")


# --- savers beside each other -------------------------------------------------------------------------------


def test_a_file_that_is_replaced_while_it_is_read_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.safetensors"
    contents = [{"x": np.full(50_000, 1, np.int32)}, {"x": np.full(60_000, 2, np.int32)}]
    _files.write(path, "Thing", {"number": 1}, contents[0])
    header = _files._header

    def replaced_after(*args: Any) -> Any:
        found = header(*args)
        _files.write(path, "Thing", {"number": 2}, contents[1])
        return found

    for mmap in (True, False):
        _files.write(path, "Thing", {"number": 1}, contents[0])
        with monkeypatch.context() as patch:
            patch.setattr(_files, "_header", replaced_after)
            params, arrays = _files.read(path, "Thing", mmap=mmap)
        assert params == {"number": 1}
        assert np.array_equal(arrays["x"], contents[0]["x"])
        assert np.array_equal(_files.read(path, "Thing", mmap=mmap)[1]["x"], contents[1]["x"])


SAVER = """
import sys, time
import numpy as np
from fastcodes import _files

path, seed, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
begun, number = time.perf_counter(), seed
while time.perf_counter() - begun < seconds:
    number += 2
    content = np.full(1000 + number % 7 * 1000, number, np.int64)
    _files.write(path, "Thing", {"number": number}, {"x": content, "y": content[:10]})
"""


def test_savers_and_loaders_of_one_path_never_meet_a_torn_file(tmp_path: Path) -> None:
    path, seconds = tmp_path / "file.safetensors", SECONDS
    _files.write(path, "Thing", {"number": 0}, {"x": np.zeros(1000, np.int64), "y": np.zeros(10, np.int64)})
    ended, numbers_of_threads, problems = threading.Event(), itertools.count(1), []

    def save() -> None:
        try:
            while not ended.is_set():
                number = next(numbers_of_threads)
                content = np.full(1000 + number % 5 * 1000, -number, np.int64)
                _files.write(path, "Thing", {"number": -number}, {"x": content, "y": content[:10]})
        except BaseException as error:
            problems.append(error)

    arguments = [[sys.executable, "-c", SAVER, str(path), str(seed), str(seconds)] for seed in (0, 1)]
    processes = [subprocess.Popen(argument) for argument in arguments]
    savers = [threading.Thread(target=save) for _ in range(2)]
    [saver.start() for saver in savers]
    numbers = set()
    try:
        while any(process.poll() is None for process in processes):
            for mmap in (True, False):
                params, arrays = _files.read(path, "Thing", mmap=mmap)
                assert (arrays["x"] == params["number"]).all()
                assert (arrays["y"] == params["number"]).all()
                numbers.add(params["number"])
    finally:
        ended.set()
        [saver.join() for saver in savers]
    assert not problems
    assert [process.wait() for process in processes] == [0, 0]
    assert len(numbers) > 3
    assert os.listdir(tmp_path) == ["file.safetensors"]


posix_only = pytest.mark.skipif(os.name != "posix", reason="needs permissions, links and locks of POSIX")


@posix_only
def test_what_a_killed_saver_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    code = f"""
import os, signal
from fastcodes import _files
with _files.replacing({os.fspath(path)!r}) as part:
    open(part, "wb").write(b"x" * 1000)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    (left,) = os.listdir(tmp_path)
    _files.write(path, "Thing", {}, {"x": X})
    assert len(os.listdir(tmp_path)) == 2  # it may belong to a saver that has yet to lock it
    os.utime(tmp_path / left, (0, 0))
    with _files.replacing(path) as part:
        Path(part).write_bytes(b"new")
        own = Path(part).parent
        os.utime(own, (0, 0))
        _files.write(tmp_path / "other", "Thing", {}, {"x": X})
        assert sorted(os.listdir(tmp_path)) == sorted(["file.safetensors", "other", own.name])
    assert path.read_bytes() == b"new"


def test_a_signal_between_two_calls_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = os.mkdir

    def interrupted(*args: Any, **options: Any) -> None:
        mkdir(*args, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "mkdir", interrupted)
    with pytest.raises(KeyboardInterrupt), _files.replacing(tmp_path / "file"):
        pass
    assert os.listdir(tmp_path) == []


@posix_only
def test_permissions_and_links_are_kept(tmp_path: Path) -> None:
    path, link = tmp_path / "file.safetensors", tmp_path / "link"
    before = os.umask(0o027)
    try:
        _files.write(path, "Thing", {}, {"x": X})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o600)
    link.symlink_to(path)
    _files.write(link, "Thing", {"n": 1}, {"x": X})
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert _files.read(path, "Thing")[0] == {"n": 1}


@posix_only
def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        _files.write(tmp_path / "fifo", "Thing", {}, {"x": X})
    with pytest.raises(IsADirectoryError, match="not a regular file"):
        _files.write(tmp_path, "Thing", {}, {"x": X})
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


@posix_only
def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    _files.write(path, "Thing", {}, {"x": X})
    before = path.read_bytes()
    code = f"""
import resource, numpy as np
from fastcodes import _files
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    _files.write({os.fspath(path)!r}, "Thing", {{}}, {{"x": np.zeros(1_000_000)}})
except OSError as error:
    print(error.errno, error.filename)
"""
    assert run_python(code).split() == [str(errno.EFBIG), os.fspath(path)]
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["file.safetensors"]


def test_paths_may_be_bytes(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path / "file.safetensors")
    _files.write(path, "Thing", {"n": 1}, {"x": X})
    assert _files.read(path, "Thing")[0] == {"n": 1}
    with pytest.raises(ValueError, match=r"^'[^']*file.safetensors' is not a valid Other file"):
        _files.read(path, "Other")


# --- content that is altered --------------------------------------------------------------------------------


def test_mapped_arrays_are_verified_on_request(tmp_path: Path) -> None:
    path = tmp_path / "index.safetensors"
    index = FlatIndex(model_of("ProductQuantizer").fit(X))
    index.add(X)
    index.save(path)
    whole = bytearray(path.read_bytes())
    header = 8 + int.from_bytes(whole[:8], "little")
    for place in range(header, len(whole), 501):
        altered = whole.copy()
        altered[place] ^= 4
        path.write_bytes(altered)
        for options in ({"mmap": False}, {"verify": True}):
            with pytest.raises(ValueError, match="was altered, its checksum is wrong"):
                FlatIndex.load(path, **options)
    path.write_bytes(whole)
    assert same(FlatIndex.load(path, verify=True).search(X, 3), index.search(X, 3))


def header_of(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Replace the header of a file by an altered one."""
    whole = path.read_bytes()
    n_bytes = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + n_bytes])
    text = change(header)
    text = text if isinstance(text, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + n_bytes :])


@pytest.mark.parametrize(
    "change",
    [
        lambda header: b"[" * 100_000,
        lambda header: b"[]",
        lambda header: b"3",
        lambda header: b"\xff" * 50,
        lambda header: header["__metadata__"].update(params="[" * 100_000),
        lambda header: header["__metadata__"].update(checksums="[]"),
        lambda header: header["__metadata__"].pop("checksum"),
        lambda header: header.update(__metadata__=[]),
        lambda header: header.update(other=3),
        lambda header: header.update(other={"dtype": "U8", "shape": [-1], "data_offsets": [0, -1]}),
        lambda header: header.update(other={"dtype": "U8", "shape": [10**40, 0], "data_offsets": [0, 0]}),
        lambda header: header.update(other={"dtype": "U8", "shape": [2**62, 4], "data_offsets": [0, 2**64]}),
        lambda header: header.update(other={"dtype": "BF16", "shape": [0], "data_offsets": [0, 0]}),
        lambda header: header["codebooks"].update(data_offsets=["0", 3]),
        lambda header: header["codebooks"].update(shape=None),
    ],
)
def test_a_header_of_any_content_is_refused(change: Any, saved: Path) -> None:
    header_of(saved, change)
    with pytest.raises(ValueError, match="is not a valid OptimizedProductQuantizer file: "):
        OptimizedProductQuantizer.load(saved)


def test_deep_parameters_are_refused(saved: Path) -> None:
    def deepen(header: dict[str, Any]) -> None:
        metadata = header["__metadata__"]
        metadata["params"] = "[" * 100_000
        layout = {
            name: (np.dtype(_files._DTYPES[entry["dtype"]]), tuple(entry["shape"]))
            for name, entry in header.items()
            if name != "__metadata__"
        }
        layout = dict(sorted(layout.items(), key=lambda item: header[item[0]]["data_offsets"]))
        metadata["checksum"] = _files._header_crc(metadata, layout)

    header_of(saved, deepen)
    with pytest.raises(ValueError, match="is not a valid OptimizedProductQuantizer file: "):
        OptimizedProductQuantizer.load(saved)
