"""How many tokens a loaded model has positions for, and the cut of longer texts where its files say that it reads more.

    loaded model ── cut_at_positions ──> the model, cut at its table of positions, and a note where that is new

A position table is asked for one row per token. Files often state its rows as the longest input, and where positions
begin behind the padding token's id (RoBERTa and its kin) that is two tokens too many: sentence-transformers then fails
on a long text, with every engine. What it gives for texts that fit isn't touched by the cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# What transformers calls the table of a text's positions; those of an image's have other names.
_TABLES = ("position_embeddings", "embed_positions", "wpe")


def cut_at_positions(model: SentenceTransformer) -> tuple[str, ...]:
    """Let each transformer of a model read no more tokens than it has positions for; return notes on what changed."""
    notes = []
    for module in model.modules():
        # Each route of a router has one.
        if not (type(module).__module__.startswith("sentence_transformers.") and hasattr(module, "auto_model")):
            continue
        stated, positions = module.max_seq_length, table_positions(module.auto_model)
        if stated is not None and positions is not None and stated > positions:
            module.max_seq_length = positions
            notes.append(
                f"its files say that it reads {stated} tokens, but it has positions for {positions}: longer texts are "
                f"cut at {positions}"
            )
    return tuple(dict.fromkeys(notes))


def table_positions(transformer: Any) -> int | None:
    """Return for how many tokens a model of transformers has learned positions; None where it has no table of them."""
    rows = _rows(transformer)
    if rows is None:
        return None
    found = [rows - _first_row(module, table) for module, table in _tables(transformer, rows)]
    return min(found, default=None)


def _rows(transformer: Any) -> int | None:
    rows = getattr(transformer.config.get_text_config(), "max_position_embeddings", None)
    return rows if isinstance(rows, int) and rows > 0 else None  # XLNet writes -1 for "no limit"


def _tables(transformer: Any, rows: int) -> Iterator[tuple[Any, Any]]:
    """Yield each table that was made for so many rows, behind the module that it belongs to."""
    for module in transformer.modules():
        for name in _TABLES:
            weight = getattr(getattr(module, name, None), "weight", None)
            if weight is not None and len(weight) >= rows:
                yield module, getattr(module, name)


def _first_row(module: Any, table: Any) -> int:
    """Return the row of a text's first token, of those that the configuration counts.

    BART's table has rows of its own before the first, which the configuration doesn't count. A module that knows the
    padding token's id, and whose table has it, counts from behind it.
    """
    padding_id = getattr(module, "padding_idx", None)
    return padding_id + 1 if isinstance(padding_id, int) and getattr(table, "padding_idx", None) == padding_id else 0
