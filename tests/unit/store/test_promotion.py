"""Only the alias counts: whatever ends a promotion early, there is one champion, and it is whole."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import shutil
import socket
import sqlite3
import threading
from contextlib import closing, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from champions import SUITE, Promote, client_of, facts, gate_of, labels, present, ref

from benchkit.errors import BenchkitError, UsageError
from benchkit.store import promotable, promotion, registry
from benchkit.store.gate_runs import GateRef, log_gate
from benchkit.store.registry import Champion
from benchkit.store.uri import TrackingError

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")


# The rule


@pytest.mark.parametrize(
    ("gate", "first"),
    [
        (ref("bge"), False),
        (ref("bge", "inconclusive", on_inconclusive="warn"), False),
        (None, True),
    ],
    ids=["passed", "inconclusive counts as passed there", "the first champion"],
)
def test_a_model_that_passed_may_be_promoted(gate: GateRef | None, first: bool) -> None:
    promotable.check_promotable(gate, forced=False, reason="", first=first)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("verdict", ["fail", "error", "inconclusive"])
def test_a_model_whose_last_gate_did_not_pass_is_refused(verdict: str, first: bool) -> None:
    with pytest.raises(UsageError) as caught:
        promotable.check_promotable(ref("bge", verdict), forced=False, reason="please", first=first)
    assert str(caught.value) == (
        f"its last gate (gate-bge, 2026-11-20T11:00:00+00:00, against minilm) ended with {verdict.upper()}; mend what "
        "it named and run it again, or promote the model nevertheless: --force --reason TEXT"
    )


def test_a_model_without_a_gate_is_refused_where_there_is_a_champion(promote: Promote, tracking_uri: str) -> None:
    promote("minilm", gate=None)
    with pytest.raises(UsageError, match="no gate of this model on this suite is recorded; run `benchkit gate MODEL"):
        promote("bge", gate=None)
    assert labels(tracking_uri) == ["minilm"]


def test_a_forced_promotion_is_recorded_as_forced_with_the_verdict_that_it_overruled(promote: Promote) -> None:
    promote("minilm", gate=None)
    made = promote("bge", gate=ref("bge", "fail"), forced=True, reason="legal asked for it")
    assert (made.forced, made.gate_verdict, made.reason) == (True, "fail", "legal asked for it")


@pytest.mark.parametrize("reason", ["", "  ", "\x00\n"])
def test_a_forced_promotion_needs_a_reason(reason: str, promote: Promote, tracking_uri: str) -> None:
    with pytest.raises(UsageError, match="a forced promotion needs a reason, which is recorded: --force --reason TEXT"):
        promote("bge", forced=True, reason=reason)
    assert registry.champion(tracking_uri, SUITE) is None


@pytest.mark.parametrize("other", [ref("e5"), ref("bge", content=facts("bge", dimension=64).content)])
def test_the_gate_of_another_model_or_of_fewer_dimensions_is_refused(other: GateRef, promote: Promote) -> None:
    with pytest.raises(UsageError, match=r"the gate gate-\w+ was of \w+, which gives other vectors than bge"):
        promote("bge", gate=other)


def test_a_file_that_is_not_there_is_refused_before_anything_is_made(tmp_path: Path, promote: Promote) -> None:
    with pytest.raises(UsageError, match="nowhere: no such file to keep as the champion's scores"):
        promote("bge", scored_file=tmp_path / "nowhere", tracking_uri=str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_the_last_gate_of_a_model_is_what_its_promotion_rests_on(promote: Promote, tracking_uri: str) -> None:
    promote("minilm", gate=None)
    for day, name, verdict in ((20, "bge", "pass"), (21, "e5", "pass"), (22, "bge", "fail")):
        log_gate(gate_of(name, verdict, f"2026-11-{day}T10:00:00Z"), tracking_uri=tracking_uri)
    bge, e5 = (promotable.last_gate(tracking_uri, SUITE, facts(name)) for name in ("bge", "e5"))

    assert bge is not None
    assert (bge.gate_id, bge.verdict) == ("bge-2026-11-22", "fail")
    with pytest.raises(UsageError, match="ended with FAIL"):
        promote("bge", gate=bge)
    assert promote("e5", gate=e5).gate_id == "e5-2026-11-21"
    assert promotable.last_gate(tracking_uri, SUITE, facts("e5", dimension=64)) is None


def log(uri: str, day: int, verdict: str, *, name: str = "bge", against: str = "minilm", **changes: Any) -> None:
    """Record a gate of November against a model, cut or stored as wanted."""
    gate = gate_of(name, verdict, f"2026-11-{day}T10:00:00Z")
    other = facts(against, **changes)
    gate["baseline"] = {"name": other.label, "id": other.id, "fingerprint": other.fingerprint}
    gate["baseline"] |= {"dimension": other.dimension, "precision": other.precision, "similarity": other.similarity}
    log_gate(gate, tracking_uri=uri)


@pytest.mark.parametrize(
    ("name", "changes"), [("bge", {}), ("e5", {}), ("minilm", {"dimension": 64}), ("minilm", {"precision": "int8"})]
)
def test_a_gate_that_passed_against_anything_but_the_champion_is_none_to_rest_on(
    name: str, changes: dict[str, Any], promote: Promote, tracking_uri: str
) -> None:
    """Whoever held a bad model against itself, or against a worse one, had it promoted."""
    present = promote("minilm", gate=None)
    log(tracking_uri, 21, "pass", against=name, **changes)
    with pytest.raises(UsageError) as caught:
        promotable.gate_to_rest_on(tracking_uri, SUITE, facts("bge"), present)
    assert str(caught.value) == (
        f"its last gate (bge-2026-11-21, 2026-11-21T10:00:00Z) held it against {name}, and none against the champion, "
        "minilm (version 1); run `benchkit gate MODEL --baseline champion`, or promote it without that: "
        "--force --reason TEXT"
    )
    # Behind one that failed against the champion it doesn't count either.
    log(tracking_uri, 20, "fail")
    assert resting(tracking_uri, present) == "bge-2026-11-20"
    log(tracking_uri, 22, "pass")
    assert resting(tracking_uri, present) == "bge-2026-11-22"


def resting(uri: str, present: Champion | None, name: str = "bge") -> str | None:
    found = promotable.gate_to_rest_on(uri, SUITE, facts(name), present)
    return None if found is None else found.gate_id


def test_a_gate_that_failed_last_decides_whatever_it_was_against(promote: Promote, tracking_uri: str) -> None:
    present = promote("minilm", gate=None)
    log(tracking_uri, 21, "pass")
    log(tracking_uri, 22, "fail", against="e5")
    assert resting(tracking_uri, present) == "bge-2026-11-22"


def test_the_first_champion_and_the_champion_itself_rest_on_the_last_gate_of_all(
    promote: Promote, tracking_uri: str
) -> None:
    log(tracking_uri, 21, "pass", against="e5")
    assert resting(tracking_uri, None) == "bge-2026-11-21"
    present = promote("bge")
    assert resting(tracking_uri, present) == "bge-2026-11-21"
    assert resting(tracking_uri, present, "e5") is None


def test_a_champion_that_came_after_the_gate_is_not_replaced(promote: Promote, tracking_uri: str) -> None:
    """Between the look at the gate and the promotion the model is scored, which may take hours."""
    looked_at = promote("minilm", gate=None)
    promote("e5", by="ben")
    with pytest.raises(UsageError, match=r"while this one was under way: ben promoted e5 \(version 2\)"):
        promote("bge", instead_of=looked_at)
    assert labels(tracking_uri) == ["e5", "minilm"]


# What ends a promotion early: every call of MlflowClient, in three ways


class Server:
    """Stands between a promotion and MlflowClient, counts its calls and fails at one of them.

    Args:
        at: Number of the call that fails.
        done: Whether that call does its work and only its answer is lost.
        stays: Whether all later calls fail too.
    """

    def __init__(
        self, patch: pytest.MonkeyPatch, at: int = -1, *, done: bool = False, stays: bool = False, error: Any = None
    ) -> None:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        self.calls: list[str] = []
        self._at, self._done, self._stays, self._inside = at, done, stays, False
        self._error = error or MlflowException("Max retries exceeded: Connection refused")
        for name in dir(MlflowClient):
            real = getattr(MlflowClient, name)
            if not name.startswith("_") and callable(real):
                patch.setattr(MlflowClient, name, self._standing_before(name, real))

    def _standing_before(self, name: str, real: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            if self._inside:  # MLflow calls itself
                return real(*args, **options)
            number = len(self.calls)
            self.calls.append(name)
            if (number == self._at and not self._done) or (self._stays and number > self._at):
                raise self._error
            self._inside = True
            try:
                answer = real(*args, **options)
            finally:
                self._inside = False
            if number == self._at:
                raise self._error
            return answer

        return call


@pytest.fixture
def calls_of_a_promotion(promote: Promote, monkeypatch: pytest.MonkeyPatch, tracking_uri: str) -> list[str]:
    """Return the calls of a promotion over an old champion; the database is as before."""
    place = Path(tracking_uri.removeprefix("sqlite:///"))
    promote("minilm", gate=None)
    shutil.copy(place, place.with_suffix(".before"))
    with monkeypatch.context() as patch:
        server = Server(patch)
        promote("bge")
    again(tracking_uri)
    return server.calls


def again(uri: str) -> None:
    """Take the database back to one champion, minilm."""
    place = Path(uri.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(place.with_suffix(".before"))) as before, closing(sqlite3.connect(place)) as database:
        before.backup(database)


@pytest.mark.parametrize(
    ("done", "stays"),
    [
        pytest.param(False, True, id="the server dies before a call"),
        pytest.param(True, True, id="the server dies behind a call", marks=pytest.mark.slow),
        pytest.param(False, False, id="one call fails", marks=pytest.mark.slow),
    ],
)
def test_a_server_that_fails_at_any_step_leaves_one_whole_champion_and_a_clean_history(
    done: bool,
    stays: bool,
    calls_of_a_promotion: list[str],
    promote: Promote,
    tracking_uri: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moving = calls_of_a_promotion.index("set_registered_model_alias")
    assert moving > 8
    for at, name in enumerate(calls_of_a_promotion):
        again(tracking_uri)
        message = ""
        with monkeypatch.context() as patch:
            Server(patch, at, done=done, stays=stays)
            try:
                promote("bge")
            except TrackingError as exc:
                message = str(exc)
        moved = at > moving or (at == moving and done)

        found = registry.history(tracking_uri, SUITE)
        assert [one.model for one in found] == (["bge", "minilm"] if moved else ["minilm"]), (name, at)
        assert found[0].is_present
        assert found[0].tags["benchkit.promotion"] == "complete"
        check_message(message, at - moving, stays=stays)
        if not moved and name in ("log_artifact", "create_model_version", "set_registered_model_alias"):
            assert promote("bge").previous == 1  # the same command again
    assert registry.champion(tracking_uri, SUITE) == found[0]
    registry.fetch_champion(tracking_uri, SUITE, tmp_path)


def check_message(message: str, steps_after_the_move: int, *, stays: bool) -> None:
    """What is said of the champion is what became of it."""
    if steps_after_the_move < 0 or (steps_after_the_move == 0 and not stays):
        assert message.endswith("the champion is unchanged (version 1); run the same command again") or (
            # It ended before it knew which champion there is.
            "looking for the present champion: the champion is unchanged; run" in message
        )
        assert "no server answers there" in message
    elif steps_after_the_move == 0:
        assert message.endswith(
            "it ended while the champion was changed to version 2; `benchkit baseline list --suite support` shows "
            "whether it was"
        )
    elif message:
        assert "version 2 became the champion, but that could not be seen afterwards" in message


def test_an_answer_that_was_lost_when_the_alias_had_moved_is_a_promotion(
    calls_of_a_promotion: list[str], promote: Promote, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        Server(patch, calls_of_a_promotion.index("set_registered_model_alias"), done=True)
        assert promote("bge").is_present


def test_an_error_names_the_step_and_the_champion_that_stays(promote: Promote, monkeypatch: pytest.MonkeyPatch) -> None:
    promote("minilm", gate=None)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def melt(*args: Any, **options: Any) -> Any:
        raise MlflowException("the disk melted")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_artifact", melt)
        with pytest.raises(TrackingError, match=r"mlflow.db: the disk melted") as caught:
            promote("bge")
    assert str(caught.value).splitlines()[1] == (
        "it ended while the scores were being kept: the champion is unchanged (version 1); run the same command again"
    )


@pytest.mark.parametrize(
    "done", [pytest.param(False, id="before a call", marks=pytest.mark.slow), pytest.param(True, id="behind a call")]
)
def test_ctrl_c_at_any_step_leaves_one_whole_champion_and_nothing_running(
    done: bool, calls_of_a_promotion: list[str], promote: Promote, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving = calls_of_a_promotion.index("set_registered_model_alias")
    for at, name in enumerate(calls_of_a_promotion):
        again(tracking_uri)
        with monkeypatch.context() as patch:
            Server(patch, at, done=done, error=KeyboardInterrupt())
            with pytest.raises(KeyboardInterrupt):
                promote("bge")
        moved = at > moving or (at == moving and done)
        found = registry.history(tracking_uri, SUITE)
        assert [one.model for one in found] == (["bge", "minilm"] if moved else ["minilm"]), (name, at)
        assert found[0].tags["benchkit.promotion"] == "complete"
        with client_of(tracking_uri) as client:
            experiment = client.get_experiment_by_name("benchkit/support/champions")
            assert client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'") == [], (name, at)


def test_what_a_failed_promotion_left_is_marked(
    promote: Promote, tracking_uri: str, monkeypatch: pytest.MonkeyPatch, calls_of_a_promotion: list[str]
) -> None:
    with monkeypatch.context() as patch:
        Server(patch, calls_of_a_promotion.index("set_registered_model_alias"))
        with pytest.raises(TrackingError):
            promote("bge")
    with client_of(tracking_uri) as client:
        version = client.get_model_version("benchkit-support", "2")
        run = client.get_run(version.run_id)
    assert (version.tags["benchkit.promotion"], run.info.status) == ("abandoned", "FAILED")


# Two at once


def test_a_promotion_that_began_before_another_was_completed_is_refused_with_who_and_when(
    promote: Promote, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one comes when this one has made its version: on a server there is no lock to keep it out."""
    from mlflow import MlflowClient

    promote("minilm", gate=None)
    real, once = MlflowClient.create_model_version, []

    def while_another_one_promotes(*args: Any, **options: Any) -> Any:
        made = real(*args, **options)
        if not once:
            once.append(True)
            promote("e5", by="ben")
        return made

    monkeypatch.setattr(promotion, "_taking_turns", lambda tracking: nullcontext())
    monkeypatch.setattr(MlflowClient, "create_model_version", while_another_one_promotes)
    with pytest.raises(UsageError) as caught:
        promote("bge")

    assert (
        "another promotion was completed while this one was under way: ben promoted e5 (version 3) at 2026-11"
        in str(caught.value)
    )
    assert "bge was not promoted. Hold it against that champion with `benchkit gate`" in str(caught.value)
    assert labels(tracking_uri) == ["e5", "minilm"]

    once.clear()
    forced = promote("bge", forced=True, reason="it has to be bge")
    assert (forced.version, forced.previous) == (4, 5)  # not the champion that it began with
    assert labels(tracking_uri) == ["bge", "e5", "e5", "minilm"]


