"""The champion of a suite: the model that gates compare with, in MLflow's registry.

    scored file ── a run holds it ── version of benchkit-<suite>, with all its tags ── the alias moves ──> Champion
    champion ── alias ── version ── run ── scored.json ──> fetch_champion

Only the alias counts, and it moves last, in one call. A promotion that ends before that leaves the old champion, a run
that is marked as failed, and perhaps a version that was never champion, which no function here shows: history is what
the alias points to, what that version names as the one before it, and so on, and versions that the alias was seen on.
Two promotions at once: with SQLite they take turns under the lock of the database; everywhere, one that finds another
champion than the one it began with is refused, because nobody has held its model against that one.
The version's source is the place of the run's files: MLflow looks up "models:/m-..." in its global store, not this one.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from benchkit.errors import NotComparable, UsageError
from benchkit.store import schema
from benchkit.store.gate_runs import GateRef as GateRef
from benchkit.store.gate_runs import ModelFacts as ModelFacts
from benchkit.store.gate_runs import find_gates, is_absent
from benchkit.store.mlflow_store import _abandon, _experiment
from benchkit.store.uri import Tracking, TrackingError, _environment, prepare_tracking, speaking

_PAGE = 100
_LOCK_SECONDS = 120  # a promotion holds it for about a second
_LIMIT = 20
# Of one small file; it would be written over benchkit's own progress.
_NO_BAR = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}


@dataclass(frozen=True, slots=True)
class Champion:
    """A model that was promoted.

    Attributes:
        suite: As tags hold it (schema.suite_label).
        model: Its label; model_id is where it comes from.
        when: ISO 8601, UTC.
        gate_id, gate_verdict: Of the gate that it rests on; None without one.
        forced: Whether it was promoted although the rule said no.
        previous: Version of the champion before it; None for the first.
        file_digest: SHA-256 of its scored.json.
        is_present: Whether the alias points to it.
        address: Its page on a server; the place of the database otherwise.
        tags: All tags of the version.
    """

    suite: str
    version: int
    run_id: str
    model: str
    model_id: str
    fingerprint: str
    when: str
    by: str
    reason: str
    gate_id: str | None
    gate_verdict: str | None
    forced: bool
    previous: int | None
    file_digest: str
    is_present: bool
    address: str
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A promotion as it was asked for."""

    suite: str
    file: Path
    model: ModelFacts
    gate: GateRef | None
    reason: str
    by: str
    forced: bool
    when: datetime

    @property
    def name(self) -> str:
        return registered_name(self.suite)


@dataclass(slots=True)
class _Progress:
    """How far a promotion came, to be told when it ends early.

    Attributes:
        moved: Whether the alias points to the new version; "maybe" while nobody knows.
    """

    doing: str = "looking for the present champion"
    before: int | None = None
    run_id: str | None = None
    version: int | None = None
    moved: Literal["no", "maybe", "yes"] = "no"


def registered_name(suite: str) -> str:
    """Return the registered model whose versions are a suite's champions: "benchkit-<suite>"."""
    return schema.registered_model_name(suite)


# ------------------------------------------------------------ may it be promoted?


def last_gate(tracking_uri: str, suite: str, model: ModelFacts | str) -> GateRef | None:
    """Return the newest gate of a suite whose candidate was this model.

    Args:
        model: With the facts of its vectors, exactly what is deployed; a fingerprint alone finds gates of every
            dimension and precision of that model.

    Raises:
        TrackingError: the store doesn't answer.
    """
    return next(iter(find_gates(tracking_uri, suite, limit=1, model=model)), None)


