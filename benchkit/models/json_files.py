"""JSON files of a model directory, read with their place in every error."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from benchkit.errors import ModelError


def read_object(path: Path) -> dict[str, Any]:
    """Return the content of a file that holds a JSON object."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise ModelError(f"{path}: should be a JSON object")
    return content


def read_json(path: Path) -> object:
    """Return the content of a file.

    Raises:
        ModelError: it is missing, or no JSON.
    """
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise ModelError(f"{path}: missing") from exc
    except (OSError, ValueError) as exc:
        raise ModelError(f"{path}: can't be read: {exc}") from exc
    return content


def inside(name: object, named_in: Path) -> str:
    """Return a folder or file that one of the files names, relative to the model; "" for the model itself."""
    path = PurePosixPath(str(name))
    if path.is_absolute() or ".." in path.parts:
        raise ModelError(f"{named_in}: names {name!r}, which lies outside the model directory")
    return "" if path == PurePosixPath(".") else path.as_posix()


def whole_number(value: object) -> int | None:
    """Return the value if it is a whole number; what anybody wrote into a file may be anything."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
