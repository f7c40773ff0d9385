"""Who imports whom, read from the sources: Python's import statements and Rust's paths."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

Graph = dict[str, set[str]]


def cycle(graph: Graph) -> list[str]:
    """Return the nodes of a cycle in their order, or nothing if there is none."""
    done: set[str] = set()
    for start in sorted(graph):
        path, branches = [start], [iter(sorted(graph[start]))]
        while branches and start not in done:
            node = next(branches[-1], None)
            if node is None:
                branches.pop()
                done.add(path.pop())
            elif node in path:
                return [*path[path.index(node) :], node]
            elif node not in done:
                path.append(node)
                branches.append(iter(sorted(graph.get(node, ()))))
    return []


# --- Python -------------------------------------------------------------------------------------------------


def python_graph(package: Path) -> Graph:
    """Return the imports between the modules of a package, wherever they stand, by their dotted names."""
    files = {_dotted(package, path): path for path in package.rglob("*.py")}
    names = {*files, *(_dotted(package, path) for path in package.glob("*.pyi"))}
    graph: Graph = {name: set() for name in names}
    for name, path in files.items():
        base = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        for imported in _imported(ast.parse(path.read_text(encoding="utf-8")), base):
            # The longest prefix that is a module: what follows is a name in it.
            parts = imported.split(".")
            prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
            module = next((prefix for prefix in prefixes if prefix in names), None)
            if module is not None and module != name:
                graph[name].add(module)
    return graph


def _dotted(package: Path, path: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(tree: ast.AST, base: list[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = base[: len(base) - node.level + 1] if node.level else []
            prefix = [*above, *([node.module] if node.module else [])]
            yield from (".".join([*prefix, alias.name]) for alias in node.names)


# --- Rust ---------------------------------------------------------------------------------------------------

_USE = re.compile(r"\b(pub(?:\([a-z]+\))? )?use ((?:crate|super|self|[a-z_]\w*)\b[^;]*);")
_PATH = re.compile(r"\b(?:crate|super)(?:::\w+)+")


def rust_graph(src: Path) -> Graph:
    """Return which modules of a crate name items of which others, by their paths such as ``adc::layout``."""
    sources = {_rust_module(src, path): _rust_code(path) for path in src.rglob("*.rs")}
    exports = {module: dict(_reexports(module, code, sources)) for module, code in sources.items()}
    graph: Graph = {}
    for module, code in sources.items():
        targets = {_owner(path, sources, exports) for path in _rust_paths(module, code, sources)}
        graph[module] = targets - {module, ""}
    return graph


def _rust_module(src: Path, path: Path) -> str:
    parts = path.relative_to(src).with_suffix("").parts
    return "::".join(parts[:-1] if parts[-1] in ("mod", "lib") else parts)


def _rust_code(path: Path) -> str:
    """Return the code without comments, strings and unit tests."""
    text = path.read_text(encoding="utf-8").split("#[cfg(test)]\nmod tests")[0]
    return re.sub(r'//[^\n]*|"(?:[^"\\]|\\.)*"', "", text)


def _expanded(tree: str) -> Iterator[str]:
    """Yield the paths of ``a::{b, c::{d, e as f}}``."""
    head, brace, rest = tree.partition("{")
    if not brace:
        yield tree.split(" as ")[0].strip().removesuffix("::*").removesuffix("::self")
        return
    depth, start, inner = 0, 0, rest.rpartition("}")[0]
    for index, char in enumerate(f"{inner},"):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == "," and depth == 0:
            part = inner[start:index].strip()
            start = index + 1
            if part:
                yield from _expanded(head.strip() + part)


def _absolute(module: str, path: str, sources: dict[str, str]) -> str | None:
    """Return a path from the root of the crate, or nothing for another crate."""
    parts, here = path.split("::"), module.split("::") if module else []
    if parts[0] == "crate":
        return "::".join(parts[1:])
    if parts[0] in ("super", "self"):
        while parts and parts[0] in ("super", "self"):
            here = here[:-1] if parts.pop(0) == "super" else here
        return "::".join([*here, *parts])
    inside = "::".join([*here, parts[0]])
    return "::".join([*here, *parts]) if inside in sources else None


def _rust_paths(module: str, code: str, sources: dict[str, str]) -> Iterator[str]:
    uses = [path for use in _USE.finditer(code) for path in _expanded(" ".join(use[2].split()))]
    for path in (*uses, *_PATH.findall(_USE.sub("", code))):
        absolute = _absolute(module, path, sources)
        if absolute is not None:
            yield absolute


def _reexports(module: str, code: str, sources: dict[str, str]) -> Iterator[tuple[str, str]]:
    for use in _USE.finditer(code):
        if use[1]:
            for path in _expanded(" ".join(use[2].split())):
                absolute = _absolute(module, path, sources)
                if absolute is not None:
                    yield path.split("::")[-1], absolute


def _owner(path: str, sources: dict[str, str], exports: dict[str, dict[str, str]]) -> str:
    """Return the module in which the item of a path is defined."""
    parts = path.split("::")
    for length in range(len(parts), -1, -1):
        module = "::".join(parts[:length])
        if module in sources:
            item = parts[length] if length < len(parts) else None
            if item in exports[module] and exports[module][item] != path:
                return _owner(exports[module][item], sources, exports)
            return module
    return ""