def check_promotable(gate: GateRef | None, *, forced: bool, reason: str, first: bool = False) -> None:
    """Refuse a model whose last gate did not pass, unless that is forced with a reason.

    Args:
        gate: Its last gate; None where it had none.
        first: Whether the suite has no champion yet: the first needs no gate, but none that it failed either.

    Raises:
        UsageError: it may not be promoted; says what to do.
    """
    if forced:
        if not schema.clean(reason):
            raise UsageError("a forced promotion needs a reason, which is recorded: --force --reason TEXT")
        return
    if gate is None:
        if first:
            return
        raise UsageError(
            "no gate of this model on this suite is recorded; run `benchkit gate MODEL --baseline champion`, "
            "or promote it without one: --force --reason TEXT"
        )
    if not gate.passed:
        raise UsageError(
            f"its last gate ({gate.gate_id}, {gate.when}, against {gate.baseline}) ended with "
            f"{gate.verdict.upper()}; mend what it named and run it again, or promote the model nevertheless: "
            "--force --reason TEXT"
        )


# ------------------------------------------------------------ promote


def promote(
    *,
    tracking_uri: str,
    suite: str,
    scored_file: Path,
    model: ModelFacts,
    gate: GateRef | None,
    reason: str,
    by: str,
    forced: bool,
    when: datetime | None = None,
) -> Champion:
    """Make a model the champion of a suite, and record who did it, when, why and after which gate.

    Args:
        scored_file: Its scores on the suite, item by item; kept as scored.json.
        gate: Its last gate (last_gate).
        by: Who promotes.
        when: Now, unless a test says otherwise.

    Raises:
        UsageError: it may not be promoted (check_promotable), the gate was of another model, the file isn't there, or
            another promotion was completed meanwhile.
        TrackingError: the store doesn't answer; says whether the champion is the old one still.
    """
    wanted = _Wanted(suite, scored_file, model, gate, reason, by, forced, when or datetime.now(UTC))
    _check_wanted(wanted)
    progress = _Progress()
    with _telling(progress, suite):
        tracking = prepare_tracking(tracking_uri)
        with _asking(tracking) as client:
            progress.before = _alias(client, wanted.name)
        check_promotable(gate, forced=forced, reason=reason, first=progress.before is None)
        with _taking_turns(tracking), _asking(tracking) as client:
            return _promote(client, tracking, wanted, progress)


def _check_wanted(wanted: _Wanted) -> None:
    if not wanted.file.is_file():
        raise UsageError(f"{wanted.file}: no such file to keep as the champion's scores")
    gate, model = wanted.gate, wanted.model
    if gate is None:
        return
    if gate.fingerprint != schema.clean(model.fingerprint, schema.MAX_LABEL) or (
        model.content is not None and gate.content != model.content
    ):
        raise UsageError(
            f"the gate {gate.gate_id} was of {gate.candidate}, which gives other vectors than {model.label}; "
            f"run `benchkit gate` with {model.label} itself"
        )


@contextmanager
def _telling(progress: _Progress, suite: str) -> Iterator[None]:
    """Add to an error of the store what became of the champion."""
    try:
        yield
    except TrackingError as exc:
        raise TrackingError(f"{exc}\n{_outcome(progress, suite)}") from exc


def _outcome(progress: _Progress, suite: str) -> str:
    look = f"`benchkit baseline list --suite {_quoted(suite)}`"
    if progress.moved == "yes":
        return f"version {progress.version} became the champion, but that could not be seen afterwards; see {look}"
    if progress.moved == "maybe":
        return f"it ended while the champion was changed to version {progress.version}; {look} shows whether it was"
    still = f" (version {progress.before})" if progress.before is not None else ""
    return f"it ended while {progress.doing}: the champion is unchanged{still}; run the same command again"


@contextmanager
def _taking_turns(tracking: Tracking) -> Iterator[None]:
    """Let one promotion at a time into a SQLite database; a server has no lock to offer."""
    if tracking.database is None:
        yield
        return
    from filelock import FileLock, Timeout

    try:
        lock = FileLock(f"{tracking.database}.lock", timeout=_LOCK_SECONDS)
        lock.acquire()
    except (Timeout, OSError) as exc:
        raise TrackingError(f"{tracking.shown}: another process has held {tracking.database}.lock for minutes") from exc
    try:
        yield
    finally:
        lock.release()


