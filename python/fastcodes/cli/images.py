"""The command `fastcodes images`: near-duplicates among the pictures of a folder."""

from __future__ import annotations

import argparse
import contextlib
import html
import json
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from fastcodes import _native, hamming
from fastcodes._typing import Codes
from fastcodes.cli.files import check_output, writing
from fastcodes.cli.pictures import address, as_seen, joined, names_below, printable, reason, report_skipped
from fastcodes.cli.terminal import UserError, blocks, integer, report, thread_count, tracked
from fastcodes.hashing import images as hashes

__all__ = ["HELP", "add_arguments", "run"]

HELP = "find near-duplicates among the pictures of a folder"
DESCRIPTION = (
    "Find near-duplicates among the pictures of a folder and its subfolders: pictures that are connected by "
    "pairs whose perceptual hashes differ in few bits. Prints the distance, size in pixels, bytes and name "
    "of each picture in a group; the first one has the most pixels, and distances, in bits, are those from "
    "it. Pictures are compared upright, and on white where they are transparent. Files that are no pictures "
    "by their suffix are left out; pictures that cannot be read are reported and skipped. Needs the extra "
    "images: pip install 'fastcodes[images]'."
)
EXAMPLES = """examples:
  fastcodes images photos
  fastcodes images photos --near 10 --hash difference --html near.html
  fastcodes images photos --json"""
