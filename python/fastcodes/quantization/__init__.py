"""Models that replace vectors by a few small integers, and say which vector those stand for."""

from fastcodes.quantization.kmeans import KMeans

__all__ = ["KMeans"]
