"""Limits hold or don't; what isn't known breaks one, and vectors that nobody looked at leave it open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchkit.gate.limits import judge_limits
from benchkit.types.comparison import Environment, SuiteInfo
from benchkit.types.gate import DEFAULT_POLICY, LimitRules, ProbeFacts, RuleResult, Scored
from benchkit.types.model import ModelMeta

META = ModelMeta(
    name="m", id="m", revision=None, fingerprint="f", dimension=384, bytes_per_vector=1536, license="Apache-2.0",
    normalized=True,
)  # fmt: skip
SPARSE = replace(META, dimension=None, bytes_per_vector=None)
GOOD = ProbeFacts(16, finite=True, normalized=True, max_difference=2e-7, deterministic=True)
ALL = LimitRules(True, 512, 2048, ("apache-2.0",), True, True, "same_as_baseline")
NO_LENGTH = "its vectors are sparse, as long as the words of a text ask for"
UNKNOWN_LICENCE = (
    "its licence isn't known, so it isn't certain that it is apache-2.0 or mit; it is known of models of the catalogue "
    "and of MTEB, and a model of your own needs a policy without `licenses`"
)
SUITE = SuiteInfo("suite", "digest")
ENVIRONMENT = Environment({})


def scored(probe: ProbeFacts | None = GOOD, meta: ModelMeta = META, **facts: object) -> Scored:
    model = replace(meta, **facts)  # type: ignore[arg-type]
    return Scored(model, "m", SUITE, (), ENVIRONMENT, "", "just measured", probe=probe)


def one(rules: LimitRules, candidate: Scored, baseline: Scored | None = None, *, must_judge: bool = True) -> RuleResult:
    (result,) = judge_limits(candidate, baseline or scored(), rules, must_judge=must_judge)
    return result


def said(result: RuleResult) -> tuple[str, str]:
    return result.verdict, result.sentence


def test_a_model_passes_all_limits_against_itself_in_a_fixed_order() -> None:
    results = judge_limits(scored(), scored(), ALL, must_judge=True)
    names = ["dimension", "bytes_per_vector", "license", "deterministic", "finite", "normalized"]
    assert [result.id for result in results] == [f"limits/{name}" for name in names]
    assert {(result.verdict, result.severity, result.group) for result in results} == {("pass", "block", "limits")}
    assert [(r.candidate, r.baseline, r.threshold) for r in results[:2]] == [(384, 384, 384), (1536, 1536, 2048)]


def test_no_rule_gives_no_result() -> None:
    assert judge_limits(scored(), scored(), LimitRules(), must_judge=True) == ()


@pytest.mark.parametrize("meta", [META, SPARSE], ids=["dense", "sparse"])
def test_an_unchanged_model_is_never_blocked_by_the_default_policy(meta: ModelMeta) -> None:
    model = scored(None if meta is SPARSE else GOOD, meta)
    results = judge_limits(model, model, DEFAULT_POLICY.limits, must_judge=True)
    assert {result.verdict for result in results} <= {"pass", "skipped"}


@pytest.mark.parametrize(
    ("rules", "dimension", "verdict", "sentence"),
    [
        (LimitRules(True), 384, "pass", "its vectors have 384 dimensions, as the baseline's"),
        (
            LimitRules(True), 64, "fail",
            "its vectors have 64 dimensions; the baseline has 384, and an index can't hold both",
        ),
        (LimitRules(max_dimension=384), 384, "pass", "its vectors have 384 dimensions, and 384 are allowed"),
        (LimitRules(max_dimension=256), 384, "fail", "its vectors have 384 dimensions; 256 are allowed"),
        (
            LimitRules(True, 512), 768, "fail",
            "its vectors have 768 dimensions; the baseline has 384, and an index can't hold both; 512 are allowed",
        ),
        (
            LimitRules(max_dimension=512), None, "fail",
            f"{NO_LENGTH}, without a fixed dimension; 512 are allowed",
        ),
    ],
    ids=["equal", "other", "at most", "too many", "both broken", "sparse"],
)  # fmt: skip
def test_the_dimension_is_held_against_the_baseline_and_the_limit(
    rules: LimitRules, dimension: int | None, verdict: str, sentence: str
) -> None:
    assert said(one(rules, scored(dimension=dimension))) == (verdict, sentence)


def test_sparse_models_are_compared_in_words() -> None:
    rules = LimitRules(dimension_equal=True)
    both = one(rules, scored(None, SPARSE), scored(None, SPARSE))
    assert said(both) == (
        "pass",
        "its vectors are sparse, as long as the words of a text ask for, without a fixed dimension, as the baseline's",
    )
    dense = one(rules, scored(), scored(None, SPARSE))
    assert said(dense) == (
        "fail",
        "its vectors have 384 dimensions; the baseline is sparse, and an index can't hold both",
    )
    assert one(rules, scored(None, SPARSE)).verdict == "fail"


@pytest.mark.parametrize(
    ("found", "verdict", "sentence"),
    [
        (2048, "pass", "one vector takes 2048 bytes; 2048 bytes are allowed"),
        (2049, "fail", "one vector takes 2049 bytes; 2048 bytes are allowed"),
        (None, "fail", "the size of its vectors isn't known; 2048 bytes are allowed"),
    ],
)
def test_bytes_per_vector_have_a_most(found: int | None, verdict: str, sentence: str) -> None:
    assert said(one(LimitRules(max_bytes_per_vector=2048), scored(bytes_per_vector=found))) == (verdict, sentence)


def test_sparse_vectors_have_no_size_that_could_be_kept() -> None:
    result = one(LimitRules(max_bytes_per_vector=2048), scored(None, SPARSE))
    assert result.verdict == "fail"
    assert "sparse, as long as the words of a text ask for, without a fixed size" in result.sentence


@pytest.mark.parametrize(
    ("found", "verdict", "sentence"),
    [
        ("Apache-2.0", "pass", "its licence Apache-2.0 is allowed"),
        ("MIT", "pass", "its licence MIT is allowed"),
        ("cc-by-nc-4.0", "fail", "its licence cc-by-nc-4.0 is not apache-2.0 or mit"),
        (
            None, "fail", UNKNOWN_LICENCE,
        ),
    ],
)  # fmt: skip
def test_a_licence_is_one_of_the_allowed_whatever_its_case(found: str | None, verdict: str, sentence: str) -> None:
    assert said(one(LimitRules(licenses=("apache-2.0", "mit")), scored(license=found))) == (verdict, sentence)


def test_vectors_that_differ_from_call_to_call_fail_by_the_size_of_the_difference() -> None:
    loose = replace(GOOD, max_difference=7e-4, deterministic=False)
    result = one(LimitRules(deterministic=True), scored(loose))
    assert said(result) == (
        "fail",
        "one text gives vectors that differ by up to 7.0e-04, again, alone or in a batch; 1e-04 is allowed",
    )
    assert (result.candidate, result.baseline, result.threshold) == (7e-4, 2e-7, 1e-4)


def test_a_model_as_loose_as_its_baseline_is_nothing_new() -> None:
    rules = LimitRules(deterministic=True)
    loose = replace(GOOD, max_difference=7e-4, deterministic=False)
    result = one(rules, scored(loose), scored(replace(loose, max_difference=5e-4)))
    assert result.verdict == "pass"
    assert result.sentence.endswith("; the baseline's differ by up to 5.0e-04, so that is nothing new")
    assert one(rules, scored(loose), scored(replace(loose, max_difference=3e-4))).verdict == "fail"
    assert one(rules, scored(loose), scored(None)).verdict == "fail"
    # What is allowed is no excuse for what isn't.
    kept = replace(GOOD, max_difference=9e-5)
    assert one(rules, scored(replace(loose, max_difference=1.5e-4)), scored(kept)).verdict == "fail"


def test_vectors_that_are_not_numbers_fail_every_rule_on_vectors() -> None:
    broken = ProbeFacts(16, finite=False, normalized=False, max_difference=None, deterministic=False)
    rules = LimitRules(deterministic=True, finite=True, normalized="yes")
    results = judge_limits(scored(broken), scored(broken), rules, must_judge=True)
    assert [result.verdict for result in results] == ["fail"] * 3
    assert results[1].sentence == "vectors of 16 texts hold NaN or infinity"


@pytest.mark.parametrize("name", ["deterministic", "finite"])
def test_vectors_that_nobody_looked_at_leave_a_rule_open_or_out(name: str) -> None:
    rules = LimitRules(**{name: True})  # type: ignore[arg-type]
    judged, stored = (one(rules, scored(None), must_judge=must_judge) for must_judge in (True, False))
    assert (judged.verdict, stored.verdict) == ("inconclusive", "skipped")
    assert "gate the model itself" in judged.sentence
    assert stored.sentence == "a stored result has no vectors to look at"
    assert said(one(rules, scored(None, SPARSE))) == (
        "skipped",
        "its vectors are sparse, as long as the words of a text ask for; such a model is not probed",
    )


def test_unit_length_is_as_the_baseline_has_it_by_what_was_seen_of_both() -> None:
    rules = LimitRules(normalized="same_as_baseline")
    bare = replace(GOOD, normalized=False)
    assert said(one(rules, scored(), scored())) == ("pass", "its vectors have unit length; the baseline's do")
    assert said(one(rules, scored(bare), scored())) == (
        "fail",
        "its vectors do not have unit length; the baseline's do",
    )
    assert one(rules, scored(), scored(bare)).verdict == "fail"
    assert one(rules, scored(bare), scored(bare)).verdict == "pass"


def test_unit_length_is_what_both_are_said_to_have_where_one_was_not_seen() -> None:
    rules = LimitRules(normalized="same_as_baseline")
    # Its probe says no, its facts say yes: a stored baseline has facts only.
    odd = scored(replace(GOOD, normalized=False))
    assert one(rules, odd, scored(None)).verdict == "pass"
    assert one(rules, scored(normalized=False), scored(None)).verdict == "fail"
    assert one(rules, scored(None), scored(None), must_judge=False).verdict == "pass"


def test_unit_length_can_be_asked_for_in_any_case() -> None:
    rules = LimitRules(normalized="yes")
    bare = scored(replace(GOOD, normalized=False))
    assert said(one(rules, bare, bare)) == ("fail", "its vectors do not have unit length; unit length is asked for")
    assert one(rules, scored(), bare).verdict == "pass"
    assert one(rules, scored(None)).verdict == "pass"
    assert one(rules, scored(None, normalized=False)).verdict == "fail"
