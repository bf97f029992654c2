"""What comparisons, gates and champions are called in MLflow: every experiment, run, tag, parameter and metric, once.

    report (the JSON form) ──┬─ parent_* ──────> one run for the comparison
                             ├─ candidate_* ───> one run below it, and one logged model, for each model
                             └─ data_sets ─────> one input for each task
    gate (the JSON form) ───── gate_schema.py ─> one run
    suite ──────────────────── registered_model_name, CHAMPION ──> the alias that gates compare with

Pure: no MLflow, no clock. docs/tracking.md lists the same names for people. A report that was
written before there were costs lacks their keys.
MLflow takes letters, digits, "_", "-", ".", " ", ":" and "/" in the names of metrics and parameters, 250 characters at
most, and on Windows no ":". Names of tasks and models are free, so they are made to fit here; ":" never comes through.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

REPORT_VERSION = 1

KIND = "benchkit.kind"
COMPARE = "compare"
CANDIDATE = "candidate"
RESULT_ID = "benchkit.result_id"
ATTEMPT = "benchkit.attempt"
SUITE = "benchkit.suite"
MODELS = "benchkit.models"
RECOMMENDATION = "benchkit.recommendation"
INTERRUPTED = "benchkit.interrupted"
STARTED = "benchkit.started"
PARENT_RUN = "mlflow.parentRunId"
LOGGED_MODEL_TYPE = "embedding"

GATE = "gate"
GATE_ID = "benchkit.gate_id"
VERDICT = "benchkit.verdict"
CANDIDATE_LABEL = "benchkit.candidate"
CANDIDATE_ID = "benchkit.candidate_id"
FINGERPRINT = "benchkit.fingerprint"
CONTENT = "benchkit.content"
BASELINE = "benchkit.baseline"
BASELINE_FINGERPRINT = "benchkit.baseline_fingerprint"
SUITE_DIGEST = "benchkit.suite_digest"
POLICY = "benchkit.policy"
REPORT_ONLY = "benchkit.report_only"
ON_INCONCLUSIVE = "benchkit.on_inconclusive"
FAILED_RULES = "benchkit.failed_rules"

CHAMPION = "champion"  # the alias in the registry, and the kind of the run that holds a champion's file
CHAMPION_FILE = "scored.json"
PROMOTION = "benchkit.promotion"
COMPLETE = "complete"  # all tags and the file are there; it's set before the alias moves
ABANDONED = "abandoned"  # it ended before the alias moved
WAS_CHAMPION = "benchkit.was_champion"  # set once the alias was seen to have moved
PROMOTED_AT = "benchkit.promoted_at"
PROMOTED_BY = "benchkit.promoted_by"
REASON = "benchkit.reason"
FORCED = "benchkit.forced"
GATE_VERDICT = "benchkit.gate_verdict"
GATE_BASELINE = "benchkit.gate_baseline_fingerprint"
PREVIOUS = "benchkit.previous_champion"
FILE_DIGEST = "benchkit.scored_sha256"
NO_GATE = "none"

MAX_NAME = 250
MAX_SUITE = 200  # in names; leaves room for what stands before and behind it
MAX_LABEL = 500
MAX_REASON = 4000  # of 5000 that the tags of older registries hold
MAX_PARAM = 6000
MAX_TAG = 8000
MAX_DATA_SET_NAME = 500
MAX_DIGEST = 36

# The facts of a model that are parameters of its run, in the report's own words.
_MODEL_PARAMS = (
    "name",
    "id",
    "revision",
    "fingerprint",
    "dimension",
    "precision",
    "similarity",
    "normalized",
    "max_seq_length",
    "uses_role",
    "license",
    "languages",
    "engine",
)
_LOGGED_MODEL_PARAMS = ("id", "revision", "fingerprint", "dimension", "precision")
_SIZES = ("dimension", "bytes_per_vector", "parameters", "memory_bytes")
_SETTINGS = ("baseline", "margin", "n_resamples", "seed")
# Of the session that measured the costs.
_SESSION = ("level", "device", "measured_at", "tolerance", "unstable")
# They turn the order of the text around them, so that it doesn't read as what it is.
_TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C])

Parts = tuple[str, ...]
Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DataSet:
    """The rows of one task, as MLflow knows them.

    Attributes:
        digest: The first characters of the rows' hash, as many as MLflow takes.
        source: JSON with what stands behind them, the whole hash among it.
    """

    name: str
    digest: str
    source: str


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One finite number, and the rows that it was measured on."""

    name: str
    value: float
    data_set: DataSet | None = None


