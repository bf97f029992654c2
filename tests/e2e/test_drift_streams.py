"""What the monitor says of real streams of text under real MiniLM: each scenario of a production that changes.

CLINC150's questions to an assistant are production; its out-of-scope questions, its kitchen domain, AG News and commit
subjects of the Linux kernel are what comes later. The baseline holds 2,400 questions of 11 domains, and its canaries.
"""

from __future__ import annotations

import html
import json
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drift_data import write_parquet
from numpy.typing import NDArray

from benchkit.monitor import BaselineRequest, CheckRequest, DriftPolicy, check_source, make_baseline
from benchkit.settings import Settings, load_settings
from benchkit.types.drift import OUTSIDE, DriftReport

STREAMS = Path(__file__).resolve().parents[3] / "shared" / "data" / "streams"
NEW_DOMAINS = ("kitchen_and_dining", "banking", "credit_cards", "oos")
BASELINE_ROWS, WINDOW_ROWS = 2400, 500
POLICY = DriftPolicy(false_alarms=0.01)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real_weights,
    pytest.mark.skipif(not STREAMS.is_dir(), reason="real streams of text are not beside this checkout (shared/data)"),
]

Vectors = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True)
class Production:
    """A project with a baseline, and what its production may write next.

    Attributes:
        usual: Texts like the baseline's that are not in it, in random order.
        encode: MiniLM; a text that comes again keeps the vector that it got first.
        other: The same weights with another pooling: a model of the same dimension that nobody announced.
        other_path: Where that model is.
    """

    settings: Settings
    usual: tuple[str, ...]
    oos: tuple[str, ...]
    kitchen: tuple[str, ...]
    encode: Encode
    other: Encode
    other_path: Path


def of_stream(name: str) -> dict[str, list[Any]]:
    import pyarrow.parquet as pq

    found: dict[str, list[Any]] = pq.read_table(STREAMS / f"{name}.parquet").to_pydict()
    return found


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Production:
    import benchkit

    home = tmp_path_factory.mktemp("streams")
    (home / "benchkit.toml").write_text("", encoding="utf-8")
    rows = of_stream("clinc150_intents")
    rng = np.random.default_rng(5)
    order = rng.permutation(len(rows["text"]))
    by_domain: dict[str, list[str]] = {}
    for place in order:
        by_domain.setdefault(rows["domain"][place], []).append(rows["text"][place])
    known = [text for name, texts in by_domain.items() if name not in NEW_DOMAINS for text in texts]
    known = [known[place] for place in rng.permutation(len(known))]
    encode = once_each(benchkit.load_model("minilm").encode)
    other_path = another_pooling(home / "other-pooling")
    baseline = known[:BASELINE_ROWS]
    write_parquet(home / "baseline.parquet", encode(baseline), text=baseline)
    settings = load_settings(home, {"BENCHKIT_CACHE_DIR": str(home / "cache")})
    request = BaselineRequest(
        "assistant", str(home / "baseline.parquet"), model="minilm", canary="source", offline=True
    )
    make_baseline(request, settings=settings)
    return Production(
        settings=settings,
        usual=tuple(known[BASELINE_ROWS : BASELINE_ROWS + 3000]),
        oos=tuple(by_domain["oos"]),
        kitchen=tuple(by_domain["kitchen_and_dining"]),
        encode=encode,
        other=benchkit.load_model(str(other_path)).encode,
        other_path=other_path,
    )


def once_each(encode: Encode) -> Encode:
    """Return an encoder that embeds each text once: most windows begin with the same questions."""
    known: dict[str, NDArray[Any]] = {}

    def remembered(texts: Sequence[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, encode(new), strict=True))
        return np.stack([known[text] for text in texts])

    return remembered


def another_pooling(target: Path) -> Path:
    """Return a copy of the packaged MiniLM that takes the first token's vector instead of the mean."""
    import shutil

    from benchkit.models.hub import packaged_minilm

    packaged = packaged_minilm()
    if packaged is None:
        pytest.skip("the packaged MiniLM weights are not installed")
    shutil.copytree(packaged, target)
    (file,) = target.glob("*_Pooling/config.json")
    config = json.loads(file.read_text(encoding="utf-8"))
    named = "pooling_mode" in config
    modes = {"pooling_mode": "cls"} if named else {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}
    file.write_text(json.dumps({**config, **modes}), encoding="utf-8")
    return target


