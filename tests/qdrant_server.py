"""A Qdrant server as far as reading goes: one collection over its REST interface, which can be down and come back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler
from threading import Thread
from typing import Any

from local_server import LocalServer


class QdrantServer:
    """Holds points in memory; use it in a `with`.

    Attributes:
        answers: How many requests are still answered before the server is down; None for all.
        status: What it answers with instead, as a proxy whose server is down; None breaks the connection off.
        said_of_vectors: What it says besides of how they are stored, as a server that knows more than its client.
    """

    def __init__(self, collection: str = "logs") -> None:
        self.collection, self.points = collection, dict[int, dict[str, Any]]()
        self.answers: int | None = None
        self.status: int | None = None
        self.said_of_vectors: dict[str, Any] = {}
        self._server = LocalServer(_handler(self))

    @property
    def url(self) -> str:
        return f"qdrant://127.0.0.1:{self._server.server_port}/{self.collection}"

    def put(self, numbers: Iterable[int], vectors: Iterable[Iterable[float]]) -> None:
        for number, vector in zip(numbers, vectors, strict=True):
            self.points[number] = {"id": number, "vector": [float(each) for each in vector], "payload": {}}

    def is_up(self) -> bool:
        if self.answers is None:
            return True
        self.answers = max(self.answers - 1, -1)
        return self.answers >= 0

    def found(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        if path == "/collections":
            return {"collections": [{"name": self.collection}]}
        if path.endswith("/exists"):
            return {"exists": path == f"/collections/{self.collection}/exists"}
        if path.endswith("/count"):
            return {"count": len(self.points)}
        if path == f"/collections/{self.collection}":
            return self._described()
        after = asked.get("offset")
        left = [self.points[number] for number in sorted(self.points) if after is None or number >= after]
        page, rest = left[: asked["limit"]], left[asked["limit"] :]
        return {"points": page, "next_page_offset": rest[0]["id"] if rest else None}

    def _described(self) -> dict[str, Any]:
        """Return what a server of version 1.15 says of a collection."""
        size = len(next(iter(self.points.values()))["vector"]) if self.points else 2
        optimizers = {"deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0}
        hnsw = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000}
        params = {"vectors": {"size": size, "distance": "Dot"} | self.said_of_vectors, "shard_number": 1}
        return {
            "status": "green",
            "optimizer_status": "ok",
            "segments_count": 2,
            "config": {
                "params": params,
                "hnsw_config": hnsw,
                "optimizer_config": optimizers | {"flush_interval_sec": 5},
                "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
            },
            "payload_schema": {},
        }

    def __enter__(self) -> QdrantServer:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it for good; nobody listens on its port then."""
        self._server.shutdown()
        self._server.server_close()


def _handler(server: QdrantServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, asked: dict[str, Any]) -> None:
            if server.is_up():
                self._send(200, {"result": server.found(self.path.partition("?")[0], asked), "status": "ok", "time": 0})
            elif server.status is not None:
                self._send(server.status, {"status": {"error": "no server"}})
            else:
                self.close_connection = True

        def _send(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
