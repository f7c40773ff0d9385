"""Perceptual hashes of pictures: codes that differ in few bits where pictures look alike.

====================  =====================================================================================
`average_hash`         pixels of a small gray picture above their mean
`difference_hash`      pixels that are brighter than their left or upper neighbor
`perceptual_hash`      low frequencies of the cosine transform above their median
`wavelet_hash`         low frequencies of the Haar transform above their median
`color_hash`           shares of black, gray, and of hues in faint and bright colors
====================  =====================================================================================

Codes are packed bits as of `fastcodes.bits.pack`: `fastcodes.hamming.knn` finds similar pictures, and
`fastcodes.hamming.groups` near-duplicates. The bits equal those of the package imagehash,
``np.packbits(imagehash.phash(picture).hash)``; of a code of whole bytes, ``code.tobytes().hex()`` is the text
of that hash. The functions need Pillow, the extra ``images``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fastcodes import _native
from fastcodes._typing import Booleans, Codes
from fastcodes._validation import as_array, as_integer, as_list, as_option, check_threads, describe
from fastcodes.hashing._image_transforms import color_bits, cosine_transform, low_frequencies

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

__all__ = ["average_hash", "color_hash", "difference_hash", "perceptual_hash", "wavelet_hash"]

_MOST_BITS_PER_SIDE = 256
_MOST_PIXELS_PER_SIDE = 4096
_MOST_BITS_PER_BIN = 16
_AXES = ("horizontal", "vertical")
_EXPECTED = (
    "a uint8 array (height, width) or (height, width, 3), a path, a file opened for reading bytes, or a "
    "picture of Pillow"
)

Bits: TypeAlias = Callable[..., Booleans]
"""The bits of a picture, given in one or more color spaces of Pillow."""


# --- the hashes ---------------------------------------------------------------------------------------------


def average_hash(images: Any, *, hash_size: int = 8, threads: int | None = None) -> Codes:
    """Hash pictures by which pixels of a small gray copy are above its mean.

    Parameters
    ----------
    images : picture, or sequence of pictures
        A picture is a uint8 array (height, width), (height, width, 3) or (height, width, 4), a path, a file
        opened for reading bytes, or a picture of Pillow. An array with four dimensions is a sequence. Of
        several frames the first counts. Transparency and the orientation in the metadata of photographs
        are ignored.
    hash_size : int
        Width and height of the small copy, from 2 to 256; a code has ``hash_size**2`` bits.
    threads : int, optional
        Number of threads that read and hash pictures; at most, and by default, all CPUs of this process.

    Returns
    -------
    uint8 array (n, ceil(hash_size**2 / 8)), or (ceil(hash_size**2 / 8),) for one picture
        The packed bits, from left to right and top to bottom.

    Raises
    ------
    TypeError
        If a picture is none of these, or an argument is not an integer.
    ValueError
        If an array has another shape, or an argument is out of range; or if a picture cannot be read or has
        more than 8 bits a sample: the message names its file.
    OSError
        If a file cannot be opened.
    ImportError
        Without Pillow.

    See Also
    --------
    perceptual_hash : Withstands changes of brightness and contrast better.

    Notes
    -----
    The numpy equivalent for a picture of Pillow::

        small = np.asarray(image.convert("L").resize((hash_size, hash_size), Image.Resampling.LANCZOS))
        code = np.packbits(small > small.mean())

    The method is that of Neal Krawetz, *Looks like it* (The Hacker Factor Blog, 2011); ``average_hash`` of
    the package imagehash.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import hamming
    >>> from fastcodes.hashing import images
    >>> y, x = np.mgrid[:64, :64]
    >>> ramp = (2 * x + y).astype(np.uint8)
    >>> codes = images.average_hash([ramp, ramp // 2, 255 - ramp])
    >>> codes.shape
    (3, 8)
    >>> hamming.groups(codes, radius=6)
    array([0, 0, 2])
    """
    side = as_integer(hash_size, "hash_size", 2, _MOST_BITS_PER_SIDE)

    def bits(gray: Picture) -> Booleans:
        pixels = _resized(gray, side, side)
        above: Booleans = pixels > pixels.mean()
        return above

    return _codes(images, bits, side * side, threads)


def difference_hash(
    images: Any, *, hash_size: int = 8, axis: str = "horizontal", threads: int | None = None
) -> Codes:
    """Hash pictures by which pixels of a small gray copy are brighter than their neighbors.

    Parameters
    ----------
    images : picture, or sequence of pictures
        As in `average_hash`.
    hash_size : int
        Number of comparisons per row and column, from 2 to 256; a code has ``hash_size**2`` bits.
    axis : {"horizontal", "vertical"}
        Whether a pixel is compared with the one to its left or the one above it.
    threads : int, optional
        As in `average_hash`.

    Returns
    -------
    uint8 array (n, ceil(hash_size**2 / 8)), or (ceil(hash_size**2 / 8),) for one picture
        The packed bits, from left to right and top to bottom.

    Raises
    ------
    TypeError, ValueError, OSError, ImportError
        As in `average_hash`; ValueError also for another `axis`.

    Notes
    -----
    The numpy equivalent for a picture of Pillow::

        small = np.asarray(image.convert("L").resize((hash_size + 1, hash_size), Image.Resampling.LANCZOS))
        code = np.packbits(small[:, 1:] > small[:, :-1])

    The method is that of Neal Krawetz, *Kind of like that* (The Hacker Factor Blog, 2013); ``dhash`` and
    ``dhash_vertical`` of the package imagehash.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.hashing import images
    >>> ramp = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    >>> images.difference_hash(ramp).tobytes().hex()  # every pixel is brighter than the one to its left
    'ffffffffffffffff'
    >>> images.difference_hash(ramp, axis="vertical").tobytes().hex()
    '0000000000000000'
    """
    side = as_integer(hash_size, "hash_size", 2, _MOST_BITS_PER_SIDE)
    is_horizontal = as_option(axis, "axis", _AXES) == "horizontal"

    def bits(gray: Picture) -> Booleans:
        if is_horizontal:
            pixels = _resized(gray, side + 1, side)
            return pixels[:, 1:] > pixels[:, :-1]
        pixels = _resized(gray, side, side + 1)
        return pixels[1:] > pixels[:-1]

    return _codes(images, bits, side * side, threads)


def perceptual_hash(
    images: Any, *, hash_size: int = 8, highfreq_factor: int = 4, threads: int | None = None
) -> Codes:
    """Hash pictures by which low frequencies of their cosine transform are above the median.

    Parameters
    ----------
    images : picture, or sequence of pictures
        As in `average_hash`.
    hash_size : int
        Number of frequencies per axis, from 2 to 256; a code has ``hash_size**2`` bits.
    highfreq_factor : int
        The gray copy that is transformed has ``hash_size * highfreq_factor`` rows and columns, up to 4096.
    threads : int, optional
        As in `average_hash`.

    Returns
    -------
    uint8 array (n, ceil(hash_size**2 / 8)), or (ceil(hash_size**2 / 8),) for one picture
        The packed bits: vertical frequencies from low to high, and for each the horizontal ones.

    Raises
    ------
    TypeError, ValueError, OSError, ImportError
        As in `average_hash`.

    Notes
    -----
    The numpy equivalent for a picture of Pillow, up to rounding, with ``m = hash_size * highfreq_factor``::

        small = np.asarray(image.convert("L").resize((m, m), Image.Resampling.LANCZOS))
        cosines = np.cos(np.pi / (2 * m) * np.outer(np.arange(hash_size), 2 * np.arange(m) + 1))
        low = 4 * cosines @ small @ cosines.T
        code = np.packbits(low > np.median(low))

    In flat or symmetric pictures most of these coefficients are zero, and so is the median: bits depend on
    rounding. Sums are therefore calculated in the order of scipy's transform, so that these bits, too, are
    those of ``phash`` of the package imagehash (with numpy 2 on Linux for x86-64; elsewhere the transforms
    of numpy and scipy may round differently).

    The method is that of Neal Krawetz, *Looks like it* (The Hacker Factor Blog, 2011), with the median
    instead of the mean.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import hamming
    >>> from fastcodes.hashing import images
    >>> y, x = np.mgrid[:96, :128]
    >>> picture = (128 + 60 * np.sin(x / 9) + 60 * np.cos(x * y / 700)).astype(np.uint8)
    >>> codes = images.perceptual_hash([picture, picture[::2, ::2], picture[::-1]])
    >>> hamming.cdist(codes[:1], codes) <= 6  # equal to a smaller copy, not to a reflection
    array([[ True,  True, False]])
    """
    side = as_integer(hash_size, "hash_size", 2, _MOST_BITS_PER_SIDE)
    factor = as_integer(highfreq_factor, "highfreq_factor", 1, _MOST_PIXELS_PER_SIDE // side)

    def bits(gray: Picture) -> Booleans:
        pixels = _resized(gray, side * factor, side * factor)
        low = cosine_transform(cosine_transform(pixels.T)[:, :side].T)[:, :side]
        return low > np.median(low)

    return _codes(images, bits, side * side, threads)


def wavelet_hash(
    images: Any, *, hash_size: int = 8, image_scale: int | None = None, threads: int | None = None
) -> Codes:
    """Hash pictures by which low frequencies of their Haar wavelet transform are above the median.

    Parameters
    ----------
    images : picture, or sequence of pictures
        As in `average_hash`.
    hash_size : int
        Rows and columns of the low frequencies, a power of two from 2 to 256; a code has ``hash_size**2``
        bits.
    image_scale : int, optional
        Rows and columns of the gray copy that is transformed, a power of two from `hash_size` to 4096. By
        default the largest one up to the smaller side of the picture; a small scale such as 64 is much
        faster for large pictures, and gives other bits.
    threads : int, optional
        As in `average_hash`.

    Returns
    -------
    uint8 array (n, ceil(hash_size**2 / 8)), or (ceil(hash_size**2 / 8),) for one picture
        The packed bits, from left to right and top to bottom.

    Raises
    ------
    TypeError, ValueError, OSError, ImportError
        As in `average_hash`; ValueError also if `hash_size` or `image_scale` is not a power of two.

    Notes
    -----
    The equivalent by PyWavelets for a picture of Pillow, with ``k = log2(image_scale)``::

        small = np.asarray(image.convert("L").resize((image_scale, image_scale), Image.Resampling.LANCZOS))
        coefficients = pywt.wavedec2(small / 255, "haar", level=k)
        coefficients[0] *= 0
        pixels = pywt.waverec2(coefficients, "haar")
        low = pywt.wavedec2(pixels, "haar", level=k - int(np.log2(hash_size)))[0]
        code = np.packbits(low > np.median(low))

    Sums are calculated in the order of PyWavelets, so that bits of flat pictures, which depend on rounding,
    equal those of ``whash`` of the package imagehash, too.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes.hashing import images
    >>> ramp = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    >>> images.wavelet_hash(ramp).tobytes().hex()  # the right half is brighter than the median
    '0f0f0f0f0f0f0f0f'
    """
    side = _power_of_two(hash_size, "hash_size", 2, _MOST_BITS_PER_SIDE)
    scale = None
    if image_scale is not None:
        scale = _power_of_two(image_scale, "image_scale", side, _MOST_PIXELS_PER_SIDE)

    def bits(gray: Picture) -> Booleans:
        own = scale or max(side, 1 << min(gray.size).bit_length() - 1)
        low = low_frequencies(_resized(gray, own, own) / 255.0, own, side)
        return low > np.median(low)

    return _codes(images, bits, side * side, threads)


def color_hash(images: Any, *, binbits: int = 3, threads: int | None = None) -> Codes:
    """Hash pictures by their shares of black, of gray, and of six hues in faint and in bright colors.

    Colors stay where shapes do not: a rotated or mirrored picture has the same code.

    Parameters
    ----------
    images : picture, or sequence of pictures
        As in `average_hash`.
    binbits : int
        Bits per share, from 1 to 16; a code has ``14 * binbits`` bits.
    threads : int, optional
        As in `average_hash`.

    Returns
    -------
    uint8 array (n, ceil(14 * binbits / 8)), or (ceil(14 * binbits / 8),) for one picture
        The packed bits: those of black, gray, six hues of faint colors, and six hues of bright ones.

    Raises
    ------
    TypeError, ValueError, OSError, ImportError
        As in `average_hash`.

    Notes
    -----
    A share v from 0 to 1 is rounded down to ``q = min(int(v * 2**binbits), 2**binbits - 1)``. Its bit i, from
    the left, is ``(q >> binbits - 1 - i) % 2**(binbits - i) > 0`` as in ``colorhash`` of the package
    imagehash: the binary digit, or any digit before it that the modulus leaves. Black are pixels with a luma
    below 32, gray the others with a saturation below 85, faint up to 169, and bright from 171.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import bits
    >>> from fastcodes.hashing import images
    >>> red = np.full((32, 32, 3), (200, 0, 0), np.uint8)
    >>> bits.unpack(images.color_hash(red), 42).reshape(14, 3)[8]  # the first hue of bright colors
    array([1, 1, 1], dtype=uint8)
    """
    digits = as_integer(binbits, "binbits", 1, _MOST_BITS_PER_BIN)

    def bits(gray: Picture, hsv: Picture) -> Booleans:
        hue, saturation, _ = np.moveaxis(np.asarray(hsv), 2, 0)
        return color_bits(np.asarray(gray), hue, saturation, digits)

    return _codes(images, bits, 14 * digits, threads, ("L", "HSV"))


def _power_of_two(value: Any, name: str, low: int, high: int) -> int:
    number = as_integer(value, name, low, high)
    if number & number - 1:
        raise ValueError(f"{name} must be a power of two from {low} to {high}; got {number}")
    return number


# --- from pictures to codes ---------------------------------------------------------------------------------


def _codes(
    images: Any, bits: Bits, n_bits: int, threads: int | None, modes: tuple[str, ...] = ("L",)
) -> Codes:
    """Return the code of a picture, or the codes of a sequence of them; `bits` takes it in these modes."""
    check_threads(threads)
    module = _pillow()
    pictures, is_one = _as_pictures(images, module)

    def code(number: int) -> Codes:
        name = "images" if is_one else f"images[{number}]"
        return np.packbits(bits(*_converted(pictures[number], name, modes, module)))

    # A picture that occurs twice may be a file, which two threads must not read at a time.
    first = {id(picture): number for number, picture in reversed(list(enumerate(pictures)))}
    numbers = sorted(first.values())
    row_of = {number: row for row, number in enumerate(numbers)}
    n_threads = min(len(numbers), _native.threads(), len(numbers) if threads is None else threads)
    if n_threads > 1:
        with ThreadPoolExecutor(n_threads, thread_name_prefix="fastcodes") as pool:
            distinct = list(pool.map(code, numbers))
    else:
        distinct = [code(number) for number in numbers]
    if is_one:
        return distinct[0]
    codes = np.empty((len(pictures), (n_bits + 7) // 8), np.uint8)
    for row, picture in enumerate(pictures):
        codes[row] = distinct[row_of[first[id(picture)]]]
    return codes


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            "hashes of pictures need Pillow, the extra `images`: pip install 'fastcodes[images]'"
        ) from None
    return Image


def _as_pictures(images: Any, module: Any) -> tuple[list[Any], bool]:
    """Return pictures as a list, and whether the argument was one picture."""
    if isinstance(images, (str, os.PathLike, module.Image)) or hasattr(images, "read"):
        return [images], True
    if hasattr(images, "__array__") or hasattr(images, "__dlpack__"):
        array = as_array(images, "images")
        if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4)):
            return [array], True
        if array.ndim == 4 or (array.ndim == 1 and array.dtype.kind in "OUT"):
            return list(array), False
        advice = "; for gray pictures give list(images)" if array.ndim == 3 else ""
        raise ValueError(
            "images must have shape (height, width), (height, width, 3) or (n, height, width, 3); "
            f"got {array.shape}{advice}"
        )
    return as_list(images, "images", "pictures"), False


def _converted(picture: Any, name: str, modes: tuple[str, ...], module: Any) -> list[Picture]:
    """Return a picture in each of these color spaces, or raise an error that names it."""
    if isinstance(picture, (str, os.PathLike)):
        file = os.fspath(picture)
        with open(file, "rb") as stream:  # whose errors name the file
            return _read(stream, f"{name} is {file!r}, which", modes, module)
    if hasattr(picture, "read"):
        own = getattr(picture, "name", None)
        return _read(picture, f"{name} is {own!r}, which" if isinstance(own, str) else name, modes, module)
    if isinstance(picture, module.Image):
        file = getattr(picture, "filename", "")
        return _in_modes(picture, f"{name} is {file!r}, which" if file else name, modes)
    return _in_modes(module.fromarray(_pixels(picture, name)), name, modes)


def _pixels(picture: Any, name: str) -> Codes:
    array = as_array(picture, name)
    if array.dtype != np.uint8 or not array.ndim:
        advice = ""
        if array.ndim and array.dtype.kind == "f":
            advice = f"; give np.rint(255 * {name}).astype(np.uint8) if its values are from 0 to 1"
        given = describe(array if array.ndim else picture)
        raise TypeError(f"{name} must be {_EXPECTED}; got {given}{advice}")
    if not array.size or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise ValueError(
            f"{name} must have shape (height, width) or (height, width, 3), and pixels; got {array.shape}"
        )
    return array


def _read(stream: Any, label: str, modes: tuple[str, ...], module: Any) -> list[Picture]:
    with _reading(label):
        picture = module.open(stream)
        picture.load()
    return _in_modes(picture, label, modes)


@contextlib.contextmanager
def _reading(label: str) -> Iterator[None]:
    """Turn what decoders raise, which is not documented, into a ValueError that names the picture."""
    try:
        yield
    except Exception as error:
        from PIL import UnidentifiedImageError

        # The message of an unidentified picture is about a file object.
        is_unknown = isinstance(error, UnidentifiedImageError)
        reason = "Pillow does not know its format" if is_unknown else str(error) or type(error).__name__
        raise ValueError(f"{label} cannot be read as a picture: {reason.splitlines()[0]}") from None


def _in_modes(picture: Picture, label: str, modes: tuple[str, ...]) -> list[Picture]:
    if picture.mode[0] in "IF":  # Pillow would clip these to 255
        raise ValueError(f"{label} has more than 8 bits a sample (mode {picture.mode}); convert it to 8")
    with _reading(label):
        return [picture.convert(mode) for mode in modes]


def _resized(gray: Picture, width: int, height: int) -> Codes:
    from PIL.Image import Resampling

    return np.asarray(gray.resize((width, height), Resampling.LANCZOS))
