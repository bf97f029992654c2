"""What both sides of the comparison get: tasks on local data, and three models of one cost with different weights.

    --data DIR, --tasks SET ──tasks_of──> Task x n ──write_suite──> suite.yaml (benchkit)
    packaged MiniLM ──make_models──> itself + two copies with a perturbed last layer

A data folder is named as the hub data set of the MTEB task with "/" written "__".
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Relative to the standard deviation of each weight matrix: other scores, the same cost.
PERTURBATION = 0.2
LABELS = ("minilm", "minilm-seed1", "minilm-seed2")


@dataclass(frozen=True, slots=True)
class Task:
    """An MTEB task on a local copy of its data; `items` cuts it, for a check that the benchmark itself works."""

    name: str
    type: str
    folder: str
    subsets: tuple[str, ...] = ()
    items: int | None = None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Task:
        return cls(**{**values, "subsets": tuple(values["subsets"])})


BITEXT = Task("Tatoeba", "BitextMining", "mteb__tatoeba-bitext-mining", ("deu-eng",))
CLUSTERING = Task("SIB200ClusteringS2S", "Clustering", "mteb__sib200", ("eng_Latn",))
PAIRS = Task("FarsTail", "PairClassification", "mteb__FarsTail")
SHORT_RETRIEVAL = Task("LegalSummarization", "Retrieval", "mteb__legal_summarization")

# The first Retrieval task of a set is the one of the overhead measure.
TASK_SETS: dict[str, tuple[Task, ...]] = {
    "tiny": (
        Task("STS16", "STS", "mteb__sts16-sts", items=200),
        Task("PoemSentimentClassification", "Classification", "mteb__PoemSentimentClassification", items=200),
        Task("LegalSummarization", "Retrieval", "mteb__legal_summarization", items=60),
    ),
    "quick": (
        Task("STS16", "STS", "mteb__sts16-sts"),
        Task("PoemSentimentClassification", "Classification", "mteb__PoemSentimentClassification"),
        SHORT_RETRIEVAL,
        PAIRS,
        BITEXT,
        CLUSTERING,
    ),
    "full": (
        Task("STSBenchmark", "STS", "mteb__stsbenchmark-sts"),
        Task("Banking77Classification", "Classification", "mteb__banking77"),
        Task("XQuADRetrieval", "Retrieval", "mteb__XQuADRetrieval", ("en",)),
        PAIRS,
        BITEXT,
        CLUSTERING,
    ),
}


def tasks_of(name: str, data: Path) -> tuple[Task, ...]:
    """Return a task set.

    Raises:
        SystemExit: the data are not there; the message names what is missing.
    """
    if not data.is_dir():
        raise SystemExit(f"{data}: no such folder; name the folder of the evaluation data with --data DIR (README.md)")
    tasks = TASK_SETS[name]
    missing = [f"{data / task.folder}  ({task.name})" for task in tasks if not (data / task.folder).is_dir()]
    if missing:
        raise SystemExit("\n".join([f"the task set {name!r} needs data that are not there:", *missing]))
    return tasks


def write_suite(path: Path, tasks: tuple[Task, ...], data: Path) -> Path:
    """Write the suite file of the tasks; JSON is YAML."""
    entries = []
    for task in tasks:
        entry: dict[str, Any] = {"name": task.name, "data": str(data / task.folder)}
        if task.subsets:
            entry["subsets"] = list(task.subsets)
        if task.items is not None:
            entry["limits"] = {"items": task.items}
        entries.append(entry)
    path.write_text(json.dumps({"name": "benchmark", "tasks": entries}, indent=1), encoding="utf-8")
    return path


def tasks_json(tasks: tuple[Task, ...]) -> list[dict[str, Any]]:
    return [asdict(task) for task in tasks]


def make_models(folder: Path) -> list[dict[str, str]]:
    """Write the two perturbed models and return label and directory of all three, the packaged one first."""
    from benchkit.models.hub import packaged_minilm

    original = packaged_minilm()
    if original is None:
        raise SystemExit("the packaged MiniLM weights are missing; install benchkit[offline]")
    places = [original]
    for seed, label in enumerate(LABELS[1:], 1):
        places.append(_perturbed(original, folder / label, seed))
    return [{"label": label, "path": str(place)} for label, place in zip(LABELS, places, strict=True)]


def _perturbed(original: Path, target: Path, seed: int) -> Path:
    """Copy a model and add noise to its last layer; the files around the weights stay byte for byte."""
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(original, target)
    weights = load_file(target / "model.safetensors")
    last = max(int(name.split(".layer.")[1].split(".")[0]) for name in weights if ".layer." in name)
    noise = torch.Generator().manual_seed(seed)
    for name in sorted(weights):
        values = weights[name]
        if f".layer.{last}." in name and values.dim() == 2:
            weights[name] = values + PERTURBATION * values.std() * torch.randn(values.shape, generator=noise)
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    return target
