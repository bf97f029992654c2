"""What benchkit adds to pure encoding: hashing, sorting, the cache of vectors on disk, the record of the cell.

    texts of mixed length ── batches, as benchkit cuts them
        ├─ plain    encoder.encode(batch), one after the other
        └─ cached   CachedEncoder(encoder, VectorStore(new folder)).encode(texts), closed with fsync; CellCache.put

    rounds, both sides in turn, the order alternating ──> cached / plain ──> median, smallest, largest    at most 1.02
    parts: the cached side with a model that knows its answers ──> what each part costs, without the noise of encoding

The vectors of the two sides must be the same bytes; the exit code is 1 when they are not. Texts are words of the
shipped suites, drawn with a seed; their lengths are lognormal, as those of real documents (5th, 50th and 95th
percentile 10, 43 and 173 words, at most 256).
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stages import StageClock

LIMIT = 1.02
MEDIAN_WORDS, SPREAD, MOST_WORDS = 43, 0.846, 256
TEXTS_AT_A_TIME = 16
WORDS = re.compile(r"[A-Za-z][a-z']+")
TOKENS = "tokens"
Vectors = NDArray[np.float32]


# ---------------------------------------------------------------- texts


def make_texts(n_tokens: int, encoder: Any, *, seed: int = 0) -> list[str]:
    """Draw texts until the model reads n_tokens tokens of them in all; words where it has no tokenizer."""
    rng = np.random.default_rng(seed)
    words = shipped_words()
    texts: list[str] = []
    total = 0
    while total < n_tokens:
        sizes = np.clip(rng.lognormal(np.log(MEDIAN_WORDS), SPREAD, TEXTS_AT_A_TIME).astype(int), 1, MOST_WORDS)
        new = [" ".join(rng.choice(words, size)) for size in sizes]
        texts += new
        read = tokens_read(encoder, new)
        total += int(sizes.sum()) if read is None else read
    return list(dict.fromkeys(texts))


def tokens_read(encoder: Any, texts: Sequence[str]) -> int | None:
    """Return the tokens of these texts after truncation; None where the model has no tokenizer."""
    counted = encoder.count_tokens(texts)
    limit = encoder.meta.max_seq_length or np.inf
    return None if counted is None else int(np.minimum(counted, limit).sum())


def shipped_words() -> list[str]:
    from benchkit.suite.find import shipped_suites

    found: set[str] = set()
    for path in sorted((shipped_suites() / "data").rglob("*.jsonl")):
        found.update(WORDS.findall(path.read_text(encoding="utf-8")))
    return sorted(found)


# ---------------------------------------------------------------- the two sides


class Spy:
    """The model as it is, except that it keeps the batches that it is given."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self.batches: list[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode(self, texts: Sequence[str], **options: Any) -> Vectors:
        self.batches.append(list(texts))
        vectors: Vectors = self._encoder.encode(texts, **options)
        return vectors


class Replay:
    """A model that gives known vectors at once; its tokenizer is the real one."""

    def __init__(self, encoder: Any, vectors: Sequence[Vectors]) -> None:
        self._encoder = encoder
        self._vectors = iter(vectors)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode(self, texts: Sequence[str], **options: Any) -> Vectors:
        return next(self._vectors)


@dataclass(slots=True)
class Bench:
    """What both sides share.

    Attributes:
        batches: The texts as the cached side cuts them.
    """

    encoder: Any
    texts: list[str]
    folder: Path
    batches: list[list[str]] = field(default_factory=list)

    def warm_up(self) -> list[Vectors]:
        """Encode everything once, learn the batches and return the vectors of each."""
        spy = Spy(self.encoder)
        self.cached(spy)
        self.batches = spy.batches
        return [self.encoder.encode(batch) for batch in self.batches]

    def plain(self) -> Vectors:
        return np.concatenate([self.encoder.encode(batch) for batch in self.batches])

    def cached(self, encoder: Any = None) -> Vectors:
        """Return the vectors in the order of the batches, so that they can be compared with `plain`."""
        from benchkit.embeddings.encoder import CachedEncoder
        from benchkit.embeddings.store import VectorStore
        from benchkit.runner.cell_cache import CellCache, cell_key, library_versions
        from benchkit.types.model import Variant

        folder = Path(tempfile.mkdtemp(prefix="cache-", dir=self.folder))
        with VectorStore(folder) as store:
            model = CachedEncoder(encoder or self.encoder, store, context=library_versions())
            read = model.watch()
            vectors = model.encode(self.texts)
        key = cell_key(
            fingerprint=model.meta.fingerprint,
            similarity=model.meta.similarity,
            engine=model.meta.engine,
            variant=Variant(),
            source_digest="overhead",
            device_kind="cpu",
        )
        CellCache(folder).put(key, self._cell(read.n_cut))
        return vectors

    def _cell(self, n_cut: int) -> Any:
        """Return a cell with a score for each text."""
        from benchkit.types.result import CellResult, ItemScores

        names = np.array([str(number) for number in range(len(self.texts))], np.str_)
        items = ItemScores("test", "default", "mean", "ndcg", names, {"value": np.linspace(0, 1, len(names))})
        return CellResult("m", "t", "Retrieval", "ok", items=(items,), warnings=(f"{n_cut} texts cut",))

    def in_batches(self, vectors: Vectors) -> Vectors:
        row = {text: number for number, text in enumerate(self.texts)}
        return vectors[[row[text] for batch in self.batches for text in batch]]


