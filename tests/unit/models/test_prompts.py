"""The prompt of a task; MTEB's own wrapper is the twin."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchkit.models import catalog
from benchkit.models.prompts import Prompts
from benchkit.types.model import Role

ROLES: tuple[Role | None, ...] = ("query", "document", None)
OWN: dict[str, tuple[dict[str, str], str | None]] = {
    "none": ({}, None),
    "query": ({"query": "q: "}, None),
    "query and passage": ({"query": "q: ", "passage": "p: "}, None),
    "corpus": ({"corpus": "c: "}, None),
    "empty document before passage": ({"document": "", "passage": "p: "}, None),
    "default": ({"query": "q: ", "x": "x: "}, "x"),
    "default is query": ({"query": "q: "}, "query"),
    "types": ({"STS": "s: ", "Retrieval-query": "rq: ", "Classification": "c: ", "query": "q: "}, None),
    "tasks": ({"STS16": "16: ", "NFCorpus-query": "nq: ", "NFCorpus": "n: ", "Retrieval": "r: "}, None),
    "names that MTEB doesn't know": ({"clustering": "cl: ", "clustering-query": "clq: ", "s2p_query": "s: "}, None),
    "a default that MTEB doesn't know": ({"clustering": "cl: "}, "clustering"),
}
GIVEN: dict[str, Mapping[str, str] | None] = {
    "none": None,
    **{name: entry.prompts for name in ("bge", "e5-base", "nomic") if (entry := catalog.find(name)) is not None},
    "document for a type": {"Retrieval-document": "rd: ", "x": "gx: "},
}
TASKS = ("STS16", "NFCorpus", "Banking77Classification", "BrightBiologyRetrieval", "AskUbuntuDupQuestions")


@pytest.fixture(scope="module")
def small_static() -> Any:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=2)], device="cpu")


def _prompts_of_mteb(model: Any, given: Mapping[str, str] | None) -> Iterator[tuple[tuple[str, str, Role | None], str]]:
    """Run MTEB's wrapper over tasks and roles and report the prompt that reaches the model."""
    import mteb
    import torch
    from datasets import Dataset
    from mteb.models import SentenceTransformerEncoderWrapper
    from mteb.types import PromptType
    from torch.utils.data import DataLoader

    seen: list[str | None] = []

    def spy(inputs: list[str], *, prompt: str | None, **_: object) -> NDArray[np.float32]:
        seen.append(prompt)
        return torch.zeros(len(inputs), 2)

    model._inference = spy
    wrapper = SentenceTransformerEncoderWrapper(model, model_prompts=dict(given) if given else None)
    known = [mteb.get_task(name).metadata for name in TASKS]
    own_task = known[0].model_copy(update={"name": "clustering", "type": "Clustering"})
    for task, role in itertools.product([*known, own_task], ROLES):
        wrapper.encode(
            DataLoader(Dataset.from_dict({"text": ["x"]})),
            task_metadata=task,
            hf_split="test",
            hf_subset="default",
            prompt_type=PromptType(role) if role else None,
            show_progress_bar=False,
        )
        yield (task.name, task.type, role), seen[-1] or ""


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("own", OWN)
@pytest.mark.filterwarnings("ignore")  # MTEB warns of every prompt that it doesn't know
def test_the_effective_prompt_is_the_one_that_mteb_s_wrapper_uses(own: str, given: str, small_static: Any) -> None:
    texts, default = OWN[own]
    # what sentence-transformers makes of saved prompts when it loads a model
    loaded = {"query": "", "document": ""} | texts
    small_static.prompts, small_static.default_prompt_name = dict(loaded), default
    prompts = Prompts(own=loaded, default=default, given=GIVEN[given])
    for (task_name, task_type, role), expected in _prompts_of_mteb(small_static, GIVEN[given]):
        ours = prompts.effective(task_name=task_name, task_type=task_type, role=role)
        assert ours == expected, (task_name, task_type, role)


def test_given_prompts_take_the_place_of_all_of_the_model_s_own() -> None:
    prompts = Prompts(own={"query": "q: ", "document": "d: "}, given={"query": "Q: "})
    assert prompts.effective(task_name="mine", task_type="Retrieval", role="query") == "Q: "
    assert prompts.effective(task_name="mine", task_type="Retrieval", role="document") == ""
    none = Prompts(own={"query": "q: "}, default="query", given={})
    assert none.effective(task_name="mine", task_type="Retrieval", role="query") == ""


def test_a_prompt_that_somebody_gave_for_a_task_of_their_own_is_heeded() -> None:
    prompts = Prompts(own={}, given={"my-task": "m: ", "my-task-query": "mq: "})
    assert prompts.effective(task_name="my-task", task_type="Retrieval", role="query") == "mq: "
    assert prompts.effective(task_name="my-task", task_type="Retrieval", role="document") == "m: "
    assert prompts.effective(task_name="my-task", task_type="STS", role=None) == "m: "
