"""Two models on texts: which texts are drawn, what is encoded how, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from fakes import HashingEncoder
from monitored import ListSource, cut, live_model

from benchkit.drift.versions import compare_versions
from benchkit.errors import ModelError, SourceError, UsageError
from benchkit.monitor.live_model import LiveModel
from benchkit.monitor.versions import DrawnTexts, ModelsRequest, compare_models, read_texts, run
from benchkit.types.drift import Rows

TEXTS = tuple(f"a text of {number} words" for number in range(80))
QUERIES = tuple(f"what of {number}" for number in range(20))


class Recording(LiveModel):
    """A model that notes what it was asked."""

    asked: ClassVar[list[tuple[tuple[str, ...], tuple[str | None, ...]]]] = []

    def encode(self, texts, roles=None):
        self.asked.append((tuple(texts), tuple(roles)))
        return super().encode(texts, roles)


def source(texts, size=None):
    rows = Rows(vectors=np.empty((len(texts), 0), np.float32), texts=tuple(texts))
    return ListSource(cut(rows, size) if size else [rows])


def drawn(texts, name="texts.txt"):
    return DrawnTexts(name, tuple(texts), len(texts), 0, False)


# ------------------------------------------------------------ texts


def test_each_text_is_taken_once_and_blank_ones_are_not():
    found = read_texts(source(["a", "b", None, "a", "  ", "", "c", "a"], 3))
    assert sorted(found.texts) == ["a", "b", "c"]
    assert (found.rows, found.empty, found.is_sample) == (5, 3, False)


def test_neither_order_nor_batches_nor_copies_decide_what_is_drawn():
    texts = [f"t{number}" for number in range(300)]
    first = read_texts(source(texts), most=20, seed=4)
    again = read_texts(source(texts[::-1] + texts[:50] * 5, 7), most=20, seed=4)
    assert first.texts == again.texts
    assert len(first.texts) == 20
    assert first.is_sample
    assert again.is_sample
    assert read_texts(source(texts), most=20, seed=5).texts != first.texts


def test_each_text_is_as_likely_as_any_other_however_often_it_is_there():
    # 400 draws of 10 from 40 distinct: each 100 times on average, standard deviation 8.7.
    texts = [str(number) for number in range(40)] + ["0"] * 60
    counts = dict.fromkeys(texts, 0)
    for seed in range(400):
        for text in read_texts(source(texts, 30), most=10, seed=seed).texts:
            counts[text] += 1
    assert sum(counts.values()) == 4000
    assert all(abs(count - 100) < 6 * 8.7 for count in counts.values())


def test_exactly_as_many_as_allowed_are_no_sample():
    assert not read_texts(source("abcde"), most=5).is_sample
    assert read_texts(source("abcdef"), most=5).is_sample


def test_a_source_without_texts_is_refused():
    with pytest.raises(SourceError, match="made-up: has no texts; name their column"):
        read_texts(ListSource([Rows(vectors=np.zeros((2, 3)))]))
    with pytest.raises(SourceError, match="made-up: no text in it"):
        read_texts(source([None, " "]))
    with pytest.raises(ValueError, match="at least one text is drawn, got most=0"):
        read_texts(source("a"), most=0)


# ------------------------------------------------------------ models


def test_a_model_is_a_drop_in_for_itself():
    report = compare_models(live_model(), live_model(), drawn(TEXTS))
    assert report.figures.advice == "drop-in"
    assert (report.figures.mean_cosine, report.figures.cross_recall_at_10) == (pytest.approx(1.0), 1.0)
    assert (report.old.name, report.old.dimension, report.queries) == ("hashing", 10, None)


def test_another_model_is_none():
    other = live_model(HashingEncoder(dimension=12), "other")
    report = compare_models(live_model(), other, drawn(TEXTS))
    assert not report.figures.same_space
    assert report.figures.mean_cosine is None
    assert (report.new.name, report.new.dimension, report.new.fingerprint) == ("other", 12, other.fingerprint)


def test_figures_are_those_of_the_vectors():
    old, new = live_model(), live_model(HashingEncoder(dimension=12))
    report = compare_models(old, new, drawn(TEXTS), queries=drawn(QUERIES, "queries.txt"), seed=3)
    documents, queries = ["document"] * len(TEXTS), ["query"] * len(QUERIES)
    assert report.figures == compare_versions(
        old.encode(TEXTS, documents),
        new.encode(TEXTS, documents),
        old_queries=old.encode(QUERIES, queries),
        new_queries=new.encode(QUERIES, queries),
        seed=3,
    )
    assert report.figures.n_queries == len(QUERIES)


def test_texts_go_first_and_have_a_role_only_beside_queries():
    model = live_model()
    recording = Recording(model.spec, model.loaded)
    Recording.asked = []
    compare_models(recording, model, drawn(TEXTS))
    compare_models(recording, model, drawn(TEXTS), queries=drawn(QUERIES))
    assert Recording.asked == [
        (TEXTS, (None,) * 80),
        (TEXTS, ("document",) * 80),
        (QUERIES, ("query",) * 20),
    ]


def test_queries_that_are_texts_are_left_out_and_counted():
    report = compare_models(live_model(), live_model(), drawn(TEXTS), queries=drawn((*QUERIES, *TEXTS[:5])))
    assert (report.left_out_queries, report.figures.n_queries) == (5, 20)
    with pytest.raises(
        UsageError, match=r"q\.txt: every query is one of the texts of texts\.txt, and would find itself"
    ):
        compare_models(live_model(), live_model(), drawn(TEXTS), queries=drawn(TEXTS[:5], "q.txt"))


def test_too_few_texts_are_refused():
    with pytest.raises(UsageError, match=r"texts\.txt: 59 distinct texts; 60 are needed to compare two models"):
        compare_models(live_model(), live_model(), drawn(TEXTS[:59]))


def test_a_vector_that_is_not_finite_is_told_with_the_models():
    class Broken(HashingEncoder):
        def encode(self, texts, *, prompt="", role=None):
            return super().encode(texts, prompt=prompt, role=role) * np.float32(np.nan)

    with pytest.raises(ModelError, match="hashing and bad can't be compared: "):
        compare_models(live_model(), live_model(Broken(dimension=10), "bad"), drawn(TEXTS))


def test_a_missing_file_is_told_before_a_model_is_loaded(tmp_path: Path):
    with pytest.raises(SourceError, match=r"gone\.txt"):
        run(ModelsRequest(old="no-such-model", new="no-such-model", texts=str(tmp_path / "gone.txt")))
