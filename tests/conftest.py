"""Settings of every test: no network, no telemetry, a cache of its own."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import hypothesis
import pytest

from benchkit.settings import let_threads_sleep

# Before torch or any hub library is imported.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["BENCHKIT_COST"] = "off"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Hundreds of tests start the command: each would compile it anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# As the command does: threads that wait by spinning keep the cores from the other workers' tests.
let_threads_sleep(os.environ)

# A shell without job control lets what it starts with "&" ignore Ctrl-C; tests of Ctrl-C and their children need it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# On a busy machine any example may take long; how long it takes is no property.
hypothesis.settings.register_profile("any-machine", deadline=None)
hypothesis.settings.load_profile("any-machine")

# The tests' own modules (fakes, own_data, servers) are imported by name.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a cache folder of its own, so that none sees another's vectors."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BENCHKIT_CACHE_DIR", str(folder))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the one cache of this run and all of its workers, for what takes long to make and never changes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared-cache"
    folder.mkdir(exist_ok=True)
    return folder
