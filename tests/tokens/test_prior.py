"""TokenPrior: code lengths of known sources, round trips, integers alone, samples, damaged bytes."""

from __future__ import annotations

import contextlib
import copy
import functools
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcodes.tokens import NotFittedError, TokenPrior, prior
from fastcodes.tokens._numbers import varint
from fastcodes.tokens._order import contexts_of, waves
from fastcodes.tokens._prior_network import FREQUENCIES, ends_of
from fastcodes.tokens._range_coder import Decoder

SETTINGS: dict[str, Any] = {"hidden": 24, "epochs": 6, "batch_size": 256, "random_state": 0}


def chains(n: int, seed: int, n_codewords: int = 8, shape: tuple[int, int] = (6, 7)) -> Any:
    """Return grids whose tokens are the one to the left, or the next number: a bit of entropy each."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(0, 2, (n, *shape))
    steps[:, :, 0] = rng.integers(0, n_codewords, (n, shape[0]))
    return (np.cumsum(steps, axis=2) % n_codewords).astype(np.uint8)


@functools.cache
def fitted() -> TokenPrior:
    return TokenPrior(8, **SETTINGS).fit(chains(600, 0), threads=1)


@functools.cache
def of_two() -> tuple[TokenPrior, Any]:
    """Return a prior of two codebooks, the second of which repeats the first, and grids."""
    first = chains(400, 2)
    grids = np.stack([first, first], axis=-1)
    return TokenPrior(8, n_codebooks=2, **SETTINGS).fit(grids[:300]), grids[300:]


def test_code_lengths_are_near_the_entropy_of_the_source() -> None:
    grids = chains(100, 1)
    bits = fitted().bits(grids)
    entropy = 6 * (3 + 6)  # of each row: one of eight, and six choices of two
    assert bits.shape == (100,)
    assert entropy * 0.98 < bits.mean() < entropy * 1.12
    assert fitted().score(grids) == pytest.approx(-bits.mean() / 42)
    assert fitted().objective_history_[-1] < fitted().objective_history_[0]
    # Tokens without any pattern cost no less than their entropy.
    noise = np.random.default_rng(0).integers(0, 8, (100, 6, 7))
    assert fitted().bits(noise).mean() > 3 * 42


def test_independent_tokens_cost_the_entropy_of_their_counts() -> None:
    rng = np.random.default_rng(0)
    p = np.array([0.5, 0.25, 0.125, 0.125])
    model = TokenPrior(4, **SETTINGS).fit(rng.choice(4, p=p, size=(500, 6, 6)))
    grids = rng.choice(4, p=p, size=(300, 6, 6))
    expected = -np.log2(p)[grids].sum(axis=(1, 2)).mean()
    assert model.bits(grids).mean() == pytest.approx(expected, rel=0.02)


def test_a_codebook_that_follows_from_another_costs_nothing() -> None:
    model, grids = of_two()
    entropy = 6 * (3 + 6)
    assert model.bits(grids).mean() < 1.25 * entropy
    assert np.array_equal(model.decode(model.encode(grids)), grids)
    assert model.sample(3, (4, 5), random_state=0).shape == (3, 4, 5, 2)


@pytest.mark.parametrize("shape", [(6, 7), (1, 1), (1, 9), (9, 1), (2, 2), (13, 5)])
def test_grids_come_back(shape: tuple[int, int]) -> None:
    grids = chains(5, 3, shape=shape)
    data = fitted().encode(grids)
    decoded = fitted().decode(data)
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, grids)
    assert fitted().encode(grids, threads=1) == data
    # Magic, version, two checksums and four numbers; a length and at most one byte more for each grid.
    assert len(data) <= 17 + 5 * 2 + np.ceil(fitted().bits(grids) / 8).sum()


def test_codes_depend_on_no_other_grid_and_no_block(monkeypatch: pytest.MonkeyPatch) -> None:
    grids = chains(30, 4)
    data, bits = fitted().encode(grids), fitted().bits(grids)
    assert fitted().bits(grids[7:8])[0] == bits[7]
    monkeypatch.setattr(prior, "_TOKENS_PER_BLOCK", 50)
    monkeypatch.setattr(prior, "_ENDS_PER_BLOCK", 100)
    assert np.array_equal(fitted().bits(grids), bits)
    assert fitted().encode(grids) == data
    assert np.array_equal(fitted().decode(data), grids)


def test_the_order_of_tokens_is_the_documented_one() -> None:
    # A decoder of one token at a time: by column + 2 * row, then by codebook, then by row.
    model, grids = of_two()
    mixed = np.stack([grids[0, ..., 0], grids[1, ..., 0]], axis=-1)[None]  # no codebook repeats the other
    rows, columns = mixed.shape[1:3]
    decoder, padded = Decoder(model._codes(mixed)[0]), np.full((rows + 2, columns + 3, 2), 8)
    places = [(y, x, book) for y in range(rows) for x in range(columns) for book in range(2)]
    for y, x, book in sorted(places, key=lambda place: (place[1] + 2 * place[0], place[2], place[0])):
        neighbors = [padded[y + 2 + dy, x + 2 + dx, m] for dy, dx, m in contexts_of(book, 2)]
        ends = ends_of(np.array([neighbors]), model._converted()[book])[0]
        token = int((ends <= decoder.target(int(ends[-1]))).sum())
        start = int(ends[token - 1]) if token else 0
        decoder.take(start, int(ends[token]) - start)
        padded[y + 2, x + 2, book] = token
    assert np.array_equal(padded[2:, 2 : 2 + columns], mixed[0])


def test_nothing_is_encoded_and_decoded() -> None:
    empty = np.zeros((0, 6, 7), np.uint8)
    assert fitted().decode(fitted().encode(empty)).shape == (0, 6, 7)
    assert fitted().bits(empty).shape == (0,)
    assert fitted().sample(0, (3, 3)).shape == (0, 3, 3)


def test_waves_visit_every_place_after_its_neighbors() -> None:
    for rows, columns in ((1, 1), (1, 5), (5, 1), (4, 7), (7, 4)):
        seen = np.zeros((rows, columns), bool)
        for wave in waves(rows, columns):
            for y, x in wave:
                for dy, dx, _ in contexts_of(0, 1):
                    if y + dy >= 0 and 0 <= x + dx < columns:
                        assert seen[y + dy, x + dx]
            assert not seen[tuple(wave.T)].any()
            seen[tuple(wave.T)] = True
        assert seen.all()


def test_probabilities_are_powers_of_two_in_integers() -> None:
    expected = np.rint(2.0 ** (16 - np.arange(len(FREQUENCIES)) / 64))
    assert np.abs(FREQUENCIES - np.maximum(expected, 1)).max() <= 1
    assert (FREQUENCIES >= 1).all()
    # Every sum of the network is an integer that float64 holds.
    embeddings, _, weights = fitted().tables_[0]
    assert embeddings.dtype == weights.dtype == np.int16
    assert 256 * np.abs(weights.astype(np.int64)).sum(axis=0).max() < 2**53


def test_rounding_the_network_costs_little() -> None:
    # The history is of the network in float32, and ends with its last epoch.
    assert -fitted().score(chains(600, 0)) < fitted().objective_history_[-1] + 0.02


def test_samples_have_the_statistics_of_the_source() -> None:
    grids = fitted().sample(200, (6, 7), random_state=0)
    assert np.array_equal(grids, fitted().sample(200, (6, 7), random_state=0))
    steps = np.diff(grids.astype(int), axis=2) % 8
    assert np.isin(steps, (0, 1)).mean() > 0.95
    assert abs(fitted().bits(grids).mean() - fitted().bits(chains(200, 5)).mean()) < 6


# --- files and bytes ----------------------------------------------------------------------------------------


def test_saved_priors_code_alike(tmp_path: Path) -> None:
    grids = chains(5, 6)
    data = fitted().encode(grids)
    fitted().save(tmp_path / "prior")
    for other in (TokenPrior.load(tmp_path / "prior"), pickle.loads(pickle.dumps(fitted()))):
        assert other.model_id == fitted().model_id
        assert other.encode(grids) == data
        assert np.array_equal(other.decode(data), grids)
    params, arrays = fitted().to_state()
    with pytest.raises(ValueError, match="embeddings"):
        TokenPrior.from_state({**params, "hidden": 1000}, arrays)


def test_parameters_set_after_fit_wait_for_the_next_one(tmp_path: Path) -> None:
    grids = chains(5, 6)
    data, bits = fitted().encode(grids), fitted().bits(grids)
    model = copy.deepcopy(fitted()).set_params(n_codewords=300, n_codebooks=2, hidden=3)
    assert np.array_equal(model.decode(data), grids)
    assert model.decode(data).dtype == np.uint8
    assert np.array_equal(model.bits(grids), bits)
    assert model.sample(2, (3, 3)).shape == (2, 3, 3)
    with pytest.raises(ValueError, match="n_codewords was set to 300 after a fit with n_codewords=8; set it"):
        model.save(tmp_path / "prior")
    with pytest.raises(ValueError, match="hidden was set to 3"):
        model.set_params(n_codewords=8, n_codebooks=1).save(tmp_path / "prior")
    model.set_params(hidden=24).save(tmp_path / "prior")
    assert TokenPrior.load(tmp_path / "prior").encode(grids) == data


def test_priors_are_repeatable_and_differ_in_their_ids() -> None:
    settings = {**SETTINGS, "epochs": 1}
    first, same = (TokenPrior(8, **settings).fit(chains(50, 0), threads=threads) for threads in (1, 2))
    other = TokenPrior(8, **{**settings, "random_state": 1}).fit(chains(50, 0))
    assert first.model_id == same.model_id != other.model_id
    with pytest.raises(ValueError, match="coded by another prior"):
        other.decode(first.encode(chains(2, 1)))


def test_damaged_bytes_are_refused() -> None:
    data = fitted().encode(chains(3, 7))
    for length in range(len(data)):
        with pytest.raises(ValueError, match="data"):
            fitted().decode(data[:length])
    for i in range(len(data)):
        with pytest.raises(ValueError, match="data"):
            fitted().decode(data[:i] + bytes([data[i] ^ 16]) + data[i + 1 :])
    with pytest.raises(ValueError, match="altered, the checksum"):
        fitted().decode(data + b"\0")


def test_bytes_with_a_right_checksum_crash_nothing() -> None:
    rng = np.random.default_rng(0)
    data = fitted().encode(chains(3, 8))
    for _ in range(100):
        body = bytearray(data[:-4])
        for _ in range(rng.integers(1, 4)):
            body[rng.integers(9, len(body))] = rng.integers(256)
        altered = bytes(body) + zlib.crc32(bytes(body)).to_bytes(4, "little")
        # It decodes to something, or says what is wrong.
        with contextlib.suppress(ValueError):
            assert fitted().decode(altered, max_tokens=10_000).max(initial=0) < 8


def container(model: TokenPrior, shape: tuple[int, ...], *codes: bytes) -> bytes:
    """Return bytes of codes with a right checksum."""
    head = model.encode(np.zeros((0, 1, 1), np.uint8))[:9]
    numbers = [*shape, *map(len, codes)]
    body = head + b"".join([*map(varint, numbers), *codes])
    return body + zlib.crc32(body).to_bytes(4, "little")


def test_few_bytes_cannot_ask_for_much_work(monkeypatch: pytest.MonkeyPatch) -> None:
    work, uncounted = [], prior.ends_of

    def counted(contexts: Any, tables: Any) -> Any:
        work.append(len(contexts))
        return uncounted(contexts, tables)

    model, (code,) = fitted(), fitted()._codes(chains(1, 3)[..., None])
    monkeypatch.setattr(prior, "ends_of", counted)
    # Zeros after the end are first tokens, whatever their probabilities.
    for shape in ((1, 1, 1 << 20, 1), (1, 1 << 10, 1 << 10, 1)):
        assert not model.decode(container(model, shape, b"")).any()
    assert not work
    grids = model.decode(container(model, (200, 6, 7, 1), *[b""] * 100, code, *[b""] * 99))
    assert np.array_equal(grids[100], chains(1, 3)[0])
    assert np.delete(grids, 100, axis=0).max() == 0
    assert sum(work) <= 42
    # Other codes have tokens for some bytes after their ends.
    work.clear()
    with pytest.raises(ValueError, match="data were altered: the code ends before its last symbol"):
        model.decode(container(model, (1, 1 << 10, 1 << 10, 1), b"\x80"))
    assert sum(work) < 10_000
    with pytest.raises(ValueError, match="data have 1048577 tokens; expected at most max_tokens=1048576"):
        model.decode(container(model, (1, 1, (1 << 20) + 1, 1), b""))


def test_bytes_after_the_last_token_are_refused() -> None:
    (code,) = fitted()._codes(chains(1, 3)[..., None])
    assert np.array_equal(fitted().decode(container(fitted(), (1, 6, 7, 1), code)), chains(1, 3))
    for more in (b"\0", b"\1" * 7, b"\0" * 100 + b"hidden"):
        with pytest.raises(ValueError, match="data were altered: there are bytes after the last symbol"):
            fitted().decode(container(fitted(), (1, 6, 7, 1), code + more))


def test_few_bytes_cannot_ask_for_many_tokens() -> None:
    head = fitted().encode(chains(0, 0))[:9]
    for shape in ((1 << 40, 1, 1, 1), (1, 1 << 20, 1 << 20, 1), (0, 1 << 30, 1 << 30, 1), (5, 3, 0, 1)):
        body = head + b"".join(map(varint, shape))
        with pytest.raises(ValueError, match="data have"):
            fitted().decode(body + zlib.crc32(body).to_bytes(4, "little"))
    with pytest.raises(ValueError, match="data have 126 tokens; expected at most max_tokens=125"):
        fitted().decode(fitted().encode(chains(3, 8)), max_tokens=125)


@pytest.mark.parametrize(
    ("grids", "problem"),
    [
        (chains(2, 0) + 0.5, "tokens must be integers"),
        (
            chains(2, 0)[0],
            r"tokens must have shape \(n, rows, columns\); .*; for one picture give tokens\[None\]",
        ),
        (chains(2, 0) + np.uint8(1), "tokens must be from 0 to 7; got 8"),
    ],
)
def test_wrong_tokens_are_refused(grids: Any, problem: str) -> None:
    for use in (fitted().encode, fitted().bits, fitted().score, fitted().fit):
        with pytest.raises((TypeError, ValueError), match=problem):
            use(grids)


def test_priors_have_to_be_fitted() -> None:
    for use in (lambda p: p.encode(chains(2, 0)), lambda p: p.decode(b""), lambda p: p.sample(1, (2, 2))):
        with pytest.raises(NotFittedError):
            use(TokenPrior(8))
    with pytest.raises(ValueError, match="tokens is empty; fit needs at least one grid"):
        TokenPrior(8).fit(chains(0, 0))
