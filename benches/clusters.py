"""One machine against two workers, of Dask and of the recipes for Ray and Spark; writes a record.

Every answer is compared to the bit with that of one process. An engine that is not installed is left out.
"""

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Any

import numpy as np
import records
from fastcodes import distributed, hamming
from fastcodes._typing import Array
from fastcodes.index import MinHashIndex
from fastcodes.quantization import KMeans

N_CODES = 4_000_000
N_BYTES = 32
N_QUERIES = 1000
K = 10
N_VECTORS, N_DIMENSIONS, N_CLUSTERS, N_ITERATIONS = 400_000, 64, 256, 10
N_TEXTS, N_WORDS = 50_000, 300
N_PARTS = 16
ROUNDS = 2
ONE = "one process"
HEADINGS = ["work", "by", "best time, s", "of one process"]
ABOUT = f"""\
One thread for each process. Search: the {K} nearest of {N_CODES} codes of {8 * N_BYTES} bits for
{N_QUERIES} queries. K-means: {N_CLUSTERS} clusters of {N_VECTORS} vectors of {N_DIMENSIONS} dimensions,
{N_ITERATIONS} iterations. Near-duplicates: among {N_TEXTS} texts of {N_WORDS} words, a third of which are
changed copies. {N_PARTS} partitions, which are on the workers before the clock starts; the answers are those
of one process to the bit. The best of {ROUNDS} runs. Handing out tasks takes up to seconds, so
that short work gains nothing: a cluster is for data that one machine does not hold, or not in time."""
ENGINES = ("dask", "distributed", "ray", "pyspark")

Work = Callable[[], Any]


def main() -> None:
    """Measure everything, print it, and write the record."""
    record = records.facts()
    data = Data()
    local = {
        "search": lambda: hamming.knn(data.queries, data.codes, K, threads=1),
        "k-means": lambda: kmeans().fit(data.vectors, threads=1).centers_,
        "near-duplicates": data.groups,
    }
    answers, lines = {}, []
    for work, call in local.items():
        seconds, answers[work] = timed(call)
        lines.append({"work": work, "by": ONE, "seconds": seconds})
    for by, engine in CLUSTERS.items():
        with suppress(ModuleNotFoundError), engine(data) as works:
            for work, call in works.items():
                seconds, answer = timed(call)
                if not same(answer, answers[work]):
                    sys.exit(f"{work} by {by} differs from the answer of one process")
                lines.append({"work": work, "by": by, "seconds": seconds})
                print(work, by, f"{seconds:.2f} s", flush=True)
    first = {line["work"]: line["seconds"] for line in lines if line["by"] == ONE}
    lines.sort(key=lambda line: list(first).index(line["work"]))
    record |= {"engines": versions(), "lines": lines}
    engines = ", ".join(f"{name} {number}" for name, number in record["engines"].items())
    cells = [
        [line["work"], line["by"], f"{line['seconds']:.2f}", f"{line['seconds'] / first[line['work']]:.2f}x"]
        for line in lines
    ]
    page = (
        f"# One machine and two workers, {record['date']}\n\n{records.facts_as_list(record)}"
        f"- engines: {engines}\n\n{ABOUT}\n\n{records.table(HEADINGS, cells)}\n"
    )
    print("\n" + page)
    records.write(records.name(record, "clusters"), record, page)


class Data:
    """Random codes, vectors and texts."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.codes = rng.integers(0, 256, (N_CODES, N_BYTES), np.uint8)
        self.queries = rng.integers(0, 256, (N_QUERIES, N_BYTES), np.uint8)
        self.vectors = rng.standard_normal((N_VECTORS, N_DIMENSIONS)).astype(np.float32)
        words = np.array([f"w{number}" for number in range(5000)], object)
        self.texts = [" ".join(rng.choice(words, N_WORDS)) for _ in range(N_TEXTS * 2 // 3)]
        self.texts += [text[10:] for text in self.texts[: N_TEXTS - len(self.texts)]]

    def groups(self) -> Array:
        """Return the groups of near-duplicates."""
        index = MinHashIndex()
        index.add(self.texts, threads=1)
        return index.groups(threads=1)


def kmeans() -> KMeans:
    return KMeans(N_CLUSTERS, max_iter=N_ITERATIONS, tol=0, random_state=0)


def timed(call: Work) -> tuple[float, Any]:
    """Return the best time and the last answer."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        answer = call()
        seconds.append(time.perf_counter() - start)
    return min(seconds), answer


