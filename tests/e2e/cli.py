"""The installed command, run for real in a process of its own, bounded in time, without a network.

    run_benchkit(["compare", ...], cwd)                           to its end
    start_benchkit([...], cwd, pause=Pause("module:function"))    held at a place, to be interrupted or killed there
    call_benchkit([...], cwd)                                     in this process, where a message or a number is enough

Cache, MLflow store and hub cache are in `cwd`, which is a project of its own. A pause wraps one function as its module
is imported (`sitecustomize`), so that a signal hits the same place on a fast and on a slow machine; the program itself
is unchanged.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

COMMAND = Path(sys.executable).parent / "benchkit"
TIMEOUT_S = 240.0
# What a user may have set and a test must not see.
_UNSET = ("MLFLOW_TRACKING_URI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "TQDM_DISABLE", "HF_ENDPOINT")


def environment(cwd: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a run in `cwd`; `extra` wins."""
    own = {
        "BENCHKIT_CACHE_DIR": str(cwd / "cache"),
        "HF_HOME": str(cwd / "huggingface"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TOKENIZERS_PARALLELISM": "false",
        # Costs take fresh processes; the tests of costs ask for them.
        "BENCHKIT_COST": "off",
    }
    return {name: value for name, value in os.environ.items() if name not in _UNSET} | own | dict(extra or {})


def make_project(folder: Path) -> Path:
    """Make a folder a project of its own, so that its mlruns are in it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchkit.toml").touch()
    return folder


def run_benchkit(
    args: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None, timeout: float = TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end and return its exit code, stdout and stderr."""
    return subprocess.run(
        [COMMAND, *args],
        cwd=make_project(cwd),
        env=environment(cwd, env),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )


@dataclass(frozen=True)
class Pause:
    """Where a process waits: before the nth call of "module:function" or "module:Class.method".

    Attributes:
        is_deaf: Whether it goes on waiting when it is interrupted, as a thread pool does for its threads.
    """

    place: str
    nth: int = 1
    is_deaf: bool = False


@dataclass
class Running:
    """A process under way."""

    process: subprocess.Popen[str]
    reached: Path

    def wait_for_pause(self) -> None:
        """Wait until the process is at its pause.

        Raises:
            AssertionError: it ended before, or took too long.
        """
        self._wait_for(self.reached)

    def interrupt_deaf(self) -> None:
        """Interrupt a deaf pause and wait until it has heard and ignored that."""
        self.process.send_signal(signal.SIGINT)
        self._wait_for(self.reached.with_suffix(".heard"))

    def _wait_for(self, marker: Path) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not marker.exists():
            assert self.process.poll() is None, f"ended before the pause: {self.process.communicate()}"
            assert time.monotonic() < deadline, "the pause was never reached"
            time.sleep(0.02)

    def interrupt(self) -> subprocess.CompletedProcess[str]:
        """Send what Ctrl-C sends, and return how the process ended."""
        self.process.send_signal(signal.SIGINT)
        return self.finish()

    def kill(self) -> None:
        """End it as the system does when memory runs out: it can't do anything about it."""
        self.process.kill()
        self.process.communicate()

    def finish(self) -> subprocess.CompletedProcess[str]:
        """Wait for the end."""
        stdout, stderr = self.process.communicate(timeout=TIMEOUT_S)
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, stdout, stderr)


@contextmanager
def start_benchkit(
    args: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None, pause: Pause | None = None
) -> Iterator[Running]:
    """Start the command; it is gone when the context ends."""
    make_project(cwd)
    reached = cwd / "paused"
    reached.unlink(missing_ok=True)
    extra = dict(env or {})
    if pause is not None:
        hook = cwd / "hook"
        hook.mkdir(exist_ok=True)
        (hook / "sitecustomize.py").write_text(_HOOK)
        extra |= {
            "PYTHONPATH": os.pathsep.join(filter(None, (str(hook), os.environ.get("PYTHONPATH")))),
            "PAUSE": f"{pause.place}:{pause.nth}",
            "PAUSE_REACHED": str(reached),
            "PAUSE_IS_DEAF": "yes" if pause.is_deaf else "",
        }
    process = subprocess.Popen(
        [COMMAND, *args],
        cwd=cwd,
        env=environment(cwd, extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        # What a shell starts in the background is deaf to Ctrl-C, and so would be what the tests start then.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )
    try:
        yield Running(process, reached)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


# Runs in the started process, before anything else.
_HOOK = """\
import importlib.util, itertools, os, pathlib, sys, time

MODULE, NAME, NTH = os.environ["PAUSE"].rsplit(":", 2)


def paused(function):
    calls = itertools.count(1)

    def wrapper(*args, **kwargs):
        if next(calls) == int(NTH):
            reached = pathlib.Path(os.environ["PAUSE_REACHED"])
            reached.touch()
            end = time.monotonic() + 120
            while time.monotonic() < end:
                try:
                    time.sleep(0.02)
                except KeyboardInterrupt:
                    if not os.environ["PAUSE_IS_DEAF"]:
                        raise
                    reached.with_suffix(".heard").touch()
            os._exit(99)
        return function(*args, **kwargs)

    return wrapper


class Hook:
    def find_spec(self, name, path=None, target=None):
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module

        def exec_module(module):
            run(module)
            owner = module
            *parents, last = NAME.split(".")
            for parent in parents:
                owner = getattr(owner, parent)
            setattr(owner, last, paused(getattr(owner, last)))

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Hook())
"""


@dataclass(frozen=True)
class Called:
    """What a call in this process did."""

    code: int
    out: str
    err: str


def call_benchkit(args: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> Called:
    """Run the command's `main` in this process, which has imported torch already: for messages and for results."""
    from benchkit.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(make_project(cwd))
        for name in _UNSET:
            patch.delenv(name, raising=False)
        for name, value in (
            {"BENCHKIT_CACHE_DIR": str(cwd / "cache"), "BENCHKIT_COST": "off"} | dict(env or {})
        ).items():
            patch.setenv(name, value)
        code = main(args)
    return Called(code, out.getvalue(), err.getvalue())


# What two runs of one comparison may differ in.
_TIMES = ("started", "seconds")
_COSTS = ("seconds", "encode_seconds", "texts_encoded")


def read_result(path: Path) -> dict[str, Any]:
    """Return a result without times, costs and the machine, and with the same name for every project's folder."""
    text = path.read_text(encoding="utf-8").replace(str(path.parent), "PROJECT")
    result: dict[str, Any] = json.loads(text)
    for name in (*_TIMES, "environment"):
        del result[name]
    for cell in result["cells"]:
        for name in _COSTS:
            del cell[name]
    return result


def encoded(path: Path) -> int:
    """Return how many texts went through a model for a result."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return sum(cell["texts_encoded"] or 0 for cell in cells)
