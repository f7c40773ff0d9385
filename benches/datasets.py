"""The data of the long experiments: files, decoded images, exact distances, and a cache for slow results."""

import itertools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from fastcodes._typing import Array
from PIL import Image

PROJECT = Path(__file__).parent.parent
CIFAR10 = "cifar10_full_jpegq75.npz"


def data_file(name: str) -> Path:
    """Return the path of a data file; exit with an explanation if it is missing.

    The folder is FASTCODES_DATA, by default ``../shared/data`` as seen from the project.
    """
    folder = os.environ.get("FASTCODES_DATA") or PROJECT.parent / "shared" / "data"
    path = Path(folder, name)
    if not path.exists():
        sys.exit(f"{path}: no such file; set FASTCODES_DATA to the folder of {name}")
    return path


def load(name: str) -> dict[str, Array]:
    """Return the arrays of a data file."""
    with np.load(data_file(name)) as arrays:
        return dict(arrays)


def cached(name: str, compute: Callable[[], dict[str, Array]]) -> dict[str, Array]:
    """Return the arrays of `compute`, or those that an earlier run has kept.

    The cache is the folder FASTCODES_CACHE, by default one among the temporary files of the system.
    """
    folder = os.environ.get("FASTCODES_CACHE") or Path(tempfile.gettempdir(), "fastcodes-cache")
    file = Path(folder, f"{name}.npz")
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        arrays = compute()
        part = file.with_name(f"{name}.{os.getpid()}.npz")
        np.savez(part, **arrays)
        part.replace(file)
    with np.load(file) as kept:
        return dict(kept)


class Images(NamedTuple):
    """Images of bytes (n, height, width, channels) and their labels, in the split of the data set."""

    train: Array
    labels: Array
    test: Array
    test_labels: Array


def mnist() -> Images:
    """Return the handwritten digits."""
    arrays = load("mnist.npz")
    return Images(
        arrays["train_x"][..., None], arrays["train_y"], arrays["test_x"][..., None], arrays["test_y"]
    )


def cifar10() -> Images:
    """Return the photographs, decoded from a copy in JPEG of quality 75."""
    arrays = load(CIFAR10)

    def decoded(part: str) -> Array:
        data, offsets = arrays[f"{part}_jpeg"].tobytes(), arrays[f"{part}_off"]
        images = [Image.open(BytesIO(data[start:stop])) for start, stop in itertools.pairwise(offsets)]
        return np.stack([np.asarray(image.convert("RGB")) for image in images])

    return Images(decoded("train"), arrays["train_y"], decoded("test"), arrays["test_y"])


def as_rows(images: Array) -> Array:
    """Return the pixels of each image as a float32 row."""
    return images.reshape(len(images), -1).astype(np.float32)


def distance_blocks(queries: Array, base: Array) -> Iterator[Array]:
    """Yield squared distances, less the squared norms of the queries, for about 100 queries at a time.

    In float64 these are exact for vectors of bytes; in float32 they are not.
    """
    wide = base.astype(np.float64)
    squares = np.einsum("ij,ij->i", wide, wide)
    for block in np.array_split(queries.astype(np.float64), -(-len(queries) // 100)):
        yield squares - 2 * block @ wide.T
