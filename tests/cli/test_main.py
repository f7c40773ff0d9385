"""The command line as a whole: its registry, help texts, wrong calls, and missing packages."""

import inspect
import os
import pkgutil
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from fastcodes import __version__, cli
from fastcodes.cli.commands import COMMANDS, SHELLS, new_parser


def modules_with_a_command() -> dict[str, ModuleType]:
    """Return the modules of the package that declare the arguments of a command, by name."""
    names = [module.name for module in pkgutil.iter_modules(cli.__path__) if module.name != "__main__"]
    modules = {name: import_module(f"fastcodes.cli.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "add_arguments")}


def test_every_command_is_registered_and_tested() -> None:
    commands = modules_with_a_command()
    assert {"info", "knn"} < set(commands)
    assert sorted(command.__name__ for command in COMMANDS) == sorted(
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
    assert cli.main(["--help"]) == 0
    printed = capsys.readouterr().out
    for command in COMMANDS:
        assert command.__name__.rpartition(".")[2] in printed
        assert command.HELP in " ".join(printed.split())


def help_of(capsys: pytest.CaptureFixture[str], *names: str) -> str:
    assert cli.main([*names, "--help"]) == 0
    return capsys.readouterr().out


ACTIONS = [("index", action) for action in ("build", "search", "info")]


@pytest.mark.parametrize(
    "names", [(), *((command.__name__.rpartition(".")[2],) for command in COMMANDS), *ACTIONS], ids=" ".join
)
def test_help_has_examples_that_are_right_calls(
    names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, examples = help_of(capsys, *names).partition("\nexamples:\n")
    examples = examples.partition("\n\n")[0]
    calls = re.findall(r"(fastcodes [^|>\n]+)", examples)
    assert calls
    assert len(calls) == examples.rstrip().count("\n") + 1
    for call in calls:
        words = shlex.split(call)[1:]
        assert words[: len(names)] == list(names)
        new_parser().parse_args(words)


def test_help_lists_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    printed = help_of(capsys)
    for code in (0, 1, 2, 129, 130, 143):
        assert re.search(rf"^  {code} +\w", printed, re.MULTILINE)


# --- completion ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_for_every_shell_names_all_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab", reason="writes the scripts")
    assert f"fastcodes --print-completion {shell} >" in help_of(capsys)
    assert cli.main(["--print-completion", shell]) == 0
    script = capsys.readouterr().out
    for command in COMMANDS:
        assert command.__name__.rpartition(".")[2] in script
    if shutil.which(shell) and shell != "tcsh":
        assert subprocess.run([shell, "-n"], input=script, text=True, check=True).returncode == 0


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("ind", {"index"}),
        ("index ", {"build", "search", "info"}),
        ("index build --codec op", {"opq"}),
        ("dedup --keep", {"--keep-first"}),
        ("bench ham", {"hamming"}),
        ("knn --codes ", {"codes.npy"}),
        ("dedup co", {"codes.npy"}),
    ],
)
def test_bash_completes_commands_options_and_files(
    folder: Path, words: str, found: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("shtab", reason="writes the scripts")
    Path("codes.npy").touch()
    assert cli.main(["--print-completion", "bash"]) == 0
    typed = ["fastcodes", *words.split(" ")]
    ask = f"COMP_WORDS=({shlex.join(typed)}); COMP_CWORD={len(typed) - 1}"
    script = f"{capsys.readouterr().out}\n{ask}; _shtab_fastcodes; printf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
    done = subprocess.run(["bash"], input=script, capture_output=True, text=True)
    assert found <= set(done.stdout.split()), done.stderr
    assert not words.strip().endswith(("ind", "op", "ham")) or set(done.stdout.split()) == found


def test_completion_without_shtab_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli.main(["--print-completion", "bash"]) == 2
    assert capsys.readouterr().err.endswith(
        'needs shtab, which is not installed: pip install "fastcodes[cli]"\n'
    )


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "fastcodes", "--version"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout == f"fastcodes {__version__}\n"


def test_a_wrong_call_of_the_module_has_its_exit_code() -> None:
    done = subprocess.run([sys.executable, "-m", "fastcodes", "knnn"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("fastcodes: ")


@pytest.mark.parametrize(("missing", "other"), [("rich", "sklearn"), ("sklearn", "rich")])
def test_a_missing_extra_says_what_to_install(
    missing: str, other: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(other, reason=f"the demo needs {other} as well")
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


# --- streams ------------------------------------------------------------------------------------------------

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
COMMAND = f"{sys.executable} -m fastcodes"
BROKEN_STREAMS = {
    # A call of the shell: the exit code of the command, and what it writes to stderr.
    "info >&-": (2, "fastcodes: stdout: Bad file descriptor\n"),
    "info > /dev/full": (2, "fastcodes: stdout: No space left on device\n"),
    "--help > /dev/full": (2, "fastcodes: stdout: No space left on device\n"),
    "--version >&-": (2, "fastcodes: stdout: Bad file descriptor\n"),
    "info >&- 2>&-": (2, ""),
    "info <&- >&- 2>&-": (2, ""),
    "info 2> /dev/full": (0, ""),
    "unknown 2> /dev/full": (2, ""),
    "info | true": (0, ""),
    "--help | true": (0, ""),
    "dedup texts.txt | true": (0, ""),
    "bench bits --quick | true": (0, ""),
    "dedup texts.txt >&-": (2, "fastcodes: stdout: Bad file descriptor\n"),
    "dedup texts.txt > /dev/full": (2, "fastcodes: stdout: No space left on device\n"),
    "dedup texts.txt -o /dev/full": (2, "fastcodes: /dev/full: No space left on device\n"),
    "dedup texts.txt > out 2>&-": (0, ""),
    "dedup texts.txt > out 2> /dev/full": (0, ""),
    "dedup - <&-": (2, "fastcodes: -: Bad file descriptor\n"),
    "dedup - --keep-first <&-": (2, "fastcodes: -: Bad file descriptor\n"),
    "dedup /dev/stdin <&-": (2, "fastcodes: /dev/stdin: Bad file descriptor\n"),
    "dedup texts.txt >> texts.txt": (
        2,
        "fastcodes: stdout: is one of the inputs; give the output another name\n",
    ),
    "dedup - < texts.txt >> texts.txt": (
        2,
        "fastcodes: stdout: is one of the inputs; give the output another name\n",
    ),
    "knn --codes - --queries x.npy -o - <&-": (2, "fastcodes: -: Bad file descriptor\n"),
}


@POSIX
@pytest.mark.parametrize("call", BROKEN_STREAMS)
def test_a_broken_stream_is_one_line(folder: Path, call: str) -> None:
    if call.startswith("bench"):
        pytest.importorskip("rich", reason="the tables need rich")
    texts = "".join(f"line {i // 2} has the words {i // 2}\n" for i in range(5_000))
    Path("texts.txt").write_text(texts)
    code, printed = BROKEN_STREAMS[call]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    script = f"({COMMAND} {call.replace(' | ', '; echo $? > code) | ')}"
    script += "" if " | " in call else "; echo $? > code)"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=environment)
    assert int(Path("code").read_text()) == code
    assert done.stderr == printed
    assert Path("texts.txt").read_text() == texts


@POSIX
@pytest.mark.parametrize("encoding", ["ascii", "ascii:strict", "latin-1:strict"])
def test_names_outside_the_encoding_of_the_terminal_are_escaped(folder: Path, encoding: str) -> None:
    Path("texts.txt").write_text("one line with words\n" * 2)
    name = "\u0159\udcff\nx"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "fastcodes", "dedup", "texts.txt", "--keep-first", "-o", name]
    assert subprocess.run(command, capture_output=True, env=environment).returncode == 0
    assert Path(name).read_text() == "one line with words\n"
    command = [sys.executable, "-m", "fastcodes", "dedup", name]
    done = subprocess.run(command, capture_output=True, env=environment)
    assert done.returncode == 0
    assert done.stderr.startswith(rb"\u0159\udcff\nx: 1 lines")


# --- signals ------------------------------------------------------------------------------------------------


def default_signals() -> None:
    """Undo what a shell that ignores signals in the background has set."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


# Starts a command whose work sends a signal while it imports a module.
RAISING = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}" and not sent:
            sent.append(name)
            os.kill(os.getpid(), {number})
sent = []
sys.meta_path.insert(0, Finder())
from fastcodes.cli import main
sys.exit(main(sys.argv[1:]))
"""


@POSIX
@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("SIGINT", 130, "interrupted"),
        ("SIGTERM", 143, "ended by SIGTERM"),
        ("SIGHUP", 129, "ended by SIGHUP"),
    ],
)
@pytest.mark.parametrize("module", ["fastcodes.cli.terminal", "numpy", "datetime", "fastcodes.cli.demo"])
def test_a_signal_during_imports_is_one_line(name: str, code: int, words: str, module: str) -> None:
    if module == "fastcodes.cli.terminal" and name != "SIGINT":
        return  # nothing has been done yet: the signal ends the process
    script = RAISING.format(module=module, number=int(getattr(signal, name)))
    command = [sys.executable, "-c", script, "info"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=default_signals)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"fastcodes: {words}\n")


@POSIX
def test_a_signal_during_the_imports_of_the_demo_is_one_line() -> None:
    for package in ("rich", "sklearn"):
        pytest.importorskip(package, reason=f"the demo needs {package}")
    script = RAISING.format(module="sklearn", number=int(signal.SIGINT))
    command = [sys.executable, "-c", script, "demo"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=default_signals)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "fastcodes: interrupted\n")


