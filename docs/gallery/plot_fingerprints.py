"""
Fingerprints: similar sets of bits
==================================

A fingerprint is a set of bits. Jaccard (Tanimoto) compares two sets; Tversky weights ask whether one set
contains the other.
"""

# %%
# The dark pixels of a digit are its fingerprint here. The query is the upper half of a digit: with
# ``alpha=1, beta=0`` only what the row lacks counts, so whole digits that contain it come first.

import matplotlib.pyplot as plt
from fastcodes import bits, jaccard
from sklearn.datasets import load_digits

digits = load_digits()
dark = digits.data > 7
codes = bits.pack(dark)

part = dark[3].copy()
part[32:] = False
query = bits.pack(part)
_, similar = jaccard.knn(query, codes, k=7)
_, containing = jaccard.knn(query, codes, k=7, alpha=1, beta=0)

fig, axes = plt.subplots(2, 8, figsize=(9, 2.8))
for row, (name, ids) in enumerate([("Tanimoto", similar[0]), ("contained", containing[0])]):
    for column, picture in enumerate([part, *dark[ids]]):
        axes[row, column].imshow(picture.reshape(8, 8), cmap="gray_r")
        axes[row, column].set(xticks=[], yticks=[])
    axes[row, 0].set_ylabel(name)
axes[0, 0].set_title("query")
fig.tight_layout()

# %%
# All pairs within a distance, without a matrix of all distances:

i, j, distances = jaccard.pairs(codes, radius=0.1)

fig, axes = plt.subplots(2, 8, figsize=(9, 2.6))
for column in range(8):
    for row, pair in enumerate((i, j)):
        axes[row, column].imshow(dark[pair[column]].reshape(8, 8), cmap="gray_r")
        axes[row, column].set_axis_off()
fig.suptitle(f"{len(i)} pairs of {len(codes)} digits have a Jaccard distance of at most 0.1: the first eight")
fig.tight_layout()
