"""Noise and models are told apart by what changes of texts alike have in common, in few dimensions and many."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import ortho_group

from benchkit.drift.canary import make_canaries, measure_harm
from benchkit.drift.noise import ALIKE, change_of
from benchkit.drift.verdict import conclude
from benchkit.types.drift import DriftPolicy

N = 200
DIMENSIONS = (8, 16, 32, 64, 128, 256)


def units(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def texts(dimension: int, *, n: int = N, seed: int = 0) -> np.ndarray:
    """Return vectors around ten topics, directions of falling variance, as of a model."""
    rng = np.random.default_rng([seed, dimension])
    scales = np.geomspace(1, 0.3, dimension)
    topics = rng.normal(size=(10, dimension))
    return units((topics[rng.integers(10, size=n)] + rng.normal(size=(n, dimension))) * scales)


def noisy(vectors: np.ndarray, share: float, *, seed: int = 1) -> np.ndarray:
    added = np.random.default_rng(seed).normal(size=vectors.shape) / np.sqrt(vectors.shape[1])
    return units(vectors + share * added)


def to_bits(vectors: np.ndarray, bits: int) -> np.ndarray:
    step = np.abs(vectors).max() / (2 ** (bits - 1) - 1)
    return units(np.rint(vectors / step) * step)


def turned(vectors: np.ndarray, angle: float) -> np.ndarray:
    d = vectors.shape[1]
    free = np.random.default_rng(2).normal(size=(d, d))
    return units(vectors @ expm((free - free.T) / np.sqrt(2 * d) * angle))


def kind(vectors: np.ndarray, now: np.ndarray) -> str:
    canaries = make_canaries([f"t{n}" for n in range(len(vectors))], vectors, clusters=np.zeros(len(vectors), int))
    harm = measure_harm(canaries, now)
    return conclude(policy=DriftPolicy(), health=(), p_value=0.5, evidence=None, harm=harm, is_watch=False).kind


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("share", [0.05, 0.2, 0.3])
def test_noise_is_numeric_in_any_dimension(dimension, share):
    vectors = texts(dimension)
    assert kind(vectors, noisy(vectors, share)) == "numeric"


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("bits", [4, 8])
def test_rounded_vectors_are_numeric_in_any_dimension(dimension, bits):
    vectors = texts(dimension)
    assert kind(vectors, to_bits(vectors, bits)) == "numeric"


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_another_model_is_a_model_in_any_dimension(dimension):
    vectors = texts(dimension)
    rotation = ortho_group.rvs(dimension, random_state=np.random.default_rng(5))
    bent = vectors @ np.random.default_rng(6).normal(size=(dimension, dimension))
    swapped = {
        "rotated": vectors @ rotation,
        "another space": texts(dimension, seed=9),
        "turned a little": turned(vectors, 0.35),
        "a prompt": vectors + 0.4 * vectors[0],
        "a nonlinear one": vectors + 0.4 * units(np.tanh(3 * bent)),
    }
    assert {name: kind(vectors, units(rows)) for name, rows in swapped.items()} == dict.fromkeys(swapped, "model")


def test_texts_that_were_exchanged_or_cut_are_no_noise():
    vectors = texts(32)
    exchanged = np.roll(vectors, 1, axis=0)
    some = vectors.copy()
    some[::10] = noisy(vectors, 3)[::10]
    assert [kind(vectors, rows) for rows in (exchanged, some)] == ["model", "model"]
    assert change_of(vectors, exchanged).kept < 0.5
    assert change_of(vectors, some).unequal > 1


def test_what_changes_have_in_common_is_what_loops_over_pairs_say():
    before, now = texts(12, n=40), noisy(texts(12, n=40), 0.2)
    old, new = before.astype(float), now.astype(float)
    changes = [b - (a @ b) / (a @ a) * a for a, b in zip(old, new, strict=True)]
    total = sum(c @ c for c in changes)
    common = 0.0
    for place, vector in enumerate(old):
        near = [other for other in np.argsort(-(old @ vector)) if other != place][:ALIKE]
        common += sum(changes[place] @ changes[other] for other in near) / ALIKE
    squares = np.array([c @ c for c in changes])
    found = change_of(before, now)
    assert found.common == pytest.approx(common / total, rel=1e-4)
    assert found.unequal == pytest.approx(squares.var() / squares.mean() ** 2, rel=1e-4)
    assert found.kept == pytest.approx(np.mean([(a @ b) ** 2 for a, b in zip(old, new, strict=True)]), rel=1e-5)


def test_of_noise_common_is_within_its_error_and_directions_and_lengths_are_those_of_chi_square():
    vectors = texts(24)
    found = [change_of(vectors, noisy(vectors, 0.1, seed=seed)) for seed in range(60)]
    scores = np.array([each.common / each.error for each in found])
    assert abs(scores.mean()) <= 3 / np.sqrt(60)
    assert 0.75 <= scores.std() <= 1.25
    assert np.mean([each.directions for each in found]) == pytest.approx(23, abs=1.5)
    assert np.mean([each.unequal * each.directions / 2 for each in found]) == pytest.approx(1, abs=0.15)


def test_a_text_that_stands_twice_is_not_alike_to_itself():
    vectors = np.repeat(texts(16, n=100), 2, axis=0)
    rounded = to_bits(vectors, 4)  # the same error for both
    assert change_of(vectors, rounded).is_noise
    assert change_of(np.repeat(vectors[:1], 60, axis=0), noisy(vectors[:60], 0.1)).common == 0


def test_what_did_not_change_or_is_too_few_is_neither():
    vectors, few = texts(8), texts(8, n=29)
    found = [(vectors, vectors), (vectors, 3 * vectors), (few, noisy(few, 0.2))]
    for before, now in found:
        canaries = make_canaries([f"t{n}" for n in range(len(before))], before, clusters=np.zeros(len(before), int))
        assert measure_harm(canaries, now).is_noise is None
    gone = vectors.copy()
    gone[3] = 0
    assert change_of(vectors, gone) is None
