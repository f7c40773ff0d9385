"""Pictures to code, and the format of their bytes as rust/core/src/image/header.rs describes it."""

from __future__ import annotations

import binascii
import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np


def waves(height: int, width: int, channels: int = 3, *, noise: float = 4.0, seed: int = 0) -> Any:
    """Return a smooth uint8 picture with an edge and noise, (h, w) for one channel."""
    y, x = np.mgrid[:height, :width]
    phases = np.arange(channels)
    samples = 120 + 70 * np.sin(x[..., None] / (9 + phases)) * np.cos(y[..., None] / 7)
    samples = samples + 40 * (x > y)[..., None]
    samples = samples + np.random.default_rng(seed).normal(0, noise, samples.shape)
    pixels = np.clip(samples, 0, 255).astype(np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


def integers(height: int, width: int, channels: int = 3) -> Any:
    """Return a picture that integers alone make: ramps, an edge, and some noise of a linear generator."""
    y, x = np.mgrid[:height, :width]
    noise = (y * 7919 + x * 104_729) * 1_103_515_245 >> 9 & 7
    planes = [(x * (c + 2) + y * 3 + 60 * (x * x + y * y < 900) + noise) % 256 for c in range(channels)]
    pixels = np.stack(planes, axis=-1).astype(np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


# --- the format ---------------------------------------------------------------------------------------------

N_RESOLUTIONS = 4
LOSSLESS, COLOR, SIXTEEN_BITS, MS_SSIM = 1, 2, 4, 8


def check(data: bytes) -> bytes:
    """Return the CRC-16 with the polynomial 0x1021, from 0xFFFF."""
    return binascii.crc_hqx(data, 0xFFFF).to_bytes(2, "little")


def n_tiles(width: int, height: int) -> int:
    """Return how many tiles a picture has: of at most 512 x 512 pixels, with sides that 32 divides."""

    def along(side: int) -> int:
        length = -(-side // -(-side // 512))
        return -(-side // (-(-length // 32) * 32))

    return along(width) * along(height)


@dataclass
class Picture:
    """What the bytes of a picture say; `parts[resolution][tile]`."""

    flags: int
    width: int
    height: int
    kind: bytes
    """Step and shifts of coefficients, or the bits that contexts lose."""
    parts: list[list[bytes]]
    lengths: list[list[int]] = field(default_factory=list)
    """Of the parts, if the header is to claim others than there are."""

    @classmethod
    def read(cls, data: bytes) -> Picture:
        """Read all bytes of a picture, and check the checks."""
        assert data[:4] == b"FCI\x01"
        flags, width, height = (
            data[4],
            int.from_bytes(data[5:7], "little"),
            int.from_bytes(data[7:9], "little"),
        )
        place = 9 + (1 if flags & LOSSLESS else 2 + 2 * (3 if flags & COLOR else 1))
        kind = data[9:place]
        lengths: list[list[int]] = []
        for _ in range(N_RESOLUTIONS):
            lengths.append([])
            for _ in range(n_tiles(width, height)):
                length = shift = 0
                while True:
                    byte, place = data[place], place + 1
                    length |= (byte & 0x7F) << shift
                    shift += 7
                    if byte < 0x80:
                        break
                lengths[-1].append(length)
        checks = [data[place + 2 * i : place + 2 * i + 2] for i in range(N_RESOLUTIONS)]
        place += 2 * N_RESOLUTIONS
        assert data[place : place + 2] == check(data[:place])
        place += 2
        parts = []
        for wanted, of_resolution in zip(checks, lengths, strict=True):
            ends = list(itertools.accumulate(of_resolution, initial=place))
            parts.append([data[start:stop] for start, stop in itertools.pairwise(ends)])
            place = ends[-1]
            assert check(b"".join(parts[-1])) == wanted
        assert place == len(data)
        return cls(flags, width, height, kind, parts)

    @property
    def header(self) -> bytes:
        """The bytes before the parts."""
        data = b"FCI\x01" + bytes([self.flags])
        data += self.width.to_bytes(2, "little") + self.height.to_bytes(2, "little") + self.kind
        for length in itertools.chain(*(self.lengths or [[len(p) for p in parts] for parts in self.parts])):
            while length > 0x7F:
                data += bytes([length & 0x7F | 0x80])
                length >>= 7
            data += bytes([length])
        data += b"".join(check(b"".join(parts)) for parts in self.parts)
        return data + check(data)

    @property
    def data(self) -> bytes:
        """All bytes, with checks that belong to them."""
        return self.header + b"".join(itertools.chain(*self.parts))

    @property
    def ends(self) -> list[int]:
        """How many bytes are needed for each resolution, from the lowest one."""
        sizes = [sum(map(len, parts)) for parts in self.parts]
        return list(itertools.accumulate(sizes, initial=len(self.header)))[1:]

    @property
    def step(self) -> float:
        """The step of a lossy picture."""
        return float((256 + self.kind[0]) * 2.0 ** (self.kind[1] - 16))


def empty(width: int, height: int, **fields: Any) -> Picture:
    """Return a grey picture without losses that has no parts."""
    parts = [[b""] * n_tiles(width, height) for _ in range(N_RESOLUTIONS)]
    return Picture(**{"flags": LOSSLESS, "kind": b"\0", "parts": parts} | fields, width=width, height=height)
