"""
Image hashes
============

A perceptual hash turns a picture into 64 bits. Copies that were resized, compressed or brightened differ in
few of them, other pictures in about half.
"""

# %%
# Pictures and copies of them, with the distance in bits from the picture on the left.

import io

import matplotlib.pyplot as plt
import numpy as np
from fastcodes import hamming
from fastcodes.hashing import images
from PIL import Image, ImageEnhance
from skimage import data


def compressed(picture, quality=10):
    """Return a picture after JPEG."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)


COPIES = {
    "original": lambda picture: picture,
    "a tenth": lambda picture: picture.resize((picture.width // 10, picture.height // 10)),
    "JPEG 10": compressed,
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.3),
    "gray": lambda picture: picture.convert("L"),
    "cropped": lambda picture: picture.crop((0, 0, int(picture.width * 0.94), picture.height)),
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}
originals = [
    Image.fromarray(source) for source in (data.astronaut(), data.chelsea(), data.coffee(), data.rocket())
]
copies = [copy(picture) for picture in originals for copy in COPIES.values()]
codes = images.perceptual_hash(copies)  # (28, 8) bytes

fig, axes = plt.subplots(len(originals), len(COPIES), figsize=(9, 5.4))
for row in range(len(originals)):
    first = row * len(COPIES)
    distances = hamming.cdist(codes[first], codes[first : first + len(COPIES)])[0]
    for column, name in enumerate(COPIES):
        axes[row, column].imshow(copies[first + column], cmap="gray")
        axes[row, column].set(xticks=[], yticks=[], xlabel=f"{distances[column]} bits")
        if not row:
            axes[row, column].set_title(name, fontsize="medium")
fig.tight_layout()

# %%
# A threshold lies between copies and other pictures: distances of small JPEG copies of parts of pictures from
# their originals, and from other parts. The copies beyond it are plain, such as a night sky: their hash is
# that of noise.

parts = [
    Image.fromarray(source[y : y + 96, x : x + 96])
    for source in (data.astronaut(), data.chelsea(), data.coffee(), data.rocket())
    for y in range(0, source.shape[0] - 95, 96)
    for x in range(0, source.shape[1] - 95, 96)
]
before = images.perceptual_hash(parts)
after = images.perceptual_hash([compressed(part.resize((48, 48)), quality=60) for part in parts])
distances = hamming.cdist(before, after)
of_copies = np.diag(distances)
of_others = distances[~np.eye(len(parts), dtype=bool)]

fig, axis = plt.subplots(figsize=(7, 3))
for values, name in ((of_copies, "copies"), (of_others, "other pictures")):
    axis.hist(values, bins=np.arange(0, 65, 2), density=True, alpha=0.7, label=name)
axis.axvline(6, color="0.4", linestyle=":")
axis.set(xlabel="distance in bits", ylabel="share", yticks=[])
axis.legend()
fig.tight_layout()
