"""Two results are held against each other only where all but the model is the same; what differs is all told."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from comparisons import model

from benchkit.errors import EXIT_NOT_COMPARABLE, NotComparable
from benchkit.gate.comparable import check_comparable
from benchkit.types.comparison import Environment, SuiteInfo
from benchkit.types.gate import Scored
from benchkit.types.result import CellResult, ItemScores

NAMES = np.array(["q1", "q2", "q3"])
VERSIONS = {"cpu": "a", "version/torch": "2.8.0", "version/numpy": "2.1.0"}


def part(names: Any = NAMES, subset: str = "default", kind: Any = "mean", metric: str = "ndcg_at_10") -> ItemScores:
    return ItemScores("test", subset, kind, metric, names, {"value": np.arange(float(len(names)))})


def cell(task: str = "faq", **changes: Any) -> CellResult:
    known: dict[str, Any] = {
        "main_metric": "ndcg_at_10",
        "main_score": 1.0,
        "scores": {"test/default": 1.0},
        "items": (part(),),
        "n_items": 3,
        "data_digest": "d" * 32,
        "engine": "torch",
    }
    return CellResult(**{"model": "m", "task": task, "type": "Retrieval", "status": "ok", **known, **changes})


def failed(task: str = "faq", **changes: Any) -> CellResult:
    return CellResult("m", task, "Retrieval", "failed", reason="no memory", **changes)


def scored(*cells: CellResult, source: str = "baselines/support.json", **changes: Any) -> Scored:
    known: dict[str, Any] = {
        "model": model("m"),
        "asked_as": "minilm@dim=128",
        "suite": SuiteInfo("support", "5" * 64, "suites/support.yaml"),
        "environment": Environment(VERSIONS),
        "created": "2026-11-20T10:00:00+00:00",
        "benchkit_version": "0.4.0",
    }
    return Scored(cells=cells or (cell(),), source=source, **{**known, **changes})


def refusal(candidate: Scored, baseline: Scored) -> list[str]:
    with pytest.raises(NotComparable) as caught:
        check_comparable(candidate, baseline)
    assert caught.value.exit_code == EXIT_NOT_COMPARABLE
    return str(caught.value).split("\n")


def test_two_results_that_agree_are_compared_without_a_word() -> None:
    assert check_comparable(scored(), scored()) == ()


def test_another_model_with_other_prompts_and_scores_is_what_a_gate_is_for() -> None:
    changed = replace(model("new"), fingerprint="other prompts", dimension=64)
    assert check_comparable(scored(cell(main_score=0.1), model=changed, asked_as="./checkpoint"), scored()) == ()


def test_each_difference_is_told_with_both_values_and_the_command_that_renews_the_baseline() -> None:
    assert refusal(scored(), scored(cell(data_digest="e" * 32))) == [
        "minilm@dim=128 can't be compared with the baseline minilm@dim=128 (baselines/support.json), 1 difference:",
        "faq: data digest: dddddddddddd in the candidate, eeeeeeeeeeee in the baseline",
        (
            "next: renew the baseline with: benchkit baseline save baselines/support.json --model minilm@dim=128 "
            "--suite suites/support.yaml"
        ),
    ]


@pytest.mark.parametrize(
    ("new", "old", "line"),
    [
        (cell(type="STS"), cell(), "faq: task type: STS in the candidate, Retrieval in the baseline"),
        (cell(), cell(main_metric="mrr"), "faq: main metric: ndcg_at_10 in the candidate, mrr in the baseline"),
        (
            cell(limited="100 of 300 queries"),
            cell(),
            "faq: limits: 100 of 300 queries in the candidate, nothing left out in the baseline",
        ),
        (cell(), cell(data_digest=None), "faq: data digest: dddddddddddd in the candidate, none in the baseline"),
        (cell(data_digest=None), cell(), "faq: data digest: none in the candidate, dddddddddddd in the baseline"),
        (cell(), cell(items=()), "faq: scores of items: test/default in the candidate, none in the baseline"),
        (
            cell(items=(part(), part(subset="en"))),
            cell(),
            "faq: scores of items: test/default, test/en in the candidate, test/default in the baseline",
        ),
        (
            cell(),
            cell(items=(part(metric="map"),)),
            "faq: test/default: score made of: mean ndcg_at_10 in the candidate, mean map in the baseline",
        ),
        (
            cell(),
            cell(items=(part(kind="pair"),)),
            "faq: test/default: score made of: mean ndcg_at_10 in the candidate, pair ndcg_at_10 in the baseline",
        ),
        (
            cell(),
            cell(items=(part(np.array(["q1", "q2"])),)),
            "faq: test/default: items: 3, 1 of them in it alone (q3) in the candidate, 2 in the baseline",
        ),
        (
            cell(),
            cell(items=(part(np.array(["q1", "a", "b"])),)),
            (
                "faq: test/default: items: 3, 2 of them in it alone (q2, ...) in the candidate, 3, 2 of them in it "
                "alone (a, ...) in the baseline"
            ),
        ),
        (cell(), cell(items=(part(NAMES[::-1]),)), "faq: test/default: the same items in another order"),
        (cell(), cell("other"), "faq: the baseline has no such task"),
        (cell(), failed(), "faq: the baseline has no score there (failed: no memory)"),
        (failed(), failed(), "faq: the baseline has no score there (failed: no memory)"),
    ],
)
def test_what_makes_two_scores_incomparable_is_told(new: CellResult, old: CellResult, line: str) -> None:
    assert refusal(scored(new), scored(old))[1:-1] == [line]


def test_all_differences_are_told_at_once() -> None:
    baseline = scored(
        cell("a", data_digest="e" * 32, main_metric="mrr"), cell("c"), suite=SuiteInfo("choose", "6" * 64)
    )
    lines = refusal(scored(cell("a"), cell("b")), baseline)
    assert lines[0].endswith("5 differences:")
    assert lines[1:-1] == [
        "suite: support in the candidate, choose in the baseline",
        "a: data digest: dddddddddddd in the candidate, eeeeeeeeeeee in the baseline",
        "a: main metric: ndcg_at_10 in the candidate, mrr in the baseline",
        "b: the baseline has no such task",
        "c: a task of the baseline that the suite no longer has",
    ]


def test_a_task_that_the_candidate_failed_on_is_left_to_the_rules() -> None:
    assert check_comparable(scored(failed()), scored()) == ()
    assert check_comparable(scored(failed(data_digest="d" * 32)), scored()) == ()
    # One suite: the candidate was stopped before this task.
    assert check_comparable(scored(cell("a")), scored(cell("a"), cell("b"))) == ()


def test_a_failed_task_on_other_data_is_not_comparable_all_the_same() -> None:
    lines = refusal(scored(failed(data_digest="e" * 32)), scored())
    assert lines[1:-1] == ["faq: data digest: eeeeeeeeeeee in the candidate, dddddddddddd in the baseline"]


def test_a_task_that_was_taken_out_of_the_suite_is_no_way_past_the_gate() -> None:
    candidate = scored(cell("a"), suite=SuiteInfo("support", "6" * 64))
    lines = refusal(candidate, scored(cell("a"), cell("b")))
    assert lines[1:-1] == ["b: a task of the baseline that the suite no longer has"]


@pytest.mark.parametrize(
    ("source", "command"),
    [
        ("my files/b.json", "save 'my files/b.json' --model minilm@dim=128 --suite suites/support.yaml"),
        ("mlruns/results/1/result.json", "save baseline.json --model minilm@dim=128 --suite suites/support.yaml"),
        ("mlruns/results/1", "save baseline.json --model minilm@dim=128 --suite suites/support.yaml"),
        (
            "champion, version 3",
            "promote minilm@dim=128 --suite suites/support.yaml --force --reason 'the suite or its data changed'",
        ),
    ],
)
def test_the_next_step_is_a_command_that_fits_the_baseline(source: str, command: str) -> None:
    last = refusal(scored(), scored(cell("other"), source=source))[-1]
    assert last == f"next: renew the baseline with: benchkit baseline {command}"
    shlex.split(last)


def test_a_baseline_of_the_same_run_is_not_renewed() -> None:
    last = refusal(scored(), scored(failed(), source="measured now"))[-1]
    assert last == "next: mend that, or name another model with --baseline"


def test_a_suite_without_a_file_is_named_and_quoted() -> None:
    candidate = scored(suite=SuiteInfo("help; rm -rf", "5" * 64))
    last = refusal(candidate, scored(cell("other"), asked_as="$(x)"))[-1]
    assert last.endswith("--model '$(x)' --suite 'help; rm -rf'")


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        (
            {"suite": SuiteInfo("support", "6" * 64)},
            (
                "the suite file changed in parts that decide no score (digest: 555555555555 in the candidate, "
                "666666666666 in the baseline)"
            ),
        ),
        (
            {"seed": 7, "n_resamples": 2000},
            (
                "other random draws (bootstrap: seed 42, 10000 resamples in the candidate, seed 7, 2000 resamples in "
                "the baseline)"
            ),
        ),
        (
            {"benchkit_version": "0.3.0"},
            "other versions of benchkit (benchkit: 0.4.0 in the candidate, 0.3.0 in the baseline)",
        ),
        (
            {"environment": Environment({"cpu": "b", "version/torch": "2.7.0", "version/numpy": "2.0.0"})},
            "other versions of libraries, baseline -> candidate: numpy 2.0.0 -> 2.1.0, torch 2.7.0 -> 2.8.0",
        ),
        (
            {"cells": (cell(engine="packed"),)},
            "other engines (engine: torch in the candidate, packed in the baseline)",
        ),
        (
            {"cells": (cell(engine=None),), "model": replace(model("m"), engine="int8")},
            "other engines (engine: torch in the candidate, int8 in the baseline)",
        ),
    ],
)
def test_what_decides_no_comparison_is_one_note(changes: dict[str, Any], note: str) -> None:
    assert check_comparable(scored(), replace(scored(), **changes)) == (note,)


def test_data_without_any_digest_are_compared_by_the_names_of_the_items_and_that_is_told() -> None:
    assert check_comparable(scored(cell(data_digest=None)), scored(cell(data_digest=None))) == (
        "no digest of the data, so only the names of the items show that they are the same: faq",
    )


def test_a_name_can_send_nothing_to_a_terminal_and_makes_no_line_of_its_own() -> None:
    hostile = "x\x1b[2J\n::error::\u202epassed"
    candidate = scored(cell(hostile, items=(part(np.array([hostile])),)), asked_as=hostile)
    baseline = scored(
        cell(hostile, items=(part(),), limited=hostile), asked_as=hostile, suite=SuiteInfo(hostile, "1", hostile)
    )
    lines = refusal(replace(candidate, suite=baseline.suite), baseline)
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)
