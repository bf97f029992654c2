"""Small data sets of one's own, one writer for each task type, for tests that need files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

TOPICS = {
    "heating": "boiler radiator thermostat warm cold valve room degrees pump",
    "billing": "invoice payment refund price crowns bank month debit account",
    "solar": "panel inverter roof export sunshine cleaning snow kilowatt shade",
    "charging": "car cable socket plug charger battery night vehicle amps",
}


def jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def sentences(n: int) -> list[tuple[str, str]]:
    """Return n (topic, sentence) of four topics in turn, all different."""
    found = []
    for number in range(n):
        topic = list(TOPICS)[number % 4]
        words = TOPICS[topic].split()
        picked = [words[(number * step + step) % len(words)] for step in (1, 2, 4, 7)]
        found.append((topic, f"{' '.join(picked)} case {number}"))
    return found


def sts(path: Path, n: int = 60) -> Path:
    rows = []
    for number, (topic, text) in enumerate(sentences(n)):
        other_topic, other = sentences(n + 7)[number + (4 if number % 3 else 1)]
        rows.append(
            {"sentence1": text, "sentence2": other, "score": round(4.0 * (topic == other_topic) + number % 5 * 0.2, 1)}
        )
    return jsonl(path, rows)


def pairs(path: Path, n: int = 60) -> Path:
    rows = [
        {"sentence1": t, "sentence2": sentences(n + 9)[i + (4 if i % 2 else 3)][1], "label": i % 2}
        for i, (_, t) in enumerate(sentences(n))
    ]
    return jsonl(path, rows)


def labelled(folder: Path, n: int = 120) -> Path:
    rows = [{"text": text, "label": topic} for topic, text in sentences(n)]
    jsonl(folder / "train.jsonl", rows[: n // 2])
    jsonl(folder / "test.jsonl", rows[n // 2 :])
    return folder


def multilabelled(folder: Path, n: int = 120) -> Path:
    rows = [
        {"text": f"{a} {b}", "label": sorted({ta, tb})}
        for (ta, a), (tb, b) in zip(sentences(n), sentences(n + 1)[1:], strict=True)
    ]
    rows = [{**row, "label": row["label"][: 1 + i % 2]} for i, row in enumerate(rows)]
    jsonl(folder / "train.jsonl", rows[: n // 2])
    jsonl(folder / "test.jsonl", rows[n // 2 :])
    return folder


def bitext(path: Path, n: int = 40) -> Path:
    rows = [{"sentence1": text, "sentence2": text.replace("a", "ä").replace("e", "é")} for _, text in sentences(n)]
    return jsonl(path, rows)


def retrieval(folder: Path, n: int = 40, *, candidates: bool = False) -> Path:
    documents = sentences(n)
    jsonl(
        folder / "corpus.jsonl",
        [{"_id": f"d{i}", "title": topic.title(), "text": text} for i, (topic, text) in enumerate(documents)],
    )
    jsonl(
        folder / "queries.jsonl",
        [{"_id": f"q{i}", "text": " ".join(documents[i][1].split()[1:4])} for i in range(n // 2)],
    )
    rows = [(f"q{i}", f"d{i}", 2) for i in range(n // 2)] + [(f"q{i}", f"d{i + 4}", 1) for i in range(n // 2 - 4)]
    tsv(folder / "qrels" / "test.tsv", ("query-id", "corpus-id", "score"), rows)
    if candidates:
        top = [
            {"query-id": f"q{i}", "corpus-ids": [f"d{(i + step) % n}" for step in (0, 4, 1, 9, 3, 17)]}
            for i in range(n // 2)
        ]
        jsonl(folder / "top_ranked.jsonl", top)
    return folder


def tsv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    return path


def write_all(root: Path) -> dict[str, Path]:
    """Write one data set of each task type and return where they are."""
    return {
        "Retrieval": retrieval(root / "retrieval"),
        "Reranking": retrieval(root / "reranking", candidates=True),
        "STS": sts(root / "sts.jsonl"),
        "PairClassification": pairs(root / "pairs.jsonl"),
        "Classification": labelled(root / "labelled"),
        "MultilabelClassification": multilabelled(root / "multilabelled"),
        "Clustering": labelled(root / "clustering") / "test.jsonl",
        "BitextMining": bitext(root / "bitext.jsonl"),
    }
