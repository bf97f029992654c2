"""A chart, and what all charts have in common: colours, shapes, data rows and words.

    rows, marks ── a builder ──> Chart(spec, rows, title, alt) ── themed ──> what is drawn, light or dark

A specification is Vega-Lite 6 with its data inside and without a theme: whoever draws it adds fonts, background and
the colour of texts, light or dark. Names out of the data stand in data values alone, never in an expression or a field
name, so that no text can be more than a text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"

# Okabe and Ito's palette, without black and yellow, which one of the two backgrounds swallows.
BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"
PALETTE = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
DASHES = ((1, 0), (6, 3), (2, 2), (8, 2, 2, 2), (4, 4), (1, 3))
GREY = "#808790"  # 3.6 : 1 on white and 4.6 : 1 on the dashboard's dark background

# What a mark's words are to a pointer and to a screen reader: each row of a chart has them as "said".
SAID: Mapping[str, Any] = {"tooltip": {"field": "said"}, "description": {"field": "said"}}

# The height of a specification is that of its plane: a label that was placed 15 px above a dot stays there. What
# Streamlit asks for otherwise takes the axes out of the height.
_AUTOSIZE = {"type": "fit-x", "contains": "padding"}

# What a hollow mark is filled with, so that a line behind it ends at its edge; a theme knows the colour of the ground.
PAPER: Mapping[str, str] = {"name": "paper", "value": "transparent"}
HOLLOW: Mapping[str, str] = {"expr": "paper"}

Spec = Mapping[str, Any]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of all that isn't a mark, as CSS writes them.

    Attributes:
        ink, faint: Of texts: names and numbers; axes and notes.
        line: Grid and axes.
        paper: The ground.
    """

    ink: str
    faint: str
    line: str
    paper: str


LIGHT = Theme("#1b2430", "#566273", "#d5dce5", "#ffffff")
DARK = Theme("#e6ebf1", "#a3afbd", "#36414e", "#14191f")


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture that can be drawn, read aloud and downloaded.

    Attributes:
        name: Names it on its page: letters, digits and "-".
        title: What it shows, in a few words.
        alt: What a person sees in it, in one or two sentences with the figures that matter.
        spec: Vega-Lite 6; its width is "container".
        rows: What it was drawn from, one flat mapping for each mark: the rows of a download.
    """

    name: str
    title: str
    alt: str
    spec: Spec
    rows: tuple[Row, ...]


def chart(name: str, title: str, alt: str, /, *, rows: Sequence[Row], height: int, **parts: Any) -> Chart:
    """Return a chart whose specification holds the rows and these parts ("layer", "encoding", "params", ...)."""
    spec = {
        "$schema": SCHEMA,
        "description": alt,
        "width": "container",
        "height": height,
        "autosize": dict(_AUTOSIZE),
        "data": {"values": [dict(row) for row in rows]},
        **parts,
    }
    return Chart(name, title, alt, spec, tuple(rows))


def themed(drawn: Chart, theme: Theme) -> dict[str, Any]:
    """Return the specification with the colours of a theme: its text marks are black otherwise, on any ground.

    A text that is no name and no number takes the faint ink by its style, "faint".
    """
    inks = {"labelColor": theme.faint, "titleColor": theme.faint}
    config = {
        "background": "transparent",
        "text": {"color": theme.ink},
        "axis": {**inks, "gridColor": theme.line, "tickColor": theme.line, "domainColor": theme.line},
        # The dashboard's theme moves the first and the last label towards the middle: beside the line that they name.
        "axisY": {"labelFlush": False},
        "axisXBand": {"labelFlush": False},
        "legend": {**inks, "labelColor": theme.ink},
        "title": {"color": theme.ink, "subtitleColor": theme.faint},
        "view": {"stroke": None},
        "style": {"faint": {"color": theme.faint}},
    }
    given = [{**param, "value": theme.paper} if param == PAPER else param for param in drawn.spec.get("params", ())]
    params = {"params": given} if given else {}
    return {**drawn.spec, **params, "config": config}


def haloed(layer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a layer of texts on a ground of their own, which ends the lines behind them; its chart has PAPER."""
    ground = {"stroke": HOLLOW, "strokeWidth": 4, "strokeJoin": "round"}
    return [{**layer, "mark": {**layer["mark"], **ground}}, dict(layer)]


def titled_above(**axis: Any) -> dict[str, Any]:
    """Return a vertical axis whose title lies above its numbers: beside them it takes 20 px of a narrow window."""
    return {**axis, "titleAngle": 0, "titleAnchor": "end", "titleAlign": "left", "titleX": -30, "titleY": -12}


def legend_columns(px: int, least: int) -> dict[str, str]:
    """Return as many columns of a legend as a plane has room for, each of so many px."""
    return {"expr": f"max({least}, floor(width / {px}))"}


def style_of(names: Sequence[str], name: str) -> tuple[str, str]:
    """Return the colour and the shape of one of several names: the same on every chart that has the same names.

    Six colours and six shapes tell 36 names apart; more names than that begin again.

    >>> style_of(["a", "b"], "b")
    ('#E69F00', 'square')
    """
    place = list(names).index(name)
    return PALETTE[place % len(PALETTE)], SHAPES[(place + place // len(PALETTE)) % len(SHAPES)]
