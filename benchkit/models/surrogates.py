"""Texts as UTF-8 can hold them: no tokenizer and no endpoint takes a lone surrogate, half of a UTF-16 pair."""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def well_formed(text: str) -> str:
    """Return the text as UTF-8 can hold it: a pair of surrogates becomes its character, a lone one U+FFFD.

    >>> well_formed("\\ud83d\\ude00 \\ud83d") == "\\U0001f600 \\ufffd"
    True
    """
    if _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
