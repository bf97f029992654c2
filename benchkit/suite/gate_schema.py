"""A gate's policy as its writer sees it: the key `gate:` of a suite, or a file of its own.

    values of a YAML file ──> GateEntry ──policy.build_policy──> Policy (benchkit.types.gate)

What a key asks silently when it holds nothing would be a gate that lets everything through, so that nothing is refused
everywhere here: a key is left out, or it says something.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from benchkit.errors import nearest
from benchkit.suite.fields import Amount, AnyNumber, Count, Text, Written, one_of
from benchkit.types.gate import COST_METRICS, CostMetric, Severity

# What a rule on a metric may say: the ratio to the baseline, and the metric itself in its own unit.
BOUNDS: Mapping[str, tuple[str, str]] = {
    "query_latency_p50": ("max_ratio", "max_ms"),
    "query_latency_p95": ("max_ratio", "max_ms"),
    "throughput": ("min_ratio", "min_texts_per_s"),
    "peak_memory": ("max_ratio", "max_mib"),
    "load_time": ("max_ratio", "max_s"),
}
MARGIN_HINT = "a margin is a difference of scores and no percentage, 0.02 is two points"
RATIO_HINTS: Mapping[str, str] = {
    "max_ratio": "1.10 allows ten per cent more",
    "min_ratio": "0.90 allows ten per cent less",
}
# What may stand where a word is asked for, in the words of a message.
WORDS: Mapping[str, str] = {
    "on": 'mean, "task:NAME" or "slice:KEY=VALUE"',
    "metric": f"one of {', '.join(COST_METRICS)}",
    "severity": "block or warn",
    "same_space": "ignore, warn or block",
}
# What a part of a policy looks like, for who writes another thing there.
SHAPES: Mapping[tuple[str, ...], str] = {
    (): "a key such as 'quality:' with rules below it",
    ("quality",): "- {on: mean, margin: 0.005}",
    ("cost",): "- {metric: throughput, min_ratio: 0.9}",
    ("limits",): "{finite: true}",
    ("limits", "dimension"): "{equal_to_baseline: true} or {max: 384}",
    ("compatibility",): "{same_space: warn}",
}

# Half of the scale: a rule with a margin above it could hardly ever fire, and 2 most likely means two per cent.
_LARGEST_MARGIN = 0.5
# Ten times as slow is no rule either, and 110 most likely means a hundred and ten per cent.
_LARGEST_RATIO = 10
_ON_PATTERN = r"^(mean|task:\S(.*\S)?|slice:[^=\s]([^=]*[^=\s])?=\S(.*\S)?)$"


def _refused(message: str, **values: object) -> PydanticCustomError:
    return PydanticCustomError("refused", message, values)


def _check_on(on: str) -> str:
    if any(unicodedata.category(sign) == "Cc" for sign in on):
        raise _refused("expected one line without control characters")
    problem = _problem_of_on(on)
    if problem:
        raise _refused("{problem}", problem=problem)
    return on


def _problem_of_on(on: str) -> str:
    """Return what is wrong with the target of a quality rule, "" for nothing."""
    kind, colon, rest = on.partition(":")
    if on == "mean":
        return ""
    if colon and kind == "task":
        return _problem_of_task(rest)
    if colon and kind == "slice":
        return _problem_of_slice(rest)
    if colon and (near := nearest(kind, ("task", "slice"))):
        return f"unknown value '{on}' (did you mean '{near}:{rest}'?)"
    if nearest(on, ("mean",)):
        return f"unknown value '{on}' (did you mean 'mean'?)"
    return f"unknown value '{on}'; expected {WORDS['on']}" + (f'; write "slice:{on}"' if "=" in on else "")


def _problem_of_task(name: str) -> str:
    if not name.strip():
        return "'task:' without a name; \"task:*\" asks it of every task"
    return "" if name == name.strip() else f'spaces around the name; write "task:{name.strip()}"'


def _problem_of_slice(pair: str) -> str:
    key, equals, value = pair.partition("=")
    if not (equals and key.strip() and value.strip()):
        return f"'slice:{pair}' should name a key and one of its values, such as \"slice:lang=zh\""
    if (key, value) != (key.strip(), value.strip()):
        return f'spaces around the key or the value; write "slice:{key.strip()}={value.strip()}"'
    return ""


def _check_normalized(value: object) -> object:
    if value is True or value == "same_as_baseline":
        return value
    if value is False:
        raise _refused("expected same_as_baseline or true; leave the key out to allow every length")
    near = (
        " (did you mean 'same_as_baseline'?)" if isinstance(value, str) and nearest(value, ["same_as_baseline"]) else ""
    )
    raise _refused("expected same_as_baseline or true, found {found}{near}", found=_short(value), near=near)


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def _known(allowed: tuple[str, ...]) -> Callable[[object], object]:
    # Texts alone: what else YAML made of a word is told with the word.
    check = one_of(allowed)
    return lambda value: check(value) if isinstance(value, str) else value


def _empty_for_none(value: object) -> object:
    return {} if value is None else value


def _without_null(schema: dict[str, Any]) -> None:
    """Take the null out of each property of a JSON Schema: a key that asks nothing is left out instead."""
    for name, written in schema.get("properties", {}).items():
        forms = [form for form in written.pop("anyOf", []) if form != {"type": "null"}]
        if written.get("default", ...) is None:
            del written["default"]
        schema["properties"][name] = (forms[0] if forms else {}) | written


def _not_empty(schema: dict[str, Any]) -> None:
    _without_null(schema)
    schema["minProperties"] = 1


def _bounds_by_metric(schema: dict[str, Any]) -> None:
    """State in a JSON Schema which bounds a metric takes, and that one of them is needed."""
    _without_null(schema)
    schema["allOf"] = [
        {
            "if": {"properties": {"metric": {"const": metric}}},
            "then": {
                "propertyNames": {"enum": ["metric", *bounds, "severity"]},
                "anyOf": [{"required": [bound]} for bound in bounds],
            },
        }
        for metric, bounds in BOUNDS.items()
    ]


On = Annotated[str, Field(max_length=200), AfterValidator(_check_on), Field(json_schema_extra={"pattern": _ON_PATTERN})]
MetricWord = Annotated[CostMetric, BeforeValidator(_known(COST_METRICS))]
SeverityWord = Annotated[Severity, BeforeValidator(_known(("block", "warn")))]
SpaceWord = Annotated[Literal["ignore", "warn", "block"], BeforeValidator(_known(("ignore", "warn", "block")))]
Margin = Annotated[float, Field(gt=0.0, le=_LARGEST_MARGIN, allow_inf_nan=False), AnyNumber]
Ratio = Annotated[float, Field(gt=0.0, le=_LARGEST_RATIO, allow_inf_nan=False), AnyNumber]
Normalized = Annotated[
    bool | Literal["same_as_baseline"],
    BeforeValidator(_check_normalized),
    WithJsonSchema({"enum": ["same_as_baseline", True]}),
]
_SEVERITY = "What the rule does when it isn't met: block (unless given), or warn."


class _Asked(Written):
    model_config = ConfigDict(json_schema_extra=_without_null)

    @field_validator("*", mode="before")
    @classmethod
    def _says_something(cls, value: object, info: ValidationInfo) -> object:
        if value is not None and value != {}:
            return value
        found = "nothing" if value is None else "{}, which asks nothing"
        is_needed = info.field_name is not None and cls.model_fields[info.field_name].is_required()
        raise _refused(
            "found {found}; give a value{or_none}", found=found, or_none="" if is_needed else " or leave the key out"
        )


class QualityEntry(_Asked):
    """The candidate may score worse by less than the margin, and the data have to show it."""

    on: On = Field(
        description='What is held against the baseline: mean (over all tasks), "task:NAME" or "task:*" (each task '
        'whose name matches), "slice:KEY=VALUE" (the items that carry this value).'
    )
    margin: Margin = Field(description="Largest loss that is accepted, a difference of scores: 0.02 is two points.")
    severity: SeverityWord = Field(default="block", description=_SEVERITY)


class CostEntry(_Asked):
    """What the candidate may cost: against the baseline measured beside it, absolutely, or both."""

    model_config = ConfigDict(json_schema_extra=_bounds_by_metric)

    metric: MetricWord = Field(description="What is bounded.")
    max_ratio: Ratio | None = Field(
        default=None, description="Most of candidate / baseline, for times and memory: 1.10 allows ten per cent more."
    )
    min_ratio: Ratio | None = Field(
        default=None, description="Least of candidate / baseline, for throughput: 0.90 allows ten per cent less."
    )
    max_ms: Amount | None = Field(default=None, description="Most milliseconds of a latency.")
    max_mib: Amount | None = Field(default=None, description="Most MiB of memory.")
    max_s: Amount | None = Field(default=None, description="Most seconds of loading.")
    min_texts_per_s: Amount | None = Field(default=None, description="Least texts per second of throughput.")
    severity: SeverityWord = Field(default="block", description=_SEVERITY)


class DimensionEntry(_Asked):
    """How many dimensions a vector may have."""

    equal_to_baseline: bool = Field(default=False, description="As many dimensions as the baseline has.")
    max: Count | None = Field(default=None, description="Most dimensions.")


class GateLimitsEntry(_Asked):
    """What must simply hold; it always blocks."""

    dimension: DimensionEntry | None = Field(default=None, description="How many dimensions a vector has.")
    max_bytes_per_vector: Count | None = Field(default=None, description="Most bytes of one stored vector.")
    licenses: list[Text] | None = Field(
        default=None, min_length=1, description="Licences that are allowed, as MTEB writes them: [apache-2.0, mit]."
    )
    deterministic: bool = Field(
        default=False, description="One text gives one vector: alone, again, in a batch, in another order."
    )
    finite: bool = Field(default=False, description="No NaN and no infinity in a vector.")
    normalized: Normalized | None = Field(
        default=None, description="Vectors of unit length: as the baseline has it (same_as_baseline), or true."
    )

    @property
    def asks(self) -> bool:
        size = self.dimension is not None and (self.dimension.equal_to_baseline or self.dimension.max is not None)
        given = (self.max_bytes_per_vector, self.licenses, self.normalized)
        return size or self.deterministic or self.finite or any(value is not None for value in given)


class CompatibilityEntry(_Asked):
    """What a swap of the model means for an index that holds the baseline's vectors."""

    same_space: SpaceWord = Field(
        default="ignore", description="When new queries can't search the old vectors: ignore, warn or block."
    )


