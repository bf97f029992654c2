"""What canaries that came back otherwise say: the kind of change, how bad it is, in words, and what to do.

    Harm (canary.py), policy ─┬─ canary_kind ──> numeric: nearly alike, or each text by itself (noise.py); else model
                              ├─ harm_severity ──> info, warn, critical: neighbours, their clusters, nDCG
                              └─ canary_sentence, canary_advice

An nDCG interval has the last word over the overlap of neighbours, which over-warns.
"""

from __future__ import annotations

from benchkit.types.drift import DRIFT_SEVERITIES, ChangeKind, DriftPolicy, DriftSeverity, Harm

SAME_IDENTITY = 1 - 1e-5  # storing MiniLM's vectors in bfloat16 gives 0.999999, another model 0.7 and less
# Noise of a fifth of a vector's length gives 0.981 for every text; another prompt or model differs from text to text.
NUMERIC_IDENTITY, NUMERIC_WORST = 0.97, 0.95
# Noise of 4.5 % of a vector's length, which left 99 % of neighbours where they were.
HARMLESS_IDENTITY = 0.999
# Noise of a tenth of the length: less than that is not seen by statistics of a usual window, so data raised the alarm.
EXPLAINS_ALARM = 0.995
HARMLESS_LABEL_LOSS = 0.02  # of canaries; fewer are within what a hundred of them can tell
CRITICAL_NDCG_LOSS = 0.05  # surely lost: more than usually lies between a small and a large model

REBASELINE = "Renew the baseline if this is how it is meant to stay."
ROLL_BACK = "Roll back to the baseline's model, or re-embed the whole index with the new one and renew the baseline."
RE_EMBED = "Re-embed the index with the model that now runs, or roll it back; then renew the baseline."
FIND_OUT = "Compare the model that now runs with the baseline's on a set of canaries; roll back if it was not meant."


def is_moved(harm: Harm) -> bool:
    return harm.identity is not None and harm.identity < EXPLAINS_ALARM


def canary_kind(policy: DriftPolicy, harm: Harm) -> ChangeKind:
    if harm.is_noise:
        return "numeric"
    overlap = _overlap(harm)
    alike = harm.identity is not None and harm.identity > NUMERIC_IDENTITY and _is_everywhere_alike(harm)
    return "numeric" if alike and (overlap is None or overlap >= policy.warn_overlap) else "model"


def _is_everywhere_alike(harm: Harm) -> bool:
    return harm.worst_identity is None or harm.worst_identity > NUMERIC_WORST


def _overlap(harm: Harm) -> float | None:
    """Of neighbours, in the live index or in one built anew: the worse."""
    return min((each for each in (harm.mixed_overlap_at_10, harm.overlap_at_10) if each is not None), default=None)


def has_harm(harm: Harm) -> bool:
    """Whether the harm of another model was measured at all."""
    return _overlap(harm) is not None or harm.ndcg_change_high is not None


def harm_severity(policy: DriftPolicy, harm: Harm) -> DriftSeverity:
    by_overlap = _overlap_severity(policy, harm)
    low, high = harm.ndcg_change_low, harm.ndcg_change_high
    if low is None or high is None:
        return by_overlap
    if high < -CRITICAL_NDCG_LOSS:
        return "critical"
    if high < 0:
        return max("warn", by_overlap, key=DRIFT_SEVERITIES.index)
    # The interval excludes a loss that matters; a wider one leaves the word to the overlap.
    return "info" if low > -CRITICAL_NDCG_LOSS else by_overlap


def _overlap_severity(policy: DriftPolicy, harm: Harm) -> DriftSeverity:
    overlap = _overlap(harm)
    if overlap is None:
        is_slight = harm.identity is not None and harm.identity >= HARMLESS_IDENTITY
        return "info" if is_slight and _is_everywhere_alike(harm) else "warn"
    if harm.mixed_overlap_at_10 is not None and harm.mixed_overlap_at_10 < policy.critical_overlap:
        return "critical"
    if overlap >= policy.warn_overlap or (overlap >= policy.critical_overlap and _keeps_labels(harm)):
        return "info"
    return "warn"


def _keeps_labels(harm: Harm) -> bool:
    """Whether nearest neighbours are as often of the same cluster as before: then other neighbours are as good.

    A prefix that nobody meant, or noise, changes a sixth of the ten nearest and half a point of accuracy
    (benchmarks/drift_harm.py): the overlap alone would warn of it.
    """
    now, before = harm.pseudo_label_accuracy, harm.pseudo_label_before
    return now is not None and before is not None and before - now <= HARMLESS_LABEL_LOSS


def canary_sentence(policy: DriftPolicy, harm: Harm, kind: ChangeKind, severity: DriftSeverity) -> str:
    what = "The arithmetic of the model changed" if kind == "numeric" else "Another model answers"
    what += " (each text by itself, as noise does)" if harm.is_noise else ""
    effect = {
        "info": "without harm to retrieval",
        "warn": "with harm to retrieval" if has_harm(harm) else "and its effect on retrieval is not known",
        "critical": "with great harm to retrieval",
    }[severity]
    return f"{what}, {effect}: {_figures(policy, harm)}."


def _figures(policy: DriftPolicy, harm: Harm) -> str:
    of = f" over {harm.n_canaries} canaries" if harm.n_canaries else ""
    parts = [f"mean cosine to the stored vectors {harm.identity:.5f}{of}"]
    if harm.mixed_overlap_at_10 is not None:
        parts.append(f"{harm.mixed_overlap_at_10:.0%} of the ten nearest stay in the live index")
    if harm.overlap_at_10 is not None:
        parts.append(f"{harm.overlap_at_10:.0%} in one built anew")
    if _overlap(harm) is not None:
        parts.append(f"warning below {policy.warn_overlap:.0%}")
    if harm.ndcg_change_low is not None and harm.ndcg_change_high is not None:
        parts.append(f"change of nDCG@10 between {harm.ndcg_change_low:+.3f} and {harm.ndcg_change_high:+.3f}")
    return ", ".join(parts)


def canary_advice(harm: Harm, severity: DriftSeverity) -> str:
    if severity == "info":
        return REBASELINE
    if severity == "critical":
        return ROLL_BACK
    return RE_EMBED if has_harm(harm) else FIND_OUT
