"""Ids and counts of tokens; transformers' own tokenizer is the twin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hub_server
import numpy as np
import pytest

from benchkit.models.hub import packaged_minilm
from benchkit.models.probes import SHORT, long_text
from benchkit.models.tokens import TokenIds, repeats_tokenizer

ODD = [
    *SHORT,
    long_text(None),
    "\n",
    "\x00",
    "a" * 5000,
    "\u200b\ufeff",
    "e\u0301 é ﬁ Ⅷ ½",
    "[MASK][MASK] [UNK]",
    "the " * 300 + "[SEP]",
    "👩‍👩‍👧‍👦 🏳️‍🌈",
    "İstanbul ß ẞ",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from sentence_transformers import SentenceTransformer

    directory = packaged_minilm() or hub_server.build_bert(tmp_path_factory.mktemp("models") / "bert")
    return SentenceTransformer(str(directory), device="cpu", local_files_only=True)


def own_ids(model: Any, texts: list[str], prompt: str = "") -> list[list[int]]:
    features = model.preprocess(texts, prompt=prompt)
    masks = features["attention_mask"].bool()
    return [ids[mask].tolist() for ids, mask in zip(features["input_ids"], masks, strict=True)]


@pytest.mark.parametrize("prompt", ["", "query: ", "  \n", "[SEP]"])
@pytest.mark.parametrize("limit", [None, 3, 5, 16, 64])
def test_the_ids_are_those_of_the_model_s_own_tokenizer(model: Any, limit: int | None, prompt: str) -> None:
    longest = model.max_seq_length
    model.max_seq_length = limit or longest
    try:
        expected = own_ids(model, ODD, prompt)
        tokens = TokenIds(model.tokenizer, limit or longest)
        assert [ids.tolist() for ids in tokens.ids([prompt + text for text in ODD])] == expected
        assert own_ids(model, ODD, prompt) == expected  # whose own limits are back
    finally:
        model.max_seq_length = longest


def test_counts_are_before_truncation_and_ids_behind_it(model: Any) -> None:
    tokens = TokenIds(model.tokenizer, 8)
    counts = tokens.count(ODD)
    expected = [len(model.tokenizer(text, truncation=False, verbose=False)["input_ids"]) for text in ODD]
    assert counts.dtype == np.int64
    assert counts.tolist() == expected
    assert [len(ids) for ids in tokens.ids(ODD)] == np.minimum(counts, 8).tolist()


class Counting:
    """A tokenizer that counts the texts that it is given."""

    def __init__(self, tokenizer: Any) -> None:
        self._fast = tokenizer.backend_tokenizer
        self.backend_tokenizer = self
        self.texts: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fast, name)

    def encode_batch_fast(self, texts: list[str]) -> Any:
        self.texts += texts
        return self._fast.encode_batch_fast(texts)


def test_what_was_counted_is_not_tokenised_again(model: Any) -> None:
    plain, counting = TokenIds(model.tokenizer, 8), Counting(model.tokenizer)
    tokens = TokenIds(counting, 8)
    tokens.count(ODD)
    counting.texts.clear()
    found = tokens.ids([*ODD[::-1], "new"])
    assert counting.texts == ["new"]
    assert [ids.tolist() for ids in found] == [ids.tolist() for ids in plain.ids([*ODD[::-1], "new"])]
    tokens.ids(ODD)
    assert counting.texts == ["new", *ODD]  # what was used is dropped


def test_what_is_kept_stays_within_its_bound_and_the_oldest_goes_first(model: Any) -> None:
    counting = Counting(model.tokenizer)
    tokens = TokenIds(counting, None, kept_bytes=3 * 300)
    tokens.count(["one", "two", "three", "four", "five", "six", "six"])
    counting.texts.clear()
    tokens.ids(["six", "five", "one"])
    assert counting.texts == ["one"]


def test_the_bound_holds_after_everything_was_used(model: Any) -> None:
    tokens = TokenIds(model.tokenizer, 8)
    before = tokens._free_bytes
    tokens.count(ODD)
    assert tokens._free_bytes < before
    tokens.ids(ODD)
    assert tokens._free_bytes == before


def test_a_limit_without_room_is_refused(model: Any) -> None:
    with pytest.raises(ValueError, match="the longest input, 2 tokens, has room for special tokens only"):
        TokenIds(model.tokenizer, 2)


def test_special_tokens_within_a_text_are_refused(model: Any) -> None:
    class Odd:
        """Puts a token between the two words."""

        def __init__(self) -> None:
            self.backend_tokenizer = self

        def no_truncation(self) -> None: ...

        def no_padding(self) -> None: ...

        def encode(self, text: str, add_special_tokens: bool = True) -> Any:
            return type("Encoding", (), {"ids": [5, 9, 6] if add_special_tokens else [5, 6]})

    with pytest.raises(ValueError, match="its special tokens stand within the text"):
        TokenIds(Odd(), None)


@pytest.mark.parametrize(("behind", "is_same"), [([7, 102], True), ([8, 102], False), ([7], False)])
def test_one_id_that_differs_is_told(model: Any, behind: list[int], is_same: bool) -> None:
    class Fixed:
        def ids(self, texts: list[str]) -> list[Any]:
            return [np.array([101, 7, 102]) for _ in texts]

    tokens: Any = Fixed()
    assert repeats_tokenizer(tokens, [[101, *behind]], ["a"]) is is_same


def test_texts_that_stand_in_one_call_twice_get_their_ids_twice(model: Any, tmp_path: Path) -> None:
    tokens = TokenIds(model.tokenizer, 8)
    tokens.count(["fox", "fox"])
    first, second = tokens.ids(["fox", "fox"])
    assert first.tolist() == second.tolist()
