"""A gate as GitHub Markdown, for a job's summary and for one comment that is renewed.

    GateReport ──> marker · the answer · rules that block · what to do ── always there
               ──> warnings · power, swap and notes · passes · explanations ── as far as the limit allows

GitHub takes 1 MiB for a summary and 65,536 characters for a comment; the limit here counts UTF-8 bytes, of which there
are never fewer than characters. The marker is an HTML comment by which the next run finds the comment that it renews.
Source of what has to be escaped: GitHub Flavored Markdown Spec 0.29 (6.9 for links without brackets), and GitHub's own
signs: @name, #1 and $math$.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Callable, Iterable, Sequence

from benchkit.report import gate_words, words
from benchkit.report.gate_words import POWER_SHOWN, SENTENCE_SHOWN, short
from benchkit.report.markdown import escape
from benchkit.types.gate import Explanation, GateReport, LostItem, RuleResult

COMMENT_LIMIT = 65_536
_RESERVE = 400  # bytes for the words on what was left out
_SYMBOLS = {"pass": "✅", "inconclusive": "❔", "fail": "❌", "error": "❌"}
_HEADINGS = ("rule", "candidate", "baseline", "change (95 % interval)", "allowed", "verdict")
_MARKER_SIGNS = re.compile(r"[^A-Za-z0-9._]+")
_MARKER_NAME = 80
# A zero-width space inside keeps these from becoming links and messages: "https://", "www.", "name@host.org", "#1",
# "GH-1" and "@name".
_LINKS = re.compile(
    r"(?i)(?<=:)(?=//)|(?<=www)(?=\.)|(?<=\w@)(?=[\w-]+\.\w)|(?<=(?<!&)#)(?=\d)|(?<=gh-)(?=\d)|(?<=(?<!\w)@)(?=\w)"
)
_NOTHING = "&#8203;"


def marker(suite_name: str) -> str:
    """Return the hidden first line by which the comment of a suite is found again.

    >>> marker("support-search"), marker("a --> b")
    ('<!-- benchkit-gate:support-search -->', '<!-- benchkit-gate:a-b-8527e2eb -->')
    """
    kept = _MARKER_SIGNS.sub("-", suite_name)[:_MARKER_NAME].strip("-")
    # Two names that look alike without their signs are two comments.
    digest = hashlib.sha256(suite_name.encode("utf-8", "replace")).hexdigest()[:8]
    name = kept if kept and kept == suite_name else f"{kept}-{digest}".lstrip("-")
    return f"<!-- benchkit-gate:{name} -->"


def render_gate_markdown(report: GateReport, *, limit: int = COMMENT_LIMIT) -> str:
    """Return a gate as Markdown of at most `limit` characters and bytes.

    Args:
        limit: What is cut first: explanations, then passes, then notes and warnings, and last rules that block, which
            are then counted. The marker, the headline and the next step always stay: about 1,200 bytes, and up to
            25,000 where names are made of signs that have to be escaped.
    """
    page = _Page(limit - _RESERVE)
    page.keep(marker(report.suite.name))
    page.keep(f"## {_SYMBOLS[report.verdict]} {_text(gate_words.headline(report), 2 * SENTENCE_SHOWN)}")
    page.keep(_text(gate_words.next_step(report), SENTENCE_SHOWN))
    page.keep(_origin(report))
    _add_rules(page, report, ("blocks",), "of those that block")
    _add_rules(page, report, ("warns",), "warnings")
    notes = _notes(report)
    shown = page.add_lines(notes, lambda lines: "\n".join(["**Notes**", "", *lines]))
    page.leave_out(len(notes) - shown, len(notes), "notes")
    _add_folded_rules(page, report)
    _add_explanations(page, report)
    return page.text()


class _Page:
    """Blocks of text in the order in which they are read, as long as they fit."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._blocks: list[str] = []
        self._left_out: list[str] = []

    def keep(self, block: str) -> None:
        """Add a block whether it fits or not."""
        self._blocks.append(block)
        self._room -= _size(block) + 2

    def add(self, block: str) -> bool:
        """Add a block if it fits."""
        fits = _size(block) + 2 <= self._room
        if fits:
            self.keep(block)
        return fits

    def add_lines(self, lines: Iterable[str], wrap: Callable[[Sequence[str]], str] = "\n".join) -> int:
        """Add as many of the lines as fit, as one block; return how many. No line after these is made."""
        free = self._room - _size(wrap([])) - 2
        fitting = []
        for line in lines:
            free -= _size(line) + 1
            if free < 0:
                break
            fitting.append(line)
        if fitting:
            self.keep(wrap(fitting))
        return len(fitting)

    def leave_out(self, n: int, of: int, what: str) -> None:
        """Remember that some of the rows did not fit."""
        if n:
            self._left_out.append(f"{n} of {of} {what}")

    def text(self) -> str:
        if self._left_out:
            cut = f"Left out, since the page would be too long: {'; '.join(self._left_out)}."
            self._blocks.append(f"*{cut} The whole is in the log and in the file of `--json`.*")
        return "\n\n".join(self._blocks) + "\n"


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _text(text: str, limit: int = gate_words.NAME_SHOWN) -> str:
    """Return text of the data so that a reader of GitHub sees it as it is, on one line."""
    return _unlinked(escape(short(text, limit)))