def _promote(client: Any, tracking: Tracking, wanted: _Wanted, progress: _Progress) -> Champion:
    attempt = uuid.uuid4().hex
    experiment_id = None
    try:
        _check_unchanged(client, wanted, progress)
        progress.doing = "the scores were being kept"
        experiment_id = _experiment(client, tracking, schema.champions_experiment(wanted.suite))
        source, digest = _keep(client, experiment_id, wanted, attempt, progress)
        progress.doing = "the version was being registered"
        _register(client, wanted)
        _add_version(client, wanted, progress, source=source, digest=digest)
        _check_unchanged(client, wanted, progress)
        _move(client, wanted, progress)
    except BaseException:
        _give_up(client, experiment_id, attempt, wanted, progress)
        raise
    with suppress(Exception):  # the alias has moved, and history follows it
        client.set_model_version_tag(wanted.name, str(progress.version), schema.WAS_CHAMPION, "yes")
    return _seen_again(client, tracking, wanted, progress)


def _check_unchanged(client: Any, wanted: _Wanted, progress: _Progress) -> None:
    """Refuse to replace a champion that came while this promotion was under way, unless that is forced."""
    present = _alias(client, wanted.name)
    if present == progress.before:
        return
    if not wanted.forced:
        raise UsageError(
            f"{schema.suite_label(wanted.suite)}: another promotion was completed while this one was under way: "
            f"{_who(client, wanted.name, present)}; {wanted.model.label} was not promoted. Hold it against that "
            "champion with `benchkit gate`, then run the same command again, or add --force --reason TEXT"
        )
    progress.before = present
    if progress.version is not None:
        client.set_model_version_tag(wanted.name, str(progress.version), schema.PREVIOUS, str(present or ""))


def _who(client: Any, name: str, version: int | None) -> str:
    if version is None:
        return "the champion was taken away"
    tags = client.get_model_version(name, str(version)).tags
    label = tags.get(schema.CANDIDATE_LABEL, "a model that benchkit doesn't know")
    by, when = tags.get(schema.PROMOTED_BY, "somebody"), tags.get(schema.PROMOTED_AT, "an unknown time")
    return f"{by} promoted {label} (version {version}) at {when}"


def _keep(client: Any, experiment_id: str, wanted: _Wanted, attempt: str, progress: _Progress) -> tuple[str, str]:
    """Make the run that holds the file; return the place of its files and the file's digest."""
    tags = {
        schema.KIND: schema.CHAMPION,
        schema.ATTEMPT: attempt,
        schema.SUITE: schema.suite_label(wanted.suite),
        schema.CANDIDATE_LABEL: schema.clean(wanted.model.label, schema.MAX_LABEL),
        schema.FINGERPRINT: wanted.model.fingerprint,
        "mlflow.source.name": "benchkit",
        "mlflow.source.type": "LOCAL",
    }
    run = client.create_run(
        experiment_id,
        start_time=round(wanted.when.timestamp() * 1000),
        tags=tags,
        run_name=schema.clean(wanted.model.label, schema.MAX_NAME) or "?",
    )
    progress.run_id = run.info.run_id
    with TemporaryDirectory() as folder:
        # A copy under the name that it's kept by, so that the digest is of what is sent.
        file = Path(shutil.copyfile(wanted.file, Path(folder) / schema.CHAMPION_FILE))
        digest = _digest(file)
        client.log_artifact(progress.run_id, str(file))
    client.set_terminated(progress.run_id, "FINISHED")
    return str(run.info.artifact_uri), digest


def _register(client: Any, wanted: _Wanted) -> None:
    from mlflow.exceptions import MlflowException

    label = schema.suite_label(wanted.suite)
    model = _registered(client, wanted.name)
    if model is None:
        try:
            client.create_registered_model(wanted.name, tags={schema.SUITE: label})
        except MlflowException as exc:
            if exc.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    elif model.tags.get(schema.SUITE) != label:
        client.set_registered_model_tag(wanted.name, schema.SUITE, label)


