"""The Python examples of the README run, their assertions hold, and its figures are those of a record."""

import re
import runpy
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_there_are_examples():
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_runs(example):
    exec(compile(example, str(README), "exec"), {})


def test_figures_are_those_of_the_newest_records():
    made = runpy.run_path(str(README.parent / "benches" / "readme.py"))
    page = README.read_text(encoding="utf-8")
    assert page == made["with_table"](page, made["newest_records"]())
    assert page.count("| work, one thread |") == 1


def test_it_is_one_page():
    assert len(README.read_text(encoding="utf-8").splitlines()) < 160
