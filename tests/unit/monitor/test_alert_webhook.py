"""Webhooks against a real server on this machine."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from alerts import alert
from local_server import LocalServer

from benchkit.errors import UsageError
from benchkit.monitor.alerts.alert import AlertError, AlertRefused
from benchkit.monitor.alerts.webhook import Webhook, is_signed, signature

SECRET_PATH = "/services/T0/B0/very-secret"


@dataclass
class Hook:
    """What a server answers, one after the other (the last for ever), and what it got."""

    answers: list[tuple[int, dict[str, str]]]
    delay_s: float = 0.0
    url: str = ""
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def serving(*answers: int | tuple[int, dict[str, str]], delay_s: float = 0.0) -> Iterator[Hook]:
    hook = Hook([(answer, {}) if isinstance(answer, int) else answer for answer in answers], delay_s)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            time.sleep(hook.delay_s)
            status, headers = hook.answers.pop(0) if len(hook.answers) > 1 else hook.answers[0]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = LocalServer(Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    hook.url = f"http://127.0.0.1:{server.server_address[1]}{SECRET_PATH}"
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def webhook(url: str, pauses: list[float] | None = None, **options: Any) -> Webhook:
    kept = [] if pauses is None else pauses
    return Webhook(url, pause=kept.append, rng=random.Random(0), **options)


def test_an_alert_arrives_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    with serving(204) as hook:
        webhook(hook.url, secret_env="HOOK_SECRET").send(alert())
    ((path, headers, body),) = hook.requests
    assert path == SECRET_PATH
    assert json.loads(body) == alert().to_json()
    assert headers["content-type"] == "application/json"
    assert headers["x-benchkit-alert"] == alert().id
    stamp, signed = headers["x-benchkit-timestamp"], headers["x-benchkit-signature"]
    assert is_signed("s3cret", stamp, body, signed, now=time.time())
    assert not is_signed("s3cret", stamp, body + b" ", signed, now=time.time())
    assert not is_signed("another", stamp, body, signed, now=time.time())
    assert not is_signed("s3cret", stamp, body, signed, now=time.time() + 1000)
    for no_time in ("soon", "9" * 400, ""):
        assert not is_signed("s3cret", no_time, body, signed, now=time.time())


def test_the_signature_is_hmac_sha256_of_timestamp_dot_body() -> None:
    # printf '1.{}' | openssl dgst -sha256 -hmac key
    assert signature("key", "1", b"{}") == "v1=" + hmac_by_hand(b"key", b"1.{}")


def hmac_by_hand(key: bytes, message: bytes) -> str:
    """RFC 2104, section 2, written out."""
    from hashlib import sha256

    padded = key.ljust(64, b"\0")
    inner = sha256(bytes(byte ^ 0x36 for byte in padded) + message).digest()
    return sha256(bytes(byte ^ 0x5C for byte in padded) + inner).hexdigest()


def test_slack_gets_its_own_form() -> None:
    with serving(200) as hook:
        webhook(hook.url, template="slack").send(alert())
    assert json.loads(hook.requests[0][2])["text"] == alert().headline
    assert "x-benchkit-signature" not in hook.requests[0][1]


def test_it_tries_again_with_pauses_that_double_and_vary() -> None:
    pauses: list[float] = []
    with serving(500, 503, 429, 200) as hook:
        webhook(hook.url, pauses).send(alert())
    assert len(hook.requests) == 4
    assert len({headers["x-benchkit-alert"] for _, headers, _ in hook.requests}) == 1
    for pause, most in zip(pauses, (0.5, 1.0, 2.0), strict=True):
        assert most / 2 <= pause <= most


def test_it_waits_as_long_as_the_server_asks() -> None:
    pauses: list[float] = []
    with serving((429, {"Retry-After": "7"}), 200) as hook:
        webhook(hook.url, pauses).send(alert())
    assert pauses == [7.0]


def test_it_waits_until_the_moment_that_the_server_names() -> None:
    pauses: list[float] = []
    asctime = (datetime.now(UTC) + timedelta(seconds=20)).strftime("%a %b %d %H:%M:%S %Y")
    with serving((429, {"Retry-After": asctime}), 200) as hook:
        webhook(hook.url, pauses).send(alert())
    assert pauses == [pytest.approx(20, abs=3)]


def test_it_does_not_wait_longer_than_it_may() -> None:
    pauses: list[float] = []
    with (
        serving((503, {"Retry-After": "3600"})) as hook,
        pytest.raises(AlertError, match=r"answered 503 \(1 attempts\)"),
    ):
        webhook(hook.url, pauses).send(alert())
    assert pauses == []


def test_it_gives_up_after_its_attempts() -> None:
    with serving(500) as hook, pytest.raises(AlertError, match=r"answered 500 \(3 attempts\)"):
        webhook(hook.url, retries=2).send(alert())
    assert len(hook.requests) == 3


@pytest.mark.parametrize(("status", "hint"), [(400, ""), (401, "is the secret right"), (404, "is the address right")])
def test_a_refusal_is_final(status: int, hint: str) -> None:
    with serving(status) as hook, pytest.raises(AlertError, match=f"answered {status}.*{hint}"):
        webhook(hook.url).send(alert())
    assert len(hook.requests) == 1


def test_a_server_that_is_away_is_tried_again() -> None:
    with serving(200) as hook:
        pass
    pauses: list[float] = []
    with pytest.raises(AlertError, match=r"no connection \(Connection refused\) \(3 attempts\)"):
        webhook(hook.url, pauses, retries=2).send(alert())
    assert len(pauses) == 2


def test_a_server_that_says_nothing_costs_bounded_time() -> None:
    began = time.monotonic()
    with serving(200, delay_s=1.0) as hook, pytest.raises(AlertError, match="attempts"):
        webhook(hook.url, timeout_s=0.1, retries=1).send(alert())
    assert time.monotonic() - began < 30


def test_who_is_to_end_waits_for_no_further_attempt() -> None:
    stop = threading.Event()
    with serving((503, {"Retry-After": "30"})) as hook:
        sink = Webhook(hook.url, stop=stop)
        threading.Timer(0.2, stop.set).start()
        began = time.monotonic()
        with pytest.raises(AlertError, match=r"answered 503 \(1 attempts\)"):
            sink.send(alert())
        assert time.monotonic() - began < 10
        with pytest.raises(AlertError, match="answered 503"):  # one attempt is made all the same
            sink.send(alert())
        assert len(hook.requests) == 2


def test_who_is_to_end_has_little_time_for_an_attempt_under_way() -> None:
    stop = threading.Event()
    with serving(200, delay_s=5) as hook:
        sink = Webhook(hook.url, stop=stop, timeout_s=60)
        threading.Timer(0.1, stop.set).start()
        began = time.monotonic()
        with pytest.raises(AlertError, match="no answer yet, and the watch is to end"):
            sink.send(alert())
        assert time.monotonic() - began < 4.5
        hook.delay_s = 0
        sink.send(alert())  # a server that answers gets it also then


def test_redirects_stay_on_the_host() -> None:
    with serving((308, {"Location": "/moved"}), 200) as hook:
        webhook(hook.url).send(alert())
        assert [path for path, _, _ in hook.requests] == [SECRET_PATH, "/moved"]
        assert hook.requests[1][2] == hook.requests[0][2]


def test_redirects_to_other_hosts_are_not_followed() -> None:
    with serving(200) as other, serving((307, {"Location": other.url})) as hook:
        with pytest.raises(AlertError, match="is redirected to another host"):
            webhook(hook.url).send(alert())
        assert other.requests == []


def test_redirects_in_a_circle_end() -> None:
    with serving((307, {"Location": "/again"})) as hook, pytest.raises(AlertError, match="more than 3 redirects"):
        webhook(hook.url).send(alert())


@pytest.mark.parametrize("status", [301, 302, 303])
def test_redirects_that_would_lose_the_body_are_refusals(status: int) -> None:
    with serving((status, {"Location": "/moved"})) as hook, pytest.raises(AlertError, match=f"answered {status}"):
        webhook(hook.url).send(alert())
    assert len(hook.requests) == 1


def test_no_secret_is_ever_shown(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    caplog.set_level(logging.DEBUG)
    shown = []
    with serving(404, (307, {"Location": "https://x.example/s3cret"}), 500) as hook:
        sink = webhook(hook.url, secret_env="HOOK_SECRET", template="slack", retries=0)
        for _ in range(3):
            with pytest.raises(AlertError) as caught:
                sink.send(alert())
            shown += [str(caught.value), repr(caught.value.__cause__), str(caught.value.__suppress_context__)]
    with pytest.raises(AlertError) as caught:
        sink.send(alert())
    everything = " ".join([*shown, str(caught.value), repr(sink), sink.name, caplog.text])
    assert "very-secret" not in everything
    assert "s3cret" not in everything


def test_a_secret_that_is_gone_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    sink = webhook("https://example.org/x", secret_env="HOOK_SECRET")
    monkeypatch.delenv("HOOK_SECRET")
    with pytest.raises(AlertError, match="environment variable HOOK_SECRET with the secret isn't set"):
        sink.send(alert())
    with pytest.raises(UsageError, match="environment variable HOOK_SECRET"):
        webhook("https://example.org/x", secret_env="HOOK_SECRET")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://example.org/secret", "example.org: http would show alerts to everybody on the way; use https"),
        ("ftp://example.org/secret", "expected an address as https://host/path"),
        ("https:///secret", "expected an address as https://host/path"),
        ("secret", "expected an address as https://host/path"),
        ("https://example.org:secret/", "expected an address as https://host/path"),
        ("https://me:secret@example.org/", "no user or password in the address"),
        ("https://example.org/secret\r\nX: y", "spaces or signs that must be written %XX"),
        ("https://exämple.org/secret", "spaces or signs"),
    ],
    ids=["http", "ftp", "no host", "no address", "bad port", "password", "header", "not ASCII"],
)
def test_addresses_that_cannot_be_used_are_refused(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Webhook(url)
    assert "secret@" not in str(caught.value)
    assert "/secret" not in str(caught.value)


def test_http_goes_to_this_machine_or_where_it_is_allowed() -> None:
    for host in ("127.0.0.1:80", "localhost", "[::1]:8080"):
        Webhook(f"http://{host}/x")
    Webhook("http://example.org/x", allow_http=True)


def test_two_addresses_of_one_host_have_two_names() -> None:
    one, two = Webhook("https://example.org/a"), Webhook("https://example.org/b")
    assert one.name != two.name
    assert one.name.startswith("webhook:https://example.org/…")


@pytest.mark.parametrize(
    ("status", "is_of_the_body"), [(400, True), (413, True), (422, True), (401, False), (404, False)]
)
def test_what_is_refused_for_its_body_is_told_from_a_wrong_address(status: int, is_of_the_body: bool) -> None:
    with serving(status) as hook, pytest.raises(AlertError) as caught:
        webhook(hook.url).send(alert())
    assert isinstance(caught.value, AlertRefused) is is_of_the_body


@pytest.mark.parametrize("location", ["http://127.0.0.1:99999/x", "http://[half"])
def test_a_redirect_to_what_is_no_address_is_said(location: str) -> None:
    said = "is redirected to what is no address"
    with serving((308, {"Location": location})) as hook, pytest.raises(AlertError, match=said):
        webhook(hook.url).send(alert())


def test_what_is_for_this_machine_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(204) as proxy, serving(204) as hook:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix(SECRET_PATH))
        webhook(hook.url).send(alert())
        assert (len(proxy.requests), len(hook.requests)) == (0, 1)
        # What is for others still does.
        webhook("http://example.org/x", allow_http=True).send(alert())
        assert [path for path, _, _ in proxy.requests] == ["http://example.org/x"]


def test_a_server_that_asks_for_long_is_left_alone_by_the_next_alerts_too() -> None:
    with serving((429, {"Retry-After": "2"}), 204) as hook:
        sink = webhook(hook.url, total_s=1.0)
        with pytest.raises(AlertError, match=r"answered 429 \(1 attempts\)"):
            sink.send(alert())
        with pytest.raises(AlertError, match=r"asked to be left alone for \d s more"):
            sink.send(alert())
        assert len(hook.requests) == 1
        time.sleep(2.1)
        sink.send(alert())
        assert len(hook.requests) == 2


def test_a_server_with_a_wrong_clock_is_left_alone_for_an_hour_at_most() -> None:
    with serving((503, {"Retry-After": "86400"})) as hook:
        sink = webhook(hook.url)
        with pytest.raises(AlertError, match="answered 503"):
            sink.send(alert())
        with pytest.raises(AlertError, match=r"for 3[56]\d\d s more"):
            sink.send(alert())
