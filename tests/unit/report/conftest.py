"""Golden files: reports as text that a person has looked at.

Renew them with `BENCHKIT_UPDATE_GOLDEN=1 python -m pytest tests/unit/report`, read the diff, and commit what is meant.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def normalised(text: str) -> str:
    """Return text without the spaces at the ends of lines, which rich adds, and with one newline at the end."""
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines()) + "\n"


@pytest.fixture
def check_golden() -> Callable[[str, str], None]:
    def check(name: str, found: str) -> None:
        path = ROOT / name
        if os.environ.get("BENCHKIT_UPDATE_GOLDEN") == "1":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(normalised(found), encoding="utf-8")
        assert normalised(found) == path.read_text(encoding="utf-8"), f"{name}: see conftest.py for how to renew it"

    return check
