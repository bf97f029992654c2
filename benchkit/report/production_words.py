"""Whether production is still fine, in a sentence, from the newest checks of each drift baseline.

    baselines, each with its checks ── production(now) ──> "Production has drifted since 25 October 2026: the data have
                                                            changed (warn); retrieval is not harmed (last window ...)"

Severity and kind are those of the checks; here they are only told, with the day since when and how long ago.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median

from benchkit.report.board_words import Answer, Standing, named
from benchkit.report.drift_words import KIND_WORDS, percent
from benchkit.types.board import CheckRow
from benchkit.types.drift import BaselineInfo

Watched = Sequence[tuple[BaselineInfo, Sequence[CheckRow]]]

WINDOWS_TOLD = 8
# Windows come at their own pace; after three times that without one, "is fine" would be said of the past.
_MISSED_WINDOWS = 3
_QUIET_DAYS, _DAY_S = 7.0, 86_400.0
_BADNESS: Mapping[Standing, int] = {"good": 0, "info": 1, "warning": 2, "bad": 3}
_DRIFTED = "drifted"
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def production(watched: Watched, now: datetime) -> Answer:
    """Return how production stands: the worst watch, by its newest windows, and how many others there are.

    A watch is the windows of one stream; single checks of a baseline are one together. What was checked before a
    baseline was renewed says nothing of it. Of watches that stand alike, the one with the newest window is told.

    Args:
        watched: Baselines, each with its checks, newest last; one that is gone has no time of its creation.
    """
    found = _states(watched, now)
    if not found:
        hint = "a baseline is there, and no window was held against it" if watched else "there is no baseline yet"
        return Answer("info", "not watched", f"Production is not watched yet: {hint}.")
    worst, last = found[0]
    if len(found) == 1:
        return worst
    source = f"{named(last.baseline)}, {named(last.source)}"
    others = _others([state.standing for state, _ in found], worst.standing)
    return Answer(worst.standing, worst.word, f"{worst.sentence.rstrip('.')} [{source}; {others}].")


def is_worse(one: Answer, other: Answer) -> bool:
    """Tell whether production stands worse by one answer than by another."""
    return _rank(one) > _rank(other)


def _rank(answer: Answer) -> tuple[int, bool]:
    """Return how bad an answer is: that production has drifted is worse than that nobody has looked for some time."""
    return _BADNESS[answer.standing], answer.word.startswith(_DRIFTED)


def told_window(watched: Watched, now: datetime) -> CheckRow | None:
    """Return the newest window of the watch that `production` tells of; None where there is none."""
    return next((last for _, last in _states(watched, now)), None)


def _states(watched: Watched, now: datetime) -> list[tuple[Answer, CheckRow]]:
    """Return how each watch stands and its newest window, the worst and newest first."""
    found = [(_stands(info, rows, now), rows[-1]) for info, checks in watched for rows in _streams(info, checks)]
    return sorted(found, key=lambda state: (_rank(state[0]), time_of(state[1].at)), reverse=True)


def _others(standings: Sequence[Standing], worst: Standing) -> str:
    """Return how the watches beside the worst one stand: "2 other watches no better, 1 better"."""
    as_bad, better = standings.count(worst) - 1, sum(standing != worst for standing in standings)
    said = []
    if as_bad:
        watches = "other watch" if as_bad == 1 else "other watches"
        said.append(f"{as_bad} {watches} {'as well' if worst == 'good' else 'no better'}")
    if better:
        said.append(f"{better} better" if said else f"{better} other watch{'' if better == 1 else 'es'} better")
    return ", ".join(said)


def _streams(info: BaselineInfo, checks: Sequence[CheckRow]) -> list[list[CheckRow]]:
    streams: dict[str, list[CheckRow]] = defaultdict(list)
    for row in checks:
        if not info.created or time_of(row.checked_at) >= time_of(info.created):
            streams[row.stream].append(row)
    return list(streams.values())


def _stands(info: BaselineInfo, rows: Sequence[CheckRow], now: datetime) -> Answer:
    is_gone = not info.created
    answer = _drifted(rows, now) if _is_alarm(rows[-1]) else _fine(rows, now, is_gone=is_gone)
    if not is_gone:
        return answer
    return replace(answer, sentence=f"{answer.sentence} Its baseline was deleted or can't be read.")


def _is_alarm(row: CheckRow) -> bool:
    return row.severity in ("warn", "critical") or (row.breaks_policy and row.severity != "ok")


def _drifted(rows: Sequence[CheckRow], now: datetime) -> Answer:
    last = rows[-1]
    since = next((place for place in range(len(rows), 0, -1) if not _is_alarm(rows[place - 1])), 0)
    began = day_words(rows[since].start or rows[since].at)
    said = f"Production has drifted since {began}: {KIND_WORDS[last.kind]} ({last.severity}); {_harm(last)}"
    standing: Standing = "bad" if last.severity == "critical" else "warning"
    return Answer(standing, f"{_DRIFTED} ({last.severity})", f"{said} (last window {ago_words(last.at, now)}).")


def _harm(row: CheckRow) -> str:
    """Return what a check says of retrieval; the rules are those that its severity was made by (drift.verdict)."""
    if row.severity == "info":
        return "retrieval is not harmed"
    if row.kind in ("model", "numeric") and (row.overlap_at_10 is not None or row.ndcg_at_10 is not None):
        return "retrieval is greatly harmed" if row.severity == "critical" else "retrieval is harmed"
    if row.low_score_share is not None:
        return f"{percent(row.low_score_share)} of queries score under the baseline's 5th percentile, where 5 % did"
    return "whether retrieval is harmed is not known"


def _fine(rows: Sequence[CheckRow], now: datetime, *, is_gone: bool) -> Answer:
    last, told = rows[-1], rows[-WINDOWS_TOLD:]
    when = f"last {ago_words(last.at, now)}"
    untested = sum(row.p_value is None for row in told)
    if untested == len(told):
        said = f"none of the last {len(told)} windows was" if untested > 1 else "the only window was not"
        return Answer("info", "not tested", f"Production is not known to be fine: {said} tested for drift ({when}).")
    quiet = sum(not _is_alarm(row) for row in told)
    alarms = [row for row in rows if _is_alarm(row)]
    before = f"; the last alarm was on {day_words(alarms[-1].at)}" if alarms else ""
    noted = f"; {KIND_WORDS[last.kind]}, {_harm(last)} (info)" if last.severity == "info" else ""
    windows = "1 of 1 window" if len(told) == 1 else f"{quiet} of the last {len(told)} windows"
    left_open = f", {untested} of them not tested" if untested else ""
    said = f"{windows} without an alarm{left_open} ({when}){before}{noted}"
    if is_gone or _is_stale(rows, now):
        return Answer("warning", "not watched since", f"Production was fine when it was last looked at: {said}.")
    return Answer("good", "fine", f"Production is fine: {said}.")


def _is_stale(rows: Sequence[CheckRow], now: datetime) -> bool:
    times = [time_of(row.at).timestamp() for row in rows[-WINDOWS_TOLD:]]
    gaps = [later - earlier for earlier, later in pairwise(times) if later > earlier]
    usual = max(_DAY_S, _MISSED_WINDOWS * median(gaps)) if gaps else _QUIET_DAYS * _DAY_S
    return now.timestamp() - times[-1] > usual


# --- times


def time_of(text: str) -> datetime:
    """Return a time of the data; one without a zone is in UTC."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def day_words(text: str) -> str:
    """Return the day of a time, whatever the machine's language.

    >>> day_words("2026-10-25T16:16:26+00:00")
    '25 October 2026'
    """
    day = time_of(text)
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def ago_words(text: str, now: datetime) -> str:
    """Return how long ago a time was.

    >>> ago_words("2026-10-25T16:00:00+00:00", datetime(2026, 10, 25, 19, 5, tzinfo=UTC))
    '3 h ago'
    """
    seconds = now.timestamp() - time_of(text).timestamp()
    if seconds < 90:
        return "just now"
    for name, size, most in (("min", 60.0, 90), ("h", 3600.0, 48)):
        if seconds < most * size:
            return f"{seconds / size:.0f} {name} ago"
    return f"{seconds / _DAY_S:.0f} days ago"
