"""The formats of a suite and of a policy as JSON Schema, for editors: suites/*schema.json is this, written out.

Write them anew after a change of a schema:
    python -m benchkit.suite.json_schema > suites/schema.json
    python -m benchkit.suite.json_schema policy > suites/policy.schema.json
"""

from __future__ import annotations

import json
import sys
from typing import Any

from benchkit.suite.gate_schema import PolicyFile
from benchkit.suite.schema import SuiteFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def suite_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a suite file.

    It knows keys, types and ranges; that names are unique and that files exist, only `load_suite` can tell.
    """
    schema = SuiteFile.model_json_schema(mode="validation")
    return {"$schema": DIALECT, **schema, "title": "benchkit suite"}


def policy_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a policy file: what stands below `gate:`, or that key alone."""
    schema = PolicyFile.model_json_schema(mode="validation")
    below, alone = {"$ref": "#/$defs/GateEntry"}, {key: schema[key] for key in ("type", "required")}
    alone |= {"properties": {"gate": below}, "additionalProperties": False}
    return {"$schema": DIALECT, "$defs": schema["$defs"], "anyOf": [below, alone], "title": "benchkit policy"}


def as_text(schema: dict[str, Any]) -> str:
    """Return a schema as it stands in its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_text(policy_json_schema() if sys.argv[1:] == ["policy"] else suite_json_schema()))
