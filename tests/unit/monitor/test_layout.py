"""A layout that was asked for: in the report, in the history, the same in every window, and kept nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fake_umap
import numpy as np
import pytest
from click.testing import CliRunner, Result
from monitored import draw

from benchkit.cli.drift import command
from benchkit.drift.layout import lay_out
from benchkit.errors import UsageError
from benchkit.monitor.kept_baselines import BaselineRequest, load_baseline, make_baseline
from benchkit.monitor.kept_checks import CheckRequest, check_source, history
from benchkit.monitor.project import baselines_of, settings_here
from benchkit.monitor.watch import WatchRequest, watch_source
from benchkit.settings import Settings
from benchkit.store.drift_baseline import path_of
from benchkit.types.drift import DriftReport

WINDOW = 200


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A project with the baseline "prod" and the file "now.npy", in the current folder."""
    (tmp_path / "benchkit.toml").touch()
    monkeypatch.chdir(tmp_path)
    np.save("usual.npy", draw(1, 600))
    np.save("now.npy", draw(2, 3 * WINDOW))
    make_baseline(BaselineRequest("prod", "usual.npy"))
    return settings_here()


def watched(on_report: Callable[[DriftReport], None], **options: Any) -> int:
    request = WatchRequest("now.npy", "prod", size=WINDOW, once=True, track=False, **options)
    return watch_source(request, on_report=on_report)


def test_a_check_has_the_layout_of_its_baseline_and_the_history_keeps_it(
    here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_umap.install(monkeypatch)
    kept = path_of(baselines_of(here), "prod").read_bytes()
    plain, laid_out = (
        check_source(CheckRequest("now.npy", "prod", track=False, layout=layout)).report for layout in ("pca", "umap")
    )
    expected = lay_out(load_baseline("prod").reference.frame.centroids, "umap")
    assert len(expected) >= 5
    assert plain.projection is not None
    assert plain.projection.layout == ()
    assert laid_out.projection == replace(plain.projection, layout=expected)
    assert [report.projection for report in history()] == [plain.projection, laid_out.projection]
    assert path_of(baselines_of(here), "prod").read_bytes() == kept


@pytest.mark.usefixtures("here")
def test_every_window_of_a_watch_has_one_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_umap.install(monkeypatch)
    reports: list[DriftReport] = []
    assert watched(reports.append, layout="umap") == 3
    layouts = {report.projection.layout for report in reports if report.projection is not None}
    assert layouts == {lay_out(load_baseline("prod").reference.frame.centroids, "umap")}


@pytest.mark.usefixtures("here")
def test_a_watch_goes_on_where_it_was_whatever_the_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_umap.install(monkeypatch)
    assert watched(lambda report: None) == 3
    assert watched(lambda report: None, layout="umap") == 0


@pytest.mark.usefixtures("here")
def test_without_the_library_no_window_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_umap.remove(monkeypatch)
    with pytest.raises(UsageError, match="needs the package umap-learn"):
        check_source(CheckRequest("nowhere.npy", "prod", layout="umap"))
    with pytest.raises(UsageError, match="needs the package umap-learn"):
        watched(lambda report: None, layout="umap")
    assert history() == []


# ------------------------------------------------------------ the commands


def called(*args: str) -> Result:
    return CliRunner().invoke(command, [*args, "--baseline", "prod", "--no-track"], standalone_mode=False)


@pytest.mark.usefixtures("here")
def test_the_commands_take_a_layout_and_their_pages_show_both_pictures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_umap.install(monkeypatch)
    page, form = tmp_path / "drift.html", tmp_path / "drift.json"
    check = called("check", "now.npy", "--layout", "umap", "--html", str(page), "--json", str(form), "--quiet")
    assert check.exception is None
    assert json.loads(form.read_text())["projection"]["layout"][0]["cluster"] == 0
    told = page.read_text()
    assert told.index('id="drift-projection-title"') < told.index('id="drift-umap-title"')
    assert "distances and densities mean nothing" in told
    watch = called("watch", "now.npy", "--layout", "umap", "--window-size", str(WINDOW), "--once", "--quiet")
    assert watch.exception is None
    assert all(report.projection and report.projection.layout for report in history())


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("args", [("check",), ("watch", "--window-size", "200", "--once")], ids=["check", "watch"])
def test_a_layout_that_is_not_there_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]) -> None:
    fake_umap.remove(monkeypatch)
    found = called(*args, "now.npy", "--layout", "umap", "--quiet").exception
    assert isinstance(found, UsageError)
    assert found.exit_code == 2
    assert str(found).endswith('pip install "benchkit[umap]", or leave out --layout')
    assert "'tsne' is not one of 'pca', 'umap'" in str(called(*args, "now.npy", "--layout", "tsne").exception)
