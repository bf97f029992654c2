"""The runs and champions of benchkit in MLflow's own tables, without MLflow.

    SQLite, PostgreSQL ── ask(SQL, values) ──> tracked_by ──> Tracked

Four queries by the kind of run and two of the registry, each by an index: 600 runs of 60 metrics take some 20 ms, and
`mlflow.search_runs` 2 s. MLflow's own client would make tables, an experiment and a folder where there are none. A part
that another version of MLflow keeps elsewhere is told, and the rest is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchkit.store import schema
from benchkit.store.board_files import Damaged
from benchkit.store.board_tracked import (
    COST_PARAM,
    DRIFT_EXPERIMENTS,
    GATE_METRICS,
    MOST_RUNS,
    REGISTERED,
    RunFacts,
    Tracked,
    VersionFacts,
)

# A query with :named values ──> its rows; Damaged where the store can't answer it.
Ask = Callable[[str, Mapping[str, Any]], Sequence[Sequence[Any]]]

_OF_KIND = """
    SELECT r.run_uuid FROM tags k
    JOIN runs r ON r.run_uuid = k.run_uuid
    JOIN experiments e ON e.experiment_id = r.experiment_id
    WHERE k.key = 'benchkit.kind' AND k.value = :kind AND r.status = 'FINISHED'
    AND r.lifecycle_stage = 'active' AND e.lifecycle_stage = 'active'
    ORDER BY r.start_time DESC, r.end_time DESC, r.run_uuid LIMIT :most
"""
_RUNS = f"""
    SELECT run_uuid, experiment_id, artifact_uri FROM runs WHERE run_uuid IN ({_OF_KIND})
    ORDER BY start_time DESC, end_time DESC, run_uuid
"""  # noqa: S608  (of this module's own text)
_TAGS = f"SELECT run_uuid, key, value FROM tags WHERE run_uuid IN ({_OF_KIND}) AND key LIKE 'benchkit.%'"  # noqa: S608
_METRICS = f"""
    SELECT run_uuid, key, value FROM latest_metrics
    WHERE run_uuid IN ({_OF_KIND}) AND key IN (:m0, :m1, :m2, :m3)
"""  # noqa: S608
_COSTED = f"SELECT run_uuid FROM params WHERE run_uuid IN ({_OF_KIND}) AND key = :param"  # noqa: S608
_VERSIONS = """
    SELECT t.name, t.version, t.key, t.value FROM model_version_tags t
    JOIN model_versions v ON v.name = t.name AND v.version = t.version
    WHERE t.name LIKE :prefix AND v.current_stage <> 'Deleted_Internal'
"""
_CHAMPIONS = "SELECT name, version FROM registered_model_aliases WHERE alias = :alias AND name LIKE :prefix"
_DRIFT = "SELECT name, experiment_id FROM experiments WHERE name LIKE :prefix AND lifecycle_stage = 'active'"


def tracked_by(ask: Ask) -> Tracked:
    """Return what a database has."""
    problems: list[str] = []

    def part(name: str, read: Callable[[Ask], Any], otherwise: Any) -> Any:
        try:
            return read(ask)
        except Damaged as exc:
            problems.append(f"{name}: {exc}")
            return otherwise

    comparisons = part("comparisons", lambda ask: _runs(ask, schema.COMPARE, problems), ())
    gates = part("gates", lambda ask: _runs(ask, schema.GATE, problems), ())
    versions, champions = part("champions", _registry, ((), {}))
    drift = part("drift", lambda ask: _named(ask(_DRIFT, {"prefix": f"{DRIFT_EXPERIMENTS}%"})), {})
    return Tracked(comparisons, gates, versions, champions, drift, tuple(problems))


def _runs(ask: Ask, kind: str, problems: list[str]) -> tuple[RunFacts, ...]:
    values = {"kind": kind, "most": MOST_RUNS}
    found = ask(_RUNS, values)
    if len(found) == MOST_RUNS:
        problems.append(f"runs of the kind {kind!r}: only the newest {MOST_RUNS} are listed")
    tags, metrics = _by_run(ask(_TAGS, values)), {}
    costed = set()
    if kind == schema.GATE:
        names = {f"m{place}": name for place, name in enumerate(GATE_METRICS)}
        metrics = _by_run(ask(_METRICS, {**values, **names}))
    else:
        costed = {run_id for (run_id,) in ask(_COSTED, {**values, "param": COST_PARAM})}
    return tuple(
        RunFacts(run_id, str(experiment), files or "", tags[run_id], metrics.get(run_id, {}), run_id in costed)
        for run_id, experiment, files in found
    )


def _registry(ask: Ask) -> tuple[tuple[VersionFacts, ...], dict[str, int]]:
    prefix = {"prefix": f"{REGISTERED}%"}
    tags: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    for name, version, key, value in ask(_VERSIONS, prefix):
        tags[name, int(version)][key] = value or ""
    champions = {name: int(version) for name, version in ask(_CHAMPIONS, {**prefix, "alias": schema.CHAMPION})}
    return tuple(VersionFacts(name, version, found) for (name, version), found in tags.items()), champions


def _by_run(rows: Sequence[Sequence[Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for run_id, key, value in rows:
        found[run_id][key] = "" if value is None else value
    return found


def _named(rows: Sequence[Sequence[Any]]) -> dict[str, str]:
    return {name: str(number) for name, number in rows}