def said_of(
    production: Production,
    tmp_path: Path,
    vectors: NDArray[Any],
    *,
    model: str | Path | None = None,
    asks: bool = False,
    texts: Sequence[str] | None = None,
) -> DriftReport:
    """Return the report of a window; `asks` embeds the canaries again, by `model` or else by MiniLM."""
    columns = {} if texts is None else {"text": list(texts)}
    file = write_parquet(tmp_path / "window.parquet", vectors, **columns)
    request = CheckRequest(
        str(file),
        "assistant",
        keep_texts=True,
        policy=POLICY,
        track=False,
        offline=True,
        model=None if model is None else str(model),
        ask_canaries=asks,
    )
    return check_source(request, settings=production.settings).report


# ------------------------------------------------------------ nothing changes


def test_windows_of_the_same_questions_are_no_alarm(production: Production, tmp_path: Path):
    found = []
    for start in range(0, 3000, WINDOW_ROWS):
        report = said_of(production, tmp_path, production.encode(production.usual[start : start + WINDOW_ROWS]))
        found.append((report.severity, report.kind))
    # At 1 % a window, more than one of six alarms happens once in seven hundred runs; the streams are fixed anyhow.
    assert found.count(("ok", "none")) >= 5


def test_the_same_model_asked_again_is_the_same_model(production: Production, tmp_path: Path):
    report = said_of(production, tmp_path, production.encode(production.usual[:WINDOW_ROWS]), asks=True)
    assert report.harm is not None
    assert report.harm.identity == pytest.approx(1.0, abs=1e-5)
    assert report.harm.overlap_at_10 == pytest.approx(1.0, abs=1e-3)
    assert (report.severity, report.breaks_policy) == ("ok", False)


# ------------------------------------------------------------ the data change


def test_out_of_scope_questions_are_a_change_of_the_data(production: Production, tmp_path: Path):
    texts = [*production.usual[:400], *production.oos[:100]]
    report = said_of(production, tmp_path, production.encode(texts), asks=True, texts=texts)
    assert (report.kind, report.breaks_policy) == ("data", True)
    assert report.p_value is not None
    assert report.p_value < POLICY.false_alarms


def test_a_new_domain_of_one_in_ten_is_found_and_its_region_named(production: Production, tmp_path: Path):
    texts = [*production.usual[:450], *production.kitchen[:50]]
    report = said_of(production, tmp_path, production.encode(texts), texts=texts)
    assert (report.kind, report.breaks_policy) == ("data", True)
    new = next(change for change in report.clusters if change.cluster == OUTSIDE)
    assert new.window_share > new.baseline_share
    assert set(new.examples) & set(production.kitchen)


def test_another_mix_of_topics_is_found(production: Production, tmp_path: Path):
    usual = production.encode(production.usual)
    # Half of the window are the questions nearest to one of them: a topic that grew.
    near = np.argsort(-(usual @ usual[0]))[:250]
    rest = np.setdiff1d(np.arange(len(usual)), near)[:250]
    report = said_of(production, tmp_path, usual[np.concatenate([near, rest])])
    assert (report.kind, report.breaks_policy) == ("data", True)
    assert max(change.window_share / max(change.baseline_share, 1e-3) for change in report.clusters) > 2


def test_years_of_commit_subjects_drift_slowly(production: Production, tmp_path: Path):
    rows = of_stream("commit_subjects_by_year")
    labels, subjects = np.array(rows["label"]), np.array([text[:200] for text in rows["text"]])
    names, counts = np.unique(labels, return_counts=True)
    of_one = np.flatnonzero(labels == names[counts.argmax()])
    seconds = np.array([rows["timestamp"][place].timestamp() for place in of_one])
    oldest_first = of_one[np.argsort(seconds)]
    early = np.random.default_rng(3).permutation(oldest_first[:2000])
    baseline, same_years, last_years = early[WINDOW_ROWS:], early[:WINDOW_ROWS], oldest_first[-WINDOW_ROWS:]
    file = write_parquet(tmp_path / "early.parquet", production.encode(subjects[baseline].tolist()))
    make_baseline(BaselineRequest("commits", str(file)), settings=production.settings)

    def p_of(places: NDArray[np.int64]) -> float:
        window = write_parquet(tmp_path / "window.parquet", production.encode(subjects[places].tolist()))
        report = check_source(CheckRequest(str(window), "commits", track=False), settings=production.settings).report
        assert report.p_value is not None
        return report.p_value

    assert p_of(same_years) > POLICY.false_alarms > p_of(last_years)


# ------------------------------------------------------------ the way between changes


