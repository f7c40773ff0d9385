"""Files that become files, one each: names of outputs, a progress bar, what is skipped."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastcodes._typing import Array
from fastcodes.cli.files import check_output, writing
from fastcodes.cli.pictures import BadPictureError, Numbered, report_skipped
from fastcodes.cli.terminal import UserError, tracked

__all__ = ["Conversion", "array_file", "convert", "listed_by_suffix"]


@dataclass(frozen=True)
class Conversion:
    """What a command makes of files."""

    verb: str
    suffix: Callable[[Path], str]
    """Of the output for an input, where the user does not name it."""
    listed: Callable[[str], list[Path]]
    """Lists the inputs in a folder."""
    converted: Callable[[Path, str], Iterable[bytes]]
    """Makes the parts of an output, whose name is given, or raises a `BadPictureError` before the first."""
    forms: tuple[str, ...] = ()
    """Suffixes that an output can have, if not any."""
    keeps_neighbors: bool = False
    """Whether files beside an input are kept, unless the user names them."""


def convert(conversion: Conversion, inputs: Sequence[str], output: str | None) -> tuple[int, int, str]:
    """Convert all inputs; return how many were skipped and done, and a name for all of them.

    Files that cannot be converted are reported and skipped; if there is no other, a `UserError` is raised.
    """
    if "" in inputs:
        raise UserError("IN must be the name of a file or folder, or - for stdin; got ''")
    sources = [
        path for name in inputs for path in (conversion.listed(name) if _is_folder(name) else [_source(name)])
    ]
    label = inputs[0] if len(inputs) == 1 else f"{inputs[0]} and others"
    is_one = len(inputs) == 1 and not _is_folder(inputs[0])
    if output is None and "-" in inputs:
        raise UserError("-o names the output for stdin")
    if output == "-" and not is_one:
        raise UserError("-o - takes one input; with several inputs, -o is a folder")
    if output is not None and is_one and not _is_folder(output):
        _check_form(conversion, output)
        check_output(output, inputs[0])
    elif output is not None and not _is_folder(output):
        _make_folder(output)
    complaints: list[str] = []
    written: dict[str, Path] = {}
    numbered = (Numbered(path, number) for number, path in enumerate(sources, 1))
    for one in tracked(numbered, len(sources), conversion.verb):
        try:
            target = _target(conversion, one.path, output)
            if target in written:
                raise BadPictureError(f"would be written to {target}, as {written[target]} was")
            parts = conversion.converted(one.path, target)
        except BadPictureError as error:
            complaints.append(f"{one.path}: {error}")
            continue
        except UserError as error:  # it cannot be opened
            complaints.append(str(error))
            continue
        with writing(target) as file:
            file.writelines(parts)
        written[target] = one.path
    if not written:
        more = f"; {len(complaints) - 1:,} more skipped" if len(complaints) > 1 else ""
        raise UserError(complaints[0] + more)
    report_skipped(complaints, label)
    return len(complaints), len(written), label


def _is_folder(name: str) -> bool:
    return name != "-" and os.path.isdir(name)


def _source(name: str) -> Path:
    """Return the path of an input; that of the file ``./-`` is absolute, since ``-`` is stdin."""
    path = Path(name)
    return path.absolute() if str(path) == "-" != name else path


def _target(conversion: Conversion, source: Path, output: str | None) -> str:
    if output is not None and not _is_folder(output):
        return output
    folder = source.parent if output is None else Path(output)
    suffix = conversion.suffix(source)
    target = folder / source.with_suffix(suffix).name
    if target.exists():
        if source.exists() and target.samefile(source):
            raise BadPictureError(f"ends in {suffix} itself; name the output with -o")
        if conversion.keeps_neighbors and folder.samefile(source.parent):
            raise BadPictureError(f"{target} exists; name the output with -o")
    return str(target)


def _check_form(conversion: Conversion, output: str) -> None:
    if conversion.forms and Path(output).suffix.lower() not in conversion.forms:
        raise UserError(f"-o must end in {' or '.join(conversion.forms)}; got {output}")


def _make_folder(output: str) -> None:
    try:
        os.mkdir(output)
    except OSError as error:
        raise UserError(f"{output}: {error.strerror}; with several inputs, -o is a folder") from None


def listed_by_suffix(folder: str, suffix: str) -> list[Path]:
    """Return the files of a folder that end in `suffix`, sorted, or raise a `UserError` if it has none."""
    try:
        paths = [Path(folder, name) for name in sorted(os.listdir(folder))]
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}") from None
    paths = [path for path in paths if path.suffix.lower() == suffix]
    if not paths:
        raise UserError(f"{folder}: no files that end in {suffix}")
    return paths


def array_file(array: Array, target: str) -> bytes:
    """Return the bytes of a .npy or .png file, as the name of the target says."""
    written = io.BytesIO()
    if Path(target).suffix.lower() == ".npy":
        np.save(written, array)
    else:
        from PIL import Image

        Image.fromarray(array).save(written, "PNG")
    return written.getvalue()
