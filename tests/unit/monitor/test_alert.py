"""What an alert holds, and how it is shown where others could slip something in."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from alerts import HOSTILE, alert, report

from benchkit.monitor.alerts.alert import Alert, AlertError, alert_of, facts, plain
from benchkit.monitor.alerts.jsonlines import JsonLines
from benchkit.monitor.alerts.slack import escaped, slack_message
from benchkit.types.drift import Evidence, WindowInfo


def test_an_alert_says_what_the_report_says() -> None:
    made = alert_of(report())
    assert (made.baseline, made.source, made.window.number) == ("prod", "logs/", 7)
    assert (made.severity, made.kind, made.p_value, made.detector, made.run_length) == (
        "warn",
        "data",
        0.0004,
        1234.5,
        1000,
    )
    assert made.headline == "warn: embeddings of logs/ against prod (data)"
    assert made.event == "drift.alert"
    assert alert_of(report(evidence=None)).detector is None


def test_streams_differ_by_baseline_and_source_and_by_nothing_else() -> None:
    same = alert_of(report(severity="critical", kind="model", p_value=None))
    other = alert_of(report(window=WindowInfo(source="other", rows=1)))
    assert alert().key == same.key != other.key


def test_the_id_is_of_the_message() -> None:
    assert alert().id == alert().id
    assert len({alert().id, alert(is_recovery=True).id, alert(severity="critical").id, alert(time="later").id}) == 4


def test_an_alert_survives_json() -> None:
    for made in (alert(), alert(reason=HOSTILE, p_value=None, is_reminder=True)):
        assert Alert.from_json(json.loads(json.dumps(made.to_json()))) == made


@pytest.mark.parametrize(("detector", "kept"), [(math.inf, 1.7976931348623157e308), (math.nan, None), (3.0, 3.0)])
def test_a_sum_beyond_all_bounds_can_be_sent(detector: float, kept: float | None) -> None:
    evidence = Evidence(e_value=1.0, detector=detector, run_length=1000, windows=1)
    made = alert_of(report(evidence=evidence, p_value=math.nan))
    assert (made.detector, made.p_value) == (kept, None)
    json.dumps(made.to_json(), allow_nan=False)


def test_text_for_people_is_one_line_without_tricks() -> None:
    shown = plain(HOSTILE)
    assert shown.isprintable()
    assert shown.startswith("a Bcc: all@example.org <!channel>")
    assert len(plain("x" * 1000)) == 500
    made = alert(source=HOSTILE, reason=HOSTILE)
    assert made.headline.isprintable()
    assert all(value.isprintable() for _, value in facts(made))


def test_a_recovery_gives_no_advice() -> None:
    names = [name for name, _ in facts(alert(is_recovery=True, severity="ok", kind="none", detector=None))]
    assert names == ["Why", "Window", "p-value", "Checked"]
    assert alert(is_recovery=True, kind="none").headline == "recovered: embeddings of logs/ against prod"


def test_slack_shows_hostile_texts_as_they_are() -> None:
    message = json.dumps(slack_message(alert(source=HOSTILE, reason=HOSTILE, advice="[x](https://evil.example)")))
    tricks = ("<!channel>", "@here", "@channel", "\\n", "\\r", "</script>", "\\u202e", "\\ud800", "](", "https://")
    for trick in tricks:
        assert trick not in message
    assert "&lt;!channel&gt;" in message
    assert escaped("&lt;") == "&amp;lt;"
    form = slack_message(alert())
    assert form["text"] == "warn: embeddings of logs/ against prod (data)"
    assert form["attachments"][0]["color"] == "#ef6c00"
    assert form["mrkdwn"] is form["unfurl_links"] is False


def test_json_lines_are_one_for_each(tmp_path: Path) -> None:
    sink = JsonLines(tmp_path / "new" / "alerts.jsonl")
    sink.send(alert(reason=HOSTILE))
    sink.send(alert(is_recovery=True))
    first, second = (tmp_path / "new" / "alerts.jsonl").read_text("ascii").splitlines()
    assert json.loads(first)["reason"] == HOSTILE
    assert json.loads(second)["event"] == "drift.recovery"


def test_a_file_that_cannot_be_written_is_an_alert_error(tmp_path: Path) -> None:
    with pytest.raises(AlertError, match=r"jsonl:.*: can't be written: Is a directory"):
        JsonLines(tmp_path).send(alert())
