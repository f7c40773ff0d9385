"""
A picture in fewer bytes
========================

`fastcodes.coding.ImageCodec` stores a picture by quality, by bits per pixel, or without losses.
"""

# %%
# The same picture at 1, 0.5 and 0.2 bits per pixel (24 before).

import io

import matplotlib.pyplot as plt
import numpy as np
from fastcodes import metrics
from fastcodes.coding import ImageCodec
from PIL import Image
from skimage.data import chelsea

picture = np.ascontiguousarray(chelsea()[30:286, 60:316])
fig, axes = plt.subplots(1, 4, figsize=(10, 3))
axes[0].imshow(picture)
axes[0].set_title("original: 24 bpp")
for axis, bpp in zip(axes[1:], (1, 0.5, 0.2), strict=True):
    codec = ImageCodec(bpp=bpp)
    data = codec.encode(picture)
    decoded = codec.decode(data)
    axis.imshow(decoded)
    axis.set_title(f"{bpp} bpp, {metrics.psnr(picture, decoded):.1f} dB")
for axis in axes:
    axis.set_axis_off()
fig.tight_layout()

# %%
# The first bytes hold the picture at a lower resolution.

codec = ImageCodec(quality=60)
data = codec.encode(picture)
fig, axes = plt.subplots(1, 4, figsize=(10, 2.8))
for reduce, axis in enumerate(axes):
    small = codec.decode(data, reduce=reduce)
    axis.imshow(small)
    axis.set_title(f"reduce={reduce}: {small.shape[0]} x {small.shape[1]}")
    axis.set_axis_off()
fig.tight_layout()

# %%
# Rate and distortion on this picture, beside JPEG. The page about performance has the record of 24
# photographs and more formats.


def jpeg(quality):
    """Return the bits per pixel and the PSNR of JPEG."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, optimize=True)
    decoded = np.asarray(Image.open(file))
    return 8 * file.getbuffer().nbytes / picture[..., 0].size, metrics.psnr(picture, decoded)


def ours(quality):
    """Return the bits per pixel and the PSNR of `ImageCodec`."""
    codec = ImageCodec(quality=quality)
    data = codec.encode(picture)
    return 8 * len(data) / picture[..., 0].size, metrics.psnr(picture, codec.decode(data))


fig, axis = plt.subplots(figsize=(7, 4))
axis.plot(
    *zip(*[ours(quality) for quality in (25, 40, 50, 60, 70, 80)], strict=True), "o-", label="ImageCodec"
)
axis.plot(*zip(*[jpeg(quality) for quality in (10, 20, 40, 60, 75, 88)], strict=True), "o-", label="JPEG")
axis.set(xlabel="bits per pixel", ylabel="PSNR, dB")
axis.grid(alpha=0.3)
axis.legend()
fig.tight_layout()
