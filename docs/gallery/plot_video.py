"""
Motion in a video
=================

`fastcodes.block_motion` finds where the blocks of a frame came from; `fastcodes.coding.VideoCodec` stores
these vectors, and what they do not explain.
"""

# %%
# A clip of 17 frames: the camera comes closer, and a coin slides across the picture. An arrow points from a
# block to the place it came from, two frames before; about ten candidates are enough to find it.

import matplotlib.pyplot as plt
import numpy as np
from fastcodes import block_motion, metrics
from fastcodes.coding import VideoCodec
from skimage import data, transform

height, width = 144, 176
scene, coin = data.camera() / 255, data.coins()[240:288, 220:268] / 255
y, x = np.mgrid[-24:24, -24:24]
is_coin = np.hypot(y, x) < 23


def frame(t):
    """Return the picture at a time."""
    scale = 2.4 - 0.04 * t
    to_scene = transform.AffineTransform(scale=scale, translation=(260 - scale * width / 2, 30 + 0.5 * t))
    picture = transform.warp(scene, to_scene, output_shape=(height, width))
    at = picture[88:136, 4 + 7 * t : 52 + 7 * t]
    at[is_coin] = coin[is_coin]
    return (255 * picture).astype(np.uint8)


clip = np.stack([frame(t) for t in range(17)])
before, now = clip[6], clip[8]
sums, vectors = block_motion.search(now, before, method="epzs", block=8)
rows, columns = np.mgrid[4:height:8, 4:width:8]
fig, axis = plt.subplots(figsize=(7, 5.8))
axis.imshow(now, cmap="gray", vmin=0, vmax=255)
axis.quiver(
    columns,
    rows,
    vectors[..., 1],
    vectors[..., 0],
    color="tab:orange",
    angles="xy",
    scale_units="xy",
    scale=1,
)
axis.set_axis_off()
fig.tight_layout()

# %%
# What is left of the frame: against the other frame, and against the blocks that the vectors point to. A
# sample takes as many bits as its entropy says.


def entropy(values):
    """Return the bits of a value, if each is coded by its frequency."""
    counts = np.unique(values, return_counts=True)[1]
    return np.log2(counts.sum()) - (counts * np.log2(counts)).sum() / counts.sum()


moved = block_motion.compensate(before, vectors, block=8)
fig, axes = plt.subplots(1, 2, figsize=(9, 4))
for axis, predicted, name in zip(axes, (before, moved), ("without motion", "with motion"), strict=True):
    rest = now.astype(int) - predicted
    axis.imshow(rest, cmap="RdBu", vmin=-80, vmax=80)
    axis.set_title(f"{name}: {entropy(rest):.1f} bits a sample")
    axis.set_axis_off()
fig.tight_layout()

# %%
# Rate and distortion: each frame alone, predicted from the one before, and from frames on both sides.

fig, axis = plt.subplots(figsize=(6, 4))
for mode in ("intra", "forward", "bidirectional"):
    points = []
    for step in (6, 9, 14, 20, 30):
        codec = VideoCodec(step, mode=mode)
        stored = codec.encode(clip)
        quality = np.mean([metrics.psnr(a, b) for a, b in zip(clip, codec.decode(stored).luma, strict=True)])
        points.append((8 * len(stored) / clip.size, quality))
    axis.plot(*np.transpose(points), marker="o", label=mode)
axis.set_xlabel("bits per sample")
axis.set_ylabel("PSNR, dB")
axis.grid(alpha=0.3)
axis.legend()
fig.tight_layout()
