"""Files of packed networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import _files, nn
from packed_networks import IMAGES, NETWORKS, trained


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "packed.safetensors"
    trained(NETWORKS["residual images"][0], IMAGES, 3).compile().save(path)
    return path


@pytest.mark.parametrize(
    ("params", "arrays", "message"),
    [
        ({}, {"0.rows": None}, "no entry 'rows'"),
        ({}, {"0.rows": np.zeros((8, 3, 3), np.uint8)}, ""),
        ({}, {"0.rows": np.zeros((8, 3, 3, 1), np.float32)}, ""),
        ({}, {"0.rows": np.full((8, 3, 3, 1), 255, np.uint8)}, ""),
        ({}, {"1.factor": np.full(8, np.nan, np.float32)}, "normalization must have 8 finite float32"),
        ({}, {"1.beta": np.zeros(7, np.float32)}, "normalization must have 8 finite float32"),
        ({}, {"1.mean": np.zeros(8)}, "normalization must have 8 finite float32"),
        (
            {},
            {"classes": np.arange(4)},
            "the last layer has 3 outputs, which is not one for each of 4 classes",
        ),
        ({"steps": [{"step": "eval"}]}, {}, "there is no PackedStep 'eval'"),
        ({"input_shape": [9, 9, 3]}, {}, ""),
        ({"steps": []}, {}, ""),
    ],
)
def test_a_file_with_wrong_content_is_refused(
    params: dict[str, Any], arrays: dict[str, Any], message: str, saved: Path
) -> None:
    kept_params, kept_arrays = _files.read(saved, "PackedModel")
    content = {key: array for key, array in (kept_arrays | arrays).items() if array is not None}
    _files.write(saved, "PackedModel", kept_params | params, content)
    with pytest.raises(ValueError, match=f"is not a valid PackedModel file: .*{message}"):
        nn.PackedModel.load(saved)


def test_a_file_of_another_class_says_which(saved: Path) -> None:
    with pytest.raises(ValueError, match="it holds a PackedModel; load it with PackedModel"):
        nn.Sequential.load(saved)
