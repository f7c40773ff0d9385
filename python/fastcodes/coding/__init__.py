"""Compression of small things, each of which can be decoded alone, of pictures and of videos.

================  ============================================================================================
`TextCodec`       short strings, by a model fitted to strings like them; lossless
`CodeCompressor`  rows of codes of quantizers and hash functions, tokens, small integers; lossless
`ImageCodec`      photographs and other pictures, with or without losses
`VideoCodec`      videos, frame by frame
`ThumbnailCodec`  small pictures in a fixed number of bytes, to decode or to search
`JointCodec`      the bytes of a thumbnail and those of a hash function, side by side
================  ============================================================================================

`read_video` and `write_video` are for files of videos. `ResidualBinaryCoder` codes pictures by bits of small
networks, to compare with `ThumbnailCodec`.
"""

from fastcodes._estimator import NotFittedError
from fastcodes.coding.codes import CodeCompressor, CompressedRows
from fastcodes.coding.compressed_thumbnails import CompressedThumbnails
from fastcodes.coding.image import ImageCodec, ImageInfo
from fastcodes.coding.joint import JointCodec
from fastcodes.coding.residual_bits import ResidualBinaryCoder
from fastcodes.coding.text import CompressedTexts, TextCodec
from fastcodes.coding.thumbnail import ThumbnailCodec
from fastcodes.coding.video import Video, VideoCodec, VideoFrame, VideoInfo
from fastcodes.coding.video_files import read_video, write_video

__all__ = [
    "CodeCompressor",
    "CompressedRows",
    "CompressedTexts",
    "CompressedThumbnails",
    "ImageCodec",
    "ImageInfo",
    "JointCodec",
    "NotFittedError",
    "ResidualBinaryCoder",
    "TextCodec",
    "ThumbnailCodec",
    "Video",
    "VideoCodec",
    "VideoFrame",
    "VideoInfo",
    "read_video",
    "write_video",
]
