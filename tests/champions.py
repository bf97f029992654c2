"""Promotions for tests: models, gates that they passed, and what the registry tells afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from benchkit.store import registry
from benchkit.store.gate_runs import GateRef, ModelFacts
from benchkit.store.registry import Champion
from benchkit.store.uri import locate, speaking

SUITE = "support"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
Promote = Callable[..., Champion]


def facts(name: str, **changes: Any) -> ModelFacts:
    return replace(ModelFacts(name, f"example/{name}", f"fp-{name}", 384, "float32", "cosine"), **changes)


def ref(name: str, verdict: Any = "pass", **changes: Any) -> GateRef:
    found = GateRef(
        gate_id=f"gate-{name}",
        verdict=verdict,
        when="2026-11-20T11:00:00+00:00",
        run_id="run",
        candidate=name,
        fingerprint=f"fp-{name}",
        content=facts(name).content or "",
        baseline="minilm",
        baseline_fingerprint="fp-minilm",
    )
    return replace(found, **changes)


def gate_of(name: str, verdict: str, started: str, **changes: Any) -> dict[str, Any]:
    def model(name: str) -> dict[str, Any]:
        one = facts(name, **changes) if name != "minilm" else facts(name)
        return {"name": one.label, **{key: getattr(one, key) for key in schema_keys}}

    schema_keys = ("id", "fingerprint", "dimension", "precision", "similarity")
    return {
        "gate_id": f"{name}-{started[:10]}",
        "verdict": verdict,
        "exit_code": 0,
        "rules": [],
        "candidate": model(name),
        "baseline": model("minilm"),
        "candidate_source": "",
        "baseline_source": "",
        "suite": {"name": SUITE, "digest": "d"},
        "policy": {"source": "p"},
        "started": started,
        "seconds": 1.0,
        "identical": False,
        "on_inconclusive": "fail",
        "report_only": False,
    }


@contextmanager
def client_of(uri: str) -> Iterator[Any]:
    with speaking(locate(uri)) as client:
        yield client


def labels(uri: str) -> list[str]:
    return [champion.model for champion in registry.history(uri, SUITE)]


def present(uri: str) -> str | None:
    found = registry.champion(uri, SUITE)
    return None if found is None else found.model
