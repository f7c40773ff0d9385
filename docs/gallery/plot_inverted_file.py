"""
Inverted files: visit a few lists
=================================

An inverted file sorts vectors by their nearest center. A search visits the lists whose centers are nearest to
the query.
"""

# %%
# Digits in two dimensions: the cells of 16 centers, and the lists that one query visits.

import matplotlib.pyplot as plt
import numpy as np
from fastcodes import metrics
from fastcodes.index import IVFIndex
from fastcodes.quantization import KMeans, RaBitQuantizer
from sklearn.datasets import load_digits

X = load_digits().data.astype(np.float32)
flat = X - X.mean(axis=0)
flat = flat @ np.linalg.svd(flat, full_matrices=False)[2][:2].T

cells = KMeans(16, random_state=0).fit(flat)
query = flat[7]
near = np.argsort(((cells.centers_ - query) ** 2).sum(axis=1))[:3]
cell = cells.predict(flat)

fig, axis = plt.subplots(figsize=(7, 5))
axis.scatter(*flat.T, c=np.where(np.isin(cell, near), cell % 10, -1), cmap="tab10", s=6, alpha=0.25)
axis.scatter(*flat[np.isin(cell, near)].T, s=9, color="tab:blue", label="rows of 3 visited lists")
axis.scatter(*cells.centers_.T, marker="+", s=90, color="black", label="centers")
axis.scatter(*query, marker="*", s=200, color="tab:red", label="query")
axis.set(xticks=[], yticks=[])
axis.legend()
fig.tight_layout()

# %%
# More lists, more recall; a mask keeps its share of the rows in every search.

queries, database = X[:300], X[300:]
squared = ((queries[:, None] - database) ** 2).sum(axis=-1)
truth = np.argsort(squared, axis=1, kind="stable")[:, :10]
is_public = np.arange(len(database)) % 2 == 0
public_truth = np.argsort(np.where(is_public, squared, np.inf), axis=1, kind="stable")[:, :10]

index = IVFIndex(RaBitQuantizer(n_bits=4, random_state=0), n_lists=32, random_state=0).fit(database)
index.add(database)
probes = [1, 2, 4, 8, 16, 32]
recalls = {"all rows": [], "with a mask of half the rows": []}
for n_probes in probes:
    ids = index.search(queries, k=10, n_probes=n_probes, rerank=database)[1]
    recalls["all rows"].append(metrics.k_recall_at_k(truth, ids, 10))
    ids = index.search(queries, k=10, n_probes=n_probes, rerank=database, mask=is_public)[1]
    recalls["with a mask of half the rows"].append(metrics.k_recall_at_k(public_truth, ids, 10))

fig, axis = plt.subplots(figsize=(7, 4))
for name, values in recalls.items():
    axis.plot(probes, values, "o-", label=name)
axis.set(xlabel="lists visited, of 32", ylabel="recall of the 10 nearest", xscale="log", ylim=(0, 1.02))
axis.set_xticks(probes, [str(n) for n in probes])
axis.grid(alpha=0.3)
axis.legend()
fig.tight_layout()
