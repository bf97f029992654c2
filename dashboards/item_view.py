"""The items of a task on the page "Tasks": a list, and for one of them what two models answered, side by side.

two models ── items.beside ──> most unlike first, or worst of the first ── a row, or the address ──> one item
one item ── text, expected ── answer of one │ answer of the other
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from benchkit.report.view import cells_by_place
from benchkit.types.answer import Answers, ItemAnswer, KeptItem
from benchkit.types.result import CellResult, ItemScores
from dashboards import board, place
from dashboards.asked import Asked, tell
from dashboards.bar import choose, chosen
from dashboards.choices import part
from dashboards.compared import Picked
from dashboards.items import MEANING, Beside, answers, beside, found_lines, of_worst
from dashboards.picks import picked
from dashboards.place import Row, escaped, plain

_UNLIKE, _WORST, _TOLD = "unlike", "worst", "told"
_TABLE = "tasks-items"
_SHOWN = 200  # of items in the list; the file has all
_ABSENT = "not kept"
_NOT_KEPT = (
    f"{_ABSENT}: a result has the answers to the items of a task on which its models differ most and to each model's "
    "ten worst, as far as 200 items of a task and 3 MiB of text in all go"
)
_OLD = f"{_ABSENT}: this result has no answers.parquet beside it, and so a model's ten worst items of a task alone"
_TEXT = 2000
_RAW = ("true_number", "first_number", "second_number")


@dataclass(frozen=True, slots=True)
class _Listed:
    """An item of the list: its row, and what is kept of either model.

    Attributes:
        key: Names it in the address; its split and subset are in it where there are several.
    """

    key: str
    item: str
    row: Row
    text: ItemAnswer | None
    scores: tuple[float | None, float | None]
    answers: tuple[ItemAnswer | None, ItemAnswer | None]
    raw: tuple[float, float, float] | None = None


def show_items(found: Picked, task: str, first: str, second: str | None) -> None:
    """Place the items of a task, and one of them."""
    parts: Mapping[str, Sequence[ItemScores]] = {}
    kept: Sequence[KeptItem] | None = None
    with place.problems_told():
        parts = board.item_scores_of(found.row.key, task) or {}
    with place.problems_told():
        kept = board.kept_items_of(found.row.key, task)
    cells = cells_by_place(found.comparison)
    cell, its = ((scored.result if (scored := cells.get((name, task))) else None) for name in (first, second or ""))
    own, others = parts.get(first, ()), parts.get(second or "", ())
    told = answers(first, cell, own, kept), answers(second or "", its, others, kept)
    both = beside(own, others, *told) if second else []
    if not both and not (cell and cell.worst):
        _absent(cell, own)
        return
    listed = _order(_both_listed(both, first, second or ""), first) if both else _worst_listed(cell, told)
    one = _meant(listed)
    _list(listed, has_both=bool(both), first=first, second=second or "")
    if both:
        st.caption(escaped(f"What stands for an item: {MEANING[own[0].kind]}. Higher is better.", _TEXT))
    _one(one, first, second, why=_OLD if kept is None else _NOT_KEPT)


def _both_listed(both: Sequence[Beside], first: str, second: str) -> list[_Listed]:
    several = len({(row.split, row.subset) for row in both}) > 1
    return [
        _Listed(
            f"{row.split}/{row.subset}/{row.item}" if several else row.item,
            row.item,
            {
                **({"part": f"{row.split}/{row.subset}"} if several else {}),
                "item": row.item,
                "first": row.first,
                "second": row.second,
                "difference": row.difference,
                **(dict(zip(_RAW, row.raw, strict=True)) if row.raw else {}),
                "text": row.known.text if row.known else _ABSENT,
                "expected": row.known.expected if row.known else _ABSENT,
                "first_model": first,
                "second_model": second,
                "first_found": " | ".join(found_lines(row.first_answer)) if row.first_answer else _ABSENT,
                "second_found": " | ".join(found_lines(row.second_answer)) if row.second_answer else _ABSENT,
            },
            row.known,
            (row.first, row.second),
            (row.first_answer, row.second_answer),
            row.raw,
        )
        for row in both
    ]


def _worst_listed(cell: CellResult | None, told: Sequence[Answers]) -> list[_Listed]:
    """Return the worst items of a model where no scores of items are at hand."""
    others = {item: answer for (_, item), answer in told[1].items() if answer.value is not None}
    return [
        _Listed(
            worst.item,
            worst.item,
            {"item": worst.item, "first": worst.value, "text": worst.text, "expected": worst.expected,
             "found": worst.found},
            of_worst(worst),
            (worst.value, other.value if (other := others.get(worst.item)) else None),
            (of_worst(worst), other),
        )
        for worst in (cell.worst if cell else ())
    ]  # fmt: skip


def _absent(cell: CellResult | None, parts: Sequence[ItemScores]) -> None:
    """Say why there are no items."""
    if cell is None or cell.status != "ok":
        said = "This model has no score on this task, so it has no items."
    elif any(part.kind not in MEANING for part in parts):
        said = f"{cell.type} has no scores of single items: its score is one of all items together."
    elif parts:
        said = "The other model has no scores of the same items, and no item of this one was kept with its text."
    else:
        said = f"No items were kept: {cell.type} keeps none here, or the result has no items.parquet beside it."
    place.sentence(said, "info")


# ---------------------------------------------------------------- the list


def _order(listed: Sequence[_Listed], first: str) -> list[_Listed]:
    """Return the items in the order that is asked for; they come most unlike first."""
    names = {_UNLIKE: "where the two differ most", _WORST: f"worst of {escaped(first, 60)}"}
    if any(one.text for one in listed):
        names[_TOLD] = "whose texts are kept"
    order = part("Order", names, _UNLIKE, field="order", key="tasks-item-order")
    if order == _TOLD:
        return [one for one in listed if one.text]
    if order == _UNLIKE:
        return list(listed)
    return sorted(listed, key=lambda one: one.scores[0] or 0.0)


def _list(listed: Sequence[_Listed], *, has_both: bool, first: str, second: str) -> None:
    heads = {"part": "part"} if "part" in listed[0].row else {}
    heads |= {"item": "item", "first": plain(first, 40)}
    heads |= {"second": plain(second, 40), "difference": "difference"} if has_both else {}
    config: dict[str, Any] = {
        name: st.column_config.NumberColumn(heads[name], format="%+.3f" if name == "difference" else "%.3f")
        for name in ("first", "second", "difference")
        if name in heads
    }
    if any(one.text for one in listed):
        heads |= {"text": "text", "expected": "expected"}
    rows = [one.row for one in listed]
    alt = f"{len(rows)} items of the task"
    place.table(rows[:_SHOWN], key=_TABLE, columns=heads, config=config, picks=True, alt=alt)
    if len(rows) > _SHOWN:
        place.download(rows, key="tasks-all-items", label=f"All {len(rows)} items (CSV)")
        st.caption(f"{_SHOWN} of {len(rows)} items are listed.")


def _meant(listed: Sequence[_Listed]) -> _Listed:
    """Return the item of the row that is picked, else that of the address, else the first one."""
    keys, asked = [one.key for one in listed[:_SHOWN]], chosen().item
    key = picked(_TABLE, keys, asked)
    tell(Asked("item", asked, keys, key))
    wanted = None if key == keys[0] else key
    if wanted != asked:
        choose(item=wanted)
    return listed[keys.index(key)]


# ---------------------------------------------------------------- one item


def _one(one: _Listed, first: str, second: str | None, *, why: str) -> None:
    """Place an item; `why` says why an answer isn't there."""
    with st.container(border=True, key="tasks-item", gap="xsmall"):
        st.markdown(f"**{escaped(f'Item {one.item}', 120)}**")
        _told("Text", [one.text.text] if one.text else [], why)
        _told("Expected", _number(one, 0) or ([one.text.expected] if one.text else []), why)
        names = (first,) if second is None else (first, second)
        for place_of, (column, name) in enumerate(zip(st.columns(len(names), gap="medium"), names, strict=True)):
            with column:
                _answer(one, place_of, name, why)


def _number(one: _Listed, at: int) -> list[str]:
    return [f"{one.raw[at]:.4g}"] if one.raw else []


def _answer(one: _Listed, at: int, model: str, why: str) -> None:
    score, answer = one.scores[at], one.answers[at]
    said = "no score of this item is kept" if score is None else f"{score:.3f}"
    st.markdown(f"**{escaped(model, 80)}**: {escaped(said)}")
    if one.raw is None and answer is None and score is not None and score >= 1.0:
        _told("Found", ["what was expected"], why)
        return
    is_list = answer is not None and len(answer.found) > 1
    what = "Found, best first, with its similarity; ✓ is what was expected" if is_list else "Found"
    _told(what, _number(one, at + 1) or (found_lines(answer) if answer else []), why)


def _told(what: str, lines: Sequence[str], why: str) -> None:
    st.caption(what)
    for line in lines:
        st.text(plain(line, _TEXT))
    if not any(lines):
        st.markdown(f"*{escaped(why)}*")
