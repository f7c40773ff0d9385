"""Layers of floats, and those that any network needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fastcodes._validation import as_integer
from fastcodes.nn._layer import Array, Layer, Parameter, Shape
from fastcodes.nn._parts import by_parts
from fastcodes.nn.quantizers import Quantizer

__all__ = ["BatchNorm", "Conv2D", "Dense", "Dropout", "Flatten", "HardTanh", "MaxPool2D", "Residual"]

# Elements of the patches that are multiplied at a time: they stay in the cache.
_PATCHES = 1 << 20


class Product(Layer):
    """A layer that multiplies by weights: floats, or the bits that a quantiser makes of them."""

    quantizer: Quantizer | None = None
    use_bias: bool

    def _build_weights(self, shape: Shape, fan_in: int, fan_out: int, rng: np.random.Generator) -> None:
        # Glorot and Bengio, AISTATS 2010, equation 16.
        limit = np.float32(np.sqrt(6 / (fan_in + fan_out)))
        weights = rng.random(shape, np.float32)
        weights *= 2 * limit
        weights -= limit
        self.parameters = {"weights": Parameter(weights, self.quantizer)}
        if self.use_bias:
            self.parameters["bias"] = Parameter(np.zeros(shape[-1], np.float32))

    def matrix(self) -> tuple[Array, Array | None]:
        """Return what inputs are multiplied by, (K, n_outputs), and then outputs, (n_outputs,) or None."""
        weights = self._latent()
        return (weights, None) if self.quantizer is None else self.quantizer.forward(weights)

    def _latent(self) -> Array:
        weights = self.parameters["weights"].value
        return weights.reshape(-1, weights.shape[-1])

    def scale_and_shift(self, out: Array, scale: Array | None) -> Array:
        """Return products (n, ..., n_outputs) times `scale`, plus the bias; they are overwritten."""
        if scale is not None:
            out *= scale
        if self.use_bias:
            out += self.parameters["bias"].value
        return out

    def _set_gradients(self, by_weights: Array, by_output: Array, matrix: Array, scale: Array | None) -> None:
        weights = self.parameters["weights"]
        if self.quantizer is not None:
            by_weights = self.quantizer.backward(by_weights, self._latent(), matrix, scale, self.progress)
        weights.gradient = by_weights.reshape(weights.value.shape)
        if self.use_bias:
            self.parameters["bias"].gradient = _sum(by_output)


class Dense(Product):
    """Multiply vectors by a matrix of weights.

    Parameters
    ----------
    units : int
        Number of outputs.
    use_bias : bool
        Whether to add a learned number to each.

    Examples
    --------
    >>> from fastcodes import nn
    >>> nn.Sequential(nn.Dense(3)).build((5,)).layers[0].output_shape
    (3,)
    """

    def __init__(self, units: int, *, use_bias: bool = True) -> None:
        super().__init__()
        self.units = as_integer(units, "units", 1)
        self.use_bias = use_bias

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        if len(shape) != 1:
            raise ValueError(f"expects a vector of each sample; got shape {shape}. Put Flatten() before it")
        self._build_weights((shape[0], self.units), shape[0], self.units, rng)
        self.macs = shape[0] * self.units
        return (self.units,)

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return ``x @ weights * scale + bias`` (n, units)."""
        matrix, scale = self.matrix()
        if training:
            self.cache = x, matrix, scale
        return self.scale_and_shift(self._products(x, matrix), scale)

    def _products(self, x: Array, matrix: Array) -> Array:
        products: Array = x @ matrix
        return products

    def backward(self, gradient: Array, needs_input: bool = True) -> Array:
        """Set the gradients of weights and bias and return that of the input."""
        x, matrix, scale = self.cache
        self._set_gradients(x.T @ gradient, gradient, matrix, scale)
        if not needs_input:
            return gradient
        by_input: Array = (gradient if scale is None else gradient * scale) @ matrix.T
        return by_input


