"""What each operation means, in a few lines of slow numpy. The tests compare with these to the bit."""

from __future__ import annotations

import numpy as np

# --- bits --------------------------------------------------------------------------------------------------


def pack(x, threshold=0.0, bitorder="big"):
    return np.packbits(x > threshold, axis=-1, bitorder=bitorder)


def unpack(codes, n_bits, dtype=np.uint8, values=(0, 1), bitorder="big"):
    bits = np.unpackbits(codes, axis=-1, bitorder=bitorder)[..., :n_bits]
    return np.array(values, dtype)[bits]


def popcount(codes):
    return np.unpackbits(codes, axis=-1).sum(axis=-1, dtype=np.int32)


def pack_uint(values, n_bits):
    bits = values.astype(np.int64)[..., None] >> np.arange(n_bits)[::-1] & 1
    return np.packbits(bits.reshape(*values.shape[:-1], values.shape[-1] * n_bits).astype(bool), axis=-1)


def unpack_uint(packed, n_bits, count):
    bits = np.unpackbits(packed, axis=-1)[..., : count * n_bits].reshape(*packed.shape[:-1], count, n_bits)
    return (bits.astype(np.int64) << np.arange(n_bits)[::-1]).sum(axis=-1)


# --- hamming and jaccard: all distances --------------------------------------------------------------------

_ONES = popcount(np.arange(256, dtype=np.uint8)[:, None]).astype(np.uint8)


def hamming(a, b):
    return _ONES[a[:, None] ^ b].sum(axis=-1, dtype=np.int32)


def jaccard(a, b):
    union = _ONES[a[:, None] | b].sum(axis=-1, dtype=np.int32)
    return (hamming(a, b) / np.maximum(union, 1)).astype(np.float32)


def tversky(a, b, alpha, beta):
    common = _ONES[a[:, None] & b].sum(axis=-1, dtype=np.int32)
    apart = alpha * _ONES[a[:, None] & ~b].sum(axis=-1, dtype=np.int32)
    apart = apart + beta * _ONES[b & ~a[:, None]].sum(axis=-1, dtype=np.int32)
    return (apart / np.where(apart > 0, common + apart, 1)).astype(np.float32)


def asymmetric(queries, codes):
    """Float32 sums of four dimensions in their order, added up by bytes, in each the last four first."""
    n, n_bits = queries.shape
    terms = np.zeros((n, len(codes), 8 * codes.shape[1]), np.float32)
    signs = np.float32(1) - 2 * np.unpackbits(codes, axis=-1, count=n_bits).astype(np.float32)
    terms[..., :n_bits] = queries.astype(np.float32)[:, None] * signs
    first, second, third, fourth = np.moveaxis(terms.reshape(*terms.shape[:2], codes.shape[1], 2, 4), -1, 0)
    halves = ((first + second) + third) + fourth
    total = np.zeros((n, len(codes)), np.float32)
    for byte in range(codes.shape[1]):
        total = (total + halves[:, :, byte, 1]) + halves[:, :, byte, 0]
    return total


# --- hamming and jaccard: what is selected, given all distances d ------------------------------------------


def selected(mask, n):
    return np.arange(n) if mask is None else np.flatnonzero(mask) if mask.dtype == bool else np.unique(mask)


def knn(d, k, mask, padding):
    rows, more = selected(mask, d.shape[1]).astype(np.int64), ((0, 0), (0, k))
    order = np.argsort(d[:, rows], axis=1, kind="stable")
    distances = np.take_along_axis(d[:, rows], order, axis=1)
    return tuple(
        np.pad(x, more, constant_values=p)[:, :k] for x, p in ((distances, padding), (rows[order], -1))
    )


def radius(d, limit, mask):
    rows = selected(mask, d.shape[1]).astype(np.int64)
    query, place = np.nonzero(d[:, rows] <= limit)
    order = np.lexsort((rows[place], d[query, rows[place]], query))
    offsets = np.append(0, np.bincount(query, minlength=len(d)).cumsum())
    return offsets, d[query, rows[place]][order], rows[place][order]


def pairs(d, limit):
    i, j = np.nonzero(np.triu(d <= limit, 1))
    return i, j, d[i, j]


