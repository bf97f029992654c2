"""Read a YAML file into plain values and remember the line of each.

    bytes ──decode──> text ──yaml.compose──> nodes with marks ──> Document(value, scalars, lines) · problems

The nodes are walked here rather than by PyYAML's constructor, for it drops the lines and lets a later double of a key
win silently. Only the plain tags of YAML's core are taken (no Python objects), so a suite file is data and never code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchkit.errors import SuiteError
from benchkit.suite.problems import Place, Problem

MAX_BYTES = 1_000_000
# Aliases of aliases can multiply a small file; no honest suite comes near to this many values.
MAX_VALUES = 50_000

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_SCALAR_TAGS = {f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null", "timestamp")}
# YAML 1.1, which PyYAML reads, takes these for true and false, YAML 1.2 and every reader of `on: mean` for texts. No
# key of ours is true or false, so that as a key each means what is written.
_WORDS_AS_KEYS = ("on", "off", "yes", "no")


@dataclass(frozen=True, slots=True)
class FileKind:
    """What a file is called in a message, keys that it has, and the file that shows them all."""

    noun: str
    keys: str
    example: str


SUITE = FileKind("suite", "name: and tasks:", "suites/template.yaml")
POLICY = FileKind("policy", "quality: and cost:", "suites/policies/default.yaml")


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a file and where they stand.

    Attributes:
        value: Dictionaries, lists and scalars, as YAML reads them.
        lines: Line (from 1) of each place: of its key in a mapping, of the item in a list.
        unquoted: What stands in the file for each scalar without quotes; YAML may have read it as another type.
    """

    value: Any
    lines: Mapping[Place, int]
    unquoted: Mapping[Place, str]

    def below(self, key: str) -> Document:
        """Return the same document as it would read if all of it stood below a key."""
        lines = {(key, *place): line for place, line in self.lines.items()}
        return Document({key: self.value}, lines, {(key, *place): text for place, text in self.unquoted.items()})


class _Refused(Exception):
    """A node that can't be read at all."""

    def __init__(self, node: yaml.Node, message: str) -> None:
        super().__init__(message)
        self.line: int = node.start_mark.line + 1
        self.message = message


