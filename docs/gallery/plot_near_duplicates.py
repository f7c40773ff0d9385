"""
Near-duplicate texts
====================

Signatures estimate how many runs of words two texts share. Bands of a signature find similar texts without
comparing all pairs.
"""

# %%
# One word after another of a text is replaced: the estimate follows the true similarity (left). The bands are
# chosen for the threshold: an S-curve that rises near it (right).

import matplotlib.pyplot as plt
import numpy as np
from fastcodes import minhash

rng = np.random.default_rng(0)
words = [f"word{i}" for i in range(300)]
texts = [" ".join(words)]
for place in rng.permutation(300)[:120]:
    words[place] = f"other{place}"
    texts.append(" ".join(words))

runs = [{tuple(text.split()[k : k + 3]) for k in range(298)} for text in texts]
true = np.array([len(runs[0] & other) / len(runs[0] | other) for other in runs])
found = minhash.text_signatures(texts, n_hashes=128)
estimated = (found == found[0]).mean(axis=1)

fig, axes = plt.subplots(1, 2, figsize=(9, 3.6))
axes[0].plot([0, 1], [0, 1], color="0.7")
axes[0].plot(true, estimated, ".")
axes[0].set(xlabel="true Jaccard similarity", ylabel="estimate from 128 slots")

similarity = np.linspace(0, 1, 200)
for threshold in (0.5, 0.7, 0.9):
    n_bands, n_rows = minhash.band_shape(128, threshold)
    probability = minhash.candidate_probability(similarity, n_bands=n_bands, n_rows=n_rows)
    axes[1].plot(similarity, probability, label=f"threshold {threshold}: {n_bands} bands of {n_rows}")
axes[1].set(xlabel="Jaccard similarity", ylabel="probability to be compared")
axes[1].legend(fontsize="small")
fig.tight_layout()
