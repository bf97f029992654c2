"""The one place where a gate becomes words, so that no two outputs of it can say different things.

    GateReport ── standing of each rule ──> blocks · warns · pass · skipped      all outputs read it from here
               ── headline · reasons · next_step ──> the answer, in a sentence each
               ── ranked ──> what blocks first, then warnings, then the rest
    RuleResult ── change_words · allowed_words · value_words ──> the fields of a row
    Explanation ── explanation_lines ──> slices and items as lines

Changes and limits have one digit more than scores elsewhere: "-0.5, allowed -0.5, FAIL" would explain nothing.
Nothing is escaped for Markdown, XML or a CI here; all names are on one line and can't steer a terminal (words.plain).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from benchkit.report import words
from benchkit.types.comparison import Interval
from benchkit.types.gate import (
    Explanation,
    GateReport,
    GateVerdict,
    LostItem,
    Neighbour,
    Policy,
    RuleResult,
    RuleVerdict,
    SliceLoss,
)

Standing = Literal["blocks", "warns", "pass", "skipped"]

VERDICT_WORDS: Mapping[RuleVerdict, str] = {
    "pass": "PASS",
    "inconclusive": "INCONCLUSIVE",
    "fail": "FAIL",
    "error": "ERROR",
    "skipped": "SKIPPED",
}
NAME_SHOWN = 100  # characters of a model, suite or rule; longer ones are attacks or paths
SENTENCE_SHOWN = 600
POWER_SHOWN = 2 * SENTENCE_SHOWN  # several sentences on what the suite can see
TEXT_SHOWN = 200  # of an item's text or an answer
ITEMS_SHOWN = 10
SLICES_SHOWN = 10
ANSWERS_SHOWN = 3
_REASONS_SHOWN = 3
_VERDICT_ORDER: tuple[RuleVerdict, ...] = ("error", "fail", "inconclusive", "pass", "skipped")
_TOLD: tuple[Standing, ...] = ("blocks", "warns", "skipped")  # their sentences are shown, those of passes aren't
_STANDING_ORDER: tuple[Standing, ...] = ("blocks", "warns", "pass", "skipped")
# A CI reads commands out of a log: GitHub's runner takes "::error::" where a line begins with it (and rich may break a
# line anywhere) and "##[error]" wherever it stands, as Azure's does "##vso[". Letters that nobody sees may stand in
# between, since the runner compares as a culture does.
_COMMAND_SIGNS = re.compile("([:#])(?=[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]*\\1)")
_RAW_FACTOR = 8  # of a text that is cut, so many times its limit are looked at: a text may be a whole book


# --- texts of the data


def short(text: str, limit: int = NAME_SHOWN) -> str:
    """Return text of the data on one line, at most `limit` characters of it.

    >>> short("a\\nb"), short("abcdef", 4)
    ('a b', 'abc…')
    """
    head = text[: limit * _RAW_FACTOR]
    flat = words.plain(head, limit)
    return flat if len(head) == len(text) or flat.endswith("…") else f"{flat[: limit - 1]}…"


def rule_name(rule: RuleResult) -> str:
    """Return a rule's id for readers that know a rule by its name: short, and still no other rule's.

    >>> rule_name(RuleResult("cost/load_time", "cost", "load_time", "pass", "block", ""))
    'cost/load_time'
    """
    name = short(rule.id)
    if name == rule.id:
        return name
    return f"{name} {hashlib.sha256(rule.id.encode('utf-8', 'replace')).hexdigest()[:8]}"


def log_line(line: str) -> str:
    """Return a line so that no CI that reads the log takes a part of it for a command.

    >>> log_line("::error::x ##[group]y a:b")
    ': :error: :x # #[group]y a:b'
    """
    return _COMMAND_SIGNS.sub(r"\1 ", line)


# --- how a rule stands


def standing(report: GateReport, rule: RuleResult) -> Standing:
    """Return what a rule does to the gate; every output that can fail asks here.

    Where the exit code is 0, nothing blocks, whatever a rule says: a report in a log must not contradict it.
    """
    if rule.verdict in ("pass", "skipped"):
        return "pass" if rule.verdict == "pass" else "skipped"
    tolerated = rule.verdict == "inconclusive" and report.on_inconclusive == "warn"
    return "blocks" if report.blocks and rule.severity == "block" and not tolerated else "warns"


def of_standing(report: GateReport, *wanted: Standing) -> list[RuleResult]:
    """Return the rules that stand so, in the order of `ranked`."""
    return [rule for rule in ranked(report) if standing(report, rule) in wanted]


def ranked(report: GateReport) -> list[RuleResult]:
    """Return the rules with those that block first, then warnings, then passes, then what was skipped."""
    return sorted(report.rules, key=lambda rule: _rank(report, rule))  # stable: the policy's order otherwise


def _rank(report: GateReport, rule: RuleResult) -> tuple[int, bool, int]:
    place = _STANDING_ORDER.index(standing(report, rule))
    return place, rule.severity != "block", _VERDICT_ORDER.index(rule.verdict)


def blocks_without_rule(report: GateReport) -> bool:
    """Tell whether the gate blocks though no rule does: nothing could be judged, and that is no pass."""
    return report.blocks and not of_standing(report, "blocks")


def verdict_words(report: GateReport, rule: RuleResult) -> str:
    """Return the verdict of a rule for a row: "FAIL", or "FAIL (warning)" where it doesn't block."""
    said = VERDICT_WORDS[rule.verdict]
    return f"{said} (warning)" if standing(report, rule) == "warns" else said


