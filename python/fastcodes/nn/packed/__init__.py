"""Packed networks, and their compilation from trained layers."""

from fastcodes.nn.packed.model import PackedModel

__all__ = ["PackedModel"]
