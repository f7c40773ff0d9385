"""
Pictures as tokens
==================

A tokenizer turns each 4 x 4 pixels into one of 512 words; a prior knows how likely they are.
"""

# %%
# A picture, its grid of tokens, and the picture that they stand for, with the model that is included.

import matplotlib.pyplot as plt
import numpy as np
from fastcodes import adc, jaccard, tokens
from fastcodes.tokens import TokenCodec
from skimage import data

picture = data.astronaut()[::2, ::2]
codec = TokenCodec.pretrained()
coded = codec.encode(picture)
grid = codec.tokens(coded)
fig, axes = plt.subplots(1, 3, figsize=(9, 3.3))
axes[0].imshow(picture)
axes[0].set_title(f"{picture.nbytes:,} bytes")
axes[1].imshow(grid, cmap="nipy_spectral")
axes[1].set_title(f"{grid.size:,} tokens")
axes[2].imshow(codec.decode(coded))
axes[2].set_title(f"{len(coded):,} bytes")
for axis in axes:
    axis.set_axis_off()
fig.tight_layout()

# %%
# The prior draws new grids. It has seen pictures of 32 x 32 pixels, and looks at six neighbours: textures,
# not things.

samples = codec.tokenizer.decode(codec.prior.sample(10, (8, 8), random_state=0))
fig, axes = plt.subplots(1, 10, figsize=(10, 1.2))
for axis, sample in zip(axes, samples, strict=True):
    axis.imshow(sample)
    axis.set_axis_off()
fig.tight_layout()

# %%
# Tokens are compared without decoding: parts of pictures with the most words in common, wherever these are
# (upper rows), and those whose codewords at the same places are the nearest (lower rows).

sources = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
parts = np.stack(
    [
        source[y : y + 64, x : x + 64]
        for source in sources
        for y in range(0, source.shape[0] - 63, 32)
        for x in range(0, source.shape[1] - 63, 32)
    ]
)
grids = codec.tokenizer.encode(parts)
queries = np.linspace(40, len(parts) - 40, 3).astype(int)
sets = tokens.token_bits(grids, 512)
by_words = jaccard.knn(sets[queries], sets, k=9)[1]
by_places = adc.knn(codec.tokenizer.tables(parts[queries]), codec.tokenizer.codes(grids), k=9)[1]
fig, axes = plt.subplots(6, 9, figsize=(9, 6.2))
for row, ids in enumerate([*by_words, *by_places]):
    for axis, i in zip(axes[row], ids, strict=True):
        axis.imshow(parts[i])
        axis.set_axis_off()
axes[0, 0].set_title("query")
axes[0, 1].set_title("nearest")
fig.tight_layout()
