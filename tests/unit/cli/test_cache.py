"""`benchkit cache` knows every folder of the cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchkit.cli.cache import command
from benchkit.errors import UsageError
from benchkit.runner.draw_cache import DrawCache
from benchkit.tasks.known import TaskFacts, known_folder, task_facts
from benchkit.types.result import ItemScores
from benchkit.types.task import TaskSpec


def keep_facts(cache: Path) -> Path:
    facts = TaskFacts("a", "STS", "cosine_spearman", "r", ("test",))
    task_facts(cache, TaskSpec(name="a"), revision=None, find=lambda: facts)
    (path,) = known_folder(cache).glob("*.json")
    return path


def run(*args: str) -> str:
    done = CliRunner().invoke(command, args, catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_info_counts_the_facts_of_tasks(own_cache: Path) -> None:
    assert "facts of 0 tasks, 0 B" in run("info")
    size = keep_facts(own_cache).stat().st_size
    assert f"facts of 1 tasks, {size} B" in run("info")


def test_clear_removes_the_facts_of_tasks(own_cache: Path) -> None:
    path = keep_facts(own_cache)
    run("clear", "--yes")
    assert not path.exists()


def test_prune_shrinks_vectors_and_leaves_the_facts_of_tasks(own_cache: Path) -> None:
    path = keep_facts(own_cache)
    run("prune", "--max-size", "0")
    assert path.exists()


def keep_draws(cache: Path) -> DrawCache:
    values = np.array([0.0, 0.5, 0.5, 1.0])
    items = ItemScores("test", "en", "mean", "accuracy", np.array(list("abcd")), {"value": values})
    draws = DrawCache(cache)
    draws([items], stream="t", estimate=0.5, n_resamples=500, seed=1)
    return draws


def test_info_counts_resampled_scores_clear_removes_them_and_prune_gives_them_the_room_of_no_vectors(
    own_cache: Path,
) -> None:
    assert "resampled scores of 0 cells, 0 B" in run("info")
    draws = keep_draws(own_cache)
    assert "resampled scores of 1 cells, 3.9 KiB" in run("info")
    assert run("prune", "--max-size", "4024").endswith("removed 0 B\n")
    assert run("prune", "--max-size", "4023").endswith("removed 3.9 KiB\n")
    keep_draws(own_cache)
    assert len(list(draws.folder.iterdir())) == 1
    run("clear", "--yes")
    assert not draws.folder.exists()


def test_a_size_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="'5 apples' is no size; write 500M, 20G or a number of bytes"):
        CliRunner().invoke(command, ["prune", "--max-size", "5 apples"], catch_exceptions=False)
