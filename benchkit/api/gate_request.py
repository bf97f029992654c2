"""What a gate is asked, what it is held against, and its rules put together into one report.

GateRequest ── policy_of, find_baseline ──┐
scores, Findings ─────────────────────────┴── judge ──> GateReport ──> GateRun
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchkit.api.request import Request
from benchkit.api.scored import is_champion, is_file, read_champion, read_scores
from benchkit.errors import SuiteError, UsageError
from benchkit.gate.decide import exit_code, overall
from benchkit.gate.limits import judge_limits
from benchkit.gate.quality import judge_quality
from benchkit.gate.quality_evidence import same_content
from benchkit.gate.quality_targets import pair_cells, targets_of
from benchkit.gate.space import judge_space
from benchkit.runner.draw_cache import DrawCache
from benchkit.runner.environment import describe_environment
from benchkit.settings import Settings
from benchkit.suite.policy import load_policy
from benchkit.suite.problems import Problem, refusal
from benchkit.suite.read_yaml import POLICY, read_document
from benchkit.types.gate import (
    DEFAULT_POLICY,
    Explanation,
    GateReport,
    OnInconclusive,
    Policy,
    RuleResult,
    Scored,
    SpaceReport,
)

if TYPE_CHECKING:
    from benchkit.runner.run import PlannedModel
    from benchkit.suite.suite import Suite
    from benchkit.types.model import ModelSpec


@dataclass(frozen=True, slots=True)
class GateRequest:
    """A gate as it was asked for.

    Attributes:
        candidate: The model; with `result`, which model of it (None: its only one).
        baseline: "champion", "champion@VERSION", a baseline file, a result, or a model.
        result: Stored scores of the candidate: no model is loaded.
        policy: File with rules; None takes the suite's, else the default policy.
        cost: Whether costs are measured; None takes what the settings say.
    """

    baseline: str
    candidate: str | ModelSpec | None = None
    result: Path | None = None
    suite: str | None = None
    policy: Path | None = None
    device: str = "auto"
    offline: bool | None = None
    tracking_uri: str | None = None
    track: bool = True
    seed: int | None = None
    engine: str | None = None
    cost: bool | None = None
    on_inconclusive: OnInconclusive = "fail"
    report_only: bool = False
    command: str = ""
    start: Path = field(default_factory=Path.cwd)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def comparison(self, models: tuple[str | ModelSpec, ...]) -> Request:
        """Return the request that scores these models."""
        return Request(
            models=models,
            suite=self.suite,
            device=self.device,
            offline=self.offline,
            tracking_uri=self.tracking_uri,
            track=self.track,
            seed=self.seed,
            engine=self.engine,
            cost="off",
            command=self.command,
            start=self.start,
            environ=self.environ,
        )


@dataclass(frozen=True, slots=True)
class GateRun:
    """A gate that was run, with what it compared."""

    report: GateReport
    candidate: Scored
    settings: Settings
    tracking_uri: str | None


@dataclass(frozen=True, slots=True)
class Pair:
    """The models of a gate: the baseline's is None where it can't be opened, and `why_alone` says why."""

    candidate: PlannedModel
    baseline: PlannedModel | None
    why_alone: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found besides the scores, where models were at hand."""

    cost: tuple[RuleResult, ...] = ()
    space: SpaceReport | None = None
    why_no_space: str = "on stored results no model encodes"
    explanations: tuple[Explanation, ...] = ()
    warnings: tuple[str, ...] = ()


def find_baseline(request: GateRequest, settings: Settings, suite: str) -> Scored | None:
    """Return a baseline that was scored before; None where it is a model.

    Raises:
        NotComparable: a file or a champion was named, and there is none.
    """
    if not request.baseline.strip():
        # A script's variable that isn't set, and no wish for the folder that we are in.
        raise UsageError("--baseline: nothing is named; give `champion`, a baseline file, a result or a model")
    if is_champion(request.baseline):
        return read_champion(request.baseline, suite, tracking_uri=settings.tracking_uri)
    return read_scores(request.baseline) if is_file(request.baseline) else None


