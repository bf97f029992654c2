"""The checked-in JSON Schema is current, and says of a file what benchkit says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from benchkit.suite.find import shipped_suites
from benchkit.suite.json_schema import as_text, suite_json_schema

HEADER = "# yaml-language-server: $schema=schema.json\n"
SHIPPED = sorted(shipped_suites().glob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = suite_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_checked_in_schema_is_current() -> None:
    written = (shipped_suites() / "schema.json").read_text(encoding="utf-8")
    assert written == as_text(), "write it anew: python -m benchkit.suite.json_schema > suites/schema.json"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_suite_names_the_schema_and_keeps_it(path: Path, validator: Any) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(HEADER)
    assert list(validator.iter_errors(yaml.safe_load(text))) == []


GOOD: dict[str, Any] = {"name": "x", "tasks": [{"name": "STS12"}], "models": ["minilm", {"name": "bm25"}]}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Bad Name"},
        {"tasks": []},
        {"tasks": ["STS12"]},
        {"tasks": [{"name": "a", "dtaa": "x"}]},
        {"tasks": [{"name": "a", "type": "STS"}]},
        {"tasks": [{"name": "a", "type": "Sts", "data": "x"}]},
        {"tasks": [{"name": "a", "type": "STS", "data": "x", "columns": {"sentence": "y"}}]},
        {"tasks": [{"name": "a", "language": "eng-Latn"}]},
        {"tasks": [{"name": "a", "benchmark": "b"}]},
        {"tasks": [{"benchmark": "b", "types": ["sts"]}]},
        {"models": [3]},
        {"models": [{"name": "a", "precision": "int9"}]},
        {"models": [{"name": "a", "revision": 3.1}]},
        {"models": [{"name": "a", "options": {"a": []}}]},
        {"margin": 2},
        {"margin": "1e-3"},
        {"seed": -1},
        {"n_resamples": 10},
        {"limits": {"items": 0}},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_wrong_file_is_refused(change: dict[str, Any], validator: Any) -> None:
    assert validator.is_valid(GOOD)
    assert not validator.is_valid(GOOD | change)


def test_every_key_has_a_description() -> None:
    schema = suite_json_schema()
    groups = [schema, *schema["$defs"].values()]
    nameless = [(group["title"], key) for group in groups for key, value in group["properties"].items()
                if not value.get("description")]  # fmt: skip
    assert nameless == []
    assert json.loads(as_text()) == schema
