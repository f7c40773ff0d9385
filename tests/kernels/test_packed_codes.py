"""Packed codes: their bytes, rows, files, and calls beside each other."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
from fastcodes import _files, adc
from helpers import Array, pq_codes, pq_tables, same_bits
from hypothesis import given
from hypothesis import strategies as st
from kernels.test_adc import SEARCHES, masks

Codes = Any

both_widths = pytest.mark.parametrize("n_codewords", [16, 256])


def blocks_of(codes: Array, n_codewords: int) -> Array:
    """Bytes of packed codes, as the picture in the documentation of the kernels has them."""
    rows = np.pad(codes, ((0, -len(codes) % 256), (0, codes.shape[1] % 2 if n_codewords == 16 else 0)))
    planes = rows if n_codewords == 256 else rows[:, ::2] | rows[:, 1::2] << 4
    return planes.reshape(-1, 256, planes.shape[1]).transpose(0, 2, 1).ravel()


def bytes_of(packed: adc.PackedCodes) -> Array:
    """Bytes of packed codes, as a file has them."""
    return packed.to_state()[1]["blocks"]


@both_widths
@pytest.mark.parametrize("n_subspaces", [1, 2, 7, 8, 9, 16, 17, 65])
def test_packed_codes_are_those_of_the_array(n_codewords: int, n_subspaces: int) -> None:
    for n in (0, 1, 63, 64, 65, 255, 256, 257, 512, 4100):
        codes = pq_codes(n, n_subspaces, n_codewords)
        for threads in (1, 2):
            packed = adc.PackedCodes(codes, n_codewords=n_codewords, threads=threads)
            assert same_bits(packed.unpack(threads=threads), codes), n
            assert same_bits(bytes_of(packed), blocks_of(codes, n_codewords)), n
        assert packed.shape == (n, n_subspaces)
        assert len(packed) == n
        assert packed.nbytes == len(blocks_of(codes, n_codewords))
        assert (packed.n_codewords, packed.n_subspaces) == (n_codewords, n_subspaces)
        assert repr(packed) == f"PackedCodes(<{n} x {n_subspaces}>, n_codewords={n_codewords})"


@both_widths
def test_rows_are_unpacked_as_a_slice_gives_them(n_codewords: int) -> None:
    codes = pq_codes(1000, 5, n_codewords)
    packed = adc.PackedCodes(codes, n_codewords=n_codewords)
    ends = (None, 0, 1, 255, 256, 257, 700, 999, 1000, 1001, 2**70, -1, -256, -1000, -1001, -(2**70))
    for start in ends[1:]:
        for stop in ends:
            assert same_bits(packed.unpack(start, stop), codes[start:stop]), (start, stop)
    assert same_bits(packed.unpack(np.int8(3), stop=np.uint16(9)), codes[3:9])


@both_widths
@pytest.mark.parametrize(
    "sizes", [(1,) * 300, (0, 255, 1, 1, 0, 256, 3, 512), (100, 1000, 7), (256, 256), (3, 4000)]
)
def test_appending_in_pieces_gives_the_same_blocks(n_codewords: int, sizes: tuple[int, ...]) -> None:
    for n_subspaces in (1, 5, 12):
        codes = pq_codes(sum(sizes), n_subspaces, n_codewords)
        packed = adc.PackedCodes(codes[:0], n_codewords=n_codewords)
        tables, end = pq_tables(1, n_subspaces, n_codewords), 0
        for size in sizes:
            packed.append(codes[end] if size == 1 else codes[end : end + size], threads=2)
            end += size
            assert len(packed) == end
        assert same_bits(bytes_of(packed), blocks_of(codes, n_codewords))
        assert same_bits(adc.knn(tables, packed, 20), adc.knn(tables, codes, 20))
        assert same_bits(adc.scan(tables, packed), adc.scan(tables, codes))


@both_widths
@pytest.mark.parametrize("n", [0, 1, 100, 255, 256, 300, 512])
def test_what_cannot_be_appended_leaves_nothing_behind(n_codewords: int, n: int) -> None:
    codes, more = pq_codes(n, 5, n_codewords), pq_codes(700, 5, n_codewords, seed=1)
    packed = adc.PackedCodes(codes, n_codewords=n_codewords)
    wrong: list[tuple[Any, type[Exception], str]] = [
        (more[:, :4], ValueError, "codes have 4 subspaces but packed codes have 5"),
        (more[0, :4], ValueError, "codes have 4 subspaces but packed codes have 5"),
        (more[:0, :4], ValueError, "codes have 4 subspaces but packed codes have 5"),
        (more.astype(np.int64), TypeError, "^codes must be .*uint8"),
        ((more + 256.5).tolist(), TypeError, "^codes must be .*uint8"),
        ((more.astype(int) + 256).tolist(), ValueError, "^codes has numbers from 256 .*expected 0 to 255"),
        (None, TypeError, "^codes must be .*uint8"),
        (packed, TypeError, "^codes must be .*uint8"),
        (more[None], ValueError, "^codes must have 1 or 2 dimensions"),
        (np.uint8(3), TypeError, "^codes must be .*uint8"),
        (np.array(3, np.uint8), ValueError, "^codes must have 1 or 2 dimensions"),
    ]
    if n_codewords == 16:
        for size, row in ((1, 0), (10, 9), (200, 199), (700, 699), (700, 3)):
            bad = more[:size].copy()
            bad[row, 4] = 255
            wrong.append((bad, ValueError, f"codes has 255 in row {row}; expected codes from 0 to 15"))
    # Without room for more rows and with some, which a small append makes.
    few = pq_codes(3, 5, n_codewords, seed=2)
    for rows in (codes, np.concatenate([codes, few])):
        if len(rows) > n:
            packed.append(few)
        for value, error, message in wrong:
            with pytest.raises(error, match=message):
                packed.append(value)
            assert packed.shape == (len(rows), 5)
            assert same_bits(bytes_of(packed), blocks_of(rows, n_codewords)), message
    packed.append(more)
    assert same_bits(bytes_of(packed), blocks_of(np.concatenate([codes, few, more]), n_codewords))


@both_widths
def test_rows_are_taken_in_any_order(n_codewords: int) -> None:
    codes = pq_codes(1000, 5, n_codewords)
    packed = adc.PackedCodes(codes, n_codewords=n_codewords)
    rng = np.random.default_rng(0)
    for ids in (rng.integers(0, 1000, 3000), np.uint16([999, 0, 999]), np.arange(1000)[::-3], np.int8([])):
        for threads in (1, 2):
            assert same_bits(packed.take(ids, threads=threads), codes[ids.astype(np.int64)])
    for ids in ([-1], [0, 1000], [2**62]):
        with pytest.raises(ValueError, match=f"^ids has the row {ids[-1]}; expected rows from 0 to 999"):
            packed.take(np.array(ids))
    assert same_bits(packed.take([2, 1]), codes[[2, 1]])
    for ids in (np.array([1.0]), np.array([True]), None):
        with pytest.raises(TypeError, match=r"^ids must be integers"):
            packed.take(ids)
    with pytest.raises(ValueError, match=r"^ids must have one dimension"):
        packed.take(3)


@both_widths
@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 9000])
def test_removed_rows_are_gone(n_codewords: int, n: int) -> None:
    codes, more = pq_codes(n, 5, n_codewords), pq_codes(300, 5, n_codewords, seed=1)
    for kind, mask in masks(n).items():
        if mask is None:
            continue
        packed = adc.PackedCodes(codes, n_codewords=n_codewords)
        kept = np.delete(codes, mask.astype(np.int64) if mask.dtype != bool else mask, axis=0)
        assert packed.remove(mask, threads=2) == n - len(kept), kind
        assert same_bits(bytes_of(packed), blocks_of(kept, n_codewords)), kind
        packed.append(more)
        assert same_bits(bytes_of(packed), blocks_of(np.concatenate([kept, more]), n_codewords)), kind
    packed = adc.PackedCodes(codes, n_codewords=n_codewords)
    for mask, error in ((np.array([n]), ValueError), (np.zeros(n + 1, bool), ValueError), (None, TypeError)):
        with pytest.raises(error, match="mask"):
            packed.remove(mask)
    assert same_bits(packed.unpack(), codes)


def test_the_arrays_of_a_file_do_not_follow_changes() -> None:
    codes, more = pq_codes(300, 5, 256), pq_codes(20, 5, 256, seed=1)
    packed = adc.PackedCodes(codes)
    packed.append(more)
    params, arrays = packed.to_state()
    assert params == {"n_rows": 320, "n_subspaces": 5, "n_codewords": 256, "largest": params["largest"]}
    assert params["largest"] == max(codes.max(), more.max())
    before = arrays["blocks"].copy()
    packed.append(more)
    packed.remove(np.arange(100))
    assert same_bits(arrays["blocks"], before)
    again = adc.PackedCodes.from_state(params, arrays)
    del packed, arrays
    again.append(more)
    assert same_bits(again.unpack(), np.concatenate([codes, more, more]))


@both_widths
def test_copies_are_independent(n_codewords: int) -> None:
    codes, more = pq_codes(300, 5, n_codewords), pq_codes(20, 5, n_codewords, seed=1)
    for method in (copy.copy, copy.deepcopy, lambda packed: pickle.loads(pickle.dumps(packed))):
        packed = adc.PackedCodes(codes, n_codewords=n_codewords)
        other = method(packed)
        assert (type(other), other.shape, other.n_codewords) == (adc.PackedCodes, (300, 5), n_codewords)
        packed.append(more)
        assert same_bits(bytes_of(other), blocks_of(codes, n_codewords))
        other.append(more[::-1])
        assert same_bits(packed.unpack(), np.concatenate([codes, more]))
        assert same_bits(other.unpack(), np.concatenate([codes, more[::-1]]))


def test_a_packed_copy_does_not_follow_the_array() -> None:
    codes = pq_codes(256, 4, 256)
    packed, before = adc.PackedCodes(codes), codes.copy()
    codes[:] = 0
    unpacked = packed.unpack()
    unpacked[:] = 0
    assert same_bits(packed.unpack(), before)


@pytest.mark.parametrize(
    "given", [15, 17, 0, -16, 255, 257, 2**70, 16.5, "16", None, 16.0, np.array([16, 256])]
)
def test_packed_codes_have_16_or_256_codewords(given: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^n_codewords must be 16 or 256; got "):
        adc.PackedCodes(pq_codes(3, 2, 16), n_codewords=given)


def test_packed_codes_take_numpy_integers() -> None:
    assert adc.PackedCodes(pq_codes(3, 2, 16), n_codewords=np.uint8(16)).n_codewords == 16
    assert adc.PackedCodes(pq_codes(3, 2, 16), n_codewords=np.int64(256)).nbytes == 512


def test_tables_with_more_codewords_than_the_packed_codes_are_an_error() -> None:
    packed = adc.PackedCodes(pq_codes(30, 4, 16), n_codewords=16)
    for n_codewords in (17, 256):
        tables = pq_tables(1, 4, n_codewords)
        for search in SEARCHES:
            with pytest.raises(
                ValueError, match=f"tables have {n_codewords} codewords but packed codes have 16"
            ):
                search(tables, packed)


@given(data=st.data())
def test_random_codes_are_packed_and_unpacked(data: st.DataObject) -> None:
    n_subspaces, n_codewords = data.draw(st.integers(1, 40)), data.draw(st.sampled_from((16, 256)))
    sizes = data.draw(st.lists(st.integers(0, 600), min_size=1, max_size=6))
    codes = pq_codes(sum(sizes), n_subspaces, n_codewords, seed=data.draw(st.integers(0, 99)))
    ends = np.cumsum(sizes)
    packed = adc.PackedCodes(codes[: ends[0]], n_codewords=n_codewords)
    for start, end in pairwise(ends):
        packed.append(codes[start:end])
    assert same_bits(bytes_of(packed), blocks_of(codes, n_codewords))
    start, stop = (data.draw(st.integers(-len(codes) - 2, len(codes) + 2)) for _ in range(2))
    assert same_bits(packed.unpack(start, stop), codes[start:stop])


# --- files of packed codes ----------------------------------------------------------------------------------

both_ways = pytest.mark.parametrize("mmap", [True, False])


@both_widths
@both_ways
def test_a_loaded_file_is_what_was_saved(n_codewords: int, mmap: bool, tmp_path: Path) -> None:
    path = tmp_path / "codes"
    for n, n_subspaces in ((0, 3), (1, 1), (256, 8), (9000, 5)):
        codes, tables = pq_codes(n, n_subspaces, n_codewords), pq_tables(2, n_subspaces, n_codewords)
        packed = adc.PackedCodes(codes[: n // 2], n_codewords=n_codewords)
        packed.append(codes[n // 2 :])  # spare bytes stay out of the file
        packed.save(path)
        loaded = adc.PackedCodes.load(path, mmap=mmap)
        assert type(loaded) is adc.PackedCodes
        assert (loaded.shape, loaded.n_codewords, loaded.nbytes) == (packed.shape, n_codewords, packed.nbytes)
        assert same_bits(loaded.unpack(), codes)
        assert same_bits(adc.knn(tables, loaded, 5), adc.knn(tables, codes, 5))
        assert same_bits(adc.scan(tables, loaded), adc.scan(tables, codes))
        # What was loaded can be saved where it came from, copied and appended to.
        loaded.save(path)
        assert same_bits(copy.copy(loaded).unpack(), codes)
        assert same_bits(adc.PackedCodes.load(str(path), mmap=mmap).unpack(), codes)


@both_widths
@both_ways
def test_appending_to_what_was_loaded_leaves_the_file_as_it_is(
    n_codewords: int, mmap: bool, tmp_path: Path
) -> None:
    codes, more = pq_codes(300, 5, n_codewords), pq_codes(400, 5, n_codewords, seed=1)
    path = tmp_path / "codes"
    adc.PackedCodes(codes, n_codewords=n_codewords).save(path)
    content = path.read_bytes()
    for size in (1, 212, 400):  # within the last block, to its end, and beyond
        loaded = adc.PackedCodes.load(path, mmap=mmap)
        if n_codewords == 16:
            with pytest.raises(ValueError, match="codes has 16 in row 0"):
                loaded.append(np.full((1, 5), 16, np.uint8))
        loaded.append(more[:size])
        assert same_bits(loaded.unpack(), np.concatenate([codes, more[:size]]))
        assert path.read_bytes() == content
        assert same_bits(adc.PackedCodes.load(path, mmap=mmap).unpack(), codes)


def saved(path: Path) -> bytes:
    """Save some packed codes, and return the bytes of the file."""
    adc.PackedCodes(pq_codes(300, 2, 16), n_codewords=16).save(path)
    return path.read_bytes()


@both_ways
def test_a_file_that_was_cut_short_is_refused(mmap: bool, tmp_path: Path) -> None:
    path = tmp_path / "codes"
    content = saved(path)
    for end in (*range(0, len(content), 7), *range(len(content) - 20, len(content))):
        path.write_bytes(content[:end])
        with pytest.raises(ValueError, match=r"codes' is not a valid PackedCodes file: "):
            adc.PackedCodes.load(path, mmap=mmap)
    path.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match=r"codes' is not a valid PackedCodes file: "):
        adc.PackedCodes.load(path, mmap=mmap)


def test_a_file_with_an_altered_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "codes"
    content = saved(path)
    for place in range(len(content)):
        for flipped in (1, 0x80):
            altered = bytearray(content)
            altered[place] ^= flipped
            path.write_bytes(altered)
            with pytest.raises(ValueError, match=r"codes' is not a valid PackedCodes file: "):
                adc.PackedCodes.load(path, mmap=False)


@both_ways
def test_a_file_with_an_altered_header_is_refused(mmap: bool, tmp_path: Path) -> None:
    path = tmp_path / "codes"
    content = saved(path)
    for text, other in ((b'n_rows\\": 300', b'n_rows\\": 299'), (b'codewords\\": 16', b'codewords\\": 61')):
        assert content.count(text) == 1
        path.write_bytes(content.replace(text, other))
        with pytest.raises(ValueError, match="its header was altered"):
            adc.PackedCodes.load(path, mmap=mmap)


RIGHT = {"n_rows": 300, "n_subspaces": 2, "n_codewords": 16, "largest": 15}
WRONG_PARAMS: list[tuple[dict[str, Any], str]] = [
    (RIGHT | {"n_rows": 600}, "512 bytes; expected 768"),
    (RIGHT | {"largest": 16}, "largest must be from 0 to 15; got 16"),
    (RIGHT | {"largest": -1}, "not integers"),
    (RIGHT | {"n_rows": 0}, "512 bytes; expected 0"),
    (RIGHT | {"n_rows": 256}, "512 bytes; expected 256"),
    (RIGHT | {"n_rows": 2**70}, "not integers"),
    (RIGHT | {"n_rows": 2**62}, "512 bytes"),
    (RIGHT | {"n_rows": -1}, "not integers"),
    (RIGHT | {"n_rows": 300.0}, "not integers"),
    (RIGHT | {"n_rows": True}, "not integers"),
    (RIGHT | {"n_rows": "300"}, "not integers"),
    (RIGHT | {"n_rows": None}, "not integers"),
    (RIGHT | {"n_rows": [300]}, "not integers"),
    (RIGHT | {"n_subspaces": 3}, "512 bytes; expected 1024"),
    (RIGHT | {"n_subspaces": 0, "n_rows": 0}, "0 subspaces"),
    (RIGHT | {"n_subspaces": 2**62}, "512 bytes"),
    (RIGHT | {"n_codewords": 256}, "512 bytes; expected 1024"),
    (RIGHT | {"n_codewords": 17}, "n_codewords must be 16 or 256; got 17"),
    ({"n_rows": 300, "n_subspaces": 2}, "n_codewords"),
]


@both_ways
def test_a_file_whose_parts_do_not_go_together_is_refused(mmap: bool, tmp_path: Path) -> None:
    path = tmp_path / "codes"
    blocks = bytes_of(adc.PackedCodes(pq_codes(300, 2, 16), n_codewords=16))
    _files.write(path, "PackedCodes", RIGHT, {"blocks": blocks})
    assert len(adc.PackedCodes.load(path, mmap=mmap)) == 300
    for params, message in WRONG_PARAMS:
        _files.write(path, "PackedCodes", params, {"blocks": blocks})
        with pytest.raises(ValueError, match=f"codes' is not a valid PackedCodes file: .*{message}"):
            adc.PackedCodes.load(path, mmap=mmap)
    for arrays in ({}, {"bytes": blocks}, {"blocks": blocks.view(np.int8)}, {"blocks": blocks[:, None]}):
        _files.write(path, "PackedCodes", RIGHT, arrays)
        with pytest.raises(ValueError, match="array 'blocks' "):
            adc.PackedCodes.load(path, mmap=mmap)
    _files.write(path, "Other", RIGHT, {"blocks": blocks})
    with pytest.raises(ValueError, match=r"it holds a Other; load it with Other\.load"):
        adc.PackedCodes.load(path, mmap=mmap)
    with pytest.raises(FileNotFoundError):
        adc.PackedCodes.load(tmp_path / "none", mmap=mmap)


# --- attributes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["n_codewords", "n_subspaces", "nbytes", "shape", "rows"])
def test_attributes_cannot_be_changed(name: str) -> None:
    packed = adc.PackedCodes(pq_codes(300, 3, 256))
    with pytest.raises(AttributeError):
        setattr(packed, name, 3)
    assert packed.shape == (300, 3)


# --- at the same time --------------------------------------------------------------------------------------


@both_widths
def test_a_search_sees_the_rows_of_the_moment_it_began(n_codewords: int) -> None:
    codes, tables = pq_codes(40_000, 7, n_codewords), pq_tables(2, 7, n_codewords)
    expected = adc.scan(tables, codes)
    packed = adc.PackedCodes(codes[:1000], n_codewords=n_codewords)
    problems: list[BaseException] = []

    def append() -> None:
        end = len(packed)
        rng = np.random.default_rng(0)
        while end < len(codes):
            size = int(rng.integers(1, 200))
            try:
                packed.append(codes[end : end + size])
            except BaseException as error:
                problems.append(error)
                raise
            end = len(packed)

    appender = threading.Thread(target=append)
    appender.start()
    n_right = 0
    while appender.is_alive() or not n_right:
        before = len(packed)
        sums = adc.scan(tables, packed, threads=1)
        nearest = adc.knn(tables, packed, 1000, threads=2)[1]
        assert before <= sums.shape[1] <= len(packed)
        assert same_bits(sums, expected[:, : sums.shape[1]])
        assert nearest.max() < len(packed)
        n_right += 1
    appender.join()
    assert not problems
    assert same_bits(packed.unpack(), codes)


def interleaved(step: int, call: Callable[[], Any], other: Callable[[], Any]) -> tuple[bool, Any]:
    """Run `other` in a thread after some steps of `call`; say if there were as many, and give the result."""
    n_steps, thread = 0, threading.Thread(target=other)

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal n_steps
        frame.f_trace_opcodes = True
        if event == "opcode":
            n_steps += 1
            if n_steps == step:
                thread.start()
                thread.join(0.05)  # longer, if it waits for the call to end
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        result = call()
    finally:
        sys.settrace(before)
    if thread.ident is not None:
        thread.join()
    return n_steps >= step, result


@both_widths
@pytest.mark.parametrize("n", [255, 256, 300])
@pytest.mark.parametrize("mmap", [None, True])
def test_an_append_between_any_two_steps_of_a_search(
    mmap: bool | None, n: int, n_codewords: int, tmp_path: Path
) -> None:
    codes, tables = pq_codes(n + 1, 3, n_codewords), pq_tables(1, 3, n_codewords)
    expected = oracles.adc(tables, codes)
    adc.PackedCodes(codes[:n], n_codewords=n_codewords).save(tmp_path / "codes")
    step, has_more, sizes = 0, True, set()
    while has_more:
        step += 1
        packed = adc.PackedCodes(codes[:n], n_codewords=n_codewords)
        if mmap:
            packed = adc.PackedCodes.load(tmp_path / "codes")
        has_more, found = interleaved(
            step, lambda p=packed: adc.scan(tables, p), lambda p=packed: p.append(codes[n:])
        )
        assert same_bits(found, expected[:, : found.shape[1]]), step
        sizes.add(found.shape[1])
        assert same_bits(packed.unpack(), codes if has_more else codes[:n])
    assert sizes == {n, n + 1}


@both_widths
@pytest.mark.parametrize("n", [0, 255, 300])
def test_an_append_between_any_two_steps_of_another_loses_nothing(n: int, n_codewords: int) -> None:
    codes, more = pq_codes(n + 3, 5, n_codewords), pq_codes(2, 5, n_codewords, seed=1)
    step, has_more = 0, True
    while has_more:
        step += 1
        packed = adc.PackedCodes(codes[:n], n_codewords=n_codewords)
        has_more, _ = interleaved(step, lambda p=packed: p.append(codes[n:]), lambda p=packed: p.append(more))
        added = [codes[n:], more if has_more else more[:0]]
        orders = [np.concatenate([codes[:n], *order]) for order in (added, added[::-1])]
        assert any(same_bits(packed.unpack(), order) for order in orders), step
