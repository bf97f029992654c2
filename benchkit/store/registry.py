"""The champion of a suite: the model that gates compare with, in MLflow's registry. Here it is looked up.

    scored file ── a run holds it ── version of benchkit-<suite>, with all its tags <── the alias "champion"
    champion ── alias ── version ── tags ──> Champion ── run ── scored.json ──> fetch_champion

Only the alias counts, and store.promotion moves it. A version that was never champion (a promotion that ended early) is
shown by no function here: history is what the alias points to, what that version names as the one before it, and so on,
and versions that the alias was seen on.
The version's source is the place of the run's files: MLflow looks up "models:/m-..." in its global store, not this one.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchkit.errors import NotComparable, UsageError
from benchkit.store import schema
from benchkit.store.gate_runs import is_absent
from benchkit.store.uri import Tracking, _environment, prepare_tracking, speaking

_PAGE = 100
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


def registered_name(suite: str) -> str:
    """Return the registered model whose versions are a suite's champions: "benchkit-<suite>"."""
    return schema.registered_model_name(suite)


def champion(tracking_uri: str, suite: str) -> Champion | None:
    """Return the champion of a suite; None where there is none, or no database.

    Raises:
        NotComparable: the alias points to something that benchkit didn't promote, or that was archived.
        TrackingError: the store doesn't answer.
    """
    if is_absent(tracking_uri):
        return None
    tracking = prepare_tracking(tracking_uri)
    with asking(tracking) as client:
        return _present(client, tracking, suite)


def fetch_champion(tracking_uri: str, suite: str, into: Path, *, version: int | None = None) -> tuple[Champion, Path]:
    """Return the champion of a suite and its scored.json, copied into a folder.

    Args:
        version: Of a champion that the suite has or had; None for the present one.

    Raises:
        NotComparable: there is none, or it was deleted, archived or changed; says how to make one. Or no champion ever
            had this version.
        UsageError: the folder can't be written.
        TrackingError: the store doesn't answer.
    """
    found = None
    if not is_absent(tracking_uri):
        tracking = prepare_tracking(tracking_uri)
        with asking(tracking) as client:
            if version is not None:
                found = _former(client, tracking, suite, version)
            else:
                found = _present(client, tracking, suite)
            if found is not None:
                return found, _fetch(client, found, into)
    raise NotComparable(
        f"suite {quoted_suite(suite)} has no champion; make one with "
        f"`benchkit baseline promote MODEL --suite {quoted_suite(suite)}`, or name a baseline file or a model"
    )


def history(tracking_uri: str, suite: str, limit: int = _LIMIT) -> list[Champion]:
    """Return the champions that a suite has and had: the present one first, then the newest version.

    Raises:
        TrackingError: the store doesn't answer.
    """
    if is_absent(tracking_uri):
        return []
    tracking = prepare_tracking(tracking_uri)
    with asking(tracking) as client:
        model = registered_model(client, registered_name(suite))
        return [] if model is None else _line(client, tracking, model)[: max(0, limit)]


def suites_with_champions(tracking_uri: str) -> list[str]:
    """Return the suites that have a champion, by name.

    Raises:
        TrackingError: the store doesn't answer.
    """
    if is_absent(tracking_uri):
        return []
    with asking(prepare_tracking(tracking_uri)) as client:
        prefix = registered_name("x")[:-1]
        found = [
            model.tags[schema.SUITE]
            for model in pages(client.search_registered_models, f"name LIKE '{prefix}%'")
            if schema.SUITE in model.tags and schema.CHAMPION in model.aliases
        ]
    return sorted(found)


@contextmanager
def asking(tracking: Tracking) -> Iterator[Any]:
    """Yield a client whose registry is in the store itself, whatever MLFLOW_REGISTRY_URI says."""
    with _environment(_NO_BAR), speaking(tracking):
        from mlflow import MlflowClient

        yield MlflowClient(tracking_uri=tracking.uri, registry_uri=tracking.uri)


def registered_model(client: Any, name: str) -> Any | None:
    return next(iter(client.search_registered_models(f"name = '{name}'", max_results=1)), None)


def champion_version(client: Any, name: str) -> int | None:
    """Return the version that the alias points to."""
    model = registered_model(client, name)
    version = None if model is None else model.aliases.get(schema.CHAMPION)
    return None if version is None else int(version)


def _present(client: Any, tracking: Tracking, suite: str) -> Champion | None:
    name = registered_name(suite)
    version = champion_version(client, name)
    if version is None:
        return None
    entity = client.get_model_version(name, str(version))
    found = read_version(tracking, entity, is_present=True)
    if found is None:
        raise NotComparable(
            f"the champion of suite {quoted_suite(suite)} is version {version} of {name}, which benchkit did not "
            f"promote, so its scores are not known; {_renew(suite)}"
        )
    if entity.current_stage == "Archived":
        raise NotComparable(
            f"the champion of suite {quoted_suite(suite)}, version {version} of {name}, was archived in MLflow; "
            f"{_renew(suite)}"
        )
    return found


def _former(client: Any, tracking: Tracking, suite: str, version: int) -> Champion | None:
    """Return the champion of a version; None where the suite never had any champion."""
    model = registered_model(client, registered_name(suite))
    line = [] if model is None else _line(client, tracking, model)
    found = next((one for one in line if one.version == version), None)
    if line and found is None:
        label = quoted_suite(suite)
        raise NotComparable(
            f"suite {label} has no champion of version {version} in its history, where the newest is "
            f"{max(one.version for one in line)}; `benchkit baseline list --suite {label}` shows all"
        )
    return found


def _line(client: Any, tracking: Tracking, model: Any) -> list[Champion]:
    """Return the versions that the alias is on and was on, the present one first, then the newest."""
    present = int(model.aliases.get(schema.CHAMPION, 0))
    made: dict[int, Champion] = {}
    for entity in pages(client.search_model_versions, f"name = '{model.name}'"):
        if (one := read_version(tracking, entity, is_present=int(entity.version) == present)) is not None:
            made[one.version] = one
    was = {version for version, one in made.items() if schema.WAS_CHAMPION in one.tags}
    following: int | None = present
    while following in made and following not in was:
        was.add(following)
        following = made[following].previous
    return sorted((made[version] for version in was), key=lambda one: (one.is_present, one.version), reverse=True)


def pages(search: Any, query: str, **options: Any) -> Iterator[Any]:
    token = None
    while True:
        page = search(query, max_results=_PAGE, page_token=token, **options)
        yield from page
        if not (token := page.token):
            return


def read_version(tracking: Tracking, entity: Any, *, is_present: bool) -> Champion | None:
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
    whose = f"the champion of suite {quoted_suite(found.suite)} (version {found.version}, {found.model})"
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
    if file_digest(file) != found.file_digest:
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
    label = quoted_suite(suite)
    return f"promote a model again: `benchkit baseline promote MODEL --suite {label} --force --reason TEXT`"


def quoted_suite(suite: str) -> str:
    return shlex.quote(schema.suite_label(suite))


def file_digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
