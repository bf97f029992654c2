"""Where a project keeps its monitor.

settings ── folder_of ──> mlruns/drift/ ── baselines/NAME.safetensors (kept_baselines.py)
                                       └── state.db: history (kept_checks.py), watches
"""

from __future__ import annotations

import os
from pathlib import Path

from benchkit.settings import Settings, load_settings
from benchkit.store.drift_state import DriftState

STATE = "state.db"


def settings_here() -> Settings:
    """Return the settings of the current folder."""
    return load_settings(Path.cwd(), os.environ)


def folder_of(settings: Settings) -> Path:
    """Return the monitor's folder of a project."""
    return settings.mlruns_dir / "drift"


def baselines_of(settings: Settings) -> Path:
    """Return the folder of a project's baselines."""
    return folder_of(settings) / "baselines"


def open_state(settings: Settings) -> DriftState:
    """Open the history of a project, and make it where there is none.

    Raises:
        UsageError: it can't be used.
    """
    return DriftState(folder_of(settings) / STATE)