Row = tuple[Parts, object, DataSet | None]


def experiment_name(suite: str) -> str:
    """Return the experiment of a suite's comparisons."""
    return f"benchkit/{suite}"


def gate_experiment(suite: str) -> str:
    """Return the experiment of a suite's gates."""
    return f"{experiment_name(_suite_part(suite))}/gate"


def champions_experiment(suite: str) -> str:
    """Return the experiment of the runs that hold the files of a suite's champions."""
    return f"{experiment_name(_suite_part(suite))}/champions"


def registered_model_name(suite: str) -> str:
    """Return the registered model whose versions are a suite's champions.

    >>> registered_model_name("客服 support"), registered_model_name("a/b")
    ('benchkit-客服 support', 'benchkit-a_b-c14cddc0')
    """
    return f"benchkit-{_suite_part(suite)}"


def suite_label(suite: str) -> str:
    """Return the suite's name as tags hold it; it names the same experiments and the same registered model."""
    text = clean(suite)
    return text if len(text) <= MAX_SUITE else _with_digest(text, MAX_SUITE)


def clean(text: str, limit: int | None = None) -> str:
    """Return a text as one line without control characters, cut to a limit; letters of every script stay.

    >>> clean("bad\\n\\x1b[31mred")
    'bad [31mred'
    """
    whole = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode()).translate(_TURNING)
    spaced = "".join(" " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter for letter in whole)
    line = " ".join(spaced.split())
    return line if limit is None else cut(line, limit)


