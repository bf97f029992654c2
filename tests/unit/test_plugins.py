"""Parts by name: what is found, and what is told when it isn't."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint

import pytest

from benchkit import plugins
from benchkit.cli.main import main
from benchkit.drift.detectors.mmd import MMD
from benchkit.errors import PluginError, UsageError
from benchkit.plugins import list_plugins, open_detector


def test_a_detector_is_made_with_its_options() -> None:
    detector = open_detector("mmd", permutations=99, sigma=0.5)
    assert isinstance(detector, MMD)
    assert (detector.permutations, detector.sigma, detector.max_rows) == (99, 0.5, 5000)


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        (
            "mdm",
            {},
            PluginError,
            r"no benchkit.detectors plug-in named 'mdm'\. Did you mean 'mmd'\? Installed: classif",
        ),
        (
            "mmd",
            {"permutation": 99},
            UsageError,
            r"no option 'permutation'\. Did you mean 'permutations'\? Options: permutations, sigma, max_rows",
        ),
        ("mmd", {"permutations": 0}, UsageError, "the detector 'mmd' can't be made so: permutations should be a whole"),
        ("mmd", {"permutations": "many"}, UsageError, "the detector 'mmd' can't be made so: .* got 'many'"),
    ],
)
def test_a_wrong_name_or_option_is_told_with_the_nearest(
    name: str, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        open_detector(name, **options)


def registered(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    """Let only these be installed."""
    found = [EntryPoint(name, value, plugins.DETECTORS) for name, value in points]

    def entry_points(*, group: str) -> Sequence[EntryPoint]:
        return found if group == plugins.DETECTORS else []

    monkeypatch.setattr(plugins, "entry_points", entry_points)


def test_what_is_no_detector_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, ("odd", "fractions:Fraction"), ("number", "math:pi"))
    with pytest.raises(PluginError, match="the detector plug-in 'odd' made Fraction, without `name`, `paper`"):
        open_detector("odd", numerator=3)
    with pytest.raises(PluginError, match="the detector plug-in 'number' is nothing that can be called with options"):
        open_detector("number")


def test_a_detector_that_takes_any_keyword_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, ("any", "argparse:Namespace"))
    with pytest.raises(PluginError, match="made Namespace, without `name`"):
        open_detector("any", whatever=1)


def test_a_name_that_two_packages_offer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, ("ks", "one:KS"), ("ks", "two:KS"))
    with pytest.raises(PluginError, match=r"two packages offer the benchkit\.detectors plug-in 'ks'"):
        open_detector("ks")


def test_a_detector_that_cannot_be_imported_is_told_and_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, ("gone", "no_such_module:Gone"))
    with pytest.raises(PluginError, match=r"plug-in 'gone' of unknown package can't be imported: No module named"):
        open_detector("gone")
    (listed,) = list_plugins()
    assert (listed.group, listed.name) == (plugins.DETECTORS, "gone")
    assert "No module named" in listed.problem


def test_the_command_lists_both_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins"]) == 0
    listed = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert ["benchkit.models", "bm25"] in listed
    assert ["benchkit.detectors", "sliced-wasserstein"] in listed
