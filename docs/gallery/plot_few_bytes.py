"""
Vectors in a few bytes: PQ and RaBitQ
=====================================

A product quantizer keeps one codeword for each part of a vector; RaBitQ keeps a few bits for each dimension.
Both decode, and both are searched as they are.
"""

# %%
# Faces of 25 x 25 pixels, decoded from fewer and fewer bytes.

import matplotlib.pyplot as plt
import numpy as np
from fastcodes.quantization import OptimizedProductQuantizer, ProductQuantizer, RaBitQuantizer
from skimage.data import lfw_subset

faces = lfw_subset()[:100].reshape(100, -1).astype(np.float32)  # float32: 2500 bytes a face
train, shown = faces[:90], faces[90:98]

models = {
    "8 bits": RaBitQuantizer(n_bits=8, random_state=0),
    "4 bits": RaBitQuantizer(n_bits=4, random_state=0),
    "2 bits": RaBitQuantizer(n_bits=2, random_state=0),
    "PQ": ProductQuantizer(n_subspaces=125, n_codewords=64, random_state=0),
    "PQ, fewer": ProductQuantizer(n_subspaces=25, n_codewords=64, random_state=0),
}
fig, axes = plt.subplots(len(models) + 1, 8, figsize=(8.5, 6.8))
rows = [("original\n2500 bytes", shown)]
for name, model in models.items():
    codes = model.fit(train).encode(shown)
    decoded = model.decode(codes)
    n_bytes = sum(part[0].nbytes for part in codes) if isinstance(codes, tuple) else codes[0].nbytes
    rows.append((f"{name}\n{n_bytes} bytes", decoded))
for row, (name, pictures) in enumerate(rows):
    for column, picture in enumerate(pictures):
        axes[row, column].imshow(picture.reshape(25, 25), cmap="gray", vmin=0, vmax=1)
        axes[row, column].set(xticks=[], yticks=[])
    axes[row, 0].set_ylabel(name, rotation=0, ha="right", va="center")
fig.tight_layout()

# %%
# Recall of digits by bytes. Other data have other curves: the records on the page about performance are of
# real descriptors and embeddings.

from fastcodes import metrics
from fastcodes.index import FlatIndex
from sklearn.datasets import load_digits

X = load_digits().data.astype(np.float32)
queries, database = X[:200], X[200:]
squared = ((queries[:, None] - database) ** 2).sum(axis=-1)
truth = np.argsort(squared, axis=1, kind="stable")[:, :10]

families = {
    "PQ": [ProductQuantizer(n_subspaces=m, random_state=0) for m in (4, 8, 16, 32)],
    "OPQ": [OptimizedProductQuantizer(n_subspaces=m, max_iter=10, random_state=0) for m in (4, 8, 16)],
    "RaBitQ": [RaBitQuantizer(n_bits=n, random_state=0) for n in (1, 2, 4, 8)],
}
fig, axis = plt.subplots(figsize=(7, 4))
for name, models in families.items():
    points = []
    for model in models:
        index = FlatIndex(model.fit(database))
        index.add(database)
        recall = metrics.k_recall_at_k(truth, index.search(queries, k=10)[1], 10)
        points.append((index.nbytes / len(index), recall))
    axis.plot(*zip(*points, strict=True), "o-", label=name)
axis.set(
    xlabel="bytes per vector (float32: 256)", ylabel="recall of the 10 nearest", xscale="log", ylim=(0, 1.02)
)
axis.grid(alpha=0.3)
axis.legend()
fig.tight_layout()
