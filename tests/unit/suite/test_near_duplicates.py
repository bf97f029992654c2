"""Near duplicates are exactly the pairs that comparing all with all finds."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.suite import near_duplicates as module
from benchkit.suite.near_duplicates import NearPair, grams, jaccard, near_duplicates
from benchkit.suite.text_facts import normalize


def twin(texts: list[str]) -> list[tuple[int, int]]:
    """Compare all with all, with Python's own sets of 5-grams."""
    sets = [{normal[i : i + 5] for i in range(len(normal) - 4)} for normal in map(normalize, texts)]
    found = []
    for one in range(len(texts)):
        for other in range(one + 1, len(texts)):
            if normalize(texts[one]) != normalize(texts[other]) and sets[one] | sets[other]:
                shared = len(sets[one] & sets[other]) / len(sets[one] | sets[other])
                if shared >= 0.9:
                    found.append((one, other))
    return found


def some_texts(rng: np.random.Generator, number: int) -> list[str]:
    vocabulary = ["".join(rng.choice(list("abcdefghij密码"), size=rng.integers(2, 8))) for _ in range(60)]
    texts = [" ".join(rng.choice(vocabulary, size=rng.integers(1, 40))) for _ in range(number)]
    for _ in range(number):
        source = texts[rng.integers(number)]
        place = int(rng.integers(len(source)))
        texts.append(source[:place] + rng.choice(["", "x", "xyz"]) + source[place + 1 :])
    return texts


@pytest.mark.parametrize("seed", range(4))
def test_pairs_are_those_of_comparing_all_with_all(seed: int) -> None:
    texts = some_texts(np.random.default_rng(seed), 60)
    pairs = [(pair.first, pair.second) for pair in near_duplicates(texts)]
    assert sorted(pairs) == twin(texts)
    assert len(pairs) > 5


def test_a_pair_worked_by_hand() -> None:
    # 5-grams: 16 of the first and 15 of the second; 15 shared of 16.
    assert near_duplicates(["abcdefghijklmnopqrst", "abcdefghijklmnopqrs"]) == [NearPair(0, 1, 15 / 16)]


def test_a_larger_text_with_the_same_rare_part_does_not_hide_a_pair() -> None:
    rng = np.random.default_rng(0)
    rare, common = ("".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), size=n)) for n in (80, 300))
    others = [common + "".join(rng.choice(list("0123456789"), size=100)) for _ in range(5)]
    pairs = near_duplicates([rare + "x", rare + common, rare + "y", *others])
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 2)]


def test_exact_copies_are_not_near_and_do_not_hide_a_near_one() -> None:
    text = "the quick brown fox jumps over the lazy dog and runs away"
    pairs = near_duplicates([text, text.upper(), text + "!", "short"])
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 2)]


def test_a_change_in_the_order_of_words_is_no_near_duplicate() -> None:
    assert near_duplicates(["a man bites a dog in the park", "a dog bites a man in the park"]) == []


def test_long_texts_with_one_beginning_are_compared_whole() -> None:
    start = " ".join(f"word{number}" for number in range(500))
    one, other = " ".join(f"one{n}" for n in range(900)), " ".join(f"two{n}" for n in range(900))
    assert near_duplicates([start + one, start + other]) == []
    assert [(p.first, p.second) for p in near_duplicates([start + one, start + one + " end"])] == [(0, 1)]


def test_texts_of_one_form_letter_are_all_found_without_comparing_all(monkeypatch: pytest.MonkeyPatch) -> None:
    end = "has been shipped to the address that you gave us, and will reach you within the next three working days; "
    letters = [f"Dear customer, your order {n} {end} please keep this number for questions" for n in range(300)]
    calls = []
    monkeypatch.setattr(module, "jaccard", lambda one, other: calls.append(1) or jaccard(one, other))
    pairs = near_duplicates(letters)
    assert {place for pair in pairs for place in (pair.first, pair.second)} == set(range(300))
    assert len(calls) < 300 * 299 / 4


def test_nothing_is_found_among_nothing_or_too_short_texts() -> None:
    assert near_duplicates([]) == near_duplicates(["", "a", "ab", "b"]) == []
    assert grams("abcd").size == 0
    assert jaccard(grams(""), grams("")) == 0.0


def test_more_texts_than_can_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 50000 texts, got 50001"):
        near_duplicates([""] * 50_001)
