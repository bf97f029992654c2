"""A promotion: a model becomes the champion of its suite, and who did it, when, why and after which gate is recorded.

    last gate ── check_promotable (promotable.py) ──> may it?
    scored file ── a run holds it ── version of benchkit-<suite>, with all its tags ── the alias moves ──> Champion

The alias moves last, in one call. A promotion that ends before that leaves the old champion, a run that is marked as
failed, and perhaps a version that was never champion, which store.registry doesn't show.
Two promotions at once: with SQLite they take turns under the lock of the database; everywhere, one that finds another
champion than the one it began with is refused, because nobody has held its model against that one.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from benchkit.errors import UsageError
from benchkit.store import schema
from benchkit.store.gate_runs import GateRef, ModelFacts
from benchkit.store.mlflow_store import _abandon, _experiment
from benchkit.store.promotable import check_promotable
from benchkit.store.registry import (
    Champion,
    asking,
    champion_version,
    file_digest,
    quoted_suite,
    read_version,
    registered_model,
    registered_name,
)
from benchkit.store.uri import Tracking, TrackingError, prepare_tracking

_LOCK_SECONDS = 120  # a promotion holds it for about a second


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
    instead_of: Champion | None = None,
) -> Champion:
    """Make a model the champion of a suite, and record who did it, when, why and after which gate.

    Args:
        scored_file: Its scores on the suite, item by item; kept as scored.json.
        gate: Its last gate (last_gate).
        by: Who promotes.
        when: Now, unless a test says otherwise.
        instead_of: The champion that the model was held against, perhaps hours ago; None takes the present one.

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
        with asking(tracking) as client:
            progress.before = champion_version(client, wanted.name)
        check_promotable(gate, forced=forced, reason=reason, first=progress.before is None)
        if instead_of is not None:
            progress.before = instead_of.version
        with _taking_turns(tracking), asking(tracking) as client:
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
    look = f"`benchkit baseline list --suite {quoted_suite(suite)}`"
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
    present = champion_version(client, wanted.name)
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
        digest = file_digest(file)
        client.log_artifact(progress.run_id, str(file))
    client.set_terminated(progress.run_id, "FINISHED")
    return str(run.info.artifact_uri), digest


def _register(client: Any, wanted: _Wanted) -> None:
    from mlflow.exceptions import MlflowException

    label = schema.suite_label(wanted.suite)
    model = registered_model(client, wanted.name)
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
        progress.moved = "yes" if champion_version(client, wanted.name) == progress.version else "no"
        if progress.moved == "no":
            raise
        return
    progress.moved = "yes"
    if (present := champion_version(client, wanted.name)) != progress.version:
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
    champion = read_version(tracking, entity, is_present=True)
    if champion is None:
        raise TrackingError(f"{tracking.shown}: version {progress.version} of {wanted.name} lost its tags")
    return champion
