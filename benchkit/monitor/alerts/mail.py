"""Alerts by e-mail, through an SMTP server.

Alert ── plain text message ── STARTTLS or TLS, log in ──> server

The password comes from the environment and is sent over an encrypted connection only (or to this machine). An alert
has one Message-ID however often it is sent. Who isn't accepted for now (greylisted, a full mailbox) gets it when it is
sent again, and nobody else does. Source: RFC 5321, RFC 5322, RFC 3207.
"""

from __future__ import annotations

import logging
import os
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Literal

from benchkit.errors import UsageError
from benchkit.monitor.alerts.alert import Alert, AlertError, AlertRefused, facts
from benchkit.monitor.alerts.deadline import LateError, within
from benchkit.monitor.alerts.webhook import LOCAL_HOSTS

_logger = logging.getLogger(__name__)
Security = Literal["starttls", "ssl", "none"]
# A server that doesn't say 8BITMIME may refuse or spoil other bodies (RFC 6152).
_SEVEN_BIT = policy.default.clone(cte_type="7bit")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_FOR_GOOD = 500  # codes below it say "not now" (RFC 5321, 4.2.1)


class Email:
    """Sends each alert as a message.

    Args:
        sender, to: Addresses as name@host; nothing else is let through, so that no header can be slipped in.
        security: "starttls", "ssl" from the first byte, or "none" (without a password, or to this machine).
        user: Who logs in; or `user_env`, the environment variable that holds it. None doesn't log in.
        password_env: Environment variable that holds the password; read for each message.
        timeout_s: Of the whole exchange.
        patience_s: How old an alert may be that is sent again to who isn't accepted for now.
        context: Of TLS; None trusts what the system trusts.
        stop: When it is set, an exchange under way ends soon.

    Raises:
        UsageError: an address, a name or an environment variable can't be used.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        sender: str,
        to: Sequence[str],
        security: Security = "starttls",
        user: str | None = None,
        user_env: str | None = None,
        password_env: str | None = None,
        timeout_s: float = 30.0,
        patience_s: float = 1800.0,
        context: ssl.SSLContext | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        if not to:
            raise UsageError("e-mail: nobody to send to; name at least one address")
        for address in (sender, *to):
            if not _ADDRESS.fullmatch(address):
                raise UsageError(f"e-mail: {address!r} isn't an address as name@host")
        self._host, self._port, self._security = host, port, security
        self._sender, self._to = sender, tuple(to)
        self._user = _of_environment(user_env) if user_env else user
        self._password_env, self._timeout_s, self._context = password_env, timeout_s, context
        self._stop, self._patience_s = stop, patience_s
        self._owed: dict[str, tuple[str, ...]] = {}  # by message, who lacks it; all of them after a restart
        if self._user and security == "none" and host not in LOCAL_HOSTS:
            raise UsageError(f"e-mail: a password isn't sent to {host} over an open connection; use starttls or ssl")
        self._password()

    @property
    def name(self) -> str:
        return f"smtp:{self._host}:{self._port}/{','.join(self._to)}"

    def __repr__(self) -> str:
        return f"Email({self.name!r})"

    def send(self, alert: Alert) -> None:
        """Hand an alert to the server.

        Raises:
            AlertError: the server can't be reached, isn't trusted or refuses; AlertRefused where it refuses this
                message, or some recipients for now.
        """
        message, to = self._message(alert), self._owed.get(alert.id, self._to)
        try:
            refused = within(self._timeout_s, lambda: self._deliver(message, to), stop=self._stop)
        except smtplib.SMTPRecipientsRefused as error:
            if to == self._to:
                raise AlertError(f"{self.name}: no recipient is accepted") from None
            refused = {address: code for address, (code, _) in error.recipients.items()}
        except smtplib.SMTPDataError as error:
            said = f"{self.name}: {self._why(error)}"
            raise AlertRefused(said) if error.smtp_code >= _FOR_GOOD else AlertError(said) from None
        except (OSError, smtplib.SMTPException, UsageError, ValueError) as error:
            raise AlertError(f"{self.name}: {self._why(error)}") from None
        self._owed.pop(alert.id, None)
        later = [address for address, code in refused.items() if code < _FOR_GOOD]
        age_s = (datetime.now(UTC) - _when(alert.time)).total_seconds()
        # A watch that is started every hour (--once) must not send it every hour to those who have it.
        if later and age_s < self._patience_s:
            self._owed[alert.id] = tuple(later)
            raise AlertRefused(f"{self.name}: not accepted for now for {', '.join(later)}")
        if refused:
            _logger.warning("%s: not accepted for %s", self.name, ", ".join(refused))

    def _why(self, error: Exception) -> str:
        """Return our own words: some servers repeat what was sent to them, and a codec's error holds the password."""
        match error:
            case LateError() | UsageError():
                return str(error)
            case smtplib.SMTPAuthenticationError():
                return f"log-in refused ({error.smtp_code})"
            case smtplib.SMTPNotSupportedError():
                return f"the server has no {self._missing()}; is the port right?"
            case smtplib.SMTPServerDisconnected():
                return str(error)  # "Connection unexpectedly closed", with ": timed out" where that is why
            case smtplib.SMTPResponseException():
                return f"refused ({error.smtp_code})"
            case ssl.SSLCertVerificationError():
                return f"its certificate can't be trusted: {error.verify_message}"
            case _:
                return getattr(error, "strerror", None) or type(error).__name__

    def _missing(self) -> str:
        return "STARTTLS or log-in" if self._security == "starttls" else "log-in"

    def _deliver(self, message: EmailMessage, to: Sequence[str]) -> Mapping[str, int]:
        """Return who wasn't accepted, with the server's code."""
        with self._connected() as server:
            if self._security == "starttls":
                server.starttls(context=self._context or ssl.create_default_context())
            if self._user:
                server.login(self._user, self._password())
            refused = server.send_message(message, self._sender, to)
        return {address: code for address, (code, _) in refused.items()}

    def _connected(self) -> smtplib.SMTP:
        # A name of its own, because smtplib would ask the network for this machine's.
        own = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()) or "localhost"
        if self._security == "ssl":
            context = self._context or ssl.create_default_context()
            return smtplib.SMTP_SSL(self._host, self._port, own, timeout=self._timeout_s, context=context)
        return smtplib.SMTP(self._host, self._port, own, timeout=self._timeout_s)

    def _message(self, alert: Alert) -> EmailMessage:
        message = EmailMessage(_SEVEN_BIT)
        message["From"] = self._sender
        message["To"] = ", ".join(self._to)
        message["Subject"] = f"[benchkit] {alert.headline}"
        message["Message-ID"] = f"<{alert.id}@{self._sender.partition('@')[2]}>"
        message["Date"] = format_datetime(_when(alert.time))
        message["Auto-Submitted"] = "auto-generated"  # no out-of-office replies (RFC 3834)
        lines = [alert.headline, "", *(f"{name}: {value}" for name, value in facts(alert))]
        message.set_content("\n".join(lines) + "\n")
        return message

    def _password(self) -> str:
        if not self._user:
            return ""
        if not self._password_env:
            raise UsageError(f"e-mail: {self._host}: password_env must name the environment variable of the password")
        return _of_environment(self._password_env)


def _of_environment(variable: str) -> str:
    value = os.environ.get(variable, "")
    if not value:
        raise UsageError(f"e-mail: environment variable {variable} isn't set")
    return value


def _when(time: str) -> datetime:
    try:
        when = datetime.fromisoformat(time)
    except ValueError:
        return datetime.now(UTC)
    return when if when.tzinfo else when.replace(tzinfo=UTC)
