"""Files: truncated, altered and foreign content, atomic replacement, memory maps."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from fastcodes import _files
from fastcodes.quantization import OptimizedProductQuantizer, ProductQuantizer
from models.quantization.cases import RNG, X, model_of


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
