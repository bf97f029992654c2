"""Does what the canaries say rank changes by the harm they really do?

    four labelled tasks ── documents (index) · test queries (labels, judgements) · other queries (canaries, no labels)
                                  │                  │ true loss: accuracy, P@10 or nDCG@10            │
    35 changes (texts, model, arithmetic, space) ────┴── Spearman, over the changes ── proxies ────────┘

    python benchmarks/drift_harm.py --data ../shared/data --json harm.json

Canaries see neither a test query nor a label: clusters (k-means of the index) stand in for labels. Most changes hit the
queries only, as a change behind a live index does; those named "both" hit documents as well. Wanted: a proxy whose
Spearman correlation with the true loss is 0.9 or more on every task. The exit code is 1 when the overlap, which decides
the severity, misses it.

Data: banking77, XQuAD (en), SIB-200 (eng), CLINC150; seeded; eight minutes of one core.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import string
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from gate_harms import change_json, change_weights, checkpoint, with_noise

import benchkit
from benchkit.drift.canary import Canaries, make_canaries, ndcg_at_10, search_change
from benchkit.drift.ranking import best_hits, row_cosines, unit_rows
from benchkit.measure.space import linear_cka

SEED = 11
N_DOCUMENTS, N_QUERIES, N_CANARY_QUERIES, N_CANARY_DOCUMENTS = 3_000, 800, 400, 1_000
N_CLUSTERS = 64
WANTED = 0.9
DECIDES = "overlap@10"
Texts = list[str]
Vectors = Any
Encode = Callable[[Sequence[str]], Vectors]


# ------------------------------------------------------------ tasks


@dataclass(frozen=True)
class Task:
    """Texts with what is right; `labels` and `query_labels`, or for each query the number of its one document."""

    name: str
    documents: Texts
    queries: Texts
    canary_queries: Texts
    labels: Any = None
    query_labels: Any = None
    relevant: Any = None


def tasks_of(data: Path) -> list[Task]:
    return [_banking(data), _xquad(data), _sib(data), _clinc(data)]


def _banking(data: Path) -> Task:
    train, test = (_lines(data / "mteb__banking77" / f"{split}.jsonl") for split in ("train", "test"))
    return _labelled("banking77", _pairs(train, "label"), _pairs(test, "label"))


def _sib(data: Path) -> Task:
    parts = [_lines(data / "mteb__sib200" / f"eng_Latn.{split}.jsonl") for split in ("train", "test", "validation")]
    rows = _shuffled([row for part in parts for row in part])
    label = "category" if "category" in rows[0] else "label"
    pairs = _pairs(rows, label)
    return _labelled("sib200", pairs[:450], pairs[450:])


def _clinc(data: Path) -> Task:
    import pyarrow.parquet as pq

    rows = [
        row for row in pq.read_table(data / "streams/clinc150_intents.parquet").to_pylist() if row["label"] != "oos"
    ]
    pairs = _pairs(_shuffled(rows), "label")
    return _labelled("clinc150", pairs[:N_DOCUMENTS], pairs[N_DOCUMENTS:])


def _xquad(data: Path) -> Task:
    folder = data / "mteb__XQuADRetrieval"
    corpus, queries, qrels = (_lines(folder / f"en-{part}.validation.jsonl") for part in ("corpus", "queries", "qrels"))
    place = {row["_id"]: number for number, row in enumerate(corpus)}
    answers = {row["query-id"]: place[row["corpus-id"]] for row in qrels}
    queries = _shuffled(queries)
    asked, others = queries[:N_QUERIES], queries[N_QUERIES:][:N_CANARY_QUERIES]
    return Task(
        "xquad-en",
        [row["text"] for row in corpus],
        [row["text"] for row in asked],
        [row["text"] for row in others],
        relevant=np.array([answers[row["_id"]] for row in asked]),
    )


def _labelled(name: str, indexed: list[tuple[str, str]], others: list[tuple[str, str]]) -> Task:
    indexed, others = _shuffled(indexed)[:N_DOCUMENTS], _shuffled(others)
    n_queries = min(N_QUERIES, 2 * len(others) // 3)
    documents, queries = indexed, others[:n_queries]
    canaries = others[n_queries:][:N_CANARY_QUERIES]
    return Task(
        name,
        [text for text, _ in documents],
        [text for text, _ in queries],
        [text for text, _ in canaries],
        labels=np.array([label for _, label in documents]),
        query_labels=np.array([label for _, label in queries]),
    )


def _lines(file: Path) -> list[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _pairs(rows: list[dict[str, Any]], label: str) -> list[tuple[str, str]]:
    return [(row["text"], str(row[label])) for row in rows]


def _shuffled(rows: list[Any]) -> list[Any]:
    return [rows[place] for place in np.random.default_rng(SEED).permutation(len(rows))]


# ------------------------------------------------------------ changes


@dataclass(frozen=True)
class Change:
    """What happens to queries, as texts, by another model, or as vectors; `both` changes documents' vectors too."""

    name: str
    text: Callable[[str], str] | None = None
    model: str | None = None
    vectors: Callable[[Vectors], Vectors] | None = None
    both: bool = False


