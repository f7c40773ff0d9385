"""Semantic search over quantized embeddings of captions, beside sentence-transformers; writes a record."""

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import records
import sentence_transformers_peer
from datasets import load
from fastcodes._typing import Array
from fastcodes.interop.sentence_transformers import semantic_search

N_QUERIES, K, N_PASSES = 500, 10, 7
MULTIPLIERS = (2, 4, 8)
PRECISIONS = {
    "float32": ("faiss", "usearch"),
    "uint8": ("faiss",),
    "int8": ("usearch",),
    "ubinary": ("faiss", "usearch"),
    "binary": ("usearch",),
}
"""What each library of sentence-transformers searches."""
ABOUT = """\
{n:,} captions of COCO as embeddings of all-MiniLM-L6-v2 in {d} dimensions, and {n_queries} other captions as
queries in one call, on one thread. Recall@10 is the share of the 10 largest inner products of the embeddings
that are found; candidates are rescored by what their codes stand for, or, in lines "vectors", by the
embeddings themselves. "call" is a call that begins with the quantized corpus; "search" is the time that calls
with its index report, the best of {n_passes}. Both are milliseconds. faiss and usearch are
`semantic_search_faiss` and `semantic_search_usearch` of sentence-transformers {version}, with `exact=True`
and the same ranges of integers; there, usearch cannot be told to use one thread, and uses all. A ratio is a
time, divided by that of fastcodes."""
HEADINGS = ["precision", "rescored", "library", "recall@10", "search", "call", "search, ratio", "call, ratio"]


def main() -> None:
    """Measure everything, print it, and write the record."""
    theirs = sentence_transformers_peer.quantization()
    if theirs is None:
        sys.exit("sentence-transformers is not installed: pip install --no-deps sentence-transformers")
    logging.getLogger("peer.quantization").setLevel(logging.ERROR)
    from importlib.metadata import version

    import faiss

    faiss.omp_set_num_threads(1)
    record = records.facts()
    x = load("coco_minilm_f16.npz")["embedding"].astype(np.float32)
    rows = np.random.default_rng(0).permutation(len(x))
    queries, corpus = x[np.sort(rows[:N_QUERIES])], x[np.sort(rows[N_QUERIES:])]
    lines = measure(theirs, queries, corpus)
    path = records.name(record, "sentence-transformers")
    about = ABOUT.format(
        n=len(corpus), d=x.shape[1], n_queries=N_QUERIES, n_passes=N_PASSES,
        version=version("sentence-transformers"),
    )  # fmt: skip
    table = records.table(HEADINGS, [cells(line, lines) for line in lines])
    page = f"# Semantic search, {record['date']}\n\n{records.facts_as_list(record)}\n{about}\n\n{table}\n"
    print("\n" + page)
    records.write(path, record | {"lines": lines}, page)
    print(f"record: {path}.json, .md")


def measure(theirs: Any, queries: Array, corpus: Array) -> list[dict[str, Any]]:
    """Return a line for each precision, rescoring and library."""
    products = queries.astype(np.float64) @ corpus.T.astype(np.float64)
    true = np.argsort(-products, axis=1, kind="stable")[:, :K]
    ranges = np.stack([corpus.min(axis=0), corpus.max(axis=0)])
    lines = []
    for precision, libraries in PRECISIONS.items():
        codes = theirs.quantize_embeddings(corpus, precision, ranges=ranges)
        searches: dict[str, Callable[..., Any]] = {"fastcodes": single_threaded}
        searches |= {name: getattr(theirs, f"semantic_search_{name}") for name in libraries}
        for multiplier in (None,) if precision == "float32" else MULTIPLIERS:
            options = {
                "corpus_precision": precision, "ranges": ranges, "top_k": K,
                "rescore": multiplier is not None, "rescore_multiplier": multiplier or 1,
            }  # fmt: skip
            for name, search in searches.items():
                lines.append(timed(search, queries, codes, true, **options))
                lines[-1] |= {"precision": precision, "rescored": describe(multiplier), "library": name}
                print(lines[-1], flush=True)
            if precision == "ubinary":
                lines.append(timed(single_threaded, queries, codes, true, rerank=corpus, **options))
                rescored = f"{describe(multiplier)}, vectors"
                lines[-1] |= {"precision": precision, "rescored": rescored, "library": "fastcodes"}
    return lines


def single_threaded(*args: Any, **options: Any) -> Any:
    """Search on one thread."""
    return semantic_search(*args, threads=1, **options)


def describe(multiplier: int | None) -> str:
    """Return how many candidates are rescored."""
    return "no" if multiplier is None else f"{multiplier} x {K}"


def timed(search: Callable[..., Any], queries: Array, codes: Array, true: Array, **options: Any) -> Any:
    """Return recall, and the times of a call and of the best search."""
    start = time.perf_counter()
    results, _, index = search(queries, codes, output_index=True, **options)
    call = time.perf_counter() - start
    seconds = [search(queries, corpus_index=index, **options)[1] for _ in range(N_PASSES)]
    found = [{hit["corpus_id"] for hit in hits} for hits in results]
    recall = float(
        np.mean([len(ids & set(best)) / K for ids, best in zip(found, true.tolist(), strict=True)])
    )
    return {"recall": recall, "search": min(seconds), "call": call}


def cells(line: dict[str, Any], lines: list[dict[str, Any]]) -> list[str]:
    """Return a line of the table."""
    case = (line["precision"], line["rescored"], "fastcodes")
    (ours,) = (one for one in lines if (one["precision"], one["rescored"], one["library"]) == case)
    times = [f"{1e3 * line[name]:,.0f}" for name in ("search", "call")]
    ratios = [f"{line[name] / ours[name]:,.1f}x" for name in ("search", "call")]
    return [
        line["precision"], line["rescored"], line["library"], f"{line['recall']:.3f}", *times, *ratios
    ]  # fmt: skip


if __name__ == "__main__":
    main()