def same(a: Any, b: Any) -> bool:
    pairs = zip(a, b, strict=True) if isinstance(a, tuple) else [(a, b)]
    return all(np.array_equal(one, other) for one, other in pairs)


def versions() -> dict[str, str]:
    """Return the versions of the engines."""
    found = {}
    for name in ENGINES:
        with suppress(ModuleNotFoundError):
            found[name] = version(name)
    return found


# --- engines ------------------------------------------------------------------------------------------------


def recipe(name: str) -> Any:
    """Return a function of the recipes in the documentation."""
    for code in re.findall(r"```python\n(.*?)```", distributed.__doc__ or "", re.DOTALL):
        if f"def {name}(" in code:
            # Of the main module, so that the engines send the functions themselves to their workers.
            space: dict[str, Any] = {"__name__": "__main__"}
            exec(code, space)
            return space[name]
    raise LookupError(name)


@contextmanager
def dask_workers(data: Data) -> Iterator[dict[str, Work]]:
    """Start two workers of Dask."""
    import dask.array
    import dask.bag
    from distributed import Client, LocalCluster, wait

    with (
        LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address="localhost:0") as cluster,
        Client(cluster),
    ):
        codes, vectors = (
            dask.array.from_array(x, chunks=(-(-len(x) // N_PARTS), -1)).persist()
            for x in (data.codes, data.vectors)
        )
        texts = dask.bag.from_sequence(data.texts, npartitions=N_PARTS).persist()
        wait([codes, vectors, texts])
        yield {
            "search": lambda: distributed.knn(data.queries, codes, K).compute(),
            "k-means": lambda: distributed.fit(kmeans(), vectors, threads=1).centers_,
            "near-duplicates": lambda: distributed.dedup(texts).compute(),
        }


@contextmanager
def ray_workers(data: Data) -> Iterator[dict[str, Work]]:
    """Start two workers of Ray."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    numbers = np.array_split(np.arange(N_CODES), N_PARTS)
    rows = ray.data.from_blocks([table({"row": part, "code": data.codes[part]}) for part in numbers])
    texts = ray.data.from_items([{"row": i, "text": text} for i, text in enumerate(data.texts)])
    texts = texts.repartition(N_PARTS).materialize()
    yield {
        "search": lambda: recipe("ray_knn")(data.queries, rows, K),
        "near-duplicates": lambda: recipe("ray_groups")(texts, N_TEXTS),
    }
    ray.shutdown()


def table(batch: dict[str, Array]) -> Any:
    """Return a block of Ray."""
    from ray.data.block import BlockAccessor

    return BlockAccessor.batch_to_block(batch)


@contextmanager
def spark_workers(data: Data) -> Iterator[dict[str, Work]]:
    """Start two workers of Spark."""
    import pyarrow
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "3g")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    packed = pyarrow.FixedSizeBinaryArray.from_buffers(
        pyarrow.binary(N_BYTES), N_CODES, [None, pyarrow.py_buffer(data.codes)]
    ).cast(pyarrow.binary())
    codes = spark.createDataFrame(pyarrow.table({"row": np.arange(N_CODES), "code": packed}))
    texts = spark.createDataFrame(pyarrow.table({"row": np.arange(N_TEXTS), "text": data.texts}))
    codes, texts = (frame.repartition(N_PARTS).cache() for frame in (codes, texts))
    codes.count(), texts.count()
    yield {
        "search": lambda: recipe("spark_knn")(data.queries, codes, K),
        "near-duplicates": lambda: recipe("spark_groups")(texts, N_TEXTS),
    }
    spark.stop()


CLUSTERS = {
    "two workers of Dask": dask_workers,
    "two workers of Ray": ray_workers,
    "two workers of Spark": spark_workers,
}


if __name__ == "__main__":
    main()
