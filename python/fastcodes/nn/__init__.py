"""Binary neural networks, trained in numpy: weights and activations of one bit, or a few.

======================  ==============================================================================
`Sequential`             a network: fit, predict, evaluate, summary, checkpoints
`PackedModel`            what `Sequential.compile` makes of it: the same answers from packed bits
`BinaryMLPClassifier`    the simplest one, with the manners of scikit-learn
----------------------  ------------------------------------------------------------------------------
`BinaryDense`            products with weights of -1 and +1
`BinaryConv2D`           the same of image patches
`Sign`                   activations of one bit
`Quantize`               activations of 2 to 8 bits
----------------------  ------------------------------------------------------------------------------
`Dense`, `Conv2D`        products with floats
`BatchNorm`              shift and scale of each feature: it belongs between product and sign
`MaxPool2D`              the largest of each window
`Flatten`, `HardTanh`, `Dropout`, `Residual`
----------------------  ------------------------------------------------------------------------------
`Adam`, `SGD`, `Bop`     optimisers
`Cosine`, `Step`         schedules of the learning rate
`CrossEntropy`, `SquaredHinge`, `Distillation`, `Balance`
`EarlyStopping`, `Checkpoint`, `RandomShift`, `RandomFlip`
======================  ==============================================================================

A layer of bits is a product, a `BatchNorm` and a `Sign`, in this order; `fastcodes.nn.quantizers` has the
formulae.
"""

from fastcodes._estimator import NotFittedError
from fastcodes.nn.binary import BinaryConv2D, BinaryDense, Quantize, Sign
from fastcodes.nn.callbacks import Checkpoint, EarlyStopping, RandomFlip, RandomShift
from fastcodes.nn.classifier import BinaryMLPClassifier
from fastcodes.nn.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, HardTanh, MaxPool2D, Residual
from fastcodes.nn.losses import Balance, CrossEntropy, Distillation, SquaredHinge
from fastcodes.nn.model import Sequential
from fastcodes.nn.optimizers import SGD, Adam, Bop, Cosine, Step
from fastcodes.nn.packed import PackedModel

__all__ = [
    "SGD",
    "Adam",
    "Balance",
    "BatchNorm",
    "BinaryConv2D",
    "BinaryDense",
    "BinaryMLPClassifier",
    "Bop",
    "Checkpoint",
    "Conv2D",
    "Cosine",
    "CrossEntropy",
    "Dense",
    "Distillation",
    "Dropout",
    "EarlyStopping",
    "Flatten",
    "HardTanh",
    "MaxPool2D",
    "NotFittedError",
    "PackedModel",
    "Quantize",
    "RandomFlip",
    "RandomShift",
    "Residual",
    "Sequential",
    "Sign",
    "SquaredHinge",
    "Step",
]
