"""Fit, encode, search and deduplicate on many machines, with Dask: ``pip install 'fastcodes[distributed]'``.

=================  ========================================================================================
`knn`              the nearest codes in a dask array
`fit`              train a model on a dask array
`encode`           the codes of a dask array
`dedup`            groups of near-duplicates in a dask bag, or a column of a dask data frame
=================  ========================================================================================

Results are to the bit those of one machine, for all chunks and any number of workers; what a worker that dies
has lost is computed again. Everything runs on the client of ``dask.distributed`` that is open, otherwise on
the threads of this machine, and shows progress as Dask does: in its dashboard, by
``dask.distributed.progress(found.persist())``, or by ``dask.diagnostics.ProgressBar`` without a client.
Importing this module does not import Dask.

Other engines
-------------
The parts are functions of arrays: `fastcodes.merge_topk` merges searches of parts in any grouping,
`fastcodes.minhash.band_keys` makes keys by which an engine brings similar sets together, and
`fastcodes.components` turns pairs into groups. Here they are with Ray Data and with Spark; each engine moves
the rows, and the result is that of one machine.

Ray Data: a search of the rows ``{"row": number, "code": bytes}``, and the groups of near-duplicates among the
rows ``{"row": number, "text": text}``.

```python
import numpy as np
from fastcodes import components, hamming, merge_topk, minhash
from fastcodes.index import MinHashIndex


def ray_knn(queries, codes, k):
    def nearest(batch):
        order = np.argsort(batch["row"])
        distances, places = hamming.knn(queries, batch["code"][order], k, threads=1)
        rows = np.where(places < 0, -1, batch["row"][order][places])
        return {"distances": distances[None], "rows": rows[None]}

    parts = codes.map_batches(nearest, batch_size=None, batch_format="numpy").take_all()
    return merge_topk([part["distances"] for part in parts], [part["rows"] for part in parts], k)


def ray_groups(texts, n, n_buckets=16):
    index = MinHashIndex()

    def keyed(batch):
        signatures = index.codec.encode(batch["text"].tolist(), threads=1)
        keys = minhash.band_keys(signatures, index.n_bands, index.n_rows, threads=1)
        return {
            "bucket": (keys % np.uint64(n_buckets)).astype(np.int64).ravel(),
            "row": batch["row"].repeat(index.n_bands),
            "signature": signatures.repeat(index.n_bands, axis=0),
        }

    def similar(bucket):
        rows, places = np.unique(bucket["row"], return_index=True)
        part = MinHashIndex()
        part.add_codes(bucket["signature"][places], threads=1)
        return {"row": rows, "like": rows[part.groups(threads=1)]}

    keys = texts.map_batches(keyed, batch_size=None, batch_format="numpy")
    pairs = keys.groupby("bucket").map_groups(similar, batch_format="numpy").take_all()
    return components([pair["row"] for pair in pairs], [pair["like"] for pair in pairs], n)
```

Spark: the same for data frames with the columns ``row long, code binary`` or ``row long, text string``. Rows
with the same key are sent to one partition and compared there.

```python
import numpy as np
from fastcodes import components, hamming, merge_topk, minhash
from fastcodes.index import MinHashIndex


def numbers(batches, name):
    return np.concatenate([batch[name].to_numpy() for batch in batches])


def matrix(batches, name, dtype):
    rows = [row for batch in batches for row in batch[name].to_pylist()]
    return np.frombuffer(b"".join(rows), dtype).reshape(len(rows), -1)


def spark_knn(queries, codes, k):
    def nearest(batches):
        import pyarrow

        for batch in batches:
            order = np.argsort(batch["row"].to_numpy())
            code = matrix([batch], "code", np.uint8)[order]
            distances, places = hamming.knn(queries, code, k, threads=1)
            rows = np.where(places < 0, -1, batch["row"].to_numpy()[order][places])
            part = {"distances": [distances.tobytes()], "rows": [rows.tobytes()]}
            yield pyarrow.RecordBatch.from_pydict(part)

    parts = codes.mapInArrow(nearest, "distances binary, rows binary").collect()
    shape = (len(queries), k)
    distances = [np.frombuffer(part["distances"], np.int32).reshape(shape) for part in parts]
    rows = [np.frombuffer(part["rows"], np.int64).reshape(shape) for part in parts]
    return merge_topk(distances, rows, k)


def spark_groups(texts, n, n_buckets=16):
    index = MinHashIndex()

    def keyed(batches):
        import pyarrow

        for batch in batches:
            signatures = index.codec.encode(batch["text"].to_pylist(), threads=1)
            keys = minhash.band_keys(signatures, index.n_bands, index.n_rows, threads=1)
            part = {
                "key": keys.view(np.int64).ravel(),
                "row": batch["row"].to_numpy().repeat(index.n_bands),
                "signature": [row.tobytes() for row in signatures for _ in range(index.n_bands)],
            }
            yield pyarrow.RecordBatch.from_pydict(part)

    def similar(batches):
        import pyarrow

        batches = list(batches)
        if batches:
            rows, places = np.unique(numbers(batches, "row"), return_index=True)
            part = MinHashIndex()
            part.add_codes(matrix(batches, "signature", np.uint32)[places], threads=1)
            like = rows[part.groups(threads=1)]
            yield pyarrow.RecordBatch.from_pydict({"row": rows, "like": like})

    keys = texts.mapInArrow(keyed, "key long, row long, signature binary").repartition(n_buckets, "key")
    pairs = keys.mapInArrow(similar, "row long, like long").collect()
    return components([pair["row"] for pair in pairs], [pair["like"] for pair in pairs], n)
```
"""

from fastcodes.distributed._dedup import dedup
from fastcodes.distributed._models import encode, fit
from fastcodes.distributed._search import knn

__all__ = ["dedup", "encode", "fit", "knn"]
