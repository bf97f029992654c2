"""What was found out about a task is found again, and never for a task that differs."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from benchkit.tasks import known
from benchkit.tasks.known import BenchmarkTask, TaskFacts, benchmark_tasks, known_folder, task_facts
from benchkit.types.task import TaskLimits, TaskSpec

SPEC = TaskSpec(name="faq", type="STS", data=Path("faq.jsonl"))
FACTS = TaskFacts("faq", "STS", "cosine_spearman", "ab12", ("test",), ("faq.jsonl: 2 rows are empty — 空",))
TASKS = (BenchmarkTask("A", "STS", ("test",), ("en", "de")), BenchmarkTask("B", "Retrieval", ("dev",), ("default",)))


class Finder:
    """Finds facts, and counts how often it was asked."""

    def __init__(self, facts: TaskFacts = FACTS) -> None:
        self.facts = facts
        self.calls = 0

    def __call__(self) -> TaskFacts:
        self.calls += 1
        return self.facts


def ask(cache: Path, finder: Finder, *, spec: TaskSpec = SPEC, revision: str | None = "ab12") -> TaskFacts:
    return task_facts(cache, spec, revision=revision, find=finder)


def test_facts_come_back_as_they_were_found(tmp_path: Path) -> None:
    finder = Finder()
    assert ask(tmp_path, finder) == ask(tmp_path, finder) == FACTS
    assert finder.calls == 1


def test_tasks_of_a_benchmark_come_back_as_they_were_found(tmp_path: Path) -> None:
    assert benchmark_tasks(tmp_path, "mine", lambda: TASKS) == TASKS
    assert benchmark_tasks(tmp_path, "mine", lambda: ()) == TASKS
    assert benchmark_tasks(tmp_path, "other", lambda: ()) == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"revision": "ab13"},
        {"revision": None},
        {"spec": replace(SPEC, name="faq2")},
        {"spec": replace(SPEC, type="BitextMining")},
        {"spec": replace(SPEC, data=Path("other/faq.jsonl"))},
        {"spec": replace(SPEC, columns={"sentence1": "question"})},
        {"spec": replace(SPEC, splits=("dev",))},
        {"spec": replace(SPEC, subsets=("en",))},
        {"spec": replace(SPEC, metric="cosine_pearson")},
        {"spec": replace(SPEC, language="zho-Hans")},
        {"spec": replace(SPEC, description="questions")},
        {"spec": replace(SPEC, limits=TaskLimits(items=5))},
        {"spec": replace(SPEC, limits=TaskLimits(seed=1))},
    ],
    ids=lambda changed: str(changed)[:60],
)
def test_another_task_or_other_data_are_found_anew(changed: dict[str, object], tmp_path: Path) -> None:
    ask(tmp_path, Finder())
    finder = Finder(replace(FACTS, type="Clustering"))
    assert ask(tmp_path, finder, **changed).type == "Clustering"  # type: ignore[arg-type]
    assert finder.calls == 1


@pytest.mark.parametrize("library", ["benchkit", "mteb"])
def test_another_version_finds_anew(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(tmp_path, Finder())
    present = known.version
    monkeypatch.setattr(known, "version", lambda name: "99" if name == library else present(name))
    finder = Finder()
    ask(tmp_path, finder)
    assert finder.calls == 1


def damaged(text: str) -> list[str]:
    content = json.loads(text)
    known_values = content["known"]
    return [
        "",
        text[:-20],
        "[1]",
        "{}",
        text.replace("ab12", "ab13"),
        json.dumps({**content, "known": {**known_values, "more": 1}}),
        json.dumps({**content, "known": None}),
        "[" * 100_000,
    ]


@pytest.mark.parametrize("number", range(8))
def test_a_damaged_file_is_as_good_as_none_and_is_mended(number: int, tmp_path: Path) -> None:
    ask(tmp_path, Finder())
    (path,) = known_folder(tmp_path).iterdir()
    whole = path.read_text(encoding="utf-8")
    path.write_text(damaged(whole)[number], encoding="utf-8")
    finder = Finder()
    assert ask(tmp_path, finder) == FACTS
    assert finder.calls == 1
    assert path.read_text(encoding="utf-8") == whole


def test_bytes_that_are_no_text_are_as_good_as_none(tmp_path: Path) -> None:
    ask(tmp_path, Finder())
    (path,) = known_folder(tmp_path).iterdir()
    path.write_bytes(b"\xff\xfe\x00")
    assert ask(tmp_path, Finder()) == FACTS


def test_a_folder_that_can_not_be_made_costs_time_only(tmp_path: Path) -> None:
    known_folder(tmp_path).write_text("a file where the folder should be", encoding="utf-8")
    finder = Finder()
    assert ask(tmp_path, finder) == ask(tmp_path, finder) == FACTS
    assert finder.calls == 2


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "replace", full)
    assert ask(tmp_path, Finder()) == FACTS
    assert list(known_folder(tmp_path).iterdir()) == []


def test_what_can_not_be_found_is_not_kept(tmp_path: Path) -> None:
    def fails() -> TaskFacts:
        raise ValueError("no such task")

    with pytest.raises(ValueError, match="no such task"):
        task_facts(tmp_path, SPEC, revision="ab12", find=fails)
    assert not known_folder(tmp_path).exists()
