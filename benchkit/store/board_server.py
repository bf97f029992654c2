"""MLflow on a server, which may be slow, foreign or down: read within seconds, or told and passed over.

    http(s)    ── MlflowClient: filters, one page ─┐  in a thread, waited for 5 s; what comes later
    postgresql ── the SQL of board_sql ────────────┴─ is taken the next time ──> Tracked, asked again after 15 s

MLflow's own client would make tables, an experiment and a folder in a database that has none, so PostgreSQL is asked by
the same SQL as SQLite, in transactions that can't write.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchkit.store import schema
from benchkit.store.board_artifacts import (
    begun,
    check_size,
    from_folder,
    from_storage,
    import_mlflow,
    loaded,
    local,
    meaning,
)
from benchkit.store.board_files import Damaged
from benchkit.store.board_sql import tracked_by
from benchkit.store.board_tracked import (
    COST_PARAM,
    DRIFT_EXPERIMENTS,
    REGISTERED,
    RunFacts,
    Tracked,
    VersionFacts,
)
from benchkit.store.registry import asking, pages
from benchkit.store.uri import Tracking, _environment

PATIENCE_S = 5.0
_FRESH_S = 15.0
_MOST_RUNS = 1000  # of each kind; one page of a server's interface
# One request must end before the wait for all of them does.
_SHORT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "4", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


class ServerRuns:
    """Runs on a server, which may be slow, foreign or down."""

    def __init__(self, tracking: Tracking) -> None:
        self.tracking = tracking
        self._is_sql = tracking.uri.startswith("postgresql")
        self._lock = threading.Lock()
        self._pending: Future[Tracked] | None = None
        self._latest, self._stamp, self._fresh_until = Tracked(), "", 0.0

    def stamp(self) -> str:
        self.tracked()
        return self._stamp

    def tracked(self) -> Tracked:
        with self._lock:
            if time.monotonic() >= self._fresh_until:
                self._latest = self._asked()
                self._stamp = hashlib.sha256(repr(self._latest).encode("utf-8", "replace")).hexdigest()
                self._fresh_until = time.monotonic() + _FRESH_S
            return self._latest

    def _asked(self) -> Tracked:
        """Return what the server has, or what it had and why that is all."""
        try:
            # The imports are not the server's time.
            (_import_sqlalchemy if self._is_sql else import_mlflow)()
            read = _from_postgresql if self._is_sql else _from_server
            self._pending = self._pending or begun(lambda: read(self.tracking))
            found = self._pending.result(timeout=PATIENCE_S)
        except TimeoutError:
            return self._as_before(f"no answer within {PATIENCE_S:.0f} s")
        except Exception as exc:  # whatever a foreign server makes of a client, the folders can still be read
            self._pending = None
            return self._as_before(meaning(exc))
        self._pending = None
        return found

    def _as_before(self, why: str) -> Tracked:
        return replace(self._latest, problems=(why,))

    def nearby(self, run: RunFacts, name: str) -> bytes | None:
        return None

    def document(self, run: RunFacts, name: str) -> bytes:
        if self._is_sql:
            place = local(run.files)
            content = from_folder(place, name) if place else None
            return from_storage(run.files, name) if content is None else content

        def load(folder: str) -> Path:
            with _briefly(self.tracking) as client:
                check_size(client.list_artifacts(run.run_id), name)
                return Path(client.download_artifacts(run.run_id, name, folder))

        import_mlflow()
        return loaded(load)


@contextmanager
def _briefly(tracking: Tracking) -> Iterator[Any]:
    with _environment(_SHORT), asking(tracking) as client:
        yield client


def _from_server(tracking: Tracking) -> Tracked:
    with _briefly(tracking) as client:
        found = pages(partial(_experiments, client), f"name LIKE '{schema.experiment_name('')}%'")
        names = {experiment.name: experiment.experiment_id for experiment in found}
        versions = pages(client.search_model_versions, f"name LIKE '{REGISTERED}%'")
        models = pages(client.search_registered_models, f"name LIKE '{REGISTERED}%'")
        comparisons = _runs(client, list(names.values()), schema.COMPARE)
        gates = _runs(client, list(names.values()), schema.GATE)
        return Tracked(
            comparisons=comparisons,
            gates=gates,
            versions=tuple(VersionFacts(one.name, int(one.version), dict(one.tags)) for one in versions),
            champions={one.name: int(one.aliases[schema.CHAMPION]) for one in models if schema.CHAMPION in one.aliases},
            drift={name: number for name, number in names.items() if name.startswith(DRIFT_EXPERIMENTS)},
            problems=tuple(
                f"only the newest {_MOST_RUNS} {kind} are listed"
                for kind, runs in (("comparisons", comparisons), ("gates", gates))
                if len(runs) == _MOST_RUNS
            ),
        )


def _experiments(client: Any, query: str, **options: Any) -> Any:
    return client.search_experiments(filter_string=query, **options)


def _runs(client: Any, experiments: list[str], kind: str) -> tuple[RunFacts, ...]:
    if not experiments:
        return ()
    query = f"tags.`{schema.KIND}` = '{kind}' and attributes.status = 'FINISHED'"
    order = ["attributes.start_time DESC", "attributes.end_time DESC"]
    found = client.search_runs(experiments, query, max_results=_MOST_RUNS, order_by=order)
    return tuple(
        RunFacts(
            run_id=run.info.run_id,
            experiment_id=run.info.experiment_id,
            files=run.info.artifact_uri or "",
            tags=run.data.tags,
            metrics=run.data.metrics,
            has_cost=COST_PARAM in run.data.params,
        )
        for run in found
    )


def _import_sqlalchemy() -> None:
    import sqlalchemy  # noqa: F401


def _from_postgresql(tracking: Tracking) -> Tracked:
    from sqlalchemy import NullPool, create_engine

    options = "-c default_transaction_read_only=on -c statement_timeout=4000"
    engine = create_engine(tracking.uri, poolclass=NullPool, connect_args={"connect_timeout": 4, "options": options})
    return read_engine(engine)


def read_engine(engine: Any) -> Tracked:
    """Return what a database of SQLAlchemy has."""
    from sqlalchemy import text
    from sqlalchemy.exc import OperationalError, ProgrammingError

    def ask(query: str, values: Mapping[str, Any]) -> Any:
        # A connection for each: PostgreSQL ends a transaction at its first error.
        try:
            with engine.connect() as connection:
                return connection.execute(text(query), dict(values)).fetchall()
        except (OperationalError, ProgrammingError) as exc:
            if not re.search("does not exist|no such", str(exc.orig)):
                raise
            raise Damaged("another version of MLflow made the database, or another program") from exc

    return tracked_by(ask)
