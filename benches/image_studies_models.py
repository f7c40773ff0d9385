"""The transforms of `image_studies.py`: linear ones, and patch autoencoders trained in numpy."""

from abc import abstractmethod
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from fastcodes import nn
from fastcodes._typing import Array
from fastcodes.nn.layers import Parameter
from image_studies_common import SIDE, Static, fit_static, mean_psnr, test_blocks, training_blocks

N = SIDE**2
N_HIDDEN = 128
N_STEPS, BATCH_SIZE, LEARNING_RATE = 6000, 128, 2e-3
BITS_PER_SQUARE = 6 / np.log(2)
"""What a squared error of one step squared costs in bits, at the slope of uniform rounding at high rates."""
HARDNESS = 10.0, 300.0
"""Of soft-to-hard rounding, from first to last step; chosen on the blocks to learn from."""
MOST_GAIN = 2.0
"""When gains are drawn in training, they are from its reciprocal to this number."""


# --- quantisers that can be trained through -----------------------------------------------------------------


class Rounding(nn.Layer):
    """Round latents; training uses a stand-in, and adds the gradient of their bits to that of the loss.

    The bits are those of Laplace laws whose scales are learned, times the gains of the latents.
    """

    def __init__(self, gains: "Gain") -> None:
        super().__init__()
        self.gains = gains

    def _build(self, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[int, ...]:
        self._rng = rng
        self.parameters = {"log_scale": Parameter(np.zeros(shape, np.float32))}
        return shape

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return integers, or in training what stands for them."""
        if not training:
            return np.rint(x)
        self.cache = self._stand_in(x)
        return self.cache[0]

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Return the gradient of loss and bits."""
        values, slope = self.cache
        log_scales = self.parameters["log_scale"].value + np.log(self.gains.factors())
        by_value, by_scale = bit_gradients(values, log_scales)
        self.parameters["log_scale"].gradient = by_scale.mean(axis=0)
        return (gradient + by_value / len(values)) * slope

    @abstractmethod
    def _stand_in(self, x: Array) -> tuple[Array, Any]:
        """Return what stands for the integers, and its derivative."""


class AdditiveNoise(Rounding):
    """Noise of the variance of rounding (Ballé, Laparra and Simoncelli, ICLR 2017)."""

    def _stand_in(self, x: Array) -> tuple[Array, Any]:
        return x + self._rng.random(x.shape, np.float32) - np.float32(0.5), np.float32(1)


class StraightThrough(Rounding):
    """The integers themselves, with the derivative of the identity (Theis et al., ICLR 2017)."""

    def _stand_in(self, x: Array) -> tuple[Array, Any]:
        return np.rint(x), np.float32(1)


class SoftToHard(Rounding):
    """Means of near integers under weights that sharpen (Agustsson et al., NeurIPS 2017, equation 1)."""

    def _stand_in(self, x: Array) -> tuple[Array, Any]:
        first, last = HARDNESS
        hardness = np.float32(first * (last / first) ** self.progress)
        centre = np.rint(x)
        offsets = np.arange(-2, 3, dtype=np.float32)
        weights = np.exp(-hardness * np.square((x - centre)[..., None] - offsets))
        weights /= weights.sum(axis=-1, keepdims=True)
        mean = weights @ offsets
        return centre + mean, 2 * hardness * (weights @ np.square(offsets) - np.square(mean))


QUANTIZERS = {
    "additive noise": AdditiveNoise,
    "straight-through": StraightThrough,
    "soft-to-hard": SoftToHard,
}


def bit_gradients(values: Array, log_scales: Array) -> tuple[Array, Array]:
    """Return the derivatives of bits by values (n, d) and by the logarithms of Laplace scales (d,).

    The probability of a value is the integral of the density over the unit interval around it.
    """
    scales = np.exp(np.maximum(log_scales, np.float32(np.log(0.05))))
    half, size = 0.5 / scales, np.minimum(np.abs(values), 0.5)
    shrunk, inner = np.exp(-half), size / scales
    p = 1 - shrunk * np.cosh(inner)
    is_inner = np.abs(values) < 0.5
    by_size = np.where(is_inner, shrunk * np.sinh(inner) / (scales * p), 1 / scales)
    by_scale = np.where(
        is_inner,
        shrunk * (0.5 * np.cosh(inner) - size * np.sinh(inner)) / (scales * p),
        (0.5 / np.tanh(half) - np.abs(values)) / scales,
    )
    per_bit = np.float32(1 / np.log(2))
    return by_size * np.sign(values) * per_bit, by_scale * per_bit


class Gain(nn.Layer):
    """Multiply each latent by a power of a number that can be changed at any time.

    The exponents are learned, so that the factors of two numbers interpolate those between them (Cui et al.,
    *Asymmetric gained deep image compression with continuous rate adaptation*, CVPR 2021, equation 8).
    """

    gain = 1.0

    def __init__(self, exponent: float) -> None:
        super().__init__()
        self.exponent = exponent

    def _build(self, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[int, ...]:
        self.parameters = {"exponents": Parameter(np.full(shape, self.exponent, np.float32))}
        return shape

    def factors(self) -> Array:
        """Return the factor of each latent."""
        factors: Array = np.float32(self.gain) ** self.parameters["exponents"].value
        return factors

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return the products."""
        out: Array = x * self.factors()
        if training:
            self.cache = out
        return out

    def backward(self, gradient: Array, *, needs_input: bool = True) -> Array:
        """Return the products with the gradient, and set that of the exponents."""
        by_exponent = (gradient * self.cache).sum(axis=0)
        self.parameters["exponents"].gradient = by_exponent * np.float32(np.log(self.gain))
        return gradient * self.factors()


class Distortion(nn.Loss):
    """Squared errors of whole blocks, in bits, at a gain."""

    def __init__(self, gain: float) -> None:
        self.weight = np.float32(BITS_PER_SQUARE * gain**2)

    def __call__(self, outputs: Array, targets: Array, inputs: Array) -> tuple[float, Array]:
        """Return the loss and its gradient."""
        errors = outputs - targets
        return float(self.weight * np.square(errors).sum() / len(errors)), errors * (
            2 * self.weight / len(errors)
        )


# --- coders: blocks to real latents, and integers to blocks -------------------------------------------------


@cache
def klt() -> Array:
    """Return the Karhunen-Loève basis of blocks (N, N), a column for each latent, by falling variance."""
    blocks = training_blocks().reshape(-1, N).astype(np.float64)
    return np.linalg.eigh(blocks.T @ blocks)[1][:, ::-1].astype(np.float32)


@cache
def dct() -> Array:
    """Return the basis of the discrete cosine transform (N, N), by falling variance in training."""
    k, x = np.mgrid[:SIDE, :SIDE]
    one = np.cos(np.pi * k * (2 * x + 1) / (2 * SIDE)) * np.sqrt(np.where(k, 2, 1) / SIDE)
    basis = np.kron(one, one).T.astype(np.float32)
    energies = np.square(training_blocks() @ basis).reshape(-1, N).mean(axis=0)
    return basis[:, np.argsort(-energies)]


class Linear:
    """An orthonormal transform and uniform rounding.

    With `dead_zone`, rounding is towards zero at thresholds of 2/3, and the decoder takes the mean of what
    became 1, and of what became more, in training.
    """

    def __init__(self, basis: Array, step: float, *, dead_zone: bool = False) -> None:
        self.basis, self.step, self.offset = basis, step, 1 / 3 if dead_zone else 0.5
        self.shifts = np.zeros((3, N), np.float32)
        if dead_zone:
            exact = self.real(training_blocks())
            sizes = np.abs(self.rounded(exact))
            for size in (1, 2):
                members = sizes == 1 if size == 1 else sizes > 1
                sums = np.where(members, np.abs(exact) - sizes, 0).reshape(-1, N).sum(axis=0)
                self.shifts[size] = sums / np.maximum(members.reshape(-1, N).sum(axis=0), 50)

    def real(self, blocks: Array) -> Array:
        """Return latents before they are rounded."""
        latents: Array = blocks @ (self.basis / np.float32(self.step))
        return latents

    def rounded(self, latents: Array) -> Array:
        """Return integers."""
        sizes = np.floor(np.abs(latents) + np.float32(self.offset))
        return (np.sign(latents) * sizes).astype(np.int32)

    def encode(self, blocks: Array) -> Array:
        """Return integers."""
        return self.rounded(self.real(blocks))

    def decode(self, latents: Array) -> Array:
        """Return blocks."""
        shifts = np.take_along_axis(
            self.shifts, np.minimum(np.abs(latents), 2).reshape(-1, N), axis=0
        ).reshape(latents.shape)
        values = latents + np.sign(latents) * shifts
        blocks: Array = values.astype(np.float32) @ (self.basis.T * np.float32(self.step))
        return blocks


class Learned:
    """A patch autoencoder: a linear layer and a residual block with one nonlinearity, on each side.

    Training starts from the DCT. Latents are multiplied by powers of a gain before they are rounded.
    """

    def __init__(self, quantizer: str, step: float, seed: int, *, random_gain: bool = False) -> None:
        self.step = step
        self.gains = Gain(1.0), Gain(-1.0)
        self.rounding = QUANTIZERS[quantizer](self.gains[0])
        self.encoder = (nn.Dense(N), nn.Residual(nn.Dense(N_HIDDEN), nn.HardTanh(), nn.Dense(N)))
        self.decoder = (nn.Residual(nn.Dense(N_HIDDEN), nn.HardTanh(), nn.Dense(N)), nn.Dense(N))
        self.network = nn.Network(
            *self.encoder, self.gains[0], self.rounding, self.gains[1], *self.decoder, random_state=seed
        ).build((N,))
        blocks = training_blocks().reshape(-1, N) / np.float32(step)
        self._start(blocks)
        rng = np.random.default_rng(seed)
        optimizer, schedule = nn.Adam(LEARNING_RATE), nn.Cosine()
        for i in range(N_STEPS):
            gain = MOST_GAIN ** rng.uniform(-1, 1) if random_gain else 1.0
            self._set_gain(gain)
            batch = blocks[rng.integers(len(blocks), size=BATCH_SIZE)]
            done = i / N_STEPS
            self.network.train_step(
                batch, batch, Distortion(gain), optimizer, rate=schedule(done), progress=done
            )

    def _start(self, blocks: Array) -> None:
        weights = self.network.get_weights()
        for name in ("1.2.weights", "5.2.weights"):
            weights[name][...] = 0
        weights["0.weights"][...] = dct()
        weights["6.weights"][...] = dct().T
        sizes = np.abs(blocks[:4096] @ dct()).mean(axis=0)
        weights["3.log_scale"][...] = np.log(np.maximum(sizes, 0.1))

    def _set_gain(self, gain: float) -> None:
        for layer in self.gains:
            layer.gain = gain

    def encode(self, blocks: Array, gain: float = 1.0) -> Array:
        """Return integers."""
        self._set_gain(gain)
        x = blocks.reshape(-1, N) / np.float32(self.step)
        for layer in (*self.encoder, self.gains[0], self.rounding):
            x = layer.forward(x)
        return x.astype(np.int32).reshape(blocks.shape)

    def decode(self, latents: Array, gain: float = 1.0) -> Array:
        """Return blocks."""
        self._set_gain(gain)
        x = latents.reshape(-1, N).astype(np.float32)
        for layer in (self.gains[1], *self.decoder):
            x = layer.forward(x)
        return (x * np.float32(self.step)).reshape(latents.shape)


class AtGain(NamedTuple):
    """A learned coder whose latents are finer or coarser than it was trained for."""

    model: Learned
    gain: float

    def encode(self, blocks: Array) -> Array:
        """Return integers."""
        return self.model.encode(blocks, self.gain)

    def decode(self, latents: Array) -> Array:
        """Return blocks."""
        return self.model.decode(latents, self.gain)


@cache
def learned(quantizer: str, step: float, seed: int, *, random_gain: bool = False) -> Learned:
    """Return a trained coder; each is trained once."""
    return Learned(quantizer, step, seed, random_gain=random_gain)


class Point(NamedTuple):
    """What a coder makes of the crops to test on."""

    bpp: float
    psnr: float
    squares: float
    """The mean squared error."""

    def objective(self, step: float) -> float:
        """Return what training for a step minimizes, in bits per pixel."""
        return self.bpp + BITS_PER_SQUARE * self.squares / step**2


def rate_and_psnr(coder: Linear | Learned | AtGain) -> Point:
    """Return rate and distortion of the crops to test on, by static laws learned in training."""
    static: Static = fit_static(coder.encode(training_blocks()))
    blocks = test_blocks()
    latents = coder.encode(blocks) * static.is_coded
    decoded = coder.decode(latents)
    squares = float(np.square(blocks - decoded, dtype=np.float64).mean())
    return Point(8 * static.n_bytes(latents) / blocks.size, mean_psnr(blocks, decoded, 128), squares)


@cache
def dct_curve(*, dead_zone: bool = False) -> list[tuple[float, float]]:
    """Return points of the DCT at many steps."""
    steps = 12 * 1.15 ** np.arange(22)
    return [rate_and_psnr(Linear(dct(), float(step), dead_zone=dead_zone))[:2] for step in steps]
