"""Golden specifications, and what every chart must be whatever it shows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import altair
import pytest

from benchkit.report.charts.base import Chart

GOLDEN = Path(__file__).parents[3] / "golden" / "charts"


@pytest.fixture
def check_spec() -> Callable[[str, Chart | None], None]:
    """Renew with BENCHKIT_UPDATE_GOLDEN=1, read the diff, and commit what is meant."""

    def check(name: str, drawn: Chart | None) -> None:
        assert drawn is not None
        altair.Chart.from_dict(dict(drawn.spec))
        path, found = GOLDEN / f"{name}.json", json.dumps(drawn.spec, ensure_ascii=False, indent=1) + "\n"
        if os.environ.get("BENCHKIT_UPDATE_GOLDEN") == "1":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(found, encoding="utf-8")
        assert found == path.read_text(encoding="utf-8"), f"{name}: see conftest.py for how to renew it"

    return check
