"""The `contest` fixture that times one contestant, and the table and record of all of them at the end."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import records
from fastcodes import _native
from fastcodes.cli.peers import Peer, contestants

SECONDS = 1.0
SECONDS_OF_A_ROUND = (
    2e-3  # at least: a call of microseconds is repeated, since one is too near the clock's step
)
ROUNDS = (3, 100)
EXPLAINED = (
    "Ratio: how many times as fast as the one it is compared with; 'needs' is what this project promises."
)


class Contest:
    """Times one contestant of a comparison once its answer has been found right."""

    def __init__(self, benchmark: Any) -> None:
        self.benchmark = benchmark

    def __call__(
        self,
        contestant: str,
        call: Callable[[], Any],
        *,
        group: str,
        check: Callable[[Any], None],
        amount: float,
        unit: str,
        needs: dict[str, float] | None = None,
        bytes_per_unit: float | None = None,
        limit_seconds: float | None = None,
    ) -> None:
        """Check the answer of `call`, then time it.

        Parameters
        ----------
        contestant
            Its name within the group; "fastcodes" is compared with all others there.
        call
            The work, without arguments; what can be prepared beforehand is.
        group
            The comparison, in words.
        check
            Takes the answer and asserts that it is right.
        amount, unit
            What one call does: `amount` units, where `unit` is a key of `THROUGHPUTS`. Contestants are
            compared by their seconds a unit.
        needs
            The ratios promised: `{other contestant: at least so many times as fast}`. Those are compared with
            even by another than "fastcodes"; "roofline" is the machine (see `bytes_per_unit`).
        bytes_per_unit
            Bytes of codes behind one unit: the share of the roofline is measured beside the contestant.
        limit_seconds
            What the best time must stay below.
        """
        check(call())
        started = time.perf_counter()
        call()
        seconds = time.perf_counter() - started
        iterations = max(1, int(SECONDS_OF_A_ROUND / seconds))
        rounds = min(max(int(SECONDS / (iterations * seconds)), ROUNDS[0]), ROUNDS[1])
        self.benchmark.group = group
        self.benchmark.pedantic(call, rounds=rounds, iterations=iterations)
        roofline = None
        if bytes_per_unit is not None:
            # Within seconds of the contestant: the clock of a busy machine drifts.
            roofline = _native.roofline(0.2) / bytes_per_unit / amount
        self.benchmark.extra_info.update(
            contestant=contestant,
            amount=amount,
            unit=unit,
            needs=needs or {},
            rooflines_per_second=roofline,
            limit_seconds=limit_seconds,
        )


@pytest.fixture
def contest(benchmark: Any) -> Contest:
    """Time one contestant; see `Contest`."""
    return Contest(benchmark)


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> Peer:
    """Give the contestant named by the (indirect) parameter; skip where it is not installed."""
    for candidate in contestants():
        if candidate.name == request.param:
            return candidate
    pytest.skip(f"{request.param} is not installed")


@contextmanager
def process_with(environment: dict[str, str]) -> Iterator[ProcessPoolExecutor]:
    """Give a process with these variables: level and number of threads are settled once in each."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            executor.submit(_native.level).result()  # starts it
        yield executor


@pytest.fixture
def process(request: pytest.FixtureRequest) -> Iterator[ProcessPoolExecutor]:
    """Give a process that runs at the level named by the (indirect) parameter."""
    if request.param not in _native.levels():
        pytest.skip(f"this CPU has no level {request.param}")
    with process_with({"FASTCODES_LEVEL": request.param}) as executor:
        assert executor.submit(_native.level).result() == request.param
        yield executor


@pytest.fixture(scope="module")
def serial_process() -> Iterator[ProcessPoolExecutor]:
    """Give a process in which nothing uses a second thread."""
    libraries = ("FASTCODES", "OMP", "OPENBLAS", "MKL")
    with process_with({f"{library}_NUM_THREADS": "1" for library in libraries}) as executor:
        yield executor


# --- from measurements to lines of the table ----------------------------------------------------------------


@dataclass
class Line:
    """One measurement, and one comparison of it (or none)."""

    group: str
    contestant: str
    best_seconds: float
    rounds: int
    billions_per_second: float
    unit: str
    against: str | None = None
    ratio: float | None = None
    needs: float | None = None
    met: bool | None = None

    def cells(self) -> list[str]:
        """Give the line as the table shows it."""
        return [
            self.group,
            self.contestant,
            _seconds(self.best_seconds),
            f"{self.billions_per_second:.3g} {THROUGHPUTS[self.unit]}",
            self.against or "",
            "" if self.ratio is None else f"{self.ratio:.3g}x",
            "" if self.needs is None else f"{self.needs:.3g}x",
            "" if self.met is None else ("yes" if self.met else "NO"),
        ]


