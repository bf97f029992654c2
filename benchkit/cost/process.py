"""The parent's handle on a model in a process of its own.

    ModelProcess(spec, context) ── start ──> python -P -m benchkit.cost.worker ── facts of import and load
             │ prepare(source), encode(source, 0, 32) ──> one line of JSON ──> the worker
             └────────────────────────────── Timing <── one line of JSON <────────┘

A fresh interpreter and no fork: imports, memory and threads are the model's alone, whatever this process holds. The
child has a session of its own, so Ctrl-C reaches this process only, which ends the child. Secrets go by the
environment, never in a message, and are struck from what a failure says.
"""

from __future__ import annotations

import json
import math
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Self

from benchkit.cost.worker import context_values, source_values, spec_values
from benchkit.errors import EXIT_CELL_FAILED, BenchkitError
from benchkit.settings import let_threads_sleep
from benchkit.types.cost import ProcessFacts, TextSource
from benchkit.types.model import ModelSpec, OpenContext

_POLITE_S = 2.0  # from the end of stdin, and again from SIGTERM, to the next step
_KILLED_S = 10.0  # a killed process ends at once unless a driver holds it
_TAIL_BYTES = 4096
_LONGEST_TAIL = 200
_READ_BYTES = 65_536
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW", re.IGNORECASE)
_SHORTEST_SECRET = 6  # "TOKENIZERS_PARALLELISM=true" is none
_COMMAND = (sys.executable, "-P", "-m", "benchkit.cost.worker")  # -P: no module of the current folder gets in between


class ProcessFailed(BenchkitError):
    """A model raised, died or didn't answer in its process; the other models go on."""

    exit_code = EXIT_CELL_FAILED


@dataclass(frozen=True, slots=True)
class Timing:
    """One timed call of `encode`, measured in the child around the model alone.

    Attributes:
        wall_s, cpu_s: Wall time, and CPU time of all threads of the child.
        tokens: Tokens that the model read, its prompt included, after truncation; None without a tokenizer.
        padded_tokens: Tokens that went through the model; None where it doesn't say.
        energy_j: Energy of the whole processor or GPU during the call; None where it isn't counted.
    """

    wall_s: float
    cpu_s: float
    tokens: int | None
    padded_tokens: int | None
    energy_j: float | None


