"""What `benchkit suites validate` says of a team's own data, and the checks that every kind of text shares.

error    the score would be wrong, or can't be computed
warning  the score is right, and likely says something else than its reader believes
note     worth knowing
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchkit.suite.near_duplicates import MAX_TEXTS, THRESHOLD, near_duplicates
from benchkit.suite.text_facts import estimated_tokens, main_script, normalize

Severity = Literal["error", "warning", "note"]

MAX_ITEMS = 10  # items that a finding lists; its message counts them all
FEW_ITEMS = 50  # with fewer, the 95 % interval of a mean of 0/1 scores is wider than +-0.14
# A share of one class at which always saying its name looks like a good model.
DOMINANT_SHARE = 0.8
LONG_TOKENS = 512  # what most small models read of a text


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    Attributes:
        code: A short fixed name, "duplicate-documents".
        message: A sentence with counts, and what follows from them.
        items: The first of the items concerned: ids, or "row 3".
    """

    severity: Severity
    code: str
    message: str
    items: tuple[str, ...] = ()


def finding(severity: Severity, code: str, message: str, items: Sequence[str] = ()) -> Finding:
    """Return a finding with the first MAX_ITEMS of its items; a code has no spaces."""
    return Finding(severity, code.replace(" ", "-"), message, tuple(items[:MAX_ITEMS]))


def count(number: int, noun: str) -> str:
    """Return the number with its noun.

    >>> count(1, "query"), count(1200, "query")
    ('1 query', '1,200 queries')
    """
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def by_row(texts: Sequence[str]) -> dict[str, str]:
    """Return the texts by "row 1", "row 2", ..."""
    return {f"row {position}": text for position, text in enumerate(texts, 1)}


def few_items(number: int, noun: str) -> Iterator[Finding]:
    """Find a set that is too small to tell models apart."""
    if number < FEW_ITEMS:
        message = f"{count(number, noun)}; with fewer than {FEW_ITEMS} few differences between models can be seen"
        yield finding("warning", "few-items", message)


def check_texts(texts: Mapping[str, str], noun: str, *, empty: Severity = "error") -> Iterator[Finding]:
    """Find empty, very long and broken texts, and texts in another script than most.

    Args:
        texts: Texts by the names that a finding shows.
        noun: What one of them is: "document".
        empty: How bad an empty text is.
    """
    blank = [name for name, text in texts.items() if not text.strip()]
    if blank:
        yield finding(empty, f"empty-{noun}", f"{count(len(blank), noun)} without any text", blank)
    broken = [name for name, text in texts.items() if "\ufffd" in text]
    if broken:
        message = f"{count(len(broken), noun)} with U+FFFD, the mark of characters lost in an earlier conversion"
        yield finding("warning", f"broken-{noun}", message, broken)
    long = [name for name, text in texts.items() if estimated_tokens(text) > LONG_TOKENS]
    if long:
        message = f"{count(len(long), noun)} of more than about {LONG_TOKENS} tokens; many models read no further"
        yield finding("note", f"long-{noun}", message, long)
    yield from _scripts(texts, noun)


def _scripts(texts: Mapping[str, str], noun: str) -> Iterator[Finding]:
    scripts = {name: script for name, text in texts.items() if (script := main_script(text))}
    counts = Counter(scripts.values()).most_common()
    if len(counts) > 1:
        most = counts[0][0]
        shares = ", ".join(f"{script} {number:,}" for script, number in counts)
        others = [name for name, script in scripts.items() if script != most]
        yield finding("note", f"mixed-scripts-{noun}", f"{count(len(texts), noun)} by main script: {shares}", others)


def same_texts(texts: Mapping[str, str]) -> list[list[str]]:
    """Return the names of texts that are the same after normalisation, group by group; empty ones don't count."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name, text in texts.items():
        if key := normalize(text):
            groups[key].append(name)
    return [names for names in groups.values() if len(names) > 1]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Names of texts that are the same after normalisation, and pairs that are nearly so; None: not looked for."""

    same: list[list[str]]
    near: list[tuple[str, str, float]] | None


def find_duplicates(texts: Mapping[str, str]) -> Duplicates:
    """Find texts that are the same or nearly so; the latter only among at most MAX_TEXTS texts."""
    if len(texts) > MAX_TEXTS:
        return Duplicates(same_texts(texts), None)
    names = list(texts)
    pairs = near_duplicates(list(texts.values()))
    return Duplicates(same_texts(texts), [(names[pair.first], names[pair.second], pair.similarity) for pair in pairs])


def check_duplicates(duplicates: Duplicates, noun: str, consequence: str) -> Iterator[Finding]:
    """Say which texts are the same, or nearly so, and what follows from it."""
    if duplicates.same:
        extra = sum(len(names) - 1 for names in duplicates.same)
        items = [" = ".join(names[:4]) for names in duplicates.same]
        yield finding(
            "warning", f"duplicate-{noun}", f"{count(extra, noun)} repeated word for word; {consequence}", items
        )
    if duplicates.near is None:
        message = f"near duplicates are looked for among at most {MAX_TEXTS:,} texts; these are more"
        yield finding("note", f"near-duplicate-{noun}-skipped", message)
    elif duplicates.near:
        items = [f"{one} ~ {other} ({similarity:.2f})" for one, other, similarity in duplicates.near]
        concerned = count(len({name for one, other, _ in duplicates.near for name in (one, other)}), noun)
        message = (
            f"{concerned} nearly the same as another (at least {THRESHOLD:.0%} of the 5-grams shared); {consequence}"
        )
        yield finding("warning", f"near-duplicate-{noun}", message, items)


def check_balance(counts: Counter[str]) -> Iterator[Finding]:
    """Say how evenly the labels are spread."""
    total = counts.total()
    (largest, most), (smallest, least) = counts.most_common()[0], counts.most_common()[-1]
    if len(counts) == 1:
        yield finding("error", "one-class", f"every label is {largest!r}; there is nothing to tell apart")
        return
    shares = f"largest {largest!r} {most / total:.0%}, smallest {smallest!r} {least / total:.1%}"
    message = f"{count(len(counts), 'label')}: {shares}"
    if most >= DOMINANT_SHARE * total:
        yield finding("warning", "label-balance", f"{message}; with one label this frequent, accuracy says little")
    else:
        yield finding("note", "label-balance", message)
