"""Parts of a gate that no whole run shows: rules that match nothing, paths in files, what can't be had or kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gates import POLICY, passed

from benchkit.api import gate_explain, gate_record
from benchkit.api.gate_record import record_gate
from benchkit.api.gate_request import GateRun, check_rules, with_label
from benchkit.api.scored import seen_from, tags_of
from benchkit.errors import CellFailed, ModelError, SuiteError, UsageError
from benchkit.gate.quality import judge_quality
from benchkit.measure.bootstrap import draw_scores
from benchkit.settings import load_settings
from benchkit.types.comparison import Environment, SuiteInfo
from benchkit.types.gate import DEFAULT_POLICY, Policy, QualityRule, Scored
from benchkit.types.model import ModelMeta, ModelSpec
from benchkit.types.result import CellResult, ItemScores


def scored(*tasks: str, tags: dict[tuple[str, str], dict[str, np.ndarray]] | None = None) -> Scored:
    items = ItemScores("test", "default", "mean", "hit", np.array(["a", "b"]), {"value": np.array([0.0, 1.0])})
    cells = tuple(
        CellResult("m", task, "Retrieval", "ok", "hit", main_score=0.5, scores={"test/default": 0.5}, items=(items,))
        for task in tasks
    )
    meta = ModelMeta("m", "m", None, "f", 2)
    return Scored(meta, "m", SuiteInfo("s", "d", None), cells, Environment({}), "2026", "here", tags=tags or {})


def two_languages(task: str, zh: float, en: float, *, is_tagged: bool) -> Scored:
    """Return a model with these scores on every Chinese and every English item, but for one of each."""
    values = np.r_[np.full(9, zh), 0.5, np.full(29, en), 0.5]
    names = np.array([f"{language}{n}" for language, size in (("zh", 10), ("en", 30)) for n in range(size)])
    items = ItemScores("test", "default", "mean", "hit", names, {"value": values})
    score = float(values.mean())
    one = CellResult("m", task, "Retrieval", "ok", "hit", main_score=score, items=(items,), data_digest="d")
    tags = {(task, "test/default"): {"lang": np.repeat(["zh", "en"], [10, 30])}} if is_tagged else {}
    meta = ModelMeta("m", "m", None, "old" if is_tagged else "new", 2)
    return Scored(meta, "m", SuiteInfo("s", "d", None), (one,), Environment({}), "2026", "here", tags=tags)


# ------------------------------------------------------------ rules


def test_rules_that_match_nothing_are_told_with_their_lines(tmp_path: Path) -> None:
    rules = (QualityRule("mean", 0.1), QualityRule("task:b*", 0.1), QualityRule("slice:x=1", 0.1))
    looked_up = scored("alike", tags={("alike", "test/default"): {}})
    file = tmp_path / "rules.yaml"
    text = "".join(f"    - {{on: '{rule.on}', margin: 0.1}}\n" for rule in rules)
    for head, place in (("gate:\n  quality:\n", "gate.quality"), ("quality:\n", "quality")):
        file.write_text(f"# rules\n{head}{text}")
        with pytest.raises(SuiteError) as caught:
            check_rules(Policy(rules, source=str(file)), looked_up, looked_up)
        first, second = str(caught.value).splitlines()
        line = 2 + head.count("\n")
        assert first.startswith(f"{file}:{line + 1}: {place}[1].on: quality rule on 'task:b*' matches no task")
        assert second.startswith(f"{file}:{line + 2}: {place}[2].on: quality rule on 'slice:x=1' matches no item")
        with pytest.raises(SuiteError, match="task:b") as early:
            check_rules(Policy(rules, source=str(file)), scored("alike"), scored("alike"), kinds=("task:",))
        assert "slice" not in str(early.value)


def test_a_file_that_has_gone_meanwhile_is_named_without_a_line(tmp_path: Path) -> None:
    policy = Policy((QualityRule("task:b", 0.1),), source=str(tmp_path / "code"))
    with pytest.raises(UsageError, match="matches no task"):
        check_rules(policy, scored("alike"), scored("alike"))


def test_rules_that_match_are_let_through() -> None:
    check_rules(DEFAULT_POLICY, scored("alike"), scored("alike"))


# ------------------------------------------------------------ names


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/repo/ci/tiny", "./tiny"),
        ("/repo/ci/a/tiny@dim=8", "./a/tiny@dim=8"),
        ("/repo/ci2/tiny", "/repo/ci2/tiny"),
        ("/repo/ci/", "/repo/ci/"),
        ("./tiny", "./tiny"),
        ("minilm", "minilm"),
        ("org/name", "org/name"),
    ],
)
def test_only_what_lies_below_the_folder_is_told_from_there(name: str, shown: str) -> None:
    assert seen_from(name, Path("/repo/ci")) == shown


def test_from_the_root_every_path_is_below() -> None:
    assert seen_from("/tiny", Path("/")) == "./tiny"


def test_two_models_of_one_name_have_two_labels() -> None:
    assert with_label(ModelSpec("m", "m"), "m").label == "m (baseline)"
    assert with_label(ModelSpec("m", "m"), "n").label == "m"


# ------------------------------------------------------------ what can't be had


def test_metadata_that_cannot_be_had_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(opened: Any, parts: Any) -> Any:
        if opened.name == "lost":
            raise CellFailed("the data have gone")
        return {place: {"lang": np.array(["en", "de"])} for place in parts}

    monkeypatch.setattr("benchkit.tasks.item_tags.item_tags", gone)
    heard: list[str] = []
    opened: Any = [SimpleNamespace(name="lost"), SimpleNamespace(name="there")]
    found = tags_of(opened, scored("lost", "there").cells, on_warning=heard.append)
    assert list(found) == [("there", "test/default")]
    assert heard == ["lost: no metadata of its items, so no slice of it can be judged: the data have gone"]


def test_a_model_that_cannot_be_loaded_leaves_an_explanation_without_its_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*args: Any, **options: Any) -> Any:
        raise ModelError("gone")

    monkeypatch.setattr(gate_explain, "open_encoder", refuse)
    prepared: Any = SimpleNamespace(device="cpu")
    pair: Any = SimpleNamespace(candidate=object(), baseline=None)
    assert gate_explain._speakers(prepared, pair, None) == (None, None)


# ------------------------------------------------------------ what can't be kept


def run_of(tmp_path: Path) -> GateRun:
    report = replace(passed(), policy=POLICY)
    return GateRun(report, scored("alike"), load_settings(tmp_path, {}), None)


def test_the_files_of_a_gate_are_all_there_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = record_gate(run_of(tmp_path))
    assert recorded.warnings == ()
    assert recorded.folder is not None
    assert {file.name for file in recorded.folder.iterdir()} == {"gate.json", "gate.md", "candidate.json"}

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device", "gate.json")

    monkeypatch.setattr(gate_record, "write_json", full)
    run = run_of(tmp_path)
    lost = record_gate(replace(run, report=replace(run.report, gate_id="fedcba9876543210")))
    assert (lost.folder, lost.run) == (None, None)
    assert "gate.json: the gate's files can't be written: No space left on device" in lost.warnings[0]
    assert len(list((tmp_path / "mlruns" / "gates").iterdir())) == 1


def test_scores_that_no_file_can_hold_lose_no_verdict(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    (cell,) = run.candidate.cells
    twice = replace(run, candidate=replace(run.candidate, cells=(cell, cell)))
    lost = record_gate(twice)
    assert lost.folder is None
    assert "the gate's files can't be written" in lost.warnings[0]


# ------------------------------------------------------------ why a slice failed


def test_a_slice_that_lost_is_explained_by_its_own_items_where_the_task_gained() -> None:
    candidate = two_languages("faq", 0.2, 0.9, is_tagged=False)
    baseline = two_languages("faq", 0.7, 0.1, is_tagged=True)
    (rule,) = judge_quality(candidate, baseline, (QualityRule("slice:lang=zh", 0.02),)).results
    assert rule.verdict == "fail"
    (found,) = gate_explain.explain(candidate, baseline, [rule], draw=draw_scores)
    assert (found.rule, found.task) == ("quality/slice:lang=zh", "faq")
    assert (found.change, found.low, found.high) == (pytest.approx(rule.change), rule.low, rule.high)
    assert [item.item for item in found.items] == [f"zh{n}" for n in range(9)]
    assert found.items[0].loss == pytest.approx((0.5 * 9 / 10) - (0.5 * 8 / 9))  # with it and without it, by hand
    assert found.slices == ()  # the slice has one value
