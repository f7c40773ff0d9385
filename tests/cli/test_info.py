"""The command `fastcodes info`."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from fastcodes import __version__, _native, cli


def test_info_prints_version_level_threads_and_build(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    printed = capsys.readouterr().out
    for fact in (__version__, _native.level(), str(_native.threads()), np.__version__, _native.__file__):
        assert fact in printed


def test_json_has_the_same_facts_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    printed = capsys.readouterr().out
    assert cli.main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["level"], facts["threads"]) == (_native.level(), _native.threads())
    assert facts["levels"] == list(_native.levels())
    for name in ("fastcodes", "python", "system", "numpy", "extension", "level_reason"):
        assert facts[name] in printed


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fastcodes", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def test_info_says_that_the_level_was_lowered() -> None:
    printed = run("info", FASTCODES_LEVEL="portable").stdout
    assert "portable" in printed
    assert len(_native.levels()) == 1 or "lowered by FASTCODES_LEVEL" in printed


@pytest.mark.parametrize(
    ("variable", "value"), [("FASTCODES_LEVEL", "avx1024"), ("FASTCODES_NUM_THREADS", "many")]
)
def test_a_wrong_environment_is_one_line(variable: str, value: str) -> None:
    done = run("info", **{variable: value})
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert value in done.stderr
    assert not done.stdout
