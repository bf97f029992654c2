"""What a gate is called in MLflow: its tags, parameters and metrics, from the JSON form of its report.

Pure, like store.schema, which has the names that gates share with comparisons and champions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from benchkit.store import schema
from benchkit.store.schema import MetricRow, Parts, Report, Row

MAX_GATE_METRICS = 60  # more of them in a run make MLflow's pages slow; gate.json has every number
_RULE_VERDICTS = ("pass", "inconclusive", "fail", "error", "skipped")


def gate_name(gate: Report) -> str:
    return schema.cut(schema.clean(f"{gate['candidate']['name']} against {gate['baseline']['name']}"), schema.MAX_NAME)


def gate_tags(gate: Report) -> dict[str, str]:
    """Return what a gate said of which two models; `benchkit.content` is what a promotion finds it by."""
    candidate, baseline = gate["candidate"], gate["baseline"]
    # A rule that only warns decides nothing: a gate that passed would have "failed rules".
    broken = [rule["id"] for rule in gate["rules"] if rule["verdict"] in ("fail", "error") and _decides(rule)]
    failed = [schema.clean(name, schema.MAX_LABEL) for name in broken]
    tags = {
        schema.KIND: schema.GATE,
        schema.GATE_ID: gate["gate_id"],
        schema.VERDICT: gate["verdict"],
        schema.SUITE: schema.suite_label(gate["suite"]["name"]),
        schema.SUITE_DIGEST: schema.clean(gate["suite"]["digest"], schema.MAX_LABEL),
        schema.STARTED: gate["started"],
        schema.CANDIDATE_LABEL: schema.clean(candidate["name"], schema.MAX_LABEL) or "?",
        schema.CANDIDATE_ID: schema.clean(candidate["id"], schema.MAX_LABEL),
        schema.FINGERPRINT: schema.clean(candidate["fingerprint"], schema.MAX_LABEL) or "?",
        schema.CONTENT: schema.content_key(
            *(candidate[fact] for fact in ("fingerprint", "dimension", "precision", "similarity"))
        ),
        schema.BASELINE: schema.clean(baseline["name"], schema.MAX_LABEL) or "?",
        schema.BASELINE_FINGERPRINT: schema.clean(baseline["fingerprint"], schema.MAX_LABEL) or "?",
        schema.POLICY: schema.clean(gate["policy"]["source"]),
        schema.REPORT_ONLY: schema.yes_no(gate["report_only"]),
        schema.ON_INCONCLUSIVE: gate["on_inconclusive"],
        schema.FAILED_RULES: schema.list_that_fits(failed) if failed else "",
        "benchkit.identical": schema.yes_no(gate["identical"]),
        "mlflow.note.content": f"{gate['verdict'].upper()}: {gate_name(gate)}",
        "mlflow.source.name": "benchkit",
        "mlflow.source.type": "LOCAL",
    }
    return {key: schema.cut(value, schema.MAX_TAG) for key, value in tags.items() if value}


def _decides(rule: Mapping[str, Any]) -> bool:
    return bool(rule["severity"] != "warn")


def gate_params(gate: Report) -> dict[str, str]:
    values: dict[Parts, object] = {
        (side, fact): gate[side][fact]
        for side in ("candidate", "baseline")
        for fact in ("name", "id", "fingerprint", "dimension", "precision")
    }
    values |= {(f"{side}_source",): gate[f"{side}_source"] for side in ("candidate", "baseline")}
    values |= {("policy",): gate["policy"]["source"], ("on_inconclusive",): gate["on_inconclusive"]}
    return {name: line for name, text in schema.params_of(values).items() if (line := schema.clean(text))}


def gate_metrics(gate: Report) -> list[MetricRow]:
    """Return the numbers of a gate, at most 60: those that decided first, intervals last."""
    count = Counter(rule["verdict"] for rule in gate["rules"])
    rows: list[Row] = [(("gate", f"rules_{verdict}"), count[verdict], None) for verdict in _RULE_VERDICTS]
    rows += [(("gate", name), gate[name], None) for name in ("exit_code", "seconds")]
    ranked = sorted(gate["rules"], key=_weight)
    rows += [(("quality", f"mean{end}"), value, None) for end, value in _gated_mean(ranked)]
    rows += [(_rule_parts(rule), rule["change"], None) for rule in ranked]
    rows += [(_rule_parts(rule, f".ci_{end}"), rule[end], None) for rule in ranked for end in ("low", "high")]
    return schema.finite_metrics(rows)[:MAX_GATE_METRICS]


def _weight(rule: Mapping[str, Any]) -> tuple[bool, bool, bool]:
    """Order rules by what a person looks for: the mean, what failed, costs; then tasks and slices as they stand."""
    return rule["id"] != "quality/mean", rule["verdict"] not in ("fail", "error"), rule["group"] != "cost"


def _gated_mean(rules: Sequence[Mapping[str, Any]]) -> list[tuple[str, object]]:
    found = [rule for rule in rules if rule["id"] == "quality/mean"]
    return [(end, rule[side]) for rule in found for end, side in (("", "candidate"), (".baseline", "baseline"))]


def _rule_parts(rule: Mapping[str, Any], end: str = "") -> Parts:
    # "quality/task:a/b" is a group and a name
    change = "ratio" if rule["group"] == "cost" else "change"
    return ("gate", *rule["id"].split("/", 1), change + end)
