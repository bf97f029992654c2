"""A gate's policy is read as its writer means it, from a suite or a file of its own, or each problem is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchkit.errors import EXIT_USAGE, SuiteError
from benchkit.suite.find import list_suites, shipped_suites
from benchkit.suite.gate_schema import BOUNDS
from benchkit.suite.load import load_suite
from benchkit.suite.policy import load_policy
from benchkit.types.gate import COST_METRICS, DEFAULT_POLICY, CostRule, LimitRules, Policy, QualityRule

# As issue 4 writes it.
FULL = """gate:
  quality:
    - {on: mean, margin: 0.005}                    # non-inferiority, absolute score
    - {on: "task:*", margin: 0.02}                 # no task may die behind a good mean
    - {on: "slice:lang=zh", margin: 0.02}          # slices from item metadata
  cost:
    - {metric: query_latency_p50, max_ratio: 1.10} # against the baseline model run in the same job
    - {metric: throughput, min_ratio: 0.9}
    - {metric: peak_memory, max_ratio: 1.10, max_mib: 1500}
  limits: {dimension: {equal_to_baseline: true}, max_bytes_per_vector: 3072, licenses: [apache-2.0, mit], deterministic: true, finite: true, normalized: same_as_baseline}
  compatibility: {same_space: warn}                # can new queries search the old index? (see 5)
"""  # noqa: E501
FULL_POLICY = Policy(
    quality=(QualityRule("mean", 0.005), QualityRule("task:*", 0.02), QualityRule("slice:lang=zh", 0.02)),
    cost=(
        CostRule("query_latency_p50", max_ratio=1.1),
        CostRule("throughput", min_ratio=0.9),
        CostRule("peak_memory", max_ratio=1.1, max_value=1500.0),
    ),
    limits=LimitRules(
        dimension_equal=True,
        max_bytes_per_vector=3072,
        licenses=("apache-2.0", "mit"),
        deterministic=True,
        finite=True,
        normalized="same_as_baseline",
    ),
    same_space="warn",
)
SUITE = "name: x\ntasks: [{name: STS12}]\n"


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "p.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def load(folder: Path, content: str | bytes) -> Policy:
    return load_policy(write(folder, content))


def problems(folder: Path, content: str | bytes) -> list[str]:
    with pytest.raises(SuiteError) as caught:
        load(folder, content)
    assert caught.value.exit_code == EXIT_USAGE
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def bare(text: str) -> str:
    """Return what stands below `gate:` alone."""
    return "".join(line.removeprefix("  ") for line in text.splitlines(keepends=True)[1:])


# ------------------------------------------------------------ what is read


def test_the_policy_of_the_issue_is_read_word_for_word(tmp_path: Path) -> None:
    path = write(tmp_path, FULL)
    assert load_policy(path) == dataclasses.replace(FULL_POLICY, source=str(path))


def test_with_and_without_the_key_gate_and_in_a_suite_it_reads_alike(tmp_path: Path) -> None:
    path = write(tmp_path, bare(FULL))
    assert "gate" not in path.read_text()
    assert load_policy(path) == dataclasses.replace(FULL_POLICY, source=str(path))
    write(tmp_path, SUITE + FULL)
    assert load_suite(path).gate == dataclasses.replace(FULL_POLICY, source=str(path))


def test_a_gate_does_not_change_the_digest_of_its_suite(tmp_path: Path) -> None:
    without = load_suite(write(tmp_path, SUITE))
    assert without.gate is None
    assert load_suite(write(tmp_path, SUITE + FULL)).digest == without.digest


def test_the_shipped_default_policy_is_the_one_in_the_code() -> None:
    path = shipped_suites() / "policies" / "default.yaml"
    policy = load_policy(path)
    assert policy == dataclasses.replace(DEFAULT_POLICY, source=str(path))
    assert not policy.is_default  # what a person wrote down is asked for in earnest


def test_a_policy_is_not_listed_as_a_suite() -> None:
    assert set(list_suites([])) == {"cmteb", "mteb-eng", "quickstart"}


def test_every_absolute_bound_arrives_in_its_unit(tmp_path: Path) -> None:
    policy = load(
        tmp_path,
        """cost:
  - {metric: query_latency_p50, max_ms: 20}
  - {metric: query_latency_p95, max_ms: 50.5, max_ratio: 0.9, severity: warn}
  - {metric: throughput, min_texts_per_s: 100, min_ratio: 10}
  - {metric: peak_memory, max_mib: 1500}
  - {metric: load_time, max_s: 30, severity: block}
