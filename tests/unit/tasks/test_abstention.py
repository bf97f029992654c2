"""A quarter of a retrieval's scoring isn't done, and no score that is read changes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from fakes import HashingEncoder
from own_data import write_all

from benchkit.tasks.abstention import without_abstention
from benchkit.tasks.opened import OpenedTask, open_task
from benchkit.tasks.scoring import score_task
from benchkit.types.model import Variant
from benchkit.types.task import TaskSpec


@pytest.fixture
def task(tmp_path: Path) -> OpenedTask:
    spec = TaskSpec(name="own", type="Retrieval", data=write_all(tmp_path / "own")["Retrieval"])
    opened = open_task(spec, cache_dir=tmp_path / "cache", offline=True)
    opened.load()
    return opened


def test_a_retrieval_computes_none_and_its_score_is_that_of_plain_mteb(
    task: OpenedTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mteb._evaluators import retrieval_metrics

    calls: list[int] = []
    plain = retrieval_metrics.evaluate_abstention
    monkeypatch.setattr(
        retrieval_metrics, "evaluate_abstention", lambda results, scores: calls.append(1) or plain(results, scores)
    )
    lean = score_task(task, HashingEncoder(), Variant())
    assert not calls
    monkeypatch.setattr("benchkit.tasks.recording.without_abstention", lambda _: without_abstention("nAUC_ndcg_at_10"))
    whole = score_task(task, HashingEncoder(), Variant())
    assert calls
    assert lean.scores == whole.scores
    assert lean.main_score == whole.main_score
    assert [part.items.tolist() for part in lean.items] == [part.items.tolist() for part in whole.items]


def test_mteb_has_its_own_back_after_an_error() -> None:
    from mteb._evaluators import retrieval_metrics

    plain = retrieval_metrics.evaluate_abstention
    with suppress(RuntimeError), without_abstention("ndcg_at_10"):
        assert retrieval_metrics.evaluate_abstention({}, {}) == {}
        raise RuntimeError
    assert retrieval_metrics.evaluate_abstention is plain


def test_a_main_metric_of_this_kind_is_computed() -> None:
    from mteb._evaluators import retrieval_metrics

    plain = retrieval_metrics.evaluate_abstention
    with without_abstention("nAUC_ndcg_at_10_max"):
        assert retrieval_metrics.evaluate_abstention is plain
