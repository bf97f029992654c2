"""Alerts by e-mail, through an SMTP server.

Alert ── plain text message ── STARTTLS or TLS, log in ──> server

The password comes from the environment and is sent over an encrypted connection only (or to this machine). An alert
has one Message-ID however often it is sent. Source: RFC 5321, RFC 5322, RFC 3207.
"""

from __future__ import annotations

import logging
import os
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Literal

from benchkit.errors import UsageError
from benchkit.monitor.alerts.alert import Alert, AlertError, facts
from benchkit.monitor.alerts.deadline import LateError, within
from benchkit.monitor.alerts.webhook import LOCAL_HOSTS

_logger = logging.getLogger(__name__)
Security = Literal["starttls", "ssl", "none"]
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


class Email:
    """Sends each alert as a message.

    Args:
        sender, to: Addresses as name@host; nothing else is let through, so that no header can be slipped in.
        security: "starttls", "ssl" from the first byte, or "none" (without a password, or to this machine).
        user: Who logs in; or `user_env`, the environment variable that holds it. None doesn't log in.
        password_env: Environment variable that holds the password; read for each message.
        timeout_s: Of the whole exchange.
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
        self._stop = stop
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
            AlertError: the server can't be reached, isn't trusted or refuses.
        """
        message = self._message(alert)
        try:
            refused = within(self._timeout_s, lambda: self._deliver(message), stop=self._stop)
        except (OSError, smtplib.SMTPException, UsageError, ValueError) as error:
            raise AlertError(f"{self.name}: {self._why(error)}") from None
        if refused:
            # An error would send it again to those who have it.
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
            case smtplib.SMTPRecipientsRefused():
                return "no recipient is accepted"
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

    def _deliver(self, message: EmailMessage) -> list[str]:
        with self._connected() as server:
            if self._security == "starttls":
                server.starttls(context=self._context or ssl.create_default_context())
            if self._user:
                server.login(self._user, self._password())
            return list(server.send_message(message, self._sender, self._to))

    def _connected(self) -> smtplib.SMTP:
        # A name of its own, because smtplib would ask the network for this machine's.
        own = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()) or "localhost"
        if self._security == "ssl":
            context = self._context or ssl.create_default_context()
            return smtplib.SMTP_SSL(self._host, self._port, own, timeout=self._timeout_s, context=context)
        return smtplib.SMTP(self._host, self._port, own, timeout=self._timeout_s)

    def _message(self, alert: Alert) -> EmailMessage:
        message = EmailMessage()
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
        return datetime.fromisoformat(time)
    except ValueError:
        return datetime.now().astimezone()
