"""The loader's own options of a model spec, read with their type and range.

    ModelSpec.options {"k1": 1.4} ── check_options, float_option ──> 1.4, or a ModelError that says what is allowed

Every loader names its options once; a misspelt one is an error and not a default that nobody asked for.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from benchkit.errors import ModelError, nearest
from benchkit.types.model import ModelSpec


def check_options(spec: ModelSpec, known: Collection[str]) -> None:
    """Refuse an option that the loader doesn't know.

    Raises:
        ModelError: names the option, the nearest known one and all that are allowed.
    """
    for name in spec.options:
        if name in known:
            continue
        near = nearest(name, known)
        hint = f" (did you mean {near!r}?)" if near else ""
        allowed = f"Allowed: {', '.join(sorted(known))}" if known else "This loader has no options"
        raise ModelError(f"model {spec.label!r}: unknown option {name!r}{hint}. {allowed}")


def check_dim(spec: ModelSpec, dimension: int | None) -> None:
    """Refuse a variant of more dimensions than the vectors have; None where only the loaded model can tell.

    Raises:
        ModelError: says how many there are.
    """
    dim = spec.variant.truncate_dim
    if dim is not None and dimension is not None and dim > dimension:
        raise ModelError(f"model {spec.label!r}: dim={dim}, but its vectors have {dimension} dimensions")


def float_option(spec: ModelSpec, name: str, default: float, *, least: float, most: float = math.inf) -> float:
    """Return a number within [least, most]."""
    value = spec.options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ModelError(f"model {spec.label!r}: option {name!r}: {_range('number', least, most)}, got {value!r}")
    return float(value)


def int_option(spec: ModelSpec, name: str, default: int, *, least: int, most: float = math.inf) -> int:
    """Return a whole number within [least, most]."""
    value = spec.options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ModelError(f"model {spec.label!r}: option {name!r}: {_range('whole number', least, most)}, got {value!r}")
    return value


def text_option(spec: ModelSpec, name: str) -> str | None:
    """Return a text that isn't empty, or None where the option wasn't given."""
    value = spec.options.get(name)
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise ModelError(f"model {spec.label!r}: option {name!r}: should be a text that isn't empty, got {value!r}")
    return value


def _range(kind: str, least: float, most: float) -> str:
    return f"should be a {kind} of at least {least:g}" + ("" if math.isinf(most) else f" and at most {most:g}")
