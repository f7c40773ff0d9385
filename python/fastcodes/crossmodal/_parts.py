"""What a `CrossModalCodec` consists of."""

from __future__ import annotations

import abc
from typing import Any, Generic, TypeVar

from fastcodes._typing import Codes

__all__ = ["Captioner", "MessageCoder", "Painter"]

M = TypeVar("M")
In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)


class Captioner(abc.ABC, Generic[Out]):
    """A part that turns a picture into a message of a domain that people can read.

    Any object with these methods can take its place.
    """

    @abc.abstractmethod
    def describe(self, x: Any) -> Out:
        """Return the message of one picture, or of its features."""

    def candidates(self, x: Any) -> list[Out]:
        """Return messages to choose from, the best first; here there is one."""
        return [self.describe(x)]


class MessageCoder(abc.ABC, Generic[M]):
    """A part that turns messages into bytes without losses, as `fastcodes.coding.TextCodec` does.

    Any object with these methods can take its place.
    """

    @abc.abstractmethod
    def encode(self, message: M) -> bytes:
        """Return the bytes of a message."""

    @abc.abstractmethod
    def decode(self, data: bytes) -> M:
        """Return the message of these bytes, or raise a ValueError."""


class Painter(abc.ABC, Generic[In]):
    """A part that turns a message into a picture.

    Any object with these methods can take its place.
    """

    @abc.abstractmethod
    def paint(self, message: In) -> Codes:
        """Return a picture, uint8 (height, width, 3)."""
