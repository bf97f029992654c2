"""Hold a candidate against a baseline and decide.

    GateRequest ──┬── --result FILE ── stored scores, no model ─────────────────────────────────────┐
                  └── MODEL ── score ── costs (twice where the first look is no pass), probe, what   ├──> GateRun
                               a swap means for an index, what was lost ────────────────────────────┘

What can be wrong is found before work starts: the policy, the baseline, whether the two can be compared at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchkit.api.gate_request import GateRequest, GateRun
from benchkit.api.gate_stored import run_stored
from benchkit.errors import UsageError

if TYPE_CHECKING:
    from benchkit.runner.progress import Progress

__all__ = ["GateRequest", "GateRun", "run_gate"]


def run_gate(request: GateRequest, *, progress: Progress | None = None) -> GateRun:
    """Run a gate.

    Raises:
        UsageError: a wrong argument, policy, suite, model or file (exit 2).
        NotComparable: the baseline is missing or can't be compared (exit 4).
        KeyboardInterrupt: the finished cells are kept, and the same command goes on from there.
    """
    if request.result is not None:
        return run_stored(request)
    if request.candidate is None:
        raise UsageError("name the candidate: benchkit gate MODEL --baseline ..., or stored scores with --result FILE")
    from benchkit.api.gate_live import run_live

    return run_live(request, progress=progress)
