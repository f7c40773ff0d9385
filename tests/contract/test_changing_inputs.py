"""Arrays that another thread changes during a call: no crash, no answer out of range."""

from __future__ import annotations

from helpers import run_python

CHANGING = """
import threading, time
import numpy as np
from fastcodes import adc, bits, entropy, hadamard, hamming, jaccard, minhash, rabitq, xnor

rng = np.random.default_rng(0)
def array(shape, dtype=np.uint8):
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(bytearray(rng.bytes(size)), dtype).reshape(shape)

queries, codes, x = array((40, 16)), array((3000, 16)), array((300, 128), np.float32)
booleans, ids, integers = array(3000), array(2000, np.int64), array((300, 128))
outs = [np.empty((40, 3000), dtype) for dtype in (np.int32, np.float32)]
packed = [adc.PackedCodes(codes), adc.PackedCodes(codes % np.uint8(16), n_codewords=16)]
tables, books = array((3, 16, 256), np.float32), array((16, 200, 2), np.float32)
# Packed codes view a read-only array, and so follow what others do to its memory.
stored = [p.to_state() for p in packed]
blocks = [arrays["blocks"].copy() for _, arrays in stored]
views = [b.view() for b in blocks]
[view.setflags(write=False) for view in views]
packed = [adc.PackedCodes.from_state(params, {"blocks": v}) for (params, _), v in zip(stored, views)]
thresholds, flips = array(40, np.int32), array(40)
images, filters, planes = array((3, 9, 8, 2)), array((40, 3, 2, 2)), array((8, 40, 16))
outs += [np.empty((40, 40), np.float32), np.empty((40, 5), np.uint8), np.empty((3, 9, 7, 40), np.int32)]
outs += [np.empty((300, 256), np.float32)]
matrix, packed_filters = xnor.PackedMatrix(queries, 128), xnor.PackedFilters(filters, 16)
rotations, rounds, factors = array((6, 16)), array((4, 16)), array((3000, 2), np.float32)
categorical, wide = entropy.Categorical(range(1, 257)), entropy.Categorical(range(5000))
huffman, scale_table = entropy.Huffman(range(1, 65_001)), entropy.ScaleTable()
message, few_scales = entropy.encode(codes, categorical), array((3000, 4)) & 63
message = np.frombuffer(bytearray(message), np.uint8)
chain = entropy.MarkovChain.fit(codes % np.uint8(200), 200)
bernoulli = entropy.Bernoulli.fit(codes, 125)
inputs = (message, few_scales)
inputs += (queries, codes, x, rotations, rounds, factors, booleans, integers, tables, books, *blocks)
inputs += (thresholds, flips, images, filters, planes)
changed = [a.reshape(-1).view(np.uint8) for a in (*inputs, *outs)]
done = False

def change():
    rng = np.random.default_rng(1)
    while not done:
        for target in changed:
            target[:] = rng.integers(0, rng.integers(1, 257), target.size) if rng.random() < 0.5 else 255
        ids[:] = rng.integers(*((-10, 3010) if rng.random() < 0.3 else (0, 3000)), ids.size)

def search():
    global calls
    rng = np.random.default_rng(2)
    while not done:
        for family, out, radius in ((hamming, outs[0], 40), (jaccard, outs[1], 0.3)):
            for threads in (1, 2):
                n_queries = rng.integers(1, 41)
                for mask in (None, booleans.view(bool), ids):
                    try:
                        k = rng.integers(0, 3100)
                        family.knn(queries[:n_queries], codes, k, mask=mask, threads=threads)
                        family.radius(queries[:n_queries], codes, radius, mask=mask, threads=threads)
                    except ValueError as error:
                        assert "mask has the row" in str(error), error
                family.pairs(codes[:300], radius, threads=threads)
                family.groups(codes[:300], radius, threads=threads)
                family.cdist(queries, codes, out=out, threads=threads)
        few = tables[..., :16]
        for form, t in ((codes, tables), (packed[0], tables), (packed[1], few), (codes, few)):
            for call in (
                lambda: hamming.asymmetric_knn(x[:9], codes, 10, mask=ids, threads=2),
                lambda: hadamard.pack(x, rotations, 200),
                lambda: hadamard.project(x, rotations, 256, out=outs[5]),
                lambda: hadamard.rotate(x, rounds),
                lambda: rabitq.encode(x, n_bits=rng.integers(1, 9), threads=2),
                lambda: rabitq.encode(x, n_bits=2, weights=x[:128], threads=2),
                lambda: rabitq.knn(x[:9], codes, factors, 10, mask=ids, threads=2),
                lambda: rabitq.knn(x[:9], packed[0], factors, 10, threads=1),
                lambda: rabitq.radius(x[:9, :64], codes, factors, 0.5, n_bits=2, threads=2),
                lambda: rabitq.scan(x[:40], codes, factors, out=outs[1], threads=2),
                lambda: rabitq.scan(x[:3, :16], codes, factors, n_bits=8, threads=1),
                lambda: rabitq.decode(codes, factors, n_bits=4),
                lambda: rabitq.cdist(queries, factors[:40], codes, factors, n_bits=4),
                lambda: adc.knn(t, form, 10, threads=2),
                lambda: adc.knn(t, form, 10, mask=booleans.view(bool), threads=1),
                lambda: adc.radius(t, form, rng.random() - 0.5, mask=ids, threads=2),
                lambda: adc.scan(t, form),
                lambda: adc.encode(x[:, :32], books),
                lambda: adc.tables(x[:, :32], books),
                lambda: adc.PackedCodes(codes, n_codewords=rng.choice([16, 256])).unpack(),
            ):
                try:
                    call()
                except ValueError as error:
                    text = str(error)
                    expected = ("mask has the row", "finite", "too large", "numbers of at most", "codewords")
                    assert any(words in text for words in expected), error
        signs = {"finish": xnor.Finish(thresholds=thresholds, flips=flips.view(bool))}
        n_bits = int(rng.integers(121, 129))
        for threads in (1, 2):
            for call in (
                lambda: xnor.matmul(queries, codes, n_bits, threads=threads),
                lambda: xnor.matmul(queries, queries, n_bits, **signs, out=outs[3], threads=threads),
                lambda: xnor.matmul(
                    queries, matrix, 128, finish=xnor.Finish(scale=x[0, :40]), out=outs[2], threads=threads
                ),
                lambda: xnor.and_matmul(codes, queries, threads=threads),
                lambda: xnor.bitserial_matmul(planes, queries, n_bits, threads=threads),
                lambda: xnor.bitserial_matmul(queries, planes, 128, **signs, threads=threads),
                lambda: xnor.byte_matmul(queries, queries[:, :2], **signs, threads=threads),
                lambda: xnor.byte_conv2d(images, filters[..., :1], padding=1, threads=threads),
                lambda: xnor.conv2d(images, filters, 15, padding=1, **signs, threads=threads),
                lambda: xnor.conv2d(
                    images, packed_filters, 16, padding=((1, 1), (0, 0)), out=outs[4], threads=threads
                ),
                lambda: xnor.max_pool2d(images, 2, stride=1, threads=threads),
                lambda: xnor.planes(integers, rng.integers(1, 9), threads=threads),
                lambda: xnor.PackedMatrix(codes, n_bits, threads=threads).unpack(),
            ):
                try:
                    with np.errstate(all="ignore"):
                        call()
                except ValueError as error:
                    expected = ("ones after bit", "must be finite", "does not fit")
                    assert any(words in str(error) for words in expected), error
        for threads in (1, 2):
            ends = np.abs(ids[:50]) % 3000
            ends.sort()
            tokens = codes.view(np.uint64).reshape(-1)
            for call in (
                lambda: minhash.signatures(tokens, ends, n_hashes=40, threads=threads),
                lambda: minhash.signatures(tokens, ids, n_hashes=40, threads=threads),
                lambda: minhash.signatures(tokens, ends, n_hashes=40, one_permutation=True, threads=threads),
                lambda: minhash.cdist(queries.view(np.uint32), codes.view(np.uint32), threads=threads),
                lambda: minhash.cdist(queries, codes, n_bits=4, threads=threads),
                lambda: minhash.paired(queries, codes, ids, ids, n_bits=4, threads=threads),
                lambda: minhash.pack(codes.view(np.uint32), 3, threads=threads),
                lambda: minhash.jaccard((tokens, ends), (tokens, ends), ids, ids, threads=threads),
            ):
                try:
                    call()
                except ValueError as error:
                    assert any(words in str(error) for words in ("ascending", "has the row")), error
        for threads in (1, 2):
            for call in (
                lambda: entropy.encode(codes, categorical, threads=threads),
                lambda: entropy.encode(codes.view(np.uint16), wide, threads=threads),
                lambda: entropy.encode(abs(ids) % 5000, wide, threads=threads),
                lambda: entropy.encode(ids.view(np.uint16), huffman),
                lambda: entropy.encode(codes.view(np.int32), scale_table, scales=few_scales, threads=threads),
                lambda: entropy.decode(message, categorical, 48_000, threads=threads),
                lambda: entropy.decode(codes.reshape(-1), categorical, 30_000, threads=threads),
                lambda: entropy.decode(codes.reshape(-1), wide, 20_000, threads=threads),
                lambda: entropy.decode(codes.reshape(-1), huffman, 20_000),
                lambda: entropy.decode(codes.reshape(-1), scale_table, scales=few_scales, threads=threads),
                lambda: entropy.encode_rows(codes, chain, threads=threads),
                lambda: entropy.encode_rows(codes, bernoulli, rows_per_block=50, threads=threads),
                lambda: entropy.decode_rows(codes.reshape(-1), ids, chain, threads=threads),
                lambda: entropy.decode_rows(codes.reshape(-1), [0, 40_000], bernoulli, n_rows=3000,
                    rows_per_block=3000, threads=threads),
            ):
                try:
                    call()
                except ValueError as error:
                    expected = ("symbols", "scales", "not the code of", "offsets has", "codes")
                    assert any(words in str(error) for words in expected), error
        with np.errstate(all="ignore"):
            codes_of_x = bits.pack(x)
        bits.unpack(codes, 128, dtype=np.float32)
        bits.popcount(codes)
        bits.pack(booleans.view(bool))
        bits.unpack_uint(codes, 5, 25)
        try:
            bits.pack_uint(integers, 4)
        except ValueError as error:
            assert "which fit 4 bits" in str(error), error
        calls += 1

calls = 0
changer = threading.Thread(target=change)
changer.start()
timer = threading.Timer(2.0, lambda: globals().update(done=True))
timer.start()
search()
changer.join()
print(calls)
"""


def test_inputs_that_change_during_a_call_cannot_crash() -> None:
    assert int(run_python(CHANGING, {"RUST_BACKTRACE": "1"})) > 0
