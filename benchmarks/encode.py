"""The engines beside `SentenceTransformer.encode`: same texts, same weights, one process, ratios.

    quickstart corpus ─ texts of mixed lengths ─ per round each side once, in turn ─> seconds ─> ratios ──> table, JSON

    st        SentenceTransformer.encode(batch_size=32)
    torch     the same modules behind benchkit's cache, batches cut by tokens
    packed    exact, without padding                                    largest difference 1e-5
    bf16x3    exact, its products by bfloat16 units, where a CPU has AMX at least 2.5 x st, largest difference 1e-5
    bf16      coarser                                                   at least 4 x st
    int8      coarser still

Lengths are lognormal (median 33 words, sigma 0.8, 3 to 180 words): short titles beside long passages, as a corpus has
them. benchkit's sides go through `CachedEncoder` with nothing cached, so counting tokens, hashing and sorting are in
their seconds. A ratio is st's seconds over the side's in the same round; the table shows their median, smallest and
largest. Padded/real is tokens that go through the model over tokens in the texts, after truncation: at most 1.05 for
4000 texts; fewer texts differ more in length within a batch.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = "st"
ENGINES = ("torch", "packed", "bf16x3", "bf16", "int8")
REFERENCE_BATCH = 32
MEDIAN_WORDS, SIGMA, FEWEST_WORDS, MOST_WORDS = 33, 0.8, 3, 180
MOST_PADDED, LARGEST_DIFFERENCE = 1.05, 1e-5

Vectors = NDArray[np.float32]


@dataclass(slots=True)
class Side:
    """One way of encoding all texts, and what it took."""

    name: str
    encode: Callable[[Sequence[str]], Vectors] = field(repr=False)
    engine: str
    padded_over_real: float
    notes: tuple[str, ...] = ()
    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    difference: float = 0.0
    cosine: float = 1.0

    def run(self, texts: Sequence[str]) -> Vectors:
        cpu, wall = time.process_time(), time.perf_counter()
        vectors = self.encode(texts)
        self.cpu_s.append(time.process_time() - cpu)
        self.wall_s.append(time.perf_counter() - wall)
        return vectors


# ---------------------------------------------------------------- texts


def make_texts(n: int, *, seed: int = 0) -> list[str]:
    """Cut n texts out of the words of the quickstart corpora, each at a random place."""
    words = " ".join(_passages()).split()
    rng = random.Random(seed)
    texts = []
    for _ in range(n):
        size = round(math.exp(rng.gauss(math.log(MEDIAN_WORDS), SIGMA)))
        size = min(MOST_WORDS, max(FEWEST_WORDS, size))
        start = rng.randrange(len(words) - size)
        texts.append(" ".join(words[start : start + size]))
    return texts


def _passages() -> list[str]:
    # Chinese has no blanks between words, so a "word" of it would be a paragraph.
    paths = [path for path in sorted(ROOT.glob("suites/data/**/corpus.jsonl")) if "zh" not in str(path)]
    if not paths:
        raise SystemExit(f"{ROOT / 'suites/data'}: no corpus.jsonl; run this from a checkout of benchkit")
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    return [json.loads(line)["text"] for line in lines]


# ---------------------------------------------------------------- sides


def make_sides(names: Sequence[str], model: Any, texts: Sequence[str], directory: Path) -> list[Side]:
    def encode(these: Sequence[str]) -> Vectors:
        found: Vectors = model.encode(list(these), batch_size=REFERENCE_BATCH, show_progress_bar=False)
        return found

    lengths = read_lengths(model, texts)
    first = Side(REFERENCE, encode, "sentence-transformers", _padding_of_st(texts, lengths))
    return [first, *(_engine_side(name, directory, lengths) for name in names)]


def read_lengths(model: Any, texts: Sequence[str]) -> NDArray[np.int64]:
    ids = model.tokenizer(list(texts), truncation=True, max_length=model.max_seq_length)["input_ids"]
    return np.array([len(row) for row in ids])


def _padding_of_st(texts: Sequence[str], lengths: NDArray[np.int64]) -> float:
    """sentence-transformers sorts by characters, longest first, and pads each batch to its longest."""
    order = np.argsort([-len(text) for text in texts])
    batches = [lengths[order[at : at + REFERENCE_BATCH]] for at in range(0, len(order), REFERENCE_BATCH)]
    return float(sum(len(batch) * batch.max() for batch in batches) / lengths.sum())


def _engine_side(name: str, directory: Path, lengths: NDArray[np.int64]) -> Side:
    from benchkit.embeddings.encoder import CachedEncoder
    from benchkit.embeddings.lengths import cut_batches
    from benchkit.models.sentence_transformers import open_model
    from benchkit.types.model import ModelSpec, OpenContext

    spec = ModelSpec(label=name, name=str(directory), options={"engine": name})
    encoder = open_model(spec, OpenContext(device="cpu", offline=True, cache_dir=directory)).load()

    def encode(texts: Sequence[str]) -> Vectors:
        return CachedEncoder(encoder).encode(texts)

    longest_first = -np.sort(-lengths)
    batches = cut_batches(longest_first, max_tokens=encoder.batch_tokens, max_texts=len(lengths))
    padded = sum(encoder.padded_tokens(longest_first[batch]) for batch in batches)
    return Side(name, encode, encoder.meta.engine or "", padded / int(lengths.sum()), encoder.meta.notes)


# ---------------------------------------------------------------- rounds


def measure(sides: Sequence[Side], texts: Sequence[str], *, rounds: int) -> None:
    """Run every side once for warmth and comparison, then `rounds` times, every other round backwards."""
    expected = sides[0].encode(texts)
    for side in sides[1:]:
        _compare(side, expected, side.encode(texts))
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            side.run(texts)
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)


def _compare(side: Side, expected: Vectors, found: Vectors) -> None:
    side.difference = float(np.abs(found - expected).max())
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    side.cosine = float((np.einsum("nd,nd->n", found, expected) / lengths).min())


def ratios(reference: Sequence[float], seconds: Sequence[float]) -> dict[str, float]:
    each = [one / other for one, other in zip(reference, seconds, strict=True)]
    return {"median": median(each), "low": min(each), "high": max(each)}


def print_table(sides: Sequence[Side], tokens: int) -> None:
    heading = ("side", "engine", "CPU ratio", "wall ratio", "tokens/s", "padded/real", "largest diff", "min cosine")
    print("{:8}{:24}{:>22}{:>22}{:>10}{:>13}{:>14}{:>12}".format(*heading))
    for side in sides:
        cpu, wall = (_shown(ratios(one, two)) for one, two in _pairs(sides[0], side))
        print(
            f"{side.name:8}{side.engine:24}{cpu:>22}{wall:>22}{tokens / median(side.wall_s):>10.0f}"
            f"{side.padded_over_real:>13.3f}{side.difference:>14.1e}{side.cosine:>12.6f}"
        )
    for side in sides:
        for note in side.notes:
            print(f"{side.name}: {note}")


def _pairs(reference: Side, side: Side) -> tuple[tuple[list[float], list[float]], ...]:
    return (reference.cpu_s, side.cpu_s), (reference.wall_s, side.wall_s)


def _shown(ratio: dict[str, float]) -> str:
    return f"{ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


# ---------------------------------------------------------------- command


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare the speed of benchkit's engines with sentence-transformers'.")
    parser.add_argument("--texts", type=int, default=4000, metavar="N", help="number of texts [4000]")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="rounds, the order alternating [7]")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of torch [1]")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES), help="which [all]")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write everything as JSON")
    options = parser.parse_args(arguments)
    for name in ("texts", "rounds", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(options, name)}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 1 when the exact engine differs by more than its bound, or a side of benchkit's pads too much."""
    options = parse(arguments)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if options.threads > 1 else "false"
    import torch
    from sentence_transformers import SentenceTransformer

    from benchkit.models.hub import packaged_minilm

    torch.set_num_threads(options.threads)
    directory = packaged_minilm()
    if directory is None:
        raise SystemExit("the packaged MiniLM weights are missing; install benchkit[offline]")
    texts = make_texts(options.texts)
    load = os.getloadavg()[0]
    model = SentenceTransformer(str(directory), device="cpu", local_files_only=True)
    tokens = int(read_lengths(model, texts).sum())
    sides = make_sides(options.engines, model, texts, directory)
    measure(sides, texts, rounds=options.rounds)
    print(f"{len(texts)} texts, {tokens} tokens, {options.threads} threads, load average {load:.1f} at the start")
    print_table(sides, tokens)
    if options.json is not None:
        options.json.write_text(json.dumps(_report(sides, options, tokens, load), indent=1) + "\n", encoding="utf-8")
    return 0 if all(_keeps_its_bounds(side) for side in sides[1:]) else 1


def _keeps_its_bounds(side: Side) -> bool:
    is_exact = side.name in ("torch", "packed", "bf16x3")
    return side.padded_over_real <= MOST_PADDED and (not is_exact or side.difference <= LARGEST_DIFFERENCE)


def _report(sides: Sequence[Side], options: argparse.Namespace, tokens: int, load: float) -> dict[str, Any]:
    rows = []
    for side in sides:
        facts = {one.name: getattr(side, one.name) for one in fields(side) if one.name != "encode"}
        cpu, wall = (ratios(one, two) for one, two in _pairs(sides[0], side))
        rows.append(facts | {"cpu_ratio": cpu, "wall_ratio": wall})
    libraries = ("torch", "transformers", "sentence-transformers", "tokenizers", "numpy")
    return {
        "environment": {
            "cpu": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "load_average": load,
            "python": platform.python_version(),
            **{name: version(name) for name in libraries},
        },
        "texts": options.texts,
        "tokens": tokens,
        "threads": options.threads,
        "rounds": options.rounds,
        "sides": rows,
    }


if __name__ == "__main__":
    sys.exit(main())