""",
    )
    assert policy.cost == (
        CostRule("query_latency_p50", max_value=20.0),
        CostRule("query_latency_p95", max_ratio=0.9, max_value=50.5, severity="warn"),
        CostRule("throughput", min_ratio=10.0, min_value=100.0),
        CostRule("peak_memory", max_value=1500.0),
        CostRule("load_time", max_value=30.0),
    )


def test_bounds_are_known_for_every_metric() -> None:
    assert tuple(BOUNDS) == COST_METRICS


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("normalized: true", LimitRules(normalized="yes")),
        ("normalized: yes", LimitRules(normalized="yes")),
        ("normalized: same_as_baseline", LimitRules(normalized="same_as_baseline")),
        ("dimension: {max: 384}", LimitRules(max_dimension=384)),
        ("dimension: {max: 384, equal_to_baseline: true}", LimitRules(dimension_equal=True, max_dimension=384)),
        ("finite: true, deterministic: false", LimitRules(finite=True)),
        ("deterministic: true", LimitRules(deterministic=True)),
        ("licenses: [mit]", LimitRules(licenses=("mit",))),
    ],
)
def test_each_limit_arrives_and_what_is_left_out_asks_nothing(tmp_path: Path, text: str, limits: LimitRules) -> None:
    path = write(tmp_path, f"limits: {{{text}}}\n")
    assert load_policy(path) == Policy(limits=limits, source=str(path))


@pytest.mark.parametrize(
    "text", ["- on: mean\n", '- "on": mean\n', "- 'on': mean\n", "- {on: mean}\n", "- on: &m mean\n"]
)
def test_on_needs_no_quotes_though_old_yaml_reads_true(tmp_path: Path, text: str) -> None:
    rule = text.replace("mean}", "mean, margin: 0.5}") if "}" in text else f"{text}  margin: 0.5\n"
    assert load(tmp_path, "quality:\n" + rule).quality == (QualityRule("mean", 0.5),)


@pytest.mark.parametrize("on", ["task:STS*", "task:a b", "task:问答", "slice:lang=zh", "slice:a=b=c", "slice:a b=c d"])
def test_a_target_of_each_form_is_taken_as_written(tmp_path: Path, on: str) -> None:
    text = f"quality: [{{on: '{on}', margin: 0.02, severity: block}}]"
    assert load(tmp_path, text).quality == (QualityRule(on, 0.02),)


def test_a_gate_of_one_blocking_rule_may_warn_of_the_rest(tmp_path: Path) -> None:
    rules = "quality: [{on: mean, margin: 0.1, severity: warn}]\n"
    assert load(tmp_path, rules + "limits: {finite: true}\n").quality[0].severity == "warn"
    assert load(tmp_path, rules + "compatibility: {same_space: block}\n").same_space == "block"


# ------------------------------------------------------------ what is refused

MARGIN = "a margin is a difference of scores and no percentage, 0.02 is two points"
UP, DOWN = "1.10 allows ten per cent more", "0.90 allows ten per cent less"
ALL_METRICS = "query_latency_p50, query_latency_p95, throughput, peak_memory, load_time"


@pytest.mark.parametrize(
    ("margin", "message"),
    [
        ("1e-3", "expected a number, but YAML reads 1e-3 as a text; write 0.001"),
        ("2%", f"expected a number, found the text '2%'; {MARGIN}"),
        ("2 %", f"expected a number, found the text '2 %'; {MARGIN}"),
        ("'2 %'", f"expected a number, found the text '2 %'; leave out the quotes; {MARGIN}"),
        ("'0.02'", "expected a number, found the text '0.02'; leave out the quotes"),
        ("0.02 points", f"expected a number, found the text '0.02 points'; {MARGIN}"),
        ("2", f"should be at most 0.5, got 2; {MARGIN}"),
        ("0.51", f"should be at most 0.5, got 0.51; {MARGIN}"),
        ("-0.02", f"should be greater than 0, got -0.02; {MARGIN}"),
        ("0",
         ("should be greater than 0, got 0; no data can show that nothing at all is lost, but that it is less than "
          "0.001, a tenth of a point")),
        (".inf", f"should be a finite number, got inf; {MARGIN}"),
        (".nan", f"should be a finite number, got nan; {MARGIN}"),
        pytest.param("9" * 400, f"should be a finite number, got inf; {MARGIN}", id="400 digits"),
        pytest.param("-" + "9" * 400, f"should be a finite number, got -inf; {MARGIN}", id="-400 digits"),
        ("true", "expected a number, found true"),
        ("[0.1]", "expected a number, found a list"),
        ("", "found nothing; give a value"),
    ],
)  # fmt: skip
def test_a_margin_that_can_not_be_meant_is_refused(tmp_path: Path, margin: str, message: str) -> None:
    text = f"quality:\n- on: mean\n  margin: {margin}\n"
    assert problems(tmp_path, text) == [f"p.yaml:3: quality[0].margin: {message}"]


@pytest.mark.parametrize(
    ("on", "message"),
    [
        ("no", 'expected mean, "task:NAME" or "slice:KEY=VALUE", but YAML reads no as false'),
        ("3", 'expected mean, "task:NAME" or "slice:KEY=VALUE", but YAML reads 3 as the number 3'),
        ("[mean]", 'expected mean, "task:NAME" or "slice:KEY=VALUE", found a list'),
        ("", "found nothing; give a value"),
        ("''", "unknown value ''; expected mean, \"task:NAME\" or \"slice:KEY=VALUE\""),
        ("Mean", "unknown value 'Mean' (did you mean 'mean'?)"),
        ("STS12", 'unknown value \'STS12\'; expected mean, "task:NAME" or "slice:KEY=VALUE"'),
        ("tasks:STS*", "unknown value 'tasks:STS*' (did you mean 'task:STS*'?)"),
        ("lang=zh",
         'unknown value \'lang=zh\'; expected mean, "task:NAME" or "slice:KEY=VALUE"; write "slice:lang=zh"'),
        ("'task:'", "'task:' without a name; \"task:*\" asks it of every task"),
        ("'task: *'", 'spaces around the name; write "task:*"'),
        ("slice:lang", "'slice:lang' should name a key and one of its values, such as \"slice:lang=zh\""),
        ("slice:=zh", "'slice:=zh' should name a key and one of its values, such as \"slice:lang=zh\""),
        ("slice:lang=", "'slice:lang=' should name a key and one of its values, such as \"slice:lang=zh\""),
        ("'slice: lang = zh'", 'spaces around the key or the value; write "slice:lang=zh"'),
        ('"task:\\e[31mred"', "expected one line without control characters"),
        ('"mean\\n::error::x"', "expected one line without control characters"),
        pytest.param("a" * 201, "should have at most 200 characters, got 201", id="201 letters"),
    ],
)  # fmt: skip
def test_a_target_that_can_not_be_meant_is_refused(tmp_path: Path, on: str, message: str) -> None:
    text = f"quality:\n- margin: 0.1\n  on: {on}\n"
    assert problems(tmp_path, text) == [f"p.yaml:3: quality[0].on: {message}"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("metric: query_latency_p50", ": a rule without a bound; query_latency_p50 takes max_ratio, max_ms, or both"),
        ("metric: throughput, severity: block",
         ": a rule without a bound; throughput takes min_ratio, min_texts_per_s, or both"),
        ("metric: throughput, max_ratio: 1.1",
         f".max_ratio: throughput should be large: write min_ratio, where {DOWN}"),
        ("metric: query_latency_p95, min_ratio: 0.9",
         f".min_ratio: query_latency_p95 should be small: write max_ratio, where {UP}"),
        ("metric: query_latency_p50, max_mib: 3",
         ".max_mib: does not go with query_latency_p50, which takes max_ratio and max_ms"),
        ("metric: peak_memory, max_s: 3",
         ".max_s: does not go with peak_memory, which takes max_ratio and max_mib"),
        ("metric: latency, max_ratio: 1.1", f".metric: unknown value 'latency'; allowed: {ALL_METRICS}"),
        ("metric: through_put, min_ratio: 1", ".metric: unknown value 'through_put' (did you mean 'throughput'?)"),
        ("metric: no, max_s: 1", f".metric: expected one of {ALL_METRICS}, but YAML reads no as false"),
        ("max_s: 1", ".metric: missing key"),
        ("metric: peak_memory, max_ratio: 110",
         f".max_ratio: should be at most 10.0, got 110; a ratio is a plain number, {UP}"),
        ("metric: peak_memory, max_ratio: 110 %",
         f".max_ratio: expected a number, found the text '110 %'; a ratio is a plain number, {UP}"),
        ("metric: throughput, min_ratio: 90%",
         f".min_ratio: expected a number, found the text '90%'; a ratio is a plain number, {DOWN}"),
        ("metric: throughput, min_ratio: 10.1",
         f".min_ratio: should be at most 10.0, got 10.1; a ratio is a plain number, {DOWN}"),
        ("metric: load_time, max_ratio: 0",
         f".max_ratio: should be greater than 0, got 0; a ratio is a plain number, {UP}"),
        ("metric: load_time, max_ratio: .nan",
         f".max_ratio: should be a finite number, got nan; a ratio is a plain number, {UP}"),
        ("metric: load_time, max_ratio: 1e0",
         ".max_ratio: expected a number, but YAML reads 1e0 as a text; write 1"),
        ("metric: load_time, max_ratio: ", ".max_ratio: found nothing; give a value or leave the key out"),
        ("metric: load_time, max_s: .inf", ".max_s: should be a finite number, got inf"),
        ("metric: load_time, max_s: -1", ".max_s: should be greater than 0, got -1"),
        ("metric: peak_memory, max_mib: 1500 MiB",
         ".max_mib: expected a number, found the text '1500 MiB'; write the number alone, its unit is the key's"),
        ("metric: peak_memory, max_ration: 1.1", ".max_ration: unknown key (did you mean 'max_ratio'?)"),
        ("metric: load_time, max_s: 1, severity: error", ".severity: unknown value 'error'; allowed: block, warn"),
        ("metric: load_time, max_s: 1, severity: no",
         ".severity: expected block or warn, but YAML reads no as false"),
    ],
)  # fmt: skip
def test_a_wrong_cost_rule_is_refused(tmp_path: Path, rule: str, message: str) -> None:
    assert problems(tmp_path, f"cost:\n- {{{rule}}}\n") == [f"p.yaml:2: cost[0]{message}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limits: {dimension: 384}",
         ("limits.dimension: expected keys and values, found the number 384; "
          "write {equal_to_baseline: true} or {max: 384}")),
        ("limits: {dimension: equal_to_baseline}",
         ("limits.dimension: expected keys and values, found the text 'equal_to_baseline'; "
          "write {equal_to_baseline: true} or {max: 384}")),
        ("limits: {dimension: {}}",
         "limits.dimension: found {}, which asks nothing; give a value or leave the key out"),
        ("limits: {dimension: {equal: true}}",
         "limits.dimension.equal: unknown key; known here: equal_to_baseline, max"),
        ("limits: {dimension: {max: 0}}", "limits.dimension.max: should be at least 1, got 0"),
        ("limits: {licenses: []}", "limits.licenses: should not be empty; leave the key out if it isn't needed"),
        ("limits: {licenses: mit}", "limits.licenses: expected a list, found the text 'mit'; write [mit]"),
        ("limits: {licenses: [no]}",
         'limits.licenses[0]: expected a text, but YAML reads no as false; put it in quotes: "no"'),
        ("limits: {licenses: ['']}",
         "limits.licenses[0]: should not be empty; leave the key out if it isn't needed"),
        ("limits: {deterministic: 'yes'}",
         "limits.deterministic: expected true or false, found the text 'yes'; leave out the quotes"),
        ("limits: {normalized: no}",
         "limits.normalized: expected same_as_baseline or true; leave the key out to allow every length"),
        ("limits: {normalized: same_as_basline}",
         ("limits.normalized: expected same_as_baseline or true, found 'same_as_basline' "
          "(did you mean 'same_as_baseline'?)")),
        ("limits: {normalized: 1}", "limits.normalized: expected same_as_baseline or true, found 1"),
        ("limits: {max_bytes_per_vector: 3e3}",
         ("limits.max_bytes_per_vector: expected a whole number, but YAML reads 3e3 as a text; write 3000")),
        ("limits: {finit: true}", "limits.finit: unknown key (did you mean 'finite'?)"),
        ("limits: [finite]", "limits: expected keys and values, found a list; write {finite: true}"),
        ("limits: {}", "limits: found {}, which asks nothing; give a value or leave the key out"),
        ("limits:", "limits: found nothing; give a value or leave the key out"),
        ("compatibility: {same_space: no}",
         "compatibility.same_space: expected ignore, warn or block, but YAML reads no as false"),
        ("compatibility: {same_space: blok}",
         "compatibility.same_space: unknown value 'blok' (did you mean 'block'?)"),
        ("compatibility: {same_spaces: block}",
         "compatibility.same_spaces: unknown key (did you mean 'same_space'?)"),
        ("compatibility: warn",
         "compatibility: expected keys and values, found the text 'warn'; write {same_space: warn}"),
        ("quality: []", "quality: should not be empty; leave the key out if it isn't needed"),
        ("quality: mean", "quality: expected a list, found the text 'mean'; write - {on: mean, margin: 0.005}"),
        ("quality: {on: mean, margin: 0.1}",
         "quality: expected a list, found keys and values; write - {on: mean, margin: 0.005}"),
        ("quality: [mean]",
         "quality[0]: expected keys and values, found the text 'mean'; write - {on: mean, margin: 0.005}"),
        ("quality: [{on: mean, margin: 0.1, marign: 3}]",
         "quality[0].marign: unknown key (did you mean 'margin'?)"),
        ("quality: [{on: mean}]", "quality[0].margin: missing key"),
        ("quality: [{on: mean, margin: 0.1}, {on: mean, margin: 0.2}]",
         "quality[1].on: 'mean' has a rule already, quality[0]; write one rule for both"),
        ("cost: [{metric: load_time, max_s: 1}, {metric: load_time, max_ratio: 1}]",
         "cost[1].metric: 'load_time' has a rule already, cost[0]; write one rule for both"),
        ("cost: [throughput]",
         ("cost[0]: expected keys and values, found the text 'throughput'; "
          "write - {metric: throughput, min_ratio: 0.9}")),
        ("qualty: [{on: mean, margin: 0.1}]", "qualty: unknown key (did you mean 'quality'?)"),
    ],
)  # fmt: skip
def test_what_is_refused_reads_alike_in_a_file_of_its_own_and_in_a_suite(
    tmp_path: Path, text: str, message: str
) -> None:
    assert problems(tmp_path, text) == [f"p.yaml:1: {message}"]
    assert problems(tmp_path, f"gate:\n  {text}\n") == [f"p.yaml:2: gate.{message}"]
    with pytest.raises(SuiteError) as caught:
        load_suite(write(tmp_path, f"{SUITE}gate:\n  {text}\n"))
    assert str(caught.value) == f"{tmp_path}/p.yaml:4: gate.{message}"


NO_RULE = "a gate without a rule can't block anything; without a policy the default one holds"
ONLY_WARNS = (
    "every rule only warns, so that the gate can't block anything; let one block, or run it with --report-only, "
    "which tells all and blocks nothing"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", NO_RULE),
        ("{limits: {finite: false}}", NO_RULE),
        ("{limits: {dimension: {equal_to_baseline: false}}}", NO_RULE),
        ("{compatibility: {same_space: ignore}}", NO_RULE),
        ("{compatibility: {same_space: warn}}", ONLY_WARNS),
        ("{quality: [{on: mean, margin: 0.1, severity: warn}]}", ONLY_WARNS),
        ("{cost: [{metric: load_time, max_s: 1, severity: warn}], limits: {finite: false}}", ONLY_WARNS),
    ],
)
def test_a_gate_that_can_not_block_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert problems(tmp_path, text) == [f"p.yaml:1: {message}"]
    assert problems(tmp_path, f"gate: {text}") == [f"p.yaml:1: gate: {message}"]
    with pytest.raises(SuiteError, match=r"p\.yaml:3: gate: "):
        load_suite(write(tmp_path, f"{SUITE}gate: {text}\n"))


def test_a_gate_with_nothing_below_it_is_refused(tmp_path: Path) -> None:
    assert problems(tmp_path, "gate:\n") == [f"p.yaml:1: gate: {NO_RULE}"]
    with pytest.raises(SuiteError, match=r"p\.yaml:3: gate: a gate without a rule"):
        load_suite(write(tmp_path, f"{SUITE}gate:\n"))


@pytest.mark.parametrize("value", ["[]", "strict", "3", "no"])
def test_a_gate_that_is_no_mapping_is_refused(tmp_path: Path, value: str) -> None:
    (found,) = problems(tmp_path, f"gate: {value}\n")
    assert found.startswith("p.yaml:1: gate: expected keys and values, found ")
    assert found.endswith("; write a key such as 'quality:' with rules below it")


def test_all_problems_of_a_policy_are_told_at_once_in_the_order_of_its_lines(tmp_path: Path) -> None:
    text = """quality:
  - {on: mean, margin: 2%}
  - on: mean
    margn: 0.1
