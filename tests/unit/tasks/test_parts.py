"""An item is traced to its rows, in whichever form MTEB holds them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from datasets import Dataset
from mteb.abstasks.clustering_legacy import AbsTaskClusteringLegacy

from benchkit.tasks.parts import Records, records_of


def read(records: Records, column: str) -> list[Any]:
    return list(records.read(column)[:])


def test_an_item_is_the_row_of_its_number() -> None:
    records = records_of(SimpleNamespace(), Dataset.from_dict({"text": ["a", "b"]}), "accuracy")
    assert (records.n, records.columns) == (2, ("text",))
    assert [records.rows_of(item) for item in ("0", "1", "2", "-1", "x")] == [(0,), (1,), (), (), ()]
    assert read(records, "text") == ["a", "b"]


def test_a_query_is_found_by_its_id_and_a_group_by_all_of_its_queries() -> None:
    queries = Dataset.from_dict({"id": ["v_1", "u_2", "u_1", "w_1"], "text": ["a", "b", "c", "d"]})
    part = {"queries": queries, "relevant_docs": {"u_1": {}, "u_2": {}, "v_1": {}, "gone_1": {}}}
    alone = records_of(SimpleNamespace(), part, "ndcg_at_10")
    assert [alone.rows_of(item) for item in ("v_1", "u_1", "w_1", "gone_1")] == [(0,), (2,), (), ()]
    grouped = records_of(SimpleNamespace(), part, "max_over_subqueries_map_at_10")
    assert [grouped.rows_of(item) for item in ("u", "v", "gone")] == [(2, 1), (0,), ()]


def test_a_split_in_one_row_is_unfolded() -> None:
    rows = Dataset.from_dict({"sentence1": [["a", "b"]], "labels": [[0, 1]], "source": ["x"]})
    records = records_of(SimpleNamespace(label_column_name="labels"), rows, "max_ap")
    assert (records.n, records.columns) == (2, ("sentence1", "labels"))
    assert records.rows_of("1") == (1,)
    assert read(records, "sentence1") == ["a", "b"]


def test_an_old_bitext_has_as_many_items_as_its_shorter_list() -> None:
    records = records_of(
        SimpleNamespace(), {"sentence1": ["a"], "sentence2": ["x", "y"], "gold": [(0, 1)], "note": "x"}, "f1"
    )
    assert (records.n, records.columns) == (1, ("sentence1", "sentence2", "gold"))
    assert records.read("sentence2")[1] == "y", "the translation may lie behind the last item"


def test_items_of_several_sets_are_numbered_through() -> None:
    class Sets(AbsTaskClusteringLegacy):  # type: ignore[misc]
        def __init__(self) -> None:  # only its type and its column count here
            pass

    rows = Dataset.from_dict(
        {"sentences": [["a", "b"], ["c"]], "labels": [["x", "y"], ["x"]], "source": ["news", "mail"]}
    )
    records = records_of(Sets(), rows, "v_measure")
    assert records.n == 3
    assert read(records, "sentences") == ["a", "b", "c"]
    assert read(records, "source") == ["news", "news", "mail"]
    assert records.rows_of("2") == (2,)


def test_rows_of_a_sample_that_mteb_draws_are_not_guessed() -> None:
    rows = Dataset.from_dict({"text": ["a", "b", "c"]})
    assert records_of(SimpleNamespace(max_eval_samples=2), rows, "accuracy").rows_of("0") == ()
    assert records_of(SimpleNamespace(max_eval_samples=3), rows, "accuracy").rows_of("0") == (0,)
