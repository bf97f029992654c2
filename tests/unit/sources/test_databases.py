"""Databases as sources: Qdrant and Milvus in a folder and a PostgreSQL server, where they are installed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_server import QdrantServer

from benchkit.errors import SourceError, UsageError
from benchkit.sources.folder import SourceAbsent
from benchkit.sources.open import open_source
from benchkit.sources.points import Points, PointSource
from benchkit.sources.selection import Selection
from benchkit.types.drift import ColumnNames, Rows, Source


def read_all(source: Source, after: Any = None, batch_rows: int = 2) -> tuple[list[Rows], Any]:
    found = []
    for rows in source.read(after, batch_rows=batch_rows):
        assert len(rows) <= batch_rows
        found.append(rows)
        after = json.loads(json.dumps(rows.end))
    return found, after


def numbers(found: list[Rows]) -> list[int]:
    """Return the first number of each vector."""
    return [int(number) for rows in found for number in rows.vectors[:, 0]]


def refused(source: Source, after: Any = None) -> str:
    with pytest.raises(SourceError) as caught:
        list(source.read(after))
    return str(caught.value)


# What vector databases have in common, without one


class Listed:
    """Points in memory."""

    def __init__(self, points: list[Mapping[str, Any]]) -> None:
        self.points = points

    def count(self) -> int:
        return len(self.points)

    def pages(self, after: int | None, page_rows: int) -> Iterator[list[Mapping[str, Any]]]:
        left = sorted((p for p in self.points if after is None or p["id"] > after), key=lambda point: point["id"])
        yield from (left[start : start + page_rows] for start in range(0, len(left), page_rows))


def listed(points: list[Mapping[str, Any]], **options: Any) -> PointSource:
    @contextmanager
    def connect() -> Iterator[Points]:
        yield Listed(points)

    return PointSource("listed", "listed", connect, **options)


def point(number: int, **payload: Any) -> dict[str, Any]:
    return {"id": number, "vector": [number, 1.0], **payload}


@pytest.mark.parametrize("stop", range(6))
def test_points_are_read_once_wherever_reading_stops(stop: int) -> None:
    points = [point(number, text=f"t{number}") for number in range(5)]
    source = listed(points)
    found, after = [], None
    for rows, _ in zip(source.read(batch_rows=1), range(stop), strict=False):
        found.append(rows)
        after = json.loads(json.dumps(rows.end))
    points.append(point(9, text="t9"))
    found += read_all(source, after)[0]
    assert numbers(found) == [0, 1, 2, 3, 4, 9]
    assert [text for rows in found for text in rows.texts or ()] == ["t0", "t1", "t2", "t3", "t4", "t9"]


def test_points_that_come_behind_the_position_are_refused_and_not_lost() -> None:
    points = [point(number) for number in range(5, 8)]
    source = listed(points)
    _, after = read_all(source)
    points.append(point(1))
    assert "1 points have come with ids before those that were read" in refused(source, after)


def test_points_that_were_deleted_change_nothing() -> None:
    points = [point(number) for number in range(5)]
    source = listed(points)
    _, after = read_all(source)
    del points[:3]
    points.append(point(7))
    assert numbers(read_all(source, after)[0]) == [7]


def test_ids_that_are_no_numbers_can_be_read_but_not_followed() -> None:
    source = listed([{"id": "a", "vector": [1]}])
    found, after = read_all(source)
    assert found[0].ids == ("a",)
    assert "the last id is 'a'; reading goes on only behind whole numbers that grow" in refused(source, after)


def test_a_position_of_another_database_is_refused() -> None:
    assert "the position is of another kind of source" in refused(listed([]), {"kind": "files", "version": 1})


def test_the_payload_does_not_hide_the_vector() -> None:
    found, _ = read_all(listed([point(3, embedding="no vector", score=0.5)]))
    np.testing.assert_array_equal(found[0].vectors, np.array([[3, 1]], np.float32))
    np.testing.assert_array_equal(found[0].scores, [0.5])


def test_points_of_another_dimension_are_refused() -> None:
    assert "a vector of dimension 2, where the others have 3" in refused(listed([point(1)], dimension=3))


@pytest.mark.parametrize(
    ("spec", "query", "message"),
    [
        ("qdrant://host:6333", None, "no collection; give qdrant://host:6333/collection or"),
        ("qdrant:///folder", None, "no collection"),
        ("milvus://me:secret@host:19530/", None, "milvus://me:***@host:19530/: no collection"),
        ("postgresql://me:se@cr/et@host/db", None, "postgresql://me:***@host/db: needs a query"),
        ("milvus://host/c", "SELECT 1", "a query is for postgresql:// alone"),
        ("some.parquet", "SELECT 1", "a query is for postgresql:// alone"),
    ],
)
def test_a_source_that_says_too_little_or_too_much_is_refused(spec: str, query: str | None, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_source(spec, query=query)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "cr/et" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "package"),
    [
        ("qdrant://host/c", "qdrant-client"),
        ("milvus://host/c", "pymilvus"),
        ("milvus:///x.db#c", "milvus-lite"),
        ("postgresql://host/db", '"benchkit[postgres]"'),
    ],
)
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, spec: str, package: str) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("benchkit.sources.points.import_module", missing)
    with pytest.raises(UsageError, match="not installed") as caught:
        open_source(spec, query="SELECT 1" if spec.startswith("postgresql") else None)
    assert str(caught.value).endswith(f"pip install {package}")


# Qdrant


@pytest.fixture
def qdrant(tmp_path: Path) -> tuple[str, Callable[..., None]]:
    """A collection in a folder, and what puts points into it."""
    module = pytest.importorskip("qdrant_client", reason="the package qdrant-client isn't installed")
    folder = tmp_path / "qdrant"

    def put(*numbers: int, collection: str = "logs", named: bool = False) -> None:
        client = module.QdrantClient(path=str(folder))
        params = module.models.VectorParams(size=2, distance=module.models.Distance.EUCLID)
        if not client.collection_exists(collection):
            client.create_collection(collection, vectors_config={"a": params, "b": params} if named else params)
        points = []
        for number in numbers:
            vector: Any = {"a": [number, 1], "b": [number, 2]} if named else [number, 1]
            payload = {"text": f"t{number}", "timestamp": "2026-11-01T00:00:00Z", "language": "de"}
            points.append(module.models.PointStruct(id=number, vector=vector, payload=payload))
        client.upsert(collection, points)
        client.close()

    return f"qdrant://{folder}", put


def test_a_qdrant_collection_is_followed(qdrant: tuple[str, Callable[..., None]]) -> None:
    url, put = qdrant
    put(*range(5))
    source = open_source(f"{url}#logs")
    found, after = read_all(source)
    assert numbers(found) == [0, 1, 2, 3, 4]
    assert found[0].texts == ("t0", "t1")
    assert found[0].segments == ("de", "de")
    assert found[0].times is not None
    assert found[0].times[0] == np.datetime64("2026-11-01")
    assert found[0].vectors.dtype == np.float32
    put(7, 8, 9)
    found, after = read_all(source, after)
    assert numbers(found) == [7, 8, 9]
    assert read_all(source, after)[0] == []
    put(6)
    assert "1 points have come with ids before" in refused(source, after)


def test_one_of_several_qdrant_vectors_must_be_named(qdrant: tuple[str, Callable[..., None]]) -> None:
    url, put = qdrant
    put(3, named=True)
    assert "one vector a point is needed, name it; there are: 'a', 'b'" in refused(open_source(f"{url}#logs"))
    found, _ = read_all(open_source(f"{url}#logs", columns=ColumnNames(vector="b")))
    np.testing.assert_array_equal(found[0].vectors, np.array([[3, 2]], np.float32))
    other = open_source(f"{url}#logs", columns=ColumnNames(vector="c"))
    assert "name it; there are: 'a', 'b'" in refused(other)


def collection_of(folder: Path, points: Mapping[int, Any], **configuration: Any) -> str:
    """Make a Qdrant collection of points with any vectors; its URL."""
    from qdrant_client import QdrantClient, models

    client = QdrantClient(path=str(folder))
    client.create_collection("logs", **configuration)
    client.upsert("logs", [models.PointStruct(id=number, vector=vector) for number, vector in points.items()])
    client.close()
    return f"qdrant://{folder}#logs"


def test_points_that_each_have_another_vector_are_not_mixed(tmp_path: Path) -> None:
    models = pytest.importorskip("qdrant_client", reason="the package qdrant-client isn't installed").models
    params = models.VectorParams(size=2, distance=models.Distance.DOT)
    points = {1: {"a": [1, 0]}, 2: {"b": [2, 0]}, 3: {"a": [3, 0]}}
    url = collection_of(tmp_path / "q", points, vectors_config={"a": params, "b": params})
    assert "name it; there are: 'a', 'b'" in refused(open_source(url))
    found, _ = read_all(open_source(url, columns=ColumnNames(vector="a")))
    # A point without this vector is a row of NaN, as any other vector that is missing.
    np.testing.assert_array_equal(np.concatenate([rows.vectors for rows in found])[:, 0], [1, np.nan, 3])


@pytest.mark.parametrize("name", ["", "dense"])
def test_the_vectors_of_a_qdrant_collection_with_sparse_ones_beside_them_are_read(tmp_path: Path, name: str) -> None:
    models = pytest.importorskip("qdrant_client", reason="the package qdrant-client isn't installed").models
    params = models.VectorParams(size=2, distance=models.Distance.DOT)
    points = {n: {name: [n, 1], "words": models.SparseVector(indices=[5], values=[1.0])} for n in range(3)}
    url = collection_of(
        tmp_path / "q",
        points,
        vectors_config={name: params} if name else params,
        sparse_vectors_config={"words": models.SparseVectorParams()},
    )
    assert numbers(read_all(open_source(url))[0]) == [0, 1, 2]
    message = refused(open_source(url, columns=ColumnNames(vector="words")))
    assert f"there are: '{name}'; 'words' are sparse or several a point, which can't be read" in message


def test_a_collection_whose_points_have_several_vectors_each_is_refused(tmp_path: Path) -> None:
    models = pytest.importorskip("qdrant_client", reason="the package qdrant-client isn't installed").models
    several = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    params = models.VectorParams(size=2, distance=models.Distance.DOT, multivector_config=several)
    url = collection_of(tmp_path / "q", {1: {"tokens": [[1, 0], [0, 1]]}}, vectors_config={"tokens": params})
    assert "there are: none; 'tokens' are sparse or several a point, which can't be read" in refused(open_source(url))


def test_what_a_server_says_of_a_collection_that_its_client_does_not_know_hinders_no_reading() -> None:
    pytest.importorskip("qdrant_client", reason="the package qdrant-client isn't installed")
    with QdrantServer() as server:
        server.put(range(3), np.ones((3, 2)) * np.arange(3)[:, None])
        server.said_of_vectors = {"size": "as many as wanted"}
        assert numbers(read_all(open_source(server.url))[0]) == [0, 1, 2]
        server.points[2]["vector"] = {"a": [2.0, 1.0], "b": [7.0, 7.0]}
        assert "the points have the vectors 'a', 'b'; say which one" in refused(open_source(server.url))


def test_a_folder_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_client", reason="the package qdrant-client isn't installed")
    (tmp_path / "rows.npy").touch()
    message = refused(open_source(f"qdrant://{tmp_path}#logs"))
    assert "no folder of Qdrant's local mode: there is no meta.json in it" in message
    assert [path.name for path in tmp_path.iterdir()] == ["rows.npy"]


@pytest.mark.parametrize("spec", ["qdrant://[::1/logs", "milvus://[::1/logs", "qdrant://host:port/logs"])
def test_an_address_that_is_none_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match=r"no address: .*; allowed: (qdrant|milvus)://host:"):
        open_source(spec)


def test_a_qdrant_collection_that_is_not_there_is_refused(qdrant: tuple[str, Callable[..., None]]) -> None:
    url, put = qdrant
    assert f"{url}#logs: no such folder" in refused(open_source(f"{url}#logs"))
    put(1)
    assert "no collection 'log'; there are: 'logs'" in refused(open_source(f"{url}#log"))


def test_a_qdrant_server_that_is_down_is_an_error_that_says_so() -> None:
    pytest.importorskip("qdrant_client", reason="the package qdrant-client isn't installed")
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        message = refused(open_source(f"qdrant+https://me:secret@127.0.0.1:{taken.getsockname()[1]}/logs"))
    assert "Qdrant can't be read: " in message
    assert "secret" not in message


def absent(source: Source, after: Any = None) -> str:
    with pytest.raises(SourceAbsent) as caught:
        list(source.read(after))
    assert not caught.value.is_empty
    return str(caught.value)


def error_at_first(url: str) -> str:
    """Return what a source says that was never read before: an error, and nothing to wait for."""
    with pytest.raises(SourceError) as caught:
        list(open_source(url).read())
    assert not isinstance(caught.value, SourceAbsent)
    return str(caught.value)


def test_a_qdrant_server_that_goes_away_is_waited_for_and_one_that_never_answered_is_not() -> None:
    pytest.importorskip("qdrant_client", reason="the package qdrant-client isn't installed")
    with QdrantServer() as server:
        server.put(range(5), np.ones((5, 2)) * np.arange(5)[:, None])
        source = open_source(server.url)
        found, after = read_all(source)
        assert numbers(found) == [0, 1, 2, 3, 4]
        server.answers, server.status = 0, None
        assert "Qdrant can't be read: " in absent(source, after)
        assert "Qdrant can't be read: " in error_at_first(server.url)
        server.status = 503
        assert "503" in absent(source, after)
        assert "503" in error_at_first(server.url)
        server.answers = None
        server.put([7], [[7, 1]])
        assert numbers(read_all(source, after)[0]) == [7]
    assert "refused" in absent(source, after)
    assert "refused" in error_at_first(server.url)


@pytest.mark.parametrize("answered", range(7))
def test_points_are_read_once_wherever_the_server_goes_away(answered: int) -> None:
    pytest.importorskip("qdrant_client", reason="the package qdrant-client isn't installed")
    with QdrantServer() as server:
        server.put(range(5), np.ones((5, 2)) * np.arange(5)[:, None])
        source, found = open_source(server.url), list[Rows]()
        assert len(list(source.read(batch_rows=1))) == 5
        server.answers = answered  # it exists, what it holds, their count, a page for each point
        with pytest.raises(SourceAbsent):
            found.extend(source.read(batch_rows=1))
        after = found[-1].end if found else None
        assert len(found) == max(answered - 3, 0)
        server.answers = None
        assert numbers(found + read_all(source, after)[0]) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_what_a_qdrant_server_refuses_is_no_reason_to_wait(status: int) -> None:
    pytest.importorskip("qdrant_client", reason="the package qdrant-client isn't installed")
    with QdrantServer() as server:
        server.put([1], [[1, 1]])
        source = open_source(server.url)
        read_all(source)
        server.answers, server.status = 0, status
        with pytest.raises(SourceError, match=str(status)) as caught:
            list(source.read())
        assert not isinstance(caught.value, SourceAbsent)
        server.answers, server.collection = None, "others"
        with pytest.raises(SourceError, match="no collection 'logs'; there are: 'others'") as gone:
            list(source.read())
        assert not isinstance(gone.value, SourceAbsent)


def test_a_qdrant_folder_that_goes_away_is_waited_for(qdrant: tuple[str, Callable[..., None]], tmp_path: Path) -> None:
    url, put = qdrant
    put(1, 2)
    source = open_source(f"{url}#logs")
    _, after = read_all(source)
    (tmp_path / "qdrant").rename(tmp_path / "away")
    assert "no such folder" in absent(source, after)
    (tmp_path / "away").rename(tmp_path / "qdrant")
    put(3)
    assert numbers(read_all(source, after)[0]) == [3]


# Milvus


def milvus_put(path: Path, *numbers: int) -> None:
    """With a connection that closes; one that is shared pings the server for ever, which says so on stderr."""
    module = pytest.importorskip("pymilvus", reason="the package pymilvus isn't installed")
    client = module.MilvusClient(uri=str(path), dedicated=True)
    if not client.has_collection("logs"):
        client.create_collection("logs", dimension=2, metric_type="L2", auto_id=False)
    client.insert("logs", [{"id": number, "vector": [number, 1], "text": f"t{number}"} for number in numbers])
    client.close()


def test_a_milvus_collection_is_followed(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite", reason="the package milvus-lite isn't installed")
    path = tmp_path / "x.db"
    milvus_put(path, *range(5))
    source = open_source(f"milvus://{path}#logs")
    found, after = read_all(source)
    assert numbers(found) == [0, 1, 2, 3, 4]
    assert found[0].ids == ("0", "1")
    assert found[0].texts == ("t0", "t1")
    milvus_put(path, 7, 8)
    found, after = read_all(source, after)
    assert numbers(found) == [7, 8]
    milvus_put(path, 6)
    assert "1 points have come with ids before" in refused(source, after)


def test_a_milvus_collection_that_is_not_there_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite", reason="the package milvus-lite isn't installed")
    assert refused(open_source(f"milvus://{tmp_path}/x.db#logs")).endswith("x.db#logs: no such file")
    milvus_put(tmp_path / "x.db", 1)
    assert "no collection 'log'; there are: 'logs'" in refused(open_source(f"milvus://{tmp_path}/x.db#log"))
    message = refused(open_source(f"milvus://{tmp_path}/x.db#logs", columns=ColumnNames(vector="id")))
    assert "one FLOAT_VECTOR field is needed, name it; there are: 'vector (FLOAT_VECTOR)'" in message


def test_a_milvus_file_that_goes_away_is_waited_for(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite", reason="the package milvus-lite isn't installed")
    path = tmp_path / "x.db"
    milvus_put(path, 1, 2)
    source = open_source(f"milvus://{path}#logs")
    _, after = read_all(source)
    path.rename(tmp_path / "away.db")
    assert "no such file" in absent(source, after)
    (tmp_path / "away.db").rename(path)
    assert read_all(source, after)[0] == []


_PUT = """
import sys
from pymilvus import MilvusClient
client = MilvusClient(uri=sys.argv[1])
if not client.has_collection("logs"):
    client.create_collection("logs", dimension=2, metric_type="L2", auto_id=False)
