"""MTEB's own loaders as encoders: the wrapper sees what MTEB would show it, and nothing runs that wasn't allowed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
import torch
from mteb.models import ModelMeta
from mteb.models.abs_encoder import AbsEncoder

from benchkit.errors import ModelError
from benchkit.models.mteb_registry import MtebHandle, MtebRegistryEncoder, open_model
from benchkit.types.model import Encoder, ModelHandle, ModelSpec, OpenContext, Role, Variant

ONLINE = OpenContext(device="cpu", offline=False, cache_dir=Path("unused"))
OFFLINE = OpenContext(device="cpu", offline=True, cache_dir=Path("unused"))
NAME = "test-org/instructed"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIM = 6


class Instructed(AbsEncoder):
    """A wrapper that hashes its instruction and the text, and remembers what it was shown."""

    def __init__(self, name: str, revision: str, device: str | None = None, length: float = 1.0, **kwargs: Any) -> None:
        self.loaded = (name, revision, device, kwargs)
        self.length = length
        self.calls: list[dict[str, Any]] = []

    def encode(
        self, inputs: Any, *, task_metadata: Any, hf_split: str, hf_subset: str, prompt_type: Any = None, **more
    ):  # type: ignore[no-untyped-def]
        texts = [text for batch in inputs for text in batch["text"]]
        instruction = self.get_task_instruction(task_metadata, prompt_type)
        self.calls.append(
            {"task": task_metadata, "role": prompt_type, "instruction": instruction, "texts": texts, **more}
        )
        rows = [_hashed(f"{instruction}\n{text}") for text in texts]
        return torch.tensor(np.array(rows) * self.length).bfloat16()


class WithoutDevice(Instructed):
    def __init__(self, name: str, revision: str) -> None:
        super().__init__(name, revision)


class TrustsByDefault(Instructed):
    def __init__(self, name: str, revision: str, trust_remote_code: bool = True) -> None:
        super().__init__(name, revision)


class TrustsInside(Instructed):
    def __init__(self, name: str, revision: str) -> None:
        super().__init__(name, revision, trust_remote_code=True)


class MissingPackage(Instructed):
    def __init__(self, name: str, revision: str) -> None:
        raise ImportError("gritlm is required for it. Please install with `pip install mteb[gritlm]`.")


class Broken(Instructed):
    def __init__(self, name: str, revision: str) -> None:
        raise RuntimeError("no such layer")


class OneRowShort(Instructed):
    def encode(self, *args: Any, **kwargs: Any) -> Any:
        return super().encode(*args, **kwargs)[1:]


class AsksTheHub(Instructed):
    def __init__(self, name: str, revision: str) -> None:
        from huggingface_hub import constants

        super().__init__(name, revision)
        self.was_offline = constants.HF_HUB_OFFLINE


def _hashed(text: str) -> np.ndarray:
    digest = hashlib.sha256(text.encode()).digest()
    vector = np.frombuffer(digest[:DIM], np.uint8).astype(np.float32) + 1
    return vector / np.linalg.norm(vector)


def _registered(loader: Any = Instructed, **fields: Any) -> ModelMeta:
    given: dict[str, Any] = {
        "loader": loader,
        "name": NAME,
        "revision": COMMIT,
        "release_date": "2026-01-01",
        "languages": ["eng-Latn"],
        "n_parameters": 1_000,
        "memory_usage_mb": 2.0,
        "max_tokens": 512,
        "embed_dim": DIM,
        "license": "mit",
        "open_weights": True,
        "public_training_code": None,
        "public_training_data": None,
        "framework": ["PyTorch"],
        "similarity_fn_name": "cosine",
        "use_instructions": True,
        "training_datasets": {"STS16"},
    }
    return ModelMeta(**(given | fields))


def _find(registered: ModelMeta) -> Callable[[str], ModelMeta]:
    return {NAME: registered}.__getitem__


def _open(loader: Any = Instructed, *, context: OpenContext = ONLINE, trust: bool = False, **fields: Any) -> MtebHandle:
    spec = ModelSpec(label="mine", name=NAME, loader="mteb", trust_remote_code=trust)
    return open_model(spec, context, find=_find(_registered(loader, **fields)))


def _loaded(loader: Any = Instructed, **fields: Any) -> tuple[MtebRegistryEncoder, Any]:
    encoder = _open(loader, **fields).load()
    wrapper = encoder._wrapper
    wrapper.calls.clear()
    return encoder, wrapper


def _encode(encoder: MtebRegistryEncoder, texts: list[str], task: str, kind: str, role: Role | None) -> np.ndarray:
    return encoder.encode(texts, prompt=encoder.prompt_for(task_name=task, task_type=kind, role=role), role=role)


# ---------------------------------------------------------------- what the wrapper is shown


@pytest.mark.parametrize(
    ("task", "kind", "role"),
    [
        ("NFCorpus", "Retrieval", "query"),
        ("NFCorpus", "Retrieval", "document"),
        ("STS16", "STS", None),
        ("Banking77Classification", "Classification", None),
    ],
)
@pytest.mark.filterwarnings("ignore:Prompt type 'document' not found in task metadata")
def test_the_wrapper_gets_what_mteb_itself_would_give_it(task: str, kind: str, role: Role | None) -> None:
    from mteb._create_dataloaders import create_dataloader
    from mteb.types import PromptType

    encoder, wrapper = _loaded()
    texts = ["one text", "", "another text"]
    vectors = _encode(encoder, texts, task, kind, role)
    twin = Instructed(NAME, COMMIT)
    metadata, prompt_type = mteb.get_task(task).metadata, PromptType(role) if role else None
    inputs = create_dataloader(_text_dataset(texts), task_metadata=metadata)
    expected = twin.encode(inputs, task_metadata=metadata, hf_split="test", hf_subset="x", prompt_type=prompt_type)
    np.testing.assert_array_equal(vectors, expected.float().numpy())
    assert vectors.dtype == np.float32
    (shown,) = wrapper.calls
    assert (shown["task"], shown["role"], shown["texts"]) == (metadata, prompt_type, texts)
    assert shown["instruction"] == twin.calls[0]["instruction"]


def _text_dataset(texts: list[str]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict({"text": texts})


def test_an_instruction_differs_by_task() -> None:
    encoder, wrapper = _loaded()
    first = _encode(encoder, ["x"], "NFCorpus", "Retrieval", "query")
    second = _encode(encoder, ["x"], "SciFact", "Retrieval", "query")
    assert (first != second).any()
    assert wrapper.calls[0]["instruction"] == mteb.get_task("NFCorpus").metadata.prompt["query"]


@pytest.mark.parametrize(
    ("task", "kind"),
    [("our tickets", "Retrieval"), ("a|b:c|d", "Clustering"), ("NFCorpus", "Classification"), ("two\nlines", "STS")],
    ids=["own name", "odd name", "MTEB's name, another type", "line break"],
)
@pytest.mark.filterwarnings("ignore:No prompt found on the abstask class")
def test_a_task_of_ones_own_keeps_its_name_and_type(task: str, kind: str) -> None:
    encoder, wrapper = _loaded()
    _encode(encoder, ["x"], task, kind, "query")
    shown = wrapper.calls[0]["task"]
    assert (shown.name, shown.type, shown.prompt) == (task, kind, None)
    assert wrapper.calls[0]["role"].value == "query"


def test_without_a_task_a_role_means_retrieval_and_none_means_sts() -> None:
    encoder, wrapper = _loaded()
    for role in ("query", "document", None):
        encoder.encode(["x"], role=role)
        _encode(encoder, ["x"], "", "", role)
    shown = [(call["task"].type, getattr(call["role"], "value", None)) for call in wrapper.calls]
    assert shown == [("Retrieval", "query")] * 2 + [("Retrieval", "document")] * 2 + [("STS", None)] * 2
    assert {call["instruction"] for call in wrapper.calls} == {
        "Retrieve text based on user query.",
        "Retrieve semantically similar text.",
    }


def test_prompts_name_task_type_and_role() -> None:
    encoder, _ = _loaded()
    assert (
        encoder.prompt_for(task_name="NFCorpus", task_type="Retrieval", role="query") == "mteb:NFCorpus|Retrieval|query"
    )
    assert encoder.prompt_for(task_name="STS16", task_type="STS", role=None) == "mteb:STS16|STS|"


@pytest.mark.parametrize("prompt", ["query: ", "mteb:NFCorpus", "mteb:a|b|passage"])
def test_a_prompt_in_plain_text_is_refused(prompt: str) -> None:
    encoder, _ = _loaded()
    with pytest.raises(ValueError, match="mine: MTEB's wrapper writes its own prompts; got "):
        encoder.encode(["x"], prompt=prompt)


def test_the_texts_are_one_batch_without_a_progress_bar() -> None:
    encoder, wrapper = _loaded()
    encoder.encode(["a", "b", "\ud83d"])
    (shown,) = wrapper.calls
    assert (shown["batch_size"], shown["show_progress_bar"], shown["texts"]) == (3, False, ["a", "b", "�"])


def test_no_texts_ask_nothing_of_the_wrapper() -> None:
    encoder, wrapper = _loaded()
    assert encoder.encode([]).shape == (0, DIM)
    assert wrapper.calls == []
    assert encoder.count_tokens(["x"]) is None


def test_a_row_that_is_missing_is_refused() -> None:
    with pytest.raises(ModelError, match=r"was loaded and can't encode: ValueError: .* shape \(0, 6\) for 1 texts"):
        _open(OneRowShort).load()


# ---------------------------------------------------------------- the handle


def test_the_handle_tells_what_the_registry_knows() -> None:
    handle = _open()
    assert isinstance(handle, ModelHandle)
    meta = handle.meta
    assert (meta.name, meta.id, meta.revision) == ("mine", NAME, COMMIT)
    assert (meta.dimension, meta.bytes_per_vector, meta.parameters) == (DIM, 4 * DIM, 1_000)
    assert (meta.memory_bytes, meta.license, meta.similarity) == (2 * 2**20, "mit", "cosine")
    assert (meta.max_seq_length, meta.languages) == (512, ("eng-Latn",))
    assert "STS16" in meta.training_tasks
    assert meta.notes == ("loaded by MTEB's Instructed",)


def test_a_loader_gets_the_device_where_it_takes_one() -> None:
    _, wrapper = _loaded(loader_kwargs={"odd": 1})
    assert wrapper.loaded == (NAME, COMMIT, "cpu", {"odd": 1})
    _, plain = _loaded(WithoutDevice)
    assert plain.loaded == (NAME, COMMIT, None, {})


def test_length_and_norm_of_the_vectors_are_measured() -> None:
    encoder, _ = _loaded(embed_dim=[3, 9])
    assert isinstance(encoder, Encoder)
    assert (encoder.meta.dimension, encoder.meta.bytes_per_vector, encoder.meta.normalized) == (DIM, 4 * DIM, True)
    long, _ = _loaded(loader_kwargs={"length": 3.0})
    assert not long.meta.normalized


def test_what_the_registry_leaves_open_is_none() -> None:
    meta = _open(
        embed_dim=None, memory_usage_mb=None, max_tokens=None, license=None, languages=None, n_parameters=None,
        training_datasets=None, similarity_fn_name=None,
    ).meta  # fmt: skip
    assert (meta.dimension, meta.bytes_per_vector, meta.memory_bytes, meta.max_seq_length) == (None, None, None, None)
    assert (meta.license, meta.languages, meta.parameters, meta.training_tasks) == (None, (), None, ())
    assert _open(embed_dim=[64, 256, 128]).meta.dimension == 256
    assert _open(max_tokens=float("inf")).meta.max_seq_length is None


def test_the_fingerprint_follows_name_revision_loader_and_arguments() -> None:
    def template(instruction: str, prompt_type: Any) -> str:
        return instruction

    handles = [
        _open(),
        _open(WithoutDevice),
        _open(revision="f" * 40),
        _open(loader_kwargs={"length": 2.0}),
        _open(loader_kwargs={"instruction_template": template}),
        _open(loader_kwargs={"dtype": torch.bfloat16}),
        _open(loader_kwargs={"dtype": torch.float16}),
        _open(experiment_kwargs={"temperature": 1}),
    ]
    assert len({handle.meta.fingerprint for handle in handles}) == len(handles)
    assert (
        _open(loader_kwargs={"odd": {1, 2}}).meta.fingerprint == _open(loader_kwargs={"odd": {2, 1}}).meta.fingerprint
    )
    assert (
        _open(loader_kwargs={"odd": object()}).meta.fingerprint
        == _open(loader_kwargs={"odd": object()}).meta.fingerprint
    )


def test_a_revision_that_is_no_commit_is_noted() -> None:
    assert "revision not pinned: MTEB has 1" in _open(revision="1").meta.notes
    assert "served by its makers, who may change it under the same name" in _open(framework=["API"]).meta.notes


def test_the_registry_itself_is_asked_by_default() -> None:
    spec = ModelSpec(label="nomic", name="nomic", loader="mteb", trust_remote_code=True)
    meta = open_model(spec, ONLINE).meta
    assert (meta.id, meta.dimension) == ("nomic-ai/nomic-embed-text-v1.5", 768)
    assert meta.notes == ("loaded by MTEB's NomicWrapper", "runs code of its repository")


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("loader", "fields"),
    [
        (Instructed, {"loader_kwargs": {"trust_remote_code": True}}),
        (Instructed, {"loader_kwargs": {"model_kwargs": {"trust_remote_code": True}}}),
        (TrustsByDefault, {}),
        (TrustsInside, {}),
    ],
    ids=["argument", "nested argument", "default", "in its source"],
)
def test_code_of_a_repository_needs_a_permission(loader: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as caught:
        _open(loader, **fields)
    assert str(caught.value) == (
        f"model 'mine': MTEB's loader runs code of the repository {NAME}; read it, then allow it with "
        "trust_remote_code: true in a suite"
    )
    assert "runs code of its repository" in _open(loader, trust=True, **fields).meta.notes


def test_a_missing_package_gives_mtebs_own_hint() -> None:
    with pytest.raises(ModelError, match=r"model 'mine': gritlm is required .* `pip install mteb\[gritlm\]`"):
        _open(MissingPackage).load()


def test_a_missing_extra_of_mteb_is_named() -> None:
    with pytest.raises(ModelError, match=r"model 'mine': .*mteb\[gritlm\]"):
        _open(extra_requirements_groups=["gritlm"]).load()


def test_a_loader_that_fails_is_named_with_its_reason() -> None:
    with pytest.raises(ModelError, match=f"Broken of MTEB can't load {NAME}: RuntimeError: no such layer"):
        _open(Broken).load()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"loader": None}, "MTEB knows test-org/instructed and has no loader for it"),
        ({"model_type": ["cross-encoder"]}, "is cross-encoder; benchkit compares dense models"),
        ({"model_type": ["dense", "sparse"]}, "is dense, sparse; benchkit compares dense models"),
        ({"modalities": ["image"]}, "takes image, not text"),
        ({"similarity_fn_name": "MaxSim"}, "compares vectors by MaxSim, not by cosine or dot"),
        ({"loader": type("CDEWrapper", (Instructed,), {})}, "encodes a text by the data set or subset it is in"),
    ],
    ids=["no loader", "cross-encoder", "sparse", "image", "MaxSim", "contextual"],
)
def test_a_model_that_is_not_a_dense_text_encoder_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        _open(fields.pop("loader", Instructed), **fields)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"prompts": {"query": "q: "}}, "MTEB's own loader decides its prompts; remove them"),
        ({"max_seq_length": 128}, "MTEB's own loader decides its max_seq_length"),
        ({"revision": "main"}, f"MTEB's loader is for revision {COMMIT}, not main; remove it"),
        ({"variant": Variant(truncate_dim=DIM + 1)}, f"dim={DIM + 1}, but its vectors have {DIM} dimensions"),
        ({"options": {"dtype": "float16"}}, r"unknown option 'dtype'\. This loader has no options"),
    ],
    ids=["prompts", "length", "revision", "dim", "option"],
)
def test_a_setting_that_the_loader_would_not_heed_is_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        open_model(ModelSpec(label="mine", name=NAME, **setting), ONLINE, find=_find(_registered()))


def test_an_unknown_name_gets_mtebs_suggestion() -> None:
    with pytest.raises(ModelError, match=r"model 'x': Model 'nomic-ai/nomic-embed-text-v15' not found .* Did you mean"):
        open_model(ModelSpec(label="x", name="nomic-ai/nomic-embed-text-v15"), ONLINE)


# ---------------------------------------------------------------- offline


def test_offline_a_model_has_to_be_in_the_cache() -> None:
    with pytest.raises(ModelError, match=f"offline, and {NAME} at {COMMIT} isn't in the hub's cache on this machine"):
        _open(context=OFFLINE)


def test_offline_a_model_in_the_cache_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / f"models--{NAME.replace('/', '--')}" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    assert _open(context=OFFLINE).meta.id == NAME


def test_offline_an_api_is_refused() -> None:
    with pytest.raises(ModelError, match=f"offline, and {NAME} is only to be had from its makers"):
        _open(context=OFFLINE, framework=["API"])


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("offline", [True, False])
def test_offline_keeps_the_loader_from_the_hub(offline: bool, before: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", before)
    handle = _open(AsksTheHub, context=OFFLINE if offline else ONLINE, revision="1")
    assert handle.load()._wrapper.was_offline is (before or offline)
    assert constants.HF_HUB_OFFLINE is before
