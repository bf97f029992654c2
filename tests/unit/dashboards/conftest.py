"""A store for the dashboard, empty until a test keeps something in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import use_store


@pytest.fixture
def mlruns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_store(tmp_path / "mlruns", monkeypatch)
