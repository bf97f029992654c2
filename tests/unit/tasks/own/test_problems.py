"""What is wrong is said at once, and no more of it than a person reads."""

from __future__ import annotations

import pytest

from benchkit.errors import SuiteError
from benchkit.tasks.own.problems import MAX_PROBLEMS, Problems


def test_nothing_wrong_raises_nothing() -> None:
    Problems().raise_if_any()


@pytest.mark.parametrize(("number", "rest"), [(MAX_PROBLEMS, []), (MAX_PROBLEMS + 3, ["... and 3 more"])])
def test_the_first_problems_are_named_and_the_rest_is_counted(number: int, rest: list[str]) -> None:
    problems = Problems()
    for line in range(number):
        problems.add(f"x.csv:{line}: wrong")
    with pytest.raises(SuiteError) as caught:
        problems.raise_if_any()
    assert str(caught.value).split("\n") == [*(f"x.csv:{line}: wrong" for line in range(MAX_PROBLEMS)), *rest]
