"""How often the gate blocks a model that didn't change: stored scores 500 times, the whole cost path 40 times.

    stored: scores of MiniLM under two fingerprints, latencies resampled from rounds of two of its processes
            ── baseline.json, candidate.json ── `benchkit gate --result ... --baseline ...` ── exit code
    live:   two copies of MiniLM in fresh processes ── sessions, confirmation ── cost rules of the default policy

    python benchmarks/gate_aa.py --stored 500 --live 40

Wanted: nothing blocked for quality, at most 1 % for cost.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchkit.api.baseline import score
from benchkit.api.request import Prepared, Request, prepare
from benchkit.cli.main import main as benchkit
from benchkit.cost.measure import CostRequest, MeasuredCosts, measure_costs
from benchkit.gate.cost import CostSession, judge_cost, needs_confirmation
from benchkit.store.scored_file import write_scored
from benchkit.types.cost import CostSamples, Sample
from benchkit.types.gate import DEFAULT_POLICY, RuleResult, Scored
from benchkit.types.model import ModelSpec

CANDIDATE, BASELINE = "candidate", "minilm"


def main() -> int:
    options = _options()
    specs = tuple(ModelSpec(label=label, name=options.model) for label in (CANDIDATE, BASELINE))
    request = Request(models=specs, suite=options.suite, offline=True, track=False, cost="off")
    prepared = prepare(request)
    blocked = 0
    if options.stored:
        blocked += stored(prepared, request, options)
    if options.live:
        blocked += live(prepared, options)
    return 1 if blocked else 0


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--suite", default="quickstart")
    parser.add_argument("--stored", type=int, default=500, metavar="N", help="gates on stored scores [500]")
    parser.add_argument("--live", type=int, default=40, metavar="N", help="whole cost paths [40]")
    parser.add_argument("--seed", type=int, default=42)
    return parser.parse_args()


# ------------------------------------------------------------ stored


def stored(prepared: Prepared, request: Request, options: Any) -> int:
    """Run gates on files and return whether more were blocked than wanted."""
    scored = score(replace(request, models=request.models[:1]))
    measured = session(prepared, seed=options.seed)
    exits: Counter[int] = Counter()
    verdicts: Counter[tuple[str, str]] = Counter()
    started = time.monotonic()
    with TemporaryDirectory() as folder:
        rng = random.Random(options.seed)
        for _ in range(options.stored):
            report = _gate(Path(folder), scored, measured, resampled(measured.samples, rng))
            exits[report["exit_code"]] += 1
            verdicts.update((rule["group"], rule["verdict"]) for rule in report["rules"])
    seconds = (time.monotonic() - started) / options.stored
    print(f"{options.stored} gates on stored scores, {seconds:.2f} s each: exit codes {dict(exits)}")
    for (group, verdict), n in sorted(verdicts.items()):
        print(f"  {group}: {verdict} {n}")
    quality = sum(n for (group, verdict), n in verdicts.items() if group == "quality" and verdict != "pass")
    return int(quality > 0 or options.stored - exits[0] > 0.01 * options.stored)


def _gate(folder: Path, scored: Scored, measured: MeasuredCosts, samples: CostSamples) -> dict[str, Any]:
    """Write both files and run the command on them, as a team's CI would."""
    for label, fingerprint in ((CANDIDATE, "c" * 64), (BASELINE, "b" * 64)):
        # Another fingerprint, or the scores would be known to be equal without a look.
        model = replace(scored.model, name=label, fingerprint=fingerprint)
        cells = tuple(replace(cell, model=label) for cell in scored.cells)
        one = replace(scored, model=model, cells=cells, cost=measured.report, samples=samples)
        write_scored(folder / f"{label}.json", one)
    names = ["--result", str(folder / f"{CANDIDATE}.json"), "--baseline", str(folder / f"{BASELINE}.json")]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = benchkit(["gate", *names, "--no-track", "--quiet", "--json", str(folder / "gate.json")])
    report: dict[str, Any] = json.loads((folder / "gate.json").read_text(encoding="utf-8"))
    assert report["exit_code"] == code
    return report


def resampled(samples: CostSamples, rng: random.Random) -> CostSamples:
    """Draw rounds with replacement, each with the calls of both processes that were made in it."""
    by_kind: dict[tuple[str, str | None], dict[int, list[Sample]]] = {}
    for sample in samples.samples:
        by_kind.setdefault((sample.kind, sample.length_class), {}).setdefault(sample.round, []).append(sample)
    drawn: list[Sample] = []
    number = 0
    for rounds in by_kind.values():
        for calls in rng.choices(list(rounds.values()), k=len(rounds)):
            # Which of two equal processes is called the candidate is chance too.
            drawn += [replace(call, round=number) for call in _exchanged(calls, exchange=rng.random() < 0.5)]
            number += 1
    return replace(samples, samples=tuple(drawn))


def _exchanged(calls: Sequence[Sample], *, exchange: bool) -> list[Sample]:
    names = {CANDIDATE: BASELINE, BASELINE: CANDIDATE} if exchange else {}
    return [call if call.copy else replace(call, model=names.get(call.model, call.model)) for call in calls]


# ------------------------------------------------------------ live


def live(prepared: Prepared, options: Any) -> int:
    """Run the cost path as a gate runs it and return whether a run was blocked."""
    blocked = confirmed = 0
    ratios: dict[str, list[float]] = {}
    started = time.monotonic()
    for number in range(options.live):
        rules, n_sessions = cost_path(prepared, options.seed + 2 * number)
        blocked += any(rule.verdict != "pass" for rule in rules)
        said = ", ".join(f"{rule.id} {rule.change:.3f} {rule.verdict}" for rule in rules if rule.change is not None)
        print(f"  run {number + 1}, {n_sessions} session(s): {said}", flush=True)
        confirmed += n_sessions > 1
        for rule in rules:
            ratios.setdefault(rule.id, []).append(rule.change or float("nan"))
            if rule.verdict != "pass":
                print(f"    {rule.sentence}", flush=True)
    print(f"{options.live} live A/A runs, {(time.monotonic() - started) / options.live:.0f} s each: {blocked} blocked")
    print(f"  {confirmed} had a second session")
    for name, values in ratios.items():
        print(f"  {name}: ratio {min(values):.3f} to {max(values):.3f}")
    return blocked


def cost_path(prepared: Prepared, seed: int) -> tuple[tuple[RuleResult, ...], int]:
    """Measure and judge once, and again where the first look is no pass."""
    sessions = [_cost_session(prepared, seed, is_second=False)]
    rules = judge_cost(sessions, CANDIDATE, BASELINE, DEFAULT_POLICY.cost)
    if needs_confirmation(rules):
        sessions.append(_cost_session(prepared, seed + 1, is_second=True))
        rules = judge_cost(sessions, CANDIDATE, BASELINE, DEFAULT_POLICY.cost)
    return rules, len(sessions)


def _cost_session(prepared: Prepared, seed: int, *, is_second: bool) -> CostSession:
    measured = session(prepared, seed=seed, is_second=is_second)
    return CostSession(measured.report, measured.samples)


def session(prepared: Prepared, *, seed: int, is_second: bool = False) -> MeasuredCosts:
    models = [(model.spec, model.meta) for model in prepared.models]
    request = CostRequest(models, BASELINE, level="quick", seed=seed, reversed_start=is_second, split_identical=True)
    return measure_costs(request, prepared.tasks, replace(prepared.context, offline=True), refresh=True)


if __name__ == "__main__":
    sys.exit(main())
