"""The command `fastcodes bench`, on few codes."""

from dataclasses import replace

import pytest
from fastcodes import cli
from fastcodes.cli import bench


@pytest.mark.parametrize("family", bench.FAMILIES)
def test_bench_measures_a_family(
    family: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rich", reason="the tables need rich")
    monkeypatch.setitem(bench.FAMILIES, family, replace(bench.FAMILIES[family], n_rows=(2000, 2000)))
    monkeypatch.setattr(bench, "SECONDS", (0.0, 0.0))
    assert cli.main(["bench", family, "--quick"]) == 0
    printed = capsys.readouterr().out
    assert f"fastcodes.{family}" in printed
    assert "numpy" in printed
    assert "disagrees" not in printed
