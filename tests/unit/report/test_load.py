"""Load for a reader: every figure in the table, the saturation in plain words, JSON without a lie."""

from __future__ import annotations

import io
import json
from dataclasses import fields, replace

import pytest
from rich.console import Console

from benchkit.report.load import load_to_dict, render_load, sentence
from benchkit.types.load import Interval, LoadPoint, LoadReport

HELD = LoadPoint(
    model="minilm", offered_per_s=27.04, utilisation=0.3, busy=0.31, achieved_per_s=27.0, n=243, n_warmup=27, failed=0,
    unsent=0, p50_ms=11.84, p90_ms=20.1, p95_ms=27.13, p99_ms=29.44, service_p50_ms=11.0, service_p95_ms=14.71,
    goodput_per_s=27.04, within_slo=1.0, late_p99_ms=0.31, queued=80, keeps_up=True, valid=True,
)  # fmt: skip
SLOW = replace(
    HELD, offered_per_s=63.1, utilisation=0.7, p50_ms=18.0, p95_ms=51.2, p99_ms=58.1, within_slo=0.9896,
    goodput_per_s=62.4, notes=("81 requests only: p99 is the slowest of them",),
)  # fmt: skip
OVERLOADED = replace(
    HELD, offered_per_s=150.0, utilisation=1.66, achieved_per_s=88.0, p50_ms=3814.2, p95_ms=None, p99_ms=None,
    within_slo=0.0125, goodput_per_s=1.875, unsent=22, failed=3, keeps_up=False,
)  # fmt: skip
REPORT = LoadReport(
    model="minilm", server="worker", device="cpu", connections=1, slo_ms=50.0, hardware={"cpu": "x"},
    measured_at="2026-11-21T05:00:00+00:00", seconds_per_rate=10.0, seed=42, capacity_per_s=90.14,
    points=(HELD, SLOW, OVERLOADED), saturation_per_s=27.04, notes=("one process",), threads=2, engine="torch",
)  # fmt: skip


def drawn(*reports: LoadReport, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, legacy_windows=False)
    render_load(reports, console)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def test_table_has_every_figure_and_ends_in_plain_words() -> None:
    assert (
        drawn(REPORT)
        == """\
Load: requests arrive at random times, whatever is under way; latency from when each was due

minilm: one process, one request at a time, capacity 90.1 requests/s in a closed loop, limit 50.0 ms
offered  utili-   p50   p95   p99  service  goodput  within
  per s  sation    ms    ms    ms   p95 ms    per s   limit  failed  held
─────────────────────────────────────────────────────────────────────────
   27.0     30%  11.8  27.1  29.4     14.7     27.0    100%       0   yes
   63.1     70%  18.0  51.2  58.1     14.7     62.4   98.9%       0    no
    150    166%  3814  over  over     14.7     1.88    1.2%       3    no
minilm keeps up with 27.0 requests per second (30% of its capacity), with 99% of them answered
within 50.0 ms. At 63.1 per second only 98.9% were answered within the limit.
  63.1/s: 81 requests only: p99 is the slowest of them
  "over": longer than the run; requests that were never sent count as slower than any other
  one process"""
    )


@pytest.mark.parametrize("width", [30, 80, 200])
def test_no_number_is_cut(width: int) -> None:
    text = drawn(REPORT, width=width)
    assert "…" not in text
    for number in ("27.0", "63.1", "3814", "1.88", "98.9%", "166%"):
        assert number in text.replace("\n", "")


def test_what_is_absent_is_a_dash() -> None:
    point = replace(HELD, utilisation=None, goodput_per_s=None, within_slo=None, p99_ms=None, service_p95_ms=None)
    endpoint = replace(
        REPORT, server="endpoint", connections=64, capacity_per_s=None, slo_ms=None, points=(point,)
    )  # fmt: skip
    text = drawn(endpoint)
    assert "minilm: endpoint, up to 64 connections\n" in text
    (row,) = [line for line in text.splitlines() if line.startswith("   27.0")]
    assert row.split() == ["27.0", "–", "11.8", "27.1", "–", "–", "–", "–", "0", "yes"]
    assert "over" not in text


