"""A report as the JSON form has it, and a migrated MLflow database that is made once and copied for each test."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from champions import NOON, SUITE, Promote, facts, ref

from benchkit.report.json_form import to_dict
from benchkit.store import promotion
from benchkit.store.registry import Champion
from benchkit.store.uri import prepare_tracking
from benchkit.types.comparison import (
    Comparison,
    Environment,
    Interval,
    ModelSummary,
    Recommendation,
    ScoredCell,
    SuiteInfo,
)
from benchkit.types.cost import Budget, CostReport
from benchkit.types.model import ModelMeta
from benchkit.types.result import CellResult

Report = dict[str, Any]


def _model(name: str) -> ModelMeta:
    return ModelMeta(
        name=name,
        id=f"example/{name}",
        revision="0123abcd",
        fingerprint=f"fp-{name}",
        dimension=384,
        bytes_per_vector=1536,
        parameters=22_700_000,
        license="apache-2.0",
        normalized=True,
        languages=("eng", "zho"),
    )


def _cell(model: str, task: str, score: float | None, metric: str) -> ScoredCell:
    result = CellResult(
        model=model,
        task=task,
        type="Retrieval",
        status="ok" if score is not None else "failed",
        main_metric=metric,
        main_score=score,
        n_items=None if score is None else 500,
        data_digest=f"{task}-digest".ljust(64, "0"),
        dataset_revision="abc",
    )
    return ScoredCell(result, None if score is None else Interval(score - 0.1, score + 0.1))


def _summary(model: str, scores: Mapping[str, float | None]) -> ModelSummary:
    known = [score for score in scores.values() if score is not None]
    mean = sum(known) / len(known) if len(known) == len(scores) else None
    return ModelSummary(
        model=model,
        mean_score=mean,
        interval=None if mean is None else Interval(mean - 0.05, mean + 0.05),
        rank_low=None if mean is None else 1,
        rank_high=None if mean is None else 2,
        by_type={} if mean is None else {"Retrieval": mean},
        missing=tuple(task for task, score in scores.items() if score is None),
    )


@pytest.fixture(scope="session")
def make_report() -> Callable[..., Report]:
    """Return a function that makes a report from {model: {task: score, None where it failed}}."""

    def make(
        scores: Mapping[str, Mapping[str, float | None]] | None = None,
        *,
        suite: str = "choose",
        metric: str = "ndcg_at_10",
        environment: Mapping[str, str] | None = None,
        started: str = "2026-11-20T10:00:00+00:00",
        recommended: str | None = "minilm",
        cost: CostReport | None = None,
        budget: Budget | None = None,
    ) -> Report:
        scores = scores or {"minilm": {"Faq": 0.5, "Docs": 0.75}, "bge": {"Faq": 0.25, "Docs": None}}
        return to_dict(
            Comparison(
                suite=SuiteInfo(name=suite, digest="suite-digest"),
                environment=Environment(
                    environment or {"cpu": "Example", "version/torch": "2.8.0", "git_commit": "c0ffee"}
                ),
                models=tuple(_model(name) for name in scores),
                cells=tuple(_cell(m, task, score, metric) for m, row in scores.items() for task, score in row.items()),
                summary=tuple(_summary(m, row) for m, row in scores.items()),
                pairs=(),
                recommendation=Recommendation(recommended, "it has the best mean"),
                baseline=None,
                margin=0.01,
                n_resamples=1000,
                seed=42,
                started=started,
                seconds=12.5,
                cost=cost,
                budget=budget or Budget(),
                pareto=("minilm",) if cost else (),
            )
        )

    return make


@pytest.fixture(scope="session")
def template_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = prepare_tracking(str(tmp_path_factory.mktemp("template"))).database
    assert database is not None
    return database


@pytest.fixture
def tracking_uri(template_database: Path, tmp_path: Path) -> str:
    """Return the URI of a migrated database of this test's own."""
    place = tmp_path / "tracked" / "mlflow.db"
    place.parent.mkdir()
    shutil.copy(template_database, place)
    return f"sqlite:///{place}"


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """Return two files to keep with a run."""
    folder = tmp_path_factory.mktemp("artifacts")
    for name, text in (("result.json", "{}"), ("report.md", "# 结果")):
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / "result.json", folder / "report.md"]


@pytest.fixture
def promote(tmp_path: Path, tracking_uri: str) -> Promote:
    """Return a function that promotes a model by its name, with a gate that passed."""

    def call(name: str, **changes: Any) -> Champion:
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps({"model": name}))
        given: dict[str, Any] = {
            "tracking_uri": tracking_uri,
            "suite": SUITE,
            "scored_file": file,
            "model": facts(name),
            "gate": ref(name),
            "reason": f"{name} is better",
            "by": "ana",
            "forced": False,
            "when": NOON,
        }
        return promotion.promote(**{**given, **changes})

    return call
