"""fastcodes.entropy against constriction, and on product-quantised codes of descriptors of photographs."""

import os
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes import _native, entropy
from fastcodes._typing import Array
from fastcodes.quantization import ProductQuantizer

N = 1_000_000
N_TRAINING, N_TEST, ROWS_PER_BLOCK = 80_000, 20_000, 16
HAS_AVX2 = _native.level() != "portable"

pytestmark = pytest.mark.usefixtures("one_thread")


def peer() -> Any:
    """Return constriction, or skip the benchmark."""
    return pytest.importorskip("constriction", reason="constriction is not installed").stream


@cache
def probabilities() -> Array:
    p = np.exp(-abs(np.arange(256) - 128) / 6)
    return p / p.sum()


@cache
def symbols() -> Array:
    return np.random.default_rng(0).choice(256, N, p=probabilities()).astype(np.uint8)


@cache
def model() -> entropy.Categorical:
    return entropy.Categorical((probabilities() * 2**40).astype(np.int64))


@cache
def latents() -> tuple[Array, Array]:
    """Return integers and the number of the scale of each."""
    rng = np.random.default_rng(0)
    numbers = rng.integers(5, 50, N).astype(np.uint8)
    return np.rint(rng.normal(0, entropy.ScaleTable("gaussian").scales[numbers])).astype(np.int32), numbers


@pytest.mark.parametrize("name", ["fastcodes", "constriction"])
@pytest.mark.parametrize("function", ["encode", "decode"])
def test_symbols(contest: Any, name: str, function: str) -> None:
    x = symbols()
    if name == "fastcodes":
        data = entropy.encode(x, model())
        calls: dict[str, Callable[[], Any]] = {
            "encode": partial(entropy.encode, x, model(), threads=1),
            "decode": partial(entropy.decode, data, model(), N, threads=1),
        }
        size: Callable[[Any], int] = len
    else:
        coder, wide = peer().stack.AnsCoder, x.astype(np.int32)
        law = peer().model.Categorical(probabilities().astype(np.float32), perfect=False)

        def encode() -> Array:
            ans = coder()
            ans.encode_reverse(wide, law)
            words: Array = ans.get_compressed()
            return words

        words = encode()
        calls = {"encode": encode, "decode": lambda: coder(words).decode(law, N)}
        size = lambda words: words.nbytes  # noqa: E731
    shortest = model().bits(x) / 8

    def check(answer: Any) -> None:
        if function == "encode":
            assert size(answer) < 1.002 * shortest + 256
        else:
            np.testing.assert_array_equal(answer, x)

    contest(
        name,
        calls[function],
        group=f"entropy.{function}, 1,000,000 symbols of 256",
        check=check,
        amount=N,
        unit="symbols",
        needs={"constriction": 20.0 if function == "decode" else 2.0} if HAS_AVX2 else None,
    )


@pytest.mark.parametrize("name", ["fastcodes", "constriction"])
def test_scales(contest: Any, name: str) -> None:
    values, numbers = latents()
    table = entropy.ScaleTable("gaussian")
    if name == "fastcodes":
        data = entropy.encode(values, table, scales=numbers)
        call: Callable[[], Any] = partial(entropy.decode, data, table, scales=numbers, threads=1)
    else:
        stream, law = peer(), peer().model.QuantizedGaussian(-1023, 1023)
        means, deviations = np.zeros(N, np.float32), table.scales[numbers].astype(np.float32)
        ans = stream.stack.AnsCoder()
        ans.encode_reverse(values, law, means, deviations)
        words = ans.get_compressed()
        call = lambda: stream.stack.AnsCoder(words).decode(law, means, deviations)  # noqa: E731
    contest(
        name,
        call,
        group="entropy.decode, 1,000,000 Gaussian integers, a scale for each",
        check=partial(np.testing.assert_array_equal, values),
        amount=N,
        unit="symbols",
        needs={"constriction": 10.0} if HAS_AVX2 else None,
    )


@cache
def descriptor_codes() -> Array:
    """Return product-quantised codes, 16 bytes each, of 100,000 descriptors of photographs."""
    path = Path(os.environ.get("FASTCODES_DATA", "shared/data"), "sift_photos_u8.npz")
    if not path.exists():
        pytest.skip(f"{path} is missing: set FASTCODES_DATA to the folder of the data sets")
    with np.load(path) as data:
        learn, base = data["learn"].astype(np.float32), data["base"][: N_TRAINING + N_TEST]
    quantizer = ProductQuantizer(16, 256, random_state=0).fit(learn)
    codes: Array = quantizer.encode(base.astype(np.float32))
    return codes


@cache
def chain() -> entropy.MarkovChain:
    return entropy.MarkovChain.fit(descriptor_codes()[:N_TRAINING])


@pytest.mark.parametrize("rows_per_block", [1, ROWS_PER_BLOCK])
@pytest.mark.parametrize("function", ["encode_rows", "decode_rows"])
def test_rows(contest: Any, function: str, rows_per_block: int) -> None:
    codes = descriptor_codes()[N_TRAINING:]
    encode = partial(entropy.encode_rows, codes, chain(), rows_per_block=rows_per_block, threads=1)
    data, offsets = encode()
    n_bits = 8 * len(data) / N_TEST
    print(f"{n_bits:.2f} bits a row of 128, in blocks of {rows_per_block}")
    how: Any = {"n_rows": N_TEST, "rows_per_block": rows_per_block, "threads": 1}
    decode = partial(entropy.decode_rows, data, offsets, chain(), **how)

    def check(answer: Any) -> None:
        assert rows_per_block < ROWS_PER_BLOCK or n_bits <= 113
        np.testing.assert_array_equal(decode() if function == "encode_rows" else answer, codes)

    contest(
        "fastcodes",
        encode if function == "encode_rows" else decode,
        group=f"entropy.{function}, {N_TEST} rows of 16 codes, blocks of {rows_per_block}: {n_bits:.1f} bits",
        check=check,
        amount=N_TEST,
        unit="rows",
    )


def test_some_rows_of_many(contest: Any) -> None:
    codes = np.tile(descriptor_codes(), (10, 1))
    data, offsets = entropy.encode_rows(codes, chain())
    rows = np.random.default_rng(0).choice(len(codes), 1000)
    contest(
        "fastcodes",
        partial(entropy.decode_rows, data, offsets, chain(), rows=rows, threads=1),
        group="entropy.decode_rows, 1000 rows of 1,000,000, 16 codes each",
        check=partial(np.testing.assert_array_equal, codes[rows]),
        amount=1000,
        unit="rows",
        limit_seconds=5e-3,
    )
