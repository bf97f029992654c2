"""An alert as a message of Slack and of chats that read the same form (Mattermost, Rocket.Chat, Discord's /slack).

Alert ── escaped ──> {"text": ..., "attachments": [...]}

Hostile names can neither call people (`<!channel>`, `@here`) nor make links or load pictures: &, < and > are escaped as
Slack asks, and formatting and previews are off. Chats that read Markdown all the same find a zero-width space behind
each @, before the address of `[text](address)`, and within `https://`, which Slack itself would make a link.
Source: docs.slack.dev, "Formatting message text", section "Escaping text".
"""

from __future__ import annotations

from typing import Any

from benchkit.monitor.alerts.alert import Alert, facts

_BROKEN = {"@": "@\u200b", "](": "]\u200b(", "://": ":\u200b//"}
_COLORS = {"ok": "#2e7d32", "info": "#1565c0", "warn": "#ef6c00", "critical": "#c62828"}


def slack_message(alert: Alert) -> dict[str, Any]:
    """Return the body of the request."""
    headline = escaped(alert.headline)
    return {
        "text": headline,
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "attachments": [
            {
                "color": _COLORS["ok" if alert.is_recovery else alert.severity],
                "fallback": headline,
                "mrkdwn_in": [],
                "fields": [
                    {"title": name, "value": escaped(value), "short": len(value) < 40} for name, value in facts(alert)
                ],
            }
        ],
    }


def escaped(text: str) -> str:
    """Return a text that Slack shows as it is.

    >>> escaped("<!channel> & co")
    '&lt;!channel&gt; &amp; co'
    """
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign, broken in _BROKEN.items():
        safe = safe.replace(sign, broken)
    return safe
