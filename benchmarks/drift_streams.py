"""Real streams of embeddings for the benchmarks of the drift monitor.

    --data DIR (texts) ── packaged MiniLM, unless --vectors DIR has them ──> Streams: pools of unit vectors by name

A baseline is half commit subjects, 30 % questions to an assistant (CLINC150) and 20 % news titles. Left out of it, so
that they are new: three of CLINC's domains (kitchen; banking and credit cards, which banking77 is of) and what CLINC
calls out of scope.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
MAX_CHARACTERS = 1000
NEW_DOMAINS = ("kitchen_and_dining", "banking", "credit_cards", "oos")
PARQUET = ("clinc150_intents", "commit_subjects_by_year", "agnews_titles_by_topic")
SHARES = {"commits": 0.5, "clinc": 0.3, "news": 0.2}
# Parts of the streams, each a pool of its own beside them.
DOMAINS = {
    "travel": ("travel", "auto_and_commute"),
    "work": ("work", "meta"),
    "talk": ("utility", "small_talk", "home"),
}
REPOSITORIES = {"hypothesis": "HypothesisWorks/hypothesis", "pytest": "pytest-dev/pytest"}
TOPICS = ("business", "sci_tech", "sports", "world")


@dataclass(frozen=True, slots=True)
class Streams:
    """Vectors by name: commits, clinc, news, and parts of these; the new ones: kitchen, oos, banking77, sentences.

    Attributes:
        topics: Topic of each news title.
    """

    pools: dict[str, Vectors]
    topics: NDArray[np.str_]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="texts (default ../shared/data)")
    parser.add_argument("--vectors", type=Path, default=Path(".drift-vectors"), help="where vectors are kept (*.npy)")
    parser.add_argument("--seed", type=int, default=0)


def load_streams(data: Path, vectors: Path) -> Streams:
    """Return the streams; what `vectors` does not have is encoded, some minutes, and kept there.

    Raises:
        SystemExit: the texts are not there; with exit code 0, as there is nothing to measure.
    """
    if not (data / "streams").is_dir():
        print(f"skipped: {data / 'streams'} is not there; name the folder of the evaluation data with --data DIR")
        raise SystemExit(0)
    vectors.mkdir(parents=True, exist_ok=True)
    texts, columns = _texts(data)
    found = {name: _vectors(vectors / f"{name}.npy", lines) for name, lines in texts.items()}
    domains = columns["domain"]
    clinc = found["clinc150_intents"]
    pools = {
        "commits": found["commit_subjects_by_year"],
        "clinc": clinc[~np.isin(domains, NEW_DOMAINS)],
        "news": found["agnews_titles_by_topic"],
        "kitchen": clinc[domains == "kitchen_and_dining"],
        "oos": clinc[domains == "oos"],
        "banking77": found["banking77"],
        "sentences": found["stsb_sentences"],
    }
    return Streams(pools | _parts(pools, clinc, columns), columns["topic"])


def _parts(pools: dict[str, Vectors], clinc: Vectors, columns: dict[str, NDArray[np.str_]]) -> dict[str, Vectors]:
    repository, topic = columns["repository"], columns["topic"]
    parts = {name: clinc[np.isin(columns["domain"], domains)] for name, domains in DOMAINS.items()}
    parts |= {name: pools["commits"][repository == full] for name, full in REPOSITORIES.items()}
    parts["other repositories"] = pools["commits"][~np.isin(repository, list(REPOSITORIES.values()))]
    return parts | {name: pools["news"][topic == name] for name in TOPICS}


def _texts(data: Path) -> tuple[dict[str, list[str]], dict[str, NDArray[np.str_]]]:
    import pyarrow.parquet as pq

    tables = {name: pq.read_table(data / "streams" / f"{name}.parquet") for name in PARQUET}
    texts = {name: table.column("text").to_pylist() for name, table in tables.items()}
    texts["banking77"] = [row["text"] for row in _json_rows(data / "mteb__banking77")]
    pairs = _json_rows(data / "mteb__stsbenchmark-sts")
    texts["stsb_sentences"] = sorted({row[side] for row in pairs for side in ("sentence1", "sentence2")})
    columns = {
        "domain": np.array(tables["clinc150_intents"].column("domain").to_pylist()),
        "topic": np.array([str(label) for label in tables["agnews_titles_by_topic"].column("label").to_pylist()]),
        "repository": np.array(tables["commit_subjects_by_year"].column("label").to_pylist()),
    }
    return texts, columns


def _json_rows(folder: Path) -> list[dict[str, str]]:
    return [
        json.loads(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def _vectors(path: Path, texts: list[str]) -> Vectors:
    if not path.exists():
        import benchkit

        print(f"encoding {len(texts):,} texts: {path.stem}", flush=True)
        np.save(path, benchkit.load_model("minilm").encode([text[:MAX_CHARACTERS] for text in texts]))
    found: Vectors = np.load(path)
    if len(found) != len(texts):
        raise SystemExit(f"{path}: {len(found)} vectors for {len(texts)} texts; remove it to encode them again")
    return found
