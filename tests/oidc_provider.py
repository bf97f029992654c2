"""A small OpenID Connect provider on 127.0.0.1: discovery, a page to log in at, tokens signed with RS256, logout.

    with provided() as provider:
        provider.metadata_url, provider.client_id, provider.client_secret        what secrets.toml needs
        provider.logins, provider.refused, provider.logouts                      what it saw

Source: OpenID Connect Core 1.0 (code flow), Discovery 1.0, RP-Initiated Logout 1.0, and RFC 7636 (PKCE). It needs
joserfc, which comes with Authlib, which Streamlit's st.login needs.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from local_server import LocalServer

CALLBACK = "/oauth2callback"
PERSON = "ada@example.org"
_SECONDS = 300


@dataclass
class Provider:
    """The provider, and what it saw.

    Attributes:
        logins: What was asked for by each person who came to log in.
        refused: Why no token was given.
        logouts: Where people wanted to go after a logout.
    """

    url: str
    client_id: str = "board"
    client_secret: str = field(default_factory=secrets.token_urlsafe)
    logins: list[dict[str, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    logouts: list[str] = field(default_factory=list)
    key: Any = None
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def metadata_url(self) -> str:
        return f"{self.url}/.well-known/openid-configuration"

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "end_session_endpoint": f"{self.url}/logout",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }

    def login_page(self, asked: dict[str, str]) -> str:
        """Return the page on which a person goes on or doesn't."""
        self.logins.append(asked)
        code = secrets.token_urlsafe()
        self._codes[code] = asked
        back = {"Continue": {"code": code}, "Deny": {"error": "access_denied", "error_description": "they said no"}}
        links = [
            f'<a href="{html.escape(asked["redirect_uri"] + "?" + urlencode({**answer, "state": asked["state"]}))}">'
            f"{name}</a>"
            for name, answer in back.items()
        ]
        return f"<!doctype html><title>Provider</title><h1>Who are you?</h1>{' '.join(links)}"

    def token(self, form: dict[str, str], client: tuple[str, str]) -> tuple[int, dict[str, Any]]:
        """Return status and answer of the token endpoint."""
        asked = self._codes.pop(form.get("code", ""), None)
        if client != (self.client_id, self.client_secret):
            return self._refuse(401, "invalid_client")
        if asked is None or asked["redirect_uri"] != form.get("redirect_uri"):
            return self._refuse(400, "invalid_grant")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked.get("code_challenge"):
            return self._refuse(400, "invalid_grant")
        token = {"access_token": secrets.token_urlsafe(), "token_type": "Bearer", "expires_in": _SECONDS}
        return 200, {**token, "id_token": self._id_token(asked)}

    def _refuse(self, status: int, error: str) -> tuple[int, dict[str, Any]]:
        self.refused.append(error)
        return status, {"error": error}

    def _id_token(self, asked: dict[str, str]) -> str:
        from joserfc import jwt

        now = int(time.time())
        claims = {"iss": self.url, "sub": "1", "aud": self.client_id, "email": PERSON, "nonce": asked["nonce"]}
        return jwt.encode(
            {"alg": "RS256", "kid": self.key.kid}, {**claims, "iat": now, "exp": now + _SECONDS}, self.key
        )


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(address.query).items()}
        if address.path == "/.well-known/openid-configuration":
            self._answer(json.dumps(self.provider.metadata()))
        elif address.path == "/jwks":
            self._answer(json.dumps({"keys": [self.provider.key.as_dict(private=False)]}))
        elif address.path == "/authorize":
            known = asked.get("client_id") == self.provider.client_id and asked["redirect_uri"].endswith(CALLBACK)
            self._answer(self.provider.login_page(asked) if known else "unknown client", kind="text/html")
        elif address.path == "/logout":
            self.provider.logouts.append(asked["post_logout_redirect_uri"])
            self.send_response(302)
            self.send_header("Location", asked["post_logout_redirect_uri"])
            self.end_headers()
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(content).items()}
        basic = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        name, _, secret = basic.partition(":")
        client = (
            (unquote(name), unquote(secret)) if basic else (form.get("client_id", ""), form.get("client_secret", ""))
        )
        status, answer = self.provider.token(form, client)
        self._answer(json.dumps(answer), status=status)

    def _answer(self, text: str, *, kind: str = "application/json", status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def provided() -> Iterator[Provider]:
    """Serve a provider on a free port; it is gone when the context ends."""
    from joserfc.jwk import RSAKey

    server = LocalServer(_Handler)
    provider = Provider(f"http://127.0.0.1:{server.server_port}")
    provider.key = RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig", "alg": "RS256"})
    server.RequestHandlerClass = type("Handler", (_Handler,), {"provider": provider})
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
