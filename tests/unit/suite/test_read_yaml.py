"""YAML is read as plain data with lines; whatever could mislead is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchkit.errors import SuiteError
from benchkit.suite.load import load_suite
from benchkit.suite.read_yaml import MAX_BYTES, Document, read_document


def read(folder: Path, content: str | bytes) -> Document:
    path = folder / "x.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    document, problems = read_document(path)
    assert document is not None
    assert not problems
    return document


def refusal(folder: Path, content: str | bytes) -> str:
    path = folder / "x.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    return str(caught.value).replace(f"{folder}/", "")


def test_each_place_knows_its_line_and_what_was_written(tmp_path: Path) -> None:
    document = read(tmp_path, 'a: no\nb:\n  - "x"\n  - {c: 3.10}\n')

    assert document.value == {"a": False, "b": ["x", {"c": 3.1}]}
    assert document.lines == {(): 1, ("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("b", 1, "c"): 4}
    assert document.unquoted == {("a",): "no", ("b", 1, "c"): "3.10"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.dates(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(min_size=1), VALUES, min_size=1, max_size=5))
def test_values_are_those_of_yaml_safe_load(tmp_path: Path, value: dict[str, Any]) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)
    assert read(tmp_path, text).value == yaml.safe_load(text)


def test_anchors_aliases_and_merges_are_read_as_yaml_does(tmp_path: Path) -> None:
    text = "a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {y: 4, <<: [*a, {x: 9, z: 5}]}\n"
    assert read(tmp_path, text).value == yaml.safe_load(text)
    assert read(tmp_path, text).value["d"] == {"x": 1, "y": 4, "z": 5}


def test_a_byte_order_mark_and_windows_line_ends_are_no_problem(tmp_path: Path) -> None:
    document = read(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert document.value == {"a": 1, "b": 2}
    assert document.lines[("b",)] == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "x.yaml:1: the file is empty; suites/template.yaml shows what goes in"),
        ("# only a comment\n", "x.yaml:1: the file is empty; suites/template.yaml shows what goes in"),
        ("- name: x\n", "x.yaml:1: expected keys such as name: and tasks:, found a list"),
        ("hello\n", "x.yaml:1: expected keys such as name: and tasks:, found a text"),
        ("12\n", "x.yaml:1: expected keys such as name: and tasks:, found the value 12"),
        ("name: x\ntasks:\n\t- name: y\n", "x.yaml:3: a tab where YAML wants spaces; indent with spaces"),
        ("name: x\n---\nname: y\n", "x.yaml:2: a second document (---); a suite file holds one"),
        ("name: [x\n",
         "x.yaml:2: not readable as YAML: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'"),
        ("name: *gone\n", "x.yaml:1: not readable as YAML: found undefined alias 'gone'"),
        ("name: x\n1: y\n", "x.yaml:2: a key should be a text, found 1; put it in quotes if it is meant"),
        ("true: y\n", "x.yaml:1: a key should be a text, found true; put it in quotes if it is meant"),
        ("{margin: 0,02}\n", "x.yaml:1: a key should be a text, found 02; a decimal comma? write a point"),
        ("? [a]\n: y\n", "x.yaml:1: a key should be a text, found a list or mapping; put it in quotes if it is meant"),
        ("a: !!python/object/apply:os.getcwd []\n",
         "x.yaml:1: the tag !!python/object/apply:os.getcwd is not allowed in a suite"),
        ("a: !!binary aGk=\n", "x.yaml:1: the tag !!binary is not allowed in a suite"),
        ("a: !!set {b}\n", "x.yaml:1: the tag !!set is not allowed in a suite"),
        ("a: 2024-99-99\n", "x.yaml:1: '2024-99-99' is no valid timestamp; put it in quotes if a text is meant"),
        ("a: !!bool maybe\n", "x.yaml:1: 'maybe' is no valid bool; put it in quotes if a text is meant"),
        ("a: &a [*a]\n", "x.yaml:1: an alias that contains itself"),
        ("a: &a\n  <<: *a\n", "x.yaml:1: << takes an alias of a mapping"),
        ("a: {<<: 3}\n", "x.yaml:1: << takes an alias of a mapping"),
        ("name: x\x07\n", "x.yaml:1: the character U+0007 is not allowed in YAML"),
        (b"name: caf\xe9\n", "x.yaml: not UTF-8 text (byte 9); save it as UTF-8"),
        ("name: x\n".encode("utf-16"), "x.yaml: not UTF-8 text (byte 0); save it as UTF-8"),
        ("a: " + "[" * 1200, "x.yaml: lists or mappings inside of each other too deeply"),
    ],
)  # fmt: skip
def test_a_file_that_can_not_be_read_says_why(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert refusal(tmp_path, content) == message


def test_a_word_that_old_yaml_takes_for_true_is_a_key_as_it_is_written(tmp_path: Path) -> None:
    text = "on: 1\nNo: 2\nOFF: 3\n'yes': 4\nvalues: [on, 'on']\n"
    document = read(tmp_path, text)
    assert document.value == {"on": 1, "No": 2, "OFF": 3, "yes": 4, "values": [True, "on"]}
    assert document.lines[("No",)] == 2
    assert refusal(tmp_path, "name: x\ntasks:\n- {name: a, columns: {on: a, 'on': b}}\n").splitlines()[0] == (
        "x.yaml:3: tasks[0].columns.on: the key stands twice, first in line 3"
    )


def test_no_key_or_value_steers_the_terminal_or_fills_it(tmp_path: Path) -> None:
    assert refusal(tmp_path, 'name: x\ntasks: [{name: a}]\n"\\e[31mk\\n::error::": 1\n').startswith(
        "x.yaml:3: \ufffd[31mk\ufffd::error::: unknown key"
    )
    assert len(refusal(tmp_path, f"name: x\ntasks: [{{name: a}}]\n{'k' * 900}: 1\n? {'l' * 9000}\n: 2\n")) < 5_000


def test_a_file_that_never_ends_is_read_no_further_than_allowed() -> None:
    with pytest.raises(SuiteError, match=r"more than 1,000,000 bytes, the most that a suite file may have"):
        load_suite(Path("/dev/zero"))


def test_a_doubled_key_is_refused_once_with_both_lines(tmp_path: Path) -> None:
    text = "name: x\ntasks:\n- &t\n  name: a\n  name: a\n- *t\nname: x\n"
    assert refusal(tmp_path, text).splitlines() == [
        "x.yaml:5: tasks[0].name: the key stands twice, first in line 4",
        "x.yaml:5: tasks[1].name: the name 'a' is taken by tasks[0]",
        "x.yaml:7: name: the key stands twice, first in line 1",
    ]


def test_two_merges_in_one_mapping_are_a_doubled_key(tmp_path: Path) -> None:
    text = "name: x\ntasks:\n- &t {name: a}\n- &u {name: b}\n- <<: *t\n  <<: *u\n  name: c\n"
    assert refusal(tmp_path, text) == "x.yaml:6: tasks[2].<<: the key stands twice, first in line 5"


def test_a_doubled_key_is_told_even_where_another_value_can_not_be_read(tmp_path: Path) -> None:
    assert refusal(tmp_path, "a: 1\na: 2\nb: !!binary x\n").splitlines() == [
        "x.yaml:2: a: the key stands twice, first in line 1",
        "x.yaml:3: the tag !!binary is not allowed in a suite",
    ]


def test_aliases_that_multiply_are_stopped(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1, 2]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "more than 50,000 values; aliases inside of aliases multiply" in refusal(tmp_path, "\n".join(lines))
    merges = ["a0: &a0 {x: 1}"] + [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}" for i in range(1, 12)]
    assert "x.yaml:" in refusal(tmp_path, "\n".join(merges))


def test_a_file_that_is_too_long_or_missing_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, b"#" * (MAX_BYTES + 1)) == (
        "x.yaml: more than 1,000,000 bytes, the most that a suite file may have"
    )
    with pytest.raises(SuiteError, match=r"gone\.yaml: no such file"):
        load_suite(tmp_path / "gone.yaml")
    with pytest.raises(SuiteError, match="can't be read"):
        load_suite(tmp_path)
