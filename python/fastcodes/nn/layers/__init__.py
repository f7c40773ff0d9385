"""The layers of networks, and their base classes."""

from fastcodes.nn.layers.activations import Dropout, HardTanh, Quantize, Sign
from fastcodes.nn.layers.base import MAX_UNITS, Layer, Parameter, Shape, layer_from_config, walk
from fastcodes.nn.layers.convolution import BinaryConv2D, Conv2D
from fastcodes.nn.layers.dense import BinaryDense, Dense
from fastcodes.nn.layers.normalization import BatchNorm
from fastcodes.nn.layers.pooling import Flatten, MaxPool2D
from fastcodes.nn.layers.product import Product
from fastcodes.nn.layers.residual import Residual

__all__ = [
    "MAX_UNITS",
    "BatchNorm",
    "BinaryConv2D",
    "BinaryDense",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "HardTanh",
    "Layer",
    "MaxPool2D",
    "Parameter",
    "Product",
    "Quantize",
    "Residual",
    "Shape",
    "Sign",
    "layer_from_config",
    "walk",
]
