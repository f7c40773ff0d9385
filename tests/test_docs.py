"""The Python examples of the guides run, and the reference lists every public module."""

import re
from pathlib import Path

import fastcodes
import pytest
from contract.public import public_names

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"^( *)\.\. code-block:: python\n((?:\1 +:.*\n)*)\n((?:\1   .*\n|\n)+)", re.MULTILINE)
PAGES = sorted(
    path for path in DOCS.rglob("*.rst") if "generated" not in path.parts and "examples" not in path.parts
)
# The modules that code of other libraries imports, by page: it runs where they are installed.
PEERS = re.compile(r"^ *(?:import|from) (\w+)", re.MULTILINE)
# What holds after both columns of a page ran.
AGREEMENT = {
    "rdkit": "(little == same).all() and np.allclose(similarity, similar[:200])"
    " and np.allclose(contained, inside[0, :200])",
    "sentence_transformers": "(theirs == codes).all()",
}


def blocks(path: Path, *, with_peers: bool) -> list[str]:
    """Return the examples of a page, with or without those of other libraries."""
    found = []
    for indent, options, body in BLOCK.findall(path.read_text(encoding="utf-8")):
        if with_peers or ":class: peer" not in options:
            found.append(re.sub(rf"^{indent}   ", "", body, flags=re.MULTILINE))
    return found


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, with_peers=False)], ids=lambda page: page.stem
)
def test_examples_run(page):
    pytest.importorskip("skimage", reason="its pictures are the data of some pages")
    names: dict[str, object] = {}
    for block in blocks(page, with_peers=False):
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page, with_peers=True) != blocks(page, with_peers=False)],
    ids=lambda page: page.stem,
)
def test_examples_of_others_run_and_agree(page):
    examples = blocks(page, with_peers=True)
    for name in {name for block in examples for name in PEERS.findall(block)}:
        pytest.importorskip(name, reason="the page compares with it")
    names: dict[str, object] = {}
    for block in examples:
        exec(compile(block, str(page), "exec"), names)
    assert eval(AGREEMENT.get(page.stem, "True"), names)


def test_reference_lists_every_module():
    listed = set(
        re.findall(
            r"^   fastcodes\.(\S+)$", (DOCS / "api" / "index.rst").read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    modules = {name.rpartition(".")[0] or name for name in public_names()}
    assert listed == modules, "docs/api/index.rst lists other modules than fastcodes has"
    assert {name.partition(".")[0] for name in modules} == set(fastcodes.__all__)
