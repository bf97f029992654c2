"""The command that recommends under the limits of a page is one that `benchkit compare` takes, and means them."""

from __future__ import annotations

import shlex

import pytest

from benchkit.cli import compare
from benchkit.types.cost import Budget
from dashboards.limit_command import limited_command

COMMAND = "benchkit compare minilm 'my model' --suite help.yaml --offline"
NOW = Budget(12.5, 900.0, 1536, 384, ("mit", "apache-2.0"))


def budget_of(command: str) -> Budget:
    with compare.command.make_context("compare", shlex.split(command)[2:]) as context:
        found = context.params
    return Budget(
        found["max_p95_ms"],
        found["max_memory_mib"],
        found["max_bytes_per_vector"],
        found["max_dim"],
        found["licenses"],
    )


@pytest.mark.parametrize(
    "given",
    [
        "",
        " --max-p95-ms 3 --license mit --license cc0-1.0",
        " --max-p95-ms=3 --max-dim=768 --license=other",
        " --license --license",
    ],
    ids=["none", "others", "with =", "odd values"],
)
def test_the_limits_of_now_take_the_place_of_those_that_were_given(given: str) -> None:
    made = limited_command(COMMAND + given, Budget(), NOW)
    assert budget_of(made) == NOW
    assert made.startswith(f"{COMMAND} --max-p95-ms 12.5 ")


def test_a_limit_of_the_command_can_be_lifted_and_one_of_the_suite_cannot() -> None:
    stored = Budget(max_dim=384)
    assert limited_command(f"{COMMAND} --max-dim 384", stored, Budget()) == COMMAND
    assert limited_command(COMMAND, stored, Budget()) == ""
    assert limited_command(COMMAND, stored, Budget(max_dim=128)) == f"{COMMAND} --max-dim 128"


def test_what_is_no_command_stays_none() -> None:
    assert limited_command("benchkit compare 'open", Budget(), NOW) == ""
    assert limited_command("", Budget(), NOW) == ""
