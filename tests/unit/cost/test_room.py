"""No group takes more memory than there is, and every model is in one."""

from __future__ import annotations

import random

import pytest
from cost_fakes import meta_of

from benchkit.cost.room import (
    IMPORT_BYTES,
    LEXICAL_BYTES,
    REMOTE_BYTES,
    USABLE,
    Group,
    need_bytes,
    plan_groups,
)

MIB = 2**20


def test_all_together_where_the_memory_is_enough() -> None:
    # 3 + 4 + 1 and once more the reference of 1: 9 of the usable 9.6.
    assert plan_groups([3, 4, 1], reference=2, free_bytes=12) == (Group((0, 1, 2), has_control=True),)


def test_one_byte_too_few_makes_two_groups() -> None:
    assert plan_groups([30, 40, 10], reference=2, free_bytes=112) == (
        Group((2, 0), has_control=True),
        Group((2, 1), has_control=True),
    )


def test_a_model_that_fits_beside_nothing_comes_last_and_alone() -> None:
    assert plan_groups([10, 500, 20], reference=0, free_bytes=100) == (
        Group((0, 2), has_control=True),
        Group((1,), has_control=False),
    )


def test_without_a_reference_all_are_together() -> None:
    assert plan_groups([5, 5], reference=None, free_bytes=0) == (Group((0, 1), has_control=False),)


def test_any_models_each_have_a_group_and_no_group_is_too_large() -> None:
    rng = random.Random(5)
    for _ in range(300):
        needs = [rng.randint(1, 100) for _ in range(rng.randint(1, 7))]
        reference, free = rng.randrange(len(needs)), rng.randint(10, 500)
        groups = plan_groups(needs, reference=reference, free_bytes=free)
        members = [place for group in groups for place in group.members]
        assert set(members) == set(range(len(needs)))
        assert all(members.count(place) == 1 for place in range(len(needs)) if place != reference)
        for group in groups:
            if group.has_control:
                assert reference in group.members
                assert sum(needs[place] for place in group.members) + needs[reference] <= USABLE * free
            else:
                assert len(group.members) == 1


@pytest.mark.parametrize(
    ("meta", "is_remote", "expected"),
    [
        (meta_of("a", mib=87), False, IMPORT_BYTES + 3 * 87 * MIB),
        (meta_of("bm25", dimension=None), False, LEXICAL_BYTES),
        (meta_of("e"), True, REMOTE_BYTES),
    ],
    ids=["dense", "lexical", "endpoint"],
)
def test_need_counts_libraries_and_three_times_the_weights(meta: object, is_remote: bool, expected: int) -> None:
    assert need_bytes(meta, is_remote=is_remote) == expected  # type: ignore[arg-type]