@dataclass(slots=True)
class _Walk:
    """One pass over the nodes; collects what it meets."""

    constructor: yaml.SafeLoader
    kind: FileKind
    lines: dict[Place, int] = field(default_factory=dict)
    unquoted: dict[Place, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    doubled: set[int] = field(default_factory=set)
    open_nodes: set[int] = field(default_factory=set)
    n_values: int = 0

    def read(self, node: yaml.Node, place: Place) -> Any:
        self.n_values += 1
        if self.n_values > MAX_VALUES:
            raise _Refused(node, f"more than {MAX_VALUES:,} values; aliases inside of aliases multiply")
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, place)
        if id(node) in self.open_nodes:
            raise _Refused(node, "an alias that contains itself")
        self.open_nodes.add(id(node))
        try:
            return self.mapping(node, place) if isinstance(node, yaml.MappingNode) else self.sequence(node, place)
        finally:
            self.open_nodes.discard(id(node))

    def scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        if node.tag not in _SCALAR_TAGS:
            raise _Refused(node, f"the tag {node.tag.replace(_TAG, '!!')} is not allowed in a {self.kind.noun}")
        if node.style is None:
            self.unquoted[place] = node.value
        try:
            return self.constructor.construct_object(node)
        except (ValueError, KeyError, AttributeError) as exc:  # what PyYAML lets through for `!!bool maybe`, 2024-99-99
            kind = node.tag.replace(_TAG, "")
            raise _Refused(node, f"{node.value!r} is no valid {kind}; put it in quotes if a text is meant") from exc

    def sequence(self, node: yaml.Node, place: Place) -> list[Any]:
        if node.tag != f"{_TAG}seq":
            raise _Refused(node, f"the tag {node.tag.replace(_TAG, '!!')} is not allowed in a {self.kind.noun}")
        return [self.read(item, (*place, position)) for position, item in enumerate(node.value)]

    def mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        entries = self.entries(node, place)
        for key, (key_node, _) in entries.items():
            self.lines[(*place, key)] = key_node.start_mark.line + 1
        return {key: self.read(value, (*place, key)) for key, (_, value) in entries.items()}

    def entries(self, node: yaml.MappingNode, place: Place) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Return the nodes of each key; keys of the mapping itself win over merged ones (<<)."""
        if node.tag != f"{_TAG}map":
            raise _Refused(node, f"the tag {node.tag.replace(_TAG, '!!')} is not allowed in a {self.kind.noun}")
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key_node, value_node in node.value:
            key = "<<" if key_node.tag == _MERGE else self.key(key_node, value_node)
            if key in own:
                self.add_double(key_node, own[key][0], place)
            own[key] = (key_node, value_node)
        merge = own.pop("<<", None)
        return (self.merged(merge[1], place) if merge else {}) | own

    def merged(self, node: yaml.Node, place: Place) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for source in sources:
            self.n_values += 1
            if not isinstance(source, yaml.MappingNode) or id(source) in self.open_nodes or self.n_values > MAX_VALUES:
                raise _Refused(node, "<< takes an alias of a mapping")
            self.open_nodes.add(id(source))
            found = self.entries(source, place) | found
            self.open_nodes.discard(id(source))
        return found

    def key(self, node: yaml.Node, value: yaml.Node) -> str:
        is_word = isinstance(node, yaml.ScalarNode) and node.value.lower() in _WORDS_AS_KEYS
        if node.tag != f"{_TAG}str" and not is_word:
            shown = node.value if isinstance(node, yaml.ScalarNode) else "a list or mapping"
            # {margin: 0,02} is a key 02 without a value.
            is_comma = node.tag == f"{_TAG}int" and value.tag == f"{_TAG}null"
            hint = "a decimal comma? write a point" if is_comma else "put it in quotes if it is meant"
            raise _Refused(node, f"a key should be a text, found {shown}; {hint}")
        return str(node.value)

    def add_double(self, node: yaml.Node, first: yaml.Node, place: Place) -> None:
        # An alias of this mapping is walked again and must not be told again.
        if id(node) not in self.doubled:
            self.doubled.add(id(node))
            message = f"the key stands twice, first in line {first.start_mark.line + 1}"
            self.problems.append(Problem((*place, node.value), message, line=node.start_mark.line + 1))


def read_document(path: Path, kind: FileKind = SUITE) -> tuple[Document | None, list[Problem]]:
    """Read the file; the document is None when nothing of it can be used.

    Raises:
        SuiteError: the file can't be opened, is too long, or is no UTF-8 text.
    """
    text = _read_text(path, kind)
    walk = _Walk(yaml.SafeLoader(""), kind)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            return None, [Problem((), f"the file is empty; {kind.example} shows what goes in", line=1)]
        value = walk.read(root, ())
    except _Refused as exc:
        return None, [*walk.problems, Problem((), exc.message, line=exc.line)]
    except yaml.MarkedYAMLError as exc:
        return None, [_syntax_problem(exc, kind)]
    except yaml.reader.ReaderError as exc:
        character = f"U+{exc.character:04X}" if isinstance(exc.character, int) else repr(exc.character)
        return None, [Problem((), f"the character {character} is not allowed in YAML", _line_at(text, exc.position))]
    except RecursionError:
        return None, [Problem((), "lists or mappings inside of each other too deeply")]
    if not isinstance(value, dict):
        return None, [Problem((), f"expected keys such as {kind.keys}, found {_shown(value)}", line=1)]
    return Document(value, walk.lines, walk.unquoted), walk.problems


def _read_text(path: Path, kind: FileKind) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)  # not what `stat` says: a pipe and a device have no size there
        if len(content) > MAX_BYTES:
            raise SuiteError(f"{path}: more than {MAX_BYTES:,} bytes, the most that a {kind.noun} file may have")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise SuiteError(f"{path}: not UTF-8 text (byte {exc.start}); save it as UTF-8") from exc
    except FileNotFoundError as exc:
        raise SuiteError(f"{path}: no such file") from exc
    except OSError as exc:
        raise SuiteError(f"{path}: can't be read ({exc.strerror})") from exc


def _syntax_problem(exc: yaml.MarkedYAMLError, kind: FileKind) -> Problem:
    mark = exc.problem_mark or exc.context_mark
    line = mark.line + 1 if mark else None
    problem = exc.problem or str(exc)
    if r"'\t'" in problem:
        return Problem((), "a tab where YAML wants spaces; indent with spaces", line)
    if exc.context == "expected a single document in the stream":
        return Problem((), f"a second document (---); a {kind.noun} file holds one", line)
    parts = [part for part in (exc.context, problem) if part]
    return Problem((), f"not readable as YAML: {', '.join(parts)}", line)


def _line_at(text: str, position: int | None) -> int | None:
    return None if position is None else text.count("\n", 0, position) + 1


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "a list"
    return "a text" if isinstance(value, str) else f"the value {value}"
