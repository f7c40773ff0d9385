"""Training of networks: the models, losses, optimizers, schedules, callbacks and augmentation."""

from fastcodes.nn.training.augmentation import RandomFlip, RandomShift
from fastcodes.nn.training.callbacks import Checkpoint, EarlyStopping
from fastcodes.nn.training.losses import Balance, CrossEntropy, Distillation, Loss, SquaredHinge
from fastcodes.nn.training.model import Sequential
from fastcodes.nn.training.network import Network
from fastcodes.nn.training.optimizers import SGD, Adam, Bop, Optimizer
from fastcodes.nn.training.schedules import Cosine, Step

__all__ = [
    "SGD",
    "Adam",
    "Balance",
    "Bop",
    "Checkpoint",
    "Cosine",
    "CrossEntropy",
    "Distillation",
    "EarlyStopping",
    "Loss",
    "Network",
    "Optimizer",
    "RandomFlip",
    "RandomShift",
    "Sequential",
    "SquaredHinge",
    "Step",
]
