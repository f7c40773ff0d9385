"""Quantizers from and to nanopq.

Codebooks are float32 ``(M, K, d / M)`` and codes uint8 ``(n, M)`` on both sides: codes of
``nanopq.PQ.encode`` can be searched with `fastcodes.adc` or added to a `fastcodes.index.FlatIndex` without
conversion. Two things differ:

- **Rotations.** ``nanopq.OPQ`` rotates by ``x @ R``, here by ``x @ rotation_.T``: one is the transpose of
  the other.
- **The sign of inner products.** Here smaller is nearer everywhere, so the distance is the negative inner
  product: the negative of what the metric ``"dot"`` of nanopq gives.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from fastcodes._estimator import check_fitted
from fastcodes._validation import describe
from fastcodes.quantization import OptimizedProductQuantizer, ProductQuantizer

__all__ = ["from_nanopq", "to_nanopq"]


def from_nanopq(quantizer: Any) -> ProductQuantizer:
    """Convert a quantizer of nanopq.

    Parameters
    ----------
    quantizer : nanopq.PQ or nanopq.OPQ
        Fitted, with up to 256 codewords.

    Returns
    -------
    ProductQuantizer, or OptimizedProductQuantizer for an OPQ
        With the metric ``"l2"``, or ``"ip"`` for ``"dot"``. It shares no memory with `quantizer`. A
        `fastcodes.index.FlatIndex` over it takes the codes by ``add_codes``.

    Raises
    ------
    ImportError
        If nanopq is not installed.
    TypeError
        If `quantizer` is something else.
    ValueError
        If it is not fitted, or has more than 256 codewords.

    See Also
    --------
    to_nanopq : The inverse.

    Notes
    -----
    ``nanopq.OPQ.fit`` of version 0.2 loses the metric of the constructor, so that a fitted one has ``"l2"``.

    ::

        import nanopq
        from fastcodes.interop.nanopq import from_nanopq

        theirs = nanopq.PQ(M=8).fit(X)
        ours = from_nanopq(theirs)  # ours.encode(X) == theirs.encode(X)
    """
    nanopq = _nanopq()
    if not isinstance(quantizer, (nanopq.PQ, nanopq.OPQ)):
        raise TypeError(f"quantizer must be a nanopq.PQ or a nanopq.OPQ; got {describe(quantizer)}")
    is_rotated = isinstance(quantizer, nanopq.OPQ)
    inner = quantizer.pq if is_rotated else quantizer
    if inner.codewords is None or (is_rotated and quantizer.R is None):
        raise ValueError("quantizer is not fitted; call quantizer.fit(X) before")
    if inner.Ks > 256:
        raise ValueError(f"quantizer has {inner.Ks} codewords; expected up to 256, a byte a code")
    metric = "ip" if inner.metric == "dot" else "l2"
    codebooks = np.array(inner.codewords, np.float32)
    if is_rotated:
        rotation = np.array(quantizer.R.T, np.float32, order="C")
        return OptimizedProductQuantizer.from_codebooks(codebooks, rotation, metric=metric)
    return ProductQuantizer.from_codebooks(codebooks, metric=metric)


def to_nanopq(quantizer: ProductQuantizer) -> Any:
    """Convert a quantizer to nanopq.

    Parameters
    ----------
    quantizer : ProductQuantizer or OptimizedProductQuantizer
        Fitted. Of a `FlatIndex`, this is ``index.codec``, and its codes are ``index.codes``.

    Returns
    -------
    nanopq.PQ, or nanopq.OPQ if there is a rotation
        With ``verbose=False``. It shares no memory with `quantizer`.

    Raises
    ------
    ImportError
        If nanopq is not installed.
    TypeError
        If `quantizer` is something else.
    ValueError
        If it is not fitted.

    See Also
    --------
    from_nanopq : The inverse.
    """
    nanopq = _nanopq()
    if not isinstance(quantizer, ProductQuantizer):
        raise TypeError(
            f"quantizer must be a ProductQuantizer or an OptimizedProductQuantizer; got {describe(quantizer)}"
        )
    check_fitted(quantizer)
    n_subspaces, n_codewords, n_dims = quantizer.codebooks_.shape
    metric = "dot" if quantizer.metric == "ip" else "l2"
    is_rotated = isinstance(quantizer, OptimizedProductQuantizer)
    make = nanopq.OPQ if is_rotated else nanopq.PQ
    theirs = make(n_subspaces, n_codewords, metric=metric, verbose=False)
    inner = theirs.pq if is_rotated else theirs
    inner.Ds = n_dims
    inner.codewords = quantizer.codebooks_.copy()
    if isinstance(quantizer, OptimizedProductQuantizer):
        theirs.R = quantizer.rotation_.T.copy()
    return theirs


def _nanopq() -> ModuleType:
    try:
        import nanopq
    except ImportError as error:
        raise ImportError("fastcodes.interop.nanopq needs nanopq: pip install nanopq") from error
    module: ModuleType = nanopq
    return module
