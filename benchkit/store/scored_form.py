"""The form of a baseline file, and how a file that doesn't fit is told of.

    JSON object ── valid_form ──> ScoredForm ── the names of arrays ──> store.packed
                       └── Unfit: "tasks[0].n_items: found -1, should be greater than or equal to 0"

docs/baseline.schema.json is made from these forms. Numbers are bounded here, before anything is made of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchkit.types.cost import CostLevel, CostStatus, RatioVerdict
from benchkit.types.model import Precision, Similarity
from benchkit.types.result import CellStatus, ItemKind

SCHEMA: Literal["benchkit.scored"] = "benchkit.scored"
SCHEMA_VERSION: Literal[1] = 1
MAX_ELEMENTS = 2**27  # of one array
HASH_DIGITS = 16
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SHOWN = 60  # characters of a value in a message

Form = TypeVar("Form", bound=BaseModel)

Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
NItems = Annotated[int, Field(ge=0, le=MAX_ELEMENTS)]
ArrayName = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{HASH_DIGITS}}}$")]
# Numbers of at most 64 bits, which are the same on every machine, and text; never an object, which could be code.
_DTYPE = r"^([<>]f[248]|[<>][iu][248]|\|[iub]1|[<>]U[1-9][0-9]{0,5})$"


class _Form(BaseModel):
    # strict: "61.2" in quotes is not a number. extra: a key that we would lose must not look as if it were read.
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class SuiteForm(_Form):
    name: str
    digest: str
    path: str | None
    description: str
    limited: bool


class ModelForm(_Form):
    name: str
    id: str
    revision: str | None
    fingerprint: str
    """Hash of all that decides the vectors before truncation and quantisation, prompts among it."""
    dimension: Count | None
    precision: Precision
    bytes_per_vector: Count | None
    parameters: Count | None
    memory_bytes: Count | None
    license: str | None
    similarity: Similarity
    normalized: bool
    max_seq_length: Count | None
    uses_role: bool
    languages: list[str]
    training_tasks: list[str]
    notes: list[str]
    engine: str | None


class PartForm(_Form):
    split: str
    subset: str
    kind: ItemKind
    """How the score follows from the columns."""
    metric: str
    n_items: NItems
    items: ArrayName
    """Names of the items."""
    columns: dict[str, ArrayName]
    strata: ArrayName | None
    tags: dict[str, ArrayName] | None
    """Metadata of the items by key, "" for none; null where nobody looked it up."""


class TaskForm(_Form):
    task: str
    type: str
    status: CellStatus
    main_metric: str | None
    main_score: float | None
    """On MTEB's scale, 0 to 1 (correlations -1 to 1); null unless status is "ok"."""
    scores: dict[str, float | None]
    """By "split/subset"."""
    n_items: NItems | None
    data_digest: str | None
    """Hash of the rows that were scored."""
    dataset_revision: str | None
    reason: str
    limited: str
    engine: str | None
    items: list[PartForm]
    tags_left_out: Annotated[list[str], Field(min_length=1)] | None = None
    """Why keys are not among the tags, though the items have them: a sentence each that begins with the key. Absent
    where all are there."""


class ProbeForm(_Form):
    n_texts: Count
    finite: bool
    normalized: bool
    max_difference: float | None
    deterministic: bool


class FigureForm(_Form):
    metric: str
    """Path and unit: "latency/query/p95_ms"."""
    value: float
    unit: str
    n: Count
    ci_low: float | None
    ci_high: float | None
    cv: float | None


class ModelCostForm(_Form):
    model: str
    status: CostStatus
    figures: list[FigureForm]
    reason: str
    notes: list[str]
    engine: str | None


class RatioForm(_Form):
    candidate: str
    baseline: str
    metric: str
    ratio: float
    ci_low: float
    ci_high: float
    n: Count
    verdict: RatioVerdict


class CostForm(_Form):
    level: CostLevel
    device: str
    models: list[ModelCostForm]
    ratios: list[RatioForm]
    control: list[RatioForm]
    unstable: str
    hardware: dict[str, str]
    measured_at: str
    seconds: float
    seed: Count
    tolerance: float
    warnings: list[str]
    from_cache: bool


class ProcessForm(_Form):
    model: str
    copy_: int = Field(alias="copy")
    import_s: float
    load_s: float
    first_call_s: float | None
    import_mib: float | None
    loaded_mib: float | None
    peak_mib: float | None
    uss_mib: float | None
    model_mib: float | None
    cuda_allocated_mib: float | None
    cuda_reserved_mib: float | None
    threads: Count | None
    engine: str | None


class SamplesForm(_Form):
    order: list[str]
    failures: dict[str, str]
    processes: list[ProcessForm]
    n_samples: NItems
    columns: dict[str, ArrayName]
    """Every timed call; what isn't known is -1, "" or not a number."""


class ArrayForm(_Form):
    dtype: Annotated[str, Field(pattern=_DTYPE)]
    shape: Annotated[list[NItems], Field(min_length=1, max_length=4)]
    zlib: list[str]


class ScoredForm(_Form):
    """The scores of one embedding model on one suite, as a gate compares them."""

    schema_: Literal["benchkit.scored"] = Field(alias="schema")
    schema_version: Literal[1]
    digest: str
    """Of everything else in the file."""
    benchkit_version: str
    created: str
    """ISO 8601, UTC."""
    asked_as: str
    """How the model was asked for, so that it can be opened again."""
    suite: SuiteForm
    seed: Count
    n_resamples: Count
    model: ModelForm
    tasks: list[TaskForm]
    probe: ProbeForm | None
    environment: dict[str, str]
    cost: CostForm | None
    samples: SamplesForm | None
    arrays: dict[ArrayName, ArrayForm]


def scored_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a baseline file."""
    return {"$schema": _DIALECT, **ScoredForm.model_json_schema(), "title": "benchkit baseline"}


# ------------------------------------------------------------ what doesn't fit


class Unfit(Exception):
    """A place in a file with what was found there and what should be."""


def refuse(place: str, found: str, should: str) -> NoReturn:
    raise Unfit(f"{place}: found {found}, should be {should}")


def valid_form(form: type[Form], data: object) -> Form:
    """Return data as the form has it; Unfit names the first thing that doesn't fit, and how many more there are."""
    try:
        return form.model_validate(data)
    except ValidationError as error:
        first, n_others = error.errors(include_url=False)[0], error.error_count() - 1
    more = f" (and {n_others} more)" if n_others else ""
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{cut(part)}" for part in first["loc"])
    if first["type"] in _ABOUT_KEYS:
        said = _ABOUT_KEYS[first["type"]]
    else:
        _, should, rest = first["msg"].partition("should")
        said = f"found {shown(first['input'])}, {should + rest or first['msg']}"
    raise Unfit(f"{place.removeprefix('.')}: {said}{more}")


_ABOUT_KEYS = {
    "missing": "found no such key, should be there",
    "extra_forbidden": "found an unknown key, should not be there",
}


def check_once(place: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            refuse(place, f"{cut(name)} twice", "there once")
        seen.add(name)


def shown(value: object) -> str:
    """Return what was found, short and without anything that a terminal would obey."""
    if isinstance(value, (dict, list)):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int) and value.bit_length() > _SHOWN:
        return f"a number of {value.bit_length()} bits"  # Python refuses to write out the longest ones
    return f"'{cut(value)}'" if isinstance(value, str) else cut(repr(value))


def cut(text: object) -> str:
    plain = repr(str(text))[1:-1]
    return plain if len(plain) <= _SHOWN else f"{plain[:_SHOWN]}…"