@pytest.mark.parametrize(
    ("points", "saturation", "words"),
    [
        (
            (HELD, replace(HELD, offered_per_s=60.0)),
            60.0,
            (
                "minilm keeps up with 60.0 requests per second (67% of its capacity), with 99% of them answered within "
                "50.0 ms. That is the highest load tried: where it saturates lies above."
            ),
        ),
        (
            (OVERLOADED,),
            None,
            (
                "minilm held none of the loads tried. At 150 per second it does not keep up: 88.0 were answered per "
                "second."
            ),
        ),
        (
            (replace(HELD, valid=False, late_p99_ms=12.3),),
            None,
            (
                "minilm: no load can be judged. At 27.0 per second nothing can be said: the measuring client itself "
                "was up to 12.3 ms late (p99)."
            ),
        ),
    ],
    ids=["all held", "none held", "client late"],
)
def test_sentence_says_where_it_saturates_and_why(
    points: tuple[LoadPoint, ...], saturation: float | None, words: str
) -> None:
    assert sentence(replace(REPORT, points=points, saturation_per_s=saturation)) == words


def test_without_a_limit_no_share_is_promised() -> None:
    held = replace(HELD, within_slo=None, goodput_per_s=None)
    report = replace(REPORT, slo_ms=None, capacity_per_s=None, points=(held,))
    assert sentence(report).startswith("minilm keeps up with 27.0 requests per second. That is the highest")


def test_failure_is_told_with_and_without_points() -> None:
    failed = replace(REPORT, points=(), saturation_per_s=None, failure="its process died of SIGKILL")
    assert sentence(failed) == "minilm failed: its process died of SIGKILL"
    assert "failed: its process" in drawn(failed)
    partly = sentence(replace(REPORT, failure="its process ended"))
    assert partly.startswith("minilm keeps up with")
    assert partly.endswith("minilm failed: its process ended")


def test_intervals_follow_the_table_and_say_where_there_are_not_enough_arrivals() -> None:
    held = replace(
        HELD,
        n_effective=90.4,
        intervals={"p50_ms": Interval(11.02, 12.71), "p90_ms": Interval(9, 23), "goodput_per_s": Interval(26.1, 27.04)},
    )
    known = {"p50_ms": Interval(1, 2), "p95_ms": Interval(5, 61.24), "p99_ms": Interval(30, 90)}
    text = drawn(replace(REPORT, points=(held, replace(SLOW, n_effective=400, intervals=known), OVERLOADED)))
    assert (
        """
95 % intervals:
  27.0/s: p50 11.0–12.7 ms, p95 and p99: not enough arrivals, goodput 26.1–27.0 per s
  63.1/s: p50 1.00–2.00 ms, p95 5.00–61.2 ms, p99 30.0–90.0 ms
"""
        in text
    )
    assert "so that fewer count for an interval than were sent" in " ".join(text.split())
    assert "95 %" not in drawn(REPORT)


def test_json_has_both_ends_of_an_interval() -> None:
    held = replace(HELD, intervals={"p50_ms": Interval(11.0, 12.5)}, n_effective=90.4)
    (point,) = load_to_dict(replace(REPORT, points=(held,)))["points"]
    assert point["intervals"] == {"p50_ms": {"ci_low": 11.0, "ci_high": 12.5}}
    assert point["n_effective"] == 90.4


def test_interrupted_is_told_with_and_without_points() -> None:
    assert sentence(replace(REPORT, points=(), interrupted=True)).startswith("minilm was interrupted")
    partly = sentence(replace(REPORT, points=(HELD,), interrupted=True))
    assert partly.startswith("minilm keeps up with")
    assert partly.endswith("minilm was interrupted; rates that were not finished are left out.")


def test_names_and_reasons_are_text_and_no_markup() -> None:
    hostile = replace(REPORT, model="[red]m\x1b[31m", failure="[bold]oops\x07", notes=("[blink]",))
    text = drawn(hostile)
    assert "[red]m�[31m:" in text
    assert "[bold]oops�" in text
    assert "[blink]" in text
    assert "\x1b" not in text


def test_json_has_each_field_and_whether_a_load_was_held() -> None:
    found = load_to_dict(REPORT)
    assert found["schema_version"] == 1
    assert set(found) == {"schema_version", *(field.name for field in fields(LoadReport))}
    assert [set(point) for point in found["points"]] == [{"held", *(field.name for field in fields(LoadPoint))}] * 3
    assert [point["held"] for point in found["points"]] == [True, False, False]
    assert found["saturation_per_s"] == 27.04
    assert found["points"][2]["p99_ms"] is None
    assert found["points"][1]["notes"] == ["81 requests only: p99 is the slowest of them"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
