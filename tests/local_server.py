"""The HTTP server that the tests' servers are made of: on 127.0.0.1, a thread for each connection."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LocalServer(ThreadingHTTPServer):
    """Serves on a free port of 127.0.0.1."""

    daemon_threads = True
    # The library's 5 are fewer than a load test's connections: on a busy machine the others were reset.
    request_queue_size = 256

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
