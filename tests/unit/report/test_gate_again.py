"""The command of a gate names what the gate was held against, so that it says the same when it is run later."""

from __future__ import annotations

import shlex
from dataclasses import replace

import gates
import pytest

from benchkit.report.gate_again import Again, again


def shown(command: str, source: str = "champion, version 3") -> Again:
    return again(replace(gates.passed(), command=command, baseline_source=source))


@pytest.mark.parametrize("given", ["--baseline champion", "--baseline=champion"])
def test_the_champion_of_a_gate_is_named_with_its_version(given: str) -> None:
    found = shown(f"benchkit gate 'my model' {given} --suite 'my suite.yaml'")
    assert found.command == f"benchkit gate 'my model' {given}@3 --suite 'my suite.yaml'"
    assert found.note == "champion@3 is what this gate was held against; champion alone is the champion of the day."


@pytest.mark.parametrize(
    "command",
    [
        "benchkit gate champion --baseline minilm",  # a model of that name
        "benchkit gate m --baseline ./champion",
        "benchkit gate m --baseline champion@3",
        "benchkit gate m --suite champion --baseline b.json",
        "benchkit gate --baseline",
        "benchkit gate m --baseline champion '",  # a quote that is never closed
        "",
    ],
)
def test_any_other_command_is_shown_as_it_was_given(command: str) -> None:
    assert shown(command) == Again(command)


def test_a_gate_that_does_not_say_which_champion_it_was_says_that() -> None:
    found = shown("benchkit gate m --baseline champion", "champion")
    assert found.command == "benchkit gate m --baseline champion"
    assert found.note == "The champion may be another one by now than the one that this gate was held against."


def test_no_text_of_a_record_becomes_a_part_of_the_command() -> None:
    found = shown("benchkit gate m --baseline champion", "champion, version 3; rm -rf /")
    assert found.command == "benchkit gate m --baseline champion"
    assert shlex.split(shown("benchkit gate 'a;b' --baseline champion").command)[2] == "a;b"
