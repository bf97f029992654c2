"""Is a team's own data fit to choose a model by?  `benchkit suites validate` asks these checks.

    corpus, queries, qrels      ──check_retrieval──┐
    sentence1, sentence2, score ──check_pairs──────┼─> Findings: error · warning · note
    texts, labels, splits       ──check_labels─────┘

The data are plain containers; reading files is the work of `benchkit.tasks`. Everything is deterministic.
"""

from __future__ import annotations

from benchkit.suite.check_labels import check_labels
from benchkit.suite.check_pairs import check_pairs
from benchkit.suite.check_retrieval import check_retrieval
from benchkit.suite.findings import Finding

__all__ = ["Finding", "check_labels", "check_pairs", "check_retrieval"]
