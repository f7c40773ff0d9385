"""
Search vectors by their signs
=============================

A vector becomes a few bits. The nearest codes are found by counting bits that differ, and the best of them
are scored again by the vectors.
"""

# %%
# Neighbours of handwritten digits, by 32 bytes each instead of 256.

import matplotlib.pyplot as plt
import numpy as np
from fastcodes.hashing import RandomHyperplanes
from fastcodes.index import FlatIndex
from sklearn.datasets import load_digits

digits = load_digits()
X = (digits.data - digits.data.mean(axis=0)).astype(np.float32)
queries, database = X[:5], X[5:]

index = FlatIndex(RandomHyperplanes(n_bits=256, random_state=0).fit(database))
index.add(database)
distances, ids = index.search(queries, k=8, rerank=database)

fig, axes = plt.subplots(5, 9, figsize=(9, 5.2))
for row, query in enumerate(range(5)):
    for column, picture in enumerate([digits.images[query], *digits.images[5:][ids[row]]]):
        axes[row, column].imshow(picture, cmap="gray_r")
        axes[row, column].set_axis_off()
axes[0, 0].set_title("query")
axes[0, 1].set_title("nearest")
fig.tight_layout()

# %%
# More bits find more of the true neighbours, and re-ranking finds most of what is left.

from fastcodes import metrics

squared = ((X[:200, None] - X[None, 200:]) ** 2).sum(axis=-1)
truth = np.argsort(squared, axis=1, kind="stable")[:, :10]

sizes = [32, 64, 128, 256, 512, 1024]
by_codes, reranked = [], []
for n_bits in sizes:
    index = FlatIndex(RandomHyperplanes(n_bits=n_bits, random_state=0).fit(X[200:]))
    index.add(X[200:])
    by_codes.append(metrics.k_recall_at_k(truth, index.search(X[:200], k=10)[1], 10))
    reranked.append(metrics.k_recall_at_k(truth, index.search(X[:200], k=10, rerank=X[200:])[1], 10))

fig, axis = plt.subplots(figsize=(7, 4))
axis.plot([n // 8 for n in sizes], reranked, "o-", label="codes, then vectors")
axis.plot([n // 8 for n in sizes], by_codes, "o-", label="codes alone")
axis.set(xlabel="bytes per code", ylabel="recall of the 10 nearest", ylim=(0, 1.02), xscale="log")
axis.set_xticks([n // 8 for n in sizes], [str(n // 8) for n in sizes])
axis.grid(alpha=0.3)
axis.legend()
fig.tight_layout()
