"""Early stopping and checkpoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fastcodes import nn
from networks import (
    X,
    Y,
    small,
)


def test_early_stopping_and_checkpoints(tmp_path: Path) -> None:
    model = small()
    path = tmp_path / "best.safetensors"
    callbacks = [
        nn.Checkpoint(path, monitor="validation_accuracy"),
        nn.EarlyStopping(3, monitor="validation_accuracy"),
    ]
    model.fit(
        X[:100],
        Y[:100],
        epochs=200,
        optimizer=nn.Adam(0.05),
        validation_data=(X[100:], Y[100:]),
        callbacks=callbacks,
    )
    figures = model.history_["validation_accuracy"]
    assert len(figures) < 200
    best = int(np.argmax(figures))
    assert len(figures) == best + 4
    kept = nn.Sequential.load(path)
    assert len(kept.history_["loss"]) == best + 1
    assert kept.evaluate(X[100:], Y[100:])["accuracy"] == figures[best]
    model.history_ = {"loss": [3.0, 1.0, 2.0, 2.0]}
    assert not nn.EarlyStopping(3, monitor="loss")(model)
    assert nn.EarlyStopping(2, monitor="loss")(model)
    with pytest.raises(
        ValueError,
        match=r"monitor must be one of \['accuracy', 'loss'\]; got 'validation_loss' of type str; gi",
    ):
        small().fit(X, Y, callbacks=[nn.EarlyStopping()])


def test_all_callbacks_are_called_before_training_stops() -> None:
    calls: list[str] = []

    def stop(model: nn.Sequential) -> bool:
        calls.append("stop")
        return True

    small().fit(X, Y, epochs=3, callbacks=[stop, lambda model: calls.append("other")])
    assert calls == ["stop", "other"]


def test_patience_is_at_least_one_epoch() -> None:
    with pytest.raises(ValueError, match="patience must be an integer from 1 up; got 0"):
        nn.EarlyStopping(0)
