"""Plain facts of a text: its words, its script, about how many tokens it has.

Languages that are written without spaces count each character as a word; a dictionary would know better, but no
check here needs it to.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache

# Kana, Han, Thai, Lao, Khmer: scripts without spaces between words.
_UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Marks that stand inside of words: combining accents and the vowel signs of India's scripts.
_MARKS = "\u0300-\u036f\u0900-\u0963\u0966-\u0dff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:[^\W_{_UNSPACED}]|[{_MARKS}])+")
_UNSPACED_CHARACTER = re.compile(f"[{_UNSPACED}]")
# Names of characters begin with their script, but one language writes all of these.
_ONE_FAMILY = {"CJK": "Chinese or Japanese", "HIRAGANA": "Chinese or Japanese", "KATAKANA": "Chinese or Japanese"}
_CHARACTERS_PER_TOKEN = 4.0  # of English in a WordPiece vocabulary; a rule of thumb
_SCRIPT_SAMPLE = 200  # characters that decide on the script of a text


def normalize(text: str) -> str:
    """Return the text without what a reader doesn't see: letter case, width, kinds and runs of spaces.

    >>> normalize("Ｈello   World\\n")
    'hello world'
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def words(text: str) -> list[str]:
    """Return the words of a text, normalised and without punctuation.

    >>> words("Don't panic: 密码!")
    ['don', 't', 'panic', '密', '码']
    """
    return _WORD.findall(normalize(text))


def is_unspaced(found: list[str]) -> bool:
    """Return whether most of these words are single characters of a script without spaces."""
    return sum(bool(_UNSPACED_CHARACTER.match(word)) for word in found) * 2 > len(found)


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a model sees: one for each Chinese character, one for four others."""
    unspaced = len(_UNSPACED_CHARACTER.findall(text))
    return round(unspaced + (len(text) - unspaced) / _CHARACTERS_PER_TOKEN)


def main_script(text: str) -> str | None:
    """Return the script of most letters at the beginning of a text; None for a text without letters.

    >>> main_script("Пароль (password)?"), main_script("3 + 4")
    ('Latin', None)
    """
    counts = Counter(script for character in text[:_SCRIPT_SAMPLE] if (script := _script(character)))
    return counts.most_common(1)[0][0] if counts else None


@cache
def _script(character: str) -> str | None:
    if not character.isalpha():
        return None
    first = unicodedata.name(unicodedata.normalize("NFKC", character)[0], "").partition(" ")[0]
    return _ONE_FAMILY.get(first, first.capitalize()) or None