class Conv2D(Product):
    """Multiply all patches of images by filters: a cross-correlation.

    Images are (n, height, width, channels), weights (kernel height, kernel width, channels / groups,
    filters).

    Parameters
    ----------
    filters : int
        Number of output channels.
    kernel_size : int or pair of int
        Height and width of a patch.
    stride : int
        Steps between patches.
    padding : "valid", "same" or int
        "valid" takes only patches within the image; "same" adds a border so that the output is as large as
        the input divided by the stride, rounded up; a number is the width of the border on all sides.
    dilation : int
        Distance of the pixels of a patch.
    groups : int
        Into how many parts channels and filters are cut; a part of the filters sees only its part of the
        channels.
    use_bias : bool
        Whether to add a learned number to each output channel.

    Examples
    --------
    >>> from fastcodes import nn
    >>> nn.Sequential(nn.Conv2D(8, 3, padding="same")).build((32, 32, 3)).layers[0].output_shape
    (32, 32, 8)
    """

    pad_value: float = 0.0

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int | str = "valid",
        dilation: int = 1,
        groups: int = 1,
        use_bias: bool = True,
    ) -> None:
        super().__init__()
        self.filters = as_integer(filters, "filters", 1)
        self.kernel_size = _pair(kernel_size, "kernel_size")
        self.stride = as_integer(stride, "stride", 1)
        if isinstance(padding, str):
            if padding not in ("valid", "same"):
                raise ValueError(f'padding must be "valid", "same" or an integer; got {padding!r}')
            self.padding: int | str = padding
        else:
            self.padding = as_integer(padding, "padding", 0)
        self.dilation = as_integer(dilation, "dilation", 1)
        self.groups = as_integer(groups, "groups", 1)
        self.use_bias = use_bias

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        height, width, channels = _image(shape)
        if channels % self.groups or self.filters % self.groups:
            raise ValueError(
                f"groups={self.groups} has to divide both the {channels} channels "
                f"and the {self.filters} filters"
            )
        self.pads = [self._pad_of(size, k) for size, k in zip((height, width), self.kernel_size, strict=True)]
        out = [
            (size + sum(pads) - self.dilation * (k - 1) - 1) // self.stride + 1
            for size, pads, k in zip((height, width), self.pads, self.kernel_size, strict=True)
        ]
        if min(out) < 1:
            raise ValueError(
                f"a kernel of {self.kernel_size} with dilation {self.dilation} does not fit into images of "
                f'({height}, {width}) with padding {self.padding!r}; make it smaller, or take padding="same"'
            )
        area = self.kernel_size[0] * self.kernel_size[1]
        part = channels // self.groups
        fan_out = area * self.filters // self.groups
        self._build_weights((*self.kernel_size, part, self.filters), area * part, fan_out, rng)
        self.macs = out[0] * out[1] * area * part * self.filters
        return (out[0], out[1], self.filters)

    def _pad_of(self, size: int, kernel: int) -> tuple[int, int]:
        if self.padding == "same":
            n_patches = -(-size // self.stride)
            total = max((n_patches - 1) * self.stride + self.dilation * (kernel - 1) + 1 - size, 0)
            return total // 2, total - total // 2
        return (0, 0) if self.padding == "valid" else (int(self.padding), int(self.padding))

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return the product with each patch (n, height, width, filters)."""
        matrix, scale = self.matrix()
        if training:
            self.cache = x, matrix, scale
        return self.scale_and_shift(self._products(x, matrix), scale)

    def _products(self, x: Array, matrix: Array) -> Array:
        padded = self._padded(x)
        out = np.empty((len(x), *self.output_shape), x.dtype)

        def multiply(images: slice) -> None:
            for some, inputs, outputs in self._parts(images):
                rows = out[some].reshape(-1, self.filters)
                np.matmul(self._patches(padded[some, ..., inputs]), matrix[:, outputs], out=rows[:, outputs])

        by_parts(multiply, len(x), len(x) * self.macs)
        return out

    def backward(self, gradient: Array, needs_input: bool = True) -> Array:
        """Set the gradients of weights and bias and return that of the input."""
        x, matrix, scale = self.cache
        padded = self._padded(x)
        gradient = np.ascontiguousarray(gradient)
        by_padded: Array = np.zeros_like(padded) if needs_input else padded
        weights = matrix if scale is None else matrix * scale
        taps = np.ascontiguousarray(weights.reshape(*self.kernel_size, -1, self.filters).swapaxes(2, 3))

        def multiply(images: slice) -> Array:
            by_weights: Array = np.zeros_like(matrix)
            for some, inputs, outputs in self._parts(images):
                rows = gradient[some].reshape(-1, self.filters)[:, outputs]
                by_weights[:, outputs] += self._patches(padded[some, ..., inputs]).T @ rows
                if needs_input:
                    self._add_products(rows, taps[:, :, outputs], by_padded[some, ..., inputs])
            return by_weights

        total = np.sum(by_parts(multiply, len(gradient), len(gradient) * self.macs), axis=0)
        self._set_gradients(total, gradient, matrix, scale)
        (top, _), (left, _) = self.pads
        height, width, _ = self.input_shape
        by_input: Array = by_padded[:, top : top + height, left : left + width]
        return by_input

    @property
    def fits_kernel(self) -> bool:
        """Whether `fastcodes.xnor.conv2d` has these groups."""
        part = self.parameters["weights"].value.shape[2]
        return self.groups == 1 or (part % 8 == 0 and self.filters // self.groups % 8 == 0)

    @property
    def has_border(self) -> bool:
        """Whether images are padded."""
        return any(map(any, self.pads))

    def _padded(self, x: Array) -> Array:
        if not self.has_border:
            return x
        n, height, width, channels = x.shape
        (top, bottom), (left, right) = self.pads
        shape = (n, height + top + bottom, width + left + right, channels)
        padded = np.full(shape, self.pad_value, x.dtype)
        padded[:, top : top + height, left : left + width] = x
        return padded

    def _parts(self, images: slice) -> Iterator[tuple[slice, slice, slice]]:
        """Yield images, channels and filters that belong together, a few patches at a time."""
        height, width, filters = self.output_shape
        part, weights = self.filters // self.groups, self.parameters["weights"].value
        channels = weights.shape[2]
        step = max(1, _PATCHES // (height * width * (weights.size // filters)))
        for start in range(images.start, images.stop, step):
            for g in range(self.groups):
                inputs, outputs = (slice(g * size, (g + 1) * size) for size in (channels, part))
                yield slice(start, min(start + step, images.stop)), inputs, outputs

    def _patches(self, x: Array) -> Array:
        """Return the patches of padded images as rows of a matrix (patches, K)."""
        n, _, _, channels = x.shape
        height, width, _ = self.output_shape
        s_n, s_h, s_w, s_c = x.strides
        patches = np.lib.stride_tricks.as_strided(
            x,
            (n, height, width, *self.kernel_size, channels),
            (s_n, s_h * self.stride, s_w * self.stride, s_h * self.dilation, s_w * self.dilation, s_c),
            writeable=False,
        )
        return patches.reshape(n * height * width, -1)

    def _add_products(self, rows: Array, taps: Array, x: Array) -> None:
        """Add the products of output gradients with the weights of each place of a patch where that lies."""
        n, _, _, channels = x.shape
        height, width, _ = self.output_shape
        products = np.empty((len(rows), channels), x.dtype)
        for i, j in np.ndindex(*self.kernel_size):
            np.matmul(rows, taps[i, j], out=products)
            top, left = i * self.dilation, j * self.dilation
            bottom, right = top + (height - 1) * self.stride + 1, left + (width - 1) * self.stride + 1
            target = x[:, top : bottom : self.stride, left : right : self.stride]
            target += products.reshape(n, height, width, channels)


class BatchNorm(Layer):
    r"""Shift and scale each feature to what suits the next layer.

    In training, :math:`y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta` with mean and variance of
    the batch (Ioffe and Szegedy, *Batch normalization*, ICML 2015, algorithm 1); of images, over all pixels.
    Later with their running means. There it is always
    ``(x - mean) * (gamma / sqrt(variance + epsilon)) + beta`` in this order and in float32, so that a sign
    behind it is the same comparison each time.

    Parameters
    ----------
    momentum : float
        What the running means keep of themselves at each batch, from 0 to 1.
    epsilon : float
        Added to the variance, which may be zero.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import nn
    >>> layer = nn.BatchNorm()
    >>> layer.build((1,), np.random.default_rng(0))
    (1,)
    >>> layer.forward(np.array([[2.0], [4.0]], np.float32), training=True).round(2).tolist()
    [[-1.0], [1.0]]
    """

    def __init__(self, *, momentum: float = 0.9, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.momentum = _fraction(momentum, "momentum")
        if not 0 < epsilon < np.inf:
            raise ValueError(f"epsilon must be a positive number; got {epsilon!r}")
        self.epsilon = epsilon

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        n = shape[-1]
        self.parameters = {
            "gamma": Parameter(np.ones(n, np.float32)),
            "beta": Parameter(np.zeros(n, np.float32)),
        }
        self.state = {"mean": np.zeros(n, np.float32), "variance": np.ones(n, np.float32)}
        return shape

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return the normalised samples, with the shape of `x`."""
        gamma, beta = self.parameters["gamma"].value, self.parameters["beta"].value
        out: Array
        if training:
            mean, variance, centred = _moments(x)
            for name, value in (("mean", mean), ("variance", variance)):
                self.state[name] *= self.momentum
                self.state[name] += (1 - self.momentum) * value
            inverse = 1 / np.sqrt(variance + self.epsilon)
            self.cache = centred, inverse
            out = np.empty_like(centred)

            def scale(part: slice) -> None:
                np.multiply(centred[part], gamma * inverse, out=out[part])
                out[part] += beta

            by_parts(scale, len(x), x.size)
        else:
            out = x - self.state["mean"]
            out *= self.factor()
            out += beta
        return out

    def factor(self) -> Array:
        """Return what each feature is multiplied by after training."""
        factor: Array = self.parameters["gamma"].value / np.sqrt(self.state["variance"] + self.epsilon)
        return factor

    def backward(self, gradient: Array, needs_input: bool = True) -> Array:
        """Set the gradients of gamma and beta and return that of the input."""
        centred, inverse = self.cache
        gamma, beta = self.parameters["gamma"], self.parameters["beta"]
        n, size = centred.size // centred.shape[-1], centred.size

        def sums(part: slice) -> tuple[Array, Array]:
            return _sum(gradient[part]), _sum_of_products(gradient[part], centred[part])

        by_beta, by_gamma = zip(*by_parts(sums, len(centred), size), strict=True)
        beta.gradient = np.sum(by_beta, axis=0)
        gamma.gradient = np.sum(by_gamma, axis=0) * inverse
        out: Array = np.empty_like(centred)

        def spread(part: slice) -> None:
            some = out[part]
            np.multiply(centred[part], gamma.gradient * inverse / -n, out=some)
            some -= beta.gradient / n
            some += gradient[part]
            some *= gamma.value * inverse

        by_parts(spread, len(centred), size)
        return out


class MaxPool2D(Layer):
    """Take the largest value of each window of an image, channel by channel.

    The gradient goes to the first largest value. Pixels at the end that fill no window are left out.

    Parameters
    ----------
    size : int
        Height and width of a window.
    stride : int or None
        Steps between windows; None stands for `size`.

    Examples
    --------
    >>> from fastcodes import nn
    >>> nn.Sequential(nn.MaxPool2D(2)).build((32, 32, 3)).layers[0].output_shape
    (16, 16, 3)
    """

    def __init__(self, size: int = 2, *, stride: int | None = None) -> None:
        super().__init__()
        self.size = as_integer(size, "size", 1)
        self.stride = None if stride is None else as_integer(stride, "stride", 1)

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        height, width, channels = _image(shape)
        if min(height, width) < self.size:
            raise ValueError(f"a window of size {self.size} does not fit into images of ({height}, {width})")
        step = self.stride or self.size
        return ((height - self.size) // step + 1, (width - self.size) // step + 1, channels)

    def output_bits(self, input_bits: int | None) -> int | None:
        """Return as many as come in."""
        return input_bits

    def _places(self, x: Array) -> Iterator[Array]:
        """Yield for each place of a window the pixels of `x` that are there."""
        height, width, _ = self.output_shape
        step = self.stride or self.size
        for i in range(self.size):
            for j in range(self.size):
                yield x[:, i : i + height * step : step, j : j + width * step : step][:, :height, :width]

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return the largest values (n, height, width, channels)."""
        out = np.empty((len(x), *self.output_shape), x.dtype)

        def pool(part: slice) -> None:
            places = self._places(x[part])
            out[part] = next(places)
            for place in places:
                np.maximum(out[part], place, out=out[part])

        by_parts(pool, len(x), x.size)
        if training:
            self.cache = x, out
        return out

    def backward(self, gradient: Array, needs_input: bool = True) -> Array:
        """Return the gradient of the input."""
        x, largest = self.cache
        by_input: Array = np.zeros_like(x)
        is_apart = (self.stride or self.size) >= self.size  # each pixel is in one window at most

        def spread(part: slice) -> None:
            left = gradient[part].copy()  # what no place took yet
            for place, target in zip(self._places(x[part]), self._places(by_input[part]), strict=True):
                is_largest = place == largest[part]
                taken = np.multiply(left, is_largest, out=target if is_apart else None)
                if not is_apart:
                    target += taken
                left -= taken

        by_parts(spread, len(x), x.size)
        return by_input


class Flatten(Layer):
    """Make a vector of each sample.

    Examples
    --------
    >>> from fastcodes import nn
    >>> nn.Sequential(nn.Flatten()).build((4, 4, 3)).layers[0].output_shape
    (48,)
    """

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        return (int(np.prod(shape)),)

    def output_bits(self, input_bits: int | None) -> int | None:
        """Return as many as come in."""
        return input_bits

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return the samples as vectors (n, d)."""
        return x.reshape(len(x), *self.output_shape)

    def backward(self, gradient: Array, needs_input: bool = True) -> Array:
        """Return the gradient in the shape of the input."""
        return gradient.reshape(len(gradient), *self.input_shape)


class HardTanh(Layer):
    """Clip values to [-1, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import nn
    >>> nn.HardTanh().forward(np.array([[-3.0, 0.5, 2.0]])).tolist()
    [[-1.0, 0.5, 1.0]]
    """

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return the clipped values."""
        if training:
            self.cache = np.abs(x) <= 1
        return np.clip(x, -1, 1)

    def backward(self, gradient: Array, needs_input: bool = True) -> Array:
        """Return the gradient where nothing was clipped, and 0 elsewhere."""
        out: Array = gradient * self.cache
        return out


class Dropout(Layer):
    """Set random values to zero in training, and scale the others so that the mean stays.

    Srivastava et al., *Dropout*, JMLR 15, 2014. Does nothing but in training.

    Parameters
    ----------
    rate : float
        Which part of the values to drop, from 0 to less than 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastcodes import nn
    >>> nn.Dropout(0.5).forward(np.ones((1, 3))).tolist()
    [[1.0, 1.0, 1.0]]
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = _fraction(rate, "rate")

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        self._rng = rng
        return shape

    def output_bits(self, input_bits: int | None) -> int | None:
        """Return as many as come in."""
        return input_bits

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return the samples, in training with zeros."""
        if not training:
            return x
        kept = self._rng.random(x.shape, np.float32) >= self.rate
        self.cache = kept.astype(x.dtype)
        self.cache /= 1 - self.rate
        out: Array = x * self.cache
        return out

    def backward(self, gradient: Array, needs_input: bool = True) -> Array:
        """Return the gradient of the values that were kept."""
        out: Array = gradient * self.cache
        return out


class Residual(Layer):
    """Add to the input what some layers make of it (He et al., CVPR 2016, equations 1 and 2).

    Parameters
    ----------
    *layers : Layer
        One after the other.
    shortcut : sequence of Layer
        What the input passes on its other way, where the shapes would differ otherwise.

    Examples
    --------
    >>> from fastcodes import nn
    >>> block = nn.Residual(nn.Sign(), nn.BinaryDense(8), nn.BatchNorm())
    >>> nn.Sequential(block).build((8,)).layers[0].output_shape
    (8,)
    """

    def __init__(self, *layers: Layer, shortcut: Iterable[Layer] = ()) -> None:
        super().__init__()
        self.layers = layers
        self.shortcut = tuple(shortcut)
        self.children = (*self.layers, *self.shortcut)
        if not layers or not all(isinstance(layer, Layer) for layer in self.children):
            raise TypeError(f"Residual expects at least one layer, and nothing else; got {self.children!r}")

    def _build(self, shape: Shape, rng: np.random.Generator) -> Shape:
        ends = []
        for layers in (self.layers, self.shortcut):
            end = shape
            for layer in layers:
                end = layer.build(end, rng)
            ends.append(end)
        if ends[0] != ends[1]:
            raise ValueError(
                f"its layers turn shape {shape} into {ends[0]}, which cannot be added to {ends[1]}; "
                f"give the last of them as many outputs, or a shortcut= that has the shape {ends[0]}"
            )
        return ends[0]

    def config(self) -> dict[str, Any]:
        """Return the layers on both ways, as JSON values."""
        ways = {"layers": self.layers, "shortcut": self.shortcut}
        return {
            "layer": type(self).__name__,
            **{name: [layer.config() for layer in way] for name, way in ways.items()},
        }

    def forward(self, x: Array, training: bool = False) -> Array:
        """Return the sum of both ways."""
        out, short = x, x
        for layer in self.layers:
            out = layer.forward(out, training)
        for layer in self.shortcut:
            short = layer.forward(short, training)
        total: Array = out + short
        return total

    def backward(self, gradient: Array, needs_input: bool = True) -> Array:
        """Return the sum of the gradients of both ways."""
        out, short = gradient, gradient
        for layer in reversed(self.layers):
            out = layer.backward(out)
        for layer in reversed(self.shortcut):
            short = layer.backward(short)
        total: Array = out + short
        return total

    def __repr__(self) -> str:
        """Show the layers."""
        shortcut = [f"shortcut={self.shortcut!r}"] if self.shortcut else []
        return f"Residual({', '.join([*map(repr, self.layers), *shortcut])})"


def _moments(x: Array) -> tuple[Array, Array, Array]:
    """Return mean and variance over all axes but the last, and what is without its mean."""
    n = x.size // x.shape[-1]
    mean: Array = np.sum(by_parts(lambda part: _sum(x[part]), len(x), x.size), axis=0) / n
    centred = np.empty_like(x)

    def centre(part: slice) -> Array:
        np.subtract(x[part], mean, out=centred[part])
        return _sum_of_products(centred[part], centred[part])

    variance: Array = np.sum(by_parts(centre, len(x), x.size), axis=0) / n
    return mean, variance, centred


def _sum(x: Array) -> Array:
    """Return the sum over all axes but the last; a matrix product is the fastest way to it."""
    rows = x.reshape(-1, x.shape[-1])
    total: Array = np.ones(len(rows), x.dtype) @ rows
    return total


def _sum_of_products(x: Array, y: Array) -> Array:
    total: Array = np.einsum("nd,nd->d", x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1]))
    return total


def _image(shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ValueError(
            f"expects images (height, width, channels) of each sample; got shape {shape}. "
            "Put it before Flatten(); grey images (n, h, w) become (n, h, w, 1) by X[..., np.newaxis]"
        )
    return shape[0], shape[1], shape[2]


def _pair(value: Any, name: str) -> tuple[int, int]:
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{name} must be an integer or a pair of them; got {value!r}")
        return as_integer(value[0], name, 1), as_integer(value[1], name, 1)
    number = as_integer(value, name, 1)
    return number, number


def _fraction(value: Any, name: str) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be a number from 0 to less than 1; got {value!r}")
    return float(value)
