"""A file imports only from its own floor or a lower one, and no imports form a cycle."""

from __future__ import annotations

from pathlib import Path

import pytest
from contract.imports import Graph, cycle, python_graph, rust_graph

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "fastcodes"
CORE = ROOT / "rust" / "core" / "src"

# Lowest first; a name stands for a module or a package with all that is in it.
PYTHON_FLOORS = (
    {"_native"},
    {"_validation", "_arrow", "_typing", "_linalg", "_blocks", "_files", "_progress", "_estimator"},
    {
        "bits",
        "block_motion",
        "hamming",
        "jaccard",
        "adc",
        "entropy",
        "_packed_codes",
        "minhash",
        "hadamard",
        "rabitq",
        "xnor",
        "metrics",
        "results",
    },
    {"_codec", "_storage", "quantization", "hashing", "nn"},
    {"index", "coding", "crossmodal", "tokens"},
    {"interop", "distributed", "cli", "__main__"},
)
RUST_FLOORS = (
    {"level", "codes", "error", "run", "tasks"},
    {"select"},
    {
        "bits",
        "block_motion",
        "popcount",
        "hadamard",
        "minhash",
        "adc",
        "additive",
        "entropy",
        "wavelet",
        "xnor",
        "roofline",
    },
    {
        "hamming",
        "jaccard",
        "asymmetric",
        "binary",
        "adc::search",
        "lists",
        "rabitq",
        "rerank",
        "text",
        "image",
        "video",
    },
)


def floor_of(name: str, floors: tuple[set[str], ...], separator: str) -> int | None:
    """Return the floor of a module, by its longest prefix that has one."""
    parts = name.split(separator)
    for length in range(len(parts), 0, -1):
        prefix = separator.join(parts[:length])
        for floor, names in enumerate(floors):
            if prefix in names:
                return floor
    return None


def python_problems(graph: Graph, floors: tuple[set[str], ...] = PYTHON_FLOORS) -> list[str]:
    """List what is wrong with the imports of a package."""
    (root,) = {name.split(".")[0] for name in graph}
    inside = {
        name.removeprefix(f"{root}."): {target.removeprefix(f"{root}.") for target in targets}
        for name, targets in graph.items()
        if name != root
    }
    problems = []
    for name, targets in inside.items():
        here = floor_of(name, floors, ".")
        if here is None:
            problems.append(f"{name} has no floor")
            continue
        for target in targets:
            # The package itself imports everything, so only the top floor may import it.
            there = len(floors) - 1 if target == root else floor_of(target, floors, ".")
            if there is not None and there > here:
                problems.append(f"{name} imports {target}, which is on a higher floor")
    found = cycle(inside)
    return problems + ([f"imports form a cycle: {' -> '.join(found)}"] if found else [])


def rust_problems(graph: Graph, floors: tuple[set[str], ...] = RUST_FLOORS) -> list[str]:
    """List what is wrong with the imports of the core.

    Within a family ``mod.rs`` dispatches to the files of its levels, which use its types: a module and its
    parent may know each other. Families may not, nor may siblings.
    """
    problems, families, siblings = [], Graph(), Graph()
    for name, targets in graph.items():
        if name in ("", "testing"):
            continue
        here = floor_of(name, floors, "::")
        if here is None:
            problems.append(f"{name} has no floor")
            continue
        for target in targets:
            there = floor_of(target, floors, "::")
            if there is not None and there > here:
                # A parent names the children that it consists of.
                if not target.startswith(f"{name}::"):
                    problems.append(f"{name} uses {target}, which is on a higher floor")
                continue
            family, other = name.split("::")[0], target.split("::")[0]
            if family != other:
                families.setdefault(family, set()).add(other)
            elif not target.startswith(f"{name}::") and not name.startswith(f"{target}::"):
                siblings.setdefault(name, set()).add(target)
    for kind, edges in (("families", families), ("modules", siblings)):
        found = cycle(edges)
        if found:
            problems.append(f"{kind} form a cycle: {' -> '.join(found)}")
    return problems


def test_the_package_has_no_import_that_goes_up_and_no_cycle() -> None:
    assert python_problems(python_graph(PACKAGE)) == []