class GateEntry(_Asked):
    """What a candidate has to meet; a part that is left out asks nothing."""

    model_config = ConfigDict(json_schema_extra=_not_empty)

    quality: list[QualityEntry] | None = Field(
        default=None, min_length=1, description="Rules on scores: on what, and how much may be lost."
    )
    cost: list[CostEntry] | None = Field(
        default=None, min_length=1, description="Rules on latency, throughput, memory and loading."
    )
    limits: GateLimitsEntry | None = Field(default=None, description="What must simply hold.")
    compatibility: CompatibilityEntry | None = Field(
        default=None, description="Whether the vectors of an index can be kept."
    )

    @model_validator(mode="after")
    def _can_block(self) -> GateEntry:
        rules = [*(self.quality or ()), *(self.cost or ())]
        space = self.compatibility.same_space if self.compatibility else "ignore"
        limits = self.limits is not None and self.limits.asks
        if not rules and not limits and space == "ignore":
            raise _refused("a gate without a rule can't block anything; without a policy the default one holds")
        if not limits and space != "block" and all(rule.severity == "warn" for rule in rules):
            raise _refused(
                "every rule only warns, so that the gate can't block anything; let one block, or run it with "
                "--report-only, which tells all and blocks nothing"
            )
        return self


# The schema of each part, by its keys from `gate` on.
PARTS: Mapping[tuple[str, ...], type[Written]] = {
    (): GateEntry,
    ("quality",): QualityEntry,
    ("cost",): CostEntry,
    ("limits",): GateLimitsEntry,
    ("limits", "dimension"): DimensionEntry,
    ("compatibility",): CompatibilityEntry,
}
WrittenGate = Annotated[GateEntry | None, BeforeValidator(_empty_for_none)]


class PolicyFile(Written):
    """A policy of its own; what stands below `gate:` may stand in the file alone, too."""

    gate: WrittenGate = Field(description="What `benchkit gate` asks of a candidate.")
