"""A whole model directory, made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_directories import make_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model")
