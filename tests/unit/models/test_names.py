"""Model names as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchkit.errors import ModelError
from benchkit.models.names import ENGINES, did_you_mean, is_directory, parse_model, resolve_loader
from benchkit.types.model import ModelSpec, Variant


def test_a_bare_name_asks_for_the_model_as_it_is() -> None:
    assert parse_model("minilm") == ModelSpec(label="minilm", name="minilm")


def test_every_key_lands_in_its_field_and_the_label_is_the_text() -> None:
    text = "minilm@dim=128,precision=int8,normalize=true,max_seq_length=64,revision=abc,loader=mteb"
    assert parse_model(text) == ModelSpec(
        label=text,
        name="minilm",
        loader="mteb",
        revision="abc",
        variant=Variant(truncate_dim=128, precision="int8", normalize=True),
        max_seq_length=64,
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_the_engine_is_an_option_of_the_loader(engine: str) -> None:
    assert parse_model(f"minilm@engine={engine}").options == {"engine": engine}


def test_blanks_around_keys_and_values_do_not_matter() -> None:
    assert parse_model("minilm @ dim = 8 , normalize = false").variant == Variant(truncate_dim=8, normalize=False)


@pytest.mark.parametrize("name", ["org/name", "./models/mine", "/abs/olute", "~/mine"])
def test_hub_names_and_paths_are_kept_as_they_are(name: str) -> None:
    assert parse_model(f"{name}@dim=2").name == name


def test_an_at_sign_in_the_name_of_a_directory_is_no_separator(tmp_path: Path) -> None:
    directory = tmp_path / "mine@home=1"
    directory.mkdir()
    assert parse_model(str(directory)).name == str(directory)
    assert parse_model(f"{directory}@dim=3").variant.truncate_dim == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@dim=2", "model '@dim=2': the name is missing; write NAME or NAME@key=value,key=value"),
        ("", "model '': the name is missing"),
        (
            "minilm@128",
            "model 'minilm@128': '128' should be key=value; keys: dim, precision, normalize, max_seq_length",
        ),
        ("minilm@", "'' should be key=value"),
        ("minilm@dim=2,", "'' should be key=value"),
        ("minilm@dimm=2", "unknown key 'dimm'. Did you mean 'dim'? Keys: dim, precision"),
        ("minilm@dim=2,dim=3", "'dim' is given twice"),
        ("minilm@dim=0", "dim should be a whole number of at least 1, got '0'"),
        ("minilm@dim=-3", "dim should be a whole number of at least 1, got '-3'"),
        ("minilm@dim=1.5", "dim should be a whole number of at least 1, got '1.5'"),
        ("minilm@dim=", "dim should be a whole number of at least 1, got ''"),
        ("minilm@dim=²", "dim should be a whole number of at least 1, got '²'"),
        ("minilm@max_seq_length=x", "max_seq_length should be a whole number of at least 1, got 'x'"),
        ("minilm@precision=int9", "precision should be one of float32, float16, int8, binary, got 'int9'"),
        ("minilm@normalize=yes", "normalize should be true or false, got 'yes'"),
        ("minilm@engine=fast", "engine should be one of auto, torch, packed, bf16x3, bf16, int8, got 'fast'"),
        ("minilm@revision=", "revision should not be empty, got ''"),
    ],
)
def test_a_name_that_cannot_be_read_is_refused_with_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_model(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "loader"),
    [
        ("minilm", "sentence-transformers"),
        ("nomic", "mteb"),
        ("nomic-ai/nomic-embed-text-v1.5", "mteb"),
        ("tfidf", "tfidf"),
        ("bm25", "bm25"),
        ("minilm-static", "static"),
        ("somebody/something-v2.1", "sentence-transformers"),
    ],
)
def test_the_name_decides_the_loader(name: str, loader: str) -> None:
    assert resolve_loader(parse_model(name)) == loader


def test_a_loader_that_was_named_is_taken() -> None:
    assert resolve_loader(ModelSpec(label="x", name="no such thing", loader="openai")) == "openai"


def test_a_directory_wins_over_a_hub_name_but_not_over_a_short_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nomic-ai/nomic-embed-text-v1.5", "bm25", "mine"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert resolve_loader(parse_model("nomic-ai/nomic-embed-text-v1.5")) == "sentence-transformers"
    assert resolve_loader(parse_model("bm25")) == "bm25"
    assert resolve_loader(parse_model("./bm25")) == "sentence-transformers"
    assert resolve_loader(parse_model("mine")) == "sentence-transformers"
    assert is_directory("mine")
    assert not is_directory("bm25")


def test_an_unknown_name_is_refused_with_the_nearest_and_all_known_ones() -> None:
    with pytest.raises(ModelError) as caught:
        resolve_loader(parse_model("minlm"))
    message = str(caught.value)
    assert message.startswith("no model named 'minlm'. Did you mean 'minilm'? Known: bge, bge-base-zh, ")
    assert message.endswith("; or give a hub name org/name or a local directory")


@pytest.mark.parametrize("name", ["./nowhere", "/no/where", "~/no-such-directory"])
def test_a_path_without_a_directory_is_refused_as_a_path(name: str) -> None:
    with pytest.raises(ModelError, match=f"there is no directory '{name}'"):
        resolve_loader(parse_model(name))


def test_nothing_is_suggested_for_a_name_that_is_like_none() -> None:
    assert did_you_mean("qqqqqq", ["minilm"]) == ""
