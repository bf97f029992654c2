"""What all charts share: the rows inside, the colours of a theme, one look for each name."""

from __future__ import annotations

import altair
import pytest

from benchkit.report.charts.base import DARK, HOLLOW, LIGHT, PAPER, chart, haloed, style_of, themed, titled_above


def example(**parts: object):  # type: ignore[no-untyped-def]
    marked = {"mark": {"type": "text"}, "encoding": {"text": {"field": "name"}}}
    return chart("one", "One", "a name", rows=[{"name": "x"}], height=100, **{**marked, **parts})


def test_a_chart_holds_its_rows_and_words_and_fills_its_container() -> None:
    drawn = example()
    assert drawn.spec["data"] == {"values": [{"name": "x"}]}
    assert (drawn.spec["width"], drawn.spec["description"], drawn.rows) == ("container", "a name", ({"name": "x"},))
    altair.Chart.from_dict(dict(drawn.spec))


def test_the_height_is_that_of_the_plane_whatever_the_page_asks_for() -> None:
    assert example().spec["autosize"] == {"type": "fit-x", "contains": "padding"}


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_a_theme_colours_texts_axes_and_the_ground_of_hollow_marks(theme) -> None:  # type: ignore[no-untyped-def]
    drawn = example(params=[dict(PAPER)], mark={"type": "text", "fill": dict(HOLLOW)})
    spec = themed(drawn, theme)
    altair.Chart.from_dict(spec)
    assert spec["config"]["text"]["color"] == theme.ink
    assert spec["config"]["axis"]["labelColor"] == theme.faint
    assert spec["params"] == [{"name": "paper", "value": theme.paper}]
    assert "config" not in drawn.spec
    assert drawn.spec["params"] == [{"name": "paper", "value": "transparent"}]


def test_a_theme_leaves_other_parameters_alone() -> None:
    picked = {"name": "picked", "select": "point"}
    assert themed(example(params=[picked]), LIGHT)["params"] == [picked]
    assert "params" not in themed(example(), LIGHT)


def test_a_haloed_text_stands_on_the_ground_of_the_page() -> None:
    layer = {"mark": {"type": "text", "dx": 3}, "encoding": {"text": {"value": "a"}}}
    ground, text = haloed(layer)
    assert text == layer
    assert (ground["mark"]["stroke"], ground["mark"]["dx"], ground["encoding"]) == (HOLLOW, 3, layer["encoding"])


def test_the_title_of_a_vertical_axis_can_stand_above_it() -> None:
    axis = titled_above(tickCount=6)
    assert (axis["titleAngle"], axis["tickCount"]) == (0, 6)
    assert axis["titleY"] < 0


def test_36_names_look_different_and_a_name_keeps_its_look() -> None:
    names = [f"m{place}" for place in range(36)]
    assert len({style_of(names, name) for name in names}) == 36
    assert style_of(names, "m7") == style_of(names[:8], "m7")
