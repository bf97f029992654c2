from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchkit.embeddings.encoder import CachedEncoder, EncodeCounts
from benchkit.embeddings.store import CacheWriteError, VectorSpace, VectorStore
from benchkit.embeddings.upkeep import info
from benchkit.types.model import Encoder

ODD_TEXTS = ["", "\0", "\ud800", "\udfff", "😀", "\ud83d\ude00", "x" * 100_000, "a", "A", "a "]


def _run(encoder: Any, cache: Path | None, texts: list[str], **options: Any) -> np.ndarray:
    if cache is None:
        return CachedEncoder(encoder, **options).encode(texts)
    with VectorStore(cache) as store:
        return CachedEncoder(encoder, store, **options).encode(texts)


def test_it_is_an_encoder_that_passes_on_what_it_does_not_change(make_encoder: Any) -> None:
    inner = make_encoder(tokens=True)
    cached = CachedEncoder(inner)
    assert isinstance(cached, Encoder)
    assert cached.meta is inner.meta
    assert cached.prompt_for(task_name="t", task_type="STS", role="query") == "t/STS/query: "
    assert np.array_equal(cached.count_tokens(["a b", "c"]), [2, 1])


def test_each_distinct_text_goes_through_the_model_once(make_encoder: Any, tmp_path: Path) -> None:
    for cache in (tmp_path, None):
        encoder = make_encoder()
        with VectorStore(tmp_path) as store:
            cached = CachedEncoder(encoder, store if cache else None)
            first = cached.encode(["b", "a", "b", "a", "c"])
            second = cached.encode(["c", "d", "a"])
        np.testing.assert_array_equal(first[[0, 1]], first[[2, 3]])
        np.testing.assert_array_equal(second[[0, 2]], first[[4, 1]])
        assert sorted(text for batch in encoder.batches for text in batch) == ["a", "b", "c", "d"]


def test_vectors_are_those_of_the_model_in_the_order_of_the_texts(make_encoder: Any, corpus: list[str]) -> None:
    encoder = make_encoder()
    got = _run(encoder, None, corpus, batch_size=8)
    assert (got.dtype, got.shape) == (np.float32, (len(corpus), 12))
    by_text = {}
    for batch in list(encoder.batches):
        by_text.update(zip(batch, encoder.encode(batch), strict=True))
    np.testing.assert_array_equal(got, [by_text[text] for text in corpus])


def test_odd_texts_keep_their_own_vectors_through_the_cache(make_encoder: Any, tmp_path: Path) -> None:
    first = _run(make_encoder(), tmp_path, ODD_TEXTS)
    again = make_encoder()
    np.testing.assert_array_equal(_run(again, tmp_path, ODD_TEXTS[::-1]), first[::-1])
    assert again.batches == []
    assert len({row.tobytes() for row in first}) == len(ODD_TEXTS)


def test_model_prompt_and_role_each_have_vectors_of_their_own(make_encoder: Any, tmp_path: Path) -> None:
    with VectorStore(tmp_path) as store:
        cached = CachedEncoder(make_encoder(), store)
        other = CachedEncoder(make_encoder("other"), store)
        calls: list[tuple[CachedEncoder, dict[str, Any]]] = [
            (cached, {}),
            (cached, {"role": "query"}),
            (cached, {"role": "document"}),
            (cached, {"prompt": "query"}),
            (other, {}),
        ]
        for encoder, options in calls:
            encoder.encode(["a"], **options)
        assert (cached.counts.encoded, other.counts.encoded) == (4, 1)
        vectors = [encoder.encode(["a"], **options).tobytes() for encoder, options in calls]
    assert len(set(vectors)) == 4  # the two models have one formula
    assert [(total.fingerprint, total.spaces) for total in sorted(info(tmp_path), key=lambda t: t.fingerprint)] == [
        ("abc123", 4),
        ("other", 1),
    ]
    assert info(tmp_path)[0].facts["dimension"] == 12


