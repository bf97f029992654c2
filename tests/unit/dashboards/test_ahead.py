"""What the dashboard loads before it is asked for."""

from __future__ import annotations

import json
import subprocess
import sys

NEEDED = ["dashboards.views.cost", "dashboards.views.history", "pyarrow.parquet", "scipy.special"]


def loaded(before: str = "pass") -> list[str]:
    """Return which of NEEDED a fresh Python has after loading ahead."""
    load = "from dashboards import ahead; ahead._load()"
    code = f"import json, sys; {before}; {load}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [name for name in NEEDED if name in json.loads(done.stdout)]


def test_pages_and_what_they_import_late_are_loaded() -> None:
    assert loaded() == NEEDED


def test_a_module_that_is_not_there_is_left_for_its_page_to_tell_and_others_are_loaded() -> None:
    assert loaded("sys.modules['dashboards.views.compare'] = None") == NEEDED
