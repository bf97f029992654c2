"""Two suites have one digest exactly when they ask for the same work."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest

from benchkit.suite.load import load_suite
from benchkit.suite.suite import BenchmarkSpec, Suite
from benchkit.types.cost import Budget, Price
from benchkit.types.gate import DEFAULT_POLICY
from benchkit.types.model import ModelSpec, Variant
from benchkit.types.task import TaskLimits, TaskSpec

BASE = Suite(
    name="x",
    path=Path("/somewhere/suites/x.yaml"),
    tasks=(TaskSpec(name="faq", type="STS", data=Path("/somewhere/suites/data/faq.csv")),),
    benchmarks=(BenchmarkSpec("MTEB(eng, v2)"),),
    models=(ModelSpec(label="minilm", name="minilm"),),
)


def test_the_digest_is_the_hash_of_the_canonical_json() -> None:
    text = (
        '{"baseline":null,"benchmarks":[],"format":"benchkit-suite-1","margin":0.01,"models":[],"n_resamples":10000,'
        '"name":"x","seed":42,"tasks":[{"columns":{},"data":"data/文.csv","language":"eng-Latn",'
        '"limits":{"documents":null,"items":null,"seed":42},"metric":null,"name":"faq","splits":null,"subsets":null,'
        '"type":"STS"}]}'
    )
    task = TaskSpec(name="faq", type="STS", data=Path("/a/data/文.csv"), description="not counted")
    suite = Suite(name="x", path=Path("/a/x.yaml"), tasks=(task,), description="not counted")
    assert suite.digest == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "y"},
        {"seed": 1},
        {"margin": 0.02},
        {"n_resamples": 5000},
        {"baseline": "minilm"},
        {"benchmarks": ()},
        {"benchmarks": (BenchmarkSpec("MTEB(eng, v2)", types=("STS",)),)},
        {"benchmarks": (BenchmarkSpec("MTEB(eng, v2)", exclude=("STS12",)),)},
        {"models": (ModelSpec(label="minilm", name="minilm", variant=Variant(truncate_dim=64)),)},
        {"models": (ModelSpec(label="minilm", name="minilm", options={"k": 1}),)},
        {"tasks": (dataclasses.replace(BASE.tasks[0], data=Path("/somewhere/suites/data/other.csv")),)},
        {"tasks": (dataclasses.replace(BASE.tasks[0], columns={"score": "s"}),)},
        {"tasks": (dataclasses.replace(BASE.tasks[0], limits=TaskLimits(items=10)),)},
        {"tasks": (dataclasses.replace(BASE.tasks[0], metric="cosine_pearson"),)},
    ],
    ids=str,
)
def test_what_can_change_a_number_changes_the_digest(change: dict[str, Any]) -> None:
    assert dataclasses.replace(BASE, **change).digest != BASE.digest


def test_a_budget_a_price_and_a_gate_choose_among_numbers_and_change_none() -> None:
    limits = dataclasses.replace(BASE, budget=Budget(max_dim=384), price=Price(per_hour=1.0), gate=DEFAULT_POLICY)
    assert limits.digest == BASE.digest


def test_descriptions_do_not_change_the_digest() -> None:
    tasks = (dataclasses.replace(BASE.tasks[0], description="words"),)
    assert dataclasses.replace(BASE, description="words", tasks=tasks).digest == BASE.digest


def test_layout_of_the_file_and_its_folder_do_not_change_the_digest(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "deep" / "other"
    for folder in (one, other):
        folder.mkdir(parents=True)
        (folder / "f.csv").write_text("x")
        (folder / "model").mkdir()
    (one / "x.yaml").write_text("name: x\ntasks: [{name: a, type: STS, data: f.csv}]\nmodels: [./model]\n")
    (other / "y.yaml").write_text(
        "# comment\nmodels:\n- name: ./model\ntasks:\n- {data: ./f.csv, name: a, type: STS}\nseed: 42\nname: x\n"
    )
    assert load_suite(one / "x.yaml").digest == load_suite(other / "y.yaml").digest


def test_the_digest_of_a_relative_path_is_that_of_the_absolute_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f.csv").write_text("x")
    (tmp_path / "x.yaml").write_text("name: x\ntasks: [{name: a, type: STS, data: f.csv}]\n")
    monkeypatch.chdir(tmp_path)
    assert load_suite(Path("x.yaml")).digest == load_suite(tmp_path / "x.yaml").digest


def test_a_suite_is_limited_when_a_task_or_a_benchmark_is() -> None:
    few = TaskLimits(items=10)
    assert not BASE.limited
    assert dataclasses.replace(BASE, tasks=(TaskSpec(name="a", limits=few),)).limited
    assert dataclasses.replace(BASE, benchmarks=(BenchmarkSpec("b", limits=few),)).limited