def _add_version(client: Any, wanted: _Wanted, progress: _Progress, *, source: str, digest: str) -> None:
    # Made with all of its tags in one call: a version without them never exists.
    model, gate = wanted.model, wanted.gate
    tags = {
        schema.PROMOTION: schema.COMPLETE,
        schema.SUITE: schema.suite_label(wanted.suite),
        schema.CANDIDATE_LABEL: schema.clean(model.label, schema.MAX_LABEL) or "?",
        schema.CANDIDATE_ID: schema.clean(model.id, schema.MAX_LABEL) or "?",
        schema.FINGERPRINT: schema.clean(model.fingerprint, schema.MAX_LABEL) or "?",
        schema.CONTENT: model.content or "",
        schema.PROMOTED_AT: wanted.when.astimezone(UTC).isoformat(timespec="seconds"),
        schema.PROMOTED_BY: schema.clean(wanted.by, schema.MAX_LABEL) or "unknown",
        schema.REASON: schema.clean(wanted.reason, schema.MAX_REASON),
        schema.FORCED: "yes" if wanted.forced else "no",
        schema.GATE_ID: gate.gate_id if gate else schema.NO_GATE,
        schema.GATE_VERDICT: gate.verdict if gate else schema.NO_GATE,
        schema.GATE_BASELINE: gate.baseline_fingerprint if gate else "",
        schema.PREVIOUS: str(progress.before or ""),
        schema.FILE_DIGEST: digest,
    }
    version = client.create_model_version(
        wanted.name,
        source,
        run_id=progress.run_id,
        tags={key: value for key, value in tags.items() if value},
        description=schema.clean(f"{model.label}: {wanted.reason}", schema.MAX_REASON),
        await_creation_for=0,
    )
    progress.version = int(version.version)


def _move(client: Any, wanted: _Wanted, progress: _Progress) -> None:
    """Move the alias and see that it did."""
    progress.doing, progress.moved = "the champion was being changed", "maybe"
    try:
        client.set_registered_model_alias(wanted.name, schema.CHAMPION, str(progress.version))
    except Exception:
        # An answer can be lost on its way although the alias has moved, so that only a look tells.
        progress.moved = "yes" if _alias(client, wanted.name) == progress.version else "no"
        if progress.moved == "no":
            raise
        return
    progress.moved = "yes"
    if (present := _alias(client, wanted.name)) != progress.version:
        progress.moved = "no"
        raise UsageError(
            f"{schema.suite_label(wanted.suite)}: another promotion was completed at the same moment: "
            f"{_who(client, wanted.name, present)}; {wanted.model.label} is not the champion. Run the same command "
            "again, once it was held against that champion"
        )


def _give_up(client: Any, experiment_id: str | None, attempt: str, wanted: _Wanted, progress: _Progress) -> None:
    """Mark what a promotion left behind; what is or may be the champion stays as it is."""
    if progress.moved != "no" or experiment_id is None:
        return
    _abandon(client, experiment_id, attempt)
    with suppress(Exception):
        # By the run: the answer with the version's number may be what was lost.
        for version in client.search_model_versions(f"run_id = '{progress.run_id}'"):
            client.set_model_version_tag(wanted.name, str(version.version), schema.PROMOTION, schema.ABANDONED)


def _seen_again(client: Any, tracking: Tracking, wanted: _Wanted, progress: _Progress) -> Champion:
    entity = client.get_model_version(wanted.name, str(progress.version))
    champion = _champion(tracking, entity, is_present=True)
    if champion is None:
        raise TrackingError(f"{tracking.shown}: version {progress.version} of {wanted.name} lost its tags")
    return champion


# ------------------------------------------------------------ look