HASHES: dict[str, Callable[..., Codes]] = {
    "average": hashes.average_hash,
    "color": hashes.color_hash,
    "difference": hashes.difference_hash,
    "perceptual": hashes.perceptual_hash,
    "wavelet": hashes.wavelet_hash,
}
PICTURES_PER_BLOCK = 64
PIXELS_AT_ONCE = 1 << 26
"""Of pictures that threads decode at a time, which takes up to 16 bytes a pixel."""
MOST_SHOWN = 2000
"""Pictures on a page."""
PIXELS_SHOWN = 320
"""The longer side of a picture on a page."""
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Near-duplicate pictures</title>
<style>
:root {{
  color-scheme: light dark;
  --page: #fff; --card: #f5f6f8; --line: #d9dde3; --text: #1b1f24; --soft: #59636e; --mark: #0a6847;
}}
@media (prefers-color-scheme: dark) {{
  :root {{
    --page: #15181c; --card: #1f2329; --line: #363c44; --text: #e8eaed; --soft: #a3acb6; --mark: #6fd6ac;
  }}
}}
body {{
  max-width: 88rem; margin: 0 auto; padding: 1.5rem clamp(.75rem, 3vw, 2rem);
  background: var(--page); color: var(--text); font: 15px/1.45 system-ui, sans-serif; overflow-wrap: anywhere;
}}
h1 {{ margin: 0 0 .25rem; font-size: 1.5rem }}
h2 {{ margin: 0 0 .75rem; font-size: 1rem }}
p {{ margin: 0 0 .25rem; max-width: 50rem; color: var(--soft) }}
section {{ margin-top: 1.5rem; padding-top: 1rem; border-top: 1px solid var(--line) }}
.pictures {{
  display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fill, minmax(min(14rem, 100% / 2 - .375rem), 1fr));
}}
figure {{
  margin: 0; overflow: hidden; border: 1px solid var(--line); border-radius: 8px; background: var(--card);
}}
img {{ display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: contain }}
figcaption {{ padding: .5rem .65rem .6rem; border-top: 1px solid var(--line) }}
figcaption span {{ display: block; color: var(--soft); font-size: .87em; font-variant-numeric: tabular-nums }}
figcaption .first {{ color: var(--mark); font-weight: 600 }}
</style>
</head>
<body>
<h1>Near-duplicate pictures</h1>
{text}
{groups}
</body>
</html>
"""

Answer = TypeVar("Answer")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the folder, what counts as a near-duplicate, and the outputs."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    parser.add_argument("folder", metavar="DIR", help="a folder of pictures")
    parser.add_argument(
        "--near",
        type=integer(0, 64),
        default=6,
        metavar="BITS",
        help="largest distance of near-duplicates, of 64 bits, or 42 of color (default: 6)",
    )
    parser.add_argument(
        "--hash",
        choices=sorted(HASHES),
        default="perceptual",
        help="what is compared: see fastcodes.hashing.images (default: perceptual)",
    )
    parser.add_argument("--json", action="store_true", help="print groups and report as JSON on stdout")
    parser.add_argument("--html", metavar="FILE", help="write a page that shows the groups side by side")
    parser.add_argument("--threads", type=thread_count, help="(default: all CPUs)")


def run(arguments: argparse.Namespace) -> None:
    """Print the groups of near-duplicates, and write the page."""
    started = time.perf_counter()
    folder = arguments.folder
    names = names_below(folder)
    if names == [""]:
        raise UserError(f"{folder}: not a folder; expected a folder of pictures")
    _check_page(arguments.html, [joined(folder, name) for name in names])
    n_threads = arguments.threads or _native.threads()
    with warnings.catch_warnings(), ThreadPoolExecutor(n_threads) as pool:
        warnings.simplefilter("ignore")  # of Pillow, about metadata and large pictures
        pictures, codes, skipped = _read(folder, names, HASHES[arguments.hash], pool)
        groups = _groups(pictures, codes, arguments.near, n_threads)
        counts = (
            f"{len(pictures):,} pictures, {sum(map(len, groups)):,} of them in {len(groups):,} groups of "
            "near-duplicates"
        )
        if arguments.html is not None:
            distances = f"{arguments.hash} hashes differ in at most {arguments.near} bits"
            text = f"{counts}: pictures that are connected by pairs whose {distances}."
            _write_page(arguments.html, folder, groups, text, pool)
    seconds = time.perf_counter() - started
    if arguments.json:
        facts = {
            "folder": folder,
            "hash": arguments.hash,
            "near": arguments.near,
            "pictures": len(pictures),
            "skipped": [{"file": name, "reason": why} for name, why in skipped],
            "groups": [[vars(member) for member in group] for group in groups],
            "seconds": round(seconds, 3),
        }
        print(json.dumps(facts))
        return
    for number, group in enumerate(groups):
        print("\n" * (number > 0) + "\n".join(_line(member) for member in group))
    report(f"{folder}: {counts}; {len(skipped):,} skipped; {seconds:.2f} s")


def _check_page(page: str | None, pictures: Sequence[str]) -> None:
    """Raise a `UserError` before any work if the page cannot be written, or would replace a picture."""
    if page is not None and not check_output(page, *(name for name in pictures if os.path.exists(name))):
        raise UserError(f"{page}: not a regular file; expected the name of a file to write")


# --- from files to groups -----------------------------------------------------------------------------------


@dataclass
class Member:
    """A picture and, once it belongs to a group, its distance from the first one."""

    file: str
    width: int
    height: int
    bytes: int
    distance: int = 0


def _read(
    folder: str, names: Sequence[str], code_of: Callable[..., Codes], pool: ThreadPoolExecutor
) -> tuple[list[Member], Codes, list[tuple[str, str]]]:
    """Return the pictures that can be read and their codes, and the names and problems of the others."""
    from PIL import Image, UnidentifiedImageError

    def read(name: str) -> tuple[Member, Codes] | str:
        path = joined(folder, name)
        try:
            with Image.open(path) as file, _ROOM.taken(file.width * file.height):
                picture = as_seen(file)
                return Member(name, *picture.size, os.path.getsize(path)), code_of(picture, threads=1)
        except UnidentifiedImageError:
            return "is no picture that Pillow can read"
        except Exception as error:  # whatever a decoder of a broken picture raises
            return reason(error)

    pictures, codes, skipped = [], [], []
    for name, answer in zip(names, _mapped(read, names, "reading", pool), strict=True):
        if isinstance(answer, str):
            skipped.append((name, answer))
        else:
            pictures.append(answer[0])
            codes.append(answer[1])
    report_skipped([f"{joined(folder, name)}: {why}" for name, why in skipped], folder)
    if not pictures:
        raise UserError(f"{folder}: has no pictures that can be read ({len(skipped):,} cannot)")
    return pictures, np.stack(codes), skipped


class _Room:
    """Room for a number of pixels, which threads share. A caller that needs more than is free waits."""

    def __init__(self, n: int) -> None:
        self._n = self._free = n
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, n: int) -> Iterator[None]:
        """Take room for `n` pixels; for more than all of it, take all."""
        n = min(n, self._n)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= n)
            self._free -= n
        try:
            yield
        finally:
            with self._changed:
                self._free += n
                self._changed.notify_all()


_ROOM = _Room(PIXELS_AT_ONCE)


def _mapped(
    function: Callable[[str], Answer], names: Sequence[str], description: str, pool: ThreadPoolExecutor
) -> Iterator[Answer]:
    """Yield the answers of a function for pictures, which it gets in several threads."""
    for block in tracked(blocks(len(names), PICTURES_PER_BLOCK), len(names), description):
        yield from pool.map(function, names[block])


def _groups(pictures: Sequence[Member], codes: Codes, near: int, threads: int) -> list[list[Member]]:
    """Return groups of two or more in the order of their names, each with the largest picture first."""
    labels = hamming.groups(codes, near, threads=threads)
    order = np.argsort(labels, kind="stable")
    groups = []
    for rows in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        if len(rows) > 1:
            first = max(
                rows, key=lambda row: (pictures[row].width * pictures[row].height, pictures[row].bytes)
            )
            distances = hamming.cdist(codes[first], codes[rows])[0].tolist()
            for row, distance in zip(rows, distances, strict=True):
                pictures[row].distance = distance
            others = sorted((pictures[row] for row in rows if row != first), key=lambda one: one.distance)
            groups.append([pictures[first], *others])
    return groups


# --- from groups to texts -----------------------------------------------------------------------------------


def _line(member: Member) -> str:
    size = f"{member.width:,} x {member.height:,}"
    name = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in member.file)
    return f"{member.distance:>3}  {size:>15}  {member.bytes:>13,}  {name}"


def _write_page(
    name: str, folder: str, groups: Sequence[Sequence[Member]], text: str, pool: ThreadPoolExecutor
) -> None:
    """Write a page with the pictures of each group side by side; it needs no other files."""
    shown: list[Sequence[Member]] = []
    n_shown = 0
    for group in groups:
        if n_shown + len(group) > MOST_SHOWN and shown:
            break
        shown.append(group[:MOST_SHOWN])
        n_shown += len(group)
    files = [member.file for group in shown for member in group]
    addresses = _mapped(lambda file: _address(joined(folder, file)), files, "writing", pool)
    sections = []
    for number, (group, members) in enumerate(zip(groups, shown, strict=False), 1):
        figures = "\n".join(_figure(member, next(addresses), member is group[0]) for member in members)
        sections.append(
            f"<section>\n<h2>Group {number:,}: {len(group):,} pictures</h2>\n"
            f'<div class="pictures">\n{figures}\n</div>\n</section>'
        )
    lines = [
        f"Pictures of {printable(folder)}",
        text,
        "Distances, in bits, are those from the reference, the picture with the most pixels.",
    ]
    if len(shown) < len(groups):
        lines.append(f"The first {len(shown):,} groups are shown.")
    page = PAGE.format(
        text="\n".join(f"<p>{html.escape(line)}</p>" for line in lines), groups="\n".join(sections)
    )
    with writing(name) as file:
        file.write(page.encode())


def _figure(member: Member, source: str, is_first: bool) -> str:
    name = html.escape(printable(member.file))
    mark = '<span class="first">reference</span>' if is_first else f"<span>distance {member.distance}</span>"
    return (
        f'<figure><img src="{source}" alt="{name}"><figcaption>{name}\n'
        f"<span>{member.width:,} &times; {member.height:,} pixels</span>\n"
        f"<span>{member.bytes:,} bytes</span>\n{mark}</figcaption></figure>"
    )


def _address(path: str) -> str:
    """Return a small copy of a picture as an address; an empty one if the file has changed since."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            file.draft("RGB", (2 * PIXELS_SHOWN, 2 * PIXELS_SHOWN))  # a JPEG need not be decoded in full
            with _ROOM.taken(file.width * file.height):
                picture = as_seen(file).convert("RGB")
                picture.thumbnail((PIXELS_SHOWN, PIXELS_SHOWN))
            return address(picture, "JPEG", quality=80)
    except Exception:  # whatever a decoder raises
        return "data:,"
