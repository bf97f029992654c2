"""Sinks as people write them on a command line.

"jsonl:PATH" | "webhook:https://..." | "slack:https://..." | "smtp://user@host:port?to=..&from=.." ── sink_of ──> Sink

A command line is seen by every user of a machine, so secrets come from the environment: `webhook:env:NAME` and
`slack:env:NAME` take the whole address from a variable.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from benchkit.errors import UsageError, nearest
from benchkit.monitor.alerts.alert import Sink
from benchkit.monitor.alerts.jsonlines import JsonLines
from benchkit.monitor.alerts.mail import Email, Security
from benchkit.monitor.alerts.webhook import LOCAL_HOSTS, Template, Webhook

WEBHOOK_SECRET = "BENCHKIT_WEBHOOK_SECRET"  # noqa: S105  the name of a variable
SMTP_PASSWORD = "BENCHKIT_SMTP_PASSWORD"  # noqa: S105
_SMTP_PORTS = {"smtp": 587, "smtps": 465}
_SMTP_OPTIONS = ("to", "from", "tls")
_SECURITIES: dict[str, Security] = {"starttls": "starttls", "none": "none"}


def sink_of(spec: str, *, stop: threading.Event | None = None) -> Sink:
    """Return the sink that a text names.

    Args:
        spec: jsonl:PATH; webhook:URL, signed when BENCHKIT_WEBHOOK_SECRET is set; slack:URL;
            smtp://user@host:port?from=..&to=..,.. with STARTTLS (tls=none for none) or smtps://..., the password in
            BENCHKIT_SMTP_PASSWORD.
        stop: Who sets it waits no longer for servers: what they didn't take is told later.

    Raises:
        UsageError: it names none, or one that can't be used. The message holds no address.
    """
    kind, colon, rest = spec.partition(":")
    known: dict[str, Callable[[], Sink]] = {
        "jsonl": lambda: _jsonl(rest),
        "webhook": lambda: _webhook(rest, "json", stop),
        "slack": lambda: _webhook(rest, "slack", stop),
        "smtp": lambda: _email(spec, stop),
        "smtps": lambda: _email(spec, stop),
    }
    if not colon or kind not in known:
        guess = nearest(kind, known) if colon else None
        meant = f"; did you mean {guess}:?" if guess else ""
        raise UsageError(f"alert sink: expected jsonl:PATH, webhook:URL, slack:URL or smtp://host?to=..&from=..{meant}")
    return known[kind]()


def _jsonl(path: str) -> Sink:
    if not path:
        raise UsageError("alert sink jsonl: a path is missing, as in jsonl:alerts.jsonl")
    return JsonLines(Path(path).expanduser())  # a shell opens up "~" only where a word begins


def _webhook(url: str, template: Template, stop: threading.Event | None) -> Sink:
    if url.startswith("env:"):
        variable = url.removeprefix("env:")
        url = os.environ.get(variable, "")
        if not url:
            raise UsageError(f"alert sink: environment variable {variable} with the address isn't set")
    is_signed = template == "json" and bool(os.environ.get(WEBHOOK_SECRET))
    return Webhook(url, template=template, secret_env=WEBHOOK_SECRET if is_signed else None, stop=stop)


def _email(spec: str, stop: threading.Event | None) -> Sink:
    try:
        place = urlsplit(spec)
        host, port = place.hostname, place.port or _SMTP_PORTS[place.scheme]
    except ValueError:
        raise UsageError("alert sink smtp: expected smtp://user@host:port?to=..&from=..") from None
    if not host:
        raise UsageError("alert sink smtp: a host is missing, as in smtp://mail.example.org?to=..&from=..")
    if place.password is not None:
        raise UsageError(f"alert sink smtp: no password in the address; set {SMTP_PASSWORD}")
    options = _options(place)
    user = unquote(place.username) if place.username else None
    return Email(
        host,
        port,
        sender=options["from"],
        to=[address.strip() for address in options["to"].split(",")],
        security=_security(place.scheme, host, options.get("tls")),
        user=user,
        password_env=SMTP_PASSWORD if user else None,
        stop=stop,
    )


def _options(place: SplitResult) -> dict[str, str]:
    # "+" is part of addresses as alerts+drift@example.org; parse_qs would make it a space.
    given = parse_qs(place.query.replace("+", "%2B"))
    options = {name: ",".join(values) for name, values in given.items()}  # to=a&to=b are two recipients
    for name in options:
        if name not in _SMTP_OPTIONS:
            raise UsageError(f"alert sink smtp: unknown option {name!r}; there are to, from and tls")
    for name in ("to", "from"):
        if name not in options:
            raise UsageError(
                f"alert sink smtp: {name}= is missing, as in smtp://{place.hostname}?to=a@b.org&from=c@d.org"
            )
    return options


def _security(scheme: str, host: str, asked: str | None) -> Security:
    """Return how the connection is protected; a mail server on this machine usually has no certificate."""
    if scheme == "smtps":
        return "ssl"
    if asked is None:
        return "none" if host in LOCAL_HOSTS else "starttls"
    if asked not in _SECURITIES:
        raise UsageError(f"alert sink smtp: tls: expected starttls or none, got {asked!r}")
    return _SECURITIES[asked]