def _typos(share: float) -> Callable[[str], str]:
    def typed(text: str) -> str:
        rng = np.random.default_rng([SEED, len(text), sum(map(ord, text))])
        return "".join(_slip(letter, rng) if rng.random() < share else letter for letter in text)

    return typed


def _slip(letter: str, rng: np.random.Generator) -> str:
    other = string.ascii_lowercase[rng.integers(26)]
    return ("", other, letter + other, letter + letter)[rng.integers(4)]


def _words(n: int) -> Callable[[str], str]:
    return lambda text: " ".join(text.split()[:n])


def _noise(share: float) -> Callable[[Vectors], Vectors]:
    def noisy(vectors: Vectors) -> Vectors:
        # Not the same noise for query i and document i: they would find each other by it.
        rng = np.random.default_rng([SEED, len(vectors)])
        noise = rng.standard_normal(vectors.shape)
        return unit_rows(vectors + share * noise / np.linalg.norm(noise, axis=1, keepdims=True))

    return noisy


def _turned(vectors: Vectors) -> Vectors:
    dimension = vectors.shape[1]
    return vectors @ np.linalg.qr(np.random.default_rng(SEED).standard_normal((dimension, dimension)))[0]


def _int8(vectors: Vectors) -> Vectors:
    step = np.abs(vectors).max() / 127
    return np.round(vectors / step) * step


def _bf16(vectors: Vectors) -> Vectors:
    bits = np.ascontiguousarray(vectors, dtype=np.float32).view(np.uint32)
    return ((bits + 0x8000) & np.uint32(0xFFFF0000)).view(np.float32)


def _cut(dimension: int) -> Callable[[Vectors], Vectors]:
    return lambda vectors: vectors * (np.arange(vectors.shape[1]) < dimension)


def _swapped_words(text: str) -> str:
    return " ".join(reversed(text.split()))


CHANGES = (
    Change("none"),
    Change("prefix 'query: '", text=lambda text: f"query: {text}"),
    Change("prefix of another task", text=lambda text: f"Translate this sentence into French: {text}"),
    Change("HTML escape", text=lambda text: f"<p>{html.escape(text)}&nbsp;</p>"),
    Change("upper case", text=str.upper),
    Change("no punctuation", text=lambda text: text.translate(str.maketrans("", "", string.punctuation))),
    Change("words in reverse", text=_swapped_words),
    Change("words joined by _", text=lambda text: "_".join(text.split())),
    Change("no spaces", text=lambda text: "".join(text.split())),
    *(Change(f"typos {100 * share:.0f} %", text=_typos(share)) for share in (0.01, 0.03, 0.1, 0.2, 0.3)),
    *(Change(f"first {n} words", text=_words(n)) for n in (3, 5, 8, 12)),
    Change("other pooling", model="pooling"),
    Change("weights 10 % noise", model="noise 0.1"),
    Change("weights 30 % noise", model="noise 0.3"),
    Change("last layer dropped", model="layer"),
    Change("int8", vectors=_int8),
    Change("bf16", vectors=_bf16),
    *(Change(f"noise {share}", vectors=_noise(share)) for share in (0.1, 0.2, 0.5, 1.0)),
    *(Change(f"noise {share}, both", vectors=_noise(share), both=True) for share in (0.2, 0.5, 1.0)),
    Change("rotated queries", vectors=_turned),
    Change("rotated, both", vectors=_turned, both=True),
    *(Change(f"cut to {n} dimensions, both", vectors=_cut(n), both=True) for n in (128, 32, 8)),
)


