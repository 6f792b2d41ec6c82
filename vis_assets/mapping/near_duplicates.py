"""Texts that say the same as another one: templates, versions, copies."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

_CHARACTERS_READ = 600
_LIKE = 0.7  # of all words and pairs of words of two texts, the share that both have
_FEW_WORDS = 8  # up to here a number tells texts apart ("Python 2", "Python 3"); in longer ones it is a template's
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0e7f"  # kana, Han, Thai: each character counts as a word
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class Wording:
    """The words of a text, as far as they matter for whether it repeats another one.

    Attributes:
        text: as it is; only the beginning is read.
    """

    text: str

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Words in reading order, without case; numbers in longer texts are all one."""
        folded = unicodedata.normalize("NFKC", self.text[:_CHARACTERS_READ]).casefold()
        words = tuple(_WORD.findall(folded))
        if len(words) <= _FEW_WORDS:
            return words
        return tuple(_DIGITS.sub("0", word) for word in words)

    @cached_property
    def shingles(self) -> frozenset[tuple[str, ...]]:
        """Words and pairs of neighbouring words (shingles; Broder 1997)."""
        return frozenset([*((word,) for word in self.words), *zip(self.words, self.words[1:], strict=False)])

    def repeats(self, other: "Wording") -> bool:
        """Whether a person who has read one of the two learns nothing from the other; texts without words never."""
        if not self.words or not other.words:
            return False
        if self.words == other.words:
            return True
        shared = len(self.shingles & other.shingles)
        return shared >= _LIKE * (len(self.shingles) + len(other.shingles) - shared)
