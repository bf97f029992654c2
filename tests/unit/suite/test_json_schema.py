"""The checked-in JSON Schema is current, and says of a file what benchkit says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from benchkit.errors import SuiteError
from benchkit.suite.find import shipped_suites
from benchkit.suite.json_schema import as_text, policy_json_schema, suite_json_schema
from benchkit.suite.policy import load_policy
from benchkit.suite.read_yaml import POLICY, read_document

HEADER = "# yaml-language-server: $schema=schema.json\n"
SHIPPED = sorted(shipped_suites().glob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = suite_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize(
    ("name", "schema", "argument"),
    [("schema.json", suite_json_schema(), ""), ("policy.schema.json", policy_json_schema(), " policy")],
    ids=["suite", "policy"],
)
def test_the_checked_in_schema_is_current(name: str, schema: dict[str, Any], argument: str) -> None:
    written = (shipped_suites() / name).read_text(encoding="utf-8")
    command = f"python -m benchkit.suite.json_schema{argument} > suites/{name}"
    assert written == as_text(schema), f"write it anew: {command}"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_suite_names_the_schema_and_keeps_it(path: Path, validator: Any) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(HEADER)
    # Read as benchkit and YAML 1.2 do: to YAML 1.1 the key `on` of a rule would be true.
    document, problems = read_document(path)
    assert document is not None
    assert problems == []
    assert list(validator.iter_errors(document.value)) == []


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
        {"tasks": [{"name": "a", "metric": "pearson"}]},
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
        {"limits": {"max_p95_ms": 0}},
        {"gate": {}},
        {"gate": {"quality": [{"on": "all", "margin": 0.01}]}},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_wrong_file_is_refused(change: dict[str, Any], validator: Any) -> None:
    assert validator.is_valid(GOOD)
    assert not validator.is_valid(GOOD | change)


@pytest.fixture(scope="module")
def policy_validator() -> Any:
    schema = policy_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_shipped_policy_names_its_schema_and_keeps_it(policy_validator: Any, validator: Any) -> None:
    path = shipped_suites() / "policies" / "default.yaml"
    assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=../policy.schema.json\n")
    # An editor reads `on` as YAML 1.2 does, a text.
    document, _ = read_document(path, POLICY)
    assert document is not None
    for form in (document.value, {"gate": document.value}):
        assert list(policy_validator.iter_errors(form)) == []
    assert list(validator.iter_errors(GOOD | {"gate": document.value})) == []


def _asked(part: str, **rule: Any) -> dict[str, Any]:
    return {part: [rule]}


# What the two say of one policy; what only `load_policy` can see isn't here: doubled rules, and rules that only warn.
@pytest.mark.parametrize(
    ("policy", "is_good"),
    [
        *[(_asked("quality", on=on, margin=0.01), True) for on in ("mean", "task:*", "task:a b", "slice:k=v=w")],
        *[(_asked("quality", on=on, margin=0.01), False)
          for on in ("Mean", "task:", "task: a", "slice:k", "slice:=v", "slice:k=", "slice:k =v", "a", "", True)],
        *[(_asked("quality", on="mean", margin=margin), 0 < margin <= 0.5) for margin in (0, -0.1, 0.5, 0.51, 2)],
        *[(_asked("quality", on="mean", margin=margin), False) for margin in ("0.01", None, True)],
        (_asked("quality", on="mean"), False),
        (_asked("quality", margin=0.1), False),
        (_asked("cost", metric="throughput", min_ratio=0.9, min_texts_per_s=10), True),
        (_asked("cost", metric="throughput", max_ratio=0.9), False),
        (_asked("cost", metric="throughput"), False),
        (_asked("cost", metric="load_time", max_s=3), True),
        (_asked("cost", metric="load_time", max_ms=3), False),
        (_asked("cost", metric="peak_memory", max_ratio=110), False),
        (_asked("cost", metric="peak_memory", max_ratio=0), False),
        (_asked("cost", metric="peak_memory", max_ratio=None), False),
        (_asked("cost", metric="latency", max_ratio=1.1), False),
        ({"limits": {"normalized": True, "dimension": {"max": 3}, "licenses": ["mit"]}}, True),
        ({"limits": {"normalized": False}}, False),
        ({"limits": {"dimension": 3}}, False),
        ({"limits": {"licenses": []}}, False),
        ({"limits": None}, False),
        ({"compatibility": {"same_space": "block"}}, True),
        ({"compatibility": {"same_space": "no"}}, False),
        ({"quality": []}, False),
        ({}, False),
        ({"gate": None}, False),
    ],
    ids=str,
)  # fmt: skip
def test_an_editor_and_benchkit_agree_on_a_policy(
    tmp_path: Path, policy: dict[str, Any], is_good: bool, policy_validator: Any
) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(yaml.safe_dump(policy))
    try:
        load_policy(path)
        loads = True
    except SuiteError:
        loads = False
    assert (policy_validator.is_valid(policy), loads) == (is_good, is_good)


@pytest.mark.parametrize("schema", [suite_json_schema(), policy_json_schema()], ids=["suite", "policy"])
def test_every_key_has_a_description(schema: dict[str, Any]) -> None:
    groups = [schema, *schema["$defs"].values()]
    nameless = [(group["title"], key) for group in groups for key, value in group.get("properties", {}).items()
                if not value.get("description")]  # fmt: skip
    assert nameless == []
    assert json.loads(as_text(schema)) == schema
