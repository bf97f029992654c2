"""A suite is found by its path or name, and the project's own wins over a shipped one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchkit.errors import SuiteError
from benchkit.suite.find import find_suite, list_suites, shipped_suites


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "suites"
    folder.mkdir()
    for name in ("faq.yaml", "other.yml", "notes.txt", "template.yaml"):
        (folder / name).write_text("name: x\n")
    return folder


def test_the_shipped_suites_of_a_checkout_lie_beside_the_package() -> None:
    assert (shipped_suites() / "quickstart.yaml").is_file()


def test_a_path_is_taken_as_it_is(own: Path) -> None:
    assert find_suite(own / "faq.yaml", []) == own / "faq.yaml"
    assert find_suite(str(own / "notes.txt"), []) == own / "notes.txt"


def test_a_name_is_looked_for_in_the_folders_and_then_among_the_shipped(own: Path) -> None:
    assert find_suite("faq", [own]) == own / "faq.yaml"
    assert find_suite("other", [own]) == own / "other.yml"
    assert find_suite("mteb-eng", [own]) == shipped_suites() / "mteb-eng.yaml"


def test_an_own_suite_wins_over_a_shipped_one_of_its_name(own: Path) -> None:
    (own / "mteb-eng.yaml").write_text("name: x\n")
    assert find_suite("mteb-eng", [own]) == own / "mteb-eng.yaml"
    assert list_suites([own])["mteb-eng"] == own / "mteb-eng.yaml"


def test_a_folder_named_like_a_suite_does_not_hide_it(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own.parent / "faq").mkdir()
    monkeypatch.chdir(own.parent)
    assert find_suite("faq") == Path("suites/faq.yaml")


def test_the_list_has_own_and_shipped_suites_and_no_template(own: Path) -> None:
    names = list(list_suites([own]))
    assert names[:2] == ["faq", "other"]
    assert {"quickstart", "mteb-eng", "cmteb"} <= set(names)
    assert "template" not in names
    assert "notes" not in names


def test_an_unknown_name_is_refused_with_the_nearest_and_all_there_are(own: Path) -> None:
    with pytest.raises(SuiteError) as caught:
        find_suite("quikstart", [own])
    message = str(caught.value)
    assert message.startswith("no suite named 'quikstart' (did you mean 'quickstart'?). There are: cmteb, faq, ")


def test_a_path_that_is_not_there_is_refused_with_the_nearest(own: Path) -> None:
    with pytest.raises(SuiteError) as caught:
        find_suite(own / "fqa.yaml", [own])
    assert str(caught.value) == f"{own / 'fqa.yaml'}: no such suite file (did you mean 'faq.yaml'?)"


def test_a_folder_is_no_suite_and_the_message_names_the_files_in_it(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="a folder, where a suite file is needed, and no suite file is in it"):
        find_suite(tmp_path, [])
    (tmp_path / "mine.yaml").touch()
    with pytest.raises(SuiteError, match=r"a suite file is needed; in it: mine\.yaml"):
        find_suite(tmp_path, [])
