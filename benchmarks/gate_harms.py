"""Harm that is planted into MiniLM: is it blocked, by the right rule, and how much of it goes unnoticed?

    MiniLM ── noise · layer · pooling · prompt · casing · 32 tokens · tokenizer · 64 dimensions · int4 · slower · larger
        └── a checkpoint for each ── the gate, as `benchkit gate` runs it ── verdict, the rules that failed

    python benchmarks/gate_harms.py --suite quickstart
    python benchmarks/gate_harms.py --power          also: how much noise is caught, by size

Each harm names the rule that has to fail; the exit code is 1 when one of them is not blocked, or by other rules only.

The baseline is MiniLM as it is, but for "20 % slower": that is nine layers against seven.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchkit.api.gate import GateRequest, run_gate
from benchkit.models.hub import packaged_minilm
from benchkit.types.gate import GateReport

Weights = dict[str, Any]
SEED = 7
QUALITY, COST, LIMIT = "quality/", "cost/", "limits/"
NOISES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
# Of the slower model, and of what it is held against. A query takes as long as its layers and some 3.2 more: 12 against
# 10 were measured 1.152 times as slow (query_latency_p50 of a gate), not 1.2. So (9 + 3.2) / (7 + 3.2) = 1.20.
SLOWER_LAYERS, BASELINE_LAYERS = 9, 7
# Of a detour that every vector takes: two matrices of 384 x this are 246 MB, 30 % of a process with MiniLM.
DETOUR = 80_000


@dataclass(frozen=True, slots=True)
class Harm:
    """A way to harm a checkpoint, and what has to name it.

    Attributes:
        rule: Beginning of the id of a rule that has to fail; "" where nothing is harmed, and the gate has to pass.
        baseline: What is done to the checkpoint that the harmed one is held against; None is MiniLM as it is.
    """

    name: str
    rule: str
    plant: Callable[[Path], None]
    with_cost: bool = False
    baseline: Callable[[Path], None] | None = None


def main() -> int:
    options = _options()
    with TemporaryDirectory() as folder:
        harms = [harm for harm in HARMS if not options.only or harm.name in options.only]
        missed = [harm.name for harm in harms if not _is_caught(harm, Path(folder), options)]
        if options.power:
            _power(Path(folder), options)
    print(f"{len(harms) - len(missed)} of {len(harms)} candidates judged as they should, by the right rule")
    for name in missed:
        print(f"wrong: {name}")
    return 1 if missed else 0


def _names() -> str:
    return ", ".join(harm.name for harm in HARMS).replace("%", "%%")  # argparse fills in what stands behind a "%"


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="quickstart")
    parser.add_argument("--only", nargs="*", metavar="HARM", help=f"some of: {_names()}")
    parser.add_argument("--power", action="store_true", help="also gate noise of several sizes")
    return parser.parse_args()


def _is_caught(harm: Harm, folder: Path, options: Any) -> bool:
    name = harm.name.replace(" ", "-").replace("/", "-")
    target = planted(folder / name, harm.plant)
    baseline = "minilm" if harm.baseline is None else str(planted(folder / f"{name}-baseline", harm.baseline))
    started = time.monotonic()
    report = gate(str(target), options.suite, baseline=baseline, with_cost=harm.with_cost)
    meant = [rule for rule in report.rules if harm.rule and rule.id.startswith(harm.rule)]
    failed = [rule for rule in report.rules if rule.verdict in ("fail", "error")]
    print(f"{harm.name}: {report.verdict.upper()}, exit {report.exit_code}, {time.monotonic() - started:.0f} s")
    named = [rule for rule in meant if rule in failed]
    # Those that should have failed are told where they did not: how far they were from it is what one asks then.
    for rule in [*(named or meant), *(rule for rule in failed if rule not in named)][:4]:
        print(f"    {rule.id}: {rule.verdict}: {rule.sentence}")
    sys.stdout.flush()
    return report.exit_code == 0 if not harm.rule else report.exit_code == 1 and bool(named)


def gate(candidate: str, suite: str, *, baseline: str = "minilm", with_cost: bool) -> GateReport:
    request = GateRequest(
        candidate=candidate,
        baseline=baseline,
        suite=suite,
        cost=with_cost,
        offline=True,
        track=False,
        command="benchmarks/gate_harms.py",
    )
    return run_gate(request).report


def _power(folder: Path, options: Any) -> None:
    print("\nnoise in every weight (share of its standard deviation): change of the mean, verdict, what failed")
    for share in NOISES:
        target = checkpoint(folder / f"noise-{share}")
        change_weights(target, lambda weights, share=share: with_noise(weights, share))
        report = gate(str(target), options.suite, with_cost=False)
        mean = next(rule for rule in report.rules if rule.id == "quality/mean")
        failed = sum(rule.verdict == "fail" for rule in report.rules)
        interval = f"{mean.low:+.4f} to {mean.high:+.4f}"
        print(f"  {share:4.2f}: {mean.change:+.4f} ({interval}), {report.verdict}, {failed} rules")
        if mean.detectable is not None:
            print(f"        smallest regression of the mean that is caught with 80 %: {mean.detectable:.4f}")


# ------------------------------------------------------------ harms


def checkpoint(target: Path) -> Path:
    """Copy the packaged MiniLM."""
    original = packaged_minilm()
    if original is None:
        raise SystemExit("the packaged MiniLM weights are missing; install benchkit[offline]")
    shutil.copytree(original, target)
    return target


def planted(target: Path, plant: Callable[[Path], None]) -> Path:
    """Copy the packaged MiniLM, and change the copy."""
    plant(checkpoint(target))
    return target


def change_weights(target: Path, change: Callable[[Weights], Weights]) -> None:
    from safetensors.numpy import load_file, save_file

    file = target / "model.safetensors"
    changed = change(load_file(file))
    save_file({name: np.ascontiguousarray(values) for name, values in changed.items()}, file, {"format": "pt"})


def change_json(file: Path, change: Mapping[str, Any]) -> None:
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**content, **change}, indent=1), encoding="utf-8")


def with_noise(weights: Weights, share: float) -> Weights:
    rng = np.random.default_rng(SEED)
    return {
        name: (values + share * values.std() * rng.standard_normal(values.shape)).astype(values.dtype)
        if values.ndim == 2
        else values
        for name, values in weights.items()
    }


def in_sixteen_steps(weights: Weights) -> Weights:
    """Round every row of every matrix to 4 bits with one scale for the row, as a crude int4 would."""

    def rounded(values: Any) -> Any:
        scale = np.abs(values).max(axis=1, keepdims=True) / 7
        return (np.clip(np.round(values / np.maximum(scale, 1e-12)), -8, 7) * scale).astype(values.dtype)

    return {name: rounded(values) if values.ndim == 2 else values for name, values in weights.items()}


def _noise(target: Path) -> None:
    change_weights(target, lambda weights: with_noise(weights, 0.3))


def _fewer_layers(target: Path) -> None:
    change_json(target / "config.json", {"num_hidden_layers": 5})
    change_weights(target, lambda weights: {n: v for n, v in weights.items() if ".layer.5." not in n})


def with_layers(target: Path, n_layers: int) -> None:
    """Repeat the last layer until there are so many."""
    change_json(target / "config.json", {"num_hidden_layers": n_layers})

    def repeated(weights: Weights) -> Weights:
        last = {name: values for name, values in weights.items() if ".layer.5." in name}
        for number in range(6, n_layers):
            weights |= {name.replace(".5.", f".{number}."): values.copy() for name, values in last.items()}
        return weights

    change_weights(target, repeated)


def _slower(target: Path) -> None:
    with_layers(target, SLOWER_LAYERS)


def _slower_baseline(target: Path) -> None:
    with_layers(target, BASELINE_LAYERS)


def _pooling(target: Path) -> None:
    (file,) = target.glob("*_Pooling/config.json")
    content = json.loads(file.read_text(encoding="utf-8"))
    # Older checkpoints have a switch for each mode, newer ones name the mode.
    if "pooling_mode" in content:
        content["pooling_mode"] = "max"
    else:
        content |= {"pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}
    file.write_text(json.dumps(content), encoding="utf-8")


def _prompt(target: Path) -> None:
    text = "Translate this sentence into French and count its letters: "
    change_json(
        target / "config_sentence_transformers.json",
        {"prompts": {"query": text, "document": ""}, "default_prompt_name": None},
    )


def _casing(target: Path) -> None:
    """Let the tokenizer keep capital letters, which an uncased model has no words for."""
    content = json.loads((target / "tokenizer.json").read_text(encoding="utf-8"))
    content["normalizer"]["lowercase"] = False
    (target / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    change_json(target / "tokenizer_config.json", {"do_lower_case": False})


def _lower_case(target: Path) -> None:
    """Lower-case every text, which the tokenizer of an uncased model does anyhow."""
    change_json(target / "sentence_bert_config.json", {"do_lower_case": True})


def _truncation(target: Path) -> None:
    change_json(target / "sentence_bert_config.json", {"max_seq_length": 32})


def _tokenizer(target: Path) -> None:
    """Exchange the words of the vocabulary among themselves, as the tokenizer of another model would."""
    content = json.loads((target / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    words = [word for word in vocabulary if not word.startswith("[")]
    moved = np.random.default_rng(SEED).permutation([vocabulary[word] for word in words])
    content["model"]["vocab"] = vocabulary | dict(zip(words, map(int, moved), strict=True))
    (target / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")


def _int4(target: Path) -> None:
    change_weights(target, in_sixteen_steps)


def _larger(target: Path) -> None:
    """Send every vector through a space of many dimensions and back, which changes nothing but memory and time.

    Rows that no text uses would not do: weights are mapped from the file, and what isn't read takes no memory.
    """
    add_dense(target, np.eye(DETOUR, 384, dtype=np.float32))
    add_dense(target, np.eye(384, DETOUR, dtype=np.float32))


def _smaller_vectors(target: Path) -> None:
    """Cut the vectors to 64 dimensions, by a last module that keeps the first of them."""
    add_dense(target, np.eye(64, 384, dtype=np.float32))


def add_dense(target: Path, matrix: Any) -> None:
    """Add a module that multiplies every vector by a matrix (out, in)."""
    from safetensors.numpy import save_file

    modules = json.loads((target / "modules.json").read_text(encoding="utf-8"))
    folder = target / f"{len(modules)}_Dense"
    folder.mkdir()
    save_file({"linear.weight": matrix}, folder / "model.safetensors", {"format": "pt"})
    config = {
        "in_features": matrix.shape[1],
        "out_features": matrix.shape[0],
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    entry = {"idx": len(modules), "name": str(len(modules)), "path": folder.name}
    modules.append({**entry, "type": "sentence_transformers.models.Dense"})
    (target / "modules.json").write_text(json.dumps(modules), encoding="utf-8")


HARMS = (
    Harm("noise in the weights", QUALITY, _noise),
    Harm("last layer dropped", QUALITY, _fewer_layers),
    Harm("pooling changed", QUALITY, _pooling),
    Harm("wrong prompt", QUALITY, _prompt),
    Harm("casing kept", QUALITY, _casing),
    Harm("lower-cased input", "", _lower_case),
    Harm("truncation to 32 tokens", QUALITY, _truncation),
    Harm("wrong tokenizer", QUALITY, _tokenizer),
    Harm("384 to 64 dimensions", LIMIT + "dimension", _smaller_vectors),
    Harm("int4-like rounding", QUALITY, _int4),
    Harm("20 % slower", COST + "query_latency", _slower, with_cost=True, baseline=_slower_baseline),
    Harm("30 % more memory", COST + "peak_memory", _larger, with_cost=True),
)


if __name__ == "__main__":
    sys.exit(main())