def models(folder: Path) -> dict[str, Encode]:
    """Return MiniLM under "", and what a deployment may have made of it."""
    harms: dict[str, Callable[[Path], None]] = {
        "pooling": _max_pooling,
        "noise 0.1": lambda target: change_weights(target, lambda weights: with_noise(weights, 0.1)),
        "noise 0.3": lambda target: change_weights(target, lambda weights: with_noise(weights, 0.3)),
        "layer": _one_layer_less,
    }
    found: dict[str, Encode] = {"": benchkit.load_model("minilm").encode}
    for name, harm in harms.items():
        target = checkpoint(folder / name.replace(" ", "-"))
        harm(target)
        found[name] = benchkit.load_model(str(target)).encode
    return found


def _max_pooling(target: Path) -> None:
    (file,) = target.glob("*_Pooling/config.json")
    named = "pooling_mode" in json.loads(file.read_text(encoding="utf-8"))
    modes = {"pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}
    change_json(file, {"pooling_mode": "max"} if named else modes)


def _one_layer_less(target: Path) -> None:
    change_json(target / "config.json", {"num_hidden_layers": 5})
    change_weights(target, lambda weights: {n: v for n, v in weights.items() if ".layer.5." not in n})


# ------------------------------------------------------------ truth and proxies


@dataclass(frozen=True)
class Prepared:
    """A task under the baseline's model."""

    task: Task
    documents: Vectors
    queries: Vectors
    canary_queries: Vectors
    canary_documents: Any
    canaries: Canaries


def prepare(task: Task, encode: Encode) -> Prepared:
    documents, queries, canary_queries = (
        encode(texts) for texts in (task.documents, task.queries, task.canary_queries)
    )
    chosen = np.sort(np.random.default_rng(SEED).permutation(len(documents))[:N_CANARY_DOCUMENTS])
    centroids = _centroids(documents)
    rows = np.concatenate([canary_queries, documents[chosen]])
    canaries = make_canaries(
        [*task.canary_queries, *(task.documents[place] for place in chosen)],
        rows,
        clusters=np.argmax(unit_rows(rows) @ unit_rows(centroids).T, axis=1),
        queries=range(len(canary_queries)),
    )
    return Prepared(task, documents, queries, canary_queries, chosen, canaries)


def _centroids(documents: Vectors) -> Vectors:
    from sklearn.cluster import KMeans

    n_clusters = min(N_CLUSTERS, len(documents) // 10)
    return KMeans(n_clusters, n_init=1, random_state=SEED).fit(documents).cluster_centers_


def quality(task: Task, queries: Vectors, documents: Vectors) -> dict[str, float]:
    """Return the task's own scores."""
    if task.relevant is None:
        places = best_hits(queries, documents, k=10).places
        right = task.labels[places] == task.query_labels[:, None]
        return {"accuracy": float(right[:, 0].mean()), "P@10": float(right.mean())}
    n = len(queries)
    rows = np.concatenate([queries, documents])
    qrels = {query: {n + int(document): 1} for query, document in enumerate(task.relevant)}
    judged = make_canaries([""] * len(rows), rows, clusters=np.zeros(len(rows), int), queries=range(n), qrels=qrels)
    return {"nDCG@10": float(ndcg_at_10(judged, rows, rows).mean())}


def changed(prepared: Prepared, change: Change, encoders: dict[str, Encode]) -> tuple[Vectors, Vectors, Vectors]:
    """Return test queries, canary queries and documents under a change."""
    queries, canaries, documents = prepared.queries, prepared.canary_queries, prepared.documents
    if change.text or change.model:
        rewrite, encode = change.text or (lambda text: text), encoders[change.model or ""]
        task = prepared.task
        queries, canaries = (encode(list(map(rewrite, texts))) for texts in (task.queries, task.canary_queries))
    if change.vectors:
        queries, canaries = change.vectors(queries), change.vectors(canaries)
        documents = change.vectors(documents) if change.both else documents
    return queries, canaries, documents


def proxies(prepared: Prepared, canaries: Vectors, documents: Vectors) -> dict[str, float]:
    """Return what can be had without labels, each so that more is worse."""
    old, stored = prepared.canary_queries, prepared.canaries
    now = np.concatenate([canaries, documents[prepared.canary_documents]])
    before, after = search_change(stored, stored.vectors, stored.vectors), search_change(stored, now, now)
    return {
        "centroid shift": float(np.linalg.norm(canaries.mean(axis=0) - old.mean(axis=0))),
        "1 - cosine": float(1 - row_cosines(old, canaries).mean()),
        "1 - CKA": 1 - linear_cka(old, canaries),
        "top-1 score drop": float(_best(old, prepared.documents) - _best(canaries, documents)),
        "overlap@10": 1 - after.overlap_at_10,
        "top-1 agreement": 1 - after.top1_agreement,
        "pseudo-label accuracy": before.pseudo_label_accuracy - after.pseudo_label_accuracy,
    }


def _best(queries: Vectors, documents: Vectors) -> float:
    return float(best_hits(queries, documents, k=1).scores.mean())


# ------------------------------------------------------------ the run


def main() -> int:
    options = _options()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    started = time.process_time()
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        encoders = models(Path(folder))
        for task in tasks_of(options.data):
            rows += _rows_of(prepare(task, encoders[""]), encoders)
            print(f"{task.name}: {len(CHANGES)} changes, {time.process_time() - started:.0f} CPU s", flush=True)
    correlations = _correlations(rows)
    _show(rows, correlations)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "spearman": correlations}, indent=1), encoding="utf-8")
    return 0 if min(row[DECIDES] for row in correlations.values()) >= WANTED else 1


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def _rows_of(prepared: Prepared, encoders: dict[str, Encode]) -> list[dict[str, Any]]:
    base = quality(prepared.task, prepared.queries, prepared.documents)
    rows = []
    for change in CHANGES:
        queries, canaries, documents = changed(prepared, change, encoders)
        now = quality(prepared.task, queries, documents)
        rows.append(
            {
                "task": prepared.task.name,
                "change": change.name,
                "before": base,
                "loss": {metric: base[metric] - now[metric] for metric in base},
                "proxies": proxies(prepared, canaries, documents),
            }
        )
    return rows