@dataclass(slots=True)
class Timed:
    cpu_s: float
    wall_s: float
    vectors: Vectors


def timed(side: Callable[[], Vectors]) -> Timed:
    cpu, wall = time.process_time(), time.perf_counter()
    vectors = side()
    return Timed(time.process_time() - cpu, time.perf_counter() - wall, vectors)


def run_round(bench: Bench, *, plain_first: bool) -> dict[str, Timed]:
    sides = [("plain", bench.plain), ("cached", bench.cached)]
    return {name: timed(side) for name, side in (sides if plain_first else sides[::-1])}


# ---------------------------------------------------------------- the parts


def parts(bench: Bench, vectors: Sequence[Vectors], *, repeats: int = 3) -> dict[str, float]:
    """Return the CPU seconds of each part of the cached side: of several runs the one that took least in all."""
    runs = []
    for _ in range(repeats):
        clock = StageClock(time.process_time)
        with watched(clock):
            bench.cached(Replay(bench.encoder, vectors))
        runs.append(clock.finish())
    return min(runs, key=lambda seconds: sum(seconds.values()))


@contextmanager
def watched(clock: StageClock) -> Iterator[None]:
    """Charge the parts of the cached side to stages of their own."""
    import benchkit.embeddings.encoder as module
    from benchkit.embeddings.encoder import CachedEncoder
    from benchkit.embeddings.lengths import CutTexts
    from benchkit.embeddings.store import VectorSpace, VectorStore
    from benchkit.runner.cell_cache import CellCache

    places: list[tuple[Any, str, str]] = [
        (module, "_request", "distinct texts and their keys"),
        (CachedEncoder, "_read", "look-up"),
        (CachedEncoder, "_lengths", TOKENS),
        (CutTexts, "note", "cut texts"),
        (CutTexts, "among", "cut texts"),
        (CachedEncoder, "_checked", "checks of the vectors"),
        (CachedEncoder, "_open", "open the cache"),
        (VectorSpace, "append", "write the vectors"),
        (VectorStore, "close", "close the cache (fsync)"),
        (CellCache, "put", "record of the cell (fsync)"),
    ]
    plain = [(holder, name, getattr(holder, name)) for holder, name, _ in places]
    for holder, name, stage in places:
        setattr(holder, name, _charged(getattr(holder, name), clock, stage))
    try:
        yield
    finally:
        for holder, name, function in plain:
            setattr(holder, name, function)


def _charged(function: Callable[..., Any], clock: StageClock, stage: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **options: Any) -> Any:
        with clock.stage(stage):
            return function(*args, **options)

    return wrapper


# ---------------------------------------------------------------- what came out


def ratios(rounds: Sequence[dict[str, Timed]]) -> list[dict[str, Any]]:
    rows = []
    for clock in ("cpu_s", "wall_s"):
        values = [getattr(one["cached"], clock) / getattr(one["plain"], clock) for one in rounds]
        seconds = {side: median(getattr(one[side], clock) for one in rounds) for side in ("plain", "cached")}
        rows.append(
            {"clock": clock, **seconds, "median": median(values), "min": min(values), "max": max(values)}
            | {"limit": LIMIT}
        )
    return rows


def tokens_of(bench: Bench) -> dict[str, Any]:
    """Return the tokens that the model reads, and what it makes of them with padding where it says so."""
    from benchkit.types.model import TokenBatched

    read = tokens_read(bench.encoder, bench.texts)
    if read is None or not isinstance(bench.encoder, TokenBatched):
        return {"tokens": read, "padded": None}
    padded = sum(bench.encoder.padded_tokens(bench.encoder.count_tokens(batch)) for batch in bench.batches)
    return {"tokens": read, "padded": padded / read}