# --- the answer


def headline(report: GateReport) -> str:
    """Return the answer, on one line: the verdict, of what, and why."""
    said = VERDICT_WORDS[report.verdict]
    if report.verdict != "pass" and not report.blocks:
        said += " (report only, nothing is blocked)" if report.report_only else " (nothing is blocked)"
    return f"{said}: {_found(report)}"


def sides(report: GateReport) -> tuple[str, str]:
    """Return the names of candidate and baseline; with where they come from where the names are one."""
    names = short(report.candidate.name), short(report.baseline.name)
    if names[0] != names[1]:
        return names
    return f"{names[0]} ({short(report.candidate_source)})", f"{names[1]} ({short(report.baseline_source)})"


def _found(report: GateReport) -> str:
    candidate, baseline = sides(report)
    where = f"on {short(report.suite.name)}"
    if report.verdict == "pass":
        return _passed(report, candidate, f"{baseline} {where}")
    if report.verdict == "inconclusive":
        if not _decisive(report):
            return f"no rule could be judged, so nothing is known of {candidate} against {baseline} {where}"
        opened = f"the data leave open whether {candidate} may replace {baseline} {where}"
        return f"{opened}, because: {reasons(report)}"
    verbs: dict[GateVerdict, str] = {"fail": "may not replace", "error": "could not be held against"}
    return f"{candidate} {verbs[report.verdict]} {baseline} {where}, because: {reasons(report)}"


def _passed(report: GateReport, candidate: str, against: str) -> str:
    quality = [rule for rule in report.rules if rule.group == "quality" and rule.verdict != "skipped"]
    proven = any(rule.severity == "block" for rule in quality) and all(rule.verdict == "pass" for rule in quality)
    # "not worse" only where scores were judged, and none of them casts a doubt on it.
    said = "is not worse than" if proven else "keeps every blocking rule against"
    same = "; their content is the same" if report.identical else ""
    warned = len(of_standing(report, "warns"))
    return f"{candidate} {said} {against}{same}" + (f"; {words.counted(warned, 'warning')}" if warned else "")


def _decisive(report: GateReport) -> list[RuleResult]:
    """Return the rules that made the verdict."""
    return [rule for rule in ranked(report) if rule.severity == "block" and rule.verdict == report.verdict]


def reasons(report: GateReport) -> str:
    """Return why the verdict is what it is, the first few rules that made it; "" where no rule did."""
    decisive = _decisive(report)
    said = [reason(rule, report.policy) for rule in decisive[:_REASONS_SHOWN]]
    left = len(decisive) - len(said)
    return "; ".join([*said, *([f"and {words.counted(left, 'more rule')}"] if left else [])])


