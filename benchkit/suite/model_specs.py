"""From the models of a suite file to ModelSpecs with labels that are unique.

    "minilm@dim=128"                    ─┐
    {name: minilm, dim: 128, label: s}  ─┴─ parse_model ──> ModelSpec

The two forms go one way: keys become the short form first, so that both give the same label and the same digest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from benchkit.errors import ModelError
from benchkit.models.names import parse_model, resolve_loader
from benchkit.suite.cross_check import resolve
from benchkit.suite.problems import Place, Problem, show_place, suggestion
from benchkit.suite.schema import ModelEntry
from benchkit.types.model import ModelSpec

_SERVER_KEYS = ("base_url", "model", "api_key_env")


def read_models(
    entries: Sequence[str | ModelEntry | None], baseline: str | None, folder: Path
) -> tuple[tuple[ModelSpec, ...], list[Problem]]:
    """Return the specs of the entries that can be read, and the problems of the others.

    Args:
        entries: As the file lists them; None for one that its schema refused.
        baseline: The label that the file names.
        folder: The file's, where ./model folders are looked for.
    """
    specs: list[ModelSpec] = []
    problems: list[Problem] = []
    taken: dict[str, Place] = {}
    for position, entry in enumerate(entries):
        if entry is None:
            continue
        place: Place = ("models", position)
        try:
            spec = _in_folder(_spec(entry), folder)
            resolve_loader(spec)
        except ModelError as exc:
            problems.append(Problem(place, str(exc)))
            continue
        if spec.label in taken:
            first = show_place(taken[spec.label])
            problems.append(
                Problem(place, f"the label '{spec.label}' is taken by {first}; give one of the two a label")
            )
        taken.setdefault(spec.label, place)
        specs.append(spec)
    if len(specs) == len(entries):
        problems += _baseline(baseline, list(taken))
    return tuple(specs), problems


def _spec(entry: str | ModelEntry) -> ModelSpec:
    if isinstance(entry, str):
        return parse_model(entry)
    spec = parse_model(_short_form(entry))
    server = {key: value for key in _SERVER_KEYS if (value := getattr(entry, key)) is not None}
    return dataclasses.replace(
        spec,
        label=entry.label or spec.label,
        prompts=entry.prompts,
        trust_remote_code=entry.trust_remote_code,
        options={**server, **entry.options},
    )


def _short_form(entry: ModelEntry) -> str:
    """Return "minilm@dim=128,precision=int8"; a key that the name holds already is then refused as given twice."""
    values = {
        "dim": entry.dim if entry.dim is not None else entry.truncate_dim,
        "precision": entry.precision,
        "normalize": None if entry.normalize is None else str(entry.normalize).lower(),
        "max_seq_length": entry.max_seq_length,
        "revision": entry.revision,
        "loader": entry.loader,
    }
    parts = [f"{key}={value}" for key, value in values.items() if value is not None]
    if not parts:
        return entry.name
    return f"{entry.name}{',' if '@' in entry.name else '@'}{','.join(parts)}"


def _in_folder(spec: ModelSpec, folder: Path) -> ModelSpec:
    """Resolve ./model and ../model beside the suite file, as its data are."""
    if not spec.name.startswith(("./", "../")):
        return spec
    return dataclasses.replace(spec, name=str(resolve(spec.name, folder)))


def _baseline(baseline: str | None, labels: list[str]) -> list[Problem]:
    # Without models in the file they come from the command line, and so does the check.
    if baseline is None or not labels or baseline in labels:
        return []
    hint = suggestion(baseline, labels) or f"; labels: {', '.join(labels)}"
    return [Problem(("baseline",), f"no model has the label '{baseline}'{hint}")]
