"""benchkit beside plain mteb: same data, same weights, same machine, one run, ratios.

    inputs ── per round: A plain · B benchkit, in turn, each in a fresh process ──> seconds ──> ratios ──> table · JSON

    cold        B / A      three models on all tasks of the set, nothing cached               at most 0.60
    variants    B4 / B1    four dimension and precision variants of one model against one     at most 1.15
    warm        B2 / B     the cold command once more, everything cached                      at most 0.05
    overhead    each       (cell's seconds - those in encode) / those in encode, one model on the retrieval task;
                           the row "B, model" leaves out the loading of the model             at most 0.10

A is `mteb.evaluate(cache=None)`, one model after another, fresh task objects. B is benchkit's `prepare` and `run` with
a fresh cache folder. Seconds are those of the whole process, start and imports included: wall from outside, CPU by
os.times with children. Ratios are taken within a round and summed up by median, smallest and largest.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from inputs import TASK_SETS, Task, make_models, tasks_json, tasks_of, write_suite

from benchkit.settings import let_threads_sleep

HERE = Path(__file__).resolve().parent
DEFAULT_DATA = HERE.parent.parent / "shared" / "data"
MEASURES = ("cold", "variants", "warm", "overhead")
LIMITS = {"cold": 0.60, "variants": 1.15, "warm": 0.05, "overhead": 0.10}
SCORE_TOLERANCE = 1e-6
# Side, and what of the cell's seconds is left out. Plain mteb loads its model before the cell.
OVERHEADS = (("B", "nothing"), ("B", "model"), ("B", "loading"), ("A", "model"), ("A", "loading"))
VARIANTS: tuple[dict[str, Any], ...] = (
    {"label": "float32"},
    {"label": "dim128", "dim": 128},
    {"label": "int8", "precision": "int8"},
    {"label": "dim128-binary", "dim": 128, "precision": "binary"},
)

Answer = dict[str, Any]


@dataclass(slots=True)
class Bench:
    """What every job of this run shares."""

    tasks: tuple[Task, ...]
    data: Path
    folder: Path
    models: list[dict[str, str]]
    n_jobs: int = 0

    def plain(self, models: Sequence[dict[str, Any]], tasks: tuple[Task, ...]) -> Answer:
        return self._run("plain", models, tasks, cache=None, profile=False)

    def benchkit(
        self, models: Sequence[dict[str, Any]], tasks: tuple[Task, ...], cache: Path, *, profile: bool = False
    ) -> Answer:
        return self._run("benchkit", models, tasks, cache=cache, profile=profile)

    def fresh_cache(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="cache-", dir=self.folder))

    def _run(
        self, side: str, models: Sequence[dict[str, Any]], tasks: tuple[Task, ...], *, cache: Path | None, profile: bool
    ) -> Answer:
        self.n_jobs += 1
        folder = self.folder / f"job-{self.n_jobs}"
        folder.mkdir()
        job = {
            "side": side,
            "models": list(models),
            "tasks": tasks_json(tasks),
            "data": str(self.data),
            "suite": str(write_suite(folder / "suite.yaml", tasks, self.data)),
            "cache_dir": str(cache),
            "profile": profile,
        }
        job_path, answer_path = folder / "job.json", folder / "answer.json"
        job_path.write_text(json.dumps(job), encoding="utf-8")
        # Each job reads the files anew: `datasets` keeps its copy of local files by path.
        offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "datasets")}
        environ = {**os.environ, **offline}
        if side == "benchkit":
            let_threads_sleep(environ)  # as its command does
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, str(HERE / "side.py"), str(job_path), str(answer_path)],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        wall = time.perf_counter() - started
        if done.returncode:
            raise SystemExit(f"the {side} side failed:\n{done.stderr[-4000:]}")
        answer: Answer = json.loads(answer_path.read_text(encoding="utf-8"))
        answer["wall_s"] = wall
        models_text = ", ".join(model["label"] for model in models)
        say(f"  {side:9s} {models_text:40s} {wall:8.1f} s wall {answer['cpu_s']:8.1f} s CPU")
        return answer


@dataclass(slots=True)
class Round:
    """The answers of one round; None where a measure was not asked for."""

    answers: dict[str, Answer] = field(default_factory=dict)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ---------------------------------------------------------------- one round


def run_round(bench: Bench, measures: Sequence[str], *, plain_first: bool) -> Round:
    found: dict[str, Answer] = {}
    if "cold" in measures or "warm" in measures:
        cache = bench.fresh_cache()
        jobs: list[tuple[str, Callable[[], Answer]]] = [
            ("B cold", lambda: bench.benchkit(bench.models, bench.tasks, cache))
        ]
        if "cold" in measures:
            jobs.insert(0, ("A cold", lambda: bench.plain(bench.models, bench.tasks)))
        found |= _in_turn(jobs, plain_first)
        if "warm" in measures:
            found["B warm"] = bench.benchkit(bench.models, bench.tasks, cache)
    if "variants" in measures:
        found |= _in_turn(_variant_jobs(bench), plain_first)
    if "overhead" in measures:
        found |= _in_turn(_overhead_jobs(bench), plain_first)
    return Round(found)


def _in_turn(jobs: list[tuple[str, Callable[[], Answer]]], forward: bool) -> dict[str, Answer]:
    return {name: job() for name, job in (jobs if forward else jobs[::-1])}


def _variant_jobs(bench: Bench) -> list[tuple[str, Callable[[], Answer]]]:
    path = bench.models[0]["path"]
    four = [{**variant, "path": path} for variant in VARIANTS]
    return [
        ("B one", lambda: bench.benchkit(four[:1], bench.tasks, bench.fresh_cache())),
        ("B four", lambda: bench.benchkit(four, bench.tasks, bench.fresh_cache())),
    ]


def _overhead_jobs(bench: Bench) -> list[tuple[str, Callable[[], Answer]]]:
    one = bench.models[:1]
    retrieval = next((task,) for task in bench.tasks if task.type == "Retrieval")
    return [
        ("A retrieval", lambda: bench.plain(one, retrieval)),
        ("B retrieval", lambda: bench.benchkit(one, retrieval, bench.fresh_cache())),
    ]


# ---------------------------------------------------------------- what the rounds say


def ratios(rounds: Sequence[Round], measures: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row for each measure and clock: median, smallest and largest over the rounds."""
    rows = []
    for measure, top, bottom in (("cold", "B cold", "A cold"), ("variants", "B four", "B one")):
        if measure in measures:
            rows += [_row(measure, rounds, clock, _quotient(top, bottom, clock)) for clock in ("wall_s", "cpu_s")]
    if "warm" in measures:
        rows += [_row("warm", rounds, clock, _quotient("B warm", "B cold", clock)) for clock in ("wall_s", "cpu_s")]
    if "overhead" in measures:
        rows += [_row("overhead", rounds, f"{side}, {what}", _overhead(side, what)) for side, what in OVERHEADS]
    return rows


