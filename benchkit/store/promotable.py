"""Whether a model may become the champion of its suite: the gate that says so, and why not.

gates of the model, newest first ── last_gate, gate_to_rest_on ── check_promotable ──> nothing, or why it may not
"""

from __future__ import annotations

from benchkit.errors import UsageError
from benchkit.store import schema
from benchkit.store.gate_runs import GateRef, HeldAgainst, ModelFacts, find_gates
from benchkit.store.registry import Champion


def last_gate(
    tracking_uri: str, suite: str, model: ModelFacts | str, *, against: Champion | None = None
) -> GateRef | None:
    """Return the newest gate of a suite whose candidate was this model.

    Args:
        model: With the facts of its vectors, exactly what is deployed; a fingerprint alone finds gates of every
            dimension and precision of that model.
        against: Only a gate that held it against this model; None takes any.

    Raises:
        TrackingError: the store doesn't answer.
    """
    baseline = None if against is None else HeldAgainst(against.fingerprint, against.tags.get(schema.CONTENT, ""))
    return next(iter(find_gates(tracking_uri, suite, limit=1, model=model, against=baseline)), None)


def gate_to_rest_on(tracking_uri: str, suite: str, model: ModelFacts, present: Champion | None) -> GateRef | None:
    """Return the gate that decides whether a model may take the place of the present champion.

    It is its last one. Where that passed against anything but the champion, against the model itself or a champion of
    before, it says nothing of the model that would be replaced, and the last one against the champion takes its place.
    To promote the champion itself again, nothing has to be held against it.

    Raises:
        UsageError: its last gate passed, and none was against the champion.
        TrackingError: the store doesn't answer.
    """
    last = last_gate(tracking_uri, suite, model)
    is_present = present is not None and present.tags.get(schema.CONTENT) == model.content
    if present is None or is_present or last is None or not last.passed:
        return last
    gate = last_gate(tracking_uri, suite, model, against=present)
    if gate is None:
        raise UsageError(
            f"its last gate ({last.gate_id}, {last.when}) held it against {last.baseline}, and none against the "
            f"champion, {present.model} (version {present.version}); run `benchkit gate MODEL --baseline champion`, or "
            "promote it without that: --force --reason TEXT"
        )
    return gate


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
