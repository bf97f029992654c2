"""Where a model that states more tokens than it has positions is cut: tiny models of random weights of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchkit.models.modules import Part, positions
from benchkit.models.positions import table_positions

ROWS = 16
SMALL = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 20}
PADDED = {"max_position_embeddings": ROWS, "pad_token_id": 1}
BART = {
    "d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "vocab_size": 20,
}  # fmt: skip


def build(name: str, **config: Any) -> Any:
    import torch
    import transformers

    torch.manual_seed(0)
    return getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**config)).eval()


def reads(model: Any, n_tokens: int) -> bool:
    """Tell whether the model itself gives vectors for a text of so many tokens."""
    import torch

    ids = torch.full((1, n_tokens), 7)
    try:
        with torch.inference_mode():
            found = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    except (IndexError, RuntimeError):
        return False
    return bool(np.isfinite(found.numpy()).all())


TABLES: dict[str, tuple[dict[str, Any], int]] = {
    "Bert": ({**SMALL, "max_position_embeddings": ROWS}, ROWS),
    "Roberta": ({**SMALL, **PADDED}, ROWS - 2),
    "Camembert": ({**SMALL, "max_position_embeddings": ROWS, "pad_token_id": 0}, ROWS - 1),
    "MPNet": ({**SMALL, "max_position_embeddings": ROWS}, ROWS - 2),
    "DistilBert": (
        {"dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 8, "vocab_size": 20, "max_position_embeddings": ROWS},
        ROWS,
    ),
    "Electra": ({**SMALL, "embedding_size": 8, "max_position_embeddings": ROWS}, ROWS),
    "GPT2": ({"n_embd": 8, "n_layer": 1, "n_head": 2, "vocab_size": 20, "n_positions": ROWS}, ROWS),
    "Nystromformer": ({**SMALL, "max_position_embeddings": ROWS, "num_landmarks": 4, "segment_means_seq_len": 4}, ROWS),
    "IBert": ({**SMALL, **PADDED}, ROWS - 2),
    "Data2VecText": ({**SMALL, **PADDED}, ROWS - 2),
    "RobertaPreLayerNorm": ({**SMALL, **PADDED}, ROWS - 2),
    "XLMRoberta": ({**SMALL, **PADDED}, ROWS - 2),
    "XLMRobertaXL": ({**SMALL, **PADDED}, ROWS - 2),
    "Xmod": ({**SMALL, **PADDED, "default_language": "en_XX"}, ROWS - 2),
    "Luke": ({**SMALL, **PADDED, "entity_vocab_size": 5, "entity_emb_size": 8}, ROWS - 2),
    "MarkupLM": ({**SMALL, **PADDED}, ROWS - 2),
    "Longformer": ({**SMALL, **PADDED, "attention_window": [4]}, ROWS - 2),
    "Bart": ({**BART, "max_position_embeddings": ROWS}, ROWS),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_model_reads_as_many_tokens_as_its_table_has_positions_and_no_more(name: str, tmp_path: Path) -> None:
    config, expected = TABLES[name]
    model = build(name, **config)
    assert table_positions(model) == expected
    assert reads(model, expected)
    assert not reads(model, expected + 1)
    model.config.save_pretrained(tmp_path)
    # GPT-2 has a name of its own for them in its file.
    assert positions(tmp_path, (Part("Transformer", ""),)) == (None if name == "GPT2" else expected)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("ModernBert", {**SMALL, "max_position_embeddings": ROWS, "pad_token_id": 0, "cls_token_id": 1,
                        "sep_token_id": 2, "bos_token_id": 1, "eos_token_id": 2}),
        ("Qwen2", {**SMALL, "num_key_value_heads": 2, "max_position_embeddings": ROWS}),
        ("DebertaV2", {**SMALL, "max_position_embeddings": ROWS, "relative_attention": True,
                       "position_biased_input": False}),
    ],
)  # fmt: skip
def test_a_model_without_a_table_of_positions_has_no_end(name: str, config: dict[str, Any]) -> None:
    model = build(name, **config)
    assert table_positions(model) is None
    assert reads(model, ROWS + 4)
