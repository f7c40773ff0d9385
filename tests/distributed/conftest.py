"""Clusters of two processes; those of some tests lose a worker in the middle of a computation."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CLUSTERS = {"client", "kill"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the cluster: processes of Dask leave sockets to the garbage collector."""
    for item in items:
        if CLUSTERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


@pytest.fixture(autouse=True)
def scheduler(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compute in this thread what does not ask for the cluster, which is the default once it runs."""
    import dask

    if CLUSTERS & set(request.fixturenames):
        yield
    else:
        with dask.config.set(scheduler="sync"):
            yield


@contextlib.contextmanager
def cluster() -> Iterator[Any]:
    """Start two workers of one thread each, and yield their client."""
    import dask

    # With a version, since a folder of tests has the name, too.
    reason = "distributed is missing: pip install 'fastcodes[distributed]'"
    engine = pytest.importorskip("distributed", "2024.8", reason=reason)

    with (
        # How long others wait for a worker that died: the default is half a minute.
        dask.config.set({"distributed.comm.timeouts.connect": "5s"}),
        engine.LocalCluster(
            2, threads_per_worker=1, processes=True, dashboard_address="localhost:0"
        ) as workers,
        engine.Client(workers) as client,
    ):
        yield client


@pytest.fixture(scope="package")
def client() -> Iterator[Any]:
    """Return the client of a cluster that the tests of the folder share."""
    with cluster() as client:
        yield client


def _install(module_name: str, name: str, mark: str, after: int) -> None:
    """Make a function of a module kill its process at a call, the first process that gets there."""
    import importlib
    import os
    import signal

    module = importlib.import_module(module_name)
    function = getattr(module, name)
    calls = [0]

    def deadly(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] > after:
            try:
                os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)

    setattr(module, name, deadly)


@pytest.fixture
def kill(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Return a function that makes one worker die when it calls a function of a module.

    The cluster is the test's own, so that no other test waits for the next worker.
    """
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with cluster() as client:

        def install(module: str, function: str, after: int = 0) -> Path:
            mark = tmp_path / "killed"
            client.run(_install, module, function, str(mark), after)
            return mark

        yield install
