"""Check the keys and values of a suite or a policy file against its schema, in words that its writer understands.

    Document ──SuiteFile, PolicyFile──> the same, checked
                         └────────────> pydantic's errors ──> Problems

pydantic's own words ("Input should be a valid string") don't say that YAML made false of an unquoted `no`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from benchkit.suite.gate_schema import (
    MARGIN_HINT,
    PARTS,
    RATIO_HINTS,
    SHAPES,
    WORDS,
    PolicyFile,
)
from benchkit.suite.problems import Place, Problem, suggestion
from benchkit.suite.read_yaml import Document
from benchkit.suite.schema import (
    FORMS,
    BenchmarkEntry,
    ModelEntry,
    PriceEntry,
    SuiteFile,
    SuiteLimitsEntry,
    TaskEntry,
    TaskLimitsEntry,
)

_EXPECTED: Mapping[str, str] = {
    "string_type": "a text",
    "literal_error": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
}
_PATTERN_HINTS: Mapping[str, str] = {
    "language": "an ISO 639-3 code and a script, such as eng-Latn",
    "label": "one line without spaces at its ends",
    "name": "letters, digits, spaces and . _ ( ) -",
}
_SUITE_NAME_HINT = "small letters and digits, with . _ - between them, such as help-centre"
# YAML 1.1 wants a point and a sign in a number with an exponent; without them it is a text.
_EXPONENT = re.compile(r"[+-]?\d[\d_]*(\.\d*)?[eE][+-]?\d+")
_UNIT = re.compile(r"[+-]?[\d.]+ ?(%|[^\W\d].*)")  # 2 %, 1500 MiB
_RANGES = ("greater_than", "less_than_equal", "finite_number")

_File = TypeVar("_File", SuiteFile, PolicyFile)


def validate(document: Document) -> tuple[SuiteFile | None, list[Problem]]:
    """Return the checked suite, or None and all that its schema refuses."""
    return _validate(SuiteFile, document)


def validate_policy(document: Document) -> tuple[PolicyFile | None, list[Problem]]:
    """Return the checked policy, or None and all that its schema refuses."""
    return _validate(PolicyFile, document)


def _validate(schema: type[_File], document: Document) -> tuple[_File | None, list[Problem]]:
    try:
        return schema.model_validate(document.value), []
    except ValidationError as exc:
        return None, [_problem(error, document) for error in exc.errors()]


def _problem(error: ErrorDetails, document: Document) -> Problem:
    place: Place = tuple(part for part in error["loc"] if part not in FORMS)
    return Problem(place, _message(error, place, document))


def _message(error: ErrorDetails, place: Place, document: Document) -> str:
    kind = error["type"]
    if kind in _EXPECTED:
        return _wrong_type(_EXPECTED[kind], error["input"], place, document)
    if kind == "missing":
        return _missing(place)
    if kind == "extra_forbidden":
        return _unknown_key(place, document)
    if kind == "string_pattern_mismatch":
        hint = _SUITE_NAME_HINT if place == ("name",) else _PATTERN_HINTS[str(place[-1])]
        return f"{error['input']!r} should be {hint}"
    hint = _hint(place, error["input"]) if kind in _RANGES else ""
    return _out_of_range(error, document.unquoted.get(place)) + hint


def _out_of_range(error: ErrorDetails, written: str | None) -> str:
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    # What its writer sees: 2, where a conversion has made 2.0 of it.
    got = written if isinstance(given, int | float) and written else given
    if kind == "greater_than_equal":
        return f"should be at least {context['ge']:,}, got {got}"
    if kind == "greater_than":
        return f"should be greater than {context['gt']:g}, got {got}"
    if kind == "less_than_equal":
        return f"should be at most {context['le']:,}, got {got}"
    if kind in ("string_too_short", "too_short"):
        return "should not be empty; leave the key out if it isn't needed"
    if kind == "string_too_long":
        return f"should have at most {context['max_length']} characters, got {len(given)}"
    if kind == "finite_number":
        return f"should be a finite number, got {given}"
    return error["msg"]


def _hint(place: Place, value: object) -> str:
    """Return what a number of a gate's rule means, for who wrote what can't be meant."""
    key = str(place[-1])
    if place[0] != "gate":
        return ""
    if key in RATIO_HINTS:
        return f"; a ratio is a plain number, {RATIO_HINTS[key]}"
    if key != "margin":
        return "; write the number alone, its unit is the key's" if isinstance(value, str) else ""
    if value == 0:
        return "; no data can show that nothing at all is lost, but that it is less than 0.001, a tenth of a point"
    return f"; {MARGIN_HINT}"


def _missing(place: Place) -> str:
    if place[0] == "tasks" and place[-1] == "name":
        return "missing key (the name of one task; 'benchmark' takes a whole benchmark)"
    return "missing key"


def _unknown_key(place: Place, document: Document) -> str:
    key, keys = str(place[-1]), _keys_at(place[:-1], document)
    if place[0] == "tasks" and len(place) == 3 and key in TaskEntry.model_fields:
        return f"does not go with 'benchmark', which takes {', '.join(BenchmarkEntry.model_fields)}"
    if place[0] == "tasks" and len(place) == 3 and key in BenchmarkEntry.model_fields:
        return "goes only with 'benchmark', which takes a whole benchmark"
    hint = suggestion(key, keys) or f"; known here: {', '.join(keys)}"
    return f"unknown key{hint}"


def _keys_at(place: Place, document: Document) -> list[str]:
    """Return the keys that the mapping at a place may have."""
    model: type[BaseModel] = SuiteFile
    extra: list[str] = []
    if place[:1] == ("gate",):
        model = PARTS[_gate_part(place)]
    elif place[:1] == ("limits",):
        model = SuiteLimitsEntry
    elif place[:1] == ("price",):
        model = PriceEntry
    elif place[:1] == ("models",):
        model = ModelEntry
    elif place[-1:] == ("limits",):
        model = TaskLimitsEntry
    elif place[:1] == ("tasks",):
        whole = "benchmark" in document.value["tasks"][place[1]]
        model, extra = (BenchmarkEntry, []) if whole else (TaskEntry, ["benchmark"])
    return [*model.model_fields, *extra]


def _gate_part(place: Place) -> tuple[str, ...]:
    return tuple(part for part in place[1:] if isinstance(part, str))


def _wrong_type(expected: str, value: object, place: Place, document: Document) -> str:
    written = document.unquoted.get(place)
    if value is None:
        return f"expected {expected}, found nothing; give a value or leave the key out"
    if place[0] == "gate" and (shape := SHAPES.get(_gate_part(place))):
        return f"expected {expected}, found {_shown(value)}; write {shape}"
    if place[0] == "gate" and (words := WORDS.get(str(place[-1]))):
        shown = f"but YAML reads {written} as {_shown(value)}" if written else f"found {_shown(value)}"
        return f"expected {words}, {shown}"
    if written is not None and expected == "a text":
        return f'expected a text, but YAML reads {written} as {_shown(value)}; put it in quotes: "{written}"'
    if isinstance(value, str):
        hint = _hint(place, value) if _UNIT.fullmatch(value) and not _EXPONENT.fullmatch(value) else ""
        return f"expected {expected}, {_found_text(value, expected, is_quoted=written is None)}{hint}"
    if expected == "keys and values" and isinstance(value, list):
        return "expected keys and values, found a list; leave out the '-'"
    return f"expected {expected}, found {_shown(value)}"


def _found_text(text: str, expected: str, *, is_quoted: bool) -> str:
    if expected == "a list":
        return f"found the text {text!r}; write [{text}]"
    if expected == "keys and values":
        return f"found the text {text!r}; write '- name: {text}'"
    if _EXPONENT.fullmatch(text) and not is_quoted:
        number = float(text)
        return f"but YAML reads {text} as a text; write {int(number) if number.is_integer() else number!r}"
    return f"found the text {text!r}{'; leave out the quotes' if is_quoted else ''}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {value!r}"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "keys and values"
    return "a date"
