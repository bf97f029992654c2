"""Alerts to an HTTP endpoint: signed JSON, or what Slack and chats that speak like it show.

    Alert ── body ── POST, signed ──> 2xx: delivered
                       ├─ 429, 5xx, no connection, no answer: again after a pause that doubles (Retry-After is heeded;
                       │  one that is longer than an alert may take, by the next alerts, too)
                       ├─ 400, 413, 422: AlertRefused, for what this one holds
                       └─ anything else: AlertError

Signature, for the receiver (as of Stripe's webhooks; HMAC is RFC 2104):

    X-Benchkit-Timestamp: 1795260285
    X-Benchkit-Signature: v1=<hex of HMAC-SHA256(secret, timestamp + "." + body)>
    X-Benchkit-Alert: <id of the alert; the same when it is sent again>

A receiver computes the same over the bytes of the body, compares in constant time, and refuses timestamps that are
minutes old. `is_signed` does so. Delivery is at least once: a repetition has the id of the first.
"""

from __future__ import annotations

import email.message
import hashlib
import hmac
import http.client
import json
import os
import random
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Literal
from urllib.parse import SplitResult, urljoin, urlsplit

from benchkit.errors import UsageError
from benchkit.models.retry_after import retry_after_s
from benchkit.monitor.alerts.alert import Alert, AlertError, AlertRefused
from benchkit.monitor.alerts.deadline import LateError, within
from benchkit.monitor.alerts.slack import slack_message

Template = Literal["json", "slack"]
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
LONGEST_REST_S = 3600.0  # that a server is left alone; one with a wrong clock must not silence alerts for a day
MOST_REDIRECTS = 3


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    retry_after_s: float | None
    location: str


class _Again(Exception):
    """Not delivered, but it may be the next time."""

    def __init__(self, reason: str, pause_s: float | None = None) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