def overhead(answer: Answer, *, without: str) -> float:
    """Return the seconds of a retrieval cell that were not spent in the model's encode, per second of encode.

    Args:
        without: "nothing" left out; "model" leaves out the loading of the model, and the import of torch with it,
            which happens in benchkit's cell and before that of plain mteb; "loading" leaves out that of the data too.
    """
    (cell,) = answer["cells"]
    stages = answer["stages"]
    seconds = cell["seconds"]
    if without != "nothing":
        seconds -= stages.get("load model", 0.0)
    if without == "loading":
        seconds -= stages["load data"]
    return float((seconds - cell["encode_s"]) / cell["encode_s"])


def _overhead(side: str, without: str) -> Callable[[Round], float]:
    return lambda r: overhead(r.answers[f"{side} retrieval"], without=without)


def _quotient(top: str, bottom: str, clock: str) -> Callable[[Round], float]:
    return lambda r: r.answers[top][clock] / r.answers[bottom][clock]


def _row(measure: str, rounds: Sequence[Round], what: str, value: Callable[[Round], float]) -> dict[str, Any]:
    values = [value(one) for one in rounds]
    # The limit of the overhead is for benchkit's cell once its model is loaded; the other rows are shown beside it.
    limit = LIMITS[measure] if measure != "overhead" or what == "B, model" else None
    return {
        "measure": measure,
        "what": what.removesuffix("_s"),
        "median": median(values),
        "min": min(values),
        "max": max(values),
        "limit": limit,
    }


