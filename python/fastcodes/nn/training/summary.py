"""The table of the layers of a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fastcodes.nn.layers import Layer, Residual

__all__ = ["summary_table"]

_HEADER = ("layer", "output", "parameters", "bits", "float MACs", "bit operations")


def summary_table(layers: Iterable[Layer], input_bits: int | None) -> str:
    """Return a table with a line for each layer and one for the totals: see `Sequential.summary`."""
    rows = list(_rows(layers, input_bits))
    totals = [sum(row[i] for row in rows) for i in range(2, len(_HEADER))]
    text = [[str(cell) for cell in row] for row in (_HEADER, *rows, ("total", "", *totals))]
    widths = [max(len(row[i]) for row in text) for i in range(len(_HEADER))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in text
    )


def _rows(layers: Iterable[Layer], bits: int | None, indent: str = "") -> Iterator[tuple[Any, ...]]:
    """Yield the lines of the table; `bits` is the number of bits of an input value."""
    for layer in layers:
        is_quantized = getattr(layer, "quantizer", None) is not None
        parameters = layer.parameters.values()
        memory = sum(p.value.size * (32 if p.quantizer is None else 1) for p in parameters)
        memory += sum(32 * array.size for array in layer.state.values())
        bits_per_product = bits if is_quantized and bits is not None else 0
        yield (
            f"{indent}{type(layer).__name__ if layer.children else repr(layer)}",
            str(layer.output_shape),
            sum(p.value.size for p in parameters),
            memory,
            0 if bits_per_product else layer.macs,
            layer.macs * bits_per_product,
        )
        if isinstance(layer, Residual):
            for branch in (layer.layers, layer.shortcut):
                yield from _rows(branch, bits, indent + "  ")
        bits = layer.output_bits(bits)
