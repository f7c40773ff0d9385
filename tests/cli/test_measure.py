"""How the commands measure: peers whose answers differ are not timed, and the fastest run counts."""

import time

import numpy as np
import pytest
from fastcodes.cli import measure
from fastcodes.cli.peers import Peer, contestants

CODES, QUERIES = measure.random_codes(200, 9), measure.random_codes(9, 9, seed=1)


def test_a_peer_that_disagrees_is_marked_and_not_timed() -> None:
    right = contestants()[:2]
    zeros = np.zeros((len(QUERIES), 3), np.int32)
    liar = Peer("liar", "0", "none", False, lambda codes, threads: lambda queries, k: (zeros, zeros))
    row = measure.compare_knn(
        "hamming", "work", QUERIES, CODES, 3, peers=[*right, liar], seconds=0.0, threads=1
    )
    assert set(row.rates) == {"fastcodes", "numpy"}
    assert row.remarks == {"liar": "disagrees"}


def test_best_time_is_that_of_the_fastest_run() -> None:
    naps = iter([0.05, 0.001, 0.05])
    assert 0.001 <= measure.best_time(lambda: time.sleep(next(naps)), 1.0, max_runs=3) < 0.05


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.34, "12.3 s"), (0.01234, "12.3 ms"), (1.234e-5, "12.3 us")]
)
def test_times_have_three_digits(seconds: float, text: str) -> None:
    assert measure.seconds_text(seconds) == text