def champion(tracking_uri: str, suite: str) -> Champion | None:
    """Return the champion of a suite; None where there is none, or no database.

    Raises:
        NotComparable: the alias points to something that benchkit didn't promote, or that was archived.
        TrackingError: the store doesn't answer.
    """
    if is_absent(tracking_uri):
        return None
    tracking = prepare_tracking(tracking_uri)
    with _asking(tracking) as client:
        return _present(client, tracking, suite)


def fetch_champion(tracking_uri: str, suite: str, into: Path) -> tuple[Champion, Path]:
    """Return the champion of a suite and its scored.json, copied into a folder.

    Raises:
        NotComparable: there is none, or it was deleted, archived or changed; says how to make one.
        UsageError: the folder can't be written.
        TrackingError: the store doesn't answer.
    """
    found = None
    if not is_absent(tracking_uri):
        tracking = prepare_tracking(tracking_uri)
        with _asking(tracking) as client:
            if (found := _present(client, tracking, suite)) is not None:
                return found, _fetch(client, found, into)
    raise NotComparable(
        f"suite {_quoted(suite)} has no champion; make one with "
        f"`benchkit baseline promote MODEL --suite {_quoted(suite)}`, or name a baseline file or a model"
    )


def history(tracking_uri: str, suite: str, limit: int = _LIMIT) -> list[Champion]:
    """Return the champions that a suite has and had: the present one first, then the newest version.

    Raises:
        TrackingError: the store doesn't answer.
    """
    if is_absent(tracking_uri):
        return []
    tracking = prepare_tracking(tracking_uri)
    with _asking(tracking) as client:
        model = _registered(client, registered_name(suite))
        return [] if model is None else _line(client, tracking, model)[: max(0, limit)]


def suites_with_champions(tracking_uri: str) -> list[str]:
    """Return the suites that have a champion, by name.

    Raises:
        TrackingError: the store doesn't answer.
    """
    if is_absent(tracking_uri):
        return []
    with _asking(prepare_tracking(tracking_uri)) as client:
        prefix = registered_name("x")[:-1]
        found = [
            model.tags[schema.SUITE]
            for model in _pages(client.search_registered_models, f"name LIKE '{prefix}%'")
            if schema.SUITE in model.tags and schema.CHAMPION in model.aliases
        ]
    return sorted(found)


@contextmanager
def _asking(tracking: Tracking) -> Iterator[Any]:
    """Yield a client whose registry is in the store itself, whatever MLFLOW_REGISTRY_URI says."""
    with _environment(_NO_BAR), speaking(tracking):
        from mlflow import MlflowClient

        yield MlflowClient(tracking_uri=tracking.uri, registry_uri=tracking.uri)


def _registered(client: Any, name: str) -> Any | None:
    return next(iter(client.search_registered_models(f"name = '{name}'", max_results=1)), None)


def _alias(client: Any, name: str) -> int | None:
    """Return the version that the alias points to."""
    model = _registered(client, name)
    version = None if model is None else model.aliases.get(schema.CHAMPION)
    return None if version is None else int(version)


def _present(client: Any, tracking: Tracking, suite: str) -> Champion | None:
    name = registered_name(suite)
    version = _alias(client, name)
    if version is None:
        return None
    entity = client.get_model_version(name, str(version))
    found = _champion(tracking, entity, is_present=True)
    if found is None:
        raise NotComparable(
            f"the champion of suite {_quoted(suite)} is version {version} of {name}, which benchkit did not promote, "
            f"so its scores are not known; {_renew(suite)}"
        )
    if entity.current_stage == "Archived":
        raise NotComparable(
            f"the champion of suite {_quoted(suite)}, version {version} of {name}, was archived in MLflow; "
            f"{_renew(suite)}"
        )
    return found