def test_models_of_one_vector_key_share_the_vectors_of_one_prompt(make_encoder: Any, tmp_path: Path) -> None:
    plain, prompted = make_encoder("plain"), make_encoder("prompted")
    plain.vector_key = prompted.vector_key = "weights"
    with VectorStore(tmp_path) as store:
        first, second = CachedEncoder(plain, store), CachedEncoder(prompted, store)
        np.testing.assert_array_equal(first.encode(["a", "b"]), second.encode(["a", "b"]))
        second.encode(["a"], prompt="query: ")
    assert (first.counts.encoded, second.counts.encoded) == (2, 1)
    assert [(total.fingerprint, total.spaces) for total in info(tmp_path)] == [("weights", 2)]


def test_vectors_of_another_context_are_not_used(make_encoder: Any, tmp_path: Path) -> None:
    encoder = make_encoder()
    for context in ({"torch": "2.4"}, {"torch": "2.5"}, None, {"torch": "2.4"}):
        _run(encoder, tmp_path, ["a"], context=context)
    assert len(encoder.batches) == 3


def test_the_longest_texts_come_first_in_batches_that_only_the_set_of_texts_decides(
    make_encoder: Any, corpus: list[str]
) -> None:
    one, other = make_encoder(), make_encoder()
    _run(one, None, corpus, batch_size=32)
    _run(other, None, corpus[::-1] + corpus[:50], batch_size=32)
    assert one.batches == other.batches
    assert [len(batch) for batch in one.batches] == [32] * 18 + [24]
    lengths = [len(text) for batch in one.batches for text in batch]
    assert lengths == sorted(lengths, reverse=True)


def test_tokens_decide_the_order_where_the_model_counts_them(make_encoder: Any) -> None:
    encoder = make_encoder(tokens=True)
    _run(encoder, None, ["longest-in-characters", "a b c", "a b"], batch_size=1)
    assert encoder.batches == [["a b c"], ["a b"], ["longest-in-characters"]]


@pytest.mark.parametrize("n_batches", [0, 1, 37, 74])
def test_an_interrupted_run_is_finished_byte_for_byte(
    make_encoder: Any, corpus: list[str], tmp_path: Path, n_batches: int
) -> None:
    whole = _run(make_encoder(), tmp_path / "whole", corpus, batch_size=8)
    interrupted = make_encoder()

    def stop(vectors: np.ndarray) -> np.ndarray:
        if len(interrupted.batches) > n_batches:
            raise KeyboardInterrupt
        return vectors

    interrupted.spoil = stop
    with pytest.raises(KeyboardInterrupt):
        _run(interrupted, tmp_path / "cut", corpus, batch_size=8)
    rerun = make_encoder()
    assert _run(rerun, tmp_path / "cut", corpus, batch_size=8).tobytes() == whole.tobytes()
    assert len(rerun.batches) == 75 - n_batches


# Batches by tokens


def _tokens(text: str) -> int:
    return len(text.split())


def test_batches_of_a_model_that_likes_tokens_are_full_of_them(make_token_encoder: Any, corpus: list[str]) -> None:
    encoder = make_token_encoder(batch_tokens=40)
    _run(encoder, None, corpus)
    sums = [sum(map(_tokens, batch)) for batch in encoder.batches]
    assert max(sums) <= 40
    # the next text would have been one too many
    firsts = [_tokens(batch[0]) for batch in encoder.batches[1:]]
    assert all(total + first > 40 for total, first in zip(sums, firsts, strict=False))
    lengths = [_tokens(text) for batch in encoder.batches for text in batch]
    assert lengths == sorted(lengths, reverse=True)


def test_tokens_that_the_model_does_not_read_take_no_room(make_token_encoder: Any) -> None:
    texts = [f"{name} b c d e f g h i j" for name in "abcd"]
    encoder = make_token_encoder(batch_tokens=10, max_seq_length=5)
    _run(encoder, None, texts)
    assert [len(batch) for batch in encoder.batches] == [2, 2]


def test_a_text_longer_than_the_room_is_a_batch_of_its_own(make_token_encoder: Any) -> None:
    encoder = make_token_encoder(batch_tokens=3)
    _run(encoder, None, ["a b c d e", "a b", "c"])
    assert encoder.batches == [["a b c d e"], ["a b", "c"]]


