"""Do the weights of a loaded model come from its files? Where a file has none, transformers makes up random ones.

    loaded model ─┬─ every part judged by the names in its file, or by transformers' report ─┐
                  └─ a part that can't be judged so: loaded again under another seed, compared ──┴─ ModelError

A checkpoint whose names match nothing (a Whisper encoder in sentence-transformers 6) loads without a word, and its
vectors are different in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchkit.errors import ModelError
from benchkit.models.files import ModelFiles
from benchkit.models.safetensors_header import read_header

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_POOLER = "pooler."
_NAMED = 5


def check_weights(model: SentenceTransformer, files: ModelFiles, load_again: Callable[[], SentenceTransformer]) -> None:
    """Refuse a model of which a part was made up.

    Args:
        load_again: Loads the same files once more; called only where names can't judge the weights.

    Raises:
        ModelError: names the weights.
    """
    folders = list(dict.fromkeys(part.folder for part in files.parts if part.kind == "Transformer"))
    transformers = _transformers(model)
    is_judged = len(folders) == len(transformers) and not any(part.is_remote for part in files.parts)
    if not is_judged:
        _refuse(files.directory, _random_weights(model, load_again))
        return
    for folder, transformer in zip(folders, transformers, strict=True):
        place = files.directory / folder
        missing = _missing_weights(transformer, place, [path for path in files.weights if path.parent == place])
        if files.pooling is not None:
            # The layer behind [CLS] of BERT's first training task: nothing that pools tokens asks for it.
            missing = [name for name in missing if not name.startswith(_POOLER)]
        _refuse(place, missing)


def _refuse(place: Path, missing: Sequence[str]) -> None:
    if missing:
        raise ModelError(
            f"{place}: weights missing in the file: {', '.join(missing[:_NAMED])}"
            f"{f' and {len(missing) - _NAMED} more' if len(missing) > _NAMED else ''}; the vectors would be random"
        )


def _transformers(model: SentenceTransformer) -> list[Any]:
    """Return the transformers models, but not those that are a part of another."""
    from transformers import PreTrainedModel

    found = {name: module for name, module in model.named_modules() if isinstance(module, PreTrainedModel)}
    return [module for name, module in found.items() if not any(name.startswith(f"{other}.") for other in found)]


def _missing_weights(transformer: Any, place: Path, weights: list[Path]) -> list[str]:
    stored = {name for path in weights for name in read_header(path)}
    stored |= {name.removeprefix(f"{transformer.base_model_prefix}.") for name in stored}
    if set(transformer.state_dict()) <= stored:
        return []
    # Renamed or tied weights: only transformers knows.
    _, report = type(transformer).from_pretrained(
        str(place), config=transformer.config, local_files_only=True, use_safetensors=True, output_loading_info=True
    )
    return sorted(report["missing_keys"])


def _random_weights(model: SentenceTransformer, load_again: Callable[[], SentenceTransformer]) -> list[str]:
    """Return the names of the weights that another seed changes."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(torch.initial_seed() + 1)
        other = load_again().state_dict()
    # The pooler's too: what a repository's own code makes of it is unknown.
    return sorted(name for name, weight in model.state_dict().items() if not torch.equal(weight, other[name]))
