"""What rounding does that a window shows: measured on the baseline's canaries, whose vectors are rounded alike.

    finding "precision", canaries ── rounded ── measure_harm ──> the finding with its harm in a sentence

The canaries that are embedded now don't pass through what writes production's vectors, so they can't tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchkit.drift.canary import measure_harm
from benchkit.drift.findings import rounded_to
from benchkit.drift.precision import rounded
from benchkit.monitor.baseline import Baseline
from benchkit.monitor.window import Window
from benchkit.types.drift import DriftPolicy, HealthFinding


def with_harm_of_rounding(
    found: Sequence[HealthFinding], baseline: Baseline, window: Window, policy: DriftPolicy
) -> tuple[HealthFinding, ...]:
    """Return the findings, that of rounding with what it does to the canaries: a warning where neighbours are lost."""
    bits = rounded_to(window.health, baseline.health)
    if bits is None or baseline.canaries is None:
        return tuple(found)
    harm = measure_harm(baseline.canaries, rounded(baseline.canaries.vectors, bits))
    overlap, away = harm.mixed_overlap_at_10, max(0.0, 1 - (harm.identity or 0.0))
    kept = "" if overlap is None else f", {100 * overlap:.1f} % of the ten nearest stay in the live index"
    said = f"The canaries' vectors, rounded alike: mean cosine {away:.0e} below 1{kept}."
    is_harmful = overlap is not None and overlap < policy.warn_overlap
    return tuple(
        replace(each, severity="warn" if is_harmful else each.severity, sentence=f"{each.sentence} {said}")
        if each.name == "precision"
        else each
        for each in found
    )