def content_key(fingerprint: str, dimension: int | None, precision: str | None, similarity: str | None) -> str:
    """Return what two models share only when they give the same vectors, cut, stored and compared alike."""
    text = json.dumps([fingerprint, dimension, precision, similarity])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def result_id(report: Report) -> str:
    """Return a digest of the report (32 hex digits); the same for a report that was written to a file and read."""
    text = json.dumps(report, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def started_ms(report: Report) -> int:
    """Return the start of the comparison in milliseconds since 1970; a time without a zone is UTC."""
    started = datetime.fromisoformat(report["started"])
    return round((started if started.tzinfo else started.replace(tzinfo=UTC)).timestamp() * 1000)


def ended_ms(report: Report) -> int:
    return started_ms(report) + round(1000 * float(report["seconds"]))


def parent_name(report: Report) -> str:
    return f"{report['suite']['name']} {report['started'][:19]}"


def parent_tags(report: Report) -> dict[str, str]:
    suite, recommendation = report["suite"], report["recommendation"]
    tags = {
        KIND: COMPARE,
        RESULT_ID: result_id(report),
        SUITE: suite["name"],
        SUITE_DIGEST: suite["digest"],
        "benchkit.schema_version": str(report["schema_version"]),
        STARTED: report["started"],
        MODELS: list_that_fits([model["name"] for model in report["models"]]),
        RECOMMENDATION: recommendation["model"] or "",
        "benchkit.limited": yes_no(suite["limited"]),
        INTERRUPTED: yes_no(report["interrupted"]),
        "mlflow.note.content": _note(report),
        "mlflow.source.name": "benchkit",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": report["environment"].get("git_commit", ""),
    }
    return {key: cut(value, MAX_TAG) for key, value in tags.items() if value}


def parent_params(report: Report) -> dict[str, str]:
    """Return how it was decided, the limits as `budget/...`, and the environment as `env/...`."""
    values: dict[Parts, object] = {(name,): report[name] for name in _SETTINGS}
    values |= {("budget", name): limit for name, limit in report.get("budget", {}).items()}
    session = report.get("cost_session") or {}
    values |= {("cost", name): session[name] for name in _SESSION if session}
    # "version/torch" is a group and a name
    values |= {("env", *key.split("/")): value for key, value in report["environment"].items()}
    return params_of(values)


def parent_metrics(report: Report) -> list[MetricRow]:
    """Return what the comparison was made of, and each model's mean."""
    status = Counter(cell["status"] for cell in report["cells"])
    values: dict[Parts, object] = {
        ("comparison", "models"): len(report["models"]),
        ("comparison", "tasks"): len({cell["task"] for cell in report["cells"]}),
        **{("comparison", f"cells_{name}"): status[name] for name in ("ok", "failed", "skipped")},
        ("comparison", "seconds"): report["seconds"],
    }
    for row in report["summary"]:
        values |= {(f"mean{end}", row["model"]): value for end, value in _with_interval(row, row["mean_score"])}
    return finite_metrics([(parts, value, None) for parts, value in values.items()])


def candidate_tags(report: Report, model: Mapping[str, Any], parent_run: str) -> dict[str, str]:
    summary = _summary(report, model["name"])
    tags = {
        KIND: CANDIDATE,
        PARENT_RUN: parent_run,
        SUITE: report["suite"]["name"],
        "benchkit.model": model["name"],
        "benchkit.recommended": yes_no(model["name"] == report["recommendation"]["model"]),
        "benchkit.pareto": yes_no(model["name"] in report["pareto"]) if report.get("pareto") else "",
        "benchkit.missing": ", ".join(summary["missing"]),
        "benchkit.notes": "\n".join(model["notes"]),
        "mlflow.source.name": "benchkit",
        "mlflow.source.type": "LOCAL",
    }
    return {key: cut(value, MAX_TAG) for key, value in tags.items() if value}


def candidate_params(model: Mapping[str, Any]) -> dict[str, str]:
    return params_of({(name,): model.get(name) for name in _MODEL_PARAMS})


def logged_model_params(model: Mapping[str, Any]) -> dict[str, str]:
    return params_of({(name,): model[name] for name in _LOGGED_MODEL_PARAMS})


def candidate_metrics(report: Report, model: Mapping[str, Any]) -> list[MetricRow]:
    """Return every number of one model: its mean and ranks, its score on each task, its size, what it costs."""
    name = model["name"]
    rows = _quality(_summary(report, name))
    for cell in report["cells"]:
        if cell["model"] == name:
            rows += _task(cell)
    rows += [(("size", size), model[size], None) for size in _SIZES]
    for figure in report.get("cost", []):
        if figure["model"] == name:
            rows += _cost(figure)
    return finite_metrics(rows)


def data_sets(report: Report) -> list[DataSet]:
    """Return the rows that were scored, once for each task."""
    found = {data.name: data for cell in reversed(report["cells"]) if (data := _data_set(cell)) is not None}
    return list(reversed(found.values()))


def logged_model_name(label: str) -> str:
    """Return a label without the characters that MLflow refuses in the name of a logged model."""
    return re.sub(r"""[/:.%"']""", "_", label)[:MAX_NAME] or "_"


def unique_names(wanted: Iterable[Parts]) -> dict[Parts, str]:
    """Return the MLflow name of each name that is wanted, given as the parts between the slashes.

    What MLflow refuses becomes "_" ("@" becomes "_at_"); names that would then be one, or were cut, end in a digest of
    what was wanted, so that a name depends on no order.

    >>> unique_names([("task", "STS (中文)", "ndcg@10")])
    {('task', 'STS (中文)', 'ndcg@10'): 'task/STS _中文_/ndcg_at_10'}
    """
    names = {parts: "/".join(_part(part) for part in parts) for parts in wanted}
    taken = Counter(names.values())
    return {parts: _distinct(name, parts, alone=taken[name] == 1) for parts, name in names.items()}


def cut(text: str, limit: int) -> str:
    """Return a text of at most limit characters; one that was longer says so at its end."""
    if len(text) <= limit:
        return text
    note = f" ... (cut; {len(text)} characters)"
    return text[: limit - len(note)] + note


def _suite_part(suite: str) -> str:
    # Suites are never seen together, so a name that had to be changed carries a digest, whether it's alone or not.
    label = suite_label(suite)
    return _distinct(_part(label), (label,), alone=False)


def _part(text: str) -> str:
    # MLflow's "letters" are Python's \w, which lacks the combining marks that NFC joins to their letter.
    text = unicodedata.normalize("NFC", text).replace("@", "_at_")
    text = re.sub(r"[^\w.\- ]", "_", text)
    return "_" if text in ("", ".", "..") else text


def _distinct(name: str, parts: Parts, *, alone: bool) -> str:
    if len(name) <= MAX_NAME and (alone or name == "/".join(parts)):
        return name
    return _with_digest(name, MAX_NAME, of="\0".join(parts))


def _with_digest(text: str, limit: int, *, of: str | None = None) -> str:
    digest = hashlib.sha256((text if of is None else of).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{text[: limit - 9]}-{digest}"


def params_of(values: Mapping[Parts, object]) -> dict[str, str]:
    """Return parameters under names that MLflow takes; what isn't known is left out."""
    names = unique_names(values)
    return {names[parts]: cut(text, MAX_PARAM) for parts, value in values.items() if (text := _text(value))}


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return yes_no(value)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def finite_metrics(rows: Sequence[Row]) -> list[MetricRow]:
    """Return the rows whose number is there and finite: MLflow would store infinity as 1.8e308."""
    names = unique_names(parts for parts, *_ in rows)
    return [
        MetricRow(names[parts], float(value), data_set)
        for parts, value, data_set in rows
        if isinstance(value, int | float) and math.isfinite(value)
    ]


def _with_interval(row: Mapping[str, Any], value: object) -> list[tuple[str, object]]:
    return [("", value), (".ci_low", row["ci_low"]), (".ci_high", row["ci_high"])]


def _quality(summary: Mapping[str, Any]) -> list[Row]:
    values = {f"mean{end}": value for end, value in _with_interval(summary, summary["mean_score"])}
    values |= {"rank_low": summary["rank_low"], "rank_high": summary["rank_high"]}
    rows: list[Row] = [(("quality", name), value, None) for name, value in values.items()]
    return rows + [(("quality", "type", kind), value, None) for kind, value in summary["by_type"].items()]


def _task(cell: Mapping[str, Any]) -> list[Row]:
    metric = cell["main_metric"] or "main_score"
    values = [*_with_interval(cell, cell["main_score"]), (".n_items", cell["n_items"])]
    return [(("task", cell["task"], metric + end), value, _data_set(cell)) for end, value in values]


def _cost(figure: Mapping[str, Any]) -> list[Row]:
    *groups, metric = figure["metric"].split("/")
    return [((*groups, metric + end), value, None) for end, value in _with_interval(figure, figure["value"])]


def _data_set(cell: Mapping[str, Any]) -> DataSet | None:
    if not cell["data_digest"]:
        return None
    facts = {name: cell[name] for name in ("task", "type", "dataset_revision", "data_digest", "limited")}
    name = cut(cell["task"], MAX_DATA_SET_NAME)
    return DataSet(name, cell["data_digest"][:MAX_DIGEST], json.dumps(facts, ensure_ascii=False))


def _summary(report: Report, model: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(row for row in report["summary"] if row["model"] == model)
    return found


def _note(report: Report) -> str:
    """Return the sentence that MLflow's page shows as the description of the run."""
    recommendation = report["recommendation"]
    if recommendation["model"] is None:
        return f"No recommendation: {recommendation['reason']}."
    return f"Recommended: **{recommendation['model']}**: {recommendation['reason']}."


def list_that_fits(names: Sequence[str]) -> str:
    """Return a JSON list that a tag can hold; where it's too long, the last names go and "..." stands for them."""
    kept = list(names)
    while len(text := json.dumps(kept if len(kept) == len(names) else [*kept, "..."], ensure_ascii=False)) > MAX_TAG:
        kept.pop()
    return text


def yes_no(value: bool) -> str:
    return "yes" if value else "no"
