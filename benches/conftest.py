"""The `contest` fixture that times one contestant, and the table and record of all at the end of a run."""

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
from fastcodes.cli.measure import seconds_text
from fastcodes.cli.peers import Peer, contestants
from threadpoolctl import threadpool_limits

SECONDS = 1.0
"""Of the rounds of one contestant, if `ROUNDS` allows."""
SECONDS_PER_ROUND = 2e-3
"""At least: short calls are repeated, since a few microseconds are close to the resolution of the clock."""
ROUNDS = (3, 100)
"""At least and at most."""
ABOUT_RATIOS = (
    "Ratio: how many times as fast as the other contestant; 'needs' is the ratio that this project promises."
)


class Contest:
    """Checks the answer of one contestant, then times it."""

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
        once: bool = False,
    ) -> None:
        """Check the answer of `call`, then time it.

        Parameters
        ----------
        contestant
            The name within the group; "fastcodes" is compared with all others.
        call
            The work, without preparations.
        group
            The name of the comparison.
        check
            Takes the answer and asserts that it is right.
        amount, unit
            The work of one call: `amount` units, where `unit` is a key of `THROUGHPUTS`. Contestants are
            compared by their seconds per unit.
        needs
            The promised ratios, by the name of the other contestant; "roofline" is the machine (see
            `bytes_per_unit`). A contestant other than "fastcodes" is compared with these only.
        bytes_per_unit
            Bytes of codes per unit; if given, the roofline is measured right after the contestant.
        limit_seconds
            An upper bound on the best time.
        once
            Whether the work takes minutes: it is done once, timed, and then checked.
        """
        if unit not in THROUGHPUTS:
            raise ValueError(f"unit is {unit!r}; expected one of {', '.join(THROUGHPUTS)}")
        self.benchmark.group = group
        if once:
            check(self.benchmark.pedantic(call, rounds=1, iterations=1))
        else:
            check(call())
            self._time(call)
        roofline = None
        if bytes_per_unit is not None:
            # Measured within seconds, because the clock rate of a busy machine drifts.
            roofline = _native.roofline(0.2) / bytes_per_unit / amount
        self.benchmark.extra_info.update(
            contestant=contestant,
            amount=amount,
            unit=unit,
            needs=needs or {},
            rooflines_per_second=roofline,
            limit_seconds=limit_seconds,
        )

    def _time(self, call: Callable[[], Any]) -> None:
        started = time.perf_counter()
        call()
        seconds = time.perf_counter() - started
        iterations = max(1, int(SECONDS_PER_ROUND / seconds))
        rounds = min(max(int(SECONDS / (iterations * seconds)), ROUNDS[0]), ROUNDS[1])
        self.benchmark.pedantic(call, rounds=rounds, iterations=iterations)


@pytest.fixture
def contest(benchmark: Any) -> Contest:
    """Return the function that times one contestant; see `Contest`."""
    return Contest(benchmark)


@pytest.fixture
def peer(request: pytest.FixtureRequest) -> Peer:
    """Return the contestant named by the (indirect) parameter; skip if it is not installed."""
    for candidate in contestants():
        if candidate.name == request.param:
            return candidate
    pytest.skip(f"{request.param} is not installed")


@contextmanager
def process_with(environment: dict[str, str]) -> Iterator[ProcessPoolExecutor]:
    """Start a process with these variables: a process chooses its level and number of threads only once."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            executor.submit(_native.level).result()  # starts the process
        yield executor


@pytest.fixture
def process(request: pytest.FixtureRequest) -> Iterator[ProcessPoolExecutor]:
    """Start a process that runs at the level named by the (indirect) parameter."""
    if request.param not in _native.levels():
        pytest.skip(f"this CPU has no level {request.param}")
    with process_with({"FASTCODES_LEVEL": request.param}) as executor:
        assert executor.submit(_native.level).result() == request.param
        yield executor


@pytest.fixture
def process_of(request: pytest.FixtureRequest) -> Iterator[ProcessPoolExecutor]:
    """Start a process with the variables of the (indirect) parameter."""
    with process_with(request.param) as executor:
        yield executor


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Restrict numpy to one thread, like all other contestants."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def serial_process() -> Iterator[ProcessPoolExecutor]:
    """Start a process in which no library uses a second thread."""
    libraries = ("FASTCODES", "OMP", "OPENBLAS", "MKL")
    with process_with({f"{library}_NUM_THREADS": "1" for library in libraries}) as executor:
        yield executor


# --- from measurements to lines of the table ----------------------------------------------------------------


@dataclass
class Line:
    """One measurement, and at most one comparison of it."""

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
        """Return the line of the table."""
        return [
            self.group,
            self.contestant,
            seconds_text(self.best_seconds),
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
    "symbols": "G symbols/s",
    "rows": "G rows/s",
    "candidates": "G candidates/s",
}
HEADINGS = ["comparison", "contestant", "best time", "throughput", "against", "ratio", "needs", "met"]


def _lines(benchmarks: list[dict[str, Any]]) -> Iterator[Line]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for benchmark in benchmarks:
        if "contestant" in benchmark["extra_info"]:
            groups.setdefault(benchmark["group"], []).append(benchmark)
    for group, members in groups.items():
        # Per unit of work, since a slow contestant may get less of it.
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
        yield f"a limit of {seconds_text(info['limit_seconds'])}", info["limit_seconds"] / own_seconds, 1.0


def _table(lines: list[Line]) -> str:
    """Return the table of all lines, without repeated cells."""
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
    """Omit the table of pytest-benchmark unless requested: the one below says more."""
    config.option.benchmark_quiet = not config.option.benchmark_verbose


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table; write the record if all benchmarks were selected."""
    session = config._benchmarksession
    lines = list(_lines([one.as_dict(include_data=False, flat=True) for one in session.benchmarks]))
    if not lines:
        return
    terminalreporter.section("comparisons")
    terminalreporter.write_line(_table(lines))
    terminalreporter.write_line(ABOUT_RATIOS)
    missed = [line for line in lines if line.met is False]
    terminalreporter.write_line(
        f"{len(missed)} of {sum(line.met is not None for line in lines)} promises not met"
    )
    if config.option.keyword or config.option.markexpr or not _selects_all_files(config):
        terminalreporter.write_line("no record written: only a part of the benchmarks was selected")
        return
    failed = [report.nodeid for report in terminalreporter.stats.get("failed", [])]
    terminalreporter.write_line(f"record: {_write_record(lines, failed)}")


def _selects_all_files(config: pytest.Config) -> bool:
    here = Path(__file__).parent
    return [Path(argument).resolve() for argument in config.args] == [here]


def _write_record(lines: list[Line], failed: list[str]) -> Path:
    record = {**records.facts(), "failed": failed, "lines": [asdict(line) for line in lines]}
    path = records.name(record)
    records.write(path, record, _page(record, lines))
    return path.with_suffix(".json")


def _page(record: dict[str, Any], lines: list[Line]) -> str:
    failures = "".join(f"- failed: {test}\n" for test in record["failed"])
    return (
        f"# Benchmarks of {record['date']}\n\n{records.facts_as_list(record)}{failures}\n"
        f"One thread for each contestant unless stated otherwise. {ABOUT_RATIOS}\n\n{_table(lines)}\n"
    )