def test_texts_without_a_token_do_not_all_go_into_one_batch(
    make_token_encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchkit.embeddings.encoder.MOST_TEXTS", 4)
    encoder = make_token_encoder()
    _run(encoder, None, [" " * n for n in range(10)])
    assert [len(batch) for batch in encoder.batches] == [4, 4, 2]


def test_an_interruption_after_any_batch_of_tokens_is_finished_byte_for_byte(
    make_token_encoder: Any, corpus: list[str], tmp_path: Path
) -> None:
    texts = corpus[:120]
    uninterrupted = make_token_encoder()
    whole = _run(uninterrupted, tmp_path / "whole", texts)
    n_batches = len(uninterrupted.batches)
    assert n_batches > 30
    for n_done in range(n_batches):
        interrupted = make_token_encoder()

        def stop(vectors: np.ndarray, model: Any = interrupted, n_done: int = n_done) -> np.ndarray:
            if len(model.batches) > n_done:
                raise KeyboardInterrupt
            return vectors

        interrupted.spoil = stop
        with pytest.raises(KeyboardInterrupt):
            _run(interrupted, tmp_path / str(n_done), texts)
        rerun = make_token_encoder()
        assert _run(rerun, tmp_path / str(n_done), texts).tobytes() == whole.tobytes()
        assert rerun.batches == uninterrupted.batches[n_done:]


def test_small_batches_are_blocks_of_one_file(make_token_encoder: Any, corpus: list[str], tmp_path: Path) -> None:
    encoder = make_token_encoder(batch_tokens=1)
    _run(encoder, tmp_path, corpus)
    (segment,) = tmp_path.rglob("*.seg")
    assert len(encoder.batches) == len(corpus)
    assert segment.stat().st_size == len(corpus) * (32 + 16 + 4 * 12)  # header, key and vector


# Tokens, counted once


def test_texts_are_counted_with_their_prompt_once_and_before_they_are_encoded(make_token_encoder: Any) -> None:
    encoder = make_token_encoder()
    cached = CachedEncoder(encoder)
    for prompt in ("", "query: ", "", "query: "):
        cached.encode(["a", "b b", "a"], prompt=prompt)
    assert encoder.counted == [["a", "b b"], ["query: a", "query: b b"]]
    cached.encode(["c", "a", "b b"], prompt="query: ")
    assert encoder.counted[2:] == [["query: c"]]


def test_watching_counts_no_text_again_that_was_counted_to_be_encoded(
    make_token_encoder: Any, corpus: list[str]
) -> None:
    encoder = make_token_encoder(max_seq_length=12)
    cached = CachedEncoder(encoder)
    n_cut = sum(_tokens(text) > 12 for text in corpus)
    for _ in range(3):  # three cells on the same texts
        read = cached.watch()
        cached.encode(corpus[:400])
        cached.encode(corpus[300:] + corpus[:7])
        assert (read.n_texts, read.n_cut) == (len(corpus), n_cut)
    counted = [text for call in encoder.counted for text in call]
    assert sorted(counted) == sorted(corpus)
    assert len(encoder.counted) == 2


def test_the_cut_texts_are_the_same_where_vectors_are_known(
    make_token_encoder: Any, corpus: list[str], tmp_path: Path
) -> None:
    found = []
    for n_known in (0, 0, 250):  # cold, all vectors known, some of them
        encoder = make_token_encoder(f"model {n_known}", max_seq_length=12)
        if n_known:
            _run(make_token_encoder(f"model {n_known}"), tmp_path, corpus[:n_known])
        with VectorStore(tmp_path) as store:
            cached = CachedEncoder(encoder, store)
            read = cached.watch()
            cached.encode(corpus, prompt="")
            cached.encode(corpus)
        found.append((read.n_texts, read.n_cut))
        counted = [text for call in encoder.counted for text in call]
        assert len(counted) == len(set(counted)) > 0
    assert len(set(found)) == 1
    assert found[0][1] > 100


def test_known_texts_are_not_counted_where_nobody_watches(make_token_encoder: Any, tmp_path: Path) -> None:
    _run(make_token_encoder(), tmp_path, ["word " * 30])
    encoder = make_token_encoder(max_seq_length=4)
    _run(encoder, tmp_path, ["word " * 30])
    assert encoder.counted == []


def test_a_model_without_a_tokenizer_is_watched_without_a_word(make_encoder: Any) -> None:
    cached = CachedEncoder(make_encoder(max_seq_length=4))
    read = cached.watch()
    for _ in range(2):
        cached.encode(["word " * 30, "a"])
    assert (read.n_texts, read.n_cut) == (2, 0)


def test_a_killed_run_is_finished_byte_for_byte(
    make_encoder: Any, corpus: list[str], tmp_path: Path, start_child: Any
) -> None:
    whole = _run(make_encoder(), tmp_path / "whole", corpus, batch_size=8)
    cache = tmp_path / "cut"
    child = start_child("encode", cache, 0.05)
    while not any(path.stat().st_size > 5_000 for path in cache.rglob("*.seg")):
        assert child.poll() is None, "the child ended before it could be killed"
        time.sleep(0.002)
    child.kill()  # SIGKILL
    assert child.wait() == -signal.SIGKILL
    rerun = make_encoder()
    assert _run(rerun, cache, corpus, batch_size=8).tobytes() == whole.tobytes()
    assert 0 < len(rerun.batches) < 75


def test_a_damaged_batch_is_said_and_encoded_again_byte_for_byte(
    make_encoder: Any, corpus: list[str], tmp_path: Path
) -> None:
    whole = _run(make_encoder(), tmp_path, corpus, batch_size=8)
    (segment,) = tmp_path.rglob("*.seg")
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    rerun, warnings = make_encoder(), []
    assert _run(rerun, tmp_path, corpus, batch_size=8, on_warning=warnings.append).tobytes() == whole.tobytes()
    assert [len(batch) for batch in rerun.batches] == [8]
    assert warnings == ["fake: 1 damaged blocks in the embedding cache are left out; their texts are encoded again"]


def test_a_cache_that_fails_midway_is_said_once_and_the_run_goes_on(
    make_encoder: Any, corpus: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, taken = VectorSpace.append, [0]

    def filling(self: VectorSpace, keys: np.ndarray, vectors: np.ndarray) -> None:
        taken[0] += 1
        if taken[0] > 3:
            raise CacheWriteError("/cache: the embedding cache can't be used: No space left on device")
        append(self, keys, vectors)

    monkeypatch.setattr(VectorSpace, "append", filling)
    whole = _run(make_encoder(), None, corpus, batch_size=8)
    encoder, warnings = make_encoder(), []
    with VectorStore(tmp_path) as store:
        cached = CachedEncoder(encoder, store, batch_size=8, on_warning=warnings.append)
        for _ in range(2):
            assert cached.encode(corpus).tobytes() == whole.tobytes()
        cached.encode(["x"], role="query")
    assert len(encoder.batches) == 75 + 1
    assert warnings == [
        "going on without the embedding cache: /cache: the embedding cache can't be used: No space left on device"
    ]


def test_a_cache_that_cannot_be_opened_is_said_once_and_vectors_stay_in_memory(
    make_encoder: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    encoder, warnings = make_encoder(), []
    cached = CachedEncoder(encoder, VectorStore(tmp_path / "file" / "cache"), on_warning=warnings.append)
    for role in ("query", "query", "document"):
        cached.encode(["a"], role=role)  # type: ignore[arg-type]
    assert len(encoder.batches) == 2
    assert len(warnings) == 1
    assert "Not a directory" in warnings[0]


def test_without_a_callback_a_warning_is_a_python_warning(make_encoder: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(RuntimeWarning, match="going on without the embedding cache"):
        CachedEncoder(make_encoder(), VectorStore(tmp_path / "file" / "cache")).encode(["a"])


def test_known_vectors_are_used_where_only_the_description_cannot_be_written(
    make_encoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(make_encoder(), tmp_path, ["a"])

    def broken(_self: VectorStore, _fingerprint: str, _facts: object) -> None:
        raise CacheWriteError("disk full")

    monkeypatch.setattr(VectorStore, "describe", broken)
    encoder = make_encoder()
    _run(encoder, tmp_path, ["a"])
    assert encoder.batches == []


def _spoiled(rows: list[int], value: float) -> Any:
    def spoil(vectors: np.ndarray) -> np.ndarray:
        vectors[rows, 0] = value
        return vectors

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_spoiled([1], np.nan), r"fake returned NaN or infinity for the texts \[3\] 'cccc'$"),
        (_spoiled([0, 1, 2, 3], np.inf), r"\[4\] '(e{12,})\.\.\.(e+)', \[3\] 'cccc', \[0\] 'bbb' and 1 more$"),
        (lambda v: v.astype(np.float64) * 1e300, "returned NaN or infinity"),
        (lambda v: v[:-1], r"returned an array \(3, 12\) for 4 texts"),
        (lambda v: v[0], r"returned an array \(12,\) for 4 texts"),
        (lambda v: v[:, :0], r"returned an array \(4, 0\) for 4 texts"),
        (lambda v: v[:, :11], "returned vectors of 11 dimensions; expected 12"),
    ],
    ids=["nan", "many infinities", "float64 too large", "one missing", "one vector", "empty vectors", "dimension"],
)
def test_bad_vectors_are_refused_and_never_kept(make_encoder: Any, tmp_path: Path, spoil: Any, message: str) -> None:
    encoder = make_encoder()
    encoder.spoil = spoil
    texts = ["bbb", "a", "a", "cccc", "e" * 500]  # batch order: [4], [3], [0], [1]
    with pytest.raises(ValueError, match=message):
        _run(encoder, tmp_path, texts)
    assert info(tmp_path)[0].vectors == 0


def test_another_dimension_than_that_kept_under_the_fingerprint_is_refused(make_encoder: Any, tmp_path: Path) -> None:
    _run(make_encoder(), tmp_path, ["a"])
    other = make_encoder()
    object.__setattr__(other.meta, "dimension", 6)
    with pytest.raises(
        ValueError, match="fake says 6 dimensions, the vectors kept under its fingerprint abc123 have 12"
    ):
        _run(other, tmp_path, ["a"])


def test_float64_and_reused_output_arrays_are_fine(make_encoder: Any) -> None:
    encoder, buffer = make_encoder(), np.empty((2, 12))

    def into_buffer(vectors: np.ndarray) -> np.ndarray:
        buffer[: len(vectors)] = vectors
        return buffer[: len(vectors)]

    encoder.spoil = into_buffer
    texts = ["a", "bb", "ccc", "dddd", "eeeee"]
    np.testing.assert_array_equal(
        _run(encoder, None, texts, batch_size=2), _run(make_encoder(), None, texts, batch_size=2)
    )


def test_no_texts_have_no_vectors(make_encoder: Any) -> None:
    encoder = make_encoder()
    assert _run(encoder, None, []).shape == (0, 12)
    assert encoder.batches == []


def test_one_string_and_an_empty_batch_are_refused(make_encoder: Any) -> None:
    with pytest.raises(TypeError, match="takes a sequence of texts, got one string"):
        CachedEncoder(make_encoder()).encode("abc")
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        CachedEncoder(make_encoder(), batch_size=0)


def test_counts_and_progress_add_up(make_encoder: Any) -> None:
    # The clock moves on by one between two looks: three batches and two counts of tokens.
    progress, now = [], iter(range(100))
    cached = CachedEncoder(
        make_encoder(), batch_size=2, on_progress=lambda *x: progress.append(x), clock=lambda: float(next(now))
    )
    cached.encode(["a", "b", "c", "a"])
    cached.encode(["c", "d"])
    assert cached.counts == EncodeCounts(texts=6, distinct=5, encoded=4, cached=1, encode_s=5.0)
    assert progress == [(0, 3), (2, 3), (3, 3), (1, 2), (2, 2)]


def test_repeated_and_found_texts_in_more_parts_than_one_are_whole(
    make_encoder: Any, corpus: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchkit.embeddings.encoder._ROWS_AT_A_TIME", 7)
    first = _run(make_encoder(), tmp_path, corpus)
    doubled = _run(make_encoder(), tmp_path, [text for text in corpus for _ in range(3)])
    np.testing.assert_array_equal(doubled, np.repeat(first, 3, axis=0))
