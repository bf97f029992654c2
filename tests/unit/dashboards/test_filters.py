"""Addresses are read without harm and written so that they mean the same again."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchkit.types.cost import Budget
from dashboards.filters import (
    ALL_TIME,
    DATES,
    KEYS,
    MAX_LENGTH,
    MAX_SENTENCES,
    MAX_VALUES,
    PLANES,
    SPANS,
    Filters,
    from_query,
    to_query,
)

TODAY = date(2026, 11, 21)

texts = st.text(min_size=1, max_size=MAX_LENGTH).filter(str.strip)
lists = st.lists(texts, max_size=5, unique=True).map(tuple)
days = st.dates(date(1970, 1, 1), date(2199, 12, 31)).map(date.isoformat)
limits = st.none() | st.floats(1e-3, 1e9)
counts = st.none() | st.integers(0, 10**12)
spans = (
    st.sampled_from([ALL_TIME, *SPANS]).map(lambda span: {"span": span})
    | st.builds(
        lambda first, last: {"span": DATES, "since": first, "until": last},
        st.none() | st.just("1970-01-01"),
        days,
    )
    | st.builds(lambda since: {"span": DATES, "since": since}, days)
)
filters = st.builds(
    lambda span, **rest: Filters(**span, **rest),
    span=spans,
    suite=st.none() | texts,
    models=lists,
    comparison=st.none() | texts,
    gate=st.none() | texts,
    against=st.none() | texts,
    baseline=st.none() | texts,
    window=counts,
    plane=st.sampled_from([None, *PLANES]),
    task=st.none() | texts,
    model=st.none() | texts,
    item=st.none() | texts,
    cells=st.none() | texts,
    order=st.none() | texts,
    slices=st.none() | texts,
    decided=st.none() | texts,
    p95_ms=limits,
    memory_mib=limits,
    bytes_per_vector=counts,
    dimension=counts,
    licenses=lists,
    documents=counts,
)


@given(filters)
def test_what_is_written_is_read_as_the_same(asked: Filters) -> None:
    read = from_query(to_query(asked))
    assert read == asked
    assert read.dropped == ()


@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=30), st.lists(st.text(max_size=50), max_size=4)))
def test_any_address_is_read_and_what_is_kept_is_stable(query: dict[str, list[str]]) -> None:
    read = from_query(query)
    assert from_query(to_query(read)) == read
    assert len(read.dropped) <= MAX_SENTENCES + 1
    assert all(len(sentence) < 300 for sentence in read.dropped)


def test_every_field_but_the_sentences_is_a_key() -> None:
    assert set(KEYS) == set(Filters.__slots__) - {"dropped"}


def test_a_span_of_days_of_which_none_is_picked_yet_is_not_written() -> None:
    assert to_query(Filters(suite="support", span=DATES)) == {"suite": ["support"]}


def test_nothing_asked_is_nothing_written() -> None:
    assert to_query(Filters()) == {}
    assert from_query({}) == Filters()


@pytest.mark.parametrize(
    ("key", "values", "problem"),
    [
        ("window", ["../../etc/passwd"], "window='../../etc/passwd' is left out: a whole number is expected"),
        ("window", ["-1"], "window='-1' is left out: a whole number is expected"),
        ("window", ["٣"], "window='٣' is left out: a whole number is expected"),
        ("documents", ["9" * 14], "documents='99999999999999' is left out: a whole number is expected"),
        ("p95_ms", ["nan"], "p95_ms='nan' is left out: a number above 0 is expected"),
        ("p95_ms", ["inf"], "p95_ms='inf' is left out: a number above 0 is expected"),
        ("memory_mib", ["0"], "memory_mib='0' is left out: a number above 0 is expected"),
        ("suite", [""], "suite='' is left out: it is empty"),
        ("suite", ["a", "b"], "suite='b' is left out: one value is expected"),
        ("suite", ["x" * (MAX_LENGTH + 1)], f"suite='{'x' * 39}…' is left out: it is longer than 300 characters"),
        ("models", ["m"] * (MAX_VALUES + 1), f"models='m' is left out: more than {MAX_VALUES} values"),
        ("span", ["2w"], "span='2w' is left out: one of 1d, 7d, 30d, 90d, 365d, all, dates is expected"),
        ("span", ["dates"], "span='dates' is left out: it needs since=YYYY-MM-DD or until=YYYY-MM-DD"),
        ("plane", ["../umap"], "plane='../umap' is left out: one of pca, umap is expected"),
        ("since", ["20261121"], "since='20261121' is left out: a day is expected: YYYY-MM-DD"),
        ("until", ["2026-02-30"], "until='2026-02-30' is left out: a day is expected: YYYY-MM-DD"),
        ("until", ["9999-12-31"], "until='9999-12-31' is left out: a day is expected: YYYY-MM-DD"),
        ("modles", ["m"], "modles='m' is left out: no such key; models is one"),
        ("zzz", ["1"], "zzz='1' is left out: no such key"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_dropped_with_a_sentence(key: str, values: list[str], problem: str) -> None:
    read = from_query({key: values, "task": ["kept"]})
    assert read == Filters(task="kept")
    assert read.dropped == (problem,)


def test_days_that_end_before_they_begin_are_dropped_with_a_sentence() -> None:
    read = from_query({"span": ["dates"], "since": ["2026-11-20"], "until": ["2026-11-01"]})
    assert read.span == ALL_TIME
    assert read.dropped == ("span='dates' is left out: 2026-11-20 is after 2026-11-01",)
    assert from_query({"span": ["dates"], "since": ["2026-11-20"], "until": ["2026-11-20"]}).dropped == ()


def test_many_wrong_parts_are_not_many_sentences() -> None:
    read = from_query({f"wrong{number}": ["1"] for number in range(9)})
    assert len(read.dropped) == MAX_SENTENCES + 1
    assert read.dropped[-1] == "4 more parts of the address are left out"


def test_bounds_of_each_span() -> None:
    assert Filters().bounds(TODAY) == (None, None)
    assert Filters(span="1d").bounds(TODAY) == ("2026-11-20", None)
    assert Filters(span="365d").bounds(TODAY) == ("2025-11-21", None)
    assert Filters(span=DATES, until="2026-12-31").bounds(TODAY) == (None, "2027-01-01"), "the last day is shown too"


def test_limits_are_a_budget() -> None:
    read = from_query(
        {"p95_ms": ["12.5"], "memory_mib": ["900"], "dimension": ["384"], "licenses": ["mit", "apache-2.0"]}
    )
    assert read.budget == Budget(12.5, 900.0, None, 384, ("mit", "apache-2.0"))