def _title(text: str) -> str:
    """Return the same for a line of HTML, in which backslashes escape nothing."""
    return _unlinked(html.escape(short(text, SENTENCE_SHOWN), quote=False))


def _unlinked(escaped: str) -> str:
    return _LINKS.sub(_NOTHING, escaped).replace("$", "<span>$</span>")


def _origin(report: GateReport) -> str:
    sides = ((report.candidate, report.candidate_source), (report.baseline, report.baseline_source))
    found = [f"{_text(meta.name)} ({_text(meta.id)}, {_text(source)})" for meta, source in sides]
    return (
        f"Candidate {found[0]}, baseline {found[1]}; suite {_text(report.suite.name)}, rules of "
        f"{_text(report.policy.source)}; gate {_text(report.gate_id)}, {_text(report.started)}."
    )


# --- rules


def _table(rows: Iterable[str]) -> str:
    heading = [f"| {' | '.join(_HEADINGS)} |", "| --- | ---: | ---: | ---: | ---: | --- |"]
    return "\n".join([*heading, *rows])


def _row(report: GateReport, rule: RuleResult) -> str:
    fields = (
        _text(rule.id),
        _text(gate_words.value_words(rule, rule.candidate)),
        _text(gate_words.value_words(rule, rule.baseline)),
        gate_words.change_words(rule),
        _text(gate_words.allowed_words(rule, report.policy) or words.ABSENT),
        f"**{gate_words.verdict_words(report, rule)}**",
    )
    return f"| {' | '.join(fields)} |"


def _sentence(report: GateReport, rule: RuleResult) -> str:
    said = _text(rule.sentence, SENTENCE_SHOWN) or "no reason was given"
    return f"- **{gate_words.verdict_words(report, rule)}** {_text(rule.id)}: {said}"


def _add_rules(page: _Page, report: GateReport, standings: tuple[gate_words.Standing, ...], what: str) -> None:
    """Add a table of rules and below it what each of them found."""
    rules = gate_words.of_standing(report, *standings)
    shown = page.add_lines((_row(report, rule) for rule in rules), _table)
    page.leave_out(len(rules) - shown, len(rules), f"rules ({what})")
    told = page.add_lines(_sentence(report, rule) for rule in rules[:shown])
    page.leave_out(shown - told, shown, f"sentences ({what})")


def _add_folded_rules(page: _Page, report: GateReport) -> None:
    passed = gate_words.of_standing(report, "pass")
    rows = (_row(report, rule) for rule in passed)
    shown = page.add_lines(rows, lambda lines: _details(f"{words.counted(len(passed), 'rule')} passed", _table(lines)))
    page.leave_out(len(passed) - shown, len(passed), "passes")
    skipped = gate_words.of_standing(report, "skipped")
    lines = (_sentence(report, rule) for rule in skipped)
    title = f"{words.counted(len(skipped), 'rule')} skipped"
    shown = page.add_lines(lines, lambda lines: _details(title, "\n".join(lines)))
    page.leave_out(len(skipped) - shown, len(skipped), "skipped rules")


def _notes(report: GateReport) -> list[str]:
    said = [gate_words.swap_words(report), *(f"Note: {warning}" for warning in report.warnings)]
    power = [f"- {_text(report.power, POWER_SHOWN)}"] if report.power else []
    return [*power, *(f"- {_text(line, SENTENCE_SHOWN)}" for line in said if line)]


# --- why


def _details(title: str, content: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{content}\n\n</details>"


def _add_explanations(page: _Page, report: GateReport) -> None:
    shown = [page.add(_explanation(found)) for found in report.explanations]
    page.leave_out(shown.count(False), len(shown), "explanations")


def _explanation(found: Explanation) -> str:
    slices = [f"- {_text(gate_words.slice_words(part), 200)}" for part in found.slices[: gate_words.SLICES_SHOWN]]
    items = [_item(item) for item in found.items[: gate_words.ITEMS_SHOWN]]
    content = [*(["Slices:\n\n" + "\n".join(slices)] if slices else []), *(["\n".join(items)] if items else [])]
    return _details(_title(f"Why: {gate_words.explanation_title(found)}"), "\n\n".join(content))


def _item(item: LostItem) -> str:
    fields = [f"   - {heading}: {_text(text, SENTENCE_SHOWN)}" for heading, text in gate_words.item_fields(item)]
    return "\n".join([f"1. {_text(gate_words.item_title(item), SENTENCE_SHOWN)}", *fields])
