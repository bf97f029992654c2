"""Where batches end, and which texts a model reads the beginning of only."""

from __future__ import annotations

import numpy as np
import pytest

from benchkit.embeddings.fingerprint import text_keys
from benchkit.embeddings.lengths import CutTexts, ReadTexts, cut_batches


def cut(lengths: list[int] | np.ndarray, *, tokens: int, texts: int = 100) -> list[list[int]]:
    array = np.asarray(lengths, np.int64)
    return [array[batch].tolist() for batch in cut_batches(array, max_tokens=tokens, max_texts=texts)]


# Batches


@pytest.mark.parametrize(
    ("lengths", "tokens", "texts", "batches"),
    [
        ([9, 5, 4, 3, 3], 9, 100, [[9], [5, 4], [3, 3]]),
        ([5, 4, 3], 12, 100, [[5, 4, 3]]),
        ([20, 9, 1], 10, 100, [[20], [9, 1]]),
        ([0, 0, 0], 10, 2, [[0, 0], [0]]),
        ([2, 2], 1, 100, [[2], [2]]),
        ([1, 1, 0, 0], 2, 100, [[1, 1, 0, 0]]),
        ([], 10, 2, []),
    ],
    ids=["room left over", "just fits", "one text too long", "cap", "all too long", "nothing to add", "no texts"],
)
def test_batches_end_where_they_should(lengths, tokens, texts, batches):
    assert cut(lengths, tokens=tokens, texts=texts) == batches


def test_without_lengths_that_count_only_the_number_of_texts_ends_a_batch():
    assert [len(batch) for batch in cut([0] * 75, tokens=0, texts=32)] == [32, 32, 11]


def _twin(lengths: list[int], tokens: int, texts: int) -> list[list[int]]:
    batches: list[list[int]] = []
    for length in lengths:
        if batches and sum(batches[-1]) + length <= tokens and len(batches[-1]) < texts:
            batches[-1].append(length)
        else:
            batches.append([length])
    return batches


@pytest.mark.parametrize("seed", range(40))
def test_batches_agree_with_adding_one_text_after_the_other(seed):
    rng = np.random.default_rng(seed)
    lengths = np.sort(rng.integers(0, rng.integers(2, 80), rng.integers(0, 300)))[::-1]
    tokens, texts = int(rng.integers(1, 200)), int(rng.integers(1, 30))
    assert cut(lengths, tokens=tokens, texts=texts) == _twin(lengths.tolist(), tokens, texts)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_left_after_any_number_of_batches_is_cut_the_same_way(seed):
    rng = np.random.default_rng(seed)
    lengths = np.sort(rng.lognormal(2.5, 1, 200).astype(np.int64))[::-1]
    tokens, texts = int(rng.integers(1, 300)), int(rng.integers(1, 30))
    whole = cut(lengths, tokens=tokens, texts=texts)
    for n_done in range(len(whole) + 1):
        left = lengths[sum(map(len, whole[:n_done])) :]
        assert cut(left, tokens=tokens, texts=texts) == whole[n_done:]


# Cut texts

LONG, MEDIUM, SHORT = "one two three four five six", "antidisestablishmentarianism", "a b"
TEXTS = [LONG, MEDIUM, SHORT]
KEYS = text_keys(TEXTS)


def test_texts_beyond_the_limit_are_cut_and_others_are_not():
    known = CutTexts(5)
    known.note(TEXTS, KEYS, "", np.array([6, 5, 2]))
    assert known.among(KEYS, "").tolist() == [True, False, False]
    assert known.among(text_keys(["never seen"]), "").tolist() == [False]


def test_only_texts_with_enough_bytes_are_asked_for_and_each_once():
    known = CutTexts(20)
    assert known.unknown(TEXTS, KEYS, "").tolist() == [0, 1]
    known.note([MEDIUM], KEYS[1:2], "", np.array([7]))
    assert known.unknown(TEXTS, KEYS, "").tolist() == [0]
    known.note([LONG], KEYS[:1], "", np.array([8]))
    assert known.unknown(TEXTS, KEYS, "").tolist() == []


def test_bytes_count_and_not_characters():
    # 5 characters of 3 bytes each may be 15 tokens
    assert CutTexts(20).unknown(["充电桩电缆"], text_keys(["充电桩电缆"]), "").tolist() == [0]
    assert CutTexts(24).unknown(["充电桩电缆"], text_keys(["充电桩电缆"]), "").tolist() == []


def test_the_prompt_takes_room_and_what_is_known_under_one_says_nothing_of_another():
    known = CutTexts(20)
    assert known.unknown([SHORT], KEYS[2:], "a prompt of sixteen").tolist() == [0]
    known.note([LONG], KEYS[:1], "", np.array([21]))
    assert known.unknown([LONG], KEYS[:1], "query: ").tolist() == [0]
    assert not known.among(KEYS, "query: ").any()


def test_a_text_without_enough_bytes_is_never_cut_so_that_a_known_vector_changes_no_count():
    known = CutTexts(20)
    known.note([SHORT], KEYS[2:], "", np.array([21]))  # a ligature may be more tokens than bytes
    assert not known.among(KEYS, "").any()


def test_a_model_that_reads_everything_cuts_nothing():
    known = CutTexts(None)
    known.note(TEXTS, KEYS, "", np.array([10**6] * 3))
    assert known.unknown(TEXTS, KEYS, "").tolist() == []
    assert not known.among(KEYS, "").any()


def test_a_text_that_is_read_twice_counts_once_and_is_cut_when_it_was_once():
    read = ReadTexts()
    read.add(KEYS, np.array([True, False, False]))
    read.add(KEYS[:2], np.array([True, True]))
    assert (read.n_texts, read.n_cut) == (3, 2)
