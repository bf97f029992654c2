"""Signs that a team's file means something else than a plain reading of it gives.

    rows, labels or texts of a file ──┬──> what to refuse: nobody can know which of two readings is meant
                                      └──> what to note: the plain reading is likely, and a mistake is common

All functions are pure and return sentences; places and files are added in `own/`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Names of parts of a data set, of which only one is scored.
_PARTS = frozenset({"train", "test", "dev", "valid", "validation", "val"})
# What programs write where there is no value.
_NO_VALUE = frozenset({"nan", "NaN", "None", "null", "NULL", "NA", "N/A", "#N/A", "<NA>"})
_BRACKETS = {"[": "]", "{": "}", "(": ")"}
_QUOTES = ("'", '"')
_WHOLE_NUMBER = re.compile(r"(-?\d+)\.0+")
_SHOWN = 3
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_BYTES_SHOWN = 20
# What stands between the columns of a file, by its kind, and the signs that other programs write there.
_SEPARATORS = {".csv": ("commas", ";\t|"), ".tsv": ("tabs", ",;|")}


def undecodable(content: bytes, start: int) -> str:
    """Say where the first byte is that isn't UTF-8, and what it may be.

    >>> undecodable(b"text\\nna\\xefve", 7)
    "line 2 holds b'na\\\\xefve'"
    """
    if content.startswith(_UTF_16):
        return "it looks like UTF-16"
    line = content.count(b"\n", 0, start) + 1
    begin = max(content.rfind(b"\n", 0, start) + 1, start - _BYTES_SHOWN)
    around = content[begin : start + _BYTES_SHOWN].split(b"\r")[0].split(b"\n")[0]
    return f"line {line} holds {around!r}"


def strange_header(header: Sequence[str], suffix: str) -> str:
    """Say that the first line of a csv or tsv file can't be the names of its columns, "" where it can.

    >>> strange_header(["text;label"], ".csv")
    "the header is one column, 'text;label'; a csv file has commas between its columns; save it with commas"
    """
    if not header:
        return "an empty line where the names of the columns should be"
    if header[0].strip().casefold().startswith("sep="):
        return f"{header[0]!r:.60} where the names of the columns should be; delete this line"
    name, others = _SEPARATORS[suffix]
    if len(header) == 1 and any(sign in header[0] for sign in others):
        return (
            f"the header is one column, {header[0]!r:.60}; a {suffix[1:]} file has {name} between its columns; "
            f"save it with {name}"
        )
    return ""


def is_written_list(text: str) -> bool:
    """Tell whether a text is a list, set or tuple as Python or JSON writes it, which would count as one label.

    >>> is_written_list("['a', 'b']"), is_written_list("[3]"), is_written_list("[spam]"), is_written_list("(none)")
    (True, True, False, False)
    """
    plain = text.strip()
    if not plain or _BRACKETS.get(plain[0]) != plain[-1]:
        return False
    inner = plain[1:-1].strip()
    return any(quote in inner for quote in _QUOTES) or (
        plain[0] == "[" and (not inner or "," in inner or _is_number(inner))
    )


def is_in_brackets(text: str) -> bool:
    """Tell whether a text stands in square brackets: where several labels may stand, a list without quotes.

    >>> is_in_brackets("[billing]")
    True
    """
    plain = text.strip()
    return plain.startswith("[") and plain.endswith("]")


def is_quoted_as_csv(field: str) -> bool:
    """Tell whether a field of a tsv file is quoted as in csv: in quotation marks, with those inside it doubled.

    >>> is_quoted_as_csv('"A ""no"" said"'), is_quoted_as_csv('"no"')
    (True, False)
    """
    if len(field) < 2 or not field[0] == field[-1] == '"':
        return False
    inner = field[1:-1]
    return '"' in inner and '"' not in inner.replace('""', "")


def is_quoted_after_space(field: str, line: str) -> bool:
    """Tell whether a field of a csv file was written as `, "text"`, whose quotation marks csv takes for text."""
    if not field[:1].isspace():
        return False
    plain = field.strip()
    return len(plain) > 1 and plain[0] == plain[-1] == '"' and f",{field}" in line


def column_of_parts(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Return the column that tells which part of a data set a row is of, and its values; ("", "") for none.

    It is one called "split" that names such a part, or one of any name that names nothing else; one part alone is none.

    >>> column_of_parts([{"text": "a", "set": "train"}, {"text": "b", "set": "test"}])
    ('set', 'test, train')
    """
    for name in dict.fromkeys(name for row in rows for name in row):
        values = _values(rows, name)
        if len(values) > 1 and any(map(_is_part, values)):
            return name, ", ".join(sorted(values))
    return "", ""


def _values(rows: Sequence[Mapping[str, Any]], name: str) -> set[str]:
    """Return the values of "split", and of another column none as soon as one of them is no part."""
    found: set[str] = set()
    for value in (row.get(name) for row in rows):
        if value in (None, ""):
            continue
        if name != "split" and not _is_part(value):
            return set()
        found.add(value if isinstance(value, str) else repr(value))
    return found


def _is_part(value: Any) -> bool:
    return isinstance(value, str) and value.strip().casefold() in _PARTS


def grades_elsewhere(rows: Sequence[Mapping[str, Any]], *, known: Iterable[str]) -> str:
    """Return the first column of judgements that holds numbers and isn't known, "" for none."""
    left = dict.fromkeys(name for row in rows for name in row)
    return next(
        (name for name in left if name not in set(known) and all(_is_number(row.get(name)) for row in rows)), ""
    )


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def plain_label(label: str) -> str:
    """Return what a person reads in a label: two labels that give the same are one, written in two ways.

    >>> plain_label("refund "), plain_label("2.0")
    ('refund', '2')
    """
    shown = "".join(sign for sign in unicodedata.normalize("NFC", label) if unicodedata.category(sign) != "Cf")
    plain = " ".join(shown.split())
    if len(plain) > 2 and plain[0] == plain[-1] == '"':
        plain = plain[1:-1]
    whole = _WHOLE_NUMBER.fullmatch(plain)
    return whole[1] if whole else plain


def are_joined_otherwise(values: Sequence[str]) -> bool:
    """Tell whether lists of labels look joined by a comma or a semicolon: some hold one, and none holds the "|"."""
    return any(sign in value for value in values for sign in ",;") and not any("|" in value for value in values)


def case_note(labels: Iterable[str]) -> str:
    """Say which labels differ in case only, "" for none."""
    spellings: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        spellings.setdefault(label.casefold(), []).append(label)
    alike = [" and ".join(map(repr, names)) for names in spellings.values() if len(names) > 1]
    return f"labels that differ in case only count as different: {_few(alike)}" if alike else ""


def no_value_note(texts: Iterable[str], what: str) -> str:
    """Say how many texts or labels are words that programs write for a missing value, "" for none."""
    found = [text for text in texts if text in _NO_VALUE]
    if not found:
        return ""
    s, are = ("", "is") if len(found) == 1 else ("s", "are")
    words = " or ".join(map(repr, sorted(set(found))))
    return f"{len(found)} {what}{s} {are} {words}, taken as the word that stands there"


def _few(names: Sequence[str]) -> str:
    return ", ".join([*names[:_SHOWN], *(["..."] if len(names) > _SHOWN else [])])
