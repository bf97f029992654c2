"""Names and values of foreign data as a message may show them: on one line, short, nothing that moves a cursor."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MAX_SHOWN = 80
_MAX_LISTED = 12
# A path or URL is a source's name, and cut it would be another's.
_MAX_PATH = 1000
# What a library says of a file may quote the file: all of a name, or whatever bytes are in its place.
_MAX_REASON = 500
# Greedy up to the last "@": a password may hold one, and a "/" too, where somebody forgot to quote it.
_PASSWORD = re.compile(r"(://[^/@:]*:)(.*)@")


def shown(value: object, *, most: int = _MAX_SHOWN) -> str:
    r"""Return a name or value for a message: control characters escaped, cut after `most` characters.

    >>> shown("evil\x1b[2J")
    'evil\\x1b[2J'
    """
    text = value if isinstance(value, str) else repr(value)
    text = text[: most - 1] + "…" if len(text) > most else text
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def reason(error: BaseException) -> str:
    r"""Return what a library says of foreign data, for a message.

    >>> reason(ValueError("no JSON: '\x1b[2J'\n"))
    "no JSON: '\\x1b[2J'"
    """
    return shown(str(error).strip() or type(error).__name__, most=_MAX_REASON)


def shown_place(spec: str) -> str:
    """Return a path or URL for messages, without its password."""
    return shown(without_secret(spec), most=_MAX_PATH)


def listed(names: Iterable[object]) -> str:
    """Return names for a message, at most twelve of them.

    >>> listed(["a", "b"])
    "'a', 'b'"
    """
    known = list(names)
    more = [f"and {len(known) - _MAX_LISTED} more"] if len(known) > _MAX_LISTED else []
    return ", ".join([f"'{shown(name)}'" for name in known[:_MAX_LISTED]] + more) or "none"


def without_secret(url: str) -> str:
    """Return a URL whose password is "***" and without its query, which may hold a key.

    >>> without_secret("postgresql://me:secret@host/db?sslpassword=x")
    'postgresql://me:***@host/db'
    """
    hidden = _PASSWORD.sub(r"\1***@", url)
    return hidden.partition("?")[0] if "://" in hidden else hidden


def password_of(url: str) -> str | None:
    """Return the password in a URL, as it stands there; None for none.

    >>> password_of("postgresql://me:secret@host/db")
    'secret'
    """
    found = _PASSWORD.search(url)
    return found[2] if found else None
