"""Kinds of values that people write into a suite or a policy file; each refuses what YAML may have made of it.

Validation is strict: YAML turns an unquoted `no` into false and 3.10 into 3.1, and a silent conversion back to text
would name another language or another revision than its writer meant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from benchkit.suite.problems import suggestion


class Written(BaseModel):
    """Keys and values of a file; a key that isn't known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def one_of(allowed: tuple[str, ...]) -> Callable[[str], str]:
    """Return a validator that takes these words alone."""

    def check(value: str) -> str:
        if value not in allowed:
            hint = suggestion(value, allowed) or f"; allowed: {', '.join(allowed)}"
            raise PydanticCustomError("not_allowed", "unknown value '{value}'{hint}", {"value": value, "hint": hint})
        return value

    return check


def _number(value: object) -> object:
    # A whole number is a number too, where strict validation would ask for a decimal point.
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    try:
        return float(value)
    except OverflowError:  # 400 digits
        return math.inf if value > 0 else -math.inf


Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
AnyNumber = BeforeValidator(_number)
# The range stands before the validator, or the JSON Schema wouldn't know it.
Amount = Annotated[float, Field(gt=0.0, allow_inf_nan=False), AnyNumber]
