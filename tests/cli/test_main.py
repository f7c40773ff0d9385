"""The command line as a whole: its registry, help texts, wrong calls, and missing packages."""

import inspect
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from fastcodes import __version__, cli


def modules_with_a_command() -> dict[str, ModuleType]:
    """Return the modules of the package that declare the arguments of a command, by name."""
    names = [module.name for module in pkgutil.iter_modules(cli.__path__) if module.name != "__main__"]
    modules = {name: import_module(f"fastcodes.cli.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "add_arguments")}


def test_every_command_is_registered_and_tested() -> None:
    commands = modules_with_a_command()
    assert {"info", "knn"} < set(commands)
    assert sorted(command.__name__ for command in cli.COMMANDS) == sorted(
        module.__name__ for module in commands.values()
    )
    for name, module in commands.items():
        assert set(module.__all__) == {"HELP", "add_arguments", "run"}
        assert inspect.getdoc(module).startswith(f"The command `fastcodes {name}`: ")
        assert Path(__file__).with_name(f"test_{name}.py").exists()


@pytest.mark.parametrize("arguments", [[], ["knnn"], ["knn"], ["bench", "pq"], ["demo", "--n", "0"]])
def test_a_wrong_call_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("fastcodes: ")
    assert captured.err.count("\n") == 1
    assert not captured.out


def test_help_explains_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        cli.main(["--help"])
    assert leaving.value.code == 0
    printed = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert command.__name__.rpartition(".")[2] in printed
        assert command.HELP in " ".join(printed.split())


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fastcodes.cli", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout == f"fastcodes {__version__}\n"


def test_a_wrong_call_of_the_module_has_its_exit_code() -> None:
    done = subprocess.run([sys.executable, "-m", "fastcodes.cli", "knnn"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("fastcodes: ")


@pytest.mark.parametrize("missing", ["rich", "sklearn"])
def test_a_missing_extra_says_what_to_install(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if missing == "sklearn":
        pytest.importorskip("rich", reason="rich is imported first")
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert cli.main(["demo", "--n", "100"]) == 2
    assert (
        f'needs {missing}, which is not installed: pip install "fastcodes[demo]"' in capsys.readouterr().err
    )


def test_commands_are_imported_without_optional_packages() -> None:
    code = (
        "import sys; sys.modules |= dict.fromkeys(['rich', 'sklearn', 'matplotlib', 'threadpoolctl']); "
        "from fastcodes import cli; sys.exit(cli.main(['info']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
