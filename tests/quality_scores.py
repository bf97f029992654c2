"""Two models' scores with seeded losses, and quality rules on them, for the tests of the gate's quality rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchkit.gate.quality import judge_quality
from benchkit.measure.bootstrap import Draws
from benchkit.measure.weighted import weighted_scores
from benchkit.types.comparison import Environment, SuiteInfo
from benchkit.types.gate import QualityRule, RuleResult, Scored
from benchkit.types.model import ModelMeta
from benchkit.types.result import CellResult, ItemScores

PLACE = "test/default"
MEAN, EACH = QualityRule("mean", 0.005), QualityRule("task:*", 0.02)
ZH = QualityRule("slice:lang=zh", 0.02)
RESAMPLES = 999


def cell(task: str, values: object, **changes: object) -> CellResult:
    array = np.asarray(values, float)
    names = np.array([f"i{i}" for i in range(len(array))])
    items = ItemScores("test", "default", "mean", "hit", names, {"value": array})
    found = CellResult("m", task, "Retrieval", "ok", "hit", float(array.mean()), items=(items,), data_digest=f"d{task}")
    return replace(found, **changes)  # type: ignore[arg-type]


def scored(
    *cells: CellResult, of: str = "candidate", tags: Mapping[str, object] | None = None, **meta: object
) -> Scored:
    facts = {"name": of, "id": of, "revision": None, "fingerprint": of, "dimension": 4} | meta
    looked_up = {} if tags is None else {(one.task, PLACE): {} for one in cells if one.items}
    return Scored(
        model=ModelMeta(**facts),  # type: ignore[arg-type]
        asked_as=of,
        suite=SuiteInfo("s", "d"),
        cells=cells,
        environment=Environment({}),
        created="",
        source="just measured",
        tags=looked_up | {(task, PLACE): {"lang": np.asarray(values)} for task, values in (tags or {}).items()},
        n_resamples=RESAMPLES,
    )


def values(seed: int, n: int = 200) -> np.ndarray:
    return np.random.default_rng(seed).random(n)


def moved(base: np.ndarray, by: float, *, spread: float = 0.05, seed: int = 9) -> np.ndarray:
    """Return scores with a mean that is exactly `by` away, and seeded differences."""
    noise = np.random.default_rng(seed).normal(0, spread, len(base))
    return base + by + noise - noise.mean()


def judged(
    new: Sequence[CellResult], old: Sequence[CellResult], *rules: QualityRule, **more: object
) -> dict[str, RuleResult]:
    found = judge_quality(scored(*new, **more), scored(*old, of="baseline"), rules)  # type: ignore[arg-type]
    assert len({result.id for result in found.results}) == len(found.results)
    return {result.id: result for result in found.results}


def no_draws(*_: object, **__: object) -> Draws:
    raise AssertionError("nothing should be resampled here")


def correlated(predicted: np.ndarray, gold: np.ndarray) -> CellResult:
    names = np.array([f"i{i}" for i in range(len(gold))])
    items = ItemScores("test", "default", "correlation", "spearman", names, {"predicted": predicted, "gold": gold})
    score = float(weighted_scores(items, np.ones((1, len(gold)), int))[0])
    return CellResult("m", "A", "STS", "ok", "spearman", score, items=(items,), data_digest="d")