class ModelProcess:
    """One model in a child process; as a context manager it starts on entry and is gone on exit.

    A call that raises in the model leaves the process alive (`alive`); a child that died or was late is ended, and so
    is one whose parent is interrupted during a call. For one thread at a time.

    Args:
        fit: Texts for a lexical model, which has to see a corpus first; other models ignore them.
        timeout_s: Longest time for an answer; imports and the load have it each.
        copy: 1 for the second process of the same model.
    """

    def __init__(
        self,
        spec: ModelSpec,
        context: OpenContext,
        *,
        fit: Sequence[str] = (),
        timeout_s: float = 120.0,
        copy: int = 0,
    ) -> None:
        self.label = spec.label
        self._spec = spec
        self._context = context
        self._fit = list(fit)
        self._timeout_s = timeout_s
        self._copy = copy
        self._child: _Child | None = None
        self._started: ProcessFacts | None = None
        self._sources: list[TextSource] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether the process can be asked further."""
        return self._child is not None and not self._child.has_ended

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    def start(self) -> ProcessFacts:
        """Start the child, load the model and return its facts; the same facts while it is there.

        A load that made something once for this machine (a distilled table, the verdict on an engine) isn't what a
        load costs: the model is then loaded anew in another child.

        Raises:
            ProcessFailed: the model can't be found or loaded, or not in time; no process is left.
        """
        if self._started is not None:
            return self._started
        try:
            loaded = self._launch()
            if loaded["made_once"]:
                self.close()
                loaded = self._launch()
        except BaseException:  # an interrupt too: nobody else can end the child yet
            self.close()
            raise
        self._started = self._facts(loaded["facts"])
        return self._started

    def set_threads(self, n: int | None) -> None:
        """Let the model compute on n threads at most; None as at the start."""
        self._ask({"do": "threads", "n": n}, "setting its threads")

    def prepare(self, source: TextSource) -> None:
        """Send the texts of a source, once; `encode` does it where it wasn't done."""
        self._number(source)

    def encode(self, source: TextSource, start: int, stop: int) -> Timing:
        """Encode source.texts[start:stop] in one call and return what it took.

        Raises:
            ProcessFailed: the model raised, died, or didn't answer in time.
        """
        if not 0 <= start < stop <= len(source.texts):
            raise ValueError(f"texts {start} to {stop} of {len(source.texts)}: should be at least one of them")
        n = stop - start
        request = {"do": "encode", "source": self._number(source), "start": start, "stop": stop}
        return Timing(**self._ask(request, f"encoding {n} text{'s' if n > 1 else ''}"))

    def facts(self) -> ProcessFacts:
        """Return what the child tells of itself, its peaks of memory as of now."""
        return self._facts(self._ask({"do": "facts"}, "telling its facts"))

    def close(self) -> None:
        """End the child: by the end of its input, then by SIGTERM, then by SIGKILL; nothing where there is none."""
        if self._child is not None:
            self._lose(self._child.end)

    def _facts(self, values: Mapping[str, Any]) -> ProcessFacts:
        return ProcessFacts(model=self.label, copy=self._copy, **values)

    def _launch(self) -> dict[str, Any]:
        self._child = _Child()
        context = context_values(self._context)
        opening = {"do": "open", "spec": spec_values(self._spec), "context": context}
        self._ask(opening, "importing its libraries and finding its files")
        loading = {"do": "load", "fit": self._fit, "cache_dir": context["cache_dir"]}
        return self._ask(loading, "loading the model")

    def _number(self, source: TextSource) -> int:
        for number, known in enumerate(self._sources):
            if known is source or known == source:
                return number
        request = {"do": "prepare", "source": source_values(source)}
        number = int(self._ask(request, f"taking {len(source.texts)} texts")["source"])
        self._sources.append(source)
        return number

    def _ask(self, request: Mapping[str, Any], doing: str) -> dict[str, Any]:
        child = self._child
        if child is None:
            raise ProcessFailed(f"{self.label}: its process isn't running")
        with self._told(child, doing):
            answer = child.exchange(request, self._timeout_s)
        if "error" in answer:
            raise ProcessFailed(self._safe(f"{self.label}: {doing} failed: {answer['error']}"))
        result: dict[str, Any] = answer["ok"]
        return result

    @contextmanager
    def _told(self, child: _Child, doing: str) -> Iterator[None]:
        """Turn the end or the silence of the child into a ProcessFailed; no child is left after either."""
        try:
            yield
        except TimeoutError:
            self._lose(child.kill)
            late = f"did not answer within {self._timeout_s:g} s while {doing}; its process was ended"
            raise ProcessFailed(self._safe(f"{self.label}: {late}{child.last_words}")) from None
        except EOFError:
            self._lose(child.wait_for_end)
            died = f"its process {child.how_it_ended} while {doing}{child.likely_cause}"
            raise ProcessFailed(self._safe(f"{self.label}: {died}{child.last_words}")) from None
        except BaseException:
            self._lose(child.kill)  # an answer that nobody waits for would be taken for that of the next call
            raise

    def _lose(self, end: Callable[[], None]) -> None:
        self._child = self._started = None
        self._sources.clear()
        end()

    def _safe(self, message: str) -> str:
        """Return the message without the values of the environment's secrets."""
        named = str(self._spec.options.get("api_key_env", ""))
        for name, value in os.environ.items():
            if len(value) >= _SHORTEST_SECRET and (name == named or _SECRET.search(name)):
                message = message.replace(value, "***")
        return message