def end(process: subprocess.Popen[bytes], name: str) -> tuple[int, str]:
    """Send a signal, twice as timeout does, and return exit code and stderr."""
    for _ in range(2 - (name == "SIGINT")):
        process.send_signal(getattr(signal, name))
    printed = process.communicate(timeout=60)[1].decode()
    return process.returncode, printed


@POSIX
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_leaves_no_partial_file(folder: Path, name: str, code: int) -> None:
    np.save("codes.npy", np.random.default_rng(0).integers(0, 256, (200_000, 128), np.uint8))
    Path("out.npz").write_bytes(b"old")
    files = "--codes codes.npy --queries codes.npy -o out.npz"
    command = [sys.executable, "-m", "fastcodes", "knn", *files.split()]
    with subprocess.Popen(command, stderr=subprocess.PIPE, preexec_fn=default_signals) as process:
        while len(os.listdir()) == 2:
            assert process.poll() is None
            time.sleep(0.01)
        found, printed = end(process, name)
    assert (found, printed.count("\n")) == (code, 1), printed
    assert printed.startswith("fastcodes: ")
    assert sorted(os.listdir()) == ["codes.npy", "out.npz"]
    assert Path("out.npz").read_bytes() == b"old"


@POSIX
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("options", [[], ["--keep-first", "-o", "out"]])
def test_a_signal_ends_a_command_that_waits_for_a_pipe(
    folder: Path, name: str, code: int, options: list[str]
) -> None:
    os.mkfifo("fifo")
    command = [sys.executable, "-m", "fastcodes", "dedup", "fifo", *options]
    streams = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    with (
        subprocess.Popen(command, **streams, preexec_fn=default_signals) as process,
        open("fifo", "w") as lines,
    ):
        lines.write("a line\n")
        lines.flush()
        time.sleep(0.5)  # Python does not see a signal between its last check and the call that waits
        found, printed = end(process, name)
    assert (found, printed.count("\n")) == (code, 1)
    assert os.listdir() == ["fifo"]


@POSIX
def test_an_ignored_signal_stays_ignored(folder: Path) -> None:
    os.mkfifo("fifo")
    script = f"trap '' HUP; exec {COMMAND} dedup fifo"
    with subprocess.Popen(["sh", "-c", script], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        with open("fifo", "w") as lines:
            process.send_signal(signal.SIGHUP)
            lines.write("a line of words\n")
        assert process.wait(60) == 0
