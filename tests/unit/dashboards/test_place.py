"""Texts out of data stay texts: in Markdown, in cells and in files that a spreadsheet opens."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchkit.errors import UsageError
from benchkit.types.comparison import Interval
from dashboards import place

SIGNS = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
HARMFUL = ["\u202e", "\u2066", "\u200f", "\x00", "\x1b", "\x7f", "\x9b", "\ud800"]


# ---------------------------------------------------------------- Markdown


@given(st.text())
def test_no_sign_of_markdown_is_left_alone(text: str) -> None:
    made = place.escaped(text)
    rest = re.sub(r"\\[!-/:-@\[-`{-~]", "", made)
    assert not SIGNS & set(rest), "every sign stands behind a backslash"
    assert "\n" not in made
    assert not made.startswith((" ", "\t"))


@given(st.text())
def test_without_backslashes_and_joiners_it_reads_as_it_was(text: str) -> None:
    assert place.unescaped(place.escaped(text, limit=10**6)) == place.plain(text, 10**6).strip().replace("\u2060", "")


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        (":streamlit:", ":\u2060streamlit"),
        (":material/home:", ":\u2060material"),
        ("https://evil.example", ":\u2060//evil"),
        ("www.evil.example", "www\u2060.evil"),
        ("WWW.evil.example", "WWW\u2060.evil"),
        ("me@evil.example", "@\u2060evil"),
        ("a->b", "-\u2060>"),
        ("a<=b", "<\u2060="),
        ("a---b", "-\u2060-\u2060-"),
    ],
)
def test_what_streamlit_makes_of_plain_letters_is_broken_up(text: str, broken: str) -> None:
    assert broken in place.escaped(text).replace("\\", "")


@pytest.mark.parametrize("text", ["minilm@dim=128,precision=int8", "at 12:30:05", "org/model-v1.5", "a - b"])
def test_ordinary_names_are_not_broken_up(text: str) -> None:
    assert "\u2060" not in place.escaped(text)


@pytest.mark.parametrize("sign", HARMFUL)
def test_controls_and_turned_directions_are_shown_as_unknown(sign: str) -> None:
    assert place.plain(f"a{sign}b") == "a\ufffdb"
    assert sign not in place.escaped(f"a{sign}b")


def test_a_megabyte_is_cut_and_other_scripts_stay() -> None:
    assert place.plain("x" * 10**6, 10) == "xxxxxxxxx…"
    assert place.plain("中文 ребро\u200d") == "中文 ребро\u200d"


# ---------------------------------------------------------------- CSV


@pytest.mark.parametrize("text", ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert place.csv_of([{"name": text}]).split("\r\n", 1)[1].lstrip('"').startswith("'")


def test_a_heading_is_no_formula_either() -> None:
    assert place.csv_of([{"=evil()": 1}]).startswith("'=evil()")


@given(st.lists(st.floats(allow_nan=False) | st.integers(), min_size=1, max_size=20))
def test_numbers_are_read_back_exactly(numbers: list[float]) -> None:
    rows = list(csv.DictReader(io.StringIO(place.csv_of([{"x": number} for number in numbers]))))
    assert [
        float(row["x"]) if isinstance(n, float) else int(row["x"]) for row, n in zip(rows, numbers, strict=True)
    ] == numbers


def test_a_negative_number_is_a_number_and_nan_is_said() -> None:
    assert place.csv_of([{"a": -0.5, "b": None, "c": math.nan, "d": True}]) == "a,b,c,d\r\n-0.5,,nan,True\r\n"


def test_a_date_is_not_broken_at_its_hyphens() -> None:
    assert place.escaped("at 2026-10-28, -1.2-3") == "at 2026\\-\u206010\\-\u206028\\, \\-1\\.2\\-3"
    assert place.unescaped(place.escaped("at 2026-10-28")) == "at 2026-10-28"


def test_a_yes_is_a_tick_on_the_page_and_a_yes_in_the_file() -> None:
    from streamlit.testing.v1 import AppTest

    def script() -> None:
        from dashboards import place

        place.table([{"a": True}, {"a": False}, {"a": None}], key="t")

    page = AppTest.from_function(script).run()
    cells = page.dataframe[0].value["a"]
    assert list(cells[:2]) == ["✓", ""]
    assert cells.isna().tolist() == [False, False, True]
    assert place.csv_of([{"a": True}, {"a": False}, {"a": None}]).split() == ["a", "True", "False", '""']


def test_rows_of_different_columns_are_one_table_and_texts_are_whole() -> None:
    long = "x" * 2000
    assert place.csv_of([{"a": 1}, {"b": long}, {"c": ("m", "n")}]) == f'a,b,c\r\n1,,\r\n,{long},\r\n,,"m, n"\r\n'


@dataclass(frozen=True)
class _Record:
    name: str
    interval: Interval | None


def test_records_become_flat_rows() -> None:
    assert place.as_rows([_Record("a", Interval(0.1, 0.2)), _Record("b", None)]) == [
        {"name": "a", "interval_low": 0.1, "interval_high": 0.2},
        {"name": "b", "interval": None},
    ]


# ---------------------------------------------------------------- links and errors


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "data:text/html,x", "http://a b", " https://a", "", "file:///etc", "https://a\u202e"],
)
def test_only_addresses_of_the_web_are_links(address: str) -> None:
    assert place.web_address(address) is None


def test_an_mlflow_address_is_a_link() -> None:
    assert (
        place.web_address("http://127.0.0.1:5000/#/experiments/1/runs/abc")
        == "http://127.0.0.1:5000/#/experiments/1/runs/abc"
    )


def test_what_cannot_be_read_is_a_sentence_and_the_rest_goes_on() -> None:
    from streamlit.testing.v1 import AppTest

    def script() -> None:
        from benchkit.errors import UsageError
        from dashboards import place

        with place.problems_told():
            raise UsageError("result.json: line 3 is *broken*")
        place.sentence("the rest")

    app = AppTest.from_function(script).run()
    assert [error.value for error in app.error] == [place.escaped("result.json: line 3 is *broken*")]
    assert [text.value for text in app.markdown] == ["the rest"]
    assert not app.exception


def test_a_mistake_in_our_code_is_not_hidden_as_a_sentence() -> None:
    with pytest.raises(ZeroDivisionError), place.problems_told():
        _ = 1 / 0
    assert UsageError


def test_tables_show_cut_cells_safe_links_and_the_picked_row() -> None:
    from streamlit.testing.v1 import AppTest

    def script() -> None:
        from dashboards import place

        rows = [
            {"name": "x" * 9000, "address": "javascript:alert(1)", "score": 0.1 + 0.2},
            {"name": "b\u202etxt", "address": "https://mlflow.example/1", "score": None},
        ]
        place.table(rows, key="t", columns={"name": "Name", "score": "Score", "address": "Run"}, links=["address"])

    app = AppTest.from_function(script).run()
    assert not app.exception
    frame = app.dataframe[0].value
    assert list(frame.columns) == ["name", "score", "address"]
    assert len(frame["name"][0]) == place.CELL_LENGTH
    assert frame["name"][1] == "b\ufffdtxt"
    assert frame["score"][0] == 0.1 + 0.2
    assert frame["address"].dropna().tolist() == ["https://mlflow.example/1"]


def test_a_chart_has_its_words_its_rows_and_their_download() -> None:
    from streamlit.testing.v1 import AppTest

    def script() -> None:
        from benchkit.report.charts.base import chart
        from dashboards import place

        drawn = chart(
            "c",
            "Title :red[x]",
            "Seen",
            rows=[{"a": 1, "b": "=1"}],
            height=50,
            mark="bar",
            encoding={"x": {"field": "a"}},
        )
        place.chart(drawn, key="c")
        place.chart(None, key="d", absent="Nothing *here*.")

    app = AppTest.from_function(script).run()
    assert not app.exception
    (proto,) = [found.proto for found in app.get("vega_lite_chart")]
    assert proto.alt == "Seen"
    assert app.markdown[0].value == "**Title \\:\u2060red\\[x\\]**"
    assert not app.dataframe, "made when it is opened"
    app.session_state["c-rows"] = True
    assert app.run().dataframe[0].value.to_dict("records") == [{"a": 1, "b": "=1"}]
    assert app.caption[0].value == "Nothing \\*here\\*\\."
    assert [found.label for found in app.get("download_button")] == ["↓ Download CSV"]
