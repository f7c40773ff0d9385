"""Models trained on dask arrays, and their codes."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from fastcodes import hashing, quantization
from fastcodes._codec import Codec
from fastcodes._estimator import Estimator
from fastcodes._typing import UnsignedCodes
from fastcodes._validation import check_threads, describe
from fastcodes.distributed._engine import as_dask_array, load
from fastcodes.distributed._rows import ChunkedRows

__all__ = ["encode", "fit"]

Model = TypeVar("Model", bound=Estimator)

_FITTED = (
    hashing.ITQ,
    hashing.LocalityPreservingHashing,
    hashing.PCAHashing,
    hashing.RandomHyperplanes,
    hashing.RandomProjection,
    hashing.SpectralHashing,
    quantization.AdditiveQuantizer,
    quantization.CompositeQuantizer,
    quantization.KMeans,
    quantization.OptimizedProductQuantizer,
    quantization.ProductQuantizer,
    quantization.RaBitQuantizer,
    quantization.ResidualQuantizer,
    quantization.ScalarQuantizer,
    quantization.VectorQuantizer,
)


def fit(model: Model, X: Any, *, threads: int | None = None) -> Model:
    """Train a model on a dask array: to the bit what ``model.fit`` learns from the same rows in memory.

    ===============================  =================================================================
    models                           what leaves the workers
    ===============================  =================================================================
    quantizers, `ITQ`,               the random rows that they train on: at most `max_samples`, and
    `LocalityPreservingHashing`      65536 for `RaBitQuantizer`; ``max_samples=None`` fetches all
    `KMeans`                         seeds, then sums of the rows of each cluster, for each iteration;
                                     with `batch_size`, the batches
    `PCAHashing`, `SpectralHashing`  moments: a mean and a covariance; with medians, 65536 rows
    `RandomHyperplanes`,             nothing: all values are only checked
    `RandomProjection`
    ===============================  =================================================================

    Training on fetched rows runs here. Sums over all rows are those of blocks of a fixed number of rows,
    added in a fixed order, in memory as on the cluster: chunks, workers and threads do not matter.

    Parameters
    ----------
    model : model of fastcodes.quantization or fastcodes.hashing
        One of those above. It is changed.
    X : dask array (n, d)
        Samples: float16, float32, float64 or integers, in chunks of known sizes.
    threads : int, optional
        Threads of the kernels on this machine; None means all CPUs of this process. Tasks on workers use one
        each.

    Returns
    -------
    model
        `model` itself.

    Raises
    ------
    ImportError
        If Dask is not installed.
    TypeError
        If `X` is not a dask array of real numbers, or the model cannot be fitted so: those that learn from
        labels or in epochs. Fit them on rows in memory: `encode` and `knn` take every codec.
    ValueError
        As the model's own `fit`.

    Notes
    -----
    The computation starts at once, with the client of ``dask.distributed`` if there is one. `KMeans`,
    `PCAHashing` and `SpectralHashing` read `X` several times: give ``X.persist()`` if its chunks are
    expensive to make. Covariances are products by numpy's BLAS: with another processor or another build of
    numpy on the workers, they may differ in the last bit.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from fastcodes import distributed
    >>> from fastcodes.quantization import KMeans
    >>> X = np.random.default_rng(0).standard_normal((1000, 8)).astype(np.float32)
    >>> model = distributed.fit(KMeans(10, random_state=0), da.from_array(X, chunks=(300, 8)))
    >>> bool(np.array_equal(model.centers_, KMeans(10, random_state=0).fit(X).centers_))
    True
    """
    load()
    check_threads(threads)
    if not isinstance(model, _FITTED):
        if not isinstance(model, Estimator):
            raise TypeError(f"model must be a model of fastcodes that is not fitted; got {describe(model)}")
        raise TypeError(
            f"model is a {type(model).__name__}, which cannot be fitted on a cluster; fit it on rows in "
            "memory, such as model.fit(X[:65536].compute()): distributed.encode and distributed.knn take it"
        )
    rows: Any = ChunkedRows(X)
    model.fit(rows, threads=threads)
    return model


def encode(model: Codec, X: Any, *, threads: int | None = 1) -> Any:
    """Return the codes of the rows of a dask array, as a dask array: to the bit those of ``model.encode``.

    Parameters
    ----------
    model : model of fastcodes.quantization or fastcodes.hashing
        A fitted model that encodes vectors.
    X : dask array (n, d)
        Samples: float16, float32, float64 or integers, in chunks of known sizes.
    threads : int or None
        Threads of the kernels in each task; None means all CPUs of a worker. Dask runs as many tasks at once
        as a worker has threads, so one each is right.

    Returns
    -------
    dask array (n, code_size)
        A row of codes for each row, in the chunks of `X`; not computed yet. For a `RaBitQuantizer` a row is
        the bytes of a code and of its factors, as ``model.transform`` returns them. `knn` takes it; so does
        ``add_codes`` of an index, after ``compute()``.

    Raises
    ------
    ImportError
        If Dask is not installed.
    NotFittedError
        If the model is not fitted.
    TypeError
        If `model` does not encode vectors, or `X` is not a dask array of real numbers.
    ValueError
        If `X` has another shape, chunks of unknown sizes or, when it is computed, a value that is not finite:
        the error counts the rows of its chunk.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from fastcodes import distributed
    >>> from fastcodes.hashing import ITQ
    >>> X = np.random.default_rng(0).standard_normal((1000, 16)).astype(np.float32)
    >>> model = ITQ(16, random_state=0).fit(X)
    >>> codes = distributed.encode(model, da.from_array(X, chunks=(300, 16)))
    >>> codes.chunks
    ((300, 300, 300, 100), (2,))
    >>> bool((codes.compute() == model.encode(X)).all())
    True
    """
    dask = load()
    if not (isinstance(model, Codec) and model.encodes_vectors):
        raise TypeError(f"model must be a fitted model that encodes vectors; got {describe(model)}")
    x = as_dask_array(X, "X")
    check_threads(threads)
    empty = model.rows(np.empty((0, x.shape[1]), x.dtype))
    return dask.array.map_blocks(
        _rows,
        x,
        model=dask.delayed(model, traverse=False),
        threads=threads,
        dtype=empty.dtype,
        chunks=(x.chunks[0], (empty.shape[1],)),
        meta=empty,
    )


def _rows(chunk: Any, model: Codec, threads: int | None) -> UnsignedCodes:
    return model.rows(np.asarray(chunk), threads=threads)