client.insert("logs", [{"id": int(sys.argv[2]), "vector": [int(sys.argv[2]), 1]}])
"""


def test_between_two_reads_another_process_may_write_into_a_milvus_file(tmp_path: Path) -> None:
    pytest.importorskip("milvus_lite", reason="the package milvus-lite isn't installed")

    def put(number: int) -> None:
        command = [sys.executable, "-W", "ignore", "-c", _PUT, str(tmp_path / "x.db"), str(number)]
        subprocess.run(command, check=True, timeout=120)

    put(1)
    source = open_source(f"milvus://{tmp_path}/x.db#logs")
    found, after = read_all(source)
    assert numbers(found) == [1]
    put(2)
    assert numbers(read_all(source, after)[0]) == [2]


def test_a_milvus_file_that_is_in_use_in_this_process_stays_so(tmp_path: Path) -> None:
    pymilvus = pytest.importorskip("pymilvus", reason="the package pymilvus isn't installed")
    pytest.importorskip("milvus_lite", reason="the package milvus-lite isn't installed")
    milvus_put(tmp_path / "x.db", 1)
    client = pymilvus.MilvusClient(uri=str(tmp_path / "x.db"), dedicated=True)
    assert numbers(read_all(open_source(f"milvus://{tmp_path}/x.db#logs"))[0]) == [1]
    assert client.query("logs", filter="", output_fields=["count(*)"])[0]["count(*)"] == 1
    client.close()


_HELD = """
import sys, time
from pymilvus import MilvusClient
client = MilvusClient(uri=sys.argv[1])
client.create_collection("logs", dimension=2)
print("open", flush=True)
time.sleep(60)
"""


def test_a_milvus_file_that_another_process_has_open_is_told_of_without_a_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("milvus_lite", reason="the package milvus-lite isn't installed")
    path = tmp_path / "x.db"
    held = subprocess.Popen([sys.executable, "-W", "ignore", "-c", _HELD, str(path)], stdout=subprocess.PIPE)
    try:
        assert held.stdout is not None
        assert held.stdout.readline() == b"open\n"
        message = refused(open_source(f"milvus://{path}#logs"))
    finally:
        held.kill()
        held.communicate()
    assert "another process has it open (Milvus Lite lets in one at a time)" in message
    # What is logged and nobody handles stands on stderr.
    assert not [record.name for record in caplog.records if record.name.startswith(("milvus_lite", "pymilvus"))]


class MilvusServer:
    """Milvus Lite as a server of its own on 127.0.0.1, which can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self._folder = folder

    def __enter__(self) -> MilvusServer:
        host, _, port = self.address.partition(":")
        command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", str(self._folder)]
        self._running = subprocess.Popen(
            [*command, "--host", host, "--port", port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(600):
            with suppress(OSError), socket.create_connection((host, int(port)), 1):
                return self
            time.sleep(0.1)
        raise TimeoutError("the Milvus server doesn't answer")

    def __exit__(self, *_: object) -> None:
        self._running.terminate()
        try:
            self._running.wait(30)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()

    def put(self, *numbers: int) -> None:
        from pymilvus import MilvusClient

        client = MilvusClient(uri=f"http://{self.address}", dedicated=True)
        if not client.has_collection("logs"):
            client.create_collection("logs", dimension=2, metric_type="L2", auto_id=False)
        client.insert("logs", [{"id": number, "vector": [number, 1]} for number in numbers])
        client.close()


def until_it_answers(act: Callable[[], Any], refusal: type[Exception]) -> Any:
    """Do something until the client, which waits longer from try to try, has tried again."""
    for _ in range(300):
        with suppress(refusal):
            return act()
        time.sleep(0.1)
    raise TimeoutError("the server doesn't answer")


@pytest.mark.slow
def test_a_milvus_server_that_goes_away_is_waited_for_and_one_that_never_answered_is_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pymilvus = pytest.importorskip("pymilvus", reason="the package pymilvus isn't installed")
    pytest.importorskip("milvus_lite.cmdline", reason="no milvus-lite that has a server is installed")
    server = MilvusServer(tmp_path / "milvus")
    url = f"milvus://{server.address}/logs"
    with server:
        server.put(1, 2, 3)
        source = open_source(url)
        found, after = read_all(source)
        assert numbers(found) == [1, 2, 3]
        reading = source.read(batch_rows=1)
        assert numbers([next(reading)]) == [1]
    capfd.readouterr()
    with pytest.raises(SourceAbsent, match="Milvus can't be read"):
        list(reading)
    assert "Milvus can't be read: " in absent(source, after)
    assert "Milvus can't be read: " in error_at_first(url)
    assert capfd.readouterr().err == ""
    with server:
        until_it_answers(lambda: server.put(4), pymilvus.exceptions.MilvusException)
        found, _ = until_it_answers(lambda: read_all(source, after), SourceAbsent)
    assert numbers(found) == [4]


# PostgreSQL


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of its own on 127.0.0.1; its URL, with a password."""
    pytest.importorskip("psycopg", reason="the package psycopg isn't installed")
    programs = [shutil.which(name) for name in ("initdb", "postgres")]
    if None in programs:
        pytest.skip("no PostgreSQL server is installed")
    initdb, postgres = (str(program) for program in programs)
    folder = tmp_path_factory.mktemp("postgres")
    user: dict[str, Any] = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        user = {"user": "postgres"}
        folder = Path(
            subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True, **user).stdout.strip()
        )
    password = folder / "password"
    password.write_text("geheim")
    password.chmod(0o644)
    data = folder / "data"
    first = [initdb, "-D", str(data), "-U", "me", "--pwfile", str(password), "-A", "scram-sha-256", "-N"]
    subprocess.run(first, check=True, capture_output=True, cwd="/", **user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = ["-h", "127.0.0.1", "-p", str(port), "-k", "", "-F"]
    running = subprocess.Popen([postgres, "-D", str(data), *settings], stderr=subprocess.DEVNULL, cwd="/", **user)
    try:
        yield _answering(f"postgresql://me:geheim@127.0.0.1:{port}/postgres")
    finally:
        running.send_signal(2)
        running.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _answering(url: str) -> str:
    import psycopg

    for _ in range(100):
        try:
            psycopg.connect(url).close()
            return url
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise TimeoutError("the PostgreSQL server doesn't answer")


def run(url: str, *statements: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


QUERY = "SELECT id, embedding, created_at, note AS text, score FROM log WHERE note LIKE '%t%';"
TABLE = (
    "DROP TABLE IF EXISTS log",
    "CREATE TABLE log (id bigint, embedding float4[], created_at timestamptz, note text, score numeric)",
)


def insert(*numbers: int, hour: int = 0) -> str:
    rows = [f"({n}, ARRAY[{n}, 0.1], '2026-11-01 {hour:02}:00+01', 't{n}', {n}.5)" for n in numbers]
    return f"INSERT INTO log VALUES {', '.join(rows)}"


def test_a_query_is_followed_in_the_order_of_time_and_id(server: str) -> None:
    run(server, *TABLE, insert(3, 1, 2, hour=1), insert(9, hour=0))
    source = open_source(server, query=QUERY)
    found, after = read_all(source)
    assert numbers(found) == [9, 1, 2, 3]
    assert found[0].vectors.dtype == np.float32
    assert found[0].vectors[0, 1] == np.float32(0.1)
    assert found[0].texts == ("t9", "t1")
    assert found[0].times is not None
    assert found[0].times[1] == np.datetime64("2026-11-01T00:00:00")
    np.testing.assert_array_equal(found[0].scores, [9.5, 1.5])
    run(server, insert(4, hour=1), insert(0, hour=2))
    found, after = read_all(source, after)
    assert numbers(found) == [4, 0]
    assert read_all(source, after)[0] == []


@pytest.mark.parametrize("stop", range(5))
def test_rows_of_a_query_are_read_once_wherever_reading_stops(server: str, stop: int) -> None:
    run(server, *TABLE, insert(1, 2, 3, 4))
    source = open_source(server, query=QUERY)
    found, after = [], None
    for rows, _ in zip(source.read(batch_rows=1), range(stop), strict=False):
        found.append(rows)
        after = json.loads(json.dumps(rows.end))
    assert numbers(found + read_all(source, after)[0]) == [1, 2, 3, 4]


def test_vectors_as_text_are_read_as_pgvector_writes_them(server: str) -> None:
    run(server, "DROP TABLE IF EXISTS v", "CREATE TABLE v (id uuid, vector text)")
    run(server, "INSERT INTO v VALUES (gen_random_uuid(), '[1,-2.5e-05]'), (gen_random_uuid(), NULL)")
    found, _ = read_all(open_source(server, query="SELECT * FROM v"), batch_rows=9)
    rows = sorted(found[0].vectors.tolist(), key=str)
    assert rows[0] == [1.0, float(np.float32(-2.5e-05))]
    assert np.isnan(rows[1]).all()


@pytest.mark.parametrize("kind", ["vector", "halfvec"])
def test_pgvectors_own_types_are_read_and_followed(server: str, kind: str) -> None:
    import psycopg

    try:
        run(server, "CREATE EXTENSION IF NOT EXISTS vector")
    except psycopg.Error as exc:
        pytest.skip(f"the server has no pgvector: {exc}")
    run(server, "DROP TABLE IF EXISTS items", f"CREATE TABLE items (id bigserial, embedding {kind}(3))")
    run(server, "INSERT INTO items (embedding) VALUES ('[1, 0.5, -2]'), ('[2, 0, 0]')")
    source = open_source(server, query="SELECT id, embedding FROM items")
    found, after = read_all(source)
    assert [rows.vectors.dtype for rows in found] == [np.float32]
    np.testing.assert_array_equal(found[0].vectors, [[1, 0.5, -2], [2, 0, 0]])
    run(server, "INSERT INTO items (embedding) VALUES ('[3, 1, 1]')")
    assert numbers(read_all(source, after)[0]) == [3]


def test_a_database_that_goes_away_is_waited_for_and_one_that_never_answered_is_not(server: str) -> None:
    run(server, *TABLE, insert(1))
    source = open_source(server, query=QUERY)
    assert numbers(read_all(source)[0]) == [1]
    source.url = server.rpartition(":")[0] + ":1/postgres"  # type: ignore[attr-defined]
    with pytest.raises(SourceAbsent, match="refused") as gone:
        read_all(source)
    assert not gone.value.is_empty
    never = open_source(server.rpartition(":")[0] + ":1/postgres", query=QUERY)
    with pytest.raises(SourceError) as down:
        read_all(never)
    assert not isinstance(down.value, SourceAbsent)


def test_rows_that_are_younger_than_the_settling_time_wait(server: str) -> None:
    run(server, *TABLE, insert(1), "INSERT INTO log VALUES (2, ARRAY[2, 0], now(), 't', 0)")
    assert numbers(read_all(open_source(server, query=QUERY, settling_s=60))[0]) == [1]
    assert numbers(read_all(open_source(server, query=QUERY))[0]) == [1, 2]


def test_a_query_without_ids_can_be_read_but_not_followed(server: str) -> None:
    run(server, *TABLE, insert(1))
    source = open_source(server, query="SELECT embedding FROM log")
    found, after = read_all(source)
    assert numbers(found) == [1]
    assert "only where the query has a column of ids" in refused(source, after)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("INSERT INTO log VALUES (NULL, ARRAY[1, 2], now(), 't', 0)", "row 1: the time or id is NULL"),
        (insert(1), "row 1: two rows with the id 1"),
        ("INSERT INTO log VALUES (7, ARRAY[1, 2], NULL, 't', 0)", r"leave such rows out (WHERE ... IS NOT NULL)"),
        (
            "INSERT INTO log VALUES (5, ARRAY[1], now(), 't', 0)",
            "row 1: a vector of dimension 1, where the others have 2",
        ),
    ],
    ids=["no id", "same id", "no time", "ragged"],
)
def test_rows_that_have_no_place_or_no_vector_are_refused(server: str, statement: str, message: str) -> None:
    run(server, *TABLE, insert(1), statement)
    assert message in refused(open_source(server, query=QUERY))


def test_a_database_that_refuses_is_named_without_its_password(server: str) -> None:
    message = refused(open_source(server.replace("geheim", "verraten"), query="SELECT 1 AS id"))
    assert "password authentication failed" in message
    assert "verraten" not in message
    assert "me:***@127.0.0.1" in message
    down = server.rpartition(":")[0] + ":1/postgres"
    assert "geheim" not in refused(open_source(down, query="SELECT 1"))


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT nothing", 'column "nothing" does not exist'),
        ("DELETE FROM log RETURNING id", "syntax error"),
        ("SELECT 1 AS x", "no column of vectors or texts; there are: 'x'"),
        ("SELECT nextval('s') AS id, ARRAY[1.0] AS vector", "read-only transaction"),
    ],
)
def test_a_query_that_is_no_reading_of_vectors_is_refused(server: str, query: str, message: str) -> None:
    run(server, *TABLE, "CREATE SEQUENCE IF NOT EXISTS s")
    assert message in refused(open_source(server, query=query))


def test_a_score_that_is_a_text_is_refused(server: str) -> None:
    run(server, *TABLE, insert(1))
    message = refused(open_source(server, query="SELECT id, embedding, note AS score FROM log"))
    assert "column 'score': row 0: 't1', where a number is needed" in message


def test_times_may_be_seconds_of_any_type(server: str) -> None:
    run(server, *TABLE, insert(1, hour=1))
    source = open_source(server, query="SELECT id, embedding, extract(epoch FROM created_at) AS ts FROM log")
    rows = read_all(source)[0][0]
    assert rows.times is not None
    assert rows.times.tolist() == [datetime(2026, 11, 1)]


@pytest.mark.parametrize("kind", ["bigint", "text"])
def test_a_time_that_is_no_moment_is_read_and_can_not_be_waited_for(server: str, kind: str) -> None:
    run(server, *TABLE, insert(1))
    query = f"SELECT id, embedding, extract(epoch FROM created_at)::bigint::{kind} AS ts FROM log"
    message = refused(open_source(server, query=query, settling_s=60))
    assert f"column 'ts' is {kind}; to follow it, a timestamp or date is needed, such as `ts::timestamptz`" in message


def test_rows_without_ids_come_in_the_order_of_their_times(server: str) -> None:
    run(server, *TABLE, insert(3, hour=2), insert(1, hour=1), insert(2, hour=3))
    run(server, "INSERT INTO log VALUES (9, ARRAY[9, 0], NULL, 't', 0)")
    source = open_source(server, query="SELECT embedding, created_at FROM log")
    assert numbers(list(Selection(last=2).rows(source))) == [3, 2]
    assert numbers(read_all(source)[0]) == [9, 1, 3, 2]


def test_a_url_as_sqlalchemy_writes_it_is_the_same_database(server: str) -> None:
    run(server, *TABLE, insert(1))
    source = open_source(server.replace("postgresql://", "postgresql+psycopg://"), query=QUERY)
    assert numbers(read_all(source)[0]) == [1]


@pytest.mark.parametrize("rest", ["password=geh%zzeim", "password=geh%25zzeim&sslmode=no", "geheim"])
def test_a_password_behind_the_question_mark_is_not_said(server: str, rest: str) -> None:
    place = server.replace("me:geheim@", "")
    message = refused(open_source(f"{place}?user=me&{rest}", query="SELECT 1"))
    assert "geh" not in message
    assert place in message


def test_a_position_of_another_query_is_refused(server: str) -> None:
    run(server, *TABLE, insert(1))
    _, after = read_all(open_source(server, query=QUERY))
    assert "of another source or query" in refused(open_source(server, query="SELECT * FROM log"), after)
