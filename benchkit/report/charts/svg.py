"""A chart as static SVG inside an HTML page: no script, no style, nothing to fetch.

    Chart ── themed (CSS variables) ── vl_convert ──> SVG ── _drawn ──> <svg role="img"> of report.css's colours

vl_convert (Vega-Lite and Vega, inside one library) needs no browser and no network; data from elsewhere is forbidden.
Of what it writes, only what draws is kept: elements and attributes of two short lists.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from benchkit.report import words
from benchkit.report.charts.base import Chart, Theme, themed

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

PAGE, PHONE = 860, 350  # px: a picture of a page, and one of a window of 390 px
_COLOURS = Theme("var(--ink)", "var(--faint)", "var(--line)", "var(--paper)")
_TEXT = 12  # px of the texts of axes and legends
# Vega measures with a narrow font; a page's own font may be a fifth wider, and what is measured bigger isn't cut off.
_MEASURED = 14.5
_VERSION = "6.4"  # of Vega-Lite
_SVG = "{http://www.w3.org/2000/svg}"
_DRAWS = {"g", "path", "line", "rect", "circle", "text", "tspan"}
_KEPT = {
    "transform", "d", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "r", "cx", "cy", "dx", "dy",
    "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "stroke-linecap",
    "stroke-miterlimit", "opacity", "text-anchor", "font-size", "font-weight", "font-style",
}  # fmt: skip
_LONG = re.compile(r"-?\d+\.\d{2,}")


def svg_of_both_widths(chart: Chart) -> str:
    """Return a chart for a wide page and for a phone; report.css shows the one that fits."""
    return f'<div class="wide">{inline_svg(chart)}</div>\n<div class="narrow">{inline_svg(chart, width=PHONE)}</div>'


def inline_svg(chart: Chart, *, width: int = PAGE) -> str:
    """Return a chart for inclusion in a page that has report.css; its ids begin with the chart's name.

    Args:
        width: px of the whole picture where there is room for it; it scales down on a narrower page.
    """
    import vl_convert  # big, and only a report with pictures needs it

    spec = {**themed(chart, _COLOURS), "width": width, "autosize": {"type": "fit-x", "contains": "padding"}}
    sizes = {"labelFontSize": _MEASURED, "titleFontSize": _MEASURED}
    for guide in ("axis", "legend"):
        spec["config"] = {**spec["config"], guide: {**spec["config"][guide], **sizes, "titleFontWeight": "normal"}}
    source = vl_convert.vegalite_to_svg(spec, vl_version=_VERSION, allowed_base_urls=[])
    return _page_svg(chart, source, width)


def _page_svg(chart: Chart, source: str, width: int) -> str:
    from xml.etree import ElementTree

    root = ElementTree.fromstring(source)  # noqa: S314 - written by Vega a moment ago, without entities
    inner = "".join(filter(None, map(_drawn, root)))
    name = chart.name if width == PAGE else f"{chart.name}-{width}"
    title, said = escape(words.plain(chart.title)), escape(words.plain(chart.alt))
    return (
        f'<svg class="chart" viewBox="{escape(root.attrib["viewBox"])}" role="img" '
        f'aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{title}</title><desc id="{name}-desc">{said}</desc>\n{inner}\n</svg>'
    )


def _drawn(element: Element) -> str:
    """Return an element with what draws in it; "" where nothing does."""
    name = element.tag.removeprefix(_SVG)
    if name not in _DRAWS or _is_unseen(element, name):
        return ""
    said = element.get("aria-label") if element.get("role") == "graphics-symbol" and name != "g" else None
    title = f"<title>{escape(words.plain(said))}</title>" if said else ""
    inner = title + escape(element.text or "") + "".join(map(_drawn, element))
    if name == "g" and not inner:
        return ""
    if element.get("font-size") == f"{_MEASURED}px":
        element.set("font-size", f"{_TEXT}px")
    given = {key: value for key, value in element.attrib.items() if key in _KEPT and (key, value) != ("opacity", "1")}
    if given.get("transform") == "translate(0,0)":
        del given["transform"]
    if name == "g" and not given:
        return inner
    attributes = "".join(f' {key}="{escape(_short(value))}"' for key, value in given.items())
    return f"<{name}{attributes}>{inner}</{name}>" if inner else f"<{name}{attributes}/>"


def _is_unseen(element: Element, name: str) -> bool:
    if element.get("opacity") == "0" or element.get("display") == "none":
        return True
    return name == "path" and not (element.get("fill") or element.get("stroke"))


def _short(value: str) -> str:
    """Return an attribute with its numbers to a tenth of a pixel."""
    return _LONG.sub(lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), value)
