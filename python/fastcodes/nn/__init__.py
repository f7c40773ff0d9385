"""Binary neural networks, trained in numpy: weights and activations of one bit, or of a few bits.

========================================  ============================================================
`Sequential`                              a network that classifies: fit, predict, evaluate, checkpoints
`PackedModel`                             the result of `Sequential.compile`: the same predictions from
                                          packed bits
`BinaryMLPClassifier`                     a binary multilayer perceptron with the scikit-learn API
`Network`                                 layers and weights, for training loops of your own
----------------------------------------  ------------------------------------------------------------
`BinaryDense`, `BinaryConv2D`             layers with weights of -1 and +1
`Dense`, `Conv2D`                         layers with weights of floats
`Sign`, `Quantize`, `HardTanh`            activations of one bit, of 2 to 8 bits, and of floats
`BatchNorm`                               batch normalization
`MaxPool2D`, `Flatten`                    pooling and reshaping
`Dropout`, `Residual`                     dropout and residual blocks
`Layer`                                   the base class for layers of your own
----------------------------------------  ------------------------------------------------------------
`Adam`, `SGD`, `Bop`                      optimizers
`Cosine`, `Step`                          learning rate schedules
`CrossEntropy`, `SquaredHinge`,           losses
`Distillation`, `Loss`
`Balance`                                 a regularizer of binary weights
`EarlyStopping`, `Checkpoint`             callbacks
`RandomShift`, `RandomFlip`               augmentation of images
========================================  ============================================================

A binary layer is a product, a `BatchNorm` and a `Sign`, in this order. `fastcodes.nn.quantizers` has the
formulae of weight quantizers and surrogate gradients.
"""

from fastcodes._estimator import NotFittedError
from fastcodes.nn.classifier import BinaryMLPClassifier
from fastcodes.nn.layers import (
    BatchNorm,
    BinaryConv2D,
    BinaryDense,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    HardTanh,
    Layer,
    MaxPool2D,
    Quantize,
    Residual,
    Sign,
)
from fastcodes.nn.packed import PackedModel
from fastcodes.nn.training import (
    SGD,
    Adam,
    Balance,
    Bop,
    Checkpoint,
    Cosine,
    CrossEntropy,
    Distillation,
    EarlyStopping,
    Loss,
    Network,
    RandomFlip,
    RandomShift,
    Sequential,
    SquaredHinge,
    Step,
)

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
    "Layer",
    "Loss",
    "MaxPool2D",
    "Network",
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
