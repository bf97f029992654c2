"""Files of a bucket, read by the SDK from a server that speaks S3: as a folder's are, and no secret in what is said."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from s3_server import ACCOUNT, SECRET, S3Server

from benchkit.errors import SourceError, UsageError
from benchkit.sources.folder import SourceAbsent
from benchkit.sources.open import open_source
from benchkit.types.drift import Source

HOUR_AGO = 1_750_000_000.0


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    with S3Server("bucket") as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCOUNT)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            monkeypatch.setenv(name, "/nowhere")
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
            monkeypatch.delenv(name, raising=False)
        yield server


def parquet(first: int, count: int) -> bytes:
    """Return a file of rows that tell which they are: (row number, 1)."""
    vectors = np.stack([np.arange(first, first + count), np.ones(count)], axis=1).astype(np.float32)
    file = io.BytesIO()
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 2)
    pq.write_table(pa.table({"embedding": column}), file, row_group_size=3)
    return file.getvalue()


def lines(first: int, count: int) -> bytes:
    return b"".join(b'{"embedding": [%d, 1]}\n' % number for number in range(first, first + count))


def read_all(source: Source, after: Mapping[str, Any] | None = None) -> tuple[list[int], Any]:
    found: list[int] = []
    for rows in source.read(after, batch_rows=4):
        found += [int(number) for number in rows.vectors[:, 0]]
        after = json.loads(json.dumps(rows.end))
    return found, after


def refused(source: Source, after: Mapping[str, Any] | None = None, kind: type[Exception] = SourceError) -> str:
    with pytest.raises(kind) as caught:
        list(source.read(after, batch_rows=4))
    return str(caught.value)


def test_a_bucket_is_followed_like_a_folder(store: S3Server) -> None:
    for name, first in (("2.parquet", 0), ("10.parquet", 5), ("_x.parquet", 99), ("_old/x.parquet", 99)):
        store.put(f"bucket/logs/{name}", parquet(first, 5))
    store.put("bucket/logs-too/3.parquet", parquet(99, 5))
    source = open_source("s3://bucket/logs/")
    found, after = read_all(source)
    assert found == list(range(10))
    store.put("bucket/logs/1.parquet", parquet(10, 2))
    store.put("bucket/logs/day=1/a b.parquet", parquet(12, 2))
    found, after = read_all(source, after)
    assert found == [10, 11, 12, 13]
    assert read_all(source, after)[0] == []
    store.put("bucket/logs/2.parquet", parquet(20, 5))
    assert "s3://bucket/logs: 2.parquet: was replaced after it had been read" in refused(source, after)


def test_a_file_that_grows_is_read_on(store: S3Server) -> None:
    store.put("bucket/a.jsonl", lines(0, 3), written=HOUR_AGO)
    source = open_source("s3://bucket/a.jsonl")
    found, after = read_all(source)
    store.put("bucket/a.jsonl", lines(0, 5), written=HOUR_AGO + 1)
    assert (found, read_all(source, after)[0]) == ([0, 1, 2], [3, 4])


def test_a_file_a_bucket_and_a_glob_are_read_and_named(store: S3Server) -> None:
    store.put("bucket/a/1.parquet", parquet(0, 2))
    store.put("bucket/b/1.parquet", parquet(2, 2))
    store.put("bucket/b/c/12.parquet", parquet(4, 2))
    expected = {
        "s3://bucket/a/1.parquet": [0, 1],
        "s3://bucket": [0, 1, 2, 3, 4, 5],
        "s3://bucket/*/1.parquet": [0, 1, 2, 3],
        "s3://bucket/b/?.parquet": [2, 3],
        "s3://bucket/b/**/*.parquet": [2, 3, 4, 5],
        "S3A://bucket/a": [0, 1],
    }
    for spec, rows in expected.items():
        source = open_source(spec)
        assert (source.name, read_all(source)[0]) == (spec, rows)


def test_a_listing_of_many_pages_is_read_to_its_end(store: S3Server) -> None:
    for number in range(7):  # of two names a page
        store.put(f"bucket/logs/{number}.parquet", parquet(number, 1))
    assert read_all(open_source("s3://bucket/logs"))[0] == list(range(7))
    assert len([path for _, path in store.requests if path == "bucket/"]) >= 4


def test_options_of_the_url_say_where_the_store_is(store: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("bucket/logs/1.parquet", parquet(0, 2))
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    quoted = SECRET.replace("/", "%2F").replace("+", "%2B")
    source = open_source(f"s3://{ACCOUNT}:{quoted}@bucket/logs?endpoint_override={store.url}&region=us-east-1")
    assert source.name == f"s3://{ACCOUNT}:***@bucket/logs"
    assert read_all(source)[0] == [0, 1]


def test_a_place_without_files_is_waited_for_and_a_missing_bucket_is_not(store: S3Server) -> None:
    said = refused(open_source("s3://bucket/logs"), kind=SourceAbsent)
    assert "s3://bucket/logs: nothing to read; no file is there" in said
    with pytest.raises(SourceError, match="s3://other/logs: there is no such bucket") as caught:
        list(open_source("s3://other/logs").read())
    assert not isinstance(caught.value, SourceAbsent)


def test_a_store_that_is_ill_is_waited_for(store: S3Server) -> None:
    store.put("bucket/logs/1.parquet", parquet(0, 2))
    source = open_source("s3://bucket/logs")
    store.status = 503
    assert "s3://bucket/logs: " in refused(source, kind=SourceAbsent)
    store.status = None
    assert read_all(source)[0] == [0, 1]


def test_a_store_that_fails_within_a_file_is_waited_for_and_read_on(store: S3Server) -> None:
    store.put("bucket/logs/1.parquet", parquet(0, 40), written=HOUR_AGO)
    source = open_source("s3://bucket/logs")
    batches = source.read(batch_rows=4)
    first = next(batches)
    store.status = 503
    with pytest.raises(SourceAbsent, match="s3://bucket/logs: "):
        list(batches)
    store.status = None
    found, _ = read_all(source, json.loads(json.dumps(first.end)))
    assert [*first.vectors[:, 0].astype(int), *found] == list(range(40))


def test_a_wrong_account_is_refused_without_a_secret(store: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    store.put("bucket/logs/1.parquet", parquet(0, 2))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "WRONG")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the-token")
    said = refused(open_source("s3://bucket/logs"))
    assert "s3://bucket/logs: access is denied; look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in said
    assert not any(secret in said for secret in (SECRET, "the-token"))


@pytest.mark.parametrize("later", [0.0, 5.0], ids=["in the same second", "later"])
@pytest.mark.parametrize("number", range(1, 9))
def test_an_object_that_is_replaced_while_it_is_read_is_never_taken_for_one(
    store: S3Server, number: int, later: float
) -> None:
    store.put("bucket/logs/1.parquet", parquet(0, 40), written=HOUR_AGO)
    seen: list[str] = []

    def replace(place: str) -> None:
        seen.append(place)
        if len(seen) == number:
            store.put(place, parquet(50, 40), written=HOUR_AGO + later)

    store.on_get = replace
    said = refused(open_source("s3://bucket/logs"))
    assert "s3://bucket/logs: 1.parquet: " in said
    assert not later or "was replaced while it was read" in said


def test_an_object_that_is_cut_or_gone_while_it_is_read_is_told(store: S3Server) -> None:
    source = open_source("s3://bucket/logs")
    for change, said in (
        (lambda: store.put("bucket/logs/1.parquet", b"PAR1"), "was replaced while it was read"),
        (lambda: store.objects.clear(), "vanished while it was read"),
    ):
        store.put("bucket/logs/1.parquet", parquet(0, 40))
        batches = source.read(batch_rows=4)
        next(batches)
        change()
        with pytest.raises(SourceError, match=rf"s3://bucket/logs: 1\.parquet: .*({said})"):
            list(batches)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("s3://", "s3://: no bucket is named"),
        ("s3:///logs", "no bucket is named"),
        ("s3://buck*/logs", "no bucket is named"),
        ("s3://bucket/logs?wat=1", "s3://bucket/logs: Unexpected query parameter in S3 URI: 'wat'"),
        ("s3://a:b%2Fsecret@bucket/logs?wat=1", r"s3://a:\*\*\*@bucket/logs: Unexpected"),
    ],
)
def test_an_address_that_is_none_is_refused(store: S3Server, spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        list(open_source(spec).read())
    assert "secret" not in str(caught.value)
    assert not store.requests
