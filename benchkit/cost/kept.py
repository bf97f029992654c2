"""Measured sessions, kept under everything that decides their figures, so that a warm comparison measures nothing.

    key = hash(plan, models, task sources, hardware, threads, library versions, seed) ── <cache>/costs/<key>.json

A key holds the hardware, so that costs of another machine are never taken for this one's, and no label: a model that is
called otherwise today is the same model. Files are written beside and renamed; each holds the digest of its content,
and a damaged one is measured again. A session in which a process failed isn't kept: the next run tries again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchkit.cost.design import Design
from benchkit.cost.phases import Notice
from benchkit.cost.session import SessionRecord
from benchkit.embeddings.fingerprint import digest_json
from benchkit.embeddings.whole import write_whole
from benchkit.types.cost import CostSamples, ProcessFacts, Sample

# Change it when the meaning of a stored sample changes; old files are then ignored.
FORMAT = 2  # sessions of 1 were in one half
# Libraries whose version can change how long a call takes.
DECIDING_LIBRARIES = (
    "benchkit",
    "torch",
    "transformers",
    "sentence-transformers",
    "tokenizers",
    "numpy",
    "scikit-learn",
    "openvino",
    "model2vec",
)
# Variables that decide how many threads compute, and which of torch's kernels.
DECIDING_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "OPENBLAS_THREAD_TIMEOUT",
    "KMP_BLOCKTIME",
    "KMP_AFFINITY",
    "GOMP_CPU_AFFINITY",
    "TOKENIZERS_PARALLELISM",
    "RAYON_NUM_THREADS",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_TF32_OVERRIDE",
)
_SAMPLE_FIELDS = tuple(field.name for field in fields(Sample))


def cost_key(design: Design, *, tasks: Sequence[str], hardware: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """Return the name under which a session is kept (32 hex digits).

    Args:
        tasks: Their digests; one of them gives the texts.
    """
    key = digest_json(
        {
            "format": FORMAT,
            "plan": asdict(design.plan),
            "models": [model.identity for model in design.models],
            "reference": design.reference_place,
            "tasks": list(tasks),
            "device": design.device,
            "hardware": dict(hardware),
            "environment": {name: environ[name] for name in DECIDING_VARIABLES if name in environ},
            "libraries": {name: _version(name) for name in DECIDING_LIBRARIES},
            "seed": design.seed,
            "tolerance": design.tolerance,
        }
    )
    # An addition, so that the keys of what was kept before stay as they are.
    return digest_json({"session": key, "start": "reversed"}) if design.reversed_start else key


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


class KeptSessions:
    """Measured sessions on disk. A folder that can't be written is no reason to stop: `put` then returns False."""

    def __init__(self, cache_dir: Path) -> None:
        self.folder = cache_dir / "costs"

    def get(self, key: str, labels: Sequence[str]) -> SessionRecord | None:
        """Return a kept session with its models under these labels, in their order; None where there is none."""
        try:
            envelope = json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
            content = envelope["content"]
            if envelope["digest"] != digest_json(content):
                return None
            return _relabelled(_decode(content), labels)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: str, record: SessionRecord) -> bool:
        """Keep a session in which no process failed; return whether that worked."""
        if not record.is_complete:
            return False
        content = _encode(record)
        text = json.dumps({"digest": digest_json(content), "content": content}, allow_nan=False)
        try:
            write_whole(self.folder / f"{key}.json", text.encode(), is_synced=True)
        except OSError:
            return False
        return True


def _encode(record: SessionRecord) -> dict[str, Any]:
    samples = record.samples
    return {
        "order": list(samples.order),
        # A row each: with its names in every one, a full session would be three times as large.
        "fields": list(_SAMPLE_FIELDS),
        "samples": [[getattr(sample, name) for name in _SAMPLE_FIELDS] for sample in samples.samples],
        "processes": [asdict(facts) for facts in samples.processes],
        "notices": [[notice.text, list(notice.models)] for notice in record.notices],
        "measured_at": record.measured_at,
        "seconds": record.seconds,
    }


def _decode(content: Mapping[str, Any]) -> SessionRecord:
    names = content["fields"]
    samples = tuple(Sample(**dict(zip(names, row, strict=True))) for row in content["samples"])
    processes = tuple(ProcessFacts(**facts) for facts in content["processes"])
    return SessionRecord(
        samples=CostSamples(tuple(content["order"]), samples, processes),
        notices=tuple(Notice(text, tuple(models)) for text, models in content["notices"]),
        measured_at=content["measured_at"],
        seconds=content["seconds"],
    )


def _relabelled(record: SessionRecord, labels: Sequence[str]) -> SessionRecord:
    now = dict(zip(record.samples.order, labels, strict=True))
    samples = CostSamples(
        order=tuple(labels),
        samples=tuple(replace(sample, model=now[sample.model]) for sample in record.samples.samples),
        processes=tuple(replace(facts, model=now[facts.model]) for facts in record.samples.processes),
    )
    notices = tuple(replace(notice, models=tuple(now[label] for label in notice.models)) for notice in record.notices)
    return replace(record, samples=samples, notices=notices)
