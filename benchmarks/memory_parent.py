"""Peak memory of one model, asked for by a small and by a large parent: it should not know which.

    parent with 100 MiB of ballast ── ModelProcess(MiniLM) ──> peak ─┐
    parent with   2 GiB of ballast ── ModelProcess(MiniLM) ──> peak ─┴─> ratio; exit 1 beyond 3 %

    python benchmarks/memory_parent.py [MODEL]

Every parent is a process of its own and has written to all of its ballast; both models encode the same texts. Printed
beside: `ru_maxrss` of the same child, which is why benchkit doesn't use it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchkit.cost.process import ModelProcess
from benchkit.models.names import parse_model
from benchkit.types.cost import TextSource
from benchkit.types.model import OpenContext

SMALL_MIB, LARGE_MIB = 100, 2048
LIMIT = 0.03
TEXTS = tuple("word " * (1 + n % 100) for n in range(64))


def main(model: str) -> int:
    told = {ballast: ask_parent(model, ballast) for ballast in (SMALL_MIB, LARGE_MIB)}
    for ballast, facts in told.items():
        peak, naive = facts["peak_mib"], facts["ru_maxrss_mib"]
        print(f"parent with {ballast:5d} MiB: peak of {model} {peak:7.1f} MiB   (ru_maxrss says {naive:7.1f} MiB)")
    ratio = told[LARGE_MIB]["peak_mib"] / told[SMALL_MIB]["peak_mib"]
    print(f"ratio {ratio:.4f}, allowed {1 - LIMIT:.2f} to {1 + LIMIT:.2f}")
    return int(abs(ratio - 1) > LIMIT)


def ask_parent(model: str, ballast_mib: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--parent", model, str(ballast_mib)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    facts: dict[str, float] = json.loads(done.stdout)
    return facts


def parent(model: str, ballast_mib: int) -> None:
    ballast = bytearray(b"x") * (ballast_mib * 2**20)
    with tempfile.TemporaryDirectory() as cache:
        context = OpenContext(device="cpu", offline=True, cache_dir=Path(cache))
        with ModelProcess(parse_model(model), context) as process:
            process.encode(TextSource("memory", "STS", None, TEXTS), 0, len(TEXTS))
            facts = process.facts()
    assert len(ballast) == ballast_mib * 2**20  # held until here
    naive = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps({"peak_mib": facts.peak_mib, "ru_maxrss_mib": naive}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--parent"]:
        parent(sys.argv[2], int(sys.argv[3]))
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("model", nargs="?", default="minilm")
        sys.exit(main(parser.parse_args().model))
