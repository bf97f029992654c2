"""A picked row: a click is a click, and a list that changed under it is none."""

from __future__ import annotations

from typing import Any

import pytest

from dashboards import picks


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    made: dict[str, Any] = {}
    monkeypatch.setattr(picks.st, "session_state", made)
    return made


def click(state: dict[str, Any], *rows: int) -> None:
    state["t"] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}


def ticked(state: dict[str, Any]) -> list[int]:
    return list(state["t"]["selection"]["rows"])


def test_without_a_choice_it_is_the_first_row_which_the_table_ticks(state: dict[str, Any]) -> None:
    assert picks.picked("t", ["c", "b", "a"], None) == "c"
    assert ticked(state) == [0]


def test_what_the_address_asks_for_is_ticked_and_what_it_can_not_be_is_the_first(state: dict[str, Any]) -> None:
    assert picks.picked("t", ["c", "b", "a"], "a") == "a"
    assert ticked(state) == [2]
    assert picks.picked("t", ["c", "b", "a"], "gone") == "c"
    assert ticked(state) == [0]


def test_a_click_counts_more_than_the_address_and_then_the_address_again(state: dict[str, Any]) -> None:
    picks.picked("t", ["c", "b", "a"], "a")
    click(state, 1)
    assert picks.picked("t", ["c", "b", "a"], "a") == "b"
    assert picks.picked("t", ["c", "b", "a"], "b") == "b", "the page has put it into the address"
    assert picks.picked("t", ["c", "b", "a"], "c") == "c", "a button, or the way back"
    assert ticked(state) == [0]


def test_a_row_that_is_unticked_stays_open(state: dict[str, Any]) -> None:
    picks.picked("t", ["b", "a"], "a")
    click(state)
    assert picks.picked("t", ["b", "a"], "a") == "a"
    assert ticked(state) == [1]


def test_a_row_that_came_meanwhile_opens_nothing(state: dict[str, Any]) -> None:
    picks.picked("t", [2, 1], 1)
    assert ticked(state) == [1]
    assert picks.picked("t", [3, 2, 1], 1) == 1, "row 1 is another one now"
    assert ticked(state) == [2]


def test_a_tick_behind_the_end_of_a_list_is_none(state: dict[str, Any]) -> None:
    picks.picked("t", ["b", "a"], None)
    click(state, 5)
    assert picks.picked("t", ["b", "a"], None) == "b"


@pytest.mark.parametrize(
    ("address", "run", "shown"),
    [
        (
            "https://mlflow.example/#/experiments/1/runs/r",
            "r",
            ("link", "https://mlflow.example/#/experiments/1/runs/r"),
        ),
        ("sqlite:////a b/mlflow.db", "r", ("command", "mlflow ui --backend-store-uri 'sqlite:////a b/mlflow.db'")),
        ("javascript:alert(1)", "r", ("command", "mlflow ui --backend-store-uri 'javascript:alert(1)'")),
        ("https://x/\u202etxt", "r", ("command", "mlflow ui --backend-store-uri 'https://x/\ufffdtxt'")),
        ("postgresql://me:hunter2@db/x", "r", ("command", "mlflow ui --backend-store-uri 'postgresql://me:***@db/x'")),
        ("", "r", None),
        ("https://mlflow.example", "", None),
    ],
)
def test_the_way_to_mlflow_is_a_link_only_to_the_web(
    monkeypatch: pytest.MonkeyPatch, address: str, run: str, shown: tuple[str, str] | None
) -> None:
    placed: list[tuple[str, str]] = []
    monkeypatch.setattr(picks.st, "link_button", lambda label, url: placed.append(("link", url)))
    monkeypatch.setattr(picks.place, "command", lambda text: placed.append(("command", text)))
    monkeypatch.setattr(picks.place, "sentence", lambda text: None)
    picks.mlflow_link(address, run)
    assert placed == ([] if shown is None else [shown])
