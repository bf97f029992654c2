"""Sinks as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from alerts import alert

from benchkit.errors import UsageError
from benchkit.monitor.alerts.jsonlines import JsonLines
from benchkit.monitor.alerts.mail import Email
from benchkit.monitor.alerts.specs import sink_of
from benchkit.monitor.alerts.webhook import Webhook


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BENCHKIT_WEBHOOK_SECRET", "BENCHKIT_SMTP_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


def test_a_file(tmp_path: Path) -> None:
    sink = sink_of(f"jsonl:{tmp_path}/a:b.jsonl")
    assert isinstance(sink, JsonLines)
    sink.send(alert())
    assert (tmp_path / "a:b.jsonl").exists()


def test_webhooks(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = sink_of("webhook:https://example.org/x")
    assert isinstance(plain, Webhook)
    assert plain._secret_env is None
    monkeypatch.setenv("BENCHKIT_WEBHOOK_SECRET", "s")
    signed, slack = sink_of("webhook:https://example.org/x"), sink_of("slack:https://hooks.slack.com/services/T/B/x")
    assert isinstance(signed, Webhook)
    assert signed._secret_env == "BENCHKIT_WEBHOOK_SECRET"
    assert isinstance(slack, Webhook)
    assert (slack._template, slack._secret_env) == ("slack", None)
    assert slack.name.startswith("slack:https://hooks.slack.com/…")


def test_an_address_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_URL", "https://hooks.slack.com/services/T/B/x")
    assert sink_of("slack:env:SLACK_URL").name == sink_of("slack:https://hooks.slack.com/services/T/B/x").name
    with pytest.raises(UsageError, match="environment variable NOT_SET with the address isn't set"):
        sink_of("slack:env:NOT_SET")


def test_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHKIT_SMTP_PASSWORD", "p")
    sink = sink_of("smtp://me%40here@mail.example.org?to=a+b@c.org,d@e.org&from=f@g.org")
    assert isinstance(sink, Email)
    assert (sink._host, sink._port, sink._security, sink._user) == ("mail.example.org", 587, "starttls", "me@here")
    assert (sink._to, sink._sender) == (("a+b@c.org", "d@e.org"), "f@g.org")
    for spec, port, security in (
        ("smtps://mail.example.org?to=a@b.org&from=c@d.org", 465, "ssl"),
        ("smtp://127.0.0.1:2525?to=a@b.org&from=c@d.org", 2525, "none"),
        ("smtp://localhost?to=a@b.org&from=c@d.org&tls=starttls", 587, "starttls"),
        ("smtp://mail.example.org?to=a@b.org&from=c@d.org&tls=none", 587, "none"),
    ):
        found = sink_of(spec)
        assert isinstance(found, Email)
        assert (found._port, found._security, found._user) == (port, security, None)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("alerts.jsonl", "expected jsonl:PATH, webhook:URL"),
        ("webhok:https://x.org", "did you mean webhook:?"),
        ("jsonl:", "a path is missing"),
        ("webhook:", "expected an address as https://host/path"),
        ("webhook:http://example.org/x", "use https"),
        ("smtp://", "a host is missing"),
        ("smtp://h:port?to=a@b.org&from=c@d.org", "expected smtp://user@host:port"),
        ("smtp://h?from=c@d.org", "to= is missing"),
        ("smtp://h?to=a@b.org", "from= is missing"),
        ("smtp://me:pw@h?to=a@b.org&from=c@d.org", "no password in the address; set BENCHKIT_SMTP_PASSWORD"),
        ("smtp://me@h?to=a@b.org&from=c@d.org", "environment variable BENCHKIT_SMTP_PASSWORD isn't set"),
        ("smtp://h?to=a@b.org&from=c@d.org&cc=e@f.org", "unknown option 'cc'"),
        ("smtp://h?to=a@b.org%0d%0aBcc:x@y.org&from=c@d.org", "isn't an address"),
        ("smtp://h?to=a@b.org&from=c@d.org&tls=maybe", "expected starttls or none, got 'maybe'"),
    ],
)
def test_what_names_no_sink_is_refused(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        sink_of(spec)


def test_the_home_folder_is_opened_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A shell does so at the beginning of a word only, and jsonl:~/a.jsonl made a folder named "~".
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sink_of("jsonl:~/a.jsonl").name == f"jsonl:{tmp_path}/a.jsonl"


def test_each_recipient_that_is_named_gets_mail() -> None:
    sink = sink_of("smtp://mail.example.org?to=a@c.org&to=b@c.org,c@c.org&from=f@g.org")
    assert isinstance(sink, Email)
    assert sink._to == ("a@c.org", "b@c.org", "c@c.org")
    with pytest.raises(UsageError, match="tls: expected starttls or none, got 'none,starttls'"):
        sink_of("smtp://mail.example.org?to=a@c.org&from=f@g.org&tls=none&tls=starttls")
