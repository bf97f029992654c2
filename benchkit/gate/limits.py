"""What must simply hold of a candidate: size, licence, and vectors that behave. No statistics.

    ModelMeta ──── dimension, bytes per vector, licence, unit length ──┐
    ProbeFacts ─── finite, deterministic, unit length ─────────────────┴──> one RuleResult for each limit that is set

What isn't known breaks a limit that needs it: nobody can say that it is kept. Only facts of vectors that nobody looked
at (a stored result has none) leave a rule open, or out where it need not be judged.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchkit.gate.probe import SAME_VECTOR
from benchkit.types.gate import LimitRules, ProbeFacts, RuleResult, RuleVerdict, Scored

# A baseline whose own vectors differ by as much can't be told from one that is a little worse: 16 texts find a maximum
# to within a factor like this.
_NO_WORSE = 2.0
_SPARSE = "its vectors are sparse, as long as the words of a text ask for"


def judge_limits(candidate: Scored, baseline: Scored, rules: LimitRules, *, must_judge: bool) -> tuple[RuleResult, ...]:
    """Return a result for each limit that is set, in a fixed order.

    Args:
        must_judge: Facts of vectors that aren't known make a rule inconclusive; False skips it.
    """
    return tuple(
        result
        for results in (
            _dimension(candidate, baseline, rules),
            _bytes(candidate, baseline, rules),
            _license(candidate, rules),
            _deterministic(candidate, baseline, rules, must_judge=must_judge),
            _finite(candidate, rules, must_judge=must_judge),
            _normalized(candidate, baseline, rules),
        )
        for result in results
    )


# ------------------------------------------------------------ facts of the model


def _dimension(candidate: Scored, baseline: Scored, rules: LimitRules) -> Iterator[RuleResult]:
    if not rules.dimension_equal and rules.max_dimension is None:
        return
    found, other, most = candidate.model.dimension, baseline.model.dimension, rules.max_dimension
    broken = []
    if rules.dimension_equal and found != other:
        broken.append(f"the baseline {'is sparse' if other is None else f'has {other}'}, and an index can't hold both")
    if most is not None and (found is None or found > most):
        broken.append(f"{most} are allowed")
    says = f"{_SPARSE}, without a fixed dimension" if found is None else f"its vectors have {found} dimensions"
    as_other = ", as the baseline's" if rules.dimension_equal else f", and {most} are allowed"
    yield _result(
        "dimension",
        "fail" if broken else "pass",
        f"{says}; {'; '.join(broken)}" if broken else f"{says}{as_other}",
        unit="dimensions",
        candidate=found,
        baseline=other,
        threshold=other if rules.dimension_equal else most,
    )


def _bytes(candidate: Scored, baseline: Scored, rules: LimitRules) -> Iterator[RuleResult]:
    most = rules.max_bytes_per_vector
    if most is None:
        return
    found = candidate.model.bytes_per_vector
    says = f"one vector takes {found} bytes" if found is not None else "the size of its vectors isn't known"
    if found is None and candidate.model.dimension is None:
        says = f"{_SPARSE}, without a fixed size"
    yield _result(
        "bytes_per_vector",
        "pass" if found is not None and found <= most else "fail",
        f"{says}; {most} bytes are allowed",
        unit="bytes",
        candidate=found,
        baseline=baseline.model.bytes_per_vector,
        threshold=most,
    )


def _license(candidate: Scored, rules: LimitRules) -> Iterator[RuleResult]:
    if not rules.licenses:
        return
    found, allowed = candidate.model.license, " or ".join(rules.licenses)
    if not found:
        sentence = (
            f"its licence isn't known, so it isn't certain that it is {allowed}; it is known of models of the "
            "catalogue and of MTEB, and a model of your own needs a policy without `licenses`"
        )
        yield _result("license", "fail", sentence)
    elif found.casefold() in {name.casefold() for name in rules.licenses}:
        yield _result("license", "pass", f"its licence {found} is allowed")
    else:
        yield _result("license", "fail", f"its licence {found} is not {allowed}")


# ------------------------------------------------------------ facts of its vectors


def _deterministic(candidate: Scored, baseline: Scored, rules: LimitRules, *, must_judge: bool) -> Iterator[RuleResult]:
    if not rules.deterministic:
        return
    if candidate.probe is None:
        yield _unseen("deterministic", candidate, must_judge=must_judge)
        return
    verdict, sentence = _repeats(candidate.probe, baseline.probe)
    yield _result(
        "deterministic",
        verdict,
        sentence,
        candidate=candidate.probe.max_difference,
        baseline=baseline.probe.max_difference if baseline.probe else None,
        threshold=SAME_VECTOR,
    )


def _repeats(facts: ProbeFacts, baseline: ProbeFacts | None) -> tuple[RuleVerdict, str]:
    if facts.max_difference is None:
        return (
            "fail",
            f"vectors of {facts.n_texts} texts hold NaN or infinity, so they can't be held against each other",
        )
    if facts.deterministic:
        return "pass", f"one text gives one vector, again, alone and in a batch (to {facts.max_difference:.1e})"
    says = f"one text gives vectors that differ by up to {facts.max_difference:.1e}, again, alone or in a batch"
    other = baseline.max_difference if baseline and not baseline.deterministic else None
    if other is not None and facts.max_difference <= _NO_WORSE * other:
        # bfloat16 and some endpoints are like that; unchanged, they are no regression.
        return "pass", f"{says}; the baseline's differ by up to {other:.1e}, so that is nothing new"
    return "fail", f"{says}; {SAME_VECTOR:.0e} is allowed"


def _finite(candidate: Scored, rules: LimitRules, *, must_judge: bool) -> Iterator[RuleResult]:
    if not rules.finite:
        return
    facts = candidate.probe
    if facts is None:
        yield _unseen("finite", candidate, must_judge=must_judge)
    elif facts.finite:
        yield _result("finite", "pass", f"every number of the vectors of {facts.n_texts} texts is finite")
    else:
        yield _result("finite", "fail", f"vectors of {facts.n_texts} texts hold NaN or infinity")


def _normalized(candidate: Scored, baseline: Scored, rules: LimitRules) -> Iterator[RuleResult]:
    if rules.normalized is None:
        return
    if rules.normalized == "yes":
        yield _unit_length(found=_length(candidate), wanted=True, why="unit length is asked for")
        return
    # Of a pair, either what was seen of both or what both are said to be: the two needn't agree on one model.
    seen = candidate.probe is not None and baseline.probe is not None
    found, other = (_length(one) if seen else one.model.normalized for one in (candidate, baseline))
    yield _unit_length(found=found, wanted=other, why=f"the baseline's {'do' if other else 'do not'}")


def _length(scored: Scored) -> bool:
    return scored.model.normalized if scored.probe is None else scored.probe.normalized


def _unit_length(*, found: bool, wanted: bool, why: str) -> RuleResult:
    says = f"its vectors {'have' if found else 'do not have'} unit length"
    return _result("normalized", "pass" if found == wanted else "fail", f"{says}; {why}")


def _unseen(name: str, candidate: Scored, *, must_judge: bool) -> RuleResult:
    """Return the result of a rule on vectors that nobody looked at."""
    if candidate.model.dimension is None:
        return _result(name, "skipped", f"{_SPARSE}; such a model is not probed")
    if must_judge:
        return _result(
            name, "inconclusive", "its vectors were not looked at; gate the model itself, which encodes some"
        )
    return _result(name, "skipped", "a stored result has no vectors to look at")


def _result(
    name: str,
    verdict: RuleVerdict,
    sentence: str,
    *,
    unit: str = "",
    candidate: float | None = None,
    baseline: float | None = None,
    threshold: float | None = None,
) -> RuleResult:
    return RuleResult(
        id=f"limits/{name}",
        group="limits",
        on=name,
        verdict=verdict,
        severity="block",
        sentence=sentence,
        unit=unit,
        candidate=candidate,
        baseline=baseline,
        threshold=threshold,
    )