def _line(client: Any, tracking: Tracking, model: Any) -> list[Champion]:
    """Return the versions that the alias is on and was on, the present one first, then the newest."""
    present = int(model.aliases.get(schema.CHAMPION, 0))
    made: dict[int, Champion] = {}
    for entity in _pages(client.search_model_versions, f"name = '{model.name}'"):
        if (one := _champion(tracking, entity, is_present=int(entity.version) == present)) is not None:
            made[one.version] = one
    was = {version for version, one in made.items() if schema.WAS_CHAMPION in one.tags}
    following: int | None = present
    while following in made and following not in was:
        was.add(following)
        following = made[following].previous
    return sorted((made[version] for version in was), key=lambda one: (one.is_present, one.version), reverse=True)


def _pages(search: Any, query: str, **options: Any) -> Iterator[Any]:
    token = None
    while True:
        page = search(query, max_results=_PAGE, page_token=token, **options)
        yield from page
        if not (token := page.token):
            return


def _champion(tracking: Tracking, entity: Any, *, is_present: bool) -> Champion | None:
    """Return what the tags of a version say; None where they aren't all there, or not benchkit's."""
    tags = dict(entity.tags)
    gate_id, verdict = tags.get(schema.GATE_ID), tags.get(schema.GATE_VERDICT)
    previous = tags.get(schema.PREVIOUS)
    try:
        return Champion(
            suite=tags.get(schema.SUITE, ""),
            version=int(entity.version),
            run_id=entity.run_id or "",
            model=tags[schema.CANDIDATE_LABEL],
            model_id=tags[schema.CANDIDATE_ID],
            fingerprint=tags[schema.FINGERPRINT],
            when=tags[schema.PROMOTED_AT],
            by=tags[schema.PROMOTED_BY],
            reason=tags.get(schema.REASON, ""),
            gate_id=None if gate_id == schema.NO_GATE else tags[schema.GATE_ID],
            gate_verdict=None if verdict == schema.NO_GATE else tags[schema.GATE_VERDICT],
            forced=tags[schema.FORCED] == "yes",
            previous=int(previous) if previous and re.fullmatch("[0-9]{1,9}", previous) else None,
            file_digest=tags[schema.FILE_DIGEST],
            is_present=is_present,
            address=_address(tracking, entity),
            tags=tags,
        )
    except KeyError:
        return None


def _address(tracking: Tracking, entity: Any) -> str:
    if tracking.uri.startswith("http"):
        from urllib.parse import quote

        return f"{tracking.shown}/#/models/{quote(entity.name)}/versions/{entity.version}"
    return tracking.shown if tracking.database is None else tracking.uri


def _fetch(client: Any, found: Champion, into: Path) -> Path:
    whose = f"the champion of suite {_quoted(found.suite)} (version {found.version}, {found.model})"
    _check_run(client, found, whose)
    if schema.CHAMPION_FILE not in {entry.path for entry in client.list_artifacts(found.run_id)}:
        raise NotComparable(
            f"{whose} has lost its {schema.CHAMPION_FILE}: it was deleted, or the folder of the database was moved; "
            f"{_renew(found.suite)}"
        )
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UsageError(f"{into}: {exc.strerror}; the champion's scores need a folder to be copied to") from exc
    file = Path(client.download_artifacts(found.run_id, schema.CHAMPION_FILE, str(into)))
    if _digest(file) != found.file_digest:
        raise NotComparable(
            f"{whose}: its {schema.CHAMPION_FILE} is not the file that was promoted; {_renew(found.suite)}"
        )
    return file


def _check_run(client: Any, found: Champion, whose: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(found.run_id)
    except MlflowException as exc:
        if exc.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise NotComparable(f"{whose}: its run was deleted for good; {_renew(found.suite)}") from exc
    if run.info.lifecycle_stage != "active":
        raise NotComparable(
            f"{whose}: its run was deleted; `mlflow runs restore --run-id {found.run_id}` brings it back, or "
            f"{_renew(found.suite)}"
        )


def _renew(suite: str) -> str:
    return f"promote a model again: `benchkit baseline promote MODEL --suite {_quoted(suite)} --force --reason TEXT`"


def _quoted(suite: str) -> str:
    return shlex.quote(schema.suite_label(suite))


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