def reason(rule: RuleResult, policy: Policy) -> str:
    """Return what a rule found, short: "STSBenchmark -4.10 points, allowed ≥ -2.00"."""
    if rule.change is None or not math.isfinite(rule.change) or rule.group not in ("quality", "cost"):
        return short(rule.sentence.rstrip(". "), SENTENCE_SHOWN // 2) or f"{short(rule.id)}: no value"
    unit = " points" if rule.group == "quality" else ""
    # What stays open does so because of the interval; what failed did so because of the change.
    change = change_words(rule) if rule.verdict == "inconclusive" else _change(rule, rule.change)
    allowed = allowed_words(rule, policy)
    return f"{short(rule.on)} {change}{unit}" + (f", allowed {allowed}" if allowed else "")


def next_step(report: GateReport) -> str:
    """Return what to do now, in one line."""
    if report.verdict == "pass":
        re_embed = " Embed all documents again first: the old index doesn't fit." if _needs_index(report) else ""
        return f"Next: the candidate may be taken over; `benchkit baseline promote` makes it the champion.{re_embed}"
    if report.verdict == "inconclusive":
        return f"Next: {_more_data(report)}."
    if report.verdict == "error":
        return "Next: mend what has no score (the sentences of the rules say what), and run the gate again."
    look = "look at the items that lost most, and mend" if report.explanations else "mend"
    policy = "a policy of your own (--policy FILE)" if report.policy.is_default else short(report.policy.source)
    return f"Next: {look} the candidate; or, where the change is meant, allow it in {policy} and say why."


def _needs_index(report: GateReport) -> bool:
    return report.space is not None and report.space.verdict == "re-embed"


def _more_data(report: GateReport) -> str:
    opened = _decisive(report)
    counted = [rule for rule in opened if rule.items_needed is not None and rule.n is not None]
    wider = "widen the margin, or let --on-inconclusive warn pass it"
    if counted:
        most = max(counted, key=lambda rule: (rule.items_needed or 0) / max(rule.n or 0, 1))
        if (most.items_needed or 0) > (most.n or 0):
            needed = f"{short(most.on)} needs about {most.items_needed} items (it has {most.n})"
            return f"{needed} to pass an equally good model; or {wider}"
        # Enough for a model that is as good, and this one may not be: how many would tell depends on how bad it is.
        return f"{short(most.on)} lies too near the margin for its {most.n} items, so add more; or {wider}"
    if any(rule.group == "cost" for rule in opened):
        return f"run the gate again on a quieter machine; or {wider}"
    return "give the gate a rule that it can judge; the sentences of the skipped ones say what they need"


# --- the fields of a row


def value_words(rule: RuleResult, value: float | None) -> str:
    """Return candidate or baseline of a rule with its unit: "61.2", "8.30 ms", "384"; a dash for none."""
    if value is None or not math.isfinite(value):
        return words.ABSENT
    if rule.group == "quality":
        return f"{value * 100:.2f}"
    number = f"{value:.0f}" if rule.group == "limits" and value == int(value) else words.digits(value)
    unit = short(rule.unit, 20)
    return f"{number} {unit}" if unit and rule.group == "cost" else number


def change_words(rule: RuleResult) -> str:
    """Return the change with its 95 % interval: "-4.10 (-5.12 to -3.08)", "1.310x (1.280–1.340)"; a dash for none."""
    if rule.change is None or not math.isfinite(rule.change):
        return words.ABSENT
    return _change(rule, rule.change) + _ends(rule, rule.low, rule.high)


def bound_words(rule: RuleResult) -> str:
    """Return the one-sided 95 % bound, which a PASS needs on the right side of what is allowed; a dash."""
    return words.ABSENT if rule.bound is None else _change(rule, rule.bound)


def allowed_words(rule: RuleResult, policy: Policy) -> str:
    """Return what the change or the value is held against: "≥ -0.50", "≤ 1.100x", "≤ 1500 MiB"; "" for nothing."""
    limit = rule.threshold
    if limit is None or not math.isfinite(limit):
        return ""
    if rule.group == "quality":
        return f"≥ {_limit_points(limit)}"
    return _allowed_cost(rule, limit, policy) if rule.group == "cost" else words.digits(limit)


def _allowed_cost(rule: RuleResult, limit: float, policy: Policy) -> str:
    asked = [wanted for wanted in policy.cost if wanted.metric == rule.on]
    side = "≥" if any(limit in (wanted.min_ratio, wanted.min_value) for wanted in asked) else "≤"
    of_values = any(limit in (wanted.max_value, wanted.min_value) for wanted in asked)
    # One number may bound both; then what was found says which of them it was held against.
    of_ratios = any(limit in (wanted.max_ratio, wanted.min_ratio) for wanted in asked)
    if of_values and (not of_ratios or (rule.change is None and rule.candidate is not None)):
        return f"{side} {value_words(rule, limit)}"
    return f"{side} {_ratio(limit)}"


def _change(rule: RuleResult, value: float) -> str:
    if not math.isfinite(value):
        return words.ABSENT
    return _points(value) if rule.group == "quality" else _ratio(value) if rule.group == "cost" else words.digits(value)


def _ends(rule: RuleResult, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    if rule.group == "cost":
        return f" ({_ratio(low).rstrip('x')}–{_ratio(high).rstrip('x')})"
    return f" ({_change(rule, low)} to {_change(rule, high)})"


def _points(change: float) -> str:
    return f"{change * 100:+.2f}" if change else "0.00"


def _limit_points(limit: float) -> str:
    """Return a margin so that it never rounds to another one.

    >>> _limit_points(-0.005), _limit_points(-0.00025), _limit_points(-0.1)
    ('-0.50', '-0.025', '-10.00')
    """
    text = f"{limit * 100:.2f}"
    return text if math.isclose(float(text), limit * 100, rel_tol=1e-9) else f"{limit * 100:.4g}"


def _ratio(value: float) -> str:
    return f"{value:.3f}x" if value < 10 else f"{value:#.4g}".rstrip(".") + "x"


# --- why


def explanation_title(explanation: Explanation) -> str:
    """Return the task and how much it changed."""
    change = f"{_points(explanation.change)} points{_span(explanation)}"
    return f"{short(explanation.task)} ({short(explanation.rule)}): {change}"


def slice_words(part: SliceLoss) -> str:
    """Return a slice: "lang=zh, 120 items: -8.20 points (-11.00 to -5.40)"."""
    return f"{short(part.name)}, {words.counted(part.n, 'item')}: {_points(part.change)} points{_span(part)}"


def _span(found: Explanation | SliceLoss) -> str:
    if found.low is None or found.high is None:
        return ""
    ends = Interval(found.low, found.high)
    return f" ({_points(ends.low)} to {_points(ends.high)})"


def item_title(item: LostItem) -> str:
    """Return an item with what it adds to the regression of its task, and its own scores."""
    own = f"; its own score {words.points(item.before)} -> {words.points(item.after)}"
    place = f" ({short(item.place)})" if item.place else ""
    known = item.before is not None or item.after is not None
    return f"{short(item.item)}{place}: {words.digits(item.loss * 100)} points of the loss" + (own if known else "")


def answers(found: Sequence[Neighbour]) -> str:
    """Return the first answers of a model: "right: Grace Hopper (0.83); wrong: wine (0.81)"; "" for none."""
    said = "; ".join(map(_answer, found[:ANSWERS_SHOWN]))
    left = len(found) - ANSWERS_SHOWN
    return f"{said}; and {left} more" if left > 0 else said


def _answer(found: Neighbour) -> str:
    mark = {True: "right: ", False: "wrong: ", None: ""}[found.correct]
    score = "" if found.score is None or not math.isfinite(found.score) else f" ({found.score:.2f})"
    return f"{mark}{short(found.text, TEXT_SHOWN // 2)}{score}"


def item_fields(item: LostItem) -> list[tuple[str, str]]:
    """Return what is known of an item by heading: its text, what is expected, and the answers before and after."""
    found = [
        ("text", short(item.text, TEXT_SHOWN)),
        ("expected", short(item.expected, TEXT_SHOWN)),
        ("before", answers(item.found_before)),
        ("after", answers(item.found_after)),
    ]
    return [(heading, text) for heading, text in found if text]


def explanation_lines(explanation: Explanation) -> list[str]:
    """Return an explanation as lines: the task, the slices that changed, the items that lost most."""
    lines = [explanation_title(explanation)]
    lines += [f"  slice {slice_words(part)}" for part in explanation.slices[:SLICES_SHOWN]]
    for place, item in enumerate(explanation.items[:ITEMS_SHOWN], start=1):
        lines.append(f"  {place}. {item_title(item)}")
        lines += [f"     {heading:8} {text}" for heading, text in item_fields(item)]
    return lines


def swap_words(report: GateReport) -> str:
    """Return what a swap means for an index; "" where that isn't known, or a rule that didn't pass says it already."""
    if report.space is None or any(rule.sentence == report.space.sentence for rule in of_standing(report, *_TOLD)):
        return ""
    return f"Swapping the model: {short(report.space.sentence, SENTENCE_SHOWN)}"


def sentence_line(report: GateReport, rule: RuleResult) -> str:
    """Return the verdict of a rule with its sentence."""
    return f"{verdict_words(report, rule)} {short(rule.id)}: {short(rule.sentence, SENTENCE_SHOWN) or 'no reason'}"
