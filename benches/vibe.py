"""The classes that VIBE and ann-benchmarks load; run as a program, tries them on real data.

To run VIBE, copy this file to ``vibe/algorithms/fastcodes/module.py``, install the wheel in ``image.def``,
and write ``config.yml``::

    float:
      any:
      - name: fastcodes
        module: vibe.algorithms.fastcodes
        constructor: RaBitQ
        singularity_image: fastcodes
        disabled: false
        base_args: ['@metric']
        run_groups:
          default:
            args:
              n_bits: [1, 2, 4]
            query_args:
              oversample: [0, 1, 2, 4, 8, 16]
      - name: fastcodes-ivf
        module: vibe.algorithms.fastcodes
        constructor: IVFRaBitQ
        singularity_image: fastcodes
        disabled: false
        base_args: ['@metric']
        run_groups:
          default:
            args:
              n_bits: [1, 4]
              n_lists: [1024]
            query_args:
              n_probes: [4, 8, 16, 32, 64]
              oversample: [4, 8, 16]
    binary:
      hamming:
      - name: fastcodes
        module: vibe.algorithms.fastcodes
        constructor: Hamming
        singularity_image: fastcodes
        disabled: false
        base_args: ['@metric']
        run_groups:
          default:
            args: {}

In ann-benchmarks the file is ``ann_benchmarks/algorithms/fastcodes/module.py``.
"""

import time
from dataclasses import replace
from typing import Any

import numpy as np
from fastcodes import bits
from fastcodes.hashing import Bits
from fastcodes.index import FlatIndex, IVFIndex
from fastcodes.quantization import RaBitQuantizer

try:
    from ..base.module import BaseANN
except ImportError:
    BaseANN = object

METRICS = {"euclidean": "l2", "cosine": "cosine", "angular": "cosine", "ip": "ip", "normalized": "ip"}
"""The distances of both benchmarks; "normalized" are the inner products of vectors of length 1."""


class RaBitQ(BaseANN):  # type: ignore[misc, valid-type]
    """Vectors as RaBitQ codes, all of which are searched; candidates are scored again by their vectors.

    Parameters
    ----------
    metric : str
        A key of `METRICS`.
    n_bits : int
        Bits per dimension, 1 to 8.
    """

    def __init__(self, metric: str, n_bits: int) -> None:
        self.metric, self.n_bits, self.oversample = METRICS[metric], n_bits, 4.0

    def fit(self, x: Any) -> None:
        """Encode the rows of `x`, which are kept for scoring."""
        self.x = np.ascontiguousarray(x)
        model = RaBitQuantizer(self.n_bits, metric=self.metric, random_state=0).fit(self.x, threads=1)
        self.index = FlatIndex(model)
        self.index.add(self.x, threads=1)

    def set_query_arguments(self, oversample: float) -> None:
        """Score `oversample` candidates for each neighbour again; 0 does without."""
        self.oversample = oversample

    def query(self, v: Any, n: int) -> Any:
        """Return the row numbers of the `n` nearest."""
        again = {"rerank": self.x, "oversample": self.oversample} if self.oversample else {}
        return self.index.search(v, n, **again, threads=1)[1][0]

    def __str__(self) -> str:
        return f"fastcodes.RaBitQ(n_bits={self.n_bits}, oversample={self.oversample})"


class IVFRaBitQ(BaseANN):  # type: ignore[misc, valid-type]
    """RaBitQ codes of residuals in inverted lists; candidates are scored again by their vectors.

    Parameters
    ----------
    metric : str
        A key of `METRICS`.
    n_bits : int
        Bits per dimension, 1 to 8.
    n_lists : int
        Inverted lists.
    """

    def __init__(self, metric: str, n_bits: int, n_lists: int) -> None:
        self.metric, self.n_bits, self.n_lists = METRICS[metric], n_bits, n_lists
        self.n_probes, self.oversample = 8, 4.0

    def fit(self, x: Any) -> None:
        """Learn the lists, and encode the rows of `x`, which are kept for scoring."""
        self.x = np.ascontiguousarray(x, np.float32)
        codec = RaBitQuantizer(self.n_bits, metric=self.metric, random_state=0)
        self.index = IVFIndex(codec, self.n_lists, random_state=0).fit(self.x, threads=1)
        self.index.add(self.x, threads=1)

    def set_query_arguments(self, n_probes: int, oversample: float) -> None:
        """Look at `n_probes` lists, and score `oversample` candidates for each neighbour again."""
        self.n_probes, self.oversample = n_probes, oversample

    def query(self, v: Any, n: int) -> Any:
        """Return the row numbers of the `n` nearest."""
        options = {"n_probes": self.n_probes, "oversample": self.oversample, "rerank": self.x}
        return self.index.search(v, n, **options, threads=1)[1][0]

    def __str__(self) -> str:
        settings = f"n_bits={self.n_bits}, n_lists={self.n_lists}, n_probes={self.n_probes}"
        return f"fastcodes.IVFRaBitQ({settings}, oversample={self.oversample})"


class Hamming(BaseANN):  # type: ignore[misc, valid-type]
    """An exact search of bits: packed, as in VIBE, or booleans, as in ann-benchmarks.

    Parameters
    ----------
    metric : str
        "hamming".
    """

    def __init__(self, metric: str) -> None:
        self.metric = metric

    def fit(self, x: Any) -> None:
        """Keep the rows of `x`."""
        codes = self._packed(x)
        self.index = FlatIndex(Bits(8 * codes.shape[1]).fit(), metric=self.metric)
        self.index.add(codes, threads=1)

    def query(self, v: Any, n: int) -> Any:
        """Return the row numbers of the `n` nearest."""
        return self.index.search(self._packed(v[None]), n, threads=1)[1][0]

    def _packed(self, x: Any) -> Any:
        return bits.pack(x) if x.dtype == bool else x

    def __str__(self) -> str:
        return "fastcodes.Hamming()"


# --- a trial ------------------------------------------------------------------------------------------------


def main() -> None:
    """Print recall and queries per second of all arguments of the configuration."""
    import tradeoff

    for data, metric in ((tradeoff.sift(), "euclidean"), (tradeoff.captions(), "normalized")):
        nearest = tradeoff.with_nearest(data).nearest
        for n_bits in (1, 2, 4):
            contestant = RaBitQ(metric, n_bits)
            contestant.fit(data.base)
            for oversample in (0, 1, 2, 4, 8, 16):
                contestant.set_query_arguments(oversample)
                report(data.name, contestant, data.queries, nearest)
        lists = IVFRaBitQ(metric, 1, 256)
        lists.fit(data.base)
        for n_probes, oversample in ((4, 4), (8, 8), (16, 16), (32, 16)):
            lists.set_query_arguments(n_probes, oversample)
            report(data.name, lists, data.queries, nearest)
        contestant = Hamming("hamming")
        middle = np.median(data.base, axis=0)
        signs = replace(data, base=data.base > middle, queries=data.queries > middle)
        contestant.fit(signs.base)
        report(f"{data.name}, signs", contestant, signs.queries, tradeoff.with_nearest(signs).nearest)


def report(data: str, contestant: Any, queries: Any, nearest: Any) -> None:
    """Print a line."""
    k = nearest.shape[1]
    start = time.perf_counter()
    found = [contestant.query(query, k) for query in queries]
    seconds = time.perf_counter() - start
    recall = np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(found, nearest, strict=True)])
    print(
        f"{data:16} {contestant!s:48} recall@{k} {recall:.3f}  {len(queries) / seconds:8.0f} queries/s",
        flush=True,
    )


if __name__ == "__main__":
    main()
