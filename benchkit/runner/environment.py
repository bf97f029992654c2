"""The machine and the libraries that make the numbers, as flat facts."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

from benchkit.measure.machine import cpu_name, ram_gib
from benchkit.runner.cell_cache import library_versions
from benchkit.types.comparison import Environment

_MORE_LIBRARIES = ("mlflow", "datasets", "huggingface_hub", "pandas", "model2vec")


def describe_environment(*, device: str, command: str) -> Environment:
    """Return the facts of this machine; a fact that can't be read is left out."""
    values = {
        "benchkit": version("benchkit"),
        "command": command,
        "cpu": cpu_name(),
        "cores": str(os.cpu_count() or ""),
        "ram_gib": ram_gib(),
        "device": device,
        "gpu": _gpu_name(device),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **_git_state(),
    }
    values |= {f"version/{name}": number for name, number in library_versions().items()}
    for name in _MORE_LIBRARIES:
        try:
            values[f"version/{name}"] = version(name)
        except PackageNotFoundError:
            continue
    return Environment({name: value for name, value in values.items() if value})


def _gpu_name(device: str) -> str:
    if not device.startswith("cuda") or "torch" not in sys.modules:
        return ""
    name: str = sys.modules["torch"].cuda.get_device_name(device)
    return name


def _git_state() -> dict[str, str]:
    git = shutil.which("git")
    if git is None:
        return {}
    commit = _output([git, "rev-parse", "HEAD"])
    if not commit:
        return {}
    changed = _output([git, "status", "--porcelain", "--untracked-files=no"])
    return {"git_commit": commit, "git_dirty": "yes" if changed else "no"}


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