THROUGHPUTS = {
    "distances": "G distances/s",
    "bytes": "GB/s",
    "multiplications": "G multiplications/s",
    "tokens": "G tokens/s",
}
HEADINGS = ["comparison", "contestant", "best time", "throughput", "against", "ratio", "needs", "met"]


def _lines(benchmarks: list[dict[str, Any]]) -> Iterator[Line]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for benchmark in benchmarks:
        if "contestant" in benchmark["extra_info"]:
            groups.setdefault(benchmark["group"], []).append(benchmark)
    for group, members in groups.items():
        # For a unit of work, since a slow contestant may be given less of it.
        best = {
            member["extra_info"]["contestant"]: member["min"] / member["extra_info"]["amount"]
            for member in members
        }
        for member in members:
            info = member["extra_info"]
            rate = info["amount"] / member["min"] / 1e9
            line = Line(group, info["contestant"], member["min"], member["rounds"], rate, info["unit"])
            comparisons = list(_comparisons(info, best))
            for against, ratio, needs in comparisons or [(None, None, None)]:
                met = None if ratio is None or needs is None else ratio >= needs
                yield replace(line, against=against, ratio=ratio, needs=needs, met=met)


def _comparisons(info: dict[str, Any], best: dict[str, float]) -> Iterator[tuple[str, float, float | None]]:
    mine, needs = info["contestant"], info["needs"]
    for other, seconds in best.items():
        if other != mine and (other in needs or (mine == "fastcodes" and not other.startswith("fastcodes"))):
            yield other, seconds / best[mine], needs.get(other)
    own_seconds = best[mine] * info["amount"]
    if info["rooflines_per_second"] is not None:
        yield "roofline", 1 / own_seconds / info["rooflines_per_second"], needs.get("roofline")
    if info["limit_seconds"] is not None:
        yield f"a limit of {_seconds(info['limit_seconds'])}", info["limit_seconds"] / own_seconds, 1.0


def _seconds(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def _table(lines: list[Line]) -> str:
    """Give the table of all lines; repeated cells are left out."""
    rows: list[list[str]] = []
    previous = None
    for line in lines:
        cells = line.cells()
        if previous is not None and line.group == previous.group:
            cells[0] = ""
            if line.contestant == previous.contestant:
                cells[1:4] = ["", "", ""]
        rows.append(cells)
        previous = line
    return records.table(HEADINGS, rows)


# --- the end of the run -------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Leave the table of pytest-benchmark out unless asked for: the one below says more."""
    config.option.benchmark_quiet = not config.option.benchmark_verbose


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table; write the record if every benchmark was meant to run."""
    session = config._benchmarksession
    lines = list(_lines([one.as_dict(include_data=False, flat=True) for one in session.benchmarks]))
    if not lines:
        return
    terminalreporter.section("comparisons")
    terminalreporter.write_line(_table(lines))
    terminalreporter.write_line(EXPLAINED)
    missed = [line for line in lines if line.met is False]
    terminalreporter.write_line(
        f"{len(missed)} of {sum(line.met is not None for line in lines)} promises not met"
    )
    if config.option.keyword or config.option.markexpr or not _ran_every_file(config):
        terminalreporter.write_line("no record written: only a part of the benchmarks was asked for")
        return
    failed = [report.nodeid for report in terminalreporter.stats.get("failed", [])]
    terminalreporter.write_line(f"record: {_write_record(lines, failed)}")


def _ran_every_file(config: pytest.Config) -> bool:
    here = Path(__file__).parent
    return [Path(argument).resolve() for argument in config.args] == [here]


def _write_record(lines: list[Line], failed: list[str]) -> Path:
    record = {**records.facts(), "failed": failed, "lines": [asdict(line) for line in lines]}
    failures = "".join(f"- failed: {test}\n" for test in failed)
    page = (
        f"# Benchmarks of {record['date']}\n\n{records.facts_as_list(record)}{failures}\n"
        f"One thread on every side where nothing else is said. {EXPLAINED}\n\n{_table(lines)}\n"
    )
    path = records.name(record)
    records.write(path, record, page)
    return path.with_suffix(".json")
