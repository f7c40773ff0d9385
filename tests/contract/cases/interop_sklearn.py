"""Cases of the classes of fastcodes.interop.sklearn."""

from __future__ import annotations

from contract.class_kit import BOOLEANS, OPTIONS, POSITIVE, Case, fitted
from fastcodes.hashing import PCAHashing
from fastcodes.interop.sklearn import KNeighborsTransformer

CASES: dict[str, Case] = {
    "interop.sklearn.KNeighborsTransformer": Case(
        KNeighborsTransformer,
        {"codec": PCAHashing(4), "n_neighbors": 3},
        fitted,
        wrong={
            "codec": ["itq", PCAHashing, 3],
            "n_neighbors": POSITIVE,
            "mode": OPTIONS,
            "metric": [*OPTIONS, "l2"],
            "symmetric": BOOLEANS,
            "index": [*BOOLEANS, PCAHashing],
        },
        skipped=frozenset({"set_params"}),
    )
}
