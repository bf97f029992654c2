"""What an address asks for and isn't there is told: by name, with what is shown instead, and as nothing but a text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import boards
import drift_reports
import gates
import pytest
from pages import opened
from streamlit.testing.v1 import AppTest

from dashboards import board
from dashboards.asked import Asked, missing_sentence
from dashboards.filters import MAX_LENGTH
from dashboards.place import unescaped
from dashboards.theme import PAGES

APP = Path(board.__file__).with_name("app.py")
HOSTILE = {
    "script": "<script>alert(1)</script>",
    "markdown": "**b** [x](javascript:alert(1)) :red[r] `c` $x$ ![i](http://e.example/i.png)",
    "RTL": "\u202egnorw\u2066",
    "Chinese": "不存在的任务",
    "path": "../../etc/passwd",
}
# The field of the address, its page, what the sentence calls it, and what is shown instead.
FIELDS = (
    ("comparison", "verdict", "comparison", "the newest, of 2026-11-21 12:00 UTC"),
    ("comparison", "tasks", "comparison", "the newest, of 2026-11-21 12:00 UTC"),
    ("against", "compare", "model", "minilm"),
    ("axis", "compare", "cost", "latency"),
    ("task", "tasks", "task", "FAQ"),
    ("model", "tasks", "model", "bge"),
    ("against", "tasks", "model", "minilm"),
    ("comparison", "cost", "comparison", "the newest with costs, of 2026-11-21 12:00 UTC"),
    ("costs", "cost", "costs", "latency"),
    ("baseline", "drift", "baseline", "support"),
    ("trend", "drift", "over time", "evidence"),
    ("gate", "history", "gate", "the newest, of minilm-v2 against minilm"),
    ("decided", "history", "list", "Gates (1)"),
)


@pytest.fixture
def store(mlruns: Path) -> None:
    """Keep one of each."""
    boards.keep(mlruns, boards.support())
    boards.keep_gate(mlruns, gates.failed())
    boards.keep_baseline(mlruns, replace(drift_reports.BASELINE, created="2026-10-01T00:00:00+00:00"))
    boards.keep_checks(mlruns, boards.windows("ok", "warn"))


def told(app: AppTest) -> list[str]:
    """Return what is said not to be here, as it reaches the browser."""
    return [box.value for box in [*app.warning, *app.info] if "Not found here" in box.value]


# ---------------------------------------------------------------- the sentence


def test_what_is_here_and_what_nobody_asked_for_is_no_sentence() -> None:
    assert missing_sentence([Asked("task", "a", ("a", "b"), "a"), Asked("model", None, (), "m")]) == ""


def test_one_sentence_names_all_that_was_asked_for_and_what_is_shown_instead() -> None:
    asked = [Asked("task", "x", ("a",), "a"), Asked("window", 7, (1, 2), "the newest"), Asked("suite", "s", ())]
    assert missing_sentence(asked) == (
        "Not found here: task 'x' (shown instead: a); window 7 (shown instead: the newest); "
        "suite 's' (so nothing of it is shown)."
    )


def test_a_long_name_is_cut() -> None:
    assert len(missing_sentence([Asked("task", "x" * 10**6, ("a" * 10**6,), "a" * 10**6)])) < 200


# ---------------------------------------------------------------- on the pages


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("field", "page", "what", "instead"), FIELDS, ids=lambda part: str(part)[:12])
def test_a_name_that_is_not_there_is_told_with_what_is_shown_instead(
    field: str, page: str, what: str, instead: str
) -> None:
    (sentence,) = told(opened(page, **{field: "gone"}))
    assert unescaped(sentence) == f"Not found here: {what} 'gone' (shown instead: {instead})."


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("page", [page.name for page in PAGES])
def test_a_link_whose_names_are_all_there_says_nothing(page: str) -> None:
    assert told(opened(page)) == []
    known = {"suite": "help-centre", "models": ["bge"], "comparison": "20261121T120000-help-centre"}
    assert told(opened(page, **known, task="FAQ", model="bge", against="minilm", baseline="support")) == []


@pytest.mark.usefixtures("store")
def test_a_suite_and_a_model_of_the_bar_that_nobody_has_are_told_on_every_page() -> None:
    for page in PAGES:
        found = told(opened(page.name, suite="gone", models=["bge", "nobody"]))
        assert unescaped(found[0]) == (
            "Not found here: suite 'gone' (so nothing of it is shown); model 'nobody' (so nothing of it is shown)."
        )


@pytest.mark.usefixtures("store")
def test_all_that_a_page_lacks_is_one_sentence() -> None:
    (sentence,) = told(opened("tasks", task="t", model="m", against="n"))
    assert unescaped(sentence) == (
        "Not found here: task 't' (shown instead: FAQ); model 'm' (shown instead: bge); "
        "model 'n' (shown instead: minilm)."
    )


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize(("field", "page"), [("task", "tasks"), ("suite", "compare"), ("gate", "history")])
def test_a_hostile_name_is_a_text(field: str, page: str, text: str) -> None:
    (sentence,) = told(opened(page, **{field: text}))
    bare = sentence.replace("\\<", "").replace("\\[", "").replace("\\*", "").replace("\\$", "").replace("\\`", "")
    assert not any(sign in bare for sign in ("<", "[", "*", "$", "`", "\u202e", "\u2066")), sentence
    readable = text.replace("\u202e", "\ufffd").replace("\u2066", "\ufffd")
    assert readable[:50] in unescaped(sentence)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("field", ["task", "model", "comparison", "suite", "window"])
def test_half_a_megabyte_is_left_out_with_a_short_sentence(field: str) -> None:
    # Streamlit drops a longer address as a whole.
    app = opened("tasks", **{field: "x" * 500_000})
    said = [unescaped(box.value) for box in app.warning]
    why = "a whole number is expected" if field == "window" else f"it is longer than {MAX_LENGTH} characters"
    assert any(text.startswith(f"{field}='xxx") and text.endswith(why) and len(text) < 120 for text in said)
    assert told(app) == []


@pytest.mark.usefixtures("store")
def test_another_task_forgets_the_item_of_the_last_one() -> None:
    app = opened("tasks", task="FAQ", item="q1")
    tasks = app.selectbox(key="tasks-task").options
    app.selectbox(key="tasks-task").set_value(next(task for task in tasks if task != "FAQ")).run()
    assert not app.exception
    assert "item" not in app.query_params
