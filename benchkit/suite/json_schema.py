"""The suite format as JSON Schema, for editors: suites/schema.json is this, written out.

Write it anew after a change of the schema: python -m benchkit.suite.json_schema > suites/schema.json
"""

from __future__ import annotations

import json
import sys
from typing import Any

from benchkit.suite.schema import SuiteFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def suite_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a suite file.

    It knows keys, types and ranges; that names are unique and that files exist, only `load_suite` can tell.
    """
    schema = SuiteFile.model_json_schema(mode="validation")
    return {"$schema": DIALECT, **schema, "title": "benchkit suite"}


def as_text() -> str:
    """Return the schema as it stands in suites/schema.json."""
    return json.dumps(suite_json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_text())
