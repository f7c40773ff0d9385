"""The command `fastcodes bench`, on few codes."""

import json
import sys
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


def test_json_needs_no_rich(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setitem(bench.FAMILIES, "bits", replace(bench.FAMILIES["bits"], n_rows=(2000, 2000)))
    monkeypatch.setattr(bench, "SECONDS", (0.0, 0.0))
    assert cli.main(["bench", "bits", "--quick", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["threads"] == 1
    assert set(facts["families"]) == {"bits"}
    assert facts["families"]["bits"]["rows"] == 2000
    for one in facts["families"]["bits"]["work"]:
        rates = one["rates"]
        assert one["unit"] == "GB/s"
        assert one["ratios"] == {"numpy": pytest.approx(rates["fastcodes"] / rates["numpy"])}
