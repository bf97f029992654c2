"""The bundled stream of questions is what suites/data/README.md says of it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

DATA = Path(__file__).resolve().parents[2] / "suites" / "data"
CHANGE = datetime.fromisoformat("2026-10-25T00:00:00Z")


def rows(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def test_every_text_is_one_of_the_bundled_files_and_comes_once():
    pairs = rows("duplicate-questions.jsonl")
    english = {row["text"] for name in ("intents.jsonl", "help-centre/queries.jsonl") for row in rows(name)}
    english |= {row["text"] for row in rows("support-reranking/queries.jsonl")}
    english |= {row[side] for row in pairs for side in ("sentence1", "sentence2")}
    chinese = {row["text"] for row in rows("help-centre-zh/queries.jsonl")}
    stream = [*rows("production/september.jsonl"), *rows("production/october.jsonl")]
    texts = [row["text"] for row in stream]
    assert len(set(texts)) == len(texts) == 700 + 531
    assert set(texts) <= english | chinese
    assert [row["timestamp"] for row in stream] == sorted(row["timestamp"] for row in stream)


def test_chinese_questions_begin_on_the_day_that_the_readme_names():
    chinese = {row["text"] for row in rows("help-centre-zh/queries.jsonl")}
    stream = [*rows("production/september.jsonl"), *rows("production/october.jsonl")]
    times = [datetime.fromisoformat(row["timestamp"]) for row in stream if row["text"] in chinese]
    assert len(times) == 59
    assert min(times) >= CHANGE
