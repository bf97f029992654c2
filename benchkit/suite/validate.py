"""Check the keys and values of a suite file against its schema, in words that its writer understands.

    Document ──SuiteFile──> SuiteFile
                  └──────> pydantic's errors ──> Problems

pydantic's own words ("Input should be a valid string") don't say that YAML made false of an unquoted `no`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

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


def validate(document: Document) -> tuple[SuiteFile | None, list[Problem]]:
    """Return the checked file, or None and all that its schema refuses."""
    try:
        return SuiteFile.model_validate(document.value), []
    except ValidationError as exc:
        return None, [_problem(error, document) for error in exc.errors()]


def _problem(error: ErrorDetails, document: Document) -> Problem:
    place: Place = tuple(part for part in error["loc"] if part not in FORMS)
    return Problem(place, _message(error, place, document))


def _message(error: ErrorDetails, place: Place, document: Document) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _EXPECTED:
        return _wrong_type(_EXPECTED[kind], error["input"], place, document)
    if kind == "missing":
        return _missing(place)
    if kind == "extra_forbidden":
        return _unknown_key(place, document)
    if kind == "string_pattern_mismatch":
        hint = _SUITE_NAME_HINT if place == ("name",) else _PATTERN_HINTS[str(place[-1])]
        return f"{error['input']!r} should be {hint}"
    return _out_of_range(kind, context, error)


def _out_of_range(kind: str, context: Mapping[str, Any], error: ErrorDetails) -> str:
    if kind == "greater_than_equal":
        return f"should be at least {context['ge']:,}, got {error['input']}"
    if kind == "greater_than":
        return f"should be greater than {context['gt']:g}, got {error['input']}"
    if kind == "less_than_equal":
        return f"should be at most {context['le']:,}, got {error['input']}"
    if kind in ("string_too_short", "too_short"):
        return "should not be empty; leave the key out if it isn't needed"
    if kind == "string_too_long":
        return f"should have at most {context['max_length']} characters, got {len(error['input'])}"
    if kind == "finite_number":
        return f"should be a finite number, got {error['input']}"
    return error["msg"]


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
    if place[:1] == ("limits",):
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


def _wrong_type(expected: str, value: object, place: Place, document: Document) -> str:
    written = document.unquoted.get(place)
    if value is None:
        return f"expected {expected}, found nothing; give a value or leave the key out"
    if written is not None and expected == "a text":
        return f'expected a text, but YAML reads {written} as {_shown(value)}; put it in quotes: "{written}"'
    if isinstance(value, str):
        return f"expected {expected}, {_found_text(value, expected, is_quoted=written is None)}"
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
