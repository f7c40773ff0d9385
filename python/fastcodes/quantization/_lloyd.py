"""k-means in M subspaces at once: seeding, assignment, means.

The samples are an array ``x`` (n, M * d_sub), the codewords an array (M, K, d_sub); plain k-means is M = 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastcodes import _files, _native
from fastcodes._blocks import add, blocks, combined, fold, naming_nonfinite, row_slices, take_rows
from fastcodes._linalg import check_scale, exact_product
from fastcodes._typing import Array, Doubles, Floats, Ids, RowSource, UnsignedCodes
from fastcodes._validation import check_threads

__all__ = [
    "BYTE",
    "MAX_CODEWORDS",
    "SEEDS",
    "Partition",
    "as_codebook",
    "assign",
    "code_dtype",
    "inertia",
    "iterate",
    "nearest_codes",
    "seed",
    "train",
]


MAX_CODEWORDS = 1 << 16
BYTE = 256  # up to this many codewords, a code is a byte and the compiled kernels are used
_SEED_ROWS = 16  # samples per codeword that seeds are chosen from: more did not lower the error
_CANDIDATES = 4  # tried for each codeword
_CODEWORDS_PER_ROUND = 16  # that candidates are drawn for at once, at most
_PRODUCTS_PER_BLOCK = 1 << 22  # inner products held at a time


def random_rows(x: Floats, n_subspaces: int, n_codewords: int, rng: np.random.Generator) -> Floats:
    """Choose distinct random samples as initial codewords, independently in each subspace."""
    parts = x.reshape(len(x), n_subspaces, -1)
    rows = [rng.choice(len(x), n_codewords, replace=False) for _ in range(n_subspaces)]
    return np.stack([parts[rows_of, m] for m, rows_of in enumerate(rows)])


def seed(x: Floats | RowSource, n_subspaces: int, n_codewords: int, rng: np.random.Generator) -> Floats:
    """Choose samples as initial codewords, independently in each subspace: greedy k-means++.

    Candidates are drawn with a probability proportional to their squared distance to the nearest codeword so
    far; the candidate that lowers the sum of these distances most becomes a codeword (Arthur and
    Vassilvitskii, SODA 2007, sections 2.2 and 7). Candidates for up to 16 codewords are drawn at once, since
    one large matrix product takes less time than many small ones; for each codeword a few of them are drawn
    again, with the distances that remain. With fewer distinct samples than codewords, some codewords are
    equal.
    """
    n, d = x.shape
    size = min(n, max(2048, _SEED_ROWS * n_codewords))
    rows = np.sort(rng.choice(n, size, replace=False, shuffle=False)) if size < n else np.arange(n)
    parts = take_rows(x, rows).reshape(size, n_subspaces, d // n_subspaces).transpose(1, 0, 2)

    # Centered and scaled, so that float32 is accurate enough and no subspace dominates the running sum.
    centered = parts - parts.mean(axis=1, keepdims=True, dtype=np.float64)
    scale = np.sqrt(np.square(centered).mean(axis=(1, 2), keepdims=True))
    centered = (centered / np.where(scale > 0, scale, 1)).astype(np.float32)
    squares = np.einsum("mnd,mnd->mn", centered, centered)[..., None]
    ones = np.ones_like(squares)
    # The inner products of the two are |a|^2 - 2 a b + |b|^2.
    left = np.concatenate([-2 * centered, squares, ones], axis=2)
    right = np.ascontiguousarray(np.concatenate([centered, ones, squares], axis=2).transpose(0, 2, 1))

    subspaces = np.arange(n_subspaces)
    rows_of = subspaces[:, None]
    chosen = np.empty((n_subspaces, n_codewords), np.int64)
    nearest = np.ones((n_subspaces, size), np.float32)  # at first all samples are equally likely
    k = 0
    while k < n_codewords:
        end = min(k + max(1, min(k, _CODEWORDS_PER_ROUND)), n_codewords)
        running = np.cumsum(nearest.ravel(), dtype=np.float64)
        ends = running[size - 1 :: size, None]
        starts = np.concatenate([[[0.0]], ends[:-1]])
        draws = rng.random((n_subspaces, _CANDIDATES * (end - k)))
        pool = np.searchsorted(running, starts + draws * (ends - starts), "right") - rows_of * size
        pool = np.clip(pool, 0, size - 1)
        distances = np.matmul(left[rows_of, pool], right)
        at_first = nearest[rows_of, pool]
        for place in range(k, end):
            rest = np.divide(
                nearest[rows_of, pool], at_first, out=np.full_like(at_first, 1e-30), where=at_first > 0
            )
            order = rng.exponential(size=pool.shape) / np.maximum(rest, 1e-30)
            few = np.argpartition(order, _CANDIDATES - 1, axis=1)[:, :_CANDIDATES]
            closer = distances[rows_of, few]
            if place:
                np.minimum(closer, nearest[:, None], out=closer)
            best = closer.sum(axis=2).argmin(axis=1)
            chosen[:, place] = pool[subspaces, few[subspaces, best]]
            nearest = np.maximum(closer[subspaces, best], 0)
            nearest[subspaces, chosen[:, place]] = 0
        k = end
    return np.ascontiguousarray(parts[subspaces[:, None], chosen])


SEEDS = {"random": random_rows, "k-means++": seed}


def code_dtype(n_codewords: int) -> type[np.uint8 | np.uint16]:
    """Return the dtype of codes with `n_codewords` values."""
    return np.uint8 if n_codewords <= BYTE else np.uint16


def nearest_codes(
    samples: Array,
    codebooks: Floats,
    *,
    threads: int | None,
    prepare: Callable[[Floats], Floats] | None = None,
) -> UnsignedCodes:
    """Return the nearest codeword of each part of each sample, ties to the lower.

    Parameters
    ----------
    samples : array (n, M * d_sub)
        Real numbers of any dtype. An array that needs no conversion is passed to the kernel as a whole.
    codebooks : float32 array (M, K, d_sub)
        The codewords.
    threads : int, optional
        Threads of the kernel.
    prepare : callable, optional
        Maps a block of samples to the coordinates of the codebooks.

    Returns
    -------
    uint8 array (n, M), or uint16 with more than 256 codewords
    """
    check_threads(threads)
    n_codewords = codebooks.shape[1]
    codes = np.empty((len(samples), len(codebooks)), code_dtype(n_codewords))
    checked_by_kernel = n_codewords <= BYTE
    with naming_nonfinite(samples):
        is_ready = samples.dtype == np.float32 and samples.flags.c_contiguous and samples.flags.aligned
        if is_ready and checked_by_kernel and prepare is None:
            assign(samples, codebooks, codes, threads=threads)
            return codes
        for rows, block in blocks(samples, check=not checked_by_kernel):
            assign(block if prepare is None else prepare(block), codebooks, codes[rows], threads=threads)
    return codes


def assign(
    x: Floats,
    codebooks: Floats,
    codes: UnsignedCodes,
    errors: Floats | None = None,
    *,
    threads: int | None,
) -> None:
    """Write the nearest codeword of each part, ties to the lower, and its squared distance."""
    if codebooks.shape[1] <= BYTE:
        _native.adc_encode(x, codebooks, codes, errors, threads)
        return
    (centers,) = codebooks  # codes of two bytes: M = 1
    half_squares = 0.5 * np.einsum("kd,kd->k", centers, centers)
    longest = np.abs(centers).sum(axis=1).max()
    step = max(1, _PRODUCTS_PER_BLOCK // len(centers))
    for start in range(0, len(x), step):
        rows = slice(start, start + step)
        scores = x[rows] @ centers.T
        scores -= half_squares
        codes[rows, 0] = scores.argmax(axis=1)
        # Scores within the rounding error of the best are compared again, in float64: see `exact_product`.
        unsure = np.abs(x[rows]).max(axis=1) * longest + half_squares.max()
        unsure *= (x.shape[1] + 2) * 2.0**-22
        is_tie = (scores >= (scores.max(axis=1) - unsure)[:, None]).sum(axis=1) > 1
        if is_tie.any():
            codes[rows, 0][is_tie] = (exact_product(x[rows][is_tie], centers.T) - half_squares).argmax(axis=1)
        if errors is not None:
            differences = x[rows] - centers[codes[rows, 0]]
            errors[rows, 0] = np.einsum("nd,nd->n", differences, differences)


class Partition:
    """The codeword that each part of each sample is assigned to, and its squared distance.

    Attributes
    ----------
    codes : unsigned array (n, M)
    errors : float32 array (n, M)
        Squared distances.
    """

    def __init__(
        self, n: int, n_subspaces: int, n_codewords: int, d_sub: int, *, threads: int | None = None
    ) -> None:
        self.threads = threads
        self.codes: UnsignedCodes = np.zeros((n, n_subspaces), code_dtype(n_codewords))
        self.errors: Floats = np.zeros((n, n_subspaces), np.float32)
        self.counts = np.zeros((n_subspaces, n_codewords), np.int64)
        self.sums = np.zeros((n_subspaces, n_codewords, d_sub))

    def assign(self, x: Floats, codebooks: Floats) -> Doubles:
        """Assign each part to its nearest codeword; return the sum of squared distances of each subspace."""
        assign(x, codebooks, self.codes, self.errors, threads=self.threads)
        (total,) = combined(((_totals(self.errors[rows]),) for rows in row_slices(x)), add)
        return _finite(total)

    def add(self, x: Floats) -> None:
        """Compute the sums and counts of the parts of each codeword."""
        shape = self.sums.shape
        parts = (_sums(x[rows], self.codes[rows], shape, self.threads) for rows in row_slices(x))
        self.counts, self.sums = combined(parts, add)

    def cluster_errors(self, x: Floats) -> Doubles:
        """Return the sums (M, K) of the squared distances of the parts of each codeword."""
        n_codewords = self.counts.shape[1]
        parts = (
            (_cluster_errors(self.codes[rows], self.errors[rows], n_codewords),) for rows in row_slices(x)
        )
        errors: Doubles
        (errors,) = combined(parts, add)
        return errors

    def members(self, x: Floats, m: int, k: int) -> Floats:
        """Return the samples whose part `m` is assigned to codeword `k`."""
        return x[np.flatnonzero(self.codes[:, m] == k)]

    def means(self, x: Floats, codebooks: Floats) -> Floats:
        """Return the means of the parts of each codeword; codewords without parts split those of others.

        No sum of squared distances is larger with the means than with `codebooks`.
        """
        self.add(x)
        used = self.counts[..., None] > 0
        means = np.where(used, self.sums / np.maximum(self.counts, 1)[..., None], codebooks).astype(
            np.float32
        )
        incomplete = np.flatnonzero((self.counts == 0).any(axis=1)).tolist()
        errors = self.cluster_errors(x) if incomplete else np.empty(0)
        for m in incomplete:
            self._fill_empty(x, m, errors[m], codebooks[m], means[m])
        return means

    def _fill_empty(self, x: Floats, m: int, errors: Doubles, old: Floats, means: Floats) -> None:
        """Give each empty codeword half of the parts of another one, starting with the largest error.

        The parts are split by the plane through their mean that is orthogonal to the direction of the
        farthest part. The means of the halves have a smaller error than the mean of all.
        """
        counts, d_sub = self.counts[m], means.shape[1]
        errors = errors - counts * np.square(means.astype(np.float64) - old).sum(axis=1)
        empty = iter(np.flatnonzero(counts == 0).tolist())
        columns = slice(m * d_sub, (m + 1) * d_sub)
        target = next(empty)
        for k in np.argsort(-errors, kind="stable"):
            if errors[k] <= 0:
                return
            parts = self.members(x, m, int(k))[:, columns]
            offsets = parts - means[k]
            farthest = np.einsum("nd,nd->n", offsets, offsets).argmax()
            side = offsets @ offsets[farthest] > 0
            if not side.any() or side.all():
                continue  # equal up to rounding
            means[k] = parts[~side].mean(axis=0, dtype=np.float64)
            means[target] = parts[side].mean(axis=0, dtype=np.float64)
            if (target := next(empty, -1)) < 0:
                return


class RemotePartition(Partition):
    """The same of samples that are on other machines: assigned again where codes are needed."""

    _codebooks: Floats
    _errors: Doubles

    def __init__(self, n: int, *shape: int, threads: int | None = None) -> None:
        super().__init__(0, *shape, threads=1)

    def assign(self, x: Any, codebooks: Floats) -> Doubles:
        self._codebooks = codebooks
        total, self.counts, self.sums, self._errors = fold(x, _assigned, codebooks)
        return _finite(total)

    def add(self, x: Any) -> None:
        pass  # by `assign`

    def cluster_errors(self, x: Any) -> Doubles:
        return self._errors

    def members(self, x: Any, m: int, k: int) -> Floats:
        members: Floats = fold(x, _members, self._codebooks, m, k, combine=_stacked)
        return members


def _finite(total: Doubles) -> Doubles:
    if not np.isfinite(total).all():
        raise ValueError("X has values so large that their squared distances overflow float32; scale it")
    return total


def _totals(errors: Floats) -> Doubles:
    total: Doubles = errors.sum(axis=0, dtype=np.float64)
    return total


def _sums(
    x: Floats, codes: UnsignedCodes, shape: tuple[int, ...], threads: int | None
) -> tuple[Ids, Doubles]:
    """Return counts (M, K) and sums (M, K, d_sub) of the parts of a block by their codewords."""
    counts, sums = np.zeros(shape[:2], np.int64), np.zeros(shape)
    if shape[1] <= BYTE:
        _native.adc_sums(x, codes, sums, counts, threads)
        return counts, sums
    labels = codes[:, 0]
    order = np.argsort(labels, kind="stable")
    present, firsts = np.unique(labels[order], return_index=True)
    sums[0, present] = np.add.reduceat(x[order], firsts, dtype=np.float64)
    counts[0] = np.bincount(labels, minlength=shape[1])
    return counts, sums


def _cluster_errors(codes: UnsignedCodes, errors: Floats, n_codewords: int) -> Doubles:
    columns = zip(codes.T, errors.T, strict=True)
    return np.stack([np.bincount(of, weights=error, minlength=n_codewords) for of, error in columns])


def _assigned(block: Floats, codebooks: Floats) -> tuple[Doubles, Ids, Doubles, Doubles]:
    """Return what a `RemotePartition` keeps of a block."""
    partition = Partition(len(block), *codebooks.shape, threads=1)
    assign(block, codebooks, partition.codes, partition.errors, threads=1)
    counts, sums = _sums(block, partition.codes, codebooks.shape, 1)
    return (
        _totals(partition.errors),
        counts,
        sums,
        _cluster_errors(partition.codes, partition.errors, codebooks.shape[1]),
    )


def _members(block: Floats, codebooks: Floats, m: int, k: int) -> Floats:
    partition = Partition(len(block), *codebooks.shape, threads=1)
    assign(block, codebooks, partition.codes, partition.errors, threads=1)
    return partition.members(block, m, k)


def _stacked(a: Floats, b: Floats) -> Floats:
    return np.concatenate([a, b])


def inertia(x: Array | RowSource, centers: Floats, threads: int | None) -> float:
    """Return the sum of the squared distances of samples to their nearest centers (K, d)."""
    (total,) = fold(x, _inertia, centers, 1 if isinstance(x, RowSource) else threads)
    return float(total[0])


def _inertia(block: Floats, centers: Floats, threads: int | None) -> tuple[Doubles]:
    partition = Partition(len(block), 1, *centers.shape, threads=threads)
    return (partition.assign(block, centers[None]),)


def train(
    x: Any,
    n_subspaces: int,
    n_codewords: int,
    *,
    init: str,
    n_init: int,
    max_iter: int,
    tol: float,
    rng: np.random.Generator,
    step: Callable[[float], None],
    threads: int | None,
) -> tuple[Floats, Doubles]:
    """Seed and iterate `n_init` times; keep the best run of each subspace.

    Returns
    -------
    codebooks : float32 array (M, K, d_sub)
    history : float64 array (iterations + 1, M)
        Sums of squared distances: of the seeds, and after each iteration. The last are those of `codebooks`.
    """
    check_scale(x)
    kind = RemotePartition if isinstance(x, RowSource) else Partition
    partition = kind(len(x), n_subspaces, n_codewords, x.shape[1] // n_subspaces, threads=threads)
    runs = []
    for _ in range(n_init):
        codebooks = SEEDS[init](x, n_subspaces, n_codewords, rng)
        runs.append(iterate(x, codebooks, partition, max_iter=max_iter, tol=tol, step=step))
    length = max(len(history) for _, history in runs)
    histories = np.stack([np.pad(h, ((0, length - len(h)), (0, 0)), mode="edge") for _, h in runs])
    best, subspaces = histories[:, -1].argmin(axis=0), np.arange(n_subspaces)
    return np.stack([codebooks for codebooks, _ in runs])[best, subspaces], histories[best, :, subspaces].T


def iterate(
    x: Floats,
    codebooks: Floats,
    partition: Partition,
    *,
    max_iter: int,
    tol: float,
    step: Callable[[float], None],
) -> tuple[Floats, Doubles]:
    """Alternate means and assignment (Lloyd, IEEE Trans. Inf. Theory 28, 1982) until nothing improves."""
    best = partition.assign(x, codebooks)
    history = [best]
    for _ in range(max_iter):
        proposed = partition.means(x, codebooks)
        inertia = partition.assign(x, proposed)
        # In exact arithmetic no subspace gets worse; where rounding makes it worse, the old means are kept.
        better = inertia < best
        codebooks = np.where(better[:, None, None], proposed, codebooks)
        inertia = np.where(better, inertia, best)
        history.append(inertia)
        step(float(inertia.sum()) / len(x))
        if (best - inertia <= tol * best).all():
            break
        best = inertia
    return codebooks, np.array(history)


def as_codebook(arrays: Mapping[str, Array], name: str) -> Floats:
    """Return finite codewords (K, d) from the arrays of a file."""
    codebook = _files.take(arrays, name, np.float32, ("K", "d"), finite=True)
    if not 1 <= len(codebook) <= MAX_CODEWORDS or not codebook.shape[1]:
        raise ValueError(
            f"array {name!r} has shape {codebook.shape}; "
            f"expected 1 to {MAX_CODEWORDS} rows and 1 or more columns"
        )
    return codebook
