"""Every place that a kernel family, a model, an index or a command touches is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from contract.public import public_classes
from fastcodes import _native

ROOT = Path(__file__).parents[2]
# Families of the core with public functions of their own. `roofline` only measures the machine, `additive`,
# `text`, `image`, `video` and their `wavelet` serve models of quantization and coding; the searches of
# `asymmetric`, `lists` and `rerank` belong to hamming and to indexes.
FAMILIES = sorted(
    set(re.findall(r"^pub mod (\w+);", (ROOT / "rust/core/src/lib.rs").read_text(), re.MULTILINE))
    - {"roofline", "additive", "asymmetric", "lists", "rerank", "text", "image", "video", "wavelet"}
)
MODELS = [name for name in public_classes() if name.split(".")[0] in ("quantization", "hashing")]
INDEXES = [name for name in public_classes() if name.startswith("index.") and name != "index.Index"]


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def module_of(name: str) -> Path:
    """Return the file that defines a public class."""
    module = public_classes()[name].__module__.replace(".", "/")
    return Path(f"{module}.py").relative_to("fastcodes")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_of_kernels_has_all_its_places(family: str) -> None:
    places = [
        f"rust/core/tests/{family}.rs",
        f"rust/python/src/{family}.rs",
        f"tests/kernels/test_{family}.py",
        f"tests/contract/cases/{family}.py",
        f"benches/test_{family}.py",
        # Both families of binary searches are fuzzed together.
        f"rust/core/tests/fuzz/{'binary' if family in ('hamming', 'jaccard') else family}.rs",
    ]
    missing = [place for place in places if not (ROOT / place).exists()]
    folder, file = (ROOT / "rust/core/src" / name for name in (family, f"{family}.rs"))
    if not file.exists():
        missing += [
            f"{folder}/{name}.rs" for name in ("mod", "portable") if not (folder / f"{name}.rs").exists()
        ]
    module = ROOT / "python/fastcodes" / family
    if not module.with_suffix(".py").exists() and not (module / "__init__.py").exists():
        missing.append(f"{module}.py")
    assert missing == []
    mentions = {
        "rust/core/src/lib.rs": rf"\[`{family}`\]",
        "rust/python/src/lib.rs": rf"\b{family}::",
        "python/fastcodes/__init__.py": rf"`fastcodes\.{family}`",
        "python/fastcodes/_native.pyi": rf"def {family}_\w+\(",
        "tests/contract/test_arguments.py": rf"\b{family}\b",
    }
    assert [place for place, pattern in mentions.items() if not re.search(pattern, text(place))] == []


FOLDERS = sorted(path.parent for path in (ROOT / "rust/core/src").rglob("avx2.rs"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_family_with_vector_kernels_has_them_for_arm(folder: Path) -> None:
    assert any((folder / place).exists() for place in ("neon.rs", "neon/mod.rs"))
    assert "mod neon;" in (folder / "mod.rs").read_text(encoding="utf-8")


def test_every_compiled_function_belongs_to_a_family_and_is_used() -> None:
    package = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "python/fastcodes").rglob("*.py")
    )
    names = [name for name in dir(_native) if not name.startswith("_")]
    assert sorted(names) == sorted(_native_stub())
    assert [name for name in names if not re.search(rf"\b_native\.{name}\b", package)] == []
    about_the_build = {"commit", "extensions", "level", "levels", "roofline", "threads", "version"}
    about_the_build |= {"why_not_higher"}
    others = {"components", "additive_beam", "additive_composite_search", "additive_search"}
    others |= {"rerank_nearest", "rerank_nearest_of_all", "image_decode", "image_encode", "image_inspect"}
    lower = {name for name in names if name.islower()} - about_the_build - others
    assert [name for name in lower if not name.startswith(tuple(f"{family}_" for family in FAMILIES))] == []


def _native_stub() -> list[str]:
    listed = re.search(r"__all__ = \[(.*?)\]", text("python/fastcodes/_native.pyi"), re.DOTALL)
    return re.findall(r'"(\w+)"', listed[1] if listed else "")


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_a_test_of_its_own(name: str) -> None:
    module = module_of(name)
    place = ROOT / "tests/models" / module.parent / f"test_{module.name}"
    assert re.search(rf"\b{name.split('.')[1]}\b", place.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_keeps_the_contract(name: str) -> None:
    module = module_of(name)
    assert (ROOT / "tests" / module.parent / f"test_{module.name}").exists()
    assert re.search(rf"\b{name.split('.')[1]}\b", text("tests/index/kit.py"))


def test_contributing_names_every_place() -> None:
    recipe = text("CONTRIBUTING.md").replace("<family>", "hamming")
    for place in (
        "rust/core/src/hamming/portable.rs",
        "rust/core/tests/hamming.rs",
        "rust/core/tests/fuzz/",
        "rust/python/src/hamming.rs",
        "rust/python/src/lib.rs",
        "python/fastcodes/_native.pyi",
        "python/fastcodes/hamming.py",
        "python/fastcodes/__init__.py",
        "tests/kernels/test_hamming.py",
        "tests/contract/cases/hamming.py",
        "benches/test_hamming.py",
        "tests/index/kit.py",
        "tests/contract/test_floors.py",
    ):
        assert place in recipe, place