def slip(text: str, rng: np.random.Generator) -> str:
    return "".join(
        string.ascii_lowercase[rng.integers(26)] if letter.isalpha() and rng.random() < 0.15 else letter
        for letter in text
    )


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: slip(text, np.random.default_rng(len(text))), id="typos"),
        pytest.param(lambda text: " ".join(text.split()[:3]), id="truncation"),
        pytest.param(lambda text: f"<p>{html.escape(text)}&nbsp;</p>", id="HTML escape"),
        pytest.param(lambda text: f"query: {text}", id="wrong prefix"),
    ],
)
def test_texts_that_are_damaged_on_their_way_are_found(
    production: Production, tmp_path: Path, change: Callable[[str], str]
):
    texts = [change(text) for text in production.usual[:WINDOW_ROWS]]
    report = said_of(production, tmp_path, production.encode(texts), asks=True, texts=texts)
    # The model itself answers as before, so that it is not what is blamed.
    assert report.harm is not None
    assert report.harm.identity == pytest.approx(1.0, abs=1e-5)
    assert report.kind in ("data", "pipeline")
    assert report.breaks_policy


def test_unnormalised_vectors_are_a_broken_pipeline(production: Production, tmp_path: Path):
    vectors = production.encode(production.usual[:WINDOW_ROWS])
    report = said_of(production, tmp_path, vectors * np.float32(7.3))
    assert (report.kind, report.breaks_policy) == ("pipeline", True)
    assert any(finding.name == "norm" for finding in report.health)


def test_a_flood_of_one_text_is_found_as_duplicates(production: Production, tmp_path: Path):
    vectors = production.encode(production.usual[:WINDOW_ROWS])
    flooded = np.concatenate([vectors[:300], np.repeat(vectors[:1], 200, axis=0)])
    report = said_of(production, tmp_path, flooded)
    assert report.breaks_policy
    assert any(finding.name == "duplicates" for finding in report.health)


# ------------------------------------------------------------ the model changes


def test_a_query_side_that_is_rotated_is_a_change_of_the_model(production: Production, tmp_path: Path):
    vectors = production.encode(production.usual[:WINDOW_ROWS])
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((384, 384)))[0].astype(np.float32)
    report = said_of(production, tmp_path, vectors @ turn)
    assert report.kind in ("model", "pipeline")
    assert report.breaks_policy


def test_a_model_that_was_swapped_is_told_by_its_canaries(production: Production, tmp_path: Path):
    vectors = production.other(production.usual[:WINDOW_ROWS])
    report = said_of(production, tmp_path, vectors, model=production.other_path, asks=True)
    assert report.harm is not None
    assert report.harm.identity is not None
    assert report.harm.identity < 0.99
    assert (report.kind, report.breaks_policy) == ("model", True)


def test_half_of_a_fleet_on_another_model_is_found_without_a_canary(production: Production, tmp_path: Path):
    half = WINDOW_ROWS // 2
    mixed = np.concatenate([production.encode(production.usual[:half]), production.other(production.usual[half:500])])
    report = said_of(production, tmp_path, mixed)
    assert report.breaks_policy
    assert report.p_value is not None
    assert report.p_value < POLICY.false_alarms


# ------------------------------------------------------------ its arithmetic changes


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_another_precision_is_told_by_its_canaries_with_its_harm(
    production: Production, tmp_path: Path, precision: str
):
    import benchkit

    spec = {"int8": "minilm@precision=int8", "bf16": "minilm@engine=bf16"}[precision]
    vectors = benchkit.load_model(spec).encode(production.usual[:WINDOW_ROWS]).astype(np.float32)
    report = said_of(production, tmp_path, vectors, model=spec, asks=True)
    assert report.harm is not None
    assert report.harm.overlap_at_10 is not None
    assert report.harm.overlap_at_10 > 0.95
    assert (report.kind, report.severity, report.breaks_policy) == ("numeric", "info", False)


def test_noise_on_dead_dimensions_is_no_change_of_the_data(production: Production, tmp_path: Path):
    vectors = production.encode(production.usual[:WINDOW_ROWS])
    noise = 1 + 1e-3 * np.random.default_rng(1).standard_normal(vectors.shape)
    report = said_of(production, tmp_path, (vectors * noise).astype(np.float32))
    assert report.kind in ("none", "numeric")


# ------------------------------------------------------------ hardly anything is there


def test_an_empty_window_and_one_of_three_rows_say_so_and_alarm_nobody(production: Production, tmp_path: Path):
    vectors = production.encode(production.usual[:3])
    three = said_of(production, tmp_path, vectors)
    none = said_of(production, tmp_path, vectors[:0])
    assert (three.window.rows, three.p_value, three.breaks_policy) == (3, None, False)
    assert (none.window.rows, none.p_value) == (0, None)
    assert replace(three, window=none.window).severity in ("ok", "info")