def score_differences(rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """Return the score of each cell on both sides with the largest difference over the rounds."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in rounds:
        plain = {(cell["model"], cell["task"]): cell["score"] for cell in one.answers["A cold"]["cells"]}
        ours = {(cell["model"], cell["task"]): cell["score"] for cell in one.answers["B cold"]["cells"]}
        if plain.keys() != ours.keys():
            raise SystemExit(f"the sides have different cells: {sorted(plain.keys() ^ ours.keys())}")
        for key, score in plain.items():
            difference = abs(ours[key] - score)
            if key not in found or difference > found[key]["difference"]:
                found[key] = {"model": key[0], "task": key[1], "A": score, "B": ours[key], "difference": difference}
    return list(found.values())


def print_ratios(rows: Sequence[dict[str, Any]]) -> None:
    print(f"{'measure':10s} {'clock, or without':18s} {'median':>8s} {'min':>8s} {'max':>8s} {'limit':>8s}")
    for row in rows:
        limit = "-" if row["limit"] is None else f"{row['limit']:.2f}"
        numbers = " ".join(f"{row[name]:8.3f}" for name in ("median", "min", "max"))
        print(f"{row['measure']:10s} {row['what']:18s} {numbers} {limit:>8s}")


def print_seconds(rounds: Sequence[Round]) -> None:
    print(f"\n{'job':12s} {'wall s':>20s} {'CPU s':>20s}   median (min-max)")
    for job in rounds[0].answers:
        cells = []
        for clock in ("wall_s", "cpu_s"):
            values = [one.answers[job][clock] for one in rounds]
            cells.append(f"{median(values):.1f} ({min(values):.1f}-{max(values):.1f})")
        print(f"{job:12s} {cells[0]:>20s} {cells[1]:>20s}")


def print_scores(rows: Sequence[dict[str, Any]]) -> None:
    print(f"\n{'scores':40s} {'A plain':>10s} {'B':>10s} {'|B - A|':>10s}")
    for row in rows:
        flag = "" if row["difference"] <= SCORE_TOLERANCE else "  differs"
        name = f"{row['model']} {row['task']}"
        print(f"{name:40s} {row['A']:10.6f} {row['B']:10.6f} {row['difference']:10.1e}{flag}")
    if any(row["difference"] > SCORE_TOLERANCE for row in rows):
        print(
            "A batch's composition changes a vector's last bits (1e-7). Retrieval, STS and pair scores hardly feel it; "
            "k-means and logistic regression may put single items elsewhere."
        )


# ---------------------------------------------------------------- profile


def profile(bench: Bench) -> dict[str, Any]:
    """Print where benchkit's time goes, cold and warm, with the record in a temporary MLflow store."""
    cache = bench.fresh_cache()
    answers = {name: bench.benchkit(bench.models, bench.tasks, cache, profile=True) for name in ("cold", "warm")}
    stages = {name: answer["stages"] for name, answer in answers.items()}
    names = sorted({stage for own in stages.values() for stage in own}, key=lambda s: -stages["cold"].get(s, 0.0))
    print(f"{'stage':22s} {'cold s':>9s} {'%':>6s} {'warm s':>9s} {'%':>6s}")
    for stage in names:
        cells = []
        for own in stages.values():
            seconds = own.get(stage, 0.0)
            cells.append(f"{seconds:9.2f} {100 * seconds / sum(own.values()):6.1f}")
        print(f"{stage:22s} {' '.join(cells)}")
    totals = " ".join(f"{sum(own.values()):9.2f} {'':6s}" for own in stages.values())
    print(f"{'total':22s} {totals}")
    return {name: {"wall_s": answer["wall_s"], "stages": answer["stages"]} for name, answer in answers.items()}


# ---------------------------------------------------------------- command


def environment() -> dict[str, Any]:
    libraries = ("benchkit", "mteb", "torch", "sentence-transformers", "scikit-learn", "numpy")
    return {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
    }


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare benchkit's speed with plain mteb's.")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, metavar="DIR", help="evaluation data (README.md)")
    parser.add_argument("--tasks", choices=sorted(TASK_SETS), default="quick", help="task set [quick]")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds, the order alternating [3]")
    parser.add_argument("--measures", nargs="+", choices=MEASURES, default=list(MEASURES), help="which [all]")
    parser.add_argument("--profile", action="store_true", help="show where benchkit's time goes, and stop")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write everything as JSON")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {options.rounds}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 1 when a score of the two sides differs by more than the tolerance."""
    options = parse(arguments)
    data = options.data.resolve()
    tasks = tasks_of(options.tasks, data)
    facts = environment()
    say(f"{options.tasks}: {', '.join(task.name for task in tasks)}; load average {facts['load_average'][0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="benchkit-benchmark-") as folder:
        bench = Bench(tasks, data, Path(folder), make_models(Path(folder)))
        if options.profile:
            report: dict[str, Any] = {"environment": facts, "tasks": options.tasks, "profile": profile(bench)}
            differ = False
        else:
            report, differ = _measure(bench, options, facts)
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 1 if differ else 0


def _measure(bench: Bench, options: argparse.Namespace, facts: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    rounds = []
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        rounds.append(run_round(bench, options.measures, plain_first=number % 2 == 0))
    rows = ratios(rounds, options.measures)
    scores = score_differences(rounds) if "cold" in options.measures else []
    print_ratios(rows)
    print_seconds(rounds)
    if scores:
        print_scores(scores)
    report = {
        "environment": facts,
        "tasks": options.tasks,
        "ratios": rows,
        "scores": scores,
        "rounds": [one.answers for one in rounds],
    }
    return report, any(row["difference"] > SCORE_TOLERANCE for row in scores)


if __name__ == "__main__":
    sys.exit(main())