cost:
  - {metric: throughput}
  - metric: load_time
    max_ratio: 110
    max_ms: 3
limits: {finite: 1, finite: true}
extra: 1
"""
    assert problems(tmp_path, text) == [
        f"p.yaml:2: quality[0].margin: expected a number, found the text '2%'; {MARGIN}",
        "p.yaml:3: quality[1].margin: missing key",
        "p.yaml:3: quality[1].on: 'mean' has a rule already, quality[0]; write one rule for both",
        "p.yaml:4: quality[1].margn: unknown key (did you mean 'margin'?)",
        "p.yaml:6: cost[0]: a rule without a bound; throughput takes min_ratio, min_texts_per_s, or both",
        f"p.yaml:8: cost[1].max_ratio: should be at most 10.0, got 110; a ratio is a plain number, {UP}",
        "p.yaml:9: cost[1].max_ms: does not go with load_time, which takes max_ratio and max_s",
        "p.yaml:10: limits.finite: the key stands twice, first in line 10",
        "p.yaml:11: extra: unknown key; known here: quality, cost, limits, compatibility",
    ]


def test_problems_of_a_gate_are_told_with_those_of_its_suite(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x\ntasks: [{nme: STS12}]\ngate:\n  quality: [{on: mean, margin: 2}]\n")
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == [
        "tasks[0].name", "tasks[0].nme", "gate.quality[0].margin"
    ]  # fmt: skip


def test_another_file_than_a_policy_is_named_as_what_it_is(tmp_path: Path) -> None:
    suite = (
        "p.yaml:1: a suite file, where a policy is needed: 'gate:' alone, or what stands below it (quality, cost, "
        "limits, compatibility); a suite's own gate is read with the suite"
    )
    assert problems(tmp_path, SUITE) == [suite]
    assert problems(tmp_path, SUITE + FULL) == [suite]
    assert problems(tmp_path, "gate: {limits: {finite: true}}\nquality: []\n") == [
        "p.yaml:2: quality: does not go beside 'gate', which stands alone in a policy file; rules go below it"
    ]
    assert problems(tmp_path, "gate: {gate: {limits: {finite: true}}}\n") == [
        "p.yaml:1: gate.gate: unknown key; known here: quality, cost, limits, compatibility"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "p.yaml:1: the file is empty; suites/policies/default.yaml shows what goes in"),
        ("# nothing\n", "p.yaml:1: the file is empty; suites/policies/default.yaml shows what goes in"),
        ("- {on: mean, margin: 0.1}\n", "p.yaml:1: expected keys such as quality: and cost:, found a list"),
        ("strict\n", "p.yaml:1: expected keys such as quality: and cost:, found a text"),
        ("limits: {finite: true}\n---\nlimits: 3\n",
         "p.yaml:2: a second document (---); a policy file holds one"),
        ("limits: !!python/object:os.x {}\n", "p.yaml:1: the tag !!python/object:os.x is not allowed in a policy"),
        ("quality: [{on: mean, margin: 0,02}]",
         "p.yaml:1: a key should be a text, found 02; a decimal comma? write a point"),
        ("quality: &q [*q]\n", "p.yaml:1: an alias that contains itself"),
        ("a: " + "[" * 1200, "p.yaml: lists or mappings inside of each other too deeply"),
        ("limits: " + "{limits: " * 90 + "1" + "}" * 90,
         ("p.yaml:1: limits.limits: unknown key; known here: dimension, max_bytes_per_vector, licenses, "
          "deterministic, finite, normalized")),
        ("#" * 1_000_001, "p.yaml: more than 1,000,000 bytes, the most that a policy file may have"),
        (b"\x00\x01\x02", "p.yaml:1: the character U+0000 is not allowed in YAML"),
        (b"\x89PNG\r\n", "p.yaml: not UTF-8 text (byte 0); save it as UTF-8"),
    ],
    ids=["empty", "comment", "list", "text", "documents", "tag", "comma", "loop", "deep", "deep keys", "long", "zeros",
         "binary"],
)  # fmt: skip
def test_a_hostile_file_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert problems(tmp_path, content) == [message]


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"can't be read \(Is a directory\)"):
        load_policy(tmp_path)
    with pytest.raises(SuiteError, match=r"gone\.yaml: no such file"):
        load_policy(tmp_path / "gone.yaml")