class _Child:
    """The operating system's side: pipes, limits of time, and a certain end."""

    def __init__(self) -> None:
        self.last_words = ""
        self._own_end: int | None = None
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                env=_environment(),
                start_new_session=True,
            )
        except BaseException:
            self._errors.close()
            raise
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._stdin, self._stdout = self._popen.stdin, self._popen.stdout
        os.set_blocking(self._stdin.fileno(), False)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def has_ended(self) -> bool:
        return self._popen.poll() is not None

    @property
    def how_it_ended(self) -> str:
        """Say in words how a process ended that nobody asked to."""
        code = self._own_end
        if code is None:
            return "closed its output"
        if code >= 0:
            return f"ended with exit status {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"died of {name}"

    @property
    def likely_cause(self) -> str:
        return "; the system may have run out of memory" if self._own_end == -signal.SIGKILL else ""

    def exchange(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send a request and return the answer.

        Raises:
            TimeoutError: it didn't come in time.
            EOFError: the child is gone.
        """
        deadline = time.monotonic() + timeout_s
        # In ASCII, so that half of a surrogate pair travels too.
        self._send(json.dumps({**request, "timeout_s": timeout_s}).encode("ascii") + b"\n", deadline)
        answer: dict[str, Any] = json.loads(self._receive(deadline))
        return answer

    def _send(self, message: bytes, deadline: float) -> None:
        # Never blocking: a child that hangs doesn't empty its pipe.
        unsent = memoryview(message)
        while unsent:
            _wait(self._stdin.fileno(), select.POLLOUT, deadline)
            try:
                unsent = unsent[os.write(self._stdin.fileno(), unsent) :]
            except BrokenPipeError:
                raise EOFError from None

    def _receive(self, deadline: float) -> bytes:
        answer = b""
        while not answer.endswith(b"\n"):
            _wait(self._stdout.fileno(), select.POLLIN, deadline)
            part = os.read(self._stdout.fileno(), _READ_BYTES)
            if not part:
                raise EOFError
            answer += part
        return answer

    def end(self) -> None:
        """End the process: by the end of its input, then by SIGTERM, then by SIGKILL."""
        try:
            self._stdin.close()
            self._wait(_POLITE_S)
            self._signal(signal.SIGTERM)
            self._wait(_POLITE_S)
        finally:  # also when Ctrl-C comes meanwhile
            self.kill()

    def wait_for_end(self) -> None:
        """Let a process that has closed its output come to its end."""
        try:
            self._wait(_POLITE_S)
            self._own_end = self._popen.returncode
        finally:
            self.kill()

    def kill(self) -> None:
        """End the process and all that it started at once; nothing to a process that has ended."""
        self._signal(signal.SIGKILL)
        self._wait(_KILLED_S)
        self._keep_last_words()
        for file in (self._stdin, self._stdout, self._errors):
            file.close()

    def _signal(self, number: signal.Signals) -> None:
        if not self.has_ended:  # as long as it wasn't waited for, its number can't be another's
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _wait(self, seconds: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(seconds)

    def _keep_last_words(self) -> None:
        if self._errors.closed:
            return
        file = self._errors.fileno()
        size = os.fstat(file).st_size
        tail = os.pread(file, _TAIL_BYTES, max(size - _TAIL_BYTES, 0)).decode("utf-8", "replace")
        lines = [line for line in tail.splitlines() if line.strip()]
        if lines:
            self.last_words = f'; it last said: "{textwrap.shorten(lines[-1], _LONGEST_TAIL, placeholder=" ...")}"'


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    environment.setdefault("TQDM_DISABLE", "1")
    # What is the case without it too, but without a warning, and without an end when a model forks.
    environment.setdefault("TOKENIZERS_PARALLELISM", "true")
    # As the command line does: spinning threads of several processes would measure each other.
    let_threads_sleep(environment)
    return environment


def _wait(file: int, event: int, deadline: float) -> None:
    """Wait until the file can be read or written, or the other side is gone; TimeoutError after the deadline."""
    poll = select.poll()
    poll.register(file, event)
    if not poll.poll(max(math.ceil((deadline - time.monotonic()) * 1000), 0)):
        raise TimeoutError
