"""A task that a suite names twice is told with both lines, at the benchmark where it can be left out."""

from __future__ import annotations

from pathlib import Path

from benchkit.suite.doubled_tasks import doubled_tasks

FILE = """name: own
tasks:
  - {benchmark: one}
  - {name: A}

  - {benchmark: two}
  - {name: B}
"""


def written(folder: Path, text: str = FILE) -> Path:
    path = folder / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return path


TWICE = "is in the suite twice: in this benchmark and"
NEXT = "leave one out with `exclude:`"


def test_both_lines_of_a_task_by_name_and_inside_a_benchmark_are_told(tmp_path: Path) -> None:
    path = written(tmp_path)
    (told,) = doubled_tasks(path, ["A", "B"], [["B", "C"], ["D"]])
    assert told == f"{path}:3: tasks[0]: task 'B' {TWICE} by name at {path}:7 (tasks[3]); {NEXT}"


def test_a_task_inside_two_benchmarks_is_told_at_the_second(tmp_path: Path) -> None:
    path = written(tmp_path)
    first, second = f"inside another at {path}:3 (tasks[0])", f"{path}:6: tasks[2]"
    assert doubled_tasks(path, ["A", "B"], [["C", "A"], ["A", "C"]]) == [
        f"{second}: task 'A' {TWICE} by name at {path}:4 (tasks[1]), {first}; {NEXT}",
        f"{second}: task 'C' {TWICE} {first}; {NEXT}",
    ]


def test_tasks_that_are_there_once_are_fine() -> None:
    assert doubled_tasks(None, ["A"], [["B"], []]) == []


def test_a_suite_without_a_file_or_whose_file_has_changed_is_told_without_lines(tmp_path: Path) -> None:
    told = ["task 'A' is in the suite twice: in this benchmark and by name; leave one out with `exclude:`"]
    assert doubled_tasks(None, ["A"], [["A"]]) == told
    changed = written(tmp_path, "name: own\ntasks: []\n")
    assert doubled_tasks(changed, ["A"], [["A"]]) == [f"{changed}:1: {told[0]}"]
