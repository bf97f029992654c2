"""One side of the comparison, in a process of its own.

    job.json ── plain: mteb.evaluate(cache=None), one model after another, fresh task objects ──┐
             └─ benchkit: prepare + run, with the job's cache folder ───────────────────────────┴──> answer.json

Started by compare_with_mteb.py: python side.py JOB ANSWER. The answer holds the CPU seconds of this process and its
children since its start, imports included; the wall time is taken by who started it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from inputs import Task


def main(job_path: str, answer_path: str) -> None:
    job = json.loads(Path(job_path).read_text(encoding="utf-8"))
    answer = (plain_side if job["side"] == "plain" else benchkit_side)(job)
    times = os.times()
    answer["cpu_s"] = times.user + times.system + times.children_user + times.children_system
    Path(answer_path).write_text(json.dumps(answer), encoding="utf-8")


# ---------------------------------------------------------------- plain mteb


class EncodeSpy:
    """Counts the wall time that a SentenceTransformer spends in `encode`, whichever of its methods is called."""

    def __init__(self, model: Any) -> None:
        self.seconds = 0.0
        self.texts = 0
        self._encode = model.encode
        model.encode = self

    def __call__(self, *args: Any, **options: Any) -> Any:
        started = time.perf_counter()
        vectors = self._encode(*args, **options)
        self.seconds += time.perf_counter() - started
        self.texts += len(vectors)
        return vectors


def plain_side(job: dict[str, Any]) -> dict[str, Any]:
    import mteb
    from sentence_transformers import SentenceTransformer

    cells = []
    load_model_s = load_data_s = 0.0
    tasks = [Task.from_json(values) for values in job["tasks"]]
    classes = [_on_local_data(task, Path(job["data"])) for task in tasks]
    for model in job["models"]:
        started = time.perf_counter()
        encoder = SentenceTransformer(model["path"], device="cpu")
        load_model_s += time.perf_counter() - started
        spy = EncodeSpy(encoder)
        # A fresh object for each model and task: MTEB's clustering draws with the object's own random source.
        for task_class in classes:
            before, texts, started = spy.seconds, spy.texts, time.perf_counter()
            task = _filtered(task_class)
            result = mteb.evaluate(encoder, task, cache=None, co2_tracker=False, show_progress_bar=False)
            found = result.task_results[0]
            seconds = time.perf_counter() - started
            load_data_s += task.load_data_s
            cells.append(
                {
                    "model": model["label"],
                    "task": found.task_name,
                    "score": _mean_score(found.scores),
                    "seconds": seconds,
                    "encode_s": spy.seconds - before,
                    "texts_encoded": spy.texts - texts,
                }
            )
    return {"cells": cells, "load_model_s": load_model_s, "stages": {"load data": load_data_s}}


def _mean_score(scores: Any) -> float:
    values = [float(entry["main_score"]) for entries in scores.values() for entry in entries]
    return sum(values) / len(values)


def _on_local_data(task: Task, data: Path) -> Any:
    """Return the task's class with the data folder as its data set."""
    import mteb

    task_class = type(mteb.get_task(task.name))
    dataset = {**task_class.metadata.dataset, "path": str(data / task.folder), "revision": "local"}
    metadata = task_class.metadata.model_copy(update={"dataset": dataset})
    content = {"metadata": metadata, "wanted": task, "load_data": _load_data, "load_data_s": 0.0}
    return type(task_class.__name__, (task_class,), content)


def _filtered(task_class: Any) -> Any:
    task = task_class()
    if task_class.wanted.subsets:
        task.filter_languages(None, hf_subsets=list(task_class.wanted.subsets))
    return task


def _load_data(self: Any, **options: Any) -> None:
    if self.data_loaded:
        return
    started = time.perf_counter()
    super(type(self), self).load_data(**options)
    if self.wanted.items is not None:
        _cut(self)
    self.load_data_s = time.perf_counter() - started


def _cut(task: Any) -> None:
    """Cut the data as a suite's limits do; for the tiny set, which is no measurement."""
    from benchkit.tasks.limiting import limit_data
    from benchkit.types.task import TaskLimits

    if hasattr(task, "convert_v1_dataset_format_to_v2"):
        task.convert_v1_dataset_format_to_v2(num_proc=None)
    limit_data(task, TaskLimits(items=task.wanted.items))


# ---------------------------------------------------------------- benchkit


def benchkit_side(job: dict[str, Any]) -> dict[str, Any]:
    from stages import StageClock, watch, watch_imports

    clock = StageClock()
    if job["profile"]:
        watch_imports(clock)
    from benchkit.api.request import Request, prepare
    from benchkit.api.run import run
    from benchkit.types.model import ModelSpec, Variant

    watch(clock)
    request = Request(
        models=tuple(
            ModelSpec(
                label=model["label"],
                name=model["path"],
                variant=Variant(truncate_dim=model.get("dim"), precision=model.get("precision", "float32")),
            )
            for model in job["models"]
        ),
        suite=job["suite"],
        device="cpu",
        offline=True,
        track=job["profile"],
        cost="off",
        start=Path(job["suite"]).parent,
        environ={**os.environ, "BENCHKIT_CACHE_DIR": job["cache_dir"], "MLFLOW_TRACKING_URI": ""},
    )
    prepared = prepare(request)
    finished = run(prepared)
    if job["profile"]:
        from benchkit.api.record import record

        record(finished, prepared)
    cells = [_cell(cell) for cell in finished.cells]
    return {"cells": cells, "stages": clock.finish(), "warnings": list(finished.comparison.warnings)}


def _cell(cell: Any) -> dict[str, Any]:
    if cell.status != "ok":
        raise SystemExit(f"{cell.model} on {cell.task}: {cell.status}: {cell.reason}")
    return {
        "model": cell.model,
        "task": cell.task,
        "score": cell.main_score,
        "seconds": cell.seconds,
        "encode_s": cell.encode_seconds,
        "texts_encoded": cell.texts_encoded,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
