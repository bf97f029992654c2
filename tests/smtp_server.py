"""An SMTP server for tests: on 127.0.0.1, keeps what it is sent, speaks STARTTLS and AUTH PLAIN if asked to.

SmtpServer(context=..., users={"me": "secret"}) ──> .port, .messages, .logins
"""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
from dataclasses import dataclass, field


@dataclass
class Received:
    sender: str
    to: list[str]
    content: bytes
    is_encrypted: bool


@dataclass
class _Session:
    sender: str = ""
    to: list[str] = field(default_factory=list)
    is_encrypted: bool = False


class SmtpServer(socketserver.ThreadingTCPServer):
    """Serves on a free port from a thread of its own until it is closed."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self,
        *,
        context: ssl.SSLContext | None = None,
        users: dict[str, str] | None = None,
        refused: tuple[str, ...] = (),
        refusal: str = "550 nobody here",
        greeting: str = "220 test",
        on_content: str = "250 ok",
    ) -> None:
        self.context, self.users, self.refused, self.refusal = context, users or {}, refused, refusal
        self.greeting, self.on_content = greeting, on_content
        self.messages: list[Received] = []
        self.logins: list[tuple[str, bool]] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave are part of the tests."""

    def __enter__(self) -> SmtpServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(socketserver.StreamRequestHandler):
    server: SmtpServer
    timeout = 10

    def handle(self) -> None:
        self.session = _Session()
        self.say(self.server.greeting)
        while line := self.rfile.readline():
            verb, _, rest = line.decode("ascii", "replace").strip().partition(" ")
            if verb.upper() == "QUIT":
                self.say("221 bye")
                return
            answer = getattr(self, f"on_{verb.lower()}", None)
            self.say(answer(rest) if answer else "502 not known")
            if verb.upper() == "STARTTLS" and self.server.context:
                self.encrypt(self.server.context)

    def say(self, words: str) -> None:
        self.wfile.write(words.encode() + b"\r\n")

    def encrypt(self, context: ssl.SSLContext) -> None:
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
        self.session.is_encrypted = True

    def finish(self) -> None:
        super().finish()
        if self.session.is_encrypted:
            self.connection.close()

    def on_ehlo(self, _: str) -> str:
        lines = ["test"]
        if self.server.context and not self.session.is_encrypted:
            lines.append("STARTTLS")
        if self.server.users:
            lines.append("AUTH PLAIN")
        return "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])

    def on_starttls(self, _: str) -> str:
        return "220 go on" if self.server.context else "454 not here"

    def on_auth(self, rest: str) -> str:
        _, user, password = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
        is_right = self.server.users.get(user) == password
        self.server.logins.append((user, is_right))
        return "235 welcome" if is_right else f"535 wrong password {password}"

    def on_mail(self, rest: str) -> str:
        self.session.sender = rest.partition("<")[2].partition(">")[0]
        self.session.to = []
        return "250 ok"

    def on_rcpt(self, rest: str) -> str:
        address = rest.partition("<")[2].partition(">")[0]
        if address in self.server.refused:
            return self.server.refusal
        self.session.to.append(address)
        return "250 ok"

    def on_rset(self, _: str) -> str:
        return "250 ok"

    def on_data(self, _: str) -> str:
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        if not self.server.on_content.startswith("2"):
            return self.server.on_content
        session = self.session
        self.server.messages.append(Received(session.sender, session.to, b"".join(lines), session.is_encrypted))
        return "250 ok"
