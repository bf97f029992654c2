"""Names that a suite takes from MTEB: what MTEB doesn't know is told with its key, all of a task at once."""

from __future__ import annotations

import pytest

from benchkit.tasks.mteb_names import Misnomer, UnknownNames, check_excluded, find_benchmark, find_task

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def misnomers(name: str, **more: list[str]) -> tuple[Misnomer, ...]:
    with pytest.raises(UnknownNames) as caught:
        find_task(name, **more)
    assert str(caught.value) == "\n".join(misnomer.message for misnomer in caught.value.misnomers)
    return caught.value.misnomers


def test_a_task_with_its_subsets_and_splits_is_found() -> None:
    assert find_task("STS22", subsets=["en", "de"], splits=["test"]).metadata.name == "STS22"
    assert find_task("Banking77Classification", splits=["train"]).metadata.name == "Banking77Classification"
    assert "STS12" in {task.metadata.name for task in find_benchmark("MTEB(eng, v2)").tasks}


@pytest.mark.parametrize(("written", "meant"), [("STSBenchmrk", "STSBenchmark"), ("stsbenchmark", "STSBenchmark")])
def test_an_unknown_task_is_told_with_the_nearest_even_one_that_a_newer_task_replaces(written: str, meant: str) -> None:
    (wrong,) = misnomers(written)
    assert wrong.key == ("name",)
    assert wrong.message == (
        f"no MTEB task named '{written}' (did you mean '{meant}'?); for data of your own give type and data"
    )


def test_all_wrong_subsets_and_splits_of_a_task_are_told_at_once_with_their_places() -> None:
    wrong = misnomers("STS22", subsets=["en", "enn", "klingon"], splits=["test", "tset"])
    assert [(one.key, one.message.partition(" has ")[2]) for one in wrong] == [
        (("subsets", 1), "no subset 'enn' (did you mean 'en'?)"),
        (("subsets", 2), ("no subset 'klingon'; it has ar, de, de-en, de-fr, de-pl, en, es, es-en, es-it, fr, fr-pl, "
                          "it, pl, pl-en, ru, tr, zh, zh-en")),
        (("splits", 1), "no split 'tset' (did you mean 'test'?)"),
    ]  # fmt: skip


@pytest.mark.parametrize("split", ["dev", "test2", "test_hard", "tests", "anything"])
def test_a_split_that_is_no_slip_of_the_pen_is_left_to_the_data(split: str) -> None:
    assert find_task("STS22", splits=[split])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CQADupstackRetrieval", "is made of other tasks; name those instead: CQADupstackAndroidRetrieval, "),
        ("CIFAR10", "needs image; benchkit compares text models"),
    ],
)
def test_a_task_that_is_not_one_on_texts_is_refused(name: str, message: str) -> None:
    (wrong,) = misnomers(name)
    assert wrong.message.startswith(f"the MTEB task '{name}' {message}")


def test_an_unknown_benchmark_and_what_it_does_not_hold_are_told() -> None:
    with pytest.raises(UnknownNames) as caught:
        find_benchmark("MTEB(eng, v9)")
    assert caught.value.misnomers == (
        Misnomer(("benchmark",), "no MTEB benchmark named 'MTEB(eng, v9)' (did you mean 'MTEB(eng, v2)'?)"),
    )
    check_excluded("mine", ["STS12"], ["STS12", "STS13"])
    with pytest.raises(UnknownNames) as caught:
        check_excluded("mine", ["STS12", "STS99", "no"], ["STS12"])
    assert [misnomer.key for misnomer in caught.value.misnomers] == [("exclude", 1), ("exclude", 2)]
    assert str(caught.value).startswith("the benchmark 'mine' holds no task 'STS99' (did you mean 'STS12'?)\n")
