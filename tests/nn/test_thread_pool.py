"""Threads of layers."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from fastcodes import nn
from fastcodes.nn import _thread_pool
from fastcodes.nn._thread_pool import limit_threads, map_slices, thread_limit
from networks import IMAGES, KINDS, X, images_network, same_model, small

RNG = np.random.default_rng(5)


@pytest.mark.parametrize(
    "layer", [nn.BinaryConv2D(5, 3, padding="same", pad_value=0), nn.BatchNorm(), nn.MaxPool2D()], ids=str
)
def test_nothing_depends_on_the_number_of_threads(layer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = RNG.normal(size=(37, 8, 8, 3)).astype(np.float32)

    def run() -> list[Any]:
        layer.build((8, 8, 3), np.random.default_rng(0))
        out = layer.forward(x, training=True)
        return [out, layer.backward(np.cos(out)), *(p.gradient for p in layer.parameters.values())]

    whole = run()
    monkeypatch.setattr(_thread_pool, "_SERIAL_NUMBERS", 0)
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(_thread_pool._native, "threads", lambda threads=threads: threads)
        found.append(run())
    for others in found[1:]:
        assert all(map(np.array_equal, found[0], others))
    assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(whole, found[0], strict=True))


def test_a_limit_holds_within_its_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_thread_pool._native, "threads", lambda: 3)
    workers: list[threading.Thread] = []

    def work(samples: slice) -> int:
        workers.append(threading.current_thread())
        return samples.start

    starts = list(range(0, 800, 100))
    for limit, n_most in ((None, 3), (1, 1), (2, 2), (8, 3)):
        workers.clear()
        with limit_threads(limit):
            assert thread_limit() == limit
            with limit_threads(None):  # for example that of a teacher
                assert thread_limit() == limit
            assert map_slices(work, 800, 1 << 20) == starts
        assert len(set(workers)) <= n_most
        assert (threading.current_thread() in workers) == (limit == 1)
    assert thread_limit() is None


def test_models_give_the_same_with_any_limit() -> None:
    model = images_network().fit(IMAGES, KINDS, epochs=2, batch_size=16)
    assert same_model(images_network().fit(IMAGES, KINDS, epochs=2, batch_size=16, threads=1), model)
    packed, expected = model.compile(), model.decision_function(IMAGES)
    for threads in (1, 2, 7):
        assert np.array_equal(model.decision_function(IMAGES, threads=threads), expected)
        assert np.array_equal(packed.decision_function(IMAGES, threads=threads), expected)
        assert np.array_equal(packed.predict(IMAGES, threads=threads), model.predict(IMAGES))
        assert np.array_equal(packed.predict_proba(IMAGES, threads=threads), model.predict_proba(IMAGES))
        assert model.evaluate(IMAGES, KINDS, threads=threads) == model.evaluate(IMAGES, KINDS)
    classifier = nn.BinaryMLPClassifier((16,), epochs=2, random_state=0)
    expected = classifier.fit(X, X[:, 0] > 0).decision_function(X)
    assert np.array_equal(classifier.fit(X, X[:, 0] > 0, threads=1).decision_function(X, threads=1), expected)


@pytest.mark.parametrize("threads", [0, -1])
def test_a_limit_is_at_least_one(threads: int) -> None:
    model = small().fit(X, X[:, :3].argmax(axis=1), epochs=1)
    for action in (
        lambda: model.predict(X, threads=threads),
        lambda: model.compile().predict(X, threads=threads),
        lambda: small().fit(X, X[:, :3].argmax(axis=1), threads=threads),
    ):
        with pytest.raises(ValueError, match=f"threads must be an integer from 1 up; got {threads}"):
            action()
