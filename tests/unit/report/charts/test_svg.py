"""Static pictures: what is drawn is kept, nothing in them can act, colours are the page's, names stay text."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from comparisons import HOSTILE_NAMES, costed, grid, hostile, hostile_costs, small, three

from benchkit.report.charts.base import Chart, chart
from benchkit.report.charts.forest import forest
from benchkit.report.charts.quality import quality_against
from benchkit.report.charts.svg import PHONE, inline_svg, svg_of_both_widths
from benchkit.report.charts.tasks import task_map
from benchkit.types.cost import Budget


def made(found: Chart | None) -> Chart:
    assert found is not None
    return found


CHARTS = {
    "quality": made(quality_against(costed(three(), budget=Budget(max_p95_ms=20.0)))),
    "forest": made(forest(three())),
    "map": made(task_map(small())),
    "hostile quality": made(quality_against(hostile_costs(), "bytes")),
    "hostile forest": made(forest(hostile())),
    "hostile map": made(task_map(hostile())),
}
PICTURES = {name: inline_svg(drawn) for name, drawn in CHARTS.items()}


@pytest.mark.parametrize("name", CHARTS)
def test_a_picture_is_well_formed_and_told_in_words(name: str) -> None:
    root = ElementTree.fromstring(PICTURES[name])
    assert root.attrib["role"] == "img"
    assert [child.attrib["id"] for child in list(root)[:2]] == root.attrib["aria-labelledby"].split()
    assert [child.text for child in list(root)[:2]] == [CHARTS[name].title, CHARTS[name].alt]
    assert len(list(root.iter("text"))) > 3


@pytest.mark.parametrize("name", CHARTS)
def test_nothing_in_a_picture_could_act_or_load(name: str) -> None:
    root = ElementTree.fromstring(PICTURES[name])
    assert {element.tag for element in root.iter()} <= {"svg", "title", "desc", "g", "line", "path", "text"}
    keys = {key for element in root.iter() for key in element.attrib}
    assert not {key for key in keys if key.startswith("on") or key in ("style", "href", "src", "class", "xmlns")} - {
        "class"
    }
    values = " ".join(value for element in root.iter() for value in element.attrib.values())
    assert "url(" not in values
    assert "http" not in values


@pytest.mark.parametrize("name", CHARTS)
def test_texts_and_axes_have_the_colours_of_the_page(name: str) -> None:
    root = ElementTree.fromstring(PICTURES[name])
    inks = {text.attrib["fill"] for text in root.iter("text")}
    assert "black" not in inks
    assert inks <= {"var(--ink)", "var(--faint)", "#10151c", "#ffffff"}  # the last two on the grounds of a map
    assert not re.search("#(000|888|ddd|4c78a8)\\b|black|gray", PICTURES[name])


def test_hostile_names_are_read_back_as_they_are() -> None:
    texts = [text.text or "" for text in ElementTree.fromstring(PICTURES["hostile forest"]).iter("text")]
    assert HOSTILE_NAMES[0] in texts


def test_a_mark_has_its_words() -> None:
    root = ElementTree.fromstring(PICTURES["quality"])
    titles = [title.text for path in root.iter("path") for title in path.iter("title")]
    assert "minilm: 61.2 (58.9–63.5) points at 8.30 ms (7.80–8.80)" in titles
    assert len(titles) == 3


def test_twice_the_cost_is_the_same_step_anywhere_and_a_higher_mean_stands_higher() -> None:
    drawn = made(quality_against(costed(grid(4, 1))))
    places = {}
    for path in ElementTree.fromstring(inline_svg(drawn)).iter("path"):
        if (title := path.find("title")) is not None:
            x, y = re.findall(r"[-\d.]+", path.attrib["transform"])[:2]
            places[str(title.text).split(":")[0]] = (float(x), float(y))
    # 8.3, 16.6, 24.9 and 33.2 ms; 66.0, 65.1, 64.2 and 63.3 points
    x = [places[f"model-{place}"][0] for place in range(4)]
    assert x[1] - x[0] == pytest.approx(x[3] - x[1], abs=0.3)
    assert x[2] - x[0] == pytest.approx((x[1] - x[0]) * 1.58496, abs=0.3)  # log2(3)
    y = [places[f"model-{place}"][1] for place in range(4)]
    assert y[1] - y[0] == pytest.approx(y[2] - y[1], abs=0.11) == pytest.approx(y[3] - y[2], abs=0.11)
    assert y == sorted(y)


def test_a_picture_of_a_phone_is_narrow_and_has_its_own_ids() -> None:
    both = svg_of_both_widths(CHARTS["forest"])
    wide, narrow = re.findall(r'viewBox="0 0 (\d+)', both)
    assert int(wide) == pytest.approx(860, abs=12)
    assert int(narrow) == pytest.approx(PHONE, abs=12)
    ids = re.findall(r' id="([^"]*)"', both)
    assert len(ids) == len(set(ids)) == 4


def test_data_from_elsewhere_is_not_fetched() -> None:
    drawn = chart("far", "Far", "far", rows=[], height=50, mark="point")
    spec = {**drawn.spec, "data": {"url": "http://127.0.0.1:9/x.json"}}
    with pytest.raises(ValueError, match=r"127\.0\.0\.1"):
        inline_svg(Chart("far", "Far", "far", spec, ()))
