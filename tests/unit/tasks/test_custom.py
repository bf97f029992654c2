"""A team's own data as an MTEB task: what its reader is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from own_files import file

from benchkit.errors import SuiteError
from benchkit.tasks.opened import open_task
from benchkit.types.task import TaskSpec


@pytest.mark.parametrize(
    ("labels", "notes"),
    [
        (("fraud", "legit"), ("ap looks for the label 'legit', the second of the two by name, and not for 'fraud'",)),
        (("0", "1"), ()),
    ],
)
def test_the_label_that_average_precision_is_of_is_told(
    labels: Sequence[str], notes: tuple[str, ...], tmp_path: Path
) -> None:
    for part in ("train", "test"):
        file(tmp_path, f"{part}.jsonl", [{"text": f"{part} {name}", "label": name} for name in labels])
    spec = TaskSpec(name="own", type="Classification", data=tmp_path, metric="ap")
    assert open_task(spec, cache_dir=tmp_path / "cache", offline=True).notes == notes


@pytest.mark.parametrize(
    ("trained", "tested", "said"),
    [
        ("abc", "abc", "there are 3, and 3 in the test part"),
        ("abc", "ab", "there are 3, and 2 in the test part"),
        ("ab", "a", "there are 2, and 1 in the test part"),
    ],
)
def test_average_precision_of_other_than_two_labels_is_refused(
    trained: str, tested: str, said: str, tmp_path: Path
) -> None:
    for part, labels in (("train", trained), ("test", tested)):
        file(tmp_path, f"{part}.jsonl", [{"text": f"{part} {name}", "label": name} for name in labels])
    spec = TaskSpec(name="own", type="Classification", data=tmp_path, metric="ap")
    with pytest.raises(SuiteError, match=f"^task 'own': metric: ap needs two labels, both in the test part; {said}$"):
        open_task(spec, cache_dir=tmp_path / "cache", offline=True)