def print_report(report: dict[str, Any]) -> None:
    facts = report["texts"]
    padded = "" if facts["padded"] is None else f", {facts['padded']:.3f} padded for each real one"
    print(f"{facts['texts']} texts in {facts['batches']} batches, {facts['tokens']} tokens{padded}")
    print(
        f"\n{'clock':8s} {'plain s':>9s} {'cached s':>9s} {'cached / plain':>15s} {'min':>8s} {'max':>8s} {'limit':>8s}"
    )
    for row in report["ratios"]:
        numbers = f"{row['plain']:9.3f} {row['cached']:9.3f} {row['median']:15.4f} {row['min']:8.4f} {row['max']:8.4f}"
        print(f"{row['clock'].removesuffix('_s'):8s} {numbers} {row['limit']:8.2f}")
    plain = report["ratios"][0]["plain"]
    print(f"\n{'part':32s} {'CPU ms':>9s} {'% of plain':>11s}")
    seconds = dict(sorted(report["parts"].items(), key=lambda part: -part[1]))
    of_model = seconds.pop(TOKENS)
    for name, value in [*seconds.items(), ("all of these", sum(seconds.values()))]:
        print(f"{name:32s} {1000 * value:9.2f} {100 * value / plain:11.3f}")
    print(f"{'counting tokens':32s} {1000 * of_model:9.2f} {100 * of_model / plain:11.3f}")
    print("Counting tokens adds nothing where the model keeps the token ids for the encoding that follows.")


# ---------------------------------------------------------------- command


def environment(encoder: Any, threads: int) -> dict[str, Any]:
    return {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load_average": os.getloadavg(),
        "model": encoder.meta.name,
        "engine": encoder.meta.engine,
        **{name: version(name) for name in ("benchkit", "torch", "sentence-transformers", "numpy")},
    }


def load(name: str, cache: Path) -> Any:
    from benchkit.models.names import parse_model
    from benchkit.plugins import open_model
    from benchkit.types.model import OpenContext

    return open_model(parse_model(name), OpenContext(device="cpu", offline=True, cache_dir=cache)).load()


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what benchkit adds to pure encoding.")
    parser.add_argument("--model", default="minilm", metavar="NAME", help="any name that benchkit takes [minilm]")
    parser.add_argument("--tokens", type=int, default=100_000, metavar="N", help="tokens of the texts [100000]")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="rounds, the order alternating [7]")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the model [1]")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write everything as JSON")
    options = parser.parse_args(arguments)
    for name in ("tokens", "rounds", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(options, name)}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 1 when the two sides have different vectors."""
    options = parse(arguments)
    from benchkit.models.device import limit_threads

    with tempfile.TemporaryDirectory(prefix="benchkit-overhead-") as folder:
        encoder = load(options.model, Path(folder))
        undo = limit_threads(options.threads)
        try:
            report, same = measure(encoder, options, Path(folder))
        finally:
            undo()
    print_report(report)
    if not same:
        print("the two sides have different vectors", file=sys.stderr)
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if same else 1


def measure(encoder: Any, options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], bool]:
    facts = environment(encoder, options.threads)
    bench = Bench(encoder, make_texts(options.tokens, encoder), folder)
    say(f"{facts['model']}, engine {facts['engine']}, {len(bench.texts)} texts; load {facts['load_average'][0]:.1f}")
    vectors = bench.warm_up()
    rounds = []
    for number in range(options.rounds):
        rounds.append(run_round(bench, plain_first=number % 2 == 0))
        seconds = "  ".join(f"{side} {one.cpu_s:.2f} s CPU {one.wall_s:.2f} s wall" for side, one in rounds[-1].items())
        say(f"round {number + 1} of {options.rounds}: {seconds}")
    same = all(one["plain"].vectors.tobytes() == bench.in_batches(one["cached"].vectors).tobytes() for one in rounds)
    report = {
        "environment": facts,
        "texts": {"texts": len(bench.texts), "batches": len(bench.batches), **tokens_of(bench)},
        "ratios": ratios(rounds),
        "parts": parts(bench, vectors),
        "rounds": [{side: {"cpu_s": t.cpu_s, "wall_s": t.wall_s} for side, t in one.items()} for one in rounds],
    }
    return report, same


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
