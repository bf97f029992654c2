"""A store that speaks S3 as far as reading goes: HEAD, GET with ranges and ListObjectsV2, by path, for one account.

    objects (bucket/key -> bytes, time) ── S3Server on 127.0.0.1 ── the AWS SDK in pyarrow

Which key a request was signed with is looked at, and not the signature: its date is the SDK's clock.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from local_server import LocalServer

ACCOUNT, SECRET = "AKIDTEST", "s3cr3t/of+tests"
PAGE = 2  # names of a listing: real stores give 1,000


class S3Server:
    """Holds objects in memory; use it in a `with`.

    Attributes:
        objects: By bucket and key, each with its bytes and when it was written.
        requests: Method and path of each.
        on_get: Called with the key of each object that is about to be sent.
        status: What it answers with instead: 503 of a store that is ill; None for its usual self.
    """

    def __init__(self, *buckets: str) -> None:
        self.buckets, self.objects = set(buckets), dict[str, tuple[bytes, float]]()
        self.requests: list[tuple[str, str]] = []
        self.on_get: Callable[[str], None] | None = None
        self.status: int | None = None
        self._server = LocalServer(_handler(self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def put(self, place: str, content: bytes, *, written: float | None = None) -> None:
        self.objects[place] = (content, time.time() if written is None else written)

    def __enter__(self) -> S3Server:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(store: S3Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
            store.requests.append((self.command, f"{bucket}/{key}"))
            if store.status is not None:
                self._refuse(store.status, "ServiceUnavailable", "try again")
            elif f"Credential={ACCOUNT}/" not in self.headers.get("Authorization", ""):
                self._refuse(403, "InvalidAccessKeyId", f"no such key; {self.headers.get('Authorization')}")
            elif bucket not in store.buckets:
                self._refuse(404, "NoSuchBucket", "The specified bucket does not exist")
            elif not key:
                self._list(bucket, {name: values[0] for name, values in parse_qs(parts.query).items()})
            elif f"{bucket}/{key}" in store.objects:
                self._object(f"{bucket}/{key}")
            else:
                self._refuse(404, "NoSuchKey", "The specified key does not exist.")

        def _object(self, place: str) -> None:
            if store.on_get is not None and self.command == "GET":
                store.on_get(place)
            content, written = store.objects[place]
            found = re.fullmatch(r"bytes=([0-9]+)-([0-9]*)", self.headers.get("Range", ""))
            first, last = (int(found[1]), int(found[2] or len(content) - 1)) if found else (0, len(content) - 1)
            if found and first >= len(content):
                self._refuse(416, "InvalidRange", "The requested range is not satisfiable")
                return
            part = content[first : last + 1]
            headers = {"Last-Modified": formatdate(written, usegmt=True), "Accept-Ranges": "bytes"}
            if found:
                headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(content)}"
            self._send(206 if found else 200, part, headers)

        def _list(self, bucket: str, options: dict[str, str]) -> None:
            prefix, after = options.get("prefix", ""), options.get("continuation-token", "")
            keys = sorted(place.partition("/")[2] for place in store.objects if place.startswith(f"{bucket}/"))
            left = [key for key in keys if key.startswith(prefix) and key > after]
            page = left[: min(PAGE, int(options.get("max-keys", PAGE)))]
            more = len(left) > len(page)
            token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
            contents = "".join(self._entry(bucket, key) for key in page)
            self._xml(
                200,
                f"<ListBucketResult><Name>{bucket}</Name><KeyCount>{len(page)}</KeyCount>"
                f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{contents}</ListBucketResult>",
            )

        def _entry(self, bucket: str, key: str) -> str:
            content, written = store.objects[f"{bucket}/{key}"]
            changed = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(written))
            return (
                f"<Contents><Key>{escape(key)}</Key><LastModified>{changed}</LastModified>"
                f"<Size>{len(content)}</Size></Contents>"
            )

        def _refuse(self, status: int, code: str, message: str) -> None:
            self._xml(status, f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>")

        def _xml(self, status: int, body: str) -> None:
            content = f'<?xml version="1.0" encoding="UTF-8"?>{body}'.encode()
            self._send(status, content, {"Content-Type": "application/xml"})

        def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(content))}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name
            pass

    return Handler
