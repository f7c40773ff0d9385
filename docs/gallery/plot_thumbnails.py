"""
Thumbnails of 64 bytes that can be searched
===========================================

A model of pictures turns 32 x 32 pixels into exactly 64 bytes.
"""

# %%
# Parts of pictures, and the same decoded from 64 bytes each with the model that is included.

import matplotlib.pyplot as plt
import numpy as np
from fastcodes import adc
from fastcodes.coding import ThumbnailCodec
from PIL import Image
from skimage import data


def small(picture):
    """Return a picture of 32 x 32 pixels."""
    return np.asarray(Image.fromarray(picture).resize((32, 32), Image.Resampling.LANCZOS))


sources = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
parts = np.stack(
    [
        small(source[y : y + 200, x : x + 200])
        for source in sources
        for y in range(0, source.shape[0] - 199, 20)
        for x in range(0, source.shape[1] - 199, 20)
    ]
)
codec = ThumbnailCodec.pretrained()
shown = parts[np.linspace(0, len(parts) - 1, 10).astype(int)]
codes = codec.encode(shown)
fig, axes = plt.subplots(2, 10, figsize=(10, 2.3))
for column, (before, after) in enumerate(zip(shown, codec.decode(codes), strict=True)):
    axes[0, column].imshow(before)
    axes[1, column].imshow(after)
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("3072 B")
axes[1, 0].set_ylabel(f"{codes[0].nbytes} B")
fig.tight_layout()

# %%
# With the layout "searchable", codes are compared as they are: each query, and the thumbnails nearest to it.

searchable = ThumbnailCodec(32, layout="searchable", random_state=0).fit(parts)
codes = searchable.encode(parts)
queries = np.linspace(100, len(parts) - 100, 4).astype(int)
distances, ids = adc.knn(searchable.tables(parts[queries]), codes, k=8)

decoded = searchable.decode(codes[ids.ravel()]).reshape(*ids.shape, 32, 32, 3)
fig, axes = plt.subplots(4, 9, figsize=(9, 4.2))
for row, query in enumerate(queries):
    for column, picture in enumerate([parts[query], *decoded[row]]):
        axes[row, column].imshow(picture)
        axes[row, column].set_axis_off()
axes[0, 0].set_title("query")
axes[0, 1].set_title("nearest")
fig.tight_layout()