def test_a_champion_that_was_taken_away_meanwhile_is_told(
    promote: Promote, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    promote("minilm", gate=None)
    real = MlflowClient.create_model_version

    def while_somebody_takes_it_away(client: Any, *args: Any, **options: Any) -> Any:
        client.delete_registered_model_alias("benchkit-support", "champion")
        return real(client, *args, **options)

    monkeypatch.setattr(MlflowClient, "create_model_version", while_somebody_takes_it_away)
    with pytest.raises(UsageError, match="under way: the champion was taken away; bge was not promoted"):
        promote("bge")
    assert registry.champion(tracking_uri, SUITE) is None


def check_consistent(uri: str, done: dict[str, Champion | BenchkitError]) -> None:
    """One champion; who succeeded is in the history in the order of the versions; who was refused has left nothing."""
    succeeded = sorted((one for one in done.values() if isinstance(one, Champion)), key=lambda one: one.version)
    refused = {name: one for name, one in done.items() if not isinstance(one, Champion)}
    assert succeeded
    assert all("another promotion was completed while this one was under way" in str(one) for one in refused.values())
    found = registry.history(uri, SUITE)
    assert [one.model for one in found] == [*(one.model for one in reversed(succeeded)), "minilm"]
    assert [one.is_present for one in found] == [True] + [False] * len(succeeded)
    assert [one.previous for one in found] == [*(one.version for one in found[1:]), None]
    with client_of(uri) as client:
        versions = client.search_model_versions("name = 'benchkit-support'")
    assert len(versions) == len(found)


def test_promotions_at_once_in_threads_leave_one_champion_and_no_half_state(
    promote: Promote, tracking_uri: str
) -> None:
    promote("minilm", gate=None)
    done: dict[str, Champion | BenchkitError] = {}
    together = threading.Barrier(4)

    def work(name: str) -> None:
        together.wait()
        try:
            done[name] = promote(name)
        except BenchkitError as exc:
            done[name] = exc

    threads = [threading.Thread(target=work, args=(name,)) for name in ("bge", "e5", "gte", "mpnet")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4
    check_consistent(tracking_uri, done)


def _in_a_process(uri: str, folder: Path, name: str, together: Any, answers: Any) -> None:
    import mlflow  # noqa: F401  # before the barrier, so that both begin at once

    file = folder / f"{name}-scored.json"
    file.write_text("{}")
    together.wait()
    try:
        made: Champion | str = promotion.promote(
            tracking_uri=uri,
            suite=SUITE,
            scored_file=file,
            model=facts(name),
            gate=ref(name),
            reason="",
            by=name,
            forced=False,
        )
    except BenchkitError as exc:
        made = str(exc)
    answers.put((name, made))


@pytest.mark.slow
def test_two_processes_that_promote_at_once_leave_one_champion_and_no_half_state(
    promote: Promote, tracking_uri: str, tmp_path: Path
) -> None:
    promote("minilm", gate=None)
    # Both are forked from one that has imported MLflow.
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["mlflow.store.tracking.sqlalchemy_store"])
    together, answers = server.Barrier(2), server.Queue()
    processes = [
        server.Process(target=_in_a_process, args=(tracking_uri, tmp_path, name, together, answers))
        for name in ("bge", "e5")
    ]
    for process in processes:
        process.start()
    done = dict(answers.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(timeout=30)
    check_consistent(
        tracking_uri, {name: UsageError(one) if isinstance(one, str) else one for name, one in done.items()}
    )


# The store


def test_a_lock_that_is_never_given_back_is_not_waited_for_forever(
    promote: Promote, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filelock import FileLock

    lock = FileLock(tracking_uri.removeprefix("sqlite:///") + ".lock")
    monkeypatch.setattr(promotion, "_LOCK_SECONDS", 0.2)
    real = promotable.check_promotable

    def check(*args: Any, **options: Any) -> None:
        lock.acquire()
        real(*args, **options)

    monkeypatch.setattr(promotion, "check_promotable", check)
    try:
        with pytest.raises(
            TrackingError, match=r"another process has held .*mlflow.db.lock for minutes\nit ended"
        ) as e:
            promote("minilm", gate=None)
    finally:
        lock.release()
    assert "the champion is unchanged; run the same command again" in str(e.value)


def test_a_locked_database_is_told(promote: Promote, tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchkit.store.uri._BUSY_SECONDS", 0.2)
    with closing(sqlite3.connect(tracking_uri.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError, match=r"the database is locked by another program; .*\n.*is unchanged; run"):
            promote("minilm")
        with pytest.raises(TrackingError, match="the database is locked by another program"):
            registry.champion(tracking_uri, SUITE)


def test_a_database_that_can_only_be_read_is_told(promote: Promote, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    def refuse(*args: Any, **options: Any) -> Any:  # root may write everywhere, so that rights alone don't refuse
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(MlflowClient, "create_run", refuse)
    with pytest.raises(TrackingError, match=r"the database can't be written; mend its rights .*\n.* is unchanged; run"):
        promote("minilm")


def test_what_is_no_database_is_told(promote: Promote, tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("some text, long enough to be looked at\n" * 100)
    with pytest.raises(TrackingError, match=r"not an SQLite database; give another path\n.*champion is unchanged"):
        promote("minilm", tracking_uri=str(tmp_path / "x.db"))


def test_a_server_that_is_down_is_told_with_the_champion_unchanged(promote: Promote) -> None:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        uri = f"http://me:secret@127.0.0.1:{opened.getsockname()[1]}"
    with pytest.raises(TrackingError) as caught:
        promote("minilm", tracking_uri=uri)
    assert "no server answers there" in str(caught.value)
    assert "the champion is unchanged; run the same command again" in str(caught.value)
    assert "secret" not in str(caught.value)


def server_tests() -> ModuleType:
    """Return the module of the comparisons' tests, which knows how to run a real server."""
    spec = importlib.util.spec_from_file_location("server_tests", Path(__file__).with_name("test_mlflow_store.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="ends the server by its process group")
def test_a_real_server_keeps_gates_and_champions_and_its_death_leaves_the_old_one(
    promote: Promote,
    template_database: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow import MlflowClient

    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(template_database.read_bytes())
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")  # this machine may be busy
    real = MlflowClient.set_registered_model_alias
    with server_tests().mlflow_server(folder / "mlflow.db", folder) as uri:
        promote("minilm", tracking_uri=uri, gate=None, suite="客服 support")
        log_gate(gate_of("bge", "pass", "2026-11-20T10:00:00Z"), tracking_uri=uri)
        promote("minilm", tracking_uri=uri, gate=None)
        gate = promotable.last_gate(uri, SUITE, facts("bge"))
        made = promote("bge", tracking_uri=uri, gate=gate)
        found, file = registry.fetch_champion(uri, SUITE, tmp_path / "into")

        assert found == made
        assert json.loads(file.read_text()) == {"model": "bge"}
        assert (made.gate_id, made.previous) == ("bge-2026-11-20", 1)
        assert made.address == f"{uri}/#/models/benchkit-support/versions/2"
        assert labels(uri) == ["bge", "minilm"]
        assert registry.suites_with_champions(uri) == ["support", "客服 support"]
        assert capfd.readouterr() == ("", "")

        # It no longer answers when the alias is to be moved.
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, "set_registered_model_alias", gone_before(real))
            with pytest.raises(
                TrackingError, match=r"no server answers there.*\n.*unchanged \(version 2\); run the same"
            ):
                promote("e5", tracking_uri=uri)
        assert labels(uri) == ["bge", "minilm"]
        assert present(uri) == "bge"
        assert promote("e5", tracking_uri=uri).previous == 2


def gone_before(real: Any) -> Any:
    """Return a call that finds a closed port where the server was."""

    def call(client: Any, *args: Any, **options: Any) -> Any:
        from mlflow import MlflowClient

        with socket.socket() as opened:
            opened.bind(("127.0.0.1", 0))
            port = opened.getsockname()[1]
        return real(MlflowClient(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}"), *args, **options)

    return call