def test_the_core_has_no_import_that_goes_up_and_no_cycle() -> None:
    assert rust_problems(rust_graph(CORE)) == []


@pytest.mark.parametrize(
    ("module", "line", "problem"),
    [
        ("bits.py", "from fastcodes.index import FlatIndex", "bits imports index.base, which is on a higher"),
        ("bits.py", "def f():\n    import fastcodes.cli", "bits imports cli, which is on a higher floor"),
        (
            "bits.py",
            "from fastcodes import __version__",
            "bits imports fastcodes, which is on a higher floor",
        ),
        ("adc.py", "from typing import *\nif TYPE_CHECKING:\n    from fastcodes import bits", "cycle"),
        ("_validation.py", "from . import bits", "_validation imports bits, which is on a higher floor"),
        ("index/base.py", "from .flat import FlatIndex", "cycle: index.base -> index.flat -> index.base"),
        ("fresh.py", "", "fresh has no floor"),
    ],
)
def test_an_import_that_goes_up_or_round_is_found(
    tmp_path: Path, module: str, line: str, problem: str
) -> None:
    package = tmp_path / "fastcodes"
    sources = {
        "__init__.py": "from fastcodes import bits, adc, index",
        "_validation.py": "import numpy",
        "bits.py": "from fastcodes._validation import describe",
        "adc.py": "from fastcodes import bits",
        "index/__init__.py": "",
        "index/base.py": "from fastcodes import adc\nclass FlatIndex: ...",
        "index/flat.py": "from .base import Index",
        "cli/__init__.py": "from fastcodes import __version__",
    }
    if module == "bits.py" and "FlatIndex" in line:
        line = line.replace("fastcodes.index", "fastcodes.index.base")
    if module == "adc.py":
        sources["bits.py"] += "\nfrom fastcodes import adc"
    for name, text in sources.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    if module != "adc.py":
        assert python_problems(python_graph(package)) == []
    with (package / module).open("a") as file:
        file.write(f"\n{line}\n")
    assert problem in "\n".join(python_problems(python_graph(package)))


@pytest.mark.parametrize(
    ("module", "line", "problem"),
    [
        ("error.rs", "const MAX: usize = crate::adc::MAX;", "error uses adc, which is on a higher floor"),
        ("codes.rs", "use crate::{Error, hamming::knn};", "codes uses hamming, which is on a higher floor"),
        ("adc/avx2.rs", "use super::search::knn;", "adc::avx2 uses adc::search, which is on a higher floor"),
        ("adc/layout.rs", "use super::{avx2::sum, Tables};", "cycle: adc::avx2 -> adc::layout -> adc::avx2"),
        (
            "bits/mod.rs",
            "use crate::adc::{layout::{Blocks, Rows}, Tables};",
            "families form a cycle: adc -> bits",
        ),
        ("fresh.rs", "", "fresh has no floor"),
    ],
)
def test_a_path_that_goes_up_or_round_is_found(tmp_path: Path, module: str, line: str, problem: str) -> None:
    sources = {
        "lib.rs": "mod codes;\nmod error;\npub use codes::Codes;\npub use error::Error;",
        "error.rs": "pub enum Error {}",
        "codes.rs": "use crate::Error;\npub struct Codes;",
        "bits/mod.rs": "use crate::{Codes, Error};\npub const MAX: usize = 3;",
        "adc/mod.rs": "mod avx2;\nmod layout;\npub mod search;\nuse crate::bits;\npub use layout::Blocks;",
        "adc/layout.rs": "use crate::Codes;\n// use crate::hamming;\npub struct Blocks;",
        "adc/avx2.rs": 'use super::Blocks;\nfn text() -> &\'static str { "crate::hamming" }',
        "adc/search.rs": "use super::{Blocks, avx2};\n#[cfg(test)]\nmod tests { use crate::fresh; }",
        "hamming.rs": "use crate::adc::search;",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert rust_problems(rust_graph(tmp_path)) == []
    path = tmp_path / module
    path.write_text(f"{line}\n" + (path.read_text() if path.exists() else ""))
    assert problem in "\n".join(rust_problems(rust_graph(tmp_path)))