# --- adc: tables, all sums and codes; what is selected is as above -----------------------------------------


def adc_tables(queries, codebooks, metric="l2"):
    parts = queries.astype(np.float32).reshape(len(queries), len(codebooks), 1, codebooks.shape[2])
    terms = (parts - codebooks) ** 2 if metric == "l2" else -(parts * codebooks)
    return sum(np.moveaxis(terms, -1, 0), np.zeros(terms.shape[:-1], np.float32))


def adc(tables, codes):
    sums = np.zeros((len(tables), len(codes)), np.float32)
    return sum((tables[:, m, codes[:, m]] for m in range(tables.shape[1])), sums)


def adc_encode(x, codebooks):
    return adc_tables(x, codebooks).argmin(axis=-1).astype(np.uint8)


# --- block motion: the costs of all candidates, and their order --------------------------------------------


def block_costs(frame, reference, block, radius):
    """Sum absolute differences (2 radius + 1, 2 radius + 1, n_rows, n_columns) by dy, dx and block."""
    height, width = (-(-side // block) * block for side in frame.shape)
    missing = [(0, height - frame.shape[0]), (0, width - frame.shape[1])]
    frame = np.pad(frame, missing, mode="edge").astype(int)
    around = [(radius, radius + more) for _, more in missing]
    padded = np.pad(reference, around, mode="edge").astype(int)
    shape, n = (height // block, block, width // block, block), 2 * radius + 1
    moved = [[padded[dy:, dx:][:height, :width] for dx in range(n)] for dy in range(n)]
    return np.array([[abs(frame - m).reshape(shape).sum((1, 3)) for m in row] for row in moved])


def block_order(costs, k):
    """Return the vectors (n_rows, n_columns, k, 2) of the least costs, and those costs."""
    radius = len(costs) // 2
    vectors = np.argwhere(np.ones(costs.shape[:2])) - radius
    order = np.lexsort((vectors[:, 1], vectors[:, 0], abs(vectors).sum(1)))
    ordered = costs.reshape(-1, *costs.shape[2:])[order]
    best = np.moveaxis(np.argsort(ordered, axis=0, kind="stable")[:k], 0, -1)
    return vectors[order][best], np.take_along_axis(np.moveaxis(ordered, 0, -1), best, -1)


def block_downhill(costs):
    """Return what goes downhill from the best vector of the neighbours, and its costs, for these sums."""
    radius = len(costs) // 2
    n_rows, n_columns = costs.shape[2:]
    vectors = np.zeros((n_rows, n_columns, 2), int)
    for row, column in np.ndindex(n_rows, n_columns):
        surface = costs[..., row, column]

        def key(v, surface=surface):
            return surface[v[0] + radius, v[1] + radius], abs(v[0]) + abs(v[1]), *v

        near = [(0, -1), (-1, 0), (-1, 1)] if row % 8 else [(0, -1)]
        near = [vectors[row + i, column + j] for i, j in near if 0 <= column + j < n_columns]
        around = [np.zeros(2, int), *near, *([np.median(near, axis=0).astype(int)] if len(near) == 3 else [])]
        best = None
        while best is None or min(map(key, around)) < key(best):
            best = min(around, key=key)
            moved = best + np.argwhere(np.ones((3, 3))) - 1
            around = moved[(abs(moved) <= radius).all(1)]
        vectors[row, column] = best
    y, x = np.indices((n_rows, n_columns))
    return vectors, costs[vectors[..., 0] + radius, vectors[..., 1] + radius, y, x]


# --- hadamard: the matrix by its entries, in float64 -------------------------------------------------------


def hadamard(x, signs, n_features):
    size = 8 * signs.shape[1]
    i = np.arange(size)
    matrix = 1.0 - 2 * (np.array([bin(k).count("1") % 2 for k in range(size)])[i[:, None] & i])
    y = np.tile(
        np.pad(x.astype(np.float64), ((0, 0), (0, size - x.shape[1])))[:, None], (1, len(signs) // 3, 1)
    )
    diagonals = 2.0 * np.unpackbits(signs, axis=1).reshape(-1, 3, size) - 1
    for factor in range(3):
        y = (y * diagonals[:, factor]) @ matrix
    return (y / size).reshape(len(x), -1)[:, :n_features]


# --- xnor: rows of signs, integers, images; how dot products are finished ----------------------------------


def rotate(x, signs):
    """Rotate by overlapping transforms, in float64; the order within 64 numbers is that of the kernels."""
    rounds, d = unpack(signs, 8 * signs.shape[1], np.float64, (-1, 1)), 8 * signs.shape[1]
    y, s = np.pad(np.asarray(x, np.float64), ((0, 0), (0, d - x.shape[1]))), 1 << (d.bit_length() - 1)
    index = np.arange(s)
    matrix = 1.0 - 2.0 * (np.bitwise_count(index[:, None] & index) & 1)
    if s >= 64:
        matrix = matrix[:, index & ~63 | (index & 7) << 3 | index >> 3 & 7]
    for r, diagonal in enumerate(rounds):
        y, part = y * diagonal, slice(0, s) if r % 2 == 0 else slice(d - s, d)
        y[:, part] = y[:, part] @ matrix / np.sqrt(s)
        if s < d:
            a, b = y[:, : d // 2], y[:, d // 2 :]
            y = np.hstack([a + b, a - b]) / np.sqrt(2)
    return y


def rabitq_levels(n_bits):
    """Return the level of each number."""
    listed = {1: [1], 2: [19, 63], 3: [7, 22, 39, 63], 4: [3, 9, 15, 22, 29, 37, 48, 63]}
    positive = np.array(listed.get(n_bits, range(1, 1 << n_bits, 2)), np.float64)
    return np.concatenate([-positive[::-1], positive])


def rabitq_decode(codes, factors, n_bits):
    numbers = unpack_uint(codes, n_bits, codes.shape[1] * 8 // n_bits)
    return factors[:, 1:].astype(np.float64) * rabitq_levels(n_bits)[numbers]


def rabitq(queries, codes, factors, n_bits, metric="l2", offsets=None):
    """Return estimates by rounded queries."""
    largest = np.float32(31 if n_bits == 1 else 127 if n_bits <= 4 else 8128)
    extent = np.abs(queries).max(axis=1, keepdims=True)
    # In float32, so that ties are rounded alike.
    rounded = np.round(queries * (largest / np.where(extent == 0, 1, extent))) * (extent / largest).astype(
        float
    )
    if offsets is None:
        offsets = (queries.astype(np.float64) ** 2).sum(axis=1) if metric == "l2" else np.zeros(len(queries))
    inner = rounded @ rabitq_decode(codes, factors, n_bits).T
    return offsets[:, None] + factors[:, 0] - (2 if metric == "l2" else 1) * inner


def signs(codes, n_bits):
    return 2 * np.unpackbits(codes, axis=-1, count=n_bits).astype(np.int32) - 1


def finish(dots, thresholds=None, flips=False, scale=None, bias=None):
    if thresholds is not None:
        return np.packbits((dots >= np.asarray(thresholds)) != flips, axis=-1)
    if scale is None and bias is None:
        return dots.astype(np.int32)
    scale, bias = np.float32(1 if scale is None else scale), np.float32(0 if bias is None else bias)
    return dots.astype(np.float32) * scale + bias


def conv2d(x, w, stride, padding, pad_value, dilation, groups):
    x = np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=pad_value)
    kernel = [(k - 1) * d + 1 for k, d in zip(w.shape[1:3], dilation, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(1, 2))
    windows = windows[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
    parts = zip(np.split(windows, groups, axis=3), np.split(w, groups), strict=True)
    return np.concatenate([np.einsum("nyxcij,fijc->nyxf", x, w) for x, w in parts], axis=-1)


def max_pool2d(images, size, stride):
    windows = np.lib.stride_tricks.sliding_window_view(images, size, axis=(1, 2))
    return np.bitwise_or.reduce(windows[:, :: stride[0], :: stride[1]], axis=(4, 5))


def spectral(projected, n_bits):
    """Spectral hashing of samples along their principal components (n, m): values, and the waves used."""
    lower, width = projected.min(axis=0), np.ptp(projected, axis=0)
    waves = [(j * np.pi / width[i], i, j) for i in range(len(width)) for j in range(1, n_bits + 1)]
    modes = [[i, j] for _, i, j in sorted(waves)[:n_bits]]
    values = [np.sin(np.pi / 2 + j * np.pi / width[i] * (projected[:, i] - lower[i])) for i, j in modes]
    return np.stack(values, axis=1), modes


# --- minhash: signatures of one set, shingles of one text, packed slots -------------------------------------


def _mix(z):
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return z ^ z >> np.uint64(31)


def _fmix(h):
    h = (h ^ h >> np.uint32(16)) * np.uint32(0x85EBCA6B)
    h = (h ^ h >> np.uint32(13)) * np.uint32(0xC2B2AE35)
    return h ^ h >> np.uint32(16)


def minhash(tokens, k, seed, one_permutation=False):
    if not len(tokens):
        return np.full(k, 2**32 - 1, np.uint32)
    i, golden = np.arange(k, dtype=np.uint32), np.uint64(0x9E3779B97F4A7C15)
    w = _mix(np.uint64(seed) + np.arange(1, k + 34, dtype=np.uint64) * golden)
    z = _mix(np.asarray(tokens, np.uint64) ^ w[0])
    high, low = (z >> np.uint64(32)).astype(np.uint32)[:, None], z.astype(np.uint32)[:, None]
    if not one_permutation:
        factors = (w[1 + 16 * (i // 32) + i % 16] >> np.uint64(32)).astype(np.uint32) | np.uint32(1)
        least = (factors * high + low * (i % 32 >= 16)).min(axis=0)
    else:
        slot = (z >> np.uint64(32)) * np.uint64(k) >> np.uint64(32)
        own = {s: low[slot == s].min() for s in np.unique(slot)}
        least = np.array([own[_lender(int(s), own, k, w[0])] for s in i])
    return _fmix(least + i * np.uint32(0x9E3779B9))


def _lender(slot, own, k, key):
    if slot in own or len(own) == 1:
        return slot if slot in own else next(iter(own))
    attempts = np.uint64(slot << 32) + np.arange(1, 30 * k, dtype=np.uint64)
    asked = (_mix(key ^ _mix(attempts)) >> np.uint64(32)) * np.uint64(k) >> np.uint64(32)
    return next(s for s in asked.tolist() if s in own)


def shingles(text, size=3, unit="word", lowercase=True):
    text = "".join(c.lower() for c in text) if lowercase else text
    if unit == "word":
        units, joint = "".join(c if c.isalnum() or c == "_" else " " for c in text).split(), " "
    else:
        units, joint = list(" ".join(text.split())), ""
    ends = range(size, len(units) + 1) if len(units) >= size else [len(units)] * bool(units)
    return [joint.join(units[max(0, end - size) : end]) for end in ends]


def band_keys(signatures, n_bands, n_rows):
    keys = np.zeros((len(signatures), n_bands), np.uint64)
    for slot in range(n_bands * n_rows):
        keys[:, slot // n_rows] = _mix(keys[:, slot // n_rows] ^ signatures[:, slot])
    return keys


def minhash_pack(signatures, n_bits):
    planes = signatures[:, None, :] >> np.arange(n_bits, dtype=np.uint32)[:, None] & 1
    return np.packbits(planes.astype(bool), axis=-1).reshape(len(signatures), -1)


def convolution(x, weights, pads, stride, dilation, groups, fill):
    x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    kernel_height, kernel_width, part, filters = weights.shape
    height = (x.shape[1] - dilation * (kernel_height - 1) - 1) // stride + 1
    width = (x.shape[2] - dilation * (kernel_width - 1) - 1) // stride + 1
    out = np.zeros((len(x), height, width, filters))
    for n, y, z, f in np.ndindex(*out.shape):
        first = f // (filters // groups) * part
        for i, j, c in np.ndindex(kernel_height, kernel_width, part):
            pixel = x[n, y * stride + i * dilation, z * stride + j * dilation, first + c]
            out[n, y, z, f] += pixel * weights[i, j, c, f]
    return out


def rerank_sums(terms):
    """Add the last axis in float32, in the order of the kernel: in 32 lanes, whose halves are added."""
    n = -(-terms.shape[-1] // 32)
    padded = np.zeros((*terms.shape[:-1], 32 * n), np.float32)
    padded[..., : terms.shape[-1]] = terms
    lanes = np.zeros((*terms.shape[:-1], 32), np.float32)
    for part in range(n):
        lanes = lanes + padded[..., 32 * part : 32 * part + 32]
    while lanes.shape[-1] > 1:
        half = lanes.shape[-1] // 2
        lanes = lanes[..., :half] + lanes[..., half:]
    return lanes[..., 0]


def rerank_distances(queries, vectors, metric):
    """Exact distances (nq, n), query by query."""
    x, rows = vectors.astype(np.float32), []
    for q in np.asarray(queries, np.float32):
        if metric == "l2":
            rows.append(rerank_sums((x - q) * (x - q)))
            continue
        products = rerank_sums(x * q)
        lengths = np.sqrt(rerank_sums(x * x)) * np.sqrt(rerank_sums(q * q))
        cosine = 1 - products / np.where(lengths == 0, np.float32(1), lengths)
        rows.append(0 - products if metric == "ip" else cosine)
    return np.array(rows, np.float32).reshape(len(queries), len(vectors))


def rerank(queries, candidates, vectors, metric, k, bounds=None):
    """Distances, indices (nq, k) and the vectors read: each candidate alone, until a bound says stop."""
    distances, indices = np.full((len(queries), k), np.inf, np.float32), np.full((len(queries), k), -1)
    n_read = np.zeros(len(queries), np.int64)
    for row, query in enumerate(queries):
        order = np.arange(candidates.shape[1]) if bounds is None else np.argsort(bounds[row], kind="stable")
        found = []
        for place in order[candidates[row, order] >= 0]:
            last = found[k - 1][0] if len(found) >= k else np.inf
            if bounds is not None and not bounds[row, place] <= last:
                break
            number = candidates[row, place]
            distance = rerank_distances(query[None], vectors[number][None], metric)[0, 0]
            found = sorted([*found, (distance, number)])
            n_read[row] += 1
        for rank, (distance, number) in enumerate(found[:k]):
            distances[row, rank], indices[row, rank] = distance, number
    return distances, indices, n_read


def components(i, j, n):
    """Lowest node of the component of each of n nodes, by the edges (i, j)."""
    labels = np.arange(n)
    while True:
        lowest = labels.copy()
        np.minimum.at(lowest, i, labels[j])
        np.minimum.at(lowest, j, labels[i])
        if np.array_equal(lowest, labels):
            return labels
        labels = lowest


# --- entropy: decoders, as the Rust files describe the formats ----------------------------------------------


def alias_slots(frequencies):
    """Return the symbol that owns each of 65536 slots, and the slot's number among those of the symbol."""
    left = [int(f) for f in frequencies] + [0] * (256 - len(frequencies))
    symbol, number = np.repeat(np.arange(256), 256), np.tile(np.arange(256), 256)
    waiting = [s for s in range(256) if left[s] < 256]
    giving = [s for s in range(256) if left[s] > 256]
    while waiting:
        bucket, giver = waiting.pop(), giving[-1]
        divider = left[bucket]
        left[giver] -= 256 - divider
        slots = slice(256 * bucket + divider, 256 * bucket + 256)
        symbol[slots], number[slots] = giver, left[giver] + np.arange(256 - divider)
        if left[giver] <= 256:
            giving.pop()
        if left[giver] < 256:
            waiting.append(giver)
    return symbol, number


def range_decode(data, tables):
    """Decode one symbol by each of the tables of frequencies."""
    data, position = bytes(data) + bytes(len(tables) * 4 + 4), 4
    offset, width, symbols = int.from_bytes(data[:4], "big"), 2**32 - 1, []
    for frequencies in tables:
        ends = np.cumsum(frequencies)
        piece = width >> 16
        symbol = int(np.searchsorted(ends, min(offset // piece, 65535), "right"))
        start, end = int(ends[symbol]) - int(frequencies[symbol]), int(ends[symbol])
        offset -= piece * start
        width = (piece * end if end < 65536 else width) - piece * start
        while width < 2**24:
            offset, width, position = offset << 8 | data[position], width << 8, position + 1
        symbols.append(symbol)
    return symbols


def rans_decode(run, tables):
    """Decode one symbol by each of the tables, which are given by their slots; also return what is left."""
    lanes = [int.from_bytes(run[4 * lane : 4 * lane + 4], "little") for lane in range(32)]
    position, symbols = 128, []
    for group in range(0, len(tables), 32):
        n = min(32, len(tables) - group)
        for lane in range(n):
            frequencies, symbol, number = tables[group + lane]
            slot = lanes[lane] & 0xFFFF
            symbols.append(int(symbol[slot]))
            lanes[lane] = int(frequencies[symbols[-1]]) * (lanes[lane] >> 16) + int(number[slot])
        needs_second = [lane for lane in range(n) if lanes[lane] < 2**16]
        for lane in [lane for lane in range(n) if lanes[lane] < 2**24] + needs_second:
            lanes[lane], position = lanes[lane] << 8 | run[position], position + 1
    assert lanes == [2**24] * 32
    return symbols, run[position:]


def entropy_decode(data, frequencies, n):
    """Decode n symbols below 256."""
    if n < 8192:
        return range_decode(data, [frequencies] * n)
    n_runs = -(-n // 2**20)
    starts = 4 * (n_runs - 1) + np.cumsum([0, *np.frombuffer(data[: 4 * (n_runs - 1)], "<u4")])
    table, symbols = (frequencies, *alias_slots(frequencies)), []
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        found, left = rans_decode(data[start:end], [table] * min(2**20, n - len(symbols)))
        assert not left
        symbols += found
    return symbols


def huffman_decode(data, lengths, n):
    """Decode n symbols of the canonical code of these lengths."""
    codewords, word, previous = {}, 0, 0
    for length, symbol in sorted((int(length), s) for s, length in enumerate(lengths) if length):
        word <<= length - previous
        codewords[f"{word:0{length}b}"] = symbol
        word, previous = word + 1, length
    bits, symbols = "".join(f"{byte:08b}" for byte in data), []
    for _ in range(n):
        length = next(k for k in range(1, 33) if bits[:k] in codewords)
        symbols.append(codewords[bits[:length]])
        bits = bits[length:]
    assert len(bits) < 8
    assert "1" not in bits
    return symbols


# --- images -------------------------------------------------------------------------------------------------


def ssim_map(a, b, data_range, contrast_only=False):
    """Compare 11x11 windows one by one, with their weighted means and variances."""
    weights = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights = np.outer(weights, weights) / np.outer(weights, weights).sum()
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    values = np.empty((a.shape[0] - 10, a.shape[1] - 10))
    for y, x in np.ndindex(values.shape):
        p, q = a[y : y + 11, x : x + 11].astype(float), b[y : y + 11, x : x + 11].astype(float)
        mean_p, mean_q = (weights * p).sum(), (weights * q).sum()
        variances = (weights * (p - mean_p) ** 2).sum() + (weights * (q - mean_q) ** 2).sum()
        covariance = (weights * (p - mean_p) * (q - mean_q)).sum()
        values[y, x] = (2 * covariance + c2) / (variances + c2)
        if not contrast_only:
            values[y, x] *= (2 * mean_p * mean_q + c1) / (mean_p**2 + mean_q**2 + c1)
    return values


def ms_ssim(a, b, data_range):
    """Multiply the means of five scales; images are halved by the means of 2x2 pixels, the last repeated."""
    product = 1.0
    for exponent, is_last in zip((0.0448, 0.2856, 0.3001, 0.2363, 0.1333), [False] * 4 + [True], strict=True):
        product *= max(ssim_map(a, b, data_range, contrast_only=not is_last).mean(), 0) ** exponent
        a, b = (_halved(np.asarray(image, float)) for image in (a, b))
    return product


def _halved(x):
    rows, columns = np.arange(0, x.shape[0], 2), np.arange(0, x.shape[1], 2)
    below, right = np.minimum(rows + 1, x.shape[0] - 1), np.minimum(columns + 1, x.shape[1] - 1)
    return sum(x[np.ix_(r, c)] for r in (rows, below) for c in (columns, right)) / 4


def frechet(a, b):
    """Take the trace of the square root by the eigenvalues of the product of covariances."""
    c, d = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(c @ d).real, 0))
    return ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() + np.trace(c) + np.trace(d) - 2 * roots.sum()
