"""A team's own data as an MTEB task: what its reader is told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from own_files import file

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
