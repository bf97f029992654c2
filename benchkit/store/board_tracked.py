"""What the dashboard takes from MLflow, whichever way it was read, and the rows that this makes.

    SQL (SQLite, PostgreSQL) ─┐
    MlflowClient (a server)  ─┴─> Tracked: runs with their tags, versions of champions ──> ComparisonRow, GateRow,
                                                                                           ChampionRow

Pure: no MLflow, no file. Tags may have been changed by anybody, so what doesn't fit is told in a sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from benchkit.store import schema
from benchkit.store.board_files import Damaged, shown
from benchkit.store.board_rows import number_of, text_of, utc, verdict_of
from benchkit.types.board import ChampionRow, ComparisonRow, GateRow

COST_PARAM = "cost/level"
EXIT_CODE = "gate/exit_code"
CHANGE, LOW, HIGH = (f"gate/quality/mean/change{end}" for end in ("", ".ci_low", ".ci_high"))
GATE_METRICS = (EXIT_CODE, CHANGE, LOW, HIGH)
REGISTERED = schema.registered_model_name("x")[:-1]  # what the names of all registered models begin with
DRIFT_EXPERIMENTS = schema.experiment_name("drift/")
MOST_RUNS = 5000  # of each kind; more would take seconds to read

Row = TypeVar("Row")
Source = TypeVar("Source")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A finished run that isn't deleted.

    Attributes:
        files: Where its files are, as a URI.
        has_cost: Whether costs were measured (of a comparison).
    """

    run_id: str
    experiment_id: str
    files: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float] = field(default_factory=dict)
    has_cost: bool = False


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """A version of a registered model."""

    name: str
    version: int
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tracked:
    """What a store has.

    Attributes:
        comparisons, gates: The newest first.
        champions: By registered model, the version that the alias points to.
        drift: Experiments of checks by name.
        problems: Sentences on parts that couldn't be read.
    """

    comparisons: tuple[RunFacts, ...] = ()
    gates: tuple[RunFacts, ...] = ()
    versions: tuple[VersionFacts, ...] = ()
    champions: Mapping[str, int] = field(default_factory=dict)
    drift: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def rows_of(
    sources: Iterable[Source], row: Callable[[Source], Row], named: Callable[[Source], str]
) -> tuple[list[tuple[Source, Row]], list[str]]:
    """Return a row for each source that has one, and a sentence for each that hasn't."""
    rows, problems = [], []
    for source in sources:
        try:
            rows.append((source, row(source)))
        except Damaged as exc:
            problems.append(f"{shown(named(source))}: {exc}")
    return rows, problems


def comparison_of(run: RunFacts) -> ComparisonRow:
    """Return the row of a comparison, without an address; Damaged where its tags don't fit."""
    recommended = run.tags.get(schema.RECOMMENDATION)
    return ComparisonRow(
        key=run.run_id,
        suite=text_of(run.tags, schema.SUITE),
        suite_digest=run.tags.get(schema.SUITE_DIGEST, ""),
        started=utc(text_of(run.tags, schema.STARTED)),
        models=_names(run.tags, schema.MODELS),
        recommendation=recommended or None,
        has_cost=run.has_cost,
        run_id=run.run_id,
        is_interrupted=run.tags.get(schema.INTERRUPTED) == schema.yes_no(True),
    )


def gate_of(run: RunFacts) -> GateRow:
    """Return the row of a gate, without an address; Damaged where its tags don't fit.

    What was allowed is not in MLflow but in its gate.json.
    """
    return GateRow(
        key=run.run_id,
        suite=text_of(run.tags, schema.SUITE),
        started=utc(text_of(run.tags, schema.STARTED)),
        verdict=verdict_of(run.tags.get(schema.VERDICT)),
        blocks=run.metrics.get(EXIT_CODE) != 0,
        candidate=text_of(run.tags, schema.CANDIDATE_LABEL),
        baseline=text_of(run.tags, schema.BASELINE),
        change=number_of(run.metrics, CHANGE),
        low=number_of(run.metrics, LOW),
        high=number_of(run.metrics, HIGH),
        margin=None,
        failed=_names(run.tags, schema.FAILED_RULES) if schema.FAILED_RULES in run.tags else (),
        run_id=run.run_id,
    )


def champions_of(found: Tracked, address: Callable[[VersionFacts], str]) -> tuple[list[ChampionRow], list[str]]:
    """Return the promotions, oldest first: versions that the alias points to, or was seen on (store.registry)."""
    rows, problems = rows_of(
        _promoted(found),
        lambda version: _champion(version, found.champions.get(version.name), address(version)),
        lambda version: f"{version.name}, version {version.version}",
    )
    ordered = sorted((row for _, row in rows), key=lambda row: (row.promoted_at, row.suite, row.version))
    return ordered, problems


def _promoted(found: Tracked) -> Iterator[VersionFacts]:
    by_name: dict[str, dict[int, VersionFacts]] = {}
    for version in found.versions:
        by_name.setdefault(version.name, {})[version.version] = version
    for name, versions in by_name.items():
        was = {number for number, version in versions.items() if schema.WAS_CHAMPION in version.tags}
        following = found.champions.get(name)
        while following in versions and following not in was:
            was.add(following)
            following = _previous(versions[following])
        yield from (versions[number] for number in sorted(was))


def _previous(version: VersionFacts) -> int | None:
    text = version.tags.get(schema.PREVIOUS, "")
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def _champion(version: VersionFacts, present: int | None, address: str) -> ChampionRow:
    tags = version.tags
    verdict = tags.get(schema.GATE_VERDICT, "")
    return ChampionRow(
        suite=text_of(tags, schema.SUITE),
        version=version.version,
        model=text_of(tags, schema.CANDIDATE_LABEL),
        promoted_at=utc(text_of(tags, schema.PROMOTED_AT)),
        promoted_by=tags.get(schema.PROMOTED_BY, ""),
        reason=tags.get(schema.REASON, ""),
        forced=tags.get(schema.FORCED) == "yes",
        is_present=version.version == present,
        gate_verdict="" if verdict == schema.NO_GATE else verdict,
        address=address,
    )


def _names(tags: Mapping[str, str], key: str) -> tuple[str, ...]:
    """Return the JSON list of names in a tag; its last may be "...", for more than a tag can hold."""
    text: Any = tags.get(key, "")
    try:
        names: Sequence[Any] = json.loads(text)
    except (ValueError, RecursionError, TypeError) as exc:
        raise Damaged(f"{key} isn't a list of names") from exc
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Damaged(f"{key} isn't a list of names")
    return tuple(names)