def policy_of(request: GateRequest, suite: Suite | None) -> Policy:
    """Return the rules that hold: the file's, else the suite's, else the default."""
    if request.policy is not None:
        return load_policy(request.policy)
    return (suite.gate if suite is not None else None) or DEFAULT_POLICY


def check_rules(policy: Policy, candidate: Scored, baseline: Scored, *, kinds: tuple[str, ...] = ("",)) -> None:
    """Refuse quality rules that ask for a task or a slice that isn't there, all at once.

    Args:
        kinds: How the rules begin that can be looked at already; "" for every rule.

    Raises:
        SuiteError: with the line of each in the policy's file.
    """
    pairs = pair_cells(candidate, baseline)
    problems = []
    for at, rule in enumerate(policy.quality):
        if not rule.on.startswith(kinds):
            continue
        try:
            targets_of(candidate, baseline, [rule], pairs)
        except UsageError as exc:
            problems.append((at, str(exc)))
    if problems:
        raise _refused(policy, problems)


def _refused(policy: Policy, problems: Sequence[tuple[int, str]]) -> UsageError:
    if policy.is_default:
        return UsageError("\n".join(message for _, message in problems))
    try:
        document, _ = read_document(Path(policy.source), POLICY)
    except SuiteError:
        document = None  # it has gone meanwhile
    lines = document.lines if document is not None else {}
    below = ("gate",) if ("gate",) in lines else ()
    found = [Problem((*below, "quality", at, "on"), message) for at, message in problems]
    return refusal(Path(policy.source), found, lines)


def judge(
    candidate: Scored,
    baseline: Scored,
    policy: Policy,
    *,
    request: GateRequest,
    started: float,
    device: str,
    findings: Findings | None = None,
    notes: Sequence[str] = (),
    quality: tuple[tuple[RuleResult, ...], str],
) -> GateReport:
    """Put all rules together; the verdict is decided here, once, by `gate.decide`.

    Args:
        quality: The judged quality rules and the sentence on power (judge_scores).
        started: Of the gate, by time.perf_counter().
    """
    found = findings or Findings()
    results, power = quality
    must_judge = not policy.is_default
    rules = (
        *results,
        *found.cost,
        *judge_limits(candidate, baseline, policy.limits, must_judge=must_judge),
        *judge_space(found.space, policy.same_space, found.why_no_space),
    )
    verdict = overall(rules)
    return GateReport(
        gate_id=uuid.uuid4().hex[:16],
        verdict=verdict,
        exit_code=exit_code(verdict, on_inconclusive=request.on_inconclusive, report_only=request.report_only),
        rules=rules,
        candidate=candidate.model,
        baseline=baseline.model,
        candidate_source=candidate.source,
        baseline_source=baseline.source,
        suite=candidate.suite,
        policy=policy,
        environment=describe_environment(device=device, command=request.command),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=time.perf_counter() - started,
        identical=same_content(candidate, baseline),
        on_inconclusive=request.on_inconclusive,
        report_only=request.report_only,
        power=power,
        space=found.space,
        explanations=found.explanations,
        warnings=(*notes, *found.warnings),
        command=request.command,
    )


def judge_scores(
    candidate: Scored, baseline: Scored, policy: Policy, settings: Settings
) -> tuple[tuple[RuleResult, ...], str]:
    """Judge the quality rules; draws that were made before are taken from the cache."""
    judged = judge_quality(candidate, baseline, policy.quality, draw=DrawCache(settings.cache_dir))
    return judged.results, judged.power


def with_label(spec: ModelSpec, taken: str) -> ModelSpec:
    """Return the baseline's spec under a label of its own."""
    return replace(spec, label=f"{spec.label} (baseline)") if spec.label == taken else spec
