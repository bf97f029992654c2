"""What a comparison refuses of own data is refused where they are checked, in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import own_data
import pytest

from benchkit.errors import BenchkitError, SuiteError
from benchkit.tasks.checking import read_own_rows
from benchkit.tasks.opened import open_task
from benchkit.types.task import TaskLimits, TaskSpec

FEW = TaskLimits(items=2, seed=1)


def rare(path: Path, **row: Any) -> Path:
    """Write 40 rows, the first of which has another label."""
    some = own_data.sentences(40)
    return own_data.jsonl(path, [{"text": text, "label": str(n == 0), **row} for n, (_, text) in enumerate(some)])


def rare_pairs(path: Path) -> Path:
    some = own_data.sentences(41)
    rows = [{"sentence1": some[n][1], "sentence2": some[n + 1][1], "label": int(n == 0)} for n in range(40)]
    return own_data.jsonl(path, rows)


def rare_lists(folder: Path) -> Path:
    some = own_data.sentences(40)
    for part in ("train", "test"):
        rows = [{"text": text, "label": [str(n == 0)]} for n, (_, text) in enumerate(some)]
        own_data.jsonl(folder / f"{part}.jsonl", rows)
    return folder


@pytest.mark.parametrize("kind", ["PairClassification", "Clustering", "MultilabelClassification"])
def test_limits_that_leave_one_label_are_refused(kind: str, tmp_path: Path) -> None:
    writers = {"PairClassification": rare_pairs, "Clustering": rare, "MultilabelClassification": rare_lists}
    spec = TaskSpec(name="own", type=kind, data=writers[kind](tmp_path / "x.jsonl"), limits=FEW)
    refused(spec, tmp_path, "the limits leave 2 of 40 items, all with the label ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"language": "xxx-Latn"}, "task 'own': language: 'xxx-Latn' is no ISO 639-3 code with a script"),
        ({"metric": "ap"}, "task 'own': metric: ap needs two labels, both in the test part; there are 4, and 4 in"),
    ],
)
def test_a_language_or_metric_that_the_data_do_not_suit_is_refused(
    options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    spec = TaskSpec(name="own", type="Classification", data=own_data.labelled(tmp_path / "x"), **options)
    refused(spec, tmp_path, said)


def test_data_within_their_limits_are_read(tmp_path: Path) -> None:
    for kind, data in own_data.write_all(tmp_path).items():
        read_own_rows(TaskSpec(name="own", type=kind, data=data, limits=TaskLimits(items=30)))


def refused(spec: TaskSpec, folder: Path, said: str) -> None:
    with pytest.raises(SuiteError) as checked:
        read_own_rows(spec)
    assert str(checked.value).startswith(said)
    with pytest.raises(BenchkitError) as compared:
        open_task(spec, cache_dir=folder / "cache", offline=True).load()
    assert str(compared.value).startswith(said)