class Webhook:
    """Posts each alert to a URL.

    Args:
        url: https, or http to this machine. For Slack it is itself a secret: only its host is ever shown.
        secret_env: Environment variable that holds the secret of the signature; None doesn't sign. It is read for each
            alert, so that it can be renewed.
        template: "json", or "slack" for Slack, Mattermost, Rocket.Chat and the like.
        timeout_s: Of one attempt.
        retries: Attempts after the first.
        total_s: Of all attempts and pauses together.
        allow_http: Send over http to other machines too, where anybody on the way can read it.
        stop: When it is set, an attempt under way ends soon and none follows.

    Raises:
        UsageError: the URL can't be used, or the environment variable isn't set.
    """

    def __init__(
        self,
        url: str,
        *,
        secret_env: str | None = None,
        template: Template = "json",
        timeout_s: float = 10.0,
        retries: int = 4,
        total_s: float = 60.0,
        allow_http: bool = False,
        pause: Callable[[float], object] | None = None,
        rng: random.Random | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self._url, self._place = url, _checked(url, allow_http=allow_http)
        self._secret_env, self._template = secret_env, template
        self._timeout_s, self._retries, self._total_s = timeout_s, retries, total_s
        self._rests_until = 0.0
        self._stop = stop or threading.Event()
        self._pause, self._rng = pause or self._stop.wait, rng or random.Random()
        self._secret()

    @property
    def name(self) -> str:
        # The digest tells two addresses of one host apart; a Slack address can't be guessed from it.
        digest = hashlib.sha256(self._url.encode()).hexdigest()[:8]
        return f"{'slack' if self._template == 'slack' else 'webhook'}:{_origin(self._place)}/…{digest}"

    def __repr__(self) -> str:
        return f"Webhook({self.name!r})"

    def send(self, alert: Alert) -> None:
        """Post an alert.

        Raises:
            AlertError: there was no good answer in time; AlertRefused where this alert isn't taken.
        """
        form = slack_message(alert) if self._template == "slack" else alert.to_json()
        body = json.dumps(form, allow_nan=False).encode("ascii")
        if (rest_s := self._rests_until - time.monotonic()) > 0:
            raise AlertError(f"{self.name}: asked to be left alone for {rest_s:.0f} s more")
        ends = time.monotonic() + self._total_s
        attempt = 0
        while True:
            try:
                return self._attempt(body, alert.id, ends)
            except _Again as error:
                wait_s = self._wait_s(attempt, error.pause_s)
                attempt += 1
                if attempt <= self._retries and time.monotonic() + wait_s < ends and not self._stop.is_set():
                    self._pause(wait_s)
                    if not self._stop.is_set():
                        continue
                if error.pause_s is not None and error.pause_s > self._total_s:
                    self._rests_until = time.monotonic() + min(error.pause_s, LONGEST_REST_S)
                raise AlertError(f"{self.name}: {error} ({attempt} attempts)") from None

    def _wait_s(self, attempt: int, asked_s: float | None) -> float:
        """Return the pause: doubling, with jitter so that many watches don't come back together, or what was asked."""
        usual = min(FIRST_PAUSE_S * 2.0**attempt, LONGEST_PAUSE_S) * self._rng.uniform(0.5, 1.0)
        return max(usual, asked_s or 0.0)

    def _attempt(self, body: bytes, alert_id: str, ends: float) -> None:
        """Post once; redirects that stay on the host are followed."""
        headers = {"Content-Type": "application/json", "User-Agent": "benchkit", "X-Benchkit-Alert": alert_id}
        headers |= self._signed(body)
        url = self._url
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._post(urllib.request.Request(url, body, headers, method="POST"), ends)  # noqa: S310
            if answer.status not in (307, 308):
                return self._judge(answer)
            url = self._next_url(url, answer.location)
        raise AlertError(f"{self.name}: more than {MOST_REDIRECTS} redirects")

    def _next_url(self, url: str, location: str) -> str:
        try:
            joined = urljoin(url, location)
            is_other = _origin(urlsplit(joined)) != _origin(self._place)
        except ValueError:  # no address at all
            raise AlertError(f"{self.name}: is redirected to what is no address") from None
        if is_other:
            raise AlertError(f"{self.name}: is redirected to another host; if that is right, give its address")
        return joined

    def _judge(self, answer: _Answer) -> None:
        if 200 <= answer.status < 300:
            return
        if answer.status == 429 or answer.status >= 500:
            raise _Again(f"answered {answer.status}", answer.retry_after_s)
        said = f"{self.name}: answered {answer.status}{_HINTS.get(answer.status, '')}"
        raise AlertRefused(said) if answer.status in _OF_THE_BODY else AlertError(said)

    def _post(self, request: urllib.request.Request, ends: float) -> _Answer:
        """Return the answer's head; its body is of no use. Foreign messages would hold the address, so none is kept."""
        left_s = min(self._timeout_s, ends - time.monotonic())
        try:
            return within(left_s, lambda: _exchange(request, max(left_s, 0.001)), stop=self._stop)
        except LateError as error:
            raise _Again(str(error)) from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                words = error.reason.verify_message
                raise AlertError(f"{self.name}: its certificate can't be trusted: {words}") from None
            raise _Again(f"no connection ({_words(error.reason)})") from None
        except (OSError, http.client.HTTPException) as error:
            raise _Again(f"no answer ({_words(error)})") from None
        except ValueError as error:
            raise AlertError(f"{self.name}: the request can't be made ({type(error).__name__})") from None

    def _signed(self, body: bytes) -> dict[str, str]:
        try:
            secret = self._secret()
        except UsageError as error:  # it was set when the watch began
            raise AlertError(str(error)) from None
        if secret is None:
            return {}
        stamp = str(int(time.time()))
        return {"X-Benchkit-Timestamp": stamp, "X-Benchkit-Signature": signature(secret, stamp, body)}

    def _secret(self) -> str | None:
        if self._secret_env is None:
            return None
        secret = os.environ.get(self._secret_env, "")
        if not secret:
            raise UsageError(f"{self.name}: environment variable {self._secret_env} with the secret isn't set")
        return secret


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the value of X-Benchkit-Signature."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


def is_signed(secret: str, timestamp: str, body: bytes, signed: str, *, now: float, tolerance_s: float = 300) -> bool:
    """Tell a receiver whether a request comes from who knows the secret, and is not an old one sent again."""
    try:
        is_fresh = abs(now - int(timestamp)) <= tolerance_s
    except (ValueError, OverflowError):
        return False
    return is_fresh and hmac.compare_digest(signature(secret, timestamp, body).encode(), signed.encode())


# ------------------------------------------------------------ parts

_OF_THE_BODY = frozenset({400, 413, 422})  # RFC 9110, 15.5: the address and the secret are not what is wrong
_HINTS = {
    401: "; is the secret right?",
    403: "; is the secret right?",
    404: "; is the address right, and does it still exist?",
    410: "; the address was withdrawn",
}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Hands redirects on as they came: the library reads the address first, and leaves a socket open over a bad one."""

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage
    ) -> None:
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _exchange(request: urllib.request.Request, timeout_s: float) -> _Answer:
    # urllib and not requests, because urllib3 logs the path, which is Slack's secret.
    handlers: list[Any] = [_NoRedirect]
    if urlsplit(request.full_url).hostname in LOCAL_HOSTS:
        # A proxy of the environment would get in the open what was let through because it stays on this machine.
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            return _answer(answer.status, answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error.code, error.headers)


def _answer(status: int, headers: email.message.Message) -> _Answer:
    asked_s = retry_after_s(headers.get("Retry-After"), now=datetime.now(UTC))
    return _Answer(status, asked_s, headers.get("Location", ""))


def _words(error: object) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


def _origin(place: SplitResult) -> str:
    host = f"[{place.hostname}]" if ":" in (place.hostname or "") else place.hostname
    return f"{place.scheme}://{host}" + ("" if place.port is None else f":{place.port}")


def _checked(url: str, *, allow_http: bool) -> SplitResult:
    """Return the parts of an address; messages hold none of it beyond the host."""
    if any(ord(sign) <= ord(" ") or ord(sign) >= 0x7F for sign in url):
        raise UsageError("webhook: the address holds spaces or signs that must be written %XX")
    try:
        place = urlsplit(url)
        host, _ = place.hostname, place.port
    except ValueError:
        raise UsageError("webhook: expected an address as https://host/path") from None
    if place.scheme not in ("https", "http") or not host:
        raise UsageError("webhook: expected an address as https://host/path")
    if place.username is not None or place.password is not None:
        raise UsageError(f"webhook: {host}: no user or password in the address; sign with secret_env instead")
    if place.scheme == "http" and host not in LOCAL_HOSTS and not allow_http:
        raise UsageError(f"webhook: {host}: http would show alerts to everybody on the way; use https")
    return place