def _correlations(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return Spearman's correlation over the changes, by task and metric and proxy."""
    from scipy.stats import spearmanr

    found: dict[str, dict[str, float]] = {}
    for task in dict.fromkeys(row["task"] for row in rows):
        own = [row for row in rows if row["task"] == task]
        for metric in own[0]["loss"]:
            loss = [row["loss"][metric] for row in own]
            found[f"{task} {metric}"] = {
                proxy: float(spearmanr(loss, [row["proxies"][proxy] for row in own]).statistic)
                for proxy in own[0]["proxies"]
            }
    return found


def _show(rows: list[dict[str, Any]], correlations: dict[str, dict[str, float]]) -> None:
    names = list(rows[0]["proxies"])
    print("\n| task | change | loss | " + " | ".join(names) + " |")
    print("|---" * (3 + len(names)) + "|")
    for row in rows:
        losses = ", ".join(f"{metric} {loss:+.3f}" for metric, loss in row["loss"].items())
        figures = " | ".join(f"{row['proxies'][name]:.3f}" for name in names)
        print(f"| {row['task']} | {row['change']} | {losses} | {figures} |")
    print("\nSpearman with the true loss, over the changes\n\n| task | " + " | ".join(names) + " |")
    print("|---" * (1 + len(names)) + "|")
    for task, values in correlations.items():
        print(f"| {task} | " + " | ".join(f"{values[name]:.2f}" for name in names) + " |")


if __name__ == "__main__":
    sys.exit(main())
