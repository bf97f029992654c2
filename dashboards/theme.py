"""How the dashboard looks: its pages, its sign, and the kinds of sentences, each with a sign beside its colour.

Colours, fonts, light and dark are Streamlit's: people change them in its menu, and charts take them over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TITLE = "benchkit"
# An emoji and not ":material/...:", which the browser would fetch from a server of others.
ICON = "📐"


@dataclass(frozen=True, slots=True)
class PageInfo:
    """A page: its file, what it is called, and the question that it answers."""

    name: str
    title: str
    question: str

    @property
    def path(self) -> str:
        """Return its file, counted from the dashboard's folder.

        A folder "pages" would be taken for pages that have no frame around them: Streamlit's older way.
        """
        return f"screens/{self.name}.py"


PAGES = (
    PageInfo("verdict", "Verdict", "Which model to use, and is production still fine?"),
    PageInfo("compare", "Compare", "What does quality cost?"),
    PageInfo("tasks", "Tasks", "Where is a model good, and where not?"),
    PageInfo("cost", "Cost", "How long, how large, how many per second?"),
    PageInfo("drift", "Drift", "What changed in production, and since when?"),
    PageInfo("history", "History", "What was decided, when and why?"),
)

Kind = Literal["good", "info", "warning", "bad"]
# Signs that plain text fonts have too: a machine without coloured emoji shows no empty boxes.
SIGNS: dict[Kind, str] = {"good": "✔️", "info": "ℹ️", "warning": "⚠️", "bad": "✖️"}
SAVES = "↓"  # of what gives a file: without it a button of this kind looks like a text
UNREAD = "‼️"  # of what can't be read: a bad verdict is no fault of the page

# Streamlit leaves 96 px free above a page: on a phone that is the place of the answer. Its headings are so large that
# those of parts outshout the answer, and the times of a window break in the middle of a day on a phone. Its captions
# have 3.5 : 1 on white. On a wide screen a line would have 250 characters.
STYLE = """<style>
.stMainBlockContainer {padding-top: 4.5rem; padding-bottom: 3rem; max-width: 110rem;}
[data-testid="stHeading"] h2 {font-size: 1.75rem;}
[data-testid="stHeading"] h3 {font-size: 1.3rem; padding-top: 0.75rem;}
[data-testid="stCaptionContainer"] {color: inherit; opacity: 0.78;}
[data-testid="stMain"] [data-testid="stMarkdownContainer"] :is(p, li) {max-width: 85rem;}
@media (max-width: 640px) {
  [data-testid="stHeading"] h2 {font-size: 1.5rem;}
  [data-testid="stHeading"] h3 {font-size: 1.2rem;}
}
</style>"""
