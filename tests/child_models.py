"""Models for tests of child processes: a plug-in package in a folder, with models that fail in every way.

    install(folder) ── child_models.py, its dist-info ──> PYTHONPATH=folder ──> loader "child" in a fresh interpreter

What a model does stands in its options: at ("open", "load", "encode"), and `do`, a name of DEEDS.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchkit.errors import ModelError
from benchkit.types.model import ModelMeta, ModelSpec, OpenContext, Role

LOADER = "child"
PARAMETERS_MIB = 2
MAX_SEQ_LENGTH = 5
_LEAK: list[bytearray] = []


def install(folder: Path) -> None:
    """Write the package into a folder that PYTHONPATH will name."""
    info = folder / "child_models-1.0.dist-info"
    info.mkdir(parents=True)
    shutil.copy(__file__, folder / "child_models.py")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: child-models\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[benchkit.models]\n{LOADER} = child_models:open_model\n")


def spec(label: str = "fake", **options: str | int | float | bool) -> ModelSpec:
    """Return a model of this plug-in."""
    return ModelSpec(label=label, name=f"child/{label}", loader=LOADER, options=options)


def open_model(spec: ModelSpec, context: OpenContext) -> ChildHandle:
    _act("open", spec.options)
    return ChildHandle(spec, context)


@dataclass(frozen=True)
class ChildHandle:
    spec: ModelSpec
    context: OpenContext

    @property
    def meta(self) -> ModelMeta:
        return ModelMeta(name=self.spec.label, id="child", revision=None, fingerprint="f", dimension=4)

    def load(self) -> ChildEncoder:
        _act("load", self.spec.options)
        made = self.context.cache_dir / "child" / "made"
        engine = "ready" if made.is_file() else "fresh"
        if self.spec.options.get("makes"):
            made.parent.mkdir(parents=True, exist_ok=True)
            made.touch()
        return ChildEncoder(self.spec, engine)


class ChildEncoder:
    """Zeros; a token is a word, a batch is padded to its longest text."""

    def __init__(self, spec: ModelSpec, engine: str) -> None:
        self.meta = ModelMeta(
            name=spec.label,
            id="child",
            revision=None,
            fingerprint="f",
            dimension=4,
            memory_bytes=PARAMETERS_MIB * 2**20,
            max_seq_length=MAX_SEQ_LENGTH,
            engine=engine,
        )
        self._options = spec.options

    def prompt_for(self, *, task_name: str, task_type: str, role: Role | None) -> str:
        return "query: " if role == "query" else ""

    def encode(self, texts: Sequence[str], *, prompt: str = "", role: Role | None = None) -> NDArray[np.float32]:
        assert role is None  # only a model with `uses_role` is told
        _act("encode", self._options)
        time.sleep(float(self._options.get("takes_s", 0)))
        return np.zeros((len(texts), 4), np.float32)

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        return np.array([len(text.split()) for text in texts], np.int64)

    @property
    def batch_tokens(self) -> int:
        return 100

    def padded_tokens(self, lengths: NDArray[np.int64]) -> int:
        return int(np.minimum(lengths, MAX_SEQ_LENGTH).max()) * len(lengths)


def _act(at: str, options: Mapping[str, object]) -> None:
    if options.get("at") == at:
        DEEDS[str(options["do"])](str(options.get("what", "")))


def _raise(what: str) -> None:
    raise ValueError(what)


def _refuse(what: str) -> None:
    raise ModelError(what)


def _abort(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
    os.abort()


def _print(what: str) -> None:
    # By Python, past Python's own file, and by a process of its own.
    print(what)
    os.write(1, what.encode())
    subprocess.run([sys.executable, "-c", f"print({what!r})"], check=True)


def _flood(what: str) -> None:
    for _ in range(5):
        print("x" * 2**20, file=sys.stderr)
    print(what, file=sys.stderr, flush=True)
    raise RuntimeError(what)


def _leak(what: str) -> None:
    _LEAK.append(bytearray(b"x") * (int(what) * 2**20))


def _start_another(what: str) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(what).write_text(str(sleeper.pid))


def _hang_with_another(what: str) -> None:
    _start_another(what)
    time.sleep(600)


def _sleep_in_c(what: str) -> None:
    ctypes.PyDLL(None).sleep(600)  # unlike CDLL it keeps the interpreter's lock


DEEDS: Mapping[str, Callable[[str], object]] = {
    "raise": _raise,
    "refuse": _refuse,
    "abort": _abort,
    "close": lambda what: (os.closerange(3, 32), time.sleep(600)),  # the messages' files are among them
    "exit": lambda what: os._exit(int(what)),
    "leave": lambda what: sys.exit(int(what)),
    "kill": lambda what: os.kill(os.getpid(), 9),
    "hang": lambda what: time.sleep(600),
    "hang_in_c": _sleep_in_c,
    "start_another": _start_another,
    "hang_with_another": _hang_with_another,
    "print": _print,
    "ask": lambda what: input(what),
    "flood": _flood,
    "leak": _leak,
}
