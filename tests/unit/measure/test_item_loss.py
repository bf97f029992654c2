"""Item losses: worked by hand for a mean, and against a loop that really leaves each item out for every kind."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from benchkit.measure.item_loss import ItemLoss, item_losses, lost_most
from benchkit.measure.weighted import weighted_scores
from benchkit.types.result import ItemScores

RNG = np.random.default_rng(11)
N = 12
LABELS = np.array([0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0])


def entry(kind: str, metric: str, *, subset: str = "en", **columns: np.ndarray) -> ItemScores:
    n_items = len(next(iter(columns.values())))
    return ItemScores("test", subset, kind, metric, np.array([f"i{i}" for i in range(n_items)]), columns)  # type: ignore[arg-type]


def mean_of(values: list[float], **more: object) -> ItemScores:
    return entry("mean", "hit", value=np.array(values), **more)  # type: ignore[arg-type]


def test_of_a_mean_it_is_the_difference_less_that_of_the_others_over_n():
    candidate, baseline = mean_of([0.0, 0.5, 1.0, 0.0]), mean_of([1.0, 0.5, 0.5, 1.0])
    # d = baseline - candidate = 1, 0, -0.5, 1; the others' means 1/6, 0.5, 2/3, 1/6
    np.testing.assert_allclose(
        item_losses(candidate, baseline), [(1 - 1 / 6) / 4, -0.5 / 4, (-0.5 - 2 / 3) / 4, (1 - 1 / 6) / 4]
    )


def test_of_a_correlation_it_is_what_scipy_gives_without_the_item():
    gold, old, new = RNG.random(N), RNG.random(N), RNG.random(N)
    found = item_losses(
        entry("correlation", "spearman", predicted=new, gold=gold),
        entry("correlation", "spearman", predicted=old, gold=gold),
    )

    def gap(kept: np.ndarray) -> float:
        return spearmanr(old[kept], gold[kept])[0] - spearmanr(new[kept], gold[kept])[0]

    twin = [gap(np.arange(N)) - gap(np.delete(np.arange(N), i)) for i in range(N)]
    np.testing.assert_allclose(found, twin, atol=1e-12)


def kinds() -> list[tuple[ItemScores, ItemScores]]:
    def two(kind: str, metric: str, make, **shared: np.ndarray) -> tuple[ItemScores, ItemScores]:
        return tuple(entry(kind, metric, **make(), **shared) for _ in range(2))  # type: ignore[return-value]

    some = lambda *shape: RNG.integers(0, 2, shape)  # noqa: E731
    return [
        two("mean", "ndcg", lambda: {"value": RNG.random(N)}, counted=LABELS),
        two("pair", "ap", lambda: {"predicted": RNG.random((N, 2))}, label=LABELS),
        two("classification", "f1", lambda: {"predicted": some(N, 3)}, label=LABELS),
        two("multilabel", "f1", lambda: {"predicted": some(N, 4)}, label=some(N, 2)),
        two("clustering", "v_measure", lambda: {"cluster": some(N, 2), "draws": 1 + some(N, 2)}, label=LABELS[:, None]),
        two("bitext", "f1", lambda: {"predicted": RNG.integers(0, N, N)}, gold=np.arange(N)),
        two("regression", "kendalltau", lambda: {"predicted": RNG.random((N, 2))}, gold=RNG.random(N)),
    ]


@pytest.mark.parametrize("pair", kinds(), ids=lambda pair: pair[0].kind)
def test_of_every_kind_it_is_what_data_without_the_item_give(pair):
    def score(whole: ItemScores, kept: np.ndarray) -> float:
        cut = entry(whole.kind, whole.metric, **{name: column[kept] for name, column in whole.columns.items()})
        return float(weighted_scores(cut, np.ones((1, len(kept)), np.int64))[0])

    def gap(kept: np.ndarray) -> float:
        return score(pair[1], kept) - score(pair[0], kept)

    everything = np.arange(N)
    twin = [gap(everything) - gap(np.delete(everything, i)) for i in range(N)]
    np.testing.assert_allclose(item_losses(*pair), twin, atol=1e-12)


def test_chunks_change_nothing(monkeypatch):
    candidate, baseline = mean_of(list(RNG.random(9))), mean_of(list(RNG.random(9)))
    whole = item_losses(candidate, baseline)
    monkeypatch.setattr("benchkit.measure.item_loss.CHUNK_ELEMENTS", 20)  # two rows at a time
    np.testing.assert_allclose(item_losses(candidate, baseline), whole, atol=1e-14)


def test_the_same_scores_lose_nothing():
    same = mean_of(list(RNG.random(30)))
    assert not item_losses(same, same).any()
    assert lost_most([same], [same]) == ()


def test_an_item_without_which_there_is_no_score_has_no_loss():
    label = np.array([1, 0, 0, 0])
    new, old = (entry("pair", "ap", label=label, predicted=RNG.random((4, 1))) for _ in range(2))
    assert item_losses(new, old)[0] == 0


def test_the_worst_come_first_and_an_item_of_one_of_two_parts_counts_half():
    candidate = [mean_of([1.0, 0.0, 1.0]), mean_of([0.5, 1.0], subset="de")]
    baseline = [mean_of([1.0, 1.0, 1.0]), mean_of([1.0, 1.0], subset="de")]
    # en: d = 0, 1, 0: (1 - 0) / 3, half of it; de: d = 0.5, 0: (0.5 - 0) / 2, half of it
    assert lost_most(candidate, baseline) == (
        ItemLoss(0, 1, pytest.approx(1 / 6)),
        ItemLoss(1, 0, pytest.approx(1 / 8)),
    )
    assert [item.part for item in lost_most(candidate, baseline, most=1)] == [0]


def test_ten_items_are_shown_at_most():
    candidate, baseline = mean_of([0.0] * 30 + [1.0] * 30), mean_of([1.0] * 60)
    assert [item.row for item in lost_most([candidate], [baseline])] == list(range(10))


def test_other_items_are_refused():
    with pytest.raises(ValueError, match="not paired: test/en: 2 items against 3"):
        item_losses(mean_of([0.0, 1.0]), mean_of([0.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match="not paired: splits and subsets differ"):
        lost_most([mean_of([0.0])], [mean_of([0.0], subset="de")])
